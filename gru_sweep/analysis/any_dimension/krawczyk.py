r"""What is proven of a box, and of a fixed point: compiled once per kind of field and dimension.

With m the middle of the box B, J(B) the Jacobian over it and C an approximate inverse of J's middle,

- 0 outside f(B), f(m) + J(B)(B - m), or B apart from K(B) = m - C f(m) + (I - C J(B))(B - m): no fixed point;
- K(B) inside the interior of B: exactly one (Krawczyk 1969; Neumaier 1990, Interval Methods for Systems of
  Equations, ch. 5).

Every function takes the field as an argument: the parameters of a module are arguments of the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..arithmetic import Interval
from ..compiled import compiled
from .enclosures import product, value, value_and_jacobian

INFLATION = 1.0 / 16.0
"""A box is tested larger by this fraction of its width at each end: edges belong to both neighbours."""
NEWTON_STEPS = 4
"""Newton's steps before a proof: quadratic convergence from 1e-8 needs one."""
RADII = 26
"""Boxes around a point that are tried, each a quarter as wide as the last: from the whole to rounding."""
SHRINKS = 4
"""Contractions of the smallest proven box, as far as they go."""


Numbers = Any
"""Arrays of JAX where they are computed, of NumPy where the host keeps them."""


class Verdict(eqx.Module):
    """Of one box: no fixed point, or exactly one in `tested`; else what is left of it, and where to cut."""

    excluded: Bool[Numbers, "*n"]
    proven: Bool[Numbers, "*n"]
    lo: Float[Numbers, "*n d"]
    hi: Float[Numbers, "*n d"]
    tested_lo: Float[Numbers, "*n d"]
    tested_hi: Float[Numbers, "*n d"]
    axis: Int[Numbers, "*n"]
    guess: Float[Numbers, "*n d"]


class Proof(eqx.Module):
    """Of one point: the fixed point within `error` of `point`, the only one in [lo, hi] where `proven`.

    `jacobian` +- `spread` holds the Jacobian there; `residual` is max |f| at `point`; `zero` says whether
    intervals leave room for a zero of f as near as a double root is known.
    """

    point: Float[Numbers, "*n d"]
    error: Float[Numbers, "*n"]
    proven: Bool[Numbers, "*n"]
    lo: Float[Numbers, "*n d"]
    hi: Float[Numbers, "*n d"]
    jacobian: Float[Numbers, "*n d d"]
    spread: Float[Numbers, "*n d d"]
    residual: Float[Numbers, "*n"]
    zero: Bool[Numbers, "*n"]


def _inverse(a: Array) -> Array:
    """Approximate: any matrix serves in a proof, a bad one proves nothing."""
    return jnp.linalg.inv(jnp.where(jnp.isfinite(a), a, 0.0))


def _krawczyk(field: Callable, lo: Array, hi: Array):
    """f(B), f(m) + J(B)(B - m), K(B), J(B), and C."""
    over, jacobian = value_and_jacobian(field, lo, hi)
    middle = 0.5 * (lo + hi)
    at = value(field, middle, middle)
    about = Interval(lo, hi) - middle
    inverse = _inverse(jacobian.middle)
    left = Interval.exact(jnp.eye(lo.size, dtype=lo.dtype)) - product(inverse, jacobian)
    image = (product(left, about) - product(inverse, at)) + middle
    return over, at + product(jacobian, about), image, jacobian, inverse


def _inside(image: Interval, lo: Array, hi: Array) -> Bool[Array, ""]:
    return jnp.all((image.lo > lo) & (image.hi < hi))


@compiled
def judge(
    field: Callable, lo: Float[Array, "n d"], hi: Float[Array, "n d"], least: Float[Array, " d"]
) -> Verdict:
    """The verdict on each of n boxes, a box narrower than `least` being tested as if it were that wide."""

    def one(lo, hi):
        # what contraction leaves of a box may have no width at all
        grow = INFLATION * jnp.maximum(hi - lo, least)
        outer_lo, outer_hi = lo - grow, hi + grow
        over, mean, image, jacobian, _ = _krawczyk(field, outer_lo, outer_hi)
        apart = lambda x: jnp.any((x.lo > 0.0) | (x.hi < 0.0))  # noqa: E731
        # comparisons with NaN are false: K says nothing then
        cut_lo, cut_hi = jnp.where(image.lo > lo, image.lo, lo), jnp.where(image.hi < hi, image.hi, hi)
        excluded = apart(over) | apart(mean) | jnp.any(cut_lo > cut_hi)
        # the coordinate to cut: where the box's width matters most, relative to the others, in every equation
        width = cut_hi - cut_lo
        smear = jacobian.magnitude() * width
        share = jnp.sum(smear / jnp.sum(smear, axis=1, keepdims=True), axis=0)
        relative = width / jnp.max(width)
        share = jnp.where(jnp.all(jnp.isfinite(share)), share, relative)
        share = jnp.where(relative < 1.0 / 64.0, -1.0, share)  # no slivers
        return Verdict(
            excluded=excluded,
            proven=_inside(image, outer_lo, outer_hi) & ~excluded,
            lo=cut_lo,
            hi=cut_hi,
            tested_lo=outer_lo,
            tested_hi=outer_hi,
            axis=jnp.argmax(share),
            guess=jnp.clip(image.middle, lo, hi),
        )

    return jax.vmap(one)(lo, hi)


@compiled
def prove(
    field: Callable, reduced: Callable, points: Float[Array, "n d"], width: Float[Array, " d"]
) -> Proof:
    """Newton's method from each point, and what is proven of where it ends.

    `reduced` has the fixed points of `field` (`factor.reduced`), `width` is that of the search box.
    """

    def one(start):
        eps = float(jnp.finfo(start.dtype).eps)

        def newton(_, x):
            new = x - _inverse(jax.jacfwd(reduced)(x)) @ reduced(x)
            return jnp.where(jnp.all(jnp.isfinite(new)), new, x)

        x = jax.lax.fori_loop(0, NEWTON_STEPS, newton, start)

        # without a proof: about as far as a double root is known
        near = 8.0 * eps**0.5 * width
        radius = lambda k: width * jnp.exp2(-2.0 * k)  # noqa: E731

        def test(k, state):
            # boxes around x first, then the smallest proven one is contracted: one loop compiles once
            lo, hi, largest, proven = state
            around = k < RADII
            tried_lo = jnp.where(around, x - radius(k), lo)
            tried_hi = jnp.where(around, x + radius(k), hi)
            image = _krawczyk(reduced, tried_lo, tried_hi)[2]
            inside = _inside(image, tried_lo, tried_hi)
            shrunk = jnp.maximum(image.lo, tried_lo), jnp.minimum(image.hi, tried_hi)
            lo, hi = (jnp.where(inside, new, old) for new, old in zip(shrunk, (lo, hi)))
            largest = jnp.where(inside & ~proven, radius(k), largest)
            return lo, hi, largest, proven | inside

        tries = RADII + SHRINKS
        begin = (x - near, x + near, near, jnp.asarray(False))
        lo, hi, largest, proven = jax.lax.fori_loop(0, tries, test, begin)
        point = jnp.where(proven, 0.5 * (lo + hi), x)
        jacobian = value_and_jacobian(field, lo, hi)[1]
        around = value(reduced, point - near, point + near)
        middle = jacobian.middle
        return Proof(
            point=point,
            error=jnp.max(jnp.maximum(hi - point, point - lo)),
            proven=proven,
            lo=x - largest,
            hi=x + largest,
            jacobian=middle,
            spread=jnp.maximum(jacobian.hi - middle, middle - jacobian.lo),
            residual=jnp.max(jnp.abs(field(point))),
            zero=jnp.all(around.contains_zero()),
        )

    return jax.vmap(one)(points)


@compiled
def approximate(
    field: Callable, reduced: Callable, points: Float[Array, "n d"], width: Float[Array, " d"]
) -> Proof:
    """The same without intervals, for fields that have none: nothing is proven.

    `zero` holds where Newton's last step is of the order of rounding, `spread` is how the Jacobian differs
    across the distance at which a double root is known.
    """

    del reduced

    def one(start):
        jacobian = jax.jacfwd(field)
        reach = 8.0 * float(jnp.finfo(start.dtype).eps) ** 0.5 * width
        newton = lambda x: x - _inverse(jacobian(x)) @ field(x)  # noqa: E731
        x = jax.lax.fori_loop(0, NEWTON_STEPS, lambda _, x: newton(x), start)
        return Proof(
            point=x,
            error=jnp.max(reach),
            proven=jnp.asarray(False),
            lo=x - reach,
            hi=x + reach,
            jacobian=jacobian(x),
            spread=jnp.abs(jacobian(x + reach) - jacobian(x - reach)),
            residual=jnp.max(jnp.abs(field(x))),
            zero=jnp.all(jnp.abs(newton(x) - x) <= reach),
        )

    return jax.vmap(one)(points)


@compiled
def traps(field: Callable, lo: Float[Array, " d"], hi: Float[Array, " d"]) -> Bool[Array, ""]:
    """Whether the flow is proven to enter the box through every face."""
    d = lo.size
    faces = jnp.eye(d, dtype=bool)
    at_lo = jax.vmap(lambda face: value(field, lo, jnp.where(face, lo, hi)).lo)(faces)
    at_hi = jax.vmap(lambda face: value(field, jnp.where(face, hi, lo), hi).hi)(faces)
    return jnp.all(jnp.diag(at_lo) > 0.0) & jnp.all(jnp.diag(at_hi) < 0.0)
