r"""The curves of a phase portrait, evenly sampled along their length.

With s the arc length, p_i the fixed points and t the time,

    dh/ds = f dt/ds,     dt/ds = 1 / (|f| sqrt(1 + sum_i (rho / |h - p_i|)^2)):

unit speed everywhere but within about rho of a fixed point, where it falls as the distance does, whatever
the eigenvalues. So a slow passage costs no more samples than a fast one, a curve comes to rest where it
ends, and it turns round a saddle that it passes as the flow does. Cycles are followed with rho = 0 until t
is the period.

All curves of a portrait are lanes of one compiled program, in 64-bit arithmetic whatever the caller's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..analysis.taylor import trajectory
from ..records import MAX_FIXED_POINTS, Kind

SAMPLES = 2501
"""States on a curve."""
TOLERANCE = 1e-8
"""Error of a step."""
MAX_STEPS = 20_000
"""Steps of a curve, after which the rest of it is not drawn: slow manifolds are stiff."""
LANES = 32
"""Curves are integrated in multiples of this, so that few programs are compiled."""
RADIUS = 0.005
"""rho, in units of the larger side of the view; so are the next three."""
OFFSET = 1e-6
"""Distance from a saddle, along its eigenvectors, at which its branches start."""
REST = 1e-7
"""Distance between two states of a curve that counts as rest."""
TRAJECTORY = 1.5
"""Longest arc of a trajectory."""
LONGEST = 6.0
"""Longest arc of a cycle or branch, in units of the larger side of box and view together."""
GAP = 0.01
"""Distance between the ends of a cycle that are taken for one, in the same unit."""


@dataclasses.dataclass(frozen=True)
class Orbits:
    """Curves, each (n, 2), in the direction of the flow or against it.

    - `stable_cycles`, `unstable_cycles`: closed, the first state is the last.
    - `unstable_manifolds`, `stable_manifolds`: two for each saddle, in order, from the saddle outwards.
    - `trajectories`: one for each initial state.
    """

    stable_cycles: list[np.ndarray]
    unstable_cycles: list[np.ndarray]
    unstable_manifolds: list[np.ndarray]
    stable_manifolds: list[np.ndarray]
    trajectories: list[np.ndarray]


class _ArcLength(eqx.Module):
    """(h, t) by arc length, as above; against the flow where `sense` is -1."""

    field: Callable
    points: Float[Array, "16 2"]
    radius: Float[Array, ""]
    sense: Float[Array, ""]

    def __call__(self, state: Float[Array, " 3"]) -> Float[Array, " 3"]:
        h = state[:2]
        rate = self.sense * self.field(h)
        # keeps 0 / 0 out where the field or a distance vanishes
        tiny = jnp.finfo(h.dtype).tiny
        squared = jnp.sum((h - self.points) ** 2, axis=1) + tiny
        slowing = 1.0 + jnp.sum(self.radius**2 / squared)
        pace = 1.0 / jnp.sqrt((jnp.sum(rate**2) + tiny) * slowing)
        # where a curve comes to rest |f| is rounding: no step size would do for t, which only cycles need
        return jnp.append(pace * rate, jnp.where(self.radius > 0, 0.0, pace))


@eqx.filter_jit
def _follow(field, points, starts, senses, lengths, radii):
    def one(h0, sense, length, radius):
        arc = jnp.linspace(0.0, length, SAMPLES)
        law = _ArcLength(field, points, radius, sense)
        return trajectory(law, jnp.append(h0, 0.0), arc, tolerance=TOLERANCE, max_steps=MAX_STEPS).state

    return jax.vmap(one)(starts, senses, lengths, radii)


@eqx.filter_jit
def _jacobians(field, points):
    return jax.vmap(jax.jacfwd(field))(points)


@eqx.filter_jit
def _rates(field, x, y):
    return jax.vmap(jax.vmap(lambda a, b: field(jnp.stack([a, b]))))(*jnp.meshgrid(x, y))


def rates(field: Callable, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dh/dt at the nodes of a grid: (len(y), len(x), 2)."""
    with jax.enable_x64(True):
        return np.asarray(_rates(field, jnp.asarray(x), jnp.asarray(y)))


def orbits(
    portrait: Any, starts: np.ndarray, lower: np.ndarray, upper: np.ndarray, *, separatrices: bool = True
) -> Orbits:
    """Cycles, branches of the saddles and the trajectories from `starts` (n, 2) of a PhasePortrait.

    Curves stop where they leave both the view [lower, upper] and the portrait's box, where they come to
    rest, or at the longest arcs.
    """
    low, high = np.minimum(lower, portrait.lower), np.maximum(upper, portrait.upper)
    detail, extent = float(np.max(upper - lower)), float(np.max(high - low))
    field, points = portrait.field, np.asarray(portrait.fixed_point, float)
    saddles = points[(np.asarray(portrait.kind) == Kind.SADDLE) & separatrices]
    with jax.enable_x64(True):
        groups = (
            _cycles(portrait, points, LONGEST * extent),
            _branches(field, saddles, OFFSET * detail, LONGEST * extent, RADIUS * detail),
            _lanes(starts, 1.0, TRAJECTORY * detail, RADIUS * detail),
        )
        lanes = _Lanes(*map(np.concatenate, zip(*groups)))
        states = _followed(field, points, lanes)[..., :2]
    cycles, branches, runs = np.split(states, np.cumsum([len(g.start) for g in groups[:2]]))
    loops = [_closed(c, GAP * extent) for c in cycles]
    pieces = [_piece(c, low, high, REST * detail) for c in branches]
    pieces = [np.concatenate([saddle[None], c]) for saddle, c in zip(np.repeat(saddles, 4, 0), pieces)]
    return Orbits(
        stable_cycles=[c for c, sense in zip(loops, groups[0].sense) if sense > 0],
        unstable_cycles=[c for c, sense in zip(loops, groups[0].sense) if sense < 0],
        unstable_manifolds=[c for i, c in enumerate(pieces) if i % 4 < 2],
        stable_manifolds=[c for i, c in enumerate(pieces) if i % 4 >= 2],
        trajectories=[_piece(c, low, high, REST * detail) for c in runs],
    )


class _Lanes(NamedTuple):
    """What to follow: initial states (n, 2), with (1) or against (-1) the flow, how far, and rho."""

    start: np.ndarray
    sense: np.ndarray
    length: np.ndarray
    radius: np.ndarray


def _lanes(starts, sense, length, radius) -> _Lanes:
    starts = np.asarray(starts, float).reshape(-1, 2)
    return _Lanes(
        starts, *(np.broadcast_to(np.asarray(x, float), len(starts)) for x in (sense, length, radius))
    )


def _cycles(portrait: Any, points: np.ndarray, longest: float) -> _Lanes:
    """Once round every cycle; against the flow where it is not stable, so that errors die out."""
    period = np.asarray(portrait.cycle_period, float)
    used = np.isfinite(period)
    starts = np.asarray(portrait.cycle_point, float)[used]
    senses = np.where(np.asarray(portrait.cycle_stable)[used] == 1, 1.0, -1.0)
    lanes = _lanes(starts, senses, longest, 0.0)
    curves, arc = _followed(portrait.field, points, lanes), np.linspace(0.0, longest, SAMPLES)
    clocks = [(arc[known], c[known, 2]) for c in curves for known in [np.isfinite(c).all(axis=1)]]
    return lanes._replace(length=np.array([np.interp(p, t, s) for p, (s, t) in zip(period[used], clocks)]))


def _branches(field: Callable, saddles: np.ndarray, offset: float, length: float, radius: float) -> _Lanes:
    """Four for each saddle: both sides of the unstable eigenvector, both sides of the stable one."""
    if not len(saddles):
        return _lanes(saddles, 0.0, 0.0, 0.0)
    jacobians = np.asarray(_jacobians(field, np.resize(saddles, (MAX_FIXED_POINTS, 2))))[: len(saddles)]
    values, vectors = np.linalg.eig(jacobians)
    order = np.argsort(-values.real, axis=1)
    # rows: the unstable direction, then the stable one
    directions = np.take_along_axis(vectors.real, order[:, None, :], axis=2).swapaxes(1, 2)
    sides = np.array([1.0, -1.0])
    starts = saddles[:, None, None] + offset * sides[:, None] * directions[:, :, None]
    return _lanes(starts, np.tile([1.0, 1.0, -1.0, -1.0], len(saddles)), length, radius)


def _followed(field: Callable, points: np.ndarray, lanes: _Lanes) -> np.ndarray:
    """(n, SAMPLES, 3): states (NaN once given up) and, where rho = 0, times along n lanes."""
    n = len(lanes.start)
    if not n:
        return np.empty((0, SAMPLES, 3))
    full = np.arange(-(-n // LANES) * LANES) % n
    # slots without a fixed point are infinitely far away
    points = np.where(np.isfinite(points), points, np.inf)
    return np.asarray(_follow(field, points, *(column[full] for column in lanes)))[:n]


def _closed(curve: np.ndarray, gap: float) -> np.ndarray:
    """Once round: the last state, which is the first within the error, replaced by it.

    Left open: a cycle that is longer than the longest arc, or that was given up.
    """
    known = np.isfinite(curve).all(axis=1)
    round_ = known.all() and np.abs(curve[-1] - curve[0]).max() < gap
    return np.concatenate([curve[:-1], curve[:1]]) if round_ else curve[known]


def _piece(curve: np.ndarray, low: np.ndarray, high: np.ndarray, rest: float) -> np.ndarray:
    """The part of a curve up to the first state outside [low, high] or to where it rests."""
    out = np.flatnonzero(~np.all((curve[1:] >= low) & (curve[1:] <= high), axis=1))
    curve = curve[: out[0] + 2] if out.size else curve
    curve = curve[np.isfinite(curve).all(axis=1)]
    moving = np.flatnonzero(np.abs(np.diff(curve, axis=0)).max(axis=1) > rest)
    return curve[: moving[-1] + 2] if moving.size else curve[:1]
