"""The end of a sweep: its shards become one ordinary file.

Compressed HDF5 chunks are copied as they are; only labels, which need all points, are computed here. The
file grows beside the index and takes its place by a rename, so a crash at any moment leaves one of the two.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from gru_sweep.records import Column
from gru_sweep.sweeps import atomic, schema
from gru_sweep.sweeps.layout import Layout
from gru_sweep.sweeps.pieces import copy_chunks, create_column, require_room
from gru_sweep.sweeps.schema import Labeller


def pack(
    target: atomic.Lasting,
    shards: list[Path],
    layout: Layout,
    labeller: Labeller | None,
    attributes: Mapping[str, Any],
    configuration: str,
) -> None:
    """Write the finished file to the empty file `target` from all shards, in the order of `layout.shards`.

    The attribute `seconds` is the computing time of all blocks, whichever runs and processes computed them.
    Memory is bounded by a block (and by the table of classes). Refuses, with `OSError`, a disk without room
    for a second copy of the shards.
    """
    require_room(Path(target.name), shards)
    seconds = sum(_seconds(path) for path in shards)
    with (
        tempfile.TemporaryFile(dir=Path(target.name).parent) as codes,
        h5py.File(target, "w", track_order=True) as file,
    ):
        classes = {} if labeller is None else _label(shards, layout, labeller, codes)

        def dataset(column: Column) -> h5py.Dataset:
            return create_column(file, layout.hdf5_chunk(column), column, layout.grid.shape)

        schema.write(
            file,
            layout,
            dataset,
            labeller,
            sorted(classes),
            {**attributes, "complete": 1, "seconds": seconds},
            configuration,
        )
        for path, shard in zip(shards, layout.shards, strict=True):
            with h5py.File(path) as source:
                copy_chunks(source, layout, file, layout.region(shard).start)
        if labeller is not None:
            _write_labels(file[labeller.name], layout, classes, codes)


def _seconds(path: Path) -> float:
    with h5py.File(path) as file:
        return float(file.attrs["seconds"])


def _label(shards: list[Path], layout: Layout, labeller: Labeller, codes: IO[bytes]) -> dict[str, int]:
    """Classes with their number in order of appearance; the number of each point's class goes to `codes`."""
    classes: dict[str, int] = {}
    needed = [column for column in layout.columns if column.name in labeller.needs]
    for path, shard in zip(shards, layout.shards, strict=True):
        region = layout.region(shard)
        with h5py.File(path) as file:
            for block in layout.members(shard):
                here = layout.inside(block, region)
                values = {c.name: file[c.name][here].reshape(block.size, *c.shape) for c in needed}
                words = np.asarray(labeller.function(values), dtype=np.str_)
                if words.shape != (block.size,):
                    raise ValueError(f"{labeller.name}: {block.size} labels expected, got {words.shape}")
                found, inverse = np.unique(words, return_inverse=True)
                numbers = [_number(str(word), classes) for word in found]
                codes.write(np.array(numbers, np.int32)[inverse].tobytes())
    codes.seek(0)
    return classes


def _number(word: str, classes: dict[str, int]) -> int:
    if any(character.isspace() for character in word):
        raise ValueError(f"label {word!r}: blanks separate flag meanings")
    return classes.setdefault(word, len(classes)) if word else -1


def _write_labels(dataset: h5py.Dataset, layout: Layout, classes: dict[str, int], codes: IO[bytes]) -> None:
    """Codes by first appearance become places in the sorted table, which no order of computing changes."""
    place = np.empty(len(classes) + 1, np.int32)
    place[[classes[word] for word in sorted(classes)]] = np.arange(len(classes))
    place[-1] = -1
    for shard in layout.shards:
        for block in layout.members(shard):
            here = np.frombuffer(codes.read(4 * block.size), np.int32)
            dataset[block.slices] = place[here].reshape(block.shape)
