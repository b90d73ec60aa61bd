"""One LSTM unit, the planar system (h, c) that it is: is its array of dynamics more limited than two GRUs'?

    python experiments/one_unit_lstm.py [--quick] [--out-dir results]

Jordan, Sokol & Park (2021) expect so. Cells are drawn with normal weights and biases at several scales, the
whole portrait of each is computed and labelled as GRUs are (`lstm_portraits.py`), and so are as many GRUs of
two units at the same scales. Then, for both alike, examples of all topologies met are disturbed, generation
after generation, to meet more.

Every gate depends on h alone, so that dc/dt = 0 is one curve c = i g / (1 - f) over h, and fixed points are
the zeros of o tanh(i g / (1 - f)) - h: along the curve saddles alternate with the others, which begin and
end the row. There, fixed points and sources are counted of many more cells than there are portraits; those
with most, and some with sources, are disturbed as well, which gives the LSTM a start that GRUs do not have.
Writes one_unit_lstm.json, .md and .png.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from conjectures.portraits import Columns
from learning import share
from lstm_portraits import NAMES, NODES, Gru, Lstm, along, draw_gallery, draw_plane
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments

import gru_sweep as gs

NAME = "one_unit_lstm"
SEED = 11
SCALES = ((1.0, 1.0), (2.0, 1.0), (5.0, 1.0), (5.0, 5.0), (10.0, 1.0), (10.0, 5.0))
"""Standard deviations of weights and of biases."""
COUNT, QUICK_COUNT = 1024, 32
"""Cells of each kind and scale."""
GENERATIONS, CHILDREN, QUICK_CHILDREN = 6, 768, 32
"""Of the search for further topologies."""
PARENTS = 64
"""Topologies that are disturbed in a generation: those met least often."""
MANY = 16
"""Cells of each scale with most fixed points that are disturbed."""
LARGEST = 30.0
"""Entries are cut off here in that search."""
DECIMALS = 4
"""Of every entry: what a table prints is the cell that was computed."""
LINES, QUICK_LINES = 50_000, 2000
"""Cells of each scale that are looked at along the curve alone."""
PLANE = ("U_g", "U_o")
SIDE, QUICK_SIDE, REACH = 40, 4, 0.5
"""Points on each side of the plane around the example with the largest cycle, and how far it reaches, as a
part of the example's entries."""


@dataclasses.dataclass
class Met:
    """Topologies with an example and how often each was met."""

    cells: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    counts: dict[str, int] = dataclasses.field(default_factory=dict)

    def add(self, cells: np.ndarray, labels: np.ndarray) -> None:
        for label, first, count in zip(*np.unique(labels.astype(str), return_index=True, return_counts=True)):
            if label:
                self.cells.setdefault(str(label), cells[first])
                self.counts[str(label)] = self.counts.get(str(label), 0) + int(count)

    def rarest(self, many: int) -> np.ndarray:
        """Examples of the topologies met least often, (n, entries)."""
        return np.array([self.cells[label] for label in sorted(self.counts, key=self.counts.get)[:many]])


def drawn(rng: np.random.Generator, widths: np.ndarray, count: int) -> np.ndarray:
    return np.round(widths * rng.normal(size=(count, widths.size)), DECIMALS) + 0.0


def row(found: Columns) -> dict[str, Any]:
    """What is said of cells of one scale."""
    ok, n = found["status"] == gs.Status.OK, len(found["status"])
    stable, unstable = found["n_stable_cycles"][ok], found["n_unstable_cycles"][ok]
    labels, counts = np.unique(found["label"][ok].astype(str), return_counts=True)
    return {
        "drawn": n,
        "ok": int(ok.sum()),
        "topologies": {str(k): int(c) for k, c in zip(labels, counts)},
        "with_stable_cycle": share(int((stable > 0).sum()), int(ok.sum())),
        "with_any_cycle": share(int((stable + unstable > 0).sum()), int(ok.sum())),
        "several_sinks": share(int((found["n_sinks"][ok] > 1).sum()), int(ok.sum())),
        "most_fixed_points": int(found["n_fixed_points"].max()),
    }


def disturbed(rng: np.random.Generator, met: Met, free: np.ndarray, count: int) -> np.ndarray:
    """Children of the rarest examples: some of the `free` entries changed by a share of their size."""
    parents = met.rarest(PARENTS)
    chosen = parents[rng.integers(len(parents), size=count)]
    amount = 10.0 ** rng.uniform(-2.5, 0.0, (count, 1)) * free * (rng.random(chosen.shape) < 0.5)
    changed = chosen + amount * (np.abs(chosen) + 0.1) * rng.normal(size=chosen.shape)
    return np.round(np.clip(changed, -LARGEST, LARGEST), DECIMALS) + 0.0


def explored(
    look: Callable[[np.ndarray], Columns],
    widths: Callable[[float, float], np.ndarray],
    counts: tuple[int, int, int],
    more: np.ndarray | None,
    seed: int,
) -> tuple[Met, dict[str, Any]]:
    """Draws at all scales, then the search: what was met, and the rows of the table."""
    count, generations, children = counts
    rng, met, rows = np.random.default_rng(seed), Met(), []
    for weight, bias in SCALES:
        cells = drawn(rng, widths(weight, bias), count)
        found = look(cells)
        met.add(cells, found["label"])
        rows.append({"weights": weight, "biases": bias} | row(found))
    by_draws = len(met.counts)
    if more is not None:
        met.add(more, look(more)["label"])
    looked = 0
    for _ in range(generations):
        cells = disturbed(rng, met, widths(1.0, 1.0), children)
        found = look(cells)
        met.add(cells, found["label"])
        looked += len(cells)
    ordered = sorted(met.counts, key=lambda label: (-met.counts[label], label))
    return met, {
        "scales": rows,
        "topologies_by_draws": by_draws,
        "searched": looked,
        "topologies": len(ordered),
        "met": {label: met.counts[label] for label in ordered},
        "examples": {label: met.cells[label].tolist() for label in ordered},
    }


def lines(count: int, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """How many cells have how many fixed points by sign changes, and how many a source; of each scale some
    cells with most fixed points and some with a source."""
    rng, found, best = np.random.default_rng(seed), [], []
    for weight, bias in SCALES:
        cells = drawn(rng, Lstm.widths(weight, bias), count)
        numbers, sources = along(cells)
        many, times = np.unique(numbers, return_counts=True)
        found.append(
            {
                "weights": weight,
                "biases": bias,
                "drawn": count,
                "fixed_points": {int(k): int(n) for k, n in zip(many, times)},
                "with_source": share(int(sources.sum()), count),
            }
        )
        best.append(cells[np.argsort(-numbers, kind="stable")[:MANY]])
        best.append(cells[sources][:PARENTS])
    most = max(max(one["fixed_points"]) for one in found)
    return {"most": most, "scales": found}, np.concatenate(best)


def plane(look: Lstm, met: Met, side: int) -> dict[str, Any] | None:
    """Labels and frequencies around the example with the largest stable cycle; None if there is none."""
    cells = np.array(list(met.cells.values()))
    found = look(cells)
    size = np.where(found["cycle_stable"] == 1, found["cycle_amplitude"].min(axis=2), 0.0).max(axis=1)
    if not size.any():
        return None
    centre = cells[np.argmax(size)]
    columns = [NAMES.index(name) for name in PLANE]
    axes = [centre[k] * np.linspace(1 - REACH, 1 + REACH, side) for k in columns]
    grid = np.repeat(centre[None], side * side, axis=0)
    for k, values in zip(columns, np.meshgrid(*axes, indexing="ij")):
        grid[:, k] = values.ravel()
    seen = look(grid)
    frequency = seen["frequency"].reshape(side, side)
    return {
        "around": dict(zip(NAMES, centre.tolist())),
        "axes": {name: values.tolist() for name, values in zip(PLANE, axes)},
        "label": seen["label"].reshape(side, side).astype(str).tolist(),
        "frequency": [[None if math.isnan(v) else v for v in line] for line in frequency.tolist()],
        "frequencies": [float(np.nanmin(frequency)), float(np.nanmax(frequency))],
    }


def compute(quick: bool) -> tuple[dict[str, Any], Met]:
    """The whole document, and the LSTMs met."""
    counts = (QUICK_COUNT, 1, QUICK_CHILDREN) if quick else (COUNT, GENERATIONS, CHILDREN)
    counted, best = lines(QUICK_LINES if quick else LINES, SEED)
    lstm, gru = Lstm(), Gru()
    met, one = explored(lstm, lstm.widths, counts, best, SEED)
    _, two = explored(gru, gru.widths, counts, None, SEED)
    found = {
        "seed": SEED,
        "names": list(NAMES),
        "lstm": one,
        "gru": two,
        "only_lstm": sorted(set(one["met"]) - set(two["met"])),
        "lines": counted,
        "plane": plane(lstm, met, QUICK_SIDE if quick else SIDE),
    }
    return found | {"verdict": verdict(found)}, met


def verdict(found: dict[str, Any]) -> str:
    """Of the expectation: fewer topologies at every scale where they differ, and in all."""
    pairs = list(zip(found["lstm"]["scales"], found["gru"]["scales"]))
    fewer = [len(a["topologies"]) - len(b["topologies"]) for a, b in pairs]
    if max(fewer) <= 0 and found["lstm"]["topologies"] < found["gru"]["topologies"]:
        return "more limited" + (", and no topology of its own" if not found["only_lstm"] else "")
    return "not more limited by these counts"


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown."""
    text = [
        "# One LSTM unit beside two GRUs",
        "",
        f"By `python experiments/one_unit_lstm.py`, seed {found['seed']}. Expectation: the dynamics of one "
        f"LSTM unit are more limited than those of two gated recurrent units. Verdict: {found['verdict']}.",
        "",
        "Weights and biases are normal with the standard deviations given. Shares are of the cells whose "
        "status is ok, with Wilson's intervals of 95 %. The GRUs have no update gate.",
        "",
        "| weights | biases | | drawn | ok | topologies | most fixed points | several sinks | stable cycle |",
        "|---:|---:|---|---:|---:|---:|---:|---|---|",
    ]
    percent = lambda s: "{:.3g} % ({:.3g} to {:.3g})".format(  # noqa: E731
        *(100 * max(v, 0.0) for v in (s["count"] / max(s["of"], 1), *s["interval"]))
    )
    for pair in zip(found["lstm"]["scales"], found["gru"]["scales"]):
        for kind, one in zip(("one LSTM", "two GRUs"), pair):
            text.append(
                f"| {one['weights']:g} | {one['biases']:g} | {kind} | {one['drawn']} | {one['ok']} "
                f"| {len(one['topologies'])} | {one['most_fixed_points']} | {percent(one['several_sinks'])} "
                f"| {percent(one['with_stable_cycle'])} |"
            )
    a, b, counted = found["lstm"], found["gru"], found["lines"]
    cells = sum(one["drawn"] for one in counted["scales"])
    text += [
        "",
        f"All scales together: {a['topologies_by_draws']} topologies of the LSTM, {b['topologies_by_draws']} "
        f"of the GRUs. After {a['searched']} and {b['searched']} disturbed examples: {a['topologies']} and "
        f"{b['topologies']}. Of the LSTM alone: {', '.join(f'`{k}`' for k in found['only_lstm']) or 'none'}.",
        "",
        f"Along the curve dc/dt = 0, of {cells} LSTMs, each with at least as many fixed points as there are "
        f"sign changes on a grid of {NODES} points, at most {counted['most']}:",
        "",
        "| weights | biases | fixed points: cells | with a source |",
        "|---:|---:|---|---|",
        *(
            f"| {one['weights']:g} | {one['biases']:g} "
            f"| {', '.join(f'{k}: {n}' for k, n in one['fixed_points'].items())} "
            f"| {one['with_source']['count']}, {percent(one['with_source'])} |"
            for one in counted["scales"]
        ),
        "",
        "Of these the LSTMs with most fixed points and some with a source are among the examples disturbed.",
        "",
        f"| topology of the LSTM | met | example ({', '.join(found['names'])}) |",
        "|---|---:|---|",
        *(f"| `{k}` | {n} | {', '.join(f'{v:g}' for v in a['examples'][k])} |" for k, n in a["met"].items()),
    ]
    if found["plane"]:
        low, high = found["plane"]["frequencies"]
        text += [
            "",
            f"Frequencies in the plane of {' and '.join(PLANE)}: {low:.4g} to {high:.4g} per unit of time.",
        ]
    return "\n".join(text) + "\n"


def draw(found: dict[str, Any], met: Met, path: Path) -> None:
    """The gallery of the LSTM's portraits, and the plane below it."""
    figure = Figure(figsize=(15, 15), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subfigures(2, 1, height_ratios=(2, 1))
    draw_gallery(above, {label: met.cells[label] for label in found["lstm"]["met"]})
    if found["plane"]:
        draw_plane(below, found["plane"], PLANE)
    figure.savefig(path, dpi=64)


def main() -> None:
    given = arguments(__doc__, "few cells, one generation, a coarse plane")
    found, met = compute(given.quick)
    given.out_dir.mkdir(parents=True, exist_ok=True)
    (given.out_dir / f"{NAME}.json").write_text(json.dumps(found, indent=1) + "\n")
    text = table(found)
    (given.out_dir / f"{NAME}.md").write_text(text)
    draw(found, met, given.out_dir / f"{NAME}.png")
    print(text, end="")


if __name__ == "__main__":
    main()
