"""The parts of fold curves on which the saddle-node lies on a cycle, and the points where they end.

At places along each curve portraits are taken on both sides of it in the plane of the parameters, close to
it. All folds that lie between the two happen there at once, on several curves where a symmetry makes them,
and `bifurcations.snics` tells which of them lie on a cycle. Where the answer changes from place to place,
places are put between; then the saddle-node loop is solved for (`saddle_node_loops`), and it decides:
portraits at a distance d from the fold are right up to a distance like sqrt(d) from the loop, where a curve
of homoclinic orbits touches the fold.

Cusps, Bogdanov-Takens points and branch points bound pieces of a curve: portraits cannot be taken close
enough to the fold next to them, and from one piece nothing follows for the next.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ....records import InputError, Kind, Status
from ..extended import Field
from ..global_events.checks import box_of, rectangle_of
from ..global_events.crossings import Box
from ..plane.codimension_two import SpecialPoint
from ..plane.curve import BORDER, CLOSED, FOLD, STATE_BORDER, Curve
from ..plane.path import Path
from ..snics import explained, on_cycle
from .saddle_node_loops import saddle_node_loop

Portraits = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Columns of the `portrait` record at n points of the plane, (n, 2) -> (n, ...)."""

SPACING, FEWEST = 0.04, 8
"""Distance of places along a curve, in its units of length, and how many a piece has at the least."""
APPROACH = (1e-3, 1e-2, 0.04)
"""Places near an end of a piece, in parts of its length: closer than places elsewhere."""
DISTANCES = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
"""How far from the fold portraits are taken, in sides of the rectangle: the nearest that is resolved counts.
All are far above the error of a followed curve, 1e-9."""
NEAR = 0.25
"""The largest such distance, in parts of that to the nearest end of a piece: other curves come there, too."""
ALONE = 0.5
"""Part of the distance from a fold to the next fixed point within which its own two must be."""
ROUNDS = 4
"""Times places are put between neighbours that differ: what is left is a sixteenth of their distance."""
REACH = 0.02
"""How far beyond two places that differ a saddle-node loop is looked for, in units of length: a portrait 1e-6
from the fold may be wrong up to some thousandths from the loop."""
HIDDEN = 0.1
"""Length beyond which a stretch on which nothing is known deserves a warning."""
KNOWN = (0, 1)
"""Flags that say something."""


class Meeting(NamedTuple):
    """A fold among those that happen at once: its state (2,), and the other eigenvalue there."""

    state: np.ndarray
    trace: float


class Place(NamedTuple):
    """A length along one of the curves."""

    curve: int
    length: float


class Piece(NamedTuple):
    """A part of a curve without codimension-two points inside: its ends, whether each is known as soon as the
    place next to it is, and lengths with their flags, both ascending."""

    curve: int
    ends: tuple[float, float]
    sure: tuple[bool, bool]
    lengths: np.ndarray
    flags: np.ndarray

    def merged(self, lengths: np.ndarray, flags: np.ndarray) -> Piece:
        """The same with more places."""
        every = np.append(self.lengths, lengths)
        order = np.argsort(every, kind="stable")
        return self._replace(lengths=every[order], flags=np.append(self.flags, flags)[order])

    def extended(self) -> Piece:
        """The same with places at those ends that are sure."""
        for end, sure, k in zip(self.ends, self.sure, (0, -1)):
            if sure and end != self.lengths[k]:
                self = self.merged(np.array([end]), self.flags[[k]])
        return self


def on_cycle_along(
    field: Field,
    folds: Sequence[Curve],
    portraits: Portraits,
    lower_p: npt.ArrayLike,
    upper_p: npt.ArrayLike,
    *,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
) -> tuple[list[np.ndarray], list[list[SpecialPoint]], list[str]]:
    """Whether the saddle-nodes along fold curves lie on cycles.

    **Arguments**

    - `field`: f(h, p) with two parameters. `folds`: all its fold curves in the rectangle with corners
      `lower_p`, `upper_p`, (2,) each.
    - `portraits`: computes columns of the measure `portrait` at many points of the rectangle.
    - `lower`, `upper`: corners of the box of the portraits, (2,).

    Returns for every curve a flag for each of its points, (n,) int8: 1 on a cycle, 0 not, -1 not known; for
    every curve the saddle-node loops on it, at which the flag changes, by their length; and warnings, where
    more than `HIDDEN` of a curve is not known, or a change is not explained. Refused: curves that are not
    folds, and corners that are none.
    """
    box, rectangle = box_of(lower, upper), rectangle_of(lower_p, upper_p)
    for fold in folds:
        if not (isinstance(fold, Curve) and fold.kind == FOLD):
            raise InputError("folds", "fold curves", getattr(fold, "kind", fold))
    plane = _Plane(folds, portraits, rectangle)
    pieces = plane.refined([piece for i, fold in enumerate(folds) for piece in _pieces(i, fold)])
    flags = [np.full(len(fold), -1, np.int8) for fold in folds]
    loops: list[list[SpecialPoint]] = [[] for _ in folds]
    warnings: list[str] = []
    for piece in pieces:
        fold, flag = folds[piece.curve], flags[piece.curve]
        for (a, b), (one, other) in zip(*map(itertools.pairwise, (piece.lengths, piece.flags))):
            if one == other:
                flag[(fold.length >= a) & (fold.length <= b)] = one
        for low, a, b, high in _changes(piece):
            before, after = piece.flags[np.searchsorted(piece.lengths, (a, b))]
            loop = saddle_node_loop(field, fold, low, high, *box)
            if loop is None or loop.details["on_cycle_after"] != after:
                warnings.append(
                    f"of folds at {_words(fold.at(a))} and {_words(fold.at(b))} one is on a cycle and one is "
                    "not: what happens between them was not found"
                )
                continue
            loops[piece.curve].append(loop)
            flag[(fold.length >= low) & (fold.length < loop.length)] = before
            flag[(fold.length > loop.length) & (fold.length <= high)] = after
            flag[fold.length == loop.length] = -1
        for a, b in _unknown(piece):
            warnings.append(
                f"whether folds from {_words(fold.at(a))} to {_words(fold.at(b))} are on a cycle is not known"
            )
    return flags, loops, warnings


class _Plane:
    """The fold curves of a rectangle, and portraits beside them."""

    def __init__(self, folds: Sequence[Curve], portraits: Portraits, rectangle: Box):
        self.folds, self.portraits, self.rectangle = folds, portraits, rectangle
        self.width = rectangle.upper - rectangle.lower
        every = [(fold, mark) for fold in folds for mark, sure in _marks(fold).items() if not sure]
        self.centres = np.array([fold.at(mark)[2:] for fold, mark in every]).reshape(-1, 2)

    def refined(self, pieces: list[Piece]) -> list[Piece]:
        """Pieces with the flags of their places, and of more where neighbours differ."""
        new = [piece.lengths for piece in pieces]
        pieces = [piece._replace(lengths=np.zeros(0)) for piece in pieces]
        for _ in range(ROUNDS + 1):
            found = self.flags([Place(p.curve, s) for p, lengths in zip(pieces, new) for s in lengths])
            parts = np.split(found, np.cumsum([len(lengths) for lengths in new])[:-1])
            pieces = [piece.merged(*both) for piece, *both in zip(pieces, new, parts)]
            new = [0.5 * (p.lengths[1:] + p.lengths[:-1])[p.flags[1:] != p.flags[:-1]] for p in pieces]
        return [piece.extended() for piece in pieces]

    def flags(self, places: list[Place]) -> np.ndarray:
        """1 where the saddle-node at a place is on a cycle, 0 where not, -1 where that is not known."""
        found = np.full(len(places), -1, np.int8)
        if not places:
            return found
        origins, normals = map(np.array, zip(*map(self.across, places)))
        ways = np.stack([-np.array(DISTANCES), np.array(DISTANCES)])
        points = origins[:, None, None] + ways[..., None] * (self.width * normals)[:, None, None]
        inside = ((points >= self.rectangle.lower) & (points <= self.rectangle.upper)).all(axis=-1)
        apart = np.linalg.norm((origins[:, None] - self.centres) / self.width, axis=-1)
        inside &= np.abs(ways) <= NEAR * np.min(apart, axis=1, initial=np.inf)[:, None, None]
        columns = self.portraits(points[inside])
        row = np.full(inside.shape, -1)
        row[inside] = np.arange(inside.sum())
        usable = inside.copy()
        usable[inside] = columns["status"] == Status.OK
        for i in np.flatnonzero(usable.any(axis=2).all(axis=1)):
            nearest = usable[i].argmax(axis=1)
            before, after = (
                {name: np.asarray(column[row[i, side, k]]) for name, column in columns.items()}
                for side, k in enumerate(nearest)
            )
            reach = ways[(0, 1), nearest]
            nodes, own = self.between(places[i], origins[i], normals[i], reach)
            known = explained(nodes, before, after)
            if known and all(_alone(node, before, after) for node in nodes):
                found[i] = on_cycle(nodes, before, after)[own]
        return found

    def across(self, place: Place) -> tuple[np.ndarray, np.ndarray]:
        """The point of the plane, and a normal of the curve there in which the rectangle has sides 1."""
        fold = self.folds[place.curve]
        x, y = fold.direction(place.length)[2:] / self.width
        return fold.at(place.length)[2:], np.array([-y, x]) / max(np.hypot(x, y), np.finfo(float).tiny)

    def between(
        self, place: Place, origin: np.ndarray, normal: np.ndarray, reach: np.ndarray
    ) -> tuple[list[Meeting], int]:
        """The saddle-nodes on a normal from reach[0] to reach[1], and which is the one of the place."""
        frame = np.array([[normal[1], -normal[0]], normal]).T / self.width[:, None]
        here = self.folds[place.curve].at(place.length)[:2]
        nodes: list[Meeting] = []
        for fold in self.folds:
            points, tangents = (fold.points[:, 2:] - origin) @ frame, fold.tangents[:, 2:] @ frame
            flat = Path(points, tangents, fold.length, fold.closed)
            lengths = flat.crossings(0, 0.0)
            heights = flat.at(lengths)[:, 1]
            for s in lengths[(heights > reach[0]) & (heights < reach[1])]:
                trace = float(np.interp(s, fold.length, fold.values["trace"]))
                nodes.append(Meeting(fold.at(s)[:2], trace))
        away = [float(np.hypot(*(node.state - here))) for node in nodes]
        return nodes, int(np.argmin(away)) if nodes else -1


def _alone(node: Meeting, *rows: Mapping[str, np.ndarray]) -> bool:
    """Whether the two fixed points nearest to a fold are clearly its own, on the side that has more."""
    row = max(rows, key=lambda row: int(row["n_fixed_points"]))
    there = row["kind"] != Kind.NOT_COMPUTED
    away = np.sort(np.hypot(*(row["fixed_point"][there] - node.state).T))
    return bool(len(away) == 2 or away[1] < ALONE * away[2])


def _marks(fold: Curve) -> dict[float, bool]:
    """The lengths that bound pieces of a curve, and whether one is known as soon as places next to it are."""
    marks = {
        s: end in (BORDER, STATE_BORDER, CLOSED) for s, end in zip(fold.length[[0, -1]].tolist(), fold.ends)
    }
    return marks | {float(point.length): False for point in fold.codimension_two}


def _pieces(curve: int, fold: Curve) -> list[Piece]:
    """The pieces of a curve with the lengths of their places, without flags."""
    marks, last = _marks(fold), float(fold.length[-1])
    found = []
    for a, b in itertools.pairwise(sorted(marks)):
        size = b - a
        even = np.linspace(a, b, max(FEWEST, int(size / SPACING)) + 2)[1:-1]
        near = size * np.array(APPROACH)
        ends = [x for x in (0.0, last) if fold.closed and x in (a, b) and marks[x]]
        lengths = np.unique(np.concatenate([even, a + near, b - near, ends]))
        found.append(Piece(curve, (a, b), (marks[a], marks[b]), lengths, np.zeros(0, np.int8)))
    return found


def _changes(piece: Piece) -> list[tuple[float, float, float, float]]:
    """Neighbouring places a, b of different flags, (low, a, b, high): the interval [low, high] around them is
    to be searched, as far as `REACH` and as the flags are those of a and b."""
    lengths, flags = piece.lengths, piece.flags
    turns = np.flatnonzero(flags[1:] != flags[:-1])
    stops = [-1, *turns, len(flags) - 1]
    found = []
    for before, k, after in zip(stops, stops[1:], stops[2:]):
        if flags[k] in KNOWN and flags[k + 1] in KNOWN:
            a, b = lengths[k], lengths[k + 1]
            low, high = max(lengths[before + 1], a - REACH), min(lengths[after], b + REACH)
            found.append((float(low), float(a), float(b), float(high)))
    return found


def _unknown(piece: Piece) -> list[tuple[float, float]]:
    """Stretches longer than `HIDDEN` on which nothing is known: from a known place or an end to the next."""
    stops = piece.lengths[np.isin(piece.flags, KNOWN)]
    edges = np.array([piece.ends[0], *stops, piece.ends[1]])
    hidden = np.searchsorted(piece.lengths[piece.flags == -1], edges)
    gaps = (np.diff(hidden) > 0) & (np.diff(edges) > HIDDEN)
    return [(float(edges[k]), float(edges[k + 1])) for k in np.flatnonzero(gaps)]


def _words(point: np.ndarray) -> str:
    return "(" + ", ".join(f"{x:.6g}" for x in point) + ")"
