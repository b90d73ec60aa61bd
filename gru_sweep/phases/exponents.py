"""Lyapunov exponents of the networks at every point: a record for each, their mean, mean field beside."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from ..gating.trajectories import Trajectory
from ..records import Column, Numbers, Status, field
from ..systems.networks import RandomNetworks
from . import theory
from .measure import Measure, columns_of, of_each
from .running import POINTS, SETTINGS, run, status


class Mean(eqx.Module):
    """What the networks of a point have in common."""

    status: Int[Numbers, ""] = field(long_name="computation status", flags=Status, dtype="int8")
    lyapunov: Float[Numbers, ""] = field(
        long_name="largest Lyapunov exponent, mean over networks", units="1/time"
    )
    lyapunov_error: Float[Numbers, ""] = field(
        long_name="standard error of that, from networks; from time for one network", units="1/time"
    )


def mean(values: np.ndarray, error: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Over networks, (n, k) to (n,), and its standard error: `error`, or NaN, where there is one network."""
    with np.errstate(invalid="ignore"):  # infinities: -inf less itself
        if values.shape[1] == 1:
            return values[:, 0], np.full(len(values), np.nan) if error is None else error[:, 0]
        spread = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
        return values.mean(axis=1), spread


def _columns(family: RandomNetworks, precision: str) -> tuple[Column, ...]:
    each = columns_of(Trajectory, precision, {"exponent_index": family.exponents})
    return *columns_of(Mean, precision), *of_each(each, family.networks), *theory.shape()


def _answer(family: RandomNetworks, points: dict[str, np.ndarray], precision: str) -> dict[str, np.ndarray]:
    record = run(family, points, precision)
    found: dict[str, np.ndarray] = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    value, error = mean(found["largest_exponent"], found["largest_exponent_error"])
    common = {"status": status(record), "lyapunov": value, "lyapunov_error": error}
    return found | common | theory.values(family, points)


LYAPUNOV = Measure(
    name="lyapunov",
    title="Lyapunov exponents",
    answer=_answer,
    columns=_columns,
    points=POINTS,
    settings=SETTINGS,
)
