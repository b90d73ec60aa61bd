r"""First passages of gated units under noise: simulated, and on one unit exact.

With dh = f(h) dt + sqrt(2 D) dW, f = -dV/dh on one unit, the mean time from a to b > a is

    T = (1/D) int_a^b dy exp(V(y)/D) int_{-inf}^y dz exp(-V(z)/D)

(Gardiner 2009, Stochastic Methods, 5.5). Where V has a well at a and a barrier of height W before b it goes
as exp(W/D); where f has a double zero at a, W = 0, and T goes as D^(-1/3).
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

STEP = 0.05
"""Of the Euler-Maruyama scheme, in units of time: rates of the units are below 1."""
WALL = 2.5
"""States beyond are left out of the integrals: the potential is higher there by at least 0.5."""
NODES = 20001
"""Nodes of the trapezoidal rule on either side of the start."""


@eqx.filter_jit
def passages(
    field: Callable, start: jax.Array, level: jax.Array, strengths: jax.Array, key: jax.Array, sizes: tuple
) -> jax.Array:
    """When each unit first passes its level (d,): (len(strengths), trials, d), inf for never.

    By the Euler-Maruyama scheme. `sizes` is (trials, steps); `strengths` are values of D. `start` (d,) is on
    one side of `level`.
    """
    trials, steps = sizes
    scale = jnp.sqrt(2.0 * strengths * STEP)[:, None, None]
    shape = (len(strengths), trials, len(start))
    towards = jnp.sign(level - start)
    rate = jax.vmap(jax.vmap(field))

    def advance(k, carry):
        state, when = carry
        state = state + STEP * rate(state) + scale * jax.random.normal(jax.random.fold_in(key, k), shape)
        passed = towards * (state - level) >= 0.0
        return state, jnp.where(passed & jnp.isinf(when), (k + 1) * STEP, when)

    begin = jnp.broadcast_to(start, shape), jnp.full(shape, jnp.inf)
    return jax.lax.fori_loop(0, steps, advance, begin)[1]


@eqx.filter_jit
def paths(field: Callable, start: jax.Array, strength: jax.Array, key: jax.Array, sizes: tuple) -> jax.Array:
    """States (trials, steps, d) under noise of strength D; `sizes` is (trials, steps)."""
    trials, steps = sizes

    def advance(state, k):
        kick = jax.random.normal(jax.random.fold_in(key, k), state.shape)
        state = state + STEP * jax.vmap(field)(state) + jnp.sqrt(2.0 * strength * STEP) * kick
        return state, state

    begin = jnp.broadcast_to(start, (trials, len(start)))
    return jnp.swapaxes(jax.lax.scan(advance, begin, jnp.arange(steps))[1], 0, 1)


def estimate(when: np.ndarray, horizon: float) -> tuple[float, float, int]:
    """Rate of passages and its standard error, 1/time, and their number, of trials followed until `horizon`.

    Passages over the time at risk: the maximum of likelihood of an exponential law.
    """
    count = int(np.isfinite(when).sum())
    rate = count / float(np.minimum(when, horizon).sum())
    return rate, rate / max(count, 1) ** 0.5, count


def potential(rate: Callable[[np.ndarray], np.ndarray], h: np.ndarray) -> np.ndarray:
    """V at the places h (n,) on one unit, zero at the first, by the trapezoidal rule."""
    f = rate(h)
    return np.concatenate([[0.0], -np.cumsum((f[1:] + f[:-1]) / 2 * np.diff(h))])


def mean_time(rate: Callable[[np.ndarray], np.ndarray], start: float, level: float, strength: float) -> float:
    """Mean time from `start` to `level` of one unit with dh/dt = rate(h), under noise of strength D."""
    if level < start:
        return mean_time(lambda h: -rate(-h), -start, -level, strength)
    # with the start among the nodes
    before, beyond = np.linspace(-WALL, start, NODES), np.linspace(start, level, NODES)
    h = np.concatenate([before, beyond[1:]])
    v = potential(rate, h) / strength
    v -= v.min()
    down = np.exp(-v)
    inner = np.concatenate([[0.0], np.cumsum((down[1:] + down[:-1]) / 2 * np.diff(h))])[NODES - 1 :]
    return float(np.trapezoid(np.exp(v[NODES - 1 :]) * inner, beyond) / strength)
