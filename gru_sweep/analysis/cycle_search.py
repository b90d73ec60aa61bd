r"""All limit cycles of a planar vector field, stable and unstable, from one probe per canonical region.

In the plane every bounded trajectory ends at a fixed point, a cycle or a chain of saddles
(Poincare-Bendixson). The basin of a stable cycle has on its boundary a source, a saddle, the border of the
box, or else unstable cycles on both sides; so where no saddles are connected every stable cycle is the end of
one of these probes, or lies next to an unstable cycle that is the end of one run backwards:

- one point of the border of the (trapping) box, forwards;
- each source forwards and each sink backwards, from the ellipse proven around it (`neighbourhoods`);
- each saddle along both branches of both manifolds;
- each side of each cycle found at which no probe has arrived.

A probe is followed to its end by its returns to a section (`sections`), and P(s) = s is solved by Newton steps.
Long jumps are doubled from loop to loop, so that a weak focus is left or reached in a few dozen loops however
weak it is, and the cubic through the displacements and slopes at both ends of a jump must not come near zero,
or the jump is halved. Without returns the section is set anew at doubled times (Brent).
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..records import MAX_FIXED_POINTS, Kind
from .arithmetic import together, trace
from .fixed_points import _replace, stable, unstable
from .neighbourhoods import Located, Neighbourhoods, needed
from .sections import Section, Trajectory, choose, section_at, travel, velocity

MAX_CYCLES = 8
"""Cycles kept per system; a system with more is unresolved."""
MAX_PERIOD = 10_000.0
"""Longest period looked for, in units of time."""
TOLERANCE = {"float64": (1e-7, 1e-12), "float32": (1e-5, 1e-6)}
"""Local error of a step of a probe, relative to the speed (so to the size of a small cycle): as a rule, and where
a return map's slope is within `CAREFUL` of 1, so that errors of the flow itself could turn the answer."""
CAREFUL = 0.05
"""|log slope| of a return map below which the probe goes on with the tight tolerance."""
CONVERGED = {"float64": 1e-4, "float32": 1e-3}
"""Newton step, in units of the local length |f| / |n.J tau|, at which a probe has found its cycle."""
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
STEPS_PER_ADVANCE = 8
"""Taylor steps between two looks at events."""
DIRECTION = (math.cos(1.0), math.sin(1.0))
"""Direction in which a source or sink is left: none that a symmetry would single out."""

_BORDER = 4 * MAX_FIXED_POINTS  # probes 4 i + branch belong to fixed point i, then the border, then the cycles
_SIDES = _BORDER + 1
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
    side: Float[Array, ""]
    loops: Int[Array, ""]
    careful: Bool[Array, ""]
    aim: Int[Array, ""]
    patience: Float[Array, ""]
    cursor: Int[Array, ""]
    todo: Bool[Array, " 81"]
    found: Found
    count: Int[Array, ""]
    unresolved: Bool[Array, ""]
    near_bifurcation: Bool[Array, ""]
    done: Bool[Array, ""]


class Sketches(eqx.Module):
    """The cycles met, roughly, and what is known of the search as a whole."""

    found: Found
    count: Int[Array, ""]
    unresolved: Bool[Array, ""]
    near_bifurcation: Bool[Array, ""]
    absent: Bool[Array, ""]


class Search:
    """The search for all cycles, as a `records.Solver` of `Oscillating` problems."""

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
        hunt = Hunt(
            probe=Trajectory.start(zero, zero, zero + 1.0, izero),
            section=Section(zero, zero, zero, zero, zero, zero, zero),
            start=zero,
            last=(zero, zero, zero),
            bracket=(zero, zero),
            jump=zero,
            side=zero,
            loops=izero,
            careful=no,
            aim=izero - 1,
            patience=zero,
            cursor=izero,
            todo=todo,
            found=Found(nan, nan, nan, nan, nan, nan),
            count=izero,
            unresolved=fixed.count < 0,
            near_bifurcation=jnp.any(fixed.kind == Kind.DEGENERATE),
            done=no,
        )
        begun = self._next_probe(problem, hunt)
        begun = self._section(trace(located.planar.field, (2,), dtype=dtype), begun, jnp.asarray(True))
        hunt = choose(needed(located), begun, _replace(hunt, done=jnp.asarray(True)))
        return hunt

    def advance(self, problem: Oscillating, hunt: Hunt) -> Hunt:
        planar = problem.located.planar
        name = str(planar.lower.dtype)
        closed = trace(planar.field, (2,), dtype=planar.lower.dtype)
        probe, returned, end = travel(
            closed,
            hunt.probe,
            hunt.section,
            jnp.where(hunt.careful, TOLERANCE[name][1], TOLERANCE[name][0]),
            STEPS_PER_ADVANCE,
            hunt.done,
        )
        after = self._after(problem, closed, _replace(hunt, probe=probe), returned, end, name)
        return choose(hunt.done, hunt, after)

    def _after(self, problem, closed, hunt: Hunt, returned, end, name) -> Hunt:
        """What follows a round: a return, the end of the probe, a new section, or nothing."""
        fixed, near = problem.located.fixed, problem.near
        section, probe, found = hunt.section, hunt.probe, hunt.found
        sense = probe.sense

        # --- the return map at the start of this loop
        through0 = section.through(velocity(closed, *section.at(hunt.start))) * sense
        through1 = section.through(velocity(closed, probe.x, probe.y)) * sense
        growth = jnp.exp(jnp.clip(probe.integral[0], -700.0, 80.0))
        slope = through0 / jnp.where(returned, through1, 1.0) * growth
        shift = end - hunt.start
        side = jnp.where((hunt.side == 0.0) & (hunt.loops >= 0), jnp.sign(shift), hunt.side)
        s0, d0, m0 = hunt.last
        first = hunt.loops == 0
        # the cubic through the last two displacements: does it come near zero in between?
        gap = hunt.start - s0
        worst = jnp.asarray(jnp.inf, shift.dtype)
        for u in (0.25, 0.5, 0.75):
            h00, h10 = (1 + 2 * u) * (1 - u) ** 2, u * (1 - u) ** 2
            h01, h11 = u * u * (3 - 2 * u), u * u * (u - 1)
            value = h00 * d0 + h10 * gap * (m0 - 1.0) + h01 * shift + h11 * gap * (slope - 1.0)
            worst = jnp.minimum(worst, value * jnp.sign(shift))
        same_sign = d0 * shift > 0.0
        dubious = ~first & (hunt.loops > 0) & same_sign & (worst < 0.05 * jnp.minimum(jnp.abs(d0), jnp.abs(shift)))
        dubious &= jnp.abs(gap) > 4.0 * jnp.abs(d0)  # a loop of its own is no jump

        # --- on the section of a known cycle: coming in sight of it, then arriving
        entering = returned & (hunt.loops < 0)
        pick = lambda row: jnp.sum(jnp.where(jnp.arange(MAX_CYCLES) == hunt.aim, row, 0.0))  # noqa: E731
        known_slope = jnp.exp(pick(found.log_multiplier) * sense)
        clear = jnp.asarray(jnp.inf, shift.dtype)
        for u in (0.25, 0.5, 0.75):
            h00, h10, h11 = (1 + 2 * u) * (1 - u) ** 2, u * (1 - u) ** 2, u * u * (u - 1)
            value = h00 * shift - hunt.start * (h10 * (slope - 1.0) + h11 * (known_slope - 1.0))
            clear = jnp.minimum(clear, value * jnp.sign(shift))
        arriving = returned & ~entering & (hunt.aim >= 0) & (shift * hunt.start < 0.0)
        arriving &= (clear > 0.05 * jnp.abs(shift) * (1.0 - jnp.minimum(known_slope, 1.0))) & (known_slope < 1.0)
        arriving &= jnp.abs(hunt.start) < section.length

        # --- bracket: the cycle lies between a start that moves up and one that moves down
        up, down = hunt.bracket
        up = jnp.where(shift > 0.0, hunt.start, up)
        down = jnp.where(shift < 0.0, hunt.start, down)
        bracketed = jnp.isfinite(up) & jnp.isfinite(down)
        # --- the next start
        contracting = slope < 1.0
        newton = shift / jnp.where(contracting, 1.0 - slope, 1.0)
        longest = jnp.maximum(8.0 * jnp.abs(shift), 2.0 * hunt.jump)
        reach = jnp.where(contracting, jnp.minimum(jnp.abs(newton), longest), longest)
        room = jnp.where(shift > 0.0, section.high - hunt.start, hunt.start - section.low)
        limited = reach > 0.7 * room
        reach = jnp.maximum(jnp.minimum(reach, 0.7 * room), jnp.minimum(jnp.abs(shift), room))
        target = hunt.start + jnp.sign(shift) * reach
        lower, upper = jnp.minimum(up, down), jnp.maximum(up, down)
        outside = bracketed & ~((target > lower) & (target < upper) & contracting)
        target = jnp.where(outside, 0.5 * (up + down), target)
        back = s0 + 0.5 * gap
        target = jnp.where(dubious, back, target)
        reach = jnp.where(dubious, 0.25 * jnp.abs(gap), reach)
        # a slope near 1 may be the integrator's doing: look again, carefully, before it decides anything
        weak = returned & ~entering & ~hunt.careful & (jnp.abs(slope - 1.0) < CAREFUL)
        target = jnp.where(weak, hunt.start, target)
        target = jnp.where(entering, end, target)
        small = jnp.abs(newton) < CONVERGED[name] * section.length
        converged = returned & ~entering & ~weak & contracting & small
        converged = (converged & (jnp.abs(shift) < 1e-2 * section.length)) | arriving
        neutral = returned & ~entering & ~weak & (jnp.abs(shift) < 1e-9 * section.length) & (jnp.abs(slope - 1.0) < NEUTRAL[name])
        reset = returned & ~entering & ~weak & limited & ~bracketed & (room < 0.3 * (section.high - section.low)) & ~converged

        end_on = hunt.start + newton
        keys = (slope, shift, side, dubious, up, down, target, reach, converged, neutral, reset, weak, entering, arriving, end_on)
        slope, shift, side, dubious, up, down, target, reach, converged, neutral, reset, weak, entering, arriving, end_on = (
            together(keys)
        )
        keep_loop = dubious | weak | entering

        # --- a cycle: new, or met before
        log_forward = probe.integral[0] * sense
        mean_x, mean_y = (total / probe.time for total in probe.integral[1:])
        close = lambda a, b, scale: jnp.abs(a - b) < SAME * scale  # noqa: E731
        extent = section.length + jnp.hypot(mean_x - section.x, mean_y - section.y)
        match = (
            close(found.period, probe.time, probe.time)
            & close(found.mean_x, mean_x, extent)
            & close(found.mean_y, mean_y, extent)
            & close(found.log_multiplier, log_forward, jnp.abs(log_forward) + 1e-3)
        )
        known = jnp.any(match) | arriving
        index = jnp.where(arriving, hunt.aim, jnp.where(known, jnp.argmax(match), hunt.count))
        here = jnp.arange(MAX_CYCLES) == index
        write = converged & ~known
        put = lambda old, new: jnp.where(here & write, new, old)  # noqa: E731
        point = section.at(end_on)
        found = Found(
            x=put(found.x, point[0]),
            y=put(found.y, point[1]),
            period=put(found.period, probe.time),
            log_multiplier=put(found.log_multiplier, log_forward),
            mean_x=put(found.mean_x, mean_x),
            mean_y=put(found.mean_y, mean_y),
        )
        count = hunt.count + write.astype(hunt.count.dtype)
        # arriving with positive shift means arriving from the right of the flow (of the left, backwards)
        from_right = side * sense > 0.0
        sides = jnp.arange(2 * MAX_CYCLES)
        mine = (sides // 2 == index) & converged
        arrived = mine & ((sides % 2 == 1) == from_right)
        todo = hunt.todo
        todo_sides = (todo[_SIDES:] | (mine & ~known)) & ~arrived
        todo = jnp.concatenate([todo[:_SIDES], todo_sides])

        # --- other ends of the probe
        dx, dy = probe.x - fixed.point[:, 0], probe.y - fixed.point[:, 1]
        attracting = jnp.where(sense > 0.0, stable(fixed.kind), unstable(fixed.kind))
        caught = jnp.any(near.inside(dx, dy) & attracting)
        saddle = fixed.kind == Kind.SADDLE
        connected = jnp.any(saddle & (jnp.hypot(dx, dy) < CONNECTION[name])) & ~returned
        lower, upper = problem.located.planar.lower, problem.located.planar.upper
        out = (probe.x < lower[0]) | (probe.x > upper[0]) | (probe.y < lower[1]) | (probe.y > upper[1])
        escaped = out & ((sense < 0.0) | ~fixed.trapping) & (probe.steps > STEPS_PER_ADVANCE)
        too_long = (
            (hunt.loops >= MAX_LOOPS) | (probe.steps >= MAX_STEPS) | (hunt.patience > 4.0 * MAX_PERIOD)
        ) & ~converged
        broken = ~jnp.isfinite(probe.x + probe.y)
        gave_up = (too_long | broken) & ~caught & ~escaped
        # what the search would have found beyond is unknown, what was found stands
        ended = converged | caught | connected | escaped | gave_up | neutral

        # --- go on along this section
        again = returned & ~ended
        start = jnp.where(again, target, hunt.start)
        on_section = Trajectory.start(*section.at(start), sense, probe.steps)
        went_on = _replace(
            hunt,
            probe=choose(again, on_section, probe),
            start=start,
            last=tuple(
                jnp.where(again & ~keep_loop, a, b)
                for a, b in zip((hunt.start, shift, slope), hunt.last)
            ),
            bracket=tuple(jnp.where(again & ~weak & ~entering, a, b) for a, b in zip((up, down), hunt.bracket)),
            jump=jnp.where(again & ~weak & ~entering, reach, hunt.jump),
            careful=hunt.careful | weak,
            side=jnp.where(returned & ~entering, side, hunt.side),
            loops=hunt.loops + returned.astype(hunt.loops.dtype),
            found=found,
            count=count,
            todo=todo,
            unresolved=hunt.unresolved | gave_up | (count > MAX_CYCLES),
            near_bifurcation=hunt.near_bifurcation | connected | neutral,
        )
        # --- or set a new one, or take the next probe
        waited = (probe.time > hunt.patience) & ~returned
        renewed = (reset | waited) & ~ended
        patience = jnp.where(waited, 2.0 * hunt.patience, hunt.patience)
        went_on = _replace(went_on, patience=patience)
        following = self._next_probe(problem, went_on)
        state = choose(ended, following, went_on)
        fresh = self._section(closed, state, renewed)
        return choose(ended | renewed, fresh, state)

    def _section(self, closed, hunt: Hunt, renewed) -> Hunt:
        """A section through the present state and a loop that starts there; for a new probe, the section of a
        known cycle that it may be on its way to."""
        p, zero = hunt.probe, jnp.zeros_like(hunt.start)
        aimed = (hunt.aim >= 0) & ~renewed
        pick = lambda row: jnp.sum(jnp.where(jnp.arange(MAX_CYCLES) == hunt.aim, row, 0.0))  # noqa: E731
        x, y = jnp.where(aimed, pick(hunt.found.x), p.x), jnp.where(aimed, pick(hunt.found.y), p.y)
        nan = jnp.full_like(zero, jnp.nan)
        return _replace(
            hunt,
            section=section_at(closed, x, y, p.sense),
            probe=Trajectory.start(p.x, p.y, p.sense, p.steps),
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
        # eigenvector of a saddle: unstable for branches 0 and 1, stable for 2 and 3
        a, b, c, d = (pick(fixed.jacobian[:, i, j]) for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
        value = pick(jnp.where(branch < 2, fixed.eigenvalue[:, 0, 0], fixed.eigenvalue[:, 1, 0]))
        first = jnp.hypot(b, value - a) > jnp.hypot(value - d, c)
        vx, vy = jnp.where(first, b, value - d), jnp.where(first, value - a, c)
        norm = jnp.hypot(vx, vy)
        others = jnp.where(here, jnp.inf, jnp.hypot(fixed.point[:, 0] - px, fixed.point[:, 1] - py))
        nearest = jnp.min(jnp.where(jnp.isnan(others), jnp.inf, others))
        offset = jnp.minimum(OFFSET[name], 0.01 * nearest) * jnp.where(branch % 2 == 0, 1.0, -1.0)
        offset = offset / jnp.where(norm == 0.0, 1.0, norm)
        saddle = kind == Kind.SADDLE
        x = px + jnp.where(saddle, offset * vx, around * ux)
        y = py + jnp.where(saddle, offset * vy, around * uy)
        forward = jnp.where(saddle, branch < 2, unstable(kind))
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
        state = _replace(
            hunt,
            probe=Trajectory.start(
                x, y, jnp.where(forward, 1.0, -1.0).astype(dtype), jnp.zeros_like(hunt.probe.steps)
            ),
            cursor=cursor.astype(hunt.cursor.dtype),
            todo=hunt.todo & (rank != cursor),
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
        return Sketches(hunt.found, hunt.count, hunt.unresolved | ~hunt.done, hunt.near_bifurcation, absent)


