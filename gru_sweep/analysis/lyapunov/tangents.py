r"""Lyapunov exponents of a map or flow, by tangents that are made orthonormal again and again.

A small change v of a state x of the map x -> f(x) becomes f'(x) v. The first j of k tangents span the fastest
growing volume of j dimensions after a while, whose growth is the sum of the j largest exponents (Benettin,
Galgani, Giorgilli & Strelcyn 1980; Shimada & Nagashima 1979). After each round of `every` steps they are made
orthonormal in their order; exponents are the averages of the logarithms of the factors.

One system at a time; `jax.vmap` for more. f' is never formed: a tangent costs about as much as a step. With
one tangent that is the largest exponent. A long run may stop and go on between calls of `advance`:

    following = init(step, state, count)
    following = restart(advance(step, following, rounds))        # a transient, for state and tangents
    following = advance(step, following, rounds)                 # as often as wanted
    record = finish(step, following)

An exponent is -inf where the map sends a tangent to zero (a superstable orbit), or so near to those before
that only rounding is left (`orthonormal.LOST`): rounds are too long then for the precision, or it is as good
as superstable. It is NaN where the trajectory or a tangent was not finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...records import InputError
from .blocks import Blocks
from .flow_map import FlowMap
from .orthonormal import orthonormal
from .spectrum import LyapunovSpectrum, spectrum

Map = Callable[[Any], Any]
ROUNDED = 6
"""Decimals of a number of rounds: 100 / 0.01 is not a whole number in floating point."""


class Following(eqx.Module):
    """A trajectory on its way: its state, its tangents and the logarithms of their growth by rounds."""

    state: Float[Array, " n"]
    tangent: Float[Array, "k n"]
    logs: Blocks
    every: int = eqx.field(static=True)


def init(step: Map, state: Array | np.ndarray, count: int = 1, *, every: int = 1, seed: int = 0) -> Following:
    """A start at `state` with `count` tangents of random directions, made orthonormal each `every` steps.

    Refused: a state that is not a vector of floating point numbers or that `step` does not map to one of its
    kind; `count` outside 1..n; `every` below 1.
    """
    state = jnp.asarray(state)
    if state.ndim != 1 or not state.size or not jnp.issubdtype(state.dtype, jnp.floating):
        raise InputError("state", "floating point numbers of shape (n,)", f"{state.dtype}{state.shape}")
    for name, value, most in (("count", count, state.size), ("every", every, 2**31 - 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= most:
            raise InputError(name, f"an integer from 1 to {most}", value)
    image = jax.eval_shape(step, state)
    if getattr(image, "shape", None) != state.shape or image.dtype != state.dtype:
        raise InputError("step", f"a map from {state.dtype}{state.shape} to itself", str(image))
    tangent = jax.random.normal(jax.random.key(seed), (count, state.size), state.dtype)
    return Following(state, orthonormal(tangent)[0], Blocks.empty(count, state.dtype), int(every))


def restart(following: Following) -> Following:
    """The same state and tangents, with nothing averaged yet."""
    return eqx.tree_at(
        lambda f: f.logs, following, Blocks.empty(len(following.tangent), following.state.dtype)
    )


def advance(step: Map, following: Following, rounds: int | Int[Array, ""]) -> Following:
    """`rounds` rounds more. Their number may be traced."""

    def tangents(_, pair):
        state, tangent = pair
        # the state's own image is computed once, being the same for all tangents
        return jax.vmap(lambda v: jax.jvp(step, (state,), (v,)), out_axes=(None, 0))(tangent)

    def one(_, now: Following) -> Following:
        state, tangent = jax.lax.fori_loop(0, now.every, tangents, (now.state, now.tangent))
        tangent, factors = orthonormal(tangent)
        return Following(state, tangent, now.logs.add(jnp.log(factors)), now.every)

    return jax.lax.fori_loop(0, rounds, one, following)


def finish(
    step: Map, following: Following, interval: Float[Array, ""] | float | None = None
) -> LyapunovSpectrum:
    """The record of what has been averaged.

    `interval`: time of one step; 1 if not given, or what a `FlowMap` takes.
    """
    if interval is None:
        interval = step.interval if isinstance(step, FlowMap) else 1.0
    round_time = jnp.asarray(interval, following.state.dtype) * following.every
    return spectrum(following.logs, round_time, following.state.size)


@eqx.filter_jit
def _whole(step: Map, state, transient, rounds, interval, count: int, every: int, seed: int):
    start = init(step, state, count, every=every, seed=seed)
    return finish(step, advance(step, restart(advance(step, start, transient)), rounds), interval)


def lyapunov_spectrum(
    step: Map,
    state: Array | np.ndarray,
    count: int = 1,
    *,
    time: float,
    transient: float,
    every: int = 1,
    interval: float | None = None,
    seed: int = 0,
) -> LyapunovSpectrum:
    """The `count` largest exponents of the trajectory that `step` makes of `state`, (n,).

    Averaged over `time`, in units of time, after a `transient` for state and tangents; both in whole rounds
    of `every` steps of `interval`, rounded up; the rest as in `init` and `finish`. Compiled once for each
    shape. Refused also: times that are negative or too long to count, an `interval` that is not positive.
    """
    if isinstance(every, bool) or not isinstance(every, int | np.integer) or every < 1:
        raise InputError("every", "an integer of at least 1", every)
    if interval is None:
        interval = float(step.interval) if isinstance(step, FlowMap) else 1.0
    if not (math.isfinite(interval) and interval > 0.0):
        raise InputError("interval", "a finite number > 0", interval)
    for name, value in (("time", time), ("transient", transient)):
        if not (math.isfinite(value) and 0.0 <= value / interval / every < 2**31):
            raise InputError(name, "a time that is not negative, of less than 2**31 rounds", value)
    before, during = (
        jnp.asarray(math.ceil(round(value / interval / every, ROUNDED)), jnp.int32)
        for value in (transient, time)
    )
    return _whole(step, jnp.asarray(state), before, during, jnp.asarray(interval), count, every, seed)
