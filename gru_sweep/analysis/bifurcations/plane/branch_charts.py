r"""A regular system for curves of branch points, and the charts in which one is followed.

Along a curve on which fixed points cross, or which a symmetry makes, the left null vector w of J has w.f_p =
0 for both parameters, and (f, det J) is singular. In the unknowns (h, p, e) the system

    (f(h, p) + e l, det J(h, p), w.f_p v)                                       (`Unfolded`)

has a regular zero curve there, for a vector l with w.l != 0 and a direction v in the plane across the curve.
For let x be the position along the null vector q of J and mu the distance from the curve: on the solutions of
the other equation w.f = x (b mu + a x + c x^2) + ..., so that the derivatives of w.f + e w.l by e, of its
derivative by x along mu, and of that by mu along x are w.l, b and b, whatever a is. (Kuznetsov 2004, sec.
10.2.2, with one parameter; v is what MATCONT calls the branching parameter.)

l, v and the combination of the rows of adj(J) that w is are constant in a *chart*: best are w, the normal of
the curve and q. Where one of these has turned too far from what it was the next chart begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...compiled import compiled, in_blocks
from .. import normal_forms
from ..extended import Field, rate_and_jacobian
from .continuation import Followed, follow
from .curve import BORDER, BRANCH_POINT, CLOSED, STATE_BORDER, UNRESOLVED
from .path import Path
from .steps import CONVERGED, MEETS, TOLERANCE, End, Scaled, slope

TURNED = 0.5
"""Cosine of the angle by which a vector of a chart may be off: 60 degrees; the system is singular at 90."""
MAX_CHARTS = 256
"""Charts of one curve after which it is given up: they are for some forty turns."""
CUBICS = 5e-11
"""Largest distance between a curve and its cubics, in sides of the box: closer than other curves, which end
on it and are compared with it."""
POLISH = 4
"""Newton's steps to a curve from near it: from 1e-3 sides of the box; from a cubic one would do."""
BLOCK = 256
"""Points evaluated in one call: one size, one compilation."""


class Unfolded(eqx.Module):
    """(h, p, e) -> (f + e `push`, det J, w.f_p `across`) with w = `row` adj(J)."""

    field: Any
    push: Float[Array, " 2"]
    row: Float[Array, " 2"]
    across: Float[Array, " 2"]

    def __call__(self, u: Float[Array, " 5"]) -> Float[Array, " 4"]:
        h, p, e = u[:2], u[2:4], u[4]
        rate, ((a, b), (c, d)) = rate_and_jacobian(self.field, h, p)
        _, moved = jax.jvp(lambda q: self.field(h, q), (p,), (self.across,))
        w1, w2 = self.row[0] * d - self.row[1] * c, self.row[1] * a - self.row[0] * b
        f1, f2 = (rate[i] + e * self.push[i] for i in range(2))
        return jnp.stack([f1, f2, a * d - b * c, w1 * moved[0] + w2 * moved[1]])


class Form(NamedTuple):
    """The normal form x' = w.f / w.q at n points (h, p).

    - `null` q, `left` w (n, 2): of unit length and any sign. `angle`: w.q; `trace`: the other eigenvalue.
    - `basis` (n, 4, 3): what Df takes to multiples of w's complement only, along q and along both parameters;
      `hessian` (n, 3, 3): second derivatives of w.f in it; `cubic`: the third one along q, over 6.
    - `slope` (n, 2, 4): Df by (h, p). `bent` (n,): the largest second derivative of f by h.
    """

    null: np.ndarray
    left: np.ndarray
    angle: np.ndarray
    trace: np.ndarray
    basis: np.ndarray
    hessian: np.ndarray
    cubic: np.ndarray
    slope: np.ndarray
    bent: np.ndarray

    @property
    def bend(self) -> np.ndarray:
        """w.B(q, q) / 2."""
        return 0.5 * self.hessian[:, 0, 0]


def forms(field: Field, points: np.ndarray) -> Form:
    """At points (h, p), (n, 4)."""
    return Form(*in_blocks(lambda some: _forms(field, some), points, BLOCK))


@compiled
def _forms(field: Field, points: Float[Array, "n 4"]) -> tuple[Array, ...]:
    return jax.vmap(lambda u: _form(field, u))(points)


def _form(field: Field, u: Float[Array, " 4"]) -> tuple[Array, ...]:
    h, here = u[:2], lambda h: field(h, u[2:])
    whole = lambda x: field(x[:2], x[2:])  # noqa: E731
    q, w, _, angle, trace = normal_forms.fold_form(here, h)
    slope, curved = jax.jacfwd(whole)(u), jax.jacfwd(jax.jacfwd(whole))(u)
    # f off the range of J is w.f; on it J is the number `size`, along the vector across q
    on, along = jnp.stack([-w[1], w[0]]), jnp.stack([-q[1], q[0]])
    size = on @ slope[:, :2] @ along
    solved = lambda y: -along * ((on @ y) / size)  # noqa: E731
    null = jnp.append(q, jnp.zeros(2))
    kernel = [null, *(jnp.concatenate([solved(slope[:, 2 + i]), jnp.eye(2)[i]]) for i in range(2))]
    basis = jnp.stack(kernel, axis=1)
    hessian = basis.T @ jnp.einsum("i,ijk->jk", w, curved) @ basis
    shift = solved(normal_forms.second(here, h, q, q))
    third = normal_forms.third(here, h, q, q, q) + 3.0 * normal_forms.second(here, h, q, shift)
    return q, w, angle, trace, basis, hessian, w @ third / 6.0, slope, jnp.max(jnp.abs(curved[:, :2, :2]))


class Through(NamedTuple):
    """A zero curve of `Unfolded`: its path in (h, p, e), and how it ends, in words."""

    path: Path
    ends: tuple[str, str]


class Charts:
    """Charts of curves of branch points in the box [low, high] of (h, p), (4,) each."""

    def __init__(self, field: Field, low: np.ndarray, high: np.ndarray):
        self.field, self.width = field, high - low
        # e in units of the rates that the box admits, which are known where a curve begins
        self.low, self.high = np.append(low, -1.0), np.append(high, 1.0)

    def through(self, point: np.ndarray) -> Through | None:
        """The curve through a point near it, (4,); None where none is found."""
        form = forms(self.field, point[None])
        rates = float(np.max(np.abs(form.slope[0]) @ self.width))
        if not (np.isfinite(form.hessian).all() and 0.0 < rates < np.inf):
            return None
        self.low[4], self.high[4] = -rates, rates
        tangent = np.append(self.tangent(form), 0.0)
        chart, begin = self.chart(point, tangent), np.append(point, 0.0)
        followed = follow(chart, begin, self.low, self.high, tolerance=CUBICS)
        if followed is None:
            return None
        ahead, end = self._onward(chart, _from(followed, begin, tangent, self.high - self.low))
        if end == CLOSED:
            path = _joined(ahead)
            path.points[-1] = path.points[0]
            return Through(Path(path.points, path.tangents, path.length, True), (CLOSED, CLOSED))
        back, start = self._onward(chart, _from(followed, begin, -tangent, self.high - self.low))
        pieces = [_reversed(piece) for piece in back[::-1]] + ahead
        return Through(_joined(pieces), (start, end)) if pieces else None

    def tangent(self, form: Form) -> np.ndarray:
        """That of the curve in (h, p), any length: the null vector of the Hessian at one point."""
        unit = in_sides(form.basis[0], self.width)
        sizes, vectors = np.linalg.eigh(form.hessian[0] * np.outer(unit, unit))
        return form.basis[0] @ (unit * vectors[:, np.argmin(np.abs(sizes))])

    def chart(self, point: np.ndarray, tangent: np.ndarray) -> Unfolded:
        """The one that is best at a point, (4,) or more, of a curve with this tangent."""
        form = forms(self.field, point[None, :4])
        across = self.width[2:] * self._normal(tangent[None])[0]
        return Unfolded(self.field, *map(jnp.asarray, (form.left[0], form.null[0], across)))

    def nearest(self, point: np.ndarray, tangent: np.ndarray) -> np.ndarray:
        """The point of a curve next to one that lies on it within the accuracy of its cubics, (4,)."""
        return polished(self.chart(point, tangent), np.append(point, 0.0), self.low, self.high)[:4]

    def _normal(self, tangents: np.ndarray) -> np.ndarray:
        """Unit normals in the plane, in sides of the rectangle, (n, 2)."""
        x, y = (tangents[:, 2:4] / self.width[2:]).T
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([-y, x], axis=1) / np.hypot(x, y)[:, None]

    def _good(self, chart: Unfolded, path: Path) -> np.ndarray:
        """Where the chart is, (n,)."""
        form = forms(self.field, path.points[:, :4])
        across = np.asarray(chart.across) / self.width[2:]
        pairs = (form.left, chart.push), (form.null, chart.row), (self._normal(path.tangents), across)
        return np.all([np.abs(some @ np.asarray(fixed)) >= TURNED for some, fixed in pairs], axis=0)

    def _onward(self, chart: Unfolded, first: tuple[Path, End, int]) -> tuple[list[Path], str]:
        """The pieces of a curve in one direction, the first of them in this chart, and its end."""
        path, end, face = first
        pieces: list[Path] = []
        begin, width = path.points[0], self.high - self.low
        for _ in range(MAX_CHARTS):
            if len(path) == 1:
                return pieces, _word(end, face)
            good = self._good(chart, path)
            if end == End.BRANCH_POINT:  # where J may be 0, and no vector good
                good[-1] = True
            stop = len(path) if good.all() else int(np.argmin(good))
            if stop < 2:
                return pieces, UNRESOLVED
            whole, path = stop == len(path), path.part(0, stop - 1)
            length, apart = path.nearest(begin, width) if pieces else (0.0, np.inf)
            if apart <= MEETS:
                path = path.insert(length, begin)
                pieces.append(path.part(0, int(np.argmin(np.abs(path.length - length)))))
                return pieces, CLOSED
            pieces.append(path)
            if whole:
                return pieces, _word(end, face)
            point, tangent = path.points[-1], path.tangents[-1]
            chart = self.chart(point, tangent)
            followed = follow(chart, point, self.low, self.high, tolerance=CUBICS)
            if followed is None:
                return pieces, UNRESOLVED
            path, end, face = _from(followed, point, tangent, width)
        return pieces, UNRESOLVED


def in_sides(basis: np.ndarray, width: np.ndarray) -> np.ndarray:
    """By what vectors, the columns of (d, k), become as long as the sides of a box, (d,)."""
    return 1.0 / np.max(np.abs(basis) / width[:, None], axis=0)


def polished(function: Callable, point: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The zero of G: R^(n + 1) -> R^n nearest to a point, (n + 1,), close to it in the box [low, high]."""
    scaled = Scaled(function, *map(jnp.asarray, (low, high - low, TOLERANCE, CONVERGED)))
    x = (point - low) / (high - low)
    for _ in range(POLISH):
        value, rows = map(np.asarray, slope(scaled, jnp.asarray(x)))
        x = x - np.linalg.pinv(rows) @ value
    return low + (high - low) * x


def _word(end: End, face: int) -> str:
    if end == End.FACE:
        return (STATE_BORDER, BORDER, UNRESOLVED)[face // 2]
    return {End.CLOSED: CLOSED, End.BRANCH_POINT: BRANCH_POINT}.get(end, UNRESOLVED)


def _from(
    followed: Followed, point: np.ndarray, tangent: np.ndarray, width: np.ndarray
) -> tuple[Path, End, int]:
    """The part of a path that begins at its stored point nearest to the given one, in the given direction,
    how it ends, and on which face."""
    path, ends, faces = followed
    k = int(np.argmin(np.linalg.norm((path.points - point) / width, axis=1)))
    last = 1
    if (path.tangents[k] / width) @ (tangent / width) < 0.0:
        path, k, last = _reversed(path), len(path) - 1 - k, 0
    if path.closed:
        return path.part(k, k), End.CLOSED, -1
    rows = slice(k, None)
    tail = Path(path.points[rows], path.tangents[rows], path.length[rows] - path.length[k], False)
    return tail, ends[last], faces[last]


def _reversed(path: Path) -> Path:
    length = (path.length[-1] - path.length)[::-1]
    return Path(path.points[::-1], -path.tangents[::-1], length, path.closed)


def _joined(pieces: list[Path]) -> Path:
    """Pieces each of which begins where the last one ends, as one."""
    rows = [slice(int(k > 0), None) for k in range(len(pieces))]
    starts = np.cumsum([0.0, *(piece.length[-1] for piece in pieces[:-1])])
    return Path(
        np.concatenate([piece.points[some] for piece, some in zip(pieces, rows)]),
        np.concatenate([piece.tangents[some] for piece, some in zip(pieces, rows)]),
        np.concatenate([piece.length[some] + start for piece, some, start in zip(pieces, rows, starts)]),
        False,
    )
