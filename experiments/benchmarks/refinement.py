"""The Hopf plane (Eq 8, alpha x beta, s = 0) refined to 8193 x 8193 points, against direct evaluation.

    python experiments/benchmarks/refinement.py [--quick]

A grid of 65 x 65 is refined seven times. Then points of the finest grid are drawn, their status and topology
are read from the file's leaves and evaluated directly, and compared: points drawn evenly from all of the
plane, and as many that lie within two steps of a leaf of the last level, where a mistake would be. A second
row does the same with whole portraits on a small plane. Prints a table and, unless quick, writes
results/benchmarks/refinement.json and .md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

import gru_sweep as gs
from gru_sweep import measures, provenance, studies
from gru_sweep.cli import use_compilation_cache
from gru_sweep.sweeps.grid import Axis

RESULTS = Path(__file__).resolve().parents[2] / "results" / "benchmarks"
PLANE = {"alpha": (0.0, 3.14159265), "beta": (1.0, 3.0)}
SEED = 8
"""Of the points that are compared; the refinement's own sample has seed 0."""
STEPS = 2
"""How far from a leaf of the last level a point near a change may lie."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A measure on a plane: points of the root grid along an axis, levels, points to compare."""

    measure: str
    root: int
    levels: int
    compared: int


FULL = (Case("oscillation", 65, 7, 100_000), Case("portrait", 17, 5, 10_000))
QUICK = (Case("oscillation", 17, 4, 2_000),)


def read(ds: xr.Dataset, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Status and label (n,) of points (n, 2) of the finest grid: their own, or else their leaf's.

    Written against the file's variables alone: leaves of one level are found by their corners.
    """
    levels = int(ds.attrs["refine"])
    width = (ds.sizes["alpha_root"] - 1 << levels) + 1
    place = np.full(len(index), -1)
    corner = ds.leaf_alpha_index.values.astype(np.int64) * width + ds.leaf_beta_index.values
    depth, point = ds.leaf_level.values, ds.leaf_point.values
    for level in range(levels + 1):
        edge = 1 << (levels - level)
        home = np.minimum(index // edge, (width - 2) // edge) * edge
        here = lookup(corner[depth == level], home[:, 0] * width + home[:, 1])
        place = np.where(here >= 0, point[depth == level][here] if (depth == level).any() else -1, place)
    own = ds.alpha_index.values.astype(np.int64) * width + ds.beta_index.values
    here = lookup(own, index[:, 0] * width + index[:, 1])
    place = np.where(here >= 0, here, place)
    words = np.append(ds.topology_class.values, "")
    return ds.status.values[place], words[ds.topology.values[place]]


def lookup(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of `wanted` (n,) stands in `keys`; -1 where it does not."""
    if not keys.size:
        return np.full(wanted.shape, -1)
    order = np.argsort(keys)
    place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), keys.size - 1)]
    return np.where(keys[place] == wanted, place, -1)


def direct(case: Case, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Status and label of the same points, each evaluated by itself."""
    size = (case.root - 1 << case.levels) + 1
    axes = [Axis(name, np.linspace(*ends, size)) for name, ends in PLANE.items()]
    plan = studies.plan("hopf", axes=axes, settings={"s": 0.0}, measure=case.measure, out="unused.h5")
    status, words = [], []
    evaluate = studies.evaluator(plan)
    step = measures.CHUNK["cpu"]
    for first in range(0, len(index), step):
        part = index[first : first + step]
        at = {axis.name: axis.values[part[:, k]] for k, axis in enumerate(axes)}
        values = evaluate(at)
        status.append(np.asarray(values["status"]))
        words.append(plan.measure.labeller.function(values))
    return np.concatenate(status), np.concatenate(words)


def near(ds: xr.Dataset, random: np.random.Generator, count: int) -> np.ndarray:
    """Points (count, 2) within `STEPS` of a corner of a leaf of the last level."""
    last = ds.leaf_level.values == ds.attrs["refine"]
    corner = np.stack([ds.leaf_alpha_index.values, ds.leaf_beta_index.values], axis=1)[last].astype(np.int64)
    chosen = corner[random.integers(0, len(corner), count)] + random.integers(-STEPS, STEPS + 1, (count, 2))
    return np.clip(chosen, 0, (ds.sizes["alpha_root"] - 1) << int(ds.attrs["refine"]))


def measure(case: Case) -> dict[str, Any]:
    """One row: what it cost, and how many of the points that were compared differ."""
    random = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as folder:
        axes = {name: (*ends, case.root) for name, ends in PLANE.items()}
        out = Path(folder) / "refined.h5"
        began = time.perf_counter()
        ds = gs.sweep("hopf", **axes, s=0.0, measure=case.measure, refine=case.levels, out=out, progress=True)
        seconds = time.perf_counter() - began
        row = {
            "measure": case.measure,
            "root": case.root,
            "levels": case.levels,
            "effective": (case.root - 1 << case.levels) + 1,
            "seconds": seconds,
            "compile_seconds": ds.attrs["compile_seconds"],
            "file_bytes": out.stat().st_size,
            **{name: ds.attrs[name].item() for name in KEPT},
        }
        size = row["effective"]
        drawn = {
            "anywhere": random.integers(0, size, (case.compared, 2)),
            "near": near(ds, random, case.compared),
        }
        for where, index in drawn.items():
            status, words = read(ds, index)
            true_status, true_words = direct(case, index)
            differ = (status != true_status) | (words != true_words)
            row[f"compared_{where}"] = len(index)
            row[f"differ_{where}"] = int(differ.sum())
            row[f"not_ok_{where}"] = int(np.sum(true_status != gs.Status.OK))
        ds.close()
    return row


KEPT = ("evaluations", "leaves", "share", "samples", "sample_points", "samples_wrong", "wrong_share_bound")


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown, one column each."""
    lines = [
        ("effective grid", lambda r: f"{r['effective']} x {r['effective']}"),
        ("root grid, levels", lambda r: f"{r['root']} x {r['root']}, {r['levels']}"),
        ("evaluations", lambda r: f"{r['evaluations']:,}".replace(",", " ")),
        ("share of the effective points", lambda r: f"{100 * r['share']:.3f} %"),
        ("leaves", lambda r: f"{r['leaves']:,}".replace(",", " ")),
        (
            "last sample of the verification, points; wrong in all samples",
            lambda r: f"{r['sample_points']}; {r['samples_wrong']}",
        ),
        ("bound on the share of wrong readings, 95 %", lambda r: f"{r['wrong_share_bound']:.2e}"),
        (
            "compared with direct evaluation anywhere: points; differ",
            lambda r: f"{r['compared_anywhere']}; {r['differ_anywhere']}",
        ),
        (
            f"within {STEPS} steps of a change: points; differ",
            lambda r: f"{r['compared_near']}; {r['differ_near']}",
        ),
        ("of these, direct status not ok", lambda r: f"{r['not_ok_near']}"),
        ("seconds, of which compiling", lambda r: f"{r['seconds']:.0f}, {r['compile_seconds']:.0f}"),
        ("megabytes of the file", lambda r: f"{r['file_bytes'] / 1e6:.1f}"),
    ]
    head = "| | " + " | ".join(f"`{row['measure']}`" for row in rows) + " |"
    rule = "|---|" + "---:|" * len(rows)
    return "\n".join(
        [head, rule, *(f"| {name} | " + " | ".join(show(r) for r in rows) + " |" for name, show in lines)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small plane; nothing is written")
    quick = parser.parse_args().quick
    use_compilation_cache()
    jax.config.update("jax_enable_x64", True)
    rows = [measure(case) for case in (QUICK if quick else FULL)]
    text = table(rows)
    print(text)
    if not quick:
        about = {"device": provenance.device(), "commit": provenance.commit(), "seed": SEED, "rows": rows}
        (RESULTS / "refinement.json").write_text(json.dumps(about, indent=1) + "\n")
        title = "# The Hopf plane, refined where its label changes"
        (RESULTS / "refinement.md").write_text(
            f"{title}\n\n`python experiments/benchmarks/refinement.py` on {about['device']}.\n\n{text}\n"
        )


if __name__ == "__main__":
    main()
