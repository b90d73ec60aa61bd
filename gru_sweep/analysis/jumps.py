"""Jumps along a return map, and when to believe them.

A probe that has returned to its section with displacement d0 = P(s0) - s0 and slope m0 = P'(s0) starts again
further on than the loop has led, and so could pass over cycles. A jump is confirmed where displacement and
slope at its far end are what those at its near end foretell; a jump that ends otherwise is made shorter.
"""

from __future__ import annotations

import jax.numpy as jnp

from ..records import MAX_FIXED_POINTS
from .fixed_points import FixedPoints
from .neighbourhoods import Neighbourhoods
from .sections import Section

PLAIN = 0.5
"""How far a displacement may be from what slope and displacement at the other end of a jump foretell, in
units of the latter: a map that bends more than this may hide cycles on the way."""
JUMP = 1.1
"""A start further from the last one than this part of that loop's displacement has to be confirmed."""
EDGE = 1e-3
"""How far outside an ellipse a look at it is taken, in units of the distance from the last start."""


def taken(last: tuple, start, loops):
    """The way from the last start, `last` = (s0, d0, m0), to this one, and whether that is a jump."""
    s0, d0, _ = last
    gap = start - s0
    # no displacement has been seen yet where it is zero
    return gap, (loops > 0) & (d0 != 0.0) & (jnp.abs(gap) > JUMP * jnp.abs(d0))


def plain(s0, d0, m0, s1, d1, m1):
    """Whether the displacement d(s) = P(s) - s is as good as linear between s0 and s1.

    d0, d1 are its values at the ends and m0 - 1, m1 - 1 its slopes: the line through the first must meet the
    second within `PLAIN` |d0|, and the slopes must agree to twice that over the distance.
    """
    gap = s1 - s0
    near = jnp.abs(d0 + (m0 - 1.0) * gap - d1) <= PLAIN * jnp.abs(d0)
    return near & (jnp.abs((m1 - m0) * gap) <= 2.0 * PLAIN * jnp.abs(d0))


def edge(near: Neighbourhoods, slot, section: Section, fixed: FixedPoints, outside, inside):
    """A point of the section just outside the ellipse around the fixed point `slot`, between one `outside`
    it and one `inside`; NaN if there is none."""
    here = jnp.arange(MAX_FIXED_POINTS) == slot
    pick = lambda row: jnp.sum(jnp.where(here, row, 0.0))  # noqa: E731
    p11, p12, p22 = (pick(row) for row in near.shape)
    x, y = section.x - pick(fixed.point[:, 0]), section.y - pick(fixed.point[:, 1])
    nx, ny = section.nx, section.ny
    # e^T P e - size = a s^2 + 2 b s + c at e = (x - s ny, y + s nx)
    a = p11 * ny * ny - 2.0 * p12 * nx * ny + p22 * nx * nx
    b = -p11 * x * ny + p12 * (x * nx - y * ny) + p22 * y * nx
    c = p11 * x * x + 2.0 * p12 * x * y + p22 * y * y - pick(near.size)
    root = jnp.sqrt(jnp.maximum(b * b - a * c, 0.0)) * jnp.sign(outside - inside)
    s = (root - b) / jnp.where(a > 0.0, a, 1.0)
    s = s + EDGE * (outside - s)
    between = (s - inside) * (outside - s) > 0.0
    return jnp.where(between & (a > 0.0), s, jnp.nan)
