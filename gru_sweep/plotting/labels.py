"""Words on a map: titles with units, ticks of angles and of geometric axes, meanings of flags."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

_GREEK = {"alpha", "beta", "gamma", "delta", "epsilon", "lambda", "mu", "sigma", "tau", "theta", "omega"}


def dress(axis: Any, coordinate: xr.DataArray) -> None:
    """Label an axis and choose its scale and ticks: fractions of pi for angles, decades where geometric."""
    x = coordinate.values
    if _is_angle(coordinate) and (span := x[-1] - x[0]) > 0:
        step = math.pi * 2.0 ** math.floor(math.log2(span / math.pi / 3))
        axis.set_major_locator(MultipleLocator(step) if step >= math.pi / 64 else MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(lambda value, _: in_pi(value)))
    elif _is_geometric(x):
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_label_text(title(coordinate))


def _is_angle(coordinate: xr.DataArray) -> bool:
    return coordinate.attrs.get("units") in ("radian", "radians", "rad")


def _is_geometric(x: np.ndarray) -> bool:
    if x.size < 3 or (x <= 0).any() or np.allclose(np.diff(x), x[1] - x[0]):
        return False
    return np.allclose(np.diff(np.log(x)), math.log(x[1] / x[0]))


def in_pi(value: float) -> str:
    """An angle as a fraction of pi with a small denominator, else as a decimal multiple."""
    part = Fraction(value / math.pi).limit_denominator(64)
    if abs(part * math.pi - value) > 1e-6:
        return rf"${value / math.pi:.4g}\,\pi$"
    if part == 0:
        return "$0$"
    top = {1: "", -1: "-"}.get(part.numerator, str(part.numerator))
    return rf"${top}\pi$" if part.denominator == 1 else rf"${top}\pi/{part.denominator}$"


def number(coordinate: xr.DataArray, value: float) -> str:
    """A value of a coordinate, as its axis shows it."""
    return in_pi(value) if _is_angle(coordinate) else f"{value:.4g}"


def symbol(name: Any) -> str:
    """A Greek letter for its name, any other name as it is."""
    return rf"$\{name}$" if name in _GREEK else str(name)


def title(variable: xr.DataArray) -> str:
    """`rotation angle α (radian)`: long name, symbol of a coordinate, unit."""
    long_name = str(variable.attrs.get("long_name") or variable.name or "")
    parts = [long_name]
    if variable.name in variable.dims and long_name != variable.name:
        parts.append(symbol(variable.name))
    units = variable.attrs.get("units", "1")
    return " ".join(parts) + (f" ({units})" if units not in ("1", "") else "")


def words(values: xr.DataArray, levels: np.ndarray) -> list[str]:
    """What each level of a flag means; the number itself for a count."""
    flags = np.atleast_1d(values.attrs.get("flag_values", []))
    meanings = str(values.attrs.get("flag_meanings", "")).split()
    table = dict(zip(flags.tolist(), meanings, strict=False))
    return [_short(table.get(level, str(level))) for level in levels.tolist()]


def _short(word: str) -> str:
    """A flag's meaning for a colour bar: a topology's counts one below the other, those of 0 left out."""
    parts = [part for part in word.split(",") if not part.endswith(":0")]
    return "\n".join(parts or [word]).replace("_", " ").replace(":", ": ")
