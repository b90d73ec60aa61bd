"""States of a solver: choosing between them, changing some of their fields, running one to its end."""

from __future__ import annotations

from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..records import Solver

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


def run(solver: Solver, problem: Any) -> Any:
    """The record of one problem."""
    state = jax.lax.while_loop(lambda s: ~s.done, lambda s: solver.advance(problem, s), solver.init(problem))
    return solver.finish(problem, state)
