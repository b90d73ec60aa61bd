"""Pictures of the machines: their states and moves as a graph, and paths under noise in the phase plane."""

from __future__ import annotations

import jax
import networkx as nx
import numpy as np
from escapes import SEED
from machines import MACHINES, Machine, states
from matplotlib.axes import Axes
from noise import paths
from planes import plane

SHOWN = (1e-3, 6, 2400)
"""Noise, paths and steps of those drawn."""


def state_graph(axes: Axes, machine: Machine, moves: nx.MultiDiGraph) -> None:
    """Draw the states, and an arrow for each move with the directions of the pulses that make it."""
    places = {i: (i // 2, i % 2) for i in range(4)}
    for i, j in sorted({(i, j) for i, j, _ in moves.edges}):
        words = "".join(data["direction"] for data in moves.get_edge_data(i, j).values())
        begin, end = np.array(places[i]), np.array(places[j])
        axes.annotate(
            "",
            end,
            begin,
            arrowprops={
                "arrowstyle": "-|>",
                "connectionstyle": "arc3,rad=0.14",
                "shrinkA": 22,
                "shrinkB": 22,
                "color": "0.35",
            },
        )
        way = end - begin
        # beside the arc, nearer to where it begins: two arcs cross in the middle
        at = begin + 0.36 * way + 0.1 * np.array([way[1], -way[0]])
        axes.text(*at, words, ha="center", va="center", fontsize="medium")
    for i, state in enumerate(states(machine)):
        axes.plot(*places[i], "o", color="#DDEBF5", markeredgecolor="black", markersize=40)
        axes.text(
            *places[i], "({:.2f},\n{:.2f})".format(*(state + 0.0)), ha="center", va="center", fontsize=8
        )
    axes.set(xlim=(-0.35, 1.35), ylim=(-0.35, 1.35), aspect="equal")
    axes.set_axis_off()


def noisy_paths(axes: Axes) -> None:
    """Paths of the second machine under noise, from its merged point."""
    strength, count, steps = SHOWN
    machine = MACHINES[1]
    plane(axes, machine.cell(), (-1.1, -1.1), (0.4, 0.4), 3.0)
    runs = paths(machine.cell(), np.zeros(2), np.array(strength), jax.random.key(SEED + 1), (count, steps))
    for run, colour in zip(
        np.asarray(runs), ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "black")
    ):
        axes.plot(*run.T, color=colour, linewidth=0.6, alpha=0.8)
    for state in states(machine):
        axes.plot(*state, "o", color="black", markeredgecolor="white", markersize=8)
    axes.set_title(f"E: paths from 0 under noise, $D$ = {strength:g}", fontsize="medium")
