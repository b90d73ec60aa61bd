"""Fig 8 of Jordan, Sokol & Park (2021): a Hopf and then a homoclinic bifurcation of Eq 9.

    python experiments/fig08_hopf_to_homoclinic.py [--quick] [--out-dir results]

The portraits at the four gammas of the text, with the state over time from one start near the focus: a
stable fixed point, a stable cycle, what the text calls a homoclinic orbit, and neither. Where the Hopf
bifurcation is follows from f = tr J = 0 in (h, gamma), all of whose zeros in a box are found and proven.
Prints the claims beside what is found; writes fig08_hopf_to_homoclinic.h5, .png and .json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

import gru_sweep as gs
from gru_sweep.analysis.any_dimension import fixed_points
from gru_sweep.analysis.bifurcations.extended import TRACE, Extended
from gru_sweep.analysis.taylor import trajectory

NAME = "fig08_hopf_to_homoclinic"
CLAIMS = {
    0.051: "a stable fixed point",
    0.0535: "a stable limit cycle",
    0.054085: "a homoclinic orbit",
    0.0542: "neither cycle nor homoclinic orbit",
}
START = (0.02, 0.0)
"""Where a trajectory starts, from the focus."""
FOCUS = (-0.6, -0.53)
"""The focus is the fixed point nearest to this, at each of the gammas."""
DURATION = 1200.0
"""Time that is followed: the focus at 0.0535 expels at the rate 0.0015."""
HOPF_BOX = np.array([[-0.9, -0.9, 0.05], [-0.5, -0.3, 0.056]])
"""Of h and gamma, where the Hopf point is looked for; the neutral saddle at gamma = 0.072 is outside."""
VIEW = {"lower": (-0.85, -0.95), "upper": (-0.15, -0.25)}
"""What is drawn of the plane."""
FULL, QUICK = 6001, 1501
"""Samples of a trajectory."""


def cell(gamma: Any) -> gs.GRU:
    return gs.FAMILIES["homoclinic"].build(gamma=jnp.asarray(gamma, float))


def hopf() -> dict:
    """The one Hopf point in the box: gamma, its proven error, and the angular frequency there."""
    system = Extended(lambda h, p: gs.FAMILIES["homoclinic"].build(gamma=p[0])(h), (TRACE,))
    found = fixed_points(system, *HOPF_BOX)
    ((*h, gamma),) = found.point.tolist()
    values = np.linalg.eigvals(np.asarray(jax.jacfwd(cell(gamma))(jnp.asarray(h))))
    return {
        "gamma": gamma,
        "error": float(found.error[0]),
        "proven": bool(found.proven[0] and found.certified),
        "h": h,
        "largest_real_part": float(np.abs(values.real).max()),
        "angular_frequency": float(values.imag.max()),
    }


followed = eqx.filter_jit(trajectory)


def compute(samples: int) -> tuple[xr.Dataset, list, dict]:
    """Trajectories, portraits and the verdict."""
    times = np.linspace(0.0, DURATION, samples)
    portraits = [gs.phase_portrait(cell(gamma)) for gamma in CLAIMS]
    focuses = []
    for portrait in portraits:
        apart = np.nan_to_num(np.linalg.norm(portrait.fixed_point - FOCUS, axis=1), nan=np.inf)
        focuses.append(int(apart.argmin()))
    points = np.array([p.fixed_point[i] for p, i in zip(portraits, focuses, strict=True)])
    starts = points + np.array(START)
    states = [np.asarray(followed(cell(g), h, times).state) for g, h in zip(CLAIMS, starts, strict=True)]
    periods = [float(np.nanmax(p.cycle_period)) if p.n_stable_cycles == 1 else np.nan for p in portraits]
    found = {
        "hopf": hopf(),
        "panels": [
            {
                "gamma": gamma,
                "claim": claim,
                "status": portrait.to_dict()["status"],
                "topology": portrait.topology,
                "certified": bool(portrait.certified),
                "focus": {
                    "h": portrait.fixed_point[i].tolist(),
                    "kind": gs.records.meaning(gs.Kind(int(portrait.kind[i]))),
                    "real_part": float(portrait.eigenvalue[i, 0, 0]),
                },
                "n_sinks": int(portrait.n_sinks),
                "n_stable_cycles": int(portrait.n_stable_cycles),
                "n_unstable_cycles": int(portrait.n_unstable_cycles),
                "period": None if np.isnan(period) else period,
                "start": start.tolist(),
                "end": state[-1].tolist(),
            }
            for gamma, claim, portrait, i, period, start, state in zip(
                CLAIMS, CLAIMS.values(), portraits, focuses, periods, starts, states, strict=True
            )
        ],
    }
    ds = xr.Dataset(
        {
            "state": (("gamma", "time", "unit"), states, {"long_name": "state from a start near the focus"}),
            "focus": (("gamma", "unit"), points, {"long_name": "the focus"}),
            "period": ("gamma", periods, {"units": "time", "long_name": "period of the stable cycle"}),
        },
        coords={
            "gamma": ("gamma", list(CLAIMS), {"long_name": "bias of unit 2"}),
            "time": ("time", times, {"units": "time"}),
        },
        attrs={
            "title": "Hopf and homoclinic bifurcation (Jordan, Sokol & Park 2021, Fig 8)",
            "equation": gs.FAMILIES["homoclinic"].equation,
            "gamma_hopf": found["hopf"]["gamma"],
            "gamma_hopf_error": found["hopf"]["error"],
        },
    )
    return ds, portraits, found


def report(found: dict) -> str:
    """The findings as text."""
    at = found["hopf"]
    lines = [
        f"Hopf bifurcation at gamma = {at['gamma']:.15f}, error {at['error']:.1e}"
        f"{', proven' if at['proven'] else ''}; angular frequency {at['angular_frequency']:.6f}",
        f"{'gamma':<10}{'claim of the text':<38}found here",
    ]
    for panel in found["panels"]:
        cycle = "no cycle" if panel["period"] is None else f"a stable cycle of period {panel['period']:.4f}"
        lines.append(
            f"{panel['gamma']:<10g}{panel['claim']:<38}{panel['focus']['kind']}, {cycle}, "
            f"{panel['n_sinks']} sinks: {panel['topology']} ({panel['status']})"
        )
    return "\n".join(lines)


def draw(ds: xr.Dataset, portraits: list, found: dict, path: Path) -> None:
    figure = Figure(figsize=(14.4, 6.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(portraits), height_ratios=(2.3, 1), sharey="row")
    handles: dict[str, Artist] = {}
    for i, (portrait, panel) in enumerate(zip(portraits, found["panels"], strict=True)):
        options = {"legend": False, "colorbar": False, "trajectories": False}
        gs.plot.portrait(portrait, ax=panels[0, i], title="", **VIEW, **options)
        panels[0, i].plot(*ds.state.values[i].T, color="0.15", linewidth=0.6, zorder=2.4, label="trajectory")
        cycle = "no cycle" if panel["period"] is None else f"period {panel['period']:.4f}"
        words = f"{'ABCD'[i]}: $\\gamma$ = {panel['gamma']:g}, {cycle}\n{panel['topology']}"
        panels[0, i].set_title(words, fontsize="medium")
        for handle, label in zip(*panels[0, i].get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
        for unit, (colour, style) in enumerate((("#0072B2", "-"), ("#D55E00", "--"))):
            line = ds.state.values[i, :, unit]
            panels[1, i].plot(ds.time, line, style, color=colour, linewidth=0.9, label=f"$h_{unit + 1}$")
        panels[1, i].set(xlabel="time", xlim=(0.0, DURATION), ylim=(-1.05, 1.05))
        if i:
            panels[0, i].set_ylabel("")
    panels[1, 0].set_ylabel("state")
    panels[1, 0].legend(fontsize="small", loc="upper right", ncols=2)
    figure.legend(
        handles=list(handles.values()), loc="outside lower center", ncols=len(handles), frameon=False
    )
    figure.savefig(path, dpi=120)


def main() -> None:
    given = arguments(__doc__, "fewer samples of each trajectory")
    ds, portraits, found = compute(QUICK if given.quick else FULL)
    write(given.out_dir, NAME, ds, found, lambda path: draw(ds, portraits, found, path))
    print(report(found))


if __name__ == "__main__":
    main()
