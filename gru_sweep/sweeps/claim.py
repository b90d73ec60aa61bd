"""The right to write one file: refuses what is in the way, reads what can be continued, keeps others out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gru_sweep.records import InputError
from gru_sweep.sweeps import provenance
from gru_sweep.sweeps.lock import Held, Lock
from gru_sweep.sweeps.reading import LOCK, attributes_of, configuration, followed, opened, parts_folder


class Claim:
    """The one writer of one path, until `release`.

    `earlier` is what a file to be continued says of itself, None where there is none; `finished` says that
    there is nothing left to do at all, and then nothing was locked.
    """

    def __init__(self, path: str | Path, wanted: Mapping[str, Any], *, resume: bool, overwrite: bool):
        """Claim `path`, or raise `InputError` with nothing written and nothing lost.

        `wanted` is the configuration of what is to be written; its `made_by` must equal the stored one to
        resume, and its `chunk` if the stored one is unfinished.
        """
        self.path, self._wanted = followed(path), wanted
        self._lock: Lock | None = None
        if resume and overwrite:
            raise InputError("--resume", "either --resume or --overwrite", "both")
        if not self.path.parent.is_dir():
            raise InputError("--out", "a file in an existing folder", str(self.path))
        if self.path.is_dir():
            raise InputError("--out", "a file", f"a folder, {self.path}")
        self.earlier = self._earlier(resume, overwrite)
        self.finished = (
            self.earlier is not None and self.earlier["complete"] and not parts_folder(self.path).exists()
        )
        if self.finished:
            return
        self._take()
        try:
            # Looked at again, because only now can no other writer change what is there.
            self.earlier = self._earlier(resume, overwrite)
        except BaseException:
            self.release()
            raise

    def release(self, clear: bool = False) -> None:
        """Let go; with `clear` the shards go first. A second time does nothing."""
        if self._lock is None:
            return
        if clear:
            self.remove(None)
        self._lock.release()
        self._lock = None
        with suppress(OSError):  # the folder stays where it holds shards
            parts_folder(self.path).rmdir()

    def remove(self, token: str | None) -> None:
        """Remove leftovers of killed writers, and all shards but those of the sweep with this token."""
        for part in parts_folder(self.path).iterdir():
            ours = token is not None and part.name.startswith(token) and part.suffix != ".tmp"
            if part.name == LOCK or ours:
                continue
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()

    def _earlier(self, resume: bool, overwrite: bool) -> dict[str, Any] | None:
        """What a file to be resumed says of itself; None where there is none. Refuses what is in the way."""
        if overwrite:
            return None
        if not self.path.exists():
            if any(parts_folder(self.path).glob("*.h5")):
                raise InputError(
                    "--out", "a new file, or --overwrite", f"{parts_folder(self.path)} with old shards"
                )
            return None
        if not resume:
            raise InputError("--out", "a new file, or --resume, or --overwrite", f"{self.path}, which exists")
        with opened(self.path, "--resume") as file:
            stored: dict[str, Any] = {**configuration(file), "complete": bool(file.attrs["complete"])}
            stored["attributes"] = attributes_of(file)
            provenance.require_equal(stored["made_by"], self._wanted["made_by"])
            if not stored["complete"] and stored["chunk"] != self._wanted["chunk"]:
                raise InputError(
                    "--chunk", f"{stored['chunk']}, as the unfinished file has", self._wanted["chunk"]
                )
        return stored

    def _take(self) -> None:
        parts = parts_folder(self.path)
        try:
            parts.mkdir(exist_ok=True)
            self._lock = Lock(parts / LOCK)
        except Held as other:
            raise InputError(
                "--out", "a file that no other sweep writes", f"{self.path}, held by {other}"
            ) from None
        except OSError as error:
            with suppress(OSError):
                parts.rmdir()
            raise InputError("--out", "a folder that can be written", f"{self.path} ({error})") from None
