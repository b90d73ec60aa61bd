"""What is in a sweep's file, finished or not, and how far it is."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from gru_sweep.records import InputError
from gru_sweep.sweeps import lock
from gru_sweep.sweeps.grid import Axis, Block, Blocks, Grid
from gru_sweep.sweeps.layout import Layout
from gru_sweep.sweeps.points import FineGrid
from gru_sweep.sweeps.refined_schema import root_axis
from gru_sweep.sweeps.schema import FORMAT

if TYPE_CHECKING:
    import xarray as xr

OURS = "a file written by gru-sweep"
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


@contextmanager
def opened(path: Path, argument: str) -> Iterator[h5py.File]:
    """The file for reading; `InputError` on `argument` where it is missing, foreign, truncated or damaged."""
    if not path.exists():
        raise InputError(argument, "an existing file", str(path))
    if not path.is_file():
        raise InputError(argument, OURS, f"a folder, {path}")
    try:
        with h5py.File(path) as file:
            if file.attrs.get("file_format") != FORMAT:
                raise InputError(argument, OURS, f"{path}, an HDF5 file without file_format = {FORMAT!r}")
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
    with opened(path, "FILE"):
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


def blocks_done(path: Path, layout: Layout, token: str) -> list[int]:
    """How many blocks each shard on disk says it holds."""
    done = []
    for shard in layout.shards:
        try:
            with h5py.File(shard_path(path, token, shard)) as file:
                done.append(int(file.attrs["done"]))
        except (OSError, KeyError):
            done.append(0)
    return done


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
                if variable.shape and not variable.is_scale
            },
            "counts": counts,
            "bytes": path.stat().st_size + sum(part.stat().st_size for part in parts),
            "writer": lock.holder(parts_folder(path) / LOCK),
            "attributes": attributes_of(file),
            "configuration": stored,
        }


def _points_done(path: Path, grid: Grid, stored: dict[str, Any]) -> int:
    layout = Layout(grid, (), stored["chunk"])
    done = blocks_done(path, layout, stored["token"])
    return sum(
        block.size
        for shard, number in zip(layout.shards, done, strict=True)
        for block in layout.members(shard, 0, number)
    )


def _axis(scale: h5py.Dataset) -> Axis:
    name = scale.name.strip("/")
    return Axis(name, scale[()], str(scale.attrs["long_name"]), str(scale.attrs["units"]))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
