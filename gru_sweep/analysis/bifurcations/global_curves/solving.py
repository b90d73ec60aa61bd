"""Points of a curve of connections at which something more is given, by Newton's method."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...compiled import compiled, in_blocks
from ..extended import Field, rate_and_jacobian
from ..global_events.connections import LOOSER, SAFETY, SHORTER
from ..global_events.crossings import Box
from ..plane.steps import CONVERGED, TOLERANCE, Scaled, slope
from .connection_system import ANGLES, PARAMETERS, SOURCE, TARGET, Connection

TRACE, DETERMINANT, OTHER = range(3)
"""Tests along a curve: trace and determinant of the source, determinant of the target."""
NEWTON_STEPS = 12
"""Newton's steps; from a point of a followed curve four are enough."""
BLOCK = 256
"""Points whose tests are evaluated in one call: one size, one compilation."""
SHOWN = [*range(*SOURCE.indices(8)), *range(*PARAMETERS.indices(8))]
"""Unknowns that a curve shows: the source's place and the parameters."""
ROUNDING = 64.0
"""Estimated rounding of an unknown, in units of the last place of a side."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """Connections in a rectangle of parameters (`plane`), and one of them, (8,)."""

    system: Connection
    plane: Box
    seed: np.ndarray

    @property
    def lower(self) -> np.ndarray:
        """Corner of the box of all unknowns: angles go half a turn both ways."""
        return self._corner(self.system.box.lower, self.plane.lower, -np.pi)

    @property
    def upper(self) -> np.ndarray:
        return self._corner(self.system.box.upper, self.plane.upper, np.pi)

    @property
    def width(self) -> np.ndarray:
        """Sides of that box."""
        return self.upper - self.lower

    def _corner(self, states, parameters, turn: float) -> np.ndarray:
        corner = self.seed.copy()
        corner[SOURCE] = corner[TARGET] = np.asarray(states)
        corner[PARAMETERS] = parameters
        corner[list(ANGLES)] += turn
        return corner

    def by(self, sense: float, shrink: float, looser: float = 1.0) -> Problem:
        """The same problem with time in another sense, branches that begin elsewhere, looser steps."""
        system = self.system
        numbers = (jnp.asarray(sense), jnp.asarray(shrink), system.tolerance * looser)
        new = eqx.tree_at(lambda s: (s.sense, s.shrink, s.tolerance), system, numbers)
        return dataclasses.replace(self, system=new)

    def others(self) -> list[Problem]:
        """Two that differ from this one by their errors only."""
        sense, shrink = float(self.system.sense), float(self.system.shrink)
        return [self.by(sense, shrink, LOOSER), self.by(sense, SHORTER * shrink)]

    def rows(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """G and DG, rows of DG of unit length in sides of the box."""
        lower, width, tolerance, converged = map(jnp.asarray, (self.lower, self.width, TOLERANCE, CONVERGED))
        scaled = Scaled(self.system, lower, width, tolerance, converged)
        value, rows = slope(scaled, jnp.asarray((u - self.lower) / self.width))
        return np.asarray(value), np.asarray(rows)

    def tests(self, points: np.ndarray) -> np.ndarray:
        """`TRACE`, `DETERMINANT` and `OTHER` at points (n, 8), (n, 3)."""
        return in_blocks(lambda some: (_tests(self.system.field, some),), points, BLOCK)[0]

    def solve(self, guess: np.ndarray, test: int, value: float) -> np.ndarray | None:
        """The connection near a guess at which a test has a value; None where Newton's method is lost."""
        u, width = guess, self.width
        for _ in range(NEWTON_STEPS):
            g, rows = self.rows(u)
            here, gradient = (np.asarray(x) for x in _slopes(self.system.field, jnp.asarray(u)))
            row = gradient[test] * width
            size = np.linalg.norm(row)
            if not (np.isfinite(g).all() and np.isfinite(rows).all() and size > 0.0):
                return None
            left = np.append(rows, row[None] / size, axis=0)
            step = np.linalg.lstsq(left, np.append(g, (here[test] - value) / size), rcond=None)[0]
            u = u - width * step
            if np.abs(step).max() <= CONVERGED:
                return u
        return None

    def located(self, guess: np.ndarray, test: int, value: float) -> tuple[np.ndarray, float] | None:
        """Like `solve`, with the estimated error of h and p: what looser steps and other branches change."""
        point = self.solve(guess, test, value)
        others = [problem.solve(guess, test, value) for problem in self.others()]
        known = [other for other in others if other is not None]
        if point is None or len(known) < len(others):
            return None
        change = float(np.max(np.abs(np.array(known) - point)[:, SHOWN]))
        return point, SAFETY * change + self.rounding

    @property
    def rounding(self) -> float:
        return ROUNDING * float(np.finfo(float).eps) * float(np.max(self.width))

    def errors(self, points: np.ndarray) -> np.ndarray:
        """Estimated distances (n,) of points (n, 8) from the curve, in what is shown of them, in sides of
        the box; NaN where not known.

        One after the other: the program that follows curves takes one at a time, and takes longer to compile
        for several than to run.
        """
        found = np.full((2, len(points)), np.nan)
        for row, problem in zip(found, self.others()):
            for i, u in enumerate(points):
                g, rows = problem.rows(u)
                if np.isfinite(g).all() and np.isfinite(rows).all():
                    row[i] = np.abs(np.linalg.lstsq(rows, g, rcond=None)[0])[SHOWN].max()
        return SAFETY * np.max(found, axis=0) + CONVERGED


@compiled
def _tests(field: Field, points: Float[Array, "n 8"]) -> Float[Array, "n 3"]:
    return jax.vmap(lambda u: _test(field, u))(points)


@compiled
def _slopes(field: Field, u: Float[Array, " 8"]) -> tuple[Array, Array]:
    return _test(field, u), jax.jacfwd(lambda x: _test(field, x))(u)


def _test(field: Field, u: Array) -> Array:
    p = u[PARAMETERS]
    ((_, ((a, b), (c, d))), (_, ((e, f), (g, h)))) = (
        rate_and_jacobian(field, u[some], p) for some in (SOURCE, TARGET)
    )
    return jnp.stack([a + d, a * d - b * c, e * h - f * g])
