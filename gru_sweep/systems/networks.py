"""Ensembles of large random networks as families: gains, biases and time constants are the coordinates.

At every point stand the networks of a few seeds, of one size. `Ensemble` says what is drawn.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..records import InputError
from .cells import GRU
from .ensembles import ENSEMBLES, MAX_UNITS, Ensemble
from .families import Coordinate, Family

SIZE, NETWORKS = 256, 3
TRANSIENT, TIME = 200.0, 500.0
"""Units of time: an exponent of 0.01 stands out from its error, and from 1 / TIME."""
MAX_TIME = 1e7
FLAGS = {
    "size": "--size",
    "networks": "--seeds",
    "transient": "--transient",
    "time": "--time",
    "exponents": "--exponents",
}
"""What is asked of networks besides coordinates, and what it is called where it is wrong."""
MAX_NETWORKS = 10_000
LEAST_TAU = 0.1
"""A time constant below it wants steps shorter than those by which networks are integrated."""
MAX_GAIN = 1e6

_EQUATIONS = {
    "gru": "h' = z o h + (1 - z) o tanh(a_h J_h (r o h) + b_h), z = sigma(a_z J_z h + b_z), "
    "r = sigma(a_r J_r h + b_r)",
    "lstm": "c' = f o c + i o tanh(a_g J_g h + b_g), h' = o o tanh(c'), f, i, o = sigma(a J h + b)",
    "gated-rnn": "dh/dt = sig_z(z) o (-h + J_h (phi(h) o sig_r(r))), tau_z dz/dt = -z + J_z phi(h), "
    "tau_r dr/dt = -r + J_r phi(h), phi(x) = tanh(g x + b_h), sig_k(x) = sigma(alpha_k x - beta_k)",
}
_GATES = {
    "h": "candidate state",
    "z": "update gate",
    "r": "reset gate",
    "g": "candidate state",
    "f": "forget gate",
    "i": "input gate",
    "o": "output gate",
}


def _coordinate(name: str, default: float) -> Coordinate:
    """What a gain (not negative), a bias or a time constant is called, and what it may be."""
    kind, _, which = name.partition("_")
    if name == "g":
        return Coordinate(name, default, "gain of the units", lowest=0.0, highest=MAX_GAIN)
    if kind == "tau":
        title = f"time constant of the {_GATES[which]}"
        return Coordinate(name, default, title, "time", lowest=LEAST_TAU, highest=MAX_GAIN)
    if kind in ("a", "alpha"):
        return Coordinate(name, default, f"gain of the {_GATES[which]}", lowest=0.0, highest=MAX_GAIN)
    title = f"bias of the {_GATES[which]}"
    return Coordinate(name, default, title, lowest=-MAX_GAIN, highest=MAX_GAIN)


@dataclasses.dataclass(frozen=True)
class RandomNetworks(Family):
    """The networks 0 .. `networks` - 1 of an ensemble and a seed, of `size` units each, at every point.

    They are followed over a `transient` and a `time`, in units of time, where a measure follows them, and
    asked for so many `exponents`.
    """

    ensemble: Ensemble = ENSEMBLES["gru"]
    size: int = SIZE
    networks: int = NETWORKS
    transient: float = TRANSIENT
    time: float = TIME
    exponents: int = 1
    seed: int = 0

    def bound(self, weights: GRU | None = None, seed: int = 0) -> RandomNetworks:
        """The networks of a seed, 0 to 2^63 - 1."""
        super().bound(weights)
        return dataclasses.replace(self, seed=seed)

    def made(self, **given: int | float | None) -> RandomNetworks:
        """With `size`, `networks`, `transient`, `time` and `exponents`; what is None stays."""
        found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        size = found.get("size", self.size)
        for name, most in (("size", MAX_UNITS), ("networks", MAX_NETWORKS), ("exponents", None)):
            value = found.get(name, getattr(self, name))
            most = self.ensemble.states * size if most is None else most
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= most:
                raise InputError(FLAGS[name], f"an integer from 1 to {most}", value)
            found[name] = int(value)
        for name, least in (("transient", 0.0), ("time", 1.0)):
            value = found.get(name, getattr(self, name))
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not least <= value <= MAX_TIME:
                raise InputError(FLAGS[name], f"a time from {least:g} to {MAX_TIME:g}", value)
            found[name] = float(value)
        return dataclasses.replace(self, **found)

    def origin(self) -> dict[str, Any]:
        return {"networks": {name: getattr(self, name) for name in FLAGS}}


FAMILIES: dict[str, RandomNetworks] = {
    name: RandomNetworks(
        name=name,
        title=one.title,
        equation=_EQUATIONS[name],
        coordinates=tuple(_coordinate(k, v) for k, v in one.coordinates.items()),
        build=one.build,
        ensemble=one,
    )
    for name, one in ENSEMBLES.items()
}
