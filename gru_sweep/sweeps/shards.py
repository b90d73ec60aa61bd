"""Shards: the immutable files a sweep is committed in.

A shard is built in memory as an HDF5 image and appears on disk whole (`atomic.write`), so HDF5 never meets
a full disk or a kill half-way. Its attribute `done` counts its blocks in order: the only mark of what is
finished. A shard of several blocks is replaced by a longer one as they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from gru_sweep.records import Column
from gru_sweep.sweeps import atomic
from gru_sweep.sweeps.grid import Block
from gru_sweep.sweeps.layout import Layout
from gru_sweep.sweeps.schema import FILTERS


def create_column(file: h5py.File, layout: Layout, column: Column, shape: tuple[int, ...]) -> h5py.Dataset:
    """An empty column over `shape` points; its chunks may reach past the far edge, so that they copy raw."""
    chunks, full = layout.hdf5_chunk(column), shape + column.shape
    room = tuple(max(n, c) for n, c in zip(full, chunks, strict=True))
    return file.create_dataset(
        column.name,
        full,
        column.dtype,
        chunks=chunks,
        maxshape=None if room == full else room,
        fillvalue=column.fill,
        **FILTERS,
    )


def put(
    file: h5py.File,
    layout: Layout,
    here: tuple[slice, ...],
    shape: tuple[int, ...],
    values: Mapping[str, np.ndarray],
) -> None:
    """Write the columns of a block of `shape`, each (points, *column.shape), to `here`.

    What is nothing but fill is not written, slots a few at a time.
    """
    for column in layout.columns:
        array = values[column.name].reshape(shape + column.shape)
        filled = np.isnan(array) if column.dtype.kind == "f" else array == column.fill
        if "slot" not in column.dims:
            if not filled.all():
                file[column.name][here] = array
            continue
        place, width = len(shape) + column.dims.index("slot"), layout.slot_width(column)
        used = ~filled.all(axis=tuple(a for a in range(array.ndim) if a != place))
        for first in range(0, used.size, width):
            if used[first : first + width].any():
                some = (slice(None),) * (place - len(shape)) + (slice(first, first + width),)
                file[column.name][here + some] = array[(slice(None),) * len(shape) + some]


class Shard:
    """A shard in memory, new or read from `path`, until `save`."""

    def __init__(self, path: Path, layout: Layout, shard: Block):
        self.path, self.layout, self.shard = path, layout, shard
        self.region, self.members = layout.region(shard), list(layout.members(shard))
        known = path.exists()
        self._file = h5py.File(path, "r+" if known else "w", driver="core", backing_store=False)
        if not known:
            self._file.attrs["done"], self._file.attrs["seconds"] = 0, 0.0
            for column in layout.columns:
                create_column(self._file, layout, column, self.region.shape)
        self.done = int(self._file.attrs["done"])

    def add(self, block: Block, values: Mapping[str, np.ndarray], seconds: float) -> None:
        """Append the next block: its columns, each (block.size, *column.shape), and the time they took."""
        if block != self.members[self.done]:
            raise ValueError(f"block {block.index} is not the next, {self.members[self.done].index}")
        put(self._file, self.layout, self.layout.inside(block, self.region), block.shape, values)
        self.done += 1
        self._file.attrs["done"] = self.done
        self._file.attrs["seconds"] += seconds

    def save(self) -> None:
        """Put the shard on disk, durably."""
        self._file.flush()
        atomic.write(self.path, self._file.id.get_file_image())

    def close(self) -> None:
        """Forget what was not saved."""
        self._file.close()


def verified(path: Path, most: int) -> int:
    """How many of a shard's `most` blocks can be trusted, after reading all of it against its checksums.

    0 for one that is missing, and for one that is damaged: it is computed again.
    """
    try:
        with h5py.File(path) as file:
            read_through(file)
            done = int(file.attrs["done"])
            return done if done <= most else 0
    except Exception:  # of what kind depends on the byte that is damaged
        return 0


def read_through(file: h5py.File) -> None:
    """Read every HDF5 chunk against its checksum; raises, of what kind depends on the damage."""
    for dataset in file.values():
        if dataset.chunks is None:
            continue
        offsets: list[tuple[int, ...]] = []
        dataset.id.chunk_iter(lambda chunk, offsets=offsets: offsets.append(chunk.chunk_offset))
        for offset in offsets:
            dataset[tuple(slice(a, a + n) for a, n in zip(offset, dataset.chunks, strict=True))]
