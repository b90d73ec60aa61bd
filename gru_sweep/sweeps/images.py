"""A refined file as an image: the dense grid of any of its levels.

From one level to the next, what lies between two points takes their value: a flag or a count where both
agree, a float their mean, which between the corners of a leaf is multilinear interpolation. Then the points
of the level that were computed take their own. In a finished file the corners of every leaf agree in status
and label, so there is a verdict everywhere but in stopped leaves, which read as unresolved.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from gru_sweep.records import InputError, Status, nearest
from gru_sweep.sweeps.grid import Axis
from gru_sweep.sweeps.tree import State

if TYPE_CHECKING:
    import xarray as xr

MAX_VALUES = 2**28
"""The most values of an image, which is held in memory."""


def refined(ds: xr.Dataset) -> bool:
    """Whether a Dataset is of a refined file."""
    return "refine" in ds.attrs and "point" in ds.dims


def image(ds: xr.Dataset, variable: str, level: int | None = None) -> xr.DataArray:
    """A variable of a refined file on the dense grid of `level`, 0 to the file's `refine` (None: that one).

    Flags and counts are those of the leaf that a pixel lies in: -1, and status `unresolved`, where the leaf
    has none. Floats are interpolated between computed points where all of them have a value. A pixel that
    was computed has its own value. The axes' values are exactly those that a dense sweep would have.

    Refuses a Dataset that is not refined, a variable that is not over its points, a level out of range, and
    an image of more than `MAX_VALUES` values.
    """
    import xarray as xr

    if not isinstance(ds, xr.Dataset) or not refined(ds):
        raise InputError("ds", "the Dataset of a refined file", getattr(ds, "dims", ds))
    over = [str(name) for name, one in ds.data_vars.items() if "point" in one.dims]
    if variable not in over:
        raise InputError("variable", nearest(str(variable), over), variable)
    levels, axes = int(ds.attrs["refine"]), root_axes(ds)
    level = levels if level is None else level
    if isinstance(level, bool) or not isinstance(level, int | np.integer) or not 0 <= level <= levels:
        raise InputError("level", f"a level from 0 to {levels}", level)
    data = ds[variable]
    size = math.prod(data.shape[1:]) * math.prod(((axis.size - 1) << level) + 1 for axis in axes)
    if size > MAX_VALUES:
        raise InputError("level", f"one whose image has at most {MAX_VALUES} values", f"{level}, of {size}")
    values = _dense(ds, axes, data, int(level))
    names = tuple(axis.name for axis in axes)
    made = xr.DataArray(values, dims=(*names, *data.dims[1:]), name=variable, attrs=data.attrs)
    for axis in axes:
        fine = axis.refined(levels).values[:: 1 << (levels - level)]
        made = made.assign_coords({axis.name: (axis.name, fine, ds[axis.name].attrs)})
    return made.assign_attrs(level=int(level))


def picture(ds: xr.Dataset, variables: Iterable[str], side: int, size: int) -> xr.Dataset:
    """Images of `variables`, where a refined Dataset has them, and the Dataset's attributes.

    Of the deepest level with at most `side` steps along each axis and `size` pixels in all; else of level 0.
    Refuses what `image` refuses, the first variable even where the Dataset does not have it.
    """
    import xarray as xr

    first, *others = dict.fromkeys(variables)
    level, shape = int(ds.attrs["refine"]), [axis.size - 1 for axis in root_axes(ds)]
    while level and (max(shape) << level > side or math.prod((n << level) + 1 for n in shape) > size):
        level -= 1
    names = [first, *(name for name in others if name in ds and "point" in ds[name].dims)]
    return xr.Dataset({name: image(ds, name, level) for name in names}, attrs=ds.attrs)


def root_axes(ds: xr.Dataset) -> tuple[Axis, ...]:
    """The axes of level 0 of a refined Dataset, in order."""
    return tuple(
        Axis(name, ds[f"{name}_root"].values, geometric=bool(ds[f"{name}_root"].attrs["geometric"]))
        for name in str(ds.attrs["axes"]).split()
    )


def _dense(ds: xr.Dataset, axes: tuple[Axis, ...], data: xr.DataArray, level: int) -> np.ndarray:
    levels, values = int(ds.attrs["refine"]), data.values
    fill: Any = np.nan if values.dtype.kind == "f" else -1
    index = np.stack([ds[f"{axis.name}_index"].values for axis in axes], axis=-1).astype(np.int64)
    dense = np.full((*(axis.size for axis in axes), *values.shape[1:]), fill, values.dtype)
    _enter(dense, index, values, levels)
    for reached in range(1, level + 1):
        for place in range(len(axes)):
            dense = _between(dense, place, fill)
        _enter(dense, index, values, levels - reached)
    if "leaf_state" in ds and (ds["leaf_state"] == State.STOPPED).any():
        nothing = Status.UNRESOLVED if data.name == "status" else fill
        _blank(dense, ds, axes, level, nothing)
        _enter(dense, index, values, levels - level)
    return dense


def _enter(dense: np.ndarray, index: np.ndarray, values: np.ndarray, shift: int) -> None:
    """Put the values of those points (n, axes) that the level has into the image."""
    here = (index & ((1 << shift) - 1) == 0).all(axis=1)
    dense[tuple((index[here] >> shift).T)] = values[here]


def _between(dense: np.ndarray, place: int, fill: Any) -> np.ndarray:
    """The image with a value more between neighbours along the axis `place`."""
    moved = np.moveaxis(dense, place, 0)
    out = np.empty((2 * len(moved) - 1, *moved.shape[1:]), dense.dtype)
    out[::2] = moved
    left, right = moved[:-1], moved[1:]
    out[1::2] = (left + right) / 2 if dense.dtype.kind == "f" else np.where(left == right, left, fill)
    return np.moveaxis(out, 0, place)


def _blank(dense: np.ndarray, ds: xr.Dataset, axes: tuple[Axis, ...], level: int, nothing: Any) -> None:
    """Put `nothing` into all stopped leaves, edges too."""
    levels = int(ds.attrs["refine"])
    stopped = ds["leaf_state"].values == State.STOPPED
    corner = np.stack([ds[f"leaf_{axis.name}_index"].values for axis in axes], axis=-1)[stopped].astype(
        np.int64
    )
    depth = ds["leaf_level"].values[stopped].astype(np.int64)
    for one in np.unique(depth):
        chosen, edge, step = corner[depth == one], 1 << (levels - one), 1 << (levels - level)
        first, last = -(-chosen // step), (chosen + edge) // step
        width = int((last - first).max()) + 1
        offset = np.indices((width,) * len(axes)).reshape(len(axes), -1).T
        pixel = first[:, None] + offset
        inside = (pixel <= last[:, None]).all(axis=2)
        dense[tuple(pixel[inside].T)] = nothing
