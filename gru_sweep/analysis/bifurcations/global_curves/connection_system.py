r"""Connections of saddles as regular zeros: saddles, directions and parameters as unknowns.

With v(t) = (cos t, sin t), J = df/dh and the gap of `melnikov`, a heteroclinic orbit of dh/dt = f(h, p) from
the saddle h along v(t) to the saddle k along v(s) is a zero of

    (f(h), f(k), v(t) ^ J(h) v(t), v(s) ^ J(k) v(s), gap)          in u = (h, t, k, s, p),

and a homoclinic one, with J(h) = [[a, b], [c, d]], of

    (f(h), h - k, (c - b) + cos(t - s) ((c + b) cos(t + s) + (d - a) sin(t + s)),
                  (d - a) cos(t + s) - (b + c) sin(t + s), gap),

whose equations for the angles are the sum of those above, and their difference divided by sin(t - s): so they
are regular where both directions meet (Bogdanov-Takens points). Both are seven equations in eight unknowns,
whose zeros are curves. The gap depends on the angles through the sense of the eigenvectors only.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..extended import rate_and_jacobian
from ..global_events.crossings import Box
from ..global_events.saddle_branches import Saddle, spectrum
from .melnikov import gap

ALIKE = 0.5
"""Cosine of the angle between a direction and its eigenvector above which one stands for the other."""
LEAST = 1e-4
"""Ratio of a saddle's eigenvalues below which it is as good as a saddle-node: its branches take too long."""
NARROW = 3e-3
"""Sine of the angle between a homoclinic orbit's directions below which the orbit is as good as a
Bogdanov-Takens point: of the size of its square."""
SOURCE, TARGET, PARAMETERS, ANGLES = slice(0, 2), slice(3, 5), slice(6, 8), (2, 5)
"""Which unknowns are the places of the saddles, the parameters, and the angles of both directions."""


class Connection(eqx.Module):
    """The defining system, (8,) to (7,), for trajectories that are followed in a box.

    `sense`, `tolerance`, `shrink` are those of `melnikov.gap`; zeros do not depend on them, but for errors.
    NaN where there is no saddle, or the branches do not come near each other.
    """

    field: Any
    box: Box
    homoclinic: Bool[Array, ""]
    sense: Float[Array, ""]
    tolerance: Float[Array, ""]
    shrink: Float[Array, ""]

    def __call__(self, u: Float[Array, " 8"]) -> Float[Array, " 7"]:
        p, (t, s) = u[PARAMETERS], (u[i] for i in ANGLES)
        rate, slope = rate_and_jacobian(self.field, u[SOURCE], p)
        other, there = rate_and_jacobian(self.field, u[TARGET], p)
        (a, b), (c, d) = slope
        both, apart = t + s, t - s
        single = (
            *(u[SOURCE] - u[TARGET]),
            (c - b) + jnp.cos(apart) * ((c + b) * jnp.cos(both) + (d - a) * jnp.sin(both)),
            (d - a) * jnp.cos(both) - (b + c) * jnp.sin(both),
        )
        double = (*other, _across(slope, t), _across(there, s))
        equations = [jnp.where(self.homoclinic, x, y) for x, y in zip(single, double)]
        return jnp.stack([*rate, *equations, self._gap(u, slope, there)])

    def _gap(self, u: Array, slope: tuple, there: tuple) -> Float[Array, ""]:
        """The gap with its exact gradient (`melnikov`), which takes the place of that through its steps."""
        u0, slope, there = jax.lax.stop_gradient((u, slope, there))
        t, s = (u0[i] for i in ANGLES)
        source = _saddle(u0[SOURCE], slope, (t, s), (True, self.homoclinic))
        target = _saddle(u0[TARGET], there, (t, s), (self.homoclinic, True))
        p, how = u0[PARAMETERS], (self.sense, self.tolerance, self.shrink)
        found = jax.lax.stop_gradient(gap(self.field, source, target, p, *how, self.box))
        # beyond a Bogdanov-Takens point the same orbits come again, with the angles exchanged
        (vx, vy), (wx, wy) = source.directions
        between, meant = vx * wy - vy * wx, jnp.sin(s - t)
        apart = (between * meant > 0.0) & (jnp.abs(meant) > NARROW)
        value = jnp.where(source.ok & target.ok & (apart | ~self.homoclinic), found.value, jnp.nan)
        move = u - u0
        here, other = (jnp.concatenate([move[some], move[PARAMETERS]]) for some in (SOURCE, TARGET))
        return value + found.by_source @ here + found.by_target @ other


def _across(slope: tuple, angle: Array) -> Array:
    """v ^ J v for v = v(angle)."""
    (a, b), (c, d) = slope
    x, y = jnp.cos(angle), jnp.sin(angle)
    return x * (c * x + d * y) - y * (a * x + b * y)


def _saddle(h: Array, jacobian: tuple, angles: tuple, own: tuple) -> Saddle:
    """The saddle with its eigenvectors in the sense of both angles; `ok` where it is one, and those that are
    its `own` are near."""
    (a, b), (c, d) = jacobian
    rates, vectors = spectrum(jacobian)
    small, large = jnp.minimum(rates[0], -rates[1]), jnp.maximum(rates[0], -rates[1])
    ok = (a * d - b * c < 0.0) & (small > LEAST * large)
    directions = []
    for (x, y), angle, mine in zip(vectors, angles, own):
        cosine = x * jnp.cos(angle) + y * jnp.sin(angle)
        sign = jnp.where(cosine < 0.0, -1.0, 1.0)
        directions.append((sign * x, sign * y))
        ok &= ~jnp.asarray(mine) | (jnp.abs(cosine) > ALIKE)
    return Saddle((h[0], h[1]), jacobian, rates, tuple(directions), ok)
