"""P networks of one ensemble at once: the problem that is handed to the compiled programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float

from ...analysis import lyapunov
from ...records import InputError, nearest
from ...systems.ensembles import Cell, Ensemble

STEP = 0.25
"""Longest step of a flow, in its shortest time constant, which is 1 but for gates that are faster. An
exponent of a fixed point is off by STEP^4 / 120 then at the most, and those of chaos by less than can be seen
in 100 000 units of time (`experiments/lyapunov_validation.py`)."""


class Networks(eqx.Module):
    """P networks; made by `networks`."""

    build: Callable[..., Cell] = eqx.field(static=True)
    matrices: dict[str, Float[Array, "*p n n"]]
    coordinates: dict[str, Float[Array, " p"]]
    starts: Float[Array, "p m"]
    dt: Float[Array, ""] | None
    """Step of the flow; None for a map."""
    every: int = eqx.field(static=True)
    """Steps in a round, after which tangents are made orthonormal and states are sampled."""

    @property
    def units(self) -> int:
        """Units of a network, n."""
        return next(iter(self.matrices.values())).shape[-1]

    @property
    def round_time(self) -> float:
        return self.every * (1.0 if self.dt is None else float(self.dt))

    def each(self, function: Callable[..., Any], *others: Any) -> Any:
        """`function(cell, step, *its others)` for each network, with an axis of P in front."""
        shared = {k: None if m.ndim == 2 else 0 for k, m in self.matrices.items()}

        def one(matrices, coordinates, *rest):
            cell = self.build(matrices, **coordinates)
            # `networks` has refused a flow without a map
            step = lyapunov.flow_map(cell, self.dt) if self.dt is not None else cell.step  # type: ignore[union-attr]
            return function(cell, step, *rest)

        return jax.vmap(one, in_axes=(shared, 0, *[0] * len(others)))(
            self.matrices, self.coordinates, *others
        )


def networks(
    ensemble: Ensemble,
    matrices: Mapping[str, Any],
    start: Array | np.ndarray,
    coordinates: Mapping[str, Any],
    *,
    flow: bool | None = None,
    dt: float | None = None,
    round_time: float = 1.0,
    dtype: npt.DTypeLike = np.float32,
) -> Networks:
    """The networks of an ensemble at P points.

    **Arguments**

    - `matrices`: as drawn, (n, n) each, one draw for all points; or (P, n, n), one for each.
    - `start`: a state, (m,), or one for each point, (P, m).
    - `coordinates`: gains, biases and time constants, numbers or (P,); the others at their defaults.
    - `flow`: the continuous form or the map; if not given, the ensemble's own.
    - `dt`: longest step of a flow; if not given, `STEP` times the shortest time constant.
    - `round_time`: between two orthonormalisations and samples, in units of time; rounded to steps.
    - `dtype`: precision; float32 will do (its exponents differ from float64's by less than their errors).

    Refused: coordinates that there are not or of different lengths, none with a length, arrays of other
    shapes, time constants and steps that are not positive, the map of an ensemble that is a flow only,
    float64 without JAX's 64-bit types.
    """
    kind = np.dtype(dtype)
    if kind not in (np.dtype(np.float32), jnp.result_type(float)):
        raise InputError("dtype", "float32, or float64 with jax_enable_x64", kind.name)
    flow = not ensemble.discrete if flow is None else flow
    if not flow and not ensemble.discrete:
        raise InputError("flow", f"True for the {ensemble.title}", flow)
    given = {name: np.asarray(value, np.float64) for name, value in coordinates.items()}
    sizes = {value.shape for value in given.values() if value.ndim}
    if len(sizes) != 1 or len(shape := sizes.pop()) != 1 or not shape[0]:
        raise InputError(
            "coordinates", "numbers and arrays of one shape (P,)", str({k: v.shape for k, v in given.items()})
        )
    count = shape[0]
    for name, value in given.items():
        if name not in ensemble.coordinates:
            raise InputError(name, nearest(name, ensemble.coordinates), name)
        if not np.isfinite(value).all():
            raise InputError(name, "finite numbers", value)
    parts = {name: jnp.asarray(matrix, kind) for name, matrix in matrices.items()}
    if set(parts) != set(ensemble.matrices):
        raise InputError("matrices", f"those named {', '.join(ensemble.matrices)}", ", ".join(parts))
    n = parts[ensemble.matrices[0]].shape[-1]
    for name, part in parts.items():
        if part.shape not in ((n, n), (count, n, n)):
            raise InputError(name, f"an array of shape ({n}, {n}) or ({count}, {n}, {n})", str(part.shape))
    m = ensemble.states * n
    starts = jnp.asarray(start, kind)
    if starts.shape not in ((m,), (count, m)):
        raise InputError("start", f"an array of shape ({m},) or ({count}, {m})", str(starts.shape))
    constants = {name: given[name] for name in given if name.startswith("tau_")}
    for name, value in constants.items():
        if not (value > 0.0).all():
            raise InputError(name, "numbers > 0", value.min())
    if dt is None:
        dt = STEP * min([1.0, *(float(value.min()) for value in constants.values())])
    for name, number in (("dt", dt), ("round_time", round_time)):
        if not (math.isfinite(number) and number > 0.0):
            raise InputError(name, "a finite number > 0", number)
    every = max(1, math.ceil(round(round_time / (dt if flow else 1.0), 6)))
    full = {
        name: jnp.broadcast_to(jnp.asarray(value, kind), (count,))
        for name, value in {**ensemble.coordinates, **given}.items()
    }
    return Networks(
        build=ensemble.build,
        matrices=parts,
        coordinates=full,
        starts=jnp.broadcast_to(starts, (count, m)),
        # whole steps make a round
        dt=jnp.asarray(round_time / every, kind) if flow else None,
        every=every,
    )
