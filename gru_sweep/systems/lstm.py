r"""The long short-term memory, as the map it was made as and as an ordinary differential equation.

Discrete (Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000):

    f = sigma(U_f h + b_f),  i = sigma(U_i h + b_i),  o = sigma(U_o h + b_o),  g = tanh(U_g h + b_g),
    c' = f o c + i o g,  h' = o o tanh(c'),

each gate with W x beside U h where there is an input. Continuous: the field whose forward Euler step with
dt = 1 that is, as the GRU's (Jordan, Sokol & Park 2021, Eqs 5-7):

    dh/dt = o o tanh(c + dc/dt) - h,  dc/dt = i o g - (1 - f) o c.

Both have the same fixed points. The state is [h, c], 2d numbers. |h| < 1 after one step; where f <= F < 1 for
all |h| <= 1, [-1, 1]^d x [-1/(1 - F), 1/(1 - F)]^d is a trapping region of both (`box`).
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .affine import affine, check_shapes, gate
from .matrices import Scaled, dense, floating

_PARTS = {f"U_{k}": ("d", "d") for k in "gfio"} | {f"b_{k}": ("d",) for k in "gfio"}
_PARTS |= {f"W_{k}": ("d", "p") for k in "gfio"}


class LSTM(eqx.Module):
    """A long short-term memory of d units and p inputs.

    **Arguments** (any part but `U_g` may be missing, and is then zero and costs nothing)

    - `U_g`, `U_f`, `U_i`, `U_o`: recurrent weights of candidate, forget, input and output gate, (d, d),
      arrays or `Scaled`; `b_*`: biases, (d,); `W_*`: input weights, (d, p).

    Refused: shapes that disagree.
    """

    U_g: Float[Array, "d d"] | Scaled = eqx.field(converter=floating)
    U_f: Float[Array, "d d"] | Scaled | None = eqx.field(converter=floating, default=None)
    U_i: Float[Array, "d d"] | Scaled | None = eqx.field(converter=floating, default=None)
    U_o: Float[Array, "d d"] | Scaled | None = eqx.field(converter=floating, default=None)
    b_g: Float[Array, " d"] | None = eqx.field(converter=floating, default=None)
    b_f: Float[Array, " d"] | None = eqx.field(converter=floating, default=None)
    b_i: Float[Array, " d"] | None = eqx.field(converter=floating, default=None)
    b_o: Float[Array, " d"] | None = eqx.field(converter=floating, default=None)
    W_g: Float[Array, "d p"] | None = eqx.field(converter=floating, default=None)
    W_f: Float[Array, "d p"] | None = eqx.field(converter=floating, default=None)
    W_i: Float[Array, "d p"] | None = eqx.field(converter=floating, default=None)
    W_o: Float[Array, "d p"] | None = eqx.field(converter=floating, default=None)

    def __check_init__(self):
        check_shapes(self, _PARTS)

    @property
    def units(self) -> int:
        """Number of units, d."""
        return self.U_g.shape[0]

    @property
    def dimension(self) -> int:
        """Numbers in a state, 2d."""
        return 2 * self.units

    def _inner(self, gate: str, h, x, sign: int = 1):
        inner = affine(
            *(getattr(self, f"U_{gate}"), h, getattr(self, f"W_{gate}"), x, getattr(self, f"b_{gate}"))
        )
        return inner if inner is None or sign > 0 else -inner

    def _candidate(self, h, x):
        return jnp.tanh(self._inner("g", h, x))

    def __call__(self, state: Float[Array, " n"], x: Float[Array, " p"] | None = None) -> Float[Array, " n"]:
        """d[h, c]/dt at `state`, per unit of time; `x` is a constant input."""
        h, c = state[: self.units], state[self.units :]
        # 1 - sigma(v) = sigma(-v), which stays positive where the forget gate rounds to 1
        leak = gate(self._inner("f", h, x, -1))
        rate = gate(self._inner("i", h, x)) * self._candidate(h, x) - leak * c
        return jnp.concatenate([gate(self._inner("o", h, x)) * jnp.tanh(c + rate) - h, rate])

    def step(self, state: Float[Array, " n"], x: Float[Array, " p"] | None = None) -> Float[Array, " n"]:
        """The next [h, c] of the discrete LSTM."""
        h, c = state[: self.units], state[self.units :]
        cell = gate(self._inner("f", h, x)) * c + gate(self._inner("i", h, x)) * self._candidate(h, x)
        return jnp.concatenate([gate(self._inner("o", h, x)) * jnp.tanh(cell), cell])

    @property
    def box(self) -> Float[Array, " n"]:
        """Half sides of a trapping region of the cell without input, (2d,): 1 for h; for c, 1 / (1 - f) with
        the forget gate's largest value over |h| <= 1."""
        ones = jnp.ones(self.units, self.U_g.dtype)
        reach = 0 * ones if self.U_f is None else jnp.abs(dense(self.U_f)).sum(axis=1)
        inner = reach if self.b_f is None else reach + self.b_f
        return jnp.concatenate([ones, 1 / gate(-inner)])
