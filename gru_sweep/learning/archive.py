"""The file of a training: netCDF-4 by xarray, sealed, replaced whole at every checkpoint.

The root holds what is about all networks, padded to the largest of them; a group `dim=2,seed=0` holds one
network, its parts as `systems.weights` reads them, its readout and its snapshots; the group `checkpoint`,
of an unfinished file, what the trainer goes on from.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..atlas import check
from ..records import InputError
from ..sweeps import atomic, lock
from ..sweeps.provenance import require_equal
from ..sweeps.reading import LOCK, followed, opened, parts_folder
from .reading import FORMAT, attributes

CHECKPOINT, STATE = "checkpoint", "state"
"""The group, and its one variable: a dataset for each of the trainer's arrays would take seconds to write."""


class Archive:
    """The one writer of one file, which holds a lock until it lets go; a context manager.

    `earlier` is the state to go on from (None: begin), `finished` says that nothing is left to do. Raises
    `InputError`, with nothing written: a file that exists without `resume` or `overwrite`, one that was made
    otherwise than `made_by` (JSON), one that is damaged or of another version, one that is being written.
    """

    def __init__(
        self, path: str | os.PathLike[str], made_by: Mapping[str, Any], *, resume: bool, overwrite: bool
    ):
        self.path, self.made_by = followed(path), json.loads(json.dumps(made_by, allow_nan=False))
        check(self.path, resume or overwrite)
        self._folder = parts_folder(self.path)
        self.earlier: dict[str, np.ndarray] | None = None
        self.attributes: dict[str, Any] = {}
        self.finished = False
        try:
            atomic.make_folder(self._folder)
            self._lock = lock.Lock(self._folder / LOCK)
        except lock.Held as held:
            raise InputError(
                "--out", "a file that nobody writes", f"{self.path}, which {held} does"
            ) from None
        except OSError as error:
            raise InputError("--out", "a folder that can be written", f"{self.path} ({error})") from None
        try:
            # Looked at again, because only now can no other writer change what is there.
            check(self.path, resume or overwrite)
            self._clear(overwrite)
            if resume and self.path.exists():
                self._resume()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go; leaves nothing but the file."""
        self._lock.release()
        atomic.remove_folder(self._folder)

    def write(self, groups: Mapping[str, xr.Dataset], attributes: Mapping[str, Any], complete: bool) -> None:
        """Replace the file; `groups` by name, "/" the root. `OSError` leaves what was there."""
        root = groups["/"].assign_attrs(
            {"file_format": FORMAT, **attributes, "complete": int(complete)},
        )
        root["settings"] = ((), json.dumps(self.made_by), {"long_name": "what was asked for, as JSON"})
        # In memory: HDF5 does not survive a disk that fills up while it closes a file.
        whole = xr.DataTree.from_dict({**groups, "/": root}).to_netcdf(engine="h5netcdf")
        atomic.write(self.path, bytes(whole), self._folder)

    def _clear(self, overwrite: bool) -> None:
        """Remove what killed writers left, and the shards of a sweep that is to be overwritten."""
        for part in self._folder.iterdir():
            if part == self._lock.path:
                continue
            if not overwrite and part.suffix != ".tmp":
                raise InputError(
                    "--out", "a new file, or --overwrite", f"{self._folder} with shards of a sweep"
                )
            atomic.remove_tree(part)

    def _resume(self) -> None:
        with opened(self.path, "--resume", FORMAT) as file:
            if not atomic.sound(self.path):  # without its seal, say
                raise InputError(
                    "--resume", "an undamaged file", f"{self.path}, changed since it was written"
                )
            require_equal(json.loads(file["settings"].asstr()[()]), self.made_by)
            self.attributes = attributes(file)
            self.finished = bool(self.attributes["complete"])
            if not self.finished:
                whole = io.BytesIO(file[CHECKPOINT][STATE][()].tobytes())
                with np.load(whole, allow_pickle=False) as arrays:
                    self.earlier = dict(arrays)


def checkpoint(state: Mapping[str, np.ndarray]) -> xr.Dataset:
    """The group of a trainer's state: its arrays, by name, as the bytes of a NumPy archive."""
    whole = io.BytesIO()
    np.savez(whole, **dict(state))  # type: ignore[arg-type]
    about = {"long_name": "what the trainer goes on from, a .npz archive"}
    return xr.Dataset({STATE: ("byte", np.frombuffer(whole.getvalue(), np.uint8), about)})
