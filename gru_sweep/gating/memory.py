r"""Mean field of random LSTMs at fixed points, at many points at once.

At a fixed point c = i tanh(y) / (1 - f) and h = o tanh(c), where the fields of y, f, i and o are independent
Gaussians of variances a_k^2 q, q = <h^2>, around the biases:

    q = F(q) = <o^2> <tanh(c)^2>.                                                                          (1)

The covariance map of two states has the slope K = sum_k a_k^2 <(dh/dw_k)^2> (Price's theorem):

    K = <o^2> <tanh'(c)^2 [a_f^2 f^2 c^2 + a_i^2 (1 - i)^2 c^2 + a_g^2 (i tanh'(y) / (1 - f))^2]>
        + a_o^2 <o'^2> <tanh(c)^2>,                                                                        (2)

which is also where the edge of the Jacobian's eigenvalues meets 1: unstable above 1. With b_g = 0 zero is a
fixed point, with K = [a_g sig(b_o) sig(b_i) (1 + exp(b_f))]^2.

**How.** log|c| is a sum of three independent numbers, log(1 / (1 - f)) + log i + log|tanh(y)|, so the mean of
a function of it is a sum of its Fourier coefficients times three characteristic functions, each an average
over one Gaussian. tanh^2, c^2 sech^4 and c sech^4 are analytic in log c up to Im = pi/2: coefficients fall as
exp(-pi/2 omega). Fields all of which are small are averaged by Gauss-Hermite's rule, to relative accuracy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from .averages import HALF_WIDTH, sigmoid_squares

LARGE = 5.0
"""log|c| from which on tanh is 1."""
OMEGA = 16.0
"""Largest frequency: exp(-8 pi) = 1e-11."""
PAD = 25.0
"""In log c: what is taken as zero, or one, beyond: exp(-25) = 1e-11 of c sech^4 at its lower end."""
STEP, STEP_SMALL = 0.3, 0.3
"""Of the rule in a gate's field, which meets poles at i pi and frequencies up to OMEGA: STEP where the field
is wide, STEP_SMALL of standard deviations where it is not."""
LOG_STEP = 0.2
"""Of the rule in log|y|, with poles at i pi/4 of Gaussians and tanh; and STEP_SMALL standard deviations."""
MASS = 25.0
"""In log|y|: the share exp(-25) of a Gaussian nearest to zero is left out."""
NARROW = 1e-7
"""Least standard deviation of y over its mean: what is narrower moves averages by 1e-14."""
GENTLE, HERMITE = 0.05, 6
"""Standard deviation of fields up to which Gauss-Hermite's rule of so many points has an error of
(2 GENTLE / pi)^12."""
LARGEST = 100.0
"""Gain or bias: fields of larger ones would need thousands of frequencies."""
MEMORY_ERROR = 1e-8
"""Bounds the relative error of F: 4e-9 is the most that was measured, at 400 random gains up to 6 and biases,
against finer and wider rules."""
SLOPE_ERROR = 1e-5
"""The same of K: 1.4e-6 was measured."""
BLOCK = 2**16
"""Numbers of one temporary array."""
SINGLE = 2**16
"""Multiplications of one product of matrices that BLAS does not share among threads."""

Fields = Mapping[str, np.ndarray]


def _softplus(v: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, v)


def _sigmoid(v: np.ndarray) -> np.ndarray:
    return np.exp(-_softplus(-v))


def _frequencies(reach: tuple[float, float]) -> tuple[float, np.ndarray]:
    """Length of the period, and omega > 0, for log|c| within `reach`."""
    period = max(reach[1], 0.0) + PAD + 4.0 - min(reach[0], -PAD)
    return period, 2.0 * np.pi / period * np.arange(1, math.ceil(OMEGA * period / (2.0 * np.pi)))


def _coefficients(
    function: Callable[[np.ndarray], np.ndarray], reach: tuple[float, float]
) -> tuple[float, np.ndarray]:
    """Mean and Fourier coefficients (k,) of a function of x = log|c| that is right within `reach`."""
    period, omega = _frequencies(reach)
    n = 8 * (omega.size + 1)
    start = min(reach[0], -PAD)
    x = start + period / n * np.arange(n)
    # a function that goes to 1 is led back to 0 beyond what is reached
    back = 1.0 - np.tanh(np.exp(np.minimum(x - max(reach[1], 0.0) - PAD / 2.0, LARGE))) ** 2
    series = np.fft.rfft(function(x) * back)[: omega.size + 1] / n
    return float(series[0].real), 2.0 * series[1:] * np.exp(-1j * omega * start)


def _characteristic(
    values: np.ndarray, weights: np.ndarray, omega: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of weights (w, u), and of weights exp(i omega values) (w, u, k), over nodes: (u, n), (w, u, n)."""
    # exp(i omega_(r + R s)) = exp(i omega_r) exp(i omega_(R s)): few exponentials, and products of matrices,
    # over few nodes at a time: threads that BLAS shares larger ones among cost more than they do
    R = math.isqrt(omega.size - 1) + 1
    small, large = omega[:R], omega[0] * R * np.arange(-(-omega.size // R))
    found = np.zeros((*weights.shape[:2], large.size, R), dtype=complex)
    few = max(1, SINGLE // R**2)
    size = max(1, BLOCK // (few * R))
    for start, node in itertools.product(range(0, values.shape[0], size), range(0, values.shape[1], few)):
        some, part = slice(start, start + size), slice(node, node + few)
        right = np.exp(1j * values[some, part, None] * small)
        left = np.exp(1j * values[some, None, part] * large[:, None]) * weights[:, some, None, part]
        found[:, some] += left @ right
    return weights.sum(axis=-1), found.reshape(*weights.shape[:2], -1)[..., : omega.size]


def _gate_nodes(sd: np.ndarray, mean: np.ndarray, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of a field and their weights (u, n), where exp(tilt field) may be averaged."""
    high = HALF_WIDTH + tilt * sd.max()
    step = STEP / (sd.max() + STEP / STEP_SMALL)
    x = np.arange(-math.ceil(HALF_WIDTH / step), math.ceil(high / step) + 1) * step
    weight = np.exp(-x * x / 2.0) * step / math.sqrt(2.0 * math.pi)
    return mean[:, None] + sd[:, None] * x, np.broadcast_to(weight, (sd.size, x.size))


def _own_nodes(sd: np.ndarray, mean: np.ndarray, extra: float) -> tuple[np.ndarray, np.ndarray]:
    """log|y| and weights (u, n); `extra` is how much further down it goes."""
    mean = np.abs(mean)
    sd = np.maximum(sd, NARROW * mean)
    top = np.log(mean + HALF_WIDTH * sd)
    near = np.log(np.maximum(mean - HALF_WIDTH * sd, sd * math.exp(-MASS - extra)))
    step = np.minimum(LOG_STEP, STEP_SMALL * sd / (mean + sd))
    n = int(np.ceil(((top - near) / step).max()))
    log = near[:, None] + (top - near)[:, None] * (np.arange(n) + 0.5) / n
    y, sd, mean = np.exp(log), sd[:, None], mean[:, None]
    density = np.exp(-(((y - mean) / sd) ** 2) / 2.0) + np.exp(-(((y + mean) / sd) ** 2) / 2.0)
    return log, density * y / sd * (top - near)[:, None] / n / math.sqrt(2.0 * math.pi)


def _distinct(sd: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pairs, back = np.unique(sd + 1j * mean, return_inverse=True)
    return pairs.real, pairs.imag, back


def _log_tanh(log: np.ndarray) -> np.ndarray:
    """log tanh(y) of log y, where y may be too small."""
    y = np.exp(log)
    return np.where(y > 1e-5, np.log(np.tanh(np.maximum(y, 1e-5))), log)


def _wide(a: Fields, b: Fields, q: np.ndarray, slopes: bool) -> np.ndarray:
    """<tanh(c)^2> and, if `slopes`, the averages of (2) that belong to f, i and g, without a_k^2."""
    root = np.sqrt(q)
    f_sd, f_mean, f_at = _distinct(a["f"] * root, b["f"])
    i_sd, i_mean, i_at = _distinct(a["i"] * root, b["i"])
    y_sd, y_mean, y_at = _distinct(a["g"] * root, np.abs(b["g"]))
    f, f_weight = _gate_nodes(f_sd, f_mean, float(slopes))
    i, i_weight = _gate_nodes(i_sd, i_mean, 0.0)
    longer, shorter = _softplus(f), -_softplus(-i)
    log_y, y_weight = _own_nodes(y_sd, y_mean, float(longer.max()) if slopes else 0.0)
    own = _log_tanh(log_y)
    reach = (
        float(longer.min() + shorter.min() + own.min()),
        float(longer.max() + shorter.max() + own.max()),
    )
    _, omega = _frequencies(reach)
    f_weights, i_weights, y_weights = [f_weight], [i_weight], [y_weight]
    if slopes:
        closing = _sigmoid(-i)
        steep = np.exp(-4.0 * np.log(np.cosh(np.minimum(np.exp(log_y), 150.0))) - own)
        f_weights += [f_weight * _sigmoid(f) ** 2, f_weight * np.exp(longer)]
        i_weights += [i_weight * closing**2, i_weight * np.exp(shorter)]
        y_weights += [y_weight * steep]
    parts = [
        (at, *_characteristic(values, np.stack(weights), omega))
        for at, values, weights in (
            (f_at, longer, f_weights),
            (i_at, shorter, i_weights),
            (y_at, own, y_weights),
        )
    ]

    def mean(function: Callable[[np.ndarray], np.ndarray], which: tuple[int, int, int]) -> np.ndarray:
        constant, series = _coefficients(function, reach)
        found = np.empty(q.size)
        size = max(1, BLOCK // omega.size)
        for start in range(0, q.size, size):
            some = slice(start, start + size)
            whole, waves = 1.0, series[None, :]
            for (at, total, wave), w in zip(parts, which):
                whole = whole * total[w, at[some]]
                waves = waves * wave[w, at[some]]
            found[some] = constant * whole + waves.real.sum(axis=1)
        return found

    found = [mean(lambda x: np.tanh(np.exp(np.minimum(x, LARGE))) ** 2, (0, 0, 0))]
    if slopes:
        found += [mean(_curve(2.0), (1, 0, 0)), mean(_curve(2.0), (0, 1, 0)), mean(_curve(1.0), (2, 2, 1))]
    return np.stack(found)


def _curve(power: float) -> Callable[[np.ndarray], np.ndarray]:
    """c^power sech(c)^4 of log c."""

    def function(x: np.ndarray) -> np.ndarray:
        x = np.minimum(x, LARGE)
        return np.exp(power * x) / np.cosh(np.exp(x)) ** 4

    return function


def _gentle(a: Fields, b: Fields, q: np.ndarray, slopes: bool) -> np.ndarray:
    """The same where no field moves much."""
    node, weight = np.polynomial.hermite_e.hermegauss(HERMITE)
    weight = weight / weight.sum()
    root = np.sqrt(q)
    found = np.zeros((4 if slopes else 1, q.size))
    for (x, u), (y, v), (z, w) in itertools.product(zip(node, weight), repeat=3):
        own, forget, take = (b[k] + a[k] * root * at for k, at in zip("gfi", (x, y, z)))
        m = np.exp(_softplus(forget) - _softplus(-take))
        c = m * np.tanh(own)
        share = u * v * w
        found[0] += share * np.tanh(c) ** 2
        if slopes:
            flat = 1.0 - np.tanh(c) ** 2
            found[1] += share * (flat * _sigmoid(forget) * c) ** 2
            found[2] += share * (flat * _sigmoid(-take) * c) ** 2
            found[3] += share * (flat * m * (1.0 - np.tanh(own) ** 2)) ** 2
    return found


def _means(a: Fields, b: Fields, q: np.ndarray, slopes: bool) -> np.ndarray:
    root = np.sqrt(q)
    gentle = np.max([a["f"], a["i"], a["g"] * (1.0 + np.exp(b["f"]))], axis=0) * root <= GENTLE
    # what needs as many nodes and frequencies, by octaves, comes together
    steep = np.log2(1.0 + (a["f"] + a["i"]) * root + np.abs(b["f"]) + np.abs(b["i"])).astype(int)
    group = np.where(gentle, -1, steep)
    found = np.empty((4 if slopes else 1, q.size))
    for one in np.unique(group):
        some = group == one
        gains, biases = ({k: v[some] for k, v in x.items()} for x in (a, b))
        rule = _gentle if one < 0 else _wide
        found[:, some] = rule(gains, biases, q[some], slopes)
    return found


def variance_map(
    a: Mapping[str, Float[np.ndarray, " m"]],
    b: Mapping[str, Float[np.ndarray, " m"]],
    q: Float[np.ndarray, " m"],
) -> Float[np.ndarray, " m"]:
    """F of (1) for gains and biases by gate, g, f, i, o, and q > 0."""
    opened, _ = sigmoid_squares(a["o"] * np.sqrt(q), b["o"])
    found = np.zeros(q.size)
    moved = (a["g"] > 0.0) | (b["g"] != 0.0)
    if moved.any():
        gains, biases = ({k: v[moved] for k, v in x.items()} for x in (a, b))
        found[moved] = _means(gains, biases, q[moved], False)[0]
    return opened * found


def stability(
    a: Mapping[str, Float[np.ndarray, " m"]],
    b: Mapping[str, Float[np.ndarray, " m"]],
    q: Float[np.ndarray, " m"],
) -> Float[np.ndarray, " m"]:
    """K of (2)."""
    opened, moved = sigmoid_squares(a["o"] * np.sqrt(q), b["o"])
    out, forget, take, own = _means(a, b, q, True)
    return (
        opened * (a["f"] ** 2 * forget + a["i"] ** 2 * take + a["g"] ** 2 * own) + a["o"] ** 2 * moved * out
    )
