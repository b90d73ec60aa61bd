r"""What is said of a spectrum: exponents, their errors and the dimension that follows from them.

The Kaplan-Yorke dimension (Kaplan & Yorke 1979; Frederickson et al. 1983) of exponents l_1 >= l_2 >= ... is

    D = j + S_j / |l_{j+1}|,   S_j = l_1 + ... + l_j,   j the largest number with S_j >= 0,

0 where l_1 < 0, and n where S_n >= 0. It is continuous but for a jump from 0 to 1 at l_1 = 0: that of a limit
cycle is 1 or 0, as rounding has it.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...records import Numbers, field
from .blocks import Blocks


class LyapunovSpectrum(eqx.Module):
    """The k largest exponents of one trajectory, and what follows from them."""

    exponent: Float[Numbers, " k"] = field(
        long_name="Lyapunov exponents, largest first", units="1/time", dims=("exponent_index",)
    )
    exponent_error: Float[Numbers, " k"] = field(
        long_name="standard error of a Lyapunov exponent, from batch means",
        units="1/time",
        dims=("exponent_index",),
    )
    dimension: Float[Numbers, ""] = field(long_name="Kaplan-Yorke dimension")
    dimension_error: Float[Numbers, ""] = field(
        long_name="standard error of the Kaplan-Yorke dimension, from batch means"
    )
    averaging_time: Float[Numbers, ""] = field(long_name="time averaged over", units="time")


def kaplan_yorke(exponents: Float[Array, " k"], size: int) -> tuple[Float[Array, ""], Float[Array, " k"]]:
    """The dimension by `exponents`, largest first, of a system of `size` numbers; its derivatives by them.

    NaN where there are too few exponents: the sum of all k < size is not negative, so the dimension is k or
    more. NaN if an exponent is.
    """
    count = exponents.shape[0]
    sums = jnp.cumsum(exponents)
    j = jnp.sum(sums >= 0)
    places = jnp.arange(count)
    # a sum that ends in -inf is 0 beyond the last exponent that is finite
    surplus = jnp.sum(jnp.where(places < j, exponents, 0))
    next_one = jnp.sum(jnp.where(places == j, exponents, 0))
    inside = (j > 0) & (j < count)
    rate = jnp.where(inside, -next_one, 1)
    slope = jnp.where(places < j, 1, 0) / rate + jnp.where(places == j, 1, 0) * surplus / rate / rate
    whole = jnp.asarray(size if count >= size else jnp.nan, exponents.dtype)
    value = jnp.where(j == count, whole, j + jnp.where(inside, surplus / rate, 0))
    known = ~jnp.any(jnp.isnan(exponents)) & ~jnp.isnan(value)
    return jnp.where(known, value, jnp.nan), jnp.where(inside & known, slope, jnp.where(known, 0.0, jnp.nan))


def spectrum(logs: Blocks, interval: Float[Array, ""], size: int) -> LyapunovSpectrum:
    """The record of k tangents of `size` numbers, from logarithms of their growth in `interval`s of time."""
    mean = logs.mean() / interval
    order = jnp.argsort(-mean)
    exponent, series = mean[order], logs.means[:, order] / interval
    dimension, slope = kaplan_yorke(exponent, size)
    # errors of exponents are not independent (in a flow of constant divergence they cancel in the sum), so
    # that of the dimension is read off its own blocks
    moves = jnp.sum(jnp.where(slope == 0, 0, slope * series), axis=1)
    return LyapunovSpectrum(
        exponent=exponent,
        exponent_error=logs.error(series),
        dimension=dimension,
        dimension_error=logs.error(moves[:, None])[0],
        averaging_time=logs.terms * interval,
    )
