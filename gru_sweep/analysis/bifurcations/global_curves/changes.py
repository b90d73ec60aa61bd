"""Changes of the topology label along the lines of a coarse grid, and which of them known curves explain.

Portraits are taken at the nodes of a grid in the rectangle. A known curve cuts the lines of the grid, and
portraits are taken on both sides of every cut; what is left are pieces of lines without a cut at whose two
ends the labels differ: there is a curve that is not known yet.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ....records import Status
from ... import topology
from ..plane.curve import Curve
from ..plane.curves import GOLDEN

Row = dict[str, Any]
"""A point's columns of the measure `portrait`, with `value`, its coordinate along a line, and `label`."""
Portraits = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Columns of the `portrait` record at n points of the plane, (n, 2) to (n, ...)."""

BESIDE = (1e-2, 1e-3, 1e-4)
"""How far from a cut portraits are taken, in units of the distance of nodes: as near as they can be made."""
ONE = 1e-9
"""Cuts this near to each other, in sides of the rectangle, are one: curves that coincide by a symmetry."""


@dataclasses.dataclass(frozen=True)
class Change:
    """A piece of a line, on which coordinate `axis` of p varies and the other is `level`, without a known
    curve, from a portrait to one with another label."""

    axis: int
    level: float
    before: Row
    after: Row

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Both points of the plane, (2,) each."""
        return self.point(self.before["value"]), self.point(self.after["value"])

    def within(self, other: Change) -> bool:
        """Whether this is part of another, or the same."""
        same = self.axis == other.axis and self.level == other.level
        inside = other.before["value"] <= self.before["value"] and self.after["value"] <= other.after["value"]
        return bool(same and inside)

    def point(self, value: float) -> np.ndarray:
        """The point of the plane at a value along the line."""
        p = np.full(2, self.level)
        p[self.axis] = value
        return p


@dataclasses.dataclass
class _Line:
    axis: int
    level: float
    rows: list[Row]
    cuts: list[float] = dataclasses.field(default_factory=list)


class Grid:
    """Portraits on the lines of an n x n grid of the rectangle [lower, upper], (2,) each.

    The lines lie at the fractions (k + GOLDEN) / n of its sides.

    `nodes`: the two coordinates of its nodes, (n,) each; `labels`: (n, n), empty where the status is not ok.
    """

    def __init__(self, portraits: Portraits, lower: np.ndarray, upper: np.ndarray, n: int):
        self.portraits, self.lower, self.upper = portraits, lower, upper
        self.spacing = (upper - lower) / n
        self.nodes = tuple(lower[i] + (np.arange(n) + GOLDEN) * self.spacing[i] for i in (0, 1))
        points = np.stack(np.meshgrid(*self.nodes, indexing="ij"), axis=-1)
        columns = portraits(points.reshape(-1, 2))
        labels = topology.labels(columns)
        ok = columns["status"] == Status.OK
        self.labels = np.where(ok, labels, "").reshape(n, n)
        self._lines = []
        for axis, k in itertools.product((0, 1), range(n)):
            index = np.arange(n) * n + k if axis == 0 else k * n + np.arange(n)
            rows = _rows(columns, labels, index, points.reshape(-1, 2)[index, axis])
            self._lines.append(_Line(axis, float(self.nodes[1 - axis][k]), rows))

    def cut(self, curves: Iterable[Curve]) -> None:
        """Make curves known."""
        curves = list(curves)
        wanted: list[tuple[_Line, float]] = []
        for line in self._lines:
            side = self.upper[line.axis] - self.lower[line.axis]
            new = np.sort(np.concatenate([[], *(_crossings(curve, line) for curve in curves)]))
            new = new[np.diff(new, prepend=-np.inf) > ONE * side]
            new = np.array(
                [x for x in new if np.min(np.abs(np.array(line.cuts) - x), initial=np.inf) > ONE * side]
            )
            line.cuts = sorted([*line.cuts, *new.tolist()])
            for cut in new:
                wanted += [(line, x) for x in self._beside(line, cut)]
        if wanted:
            self._look(wanted)

    def changes(self) -> Iterator[Change]:
        """Where labels differ and no known curve is."""
        for line in self._lines:
            cuts = np.array(line.cuts)
            for before, after in itertools.pairwise(line.rows):
                between = (cuts > before["value"]) & (cuts < after["value"])
                if before["label"] != after["label"] and not between.any():
                    yield Change(line.axis, line.level, before, after)

    def _beside(self, line: _Line, cut: float) -> Iterator[float]:
        """Values on both sides of a cut, nearer than half way to the next one."""
        others = np.array([x for x in line.cuts if x != cut])
        for sign in (-1.0, 1.0):
            away = sign * (others - cut)
            room = 0.5 * np.min(away[away > 0.0], initial=np.inf)
            for part in BESIDE:
                value = cut + sign * min(part * self.spacing[line.axis], room)
                if self.lower[line.axis] <= value <= self.upper[line.axis]:
                    yield float(value)

    def _look(self, wanted: list[tuple[_Line, float]]) -> None:
        points = np.array([[x, line.level] if line.axis == 0 else [line.level, x] for line, x in wanted])
        columns = self.portraits(points)
        labels = topology.labels(columns)
        for i, (line, value) in enumerate(wanted):
            line.rows += _rows(columns, labels, np.array([i]), np.array([value]))
        for line in {id(line): line for line, _ in wanted}.values():
            line.rows.sort(key=lambda row: row["value"])


def _rows(
    columns: dict[str, np.ndarray], labels: np.ndarray, index: np.ndarray, values: np.ndarray
) -> list[Row]:
    """Those of status ok."""
    return [
        {name: np.asarray(column)[i] for name, column in columns.items()}
        | {"value": np.float64(value), "label": labels[i]}
        for i, value in zip(index, values)
        if columns["status"][i] == Status.OK and labels[i]
    ]


def _crossings(curve: Curve, line: _Line) -> np.ndarray:
    """Where a curve cuts a line, by the coordinate along it."""
    return curve.at(curve.crossings(3 - line.axis, line.level))[..., 2 + line.axis]
