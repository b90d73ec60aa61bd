r"""Section 6 of Jordan, Sokol & Park (2021): what the update gate does: slow points, and pseudo-attractors.

    python experiments/slow_points.py [--quick] [--out-dir results]

Since dh/dt = (1 - z) o (...) and 1 - z > 0, fixed points do not depend on z; where z_i nears 1, unit i all
but stops. The cell of Eq 8 at alpha = 0.65, beta = 3, with a gate z = sigma(k (h_1 + h_2 - c)):

- of both units: orbits stay what they are and the time along them stretches, so that the period is

      T_k = oint dt (1 + exp(k (h_1 + h_2 - c))) / 2

  over the cycle of k = 0; how much of it is spent where the gate is all but shut;
- of unit 1 alone, by h_1: it all but stops there and h_2 falls to its nullcline, a slow manifold;
- in floating point: the discrete unit h + (1 - z)(...) stops for good where the step is below half a unit in
  the last place: a pseudo-attractor.

Then the text's claim that z does not change the topology: fixed points and saddles under drawn gates, proven;
and a cell of trace (1 - z_1)/2 - (1 - z_2) at h = 0, which unequal b_z take through a Hopf bifurcation, at
1 - z_2 = 1/4: b_z = ln 3. Writes slow_points.h5, .png and .json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import xarray as xr
from conjectures.cells import cell
from conjectures.portraits import Portraits
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write
from planes import plane
from update_gate import GATES, OUTSIDE, SEED, SHARP, frozen, gated, grid, same_points, shut, turned

import gru_sweep as gs
from gru_sweep.analysis.taylor import trajectory
from gru_sweep.measures import FEW
from gru_sweep.plotting.styles import MARKERS

NAME = "slow_points"
CLOSING = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
"""k. At the largest values the period is too long for a portrait; the integral goes on."""
SHOWN = 8.0
"""k of the pictures."""
SHUT = 0.1
"""The gate is all but shut where 1 - z is below this."""
SAMPLES, LANES = 1024, 16
"""Equally spaced states of a trajectory: on the cycle the trapezoidal rule converges exponentially; and how
many trajectories are followed together."""
WAIT, STILL = 60.0, 1e-5
"""Starts where 1 - z_1 is below `STILL` are looked at after this time: h_1 moves by less than 2 WAIT STILL,
and h_2 has relaxed, at rates near 1/2."""
FULL, QUICK = (80, GATES), (20, 3)
"""Starts on each side of the grid, and drawn gates."""
STARTS = np.array(
    [[-0.9, 0.9], [0.1, 0.95], [0.5, 0.95], [0.95, 0.3], [0.7, -0.9], [-0.9, -0.6], [0.95, 0.8]]
)
DRAWN = 40.0
"""Starts of the trajectories that are drawn, and for how long."""


@eqx.filter_jit
def _followed(field: gs.GRU, starts: jax.Array, times: jax.Array) -> jax.Array:
    return jax.vmap(lambda start: trajectory(field, start, times).state)(starts)


def followed(field: gs.GRU, starts: np.ndarray, duration: float) -> np.ndarray:
    """States (n, SAMPLES + 1, 2), equally spaced in time, from each of the starts (n, 2).

    In blocks of `LANES` starts: one compiled program.
    """
    times, full = np.linspace(0.0, duration, SAMPLES + 1), np.arange(-(-len(starts) // LANES) * LANES)
    blocks = starts[full % len(starts)].reshape(-1, LANES, 2)
    return np.concatenate([np.asarray(_followed(field, block, times)) for block in blocks])[: len(starts)]


def stretched(portraits: Portraits) -> tuple[dict, np.ndarray]:
    """Periods and dwell times for all k, by portraits and by the integral; the cycle (SAMPLES, 2)."""
    columns = portraits(np.array([gated(k) for k in CLOSING]))
    base = float(columns["period"][0])
    cycle = followed(cell(gated(0.0)), columns["cycle_point"][0, :1], base)[0, :-1]
    slowing = [0.5 / shut(k, cycle) for k in CLOSING]
    integral = np.array([base * one.mean() for one in slowing])
    dwell = [float(one[shut(k, cycle) < SHUT].sum() / one.sum()) for k, one in zip(CLOSING, slowing)]
    known = np.isfinite(columns["period"])
    off = np.abs(columns["period"][known] / integral[known] - 1.0)
    return {
        "k": list(CLOSING),
        "topology": columns["label"].tolist(),
        "period": [float(x) if np.isfinite(x) else None for x in columns["period"]],
        "period_by_the_integral": integral.tolist(),
        "largest_relative_difference": float(off.max()),
        "share_of_the_period_where_all_but_shut": dwell,
        "share_of_the_cycle_of_k_0_there": [float((shut(k, cycle) < SHUT).mean()) for k in CLOSING],
        "all_but_shut_below": SHUT,
    }, cycle


def manifold(side: int) -> dict:
    """What starts do where the gate of unit 1 alone is shut: h_1 stays, h_2 falls to its nullcline."""
    field, starts = cell(gated(SHARP, True)), grid(side)
    starts = starts[shut(SHARP, starts, True) < STILL]
    ends = followed(field, starts, WAIT)[:, -1]
    before, after = (np.abs(np.asarray(jax.vmap(field)(h)))[:, 1] for h in (starts, ends))
    moved = np.abs(ends - starts)
    return {
        "starts": len(starts),
        "waited": WAIT,
        "largest_change_of_h_1": float(moved[:, 0].max()),
        "largest_change_of_h_2": float(moved[:, 1].max()),
        "largest_rate_of_h_2_before": float(before.max()),
        "largest_rate_of_h_2_after": float(after.max()),
    }


def compute(side: int, gates: int) -> tuple[xr.Dataset, dict]:
    """Periods, slow manifold, pseudo-attractors and the claim on topology."""
    times, cycle = stretched(Portraits(FEW))
    stops, maps = frozen(side)
    verdict: dict[str, Any] = {
        "claim": "the update gate changes speed, not the topology; slow points, pseudo-attractors",
        "common_gate": times,
        "gate_of_unit_1": manifold(side),
        "pseudo_attractors": stops,
        "fixed_points_under_drawn_gates": same_points(gates),
        "unequal_biases": turned(),
    }
    h = np.linspace(-1.0, 1.0, side)
    ds = xr.Dataset(
        {
            "cycle": (("sample", "unit"), cycle, {"long_name": "the cycle, equally spaced in time at k = 0"}),
            "period": ("k", np.array(times["period"], float), {"units": "time"}),
            "period_by_the_integral": ("k", times["period_by_the_integral"], {"units": "time"}),
            "stops": (
                ("precision", "start_1", "start_2"),
                np.array(list(maps.values()), np.int8),
                {"long_name": "0: goes on or is at a fixed point, 1: stops where it starts, 2: elsewhere"},
            ),
        },
        coords={"k": list(CLOSING), "precision": list(maps), "start_1": h, "start_2": h},
        attrs={
            "title": "slow points under the update gate (Jordan, Sokol & Park 2021, section 6)",
            "seed": SEED,
        },
    )
    return ds, verdict


def report(verdict: dict) -> str:
    """The findings as text."""
    times, slow = verdict["common_gate"], verdict["gate_of_unit_1"]
    lines = [f"{'k':>5}{'period':>14}{'by the integral':>18}{'all but shut':>14}   topology"]
    for k, period, integral, share, label in zip(
        *(times[c] for c in ("k", "period", "period_by_the_integral")),
        times["share_of_the_period_where_all_but_shut"],
        times["topology"],
    ):
        shown = "-" if period is None else f"{period:.6f}"
        lines.append(f"{k:>5g}{shown:>14}{integral:>18.6g}{share:>14.4f}   {label or '-'}")
    lines += [
        f"periods agree with the integral to {times['largest_relative_difference']:.1e}",
        f"gate of unit 1: from {slow['starts']} starts within {slow['waited']:g} h_1 moved by at most "
        f"{slow['largest_change_of_h_1']:.1e}, h_2 by up to {slow['largest_change_of_h_2']:.2f}; "
        f"|dh_2/dt| fell from {slow['largest_rate_of_h_2_before']:.1e} to "
        f"{slow['largest_rate_of_h_2_after']:.1e}",
    ]
    for precision, one in verdict["pseudo_attractors"].items():
        lines.append(
            f"{precision}: {one['stop_away_from_fixed_points']} of {one['starts']} starts stop for good away "
            f"from fixed points, {one['came_there_from_elsewhere']} of them came there"
        )
    same = verdict["fixed_points_under_drawn_gates"]
    lines.append(
        f"{same['fixed_points']} fixed points: the same under {same['within_their_errors']} of "
        f"{same['gates']} drawn gates, the same saddles under {same['same_saddles']}, the same kinds under "
        f"{same['same_kinds']}"
    )
    for event in verdict["unequal_biases"]["events"]:
        lines.append(
            f"unequal biases: {event['kind']} at b_z[1] = {event['value']:.12f} +- {event['error']:.0e} "
            f"(ln 3 = {verdict['unequal_biases']['closed_form']:.12f}), {event['from']} -> {event['to']}"
        )
    return "\n".join(lines)


def draw(ds: xr.Dataset, verdict: dict, path: Path) -> None:
    figure = Figure(figsize=(15.0, 9.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic("ABC;DEF")
    for letter, k, alone, title in (
        ("A", 0.0, False, "no update gate"),
        ("B", SHOWN, False, f"both units gated, $k$ = {SHOWN:g}"),
        ("C", SHARP, True, f"unit 1 gated by itself, $k$ = {SHARP:g}"),
    ):
        _speeds(axes[letter], k, alone, ds.cycle.values)
        axes[letter].set_title(f"{letter}: speed, {title}", fontsize="medium")
    times = verdict["common_gate"]
    axes["D"].semilogy(ds.k, times["period_by_the_integral"], color="black", label="integral over the cycle")
    axes["D"].semilogy(ds.k, ds.period, "o", color="#D55E00", label="portrait")
    axes["D"].set(xlabel="$k$", ylabel="period (time)")
    axes["D"].legend(fontsize="small")
    axes["D"].set_title("D: both units gated", fontsize="medium")
    axes["E"].plot(
        ds.k, times["share_of_the_period_where_all_but_shut"], "o-", color="#0072B2", label="of the period"
    )
    axes["E"].plot(
        ds.k, times["share_of_the_cycle_of_k_0_there"], "s--", color="0.5", label="of the period without gate"
    )
    axes["E"].set(xlabel="$k$", ylabel=f"share spent where $1 - z$ < {SHUT:g}", ylim=(-0.03, 1.03))
    axes["E"].legend(fontsize="small")
    axes["E"].set_title("E: how long trajectories dwell", fontsize="medium")
    _stops(axes["F"], ds)
    figure.savefig(path, dpi=110)


def _speeds(axes: Axes, k: float, alone: bool, cycle: np.ndarray) -> None:
    field = cell(gated(k, alone))
    plane(axes, field, (-1.06, -1.06), (1.06, 1.06), 4.0)
    for states in followed(field, STARTS, DRAWN):
        axes.plot(*states.T, color="0.2", linewidth=0.9)
    if alone:
        axes.axvline(OUTSIDE, color="#E69F00", linewidth=1.2)
    else:
        axes.plot(*np.vstack([cycle, cycle[:1]]).T, color="black", linewidth=2.2)
        x = np.linspace(-1.06, 1.06, 3)
        axes.plot(x, OUTSIDE - x, color="#E69F00", linewidth=1.2 if k else 0.0)
    axes.plot(0.0, 0.0, linestyle="none", **MARKERS[gs.Kind.UNSTABLE_FOCUS])
    axes.set(xlim=(-1.06, 1.06), ylim=(-1.06, 1.06))


def _stops(axes: Axes, ds: xr.Dataset) -> None:
    single, double = ds.stops.values
    x, y = ds.start_1.values, ds.start_2.values
    axes.pcolormesh(x, y, single.T, cmap="Oranges", vmin=0, vmax=3, shading="nearest", rasterized=True)
    axes.contour(x, y, (double == 1).T.astype(float), levels=[0.5], colors="#0072B2", linewidths=1.5)
    axes.set(xlabel="$h_1$ at the start", ylabel="$h_2$ at the start", aspect="equal")
    axes.set_title(
        f"F: discrete unit, $k$ = {SHARP:g}: in float32 starts stop at once (pale)\nor later (dark); "
        "blue: at once also in float64",
        fontsize="medium",
    )


def main() -> None:
    given = arguments(__doc__, "fewer starts and gates")
    ds, verdict = compute(*(QUICK if given.quick else FULL))
    write(given.out_dir, NAME, ds, verdict, lambda path: draw(ds, verdict, path))
    print(report(verdict))


if __name__ == "__main__":
    main()
