"""SIGKILL at any instant of a sweep's life, again and again."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from faulty import watching, waves
from faulty.rows import Row, count, said
from gru_sweep.sweeps import reading
from gru_sweep.sweeps.grid import Axis, Grid
from gru_sweep.sweeps.layout import Layout

SIDE, BLOCK = 64, 16
"""Of the plane that the command line maps, and points of a block: 256 blocks, of which two become one."""
LATE = 1.2
"""Instants are drawn up to this part of the time that is needed, so that some sweeps end, and show whether
the machine has become slower or faster."""
PHASES = (
    "before its first block",
    "computing",
    "merging blocks",
    "packing or about to",
    "clearing up",
    "letting go",
)


@dataclass(frozen=True)
class Case:
    """A command that begins the sweep into `path` or goes on with it; `labels` are known at the end only."""

    command: Sequence[str]
    path: Path
    layout: Layout
    labels: str = "topology"

    @property
    def folder(self) -> Path:
        return self.path.parent


def synthetic(folder: Path, *options: str) -> Case:
    """The sweep of `waves`, which says what it computes."""
    return Case(watching.program(folder, *options), folder / waves.MAP, waves.layout())


def command_line(folder: Path, *options: str) -> Case:
    """The Hopf plane by the command line itself."""
    path = folder / "hopf.h5"
    program = str(Path(sys.executable).with_name("gru-sweep"))
    axes = {"alpha": (0.0, 3.14159265), "beta": (1.0, 3.0)}
    command = [program, "run", "hopf", "--set", "s=0", "--chunk", str(BLOCK), "--resume", "--quiet"]
    for name, (first, last) in axes.items():
        command += ["--axis", f"{name}={first}:{last}:{SIDE}"]
    grid = Grid(tuple(Axis(name, np.linspace(*ends, SIDE)) for name, ends in axes.items()))
    return Case([*command, "--out", str(path), *options], path, Layout(grid, (), BLOCK))


@dataclass
class Pace:
    """Seconds of an unharmed run: until its first block is there, for a block, and from its last one on."""

    start: float
    block: float
    end: float

    def left(self, blocks: int) -> float:
        """What a run needs that has so many blocks to compute."""
        return self.start + blocks * self.block + self.end

    def scaled(self, factor: float) -> Pace:
        """All of it longer."""
        return Pace(factor * self.start, factor * self.block, factor * self.end)


@dataclass
class Ledger:
    """What is counted over all kills, and what must stay true from one to the next."""

    case: Case
    reference: Path
    truth: dict[str, np.ndarray]
    safe: set[int] = field(default_factory=set)
    read: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    computed: int = 0
    finished: int = 0
    unreadable: int = 0
    wrong: int = 0
    lost: int = 0
    again: int = 0
    unlike: int = 0
    alive: int = 0
    failed: int = 0
    notes: list[str] = field(default_factory=list)

    def look(self, process: subprocess.Popen[str]) -> None:
        """After a process has ended, by a kill or of itself."""
        killed = process.returncode == -signal.SIGKILL
        if not watching.vanished(process.pid):
            self.alive += 1
            self.notes.append(f"processes outlive {process.pid}")
        before = self.safe
        begun = watching.begun(self.case.folder, self.read)
        self.read = len(watching.lines(self.case.folder))
        self.computed += len(begun)
        self.again += sum(block in before for block in begun)
        try:
            self._file(before, killed)
        except Exception as error:  # whatever a reader meets
            self.unreadable += 1
            self.notes.append(f"{type(error).__name__}: {error}")
        if not killed or (len(self.safe) == self.case.layout.blocks.total and not self._left()):
            self._finished(0 if killed else process.returncode)

    def _file(self, before: set[int], killed: bool) -> None:
        path, layout = self.case.path, self.case.layout
        parts = reading.parts_folder(path)
        if not path.exists():
            orphans = [*parts.glob("*.h5")]
            self.lost += len(before)
            if orphans:
                raise FileNotFoundError(f"{len(orphans)} blocks without an index")
            self.phases[PHASES[0]] += killed
            return
        self.wrong += watching.wrong(path, self.truth, layout)
        self.safe = watching.committed(path, layout)
        self.lost += len(before - self.safe)
        if killed:
            complete = reading.describe(path)["complete"]
            self.phases[self._phase(parts, len(before), complete)] += 1

    def _left(self) -> bool:
        """Whether there is anything to do for a process that resumes."""
        return reading.parts_folder(self.case.path).exists() or not self.case.path.exists()

    def _phase(self, parts: Path, before: int, complete: bool) -> str:
        if complete:
            return PHASES[4 if self._left() else 5]
        if len(self.safe) == self.case.layout.blocks.total:
            return PHASES[3]
        if any(part.name.count("-") == 1 for part in parts.glob("*-*.tmp")):
            return PHASES[2]
        return PHASES[1] if len(self.safe) > before else PHASES[0]

    def _finished(self, code: int) -> None:
        """A sweep has ended of itself: the next one starts."""
        self.finished += 1
        if code:
            self.failed += 1
            self.notes.append(f"exit {code}")
        elif differing := watching.unlike(self.case.path, self.reference):
            self.unlike += 1
            self.notes.append(f"differing: {', '.join(sorted(differing))}")
        else:
            self.case.path.unlink()
            self.safe = set()

    def rows(self) -> list[Row]:
        kills = sum(self.phases.values())
        rows = [
            Row("kills", kills),
            Row("of these " + ", ".join(PHASES), ", ".join(str(self.phases[phase]) for phase in PHASES)),
            Row("sweeps ended", self.finished),
            count("sweeps ended with an error", self.failed),
            count("finished files unlike the one of an unharmed sweep", self.unlike),
            count("files that cannot be opened", self.unreadable),
            count("values that are neither right nor missing", self.wrong),
            count("committed blocks lost", self.lost),
        ]
        if self.read:
            needed = self.finished * self.case.layout.blocks.total
            rows += [
                count("committed blocks computed again", self.again),
                Row("blocks computed, of so many in the sweeps", f"{self.computed} of {needed}"),
            ]
        return [*rows, count("kills that some process outlived", self.alive)]


def unharmed(case: Case) -> tuple[Path, Pace]:
    """Run the whole sweep; its file under another name, and its pace.

    When the first block is on disk and when packing begins is seen in the folder.
    """
    parts = reading.parts_folder(case.path)
    first = last = None
    began = time.monotonic()
    with watching.ended(watching.begin(case.command, case.folder)) as process:
        while process.poll() is None:
            names = [part.name for part in parts.glob("*")]
            if first is None:
                first = time.monotonic() if any(name.endswith(".h5") for name in names) else None
            elif any(name.startswith(case.path.name) for name in names):
                last = last or time.monotonic()
            time.sleep(watching.STEP)
    over = time.monotonic()
    if process.returncode:
        raise RuntimeError((case.folder / "said").read_text().strip().rpartition("\n")[2])
    first = first or over
    last = last or over
    reference = case.folder / "reference.h5"
    case.path.rename(reference)
    return reference, Pace(first - began, (last - first) / case.layout.blocks.total, over - last)


def truth_of(case: Case, reference: Path) -> dict[str, np.ndarray]:
    """The values that each point has in the end, but for its label."""
    values, _ = watching.contents(reference)
    shape = case.layout.grid.shape
    return {n: v for n, v in values.items() if v.shape[: len(shape)] == shape and n != case.labels}


def kill(case: Case, number: int, random: np.random.Generator) -> Ledger:
    """Begin, kill, look and go on, `number` times, and then let the last sweep end."""
    reference, pace = unharmed(case)
    ledger = Ledger(case, reference, truth_of(case, reference), read=len(watching.lines(case.folder)))
    while (done := sum(ledger.phases.values())) < number or ledger.safe:
        needed, began = pace.left(case.layout.blocks.total - len(ledger.safe)), time.monotonic()
        with watching.ended(watching.begin(case.command, case.folder)) as process:
            try:
                process.wait(random.uniform(0, LATE * needed) if done < number else None)
                pace = pace.scaled((time.monotonic() - began) / needed)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            ledger.look(process)
        if ledger.failed or ledger.unlike or ledger.alive or ledger.unreadable:
            break
    return ledger


def measure(scratch: Path, number: int, seed: int, *, quick: bool) -> list[Row]:
    """All rows: for each engine `number` kills of the synthetic sweep, and a tenth of the command line."""
    rows: list[Row] = []
    dask = "--workers", "2"
    cases = [
        ("local", synthetic, (), number),
        ("dask", synthetic, dask, number),
        ("gru-sweep run", command_line, (), math.ceil(number / 10)),
        ("gru-sweep run --engine dask", command_line, ("--engine", "dask", *dask), math.ceil(number / 10)),
    ]
    for title, make, options, kills in cases[: 1 if quick else None]:
        folder = scratch / title.replace(" ", "-")
        folder.mkdir()
        began = time.monotonic()
        ledger = kill(make(folder, *options), kills, np.random.default_rng(seed))
        seconds = (time.monotonic() - began) / max(1, sum(ledger.phases.values()))
        rows += said(title, [*ledger.rows(), Row("seconds for a kill", seconds)])
        for note in ledger.notes:
            print(json.dumps({"kills": title, "note": note}), file=sys.stderr)
    return rows
