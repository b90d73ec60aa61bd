"""The report on the paper's claims: every check can turn, and the report is what the checks say."""

import copy
import json
import shutil
from pathlib import Path

import pytest

from experiments.reproduction.claim import OPEN, READING, REFUTED, REPRODUCED, VERDICTS, Measured
from experiments.reproduction.report import CLAIMS, render

RESULTS = Path(__file__).resolve().parent.parent / "results"
CHECKED = [claim for claim in CLAIMS if claim.check is not None]
NONE, ONE = (
    {"examples": examples, "share_below": 1e-5, "verdict": ""} for examples in ([], [{"n_fixed_points": 15}])
)
CENSUS = {
    "systems": 1000,
    "conjectures": {
        name: {"by_reading": {"no update gate": copy.deepcopy(NONE)}}
        for name in ("fixed points", "hidden attractors", "sinks without reset gate", "cycle folds")
    }
    | {"update gate": {"by_distribution": {"unequal b_z": {"changed": 3}}}},
}
"""A census that found no counter-example, so that the rows that need one can be asked."""


def measured(census: dict | None = CENSUS) -> Measured:
    """The tracked results, with a census of ours."""
    results = copy.deepcopy(Measured.load(RESULTS).results)
    results.pop("census", None)
    return Measured(results if census is None else results | {"census": copy.deepcopy(census)})


def others(value):
    """Values that a measurement might have had instead."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value - 1, -value, 1.5 * value, 0)
    elif isinstance(value, str):
        yield from ("something else", "sink", "stable focus", "cycle+(source)")
    elif value is None:
        yield 1.0
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from ([*value[:i], new, *value[i + 1 :]] for new in others(inner))
        yield from (value[:-1], [*value, *copy.deepcopy(NONE["examples"] or ONE["examples"])])
    else:
        for key, inner in value.items():
            yield from (value | {key: new} for new in others(inner))


def replaced(results, path, new):
    """`results` with another value at a path; nothing else is copied or changed."""
    if not path:
        return new
    here = list(results) if isinstance(results, list) else dict(results)
    here[path[0]] = replaced(here[path[0]], path[1:], new)
    return here


def at(results, path):
    for step in path:
        results = results[step]
    return results


@pytest.mark.parametrize("claim", CHECKED, ids=lambda claim: claim.text[:50])
def test_some_other_measurement_turns_the_verdict(claim):
    known = measured()
    first = claim.judge(known)
    assert first.verdict in (REPRODUCED, READING, REFUTED)
    assert first.value
    turned = set()
    for path in dict.fromkeys(known.asked):
        for new in others(at(known.results, path)):
            try:
                turned.add(claim.judge(Measured(replaced(known.results, path, new))).verdict)
            except (ArithmeticError, LookupError, TypeError, ValueError):
                continue  # not a result that the figure could have written
            if len(turned | {first.verdict}) > 1:
                return
    pytest.fail(f"nothing that it asks for turns '{claim.text}' from {first.verdict}")


def test_every_claim_says_what_shows_it_or_why_nothing_does():
    for claim in CLAIMS:
        assert bool(claim.check) == bool(claim.command) != bool(claim.why)
        finding = claim.judge(measured())
        assert (finding.verdict == OPEN) == (claim.check is None)
        if finding.verdict in (READING, REFUTED):
            assert finding.why, claim.text
    assert len({claim.text for claim in CLAIMS}) == len(CLAIMS)


def verdict_of(text: str, known: Measured) -> str:
    (claim,) = (claim for claim in CLAIMS if text in claim.text)
    return claim.judge(known).verdict


def test_where_the_program_disagrees_it_says_so():
    known = measured()
    assert verdict_of("Hopf bifurcation at approximately", known) == READING
    assert verdict_of("lower mean frequency", known) == READING
    assert verdict_of("homoclinic orbit is at gamma = 0.054085", known) == REFUTED
    assert verdict_of("can not be exactly zero", known) == REFUTED


def test_a_gamma_within_the_last_digit_would_be_reproduced():
    known = measured()
    path = ("fig07", "claimed_less_found")
    for off, expected in ((4e-7, REPRODUCED), (6e-7, REFUTED)):
        other = Measured(replaced(known.results, path, off))
        assert verdict_of("homoclinic orbit is at gamma = 0.054085", other) == expected


def test_a_counter_example_of_the_census_refutes_the_bound():
    found = copy.deepcopy(CENSUS)
    found["conjectures"]["fixed points"]["by_reading"]["no update gate"] = ONE
    text = "No more than 11"
    assert verdict_of(text, measured()) == REPRODUCED
    assert verdict_of(text, measured(found)) == REFUTED
    assert verdict_of(text, measured(None)) == READING


def test_without_a_census_the_rows_that_need_it_are_open():
    assert verdict_of("at most four sinks", measured(None)) == OPEN
    text = render(measured(None))
    assert "There is no results/census.json" in text
    assert "results/census.json is absent" in text


def test_the_report_counts_its_rows_and_is_the_same_every_time(tmp_path):
    for path in RESULTS.glob("*.json"):
        shutil.copy(path, tmp_path)
    text = render(Measured.load(tmp_path))
    assert text == render(Measured.load(tmp_path))
    assert text == (RESULTS / "REPRODUCTION.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert len(rows) == len(CLAIMS)
    (summary,) = (line for line in text.splitlines() if line.startswith("**"))
    for word in VERDICTS:
        assert f"{sum(f'**{word}**' in row for row in rows)} {word}" in summary


def test_results_are_json_that_names_no_path():
    for path in (RESULTS / "REPRODUCTION.md", RESULTS / "reproduction.json"):
        assert "/home" not in path.read_text()
    json.loads((RESULTS / "reproduction.json").read_text())


def test_claims_on_training_turn_on_what_was_learnt():
    known = measured()
    cycle = ("fig11", "fhn", "flow_has_the_topology", "interval", 0)
    assert verdict_of("learn the FitzHugh-Nagumo cycle", known) == REPRODUCED
    assert (
        verdict_of("learn the FitzHugh-Nagumo cycle", Measured(replaced(known.results, cycle, 0.2)))
        == REFUTED
    )
    held_out = ("fig12", "fhn", "held_out", "last_over_first", "verdict")
    assert verdict_of("FitzHugh-Nagumo does not", known) == READING
    assert (
        verdict_of("FitzHugh-Nagumo does not", Measured(replaced(known.results, held_out, "falls")))
        == REFUTED
    )
    least = ("fig12", "ring", "dynamics", -1, "least_eigenvalue")
    assert verdict_of("No continuous attractor", Measured(replaced(known.results, least, 0.0))) == REFUTED
