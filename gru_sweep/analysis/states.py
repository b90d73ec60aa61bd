"""Choosing between states of a solver, and changing some of their fields."""

from __future__ import annotations

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

T = TypeVar("T")


def choose(condition, a: T, b: T) -> T:
    """a where the condition holds, else b, leaf by leaf."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)


def replace(module: T, **changes) -> T:
    """The module with some fields replaced, also by or instead of None."""
    names = list(changes)
    return eqx.tree_at(
        lambda m: [getattr(m, name) for name in names],
        module,
        list(changes.values()),
        is_leaf=lambda x: x is None,
    )
