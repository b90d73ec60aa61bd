"""Intervals that hold the exact value, in floating point under XLA.

After every operation the result is widened outwards by `ULPS` units of relative rounding and by the smallest
normal number (XLA flushes subnormals, so `nextafter` would not do). The library functions are widened by
more: `FUNCTION_ULPS` is at least four times the largest error measured against 60-digit arithmetic by
`tests/test_intervals.py`, and monotone functions are taken at the ends.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from .numbers import Number

ULPS = 2.0
"""Outward widening of + - * in units of eps: half an ulp from rounding, the rest from the widening itself."""

FUNCTION_ULPS = {"tanh": 32.0, "logistic": 16.0, "exp": 16.0, "sin": 16.0, "cos": 16.0}
"""Outward widening of the library functions in units of eps."""


def widen(lo, hi, ulps: float = ULPS):
    """[lo, hi] grown by `ulps` eps relatively and by the smallest normal number absolutely."""
    info = jnp.finfo(jnp.result_type(lo))
    eps, tiny = ulps * float(info.eps), float(info.tiny)
    return lo - (jnp.abs(lo) * eps + tiny), hi + (jnp.abs(hi) * eps + tiny)


class Interval(Number):
    """The closed interval [lo, hi] of JAX scalars, lo <= hi."""

    __slots__ = ("lo", "hi")

    def __init__(self, lo, hi):
        self.lo, self.hi = lo, hi

    @classmethod
    def exact(cls, x) -> Interval:
        """The point interval of a float that is meant exactly."""
        return x if isinstance(x, Interval) else cls(x, x)

    @property
    def middle(self):
        return 0.5 * (self.lo + self.hi)

    def magnitude(self):
        """max |x|."""
        return jnp.maximum(jnp.abs(self.lo), jnp.abs(self.hi))

    def mignitude(self):
        """min |x|."""
        return jnp.maximum(jnp.maximum(self.lo, -self.hi), 0.0)

    def contains_zero(self):
        return (self.lo <= 0.0) & (self.hi >= 0.0)

    def __add__(self, other):
        if isinstance(other, Interval):
            return Interval(*widen(self.lo + other.lo, self.hi + other.hi))
        if isinstance(other, Number):
            return NotImplemented
        return Interval(*widen(self.lo + other, self.hi + other))

    def __neg__(self):
        return Interval(-self.hi, -self.lo)

    def __mul__(self, other):
        if isinstance(other, Interval):
            a, b = self.lo * other.lo, self.lo * other.hi
            c, d = self.hi * other.lo, self.hi * other.hi
            lo = jnp.minimum(jnp.minimum(a, b), jnp.minimum(c, d))
            hi = jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))
            return Interval(*widen(lo, hi))
        if isinstance(other, Number):
            return NotImplemented
        if isinstance(other, float):  # the sign is known when tracing
            ends = (self.lo, self.hi) if other >= 0 else (self.hi, self.lo)
            return Interval(*widen(ends[0] * other, ends[1] * other))
        a, b = self.lo * other, self.hi * other
        return Interval(*widen(jnp.minimum(a, b), jnp.maximum(a, b)))

    def square(self):
        lo, hi = self.mignitude(), self.magnitude()
        lo, hi = widen(lo * lo, hi * hi)
        return Interval(jnp.maximum(lo, 0.0), hi)

    def reciprocal(self):
        """1/x; all of the real line where x holds 0."""
        lo, hi = widen(1.0 / self.hi, 1.0 / self.lo)
        bad = self.contains_zero()
        return Interval(jnp.where(bad, -jnp.inf, lo), jnp.where(bad, jnp.inf, hi))

    def tanh_with_derivative(self):
        lo, hi = widen(jnp.tanh(self.lo), jnp.tanh(self.hi), FUNCTION_ULPS["tanh"])
        t = Interval(jnp.maximum(lo, -1.0), jnp.minimum(hi, 1.0))
        far, near = t.magnitude(), t.mignitude()
        lo, hi = widen((1.0 - far) * (1.0 + far), (1.0 - near) * (1.0 + near), 4.0 * ULPS)
        return t, Interval(jnp.maximum(lo, 0.0), jnp.minimum(hi, 1.0))

    def logistic_with_derivative(self):
        ulps = FUNCTION_ULPS["logistic"]
        lo, hi = widen(jax.nn.sigmoid(self.lo), jax.nn.sigmoid(self.hi), ulps)
        r = Interval(jnp.maximum(lo, 0.0), jnp.minimum(hi, 1.0))
        # q = r (1 - r) peaks at r = 1/2 and falls to both sides
        left, right = r.lo * (1.0 - r.lo), r.hi * (1.0 - r.hi)
        peak = (r.lo <= 0.5) & (r.hi >= 0.5)
        lo, hi = widen(jnp.minimum(left, right), jnp.maximum(left, right), 4.0 * ULPS)
        return r, Interval(jnp.maximum(lo, 0.0), jnp.where(peak, 0.25, jnp.minimum(hi, 0.25)))

    def exp_with_derivative(self):
        lo, hi = widen(jnp.exp(self.lo), jnp.exp(self.hi), FUNCTION_ULPS["exp"])
        e = Interval(jnp.maximum(lo, 0.0), hi)
        return e, e

    def sin_with_derivative(self):
        return _circular(self, jnp.sin, 0.5), _circular(self, jnp.cos, 0.0)

    def cos_with_derivative(self):
        return _circular(self, jnp.cos, 0.0), -_circular(self, jnp.sin, 0.5)


def _circular(x: Interval, f, peak: float) -> Interval:
    """sin or cos over x: its maxima lie at (peak/2 + n) 2 pi; where the test is within rounding, [-1, 1]."""
    turns = 1.0 / (2.0 * jnp.pi)
    slack = 8.0 * float(jnp.finfo(jnp.result_type(x.lo)).eps) * (x.magnitude() + 1.0)
    lo_turn, hi_turn = (x.lo - slack) * turns - peak / 2, (x.hi + slack) * turns - peak / 2
    has_max = jnp.floor(hi_turn) >= jnp.ceil(lo_turn)
    has_min = jnp.floor(hi_turn - 0.5) >= jnp.ceil(lo_turn - 0.5)
    a, b = f(x.lo), f(x.hi)
    lo, hi = widen(jnp.minimum(a, b), jnp.maximum(a, b), FUNCTION_ULPS["sin"])
    # absolute slack as well: near a zero of sin the argument reduction's error is not relative
    lo, hi = lo - slack, hi + slack
    return Interval(
        jnp.where(has_min, -1.0, jnp.maximum(lo, -1.0)), jnp.where(has_max, 1.0, jnp.minimum(hi, 1.0))
    )


def lift(x) -> Interval:
    """The point interval of a plain number, for `interpreter.evaluate`."""
    return Interval.exact(jnp.asarray(x))


def as_interval(x, like) -> Interval:
    """`x`, which may be a number known when tracing, as an interval of the shape of `like`."""
    return x if isinstance(x, Interval) else Interval.exact(jnp.full_like(like, x))
