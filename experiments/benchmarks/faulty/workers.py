"""Workers and schedulers that die in the midst of it, and a worker that takes more memory than it may."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from faulty import watching, waves
from faulty.rows import Row, count, said, true

MEMORY = 700_000_000
"""Bytes that a worker may have: one that does nothing needs a third of it."""
PLACES = (40, 90, 150)
"""Blocks in whose midst the worker that computes them is killed."""
MIDST = 60
"""The block in whose midst the scheduler is killed."""


def measure(scratch: Path, *, quick: bool) -> list[Row]:
    """All rows."""
    reference = waves.unharmed(scratch / "unharmed")
    rows = said("worker killed in mid-block", worker_killed(_folder(scratch, "worker"), reference))
    if quick:
        return rows
    rows += said("scheduler killed", scheduler_killed(_folder(scratch, "scheduler"), reference))
    return rows + said("worker out of memory", out_of_memory(_folder(scratch, "memory"), reference))


def worker_killed(folder: Path, reference: Path) -> list[Row]:
    """Three times, whoever computes a certain block is killed while it does."""
    with watching.ended(watching.begin(watching.program(folder, "--workers", 2), folder)) as process:
        killed = sum(_kill_at(folder, process, place) for place in PLACES)
        code = process.wait()
    begun = Counter(watching.begun(folder))
    twice = {block for block, times in begun.items() if times > 1}
    return [
        Row("workers killed", killed, str(len(PLACES)), killed == len(PLACES)),
        count("exit status", code),
        true("the file is that of an unharmed sweep", not watching.unlike(folder / waves.MAP, reference)),
        true("every block that was in hand is computed again, and once", _twice(begun) == set(PLACES)),
        count("other blocks computed again", len(twice - set(PLACES))),
    ]


def scheduler_killed(folder: Path, reference: Path) -> list[Row]:
    """A scheduler that was joined goes; another one takes its place, and the sweep is resumed."""
    path = folder / waves.MAP
    with joined(folder) as (scheduler, place):
        command = watching.program(folder, "--workers", place)
        with watching.ended(watching.begin(command, folder)) as process:
            (folder / "gate").write_text(f"block {MIDST}")
            there = watching.waits(folder, process)
            os.kill(scheduler.pid, signal.SIGKILL)
            code = process.wait()
            (folder / "gate").unlink()
    truth, layout = waves.whole(), waves.layout()
    safe, before = watching.committed(path, layout), len(watching.lines(folder))
    wrong = watching.wrong(path, truth, layout)
    *others, last = ["", *(folder / "said").read_text().strip().splitlines()]
    told = re.search(rf"([0-9]+) of {layout.grid.size} points are safe", last)
    # Workers end what they have in hand, also when there is nobody to tell any more.
    points = sum(layout.blocks[block].size for block in safe)
    with joined(folder) as (_, place):
        resumed = watching.finish(watching.program(folder, "--workers", place), folder)
    return [
        true("killed while a block was in hand", there),
        Row("exit status", code, "1", code == 1),
        true("the last line says what is safe", told is not None and 0 < int(told[1]) <= points),
        Row("lines before it on stderr", len(others) - 1),
        Row("blocks safe", len(safe), f"1 to {layout.blocks.total - 1}", 0 < len(safe) < layout.blocks.total),
        count("values that are neither right nor missing", wrong),
        count("exit status with another scheduler", resumed.returncode),
        true("the file is that of an unharmed sweep", not watching.unlike(path, reference)),
        count("committed blocks computed again", sum(b in safe for b in watching.begun(folder, before))),
    ]


def out_of_memory(folder: Path, reference: Path) -> list[Row]:
    """One block needs more than a worker may have, unless it is computed in smaller batches."""
    with joined(folder, "--memory-limit", str(MEMORY)) as (_, place):
        done = watching.finish(watching.program(folder, "--workers", place, "--hungry", MEMORY), folder)
    tried = [int(line[2]) for line in watching.lines(folder) if line[:2] == ["block", str(waves.HUNGRY)]]
    twice = {block for block, times in Counter(watching.begun(folder)).items() if times > 1}
    return [
        count("exit status", done.returncode),
        true("the file is that of an unharmed sweep", not watching.unlike(folder / waves.MAP, reference)),
        Row("its batch, in powers of two", ", ".join(f"-{n}" for n in tried), "-0, -1", tried == [0, 1]),
        count("other blocks computed again", len(twice - {waves.HUNGRY})),
    ]


@contextmanager
def joined(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A scheduler and two workers that somebody else started; its process and its file."""
    place = folder / "scheduler.json"
    place.unlink(missing_ok=True)
    here = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(place)]
    beside = ["--nworkers", "2", "--nthreads", "1", "--death-timeout", str(int(watching.SOON)), *options]
    with ExitStack() as stack:
        started = []
        for who, more in (("scheduler", ["--port", "0"]), ("worker", beside)):
            command = [sys.executable, "-m", f"distributed.cli.dask_{who}", *here, *more]
            silent = folder / f"dask-{who}"
            silent.mkdir(exist_ok=True)
            started.append(stack.enter_context(watching.ended(watching.begin(command, silent, cwd=silent))))
        until = time.monotonic() + watching.SOON
        while not place.exists() and time.monotonic() < until:
            time.sleep(watching.STEP)
        yield started[0], place


def _kill_at(folder: Path, process: subprocess.Popen[str], block: int) -> bool:
    """Kill the worker that computes a block, at the gate in its midst."""
    gate = folder / "gate"
    gate.write_text(f"block {block}")
    there = watching.waits(folder, process)
    pids = [int(line[3]) for line in watching.lines(folder) if line[:2] == ["block", str(block)]]
    gate.unlink()
    if there:
        os.kill(pids[-1], signal.SIGKILL)
    return there


def _twice(begun: Counter[int]) -> set[int]:
    return {block for block, times in begun.items() if times == 2}


def _folder(scratch: Path, name: str) -> Path:
    made = scratch / name
    made.mkdir()
    return made
