r"""Curves of branch points in a plane: pitchforks and transcritical points, found from undecided regions.

On a curve along which fixed points cross, at a distance mu from it in the plane, the field along the null
vector q of J is

    x' = x (b mu + a x + c x^2) + ...,

transcritical where a is not 0; where a symmetry makes a = 0 all along, it is a curve of pitchforks. One such
curve is followed as a zero curve of `Unfolded` (`branch_charts`) in (h, p, e), e l being added to the field.
e = 0 is not imposed: without structure it holds at single points at the most. Where it holds at every vertex
within rounding the curve is one of branch points; where it does not there is none, but folds that miss each
other. That is no proof: a structure that is broken by less than rounding is taken for one that is not.
"""

from __future__ import annotations

import itertools

import numpy as np
import scipy.optimize

from ..extended import Field
from .branch_charts import Charts, Form, forms
from .codimension_two import BOGDANOV_TAKENS, SpecialPoint
from .curve import BRANCH_POINT, DEGENERATE_PITCHFORK, PITCHFORK, TRANSCRITICAL, Curve
from .path import Path
from .steps import MEETS

NEAR = 4.0
"""How many of its own widths from a region its curve may pass, besides `MEETS`."""
ROUNDING = 64.0
"""Largest e on a curve, in units of eps times the largest rate that the box admits to first order: rounding
of some dozens of operations."""
FLAT = 1e-9
"""Quadratic coefficient, in units of the second derivatives and of the third times the box's side, below
which it is 0, and cubic one times that side squared, in units of the first derivatives: above what the error
of a vertex makes of 0."""
TESTS = {TRANSCRITICAL: (BOGDANOV_TAKENS, PITCHFORK), PITCHFORK: (BOGDANOV_TAKENS, DEGENERATE_PITCHFORK)}
"""Points of codimension two that a curve of a kind may have."""
POINT = 1e-13
"""How near two lengths between which a test changes its sign get to each other, in sides of the box."""


def branch_curve(
    field: Field,
    cluster: np.ndarray,
    lower_p: np.ndarray,
    upper_p: np.ndarray,
    *,
    lower: np.ndarray,
    upper: np.ndarray,
) -> Curve | None:
    """The curve of branch points through a region in which zeros of (f, det J) are undecided.

    **Arguments**

    - `field`: f(h, p), (2,), (2,) to (2,). `cluster`: corners of the region in (h, p), (2, 4).
    - `lower_p`, `upper_p`: corners of the rectangle. `lower`, `upper`: of the box of states. (2,) each.

    Returns None where no such curve passes within a few widths of the region. All of a curve is of one kind.
    It ends on a border, in itself, where its system is singular, or in a way that is not known; where another
    one crosses it, it goes on. Points on it with tr J = 0, too, and those where the coefficient that makes
    the kind is 0, are its `codimension_two`, with estimated errors.
    """
    low, high = np.concatenate([lower, lower_p]), np.concatenate([upper, upper_p])
    charts = Charts(field, low, high)
    middle = np.clip(0.5 * (cluster[0] + cluster[1]), low, high)
    found = charts.through(middle)
    if found is None:
        return None
    whole = found.path
    path = Path(whole.points[:, :4], whole.tangents[:, :4], whole.length, whole.closed)
    reach = NEAR * float(((cluster[1] - cluster[0]) / (high - low)).max()) + MEETS
    if path.nearest(middle, high - low)[1] > reach:
        return None
    form = forms(field, path.points)
    unfolding = float(np.max(np.abs(whole.points[:, 4])))
    if unfolding > ROUNDING * np.finfo(float).eps * np.max(np.abs(form.slope) @ (high - low)):
        return None
    kind = _kind(form, float(np.max(high[:2] - low[:2])))
    return _named(charts, kind, path, found.ends) if kind else None


def _kind(form: Form, side: float) -> str | None:
    """That of all points of a curve; None where the field along q has neither a square nor a cube."""
    least = FLAT * np.max(np.abs(form.slope[:, :, :2])) / side
    square, cube = np.abs(form.bend), np.abs(form.cubic) * side
    if np.max(square) > FLAT * np.max(form.bent + cube):
        return TRANSCRITICAL
    return PITCHFORK if np.max(cube) > least else None


def _named(charts: Charts, kind: str, path: Path, ends: tuple[str, str]) -> Curve:
    """With its values and points of codimension two."""
    points = [point for test in TESTS[kind] for point in _located(charts, test, path)]
    points.sort(key=lambda point: point.length)
    for point in points:
        path = path.insert(point.length, point.point)
    form = forms(charts.field, path.points)
    way, _ = _signs(form)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {"trace": form.trace, "crossing_rate": _crossing_rate(form, path)}
        if kind == TRANSCRITICAL:
            values["quadratic_coefficient"] = way * form.bend / form.angle
        else:
            values["cubic_coefficient"] = form.cubic / form.angle
    doubles = [point.length for point in points if point.kind == BOGDANOV_TAKENS]
    for rate in set(values) - {"trace"}:
        values[rate] = np.where(np.isin(path.length, doubles), np.nan, values[rate])
    for k, end in zip((0, -1), ends):
        if end == BRANCH_POINT:
            for value in values.values():
                value[k] = np.nan
    return Curve(**vars(path), kind=kind, ends=ends, codimension_two=tuple(points), values=values)


def _crossing_rate(form: Form, path: Path) -> np.ndarray:
    """|b|, (n,): the same on both branches, whose eigenvalues are +-b mu."""
    normal = np.stack([-path.tangents[:, 3], path.tangents[:, 2]], axis=1)
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    mixed = np.einsum("ni,ni->n", form.hessian[:, 0, 1:], normal)
    pure = np.einsum("ni,nij,nj->n", normal, form.hessian[:, 1:, 1:], normal)
    squared = mixed**2 - form.hessian[:, 0, 0] * pure
    return np.sqrt(np.maximum(squared, 0.0)) / np.abs(form.angle)


def _signs(form: Form) -> tuple[np.ndarray, np.ndarray]:
    """Those with which q and w do not jump along a path."""
    some = []
    for vectors in (form.null, form.left):
        along = np.sign(np.sum(vectors[1:] * vectors[:-1], axis=1))
        some.append(np.cumprod(np.append(1.0, np.where(along == 0.0, 1.0, along))))
    return some[0], some[1]


def _test(kind: str, form: Form) -> np.ndarray:
    """What changes its sign at a point of a kind."""
    q, w = _signs(form)
    if kind == BOGDANOV_TAKENS:
        return form.trace
    return w * form.bend if kind == PITCHFORK else q * w * form.cubic


def _located(charts: Charts, kind: str, path: Path) -> list[SpecialPoint]:
    """The points of a kind on a curve, by a root finder between the vertices where its test changes sign."""
    test = _test(kind, forms(charts.field, path.points))
    known = np.flatnonzero(np.isfinite(test) & (test != 0.0))
    noise = ROUNDING * np.finfo(float).eps * np.max(np.abs(test[known]), initial=0.0)
    found = []
    for i, j in itertools.pairwise(known):
        if test[i] * test[j] > 0.0:
            continue
        low, high = path.length[i], path.length[j]

        def value(s: float, first: np.ndarray = path.points[i]) -> float:
            # beside the first vertex, whose signs it has
            return float(_test(kind, forms(charts.field, np.stack([first, _on(charts, path, s)])))[1])

        ends = value(low), value(high)
        if ends[0] * ends[1] < 0.0:
            length = float(scipy.optimize.brentq(value, low, high, xtol=POINT))
        else:  # a vertex is the point, but for rounding
            length = float((low, high)[int(np.argmin(np.abs(ends)))])
        rise = np.abs(test[j] - test[i]) / (high - low)
        error = (POINT + noise / rise) * np.max(np.abs(path.direction(length)))
        error += ROUNDING * np.finfo(float).eps * np.max(np.abs(path.points[i]) + charts.width)
        found.append(SpecialPoint(kind, _on(charts, path, length), float(error), False, length=length))
    return found


def _on(charts: Charts, path: Path, length: float) -> np.ndarray:
    """The point of a curve of branch points at a length."""
    return charts.nearest(path.at(length), path.direction(length))
