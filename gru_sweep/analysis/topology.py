"""A portrait's integers become one short string, equal exactly when the portraits are topologically the same.

The same: a homeomorphism, which may reverse orientation, carries orbits to orbits and keeps their direction.
Nodes and foci are alike; the sense in which a cycle turns counts, up to reversing all of them in a mirror.
The portrait is cut along its cycles into spheres (`scheme`), and the string is `sink`, `cycle+(source)`,
`2sink,saddle[a,a]`:

    portrait = name | count name {"," count name} "," count "saddle" "[" words "]"
    name     = "sink" | "source" | ("cycle" | "ucycle") ("+" | "-") "(" portrait ")"
    words    = word {"," word} {";" word {"," word}}

A count of 1 is left out. A `cycle` is stable, a `ucycle` unstable; `+` turns counterclockwise; in parentheses
is what it holds. Every saddle is a letter. In brackets each element has a word, in the order of the names,
with `;` between names: the saddles whose branches end at it, counterclockwise. So
`4sink,source,4saddle[ab,ad,bc,cd;adcb]` is a ring of four sinks around a source.

The string determines the portrait. Take attractors as the vertices of a planar map, saddles as its edges
(along their unstable branches) and repellers as its faces: the words of the vertices, in which every
letter occurs twice, are the map, and those of the faces tell which repeller is where; or the other way round.
The curve around (the border, or the cycle whose parentheses these are) needs no word: it is the vertex or
face that is left.

Saddle connections make a last group of words: `a0>b1` is branch 0 of a that is branch 1 of b. On such a
sphere all letters bear the number of the branch, counterclockwise around the saddle, 0 and 2 unstable, 1 and
3 stable, and `.` stands for the one element inside a loop of connections, if it is not the curve around.

Letters are given breadth first from a branch at the curve around. The string is the least one over these
branches, sphere by sphere, then over the portrait and its mirror image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import MAX_FIXED_POINTS, InputError, Status
from .scheme import BORDER, SHAPES, Codes, Inconsistent, Scheme, Sphere, cycle_of, inner, integers

if TYPE_CHECKING:
    import networkx as nx

NEEDS = ("status", *SHAPES)
"""The columns that `labels` and `checks` read."""

_BLOCK = 65536


def label(portrait: Any) -> str:
    """The canonical string of one portrait; empty where `check` names something.

    `portrait` is a record with the fields of `scheme.SHAPES`, of one system (a `PhasePortrait`, say). Refuses
    missing fields, other shapes and anything but integers. Does not read `status`.
    """
    return _label(Codes.of(portrait))


def check(portrait: Any) -> str:
    """The first of `scheme.CHECKS` that one portrait fails, else empty. Refuses what `label` refuses."""
    return _check(Codes.of(portrait))


def labels(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Canonical strings (n,) of n portraits, from the columns named in `NEEDS`, each (n, ...).

    Empty where the status is neither ok nor near_bifurcation, where a check fails, and where the status is
    near_bifurcation but no saddle connection explains it. Refuses missing columns and what `label` refuses.
    """
    words = _each(_label, columns)
    near = np.asarray(columns["status"]) == Status.NEAR_BIFURCATION
    words[near] = [word if ">" in word else "" for word in words[near]]
    return words


def checks(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The first of `scheme.CHECKS` that fails (n,); empty where none does, or the status says enough."""
    return _each(_check, columns)


def connection_graph(portrait: Any) -> nx.MultiDiGraph:
    """What there is in a consistent portrait, and one edge for each branch of a saddle, along the flow.

    Vertices are the integers of `branch_end`, one for each side of a cycle, with `kind` (sink, source,
    saddle, cycle, border), `stable`, `within` (the cycle around, or -1) and, for cycles, `cycle`, `side` and
    `sense`.
    Edges have `saddle`, `branch` (0..3), `tail_place` and `head_place`: the place of the edge in the
    counterclockwise order around its two ends (around a saddle, the number of the branch; around the border
    and the inner side of a cycle as seen from inside, hence against `branch_rank`). A saddle connection is
    one edge, named after the saddle that it leaves. Refuses a portrait that fails a check.
    """
    import networkx as nx

    codes = Codes.of(portrait)
    try:
        scheme = Scheme(codes)
    except Inconsistent as failed:
        raise InputError("portrait", "a consistent one", f"one that fails the check: {failed}") from None
    graph = nx.MultiDiGraph()
    for root, sphere in scheme.spheres.items():
        within = -1 if root == BORDER else cycle_of(root)
        for vertex in (*sphere.around, *sphere.saddles):
            graph.add_node(vertex, within=within, **_attributes(scheme, vertex))
        place = {dart: i for darts in sphere.around.values() for i, dart in enumerate(darts)}
        for dart in sphere.darts:
            saddle, branch = divmod(dart, 4)
            far = codes.branch_end[saddle][branch]
            there = sphere.mates[dart] % 4 if dart in sphere.mates else place[dart]
            about = {"saddle": saddle, "branch": branch}
            if branch % 2 == 0:
                graph.add_edge(saddle, far, **about, tail_place=branch, head_place=there)
            elif dart not in sphere.mates:
                graph.add_edge(far, saddle, **about, tail_place=there, head_place=branch)
    return graph


def _attributes(scheme: Scheme, vertex: int) -> dict[str, Any]:
    stable = scheme.attracting(vertex)
    if vertex == BORDER:
        return {"kind": "border", "stable": stable}
    if vertex < MAX_FIXED_POINTS:
        kind = "saddle" if scheme.is_saddle(vertex) else "sink" if stable else "source"
        return {"kind": kind, "stable": stable}
    k = cycle_of(vertex)
    side = "inner" if vertex == inner(k) else "outer"
    return {"kind": "cycle", "stable": stable, "cycle": k, "side": side, "sense": scheme.codes.cycle_sense[k]}


def _label(codes: Codes) -> str:
    return _read(codes)[0]


def _check(codes: Codes) -> str:
    return _read(codes)[1]


@functools.lru_cache(maxsize=4096)
def _read(codes: Codes) -> tuple[str, str]:
    """Label and failed check, one of them empty."""
    found, failures = set(), []
    for complete in codes.completions():
        try:
            scheme = Scheme(complete)
        except Inconsistent as failed:
            failures.append(str(failed))
        else:
            found.add(min(_written(scheme, BORDER, step) for step in (1, -1)))
    if len(found) == 1:
        return found.pop(), ""
    return "", failures[0] if failures and not found else "order unknown"


def _written(scheme: Scheme, root: int, step: int) -> str:
    """The string of a sphere and all inside it, as it is (step 1) or in the mirror (step -1)."""
    sphere = scheme.spheres[root]
    names = {element: _name(scheme, element, step) for element in sphere.around if element != root}
    if not sphere.saddles:
        return next(iter(names.values()))
    groups: dict[str, list[int]] = {}
    for name, element in sorted((name, element) for element, name in names.items()):
        groups.setdefault(name, []).append(element)
    # a root that no branch reaches lies in the one loop of connections, wherever the letters start
    starts = sphere.around[root] or sphere.darts
    words = min(_words(sphere, groups.values(), start, step) for start in starts)
    counts = [_counted(len(group), name) for name, group in groups.items()]
    return f"{','.join(counts)},{_counted(len(sphere.saddles), 'saddle')}[{words}]"


def _name(scheme: Scheme, element: int, step: int) -> str:
    stable = scheme.attracting(element)
    if element < MAX_FIXED_POINTS:
        return "sink" if stable else "source"
    k = cycle_of(element)
    sense = "+" if scheme.codes.cycle_sense[k] == step else "-"
    return f"{'cycle' if stable else 'ucycle'}{sense}({_written(scheme, inner(k), step)})"


def _words(sphere: Sphere, groups: Iterable[list[int]], start: int, step: int) -> str:
    """What stands in brackets if the letters are given from the dart `start`."""
    symbols: dict[int, str] = {}
    for letter, (saddle, entry) in zip(ascii_lowercase, sphere.entries(start, step).items()):
        for dart in range(4 * saddle, 4 * saddle + 4):
            number = (step * (dart - entry) + entry % 2) % 4
            symbols[dart] = f"{letter}{number}" if sphere.mates else letter
    parts = [
        sorted(_word([symbols[dart] for dart in sphere.around[element][::step]]) for element in group)
        for group in groups
    ]
    if sphere.mates:
        both = [(dart, mate) for dart, mate in sphere.mates.items() if dart % 2 == 0]
        parts.append(sorted(f"{symbols[dart]}>{symbols[mate]}" for dart, mate in both))
    return ";".join(",".join(part) for part in parts)


def _word(symbols: list[str]) -> str:
    """A cyclic word, begun where it is least."""
    return min(("".join(symbols[i:] + symbols[:i]) for i in range(len(symbols))), default=".")


def _counted(count: int, name: str) -> str:
    return name if count == 1 else f"{count}{name}"


def _each(function: Callable[[Codes], str], columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """`function` of the rows that are ok or near a bifurcation, once for each distinct one; else empty."""
    for name in NEEDS:
        if name not in columns:
            raise InputError("columns", f"one named {name}", f"only {', '.join(columns)}")
    status = integers("status", columns["status"], (np.size(columns["status"]),))
    tables = {name: integers(name, columns[name], (status.size, *shape)) for name, shape in SHAPES.items()}
    words = np.full(status.size, "", dtype=object)
    wanted = np.flatnonzero(np.isin(status, (Status.OK, Status.NEAR_BIFURCATION)))
    for begin in range(0, wanted.size, _BLOCK):
        rows = wanted[begin : begin + _BLOCK]
        keys = _packed([table[rows] for table in tables.values()])
        first = dict(zip(reversed(keys), reversed(rows.tolist())))
        found = {
            key: function(Codes.of_arrays({name: table[row] for name, table in tables.items()}))
            for key, row in first.items()
        }
        words[rows] = [found[key] for key in keys]
    return words


def _packed(tables: list[np.ndarray]) -> list[bytes]:
    """The bytes of every row: far quicker to compare than numbers."""
    parts = [np.ascontiguousarray(table).reshape(len(table), -1).view(np.uint8) for table in tables]
    packed = np.concatenate(parts, axis=1)
    return packed.view(f"V{packed.shape[1]}").reshape(-1).tolist()
