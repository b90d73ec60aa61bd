"""The hall's second door: a family on a line of one coordinate, joined to the search for its bifurcations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from . import coordinates, studies
from .analysis.bifurcations.line import Located
from .analysis.bifurcations.line import locate as locate_on
from .coordinates import Number
from .records import InputError
from .studies import Weights
from .sweeps.grid import Axis
from .systems.families import Family
from .systems.slices import slice_of


def locate(
    family: str,
    *,
    weights: Weights | None = None,
    seed: int = 0,
    **given: tuple[float, float] | Number,
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
    line: tuple[float, float],
    settings: Mapping[str, Any],
    *,
    weights: Weights | None = None,
    seed: int = 0,
) -> Located:
    """The same with the line and what is held fixed apart."""
    chosen = studies.planar_family(family, weights, seed)
    start, stop = bounds("along", name, line)
    _check(chosen, name, (start, stop), settings)
    with jax.enable_x64(True):
        field = slice_of(chosen, (name,), settings)
        evaluate = studies.Evaluator(
            chosen, settings, studies.MEASURES["portrait"], "float64", studies.SMALLEST
        )

        def portraits(values: np.ndarray) -> dict[str, np.ndarray]:
            parts = [evaluate({name: some}) for some in _split(values)]
            return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}

        return locate_on(field, start, stop, portraits, np.full(2, -1.0), np.full(2, 1.0))


def _check(family: Family, name: str, ends: tuple[float, float], settings: Mapping[str, Any]) -> None:
    try:
        coordinates.check(family, [Axis(name, np.array(ends))], settings)
    except InputError as error:
        if error.argument != "axis":
            raise
        raise InputError("along", error.expected, error.got) from None


def _split(values: np.ndarray) -> list[np.ndarray]:
    return np.split(values, range(studies.SMALLEST, len(values), studies.SMALLEST))


def bounds(argument: str, name: str, line: Any) -> tuple[float, float]:
    """(start, stop) of a coordinate, refused unless they are finite and increasing."""
    try:
        start, stop = (float(x) for x in line)
    except (TypeError, ValueError):
        raise InputError(argument, f"two numbers for {name}", line) from None
    if not (math.isfinite(start) and math.isfinite(stop) and start < stop):
        raise InputError(argument, f"finite START below STOP for {name}", f"{start:g}:{stop:g}")
    return start, stop
