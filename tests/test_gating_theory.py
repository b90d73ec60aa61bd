"""The theory of the random gated RNN: closed answers, and the same equations solved in another way."""

import itertools
import json
import math

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from scipy.optimize import brentq, minimize_scalar

from gru_sweep.cli import gating as command
from gru_sweep.gating import chaotic_states, critical_gains, dmft, fixed_points, gaussian, mean_field
from gru_sweep.records import InputError

EDGE = 12.0
"""Standard deviations beyond which a Gaussian has no weight."""
ALPHAS = (0.0, 1.0, 2.8, 3.0, 3.4, 3.6, 5.0, 10.0, 30.0, 100.0, 1e4)
X = np.linspace(-9.0, 9.0, 181)
WEIGHT = np.exp(-X * X / 2) / math.sqrt(2 * math.pi) * (X[1] - X[0])
"""The trapezoidal rule, which for tanh(k x) has an error of exp(-(pi / k) (pi / 0.1)): 1e-17 at k = 2.5."""


def density(x):
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def average(f, scale=1.0):
    """<f(x)> over N(0, 1) by adaptive quadrature, with f even and varying at 1 / scale."""
    cuts = [0.0, *sorted(c / scale for c in (1.0, 4.0, 20.0) if c / scale < EDGE), EDGE]
    return 2 * sum(
        quad(lambda x: f(x) * density(x), a, b, epsabs=1e-15, epsrel=1e-13)[0]
        for a, b in itertools.pairwise(cuts)
    )


def sigmoid(x):
    return 0.5 + 0.5 * math.tanh(0.5 * x)


def covariance(g, alpha_r, variance, covariance):
    """<phi phi'> <sig sig'> of pairs of states, by a product rule on a grid."""

    def pair(f, variance, covariance):
        c = covariance / variance
        y = c * X[:, None] + math.sqrt(max(1 - c * c, 0.0)) * X
        return WEIGHT @ (f(math.sqrt(variance) * X)[:, None] * f(math.sqrt(variance) * y)) @ WEIGHT

    own = pair(lambda h: np.tanh(g * h), variance, covariance)
    whole = pair(lambda h: np.tanh(g * h), variance, variance)
    return own * pair(lambda r: 1 / (1 + np.exp(-alpha_r * r)), whole, own)


# --- averages


@pytest.mark.parametrize("k", [1e-3, 0.1, 1.0, 7.0, 300.0])
def test_averages_of_one_gaussian(k):
    own = gaussian.tanh_pair(k, 1.0)
    assert own.value == pytest.approx(average(lambda x: math.tanh(k * x) ** 2, k), rel=1e-12)
    sech4 = average(lambda x: math.cosh(min(k * x, 300.0)) ** -4, k)
    assert own.d_c == pytest.approx(k**2 * sech4, rel=1e-12)
    slope = average(lambda x: 2 * k * x * math.tanh(k * x) / math.cosh(min(k * x, 300.0)) ** 2, k)
    assert own.d_log_k == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize(("k", "c"), [(0.5, 0.3), (1.5, 0.9), (4.0, -0.6), (2.0, 0.0)])
def test_averages_of_pairs(k, c):
    root = math.sqrt(1 - c * c)

    def over(f):
        return dblquad(
            lambda z, x: f(x, c * x + root * z) * density(x) * density(z), -9, 9, -9, 9, epsabs=1e-11
        )[0]

    own = gaussian.tanh_pair(k, c)
    assert own.value == pytest.approx(over(lambda x, y: math.tanh(k * x) * math.tanh(k * y)), abs=1e-10)
    slope = over(lambda x, y: (k / math.cosh(k * x) / math.cosh(k * y)) ** 2)
    assert own.d_c == pytest.approx(slope, abs=1e-9)


def test_a_steep_tanh_is_a_sign_and_a_flat_one_is_linear():
    c = np.linspace(-1, 1, 21)
    np.testing.assert_allclose(gaussian.tanh_pair(1e12, c).value, 2 / np.pi * np.arcsin(c), atol=2e-12)
    np.testing.assert_allclose(gaussian.tanh_pair(1e-9, c).value, 1e-18 * c, rtol=1e-13)
    assert gaussian.tanh_pair(0.0, 0.5).value == 0.0
    assert np.isfinite(gaussian.tanh_pair(1e300, np.array([0.5, 1.0]))).all()


@pytest.mark.parametrize("k", [1e-3, 0.3, 2.0, 50.0])
def test_the_stated_error_holds_against_half_the_step(k, monkeypatch):
    c = np.linspace(-1, 1, 31)
    coarse = gaussian.tanh_pair(k, c)
    monkeypatch.setattr(gaussian, "STEP", gaussian.STEP / 2)
    for rule in (gaussian._mixture, gaussian._pairs):
        rule.cache_clear()
    fine = gaussian.tanh_pair(k, c)
    for rule in (gaussian._mixture, gaussian._pairs):
        rule.cache_clear()
    for one, other in zip(coarse, fine):
        np.testing.assert_allclose(one, other, rtol=gaussian.AVERAGE_ERROR, atol=1e-16 * k)


@pytest.mark.parametrize("s", [0.2, 1.0, 6.0])
def test_the_integral_over_correlations_is_a_variance(s):
    """int_0^1 T(s, c) dc = Var(log cosh(s x)) / s^2 (Sompolinsky, Crisanti & Sommers 1988)."""
    node, weight = gaussian.unit_interval()
    first = average(lambda x: math.log(math.cosh(s * x)), s)
    variance = average(lambda x: (math.log(math.cosh(s * x)) - first) ** 2, s)
    assert gaussian.tanh_pair(s, node).value @ weight == pytest.approx(variance / s**2, rel=1e-11)


# --- fixed points


@pytest.mark.parametrize(
    ("g", "alpha_r", "n"), [(1.7, 10.0, 1), (1.9, 10.0, 3), (2.5, 10.0, 2), (3.0, 0.0, 2)]
)
def test_fixed_points_solve_the_equations_as_they_are_written(g, alpha_r, n):
    def residual(variance):
        Q = average(lambda x: math.tanh(g * math.sqrt(variance) * x) ** 2)
        # even part of sig^2
        gate = average(
            lambda x: (
                (sigmoid(alpha_r * math.sqrt(Q) * x) ** 2 + sigmoid(-alpha_r * math.sqrt(Q) * x) ** 2) / 2
            )
        )
        return Q * gate - variance

    grid = np.geomspace(1e-5, 1.0, 60)
    values = [residual(v) for v in grid]
    roots = [
        brentq(residual, a, b, xtol=1e-14)
        for a, b, p, q in zip(grid, grid[1:], values, values[1:])
        if p * q < 0
    ]
    found = fixed_points(g, alpha_r)
    assert len(found) == n
    assert found[0] == mean_field.FixedPointState(s=0.0, variance=0.0, Q=0.0, K=g**2 / 4)
    np.testing.assert_allclose([f.variance for f in found[1:]], roots, rtol=1e-10)
    for f in found[1:]:
        assert f.s == pytest.approx(g * math.sqrt(f.variance))
        assert mean_field.gain(f.s, alpha_r) == pytest.approx(g, rel=1e-13)


@pytest.mark.parametrize(("s", "alpha_r"), [(0.3, 10.0), (1.4, 3.0), (0.8, 0.0)])
def test_K_is_the_product_of_the_averages(s, alpha_r):
    g = mean_field.gain(s, alpha_r)
    Q = average(lambda x: math.tanh(s * x) ** 2)
    v = alpha_r * math.sqrt(Q)
    gate = average(lambda x: (sigmoid(v * x) ** 2 + sigmoid(-v * x) ** 2) / 2)
    slope = average(lambda x: (alpha_r * sigmoid(v * x) * sigmoid(-v * x)) ** 2)
    phi = average(lambda x: g**2 * math.cosh(s * x) ** -4)
    assert mean_field.stability(s, alpha_r) == pytest.approx((gate + Q * slope) * phi, rel=1e-11)


@pytest.mark.parametrize("alpha_r", ALPHAS)
def test_the_branches_have_the_shape_that_is_said(alpha_r):
    """One fold or none; K above 1 and growing; G between H and its bound; H likewise with one maximum."""
    s = np.geomspace(0.01 / math.sqrt(1 + alpha_r), 6.0, 90)
    G, fall = np.array([mean_field.loop_gain(x, alpha_r) for x in s]).T
    H, chaos = np.array([dmft.energy_gain(x, alpha_r) for x in s]).T
    K = np.array([mean_field.stability(x, alpha_r) for x in s])
    for slopes, limit in ((fall, mean_field.TRICRITICAL), (chaos, dmft.TRICRITICAL)):
        turns = np.flatnonzero(np.diff(np.sign(slopes)))
        assert len(turns) == (alpha_r > limit)
        assert slopes[-1] < 0
    assert (K > 1).all()
    assert (np.diff(K) > 0).all()
    assert (H < G).all()
    assert (s**2 * G < 2).all()


def test_only_zero_is_stable_and_a_sharp_update_gate_makes_others_marginal():
    zero, lower, upper = fixed_points(1.9, 10.0)
    assert [f.stable for f in (zero, lower, upper)] == [True, False, False]
    assert [f.marginal_with_sharp_update_gate for f in (zero, lower, upper)] == [False, True, True]
    assert lower.variance < upper.variance
    assert not fixed_points(2.2, 10.0)[-1].marginal_with_sharp_update_gate


@pytest.mark.parametrize("solve", [lambda a: fixed_points(2.0, a)[1:], lambda a: chaotic_states(2.0, a)])
def test_at_the_gain_where_zero_turns_only_what_is_finite_is_there(solve):
    assert [len(solve(a)) for a in (0.0, 2.0, math.sqrt(8), 10.0, 1e6)] == [0, 0, 0, 1, 1]
    assert solve(10.0)[0].variance > 0.05


@pytest.mark.parametrize("alpha_r", [1e6, 1e30, 1e100])
def test_both_branches_are_found_however_steep_the_gates(alpha_r):
    """On the lower one s is small and k = alpha_r s / 2: (2 / g)^2 = 1 + T(k, 1)."""
    lower, upper = fixed_points(1.7, alpha_r)[1:]
    k = alpha_r * lower.s / 2
    assert average(lambda x: math.tanh(k * x) ** 2) == pytest.approx((2 / 1.7) ** 2 - 1, rel=1e-6)
    # and on the upper one the gates are steps: 2 Q / s^2 = (2 / g)^2
    assert upper.Q / upper.s**2 == pytest.approx(2 / 1.7**2, rel=1e-5)
    first, second = chaotic_states(1.7, alpha_r)
    assert first.variance < second.variance


@pytest.mark.parametrize("g", [1e-9, 1e3, 1e9])
def test_far_gains(g):
    """h is a sum of signs through half-open gates: <h^2> = 1/4 without modulation, 1/2 with steps."""
    for alpha_r, variance in ((0.0, 1 / 4), (1e12, 1 / 2)):
        found = fixed_points(g, alpha_r)
        assert len(found) == (1 if g < 1 else 2)
        if g > 1:
            assert found[1].variance == pytest.approx(variance, rel=10 / g)


# --- critical gains


def test_without_modulation_it_is_the_classical_network_at_half_the_gain():
    """sig = 1/2: Sompolinsky, Crisanti & Sommers (1988) with gain g/2, where all begins at 1."""
    found = critical_gains(0.0)
    assert (found.g_zero, found.g_fixed_points, found.g_chaos) == (2.0, 2.0, 2.0)
    assert found.onset == {"fixed_points": "continuous", "chaos": "continuous"}

    def excess(s):
        # gain^2 <tanh^2(s x)> = s^2, so K = gain^2 <sech^4>
        return s**2 / average(lambda x: math.tanh(s * x) ** 2) * average(lambda x: math.cosh(s * x) ** -4) - 2

    s = brentq(excess, 1.0, 5.0, xtol=1e-13)
    gain = s / math.sqrt(average(lambda x: math.tanh(s * x) ** 2))
    assert found.g_marginal_end == pytest.approx(2 * gain, abs=1e-10)


@pytest.mark.parametrize("alpha_r", [4.0, 10.0])
def test_critical_gains_by_other_means(alpha_r):
    """Each by minimising g over s, with averages on a grid of pairs."""
    found = critical_gains(alpha_r)

    def fixed(s):
        return 1 / math.sqrt(covariance(1.0, alpha_r, s * s, s * s) / s**2)

    def chaos(s):
        c, weight = np.polynomial.legendre.leggauss(24)
        values = [covariance(1.0, alpha_r, s * s, (1 + x) / 2 * s * s) for x in c]
        return s / math.sqrt(2 * np.dot(weight, values) / 2)

    for f, value in ((fixed, found.g_fixed_points), (chaos, found.g_chaos)):
        best = minimize_scalar(f, bounds=(0.05, 0.6), method="bounded", options={"xatol": 1e-6})
        assert best.fun == pytest.approx(value, abs=1e-10)
    s = brentq(lambda s: mean_field.stability(s, alpha_r) - 2, 0.3, 3.0, xtol=1e-14)
    assert fixed(s) == pytest.approx(found.g_marginal_end, abs=1e-11)


@pytest.mark.parametrize(
    ("piece", "gain", "tricritical"),
    [(mean_field, mean_field.loop_gain, math.sqrt(8)), (dmft, dmft.energy_gain, math.sqrt(12))],
)
def test_the_onset_turns_discontinuous_where_the_expansion_says(piece, gain, tricritical):
    assert tricritical == piece.TRICRITICAL
    for alpha_r in (0.0, 2.0, tricritical, 6.0):
        first, second = piece.expansion(alpha_r)
        # 1 + first s^2 + second s^4 + O(s^6): two values of s eliminate the next order
        s = np.array([0.04, 0.02])
        rest = np.array([(gain(x, alpha_r)[0] - 1) / x**2 for x in s])
        near = (rest - first) / s**2
        assert (4 * near[1] - near[0]) / 3 == pytest.approx(second, rel=1e-3)
    assert piece.expansion(tricritical)[0] == pytest.approx(0.0, abs=1e-14)
    assert piece.expansion(tricritical)[1] < 0
    # beyond, the maximum 1 - first^2 / (4 second) lies at s^2 = -first / (2 second)
    for beyond, tolerance in ((1e-2, 2e-2), (1e-3, 2e-3)):
        alpha_r = tricritical + beyond
        first, second = piece.expansion(alpha_r)
        s = piece.fold(alpha_r)
        assert s**2 == pytest.approx(-first / (2 * second), rel=tolerance)
        assert gain(s, alpha_r)[0] - 1 == pytest.approx(-(first**2) / (4 * second), rel=tolerance)
    assert piece.fold(tricritical * (1 - 1e-12)) is None


def test_gates_that_are_steps():
    """sig is 0 or 1: <sig^2> = 1/2, and <sig sig'> = 1/4 + arcsin(c) / (2 pi)."""
    for alpha_r in (1e20, 1e200, 1e308):
        found = critical_gains(alpha_r)
        assert found.g_fixed_points == pytest.approx(math.sqrt(2), abs=1e-12)
        assert found.g_chaos == pytest.approx(math.sqrt(8 / 3), abs=1e-12)
        assert found.g_marginal_end is None


def test_the_order_of_the_gains_and_what_does_not_exist():
    before = critical_gains(0.0)
    for alpha_r in (1.0, 2.828427, 2.829, 3.464, 3.4642, 5.0, 12.0, 39.0, 39.02, 1e3, 1e7):
        found = critical_gains(alpha_r)
        assert math.sqrt(2) < found.g_fixed_points <= found.g_chaos <= found.g_zero == 2.0
        assert found.g_chaos > math.sqrt(8 / 3)
        assert found.g_fixed_points <= before.g_fixed_points
        assert found.g_chaos <= before.g_chaos
        assert (found.g_fixed_points < 2.0) == (alpha_r > math.sqrt(8))
        assert (found.g_chaos < 2.0) == (alpha_r > math.sqrt(12))
        assert (found.g_marginal_end is None) == (alpha_r > 39.0145)
        assert set(found.errors) == {"g_zero", "g_fixed_points", "g_chaos", "g_marginal_end"}
        assert all(e is None or e < 1e-11 for e in found.errors.values())
        before = found


def test_the_marginal_window_closes_at_the_fold():
    last = brentq(lambda a: mean_field.stability(mean_field.fold(a), a) - 2, 30.0, 50.0, xtol=1e-10)
    assert last == pytest.approx(39.0144766, abs=1e-6)
    found = critical_gains(last - 1e-6)
    assert found.g_marginal_end == pytest.approx(found.g_fixed_points, abs=1e-9)
    assert critical_gains(last + 1e-6).g_marginal_end is None


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, -math.inf])
def test_refusals(bad):
    for call in (critical_gains, lambda a: fixed_points(2.0, a), lambda a: chaotic_states(2.0, a)):
        with pytest.raises(InputError, match=r"alpha_r: expected a finite number >= 0"):
            call(bad)
    for call in (fixed_points, chaotic_states):
        with pytest.raises(InputError, match=r"g: expected a finite number > 0"):
            call(bad, 1.0)


# --- chaos


@pytest.mark.parametrize(("g", "alpha_r", "n"), [(3.0, 0.0, 1), (1.9, 10.0, 2), (2.5, 5.0, 1)])
def test_correlations_solve_the_equation(g, alpha_r, n):
    """C - 4 C'' = F(C; C(0)), with F on a grid of pairs and C'' by differences of fourth order."""
    states = chaotic_states(g, alpha_r)
    assert len(states) == n
    assert sorted(s.variance for s in states) == [s.variance for s in states]
    step, lag = 0.03, np.array([0.0, 1.0, 4.0, 9.0])
    for state in states:
        near = [state.correlation(lag + k * step) for k in (-2, -1, 0, 1, 2)]
        second = np.dot([-1 / 12, 4 / 3, -5 / 2, 4 / 3, -1 / 12], near) / step**2
        field = [covariance(g, alpha_r, state.variance, c) for c in near[2]]
        np.testing.assert_allclose(near[2] - 4 * second, field, rtol=0, atol=1e-7 * state.variance)


def test_a_correlation_falls_from_the_variance_to_nothing_and_is_even():
    state = chaotic_states(2.5, 10.0)[-1]
    lag = np.linspace(0.0, 150.0, 400)
    c = state.correlation(lag)
    assert c[0] == pytest.approx(state.variance, rel=1e-14)
    assert (np.diff(c) < 0).all()
    assert (c > 0).all()
    np.testing.assert_array_equal(state.correlation(-lag), c)
    rate = np.log(state.correlation(np.array([60.0, 90.0])))
    assert (rate[0] - rate[1]) / 30.0 == pytest.approx(state.decay_rate, rel=1e-6)


@pytest.mark.parametrize(("alpha_r", "g"), [(0.0, 2.002), (3.0, 2.0002)])
def test_near_a_continuous_onset_the_motion_is_elementary(alpha_r, g):
    """Without modulation f has a cubic term, W = (1 - f'(0)) (c^2 - c^4) and c = sech(rate tau), rate =
    s^2 / sqrt(12); with it a quadratic one, W = (1 - f'(0)) (c^2 - c^3) and c = sech^2(rate tau / 2), rate =
    alpha_r s / sqrt(24)."""
    (state,) = chaotic_states(g, alpha_r)
    rate = alpha_r * state.s / math.sqrt(24) if alpha_r else state.s**2 / math.sqrt(12)
    assert state.decay_rate == pytest.approx(rate, rel=1e-2)
    x = np.linspace(0.0, 6.0, 13)
    shape = np.cosh(x / 2) ** -2 if alpha_r else 1 / np.cosh(x)
    c = state.correlation(x / state.decay_rate) / state.variance
    np.testing.assert_allclose(c, shape, atol=2e-2 if alpha_r else 2e-3)


def test_chaos_exists_from_its_onset_on():
    for alpha_r in (0.0, 3.0, 10.0):
        onset = critical_gains(alpha_r).g_chaos
        assert chaotic_states(onset - 1e-9, alpha_r) == ()
        assert len(chaotic_states(onset + 1e-9, alpha_r)) == (2 if alpha_r > dmft.TRICRITICAL else 1)
    # where nothing can be told from zero, nothing is told
    (state,) = chaotic_states(2.0 + 1e-9, 0.0)
    assert math.isnan(state.decay_rate)
    assert np.isnan(state.correlation(np.array([0.0, 1.0]))).all()


def test_networks_do_what_the_theory_says(quick):
    _, verdict, folder = quick("gating_theory")
    assert (folder / "gating_theory.png").stat().st_size > 10_000
    # one network of 256 units for 100 units of time
    assert max(abs(row["relative_difference"]) for row in verdict["correlations"]) < 0.5
    low, high = verdict["onset"]["scan"][0], verdict["onset"]["scan"][-1]
    assert low["g"] < verdict["onset"]["g_chaos"] < high["g"]
    assert max(low["activity"]) < 1e-4
    assert min(high["activity"]) > 0.3 * high["theory"][-1]


# --- the command line


def test_critical_prints_one_object(gru_sweep):
    status, out, err = gru_sweep("gating", "critical", "--set", "alpha_r=10", "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found == critical_gains(10.0).to_dict()
    assert [found[k] for k in ("alpha_r", "g_zero")] == [10.0, 2.0]
    assert found["onset"] == {"fixed_points": "discontinuous", "chaos": "discontinuous"}
    status, out, _ = gru_sweep("gating", "critical", "--set", "alpha_r=100", "--json")
    assert status == 0
    assert json.loads(out)["g_marginal_end"] is None


def test_critical_prints_a_table_and_has_a_default(gru_sweep):
    status, out, _ = gru_sweep("gating", "critical")
    assert status == 0
    assert command.COORDINATES == {"alpha_r": 0.0}
    assert "alpha_r = 0\n" in out
    assert "g_chaos          2.000000000000" in out
    status, out, _ = gru_sweep("gating", "critical", "--set", "alpha_r=100")
    assert "g_marginal_end   none" in out
    assert "onset of fixed points: discontinuous (discontinuous beyond alpha_r = 2.828427)" in out


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("alpha_t=1", "--set: expected one of alpha_r (did you mean 'alpha_r'?), got alpha_t"),
        ("alpha_r=nan", "alpha_r: expected a finite number >= 0, got nan"),
        ("alpha_r=-1", "alpha_r: expected a finite number >= 0, got -1.0"),
        ("alpha_r", "--set: expected NAME=VALUE with a number, got alpha_r"),
    ],
)
def test_critical_refuses_in_one_line(gru_sweep, setting, words):
    status, out, err = gru_sweep("gating", "critical", "--set", setting, "--json")
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
