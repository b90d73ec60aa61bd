"""A fold of cycles between a cell with two neighbouring cycles and the same cell with less gain.

With U_h multiplied by a gain from 1 down to 0, every cell ends as a single sink without cycles. Where two
cycles of opposite stability around one sink vanish together on the way, and the fixed points on both sides
are the same in number and kind and far from any change, no Hopf point and no saddle can have taken them: the
two cycles met.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gru_sweep as gs

from .cells import COLUMNS
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
