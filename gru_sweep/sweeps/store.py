"""The HDF5 file of a sweep while it is written: created, resumed, committed to, finished.

FILE.h5.parts/ holds one immutable piece per block, and one shard per run of blocks that are all there.
FILE.h5 is an index over the shards (virtual datasets with relative names; what is missing reads as fill),
then, when all is done, one ordinary file.

Order of writing, so that a crash after any step loses nothing that was committed:
a new sweep puts its index first, then pieces; `overwrite` puts its first piece first and only then its
index over the old file, whose shards go last; pieces go when their shard is there; the finished file
replaces the index, then the folder goes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gru_sweep.records import Column, InputError
from gru_sweep.sweeps import atomic, index, pieces, provenance, schema
from gru_sweep.sweeps.claim import Claim, Share
from gru_sweep.sweeps.grid import Block, Grid
from gru_sweep.sweeps.layout import Layout
from gru_sweep.sweeps.lock import Held, Lock
from gru_sweep.sweeps.pack import pack
from gru_sweep.sweeps.points import Points
from gru_sweep.sweeps.reading import (
    LOCK,
    bytes_of,
    configuration,
    count_flags,
    describe,
    on_disk,
    open_dataset,
    opened,
    parts_folder,
    piece_path,
    shard_path,
)
from gru_sweep.sweeps.schema import Labeller

__all__ = ["Labeller", "Share", "Store", "describe", "is_finished", "open_dataset", "stored_chunk"]


class Store(Claim):
    """The one writer of one file, or of a share of it; a context manager that lets go of it at the end.

    `done` counts those points that are safe on disk, of `total` that are its own; `finished` says that the
    file is one ordinary file. `taking_over`, if there is one, is called when the first block is on disk, to
    put the index over what is overwritten.
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
        share: Share | None = None,
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
        }
        self.taking_over: Callable[[], None] | None = None
        self._new = False
        self._shards: set[int] = set()
        self._pieces: set[int] = set()
        self._left: dict[int, int] = {}  # own blocks that are not on disk, of shards that have some
        self.done, self.damaged = 0, 0
        super().__init__(path, wanted, resume=resume, overwrite=overwrite, share=share)
        if self.finished:
            self.done = self.total
            return
        try:
            self._start(attributes, self.earlier)
            self.created()
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

    @cached_property
    def total(self) -> int:
        """The points of the store's share."""
        return self.layout.grid.size if self.share is None else sum(block.size for block in self._own())

    @property
    def whole(self) -> bool:
        """Whether every block of the whole sweep is on disk."""
        return self.finished or all(self._there(shard) for shard in self.layout.shards)

    def missing(self) -> Iterator[Block]:
        """The blocks still to compute."""
        return (block for block in self._own() if not self._known(block))

    def place(self, block: Block) -> Path:
        """Where the piece of a block belongs."""
        return piece_path(self.path, self.token, self.layout.shard_of(block), block)

    def commit(self, block: Block, values: Mapping[str, np.ndarray], seconds: float) -> None:
        """Put a block on disk. `OSError` if that fails, `ValueError` for values that do not fit."""
        atomic.write(self.place(block), pieces.image(self.layout.form, block.shape, values, seconds))
        self.enter(block)

    def enter(self, block: Block) -> None:
        """The piece of a block is on disk, whoever wrote it: it counts as done."""
        if self._known(block):
            return
        shard = self.layout.shard_of(block)
        if self.taking_over is not None:
            self.taking_over()
            self.taking_over = None
        if shard.size == 1:
            self._shards.add(shard.index)
        else:
            self._pieces.add(block.index)
        self.done += block.size
        if shard.index not in self._left:
            self._left[shard.index] = sum(not self._known(own) for own in self._own(shard)) + 1
        self._left[shard.index] -= 1
        if not self._left[shard.index]:
            self._gather(shard)

    def finish(self) -> None:
        """Turn the shards, all there, into one ordinary file; an `OSError` leaves index and shards alone."""
        for shard in self.layout.shards:
            self._gather(shard)
        with atomic.writing(self.path, parts_folder(self.path)) as place:
            pack(
                place, self._shard_paths(), self.layout, self.labeller, self._attributes, self._configuration
            )
        self.finished = True

    def counts(self) -> dict[str, int]:
        """Points by the words of the column `status`; empty without such a column."""
        with opened(self.path, "--out") as file:
            return count_flags(file["status"]) if "status" in file else {}

    def close(self) -> None:
        """Let go. What was committed stays; a new sweep that committed nothing leaves nothing."""
        empty = self._new and not self.done and self.share is None
        if empty:
            with suppress(OSError):  # a disk that can only be read now: what stopped the sweep says so
                atomic.remove(self.path)
        self.release(clear=(self.finished and self.share is None) or empty)

    def _own(self, *shards: Block) -> Iterator[Block]:
        """The blocks of this store's share, shard by shard, of some shards or of all."""
        job, jobs = self.share or (0, 1)
        for shard in shards or self.layout.shards:
            for block in self.layout.members(shard):
                if block.index % jobs == job:
                    yield block

    def _found(self) -> Iterator[Block]:
        """The blocks of this store's share that are on disk, in as many steps as there are of them."""
        for number in self._shards:
            yield from self._own(self.layout.shards[number])
        yield from (self.layout.blocks[number] for number in self._pieces)

    def _known(self, block: Block) -> bool:
        return block.index in self._pieces or self.layout.shard_of(block).index in self._shards

    def _there(self, shard: Block) -> bool:
        """Whether all blocks of a shard are on disk, whoever wrote them."""
        if shard.index in self._shards:
            return True
        members = self.layout.members(shard)
        if self.share is None:
            return all(block.index in self._pieces for block in members)
        whole = shard_path(self.path, self.token, shard)
        return whole.exists() or all(self.place(block).exists() for block in members)

    def _gather(self, shard: Block) -> None:
        """Make one file of a shard's pieces when all are there, and remove them."""
        if shard.size == 1 or shard.index in self._shards or not self._there(shard):
            return
        target = shard_path(self.path, self.token, shard)
        try:
            merging = Lock(parts_folder(self.path) / f"{LOCK}-merging") if self.share is not None else None
        except Held:
            return  # another job is at it, or at another shard: whoever ends the sweep does the rest
        try:
            found = [(self.place(block), block) for block in self.layout.members(shard)]
            if not target.exists():
                # The seal of a shard would vouch for pieces of other jobs that nobody has looked at.
                others = [path for path, block in found if block.index not in self._pieces]
                if [path for path in others if not self._trusted(path)]:
                    return
                pieces.merge(target, self.layout, shard, found)
            for path, _ in found:
                atomic.remove(path)
        finally:
            if merging is not None:
                merging.release()
        self._shards.add(shard.index)
        self._pieces.difference_update(block.index for block in self.layout.members(shard))

    def _require_room(self) -> None:
        """Shards and finished file stand side by side for a moment; what is there tells the whole size."""
        there = bytes_of(parts_folder(self.path).glob(f"{self.token}-*.h5"))
        size, done = self.layout.grid.size, self.done
        whole = there * size / done if done and self.share is None else self.layout.estimated_bytes()
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
            self.done, self.finished = self.total, True
            return
        self._configuration = json.dumps({**self._wanted, "token": self.token})
        self._new = earlier is None and not self.path.exists() and not self.rescued
        self._look()
        self._require_room()
        if earlier is None:
            self._attributes = provenance.begun(attributes)
        else:
            self._attributes = provenance.resumed(
                earlier["attributes"], attributes, self.done, self.layout.grid.size
            )
        if self.share is not None and earlier is not None:
            return
        regions = [self.layout.region(shard) for shard in self.layout.shards]
        content = index.image(
            list(zip(self._shard_paths(), regions, strict=True)),
            self.layout,
            self.labeller,
            self._attributes,
            self._configuration,
        )
        over = earlier is None and not self._new and not self.rescued
        if over:
            self.taking_over = lambda: self._take_over(content)
        else:
            self._put(content)
        if not over and self.share is None:
            self.remove(self.token)

    def _look(self) -> None:
        """Find what is on disk. What is damaged goes, and so do pieces whose shard is there."""
        shards, blocks = on_disk(self.path, self.token)
        for number in sorted(shards):
            if self._trusted(shard_path(self.path, self.token, self.layout.shards[number])):
                self._shards.add(number)
        for number in sorted(blocks):
            block = self.layout.blocks[number]
            if self.share is not None and number % self.share.jobs != self.share.job:
                continue
            home = self.layout.shard_of(block)
            if home.index in self._shards:
                atomic.remove(self.place(block))
            elif self._trusted(self.place(block)):
                self._pieces.add(number)
            elif shard_path(self.path, self.token, home).exists():
                self._shards.add(home.index)  # another job merged it meanwhile
        self.done = sum(block.size for block in self._found())
        for shard in self.layout.shards:
            self._gather(shard)

    def _trusted(self, path: Path) -> bool:
        if atomic.sound(path):
            return True
        self.damaged += path.exists()
        atomic.remove(path)
        return False

    def _take_over(self, content: bytes) -> None:
        self._put(content)
        self.remove(self.token)

    def _put(self, content: bytes) -> None:
        atomic.write(self.path, content, parts_folder(self.path))

    def _shard_paths(self) -> list[Path]:
        return [shard_path(self.path, self.token, shard) for shard in self.layout.shards]


def is_finished(path: str | Path) -> bool:
    """Whether there is one ordinary file; False also where it cannot be read."""
    try:
        with opened(Path(path), "--resume") as file:
            return bool(file.attrs["complete"])
    except (InputError, KeyError):
        return False


def stored_chunk(path: str | Path) -> int | None:
    """The chunk of an unfinished file, None where there is none or it cannot be read."""
    try:
        with opened(Path(path), "--resume") as file:
            return None if file.attrs["complete"] else int(configuration(file)["chunk"])
    except (InputError, KeyError, ValueError, TypeError):
        return None
