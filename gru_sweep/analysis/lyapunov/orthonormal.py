"""Orthonormal tangents, and by what they had grown: the QR decomposition of a tall matrix, held as rows."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

WRITTEN_OUT = 8
"""Rows up to which Gram-Schmidt is written out: XLA fuses it over a batch, where LAPACK goes one by one."""
LOST = 32.0
"""Units of rounding, relative to a tangent, below which what is left of it after the ones before have been
taken off is rounding itself: twice Gram-Schmidt leaves a few."""


def orthonormal(rows: Float[Array, "k n"]) -> tuple[Float[Array, "k n"], Float[Array, " k"]]:
    """Orthonormal rows that span what the first 1, 2 ... k `rows` do, and by which factor each is longer.

    A row that lies in the span of those before is lost: it becomes zero, and its factor zero.
    """
    size = _length(rows)
    if rows.shape[0] > WRITTEN_OUT:
        q, r = jnp.linalg.qr(rows.T)
        left = jnp.abs(jnp.diagonal(r))
        kept = ~_lost(left, size)
        return jnp.where(kept[:, None], q.T, 0), jnp.where(kept, left, 0)
    found: list[Array] = []
    factors: list[Array] = []
    for row, whole in zip(rows, size):
        # once leaves an angle of rounding times the row's condition; twice is enough (Giraud et al. 2005)
        for _ in range(2 if found else 0):
            for q in found:
                row = row - jnp.sum(q * row) * q
        left = _length(row) if found else whole
        kept = ~_lost(left, whole)
        found.append(jnp.where(kept, row / jnp.where(kept, left, 1), 0))
        factors.append(jnp.where(kept, left, 0))
    return jnp.stack(found), jnp.stack(factors)


def _length(rows: Float[Array, "*k n"]) -> Float[Array, "*k"]:
    # squares of small numbers would be zero, those of large ones infinite
    scale = jnp.max(jnp.abs(rows), axis=-1, keepdims=True)
    scale = jnp.where((scale > 0) & jnp.isfinite(scale), scale, 1)
    return scale[..., 0] * jnp.sqrt(jnp.sum((rows / scale) ** 2, axis=-1))


def _lost(left: Float[Array, "*k"], whole: Float[Array, "*k"]) -> Array:
    return left <= LOST * jnp.finfo(left.dtype).eps * whole
