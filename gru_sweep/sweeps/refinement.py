"""A function over a grid that is finer where its verdict changes, into one file.

The verdict of a point is its status and its label. The grid that was asked for is level 0; cells whose
verdicts differ, and those around them, are split level by level (`tree`), and what is not computed reads as
the leaf it is in. Then a sample of such points, drawn evenly and seeded, is computed: what reads wrongly is
split down to the last level like any other change, and the next sample is drawn, until one finds nothing.
The file says how large the samples were, what they found, and what share may be wrong after that.

Points are asked for in rounds, each an ordinary sweep of chosen points; a round follows from the values of
those before it, so that neither the chunk nor an interruption changes the result.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gru_sweep.records import Column
from gru_sweep.sweeps.engines.engine import Engine, Progress, Stop
from gru_sweep.sweeps.grid import Grid
from gru_sweep.sweeps.points import FineGrid
from gru_sweep.sweeps.reading import attributes_of, count_flags, opened
from gru_sweep.sweeps.refined_store import RefinedStore
from gru_sweep.sweeps.schema import Labeller
from gru_sweep.sweeps.sweep import Silent, Summary, reported
from gru_sweep.sweeps.tree import Tree
from gru_sweep.sweeps.verdicts import CONFIDENCE, Codes, Sample, wrong_share

logger = logging.getLogger(__name__)

SAMPLE_SHARE, SAMPLE_BORDER, SAMPLE_LEAST = 1 / 4, 4, 256
"""Points of a sample: at least that share of those computed so far, so that the bound on the share of wrong
readings is a few over that number; at least so many times the square root of the finest grid's points,
which finds what is as long as the map and a pixel wide; and never fewer than the last."""
SAMPLES = 8
"""Samples at the most: a map in which the eighth still finds something is not one of areas."""


@dataclass(frozen=True)
class Refined(Summary):
    """What a refined sweep did; `points` are those computed, of `effective_points` on the finest grid."""

    levels: int
    leaves: int
    effective_points: int
    wrong_share: float
    """A bound, with `verdicts.CONFIDENCE`, on the share of wrong readings among points not computed."""


def run(
    engine: Engine,
    grid: Grid,
    columns: tuple[Column, ...],
    path: str | Path,
    *,
    levels: int,
    seed: int,
    fingerprint: Mapping[str, Any],
    attributes: Mapping[str, Any],
    chunk: int,
    labeller: Labeller | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Refined:
    """Have `grid` computed and, where the verdict changes, what lies between its points, `levels` deep.

    `columns` must have `status`; `seed` decides the samples. The rest is as for `sweep.run`.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    with RefinedStore(
        path,
        FineGrid(grid, levels),
        columns,
        chunk=chunk,
        fingerprint={**fingerprint, "sample_seed": seed},
        attributes=attributes,
        labeller=labeller,
        resume=resume,
        overwrite=overwrite,
    ) as store:
        work = _Work(engine, store, seed, progress, stop)
        with reported(store.path, lambda: store.safe, lambda: len(store.index), progress):
            if not store.finished:
                work.refine()
        with opened(store.path, "--out") as file:
            counts, about = count_flags(file["status"]), attributes_of(file)
    return Refined(
        file=store.path,
        points=about["evaluations"],
        computed=work.computed,
        seconds=time.perf_counter() - began,
        computing_seconds=work.seconds,
        counts=counts,
        levels=about["refine"],
        leaves=about["leaves"],
        effective_points=math.prod(store.fine.shape),
        complete=True,
        wrong_share=about["wrong_share_bound"],
    )


class _Work:
    """Rounds of points, from the first to the file."""

    def __init__(self, engine: Engine, store: RefinedStore, seed: int, progress: Progress, stop: Stop | None):
        self.engine, self.store, self.seed, self.progress, self.stop = engine, store, seed, progress, stop
        self.tree = Tree(store.fine.root.shape, store.fine.levels)
        self.codes = Codes(store.labeller)
        self.code = np.empty(0, np.int32)
        self.samples: list[Sample] = []
        self.computed, self.seconds = 0, 0.0

    def refine(self) -> None:
        """All rounds, then the finished file."""
        if self.store.damaged:
            logger.warning("%s: %d damaged rounds are computed again", self.store.path, self.store.damaged)
        self._settle()
        while len(self.samples) < SAMPLES:
            border = SAMPLE_BORDER * math.isqrt(self.tree.total)
            size = max(SAMPLE_LEAST, border, math.ceil(SAMPLE_SHARE * self.tree.known))
            drawn = self.tree.sample(np.random.default_rng([self.seed, len(self.samples)]), size)
            if not len(drawn):
                break
            expected = self.tree.read(drawn)
            wrong = int(np.sum(self._round(drawn, "checking a sample") != expected))
            self.samples.append(Sample(len(drawn), wrong))
            if not wrong:
                break
            self._settle()
        self.progress.note("joining the rounds into one file")
        self._finish()

    def _settle(self) -> None:
        """Rounds until the tree asks for no more."""
        while len(points := self.tree.wanted()):
            depth = self.tree.depth
            self._round(points, f"level {depth} of {self.tree.levels}")

    def _round(self, points: np.ndarray, what: str) -> np.ndarray:
        """Compute points, or read them where they are safe, and enter them; their codes (n,)."""
        store = self.store
        with store.round(points) as part:
            before = part.done
            if not part.finished:
                self.progress.start(part.layout.grid.size, before)
                self.progress.note(f"{what}, {store.done} points so far{self._to_come(len(points))}")
                self.seconds += self.engine.fill(part, self.progress, self.stop)
            self.computed += part.done - before
        needs = store.labeller.needs if store.labeller is not None else ()
        code = np.concatenate([self.codes.of(values) for values in store.values(("status", *needs))])
        self.code = np.concatenate([self.code, code])
        self.tree.add(points, code, self.codes.says(code))
        return code

    def _to_come(self, size: int) -> str:
        """What is left after a round of `size` points: a border of n points has 2^(axes - 1) n a level on."""
        left, growth = self.tree.levels - self.tree.depth, 2 ** (len(self.tree.counts) - 1)
        rest = sum(size * growth**level for level in range(1, left + 1))
        if not rest or not self.tree.depth:
            return ""
        return f", about {min(rest, self.tree.total - self.store.done - size)} to come after these"

    def _finish(self) -> None:
        store, tree = self.store, self.tree
        leaves = tree.leaves()
        classes, label = self.codes.classes()
        last = self.samples[-1] if self.samples else Sample(0, 0)
        exact = tree.known == tree.total or not self.samples
        about = {
            "evaluations": tree.known,
            "leaves": len(leaves.level),
            "effective_points": tree.total,
            "share": tree.known / tree.total,
            "samples": len(self.samples),
            "sample_points": last.size,
            "sample_wrong": last.wrong,
            "samples_wrong": sum(sample.wrong for sample in self.samples),
            "sample_seed": self.seed,
            "wrong_share_bound": 0.0 if exact else wrong_share(self.samples),
            "wrong_share_confidence": CONFIDENCE,
        }
        store.finish(leaves, classes, label[self.code], about)
