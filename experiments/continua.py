"""What becomes of a line or ring of fixed points that is learnt: finitely many points, and how slow it is.

A certified list of fixed points proves that the trained flow has no continuum of them.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from learning import PAPER_SEEDS, per_number, share, spread

from gru_sweep.training import forecasts, tasks
from gru_sweep.training.fixed import fixed_points
from gru_sweep.training.networks import Network

NEAR = 0.3
"""A forecast from a continuous attractor has held its place within this, about the noise, 0.1^(1/2)."""
HOLDS = (29, 90, 290, 1000, 10_000)
"""Steps after which that is asked; 29 were trained."""
PLACES = 101
"""On the continuous attractor."""
LINE = 2.0
"""The line is trained, and asked, within |y| <= this."""


@eqx.filter_jit
def places(network: Network, starts: jax.Array, steps: int) -> jax.Array:
    """Where the closed loop is after `steps` steps from each of the observations (n, 2)."""

    def one(w0):
        return network.read(
            jax.lax.fori_loop(0, steps, lambda _, h: network.cell.step(h), network.encode(w0))
        )

    return jax.vmap(one)(starts)


def attractor(name: str) -> np.ndarray:
    """The task's attractor: points (n, 2) along it."""
    if name == "fhn":
        found = forecasts.cycle(tasks.named(name))
        assert found is not None
        return np.vstack([found.points, found.points[:1]])
    if name == "line":
        return np.stack([np.zeros(PLACES), np.linspace(-LINE, LINE, PLACES)], axis=1)
    angle = np.linspace(0.0, 2.0 * np.pi, PLACES)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def continuum(ds: xr.Dataset, nets: list[Network], name: str) -> dict[str, Any]:
    """A line or ring: how long places on it are held, and by what finite set they are replaced."""
    on = attractor(name)
    held = [spread(np.array([_near(net, on, steps) for net in nets]))["median"] for steps in HOLDS]
    points = [fixed_points(net.cell) for net in nets]
    proven = np.array([one.certified for one in points])
    counts = np.array([one.count for one in points], float)
    slowest = np.array([one.time_constant_map.max() for one in points])
    return {
        "finitely_many_fixed_points_proven": share(int(proven.sum()), len(proven)),
        "fixed_points": spread(np.where(proven, counts, np.nan)),
        "fixed_points_of_the_first_three": [int(n) for n in counts[:PAPER_SEEDS]],
        "one_fixed_point": share(int((counts == 1).sum()), len(counts)),
        "slowest_time_constant_in_steps": spread(slowest),
        "slow_span_in_hidden_space": spread(ds.slow_span.values),
        "slow_drift_per_step": spread(ds.slow_drift.values),
        "length_slower_than": {
            f"{speed:g}": spread(ds.slow_length.values[:, k]) for k, speed in enumerate(ds.threshold.values)
        },
        "near": NEAR,
        "steps": list(HOLDS),
        "share_of_places_held": held,
        "span_after_29_steps": spread(np.array([_span(net, on, name) for net in nets])),
        "held_out": spread(per_number(ds)),
    }


def _near(net: Network, on: np.ndarray, steps: int) -> float:
    away = np.linalg.norm(np.asarray(places(net, jnp.asarray(on), steps)) - on, axis=1)
    return float((away < NEAR).mean())


def _span(net: Network, on: np.ndarray, name: str) -> float:
    """How much of the attractor forecasts spread over after 29 steps: of 4 along y, or of 2 pi of angle."""
    at = np.asarray(places(net, jnp.asarray(on), HOLDS[0]))
    if name == "line":
        return float(np.ptp(at[:, 1]))
    angle = np.sort(np.arctan2(at[:, 1], at[:, 0]))
    return float(2.0 * np.pi - max(np.diff(angle).max(), angle[0] + 2.0 * np.pi - angle[-1]))
