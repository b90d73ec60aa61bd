"""A gallery: one example of every phase portrait that this search meets among planar cells.

    python experiments/catalogue.py [--quick] [--out-dir results]

The supplement of Jordan, Sokol & Park (2021) shows 36 topologies, degenerate ones included. Here a topology
is a canonical label of a structurally stable portrait. Its example is, of the cells met that have it with
status ok, the one whose fixed points lie furthest apart and whose cycles are largest. Cells come from sweeps
of `random` at several scales; with a chosen, often small trace and determinant of the Jacobian at the origin,
beside Hopf and Takens-Bogdanov points, where cycles lie inside each other and around several points; from
rotations with gain; from units that gate each other, with many fixed points; and from the examples found so
far, disturbed, the rarest most often. Weights have four decimals, and labels are those of the rounded cells.
Writes catalogue.h5 (weights, labels, counts, frequencies), catalogue.json and catalogue.png.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from outputs import arguments, write

import gru_sweep as gs
from gru_sweep import studies
from gru_sweep.plotting.styles import CURVES, MARKERS
from gru_sweep.records import meaning

NAME = "catalogue"
PARTS = {"U_h": (2, 2), "U_r": (2, 2), "U_z": (2, 2), "b_h": (2,), "b_r": (2,), "b_z": (2,)}
SCALES = ((8.0, 8.0, 1.0, 0.5), (4.0, 12.0, 0.0, 0.5), (16.0, 16.0, 1.0, 1.0), (20.0, 20.0, 0.0, 0.3))
"""Of U_h, U_r, U_z and the biases of the random cells."""
FULL, QUICK = (2048, 4500), (128, 200)
"""Random cells of each scale; cells drawn from the other sources."""
SEED = 36
COLUMNS = 8
COUNTS = ("n_fixed_points", "n_sinks", "n_sources", "n_saddles", "n_stable_cycles", "n_unstable_cycles")

Weights = dict[str, np.ndarray]


@dataclasses.dataclass
class Example:
    """A cell of a topology, what drew it, its portrait, and how often the topology was met."""

    weights: Weights
    source: str
    portrait: Any
    met: int = 1


class Catalogue:
    """The clearest example of each label, and how many cells of each status were looked at."""

    def __init__(self) -> None:
        self.examples: dict[str, Example] = {}
        self.statuses: dict[str, int] = {}

    def look(self, weights: Weights, source: str) -> None:
        """Compute the portrait of a cell, and keep it if its topology is new, or clearer in it."""
        rounded = {part: np.round(np.reshape(value, PARTS[part]), 4) + 0.0 for part, value in weights.items()}
        whole = {part: rounded.get(part, np.zeros(shape)) for part, shape in PARTS.items()}
        portrait = gs.phase_portrait(gs.GRU(**whole))
        status = meaning(gs.Status(int(portrait.status)))
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if not (label := portrait.topology):
            return
        example = Example(whole, source, portrait)
        if known := self.examples.get(label):
            example.met = known.met = known.met + 1
        if known is None or clarity(portrait) > clarity(known.portrait):
            self.examples[label] = example

    def sorted(self) -> dict[str, Example]:
        """The examples in the order of the gallery: by cycles, then by fixed points, then by label."""

        def order(item: tuple[str, Example]) -> tuple:
            p = item[1].portrait
            return int(p.n_stable_cycles + p.n_unstable_cycles), int(p.n_fixed_points), item[0]

        return dict(sorted(self.examples.items(), key=order))


def clarity(portrait: Any) -> float:
    """The least distance between two fixed points, between two cycles, and across a cycle."""
    points = portrait.fixed_point[portrait.kind != gs.Kind.NOT_COMPUTED]
    across = np.sort(portrait.cycle_amplitude[portrait.cycle_stable >= 0].max(axis=1, initial=0.0))
    apart = np.linalg.norm(points[:, None] - points, axis=-1)[np.triu_indices(len(points), 1)]
    return float(np.concatenate([apart, across, np.diff(across)]).min(initial=np.inf))


def sweep_random(catalogue: Catalogue, n: int) -> None:
    """The first of each label among n random cells of each scale."""
    for seed, (scale, reset, update, bias) in enumerate(SCALES):
        given = {"scale": scale, "reset_scale": reset, "update_scale": update, "bias_scale": bias}
        ds = gs.sweep("random", measure="portrait", index=(0, n - 1, n), seed=seed, **given)
        _, first = np.unique(ds.topology.values, return_index=True)
        for index in first[ds.topology.values[first] >= 0]:
            cell = studies.cell("random", given | {"index": float(index)}, seed=seed)
            catalogue.look({part: np.asarray(getattr(cell, part)) for part in PARTS}, "random")


def beside_bifurcation(rng: np.random.Generator, _: list[Example]) -> Weights:
    """A Jacobian J at the origin with a chosen trace and determinant: U_h = (I + J / (1 - z)) / r there."""
    trace, det = rng.choice([-1.0, 1.0], 2) * 10.0 ** rng.uniform((-3.0, -2.5), (0.0, 0.5))
    first, across = rng.normal(), 10.0 ** rng.uniform(-0.7, 0.7)
    jacobian = np.array([[first, across], [(first * (trace - first) - det) / across, trace - first]])
    b_r, b_z = rng.normal(size=2), rng.uniform(0.0, 3.0) * rng.normal(size=2)
    opening, gate = 1.0 / (1.0 + np.exp(b_z)), 1.0 / (1.0 + np.exp(-b_r))
    weights = {"U_h": (np.eye(2) + jacobian / opening[:, None]) / gate, "b_r": b_r, "b_z": b_z}
    # without the rest the field is odd, and most cycles come in pairs or around three points
    if rng.random() < 0.7:
        strength = 10.0 ** rng.uniform(-1.5, 1.0)
        weights |= {"U_r": strength * rng.normal(size=(2, 2)), "b_h": 0.02 * strength * rng.normal(size=2)}
        weights |= {"U_z": strength * rng.normal(size=(2, 2))} if rng.random() < 0.5 else {}
    return weights


def rotation(rng: np.random.Generator, _: list[Example]) -> Weights:
    """A rotation with gain, and something of everything else."""
    gain, angle = 10.0 ** rng.uniform(0.3, 1.3), rng.uniform(0.0, 1.4)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return {
        "U_h": gain * (turn + rng.uniform(0.0, 0.4) * rng.normal(size=(2, 2))),
        "U_r": rng.choice([0.0, 1.0, 8.0]) * rng.normal(size=(2, 2)),
        "U_z": rng.choice([0.0, 2.0]) * rng.normal(size=(2, 2)),
        "b_h": rng.uniform(0.0, 0.8) * rng.normal(size=2),
        "b_r": rng.normal(size=2),
        "b_z": rng.choice([0.0, 1.0]) * rng.normal(size=2),
    }


def gating_each_other(rng: np.random.Generator, _: list[Example]) -> Weights:
    """Units that excite themselves and inhibit each other, and open each other's reset gates."""
    own, other = rng.uniform(10.0, 30.0), rng.uniform(-15.0, 5.0)
    close, open_ = rng.uniform(-15.0, 5.0), rng.uniform(0.0, 30.0)
    unequal = np.exp(0.15 * rng.normal(size=(2, 2, 2)))
    return {
        "U_h": unequal[0] * [[own, other], [other, own]],
        "U_r": unequal[1] * [[close, open_], [open_, close]],
        "b_h": rng.uniform(0.0, 0.5) * rng.normal(size=2),
        "b_r": rng.normal(1.0, 1.0, size=2),
    }


def disturbed(rng: np.random.Generator, examples: list[Example]) -> Weights:
    """An example, every part changed by the same share of its largest entry."""
    rarity = 1.0 / np.sqrt([one.met for one in examples])
    weights = examples[rng.choice(len(examples), p=rarity / rarity.sum())].weights
    share = 10.0 ** rng.uniform(-2.5, -0.3)
    return {k: v + share * max(np.abs(v).max(), 0.1) * rng.normal(size=v.shape) for k, v in weights.items()}


SHARES: dict[Callable[..., Weights], float] = {
    beside_bifurcation: 0.4,
    rotation: 0.1,
    gating_each_other: 0.1,
    disturbed: 0.4,
}
"""The share of each source among the cells that are not swept."""


def search(random: int, directed: int) -> Catalogue:
    """The catalogue of a whole run."""
    catalogue, rng = Catalogue(), np.random.default_rng(SEED)
    sweep_random(catalogue, random)
    sources = list(SHARES)
    for number in rng.choice(len(sources), directed, p=list(SHARES.values())):
        weights = sources[number](rng, list(catalogue.examples.values()))
        catalogue.look(weights, sources[number].__name__.replace("_", " "))
    return catalogue


def nested(portrait: Any) -> bool:
    """Whether a cycle lies within another."""
    return bool(np.any(portrait.cycle_within >= 0))


def dataset(catalogue: Catalogue) -> xr.Dataset:
    """One row for each topology."""
    examples = catalogue.sorted()
    rows = [one.portrait for one in examples.values()]
    units = {2: ("topology", "unit", "from"), 1: ("topology", "unit")}
    weights = {
        part: (units[len(shape)], np.stack([one.weights[part] for one in examples.values()]))
        for part, shape in PARTS.items()
    }
    counts = {
        name: ("topology", np.array([getattr(p, name) for p in rows], np.int16), {"long_name": name})
        for name in COUNTS
    }
    kinds = {
        "flag_values": np.array([int(k) for k in gs.Kind], np.int8),
        "flag_meanings": " ".join(k.name.lower() for k in gs.Kind),
    }
    cycles = {
        "cycle_period": ("units", "time"),
        "cycle_log_multiplier": ("units", "1"),
    }
    return xr.Dataset(
        weights
        | counts
        | {
            "frequency": (
                "topology",
                [float(p.frequency) for p in rows],
                {"units": "1/time", "long_name": "frequency of the stable cycle of largest amplitude"},
            ),
            "fixed_point": (("topology", "slot", "unit"), np.stack([p.fixed_point for p in rows])),
            "kind": (("topology", "slot"), np.stack([p.kind for p in rows]).astype(np.int8), kinds),
            **{
                name: (("topology", "cycle"), np.stack([getattr(p, name) for p in rows]), dict([about]))
                for name, about in cycles.items()
            },
            "cycle_stable": (("topology", "cycle"), np.stack([p.cycle_stable for p in rows]).astype(np.int8)),
            "cycle_hidden": (("topology", "cycle"), np.stack([p.cycle_hidden for p in rows]).astype(np.int8)),
            "nested": ("topology", np.array([nested(p) for p in rows], np.int8)),
            "met": ("topology", [one.met for one in examples.values()]),
            "source": ("topology", [one.source for one in examples.values()]),
        },
        coords={"topology": list(examples)},
        attrs={
            "title": "one planar gated recurrent network for each topology of the phase portrait",
            "equation": "dh/dt = (1 - z) o (tanh(U_h (r o h) + b_h) - h), z = sigma(U_z h + b_z), "
            "r = sigma(U_r h + b_r)",
            "seed": SEED,
            "statuses": json.dumps(catalogue.statuses),
        },
    )


def table(ds: xr.Dataset) -> dict:
    """The catalogue as plain numbers and words."""
    rows = []
    for i, label in enumerate(ds.topology.values):
        one = ds.isel(topology=i)
        frequency = float(one.frequency)
        rows.append(
            {
                "topology": str(label),
                **{name: int(one[name]) for name in COUNTS},
                "frequency": frequency if math.isfinite(frequency) else None,
                "hidden_cycle": bool(np.any(one.cycle_hidden == 1)),
                "nested_cycles": bool(one.nested),
                "source": str(one.source.values),
                "met": int(one.met),
                **{part: one[part].values.tolist() for part in PARTS},
            }
        )
    rare = {
        "with_a_stable_cycle": sum(row["n_stable_cycles"] > 0 for row in rows),
        "with_an_unstable_cycle": sum(row["n_unstable_cycles"] > 0 for row in rows),
        "with_nested_cycles": sum(row["nested_cycles"] for row in rows),
        "with_a_hidden_cycle": sum(row["hidden_cycle"] for row in rows),
    }
    most = max(row["n_fixed_points"] for row in rows)
    return {
        "topologies": len(rows),
        **rare,
        "most_fixed_points": most,
        "cells_by_status": json.loads(ds.statuses),
        "examples": rows,
    }


def report(found: dict) -> str:
    """The table as text."""
    lines = [f"{'met':>5} {'points':>6} {'cycles':>6} {'frequency':>10}  topology"]
    for row in found["examples"]:
        frequency = f"{row['frequency']:.5f}" if row["frequency"] else "-"
        cycles = row["n_stable_cycles"] + row["n_unstable_cycles"]
        lines.append(
            f"{row['met']:>5} {row['n_fixed_points']:>6} {cycles:>6} {frequency:>10}  {row['topology']}"
        )
    about = {key: value for key, value in found.items() if key != "examples"}
    return "\n".join([*lines, "", *(f"{key.replace('_', ' ')}: {value}" for key, value in about.items())])


def draw(catalogue: Catalogue, path: Path) -> None:
    examples = catalogue.sorted()
    lines = math.ceil(len(examples) / COLUMNS)
    figure = Figure(figsize=(2.2 * COLUMNS, 2.5 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    for axes in panels[len(examples) :]:
        axes.set_axis_off()
    for axes, (label, one) in zip(panels, examples.items()):
        gs.plot.portrait(one.portrait, ax=axes, title="", legend=False, colorbar=False, trajectories=False)
        axes.set(xlabel="", ylabel="", xticks=[], yticks=[])
        axes.set_title(wrapped(label), fontsize=9)
    kinds = {kind: style for kind, style in MARKERS.items() if kind != gs.Kind.DEGENERATE}
    handles: list[Artist] = [
        Line2D([], [], linestyle="none", label=meaning(kind), **style) for kind, style in kinds.items()
    ]
    handles += [LineCollection([], **style) for name, style in CURVES.items() if name != "trajectories"]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, handlelength=3
    )
    figure.savefig(path, dpi=64)


def wrapped(label: str, width: int = 28) -> str:
    """The label on as few lines as fit, broken after commas and semicolons."""
    lines = [""]
    for word in label.replace(",", ",\n").replace(";", ";\n").split("\n"):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def main() -> None:
    given = arguments(__doc__, "a short search")
    catalogue = search(*(QUICK if given.quick else FULL))
    ds = dataset(catalogue)
    found = table(ds)
    write(given.out_dir, NAME, ds, found, lambda path: draw(catalogue, path))
    print(report(found))


if __name__ == "__main__":
    main()
