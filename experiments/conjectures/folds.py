"""A fold of cycles between a cell with two neighbouring cycles and the same cell with less gain.

With U_h multiplied by a gain from 1 down to 0, every cell ends as a single sink without cycles. Where two
cycles of opposite stability around one sink vanish together on the way, and the fixed points on both sides
are the same in number and kind and far from any change, no Hopf point and no saddle can have taken them: the
two cycles met. The gain at which they do is then solved for by `cycle_folds.cycle_fold`.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import gru_sweep as gs
from gru_sweep.analysis.bifurcations.global_events.cycle_folds import cycle_fold
from gru_sweep.systems import entries

from .cells import COLUMNS, NAMES
from .portraits import Columns, Portraits, paired

STEPS = 64
"""Gains looked at in a round."""
ROUNDS = 5
"""Rounds, each between two neighbouring gains of the last."""


def fold(look: Portraits, row: np.ndarray) -> dict[str, Any] | None:
    """The bracket of the gain at which the two cycles of a cell (18,) meet; None if something else ends them.

    `gain`: without and with the cycles; `topology`, `real_part` (the largest of the sink's eigenvalues) and
    `log_multiplier` (of the two cycles) there.
    """
    low, high = 0.0, 1.0
    for _ in range(ROUNDS):
        gains = np.linspace(low, high, STEPS)
        found = look(scaled(row, gains))
        with_both = paired(found) & (found["label"] != "")
        without = ~with_both & (found["label"] != "")
        if not with_both[-1]:
            return None
        below = np.flatnonzero(without)
        if not below.size:
            return None
        last = int(below[-1])
        first = last + 1 + int(np.flatnonzero(with_both[last + 1 :])[0])
        low, high = float(gains[last]), float(gains[first])
        sides = {name: column[[last, first]] for name, column in found.items()}
        if first - last > 1:
            break  # what lies between is too near the fold to be resolved
    return bracket(sides, low, high) if same_fixed_points(sides) else None


class WithGain(eqx.Module):
    """The cell (18,) with U_h times p: a field f(h, p) of one parameter."""

    row: Float[Array, " 18"]

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 1"]) -> Float[Array, " 2"]:
        gained = np.isin(np.arange(len(NAMES)), COLUMNS["U_h"]).astype(float)
        values = self.row * (1.0 + gained * (p[0] - 1.0))
        return entries.before(**{name: values[i] for i, name in enumerate(NAMES)})(h)


def located(look: Portraits, row: np.ndarray, where: dict[str, Any]) -> dict[str, Any] | None:
    """The gain at which the cycles of a bracket meet, its estimated error, and the period there; None where
    the return map has no fold in the bracket."""
    low, high = where["gain"]
    there = look(scaled(row, np.array([high])))
    inner = int(np.flatnonzero(there["cycle_within"][0] >= 0)[0])
    points = there["cycle_point"][0][[inner, there["cycle_within"][0][inner]]]
    with jax.enable_x64(True):
        event = cycle_fold(
            WithGain(jnp.asarray(row)), (low, high), points, 1, lower=-np.ones(2), upper=np.ones(2)
        )
    if event.kind != "cycle fold":
        return None
    return {"gain": event.value, "error": event.error, "period": event.details["period"]}


def scaled(row: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """The cell with U_h times each gain, (n, 18)."""
    cells = np.repeat(row[None], len(gains), axis=0)
    cells[:, COLUMNS["U_h"]] *= gains[:, None]
    return cells


def same_fixed_points(sides: Columns) -> bool:
    """Whether both sides have one fixed point, a sink, and no cycle is left without the two."""
    alone = (sides["n_fixed_points"] == 1) & (sides["n_sinks"] == 1)
    left = sides["n_stable_cycles"] + sides["n_unstable_cycles"]
    return bool(alone.all() and left.tolist() == [0, 2])


def bracket(sides: Columns, low: float, high: float) -> dict[str, Any]:
    there = sides["cycle_stable"][1] >= 0
    return {
        "parameter": "factor of U_h",
        "gain": [low, high],
        "topology": sides["label"].tolist(),
        "real_part": sides["eigenvalue"][:, 0, :, 0].max(axis=1).tolist(),
        "log_multiplier": sides["cycle_log_multiplier"][1][there].tolist(),
        "period": sides["cycle_period"][1][there].tolist(),
        "status": [gs.Status(int(s)).name.lower() for s in sides["status"]],
    }
