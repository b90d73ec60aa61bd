"""Random planar GRUs with something in mind: recipes that make cycles and many fixed points likely.

A recipe takes a random generator and returns a GRU and its symmetry. Scales are 1 to 20, reset gates always
included, update gates in about half of the draws. Which portraits come out, `portraits` finds out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.oracle import PlanarGRU

WEIGHTS = ("U_h", "U_r", "U_z", "b_h", "b_r", "b_z")
SYMMETRIES = ("none", "h to -h", "swap", "quarter turn")

Draw = tuple[PlanarGRU, str]
"""A GRU and its symmetry, one of `SYMMETRIES`."""


def _gru(symmetry: str = "none", **parts: np.ndarray) -> Draw:
    """Weights rounded to four decimals: short in the file, and the same wherever they are read."""
    return PlanarGRU(**{name: np.round(value, 4) + 0.0 for name, value in parts.items()}), symmetry


def _gates(rng: np.random.Generator, scale: float) -> dict[str, np.ndarray]:
    """Reset gates always, update gates in half of the draws, unequal biases of either."""
    gates = {"U_r": scale * rng.normal(size=(2, 2)), "b_r": rng.normal(size=2) * rng.uniform(0, 2)}
    if rng.random() < 0.5:
        gates |= {"U_z": scale * rng.uniform(0, 1) * rng.normal(size=(2, 2)), "b_z": rng.normal(size=2)}
    return gates


def _scale(rng: np.random.Generator) -> float:
    return 10 ** rng.uniform(0, math.log10(20))


def _rotation(gain: float, angle: float) -> np.ndarray:
    c, d = gain * math.cos(angle), gain * math.sin(angle)
    return np.array([[c, -d], [d, c]])


def plain(rng: np.random.Generator) -> Draw:
    """Normal weights of one scale from 1 to 20 for each matrix."""
    bias = rng.uniform(0, 2) * rng.normal(size=2)
    return _gru(U_h=_scale(rng) * rng.normal(size=(2, 2)), b_h=bias, **_gates(rng, _scale(rng)))


def bistable_units(rng: np.random.Generator) -> Draw:
    """Two units, each with two states, weakly coupled."""
    own = np.diag(rng.uniform(2.2, 10, 2))
    coupling = rng.uniform(0, 1) * rng.normal(size=(2, 2))
    gates = _gates(rng, rng.uniform(0, 2))
    return _gru(U_h=own + coupling, b_h=rng.uniform(0, 0.6) * rng.normal(size=2), **gates)


def bent_nullclines(rng: np.random.Generator) -> Draw:
    """Strong excitation gated by the units themselves: nullclines cross many times; one draw in three is
    close to a construction with eleven fixed points."""
    if rng.random() < 0.3:
        near = np.exp(rng.uniform(0, 0.15) * rng.normal(size=(2, 2, 2)))
        own, reset = near * [[[24.0, -9.0], [-9.0, 24.0]], [[-6.0, 22.0], [22.0, -6.0]]]
        return _gru(U_h=own, U_r=reset, b_r=1.4 + 0.2 * rng.normal(size=2), b_h=0.02 * rng.normal(size=2))
    sign = rng.choice([-1.0, 1.0])
    own, cross = rng.uniform(6, 30) * np.exp(rng.uniform(0, 0.4) * rng.normal(size=2)), rng.uniform(0, 0.5)
    recurrent = np.array([[own[0], sign * cross * own[0]], [sign * cross * own[1], own[1]]])
    a, b = rng.uniform(2, 26, 2)
    reset = -np.array([[a, sign * b], [sign * b, a]]) * np.exp(rng.uniform(0, 0.5) * rng.normal(size=(2, 2)))
    update = {"U_z": rng.uniform(0, 3) * rng.normal(size=(2, 2))} if rng.random() < 0.5 else {}
    bias = rng.normal(1, 1.5, 2)
    return _gru(
        U_h=recurrent, U_r=reset, b_h=rng.choice([0.05, 0.5]) * rng.normal(size=2), b_r=bias, **update
    )


def rotating(rng: np.random.Generator) -> Draw:
    """A rotation with gain, disturbed: cycles, alone or among sinks."""
    gain = 10 ** rng.uniform(0.35, 1.2)
    turned = _rotation(gain, rng.choice([-1, 1]) * rng.uniform(0.02, 1.2)) + 0.15 * gain * rng.normal(
        size=(2, 2)
    )
    bias = rng.uniform(0, 0.8) * rng.normal(size=2)
    return _gru(U_h=turned, b_h=bias, **_gates(rng, rng.choice([0.5, 3, 8])))


def beside_hopf(rng: np.random.Generator) -> Draw:
    """The origin a weak focus, the rest strong: cycles shrink to it on one side or the other."""
    gain, b_r = 10 ** rng.uniform(0.35, 1.2), rng.normal(size=2)
    turned = _rotation(gain, rng.uniform(0.1, 1.5)) + 0.1 * gain * rng.normal(size=(2, 2))
    b_z = rng.normal(size=2) if rng.random() < 0.5 else np.zeros(2)
    slow, open_ = 1 / (1 + np.exp(b_z)), 1 / (1 + np.exp(-b_r))
    # the trace slow . (diag(U_h) open - 1) shall be small: both diagonal entries are scaled to make it so
    excess = rng.choice([-1, 1]) * 10 ** rng.uniform(-2.5, -0.5)
    own = np.abs(np.diag(turned)) + 0.1
    turned[np.diag_indices(2)] = own * (1 + excess) * slow.sum() / (slow * own * open_).sum()
    gates = {"U_r": rng.uniform(1, 12) * rng.normal(size=(2, 2)), "b_r": b_r, "b_z": b_z}
    if rng.random() < 0.5:
        gates["U_z"] = rng.uniform(1, 6) * rng.normal(size=(2, 2))
    bias = 0.02 * rng.normal(size=2) if rng.random() < 0.5 else np.zeros(2)
    return _gru(U_h=turned, b_h=bias, **gates)


def beside_double_zero(rng: np.random.Generator) -> Draw:
    """Trace and determinant at the origin both small, all else odd but for a disturbance: next to this point
    of the symmetric Takens-Bogdanov kind lie cycles around three points, side by side, and in pairs."""
    slow = 10 ** rng.uniform(-1.3, 1.3)
    trace, det = 10 ** rng.uniform(-2, -0.2, 2) * [rng.choice([-1, 1], p=[0.2, 0.8]), rng.choice([-1, 1])]
    p = 10 ** rng.uniform(-0.5, 0.9) * rng.choice([-1, 1])
    first, second = 1 + p, 1 - slow * p + trace
    across = 10 ** rng.uniform(-0.7, 0.7) * abs(p) * rng.choice([-1, 1])
    back = ((first - 1) * (second - 1) - det * abs(p)) / across
    b_r, b_z = rng.normal(size=2), rng.normal()
    open_ = 1 / (1 + np.exp(-b_r))
    # unit 1 is to be `slow` times as fast as unit 2: (1 + exp(b_2)) / (1 + exp(b_1)) = slow
    other = math.log(max(slow * (1 + math.exp(b_z)) - 1, 1e-3))
    even = rng.choice([0, 0.01, 0.1, 0.5])
    parts = {
        "U_h": np.array([[first, across], [back, second]]) / open_,
        "U_r": rng.choice([0.1, 1, 5]) * even * rng.normal(size=(2, 2)),
        "b_h": 0.3 * even * rng.normal(size=2),
        "b_r": b_r,
        "b_z": np.array([b_z, other]),
    }
    return _gru("none" if even else "h to -h", **parts)


def symmetric(rng: np.random.Generator) -> Draw:
    """h to -h, swapped units, or a quarter turn, exactly."""
    symmetry = str(rng.choice(SYMMETRIES[1:]))
    scale = rng.uniform(2, 10)
    if symmetry == "swap":
        a, b, r, q, z, w = rng.normal(size=6)
        parts = {
            "U_h": scale * np.array([[abs(a) + 0.2, b], [b, abs(a) + 0.2]]),
            "U_r": scale * np.array([[r, q], [q, r]]),
            "U_z": np.array([[z, w], [w, z]]),
            "b_h": np.full(2, 0.3 * rng.normal()),
            "b_r": np.full(2, rng.normal()),
        }
    elif symmetry == "quarter turn":
        gain, angle = rng.uniform(2, 8), rng.uniform(0, 1.5)
        parts = {"U_h": _rotation(gain, angle), "b_r": np.full(2, rng.uniform(-1, 3))}
    else:
        parts = {
            "U_h": _rotation(scale, rng.uniform(-1.3, 1.3))
            + rng.uniform(0, 0.5) * scale * rng.normal(size=(2, 2)),
            "b_r": rng.normal(size=2),
            "b_z": rng.normal(size=2) * rng.uniform(0, 2),
        }
    return _gru(symmetry, **parts)


RECIPES: tuple[Callable[[np.random.Generator], Draw], ...] = (
    plain,
    bistable_units,
    bent_nullclines,
    rotating,
    beside_hopf,
    beside_double_zero,
    symmetric,
)


def _shaped(name: str, system: dict[str, Any]) -> np.ndarray:
    return np.reshape(np.array(system[name], float), (2, 2) if name[0] == "U" else 2)


def gru_of(system: dict[str, Any]) -> PlanarGRU:
    """The GRU of a line of a reference file."""
    return PlanarGRU(**{name: _shaped(name, system) for name in WEIGHTS})


def disturbed(rng: np.random.Generator, system: dict[str, Any]) -> Draw:
    """A system found before, every weight that is not zero changed by a few percent."""
    strength = 10 ** rng.uniform(-2, -0.7)
    parts = {}
    for name in WEIGHTS:
        value = _shaped(name, system)
        size = np.abs(value).max()
        parts[name] = value + strength * size * rng.normal(size=value.shape)
    return _gru(**parts)
