r"""Fig 9 of Jordan, Sokol & Park (2021): regions of orbits that leave the origin and come back to it.

    python experiments/fig09_homoclinic_like.py [--quick] [--out-dir results]

The text gives no parameters. U_h = 2 I and no biases make h = 0 a fixed point with J = 0, and the axes
invariant; near it dh_i/dt = h_i (U_r h)_i / 4, so that U_r decides. U_r = [[5, -10], [10, -5]] leaves along
h_1 > 0 and h_2 < 0 and comes back along h_2 > 0 and h_1 < 0: two regions, in opposite quadrants. Because
h -> -h reverses that quadratic field, regions come in pairs as long as it decides; where the second unit's
own reset weight U_r[1,1] is zero, its axis is cubic and comes in from both sides: one region is left.

Each region is bounded by an axis from the origin to the saddle on it and by that saddle's unstable manifold.
Inside, every orbit is homoclinic: phi(r, x) = tanh(2 r x) / x grows with r and falls with x > 0, and

    d/dt ln |h_2 / h_1| = (phi(r_2, |h_2|) - phi(r_1, |h_1|)) / 2

has one sign in the open quadrant, by bounds on boxes (`turning.py`); so there is no fixed point and no cycle
there, an orbit's ends lie on the axes, where only the origin and the saddle are at rest, and the saddle's own
manifolds are the border. Starts on a grid, followed both ways, say the same. Writes
fig09_homoclinic_like.h5, .png and .json.
"""

from __future__ import annotations

from pathlib import Path as File

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.path import Path
from outputs import arguments, write
from planes import plane
from turning import turning

import gru_sweep as gs
from gru_sweep.analysis.any_dimension import fixed_points
from gru_sweep.analysis.taylor import trajectory
from gru_sweep.plotting.styles import MARKERS

NAME = "fig09_homoclinic_like"
RESETS = {"one region": ((5.0, -10.0), (10.0, 0.0)), "two regions": ((5.0, -10.0), (10.0, -5.0))}
"""U_r of each case."""
QUADRANTS = {"one region": (1,), "two regions": (1, -1)}
"""The quadrants with a region: 1 where both units are positive, -1 where both are negative."""
OWN = (5.0, 3.0, 2.0, 1.0, 0.5, 0.25)
"""-U_r[1,1] of the way from two regions to one."""
BACK_NAME = "whether a start comes to the origin in both directions of time"
OFFSET = 1e-6
"""Distance from a saddle at which its unstable manifold starts."""
LOOP = np.concatenate([np.linspace(0.0, 80.0, 801), np.geomspace(80.5, 3000.0, 200)])
"""Times along it: first round, then slowly in. As many as `PAST` and `FUTURE`: one compiled program."""
FORWARD, BACKWARD = 3000.0, 60.0
"""Times after which a start has come to the origin, if it does. Along a quadratic axis h = 4 / (5 t), along
the cubic one h = sqrt(3 / t)."""
NEAR = 0.06
"""A state so close to the origin has come."""
EDGE = 0.02
"""Starts so close to a region's border are not judged, since they stay at the saddle for long; nor are those
that are `NEAR` already."""
FULL, QUICK = 48, 16
"""Starts on each side of the grid. Even: none lies on an axis."""
ORBITS = np.array([[0.25, 0.1], [0.5, 0.15], [0.7, 0.15], [0.85, 0.1]])
"""Starts of the orbits that are drawn, in the first quadrant; the second is shown over time."""
PAST, FUTURE = np.linspace(0.0, -40.0, LOOP.size), np.linspace(0.0, 60.0, LOOP.size)


def cell(reset: tuple, bias: tuple[float, float] = (0.0, 0.0)) -> gs.GRU:
    return gs.GRU(U_h=2.0 * jnp.eye(2), U_r=jnp.asarray(reset, float), b_r=jnp.asarray(bias, float))


@eqx.filter_jit
def followed(field: gs.GRU, start: np.ndarray, times: np.ndarray) -> jax.Array:
    """States (len(times), 2) from a start (2,)."""
    return trajectory(field, start, times).state


@eqx.filter_jit
def arrivals(field: gs.GRU, starts: np.ndarray, times: np.ndarray) -> jax.Array:
    """Where each of the starts (n, 2) is at the last of the times."""
    return jax.vmap(lambda start: trajectory(field, start, times).state[-1])(starts)


def region(reset: tuple, quadrant: int) -> dict:
    """The region in a quadrant: its saddle and its border (n, 2), from the origin round to the origin.

    The way out is along h_1 in the first quadrant, along h_2 in the third.
    """
    out = 0 if quadrant == 1 else 1
    middle = np.zeros(2)
    # with a small own weight the saddle is near 3/2 of it: tanh x = x - x^3 / 3
    reach = 1.05
    middle[out] = quadrant * reach / 2
    half = np.full(2, 1e-3)
    half[out] = reach / 2 - min(0.05, abs(reset[out][out]) / 20)
    found = fixed_points(cell(reset), middle - half, middle + half)
    (point,) = found.point
    side = np.zeros(2)
    side[1 - out] = OFFSET * quadrant
    values, vectors = np.linalg.eig(np.asarray(jax.jacfwd(cell(reset))(jnp.asarray(point))))
    away = vectors[:, values.argmax()]
    start = point + OFFSET * away * np.sign(away[1 - out]) * quadrant
    states = np.asarray(followed(cell(reset), start, LOOP))
    border = np.vstack([np.zeros(2), point, states])
    x, y = border.T
    return {
        "saddle": point.tolist(),
        "saddle_proven": bool(found.certified and found.proven[0] and found.kind[0] == "saddle"),
        "ends_at": states[-1].tolist(),
        "area": float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2),
        "border": border,
    }


def grid(side: int) -> np.ndarray:
    h = np.linspace(-1.0, 1.0, side)
    return np.stack(np.meshgrid(h, h, indexing="ij"), axis=-1).reshape(-1, 2)


def comes_back(reset: tuple, starts: np.ndarray) -> np.ndarray:
    """Whether each start comes to the origin in both directions of time."""
    ways = (arrivals(cell(reset), starts, np.array([0.0, t])) for t in (FORWARD, -BACKWARD))
    return np.logical_and(*(np.linalg.norm(np.asarray(ends), axis=1) < NEAR for ends in ways))


def distance_to(border: np.ndarray, points: np.ndarray) -> np.ndarray:
    """From each point (n, 2) to the polygon's edges."""
    edges = np.stack([border, np.roll(border, -1, axis=0)], axis=1)
    a, along = edges[:, 0], edges[:, 1] - edges[:, 0]
    squared = np.maximum((along**2).sum(axis=1), np.finfo(float).tiny)
    part = np.clip(((points[:, None] - a) * along).sum(axis=-1) / squared, 0.0, 1.0)
    return np.linalg.norm(points[:, None] - a - part[..., None] * along, axis=-1).min(axis=1)


def split(reset: tuple) -> dict[str, int]:
    """The fixed points that the origin becomes under b_r = (0.01, -0.01), by kind; all are proven."""
    found = fixed_points(cell(reset, (0.01, -0.01)), [-0.3, -0.3], [0.3, 0.3])
    kinds, counts = np.unique(list(found.kind), return_counts=True)
    return dict(zip(kinds.tolist(), counts.tolist())) if found.certified else {}


def both_ways(reset: tuple, start: np.ndarray) -> np.ndarray:
    """States (times, 2) over `PAST` and `FUTURE` from a start."""
    past, future = (np.asarray(followed(cell(reset), start, times)) for times in (PAST, FUTURE))
    return np.concatenate([past[:0:-1], future])


def compute(side: int) -> tuple[xr.Dataset, dict]:
    """Regions, starts and orbits of both cases, and the verdict."""
    starts = grid(side)
    found: dict = {"claim": "one or two bounded regions of orbits homoclinic to the origin", "cases": {}}
    back, orbits, borders = [], [], {}
    for name, reset in RESETS.items():
        regions = [region(reset, q) for q in QUADRANTS[name]]
        returned = comes_back(reset, starts)
        inside, clear = np.zeros(len(starts), bool), np.linalg.norm(starts, axis=1) > NEAR
        for i, one in enumerate(regions):
            border = one.pop("border")
            borders[f"border_{name.split()[0]}_{i}"] = border
            inside |= Path(border).contains_points(starts)
            clear &= distance_to(border, starts) > EDGE
            one["turning"] = turning(reset, QUADRANTS[name][i])
        back.append(returned.reshape(side, side))
        orbits.append([both_ways(reset, start) for start in ORBITS])
        rate, matrix = cell(reset)(jnp.zeros(2)), jax.jacfwd(cell(reset))(jnp.zeros(2))
        found["cases"][name] = {
            "U_r": [list(row) for row in reset],
            "largest_entry_of_f_and_J_at_0": float(jnp.maximum(jnp.abs(rate).max(), jnp.abs(matrix).max())),
            "regions": regions,
            "starts": int(clear.sum()),
            "inside": int((inside & clear).sum()),
            "inside_and_back_both_ways": int((inside & returned & clear).sum()),
            "outside_and_back_both_ways": int((~inside & returned & clear).sum()),
            "split_by_reset_biases": split(reset),
        }
    second = [region((RESETS["two regions"][0], (10.0, -own)), -1)["area"] for own in OWN]
    found["area_of_the_second_region"] = {"minus_U_r[1,1]": list(OWN), "area": second}
    ds = xr.Dataset(
        {
            "back": (("case", "start_1", "start_2"), np.array(back, np.int8), {"long_name": BACK_NAME}),
            "orbit": (("case", "which", "time", "unit"), orbits, {"long_name": "states along orbits"}),
            "second_area": ("own", second, {"long_name": "area of the region in the third quadrant"}),
            **{name: ((f"{name}_place", "unit"), border) for name, border in borders.items()},
        },
        coords={
            "case": list(RESETS),
            "start_1": starts.reshape(side, side, 2)[:, 0, 0],
            "start_2": starts.reshape(side, side, 2)[0, :, 1],
            "time": ("time", np.concatenate([PAST[:0:-1], FUTURE]), {"units": "time"}),
            "own": ("own", list(OWN), {"long_name": "-U_r[1,1]"}),
        },
        attrs={
            "title": "regions of homoclinic-like orbits (Jordan, Sokol & Park 2021, Fig 9)",
            "equation": "dh/dt = (tanh(2 r o h) - h) / 2, r = sigma(U_r h); U_r found by the program",
        },
    )
    return ds, found


def report(found: dict) -> str:
    """The findings as text."""
    lines = []
    for name, case in found["cases"].items():
        zero = case["largest_entry_of_f_and_J_at_0"]
        lines.append(f"{name}: U_r = {case['U_r']}, |f| and |J| at 0 at most {zero:g}")
        for one in case["regions"]:
            saddle = ", ".join(f"{x:.6f}" for x in one["saddle"])
            known = f"{one['turning']['boxes']} boxes, {one['turning']['undecided']} undecided"
            lines.append(f"   region to the saddle ({saddle}), area {one['area']:.6f}; one sense: {known}")
        lines.append(
            f"   of {case['starts']} starts {case['inside']} are inside, and "
            f"{case['inside_and_back_both_ways']} of them come to the origin both ways; "
            f"of those outside {case['outside_and_back_both_ways']}"
        )
        kinds = ", ".join(f"{count} {kind}" for kind, count in case["split_by_reset_biases"].items())
        lines.append(f"   the origin split by small reset biases: {kinds}")
    second = found["area_of_the_second_region"]
    pairs = zip(second["minus_U_r[1,1]"], second["area"], strict=True)
    lines.append("area of the second region: " + ", ".join(f"{own:g}: {area:.6f}" for own, area in pairs))
    return "\n".join(lines)


def draw(ds: xr.Dataset, found: dict, path: File) -> None:
    figure = Figure(figsize=(14.0, 7.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic(
        [["A", "B", "E"], ["C", "D", "E"]], height_ratios=(2.4, 1), width_ratios=(1, 1, 0.72)
    )
    for i, name in enumerate(RESETS):
        _regions(axes["AB"[i]], ds, i)
        reset = "[{:g}, {:g}], [{:g}, {:g}]".format(*np.ravel(RESETS[name]))
        axes["AB"[i]].set_title(f"{'AB'[i]}: {name}, $U_r$ = [{reset}]", fontsize="medium")
        panel = axes["CD"[i]]
        for unit, (colour, style) in enumerate((("#0072B2", "-"), ("#D55E00", "--"))):
            panel.plot(ds.time, ds.orbit.values[i, 1, :, unit], style, color=colour, label=f"$h_{unit + 1}$")
        panel.set(xlabel="time", xlim=(PAST[-1], FUTURE[-1]), ylim=(-0.05, 1.0))
        panel.set_title(f"{'CD'[i]}: the thick orbit over time", fontsize="medium")
    axes["C"].set_ylabel("state")
    axes["C"].legend(fontsize="small")
    axes["E"].plot(ds.own, ds.second_area, "o-", color="black")
    axes["E"].set(
        xlabel="$-U_{r,22}$, the second unit's own reset weight", ylabel="area of the second region"
    )
    axes["E"].set(xlim=(0.0, None), ylim=(0.0, None), box_aspect=1.2)
    axes["E"].set_title("E: the second region shrinks\nto nothing with one weight", fontsize="medium")
    figure.supxlabel(
        "Parameters found by the program; the text gives none. $U_h = 2 I$, no biases; shaded: the regions.",
        fontsize="small",
    )
    figure.savefig(path, dpi=120)


def _regions(axes: Axes, ds: xr.Dataset, i: int) -> None:
    name = list(RESETS)[i]
    plane(axes, cell(RESETS[name]), (-1.1, -1.1), (1.1, 1.1), 3.0)
    for quadrant in QUADRANTS[name]:
        number = QUADRANTS[name].index(quadrant)
        border = ds[f"border_{name.split()[0]}_{number}"].values
        axes.fill(*border.T, color="#E69F00", alpha=0.35, linewidth=0)
        axes.plot(*border.T, color="#D55E00", linewidth=1.4)
        for which, orbit in enumerate(ds.orbit.values[i]):
            # the third quadrant is the mirror image of the first
            states = orbit if quadrant == 1 else -orbit[:, ::-1]
            axes.plot(*states.T, color="black", linewidth=2.0 if which == 1 and quadrant == 1 else 0.9)
        saddle = border[1]
        axes.plot(*saddle, linestyle="none", **MARKERS[gs.Kind.SADDLE])
    axes.plot(0.0, 0.0, linestyle="none", **({"markersize": 9.0} | MARKERS[gs.Kind.DEGENERATE]))


def main() -> None:
    given = arguments(__doc__, "a coarser grid of starts")
    ds, found = compute(QUICK if given.quick else FULL)
    write(given.out_dir, NAME, ds, found, lambda path: draw(ds, found, path))
    print(report(found))


if __name__ == "__main__":
    main()
