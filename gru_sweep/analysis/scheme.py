"""The scheme of a planar flow: its portrait's integers, cut into spheres and checked.

Cut the plane along every limit cycle. A cycle becomes a vertex of each of the two pieces, attracting if it is
stable and repelling if not; the border of the trapping box, through which the flow enters, becomes a
repelling vertex. What is left is a tree of spheres, each rooted at the curve around it: the border, or the
inner side of a cycle. Which branch on one side of a cycle faces which on the other is no invariant: branches
wind about the cycle for ever, the orbits on one side are the points of a circle, and any homeomorphism of
that circle that keeps its orientation extends to the cycle, whatever happens on the other side.

A sphere without saddles runs from one repeller to one attractor. On one with saddles their branches are
connected and cut it into quadrilaterals attractor, saddle, repeller, saddle; the counterclockwise order of
the branches around each vertex then determines the flow up to homeomorphism (M. M. Peixoto, *On the
classification of flows on 2-manifolds*, 1973; "scheme" is the word of A. A. Andronov, E. A. Leontovich,
I. I. Gordon and A. G. Maier, *Qualitative theory of second-order dynamic systems*, 1973). Seen from the
sphere, the order along the curve around it is reversed.

Branches can come so close to each other on their way to a common end that no floating point number tells
them apart, and then share a rank. Where only one order of theirs passes every check, that is their order.

A branch that ends at a saddle is one edge with that saddle's own branch. Then a face may be longer, still
with one attractor and one repeller, or be a loop of connections, which needs one element alone inside it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..records import MAX_FIXED_POINTS, InputError, Kind

MAX_CYCLES = 8
BORDER = MAX_FIXED_POINTS + 2 * MAX_CYCLES
"""`branch_end` of a branch that comes from the border. Fixed points come before, then the sides of cycles."""

SHAPES: dict[str, tuple[int, ...]] = {
    "n_fixed_points": (),
    "kind": (MAX_FIXED_POINTS,),
    "branch_end": (MAX_FIXED_POINTS, 4),
    "branch_rank": (MAX_FIXED_POINTS, 4),
    "cycle_stable": (MAX_CYCLES,),
    "cycle_sense": (MAX_CYCLES,),
    "cycle_encloses": (MAX_CYCLES,),
    "cycle_within": (MAX_CYCLES,),
}
"""The integers of one portrait, names and shapes; in a file with a leading axis."""

CHECKS: dict[str, str] = {
    "unknown": "the fixed points, their kinds or the cycles are not all known",
    "degenerate": "a fixed point is neither sink, source nor saddle",
    "index sum": "the indices of the fixed points do not sum to 1",
    "enclosed index": "the indices of the fixed points inside a cycle do not sum to 1",
    "nesting": "cycles cross, or cycle_within does not fit cycle_encloses",
    "branch without end": "a branch comes from or goes to nothing that is there",
    "branch end of wrong stability": "a branch goes to a repeller, or comes from an attractor",
    "branch across a cycle": "a cycle separates a saddle from the end of its branch",
    "order unknown": "the order of the branches around a vertex, or which loop holds what, is not known",
    "poles": "a sphere without saddles has not one attractor and one repeller",
    "isolated element": "no branch reaches an element of a sphere with saddles",
    "not connected": "the branches on one sphere do not hang together",
    "not planar": "the orders of the branches do not fit a sphere",
    "faces": "a loop of saddle connections holds nothing",
}
"""What can be wrong with a portrait, and what it means."""

_SINKS = (Kind.STABLE_NODE, Kind.STABLE_FOCUS)
_KNOWN = (*_SINKS, Kind.UNSTABLE_NODE, Kind.UNSTABLE_FOCUS, Kind.SADDLE)


class Inconsistent(Exception):
    """No scheme: the message is the name of the first of `CHECKS` that fails."""


MAX_COMPLETIONS = 720
"""Orders of branches that share ranks that are tried; beyond that the order is not known."""


class Codes(NamedTuple):
    """The integers of one portrait, hashable; `SHAPES` has their shapes."""

    n_fixed_points: int
    kind: tuple[int, ...]
    branch_end: tuple[tuple[int, ...], ...]
    branch_rank: tuple[tuple[int, ...], ...]
    cycle_stable: tuple[int, ...]
    cycle_sense: tuple[int, ...]
    cycle_encloses: tuple[int, ...]
    cycle_within: tuple[int, ...]

    @classmethod
    def of(cls, portrait: Any) -> Codes:
        """From the attributes of the same names; refuses missing ones, wrong shapes and non-integers."""
        values = {}
        for name, shape in SHAPES.items():
            if not hasattr(portrait, name):
                raise InputError("portrait", f"a record with {name}", type(portrait).__name__)
            values[name] = integers(name, getattr(portrait, name), shape)
        return cls.of_arrays(values)

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Any]) -> Codes:
        """From integer arrays of the shapes `SHAPES`."""
        return cls(*(_frozen(arrays[name].tolist()) for name in SHAPES))

    def completions(self) -> Iterator[Codes]:
        """The same with every order in which branches that share a rank (or have none) may stand.

        None where there are more than `MAX_COMPLETIONS`.
        """
        ends: dict[int, list[int]] = {}
        for point, row in enumerate(self.branch_end):
            for branch, end in enumerate(row):
                if end >= 0:
                    ends.setdefault(end, []).append(4 * point + branch)
        groups: list[tuple[int, list[int]]] = []
        for darts in ends.values():
            ranks = {dart: self.branch_rank[dart // 4][dart % 4] for dart in darts}
            for rank in sorted(set(ranks.values())):
                tied = [dart for dart in darts if ranks[dart] == rank]
                # the order of two around a vertex is no choice, nor is where a cyclic order begins
                if len(tied) > 1 and len(darts) > 2:
                    groups.append((max(rank, 0), tied))
        if math.prod(math.factorial(len(tied)) for _, tied in groups) > MAX_COMPLETIONS:
            return
        for choice in itertools.product(*(itertools.permutations(tied) for _, tied in groups)):
            ordered = [list(row) for row in self.branch_rank]
            for (first, _), order in zip(groups, choice):
                for place, dart in enumerate(order):
                    ordered[dart // 4][dart % 4] = first + place
            yield self._replace(branch_rank=tuple(tuple(row) for row in ordered))


@dataclasses.dataclass
class Sphere:
    """One piece of the cut plane. A dart is a branch: the integer 4 * saddle + 0..3.

    `around` has, for the root and every other element (sink, source, side of a cycle), the darts that end
    there, counterclockwise as seen from the sphere. `mates` pairs the two darts of a saddle connection.
    """

    root: int
    around: dict[int, list[int]]
    saddles: list[int] = dataclasses.field(default_factory=list)
    mates: dict[int, int] = dataclasses.field(default_factory=dict)

    @property
    def darts(self) -> list[int]:
        return [4 * saddle + branch for saddle in self.saddles for branch in range(4)]

    def turns(self, step: int) -> dict[int, int]:
        """From a dart to the next around its saddle (counterclockwise for step 1)."""
        return {dart: dart - dart % 4 + (dart + step) % 4 for dart in self.darts}

    def hops(self, step: int) -> dict[int, int]:
        """From a dart to its mate, or to the next around its far end (counterclockwise for step 1)."""
        found = dict(self.mates)
        for darts in self.around.values():
            found.update(zip(darts, darts[step:] + darts[:step]))
        return found

    def entries(self, start: int, step: int) -> dict[int, int]:
        """The dart by which each saddle is first met, in that order, from the dart `start`.

        Around the end of one dart after another, those of the saddles met queueing up.
        """
        turns, hops = self.turns(step), self.hops(step)
        found: dict[int, int] = {}
        seen: set[int] = set()
        queue = deque([start])
        while queue:
            dart = queue.popleft()
            while dart not in seen:
                seen.add(dart)
                if dart // 4 not in found:
                    found[dart // 4] = dart
                    other = dart
                    while (other := turns[other]) != dart:
                        queue.append(other)
                dart = hops[dart]
        return found

    def verify(self) -> None:
        """Raises `Inconsistent` unless, given saddles, the orders are those of a flow on a sphere.

        By Euler's formula and the index sum, faces have two corners at elements on average, loops of
        connections not counted: as each has an even number and none but a loop has 0, each has two.
        """
        if not self.saddles:
            return
        turns, hops = self.turns(1), self.hops(1)
        faces = _orbits({dart: turns[hops[dart]] for dart in self.darts})
        loops = sum(all(dart in self.mates for dart in face) for face in faces)
        alone = sum(not darts for darts in self.around.values())
        if alone > loops:
            raise Inconsistent("isolated element")
        if len(self.entries(self.darts[0], 1)) < len(self.saddles):
            raise Inconsistent("not connected")
        vertices = len(self.saddles) + len(self.around) - alone
        edges = 4 * len(self.saddles) - len(self.mates) // 2
        if vertices - edges + len(faces) != 2:
            raise Inconsistent("not planar")
        if alone < loops:
            raise Inconsistent("faces")
        if alone > 1:
            raise Inconsistent("order unknown")


class Scheme:
    """A portrait that passed every check: its spheres by their roots, the outermost first.

    Raises `Inconsistent` where one fails. Vertices are the integers of `branch_end`.
    """

    def __init__(self, codes: Codes):
        self.codes = codes
        self.cycles = [k for k, stable in enumerate(codes.cycle_stable) if stable != -1]
        self._require_known()
        self._require_nesting()
        self.spheres = {root: Sphere(root, {root: []}) for root in (BORDER, *map(inner, self.cycles))}
        self._home = {root: root for root in self.spheres}
        for point in range(codes.n_fixed_points):
            holding = [k for k in self.cycles if codes.cycle_encloses[k] >> point & 1]
            self._settle(point, max(holding, key=lambda k: len(self._holders(k)), default=-1))
        for k in self.cycles:
            self._settle(_outer(k), codes.cycle_within[k])
        self._connect()
        self._order()
        for sphere in self.spheres.values():
            if not sphere.saddles and sorted(map(self.attracting, sphere.around)) != [False, True]:
                raise Inconsistent("poles")
            sphere.verify()

    def attracting(self, vertex: int) -> bool:
        """Whether a fixed point, a side of a cycle or the border attracts."""
        if vertex < MAX_FIXED_POINTS:
            return self.codes.kind[vertex] in _SINKS
        return vertex != BORDER and self.codes.cycle_stable[cycle_of(vertex)] == 1

    def is_saddle(self, vertex: int) -> bool:
        """Whether a vertex is a saddle."""
        return vertex < MAX_FIXED_POINTS and self.codes.kind[vertex] == Kind.SADDLE

    def _require_known(self) -> None:
        codes, n = self.codes, self.codes.n_fixed_points
        counted = 0 <= n <= MAX_FIXED_POINTS
        if not counted or any((kind == -1) != (i >= n) for i, kind in enumerate(codes.kind)):
            raise Inconsistent("unknown")
        for k in self.cycles:
            if codes.cycle_stable[k] not in (0, 1) or codes.cycle_sense[k] not in (-1, 1):
                raise Inconsistent("unknown")
        if any(kind not in _KNOWN for kind in codes.kind[:n]):
            raise Inconsistent("degenerate")
        if self._index(-1) != 1:
            raise Inconsistent("index sum")
        if any(self._index(codes.cycle_encloses[k]) != 1 for k in self.cycles):
            raise Inconsistent("enclosed index")

    def _index(self, mask: int) -> int:
        """The sum of the indices of the fixed points in a bit mask."""
        inside = [kind for i, kind in enumerate(self.codes.kind) if kind != -1 and mask >> i & 1]
        return sum(-1 if kind == Kind.SADDLE else 1 for kind in inside)

    def _require_nesting(self) -> None:
        """Of two cycles one holds the other, and what is in it, or they have nothing in common."""
        masks = self.codes.cycle_encloses
        holders = {k: self._holders(k) for k in self.cycles}
        for k in self.cycles:
            if masks[k] >> self.codes.n_fixed_points:
                raise Inconsistent("nesting")
            for j in self.cycles:
                common = masks[k] & masks[j]
                related = j == k or k in holders[j]
                if (common != masks[k]) if j in holders[k] else (common and not related):
                    raise Inconsistent("nesting")

    def _holders(self, k: int) -> list[int]:
        """The cycles around cycle k, from the innermost outwards."""
        found = [k]
        while (j := self.codes.cycle_within[found[-1]]) != -1:
            if j not in self.cycles or j in found:
                raise Inconsistent("nesting")
            found.append(j)
        return found[1:]

    def _settle(self, vertex: int, cycle: int) -> None:
        """Put a vertex on the sphere inside `cycle`; -1 is the outermost one."""
        root = BORDER if cycle == -1 else inner(cycle)
        self._home[vertex] = root
        if self.is_saddle(vertex):
            self.spheres[root].saddles.append(vertex)
        else:
            self.spheres[root].around[vertex] = []

    def _connect(self) -> None:
        """Bring every branch to its end."""
        darts = [dart for sphere in self.spheres.values() for dart in sphere.darts]
        end = {dart: self.codes.branch_end[dart // 4][dart % 4] for dart in darts}
        if any(end[dart] not in self._home for dart in darts):
            raise Inconsistent("branch without end")

        mates: dict[int, list[int]] = {}
        for dart in darts:
            if self.is_saddle(end[dart]):
                opposite = (4 * end[dart] + branch for branch in range(4) if (branch + dart) % 2)
                mates[dart] = [other for other in opposite if end[other] == dart // 4]
        for dart in darts:
            fits = mates[dart] if dart in mates else self.attracting(end[dart]) == (dart % 2 == 0)
            if not fits:
                raise Inconsistent("branch end of wrong stability")
        if any(self._home[end[dart]] != self._home[dart // 4] for dart in darts):
            raise Inconsistent("branch across a cycle")
        if any(len(others) > 1 for others in mates.values()):
            raise Inconsistent("order unknown")
        for dart in darts:
            sphere = self.spheres[self._home[dart // 4]]
            if dart in mates:
                sphere.mates[dart] = mates[dart][0]
            else:
                sphere.around[end[dart]].append(dart)

    def _order(self) -> None:
        """Put the branches around every element in counterclockwise order."""
        for sphere in self.spheres.values():
            for element, darts in sphere.around.items():
                rank = {dart: self.codes.branch_rank[dart // 4][dart % 4] for dart in darts}
                if len(darts) > 2 and sorted(rank.values()) != list(range(len(darts))):
                    raise Inconsistent("order unknown")
                darts.sort(key=rank.__getitem__, reverse=element == sphere.root)


def inner(cycle: int) -> int:
    """The vertex of the inner side of a cycle, the root of the sphere inside it."""
    return MAX_FIXED_POINTS + 2 * cycle + 1


def cycle_of(side: int) -> int:
    """The cycle of which a vertex is a side."""
    return (side - MAX_FIXED_POINTS) // 2


def integers(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`values` as an array; refuses other types and shapes."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or array.shape != shape:
        raise InputError(name, f"integers of shape {shape}", f"{array.dtype} of shape {array.shape}")
    return array


def _outer(cycle: int) -> int:
    return MAX_FIXED_POINTS + 2 * cycle


def _frozen(values: Any) -> Any:
    return tuple(map(_frozen, values)) if isinstance(values, list) else values


def _orbits(permutation: Mapping[int, int]) -> list[list[int]]:
    found: list[list[int]] = []
    seen: set[int] = set()
    for item in permutation:
        orbit = []
        while item not in seen:
            seen.add(item)
            orbit.append(item)
            item = permutation[item]
        if orbit:
            found.append(orbit)
    return found
