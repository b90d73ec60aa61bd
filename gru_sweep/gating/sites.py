r"""A large random network as single sites: what each does with what the random matrices bring to it.

Every network here consists of N sites that meet only through K random matrices U_k: at site i, with state x_i
(s numbers) and fields w_ki = (U_k v_k)_i + b_k,

    dx_i/dt = rate(x_i, w_i),   v_ki = seen(x_i, w_i).

    gru         s = 1, K = 3 (h, z, r)      seen: r o h, h, h
    lstm        s = 2, K = 4 (g, f, i, o)   seen: h, four times
    gated-rnn   s = 3, K = 3 (h, z, r)      seen: phi o sig_r, phi, phi

A small change obeys dx_i/dt = A_i x_i + B_i w_i, v_i = C_i x_i + E_i w_i, where E is zero unless a gate acts
in front of a matrix without a delay, as the GRU's reset gate does. So the Jacobian is

    J = A + B U (1 - E U)^-1 C = A + B U C + B U E U C,

the last because E U E = 0: no gate gates itself. A site answers noise in its fields, of growth rate l, by

    v = T_i(l) w,   T_i(l) = C_i (l - A_i)^-1 B_i + E_i = E_i + sum_p R_pi / (l - a_pi),                  (1)

its transfer function, K x K, with poles a_p, the eigenvalues of A_i. `clouds` needs nothing else.

**Maps.** `step` of GRU and LSTM is the Euler step of the field with dt = 1: eigenvalues of the map are 1 + l.
The field's A holds 1 - z and 1 - f themselves, so gates are as exact where they are all but closed.

**Entries of the matrices** are taken as independent with the mean square gain^2 / N: the gain of a `Scaled`,
else what the matrix has.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..records import InputError
from ..systems.cells import GRU
from ..systems.ensembles import Cell
from ..systems.gated_rnn import GatedRNN
from ..systems.lstm import LSTM
from ..systems.matrices import Scaled
from .gaussian import tanh_pair
from .mean_field import FixedPointState, reset_gain

DEPTH = 2
"""Rounds after which all fields are right: the reset gate's first, then what it gates."""
CLOSED = 300.0
"""Inner field beyond which a gate closes no further: the squares of such rates are numbers still."""
HALF_WIDTH = 8.5
"""Standard deviations to which a Gaussian is sampled: 2e-17 of it lies beyond."""
STEP_BY_GAIN = 0.8
"""Step of the trapezoidal rule for sig(k x), over 1 / k: poles at i pi / k leave an error of
exp(-2 pi^2 / 0.8) = 2e-11."""
LARGEST_STEP = 0.25
"""Step for a gentle gate: the Gaussian's own error is exp(-2 (pi / 0.25)^2), below rounding."""
LARGEST_GAIN = 1e4
"""Of a gate that mean field samples: beyond, it is a step for all purposes (`Sites.held`)."""
FLAT = 1e-8
"""k below which <sech^4(k x)> = 1 - 2 k^2 is 1 in float64."""

Local = Callable[[Array, Array], tuple[Array, Array]]


def _closing(inner):
    """1 - sigma(inner), to relative accuracy and never zero."""
    return jax.nn.sigmoid(-jnp.minimum(inner, CLOSED))


def _gru(x, w):
    (h,), (own, update, reset) = x, w
    return jnp.stack([_closing(update) * (jnp.tanh(own) - h)]), jnp.stack([jax.nn.sigmoid(reset) * h, h, h])


def _lstm(x, w):
    (h, c), (g, f, i, o) = x, w
    rate = jax.nn.sigmoid(i) * jnp.tanh(g) - _closing(f) * c
    return jnp.stack([jax.nn.sigmoid(o) * jnp.tanh(c + rate) - h, rate]), jnp.stack([h, h, h, h])


def _gated(cell: GatedRNN, x, w):
    (h, z, r), (to_h, to_z, to_r) = x, w
    phi = cell.activity(h)
    # 1 - sig(v) = sig(-v): the same floor as for the other gates
    update = _closing(cell.beta_z - cell.alpha_z * z)
    rate = update * (to_h - h), (to_z - z) / cell.tau_z, (to_r - r) / cell.tau_r
    return jnp.stack(rate), jnp.stack([phi * cell.reset_gate(r), phi, phi])


def parts(cell: Cell) -> tuple[tuple[Any, ...], tuple[Any, ...], int, Local]:
    """A network's matrices and biases (None where it has none), s, and `rate` and `seen` of one site.

    Refused: a GRU with the reset gate after the matrix.
    """
    if isinstance(cell, GatedRNN):
        return (cell.J_h, cell.J_z, cell.J_r), (None,) * 3, 3, functools.partial(_gated, cell)
    if isinstance(cell, GRU):
        if cell.reset != "before":
            raise InputError("reset", "'before'", cell.reset)
        names, count, local = "hzr", 1, _gru
    elif isinstance(cell, LSTM):
        names, count, local = "gfio", 2, _lstm
    else:
        raise InputError("cell", "a GRU, an LSTM or a GatedRNN", type(cell).__name__)
    weights, biases = (tuple(getattr(cell, f"{part}_{k}") for k in names) for part in "Ub")
    return weights, biases, count, local


def gain(matrix: Array | Scaled | None) -> float:
    """sqrt(N) times the root mean square of a matrix's entries."""
    if matrix is None:
        return 0.0
    if isinstance(matrix, Scaled):
        return float(matrix.gain)
    return float(jnp.linalg.norm(matrix)) / matrix.shape[0] ** 0.5


@dataclasses.dataclass(frozen=True)
class Sites:
    """The linear answers of n sites, each with the weight of those that are like it."""

    A: Float[np.ndarray, "n s s"]
    B: Float[np.ndarray, "n s k"]
    C: Float[np.ndarray, "n k s"]
    E: Float[np.ndarray, "n k k"]
    gains: Float[np.ndarray, " k"]
    """Of the matrices."""
    weight: Float[np.ndarray, " n"]
    """Shares, of sum 1."""
    discrete: bool
    """Whether eigenvalues are those of the map, 1 + l, or of the field, l."""
    clock: int
    """Which state of a site the update or forget gate holds."""

    @property
    def origin(self) -> float:
        """The eigenvalue of a mode that neither grows nor decays: 1 for maps, 0 for fields."""
        return 1.0 if self.discrete else 0.0

    @functools.cached_property
    def modes(self) -> tuple[Float[np.ndarray, "n s"], Float[np.ndarray, "n s k k"]]:
        """Poles a_p and residues R_p of (1), with the gains; the eigenvalues of all A_i are real."""
        poles, vectors = np.linalg.eig(self.A)
        if np.iscomplexobj(poles):
            raise InputError("sites", "real rates of single sites", "complex ones")
        inward = np.linalg.solve(vectors, self.B)
        outward = self.gains[:, None] * (self.C @ vectors)
        return poles, np.einsum("nkp,npj->npkj", outward, inward)

    @property
    def through(self) -> Float[np.ndarray, "n k k"]:
        """What passes without delay: E with the gains."""
        return self.gains[:, None] * self.E

    @functools.cached_property
    def hidden(self) -> np.ndarray:
        """(n, s): poles without a residue. They are eigenvalues of the network just so: closed gates, and
        gates' states that nothing reads."""
        return np.logical_not(self.modes[1].any(axis=(2, 3)))

    @property
    def held(self) -> Sites:
        """The same for infinitely sharp update or forget gates: sites whose gate is more closed than open
        answer no more."""
        B = self.B.copy()
        B[-self.A[:, self.clock, self.clock] < 0.5, self.clock] = 0.0
        return dataclasses.replace(self, B=B)


@eqx.filter_jit
def _linear(cell: Cell, x, w):
    local = parts(cell)[-1]
    return jax.vmap(jax.jacfwd(local, argnums=(0, 1)))(x, w)


@eqx.filter_jit
def _fields(cell: Cell, state):
    weights, biases, count, local = parts(cell)
    x = state.reshape(count, -1).T
    w = jnp.zeros((x.shape[0], len(weights)), x.dtype)
    for _ in range(DEPTH):
        seen = jax.vmap(local)(x, w)[1]
        drives = [0.0 * v if U is None else U @ v for U, v in zip(weights, seen.T)]
        w = jnp.stack([v if b is None else v + b for v, b in zip(drives, biases)], axis=1)
    return x, w


def sites(cell: Cell, state: Float[Array, " m"] | Float[np.ndarray, " m"], discrete: bool) -> Sites:
    """The sites of one network without input in one state, (s N,); `discrete` as in `Sites`.

    Refused: a map of a gated RNN, which has none; a state of the wrong size.
    """
    if discrete and isinstance(cell, GatedRNN):
        raise InputError("discrete", "False for a gated RNN", discrete)
    weights, _, count, _ = parts(cell)
    size = next(U for U in weights if U is not None).shape[0]
    if state.shape != (count * size,):
        raise InputError("state", f"shape ({count * size},)", f"shape {state.shape}")
    (A, B), (C, E) = _linear(cell, *_fields(cell, jnp.asarray(state)))
    gains = np.array([gain(U) for U in weights])
    clock = 1 if isinstance(cell, LSTM) else 0
    A, B, C, E = (np.asarray(part, dtype=float) for part in (A, B, C, E))
    return Sites(A, B, C, E, gains, np.full(size, 1.0 / size), discrete, clock)


def _gate(strength: float) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """1 - sig(v) and weights for v ~ N(0, strength^2), by the trapezoidal rule."""
    if strength > LARGEST_GAIN:
        raise InputError("update gain", f"at most {LARGEST_GAIN:g} / sqrt(Q)", strength)
    step = min(LARGEST_STEP, STEP_BY_GAIN / max(strength, STEP_BY_GAIN))
    x = np.arange(-round(HALF_WIDTH / step), round(HALF_WIDTH / step) + 1) * step
    weight = np.exp(-x * x / 2.0)
    return np.asarray(_closing(jnp.asarray(strength * x)), dtype=float), weight / weight.sum()


def _slope(k: float) -> float:
    """<sech^4(k x)>, x ~ N(0, 1)."""
    return float(tanh_pair(k, 1.0).d_c) / k**2 if k > FLAT else 1.0


def mean_field_sites(
    state: FixedPointState,
    gain: float,
    update: float,
    reset: float,
    tau: tuple[float, float] | None = None,
) -> Sites:
    r"""Sites of N to infinity at a fixed point of `mean_field`, zero included, without biases.

    `gain`, `update` and `reset` are a_h, a_z and a_r of a GRU, as a map, whose fixed points are those of
    `mean_field.fixed_points(a_h, a_r)`; or, where `tau` = (tau_z, tau_r) is given, g, alpha_z and alpha_r of
    a gated RNN.

    There the three fields of a site are independent Gaussians, and the change of an update gate multiplies
    zero. Each entry of T is then a product of independent factors, and the edge asks for mean squares: root
    mean squares stand for all factors but the update gate, which is sampled. So these sites are for edges,
    not for what is inside of them (`clouds.share_within`).

    Refused: gates steeper than `LARGEST_GAIN`.
    """
    rate, weight = _gate(update * math.sqrt(state.Q))
    n, steep = rate.size, gain if tau is not None else 1.0
    k = reset_gain(reset, state.Q)
    phi, slope = math.sqrt(state.Q), steep * math.sqrt(_slope(state.s))
    open_, moved = math.sqrt((1.0 + float(tanh_pair(k, 1.0).value)) / 4.0), math.sqrt(_slope(k)) / 4.0
    if tau is None:
        A, B, C, E = (np.zeros((n, *shape)) for shape in ((1, 1), (1, 3), (3, 1), (3, 3)))
        A[:, 0, 0], B[:, 0, 0] = -rate, rate * slope
        C[:, :, 0] = open_, 1.0, 1.0
        E[:, 0, 2] = phi * moved
        return Sites(A, B, C, E, np.array([gain, update, reset]), weight, True, 0)
    A, B, C, E = (np.zeros((n, 3, 3)) for _ in range(4))
    speeds: tuple[Any, ...] = rate, 1.0 / tau[0], 1.0 / tau[1]
    for p, speed in enumerate(speeds):
        A[:, p, p], B[:, p, p] = -speed, speed
    C[:, :, 0] = slope * open_, slope, slope
    C[:, 0, 2] = phi * reset * moved
    return Sites(A, B, C, E, np.ones(3), weight, False, 0)
