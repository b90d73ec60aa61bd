"""What is in a training's file, finished or not, and how far it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py

from ..sweeps import lock
from ..sweeps.reading import LOCK, attributes_of, count_flags, followed, opened, parts_folder

FORMAT = "gru_sweep training 1"
"""The attribute `file_format`; a checkpoint of another one is not understood."""


def is_training(path: str | os.PathLike[str]) -> bool:
    """Whether `train` wrote this file of ours. Refused: other files."""
    with opened(followed(path), "FILE", None, looked_over=False) as file:
        return bool(file.attrs["file_format"] == FORMAT)


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What is in the file, how far it is, how it was made; JSON-ready.

    Keys: file, complete, points (networks), epochs (of each), done (epochs of each), axes, variables, counts
    (networks by status, when it is finished), diverged (networks), bytes, writer (who is at work on it, or
    None), attributes, settings (what a resumed run must ask for, too).
    """
    path = followed(path)
    with opened(path, "FILE", FORMAT) as file:
        diverged = file["diverged"]
        return {
            "file": str(path),
            "complete": bool(attributes(file)["complete"]),
            "points": int(diverged.size),
            "epochs": int(attributes(file)["epochs"]),
            "done": int(file["epoch"].size),
            "axes": {dim[0].name.strip("/"): _axis(dim[0]) for dim in diverged.dims},
            "variables": {
                name: {
                    "dims": [Path(dim[0].name).name for dim in variable.dims],
                    "dtype": "string" if variable.dtype.kind == "O" else str(variable.dtype),
                    "long_name": str(variable.attrs.get("long_name", "")),
                    "units": str(variable.attrs.get("units", "1")),
                }
                for name, variable in file.items()
                if isinstance(variable, h5py.Dataset)
                and variable.shape
                and variable.attrs.get("CLASS") != b"DIMENSION_SCALE"
            },
            "counts": count_flags(file["status"]) if "status" in file else {},
            "diverged": int((diverged[()] >= 0).sum()),
            "bytes": path.stat().st_size,
            "writer": lock.holder(parts_folder(path) / LOCK),
            "attributes": attributes(file),
            "settings": json.loads(file["settings"].asstr()[()]),
        }


def attributes(file: h5py.File) -> dict[str, Any]:
    """The global attributes but for the library's own; netCDF-4 has numbers as arrays of one."""
    return {
        name: value[0] if isinstance(value, list) else value
        for name, value in attributes_of(file).items()
        if not name.startswith("_NC")
    }


def _axis(scale: h5py.Dataset) -> dict[str, Any]:
    return {"values": scale[()].tolist(), "long_name": str(scale.attrs["long_name"])}
