"""Folds of cycles whose parameter, period and place are known."""

from __future__ import annotations

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from gru_sweep.analysis.bifurcations.global_events.cycle_folds import cycle_fold
from gru_sweep.records import InputError

BOX = {"lower": [-4.0, -4.0], "upper": [4.0, 4.0]}
SKEW = np.array([[1.0, 0.4], [-0.3, 0.8]])
LOOSE = (1e-13, 1e-10, 1e-7)


class Twisted(eqx.Module):
    """r' = r (p + 2 r^2 - r^4) + mix (p + 1) r^2 cos(theta), theta' = 1 + twist r^2, in skew coordinates.

    A fold of cycles at p = -1, where r = 1 and theta' = 1 + twist. Cycles are ellipses there and where mix is
    0, elsewhere curves without a name.
    """

    skew: Float[Array, "2 2"]
    twist: Float[Array, ""]
    mix: Float[Array, ""]

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 1"]) -> Float[Array, " 2"]:
        x, y = self.skew @ h
        q = x * x + y * y
        grow = p[0] + 2.0 * q - q * q + self.mix * (p[0] + 1.0) * x
        turn = 1.0 + self.twist * q
        (a, b), (c, d) = self.skew
        u, v = grow * x - turn * y, grow * y + turn * x
        return jnp.stack([d * u - b * v, a * v - c * u]) / (a * d - b * c)


def twisted(twist: float = 0.5, mix: float = 0.0) -> Twisted:
    return Twisted(*(jnp.asarray(x, jnp.float64) for x in (SKEW, twist, mix)))


def cycles(p: float, angles=(0.0, 1.5)) -> np.ndarray:
    """A point on each cycle for mix = 0; r^2 = 1 +- sqrt(1 + p)."""
    radii = [math.sqrt(1.0 + sign * math.sqrt(1.0 + p)) for sign in (1, -1)]
    points = [r * np.array([math.cos(t), math.sin(t)]) for r, t in zip(radii, angles)]
    return np.array([np.linalg.solve(SKEW, point) for point in points])


@pytest.mark.parametrize("tolerance", LOOSE)
@pytest.mark.parametrize("ends", [(-1.001, -0.99), (-1.0 - 1e-9, -1.0 + 1e-7), (-1.2, -0.9)])
def test_fold_of_twisted_ellipses(ends, tolerance):
    """In wide brackets and in one of 1e-7, with tight and loose steps: the error holds."""
    event = cycle_fold(twisted(), ends, cycles(ends[1]), 1, **BOX, tolerance=tolerance)
    if event.kind == "unresolved":  # loose steps lose the fold in a bracket narrower than their error
        assert tolerance > 1e-2 * (ends[1] - ends[0])
        return
    assert event.kind == "cycle fold"
    assert abs(event.value + 1.0) <= event.error
    assert abs(event.details["period"] - 2 * math.pi / 1.5) <= event.details["period_change"] + 1e-12
    assert np.linalg.norm(SKEW @ event.at) == pytest.approx(1.0, abs=1e-4)
    assert event.details["second_derivative"] * event.details["shift_per_parameter"] < 0.0
    if tolerance == LOOSE[0]:
        assert event.error < 1e-11


@pytest.mark.parametrize("mix", [0.2, -0.3])
def test_fold_of_cycles_without_a_name(mix):
    """The points are only near the cycles, as if they had been followed for a while."""
    event = cycle_fold(twisted(-0.4, mix), (-1.0005, -0.9995), cycles(-0.9995), 1, **BOX)
    assert event.kind == "cycle fold"
    assert abs(event.value + 1.0) <= event.error < 1e-11
    assert event.details["period"] == pytest.approx(2 * math.pi / 0.6, abs=1e-10)


def test_loose_steps_are_seen_in_the_error():
    found = [cycle_fold(twisted(), (-1.01, -0.99), cycles(-0.99), 1, **BOX, tolerance=t) for t in LOOSE]
    errors = [event.error for event in found]
    assert 1e-15 < errors[0] < errors[1] < errors[2] < 1e-4


def test_no_fold_in_the_bracket():
    """The fold is outside: the bracket is handed back."""
    event = cycle_fold(twisted(), (-0.999, -0.99), cycles(-0.99), 1, **BOX)
    assert event.kind == "unresolved"
    assert (event.value, event.error) == (pytest.approx(-0.9945), pytest.approx(0.0045))


def test_two_points_on_one_cycle_are_no_pair():
    point = cycles(-0.99)[0]
    event = cycle_fold(twisted(), (-1.001, -0.99), [point, point], 1, **BOX)
    assert event.kind == "unresolved"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bracket", {"bracket": (-0.9, -1.1)}),
        ("cycles", {"cycles": [[0.0, 1.0]]}),
        ("cycles", {"cycles": [[0.0, math.nan], [0.0, 1.0]]}),
        ("side", {"side": 2}),
        ("upper", {"upper": [-5.0, 4.0]}),
        ("tolerance", {"tolerance": 1.0}),
    ],
)
def test_refused(name, change):
    given = {"bracket": (-1.1, -0.9), "cycles": cycles(-0.9), "side": 1}
    with pytest.raises(InputError) as refused:
        cycle_fold(twisted(), **(given | BOX | change))
    assert refused.value.argument == name
