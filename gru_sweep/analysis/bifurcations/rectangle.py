"""The one door for a rectangle of two parameters: every bifurcation curve that is found in it.

1. Curves of bifurcations of fixed points (`plane.curves`), and which parts of fold curves lie on a cycle
   (`global_curves.snics`).
2. Portraits on a coarse grid. Where the label changes and no known curve is between, saddles connect or
   cycles meet: the event is located on that piece of a line (`global_events.between`) and followed through
   the rectangle (`global_curves`), until every change has its curve or has been looked at in vain.

What may be missed: what `plane.curves` may miss; a curve that no line of the grid meets, or on both of whose
sides the labels are the same; what happens between a curve and the nearest portraits beside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...records import InputError
from .extended import Field
from .global_curves.changes import Change, Grid, Portraits
from .global_curves.seeds import Corners, curve_through, line_of
from .global_curves.snics import on_cycle_along
from .global_events.between import between
from .plane.codimension_two import BOGDANOV_TAKENS, SpecialPoint
from .plane.curve import (
    CYCLE_FOLD,
    FOLD,
    HOMOCLINIC,
    PITCHFORK,
    SADDLE_NODE_LOOP,
    TRANSCRITICAL,
    Curve,
    Curves,
)
from .plane.curves import curves
from .plane.path import SAME

GRID = 24
"""Nodes of the grid along each side."""
MAX_IN_VAIN = 12
"""Changes of label looked at in vain before the others are left alone."""
PASSES = 1e-6
"""How near to its seed a followed curve must pass, in sides of the box."""
AROUND, FINER = 10, (0.05, 0.01, 0.002)
"""Nodes along the sides of the grids around a point from which a homoclinic curve must come, and how far they
reach from it, in sides of the rectangle."""
ONE = 1e-6
"""Distance, in sides of the rectangle, within which two points of codimension two are one."""


@dataclasses.dataclass(frozen=True)
class Diagram:
    """The curves of a rectangle, and the portraits of its coarse grid.

    - `curves`: of fixed points, then global ones. `on_cycle`: per curve, (n,): 1 where a saddle-node lies on
      a cycle, 0 where it does not, -1 where that is not known, and on curves of other kinds.
    - `nodes`: two coordinates of the grid, (m,) each; `labels`: (m, m), empty where they are not known.
    - `changes`: pieces of lines on which the label changes for no known reason: (k, 2, 2), two points each.
    """

    curves: Curves
    on_cycle: tuple[np.ndarray, ...]
    nodes: tuple[np.ndarray, np.ndarray]
    labels: np.ndarray
    changes: np.ndarray


def diagram(
    field: Field,
    lower_p: npt.ArrayLike,
    upper_p: npt.ArrayLike,
    portraits: Portraits | None,
    *,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    grid: int = GRID,
    progress: Callable[[int, int], None] = lambda done, total: None,
    **search: Any,
) -> Diagram:
    """The bifurcation curves of dh/dt = field(h, p) with p in a rectangle and h in a box.

    **Arguments**

    - `field`, the corners and `search`: as in `plane.curves.curves`.
    - `portraits`: columns of the measure `portrait` at points of the plane, (n, 2) to (n, ...). None: curves
      of fixed points only.
    - `grid`: nodes along each side of the grid of portraits.
    - `progress` is told the steps done, of how many: the lines searched, the cycles on folds, and the rest.

    Refused: what `plane.curves.curves` refuses, and a grid without a line.
    """
    if isinstance(grid, bool) or not isinstance(grid, int) or grid < 1:
        raise InputError("grid", "a positive integer", grid)
    more = 0 if portraits is None else 2
    count = 0

    def searched(done: int, total: int) -> None:
        nonlocal count
        count = total
        progress(done, total + more)

    local = curves(field, lower_p, upper_p, lower=lower, upper=upper, progress=searched, **search)
    if portraits is None:
        empty = np.zeros(0), np.zeros(0)
        unknown = tuple(np.full(len(curve), -1, np.int8) for curve in local)
        return Diagram(local, unknown, empty, np.zeros((0, 0), object), np.zeros((0, 2, 2)))
    corners = Corners(*(np.asarray(x, float) for x in (lower_p, upper_p, lower, upper)))
    known, flags, warnings = _with_loops(field, local, portraits, corners)
    progress(count + 1, count + more)
    work = _Search(field, portraits, corners, known, grid)
    work.follow_all()
    progress(count + more, count + more)
    flags += [np.full(len(curve), -1, np.int8) for curve in work.curves[len(known) :]]
    texts = tuple(dict.fromkeys((*local.warnings, *warnings, *work.warnings())))
    found = dataclasses.replace(
        local, curves=tuple(work.curves), complete=local.complete and not texts, warnings=texts
    )
    table = work.grid
    return Diagram(found, tuple(flags), table.nodes, table.labels, work.unexplained())


def _with_loops(
    field: Field, local: Curves, portraits: Portraits, corners: Corners
) -> tuple[list[Curve], list[np.ndarray], list[str]]:
    """The local curves with the saddle-node loops on them, what of each lies on a cycle, and warnings."""
    found = list(local)
    flags = [np.full(len(curve), -1, np.int8) for curve in found]
    folds = [i for i, curve in enumerate(found) if curve.kind == FOLD]
    if not folds:
        return found, flags, []
    some, loops, warnings = on_cycle_along(
        field,
        tuple(found[i] for i in folds),
        portraits,
        corners.lower_p,
        corners.upper_p,
        lower=corners.lower,
        upper=corners.upper,
    )
    for i, flag, points in zip(folds, some, loops):
        found[i], flags[i] = _with_points(found[i], flag, points)
    return found, flags, warnings


def _with_points(curve: Curve, flags: np.ndarray, points: Sequence[SpecialPoint]) -> tuple[Curve, np.ndarray]:
    """A curve with more special points, each one of its vertices, and -1 for them among the flags."""
    for point in points:
        path, values = curve.insert(point.length, point.point), curve.values
        if len(path) > len(curve):
            at = int(np.searchsorted(curve.length, point.length))
            here = {name: np.interp(point.length, curve.length, some) for name, some in values.items()}
            values = {name: np.insert(some, at, here[name]) for name, some in values.items()}
            flags = np.insert(flags, at, -1)
        else:
            flags = np.where(np.isclose(curve.length, point.length, rtol=0.0, atol=SAME), -1, flags)
        curve = dataclasses.replace(
            curve,
            points=path.points,
            tangents=path.tangents,
            length=path.length,
            values=values,
            codimension_two=tuple(sorted([*curve.codimension_two, point], key=lambda one: one.length)),
        )
    return curve, flags


class _Search:
    """The curves known so far, and the grid whose changes of label they explain."""

    def __init__(
        self, field: Field, portraits: Portraits, corners: Corners, known: list[Curve], grid: int
    ) -> None:
        self.field, self.portraits, self.corners = field, portraits, corners
        self.curves = list(known)
        self.grid = Grid(portraits, corners.lower_p, corners.upper_p, grid)
        self.grid.cut(known)

    def follow_all(self) -> None:
        """Follow curves until every change of label has one, or has been looked at."""
        self._explain(self.grid)
        for point in self.bare():
            self._look_around(point)

    def _explain(self, grid: Grid) -> None:
        in_vain: list[Change] = []
        while len(in_vain) < MAX_IN_VAIN:
            change = next((c for c in grid.changes() if not any(map(c.within, in_vain))), None)
            if change is None:
                return
            new = self._curves_of(change)
            if new:
                self.curves += new
                for one in {id(one): one for one in (grid, self.grid)}.values():
                    one.cut(new)
            else:
                in_vain.append(change)

    def _look_around(self, point: SpecialPoint) -> None:
        """Follow curves near a point from which one must come."""
        lower, upper = self.corners.lower_p, self.corners.upper_p
        for part in FINER:
            if not any(self._same(point, other) for other in self.bare()):
                return
            reach = part * (upper - lower)
            low, high = np.maximum(point.point[2:] - reach, lower), np.minimum(point.point[2:] + reach, upper)
            grid = Grid(self.portraits, low, high, AROUND)
            grid.cut(self.curves)
            self._explain(grid)

    def bare(self) -> list[SpecialPoint]:
        """Points of folds from which a homoclinic curve must come, and none is known.

        Not those on curves of branch points, where symmetry or a persistent fixed point makes other curves.
        """
        known = [
            point
            for curve in self.curves
            if curve.kind in (HOMOCLINIC, PITCHFORK, TRANSCRITICAL)
            for point in curve.codimension_two
        ]
        return [
            point
            for curve in self.curves
            if curve.kind == FOLD
            for point in curve.codimension_two
            if point.kind in (BOGDANOV_TAKENS, SADDLE_NODE_LOOP)
            and not any(self._same(point, other) for other in known)
        ]

    def _same(self, one: SpecialPoint, other: SpecialPoint) -> bool:
        width = (self.corners.upper_p - self.corners.lower_p) * ONE
        return one.kind == other.kind and bool((np.abs(one.point - other.point)[2:] <= width).all())

    def unexplained(self) -> np.ndarray:
        """(k, 2, 2)"""
        return np.array([change.ends for change in self.grid.changes()]).reshape(-1, 2, 2)

    def warnings(self) -> list[str]:
        count = len(self.unexplained())
        where = "on 1 piece" if count == 1 else f"on {count} pieces"
        found = [f"the label changes for no known reason {where} of the grid's lines"] if count else []
        for point in self.bare():
            place = ", ".join(f"{x:.6g}" for x in point.point[2:])
            found.append(
                f"the homoclinic curve that comes from the {point.kind} point at ({place}) was not found"
            )
        return found

    def _curves_of(self, change: Change) -> list[Curve]:
        """The curves through the events between the two ends of a change."""
        events = between(
            line_of(self.field, change),
            change.before,
            change.after,
            lambda values: self.portraits(np.array([change.point(x) for x in values])),
            lower=self.corners.lower,
            upper=self.corners.upper,
        )
        found: list[Curve] = []
        for event in events:
            at = np.concatenate([event.at, change.point(event.value)])
            if any(curve.kind == event.kind and self._passes(curve, at) for curve in found):
                continue
            curve = curve_through(self.field, event, change, self.corners, tuple(self.curves))
            if curve is not None and self._passes(curve, at):
                found.append(curve)
        return found

    def _passes(self, curve: Curve, at: np.ndarray) -> bool:
        """Whether a curve passes through the point (h, p) of an event."""
        width = self.corners.width.copy()
        if curve.kind == CYCLE_FOLD:
            width[:2] = np.inf  # any point of the cycle
        return curve.nearest(at, width)[1] < PASSES
