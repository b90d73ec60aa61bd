"""What an engine is, what it computes with, and whom it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from gru_sweep.records import Column
from gru_sweep.sweeps.store import Store

Function = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
"""Coordinates, each float64 (n,), to columns, each (n, *column.shape); a pure function."""


@runtime_checkable
class Evaluate(Protocol):
    """A `Function` that is ready to run on one device, of any number of points."""

    columns: tuple[Column, ...]
    settings: dict[str, Any]
    """Tolerances and round lengths, by name: they go into the file's attributes."""

    @property
    def compile_seconds(self) -> float: ...

    @property
    def compilations(self) -> int: ...

    def at_once(self, points: int) -> int:
        """How many blocks of so many points are worth computing side by side."""
        ...

    def __call__(self, coordinates: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]: ...


@runtime_checkable
class Progress(Protocol):
    """Who is told how far a sweep is, from the thread that called `run`; `note` comes from any thread."""

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


@runtime_checkable
class Engine(Protocol):
    """Computes blocks."""

    def fill(self, store: Store, progress: Progress, stop: Stop | None) -> float:
        """Bring every block that the store lacks to the disk; return the seconds that this took.

        After `stop.requested` the blocks in hand are finished and `KeyboardInterrupt` is raised; a
        `KeyboardInterrupt` from outside drops them. Whatever else goes wrong is raised when the other blocks
        in hand are safe.
        """
        ...
