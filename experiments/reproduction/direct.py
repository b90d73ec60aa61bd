"""Measurements that the report needs and no figure makes: direct calls of the program."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import gru_sweep as gs
from gru_sweep.analysis.taylor import trajectory

SEED = 4
"""Of every draw here."""
CELLS, OUTSIDE, LONG = 64, 3.0, 20_000.0
"""Random cells, the largest coordinate of their starts outside the box, and the time that they get: an update
gate may be closed to 0.001 out there."""
EDGE = 1e-9
"""A saturated unit rests within rounding of 1, and comes to it from outside."""
ALPHAS = (0.05, 1.2)
"""alpha between which Eq 8 is looked at: its saddle-nodes and its Hopf point."""
FARTHER = (1e-2, 1e-4, 1e-6)
"""Distances in alpha from the saddle-nodes of Eq 8."""
GHOSTS = (1e-4, 1e-6)
"""Distances in b_h from the saddle-node of one unit with U_h = 4, whose slow passage is timed."""
NOISE, DT, STEPS, RUNS = 0.02, 0.05, 40_000, 400
"""Strength of the noise on the states, step, steps and runs of the cell of Fig 3B."""
SLOW = 40.0
"""b_z of a unit whose update gate is closed to less than rounding."""


def measure() -> dict[str, Any]:
    """All of it, as plain numbers."""
    return {
        "eq8": eq8(),
        "euler_step": euler_step(),
        "trapping": trapping(),
        "update_gate": update_gate(),
        "closed_gate": closed_gate(),
        "ghost": ghost(),
        "noise": noise(),
        "fitzhugh_nagumo": fitzhugh_nagumo(),
    }


def hopf(alpha: Any) -> gs.GRU:
    """Eq 8 with beta = 3, s = 0."""
    values = gs.FAMILIES["hopf"].complete({"alpha": alpha, "beta": 3.0, "s": 0.0})
    return gs.FAMILIES["hopf"].build(**{name: jnp.asarray(value) for name, value in values.items()})


def portrait(field: Any, *box: list[float]) -> dict[str, Any]:
    """What is asked of a portrait here."""
    found = gs.phase_portrait(field, *box)
    periods = found.cycle_period[found.cycle_stable == 1]
    return {
        "topology": found.topology,
        "status": found.to_dict()["status"],
        "n_fixed_points": int(found.n_fixed_points),
        "n_sinks": int(found.n_sinks),
        "n_saddles": int(found.n_saddles),
        "kinds": sorted(point["kind"] for point in found.to_dict()["fixed_points"]),
        "period": float(periods[0]) if len(periods) == 1 else None,
    }


def eq8() -> dict[str, Any]:
    """Hopf point and saddle-nodes of Eq 8, proven, and portraits on either side of them."""
    located = gs.locate("hopf", alpha=ALPHAS, beta=3.0, s=0.0)
    (centre,) = (event for event in located if event.kind == "hopf")
    # saddle-nodes come in fours, by the symmetry of a quarter turn
    folds = [event for event in located if event.kind == "snic"]
    fold = max(folds, key=lambda event: event.at.sum())
    return {
        "hopf": centre.value,
        "hopf_error": centre.error,
        "hopf_proven": located.complete and centre.proven,
        "fold": fold.value,
        "fold_at": fold.at.tolist(),
        "fold_error": fold.error,
        "fold_proven": located.complete and fold.proven,
        "folds": len(folds),
        "spiral": portrait(hopf(math.pi / 3)),
        "periods": {name: portrait(hopf(math.pi / d))["period"] for name, d in DIVISORS.items()},
        "periods_near_the_folds": {f"{d:g}": portrait(hopf(fold.value + d))["period"] for d in FARTHER},
        "just_before_the_folds": portrait(hopf(fold.value + FARTHER[0])),
        "just_beyond_the_folds": portrait(hopf(fold.value - FARTHER[0])),
        "beyond": portrait(hopf(0.05)),
    }


DIVISORS = {"pi/3.8": 3.8, "pi/5": 5.0, "pi/8": 8.0, "pi/16": 16.0}
"""alpha at which the period is taken."""


def drawn() -> list[gs.GRU]:
    """Random cells with all their parts."""
    rng = np.random.default_rng(SEED)
    draw = lambda scale, *shape: scale * rng.standard_normal(shape)  # noqa: E731
    matrices = [[draw(s, 2, 2) for s in (6.0, 6.0, 1.0)] for _ in range(CELLS)]
    return [
        gs.GRU(U_h=u, U_r=r, U_z=z, b_h=draw(0.5, 2), b_r=draw(1.0, 2), b_z=draw(1.0, 2))
        for u, r, z in matrices
    ]


def euler_step() -> dict[str, float]:
    """The discrete GRU's step against h + f(h), over random cells and states."""
    states = jnp.asarray(np.random.default_rng(SEED).uniform(-1, 1, (CELLS, 2)))
    apart = [float(jnp.abs(c.step(h) - (h + c(h))).max()) for c, h in zip(drawn(), states, strict=True)]
    return {"cells": CELLS, "largest_difference": max(apart)}


def trapping() -> dict[str, float]:
    """Random cells from starts outside [-1, 1]^2: how many are inside after a while, and stay there."""

    @eqx.filter_jit
    def run(field, start):
        return trajectory(field, start, np.linspace(0.0, LONG, 241)).state

    directions = np.random.default_rng(SEED).uniform(-1, 1, (CELLS, 2))
    starts = OUTSIDE * directions / np.abs(directions).max(axis=1, keepdims=True)
    inside = [
        np.abs(np.asarray(run(c, h))).max(axis=1) < 1 + EDGE for c, h in zip(drawn(), starts, strict=True)
    ]
    kept = [bool(row[-1] and np.all(np.diff(row.astype(int)) >= 0)) for row in inside]
    return {"cells": CELLS, "inside_at_the_end_and_since": sum(kept)}


def update_gate() -> dict[str, Any]:
    """One cell with a constant update gate of 1/2, and with unequal ones: J = diag(1 - z) A, A constant."""
    matrix = [[5.0, -6.0], [6.0, -3.0]]
    pairs = {"equal": [0.0, 0.0], "unequal": [0.0, 2.0]}
    return {name: portrait(gs.GRU(U_h=matrix, b_z=jnp.asarray(b))) for name, b in pairs.items()}


def closed_gate() -> dict[str, float]:
    """How far a step of 1 moves a unit whose gate is closed, and another one; and the rate of the first."""
    cell = gs.GRU(U_h=3.0 * jnp.eye(2), b_z=jnp.array([SLOW, 0.0]))
    h = jnp.array([0.3, 0.3])
    moved = jnp.abs(h + cell(h) - h)
    return {"moved": float(moved[0]), "other_moved": float(moved[1]), "rate": float(cell(h)[0])}


def ghost() -> dict[str, list[float]]:
    """Time from h = 1 to h = 0 past the place where one unit's half-stable node is about to appear.

    The integral of dh / rate by the midpoint rule, in h = h0 + w sinh(v), which gathers nodes at the
    slowest place.
    """
    h0 = math.sqrt(0.5)
    fold = math.atanh(h0) - 2.0 * h0
    times = []
    for d in GHOSTS:
        width = math.sqrt(d)
        ends = [math.asinh((h - h0) / width) for h in (0.0, 1.0)]
        v = np.linspace(*ends, 40_001)
        v = (v[1:] + v[:-1]) / 2
        h = h0 + width * np.sinh(v)
        # both sides of the fold's bias: below it there is no upper pair of fixed points
        rate = (h - np.tanh(2.0 * h + fold - d)) / 2.0
        times.append(float(np.sum(width * np.cosh(v) / rate) * (v[1] - v[0])))
    return {"distances": list(GHOSTS), "times": times}


def noise() -> dict[str, Any]:
    """Where the cell of Fig 3B goes from the first quadrant, without noise and with.

    With noise: which unit leaves the origin first, and whether the other still rests there at that time, so
    that the state comes by a saddle-node, or leaves with it.
    """
    own = jnp.eye(2)
    cell = gs.GRU(U_h=3.0 * own, U_r=-5.0 * own, b_r=jnp.full(2, -math.log(2.0)))
    quiet = trajectory(cell, [0.4, 0.6], np.array([0.0, 2000.0])).state[-1]

    @jax.jit
    def run(key):
        def step(carry, kick):
            h, first = carry
            h = h + DT * cell(h) + NOISE * math.sqrt(DT) * kick
            gone = h < -0.9
            leaves = (first < 0) & gone.any()
            # 0, 1: one unit has gone while the other rests at the origin; 2: both have left it
            way = jnp.where(h.max() > -0.3, jnp.argmin(h), 2)
            return (h, jnp.where(leaves, way, first)), None

        kicks = jax.random.normal(key, (STEPS, 2))
        (h, way), _ = jax.lax.scan(step, (jnp.array([0.4, 0.6]), jnp.asarray(-1)), kicks)
        return way, jnp.linalg.norm(h + 0.9945681)

    ways, ends = (np.asarray(x) for x in jax.lax.map(run, jax.random.split(jax.random.key(SEED), RUNS)))
    return {
        "without_noise": float(jnp.linalg.norm(quiet)),
        "runs": RUNS,
        "arrived": int(np.sum(ends < 0.3)),
        "by_a_saddle_node": int(np.sum((ways == 0) | (ways == 1))),
        "by_both_saddle_nodes": bool((ways == 0).any() and (ways == 1).any()),
        "directly": int(np.sum(ways == 2)),
    }


def fitzhugh_nagumo() -> dict[str, Any]:
    """The target of section 5.1 at the mean of I."""
    field = lambda h: jnp.stack(  # noqa: E731
        [h[0] - h[0] * h[0] * h[0] / 3.0 - h[1] + 0.7, (h[0] + 0.7 - 0.8 * h[1]) / 12.5]
    )
    return portrait(field, [-3.0, -5.0], [3.0, 5.0])
