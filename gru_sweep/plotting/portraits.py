"""Phase portraits: what a planar system does, in one picture.

Colour is the speed |dh/dt|, arrows are the direction of the flow; over them the nullclines, the manifolds of
the saddles, the limit cycles and a few trajectories. The legend lists only what is there.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from ..records import InputError, Status, meaning
from .canvas import DPI, check, one_axes
from .styles import CURVES, MARKERS, NULLCLINES, PALE

MARGIN = 0.06
"""What is shown beyond the box on every side, in units of it: saturated units rest at its edge."""
NODES = 401
"""Points of the grid of colours and nullclines, on each side."""
ARROWS = 19
"""Arrows on each side."""
STARTS = 14
"""Trajectories drawn unless asked otherwise."""
DECADES = 4.0
"""Speeds further than this below the largest share one colour: the logarithm has no bound."""


def save_portrait(source: Any, path: str | os.PathLike[str], **options: Any) -> None:
    """Draw `portrait(source, **options)` and write it to `path`, a .png, .pdf or .svg file."""
    check(path, argument="path")
    figure = Figure(figsize=(6.4, 6.8), layout="constrained")
    portrait(source, ax=figure, **options)
    figure.savefig(path, dpi=DPI, bbox_inches="tight")


def portrait(
    source: Any,
    *,
    ax: Axes | Figure | SubFigure | None = None,
    trajectories: bool | Sequence | np.ndarray = True,
    nullclines: bool = True,
    separatrices: bool = True,
    legend: bool = True,
    colorbar: bool = True,
    title: str | None = None,
    lower: Sequence[float] | np.ndarray | None = None,
    upper: Sequence[float] | np.ndarray | None = None,
    cmap: str | Colormap = PALE,
) -> Axes:
    """Draw the phase portrait of a planar system.

    - `source`: a `PhasePortrait`, or what `phase_portrait` makes one of: a cell, a field `f(h) -> dh/dt`.
    - `ax`: Axes to draw in, or a figure to fill; a new pyplot figure if None.
    - `trajectories`: whether to draw some, or the states (n, 2) from which to draw them.
    - `title`: the topology if None. A status that is not `ok` is added to any title but an empty one.
    - `lower`, `upper`: corners of the picture, each (2,); the portrait's box and a margin if None.
    - `nullclines`, `separatrices` (the manifolds of the saddles), `legend`, `colorbar`: whether to draw them.

    Refused: systems that are not planar, and portraits read from a file, which have no field.
    """
    starts = None if isinstance(trajectories, bool) else _states("trajectories", trajectories, (None, 2))
    corners = [
        None if corner is None else _states(name, corner, (2,))
        for name, corner in (("lower", lower), ("upper", upper))
    ]
    found = _found(source)
    low, high = _view(found, *corners)
    # the solvers take a while to import, which maps need not wait for
    from .orbits import orbits, rates

    axes = one_axes(ax)
    x, y = (np.linspace(low[i], high[i], NODES) for i in range(2))
    flow = rates(found.field, x, y)
    image = _speed(axes, x, y, flow, cmap)
    if colorbar:
        # a part of the Axes, so that it is as tall as they are whatever the aspect
        bar = axes.inset_axes((1.03, 0.0, 0.04, 1.0))
        label = r"speed $|\mathrm{d}h/\mathrm{d}t|$ (1/time)"
        axes.figure.colorbar(image, cax=bar, label=label, extend="min", extendfrac=0.03)
    _arrows(axes, x, y, flow)
    handles: list[Artist] = []
    if nullclines:
        handles += _nullclines(axes, x, y, flow)
    if starts is None:
        starts = _spread(low, high, STARTS if trajectories else 0)
    curves = orbits(found, starts, low, high, separatrices=separatrices)
    handles += _curves(axes, curves)
    handles += _points(axes, np.asarray(found.fixed_point, float), np.asarray(found.kind), low, high)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="$h_1$", ylabel="$h_2$", aspect="equal")
    axes.locator_params(nbins=5)
    axes.set_title(_title(found, title), fontsize="medium")
    if legend and handles:
        axes.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            borderaxespad=4.5,  # in units of the font: below the axis label whatever the size of the Axes
            ncols=3,
            fontsize="small",
            frameon=False,
            handlelength=2.6,
        )
    return axes


def _found(source: Any) -> Any:
    """The PhasePortrait that `source` is or is made into."""
    dimension = getattr(source, "dimension", 2)
    if dimension != 2:
        raise InputError("source", "a planar system", f"one of {dimension} units")
    if not hasattr(source, "branch_end") and callable(source):
        from ..analysis.portrait import phase_portrait

        source = phase_portrait(source)
    if not hasattr(source, "branch_end") or not callable(getattr(source, "field", None)):
        raise InputError("source", "a phase portrait with its field, a cell or a planar field f(h)", source)
    if np.shape(source.lower) != (2,):
        raise InputError("source", "a planar system", f"one of {np.size(source.lower)} units")
    return source


def _states(name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    states = np.asarray(value)
    fits = states.ndim == len(shape) and states.shape[-1] == 2 and states.dtype.kind in "iuf"
    if not fits or not np.isfinite(states).all():
        words = ", ".join("n" if n is None else str(n) for n in shape)
        raise InputError(name, f"finite numbers of shape ({words.ljust(2, ',')})", value)
    return states.astype(float)


def _view(found: Any, lower: np.ndarray | None, upper: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    low, high = (np.asarray(corner, float) for corner in (found.lower, found.upper))
    margin = MARGIN * (high - low)
    low = low - margin if lower is None else lower
    high = high + margin if upper is None else upper
    if (low >= high).any():
        raise InputError("lower, upper", "two corners, one below the other", f"{low} and {high}")
    return low, high


def _spread(low: np.ndarray, high: np.ndarray, n: int) -> np.ndarray:
    """n states that fill the picture evenly (the R2 sequence) and share no symmetry with the system."""
    plastic = 1.32471795724474602596
    steps = np.array([1 / plastic, 1 / plastic**2])
    return low + (high - low) * ((0.5 + steps * np.arange(1, n + 1)[:, None]) % 1.0)


def _speed(axes: Axes, x: np.ndarray, y: np.ndarray, flow: np.ndarray, cmap: str | Colormap) -> Any:
    speed = np.hypot(flow[..., 0], flow[..., 1])
    known = speed[np.isfinite(speed) & (speed > 0)]
    top = known.max() if known.size else 1.0
    bottom = np.clip(np.quantile(known, 0.002) if known.size else 0.0, top * 10.0**-DECADES, 0.1 * top)
    dx, dy = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    return axes.imshow(
        np.ma.masked_invalid(np.maximum(speed, bottom)),
        extent=(x[0] - dx, x[-1] + dx, y[0] - dy, y[-1] + dy),
        origin="lower",
        interpolation="bilinear",
        norm=LogNorm(bottom, top),
        cmap=cmap,
    )


def _arrows(axes: Axes, x: np.ndarray, y: np.ndarray, flow: np.ndarray) -> None:
    at = np.linspace(0, NODES - 1, 2 * ARROWS + 1).round().astype(int)[1::2]
    u, v = np.moveaxis(flow[np.ix_(at, at)], -1, 0)
    speed = np.hypot(u, v)
    there = np.isfinite(speed) & (speed > 0)
    i, j = np.nonzero(there)
    axes.quiver(
        x[at][j],
        y[at][i],
        u[there] / speed[there],
        v[there] / speed[there],
        pivot="mid",
        color="black",
        alpha=0.45,
        units="width",
        scale=1.9 * ARROWS,
        width=0.0022,
        headwidth=5,
        headlength=5,
        headaxislength=4.5,
    )


def _nullclines(axes: Axes, x: np.ndarray, y: np.ndarray, flow: np.ndarray) -> list[Line2D]:
    handles = []
    for i, style in enumerate(NULLCLINES):
        rate = np.ma.masked_invalid(flow[..., i])
        if not (rate.min() < 0 < rate.max()):
            continue
        axes.contour(x, y, rate, levels=[0.0], zorder=2, **style)
        keys = {"colors": "color", "linestyles": "linestyle", "linewidths": "linewidth"}
        label = rf"$\mathrm{{d}}h_{i + 1}/\mathrm{{d}}t = 0$"
        handles.append(Line2D([], [], label=label, **{keys[k]: value for k, value in style.items()}))
    return handles


def _curves(axes: Axes, curves: Any) -> list[LineCollection]:
    handles = []
    for order, (name, style) in enumerate(CURVES.items()):
        if segments := getattr(curves, name):
            handles.append(LineCollection(segments, zorder=2.5 + 0.1 * order, **style))
            axes.add_collection(handles[-1], autolim=False)
    return handles


def _points(
    axes: Axes, points: np.ndarray, kinds: np.ndarray, low: np.ndarray, high: np.ndarray
) -> list[Line2D]:
    handles = []
    shown = np.all((points >= low) & (points <= high), axis=1)
    for kind, style in MARKERS.items():
        here = points[shown & (kinds == kind)]
        if len(here):
            options = {"markersize": 7.5, "markeredgewidth": 1.1} | style
            handles += axes.plot(*here.T, linestyle="none", zorder=4, label=meaning(kind), **options)
    return handles


def _title(found: Any, title: str | None) -> str:
    words = str(found.topology) if title is None else title
    status = Status(int(found.status))
    if title != "" and status != Status.OK:
        words = f"{words} ({meaning(status)})" if words else meaning(status)
    return "\n".join(textwrap.wrap(words, 64))
