r"""Gated networks with inputs: constant ones, pushes and white noise; their states and largest exponents.

The gated RNN and the discrete GRU of `systems.ensembles`, P at once as in `trajectories`. Time goes in steps,
in each of which the input is constant:

    gated-rnn   dx = [F(x, I) + p] dt + (s dW, 0, 0)      F and I as in `systems.gated_rnn`;
    gru         x' = f(x; b_h + I_h, b_z - I_z, b_r + I_r) + p + s w,    w ~ N(0, 1) for each unit.

So a positive I_z opens the update gates of both, and a negative I_r closes the reset gates. W is a Wiener
process for each unit. Its noise is additive, so Ito's and Stratonovich's integrals are the same; a step of
Runge and Kutta's method with the increment of W spread over it converges to that solution, path by path,
with order 1, as Euler and Maruyama's does, and to the flow without noise with order 4. The same noise drives
all P networks, so what differs between them is not chance.

**Exponents** are conditional ones, of a small change of the state under the same input: its tangent sees the
noise by way of the state only. Positive: the input does not determine the state, chaos; negative: near
trajectories meet.

**Constant random input.** Where h is at rest the input adds I_h / sig_z to it. Let that be N(0, S^2) for each
unit (I_h itself is S / 2 then if alpha_z = 0), with I_z = I_r = 0 and no bias: the mean field of fixed points
(`mean_field`) has the variance C = <phi^2> <sig^2> + S^2 of h; so with s = g sqrt(C) every solution is one s,
with

    (g S)^2 = s^2 - g^2 <phi^2> <sig^2>,   K = g^2 (<sig^2> + <phi^2> <sig'^2>) <phi'^2>                   (1)

(phi' of tanh(s x), gates of alpha_r sqrt(<phi^2>) x), unstable where K > 1. The same holds of the GRU with
a_h for g and b_h for g I_h / sig_z: its s is that of the field of h. From S = 0 on, one follows s upwards
from 0.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..analysis import lyapunov
from ..analysis.lyapunov import Following
from ..records import InputError, Numbers, field
from ..systems.cells import GRU
from ..systems.gated_rnn import GatedRNN
from .crossings import crossing
from .gaussian import tanh_pair
from .mean_field import checked, checked_gain, reset_gain
from .trajectories import Networks

LEAST_S, LARGEST_S = 1e-4, 50.0
"""Where solutions of (1) are looked for: S is a ten-thousandth of a unit's range below, and many above."""
POINTS = 400
"""Solutions between these that are looked at for a change of sign of K - 1 and a turn of S."""


class Drive(eqx.Module):
    """Inputs of P networks of n units and states of m numbers; each part may be missing, and is then zero."""

    inputs: Float[Array, "p i"] | None = None
    """[I_h, I_z, I_r], i = 3n."""
    push: Float[Array, "p m"] | None = None
    """p: added to the state's rate of change, or to a map's next state."""
    noise: Float[Array, " p"] | None = None
    """s: standard deviation of a unit's noise after one unit of time."""


class DrivenExponent(eqx.Module):
    """What is said of one driven network."""

    largest_exponent: Float[Numbers, ""] = field(
        long_name="largest conditional Lyapunov exponent", units="1/time"
    )
    largest_exponent_error: Float[Numbers, ""] = field(
        long_name="standard error of the largest conditional Lyapunov exponent, from batch means",
        units="1/time",
    )
    activity: Float[Numbers, ""] = field(long_name="mean square of h over units and time")


class _Driven(eqx.Module):
    following: Following
    activity: Float[Array, ""]


def _checked_drive(networks: Networks, drive: Drive) -> None:
    count, states = networks.starts.shape
    sizes = {"inputs": (count, 3 * networks.units), "push": (count, states), "noise": (count,)}
    for name, shape in sizes.items():
        part = getattr(drive, name)
        if part is not None and part.shape != shape:
            raise InputError(name, f"an array of shape {shape}", str(part.shape))
    if networks.dt is None and states != networks.units:
        raise InputError("networks", "gated RNNs or discrete GRUs", "another map")
    if networks.dt is not None and states != 3 * networks.units:
        raise InputError("networks", "gated RNNs or discrete GRUs", "another flow")


def _with_inputs(cell: GRU, x: Float[Array, " i"]) -> GRU:
    to_h, to_z, to_r = jnp.split(x, 3)
    # an ensemble's GRUs have all biases; their z closes
    parts: tuple[Any, ...] = (cell.b_h, cell.b_z, cell.b_r)
    biases = (parts[0] + to_h, parts[1] - to_z, parts[2] + to_r)
    return eqx.tree_at(lambda c: (c.b_h, c.b_z, c.b_r), cell, biases)


def _round(networks: Networks, cell: Any, drive: Drive, key: Array):
    """The map of one round, `networks.every` steps, with noise of `key`."""
    x, push, dt = drive.inputs, drive.push, networks.dt
    units, every = networks.units, networks.every
    dtype = networks.starts.dtype
    white = None
    if drive.noise is not None:
        # of the key alone, so under vmap drawn once for all networks
        white = drive.noise * jax.random.normal(key, (every, units), dtype)
        if dt is not None:
            white = white / jnp.sqrt(dt)

    def added(k, value):
        if push is not None:
            value = value + push
        return value if white is None else value.at[:units].add(white[k])

    if isinstance(cell, GatedRNN):
        assert dt is not None  # `_checked_drive`

        def step(k, y):
            return lyapunov.flow_map(lambda v: added(k, cell(v, x)), dt)(y)
    else:
        driven = cell if x is None else _with_inputs(cell, x)

        def step(k, y):
            return added(k, driven.step(y))

    return lambda y: jax.lax.fori_loop(0, every, step, y)


@eqx.filter_jit
def _moved(networks: Networks, states, drive: Drive, rounds, key):
    def one(cell, _, state, drive):
        def turn(k, y):
            return _round(networks, cell, drive, jax.random.fold_in(key, k))(y)

        return jax.lax.fori_loop(0, rounds, turn, state)

    return networks.each(one, states, drive)


def moved(
    networks: Networks, states: Float[Array, "p m"], drive: Drive, time: float, *, seed: int = 0
) -> Float[Array, "p m"]:
    """The states `time` later, in whole rounds, rounded up; under a `drive`, with noise of `seed`.

    Refused: inputs of other shapes, networks that are neither gated RNNs nor discrete GRUs, a negative time.
    """
    _checked_drive(networks, drive)
    rounds = _rounds(networks, "time", time)
    return _moved(networks, states, drive, rounds, jax.random.key(seed))


def _rounds(networks: Networks, name: str, time: float) -> Int[Array, ""]:
    if not (math.isfinite(time) and time >= 0.0):
        raise InputError(name, "a finite time >= 0", time)
    return jnp.asarray(math.ceil(round(time / networks.round_time, 6)), jnp.int32)


@eqx.filter_jit
def _begun(networks: Networks, seed: int) -> _Driven:
    def one(cell, _, state):
        # no step is taken here
        return _Driven(lyapunov.init(lambda y: y, state, seed=seed), jnp.zeros((), state.dtype))

    return networks.each(one, networks.starts)


@eqx.filter_jit
def _followed(networks: Networks, drive: Drive, driven: _Driven, rounds, key) -> _Driven:
    """`rounds` rounds more, with nothing averaged before them."""

    def one(cell, _, now, drive):
        def turn(k, now: _Driven) -> _Driven:
            step = _round(networks, cell, drive, jax.random.fold_in(key, k))
            following = lyapunov.advance(step, now.following, 1)
            h = following.state[: networks.units]
            return _Driven(following, now.activity + jnp.mean(h * h))

        fresh = _Driven(lyapunov.restart(now.following), jnp.zeros_like(now.activity))
        return jax.lax.fori_loop(0, rounds, turn, fresh)

    return networks.each(one, driven, drive)


@eqx.filter_jit
def _found(networks: Networks, driven: _Driven, rounds) -> DrivenExponent:
    interval = networks.every * (1.0 if networks.dt is None else networks.dt)

    def one(cell, _, now):
        found = lyapunov.finish(lambda y: y, now.following, interval)
        return DrivenExponent(found.exponent[0], found.exponent_error[0], now.activity / rounds)

    return networks.each(one, driven)


def driven_exponents(
    networks: Networks, drive: Drive, *, transient: float, time: float, seed: int = 0
) -> DrivenExponent:
    """The largest conditional exponent of each network from its start on, each field with an axis of P.

    Averaged over `time` after a `transient` under the same drive, both in units of time and whole rounds,
    rounded up; `seed`: of the noise and of the first tangents. Refused: what `moved` refuses, and no time.
    """
    _checked_drive(networks, drive)
    if not time > 0.0:
        raise InputError("time", "a finite time > 0", time)
    before, during = _rounds(networks, "transient", transient), _rounds(networks, "time", time)
    settling, sampling = jax.random.split(jax.random.key(seed))
    settled = _followed(networks, drive, _begun(networks, seed), before, settling)
    return _found(networks, _followed(networks, drive, settled, during, sampling), during)


@dataclasses.dataclass(frozen=True)
class StaticOnset:
    """Where the fixed point that a constant random input makes of zero ends, as the input grows; None where
    it does not."""

    unstable: float | None
    """Least g S at which its K is 1."""
    lost: float | None
    """Least g S at which it meets another in a fold."""
    stable_again: float | None
    """g S from which on the fixed point of large inputs is stable, if it is not at all."""


def static_solution(s: float, g: float, alpha_r: float) -> tuple[float, float]:
    """(g S)^2 and K of (1) at s > 0; there is no solution with this s where the first is negative."""
    if not (math.isfinite(s) and s > 0.0):
        raise InputError("s", "a finite number > 0", s)
    g, alpha_r = checked_gain(g), checked(alpha_r)
    own = tanh_pair(s, 1.0)
    gate = tanh_pair(reset_gain(alpha_r, float(own.value)), 1.0)
    half = (g / 2.0) ** 2
    squared = s**2 - half * float(own.value) * (1.0 + float(gate.value))
    # alpha_r^2 <phi^2> <sig'^2> is d_c / 4 of the gate's pair, s^2 <phi'^2> is d_c of the units'
    return squared, half * float(own.d_c) / s**2 * (1.0 + float(gate.value) + float(gate.d_c))


def static_onset(g: float, alpha_r: float) -> StaticOnset:
    """Where a constant random input ends the rest of a network at 0 < g < 2 and alpha_r >= 0, by (1).

    Refused: g outside, where zero is not stable without input; alpha_r that is negative.
    """
    if not 0.0 < g < 2.0:
        raise InputError("g", "a number in (0, 2)", g)
    checked(alpha_r)
    grid = np.geomspace(LEAST_S, LARGEST_S, POINTS)
    squared, K = np.array([static_solution(float(s), g, alpha_r) for s in grid]).T

    def strength(index: int, level) -> float:
        s = crossing(level, float(grid[index]), float(grid[index + 1]))
        assert s is not None  # the signs differ
        return math.sqrt(max(static_solution(s, g, alpha_r)[0], 0.0))

    above, falling = K > 1.0, np.diff(squared) < 0.0
    turns = np.flatnonzero(falling)
    rises = np.flatnonzero(~above[:-1] & above[1:])
    ends = np.flatnonzero(above[:-1] & ~above[1:])
    margin = lambda s: static_solution(s, g, alpha_r)[1] - 1.0  # noqa: E731
    lost = math.sqrt(squared[turns[0]]) if turns.size else None
    unstable = strength(int(rises[0]), margin) if rises.size else None
    return StaticOnset(unstable, lost, strength(int(ends[-1]), margin) if ends.size else None)
