"""A grid refined where codes change: which points to ask for next, and what the others read as.

The finest grid has (n - 1) 2^K + 1 points along an axis of n; a cell of level l has the edge 2^(K - l) in its
steps, and the points of its closure are its own. Of the points that are known two rules say what is split:

1. A cell in which different codes were met, wherever its points came from, is split.
2. So are all cells of its level that share a corner with it.

A split cell's children have all their corners known, so rule 2 tests the edges and the centre of every cell
beside a change. Both rules only ever add, so that they end in one tree whatever the order of asking, and in
it holds: all known points of a leaf above the last level have one code, and two leaves that share a point
agree on it. A point that is not known reads as its leaf.

`unresolved` and `failed` are no statement about the system. Their border is followed like any other, but
where they are scattered rather than an area (`CROWD`) the cells are left as they are: `STOPPED`, and what is
not known in them reads as unresolved. Only a change of what does say something splits them all the same.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from gru_sweep.sweeps.cells import Cells, children, find, lattice

GENERATIONS, CROWD = 3, 1 / 2
"""Cells in which only codes that say nothing differ are not split where more than this share of the cells
with the same ancestor so many levels up are mixed. A strip with both its borders meets at most 30 of 64 (4 of
8 in one dimension; of the 512 in three, a slab across the diagonal may meet more). Where scattered points
reach that share, the cells to be split would grow with the area and not with any border."""


class State(IntEnum):
    """What a leaf is."""

    NOT_COMPUTED = -1
    UNIFORM = 0
    PIXEL = 1
    """Mixed, of the last level: all its points are corners, hence known."""
    STOPPED = 2


class Leaves(NamedTuple):
    """Low corners (n, axes), levels (n,) and `State` (n,)."""

    corner: np.ndarray
    level: np.ndarray
    state: np.ndarray


class Tree:
    """Cells and known points; `shape` is that of the finest grid.

    `counts` are the points of the root grid along each axis, at least 2; `levels` is K.
    """

    def __init__(self, counts: tuple[int, ...], levels: int):
        self.counts, self.levels = counts, levels
        self.shape = tuple(((n - 1) << levels) + 1 for n in counts)
        self._cells = [
            Cells(tuple((n - 1) << level for n in counts), 1 << (levels - level))
            for level in range(levels + 1)
        ]
        self._cells[0].add(np.arange(math.prod(self._cells[0].shape), dtype=np.int64))
        self._number = np.empty(0, np.int64)
        self._code = np.empty(0, np.int32)
        self._says = np.empty(0, bool)
        self._new: set[int] = {0}

    @property
    def known(self) -> int:
        """The number of known points."""
        return self._number.size

    @property
    def total(self) -> int:
        """The number of points of the finest grid, an exact integer."""
        return math.prod(self.shape)

    @property
    def depth(self) -> int:
        """The deepest level that has cells."""
        return max(level for level, cells in enumerate(self._cells) if cells.number.size)

    def wanted(self) -> np.ndarray:
        """The points (n, axes) to be known next, in C order; none when the tree is as the rules want it."""
        if not self.known:
            return np.indices(self.counts).reshape(len(self.counts), -1).T.astype(np.int64) << self.levels
        while True:
            asked = []
            # The deepest first: children that are added move their cells' places.
            for level, due in reversed([(level, self._due(level)) for level in range(self.levels)]):
                if due.size:
                    asked.append(self._split(level, due))
            if not asked:
                return np.empty((0, len(self.counts)), np.int64)
            number = np.unique(np.concatenate(asked))
            number = number[find(self._number, number) < 0]
            if number.size:
                return self.indices(number)
            self._survey(np.empty((0, len(self.counts)), np.int64), self._code[:0], self._says[:0])

    def add(self, index: np.ndarray, code: np.ndarray, says: np.ndarray) -> None:
        """Make the points `index` (n, axes) known: codes >= 0 (n,), and whether they say something (n,)."""
        number = self.numbers(index)
        order = np.argsort(number)
        place = np.searchsorted(self._number, number[order])
        self._number = np.insert(self._number, place, number[order])
        self._code = np.insert(self._code, place, code[order])
        self._says = np.insert(self._says, place, says[order])
        self._survey(index, code, says)

    def read(self, index: np.ndarray) -> np.ndarray:
        """The code (n,) that points (n, axes) read as: their own, or their leaf's; -1 in a stopped leaf."""
        out = np.full(len(index), -1, np.int32)
        for level in range(self.depth + 1):
            cells = self._cells[level]
            home = np.minimum(index // cells.edge, np.array(cells.shape) - 1)
            place = find(cells.number, cells.numbers(home))
            leaf = (place >= 0) & ~cells.split[place] & ~self._stopped(level)[place]
            out[leaf] = cells.low[0][place[leaf]]
        own = find(self._number, self.numbers(index))
        return np.where(own >= 0, self._code[own], out).astype(np.int32)

    def sample(self, random: np.random.Generator, size: int) -> np.ndarray:
        """At most `size` points (n, axes), in C order, that are not known and in no stopped leaf.

        Each is drawn with the same probability; all of them are taken where there are no more than `size`.
        """
        if self.total <= self.known + size:
            number = np.setdiff1d(np.arange(self.total), self._number)
            return self.indices(number)[self.read(self.indices(number)) >= 0]
        number = np.empty(0, np.int64)
        for _ in range(DRAWS):
            drawn = np.setdiff1d(random.integers(0, self.total, 2 * size), self._number)
            drawn = drawn[self.read(self.indices(drawn)) >= 0]
            fresh = random.permutation(drawn[find(number, drawn) < 0])
            number = np.sort(np.concatenate([number, fresh[: size - number.size]]))
            if number.size == size:
                break
        return self.indices(number)

    def leaves(self) -> Leaves:
        """Every leaf, by level and place."""
        corner, level, state = [], [], []
        for l, cells in enumerate(self._cells):
            leaf, stopped = ~cells.split, self._stopped(l)
            corner.append(cells.indices(cells.number[leaf]) * cells.edge)
            level.append(np.full(leaf.sum(), l, np.int8))
            kind = np.where(stopped, State.STOPPED, np.where(cells.mixed, State.PIXEL, State.UNIFORM))
            state.append(kind[leaf].astype(np.int8))
        return Leaves(np.concatenate(corner), np.concatenate(level), np.concatenate(state))

    def numbers(self, index: np.ndarray) -> np.ndarray:
        """Places (n,) of points (n, axes) in C order over the finest grid."""
        return np.ravel_multi_index(tuple(index.T), self.shape).astype(np.int64)

    def indices(self, number: np.ndarray) -> np.ndarray:
        """The inverse of `numbers`."""
        return np.stack(np.unravel_index(number, self.shape), axis=-1).astype(np.int64)

    def _stopped(self, level: int) -> np.ndarray:
        """Which cells of a level rule 1 leaves alone, though they are mixed."""
        cells = self._cells[level]
        mixed = cells.mixed
        stopped = np.zeros(mixed.shape, bool)
        if GENERATIONS <= level < self.levels and mixed.any():
            crowd = CROWD * 2 ** (GENERATIONS * len(self.counts))
            stopped[mixed] = cells.family(cells.number[mixed], GENERATIONS) > crowd
        return stopped & ~cells.changing & ~cells.split

    def _due(self, level: int) -> np.ndarray:
        """Places of the cells of a level that the rules want split and are not."""
        cells, stopped = self._cells[level], self._stopped(level)
        due = cells.mixed & ~stopped
        for source, spared in ((due.copy(), stopped), (cells.changing, False)):
            beside = find(cells.number, cells.around(cells.number[source]))
            beside = beside[beside >= 0]
            due[beside] |= ~np.broadcast_to(spared, due.shape)[beside]
        return np.flatnonzero(due & ~cells.split)

    def _split(self, level: int, place: np.ndarray) -> np.ndarray:
        """Split cells; return the numbers of their children's corners."""
        cells, below = self._cells[level], self._cells[level + 1]
        cells.split[place] = True
        chosen = cells.indices(cells.number[place])
        below.add(np.sort(below.numbers(children(chosen))))
        self._new.add(level + 1)
        return np.unique(self.numbers(lattice(chosen) * below.edge))

    def _survey(self, index: np.ndarray, code: np.ndarray, says: np.ndarray) -> None:
        """Enter new points everywhere, and all points where cells are new."""
        everything = self.indices(self._number)
        for level, cells in enumerate(self._cells):
            if level in self._new:
                cells.meet(everything, self._code, self._says)
            else:
                cells.meet(index, code, says)
        self._new = set()


DRAWS = 64
"""Times that `Tree.sample` draws; each draw is of twice what is asked for."""
