"""The census in one picture: how frequent the topologies are, and the most extreme portraits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import gru_sweep as gs

from .cells import cell, row_of
from .distributions import DISTRIBUTIONS, READINGS
from .tally import Tally

STYLES = dict(zip(READINGS, ("-", "--", ":"), strict=True))
PANELS = "ABCDEF"


def draw(tally: Tally, found: dict[str, Any], path: Path) -> None:
    """Write the picture of a tally and of its document."""
    figure = Figure(figsize=(19.0, 11.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic(
        [["rank", *PANELS[:3]], ["rank", *PANELS[3:]]], gridspec_kw={"width_ratios": [1.4, 1.0, 1.0, 1.0]}
    )
    rank_frequency(tally, axes["rank"])
    figure.legend(
        *axes["rank"].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=6,
        fontsize=8,
        frameon=False,
    )
    shown = extremes(found)
    for name in PANELS[len(shown) :]:
        axes[name].set_axis_off()
    for name, (title, parts) in zip(PANELS, shown):
        panel = axes[name]
        gs.plot.portrait(
            cell(row_of(parts)), ax=panel, title="", legend=False, colorbar=False, trajectories=False
        )
        panel.set(xlabel="", ylabel="", xticks=[], yticks=[])
        panel.set_title(title, fontsize=9)
    figure.savefig(path, dpi=80)


def rank_frequency(tally: Tally, axes: Axes) -> None:
    """One line for each distribution: shares of its topologies, the most frequent first."""
    colours = colormaps["tab20"].colors
    counts = np.array(list(tally.count.values())).reshape(-1, len(DISTRIBUTIONS))
    for k, d in enumerate(DISTRIBUTIONS):
        ordered = np.sort(counts[:, k][counts[:, k] > 0])[::-1]
        axes.loglog(
            np.arange(1, ordered.size + 1),
            ordered / max(tally.drawn[k], 1),
            linestyle=STYLES[d.reading],
            color=colours[k % len(colours)],
            label=f"{d.name} ({d.reading})",
        )
    axes.set(
        xlabel="rank of the topology", ylabel="share of the cells drawn", title=f"{len(counts)} topologies"
    )


def extremes(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(title, weights) of at most six portraits."""
    conjectures = found["conjectures"]
    points = conjectures["fixed points"]["by_reading"][READINGS[1]]["examples"]
    shown = [(f"{e['n_fixed_points']} fixed points ({e['from']})", e["weights"]) for e in points[:1]]
    best = [c for c in found["climbs"] if c["goal"] not in ("fixed points", "sinks")]
    shown += [(f"most {c['goal']}, {c['reading']}\n{broken(c['topology'])}", c["weights"]) for c in best]
    for evidence in conjectures["update gate"]["by_distribution"].values():
        for e in evidence["examples"]:
            title = f"{broken(e['topology'])}; without\nupdate gate {broken(e['topology_without'])}"
            shown.append((title, e["weights"]))
    return shown[: len(PANELS)]


def broken(label: str, width: int = 52) -> str:
    """The label on as few lines as fit, broken after commas and semicolons."""
    lines = [""]
    for word in re.findall(r"[^,;]+[,;]?", label):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)
