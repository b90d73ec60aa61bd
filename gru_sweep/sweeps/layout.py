"""How a sweep's points lie in files: points in blocks, blocks in shards, datasets in HDF5 chunks.

A block is what one call computes, one file when it is committed, and the tile of every HDF5 chunk. A shard
is a run of blocks that become one file when all of them are there: a single one, unless the grid has more
than `MAX_SHARDS` of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gru_sweep.records import Column
from gru_sweep.sweeps.grid import Block, Blocks, Grid
from gru_sweep.sweeps.points import Points

MAX_SHARDS = 200
"""HDF5 opens all sources of a virtual dataset at once and reads as fill, silently, those past the limit
of open files (1024 on most systems, 256 on some)."""

SLOT_BYTES = 32_768
"""Slots share an HDF5 chunk until it has this size, at most four of them."""


@dataclass(frozen=True)
class Form:
    """What must be known to write a block: the columns, and the shape of each one's HDF5 chunks."""

    columns: tuple[Column, ...]
    chunks: tuple[tuple[int, ...], ...]


class Layout:
    """Where each point of each column lies; a pure function of grid, columns and chunk size."""

    def __init__(self, grid: Grid | Points, columns: tuple[Column, ...], chunk: int):
        self.grid, self.columns = grid, tuple(columns)
        self.blocks = grid.blocks(chunk)
        run = -(-self.blocks.total // MAX_SHARDS)
        while Blocks(self.blocks.counts, run).total > MAX_SHARDS:
            run *= 2
        self.shards = Blocks(self.blocks.counts, run)
        self.extra = _extra_dimensions(grid, self.columns)

    def region(self, shard: Block) -> Block:
        """The points of a shard, as a rectangle of the grid."""
        tile, shape = self.blocks.tile, self.grid.shape
        start = tuple(a * t for a, t in zip(shard.start, tile, strict=True))
        stop = (
            min((a + n) * t, end) for a, n, t, end in zip(shard.start, shard.shape, tile, shape, strict=True)
        )
        return Block(shard.index, start, tuple(b - a for a, b in zip(start, stop, strict=True)))

    def members(self, shard: Block) -> Iterator[Block]:
        """The blocks of a shard."""
        first = int(np.ravel_multi_index(shard.start, self.blocks.counts))
        return (self.blocks[first + i] for i in range(shard.size))

    def shard_of(self, block: Block) -> Block:
        """The shard that holds the block."""
        place = np.unravel_index(block.index, self.blocks.counts)
        home = [int(i) // n for i, n in zip(place, self.shards.tile, strict=True)]
        return self.shards[int(np.ravel_multi_index(home, self.shards.counts))]

    def inside(self, block: Block, region: Block) -> tuple[slice, ...]:
        """What selects the block from an array of the region's points."""
        return tuple(
            slice(b - a, b - a + n) for a, b, n in zip(region.start, block.start, block.shape, strict=True)
        )

    @property
    def form(self) -> Form:
        """What a block is written by, wherever it is computed."""
        return Form(self.columns, tuple(self.hdf5_chunk(column) for column in self.columns))

    def _slot_width(self, column: Column) -> int:
        """How many slots share an HDF5 chunk: few, because a chunk of fill values is not written."""
        slots = column.shape[column.dims.index("slot")]
        one = math.prod(self.blocks.tile) * math.prod(column.shape) // slots * column.dtype.itemsize
        return min(slots, 4, max(1, SLOT_BYTES // one))

    def hdf5_chunk(self, column: Column) -> tuple[int, ...]:
        """The shape of the column's HDF5 chunks, the same in a shard and in the finished file."""
        rest = (
            self._slot_width(column) if d == "slot" else n
            for d, n in zip(column.dims, column.shape, strict=True)
        )
        return self.blocks.tile + tuple(rest)

    def estimated_bytes(self) -> int:
        """The finished file's likely size: every value once, but one slot of a slotted column; metadata."""
        point = sum(
            c.dtype.itemsize * math.prod(n for d, n in zip(c.dims, c.shape, strict=True) if d != "slot")
            for c in self.columns
        )
        return self.grid.size * point + len(self.columns) * (1024 * len(self.shards) + 64 * self.blocks.total)


def _extra_dimensions(grid: Grid | Points, columns: tuple[Column, ...]) -> dict[str, int]:
    """Name and size of the dimensions beyond the grid's."""
    names = [*grid.names, *(c.name for c in columns)]
    if len(set(names)) < len(names):
        raise ValueError(f"axes and columns share a name: {', '.join(names)}")
    extra: dict[str, int] = dict(zip(grid.names, grid.shape, strict=True)) if isinstance(grid, Points) else {}
    for column in columns:
        # Engines disagree on booleans, complex numbers and half floats; -1 is no fill of an unsigned integer.
        if column.dtype.kind not in "if" or column.dtype == np.float16:
            raise ValueError(f"column {column.name}: dtype {column.dtype} (int, float32 or float64)")
        for dim, size in zip(column.dims, column.shape, strict=True):
            if size < 1 or dim in names or extra.setdefault(dim, size) != size:
                raise ValueError(f"column {column.name}: dimension {dim} of size {size} clashes or is empty")
    return extra
