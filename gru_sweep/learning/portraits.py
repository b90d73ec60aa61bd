"""The portraits of many cells of two units, in one batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from ..measures import PLANAR, Evaluator
from ..systems import entries
from ..systems.cells import GRU
from ..systems.families import Coordinate, Family


@dataclasses.dataclass(frozen=True)
class _Listed(Family):
    """The cells of a list, by their number."""

    rows: np.ndarray = dataclasses.field(default_factory=lambda: np.empty((0, 0)), compare=False)

    @property
    def input_names(self) -> tuple[str, ...]:
        return entries.names(2)

    def inputs(self, full: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        chosen = self.rows[full["index"].astype(int)]
        return dict(zip(self.input_names, chosen.T, strict=True))


def portraits(cells: Sequence[GRU]) -> dict[str, np.ndarray]:
    """The columns of `PhasePortrait`, each (n, ...), of n cells of two units with the reset gate before the
    matrix; and `topology`, the labels (n,), empty where the status is not ok. In float64."""
    measure = PLANAR["portrait"]
    family = _Listed(
        name="listed",
        title="cells of a list",
        equation="Eq 7",
        coordinates=(Coordinate("index", 0.0, "number of the cell"),),
        build=entries.before,
        rows=np.array([list(entries.values(cell).values()) for cell in cells]),
    )
    with jax.enable_x64(True):
        evaluate = Evaluator(family, {}, measure, "float64", len(cells))
        columns = evaluate({"index": np.arange(len(cells), dtype=np.float64)})
    needs = {name: columns[name] for name in measure.labeller.needs}
    return columns | {"topology": measure.labeller.function(needs)}
