"""One function of a field at many values of its parameter: compiled once, some lanes at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ...arithmetic import RECURRENCES

LANES = 16
"""Problems computed in one call; fewer are padded."""


def run(function: Callable, axes: tuple, field: Any, *arguments: Any) -> Any:
    """The records, NumPy's and with n first, of function(field, ...) at n problems, in double precision.

    `axes` has, for each of the `arguments`, 0 if its leaves are (n, ...), and None if all problems share it.
    Fields that differ in numbers only share a program.
    """
    with jax.enable_x64(True):
        numbers, static = eqx.partition(field, eqx.is_array)
        leaves, structure = jax.tree.flatten(static)
        program = _program(function, axes, tuple(leaves), structure, jax.default_backend())
        own = [i for i, axis in enumerate(axes) if axis == 0]
        n = len(jax.tree.leaves(arguments[own[0]])[0])
        found = []
        for begin in range(0, n, LANES):
            rows = np.minimum(np.arange(begin, begin + LANES), n - 1)
            lanes = [_taken(a, rows) if i in own else a for i, a in enumerate(arguments)]
            found.append(_taken(program(numbers, *lanes), slice(0, min(LANES, n - begin))))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *found)


def _taken(tree: Any, rows: Any) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], tree)


@functools.lru_cache(maxsize=32)
def _program(function: Callable, axes: tuple, leaves: tuple, structure: Any, platform: str) -> Any:
    static = jax.tree.unflatten(structure, leaves)

    def one(numbers, *arguments):
        return function(eqx.combine(numbers, static), *arguments)

    return jax.jit(jax.vmap(one, in_axes=(None, *axes)), compiler_options=RECURRENCES.get(platform))
