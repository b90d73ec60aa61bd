"""Learning curves: how the loss of many networks falls, by their size."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ..records import InputError, nearest
from ..sweeps.reading import open_dataset
from .canvas import DPI, check, one_axes

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
"""Those of Okabe & Ito, which colour-blind readers can tell apart; one for each size."""
CURVES = {"loss", "test_loss", "gradient_norm"}
"""What there is to draw."""
SHOWN = 1000
"""Epochs drawn of each curve, evenly in the logarithm: more cannot be told apart."""


def save_learning_curves(
    file: str | os.PathLike[str], path: str | os.PathLike[str], variable: str = "loss"
) -> None:
    """Draw the learning curves in a file that `train` wrote and write them to a .png, .pdf or .svg file."""
    check(path, argument="path")
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    with open_dataset(file) as data:
        learning_curves(data, ax=figure, variable=variable)
    figure.savefig(path, dpi=DPI)


def learning_curves(
    data: xr.Dataset, *, ax: Axes | Figure | SubFigure | None = None, variable: str = "loss"
) -> Axes:
    """Draw `variable` (loss, test_loss or gradient_norm) of a training against the epoch, both logarithmic.

    Thin: each network; thick: the geometric mean of a size, over those that did not diverge. Losses are shown
    as the mean square error of an observed number, so that sets of data of any size compare.

    Refused: a Dataset that is not a training's, another variable.
    """
    if not CURVES & set(data.data_vars):
        raise InputError("data", f"a training, with {', '.join(sorted(CURVES))}", list(data.data_vars))
    if variable not in CURVES:
        raise InputError("variable", nearest(variable, sorted(CURVES)), variable)
    curves = data[variable]
    along = "test_epoch" if "test_epoch" in curves.dims else "epoch"
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
    if axes.get_legend_handles_labels()[0]:
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
