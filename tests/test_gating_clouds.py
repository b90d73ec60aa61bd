"""Clouds of eigenvalues: closed answers, the cells' own formulas, automatic differentiation, simulation."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

from gru_sweep.gating import boundaries, clouds, jacobians, mean_field
from gru_sweep.gating.sites import Sites, mean_field_sites, sites
from gru_sweep.records import InputError
from gru_sweep.systems.cells import GRU
from gru_sweep.systems.ensembles import ENSEMBLES

GAINS = {
    "gru": {"a_h": 3.0, "a_z": 2.0, "a_r": 2.0, "b_z": 0.3, "b_r": -0.2, "b_h": 0.1},
    "lstm": {"a_g": 3.0, "a_f": 2.0, "a_i": 1.0, "a_o": 1.5, "b_f": 0.2},
    "gated-rnn": {"g": 3.0, "alpha_z": 2.0, "alpha_r": 3.0, "tau_z": 0.7, "tau_r": 0.5, "b_h": 0.1},
}
ROUNDING = 1e-12
"""Sums over some tens of units, in two orders."""
ROOT = 1e-8
"""What radii are promised to."""
FINITE = 0.03
"""Edges at some hundred units: they fluctuate by a few percent of the cloud's size."""
HEUN = 2e-3
"""Of Heun's scheme at its step of 0.05, over two units of time."""
COUNT = 0.015
"""Shares of eigenvalues of 400 units: six of them."""


def network(name, size, number=0, **more):
    """An ensemble, one of its networks, and its start."""
    ensemble = ENSEMBLES[name]
    coordinates = {k: np.float64(v) for k, v in {**ensemble.coordinates, **GAINS[name], **more}.items()}
    cell = ensemble.build(ensemble.draw(size, 5, number), **coordinates)
    return ensemble, cell, jnp.asarray(ensemble.start(size, 5, number))


def circular(radius, poles=(0.0,), discrete=False):
    """Sites with rates `poles` in front of one matrix of gain `radius`."""
    n = len(poles)
    one = np.ones((n, 1, 1))
    return Sites(
        A=np.array(poles).reshape(n, 1, 1),
        B=one,
        C=one,
        E=0.0 * one,
        gains=np.array([radius]),
        weight=np.full(n, 1.0 / n),
        discrete=discrete,
        clock=0,
    )


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


# --- Jacobians and states


@pytest.mark.parametrize("name", GAINS)
def test_jacobians_are_those_of_automatic_differentiation(name):
    ensemble, cell, state = network(name, 17)
    field = np.asarray(jax.jacfwd(cell)(state))
    np.testing.assert_allclose(jacobians.jacobian(cell, state, False), field, atol=ROUNDING)
    if ensemble.discrete:
        step = np.asarray(jax.jacfwd(cell.step)(state))
        np.testing.assert_allclose(jacobians.jacobian(cell, state, True), step, atol=ROUNDING)
        values = jacobians.eigenvalues(cell, state, True)
        assert values.sum().real == pytest.approx(np.trace(step), abs=ROUNDING * 100)


def test_a_cell_may_lack_gates():
    rng = np.random.default_rng(3)
    cell = GRU(U_h=rng.normal(size=(9, 9)), U_r=rng.normal(size=(9, 9)))
    state = jnp.asarray(rng.uniform(-1, 1, 9))
    reference = np.asarray(jax.jacfwd(cell.step)(state))
    np.testing.assert_allclose(jacobians.jacobian(cell, state, True), reference, atol=ROUNDING)
    at = sites(cell, state, True)
    assert at.gains == pytest.approx(
        [np.linalg.norm(u) / 3 if u is not None else 0 for u in (cell.U_h, None, cell.U_r)]
    )


def test_trajectories_are_the_networks_own():
    _, cell, state = network("gru", 8)
    kept = jacobians.trajectory(cell, state, True, settle=3, kept=2, every=4)
    for n in range(8):
        if n in (3, 7):
            np.testing.assert_allclose(kept[(n - 3) // 4], state, atol=ROUNDING)
        state = cell.step(state)
    _, cell, state = network("gated-rnn", 8)
    settled = jacobians.trajectory(cell, 0.01 * state, False, settle=2, kept=2, every=1)
    field = jax.jit(lambda x: cell(x))
    exact = solve_ivp(
        lambda t, x: np.asarray(field(jnp.asarray(x))),
        (0, 3),
        0.01 * np.asarray(state),
        t_eval=(2, 3),
        rtol=1e-9,
        atol=1e-12,
    )
    np.testing.assert_allclose(settled, exact.y.T, atol=HEUN * np.abs(exact.y).max())


def test_fixed_points_of_mean_field_are_found_and_have_its_activity():
    _, cell, state = network("gru", 300, a_h=2.4, a_z=0.0, a_r=0.0, b_z=0.0, b_r=0.0, b_h=0.0)
    for start in jacobians.trajectory(cell, state, True, settle=100, kept=8, every=7):
        point = jacobians.fixed_point(cell, start)
        if point.found and np.abs(point.state).max() > 0.01:
            break
    assert point.found
    assert np.abs(cell.step(jnp.asarray(point.state)) - point.state).max() < 1e-10
    theory = mean_field.fixed_points(2.4, 0.0)[-1]
    assert np.mean(point.state**2) == pytest.approx(theory.Q, rel=0.35)


# --- closed clouds


def test_ginibre():
    at = circular(1.7)
    assert clouds.outermost(at) == pytest.approx(1.7, abs=ROOT)
    (curve,) = boundaries.boundary(at, 32)
    np.testing.assert_allclose(np.abs(curve), 1.7, atol=ROOT)
    # the circular law: a disc holds its share of the area, a rim that crosses the edge the overlap's
    assert clouds.share_within(at, 0.0, 0.6) == pytest.approx((0.6 / 1.7) ** 2, abs=1e-5)
    assert clouds.share_within(at, 0.0, 2.0) == pytest.approx(1.0, abs=1e-9)
    inside = clouds.mean_resolvent(at, np.array([0.5 + 0.3j]))[0]
    assert inside == pytest.approx((0.5 - 0.3j) / 1.7**2, abs=1e-5)


def test_two_rates():
    at = circular(0.5, (-1.0, -3.0))
    squared = brentq(lambda x: 0.125 * (1 / (x + 1) ** 2 + 1 / (x + 3) ** 2) - 1, -0.9, 5.0, xtol=1e-14)
    assert clouds.outermost(at) == pytest.approx(squared, abs=ROOT)
    curves = boundaries.boundary(at, 64)
    assert len(curves) == 2
    for curve in curves:
        level = 0.125 * (np.abs(curve + 1) ** -2 + np.abs(curve + 3) ** -2)
        np.testing.assert_allclose(level, 1.0, atol=1e-7)
    for middle in (-1.0, -3.0):
        assert clouds.share_within(at, middle, 0.8) == pytest.approx(0.5, abs=1e-6)
    # between the components there is none
    assert clouds.spread(at, np.array(-2.0)) < 1.0


def test_a_hole():
    # T = 2 (1 / (l + 1) + 1 / (l + 3)) is zero at -2, and 4 y / (1 + y^2) at -2 + i y
    one = np.ones((1, 2, 1))
    at = Sites(
        A=np.diag([-1.0, -3.0])[None],
        B=one,
        C=one.swapaxes(1, 2),
        E=np.zeros((1, 1, 1)),
        gains=np.array([2.0]),
        weight=np.ones(1),
        discrete=False,
        clock=0,
    )
    outer, inner = boundaries.boundary(at, 64)
    assert abs(boundaries.area(outer)) > 10 * abs(boundaries.area(inner)) > 0
    assert boundaries.reach((inner,), -2.0, np.array([np.pi / 2]))[0] == pytest.approx(2 - 3**0.5, rel=1e-2)
    assert boundaries.reach((outer, inner), -2.0, np.array([np.pi / 2]))[0] == pytest.approx(
        2 + 3**0.5, rel=1e-2
    )
    assert clouds.share_within(at, -2.0, 0.1) == pytest.approx(0.0, abs=1e-9)
    assert clouds.share_within(at, -2.0, 6.0) == pytest.approx(1.0, abs=1e-9)


def test_zero_states_are_discs():
    _, cell, state = network("gru", 60, **dict.fromkeys(("b_z", "b_r", "b_h"), 0.0))
    # z = r = 1/2: a disc of radius a_h / 4 about 1/2
    assert clouds.outermost(sites(cell, 0 * state, True)) == pytest.approx(0.5 + 3.0 / 4, abs=ROOT)
    _, cell, state = network("gated-rnn", 60, b_h=0.0)
    rms = float(jnp.sqrt(jnp.mean(cell.J_h**2) * 60))
    at = sites(cell, 0 * state, False)
    # the gates' own modes are seen by nothing there
    assert at.hidden.tolist() == [[False, True, True]] * 60
    assert clouds.outermost(at) == pytest.approx(-0.5 + 3.0 * rms / 4, abs=ROOT)


# --- one condition for every cell, and the cells' own


def test_the_lstm_is_its_formula():
    _, cell, state = network("lstm", 80)
    h, c = state[:80], np.asarray(state[80:])
    inner = {k: np.asarray(getattr(cell, f"U_{k}") @ h + getattr(cell, f"b_{k}")) for k in "gfio"}
    f, i, o, g = *(sigmoid(inner[k]) for k in "fio"), np.tanh(inner["g"])
    cell_state = f * c + i * g
    slope = 1 - np.tanh(cell_state) ** 2
    a = GAINS["lstm"]

    def condition(l):
        shared = (
            (a["a_f"] * f * (1 - f) * c) ** 2
            + (a["a_i"] * i * (1 - i) * g) ** 2
            + (a["a_g"] * i * (1 - g**2)) ** 2
        )
        own = (a["a_o"] * o * (1 - o) * np.tanh(cell_state)) ** 2
        return np.mean((o * slope) ** 2 * shared / abs(l - f) ** 2) + np.mean(own) / abs(l) ** 2

    at = sites(cell, state, True)
    for l in (1.2, 0.7 + 0.9j, -0.3 + 0.2j):
        assert float(clouds.spread(at, np.array(l))) == pytest.approx(condition(l), rel=1e-10)


def test_the_gated_rnn_is_its_formula():
    _, cell, state = network("gated-rnn", 300)
    at = sites(cell, state, False)
    h, z, r = np.split(np.asarray(state), 3)
    a = GAINS["gated-rnn"]
    phi = np.tanh(a["g"] * h + a["b_h"])
    sz, sr = sigmoid(a["alpha_z"] * z), sigmoid(a["alpha_r"] * r)
    eta = np.asarray(cell.J_h) @ (phi * sr)
    slope = a["g"] * (1 - phi**2)
    weight = np.array(at.gains) ** 2
    for l in (0.4, -0.2 + 0.9j):
        # the two-field map by hand, with correlations of one site in it
        reach_h = sz * slope / (l + sz)
        reach_z = a["alpha_z"] * sz * (1 - sz) * (eta - h) * slope / (l + sz) / (1 + l * a["tau_z"])
        reach_r = phi * a["alpha_r"] * sr * (1 - sr) / (1 + l * a["tau_r"])
        rows = [[sr * reach_h, sr * reach_z, reach_r], [reach_h, reach_z, 0 * h], [reach_h, reach_z, 0 * h]]
        M = weight[:, None] * np.array([[np.mean(np.abs(x) ** 2) for x in row] for row in rows])
        found = clouds.variance_map(at, np.array([complex(l)]))[0]
        np.testing.assert_allclose(found, M, rtol=1e-9, atol=ROUNDING)
        # and, r being independent of the rest here, the product form to N^-1/2
        means = [np.mean(np.abs(x) ** 2) for x in (reach_h, reach_z, sr, reach_r)]
        product = means[0] * (means[2] + means[3]) + means[1]
        exact = np.abs(np.linalg.eigvals(M)).max()
        assert (exact - 1) * (product - 1) > 0


# --- mean field


@pytest.mark.parametrize("tau", [None, (0.7, 2.0)])
def test_mean_field_sites_have_the_stability_of_mean_field(tau):
    state = mean_field.fixed_points(3.0, 2.0)[-1]
    for update in (0.0, 3.0, 200.0):
        found = clouds.stability(mean_field_sites(state, 3.0, update, 2.0, tau))
        assert abs(found.K / state.K - 1) < 1e-9
    assert found.K_held == pytest.approx(state.K / 2, rel=0.01)
    assert found.marginal_with_sharp_gate == state.marginal_with_sharp_update_gate


def test_mean_field_radius_by_quadrature():
    state = mean_field.fixed_points(3.0, 2.0)[-1]
    strength = 4.0 * math.sqrt(state.Q)

    def level(l):
        def over(x):
            z = sigmoid(strength * x)
            return ((1 - z) / (l - z)) ** 2 * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

        return state.K * quad(over, -9, 9, epsabs=1e-13, epsrel=1e-12, limit=200)[0]

    at = mean_field_sites(state, 3.0, 4.0, 2.0)
    assert clouds.outermost(at) == pytest.approx(
        brentq(lambda l: level(l) - 1, 1.0001, 3, xtol=1e-12), abs=ROOT
    )


# --- simulation


@pytest.fixture(scope="module")
def chaotic():
    """A GRU of 400 units in chaos with a sharp update gate: its sites and eigenvalues."""
    _, cell, state = network("gru", 400, a_z=6.0, **dict.fromkeys(("b_z", "b_r", "b_h"), 0.0))
    state = jacobians.trajectory(cell, state, True, settle=100)[-1]
    return sites(cell, state, True), jacobians.eigenvalues(cell, state, True)


def test_simulated_edge(chaotic):
    at, eigenvalues = chaotic
    curves = boundaries.boundary(at, 48)
    angle, ratio = boundaries.ratios(at, curves, eigenvalues)
    found = boundaries.by_sector(angle, ratio, 4)
    assert np.mean(ratio > 1 + 2 * FINITE) < 0.01
    assert abs(np.median(found) - 1) < FINITE
    assert np.abs(eigenvalues).max() == pytest.approx(clouds.outermost(at), rel=2 * FINITE)
    # the measure sees an edge that is 10 % off, to either side
    for factor in (0.9, 1.1):
        off = tuple(boundaries.centre(at) + factor * (c - boundaries.centre(at)) for c in curves)
        seen = boundaries.by_sector(*boundaries.ratios(at, off, eigenvalues), 4)
        assert abs(np.median(seen) - 1) > 2 * FINITE


def test_simulated_slow_modes(chaotic):
    at, eigenvalues = chaotic
    for centre, radius in ((1.0, 0.05), (1.0, 0.3), (0.2, 0.4)):
        simulated = np.mean(np.abs(eigenvalues - centre) < radius)
        assert clouds.share_within(at, centre, radius) == pytest.approx(simulated, abs=COUNT)
    assert clouds.pinched(at) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(400))


def test_slow_modes_of_fields_are_those_of_maps():
    _, cell, state = network("gru", 60)
    shares = [clouds.share_within(sites(cell, state, d), 1.0 if d else 0.0, 0.3) for d in (True, False)]
    assert shares[0] == pytest.approx(shares[1], rel=1e-9)


def test_an_infinitely_sharp_gate_pins_eigenvalues_at_one():
    _, cell, state = network("gru", 60, a_z=1e6, **dict.fromkeys(("b_z", "b_r", "b_h"), 0.0))
    at = sites(cell, state, True)
    eigenvalues = jacobians.eigenvalues(cell, state, True)
    pinned = np.mean(np.abs(eigenvalues - 1) < 1e-9)
    assert 0.2 < pinned < 0.8
    assert clouds.pinched(at) == pytest.approx(pinned, abs=1e-12)
    assert clouds.share_within(at, 1.0, 1e-6) == pytest.approx(pinned, abs=1e-6)


# --- what is refused


def test_bad_arguments():
    _, cell, state = network("gated-rnn", 6)
    with pytest.raises(InputError, match="discrete"):
        sites(cell, state, True)
    with pytest.raises(InputError, match="discrete"):
        jacobians.trajectory(cell, state, True)
    with pytest.raises(InputError, match="state"):
        sites(cell, state[1:], False)
    with pytest.raises(InputError, match="kept"):
        jacobians.trajectory(cell, state, False, kept=0)
    after = GRU(U_h=np.eye(3), reset="after")
    with pytest.raises(InputError, match="reset"):
        sites(after, np.zeros(3), True)
    at = circular(1.0)
    with pytest.raises(InputError, match="radius"):
        clouds.share_within(at, 0.0, 0.0)
    with pytest.raises(InputError, match="gains"):
        clouds.outermost(circular(1e9))
    with pytest.raises(InputError, match="cells"):
        boundaries.boundary(at, 3)
    with pytest.raises(InputError, match="sectors"):
        boundaries.by_sector(np.ones(3), np.ones(3), 0)
    with pytest.raises(InputError, match="update gain"):
        mean_field_sites(mean_field.fixed_points(3.0, 0.0)[-1], 3.0, 1e6, 0.0)


def test_the_experiment_says_what_it_found(quick):
    module, verdict, folder = quick("gating_spectra")
    text = (folder / "gating_spectra.md").read_text()
    assert len(verdict["cases"]) == len(module.CASES)
    for case, one in zip(module.CASES, verdict["cases"]):
        assert case.label in text
        assert one["slow"] == pytest.approx(one["slow_theory"], abs=0.05)
        if case.zero:
            assert one["radius_theory"] == pytest.approx(one["radius_mean_field"], rel=0.02)
    assert json.dumps(verdict)
