"""The file of a refined sweep while it is written: rounds of points, each an ordinary sweep among the shards.

FILE.h5.parts/ holds one file for each round, TOKEN-NNN.h5, and what belongs to the one that is being written.
FILE.h5 is an index over them, written anew when the next round's points are known, then one ordinary file.
Which points a round has follows from the values of those before it, so that nothing else need be kept.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gru_sweep.records import Column, InputError
from gru_sweep.sweeps import atomic, index, provenance, refined_schema, schema
from gru_sweep.sweeps.claim import Claim
from gru_sweep.sweeps.grid import Block, Blocks
from gru_sweep.sweeps.joining import join
from gru_sweep.sweeps.layout import Layout
from gru_sweep.sweeps.points import FineGrid, Points
from gru_sweep.sweeps.reading import opened, parts_folder
from gru_sweep.sweeps.schema import Labeller
from gru_sweep.sweeps.store import Store
from gru_sweep.sweeps.tree import Leaves


class RefinedStore(Claim):
    """The one writer of one refined file; a context manager that lets go of it at the end.

    `index` (n, axes) are the points of all rounds so far, `done` counts those of the rounds that are whole,
    `safe` all that are on disk.
    """

    def __init__(
        self,
        path: str | Path,
        fine: FineGrid,
        columns: tuple[Column, ...],
        *,
        chunk: int,
        fingerprint: Mapping[str, Any],
        attributes: Mapping[str, Any],
        labeller: Labeller | None = None,
        resume: bool = False,
        overwrite: bool = False,
    ):
        """Claim `path` as `Store` does, and refuse what it refuses."""
        self.fine, self.columns, self.chunk, self.labeller = fine, tuple(columns), int(chunk), labeller
        self.index = np.empty((0, len(fine.root.axes)), np.int64)
        self.done, self.damaged = 0, 0
        self._new = self._over = False
        self._rounds: list[Path] = []
        self._sizes: list[int] = []
        self._part: Store | None = None
        schema.check_attributes(attributes)
        if not {"status", *(labeller.needs if labeller else ())} <= {column.name for column in columns}:
            raise ValueError(
                "a refined sweep needs the column status, and those that its labels are read off"
            )
        attributes = {**attributes, "refine": int(fine.levels), "axes": " ".join(fine.root.names)}
        root = Layout(fine.root, columns, chunk)
        used = [*fine.root.names, *schema.described(root, labeller), *root.extra, "configuration"]
        used += [*refined_schema.names(fine), *([f"{labeller.name}_class"] if labeller is not None else [])]
        if len(set(used)) < len(used):
            raise ValueError(f"names are used twice: {', '.join(sorted(used))}")
        wanted: dict[str, Any] = {
            "made_by": provenance.made_by({**fingerprint, "refine": int(fine.levels)}, root),
            "axes": list(fine.root.names),
            "chunk": self.chunk,
            "refine": int(fine.levels),
        }
        super().__init__(path, wanted, resume=resume, overwrite=overwrite)
        if self.finished:
            return
        try:
            self._start(attributes, wanted)
        except BaseException:
            self.release()
            raise

    def __enter__(self) -> RefinedStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def safe(self) -> int:
        """Points on disk, with those of the round that is being written."""
        return self.done + (self._part.done if self._part is not None else 0)

    @contextmanager
    def round(self, points: np.ndarray) -> Iterator[Store]:
        """The store of the next round, of `points` (n, axes), to be filled; made whole at the end.

        `OSError` where the disk has no room for it.
        """
        path = parts_folder(self.path) / f"{self.token}-{len(self._rounds):03d}.h5"
        self.index = np.concatenate([self.index, points])
        self._rounds.append(path)
        self._sizes.append(len(points))
        if not self._over:
            self._put_index()
        drawn = {"round": len(self._rounds), "points": zlib.crc32(points.astype("<i8").tobytes())}
        try:
            part = Store(
                path,
                Points(self.fine, points),
                self.columns,
                chunk=self.chunk,
                fingerprint=drawn,
                attributes={},
                resume=True,
            )
        except InputError as error:
            if self.done and error.argument == "--out":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise
        with part:
            self._part = part
            if self._over:
                part.taking_over = self._take_over
            yield part
            if not part.finished:
                part.finish()
        self._part = None
        self.done += len(points)

    def values(self, names: tuple[str, ...]) -> Iterator[dict[str, np.ndarray]]:
        """Columns of the last round, block by block."""
        with h5py.File(self._rounds[-1]) as file:
            for block in Blocks((file["status"].size,), self.chunk):
                yield {name: file[name][block.slices] for name in names}

    def finish(self, leaves: Leaves, classes: list[str], label: np.ndarray, about: Mapping[str, Any]) -> None:
        """Turn the rounds into one ordinary file; an `OSError` leaves index and rounds alone.

        `label` (n,) is the place of each point's label in `classes`; `about` are attributes.
        """
        points = Points(self.fine, self.index)
        with atomic.writing(self.path, parts_folder(self.path)) as place:
            join(
                place,
                self._parts(),
                points,
                Layout(points, self.columns, self.chunk),
                self.labeller,
                classes,
                label,
                leaves,
                {**self._attributes, **about},
                self._configuration,
            )
        self.finished = True

    def close(self) -> None:
        """Let go. What was committed stays; a new sweep that committed nothing leaves nothing."""
        empty = not self.finished and self._new and not self.safe
        if empty:
            with suppress(OSError):  # as in `Store`
                atomic.remove(self.path)
        self.release(clear=self.finished or empty)

    def _start(self, attributes: Mapping[str, Any], wanted: dict[str, Any]) -> None:
        earlier = self.earlier
        self._new = earlier is None and not self.path.exists() and not self.rescued
        self._over = earlier is None and not self._new and not self.rescued
        if earlier is not None and earlier["complete"]:
            # Its writer was killed before it could remove the rounds: `close` does.
            self.finished = True
            return
        self._configuration = json.dumps({**wanted, "token": self.token})
        self._indexed = 0
        if earlier is None:
            self._attributes = provenance.begun(attributes)
        else:
            with opened(self.path, "--resume") as file:
                self._indexed = file["status"].size
        done = 0
        for path in parts_folder(self.path).glob(f"{self.token}-*.h5"):
            if atomic.sound(path):
                done += _points(path)
                continue
            atomic.remove(path)  # its shards, if it was not whole yet, are looked at one by one
            self.damaged += 1
        if earlier is not None:
            self._attributes = provenance.resumed(earlier["attributes"], attributes, done, self._indexed)

    def _take_over(self) -> None:
        self._put_index()
        self._over = False
        self.remove(self.token)

    def _put_index(self) -> None:
        if len(self.index) <= self._indexed:
            return
        layout = Layout(Points(self.fine, self.index), self.columns, self.chunk)
        content = index.image(self._parts(), layout, self.labeller, self._attributes, self._configuration)
        atomic.write(self.path, content, parts_folder(self.path))
        self._indexed = len(self.index)

    def _parts(self) -> list[tuple[Path, Block]]:
        """The file of each round, and its region of all points."""
        starts = itertools.accumulate(self._sizes, initial=0)
        return [
            (path, Block(number, (start,), (size,)))
            for number, (path, start, size) in enumerate(zip(self._rounds, starts, self._sizes))
        ]


def _points(path: Path) -> int:
    """How many points of a round are there; 0 where its shards cannot be read."""
    try:
        with h5py.File(path) as file:
            return int(np.sum(file["status"][()] >= 0))
    except OSError:
        return 0
