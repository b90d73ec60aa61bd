"""A function over a grid, block by block, into one file, whoever computes it and however often it stops."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gru_sweep.records import Column
from gru_sweep.sweeps.engines.engine import Engine, Progress, Stop
from gru_sweep.sweeps.grid import Grid
from gru_sweep.sweeps.store import Labeller, Share, Store

logger = logging.getLogger(__name__)

POINTS = "points"
"""What a sweep is counted in."""


class Interrupted(KeyboardInterrupt):
    """The work was asked to stop; `safe` of `total` points, or of what `noun` says, are on disk and
    `--resume` goes on from there."""

    def __init__(self, file: Path, safe: int, total: int, noun: str = POINTS):
        self.file, self.safe, self.total = file, safe, total
        super().__init__(f"interrupted: {how_far(file, safe, total, noun)}")


class SweepError(RuntimeError):
    """The file could not be written (disk full, read-only), or a connection to those who compute was lost;
    says what is safe and how to go on."""

    def __init__(self, file: Path, safe: int, total: int, cause: BaseException, noun: str = POINTS):
        self.file, self.safe, self.total = file, safe, total
        number = getattr(cause, "errno", None)
        reason = os.strerror(number) if number else str(cause).partition("\n")[0]
        what = reason if isinstance(cause, ConnectionError) else f"cannot write: {reason}"
        super().__init__(f"{what}; {how_far(file, safe, total, noun)}")


@dataclass(frozen=True)
class Summary:
    """What a sweep did. `seconds` is the whole call, `computing_seconds` from its first block to its last.

    Of a share, `points` are its own; `complete` says whether the file is one ordinary file now.
    """

    file: Path
    points: int
    computed: int
    seconds: float
    computing_seconds: float
    counts: dict[str, int]
    complete: bool


def run(
    engine: Engine,
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
    share: Share | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Summary:
    """Have every block computed that the file lacks, then make it one ordinary file.

    `fingerprint` (JSON) is all that decides the values, so that a resumed file is of one kind;
    `attributes` are strings and numbers for the file's readers. With a `share` only that is computed, beside
    other jobs with other shares, and the file stays unfinished for `join`.

    Raises `InputError` before any work (see `Store`), `SweepError` where the file cannot be written, and
    `Interrupted` after `stop.requested` (the blocks in hand are finished first) or a `KeyboardInterrupt`
    (blocks it breaks into are computed again by `resume`). What computing raises goes through, when the
    other blocks in hand are safe.
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
        share=share,
    ) as store:
        before, seconds = store.done, 0.0
        progress.start(store.total, before)
        with reported(store.path, lambda: store.done, lambda: store.total, progress):
            if not store.finished:
                if store.damaged:
                    logger.warning("%s: %d damaged files are computed again", store.path, store.damaged)
                if store.rescued:
                    logger.warning("%s: the index was missing or damaged, and is written anew", store.path)
                if store.done < store.total:
                    seconds = engine.fill(store, progress, stop)
                if share is None:
                    progress.note("joining the shards into one file")
                    store.finish()
            counts = store.counts() if store.finished else {}
        return Summary(
            store.path,
            store.total,
            store.done - before,
            time.perf_counter() - began,
            seconds,
            counts,
            store.finished,
        )


@contextmanager
def reported(
    path: Path,
    safe: Callable[[], int],
    total: Callable[[], int],
    progress: Progress,
    noun: str = POINTS,
) -> Iterator[None]:
    """What stops a piece of work says how much of it is safe; in the end `progress` is told."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(path, safe(), total(), noun) from None
    except OSError as error:
        raise SweepError(path, safe(), total(), error, noun) from error
    except Exception as error:
        error.add_note(how_far(path, safe(), total(), noun))
        raise
    finally:
        progress.finish()


class Silent:
    """Tells nobody."""

    def start(self, total: int, done: int) -> None: ...

    def advance(self, n: int) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


def how_far(file: Path, safe: int, total: int, noun: str = POINTS) -> str:
    """How many points, or of what `noun` says, are on disk, in words."""
    if not safe:
        return f"none of {total} {noun} is safe"
    return f"{safe} of {total} {noun} are safe in {file}; the same command with --resume goes on from there"
