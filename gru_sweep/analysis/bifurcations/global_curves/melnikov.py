r"""By how much a branch of one saddle misses a branch of another, and the exact gradient of that.

Let h be near a saddle at the parameters p. The shifted field

    g(x) = f(x, p) - f(h, p)

has an equilibrium at h exactly, so that its branches, and the gap of two of them on a section, are smooth
functions of h and p, independent of each other, and the gap is that of f where f(h, p) = 0. When g becomes
g + e c(x), a branch moves by e delta(x); with a ^ b = a_1 b_2 - a_2 b_1, D = g ^ delta obeys

    dD/dt = div(g) D + g ^ c

along the branch, and at the distance s from the saddle, on the branch h + s v + ... of the eigenvalue lambda,
D = -s lambda (v ^ c(h)) / mu + O(s^2), mu being the other eigenvalue (Melnikov 1963; Guckenheimer & Holmes
1983, sec. 4.5). Of constant c = e_1, e_2 and of c = f_p for both parameters, every change of h and p is made.
The four D are quadratures beside the two components of g in every Taylor step: one trajectory gives the gap
and its gradient, without difference quotients.

First the branch that arrives is followed backwards from its saddle until it is no longer straight: there the
section is. Then the branch that leaves is followed to it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ... import flow
from ...arithmetic import Dual, Tape, evaluate, together, trace
from ...arithmetic.numbers import add
from ...arithmetic.series import Series
from ...sections import FLOOR, ORDER, Section, first_zero, velocity
from ...states import choose
from ..extended import Field
from ..global_events.crossings import (
    CROSSINGS,
    LONGEST,
    MAX_STEPS,
    STILL,
    WIDEST,
    Box,
    outside,
)
from ..global_events.saddle_branches import Saddle

START = 1e-8
"""Distance from its saddle, in boxes, at which a branch begins on its tangent: the square is rounding."""
BENT = 0.25
"""Part by which the rate on a branch differs from the linear one where the section is laid, at the latest."""
CERTAIN = 1e-4
"""Coordinate of a crossing, in units of the distance of the section from its saddle, at which it is the one
that is meant; else it is the nearest."""
DISTINCT = 0.1
"""Part of half the section's width below which the nearest crossing is final once the next one is farther."""


REGULAR = 0.75
"""Longest step, in units of 1/|div g|, at which the series of D is good to 1e-9. Steps are chosen for x:
along a slow branch that contracts strongly they would be longer."""


class Gap(NamedTuple):
    """The gap, NaN where the branches do not come near each other, and its gradient by (h, p) of the source,
    and by (h, p) of the target, (4,) each: their sum counts where both are one saddle, and for p."""

    value: Float[Array, ""]
    by_source: Float[Array, " 4"]
    by_target: Float[Array, " 4"]


class Lane(eqx.Module):
    """A point of a branch on its way: its D for the four c, the sense of time, and f(h, p)."""

    x: Float[Array, ""]
    y: Float[Array, ""]
    moved: tuple
    sense: Float[Array, ""]
    shift: tuple


class Way(eqx.Module):
    """The lane that is being followed, the arriving one first; the section, how far from the saddle it is,
    and the arriving branch's D there; of the crossings the nearest to the section's origin: its coordinate,
    g, and the leaving branch's D."""

    lane: Lane
    leaving: Bool[Array, ""]
    section: Section
    reach: Float[Array, ""]
    into: tuple
    nearest: Float[Array, ""]
    rate: tuple
    out: tuple
    crossings: Int[Array, ""]
    steps: Int[Array, ""]
    live: Bool[Array, ""]


def gap(field: Field, source: Saddle, target: Saddle, p: Array, sense, tolerance, shrink, box: Box) -> Gap:
    """By how much the source's unstable branch misses the target's stable one, where that is nearest to 0.

    **Arguments**

    - `source`, `target`: `point` h, `jacobian`, `rates` and `directions` count.
    - `sense`: 1, or -1 for time running backwards, when the target's branch leaves and the source's arrives.
    - `tolerance`: local error of a step, in units of its length. `shrink`: factor on the distances at which
      branches begin and the section is laid.
    """
    size = jnp.max(box.upper - box.lower)
    forward = sense > 0.0
    leaving, arriving = choose(forward, source, target), choose(forward, target, source)
    rates = lambda saddle, first: choose(first, saddle.rates, saddle.rates[::-1])  # noqa: E731
    ways = lambda saddle, first: choose(first, *saddle.directions)  # noqa: E731
    begin = lambda saddle, first, time: _begin(  # noqa: E731
        field, saddle.point, p, rates(saddle, first), ways(saddle, first), START * shrink * size, time
    )
    out, into = begin(leaving, forward, sense), begin(arriving, ~forward, -sense)
    wide = (-WIDEST * size, WIDEST * size, WIDEST * size)
    quick = rates(arriving, ~forward)[0]
    by_p = trace(lambda x: jnp.concatenate(_by_parameters(field, x, p)), (2,), dtype=p.dtype)
    closed = lambda shift: trace(lambda x: field(x, p) - jnp.stack(shift), (2,), dtype=p.dtype)  # noqa: E731

    def further(way: Way) -> Way:
        lane = way.lane
        rate = closed(lane.shift)
        x, y, moved, h = together(_expanded(rate, by_p, lane, tolerance))
        height = [a * way.section.nx + b * way.section.ny for a, b in zip(x, y)]
        height[0] = way.section.height(lane.x, lane.y)
        at = together((jnp.where(way.leaving, first_zero(height, h), h),))[0]
        ends = [[flow.horner(c, when) for c in (x, y, *moved)] for when in (h, at)]
        (px, py, *ahead), (cx, cy, *there) = ends
        gx, gy = velocity(rate, cx, cy)
        live = ~outside(px, py, box) & (jnp.hypot(gx, gy) > STILL * size) & (way.steps < MAX_STEPS)

        # the arriving branch: its section is where it is no longer straight
        dx, dy = (c - h for c, h in zip((px, py), arriving.point))
        far = jnp.hypot(dx, dy)
        bent = jnp.hypot(gx - quick * dx, gy - quick * dy) > shrink * BENT * jnp.abs(quick) * far
        laid = ~way.leaving & (bent | (far > shrink * LONGEST * size))
        # across the flow: transversal where both directions of the saddle are nearly one, too
        pace = sense / jnp.hypot(gx, gy)
        section = Section(px, py, gx * pace, gy * pace, *wide)

        s = way.section.coordinate(cx, cy)
        crosses = way.leaving & (height[0] < 0.0) & (flow.horner(height, h) >= 0.0)
        crosses &= jnp.abs(s) < WIDEST * size
        nearer = crosses & ~(jnp.abs(s) >= jnp.abs(way.nearest))  # NaN: there was none
        final = nearer & (jnp.abs(s) < CERTAIN * way.reach)
        final |= crosses & ~nearer & (jnp.abs(way.nearest) < DISTINCT * WIDEST * size)
        crossings = way.crossings + crosses
        lane = Lane(px, py, tuple(ahead), lane.sense, lane.shift)
        return together(
            Way(
                lane=choose(laid, out, lane),
                leaving=way.leaving | laid,
                section=choose(laid, section, way.section),
                reach=jnp.where(laid, far, way.reach),
                into=choose(laid, tuple(ahead), way.into),
                nearest=jnp.where(nearer, s, way.nearest),
                rate=choose(nearer, (gx, gy), way.rate),
                out=choose(nearer, tuple(there), way.out),
                crossings=crossings,
                steps=way.steps + 1,
                live=live & ~final & (crossings < CROSSINGS),
            )
        )

    one, none = jnp.ones_like(size), jnp.zeros((), jnp.int32)
    nowhere = Section(*(one,) * 7)
    first = Way(
        *(into, jnp.asarray(False), nowhere, one, into.moved, jnp.nan * one, (one, one), out.moved),
        *(none, none, jnp.asarray(True)),
    )
    way = jax.lax.while_loop(lambda way: way.live, further, first)
    through = way.section.through(way.rate)
    by_leaving, by_arriving = (
        _composed(field, saddle, p, moved) / through
        for saddle, moved in ((leaving, way.out), (arriving, way.into))
    )
    by_source = choose(forward, by_leaving, -by_arriving)
    return Gap(way.nearest, by_source, choose(forward, -by_arriving, by_leaving))


def _by_parameters(field: Field, x: Array, p: Array) -> tuple[Array, Array]:
    """df/dp, one parameter after the other."""
    units = (jnp.asarray(unit, p.dtype) for unit in ((1.0, 0.0), (0.0, 1.0)))
    first, second = (jax.jvp(lambda q: field(x, q), (p,), (unit,))[1] for unit in units)
    return first, second


def _begin(field: Field, h: tuple, p: Array, rates: tuple, direction: tuple, s, sense) -> Lane:
    """The branch at the first of both rates, at the distance s from its saddle."""
    at, (vx, vy) = jnp.stack(h), direction
    constant = ((1.0, 0.0), (0.0, 1.0), *_by_parameters(field, at, p))
    moved = tuple(-s * rates[0] / rates[1] * (vx * c[1] - vy * c[0]) for c in constant)
    shift = field(at, p)
    return Lane(h[0] + s * vx, h[1] + s * vy, moved, sense, (shift[0], shift[1]))


def _composed(field: Field, saddle: Saddle, p: Array, moved: tuple) -> Float[Array, " 4"]:
    """D of changes of (h, p), from those of e_1, e_2 and f_p: df(x, p) - df(h, p) is what the field gains."""
    first, second, *others = moved
    inverse = jax.tree.map(lambda slope: -slope, saddle.jacobian)
    by_h = [inverse[0][j] * first + inverse[1][j] * second for j in range(2)]
    slopes = _by_parameters(field, jnp.stack(saddle.point), p)
    by_p = [other - c[0] * first - c[1] * second for other, c in zip(others, slopes)]
    return jnp.stack(by_h + by_p)


def _expanded(closed, by_p, lane: Lane, tolerance) -> tuple[list, list, list, Any]:
    """Series of x, y and the four D in the sense of the lane, and the step they allow."""
    name = str(lane.x.dtype)
    order, zero = ORDER[name], jnp.zeros_like(lane.x)
    tape = Tape()
    variables = [tape.variable(v) for v in (lane.x, lane.y)]
    (out,) = evaluate(closed, Dual.seed(variables))
    (slopes,) = evaluate(by_p, variables)
    gx, gy = (o.value if isinstance(o, Dual) else o for o in out)
    spread = add(*(o.tangent[i] if isinstance(o, Dual) else 0.0 for i, o in enumerate(out)))
    wedges = [-gy, gx, gx * slopes[1] - gy * slopes[0], gx * slopes[3] - gy * slopes[2]]
    moved = [[start] for start in lane.moved]
    for k in range(order):
        tape.extend(k)
        for variable, rate in zip(variables, (gx, gy)):
            variable.coefficients.append(_coefficient(rate, k, zero) * (1.0 / (k + 1)))
        for series, wedge in zip(moved, wedges):
            total = _coefficient(wedge, k, zero)
            for j in range(k + 1):
                total = total + _coefficient(spread, j, zero) * series[k - j]
            series.append(total * (1.0 / (k + 1)))
    every = [*(v.coefficients for v in variables), *moved]
    x, y, *moved = ([v * lane.sense if k % 2 else v for k, v in enumerate(c)] for c in every)
    h = flow.step_size([x, y], tolerance, FLOOR[name])
    h = jnp.minimum(h, REGULAR / jnp.maximum(jnp.abs(_coefficient(spread, 0, zero)), 1.0 / flow.MAX_STEP))
    return x, y, moved, h


def _coefficient(number: Any, k: int, zero) -> Any:
    if isinstance(number, Series):
        return number[k]
    return zero + number if k == 0 else zero
