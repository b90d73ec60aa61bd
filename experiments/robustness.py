"""Section 6 of Jordan, Sokol & Park (2021): how far a topology withstands changed and pruned weights.

    python experiments/robustness.py [--quick] [--out-dir results]

Three cells: four sinks (Fig 2), eleven fixed points (Fig 3A, a construction) and a stable cycle (Eq 8 at
alpha = pi/4, beta = 3). On the line through each along each of its 18 entries, and along seeded random
directions, the nearest bifurcations on both sides are located: between them the portrait keeps its label. The
least of these distances bounds that to the nearest bifurcation from above. Labels inside and just beyond are
then evaluated by themselves. Pruning: every entry is set to zero, and the label is compared; likewise for
drawn cells, by part. Writes robustness.h5, .png and .json.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr
from conjectures.cells import NAMES, row_of
from conjectures.portraits import Portraits
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

from gru_sweep import studies
from gru_sweep.analysis.bifurcations.line import Located
from gru_sweep.analysis.bifurcations.line import locate as locate_on
from gru_sweep.measures import FEW
from gru_sweep.systems import entries
from gru_sweep.systems.slices import Slice

NAME = "robustness"
ROOT = math.sqrt(4.5)
CELLS = {
    "Fig 2, four sinks": {"U_h": [[5.0, 0.0], [0.0, 5.0]]},
    "Fig 3A, eleven fixed points": {
        "U_h": [[24.0, -9.0], [-9.0, 24.0]],
        "U_r": [[-6.0, 22.0], [22.0, -6.0]],
        "b_r": [1.4, 1.4],
    },
    "Eq 8, a stable cycle": {"U_h": [[ROOT, -ROOT], [ROOT, ROOT]]},
}
REACH = 10.0
"""How far along a line is looked, in units of the weights."""
SEED, DIRECTIONS = 0, 12
"""Of the random directions, unit vectors in the space of all entries; their number."""
INSIDE = 8
"""Labels evaluated within each interval."""
BEYOND = 2e-3
"""How far beyond an event the other label is evaluated: far enough for a cycle that has just begun."""
DRAWS = 256
"""Drawn cells that are pruned: the family `random`, its default scales and the same seed."""
FULL, QUICK = (tuple(CELLS), NAMES, DIRECTIONS, DRAWS), (tuple(CELLS)[2:], ("b_h[0]", "b_z[0]"), 0, 8)
KIND_COLOURS = {
    "fold": "#0072B2",
    "hopf": "#D55E00",
    "homoclinic": "#009E73",
    "heteroclinic": "#CC79A7",
    "pitchfork": "#56B4E9",
    "snic": "#E69F00",
    "": "0.8",
}
"""Kinds without a colour of their own are black; the grey ends are those of the line."""


def line(row: np.ndarray, way: np.ndarray) -> Slice:
    """The cells `row + p way`, as one field of the state and p: all lines share their programs."""
    origin, direction = (tuple(map(jnp.asarray, column)) for column in (row, way[:, None]))
    return Slice(entries.before, NAMES, origin, direction)


def located(portraits: Portraits, row: np.ndarray, way: np.ndarray) -> Located:
    """Every bifurcation on that line, within `REACH`."""
    side = np.ones(2)

    def along(values: np.ndarray) -> dict[str, np.ndarray]:
        columns = portraits(row + values[:, None] * way)
        return {name: column for name, column in columns.items() if name != "label"}

    return locate_on(line(row, way), -REACH, REACH, along, -side, side)


def interval(found: Located) -> dict[str, Any]:
    """The nearest changes of label on both sides of p = 0, infinite where there is none.

    `known`: all bifurcations of fixed points on the line are proven, and the two events have a name.
    """
    events = [e for e in found if e.before != e.after or not e.before]
    below = max((e for e in events if e.value < 0), key=lambda e: e.value, default=None)
    above = min((e for e in events if e.value >= 0), key=lambda e: e.value, default=None)
    ends = [None if e is None else float(e.value) for e in (below, above)]
    kinds = ["" if e is None else e.kind for e in (below, above)]
    return {
        "from": ends[0],
        "to": ends[1],
        "errors": [None if e is None else float(e.error) for e in (below, above)],
        "kinds": kinds,
        "distance": min((abs(x) for x in ends if x is not None), default=None),
        "known": found.complete and not {"unresolved", "degenerate"} & set(kinds),
    }


def checked(portraits: Portraits, row: np.ndarray, ways: list[np.ndarray], found: list[dict]) -> dict:
    """Labels inside each interval and just beyond its ends, against the label of the cell."""
    rows, beyond = [row], []
    for way, one in zip(ways, found):
        ends = [REACH * side if x is None else x for side, x in ((-1, one["from"]), (1, one["to"]))]
        rows += [row + p * way for p in np.linspace(*ends, INSIDE + 2)[1:-1]]
        beyond += [
            row + (x + math.copysign(BEYOND, x)) * way for x in (one["from"], one["to"]) if x is not None
        ]
    words = portraits(np.array(rows + beyond))["label"]
    own, inside, outside = words[0], words[1 : len(rows)], words[len(rows) :]
    return {
        "inside": len(inside),
        "inside_alike": int((inside == own).sum()),
        "inside_not_known": int((inside == "").sum()),
        "beyond": len(outside),
        "beyond_different": int(((outside != own) & (outside != "")).sum()),
        "beyond_not_known": int((outside == "").sum()),
    }


def pruned(portraits: Portraits, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of cells (n, 18), (n,), and with each of their entries set to zero, (n, 18)."""
    without = np.where(np.eye(len(NAMES), dtype=bool), 0.0, rows[:, None])
    words = portraits(np.concatenate([rows[:, None], without], axis=1).reshape(-1, len(NAMES)))["label"]
    words = words.reshape(len(rows), -1)
    return words[:, 0], words[:, 1:]


def part_of(name: str) -> str:
    """`U_h own` for `U_h[0,0]`, `U_h other` for `U_h[0,1]`, `b_h` for `b_h[0]`."""
    part, places = entries.part_of(name), name[name.index("[") + 1 : -1].split(",")
    return part if len(places) == 1 else f"{part} {'own' if places[0] == places[1] else 'other'}"


def shares(portraits: Portraits, count: int) -> dict[str, Any]:
    """Of drawn cells: how often an entry can be set to zero without a change of label, by part."""
    family = studies.planar_family("random", None, SEED)
    full = family.complete({"index": np.arange(count, dtype=float)})
    inputs = family.inputs({name: np.broadcast_to(value, count) for name, value in full.items()})
    before, after = pruned(portraits, np.stack([inputs[name] for name in NAMES], axis=-1))
    known = (before != "")[:, None] & (after != "")
    same = known & (after == before[:, None])
    found = {}
    for part in dict.fromkeys(map(part_of, NAMES)):
        columns = [i for i, name in enumerate(NAMES) if part_of(name) == part]
        total = int(known[:, columns].sum())
        found[part] = {"entries": total, "share": float(same[:, columns].sum() / max(total, 1))}
    per_cell = same.sum(axis=1)[before != ""]
    return {
        "cells": count,
        "seed": SEED,
        "not_known": int((~known).sum()),
        "by_part": found,
        "entries_that_can_go_per_cell": float(per_cell.mean()),
        "cells_that_stand_any": int((per_cell == len(NAMES)).sum()),
    }


def compute(which: tuple, names: tuple, directions: int, draws: int) -> tuple[xr.Dataset, dict]:
    """Intervals and pruning of the cells, and the verdict."""
    portraits = Portraits(FEW)
    vectors = np.random.default_rng(SEED).standard_normal((directions, len(NAMES)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    verdict: dict[str, Any] = {"reach": REACH, "seed": SEED, "cells": {}}
    for title in which:
        row = row_of(CELLS[title])
        label, without = (words[0] for words in pruned(portraits, row[None]))
        axes = [np.eye(len(NAMES))[NAMES.index(name)] for name in names]
        ways = [*axes, *vectors]
        found = [interval(located(portraits, row, way)) for way in ways]
        nonzero = [i for i, value in enumerate(row) if value]
        kept = [NAMES[i] for i in nonzero if without[i] == label]
        least = min(
            (one["distance"], name)
            for one, name in zip(found, [*names, *("random direction" for _ in vectors)])
            if one["distance"] is not None
        )
        verdict["cells"][title] = {
            "topology": str(label),
            "entries": dict(zip(names, found)),
            "random_directions": found[len(names) :],
            "distance_at_most": least[0],
            "along": least[1],
            "lines_known": sum(one["known"] for one in found),
            "lines": len(found),
            "checks": checked(portraits, row, ways, found),
            "weights": len(nonzero),
            "can_be_pruned": kept,
            "labels_when_pruned": {NAMES[i]: str(without[i]) for i in nonzero},
        }
    verdict["drawn"] = shares(portraits, draws)
    ends = [
        [[one[k] for k in ("from", "to")] for one in cell["entries"].values()]
        for cell in verdict["cells"].values()
    ]
    ds = xr.Dataset(
        {
            "end": (
                ("cell", "entry", "side"),
                np.array(ends, float),
                {"long_name": "change of an entry at which the label changes, NaN for none within reach"},
            ),
        },
        coords={"cell": list(which), "entry": list(names), "side": ["below", "above"]},
        attrs={
            "title": "robustness of topologies (Jordan, Sokol & Park 2021, section 6)",
            "seed": SEED,
            "reach": REACH,
        },
    )
    if directions:
        ds["direction"] = (("way", "of"), vectors, {"long_name": "random directions, by entry"})
        ds = ds.assign_coords({"of": list(NAMES)})
    return ds, verdict


def report(verdict: dict) -> str:
    """The findings as text."""
    lines = []
    for title, cell in verdict["cells"].items():
        check = cell["checks"]
        lines += [
            f"{title}: {cell['topology']}; a bifurcation within {cell['distance_at_most']:.6f} "
            f"({cell['along']}); {cell['lines_known']} of {cell['lines']} lines known",
            f"   inside {check['inside_alike']} of {check['inside']} labels alike "
            f"({check['inside_not_known']} not known), beyond {check['beyond_different']} of "
            f"{check['beyond']} different ({check['beyond_not_known']} not known)",
            f"   of {cell['weights']} weights {len(cell['can_be_pruned'])} can be pruned: "
            + (", ".join(cell["can_be_pruned"]) or "none"),
        ]
        for name, one in cell["entries"].items():
            ends = ["none" if x is None else f"{x:+.6f}" for x in (one["from"], one["to"])]
            lines.append(
                f"      {name:<9}{ends[0]:>12}{ends[1]:>12}   {' '.join(k or '-' for k in one['kinds'])}"
            )
    drawn = verdict["drawn"]
    lines.append(
        f"of {drawn['cells']} drawn cells: {drawn['entries_that_can_go_per_cell']:.2f} of {len(NAMES)} "
        "entries can go, one at a time; "
        + ", ".join(f"{part} {100 * one['share']:.1f} %" for part, one in drawn["by_part"].items())
    )
    return "\n".join(lines)


def draw(verdict: dict, path: Path) -> None:
    figure = Figure(figsize=(4.6 * (len(verdict["cells"]) + 1), 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    *panels, last = figure.subplots(1, len(verdict["cells"]) + 1)
    for axes, (title, cell) in zip(panels, verdict["cells"].items()):
        _bars(axes, cell)
        axes.set_title(f"{title}\n{cell['topology']}", fontsize="medium", wrap=True)
    by_part = verdict["drawn"]["by_part"]
    last.barh(list(by_part), [one["share"] for one in by_part.values()], color="#92b1cb")
    last.set(xlim=(0, 1), xlabel="share of entries that can be set to zero")
    last.invert_yaxis()
    last.set_title(f"{verdict['drawn']['cells']} drawn cells, pruned", fontsize="medium")
    figure.supxlabel(
        "Bars: how far each entry can be moved before the label changes, their ends coloured by what happens "
        f"there (grey: nothing within {REACH:g}).\nBold: an entry that can be pruned. Without a name: random "
        "directions of unit length.",
        fontsize="small",
    )
    figure.savefig(path, dpi=110)


def _bars(axes: Axes, cell: dict) -> None:
    rows = [*cell["entries"].items(), *(("", one) for one in cell["random_directions"])]
    used: dict[str, str] = {}
    for y, (_, one) in enumerate(rows):
        ends = [REACH * side if x is None else x for side, x in ((-1, one["from"]), (1, one["to"]))]
        for x, kind in zip(ends, one["kinds"]):
            colour = KIND_COLOURS.get(kind, "black")
            used[kind or "none"] = colour
            axes.barh(y, x, color=colour, height=0.75)
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize="small")
    for text, (name, _) in zip(axes.get_yticklabels(), rows):
        text.set_fontweight("bold" if name in cell["can_be_pruned"] else "normal")
    axes.set(xlim=(-REACH, REACH), xlabel="change of the entry")
    axes.invert_yaxis()
    for kind, colour in used.items():
        axes.barh(0, 0, color=colour, label=kind)
    axes.legend(fontsize="x-small", loc="lower right")


def main() -> None:
    given = arguments(__doc__, "one cell, two of its entries, fewer drawn cells")
    ds, verdict = compute(*(QUICK if given.quick else FULL))
    write(given.out_dir, NAME, ds, verdict, lambda path: draw(verdict, path))
    print(report(verdict))


if __name__ == "__main__":
    main()
