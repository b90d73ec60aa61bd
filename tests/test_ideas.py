"""Shapes of nullclines, switching, slow points, robustness: against closed forms and scipy."""

import importlib

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq, root

from written import check_written

STEMS = ("nullclines", "switching", "slow_points", "robustness")
pytestmark = pytest.mark.usefixtures("quick")


@pytest.mark.parametrize("stem", STEMS)
def test_writes_its_files_and_no_others(stem, quick):
    _, _, folder = quick(stem)
    check_written(stem, folder)


def test_shapes_of_constructed_nullclines(quick):
    """Units whose shape is known: h_1 = tanh(a h_1 / 2 + c h_2 / 2 + b)."""
    module, _, _ = quick("nullclines")
    shapes = importlib.import_module("shapes")

    def found(own, other, bias=0.0):
        return shapes.shape(module.made({"U_h": [[own, other], [0.0, 0.0]], "b_h": [bias, 0.0]}), 0)

    # the turns of h_2 = (2 artanh x - 5 x - 2 b) / c lie at x^2 = 3/5, h_2 = -+1.8096 / c
    x = np.sqrt(3 / 5)
    height = 5 * x - 2 * np.arctanh(x)
    assert found(1.9, 0.5).name == "sigmoid"
    assert found(5.0, 1.01 * height).name == "s-shape"
    assert found(5.0, 0.99 * height).name == "three lines"
    cut = found(5.0, -1.2 * height, 0.2 * height)
    assert (cut.lines, cut.arcs) == ((0,), (1,))
    assert cut.name == "sigmoid + U"  # and no pitchfork: without reset gate nothing crosses


def test_what_is_finer_than_the_grids_is_not_called_a_shape(quick):
    module, _, _ = quick("nullclines")
    shapes = importlib.import_module("shapes")
    # two lines 0.002 apart, which both grids miss
    cell = module.made({"U_h": 3 * np.eye(2), "U_r": -5 * np.eye(2), "b_r": [0.01 - np.log(2)] * 2})
    assert shapes.drawn(cell, 0).name == "sigmoid"
    assert shapes.certified(cell, 0).name == "three lines"
    assert shapes.shape(cell, 0) is None


def test_a_shape_that_cannot_be_is_refused():
    shapes = importlib.import_module("shapes")
    assert shapes.Shape((0, 0, 0), (), (), ()).consistent()
    assert not shapes.Shape((0, 0), (), (), ()).consistent()
    assert not shapes.Shape((1,), (), (), ()).consistent()
    assert not shapes.Shape((0,), (2,), (), ()).consistent()
    assert not shapes.Shape((0,), (), (), (0,)).consistent()


def test_nullclines_counts_and_the_pitchfork(quick):
    module, found, _ = quick("nullclines")
    assert found["closed_form"]["units"] == found["closed_form"]["agree"] > 10
    total = sum(found["named"].values()) + sum(found["beyond_the_list"].values()) + found["unresolved"]
    assert total == found["units"] == 2 * module.QUICK * len(module.ENSEMBLES)
    for one in found["pitchfork_of_9"]:
        assert one["crosses_itself"]
        # the saddle is at the origin, where the gates are 1/2 and U_h / 2 = 1
        assert one["at"][0]["h"] == pytest.approx([0, 0], abs=1e-12)
        assert sorted(one["shapes_beside"]) == ["s-shape + U", "sigmoid + U"]
    for row in found["pitchfork_of_9"][0]["all_critical"]:
        # grad beta = 0 by finite differences of the formula
        def beta(h):
            r = 1 / (1 + np.exp(-(np.array([[5.0, -10.0], [10.0, -5.0]]) @ h)))
            return np.arctanh(h[0]) - 2 * r[0] * h[0]

        h, step = np.array(row["h"]), 1e-6 * np.eye(2)
        slope = [(beta(h + s) - beta(h - s)) / 2e-6 for s in step]
        assert slope == pytest.approx([0, 0], abs=1e-6)
        assert beta(h) == pytest.approx(row["b_h"], abs=1e-12)


def test_nullclines_of_an_o_are_closed(quick):
    """The nullcline has two points more at the height of the O than beyond it."""
    module, _, _ = quick("nullclines")
    shapes = importlib.import_module("shapes")
    parts = {
        "U_h": [[-4.97, -1.65], [1.76, 1.63]],
        "U_r": [[8.87, 1.85], [-6.95, -5.13]],
        "b_h": [0.07, -0.85],
        "b_r": [-0.98, 0.41],
    }
    cell = module.made(parts)
    shape = shapes.shape(cell, 0)
    assert shape.name == "sigmoid + O"
    lines, _ = shapes.curves(cell, 0, shapes.NODES[1])
    (ring,) = (line for line in lines if (line[0] == line[-1]).all())
    low, high = ring[:, 1].min(), ring[:, 1].max()
    x = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 20001))[1:-1]

    def points(height):
        h = np.stack([x, np.full_like(x, height)])
        r = 1 / (1 + np.exp(-(np.asarray(cell.U_r) @ h + np.asarray(cell.b_r)[:, None])))
        rate = np.tanh((np.asarray(cell.U_h) @ (r * h))[0] + float(cell.b_h[0])) - x
        return np.count_nonzero(np.diff(np.sign(rate)))

    margin = 0.01 * (high - low)
    assert [points(y) for y in (low - margin, (low + high) / 2, high + margin)] == [1, 3, 1]


def test_switching_weakest_pulse_against_scipy(quick):
    _, found, _ = quick("switching")
    for gate, one in zip((lambda h: 2.5, lambda h: 3 / (1 + 2 * np.exp(5 * h))), found["machines"].values()):
        low = one["states"][0][0]
        assert np.tanh(gate(low) * low) == pytest.approx(low, abs=1e-13)

        def late(x, duration, gate=gate, low=low):
            rate = lambda h: 2 / (np.tanh(gate(h) * h + x) - h)  # noqa: E731
            return quad(rate, low, 0, epsabs=0, epsrel=1e-12)[0] - duration

        rows = one["weakest_on_one_unit"]
        known = [(t, x) for t, x in zip(rows["duration"], rows["strength"]) if x is not None]
        for duration, strength in known[:10:3]:
            exact = brentq(late, 0.997 * strength, 1.003 * strength, args=(duration,))
            assert strength == pytest.approx(exact, rel=1e-9)
        assert one["undecided"] == 0
        assert one["every_state_from_every_other"]
        limit = one["input_at_which_the_state_vanishes"]
        assert rows["strength"][-1] > limit
        assert rows["strength"][-1] == pytest.approx(limit, rel=0.02)


def test_switching_moves_follow_the_signs_of_the_pulse(quick):
    module, found, _ = quick("switching")
    for one in found["machines"].values():
        for begin, end, arrow in one["moves"]:
            way = module.TOWARDS[module.ARROWS.index(arrow)]
            up = [begin // 2, begin % 2]
            first, second = (u if not w else int(w > 0) for u, w in zip(up, way))
            assert end == 2 * first + second


def test_switching_rates_of_escape(quick):
    _, found, _ = quick("switching")
    noise = importlib.import_module("noise")
    four, merged = (one["noise"] for one in found["machines"].values())
    for one in (four, merged):
        assert one["largest_deviation_in_standard_errors"] < 4.5
    # V = h^2/4 - ln cosh(5 h / 2) / 5
    low = found["machines"]["Fig 2: four sinks"]["states"][0][0]
    height = np.log(np.cosh(2.5 * low)) / 5 - low**2 / 4
    assert four["height_of_the_saddle"] == pytest.approx(height, abs=1e-8)
    assert abs(four["height_from_the_rates"] - height) < 4 * four["its_standard_error"]
    assert abs(merged["exponent_of_D"] - 1 / 3) < 4 * merged["its_standard_error"]
    assert all(0 < share < 1 for share in merged["share_direct"])
    # the exact mean time of pure diffusion from 0 to 1, reflected far away at -WALL
    assert noise.mean_time(np.zeros_like, 0.0, 1.0, 0.5) == pytest.approx(1 + 2 * noise.WALL, rel=1e-6)


def test_slow_points_period_by_scipy(quick):
    module, found, _ = quick("slow_points")
    times = found["common_gate"]
    at = times["k"].index(4.0)
    c, s = 3 * np.cos(0.65), 3 * np.sin(0.65)
    u = np.array([[c, -s], [s, c]])

    def field(_, h):
        opening = 1 / (1 + np.exp(4 * (h.sum() - module.OUTSIDE)))
        return opening * (np.tanh(u @ h / 2) - h)

    def upward(_, h):
        return h[0]

    upward.direction = 1
    run = solve_ivp(field, (0, 400), (0.5, -0.5), method="DOP853", rtol=1e-10, atol=1e-12, events=upward)
    assert times["period"][at] == pytest.approx(np.diff(run.t_events[0])[-1], rel=1e-8)
    assert times["largest_relative_difference"] < 1e-8
    # a gate that opens elsewhere shortens the period first
    assert times["period_by_the_integral"][1:] == sorted(times["period_by_the_integral"][1:])
    assert {label for label in times["topology"] if label} == {"cycle+(source)"}


def test_slow_points_where_the_discrete_unit_stops(quick):
    module, found, _ = quick("slow_points")
    single, double = (found["pseudo_attractors"][p] for p in ("float32", "float64"))
    assert single["stop_away_from_fixed_points"] > double["stop_away_from_fixed_points"] > 0
    for one in (single, double):
        # the step (1 - z)(t - h) is lost below half the spacing, |t - h| <= 2
        assert one["largest_1_minus_z_there"] > one["spacing_of_numbers_below_1"] / 8
    slow = found["gate_of_unit_1"]
    assert slow["starts"] > 10
    assert slow["largest_change_of_h_1"] < 2 * module.WAIT * module.STILL
    assert slow["largest_change_of_h_2"] > 0.5
    assert slow["largest_rate_of_h_2_after"] < 1e-3 * slow["largest_rate_of_h_2_before"]


def test_slow_points_leave_fixed_points_and_turn_one(quick):
    _, found, _ = quick("slow_points")
    same = found["fixed_points_under_drawn_gates"]
    assert same["certified"]
    assert same["fixed_points"] == 11
    assert (
        same["same_number_certified"] == same["within_their_errors"] == same["same_saddles"] == same["gates"]
    )
    (event,) = found["unequal_biases"]["events"]
    assert event["kind"] == "hopf"
    assert abs(event["value"] - np.log(3)) <= event["error"] + 1e-15
    assert (event["from"], event["to"]) == ("sink", "cycle+(source)")


def test_robustness_of_the_cycle(quick):
    module, found, _ = quick("robustness")
    (cell,) = found["cells"].values()
    check = cell["checks"]
    assert check["inside_alike"] == check["inside"] - check["inside_not_known"] > 0
    assert check["beyond_different"] == check["beyond"] > 0
    assert cell["distance_at_most"] == min(
        one["distance"] for one in [*cell["entries"].values(), *cell["random_directions"]] if one["distance"]
    )
    ends = cell["entries"]["b_h[0]"]
    assert ends["from"] == pytest.approx(-ends["to"], abs=1e-9)  # the cell is odd
    u = module.ROOT / 2 * np.array([[1, -1], [1, 1]])

    def conditions(x):
        t = np.tanh(u @ x[:2] + (x[2], 0))
        return np.append(t - x[:2], np.trace((1 - t**2)[:, None] * u - np.eye(2)))

    assert ends["kinds"] == ["hopf", "hopf"]
    hopf = root(conditions, (0.0, 0.3, ends["to"]), tol=1e-14).x
    assert ends["to"] == pytest.approx(hopf[2], abs=1e-9)
    # equal units without gates: unequal b_z leave the trace positive
    assert cell["entries"]["b_z[0]"]["distance"] is None
    assert cell["can_be_pruned"] == []
    assert cell["weights"] == 4
