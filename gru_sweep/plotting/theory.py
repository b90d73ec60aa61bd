"""The lines of theory over a map of what random networks do."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

LINES: tuple[tuple[str, float, str, LineStyleType], ...] = (
    ("K_zero", 1.0, "zero loses its stability", "-"),
    ("mean_field_count", 1.5, "further fixed points appear", "--"),
    ("K_largest", 2.0, "end of the marginal window", ":"),
)
"""A variable of the file, the level at which it is crossed, what happens there, and the line's style."""


def lines(axes: Axes, data: xr.Dataset) -> None:
    """Draw every line of theory that crosses a map over two axes, with a legend."""
    drawn = []
    for name, level, words, style in LINES:
        values = data[name].where(data[name] >= 0).squeeze()
        if values.ndim != 2 or min(values.shape) < 2:
            return
        x, y = (values[dim] for dim in values.dims)
        finite = values.values[np.isfinite(values.values)]
        if not finite.size or not finite.min() < level < finite.max():
            continue
        axes.contour(
            x.values,
            y.values,
            values.values.T,
            levels=[level],
            colors="black",
            linestyles=style,
            linewidths=1.2,
        )
        drawn.append(Line2D([], [], color="black", linestyle=style, linewidth=1.2, label=words))
    if drawn:
        axes.legend(handles=drawn, loc="best", fontsize="small", framealpha=0.8)


def shown(data: xr.Dataset) -> bool:
    """Whether a Dataset has what the lines are made of."""
    return all(name in data for name, *_ in LINES)
