"""A host function over a grid, block by block, into one file.

The function runs in the calling thread; a second thread commits what it returned while the next block is
computed. Memory is bounded by the block: at most four are alive.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from gru_sweep.records import Column
from gru_sweep.sweeps.grid import Block, Grid
from gru_sweep.sweeps.store import Labeller, Store

Evaluate = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
"""Coordinates, each float64 (n,), to columns, each (n, *column.shape); a pure function."""


@runtime_checkable
class Progress(Protocol):
    """Who is told how far a sweep is; always called from the thread that called `run`."""

    def start(self, total: int, done: int) -> None:
        """First: the points of the grid, and those that are safe from an earlier run.

        A refined sweep says it for every round of its points, when it knows them.
        """

    def advance(self, n: int) -> None:
        """`n` more points are safe on disk."""

    def note(self, text: str) -> None:
        """What is going on besides computing."""

    def finish(self) -> None:
        """Once, last, however the sweep ends."""


@runtime_checkable
class Stop(Protocol):
    """A wish to stop, from a signal handler or another thread."""

    @property
    def requested(self) -> bool: ...


class Interrupted(KeyboardInterrupt):
    """The sweep was asked to stop; `safe` of `total` points are on disk and `--resume` goes on from there."""

    def __init__(self, file: Path, safe: int, total: int):
        self.file, self.safe, self.total = file, safe, total
        super().__init__(f"interrupted: {how_far(file, safe, total)}")


class SweepError(RuntimeError):
    """The file could not be written (disk full, read-only); says what is safe and how to go on."""

    def __init__(self, file: Path, safe: int, total: int, cause: BaseException):
        self.file, self.safe, self.total = file, safe, total
        number = getattr(cause, "errno", None)
        reason = os.strerror(number) if number else str(cause).partition("\n")[0]
        super().__init__(f"cannot write: {reason}; {how_far(file, safe, total)}")


@dataclass(frozen=True)
class Summary:
    """What a sweep did. `seconds` is the whole call, `evaluate_seconds` the computing in it."""

    file: Path
    points: int
    computed: int
    seconds: float
    evaluate_seconds: float
    counts: dict[str, int]


def run(
    evaluate: Evaluate,
    grid: Grid,
    columns: tuple[Column, ...],
    path: str | Path,
    *,
    fingerprint: Mapping[str, Any],
    attributes: Mapping[str, Any],
    chunk: int,
    labeller: Labeller | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Summary:
    """Evaluate every block that the file lacks, then make it one ordinary file.

    `fingerprint` (JSON) is all that decides the values, so that a resumed file is of one kind;
    `attributes` are strings and numbers for the file's readers.

    Raises `InputError` before any work (see `Store`), `SweepError` where the file cannot be written, and
    `Interrupted` after `stop.requested` (the block in hand is finished first) or a `KeyboardInterrupt`
    (a block it breaks into is computed again by `resume`). What `evaluate` raises goes through, when the
    blocks before it are safe.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    with Store(
        path,
        grid,
        columns,
        chunk=chunk,
        fingerprint=fingerprint,
        attributes=attributes,
        labeller=labeller,
        resume=resume,
        overwrite=overwrite,
    ) as store:
        before, seconds = store.done, 0.0
        progress.start(grid.size, before)
        with reported(store.path, lambda: store.done, lambda: grid.size, progress):
            if not store.finished:
                if store.damaged:
                    progress.note(f"{store.damaged} damaged shards are computed again")
                seconds = fill(evaluate, store, progress, stop)
                progress.note("joining the shards into one file")
                store.finish()
            counts = store.counts()
    return Summary(store.path, grid.size, store.done - before, time.perf_counter() - began, seconds, counts)


@contextmanager
def reported(
    path: Path, safe: Callable[[], int], total: Callable[[], int], progress: Progress
) -> Iterator[None]:
    """What stops a sweep says how many of its points are safe; in the end `progress` is told."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(path, safe(), total()) from None
    except OSError as error:
        raise SweepError(path, safe(), total(), error) from error
    except Exception as error:
        error.add_note(how_far(path, safe(), total()))
        raise
    finally:
        progress.finish()


def fill(evaluate: Evaluate, store: Store, progress: Progress, stop: Stop | None) -> float:
    """Compute what is missing; return the seconds spent in `evaluate`."""
    total, told = 0.0, store.done
    with _Writer(store) as writer:
        for block in store.missing():
            if stop is not None and stop.requested:
                raise KeyboardInterrupt
            began = time.perf_counter()
            returned = evaluate(store.layout.grid.coordinates(block))
            values = {c.name: _checked(returned, c, block) for c in store.layout.columns}
            seconds = time.perf_counter() - began
            total += seconds
            writer.put(block, values, seconds)
            safe = store.done
            if safe > told:
                progress.advance(safe - told)
                told = safe
    if store.done > told:
        progress.advance(store.done - told)
    return total


class _Writer:
    """The thread that commits blocks in the order in which they come; its first error ends the sweep."""

    def __init__(self, store: Store):
        self._store = store
        self._error: BaseException | None = None
        self._queue: queue.Queue[tuple[Block, dict[str, np.ndarray], float] | None] = queue.Queue(2)
        self._thread = threading.Thread(target=self._work, name="sweep writer", daemon=True)

    def __enter__(self) -> _Writer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait until all that was put is safe; an error of writing is raised unless another is on its way."""
        self._queue.put(None)
        self._thread.join()
        if self._error is not None and (kind is None or issubclass(kind, KeyboardInterrupt)):
            raise self._error

    def put(self, block: Block, values: dict[str, np.ndarray], seconds: float) -> None:
        """Hand over a block; waits while two are waiting."""
        if self._error is not None:
            raise self._error
        self._queue.put((block, values, seconds))

    def _work(self) -> None:
        # After an error the queue is still emptied, so that `put` never waits for ever.
        while (item := self._queue.get()) is not None:
            if self._error is None:
                self._attempt(self._store.commit, *item)
        if self._error is None:
            self._attempt(self._store.flush)

    def _attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except BaseException as error:  # raised again in the calling thread
            self._error = error


class Silent:
    """Tells nobody."""

    def start(self, total: int, done: int) -> None: ...

    def advance(self, n: int) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


def _checked(returned: Mapping[str, np.ndarray], column: Column, block: Block) -> np.ndarray:
    """The column as the file wants it; a wrong shape or an integer that does not fit is a `ValueError`."""
    if column.name not in returned:
        raise ValueError(f"evaluate returned no {column.name}")
    value = np.asarray(returned[column.name])
    if value.shape != (block.size, *column.shape):
        raise ValueError(f"{column.name}: expected shape {(block.size, *column.shape)}, got {value.shape}")
    if not np.can_cast(value.dtype, column.dtype, "same_kind"):
        raise ValueError(f"{column.name}: expected {column.dtype}, got {value.dtype}")
    cast = value.astype(column.dtype, copy=False)
    if column.dtype.kind == "i" and not np.array_equal(cast, value):
        raise ValueError(f"{column.name}: values beyond {column.dtype}")
    return cast


def how_far(file: Path, safe: int, total: int) -> str:
    """How many points are on disk, in words."""
    if not safe:
        return f"none of {total} points is safe"
    return f"{safe} of {total} points are safe in {file}; the same command with --resume goes on from there"
