"""Work of unknown length over a batch: bounded rounds, finished lanes replaced by waiting ones.

A `records.Solver` is written for one problem. Here many of them run side by side in a pool of lanes: after
every round the lanes that are done hand in their state and take up the next problem. So a fixed number of
programs is compiled per solver, whatever the batch, and a slow problem never holds up the rest. A lane never
sees its neighbours.

Batches have their axis last: each scalar of a state is contiguous over the lanes.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..records import Column, Solver, columns
from . import compiling, devices

logger = logging.getLogger(__name__)

WIDTH = {"cpu": 256}
OTHER_WIDTH = 16384
"""Lanes of a pool by platform: enough to fill the vectors, or an accelerator, and to hide the calls, few
enough that the last problems of a batch do not run among many idle lanes. One width for each: a second one
costs more in compiling than it saves. Measured on CPUs only."""
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
    - `device`: where they run.
    - `width`: lanes. `rounds`: calls of `advance` between two looks at what is done. Neither enters a result.
    """

    def __init__(
        self, solver: Solver, size: int, device: jax.Device, width: int | None = None, rounds: int = 2
    ):
        self.solver, self.size, self.device, self.rounds = solver, size, device, rounds
        self.width = min(width or WIDTH.get(device.platform, OTHER_WIDTH), size)
        self._programs: dict[Any, Callable] = {}

    def outline(self, problems: Any) -> tuple[Any, list[Callable[[], None]]]:
        """Shapes of the records of a batch, and what is to be compiled for it, as independent jobs."""
        batched = partial(jax.vmap, in_axes=-1, out_axes=-1)
        states = jax.eval_shape(batched(self.solver.init), problems)
        records = jax.eval_shape(batched(self.solver.finish), problems, states)
        self.bytes = sum(_bytes(tree) for tree in (problems, states, records))

        def lanes(tree):
            return jax.tree.map(lambda x: jax.ShapeDtypeStruct((*x.shape[:-1], self.width), x.dtype), tree)

        def job(key, function, *shapes, donate=(), options=None):
            def compile_():
                self._programs[key] = _compiled(
                    function, *shapes, device=self.device, donate=donate, options=options
                )

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


def _compiled(function, *shapes, device: jax.Device, donate=(), options: Options | None = None):
    """The program of `function` at these shapes on a device."""
    here = jax.sharding.SingleDeviceSharding(device)
    placed = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), shapes)
    chosen = OPTIONS.get(device.platform, {}) | (options or {}).get(device.platform, {})
    return jax.jit(function, donate_argnums=donate).lower(*placed).compile(compiler_options=chosen)


def _bytes(tree: Any) -> int:
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _enter(problems, states, index):
    """Problems and states of the lanes `index`."""
    take = lambda full: jnp.take(full, index, axis=-1, mode="clip")  # noqa: E731
    return jax.tree.map(take, problems), jax.tree.map(take, states)


def _leave(states, lane_states, index):
    """All states, with those of the lanes put back (an index past the end: nowhere)."""
    return jax.tree.map(lambda full, part: full.at[..., index].set(part, mode="drop"), states, lane_states)


class Chain:
    """Solvers one after the other over host arrays: a function from coordinates to columns.

    Any number of points is cut into batches of one size, each with every k-th point, so that cheap and
    expensive regions are shared evenly. Batches run side by side in the device's threads, also those of
    several calls. A batch that the device has no memory for is halved, and all later ones are that small.

    **Arguments**

    - `prepare(**coordinates)`: the first solver's problem at one point, from scalars.
    - `solvers`, `links`: one link fewer than solvers; `link(problem, record)` is the next one's problem.
    - `record(problem, last_record)`: what is kept of a point, a record with column metadata.
    - `names`: the coordinates' names; `dtype`: of their values.
    - `size`: points in a batch, fewer where the device's memory asks for it; no result depends on it.
    - `device`: where it runs, JAX's first by default. `threads`: batches side by side.
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
        device: jax.Device | None = None,
        threads: int = 1,
        note: Callable[[str], None] | None = None,
    ):
        self.names, self.dtype, self.solvers, self.links = tuple(names), np.dtype(dtype), solvers, links
        self.device, self.threads = device or jax.devices()[0], threads
        self.note = note or (lambda text: None)
        self.settings: dict[str, Any] = {}
        self.compile_seconds = 0.0
        self._compiled_from = compiling.count()
        compiling.listen()
        self.prepare = jax.vmap(lambda values: prepare(**values), in_axes=-1, out_axes=-1)
        self.record = jax.vmap(record, in_axes=-1, out_axes=0)
        self._x64 = jax.config.read("jax_enable_x64")
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, "lanes")
        self._programs = _Programs(self, size)
        room = devices.memory(self.device) * devices.SHARE / threads
        while self._programs.bytes > room and self._programs.size > 1:
            self._programs = _Programs(self, self._programs.size // 2)
        if self.size < size:
            logger.info("batches of %d points, as the memory of %s allows", self.size, self.device)
        self.columns: tuple[Column, ...] = self._programs.columns

    @property
    def size(self) -> int:
        """Points in a batch."""
        return self._programs.size

    @property
    def compilations(self) -> int:
        """Programs compiled in this process since this chain was made."""
        return compiling.count() - self._compiled_from

    def compile(self) -> None:
        """Compile everything now, in parallel; the first call does it otherwise."""
        with self._guard:
            jobs, self._programs.jobs = self._programs.jobs, []
            if not jobs:
                return
            began = time.perf_counter()
            self.note(f"compiling {len(jobs)} programs")
            for done in [self._pool.submit(self._with_precision, job) for job in jobs]:
                done.result()
            self.compile_seconds += time.perf_counter() - began

    def __call__(self, coordinates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Columns, each (n, ...), of n points given by their coordinates, each (n,)."""
        while True:
            self.compile()
            programs = self._programs
            n = len(coordinates[self.names[0]])
            step = -(-n // programs.size)
            parts = [
                self._pool.submit(
                    self._with_precision,
                    partial(programs, {name: coordinates[name][k::step] for name in self.names}),
                )
                for k in range(step)
            ]
            try:
                found = [part.result() for part in parts]
                break
            except jax.errors.JaxRuntimeError as error:
                for part in parts:
                    part.cancel()
                if "RESOURCE_EXHAUSTED" not in str(error) or programs.size == 1:
                    raise
                self._shrink(programs)
            except BaseException:
                for part in parts:
                    part.cancel()
                raise
        merged = {}
        for column in self.columns:
            out = np.empty((n, *column.shape), found[0][column.name].dtype)
            for k, part in enumerate(found):
                out[k::step] = part[column.name]
            merged[column.name] = out
        return merged

    def _shrink(self, programs: _Programs) -> None:
        """Take batches of half the size of `programs`, unless another call did so already."""
        with self._guard:
            if programs is self._programs:
                size = programs.size // 2
                self._programs = _Programs(self, size)
                logger.warning("out of memory on %s: batches of %d points from now on", self.device, size)

    def _with_precision(self, work: Callable[[], Any]) -> Any:
        """Threads have a precision of their own: give them that of the one that made this chain."""
        with jax.enable_x64(self._x64):
            return work()


class _Programs:
    """A chain's programs for batches of one size on one device."""

    def __init__(self, chain: Chain, size: int):
        self.names, self.dtype, self.size, self.device = chain.names, chain.dtype, size, chain.device
        self.links, self._prepare, self._record = chain.links, chain.prepare, chain.record
        self._pools = [Pool(solver, size, self.device) for solver in chain.solvers]
        point = {name: jax.ShapeDtypeStruct((size,), self.dtype) for name in self.names}
        problems = jax.eval_shape(self._prepare, point)
        self.jobs = [self._job("_prepare", point)]
        for pool, link in zip(self._pools, [*self.links, None], strict=True):
            records, jobs = pool.outline(problems)
            self.jobs += jobs
            if link is not None:
                problems = jax.eval_shape(link, problems, records)
        self.jobs.append(self._job("_record", problems, records))
        one = jax.eval_shape(self._record, problems, records)
        self.columns: tuple[Column, ...] = columns(
            jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), one)
        )
        self.bytes = STAGES * max(pool.bytes for pool in self._pools) + _bytes(one)

    def __call__(self, coordinates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Columns, each (n, ...), of n points, at most `size`, given by their coordinates, each (n,)."""
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

    def _job(self, name, *shapes):
        def compile_():
            setattr(self, name, _compiled(getattr(self, name), *shapes, device=self.device))

        return compile_


STAGES = 3
"""Problems, states and records of so many stages at a time, at the most: one before, one at work, its
temporaries."""
