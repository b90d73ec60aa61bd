"""Chosen points of a grid that is finer than the one asked for, numbered along one dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from gru_sweep.records import InputError
from gru_sweep.sweeps.grid import MAX_VALUES, Axis, Block, Blocks, Grid, checked_chunk

MAX_LEVELS = 16
MAX_AXES = 3
"""Cells have 3^axes corners of children, and a border in four dimensions fills the disk."""
MAX_POINTS = 2**62
"""Places in the finest grid are int64."""


@dataclass(frozen=True, eq=False)
class FineGrid:
    """The grid `root` with 2^levels - 1 points more between neighbours along each of its axes.

    Refuses levels outside 1 to 16, more than three axes, an axis of one value or of values in no order, and
    more points than can be numbered.
    """

    root: Grid
    levels: int

    def __post_init__(self) -> None:
        levels = self.levels
        if (
            isinstance(levels, bool)
            or not isinstance(levels, int | np.integer)
            or not 1 <= levels <= MAX_LEVELS
        ):
            raise InputError("--refine", f"a number of levels from 1 to {MAX_LEVELS}", levels)
        if len(self.root.axes) > MAX_AXES:
            raise InputError("--refine", f"at most {MAX_AXES} axes", f"{len(self.root.axes)} axes")
        for axis in self.root.axes:
            steps = np.diff(axis.values)
            if axis.size < 2:
                raise InputError("--refine", "axes of at least 2 values", f"{axis.name} with 1 value")
            if not ((steps > 0).all() or (steps < 0).all()):
                raise InputError("--refine", "axes that rise or fall", f"{axis.name} with values in no order")
        for name, size in zip(self.root.names, self.shape, strict=True):
            if size > MAX_VALUES:
                raise InputError("--refine", f"at most {MAX_VALUES} values along {name}", f"{size} values")
        if self.root.size > MAX_VALUES:
            raise InputError(
                "--refine", f"at most {MAX_VALUES} points to start from", f"{self.root.size} points"
            )
        if self.size > MAX_POINTS:
            raise InputError(
                "--refine", f"at most {MAX_POINTS} points at the last level", f"{self.size} points"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(((n - 1) << self.levels) + 1 for n in self.root.shape)

    @property
    def size(self) -> int:
        """The number of points, an exact integer."""
        return math.prod(self.shape)

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the finest grid."""
        return tuple(axis.refined(self.levels) for axis in self.root.axes)


@dataclass(frozen=True, eq=False)
class Points:
    """The points `index` (n, axes) of a fine grid; in a file they are numbered along the dimension `point`.

    It stands where a `Grid` does in layout and store.
    """

    fine: FineGrid
    index: np.ndarray
    axes: tuple[Axis, ...] = field(default=(), init=False)
    names: tuple[str, ...] = field(default=("point",), init=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.index),)

    @property
    def size(self) -> int:
        return len(self.index)

    def blocks(self, chunk: int) -> Blocks:
        """The points cut into blocks of at most `chunk`."""
        return Blocks(self.shape, checked_chunk(chunk))

    def coordinates(self, block: Block) -> dict[str, np.ndarray]:
        """The coordinates of the block's points, each float64 (block.size,)."""
        (here,) = block.slices
        return {axis.name: axis.values[self.index[here, place]] for place, axis in enumerate(self.fine.axes)}
