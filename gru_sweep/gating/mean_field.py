r"""Fixed points of the random gated RNN without biases and inputs, N to infinity.

    h = J^h (phi(h) o sig(r)),  r = J^r phi(h),  phi(x) = tanh(g x),  sig(x) = 1 / (1 + exp(-alpha_r x)),

with J_ij ~ N(0, 1/N): Krishnamurthy, Can & Schwab (2022), Theory of gating in recurrent neural networks.
Fixed points are those of h alone: neither the update gate nor tau_r moves them.

**Self-consistency.** Given the activity, h_i and r_i are sums of many independent terms, hence Gaussian and
independent of each other, with variances C = <phi^2> <sig^2> and Q = <phi^2>. Let s = g sqrt(C) and
k = alpha_r sqrt(Q) / 2. With T of `gaussian`, Q = T(s, 1) and <sig^2> = (1 + T(k, 1)) / 4, so C = s^2 / g^2
says

    (2 / g)^2 = G(s) = Q (1 + T(k, 1)) / s^2.                                                              (1)

Right of the equal sign is no g: s names the solutions, and g follows from it. G(0+) = 1, the zero fixed
point's loss of stability at g = 2 (below). Since Q < s^2 and T < 1, G(s) < 2 / s^2.

**Onset.** Solutions exist for g >= 2 / sqrt(max G). For small s, T(k, 1) = k^2 - 2 k^4 + 17/3 k^6 - ... gives

    G = 1 + (alpha_r^2 / 4 - 2) s^2 + (17/3 - alpha_r^2 - alpha_r^4 / 8) s^4 + O(s^6):                     (2)

up to alpha_r = sqrt(8) fixed points leave zero continuously at g = 2. Beyond, G has its maximum at an s > 0
(one maximum, at every alpha_r looked at): two branches are born at a fold at g < 2, of which the lower ends
in zero at g = 2. As alpha_r grows without bound T(k, 1) goes to 1, and the onset to g = sqrt 2.

**Stability.** A small change dh of a fixed point changes J^h (phi o sig) by J^h (phi' dh o sig + phi o sig'
dr), dr = J^r (phi' dh), whose variance is that of dh times

    K = (<sig^2> + <phi^2> <sig'^2>) <phi'^2>.

The Jacobian is singular where K = 1: the edge of its cloud of eigenvalues meets 0 there, and the fixed point
is stable for K < 1, whatever the update gate at a finite gain. By Price's theorem, used twice, K is dF/dD at
D = C for the covariance F(D) = <phi phi'>_D <sig sig'>_D that the field makes of two states with covariance
D. By (1), with c = D / C,

    K = d log[T(s, c) (1 + T(k, T(s, c) / Q))] / dc at c = 1
      = (T_c(s, 1) / Q) (1 + T_c(k, 1) / (1 + T(k, 1))).

T is a power series in c with coefficients >= 0, so F is convex with F(0) = 0, and F(C) = C: K > 1 at every
fixed point but zero, on both branches. There K = (g/2)^2. For an update gate infinitely sharp and unbiased,
half of the units are held: fixed points are marginal for 1 < K < 2.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from ..records import InputError
from .crossings import crossing
from .gaussian import tanh_pair

G_ZERO = 2.0
"""Gain at which the zero fixed point loses stability: its K = (g/2)^2 is 1."""
TRICRITICAL = math.sqrt(8.0)
"""alpha_r beyond which fixed points appear discontinuously: the term in s^2 of (2) is zero there."""
MARGINAL_K = 2.0
"""One over the fraction of units that an unbiased update gate lets move."""
LARGEST_FOLD = math.sqrt(2.0)
"""No maximum of G above 1 lies beyond: G(s) < 2 / s^2."""
SMALL = 3e-4
"""Maxima of G are looked for at s > SMALL / cbrt(1 + alpha_r), those of H at s > SMALL / sqrt(1 + alpha_r):
they go as these powers for large alpha_r, and near the tricritical points one below moves g by less than
1e-13."""
SMALLEST = 1e-8
"""Least s (1 + alpha_r) of a solution: G differs from 1 by rounding there, and g from 2."""


@dataclasses.dataclass(frozen=True)
class FixedPointState:
    """One mean-field solution at given gains: what is the same for all the fixed points that it counts."""

    s: float
    """g sqrt(<h^2>)."""
    variance: float
    """<h^2>."""
    Q: float
    """<phi(h)^2>, the variance of r."""
    K: float
    """dF/dD: below 1 stable, above 1 unstable at a finite gain of the update gate."""

    @property
    def stable(self) -> bool:
        return self.K < 1.0

    @property
    def marginal_with_sharp_update_gate(self) -> bool:
        """Whether an unbiased update gate with alpha_z to infinity makes it marginal."""
        return 1.0 < self.K < MARGINAL_K


def checked(alpha_r: float) -> float:
    """alpha_r, refused unless it is finite and not negative."""
    if not (math.isfinite(alpha_r) and alpha_r >= 0.0):
        raise InputError("alpha_r", "a finite number >= 0", alpha_r)
    return abs(float(alpha_r))


def checked_gain(g: float) -> float:
    """g, refused unless it is finite and positive."""
    if not (math.isfinite(g) and g > 0.0):
        raise InputError("g", "a finite number > 0", g)
    return float(g)


def reset_gain(alpha_r: float, Q: float) -> float:
    """k = alpha_r sqrt(Q) / 2, the gain of the reset gates as a tanh of unit Gaussians."""
    return alpha_r * math.sqrt(Q) / 2.0


def loop_gain(s: float, alpha_r: float) -> tuple[float, float]:
    """G(s) of (1), and d log G / d log s."""
    own = tanh_pair(s, 1.0)
    Q = float(own.value)
    gate = tanh_pair(reset_gain(alpha_r, Q), 1.0)
    # log k is half of log Q, up to a constant
    opening = 1.0 + 0.5 * float(gate.d_log_k) / (1.0 + float(gate.value))
    return Q / s * (1.0 + float(gate.value)) / s, float(own.d_log_k) / Q * opening - 2.0


def stability(s: float, alpha_r: float) -> float:
    """K on the branch at s > 0; it grows with s at every alpha_r looked at, from 1."""
    own = tanh_pair(s, 1.0)
    gate = tanh_pair(reset_gain(alpha_r, float(own.value)), 1.0)
    return float(own.d_c / own.value * (1.0 + gate.d_c / (1.0 + gate.value)))


def expansion(alpha_r: float) -> tuple[float, float]:
    """The coefficients of s^2 and s^4 in (2)."""
    a2 = alpha_r**2
    return a2 / 4.0 - 2.0, 17.0 / 3.0 - a2 - a2**2 / 8.0


def gain(s: float, alpha_r: float) -> float:
    """g at which a fixed point has this s > 0."""
    return 2.0 / math.sqrt(loop_gain(s, alpha_r)[0])


def fold(alpha_r: float) -> float | None:
    """s at the fold in which the two branches are born; None where fixed points leave zero continuously."""
    if alpha_r <= TRICRITICAL:
        return None
    return crossing(lambda s: loop_gain(s, alpha_r)[1], SMALL / math.cbrt(1.0 + alpha_r), LARGEST_FOLD)


def branches(
    function: Callable[[float], float], top: float | None, g: float, alpha_r: float
) -> tuple[float, ...]:
    """All s > 0, growing, with function(s) = (2 / g)^2.

    The function, G or H at this alpha_r, is 1 at 0, below 2 / s^2, and falls from its maximum on: at `top`,
    or at 0 if that is None.
    """
    least = SMALLEST / (1.0 + alpha_r)
    # at g = 2 the function is at the target near s = 0: which branches there are is not left to rounding
    target = (G_ZERO / g) ** 2
    lower = crossing(lambda s: function(s) - target, least, top) if top and g < G_ZERO else None
    start = top or least
    upper = (
        crossing(lambda s: function(s) - target, start, max(g, 2.0 * start)) if top or g > G_ZERO else None
    )
    return tuple(s for s in (lower, upper) if s is not None)


def fixed_points(g: float, alpha_r: float) -> tuple[FixedPointState, ...]:
    """All mean-field fixed points at gains g > 0 and alpha_r >= 0, zero first, by growing <h^2>.

    Refuses (`InputError`) what is not finite, g <= 0 and alpha_r < 0.
    """
    g, alpha_r = checked_gain(g), checked(alpha_r)
    found = branches(lambda s: loop_gain(s, alpha_r)[0], fold(alpha_r), g, alpha_r)
    zero = FixedPointState(s=0.0, variance=0.0, Q=0.0, K=(g / 2.0) ** 2)
    return zero, *(
        FixedPointState(
            s=s,
            variance=(s / g) ** 2,
            Q=float(tanh_pair(s, 1.0).value),
            K=stability(s, alpha_r),
        )
        for s in found
    )
