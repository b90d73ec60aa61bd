"""Figures 7 to 10: their numbers against scipy and closed forms, written out again, and what they write."""

import importlib
from functools import partial

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq, root

from written import check_written

STEMS = ("fig07_homoclinic", "fig08_hopf_to_homoclinic", "fig09_homoclinic_like", "fig10_pseudo_line")
pytestmark = pytest.mark.usefixtures("quick")
HALF = 1.5 * np.array([[np.cos(np.pi / 20), np.sin(np.pi / 20)], [-np.sin(np.pi / 20), np.cos(np.pi / 20)]])


@pytest.mark.parametrize("stem", STEMS)
def test_writes_its_files_and_no_others(stem, quick):
    _, _, folder = quick(stem)
    check_written(stem, folder)


def rate(h, gamma):
    return (np.tanh(HALF @ h + (0.32, gamma)) - h) / 2


def slope(h, gamma):
    t = np.tanh(HALF @ h + (0.32, gamma))
    return ((1 - t**2)[:, None] * HALF - np.eye(2)) / 2


def branches(gamma):
    """Solutions along the unstable and the stable branch of the saddle, from 1e-7 beside it to h_1 = -0.6."""
    saddle = root(rate, (-0.317, -0.761), args=(gamma,), jac=slope, tol=1e-15).x
    values, vectors = np.linalg.eig(slope(saddle, gamma))
    ends = []
    for sign, k in ((1, values.argmax()), (-1, values.argmin())):
        v = vectors[:, k] * (-1 if vectors[0, k] > 0 else 1)

        def event(_, h):
            return h[0] + 0.6

        event.terminal = True
        run = solve_ivp(
            lambda _, h, sign=sign: sign * rate(h, gamma),
            (0, 400),
            saddle + 1e-7 * v,
            method="DOP853",
            rtol=1e-12,
            atol=1e-14,
            events=event,
        )
        ends.append(run)
    return ends


def test_fig07_the_gap_closes_where_scipy_says(quick):
    module, found, _ = quick("fig07_homoclinic")

    def side(gamma):
        """How far above the stable branch the unstable one is where, half way round, it comes to it."""
        out, back = (run.y_events[0][0] for run in branches(gamma))
        # one meets h_1 = -0.6 below the focus and the other above: the first goes on to where that was
        end = solve_ivp(
            lambda _, h: rate(h, gamma),
            (0, 60),
            out,
            method="DOP853",
            rtol=1e-12,
            atol=1e-14,
            events=lambda _, h: h[0] + 0.6,
        ).y_events[0]
        return end[np.argmin(np.abs(end[:, 1] - back[1]))][1] - back[1]

    gamma = brentq(side, 0.0538, 0.0542, xtol=1e-13)
    one = found["by_the_gap"]
    assert abs(one["gamma"] - gamma) < one["error"] + 1e-11
    assert abs(found["by_the_period"]["gamma"] - gamma) < found["by_the_period"]["error"]
    assert found["claimed_less_found"] == pytest.approx(0.054085 - gamma, abs=1e-11)
    assert module.gap(0.0541) < 0 < module.gap(0.0543)


def test_fig07_an_euler_integration_passes_the_saddle_as_said(quick):
    _, found, _ = quick("fig07_homoclinic")
    step = found["euler"]["step_that_gives_the_text"]

    def escapes(dt):
        gamma = 0.054085
        saddle = root(rate, (-0.317, -0.761), args=(gamma,), jac=slope, tol=1e-15).x
        values, vectors = np.linalg.eig(slope(saddle, gamma))
        v = vectors[:, values.argmax()]
        h = saddle + 1e-6 * v * (-1 if v[0] > 0 else 1)
        for _ in range(int(400 / dt)):
            h = h + dt * rate(h, gamma)
        return h[0] > 0

    assert escapes(1.05 * step)
    assert not escapes(0.95 * step)
    gammas = found["euler"]["gammas"]
    assert gammas == sorted(gammas, reverse=True)
    assert gammas[0] < found["by_the_gap"]["gamma"]


def test_fig08_the_hopf_point_and_the_four_panels(quick):
    _, found, _ = quick("fig08_hopf_to_homoclinic")

    def conditions(u):
        return np.append(rate(u[:2], u[2]), np.trace(slope(u[:2], u[2])))

    reference = root(conditions, (-0.6, -0.53, 0.053), tol=1e-14).x
    at = found["hopf"]
    assert at["proven"]
    assert abs(at["gamma"] - reference[2]) < at["error"] + 1e-12
    assert [p["focus"]["kind"] for p in found["panels"]] == ["stable focus"] + 3 * ["unstable focus"]
    assert [p["n_stable_cycles"] for p in found["panels"]] == [0, 1, 1, 0]
    for panel in found["panels"]:
        start, span = panel["start"], (0, 1200.0)
        field = partial(lambda _, h, gamma: rate(h, gamma), gamma=panel["gamma"])
        end = solve_ivp(field, span, start, rtol=1e-11, atol=1e-12).y[:, -1]
        assert panel["end"] == pytest.approx(end, abs=1e-5)


def test_fig09_regions_are_where_scipy_comes_back(quick):
    module, found, folder = quick("fig09_homoclinic_like")
    with xr.open_dataset(folder / "fig09_homoclinic_like.h5", engine="h5netcdf") as ds:
        for name, reset in module.RESETS.items():
            case = found["cases"][name]
            assert case["largest_entry_of_f_and_J_at_0"] == 0.0
            assert case["inside_and_back_both_ways"] == case["inside"] > 10
            assert case["outside_and_back_both_ways"] == 0

            def field(_, h, reset=reset):
                return (np.tanh(2 * h / (1 + np.exp(-(np.asarray(reset) @ h)))) - h) / 2

            for i, j in ((10, 10), (5, 5), (10, 5)):
                start = (ds.start_1.values[i], ds.start_2.values[j])
                options = {"method": "LSODA", "rtol": 1e-8, "atol": 1e-10}
                ends = [solve_ivp(field, (0, t), start, **options).y[:, -1] for t in (3000, -60)]
                back = all(np.linalg.norm(end) < module.NEAR for end in ends)
                assert bool(ds.back.sel(case=name).values[i, j]) == back
    one, two = (found["cases"][name]["regions"] for name in module.RESETS)
    assert len(one) == 1
    assert two[0]["area"] == pytest.approx(two[1]["area"], rel=1e-6)
    saddle = brentq(lambda x: np.tanh(2 * x / (1 + np.exp(-5 * x))) - x, 0.5, 1.0)
    assert one[0]["saddle"] == pytest.approx([saddle, 0.0], abs=1e-12)
    area = found["area_of_the_second_region"]["area"]
    assert area == sorted(area, reverse=True)


def test_fig09_the_bound_on_the_turning_is_one_and_can_fail(quick):
    module, _, _ = quick("fig09_homoclinic_like")
    bound = importlib.import_module("turning")
    h = np.random.default_rng(0).uniform(1e-6, 1, (2000, 2))
    for name, reset in module.RESETS.items():
        gate = 1 / (1 + np.exp(-(h @ np.asarray(reset).T)))
        turning = np.tanh(2 * gate[:, 1] * h[:, 1]) / h[:, 1] - np.tanh(2 * gate[:, 0] * h[:, 0]) / h[:, 0]
        assert (turning > bound.RATE * h.sum(axis=1)).all(), name
        assert bound.turning(reset, 1)["undecided"] == 0
    # units that do not act on each other turn neither way everywhere
    assert bound.turning(((5.0, 0.0), (0.0, 5.0)), 1)["undecided"] > 0


def test_fig10_one_fixed_point_and_the_time_to_settle(quick):
    module, found, _ = quick("fig10_pseudo_line")
    assert set(found["fixed_points"] + found["fixed_points_with_gates"]) == {1}
    assert all(found["certified"] + found["certified_with_gates"])
    u = 1 - found["one_minus_u"][0]
    time = quad(lambda s: 2 / (s - np.tanh(u * s)), 0.02, 0.2, epsabs=0, epsrel=1e-11)[0]
    assert found["time_to_a_tenth"][0] == pytest.approx(time, rel=1e-8)
    assert found["largest_relative_difference_from_the_integral"] < 1e-8
    assert found["time_to_a_tenth_with_gates"][-1] > 100 * found["time_to_a_tenth"][-1]
    # the gates cancel the cubic term: the speed left at u = 1 is of fifth order
    s = np.array([0.05, 0.1])
    low, high = np.asarray(module.speeds(module.cell(1.0, True), s))
    assert np.log2(high / low) == pytest.approx(5, abs=0.05)
