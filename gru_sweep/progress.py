"""What a run says of itself while it runs: a bar on a terminal, log lines anywhere else.

Both follow the protocol of `sweeps.sweep.Progress` and write to standard error only.
"""

from __future__ import annotations

import sys
import time
from typing import IO, Protocol, cast, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text


@runtime_checkable
class Stream(Protocol):
    """Where lines go: a text file, a pipe, a terminal."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class Bar:
    """A live bar: what is being done, points done of all, points/s, time left."""

    def __init__(self, console: Console, noun: str = "points"):
        self._progress = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} " + noun),
            *([_Rate()] if noun == "points" else []),
            TimeRemainingColumn(),
            console=console,
            refresh_per_second=4,
        )
        self._task: TaskID | None = None

    def start(self, total: int, done: int) -> None:
        self._task = self._progress.add_task("sweeping", total=total, completed=done)
        self._progress.start()

    def advance(self, n: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, advance=n)

    def note(self, text: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, description=text)

    def finish(self) -> None:
        self._progress.stop()


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("- points/s" if speed is None else f"{speed:.0f} points/s")


class Lines:
    """Log lines for files and pipes, at most one every `interval` seconds, without carriage returns.

    A note that comes too soon after a line is kept for the next one.
    """

    def __init__(self, stream: Stream, interval: float = 5.0, noun: str = "points"):
        self._stream, self._interval, self._noun = stream, interval, noun
        self._total = self._done = self._computed = 0
        self._note = ""
        self._began = self._last = time.monotonic()
        self._running = self._noted = False

    def start(self, total: int, done: int) -> None:
        self._total, self._done, self._computed, self._running = total, done, 0, True
        self._began = time.monotonic()
        self._write()

    def advance(self, n: int) -> None:
        self._done += n
        self._computed += n
        self._write_if_due()

    def note(self, text: str) -> None:
        # The first one says what is being compiled: worth a line at once.
        first, self._note = not self._noted, text
        self._noted = True
        self._write_if_due(first)

    def finish(self) -> None:
        if self._running:
            self._running, self._note = False, ""
            self._write()

    def _write_if_due(self, now: bool = False) -> None:
        if self._running and (now or time.monotonic() - self._last >= self._interval):
            self._write()

    def _write(self) -> None:
        self._last = time.monotonic()
        parts = [f"{self._done}/{self._total} {self._noun} ({100 * self._done // max(self._total, 1)} %)"]
        if self._computed:
            rate = self._computed / max(self._last - self._began, 1e-9)
            if self._noun == "points":
                parts.append(f"{rate:.0f} points/s")
            if self._done < self._total:
                parts.append(f"{(self._total - self._done) / rate:.0f} s left")
        if self._note:
            parts.append(self._note)
        print(", ".join(parts), file=self._stream, flush=True)


def reporter(stream: Stream | None = None, noun: str = "points") -> Bar | Lines:
    """A `Bar` where `stream` (standard error by default) is a terminal, `Lines` elsewhere. Counts `noun`."""
    stream = stream if stream is not None else sys.stderr
    return Bar(Console(file=cast(IO[str], stream)), noun) if stream.isatty() else Lines(stream, noun=noun)
