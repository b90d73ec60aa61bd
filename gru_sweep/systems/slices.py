"""A family on a line or a plane of its coordinates, as one field f(h, p) with parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..records import InputError
from .families import Family


class Slice(eqx.Module):
    """f(h, p) = build(origin + sum_i p_i direction_i)(h): rate of a state (d,) at parameters p, (m,).

    Lines and planes of one family, wherever they lie, share their compiled programs.
    """

    build: Callable[..., Any] = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    origin: tuple[Float[Array, ""], ...]
    direction: tuple[Float[Array, " m"], ...]

    def cell(self, p: Float[Array, " m"]) -> Any:
        """The member at parameters p."""
        inputs = zip(self.names, self.origin, self.direction)
        return self.build(**{name: origin + jnp.sum(way * p) for name, origin, way in inputs})

    def __call__(self, h: Float[Array, " d"], p: Float[Array, " m"]) -> Float[Array, " d"]:
        return self.cell(p)(h)


def slice_of(
    family: Family, along: tuple[str, ...], fixed: Mapping[str, float], argument: str = "along"
) -> Slice:
    """`family` along some coordinates, the others at `fixed` or their defaults.

    Every input of a cell depends on each coordinate at most linearly. Refused (`argument` is to blame): a
    coordinate whose values are integers, and one on which nothing depends.
    """
    coordinates = {c.name: c for c in family.coordinates}
    for name in along:
        if coordinates[name].integer:
            raise InputError(argument, "a coordinate of real numbers", name)

    def inputs(point: Mapping[str, float]) -> dict[str, np.ndarray]:
        full = family.complete({**fixed, **point})
        return family.inputs({name: np.array([value], np.float64) for name, value in full.items()})

    zeros = dict.fromkeys(along, 0.0)
    base = inputs(zeros)
    ways = [inputs({**zeros, name: 1.0}) for name in along]
    found = Slice(
        family.build,
        tuple(base),
        tuple(jnp.asarray(value[0]) for value in base.values()),
        tuple(jnp.asarray([way[name][0] - base[name][0] for way in ways]) for name in base),
    )
    for i, name in enumerate(along):
        if not _moves(found, i, len(along)):
            raise InputError(argument, "a coordinate on which the network depends", name)
    return found


def _moves(field: Slice, i: int, m: int) -> bool:
    """Whether a step along coordinate i changes a cell, looked at in two places."""
    for place in (0.37, -1.91):
        here, there = np.full(m, place), np.full(m, place)
        there[i] += 0.83
        before, after = (
            jax.tree.leaves(eqx.filter(field.cell(jnp.asarray(p)), eqx.is_array)) for p in (here, there)
        )
        if any(np.any(np.asarray(a) != np.asarray(b)) for a, b in zip(before, after)):
            return True
    return False
