"""One row per network: arrays padded to the largest, with what they mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

Variables = dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]]
"""Name -> dimensions, values, attributes: what an `xarray.Dataset` is made of."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A variable of every network: its dimensions beyond the networks' and what it is.

    Floats are NaN where there is nothing, integers -1, the words of `flags` `not_computed`.
    """

    name: str
    long_name: str
    dims: tuple[str, ...] = ()
    units: str = "1"
    dtype: type = np.float64
    flags: type[IntEnum] | None = None


class Table:
    """The columns of `rows` networks; `sizes` of all dimensions beyond."""

    def __init__(self, columns: Sequence[Column], rows: int, sizes: Mapping[str, int]):
        self.columns = {column.name: column for column in columns}
        self._arrays: dict[str, np.ndarray] = {
            column.name: np.full(
                (rows, *(sizes[name] for name in column.dims)),
                np.nan if column.dtype is np.float64 and column.flags is None else -1,
                np.int8 if column.flags is not None else column.dtype,
            )
            for column in columns
        }

    def put(self, name: str, row: int, value: Any) -> None:
        """Put a value, as large as the column's shape or smaller along any axis, into the corner; what is
        beyond the column's shape is left out."""
        target = self._arrays[name][row, ...]
        array = np.asarray(value)
        here = tuple(slice(min(n, room)) for n, room in zip(array.shape, target.shape, strict=True))
        target[here] = array[here]

    def variables(self, dims: tuple[str, ...], shape: tuple[int, ...]) -> Variables:
        """What was put, the rows laid out along `dims`."""
        made: Variables = {}
        for name, column in self.columns.items():
            values = self._arrays[name]
            about = {"long_name": column.long_name, "units": column.units}
            if column.flags is not None:
                about = {"long_name": column.long_name, **flags(column.flags)}
            made[name] = ((*dims, *column.dims), values.reshape(shape + values.shape[1:]), about)
        return made


def flags(words: type[IntEnum] | Sequence[str], dtype: type = np.int8) -> dict[str, Any]:
    """The attributes that give integers of a `dtype` meanings; -1 is what was not computed."""
    members = [m.name.lower() for m in words if m >= 0] if isinstance(words, type) else list(words)
    return {
        "flag_values": np.arange(-1, len(members), dtype=dtype),
        "flag_meanings": " ".join(["not_computed", *(word.replace(" ", "_") for word in members)]),
    }
