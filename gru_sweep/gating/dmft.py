r"""Sustained chaos of the random gated RNN: its correlation in time, and the gain from which on there is any.

    dh/dt = sig_z (-h + J^h (phi(h) o sig(r))),  r = J^r phi(h)   (tau_r to 0),

without biases and inputs; phi, sig and J as in `mean_field`. With alpha_z = 0 the update gate is 1/2 and h is
Gaussian (Sompolinsky, Crisanti & Sommers 1988; Krishnamurthy, Can & Schwab 2022): C(tau) = <h(t) h(t + tau)>
follows from the field's covariance F = <phi phi'> <sig sig'>, in which r has covariance <phi phi'>. Multiply
(1 + 2 d/dt) h = eta by itself at t + tau and average:

    C - 4 C'' = F(C; C(0)).                                                                                (1)

**A motion in a potential.** With s = g sqrt(C(0)), c = C(tau) / C(0), T of `gaussian`, Q = T(s, 1) and
k = alpha_r sqrt(Q) / 2, (1) is

    4 c'' = c - f(c),   f(c) = (g / 2s)^2 T(s, c) [1 + T(k, T(s, c) / Q)].

It starts at c = 1 with c' = 0 and conserves 4 c'^2 - W(c), W(c) = c^2 - 2 int_0^c f. A chaotic state loses
its memory: c goes to a rest point, where c = f(c). T is odd in c with coefficients >= 0, so f is convex on
[0, 1] with f(0) = 0: there is one rest point c > 0 at most, where f' > 1 and no motion ends. So c goes to 0,
which takes W(1) = W(0) = 0, that is

    (2 / g)^2 = H(s) = (2 / s^2) int_0^1 T(s, c) [1 + T(k, T(s, c) / Q)] dc.                               (2)

Conversely, if (2) holds then W > 0 on (0, 1), since f is convex, and c falls from 1 to 0 monotonically: (2)
is necessary and sufficient. A small distance between two copies of the network, exp(lambda (t + t')) p(t -
t'), obeys [(1 + 2 lambda)^2 - 4 d^2 - f'(c)] p = 0. With lambda = 0 that is solved by c', which has a node,
so the solution without nodes has lambda > 0: such a state is chaotic.

**Onset.** Chaos exists for g >= 2 / sqrt(max H). As the integrand is convex in c and 0 at 0, H(s) < G(s) of
`mean_field`: chaos never comes before fixed points. For small s

    H = 1 + (alpha_r^2 / 6 - 2) s^2 + (16/3 - 2 alpha_r^2 / 3 - alpha_r^4 / 12) s^4 + O(s^6):              (3)

up to alpha_r = sqrt(12) chaos grows out of zero at g = 2; beyond, it appears with finite activity at g < 2,
while zero is stable. As alpha_r grows without bound T(k, c) goes to (2/pi) arcsin(c), H to 3/2 for small s,
and the onset to g = sqrt(8/3).
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from jaxtyping import Float
from numpy.polynomial import Chebyshev

from .crossings import crossing
from .gaussian import tanh_pair, unit_interval
from .mean_field import LARGEST_FOLD, SMALL, branches, checked, checked_gain, reset_gain

TRICRITICAL = math.sqrt(12.0)
"""alpha_r beyond which chaos appears discontinuously: the term in s^2 of (3) is zero there."""
DEPTH = 18.0
"""arcosh(1/c) to which the motion is followed: c = 3e-8, beyond which it is exponential to that accuracy."""
DEGREE = 320
"""Of the polynomial for tau as a function of arcosh(1/c): its last coefficients are rounding."""
HALF = 0.5
"""c above which W is the integral from 1, and below which the one from 0: each is small at its end."""
NODES = 32
"""Of Gauss-Legendre's rule from 0 to c <= HALF, where f's nearest singularity is beyond 1."""
STEP_GAIN = 1e8
"""k from which on the reset gate is a step for the integrals of (2): they differ by 1 / k^2."""
STEP_ALPHA = 1e14
"""The same for the onset, which differs from sqrt(8/3) by 3.4 / alpha_r."""
RESOLVED = 1e-12
"""Least 1 - f'(0) of which something is known: it has an error of 1e-13 (`AVERAGE_ERROR`)."""
NEWTON_STEPS = 6
"""From a linear interpolation of tau, which has 1e-3 of an error at most: two would do."""


def _integrand(s: float, alpha_r: float, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T(s, c) [1 + T(k, T(s, c) / Q)], its derivative by log s, and the one by c."""
    whole = tanh_pair(s, 1.0)
    Q, growth = float(whole.value), float(whole.d_log_k / whole.value)
    own = tanh_pair(s, c)
    rho = own.value / Q
    gate = tanh_pair(min(reset_gain(alpha_r, Q), STEP_GAIN), rho)
    opening = 1.0 + gate.value
    # log k is half of log Q, up to a constant
    d_gate = gate.d_log_k * growth / 2.0 + gate.d_c * (own.d_log_k / Q - rho * growth)
    return (
        own.value * opening,
        own.d_log_k * opening + own.value * d_gate,
        own.d_c * (opening + own.value * gate.d_c / Q),
    )


def energy_gain(s: float, alpha_r: float) -> tuple[float, float]:
    """H(s) of (2), and d log H / d log s."""
    node, weight = unit_interval()
    value, slope, _ = _integrand(s, alpha_r, node)
    area = float(value @ weight)
    return 2.0 * (area / s) / s, float(slope @ weight) / area - 2.0


def expansion(alpha_r: float) -> tuple[float, float]:
    """The coefficients of s^2 and s^4 in (3)."""
    a2 = alpha_r**2
    return a2 / 6.0 - 2.0, 16.0 / 3.0 - 2.0 * a2 / 3.0 - a2**2 / 12.0


def fold(alpha_r: float) -> float | None:
    """s at which chaos first exists; None where it grows out of zero."""
    if alpha_r <= TRICRITICAL:
        return None
    alpha_r = min(alpha_r, STEP_ALPHA)
    return crossing(lambda s: energy_gain(s, alpha_r)[1], SMALL / math.sqrt(1.0 + alpha_r), LARGEST_FOLD)


@dataclasses.dataclass(frozen=True)
class ChaoticState:
    """One solution of (2): a network in sustained chaos."""

    g: float
    alpha_r: float
    s: float
    """g sqrt(C(0))."""

    @property
    def variance(self) -> float:
        """C(0) = <h^2>."""
        return (self.s / self.g) ** 2

    @property
    def decay_rate(self) -> float:
        """Rate, 1/time, at which the correlation is lost in the end: sqrt(1 - f'(0)) / 2.

        NaN within rounding of a continuous onset, where it goes to 0; see `RESOLVED`.
        """
        left = 1.0 - float(self._field(np.zeros(1))[1][0])
        return math.sqrt(left) / 2.0 if left > RESOLVED else math.nan

    def _field(self, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f(c) and f'(c)."""
        value, _, slope = _integrand(self.s, self.alpha_r, c)
        scale = (self.g / (2.0 * self.s)) ** 2
        return scale * value, scale * slope

    def kinetic(self, depth: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """W / c^2 at c = sech(depth); without cancellation at either end."""
        found = np.empty_like(depth)
        legendre, legendre_weight = np.polynomial.legendre.leggauss(NODES)
        unit, unit_weight = (legendre + 1.0) / 2.0, legendre_weight / 2.0
        node, weight = unit_interval()
        for n, y in enumerate(depth):
            c = 1.0 / math.cosh(y)
            if c > HALF:
                fall = 2.0 * math.sinh(y / 2.0) ** 2 * c
                # the rule's root lies at its upper end, which is c = 1
                at = c + fall * node
                found[n] = 2.0 * fall * float((self._field(at)[0] - at) @ weight) / c**2
            else:
                found[n] = 1.0 - 2.0 * float(self._field(c * unit)[0] @ unit_weight) / c
        return found

    @functools.cached_property
    def _clock(self) -> Chebyshev:
        """tau as a function of y = arcosh(1/c) in (0, DEPTH), by c' = -sqrt(W) / 2."""
        speed = Chebyshev.interpolate(
            lambda y: 2.0 * np.tanh(y) / np.sqrt(self.kinetic(y)), DEGREE, domain=[0.0, DEPTH]
        )
        return speed.integ(lbnd=0.0)

    def correlation(self, tau: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """C(tau) at lags in the unit of time of dh/dt; NaN where `decay_rate` is.

        Near a continuous onset its relative error grows as `AVERAGE_ERROR` / (1 - f'(0)).
        """
        if math.isnan(self.decay_rate):
            return np.full_like(tau, math.nan)
        clock, lag = self._clock, np.abs(tau)
        speed, end = clock.deriv(), float(clock(DEPTH))
        y = np.linspace(0.0, DEPTH, DEGREE)
        inside = np.minimum(lag, end)
        y = np.interp(inside, clock(y), y)
        for _ in range(NEWTON_STEPS):
            y = np.clip(y - (clock(y) - inside) / speed(y), 0.0, DEPTH)
        return self.variance / np.cosh(y) * np.exp(-self.decay_rate * np.maximum(lag - end, 0.0))


def chaotic_states(g: float, alpha_r: float) -> tuple[ChaoticState, ...]:
    """All solutions of (2) at gains g > 0 and alpha_r >= 0, by growing C(0).

    Where there are two, a network shows the second; the first shrinks as g grows and ends in zero at g = 2.
    Refuses (`InputError`) what is not finite, g <= 0 and alpha_r < 0.
    """
    g, alpha_r = checked_gain(g), checked(alpha_r)
    found = branches(lambda s: energy_gain(s, alpha_r)[0], fold(alpha_r), g, alpha_r)
    return tuple(ChaoticState(g=g, alpha_r=alpha_r, s=s) for s in found)
