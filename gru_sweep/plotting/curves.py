"""Bifurcation curves in their plane."""

from __future__ import annotations

import os
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
    "supercritical hopf": {"color": "#D55E00", "linewidth": 1.8},
    "subcritical hopf": {"color": "#D55E00", "linewidth": 1.8, "linestyle": (0, (4, 1.5))},
}
SPECIAL: dict[str, dict[str, Any]] = {
    "cusp": {"marker": "^"},
    "bogdanov-takens": {"marker": "s"},
    "bautin": {"marker": "D"},
}


def curves(data: xr.Dataset, ax: Axes | Figure | SubFigure | None = None, *, legend: bool = True) -> Axes:
    """Draw what `gs.curves` found: folds, Hopf points (dashed: subcritical), points of codimension two.

    `ax`: the axes of a heatmap of the same plane, too.
    """
    fresh = not isinstance(ax, Axes)
    axes = one_axes(ax)
    x, y = data.attrs["plane"]
    words = str(data["kind"].attrs["flag_meanings"]).split()
    starts = np.append(0, np.cumsum(data["row_size"].values))
    for i, kind in enumerate(data["kind"].values):
        part = data.isel(vertex=slice(int(starts[i]), int(starts[i + 1])))
        for name, inside in _pieces(words[kind], part["supercritical"].values):
            axes.plot(np.where(inside, part[x], np.nan), np.where(inside, part[y], np.nan), **STYLES[name])
    marks = str(data["special_kind"].attrs["flag_meanings"]).replace("_", " ").split()
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
        _legend(axes, data, words, marks)
    return axes


def save_curves(data: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Draw the curves into a picture file. Refuses other endings than `canvas.ENDINGS`."""
    check(path, argument="--plot")
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    curves(data, figure)
    figure.suptitle(str(data.attrs.get("title", "")), fontsize=9, wrap=True)
    figure.savefig(Path(path), dpi=DPI)


def _pieces(kind: str, supercritical: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Styles with the vertices to which they belong; a point between two belongs to both."""
    if kind == "fold":
        return [("fold", np.ones(len(supercritical), bool))]
    found = []
    for value, word in ((1, "supercritical"), (0, "subcritical")):
        inside = supercritical == value
        between = supercritical == -1
        touched = np.zeros_like(inside)
        touched[1:] |= inside[:-1]
        touched[:-1] |= inside[1:]
        found.append((f"{word} hopf", inside | (between & touched)))
    return found


def _legend(axes: Axes, data: xr.Dataset, words: list[str], marks: list[str]) -> None:
    kinds = {words[k] for k in data["kind"].values}
    signs = set(data["supercritical"].values.tolist())
    shown = [name for name in STYLES if name == "fold" and "fold" in kinds]
    shown += ["supercritical hopf"] * (1 in signs) + ["subcritical hopf"] * (0 in signs)
    for name in shown:
        axes.plot([], [], label=name, **STYLES[name])
    for name in sorted({marks[k] for k in data["special_kind"].values}):
        axes.plot([], [], linestyle="none", color="black", label=name, **SPECIAL[name])
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
