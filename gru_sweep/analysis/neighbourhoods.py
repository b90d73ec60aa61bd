r"""Neighbourhoods of sinks and sources that are proven to be what they look like.

For a sink at x* with Jacobian A let P solve the Lyapunov equation A^T P + P A = -I. If J^T P + P J is
negative definite for every Jacobian J that the field takes in a box around x* (interval arithmetic), then
e^T P e, e = h - x*, decreases along every trajectory in each ellipse e^T P e <= rho^2 inside that box: a
trajectory that enters never leaves and ends at x*, and no cycle meets the ellipse (Khalil 2002, Nonlinear
Systems, ch. 4). For a source the same with time reversed. Boxes are halved until the test holds.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..records import MAX_FIXED_POINTS, Kind
from .arithmetic import Dual, Interval, as_interval, evaluate, lift, together, trace
from .fixed_points import FixedPoints, Planar, stable, unstable

LARGEST = 1.0
"""Half-width of the first box tried."""
HALVINGS = 40
"""Boxes tried; a neighbourhood below 1e-12 is of no use in floating point."""
TESTS_PER_ADVANCE = 4
"""Boxes tested between two looks at the finished lanes."""


class Located(eqx.Module):
    """A planar problem with its fixed points."""

    planar: Planar
    fixed: FixedPoints


class Neighbourhoods(eqx.Module):
    """`shape` holds (P11, P12, P22) per fixed point, `size` the proven rho^2 (0: none)."""

    shape: Float[Array, "3 16"]
    size: Float[Array, " 16"]

    def inside(self, dx, dy):
        """Which neighbourhoods hold the point that lies (dx, dy), each (16,), from the fixed points."""
        p11, p12, p22 = self.shape
        return p11 * dx * dx + 2.0 * p12 * dx * dy + p22 * dy * dy < self.size


class _State(eqx.Module):
    slot: Int[Array, ""]
    halving: Int[Array, ""]
    size: Float[Array, " 16"]
    done: Bool[Array, ""]


def lyapunov(a, b, c, d):
    """P of A^T P + P A = -I for stable A = [[a, b], [c, d]]; for -A where A is a source."""
    tr, det = a + d, a * d - b * c
    factor = 1.0 / (2.0 * jnp.abs(tr) * det)
    # P = (det I + adj(A)^T adj(A)) / (-2 tr det), adj(A) = [[d, -b], [-c, a]]
    return factor * (det + d * d + c * c), -factor * (b * d + a * c), factor * (det + b * b + a * a)


def _shapes(fixed: FixedPoints):
    (a, b), (c, d) = jnp.moveaxis(fixed.jacobian, 0, -1)
    return jnp.stack(lyapunov(a, b, c, d))


def _wanted(fixed: FixedPoints):
    return stable(fixed.kind) | unstable(fixed.kind)


class Certify:
    """The search for the largest proven neighbourhoods, as a `records.Solver` of `Located` problems.

    They are looked for where there may be cycles; with `saddles` also where there are saddles.
    """

    def __init__(self, saddles: bool = False):
        self.saddles = saddles

    def init(self, problem: Located) -> _State:
        zero = jnp.zeros((), jnp.int32)
        size = jnp.zeros(MAX_FIXED_POINTS, problem.planar.lower.dtype)
        wanted = needed(problem)
        if self.saddles:
            wanted |= (problem.fixed.count >= 0) & jnp.any(problem.fixed.kind == Kind.SADDLE)
        return _State(zero, zero, size, ~wanted)

    def advance(self, problem: Located, state: _State) -> _State:
        closed = trace(problem.planar.field, (2,), dtype=problem.planar.lower.dtype)
        shapes, wanted = _shapes(problem.fixed), _wanted(problem.fixed)
        slots = jnp.arange(MAX_FIXED_POINTS)

        def test(_, s):
            here = slots == s.slot
            pick = lambda row: jnp.sum(jnp.where(here, row, 0.0))  # noqa: E731
            point = [pick(problem.fixed.point[:, i]) for i in range(2)]
            p11, p12, p22 = (pick(row) for row in shapes)
            sign = jnp.where(jnp.any(here & stable(problem.fixed.kind)), 1.0, -1.0)
            half = LARGEST * jnp.exp2(-s.halving.astype(p11.dtype))
            box = [Interval(x - half, x + half) for x in point]
            (out,) = evaluate(closed, Dual.seed(box), lift=lift)
            (a, b), (c, d) = [[as_interval(t, half) * sign for t in o.tangent] for o in out]
            m11 = (a * p11 + c * p12) * 2.0
            m22 = (b * p12 + d * p22) * 2.0
            m12 = a * p12 + c * p22 + b * p11 + d * p12
            definite = (m11.hi < 0.0) & (m22.hi < 0.0) & (m11.hi * m22.hi > m12.magnitude() ** 2 * 1.0001)
            # the largest ellipse in the box: rho^2 (P^-1)_ii <= half^2; a little less, for rounding
            size = 0.99 * half * half * (p11 * p22 - p12 * p12) / jnp.maximum(p11, p22)
            skip = ~jnp.any(here & wanted)
            proven, skip, size = together((definite & ~skip, skip, size))
            last = proven | skip | (s.halving >= HALVINGS)
            slot = s.slot + last.astype(s.slot.dtype)
            new = _State(
                slot=slot,
                halving=jnp.where(last, 0, s.halving + 1),
                size=jnp.where(here & proven, size, s.size),
                done=slot >= jnp.maximum(problem.fixed.count, 0),
            )
            return jax.tree.map(lambda x, y: jnp.where(s.done, x, y), s, new)

        return jax.lax.fori_loop(0, TESTS_PER_ADVANCE, test, state)

    def finish(self, problem: Located, state: _State) -> Neighbourhoods:
        return Neighbourhoods(shape=_shapes(problem.fixed), size=state.size)


def needed(problem: Located):
    """Whether to look for cycles at all: fixed points known, and Bendixson does not rule cycles out."""
    lo, hi = problem.fixed.divergence
    return (problem.fixed.count >= 0) & (lo <= 0.0) & (hi >= 0.0)
