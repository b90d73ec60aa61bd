r"""The flow of a cell as a map: where a state is one unit of time later, so that what is said of maps is said
of flows. A limit cycle is then a closed curve on which a state turns by its frequency at each step.
"""

from __future__ import annotations

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ..systems.cells import GRU

SUBSTEPS = 32
"""Steps of the classical Runge-Kutta method in a unit of time: the frequency of an orbit that turns once in
it, as fast as trained cells do, is right to 1e-5, of one that takes six units of time to 1e-8."""


class Flow(eqx.Module):
    """The state after one unit of time of dh/dt = f(h) (Eq 7), without input.

    Diffrax's steps would do, but that they cannot be differentiated forward, which tangent vectors want.
    """

    cell: GRU

    def __call__(self, h: Float[Array, " d"]) -> Float[Array, " d"]:
        f, width = self.cell, 1.0 / SUBSTEPS

        def step(_, y):
            a = f(y)
            b = f(y + width / 2 * a)
            c = f(y + width / 2 * b)
            return y + width / 6 * (a + 2 * b + 2 * c + f(y + width * c))

        return jax.lax.fori_loop(0, SUBSTEPS, step, h)
