"""The HDF5 file of a sweep while it is written: created, resumed, committed to, finished.

FILE.h5.parts/ holds one immutable shard per run of blocks. FILE.h5 is an index over them (virtual datasets
with relative names; what is missing reads as fill), then, when all is done, one ordinary file.

Order of writing, so that a crash after any step loses nothing that was committed:
a new sweep puts its index first, then shards; `overwrite` puts its first shard first and only then its
index over the old file, whose shards go last; the finished file replaces the index, then the folder goes.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gru_sweep.records import Column, InputError
from gru_sweep.sweeps import atomic, index, provenance, schema
from gru_sweep.sweeps.claim import Claim
from gru_sweep.sweeps.grid import Block, Grid
from gru_sweep.sweeps.layout import Layout
from gru_sweep.sweeps.pack import pack
from gru_sweep.sweeps.points import Points
from gru_sweep.sweeps.reading import (
    count_flags,
    describe,
    open_dataset,
    opened,
    parts_folder,
    shard_path,
)
from gru_sweep.sweeps.schema import Labeller
from gru_sweep.sweeps.shards import Shard, verified

__all__ = ["Labeller", "Store", "describe", "open_dataset"]

SAVE_EVERY = 1.0
"""Seconds after which a shard of several blocks is committed before it is full."""


class Store(Claim):
    """The one writer of one file; a context manager that lets go of it at the end.

    `done` counts the points that are safe on disk; `finished` says that the file is one ordinary file.
    """

    def __init__(
        self,
        path: str | Path,
        grid: Grid | Points,
        columns: tuple[Column, ...],
        *,
        chunk: int,
        fingerprint: Mapping[str, Any],
        attributes: Mapping[str, Any],
        labeller: Labeller | None = None,
        resume: bool = False,
        overwrite: bool = False,
    ):
        """Claim `path`, or raise `InputError` with nothing written and nothing lost.

        `fingerprint` (JSON) is all that decides the values; to resume, it must equal the stored one.
        `attributes` are strings and numbers for readers; a resumed file keeps its first ones.
        """
        self.layout, self.labeller = Layout(grid, columns, chunk), labeller
        schema.check_attributes(attributes)
        if labeller is not None and not set(labeller.needs) <= {c.name for c in columns}:
            raise ValueError(f"{labeller.name} needs {labeller.needs}, not all of them columns")
        for name in ("configuration", *((labeller.name, f"{labeller.name}_class") if labeller else ())):
            if name in (*grid.names, *self.layout.extra, *(c.name for c in columns)):
                raise ValueError(f"{name} is a name that the file needs for itself")
        wanted: dict[str, Any] = {
            "made_by": provenance.made_by(fingerprint, self.layout),
            "axes": list(grid.names),
            "chunk": int(chunk),
            "token": uuid.uuid4().hex[:8],
        }
        self._shard: Shard | None = None
        self._waiting: bytes | None = None
        self._unsaved, self._saved_at, self._new = 0, 0.0, False
        self.done, self.damaged = 0, 0
        super().__init__(path, wanted, resume=resume, overwrite=overwrite)
        if self.finished:
            self.done = grid.size
            return
        try:
            self._start(attributes, self.earlier)
        except OSError as error:
            self.close()
            raise InputError("--out", "a folder that can be written", f"{self.path} ({error})") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def missing(self) -> Iterator[Block]:
        """The blocks still to compute, in the order in which `commit` wants them."""
        for shard, done in zip(self.layout.shards, self._blocks_done, strict=True):
            yield from self.layout.members(shard, done)

    def commit(self, block: Block, values: Mapping[str, np.ndarray], seconds: float) -> None:
        """Add the next missing block; `done` grows once its shard is on disk. `OSError` if that fails."""
        if self._shard is None:
            shard = self.layout.shard_of(block)
            self._shard = Shard(self._shard_path(shard), self.layout, shard)
            self._saved_at = time.monotonic()
        self._shard.add(block, values, seconds)
        self._blocks_done[self._shard.shard.index] += 1
        self._unsaved += block.size
        full = self._shard.done == self._shard.shard.size
        if full or time.monotonic() - self._saved_at > SAVE_EVERY:
            self.flush()
        if full:
            self._shard.close()
            self._shard = None

    def flush(self) -> None:
        """Commit the blocks that wait for their shard to fill."""
        if self._shard is None or not self._unsaved:
            return
        self._shard.save()
        if self._waiting is not None:
            atomic.write(self.path, self._waiting)
            self._waiting = None
            self.remove(self._token)
        self.done += self._unsaved
        self._unsaved, self._saved_at = 0, time.monotonic()

    def finish(self) -> None:
        """Turn the shards, all there, into one ordinary file; an `OSError` leaves index and shards alone."""
        beside = parts_folder(self.path) / "finished.tmp"
        try:
            pack(
                beside, self._shard_paths(), self.layout, self.labeller, self._attributes, self._configuration
            )
            atomic.publish(beside, self.path)
        finally:
            beside.unlink(missing_ok=True)
        self.finished = True

    def counts(self) -> dict[str, int]:
        """Points by the words of the column `status`, of a finished file; empty without such a column."""
        with opened(self.path, "--out") as file:
            return count_flags(file["status"]) if "status" in file else {}

    def close(self) -> None:
        """Let go. What was committed stays; a new sweep that committed nothing leaves nothing."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None
        empty = self._new and not self.done
        if empty:
            self.path.unlink(missing_ok=True)
        self.release(clear=self.finished or empty)

    def _require_room(self) -> None:
        """Shards and finished file stand side by side for a moment; what is there tells the whole size."""
        total, there = self.layout.grid.size, 0
        for path in self._shard_paths():
            there += path.stat().st_size if path.exists() else 0
        whole = there * total / self.done if self.done else self.layout.estimated_bytes()
        needed, free = 2 * whole - there, shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise InputError(
                "--out",
                f"a sweep that fits on the disk ({free / 1e9:.3g} GB free)",
                f"one that needs {needed / 1e9:.3g} GB more",
            )

    def _start(self, attributes: Mapping[str, Any], earlier: dict[str, Any] | None) -> None:
        if earlier is not None and earlier["complete"]:
            # Its writer was killed before it could remove the shards: `close` does.
            self.done, self.finished = self.layout.grid.size, True
            return
        self._token = (earlier or self._wanted)["token"]
        self._configuration = json.dumps({**self._wanted, "token": self._token})
        self._new = earlier is None and not self.path.exists()
        self._blocks_done = [self._trusted(shard) for shard in self.layout.shards]
        for shard, done in zip(self.layout.shards, self._blocks_done, strict=True):
            self.done += sum(block.size for block in self.layout.members(shard, 0, done))
        self._require_room()
        if earlier is None:
            self._attributes = provenance.begun(attributes)
        else:
            self._attributes = provenance.resumed(
                earlier["attributes"], attributes, self.done, self.layout.grid.size
            )
        regions = [self.layout.region(shard) for shard in self.layout.shards]
        content = index.image(
            list(zip(self._shard_paths(), regions, strict=True)),
            self.layout,
            self.labeller,
            self._attributes,
            self._configuration,
        )
        self._waiting = content if earlier is None and not self._new else None
        if self._waiting is None:
            atomic.write(self.path, content)
            self.remove(self._token)

    def _trusted(self, shard: Block) -> int:
        path = self._shard_path(shard)
        done = verified(path, shard.size)
        if path.exists() and not done:
            self.damaged += 1
            path.unlink()
        return done

    def _shard_path(self, shard: Block) -> Path:
        return shard_path(self.path, self._token, shard)

    def _shard_paths(self) -> list[Path]:
        return [self._shard_path(shard) for shard in self.layout.shards]
