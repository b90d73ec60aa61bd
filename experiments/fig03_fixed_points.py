"""Fig 3 of Jordan, Sokol & Park (2021): the fixed points that two gated units can have.

    python experiments/fig03_fixed_points.py [--quick] [--out-dir results]

The text gives no parameters. A: eleven fixed points, a construction; and a search among random cells, and
among those around A, for more. B: two independent units U_h = 3, U_r = -5, b_r = -ln 2, for which
f = df/dh = 0 at h = 0: a point of multiplicity four, and two saddle-nodes of the first kind, a sink merged
with a saddle. A bias b_h splits them. C: a saddle-node of the second kind, a source and a saddle merged: a
sweep of b_h[0] around A brackets one, and Newton's method on f = 0, det J = 0 in (h, b_h[0]) ends at it.
Writes fig03_fixed_points.h5 (the cells and their fixed points), .png and .json.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

import gru_sweep as gs
from gru_sweep.analysis.any_dimension import fixed_points
from gru_sweep.plotting.styles import MARKERS

NAME = "fig03_fixed_points"
ELEVEN = {
    "U_h": [[24.0, -9.0], [-9.0, 24.0]],
    "U_r": [[-6.0, 22.0], [22.0, -6.0]],
    "b_h": [0.0, 0.0],
    "b_r": [1.4, 1.4],
}
OWN, RESET = 3.0, -5.0
"""U_h and U_r of each unit of B."""
SPLIT = 0.01
"""The bias that splits the merged points of B."""
ALONG = (0.0, 3.0, 129)
"""b_h[0] of the sweep that looks for C."""
BESIDE = 1e-3
"""How far from C, in b_h[0], its two sides are looked at."""
SCALES = ((8.0, 8.0, 0.5), (16.0, 16.0, 1.0), (20.0, 20.0, 0.3))
"""Of U_h, U_r and the biases of the random cells."""
AROUND = {
    "U_h[0,0]": (14.0, 34.0),
    "U_h[0,1]": (-16.0, -4.0),
    "U_r[1,1]": (-14.0, 0.0),
    "b_h[0]": (-1.5, 1.5),
}
"""Entries of A that the search around it varies."""
FULL, QUICK = (2**14, 9), (512, 3)
"""Random cells of each scale; values of each entry around A."""


def eleven(bias: Any = 0.0) -> gs.GRU:
    """A, with b_h[0] = bias."""
    return gs.GRU(**ELEVEN | {"b_h": jnp.stack([jnp.asarray(bias, float), jnp.zeros(())])})


def merged(bias: float = 0.0, units: int = 2) -> gs.GRU:
    """B, with b_h = bias in each unit."""
    own = jnp.eye(units)
    # U_h sigma(b_r) = 1
    b_r = jnp.full(units, -math.log(OWN - 1.0), float)
    return gs.GRU(U_h=OWN * own, U_r=RESET * own, b_h=jnp.full(units, bias, float), b_r=b_r)


def merged_points() -> np.ndarray:
    """The fixed points of B (n, 2): the pairs of those of one unit."""
    own = fixed_points(merged(units=1), [-1.0], [1.0]).point[:, 0]
    return np.stack(np.meshgrid(own, own, indexing="ij"), axis=-1).reshape(-1, 2)


def curvature() -> tuple[float, float, float]:
    """f, df/dh and d2f/dh2 of one unit of B at h = 0."""
    rate = lambda h: merged(units=1)(h[None])[0]  # noqa: E731
    zero = jnp.zeros(())
    return tuple(float(g(zero)) for g in (rate, jax.grad(rate), jax.grad(jax.grad(rate))))


def bracket() -> tuple[float, np.ndarray]:
    """b_h[0] just before a source and a saddle of A vanish, and the midpoint of the two."""
    ds = gs.sweep("weights", weights=eleven(), **{"b_h[0]": ALONG})
    change = np.stack([np.diff(ds[name]) for name in ("n_sinks", "n_sources", "n_saddles")], axis=-1)
    (at, *_) = np.flatnonzero((change == (0, -1, -1)).all(axis=1))
    points, kinds = ds.fixed_point.values[at], ds.kind.values[at]
    source = points[np.isin(kinds, (gs.Kind.UNSTABLE_NODE, gs.Kind.UNSTABLE_FOCUS))][0]
    saddles = points[kinds == gs.Kind.SADDLE]
    closest = saddles[np.linalg.norm(saddles - source, axis=1).argmin()]
    return float(ds["b_h[0]"][at]), (source + closest) / 2


@eqx.filter_jit
def conditions(x: jax.Array) -> jax.Array:
    """f and det J at x = (h, b_h[0]) of A, (3,): zero at a saddle-node."""
    cell = eleven(x[2])
    return jnp.append(cell(x[:2]), jnp.linalg.det(jax.jacfwd(cell)(x[:2])))


def saddle_node() -> tuple[np.ndarray, float, float]:
    """h, b_h[0] and max |conditions| of C, by Newton's method until it stops gaining."""
    bias, middle = bracket()
    x, size = jnp.append(middle, bias), math.inf
    while (now := float(jnp.max(jnp.abs(conditions(x))))) < size:
        best, size = x, now
        x = x - jnp.linalg.solve(jax.jacfwd(conditions)(x), conditions(x))
    return np.asarray(best[:2]), float(best[2]), size


def search(random: int, side: int) -> dict:
    """The numbers of fixed points among random cells, and among those around A."""
    sweeps = {}
    for seed, (scale, reset, bias) in enumerate(SCALES):
        name = f"random: U_h {scale:g}, U_r {reset:g}, biases {bias:g}"
        scales = {"scale": scale, "reset_scale": reset, "update_scale": 0.0, "bias_scale": bias}
        sweeps[name] = gs.sweep("random", index=(0, random - 1, random), seed=seed, **scales)
    axes = {name: (*ends, side) for name, ends in AROUND.items()}
    sweeps["around A"] = gs.sweep("weights", weights=eleven(), **axes)
    found = {}
    for name, ds in sweeps.items():
        known = ds.n_fixed_points.values[ds.status.values == gs.Status.OK]
        numbers, counts = np.unique(known, return_counts=True)
        found[name] = {
            "cells": int(ds.status.size),
            "not_ok": int(ds.status.size - known.size),
            "by_number_of_fixed_points": {str(n): int(c) for n, c in zip(numbers, counts)},
        }
    return found


def described(portrait: Any) -> dict:
    """What is asked of a portrait here."""
    whole = portrait.to_dict()
    kept = ("status", "check", "certified", "topology", "warnings")
    points = [{"h": p["h"], "kind": p["kind"]} for p in whole["fixed_points"]]
    return {"n_fixed_points": int(portrait.n_fixed_points), **{k: whole[k] for k in kept}, "points": points}


def compute(random: int, side: int) -> tuple[dict[str, gs.GRU], dict]:
    """The cells of A, B and C, and all findings."""
    at, bias, residual = saddle_node()
    cells = {"A": eleven(), "B": merged(), "C": eleven(bias)}
    rate, slope, bend = curvature()
    values = np.linalg.eigvals(np.asarray(jax.jacfwd(cells["C"])(jnp.asarray(at)))).real
    found = {
        "A": {
            "claim": "eleven fixed points, the maximum observed",
            **described(gs.phase_portrait(cells["A"])),
        },
        "B": {
            "claim": "a pseudo-codimension-2 point, two saddle-nodes of the first kind, a sink",
            **described(gs.phase_portrait(cells["B"])),
            "one_unit_at_0": {"f": rate, "df/dh": slope, "d2f/dh2": bend},
            "split_by": {"b_h": SPLIT, **described(gs.phase_portrait(merged(SPLIT)))},
            "beyond": {"b_h": -SPLIT, **described(gs.phase_portrait(merged(-SPLIT)))},
        },
        "C": {
            "claim": "a saddle-node of the second kind: a source and a saddle",
            **described(gs.phase_portrait(cells["C"])),
            "saddle_node": {
                "h": at.tolist(),
                "b_h[0]": bias,
                "residual": residual,
                "eigenvalues": sorted(values.tolist(), key=abs),
                "second_kind": bool(max(values, key=abs) > 0),
            },
            "before": described(gs.phase_portrait(eleven(bias - BESIDE))),
            "after": described(gs.phase_portrait(eleven(bias + BESIDE))),
        },
        "search": search(random, side),
    }
    found["largest_number"] = max(
        int(n) for one in found["search"].values() for n in one["by_number_of_fixed_points"]
    )
    return cells, found


def dataset(cells: dict[str, gs.GRU], found: dict) -> xr.Dataset:
    """The weights of every cell, and what is known of its fixed points."""
    portraits = [gs.phase_portrait(cell) for cell in cells.values()]
    parts = {
        part: (dims, [np.asarray(getattr(cell, part)) for cell in cells.values()])
        for part, dims in {
            "U_h": ("panel", "unit", "from"),
            "U_r": ("panel", "unit", "from"),
            "b_h": ("panel", "unit"),
            "b_r": ("panel", "unit"),
        }.items()
    }
    flags = {
        "flag_values": np.array([int(k) for k in gs.Kind], np.int8),
        "flag_meanings": " ".join(k.name.lower() for k in gs.Kind),
    }
    return xr.Dataset(
        parts
        | {
            "fixed_point": (("panel", "slot", "unit"), [p.fixed_point for p in portraits]),
            "kind": (("panel", "slot"), np.array([p.kind for p in portraits], np.int8), flags),
            "n_fixed_points": ("panel", np.array([p.n_fixed_points for p in portraits], np.int16)),
        },
        coords={"panel": list(cells)},
        attrs={
            "title": "fixed points of two gated units (Jordan, Sokol & Park 2021, Fig 3)",
            "equation": "dh/dt = (tanh(U_h (r o h) + b_h) - h) / 2, r = sigma(U_r h + b_r)",
            "largest_number_of_fixed_points_in_the_search": found["largest_number"],
        },
    )


def report(found: dict) -> str:
    """The findings as text."""
    a, b, c = (found[letter] for letter in "ABC")
    node, own = c["saddle_node"], b["one_unit_at_0"]
    kind = "second" if node["second_kind"] else "first"
    lines = [
        f"A: {a['n_fixed_points']} fixed points, {a['topology']} ({a['status']})",
        f"B: {b['status']}; one unit at 0: f = {own['f']:.1e}, df/dh = {own['df/dh']:.1e}, "
        f"d2f/dh2 = {own['d2f/dh2']:.6f}",
    ]
    for side in ("split_by", "beyond"):
        s = b[side]
        lines.append(f"   b_h = {s['b_h']:+g}: {s['n_fixed_points']}, {s['topology']} ({s['status']})")
    h = ", ".join(f"{x:.15f}" for x in node["h"])
    lines += [
        f"C: {c['status']}; saddle-node of the {kind} kind at b_h[0] = {node['b_h[0]']:.15f}, h = ({h}), "
        f"residual {node['residual']:.1e}",
        "   eigenvalues " + ", ".join(f"{value:.3e}" for value in node["eigenvalues"]),
    ]
    for side in ("before", "after"):
        s = c[side]
        lines.append(f"   {side}: {s['n_fixed_points']}, {s['topology']} ({s['status']})")
    for name, one in found["search"].items():
        counts = ", ".join(f"{n}: {count}" for n, count in one["by_number_of_fixed_points"].items())
        lines.append(f"{name}: {one['cells']} cells, {counts}, not ok: {one['not_ok']}")
    return "\n".join([*lines, f"largest number of fixed points: {found['largest_number']}"])


def draw(cells: dict[str, gs.GRU], found: dict, path: Path) -> None:
    figure = Figure(figsize=(15.0, 5.9), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(cells))
    node = found["C"]["saddle_node"]
    titles = {
        "A": f"{found['A']['n_fixed_points']} fixed points, {found['A']['topology']}",
        "B": f"{found['B']['status']}: four points merged in one\n$b_h$ = {SPLIT:g}: "
        f"{found['B']['split_by']['topology']}",
        "C": f"{found['C']['status']}: source and saddle merged\n$b_{{h,1}}$ = {node['b_h[0]']:.9f}",
    }
    merged_ones = {"A": [], "B": merged_points(), "C": [node["h"]]}
    for axes, (letter, cell) in zip(panels, cells.items()):
        portrait = gs.phase_portrait(cell)
        gs.plot.portrait(portrait, ax=axes, title="", colorbar=False)
        axes.set_title(f"{letter}: {titles[letter]}", fontsize="medium")
        for point in merged_ones[letter]:
            known = np.linalg.norm(portrait.fixed_point - point, axis=1)
            if not np.any(known < BESIDE):  # not among those that the portrait could prove
                axes.plot(*point, **({"markersize": 9.0, "zorder": 5} | MARKERS[gs.Kind.DEGENERATE]))
    figure.savefig(path, dpi=150)


def main() -> None:
    given = arguments(__doc__, "search among fewer cells")
    cells, found = compute(*(QUICK if given.quick else FULL))
    write(given.out_dir, NAME, dataset(cells, found), found, lambda path: draw(cells, found, path))
    print(report(found))


if __name__ == "__main__":
    main()
