r"""A flow as a map: the state a fixed time later, by steps of an explicit Runge-Kutta method.

Diffrax's tableaux are taken, but the steps are written out: `solver.step` cannot be differentiated forward,
which tangent vectors want. The derivative of the map is that of the steps themselves, so its exponents are
exactly those of a map that differs from the flow by the method's error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...records import InputError

RK4 = diffrax.ButcherTableau(
    c=np.array([0.5, 0.5, 1.0]),
    a_lower=(np.array([0.5]), np.array([0.0, 0.5]), np.array([0.0, 0.0, 1.0])),
    b_sol=np.array([1.0, 2.0, 2.0, 1.0]) / 6.0,
    b_error=np.zeros(4),
)
"""The classical method of order 4 (Kutta 1901), which diffrax does not have."""


class FlowMap(eqx.Module):
    """The state after `steps` steps of `dt` of dy/dt = field(y); made by `flow_map`."""

    field: Callable[[Any], Any]
    dt: Float[Array, ""] | float
    steps: int = eqx.field(static=True)
    stages: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    """Row i: weights of the slopes before in the state of stage i; the last row, in the step."""

    @property
    def interval(self) -> Float[Array, ""] | float:
        """Time that the map takes."""
        return self.dt * self.steps

    def _step(self, y: Float[Array, " n"]) -> Float[Array, " n"]:
        dt = jnp.asarray(self.dt, y.dtype)
        slopes: list[Array] = []
        at = y
        for row in self.stages:
            slopes.append(self.field(at))
            at = y + dt * sum(w * k for w, k in zip(row, slopes) if w != 0.0)
        return at

    def __call__(self, y: Float[Array, " n"]) -> Float[Array, " n"]:
        if self.steps == 1:
            return self._step(y)
        return jax.lax.fori_loop(0, self.steps, lambda _, y: self._step(y), y)


def flow_map(
    field: Callable[[Any], Any],
    dt: Float[Array, ""] | float,
    steps: int = 1,
    tableau: diffrax.ButcherTableau = RK4,
) -> FlowMap:
    """The map of `steps` steps of `dt`, in units of time, of the flow dy/dt = field(y), y of shape (n,).

    `tableau`: an explicit method's, such as `RK4` or `diffrax.Tsit5.tableau`. Refused: an implicit one; `dt`
    that is not positive, unless it is traced; `steps` below 1.
    """
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise InputError("steps", "an integer of at least 1", steps)
    if not isinstance(dt, jax.core.Tracer) and not (math.isfinite(dt) and dt > 0.0):
        raise InputError("dt", "a finite number > 0", dt)
    if tableau.implicit:
        raise InputError("tableau", "one of an explicit Runge-Kutta method", "an implicit one")
    rows = [*tableau.a_lower, tableau.b_sol]
    stages = [tuple(float(w) for w in row) for row in rows]
    # a first-same-as-last method ends with a stage that its step does not use
    while stages[-1][-1] == 0.0:
        stages[-1] = stages[-1][:-1]
        del stages[-2]
    return FlowMap(field, dt, int(steps), tuple(stages))
