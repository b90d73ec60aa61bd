"""Planar portraits as integers: by hand, from a drawing, at random; and when two of them are the same.

Nothing here uses the code under test, except the numbering of ends.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise, permutations

import networkx as nx
import numpy as np

from gru_sweep.analysis.scheme import BORDER
from gru_sweep.records import Kind

SLOTS, CYCLES = 16, 8
KINDS = {
    "sink": (Kind.STABLE_NODE, Kind.STABLE_FOCUS),
    "source": (Kind.UNSTABLE_NODE, Kind.UNSTABLE_FOCUS),
    "saddle": (Kind.SADDLE, Kind.SADDLE),
}
Dart = tuple[int, int]
"""A saddle and the number of its branch."""
Limit = tuple[bool, int, set[int], int]
"""A cycle: stable, sense, fixed points inside, the cycle around it or -1."""


@dataclasses.dataclass
class Integers:
    """The stored integers of one portrait."""

    n_fixed_points: np.ndarray
    kind: np.ndarray
    branch_end: np.ndarray
    branch_rank: np.ndarray
    cycle_stable: np.ndarray
    cycle_sense: np.ndarray
    cycle_encloses: np.ndarray
    cycle_within: np.ndarray

    def changed(self, name: str, index: object, value: int) -> Integers:
        """A copy with one integer changed."""
        array = getattr(self, name).copy()
        array[index] = value
        return dataclasses.replace(self, **{name: array})


def outer(cycle: int) -> int:
    return SLOTS + 2 * cycle


def inner(cycle: int) -> int:
    return SLOTS + 2 * cycle + 1


def portrait(
    points: Sequence[str],
    around: Mapping[int, Sequence[Dart]] | None = None,
    cycles: Sequence[Limit] = (),
    joined: Iterable[tuple[Dart, Dart]] = (),
) -> Integers:
    """From the kinds of the fixed points, the branches at every end in stored order, cycles, connections."""
    kind = np.full(SLOTS, -1, np.int8)
    kind[: len(points)] = [KINDS[name][0] for name in points]
    end = np.full((SLOTS, 4), -1, np.int8)
    rank = np.full((SLOTS, 4), -1, np.int8)
    for vertex, darts in (around or {}).items():
        for i, dart in enumerate(darts):
            end[dart], rank[dart] = vertex, i
    for leaving, arriving in joined:
        end[leaving], end[arriving] = arriving[0], leaving[0]
        rank[leaving] = rank[arriving] = 0
    stable, sense = np.full(CYCLES, -1, np.int8), np.zeros(CYCLES, np.int8)
    encloses, within = np.zeros(CYCLES, np.int32), np.full(CYCLES, -1, np.int8)
    for k, (attracts, turns, inside, around_it) in enumerate(cycles):
        stable[k], sense[k], within[k] = attracts, turns, around_it
        encloses[k] = sum(1 << point for point in inside)
    return Integers(np.array(len(points), np.int16), kind, end, rank, stable, sense, encloses, within)


def drawn(
    points: Mapping[tuple[float, float], str], branches: Mapping[tuple, Sequence[tuple[float, float]]]
) -> Integers:
    """From a drawing: where the fixed points are, and the straight branches of each saddle by where they end.

    The branches of a saddle come in the order unstable, stable, unstable, stable. An end where no fixed point
    is lies on the border.
    """
    place = {point: i for i, point in enumerate(points)}
    arriving: dict[int, list[tuple[float, Dart]]] = {}
    for saddle, ends in branches.items():
        angles = [math.atan2(y - saddle[1], x - saddle[0]) for x, y in ends]
        turns = [(b - a) % (2 * math.pi) for a, b in pairwise(angles)]
        assert sum(turns) < 2 * math.pi, "not counterclockwise"
        for branch, (x, y) in enumerate(ends):
            vertex = place.get((x, y), BORDER)
            angle = math.atan2(y, x) if vertex == BORDER else math.atan2(saddle[1] - y, saddle[0] - x)
            arriving.setdefault(vertex, []).append((angle, (place[saddle], branch)))
    around = {vertex: [dart for _, dart in sorted(found)] for vertex, found in arriving.items()}
    return portrait(list(points.values()), around)


def nine() -> Integers:
    """Two bistable units x' = x - x^3 side by side: sinks at (+-1, +-1), saddles between, a source at 0."""
    word = {0: "source", 1: "saddle", 2: "sink"}
    points = {(x, y): word[abs(x) + abs(y)] for x in (-1, 0, 1) for y in (-1, 0, 1)}
    branches = {}
    for x, y in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        branches[x, y] = [(x - y, y + x), (0, 0), (x + y, y - x), (2 * x, 2 * y)]
    return drawn(points, branches)


Tree = tuple["Tree", ...]
"""A rooted plane tree: its subtrees, in counterclockwise order."""


def plane_trees(edges: int) -> Iterator[Tree]:
    """All rooted plane trees."""
    if edges == 0:
        yield ()
        return
    for first in range(edges):
        for left in plane_trees(first):
            for right in plane_trees(edges - 1 - first):
                yield (left, *right)


def grown(tree: Tree) -> Integers:
    """Sinks at the vertices of a plane tree, saddles on its edges, all other branches from the border."""
    vertices: list[list[Dart]] = []
    saddles = iter(range(SLOTS))

    def grow(tree: Tree, first: list[Dart]) -> None:
        here = list(first)
        vertices.append(here)
        for child in tree:
            saddle = next(saddles)
            here.append((saddle, 0))
            grow(child, [(saddle, 2)])

    grow(tree, [])
    return on_sphere(vertices, 0)


def repellers(vertices: Sequence[Sequence[Dart]]) -> list[list[Dart]]:
    """The stable branches around every repeller, counterclockwise, given the unstable ones at attractors.

    Between two neighbours at an attractor lie a stable branch of each saddle, neighbours at a repeller.
    """
    after: dict[Dart, Dart] = {}
    for darts in vertices:
        for (s, b), (t, c) in zip(darts, [*darts[1:], *darts[:1]]):
            after[t, (c + 1) % 4] = s, (b - 1) % 4
    faces = []
    while after:
        dart, following = after.popitem()
        face = [dart]
        while following in after:
            dart, following = following, after.pop(following)
            face.append(dart)
        faces.append(face)
    return faces


def on_sphere(vertices: Sequence[Sequence[Dart]], border: int) -> Integers:
    """Sinks with these unstable branches, counterclockwise; one of the `repellers` is the border."""
    saddles = sorted({s for darts in vertices for s, _ in darts})
    rename = {s: i for i, s in enumerate(saddles)}
    faces = repellers(vertices)
    outside = faces.pop(border)
    points = ["saddle"] * len(saddles) + ["sink"] * len(vertices) + ["source"] * len(faces)
    around = {len(saddles) + i: darts for i, darts in enumerate([*vertices, *faces])}
    around[BORDER] = outside[::-1]
    return portrait(points, {v: [(rename[s], b) for s, b in darts] for v, darts in around.items()})


def planar(vertices: Sequence[Sequence[Dart]], edges: int) -> bool:
    """Whether attractors with these unstable branches make a connected map on a sphere."""
    graph = nx.MultiGraph([(("v", i), ("e", s)) for i, darts in enumerate(vertices) for s, _ in darts])
    return nx.is_connected(graph) and len(vertices) - edges + len(repellers(vertices)) == 2


def all_maps(edges: int) -> Iterator[list[list[Dart]]]:
    """Every planar map with numbered edges, as the unstable branches around each vertex."""
    darts = [(s, b) for s in range(edges) for b in (0, 2)]
    for image in permutations(range(len(darts))):
        left, vertices = set(range(len(darts))), []
        while left:
            i, orbit = min(left), []
            while i in left:
                left.remove(i)
                orbit.append(darts[i])
                i = image[i]
            vertices.append(orbit)
        if planar(vertices, edges):
            yield vertices


class _Random:
    """One random portrait in the making: spheres within cycles within spheres."""

    def __init__(self, rng: np.random.Generator, connect: bool):
        self.rng, self.connect = rng, connect
        self.points: list[str] = []
        self.cycles: list[Limit] = []
        self.around: dict[int, list[Dart]] = {}
        self.joined: list[tuple[Dart, Dart]] = []
        self.fill(BORDER, False, -1)

    def fill(self, root: int, attracting: bool, holder: int) -> set[int]:
        """The sphere inside `root`; returns the fixed points there."""
        rng = self.rng
        saddles = int(rng.choice([0, 1, 2, 3, 4, 6], p=[0.35, 0.2, 0.15, 0.15, 0.1, 0.05]))
        attractors, faces = self.map_of(saddles)
        inside = set(range(len(self.points) - saddles, len(self.points)))
        if self.connect and saddles and rng.random() < 0.7:
            self.join(attractors, faces)
        own, other = (attractors, faces) if attracting else (faces, attractors)
        self.around[root] = own.pop(int(rng.integers(len(own))))[::-1]
        for darts, attracts in [(d, attracting) for d in own] + [(d, not attracting) for d in other]:
            if rng.random() < 0.25 and len(self.cycles) < CYCLES:
                k = len(self.cycles)
                self.cycles.append((attracts, 0, set(), -1))
                held = self.fill(inner(k), attracts, k)
                self.cycles[k] = attracts, int(rng.choice([-1, 1])), held, holder
                inside |= held
                self.around[outer(k)] = darts
            else:
                inside.add(len(self.points))
                self.around[len(self.points)] = darts
                self.points.append("sink" if attracts else "source")
        return inside

    def map_of(self, saddles: int) -> tuple[list[list[Dart]], list[list[Dart]]]:
        """Attractors and repellers of a random planar map, its edges new saddles."""
        if saddles == 0:
            return [[]], [[]]
        first = len(self.points)
        self.points += ["saddle"] * saddles
        vertices: list[list[Dart]] = [[(first, 0)], [(first, 2)]]
        if self.rng.random() < 0.5:
            vertices = [[(first, 0), (first, 2)]]
        for s in range(first + 1, first + saddles):
            while True:
                trial = [list(darts) for darts in vertices]
                for b in (0, 2):
                    at = int(self.rng.integers(len(trial) + (b == 2)))
                    if at == len(trial):
                        trial.append([])
                    trial[at].insert(int(self.rng.integers(len(trial[at]) + 1)), (s, b))
                if planar(trial, s - first + 1):
                    vertices = trial
                    break
        return vertices, repellers(vertices)

    def join(self, attractors: list[list[Dart]], faces: list[list[Dart]]) -> None:
        """Move one unstable branch, across the face beside it, onto the stable branch there."""
        rng = self.rng
        at = attractors[int(rng.integers(len(attractors)))]
        i = int(rng.integers(len(at)))
        (s, b), (t, c) = at[i], at[(i + 1) % len(at)]
        leaving, arriving = ((s, b), (t, (c + 1) % 4)) if rng.random() < 0.5 else ((t, c), (s, (b - 1) % 4))
        at.remove(leaving)
        next(face for face in faces if arriving in face).remove(arriving)
        self.joined.append((leaving, arriving))


def random_portrait(rng: np.random.Generator, connect: bool = False) -> Integers:
    """A random consistent portrait: any planar maps, any cycles in place of sinks and sources.

    With `connect`, some of its spheres have one saddle connection.
    """
    while True:
        made = _Random(rng, connect)
        if len(made.points) <= SLOTS:
            return portrait(made.points, made.around, made.cycles, made.joined)


def mirrored(p: Integers) -> Integers:
    """Seen from behind: all cyclic orders and senses reversed."""
    end, rank = p.branch_end[:, [0, 3, 2, 1]], p.branch_rank[:, [0, 3, 2, 1]]
    for vertex in set(end[end >= 0].tolist()):
        here = end == vertex
        rank[here] = here.sum() - 1 - rank[here]
    return dataclasses.replace(p, branch_end=end, branch_rank=rank, cycle_sense=-p.cycle_sense)


def relabelled(p: Integers, rng: np.random.Generator) -> Integers:
    """Other slots for points and cycles, nodes for foci, the other branch first, ranks from elsewhere."""
    n = int(p.n_fixed_points)
    point = np.concatenate([rng.permutation(n), np.arange(n, SLOTS)])
    cycle = rng.permutation(CYCLES)
    sides = [SLOTS + 2 * int(k) + side for k in cycle for side in (0, 1)]
    code = np.array([*point, *sides, BORDER, -1])
    kind, end, rank = p.kind.copy(), p.branch_end.copy(), p.branch_rank.copy()
    stable, sense, within = p.cycle_stable.copy(), p.cycle_sense.copy(), p.cycle_within.copy()
    encloses = p.cycle_encloses.copy()
    for i in range(n):
        both = next(pair for pair in KINDS.values() if p.kind[i] in pair)
        turn = int(rng.choice([0, 2]))
        kind[point[i]] = rng.choice(both)
        end[point[i]] = np.roll(code[p.branch_end[i]], turn)
        rank[point[i]] = np.roll(p.branch_rank[i], turn)
    for k in range(CYCLES):
        stable[cycle[k]], sense[cycle[k]] = p.cycle_stable[k], p.cycle_sense[k]
        within[cycle[k]] = -1 if p.cycle_within[k] == -1 else cycle[p.cycle_within[k]]
        encloses[cycle[k]] = sum(1 << int(point[i]) for i in range(n) if p.cycle_encloses[k] >> i & 1)
    for vertex in set(end[end >= 0].tolist()):
        here = end == vertex
        rank[here] = (rank[here] + rng.integers(SLOTS)) % here.sum()
    return Integers(p.n_fixed_points, kind, end, rank, stable, sense, encloses, within)


def dart_graph(p: Integers, step: int) -> nx.DiGraph:
    """All that makes a portrait, or its mirror image (step -1), as one directed graph with coloured parts.

    Branches point to the next around their saddle and around their end, and to that end; elements to the
    curve around them; the outer side of a cycle to its inner side.
    """
    graph = nx.DiGraph()

    def arrow(a, b, colour: str) -> None:
        colours = graph.edges[a, b]["colours"] if graph.has_edge(a, b) else frozenset()
        graph.add_edge(a, b, colours=colours | {colour})

    graph.add_node(BORDER, colour="border")
    cycles = [k for k in range(CYCLES) if p.cycle_stable[k] >= 0]
    for k in cycles:
        about = int(p.cycle_stable[k]), int(p.cycle_sense[k]) * step
        graph.add_node(outer(k), colour=("outer", *about))
        graph.add_node(inner(k), colour=("inner", *about))
        arrow(outer(k), inner(k), "across")
        arrow(outer(k), BORDER if p.cycle_within[k] == -1 else inner(int(p.cycle_within[k])), "in")
    words = {kind: word for word, kinds in KINDS.items() for kind in kinds}
    meeting: dict[int, list[tuple[int, Dart]]] = {}
    for i in range(int(p.n_fixed_points)):
        graph.add_node(i, colour=words[Kind(int(p.kind[i]))])
        holding = [k for k in cycles if p.cycle_encloses[k] >> i & 1]
        between = {int(p.cycle_within[k]) for k in holding}
        arrow(i, next((inner(k) for k in holding if k not in between), BORDER), "in")
        if p.kind[i] != Kind.SADDLE:
            continue
        for b in range(4):
            graph.add_node((i, b), colour="us"[b % 2])
            vertex = int(p.branch_end[i, b])
            arrow((i, b), (i, (b + step) % 4), "turn")
            arrow((i, b), vertex, "end")
            meeting.setdefault(vertex, []).append((int(p.branch_rank[i, b]), (i, b)))
    for vertex, darts in meeting.items():
        if graph.nodes[vertex]["colour"] != "saddle":
            order = [dart for _, dart in sorted(darts)][::step]
            for a, b in zip(order, [*order[1:], order[0]]):
                arrow(a, b, "next")
    return graph


def same(a: Integers, b: Integers) -> bool:
    """Whether two portraits are the same up to a mirror, decided by isomorphism of coloured graphs."""
    first = dart_graph(a, 1)
    node = nx.algorithms.isomorphism.categorical_node_match("colour", None)
    edge = nx.algorithms.isomorphism.categorical_edge_match("colours", None)
    return any(
        nx.is_isomorphic(first, dart_graph(b, step), node_match=node, edge_match=edge) for step in (1, -1)
    )
