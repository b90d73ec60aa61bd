r"""Averages of squared tanhs and sigmoids of a Gaussian with a mean, v = k x + b, x ~ N(0, 1).

    <tanh(v)^2>, <tanh'(v)^2> = <sech(v)^4>,   <sig(v)^2>, <sig'(v)^2> = <(sig(v) sig(-v))^2>

are all that mean field needs where there are biases, and no closed sums of arcsines (`gaussian`) are known.

**How.** By the trapezoidal rule in x, from -X to X. Functions of v have their poles at i pi/2 for tanh and i
pi for sig, so that a step of STEP / k, or twice that, leaves exp(-pi^2 / STEP); a step of GAUSSIAN_STEP
leaves the Gaussian's own exp(-2 (pi / GAUSSIAN_STEP)^2). Where v is far from zero, functions are constant: X
need not reach further than that, and what the rule's weights lack to 1 counts with the mean of the constants
on both sides. So no gain needs more nodes than some other. All terms are positive.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

STEP = 0.25
"""In tanh's argument."""
GAUSSIAN_STEP = 0.65
"""In x: exp(-2 (pi / 0.65)^2) is 5e-21."""
SATURATED = 20.0
"""tanh's argument at which sech^2 is 2e-17."""
HALF_WIDTH = 8.5
"""Standard deviations to which a Gaussian is sampled: 2e-17 of it lies beyond."""
BLOCK = 2**18
"""Numbers of one temporary array: it should stay in the cache."""
BIASED_ERROR = 3e-12
"""Bounds the relative error of each average: 1.3e-12 is the most that was measured, at 3000 random k from
1e-6 to 1e6 and b from -20 to 20, against rules of half the steps and more width."""

Function = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _averages(
    k: np.ndarray, b: np.ndarray, scale: float, ends: tuple[float, float], functions: Function
) -> tuple[np.ndarray, np.ndarray]:
    """Of two functions with the mean `ends` at both infinities, whose arguments vary at `scale`."""
    k, b = np.broadcast_arrays(np.abs(k), b)
    shape = k.shape
    pairs, back = np.unique(k.ravel() + 1j * b.ravel(), return_inverse=True)
    k, b = pairs.real, pairs.imag
    # a closed gate squared, exp(2 v), is averaged around x = sqrt(2 |b|) at most
    width = HALF_WIDTH + np.sqrt(2.0 * np.abs(b))
    steep = np.maximum(k, STEP * scale / GAUSSIAN_STEP)
    flat = (np.abs(b) + SATURATED * scale) / steep
    cut = np.minimum(width, flat)
    nodes = np.ceil(cut * steep / (STEP * scale)).astype(int)
    found = np.empty((2, k.size))
    order = np.argsort(nodes)
    start = 0
    while start < k.size:
        # what needs as many nodes comes together
        n = nodes[order[start]] * 5 // 4 + 1
        stop = min(np.searchsorted(nodes[order], n, side="right"), start + max(1, BLOCK // (2 * n + 1)))
        some = order[start:stop]
        step = cut[some, None] / n
        x = np.arange(-n, n + 1) * step
        weight = np.exp(-x * x / 2.0)
        total = weight.sum(axis=1)
        whole = np.where(flat[some] > width[some], total, math.sqrt(2.0 * math.pi) / step[:, 0])
        values = functions(k[some, None] * x + b[some, None])
        for f, end, out in zip(values, ends, found):
            out[some] = (np.einsum("mn,mn->m", f, weight) + end * np.maximum(whole - total, 0.0)) / whole
        start = stop
    return found[0][back].reshape(shape), found[1][back].reshape(shape)


def _tanh(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    t2 = np.tanh(v) ** 2
    # sech^2 without cancellation
    e = np.exp(-2.0 * np.abs(v))
    return t2, (4.0 * e / (1.0 + e) ** 2) ** 2


def _sigmoid(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    e = np.exp(-np.abs(v))
    small, large = e / (1.0 + e), 1.0 / (1.0 + e)
    return np.where(v > 0.0, large, small) ** 2, (small * large) ** 2


def tanh_squares(
    k: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """<tanh^2> and <sech^4> of k x + b, of the common shape of k >= 0 and b."""
    return _averages(k, b, 1.0, (1.0, 0.0), _tanh)


def sigmoid_squares(
    k: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """<sig^2> and <sig'^2> of k x + b, of the common shape of k >= 0 and b."""
    return _averages(k, b, 2.0, (0.5, 0.0), _sigmoid)
