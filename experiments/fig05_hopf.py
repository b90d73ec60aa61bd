"""Fig 5 of Jordan, Sokol & Park (2021): an Andronov-Hopf bifurcation of two gated units, in three regimes.

    python experiments/fig05_hopf.py [--quick] [--out-dir results]

Eq 8 with beta = 3, s = 0 along alpha: a stable spiral, the cycle just past the Hopf bifurcation, and the slow
cycle shortly before saddle-nodes end it. Prints the claims of the text beside what is found here; writes
fig05_hopf.h5 (trajectories, fixed points, periods, bifurcations) and fig05_hopf.png.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gru_sweep import FAMILIES, GRU, Kind
from gru_sweep.analysis import fixed_points
from gru_sweep.analysis.taylor import trajectory
from gru_sweep.records import meaning

ROOT = Path(__file__).resolve().parent.parent
BETA, S = 3.0, 0.0
REGIMES = {
    "stable spiral": math.pi / 3,
    "past the Hopf bifurcation": math.pi / 3.8,
    "long period": math.pi / 16,
}
START = (0.6, 0.0)
DURATION = 1500.0
"""Long enough to settle on a cycle so near the bifurcation, where a loop changes its radius by a tenth."""
SHOWN = (60.0, 120.0, 300.0)
"""How much of each trajectory is drawn from its start."""
COLOURS = {
    Kind.STABLE_NODE: "black",
    Kind.STABLE_FOCUS: "black",
    Kind.UNSTABLE_NODE: "white",
    Kind.UNSTABLE_FOCUS: "white",
    Kind.SADDLE: "tab:red",
    Kind.DEGENERATE: "tab:orange",
}
"""What a fixed point is filled with."""


def cell(alpha: float) -> GRU:
    values = FAMILIES["hopf"].complete({"alpha": alpha, "beta": BETA, "s": S})
    return FAMILIES["hopf"].build(**{name: jnp.asarray(value) for name, value in values.items()})


@eqx.filter_jit
def fixed_points_of(field: GRU) -> fixed_points.FixedPoints:
    side = jnp.ones(field.dimension)
    return fixed_points.find(fixed_points.Planar(field, -side, side))


def growth(alpha: float) -> float:
    """Largest real part of the eigenvalues at the origin, which is a fixed point for every alpha."""
    return float(np.linalg.eigvals(jax.jacfwd(cell(alpha))(jnp.zeros(2))).real.max())


def last_where(condition, low: float, high: float) -> float:
    """The alpha in [low, high] up to which `condition(alpha)` holds, by bisection."""
    while high - low > 1e-10:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if condition(middle) else (low, middle)
    return 0.5 * (low + high)


def period(time: np.ndarray, x: np.ndarray) -> float:
    """Time between the last two upward zeros of `x` by cubic interpolation, NaN if it does not oscillate."""
    up = np.flatnonzero((x[:-1] < 0) & (x[1:] >= 0))
    if len(up) < 2 or np.ptp(x[up[-2] : up[-1]]) < 1e-3:
        return math.nan
    crossings = []
    for i in up[-2:]:
        near = slice(i - 1, i + 3)
        crossings.append(np.interp(0.0, x[i : i + 2], time[i : i + 2]))
        inverse = np.polyfit(x[near], time[near] - crossings[-1], 3)
        crossings[-1] += inverse[-1]
    return crossings[1] - crossings[0]


def compute(samples: int) -> xr.Dataset:
    """Every trajectory, fixed point and period, and where the fixed points change, as one Dataset."""
    times = np.linspace(0.0, DURATION, samples)
    cells = [cell(alpha) for alpha in REGIMES.values()]
    runs = [trajectory(c, START, times) for c in cells]
    points = [fixed_points_of(c) for c in cells]
    states = np.stack([np.asarray(run.state) for run in runs])
    unit = {"units": "time", "long_name": "period of the stable limit cycle"}
    dataset = xr.Dataset(
        {
            "state": (("regime", "time", "unit"), states, {"long_name": "state h along a trajectory"}),
            "period": (("regime",), [period(times, x[:, 0]) for x in states], unit),
            "n_fixed_points": (("regime",), np.array([int(p.count) for p in points], np.int16)),
            "fixed_point": (("regime", "slot", "unit"), np.stack([np.asarray(p.point) for p in points])),
            "kind": (
                ("regime", "slot"),
                np.stack([np.asarray(p.kind, np.int8) for p in points]),
                {
                    "flag_values": np.array([int(k) for k in Kind], np.int8),
                    "flag_meanings": " ".join(k.name.lower() for k in Kind),
                },
            ),
        },
        coords={
            "regime": list(REGIMES),
            "alpha": ("regime", list(REGIMES.values()), {"units": "radian", "long_name": "rotation angle"}),
            "time": ("time", times, {"units": "time"}),
        },
    )
    saddle_nodes = last_where(lambda a: int(fixed_points_of(cell(a)).count) != 1, 0.01, math.pi / 16)
    before = fixed_points_of(cell(saddle_nodes - 1e-3))
    dataset.attrs = {
        "title": "Andronov-Hopf bifurcation of two gated units (Jordan, Sokol & Park 2021, Fig 5)",
        "equation": FAMILIES["hopf"].equation,
        "beta": BETA,
        "s": S,
        "solver": runs[0].solver,
        "tolerance": runs[0].tolerance,
        "failed": sum(int(run.status) for run in runs),
        "alpha_hopf": last_where(lambda a: growth(a) > 0, math.pi / 16, math.pi / 3),
        "alpha_saddle_nodes": saddle_nodes,
        "n_fixed_points_beyond": int(before.count),
        "n_sinks_beyond": int(np.sum(fixed_points.stable(np.asarray(before.kind)))),
    }
    return dataset


def report(ds: xr.Dataset) -> str:
    """The claims of the text, and what is found."""
    hopf, fold = ds.alpha_hopf, ds.alpha_saddle_nodes
    kinds = [meaning(Kind(int(k))) for k in ds.kind[:, 0]]
    rows = [
        ("claim of the text", "found here"),
        ("alpha = pi/3: a stable spiral", f"{int(ds.n_fixed_points[0])} fixed point, a {kinds[0]}; no cycle"),
        (
            "Hopf at approximately pi/3.8",
            f"at {hopf:.8f} = pi/{math.pi / hopf:.4f}; arccos(2/3) = {math.acos(2 / 3):.8f}",
        ),
        (
            "smaller alpha: longer period",
            ", ".join(f"pi/{math.pi / a:.3g}: {p:.4f}" for a, p in zip(ds.alpha.values, ds.period.values)),
        ),
        (
            "then four simultaneous saddle-nodes",
            f"at {fold:.8f} = pi/{math.pi / fold:.4f}: 1 -> {ds.n_fixed_points_beyond} fixed points, "
            f"{ds.n_sinks_beyond} of them sinks",
        ),
    ]
    return "\n".join(f"{left:<38}{right}" for left, right in rows)


def phase_plane(ax, field: GRU, state: np.ndarray, points: np.ndarray, kinds: np.ndarray, n: int) -> None:
    """Log speed, direction, nullclines, a trajectory, and the fixed points by kind."""
    x = np.linspace(-1, 1, n)
    grid = np.stack(np.meshgrid(x, x), -1)
    u, v = np.moveaxis(np.asarray(jax.vmap(jax.vmap(field))(grid)), -1, 0)
    speed = np.log10(np.hypot(u, v) + 1e-12)
    ax.pcolormesh(x, x, speed, shading="gouraud", cmap="viridis", vmin=-2.5, vmax=0, rasterized=True)
    ax.streamplot(x, x, u, v, color="1.0", linewidth=0.4, arrowsize=0.6, density=0.9)
    for rate, colour in ((u, "C0"), (v, "C1")):  # a nullcline has the colour of its unit below
        ax.contour(x, x, rate, levels=[0.0], colors=colour, linewidths=1.4)
    ax.plot(*state.T, color="black", linewidth=1.0)
    for point, kind in zip(points, kinds):
        if kind != Kind.NOT_COMPUTED:
            ax.plot(*point, "o", markersize=6, markeredgecolor="black", markerfacecolor=COLOURS[Kind(kind)])
    ax.set(aspect="equal", xlim=(-1, 1), ylim=(-1, 1), xlabel="$h_1$", ylabel="$h_2$")


def draw(ds: xr.Dataset, path: Path, n: int) -> None:
    figure = Figure(figsize=(10.5, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(REGIMES), height_ratios=(3, 1))
    for i, (name, alpha) in enumerate(REGIMES.items()):
        shown = ds.time.values <= SHOWN[i]
        state = ds.state.values[i, shown]
        phase_plane(panels[0, i], cell(alpha), state, ds.fixed_point.values[i], ds.kind.values[i], n)
        period = float(ds.period[i])
        found = "no cycle" if math.isnan(period) else f"period {period:.4g}"
        panels[0, i].set_title(f"{name}\n$\\alpha = \\pi/{math.pi / alpha:.3g}$, {found}", fontsize="medium")
        panels[1, i].plot(ds.time.values[shown], state, linewidth=1.0)
        panels[1, i].set(xlabel="time", ylim=(-1, 1), xlim=(0, SHOWN[i]))
    panels[1, 0].legend(["$h_1$", "$h_2$"], fontsize="small", loc="upper right")
    panels[1, 0].set_ylabel("state")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer samples and a coarser picture")
    parser.add_argument("--out-dir", type=Path, default=ROOT / "results")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    ds = compute(samples=15_001 if options.quick else 60_001)
    options.out_dir.mkdir(parents=True, exist_ok=True)
    ds.to_netcdf(options.out_dir / "fig05_hopf.h5", engine="h5netcdf")
    draw(ds, options.out_dir / "fig05_hopf.png", n=41 if options.quick else 161)
    print(report(ds))


if __name__ == "__main__":
    main()
