"""Pictures of spectra: eigenvalues of random networks, and the edge of their cloud by theory."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from matplotlib.figure import Figure, SubFigure

from .canvas import figure_of
from .labels import number, symbol

PANELS = 9
"""Points of the grid that are shown, evenly chosen."""


def shown(data: xr.Dataset) -> bool:
    """Whether a Dataset has what is drawn."""
    return {"eigenvalue", "edge", "radius_theory"} <= set(data.data_vars)


def clouds(data: xr.Dataset, *, ax: Figure | SubFigure | None = None, seed: int = 0) -> np.ndarray:
    """A panel for each of up to `PANELS` points of a sweep: eigenvalues of network `seed`, and theory's edge.

    A cross marks 1 for a map and 0 for a flow, where modes neither grow nor decay. Returns the Axes.
    """
    grid = list(data.radius_theory.dims)
    flat = data[["eigenvalue", "edge", "status"]].isel(seed=seed).stack(point=grid)
    there = np.flatnonzero(flat.status.values >= 0)
    chosen = there[np.unique(np.linspace(0, len(there) - 1, min(len(there), PANELS)).round().astype(int))]
    columns = max(1, math.ceil(math.sqrt(len(chosen))))
    rows = max(1, math.ceil(len(chosen) / columns))
    figure = figure_of(ax)
    if isinstance(figure, Figure):
        figure.set_size_inches(3.2 * columns, 3.0 * rows)
    panels = np.atleast_1d(figure.subplots(rows, columns)).reshape(-1)
    neutral = 0.0 if data.attrs.get("family") == "gated-rnn" else 1.0
    for panel, i in zip(panels, chosen, strict=False):
        one = flat.isel(point=i)
        panel.plot(*one.eigenvalue.transpose("part", "mode").values, ".", markersize=1.5, color="C0")
        panel.plot(*one.edge.transpose("part", "vertex").values, color="C3", linewidth=1.2)
        panel.plot(neutral, 0.0, "+", color="black")
        panel.set_aspect("equal", adjustable="datalim")
        words = (
            f"{symbol(dim)} = {number(data[dim], float(one[dim]))}" for dim in grid if data.sizes[dim] > 1
        )
        panel.set_title(", ".join(words), fontsize="medium")
    for empty in panels[len(chosen) :]:
        empty.set_visible(False)
    figure.supxlabel("real part", fontsize="medium")
    figure.supylabel("imaginary part", fontsize="medium")
    return panels[: len(chosen)]
