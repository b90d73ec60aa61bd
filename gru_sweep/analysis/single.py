"""One system at a time: a compiled program for each stage, so that the next is traced while one compiles.

Compiling and, from the persistent cache, loading a program leave Python free; tracing does not.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax

from ..records import Solver
from .states import run

THREADS = 4
"""Programs compiled at a time."""


def solve(stages: Any, planar: Any) -> Any:
    """The record of one problem, stage by stage. Fields that differ in numbers only share their programs."""
    numbers, static = eqx.partition(planar, eqx.is_array)
    leaves, structure = jax.tree.flatten(numbers)
    shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    found: list[Any] = []
    make: Any = type(stages)
    for program in programs(make, static, structure, shapes, jax.default_backend()):
        found.append(program(numbers, found))
    return found[-1]


@functools.lru_cache(maxsize=16)
def programs(make: Any, static: Any, structure: Any, shapes: tuple, platform: str) -> list[Any]:
    """Compiled functions of the numbers of a problem and the records so far: the stages, then the record."""
    stages = make()

    def problem(numbers, found):
        last = eqx.combine(numbers, static)
        for link, record in zip(stages.links, found):
            last = link(last, record)
        return last

    def stage(solver: Solver):
        return lambda numbers, found: run(solver, problem(numbers, found))

    def record(numbers, found):
        return stages.record(problem(numbers, found[:-1]), found[-1])

    numbers = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(*shape) for shape in shapes])
    found: list[Any] = []
    with ThreadPoolExecutor(THREADS) as threads:
        compiling = []
        for function, solver in [*((stage(s), s) for s in stages.solvers), (record, None)]:
            traced = jax.jit(function).trace(numbers, found)
            options = getattr(solver, "compiler_options", {}).get(platform)
            compiling.append(threads.submit(traced.lower().compile, options))
            found = [*found, traced.out_info]
        return [job.result() for job in compiling]
