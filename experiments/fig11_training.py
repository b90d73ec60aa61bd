"""Fig 11 of Jordan, Sokol & Park (2021): two gated units learn a limit cycle, a line and a ring.

    python experiments/fig11_training.py [--quick] [--out-dir results]

Twenty networks for each system beside the three of the text, each trained 4000 epochs with Adam at 0.01 on 29
steps. Trained cells are read as the flow of Eq 7, with all fixed points proven where a topology is given, and
as the discrete map that they are. A unit of the flow's time is a step of the map. Every count comes with
Wilson's interval of 95 %. Writes fig11_training.h5, .png and .json, and the trainings, fig11_training_fhn.h5,
fig11_training_line.h5 and fig11_training_ring.h5, which are read if they are there.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from continua import HOLDS, NEAR, attractor, continuum, places
from learning import PAPER_SEEDS, SMALL, networks, per_number, share, small, spread
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write
from planes import plane

import gru_sweep as gs
from gru_sweep.plotting.styles import MARKERS
from gru_sweep.training import forecasts, tasks
from gru_sweep.training.attractors import Class
from gru_sweep.training.networks import Network

NAME = "fig11_training"
TITLES = {"fhn": "FitzHugh-Nagumo", "line": "line attractor", "ring": "ring attractor"}
CYCLE = "cycle+(source)"
"""The target's topology: a stable cycle around one unstable fixed point."""
VIEWS = {
    "fhn": ((-2.6, -0.9), (2.6, 2.4)),
    "line": ((-2.2, -2.2), (2.2, 2.2)),
    "ring": ((-1.6, -1.6), (1.6, 1.6)),
}
DECADES = 3.0
SHOWN = 90
"""Steps of the forecasts that are drawn, three times what was trained."""
EXAMPLE = 0
"""The held-out series from whose start, without noise, a forecast is drawn."""
SERIES = 12
"""Training series that are drawn."""
ATTRACTOR, TRUTH, FORECAST = "#D55E00", "0.55", "black"


class Read(eqx.Module):
    """A flow of two units through its readout w = C h + c: dw/dt = C f(C^-1 (w - c))."""

    network: Network

    def __call__(self, w: jax.Array) -> jax.Array:
        return self.network.C @ self.network.cell(jnp.linalg.solve(self.network.C, w - self.network.c))


class Given(eqx.Module):
    """A task's own field at its mean current."""

    task: Any = eqx.field(static=True)

    def __call__(self, w: jax.Array) -> jax.Array:
        return self.task.field(0.0, w, self.task.args)


def topologies(ds: xr.Dataset) -> dict[str, Any]:
    """Labels by how many networks have them; fixed points by how many are proven to have them."""
    labels = [str(ds.topology_class.values[i]) if i >= 0 else "" for i in ds.topology.values]
    proven = ds.status.values == gs.Status.OK
    counts = Counter(ds.n_fixed_points.values[proven].tolist())
    return {
        "networks": len(labels),
        "topologies": dict(Counter(label for label in labels if label).most_common()),
        "not_decided": int((~proven).sum()),
        "proven_fixed_points": {str(n): counts[n] for n in sorted(counts)},
    }


def born(ds: xr.Dataset) -> np.ndarray:
    """The epoch of the first snapshot from which on each network has its stable cycle; NaN without."""
    epochs = ds.snapshot_epoch.values
    has = ds.snapshot_n_stable_cycles.values > 0
    since = [np.flatnonzero(~row).max(initial=-1) + 1 for row in has]
    return np.array([epochs[i] if i < len(epochs) else np.nan for i in since])


def cycle_findings(ds: xr.Dataset, step: float) -> dict[str, Any]:
    """FitzHugh-Nagumo: the cycle in both readings, its period and when it came."""
    n = ds.sizes["seed"]
    true = forecasts.cycle(tasks.named("fhn"))
    assert true is not None
    labels = np.array([str(ds.topology_class.values[i]) if i >= 0 else "" for i in ds.topology.values])
    flow = labels == CYCLE
    # of the map: an orbit that turns, on a curve or locked to it
    turning = np.isin(ds.map_class.values, [Class.CLOSED_CURVE, Class.PERIODIC])
    mapped = turning[:, 0] & (ds.map_share.values[:, 0] == 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(mapped, 1.0 / np.abs(ds.map_rotation.values[:, 0]), np.nan)
    when = np.where(flow, born(ds), np.nan)
    good = flow & mapped
    return {
        "flow_has_the_topology": share(int(flow.sum()), n),
        "map_has_one_closed_curve_that_all_starts_reach": share(int(mapped.sum()), n),
        "both_readings_agree": share(int((flow == mapped).sum()), n),
        "of_the_first_three": int(flow[:PAPER_SEEDS].sum()),
        "true_period": true.period / step,
        "period_of_the_flow": spread(np.where(flow, ds.period.values, np.nan)),
        "period_of_the_map": spread(steps),
        "flow_over_map": spread(np.where(good, ds.period.values / steps, np.nan)),
        "epoch_of_the_cycle": spread(when),
        "loss_with": spread(per_number(ds)[flow]),
        "loss_without": spread(per_number(ds)[~flow]),
        "turns": spread(np.where(flow, ds.turns.values, np.nan).astype(float)),
        "phase_error_after_turns": [
            spread(np.abs(np.where(flow, ds.phase_error.values[:, k], np.nan)))
            for k in range(1, ds.sizes["turn"])
        ],
    }


def example(ds: xr.Dataset) -> int:
    """The network that is drawn: of those that are decided the one with the median held-out loss."""
    known = np.flatnonzero(ds.status.values == gs.Status.OK)
    if not len(known):
        known = np.arange(ds.sizes["seed"])
    order = known[np.argsort(per_number(ds)[known])]
    return int(order[(len(order) - 1) // 2])


def compute(folder: Path, quick: bool) -> tuple[xr.Dataset, dict, dict]:
    """The findings, and for each task what is drawn."""
    found: dict[str, Any] = {}
    drawn: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    for name in TITLES:
        ds = small(folder, name, quick).sel(dim=SMALL).load()
        nets = networks(folder / f"{NAME}_{name}.h5", SMALL, ds.sizes["seed"])
        found[name] = topologies(ds)
        if name == "fhn":
            found[name] |= cycle_findings(ds, float(ds.attrs["step"]))
        else:
            found[name] |= continuum(ds, nets, name)
        chosen = example(ds)
        times = float(ds.attrs["step"]) * np.arange(SHOWN + 1)
        truth = tasks.truth(tasks.named(name), ds.test_truth.values[EXAMPLE : EXAMPLE + 1, 0], times)[0]
        forecast = np.asarray(nets[chosen].forecast(jnp.asarray(truth[0]), SHOWN))
        drawn[name] = {
            "data": ds.isel(seed=chosen),
            "network": nets[chosen],
            "truth": truth,
            "forecast": forecast,
        }
        found[name]["drawn"] = chosen
        variables[f"{name}_truth"] = (("step", "coordinate"), truth[1:], {"long_name": "held-out series, on"})
        variables[f"{name}_forecast"] = (("step", "coordinate"), forecast, {"long_name": "its forecast"})
    found["epochs"], found["learning_rate"] = int(ds.sizes["epoch"]), float(ds.attrs["learning_rate"])
    title = "two units learn a cycle, a line and a ring (Jordan, Sokol & Park 2021, Fig 11)"
    data = xr.Dataset(variables, {"step": np.arange(1, SHOWN + 1)}, {"title": title})
    return data, found, drawn


def report(found: dict) -> str:
    """The findings as text."""
    lines = []
    for name, title in TITLES.items():
        one = found[name]
        lines.append(
            f"{title}: {one['networks']} networks, {one['not_decided']} not decided; {one['topologies']}"
        )
    fhn = found["fhn"]
    has, low, high = fhn["flow_has_the_topology"]["count"], *fhn["flow_has_the_topology"]["interval"]
    lines.append(
        f"cycle around one unstable point: {has} of {fhn['networks']} (95 %: {low:.2f} to {high:.2f})"
    )
    flow, mapped = (fhn[f"period_of_the_{of}"]["median"] for of in ("flow", "map"))
    lines.append(f"period in steps: flow {flow}, map {mapped}, true {fhn['true_period']:.3f}")
    for name in ("line", "ring"):
        held = ", ".join(f"{k}: {100 * s:.0f} %" for k, s in zip(HOLDS, found[name]["share_of_places_held"]))
        lines.append(f"{name}: places held within {NEAR} after so many steps: {held}")
    return "\n".join(lines)


def draw(drawn: dict, path: Path) -> None:
    figure = Figure(figsize=(12.6, 12.2), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(3, 3, height_ratios=(1, 1, 0.62))
    for column, (name, title) in enumerate(TITLES.items()):
        one, (low, high) = drawn[name], VIEWS[name]
        top, middle, bottom = rows[:, column]
        plane(top, Given(tasks.named(name)), low, high, DECADES)
        for series in one["data"].train.values[:SERIES]:
            top.plot(*series.T, color="0.25", linewidth=0.6, marker=".", markersize=2.5)
        top.plot(*attractor(name).T, color=ATTRACTOR, linewidth=2.4)
        top.set(title=title, xlabel="$x$", ylabel="$y$")
        _learnt(middle, name, one, low, high)
        for i, letter in enumerate("xy"):
            line = ("-", "--")[i]
            bottom.plot(one["truth"][1:, i], line, color=TRUTH, label=f"${letter}$, truth")
            bottom.plot(one["forecast"][:, i], line, color=FORECAST, label=f"${letter}$, forecast")
        bottom.axvline(HOLDS[0], color="0.8", linewidth=0.8)
        bottom.set(xlabel="step (29 were trained)")
    rows[2, 0].legend(fontsize="x-small", ncols=2)
    figure.savefig(path, dpi=90)


def _learnt(axes: Axes, name: str, one: dict, low: tuple, high: tuple) -> None:
    """The learnt flow through the readout, with fixed points, cycles, the square where states are, and where
    the map is after 29 steps from places on a line or ring."""
    ds, network = one["data"], one["network"]
    plane(axes, Read(network), low, high, DECADES)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
    axes.plot(*np.asarray(corners @ network.C.T + network.c).T, ":", color="0.4", linewidth=0.9)
    for kind, orbit in zip(ds.map_class.values, ds.map_orbit_output.values, strict=True):
        if kind in (Class.CLOSED_CURVE, Class.PERIODIC):
            whole = orbit[np.isfinite(orbit).all(1)]
            axes.plot(*np.vstack([whole, whole[:1]]).T, color=ATTRACTOR, linewidth=2.0)
    for kind, point in zip(ds.kind.values, ds.fixed_point_output.values, strict=True):
        if kind >= 0:
            axes.plot(*point, linestyle="none", **({"markersize": 7.0} | MARKERS[gs.Kind(int(kind))]))
    if name != "fhn":
        axes.plot(
            *np.asarray(places(network, jnp.asarray(attractor(name)), HOLDS[0])).T,
            ".",
            color=ATTRACTOR,
            markersize=4,
        )
    axes.set(xlabel="$x$ by the readout", ylabel="$y$ by the readout")
    index = int(ds.topology)
    label = str(ds.topology_class.values[index]) if index >= 0 else "not decided"
    axes.set_title(f"two units: {label}", fontsize="medium")


def main() -> None:
    given = arguments(__doc__, "two networks for each system, a few epochs")
    data, found, drawn = compute(given.out_dir, given.quick)
    write(given.out_dir, NAME, data, found, lambda path: draw(drawn, path))
    print(report(found))


if __name__ == "__main__":
    main()
