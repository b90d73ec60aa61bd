"""What a refined file has besides a sweep's columns: where its points lie, its axes, its leaves.

Columns lie along the dimension `point`; of each point the file has its coordinates, under the axes' names,
and its places along the axes of the finest grid, NAME_index. The axes of level 0 are NAME_root. A leaf is a
rectangle of that grid: low corner leaf_NAME_index, edge 2^(refine - leaf_level); it reads as `leaf_point`.
"""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np

from gru_sweep.sweeps.filters import FILTERS
from gru_sweep.sweeps.grid import Axis
from gru_sweep.sweeps.points import FineGrid, Points
from gru_sweep.sweeps.schema import attach, list_flags, scale
from gru_sweep.sweeps.tree import Leaves, State


def names(fine: FineGrid) -> set[str]:
    """The names that a refined file needs for itself."""
    own = {"leaf", "leaf_level", "leaf_state", "leaf_point", "point"}
    return own | {made for name in fine.root.names for made in (f"{name}_root", *_indices(name))}


def write_points(file: h5py.File, points: Points, variables: Sequence[str]) -> None:
    """Coordinates and places of the points, said of `variables` too, and the axes of level 0."""
    for place, (root, fine) in enumerate(zip(points.fine.root.axes, points.fine.axes, strict=True)):
        index, (chosen, _) = points.index[:, place], _indices(fine.name)
        about = fine.long_name or fine.name.replace("_", " ")
        _along(file, "point", fine.name, fine.values[index], about, fine.units)
        _along(file, "point", chosen, index.astype(np.int32), f"place along {fine.name} on the finest grid")
        scale(file, f"{fine.name}_root", root.values, f"{about}, level 0", fine.units)
        file[f"{fine.name}_root"].attrs["geometric"] = np.int8(root.geometric)
    for name in variables:
        file[name].attrs["coordinates"] = " ".join(points.fine.root.names)


def write_leaves(file: h5py.File, points: Points, leaves: Leaves) -> None:
    """The leaves, each with the number of the point at its low corner."""
    fine = points.fine
    places, corners = (
        np.ravel_multi_index(tuple(one.T), fine.shape) for one in (points.index, leaves.corner)
    )
    order = np.argsort(places)
    point = order[np.searchsorted(places, corners, sorter=order)]
    scale(file, "leaf", np.arange(len(point), dtype=np.int32), "number of the leaf", "1")
    for place, name in enumerate(fine.root.names):
        index, (_, made) = leaves.corner[:, place].astype(np.int32), _indices(name)
        _along(file, "leaf", made, index, f"place of the low corner along {name} on the finest grid")
    _along(file, "leaf", "leaf_level", leaves.level, "level of the leaf")
    _along(file, "leaf", "leaf_state", leaves.state, "what the leaf is")
    list_flags(file["leaf_state"], {int(state): state.name.lower() for state in State})
    _along(file, "leaf", "leaf_point", point.astype(np.int32), "the point that the leaf reads as")


def root_axis(file: h5py.File, name: str) -> Axis:
    """An axis of level 0."""
    root, shown = file[f"{name}_root"], file[name].attrs
    return Axis(name, root[()], str(shown["long_name"]), str(shown["units"]), bool(root.attrs["geometric"]))


def _indices(name: str) -> tuple[str, str]:
    return f"{name}_index", f"leaf_{name}_index"


def _along(
    file: h5py.File, dim: str, name: str, values: np.ndarray, long_name: str, units: str = "1"
) -> None:
    made = file.create_dataset(name, data=values, **FILTERS)
    made.attrs["long_name"], made.attrs["units"] = long_name, units
    attach(file, made, (dim,))
