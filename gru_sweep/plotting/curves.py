"""Bifurcation curves in their plane."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure

from .canvas import DPI, check, one_axes
from .labels import dress

STYLES: dict[str, dict[str, Any]] = {
    "fold": {"color": "#0072B2", "linewidth": 1.8},
    "snic": {"color": "#0072B2", "linewidth": 3.2},
    "supercritical hopf": {"color": "#D55E00", "linewidth": 1.8},
    "subcritical hopf": {"color": "#D55E00", "linewidth": 1.8, "linestyle": (0, (4, 1.5))},
    "pitchfork": {"color": "#E69F00", "linewidth": 1.8},
    "transcritical": {"color": "#E69F00", "linewidth": 1.8, "linestyle": (0, (4, 1.5))},
    "homoclinic": {"color": "#009E73", "linewidth": 1.8},
    "heteroclinic": {"color": "#009E73", "linewidth": 1.8, "linestyle": (0, (4, 1.5))},
    "cycle fold": {"color": "#CC79A7", "linewidth": 1.8, "linestyle": (0, (6, 1.2, 1.2, 1.2))},
}
"""The hues are those of Okabe & Ito; the pairs that share one differ by dashes or width."""
SPECIAL: dict[str, dict[str, Any]] = {
    "cusp": {"marker": "^"},
    "bogdanov-takens": {"marker": "s"},
    "bautin": {"marker": "D"},
    "pitchfork": {"marker": "<"},
    "degenerate pitchfork": {"marker": ">"},
    "saddle-node loop": {"marker": "o"},
    "neutral saddle loop": {"marker": "P"},
    "cycle cusp": {"marker": "v"},
    "another saddle": {"marker": "X"},
    "saddle-node connection": {"marker": "h"},
}
UNEXPLAINED: dict[str, Any] = {"color": "0.6", "linewidth": 1.2}
"""Pieces of the grid's lines on which the label changes for no known reason."""


def curves(data: xr.Dataset, ax: Axes | Figure | SubFigure | None = None, *, legend: bool = True) -> Axes:
    """Draw what `gs.curves` found: every curve by its kind, points of codimension two, and in grey the places
    where the topology changes for no known reason.

    `ax`: the axes of a heatmap of the same plane, too.
    """
    fresh = not isinstance(ax, Axes)
    axes = one_axes(ax)
    x, y = data.attrs["plane"]
    shown = set()
    for kind, part in _each(data):
        for name, inside in _pieces(kind, part):
            axes.plot(np.where(inside, part[x], np.nan), np.where(inside, part[y], np.nan), **STYLES[name])
            shown |= {name} if inside.any() else set()
    axes.plot(data[f"change_{x}"].T, data[f"change_{y}"].T, **UNEXPLAINED)
    marks = [word.replace("_", " ") for word in str(data["special_kind"].attrs["flag_meanings"]).split()]
    for k, name in enumerate(marks):
        some = data.isel(special=np.flatnonzero(data["special_kind"].values == k))
        axes.plot(
            some[f"special_{x}"],
            some[f"special_{y}"],
            linestyle="none",
            color="black",
            markeredgecolor="white",
            **SPECIAL[name],
        )
    if fresh:
        for axis, name, span in (
            (axes.xaxis, x, data.attrs["span_x"]),
            (axes.yaxis, y, data.attrs["span_y"]),
        ):
            dress(axis, xr.DataArray(np.asarray(span), name=name, attrs=data[name].attrs))
        axes.set(xlim=data.attrs["span_x"], ylim=data.attrs["span_y"])
    if legend:
        _legend(axes, data, shown, marks)
    return axes


def save_curves(data: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Draw the curves into a picture file. Refuses other endings than `canvas.ENDINGS`."""
    check(path, argument="--plot")
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    curves(data, figure)
    figure.suptitle(str(data.attrs.get("title", "")), fontsize=9, wrap=True)
    figure.savefig(Path(path), dpi=DPI)


def _each(data: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Every curve's kind and vertices."""
    words = [word.replace("_", " ") for word in str(data["kind"].attrs["flag_meanings"]).split()]
    ends = np.cumsum(data["row_size"].values)
    for kind, end, size in zip(data["kind"].values, ends, data["row_size"].values):
        yield words[kind], data.isel(vertex=slice(int(end - size), int(end)))


def _pieces(kind: str, part: xr.Dataset) -> list[tuple[str, np.ndarray]]:
    """Styles with the vertices to which they belong; a point between two belongs to both."""
    if kind == "hopf":
        flags = part["supercritical"].values
        return [("supercritical hopf", _reach(flags, 1)), ("subcritical hopf", _reach(flags, 0))]
    if kind == "fold" and (part["on_cycle"] == 1).any():
        flags = part["on_cycle"].values
        return [("fold", (flags != 1) | _beside(flags != 1)), ("snic", _reach(flags, 1))]
    return [(kind, np.ones(part.sizes["vertex"], bool))]


def _reach(flags: np.ndarray, value: int) -> np.ndarray:
    """The vertices with a flag, and those beside them without any."""
    return (flags == value) | ((flags == -1) & _beside(flags == value))


def _beside(inside: np.ndarray) -> np.ndarray:
    """The vertices before and after those inside."""
    touched = np.zeros_like(inside)
    touched[1:] |= inside[:-1]
    touched[:-1] |= inside[1:]
    return touched


def _legend(axes: Axes, data: xr.Dataset, shown: set[str], marks: list[str]) -> None:
    for name in (name for name in STYLES if name in shown):
        axes.plot([], [], label=name, **STYLES[name])
    for name in sorted({marks[k] for k in data["special_kind"].values}):
        axes.plot([], [], linestyle="none", color="black", label=name, **SPECIAL[name])
    if data.sizes["change"]:
        axes.plot([], [], label="not known", **UNEXPLAINED)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
