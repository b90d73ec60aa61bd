"""The right to write one file: refuses what is in the way, reads what can be continued, keeps others out.

A sweep has one writer, or the jobs of an array, each the one writer of its share. Writers hold the file
`lock` among the shards: alone, or shared by jobs, each of which also holds the lock of its share.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gru_sweep.records import InputError
from gru_sweep.sweeps import atomic, provenance
from gru_sweep.sweeps.lock import Held, Lock
from gru_sweep.sweeps.reading import LOCK, attributes_of, configuration, followed, opened, parts_folder


class Share(NamedTuple):
    """The part of a sweep that one job of an array computes: the blocks with number = `job` mod `jobs`."""

    job: int
    jobs: int

    @classmethod
    def parse(cls, text: str) -> Share:
        """`I/N`; I counts from 0 or from 1, since N stands for 0."""
        job, slash, jobs = text.partition("/")
        try:
            i, n = int(job), int(jobs)
            if not (slash and 0 <= i <= n and n > 0):
                raise ValueError
        except ValueError:
            raise InputError("shard", "I/N with I from 1 to N (or from 0 to N - 1)", text) from None
        return cls(i % n, n)


class Claim:
    """The one writer of one path, or of a share of it, until `release`.

    `earlier` is what a file to be continued says of itself, None where there is none; `finished` says that
    there is nothing left to do at all, and then nothing was locked. `token` names the sweep's shards.
    """

    def __init__(
        self,
        path: str | Path,
        wanted: Mapping[str, Any],
        *,
        resume: bool,
        overwrite: bool,
        share: Share | None = None,
    ):
        """Claim `path`, or raise `InputError` with nothing written and nothing lost.

        `wanted` is the configuration of what is to be written; its `made_by` must equal the stored one to
        resume, and its `chunk` if the stored one is unfinished. A `share` goes on with what there is.
        """
        self.path, self.share, self._wanted = followed(path), share, wanted
        self._locks: list[Lock] = []
        self._creating: Lock | None = None
        self.rescued = False
        if overwrite and (resume or share is not None):
            other = "--resume" if resume else "--shard"
            raise InputError(other, f"either {other} or --overwrite", "both")
        if not self.path.parent.is_dir():
            raise InputError("--out", "a file in an existing folder", str(self.path))
        if self.path.is_dir():
            raise InputError("--out", "a file", f"a folder, {self.path}")
        resume = resume or share is not None
        self.earlier = self._earlier(resume, overwrite)
        self.finished = (
            self.earlier is not None and self.earlier["complete"] and not parts_folder(self.path).exists()
        )
        self.token = self._token()
        if self.finished:
            return
        self._take()
        try:
            # Looked at again, because only now can no other writer change what is there.
            self.earlier = self._earlier(resume, overwrite)
            self.token = self._token()
        except BaseException:
            self.release()
            raise

    def created(self) -> None:
        """The index is there: other jobs of the array may look at it."""
        if self._creating is not None:
            self._creating.release()
            self._creating = None

    def release(self, clear: bool = False) -> None:
        """Let go; with `clear` the shards go first. A second time does nothing."""
        self.created()
        if not self._locks:
            return
        if clear:
            with suppress(OSError):  # leftovers are removed by whoever comes next
                self.remove(None)
        while self._locks:
            self._locks.pop().release()
        atomic.remove_folder(parts_folder(self.path))  # it stays where it holds shards

    def remove(self, token: str | None) -> None:
        """Remove leftovers of killed writers, and all shards but those of the sweep with this token."""
        held = {lock.path for lock in self._locks}
        for part in parts_folder(self.path).iterdir():
            ours = token is not None and part.name.startswith(token) and part.suffix != ".tmp"
            if part not in held and not ours:
                atomic.remove_tree(part)

    def _earlier(self, resume: bool, overwrite: bool) -> dict[str, Any] | None:
        """What a file to be resumed says of itself; None where there is none. Refuses what is in the way."""
        if overwrite:
            return None
        self.rescued = False
        if not self.path.exists():
            if any(parts_folder(self.path).glob("*.h5")):
                self._rescue(
                    resume,
                    "--out",
                    "a new file, or --overwrite",
                    f"{parts_folder(self.path)} with old shards",
                )
            return None
        if not resume:
            raise InputError("--out", "a new file, or --resume, or --overwrite", f"{self.path}, which exists")
        try:
            with opened(self.path, "--resume") as file:
                stored: dict[str, Any] = {**configuration(file), "complete": bool(file.attrs["complete"])}
                stored["attributes"] = attributes_of(file)
            if atomic.sealed(self.path) and not atomic.sound(self.path):
                raise InputError(
                    "--resume", "an undamaged file", f"{self.path}, changed since it was written"
                )
        except InputError as error:
            self._rescue(resume, error.argument, error.expected, error.got)
            return None
        except (KeyError, ValueError, TypeError, OSError) as error:
            self._rescue(resume, "--resume", "an undamaged file", f"{self.path} ({error})")
            return None
        provenance.require_equal(stored["made_by"], self._wanted["made_by"])
        if not stored["complete"] and stored["chunk"] != self._wanted["chunk"]:
            raise InputError(
                "--chunk", f"{stored['chunk']}, as the unfinished file has", self._wanted["chunk"]
            )
        return stored

    def _rescue(self, resume: bool, argument: str, expected: str, got: Any) -> None:
        """The index is to be written anew, where there are shards of just this sweep; else refuses."""
        if not resume or len(self._tokens()) != 1:
            raise InputError(argument, expected, got)
        self.rescued = True

    def _token(self) -> str:
        if self.earlier is not None:
            return str(self.earlier["token"])
        return self._tokens().pop() if self.rescued else self._digest() + uuid.uuid4().hex[:4]

    def _tokens(self) -> set[str]:
        """Of the shards that are there, made by what is wanted."""
        return {part.name.split("-")[0] for part in parts_folder(self.path).glob(f"{self._digest()}*.h5")}

    def _digest(self) -> str:
        about = json.dumps([self._wanted["made_by"], self._wanted["chunk"]], sort_keys=True)
        return hashlib.sha256(about.encode()).hexdigest()[:12]

    def _take(self) -> None:
        parts = parts_folder(self.path)
        try:
            atomic.make_folder(parts)
            self._locks.append(Lock(parts / LOCK, shared=self.share is not None))
            if self.share is not None:
                self._locks.append(Lock(parts / f"{LOCK}-{self.share.job}-of-{self.share.jobs}"))
                self._creating = Lock(parts / f"{LOCK}-creating", wait=True)
        except Held as other:
            self.release()
            raise InputError(
                "--out", "a file that no other sweep writes", f"{self.path}, held by {other}"
            ) from None
        except OSError as error:
            self.release()
            with suppress(OSError):
                parts.rmdir()
            raise InputError("--out", "a folder that can be written", f"{self.path} ({error})") from None
