"""Bifurcation diagrams: fixed points and cycles along a line, and the events on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure

from ..records import Kind
from .canvas import DPI, check, figure_of
from .labels import symbol

STABLE: dict[str, Any] = {"color": "black", "label": "stable"}
UNSTABLE: dict[str, Any] = {"color": "#D55E00", "label": "unstable"}
SADDLES: dict[str, Any] = {"color": "#0072B2", "label": "saddle"}
SIZE = 4.0
"""Area of a dot in points squared: with some hundred samples dots make lines."""
KINDS = (
    (STABLE, (Kind.STABLE_NODE, Kind.STABLE_FOCUS)),
    (UNSTABLE, (Kind.UNSTABLE_NODE, Kind.UNSTABLE_FOCUS)),
    (SADDLES, (Kind.SADDLE,)),
)


def diagram(located: Any, ax: Figure | SubFigure | None = None) -> np.ndarray:
    """Draw what `gs.locate` found: both units at every fixed point, the frequency of every cycle, and a line
    at each event. Returns the three Axes, one above the other.

    `ax`: a figure to fill; a new pyplot figure if None.
    """
    figure = figure_of(ax)
    panels = figure.subplots(3, 1, sharex=True)
    columns = located.samples
    p, kind = columns["value"], columns["kind"]
    for unit, axes in enumerate(panels[:2]):
        for style, kinds in KINDS:
            row, slot = np.nonzero(np.isin(kind, kinds))
            axes.scatter(p[row], columns["fixed_point"][row, slot, unit], s=SIZE, linewidths=0, **style)
        axes.set_ylabel(f"$h_{unit + 1}$")
    for style, stable in ((STABLE, 1), (UNSTABLE, 0)):
        row, cycle = np.nonzero(columns["cycle_stable"] == stable)
        panels[2].scatter(p[row], 1.0 / columns["cycle_period"][row, cycle], s=SIZE, linewidths=0, **style)
    panels[2].set_ylabel("frequency (1/time)")
    panels[2].set_xlabel(symbol(located.name))
    panels[2].set_xlim(p.min(), p.max())
    _events(panels, located)
    panels[0].legend(loc="upper right", fontsize=7, markerscale=2.0)
    return panels


def save_diagram(located: Any, path: str | os.PathLike[str]) -> None:
    """Draw the diagram into a picture file. Refuses other endings than `canvas.ENDINGS`."""
    check(path, argument="--plot")
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    diagram(located, figure)
    figure.savefig(Path(path), dpi=DPI)


def _events(panels: np.ndarray, located: Any) -> None:
    """A line at each value, and above it what happens there, once."""
    top: Axes = panels[0]
    words: dict[float, list[str]] = {}
    for event in located:
        words.setdefault(float(f"{event.value:.9g}"), []).append(event.kind)
    for value, kinds in words.items():
        for axes in panels:
            axes.axvline(value, color="0.5", linewidth=0.8, linestyle="--", zorder=0)
        text = ", ".join(f"{kinds.count(k)} {k}" if kinds.count(k) > 1 else k for k in dict.fromkeys(kinds))
        top.annotate(
            text, (value, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
            rotation=30, fontsize=8,
        )  # fmt: skip
