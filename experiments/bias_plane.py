"""Around Eq 9 of Jordan, Sokol & Park (2021): every bifurcation curve in the plane of its two biases.

    python experiments/bias_plane.py [--quick] [--out-dir results]

Eq 9 is a line in this plane, b_h[0] = 0.32, along which the text finds a Hopf and then a homoclinic
bifurcation. Both are curves between the same two Bogdanov-Takens points; the diagram says what they come
from and what else is near. Where the curves cut that line they are compared with what `locate` finds on it.
Prints curves and points of codimension two; writes bias_plane.h5, .png and .json.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write
from scipy.interpolate import CubicSpline

import gru_sweep as gs
from gru_sweep import atlas, reports

NAME = "bias_plane"
X, Y = "b_h[1]", "b_h[0]"
PLANE = {X: (0.03, 0.08), Y: (0.25, 0.36)}
EQ9 = 0.32
"""b_h[0] of Eq 9, whose gamma is b_h[1]."""
LINE = (0.05, 0.06)
"""gamma between which `locate` looks."""
DETAIL = ((0.0316, 0.0331), (0.2952, 0.2973))
"""What the second picture shows: the cusp, a Bogdanov-Takens point and a saddle-node loop."""
FACES = ("hopf", "homoclinic")


def cell() -> gs.GRU:
    """The cell of Eq 9: U_h is 3 times a rotation by -pi/20, reset gates are half open."""
    c, s = 3.0 * math.cos(math.pi / 20), 3.0 * math.sin(math.pi / 20)
    return gs.GRU(U_h=[[c, s], [-s, c]], b_h=[EQ9, 0.0535])


def on_the_line(data: xr.Dataset, kind: str) -> list[float]:
    """gamma where the curves of a kind cut the line of Eq 9, by splines through their vertices."""
    words = str(data["kind"].attrs["flag_meanings"]).split()
    ends = np.cumsum(data["row_size"].values)
    found: list[float] = []
    for code, end, size in zip(data["kind"].values, ends, data["row_size"].values):
        if words[code] == kind:
            part = data.isel(vertex=slice(int(end - size), int(end)))
            length = part["length"].values
            lengths = CubicSpline(length, part[Y].values - EQ9).roots(extrapolate=False)
            found += CubicSpline(length, part[X].values)(lengths).tolist()
    return sorted(x for x in found if LINE[0] < x < LINE[1])


def compute(quick: bool) -> tuple[xr.Dataset, dict[str, Any]]:
    """The curves, and what is to be said of them."""
    data = gs.curves("weights", weights=cell(), fixed_points_only=quick, **PLANE)
    located = [] if quick else gs.locate("homoclinic", gamma=LINE)
    line = {
        kind: {
            "curve": on_the_line(data, kind),
            "located": [event.value for event in located if event.kind == kind],
        }
        for kind in FACES
    }
    return data, {"plane": PLANE, "b_h[0] of Eq 9": EQ9, "on the line of Eq 9": line, **atlas.summary(data)}


def draw(data: xr.Dataset, path: Path) -> None:
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, spans in zip(figure.subplots(1, 2), (tuple(PLANE.values()), DETAIL)):
        gs.plot.curves(data, axes, legend=spans is not DETAIL)
        axes.axhline(EQ9, color="0.7", linewidth=0.8, zorder=0)
        axes.set(xlim=spans[0], ylim=spans[1], xlabel=f"{X}, the gamma of Eq 9", ylabel=Y)
    figure.axes[0].set_title("Eq 9 with any biases; grey: Eq 9", fontsize=10)
    figure.axes[1].set_title("around the cusp", fontsize=10)
    figure.savefig(path, dpi=120)


def main() -> None:
    given = arguments(__doc__, "curves of fixed points only, and nothing to compare them with")
    data, verdict = compute(given.quick)
    print(reports.curves(f"{NAME}.h5", verdict))
    for kind, both in verdict["on the line of Eq 9"].items():
        print(f"{kind} at b_h[0] = {EQ9}: on the curve {both['curve']}, located {both['located']}")
    write(given.out_dir, NAME, data, verdict, lambda path: draw(data, path))


if __name__ == "__main__":
    main()
