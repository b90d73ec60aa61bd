"""What is asked of a family's coordinates: axes and settings, read, checked and put in order."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .records import InputError, nearest
from .sweeps.grid import Axis
from .systems.families import Coordinate, Family

Number = float | int
MAX_NAMES = 32
"""Coordinates that a message lists; of more it lists those whose names are like the wrong one."""


def check(family: Family, axes: list[Axis], settings: Mapping[str, Number]) -> None:
    """Raise `InputError` for the first axis or setting that the family cannot have."""
    known: dict[str, Coordinate] = {c.name: c for c in family.coordinates}
    seen: set[str] = set()
    for axis in axes:
        if axis.name not in known:
            raise InputError("axis", _known_to(family, axis.name), axis.name)
        if axis.name in seen:
            raise InputError("axis", "each axis once", f"{axis.name} twice")
        known[axis.name].check(axis.values, "axis")
        seen.add(axis.name)
    for name, value in settings.items():
        if name not in known:
            raise InputError("set", _known_to(family, name), name)
        if name in seen:
            raise InputError("set", "coordinates that are not axes", f"{name}, which is an axis too")
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise InputError("set", f"a number for {name}", value)
        if not math.isfinite(value):
            raise InputError("set", f"a finite number for {name}", value)
        known[name].check(value, "set")


def check_precision(values: Mapping[str, Number], precision: str) -> None:
    """Raise `InputError` for the first of the named values that float32 or float64 takes for infinite."""
    largest = float(np.finfo(precision).max)
    for name, value in values.items():
        if abs(value) > largest:
            raise InputError("precision", f"one that holds {name} = {value:g}", precision)


def ordered(family: Family, given: list[Axis], fixed: Mapping[str, Number]) -> list[Axis]:
    """The axes of a sweep: those given, in their order, and the defaults of what is neither given nor fixed.

    A default axis stands before the first given one that the family names later. At least one is needed.
    """
    rank = {c.name: i for i, c in enumerate(family.coordinates)}
    titles = {c.name: (c.long_name, c.units) for c in family.coordinates}
    axes = [dataclasses.replace(a, long_name=titles[a.name][0], units=titles[a.name][1]) for a in given]
    named = {axis.name for axis in given}
    for c in family.coordinates:
        if c.axis is None or c.name in fixed or c.name in named:
            continue
        start, stop, num = c.axis
        later = (i for i, axis in enumerate(axes) if rank[axis.name] > rank[c.name])
        axes.insert(next(later, len(axes)), Axis(c.name, np.linspace(start, stop, num), c.long_name, c.units))
    if not axes:
        known = ", ".join(rank)
        raise InputError("axis", f"at least one, NAME=START:STOP:NUM with a NAME of {known}", "none")
    return axes


def read(given: Mapping[str, Any]) -> tuple[list[Axis], dict[str, Number]]:
    """Axes and settings from Python: (start, stop, num) or an array is an axis, a number a setting."""
    axes: list[Axis] = []
    settings: dict[str, Number] = {}
    for name, value in given.items():
        if isinstance(value, tuple):
            if len(value) != 3 or isinstance(value[2], bool) or not isinstance(value[2], int | np.integer):
                raise InputError(name, "(start, stop, num) with an integer num, or an array", value)
            start, stop, num = value
            if num < 1:
                raise InputError(name, "(start, stop, num) with num of at least 1", value)
            if not (np.isreal(start) and np.isreal(stop) and math.isfinite(start) and math.isfinite(stop)):
                raise InputError(name, "(start, stop, num) with finite bounds", value)
            axes.append(Axis(name, np.linspace(start, stop, num)))
        elif np.ndim(value) == 0:
            settings[name] = value.item() if isinstance(value, np.ndarray | np.generic) else value
        else:
            try:
                values = np.asarray(value, dtype=np.float64)
            except (TypeError, ValueError):
                raise InputError(name, "an array of numbers", value) from None
            axes.append(Axis(name, values))
    return axes, settings


def shown(given: Mapping[str, Any]) -> str:
    """What was given as the arguments of a call, long arrays cut short."""
    return "".join(_keyword(name, value) for name, value in given.items())


def _keyword(name: str, value: Any) -> str:
    if name.isidentifier():
        return f", {name}={_shown(value)}"
    return f", **{{{name!r}: {_shown(value)}}}"


def _shown(value: Any) -> str:
    if np.ndim(value) == 0 or isinstance(value, tuple):
        return repr(value)
    return f"[{value[0]!r}, ... {len(value)} values]"


def _known_to(family: Family, name: str) -> str:
    known = [c.name for c in family.coordinates]
    if len(known) > MAX_NAMES:
        known = difflib.get_close_matches(name, known, n=5, cutoff=0.0)
    return f"a coordinate of {family.name}: {nearest(name, known)}"
