r"""Random networks of N units with gates: what is drawn, and the gains and biases that it is used with.

    gru        U_k = a_k J_k, b_k the same for all units, k in h, z, r                    (systems.cells)
    lstm       U_k = a_k J_k, b_k the same for all units, k in g, f, i, o                 (systems.lstm)
    gated-rnn  J_h, J_z, J_r themselves; gains are in the units and gates                 (systems.gated_rnn)

Entries of J_k are independent N(0, 1/N) (Can, Krishnamurthy & Schwab 2020; Krishnamurthy, Can & Schwab 2022).
A draw does not depend on gains: networks of one seed and number differ over a grid of gains as one network
does, and are computed with one set of matrices (`Scaled`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ..records import InputError, nearest
from .cells import GRU
from .gated_rnn import GatedRNN
from .lstm import LSTM
from .matrices import Scaled

Cell = GRU | LSTM | GatedRNN
MAX_UNITS = 2**16


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """One kind of random network.

    - `matrices`: of which J_k there are; `states`: numbers in a state for each unit.
    - `coordinates`: gains, biases and time constants by name, with what they are if not given: gates are
      half open.
    - `discrete`: whether it is a map, `cell.step`, in the first place, or a flow.
    """

    name: str
    title: str
    matrices: tuple[str, ...]
    states: int
    coordinates: Mapping[str, float]
    discrete: bool
    _build: Callable[..., Cell]
    _start: Callable[[np.random.Generator, int], np.ndarray]

    def draw(self, size: int, seed: int, number: int = 0) -> dict[str, Float[np.ndarray, "n n"]]:
        """The matrices of network `number`, by name, float64."""
        for name, value, low, high in (
            ("size", size, 1, MAX_UNITS),
            ("seed", seed, 0, 2**63 - 1),
            ("number", number, 0, 2**32 - 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
                raise InputError(name, f"an integer from {low} to {high}", value)
        return {
            k: np.random.default_rng([seed, number, i]).normal(size=(size, size)) / math.sqrt(size)
            for i, k in enumerate(self.matrices)
        }

    def start(self, size: int, seed: int, number: int = 0) -> Float[np.ndarray, " m"]:
        """A state to begin from, of unit activity, float64."""
        return self._start(np.random.default_rng([seed, number, len(self.matrices)]), size)

    def build(self, matrices: Mapping[str, Any], **coordinates: Any) -> Cell:
        """The network of drawn `matrices` at given coordinates, the others at their defaults.

        Coordinates may be traced. Refused: a coordinate that there is not.
        """
        for name in coordinates:
            if name not in self.coordinates:
                raise InputError(name, nearest(name, self.coordinates), name)
        return self._build(matrices, **{**self.coordinates, **coordinates})


def _gained(matrices: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Weights and biases of a cell with gains a_k and biases b_k."""
    some = next(iter(matrices.values()))
    parts: dict[str, Any] = {}
    for k, matrix in matrices.items():
        parts[f"U_{k}"] = Scaled(given[f"a_{k}"], matrix)
        parts[f"b_{k}"] = given[f"b_{k}"] + 0 * some[0]
    return parts


def _gru(matrices: Mapping[str, Any], **given: Any) -> GRU:
    return GRU(**_gained(matrices, given))


def _lstm(matrices: Mapping[str, Any], **given: Any) -> LSTM:
    return LSTM(**_gained(matrices, given))


def _gated(matrices: Mapping[str, Any], **given: Any) -> GatedRNN:
    return GatedRNN(**{f"J_{k}": matrix for k, matrix in matrices.items()}, **given)


def _gains(main: str, gates: str) -> dict[str, float]:
    return {f"a_{main}": 3.0, **{f"a_{k}": 0.0 for k in gates}, **{f"b_{k}": 0.0 for k in main + gates}}


ENSEMBLES: dict[str, Ensemble] = {
    one.name: one
    for one in (
        Ensemble(
            name="gru",
            title="random GRU",
            matrices=("h", "z", "r"),
            states=1,
            coordinates=_gains("h", "zr"),
            discrete=True,
            _build=_gru,
            _start=lambda rng, n: rng.uniform(-1.0, 1.0, n),
        ),
        Ensemble(
            name="lstm",
            title="random LSTM",
            matrices=("g", "f", "i", "o"),
            states=2,
            coordinates=_gains("g", "fio"),
            discrete=True,
            _build=_lstm,
            _start=lambda rng, n: np.concatenate([rng.uniform(-1.0, 1.0, n), rng.normal(size=n)]),
        ),
        Ensemble(
            name="gated-rnn",
            title="random gated RNN",
            matrices=("h", "z", "r"),
            states=3,
            coordinates={
                "g": 3.0,
                **dict.fromkeys(("alpha_z", "alpha_r", "b_h", "beta_z", "beta_r"), 0.0),
                **dict.fromkeys(("tau_z", "tau_r"), 1.0),
            },
            discrete=False,
            _build=_gated,
            _start=lambda rng, n: rng.normal(size=3 * n),
        ),
    )
}


def named(name: str) -> Ensemble:
    """The ensemble of that name in `ENSEMBLES`."""
    if name not in ENSEMBLES:
        raise InputError("--cell", nearest(name, ENSEMBLES), name)
    return ENSEMBLES[name]
