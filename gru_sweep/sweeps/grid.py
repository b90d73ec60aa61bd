"""Named axes, their product, and its cutting into blocks.

A `Grid` is the product of its axes, in C order: the last axis runs fastest. A `Block` is a rectangle of
the grid whose points are neighbours in that order as far as the shape allows: trailing axes whole, one
axis cut, leading axes one index at a time.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from gru_sweep.records import InputError

MAX_VALUES = 10**8
"""The most values `Axis.parse` makes: they are held in memory, unlike the grid's points."""

_EXPECTED = "NAME=START:STOP:NUM or NAME=log:START:STOP:NUM"


@dataclass(frozen=True, eq=False)
class Axis:
    """A named coordinate with n >= 1 finite, distinct values, in any order.

    Equal values are refused: the value is the point's label, and `sel` on a repeated label is ambiguous.
    `geometric` says that the values are spaced so; what lies between two of them follows from it.
    """

    name: str
    values: np.ndarray
    long_name: str = ""
    units: str = "1"
    geometric: bool = False

    def __post_init__(self) -> None:
        if not self.name or self.name == "." or re.search(r"[\s/=\x00-\x1f]", self.name):
            raise InputError("--axis", "a name without blanks, '/' or '='", self.name)
        values = np.array(self.values, dtype=np.float64)
        if values.ndim != 1 or values.size == 0:
            raise InputError(
                f"axis {self.name}", "one dimension, at least one value", f"shape {values.shape}"
            )
        if not np.isfinite(values).all():
            raise InputError(f"axis {self.name}", "finite values", "nan or inf")
        steps = np.diff(values)
        monotonic = (steps > 0).all() or (steps < 0).all()
        if not monotonic and np.unique(values).size < values.size:
            raise InputError(f"axis {self.name}", "distinct values", f"{values.size} values with repeats")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @property
    def size(self) -> int:
        """The number of values."""
        return self.values.size

    @classmethod
    def parse(cls, text: str, long_name: str = "", units: str = "1") -> Axis:
        """`alpha=0:3.14:256` is an inclusive linspace, `alpha=log:1:100:5` a geometric one.

        START may exceed STOP (a descending axis); it may equal STOP only if NUM is 1, and NUM = 1 takes
        START alone.
        """
        name, equals, span = text.partition("=")
        parts = span.split(":")
        logarithmic = parts[0] == "log"
        if not equals or len(parts) - logarithmic != 3:
            raise InputError("--axis", _EXPECTED, text)
        *bounds, count = parts[logarithmic:]
        if not re.fullmatch(r"[0-9]+", count) or int(count) == 0:
            raise InputError("--axis", f"{_EXPECTED} with NUM a positive integer", text)
        num = int(count)
        if num > MAX_VALUES:
            raise InputError("--axis", f"NUM of at most {MAX_VALUES}", text)
        try:
            start, stop = (float(bound) for bound in bounds)
        except ValueError:
            raise InputError("--axis", f"{_EXPECTED} with numbers", text) from None
        if not (math.isfinite(start) and math.isfinite(stop)):
            raise InputError("--axis", "finite START and STOP", text)
        if start == stop and num > 1:
            raise InputError("--axis", "START and STOP to differ where NUM is more than 1", text)
        if logarithmic and not (start > 0 and stop > 0):
            raise InputError("--axis", "positive START and STOP for a log axis", text)
        spaced = np.geomspace if logarithmic else np.linspace
        return cls(name.strip(), spaced(start, stop, num), long_name, units, logarithmic)

    def refined(self, levels: int) -> Axis:
        """The axis with 2^levels - 1 values more between neighbours, spaced as they are.

        Evenly or geometrically spaced values give, to the last bit, the longer `linspace` or `geomspace`;
        others have their arithmetic means put between them, level by level.
        """
        first, last = self.values[0], self.values[-1]
        num = ((self.size - 1) << levels) + 1
        if self.geometric:
            values = np.geomspace(first, last, num)
        elif np.array_equal(self.values, np.linspace(first, last, self.size)):
            values = np.linspace(first, last, num)
        elif first * last > 0 and np.array_equal(self.values, np.geomspace(first, last, self.size)):
            values = np.geomspace(first, last, num)
        else:
            values = self.values
            for _ in range(levels):
                values, coarse = np.empty(2 * values.size - 1), values
                values[::2], values[1::2] = coarse, (coarse[:-1] + coarse[1:]) / 2
        return dataclasses.replace(self, values=values)


@dataclass(frozen=True)
class Block:
    """The rectangle `start` + `shape` of an array; `index` is its place among the blocks, in C order."""

    index: int
    start: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of points."""
        return math.prod(self.shape)

    @property
    def slices(self) -> tuple[slice, ...]:
        """What selects the block from an array of the whole."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.shape, strict=True))


class Blocks(Sequence[Block]):
    """The cutting of an array of `shape` into blocks of shape `tile`, smaller only at the far edges.

    Blocks are made when asked for, so their number costs nothing.
    """

    def __init__(self, shape: tuple[int, ...], limit: int):
        """Cut into blocks of at most `limit` >= 1 points, as even as one tile shape allows."""
        self.shape = shape
        tile = [1] * len(shape)
        for axis in reversed(range(len(shape))):
            pieces = -(-shape[axis] // min(shape[axis], limit))
            tile[axis] = -(-shape[axis] // pieces)
            if pieces > 1:
                break
            limit //= shape[axis]
        self.tile = tuple(tile)
        self.counts = tuple(-(-n // t) for n, t in zip(shape, tile, strict=True))

    @property
    def total(self) -> int:
        """The number of blocks, an exact integer (`len` stops at 2^63)."""
        return math.prod(self.counts)

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, index: int) -> Block: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Block, ...]: ...

    def __getitem__(self, index: int | slice) -> Block | tuple[Block, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        if not -self.total <= index < self.total:
            raise IndexError(index)
        index = int(index) % self.total
        start: list[int] = []
        rest = index
        for count, edge in zip(reversed(self.counts), reversed(self.tile), strict=True):
            rest, place = divmod(rest, count)
            start.insert(0, place * edge)
        shape = (min(t, n - a) for t, n, a in zip(self.tile, self.shape, start, strict=True))
        return Block(index, tuple(start), tuple(shape))

    def __iter__(self) -> Iterator[Block]:
        return (self[i] for i in range(self.total))


@dataclass(frozen=True, eq=False)
class Grid:
    """The product of at least one axis; the order of the axes is the order of the dimensions.

    A single point is an axis of one value: without any axis a function of n points could not tell n.
    """

    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", tuple(self.axes))
        if not self.axes:
            raise InputError("--axis", "at least one axis", "none")
        for name in self.names:
            if self.names.count(name) > 1:
                raise InputError("--axis", "each axis once", f"{name} {self.names.count(name)} times")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes)

    @property
    def size(self) -> int:
        """The number of points, an exact integer."""
        return math.prod(self.shape)

    def blocks(self, chunk: int) -> Blocks:
        """The grid cut into blocks of at most `chunk` points."""
        return Blocks(self.shape, checked_chunk(chunk))

    def coordinates(self, block: Block) -> dict[str, np.ndarray]:
        """The coordinates of the block's points, each float64 (block.size,), in C order."""
        values = [axis.values[s] for axis, s in zip(self.axes, block.slices, strict=True)]
        full = np.meshgrid(*values, indexing="ij")
        return {name: array.ravel() for name, array in zip(self.names, full, strict=True)}


def checked_chunk(chunk: int) -> int:
    """`chunk`, the most points in a block; `InputError` unless it is a positive integer."""
    if isinstance(chunk, bool) or not isinstance(chunk, (int, np.integer)) or chunk < 1:
        raise InputError("--chunk", "a positive integer", chunk)
    return int(chunk)
