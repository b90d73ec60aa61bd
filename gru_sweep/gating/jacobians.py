r"""Jacobians of large networks from their sites, their eigenvalues, and the states to take them at.

    J = A + B U C + B U E U C                                                                (`sites`)

has N x N blocks, each a sum of diagonals times matrices: no product of two matrices but the GRU's
U_h diag(h r') U_r. Automatic differentiation pushes s N vectors through the network for the same numbers.
"""

from __future__ import annotations

import dataclasses

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from ..records import InputError
from ..systems.cells import GRU
from ..systems.ensembles import Cell
from ..systems.gated_rnn import GatedRNN
from ..systems.lstm import LSTM
from ..systems.matrices import Scaled
from .sites import parts, sites

TIME_STEP = 0.1
"""Of Heun's scheme, over the shortest time constant: a state is settled to its kind, not to digits."""
NEWTON_STEPS = 60
HALVINGS = 12
"""Of a Newton step that does not make the residual smaller; then the search has stopped."""
ZERO = 1e-11
"""Largest |rate| of a fixed point, for states and weights of order 1 in float64 and sums over N units."""


def _multiplied_out(U: jax.Array | Scaled) -> np.ndarray:
    if isinstance(U, Scaled):
        return float(U.gain) * np.asarray(U.matrix, dtype=float)
    return np.asarray(U, dtype=float)


def jacobian(
    cell: Cell, state: Float[jax.Array, " m"] | Float[np.ndarray, " m"], discrete: bool
) -> Float[np.ndarray, "m m"]:
    """d step / d state of a map, d rate / d state of a field, float64. Refuses what `sites` refuses."""
    at = sites(cell, state, discrete)
    weights = [None if U is None else _multiplied_out(U) for U in parts(cell)[0]]
    n, count, matrices = at.B.shape
    whole = np.zeros((count, n, count, n))
    diagonal = np.arange(n)
    for a in range(count):
        for b in range(count):
            block = whole[a, :, b, :]
            block[diagonal, diagonal] = at.A[:, a, b] + (at.origin if a == b else 0.0)
            for k in range(matrices):
                if weights[k] is None or not at.B[:, a, k].any():
                    continue
                if at.C[:, k, b].any():
                    block += at.B[:, a, k, None] * weights[k] * at.C[:, k, b]
                for j in range(matrices):
                    if weights[j] is not None and at.E[:, k, j].any() and at.C[:, j, b].any():
                        inner = at.E[:, k, j, None] * weights[j] * at.C[:, j, b]
                        block += at.B[:, a, k, None] * (weights[k] @ inner)
    return whole.reshape(count * n, count * n)


def eigenvalues(
    cell: Cell, state: Float[jax.Array, " m"] | Float[np.ndarray, " m"], discrete: bool
) -> Complex[np.ndarray, " m"]:
    """Of `jacobian`, by LAPACK on the host: work in proportion to (s N)^3.

    States of the sites that nothing reads, or that nothing drives, as those of gates without a gain, are
    taken out first: they make the Jacobian block triangular, and their eigenvalues are those of their block.
    """
    whole = jacobian(cell, state, discrete)
    count = parts(cell)[2]
    blocks = whole.reshape(count, whole.shape[0] // count, count, -1)
    left, found = list(range(count)), []
    for _ in range(count - 1):
        for b in left:
            others = [a for a in left if a != b]
            if not (blocks[others, :, b].any() and blocks[b][:, others].any()):
                found.append(np.linalg.eigvals(blocks[b, :, b]))
                left = others
                break
    size = len(left) * blocks.shape[1]
    found.append(np.linalg.eigvals(blocks[left][:, :, left].reshape(size, size)))
    return np.concatenate(found).astype(complex)


@eqx.filter_jit
def _iterated(cell: GRU | LSTM, start, settle: int, kept: int, every: int):
    def onwards(state, count):
        return jax.lax.fori_loop(0, count, lambda _, h: cell.step(h), state)

    def one(state, _):
        return onwards(state, every), state

    return jax.lax.scan(one, onwards(start, settle), length=kept)[1]


@eqx.filter_jit
def _integrated(cell: Cell, start, settle, kept: int, every):
    times = settle + every * jnp.arange(kept)
    fastest = jnp.ones(())
    if isinstance(cell, GatedRNN):
        fastest = jnp.minimum(fastest, jnp.minimum(cell.tau_z, cell.tau_r))
    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: cell(y)),
        diffrax.Heun(),
        0.0,
        times[-1],
        TIME_STEP * fastest,
        start,
        saveat=diffrax.SaveAt(ts=times),
        max_steps=None,
    ).ys


def trajectory(
    cell: Cell,
    start: Float[jax.Array, " m"] | Float[np.ndarray, " m"],
    discrete: bool,
    *,
    settle: int = 200,
    kept: int = 1,
    every: int = 20,
) -> Float[np.ndarray, "kept m"]:
    """States of a network without input: after `settle` steps, or units of time, and then `every` so many.

    Refused: counts that are not positive (`settle` may be 0), and a map of a gated RNN.
    """
    for name, value, least in (("settle", settle, 0), ("kept", kept, 1), ("every", every, 1)):
        if value < least:
            raise InputError(name, f"an integer >= {least}", value)
    start = jnp.asarray(start)
    if discrete:
        if isinstance(cell, GatedRNN):
            raise InputError("discrete", "False for a gated RNN", discrete)
        return np.asarray(_iterated(cell, start, settle, kept, every))
    return np.asarray(_integrated(cell, start, float(settle), kept, float(every)))


@dataclasses.dataclass(frozen=True)
class FixedPoint:
    """Where a search ended."""

    state: Float[np.ndarray, " m"]
    residual: float
    """Largest |rate|, per unit of time or step."""

    @property
    def found(self) -> bool:
        return self.residual <= ZERO


def fixed_point(cell: Cell, start: Float[jax.Array, " m"] | Float[np.ndarray, " m"]) -> FixedPoint:
    """Newton's method on the field from `start`, with steps halved until the residual falls.

    It ends at fixed points of any stability, or where it gets no further: see `found`. Fixed points are the
    same for map and field. Neither the gain of an update gate nor tau_z and tau_r move them: search where
    these are gentle.
    """
    rate = eqx.filter_jit(lambda cell, state: cell(state))
    state = np.asarray(start, dtype=float)
    value = np.asarray(rate(cell, jnp.asarray(state)))
    for _ in range(NEWTON_STEPS):
        if np.abs(value).max() <= ZERO:
            break
        step = np.linalg.solve(jacobian(cell, state, False), value)
        for halving in range(HALVINGS):
            there = state - 0.5**halving * step
            after = np.asarray(rate(cell, jnp.asarray(there)))
            if np.linalg.norm(after) < np.linalg.norm(value):
                break
        else:
            break
        state, value = there, after
    return FixedPoint(state=state, residual=float(np.abs(value).max()))
