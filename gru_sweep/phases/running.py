"""The networks of a point, followed: one record for each seed, from one draw for all points."""

from __future__ import annotations

import functools

import jax
import numpy as np

from ..gating.biased import ROOT_ERROR
from ..gating.trajectories import STEP, Duration, Motion, Trajectory, networks, trajectories
from ..gating.trajectories.motion import AT_REST, AT_ZERO, SURE, SUSTAINED
from ..records import Status
from ..systems.ensembles import named
from ..systems.networks import LEAST_TAU, RandomNetworks

POINTS = 128
"""Networks side by side: a product with J_k is one of two matrices, and the states stay in the caches."""
SETTINGS = {
    "dt_over_shortest_tau": STEP,
    "at_rest_speed": AT_REST,
    "at_zero_size": AT_ZERO,
    "sure_standard_errors": SURE,
    "sustained_speed_loss": SUSTAINED,
    "mean_field_root_error": ROOT_ERROR,
}
"""By the names under which a file has them."""


@functools.lru_cache(maxsize=4)
def drawn(ensemble: str, size: int, seed: int, number: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Matrices and start of one network, kept for the next points."""
    chosen = named(ensemble)
    return chosen.draw(size, seed, number), chosen.start(size, seed, number)


def _step(points: dict[str, np.ndarray]) -> float:
    """The step of a flow, the same for all points of a sweep, whichever are computed together."""
    taus = [value for name, value in points.items() if name.startswith("tau_")]
    return STEP * min([1.0, *(float(tau[0]) if (tau == tau[0]).all() else LEAST_TAU for tau in taus)])


def run(family: RandomNetworks, points: dict[str, np.ndarray], precision: str) -> Trajectory:
    """The records of all networks at n points, each field (n, networks, ...) in NumPy."""
    found = []
    for number in range(family.networks):
        matrices, start = drawn(family.ensemble.name, family.size, family.seed, number)
        problem = networks(
            family.ensemble, matrices, start, points, dt=_step(points), dtype=np.dtype(precision).type
        )
        duration = Duration(family.transient, family.time)
        record = trajectories(problem, duration, exponents=family.exponents, seed=family.seed % 2**32)
        found.append(jax.tree.map(np.asarray, record))
    return jax.tree.map(lambda *parts: np.stack(parts, axis=1), *found)


def status(record: Trajectory) -> np.ndarray:
    """(n,): whether all networks of a point are resolved; failed where a number is not finite."""
    known = np.isfinite(record.size) & np.isfinite(record.speed)
    found = np.where(
        (np.asarray(record.motion) == Motion.UNRESOLVED).any(axis=1), Status.UNRESOLVED, Status.OK
    )
    return np.where(known.all(axis=1), found, Status.FAILED).astype(np.int8)
