r"""The loss of Eq 10 and its gradient for several networks of one size at once, by a hand-written adjoint.

The T free steps are unrolled in time, for all series side by side (a row a unit, a column a series):

    g = [z; r] = sigma(U_g h + b_g),  q = r o h,  n = tanh(U_h q + b_h),
    h' = n + z o (h - n),  e = C h' + c - w.

Forward, h, g and n of every step are kept. Backward, with v the adjoint of h', to which a step first adds
2/T C^T e (o is the elementwise product):

    a_z = v o (h - n) o z o (1 - z),     a_n = v o (1 - z) o (1 - n^2),     s = U_h^T a_n,
    a_r = s o h o r o (1 - r),           v <- v o z + s o r + U_g^T [a_z; a_r],

and the gradients are the sums over steps and series of a_g h^T, a_n q^T, e h'^T, and of a_g, a_n, e for the
biases. They are formed inside the backward loop, so that nothing grows with the number of steps but what was
kept. The first step is apart: h(0) = (1 - z) o n has no h, so that W_r is never used: its gradient is zero.

Every matrix product has the series as its long axis, one product per member: products written out as sums
would be fused, and then computed again in every consumer. Series come in blocks of equal size, padded with
series of weight zero: a block's states stay in the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..records import InputError
from .networks import Network

BLOCK = 1024
"""The most series in a block. Smaller ones are slower at few units, and no faster at many."""
LANES = 16
"""A block is padded to a multiple of it, the widest vectors' single-precision lanes: no series is computed by
the remainder of a vectorised loop, which may round otherwise."""


class Series(NamedTuple):
    """Time series in blocks of m: `inputs` (blocks, p, m), `targets` (blocks, T, p, m), and `weights`
    (blocks, m), 1 for a series and 0 for padding."""

    inputs: Float[Array | np.ndarray, "blocks p m"]
    targets: Float[Array | np.ndarray, "blocks T p m"]
    weights: Float[Array | np.ndarray, "blocks m"]


def blocks(series: np.ndarray, dtype: np.dtype | type) -> Series:
    """Series (n, T + 1, p) as blocks of at most `BLOCK`, as even as can be, in a precision."""
    n = len(series)
    count = -(-n // BLOCK)
    size = -(-n // (count * LANES)) * LANES
    padded = np.zeros((count * size, *series.shape[1:]), dtype)
    padded[:n] = series
    padded = np.moveaxis(padded.reshape(count, size, *series.shape[1:]), 1, -1)
    weights = (np.arange(count * size) < n).astype(dtype).reshape(count, size)
    return Series(padded[:, 0].copy(), padded[:, 1:].copy(), weights)


def losses(networks: Network, series: Series) -> Float[Array, " members"]:
    """Eq 10 of every member; each part of `networks` has the members as its first axis."""
    model = _Model.of(networks)

    def block(total, one):
        def step(carry, w):
            h, total = carry
            h, *_ = model.step(h)
            error = model.error(h, w, one.weights)
            return (h, total + jnp.sum(error**2, axis=(1, 2))), None

        return jax.lax.scan(step, (model.first(one.inputs)[0], total), one.targets)[0][1], None

    zero = jnp.zeros(networks.c.shape[0], networks.c.dtype)
    return jax.lax.scan(block, zero, series)[0] / series.targets.shape[1]


def losses_and_gradients(networks: Network, series: Series) -> tuple[Float[Array, " members"], Network]:
    """Eq 10 of every member, and its gradient in the shape of `networks`.

    Refused: a cell with a part missing or with the reset gate after the matrix.
    """
    model = _Model.of(networks)

    def add(total, one):
        return jax.tree.map(jnp.add, total, model.block(one)), None

    first = jax.tree.map(lambda x: x[0], series)
    none = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(model.block, first))
    sums = jax.lax.scan(add, none, series)[0]
    d, steps = model.units, series.targets.shape[1]
    gradient = eqx.tree_at(
        _parts,
        networks,
        (
            *(sums.candidate, sums.gates[:, :d], sums.gates[:, d:]),
            *(sums.gate_bias[:, :d] + sums.first_update, sums.gate_bias[:, d:]),
            sums.candidate_bias + sums.first_candidate,
            *(sums.update_in, jnp.zeros_like(sums.update_in), sums.candidate_in),
            *(2 / steps * sums.readout, 2 / steps * sums.readout_bias),
        ),
    )
    return jnp.sum(sums.squares, axis=-1) / steps, gradient


def _parts(network: Network) -> tuple[Any, ...]:
    cell = network.cell
    recurrent = (cell.U_h, cell.U_z, cell.U_r, cell.b_z, cell.b_r, cell.b_h)
    return (*recurrent, cell.W_z, cell.W_r, cell.W_h, network.C, network.c)


class _Sums(NamedTuple):
    """Sums over steps and series, each with the members first; the readout's without the factor 2/T."""

    gates: Array
    candidate: Array
    readout: Array
    gate_bias: Array
    candidate_bias: Array
    readout_bias: Array
    squares: Array
    update_in: Array
    candidate_in: Array
    first_update: Array
    first_candidate: Array


class _Model(NamedTuple):
    """The parts as the loops use them: the gates stacked, biases as columns."""

    gates: Array
    candidate: Array
    gate_bias: Array
    candidate_bias: Array
    update_in: Array
    candidate_in: Array
    readout: Array
    readout_bias: Array

    @classmethod
    def of(cls, networks: Network) -> _Model:
        parts = _parts(networks)
        if networks.cell.reset != "before" or any(part is None for part in parts):
            raise InputError("cell", "a GRU with every part, the reset gate before the matrix", "another one")
        U_h, U_z, U_r, b_z, b_r, b_h, W_z, _, W_h, C, c = parts
        return cls(
            gates=jnp.concatenate([U_z, U_r], axis=1),
            candidate=U_h,
            gate_bias=jnp.concatenate([b_z, b_r], axis=1)[..., None],
            candidate_bias=b_h[..., None],
            update_in=W_z,
            candidate_in=W_h,
            readout=C,
            readout_bias=c[..., None],
        )

    @property
    def units(self) -> int:
        return self.candidate.shape[-1]

    def first(self, inputs):
        """h(0), with its update gate, its candidate and the input (members, p, m)."""
        w = jnp.broadcast_to(inputs, (len(self.gates), *inputs.shape))
        z = jax.nn.sigmoid(_times(self.update_in, w) + self.gate_bias[:, : self.units])
        n = jnp.tanh(_times(self.candidate_in, w) + self.candidate_bias)
        return (1 - z) * n, z, n, w

    def step(self, h):
        """The next state, and the gates and the candidate it was made of."""
        g = jax.nn.sigmoid(_times(self.gates, h) + self.gate_bias)
        z, r = g[:, : self.units], g[:, self.units :]
        n = jnp.tanh(_times(self.candidate, r * h) + self.candidate_bias)
        return n + z * (h - n), g, n

    def error(self, h, w, weights):
        """Forecast minus truth, (members, p, m), zero for padding."""
        return (_times(self.readout, h) + self.readout_bias - w) * weights

    def block(self, one: Series) -> _Sums:
        """The sums over the steps and series of one block."""
        d, steps = self.units, one.targets.shape[0]
        start, z0, n0, w0 = self.first(one.inputs)

        def forward(h, _):
            following, g, n = self.step(h)
            return following, (h, g, n)

        end, kept = jax.lax.scan(forward, start, length=steps)
        pull = self.readout * (2 / steps)

        def backward(carry, at):
            v, following, sums = carry
            h, g, n, w = at
            z, r = g[:, :d], g[:, d:]
            e = self.error(following, w, one.weights)
            v = v + _times(pull, e, transposed=True)
            a_z = v * (h - n) * z * (1 - z)
            a_n = v * (1 - z) * (1 - n * n)
            s = _times(self.candidate, a_n, transposed=True)
            a_g = jnp.concatenate([a_z, s * h * r * (1 - r)], axis=1)
            v = v * z + s * r + _times(self.gates, a_g, transposed=True)
            new = (
                *(_outer(a_g, h), _outer(a_n, r * h), _outer(e, following)),
                *(jnp.sum(a, axis=-1) for a in (a_g, a_n, e, e * e)),
            )
            return (v, h, jax.tree.map(jnp.add, sums, new)), None

        zero = jnp.zeros_like(start)
        shapes = [(2 * d, d), (d, d), self.readout.shape[1:], (2 * d,), (d,)] + 2 * [self.readout.shape[1:2]]
        none = tuple(jnp.zeros((len(self.gates), *shape), start.dtype) for shape in shapes)
        (v, _, sums), _ = jax.lax.scan(backward, (zero, end, none), (*kept, one.targets), reverse=True)
        a_z, a_n = -v * n0 * z0 * (1 - z0), v * (1 - z0) * (1 - n0 * n0)
        first = [_outer(a_z, w0), _outer(a_n, w0), jnp.sum(a_z, axis=-1), jnp.sum(a_n, axis=-1)]
        return _Sums(*sums, *first)


def _times(matrix, columns, transposed=False):
    """The product of each member's matrix, or of its transpose, with its columns."""
    axes = (((1 if transposed else 2,), (1,)), ((0,), (0,)))
    return jax.lax.dot_general(matrix, columns, axes, precision=jax.lax.Precision.HIGHEST)


def _outer(rows, columns):
    """The sum over series of each member's outer products."""
    axes = (((2,), (2,)), ((0,), (0,)))
    return jax.lax.dot_general(rows, columns, axes, precision=jax.lax.Precision.HIGHEST)
