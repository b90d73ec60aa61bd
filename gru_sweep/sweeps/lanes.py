"""Work of unknown length over a batch: bounded rounds, finished lanes replaced by waiting ones.

A `records.Solver` is written for one problem. Here many of them run side by side in a pool of lanes: after
every round the lanes that are done hand in their state and take up the next problem. So a fixed number of
programs is compiled per solver, whatever the batch, and a slow problem never holds up the rest. A lane never
sees its neighbours.

Batches have their axis last: each scalar of a state is contiguous over the lanes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..records import Column, Solver, columns
from . import compiling

WIDTH = 256
"""Lanes of a pool: enough to fill the vectors and hide the calls, few enough that the last problems of a
batch do not run among many idle lanes. One width: a second one costs more in compiling than it saves."""
REFILL = 0.25
"""Part of a pool that must be done before it is refilled."""
Options = dict[str, dict[str, str | bool]]
OPTIONS: Options = {"cpu": {"xla_cpu_prefer_vector_width": "512"}}
"""Compiler options by platform: the widest vectors there are (XLA's own choice is half of that). A solver
may ask for more for its `advance`, by an attribute `compiler_options`."""


class Pool:
    """Runs one solver over batches of problems.

    **Arguments**

    - `solver`: a `records.Solver`.
    - `size`: the number of problems in every batch.
    - `width`: lanes. `rounds`: calls of `advance` between two looks at what is done. Neither enters a result.
    """

    def __init__(self, solver: Solver, size: int, width: int = WIDTH, rounds: int = 2):
        self.solver, self.size, self.rounds = solver, size, rounds
        self.width = min(width, size)
        self._programs: dict[Any, Callable] = {}

    def outline(self, problems: Any) -> tuple[Any, list[Callable[[], None]]]:
        """Shapes of the records of a batch, and what is to be compiled for it, as independent jobs."""
        batched = partial(jax.vmap, in_axes=-1, out_axes=-1)
        states = jax.eval_shape(batched(self.solver.init), problems)
        records = jax.eval_shape(batched(self.solver.finish), problems, states)

        def lanes(tree):
            return jax.tree.map(lambda x: jax.ShapeDtypeStruct((*x.shape[:-1], self.width), x.dtype), tree)

        def job(key, function, *shapes, donate=(), options=None):
            def compile_():
                self._programs[key] = _compiled(function, *shapes, donate=donate, options=options)

            return compile_

        def advance(problems, states):
            step = batched(self.solver.advance)
            return jax.lax.fori_loop(0, self.rounds, lambda _, s: step(problems, s), states)

        deep = getattr(self.solver, "compiler_options", {})
        lane_problems, lane_states = lanes(problems), lanes(states)
        index = jax.ShapeDtypeStruct((self.width,), jnp.int32)
        return records, [
            job("init", batched(self.solver.init), problems),
            job("advance", advance, lane_problems, lane_states, donate=(1,), options=deep),
            job("enter", _enter, problems, states, index),
            job("leave", _leave, states, lane_states, index, donate=(0,)),
            job("finish", batched(self.solver.finish), problems, states),
        ]

    def __call__(self, problems: Any, count: int) -> Any:
        """The records of a batch, of which the first `count` problems are real."""
        states = self._programs["init"](problems)
        waiting = np.flatnonzero(~np.asarray(states.done)[:count])
        if waiting.size:
            states = self._run(problems, states, waiting)
        return self._programs["finish"](problems, states)

    def _run(self, problems, states, waiting):
        """All states, those of the problems `waiting` brought to their end."""
        advance, enter, leave = (self._programs[name] for name in ("advance", "enter", "leave"))
        nobody = self.size
        lanes = np.full(self.width, nobody, np.int32)
        done = np.ones(self.width, bool)
        lane_states = None
        while waiting.size or not done.all():
            free = np.flatnonzero(done)
            if waiting.size and free.size >= self.width * REFILL:
                if lane_states is not None:
                    states = leave(states, lane_states, lanes)
                taken, waiting = waiting[: free.size], waiting[free.size :]
                lanes = lanes.copy()  # a program that is still running may be reading the old one
                lanes[free] = nobody
                lanes[free[: taken.size]] = taken
                lane_problems, lane_states = enter(problems, states, np.minimum(lanes, nobody - 1))
            lane_states = advance(lane_problems, lane_states)
            done = np.asarray(lane_states.done) | (lanes == nobody)
        return leave(states, lane_states, lanes)


def _compiled(function, *shapes, donate=(), options: Options | None = None):
    """The program of `function` at these shapes."""
    platform = jax.default_backend()
    chosen = OPTIONS.get(platform, {}) | (options or {}).get(platform, {})
    return jax.jit(function, donate_argnums=donate).lower(*shapes).compile(compiler_options=chosen)


def _enter(problems, states, index):
    """Problems and states of the lanes `index`."""
    take = lambda full: jnp.take(full, index, axis=-1, mode="clip")  # noqa: E731
    return jax.tree.map(take, problems), jax.tree.map(take, states)


def _leave(states, lane_states, index):
    """All states, with those of the lanes put back (an index past the end: nowhere)."""
    return jax.tree.map(lambda full, part: full.at[..., index].set(part, mode="drop"), states, lane_states)


class Chain:
    """Solvers one after the other over host arrays: a function from coordinates to columns.

    **Arguments**

    - `prepare(**coordinates)`: the first solver's problem at one point, from scalars.
    - `solvers`, `links`: one link fewer than solvers; `link(problem, record)` is the next one's problem.
    - `record(problem, last_record)`: what is kept of a point, a record with column metadata.
    - `names`: the coordinates' names; `dtype`: of their values.
    - `size`: the most points in a call. `workers`: threads that share them, each with every `workers`-th
      point, so that cheap and expensive regions are shared evenly.
    - `note`: is told what is being compiled.
    """

    def __init__(
        self,
        prepare: Callable,
        solvers: Sequence[Solver],
        links: Sequence[Callable],
        record: Callable,
        *,
        names: Sequence[str],
        dtype: Any,
        size: int,
        workers: int = 1,
        note: Callable[[str], None] | None = None,
    ):
        self.names, self.dtype, self.links = tuple(names), np.dtype(dtype), links
        self.workers = max(1, min(workers, size))
        self.size = -(-size // self.workers)
        self.note = note or (lambda text: None)
        self.settings: dict[str, Any] = {}
        self.compile_seconds = 0.0
        self._compiled_from = compiling.count()
        compiling.listen()
        self._pools = [Pool(solver, self.size) for solver in solvers]
        point = {name: jax.ShapeDtypeStruct((self.size,), self.dtype) for name in self.names}
        self._prepare = jax.vmap(lambda values: prepare(**values), in_axes=-1, out_axes=-1)
        self._record = jax.vmap(record, in_axes=-1, out_axes=0)
        problems = jax.eval_shape(self._prepare, point)
        self._jobs = [self._job("_prepare", point)]
        for pool, link in zip(self._pools, [*links, None], strict=True):
            records, jobs = pool.outline(problems)
            self._jobs += jobs
            if link is not None:
                problems = jax.eval_shape(link, problems, records)
        self._jobs.append(self._job("_record", problems, records))
        one = jax.eval_shape(self._record, problems, records)
        self.columns: tuple[Column, ...] = columns(
            jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), one)
        )

    @property
    def compilations(self) -> int:
        """Programs compiled in this process since this chain was made."""
        return compiling.count() - self._compiled_from

    def _job(self, name, *shapes):
        def compile_():
            setattr(self, name, _compiled(getattr(self, name), *shapes))

        return compile_

    def _in_threads(self, function, items):
        """`function` over `items` in this chain's threads, each with this thread's precision."""
        x64 = jax.config.read("jax_enable_x64")

        def run(item):
            with jax.enable_x64(x64):
                return function(item)

        with ThreadPoolExecutor(self.workers) as threads:
            return list(threads.map(run, items))

    def compile(self) -> None:
        """Compile everything now, in parallel; the first call does it otherwise."""
        if not self._jobs:
            return
        began, left = time.perf_counter(), len(self._jobs)
        self.note(f"compiling {left} programs")

        def work(job):
            job()

        self._in_threads(work, self._jobs)
        self._jobs = []
        self.compile_seconds += time.perf_counter() - began

    def __call__(self, coordinates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Columns, each (n, ...), of n points given by their coordinates, each (n,)."""
        self.compile()
        n = len(coordinates[self.names[0]])
        parts = self._in_threads(
            lambda k: self._part({name: coordinates[name][k :: self.workers] for name in self.names}),
            range(min(self.workers, n)),
        )
        merged = {}
        for column in self.columns:
            out = np.empty((n, *column.shape), parts[0][column.name].dtype)
            for k, part in enumerate(parts):
                out[k :: self.workers] = part[column.name]
            merged[column.name] = out
        return merged

    def _part(self, coordinates):
        count = len(coordinates[self.names[0]])
        padded = {
            name: np.pad(values.astype(self.dtype), (0, self.size - count), mode="edge")
            for name, values in coordinates.items()
        }
        problems = self._prepare(padded)
        for pool, link in zip(self._pools, [*self.links, None], strict=True):
            found = pool(problems, count)
            if link is not None:
                problems = link(problems, found)
        record = self._record(problems, found)
        return {column.name: np.asarray(getattr(record, column.name))[:count] for column in self.columns}
