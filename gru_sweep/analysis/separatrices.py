r"""The separatrices: the four branches of every saddle, followed to where they come from or go to.

A branch starts on the eigenvector, a small offset from the saddle, and ends

- at a fixed point, where it enters the ellipse proven around it (`neighbourhoods`): no trajectory leaves it
  again, and each crosses its edge once, so the angle of that crossing orders the branches that end there;
- at the border of the box, where it leaves it (backwards, out of a trapping box);
- on one side of a cycle, where its returns to the cycle's section shrink as the multiplier mu foretells. The
  return map is conjugate to s -> mu s by s (1 + a s / (1 - mu) + ...) (Koenigs 1884), so that
  u = log|s (1 + a s / (1 - mu))| / log mu, modulo 1, orders the branches along that side.

These are the true trajectories, followed apart from the search for cycles; the two must agree. Branches in
counterclockwise order around their saddle: unstable, stable, unstable, stable.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..records import MAX_FIXED_POINTS, Kind
from .arithmetic import RECURRENCES, together, trace
from .cycle_search import MAX_CYCLES, OUT
from .enclosures import Cyclic, Enclosures
from .fixed_points import FixedPoints, stable, unstable
from .flow import horner
from .saddles import BRANCHES, branch_start
from .sections import Trajectory, expand, moved
from .states import choose, replace

OUTER, INNER = MAX_FIXED_POINTS, MAX_FIXED_POINTS + 1
"""End of a branch on a side of cycle k: OUTER + 2 k, INNER + 2 k; below are the fixed points."""
BORDER = OUT
"""End of a branch that leaves the box."""
NONE, UNKNOWN = -1, -2
"""End of a branch of what is no saddle, and of one that could not be followed to its end."""

TOLERANCE = {"float64": 1e-11, "float32": 1e-6}
"""Local error of a step, in units of its length."""
OFFSET = {"float64": 1e-5, "float32": 1e-3}
"""Distance from the saddle at which a branch starts; its error is about the square of that."""
CONNECTION = {"float64": 1e-6, "float32": 1e-4}
"""A branch with a step that ends this close to a saddle may be a connection; one that passes an order of
magnitude closer is sure to have one."""
APART = {"float64": 1e-11, "float32": 1e-3}
"""Places (radians, or turns of a section) closer than this are not told apart."""
LINEAR = 0.3
"""Deviation of s_1/s_0 from mu, in units of 1 - mu, below which nothing lies between s_0 and the cycle."""
PHASE = 1e-3
"""Estimated error of a phase u with which a branch is taken to have arrived."""
ROUNDING = {"float64": 1e-8, "float32": 1e-3}
"""|s|, in units of the section's length, below which ratios of returns are no longer looked at."""
MAX_RETURNS = 60
"""Returns to one cycle's section after which its end is taken without a phase."""
BISECTIONS = 30
"""Halvings of a step in which a branch ends."""
MAX_STEPS = 4_000
"""Steps of one branch after which it is given up."""
STEPS_PER_ADVANCE = 12
"""Taylor steps between two looks at ends."""


class Encircled(eqx.Module):
    """A problem with its cycles and what they enclose."""

    cyclic: Cyclic
    enclosures: Enclosures


class Separatrices(eqx.Module):
    """Where the branches end, and their places there counterclockwise.

    `end` is `NONE` for what is no saddle; `rank` counts from 0 among the branches with the same end, around a
    fixed point or along a curve; branches whose places could not be told apart share a rank, and -1 is not
    known. `connected`: a branch passes a saddle too closely to say on which side.
    """

    end: Int[Array, "16 4"]
    rank: Int[Array, "16 4"]
    connected: Bool[Array, ""]
    complete: Bool[Array, ""]


class _State(eqx.Module):
    index: Int[Array, ""]
    probe: Trajectory
    cycle: Int[Array, ""]
    last: Float[Array, ""]
    returns: Int[Array, ""]
    end: Int[Array, " 64"]
    rank: Int[Array, " 64"]
    place: Float[Array, " 64"]
    close: Bool[Array, " 64"]
    connected: Bool[Array, ""]
    done: Bool[Array, ""]


def wanted(fixed: FixedPoints):
    """Whether there are saddles whose branches can be followed."""
    return (fixed.count >= 0) & jnp.any(fixed.kind == Kind.SADDLE) & ~jnp.any(fixed.kind == Kind.DEGENERATE)


class Follow:
    """All branches of all saddles of a system, as a `records.Solver` of `Encircled` problems."""

    compiler_options = RECURRENCES

    def init(self, problem: Encircled) -> _State:
        fixed = problem.cyclic.fixed
        dtype = problem.cyclic.planar.lower.dtype
        zero, izero, no = jnp.zeros((), dtype), jnp.zeros((), jnp.int32), jnp.asarray(False)
        saddle = jnp.repeat(fixed.kind == Kind.SADDLE, 4)
        known = problem.cyclic.cycles.complete & problem.enclosures.ok
        return _State(
            index=izero - 1,
            probe=Trajectory.start((zero, zero), zero + 1.0, izero),
            cycle=izero - 1,
            last=zero,
            returns=izero,
            end=jnp.where(saddle, UNKNOWN, NONE).astype(jnp.int32),
            rank=jnp.full(BRANCHES, -1, jnp.int32),
            place=jnp.zeros(BRANCHES, dtype),
            close=jnp.zeros(BRANCHES, bool),
            connected=no,
            done=~(wanted(fixed) & known),
        )

    def advance(self, problem: Encircled, state: _State) -> _State:
        planar = problem.cyclic.planar
        name = str(planar.lower.dtype)
        closed = trace(planar.field, (2,), dtype=planar.lower.dtype)
        look = _Look(problem, state.probe.sense)
        idle = state.index < 0

        def step(_, carry):
            p, frozen, near = carry
            x, y, along, h = expand(closed, p, TOLERANCE[name])
            new = moved(p, x, y, along, h)
            new, h = together((new, h))
            event = look.event(p, new) | frozen
            near |= ~event & look.at_saddle(new.x, new.y)
            p = choose(event, p, new)
            return eqx.tree_at(lambda q: q.steps, p, p.steps + 1), event, near

        probe, event, near = jax.lax.fori_loop(
            0, STEPS_PER_ADVANCE, step, (state.probe, idle | state.done, jnp.asarray(False))
        )
        event &= ~idle & ~state.done
        # the step that has an end in it once more
        x, y, along, h = expand(closed, probe, TOLERANCE[name])
        x, y, along, h = together((x, y, along, h))
        full = moved(probe, x, y, along, h)
        caught, out, crossed = look.ends(probe, full)
        target = jnp.argmax(caught)
        is_caught, is_out = jnp.any(caught), out & ~jnp.any(caught)
        which = jnp.argmax(crossed)
        returned = jnp.any(crossed) & ~is_caught & ~is_out

        def inner(_, bracket):
            lo, hi = bracket
            t = 0.5 * (lo + hi)
            beyond = look.beyond(horner(x, t), horner(y, t), is_caught, target, is_out, which)
            return together((jnp.where(beyond, lo, t), jnp.where(beyond, t, hi)))

        _, to = jax.lax.fori_loop(0, BISECTIONS, inner, (jnp.zeros_like(h), h))
        on = moved(probe, x, y, along, jnp.where(event, to, 0.0))

        # --- a return to a cycle's section
        section = [jnp.sum(jnp.where(jnp.arange(MAX_CYCLES) == which, row, 0.0)) for row in look.section]
        x0, y0, nx, ny, _, _, length = section
        s = (on.y - y0) * nx - (on.x - x0) * ny
        chosen = jnp.arange(MAX_CYCLES) == which
        log_mu = -jnp.abs(jnp.sum(jnp.where(chosen, problem.cyclic.cycles.log_multiplier, 0.0)))
        mu = jnp.exp(log_mu)
        returned &= event
        tiny = jnp.abs(s) < ROUNDING[name] * length
        before = jnp.abs(state.last)
        # what a strong contraction leaves is rounding, of either sign
        shrunk = (jnp.abs(s) < before) & ((state.last * s > 0.0) | (tiny & (mu < ROUNDING[name])))
        again = returned & (state.cycle == which) & shrunk & (before > ROUNDING[name] * length)
        last = jnp.where(again, state.last, 1.0)
        bend = s / (last * jnp.where(mu > 0.0, mu, 1.0)) - 1.0  # = a s_0 + ...
        off = jnp.abs(bend) / (1.0 - mu)
        plain = again & ((off < LINEAR) | tiny)
        # so close when it first came that not even the side can be told
        blurred = returned & (state.cycle == which) & (before <= ROUNDING[name] * length)
        # Koenigs' function at s_0: one term, its error about the next
        lifted = jnp.abs(last) * (1.0 + jnp.where(off < LINEAR, bend / (1.0 - mu), 0.0))
        phase_error = jnp.where(off < LINEAR, off * off, 1.0) / jnp.abs(log_mu)
        precise = plain & ((phase_error < PHASE) | tiny)
        turns = jnp.log(jnp.maximum(lifted, 1e-300 if name == "float64" else 1e-30)) / log_mu
        turns = turns - jnp.floor(turns)
        arrived = precise | (plain & (state.returns >= MAX_RETURNS))
        rotation = jnp.sum(jnp.where(chosen, problem.enclosures.sense, 0)) * probe.sense
        turns = jnp.where(rotation > 0.0, 1.0 - turns, turns)
        # a branch stays on its saddle's side of the cycle
        inside = jnp.any((problem.enclosures.winding[state.index // 4] != 0) & chosen)
        side = jnp.where(inside, INNER, OUTER) + 2 * which

        # --- the end, if it is one
        px, py = (jnp.sum(jnp.where(jnp.arange(MAX_FIXED_POINTS) == target, c, 0.0)) for c in look.points)
        cx, cy = 0.5 * (planar.lower + planar.upper)
        dx, dy = on.x - jnp.where(is_caught, px, cx), on.y - jnp.where(is_caught, py, cy)
        angle = jnp.arctan2(dy, dx) * (0.5 / math.pi)
        ended = event & (is_caught | is_out | arrived)
        end = jnp.where(is_caught, target, jnp.where(is_out, BORDER, side))
        place = jnp.where(arrived, turns, angle)
        unsure = jnp.where(tiny, 0.0, 2.0 * phase_error)
        slack = jnp.maximum(jnp.where(arrived, unsure, 0.0), APART[name])
        lost = ~event & ~idle & ((probe.steps >= MAX_STEPS) | ~jnp.isfinite(probe.x + probe.y))
        lost |= blurred
        # what cannot be reached here, such as a weak focus, the search for cycles may have reached; what both
        # have reached must agree
        goal = problem.cyclic.cycles.goal
        goal = jnp.sum(jnp.where(jnp.arange(BRANCHES) == state.index, goal, 0))
        cycle = goal - MAX_FIXED_POINTS
        held = problem.enclosures.winding[state.index // 4] != 0
        held = jnp.any(held & (jnp.arange(MAX_CYCLES) == cycle))
        on_cycle = (goal >= MAX_FIXED_POINTS) & (goal < BORDER)
        searched = jnp.where(on_cycle, OUTER + 2 * cycle + held, goal)
        differ = ended & (searched >= 0) & (searched != end)
        placeless = lost & (searched >= 0)
        ended, lost = ended & ~differ, lost | differ
        # crossing a section elsewhere is no event: on to the end of the step
        now = replace(
            state,
            probe=choose(event, choose(returned, replace(on, time=jnp.zeros_like(on.time)), full), probe),
            cycle=jnp.where(returned, which, state.cycle).astype(state.cycle.dtype),
            last=jnp.where(returned, s, state.last),
            returns=jnp.where(returned, jnp.where(again, state.returns + 1, 0), state.returns),
            connected=state.connected | (near & ~idle),
        )
        end = jnp.where(placeless, searched, end)
        now = choose(ended | placeless, _entered(now, end, place, slack, placeless), now)
        following = self._begin(problem, now, name)
        return choose(state.done, state, choose(ended | lost | idle, following, now))

    def _begin(self, problem: Encircled, state: _State, name: str) -> _State:
        """The branch that is next, at its start."""
        fixed = problem.cyclic.fixed
        slots = jnp.arange(BRANCHES)
        left = (slots > state.index) & jnp.repeat(fixed.kind == Kind.SADDLE, 4)
        index = jnp.argmax(left)
        point, forward = branch_start(fixed, index // 4, index % 4, OFFSET[name])
        sense = jnp.where(forward, 1.0, -1.0).astype(state.last.dtype)
        return replace(
            state,
            index=index.astype(state.index.dtype),
            probe=Trajectory.start(point, sense, jnp.zeros_like(state.index)),
            cycle=jnp.full_like(state.cycle, -1),
            last=jnp.zeros_like(state.last),
            returns=jnp.zeros_like(state.returns),
            done=~jnp.any(left),
        )

    def finish(self, problem: Encircled, state: _State) -> Separatrices:
        return Separatrices(
            end=state.end.reshape(MAX_FIXED_POINTS, 4),
            rank=jnp.where(state.close, -1, state.rank).reshape(MAX_FIXED_POINTS, 4),
            connected=state.connected,
            complete=state.done & ~jnp.any(state.end == UNKNOWN),
        )


class _Look:
    """What a branch may meet, prepared once for a round: ellipses, the border, saddles, sections."""

    def __init__(self, problem: Encircled, sense):
        cyclic = problem.cyclic
        fixed, cycles = cyclic.fixed, cyclic.cycles
        name = str(cyclic.planar.lower.dtype)
        self.points = fixed.point[:, 0], fixed.point[:, 1]
        self.near = cyclic.near
        self.attracting = jnp.where(sense > 0.0, stable(fixed.kind), unstable(fixed.kind))
        self.lower, self.upper = cyclic.planar.lower, cyclic.planar.upper
        self.opens = (sense < 0.0) | ~fixed.trapping
        self.section = tuple(problem.enclosures.section)
        attracts = jnp.where(sense > 0.0, cycles.log_multiplier < 0.0, cycles.log_multiplier > 0.0)
        self.cycles = attracts & (jnp.arange(MAX_CYCLES) < cycles.count)
        reach = jnp.where(fixed.kind == Kind.SADDLE, CONNECTION[name], -1.0)
        # a saddle that is itself a tiny distance from its own start
        self.reach = jnp.minimum(reach, 0.1 * OFFSET[name])

    def inside(self, x, y):
        return self.near.inside(x - self.points[0], y - self.points[1]) & self.attracting

    def outside(self, x, y):
        lo, hi = self.lower, self.upper
        return ((x < lo[0]) | (x > hi[0]) | (y < lo[1]) | (y > hi[1])) & self.opens

    def height(self, x, y):
        x0, y0, nx, ny = self.section[:4]
        return (x - x0) * nx + (y - y0) * ny

    def crossed(self, p: Trajectory, new: Trajectory):
        """Sections crossed in the sense of their flow, inside their windows, not by the first step after
        one."""
        x0, y0, nx, ny, low, high, _ = self.section
        before, after = self.height(p.x, p.y), self.height(new.x, new.y)
        # where the chord crosses is near enough to tell a window's crossing from others
        part = jnp.where(before == after, 0.0, before / (before - after))
        x, y = p.x + part * (new.x - p.x), p.y + part * (new.y - p.y)
        s = (y - y0) * nx - (x - x0) * ny
        within = (s > low) & (s < high)
        return (before < 0.0) & (after >= 0.0) & within & (p.time > 0.0) & self.cycles

    def ends(self, p: Trajectory, new: Trajectory):
        return self.inside(new.x, new.y), self.outside(new.x, new.y), self.crossed(p, new)

    def event(self, p: Trajectory, new: Trajectory):
        caught, out, crossed = self.ends(p, new)
        return jnp.any(caught) | out | jnp.any(crossed)

    def beyond(self, x, y, is_caught, target, is_out, which):
        caught = jnp.any(self.inside(x, y) & (jnp.arange(MAX_FIXED_POINTS) == target))
        above = jnp.any((self.height(x, y) >= 0.0) & (jnp.arange(MAX_CYCLES) == which))
        return jnp.where(is_caught, caught, jnp.where(is_out, self.outside(x, y), above))

    def at_saddle(self, x, y):
        dx, dy = x - self.points[0], y - self.points[1]
        return jnp.any((self.reach > 0.0) & (dx * dx + dy * dy < self.reach**2))


def _entered(state: _State, end, place, slack, placeless) -> _State:
    """The present branch put among those with the same end; one that cannot be told from them shares a
    rank."""
    here = jnp.arange(BRANCHES) == state.index
    mates = (state.end == end) & ~here
    gap = place - state.place
    near = mates & (jnp.abs(gap) < slack)
    shared = jnp.min(jnp.where(near, state.rank, BRANCHES))
    tied = mates & (state.rank == shared)
    after = mates & (gap < 0.0) & ~tied
    rank = jnp.where(jnp.any(near), shared, jnp.sum(mates & (gap > 0.0)))
    # a bridge between two groups, or a tie across the origin of places: no rank says that
    close = jnp.any(near & ~tied) | jnp.any(mates & (jnp.abs(gap) > 1.0 - slack)) | placeless
    close |= jnp.any(mates & state.close)
    return replace(
        state,
        end=jnp.where(here, end, state.end).astype(state.end.dtype),
        rank=jnp.where(here, rank, state.rank + after).astype(state.rank.dtype),
        place=jnp.where(here, place, state.place),
        close=state.close | ((here | mates) & close),
    )


def settings() -> dict[str, float]:
    """Names and values of what the branches depend on, for the file."""
    return {
        "separatrix_tolerance_float64": TOLERANCE["float64"],
        "separatrix_tolerance_float32": TOLERANCE["float32"],
        "separatrix_connection_float64": CONNECTION["float64"],
        "separatrix_connection_float32": CONNECTION["float32"],
        "separatrix_max_steps": MAX_STEPS,
    }
