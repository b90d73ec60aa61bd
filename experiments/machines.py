"""Machines of two gated units that do not act on each other, and pulses of input."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import gru_sweep as gs
from gru_sweep.analysis.any_dimension import fixed_points
from gru_sweep.analysis.taylor import trajectory


@dataclasses.dataclass(frozen=True)
class Machine:
    """Two equal units that do not act on each other, with two states each; they part at 0.

    `noise`: the strengths D at which escapes are looked at, and for how long. `leaves`: the state that is
    escaped from, and the sense.
    """

    title: str
    own: float
    reset: float = 0.0
    bias: float = 0.0
    noise: tuple[float, ...] = ()
    horizon: float = 0.0
    sense: int = 1

    def cell(self, units: int = 2) -> gs.GRU:
        eye = jnp.eye(units)
        return gs.GRU(
            U_h=self.own * eye, U_r=self.reset * eye, b_r=jnp.full(units, self.bias, float), W_h=eye
        )

    def rate(self, h: np.ndarray, x: float = 0.0) -> np.ndarray:
        """dh/dt of one unit at h (n,) under the input x."""
        gate = 1.0 / (1.0 + np.exp(-(self.reset * h + self.bias)))
        return (np.tanh(self.own * gate * h + x) - h) / 2.0


FOUR = Machine("Fig 2: four sinks", 5.0, noise=(0.02, 0.024, 0.03, 0.04, 0.05, 0.07), horizon=1500.0)
MERGED = Machine(
    "Fig 3B: half-stable states", 3.0, -5.0, -math.log(2.0), (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), 300.0, -1
)
MACHINES = (FOUR, MERGED)


class Driven(eqx.Module):
    """dh/ds = duration f(h, x): pulses of all durations take unit time, and are lanes of one batch."""

    cell: gs.GRU
    x: jax.Array
    duration: jax.Array

    def __call__(self, h: jax.Array) -> jax.Array:
        return self.duration * self.cell(h, self.x)


@eqx.filter_jit
def pulsed(cell: gs.GRU, starts: jax.Array, inputs: jax.Array, durations: jax.Array) -> jax.Array:
    """The states (n, d) at the end of n pulses."""

    def one(start, x, duration):
        return trajectory(Driven(cell, x, duration), start, np.array([0.0, 1.0])).state[-1]

    return jax.vmap(one)(starts, inputs, durations)


@functools.cache
def levels(machine: Machine) -> tuple[float, float]:
    """The two states of one unit: the negative one, and the other, which is 0 where it is half-stable."""
    cell = machine.cell(1)
    low = fixed_points(cell, [-1.0], [-0.5])
    assert low.certified
    return float(low.point[0, 0]), 0.0 if machine.sense < 0 else -float(low.point[0, 0])


def states(machine: Machine) -> np.ndarray:
    """The four states (4, 2): number 2 i + j has unit 1 up where i = 1, unit 2 where j = 1."""
    return np.array(list(itertools.product(levels(machine), repeat=2)))


def which(machine: Machine, at: np.ndarray) -> np.ndarray:
    """The number of the state in whose basin, a quadrant, each of `at` (n, 2) is."""
    return 2 * (at[:, 0] >= 0.0) + (at[:, 1] >= 0.0)
