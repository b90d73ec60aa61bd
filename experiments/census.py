"""A census of planar gated units, and what is left of the conjectures of Jordan, Sokol & Park (2021).

    python experiments/census.py [--quick] [--out-dir results] [--resume] [--systems N] [--seed N]
                                  [--freeze tests/data/census_counterexamples.json]

Are there never more than 11 fixed points? No hidden attractor? Only three flows of one unit? At most four
sinks without reset gate? Does the update gate leave the topology alone? Is there no fold of cycles in the
plane? Cells are drawn from 25 distributions (`conjectures/distributions.py`), the complete portrait of each
is computed, every topology is counted, and climbs start from the best cells. Every counter-example is
computed again by itself and has to be certified.

Every cell is a function of seed, distribution and index, and census.h5 is replaced after each call of 16 384
cells: a run that was killed goes on with `--resume`, with more `--systems` too, and comes to the same files.
Writes census.h5 (counts), census.json, census.md and census.png.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import jax
import numpy as np
from conjectures import pictures, report, verdicts
from conjectures.climb import GOALS, Summit, climb, starts
from conjectures.distributions import check_seed
from conjectures.portraits import Portraits
from conjectures.tally import Tally, shares, takes
from outputs import RESULTS

from gru_sweep.cli import use_compilation_cache
from gru_sweep.progress import reporter
from gru_sweep.records import InputError

NAME = "census"
SYSTEMS, QUICK_SYSTEMS = 1_050_000, 2000
CALL, QUICK_CALL = 16384, 1024
"""Cells looked at together."""
CLIMB, QUICK_CLIMB = (12, 2048), (1, 64)
"""Generations of every climb, and children in each."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two thousand cells and short climbs")
    parser.add_argument("--out-dir", type=Path, default=RESULTS)
    parser.add_argument("--resume", action="store_true", help="go on with the census.h5 that is there")
    parser.add_argument("--systems", type=int, help="cells to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--freeze", type=Path, help="also write the counter-examples alone, for the tests")
    return parser.parse_args()


def collect(look: Portraits, systems: int, seed: int, path: Path, resume: bool = False) -> Tally:
    """The tally of `systems` cells, on disk as `path` after every call of `look`."""
    tally = Tally.load(path, seed) if resume and path.exists() else Tally(seed)
    wanted = shares(systems)
    progress = reporter()
    progress.start(int(np.maximum(wanted, tally.drawn).sum()), int(tally.drawn.sum()))
    while (left := (wanted - tally.drawn).clip(0)).any():
        take = takes(left, look.size)
        tally.add(look, take)
        tally.save(path)
        progress.advance(int(take.sum()))
    progress.finish()
    return tally


def climbs(look: Portraits, tally: Tally, generations: int, children: int) -> list[Summit]:
    """Every goal's climb, said on standard error."""
    found = []
    for number, goal in enumerate(GOALS):
        seed = tally.seed + number
        found.append(climb(look, goal, starts(tally, goal), generations, children, seed))
        one = found[-1]
        print(f"{goal.name}, {goal.reading}: {one.start} to {one.level}, {one.label}", file=sys.stderr)
    return found


def run(given: argparse.Namespace) -> dict:
    """All of it, into the folder; the document."""
    systems = given.systems if given.systems is not None else QUICK_SYSTEMS if given.quick else SYSTEMS
    if systems < 1:
        raise InputError("--systems", "a positive number of cells", systems)
    check_seed(given.seed)
    given.out_dir.mkdir(parents=True, exist_ok=True)
    look = Portraits(QUICK_CALL if given.quick else CALL)
    tally = collect(look, systems, given.seed, given.out_dir / f"{NAME}.h5", given.resume)
    summits = climbs(look, tally, *(QUICK_CLIMB if given.quick else CLIMB))
    found = report.document(tally, summits, verdicts.verdicts(look, tally, summits, RESULTS))
    (given.out_dir / f"{NAME}.json").write_text(json.dumps(found, indent=1) + "\n")
    (given.out_dir / f"{NAME}.md").write_text(report.markdown(found))
    if given.freeze is not None:
        frozen = verdicts.counter_examples(found["conjectures"])
        given.freeze.write_text(json.dumps(frozen, indent=1) + "\n")
    pictures.draw(tally, found, given.out_dir / f"{NAME}.png")
    return found


def main() -> None:
    given = arguments()
    use_compilation_cache()
    jax.config.update("jax_enable_x64", True)
    try:
        found = run(given)
    except InputError as refused:
        print(refused, file=sys.stderr)
        sys.exit(2)
    print(*report.table(report.VERDICTS, report.judgements(found)), sep="\n")


if __name__ == "__main__":
    main()
