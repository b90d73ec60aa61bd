"""The table and the picture of `small_chaos.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from chaos_examples import orbit, section
from chaos_search import FINE, FORMULAS, GATES, SCREENING, SIGMAS, STARTS, shear
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SHOWN, WIDTH, CROSSED = 400.0, 0.05, 2000.0
"""Time of an orbit that is drawn, between its states, and of one whose section is."""


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown."""
    steps = " and ".join(f"{clock.width:g}" for clock in FINE)
    lines = [
        "# Chaos in few gated units",
        "",
        f"By `python experiments/small_chaos.py`, seed {found['seed']}. Claim: chaos in a GRU of three "
        f"units is probable. Verdict: {found['verdict']}.",
        "",
        f"Chaotic: the mean exponent from {STARTS} starts over {found['time']:g} units of time, or steps of "
        f"a map, exceeds ln(T)/T by {SIGMAS:g} standard errors, of flows with steps of {steps}. Unresolved: "
        "it exceeds ln(T)/T with some step, but not so. Exponents that a first look finds below "
        f"{shear(SCREENING):.4f} are taken for none. Intervals are Wilson's of 95 %. One start for each "
        "network, so that shares are of pairs of a network and a start.",
        "",
        "| networks | drawn | looked at again | chaotic | share | interval | unresolved | largest exponent |",
        "|---|---:|---:|---:|---:|---|---:|---:|",
    ]
    for one in found["draws"]:
        count, of, (low, high) = (one["chaotic"][k] for k in ("count", "of", "interval"))
        top = f"{one['best'][0]['exponent'][-1]:.4f} ± {one['best'][0]['error'][-1]:.4f}" if count else "-"
        lines.append(
            f"| {one['draw']} | {of} | {one['suspects']} | {count} | {count / of:.2e} "
            f"| {low:.1e} to {high:.1e} | {one['unresolved']} | {top} |"
        )
    lines += ["", "Entries, g a standard normal number, U(a,b) a uniform one for each part of a cell:", ""]
    lines += [f"- {GATES.get(k, 'all')}: `{v}`" for k, v in FORMULAS.items()]
    lines += [
        "",
        "Exponents are per unit of time of Eq 7, or per step. Flows at length, with standard errors:",
        "",
        "| network | step | exponents | Kaplan-Yorke dimension |",
        "|---|---:|---|---:|",
    ]
    for one in found["examples"]:
        for s in one["spectra"]:
            values = ", ".join(f"{v:.4f} ± {e:.4f}" for v, e in zip(s["exponents"], s["errors"]))
            size = f"{s['dimension']:.4f} ± {s['dimension_error']:.4f}"
            lines.append(f"| {one['source']} | {s['step']:g} | {values} | {size} |")
        other = "{exponent:.4f} ± {error:.4f}".format(**one["adaptive"])
        lines.append(f"| {one['source']} | DOP853 | {other} | |")
    lines += ["", "Their entries, and states to start from:", ""]
    for one in found["examples"]:
        given = one["parameters"] | {"h": one["state"]}
        lines.append(f"- {one['source']}: `{json.dumps(given)}`")
    return "\n".join(lines) + "\n"


def draw_examples(found: dict[str, Any], path: Path) -> None:
    """Orbit and section of every example."""
    many = len(found["examples"])
    figure = Figure(figsize=(4.0 * max(many, 1), 7.4), layout="constrained")
    FigureCanvasAgg(figure)
    for i, one in enumerate(found["examples"]):
        states = orbit(one["parameters"], one["state"], CROSSED, WIDTH)
        above = figure.add_subplot(2, many, 1 + i, projection="3d")
        value = one["spectra"][-1]
        title = f"{one['source']}\nexponent {value['exponents'][0]:.4f}, dimension {value['dimension']:.3f}"
        draw_orbit(above, states[: round(SHOWN / WIDTH)], title)
        draw_section(figure.add_subplot(2, many, 1 + many + i), section(states))
    figure.savefig(path, dpi=100)


def draw_orbit(axes: Axes, states: np.ndarray, title: str) -> None:
    """The orbit in three dimensions."""
    axes.plot(*states.T, linewidth=0.35, color="tab:blue")
    axes.set(xlabel="$h_1$", ylabel="$h_2$", zlabel="$h_3$")
    axes.set_title(title, fontsize="medium")


def draw_section(axes: Axes, points: np.ndarray) -> None:
    """Its points in the plane."""
    axes.plot(*points.T, linestyle="none", marker=".", markersize=1.5, color="black")
    axes.set(xlabel="$h_2$", ylabel="$h_3$")
    axes.set_title("where $h_1$ rises through its mean", fontsize="medium")
