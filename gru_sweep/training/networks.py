r"""A recurrent network as section 5 of Jordan, Sokol & Park (2021) trains it: a GRU and an affine readout.

    h(0) = step(0, w(0)),   h(k) = step(h(k - 1)),   w^(k) = C h(k) + c,   k = 1, 2, ...

with `step` the discrete GRU of Eqs 2-4. The hidden state before the observation is zero; the observation w(0)
is the only input there ever is. The loss over N series of T + 1 points is Eq 10,

    L = (1 / T) sum_i sum_k |w^_i(k) - w_i(k)|^2,   k = 1 .. T.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..records import InputError
from ..systems.cells import GRU


class Network(eqx.Module):
    """A GRU `cell` of d units that reads p coordinates, with a readout `C`, (p, d), and `c`, (p,).

    Refused: a cell without input weights, and a readout whose shapes do not fit the cell's.
    """

    cell: GRU
    C: Float[Array, "q d"] = eqx.field(converter=jnp.asarray)
    c: Float[Array, " q"] = eqx.field(converter=jnp.asarray)

    def __check_init__(self):
        inputs = next((W for W in (self.cell.W_h, self.cell.W_z, self.cell.W_r) if W is not None), None)
        if inputs is None:
            raise InputError("cell", "a GRU with input weights", "one without")
        p, d = inputs.shape[1], self.cell.dimension
        if self.C.shape != (p, d):
            raise InputError("C", f"an array of shape ({p}, {d})", f"shape {self.C.shape}")
        if self.c.shape != (p,):
            raise InputError("c", f"an array of shape ({p},)", f"shape {self.c.shape}")

    @property
    def dimension(self) -> int:
        """Number of units, d."""
        return self.cell.dimension

    def encode(self, w0: Float[Array, " p"]) -> Float[Array, " d"]:
        """The hidden state h(0) after the observation `w0`, (p,)."""
        return self.cell.step(jnp.zeros_like(self.C[0]), w0)

    def read(self, h: Float[Array, " d"]) -> Float[Array, " p"]:
        """The forecast C h + c of a hidden state, (p,)."""
        return self.C @ h + self.c

    def forecast(self, w0: Float[Array, " p"], steps: int) -> Float[Array, "steps p"]:
        """The closed-loop forecast w^(1) .. w^(steps) from the observation `w0`, (steps, p)."""

        def advance(h, _):
            h = self.cell.step(h)
            return h, self.read(h)

        return jax.lax.scan(advance, self.encode(w0), length=steps)[1]


def loss(network: Network, series: Float[Array, "n points p"]) -> Float[Array, ""]:
    """Eq 10 over series of T + 1 points, (n, T + 1, p): the squared errors' sum divided by T."""
    steps = series.shape[1] - 1
    forecasts = jax.vmap(lambda w0: network.forecast(w0, steps))(series[:, 0])
    return jnp.sum((forecasts - series[:, 1:]) ** 2) / steps
