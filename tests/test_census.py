"""The census: its draws, its counts, its climbs and verdicts, and the counter-examples that it found.

What is computed by portraits elsewhere is stood in for by `Rules`, a portrait by rule of thumb, except where
a verdict or a frozen counter-example is at stake.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import gru_sweep as gs
from gru_sweep.records import InputError
from tests.oracle import PlanarGRU, fixed_points

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "experiments"))
import census  # noqa: E402
from conjectures import climb, distributions, draws, folds, portraits, report, tally, verdicts  # noqa: E402
from conjectures.cells import (  # noqa: E402
    COLUMNS,
    DECIMALS,
    ELEVEN,
    FIFTEEN,
    NAMES,
    THIRTEEN,
    UPDATE,
    row_of,
    without_update_gate,
)
from conjectures.distributions import DISTRIBUTIONS  # noqa: E402

FROZEN = json.loads((ROOT / "tests" / "data" / "census_counterexamples.json").read_text())
BY_NAME = {d.name: d for d in DISTRIBUTIONS}
GAIN, OTHER = NAMES.index("U_h[0,0]"), NAMES.index("U_h[0,1]")
SLOW = COLUMNS["b_z"][0]


class Rules:
    """Portraits that are functions of single entries, fast: the counts of the census need no dynamics.

    Fixed points: 1, 3 or 13 where U_h[0,0] passes 2 and 10. Two cycles where U_h[0,1] passes `pair` and there
    is one fixed point. Unresolved where U_h[0,0] is from 4 to 5. b_z[0] > 0 changes the label alone.
    """

    def __init__(self, size: int = 1024, pair: float = 3.0):
        self.size, self.pair = size, pair
        self.calls: list[int] = []

    def __call__(self, cells: np.ndarray) -> dict[str, np.ndarray]:
        self.calls.append(len(cells))
        n = len(cells)
        gain = cells[:, GAIN]
        points = np.where(gain > 10.0, 13, np.where(gain > 2.0, 3, 1))
        two = (points == 1) & (cells[:, OTHER] > self.pair)
        status = np.where((gain > 4.0) & (gain < 5.0), gs.Status.UNRESOLVED, gs.Status.OK)
        slow = np.where(cells[:, SLOW] > 0.0, "slow ", "")
        label = np.array(
            [f"{s}{k}{' with two cycles' if t else ''}" for s, k, t in zip(slow, points, two)], object
        )
        label[status != gs.Status.OK] = ""
        none = np.full((n, 8), -1)
        first = np.arange(8) == 0
        second = np.arange(8) == 1
        both = two[:, None] & (first | second)
        return {
            "label": label,
            "status": status,
            "n_fixed_points": points,
            "n_sinks": (points + 1) // 2,
            "n_sources": np.zeros(n, int),
            "n_saddles": points // 2,
            "n_stable_cycles": two.astype(int),
            "n_unstable_cycles": two.astype(int),
            "cycle_stable": np.where(both, first, none),
            "cycle_within": np.where(two[:, None] & second, 0, none),
            "cycle_encloses": np.where(both, 1, 0),
            "cycle_hidden": np.where(two[:, None] & first, 1, none),
            "cycle_basin_hidden": np.where(two[:, None] & first, 1, none),
            "cycle_amplitude": np.where(both[:, :, None], np.where(first, 1.5, 0.5)[:, None], np.nan),
            "cycle_log_multiplier": np.where(both, np.where(first, -0.1, 0.1), np.nan),
            "cycle_period": np.where(both, 10.0, np.nan),
            "fixed_point": np.full((n, 16, 2), np.nan),
            "eigenvalue": np.full((n, 16, 2, 2), -0.5),
        }


def oracle(row: np.ndarray) -> PlanarGRU:
    return PlanarGRU(**{p: row[c].reshape((2, 2) if len(c) == 4 else 2) for p, c in COLUMNS.items()})


# draws


def test_distributions_have_their_own_streams():
    numbers = [d.number for d in DISTRIBUTIONS]
    assert len(set(numbers)) == len(numbers) == len({d.name for d in DISTRIBUTIONS})
    assert max(numbers) < distributions.STREAMS
    first = {tuple(distributions.deviate(d.number, np.arange(1), 4)[0]) for d in DISTRIBUTIONS}
    assert len(first) == len(DISTRIBUTIONS)


@pytest.mark.parametrize("d", DISTRIBUTIONS, ids=lambda d: d.name)
def test_any_cell_can_be_drawn_again_by_itself(d):
    cells = d.draw(3, np.arange(40, 52))
    np.testing.assert_array_equal(d.draw(3, np.array([47]))[0], cells[7])
    assert not np.array_equal(d.draw(4, np.array([47]))[0], cells[7])
    np.testing.assert_array_equal(np.round(cells, DECIMALS), cells)
    assert np.isfinite(cells).all()
    assert len(np.unique(cells, axis=0)) == 12


@pytest.mark.parametrize("d", DISTRIBUTIONS, ids=lambda d: d.name)
def test_cells_are_of_their_reading(d):
    cells = d.draw(0, np.arange(64))
    has_update, has_reset = (np.abs(cells[:, columns]).max() > 0 for columns in (UPDATE, COLUMNS["U_r"]))
    assert has_update == (d.reading == "update gate")
    assert not (has_reset and d.reading == "no reset gate")
    assert d.paired == has_update
    assert np.abs(without_update_gate(cells)[:, UPDATE]).max() == 0.0


SYMMETRIES = {
    "swap symmetry": lambda x, y: (y, x),
    "sharp reset gates, swap symmetry": lambda x, y: (y, x),
    "odd symmetry": lambda x, y: (-x, -y),
    "quarter turns": lambda x, y: (-y, x),
    "reflection": lambda x, y: (x, -y),
}


@pytest.mark.parametrize("name", SYMMETRIES)
def test_symmetric_families_are_symmetric(name):
    of = SYMMETRIES[name]
    for row in BY_NAME[name].draw(1, np.arange(5)):
        rate = oracle(row).evaluator(math)
        here, there = rate(0.3, -0.7)[0], rate(*of(0.3, -0.7))[0]
        np.testing.assert_allclose(there, of(*here), rtol=1e-12, atol=1e-12)
    row = BY_NAME["dense, 4"].draw(1, np.arange(1))[0]
    rate = oracle(row).evaluator(math)
    assert not np.allclose(rate(*of(0.3, -0.7))[0], of(*rate(0.3, -0.7)[0]))


def test_one_update_gate_is_one_factor():
    cells = BY_NAME["one update gate for both units"].draw(1, np.arange(5))
    for row, bare in zip(cells, without_update_gate(cells)):
        ratio = np.divide(
            oracle(row).evaluator(math)(0.4, -0.2)[0], oracle(bare).evaluator(math)(0.4, -0.2)[0]
        )
        assert ratio[0] == pytest.approx(ratio[1])
        assert ratio[0] != pytest.approx(1.0)


@pytest.mark.parametrize("name", ["beside Hopf", "beside Hopf, no reset gate", "beside Hopf, unequal b_z"])
def test_cells_beside_hopf_have_a_fixed_point_of_small_trace(name):
    # J is drawn in units of twice the time; entries that were cut off, or rounded, may have moved the point
    largest = 0.5 * 10.0**-0.5 + 0.01
    assert np.mean(least_traces(name) < largest) > 0.7
    assert np.mean(least_traces("dense, 4") < largest) < 0.5


def least_traces(name: str) -> np.ndarray:
    """The least |trace| of a Jacobian at a fixed point, of some cells."""
    found = [fixed_points(oracle(row)) for row in BY_NAME[name].draw(0, np.arange(9))]
    return np.array([min(abs(p.eigenvalues[0] + p.eigenvalues[1]) for p in points) for points in found])


@pytest.mark.parametrize("seed", [-1, distributions.MAX_SEED + 1, 0.5, True])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(InputError, match="seed"):
        DISTRIBUTIONS[0].draw(seed, np.arange(1))


def test_uniform_numbers_are_uniform():
    d = draws.Deviates(distributions.deviate(0, np.arange(4000), 4))
    values = np.sort(d.uniform(1, -2.0, 3.0)[:, 0])
    expected = np.linspace(-2.0, 3.0, 4000)
    assert np.abs(values - expected).max() < 5.0 * 1.95 / math.sqrt(4000)  # Kolmogorov-Smirnov, 0.1 %
    with pytest.raises(RuntimeError, match="more than 4"):
        d.normal(3)


# counts


def filled(systems: int, size: int, start: tally.Tally | None = None, stop: int | None = None) -> tally.Tally:
    counts, look = start or tally.Tally(5), Rules(size)
    wanted = tally.shares(systems)
    for _ in range(stop if stop is not None else systems):
        left = (wanted - counts.drawn).clip(0)
        if not left.any():
            break
        counts.add(look, tally.takes(left, size))
    assert all(n <= size for n in look.calls)
    return counts


def test_counts_do_not_depend_on_the_blocks_or_on_being_interrupted(tmp_path):
    whole = filled(1500, 4096)
    small = filled(1500, 200)
    assert whole.dataset().identical(small.dataset())
    part = filled(1500, 200, stop=3)
    assert 0 < part.drawn.sum() < whole.drawn.sum()
    part.save(tmp_path / "part.h5")
    again = filled(1500, 4096, start=tally.Tally.load(tmp_path / "part.h5", 5))
    assert again.dataset().identical(whole.dataset())
    # a shorter run is the beginning of a longer one
    assert filled(1500, 4096, start=filled(300, 512)).dataset().identical(whole.dataset())
    assert [path.name for path in tmp_path.iterdir()] == ["part.h5"]


def test_counts_are_those_of_the_cells_drawn():
    counts = filled(1500, 4096)
    np.testing.assert_array_equal(counts.drawn, tally.shares(1500))
    np.testing.assert_array_equal(counts.status.sum(axis=1), counts.drawn)
    assert counts.portraits == sum(int(c.sum()) for c in counts.count.values()) < counts.drawn.sum()
    look = Rules()
    for k, d in enumerate(DISTRIBUTIONS):
        cells = d.draw(5, np.arange(counts.drawn[k]))
        found, bare = look(cells)["label"], look(without_update_gate(cells))["label"]
        for label in counts.count:
            met = np.flatnonzero(found == label)
            assert counts.count[label][k] == met.size
            assert counts.first[label][k] == (met[0] if met.size else tally.NOWHERE)
        compared = (found != "") & (bare != "") & d.paired
        assert counts.compared[k] == compared.sum()
        assert counts.changed[k] == (compared & (found != bare)).sum()
        if counts.changed[k]:
            assert counts.first_changed[k] == np.flatnonzero(compared & (found != bare))[0]
    assert counts.changed.sum() > 0


def test_files_that_cannot_be_continued_are_refused(tmp_path):
    filled(100, 512).save(tmp_path / "a.h5")
    with pytest.raises(InputError, match="seed"):
        tally.Tally.load(tmp_path / "a.h5", 6)
    (tmp_path / "b.h5").write_text("nothing of the kind")
    with pytest.raises(InputError, match=r"b\.h5"):
        tally.Tally.load(tmp_path / "b.h5", 5)


def test_pairs_of_cycles_go_round_the_same_fixed_points():
    one = Rules()(np.zeros((1, 18)) + np.eye(18)[OTHER] * 4.0)
    assert portraits.paired(one).tolist() == [True]
    assert portraits.paired(
        one | {"cycle_encloses": one["cycle_encloses"] * np.array([7, 1] + [0] * 6)}
    ).tolist() == [False]
    assert portraits.paired(one | {"cycle_stable": np.where(one["cycle_stable"] < 0, -1, 1)}).tolist() == [
        False
    ]
    assert portraits.paired(one | {"cycle_within": -np.ones((1, 8), int)}).tolist() == [False]


# climbs, folds and verdicts


def test_a_climb_reaches_more_and_keeps_to_its_reading():
    goal = climb.Goal("sinks", "no reset gate", ("n_sinks",), lambda cells, _: cells[:, GAIN])
    begin = np.zeros((2, 18))
    begin[1, GAIN] = 3.0
    summit = climb.climb(Rules(), goal, begin, 30, 200, seed=1)
    assert (summit.start, summit.level, summit.looked_at) == (2, 7, 30 * 200)
    assert summit.cell[GAIN] > 10.0
    assert summit.label == "13"
    assert not summit.cell[[*UPDATE, *COLUMNS["U_r"], *COLUMNS["b_r"]]].any()
    again = climb.climb(Rules(), goal, begin, 30, 200, seed=1)
    np.testing.assert_array_equal(again.cell, summit.cell)


def test_climbs_start_from_the_best_of_their_reading():
    counts = filled(1500, 4096)
    for goal in climb.GOALS:
        cells = climb.starts(counts, goal)
        assert not cells[:, UPDATE].any()
        assert goal.reading == "no update gate" or not cells[:, COLUMNS["U_r"]].any()
        levels = goal.level(tally.featured(Rules()(cells)))
        assert levels.tolist() == sorted(levels, reverse=True)


def test_nearness_is_zero_at_a_fold_and_ignores_known_points():
    # one unit at the saddle-node b_h = arccosh(sqrt(2)) - sqrt(2) of U_h r = 2, the other at rest
    row = np.zeros((1, 18))
    row[0, GAIN], row[0, COLUMNS["b_h"][0]] = 4.0, math.acosh(math.sqrt(2.0)) - math.sqrt(2.0)
    beside = row.copy()
    beside[0, COLUMNS["b_h"][0]] -= 0.1
    known = np.full((1, 16, 2), np.nan)
    low = min(p.h[0] for p in fixed_points(oracle(beside[0])))
    known[0, 0] = low, 0.0
    at, off = (climb.nearness(r, {"fixed_point": known})[0] for r in (row, beside))
    assert -1e-3 < at <= 0.0
    assert off == pytest.approx(-0.05 / 2, abs=0.01)
    known[0, 1] = 1.0 / math.sqrt(2.0), 0.0
    assert climb.nearness(row, {"fixed_point": known})[0] < -1e-2


def test_a_fold_is_bracketed_where_two_cycles_vanish_and_nothing_else_happens():
    row = np.zeros(18)
    row[GAIN], row[OTHER] = 1.0, 4.0
    found = folds.fold(Rules(pair=3.1), row)
    low, high = found["gain"]
    assert low < 3.1 / 4.0 <= high
    assert high - low < 1e-8
    assert found["topology"] == ["1", "1 with two cycles"]
    assert found["log_multiplier"] == [-0.1, 0.1]
    assert folds.fold(Rules(pair=5.0), row) is None  # no cycles to begin with
    assert folds.fold(Rules(pair=-1.0), row) is None  # nothing ends them

    class Changing(Rules):
        def __call__(self, cells):
            found = super().__call__(cells)
            return found | {"n_fixed_points": found["n_fixed_points"] + 2 * (cells[:, OTHER] < 3.1)}

    assert folds.fold(Changing(pair=3.1), row) is None  # a saddle may have taken them


def test_verdicts_believe_certified_portraits_alone(tmp_path):
    counts = filled(300, 512)
    assert any(f[0] == 13 for f in counts.features.values())
    claim = verdicts.CLAIMS[0]
    without = verdicts.judged(counts, claim, "no reset gate", [])
    assert without["against"] > 0
    assert (without["verdict"], without["examples"]) == (verdicts.DOUBTFUL, [])
    within = verdicts.judged(counts, claim, "no update gate", [])
    assert within["verdict"] == verdicts.REFUTED
    assert {e["n_fixed_points"] for e in within["examples"] if e["from"] == "construction"} == {13, 15}
    strict = verdicts.Claim("", "", lambda f: f["n_fixed_points"] > 99)
    none = verdicts.judged(counts, strict, "no update gate", [])
    assert (none["verdict"], none["against"]) == (verdicts.STANDS, 0)
    assert none["share_below"] == pytest.approx(3.0 / none["systems"])
    assert verdicts.one_unit(tmp_path)["verdict"] == "not looked at"
    for largest, word in ((3, verdicts.STANDS), (5, verdicts.REFUTED)):
        document = {"census": {"units": 10, "not_decided": 1, "largest_number": largest}}
        (tmp_path / verdicts.ONE_UNIT).write_text(json.dumps(document))
        assert verdicts.one_unit(tmp_path)["verdict"] == word


def test_what_refutes_a_claim_refutes_it_in_wider_readings():
    chain = [{"verdict": word} for word in (verdicts.STANDS, verdicts.REFUTED, verdicts.STANDS)]
    verdicts.inherit(chain)
    assert [one["verdict"] for one in chain] == [verdicts.STANDS, verdicts.REFUTED, verdicts.NARROWER]


# the whole of it


def given(folder: Path, **changed) -> argparse.Namespace:
    plain = {"quick": True, "out_dir": folder, "resume": False, "systems": 60, "seed": 5, "freeze": None}
    return argparse.Namespace(**plain | changed)


def test_a_resumed_census_comes_to_the_same_files(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(census, "Portraits", Rules)
    one, two = tmp_path / "one", tmp_path / "two"
    found = census.run(given(one, freeze=tmp_path / "frozen.json"))
    census.collect(Rules(), 30, 5, tmp_path / "half.h5")
    two.mkdir()
    (tmp_path / "half.h5").rename(two / "census.h5")
    monkeypatch.setattr(census.pictures, "draw", lambda *_: None)
    census.run(given(two, resume=True))
    for name in ("census.json", "census.md"):
        assert (one / name).read_text() == (two / name).read_text()
    assert sorted(path.name for path in one.iterdir()) == [f"census.{e}" for e in ("h5", "json", "md", "png")]
    assert json.loads((one / "census.json").read_text()) == found
    listed = verdicts.counter_examples(found["conjectures"])
    assert json.loads((tmp_path / "frozen.json").read_text()) == listed
    text = (one / "census.md").read_text()
    for d in found["distributions"]:
        assert f"| {d['name']} | `{d['formula']}` |".replace("|e|", r"\|e\|") in text
    for line in report.table(report.VERDICTS, report.judgements(found)):
        assert line in text
    with pytest.raises(InputError, match="--systems"):
        census.run(given(one, systems=0))


# what it found


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda e: f"{e['conjecture']}-{e['from']}".replace(" ", "_"))
def test_counter_examples_hold(frozen):
    row = row_of(frozen["weights"])
    found = verdicts.inspected(row)
    assert found["topology"] == frozen["topology"]
    if frozen["conjecture"] == "update gate":
        bare = verdicts.inspected(without_update_gate(row[None])[0])
        assert bare["topology"] == frozen["topology_without"] != found["topology"]
        return
    claim = {c.name: c for c in verdicts.CLAIMS}[frozen["conjecture"]]
    assert claim.against(found)
    if frozen["reading"] != "update gate":
        assert not row[UPDATE].any()
    if frozen["reading"] == "no reset gate":
        assert not row[COLUMNS["U_r"]].any()
    if "fold" in frozen:
        where = frozen["fold"]["located"]
        assert frozen["fold"]["gain"][0] < where["gain"] < frozen["fold"]["gain"][1]
        assert 0.0 < where["error"] < 1e-10
        sides = folds.scaled(row, np.array(frozen["fold"]["gain"]))
        labels = [verdicts.inspected(side)["topology"] for side in sides]
        assert labels == frozen["fold"]["topology"] == ["sink", "cycle+(ucycle+(sink))"]


def test_the_ends_of_the_climbs_hold():
    document = json.loads((ROOT / "results" / "census.json").read_text())
    levels = set()
    for summit, goal in zip(document["climbs"], climb.GOALS, strict=True):
        found = verdicts.inspected(row_of(summit["weights"]))
        assert found["topology"] == summit["topology"]
        assert goal.level(np.array([[found[name] for name in tally.FEATURES]]))[0] == summit["to"]
        levels.add((goal.name, goal.reading, summit["to"]))
    assert {("fixed points", "no update gate", 15), ("cycles", "no update gate", 6)} <= levels


def test_four_cycles_around_one_source_by_another_integrator():
    """The outermost of four nested cycles repels: in reversed time it is found from outside and inside."""
    document = json.loads((ROOT / "results" / "census.json").read_text())
    six = next(c for c in document["climbs"] if "ucycle-(cycle-(ucycle-(cycle-(source))))" in c["topology"])
    rate = oracle(row_of(six["weights"])).evaluator(math)
    source = next(p.h for p in fixed_points(oracle(row_of(six["weights"]))) if p.h[0] < 0.5)

    def crossings(height: float, direction: int, time: float) -> np.ndarray:
        """Heights above the source at which it is passed."""
        solution = solve_ivp(
            lambda _, h: [direction * v for v in rate(*h)[0]],
            (0.0, time),
            (source[0], height),
            events=lambda _, h: h[0] - source[0],
            rtol=1e-9,
            atol=1e-11,
        )
        heights = solution.y_events[0][:, 1]
        return heights[heights > source[1]]

    outer = [crossings(start, -1, 400.0)[-1] for start in (0.98, 0.999)]
    assert outer[0] == pytest.approx(outer[1], abs=1e-6)
    inwards = crossings(outer[0] - 1e-3, 1, 400.0)[-1]
    inner = crossings(inwards - 1e-2, -1, 400.0)[-1]
    innermost = crossings(inner - 1e-2, 1, 400.0)[-1]
    assert source[1] < innermost < inner < inwards < outer[0]
    for height, attracts in ((outer[0], -1), (inwards, 1), (inner, -1), (innermost, 1)):
        for start in (height - 1e-3, height + 1e-3):
            back = crossings(start, attracts, 200.0)
            assert abs(back[-1] - height) < abs(start - height) / 5


def test_the_frozen_list_refutes_what_the_census_says_it_refutes():
    kinds = {(e["conjecture"], e["reading"]) for e in FROZEN}
    for reading in distributions.READINGS[:2]:
        assert {("hidden attractors", reading), ("cycle folds", reading)} <= kinds
    assert {("fixed points", "no update gate"), ("sinks", "no update gate")} <= kinds
    assert ("update gate", "unequal b_z") in kinds
    assert "sinks without reset gate" not in {conjecture for conjecture, _ in kinds}


@pytest.mark.parametrize(
    ("parts", "count"),
    [(ELEVEN, 11), (THIRTEEN, 13), (FIFTEEN, 15)],
)
def test_an_independent_search_counts_as_many_fixed_points(parts, count):
    points = fixed_points(oracle(row_of(parts)))
    assert len(points) == count


def test_a_hidden_attractor_without_gates_by_another_integrator():
    """From the only fixed point's neighbourhood everything goes back; from the corner it never does."""
    hidden = [e for e in FROZEN if (e["conjecture"], e["reading"]) == ("hidden attractors", "no reset gate")]
    alone = next(e for e in hidden if e["topology"] == "cycle+(ucycle+(sink))")
    gru = oracle(row_of(alone["weights"]))
    (point,) = fixed_points(gru)
    rate = gru.evaluator(math)

    def end(start: np.ndarray, time: float) -> np.ndarray:
        solution = solve_ivp(lambda _, h: rate(*h)[0], (0.0, time), start, rtol=1e-9, atol=1e-11)
        return solution.y[:, -200:]

    assert max(e.real for e in point.eigenvalues) < 0.0
    time = 10.0 / -max(e.real for e in point.eigenvalues)
    near = end(np.asarray(point.h) + 1e-3, time)
    assert np.abs(near[:, -1] - point.h).max() < 1e-5
    far = end(np.array([1.0, 1.0]), time)
    assert np.abs(far - np.asarray(point.h)[:, None]).max(axis=0).min() > 0.01
