r"""From a followed curve to what is known of it: values along it, points of codimension two, how it ends.

On a curve of folds p.B(q, q) changes its sign at a cusp and tr J at a Bogdanov-Takens point; the vectors p
and q are taken without jumps. A zero curve of tr J is one of Hopf points where det J > 0 and of neutral
saddles where det J < 0, and changes only at Bogdanov-Takens points: there it is cut, and the neutral parts
are dropped. On what is left the focal value changes its sign at a Bautin point.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...compiled import compiled, in_blocks
from .. import normal_forms
from ..extended import Field
from .codimension_two import BAUTIN, BOGDANOV_TAKENS, CUSP, SpecialPoint, locate
from .continuation import Followed
from .curve import BORDER, BRANCH_POINT, CLOSED, FOLD, HOPF, STATE_BORDER, UNRESOLVED, Curve
from .path import Path
from .steps import End

ON_CURVE = 1e-7
"""A zero this near to a curve lies on it, in sides of the box: above the errors of both."""
FLAT = 1e-9
"""Part of the largest det J on a Hopf curve below which it is 0: both eigenvalues vanish."""
BLOCK = 256
"""Points evaluated in one call: one size, one compilation."""


class Named(NamedTuple):
    """The curves that a followed one consists of, and what is not known of them, in words."""

    curves: list[Curve]
    warnings: list[str]


def name(field: Field, kind: str, followed: Followed, width: np.ndarray) -> Named:
    """Of a zero curve of (f, det J) or (f, tr J), `kind` fold or hopf, in a box of sides `width`, (4,)."""
    return (_fold if kind == FOLD else _hopf)(field, followed, width)


def _fold(field: Field, followed: Followed, width: np.ndarray) -> Named:
    path = followed.path
    ends = _ends(followed)
    bend, _, trace = _fold_values(field, path, ends)
    cusps, lost = _located(field, CUSP, path, bend, width)
    others, missed = _located(field, BOGDANOV_TAKENS, path, trace, width)
    points = sorted(cusps + others, key=lambda point: point.length)
    path = _with(path, points)
    bend, angle, trace = _fold_values(field, path, ends)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {"quadratic_coefficient": bend / angle, "trace": trace}
    curve = Curve(**vars(path), kind=FOLD, ends=ends, codimension_two=tuple(points), values=values)
    return Named([curve], _lost(CUSP, path, lost) + _lost(BOGDANOV_TAKENS, path, missed))


def _hopf(field: Field, followed: Followed, width: np.ndarray) -> Named:
    path = followed.path
    points, lost = _located(field, BOGDANOV_TAKENS, path, _evaluate(_hopf_form, field, path)[0], width)
    path, warnings = _with(path, points), _lost(BOGDANOV_TAKENS, path, lost)
    for length in lost:
        path = path.insert(length, path.at(length))
    stops: dict[float, str | SpecialPoint] = dict.fromkeys(lost, UNRESOLVED)
    stops |= {point.length: point for point in points}
    if not path.closed:
        stops |= dict(zip((0.0, float(path.length[-1])), _ends(followed)))
    order = sorted(stops)
    pieces = list(itertools.pairwise(order)) + ([(order[-1], order[0])] if path.closed and order else [])
    curves = []
    for first, last in pieces:
        part = path.part(*(int(np.argmin(np.abs(path.length - s))) for s in (first, last)))
        curves += _hopf_part(field, part, (stops[first], stops[last]), width, warnings)
    if not pieces:
        curves += _hopf_part(field, path, (CLOSED, CLOSED), width, warnings)
    return Named(curves, warnings)


def _hopf_part(field: Field, part: Path, stops, width: np.ndarray, warnings: list[str]) -> list[Curve]:
    """The Hopf curve between two stops, words or Bogdanov-Takens points; none where saddles are neutral."""
    determinant, focal, _ = _evaluate(_hopf_form, field, part)
    if np.median(determinant) <= 0.0:
        return []
    points, lost = _located(field, BAUTIN, part, focal, width)
    warnings += _lost(BAUTIN, part, lost)
    part = _with(part, points)
    determinant, _, coefficient = _evaluate(_hopf_form, field, part)
    flat = determinant <= FLAT * determinant.max()
    ends = []
    for k, stop in ((0, stops[0]), (-1, stops[1])):
        if isinstance(stop, SpecialPoint):
            points.append(dataclasses.replace(stop, length=float(part.length[k])))
            stop = stop.kind
        ends.append(BRANCH_POINT if stop == BORDER and flat[k] else stop)
    values = {
        "first_lyapunov_coefficient": np.where(flat, np.nan, coefficient),
        "frequency": np.sqrt(np.where(flat, 0.0, determinant)) / (2.0 * np.pi),
    }
    points.sort(key=lambda point: point.length)
    return [
        Curve(**vars(part), kind=HOPF, ends=(ends[0], ends[1]), codimension_two=tuple(points), values=values)
    ]


def _located(
    field: Field, kind: str, path: Path, test: np.ndarray, width: np.ndarray
) -> tuple[list[SpecialPoint], list[float]]:
    """The points of a kind where a test changes its sign, and the lengths of changes where there is none."""
    known = np.flatnonzero(np.isfinite(test) & (test != 0.0))
    found: list[SpecialPoint] = []
    lost: list[float] = []
    for i, j in itertools.pairwise(known):
        if test[i] * test[j] > 0.0:
            continue
        low, high = path.length[i], path.length[j]
        length = float(low + (high - low) * test[i] / (test[i] - test[j]))
        point = locate(field, kind, path.at(length), width)
        if point is None:
            lost.append(length)
            continue
        nearest, apart = path.nearest(point.point, width)
        if apart <= ON_CURVE and low - (high - low) <= nearest <= high + (high - low):
            found.append(dataclasses.replace(point, length=nearest))
        else:
            lost.append(length)
    return found, lost


def _with(path: Path, points: list[SpecialPoint]) -> Path:
    for point in points:
        path = path.insert(point.length, point.point)
    return path


def _lost(kind: str, path: Path, lengths: list[float]) -> list[str]:
    """Warnings of changes of sign at which no point was located."""
    words = ("(" + ", ".join(f"{x:.6g}" for x in path.at(length)) + ")" for length in lengths)
    return [f"the test for a {kind} point changes its sign at {at}, where none was located" for at in words]


def _ends(followed: Followed) -> tuple[str, str]:
    names = {End.CLOSED: CLOSED, End.BRANCH_POINT: BRANCH_POINT}
    first, last = (
        (STATE_BORDER if face < 2 else BORDER) if end == End.FACE else names.get(end, UNRESOLVED)
        for end, face in zip(followed.ends, followed.faces)
    )
    return first, last


def _fold_values(field: Field, path: Path, ends: tuple[str, str]) -> tuple[np.ndarray, ...]:
    """p.B(q, q) / 2, p.q and the trace, for p and q of unit length that do not jump along the path; NaN at a
    branch point, where p and q may not be unique."""
    null, left, bend, angle, trace = _evaluate(normal_forms.fold_form, field, path)
    signs = []
    for vectors in (null, left):
        along = np.sign(np.sum(vectors[1:] * vectors[:-1], axis=1))
        signs.append(np.cumprod(np.append(1.0, np.where(along == 0.0, 1.0, along))))
    q, p = signs
    known = np.ones(len(path))
    known[[k for k, end in zip((0, -1), ends) if end == BRANCH_POINT]] = np.nan
    return known * p * bend, known * p * q * angle, known * trace


def _hopf_form(field: normal_forms.State, h: Float[Array, " 2"]) -> tuple[Array, Array, Array]:
    determinant = jnp.linalg.det(normal_forms.first(field, h))
    return determinant, normal_forms.focal_value(field, h), normal_forms.first_lyapunov_coefficient(field, h)


def _evaluate(form: Callable, field: Field, path: Path) -> tuple[np.ndarray, ...]:
    """What `form` says of every point of a path."""
    return in_blocks(lambda some: _along(form, field, some), path.points, BLOCK)


@compiled
def _along(form: Callable, field: Field, points: Float[Array, "n 4"]) -> tuple[Array, ...]:
    return jax.vmap(lambda u: form(lambda h: field(h, u[2:]), u[:2]))(points)
