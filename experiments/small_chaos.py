"""Is there chaos in three gated units? Jordan, Sokol & Park (2021) call it probable.

    python experiments/small_chaos.py [--quick] [--out-dir results]

Networks are drawn at random (`chaos_search.DRAWS`) as flows (Eq 7) of three units and, beside them, as maps
(Eq 4) of one to three. Those that come to rest from their start are dropped; of the others the largest
Lyapunov exponent is measured, first roughly, then, where it may be positive, from several starts, and of
flows with two steps. A network is chaotic whose mean exponent exceeds what shear alone feigns in that time,
ln(T) / T, by five standard errors, with either step. Then small random changes raise the exponent; and of
the best network drawn and the best after the changes there is the whole spectrum, by three steps, and the
exponent by an adaptive method of order 8 with its variational equations.

Without gates z = r = 1/2, and x = U_h h / 2 obeys 2 dx/dt = -x + (U_h / 2) tanh(x + b_h): a Hopfield
network, in three units of which chaos is known (Yang & Yuan 2005, Neurocomputing 69:232).
Writes small_chaos.json, with every entry as it was computed, small_chaos.md and small_chaos.png.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from typing import Any

import numpy as np
from chaos_examples import adaptive, entries, spectra
from chaos_report import draw_examples, table
from chaos_search import (
    COARSE,
    DECIMALS,
    DRAWS,
    FINE,
    MAP,
    SCREENING,
    SETTLING,
    SIGMAS,
    STARTS,
    Draw,
    Parts,
    cells,
    exponents,
    settle,
    shear,
    spread,
)
from learning import share
from outputs import arguments

NAME = "small_chaos"
SEED = 7
FLOWS, MAPS, QUICK = 65536, 16384, 2048
"""Networks of each draw; in a quick run."""
BLOCK = 16384
"""Networks drawn together."""
REST = {False: 1e-4, True: 1e-9}
"""Largest rate of a flow, or change in a step of a map, that has come to rest. A slower flow would not cross
the cube within ten times `SCREENING`."""
MEASURING, QUICK_MEASURING = 2000.0, 200.0
"""Time, or steps, over which exponents are measured again."""
GENERATIONS, CHILDREN, POOL = 15, 512, 16
"""Of the climb: rounds, networks tried in each, networks that live."""
CLIMBING = 400.0
"""Time over which the climb measures."""
LARGEST = 20.0
"""Entries are cut off here in the climb."""
CLIMBED = ("", "rz")
"""Gates of the flows from which there is a climb."""
KEPT = 5
"""Chaotic networks of each draw written out."""


def picked(parts: Parts, index: np.ndarray) -> Parts:
    return {k: v[..., index] for k, v in parts.items()}


def joined(several: list[Parts]) -> Parts:
    return {k: np.concatenate([one[k] for one in several], axis=-1) for k in several[0]}


@dataclasses.dataclass
class Judged:
    """Networks, their states (d, n), and exponents over `time` with standard errors, (steps, n)."""

    time: float
    parts: Parts
    states: np.ndarray
    mean: np.ndarray
    error: np.ndarray

    @property
    def chaotic(self) -> np.ndarray:
        return (self.mean - SIGMAS * self.error > shear(self.time)).all(axis=0)

    @property
    def unresolved(self) -> np.ndarray:
        """Not chaotic, and yet above `shear` with some step."""
        return ~self.chaotic & (self.mean > shear(self.time)).any(axis=0)

    def best(self, count: int) -> np.ndarray:
        """The chaotic networks of largest exponents, `count` at the most."""
        order = np.argsort(np.where(self.chaotic, -self.mean.min(axis=0), np.inf))
        return order[: min(count, int(self.chaotic.sum()))]


def screened(draw: Draw, seed: int, count: int) -> tuple[Parts, np.ndarray]:
    """The networks of a draw that may be chaotic, and their states."""
    clock = MAP if draw.discrete else COARSE
    found = []
    for block in range(-(-count // BLOCK)):
        parts, states = draw.block(seed, block, min(BLOCK, count - block * BLOCK))
        states, speed = settle(cells(parts), states, SETTLING, clock)
        moving = np.flatnonzero(speed > REST[draw.discrete])
        parts, states = picked(parts, moving), states[:, moving]
        rough = exponents(cells(parts), states, SCREENING, clock)
        suspect = np.flatnonzero(rough > shear(SCREENING))
        found.append((picked(parts, suspect), states[:, suspect]))
    return joined([one[0] for one in found]), np.concatenate([one[1] for one in found], axis=1)


def judged(draw: Draw, parts: Parts, states: np.ndarray, time: float, seed: int) -> Judged:
    """Exponents of networks from `STARTS` starts about their states."""
    n = states.shape[1]
    every = np.repeat(np.arange(n), STARTS)
    systems = cells(picked(parts, every))
    mean, error = [], []
    for clock in (MAP,) if draw.discrete else FINE:
        begun = spread(systems, states[:, every], clock, seed)
        values = exponents(systems, begun, time, clock).reshape(n, STARTS)
        mean.append(values.mean(axis=1))
        error.append(values.std(axis=1, ddof=1) / math.sqrt(STARTS))
    return Judged(time, parts, begun[:, ::STARTS], np.array(mean), np.array(error))


def climb(draw: Draw, found: Judged, generations: int, children: int, seed: int) -> Judged:
    """Small random changes of chaotic networks that raise the least of the exponents by two steps, which a
    step that is too long does not feign; those that live at the end."""
    first = found.best(POOL)
    parts, states, score = picked(found.parts, first), found.states[:, first], found.mean.min(axis=0)[first]
    rng = np.random.default_rng([seed, draw.number, 1])
    for _ in range(generations):
        parents = rng.integers(score.size, size=children)
        amount = 10.0 ** rng.uniform(-2.5, -0.5, children)
        tried = {}
        for k, v in picked(parts, parents).items():
            changed = v + amount * (np.abs(v) + 0.1) * rng.normal(size=v.shape)
            tried[k] = np.round(np.clip(changed, -LARGEST, LARGEST), DECIMALS) + 0.0
        systems, begun, least = cells(tried), states[:, parents], np.full(children, np.inf)
        for clock in (COARSE, FINE[0]):
            begun, _ = settle(systems, begun, CLIMBING / 4, clock)
            least = np.minimum(least, exponents(systems, begun, CLIMBING, clock))
        score = np.concatenate([score, least])
        parts, states = joined([parts, tried]), np.concatenate([states, begun], axis=1)
        living = np.argsort(-score)[:POOL]
        parts, states, score = picked(parts, living), states[:, living], score[living]
    return judged(draw, parts, states, found.time, seed)


def example(found: Judged, source: str) -> dict[str, Any]:
    """The chaotic flow of largest exponent and everything that is said of it."""
    (index,) = found.best(1)
    given, state = entries(found.parts, index), found.states[:, index].tolist()
    return {
        "source": source,
        "parameters": given,
        "state": state,
        "time": found.time,
        "spectra": spectra(given, state, found.time),
        "adaptive": adaptive(given, state, found.time),
    }


def row(draw: Draw, drawn: int, found: Judged) -> dict[str, Any]:
    """A line of the table, with the best networks."""
    return {
        "draw": draw.name,
        "formula": draw.formula,
        "suspects": found.states.shape[1],
        "chaotic": share(int(found.chaotic.sum()), drawn),
        "unresolved": int(found.unresolved.sum()),
        "best": [
            {
                "exponent": found.mean[:, i].tolist(),
                "error": found.error[:, i].tolist(),
                "state": found.states[:, i].tolist(),
                "parameters": entries(found.parts, i),
            }
            for i in found.best(KEPT)
        ],
    }


def confirmed(one: dict[str, Any]) -> bool:
    """Whether every method finds a positive exponent beyond `SIGMAS` errors and `shear`."""
    found = [(s["exponents"][0], s["errors"][0]) for s in one["spectra"]]
    found.append((one["adaptive"]["exponent"], one["adaptive"]["error"]))
    return all(value - SIGMAS * error > shear(one["time"]) for value, error in found)


def verdict(of: int, examples: list[dict[str, Any]]) -> str:
    """What is said of the claim."""
    if any(confirmed(one) for one in examples):
        return "chaos exists in the continuous GRU of three units"
    return f"{'not confirmed' if examples else 'none found'} in {of} draws"


def compute(quick: bool) -> dict[str, Any]:
    """The whole document."""
    rows, examples, time = [], [], QUICK_MEASURING if quick else MEASURING
    generations, children = (1, 32) if quick else (GENERATIONS, CHILDREN)
    for draw in DRAWS:
        print(draw.name, file=sys.stderr)
        drawn = QUICK if quick else MAPS if draw.discrete else FLOWS
        found = judged(draw, *screened(draw, SEED, drawn), time, SEED)
        rows.append(row(draw, drawn, found))
        if draw.discrete or not found.chaotic.any():
            continue
        examples.append(example(found, f"drawn, {draw.name}"))
        if draw.gates in CLIMBED:
            higher = climb(draw, found, generations, children, SEED)
            if higher.chaotic.any():
                examples.append(example(higher, f"climb, {draw.name}"))
    flows = [one["chaotic"] for one, draw in zip(rows, DRAWS) if not draw.discrete]
    total = share(sum(one["count"] for one in flows), sum(one["of"] for one in flows))
    examples = [one | {"confirmed": confirmed(one)} for one in examples]
    return {
        "seed": SEED,
        "time": time,
        "verdict": verdict(total["of"], examples),
        "flows": total,
        "draws": rows,
        "examples": examples,
    }


def main() -> None:
    given = arguments(__doc__, f"{QUICK} networks of each kind, a short climb")
    found = compute(given.quick)
    given.out_dir.mkdir(parents=True, exist_ok=True)
    (given.out_dir / f"{NAME}.json").write_text(json.dumps(found, indent=1) + "\n")
    text = table(found)
    (given.out_dir / f"{NAME}.md").write_text(text)
    draw_examples(found, given.out_dir / f"{NAME}.png")
    print(text, end="")


if __name__ == "__main__":
    main()
