"""Fig 1 of Jordan, Sokol & Park (2021): the flows of one gated unit, and how many there are.

    python experiments/fig01_one_unit.py [--quick] [--out-dir results]

dh/dt = (tanh(U_h r h + b_h) - h) / 2 with r = 1/2 and U_h = 4, at three values of b_h: one stable node; the
saddle-node, where a half-stable node is born beside it; two stable nodes and an unstable one between them.
The saddle-node is where f = df/dh = 0 in (h, b_h), solved by Newton's method to rounding; its closed form is
printed beside it. "Exactly three" flows means one, two or three fixed points: a sweep over U_h, U_r, b_h,
b_r counts those of many units, each count proven. In the sweep a second unit without weights rests at 0, so
that the planar search counts the fixed points of the first. Writes fig01_one_unit.h5, .png and .json.
"""

from __future__ import annotations

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from outputs import arguments, write

import gru_sweep as gs
from gru_sweep.analysis.any_dimension import fixed_points
from gru_sweep.analysis.taylor import trajectory
from gru_sweep.plotting.styles import MARKERS
from gru_sweep.records import meaning

NAME = "fig01_one_unit"
U_H = 4.0
BESIDE, BETWEEN = -0.25, 0.0
"""b_h of the first flow, from the saddle-node on, and of the third."""
STARTS = np.linspace(-1.0, 1.0, 9)
TIMES = np.linspace(0.0, 40.0, 401)
GUESS = (0.7, -0.5)
"""Of the saddle-node: h and b_h."""
SLOTS = 3
NAMES = {
    gs.Kind.STABLE_NODE: "stable node",
    gs.Kind.UNSTABLE_NODE: "unstable node",
    gs.Kind.DEGENERATE: "half-stable node",
}
SCALES = {"U_h[0,0]": 12.0, "U_r[0,0]": 12.0, "b_h[0]": 1.5, "b_r[0]": 6.0}
"""Standard deviations of the values on the axes of the census."""
FULL, QUICK = 18, 6
"""Values on each of them."""
SEED = 1


def unit(b_h) -> gs.GRU:
    return gs.GRU(U_h=jnp.full((1, 1), U_H), b_h=jnp.reshape(b_h, 1))


def saddle_node(guess: tuple[float, float]) -> tuple[float, float, float]:
    """(h, b_h) where f = df/dh = 0 and max(|f|, |df/dh|) there, by Newton's method until it stops gaining."""

    def rate(h, b):
        return unit(b)(h[None])[0]

    @jax.jit
    def conditions(x):
        return jnp.stack([rate(*x), jax.grad(rate)(*x)])

    derivative = jax.jit(jax.jacfwd(conditions))
    x, size = jnp.asarray(guess), math.inf
    while (now := float(jnp.max(jnp.abs(conditions(x))))) < size:
        best, size = x, now
        x = x - jnp.linalg.solve(derivative(x), conditions(x))
    return float(best[0]), float(best[1]), size


def flows() -> dict[str, float]:
    """b_h of each flow."""
    at = saddle_node(GUESS)[1]
    return {"one stable node": at + BESIDE, "saddle-node": at, "two stable nodes": BETWEEN}


def compute() -> xr.Dataset:
    """Rates, fixed points and time courses of the three flows."""
    biases = flows()
    h = np.linspace(-1.0, 1.0, 401)
    cells = [unit(b) for b in biases.values()]
    found = [fixed_points(cell, [-1.0], [1.0]) for cell in cells]
    points, kinds, values = (np.full((len(cells), SLOTS), fill) for fill in (np.nan, -1, np.nan))
    proven = np.zeros(points.shape, np.int8)
    for row, p in enumerate(found):
        proven[row, : p.count] = p.proven
        points[row, : p.count] = p.point[:, 0]
        kinds[row, : p.count] = [gs.Kind[name.upper().replace(" ", "_")] for name in p.kind]
        values[row, : p.count] = p.eigenvalue[:, 0].real
    rates = [jax.vmap(cell)(h[:, None])[:, 0] for cell in cells]
    runs = [[trajectory(cell, [start], TIMES).state[:, 0] for start in STARTS] for cell in cells]
    where, bias, residual = saddle_node(GUESS)
    return xr.Dataset(
        {
            "rate": (("flow", "h"), rates, {"units": "1/time"}),
            "fixed_point": (("flow", "slot"), points, {"long_name": "fixed points found"}),
            "proven": (("flow", "slot"), proven, {"long_name": "whether a fixed point is proven to exist"}),
            "eigenvalue": (("flow", "slot"), values, {"units": "1/time"}),
            "kind": (
                ("flow", "slot"),
                kinds.astype(np.int8),
                {
                    "flag_values": np.array([int(k) for k in gs.Kind], np.int8),
                    "flag_meanings": " ".join(k.name.lower() for k in gs.Kind),
                },
            ),
            "certified": ("flow", np.array([p.certified for p in found], np.int8)),
            "state": (("flow", "start", "time"), np.array(runs), {"long_name": "state h from each start"}),
        },
        coords={
            "flow": list(biases),
            "b_h": ("flow", list(biases.values()), {"long_name": "bias"}),
            "h": h,
            "start": STARTS,
            "time": ("time", TIMES, {"units": "time"}),
        },
        attrs={
            "title": "the flows of one gated unit (Jordan, Sokol & Park 2021, Fig 1)",
            "equation": "dh/dt = (tanh(U_h h / 2 + b_h) - h) / 2",
            "U_h": U_H,
            "saddle_node_h": where,
            "saddle_node_b_h": bias,
            "saddle_node_residual": residual,
            "said_of_the_saddle_node": "; ".join(found[1].warnings),
        },
    )


def census(side: int) -> dict:
    """How many fixed points the units of a grid of random values have, as a table of counts."""
    rng = np.random.default_rng(SEED)
    axes = {name: np.sort(scale * rng.standard_normal(side)) for name, scale in SCALES.items()}
    ds = gs.sweep("weights", weights=gs.GRU(U_h=jnp.zeros((2, 2))), **axes)
    decided = ds.status.values == gs.Status.OK
    numbers, counts = np.unique(ds.n_fixed_points.values[decided], return_counts=True)
    return {
        "units": int(ds.status.size),
        "scales": SCALES,
        "by_number_of_fixed_points": {str(n): int(count) for n, count in zip(numbers, counts)},
        "not_decided": int(np.sum(~decided)),
        "largest_number": int(numbers.max()),
    }


def judge(ds: xr.Dataset, counted: dict) -> dict:
    """Claims and findings as plain numbers."""
    h = math.sqrt(1.0 - 2.0 / U_H)
    return {
        "claim": "exactly three flows: at most three fixed points",
        "verdict": "agrees" if counted["largest_number"] <= 3 else "more were found",
        "census": counted,
        "saddle_node": {
            "h": ds.saddle_node_h,
            "b_h": ds.saddle_node_b_h,
            "closed_form_b_h": math.atanh(h) - U_H / 2.0 * h,
            "residual": ds.saddle_node_residual,
            "said_of_it": ds.said_of_the_saddle_node,
        },
        "flows": {
            str(name): {
                "b_h": float(ds.b_h[i]),
                "fixed_points": [
                    {
                        "h": float(ds.fixed_point[i, k]),
                        "kind": meaning(gs.Kind(int(ds.kind[i, k]))),
                        "proven": bool(ds.proven[i, k]),
                    }
                    for k in np.flatnonzero(ds.kind.values[i] != gs.Kind.NOT_COMPUTED)
                ],
                "certified": bool(ds.certified[i]),
            }
            for i, name in enumerate(ds.flow.values)
        },
    }


def report(verdict: dict) -> str:
    """The findings as text."""
    node, counted = verdict["saddle_node"], verdict["census"]
    lines = [f"{'flow':<18}{'b_h':>20}  fixed points"]
    for name, flow in verdict["flows"].items():
        points = ", ".join(f"{p['h']:.6f} {p['kind']}" for p in flow["fixed_points"])
        known = "certified" if flow["certified"] else "not certified"
        lines.append(f"{name:<18}{flow['b_h']:>20.16f}  {points}; {known}")
    lines += [
        f"saddle-node at h = {node['h']:.16f}, b_h = {node['b_h']:.16f} "
        f"(closed form {node['closed_form_b_h']:.16f}), residual {node['residual']:.1e}",
        f"said of it: {node['said_of_it']}",
        f"of {counted['units']} units "
        + ", ".join(f"{c} have {n}" for n, c in counted["by_number_of_fixed_points"].items())
        + f", {counted['not_decided']} are not decided",
        f"{verdict['claim']}: {verdict['verdict']}",
    ]
    return "\n".join(lines)


def draw(ds: xr.Dataset, path: Path) -> None:
    figure = Figure(figsize=(10.5, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, ds.sizes["flow"], height_ratios=(3, 2), sharey="row")
    for i, letter in enumerate("ABC"):
        _flow(panels[0, i], ds, i)
        panels[0, i].set_title(
            f"{letter}: {ds.flow.values[i]}, $b_h = {float(ds.b_h[i]):.6g}$", fontsize="medium"
        )
        panels[1, i].plot(ds.time, ds.state.values[i].T, color="0.25", linewidth=0.9)
        panels[1, i].set(xlabel="time", xlim=(TIMES[0], TIMES[-1]), ylim=(-1.05, 1.05))
    marks = [
        Line2D([], [], linestyle="none", **({"markersize": 9.0} | MARKERS[kind]), label=name)
        for kind, name in NAMES.items()
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=3, frameon=False)
    panels[0, 0].set_ylabel(r"$\mathrm{d}h/\mathrm{d}t$ (1/time)")
    panels[1, 0].set_ylabel("$h$")
    figure.savefig(path, dpi=150)


def _flow(ax, ds: xr.Dataset, i: int) -> None:
    """The rate over the state, the direction of the flow on the axis, and the fixed points by kind."""
    h, rate = ds.h.values, ds.rate.values[i]
    ax.axhline(0.0, color="0.6", linewidth=0.8)
    ax.plot(h, rate, color="#0072B2", linewidth=1.6)
    at = h[10::20]
    way = np.sign(np.interp(at, h, rate)) * (np.abs(np.interp(at, h, rate)) > 2e-3)
    ax.quiver(at, 0 * at, way, 0 * at, pivot="mid", color="0.35", scale=30, width=0.005, headwidth=5)
    for point, kind in zip(ds.fixed_point.values[i], ds.kind.values[i]):
        if kind != gs.Kind.NOT_COMPUTED:
            style = {"markersize": 9.0} | MARKERS[gs.Kind(int(kind))]
            if kind == gs.Kind.DEGENERATE:  # filled on the side from which states arrive
                style["fillstyle"] = "right" if np.interp(point + 0.1, h, rate) < 0 else "left"
            ax.plot(point, 0.0, linestyle="none", **style)
    ax.set(xlabel="$h$", xlim=(-1.08, 1.08))


def main() -> None:
    given = arguments(__doc__, "count fewer units")
    ds = compute()
    verdict = judge(ds, census(QUICK if given.quick else FULL))
    write(given.out_dir, NAME, ds, verdict, lambda path: draw(ds, path))
    print(report(verdict))


if __name__ == "__main__":
    main()
