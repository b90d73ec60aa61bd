"""The whole portrait of a planar GRU as integers, by the scipy reference: fixed points and their kinds,
limit cycles with sense and nesting, and where the branches of every saddle end and in which order.

Cut along its cycles the box is a tree of spheres; each side of a cycle and the border is a vertex. On a
sphere with saddles every attractor and repeller is the end of a branch, and all faces are quadrilaterals
attractor, saddle, repeller, saddle [1]. So every cycle is met by the branches, or, where a sphere has no
saddle, by one probe against the stability of its only known vertex; and the cyclic order of the branches at
attractors follows from that at repellers, and conversely: it is measured where it can be, inferred
elsewhere, and what was measured twice must agree.

[1] M. M. Peixoto, On the classification of flows on 2-manifolds, in: Dynamical Systems, 1973.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tests.oracle import FixedPoint, PlanarGRU, fixed_points
from tests.oracle_orbits import BORDER, INNER, OUTER, Loop, Orbits, Undecided

SLOTS, CYCLES = 16, 8
KINDS = ("stable node", "stable focus", "unstable node", "unstable focus", "saddle", "degenerate")
SADDLE = KINDS.index("saddle")
APART = 1e-5
"""Arrivals at a vertex closer than this (radians, units of the state) have no measured order."""

Branch = tuple[int, int]
"""A saddle and the number 0..3 of one of its branches."""


@dataclass(frozen=True)
class PortraitCode:
    """A portrait as integers, padded with -1 (`cycle_sense`, `cycle_encloses`: 0).

    Fixed points are sorted by x, then y; cycles by the area they enclose, largest first. The branches of a
    saddle stand counterclockwise around it, 0 and 2 unstable.
    """

    kind: np.ndarray
    """(16,) index into `KINDS`."""
    branch_end: np.ndarray
    """(16, 4) 0..15 a fixed point, 16 + 2 k the outer and 17 + 2 k the inner side of cycle k, 32 the
    border."""
    branch_rank: np.ndarray
    """(16, 4) place among the branches with the same end, the first of them at 0: counterclockwise around a
    fixed point, along the counterclockwise curve for sides of cycles and the border."""
    cycle_stable: np.ndarray
    """(8,) 1 or 0."""
    cycle_sense: np.ndarray
    """(8,) +1 counterclockwise, -1 clockwise."""
    cycle_encloses: np.ndarray
    """(8,) bit i: fixed point i."""
    cycle_within: np.ndarray
    """(8,) the innermost cycle around it."""

    @property
    def n_fixed_points(self) -> int:
        return int((self.kind >= 0).sum())

    @property
    def n_cycles(self) -> int:
        return int((self.cycle_stable >= 0).sum())

    def lists(self) -> dict[str, list]:
        """What is not padding, ready for JSON: branches of saddles only; `of` is the inverse."""
        saddles = self.kind == SADDLE
        rows = {"kind": self.kind >= 0, "branch_end": saddles, "branch_rank": saddles}
        return {n: getattr(self, n)[rows.get(n, self.cycle_stable >= 0)].tolist() for n in _FILL}

    @classmethod
    def of(cls, lists: dict[str, list]) -> PortraitCode:
        """The code whose `lists` these are."""
        saddles = [i for i, kind in enumerate(lists["kind"]) if kind == SADDLE]
        padded = {}
        for name, fill in _FILL.items():
            padded[name] = np.full((CYCLES,) if "cycle" in name else (SLOTS,), fill, np.int64)
            if "branch" in name:
                padded[name] = np.full((SLOTS, 4), fill, np.int64)
                padded[name][saddles] = np.reshape(lists[name], (-1, 4))
            else:
                padded[name][: len(lists[name])] = lists[name]
        return cls(**padded)


_FILL = {
    "kind": -1,
    "branch_end": -1,
    "branch_rank": -1,
    "cycle_stable": -1,
    "cycle_sense": 0,
    "cycle_encloses": 0,
    "cycle_within": -1,
}


def code(gru: PlanarGRU, points: tuple[FixedPoint, ...] | None = None, care: float = 1.0) -> PortraitCode:
    """The portrait of a planar GRU; `points` are its `fixed_points` where they are known already, `care`
    divides the tolerance of integration and the distance at which branches start.

    Raises `Undecided` (an ArithmeticError), with the reason, where the reference cannot tell.
    """
    return traced(gru, points, care)[0]


def traced(
    gru: PlanarGRU, points: tuple[FixedPoint, ...] | None = None, care: float = 1.0
) -> tuple[PortraitCode, list[Loop]]:
    """The portrait and its cycles as curves, in the order of the code."""
    points = fixed_points(gru) if points is None else points
    if len(points) > SLOTS:
        raise Undecided(f"{len(points)} fixed points, more than {SLOTS}")
    if any(p.kind == "degenerate" for p in points):
        raise Undecided("a degenerate fixed point")
    orbits = Orbits(gru, points, care)
    ends: dict[Branch, int] = {}
    places: dict[Branch, complex | None] = {}
    for i in orbits.saddles:
        for j, (start, way) in enumerate(orbits.branches(i)):
            ends[i, j], places[i, j] = orbits.fate(start, way)
    _probe(orbits, ends)
    if len(orbits.loops) > CYCLES:
        raise Undecided(f"{len(orbits.loops)} cycles, more than {CYCLES}")
    order = sorted(range(len(orbits.loops)), key=lambda k: -orbits.loops[k].area)
    ends = {b: _renumbered(end, order) for b, end in ends.items()}
    loops = [orbits.loops[k] for k in order]
    spheres = _spheres(orbits, loops)
    rank = completed(ends, _measured(orbits, ends, places))
    _check(ends, rank, spheres, points)
    return _assemble(points, ends, rank, loops), loops


def _probe(orbits: Orbits, ends: dict[Branch, int]) -> None:
    """Meet the cycles that no branch ends at: from the border, and from both sides of every cycle met, one
    orbit that leaves; from fixed points without a branch, one each."""
    met = set(ends.values())
    if BORDER not in met:
        met |= {BORDER, orbits.fate(complex(1.0, 0.83), 1)[0]}
    waiting = True
    while waiting:
        waiting = False
        for k, loop in enumerate(orbits.loops):
            for side in (OUTER + 2 * k, INNER + 2 * k):
                if side not in met:
                    met |= {
                        side,
                        orbits.fate(_beside(loop, side == INNER + 2 * k), -1 if loop.stable else 1)[0],
                    }
                    waiting = True
        for i, p in enumerate(orbits.points):
            if not p.saddle and i not in met:
                t = orbits.traps[1 if p.attracts(1) else -1][i]
                h = t.centre + 0.5 * t.radius / abs(t.gx)
                met |= {i, orbits.fate(h, -1 if p.attracts(1) else 1)[0]}
                waiting = True


def _beside(loop: Loop, inside: bool) -> complex:
    """A state next to the cycle, on the side that is asked for."""
    p = loop.polygon
    extent = np.ptp(p.real) + np.ptp(p.imag)
    for m in range(0, len(p) - 1, max(1, len(p) // 16)):
        normal = 1j * (p[m + 1] - p[m])
        for h in (p[m] + s * 1e-3 * extent * normal / abs(normal) for s in (1, -1)):
            if loop.surrounds(h) == inside and loop.distance(h) > 5e-4 * extent:
                return h
    raise Undecided("no room beside a cycle")


def _renumbered(end: int, order: list[int]) -> int:
    if not OUTER <= end < BORDER:
        return end
    return OUTER + 2 * order.index((end - OUTER) // 2) + end % 2


def _around(h: complex, loops: list[Loop]) -> int:
    """The innermost cycle around a state, -1 for none. Loops are sorted by area."""
    return max((k for k, loop in enumerate(loops) if loop.surrounds(h)), default=-1)


def _spheres(orbits: Orbits, loops: list[Loop]) -> dict[int, int]:
    """Vertex or saddle -> its sphere, named by the cycle around it (-1: the outermost)."""
    spheres = {i: _around(h, loops) for i, h in enumerate(orbits.at)}
    spheres[BORDER] = -1
    for k, loop in enumerate(loops):
        spheres[OUTER + 2 * k] = _around(loop.start, loops[:k])
        spheres[INNER + 2 * k] = k
    return spheres


def _measured(
    orbits: Orbits, ends: dict[Branch, int], places: dict[Branch, complex | None]
) -> dict[int, list[Branch]]:
    """The branches at each end in the order counterclockwise along its curve, where that was seen clearly,
    or where there are at most two."""
    known = {}
    for end in set(ends.values()):
        here = sorted(b for b, e in ends.items() if e == end)
        if len(here) <= 2:
            known[end] = here
            continue
        if any(places[b] is None for b in here):
            continue
        if end == BORDER:
            turn, position = 8.0, {b: _perimeter(places[b]) for b in here}
        else:
            t = orbits.traps[1 if orbits.points[end].attracts(1) else -1][end]
            turn = math.tau
            position = {b: float(np.angle(t.coordinate(places[b]))) % math.tau for b in here}
        here.sort(key=position.__getitem__)
        gaps = [(position[b] - position[a]) % turn for a, b in zip(here, here[1:] + here[:1], strict=True)]
        if min(gaps) > APART:
            known[end] = here
    return known


def _perimeter(h: complex) -> float:
    """Place 0..8 on the border of the box, counterclockwise from (1, -1)."""
    x, y = h.real, h.imag
    if abs(x) >= abs(y):
        return 1 + y if x > 0 else 5 - y
    return 3 - x if y > 0 else 7 + x


def _turns_back(end: int) -> bool:
    """Whether the sphere sees the curve of this vertex from inside, so that orders are reversed."""
    return end == BORDER or (end >= OUTER and end % 2 == 1)


def completed(ends: dict[Branch, int], known: dict[int, list[Branch]]) -> dict[int, list[Branch]]:
    """`known` completed by the faces: counterclockwise next to a branch (S, j) at its end is (T, k - 1),
    where (T, k) is clockwise next to (S, j - 1) at the end of that. Raises where a face is not closed."""

    def clockwise(b: Branch) -> Branch | None:
        here = known.get(ends[b])
        if here is None:
            return None
        return here[(here.index(b) + (1 if _turns_back(ends[b]) else -1)) % len(here)]

    def onward(b: Branch) -> Branch | None:
        beyond = clockwise((b[0], (b[1] - 1) % 4))
        return None if beyond is None else (beyond[0], (beyond[1] - 1) % 4)

    known = dict(known)
    missing = set(ends.values()) - set(known)
    while missing:
        for end in sorted(missing):
            here = [b for b, e in ends.items() if e == end]
            ring, b = here[:1], onward(here[0])
            while b is not None and b != ring[0] and len(ring) <= len(here):
                ring.append(b)
                b = onward(b)
            if b is not None:
                if sorted(ring) != sorted(here):
                    raise Undecided(f"the faces around end {end} do not close")
                known[end] = ring[::-1] if _turns_back(end) else ring
                break
        else:
            raise Undecided("the order of branches at neighbouring vertices is not known")
        missing.discard(end)
    for b in ends:
        here = known[ends[b]]
        next_ = here[(here.index(b) + (-1 if _turns_back(ends[b]) else 1)) % len(here)]
        if onward(b) != next_:
            raise Undecided(f"the face at branch {b} is no quadrilateral")
    return known


def _check(
    ends: dict[Branch, int],
    rank: dict[int, list[Branch]],
    spheres: dict[int, int],
    points: tuple[FixedPoint, ...],
) -> None:
    """Every branch stays in its sphere; every sphere is connected and has one saddle less than half of what
    Euler's formula gives its vertices: attractors + repellers - saddles = 2."""
    for (i, j), end in ends.items():
        if spheres[i] != spheres[end]:
            raise Undecided(f"branch {j} of saddle {i} crosses a cycle")
    for sphere in set(spheres.values()):
        inside = {v for v, s in spheres.items() if s == sphere}
        saddles = {v for v in inside if v < SLOTS and points[v].saddle}
        if len(inside) - 2 * len(saddles) != 2:
            raise Undecided(f"{len(inside) - len(saddles)} vertices and {len(saddles)} saddles on one sphere")
        reached = {min(saddles)} if saddles else inside
        while True:
            more = {e for (i, _), e in ends.items() if i in reached}
            more |= {i for (i, _), e in ends.items() if e in reached}
            if more <= reached:
                break
            reached |= more
        if reached != inside:
            raise Undecided("the branches of one sphere are not connected")


def _assemble(
    points: tuple[FixedPoint, ...],
    ends: dict[Branch, int],
    rank: dict[int, list[Branch]],
    loops: list[Loop],
) -> PortraitCode:
    saddles = [i for i, p in enumerate(points) if p.saddle]
    end, place = np.full((len(points), 4), -1), np.full((len(points), 4), -1)
    for (i, j), e in ends.items():
        ring = rank[e]
        end[i, j], place[i, j] = e, (ring.index((i, j)) - ring.index(min(ring))) % len(ring)
    encloses = [sum(1 << i for i, p in enumerate(points) if loop.surrounds(complex(*p.h))) for loop in loops]
    return PortraitCode.of(
        {
            "kind": [KINDS.index(p.kind) for p in points],
            "branch_end": end[saddles].tolist(),
            "branch_rank": place[saddles].tolist(),
            "cycle_stable": [int(loop.stable) for loop in loops],
            "cycle_sense": [loop.sense for loop in loops],
            "cycle_encloses": encloses,
            "cycle_within": [_around(loop.start, loops[:k]) for k, loop in enumerate(loops)],
        }
    )
