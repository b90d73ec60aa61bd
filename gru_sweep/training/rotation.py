r"""The rotation number of an orbit in the plane: turns about a centre per step, from the lifted angle.

An increment of the angle is known up to whole turns. Each is taken within half a turn of their circular mean,
so the lift is right where they vary by less than a turn; the number itself is then defined up to an integer
and lies in (-1/2, 1/2], counterclockwise positive.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from . import birkhoff

AMBIGUOUS = 0.95
"""An increment this many half turns away from the mean one: the lift is not known."""
AROUND = 0.98
"""Widest sector about an enclosed centre without a point of the orbit, in half turns: a centre outside the
convex hull of the orbit leaves at least one half turn free."""
AT_REST = 1e-12
"""Turns per step that are none, rounding: the orbit does not go around."""


@dataclasses.dataclass(frozen=True)
class Rotation:
    """`turns` per step with their `error`, about `centre` (2,); NaN where the orbit encloses no candidate."""

    turns: float
    error: float
    centre: np.ndarray


NONE = Rotation(float("nan"), float("nan"), np.full(2, np.nan))


def rotation(points: np.ndarray, centres: np.ndarray, *, closed: bool = False) -> Rotation:
    """Of the orbit `points` (n, 2) about the first of `centres` (c, 2) that it goes around.

    Tried in order of the widest empty sector, the narrowest first. `closed`: the points are a whole periodic
    orbit, and the plain mean over it is exact; else the weighted Birkhoff average is taken.
    """
    tried = []
    for centre in centres:
        z = (points - centre) @ np.array([1.0, 1.0j])
        if (z != 0).all():
            angles = np.sort(np.angle(z))
            empty = np.max(np.diff(angles, append=angles[0] + 2 * np.pi))
            tried.append((float(empty), tuple(centre), z))
    for empty, centre, z in sorted(tried, key=lambda item: item[:2]):
        if empty >= AROUND * np.pi:
            break
        found = _turns(z, closed)
        if found is not None and abs(found[0]) > max(AT_REST, found[1]):
            return Rotation(*found, np.array(centre))
    return NONE


def _turns(z: np.ndarray, closed: bool) -> tuple[float, float] | None:
    step = (np.roll(z, -1) if closed else z[1:]) / (z if closed else z[:-1])
    unit = step / np.abs(step)
    mean = np.sum(unit)
    if abs(mean) == 0.0:
        return None
    direction = float(np.angle(mean))
    away = np.angle(unit * np.exp(-1j * direction))
    if np.max(np.abs(away)) > AMBIGUOUS * np.pi:
        return None
    shift, error = (float(np.mean(away)), 0.0) if closed else birkhoff.average(away)
    turns = (direction + shift) / (2 * np.pi)
    # the angles themselves are rounded
    return 0.5 - (0.5 - turns) % 1.0, error / (2 * np.pi) + float(np.finfo(float).eps)


def principal_plane(points: np.ndarray) -> np.ndarray:
    """The plane, (2, d), of the orbit's two largest variances; its orientation is arbitrary."""
    return np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][:2]
