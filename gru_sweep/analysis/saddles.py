"""The four branches of a saddle, counterclockwise: unstable, stable, unstable, stable."""

from __future__ import annotations

import jax.numpy as jnp

from ..records import MAX_FIXED_POINTS
from .fixed_points import FixedPoints

BRANCHES = 4 * MAX_FIXED_POINTS
"""Branch b of the saddle in slot i has the number 4 i + b."""


def branch_start(fixed: FixedPoints, slot, branch, offset: float):
    """Start of a branch of a saddle, and whether it is followed forwards."""
    here = jnp.arange(MAX_FIXED_POINTS) == slot
    pick = lambda row: jnp.sum(jnp.where(here, row, 0.0))  # noqa: E731
    x, y = pick(fixed.point[:, 0]), pick(fixed.point[:, 1])
    a, b, c, d = (pick(fixed.jacobian[:, i, j]) for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    directions = []
    for k in range(2):
        value = pick(fixed.eigenvalue[:, k, 0])
        first = jnp.hypot(b, value - a) > jnp.hypot(value - d, c)
        vx, vy = jnp.where(first, b, value - d), jnp.where(first, value - a, c)
        norm = jnp.hypot(vx, vy)
        norm = jnp.where(norm == 0.0, 1.0, norm)
        directions.append((vx / norm, vy / norm))
    (ux, uy), (sx, sy) = directions
    turn = jnp.where(ux * sy - uy * sx < 0.0, -1.0, 1.0)
    vx, vy = jnp.where(branch % 2 == 0, ux, turn * sx), jnp.where(branch % 2 == 0, uy, turn * sy)
    others = jnp.where(here, jnp.inf, jnp.hypot(fixed.point[:, 0] - x, fixed.point[:, 1] - y))
    nearest = jnp.min(jnp.where(jnp.isnan(others), jnp.inf, others))
    way = jnp.minimum(offset, 0.01 * nearest) * jnp.where(branch < 2, 1.0, -1.0)
    return (x + way * vx, y + way * vy), branch % 2 == 0
