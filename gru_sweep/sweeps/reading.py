"""What is in a sweep's file, finished or not, and how far it is."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from gru_sweep.records import InputError
from gru_sweep.sweeps import atomic, lock
from gru_sweep.sweeps.grid import Axis, Block, Blocks, Grid
from gru_sweep.sweeps.layout import Layout
from gru_sweep.sweeps.points import FineGrid
from gru_sweep.sweeps.refined_schema import root_axis
from gru_sweep.sweeps.schema import FORMAT

if TYPE_CHECKING:
    import xarray as xr

OURS = "a file written by gru-sweep"
ANY_FORMAT = "gru_sweep "
"""How the format of every file of ours begins."""
LOOKED_OVER = 2**28
"""Bytes of a file that is compared with its seal whenever it is opened: up to a third of a second."""
LOCK = "lock"
"""The file among the shards that their writer holds locked."""


def parts_folder(path: Path) -> Path:
    """Where the shards of an unfinished file lie."""
    return path.with_name(path.name + ".parts")


def followed(path: str | os.PathLike[str]) -> Path:
    """The path, or what it links to: a rename must not turn a link into a file."""
    path = Path(path)
    return path.resolve() if path.is_symlink() else path


def shard_path(path: Path, token: str, shard: Block) -> Path:
    """A shard's file; `token` is drawn once per sweep, so that shards of two sweeps never mix."""
    return parts_folder(path) / f"{token}-{shard.index:04d}.h5"


def piece_path(path: Path, token: str, shard: Block, block: Block) -> Path:
    """The file of a block of a shard: the shard's own if there is no other block in it."""
    whole = shard_path(path, token, shard)
    return whole if shard.size == 1 else whole.with_name(f"{whole.stem}-{block.index:09d}.h5")


def on_disk(path: Path, token: str) -> tuple[set[int], set[int]]:
    """The numbers of the shards, and of the single blocks, whose files are there; nothing is opened."""
    shards, blocks = set(), set()
    for part in parts_folder(path).glob(f"{token}-*.h5"):
        shard, _, block = part.stem.removeprefix(f"{token}-").partition("-")
        if block:
            blocks.add(int(block))
        else:
            shards.add(int(shard))
    return shards, blocks


def bytes_of(parts: Iterable[Path]) -> int:
    """The size of files together; one that was merged since it was seen has none."""
    size = 0
    for part in parts:
        with suppress(FileNotFoundError):
            size += part.stat().st_size
    return size


@contextmanager
def opened(
    path: Path, argument: str, form: str | None = FORMAT, *, looked_over: bool = True
) -> Iterator[h5py.File]:
    """The file of that format (None: any of ours) for reading; `InputError` on `argument` where it is
    missing, foreign, truncated or damaged.

    Damage of files beyond `LOOKED_OVER`, and of all unless they shall be `looked_over`, is seen where HDF5
    sees it.
    """
    if not path.exists():
        raise InputError(argument, "an existing file", str(path))
    if not path.is_file():
        raise InputError(argument, OURS, f"a folder, {path}")
    # First, because HDF5 may read what is wrong as right, and may not come to an end of it.
    if looked_over and path.stat().st_size <= LOOKED_OVER and atomic.sealed(path) and not atomic.sound(path):
        got = f"{path}, changed since it was written: gru-sweep verify says what of it can be read"
        raise InputError(argument, "an undamaged file", got)
    try:
        with h5py.File(path) as file:
            there = file.attrs.get("file_format")
            if there != form if form else not str(there).startswith(ANY_FORMAT):
                wanted = f"{OURS}, with file_format = {form or ANY_FORMAT + '...'!r}"
                raise InputError(argument, wanted, f"{path}, with {there!r}")
            yield file
    except InputError:
        raise
    except Exception as error:  # of what kind depends on the byte that is damaged
        raise InputError(argument, OURS, f"{path}, which cannot be read ({error})") from error


def configuration(file: h5py.File) -> dict[str, Any]:
    """The stored JSON: `made_by` (what a resumed sweep must match), `chunk` (points), `token`."""
    return json.loads(file["configuration"].asstr()[()])


def attributes_of(file: h5py.File) -> dict[str, Any]:
    """The global attributes as plain Python values."""
    return {name: _plain(value) for name, value in file.attrs.items()}


def open_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """The file as a lazy Dataset.

    Of an unfinished one: what is done when a variable is first read. Its shards are removed when the sweep
    ends, and what was not read by then reads as missing: open the file again.
    """
    # Here, because writing a file does not need it and pandas comes with it.
    import xarray as xr

    path = followed(path)
    with opened(path, "FILE", None):
        pass
    try:
        return xr.open_dataset(path, engine="h5netcdf")
    except Exception as error:  # as above
        raise InputError("FILE", OURS, f"{path}, which cannot be read ({error})") from error


def count_flags(dataset: h5py.Dataset) -> dict[str, int]:
    """How many points have each flag, in the order of the flags; block by block, so memory is bounded."""
    words = dict(
        zip(dataset.attrs["flag_values"].tolist(), dataset.attrs["flag_meanings"].split(), strict=True)
    )
    counts: Counter[int] = Counter()
    for block in Blocks(dataset.shape, 2**20):
        found, number = np.unique(dataset[block.slices], return_counts=True)
        counts.update(dict(zip(found.tolist(), number.tolist(), strict=True)))
    return {word: counts[value] for value, word in words.items()}


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What is in the file, how far it is, how it was made; JSON-ready.

    Of a refined file shape and axes are the finest grid's, and points are those asked for so far.
    Keys: file, complete, shape, points, done (points), axes, variables, counts (points by status), bytes,
    writer (who is at work on it, or None), attributes, configuration.
    """
    path = followed(path)
    with opened(path, "FILE") as file:
        stored = configuration(file)
        complete = bool(file.attrs["complete"])
        counts = count_flags(file["status"]) if "status" in file else {}
        if "refine" in stored:
            root = Grid(tuple(root_axis(file, name) for name in stored["axes"]))
            grid: Grid | FineGrid = FineGrid(root, stored["refine"])
            points = file["point"].size
            done = points - counts["not_computed"]
        else:
            grid = Grid(tuple(_axis(file[name]) for name in stored["axes"]))
            points = grid.size
            done = points if complete else _points_done(path, grid, stored)
        folder = parts_folder(path)
        parts = [] if complete else [*folder.glob(f"{stored['token']}-*.h5"), *folder.glob("*.h5.parts/*.h5")]
        return {
            "file": str(path),
            "complete": complete,
            "shape": list(grid.shape),
            "points": points,
            "done": done,
            "axes": {
                axis.name: {
                    "size": axis.size,
                    "first": float(axis.values[0]),
                    "last": float(axis.values[-1]),
                    "long_name": axis.long_name,
                    "units": axis.units,
                }
                for axis in grid.axes
            },
            "variables": {
                name: {
                    "dims": [dim.label or dim[0].name.strip("/") for dim in variable.dims],
                    "dtype": "string" if variable.dtype.kind == "O" else str(variable.dtype),
                    "long_name": str(variable.attrs.get("long_name", "")),
                    "units": str(variable.attrs.get("units", "")),
                }
                for name, variable in file.items()
                # Not `is_scale`: where CLASS is damaged, HDF5 frees its text twice and the process dies.
                if variable.shape and variable.attrs.get("CLASS") != b"DIMENSION_SCALE"
            },
            "counts": counts,
            "bytes": bytes_of([path, *parts]),
            "writer": lock.holder(parts_folder(path) / LOCK),
            "attributes": attributes_of(file),
            "configuration": stored,
        }


def _points_done(path: Path, grid: Grid, stored: dict[str, Any]) -> int:
    layout = Layout(grid, (), stored["chunk"])
    shards, blocks = on_disk(path, stored["token"])
    # A block's own file may outlive, for a moment, the making of its shard's.
    return sum(layout.region(layout.shards[n]).size for n in shards) + sum(
        block.size
        for block in (layout.blocks[n] for n in blocks)
        if layout.shard_of(block).index not in shards
    )


def _axis(scale: h5py.Dataset) -> Axis:
    name = scale.name.strip("/")
    return Axis(name, scale[()], str(scale.attrs["long_name"]), str(scale.attrs["units"]))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
