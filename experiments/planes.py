"""A phase plane where a portrait would say less: speed, arrows and nullclines of a field whose fixed points
are degenerate, or too close to it, to be told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from gru_sweep.plotting.orbits import rates
from gru_sweep.plotting.styles import NULLCLINES, PALE

NODES = 241
"""Points of the grid of colours and nullclines, on each side."""
ARROWS = 15
"""Arrows on each side."""


def plane(axes: Axes, field: Callable, low: Sequence[float], high: Sequence[float], decades: float) -> None:
    """Draw the view [low, high]; speeds more than `decades` below the largest share one colour."""
    x, y = (np.linspace(low[i], high[i], NODES) for i in range(2))
    flow = rates(field, x, y)
    speed = np.hypot(flow[..., 0], flow[..., 1])
    top = float(speed.max())
    axes.imshow(
        np.maximum(speed, top * 10.0**-decades),
        extent=(x[0], x[-1], y[0], y[-1]),
        origin="lower",
        interpolation="bilinear",
        norm=LogNorm(top * 10.0**-decades, top),
        cmap=PALE,
    )
    at = np.linspace(0, NODES - 1, 2 * ARROWS + 1).round().astype(int)[1::2]
    u, v = np.moveaxis(flow[np.ix_(at, at)], -1, 0)
    length = np.hypot(u, v)
    length[length == 0.0] = np.inf
    axes.quiver(
        x[at], y[at], u / length, v / length, pivot="mid", alpha=0.45, scale=1.9 * ARROWS, width=0.003
    )
    for unit, style in enumerate(NULLCLINES):
        axes.contour(x, y, flow[..., unit], levels=[0.0], **style)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel="$h_1$", ylabel="$h_2$", aspect="equal")
    axes.locator_params(nbins=5)
