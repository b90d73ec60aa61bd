"""Matrices as factors of a cell: an array, or an array times a number that is never multiplied out."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


def floating(value: Any) -> Any:
    """None and `Scaled` as they are, anything else as an array of floating point numbers."""
    if value is None or isinstance(value, Scaled):
        return value
    value = jnp.asarray(value)
    return value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(jnp.result_type(float))


class Scaled(eqx.Module):
    """`gain * matrix` that acts as `gain * (matrix @ v)`.

    Under `vmap` over gains all systems then share one matrix in memory, and their products with it are one
    product of two matrices. `gain`: a number; `matrix`: (m, n).
    """

    gain: Float[Array, ""] = eqx.field(converter=floating)
    matrix: Float[Array, "m n"] = eqx.field(converter=floating)

    def __matmul__(self, v: Float[Array, " n"]) -> Float[Array, " m"]:
        return self.gain * (self.matrix @ v)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.matrix.shape

    @property
    def ndim(self) -> int:
        return self.matrix.ndim

    @property
    def dtype(self):
        return self.matrix.dtype

    def dense(self) -> Float[Array, "m n"]:
        """The matrix, multiplied out."""
        return self.gain * self.matrix


def dense(matrix: Array | Scaled) -> Array:
    """A factor as one array."""
    return matrix.dense() if isinstance(matrix, Scaled) else matrix
