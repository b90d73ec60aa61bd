r"""Steps along the curve G(x) = 0 in the unit box: the compiled part of `continuation`.

From a point x with unit tangent t, let w be the guess at distance h that has the curvature of the last
cubic. The step is to the solution of G(y) = 0, t.(y - w) = 0 by Newton's method. It counts if that
converged, if the tangent turned little, and if the cubic between both ends stays on the curve: at three
points inside, the distance from the curve, to first order |DG^+ G|, times a margin, must be below
`tolerance`. The next step's size follows that error, which is of fourth order.
"""

from __future__ import annotations

from enum import IntEnum
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ...compiled import compiled
from .path import POLISH, hermite

TOLERANCE = 2e-10
"""Largest distance between the curve and the cubics, in sides of the box."""
CONVERGED = 1e-12
"""Newton's last step, in sides of the box: above rounding where G is a formula and DG regular; the error is
its square."""
NEWTON_STEPS = 8
"""Newton's steps from a predicted point; a good prediction needs three or four."""
FIRST_STEP, LARGEST_STEP, SMALLEST_STEP = 1e-2, 5e-2, 1e-7
"""Sizes of a step: the largest so that tests along the curve are sampled, the smallest above `CONVERGED`."""
TURN = 0.9
"""Cosine of the angle by which a tangent may turn in one step: about 26 degrees."""
INSIDE = (0.25, 0.5, 0.75)
"""Where the cubic of a step is tested: its leading error is largest in the middle, the next one beside it."""
MARGIN = 2.0
"""What the errors seen there are multiplied by."""
MEETS = 1e-8
"""How near its beginning a curve must pass to be closed, and a face's point lie to the cubic's."""
ROUND = 256
"""Points followed in one call of the compiled program."""


class End(IntEnum):
    """How a curve ends: on a face of the box, closed, where DG is singular, where no step succeeds, or at
    `MAX_POINTS`."""

    GOING = 0
    FACE = 1
    CLOSED = 2
    BRANCH_POINT = 3
    STUCK = 4
    GIVEN_UP = 5


class Scaled(eqx.Module):
    """G on the unit box: x -> G(lower + width x); how near to its curve cubics have to stay, and the size of
    Newton's last step."""

    function: Any
    lower: Float[Array, " d"]
    width: Float[Array, " d"]
    tolerance: Float[Array, ""]
    converged: Float[Array, ""]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " n"]:
        return self.function(self.lower + self.width * x)


class Walk(eqx.Module):
    """One direction from `start`, with tangent `begin` there: where it is, its tangent and curvature vector
    (`bend`), the next step's size, the determinant of (DG, t), and the points of this round."""

    x: Float[Array, " d"]
    tangent: Float[Array, " d"]
    bend: Float[Array, " d"]
    start: Float[Array, " d"]
    begin: Float[Array, " d"]
    size: Float[Array, ""]
    side: Float[Array, ""]
    count: Int[Array, ""]
    points: Float[Array, "round d"]
    tangents: Float[Array, "round d"]
    gaps: Float[Array, " round"]
    end: Int[Array, ""]


def _rows(scaled, x):
    """G and DG, each row of DG divided by its length, and so is G."""
    # G is evaluated once, for itself and its derivative
    slope, value = jax.jacfwd(lambda y: (scaled(y),) * 2, has_aux=True)(x)
    norm = jnp.sqrt(jnp.sum(slope * slope, axis=1))
    return value / norm, slope / norm[:, None]


def _newton(scaled, guess, normal):
    """The solution of G = 0 in the plane through the guess, the rows of DG, and the last step's size."""

    def step(state):
        x, k, _, _ = state
        value, rows = _rows(scaled, x)
        left = jnp.concatenate([rows, normal[None]])
        delta = jnp.linalg.solve(left, jnp.append(value, normal @ (x - guess)))
        size = jnp.max(jnp.abs(delta))
        return jnp.where(jnp.isfinite(size), x - delta, x), k + 1, rows, size

    going = lambda state: (state[1] < NEWTON_STEPS) & (state[3] > scaled.converged)  # noqa: E731
    d, dtype = guess.size, guess.dtype
    begin = (guess, 0, jnp.zeros((d - 1, d), dtype), jnp.asarray(jnp.inf, dtype))
    # the rows are from before the last step, which is no longer seen
    x, _, rows, last = jax.lax.while_loop(going, step, begin)
    return x, rows, last


def _tangent(rows, along):
    """The unit vector that DG takes to 0, on the side of `along`."""
    last = jnp.zeros(rows.shape[1], rows.dtype).at[-1].set(1.0)
    vector = jnp.linalg.solve(jnp.concatenate([rows, along[None]]), last)
    return vector / jnp.sqrt(vector @ vector)


def _gap(x, y, s, t):
    """The length of the curve between x and y with unit tangents s and t: exact for a circle."""
    chord, turn = (jnp.sqrt(jnp.sum(v * v)) for v in (y - x, t - s))
    half = jnp.arcsin(jnp.minimum(0.5 * turn, 1.0))
    return chord * jnp.where(turn > 1e-6, half / jnp.where(turn > 1e-6, 0.5 * turn, 1.0), 1.0)


def _deviation(scaled, x, along):
    """First-order distance of x from the curve, in the plane across `along`."""
    value, rows = _rows(scaled, x)
    left = jnp.concatenate([rows, along[None]])
    return jnp.max(jnp.abs(jnp.linalg.solve(left, jnp.append(value, 0.0))))


def _closes(walk, cubic, y, gap) -> Bool[Array, ""]:
    """Whether the cubic from `walk.x` to y passes through the beginning, in the same direction."""
    height = lambda at: walk.begin @ (cubic(at) - walk.start)  # noqa: E731
    before, after = height(jnp.zeros(())), height(jnp.ones(()))
    at = before / (before - after)
    for _ in range(POLISH):
        value, slope = jax.jvp(height, (at,), (jnp.ones_like(at),))
        at = at - value / slope
    passes = (before < 0.0) & (after >= 0.0) & (jnp.max(jnp.abs(y - walk.start)) <= 2.0 * gap)
    return passes & (jnp.max(jnp.abs(cubic(at) - walk.start)) <= MEETS)


@compiled
def advance(scaled: Scaled, walk: Walk) -> Walk:
    """Up to `ROUND` more points, fewer where the curve ends."""

    def attempt(walk: Walk) -> Walk:
        x, s = walk.x, walk.tangent
        guess = x + walk.size * s + 0.5 * walk.size**2 * walk.bend
        y, rows, last = _newton(scaled, guess, s)
        t = _tangent(rows, s)
        gap = _gap(x, y, s, t)
        cubic = partial(hermite, x, y, gap * s, gap * t)
        at = jnp.asarray(INSIDE, x.dtype)[:, None]
        between, along = jax.jvp(cubic, (at,), (jnp.ones_like(at),))
        off = jnp.max(jax.vmap(lambda z, v: _deviation(scaled, z, v))(between, along / gap))
        error = MARGIN * off / scaled.tolerance
        good = (last <= scaled.converged) & (error <= 1.0) & (s @ t >= TURN) & (gap <= 2.0 * walk.size)
        factor = 0.9 * jnp.maximum(error, 1e-4) ** -0.25
        # a step that failed although its cubic is good met another branch, or Newton's method did not end
        factor = jnp.clip(factor, jnp.where(good, 0.5, 0.1), jnp.where(good, 2.0, 0.5))
        size = jnp.minimum(walk.size * jnp.where(jnp.isfinite(factor), factor, 0.25), LARGEST_STEP)

        side = jnp.linalg.det(jnp.concatenate([rows, t[None]]))
        out = jnp.any((y < 0.0) | (y > 1.0))
        end = jnp.where(side * walk.side < 0.0, End.BRANCH_POINT, End.GOING)
        end = jnp.where(_closes(walk, cubic, y, gap), End.CLOSED, jnp.where(out, End.FACE, end))
        end = jnp.where(good, end, jnp.where(size < SMALLEST_STEP, End.STUCK, End.GOING))
        row = jnp.where(good, walk.count, ROUND)  # beyond the table: dropped
        return Walk(
            x=jnp.where(good, y, x),
            tangent=jnp.where(good, t, s),
            # the second derivative of the cubic at its end
            bend=jnp.where(good, (6.0 * (x - y) / gap + 2.0 * s + 4.0 * t) / gap, walk.bend),
            start=walk.start,
            begin=walk.begin,
            size=size,
            side=jnp.where(good, side, walk.side),
            count=walk.count + good,
            points=walk.points.at[row].set(y, mode="drop"),
            tangents=walk.tangents.at[row].set(t, mode="drop"),
            gaps=walk.gaps.at[row].set(gap, mode="drop"),
            end=end.astype(walk.end.dtype),
        )

    going = lambda walk: (walk.count < ROUND) & (walk.end == End.GOING)  # noqa: E731
    return jax.lax.while_loop(going, attempt, walk)


@compiled
def slope(scaled: Scaled, x: Float[Array, " d"]) -> tuple[Array, Array]:
    return _rows(scaled, x)
