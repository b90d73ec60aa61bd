r"""Curves of connections of saddles in a plane of two parameters.

A zero of the system of `connection_system` is followed both ways (`plane.continuation`). Where no step
succeeds any more it is followed on with time reversed, or with branches that begin elsewhere; where that
does not help either, the curve has an end, which is named (`connection_ends`). A homoclinic orbit to a saddle
whose trace is 0, a neutral saddle loop, is a regular zero of the system with tr J.

Errors are estimates: what looser steps and branches that begin elsewhere change.
"""

from __future__ import annotations

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from ....records import InputError
from ..extended import Field, rate_and_slope
from ..global_events.checks import box_of, rectangle_of
from ..global_events.connections import NEARBY, SAME, SHORTER, TOLERANCE
from ..global_events.crossings import Box
from ..global_events.saddle_branches import directions
from ..plane.codimension_two import SpecialPoint
from ..plane.continuation import follow
from ..plane.curve import (
    BORDER,
    CLOSED,
    HETEROCLINIC,
    HOMOCLINIC,
    NEUTRAL_SADDLE_LOOP,
    STATE_BORDER,
    UNRESOLVED,
    Curve,
)
from ..plane.path import Path
from ..plane.steps import End
from .connection_ends import named
from .connection_system import ANGLES, SOURCE, TARGET, Connection
from .solving import DETERMINANT, SHOWN, TRACE, Problem

STATES = (*range(*SOURCE.indices(8)), *range(*TARGET.indices(8)))
"""Unknowns that are coordinates of the state."""
WAYS = ((1.0, 1.0), (-1.0, 1.0), (1.0, SHORTER), (-1.0, SHORTER))
"""Sense of time, and factor on the distances at which branches begin, in the order in which they are
tried."""
WORTH = 1e-3
"""Length, in sides of the box, that a curve must gain where it is followed on."""
BALANCED = 1e-9
"""Trace, in units of a saddle's rates, whose sign is not known: it may be 0 all along a curve."""
SETTLING = 20
"""Newton's steps to a saddle from a place near it."""

Way = tuple[float, float]
"""One of `WAYS`."""


def connection_curve(
    field: Field,
    p: npt.ArrayLike,
    source: npt.ArrayLike,
    source_branch: int,
    target: npt.ArrayLike,
    target_branch: int,
    lower_p: npt.ArrayLike,
    upper_p: npt.ArrayLike,
    *,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    local: tuple[Curve, ...] = (),
) -> Curve | None:
    """The curve of connections of two saddles, or of one with itself, through a point of the plane.

    **Arguments**

    - `field`: f(h, p) with two parameters; an equinox module is compiled once for all its numbers.
    - `p`: where a connection is, (2,), in the rectangle.
    - `source`, `target`: places of the saddles there, (2,); nearby is enough.
    - `source_branch` (unstable: 0 or 2), `target_branch` (stable: 1 or 3): numbered as in `branch_end`.
    - `lower_p`, `upper_p`: corners of the rectangle. `lower`, `upper`: of the box in which trajectories are
      followed. (2,) each.
    - `local`: fold and Hopf curves in the same rectangle, with their special points, which may be its ends.

    Returns a `Curve` of kind `homoclinic` or `heteroclinic`, its points being those of the source. `values`:
    `error`, estimated, of a point across the curve, in sides of the box and the rectangle; `saddle_quantity`
    of a homoclinic one, the sum of the eigenvalues, 1/time. None where no connection is found near p.
    Refused: arguments not as above, and places without a saddle.
    """
    box, plane = box_of(lower, upper), rectangle_of(lower_p, upper_p)
    where = np.asarray(p, np.float64)
    if where.shape != (2,) or not ((where >= plane.lower) & (where <= plane.upper)).all():
        raise InputError("p", "a point of the rectangle", p)
    for name, index, allowed in (("source", source_branch, (0, 2)), ("target", target_branch, (1, 3))):
        if index not in allowed:
            raise InputError(f"{name}_branch", f"{allowed[0]} or {allowed[1]}", index)
    with jax.enable_x64(True):
        ends = []
        for name, place, index in (("source", source, source_branch), ("target", target, target_branch)):
            h, jacobian = _saddle(field, where, place, box, name)
            x, y = directions(jacobian)[index]
            ends.append((h, np.arctan2(y, x)))
        (h, t), (k, s) = ends
        homoclinic = bool(np.max(np.abs(h - k)) < SAME * box.size)
        corners = Box(*(jnp.asarray(corner) for corner in box))  # type: ignore[arg-type]
        numbers = (jnp.asarray(number) for number in (homoclinic, 1.0, TOLERANCE, 1.0))
        system = Connection(field, corners, *numbers)
        problem = Problem(system, plane, np.array([*h, t, *(h if homoclinic else k), s, *where]))
        return _curve(problem, local)


@dataclasses.dataclass
class _Side:
    """A path in all unknowns, how it ends, in words, and the point there; no words where it may go on."""

    path: Path
    end: str | None
    special: SpecialPoint | None = None


def _ended(problem: Problem, path: Path, end: str | None, way: Way, local: tuple[Curve, ...]) -> _Side:
    """The path up to its last end: named, or else followed on by whatever way leads on."""
    others = [other for other in WAYS if other != way]
    while end is None:
        whole, name, special = named(problem, path, local)
        if name != UNRESOLVED:
            return _Side(whole, name, special)
        found = next(filter(None, (_beyond(problem.by(*other), path) for other in others)), None)
        if found is None:
            return _Side(path, name)
        path, end = found
    return _Side(path, end)


def _beyond(problem: Problem, path: Path) -> tuple[Path, str | None] | None:
    """The path followed on from its last point, and how it ends then; None where that is not worth it."""
    on = dataclasses.replace(problem, seed=path.points[-1])
    found = _followed(on)
    if found is None:
        return None
    more, (begin, end) = found
    k = int(np.argmin(np.abs(more.points - path.points[-1]).max(axis=1)))
    if (more.tangents[k] / on.width) @ (path.tangents[-1] / on.width) < 0.0:
        more, end, k = more.reversed(), begin, len(more) - 1 - k
    if more.length[-1] - more.length[k] < WORTH:
        return None
    more = more.part(k, len(more) - 1)
    points, tangents = (
        np.concatenate(both) for both in ((path.points, more.points[1:]), (path.tangents, more.tangents[1:]))
    )
    return Path(points, tangents, np.append(path.length, path.length[-1] + more.length[1:]), False), end


def _followed(problem: Problem) -> tuple[Path, tuple[str | None, str | None]] | None:
    found = follow(problem.system, problem.seed, problem.lower, problem.upper)
    if found is None:
        return None
    ends = [_word(end, face) for end, face in zip(found.ends, found.faces)]
    return found.path, (ends[0], ends[1])


def _word(end: End, face: int) -> str | None:
    if end == End.CLOSED:
        return CLOSED
    if end == End.FACE and face not in ANGLES:
        return STATE_BORDER if face in STATES else BORDER
    return None


def _curve(problem: Problem, local: tuple[Curve, ...]) -> Curve | None:
    """The curve through the problem's seed, with its points of codimension two, ends and values."""
    begun = next(((way, found) for way in WAYS if (found := _followed(problem.by(*way))) is not None), None)
    if begun is None:
        return None
    way, (path, (begin, end)) = begun
    last = _ended(problem.by(*way), path, end, way, local)
    first = _ended(problem.by(*way), last.path.reversed(), begin, way, local)
    homoclinic = bool(problem.system.homoclinic)
    path, points = _neutral(problem, first.path.reversed()) if homoclinic else (first.path.reversed(), [])
    points += [side.special for side in (first, last) if side.special is not None]
    shown = Path(path.points[:, SHOWN], path.tangents[:, SHOWN], path.length, path.closed)
    at = [int(np.argmin(np.abs(shown.points - point.point).max(axis=1))) for point in points]
    points = [dataclasses.replace(point, length=float(path.length[k])) for point, k in zip(points, at)]
    values = {"error": problem.errors(path.points)}
    if homoclinic:
        values["saddle_quantity"] = problem.tests(path.points)[:, TRACE]
    return Curve(
        **vars(shown),
        kind=HOMOCLINIC if homoclinic else HETEROCLINIC,
        ends=(str(first.end), str(last.end)),
        codimension_two=tuple(sorted(points, key=lambda point: point.length)),
        values=values,
    )


def _neutral(problem: Problem, path: Path) -> tuple[Path, list[SpecialPoint]]:
    """The path with the points at which the saddle's trace is 0, and these."""
    tests = problem.tests(path.points)
    trace = tests[:, TRACE]
    signed = np.flatnonzero(np.abs(trace) > BALANCED * np.sqrt(np.abs(tests[:, DETERMINANT])))
    points = []
    for i, j in itertools.pairwise(signed):
        if trace[i] * trace[j] < 0.0:
            part = trace[i] / (trace[i] - trace[j])
            guess = path.at((1.0 - part) * path.length[i] + part * path.length[j])
            found = problem.located(guess, TRACE, 0.0)
            if found is not None:
                u, error = found
                points.append((u, SpecialPoint(NEUTRAL_SADDLE_LOOP, u[SHOWN], error, False)))
    for u, _ in points:
        path = path.insert(path.nearest(u, problem.width)[0], u)
    return path, [point for _, point in points]


def _saddle(field: Field, p: np.ndarray, place: npt.ArrayLike, box: Box, name: str) -> tuple:
    """The saddle near a place, and its Jacobian."""
    start = np.asarray(place, np.float64)
    if start.shape != (2,) or not np.isfinite(start).all():
        raise InputError(name, "the place of a saddle, (2,)", place)
    h = start
    for _ in range(SETTLING):
        rate, jacobian = rate_and_slope(field, h, p)
        if not (np.isfinite(jacobian).all() and np.linalg.det(jacobian) < 0.0):
            break
        h = h - np.linalg.solve(jacobian, rate)
    if not (np.linalg.det(jacobian) < 0.0 and np.max(np.abs(h - start)) < NEARBY * box.size):
        raise InputError(name, f"the place of a saddle at {p.tolist()}", start.tolist())
    return h, jacobian
