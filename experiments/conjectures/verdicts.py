"""The conjectures, what would refute them, and what the census came to.

A verdict stands on cells whose portraits are `ok`. A counter-example is computed again by itself, and counts
only if that portrait is ok and certified. Where n drawn cells hold none, their share in these distributions
is below 3 / n at 95 % confidence (the rule of three). Cells of climbs are not drawn and do not enter it.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gru_sweep as gs

from .cells import FIFTEEN, THIRTEEN, cell, row_of, weights, without_update_gate
from .climb import Summit
from .distributions import DISTRIBUTIONS, READINGS
from .folds import fold, located
from .portraits import Portraits
from .tally import FEATURES, NOWHERE, Tally, featured

EXAMPLES = 3
"""Topologies that are given as counter-examples, the most frequent ones; and the best of every climb."""
RULE_OF_THREE = 3.0
REFUTED, NARROWER, STANDS = "counter-example found", "found in a narrower reading", "none found"
DOUBTFUL = "met, but none certified"
ONE_UNIT = "fig01_one_unit.json"

Features = dict[str, int]


@dataclasses.dataclass(frozen=True)
class Claim:
    """A conjecture about one portrait, and what speaks `against` it. `made` are cells that were constructed,
    all without update gate."""

    name: str
    statement: str
    against: Callable[[Features], bool]
    readings: tuple[str, ...] = READINGS
    made: tuple[dict, ...] = ()


CLAIMS = (
    Claim(
        "fixed points",
        "never more than 11 fixed points",
        lambda f: f["n_fixed_points"] > 11,
        made=(FIFTEEN, THIRTEEN),
    ),
    Claim("sinks", "never more than 5 sinks", lambda f: f["n_sinks"] > 5, made=(FIFTEEN, THIRTEEN)),
    Claim(
        "sinks without reset gate",
        "at most 4 sinks without reset gate",
        lambda f: f["n_sinks"] > 4,
        READINGS[:1],
    ),
    Claim("hidden attractors", "no hidden attractor", lambda f: f["hidden_basin"] > 0),
    Claim("cycle folds", "no fold of cycles", lambda f: f["cycle_pair"] > 0),
)


def verdicts(look: Portraits, tally: Tally, summits: list[Summit], results: Path) -> dict[str, Any]:
    """Every conjecture by name, with its verdict and evidence; the census of one unit is in `results`."""
    found = {
        claim.name: {
            "claim": claim.statement,
            "by_reading": {reading: judged(tally, claim, reading, summits) for reading in claim.readings},
        }
        for claim in CLAIMS
    }
    for one in found["cycle folds"]["by_reading"].values():
        # two cycles are not a fold: the verdict stands on folds that were bracketed
        rows = [row_of(example["weights"]) for example in one["examples"]]
        folds = [(example, row, fold(look, row)) for example, row in zip(one["examples"], rows)]
        one["examples"] = [
            example | {"fold": where | {"located": located(look, row, where)}}
            for example, row, where in folds
            if where
        ]
        one["verdict"] = verdict(one["examples"], one["against"])
    for one in found.values():
        inherit(list(one["by_reading"].values()))
    return found | {"update gate": update_gate(tally), "one unit": one_unit(results)}


def verdict(examples: list, met: int) -> str:
    """What certified examples, and the number of cells met that speak against a claim, come to."""
    return REFUTED if examples else DOUBTFUL if met else STANDS


def inherit(evidence: list[dict[str, Any]]) -> None:
    """What refutes a claim in a reading refutes it in the wider ones, which come later."""
    for narrow, wide in itertools.pairwise(evidence):
        if wide["verdict"] == STANDS and narrow["verdict"] in (REFUTED, NARROWER):
            wide["verdict"] = NARROWER


def judged(tally: Tally, claim: Claim, reading: str, summits: list[Summit]) -> dict[str, Any]:
    """What was drawn of a reading, how much of it speaks against the claim, and certified examples."""
    places = [k for k, d in enumerate(DISTRIBUTIONS) if d.reading == reading]
    against = [label for label in tally.count if claim.against(named(tally.features[label]))]
    met = {DISTRIBUTIONS[k].name: sum(int(tally.count[label][k]) for label in against) for k in places}
    systems, count = int(tally.status[places, gs.Status.OK].sum()), sum(met.values())
    examples = certified(claim, candidates(tally, claim, reading, places, against, summits))
    return {
        "verdict": verdict(examples, count),
        "systems": systems,
        "against": count,
        "share": count / systems if systems else None,
        "share_below": RULE_OF_THREE / systems if systems and not count else None,
        "by_distribution": {name: n for name, n in met.items() if n},
        "examples": examples,
    }


def candidates(
    tally: Tally, claim: Claim, reading: str, places: list[int], against: list[str], summits: list[Summit]
) -> list[tuple[str, np.ndarray]]:
    """(where from, cell): constructed ones, the first drawn of the most frequent topologies, summits."""
    found = [("construction", row_of(parts)) for parts in claim.made if reading == READINGS[1]]
    often = sorted(against, key=lambda label: (-int(tally.count[label][places].sum()), label))
    drawn = [(label, k) for label in often for k in places if tally.first[label][k] != NOWHERE]
    firsts = dict(reversed(drawn))
    for label in [label for label in often if label in firsts][:EXAMPLES]:
        k, index = firsts[label], int(tally.first[label][firsts[label]])
        row = DISTRIBUTIONS[k].draw(tally.seed, np.array([index]))[0]
        found.append((f"{DISTRIBUTIONS[k].name}, index {index}", row))
    return found + [
        (f"climb for {one.goal.name}", one.cell) for one in summits if one.goal.reading == reading
    ]


def certified(claim: Claim, cells: list[tuple[str, np.ndarray]]) -> list[dict[str, Any]]:
    """Those of the cells that, each computed by itself, are certified and speak against the claim."""
    looked = [(source, row, inspected(row)) for source, row in cells]
    return [
        {"from": source, "weights": weights(row), **found}
        for source, row, found in looked
        if found is not None and claim.against(found)
    ]


def inspected(row: np.ndarray) -> dict[str, Any] | None:
    """Topology and features of the portrait of one cell (18,), None unless it is ok and certified."""
    portrait = gs.phase_portrait(cell(row))
    if int(portrait.status) != gs.Status.OK or int(portrait.certified) != 1:
        return None
    names = (
        *FEATURES[:6],
        "cycle_hidden",
        "cycle_basin_hidden",
        "cycle_stable",
        "cycle_within",
        "cycle_encloses",
    )
    features = featured({name: np.asarray(getattr(portrait, name))[None] for name in names})[0]
    return {"topology": portrait.topology, **named(features)}


def named(features: np.ndarray) -> Features:
    return dict(zip(FEATURES, features.tolist(), strict=True))


def update_gate(tally: Tally) -> dict[str, Any]:
    """Cells with an update gate against the same cells without: how many topologies differ, by distribution.

    Fixed points, and which of them are saddles, do not depend on the gate.
    """
    by_distribution = {}
    for k, d in enumerate(DISTRIBUTIONS):
        if not d.paired:
            continue
        compared, changed = int(tally.compared[k]), int(tally.changed[k])
        examples = []
        if (index := int(tally.first_changed[k])) != NOWHERE:
            row = d.draw(tally.seed, np.array([index]))[0]
            with_, without = inspected(row), inspected(without_update_gate(row))
            if with_ and without and with_["topology"] != without["topology"]:
                pair = {"topology": with_["topology"], "topology_without": without["topology"]}
                examples = [{"from": f"{d.name}, index {index}", "weights": weights(row), **pair}]
        by_distribution[d.name] = {
            "verdict": verdict(examples, changed),
            "compared": compared,
            "changed": changed,
            "share": changed / compared if compared else None,
            "share_below": RULE_OF_THREE / compared if compared and not changed else None,
            "examples": examples,
        }
    return {"claim": "the update gate does not change the topology", "by_distribution": by_distribution}


def one_unit(results: Path) -> dict[str, Any]:
    """What the census of one gated unit, `experiments/fig01_one_unit.py`, came to; not done again here."""
    claim = {"claim": "only three flows of one unit: at most 3 fixed points", "from": ONE_UNIT}
    try:
        census = json.loads((results / ONE_UNIT).read_text())["census"]
    except FileNotFoundError:
        return claim | {"verdict": "not looked at"}
    decided = census["units"] - census["not_decided"]
    stands = census["largest_number"] <= 3
    return claim | {
        "verdict": STANDS if stands else REFUTED,
        "systems": decided,
        "most_fixed_points": census["largest_number"],
        "share_below": RULE_OF_THREE / decided if stands else None,
    }


def counter_examples(found: dict[str, Any]) -> list[dict[str, Any]]:
    """All certified counter-examples with their conjecture and reading: the list that the tests freeze."""
    listed = []
    for name, one in found.items():
        for kind in ("by_reading", "by_distribution"):
            for reading, evidence in one.get(kind, {}).items():
                listed += [{"conjecture": name, "reading": reading, **e} for e in evidence["examples"]]
    return listed
