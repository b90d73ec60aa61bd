r"""Averages of tanh over pairs of correlated Gaussians, to rounding at any gain.

    T(k, c) = <tanh(k x) tanh(k y)>,   x, y ~ N(0, 1) with <x y> = c

is all that the theory without biases needs. With sig(v) = (1 + tanh(v / 2)) / 2,

    <sig(a x) sig(a y)>         = (1 + T(a / 2, c)) / 4,
    k^2 <sech^2(kx) sech^2(ky)> = dT/dc                     (Price's theorem),

so that <tanh^2>, <sech^4>, <sig^2> and <sig'^2> are T and dT/dc at c = 1.

**How.** A logistic variable is a Gaussian of random width, L = 2 W Z with W of Kolmogorov's law (Andrews &
Mallows 1974). Its distribution function is the sigmoid: tanh(v) = 2 P(L < 2 v) - 1 = E[erf(v / (W sqrt 2))].
For a pair of error functions the average is an arcsine, so with independent W, V of that law

    T(k, c) = (2/pi) E[arcsin(c u v)],   u = k / sqrt(k^2 + W^2),   v = k / sqrt(k^2 + V^2).

The law's density falls faster than any power at 0 and at infinity and the arcsine has no singularity in
|Im log W| < pi/2, whatever k >= 0 and |c| <= 1: the trapezoidal rule in log W converges geometrically and
uniformly. All terms have one sign, so small T are relatively as exact. Gauss-Hermite's rule would need
ever more nodes as k grows, where tanh(k x) becomes a step.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

AVERAGE_ERROR = 1e-13
"""Bounds the relative error of T, of its derivatives and of `unit_interval`'s integrals of them: 1e-14 is the
most that was measured against rules of half the step, for k from 1e-3 to 1e6, and all c."""
STEP = 0.125
"""Of the rule in log W: the error falls as exp(-2 pi (pi/4) / STEP), 7e-18 here, 9e-15 at 0.15."""
WIDTHS = (0.16, 4.6)
"""W outside of which Kolmogorov's density is below 1e-16."""
TERMS = 7
"""Of each series of that density: the first one left out is below 1e-50 where its series is used."""
INTERVAL_STEP = 1.0 / 16.0
"""Of the double-exponential rule on (0, 1): at 1/12 all integrals have the same digits."""
INTERVAL_ENDS = (-3.6, 3.2)
"""Where that rule is cut: integrands vanish like c at 0, and the weights are below 1e-15 at 1."""
FLOOR = 1e-150
"""Stands for zero under a square root that is divided by, where k is too large for its square."""


@functools.cache
def _mixture() -> tuple[np.ndarray, np.ndarray]:
    """Nodes W and weights of the rule: E[f(W)] = sum of weight f(W) for Kolmogorov's law."""
    low, high = (math.log(width) for width in WIDTHS)
    width = np.exp(np.arange(low, high + STEP, STEP))
    j = np.arange(1.0, TERMS + 1.0)[:, None]
    wide = 8.0 * width * np.sum((-1.0) ** (j - 1.0) * j**2 * np.exp(-2.0 * (j * width) ** 2), axis=0)
    # the same density after Poisson's summation, which converges for narrow ones
    m = ((2.0 * j - 1.0) * np.pi / (2.0 * width)) ** 2
    narrow = math.sqrt(2.0 * math.pi) / width**2 * np.sum((m - 1.0) * np.exp(-m / 2.0), axis=0)
    return width, np.where(width > 1.0, wide, narrow) * width * STEP


@functools.cache
def _pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the unordered pairs of nodes (p,), (p,) and their weights with the factor 2/pi (p,)."""
    width, weight = _mixture()
    i, j = np.triu_indices(width.size)
    return i, j, weight[i] * weight[j] * np.where(i == j, 1.0, 2.0) * (2.0 / np.pi)


class TanhPair(NamedTuple):
    """T(k, c) and its slopes, each of the shape of c."""

    value: np.ndarray
    d_log_k: np.ndarray
    """k dT/dk."""
    d_c: np.ndarray
    """dT/dc = k^2 <sech^2(k x) sech^2(k y)>."""


def tanh_pair(k: float, c: Float[np.ndarray, "..."] | float) -> TanhPair:
    """T(k, c) of the module and its slopes, at k >= 0 and |c| <= 1; `AVERAGE_ERROR` bounds their errors."""
    width, _ = _mixture()
    i, j, weight = _pairs()
    root = np.hypot(k, width)
    u, off = k / root, (width / root) ** 2
    product, rest = u[i] * u[j], off[i] + off[j] - off[i] * off[j]
    c = np.clip(np.asarray(c, dtype=float), -1.0, 1.0)[..., None]
    # 1 - (c u v)^2, without cancellation where c, u and v are near 1
    cosine = np.maximum(np.sqrt((1.0 - c) * (1.0 + c) + c**2 * rest), FLOOR)
    return TanhPair(
        value=np.arctan2(c * product, cosine) @ weight,
        d_log_k=(c * product * (off[i] + off[j]) / cosine) @ weight,
        d_c=(product / cosine) @ weight,
    )


@functools.cache
def unit_interval() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (n,) on (0, 1) of the double-exponential rule (Takahasi & Mori 1974).

    For integrands that vanish at 0 and may have a square root at or near 1, as T has where k is large.
    """
    first, last = (round(end / INTERVAL_STEP) for end in INTERVAL_ENDS)
    t = np.arange(first, last + 1) * INTERVAL_STEP
    e = np.exp(np.pi * np.sinh(t))
    node = e / (1.0 + e)
    return node, INTERVAL_STEP * np.pi * np.cosh(t) * node / (1.0 + e)
