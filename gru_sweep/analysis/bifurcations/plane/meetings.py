"""Where curves of folds and of Hopf points meet those of branch points, and end.

At a point of codimension two on a curve of branch points curves of the fixed points that cross there begin
and end: of Hopf points where tr J = 0, too; of folds where the coefficient that makes the kind is 0, which
touch it. Their systems are singular there, so that a follower stops before or steps over. `parts` cuts them a
little before such a point, and `ending` adds the point when they have been named.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import normal_forms
from ..extended import Field
from .branch_charts import forms, in_sides
from .codimension_two import BOGDANOV_TAKENS, SpecialPoint
from .continuation import Followed
from .curve import BRANCH_POINT, DEGENERATE_PITCHFORK, HOPF, Curve
from .path import Path
from .steps import End

MET = 1e-5
"""How near to a point a curve passes that meets it, in sides of the box: above what a simple singularity
makes of the error of a cubic."""
SHORT = 2e-4
"""How much before the point the curve is cut, in sides of the box: its tests are of second order there, and
there their signs are not yet lost in the error of a cubic."""
STUCK = 2e-2
"""How far from a degenerate pitchfork a curve of folds may get stuck, in sides of the box: its system is
singular of third order there."""
AWAY = 1e-3
"""How far from a point curves that begin there are looked for, in sides of the box: where they are told apart
and their systems are regular, and near enough for Newton's method."""
STRAIGHT = 0.99
"""Cosine of the angle by which it may still turn on the way there: 8 degrees."""


def parts(followed: Followed, points: Sequence[SpecialPoint], width: np.ndarray) -> list[Followed]:
    """Those of a curve between the points that it meets, in a box of sides `width`, (4,), but for parts
    shorter than `SHORT`."""
    followed = _reaching(followed, points, width)
    path, outer = followed.path, list(zip(followed.ends, followed.faces))
    lengths = (path.nearest(point.point, width) for point in points)
    stops = sorted(length for length, apart in lengths if apart <= MET)
    if not stops:
        return [followed]
    total = float(path.length[-1])
    pieces = [*stops, stops[0] + total] if path.closed else [-np.inf, *stops, np.inf]
    found = []
    for first, last in itertools.pairwise(pieces):
        low, high = max(first + SHORT, 0.0), min(last - SHORT, 2.0 * total if path.closed else total)
        if high - low > SHORT:
            sides = zip((first, last), outer)
            met = [(End.BRANCH_POINT, -1) if np.isfinite(stop) else other for stop, other in sides]
            (begin, face), (end, other) = met
            found.append(Followed(_between(path, low, high), (begin, end), (face, other)))
    return found


def ending(curve: Curve, points: Sequence[SpecialPoint], width: np.ndarray) -> Curve:
    """A named part with the points that it ends in; those with tr J = 0 are points of a Hopf curve."""
    for k in (0, -1):
        apart = [float(np.linalg.norm((point.point - curve.points[k]) / width)) for point in points]
        if curve.ends[k] != BRANCH_POINT or min(apart, default=np.inf) > 2.0 * SHORT:
            continue
        point, before = points[int(np.argmin(apart))], 0.0 if k else min(apart)
        longer = _longer(curve, k, point.point, width)
        values = {
            name: np.append(value, np.nan) if k else np.append(np.nan, value)
            for name, value in curve.values.items()
        }
        special = [dataclasses.replace(one, length=one.length + before) for one in curve.codimension_two]
        ends = curve.ends
        if curve.kind == HOPF and point.kind == BOGDANOV_TAKENS:
            ends = (ends[0], point.kind) if k else (point.kind, ends[1])
            values["frequency"][k] = 0.0
            special.append(dataclasses.replace(point, length=float(longer.length[k])))
            special.sort(key=lambda one: one.length)
        curve = Curve(**vars(longer), kind=curve.kind, ends=ends, codimension_two=(*special,), values=values)
    return curve


def _trace(field: Field, u: Float[Array, " 4"]) -> Array:
    return jnp.trace(normal_forms.first(lambda h: field(h, u[2:]), u[:2]))


def beginnings(field: Field, point: SpecialPoint, width: np.ndarray) -> list[np.ndarray]:
    """Points near the zero curves of (f, tr J) through one with det J = tr J = 0 on a curve of branch points.

    To second order w.f is a quadratic form, and tr J is linear, in the position along q and the parameters:
    the curves are the lines on which both are 0, two at the most.
    """
    form = forms(field, point.point[None])
    basis = form.basis[0] * (unit := in_sides(form.basis[0], width))
    across = basis.T @ np.asarray(jax.grad(lambda u: _trace(field, u))(jnp.asarray(point.point)))
    flat = np.linalg.svd(across[None])[2][1:].T
    (least, most), axes = np.linalg.eigh(flat.T @ (form.hessian[0] * np.outer(unit, unit)) @ flat)
    if not least < 0.0 < most:
        return []
    low, high = np.sqrt(most) * axes[:, 0], np.sqrt(-least) * axes[:, 1]
    ways = [basis @ flat @ way for way in (low + high, low - high)]
    return [
        point.point + AWAY * sign * in_sides(way[:, None], width) * way
        for way in ways
        for sign in (-1.0, 1.0)
    ]


def _reaching(followed: Followed, points: Sequence[SpecialPoint], width: np.ndarray) -> Followed:
    """The curve up to the degenerate pitchforks before which it stopped."""
    for k in (0, -1):
        path, ends = followed.path, followed.ends
        if ends[k] not in (End.STUCK, End.BRANCH_POINT):
            continue
        for point in (point for point in points if point.kind == DEGENERATE_PITCHFORK):
            chord, along = (point.point - path.points[k]) / width, path.tangents[k] / width
            size = float(np.linalg.norm(chord))
            onward = chord @ along * (1.0 if k else -1.0)
            if 0.0 < size <= STUCK and onward >= STRAIGHT * size:
                ends = (ends[0], End.BRANCH_POINT) if k else (End.BRANCH_POINT, ends[1])
                followed = Followed(_longer(path, k, point.point, width), ends, followed.faces)
                break
    return followed


def _longer(path: Path, k: int, point: np.ndarray, width: np.ndarray) -> Path:
    """With one point more before the first (k = 0) or after the last (-1), and there the tangent of the
    circle through both."""
    chord, along = (point - path.points[k]) / width, path.tangents[k] / width
    size = float(np.linalg.norm(chord))
    tangent = width * (2.0 * (chord @ along) / size**2 * chord - along)
    if k == 0:
        length = np.append(0.0, path.length + size)
        return Path(np.vstack([point, path.points]), np.vstack([tangent, path.tangents]), length, False)
    length = np.append(path.length, path.length[-1] + size)
    return Path(np.vstack([path.points, point]), np.vstack([path.tangents, tangent]), length, False)


def _between(path: Path, low: float, high: float) -> Path:
    """From one length to another, which on a closed path may be past its end."""
    total = float(path.length[-1])
    places = [s - total if s > total else s for s in (low, high)]
    for s in places:
        path = path.insert(s, path.at(s))
    first, last = (int(np.argmin(np.abs(path.length - s))) for s in places)
    return path.part(first, last)
