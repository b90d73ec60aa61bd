r"""Mean-field fixed points of random GRUs, LSTMs and gated RNNs with biases, at many points at once.

**Gated RNN.** As in `mean_field`, but with phi(x) = tanh(g x + b_h) and sig(x) = 1 / (1 + exp(-alpha_r x +
beta_r)). Biases are the same for all units and the matrices' entries have no mean, so h and r are still
independent Gaussians around zero, of variances C and Q = <phi^2>:

    C = F(C) = <tanh(g sqrt(C) x + b_h)^2> <sig(alpha_r sqrt(Q) x)^2>,   x ~ N(0, 1).                      (1)

The same with pairs of Gaussians gives the covariance that a network makes of two states of covariance D:
F(C, D) = <phi phi'>_D <sig sig'>_q, q = <phi phi'>_D. By Price's theorem, used twice,

    K = dF/dD at D = C = g^2 <tanh'^2> (<sig^2> + alpha_r^2 Q <sig'^2>),                                   (2)

the edge of the Jacobian's eigenvalues: a fixed point is stable where K < 1, whatever the update gate at a
finite gain. With b_h = 0 zero is a fixed point, with K = (g sig(-beta_r))^2; with b_h != 0 there is none at
zero.

**GRU.** With y = U_h (r o h) + b_h, h = tanh(y), the field y - b_h has variance a_h^2 <r^2> <h^2>, and that
of the reset gate a_r^2 <h^2>: this is (1), with the GRU's h for phi, (y - b_h) / a_h for the gated RNN's h, g
= a_h, alpha_r = a_r and beta_r = -b_r. <h^2> of the GRU is Q.

**LSTM.** In `memory`.

**Where solutions are looked for** (`branches`). Below 1, which bounds <h^2>. For b_h != 0, tanh^2 >=
tanh(b_h)^2 and sig^2 >= sig(-beta_r)^2 for half of all x each, so C >= [tanh(b_h) sig(-beta_r) / 2]^2;
likewise for the LSTM. Where all fields have a standard deviation below SMALL, F is linear to a few SMALL^2:
there is one solution at most, and one if the gap changes its sign from there on down to zero.

Ensembles: Can, Krishnamurthy & Schwab (2020); Krishnamurthy, Can & Schwab (2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from ..records import InputError, field, nearest
from ..systems import ensembles
from . import memory
from .averages import sigmoid_squares, tanh_squares
from .branches import ROOT_ERROR, solutions

SLOTS = 5
"""Branches in a record, zero included; three is the most that was seen."""
SMALL = 1e-3
"""Standard deviation within which a field's functions are linear to a few 1e-6."""
NEUTRAL = 1e-11
"""|K - 1| of zero that counts as none: averages have errors of that order."""
FAR_BELOW = 23.0
"""In log sqrt(C): C 1e-20 times smaller."""
MEMORY_ROOT_ERROR = 1e-9
"""Of log sqrt(<h^2>) of an LSTM: below `memory.MEMORY_ERROR`."""
LARGEST = 1e8
"""Gain of a GRU and a gated RNN."""
LARGEST_BIAS = 1e3
"""The rule of `averages` takes a few nodes for each unit of a bias."""

Coordinates = Mapping[str, np.ndarray]


class MeanFieldBranches(eqx.Module):
    """All mean-field fixed points at P points, by growing <h^2>: zero, where it is one, comes first."""

    count: Int[np.ndarray, " p"] = field(long_name="number of mean-field fixed points", dtype="int32")
    variance: Float[np.ndarray, "p branch"] = field(
        long_name="<h^2> of the mean-field fixed points; NaN where there are no more",
        dims=("mean_field_branch",),
    )
    K: Float[np.ndarray, "p branch"] = field(
        long_name="slope of the covariance map there: unstable above 1", dims=("mean_field_branch",)
    )
    K_zero: Float[np.ndarray, " p"] = field(
        long_name="K of the zero fixed point; NaN where a bias moves it", dtype="float64"
    )


class _Gated:
    """(1) and (2) at points (m,), which are numbers of points, and C (m,).

    `scale` is no less than any gain from sqrt(C) to a field, `least` is a lower bound of C.
    """

    error = ROOT_ERROR

    def __init__(self, g: np.ndarray, alpha_r: np.ndarray, b_h: np.ndarray, beta_r: np.ndarray, of_phi: bool):
        self.g, self.alpha_r, self.own_bias, self.beta_r, self._of_phi = g, alpha_r, b_h, beta_r, of_phi
        half_open = np.exp(-np.logaddexp(0.0, beta_r))
        self.K_zero = (g * half_open) ** 2
        self.scale = (1.0 + g) * (1.0 + alpha_r)
        self.least = (np.tanh(b_h) * half_open / 2.0) ** 2

    def _tanh(self, point: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return tanh_squares(self.g[point] * np.sqrt(C), self.own_bias[point])

    def _gate(self, point: np.ndarray, Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return sigmoid_squares(self.alpha_r[point] * np.sqrt(Q), -self.beta_r[point])

    def F(self, point: np.ndarray, C: np.ndarray) -> np.ndarray:
        Q, _ = self._tanh(point, C)
        return Q * self._gate(point, Q)[0]

    def K(self, point: np.ndarray, C: np.ndarray) -> np.ndarray:
        Q, slope = self._tanh(point, C)
        opened, moved = self._gate(point, Q)
        return self.g[point] ** 2 * slope * (opened + self.alpha_r[point] ** 2 * Q * moved)

    def variance(self, point: np.ndarray, C: np.ndarray) -> np.ndarray:
        return self._tanh(point, C)[0] if self._of_phi else C


class _Memory:
    """The LSTM's, in which C is <h^2>."""

    error = MEMORY_ROOT_ERROR

    def __init__(self, a: Coordinates, b: Coordinates):
        self.a, self.b = a, b
        self.own_bias = b["g"]
        opened, taken = (np.exp(-np.logaddexp(0.0, -b[k])) for k in "oi")
        kept = 1.0 + np.exp(b["f"])
        self.K_zero = (a["g"] * opened * taken * kept) ** 2
        self.scale = 1.0 + np.max([a["f"], a["i"], a["o"], a["g"] * kept], axis=0)
        # half of all o, i, y and f each are no smaller than at their biases
        self.least = opened**2 * np.tanh(taken * np.tanh(np.abs(b["g"])) * kept) ** 2 / 16.0

    def _at(self, point: np.ndarray) -> tuple[Coordinates, Coordinates]:
        a, b = ({k: v[point] for k, v in x.items()} for x in (self.a, self.b))
        return a, b

    def F(self, point: np.ndarray, C: np.ndarray) -> np.ndarray:
        return memory.variance_map(*self._at(point), C)

    def K(self, point: np.ndarray, C: np.ndarray) -> np.ndarray:
        return memory.stability(*self._at(point), C)

    def variance(self, point: np.ndarray, C: np.ndarray) -> np.ndarray:
        return C


def most(ensemble: str, coordinate: str) -> float:
    """The largest size of a gain or bias of an ensemble."""
    if coordinate.startswith("tau_"):
        return np.inf
    if ensemble == "lstm":
        return memory.LARGEST
    return LARGEST if coordinate == "g" or coordinate.startswith(("a_", "alpha_")) else LARGEST_BIAS


def _checked(ensemble: ensembles.Ensemble, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """All coordinates of all points, (P,) each."""
    found = {name: np.atleast_1d(np.asarray(value, dtype=float)) for name, value in given.items()}
    for name, value in found.items():
        if name not in ensemble.coordinates:
            raise InputError(name, nearest(name, ensemble.coordinates), name)
        gain = name == "g" or name.startswith(("a_", "alpha_"))
        limit = most(ensemble.name, name)
        low = 0.0 if gain else -limit
        if not ((value >= low) & (value <= limit)).all():
            bad = value[~((value >= low) & (value <= limit))][0]
            raise InputError(name, f"numbers from {low:g} to {limit:g}", float(bad))
    try:
        shape = np.broadcast_shapes(*(value.shape for value in found.values()), (1,))
    except ValueError:
        shape = ()
    if len(shape) != 1:
        raise InputError(
            "coordinates", "arrays of one length", {name: value.shape for name, value in found.items()}
        )
    full = {**ensemble.coordinates, **found}
    return {name: np.broadcast_to(np.asarray(value, dtype=float), shape) for name, value in full.items()}


def _map(name: str, at: dict[str, np.ndarray]) -> _Gated | _Memory:
    if name == "lstm":
        return _Memory(*({k: at[f"{part}_{k}"] for k in "gfio"} for part in "ab"))
    if name == "gru":
        return _Gated(at["a_h"], at["a_r"], at["b_h"], -at["b_r"], of_phi=True)
    return _Gated(at["g"], at["alpha_r"], at["b_h"], at["beta_r"], of_phi=False)


def fixed_points(
    ensemble: str, coordinates: Mapping[str, Float[np.ndarray, " p"] | float]
) -> MeanFieldBranches:
    """All mean-field fixed points of an ensemble of `systems.ensembles`, N to infinity, at P points.

    `coordinates`: the ensemble's, (P,) or a number each; those not given are at their defaults, and update
    gates and time constants do nothing.

    Refused (`InputError`): coordinates that the ensemble has not, negative gains, what is beyond `LARGEST` or
    `LARGEST_BIAS`, or beyond `memory.LARGEST` for an LSTM.
    """
    asked = _map(ensemble, _checked(ensembles.named(ensemble), coordinates))
    P = asked.K_zero.size
    low = 0.5 * np.log(np.min((SMALL / asked.scale) ** 2))
    at_zero = asked.own_bias == 0.0

    def gap(point: np.ndarray, u: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(asked.F(point, np.exp(2.0 * u))) - 2.0 * u

    with np.errstate(divide="ignore"):
        least = np.log(asked.least) / 2.0 - 1.0
        start = np.log(asked.K_zero)
    far = np.where(at_zero, low - FAR_BELOW, np.minimum(least, low - 1.0))
    below = np.where(at_zero, np.where(np.abs(start) > NEUTRAL, start, 0.0), 1.0)
    lowest = np.flatnonzero(~at_zero & np.isfinite(far))
    below[lowest] = gap(lowest, far[lowest])
    point, u = solutions(gap, P, low, 0.0, below, far, asked.error)

    # exactly zero first, where it is one
    point = np.concatenate([np.flatnonzero(at_zero), point])
    C = np.concatenate([np.zeros(int(at_zero.sum())), np.exp(2.0 * u)])
    order = np.lexsort((C, point))
    point, C = point[order], C[order]
    count = np.bincount(point, minlength=P)
    if count.max(initial=0) > SLOTS:
        raise InputError("coordinates", f"at most {SLOTS} mean-field fixed points", int(count.max()))
    slot = np.arange(point.size) - np.repeat(np.cumsum(count) - count, count)
    variance, K = np.full((2, P, SLOTS), np.nan)
    some = C > 0.0
    variance[point, slot] = 0.0
    K[point, slot] = asked.K_zero[point]
    variance[point[some], slot[some]] = asked.variance(point[some], C[some])
    K[point[some], slot[some]] = asked.K(point[some], C[some])
    return MeanFieldBranches(count.astype(np.int32), variance, K, np.where(at_zero, asked.K_zero, np.nan))
