"""Learning curves: how the loss of many networks falls, by their size."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ..records import InputError
from ..sweeps.reading import open_dataset
from .canvas import DPI, check, one_axes

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
"""Those of Okabe & Ito, which colour-blind readers can tell apart; one for each size."""
SHOWN = 1000
"""Epochs drawn of each curve, evenly in the logarithm: more cannot be told apart."""


def save_learning_curves(file: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Draw the learning curves in a file that `train` wrote and write them to a .png, .pdf or .svg file."""
    check(path, argument="path")
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    with open_dataset(file) as data:
        learning_curves(data, ax=figure)
    figure.savefig(path, dpi=DPI)


def learning_curves(
    data: xr.Dataset, *, ax: Axes | Figure | SubFigure | None = None, variable: str = "loss"
) -> Axes:
    """Draw `variable` (loss, test_loss or gradient_norm) of a training against the epoch, both logarithmic.

    Thin: each network; thick: the geometric mean of a size, over those that did not diverge. Losses are shown
    as the mean square error of an observed number, so that sets of data of any size compare.

    Refused: a Dataset without that variable and the dimension `dim`.
    """
    if variable not in data or "dim" not in data[variable].dims:
        raise InputError("data", f"a training with the variable {variable}", list(data.data_vars))
    curves = data[variable]
    along = next(name for name in curves.dims if "epoch" in str(name))
    epoch = curves[along].values
    chosen = np.unique(np.geomspace(1, len(epoch), SHOWN).round().astype(int)) - 1
    scale, label = _scale(data, curves)
    axes = one_axes(ax)
    for i, size in enumerate(data.dim.values):
        colour = COLOURS[i % len(COLOURS)]
        one = curves.isel(dim=i).transpose(..., along).values.reshape(-1, len(epoch))[:, chosen] * scale
        axes.plot(epoch[chosen] + 1, one.T, color=colour, linewidth=0.6, alpha=0.4)
        whole = one[np.isfinite(one[:, -1])]
        if len(whole):
            mean = np.exp(np.log(whole).mean(axis=0))
            axes.plot(epoch[chosen] + 1, mean, color=colour, linewidth=2.0, label=f"{size} units")
    axes.set(xscale="log", yscale="log", xlabel="epoch", ylabel=label)
    axes.legend(fontsize="small", frameon=False)
    axes.set_title(str(data.attrs.get("title", "")), fontsize="medium", wrap=True)
    return axes


def _scale(data: xr.Dataset, curves: Any) -> tuple[float, str]:
    """What Eq 10, a sum over series and coordinates, is multiplied by, and what the product is called."""
    if curves.name not in ("loss", "test_loss"):
        return 1.0, str(curves.attrs.get("long_name", curves.name))
    count = data["train" if curves.name == "loss" else "test"].isel(time=0).size
    what = "training data" if curves.name == "loss" else "held-out data"
    return 1.0 / count, f"mean square error ({what})"
