r"""Figs 2B and 3B of Jordan, Sokol & Park (2021): states of two gated units, and what moves between them.

    python experiments/switching.py [--quick] [--out-dir results]

Two machines of four states, each of two units that do not act on each other: Fig 2's four sinks (U_h = 5 I),
and a cell with Fig 3B's points (U_h = 3 I, U_r = -5 I, b_r = -ln 2), whose units have a half-stable state at
0 and a sink: the sink of both, two saddle-nodes, the merged point at 0. The text gives no parameters. Pulses:
a constant input x to the candidate state (W_h = I) for a time. A table says which pulse takes which state to
which; the weakest pulse that leaves a state, by bisection, is compared with

    T = int_{h*}^{0} dh / f(h, x)

and with the input at which the state itself vanishes. Noise: sqrt(2 D) dW added to the states, a reading of
the text's noise in the input; rates of escape against D, beside the exact mean time of one unit (`noise.py`)
and the height of the potential at the saddle. Writes switching.h5, .png and .json.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import xarray as xr
from escapes import SEED, escapes, judge
from machine_pictures import noisy_paths, state_graph
from machines import MACHINES, Machine, levels, pulsed, states, which
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

NAME = "switching"
TOWARDS = np.array([[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]])
DIRECTIONS = TOWARDS / np.linalg.norm(TOWARDS, axis=1, keepdims=True)
ARROWS = "\u2192\u2197\u2191\u2196\u2190\u2199\u2193\u2198"
STRENGTHS, DURATIONS = np.array([0.25, 0.5, 1.0, 2.0]), np.array([1.0, 3.0, 10.0, 30.0])
"""Of the table's pulses: length of x, and time."""
REFERENCE = (2.0, 10.0)
"""The pulses of the graphs, one of the table's."""
LASTING = np.geomspace(1.0, 64.0, 16)
"""Durations for which the weakest pulse is sought: as many lanes as the table has, one compiled program."""
WEAKEST, STRONGEST, TRIED, HALVINGS = 1e-3, 8.0, 40, 45
"""Strengths among which the first that switches is sought, and how often its bracket is then halved."""
SETTLED, NEAR = 400.0, 0.02
"""Time of rest after which a state has come this close to where it goes: towards a half-stable state
h = 0.6 / t."""
FULL, QUICK = (512, 1.0), (96, 0.2)
"""Trials under noise, and the part of each machine's horizon for which they are followed."""


def table(machine: Machine) -> np.ndarray:
    """Where pulses lead: (state, direction, strength, duration) to the number of a state, -1 for none.

    After each pulse the cell is left alone; where it then is decides.
    """
    known, cell = states(machine), machine.cell()
    shape = (4, len(DIRECTIONS), len(STRENGTHS), len(DURATIONS))
    i, d, s, t = (index.ravel() for index in np.indices(shape))
    end = pulsed(cell, known[i], DIRECTIONS[d] * STRENGTHS[s, None], DURATIONS[t])
    rest = np.asarray(pulsed(cell, end, np.zeros((len(i), 2)), np.full(len(i), SETTLED)))
    apart = np.linalg.norm(rest[:, None] - known, axis=-1)
    return np.where(apart.min(axis=1) < NEAR, apart.argmin(axis=1), -1).reshape(shape)


def weakest(machine: Machine) -> tuple[np.ndarray, np.ndarray]:
    """The strength of the weakest pulse that leaves each state, (state, direction, duration), and where it
    leads: NaN and -1 where none up to `STRONGEST` does, 0 where `WEAKEST` does."""
    known, cell = states(machine), machine.cell()
    shape = (4, len(DIRECTIONS), len(LASTING))
    i, d, t = (index.ravel() for index in np.indices(shape))

    def reached(strength: np.ndarray) -> np.ndarray:
        inputs = DIRECTIONS[d] * strength[:, None]
        return which(machine, np.asarray(pulsed(cell, known[i], inputs, LASTING[t])))

    tried = np.geomspace(WEAKEST, STRONGEST, TRIED)
    leaves = np.array([reached(np.full(len(i), s)) != i for s in tried])
    ever, first = leaves.any(axis=0), leaves.argmax(axis=0)
    low, high = tried[np.maximum(first - 1, 0)], tried[first]
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        gone = reached(middle) != i
        low, high = np.where(gone, low, middle), np.where(gone, middle, high)
    strength = np.where(ever, np.where(first > 0, high, 0.0), np.nan)
    end = np.where(ever, reached(high), -1)
    return strength.reshape(shape), end.reshape(shape)


def duration_of(machine: Machine, strength: float) -> float:
    """How long a pulse on one unit takes it from its negative state to 0: 64-point Gauss-Legendre pieces."""
    low = levels(machine)[0]
    nodes, weights = np.polynomial.legendre.leggauss(64)
    ends = np.linspace(low, 0.0, 33)
    half = np.diff(ends)[:, None] / 2.0
    h = ends[:-1, None] + half * (nodes + 1.0)
    return float((half * weights / machine.rate(h, strength)).sum())


def vanishes(machine: Machine) -> float:
    """The input at which the negative state of a unit merges with the border: the longest pulse's limit."""
    h = np.linspace(levels(machine)[0], 0.0, 200001)
    gate = 1.0 / (1.0 + np.exp(-(machine.reset * h + machine.bias)))
    return float(np.max(np.arctanh(h) - machine.own * gate * h))


def graph(machine: Machine, ends: np.ndarray) -> nx.MultiDiGraph:
    """The states, and an edge for each reference pulse that changes one; `ends` is the table."""
    found: nx.MultiDiGraph = nx.MultiDiGraph()
    found.add_nodes_from(range(4))
    s, t = (int(np.flatnonzero(v == r)[0]) for v, r in zip((STRENGTHS, DURATIONS), REFERENCE))
    for i, d in itertools.product(range(4), range(len(DIRECTIONS))):
        if ends[i, d, s, t] not in (i, -1):
            found.add_edge(i, int(ends[i, d, s, t]), direction=ARROWS[d])
    return found


def compute(trials: int, part: float) -> tuple[xr.Dataset, dict, list[np.ndarray]]:
    """Tables, thresholds and rates of both machines; the verdict; the times of escape."""
    verdict: dict[str, Any] = {"seed": SEED, "machines": {}}
    ends, strengths, leads, times = [], [], [], []
    for machine in MACHINES:
        end = table(machine)
        least, led = weakest(machine)
        moves, escape = graph(machine, end), escapes(machine, trials, part)
        when = escape.pop("when")
        # direction 0 acts on unit 1 alone, whose negative state is that of machine state 0
        alone = least[0, 0]
        off = [
            abs(duration_of(machine, x) / t - 1.0) for x, t in zip(alone, LASTING) if np.isfinite(x) and x > 0
        ]
        verdict["machines"][machine.title] = {
            "states": states(machine).tolist(),
            "pulses_in_the_table": int(end.size),
            "undecided": int((end < 0).sum()),
            "reference_pulse": dict(zip(("strength", "duration"), REFERENCE)),
            "moves": [[i, j, data["direction"]] for i, j, data in moves.edges(data=True)],
            "every_state_from_every_other": bool(nx.is_strongly_connected(moves)),
            "weakest_on_one_unit": {
                "duration": LASTING.tolist(),
                "strength": [None if np.isnan(x) else float(x) for x in alone],
            },
            "largest_relative_difference_from_the_integral": float(max(off)),
            "input_at_which_the_state_vanishes": vanishes(machine),
            "left_at_any_strength": int((least == 0.0).sum()),
            "never_left": int(np.isnan(least).sum()),
            "noise": escape,
        }
        ends.append(end)
        strengths.append(least)
        leads.append(led)
        times.append(when)
    four, merged = (verdict["machines"][machine.title]["noise"] for machine in MACHINES)
    judge(four, merged, times[1])
    ds = xr.Dataset(
        {
            "end": (
                ("machine", "state", "direction", "strength", "duration"),
                np.array(ends, np.int8),
                {"long_name": "number of the state to which a pulse leads, -1 for none"},
            ),
            "weakest": (
                ("machine", "state", "direction", "lasting"),
                np.array(strengths),
                {"long_name": "strength of the weakest pulse that leaves the state, 0 for any"},
            ),
            "weakest_leads_to": (("machine", "state", "direction", "lasting"), np.array(leads, np.int8)),
        },
        coords={
            "machine": [machine.title for machine in MACHINES],
            "angle": ("direction", np.arange(len(DIRECTIONS)) * 45.0, {"units": "degree"}),
            "strength": STRENGTHS,
            "duration": ("duration", DURATIONS, {"units": "time"}),
            "lasting": ("lasting", LASTING, {"units": "time"}),
        },
        attrs={
            "title": "switching between states (Jordan, Sokol & Park 2021, Figs 2B and 3B)",
            "seed": SEED,
        },
    )
    return ds, verdict, times


def report(verdict: dict) -> str:
    """The findings as text."""
    lines = []
    for title, one in verdict["machines"].items():
        words = "" if one["every_state_from_every_other"] else "not "
        noise = one["noise"]
        lines += [
            f"{title}: pulses of length {REFERENCE[0]:g} and duration {REFERENCE[1]:g} lead from every state "
            f"{words}to every other",
            f"   {one['undecided']} of {one['pulses_in_the_table']} pulses of the table lead to no state",
            "   weakest pulse on one unit: "
            + ", ".join(
                f"{t:.3g}: {'none' if x is None else f'{x:.6f}'}"
                for t, x in zip(LASTING, one["weakest_on_one_unit"]["strength"])
            )
            + f"; for ever: {one['input_at_which_the_state_vanishes']:.6f}",
            f"   its duration agrees with the integral to "
            f"{one['largest_relative_difference_from_the_integral']:.1e}",
            "   rates of escape: "
            + ", ".join(
                f"D = {d:g}: {r:.3e} +- {e:.0e} (exact {x:.3e})"
                for d, r, e, x in zip(
                    *(noise[k] for k in ("D", "rate", "standard_error", "exact_rate")), strict=True
                )
            ),
        ]
    four, merged = (one["noise"] for one in verdict["machines"].values())
    lines += [
        f"height of the saddle {four['height_of_the_saddle']:.6f}, from the rates "
        f"{four['height_from_the_rates']:.4f} +- {four['its_standard_error']:.4f}, from the exact ones "
        f"{four['height_from_the_exact_rates']:.4f}",
        f"half-stable states are left at a rate that goes as D^{merged['exponent_of_D']:.3f} "
        f"+- {merged['its_standard_error']:.3f}; both units together, of all: "
        + ", ".join(f"{100 * share:.1f} %" for share in merged["share_direct"]),
    ]
    return "\n".join(lines)


def draw(ds: xr.Dataset, verdict: dict, path: Path) -> None:
    figure = Figure(figsize=(15.0, 9.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic("ABC;DEF")
    for letter, machine, end in zip("AD", MACHINES, ds.end.values):
        state_graph(axes[letter], machine, graph(machine, end))
        axes[letter].set_title(
            f"{letter}: {machine.title}, pulses of {REFERENCE[0]:g} for {REFERENCE[1]:g}", fontsize="medium"
        )
    for machine, colour in zip(MACHINES, ("#0072B2", "#D55E00")):
        one = verdict["machines"][machine.title]
        strength = np.array(one["weakest_on_one_unit"]["strength"], float)
        axes["B"].loglog(LASTING, strength, "o", color=colour, label=machine.title)
        x = np.geomspace(1.0005 * one["input_at_which_the_state_vanishes"], np.nanmax(strength), 200)
        axes["B"].loglog([duration_of(machine, v) for v in x], x, color=colour, linewidth=1.0)
        axes["B"].axhline(one["input_at_which_the_state_vanishes"], color=colour, linestyle=":")
    axes["B"].set(xlabel="duration of the pulse", ylabel="weakest pulse", xlim=(0.8, 90))
    axes["B"].set_title("B: from the sink of one unit; lines: the integral", fontsize="medium")
    axes["B"].legend(fontsize="small")
    four, merged = (verdict["machines"][machine.title]["noise"] for machine in MACHINES)
    x = 1.0 / np.array(four["D"])
    axes["C"].errorbar(x, four["rate"], four["standard_error"], fmt="o", color="#0072B2", label="simulated")
    axes["C"].semilogy(x, four["exact_rate"], color="black", linewidth=1.0, label="exact, one unit")
    axes["C"].set(xlabel="$1/D$", ylabel="rate of escape of a unit (1/time)", yscale="log")
    title = f"C: height of the saddle {four['height_of_the_saddle']:.4f}, from the slope "
    axes["C"].set_title(
        f"{title}{four['height_from_the_rates']:.4f} \u00b1 {four['its_standard_error']:.4f}",
        fontsize="medium",
    )
    axes["C"].legend(fontsize="small")
    noisy_paths(axes["E"])
    axes["F"].errorbar(
        merged["D"], merged["rate"], merged["standard_error"], fmt="o", color="#D55E00", label="simulated"
    )
    axes["F"].loglog(merged["D"], merged["exact_rate"], color="black", linewidth=1.0, label="exact, one unit")
    axes["F"].set(xlabel="$D$", ylabel="rate of leaving 0 of a unit (1/time)")
    axes["F"].set_title(
        f"F: no barrier: $D^{{{merged['exponent_of_D']:.3f} \\pm {merged['its_standard_error']:.3f}}}$",
        fontsize="medium",
    )
    axes["F"].legend(fontsize="small")
    figure.savefig(path, dpi=110)


def main() -> None:
    given = arguments(__doc__, "fewer trials under noise")
    ds, verdict, _ = compute(*(QUICK if given.quick else FULL))
    write(given.out_dir, NAME, ds, verdict, lambda path: draw(ds, verdict, path))
    print(report(verdict))


if __name__ == "__main__":
    main()
