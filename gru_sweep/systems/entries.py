"""A cell as named numbers, and back: `U_h[0,1]` is row 0, column 1 of `U_h`, `b_r[0]` the first of `b_r`.

All parts are there, zero where the cell has none, so that cells of one size are inputs of one program. Input
weights are left out: these cells are autonomous.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float

from .cells import GRU

MATRICES = {
    "U_h": "recurrent weight",
    "U_z": "update gate weight",
    "U_r": "reset gate weight",
}
BIASES = {
    "b_z": "update gate bias",
    "b_r": "reset gate bias",
    "b_h": "bias",
    "b_hn": "bias inside the reset gate",
}


def biases(reset: str = "before") -> tuple[str, ...]:
    """The bias vectors of a cell."""
    return tuple(part for part in BIASES if part != "b_hn" or reset == "after")


def names(d: int, reset: str = "before") -> tuple[str, ...]:
    """The names of all entries of a cell of `d` units: the matrices by rows, then the biases."""
    units = range(d)
    matrices = [f"{part}[{i},{j}]" for part, i, j in product(MATRICES, units, units)]
    return (*matrices, *(f"{part}[{i}]" for part, i in product(biases(reset), units)))


def part_of(name: str) -> str:
    """`U_h` for `U_h[0,1]`."""
    return name.partition("[")[0]


def title(name: str) -> str:
    """What an entry, or a bias as a whole, is in words."""
    return (MATRICES | BIASES)[part_of(name)] + ("" if "[" in name else ", all units")


def parts(cell: GRU) -> dict[str, np.ndarray]:
    """All parts of the cell in float64, zero for those that it lacks."""
    d = cell.dimension
    shapes = dict.fromkeys(MATRICES, (d, d)) | dict.fromkeys(biases(cell.reset), (d,))
    return {
        part: np.zeros(shape) if (value := getattr(cell, part)) is None else np.asarray(value, np.float64)
        for part, shape in shapes.items()
    }


def filled(cell: GRU) -> GRU:
    """The cell with all its parts, without input weights, in JAX's current precision."""
    given: dict[str, Any] = parts(cell)
    return GRU(**given, reset=cell.reset)


def values(cell: GRU) -> dict[str, float]:
    """Every entry by its name, in the order of `names`."""
    numbers = np.concatenate([part.ravel() for part in parts(cell).values()]).tolist()
    return dict(zip(names(cell.dimension, cell.reset), numbers, strict=True))


def document(cell: GRU) -> dict[str, list | str]:
    """All parts as nested lists, and `reset`: what a .json file of the cell holds."""
    return {part: value.tolist() for part, value in parts(cell).items()} | {"reset": cell.reset}


def before(**entries: Float[ArrayLike, ""]) -> GRU:
    """The cell of these entries with the reset gate before the matrix."""
    return _assembled(entries, "before")


def after(**entries: Float[ArrayLike, ""]) -> GRU:
    """The cell of these entries with the reset gate after the matrix."""
    return _assembled(entries, "after")


def _assembled(entries: dict[str, Any], reset: Any) -> GRU:
    units = range(sum(part_of(name) == "b_h" for name in entries))
    # Of plain numbers one array: `jnp.stack` would put each on the device by itself.
    stack = jnp.stack if isinstance(entries["b_h[0]"], jax.Array) else np.stack
    given: dict[str, Any] = {}
    for part in MATRICES:
        given[part] = stack([stack([entries[f"{part}[{i},{j}]"] for j in units]) for i in units])
    for part in biases(reset):
        given[part] = stack([entries[f"{part}[{i}]"] for i in units])
    return GRU(**given, reset=reset)
