"""The hall's second door: a family on a line or in a plane, joined to the search for its bifurcations."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from . import __version__, atlas, coordinates, provenance, studies
from .analysis.bifurcations.line import Located
from .analysis.bifurcations.line import locate as locate_on
from .analysis.bifurcations.rectangle import diagram
from .coordinates import Number
from .measures import PLANAR, SMALL, Evaluator
from .records import InputError
from .studies import Weights
from .sweeps import atomic
from .sweeps.grid import Axis
from .systems.families import Family
from .systems.slices import slice_of

if TYPE_CHECKING:
    import xarray as xr

Steps = Callable[[int, int], None]


def locate(
    family: str,
    *,
    weights: Weights | None = None,
    seed: int = 0,
    **given: tuple[Number, Number] | Number,
) -> Located:
    """Every bifurcation of `family` on a line: `gs.locate("homoclinic", gamma=(0.05, 0.06))`.

    Of the coordinates in `given` one is a pair (start, stop), the line; the others are numbers, held fixed;
    what is not given has its default. `weights`, for the family of that name, is a file or a cell of two
    units; `seed` decides the draws of `random`. Computes in float64.

    Refused: anything but one pair with start < stop, and a coordinate on which nothing depends.
    """
    lines = {name: value for name, value in given.items() if isinstance(value, tuple)}
    if len(lines) != 1:
        raise InputError("along", "one coordinate as a pair (start, stop)", list(lines) or "none")
    ((name, line),) = lines.items()
    settings = {other: value for other, value in given.items() if other != name}
    return on_line(family, name, line, settings, weights=weights, seed=seed)


def on_line(
    family: str,
    name: str,
    line: tuple[Number, Number],
    settings: Mapping[str, Any],
    *,
    weights: Weights | None = None,
    seed: int = 0,
    progress: Steps = lambda done, total: None,
) -> Located:
    """The same with the line and what is held fixed apart; `progress` is told the steps done, of how many."""
    chosen = studies.planar_family(family, weights, seed)
    start, stop = bounds("along", name, line)
    _check(chosen, [Axis(name, np.array([start, stop]))], settings, "along")
    with jax.enable_x64(True):
        field = slice_of(chosen, (name,), settings)
        evaluate = Evaluator(chosen, settings, PLANAR["portrait"], "float64", SMALL)
        portraits = lambda values: evaluate({name: values})  # noqa: E731
        found = locate_on(field, start, stop, portraits, np.full(2, -1.0), np.full(2, 1.0), progress)
    return dataclasses.replace(found, name=name)


def curves(
    family: str,
    *,
    weights: Weights | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    fixed_points_only: bool = False,
    **given: tuple[Number, Number] | Number,
) -> xr.Dataset:
    """The bifurcation curves of `family` in a plane: `gs.curves("hopf", alpha=(0, 3.14), beta=(1, 3))`.

    Of the coordinates in `given` two are pairs (start, stop), the plane; the others as in `locate`.
    `fixed_points_only` leaves out what takes portraits: connections of saddles, cycles, and snic. `out`: a
    file to write, too. See `analysis.bifurcations.rectangle` for what is found and what may be missed,
    `atlas` for the Dataset, `gs.plot.curves` for its picture.

    Refused: anything but two pairs with start < stop, a coordinate on which nothing depends, a file that is
    there unless `overwrite`.
    """
    plane = {name: value for name, value in given.items() if isinstance(value, tuple)}
    settings = {name: value for name, value in given.items() if name not in plane}
    command = f"gru_sweep.curves({family!r}{coordinates.shown(given)})"
    return in_plane(
        family,
        list(plane.items()),
        settings,
        command,
        weights=weights,
        seed=seed,
        out=out,
        overwrite=overwrite,
        fixed_points_only=fixed_points_only,
    )


def in_plane(
    family: str,
    plane: Sequence[tuple[str, tuple[Number, Number]]],
    settings: Mapping[str, Any],
    command: str,
    *,
    weights: Weights | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    fixed_points_only: bool = False,
    progress: Steps = lambda done, total: None,
) -> xr.Dataset:
    """The same with the plane and what is held fixed apart."""
    chosen = studies.planar_family(family, weights, seed)
    if len(plane) != 2:
        raise InputError(
            "plane", "two coordinates, each as a pair (start, stop)", [name for name, _ in plane]
        )
    (first, _), (second, _) = plane
    if first == second:
        raise InputError("plane", "two different coordinates", f"{first} twice")
    spans = [bounds("plane", name, span) for name, span in plane]
    axes = [Axis(name, np.array(span)) for (name, _), span in zip(plane, spans)]
    _check(chosen, axes, settings, "plane")
    if out is not None:
        atlas.check(out, overwrite)
    low, high = (np.array(ends) for ends in zip(*spans))
    with jax.enable_x64(True):
        field = slice_of(chosen, (first, second), settings, "plane")
        evaluate = Evaluator(chosen, settings, PLANAR["portrait"], "float64", SMALL)
        portraits = lambda points: evaluate(dict(zip((first, second), points.T)))  # noqa: E731
        found = diagram(
            field,
            low,
            high,
            None if fixed_points_only else portraits,
            lower=np.full(2, -1.0),
            upper=np.full(2, 1.0),
            progress=progress,
        )
    known = {c.name: c for c in chosen.coordinates}
    held = {name: value for name, value in chosen.complete(dict(settings)).items() if name not in dict(plane)}
    attributes = {
        "title": f"{chosen.title}: bifurcation curves",
        "gru_sweep_version": __version__,
        "git_commit": provenance.commit(),
        "command": command,
        "family": chosen.name,
        "equation": chosen.equation,
        "precision": "float64",
        "jax_version": jax.__version__,
        "device": provenance.device(),
        "seed": seed,
        "settings": json.dumps(held),
        **{name: json.dumps(value) for name, value in chosen.origin().items()},
    }
    data = atlas.dataset(found, [(known[axis.name], *span) for axis, span in zip(axes, spans)], attributes)
    if out is not None:
        atomic.write(Path(out), bytes(data.to_netcdf(engine="h5netcdf")))
    return data


def _check(family: Family, axes: list[Axis], settings: Mapping[str, Any], argument: str) -> None:
    try:
        coordinates.check(family, axes, settings)
    except InputError as error:
        if error.argument != "axis":
            raise
        raise InputError(argument, error.expected, error.got) from None


def bounds(argument: str, name: str, line: Any) -> tuple[float, float]:
    """(start, stop) of a coordinate, refused unless they are finite and increasing."""
    try:
        start, stop = (float(x) for x in line)
    except (TypeError, ValueError):
        raise InputError(argument, f"two numbers for {name}", line) from None
    if not (math.isfinite(start) and math.isfinite(stop) and start < stop):
        raise InputError(argument, f"finite START below STOP for {name}", f"{start:g}:{stop:g}")
    return start, stop
