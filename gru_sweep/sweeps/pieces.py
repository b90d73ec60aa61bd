"""Pieces: the immutable files that a sweep is committed in, one for each block.

A piece is built in memory as an HDF5 image and appears on disk whole (`atomic.write`), so HDF5 never meets
a full disk or a kill half-way. That its file is there says that the block is done. The blocks of a shard
have their chunks copied, as they are, into one file when all of them are there.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

import h5py
import numpy as np

from gru_sweep.records import Column
from gru_sweep.sweeps import atomic
from gru_sweep.sweeps.filters import FILTERS, encode
from gru_sweep.sweeps.grid import Block
from gru_sweep.sweeps.layout import Form, Layout

ROWS = 1024
"""Points looked at in one go: what is made of them stays in the caches."""


def image(form: Form, shape: tuple[int, ...], values: Mapping[str, np.ndarray], seconds: float) -> bytes:
    """The file of a block of `shape`: its columns, each (points, *column.shape), and the time they took.

    A wrong shape, or an integer that does not fit its column, is a `ValueError`.
    """
    checked = {column.name: _checked(values, column, shape) for column in form.columns}
    # HDF5 tells files in memory apart by their names, and threads may write theirs at the same time.
    with h5py.File(f"piece-{uuid.uuid4()}", "w", driver="core", backing_store=False) as file:
        file.attrs["seconds"] = seconds
        columns = [
            create_column(file, chunks, column, shape)
            for column, chunks in zip(form.columns, form.chunks, strict=True)
        ]
        put(columns, form, (0,) * len(shape), shape, checked)
        file.flush()
        return file.id.get_file_image()


def create_column(
    file: h5py.File, chunks: tuple[int, ...], column: Column, shape: tuple[int, ...]
) -> h5py.Dataset:
    """An empty column over `shape` points; its chunks may reach past the far edge, so that they copy raw."""
    full = shape + column.shape
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
    targets: Sequence[h5py.Dataset],
    form: Form,
    corner: tuple[int, ...],
    shape: tuple[int, ...],
    values: Mapping[str, np.ndarray],
) -> None:
    """Write a block of `shape` that begins at `corner`, each column (points, *column.shape) to its target.

    What is nothing but fill is not written, slots a few at a time.
    """
    for target, column, chunks in zip(targets, form.columns, form.chunks, strict=True):
        array = values[column.name].reshape(-1, *column.shape)
        filled = _filled(array, column)
        for group in product(*map(_groups, column.shape, chunks[len(shape) :])):
            if not filled[group].all():
                part = array[(slice(None), *group)]
                part = part.reshape(shape + part.shape[1:])
                if part.shape != chunks:
                    whole = np.full(chunks, column.fill, column.dtype)
                    whole[tuple(slice(n) for n in part.shape)] = part
                    part = whole
                target.id.write_direct_chunk(corner + tuple(g.start for g in group), encode(part))


def merge(target: Path, layout: Layout, shard: Block, pieces: Iterable[tuple[Path, Block]]) -> None:
    """Write the file of a shard from the pieces of all its blocks; `OSError` without room for it."""
    pieces, region = list(pieces), layout.region(shard)
    require_room(target, [path for path, _ in pieces])
    with atomic.writing(target) as place, h5py.File(place, "w") as file:
        seconds = 0.0
        for column, chunks in zip(layout.form.columns, layout.form.chunks, strict=True):
            create_column(file, chunks, column, region.shape)
        for path, block in pieces:
            with h5py.File(path) as source:
                seconds += float(source.attrs["seconds"])
                corner = tuple(b - a for a, b in zip(region.start, block.start, strict=True))
                copy_chunks(source, layout, file, corner)
        file.attrs["seconds"] = seconds


def copy_chunks(source: h5py.File, layout: Layout, target: h5py.File, corner: tuple[int, ...]) -> None:
    """Copy the compressed chunks of all columns; `corner` is where the source begins in the target."""
    for column in layout.columns:
        here, there = source[column.name].id, target[column.name].id
        start = corner + (0,) * len(column.shape)
        found: list[tuple[int, ...]] = []
        here.chunk_iter(lambda chunk, found=found: found.append(chunk.chunk_offset))
        for offset in found:
            mask, data = here.read_direct_chunk(offset)
            there.write_direct_chunk(tuple(a + b for a, b in zip(offset, start, strict=True)), data, mask)


def require_room(target: Path, sources: Iterable[Path]) -> None:
    """`OSError` where the disk of `target` has no room for a second copy of `sources`."""
    needed, free = sum(path.stat().st_size for path in sources), shutil.disk_usage(target.parent).free
    if needed > free:
        raise OSError(f"no room for {target.name}: {needed} bytes needed, {free} free")


def _filled(array: np.ndarray, column: Column) -> np.ndarray:
    """Which entries of `column.shape` are fill at all points."""
    rows = array.reshape(len(array), -1)
    filled = np.ones(rows.shape[1], bool)
    for first in range(0, len(rows), ROWS):
        some = rows[first : first + ROWS]
        filled &= (np.isnan(some) if column.dtype.kind == "f" else some == column.fill).all(axis=0)
        if not filled.any():
            break
    return filled.reshape(column.shape)


def _groups(size: int, width: int) -> list[slice]:
    """The ranges of an axis that share an HDF5 chunk."""
    return [slice(first, first + width) for first in range(0, size, width)]


def _checked(returned: Mapping[str, np.ndarray], column: Column, shape: tuple[int, ...]) -> np.ndarray:
    """The column as the file wants it."""
    if column.name not in returned:
        raise ValueError(f"evaluate returned no {column.name}")
    value, wanted = np.asarray(returned[column.name]), (int(np.prod(shape)), *column.shape)
    if value.shape != wanted:
        raise ValueError(f"{column.name}: expected shape {wanted}, got {value.shape}")
    if not np.can_cast(value.dtype, column.dtype, "same_kind"):
        raise ValueError(f"{column.name}: expected {column.dtype}, got {value.dtype}")
    cast = value.astype(column.dtype, copy=False)
    if cast is not value and column.dtype.kind == "i" and not np.array_equal(cast, value):
        raise ValueError(f"{column.name}: values beyond {column.dtype}")
    return cast
