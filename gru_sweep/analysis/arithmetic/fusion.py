"""Many outputs, one loop: how to make XLA's CPU compiler compute a shared expression once.

XLA:CPU emits one loop per output and repeats in each whatever they share, so a step with twenty outputs
costs up to twenty times its arithmetic. A variadic reduction is one operation with many outputs, hence one
loop, and over two equal copies with the reducer (a, b) -> b it is the identity; LLVM drops the second copy.
Measured by `experiments/benchmarks/fusion.py`. GPUs fuse many outputs by themselves and take the plain path.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

RECURRENCES: dict[str, dict[str, str | bool]] = {"cpu": {"xla_cpu_use_fusion_emitters": False}}
"""Compiler options, by platform, of programs with long recurrences such as Taylor series. XLA's newer
generator of CPU loops makes a function of a shared expression and, where it is too long to be inlined, calls
it again for each use: exponential in the order. The older one keeps every value, a hundred times faster on a
GRU with all its gates (`experiments/benchmarks/fusion.py`). Interval tests, which are wide and not deep, are
left to the newer one."""


def together(tree: Any) -> Any:
    """The same tree, its scalar leaves computed in one loop over the batch (CPU). The identity otherwise."""
    leaves, structure = jax.tree.flatten(tree)
    scalars = [i for i, leaf in enumerate(leaves) if jnp.ndim(leaf) == 0]
    joined = jax.lax.platform_dependent(
        *(leaves[i] for i in scalars), cpu=_one_loop, default=lambda *values: values
    )
    for i, value in zip(scalars, joined):
        leaves[i] = value
    return jax.tree.unflatten(structure, leaves)


def _one_loop(*values):
    copies = [jnp.broadcast_to(v, (2,)) for v in values]
    starts = [jnp.zeros((), v.dtype) for v in copies]
    return tuple(jax.lax.reduce(tuple(copies), tuple(starts), lambda _, b: b, (0,)))
