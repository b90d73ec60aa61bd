"""The compiled program that trains a group of networks of one size for some epochs.

All of an epoch happens on the device: loss, gradient, update, and what is recorded of them. How many epochs a
call takes is an argument, so that one program serves every block and no number depends on where blocks end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from .networks import Network
from .unrolled import Series, losses, losses_and_gradients

ROWS = 8
"""Units of all members of a group on a CPU together: enough to hide the calls of XLA's kernels, few enough
for the states of all steps to stay near the core. At 2 to 16 units half or twice as many are slower."""
ACCELERATOR_WIDTH = 1024
"""The most members of a group elsewhere. Not measured."""
EPOCHS = 256
"""The most epochs of a call."""
OPTIONS: dict[str, dict[str, str | bool]] = {"cpu": {"xla_cpu_prefer_vector_width": "512"}}
"""Compiler options by platform: the widest vectors there are."""


def width(dim: int, count: int, platform: str) -> int:
    """Members of a group of `dim` units, of `count` there are.

    On a CPU it depends on `dim` alone, and no bit of a member depends on the others. On an accelerator it is
    `count` rounded up to a power of two, one group while it fits, and rounding may depend on it.
    """
    if platform == "cpu":
        return max(1, ROWS // dim)
    return min(ACCELERATOR_WIDTH, 1 << (count - 1).bit_length())


class Group(NamedTuple):
    """Networks in training, the members first in every leaf: parameters, the optimiser's state, the `epoch`
    they have reached, and the epoch each `diverged` at, -1 where it has not."""

    networks: Network
    optimiser: Any
    epoch: Int[Array | np.ndarray | np.integer, ""]
    diverged: Int[Array | np.ndarray, " members"]


class Curves(NamedTuple):
    """Of a call's epochs, before each one's update: loss, norm of the gradient, and held-out loss (NaN where
    it is not asked for). NaN from divergence on."""

    loss: Float[Array | np.ndarray, "members epochs"]
    gradient_norm: Float[Array | np.ndarray, "members epochs"]
    test_loss: Float[Array | np.ndarray, "members epochs"]


class Program:
    """`program(group, rates, train, test, epochs)`: the group after up to `EPOCHS` more, and its curves.

    **Arguments**: the optimiser (from a learning rate, an optax transformation), epochs between held-out
    losses, the device, and arguments of the shapes to compile for. `seconds`: what compiling took.
    """

    def __init__(
        self,
        optimiser: Callable[[Any], optax.GradientTransformation],
        test_every: int,
        device: jax.Device,
        group: Group,
        rates: np.ndarray,
        train: Series,
        test: Series,
    ):
        began = time.perf_counter()

        def update(network, gradient, state, rate):
            changes, state = optimiser(rate).update(gradient, state, network)
            return optax.apply_updates(network, changes), state

        def epoch(k, carry, rates, train, test):
            group, curves = carry
            now, alive = group.epoch, group.diverged < 0
            loss, gradient = losses_and_gradients(group.networks, train)
            changed = jax.vmap(update)(group.networks, gradient, group.optimiser, rates)
            good = alive & jnp.isfinite(loss) & _finite(gradient)
            sound = good & _finite(changed[0])
            networks, state = jax.tree.map(
                lambda new, old: jnp.where(sound.reshape(-1, *[1] * (new.ndim - 1)), new, old),
                changed,
                (group.networks, group.optimiser),
            )
            # parameters that overflow are not taken: it is the next epoch's loss that would not be finite
            diverged = jnp.where(alive & ~sound, now + good, group.diverged)
            held_out = jax.lax.cond(
                now % test_every == 0,
                lambda: losses(group.networks, test),
                lambda: jnp.full_like(loss, jnp.nan),
            )
            found = Curves(loss, _norm(gradient), held_out)
            curves = jax.tree.map(
                lambda all_, x: all_.at[:, k].set(jnp.where(good, x, jnp.nan)), curves, found
            )
            return Group(networks, state, now + 1, diverged.astype(group.diverged.dtype)), curves

        def advance(group, rates, train, test, epochs):
            none = jnp.full((len(rates), EPOCHS), jnp.nan, rates.dtype)
            curves = Curves(none, none, none)
            return jax.lax.fori_loop(0, epochs, lambda k, c: epoch(k, c, rates, train, test), (group, curves))

        here = jax.sharding.SingleDeviceSharding(device)
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here),
            (group, rates, train, test, np.int32(0)),
        )
        options = OPTIONS.get(device.platform, {})
        self._compiled = jax.jit(advance).lower(*shapes).compile(compiler_options=options)
        self.seconds = time.perf_counter() - began

    def __call__(self, group: Group, rates, train: Series, test: Series, epochs: int) -> tuple[Group, Curves]:
        return self._compiled(group, rates, train, test, np.int32(epochs))


def _finite(networks: Network) -> Array:
    """Whether all of a member's parts are finite, (members,)."""
    each = [jnp.isfinite(x).all(axis=tuple(range(1, x.ndim))) for x in jax.tree.leaves(networks)]
    return jnp.stack(each).all(axis=0)


def _norm(gradient: Network) -> Array:
    """The Euclidean norm of each member's gradient; scaled, so that its squares do not overflow."""
    flat = jnp.concatenate([x.reshape(len(x), -1) for x in jax.tree.leaves(gradient)], axis=1)
    largest = jnp.max(jnp.abs(flat), axis=1)
    scale = jnp.where(largest > 0, largest, 1)
    return largest * jnp.sqrt(jnp.sum((flat / scale[:, None]) ** 2, axis=1))
