"""From a change of the topology label between two parameters to the events that make it.

Between the two, fixed points and their kinds persist, so that what happens is a connection of saddles or a
fold of cycles. The interval is cut at many points, and again where the label changes, until the change of the
portrait names an event that is found; then portraits on both sides, as close as they can be computed, show
whether anything is left to be explained.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from ....records import InputError, Kind, Status
from ... import topology
from ..event import Event
from ..extended import Field
from .checks import box_of
from .connections import connection
from .crossings import Box
from .cycle_folds import cycle_fold
from .matching import Matching, Row, matched

CUTS = 15
"""Points at which an interval is cut: a batch of them costs little more than one."""
DEPTH = 5
"""Times an interval is cut before its change of label is left unresolved."""
CLOSER = 8.0
"""Ratio of the distances from an event at which its two sides are looked at."""
LOOKS = 8
"""Distances on each side."""
APART = 1e-12
"""Events closer than their errors and this are simultaneous, in units of the parameter's size."""
MAX_PAIRS = 64
"""Pairs of branches tried in one interval."""

Portraits = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Values (n,) to the columns of the measure `portrait`, each (n, ...)."""


def between(
    field: Field,
    before: Row,
    after: Row,
    portraits: Portraits,
    *,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
) -> list[Event]:
    """The events between two parameters with the same fixed points, in order.

    **Arguments**

    - `field`: f(h, p) with one parameter. `lower`, `upper`: corners of the box of the portraits, (2,).
    - `before`, `after`: columns of the measure `portrait` at one point each, of status ok, and `value`, the
      parameter there.
    - `portraits`: computes such columns at many values.

    Returns connections and folds of cycles, simultaneous ones included, with the labels on both sides; where
    the label changes and no event is found, one of kind `unresolved` as wide as the interval that is left.
    Nothing where both labels are the same. Refused: rows that are not ok, or not in order.
    """
    box = box_of(lower, upper)
    for name, row in (("before", before), ("after", after)):
        if int(row["status"]) != Status.OK:
            raise InputError(name, "a portrait of status ok", Status(int(row["status"])).name.lower())
    if not float(before["value"]) < float(after["value"]):
        raise InputError("after", f"a value above {float(before['value']):.10g}", float(after["value"]))
    found = _Line(field, portraits, box).resolve(_labelled(before), _labelled(after), 0)
    return sorted(found, key=lambda event: event.value)


@dataclasses.dataclass(frozen=True)
class _Line:
    """A field along its parameter."""

    field: Field
    portraits: Portraits
    box: Box

    def rows(self, values: np.ndarray) -> list[Row]:
        """Portraits of status ok at some values, in order."""
        columns = self.portraits(values)
        labels = topology.labels(columns)
        rows: list[Row] = []
        for i in np.argsort(values):
            if int(columns["status"][i]) == Status.OK and labels[i]:
                row = {name: np.asarray(column)[i] for name, column in columns.items()}
                rows.append(row | {"value": np.float64(values[i]), "label": labels[i]})
        return rows

    def resolve(self, before: Row, after: Row, depth: int) -> list[Event]:
        """The events between two rows."""
        if before["label"] == after["label"]:
            return []
        low, high = float(before["value"]), float(after["value"])
        events = self.events(before, after) if depth else []
        if events:
            return self.completed(before, after, events, depth)
        inner = np.linspace(low, high, CUTS + 2)[1:-1]
        if depth >= DEPTH or not (np.diff(inner) > 0.0).all():
            return [_unresolved(before, after)]
        rows = [before, *self.rows(inner), after]
        return [event for a, b in itertools.pairwise(rows) for event in self.resolve(a, b, depth + 1)]

    def completed(self, before: Row, after: Row, events: list[Event], depth: int) -> list[Event]:
        """The events with the labels on their sides, and whatever else happens between them."""
        clusters = _clusters(events)
        values = [cluster[0].value for cluster in clusters]
        edges = [float(before["value"]), *values, float(after["value"])]
        found: list[Event] = []
        last = before
        for cluster, (left, value, right) in zip(clusters, zip(edges, edges[1:], edges[2:])):
            ways = CLOSER ** -np.arange(1.0, LOOKS + 1)
            rows = self.rows(np.concatenate([value - (value - left) * ways, value + (right - value) * ways]))
            below = [row for row in rows if row["value"] < value - cluster[0].error]
            above = [row for row in rows if row["value"] > value + cluster[0].error]
            near, far = (below or [last])[-1], (above or [after])[0]
            if near["value"] > last["value"]:
                found += self.resolve(last, near, depth + 1)
            labels = str(near["label"]), str(far["label"])
            found += [dataclasses.replace(event, before=labels[0], after=labels[1]) for event in cluster]
            last = far
        if after["value"] > last["value"]:
            found += self.resolve(last, after, depth + 1)
        return found

    def events(self, before: Row, after: Row) -> list[Event]:
        """Events that the change of the portrait suggests and that are found."""
        match = matched(self.field, before, after, self.box)
        if match is None:
            return []
        folds = [*self.folds(before, after, match.died, 0), *self.folds(before, after, match.born, 1)]
        return folds or self.connections(before, after, match)

    def folds(self, before: Row, after: Row, cycles: list[int], side: int) -> list[Event]:
        """Folds of the pairs among the cycles that are on one side only."""
        row = (before, after)[side]
        ends = float(before["value"]), float(after["value"])
        found = []
        for j in cycles:
            k = int(row["cycle_within"][j])
            pair = [j, k]
            if (
                k in cycles
                and row["cycle_stable"][pair].sum() == 1
                and len(set(row["cycle_sense"][pair])) == 1
            ):
                points = row["cycle_point"][pair].astype(float)
                event = cycle_fold(self.field, ends, points, side, lower=self.box.lower, upper=self.box.upper)
                found += [event] if event.kind == "cycle fold" else []
        return found

    def connections(self, before: Row, after: Row, match: Matching) -> list[Event]:
        """Connections among the branches whose ends change; among all, if only their order does."""
        changed = match.changed(before, after)
        every = [(slot, branch) for slot in match.turned for branch in range(4)]
        # where rounding decides which branch is the first, either may be meant
        changed += [
            (i, (b + 2) % 4) for i, b in changed if i in match.tied and (i, (b + 2) % 4) not in changed
        ]
        sides = []
        for parity in (0, 1):
            some = [dart for dart in changed if dart[1] % 2 == parity]
            sides.append(some or [dart for dart in every if dart[1] % 2 == parity])
        pairs = [(a, b) for a in sides[0] for b in sides[1]]
        if len(pairs) > MAX_PAIRS:
            return []
        ends = float(before["value"]), float(after["value"])
        place = before["fixed_point"].astype(float)
        found = []
        for (i, unstable), (j, stable) in pairs:
            event = connection(
                self.field,
                ends,
                place[i],
                unstable,
                place[j],
                stable,
                lower=self.box.lower,
                upper=self.box.upper,
            )
            found += [event] if "gap_value" in event.details else []
        return found


def _labelled(row: Row) -> Row:
    columns = {name: np.asarray(value)[None] for name, value in row.items()}
    return dict(row) | {"label": topology.labels(columns)[0]}


def _clusters(events: list[Event]) -> list[list[Event]]:
    """Events in order, those that may be simultaneous together."""
    found: list[list[Event]] = []
    for event in sorted(events, key=lambda event: event.value):
        last = found[-1][-1] if found else None
        near = last is not None and event.value - last.value <= (
            event.error + last.error + APART * abs(event.value)
        )
        if near:
            found[-1].append(event)
        else:
            found.append([event])
    return found


def _unresolved(before: Row, after: Row) -> Event:
    low, high = float(before["value"]), float(after["value"])
    saddles = before["fixed_point"][before["kind"] == Kind.SADDLE]
    at = saddles[0] if len(saddles) else before["fixed_point"][0]
    return Event(
        "unresolved",
        0.5 * (low + high),
        0.5 * (high - low),
        np.asarray(at, float),
        before=str(before["label"]),
        after=str(after["label"]),
        method="change of the label",
    )
