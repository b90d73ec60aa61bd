"""Mean-field fixed points with biases, of LSTMs too, and those that networks have."""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from gru_sweep.gating import averages, biased, branches, mean_field, memory
from gru_sweep.records import InputError
from gru_sweep.systems import ensembles

NETWORK = 0.08
"""Of <h^2> of one network of 400 units: its standard error is a few percent."""


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def trapezoidal(step):
    """Nodes and weights for a Gaussian."""
    x = np.arange(-8.0, 8.0 + step, step)
    w = np.exp(-x * x / 2)
    return x, w / w.sum()


def density(x):
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def average(f, k, b):
    """<f(k x + b)>, adaptively, cut where f turns."""
    cuts = [-10.0, 10.0, *(x for x in ((-b + d) / k for d in (-5, 0, 5)) if -10 < x < 10)]
    cuts.sort()
    pieces = (
        quad(lambda x: f(k * x + b) * density(x), p, q, epsabs=0, epsrel=1e-12)
        for p, q in itertools.pairwise(cuts)
    )
    return sum(value for value, _ in pieces)


def lstm(a, b):
    """F and K of the LSTM's mean field by a product of trapezoidal rules; that of y is fine near zero,
    where 1 / (1 - f) makes c steep."""

    def at(q):
        x, w = trapezoidal(0.3)
        f, i = (b[k] + a[k] * math.sqrt(q) * at for k, at in (("f", x[:, None]), ("i", x)))
        sd = a["g"] * math.sqrt(q)
        step = min(0.03, sd / 5 / (sd + abs(b["g"])))
        t = np.arange(-13.0, 13.0, step)
        t = t[np.abs(1e-4 * np.sinh(t) - b["g"]) < 9 * sd][:, None, None]
        y = 1e-4 * np.sinh(t)
        gauss = np.exp(-(((y - b["g"]) / sd) ** 2) / 2) / sd / math.sqrt(2 * math.pi)
        weight = gauss * 1e-4 * np.cosh(t) * step * w[:, None] * w
        o = sigmoid(b["o"] + a["o"] * math.sqrt(q) * x)
        ratio = sigmoid(i) * (1 + np.exp(f))
        c = ratio * np.tanh(y)
        flat = (1 - np.tanh(c) ** 2) ** 2
        inner = flat * (
            (a["f"] * sigmoid(f) * c) ** 2
            + (a["i"] * sigmoid(-i) * c) ** 2
            + (a["g"] * ratio / np.cosh(y) ** 2) ** 2
        )
        out, opened, moved = (weight * np.tanh(c) ** 2).sum(), w @ o**2, w @ (o * (1 - o)) ** 2
        return opened * out, opened * (weight * inner).sum() + a["o"] ** 2 * moved * out

    return at


# --- averages


@pytest.mark.parametrize("k", [1e-4, 0.3, 2.0, 40.0])
@pytest.mark.parametrize("b", [0.0, -0.7, 6.0])
def test_averages_with_a_bias(k, b):
    square, slope = averages.tanh_squares(np.array([k]), np.array([b]))
    assert square[0] == pytest.approx(average(lambda v: math.tanh(v) ** 2, k, b), rel=1e-10)
    assert slope[0] == pytest.approx(average(lambda v: math.cosh(v) ** -4, k, b), rel=1e-10)
    square, slope = averages.sigmoid_squares(np.array([k]), np.array([b]))
    assert square[0] == pytest.approx(average(lambda v: sigmoid(v) ** 2, k, b), rel=1e-10)
    assert slope[0] == pytest.approx(average(lambda v: (sigmoid(v) * sigmoid(-v)) ** 2, k, b), rel=1e-10)


def test_averages_stay_exact_for_closed_gates_and_steps():
    """exp(2 v) has the mean exp(2 b + 2 k^2); a step is open with the probability of b / k."""
    square, _ = averages.sigmoid_squares(np.array([1.5]), np.array([-30.0]))
    assert square[0] == pytest.approx(math.exp(-60 + 4.5), rel=1e-9)
    # sig^2 = sig - sig', and sig' is a narrow bump of area 1
    square, _ = averages.sigmoid_squares(np.array([1e3]), np.array([-1e3]))
    assert square[0] == pytest.approx(math.erfc(1 / math.sqrt(2)) / 2 - density(1) / 1e3, abs=1e-6)
    square, _ = averages.sigmoid_squares(np.array([1e12]), np.array([0.0]))
    assert square[0] == pytest.approx(0.5, abs=1e-12)


def test_the_stated_error_of_averages_holds(monkeypatch):
    rng = np.random.default_rng(0)
    k, b = 10 ** rng.uniform(-6, 6, 60), rng.uniform(-20, 20, 60)
    rules = averages.tanh_squares, averages.sigmoid_squares
    coarse = [rule(k, b) for rule in rules]
    monkeypatch.setattr(averages, "STEP", averages.STEP / 2)
    monkeypatch.setattr(averages, "GAUSSIAN_STEP", averages.GAUSSIAN_STEP / 2)
    monkeypatch.setattr(averages, "HALF_WIDTH", 12.0)
    for one, rule in zip(coarse, rules):
        np.testing.assert_allclose(one, rule(k, b), rtol=averages.BIASED_ERROR, atol=1e-290)


# --- branches


def test_all_solutions_are_found_close_pairs_too():
    """Solutions of a polynomial in log s; two are 1e-4 apart, much closer than the samples."""
    roots = np.array([[-4.0, -2.0, -2.0001], [-5.0, -3.3, -1.0]])
    sizes = np.array([1.0, 3.0])

    def gap(point, u):
        return -sizes[point] * np.prod(u[:, None] - roots[point], axis=1)

    ends = gap(np.arange(2), np.full(2, -8.0))
    point, u = branches.solutions(gap, 2, -4.5, 0.0, ends, np.full(2, -8.0))
    np.testing.assert_array_equal(point, [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(u, np.sort(roots, axis=1).ravel(), atol=1e-9)


# --- fixed points of GRU and gated RNN


def test_without_biases_they_are_those_of_mean_field():
    rng = np.random.default_rng(1)
    g, alpha_r = rng.uniform(1.2, 4.0, 40), rng.uniform(0.0, 30.0, 40)
    g[:3], alpha_r[:3] = (1.99999, 2.00001, 1.7), (10.0, 0.0, 1e4)
    found = biased.fixed_points("gated-rnn", {"g": g, "alpha_r": alpha_r})
    gru = biased.fixed_points("gru", {"a_h": g, "a_r": alpha_r, "a_z": 7.0})
    for k in range(g.size):
        known = mean_field.fixed_points(g[k], alpha_r[k])
        assert found.count[k] == gru.count[k] == len(known)
        n = len(known)
        np.testing.assert_allclose(found.variance[k, :n], [f.variance for f in known], rtol=1e-9)
        np.testing.assert_allclose(gru.variance[k, :n], [f.Q for f in known], rtol=1e-9)
        for record in (found, gru):
            np.testing.assert_allclose(record.K[k, :n], [f.K for f in known], rtol=1e-9)
            assert np.isnan(record.K[k, n:]).all()
            assert np.isnan(record.variance[k, n:]).all()
    np.testing.assert_allclose(found.K_zero, g**2 / 4, rtol=1e-14)


@pytest.mark.parametrize(
    ("g", "alpha_r", "b_h", "beta_r", "count"),
    [(2.5, 4.0, 0.3, 0.5, 1), (5.0, 12.0, 0.02, 3.0, 3), (5.0, 6.0, 0.0, 2.0, 2)],
)
def test_with_biases_they_solve_the_equations_as_they_are_written(g, alpha_r, b_h, beta_r, count):
    def gate(Q, f):
        return average(f, alpha_r * math.sqrt(Q), -beta_r)

    def residual(u):
        Q = average(lambda v: math.tanh(v) ** 2, g * math.exp(u), b_h)
        return math.log(Q * gate(Q, lambda v: sigmoid(v) ** 2)) - 2 * u

    grid = np.arange(-9.0, 0.01, 0.1)
    values = [residual(u) for u in grid]
    roots = [
        brentq(residual, a, b, xtol=1e-13)
        for a, b, p, q in zip(grid, grid[1:], values, values[1:])
        if p * q < 0
    ]
    record = biased.fixed_points("gated-rnn", {"g": g, "alpha_r": alpha_r, "b_h": b_h, "beta_r": beta_r})
    some = slice(int(b_h == 0), int(record.count[0]))
    np.testing.assert_allclose(record.variance[0, some], np.exp(2 * np.array(roots)), rtol=1e-9)
    assert len(roots) == count
    for root, K in zip(roots, record.K[0, some]):
        k = g * math.exp(root)
        Q, slope = average(lambda v: math.tanh(v) ** 2, k, b_h), average(lambda v: math.cosh(v) ** -4, k, b_h)
        moved = gate(Q, lambda v: (sigmoid(v) * sigmoid(-v)) ** 2)
        expected = g**2 * slope * (gate(Q, lambda v: sigmoid(v) ** 2) + alpha_r**2 * Q * moved)
        assert pytest.approx(expected, rel=1e-9) == K
    assert np.isnan(record.K_zero[0]) == (b_h != 0.0)


def test_a_small_bias_moves_all_branches_a_little_and_its_sign_does_nothing():
    points = {"g": np.full(3, 1.9), "alpha_r": np.full(3, 10.0)}
    found = biased.fixed_points("gated-rnn", {**points, "b_h": np.array([0.0, 1e-6, -1e-6])})
    assert (found.count == 3).all()
    np.testing.assert_allclose(found.variance[1], found.variance[2], rtol=1e-12)
    np.testing.assert_allclose(found.variance[1, 1:3], found.variance[0, 1:3], rtol=1e-6)
    # C (1 - K) is the variance that the bias alone brings, through half-open gates
    assert found.variance[1, 0] == pytest.approx(1e-12 / 4 / (1 - 1.9**2 / 4), rel=1e-3)


def test_stable_fixed_points_are_where_networks_go():
    at = {"g": 2.0, "alpha_r": 5.0, "b_h": 0.8, "beta_r": 1.0}
    record = biased.fixed_points("gated-rnn", at)
    assert record.count[0] == 1
    assert record.K[0, 0] < 1
    drawn = ensembles.named("gated-rnn").draw(400, 0)
    h = np.zeros(400)
    for _ in range(200):
        phi = np.tanh(at["g"] * h + at["b_h"])
        gate = sigmoid(at["alpha_r"] * (drawn["r"] @ phi) - at["beta_r"])
        h = 0.5 * (h + drawn["h"] @ (phi * gate))
    assert (h**2).mean() == pytest.approx(record.variance[0, 0], rel=NETWORK)


def test_what_networks_have_is_counted(quick):
    module, verdict, folder = quick("gating_fixed_points")
    assert (folder / "gating_fixed_points.png").stat().st_size > 10_000
    assert (folder / "gating_fixed_points.md").read_text().count("\n") == 2 + len(verdict["rows"])
    sizes = len(verdict["effort"]["sizes"])
    for row in verdict["rows"]:
        # zero, at least
        assert len(row["found"]) == sizes
        assert min(row["found"]) >= 1
        assert all(a <= b for a, b in zip(row["found"], row["estimated"]))
    more = {(row["a_h"], row["a_r"]): row["found"][-1] for row in verdict["rows"]}
    assert more[3.0, 0.0] < more[3.0, 40.0]
    points, times = module.distinct(np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0 + 1e-9]]))
    assert points.shape == (2, 2)
    np.testing.assert_array_equal(times, [2, 1])
    sizes = np.array([10.0, 20.0])
    known = np.exp(0.2 * sizes)[:, None] * np.ones(3)
    assert module.rate(sizes, known, known) == pytest.approx(0.2)
    assert module.rate(sizes, known, 3 * known) is None


# --- LSTM

GAINS = {"g": 2.5, "f": 1.5, "i": 1.0, "o": 2.0}
BIASES = {"g": 0.4, "f": 0.8, "i": -0.6, "o": 0.3}


@pytest.mark.parametrize("bias", [0.0, 1.0])
@pytest.mark.parametrize("q", [1e-5, 0.02, 0.5])
def test_the_memory_map_and_its_slope(q, bias):
    b = {k: bias * v for k, v in BIASES.items()}
    F, K = lstm(GAINS, b)(q)
    one = [{k: np.array([v]) for k, v in x.items()} for x in (GAINS, b)]
    assert memory.variance_map(*one, np.array([q]))[0] == pytest.approx(F, rel=memory.MEMORY_ERROR)
    assert memory.stability(*one, np.array([q]))[0] == pytest.approx(K, rel=memory.SLOPE_ERROR)


def test_the_memory_map_of_steep_gates():
    """Half of all gates are open. c is large where f and i are, tanh(y) = +-1 where i alone is; where f alone
    is, it is large or small as one field or the other is larger in size."""
    steep = {k: np.array([90.0]) for k in "gfio"}
    none = {k: np.array([0.0]) for k in "gfio"}
    F = memory.variance_map(steep, none, np.array([1.0]))[0]
    assert pytest.approx((1 / 4 + math.tanh(1) ** 2 / 4 + 1 / 8) / 2, abs=0.01) == F


def test_a_wide_forget_gate_is_unstable_through_the_few_units_that_hardly_leak():
    """For large m = i / (1 - f), <m^2 sech(m tanh y)^4> = m p(y = 0) int sech^4 = 4/3 m p(0), and <m> =
    <i> (1 + exp(b_f + a_f^2 q / 2)) is large although m seldom is."""
    a, b, q = {"g": 1.0, "f": 8.0, "i": 3.0, "o": 2.0}, {"g": 0.1, "f": 1.0, "i": -1.0, "o": 0.3}, 0.3
    one = [{k: np.array([v]) for k, v in x.items()} for x in (a, b)]
    sd = {k: v * math.sqrt(q) for k, v in a.items()}
    m = average(sigmoid, sd["i"], b["i"]) * (1 + math.exp(b["f"] + sd["f"] ** 2 / 2))
    at_zero = density(b["g"] / sd["g"]) / sd["g"]
    expected = average(lambda v: sigmoid(v) ** 2, sd["o"], b["o"]) * a["g"] ** 2 * 4 / 3 * m * at_zero
    assert expected > 1000
    # what is left out is of order 1
    assert memory.stability(*one, np.array([q]))[0] == pytest.approx(expected, rel=3e-3)


def test_lstm_fixed_points_with_and_without_a_bias():
    a_g = np.array([1.5, 2.5, 2.5, 6.0])
    b_g = np.array([0.0, 0.0, 0.4, 0.0])
    record = biased.fixed_points("lstm", {"a_g": a_g, "b_g": b_g, "a_f": 1.5, "a_i": 1.0, "b_f": 0.8})
    np.testing.assert_array_equal(record.count, [2, 2, 1, 2])
    half_open = (1 + math.exp(0.8)) / 4
    expected = np.where(b_g == 0, (a_g * half_open) ** 2, np.nan)
    np.testing.assert_allclose(record.K_zero, expected, rtol=1e-14)
    for k in range(4):
        a = {"g": a_g[k], "f": 1.5, "i": 1.0, "o": 0.0}
        last = record.count[k] - 1
        F, K = lstm(a, {"g": b_g[k], "f": 0.8, "i": 0.0, "o": 0.0})(record.variance[k, last])
        assert record.variance[k, last] == pytest.approx(F, rel=1e-6)
        assert record.K[k, last] == pytest.approx(K, rel=1e-6)
    assert biased.fixed_points("lstm", {"a_g": 1.0}).count[0] == 1
    assert biased.fixed_points("lstm", {"a_g": 0.0, "a_f": 30.0}).count[0] == 1


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("gru", {"a_x": 1.0}, "a_x: expected one of a_h"),
        ("gru", {"a_r": -1.0}, "a_r: expected numbers from 0 to 1e+08, got -1"),
        ("gated-rnn", {"g": math.nan}, "g: expected numbers from 0"),
        ("lstm", {"a_f": 101.0}, "a_f: expected numbers from 0 to 100"),
        ("gru", {"a_h": np.ones(2), "a_r": np.ones(3)}, "coordinates: expected arrays of one length"),
        ("elman", {}, "expected one of gru"),
    ],
)
def test_refusals(name, given, words):
    with pytest.raises(InputError) as caught:
        biased.fixed_points(name, given)
    assert words in str(caught.value)
