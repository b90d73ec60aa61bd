r"""Branch points: pitchforks and transcritical bifurcations, which symmetry or an invariant point makes.

Where det J = 0 and the left null vector w of J has w.f_p = 0, two branches of fixed points cross, and
(f, det J) has a singular zero. With an unfolding b along a direction e outside the range of J the system

    (f(h, p) + b e, det J(h, p), w.f_p)

has a regular one (Kuznetsov 2004, sec. 10.2.2), which interval Newton encloses. b = 0 there cannot be proven,
only that it is 0 within the enclosure: a field that close to the given one has the branch point. It is a
pitchfork where the quadratic coefficient along the null vector is 0, else transcritical.
"""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..any_dimension import zeros
from ..compiled import compiled
from .extended import Field, rate_and_jacobian
from .normal_forms import fold_form

REACH = 4.0
"""How much larger than a cluster the box around it is in which its branch point is looked for."""
LEAST = 1e-6
"""Half the width of that box at the least: wide enough for Krawczyk's test to contract."""
FLAT = 1e-6
"""Quadratic coefficient, in units of the second derivatives, below which it is taken for 0."""


@dataclasses.dataclass(frozen=True)
class BranchPoint:
    """State (2,), parameter, the bound on both, and `pitchfork` or `transcritical`."""

    state: np.ndarray
    value: float
    error: float
    kind: str


class _Unfolded(eqx.Module):
    field: Field
    unfolding: Float[Array, " 2"]
    row: Float[Array, " 2"]

    def __call__(self, u: Float[Array, " 4"]) -> Float[Array, " 4"]:
        h, p, b = u[:2], u[2:3], u[3]
        rate, ((a, b12), (c, d)) = rate_and_jacobian(self.field, h, p)
        _, slope = jax.jvp(lambda q: self.field(h, q), (p,), (jnp.ones_like(p),))
        # the rows of the adjugate are left null vectors where det J = 0
        first, second = self.row[0], self.row[1]
        w1, w2 = first * d - second * c, second * a - first * b12
        f1, f2 = (rate[i] + b * self.unfolding[i] for i in range(2))
        return jnp.stack([f1, f2, a * d - b12 * c, w1 * slope[0] + w2 * slope[1]])


@compiled
def _around(field: Field, u: Array) -> tuple[Array, Array]:
    _, rows = rate_and_jacobian(field, u[:2], u[2:3])
    form = fold_form(lambda h: field(h, u[2:3]), u[:2])
    second = jax.hessian(lambda h: field(h, u[2:3]))(u[:2])
    return jnp.stack([jnp.stack(row) for row in rows]), form.bend / jnp.maximum(jnp.max(jnp.abs(second)), 1.0)


def branch_point(field: Field, low: np.ndarray, high: np.ndarray) -> BranchPoint | None:
    """The one in the box [low, high] of (h, p), (3,) each; None where there is none, or several."""
    middle = 0.5 * (low + high)
    jacobian, _ = map(np.asarray, _around(field, jnp.asarray(middle)))
    left, _, _ = np.linalg.svd(jacobian)
    (a, b), (c, d) = jacobian
    first = np.hypot(d, b) >= np.hypot(c, a)
    row = np.array([1.0, 0.0]) if first else np.array([0.0, 1.0])
    if not np.abs(jacobian).max() > 0.0:
        return None
    half = np.append(np.maximum(REACH * 0.5 * (high - low), LEAST), LEAST)
    centre = np.append(middle, 0.0)
    system = _Unfolded(field, jnp.asarray(left[:, 1]), jnp.asarray(row))
    found = zeros(system, centre - half, centre + half, max_boxes=4096)
    if not found.complete or len(found.point) != 1 or len(found.clusters):
        return None
    u, error = found.point[0], float(found.error[0])
    if abs(u[3]) > error:
        return None
    _, bend = _around(field, jnp.asarray(u[:3]))
    return BranchPoint(u[:2], float(u[2]), error, "pitchfork" if abs(float(bend)) < FLAT else "transcritical")
