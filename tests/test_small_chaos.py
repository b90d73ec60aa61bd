"""Chaos in three gated units: the committed examples by a method that shares nothing with the search; and the
search's own exponents where they are known."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tests.conftest import EXPERIMENTS

FOUND = json.loads((Path(__file__).parent.parent / "results" / "small_chaos.json").read_text())
TIME, BETWEEN = 600.0, 5.0
"""How long orbits are followed here, and how often the distance of two is set back."""
NEAR = 1e-7
"""That distance: far more than an integration's error in `BETWEEN`, far less than an attractor."""
PART = 0.5
"""Of a committed exponent that so short a time has to find: its error over `TIME` is below a fifth."""
STEP = 1e-6
"""Relative error of a decay at rate 1 by Runge and Kutta's method with a step of 0.1 is 8e-7."""


class Linear(eqx.Module):
    """dh/dt = A h, and as a map h' = A h."""

    A: jax.Array

    def __call__(self, h: jax.Array) -> jax.Array:
        return self.A @ h

    def step(self, h: jax.Array) -> jax.Array:
        return self.A @ h


@pytest.fixture(scope="module")
def experiment():
    """Imports a module of the experiments."""
    with pytest.MonkeyPatch.context() as path:
        path.syspath_prepend(EXPERIMENTS)
        yield importlib.import_module


def rate(w: dict, h: np.ndarray) -> np.ndarray:
    """Eq 7 of Jordan, Sokol & Park (2021)."""
    z, r = (1 / (1 + np.exp(-w[f"U_{k}"] @ h - w[f"b_{k}"])) if f"U_{k}" in w else 0.5 for k in "zr")
    return (1 - z) * (np.tanh(w["U_h"] @ (r * h) + w["b_h"]) - h)


@pytest.mark.parametrize("one", FOUND["examples"], ids=lambda one: one["source"])
def test_neighbouring_orbits_part_at_the_rate_that_was_committed(one):
    """Benettin's way: two orbits, their distance set back again and again."""
    w = {k: np.asarray(v) for k, v in one["parameters"].items()}
    both = lambda _, y: np.concatenate([rate(w, y[:3]), rate(w, y[3:])])  # noqa: E731
    h, apart, logs = np.asarray(one["state"]), NEAR * np.array([0.6, -0.8, 0.0]), []
    for _ in range(round(TIME / BETWEEN)):
        end = solve_ivp(both, (0, BETWEEN), [*h, *(h + apart)], "DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
        h, apart = end[:3], end[3:] - end[:3]
        logs.append(math.log(np.linalg.norm(apart) / NEAR))
        apart *= NEAR / np.linalg.norm(apart)
    assert np.mean(logs[2:]) / BETWEEN > PART * one["spectra"][-1]["exponents"][0] > 0


@pytest.mark.parametrize("discrete", [False, True])
def test_exponents_of_linear_systems(experiment, discrete):
    """The largest real part of the eigenvalues; of maps, the logarithm of the largest modulus. More systems
    than lanes."""
    search = experiment("chaos_search")
    n, triangle = search.LANES[0] + 1, np.array([[0.2, 3.0, -1.0], [0.0, -0.4, 2.0], [0.0, 0.0, -1.0]])
    scale = np.linspace(0.5, 1.0, n)
    systems = Linear(jnp.asarray(triangle)[..., None] * scale)
    clock = search.MAP if discrete else search.COARSE
    found = search.exponents(systems, np.full((3, n), 1e-9), 100.0, clock, aligning=1.0)
    np.testing.assert_allclose(found, np.log(scale) if discrete else 0.2 * scale, rtol=STEP, atol=STEP)


def test_states_that_settle_are_at_rest(experiment):
    search = experiment("chaos_search")
    systems = Linear(-jnp.eye(3)[..., None] * np.array([1.0, 1e-3]))
    states, speed = search.settle(systems, np.ones((3, 2)), 20.0, search.COARSE)
    np.testing.assert_allclose(states, np.exp([[-20.0, -0.02]] * 3), rtol=20 * STEP)
    # the rate is read off one more step
    np.testing.assert_allclose(speed, np.exp([-20.0, -0.02]) * -np.expm1([-0.1, -1e-4]) / 0.1, rtol=1e-3)


def test_draws_are_functions_of_their_arguments(experiment):
    for draw in experiment("chaos_search").DRAWS:
        (parts, states), (again, _), (other, _) = (draw.block(0, k, 3) for k in (0, 0, 1))
        d = draw.units
        assert states.shape == (d, 3)
        assert {k for k in parts if k[0] == "U"} == {"U_h", *(f"U_{k}" for k in draw.gates)}
        for k, v in parts.items():
            assert v.shape == ((d, d, 3) if k[0] == "U" else (d, 3))
            np.testing.assert_array_equal(v, again[k])
            assert not np.array_equal(v, other[k])


def test_the_verdicts_follow_from_the_numbers(experiment):
    chaos = experiment("small_chaos")
    for one in FOUND["examples"]:
        assert one["confirmed"] == chaos.confirmed(one)
        shaken = one | {"adaptive": one["adaptive"] | {"error": one["adaptive"]["exponent"]}}
        assert not chaos.confirmed(shaken)
    assert FOUND["verdict"] == chaos.verdict(FOUND["flows"]["of"], FOUND["examples"])
    assert "none found in 9 draws" in chaos.verdict(9, [])
    flows = [one["chaotic"] for one in FOUND["draws"] if one["draw"].startswith("flow")]
    assert FOUND["flows"]["count"] == sum(one["count"] for one in flows)
