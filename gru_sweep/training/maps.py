r"""The discrete GRU without input as the map h -> step(h) of [-1, 1]^d that it is, and many maps as one.

A *map* is any function of a state, (d,) to (d,); as an equinox module its numbers are arguments of a compiled
program. `stack` joins maps that differ in numbers only, so that one program serves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float

from ..records import InputError
from ..systems.cells import GRU

Map = Callable[[Array], Array]
"""The next state, (d,), of a state, (d,)."""
T = TypeVar("T")


class Discrete(eqx.Module):
    """The step of a GRU without input (Eq 4), h -> h + f(h) with f the field of Eq 7."""

    cell: GRU

    def __call__(self, h: Float[Array, " d"]) -> Float[Array, " d"]:
        return self.cell.step(h)


def discrete(cells: Sequence[GRU]) -> list[Discrete]:
    """The maps of cells of any precision, in float64."""
    return [Discrete(double(cell)) for cell in cells]


def double(module: T) -> T:
    """The module with its numbers in float64. Refused without JAX's 64-bit types: bounds here are 1e-9."""
    if jnp.result_type(float) != jnp.float64:
        raise InputError("jax_enable_x64", "True, for what is read off a map", False)
    return jax.tree.map(lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x, module)


def stack(maps: Sequence[Map]) -> Any:
    """One map whose arrays have a leading axis of n maps. Refused: none, and maps of different make."""
    maps = list(maps)
    if not maps:
        raise InputError("maps", "at least one map", maps)
    numbers, rest = zip(*(eqx.partition(m, eqx.is_array) for m in maps))
    shapes = [[(x.shape, x.dtype) for x in jax.tree.leaves(n)] for n in numbers]
    same = len({jax.tree.structure(n) for n in numbers}) == 1
    alike = jax.tree.structure(rest[0]), jax.tree.leaves(rest[0])
    same &= all((jax.tree.structure(r), jax.tree.leaves(r)) == alike for r in rest)
    if not same or any(s != shapes[0] for s in shapes):
        raise InputError("maps", "maps that differ in numbers only", f"{len(maps)} of several kinds or sizes")
    return eqx.combine(jax.tree.map(lambda *x: jnp.stack(x), *numbers), rest[0])


def take(maps: Any, index: npt.NDArray[np.integer]) -> Any:
    """The stacked maps at `index`, with repetitions."""
    chosen = jnp.asarray(index)
    return jax.tree.map(lambda x: x[chosen] if eqx.is_array(x) else x, maps)


def states(points: npt.ArrayLike, argument: str) -> np.ndarray:
    """`points` as (m, d) finite numbers in float64; anything else is refused under the argument's name."""
    double(())
    array = np.asarray(points)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise InputError(argument, "finite real numbers of shape (m, d)", f"shape {array.shape}")
    return array.astype(np.float64)


def fits(step: Map, d: int, argument: str) -> None:
    """Refuse states of `d` numbers that a map does not take or does not return."""
    try:
        shape = getattr(jax.eval_shape(step, jax.ShapeDtypeStruct((d,), jnp.float64)), "shape", None)
    except (TypeError, ValueError) as error:
        raise InputError(argument, "states that the map takes", f"{d} numbers each") from error
    if shape != (d,):
        raise InputError("maps", f"maps from ({d},) to ({d},)", f"a value of shape {shape}")


def whole(argument: str, value: Any, least: int) -> None:
    """Refuse anything but an integer of at least `least`."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise InputError(argument, f"an integer of at least {least}", value)


def in_cube(count: int, d: int, seed: int) -> np.ndarray:
    """`count` states, (count, d), uniform in the trapping region [-1, 1]^d."""
    for argument, value, least in (("count", count, 1), ("d", d, 1), ("seed", seed, 0)):
        whole(argument, value, least)
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (count, d))
