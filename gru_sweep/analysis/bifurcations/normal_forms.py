r"""Normal form coefficients of a planar field f(h) at a bifurcating fixed point, and what tells one kind from
the next along a curve.

With A = df/dh, B(u, v) and C(u, v, w) the second and third derivatives along the given directions:

**Hopf** (tr A = 0 < det A = omega^2). Let A = [[a, b], [c, -a]]. The columns t1 = (b, -a), t2 = (0, -omega)
of T satisfy A t1 = omega t2 and A t2 = -omega t1, so that y = T^-1 h turns with angular velocity omega. In
these coordinates, of f = T^-1 f(T y), subscripts being derivatives and superscripts components,

    16 k = f1_111 + f1_122 + f2_112 + f2_222
           + (f1_12 (f1_11 + f1_22) - f2_12 (f2_11 + f2_22) - f1_11 f2_11 + f1_22 f2_22) / omega,

and the radius obeys r' = k r^3 + ... (Guckenheimer & Holmes 1983, eq 3.4.11). Of omega only even powers are
left if t2 is taken without it: k is rational in the derivatives of f, hence `focal_value` has no root. The
*first Lyapunov coefficient* is l1 = 4 k / (omega (b^2 + a^2 + omega^2)): that of Kuznetsov (2004, eq 3.20)
with a critical eigenvector of unit length. l1 < 0: supercritical, a stable cycle is born. Its size depends on
the length of the eigenvector, hence on the coordinates of the state, and is per square of its unit. Its sign
depends on neither, and l1 does not change where f is multiplied by a positive number.

**Fold** (det A = 0). With A q = 0, A^T p = 0, |q| = 1, p.q = 1: x' = a x^2 + ... along q, a = p.B(q, q) / 2.
Where a = 0 the fold is a cusp, x' = c x^3 + ..., c = p.(C(q, q, q) - 3 B(q, v)) / 6, v being the solution of
A v = B(q, q) with p.v = 0 (Kuznetsov 2004, sec 8.7).

**Bogdanov-Takens** (det A = tr A = 0 != A). With A q0 = 0, A q1 = q0, A^T p1 = 0, A^T p0 = p1, and p0.q0 =
p1.q1 = 1, p0.q1 = 0: y1' = y2, y2' = a y1^2 + b y1 y2 + ..., a = p1.B(q0, q0) / 2 and b = p0.B(q0, q0) +
p1.B(q0, q1) (Kuznetsov 2004, sec 8.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

State = Callable[[Float[Array, " 2"]], Float[Array, " 2"]]
"""f(h): rate of a planar state, its parameters given."""
Vector = Float[Array, " 2"]


class FoldForm(NamedTuple):
    """`null` q and `left` p, of unit length and any sign; `bend` = p.B(q, q) / 2; `angle` = p.q; `trace`.

    a = bend / angle: a cusp has bend 0, a Bogdanov-Takens point angle 0 and trace 0.
    """

    null: Vector
    left: Vector
    bend: Array
    angle: Array
    trace: Array


def first(field: State, h: Vector) -> Float[Array, "2 2"]:
    """A = df/dh, by operations that intervals know."""
    columns = [jax.jvp(field, (h,), (jnp.asarray(unit, h.dtype),))[1] for unit in ((1.0, 0.0), (0.0, 1.0))]
    return jnp.stack(columns, axis=1)


def second(field: State, h: Vector, u: Vector, v: Vector) -> Vector:
    """B(u, v)."""
    along = lambda x: jax.jvp(field, (x,), (u,))[1]  # noqa: E731
    return jax.jvp(along, (h,), (v,))[1]


def third(field: State, h: Vector, u: Vector, v: Vector, w: Vector) -> Vector:
    """C(u, v, w)."""
    along = lambda x: second(field, x, u, v)  # noqa: E731
    return jax.jvp(along, (h,), (w,))[1]


def focal_value(field: State, h: Vector) -> Array:
    """16 k det A: smooth wherever b is not 0, with the sign of l1 on a Hopf curve."""
    matrix = first(field, h)
    a, b, c, d = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    det = a * d - b * c
    t1 = jnp.stack([b, -a])
    t2 = jnp.stack([jnp.zeros_like(b), -jnp.ones_like(b)])
    # the rows of T^-1, likewise without omega
    row1 = lambda v: v[0] / b  # noqa: E731
    row2 = lambda v: -(a * v[0] / b + v[1])  # noqa: E731
    f11, f12, f22 = second(field, h, t1, t1), second(field, h, t1, t2), second(field, h, t2, t2)
    f111, f112 = third(field, h, t1, t1, t1), third(field, h, t1, t1, t2)
    f122, f222 = third(field, h, t1, t2, t2), third(field, h, t2, t2, t2)
    cubic = row1(f111) + det * row1(f122) + row2(f112) + det * row2(f222)
    quadratic = (
        det * row1(f12) * (row1(f11) + det * row1(f22))
        - row2(f12) * (row2(f11) + det * row2(f22))
        - row1(f11) * row2(f11)
        + det * det * row1(f22) * row2(f22)
    )
    return det * cubic + quadratic


def first_lyapunov_coefficient(field: State, h: Vector) -> Array:
    """l1 at a Hopf point, per squared unit of the state; negative: supercritical. NaN where det A <= 0."""
    ((a, b), (c, d)) = first(field, h)
    det = a * d - b * c
    squared = jnp.where(det > 0.0, det, jnp.nan)
    k = focal_value(field, h) / (16.0 * squared)
    return 4.0 * k / (jnp.sqrt(squared) * (a * a + b * b + squared))


def fold_form(field: State, h: Vector) -> FoldForm:
    """The quadratic normal form at a point with an eigenvalue 0; NaN where A = 0."""
    matrix = first(field, h)
    null, left = _kernel(matrix), _kernel(matrix.T)
    bend = 0.5 * left @ second(field, h, null, null)
    return FoldForm(null, left, bend, left @ null, jnp.trace(matrix))


def cusp_coefficient(field: State, h: Vector) -> Array:
    """c at a cusp, in the scale of a unit null vector; stable from afar where negative and tr A < 0."""
    matrix = first(field, h)
    null, left = _kernel(matrix), _kernel(matrix.T)
    left = left / (left @ null)
    bent = second(field, h, null, null)
    # the other eigenvalue is the trace: A v = bent - (p.bent) q has the solution below
    v = (bent - (left @ bent) * null) / jnp.trace(matrix)
    return left @ (third(field, h, null, null, null) - 3.0 * second(field, h, null, v)) / 6.0


def bogdanov_takens_coefficients(field: State, h: Vector) -> tuple[Array, Array]:
    """(a, b) at a Bogdanov-Takens point, in the scale of |q0| = 1; both non-zero where it is generic."""
    matrix = first(field, h)
    q0 = _kernel(matrix)
    across = jnp.stack([-q0[1], q0[0]])
    image = matrix @ across  # a multiple of q0, as A^2 = 0
    q1 = across / (q0 @ image)
    p0, p1 = q0, across * (q0 @ image)
    bent = second(field, h, q0, q0)
    return 0.5 * p1 @ bent, p0 @ bent + p1 @ second(field, h, q0, q1)


def _kernel(matrix: Float[Array, "2 2"]) -> Vector:
    """The unit vector that a singular matrix takes to 0: across its longer row."""
    size = jnp.sum(matrix * matrix, axis=1)
    row = jnp.where(size[0] >= size[1], matrix[0], matrix[1])
    return jnp.stack([-row[1], row[0]]) / jnp.sqrt(row @ row)
