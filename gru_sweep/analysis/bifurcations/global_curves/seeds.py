"""From an event on a line to the curve through it."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....records import Kind, Status
from ...taylor import trajectory
from ..event import Event
from ..extended import Field
from ..global_events.saddle_branches import directions, settled
from ..plane.curve import CYCLE_FOLD, HETEROCLINIC, HOMOCLINIC, Curve
from ..plane.curves import OnLine
from .changes import Change
from .connections import connection_curve
from .cycle_folds import cycle_fold_curve

AROUND = 720
"""Points of a cycle from which its turns about a fixed point are counted."""


class Corners(NamedTuple):
    """Of the rectangle, and of the box of states: (2,) each."""

    lower_p: np.ndarray
    upper_p: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def width(self) -> np.ndarray:
        """Sides in (h, p), (4,)."""
        return np.concatenate([self.upper - self.lower, self.upper_p - self.lower_p])


class _At(eqx.Module):
    """f(h, p) at one p."""

    field: Field
    p: Float[Array, " 2"]

    def __call__(self, h: Float[Array, " 2"]) -> Float[Array, " 2"]:
        return self.field(h, self.p)


def line_of(field: Field, change: Change) -> OnLine:
    """The field along the line of a change."""
    base, along = np.full(2, change.level), np.zeros(2)
    base[change.axis], along[change.axis] = 0.0, 1.0
    return OnLine(field, jnp.asarray(base), jnp.asarray(along))


def curve_through(
    field: Field, event: Event, change: Change, corners: Corners, known: tuple[Curve, ...]
) -> Curve | None:
    """The curve through an event that was located on the line of a change; None where it can not be followed.

    `known`: curves whose special points may be its ends.
    """
    p, lower, upper = change.point(event.value), corners.lower, corners.upper
    if event.kind in (HOMOCLINIC, HETEROCLINIC):
        source, target = event.at, np.asarray(event.details.get("target", event.at), float)
        slopes = settled(
            line_of(field, change), event.value, np.stack([source, target]), _size(corners)
        ).jacobian
        numbers = [
            _number(slope, np.asarray(event.details[way]), parity)
            for slope, way, parity in zip(
                np.moveaxis(np.array(slopes), -1, 0), ("source_direction", "target_direction"), (0, 1)
            )
        ]
        return connection_curve(
            field,
            p,
            source,
            numbers[0],
            target,
            numbers[1],
            corners.lower_p,
            corners.upper_p,
            lower=lower,
            upper=upper,
            local=known,
        )
    if event.kind == CYCLE_FOLD:
        inside = _enclosed(field, event, change, corners)
        if inside is None:
            return None
        special = tuple(point for curve in known for point in curve.codimension_two)
        return cycle_fold_curve(
            field,
            p,
            event.at,
            inside,
            corners.lower_p,
            corners.upper_p,
            lower=lower,
            upper=upper,
            known=special,
        )
    return None


def _size(corners: Corners) -> float:
    return float(np.max(corners.upper - corners.lower))


def _number(jacobian: np.ndarray, way: np.ndarray, parity: int) -> int:
    """The number of the branch that leaves (parity 0) or enters (1) a saddle along a direction."""
    four = directions(jacobian)
    return parity + 2 * int(four[parity + 2] @ way > four[parity] @ way)


def _enclosed(field: Field, event: Event, change: Change, corners: Corners) -> np.ndarray | None:
    """A fixed point, no saddle, about which the cycle of an event turns."""
    near = min((change.before, change.after), key=lambda row: abs(row["value"] - event.value))
    others = (near["kind"] != Kind.SADDLE) & (near["kind"] != Kind.NOT_COMPUTED)
    places = near["fixed_point"][others].astype(float)
    here = settled(line_of(field, change), event.value, places, _size(corners))
    p = jnp.asarray(change.point(event.value))
    times = np.linspace(0.0, float(event.details["period"]), AROUND)
    cycle = trajectory(_At(field, p), event.at, times)
    if int(cycle.status) != Status.OK:
        return None
    for point in np.stack(here.point, axis=-1):
        away = (np.asarray(cycle.state) - point) @ np.array([1.0, 1.0j])
        turns = np.sum(np.angle(away[1:] / away[:-1])) / (2.0 * np.pi)
        if abs(turns) > 0.5:
            return point
    return None
