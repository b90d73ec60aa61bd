r"""Points of codimension two on the curves of a planar field, located on systems of their own.

In the unknowns u = (h, p), two states and two parameters, with J = df/dh, these are regular zeros of

    (f, det J, tr J)                          Bogdanov-Takens (`Extended`);
    (f, det J, grad_h(det J) . adj(J) e)      cusps: adj(J) e is a null vector of J, unless e is in J's range;
    (f, tr J, focal value)                    Bautin points (generalised Hopf): l1 = 0.

Each is found by Newton's method from a guess on the curve, and then enclosed by Krawczyk's test: the box
holds exactly one zero. Where that fails `error` is an estimate, and `proven` says so.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...any_dimension import enclosures
from ...arithmetic import Interval, UnsupportedPrimitive
from ...compiled import compiled
from .. import normal_forms
from ..extended import DETERMINANT, TRACE, Extended, rate_and_jacobian

CUSP, BOGDANOV_TAKENS, BAUTIN = "cusp", "bogdanov-takens", "bautin"
NEWTON_STEPS = 12
"""Newton's steps; from a guess on the curve a regular point takes four."""
BOXES, BEGIN, WIDER = 4, 16.0, 64.0
"""Boxes tried for a proof: the first is this many times as wide as the estimated error, and each this many
times as wide as the last; a regular zero needs one or two."""
ROUNDING = 64.0
"""Estimated rounding of a defining system, in units of eps: that of some dozens of operations."""


@dataclasses.dataclass(frozen=True)
class SpecialPoint:
    """A point of codimension two.

    - `kind`: cusp, bogdanov-takens or bautin. `point`: (h, p), (4,), each coordinate within `error`.
    - `proven`: whether that is a proof (interval Newton), of one zero of the defining system.
    - `length`: where it lies on the curve. `details`: its normal form coefficients.
    """

    kind: str
    point: np.ndarray
    error: float
    proven: bool
    length: float = 0.0
    details: dict[str, float] = dataclasses.field(default_factory=dict)


class Cusp(eqx.Module):
    """(h, p) -> (f, det J, grad_h(det J) . adj(J) e), `left` being e: a left null vector serves best."""

    field: Any
    left: Float[Array, " 2"]

    def __call__(self, u: Float[Array, " 4"]) -> Float[Array, " 4"]:
        h, p = u[:2], u[2:]

        def determinant(h):
            _, ((a, b), (c, d)) = rate_and_jacobian(self.field, h, p)
            return a * d - b * c

        rate, ((a, b), (c, d)) = rate_and_jacobian(self.field, h, p)
        e1, e2 = self.left[0], self.left[1]
        null = jnp.stack([d * e1 - b * e2, a * e2 - c * e1])
        value, bend = jax.jvp(determinant, (h,), (null,))
        return jnp.stack([rate[0], rate[1], value, bend])


class Bautin(eqx.Module):
    """(h, p) -> (f, tr J, focal value)."""

    field: Any

    def __call__(self, u: Float[Array, " 4"]) -> Float[Array, " 4"]:
        h, p = u[:2], u[2:]
        rate, ((a, _), (_, d)) = rate_and_jacobian(self.field, h, p)
        focal = normal_forms.focal_value(lambda x: self.field(x, p), h)
        return jnp.stack([rate[0], rate[1], a + d, focal])


def locate(field: Any, kind: str, guess: np.ndarray, width: np.ndarray) -> SpecialPoint | None:
    """The point of this kind that Newton's method finds from `guess`, (4,); None where it finds none.

    `width`, (4,), of the state box and the rectangle, sets the scale of boxes and errors.
    """
    system = _system(field, kind, jnp.asarray(guess))
    started = _newton(system, np.asarray(guess), width)
    if started is None:
        return None
    found, error, proven = _enclosed(system, *started, width)
    details = dict(zip(_NAMES[kind], map(float, _coefficients(field, kind, jnp.asarray(found)))))
    return SpecialPoint(kind, found, error, proven, details=details)


def _system(field: Any, kind: str, guess: Array) -> Any:
    if kind == BOGDANOV_TAKENS:
        return Extended(field, (DETERMINANT, TRACE))
    if kind == BAUTIN:
        return Bautin(field)
    return Cusp(field, _left(field, guess))


@compiled
def _left(field: Any, u: Float[Array, " 4"]) -> Float[Array, " 2"]:
    return normal_forms.fold_form(lambda h: field(h, u[2:]), u[:2]).left


_NAMES = {
    CUSP: ("cusp_coefficient",),
    BOGDANOV_TAKENS: ("quadratic_coefficient", "mixed_coefficient"),
    BAUTIN: ("frequency",),
}


@compiled
def _coefficients(field: Any, kind: str, u: Float[Array, " 4"]) -> tuple[Array, ...]:
    """Of a cusp c, of a Bogdanov-Takens point a and b (`normal_forms`), of a Bautin point the frequency."""
    here = lambda h: field(h, u[2:])  # noqa: E731
    if kind == CUSP:
        return (normal_forms.cusp_coefficient(here, u[:2]),)
    if kind == BOGDANOV_TAKENS:
        return normal_forms.bogdanov_takens_coefficients(here, u[:2])
    return (jnp.sqrt(jnp.linalg.det(normal_forms.first(here, u[:2]))) / (2.0 * jnp.pi),)


def _newton(system: Any, guess: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Where Newton's method ends and an estimate of the error there; None where it does not converge.

    This and the proof are evaluated operation by operation: programs of this size take longer to compile than
    to run a few times.
    """
    eps, u = float(np.finfo(guess.dtype).eps), guess
    for _ in range(NEWTON_STEPS):
        # a column at a time: of scalars alone, few operations are different
        pairs = [jax.jvp(system, (jnp.asarray(u),), (jnp.asarray(unit),)) for unit in np.eye(len(u))]
        value, slope = np.asarray(pairs[0][0]), np.stack([np.asarray(column) for _, column in pairs], axis=1)
        if not (np.isfinite(slope).all() and np.linalg.cond(slope) < 1.0 / eps):
            return None
        step = np.linalg.solve(slope, value)
        u = u - step
        last = float(np.max(np.abs(step) / width))
        if last <= eps**0.75:
            # what rounding of every equation, in units of its own size, moves the zero by
            terms = ROUNDING * eps * np.abs(slope) @ (np.abs(u) + width)
            return u, float(np.max(np.abs(np.linalg.inv(slope)) @ terms) + last * np.max(width))
    return None


def _enclosed(
    system: Any, point: np.ndarray, error: float, width: np.ndarray
) -> tuple[np.ndarray, float, bool]:
    """The point and its error with a proof, or as they are: boxes around it are tried until one is proven."""
    radius = BEGIN * (error + float(np.finfo(point.dtype).eps) * width)
    for _ in range(BOXES):
        lo, hi = jnp.asarray(point - radius), jnp.asarray(point + radius)
        try:
            slope = enclosures.value_and_jacobian(system, lo, hi)[1]
        except UnsupportedPrimitive:
            return point, error, False
        at = enclosures.value(system, jnp.asarray(point), jnp.asarray(point))
        inverse = jnp.linalg.inv(slope.middle)
        left = Interval.exact(jnp.eye(len(point), dtype=lo.dtype)) - enclosures.product(inverse, slope)
        about = Interval(lo, hi) - jnp.asarray(point)
        shift = enclosures.product(left, about) - enclosures.product(inverse, at)
        image = shift + jnp.asarray(point)
        if bool(jnp.all((image.lo > lo) & (image.hi < hi))):
            middle = np.asarray(0.5 * (image.lo + image.hi))
            return middle, float(np.max(np.maximum(image.hi - middle, middle - image.lo))), True
        radius = radius * WIDER
    return point, error, False
