r"""How a curve of connections ends where it can not be followed further.

**Bogdanov-Takens point.** A homoclinic orbit shrinks to nothing where both directions meet. Along the curve
the saddle and the parameters are smooth functions of the square of the angle between them: extrapolated to
0, they must come out at a known point.

**Saddle-node.** A saddle comes to meet a node where det J = 0. Its branch stays, as one of the centre
manifold, and the curve is smooth in det J (Kuznetsov 2004, sec. 7.1): it is extrapolated to 0 from
connections that are solved for at given values of det J, and must come out on a known fold curve.

**Fixed points on the way.** Where the orbit comes to a third saddle it becomes a chain of two; where it comes
to a fold, two more fixed points are born on it. Along the orbit |f| is compared with the distance from the
nearer of its saddles; where that is least the orbit is slow, and the fixed point there is looked at.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import flow
from ...arithmetic import together, trace
from ...compiled import compiled
from ...sections import FLOOR, velocity
from ...sections import ORDER as STEP_ORDER
from ..extended import rate_and_slope
from ..global_events.connections import SAFETY
from ..global_events.crossings import MAX_STEPS, outside
from ..plane.codimension_two import BOGDANOV_TAKENS, SpecialPoint
from ..plane.curve import (
    ANOTHER_SADDLE,
    FOLD,
    SADDLE_NODE_CONNECTION,
    SADDLE_NODE_LOOP,
    UNRESOLVED,
    Curve,
)
from ..plane.path import Path
from .connection_system import ANGLES, PARAMETERS, SOURCE, TARGET, Connection
from .melnikov import START
from .solving import DETERMINANT, OTHER, SHOWN, TRACE, Problem

SHARP = 0.5
"""Sine of the angle between both directions below which an end may be a Bogdanov-Takens point."""
NEAR = 0.1
"""Part of the last point's distance from it within which a Bogdanov-Takens point is extrapolated."""
FLAT = 0.05
"""det J, in units of the square of the larger eigenvalue, below which an end may be at a saddle-node."""
NODES, SPREAD = 8, 8.0
"""Values of det J from which is extrapolated, and the ratio of the largest to the least."""
ON_FOLD = 1e-6
"""Distance, in sides of the box, within which what is extrapolated lies on a fold curve."""
ON_WAY = 2e-3
"""Distance, in sides of the box, from a third saddle or, in the plane, from a fold at which an orbit is
there."""
GHOST = 0.1
"""Distance, in sides of the box, of the slowest point from the fold that slows the orbit down."""
ARRIVED = 0.05
"""Distance from its target at which an orbit has arrived once it grows, in units of the largest before."""
SETTLING = 20
"""Newton's steps from the slowest point to a fixed point."""


def named(problem: Problem, path: Path, local: tuple[Curve, ...]) -> tuple[Path, str, SpecialPoint | None]:
    """The path with the point added at which it ends, the end in words, and that point.

    `path`: in all unknowns; its last point is meant.
    """
    if bool(problem.system.homoclinic):
        for curve in local:
            for point in curve.codimension_two:
                if point.kind == BOGDANOV_TAKENS and (whole := _shrunk(problem, path, point)) is not None:
                    return whole, BOGDANOV_TAKENS, point
    found = _saddle_node(problem, path, local)
    if found is None:
        return path, _on_way(problem, path.points[-1], local), None
    whole, special = found
    return whole, special.kind, special


def _shrunk(problem: Problem, path: Path, point: SpecialPoint) -> Path | None:
    """The path that ends at a Bogdanov-Takens point, if it does."""
    u, along = path.points[-1], path.tangents[-1]
    t, s = ANGLES
    # the directions are lines: the angle between them is taken from the nearest multiple of half a turn
    angle = u[t] - u[s] - np.pi * np.round((u[t] - u[s]) / np.pi)
    closing = along[t] - along[s]
    if abs(np.sin(angle)) > SHARP or angle * closing >= 0.0:
        return None
    width = problem.width[SHOWN]
    guess = u[SHOWN] - 0.5 * angle / closing * along[SHOWN]
    off, away = (np.max(np.abs(x - point.point) / width) for x in (guess, u[SHOWN]))
    if off > NEAR * away:
        return None
    end, turn = u.copy(), np.zeros(8)
    end[SHOWN] = point.point
    end[TARGET] = end[SOURCE]
    end[t], end[s] = u[t] - 0.5 * angle, u[s] + 0.5 * angle
    turn[t], turn[s] = -angle, angle
    return _prolonged(problem, path, end, turn)


def _saddle_node(problem: Problem, path: Path, local: tuple[Curve, ...]) -> tuple[Path, SpecialPoint] | None:
    """The path that ends where one of the saddles meets a node, and the point there."""
    tests = problem.tests(path.points)
    scale = tests[-1, TRACE] ** 2
    test = DETERMINANT if abs(tests[-1, DETERMINANT]) <= abs(tests[-1, OTHER]) else OTHER
    small = np.abs(tests[:, test])
    last = small[-1]
    if not 0.0 < last < FLAT * scale:
        return None
    # only where det J falls towards the end
    rising = np.flatnonzero(np.diff(small) >= 0.0)
    first = int(rising[-1]) + 1 if len(rising) else 0
    most = min(small[first], SPREAD * last)
    wanted = 0.5 * (most + last) + 0.5 * (most - last) * np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
    points = []
    for value in wanted:
        k = int(np.searchsorted(-small[first:], -value)) + first
        part = (small[k - 1] - value) / (small[k - 1] - small[k])
        guess = path.at(path.length[k - 1] + part * (path.length[k] - path.length[k - 1]))
        point = problem.solve(guess, test, -value)
        if point is None:
            return None
        points.append(point)
    whole, _ = _at_zero(wanted, np.array(points))
    less, _ = _at_zero(wanted[1:], np.array(points[1:]))
    error = SAFETY * float(np.max(np.abs(whole - less)[SHOWN])) + problem.rounding
    at = [*range(*(SOURCE if test == DETERMINANT else TARGET).indices(8)), *range(*PARAMETERS.indices(8))]
    width = problem.width[at]
    folds = [curve for curve in local if curve.kind == FOLD]
    if not any(curve.nearest(whole[at], width)[1] <= ON_FOLD for curve in folds):
        return None
    slope = _at_zero(wanted, np.array(points))[1]
    kind = SADDLE_NODE_LOOP if bool(problem.system.homoclinic) else SADDLE_NODE_CONNECTION
    special = SpecialPoint(kind, whole[SHOWN], error, False)
    return _prolonged(problem, path, whole, slope * np.sign((whole - path.points[-1]) @ slope)), special


def _on_way(problem: Problem, u: np.ndarray, local: tuple[Curve, ...]) -> str:
    """What an orbit passes that is about to break, in words."""
    slow = np.asarray(_slowest(problem.system, jnp.asarray(u)))
    p, width = u[PARAMETERS], problem.width[SHOWN]
    for curve in local:
        if curve.kind == FOLD and len(curve):
            _, off = curve.nearest(np.concatenate([slow, p]), width * [GHOST, GHOST, ON_WAY, ON_WAY])
            if off <= 1.0:
                return SADDLE_NODE_CONNECTION
    h = slow
    for _ in range(SETTLING):
        rate, slope = rate_and_slope(problem.system.field, h, p)
        if not (np.isfinite(slope).all() and np.linalg.det(slope) != 0.0):
            return UNRESOLVED
        h = h - np.linalg.solve(slope, rate)
    third = min(float(np.max(np.abs(h - u[some]) / width[:2])) for some in (SOURCE, TARGET)) > ON_WAY
    near = bool(np.max(np.abs(h - slow) / width[:2]) < ON_WAY)
    return ANOTHER_SADDLE if third and near and np.linalg.det(slope) < 0.0 else UNRESOLVED


@compiled
def _slowest(system: Connection, u: Float[Array, " 8"]) -> Float[Array, " 2"]:
    """The point of the source's branch, up to its target, at which |f| is least in units of the distance from
    the nearer of both."""
    p, box = u[PARAMETERS], system.box
    closed = trace(lambda h: system.field(h, p), (2,), dtype=u.dtype)
    size = jnp.max(box.upper - box.lower)
    away = lambda x, y, some: jnp.hypot(x - u[some][0], y - u[some][1])  # noqa: E731

    def step(carry):
        x, y, far, slow, least, steps, _ = carry
        (cx, cy), _ = flow.coefficients(closed, (x, y), STEP_ORDER["float64"])
        h = flow.step_size([cx, cy], system.tolerance, FLOOR["float64"])
        nx, ny = together((flow.horner(cx, h), flow.horner(cy, h)))
        now, then = away(x, y, TARGET), away(nx, ny, TARGET)
        speed = jnp.hypot(*velocity(closed, nx, ny)) / jnp.minimum(then, away(nx, ny, SOURCE))
        here = speed < least
        arrived = (then > now) & (now < ARRIVED * far)
        live = ~arrived & ~outside(nx, ny, box) & (steps < MAX_STEPS)
        slow = tuple(jnp.where(here, a, b) for a, b in zip((nx, ny), slow))
        return nx, ny, jnp.maximum(far, then), slow, jnp.minimum(least, speed), steps + 1, live

    t = u[ANGLES[0]]
    x, y = u[0] + START * size * jnp.cos(t), u[1] + START * size * jnp.sin(t)
    zero, inf = jnp.zeros_like(size), jnp.full_like(size, jnp.inf)
    first = (x, y, zero, (x, y), inf, jnp.zeros((), jnp.int32), jnp.asarray(True))
    return jnp.stack(jax.lax.while_loop(lambda carry: carry[-1], step, first)[3])


def _at_zero(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The polynomial through points (n,), (n, d) at 0, and its derivative there."""
    scaled = x / x.max()
    coefficients = np.linalg.solve(np.vander(scaled, increasing=True), y)
    return coefficients[0], coefficients[1] / x.max()


def _prolonged(problem: Problem, path: Path, end: np.ndarray, along: np.ndarray) -> Path:
    """The path with one more point, where it runs in a direction."""
    width = problem.width
    along = along / np.linalg.norm(along / width)
    chord = float(np.linalg.norm((end - path.points[-1]) / width))
    turn = 0.5 * min(float(np.linalg.norm((along - path.tangents[-1]) / width)), 2.0)
    # the length of an arc of a circle
    gap = chord * (np.arcsin(turn) / turn if turn > 0.0 else 1.0)
    return dataclasses.replace(
        path,
        points=np.append(path.points, end[None], axis=0),
        tangents=np.append(path.tangents, along[None], axis=0),
        length=np.append(path.length, path.length[-1] + gap),
    )
