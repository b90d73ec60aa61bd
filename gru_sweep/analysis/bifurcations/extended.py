r"""Defining systems: a planar field and its parameters, extended by the condition of a bifurcation.

With dh/dt = f(h, p), h in the plane, J = df/dh, the zeros of

    (f, det J)          are folds, pitchforks and every other point with an eigenvalue 0;
    (f, tr J)           are Hopf points where det J > 0, and neutral saddles where det J < 0;
    (f, det J, tr J)    are Bogdanov-Takens points

(Kuznetsov 2004, Elements of Applied Bifurcation Theory, ch. 10). As many unknowns (h, p) as equations make a
field like any other: its regular zeros are found by branch and prune, each with a proof (`any_dimension`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..compiled import compiled

Field = Callable[[Float[Array, " 2"], Float[Array, " m"]], Float[Array, " 2"]]
"""f(h, p): rate of a planar state at m parameters; an equinox module is compiled once for all its numbers."""
DETERMINANT, TRACE = "determinant", "trace"


class Extended(eqx.Module):
    """(h, p) -> (f(h, p), tests of J(h, p)): two equations and one for each test.

    Regular zeros are isolated where there are as many tests as parameters, and form curves where there is one
    parameter more.
    """

    field: Any
    weights: tuple[tuple[Array, Array], ...]

    def __init__(self, field: Field, tests: tuple[str, ...]):
        # numbers, so that one program serves both tests
        self.field = field
        one, zero = jnp.ones(()), jnp.zeros(())
        self.weights = tuple((one, zero) if test == DETERMINANT else (zero, one) for test in tests)

    def __call__(self, u: Float[Array, " n"]) -> Float[Array, " k"]:
        rate, ((a, b), (c, d)) = rate_and_jacobian(self.field, u[:2], u[2:])
        determinant, trace = a * d - b * c, a + d
        return jnp.stack([rate[0], rate[1], *(v * determinant + w * trace for v, w in self.weights)])


def rate_and_jacobian(field: Field, h: Float[Array, " 2"], p: Float[Array, " m"]) -> tuple[Array, tuple]:
    """f and the rows ((a, b), (c, d)) of df/dh, by forward differentiation."""
    along = lambda x: field(x, p)  # noqa: E731
    e1, e2 = jnp.asarray([1.0, 0.0], h.dtype), jnp.asarray([0.0, 1.0], h.dtype)
    rate, left = jax.jvp(along, (h,), (e1,))
    _, right = jax.jvp(along, (h,), (e2,))
    return rate, ((left[0], right[0]), (left[1], right[1]))


def rate_and_slope(field: Field, h: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f (2,) and df/dh (2, 2) at one state, for the host."""
    rate, slope = _rate_and_slope(field, jnp.asarray(h), jnp.asarray(p))
    return np.asarray(rate), np.asarray(slope)


@compiled
def _rate_and_slope(field: Field, h: Array, p: Array) -> tuple[Array, Array]:
    rate, rows = rate_and_jacobian(field, h, p)
    return rate, jnp.stack([jnp.stack(row) for row in rows])
