r"""All limit cycles of a planar vector field, stable and unstable, from one probe per canonical region.

In the plane every bounded trajectory ends at a fixed point, a cycle or a chain of saddles
(Poincare-Bendixson). The basin of a stable cycle has on its boundary a source, a saddle, the border of the
box, or else unstable cycles on both sides; so where no saddles are connected every stable cycle is the end of
one of these probes, or lies next to an unstable cycle that is the end of one run backwards:

- one point of the border of the (trapping) box, forwards;
- each source forwards and each sink backwards, from the ellipse proven around it (`neighbourhoods`);
- each saddle along both branches of both manifolds;
- each side of each cycle found at which no probe has arrived.

A probe is followed to its end by its returns to a section (`sections`), P(s) = s is solved by Newton steps.
Long jumps are doubled from loop to loop, so that a weak focus is left or reached in a few dozen loops
however weak it is, and a jump counts only where what is seen at both its ends agrees (`jumps`).
Without returns the section is set anew at doubled times (Brent).
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..records import MAX_FIXED_POINTS, Kind
from . import jumps
from .arithmetic import RECURRENCES, together, trace
from .fixed_points import stable, unstable
from .neighbourhoods import Located, Neighbourhoods, needed
from .saddles import BRANCHES, branch_start
from .sections import Section, Trajectory, section_at, travel, velocity
from .states import choose, replace

MAX_CYCLES = 8
"""Cycles kept per system; a system with more is unresolved."""
MAX_PERIOD = 10_000.0
"""Longest period looked for, in units of time."""
TOLERANCE = {"float64": (1e-7, 1e-12), "float32": (1e-5, 1e-6)}
"""Local error of a probe's step, in units of its length (so of the size of a small cycle): as a rule, and
where the return map's slope is within `CAREFUL` of 1, so that errors of the flow itself could turn the
answer."""
CAREFUL = 0.05
"""|log slope| of a return map below which the probe goes on with the tight tolerance."""
SIMPLE = 0.2
"""Part of 1 - slope that a Newton step may take away at a simple root (at a double one it takes half)."""
STILL = {"float64": 1e-9, "float32": 1e-6}
"""Displacement, in units of the section's length, at which a root that is not simple is given up."""
CONVERGED = {"float64": 1e-4, "float32": 1e-3}
"""Newton step, in units of the local length |f| / |n.J tau|, at which a probe has found its cycle."""
SIDE = {"float64": 1e-6, "float32": 1e-3}
"""First displacement, in units of the section's length, that tells from which side a cycle was reached."""
SAME = 1e-2
"""Two probes have found the same cycle if period, mean state and log multiplier agree to this, relatively."""
OFFSET = {"float64": 1e-5, "float32": 1e-3}
"""Distance from a saddle, along its eigenvector, at which a branch starts; also from a cycle, beside it."""
CONNECTION = {"float64": 1e-7, "float32": 1e-5}
"""A branch that passes a saddle this closely is a saddle connection as far as this precision can tell."""
NEUTRAL = {"float64": 1e-8, "float32": 1e-4}
"""|log multiplier| below which a cycle's stability is not decided."""
FIRST_SECTION = 8.0
"""Time after which a section without returns is first set anew."""
MAX_LOOPS = 200
"""Returns of one probe after which it is given up."""
MAX_STEPS = 20_000
"""Steps of one probe after which it is given up."""
STEPS_PER_ROUND = 8
"""Taylor steps between two looks at returns."""
ROUNDS_PER_ADVANCE = 3
"""Looks at returns between two looks at everything else: ends, new sections, new probes."""
DIRECTION = (math.cos(1.0), math.sin(1.0))
"""Direction in which a source or sink is left: none that a symmetry would single out."""

ON, CYCLE, ARRIVED, NEUTRAL_CYCLE, RESET, IDLE = range(6)
"""What a probe has come to: nothing yet, a cycle, a known cycle, an undecidable one, the end of its section;
or there is no probe yet."""

_BORDER = BRANCHES  # probes 4 i + branch belong to fixed point i, then the border, then the cycles
_SIDES = _BORDER + 1
OUT, NOWHERE = MAX_FIXED_POINTS + 2 * MAX_CYCLES, -2
"""Goal of a probe that left the box, and of one that is not known; cycle k is MAX_FIXED_POINTS + k."""
_PROBES = _SIDES + 2 * MAX_CYCLES


class Oscillating(eqx.Module):
    """A located problem with the proven neighbourhoods of its fixed points."""

    located: Located
    near: Neighbourhoods


class Found(eqx.Module):
    """The table of cycles met so far, one column per cycle; `log_multiplier` in forward time."""

    x: Float[Array, " 8"]
    y: Float[Array, " 8"]
    period: Float[Array, " 8"]
    log_multiplier: Float[Array, " 8"]
    mean_x: Float[Array, " 8"]
    mean_y: Float[Array, " 8"]


class Hunt(eqx.Module):
    """State of the search in one system."""

    probe: Trajectory
    section: Section
    start: Float[Array, ""]
    last: tuple
    bracket: tuple
    jump: Float[Array, ""]
    outcome: Int[Array, ""]
    side: Float[Array, ""]
    loops: Int[Array, ""]
    careful: Bool[Array, ""]
    aim: Int[Array, ""]
    patience: Float[Array, ""]
    todo: Bool[Array, " 81"]
    cursor: Int[Array, ""]
    goal: Int[Array, " 64"]
    found: Found
    count: Int[Array, ""]
    unresolved: Bool[Array, ""]
    near_bifurcation: Bool[Array, ""]
    done: Bool[Array, ""]


class Sketches(eqx.Module):
    """The cycles met, roughly, and what is known of the search as a whole.

    `goal` has for every branch of a saddle where its probe went: the slot of a fixed point, a cycle, `OUT` or
    `NOWHERE`.
    """

    found: Found
    goal: Int[Array, " 64"]
    count: Int[Array, ""]
    unresolved: Bool[Array, ""]
    near_bifurcation: Bool[Array, ""]
    absent: Bool[Array, ""]


class Search:
    """The search for all cycles, as a `records.Solver` of `Oscillating` problems."""

    compiler_options = RECURRENCES

    def init(self, problem: Oscillating) -> Hunt:
        located = problem.located
        dtype = located.planar.lower.dtype
        fixed = located.fixed
        zero, izero, no = jnp.zeros((), dtype), jnp.zeros((), jnp.int32), jnp.asarray(False)
        nan = jnp.full((MAX_CYCLES,), jnp.nan, dtype)
        extremal = stable(fixed.kind) | unstable(fixed.kind)
        saddle = fixed.kind == Kind.SADDLE
        todo = jnp.stack([extremal | saddle, saddle, saddle, saddle], axis=1).reshape(-1)
        todo = jnp.concatenate([todo, fixed.trapping[None], jnp.zeros(2 * MAX_CYCLES, bool)])
        return Hunt(
            probe=Trajectory.start((zero, zero), zero + 1.0, izero),
            section=Section(zero, zero, zero, zero, zero, zero, zero),
            start=zero,
            last=(zero, zero, zero),
            bracket=(zero, zero),
            jump=zero,
            outcome=izero + IDLE,
            side=zero,
            loops=izero,
            careful=no,
            aim=izero - 1,
            patience=zero,
            todo=todo,
            cursor=izero - 1,
            goal=jnp.full(BRANCHES, NOWHERE, jnp.int32),
            found=Found(nan, nan, nan, nan, nan, nan),
            count=izero,
            unresolved=fixed.count < 0,
            near_bifurcation=jnp.any(fixed.kind == Kind.DEGENERATE),
            done=~needed(located),
        )

    def advance(self, problem: Oscillating, hunt: Hunt) -> Hunt:
        planar = problem.located.planar
        name = str(planar.lower.dtype)
        closed = trace(planar.field, (2,), dtype=planar.lower.dtype)
        aimed = jnp.arange(MAX_CYCLES) == hunt.aim
        log_multiplier = jnp.sum(jnp.where(aimed, hunt.found.log_multiplier, 0.0))
        known_slope = jnp.exp(log_multiplier * hunt.probe.sense)
        tables = {"found": hunt.found, "todo": hunt.todo, "goal": hunt.goal}

        def round_(_, h):
            probe, returned, end = travel(
                closed,
                h.probe,
                h.section,
                jnp.where(h.careful, TOLERANCE[name][1], TOLERANCE[name][0]),
                STEPS_PER_ROUND,
                h.done | (h.outcome != ON),
            )
            after = self._returned(closed, replace(h, probe=probe), end, known_slope, name)
            return together(choose(returned, after, replace(h, probe=probe)))

        # the tables stay outside the loop: what needs them waits
        blank = replace(hunt, found=None, todo=None, goal=None)
        after = jax.lax.fori_loop(0, ROUNDS_PER_ADVANCE, round_, blank)
        after = self._settle(problem, closed, replace(after, **tables), name)
        return choose(hunt.done, hunt, after)

    def _returned(self, closed, hunt: Hunt, end, known_slope, name) -> Hunt:
        """What follows a return: the next start on this section, or an outcome."""
        section, probe = hunt.section, hunt.probe
        start, sense = hunt.start, probe.sense
        # the return map and its slope at the start of this loop
        through0 = section.through(velocity(closed, *section.at(start))) * sense
        through1 = section.through(velocity(closed, probe.x, probe.y)) * sense
        growth = jnp.exp(jnp.clip(probe.integral[0], -700.0, 80.0))
        slope = through0 / jnp.where(through1 == 0.0, 1.0, through1) * growth
        shift = end - start
        contracting = slope < 1.0
        newton = shift / jnp.where(contracting, 1.0 - slope, 1.0)

        # the first crossing of a known cycle's section is no return yet
        entering = hunt.loops < 0
        # a slope near 1 may be the integrator's doing: look again, carefully, before it decides anything
        weak = ~entering & ~hunt.careful & (jnp.abs(slope - 1.0) < CAREFUL)
        looked = ~entering & ~weak
        # the map is as good as linear from here to the known cycle: arrived
        arrived = looked & (hunt.aim >= 0) & (shift * start < 0.0) & (known_slope < 1.0)
        arrived &= jumps.plain(start, shift, slope, 0.0, 0.0, known_slope)
        # something may lie between the last start and this one: half the jump
        s0, d0, m0 = hunt.last
        gap, jumped = jumps.taken(hunt.last, hunt.start, hunt.loops)
        dubious = looked & jumped & ~jumps.plain(s0, d0, m0, start, shift, slope)

        # a cycle lies between a start that moves up and one that moves down
        up, down = hunt.bracket
        up = jnp.where(looked & ~dubious & (shift > 0.0), start, up)
        down = jnp.where(looked & ~dubious & (shift < 0.0), start, down)
        bracketed = jnp.isfinite(up) & jnp.isfinite(down)
        # Newton's step, but no longer than twice the last jump, nor near the end of the section
        longest = jnp.maximum(8.0 * jnp.abs(shift), 2.0 * hunt.jump)
        reach = jnp.where(contracting, jnp.minimum(jnp.abs(newton), longest), longest)
        room = jnp.where(shift > 0.0, section.high - start, start - section.low)
        limited = reach > 0.7 * room
        reach = jnp.maximum(jnp.minimum(reach, 0.7 * room), jnp.minimum(jnp.abs(shift), room))
        target = start + jnp.sign(shift) * reach
        within = (target > jnp.minimum(up, down)) & (target < jnp.maximum(up, down)) & contracting
        target = jnp.where(bracketed & ~within, 0.5 * (up + down), target)
        target = jnp.where(dubious, s0 + 0.5 * gap, target)
        reach = jnp.where(dubious, 0.25 * jnp.abs(gap), reach)
        target = jnp.where(weak, start, jnp.where(entering, end, target))

        small = jnp.abs(newton) < CONVERGED[name] * section.length
        # at a double root of the displacement every Newton step takes half of 1 - slope away
        bend = jnp.where(gap == 0.0, 0.0, (slope - m0) / jnp.where(gap == 0.0, 1.0, gap))
        simple = (hunt.loops > 0) & (jnp.abs(newton * bend) < SIMPLE * jnp.abs(slope - 1.0))
        cycle = looked & contracting & simple & small & (jnp.abs(shift) < 1e-2 * section.length)
        still = jnp.abs(shift) < STILL[name] * section.length
        neutral = looked & still & (~simple | (jnp.abs(slope - 1.0) < NEUTRAL[name])) & (hunt.loops > 0)
        narrow = looked & limited & ~bracketed & (room < 0.3 * (section.high - section.low))
        outcome = jnp.where(narrow, RESET, ON)
        outcome = jnp.where(cycle, CYCLE, outcome)
        outcome = jnp.where(neutral, NEUTRAL_CYCLE, outcome)
        outcome = jnp.where(arrived, ARRIVED, outcome)
        outcome = jnp.where(dubious, ON, outcome)
        on = outcome == ON
        again = Trajectory.start(section.at(target), sense, probe.steps)
        move = on & looked & ~dubious
        tells = looked & (hunt.side == 0.0) & (jnp.abs(shift) > SIDE[name] * section.length)
        return replace(
            hunt,
            probe=choose(on, again, probe),
            start=jnp.where(on, target, start + newton),
            last=tuple(jnp.where(move, a, b) for a, b in zip((start, shift, slope), hunt.last)),
            bracket=(up, down),
            jump=jnp.where(on & looked, reach, hunt.jump),
            outcome=outcome.astype(hunt.outcome.dtype),
            side=jnp.where(tells, jnp.sign(shift), hunt.side),
            loops=hunt.loops + 1,
            careful=hunt.careful | weak,
        )

    def _settle(self, problem, closed, hunt: Hunt, name) -> Hunt:
        """Everything that needs the tables: cycles found, ends of probes, new sections, new probes."""
        fixed, near = problem.located.fixed, problem.near
        section, probe, found = hunt.section, hunt.probe, hunt.found
        sense = probe.sense
        converged, arrived = hunt.outcome == CYCLE, hunt.outcome == ARRIVED

        # --- a cycle: new, or met before
        log_forward = probe.integral[0] * sense
        time = jnp.where(probe.time > 0.0, probe.time, 1.0)
        mean_x, mean_y = (total / time for total in probe.integral[1:])
        extent = section.length + jnp.hypot(mean_x - section.x, mean_y - section.y)
        x, y = section.at(hunt.start)
        log_forward, mean_x, mean_y, extent, x, y = together((log_forward, mean_x, mean_y, extent, x, y))
        close = lambda a, b, scale: jnp.abs(a - b) < SAME * scale  # noqa: E731
        match = (
            close(found.period, probe.time, probe.time)
            & close(found.mean_x, mean_x, extent)
            & close(found.mean_y, mean_y, extent)
            & close(found.log_multiplier, log_forward, jnp.abs(log_forward) + 1e-3)
        )
        known = jnp.any(match) | arrived
        index = jnp.where(arrived, hunt.aim, jnp.where(known, jnp.argmax(match), hunt.count))
        write = converged & ~known
        here = (jnp.arange(MAX_CYCLES) == index) & write
        put = lambda old, new: jnp.where(here, new, old)  # noqa: E731
        found = Found(
            x=put(found.x, x),
            y=put(found.y, y),
            period=put(found.period, probe.time),
            log_multiplier=put(found.log_multiplier, log_forward),
            mean_x=put(found.mean_x, mean_x),
            mean_y=put(found.mean_y, mean_y),
        )
        count = hunt.count + write.astype(hunt.count.dtype)
        # moving left along the section is arriving from the right of the flow (from its left, backwards)
        from_right = hunt.side * sense > 0.0
        sides = jnp.arange(2 * MAX_CYCLES)
        mine = (sides // 2 == index) & (converged | arrived)
        reached = mine & ((sides % 2 == 1) == from_right) & (hunt.side != 0.0)
        todo_sides = (hunt.todo[_SIDES:] | (mine & write)) & ~reached
        todo = jnp.concatenate([hunt.todo[:_SIDES], todo_sides])

        # --- other ends of the probe
        dx, dy = probe.x - fixed.point[:, 0], probe.y - fixed.point[:, 1]
        attracting = jnp.where(sense > 0.0, stable(fixed.kind), unstable(fixed.kind))
        inside = near.inside(dx, dy) & attracting
        caught = jnp.any(inside)
        close_by = dx * dx + dy * dy < CONNECTION[name] ** 2
        connected = jnp.any((fixed.kind == Kind.SADDLE) & close_by) & (probe.time > 0.0)
        lower, upper = problem.located.planar.lower, problem.located.planar.upper
        out = (probe.x < lower[0]) | (probe.x > upper[0]) | (probe.y < lower[1]) | (probe.y > upper[1])
        escaped = out & ((sense < 0.0) | ~fixed.trapping) & (probe.steps > STEPS_PER_ROUND)
        too_long = (hunt.loops >= MAX_LOOPS) | (probe.steps >= MAX_STEPS) | (hunt.patience > 4.0 * MAX_PERIOD)
        neutral = hunt.outcome == NEUTRAL_CYCLE
        begins = hunt.outcome == IDLE
        # after a jump that no return has confirmed something may lie between: half the jump
        waited = (hunt.outcome == ON) & (probe.time > hunt.patience)
        gap, jumped = jumps.taken(hunt.last, hunt.start, hunt.loops)
        jumped &= hunt.outcome == ON
        doubtful = jumped & (caught | escaped | waited)
        caught_early = caught & doubtful
        caught, escaped, waited = (flag & ~doubtful for flag in (caught, escaped, waited))
        good_end = converged | arrived | (~begins & (caught | connected | escaped)) | neutral | begins
        gave_up = ~good_end & (too_long | ~jnp.isfinite(probe.x + probe.y))
        ended = good_end | gave_up
        # --- a new section where this one is used up, or where no return came in good time
        renewed = ~ended & (waited | (hunt.outcome == RESET))
        patience = jnp.where(waited, 2.0 * hunt.patience, hunt.patience)
        doubtful &= ~ended
        # no cycle meets the ellipse, so a look from its edge tells as much as one from inside; else half
        # the jump
        edge = jumps.edge(near, jnp.argmax(inside), section, fixed, hunt.start - gap, hunt.start)
        halfway = jnp.where(caught_early & jnp.isfinite(edge), edge, hunt.start - 0.5 * gap)
        ended, renewed, patience, gave_up, connected, neutral, doubtful, halfway = together(
            (ended, renewed, patience, gave_up, connected, neutral, doubtful, halfway)
        )
        again = Trajectory.start(section.at(halfway), sense, probe.steps)
        # --- where this probe went, if it is a saddle's branch
        goal = jnp.where(escaped, OUT, jnp.where(caught, jnp.argmax(inside), NOWHERE))
        goal = jnp.where(converged | arrived, MAX_FIXED_POINTS + index, goal)
        goal = jnp.where((jnp.arange(BRANCHES) == hunt.cursor) & ended & ~begins, goal, hunt.goal)
        state = replace(
            hunt,
            probe=choose(doubtful, again, probe),
            start=jnp.where(doubtful, halfway, hunt.start),
            jump=jnp.where(doubtful, 0.5 * jnp.abs(halfway - hunt.start + gap), hunt.jump),
            found=found,
            count=count,
            todo=todo,
            goal=goal.astype(hunt.goal.dtype),
            patience=patience,
            outcome=jnp.zeros_like(hunt.outcome),
            unresolved=hunt.unresolved | gave_up | (count > MAX_CYCLES),
            near_bifurcation=hunt.near_bifurcation | (connected & ~begins) | neutral,
        )
        state = choose(ended, self._next_probe(problem, state), state)
        return choose(ended | renewed, self._section(closed, state, renewed), state)

    def _section(self, closed, hunt: Hunt, renewed) -> Hunt:
        """A section through the present state and a loop that starts there; for a new probe, the section of a
        known cycle that it may be on its way to."""
        p, zero = hunt.probe, jnp.zeros_like(hunt.start)
        aimed = (hunt.aim >= 0) & ~renewed
        pick = lambda row: jnp.sum(jnp.where(jnp.arange(MAX_CYCLES) == hunt.aim, row, 0.0))  # noqa: E731
        x, y = jnp.where(aimed, pick(hunt.found.x), p.x), jnp.where(aimed, pick(hunt.found.y), p.y)
        nan = jnp.full_like(zero, jnp.nan)
        return replace(
            hunt,
            section=section_at(closed, x, y, p.sense),
            probe=Trajectory.start((p.x, p.y), p.sense, p.steps),
            start=zero,
            last=(zero, zero, zero),
            bracket=(nan, nan),
            jump=zero,
            loops=jnp.where(aimed, -1, 0).astype(hunt.loops.dtype),
            aim=jnp.where(aimed, hunt.aim, -1),
        )

    def _next_probe(self, problem: Oscillating, hunt: Hunt) -> Hunt:
        """Takes the next probe that is to be done, or ends the search."""
        located, near = problem.located, problem.near
        fixed, planar = located.fixed, located.planar
        name = str(planar.lower.dtype)
        # the border first: it tells most
        rank = jnp.arange(_PROBES)
        order = jnp.where(rank == _BORDER, -1, rank)
        cursor = jnp.argmin(jnp.where(hunt.todo, order, _PROBES))
        none = ~jnp.any(hunt.todo)
        slot, branch = cursor // 4, cursor % 4
        here = jnp.arange(MAX_FIXED_POINTS) == slot
        pick = lambda row: jnp.sum(jnp.where(here, row, 0.0))  # noqa: E731
        px, py = pick(fixed.point[:, 0]), pick(fixed.point[:, 1])
        p11, p12, p22 = (pick(row) for row in near.shape)
        size = pick(near.size)
        kind = jnp.sum(jnp.where(here, fixed.kind, 0))
        ux, uy = DIRECTION
        around = jnp.sqrt(0.9 * size / jnp.maximum(p11 * ux * ux + 2 * p12 * ux * uy + p22 * uy * uy, 1e-30))
        around = jnp.where(size > 0.0, around, OFFSET[name])
        (bx, by), outwards = branch_start(fixed, slot, branch, OFFSET[name])
        saddle = kind == Kind.SADDLE
        x = jnp.where(saddle, bx, px + around * ux)
        y = jnp.where(saddle, by, py + around * uy)
        forward = jnp.where(saddle, outwards, unstable(kind))
        # the border: a corner's neighbour
        border = cursor == _BORDER
        lower, upper = planar.lower, planar.upper
        x = jnp.where(border, upper[0], x)
        y = jnp.where(border, lower[1] + 0.83 * (upper[1] - lower[1]), y)
        forward |= border
        # a side of a cycle: against its stability, from just beside it
        k = cursor - _SIDES
        beside = k >= 0
        at = jnp.arange(MAX_CYCLES) == k // 2
        get = lambda row: jnp.sum(jnp.where(at, row, 0.0))  # noqa: E731
        cx, cy, log_multiplier = get(hunt.found.x), get(hunt.found.y), get(hunt.found.log_multiplier)
        closed = trace(planar.field, (2,), dtype=planar.lower.dtype)
        fx, fy = velocity(closed, cx, cy)
        speed = jnp.hypot(fx, fy)
        away = OFFSET[name] * jnp.where(k % 2 == 0, 1.0, -1.0) / jnp.where(speed == 0.0, 1.0, speed)
        x, y = jnp.where(beside, cx - away * fy, x), jnp.where(beside, cy + away * fx, y)
        forward = jnp.where(beside, log_multiplier > 0.0, forward)
        zero, dtype = jnp.zeros_like(hunt.start), hunt.start.dtype
        # a known cycle that attracts this probe, if it is not the one it starts beside
        attracts = (hunt.found.log_multiplier * jnp.where(forward, 1.0, -1.0) < 0.0) & ~at
        aim = jnp.where(jnp.any(attracts), jnp.argmax(attracts), -1)
        longest = jnp.max(jnp.where(attracts, hunt.found.period, 0.0))
        state = replace(
            hunt,
            probe=Trajectory.start(
                (x, y), jnp.where(forward, 1.0, -1.0).astype(dtype), jnp.zeros_like(hunt.probe.steps)
            ),
            todo=hunt.todo & (rank != cursor),
            cursor=cursor.astype(hunt.cursor.dtype),
            side=zero,
            careful=jnp.asarray(False),
            patience=jnp.maximum(FIRST_SECTION, 2.5 * longest),
            aim=aim.astype(hunt.aim.dtype),
            done=hunt.done | none,
        )
        return state

    def finish(self, problem: Oscillating, hunt: Hunt) -> Sketches:
        lo, hi = problem.located.fixed.divergence
        absent = (problem.located.fixed.count >= 0) & ((hi < 0.0) | (lo > 0.0))
        return Sketches(
            hunt.found, hunt.goal, hunt.count, hunt.unresolved | ~hunt.done, hunt.near_bifurcation, absent
        )
