"""Many small networks at once, by their largest Lyapunov exponent: what `small_chaos.py` draws and computes.

Cells are drawn in `Draw`s, a function of seed, draw and block alone, with entries rounded to what a table
prints. They run side by side in lanes, each a state of scalars whose products are written out by the
interpreter of `analysis.arithmetic`, so that a step is one fused loop. Flows go by the classical Runge-Kutta
method, and tangent vectors by the derivative of the step itself, so that exponents are those of the
discretised flow: whether they are the flow's is asked by halving the step.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gru_sweep.analysis.arithmetic import evaluate, together, trace
from gru_sweep.systems.cells import GRU

LANES = (128, 2048)
"""Networks in a call: the larger number where it is at least half filled. Enough to fill the vectors of a
processor, few enough for its caches; each costs a compilation."""
DECIMALS = 4
"""Of every entry: what a table prints is the cell that was computed."""
FORMULAS = {
    "": "U_h = 10^U(0.3,1.3) g, b_h = 10^U(-2,0.5) g",
    "r": "U_r = 10^U(-0.5,1.3) g, b_r = g",
    "z": "U_z = 10^U(-0.5,1) g, b_z = g",
}
"""How the parts of each gate are drawn; g is a standard normal number for each entry, U(a,b) a uniform one
for each part of a cell. Gates without parts are 1/2."""
GATES = {"r": "reset gate", "z": "update gate"}

Parts = dict[str, np.ndarray]
"""Parts of n cells, the axis of cells last."""


@dataclasses.dataclass(frozen=True)
class Draw:
    """Random networks: `number`, its stream of random numbers; `gates`, those that have weights; `discrete`,
    whether it is the map `GRU.step` or the flow."""

    number: int
    name: str
    units: int
    gates: str
    discrete: bool

    @property
    def formula(self) -> str:
        """The distribution in words."""
        return "; ".join(FORMULAS[key] for key in ("", *self.gates))

    def block(self, seed: int, block: int, count: int) -> tuple[Parts, np.ndarray]:
        """Parts of `count` cells and the states (d, count) from which they start."""
        rng, d = np.random.default_rng([seed, self.number, block]), self.units
        scale = lambda low, high: 10.0 ** rng.uniform(low, high, count)  # noqa: E731
        g = lambda *shape: rng.normal(size=(*shape, count))  # noqa: E731
        parts = {"U_h": scale(0.3, 1.3) * g(d, d), "b_h": scale(-2.0, 0.5) * g(d)}
        if "r" in self.gates:
            parts |= {"U_r": scale(-0.5, 1.3) * g(d, d), "b_r": g(d)}
        if "z" in self.gates:
            parts |= {"U_z": scale(-0.5, 1.0) * g(d, d), "b_z": g(d)}
        return {k: np.round(v, DECIMALS) + 0.0 for k, v in parts.items()}, rng.uniform(-1.0, 1.0, (d, count))


DRAWS = (
    Draw(0, "flow, no gates", 3, "", False),
    Draw(1, "flow, reset gate", 3, "r", False),
    Draw(2, "flow, update gate", 3, "z", False),
    Draw(3, "flow, both gates", 3, "rz", False),
    Draw(4, "map of one unit, both gates", 1, "rz", True),
    Draw(5, "map of two units, no gates", 2, "", True),
    Draw(6, "map of two units, both gates", 2, "rz", True),
    Draw(7, "map of three units, no gates", 3, "", True),
    Draw(8, "map of three units, both gates", 3, "rz", True),
)


@dataclasses.dataclass(frozen=True)
class Clock:
    """How time goes: steps of `width` units of time, None for maps; each `every` of them tangents are
    normalised."""

    width: float | None
    every: int = 10

    @property
    def unit(self) -> float:
        """Time of one step, 1 for maps."""
        return 1.0 if self.width is None else self.width

    def blocks(self, time: float) -> int:
        """How many times `every` steps go into that much time."""
        return round(time / (self.unit * self.every))


COARSE, MAP = Clock(0.1), Clock(None)
FINE = (Clock(0.05), Clock(0.025))
"""Steps of the flows that are measured: two, so that what a step feigns is seen."""
SETTLING = 300.0
"""Time before anything is measured; where gates are open a unit relaxes in one or two units of time."""
SCREENING = 1000.0
"""Time, or steps, over which exponents are first measured."""
STARTS = 16
"""Starts of a network that is measured: the error is that of the mean over them."""
APART = 1e-3
"""Standard deviation of the starts about one state: small against attractors, and far more than rounding."""


SIGMAS = 5.0
"""Standard errors by which the exponent of a chaotic network has to exceed `shear`."""


def shear(time: float) -> float:
    """ln(T) / T: the exponent of a tangent vector that grows as T, as shear on a torus has it."""
    return math.log(time) / time


def stepper(system: Any, dimension: int, width: float | None):
    """One step as a function of a tuple of scalars: `system.step`, or Runge-Kutta of `system` itself."""
    closed = trace(system.step if width is None else system, (dimension,))
    rate = lambda y: tuple(evaluate(closed, y)[0])  # noqa: E731
    if width is None:
        return rate
    along = lambda y, k, t: tuple(a + t * b for a, b in zip(y, k))  # noqa: E731

    def step(y):
        a = rate(y)
        b = rate(along(y, a, width / 2))
        c = rate(along(y, b, width / 2))
        d = rate(along(y, c, width))
        return tuple(x + width / 6 * (p + 2 * q + 2 * r + s) for x, p, q, r, s in zip(y, a, b, c, d))

    return step


@functools.partial(jax.jit, static_argnames=("discrete",))
def _settle(systems, states, steps, width, *, discrete: bool):
    def one(system, y):
        step = stepper(system, len(y), None if discrete else width)
        y = jax.lax.fori_loop(0, steps, lambda _, y: together(step(y)), y)
        moved = [jnp.abs(a - b) for a, b in zip(step(y), y)]
        return y, functools.reduce(jnp.maximum, moved) / width

    return jax.vmap(one, in_axes=-1, out_axes=-1)(systems, states)


@functools.partial(jax.jit, static_argnames=("discrete", "every"))
def _exponents(systems, states, aligning, blocks, width, *, discrete: bool, every: int):
    def one(system, y):
        step = stepper(system, len(y), None if discrete else width)

        def push(_, pair):
            return together(jax.jvp(step, pair[:1], pair[1:]))

        def block(_, carry):
            y, tangent, log = carry
            y, tangent = jax.lax.fori_loop(0, every, push, (y, tangent))
            length = jnp.sqrt(sum(v * v for v in tangent))
            return y, tuple(v / length for v in tangent), log + jnp.log(length)

        zero = jnp.zeros_like(y[0])
        # no direction that a symmetry would single out
        start = y, tuple(zero + math.cos(1.0 + j) for j in range(len(y))), zero
        y, tangent, _ = jax.lax.fori_loop(0, aligning, block, start)
        _, _, log = jax.lax.fori_loop(0, blocks, block, (y, tangent, zero))
        return log / (blocks * every * width)

    return jax.vmap(one, in_axes=-1, out_axes=-1)(systems, states)


def cells(parts: Parts) -> GRU:
    """The cells of their parts, batched along the last axis."""
    return jax.vmap(lambda given: GRU(**given), in_axes=-1, out_axes=-1)(parts)


def _lanes(n: int):
    """Indices of the calls for n systems, the last one filled up with its last system."""
    lanes = LANES[2 * n >= LANES[1]]
    for begin in range(0, n, lanes):
        index = np.arange(begin, begin + lanes)
        yield np.minimum(index, n - 1), min(lanes, n - begin)


def _taken(systems: Any, states: np.ndarray, index: np.ndarray) -> tuple[Any, tuple[np.ndarray, ...]]:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[..., index], systems), tuple(states[:, index])


def settle(systems: Any, states: np.ndarray, time: float, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """States (d, n) after so much time, and how fast each then moves, the largest component, (n,)."""
    after, speed = np.empty_like(states), np.empty(states.shape[1])
    steps = clock.blocks(time) * clock.every
    for index, count in _lanes(states.shape[1]):
        some, begun = _taken(systems, states, index)
        y, v = _settle(some, begun, steps, clock.unit, discrete=clock.width is None)
        after[:, index[:count]], speed[index[:count]] = np.asarray(y)[:, :count], np.asarray(v)[:count]
    return after, speed


def exponents(
    systems: Any, states: np.ndarray, time: float, clock: Clock, aligning: float = 0.1
) -> np.ndarray:
    """Largest Lyapunov exponents (n,), per unit of time or per step, measured over `time` after a tangent had
    that times `aligning` to turn where it belongs."""
    found = np.empty(states.shape[1])
    blocks, discrete = clock.blocks(time), clock.width is None
    before = round(aligning * blocks)
    for index, count in _lanes(states.shape[1]):
        some, begun = _taken(systems, states, index)
        rates = _exponents(some, begun, before, blocks, clock.unit, discrete=discrete, every=clock.every)
        found[index[:count]] = np.asarray(rates)[:count]
    return found


def spread(systems: Any, states: np.ndarray, clock: Clock, seed: int) -> np.ndarray:
    """States (d, n), each moved a little by itself and then given time to forget it."""
    moved = states + APART * np.random.default_rng(seed).normal(size=states.shape)
    return settle(systems, np.clip(moved, -1.0, 1.0), SETTLING, clock)[0]
