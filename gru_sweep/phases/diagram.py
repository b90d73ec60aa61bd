"""The phase diagram: what the networks of every point do, in numbers, and what theory expects."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from ..gating.trajectories import Motion, Trajectory
from ..records import Column, Numbers, Status, field
from ..systems.networks import RandomNetworks
from . import theory
from .exponents import mean
from .measure import Measure, columns_of
from .running import POINTS, SETTINGS, run, status


class Phase(eqx.Module):
    """What the networks of a point do."""

    status: Int[Numbers, "*p"] = field(long_name="computation status", flags=Status, dtype="int8")
    motion: Int[Numbers, "*p"] = field(
        long_name="motion of most networks",
        flags=Motion,
        dtype="int8",
    )
    n_at_zero: Int[Numbers, "*p"] = field(long_name="networks that rest at zero", dtype="int32")
    n_fixed_point: Int[Numbers, "*p"] = field(long_name="networks that rest elsewhere", dtype="int32")
    n_periodic_or_slow: Int[Numbers, "*p"] = field(
        long_name="networks that move and are not told to be chaotic", dtype="int32"
    )
    n_chaotic: Int[Numbers, "*p"] = field(
        long_name="networks whose largest exponent is positive", dtype="int32"
    )
    lyapunov: Float[Numbers, "*p"] = field(
        long_name="largest Lyapunov exponent, mean over networks", units="1/time"
    )
    lyapunov_error: Float[Numbers, "*p"] = field(
        long_name="standard error of that, from networks; from time for one network", units="1/time"
    )
    activity: Float[Numbers, "*p"] = field(long_name="mean square of h over units, time and networks")
    activity_error: Float[Numbers, "*p"] = field(long_name="standard error of that, from networks")
    variance: Float[Numbers, "*p"] = field(long_name="variance in time of h, mean over units and networks")


_COUNTS = {
    "n_at_zero": Motion.AT_ZERO,
    "n_fixed_point": Motion.FIXED_POINT,
    "n_periodic_or_slow": Motion.PERIODIC_OR_SLOW,
    "n_chaotic": Motion.CHAOTIC,
}


def phase(record: Trajectory) -> Phase:
    """From the records of all networks, each field (n, networks)."""
    kinds = np.asarray(record.motion)
    counts = {name: (kinds == kind).sum(axis=1).astype(np.int32) for name, kind in _COUNTS.items()}
    table = np.stack([counts[name] for name in _COUNTS], axis=1)
    most = np.array([int(kind) for kind in _COUNTS.values()])[table.argmax(axis=1)]
    settled = 2 * table.max(axis=1) > kinds.shape[1]
    failed = status(record) == Status.FAILED
    lyapunov = mean(np.asarray(record.largest_exponent), np.asarray(record.largest_exponent_error))
    activity = mean(np.asarray(record.activity))
    return Phase(
        status=np.where(failed, Status.FAILED, np.where(settled, Status.OK, Status.UNRESOLVED)).astype(
            np.int8
        ),
        motion=np.where(settled, most, Motion.UNRESOLVED).astype(np.int8),
        **counts,
        lyapunov=lyapunov[0],
        lyapunov_error=lyapunov[1],
        activity=activity[0],
        activity_error=activity[1],
        variance=np.asarray(record.variance).mean(axis=1),
    )


def _columns(family: RandomNetworks, precision: str) -> tuple[Column, ...]:
    return *columns_of(Phase, precision), *theory.shape()


def _answer(family: RandomNetworks, points: dict[str, np.ndarray], precision: str) -> dict[str, np.ndarray]:
    found = phase(run(family, points, precision))
    simulated = {f.name: np.asarray(getattr(found, f.name)) for f in dataclasses.fields(found)}
    return simulated | theory.values(family, points)


PHASE_DIAGRAM = Measure(
    name="phase-diagram",
    title="what large networks do, and their mean field",
    answer=_answer,
    columns=_columns,
    points=POINTS,
    settings=SETTINGS,
)
