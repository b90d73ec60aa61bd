r"""Where the nullcline of a unit of a planar cell changes its shape with the unit's bias.

f_i = 0 is the level set of height b_i of beta(h) = artanh(h_i) - A(h), A = U_i (r o h): the curve crosses
itself where beta has a saddle, and an O begins where it has an extremum.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import gru_sweep as gs
from gru_sweep.analysis.any_dimension import zeros

REGULAR = 1e-9
"""Critical points are known to this, or not counted as proven."""


class Height(eqx.Module):
    """h -> (1 - (1 - h_i^2) dA/dh_i, dA/dh_j), A = U_i (r o h): zero where grad beta is, (2,)."""

    cell: gs.GRU
    own: jax.Array

    def __call__(self, h: jax.Array) -> jax.Array:
        def sum_of_inputs(state):
            reset = jax.nn.sigmoid(self.cell.U_r @ state + self.cell.b_r)
            return jnp.sum((self.own @ self.cell.U_h) * (reset * state))

        _, along = jax.jvp(sum_of_inputs, (h,), (self.own,))
        _, across = jax.jvp(sum_of_inputs, (h,), (1.0 - self.own,))
        x = jnp.sum(self.own * h)
        return jnp.stack([1.0 - (1.0 - x * x) * along, across])


@eqx.filter_jit
def _beta(cell: gs.GRU, own: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
    """beta and the determinant of its Hessian at h."""

    def beta(state):
        inputs = (own @ cell.U_h) @ (jax.nn.sigmoid(cell.U_r @ state + cell.b_r) * state)
        return jnp.arctanh(own @ state) - inputs

    return beta(h), jnp.linalg.det(jax.hessian(beta)(h))


def critical(cell: gs.GRU, unit: int) -> tuple[list[dict], int]:
    """Every bias at which the nullcline of a unit crosses itself or an O of it begins, each proven; and the
    number of places where there may be more."""
    own = jnp.asarray(np.eye(2)[unit])
    found = zeros(Height(cell, own), [-1.0, -1.0], [1.0, 1.0])
    rows = []
    for point, error in zip(found.point, found.error):
        if error > REGULAR:
            continue
        height, curvature = _beta(cell, own, jnp.asarray(point))
        kind = "crossing" if curvature < 0 else "O begins"
        rows.append({"kind": kind, "h": point.tolist(), "error": float(error), "b_h": float(height)})
    open_ = len(found.clusters) + len(found.point) - len(rows) + (not found.complete)
    return sorted(rows, key=lambda row: row["b_h"]), open_


def crosses_near(cell: gs.GRU, unit: int, place: tuple[float, float], radius: float) -> bool:
    """Whether the nullcline, for some bias, crosses itself this close to (h_i, h_j) = `place`: proven."""
    own = jnp.asarray(np.eye(2)[unit])
    middle = np.array(place if unit == 0 else place[::-1])
    low, high = np.maximum(middle - radius, -1.0), np.minimum(middle + radius, 1.0)
    found = zeros(Height(cell, own), low, high).point
    return any(float(_beta(cell, own, jnp.asarray(point))[1]) < 0.0 for point in found)
