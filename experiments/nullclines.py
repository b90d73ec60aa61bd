r"""Section 6 of Jordan, Sokol & Park (2021): the shapes that nullclines of two gated units can have.

    python experiments/nullclines.py [--quick] [--out-dir results]

The text names a sigmoid, an s-shape and three lines without reset gate; a pitchfork, a sigmoid with a U, an
O, and an O joined to the line with it. `shapes.py` computes and proves the shape within the box [-1, 1]^2, in
which all states come to lie; drawn cells are counted by shape, with and without reset gate. Without it the
nullcline of unit i is a graph,

    h_j = (2 artanh(h_i) - U_ii h_i - 2 b_i) / U_ij,

that turns at h_i^2 = 1 - 2 / U_ii if U_ii > 2, and the shapes are compared with what of it is in the box: an
s of which one turn lies outside is a sigmoid with a U there, as one of which both do is three lines. With the
gate, f_i = 0 is the level set of height b_i of

    beta(h) = artanh(h_i) - U_i (r o h),

so that the curve crosses itself, which is a pitchfork, where beta has a saddle, and an O begins where it has
an extremum: all of these are found, proven, for the cell of Fig 9. Writes nullclines.h5, .png and .json.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from crossings import REGULAR, critical
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write
from shapes import NAMED, NODES, TOUCH, Shape, curves, drawn, shape

import gru_sweep as gs
from gru_sweep.plotting.styles import NULLCLINES

NAME = "nullclines"
ENSEMBLES = {
    "no reset gate, weights 2": (2.0, 0.0, 0.5, 0.0),
    "no reset gate, weights 8": (8.0, 0.0, 0.5, 0.0),
    "reset gate, weights 4": (4.0, 4.0, 0.5, 1.0),
    "reset gate, weights 8": (8.0, 8.0, 0.5, 1.0),
    "reset gate, weights 8, sharp": (8.0, 16.0, 1.0, 2.0),
}
"""Standard deviations of the entries of U_h, U_r, b_h and b_r; the place of each is its seed."""
FULL, QUICK = 300, 3
"""Cells of each ensemble."""
BESIDE = 0.05
"""The nullcline of Fig 9 is looked at so far beside its crossing, in the unit's bias."""
ELEVEN = {"U_h": [[24.0, -9.0], [-9.0, 24.0]], "U_r": [[-6.0, 22.0], [22.0, -6.0]], "b_r": [1.4, 1.4]}
"""The cell of Fig 3A, a construction."""
FIGURES = {
    "2A": ({"U_h": [[5.0, 0.0], [0.0, 5.0]]}, "three lines"),
    "3A": (ELEVEN, "pitchfork"),
    "3B": (
        {
            "U_h": [[3.0, 0.0], [0.0, 3.0]],
            "U_r": [[-5.0, 0.0], [0.0, -5.0]],
            "b_r": [-math.log(2.0)] * 2,
            "b_h": [0.01, 0.01],
        },
        "three lines",
    ),
    "5A": ({"U_h": [[1.5, -1.5 * math.sqrt(3.0)], [1.5 * math.sqrt(3.0), 1.5]]}, "sigmoid"),
    "5B": (
        {"U_h": [[3.0 * math.cos(0.6), -3.0 * math.sin(0.6)], [3.0 * math.sin(0.6), 3.0 * math.cos(0.6)]]},
        "s-shape",
    ),
    "7": (
        {
            "U_h": [
                [3.0 * math.cos(math.pi / 20), 3.0 * math.sin(math.pi / 20)],
                [-3.0 * math.sin(math.pi / 20), 3.0 * math.cos(math.pi / 20)],
            ],
            "b_h": [0.32, 0.054],
        },
        "s-shape",
    ),
    "9": ({"U_h": [[2.0, 0.0], [0.0, 2.0]], "U_r": [[5.0, -10.0], [10.0, -5.0]]}, "pitchfork"),
    "10": ({"U_h": [[0.999, 0.999], [0.999, 0.999]]}, "sigmoid"),
}
"""Cells behind the text's figures and the shape that it sees in each. Where it gives no parameters (2A, 3, 9,
10) they are constructions; 3B is one hundredth in b_h beside the point where two lines of each unit merge."""
CROSSED = "9"
"""The one whose nullclines cross themselves."""


def cells(ensemble: str, count: int) -> list[gs.GRU]:
    """The first cells of an ensemble."""
    random = np.random.default_rng(list(ENSEMBLES).index(ensemble))
    own, reset, bias, open_ = ENSEMBLES[ensemble]
    rows = random.standard_normal((count, 12))
    return [
        gs.GRU(
            U_h=own * row[:4].reshape(2, 2),
            U_r=reset * row[4:8].reshape(2, 2),
            b_h=bias * row[8:10],
            b_r=open_ * row[10:],
        )
        for row in rows
    ]


def made(parts: dict[str, Any]) -> gs.GRU:
    """A cell with all the parts that drawn ones have: one program serves all."""
    full = {"U_r": np.zeros((2, 2)), "b_h": np.zeros(2), "b_r": np.zeros(2)} | parts
    return gs.GRU(**{name: np.asarray(value, float) for name, value in full.items()})


def parts_of(cell: gs.GRU) -> dict[str, list]:
    return {name: np.asarray(getattr(cell, name)).tolist() for name in ("U_h", "U_r", "b_h", "b_r")}


def closed_form(cell: gs.GRU, unit: int) -> Shape:
    """The shape without reset gate, r = 1/2: which turns of the graph lie in the box."""
    own, other = float(cell.U_h[unit, unit]), float(cell.U_h[unit, 1 - unit])
    if own <= 2.0:
        return Shape((0,), (), (), ())
    at = math.sqrt(1.0 - 2.0 / own)
    heights = [(2.0 * math.atanh(x) - own * x - 2.0 * float(cell.b_h[unit])) / other for x in (-at, at)]
    low, high = sorted(heights)
    if high < -1.0 or low > 1.0:
        return Shape((0,), (), (), ())
    if low < -1.0 and high > 1.0:
        return Shape((0, 0, 0), (), (), ())
    if low < -1.0:
        return Shape((0,), (1,), (), ())
    return Shape((0,), (), (1,), ()) if high > 1.0 else Shape((2,), (), (), ())


def crossed() -> list[dict]:
    """For both units of Fig 9's cell: the crossings, and the shapes on both sides of the cell's bias."""
    parts, found = FIGURES[CROSSED][0], []
    for unit in range(2):
        rows, open_ = critical(made(parts), unit)
        sides = [shape(made(parts | {"b_h": side * np.eye(2)[unit]}), unit) for side in (-BESIDE, BESIDE)]
        at = [row for row in rows if row["kind"] == "crossing" and abs(row["b_h"]) < REGULAR]
        found.append(
            {
                "crosses_itself": len(at) == 1,
                "at": at,
                "all_critical": rows,
                "undecided": open_,
                "b_h_beside": BESIDE,
                "shapes_beside": [name_of(side) for side in sides],
            }
        )
    return found


def name_of(found: Shape | None) -> str:
    return "unresolved" if found is None else found.name


def census(count: int) -> tuple[dict, dict, dict]:
    """Counts by shape of every ensemble; an example of each shape; agreement with the closed form."""
    tables, examples = {}, {}
    against = {"units": 0, "agree": 0, "drawn_but_not_proven_alike": 0}
    for seed, (name, scales) in enumerate(ENSEMBLES.items()):
        counts: dict[str, int] = {}
        reset = scales[1] > 0.0
        for cell in cells(name, count):
            for unit in range(2):
                found = shape(cell, unit)
                counts[name_of(found)] = counts.get(name_of(found), 0) + 1
                if found is None:
                    against["drawn_but_not_proven_alike"] += drawn(cell, unit) is not None
                    continue
                examples.setdefault((found.name, reset), (cell, unit))
                if not reset:
                    against["units"] += 1
                    against["agree"] += found == closed_form(cell, unit)
        tables[name] = {"seed": seed, "units": 2 * count, "by_shape": dict(sorted(counts.items()))}
    return tables, examples, against


def compute(count: int) -> tuple[xr.Dataset, dict, dict]:
    """Counts, the verdict, and the example of each shape with and without reset gate."""
    tables, examples, against = census(count)
    total: dict[str, int] = {}
    for word, _ in examples:
        total[word] = sum(t["by_shape"].get(word, 0) for t in tables.values())
    bare = [set(t["by_shape"]) for (t, scales) in zip(tables.values(), ENSEMBLES.values()) if not scales[1]]
    without = sorted(set().union(*bare) - {"unresolved"})
    crossing = crossed()
    figures = {}
    for name, (parts, claim) in FIGURES.items():
        words = [name_of(shape(made(parts), unit)) for unit in range(2)]
        if name == CROSSED:
            words = ["pitchfork" if one["crosses_itself"] else word for one, word in zip(crossing, words)]
        figures[name] = {"claim": claim, "found": words, "agrees": claim in words}
    named = {word: total.get(word, 0) for word in NAMED}
    verdict = {
        "claim": f"without reset gate: {', '.join(NAMED[:3])}; with it also: {', '.join(NAMED[3:])}",
        "reading": "within the box [-1, 1]^2",
        "named": named,
        "all_named_found": all(named.values()),
        "beyond_the_list": {word: n for word, n in sorted(total.items()) if word not in NAMED},
        "without_reset_gate": without,
        "without_reset_gate_beyond_the_text": sorted(set(without) - set(NAMED[:3])),
        "closed_form": against,
        "unresolved": sum(t["by_shape"].get("unresolved", 0) for t in tables.values()),
        "units": sum(t["units"] for t in tables.values()),
        "figures": figures,
        "pitchfork_of_9": crossing,
        "ensembles": tables,
        "nodes": list(NODES),
        "touch": TOUCH,
        "examples": {
            f"{word}, {'with' if reset else 'without'} reset gate": {"unit": unit, **parts_of(cell)}
            for (word, reset), (cell, unit) in sorted(examples.items())
        },
    }
    words = sorted(total)
    ds = xr.Dataset(
        {
            "count": (
                ("ensemble", "shape"),
                [[t["by_shape"].get(word, 0) for word in words] for t in tables.values()],
                {"long_name": "units whose nullcline has the shape"},
            ),
            "unresolved": ("ensemble", [t["by_shape"].get("unresolved", 0) for t in tables.values()]),
            "seed": ("ensemble", list(range(len(tables)))),
            "scale": (("ensemble", "part"), list(ENSEMBLES.values()), {"long_name": "standard deviation"}),
        },
        coords={"ensemble": list(tables), "shape": words, "part": ["U_h", "U_r", "b_h", "b_r"]},
        attrs={"title": "shapes of nullclines (Jordan, Sokol & Park 2021, section 6)", "nodes": NODES},
    )
    return ds, verdict, examples


def report(verdict: dict) -> str:
    """The findings as text."""
    lines = [f"{word:<30}{count:>6}" for word, count in verdict["named"].items()]
    lines.append("beyond the text's list:")
    lines += [f"   {word:<27}{count:>6}" for word, count in verdict["beyond_the_list"].items()]
    closed = verdict["closed_form"]
    lines += [
        f"unresolved: {verdict['unresolved']} of {verdict['units']} units",
        f"without reset gate {closed['agree']} of {closed['units']} agree with the closed form: "
        + ", ".join(verdict["without_reset_gate"]),
    ]
    for name, one in verdict["figures"].items():
        lines.append(f"Fig {name}: {one['claim']} in the text, here {' and '.join(one['found'])}")
    for unit, one in enumerate(verdict["pitchfork_of_9"], 1):
        verb = "crosses itself" if one["crosses_itself"] else "does not cross itself"
        beside = " and ".join(one["shapes_beside"])
        lines.append(f"Fig 9: the nullcline of unit {unit} {verb}, proven; beside that {beside}")
    return "\n".join(lines)


def draw(verdict: dict, examples: dict, path: Path) -> None:
    figure = Figure(figsize=(15.0, 9.2), layout="constrained")
    FigureCanvasAgg(figure)
    words = [word for word in NAMED if verdict["named"][word]]
    others = sorted(verdict["beyond_the_list"], key=lambda word: -verdict["beyond_the_list"][word])
    panels = figure.subplots(3, 5).ravel()
    for axes, word in zip(panels, [*words, *others[: len(panels) - len(words) - 1]]):
        reset = (word, False) not in examples
        cell, unit = examples[word, reset]
        _curve(axes, cell, unit)
        count = (verdict["named"] | verdict["beyond_the_list"])[word]
        axes.set_title(f"{word} ({count})", fontsize="medium", fontweight="bold" if word in NAMED else None)
    for axes in panels[len(words) + min(len(others), len(panels) - len(words) - 1) : -1]:
        axes.set_axis_off()
    cross = made(FIGURES[CROSSED][0])
    _curve(panels[-1], cross, 0)
    for row in verdict["pitchfork_of_9"][0]["at"]:
        panels[-1].plot(*row["h"], "o", color="#D55E00", markerfacecolor="none", markersize=11)
    panels[-1].set_title("proven crossing, the cell of Fig 9", fontsize="medium")
    figure.supxlabel(
        "Nullcline of one unit of a drawn cell, with the number of units of that shape; bold: named in the "
        "text. Across: the unit, upwards: the other one.",
        fontsize="small",
    )
    figure.savefig(path, dpi=110)


def _curve(axes: Axes, cell: gs.GRU, unit: int) -> None:
    lines, slopes = curves(cell, unit, NODES[1])
    for line, slope in zip(lines, slopes):
        axes.plot(*line.T, color=NULLCLINES[0]["colors"], linewidth=2.0)
        turns = line[1:][np.diff(np.sign(slope)) != 0]
        axes.plot(*turns.T, ".", color="black", markersize=7)
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))


def main() -> None:
    given = arguments(__doc__, "fewer cells")
    ds, verdict, examples = compute(QUICK if given.quick else FULL)
    write(given.out_dir, NAME, ds, verdict, lambda path: draw(verdict, examples, path))
    print(report(verdict))


if __name__ == "__main__":
    main()
