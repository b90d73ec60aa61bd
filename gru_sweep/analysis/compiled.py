"""Functions of fields, compiled once for all numbers in their arguments by the older generator of CPU loops.

Like `equinox.filter_jit`, with the compiler options that long recurrences want (`arithmetic.RECURRENCES`):
interval tests in three unknowns compile and run faster by it, too (`experiments/benchmarks/fusion.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .arithmetic import RECURRENCES

PROGRAMS = 256
"""Programs kept: one for each function, kind of field and platform."""


def compiled(function: Callable) -> Callable:
    """`function` for the host to call: its arrays are arguments of the program, everything else part of it.

    Refused by JAX inside another program, whose compiler options are its own; there, `__wrapped__` serves.
    """

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        numbers, rest = eqx.partition(arguments, _is_array)
        leaves, structure = jax.tree.flatten(rest)
        return _program(function, tuple(leaves), structure, jax.default_backend())(numbers)

    return call


def in_blocks(
    function: Callable[[Array], Sequence[Array]], points: np.ndarray, size: int
) -> tuple[np.ndarray, ...]:
    """`function` of points (n, d), `size` at a time: its arrays, (n, ...) each, by one program for all n."""
    blocks = []
    for start in range(0, len(points), size):
        rows = points[start : start + size]
        padded = np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
        blocks.append([np.asarray(x)[: len(rows)] for x in function(jnp.asarray(padded))])
    return tuple(map(np.concatenate, zip(*blocks)))


def _is_array(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, np.ndarray | np.generic)


@functools.lru_cache(maxsize=PROGRAMS)
def _program(function: Callable, leaves: tuple, structure: Any, platform: str) -> Callable:
    rest = jax.tree.unflatten(structure, leaves)

    @functools.wraps(function)
    def whole(numbers):
        return function(*eqx.combine(numbers, rest))

    return jax.jit(whole, compiler_options=RECURRENCES.get(platform))
