"""Correlations of the gated RNN with slow reset gates and biases: the equations solved in other ways."""

import math

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from gru_sweep.gating import biased, chaotic_states, gaussian
from gru_sweep.gating.correlations import stationary_state, tanh_pairs
from gru_sweep.records import InputError

X = np.arange(-8.0, 8.05, 0.1)
W = np.exp(-X * X / 2) / np.exp(-X * X / 2).sum()
"""The trapezoidal rule, which for tanh(k x) has an error of exp(-pi^2 / (0.1 k)): 1e-14 at k = 3."""


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def pairs(f, k, b, c):
    """<f(k x + b) f(k y + b)> by conditional averages: y = c x + sqrt(1 - c^2) z."""
    inner = f(k * (c[:, None, None] * X[:, None] + np.sqrt(1 - c**2)[:, None, None] * X) + b)
    return (inner @ W) @ (W * f(k * X + b))


def test_pairs_with_a_bias():
    c = np.array([-0.4, 0.0, 0.7, 1.0])
    for k, b in ((1.0, 0.4), (2.0, -1.0)):
        np.testing.assert_allclose(tanh_pairs(k, b, c), pairs(np.tanh, k, b, c), atol=1e-10)
        np.testing.assert_allclose(tanh_pairs(k, 1e-14, c), gaussian.tanh_pair(k, c).value, atol=1e-10)


@pytest.mark.parametrize(("g", "alpha_r"), [(5.0, 0.0), (2.5, 5.0), (1.95, 10.0)])
def test_fast_gates_are_those_of_the_motion_in_a_potential(g, alpha_r):
    known = chaotic_states(g, alpha_r)[-1]
    for tau_r, error in ((0.0, 2e-6), (1e-2, 2e-3)):
        state = stationary_state(g, alpha_r, tau_r=tau_r)
        assert state.resolved
        np.testing.assert_allclose(
            state.correlation(np.array([0.0, 0.3, 4.0, 17.0])),
            known.correlation(np.array([0.0, 0.3, 4.0, 17.0])),
            atol=error * known.variance,
        )


def test_correlations_solve_the_equations_as_they_are_written():
    """C - 4 C'' = C_phi C_sig and C_r - tau_r^2 C_r'' = C_phi, by differences of fourth order."""
    g, alpha_r, b_h, beta_r, tau_r = 3.0, 5.0, 0.3, 0.5, 2.0
    state = stationary_state(g, alpha_r, b_h=b_h, beta_r=beta_r, tau_r=tau_r)
    step, lag = 0.05, np.array([0.0, 1.0, 5.0, 12.0])
    stencil = np.array([-1 / 12, 4 / 3, -5 / 2, 4 / 3, -1 / 12]) / step**2
    at = lag[:, None] + step * np.arange(-2, 3)

    h = state.correlation(at.ravel()).reshape(at.shape)
    phi = pairs(np.tanh, g * math.sqrt(state.variance), b_h, np.minimum(h[:, 2] / state.variance, 1.0))
    np.testing.assert_allclose(np.interp(lag, state.lag, state.phi), phi, atol=1e-7)
    r = np.interp(lag, state.lag, state.r)
    gate = pairs(sigmoid, alpha_r * math.sqrt(r[0]), -beta_r, r / r[0])
    np.testing.assert_allclose(h[:, 2] - 4 * h @ stencil, phi * gate, atol=1e-6)
    # the filter of r by its kernel, exp(-|t| / tau_r) / (2 tau_r)
    t = np.arange(-60.0, 60.0, 0.01)
    kernel = np.exp(-np.abs(t) / tau_r) / (2 * tau_r) * 0.01
    series = CubicSpline(state.lag, state.phi)(np.abs(lag[:, None] - t))
    np.testing.assert_allclose(series @ kernel, r, atol=1e-5)
    # what persists is a fixed point of the covariance map
    c = np.array([state.persistent / state.variance])
    phi_end = pairs(np.tanh, g * math.sqrt(state.variance), b_h, c)
    gate_end = pairs(sigmoid, alpha_r * math.sqrt(r[0]), -beta_r, phi_end / r[0])
    assert state.persistent == pytest.approx(phi_end[0] * gate_end[0], rel=1e-6)
    assert state.persistent > 0.05 * state.variance


def test_where_nothing_moves_all_of_it_persists():
    at = {"g": 1.0, "alpha_r": 5.0, "b_h": 0.3, "beta_r": 0.5}
    state = stationary_state(**at)
    record = biased.fixed_points("gated-rnn", at)
    assert record.K[0, 0] < 1
    assert state.variance == pytest.approx(record.variance[0, 0], rel=1e-8)
    assert state.persistent == pytest.approx(state.variance, rel=1e-8)
    for g in (1.7, 1e-200):
        assert stationary_state(g, 10.0).variance == 0.0


def test_time_is_in_units_of_the_update_gate():
    """beta_z = log 3 lets h move at 1/4 instead of 1/2: with tau_r twice as long all lasts twice as long."""
    fast = stationary_state(2.5, 5.0, tau_r=1.0)
    slow = stationary_state(2.5, 5.0, tau_r=2.0, beta_z=math.log(3.0))
    lag = np.array([0.0, 1.0, 5.0, 20.0])
    np.testing.assert_allclose(slow.correlation(2.0 * lag), fast.correlation(lag), atol=1e-6)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"alpha_z": 1.0}, "alpha_z: expected 0, where h is Gaussian"),
        ({"alpha_r": -1.0}, "alpha_r: expected a finite number >= 0"),
        ({"tau_r": math.inf}, "tau_r: expected a finite number from 0 to 400"),
        ({"beta_z": 101.0}, "beta_z: expected a finite number from -100 to 100"),
        ({"b_h": math.nan}, "b_h: expected a finite number, got nan"),
        ({"beta_r": 1.0, "alpha_r": 1e3}, "alpha_r: expected a finite number from 0 to 100"),
    ],
)
def test_correlations_refuse(given, words):
    with pytest.raises(InputError) as caught:
        stationary_state(2.5, **given)
    assert words in str(caught.value)
