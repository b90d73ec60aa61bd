"""The trajectories of many networks, followed by rounds that can be stopped between.

now = init(networks)
now = restart(networks, advance(networks, now, rounds))      # the transient
now = halfway(networks, advance(networks, now, rounds))
record = finish(networks, advance(networks, now, rounds))
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ...analysis import lyapunov
from ...analysis.lyapunov import Following
from ...records import InputError
from ...systems.ensembles import Cell
from ...systems.gated_rnn import GatedRNN
from .motion import Trajectory, motion
from .networks import Networks

BLOCKS = 32
"""Parts in which a run is done: it can be stopped between two."""


class Travelling(eqx.Module):
    """One network on its way; with an axis of P in front for all of them."""

    following: Following
    origin: Float[Array, " n"]
    """h when sampling began: sums are of what differs from it, which at a fixed point is nothing."""
    shift: Float[Array, " n"]
    square: Float[Array, " n"]
    activity: Float[Array, ""]
    output: Float[Array, ""]
    low: Float[Array, " n"]
    high: Float[Array, " n"]
    halfway_speed: Float[Array, ""]


def _speed(cell: Cell, step: Any, state: Float[Array, " m"]) -> Float[Array, ""]:
    rate = cell(state) if isinstance(step, lyapunov.FlowMap) else step(state) - state
    return _rms(rate)


def _rms(x: Float[Array, " m"]) -> Float[Array, ""]:
    return jnp.sqrt(jnp.mean(x * x))


def _fresh(units: int, following: Following) -> Travelling:
    """Nothing sampled yet."""
    h = following.state[:units]
    nothing, none = jnp.zeros_like(h), jnp.zeros((), h.dtype)
    return Travelling(following, h, nothing, nothing, none, none, h, h, none)


@eqx.filter_jit
def init(networks: Networks, exponents: int = 1, seed: int = 0) -> Travelling:
    """The networks at their starts, with tangents for that many exponents."""

    def one(cell, step, state):
        every = networks.every
        return _fresh(networks.units, lyapunov.init(step, state, exponents, every=every, seed=seed))

    return networks.each(one, networks.starts)


@eqx.filter_jit
def advance(networks: Networks, travelling: Travelling, rounds: Int[Array, ""]) -> Travelling:
    """`rounds` rounds more."""

    def one(cell, step, now):
        def turn(_, now: Travelling) -> Travelling:
            following = lyapunov.advance(step, now.following, 1)
            h = following.state[: networks.units]
            seen = cell.activity(h) if isinstance(cell, GatedRNN) else h
            away = h - now.origin
            return Travelling(
                following=following,
                origin=now.origin,
                shift=now.shift + away,
                square=now.square + away * away,
                activity=now.activity + jnp.mean(h * h),
                output=now.output + jnp.mean(seen * seen),
                low=jnp.minimum(now.low, h),
                high=jnp.maximum(now.high, h),
                halfway_speed=now.halfway_speed,
            )

        return jax.lax.fori_loop(0, rounds, turn, now)

    return networks.each(one, travelling)


@eqx.filter_jit
def restart(networks: Networks, travelling: Travelling) -> Travelling:
    """The same states and tangents, with nothing sampled yet: the end of a transient."""
    return networks.each(
        lambda cell, _, now: _fresh(networks.units, lyapunov.restart(now.following)), travelling
    )


@eqx.filter_jit
def halfway(networks: Networks, travelling: Travelling) -> Travelling:
    """The middle of the time: late motion begins, and the speed is kept to compare that at the end with."""

    def one(cell, step, now):
        h = now.following.state[: networks.units]
        new = h, h, _speed(cell, step, now.following.state)
        return eqx.tree_at(lambda t: (t.low, t.high, t.halfway_speed), now, new)

    return networks.each(one, travelling)


@eqx.filter_jit
def finish(networks: Networks, travelling: Travelling) -> Trajectory:
    """The records, each field with an axis of P in front."""

    def one(cell, step, now):
        state, samples = now.following.state, now.following.logs.terms
        found = lyapunov.finish(step, now.following)
        size, speed = _rms(state), _speed(cell, step, state)
        shift = now.shift / samples
        return Trajectory(
            motion=motion(found, size, speed, now.halfway_speed),
            largest_exponent=found.exponent[0],
            largest_exponent_error=found.exponent_error[0],
            activity=now.activity / samples,
            output=now.output / samples,
            variance=jnp.mean(jnp.maximum(now.square / samples - shift * shift, 0)),
            amplitude=jnp.max(now.high - now.low) / 2,
            size=size,
            speed=speed,
            exponent=found.exponent,
            exponent_error=found.exponent_error,
            dimension=found.dimension,
            dimension_error=found.dimension_error,
        )

    return networks.each(one, travelling)


@dataclasses.dataclass(frozen=True)
class Duration:
    """How long a trajectory is followed, in units of time: before anything is sampled, and while it is."""

    transient: float = 200.0
    time: float = 500.0

    def __post_init__(self) -> None:
        for name, least in (("transient", 0.0), ("time", 1.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise InputError(name, f"a finite time of at least {least:g}", value)


def trajectories(
    networks: Networks,
    duration: Duration,
    *,
    exponents: int = 1,
    seed: int = 0,
    between: Callable[[float], None] | None = None,
) -> Trajectory:
    """The records of all networks, each field with an axis of P in front.

    `exponents`: how many; `seed`: of their first tangents. `between(share)` is called after each part of the
    run with the share that is done; what it raises ends the run. Compiled once for each shape.
    """
    rounds = [math.ceil(round(t / networks.round_time, 6)) for t in (duration.transient, duration.time / 2)]
    parts = (rounds[0], rounds[1], rounds[1])
    block, done = max(1, math.ceil(sum(parts) / BLOCKS)), 0
    now = init(networks, exponents, seed)
    for part, then in zip(parts, (restart, halfway, None)):
        left = part
        while left:
            turn = min(block, left)
            now = jax.block_until_ready(advance(networks, now, jnp.asarray(turn, jnp.int32)))
            left, done = left - turn, done + turn
            if between is not None:
                between(done / sum(parts))
        if then is not None:
            now = then(networks, now)
    return finish(networks, now)
