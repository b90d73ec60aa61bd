"""Work of unknown length over a batch: bounded rounds, finished lanes replaced by waiting ones.

A `records.Solver` is written for one problem. Here many of them run side by side in a pool of fixed width:
after every round the lanes that are done hand in their state and take up the next problem; when none is
waiting any more and few are left, they move to a narrower pool. So two programs are compiled per solver,
whatever the batch, and a slow lane never holds up the rest. A lane never sees its neighbours.

Batches have their axis last: each scalar of a state is contiguous over the lanes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..records import Solver

WIDTHS = (2048, 128)
"""Lanes of the pools, widest first: a state of the widest stays in a core's cache."""
REFILL = 0.25
"""Part of a pool that must be done before it is refilled."""
ROUND = 4
"""Calls of `advance` between two looks at what is done."""


class Pool:
    """Runs one solver over batches of problems.

    **Arguments**

    - `solver`: a `records.Solver`.
    - `size`: the number of problems in every batch (batches are padded by their maker).
    - `rounds`: calls of `advance` in a round. It does not enter the result.
    """

    def __init__(self, solver: Solver, size: int, widths: tuple[int, ...] = WIDTHS, rounds: int = ROUND):
        self.solver, self.size, self.rounds = solver, size, rounds
        self.widths = tuple(sorted({min(w, size) for w in widths}, reverse=True))
        batched = partial(jax.vmap, in_axes=-1, out_axes=-1)
        self._init = jax.jit(batched(solver.init))
        self._finish = jax.jit(batched(solver.finish))

        def round_(problems, states):
            advance = batched(solver.advance)
            return jax.lax.fori_loop(0, rounds, lambda _, s: advance(problems, s), states)

        self._round = jax.jit(round_, donate_argnums=1)

        def swap(problems, states, lane_states, lanes, out, enter):
            """Hands in the states of the lanes `out` (size: none) and fills `lanes` with problems `enter`."""
            states = jax.tree.map(
                lambda full, part: full.at[..., out].set(part, mode="drop"), states, lane_states
            )
            take = lambda full: jnp.take(full, enter, axis=-1, mode="clip")  # noqa: E731
            return states, jax.tree.map(take, problems), jax.tree.map(take, states)

        self._swap = jax.jit(partial(swap), donate_argnums=(1,))

    def __call__(self, problems: Any) -> Any:
        """The records of a batch of `size` problems."""
        states = self._init(problems)
        waiting = np.flatnonzero(~np.asarray(states.done))
        for last, width in zip([*([False] * (len(self.widths) - 1)), True], self.widths):
            states, waiting = self._drain(problems, states, waiting, width, last)
        return self._finish(problems, states)

    def _drain(self, problems, states, waiting, width, last):
        """Runs `waiting` through a pool; returns those still unfinished when it has become too empty."""
        nobody = self.size
        lanes = np.full(width, nobody)
        done = np.ones(width, bool)
        lane_states = None
        while True:
            take = min(np.count_nonzero(done), waiting.size)
            live = np.count_nonzero(~done)
            if waiting.size == 0 and (live == 0 or (not last and live <= width * REFILL)):
                break
            if lane_states is None or (take and np.count_nonzero(done) >= width * REFILL) or live == 0:
                out = np.where(lanes < nobody, lanes, nobody)
                free = np.flatnonzero(done)[:take]
                lanes = np.where(done, nobody, lanes)
                lanes[free], waiting = waiting[:take], waiting[take:]
                if lane_states is None:
                    lane_states = jax.tree.map(lambda x: x[..., :width], states)
                    out = np.full(width, nobody)
                enter = np.where(lanes < nobody, lanes, 0)
                states, lane_problems, lane_states = self._swap(
                    problems, states, lane_states, lanes, out, enter
                )
            lane_states = self._round(lane_problems, lane_states)
            done = np.asarray(lane_states.done) | (lanes == nobody)
        if lane_states is None:
            return states, waiting
        # hand in everything: the unfinished go on elsewhere from where they are
        out = np.where(lanes < nobody, lanes, nobody)
        states, _, _ = self._swap(problems, states, lane_states, lanes, out, np.zeros(width, int))
        return states, lanes[~done]


class Chain:
    """Solvers one after the other over batches: the problem of each made from the one before and its record.

    **Arguments**

    - `solvers`, `links`: one link fewer than solvers; `link(problem, record)` is the next solver's problem.
    - `record(problem, last_record)`: what is kept of a point.
    - `size`: problems in a batch.
    """

    def __init__(self, solvers, links, record, size: int):
        self.pools = [Pool(solver, size) for solver in solvers]
        self.links = links
        self._record = jax.jit(jax.vmap(record, in_axes=-1, out_axes=0))

    def __call__(self, problems: Any) -> Any:
        """The records of a batch of problems (axis last), with the batch axis first."""
        for pool, link in zip(self.pools, [*self.links, None]):
            found = pool(problems)
            if link is not None:
                problems = link(problems, found)
        return self._record(problems, found)
