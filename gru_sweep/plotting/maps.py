"""Pictures of maps: a heat map for two axes, a line for one, small multiples for three.

White is where there is nothing to show (no cycle), hatched grey where a point was not resolved, and thin
dark curves run between pixels whose topology differs. Angles are read in fractions of pi.

Takes a Dataset, one of its variables, or the path of a file, finished or not. A refined one is drawn as the
image of the deepest level that a picture can show. Nothing here touches pyplot's global state unless a
figure is made for an interactive caller.
"""

from __future__ import annotations

import math
import os
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter

from ..records import InputError, Status, nearest
from ..sweeps import images
from ..sweeps.store import open_dataset
from . import spectra, theory
from .canvas import DPI, check, check_shape, figure_of, one_axes
from .labels import dress, number, symbol, title, words

MAX_PANELS = 9
MAX_SIDE, MAX_PIXELS = 4096, 2**22
"""Of the image of a refined file, along an axis and in all: more than a printed page resolves."""
DRAWN = ("frequency", "lyapunov", "radius")
"""What is drawn of a file where nothing is asked for: the first that it has."""
SIGNED = ("lyapunov",)
"""Variables whose sign is what is looked for: their colours part at 0."""
_UNRESOLVED = (Status.UNRESOLVED, Status.FAILED)
_TOPOLOGY = ("topology", "n_fixed_points", "n_stable_cycles")

Data = xr.Dataset | xr.DataArray | str | os.PathLike[str]


def save(data: Data, path: str | os.PathLike[str], variable: str | None = None) -> None:
    """Draw `variable` of `data` and write it to `path`, whose ending (.png, .pdf, .svg) is the format.

    Of spectra, if no variable is named, the eigenvalues (`spectra.clouds`).
    """
    check(path, argument="path")
    figure = Figure(layout="constrained")
    if isinstance(data, str | os.PathLike):
        with open_dataset(data) as opened:
            data = opened.load()
    if variable is None and isinstance(data, xr.Dataset) and spectra.shown(data):
        spectra.clouds(data, ax=figure)
    else:
        heatmap(data, variable, ax=figure)
    figure.savefig(path, dpi=DPI)


def heatmap(
    data: Data,
    variable: str | None = None,
    *,
    ax: Axes | Figure | SubFigure | None = None,
    curves: str | xr.DataArray | None = None,
    cmap: str | Colormap | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
) -> Axes | np.ndarray:
    """Draw a variable over the axes of its sweep.

    - `data`: a Dataset, a path, or one variable such as `ds.frequency` (which knows neither where a
      point was unresolved nor the topology).
    - `variable`: which one, where `data` has several; if None, the first of `DRAWN` that it has. Flags and
      counts get one colour for each value.
    - `ax`: Axes to draw in (two axes or one), or a figure to fill; a new pyplot figure if None.
    - `curves`: the integer variable between whose values curves are drawn; `topology`, or the counts
      where a file has none, if None, or the lines of theory of random networks; `""` for no curves.

    Axes with a single value are left out. Returns the Axes, or an array of them for three axes, of which
    at most nine evenly chosen slices along the third are shown.
    """
    if isinstance(data, str | os.PathLike):
        with open_dataset(data) as opened:
            data = opened.load()
    values, codes, unresolved = _pick(data, variable, curves)
    order = [dim for dim in values.dims if dim in values.coords]
    check_shape(values.shape, "data")
    values = values.sortby(order).squeeze()
    codes, unresolved = (None if one is None else one.sortby(order).squeeze() for one in (codes, unresolved))
    if cmap is None:
        cmap = "RdBu_r" if values.name in SIGNED else "viridis"
    paint = _Paint(values, cmap, vmin, vmax)
    if values.ndim == 1:
        return _line(one_axes(ax), values, codes, unresolved)
    if values.ndim == 2:
        axes = one_axes(ax)
        axes.figure.colorbar(_map(axes, values, codes, unresolved, paint), ax=axes, **paint.bar())
        if isinstance(data, xr.Dataset) and theory.shown(data) and curves is None:
            theory.lines(axes, data.sortby(order))
        return axes
    return _multiples(ax, values, codes, unresolved, paint)


class _Paint:
    """How values become colours: one scale for a whole figure, discrete for flags and counts."""

    def __init__(self, values: xr.DataArray, cmap: str | Colormap, vmin: float | None, vmax: float | None):
        self.label = title(values)
        self.discrete = values.dtype.kind in "iu"
        scale = mpl.colormaps[cmap] if isinstance(cmap, str) else cmap
        data = values.values
        if self.discrete:
            self.levels = np.unique(data[data >= 0])
            colours = mpl.colormaps["Set3"] if "flag_values" in values.attrs else scale
            n = max(len(self.levels), 1)
            picked = colours(np.arange(n) % colours.N if colours.N <= 20 else np.linspace(0, 1, n))
            self.cmap: Colormap = ListedColormap(picked)
            self.norm: Normalize = BoundaryNorm(np.arange(n + 1) - 0.5, n)
            self.words = words(values, self.levels)
        else:
            self.cmap = scale
            finite = data[np.isfinite(data)]
            low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
            low, high = low if vmin is None else vmin, high if vmax is None else vmax
            if values.name in SIGNED and low < 0 < high:
                self.norm = TwoSlopeNorm(0.0, low, high)
            else:
                self.norm = Normalize(low, high)

    def numbers(self, values: xr.DataArray) -> np.ma.MaskedArray:
        """What pcolormesh is given: values, or the rank of each level; masked where there is nothing."""
        if not self.discrete:
            return np.ma.masked_invalid(values.values)
        rank = np.searchsorted(self.levels, values.values)
        return np.ma.masked_array(rank, mask=values.values < 0)

    def bar(self) -> dict[str, Any]:
        """Arguments of the colour bar."""
        if not self.discrete:
            return {"label": self.label}
        ticks = range(len(self.levels))
        return {"label": self.label, "ticks": ticks, "format": FuncFormatter(lambda i, _: self.words[int(i)])}


def _pick(
    data: xr.Dataset | xr.DataArray, variable: str | None, curves: str | xr.DataArray | None
) -> tuple[xr.DataArray, xr.DataArray | None, xr.DataArray | None]:
    """The variable, the codes that the curves separate, and where points are unresolved."""
    if isinstance(data, xr.DataArray):
        if "point" in data.dims:
            raise InputError(
                "data", "the Dataset of a refined sweep, or an image of it", "one variable of it"
            )
        return data, curves if isinstance(curves, xr.DataArray) else None, None
    if variable is None:
        variable = next((name for name in DRAWN if name in data), DRAWN[0])
    if variable not in data:
        raise InputError("variable", nearest(variable, [str(name) for name in data.data_vars]), variable)
    values = data[variable]
    status = data.get("status")
    if status is not None and values.dims != status.dims:
        extra = [str(dim) for dim in values.dims if dim not in status.dims]
        raise InputError(
            "variable", "one over the axes alone", f"{variable}, which also has {', '.join(extra)}"
        )
    if images.refined(data):
        drawn = [variable, "status", *_TOPOLOGY, *([curves] if isinstance(curves, str) else [])]
        return _pick(images.picture(data, drawn, MAX_SIDE, MAX_PIXELS), variable, curves)
    unresolved = None if status is None else status.isin([int(one) for one in _UNRESOLVED])
    if isinstance(curves, xr.DataArray):
        return values, curves, unresolved
    known = [curves] if curves else [name for name in _TOPOLOGY if curves is None and name in data]
    if curves and curves not in data:
        raise InputError("curves", nearest(curves, [str(name) for name in data.data_vars]), curves)
    # An unfinished file has an empty topology: the counts say nearly the same.
    codes = next((data[name] for name in known if (data[name] >= 0).any()), None)
    return values, codes, unresolved


def _map(axes: Axes, values: xr.DataArray, codes: Any, unresolved: Any, paint: _Paint) -> Any:
    x, y = (values[dim] for dim in values.dims)
    mesh = axes.pcolormesh(
        x.values,
        y.values,
        paint.numbers(values).T,
        shading="nearest",
        cmap=paint.cmap,
        norm=paint.norm,
        rasterized=True,
    )
    dress(axes.xaxis, x)
    dress(axes.yaxis, y)
    xe, ye = _edges(x.values), _edges(y.values)
    if unresolved is not None and unresolved.values.any():
        axes.add_collection(
            PolyCollection(
                list(_rectangles(unresolved.values, xe, ye)),
                facecolor="0.85",
                edgecolor="0.55",
                hatch="//////",
                linewidth=0,
                rasterized=True,
            )
        )
    if codes is not None:
        axes.add_collection(
            LineCollection(
                list(_borders(codes.values, xe, ye)), colors="black", linewidths=0.7, capstyle="round"
            )
        )
    axes.set_xlim(xe[0], xe[-1])
    axes.set_ylim(ye[0], ye[-1])
    return mesh


def _line(axes: Axes, values: xr.DataArray, codes: Any, unresolved: Any) -> Axes:
    x = values[values.dims[0]]
    numbers = values.where(values >= 0) if values.dtype.kind in "iu" else values
    marker = "." if x.size <= 100 else ""
    axes.plot(x.values, numbers.values, marker=marker, color="C0", drawstyle=_drawstyle(values))
    edges = _edges(x.values)
    if unresolved is not None:
        for i in np.flatnonzero(unresolved.values):
            axes.axvspan(
                edges[i], edges[i + 1], facecolor="0.85", edgecolor="0.55", hatch="//////", linewidth=0
            )
    if codes is not None:
        c = codes.values
        for i in np.flatnonzero((c[1:] != c[:-1]) & (c[1:] >= 0) & (c[:-1] >= 0)):
            axes.axvline(edges[i + 1], color="black", linewidth=0.7)
    dress(axes.xaxis, x)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylabel(title(values))
    return axes


def _drawstyle(values: xr.DataArray) -> str:
    return "steps-mid" if values.dtype.kind in "iu" else "default"


def _multiples(ax: Any, values: xr.DataArray, codes: Any, unresolved: Any, paint: _Paint) -> np.ndarray:
    if isinstance(ax, Axes):
        raise InputError("ax", "a figure or None for three axes", "one Axes")
    third = values.dims[2]
    size = values.sizes[third]
    shown = np.unique(np.linspace(0, size - 1, min(size, MAX_PANELS)).round().astype(int))
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    figure = figure_of(ax)
    if isinstance(figure, Figure):
        figure.set_size_inches(3.0 * columns + 1.0, 2.5 * rows + 0.5)
    panels = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).reshape(-1)
    for panel, i in zip(panels, shown, strict=False):
        c, u = (None if one is None else one.isel({third: i}) for one in (codes, unresolved))
        mesh = _map(panel, values.isel({third: i}), c, u, paint)
        coordinate = values[third]
        panel.set_title(f"{symbol(third)} = {number(coordinate, float(coordinate[i]))}", fontsize="medium")
        panel.label_outer()
    for empty in panels[len(shown) :]:
        empty.set_visible(False)
    panels = panels[: len(shown)]
    figure.colorbar(mesh, ax=list(panels), **paint.bar())
    return panels


def _edges(centres: np.ndarray) -> np.ndarray:
    """Borders of the pixels around increasing `centres`: midpoints, the outer ones mirrored."""
    inner = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - inner[0]], inner, [2 * centres[-1] - inner[-1]]])


def _rectangles(mask: np.ndarray, xe: np.ndarray, ye: np.ndarray) -> np.ndarray:
    """Corners (n, 4, 2) of rectangles that cover the pixels of `mask` (x, y): one for each run along y."""
    padded = np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))
    i, start = np.nonzero(np.diff(padded, axis=1) == 1)
    _, stop = np.nonzero(np.diff(padded, axis=1) == -1)
    x = np.stack([xe[i], xe[i + 1], xe[i + 1], xe[i]], axis=-1)
    y = np.stack([ye[start], ye[start], ye[stop], ye[stop]], axis=-1)
    return np.stack([x, y], axis=-1)


def _borders(codes: np.ndarray, xe: np.ndarray, ye: np.ndarray) -> np.ndarray:
    """Segments (n, 2, 2) between neighbouring pixels of `codes` (x, y) whose codes differ.

    Where one of the two is not known (negative) there is no border.
    """
    i, j = np.nonzero((codes[1:] != codes[:-1]) & (codes[1:] >= 0) & (codes[:-1] >= 0))
    upright = np.stack([xe[i + 1], ye[j], xe[i + 1], ye[j + 1]], axis=-1)
    i, j = np.nonzero((codes[:, 1:] != codes[:, :-1]) & (codes[:, 1:] >= 0) & (codes[:, :-1] >= 0))
    level = np.stack([xe[i], ye[j + 1], xe[i + 1], ye[j + 1]], axis=-1)
    return np.concatenate([upright, level]).reshape(-1, 2, 2)
