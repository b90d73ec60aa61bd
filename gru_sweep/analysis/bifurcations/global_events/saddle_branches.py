r"""The branches of a saddle near it, as power series, and the saddle along a parameter.

A branch is a curve W(s) = h + v s + w_2 s^2 + ... through the saddle h that the flow carries along itself at
the rate of its eigenvalue,

    f(W(s)) = lambda s W'(s)     so that     (k lambda - J) w_k = [f(W)]_k - J w_k,

whose right side needs w_2 ... w_{k-1} only (parametrisation method: Cabre, Fontich & de la Llave 2005,
J. Differential Equations 218). The saddle's other eigenvalue has the other sign, so that k lambda - J is
regular. All orders are computed at once from the series before; after k passes k + 1 orders are right.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ...arithmetic import Dual, evaluate, trace
from ...arithmetic.series import Series, Tape
from ...flow import horner
from ..extended import Field
from .batches import run

ORDER = 14
"""Order of the series of a branch."""
STRIDES = 12
"""Steps in the parameter in which a saddle is followed from where it is known."""
NEWTON_STEPS = 3
"""Newton steps after each of them, and once more at the end: from there on only rounding is left."""
SETTLED = 1e-10
"""Last Newton step, in units of the box, at which a saddle has been followed to its place."""
TIE = 1e-8
"""Relative difference of two lengths that another rounding of the Jacobian may turn."""
SWERVE = 0.5
"""Cosine of the angle by which an eigenvector may turn in one step of the parameter and be the same one."""


class Anchor(NamedTuple):
    """A saddle where it is known: the parameter, its place (2,), its unstable and stable direction (2, 2)."""

    value: Any
    place: Any
    vectors: Any


class Saddle(eqx.Module):
    """A saddle: its place, Jacobian, eigenvalues, and an eigenvector for each, of length 1.

    `ok` is false where it could not be followed.
    """

    point: tuple
    jacobian: tuple
    rates: tuple
    """Unstable, stable; 1/time."""
    directions: tuple
    ok: Bool[Array, ""]


def directions(jacobian: np.ndarray) -> np.ndarray:
    """Unit vectors (4, 2) along a saddle's branches, counterclockwise: unstable, stable, unstable, stable.

    Numbered as in `analysis.saddles`: the formula decides which unstable branch is the first.
    """
    (a, b), (c, d) = jacobian
    root = np.sqrt(0.25 * (a - d) ** 2 + b * c)
    unstable, stable = (_eigenvector(0.5 * (a + d) + sign * root, a, b, c, d, np) for sign in (1, -1))
    u, s = np.array(unstable), np.array(stable)
    if u[0] * s[1] - u[1] * s[0] < 0.0:
        s = -s
    return np.stack([u, s, -u, -s])


def tied(jacobian: np.ndarray) -> bool:
    """Whether rounding decides which unstable branch of a saddle is the first.

    Two formulas give an eigenvector, the longer one counts; of equal length they may differ in sign.
    """
    (a, b), (c, d) = jacobian
    value = 0.5 * (a + d) + np.sqrt(0.25 * (a - d) ** 2 + b * c)
    one, other = np.array([b, value - a]), np.array([value - d, c])
    lengths = np.hypot(*one), np.hypot(*other)
    return bool(one @ other < 0.0 and abs(lengths[0] - lengths[1]) <= TIE * max(lengths))


def _eigenvector(value, a, b, c, d, xp) -> tuple:
    first = xp.hypot(b, value - a) > xp.hypot(value - d, c)
    x, y = xp.where(first, b, value - d), xp.where(first, value - a, c)
    norm = xp.hypot(x, y)
    norm = xp.where(norm == 0.0, 1.0, norm)
    return x / norm, y / norm


def at(field: Field, p: Array):
    """The jaxpr of the planar field at one parameter p."""
    return trace(lambda h: field(h, jnp.reshape(p, (1,))), (2,), dtype=p.dtype)


def _newton(closed, point: tuple) -> tuple[tuple, tuple, Any]:
    """The point after one Newton step, the Jacobian before it, and the length of the step."""
    (out,) = evaluate(closed, Dual.seed(list(point)))
    zero = jnp.zeros_like(point[0])
    (a, b), (c, d) = jacobian = tuple(tuple(t + zero for t in o.tangent) for o in out)
    fx, fy = (o.value + zero for o in out)
    det = a * d - b * c
    safe = jnp.where(det == 0.0, 1.0, det)
    dx, dy = (d * fx - b * fy) / safe, (a * fy - c * fx) / safe
    return (point[0] - dx, point[1] - dy), jacobian, jnp.hypot(dx, dy)


def spectrum(jacobian: tuple) -> tuple[tuple, tuple]:
    """Eigenvalues of a saddle, the unstable one first, and eigenvectors."""
    (a, b), (c, d) = jacobian
    root = jnp.sqrt(jnp.maximum(0.25 * (a - d) ** 2 + b * c, 0.0))
    half = 0.5 * (a + d)
    larger = jnp.where(half < 0.0, half - root, half + root)
    smaller = (a * d - b * c) / jnp.where(larger == 0.0, 1.0, larger)  # without cancellation
    rates = (jnp.maximum(larger, smaller), jnp.minimum(larger, smaller))
    return rates, tuple(_eigenvector(rate, a, b, c, d, jnp) for rate in rates)


def follow(field: Field, known: Anchor, p: Array, size: Array) -> Saddle:
    """The saddle at p that is the one `known` at another parameter; `size` is that of the box.

    By Newton's method at parameters on the way, the eigenvectors keeping their sense.
    """
    start, place, vectors = known

    def stride(j, carry):
        point, vectors, ok = carry
        way = jnp.minimum((j + 1.0) / STRIDES, 1.0)
        closed = at(field, p * way + start * (1.0 - way))
        for _ in range(NEWTON_STEPS):
            point, jacobian, _ = _newton(closed, point)
        kept, alike = _kept(vectors, spectrum(jacobian)[1])
        return point, kept, ok & alike

    first = (place[0], place[1]), tuple((v[0], v[1]) for v in vectors), jnp.asarray(True)
    point, tracked, ok = jax.lax.fori_loop(0, STRIDES + 1, stride, first)
    point, jacobian, step = _newton(at(field, p), point)
    rates, found = spectrum(jacobian)
    (a, b), (c, d) = jacobian
    ok &= (a * d - b * c < 0.0) & (step < SETTLED * size)
    return Saddle(point, jacobian, rates, _kept(tracked, found)[0], ok)


def _kept(old: tuple, new: tuple) -> tuple[tuple, Any]:
    """The new eigenvectors with the sense of the old ones, and whether each is clearly the same."""
    along = [u[0] * v[0] + u[1] * v[1] for u, v in zip(old, new)]
    signs = [jnp.where(cosine < 0.0, -1.0, 1.0) for cosine in along]
    alike = (jnp.abs(along[0]) > SWERVE) & (jnp.abs(along[1]) > SWERVE)
    return tuple((sign * x, sign * y) for sign, (x, y) in zip(signs, new)), alike


def settled(field: Field, value: float, places: np.ndarray, size: float) -> Saddle:
    """The fixed points near n `places` (n, 2) at one parameter, saddles or not, with their Jacobians.

    `ok` says nothing here: no eigenvectors are known yet.
    """
    n = len(places)
    known = Anchor(np.full(n, value), np.asarray(places, np.float64), np.broadcast_to(np.eye(2), (n, 2, 2)))
    return run(follow, (0, 0, None), field, known, np.full(n, value), np.float64(size))


class Branch(eqx.Module):
    """W(s), a polynomial for each unit, and the `reach`: the s up to which it is trusted."""

    x: Float[Array, " k"]
    y: Float[Array, " k"]
    reach: Float[Array, ""]

    def point(self, s) -> tuple:
        """W(s)."""
        return horner(list(self.x), s), horner(list(self.y), s)


def branch(closed, saddle: Saddle, rate, direction: tuple, tolerance, longest) -> Branch:
    """The branch of a saddle that leaves it in a direction, an eigenvector of `rate`.

    Its `reach` is where the last two terms fall below `tolerance` s, `longest` at most.
    """
    (a, b), (c, d) = saddle.jacobian
    zeros = [jnp.zeros_like(rate)] * (ORDER - 1)
    x, y = (jnp.stack([h, v, *zeros]) for h, v in zip(saddle.point, direction))

    def improved(_, w):
        out = substituted(closed, w)
        new = [list(row[:2]) for row in w]
        for k in range(2, ORDER + 1):
            fx, fy = out[0][k], out[1][k]
            rx, ry = fx - a * w[0][k] - b * w[1][k], fy - c * w[0][k] - d * w[1][k]
            ka, kd = k * rate - a, k * rate - d
            det = ka * kd - b * c
            new[0].append((kd * rx + b * ry) / det)
            new[1].append((c * rx + ka * ry) / det)
        return jnp.stack(new[0]), jnp.stack(new[1])

    x, y = jax.lax.fori_loop(0, ORDER - 1, improved, (x, y))
    return Branch(x, y, trusted(x, y, tolerance, longest))


def substituted(closed, w) -> list[list]:
    """The series of f along two polynomials of `ORDER`, (2, ORDER + 1)."""
    tape = Tape()
    variables = [tape.variable(row[0]) for row in w]
    (out,) = evaluate(closed, variables)
    for k in range(ORDER + 1):
        tape.extend(k)
        if k < ORDER:
            for variable, row in zip(variables, w):
                variable.coefficients.append(row[k + 1])
    zero = jnp.zeros_like(w[0][0])
    return [o.coefficients if isinstance(o, Series) else [zero] * (ORDER + 1) for o in out]


def trusted(x, y, tolerance, longest):
    """The s up to which the last two terms of a branch are below `tolerance` s, `longest` at most."""
    reach = longest
    for k in (ORDER - 1, ORDER):
        size = jnp.maximum(jnp.abs(x[k]), jnp.abs(y[k]))
        size = jnp.maximum(size, jnp.finfo(size.dtype).tiny)
        reach = jnp.minimum(reach, jnp.exp2((jnp.log2(tolerance) - jnp.log2(size)) / (k - 1)))
    return reach
