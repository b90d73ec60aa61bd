r"""The gated recurrent unit, as an ordinary differential equation and as the map it was made as.

Continuous, without input (Jordan, Sokol & Park 2021, Eqs 5-7):

    z = sigma(U_z h + b_z),  r = sigma(U_r h + b_r),
    dh/dt = (1 - z) o (tanh(U_h (r o h) + b_h) - h),          sigma(x) = 1 / (1 + exp(-x)).

Discrete (Eqs 2-4): h' = z o h + (1 - z) o tanh(W_h x + U_h (r o h) + b_h), the forward Euler step of the
above with dt = 1. `reset="after"` puts the reset gate after the matrix, as PyTorch, cuDNN and Flax do:
tanh(W_h x + b_h + r o (U_h h + b_hn)).

[-1, 1]^d is a trapping region of both.
"""

from __future__ import annotations

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..records import InputError
from .affine import affine, check_shapes, gate
from .matrices import Scaled, floating

_PARTS = {
    "U_h": ("d", "d"),
    "U_z": ("d", "d"),
    "U_r": ("d", "d"),
    "b_z": ("d",),
    "b_r": ("d",),
    "b_h": ("d",),
    "b_hn": ("d",),
    "W_z": ("d", "p"),
    "W_r": ("d", "p"),
    "W_h": ("d", "p"),
}


class GRU(eqx.Module):
    """A gated recurrent unit of d units and p inputs.

    **Arguments** (any part but `U_h` may be missing, and is then zero and costs nothing)

    - `U_h`, `U_z`, `U_r`: recurrent weights, (d, d), arrays or `Scaled`.
    - `b_z`, `b_r`, `b_h`: biases, (d,). `b_hn`: the bias inside the reset gate, (d,), for `reset="after"`.
    - `W_z`, `W_r`, `W_h`: input weights, (d, p).
    - `reset`: `"before"` (the paper, Keras `reset_after=False`) or `"after"` the matrix (PyTorch, Flax).

    Refused: shapes that disagree, and `b_hn` with `reset="before"`.
    """

    U_h: Float[Array, "d d"] | Scaled = eqx.field(converter=floating)
    U_z: Float[Array, "d d"] | Scaled | None = eqx.field(converter=floating, default=None)
    U_r: Float[Array, "d d"] | Scaled | None = eqx.field(converter=floating, default=None)
    b_z: Float[Array, " d"] | None = eqx.field(converter=floating, default=None)
    b_r: Float[Array, " d"] | None = eqx.field(converter=floating, default=None)
    b_h: Float[Array, " d"] | None = eqx.field(converter=floating, default=None)
    b_hn: Float[Array, " d"] | None = eqx.field(converter=floating, default=None)
    W_z: Float[Array, "d p"] | None = eqx.field(converter=floating, default=None)
    W_r: Float[Array, "d p"] | None = eqx.field(converter=floating, default=None)
    W_h: Float[Array, "d p"] | None = eqx.field(converter=floating, default=None)
    reset: Literal["before", "after"] = eqx.field(static=True, default="before")

    def __check_init__(self):
        if self.reset not in ("before", "after"):
            raise InputError("reset", "'before' or 'after'", self.reset)
        if self.reset == "before" and self.b_hn is not None:
            raise InputError("b_hn", "None with reset='before'", f"an array of shape {self.b_hn.shape}")
        check_shapes(self, _PARTS)

    @property
    def dimension(self) -> int:
        """Number of units, d."""
        return self.U_h.shape[0]

    def gates(self, h: Float[Array, " d"], x: Float[Array, " p"] | None = None):
        """Update gate z, reset gate r and candidate state, each (d,); a gate without parts is 1/2."""
        z = gate(self._into_update(h, x))
        return z, *self._reset_and_candidate(h, x)

    def _into_update(self, h, x):
        return affine(self.U_z, h, self.W_z, x, self.b_z)

    def _reset_and_candidate(self, h, x):
        r = gate(affine(self.U_r, h, self.W_r, x, self.b_r))
        if self.reset == "before":
            inner = affine(self.U_h, r * h, self.W_h, x, self.b_h)
        else:
            inner = r * affine(self.U_h, h, None, None, self.b_hn)
            outside = affine(None, h, self.W_h, x, self.b_h)
            inner = inner if outside is None else inner + outside
        return r, jnp.tanh(inner)

    def __call__(self, h: Float[Array, " d"], x: Float[Array, " p"] | None = None) -> Float[Array, " d"]:
        """dh/dt at state `h` (Eq 7), per unit of time; `x` is a constant input."""
        # 1 - sigma(v) = sigma(-v), which stays positive where a closed gate's z rounds to 1
        inner = self._into_update(h, x)
        opening = gate(inner if inner is None else -inner)
        return opening * (self._reset_and_candidate(h, x)[1] - h)

    def step(self, h: Float[Array, " d"], x: Float[Array, " p"] | None = None) -> Float[Array, " d"]:
        """The next state of the discrete GRU (Eq 4)."""
        z, _, candidate = self.gates(h, x)
        return (1 - z) * candidate + z * h
