"""The cells of one level of a refined grid, and the codes met in each: sorted arrays, no loop over cells.

A cell is known by its number, its place in C order among all cells its level could have. What is met in a
cell is kept as the least and the largest code in its closure, once over all codes and once over those that
say something (not `unresolved` or `failed`).
"""

from __future__ import annotations

import itertools

import numpy as np

NONE = np.iinfo(np.int32).max
"""The least code of a cell in which none was met; the largest is -1 then."""


def find(sorted_numbers: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Where each of `numbers` (n,) stands in `sorted_numbers`; -1 where it does not."""
    if not sorted_numbers.size:
        return np.full(numbers.shape, -1)
    place = np.minimum(np.searchsorted(sorted_numbers, numbers), sorted_numbers.size - 1)
    return np.where(sorted_numbers[place] == numbers, place, -1)


class Cells:
    """Those cells of a level that exist, of edge `edge` in steps of the finest grid.

    `number` (n,) is sorted; `split` (n,) says which have children; `low`, `high` (2, n) are the least and
    largest codes met, of all codes in row 0 and of those that say something in row 1.
    """

    def __init__(self, shape: tuple[int, ...], edge: int):
        """None yet, of a level that could have `shape` of them."""
        self.shape, self.edge = shape, edge
        self.number = np.empty(0, np.int64)
        self.split = np.empty(0, bool)
        self.low, self.high = np.empty((2, 0), np.int32), np.empty((2, 0), np.int32)

    def add(self, number: np.ndarray) -> None:
        """Make the cells `number` (n,), sorted, none of which exists."""
        place = np.searchsorted(self.number, number)
        self.number = np.insert(self.number, place, number)
        self.split = np.insert(self.split, place, False)
        self.low = np.insert(self.low, place, NONE, axis=1)
        self.high = np.insert(self.high, place, -1, axis=1)

    def meet(self, index: np.ndarray, code: np.ndarray, says: np.ndarray) -> None:
        """Enter points into every cell whose closure holds them.

        `index` (n, axes) on the finest grid, `code` (n,), `says` (n,) whether the code says something.
        """
        cell, rest = np.divmod(index, self.edge)
        for before in itertools.product((0, 1), repeat=len(self.shape)):
            here = cell - np.array(before)
            inside = ((here >= 0) & (here < self.shape) & ((rest == 0) | (np.array(before) == 0))).all(axis=1)
            place = find(self.number, self.numbers(here[inside]))
            met = place >= 0
            for row, kept in enumerate((met, met & says[inside])):
                np.minimum.at(self.low[row], place[kept], code[inside][kept])
                np.maximum.at(self.high[row], place[kept], code[inside][kept])

    @property
    def mixed(self) -> np.ndarray:
        """Where different codes were met (n,)."""
        return self.low[0] < self.high[0]

    @property
    def changing(self) -> np.ndarray:
        """Where different codes were met that say something (n,)."""
        return self.low[1] < self.high[1]

    def numbers(self, cell: np.ndarray) -> np.ndarray:
        """The numbers (n,) of cells given by their indices (n, axes)."""
        return np.ravel_multi_index(tuple(cell.T), self.shape).astype(np.int64)

    def indices(self, number: np.ndarray) -> np.ndarray:
        """The indices (n, axes) of cells given by their numbers (n,)."""
        return np.stack(np.unravel_index(number, self.shape), axis=-1).astype(np.int64)

    def around(self, number: np.ndarray) -> np.ndarray:
        """The numbers, sorted, of all cells that share at least a corner with one of `number`; itself too."""
        cell = self.indices(number)
        found = []
        for offset in itertools.product((-1, 0, 1), repeat=len(self.shape)):
            here = cell + np.array(offset)
            found.append(self.numbers(here[((here >= 0) & (here < self.shape)).all(axis=1)]))
        return np.unique(np.concatenate(found))

    def family(self, number: np.ndarray, generations: int) -> np.ndarray:
        """How many of `number` (n,) descend from the same ancestor, `generations` up, as each does (n,)."""
        shape = tuple(n >> generations for n in self.shape)
        ancestor = self.indices(number) >> generations
        _, which, count = np.unique(
            np.ravel_multi_index(tuple(ancestor.T), shape), return_inverse=True, return_counts=True
        )
        return count[which]


def children(cell: np.ndarray) -> np.ndarray:
    """The indices (n 2^axes, axes) of the children of cells (n, axes), on the next level."""
    return _offsets(2 * cell, 2)


def lattice(cell: np.ndarray) -> np.ndarray:
    """The corners of the children of cells (n, axes): (n 3^axes, axes), in steps of half an edge."""
    return _offsets(2 * cell, 3)


def _offsets(corner: np.ndarray, width: int) -> np.ndarray:
    axes = corner.shape[1]
    offset = np.indices((width,) * axes).reshape(axes, -1).T
    return (corner[:, None] + offset).reshape(-1, axes)
