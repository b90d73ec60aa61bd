r"""From the legs of a followed curve of folds of cycles to one curve with names: values, joints, ends.

The curve begins at Bautin points, where the double cycle has no size, and at neutral saddle loops, where its
period is infinite (Kuznetsov 2004, sec. 8.3; Dumortier, Roussarie, Sotomayor & Zoladek 1991).

At a Bautin point h and p are smooth functions of the distance s along the ray, with derivative 0 at s = 0.
The polynomial in s that has these values and slopes and those of the last points followed bridges the cycles
that are too small to be followed.

To a neutral saddle loop the curve runs beside that of the homoclinic orbits, which it touches to infinite
order: long before the end no rounding tells them apart. The rest is one cubic, a guess.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from ..extended import Field, rate_and_slope
from ..plane.codimension_two import BAUTIN, SpecialPoint
from ..plane.curve import (
    BORDER,
    CLOSED,
    CYCLE_FOLD,
    NEUTRAL_SADDLE_LOOP,
    STATE_BORDER,
    UNRESOLVED,
    Curve,
)
from ..plane.path import SAME, Path
from ..plane.steps import End
from .double_cycles import DoubleCycle, measures, orbit

MEETS = 1e-8
"""How near to each other, in sides of the rectangle, points of the plane are one."""
NEAR = 0.5
"""How far a Bautin point may lie from where the curve's parabola has it, in units of the way there."""
SPREAD, BRIDGE = (1.0, 1.5, 2.0), 8
"""Distances s of the points that give the polynomial up to a Bautin point, in units of the last one's, and
how many points are taken from it. Closer to each other those would magnify their rounding."""
CLOSE = 1e-3
"""Distance of a cycle from a saddle, in boxes, at which it is about to be a loop of it."""
LOST = 0.1
"""How far from a neutral saddle loop a curve may be lost in rounding, in sides of the rectangle: the period
grows only like the inverse of that distance."""
JOINT = 4.0 * SAME
"""Length between two points that are one, on two rays: lengths ascend."""


class Corners(NamedTuple):
    """Of the box of the unknowns (h, s, p), (5,) each; `size` is that of the box of states."""

    lower: np.ndarray
    upper: np.ndarray
    size: float

    @property
    def width(self) -> np.ndarray:
        return self.upper - self.lower


@dataclasses.dataclass(frozen=True)
class Leg:
    """A part of the curve that one ray serves, in the unknowns of `system`: how it ends, on which face, and
    the cusps of cycles on it."""

    system: DoubleCycle
    path: Path
    ends: tuple[End, End]
    faces: tuple[int, int]
    cusps: tuple[SpecialPoint, ...] = ()

    def turned(self) -> Leg:
        """From its end to its beginning."""
        return dataclasses.replace(
            self, path=self.path.reversed(), ends=self.ends[::-1], faces=self.faces[::-1]
        )

    def after(self, row: int) -> Leg:
        """From one of its points on."""
        return dataclasses.replace(self, path=self.path.part(row, len(self.path) - 1))


class _Shown(NamedTuple):
    """A path in (h, p), and the period and the second derivative at its points, (2, n)."""

    path: Path
    values: np.ndarray

    def turned(self) -> _Shown:
        return _Shown(self.path.reversed(), self.values[:, ::-1])


class _Tip(NamedTuple):
    """How a curve ends, in a word; the point at its end, and what leads there, from the last point followed
    (not included) on: its lengths are counted from that."""

    word: str
    point: SpecialPoint | None = None
    rest: _Shown | None = None


def curve_of(field: Field, legs: list[Leg], corners: Corners, known: tuple[SpecialPoint, ...]) -> Curve:
    """The curve that consists of some legs; `known`: points at which it may end."""
    parts = [_shown(leg.system, leg.path) for leg in legs]
    closed = legs[-1].ends[1] == End.CLOSED
    if closed and len(parts) > 1:
        path, values = parts[0]
        parts.append(_Shown(Path(path.points[:1], path.tangents[:1], np.zeros(1), False), values[:, :1]))
    whole = parts[0]
    for part in parts[1:]:
        whole = _joined(whole, part, JOINT)
    tips = (_Tip(CLOSED), _Tip(CLOSED))
    if not closed:
        tips = tuple(_tip(field, leg, corners, known) for leg in (legs[0].turned(), legs[-1]))  # type: ignore
    if tips[1].rest is not None:
        whole = _joined(whole, tips[1].rest, 0.0)
    if tips[0].rest is not None:
        whole = _joined(whole.turned(), tips[0].rest, 0.0).turned()
    path, values = whole
    named = []
    for point in (*(tip.point for tip in tips), *(cusp for leg in legs for cusp in leg.cusps)):
        if point is not None:
            row = int(np.argmin(np.max(np.abs(path.points - point.point), axis=1)))
            named.append(dataclasses.replace(point, length=float(path.length[row])))
    return Curve(
        path.points,
        path.tangents,
        path.length,
        closed,
        kind=CYCLE_FOLD,
        ends=(tips[0].word, tips[1].word),
        codimension_two=tuple(sorted(named, key=lambda point: point.length)),
        values={"period": values[0], "second_derivative": values[1]},
    )


def _tip(field: Field, leg: Leg, corners: Corners, known: tuple[SpecialPoint, ...]) -> _Tip:
    """How a leg ends."""
    if leg.ends[1] != End.FACE:
        return _neutral_loop(field, leg, corners, known) or _Tip(UNRESOLVED)
    axis = leg.faces[1]
    if axis == 2:
        return _bautin(field, leg, corners, known) or _Tip(UNRESOLVED)
    return _Tip(STATE_BORDER if axis < 2 else BORDER)


def _bautin(field: Field, leg: Leg, corners: Corners, known: tuple[SpecialPoint, ...]) -> _Tip | None:
    """The known Bautin point to which the cycles of a leg shrink."""
    u, along = leg.path.points[-1], leg.path.tangents[-1]
    # h and p are even in s, to second order
    way = np.delete(-0.5 * u[2] / along[2] * along, 2)
    scale = np.delete(corners.width, 2)
    reach = NEAR * np.max(np.abs(way / scale)) + MEETS
    shown = np.delete(u, 2) + way
    near = [
        (float(np.max(np.abs(x.point - shown) / scale)), i) for i, x in enumerate(known) if x.kind == BAUTIN
    ]
    if not near or min(near)[0] > reach:
        return None
    point = known[min(near)[1]]
    path = _bridge(leg.path, np.insert(point.point, 2, 0.0), corners.width)
    rest = _shown(leg.system, path)
    determinant = np.linalg.det(rate_and_slope(field, point.point[:2], point.point[2:])[1])
    rest.values[:, -1] = 2.0 * np.pi / np.sqrt(determinant), 0.0
    return _Tip(BAUTIN, point, rest)


def _bridge(path: Path, end: np.ndarray, width: np.ndarray) -> Path:
    """From the last point of a path to a Bautin point (h, 0, p); lengths from that last point."""
    s = path.points[::-1, 2]
    rising = np.append(np.flatnonzero(np.diff(s) <= 0.0), len(s) - 1)[0]
    rows = np.unique(np.minimum(np.searchsorted(s[: rising + 1], s[0] * np.array(SPREAD)), rising))
    points, tangents = path.points[::-1][rows], path.tangents[::-1][rows]
    top = points[-1, 2]
    slope = np.array([0.0, 0.0, 1.0, 0.0, 0.0])
    slopes = np.concatenate([slope[None], tangents / tangents[:, 2:3]]) * top
    x = np.append(0.0, points[:, 2]) / top
    powers = np.arange(2 * len(x))
    lifted = np.where(powers > 0, powers * x[:, None] ** np.maximum(powers - 1, 0), 0.0)
    matrix = np.concatenate([x[:, None] ** powers, lifted])
    given = np.concatenate([end[None], points, slopes])
    terms = np.linalg.solve(matrix, given)
    at = s[0] / top * np.linspace(1.0, 0.0, BRIDGE + 1)
    found = at[:, None] ** powers @ terms
    rate = -np.where(powers > 0, powers * at[:, None] ** np.maximum(powers - 1, 0), 0.0) @ terms
    found[-1], rate[-1] = end, -slope
    unit = rate / np.linalg.norm(rate / width, axis=1, keepdims=True)
    chord = np.linalg.norm(np.diff(found / width, axis=0), axis=1)
    # the length of an arc of a circle with this chord and these tangents
    half = np.arcsin(0.5 * np.linalg.norm(np.diff(unit / width, axis=0), axis=1))
    length = np.cumsum(chord / np.sinc(half / np.pi))
    return Path(found[1:], unit[1:], length, False)


def _neutral_loop(field: Field, leg: Leg, corners: Corners, known: tuple[SpecialPoint, ...]) -> _Tip | None:
    """The known neutral saddle loop to whose saddle the last cycle of a leg comes close."""
    system, close = leg.system, CLOSE * corners.size
    last = _shown(system, leg.path.part(len(leg.path) - 2, len(leg.path) - 1)).path
    here, along, width = last.points[-1], last.tangents[-1], corners.width[3:]
    states, _ = orbit(field, here[2:], here[:2], (system.lower, system.upper), close)
    for point in known:
        if point.kind != NEUTRAL_SADDLE_LOOP or not len(states):
            continue
        near = np.min(np.hypot(*(states - point.point[:2]).T)) <= close
        way, speed = (point.point[2:] - here[2:]) / width, along[2:] / width
        if near and np.max(np.abs(way)) <= LOST and way @ speed > 0.0:
            gap = float(np.linalg.norm(way) / np.linalg.norm(speed))
            # that of the parabola that leaves the last point along its tangent
            tangent = 2.0 * (point.point - here) / gap - along
            path = Path(point.point[None], tangent[None], np.array([gap]), False)
            return _Tip(NEUTRAL_SADDLE_LOOP, point, _Shown(path, np.array([[np.inf], [np.nan]])))
    return None


def _shown(system: DoubleCycle, path: Path) -> _Shown:
    shown = Path(system.shown(path.points), system.shown(path.tangents), path.length, path.closed)
    return _Shown(shown, np.stack(measures(system, path.points)))


def _joined(first: _Shown, second: _Shown, gap: float) -> _Shown:
    """One after the other, at this length from it."""
    (a, one), (b, two) = first, second
    length = np.concatenate([a.length, a.length[-1] + gap + b.length])
    points, tangents = (np.concatenate([getattr(x, k) for x in (a, b)]) for k in ("points", "tangents"))
    return _Shown(Path(points, tangents, length, False), np.concatenate([one, two], axis=1))
