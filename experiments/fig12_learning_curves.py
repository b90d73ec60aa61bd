"""Fig 12 of Jordan, Sokol & Park (2021): do more units learn the ring better, and FitzHugh-Nagumo no better?

    python experiments/fig12_learning_curves.py [--quick] [--out-dir results]

Networks of 2, 4, 8 and 16 units, twenty of each beside the three of the text. All errors are mean squares of
an observed number. Intervals are bootstrapped, of medians and of their quotients; a verdict holds where the
quotient's interval is on one side of 1. What no network can be better than is computed: see `floors`. Beside
it FitzHugh-Nagumo without noise, and how long its forecasts keep time; what else this depends on is in
learning_choices.py. Writes fig12_learning_curves.h5, .png and .json, the trainings
fig12_learning_curves_fhn.h5, _ring.h5 and _noise_free.h5, and Fig 11's; trainings are read if they are there.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from floors import floors
from intervals import compared, median
from learning import EPOCHS, PAPER_SEEDS, QUICK_EPOCHS, QUICK_SEEDS, SEEDS, SMALL, share, small, trained
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

import gru_sweep as gs
from gru_sweep.plotting.learning import COLOURS
from gru_sweep.training.attractors import Class

NAME = "fig12_learning_curves"
TASKS = ("ring", "fhn")
LARGE, QUICK_LARGE = (4, 8, 16), (3,)
"""Units beyond Fig 11's two."""
NOISE_FREE_SEEDS = 3
ON_THE_CYCLE = 0.2
"""A forecast within this of the true cycle, which is 3.8 wide and 1.7 high, stays on it."""
COPY = 0.1
CLASSES = {
    "fixed": Class.FIXED,
    "periodic": Class.PERIODIC,
    "closed curve": Class.CLOSED_CURVE,
    "chaotic": Class.CHAOTIC,
}
TITLES = {"ring": "ring", "fhn": "FitzHugh-Nagumo", "noise_free": "FitzHugh-Nagumo, no noise"}


def files(folder: Path, quick: bool) -> dict[str, list[xr.Dataset]]:
    """The trainings: of each task those of two units and of more."""
    seeds, epochs, large = (QUICK_SEEDS, QUICK_EPOCHS, QUICK_LARGE) if quick else (SEEDS, EPOCHS, LARGE)
    found = {
        task: [
            small(folder, task, quick).load(),
            trained(folder / f"{NAME}_{task}.h5", task, dim=large, seeds=seeds, epochs=epochs).load(),
        ]
        for task in TASKS
    }
    free = trained(
        folder / f"{NAME}_noise_free.h5",
        "fhn",
        dim=(SMALL,) if quick else (SMALL, *LARGE),
        seeds=QUICK_SEEDS if quick else NOISE_FREE_SEEDS,
        epochs=epochs,
        noise=0.0,
    )
    return found | {"noise_free": [free.load()]}


def joined(parts: list[xr.Dataset], variable: str) -> xr.DataArray:
    """A variable of all sizes: losses as mean squares of an observed number."""
    return xr.concat([part[variable] for part in parts], "dim")


def errors(parts: list[xr.Dataset], variable: str) -> xr.DataArray:
    """A loss of all sizes as the mean square error of an observed number."""
    scale = parts[0]["train" if variable == "loss" else "test"].isel(time=0).size
    return joined(parts, variable) / scale


def by_size(parts: list[xr.Dataset]) -> dict[str, Any]:
    """Training and held-out errors at the end, and the least held-out error of each curve, by units."""
    train, held_out = errors(parts, "loss"), errors(parts, "test_loss")
    tables = {
        "training": train.values[..., -1],
        "held_out": held_out.values[..., -1],
        "held_out_at_its_best": np.nanmin(held_out.values, axis=-1),
    }
    sizes = [int(size) for size in train.dim.values]
    return {"sizes": sizes, "networks": int(train.sizes["seed"])} | {
        name: {
            "median": [median(row) for row in rows],
            "mean_of_the_first_three": [float(np.mean(row[:PAPER_SEEDS])) for row in rows],
            "last_over_first": compared(rows[0], rows[-1]),
            "next_over_previous": [compared(a, b) for a, b in pairwise(rows)],
        }
        for name, rows in tables.items()
    }


def timekeeping(parts: list[xr.Dataset]) -> list[dict[str, Any]]:
    """By units: do forecasts turn with the true cycle, on it, and how late are they after each turn?"""
    found = []
    for part in parts:
        for size in part.dim.values:
            one = part.sel(dim=size)
            turning = one.turns.values >= part.sizes["turn"] - 1
            distance = one.cycle_distance.values
            late = np.abs(one.phase_error.values[turning, 1:])
            found.append(
                {
                    "units": int(size),
                    "turn_three_times": share(int(turning.sum()), len(turning)),
                    "stay_on_the_cycle": share(
                        int((turning & (distance < ON_THE_CYCLE)).sum()), len(turning)
                    ),
                    "distance": float(np.median(distance)),
                    "lateness_in_periods": [float(x) for x in np.median(late, axis=0)] if len(late) else None,
                    "largest_lateness": [float(x) for x in late.max(axis=0)] if len(late) else None,
                }
            )
    return found


def attracted(parts: list[xr.Dataset]) -> list[dict[str, Any]]:
    """By units: fixed points, whether they are proven to be all, and attractors of the map.

    A copy is a further attractor of the same class that `COPY` of the starts reach.
    """
    found = []
    for part in parts:
        for size in part.dim.values:
            one = part.sel(dim=size)
            several = {
                word: ((one.map_class.values == kind) & (one.map_share.values >= COPY)).sum(axis=1)
                for word, kind in CLASSES.items()
            }
            # on a continuum of fixed points one eigenvalue is zero everywhere
            least = np.nanmin(np.linalg.norm(one.eigenvalue.values, axis=-1), axis=(-2, -1))
            found.append(
                {
                    "units": int(size),
                    "networks": len(least),
                    "all_fixed_points_proven": int((one.status.values == gs.Status.OK).sum()),
                    "fixed_points": [int(n) for n in one.n_fixed_points.values],
                    "least_eigenvalue": float(least.min()),
                    "with": {word: int((counts > 0).sum()) for word, counts in several.items()},
                    "with_copies": {word: int((counts > 1).sum()) for word, counts in several.items()},
                }
            )
    return found


def compute(folder: Path, quick: bool) -> tuple[xr.Dataset, dict]:
    """All curves in one Dataset, and the findings."""
    parts = files(folder, quick)
    found: dict[str, Any] = {name: by_size(several) for name, several in parts.items()}
    for name in TASKS:
        found[name]["floor"] = floors(name, quick)
        found[name]["dynamics"] = attracted(parts[name])
    found["noise_free"]["timekeeping"] = timekeeping(parts["noise_free"])
    found["fhn"]["timekeeping"] = timekeeping(parts["fhn"])
    first = parts["fhn"][0]
    found["epochs"], found["learning_rate"] = int(first.sizes["epoch"]), float(first.attrs["learning_rate"])
    curves = xr.Dataset(
        {
            name: xr.concat([joined(parts[task], name) for task in TASKS], "task")
            for name in ("loss", "test_loss")
        }
        | {
            name: xr.concat([parts[task][0][name].drop_vars("time") for task in TASKS], "task")
            for name in ("train", "test")
        }
        | {
            f"noise_free_{name}": parts["noise_free"][0][name].rename(
                seed="noise_free_seed", dim="noise_free_dim"
            )
            for name in ("loss", "test_loss")
        },
        attrs={"title": "learning curves of 2 to 16 units (Jordan, Sokol & Park 2021, Fig 12)"},
    ).assign_coords(task=list(TASKS))
    return curves, found


def report(found: dict) -> str:
    """The findings as text."""
    lines = []
    for name, title in TITLES.items():
        one = found[name]
        for which in ("training", "held_out", "held_out_at_its_best"):
            medians = ", ".join(f"{m['median']:.4g}" for m in one[which]["median"])
            last = one[which]["last_over_first"]
            lines.append(
                f"{title}, {which}: {medians}; last over first {last['quotient']:.3f} "
                f"({last['interval'][0]:.3f} to {last['interval'][1]:.3f}): {last['verdict']}"
            )
        if "floor" in one:
            lines.append(
                f"  no network can be better than {one['floor']['training']:.4g} and, held out, "
                f"{one['floor']['held_out']:.4g}"
            )
    for one in found["noise_free"]["timekeeping"]:
        stay, late = one["stay_on_the_cycle"], one["lateness_in_periods"]
        lines.append(
            f"no noise, {one['units']} units: {stay['count']} of {stay['of']} stay on it, late by {late}"
        )
    return "\n".join(lines)


def draw(data: xr.Dataset, found: dict, path: Path) -> None:
    figure = Figure(figsize=(13.6, 7.6), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(2, 3, sharex=True)
    for row, (variable, what) in zip(
        rows, {"loss": "training", "test_loss": "held_out"}.items(), strict=True
    ):
        points = data["train" if variable == "loss" else "test"].isel(task=0, time=0).size
        for axes, (name, title) in zip(row, TITLES.items(), strict=True):
            values = data[f"noise_free_{variable}"] if name == "noise_free" else data[variable].sel(task=name)
            _curves(axes, values / points, found[name]["sizes"])
            if "floor" in found[name]:
                axes.axhline(found[name]["floor"][what], color="black", linestyle=":", label="best possible")
            axes.set_title(f"{title}: {what.replace('_', ' ')}", fontsize="medium")
        row[0].set_ylabel("mean square error of a number")
    for axes in rows[1]:
        axes.set_xlabel("epoch")
    rows[0, 0].legend(fontsize="small", frameon=False)
    figure.supxlabel(
        "Thin: the first three networks of each size; thick: the median of all.", fontsize="small"
    )
    figure.savefig(path, dpi=100)


def _curves(axes: Axes, values: xr.DataArray, sizes: list[int]) -> None:
    along = next(name for name in values.dims if "epoch" in str(name))
    epoch = values[along].values + 1
    shown = np.unique(np.geomspace(1, len(epoch), 400).astype(int)) - 1
    for rows, size, colour in zip(values.values, sizes, COLOURS):
        for row in rows[:PAPER_SEEDS]:
            axes.loglog(epoch[shown], row[shown], color=colour, linewidth=0.6, alpha=0.5)
        axes.loglog(
            epoch[shown],
            np.nanmedian(rows, axis=0)[shown],
            color=colour,
            linewidth=2.0,
            label=f"{size} units",
        )


def main() -> None:
    given = arguments(__doc__, "two networks of 2 and of 3 units, and few epochs")
    data, found = compute(given.out_dir, given.quick)
    write(given.out_dir, NAME, data, found, lambda path: draw(data, found, path))
    print(report(found))


if __name__ == "__main__":
    main()
