r"""What each limit cycle goes around: fixed points, other cycles, and in which sense.

One loop of every cycle is followed once more as a closed polygon gamma. Its winding number about a point q,

    w(q) = #(crossings of the ray {q + (t, 0), t > 0} upwards) - #(crossings downwards),

is exact for a polygon; for a simple closed curve it is +1 or -1 inside, by the sense of rotation, and 0
outside (Jordan). The indices of the fixed points inside add up to +1 (Poincare), which checks the polygon.
"""

from __future__ import annotations

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..records import MAX_FIXED_POINTS
from .arithmetic import RECURRENCES, together, trace
from .cycle_search import MAX_CYCLES
from .fixed_points import FixedPoints, Planar
from .flow import horner
from .limit_cycles import LimitCycles, Sketched
from .neighbourhoods import Neighbourhoods
from .sections import Section, Trajectory, expand, moved, section_at
from .states import choose, replace

TOLERANCE = {"float64": 1e-9, "float32": 1e-6}
"""Local error of a step, in units of its length."""
CHORDS = 3
"""Chords of the polygon per step: a step turns by less than half a turn as seen from inside the cycle."""
STEPS_PER_ADVANCE = 12
"""Taylor steps between two looks at the end of a loop."""
MAX_STEPS = 20_000
"""Steps of one loop after which it is given up."""

_POINTS = MAX_FIXED_POINTS + MAX_CYCLES


class Cyclic(eqx.Module):
    """A planar problem with its fixed points, their proven neighbourhoods and its cycles."""

    planar: Planar
    fixed: FixedPoints
    near: Neighbourhoods
    cycles: LimitCycles


def cyclic(sketched: Sketched, cycles: LimitCycles) -> Cyclic:
    """The problem that follows the cycles' refinement."""
    located = sketched.oscillating.located
    return Cyclic(located.planar, located.fixed, sketched.oscillating.near, cycles)


class Enclosures(eqx.Module):
    """Per cycle: winding numbers (forward time) about all fixed points and one point of every cycle, and a
    section through its point, normal to the flow, in the sense of time in which the cycle attracts.

    `ok` is false where a loop did not close.
    """

    winding: Int[Array, "24 8"]
    section: Float[Array, "7 8"]
    ok: Bool[Array, ""]

    @property
    def sense(self):
        """+1 counterclockwise, -1 clockwise, 0 where there is no cycle or it encloses nothing, (8,)."""
        about = self.winding[:MAX_FIXED_POINTS]
        return jnp.sign(jnp.sum(about, axis=0))

    @property
    def fixed_points(self):
        """Bit i of entry k: cycle k encloses fixed point i, (8,)."""
        bit = jnp.left_shift(1, jnp.arange(MAX_FIXED_POINTS))
        return jnp.sum(jnp.where(self.winding[:MAX_FIXED_POINTS] != 0, bit[:, None], 0), axis=0)

    @property
    def within(self):
        """Index of the innermost cycle around each one, -1 where there is none, (8,)."""
        encloses = self.winding[MAX_FIXED_POINTS:].T != 0  # [k, j]: k goes around j
        encloses &= ~jnp.eye(MAX_CYCLES, dtype=bool)
        depth = jnp.sum(encloses, axis=0)
        innermost = jnp.argmax(jnp.where(encloses, depth[:, None] + 1, 0), axis=0)
        return jnp.where(jnp.any(encloses, axis=0), innermost, -1)


class _State(eqx.Module):
    index: Int[Array, ""]
    probe: Trajectory
    winding: Int[Array, " 24"]
    section: Section
    table: Int[Array, "24 8"]
    sections: Float[Array, "7 8"]
    failed: Bool[Array, ""]
    done: Bool[Array, ""]


class Enclose:
    """One loop of every cycle of a system, as a `records.Solver` of `Cyclic` problems."""

    compiler_options = RECURRENCES

    def init(self, problem: Cyclic) -> _State:
        dtype = problem.planar.lower.dtype
        zero, izero = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
        return _State(
            index=izero - 1,
            probe=Trajectory.start((zero, zero), zero + 1.0, izero),
            winding=jnp.zeros(_POINTS, jnp.int32),
            section=Section(zero, zero, zero, zero, zero, zero, zero),
            table=jnp.zeros((_POINTS, MAX_CYCLES), jnp.int32),
            sections=jnp.full((7, MAX_CYCLES), jnp.nan, dtype),
            failed=jnp.asarray(False),
            done=(problem.cycles.count <= 0) | ~problem.cycles.complete,
        )

    def advance(self, problem: Cyclic, state: _State) -> _State:
        planar, cycles = problem.planar, problem.cycles
        name = str(planar.lower.dtype)
        closed = trace(planar.field, (2,), dtype=planar.lower.dtype)
        here = jnp.arange(MAX_CYCLES) == state.index
        period = jnp.sum(jnp.where(here, cycles.period, 0.0))
        qx = jnp.concatenate([problem.fixed.point[:, 0], cycles.point[:, 0]])
        qy = jnp.concatenate([problem.fixed.point[:, 1], cycles.point[:, 1]])

        def step(_, carry):
            p, winding = carry
            x, y, along, h = expand(closed, p, TOLERANCE[name])
            h = jnp.clip(period - p.time, 0.0, h)
            corners = [(horner(x, h * (i / CHORDS)), horner(y, h * (i / CHORDS))) for i in range(CHORDS + 1)]
            new = moved(p, x, y, along, h)
            new = eqx.tree_at(lambda q: q.steps, new, p.steps + 1)
            new, corners = together((new, corners))
            for a, b in itertools.pairwise(corners):
                winding = winding + _crossings(a, b, qx, qy)
            return new, winding

        probe, winding = jax.lax.fori_loop(0, STEPS_PER_ADVANCE, step, (state.probe, state.winding))
        closed_up = (probe.time >= period) & (state.index >= 0)
        hopeless = ~closed_up & ((probe.steps >= MAX_STEPS) | ~jnp.isfinite(probe.x + probe.y))
        s = state.section
        row = jnp.stack([s.x, s.y, s.nx, s.ny, s.low, s.high, s.length])
        write = here & closed_up
        # the loop ends within rounding of its start: the last chord closes the polygon
        closing = _crossings((probe.x, probe.y), (s.x, s.y), qx, qy)
        forward = (winding + closing) * jnp.sign(probe.sense).astype(winding.dtype)
        ended = closed_up | hopeless | (state.index < 0)
        index = state.index + ended.astype(state.index.dtype)
        now = replace(
            state,
            index=index,
            probe=probe,
            winding=winding,
            table=jnp.where(write[None], forward[:, None], state.table),
            sections=jnp.where(write[None], row[:, None], state.sections),
            failed=state.failed | hopeless,
            done=index >= cycles.count,
        )
        return choose(state.done, state, choose(ended, self._begin(problem, closed, now), now))

    def _begin(self, problem: Cyclic, closed, state: _State) -> _State:
        here = jnp.arange(MAX_CYCLES) == state.index
        pick = lambda row: jnp.sum(jnp.where(here, row, 0.0))  # noqa: E731
        x, y = pick(problem.cycles.point[:, 0]), pick(problem.cycles.point[:, 1])
        sense = jnp.where(pick(problem.cycles.log_multiplier) > 0.0, -1.0, 1.0).astype(x.dtype)
        return replace(
            state,
            probe=Trajectory.start((x, y), sense, jnp.zeros_like(state.index)),
            winding=jnp.zeros_like(state.winding),
            section=section_at(closed, x, y, sense),
        )

    def finish(self, problem: Cyclic, state: _State) -> Enclosures:
        return Enclosures(winding=state.table, section=state.sections, ok=state.done & ~state.failed)


def _crossings(a, b, qx, qy):
    """Signed crossings of the chord from a to b with the rays from the points (qx, qy) to the right."""
    (ax, ay), (bx, by) = a, b
    side = (bx - ax) * (qy - ay) - (by - ay) * (qx - ax)
    up = (ay <= qy) & (by > qy) & (side > 0.0)
    down = (ay > qy) & (by <= qy) & (side < 0.0)
    return up.astype(jnp.int32) - down.astype(jnp.int32)
