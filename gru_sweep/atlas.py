"""Bifurcation curves as a labelled file: every vertex of every curve, and the special points on them.

Curves have different lengths; they stand one after another along `vertex`, `row_size` vertices each (the
contiguous ragged arrays of the CF conventions). Beside them are the portraits' labels on the coarse grid, and
the pieces of its lines on which the label changes for no known reason.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .analysis.bifurcations.plane.codimension_two import BAUTIN, BOGDANOV_TAKENS, CUSP
from .analysis.bifurcations.plane.curve import (
    ANOTHER_SADDLE,
    BORDER,
    BRANCH_POINT,
    CLOSED,
    CYCLE_CUSP,
    CYCLE_FOLD,
    DEGENERATE_PITCHFORK,
    FOLD,
    HETEROCLINIC,
    HOMOCLINIC,
    HOPF,
    NEUTRAL_SADDLE_LOOP,
    PITCHFORK,
    SADDLE_NODE_CONNECTION,
    SADDLE_NODE_LOOP,
    STATE_BORDER,
    TRANSCRITICAL,
    UNRESOLVED,
)
from .analysis.bifurcations.rectangle import Diagram
from .records import InputError
from .systems.families import Coordinate

if TYPE_CHECKING:
    import xarray as xr

KINDS = (FOLD, HOPF, PITCHFORK, TRANSCRITICAL, HOMOCLINIC, HETEROCLINIC, CYCLE_FOLD)
SPECIAL = (
    *(CUSP, BOGDANOV_TAKENS, BAUTIN, PITCHFORK, DEGENERATE_PITCHFORK),
    *(SADDLE_NODE_LOOP, NEUTRAL_SADDLE_LOOP, CYCLE_CUSP, ANOTHER_SADDLE, SADDLE_NODE_CONNECTION),
)
ENDS = (BORDER, STATE_BORDER, CLOSED, BRANCH_POINT, UNRESOLVED, *SPECIAL)
VALUES = {
    "quadratic_coefficient": ("coefficient a of x' = a x^2 + ... at a fold or transcritical point", "1/time"),
    "trace": ("the other eigenvalue at a fold or branch point", "1/time"),
    "cubic_coefficient": ("coefficient c of x' = c x^3 + ... at a pitchfork", "1/time"),
    "crossing_rate": ("speed |b| of an eigenvalue across a curve of branch points", "1/time"),
    "first_lyapunov_coefficient": ("first Lyapunov coefficient at a Hopf point", "1"),
    "frequency": ("frequency of the cycle that is born at a Hopf point", "1/time"),
    "error": ("estimated error of a point of a connection's curve, across it, in sides of the box", "1"),
    "saddle_quantity": ("sum of the saddle's eigenvalues on a homoclinic orbit", "1/time"),
    "period": ("period of the cycle at a fold of cycles", "time"),
    "second_derivative": ("second derivative of the return map at a fold of cycles", "1"),
}
"""What is known along curves: long names and units."""


def dataset(
    diagram: Diagram, plane: Sequence[tuple[Coordinate, float, float]], attributes: Mapping[str, Any]
) -> xr.Dataset:
    """Curves in a rectangle of two coordinates, (coordinate, start, stop) each, and the file's attributes."""
    import xarray as xr

    found = diagram.curves
    sizes = [len(curve) for curve in found]
    points = np.concatenate([curve.points for curve in found]) if sizes else np.zeros((0, 4))
    special = [(i, point) for i, curve in enumerate(found) for point in curve.codimension_two]
    places = np.array([point.point for _, point in special]).reshape(-1, 4)
    join = lambda parts, kind: np.concatenate(parts) if sizes else np.zeros(0, kind)  # noqa: E731
    columns: dict[str, Any] = {
        "row_size": (
            "curve",
            np.array(sizes, np.int32),
            {"long_name": "number of vertices of each curve", "sample_dimension": "vertex"},
        ),
        "kind": ("curve", *_flags([curve.kind for curve in found], KINDS, "what happens on each curve")),
        "begins": ("curve", *_flags([curve.ends[0] for curve in found], ENDS, "how each curve begins")),
        "ends": ("curve", *_flags([curve.ends[1] for curve in found], ENDS, "how each curve ends")),
        "curve_index": (
            "vertex",
            np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
            {"long_name": "number of the curve of each vertex"},
        ),
        "length": (
            "vertex",
            join([curve.length for curve in found], float),
            {"long_name": "length along the curve in sides of the box", "units": "1"},
        ),
        "state": (("vertex", "unit"), points[:, :2], {"long_name": "fixed point", "units": "1"}),
        "supercritical": (
            "vertex",
            join([curve.supercritical for curve in found], np.int8),
            {"long_name": "whether the cycle born at a Hopf point is stable (1) or not (0); -1 elsewhere"},
        ),
        "on_cycle": (
            "vertex",
            join(diagram.on_cycle, np.int8),
            {"long_name": "whether the saddle-node of a fold lies on a cycle (1) or not (0); -1 elsewhere"},
        ),
        "special_kind": (
            "special",
            *_flags([point.kind for _, point in special], SPECIAL, "point of codimension two"),
        ),
        "special_curve": (
            "special",
            np.array([i for i, _ in special], np.int32),
            {"long_name": "number of the curve that it is on"},
        ),
        "special_state": (
            ("special", "unit"),
            places[:, :2],
            {"long_name": "fixed point at a point of codimension two", "units": "1"},
        ),
        "special_error": (
            "special",
            np.array([point.error for _, point in special], float),
            {"long_name": "bound on the error of each coordinate", "units": "1"},
        ),
        "special_proven": (
            "special",
            np.array([point.proven for _, point in special], np.int8),
            {"long_name": "whether that bound is proven (1) or estimated (0)"},
        ),
    }
    for k, (one, _, _) in enumerate(plane):
        about = {"long_name": one.long_name, "units": one.units}
        columns[one.name] = ("vertex", points[:, 2 + k], about)
        columns[f"special_{one.name}"] = ("special", places[:, 2 + k], about)
        columns[f"grid_{one.name}"] = (f"grid_{one.name}", diagram.nodes[k], about)
        columns[f"change_{one.name}"] = (("change", "end"), diagram.changes[:, :, k], about)
    for name, (long_name, units) in VALUES.items():
        parts = [curve.values.get(name, np.full(len(curve), np.nan)) for curve in found]
        columns[name] = ("vertex", join(parts, float), {"long_name": long_name, "units": units})
    classes, codes = np.unique(diagram.labels[diagram.labels != ""].astype(str), return_inverse=True)
    label = np.full(diagram.labels.shape, -1, np.int32)
    label[diagram.labels != ""] = codes
    dims = tuple(f"grid_{one.name}" for one, _, _ in plane)
    columns["topology"] = (dims, label, {"long_name": "number of the topology_class, -1 where not known"})
    columns["topology_class"] = ("class", classes.astype(object), {"long_name": "label of each topology"})
    now = datetime.now(UTC).isoformat(timespec="seconds")
    everything = {
        "Conventions": "CF-1.11",
        **attributes,
        "created": now,
        "history": f"{now}: {attributes.get('command', 'computed')}",
        "plane": [one.name for one, _, _ in plane],
        "span_x": np.array(plane[0][1:], float),
        "span_y": np.array(plane[1][1:], float),
        "complete": int(found.complete),
        "lines": found.lines,
        "boxes": found.boxes,
        "warnings": json.dumps(list(found.warnings)),
    }
    return xr.Dataset(columns, attrs=everything)


def check(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse a file that could not be written, or that is there."""
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError("--out", "a file in an existing folder", str(path))
    if path.is_dir():
        raise InputError("--out", "a file", f"the folder {path}")
    if path.exists() and not overwrite:
        raise InputError("--out", "a new file, or --overwrite", f"{path}, which exists")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError("--out", "a file that can be written", str(path))


def _flags(words: Sequence[str], known: Sequence[str], long_name: str) -> tuple[np.ndarray, dict[str, Any]]:
    about = {
        "long_name": long_name,
        "flag_values": np.arange(len(known), dtype=np.int8),
        "flag_meanings": " ".join(word.replace(" ", "_") for word in known),
    }
    return np.array([known.index(word) for word in words], np.int8), about


def summary(data: xr.Dataset) -> dict[str, Any]:
    """Curves and special points in plain words and numbers, for JSON."""
    words = {name: _meanings(data[name]) for name in ("kind", "begins", "ends", "special_kind")}
    plane = list(data.attrs["plane"])
    sizes = data["row_size"].values
    parts = np.split(data["on_cycle"].values, np.cumsum(sizes)[:-1]) if len(sizes) else []
    curves = zip(words["kind"], words["begins"], words["ends"], sizes, parts)
    special = [
        {
            "kind": kind,
            "curve": int(data["special_curve"][i]),
            **{name: float(data[f"special_{name}"][i]) for name in plane},
            "at": data["special_state"][i].values.tolist(),
            "error": float(data["special_error"][i]),
            "proven": bool(data["special_proven"][i]),
        }
        for i, kind in enumerate(words["special_kind"])
    ]
    return {
        "curves": [
            {"kind": kind, "begins": begin, "ends": end, "vertices": int(size)}
            | ({"on_cycle": _share(flags)} if kind == FOLD else {})
            for kind, begin, end, size, flags in curves
        ],
        "codimension_two": special,
        "complete": bool(data.attrs["complete"]),
        "unexplained_changes": int(data.sizes["change"]),
        "warnings": json.loads(data.attrs["warnings"]),
    }


def _share(flags: np.ndarray) -> str:
    """How much of a fold curve lies on a cycle, of what is known of it."""
    known = set(flags[flags != -1].tolist())
    return {(): "not known", (0,): "none", (1,): "all", (0, 1): "in part"}[tuple(sorted(known))]


def _meanings(variable: xr.DataArray) -> list[str]:
    known = [word.replace("_", " ") for word in variable.attrs["flag_meanings"].split()]
    return [known[value] for value in variable.values]
