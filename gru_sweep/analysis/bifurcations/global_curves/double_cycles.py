r"""Double cycles on a ray from a fixed point inside them: the system whose zeros they are.

In the unknowns u = (h, s, p) let h be a fixed point inside, x = h + s e a point of the ray, d by how much the
orbit from x misses it after a turn, along the normal section through x, and L the logarithm of the slope of
the return map there. Double cycles, folds of cycles in p, are zeros of

    (f(h), d/s, (L - d/s)/s^2)          (Kuznetsov 2004, sec. 5.3).

As s -> 0 both d/s and L tend to 2 pi Re/Im of the eigenvalues of h, whence the difference: the system is
regular at a Bautin point, where s = 0 and the curve of folds of cycles begins along s.

The ray serves while orbits cross it under an angle and while h is no saddle; beyond, the system is NaN. There
the curve of zeros would turn back: at a fold of h along its other branch, where the ray is tangent to the
cycle along the cycle.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...compiled import compiled, in_blocks
from ..extended import Field, rate_and_jacobian
from ..global_events.crossings import BEYOND, Box
from .returns import ROUGH, Loop, loop

WINDOW = 0.5
"""Half the width of a section, in units of the distance from the fixed point inside."""
CROSSES = 0.3
"""Least sine of the angle between orbits and the ray: below, the next ray is taken."""
CLEAR = 0.5
"""Least sine of that angle where a ray is chosen, so that it serves for a while."""
SLOW = 2e-5
"""Lowest speed of a cycle, in units of that on the ray: beside a saddle at less, the loop is closer than its
square, and rounding decides where."""
BLOCK = 16
"""Points measured in one call: one size, one compilation."""
SETTLING, SETTLED = 24, 1e-12
"""Newton's steps to a fixed point, and the last one's size, in boxes."""
APART = 1e-7
"""Distance, in boxes, of fixed points that are two."""


class DoubleCycle(eqx.Module):
    """(h, s, p) -> (f(h), d/s, (L - d/s)/s^2), (5,) to (4,); NaN where the ray does not serve.

    `way`: e, of length 1. `turn`: 1 where orbits cross the ray counterclockwise, else -1. `lower`, `upper`:
    corners of the box in which orbits are followed. `rough`: of their steps, see `returns.ROUGH`.
    """

    field: Any
    way: Float[Array, " 2"]
    turn: Float[Array, ""]
    lower: Float[Array, " 2"]
    upper: Float[Array, " 2"]
    rough: Float[Array, ""]

    def __call__(self, u: Float[Array, " 5"]) -> Float[Array, " 4"]:
        h, s, p = u[:2], u[2], u[3:]
        rate, ((a, b), (c, d)) = rate_and_jacobian(self.field, h, p)
        once = self.loop(u)
        first = once.shift / s
        found = jnp.stack([rate[0], rate[1], first, (once.log_slope - first) / s**2])
        serves = once.back & (a * d - b * c > 0.0) & (once.slowest > SLOW)
        serves &= self.angle(once.begin) > CROSSES
        return jnp.where(serves, found, jnp.nan)

    def point(self, u: Float[Array, " 5"]) -> Float[Array, " 2"]:
        """x"""
        return u[:2] + u[2] * self.way

    def loop(self, u: Float[Array, " 5"]) -> Loop:
        """The turn of the orbit from x."""
        rate = lambda z: self.field(z, u[3:])  # noqa: E731
        return loop(rate, self.point(u), self.lower, self.upper, WINDOW * u[2], self.rough)

    def angle(self, rate: Float[Array, " 2"]) -> Float[Array, ""]:
        """Sine of that at which an orbit of some rate crosses the ray, positive in the sense of `turn`."""
        return self.turn * (self.way[0] * rate[1] - self.way[1] * rate[0]) / jnp.sqrt(rate @ rate)

    def shown(self, u: np.ndarray) -> np.ndarray:
        """From (n, 5) to (x, p), (n, 4); of tangents as of points."""
        return np.concatenate([u[:, :2] + u[:, 2:3] * np.asarray(self.way), u[:, 3:]], axis=1)


def measures(system: DoubleCycle, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The period and the second derivative of the return map at double cycles (n, 5), (n,) each.

    The latter by length along the normal section (-n_y, n_x), n = f/|f|, through x, per unit of the state.
    """
    period, bend = in_blocks(lambda some: _measured(system, some), points, BLOCK)
    return period, bend


@compiled
def _measured(system: DoubleCycle, points: Float[Array, "n 5"]) -> tuple[Array, Array]:
    def one(u):
        once, rise = jax.jvp(system.loop, (u,), (jnp.zeros_like(u).at[2].set(1.0),))
        # x moves by e . (-n_y, n_x) along the section, which is minus the sine but for the sense
        return once.time, -rise.log_slope * system.turn / system.angle(once.begin)

    return jax.vmap(one)(points)


def ray(
    field: Field, p: np.ndarray, cycle: np.ndarray, inside: np.ndarray, box: Box
) -> tuple[DoubleCycle, np.ndarray] | None:
    """The system on the ray from a fixed point near `inside` that the cycle through `cycle` crosses fastest
    about it, and (h, s, p) there.

    None where there is no cycle, no fixed point but a saddle, or where the cycle does not enclose it.
    """
    found = fixed_points(field, p, inside[None], box)
    if not len(found):
        return None
    h = found[0]
    margin = BEYOND * (box.upper - box.lower)
    lower, upper = (jnp.asarray(x) for x in (box.lower - margin, box.upper + margin))
    window = WINDOW * float(np.hypot(*(cycle - h)))
    points, rates = orbit(field, p, cycle, (lower, upper), window)
    if not len(points):
        return None
    away = points - h
    far = np.hypot(*away.T)
    plane = away @ np.array([1.0, 1.0j])
    turns = np.sum(np.angle(np.roll(plane, -1) / plane)) / (2.0 * np.pi)
    if abs(turns) < 0.5:
        return None
    turn = float(np.sign(turns))
    across = turn * (away[:, 0] * rates[:, 1] - away[:, 1] * rates[:, 0]) / far
    best = int(np.argmax(np.where(across > CLEAR * np.hypot(*rates.T), across, -np.inf)))
    if not across[best] > CLEAR * np.hypot(*rates[best]):
        return None
    way, rough = jnp.asarray(away[best] / far[best]), jnp.asarray(ROUGH)
    system = DoubleCycle(field, way, jnp.asarray(turn), lower, upper, rough)
    return system, np.array([*h, far[best], *p])


def orbit(
    field: Field, p: np.ndarray, start: np.ndarray, corners: tuple, window: float
) -> tuple[np.ndarray, np.ndarray]:
    """States and rates on the turn of an orbit from `start` to within `window` of it, (n, 2) each; none where
    it does not return."""
    once = _orbit(field, *map(jnp.asarray, (p, start, *corners, window)))
    steps = int(once.steps) if bool(once.back) else 0
    points, rates = (np.asarray(x)[:steps].reshape(-1, 2) for x in (once.nodes, once.rates))
    return points, rates


@compiled
def _orbit(field: Field, p: Array, start: Array, lower: Array, upper: Array, window: Array) -> Loop:
    return loop(lambda z: field(z, p), start, lower, upper, window, keep=True)


def fixed_points(field: Field, p: np.ndarray, places: np.ndarray, box: Box) -> np.ndarray:
    """The fixed points, no saddles, to which Newton's method leads from some places (n, 2), each once."""
    found: list[np.ndarray] = []
    settled = in_blocks(lambda some: _settled(field, jnp.asarray(p), some), places, BLOCK)
    points, steps, determinants = settled
    for point in points[(steps <= SETTLED * box.size) & (determinants > 0.0)]:
        if all(np.max(np.abs(point - other)) > APART * box.size for other in found):
            found.append(point)
    return np.array(found).reshape(-1, 2)


@compiled
def _settled(field: Field, p: Array, places: Float[Array, "n 2"]) -> tuple[Array, Array, Array]:
    """Where Newton's method ends, its last step, and the determinant of the Jacobian there."""

    def better(_, carry):
        h, _, _ = carry
        rate, ((a, b), (c, d)) = rate_and_jacobian(field, h, p)
        determinant = a * d - b * c
        step = jnp.stack([d * rate[0] - b * rate[1], a * rate[1] - c * rate[0]]) / determinant
        return h - step, jnp.max(jnp.abs(step)), determinant

    one = jnp.ones((), places.dtype)
    return jax.vmap(lambda h: jax.lax.fori_loop(0, SETTLING, better, (h, one, one)))(places)
