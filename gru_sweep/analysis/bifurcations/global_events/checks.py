"""Arguments that the searches on a line and in a plane have in common, checked."""

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


def pair_of(name: str, given: npt.ArrayLike) -> np.ndarray:
    """Two finite numbers; refuses anything else."""
    try:
        found = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        found = np.full(2, np.nan)
    if found.shape != (2,) or not np.isfinite(found).all():
        raise InputError(name, "two finite numbers", given)
    return found


def box_of(lower: npt.ArrayLike, upper: npt.ArrayLike, names: tuple[str, str] = ("lower", "upper")) -> Box:
    """The box between two corners, which the caller knows under some `names`; refuses what is none."""
    low, high = (pair_of(*given) for given in zip(names, (lower, upper)))
    if not (low < high).all():
        raise InputError(names[1], f"numbers above {names[0]} = {low.tolist()}", high.tolist())
    return Box(low, high)


def rectangle_of(lower_p: npt.ArrayLike, upper_p: npt.ArrayLike) -> Box:
    """The rectangle of parameters between two corners; refuses what is none."""
    return box_of(lower_p, upper_p, ("lower_p", "upper_p"))


def tolerance_of(tolerance: float) -> float:
    """Local error of a step, in units of its length; refuses what no estimate of an error survives."""
    if not (isinstance(tolerance, float) and 0.0 < tolerance <= LOOSEST):
        raise InputError("tolerance", f"a number above 0, of at most {LOOSEST:g}", tolerance)
    return tolerance


LOOSEST = 1e-4
"""Largest tolerance: everything is done again with one a hundred times as large."""
