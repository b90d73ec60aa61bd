"""What in one portrait is what in another, where the fixed points are the same: slots, branches, cycles."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ....records import Kind
from ...scheme import BORDER, MAX_CYCLES
from ...separatrices import OUTER
from ..extended import Field
from .batches import run
from .crossings import Box
from .saddle_branches import Anchor, directions, follow, settled, tied

SAME = 1e-6
"""Distance, in boxes, within which a fixed point that was followed is the one that is there."""
GONE = -9
"""What a cycle is matched with that the other portrait does not have."""

Row = Mapping[str, Any]
"""A point's columns of the measure `portrait`, and its `value` of the parameter."""


@dataclasses.dataclass(frozen=True)
class Matching:
    """From the portrait before to the one after.

    - `points`: slot to slot. `turned`: per slot before, by how much (0 or 2) the branches' numbers differ.
      Of those in `tied`, that is not known.
    - `cycles`: cycle to cycle, or `GONE`. `born`: cycles after that are not before.
    """

    points: dict[int, int]
    turned: dict[int, int]
    cycles: dict[int, int]
    born: list[int]
    tied: frozenset[int]

    @property
    def died(self) -> list[int]:
        """Cycles before that are not after."""
        return [k for k, other in self.cycles.items() if other == GONE]

    def end(self, vertex: int) -> int:
        """The end of a branch before, as it is called after; `GONE` where there is no such thing."""
        if 0 <= vertex < OUTER:
            return self.points[vertex]
        if OUTER <= vertex < BORDER:
            k = self.cycles[(vertex - OUTER) // 2]
            return GONE if k == GONE else OUTER + 2 * k + (vertex - OUTER) % 2
        return vertex

    def changed(self, before: Row, after: Row) -> list[tuple[int, int]]:
        """(slot, branch) before of the branches whose end is another after."""
        found: list[tuple[int, int]] = []
        for slot, turn in self.turned.items():
            was = [self.end(int(end)) for end in before["branch_end"][slot]]
            now = after["branch_end"][self.points[slot]].tolist()
            turns = (0, 2) if slot in self.tied else (turn,)
            differ = [[b for b in range(4) if was[b] != now[(b + by) % 4]] for by in turns]
            found += [(slot, branch) for branch in min(differ, key=len)]
        return found


def matched(field: Field, before: Row, after: Row, box: Box) -> Matching | None:
    """What `after` makes of `before`; None where fixed points or their kinds do not persist."""
    slots = np.flatnonzero(before["kind"] != Kind.NOT_COMPUTED)
    others = np.flatnonzero(after["kind"] != Kind.NOT_COMPUTED)
    if len(slots) != len(others) or not len(slots):
        return None
    place, value = before["fixed_point"][slots].astype(float), float(before["value"])
    saddle = before["kind"][slots] == Kind.SADDLE
    here = settled(field, value, place, box.size)
    slopes = np.moveaxis(np.array(here.jacobian), -1, 0)
    four = {int(i): directions(slopes[i]) for i in np.flatnonzero(saddle)}
    vectors = np.stack([four[i][:2] if i in four else np.eye(2) for i in range(len(slots))])
    known = Anchor(np.full(len(slots), value), place, vectors)
    target = np.full(len(slots), float(after["value"]))
    there = run(follow, (0, 0, None), field, known, target, np.float64(box.size))
    point = np.stack(there.point, axis=-1)
    far = np.max(np.abs(point[:, None] - after["fixed_point"][others][None]), axis=-1)
    nearest = np.argmin(np.where(np.isnan(far), np.inf, far), axis=1)
    persists = (np.min(far, axis=1) < SAME * box.size) & (~saddle | there.ok)
    persists &= (after["kind"][others[nearest]] == Kind.SADDLE) == saddle
    if not persists.all() or len(set(nearest)) < len(slots):
        return None
    points = {int(i): int(others[j]) for i, j in zip(slots, nearest)}
    arrived = np.moveaxis(np.array(there.jacobian), -1, 0)
    turned = {}
    for i in np.flatnonzero(saddle):
        vector = np.array([there.directions[0][k][i] for k in range(2)])
        turned[int(slots[i])] = 0 if directions(arrived[i])[0] @ vector > 0.0 else 2
    cycles = _cycles(before, after, points)
    born = [int(k) for k in np.flatnonzero(after["cycle_stable"] != -1) if k not in cycles.values()]
    unsure = frozenset(int(slots[i]) for i in four if tied(slopes[i]) or tied(arrived[i]))
    return Matching(points, turned, cycles, born, unsure)


def _cycles(before: Row, after: Row, points: dict[int, int]) -> dict[int, int]:
    """Cycles of one kind around the same fixed points, from the outermost inwards, by their periods."""
    groups: list[dict[Any, list[int]]] = [{}, {}]
    for group, row, slots in zip(groups, (before, after), (points, {j: j for j in points.values()})):
        there = np.flatnonzero(row["cycle_stable"] != -1).tolist()
        for k in sorted(there, key=lambda k: (_depth(row, k), k)):
            mask = int(row["cycle_encloses"][k])
            around = frozenset(j for i, j in slots.items() if mask >> i & 1)
            key = int(row["cycle_stable"][k]), int(row["cycle_sense"][k]), around
            group.setdefault(key, []).append(k)
    found: dict[int, int] = {}
    for key, old in groups[0].items():
        new = groups[1].get(key, [])
        found |= dict.fromkeys(old, GONE)
        few, many = sorted((old, new), key=len)
        rows = (before, after) if few is old else (after, before)
        best = min(itertools.combinations(many, len(few)), key=lambda some: _unlike(rows, few, some))
        pairs = zip(few, best) if few is old else zip(best, few)
        found |= dict(pairs)
    return found


def _depth(row: Row, k: int) -> int:
    depth = 0
    while (k := int(row["cycle_within"][k])) != -1 and depth < MAX_CYCLES:
        depth += 1
    return depth


def _unlike(rows: tuple[Row, Row], some: Any, others: Any) -> float:
    periods = (row["cycle_period"][list(ks)] for row, ks in zip(rows, (some, others)))
    return float(np.sum(np.abs(np.diff(np.log(list(periods)), axis=0))))
