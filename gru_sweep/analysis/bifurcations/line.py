"""The one door for a line of one parameter: every bifurcation on it, in order.

1. All bifurcations of fixed points, proven (`local`). They cut the line into pieces.
2. On each piece the fixed points stay what they are, and portraits are taken at many values, closer to each
   other towards its ends. Where the label changes, saddles connect or cycles meet (`connections`,
   `cycle_folds`).
3. A fold whose saddle and node lie on one closed curve of branches is a saddle-node on a cycle (`snics`).

Two changes between two samples that undo each other are not seen; nothing else is missed.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...records import Status
from .. import topology
from .branch_points import branch_point
from .event import Event
from .extended import Field
from .global_events.between import between
from .local import LocalBifurcations, Point, local_bifurcations
from .snics import on_cycle

Portraits = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Columns of the `portrait` record at n values of the parameter, n -> (n, ...)."""

SAMPLES = 384
"""Portraits along the line, besides those that approach the ends of its pieces."""
CLOSEST = 1e-7
"""How near to the ends of a piece portraits are taken, in units of its length."""
APPROACH = 24
"""Portraits on the way to an end of a piece, each closer by the same factor."""
CLUSTER = 8.0
"""Undecided regions this many widths apart are one."""
SIMULTANEOUS = 1e-11
"""Events this close, in units of the line's length, beyond their errors, are one change of label."""


@dataclasses.dataclass(frozen=True)
class Located:
    """Events on a line by increasing value; `samples` and `labels` are the portraits between them, columns of
    the `portrait` record and their `value` of the parameter, which is called `name`.

    `complete`: every bifurcation of fixed points is among the events, proven. `warnings`: what is not known.
    """

    events: tuple[Event, ...]
    samples: dict[str, np.ndarray]
    labels: np.ndarray
    complete: bool
    warnings: tuple[str, ...]
    name: str = "p"

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __getitem__(self, index: int | slice) -> Any:
        return self.events[index]

    def to_dict(self) -> dict[str, Any]:
        """The object that `gru-sweep locate --json` prints."""
        return {
            "events": [event.to_dict() for event in self.events],
            "complete": self.complete,
            "warnings": list(self.warnings),
        }


@dataclasses.dataclass(frozen=True)
class _Group:
    """What happens at one value, as far as can be told: between `low` and `high`."""

    low: float
    high: float
    folds: tuple[tuple[Point, float], ...] = ()
    hopf: tuple[tuple[Point, float], ...] = ()
    clusters: tuple[np.ndarray, ...] = ()

    def __or__(self, other: _Group) -> _Group:
        return _Group(
            min(self.low, other.low),
            max(self.high, other.high),
            self.folds + other.folds,
            self.hopf + other.hopf,
            self.clusters + other.clusters,
        )


def locate(
    field: Field,
    start: float,
    stop: float,
    portraits: Portraits,
    lower: np.ndarray,
    upper: np.ndarray,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Located:
    """The bifurcations of dh/dt = field(h, (p,)) in the box [lower, upper] for p from `start` to `stop`.

    `progress` is told the steps done, and of how many: bifurcations of fixed points, portraits, and one for
    each change of label between them.
    """
    progress(0, 2)
    local = local_bifurcations(field, start, stop, lower, upper)
    groups = _groups(local, stop - start)
    edges = [start, *(x for g in groups for x in (g.low, g.high)), stop]
    pieces = [(a, b) for a, b in zip(edges[::2], edges[1::2])]
    values = np.unique(np.concatenate([_nodes(a, b, start, stop) for a, b in pieces]))
    progress(1, 2)
    columns = portraits(values)
    labels = topology.labels(columns)
    ok = (columns["status"] == Status.OK) & (labels != "")
    rows = {**columns, "value": values}

    events: list[Event] = []
    sides: list[tuple[int | None, int | None]] = []
    changes: list[tuple[Any, Any]] = []
    for a, b in pieces:
        inside = np.flatnonzero(ok & (values >= a) & (values <= b))
        sides.append((int(inside[0]), int(inside[-1])) if inside.size else (None, None))
        changes += [(i, j) for i, j in itertools.pairwise(inside) if labels[i] != labels[j]]
    for done, (i, j) in enumerate(changes):
        progress(2 + done, 2 + len(changes))
        events += between(field, _row(rows, i), _row(rows, j), portraits, lower=lower, upper=upper)
    progress(2 + len(changes), 2 + len(changes))
    warnings: list[str] = []
    for k, group in enumerate(groups):
        before, after = sides[k][1], sides[k + 1][0]
        if _nothing(group, labels, before, after):
            warnings.append(
                f"fixed points may meet between {group.low:.12g} and {group.high:.12g}: not excluded, but "
                "the label on both sides is the same"
            )
            continue
        events += _named(field, group, rows, labels, before, after)
        warnings += _unexplained(group, rows, before, after)
    if not local.complete:
        warnings.append(
            "the search for bifurcations of fixed points was given up: too much on this line is degenerate"
        )
    events.sort(key=lambda event: event.value)
    return Located(tuple(events), rows, labels, local.complete, tuple(warnings))


def _groups(local: LocalBifurcations, length: float) -> list[_Group]:
    """Events whose bounds overlap, together."""
    marks = [_Group(p.value - p.error, p.value + p.error, folds=((p, c),)) for p, c in local.folds]
    marks += [_Group(p.value - p.error, p.value + p.error, hopf=((p, c),)) for p, c in local.hopf]
    marks += [_Group(float(c[0, 2]), float(c[1, 2]), clusters=(c,)) for c in _joined(local.clusters)]
    groups: list[_Group] = []
    for mark in sorted(marks, key=lambda mark: mark.low):
        if groups and mark.low <= groups[-1].high + SIMULTANEOUS * length:
            mark = groups.pop() | mark
        groups.append(mark)
    return groups


def _joined(clusters: np.ndarray) -> list[np.ndarray]:
    """Clusters closer to each other than a few of their widths, as one."""
    hulls: list[np.ndarray] = []
    for hull in sorted(clusters, key=lambda c: c[0, 2]):
        near = True
        while near:
            near = False
            for i, other in enumerate(hulls):
                wide = CLUSTER * np.maximum(hull[1] - hull[0], other[1] - other[0])
                if (hull[0] - other[1] <= wide).all() and (other[0] - hull[1] <= wide).all():
                    hull = np.stack([np.minimum(hull[0], other[0]), np.maximum(hull[1], other[1])])
                    del hulls[i]
                    near = True
                    break
        hulls.append(hull)
    return hulls


def _nodes(a: float, b: float, start: float, stop: float) -> np.ndarray:
    """Values inside a piece: evenly, and ever closer to its ends."""
    width = b - a
    if width <= 0.0:
        return np.array([])
    even = np.linspace(a, b, max(int(SAMPLES * width / (stop - start)), 16) + 2)[1:-1]
    near = width * np.geomspace(CLOSEST, 0.1, APPROACH)
    ends = [x for x, border in ((a, start), (b, stop)) if x == border]
    return np.concatenate([even, a + near, b - near, ends])


def _row(columns: dict[str, np.ndarray], i: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(column[i]) for name, column in columns.items()}


def _named(field: Field, group: _Group, rows, labels, before: int | None, after: int | None) -> list[Event]:
    side = lambda i: "" if i is None else str(labels[i])  # noqa: E731
    words: dict[str, Any] = {
        "before": side(before),
        "after": side(after),
        "proven": True,
        "method": "interval Newton",
    }
    around = [None if i is None else _row(rows, i) for i in (before, after)]
    circled = on_cycle([point for point, _ in group.folds], *around)
    events = []
    for (point, coefficient), circle in zip(group.folds, circled):
        attracts = point.trace < 0.0
        details = {
            "quadratic_coefficient": coefficient,
            "type": f"saddle-node of the {'first' if attracts else 'second'} kind",
            "eigenvalue": point.trace,
        }
        events.append(_event("snic" if circle else "fold", point, words, details))
    for point, coefficient in group.hopf:
        details = {
            "first_lyapunov_coefficient": coefficient,
            "type": "supercritical" if coefficient < 0.0 else "subcritical",
            "frequency": float(np.sqrt(point.determinant) / (2.0 * np.pi)),
        }
        events.append(_event("hopf", point, words, details))
    events += [_degenerate(field, cluster, words) for cluster in group.clusters]
    return events


def _degenerate(field: Field, cluster: np.ndarray, words: dict[str, Any]) -> Event:
    point = branch_point(field, *cluster)
    if point is not None:
        return Event(point.kind, point.value, point.error, point.state, **words)
    middle, half = 0.5 * (cluster[0] + cluster[1]), 0.5 * (cluster[1, 2] - cluster[0, 2])
    words = words | {"method": "undecided boxes of branch and prune"}
    return Event("degenerate", float(middle[2]), float(half), middle[:2], **words)


def _event(kind: str, point: Point, words: dict, details: dict) -> Event:
    return Event(kind, point.value, point.error, point.state, **words, details=details)


def _nothing(group: _Group, labels, before: int | None, after: int | None) -> bool:
    """Whether undecided boxes are all there is, and the label does not change."""
    known = before is not None and after is not None
    return known and not (group.folds or group.hopf) and labels[before] == labels[after]


def _unexplained(group: _Group, rows, before: int | None, after: int | None) -> list[str]:
    """A warning where the counts on both sides do not differ as the events of the group would have it."""
    if before is None or after is None or group.clusters:
        return []
    change = int(rows["n_fixed_points"][after]) - int(rows["n_fixed_points"][before])
    possible = {2 * (2 * k - len(group.folds)) for k in range(len(group.folds) + 1)}
    if change in possible:
        return []
    value = 0.5 * (group.low + group.high)
    return [f"the number of fixed points changes by {change} at {value:.12g}, which is not explained"]
