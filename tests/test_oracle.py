"""The oracle against closed forms, against other methods, and against its own frozen answers."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from tests.oracle import PlanarGRU, fixed_points, hopf, hopf_angle, portrait, snic_angle
from tests.reference import REFERENCE, answer, reference_points

FROZEN = json.loads(REFERENCE.read_text())


def sample(seed: int = 7) -> list[dict]:
    """One frozen point of each region."""
    draw = random.Random(seed)
    regions = dict.fromkeys(p["where"] for p in FROZEN)
    return [draw.choice([p for p in FROZEN if p["where"] == region]) for region in regions]


def drawn(seed: int) -> PlanarGRU:
    """A GRU with all its parts."""
    rng = np.random.default_rng(seed)
    return PlanarGRU(*(3 * rng.normal(size=(2, 2)) for _ in range(3)), *rng.normal(size=(3, 2)))


@pytest.mark.parametrize("seed", range(5))
def test_field_is_the_papers_and_its_jacobian_the_derivative(seed):
    gru, h = drawn(seed), np.random.default_rng(seed + 100).uniform(-1, 1, 2)

    def sigma(v):
        return 1 / (1 + np.exp(-v))

    def field(h):
        z, r = sigma(gru.U_z @ h + gru.b_z), sigma(gru.U_r @ h + gru.b_r)
        return (1 - z) * (np.tanh(gru.U_h @ (r * h) + gru.b_h) - h)

    steps = 1e-6 * np.eye(2)
    derivative = np.column_stack([(field(h + e) - field(h - e)) / 2e-6 for e in steps])
    for library in (np, math):
        value, jacobian, _ = gru.evaluator(library)(*h)
        np.testing.assert_allclose(value, field(h), rtol=1e-13)
        np.testing.assert_allclose(np.reshape(jacobian, (2, 2)), derivative, atol=1e-8)


def test_two_bistable_units_have_nine_fixed_points_in_closed_form():
    outer = brentq(lambda x: math.tanh(2 * x) - x, 0.5, 1)
    points = fixed_points(PlanarGRU(U_h=4 * np.eye(2)))
    expected = sorted((x, y) for x in (-outer, 0, outer) for y in (-outer, 0, outer))
    np.testing.assert_allclose([p.h for p in points], expected, atol=1e-13)
    slope = {0: 0.5, outer: (2 * (1 - outer**2) - 1) / 2}
    for p, (x, y) in zip(points, expected, strict=True):
        np.testing.assert_allclose(p.eigenvalues, sorted([slope[abs(x)], slope[abs(y)]]), atol=1e-12)
    assert [p.kind for p in points].count("stable node") == 4


def test_eleven_fixed_points_where_the_reset_gate_bends_the_nullclines():
    gru = PlanarGRU(
        U_h=np.array([[24.0, -9.0], [-9.0, 24.0]]),
        U_r=np.array([[-6.0, 22.0], [22.0, -6.0]]),
        b_r=np.array([1.4, 1.4]),
    )
    assert len(fixed_points(gru)) == 11


@pytest.mark.parametrize(("beta", "s"), [(3.0, 0.0), (1.5, 2.5)])
def test_angles_of_the_bifurcations(beta, s):
    (origin,) = fixed_points(hopf(hopf_angle(beta, s), beta, s))
    assert origin.h == (0, 0)
    assert abs(origin.eigenvalues[0].real) < 1e-15 < origin.eigenvalues[1].imag
    fold = snic_angle(beta, s)
    assert [len(fixed_points(hopf(fold + d, beta, s))) for d in (-1e-7, 1e-7)] == [9, 1]


def test_close_to_the_hopf_curve_the_cycle_is_the_normal_forms():
    beta, s, distance = 2.4, 0.3, 1e-4
    angle = hopf_angle(beta, s)
    (cycle,) = portrait(hopf(angle - distance, beta, s)).cycles
    # At the bifurcation the eigenvalues are +- i tan(alpha) / 2; the real part grows by tan(alpha) / 2 per
    # radian, and the multiplier is exp(-2 real T) to first order.
    period = 4 * math.pi / math.tan(angle)
    assert cycle.period == pytest.approx(period, rel=3e-4)
    assert math.log(cycle.multiplier) == pytest.approx(-math.tan(angle) * distance * period, rel=1e-2)
    assert portrait(hopf(angle + distance, beta, s)).cycles == ()


def test_period_and_amplitude_against_an_implicit_method():
    gru = hopf(0.7, 2.9, 0.1)
    (cycle,) = portrait(gru).cycles
    at = gru.evaluator(np)

    def upwards(_, h):
        return h[1]

    upwards.direction = 1
    field, start = (lambda _, h: at(*h)[0]), [0.5, 0.0]
    settled = solve_ivp(field, (0, 600), start, "Radau", rtol=1e-6).y[:, -1]
    run = solve_ivp(field, (0, 400), settled, "Radau", events=upwards, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(np.diff(run.t_events[0])[-3:], cycle.period, rtol=1e-8)
    late = run.y[:, run.t > 200]
    np.testing.assert_allclose(np.ptp(late, axis=1), cycle.amplitude, rtol=1e-3)


def test_an_unstable_cycle_around_a_sink_is_found_backward_in_time():
    gru = PlanarGRU(
        U_h=hopf(hopf_angle(2.56, 0.0) + 0.01, 2.56).U_h, U_r=np.array([[-3.1, 2.7], [7.1, -1.2]])
    )
    found = portrait(gru)
    (cycle,) = found.cycles
    assert not cycle.stable
    assert found.stable_cycles == ()
    assert any(p.kind == "stable focus" and p.h == (0, 0) for p in found.fixed_points)
    # The cycle separates orbits: from well inside they come to rest, from outside they cross its bounds.
    at = gru.evaluator(np)
    for factor, inside in ((0.8, True), (1.25, False)):
        start = [factor * cycle.high[0], 0.0]
        path = solve_ivp(lambda _, h: at(*h)[0], (0, 4000), start, "LSODA", rtol=1e-9).y
        assert (np.abs(path[:, -1]).max() < 1e-3) == inside


def test_frozen_points_are_enough_and_are_those_of_the_generator():
    assert len(FROZEN) >= 70
    assert max(c["error"] for p in FROZEN for c in p["cycles"]) < 1e-10
    assert max(c["period"] for p in FROZEN for c in p["cycles"]) > 2000
    for frozen, point in zip(FROZEN, reference_points(), strict=True):
        assert (frozen["family"], frozen["where"]) == (point["family"], point["where"])
        assert frozen["coordinates"] == pytest.approx(point["coordinates"], rel=1e-10)


@pytest.mark.parametrize("frozen", sample(), ids=lambda p: p["where"].replace(" ", "-"))
def test_frozen_answers_come_out_again(frozen):
    again = answer({k: frozen[k] for k in ("family", "where", "coordinates")})
    assert [p["kind"] for p in again["fixed_points"]] == [p["kind"] for p in frozen["fixed_points"]]
    positions = [np.array([p["h"] for p in x["fixed_points"]]) for x in (again, frozen)]
    np.testing.assert_allclose(*positions, atol=1e-10)
    assert len(again["cycles"]) == len(frozen["cycles"])
    for new, old in zip(again["cycles"], frozen["cycles"], strict=True):
        assert new["frequency"] == pytest.approx(old["frequency"], rel=1e-10)
        assert new["stable"] == old["stable"]
        assert new["floquet_multiplier"] == pytest.approx(old["floquet_multiplier"], rel=1e-6, abs=1e-12)
        assert new["amplitude"] == pytest.approx(old["amplitude"], abs=1e-9)
