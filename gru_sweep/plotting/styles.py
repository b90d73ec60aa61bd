"""How each part of a phase portrait is drawn: arguments of matplotlib's artists.

The filling of a fixed point is its stability (filled:
stable, open: unstable), the shape its kind (circle: node, diamond: focus, cross: saddle, half-filled:
degenerate). The hues of the lines are those of Okabe & Ito, which colour-blind readers can tell apart;
without any colour dashes, widths and shapes still differ.
"""

from __future__ import annotations

from typing import Any

from matplotlib.colors import LinearSegmentedColormap

from ..records import Kind

PALE = LinearSegmentedColormap.from_list("pale", ["#6685ad", "#92b1cb", "#c6dce3", "#fbfaf0"])
"""Lightness alone orders it, and its darkest colour is light enough to draw on."""

NULLCLINES: tuple[dict[str, Any], ...] = (
    {"colors": "#009E73", "linestyles": "dashdot", "linewidths": 1.3},
    {"colors": "#CC79A7", "linestyles": "dashed", "linewidths": 1.3},
)
CURVES: dict[str, dict[str, Any]] = {
    "trajectories": {"label": "trajectory", "colors": "0.25", "linewidths": 0.7},
    "stable_manifolds": {
        "label": "stable manifold",
        "colors": "#0072B2",
        "linewidths": 1.6,
        "linestyles": [(0, (6, 1.2))],
    },
    "unstable_manifolds": {"label": "unstable manifold", "colors": "#D55E00", "linewidths": 1.6},
    "stable_cycles": {"label": "stable cycle", "colors": "black", "linewidths": 2.2},
    "unstable_cycles": {
        "label": "unstable cycle",
        "colors": "black",
        "linewidths": 2.0,
        "linestyles": [(0, (3, 1.5))],
    },
}
"""The lists of `orbits.Orbits`, from the bottom up."""
MARKERS: dict[Kind, dict[str, Any]] = {
    Kind.STABLE_NODE: {"marker": "o", "markerfacecolor": "black", "markeredgecolor": "white"},
    Kind.STABLE_FOCUS: {
        "marker": "D",
        "markerfacecolor": "black",
        "markeredgecolor": "white",
        "markersize": 6.5,
    },
    Kind.UNSTABLE_NODE: {"marker": "o", "markerfacecolor": "white", "markeredgecolor": "black"},
    Kind.UNSTABLE_FOCUS: {
        "marker": "D",
        "markerfacecolor": "white",
        "markeredgecolor": "black",
        "markersize": 6.5,
    },
    Kind.SADDLE: {"marker": "X", "markerfacecolor": "#D55E00", "markeredgecolor": "black", "markersize": 8.5},
    Kind.DEGENERATE: {
        "marker": "o",
        "fillstyle": "left",
        "markerfacecolor": "black",
        "markerfacecoloralt": "white",
        "markeredgecolor": "black",
    },
}
