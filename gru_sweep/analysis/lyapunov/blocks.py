"""Sums of a series over blocks of equal length, for averages with errors: the method of batch means.

Blocks are fewer than `BLOCKS`: when there are that many, neighbours are joined and blocks are twice as long
from then on. So the length of a run need not be known at its start, and its end finds BLOCKS / 2 blocks or
more, each as long as it can be.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

BLOCKS = 32
"""The error from B blocks is itself uncertain by 1 / sqrt(2 (B - 1)): 18 % at 16 blocks, 13 % at 31."""
LEAST_BLOCKS = 8
"""Below this there is no error to speak of: it would be uncertain by 30 %."""


class Blocks(eqx.Module):
    """Block sums of a series of numbers (k,)."""

    sums: Float[Array, "b k"]
    pending: Float[Array, " k"]
    """Sum over the block that is not full."""
    filled: Int[Array, ""]
    length: Int[Array, ""]
    """Terms in a block."""
    held: Int[Array, ""]
    """Terms in the block that is not full."""

    @staticmethod
    def empty(count: int, dtype) -> Blocks:
        zero, one = jnp.zeros((), jnp.int32), jnp.ones((), jnp.int32)
        return Blocks(jnp.zeros((BLOCKS, count), dtype), jnp.zeros(count, dtype), zero, one, zero)

    @property
    def terms(self) -> Int[Array, ""]:
        """How many have been added."""
        return self.filled * self.length + self.held

    def add(self, term: Float[Array, " k"]) -> Blocks:
        """The sums with one term more."""
        pending, held = self.pending + term, self.held + 1
        full = held == self.length
        sums = jnp.where(full & (jnp.arange(BLOCKS) == self.filled)[:, None], pending, self.sums)
        filled = self.filled + full
        many = filled == BLOCKS
        joined = jnp.concatenate([sums[0::2] + sums[1::2], jnp.zeros_like(sums[1::2])])
        return Blocks(
            sums=jnp.where(many, joined, sums),
            pending=jnp.where(full, 0, pending),
            filled=jnp.where(many, BLOCKS // 2, filled),
            length=jnp.where(many, 2 * self.length, self.length),
            held=jnp.where(full, 0, held),
        )

    def mean(self) -> Float[Array, " k"]:
        """The average over all terms; NaN where there is none."""
        return (jnp.sum(self.sums, axis=0) + self.pending) / self.terms

    @property
    def means(self) -> Float[Array, "b k"]:
        """The average over each block; rows beyond `filled` mean nothing."""
        return self.sums / self.length

    def error(self, series: Float[Array, "b m"]) -> Float[Array, " m"]:
        """Standard errors of the averages of `series`, numbers that are linear in those of `means`.

        That from single blocks or that from pairs, whichever is larger: where blocks are shorter than the
        series' memory the second is (Flyvbjerg & Petersen 1989). NaN with fewer than `LEAST_BLOCKS` blocks.
        """
        single = _standard_error(series, self.filled)
        paired = _standard_error((series[0::2] + series[1::2]) / 2, self.filled // 2)
        return jnp.where(self.filled >= LEAST_BLOCKS, jnp.maximum(single, paired), jnp.nan)


def _standard_error(values: Float[Array, "b m"], count: Int[Array, ""]) -> Float[Array, " m"]:
    """Of the mean of the first `count` rows."""
    among = (jnp.arange(len(values)) < count)[:, None]
    mean = jnp.sum(jnp.where(among, values, 0), axis=0) / count
    square = jnp.sum(jnp.where(among, (values - mean) ** 2, 0), axis=0)
    return jnp.sqrt(square / jnp.maximum(count * (count - 1), 1))
