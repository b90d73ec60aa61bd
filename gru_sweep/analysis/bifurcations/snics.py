"""Saddle-nodes on a cycle: folds whose saddle and node lie on one closed curve.

On the side of a fold where its two fixed points exist, an invariant circle through them is a closed chain of
nodes and saddles, each saddle's two branches (unstable ones where the nodes are sinks, stable ones where they
are sources) ending at the nodes beside it. On the other side the chain is a cycle whose period goes to
infinity at the fold (Kuznetsov 2004, sec. 7.1; several folds at once where a symmetry makes them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import networkx as nx
import numpy as np

from ...records import Kind

Row = Mapping[str, np.ndarray]
"""Columns of the `portrait` record at one value of the parameter."""


@runtime_checkable
class SaddleNode(Protocol):
    """Where two fixed points meet, (2,), and the other eigenvalue there."""

    @property
    def state(self) -> np.ndarray: ...

    @property
    def trace(self) -> float: ...


def on_cycle(folds: Sequence[SaddleNode], before: Row | None, after: Row | None) -> list[bool]:
    """Which of the folds at one value lie on a cycle, from the portraits on both sides of it."""
    none = [False] * len(folds)
    if before is None or after is None or not explained(folds, before, after):
        return none
    with_points, without = (before, after) if _count(before) > _count(after) else (after, before)
    if _cycles(without) <= _cycles(with_points):
        return none
    pairs = [_pair(fold, with_points) for fold in folds]
    ring = nx.MultiGraph()
    for fold, pair in zip(folds, pairs):
        if pair is None:
            return none
        saddle, node = pair
        ends = with_points["branch_end"][saddle]
        for branch in (0, 2) if fold.trace < 0.0 else (1, 3):
            ring.add_edge(("saddle", saddle), ("end", int(ends[branch])), branch=branch)
        ring.add_node(("end", node))
    bridges = set(nx.bridges(nx.Graph(ring)))
    closed = [
        edge
        for edge in ring.edges(keys=False)
        if ring.number_of_edges(*edge) > 1 or not (edge in bridges or edge[::-1] in bridges)
    ]
    inside = {vertex for edge in closed for vertex in edge}
    return [("saddle", pair[0]) in inside and ("end", pair[1]) in inside for pair in pairs if pair]


def explained(folds: Sequence[SaddleNode], before: Row, after: Row) -> bool:
    """Whether the folds are all that happens to the number of fixed points: they all die on one side."""
    return bool(folds) and abs(_count(before) - _count(after)) == 2 * len(folds)


def _count(row: Row) -> int:
    return int(row["n_fixed_points"])


def _cycles(row: Row) -> int:
    return int(row["n_stable_cycles"]) + int(row["n_unstable_cycles"])


def _pair(fold: SaddleNode, row: Row) -> tuple[int, int] | None:
    """The saddle and the other fixed point nearest to a fold."""
    away = np.hypot(*(row["fixed_point"] - fold.state).T)
    kind = row["kind"]
    saddles = np.flatnonzero(kind == Kind.SADDLE)
    others = np.flatnonzero((kind != Kind.SADDLE) & (kind != Kind.NOT_COMPUTED))
    if not (saddles.size and others.size):
        return None
    return int(saddles[np.argmin(away[saddles])]), int(others[np.argmin(away[others])])
