"""The saddle of Eq 9, its two branches that may meet, and the gap between them; for Euler steps, too."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import gru_sweep as gs
from gru_sweep.analysis.taylor import trajectory

TEXT, LAST_DIGIT = 0.054085, 1e-6
"""gamma of the text, and the unit of its last digit."""
OFFSETS = (1e-5, 1e-6)
"""Distance from the saddle at which a branch starts: with it change all steps of the integration."""
TOLERANCE = 1e-13
"""Error of a step: near rounding, since errors near the saddle grow."""
BRANCH, SAMPLES = 160.0, 4001
"""Time for which a branch is followed: ln(1e6) / 0.151 = 91 to leave the saddle, and 43 for half a turn."""
EULER_OFFSET, EULER_TIME = 1e-6, 400.0
"""Where a branch starts, and when it must have come back."""
AWAY, BACK = 0.2, 0.1
"""An orbit has left the saddle beyond the first distance, and is back within the second."""


class Saddle(NamedTuple):
    """The saddle of the bifurcation, the focus that its loop goes round, eigenvalues and unit eigenvectors.

    Both vectors, of the positive and the negative eigenvalue in this order, point to the focus.
    """

    point: np.ndarray
    focus: np.ndarray
    values: tuple[float, float]
    directions: tuple[np.ndarray, np.ndarray]


def cell(gamma: Any) -> gs.GRU:
    return gs.FAMILIES["homoclinic"].build(gamma=jnp.asarray(gamma, float))


@eqx.filter_jit
def polished(field: gs.GRU, h: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The fixed point near `h` and the Jacobian there: Newton's method, more steps than rounding leaves."""
    for _ in range(8):
        h = h - jnp.linalg.solve(jax.jacfwd(field)(h), field(h))
    return h, jax.jacfwd(field)(h)


@cache
def proven() -> tuple[np.ndarray, np.ndarray]:
    """Saddle and focus at the gamma of the text, among the fixed points proven there."""
    portrait = gs.phase_portrait(cell(TEXT))
    (focus,) = portrait.fixed_point[portrait.kind == gs.Kind.UNSTABLE_FOCUS]
    saddles = portrait.fixed_point[portrait.kind == gs.Kind.SADDLE]
    return saddles[np.linalg.norm(saddles - focus, axis=1).argmin()], focus


@cache
def saddle(gamma: float) -> Saddle:
    """Both points continued from the gamma of the text, and the frame at the saddle."""
    (point, matrix), (focus, _) = ([np.asarray(x) for x in polished(cell(gamma), h)] for h in proven())
    values, vectors = np.linalg.eig(matrix)
    order = np.argsort(-values.real)
    towards = [math.copysign(1.0, v @ (focus - point)) * v for v in vectors.real.T[order]]
    return Saddle(point, focus, tuple(values.real[order].tolist()), (towards[0], towards[1]))


@eqx.filter_jit
def followed(field: Callable, start: np.ndarray, times: np.ndarray) -> jax.Array:
    """States at `times`, (n, 2)."""
    return trajectory(field, start, times, tolerance=TOLERANCE).state


class ToSection(eqx.Module):
    """dh/ds for s = normal . h: a given s is then reached exactly (Henon's trick)."""

    field: gs.GRU
    normal: jax.Array

    def __call__(self, h: jax.Array) -> jax.Array:
        rate = self.field(h)
        return rate / (self.normal @ rate)


def branch(gamma: float, which: int, offset: float) -> tuple[np.ndarray, float]:
    """The unstable (0) or stable (1) branch up to the ray behind the focus, and how far out it meets it."""
    point, focus, _, directions = saddle(gamma)
    axis = (focus - point) / np.linalg.norm(focus - point)
    normal = np.array([-axis[1], axis[0]])
    start = point + offset * directions[which]
    times = np.linspace(0.0, BRANCH if which == 0 else -BRANCH, SAMPLES)
    states = np.asarray(followed(cell(gamma), start, times))
    across, along = (states - focus) @ normal, (states - focus) @ axis
    last = int(np.flatnonzero((across[:-1] * across[1:] < 0) & (along[1:] > 0))[0])
    ends = np.array([normal @ states[last], normal @ focus])
    to_ray = ToSection(cell(gamma), jnp.asarray(normal))
    end = np.asarray(followed(to_ray, states[last], ends))[-1]
    return np.vstack([point, states[: last + 1], end]), float((end - focus) @ axis)


def gap(gamma: float, offset: float = OFFSETS[-1]) -> float:
    """Where the unstable branch meets the ray less where the stable one does: negative before the orbit."""
    return branch(gamma, 0, offset)[1] - branch(gamma, 1, offset)[1]


@eqx.filter_jit
def side(field: gs.GRU, dt: float, point: jax.Array, out: jax.Array, rows: jax.Array) -> jax.Array:
    """On which side of the saddle its unstable branch passes it under h' = h + dt f(h): 1 where it left."""

    def going(state):
        step, _, _, passed = state
        return (passed == 0) & (step * dt < EULER_TIME)

    def advance(state):
        step, h, away, _ = state
        h = h + dt * field(h)
        u, s = rows @ (h - point)
        distance = jnp.linalg.norm(h - point)
        away |= distance > AWAY
        # the unstable coordinate decides once it is the larger
        back = away & (distance < BACK) & (jnp.abs(u) > jnp.abs(s))
        return step + 1, h, away, jnp.where(back, jnp.sign(u), 0.0)

    start = (jnp.asarray(0), point + EULER_OFFSET * out, jnp.asarray(False), jnp.zeros(()))
    return jax.lax.while_loop(going, advance, start)[3]


def euler_returns(gamma: float, dt: float) -> bool:
    """Whether the branch stays inside under Euler's method with step `dt`: it passes the saddle on the side
    that it left to, or no more comes near. Fixed points and eigenvectors are those of the flow."""
    point, _, _, directions = saddle(gamma)
    rows = np.linalg.inv(np.stack(directions, axis=1))
    passed = side(cell(gamma), dt, *map(jnp.asarray, (point, directions[0], rows)))
    return bool(passed >= 0)
