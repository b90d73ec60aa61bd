"""A byte changed, or an end cut off, in each kind of file, and what is made of it."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faulty import watching, waves
from faulty.looking import DEAD, OURS, READERS, Looker
from faulty.rows import Row, count, said
from gru_sweep.sweeps import reading
from gru_sweep.sweeps.engines.local import Local
from gru_sweep.sweeps.store import Share
from gru_sweep.sweeps.sweep import Interrupted

KINDS = ("finished file", "index", "block", "shard of two blocks")
LEFT = 5
"""Blocks that are missing of the unfinished sweep: so many others wait for their neighbours, unmerged."""
FOUND = {"found", "refused"}


@dataclass(frozen=True)
class Size:
    """How many bytes of each kind of file are changed, how many files are cut, how many are resumed from."""

    flips: int
    cuts: int
    resumed: int


FULL, QUICK = Size(200, 20, 20), Size(2, 1, 1)


class Damage(NamedTuple):
    """A bit of the byte at `place` changed; with bit 0 the file ends there."""

    place: int
    bit: int

    def do(self, path: Path) -> None:
        raw = bytearray(path.read_bytes())
        if self.bit:
            raw[self.place] ^= self.bit
        else:
            del raw[self.place :]
        path.write_bytes(raw)


def measure(scratch: Path, seed: int, *, quick: bool) -> list[Row]:
    """All rows."""
    size, random = QUICK if quick else FULL, np.random.default_rng(seed)
    whole, part = waves.unharmed(scratch / "whole"), _unfinished(scratch / "part")
    rows: list[Row] = []
    with Looker(whole, scratch) as looker:
        for kind in KINDS[:: 2 if quick else 1]:
            folder = scratch / kind.replace(" ", "-")
            folder.mkdir()
            original = whole if kind == KINDS[0] else part
            harmed = [*damages(original, kind, size, random)]
            rows += said(kind, verified(original, kind, harmed, looker, folder))
            if kind == KINDS[0]:
                rows += said(kind, readers(original, harmed, looker, folder))
            again = [harmed[i] for i in random.choice(len(harmed), size.resumed, replace=False)]
            rows += said(kind, [resumed(original, kind, again, whole, folder)])
        verdicts = [looker.ask("verify", path)["verdict"] == "sound" for path in (whole, part)]
        verdicts += [looker.ask(reader, whole)["verdict"] == "right" for reader in READERS]
    return [*rows, count("undamaged files called damaged", verdicts.count(False))]


def damages(
    original: Path, kind: str, size: Size, random: np.random.Generator
) -> Iterator[tuple[Path, Damage]]:
    """Files of the kind, by their names below the folder of `original`, and what is done to each."""
    files = _files(original, kind)
    for bits in ([1 << int(bit) for bit in random.integers(0, 8, size.flips)], [0] * size.cuts):
        for bit in bits:
            file = files[random.integers(len(files))]
            place = int(random.integers(0, file.stat().st_size))
            yield file.relative_to(original.parent), Damage(place, bit)


def verified(
    original: Path, kind: str, harmed: list[tuple[Path, Damage]], looker: Looker, folder: Path
) -> list[Row]:
    """Whether `verify` finds each one; and the command itself, of the first."""
    path = _copy(original, folder / "verified")
    verdicts: Counter[str] = Counter()
    for name, damage in harmed:
        with _damaged(path.parent / name, damage):
            verdicts[looker.ask("verify", path)["verdict"]] += 1
    name, damage = harmed[0]
    with _damaged(path.parent / name, damage):
        program = str(Path(sys.executable).with_name("gru-sweep"))
        command = [program, "verify", str(path), "--sample", "0", "--quiet"]
        code = watching.finish(command, folder).returncode
    found = sum(verdicts[verdict] for verdict in FOUND)
    return [
        Row("damaged files that verify finds", f"{found} of {len(harmed)}", "all", found == len(harmed)),
        count("times that verify dies of one", verdicts[DEAD]),
        Row("exit status of gru-sweep verify", code, "1", code == 1),
    ]


def readers(original: Path, harmed: list[tuple[Path, Damage]], looker: Looker, folder: Path) -> list[Row]:
    """What those make of a damaged file that know nothing of seals, and our own reader."""
    path = _copy(original, folder / "read")
    rows = []
    for what in READERS:
        verdicts, kinds = Counter[str](), Counter[str]()
        for _, damage in harmed:
            with _damaged(path, damage):
                answer = looker.ask(what, path)
            verdicts[answer["verdict"]] += 1
            kinds.update(answer.get("kinds", ()))
        honest = ", ".join(f"{verdicts[name]} {name}" for name in ("right", "fails", DEAD))
        worse = ", ".join(f"{number} in {kind}" for kind, number in sorted(kinds.items()))
        rows += [
            Row(f"{what}, of {len(harmed)} damaged files", honest),
            Row(
                f"{what}, otherwise than written and no error",
                worse or "none",
                "none" if what == OURS else "",
                None if what != OURS else not worse,
            ),
        ]
    return rows


def resumed(original: Path, kind: str, harmed: list[tuple[Path, Damage]], whole: Path, folder: Path) -> Row:
    """How often `--resume` computes what is damaged and what is missing, nothing else, and ends right.

    A damaged finished file is to be refused, and left as it is.
    """
    right, layout = 0, waves.layout()
    for i, (name, damage) in enumerate(harmed):
        path = _copy(original, folder / f"resumed-{i}")
        wanted = _blocks(name) | (set(range(layout.blocks.total)) - watching.committed(path, layout))
        damage.do(path.parent / name)
        before = path.read_bytes()
        done = watching.finish(watching.program(path.parent, "--out", path), path.parent)
        computed = watching.begun(path.parent)
        if kind == KINDS[0]:
            # A byte of the seal's own words makes it a file without a seal, whose values are right.
            right += done.returncode in (0, 2) and path.read_bytes() == before and not computed
        else:
            exact = not done.returncode and sorted(computed) == sorted(wanted)
            right += exact and not watching.unlike(path, whole)
    what = "refused or left alone" if kind == KINDS[0] else "exactly the damaged blocks computed again"
    return Row(f"--resume: {what}", f"{right} of {len(harmed)}", "all", right == len(harmed))


@contextmanager
def _damaged(path: Path, damage: Damage) -> Iterator[None]:
    """A file is damaged for a while."""
    before = path.read_bytes()
    damage.do(path)
    try:
        yield
    finally:
        path.write_bytes(before)


class _Enough:
    """A wish to stop that comes when so many blocks were begun."""

    def __init__(self, folder: Path, number: int):
        self._folder, self._number = folder, number

    @property
    def requested(self) -> bool:
        return len(watching.begun(self._folder)) >= self._number


def _unfinished(folder: Path) -> Path:
    """A sweep with an index, shards, a block that waits for its neighbour, and blocks that are missing.

    Every other block, and then most of the rest: blocks in order would leave but one file of a single block.
    """
    folder.mkdir()
    made_by, path = waves.Waves(folder), folder / waves.MAP
    waves.run(Local([made_by()]), made_by, path, share=Share(0, 2), resume=False)
    with suppress(Interrupted):
        stop = _Enough(folder, waves.layout().blocks.total - LEFT)
        waves.run(Local([made_by()]), made_by, path, stop=stop)
    return path


def _files(original: Path, kind: str) -> list[Path]:
    """All files of a kind."""
    if kind in KINDS[:2]:
        return [original]
    dashes = 2 if kind == KINDS[2] else 1
    return sorted(p for p in reading.parts_folder(original).glob("*.h5") if p.stem.count("-") == dashes)


def _blocks(name: Path) -> set[int]:
    """The blocks of a file of an unfinished sweep."""
    _, *numbers = name.stem.split("-")
    layout = waves.layout()
    if not numbers:
        return set()
    if len(numbers) == 2:
        return {int(numbers[1])}
    return {block.index for block in layout.members(layout.shards[int(numbers[0])])}


def _copy(original: Path, folder: Path) -> Path:
    """The file and its blocks in a new folder."""
    folder.mkdir()
    parts = reading.parts_folder(original)
    if parts.exists():
        shutil.copytree(parts, folder / parts.name)
    return Path(shutil.copy(original, folder))
