"""Whole portraits of arrays of cells: what the census, its climbs and its verdicts look at cells through."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import gru_sweep as gs
from gru_sweep import studies
from gru_sweep.analysis import topology
from gru_sweep.sweeps.grid import Axis

from .cells import NAMES, cell

Columns = dict[str, np.ndarray]


class Portraits:
    """Portraits of at most `size` cells in a call, by the programs of a sweep of the family `weights`."""

    def __init__(self, size: int, note: Callable[[str], None] | None = None):
        self.size = size
        # The programs take every entry of a cell as an input: around which cell, along which axis and into
        # which file the plan would sweep does not matter.
        plan = studies.plan(
            "weights",
            axes=[Axis(NAMES[0], np.arange(size, dtype=np.float64))],
            weights=cell(np.zeros(len(NAMES))),
            measure="portrait",
            chunk=size,
            out="never-written.h5",
        )
        self._evaluate = studies.evaluator(plan, note)

    def __call__(self, cells: np.ndarray) -> Columns:
        """The columns of the measure `portrait`, each (n, ...), of cells (n, 18), and their `label`, which is
        empty where the status is not ok."""
        parts = []
        for begin in range(0, len(cells), self.size):
            some = np.asarray(cells[begin : begin + self.size], np.float64)
            columns = self._evaluate(dict(zip(NAMES, some.T, strict=True)))
            words = topology.labels(columns)
            words[columns["status"] != gs.Status.OK] = ""
            parts.append(columns | {"label": words})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def paired(columns: Columns) -> np.ndarray:
    """Whether two neighbouring cycles of opposite stability go round the same fixed points, (n,)."""
    outer = columns["cycle_within"]
    inside = np.maximum(outer, 0)
    same = np.take_along_axis(columns["cycle_encloses"], inside, 1) == columns["cycle_encloses"]
    other = np.take_along_axis(columns["cycle_stable"], inside, 1) != columns["cycle_stable"]
    return np.any((outer >= 0) & same & other, axis=1)
