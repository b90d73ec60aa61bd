r"""Sections of planar trajectories and the map from one return to the next.

A section through a point is a straight piece along tau = (-n_y, n_x), n = f/|f|, on which n.f stays positive:
no cycle crosses it twice. With s the coordinate along it, the return map s -> P(s) has the exact slope

    P'(s) = (n.f(s) / n.f(P(s))) exp(integral of div f dt)                     (planar fields; Liouville)

so that a return costs one trajectory and gives both. Crossings are roots of the steps' own polynomials.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from . import flow
from .arithmetic import Dual, evaluate, together
from .states import choose

ORDER = {"float64": 10, "float32": 6}
"""Order of the Taylor series."""
FLOOR = {"float64": 1e-16, "float32": 5e-8}
"""Local error below which rounding takes over."""
CROSSING_STEPS = 6
"""Newton steps, kept in a bracket, for the instant of a crossing."""
EXTREMUM_STEPS = 2
"""Newton steps for the instant of an extremum: its value is right to the square of what they leave."""
OPEN = 0.02
"""A section ends where n.f has fallen to this part of |f| at its origin."""
NEAREST = 9
"""n.f is looked at from 2^-NEAREST lengths on: a window open to one side only would miss every other
return."""


class Trajectory(eqx.Module):
    """A point on its way, and what has been gathered since it left the section.

    `sense` is -1 where time runs backwards; `integral` holds those of div f, x and y over the way;
    `extent` (min x, max x, min y, max y), or None where nobody asks.
    """

    x: Float[Array, ""]
    y: Float[Array, ""]
    time: Float[Array, ""]
    sense: Float[Array, ""]
    integral: tuple
    extent: tuple | None
    crossing: Bool[Array, ""]
    steps: Int[Array, ""]

    @classmethod
    def start(cls, point: tuple, sense, steps, extent: bool = False) -> Trajectory:
        """At `point` with nothing gathered; `extent` asks for the extremes on the way."""
        x, y = point
        zero = jnp.zeros_like(x)
        return cls(
            x, y, zero, sense, (zero, zero, zero), (x, x, y, y) if extent else None, jnp.asarray(False), steps
        )


class Section(eqx.Module):
    """Origin, unit normal, window [low, high] of the coordinate s, and the length on which n.f changes."""

    x: Float[Array, ""]
    y: Float[Array, ""]
    nx: Float[Array, ""]
    ny: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    length: Float[Array, ""]

    def at(self, s):
        """The point with coordinate s."""
        return self.x - s * self.ny, self.y + s * self.nx

    def coordinate(self, x, y):
        return (y - self.y) * self.nx - (x - self.x) * self.ny

    def height(self, x, y):
        """Signed distance from the line."""
        return (x - self.x) * self.nx + (y - self.y) * self.ny

    def through(self, velocity):
        """n.f"""
        return velocity[0] * self.nx + velocity[1] * self.ny


def velocity(closed, x, y):
    """f(x, y)."""
    (out,) = evaluate(closed, [x, y])
    return out[0], out[1]


def section_at(closed, x, y, sense) -> Section:
    """The section through a point; its window is found by looking at n.f at a few lengths on both sides."""
    (out,) = evaluate(closed, Dual.seed([x, y]))
    fx, fy = (o.value * sense for o in out)
    (a, b), (c, d) = [[t * sense + jnp.zeros_like(x) for t in o.tangent] for o in out]
    speed = jnp.hypot(fx, fy)
    safe = jnp.where(speed == 0.0, 1.0, speed)
    nx, ny = fx / safe, fy / safe
    tx, ty = -ny, nx
    turning = jnp.abs(nx * (a * tx + b * ty) + ny * (c * tx + d * ty))  # n.f = |f| + s n.J tau + ...
    length = jnp.minimum(speed / jnp.maximum(turning, 1e-30), 1.0)
    nx, ny, speed, length = together((nx, ny, speed, length))
    tx, ty = -ny, nx

    def look(k, ends):
        s = length * jnp.exp2(k.astype(length.dtype) - NEAREST)
        new = []
        for (end, is_open), sign in zip(ends, (-1.0, 1.0)):
            gx, gy = velocity(closed, x + sign * s * tx, y + sign * s * ty)
            is_open &= (gx * nx + gy * ny) * sense > OPEN * speed
            new.append((jnp.where(is_open, sign * s, end), is_open))
        return together(tuple(new))

    closed_ends = ((jnp.zeros_like(length), jnp.asarray(True)),) * 2
    (low, _), (high, _) = jax.lax.fori_loop(0, NEAREST + 4, look, closed_ends)
    return Section(x, y, nx, ny, low, high, length)


def expand(closed, p: Trajectory, tolerance):
    """Series of the way ahead (x, y; div f), in the sense of the trajectory, and the step they allow."""
    name = str(p.x.dtype)
    (x, y), along = flow.coefficients(closed, (p.x, p.y), ORDER[name], divergence=True)
    x, y = ([v * p.sense if k % 2 else v for k, v in enumerate(c)] for c in (x, y))
    along = [v if k % 2 else v * p.sense for k, v in enumerate(along)]
    return x, y, along, flow.step_size([x, y], tolerance, FLOOR[name])


def moved(p: Trajectory, x, y, along, h) -> Trajectory:
    """The trajectory after a step h along its series."""
    extent = p.extent
    if extent is not None:
        extent = (*_stretched(extent[:2], x, h), *_stretched(extent[2:], y, h))
    return Trajectory(
        x=flow.horner(x, h),
        y=flow.horner(y, h),
        time=p.time + h,
        sense=p.sense,
        integral=tuple(total + flow.integral(c, h) for total, c in zip(p.integral, (along, x, y))),
        extent=extent,
        crossing=p.crossing,
        steps=p.steps,
    )


def travel(closed, p: Trajectory, section: Section, tolerance, steps: int, frozen):
    """Up to `steps` steps, stopping on the section's window if it is crossed there in the direction of n.

    Returns the trajectory, whether it has returned, and the coordinate s where it did.
    """

    def step(_, p):
        x, y, along, h = expand(closed, p, tolerance)
        new = moved(p, x, y, along, h)
        before, after = section.height(p.x, p.y), section.height(new.x, new.y)
        # a loop starts on the section: its first step does not end on it, whatever rounding says
        crossing = (before < 0.0) & (after >= 0.0) & (p.time > 0.0) & ~frozen
        crossing |= p.crossing
        p = choose(crossing | frozen, p, new)
        return together(eqx.tree_at(lambda q: (q.crossing, q.steps), p, (crossing, p.steps + 1)))

    p = jax.lax.fori_loop(0, steps, step, p)
    # every lane does one more step; those before a crossing end on it
    x, y, along, h = expand(closed, p, tolerance)
    x, y, along, h = together((x, y, along, h))
    height = [a * section.nx + b * section.ny for a, b in zip(x, y)]
    height[0] = section.height(p.x, p.y)
    to = together((jnp.where(p.crossing, first_zero(height, h), 0.0),))[0]
    on = moved(p, x, y, along, to)
    s = section.coordinate(on.x, on.y)
    returned = p.crossing & (s > section.low) & (s < section.high)
    past = moved(p, x, y, along, jnp.where(p.crossing, h, 0.0))
    p = choose(returned, on, choose(p.crossing, past, p))
    return together((eqx.tree_at(lambda q: q.crossing, p, jnp.asarray(False)), returned, s))


def first_zero(c: list, h):
    """The zero in (0, h] of a polynomial that is negative at 0 and not at h: Newton's method in a bracket."""
    rate = flow.derivative(c)
    lo, hi = jnp.zeros_like(h), h
    end = flow.horner(c, h)
    t = jnp.clip(h * c[0] / jnp.where(c[0] == end, 1.0, c[0] - end), 0.0, h)
    for _ in range(CROSSING_STEPS):
        value, slope = flow.horner(c, t), flow.horner(rate, t)
        lo, hi = jnp.where(value < 0.0, t, lo), jnp.where(value < 0.0, hi, t)
        new = t - value / jnp.where(slope == 0.0, 1.0, slope)
        t = jnp.where((new >= lo) & (new <= hi) & (slope != 0.0), new, 0.5 * (lo + hi))
    return t


def _stretched(extent, c: list, h):
    """(min, max) with the values of a polynomial on [0, h]: at its end and where its derivative vanishes."""
    rate = flow.derivative(c)
    first, last = rate[0], flow.horner(rate, h)
    bend = flow.derivative(rate)
    t = h * first / jnp.where(first == last, 1.0, first - last)
    for _ in range(EXTREMUM_STEPS):
        slope = flow.horner(bend, t)
        t = jnp.clip(t - flow.horner(rate, t) / jnp.where(slope == 0.0, 1.0, slope), 0.0, h)
    inner = flow.horner(c, jnp.where(first * last < 0.0, t, h))
    end = flow.horner(c, h)
    low, high = extent
    return (
        jnp.minimum(low, jnp.minimum(inner, end)),
        jnp.maximum(high, jnp.maximum(inner, end)),
    )
