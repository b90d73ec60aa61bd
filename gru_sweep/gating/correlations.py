r"""Correlations in time of the random gated RNN with biases and reset gates of any speed, N to infinity.

    dh/dt = sig_z (-h + J^h (phi(h) o sig(r))),  tau_r dr/dt = -r + J^r phi(h),
    sig_z = 1 / (1 + exp(beta_z)),

with phi(x) = tanh(g x + b_h) and sig(x) = 1 / (1 + exp(-alpha_r x + beta_r)), for alpha_z = 0: Krishnamurthy,
Can & Schwab (2022). h and r are then linear filters of fields that are Gaussian processes, hence Gaussian and
independent of each other, with the covariances, over lags tau and their spectra over omega,

    C_h(omega) = [C_phi C_sig](omega) / (1 + (omega / sig_z)^2),
    C_r(omega) = C_phi(omega) / (1 + (tau_r omega)^2),
    C_phi(tau) = <phi(h) phi(h')>,  C_sig(tau) = <sig(r) sig(r')>,                                         (1)

averages over pairs of Gaussians of covariance C(tau) and variance C(0). For tau_r = 0 without biases this is
equation (1) of `dmft`. With alpha_z != 0 the update gate multiplies h by what has driven it, and h is not
Gaussian: nothing here holds, and networks have to be simulated.

With biases C(tau) does not go to zero: what persists is the part of the activity that does not change. As
omega = 0 passes both filters as it is, the persistent part is a mean-field fixed point's covariance of two
states, D = F(C, D) of `biased`; if C(0) itself persists, the network is at rest.

**How.** (1) is iterated from correlations of larger variance than any solution's until it repeats itself, so
where there are several solutions this is the one that an active network comes to. Filters act on one period
of many lags: C is smooth, so the trapezoidal rule behind the discrete Fourier transform converges
geometrically, and period and step are doubled and halved until they do not matter. Averages over pairs are
polynomials in theta, c = cos(theta), in which even a step's is smooth.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy.polynomial import Chebyshev

from ..records import InputError
from .gaussian import tanh_pair

DEGREE = 40
"""Of the polynomials in theta: averages of tanh(k x) have an error of 1e-8 at k = 20, 5e-7 at 50, 1e-5 at
200."""
NODE_STEP = 0.35
"""Of the rule over pairs with a bias, in tanh's argument: 3e-11 of an error was measured; never more
than GAUSSIAN_STEP in x."""
GAUSSIAN_STEP = 0.7
HALF_WIDTH = 7.0
"""Standard deviations: 3e-12 lies beyond."""
LARGEST_BIASED = 50.0
"""Gain of a gate with a bias over 2, and of a unit with one: the rule over pairs takes its square in time."""
STEPS_PER_TIME, TIMES = 4, 32
"""First steps in 1 / sig_z, and period over 1 / sig_z + tau_r."""
LARGEST = 2**16
"""Lags."""
RELATIVE = 1e-9
"""Change of C in a round, over C(0), that ends the iteration."""
SETTLED = 1e-5
"""The same while period and step are not yet what they need to be."""
PATIENCE = 100
"""Rounds after which period and step are looked at again all the same: with too short a one C may not
settle."""
SMOOTH = 1e-7
"""Of C(0): largest change of C over the last quarter of the lags, and largest Fourier coefficient of the
highest eighth. C(0) is then right to about that."""
ROUNDS = 4000
"""Near a continuous onset more would be needed."""
REST = 1e-10
"""C(0) below which a network is at rest at zero: no solution this close to an onset would be resolved."""
LARGEST_BETA = 100.0
"""|beta_z|: sig_z is 4e-44, or 1 to rounding, there."""
SLOWEST = 200.0
"""tau_r sig_z: the period is in proportion, and LARGEST leaves room to double it once."""


@dataclasses.dataclass(frozen=True)
class StationaryState:
    """What (1) settles to. Correlations are over lags >= 0, in the unit of time of dh/dt."""

    lag: Float[np.ndarray, " n"]
    h: Float[np.ndarray, " n"]
    """C_h(tau)."""
    phi: Float[np.ndarray, " n"]
    """C_phi(tau)."""
    r: Float[np.ndarray, " n"]
    """C_r(tau)."""
    change: float
    """In the last round, over C(0)."""
    resolved: bool
    """Whether the iteration ended, on a period and with a step that do not matter."""

    @property
    def variance(self) -> float:
        """C_h(0) = <h^2>."""
        return float(self.h[0])

    @property
    def persistent(self) -> float:
        """C_h at infinite lag: what <h^2> is due to the part of h that does not change."""
        return float(self.h[-1])

    def correlation(self, tau: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """C_h at other lags, by its Fourier series; the persistent part beyond the longest."""
        n = self.lag.size - 1
        series = np.fft.rfft(_mirrored(self.h))[: n + 1].real / n
        series[[0, -1]] /= 2.0
        inside = np.minimum(np.abs(tau), self.lag[-1])
        return np.cos(inside[:, None] * np.arange(n + 1) * np.pi / self.lag[-1]) @ series


def _mirrored(half: np.ndarray) -> np.ndarray:
    return np.concatenate([half, half[-2:0:-1]])


def _filtered(half: np.ndarray, power: np.ndarray) -> np.ndarray:
    return np.fft.irfft(np.fft.rfft(_mirrored(half)) * power)[: half.size]


def tanh_pairs(k: float, b: float, c: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """<tanh(k x + b) tanh(k y + b)> of unit Gaussians with covariances c."""
    if b == 0.0:
        return tanh_pair(k, c).value
    step = min(GAUSSIAN_STEP, NODE_STEP / k)
    x = np.arange(-math.ceil(HALF_WIDTH / step), math.ceil(HALF_WIDTH / step) + 1) * step
    weight = np.exp(-x * x / 2.0)
    weight = weight / weight.sum()
    first = weight * np.tanh(k * x + b)
    # even in the second Gaussian
    z, share = x[x.size // 2 :], weight[x.size // 2 :] * np.where(x[x.size // 2 :] > 0.0, 2.0, 1.0)
    rest = np.sqrt((1.0 - c) * (1.0 + c))
    inner = (
        np.tanh(k * (r * z + one * x[:, None]) + b) + np.tanh(k * (one * x[:, None] - r * z) + b)
        for one, r in zip(c, rest)
    )
    return np.array([first @ values @ share / 2.0 for values in inner])


def _of_lag(average: Callable[[np.ndarray], np.ndarray], covariance: np.ndarray) -> np.ndarray:
    """An average over pairs of unit Gaussians at every lag, given the covariance of what they stand for."""
    if covariance[0] == 0.0:
        return np.full(covariance.shape, average(np.ones(1))[0])
    theta = np.arccos(np.clip(covariance / covariance[0], -1.0, 1.0))
    last = float(theta.max())
    if last == 0.0:
        return np.full(theta.shape, average(np.ones(1))[0])
    return Chebyshev.interpolate(lambda t: average(np.cos(t)), DEGREE, domain=[0.0, last])(theta)


@dataclasses.dataclass(frozen=True)
class _Network:
    g: float
    alpha_r: float
    b_h: float
    beta_r: float
    speed: float
    tau_r: float

    def onwards(self, h: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """C_h, C_phi and C_r that follow from C_h, by (1)."""
        omega = np.pi / (step * (h.size - 1)) * np.arange(h.size)
        phi = _of_lag(lambda c: tanh_pairs(self.g * math.sqrt(h[0]), self.b_h, c), h)
        r = _filtered(phi, 1.0 / (1.0 + (self.tau_r * omega) ** 2))
        k, b = self.alpha_r * math.sqrt(r[0]) / 2.0, -self.beta_r / 2.0

        def gate(c: np.ndarray) -> np.ndarray:
            mean = (
                math.copysign(math.sqrt(max(tanh_pairs(k, b, np.zeros(1))[0], 0.0)), b) if k else math.tanh(b)
            )
            return (1.0 + 2.0 * mean + (tanh_pairs(k, b, c) if k else math.tanh(b) ** 2 + 0.0 * c)) / 4.0

        field = phi * _of_lag(gate, r)
        return _filtered(field, 1.0 / (1.0 + (omega / self.speed) ** 2)), phi, r


def _checked(name: str, value: float, low: float, high: float = math.inf) -> float:
    if not (math.isfinite(value) and low <= value <= high):
        bounds = f">= {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
        raise InputError(name, f"a finite number {bounds}" if low > -math.inf else "a finite number", value)
    return float(value)


def stationary_state(
    g: float,
    alpha_r: float = 0.0,
    *,
    b_h: float = 0.0,
    beta_r: float = 0.0,
    beta_z: float = 0.0,
    tau_r: float = 1.0,
    alpha_z: float = 0.0,
) -> StationaryState:
    """The solution of (1) that an active network comes to, at gains g > 0 and alpha_r >= 0 and tau_r >= 0.

    tau_z does nothing. Where activity dies out, correlations are zero; see `StationaryState.resolved`.

    Refused (`InputError`): alpha_z != 0, what is not finite or negative where it must not be, gains with
    biases beyond `LARGEST_BIASED`, and what is beyond `LARGEST_BETA` or `SLOWEST`."""
    if alpha_z != 0.0:
        raise InputError("alpha_z", "0, where h is Gaussian; simulate networks elsewhere", alpha_z)
    if not (math.isfinite(g) and g > 0.0):
        raise InputError("g", "a finite number > 0", g)
    b_h, beta_r = _checked("b_h", b_h, -math.inf), _checked("beta_r", beta_r, -math.inf)
    beta_z = _checked("beta_z", beta_z, -LARGEST_BETA, LARGEST_BETA)
    alpha_r = _checked("alpha_r", alpha_r, 0.0, math.inf if beta_r == 0.0 else 2.0 * LARGEST_BIASED)
    if b_h != 0.0:
        _checked("g", g, 0.0, LARGEST_BIASED)
    speed = 1.0 / (1.0 + math.exp(beta_z))
    network = _Network(g, alpha_r, b_h, beta_r, speed, _checked("tau_r", tau_r, 0.0, SLOWEST / speed))

    step = 1.0 / (STEPS_PER_TIME * speed)
    n = 2 ** math.ceil(math.log2(TIMES * (1.0 / speed + tau_r) / step))
    lag = step * np.arange(n + 1)
    h = np.exp(-((lag * speed) ** 2) / 8.0)
    change, fine, rounds = math.inf, False, 0
    while True:
        new, phi, r = network.onwards(h, step)
        rounds += 1
        if new[0] < REST:
            zero = np.zeros(lag.size)
            return StationaryState(lag, zero, zero, zero, change=0.0, resolved=True)
        change, h = float(np.abs(new - h).max() / new[0]), new
        if change < (RELATIVE if fine else SETTLED) or (rounds % PATIENCE == 0 and not fine):
            if fine:
                break
            tail = np.ptp(h[3 * n // 4 :])
            high = np.abs(np.fft.rfft(_mirrored(h))[7 * n // 8 :]).max() / n
            long, short = tail > SMOOTH * h[0], high > SMOOTH * h[0]
            fine = not (long or short) or 2 * n > LARGEST
            if not fine:
                grown = n * 2
                new_step = step if long else step / 2.0
                lag = new_step * np.arange(grown + 1)
                h = np.interp(lag, step * np.arange(n + 1), h)
                n, step = grown, new_step
        if rounds >= ROUNDS:
            break
    resolved = change < RELATIVE and not (long or short)
    return StationaryState(lag, h, phi, r, change=change, resolved=resolved)
