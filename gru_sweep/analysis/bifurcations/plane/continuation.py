r"""Pseudo-arclength continuation: the curve G(u) = 0 of any smooth G from n + 1 unknowns to n, in a box.

Points are added by steps whose cubics stay on the curve (`steps`; Keller 1977; Kuznetsov 2004, sec 10.2).
The guess of a step has the curvature of the last one, which takes it over a singular point, however
degenerate, of a curve that is smooth there.

A curve ends on a face of the box, where it meets itself again, or at a singular point: where DG loses rank
along a curve the determinant of (DG, t) changes its sign, which is watched. (Where the rank drops by an even
number it may not; then nothing ends there.) What is beyond such a point is for another seed.

Lengths are in sides of the box. One program follows every curve of one kind of function: its numbers are
arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .path import SAME, Path
from .steps import (
    CONVERGED,
    FIRST_STEP,
    MEETS,
    NEWTON_STEPS,
    ROUND,
    TOLERANCE,
    End,
    Scaled,
    Walk,
    advance,
    slope,
)

SINGULAR = 1e-7
"""Smallest singular value of DG, its rows of unit length, at which a seed has no tangent of its own."""
MAX_POINTS = 32_768
"""Points after which a curve is given up."""
BISECTIONS = 48
"""Halvings of a step in which DG becomes singular: down to rounding."""


class Followed(NamedTuple):
    """A path and its `ends`, two; `faces`: the axis of the face at each end, -1 for none."""

    path: Path
    ends: tuple[End, End]
    faces: tuple[int, int]


class Side(NamedTuple):
    """One direction from a point, that point included: `gaps` are the lengths between its points."""

    points: np.ndarray
    tangents: np.ndarray
    gaps: np.ndarray
    end: End
    face: int


def follow(
    function: Callable,
    seed: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    tolerance: float = TOLERANCE,
    converged: float = CONVERGED,
) -> Followed | None:
    """The curve of G = 0 through `seed`, both ways, in the box [lower, upper].

    **Arguments**

    - `function`: G, (n + 1,) to (n,); an equinox module is compiled once for all its numbers.
    - `seed`: a point near the curve, (n + 1,), in the box. `lower`, `upper`: its corners.
    - `tolerance`: how near to the curve the cubics between points stay, in sides of the box.
    - `converged`: Newton's last step, in sides of the box: above what G's errors leave of a step.

    Returns None where Newton's method does not lead from the seed to a regular point of a curve, or where the
    curve has no length in the box.
    """
    lower, upper = np.asarray(lower, float), np.asarray(upper, float)
    width = upper - lower
    scaled = Scaled(function, *map(jnp.asarray, (lower, width, tolerance, converged)))
    begin = _begin(scaled, (np.asarray(seed, float) - lower) / width)
    if begin is None:
        return None
    ahead = _walk(scaled, *begin)
    if ahead.end == End.CLOSED:
        length = np.append(0.0, np.cumsum(ahead.gaps))
        path = Path(lower + width * ahead.points, width * ahead.tangents, length, True)
        return Followed(path, (End.CLOSED, End.CLOSED), (-1, -1))
    back = _walk(scaled, begin[0], -begin[1])
    # a seed on a face ends where it begins, on one side
    sides = [side for side in (back, ahead) if side.gaps.sum() > SAME]
    if not sides:
        return None
    if len(sides) == 2:
        points = np.concatenate([back.points[:0:-1], ahead.points])
        tangents = np.concatenate([-back.tangents[:0:-1], ahead.tangents])
        gaps = np.concatenate([back.gaps[::-1], ahead.gaps])
    else:
        turn = slice(None, None, -1 if sides[0] is back else 1)
        sign = -1.0 if sides[0] is back else 1.0
        points, tangents, gaps = sides[0].points[turn], sign * sides[0].tangents[turn], sides[0].gaps[turn]
        other = ahead if sides[0] is back else back
        points[-1 if sides[0] is back else 0] = other.points[-1]
    raw = lower + width * points
    for row, side in ((0, back), (-1, ahead)):
        if side.face >= 0:
            raw[row, side.face] = (lower, upper)[int(points[row, side.face])][side.face]
    path = Path(raw, width * tangents, np.append(0.0, np.cumsum(gaps)), False)
    return Followed(path, (back.end, ahead.end), (back.face, ahead.face))


def _begin(scaled: Scaled, x: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The point of the curve nearest to x, and a unit tangent there."""
    for _ in range(NEWTON_STEPS):
        value, rows = map(np.asarray, slope(scaled, jnp.asarray(x)))
        if not (np.isfinite(value).all() and np.isfinite(rows).all()):
            return None
        _, sizes, vectors = np.linalg.svd(rows)
        if sizes[-1] < SINGULAR:
            return None
        step = np.linalg.pinv(rows) @ value
        x = x - step
        if np.abs(step).max() <= scaled.converged:
            return x, vectors[-1]
    return None


def _walk(scaled: Scaled, x: np.ndarray, tangent: np.ndarray) -> Side:
    # numbers of NumPy's types: with Python's the program would be compiled again when it is gone on with
    d, zero = len(x), jnp.asarray(np.int64(0))
    here, along, size = jnp.asarray(x), jnp.asarray(tangent), jnp.asarray(np.float64(FIRST_STEP))
    tables = jnp.zeros((ROUND, d)), jnp.zeros((ROUND, d)), jnp.zeros(ROUND)
    side = jnp.asarray(np.float64(_side(scaled, x, tangent)))
    walk = Walk(here, along, jnp.zeros(d), here, along, size, side, zero, *tables, zero)
    parts, count, end = [(x[None], tangent[None], np.zeros(0))], 1, End.GOING
    while end == End.GOING and count < MAX_POINTS:
        walk = advance(scaled, eqx.tree_at(lambda w: w.count, walk, zero))
        n, end = int(walk.count), End(int(walk.end))
        points, tangents, gaps = (np.asarray(table)[:n] for table in (walk.points, walk.tangents, walk.gaps))
        parts.append((points, tangents, gaps))
        count += n
    points, tangents, gaps = map(np.concatenate, zip(*parts))
    if end in (End.GOING, End.STUCK):
        return Side(points, tangents, gaps, End.GIVEN_UP if end == End.GOING else end, -1)
    return _trimmed(scaled, Path(points, tangents, np.append(0.0, np.cumsum(gaps)), False), end)


def _trimmed(scaled: Scaled, path: Path, end: End) -> Side:
    """The path up to its end inside the last step: the beginning, a face, or a singular point."""
    low, high = path.length[-2:]
    last = path.part(len(path) - 2, len(path) - 1)
    if end == End.CLOSED:
        stop, _ = last.nearest(path.points[0], np.ones(path.points.shape[1]))
        return _ended(path, low + stop, path.points[0], path.tangents[0], end, -1)
    stops: list[tuple[float, End, int]] = []
    for axis, beyond in enumerate((path.points[-1] > 1.0) | (path.points[-1] < 0.0)):
        if beyond:
            crossed = last.crossings(axis, float(path.points[-1, axis] > 1.0))
            stops.append((low + (crossed[0] if len(crossed) else 0.0), End.FACE, axis))
    before, after = (_side(scaled, path.at(s), path.direction(s)) for s in (low, high))
    if before * after < 0.0:
        a, b = low, high
        for _ in range(BISECTIONS):
            middle = 0.5 * (a + b)
            there = _side(scaled, path.at(middle), path.direction(middle))
            a, b = (middle, b) if there * before > 0.0 else (a, middle)
        stops.append((a, End.BRANCH_POINT, -1))
    stop, end, axis = min(stops)
    point = np.clip(path.at(stop), 0.0, 1.0)
    if end == End.FACE:
        point = _on_face(scaled, point, axis, float(path.points[-1, axis] > 1.0))
    return _ended(path, stop, point, path.direction(stop), end, axis)


def _ended(path: Path, stop: float, point: np.ndarray, tangent: np.ndarray, end: End, axis: int) -> Side:
    # a last step of no length takes the place of the point before it
    keep = len(path) - 1 if stop - path.length[-2] > SAME or len(path) == 2 else len(path) - 2
    points = np.concatenate([path.points[:keep], point[None]])
    tangents = np.concatenate([path.tangents[:keep], tangent[None]])
    return Side(points, tangents, np.diff(np.append(path.length[:keep], stop)), end, axis)


def _side(scaled: Scaled, x: np.ndarray, along: np.ndarray) -> float:
    """The determinant of (DG, t), rows of unit length: 0 where DG is singular."""
    return float(np.linalg.det(np.vstack([np.asarray(slope(scaled, jnp.asarray(x))[1]), along])))


def _on_face(scaled: Scaled, guess: np.ndarray, axis: int, value: float) -> np.ndarray:
    """The point of the curve near a guess with one coordinate given; the guess itself where that is singular,
    and nothing better is known."""
    x, free = guess.copy(), np.arange(len(guess)) != axis
    x[axis] = value
    there = x.copy()
    for _ in range(NEWTON_STEPS):
        g, rows = map(np.asarray, slope(scaled, jnp.asarray(x)))
        if not (np.isfinite(g).all() and np.isfinite(rows).all()):
            return there
        step = np.linalg.lstsq(rows[:, free], g, rcond=None)[0]
        x[free] -= step
        if np.abs(step).max() <= scaled.converged:
            return x if np.abs(x - there).max() <= MEETS else there
    return there
