"""What is trained and how: members and settings, refused here if they are bad."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optax

from ..records import InputError, nearest
from .initialisations import INITIALISATIONS

SNAPSHOTS = 30
"""Epochs whose parameters are kept unless said otherwise, about."""
PRECISIONS = ("float32", "float64")


@dataclasses.dataclass(frozen=True)
class Member:
    """One network to train: `dim` units, begun from `seed`, with a `learning_rate`."""

    dim: int
    seed: int
    learning_rate: float

    def __post_init__(self):
        _whole("--dim", self.dim, 1, None)
        _whole("--seeds", self.seed, 0, 2**63 - 1)
        rate = self.learning_rate
        if (
            isinstance(rate, bool)
            or not isinstance(rate, (int, float, np.floating))
            or not 0 < rate < math.inf
        ):
            raise InputError("--learning-rate", "a positive number", rate)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How all members are trained, full batch.

    - `epochs`: updates. `initialisation`: a name in `INITIALISATIONS`. `precision`: "float32" or "float64".
    - `optimiser`: from a learning rate, an optax transformation; Adam, Kingma & Ba (2015), by default.
    - `snapshots`: epochs whose parameters are kept; by default `SNAPSHOTS` or fewer: 0, and evenly in the
      logarithm from 1 to the last.
    - `test_every`: epochs from one held-out loss to the next.
    """

    epochs: int = 4000
    initialisation: str = "uniform"
    precision: str = "float32"
    optimiser: Callable[[Any], optax.GradientTransformation] = optax.adam
    snapshots: tuple[int, ...] | None = None
    test_every: int = 10

    def __post_init__(self):
        _whole("--epochs", self.epochs, 1, None)
        _whole("test_every", self.test_every, 1, None)
        if self.initialisation not in INITIALISATIONS:
            raise InputError(
                "--initialisation", nearest(self.initialisation, INITIALISATIONS), self.initialisation
            )
        if self.precision not in PRECISIONS:
            raise InputError("--precision", f"one of {', '.join(PRECISIONS)}", self.precision)
        for epoch in self.snapshots or ():
            _whole("snapshots", epoch, 0, self.epochs)

    @property
    def kept(self) -> tuple[int, ...]:
        """Epochs whose parameters are kept, ascending."""
        if self.snapshots is not None:
            return tuple(sorted(set(self.snapshots)))
        spaced = np.rint(np.geomspace(1, self.epochs, SNAPSHOTS - 1)).astype(int)
        return (0, *np.unique(spaced).tolist())


def check_series(name: str, series: np.ndarray, like: tuple[int, ...] | None = None) -> np.ndarray:
    """Series as float64 (n, T + 1, p); refused: other shapes, non-finite values, another p than `like`'s."""
    series = np.asarray(series, np.float64)
    if series.ndim != 3 or series.shape[0] < 1 or series.shape[1] < 2 or series.shape[2] < 1:
        raise InputError(name, "series of shape (n >= 1, points >= 2, p >= 1)", f"shape {series.shape}")
    if like is not None and series.shape[2] != like[2]:
        raise InputError(name, f"{like[2]} coordinates, as in train", series.shape[2])
    if not np.isfinite(series).all():
        raise InputError(name, "finite values", "non-finite ones")
    return series


def check_members(members: Sequence[Member]) -> tuple[Member, ...]:
    """The members; refused: none."""
    if not members:
        raise InputError("--seeds", "at least one network to train", "none")
    return tuple(members)


def _whole(argument: str, value: Any, least: int, most: int | None) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        expected = f"a whole number from {least}" + (f" to {most}" if most is not None else " on")
        raise InputError(argument, expected, value)
