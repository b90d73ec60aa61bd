r"""All bifurcations of fixed points on a line of one parameter, each with a proof.

Along dh/dt = f(h, p) a fixed point changes its kind only where an eigenvalue crosses the imaginary axis: at a
zero of (f, det J), a fold, or of (f, tr J) with det J > 0, a Hopf point. Both are three equations for (h, p),
and branch and prune finds every regular zero in the box of states and the interval of p (`any_dimension`),
with an enclosure that bounds its error. What is not regular (a pitchfork, a cusp, a double event) is left
as a cluster of undecided boxes: a bound on where it is, not what it is.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..any_dimension import zeros
from ..compiled import compiled
from ..fixed_points import MARGIN
from .extended import DETERMINANT, TRACE, Extended, Field, rate_and_jacobian
from .normal_forms import first_lyapunov_coefficient, fold_form

MAX_BOXES = 400_000
"""Boxes to spend on each of the two searches: lines of sharp gates need a hundred times what others do."""
ZERO = 1e-9
"""Part of the Jacobian's size, squared, below which det J at a zero of tr J is not told from 0."""


@dataclasses.dataclass(frozen=True)
class Point:
    """A zero of a defining system: state (2,), parameter, the bound on both, and the Jacobian there."""

    state: np.ndarray
    value: float
    error: float
    jacobian: np.ndarray

    @property
    def trace(self) -> float:
        return float(np.trace(self.jacobian))

    @property
    def determinant(self) -> float:
        return float(np.linalg.det(self.jacobian))


@dataclasses.dataclass(frozen=True)
class LocalBifurcations:
    """What is known of the fixed points' bifurcations on a line.

    - `folds`, `hopf`: proven points, by increasing parameter; `coefficients` of each, a fold's quadratic
      coefficient and a Hopf point's first Lyapunov coefficient.
    - `clusters` (c, 2, 3): boxes of (h, p) in which something degenerate may happen.
    - `complete`: nothing happens elsewhere.
    """

    folds: tuple[tuple[Point, float], ...]
    hopf: tuple[tuple[Point, float], ...]
    clusters: np.ndarray
    complete: bool


def local_bifurcations(
    field: Field, start: float, stop: float, lower: np.ndarray, upper: np.ndarray
) -> LocalBifurcations:
    """Those with parameters from `start` to `stop` and states in the box [lower, upper], (2,) each."""
    below, above = (np.asarray(m * (upper - lower)) for m in MARGIN)
    span = stop - start
    # a little more than the interval, so that what lies on its ends is found
    low = np.append(lower - below, start - MARGIN[0] * span)
    high = np.append(upper + above, stop + MARGIN[1] * span)
    found = {}
    for test in (DETERMINANT, TRACE):
        found[test] = zeros(Extended(field, (test,)), low, high, max_boxes=MAX_BOXES)
    points: dict[str, list[Point]] = {test: [] for test in found}
    for test, some in found.items():
        for u, error in zip(some.point, some.error):
            if start - error <= u[2] <= stop + error:
                jacobian = np.asarray(_jacobian(field, jnp.asarray(u)))
                points[test].append(Point(u[:2], float(u[2]), float(error), jacobian))
    order = lambda some: tuple(sorted(some, key=lambda one: (one[0].value, *one[0].state)))  # noqa: E731
    clusters = [c for some in found.values() for c in some.clusters if _meets(c, start, stop)]
    hopf = []
    for point in points[TRACE]:
        scale = ZERO * np.sum(point.jacobian**2)
        if abs(point.determinant) <= scale:  # two eigenvalues are zero
            clusters.append(_box(point))
        elif point.determinant > 0.0:
            hopf.append((point, _coefficient(first_lyapunov_coefficient, field, point)))
    folds = [(point, _coefficient(_quadratic, field, point)) for point in points[DETERMINANT]]
    return LocalBifurcations(
        folds=order(folds),
        hopf=order(hopf),
        clusters=np.array(clusters).reshape(-1, 2, 3),
        complete=all(some.complete for some in found.values()),
    )


@compiled
def _jacobian(field: Field, u: Array) -> Array:
    _, rows = rate_and_jacobian(field, u[:2], u[2:])
    return jnp.stack([jnp.stack(row) for row in rows])


@compiled
def _evaluate(coefficient, field: Field, state: Array, p: Array) -> Array:
    return coefficient(lambda h: field(h, p), state)


def _quadratic(field, h: Array) -> Array:
    """|a| of x' = a x^2 + ...: its sign is that of the direction along which x is counted."""
    form = fold_form(field, h)
    return jnp.abs(form.bend / form.angle)


def _coefficient(coefficient, field: Field, point: Point) -> float:
    return float(_evaluate(coefficient, field, jnp.asarray(point.state), jnp.asarray([point.value])))


def _meets(cluster: np.ndarray, start: float, stop: float) -> bool:
    return bool(cluster[0, 2] <= stop and cluster[1, 2] >= start)


def _box(point: Point) -> np.ndarray:
    middle = np.append(point.state, point.value)
    return np.stack([middle - point.error, middle + point.error])
