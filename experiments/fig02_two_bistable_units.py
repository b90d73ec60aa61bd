"""Fig 2 of Jordan, Sokol & Park (2021): two independent bistable units are a machine of four states.

    python experiments/fig02_two_bistable_units.py [--quick] [--out-dir results]

U_h = u I with u = 5, the rest zero. A: the portrait, with nine fixed points, four of them sinks. B: the sink
at which each start of a grid arrives, which the text says is the one in its own quadrant. C: the state under
pulses of input, each of which sets one unit. Prints the claims beside what is found; writes
fig02_two_bistable_units.h5, .png and .json.
"""

from __future__ import annotations

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from outputs import arguments, write

import gru_sweep as gs
from gru_sweep.analysis.fixed_points import stable
from gru_sweep.analysis.taylor import trajectory
from gru_sweep.plotting.styles import MARKERS

NAME = "fig02_two_bistable_units"
U = 5.0
FULL, QUICK = 80, 20
"""Starts on each side of the grid. Even: none lies on an axis, where the basins end."""
SETTLED = 60.0
"""Time after which every start has arrived: they leave the axes at the rate (u / 2 - 1) / 2."""
NEAR = 1e-2
"""A start has arrived when it is this close to a sink."""
PULSES = ((0.0, 0.0), (2.0, 0.0), (0.0, 2.0), (-2.0, 0.0), (0.0, -2.0))
"""Inputs to the candidate state, one after the other."""
ON, REST, SAMPLES = 6.0, 14.0, 61
"""Duration of a pulse, and of the rest after it; samples of each."""
COLOURS = ("#A6CEE3", "#FDE0A5", "#E8C1DA", "#B8E0C8")


def cell(x: tuple[float, float] = (0.0, 0.0)) -> gs.GRU:
    """The two units; a constant input to the candidate state is a bias."""
    return gs.GRU(U_h=U * jnp.eye(2), b_h=jnp.asarray(x))


@eqx.filter_jit
def arrivals(field: gs.GRU, starts: jax.Array) -> jax.Array:
    """Where each start (n, 2) is after a time `SETTLED`."""
    times = np.array([0.0, SETTLED])
    return jax.vmap(lambda start: trajectory(field, start, times).state[-1])(starts)


def nearest(sinks: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The number of the sink at which each state (n, 2) is, -1 where it is at none."""
    apart = np.linalg.norm(states[:, None] - sinks, axis=-1)
    return np.where(apart.min(axis=1) < NEAR, apart.argmin(axis=1), -1)


def driven(start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) and states (n, 2) from `start`: every pulse, and the rest after it."""
    times, states, clock = [], [np.asarray(start)[None]], 0.0
    for pulse in PULSES:
        for field, duration in ((cell(pulse), ON), (cell(), REST)):
            run = trajectory(field, states[-1][-1], np.linspace(0.0, duration, SAMPLES))
            times.append(clock + np.asarray(run.time))
            states.append(np.asarray(run.state))
            clock += duration
    return np.concatenate(times), np.concatenate(states[1:])


def compute(side: int) -> tuple[xr.Dataset, object]:
    """Basins, and the state under pulses; and the portrait."""
    portrait = gs.phase_portrait(cell())
    sinks = portrait.fixed_point[stable(portrait.kind)]
    h = np.linspace(-1.0, 1.0, side)
    starts = np.stack(np.meshgrid(h, h, indexing="ij"), axis=-1).reshape(-1, 2)
    basin = nearest(sinks, np.asarray(arrivals(cell(), jnp.asarray(starts))))
    times, states = driven(sinks[0])
    dataset = xr.Dataset(
        {
            "sink": (("number", "unit"), sinks, {"long_name": "state of each sink"}),
            "basin": (
                ("start_1", "start_2"),
                basin.reshape(side, side).astype(np.int8),
                {"long_name": "number of the sink at which a start arrives, -1 for none"},
            ),
            "state": (("time", "unit"), states, {"long_name": "state under pulses of input"}),
        },
        coords={"start_1": h, "start_2": h, "time": ("time", times, {"units": "time"})},
        attrs={
            "title": "two independent bistable units (Jordan, Sokol & Park 2021, Fig 2)",
            "equation": "dh/dt = (tanh(u h / 2 + x) - h) / 2",
            "u": U,
            "topology": portrait.topology,
        },
    )
    return dataset, portrait


def judge(ds: xr.Dataset, portrait) -> dict:
    """Claims and findings as plain numbers."""
    starts = np.stack(np.meshgrid(ds.start_1, ds.start_2, indexing="ij"), axis=-1)
    reached = ds.sink.values[ds.basin.values]
    own = (ds.basin.values >= 0) & (np.sign(starts) == np.sign(reached)).all(axis=-1)
    after = ds.state.values[2 * SAMPLES - 1 :: 2 * SAMPLES]
    return {
        "fixed_points": {"claim": 9, "found": int(portrait.n_fixed_points)},
        "sinks": {"claim": 4, "found": int(portrait.n_sinks)},
        "certified": bool(portrait.certified),
        "topology": portrait.topology,
        "status": portrait.to_dict()["status"],
        "basins": {
            "claim": "each start arrives at the sink in its own quadrant",
            "starts": int(own.size),
            "in_their_own_quadrant": int(own.sum()),
        },
        "states_after_each_pulse": {
            "pulses": [list(pulse) for pulse in PULSES],
            "sinks": nearest(ds.sink.values, after).tolist(),
        },
    }


def report(verdict: dict) -> str:
    """The findings as text."""
    basins, after = verdict["basins"], verdict["states_after_each_pulse"]
    rows = [("", "claim of the text", "found here")]
    for name in ("fixed_points", "sinks"):
        rows.append((name.replace("_", " "), str(verdict[name]["claim"]), str(verdict[name]["found"])))
    share = f"{basins['in_their_own_quadrant']} of {basins['starts']} starts"
    rows.append(("basins", "the quadrants", f"the quadrants, for {share}"))
    lines = [f"{a:<16}{b:<20}{c}" for a, b, c in rows]
    lines.append(f"topology        {verdict['topology']} ({verdict['status']})")
    moves = (f"{pulse} -> sink {sink}" for pulse, sink in zip(after["pulses"], after["sinks"]))
    return "\n".join([*lines, f"pulses          {', '.join(moves)}"])


def draw(ds: xr.Dataset, portrait, path: Path) -> None:
    figure = Figure(figsize=(13.0, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.15))
    gs.plot.portrait(portrait, ax=left, title="", legend=False, colorbar=False)
    left.set_title(f"A: {int(portrait.n_fixed_points)} fixed points", fontsize="medium")
    _basins(middle, ds)
    for unit, (colour, style) in enumerate((("#0072B2", "-"), ("#D55E00", "--"))):
        label = f"$h_{unit + 1}$"
        right.plot(ds.time, ds.state.values[:, unit], color=colour, linestyle=style, label=label)
    for i, pulse in enumerate(PULSES):
        if any(pulse):
            begin = i * (ON + REST)
            right.axvspan(begin, begin + ON, color="0.88", linewidth=0)
            words = rf"$x_{int(np.argmax(np.abs(pulse))) + 1} = {sum(pulse):+.0f}$"
            right.text(begin + ON / 2, 1.06, words, ha="center", va="bottom", fontsize="small")
    right.set_box_aspect(0.85)
    right.set(xlabel="time", ylabel="state", ylim=(-1.05, 1.2), xlim=(0, ds.time.values[-1]))
    right.legend(loc="center right", fontsize="small")
    right.set_title("C: pulses of input move between states", fontsize="medium")
    figure.savefig(path, dpi=150)


def _basins(axes: Axes, ds: xr.Dataset) -> None:
    colours = ListedColormap(["white", *COLOURS[: ds.sizes["number"]]])
    axes.pcolormesh(
        ds.start_1, ds.start_2, ds.basin.values.T, cmap=colours, vmin=-1.5, vmax=ds.sizes["number"] - 0.5
    )
    for number, sink in enumerate(ds.sink.values):
        axes.plot(*sink, **({"markersize": 9.0} | MARKERS[gs.Kind.STABLE_NODE]))
        axes.annotate(f"sink {number}", 0.72 * sink, ha="center", va="center")
    axes.set(xlabel="$h_1$ at the start", ylabel="$h_2$ at the start", aspect="equal")
    axes.set(xlim=(-1.06, 1.06), ylim=(-1.06, 1.06))
    axes.set_title("B: sink that is reached", fontsize="medium")


def main() -> None:
    given = arguments(__doc__, "a coarser grid of starts")
    ds, portrait = compute(QUICK if given.quick else FULL)
    verdict = judge(ds, portrait)
    write(given.out_dir, NAME, ds, verdict, lambda path: draw(ds, portrait, path))
    print(report(verdict))


if __name__ == "__main__":
    main()
