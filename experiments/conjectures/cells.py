"""Cells as rows of 18 numbers, and the ones that were constructed rather than drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

import gru_sweep as gs
from gru_sweep.systems import entries

NAMES = entries.names(2)
"""The columns of an array of cells, (n, 18)."""
PARTS = ("U_h", "U_z", "U_r", "b_z", "b_r", "b_h")
COLUMNS = {part: [i for i, name in enumerate(NAMES) if entries.part_of(name) == part] for part in PARTS}
UPDATE = COLUMNS["U_z"] + COLUMNS["b_z"]
DECIMALS = 4
LARGEST = 200.0
"""Entries are cut off here: a reset gate that is all but shut asks for weights without bound."""
ELEVEN = {"U_h": (24.0, -9.0, -9.0, 24.0), "U_r": (-6.0, 22.0, 22.0, -6.0), "b_r": (1.4, 1.4)}
"""Units that excite themselves and open each other's reset gates: 11 fixed points."""
THIRTEEN = {
    "U_h": (6.0, -0.8, -0.8, 6.0),
    "U_r": (6.0, 19.0, 19.0, 6.0),
    "b_h": (-1.1, -1.1),
    "b_r": (17.0, 17.0),
}
"""Two sharp reset gates that shut along two lines across one corner: 13 fixed points. Where both are open,
in the three other corners, are sinks; beyond the lines, where either or both are shut, are three more."""
FIFTEEN = {
    "U_h": (6.0, -0.8, -0.8, 6.0),
    "U_r": (12.0, 38.0, 38.0, 12.0),
    "b_h": (-0.91, -0.91),
    "b_r": (34.0, 34.0),
}
"""The same with sharper gates and weaker biases: two sinks near the fourth corner instead of one."""

Parts = dict[str, np.ndarray]
"""Parts of n cells, each (n, 4) by rows or (n, 2); what is missing is zero."""


def assembled(parts: Parts, n: int) -> np.ndarray:
    """Cells (n, 18) of their parts, rounded and cut off."""
    cells = np.zeros((n, len(NAMES)))
    for part, values in parts.items():
        cells[:, COLUMNS[part]] = np.reshape(values, (-1, len(COLUMNS[part])))
    return np.round(np.clip(cells, -LARGEST, LARGEST), DECIMALS) + 0.0


def without_update_gate(cells: np.ndarray) -> np.ndarray:
    """The same cells (n, 18) with U_z = 0 and b_z = 0."""
    return np.where(np.isin(np.arange(len(NAMES)), UPDATE), 0.0, cells)


def cell(row: np.ndarray) -> gs.GRU:
    """The cell of 18 entries."""
    return entries.before(**dict(zip(NAMES, np.asarray(row, np.float64), strict=True)))


def weights(row: np.ndarray) -> dict[str, Any]:
    """Its parts as nested lists; those that are zero are left out."""
    found = {}
    for part, columns in COLUMNS.items():
        values = np.asarray(row, np.float64)[columns]
        if values.any():
            found[part] = values.reshape((2, 2) if len(columns) == 4 else 2).tolist()
    return found


def row_of(parts: dict[str, Any]) -> np.ndarray:
    """The 18 entries of the parts that `weights` gives."""
    row = np.zeros(len(NAMES))
    for part, values in parts.items():
        row[COLUMNS[part]] = np.ravel(values)
    return row
