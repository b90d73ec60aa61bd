"""Whether a file is what was computed: its bytes, its structure, what its columns say, and a sample anew."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .. import __version__, remaking, studies
from ..measures import MEASURES
from ..records import InputError
from ..studies import Plan
from ..sweeps import atomic, damage, provenance
from ..sweeps.engines.engine import Progress
from ..sweeps.reading import OURS, configuration, followed, parts_folder
from ..sweeps.schema import Labeller
from ..sweeps.sweep import Silent
from . import sampling
from .contents import Contents, misbuilt, parts

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
SAMPLE = 256
"""Points computed anew unless said otherwise: they find, with a probability of 92 %, what is wrong with one
point in a hundred."""
SHOWN = 3
"""Damages that a check names; of the others it says how many there are."""


@dataclasses.dataclass(frozen=True)
class Check:
    """What was looked at, whether it is as it should be (`ok`, `failed`, `skipped`), and what was found."""

    name: str
    state: str
    words: str


@dataclasses.dataclass(frozen=True)
class Verification:
    """What is known of a file. `done` of `points` points can be read; None where that cannot be told.

    `seed` decided which points were computed anew.
    """

    file: str
    complete: bool | None
    points: int | None
    done: int | None
    seed: int
    checks: tuple[Check, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing that was looked at failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.state == FAILED)

    def to_dict(self) -> dict[str, Any]:
        """Plain words and numbers, for JSON."""
        return {**dataclasses.asdict(self), "checks": [*map(dataclasses.asdict, self.checks)]} | {
            "sound": self.sound
        }


def verify(
    path: str | os.PathLike[str],
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    progress: Progress | None = None,
) -> Verification:
    """Check a file of ours, finished or not, without changing it.

    - `sample`: points to compute anew, drawn evenly by `seed`; 0 for none.

    In this order: the seals (of the shards, too, where it is unfinished), every chunk's checksum where a seal
    is missing or wrong, the structure, whether a plan can be made of it that has its fingerprint, relations
    between columns, labels, the sample. What needs the program that made the file is skipped for a file of
    another version. Raises `InputError` for a file that is not ours.
    """
    for name, value, lowest in (("sample", sample, 0), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
            raise InputError(name, f"an integer of at least {lowest}", value)
    file = followed(path)
    if not file.exists():
        raise InputError("FILE", "an existing file", str(file))
    if not file.is_file():
        raise InputError("FILE", OURS, f"a folder, {file}")
    look = _Look(file, int(seed), progress or Silent())
    try:
        look.at_everything(int(sample))
    finally:
        look.progress.finish()
    return Verification(str(file), look.complete, look.points, look.done, look.seed, tuple(look.checks))


class _Look:
    """One file, and what was found so far."""

    def __init__(self, path: Path, seed: int, progress: Progress):
        self.path, self.seed, self.progress = path, seed, progress
        self.checks: list[Check] = []
        self.complete: bool | None = None
        self.points: int | None = None
        self.done: int | None = None

    def at_everything(self, sample: int) -> None:
        """All checks, in order; those that others make pointless are left out."""
        sealed = damage.sealed_right(self.path)
        ours = atomic.sealed(self.path) or parts_folder(self.path).is_dir()
        if not ours and not _is_hdf5(self.path):
            raise InputError("FILE", OURS, str(self.path))
        readable = self._seal(sealed)
        if not readable:
            return
        with self._trying("contents"), h5py.File(self.path) as file:
            if not ours and "file_format" not in file.attrs and "gru_sweep_version" not in file.attrs:
                got = f"{self.path}, an HDF5 file that says nothing of gru_sweep"
                raise InputError("FILE", OURS, got)
            words = f"{len(file)} variables, every axis with its scale"
            if "configuration" not in file:
                self._judge("structure", misbuilt(file, {}), words)
                self._say("contents", SKIPPED, "not a sweep's file: it does not say how to compute it anew")
                return
            stored = configuration(file)
            self._judge("structure", misbuilt(file, stored["made_by"]["columns"]), words)
            self.complete, self.points = bool(file.attrs["complete"]), int(file["status"].size)
            if not self.complete and not (self._shards(file, stored) and sealed is not False):
                self._say("contents", SKIPPED, "run --resume first: it removes what is damaged")
                return
            self._contents(file, stored, sample, sealed is not True)

    def _say(self, name: str, state: str, words: str) -> None:
        self.checks.append(Check(name, state, words))

    def _judge(self, name: str, wrong: Sequence[str], words: str) -> None:
        """`words` where nothing is wrong."""
        self._say(name, FAILED if wrong else OK, _few(wrong) if wrong else words)

    @contextmanager
    def _trying(self, name: str) -> Iterator[None]:
        """What is raised by reading what cannot be is a check that failed."""
        try:
            yield
        except Exception as error:  # of what kind depends on the byte that is damaged
            if isinstance(error, InputError) and error.argument == "FILE":
                raise
            self._say(name, FAILED, f"cannot be read ({type(error).__name__}: {_line(error)})")

    def _seal(self, sealed: bool | None) -> bool:
        """Compare the seal and, where that does not do, read every chunk; whether the file can be read."""
        if sealed:
            self._say("seal", OK, "every byte is as it was written")
            self._say("checksums", SKIPPED, "the seal is of all bytes")
            return True
        if sealed is None:
            self._say("seal", SKIPPED, "there is none: the file was written before there were, or by others")
        else:
            self._say("seal", FAILED, "the file was changed since it was written")
        found = damage.survey(self.path)
        whole = [one for one in found.damaged if one.name == "the file"]
        where = [f"{one.name}: {one.where}" for one in found.damaged]
        words = "all of it can be read"
        if sealed is False:
            words += ": the change is in an attribute, in a table of HDF5, or in what has no checksums"
        if found.unchecked:
            words += f" (there are none of {_few(found.unchecked)})"
        self._judge("checksums", where, words)
        return not (whole or found.dangerous)

    def _shards(self, file: h5py.File, stored: Mapping[str, Any]) -> bool:
        """Compare the seals of what an unfinished sweep has on disk; whether all of them are right."""
        wrong, number, done = [], 0, 0
        self.progress.start(self.points or 0, 0)
        self.progress.note("comparing seals")
        for part, region in parts(self.path, file, stored):
            size = 0 if region is None else region.size
            number += 1
            if atomic.sound(part):
                done += size
            elif part.exists():  # else its shard was made meanwhile
                about = "" if region is None else f" ({damage.where(file['status'], region.slices)})"
                wrong.append(f"{part.relative_to(self.path.parent)}{about}")
            self.progress.advance(size)
        self.done = done if "refine" not in stored else None
        words = f"all {number} are as they were written" if number else "there are none yet"
        self._judge("shards", wrong, words)
        return not wrong

    def _contents(self, file: h5py.File, stored: Mapping[str, Any], sample: int, damaged: bool) -> None:
        plan = self._plan(file, stored)
        measure = MEASURES.get(str(file.attrs["measure"]))
        labeller = measure.labeller if measure is not None and plan is not None and self.complete else None
        with self._trying("columns"):
            contents = Contents(file, stored, labeller, damaged)
            self.progress.start(self.points or 0, 0)
            self.progress.note("reading columns")
            contents.read(self.progress.advance)
            there = sum(contents.computed)
            self.done = there if self.complete or self.done is None else self.done
            self._columns(contents, there)
            self._labels(contents, labeller)
            self._sample(contents, plan, sample if there else 0)

    def _plan(self, file: h5py.File, stored: Mapping[str, Any]) -> Plan | None:
        """The plan that made the file, if this program can make it."""
        version = str(file.attrs.get("gru_sweep_version", "an unknown version"))
        if version != __version__:
            self._say("plan", SKIPPED, f"made by gru-sweep {version}, this is {__version__}")
            return None
        try:
            plan = remaking.plan_of(self.path, damaged=True)
            provenance.require_equal(stored["made_by"], remaking.made_by(plan, studies.evaluator(plan)))
        except InputError as error:
            self._say("plan", FAILED, f"not the one that made the file: {error.got}, not {error.expected}")
            return None
        self._say("plan", OK, "what the file says of itself makes the same fingerprint")
        return plan

    def _columns(self, contents: Contents, there: int) -> None:
        unread = [f"{one} cannot be read" for one in contents.unreadable]
        self._judge("columns", unread, f"{there} points can be read")
        for name, tallies, words in (
            ("flags", contents.flags, "every flag has a meaning"),
            ("relations", contents.broken, f"{len(contents.relations)} between columns hold"),
        ):
            wrong = [f"{what}: {tally}" for what, tally in tallies.items() if tally.count]
            self._judge(name, wrong, words)

    def _labels(self, contents: Contents, labeller: Labeller | None) -> None:
        if labeller is None:
            why = "a better program may label better" if self.complete else "there are none before the end"
            self._say("labels", SKIPPED, why)
            return
        wrong = []
        if contents.mislabelled.count:
            wrong.append(f"not those of the columns: {contents.mislabelled}")
        if contents.classes != sorted(set(contents.classes)):
            wrong.append("the classes are not sorted")
        if not contents.unreadable:
            wrong += [f"no point is of the class {word}" for word in contents.unused()]
        self._judge("labels", wrong, f"{len(contents.classes)} classes, as the columns say")

    def _sample(self, contents: Contents, plan: Plan | None, sample: int) -> None:
        if plan is None or not sample:
            why = "no points were asked for" if plan is not None else "the plan is not known"
            self._say("sample", SKIPPED, why)
            return
        if plan.measure.networks and not sampling.on_machine_alike(contents):
            why = "made on another kind of machine: trajectories in chaos part from any difference"
            self._say("sample", SKIPPED, why)
            return
        self.progress.note("computing a sample anew")
        found = sampling.compare(contents, plan, sample, self.seed)
        drawn = f"{found.points} points drawn with seed {self.seed}"
        if found.differing:
            self._say("sample", FAILED, f"{found.differing} of {drawn} differ: {found.first}")
            return
        exact = "are equal to the last bit" if not found.largest else f"differ by {found.largest:.1e} at most"
        other = "" if found.alike else ", on another machine"
        if found.undecided:
            other += f", where {found.undecided} of them are decided on one of both only"
        self._say("sample", OK, f"{drawn} {exact}{other}")


def _is_hdf5(path: Path) -> bool:
    with suppress(OSError), open(path, "rb") as file:
        return file.read(len(damage.SIGNATURE)) == damage.SIGNATURE
    return False


def _few(wrong: Sequence[str]) -> str:
    more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return "; ".join(wrong[:SHOWN]) + more


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]
