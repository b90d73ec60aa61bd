"""What is in a sweep's file: its structure and, block by block, flags, relations between columns, labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..sweeps.damage import where
from ..sweeps.grid import Axis, Block, Blocks, Grid
from ..sweeps.layout import Layout
from ..sweeps.reading import on_disk, parts_folder, piece_path, shard_path
from ..sweeps.schema import FORMAT, Labeller
from . import relations

BLOCK = 2**16
"""Points that are read together, at least: a sweep may have been cut into blocks of a few."""


class Tally:
    """How many points there are of which something is wrong, and where the first one is."""

    def __init__(self) -> None:
        self.count, self.first = 0, ""

    def add(self, dataset: h5py.Dataset, block: Block, wrong: np.ndarray) -> None:
        """Enter the points (n,) of a block."""
        found = np.flatnonzero(wrong)
        if found.size and not self.count:
            self.first = where(dataset, point(block, int(found[0])))
        self.count += found.size

    def __str__(self) -> str:
        return f"{self.count} points, the first at {self.first}"


class Contents:
    """The columns of an open file, and what is wrong with them after `read`.

    `computed` are points of each block that are not `not_computed`, `unreadable` what could not be read.
    """

    def __init__(
        self, file: h5py.File, stored: Mapping[str, Any], labeller: Labeller | None, damaged: bool = False
    ):
        """`stored` is the file's configuration; without a `labeller` labels are not looked at.

        Of a `damaged` file as few points as possible are read together, so that few are lost together.
        """
        self.file, self.labeller, self.status = file, labeller, file["status"]
        self.columns = [name for name in stored["made_by"]["columns"] if name in file]
        chunk = int(stored["chunk"])
        self.blocks = Blocks(self.status.shape, chunk if damaged else max(chunk, BLOCK))
        self.relations = relations.of(self.columns)
        self.computed: list[int] = []
        self.unreadable: list[str] = []
        self.flags: dict[str, Tally] = {}
        self.broken: dict[str, Tally] = {}
        self.mislabelled = Tally()
        self.classes: list[str] = []
        self._used: set[int] = set()
        if labeller is not None:
            self.classes = [str(word) for word in file[f"{labeller.name}_class"].asstr()[()]]

    def values(self, names: list[str], block: Block) -> dict[str, np.ndarray]:
        """Columns of a block, each (n, ...)."""
        n = self.status.ndim
        return {
            name: self.file[name][block.slices].reshape(block.size, *self.file[name].shape[n:])
            for name in names
        }

    def read(self, advance: Callable[[int], None]) -> None:
        """Look at every point; memory is bounded by a block."""
        flagged = [name for name in self.columns if "flag_values" in self.file[name].attrs]
        needed = {"status", *flagged, *(name for one in self.relations for name in one.needs)}
        if self.labeller is not None:
            needed |= {self.labeller.name, *self.labeller.needs}
        for block in self.blocks:
            try:
                values = self.values(sorted(needed), block)
            except OSError:
                self.unreadable.append(where(self.status, block.slices))
                self.computed.append(0)
                continue
            self.computed.append(int(np.sum(values["status"] >= 0)))
            for name in flagged:
                known = self.file[name].attrs["flag_values"]
                wrong = np.asarray((~np.isin(values[name], known)).reshape(block.size, -1).any(axis=1))
                self.flags.setdefault(name, Tally()).add(self.status, block, wrong)
            for one in self.relations:
                self.broken.setdefault(one.words, Tally()).add(self.status, block, one.broken(values))
            if self.labeller is not None:
                self._compare(block, values)
            advance(block.size)

    def words(self, codes: np.ndarray) -> np.ndarray:
        """The labels (n,) that codes (n,) stand for; `?` for a code that stands for nothing."""
        table = np.array(["", *self.classes, "?"], dtype=np.str_)
        listed = (codes >= -1) & (codes < len(self.classes))
        return table[np.where(listed, codes + 1, -1)]

    def unused(self) -> list[str]:
        """The classes that no point has, after `read`."""
        return [word for code, word in enumerate(self.classes) if code not in self._used]

    def drawn(self, sample: int, seed: int) -> Iterator[tuple[Block, np.ndarray]]:
        """At most `sample` computed points, each as likely: blocks, and places (k,) in them."""
        ends = np.cumsum(self.computed)
        total = int(ends[-1])
        rng = np.random.default_rng(seed)
        ranks = np.sort(rng.choice(total, min(sample, total), replace=False, shuffle=False))
        home = np.searchsorted(ends, ranks, side="right")
        for number in np.unique(home).tolist():
            block, before = self.blocks[number], int(ends[number]) - self.computed[number]
            there = np.flatnonzero(self.values(["status"], block)["status"] >= 0)
            yield block, there[ranks[home == number] - before]

    def _compare(self, block: Block, values: dict[str, np.ndarray]) -> None:
        assert self.labeller is not None
        codes = values[self.labeller.name]
        self._used.update(np.unique(codes).tolist())
        try:
            wrong = np.asarray(self.labeller.function(values), dtype=np.str_) != self.words(codes)
        except Exception:  # of what kind depends on what the columns say that cannot be
            wrong = np.ones(block.size, bool)
        self.mislabelled.add(self.status, block, wrong)


def misbuilt(file: h5py.File, columns: Mapping[str, str]) -> list[str]:
    """What is not as readers rely on: a format, a scale for each axis, every column as it should be.

    `columns` are those that the file says it has, beyond the grid: `int8 (slot) [16]`; none but of a sweep.
    """
    wrong = []
    if columns and file.attrs.get("file_format") != FORMAT:
        wrong.append(f"file_format is not {FORMAT!r}")
    for name, variable in file.items():
        if isinstance(variable, h5py.Dataset) and variable.shape and not variable.is_scale:
            bare = [place for place, dim in enumerate(variable.dims) if not len(dim)]
            wrong += [f"{name}: axis {place} has no scale" for place in bare]
    shape = file["status"].shape if "status" in file else ()
    for name, expected in columns.items():
        if name not in file:
            wrong.append(f"{name} is missing")
            continue
        found, n = file[name], len(shape)
        dims = ", ".join(dim[0].name.strip("/") for dim in [*found.dims][n:] if len(dim))
        got = f"{found.dtype} ({dims}) {[*found.shape[n:]]}"
        if got != expected or found.shape[:n] != shape:
            wrong.append(f"{name} is {got} over {found.shape[:n]}, not {expected} over {shape}")
    return wrong


def parts(path: Path, file: h5py.File, stored: Mapping[str, Any]) -> Iterator[tuple[Path, Block | None]]:
    """The files of an unfinished sweep and the region of the grid that each holds, where it is known."""
    token = str(stored["token"])
    if "refine" in stored:
        folder = parts_folder(path)
        rounds = [*folder.glob(f"{token}-*.h5"), *folder.glob(f"{token}-*.h5.parts/*.h5")]
        yield from ((part, None) for part in sorted(rounds))
        return
    grid = Grid(tuple(Axis(name, file[name][()]) for name in stored["axes"]))
    layout = Layout(grid, (), stored["chunk"])
    shards, blocks = on_disk(path, token)
    for shard in (layout.shards[number] for number in sorted(shards)):
        yield shard_path(path, token, shard), layout.region(shard)
    for block in (layout.blocks[number] for number in sorted(blocks)):
        shard = layout.shard_of(block)
        if shard.index not in shards:  # else it is about to go
            yield piece_path(path, token, shard, block), block


def point(block: Block, place: int) -> tuple[slice, ...]:
    """What selects one point of a block from the whole."""
    index = np.unravel_index(place, block.shape)
    return tuple(slice(a + int(i), a + int(i) + 1) for a, i in zip(block.start, index, strict=True))
