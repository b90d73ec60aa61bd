"""Planar fields with one parameter whose bifurcations are known in closed form.

All are of one module, so that one set of programs serves them all.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

TERMS = ("x1", "xp", "xx", "xpx", "xxx", "xxxx", "yy", "g0", "gp", "g1", "g2", "w0", "wp", "wy")


class Line(eqx.Module):
    """With q = x^2 + y^2, g = g0 + gp p + g1 q + g2 q^2 and w = w0 + wp p + wy y,

    x' = x1 + xp p + (xx + xpx p) x + xxx x^2 + xxxx x^3 + x g - y w,    y' = yy y + y g + x w.
    """

    terms: dict[str, Float[Array, ""]]

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 1"]) -> Float[Array, " 2"]:
        (x, y), p, c = h, p[0], self.terms
        q = x * x + y * y
        g = c["g0"] + c["gp"] * p + q * (c["g1"] + q * c["g2"])
        w = c["w0"] + c["wp"] * p + c["wy"] * y
        cubic = c["x1"] + c["xp"] * p + x * (c["xx"] + c["xpx"] * p + x * (c["xxx"] + x * c["xxxx"]))
        return jnp.stack([cubic + x * g - y * w, c["yy"] * y + y * g + x * w])


def line(**terms: float) -> Line:
    """The field with these terms, the others zero."""
    values: dict[str, Any] = {**dict.fromkeys(TERMS, 0.0), **terms}
    return Line({name: jnp.asarray(value) for name, value in values.items()})


P0 = 0.3125
"""Where most of them happen: a number of few bits."""

FOLD = line(x1=-P0, xp=1.0, xxx=-1.0, yy=-1.0)
"""x' = p - P0 - x^2, y' = -y: a sink and a saddle meet at 0."""
SECOND_KIND = line(x1=-P0, xp=1.0, xxx=-1.0, yy=1.0)
"""The same with y' = y: a source and a saddle."""
SUPERCRITICAL = line(g0=-P0, gp=1.0, g1=-2.0, w0=0.75)
"""r' = r (p - P0 - 2 r^2), theta' = 0.75."""
SUBCRITICAL = line(g0=-P0, gp=1.0, g1=3.0, g2=-1.0, w0=-0.75)
PITCHFORK = line(xx=-P0, xpx=1.0, xxxx=-1.0, yy=-1.0)
TRANSCRITICAL = line(xx=-P0, xpx=1.0, xxx=-1.0, yy=-1.0)
NEUTRAL_SADDLE = line(xx=1.0, xpx=1.0, xxxx=-1.0, yy=-1.0 - P0)
"""The trace at the saddle 0 is p - P0: no bifurcation."""
ON_CIRCLE = line(g0=1.0, g1=-1.0, wp=1.0, wy=-P0)
"""r' = r (1 - r^2), theta' = p - P0 r sin theta: two fixed points meet on the cycle at (0, 1), p = P0."""
CONSTANT = line(xx=-1.0, yy=-2.0)
