"""Arguments that the searches on a line have in common, checked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ....records import InputError
from .crossings import Box


def bracket_of(bracket: tuple[float, float]) -> tuple[float, float]:
    """An interval of the parameter; refuses all but two finite numbers, the smaller one first."""
    ends = np.asarray(bracket, np.float64)
    if ends.shape != (2,) or not np.isfinite(ends).all() or not ends[0] < ends[1]:
        raise InputError("bracket", "two finite numbers, the smaller one first", bracket)
    return float(ends[0]), float(ends[1])


def box_of(lower: npt.ArrayLike, upper: npt.ArrayLike) -> Box:
    """The box between two corners; refuses what is none."""
    corners = [np.asarray(corner, np.float64) for corner in (lower, upper)]
    for name, corner in zip(("lower", "upper"), corners):
        if corner.shape != (2,) or not np.isfinite(corner).all():
            raise InputError(name, "two finite numbers", corner.tolist())
    if not (corners[0] < corners[1]).all():
        raise InputError("upper", f"numbers above lower = {corners[0].tolist()}", corners[1].tolist())
    return Box(*corners)


def tolerance_of(tolerance: float) -> float:
    """Local error of a step, in units of its length; refuses what no estimate of an error survives."""
    if not (isinstance(tolerance, float) and 0.0 < tolerance <= LOOSEST):
        raise InputError("tolerance", f"a number above 0, of at most {LOOSEST:g}", tolerance)
    return tolerance


LOOSEST = 1e-4
"""Largest tolerance: everything is done again with one a hundred times as large."""
