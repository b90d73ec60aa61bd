"""The netCDF-4 face of the file, the same for the index of an unfinished sweep and for the finished file.

Every axis of every dataset carries a dimension scale (an axis without one is labelled by size match).
Flags list -1 = `not_computed` and have no `_FillValue`, which would make readers turn them into floats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from gru_sweep.records import Column
from gru_sweep.sweeps.filters import FILTERS
from gru_sweep.sweeps.layout import Layout

FORMAT = "gru_sweep 1"
"""The attribute `file_format` of a sweep's file."""

MAX_LISTED_CLASSES = 1000
MAX_ATTRIBUTE_BYTES = 32_768


@dataclass(frozen=True)
class Labeller:
    """A class for each point, as a pure function of stored columns.

    `function` takes the columns named in `needs`, each (n, *column.shape), and returns n strings without
    blanks; the empty string is no label. The file holds the index `name` into the sorted strings
    `name`_class.
    """

    name: str
    needs: tuple[str, ...]
    function: Callable[[dict[str, np.ndarray]], np.ndarray]
    long_name: str = "class of the point"


def describe_column(dataset: h5py.Dataset, column: Column) -> None:
    """Long name, units, and the meaning of flags or missing values, as attributes."""
    dataset.attrs["long_name"] = column.long_name
    dataset.attrs["units"] = column.units
    if column.flags is not None:
        words = {int(member): member.name.lower() for member in column.flags}
        list_flags(dataset, {-1: "not_computed"} | words)
    elif column.dtype.kind == "f":
        dataset.attrs.create("_FillValue", column.fill, shape=(1,), dtype=column.dtype)


def write(
    file: h5py.File,
    layout: Layout,
    dataset: Callable[[Column], h5py.Dataset],
    labeller: Labeller | None,
    classes: Sequence[str],
    attributes: Mapping[str, Any],
    configuration: str,
) -> None:
    """Fill an empty file: scales, one dataset per column (made by `dataset`), labels, global attributes."""
    file.attrs["file_format"] = FORMAT
    for name, value in attributes.items():
        file.attrs[name] = value
    for axis in layout.grid.axes:
        scale(file, axis.name, axis.values, axis.long_name or axis.name.replace("_", " "), axis.units)
    for name, size in layout.extra.items():
        scale(file, name, np.arange(size, dtype=np.int32), name.replace("_", " "), "1")
    for column in layout.columns:
        made = dataset(column)
        describe_column(made, column)
        attach(file, made, layout.grid.names + column.dims)
    if labeller is not None:
        _labels(file, layout, labeller, classes)
    file.create_dataset("configuration", data=configuration, dtype=h5py.string_dtype())
    file["configuration"].attrs["long_name"] = "what was asked for, as JSON"


def described(layout: Layout, labeller: Labeller | None) -> list[str]:
    """The variables over the grid: columns, and the label."""
    return [*(column.name for column in layout.columns), *([labeller.name] if labeller else [])]


def check_attributes(attributes: Mapping[str, Any]) -> None:
    """Strings and numbers only, short enough for an HDF5 attribute; else `ValueError`."""
    for name, value in attributes.items():
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (str, int, float, np.number)):
            raise ValueError(f"attribute {name}: a string or a number, not {value!r}")
        if isinstance(value, str) and len(value.encode()) > MAX_ATTRIBUTE_BYTES:
            raise ValueError(f"attribute {name}: more than {MAX_ATTRIBUTE_BYTES} bytes")


def scale(file: h5py.File, name: str, values: np.ndarray, long_name: str, units: str) -> None:
    """A dimension and its coordinate."""
    made = file.create_dataset(name, data=values, chunks=True, fletcher32=True)
    made.attrs["long_name"], made.attrs["units"] = long_name, units
    made.make_scale(name)


def attach(file: h5py.File, dataset: h5py.Dataset, dims: tuple[str, ...]) -> None:
    """Give a dataset its dimensions, all of which the file has."""
    if len(dims) != dataset.ndim:
        raise ValueError(f"{dataset.name}: dimensions {dims} for shape {dataset.shape}")
    for place, dim in enumerate(dims):
        if file[dim].shape != (dataset.shape[place],):
            raise ValueError(
                f"{dataset.name}: dimension {dim} has {file[dim].shape}, not {dataset.shape[place]}"
            )
        dataset.dims[place].attach_scale(file[dim])


def _labels(file: h5py.File, layout: Layout, labeller: Labeller, classes: Sequence[str]) -> None:
    table = f"{labeller.name}_class"
    words = file.create_dataset(table, data=np.array(classes, dtype=object), dtype=h5py.string_dtype())
    words.attrs["long_name"] = f"{labeller.long_name}: the classes in this file, sorted"
    words.make_scale(table)
    index = file.create_dataset(
        labeller.name, layout.grid.shape, np.int32, chunks=layout.blocks.tile, fillvalue=-1, **FILTERS
    )
    index.attrs["long_name"] = f"{labeller.long_name}, as an index into {table}"
    index.attrs["units"] = "1"
    if len(classes) <= MAX_LISTED_CLASSES and sum(len(c.encode()) + 1 for c in classes) < MAX_ATTRIBUTE_BYTES:
        list_flags(index, {-1: "not_computed"} | dict(enumerate(classes)))
    attach(file, index, layout.grid.names)


def list_flags(dataset: h5py.Dataset, words: Mapping[int, str]) -> None:
    """The meaning of each value."""
    dataset.attrs["flag_values"] = np.array(list(words), dtype=dataset.dtype)
    dataset.attrs["flag_meanings"] = " ".join(words.values())
