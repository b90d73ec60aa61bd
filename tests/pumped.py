r"""Planar fields whose limit cycles are level sets, so that whole portraits are known beforehand.

With the energy H = sum_i a_i h_i^2/2 + b_i h_i^4/4 and J = [[0, 1], [-1, 0]],

    h' = rate (turning J grad H - p(H) grad H) + (0, friction (1 - x^2) y),

dH/dt = -rate p(H) |grad H|^2 without friction: fixed points are those of H, and where p has a simple root c
every closed piece of H = c is a cycle, stable if p increases there and H does outwards. A level through
saddles is a saddle connection. Everything is a number of one program.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gru_sweep.analysis.fixed_points import FixedPoints
from gru_sweep.analysis.portrait import PhasePortrait, phase_portrait


class Pumped(eqx.Module):
    """The field above; `pump` has the coefficients of p from the constant up."""

    quadratic: Float[Array, " 2"]
    quartic: Float[Array, " 2"]
    pump: Float[Array, " 4"]
    turning: Float[Array, ""]
    friction: Float[Array, ""]
    rate: Float[Array, ""]

    def __call__(self, h: Float[Array, " 2"]) -> Float[Array, " 2"]:
        x, y = h
        xx, yy = x * x, y * y
        a, b = self.quadratic, self.quartic
        energy = 0.5 * (a[0] * xx + a[1] * yy) + 0.25 * (b[0] * xx * xx + b[1] * yy * yy)
        down, up = x * (a[0] + b[0] * xx), y * (a[1] + b[1] * yy)
        p = self.pump[0] + energy * (self.pump[1] + energy * (self.pump[2] + energy * self.pump[3]))
        vx, vy = self.turning * up - p * down, -self.turning * down - p * up
        return jnp.stack([self.rate * vx, self.rate * vy + self.friction * (1.0 - xx) * y])


def pumped(
    quadratic: Sequence[float],
    quartic: Sequence[float],
    levels: Sequence[float],
    turning: float = 1.0,
    strength: float = 1.0,
    friction: float = 0.0,
    rate: float = 1.0,
) -> Pumped:
    """The field with p(H) = strength prod_i (H - levels_i)."""
    p = strength * np.polynomial.Polynomial.fromroots(levels).coef if levels else np.array([strength])
    numbers = (quadratic, quartic, np.pad(p, (0, 4 - len(p))), turning, friction, rate)
    return Pumped(*(jnp.asarray(value, jnp.result_type(float)) for value in numbers))


def circles(*radii: float, turning: float = 1.0, rate: float = 1.0, strength: float = 1.0) -> Pumped:
    """H = r^2/2: r' = -strength r prod_i (r^2 - radii_i^2)/2, theta' = -turning, all times `rate`."""
    return pumped((1, 1), (0, 0), [r * r / 2 for r in radii], turning, strength, rate=rate)


def wells(*levels: float, **options: float) -> Pumped:
    """H = x^4/4 - x^2/2 + y^2/2: minima H = -1/4 at (+-1, 0), a saddle H = 0 between them."""
    return pumped((-1, 1), (1, 0), levels, **options)


def quartet(*levels: float, **options: float) -> Pumped:
    """H = sum of h_i^4/4 - h_i^2/2: minima H = -1/2 at (+-1, +-1), saddles H = -1/4, a maximum H = 0."""
    return pumped((-1, -1), (1, 1), levels, **options)


Corner = tuple[float, float]
DISC, WELL, SQUARE, WIDE = (2.0, 2.0), (1.9, 3.0), (3.0, 3.0), (4.0, 6.0)
"""Upper corners of boxes that the flow enters, so clearly that intervals over whole edges show it."""

CASES: dict[str, tuple[Pumped, Corner, str]] = {
    "a sink": (circles(turning=0.5), DISC, "sink"),
    "Stuart-Landau": (circles(1.0), DISC, "cycle+(source)"),
    "two annuli": (circles(0.6, 1.2, strength=4.0), DISC, "cycle+(ucycle+(sink))"),
    "three annuli": (circles(0.4, 0.9, 1.4, strength=8.0), DISC, "cycle+(ucycle+(cycle+(source)))"),
    "two bistable units": (quartet(turning=0.0), SQUARE, "4sink,source,4saddle[ab,ad,bc,cd;adcb]"),
    "double well": (wells(-0.3), WELL, "2sink,saddle[a,a]"),
    "a cycle in each well": (wells(-0.1), WELL, "2cycle+(source),saddle[a,a]"),
    "a cycle around a saddle": (wells(0.3), WELL, "cycle+(2source,saddle[a,a])"),
    "a cycle around nine, one within": (
        quartet(-0.1),
        SQUARE,
        "cycle+(cycle-(source),4source,4saddle[adcb;ab,ad,bc,cd])",
    ),
    "four cycles": (quartet(-0.3), SQUARE, "4cycle+(source),source,4saddle[ab,ad,bc,cd;adcb]"),
    "van der Pol, confined": (
        pumped((1, 1), (0, 0), (0, 0, 0), strength=0.004, friction=1.0),
        WIDE,
        "cycle+(source)",
    ),
}
"""Fields, boxes and labels."""

CONNECTED: dict[str, tuple[Pumped, Corner]] = {
    "along an axis": (pumped((-1, -0.5), (1, 1), (), turning=0.0, friction=-1.0), (1.5, 2.0)),
    "figure of eight": (wells(0.0), WELL),
    "ring of four": (quartet(-0.25), SQUARE),
}
"""Saddle connections, exactly: an invariant axis with x' = x - x^3, y' = y (x^2 - 1/2 - y^2), and levels of
H, whose saddles are neutral and whose cycles nearby are as long as one likes."""


@functools.cache
def solved(name: str) -> PhasePortrait:
    """The portrait of a case."""
    field, corner, *_ = CONNECTED[name] if name in CONNECTED else CASES[name]
    return phase_portrait(field, -np.array(corner), np.array(corner))


def some_points(**known: Array) -> FixedPoints:
    """Sixteen fixed points, zero in everything but what is `known`."""
    blank = {
        "count": jnp.asarray(16),
        "point": jnp.zeros((16, 2)),
        "jacobian": jnp.zeros((16, 2, 2)),
        "eigenvalue": jnp.zeros((16, 2, 2)),
        "kind": jnp.zeros(16, jnp.int32),
        "error": jnp.zeros(16),
        "trapping": jnp.asarray(False),
        "divergence": jnp.zeros(2),
        "undecided": jnp.asarray(0),
        "boxes": jnp.asarray(0),
    }
    return FixedPoints(**blank | known)
