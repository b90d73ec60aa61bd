r"""Crossings of sections along a parameter: by how much a branch of a saddle misses another, and returns.

The gap G of two branches is measured where the one that arrives is known as a series: on a straight section
through a point W(s) of it, along the other eigenvector of its saddle. The other branch leaves its saddle at a
point of its own series and is followed to the section by Taylor steps; the coordinates at which it crosses
are the gaps, first to last. All points are smooth functions of the parameter, and so is the gap.

Time may run backwards (`sense` -1): stable branches leave then, and unstable ones arrive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ...sections import Section, Trajectory, travel, velocity
from ...states import choose, replace
from ..extended import Field
from .batches import run
from .saddle_branches import Anchor, Saddle, at, branch, follow

CROSSINGS = 8
"""Crossings of a section that are kept: a branch may wind many times before it connects."""
STEPS = 8
"""Taylor steps between two looks at crossings."""
MAX_STEPS = 3_000
"""Steps after which a trajectory is given up."""
STILL = 1e-13
"""Speed, in boxes per unit of time, below which a trajectory has ended at a fixed point."""
LONGEST = 0.05
"""Largest distance from its saddle at which a branch starts or is crossed, in boxes."""
WIDEST = 0.1
"""Half the width of a section, in boxes: how close branches must come to have a gap at all."""
BEYOND = 0.05
"""How far outside the box a trajectory is followed, in boxes."""
SERIES = 0.01
"""Tolerance of the series of branches, in units of that of the steps: they come first."""


class Box(NamedTuple):
    """Corners of the box in which trajectories are followed."""

    lower: np.ndarray
    upper: np.ndarray

    @property
    def size(self) -> float:
        """The largest width."""
        return float(np.max(self.upper - self.lower))


class Gaps(eqx.Module):
    """Where a branch that leaves one saddle crosses the section of a branch that arrives at another.

    `gap`: coordinates of the crossings, NaN where there are no more. `inward`: on which side of the arriving
    branch (sign) trajectories go on in the direction in which the other left, if the saddles are one. `ok`:
    whether both saddles could be followed.
    """

    gap: Float[Array, " 8"]
    section: Section
    inward: Float[Array, ""]
    leaving: Saddle
    arriving: Saddle
    ok: Bool[Array, ""]


class Returns(eqx.Module):
    """First crossing of a section: whether there is one, its coordinate, the slope of the map, the time."""

    ok: Bool[Array, ""]
    to: Float[Array, ""]
    slope: Float[Array, ""]
    time: Float[Array, ""]


def outside(x, y, box: Box):
    """Whether a trajectory at (x, y) has left the box for good."""
    margin = BEYOND * (box.upper - box.lower)
    low, high = box.lower - margin, box.upper + margin
    return (x < low[0]) | (x > high[0]) | (y < low[1]) | (y > high[1])


def across_branch(closed, point: tuple, along: tuple, sense, widest) -> Section:
    """The section through a point of a branch, along the saddle's other eigenvector: near the saddle the flow
    crosses it everywhere alike."""
    x, y = point
    fx, fy = velocity(closed, x, y)
    tx, ty = along
    sign = jnp.where((ty * fx - tx * fy) * sense < 0.0, -1.0, 1.0)
    nx, ny = sign * ty, -sign * tx
    return Section(x, y, nx, ny, -widest, widest, widest)


def crossed(
    closed,
    start: Trajectory,
    section: Section,
    box: Box,
    tolerance,
    most: int,
    steps: int = MAX_STEPS,
    arrived: Callable[[Trajectory], Any] = lambda p: False,
):
    """The coordinates of up to `most` crossings, how many, and the trajectory at the last one.

    It is given up after so many `steps`, and when it has `arrived`.
    """
    size = jnp.max(box.upper - box.lower)

    def under_way(carry):
        p, _, count, live = carry
        return live & (count < most) & (p.steps < steps)

    def further(carry):
        p, found, count, _ = carry
        p, returned, s = travel(closed, p, section, tolerance, STEPS, jnp.asarray(False))
        found = jnp.where(returned & (jnp.arange(most) == count), s, found)
        speed = jnp.hypot(*velocity(closed, p.x, p.y))
        live = ~outside(p.x, p.y, box) & (speed > STILL * size) & ~jnp.asarray(arrived(p))
        if most > 1:  # the next crossing is another one
            p = choose(returned, replace(p, time=jnp.zeros_like(p.time)), p)
        return p, found, count + returned, live

    none = jnp.full(most, jnp.nan, start.x.dtype)
    p, found, count, _ = jax.lax.while_loop(
        under_way, further, (start, none, jnp.zeros((), jnp.int32), jnp.asarray(True))
    )
    return found, count, p


def _gaps(field, p, sense, leaving: Anchor, arriving: Anchor, tolerance, shrink, box: Box) -> Gaps:
    size = jnp.max(box.upper - box.lower)
    closed = at(field, p)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), leaving, arriving)
    saddles = jax.vmap(lambda anchor: follow(field, anchor, p, size))(both)
    # the outgoing branch of the first, the incoming one of the second
    forward = sense > 0.0
    unstable = jnp.stack([forward, ~forward])
    ahead = choose(unstable, *((*saddles.directions[i], saddles.rates[i]) for i in (0, 1)))
    across = choose(unstable, saddles.directions[1], saddles.directions[0])
    local = lambda saddle, rate, way: branch(closed, saddle, rate, way, SERIES * tolerance, LONGEST * size)  # noqa: E731
    series = jax.vmap(local)(saddles, ahead[2], ahead[:2])
    out, into = (jax.tree.map(lambda leaf: leaf[i], series) for i in (0, 1))  # noqa: B023
    first, last = (jax.tree.map(lambda leaf: leaf[i], saddles) for i in (0, 1))  # noqa: B023
    along = tuple(v[1] for v in across)
    section = across_branch(closed, into.point(shrink * into.reach), along, sense, WIDEST * size)
    start = Trajectory.start(out.point(shrink * out.reach), sense, jnp.zeros((), jnp.int32))
    start = replace(start, time=jnp.ones_like(p))  # it does not start on the section
    gap, _, _ = crossed(closed, start, section, box, tolerance, CROSSINGS)
    vx, vy = (v[0] for v in ahead[:2])
    ok = first.ok & last.ok
    return Gaps(
        gap=jnp.where(ok, gap, jnp.nan),
        section=section,
        inward=jnp.sign(section.coordinate(section.x + vx, section.y + vy)),
        leaving=first,
        arriving=last,
        ok=ok,
    )


def _returns(field, p, sense, section: Section, start: tuple, on_section, tolerance, box: Box) -> Returns:
    closed = at(field, p)
    begin = Trajectory.start(start, sense, jnp.zeros((), jnp.int32))
    elapsed = jnp.where(on_section, 0.0, 1.0)
    found, count, end = crossed(closed, replace(begin, time=elapsed), section, box, tolerance, 1)
    away, back = (section.through(velocity(closed, *h)) for h in (start, (end.x, end.y)))
    slope = away / jnp.where(back == 0.0, 1.0, back) * jnp.exp(jnp.clip(end.integral[0], -700.0, 700.0))
    return Returns(ok=count > 0, to=found[0], slope=slope, time=end.time - elapsed)


def gaps(
    field: Field,
    values: np.ndarray,
    sense: float,
    leaving: Anchor,
    arriving: Anchor,
    tolerance: float | np.ndarray,
    shrink: float | np.ndarray,
    box: Box,
) -> Gaps:
    """`Gaps` at n values of the parameter, each with its tolerance of a step and its part of the reach."""
    n = len(values)
    each = [np.broadcast_to(np.asarray(a, np.float64), n) for a in (values, tolerance, shrink)]
    axes = (0, None, None, None, 0, 0, None)
    return run(_gaps, axes, field, each[0], float(sense), leaving, arriving, *each[1:], box)


def returns(
    field: Field,
    values: np.ndarray,
    sense: float,
    section: Section,
    start: tuple[np.ndarray, np.ndarray],
    on_section: bool,
    tolerance: float | np.ndarray,
    box: Box,
) -> Returns:
    """`Returns` at n values of the parameter, each from its own start to its own section, all leaves (n,).

    The slope is that of the return map where the start lies on the section.
    """
    n = len(values)
    each = [np.broadcast_to(np.asarray(a, np.float64), n) for a in (values, tolerance)]
    axes = (0, None, 0, 0, None, 0, None)
    return run(_returns, axes, field, each[0], float(sense), section, start, bool(on_section), each[1], box)
