r"""The gated recurrent network in continuous time of Krishnamurthy, Can & Schwab (2022), of 3N states:

    dh/dt       = sig_z(z) o (-h + J_h (phi(h) o sig_r(r))) + I_h,
    tau_z dz/dt = -z + J_z phi(h) + I_z,
    tau_r dr/dt = -r + J_r phi(h) + I_r,

phi(x) = tanh(g x + b_h), sig_k(x) = 1 / (1 + exp(-alpha_k x + beta_k)). sig_z is 1 - z of the GRU, and h what
goes into phi, not what comes out of it. In this convention a positive beta closes a gate.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..records import InputError
from .matrices import floating

Number = Float[Array, ""]


class GatedRNN(eqx.Module):
    """The gated recurrent network: weights J_h, J_z, J_r, (N, N), gains, biases and time constants.

    **Arguments**: `g`, the gain of the units; `alpha_z`, `alpha_r`, gains of the gates; `b_h`, `beta_z`,
    `beta_r`, biases; `tau_z`, `tau_r`, in units of time, positive. State: [h, z, r].

    Refused: weights that are not square or of different sizes.
    """

    J_h: Float[Array, "n n"] = eqx.field(converter=floating)
    J_z: Float[Array, "n n"] = eqx.field(converter=floating)
    J_r: Float[Array, "n n"] = eqx.field(converter=floating)
    g: Number = eqx.field(converter=floating, default=1.0)
    alpha_z: Number = eqx.field(converter=floating, default=1.0)
    alpha_r: Number = eqx.field(converter=floating, default=1.0)
    b_h: Number = eqx.field(converter=floating, default=0.0)
    beta_z: Number = eqx.field(converter=floating, default=0.0)
    beta_r: Number = eqx.field(converter=floating, default=0.0)
    tau_z: Number = eqx.field(converter=floating, default=1.0)
    tau_r: Number = eqx.field(converter=floating, default=1.0)

    def __check_init__(self):
        if self.J_h.ndim != 2 or not self.J_h.size:
            raise InputError("J_h", "an array of shape (n, n)", f"shape {self.J_h.shape}")
        size = self.J_h.shape[0]
        for name in ("J_h", "J_z", "J_r"):
            if getattr(self, name).shape != (size, size):
                raise InputError(
                    name, f"an array of shape ({size}, {size})", f"shape {getattr(self, name).shape}"
                )

    @property
    def units(self) -> int:
        """Number of units, N."""
        return self.J_h.shape[0]

    @property
    def dimension(self) -> int:
        """Numbers in a state, 3N."""
        return 3 * self.units

    def update_gate(self, z):
        """sig_z: the rate at which h moves."""
        return jax.nn.sigmoid(self.alpha_z * z - self.beta_z)

    def reset_gate(self, r):
        """sig_r: how much of a unit the others see."""
        return jax.nn.sigmoid(self.alpha_r * r - self.beta_r)

    def activity(self, h):
        """phi(h) = tanh(g h + b_h)."""
        return jnp.tanh(self.g * h + self.b_h)

    def __call__(self, state: Float[Array, " m"], x: Float[Array, " m"] | None = None) -> Float[Array, " m"]:
        """d[h, z, r]/dt at `state`, per unit of time; `x` = [I_h, I_z, I_r], zero if not given."""
        n = self.units
        h, z, r = state[:n], state[n : 2 * n], state[2 * n :]
        phi = self.activity(h)
        to_h, to_z, to_r = self.J_h @ (phi * self.reset_gate(r)), self.J_z @ phi, self.J_r @ phi
        if x is not None:
            to_z, to_r = to_z + x[n : 2 * n], to_r + x[2 * n :]
        rate = self.update_gate(z) * (to_h - h)
        rate = rate if x is None else rate + x[:n]
        return jnp.concatenate([rate, (to_z - z) / self.tau_z, (to_r - r) / self.tau_r])
