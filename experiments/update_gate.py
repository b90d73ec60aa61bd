"""Cells with an update gate, and what it changes of them: where they stop, and their fixed points."""

from __future__ import annotations

import math
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from conjectures.cells import ELEVEN, NAMES, cell, row_of

import gru_sweep as gs
from gru_sweep.analysis.any_dimension import fixed_points

ANGLE = 0.65
"""alpha of the cell of Eq 8, beta = 3: a cycle that reaches h_1 + h_2 = 0.88."""
OUTSIDE = 0.4
"""c: the gate shuts where h_1 + h_2 is larger."""
SHARP = 32.0
"""k of the discrete unit, and of the slow manifold."""
SEED = 0
"""Of the drawn gates."""
GATES, SCALE = 24, 3.0
"""How many, and the standard deviation of their entries."""
STEPS, NEAR = 2000, 1e-3
"""Steps of the discrete unit; states this close to a fixed point are not pseudo-attractors."""
TURNED = {"U_h": [[3.0, -3.0], [3.0, 0.0]]}
"""The cell whose fixed point unequal b_z destabilise."""


def gated(k: float, alone: bool = False) -> np.ndarray:
    """The 18 entries of Eq 8's cell with a gate of both units by h_1 + h_2, or of unit 1 alone by h_1."""
    U_z, b_z = np.zeros((2, 2)), np.zeros(2)
    if alone:
        U_z[0, 0], b_z[0] = k, -k * OUTSIDE
    else:
        U_z[:], b_z[:] = k, -k * OUTSIDE
    c, s = 3.0 * math.cos(ANGLE), 3.0 * math.sin(ANGLE)
    return row_of({"U_h": [[c, -s], [s, c]], "U_z": U_z, "b_z": b_z})


def shut(k: float, h: np.ndarray, alone: bool = False) -> np.ndarray:
    """1 - z, of unit 1 if alone, at states (..., 2)."""
    seen = h[..., 0] if alone else h.sum(axis=-1)
    return 1.0 / (1.0 + np.exp(k * (seen - OUTSIDE)))


def grid(side: int) -> np.ndarray:
    h = np.linspace(-1.0, 1.0, side)
    return np.stack(np.meshgrid(h, h, indexing="ij"), axis=-1).reshape(-1, 2)


@eqx.filter_jit
def stepped(field: gs.GRU, starts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The states of the discrete unit after `STEPS` steps from n starts; whether the next changes nothing."""

    def one(start):
        end = jax.lax.fori_loop(0, STEPS, lambda _, h: field.step(h), start)
        return end, jnp.all(field.step(end) == end)

    return jax.vmap(one)(starts)


def frozen(side: int) -> tuple[dict, dict[str, np.ndarray]]:
    """Where the discrete unit stops for good, in both precisions; and the maps (side, side)."""
    found, maps = {}, {}
    fixed = fixed_points(cell(gated(SHARP)), [-1.0, -1.0], [1.0, 1.0])
    for precision in ("float32", "float64"):
        starts = jnp.asarray(grid(side), precision)
        exact = cell(gated(SHARP))
        field = jax.tree.map(partial(jnp.asarray, dtype=precision), exact)
        ends, stopped = (np.asarray(part) for part in stepped(field, starts))
        ends = ends.astype(float)
        away = np.linalg.norm(ends[:, None] - fixed.point, axis=-1).min(axis=1) > NEAR
        pseudo = stopped & away
        moved = np.abs(ends - grid(side)).max(axis=1) > NEAR
        found[precision] = {
            "starts": len(starts),
            "stop_away_from_fixed_points": int(pseudo.sum()),
            "came_there_from_elsewhere": int((pseudo & moved).sum()),
            "largest_1_minus_z_there": float(shut(SHARP, ends[pseudo]).max()) if pseudo.any() else None,
            "spacing_of_numbers_below_1": float(np.finfo(precision).epsneg),
        }
        maps[precision] = np.where(pseudo, 1 + moved, 0).reshape(side, side)
    return found, maps


def same_points(gates: int) -> dict:
    """Fixed points of the cell of Fig 3A (11) under drawn update gates, against those without."""
    bare = row_of(ELEVEN)
    columns = [i for i, name in enumerate(NAMES) if name.startswith(("U_z", "b_z"))]
    drawn = np.tile(bare, (gates, 1))
    drawn[:, columns] = SCALE * np.random.default_rng(SEED).standard_normal((gates, len(columns)))
    low, high = [-1.0, -1.0], [1.0, 1.0]
    one = fixed_points(cell(bare), low, high)
    others = [fixed_points(cell(row), low, high) for row in drawn]
    alike = [other for other in others if other.count == one.count and other.certified]
    apart = [float(np.abs(other.point - one.point).max()) for other in alike]
    bound = [float((other.error + one.error).max()) for other in alike]
    saddles = [kind == "saddle" for kind in one.kind]
    return {
        "fixed_points": one.count,
        "certified": bool(one.certified),
        "gates": gates,
        "seed": SEED,
        "same_number_certified": len(alike),
        "largest_distance": max(apart, default=None),
        "within_their_errors": sum(a <= b for a, b in zip(apart, bound)),
        "same_saddles": sum([kind == "saddle" for kind in other.kind] == saddles for other in alike),
        "same_kinds": sum(list(other.kind) == list(one.kind) for other in alike),
    }


def turned() -> dict:
    """The bifurcations of `TURNED` along b_z[1], where the text's claim would have none."""
    bare = gs.GRU(U_h=np.asarray(TURNED["U_h"]))
    found = gs.locate("weights", weights=bare, **{"b_z[1]": (0.0, 3.0)})
    return {
        **TURNED,
        "complete": found.complete,
        "events": [event.to_dict() for event in found],
        "closed_form": math.log(3.0),
    }
