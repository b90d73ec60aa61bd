r"""Limit cycles to full accuracy: period, frequency, amplitude, Floquet multiplier, and their error.

Each cycle that the search met (`cycle_search`) is solved once more: Newton steps on the return map, then one
loop with a tighter tolerance and one with a tighter one still, each from where the last Newton step led. The
non-trivial Floquet multiplier of a planar cycle of period T is exp(integral of div f dt over T) (Liouville;
Kuznetsov 2004, sec. 1.5); a cycle is stable where it is below 1. The period's error is the change between
the last two loops, plus what drift and the rounding of the parameters may add.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from . import cycle_search
from .arithmetic import RECURRENCES, together, trace
from .cycle_search import MAX_CYCLES, MAX_PERIOD, NEUTRAL, Oscillating, Sketches
from .sections import Section, Trajectory, section_at, travel, velocity
from .states import choose, replace

TOLERANCE = {"float64": (1e-8, 1e-9, 1e-11), "float32": (1e-5, 3e-6, 1e-6)}
"""Local error of a step, in units of its length: while Newton's method runs, in the last loop but one, in the
last."""
WEAK = 0.01
"""Both are multiplied by this where the slope of the return map is close to 1 (`cycle_search.CAREFUL`), or
where two loops show that they are not enough."""
DRIFT = {"float64": 1e-11, "float32": 3e-5}
"""Relative error of the period that a comparison of two loops in the same arithmetic does not show."""
CONDITION = 5e-4
"""Beside a saddle-node at distance d the period is c / sqrt(d) with c^2 of some hundreds (Eq 8), so that a
relative rounding eps of the parameters changes it by about CONDITION eps T^3."""
ILL = {"float64": 1e-7, "float32": 1e-4}
"""Relative error of the period beyond which this precision is not enough: the point is near a bifurcation."""
TWINS = {"float64": 1e-6, "float32": 1e-3}
"""Two cycles whose bounds agree to this, in units of their size, are not told apart: the point is
unresolved."""
STANDSTILL = {"float64": (1e-3, 1e-9), "float32": (1e-2, 1e-3)}
"""Newton step, in units of the section's length, that ends the rough loops, and that counts as none."""
STEPS_PER_ADVANCE = 8
"""Taylor steps between two looks at returns."""
MAX_LOOPS = 12
"""Loops after which a cycle is given up."""
MAX_STEPS = 40_000
"""Steps of one loop after which a cycle is given up."""


class Sketched(eqx.Module):
    """A problem with the rough cycles of its search."""

    oscillating: Oscillating
    sketches: Sketches


class LimitCycles(eqx.Module):
    """The cycles of one system in the order in which they were met, padded with NaN.

    `complete`: these are all (see `cycle_search` for what that rests on). `goal`: where its probes from the
    saddles went.
    """

    count: Int[Array, ""]
    period: Float[Array, " 8"]
    period_error: Float[Array, " 8"]
    log_multiplier: Float[Array, " 8"]
    stable: Bool[Array, " 8"]
    point: Float[Array, "8 2"]
    lower: Float[Array, "8 2"]
    upper: Float[Array, "8 2"]
    complete: Bool[Array, ""]
    near_bifurcation: Bool[Array, ""]
    absence_proven: Bool[Array, ""]
    goal: Int[Array, " 64"]


class _State(eqx.Module):
    index: Int[Array, ""]
    loops: Int[Array, ""]
    stage: Int[Array, ""]
    weak: Bool[Array, ""]
    start: Float[Array, ""]
    previous: Float[Array, ""]
    section: Section
    probe: Trajectory
    table: Float[Array, "10 8"]
    failed: Bool[Array, ""]
    done: Bool[Array, ""]


class Refine:
    """The last loops of every cycle of a system, as a `records.Solver` of `Sketched` problems."""

    compiler_options = RECURRENCES

    def init(self, problem: Sketched) -> _State:
        planar = problem.oscillating.located.planar
        zero, izero, no = jnp.zeros((), planar.lower.dtype), jnp.zeros((), jnp.int32), jnp.asarray(False)
        state = _State(
            index=izero,
            loops=izero,
            stage=izero,
            weak=no,
            start=zero,
            previous=zero,
            section=Section(zero, zero, zero, zero, zero, zero, zero),
            probe=Trajectory.start((zero, zero), zero + 1.0, izero, extent=True),
            table=jnp.full((10, MAX_CYCLES), jnp.nan, planar.lower.dtype),
            failed=no,
            done=problem.sketches.count <= 0,
        )
        return self._begin(problem, state)

    def advance(self, problem: Sketched, state: _State) -> _State:
        planar = problem.oscillating.located.planar
        name = str(planar.lower.dtype)
        eps = float(jnp.finfo(planar.lower.dtype).eps)
        closed = trace(planar.field, (2,), dtype=planar.lower.dtype)
        section = state.section
        final = state.stage == 2
        rough, fair, fine = TOLERANCE[name]
        tolerance = jnp.where(final, fine, jnp.where(state.stage == 1, fair, rough))
        tolerance = tolerance * jnp.where(state.weak, WEAK, 1.0)
        p, returned, end = travel(closed, state.probe, section, tolerance, STEPS_PER_ADVANCE, state.done)
        through0 = section.through(velocity(closed, *section.at(state.start))) * p.sense
        through1 = section.through(velocity(closed, p.x, p.y)) * p.sense
        slope = through0 / jnp.where(returned, through1, 1.0) * jnp.exp(jnp.clip(p.integral[0], -700.0, 80.0))
        shift = end - state.start
        newton = shift / jnp.where(slope < 1.0, 1.0 - slope, 1.0)
        rest = jnp.abs(newton) / section.length
        # a cycle that passes a saddle magnifies the tolerance: once more with the tight one
        moved_on = jnp.abs(p.time - state.previous) > 0.1 * ILL[name] * p.time
        settled = returned & final & (rest < STANDSTILL[name][1])
        again_tight = settled & ~state.weak & moved_on
        over = settled & ~again_tight
        error = (
            jnp.abs(p.time - state.previous)
            + DRIFT[name] * p.time
            + CONDITION * eps * p.time**3
            + 16.0 * eps * (p.time + 1.0 / jnp.where(returned, jnp.abs(through1), 1.0))
        )
        x, y = section.at(state.start)
        entries = (p.time, error, p.integral[0] * p.sense, x, y, *p.extent, jnp.ones_like(x))
        entries, over, again_tight, newton, rest, slope = together(
            (entries, over, again_tight, newton, rest, slope)
        )
        row = jnp.stack(entries)
        here = (jnp.arange(MAX_CYCLES) == state.index) & over
        # Newton's method has stood still or will not: the last loop, or give up
        hopeless = (returned & ~over & (state.loops >= MAX_LOOPS)) | (p.steps >= MAX_STEPS)
        hopeless |= returned & (slope >= 1.0)
        start = jnp.where(returned, state.start + newton, state.start)
        further = returned & ((state.stage == 1) | ((state.stage == 0) & (rest < STANDSTILL[name][0])))
        again = Trajectory.start(section.at(start), p.sense, jnp.zeros_like(p.steps), extent=True)
        new = replace(
            state,
            loops=state.loops + returned.astype(state.loops.dtype),
            stage=jnp.where(again_tight, 1, state.stage + further.astype(state.stage.dtype)),
            weak=state.weak | again_tight,
            start=start,
            previous=jnp.where(returned, p.time, state.previous),
            probe=choose(returned, again, p),
            table=jnp.where(here[None, :], row[:, None], state.table),
            failed=state.failed | (hopeless & ~over),
        )
        finished = over | hopeless
        index = new.index + finished.astype(new.index.dtype)
        following = self._begin(problem, replace(new, index=index, done=index >= problem.sketches.count))
        return choose(state.done, state, choose(finished, following, new))

    def _begin(self, problem: Sketched, state: _State) -> _State:
        """The first loop of the cycle that is next."""
        planar = problem.oscillating.located.planar
        closed = trace(planar.field, (2,), dtype=planar.lower.dtype)
        found = problem.sketches.found
        here = jnp.arange(MAX_CYCLES) == state.index
        x, y, log_multiplier = (
            jnp.sum(jnp.where(here, row, 0.0)) for row in (found.x, found.y, found.log_multiplier)
        )
        sense = jnp.where(log_multiplier > 0.0, -1.0, 1.0).astype(x.dtype)
        return replace(
            state,
            loops=jnp.zeros_like(state.loops),
            stage=jnp.zeros_like(state.stage),
            weak=jnp.abs(log_multiplier) < cycle_search.CAREFUL,
            start=jnp.zeros_like(x),
            previous=jnp.zeros_like(x),
            section=section_at(closed, x, y, sense),
            probe=Trajectory.start((x, y), sense, jnp.zeros_like(state.loops), extent=True),
        )

    def finish(self, problem: Sketched, state: _State) -> LimitCycles:
        sketches = problem.sketches
        name = str(state.start.dtype)
        period, error, log_multiplier, x, y, x0, x1, y0, y1, solved = state.table
        used = solved == 1.0
        neutral = jnp.any(used & (jnp.abs(log_multiplier) < NEUTRAL[name]))
        ill = jnp.any(used & (error > ILL[name] * period))
        long = jnp.any(used & (period > MAX_PERIOD))
        # one cycle met twice and not recognised would be counted twice
        size = jnp.maximum(x1 - x0, y1 - y0)
        apart = jnp.zeros((MAX_CYCLES, MAX_CYCLES), size.dtype)
        for bound in (x0, x1, y0, y1):
            apart = jnp.maximum(apart, jnp.abs(bound[:, None] - bound[None, :]))
        twins = (apart < TWINS[name] * size) & ~jnp.eye(MAX_CYCLES, dtype=bool)
        return LimitCycles(
            count=jnp.sum(used).astype(jnp.int32),
            period=period,
            period_error=error,
            log_multiplier=log_multiplier,
            stable=used & (log_multiplier < 0.0),
            point=jnp.stack([x, y], -1),
            lower=jnp.stack([x0, y0], -1),
            upper=jnp.stack([x1, y1], -1),
            complete=~(sketches.unresolved | state.failed | long | jnp.any(twins) | ~state.done),
            near_bifurcation=sketches.near_bifurcation | neutral | ill,
            absence_proven=sketches.absent,
            goal=sketches.goal,
        )


def settings() -> dict[str, float]:
    """Names and values of what the cycles depend on, for the file."""
    return {
        "cycle_max_period": MAX_PERIOD,
        "cycle_tolerance_float64": TOLERANCE["float64"][1],
        "cycle_tolerance_float32": TOLERANCE["float32"][1],
        "cycle_search_tolerance_float64": cycle_search.TOLERANCE["float64"][0],
        "cycle_search_tolerance_float32": cycle_search.TOLERANCE["float32"][0],
        "cycle_steps_per_round": cycle_search.STEPS_PER_ROUND,
        "cycle_rounds_per_advance": cycle_search.ROUNDS_PER_ADVANCE,
    }
