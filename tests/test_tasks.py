"""Data sets: against closed solutions and scipy, the statistics of their noise, and what decides them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gru_sweep.records import InputError
from gru_sweep.training.tasks import TASKS, Task, draw, named, truth

SIGMAS = 5.0
"""Standard errors by which an estimate may be off: one in two million, and seeds are fixed."""


def drift(t, y, args):
    """x' = I, y' = 0: the increments of x are the current, times the step."""
    return jnp.stack([args + 0 * y[0], 0 * y[1]])


DRIFT = Task("drift", drift, (0.0, 0.0), (1.0, 1.0), 0.5, noise=0.04, acts="current", args=0.7)


def scipy_fhn(start, times, currents):
    """One solve for each interval, within which the current is constant."""
    states = [np.asarray(start)]
    for t0, t1, current in zip(times[:-1], times[1:], currents):

        def field(t, u, current=current):
            x, y = u
            return [x - x**3 / 3 - y + current, (x + 0.7 - 0.8 * y) / 12.5]

        found = solve_ivp(field, (t0, t1), states[-1], method="DOP853", rtol=1e-12, atol=1e-12)
        states.append(found.y[:, -1])
    return np.array(states)


@pytest.fixture(scope="module")
def line():
    return draw("line", 3, series=700, held_out=2000)


@pytest.fixture(scope="module")
def currents():
    """Of the series of seed 7, whatever the task: (1500, 29)."""
    return np.diff(draw(DRIFT, 7, series=1500, held_out=1).train[..., 0], axis=1) / DRIFT.step


def test_fhn_is_scipys_under_the_same_current(currents):
    data = draw("fhn", 7, series=4, held_out=2)
    assert data.times[1] == 1.5
    assert data.train.dtype == np.float64
    for series, current in zip(data.train, currents):
        np.testing.assert_allclose(series, scipy_fhn(series[0], data.times, current), atol=1e-8)
    np.testing.assert_array_equal(data.test, data.test_truth)


def test_a_current_of_no_variance_is_the_mean():
    data = draw("fhn", 7, series=2, held_out=1, noise=0)
    for series in data.train:
        np.testing.assert_allclose(series, scipy_fhn(series[0], data.times, np.full(29, 0.7)), atol=1e-8)
    np.testing.assert_allclose(truth(TASKS["fhn"], data.train[:, 0], data.times), data.train, atol=1e-12)


@pytest.mark.parametrize("name", ["line", "ring"])
def test_attractors_are_their_closed_solutions(name):
    data = draw(name, 11, series=200, held_out=1, noise=0)
    start, t = data.train[:, :1], data.times[:, None]
    if name == "line":
        answer = start * np.concatenate([np.exp(-t), np.ones_like(t)], axis=1)
    else:
        square = (start**2).sum(-1, keepdims=True)
        answer = start / np.sqrt(square + (1 - square) * np.exp(-2 * t))
        assert 0.25 < (square < 1).mean() < 0.45
    np.testing.assert_allclose(data.train, answer, atol=1e-9)
    np.testing.assert_allclose(truth(TASKS[name], start[:, 0], data.times), answer, atol=1e-9)


def test_observation_noise_is_white_and_normal_of_variance_a_tenth(line):
    noise = line.test - line.test_truth
    unit = noise / np.sqrt(0.1)
    mean = lambda z, spread: abs(z.mean()) * np.sqrt(z.size) / spread  # noqa: E731
    assert mean(unit, 1) < SIGMAS
    assert mean(unit**2 - 1, np.sqrt(2)) < SIGMAS
    assert mean(unit**4 - 3, np.sqrt(96)) < SIGMAS
    decay = np.stack([np.exp(-line.times), np.ones(30)], axis=-1)
    taught = (line.train[:, 1:] - line.train[:, :1] * decay[1:]) / np.sqrt(0.1)
    for one, other in (
        (unit[..., 0], unit[..., 1]),
        (unit[:, 1:], unit[:, :-1]),
        (unit[1:], unit[:-1]),
    ):
        assert mean(one * other, 1) < SIGMAS
    # w(k) - w(0) exp(-t), of what is taught: two deviates each
    wanted = 1 + decay[1:] ** 2
    assert (abs((taught**2).mean(0) / wanted - 1) < SIGMAS * np.sqrt(2 / len(taught))).all()
    assert abs((taught * unit[:700, 1:]).mean((0, 1))).max() < SIGMAS * np.sqrt(2 / 700)
    # every sample of every coordinate has it, the first too
    assert (abs(unit.var(0) - 1) < SIGMAS * np.sqrt(2 / len(unit))).all()


def test_initial_conditions_fill_the_box(line):
    starts = line.test_truth[:, 0]
    assert (starts >= -2).all()
    assert (starts < 2).all()
    n = len(starts)
    assert (abs(starts.mean(0)) < SIGMAS * np.sqrt(16 / 12 / n)).all()
    assert (abs((starts**2).mean(0) - 16 / 12) < SIGMAS * np.sqrt(16 / 5 - (16 / 12) ** 2) / np.sqrt(n)).all()
    assert abs((starts[:, 0] * starts[:, 1]).mean()) < SIGMAS * 16 / 12 / np.sqrt(n)
    assert abs((starts[1:] * starts[:-1]).mean()) < SIGMAS * 16 / 12 / np.sqrt(2 * n)


def test_the_current_is_drawn_for_every_step_or_for_a_series(currents):
    unit = (currents - 0.7) / 0.2
    n = unit.size
    assert abs(unit.mean()) < SIGMAS / np.sqrt(n)
    assert abs((unit**2).mean() - 1) < SIGMAS * np.sqrt(2 / n)
    assert abs((unit[:, 1:] * unit[:, :-1]).mean()) < SIGMAS / np.sqrt(n - len(unit))
    once = np.diff(draw(DRIFT, 7, series=1500, held_out=1, current="series").train[..., 0], axis=1) / 0.5
    assert np.ptp(once, axis=1).max() < 1e-13
    assert abs(once[:, 0].var() / 0.04 - 1) < SIGMAS * np.sqrt(2 / len(once))
    np.testing.assert_allclose(once[:, 0], currents[:, 0], atol=1e-13)


def test_a_series_depends_on_its_seed_and_number_only(line):
    again = draw(TASKS["line"], 3, series=5, held_out=130)
    np.testing.assert_array_equal(again.train, line.train[:5])
    np.testing.assert_array_equal(again.test, line.test[:130])
    np.testing.assert_array_equal(again.test_truth, line.test_truth[:130])
    with jax.enable_x64(False):
        narrow = draw("line", 3, series=5, held_out=130)
    np.testing.assert_array_equal(narrow.test, again.test)
    assert narrow.test.dtype == np.float64
    other = draw("line", 3 + 2**32, series=5, held_out=5)  # 32-bit types would cut it to 3
    starts = np.concatenate([line.train[:5, 0], line.test[:5, 0], other.train[:, 0], other.test[:, 0]])
    assert len(np.unique(starts.ravel())) == starts.size
    short = draw("line", 3, series=5, held_out=5, points=7)
    assert short.times.shape == (7,)
    np.testing.assert_allclose(short.train, line.train[:5, :7], atol=1e-13)


def test_any_planar_field_is_a_task():
    def field(t, y, args):
        return jnp.stack([args["speed"] * jnp.cos(t), -args["rate"] * y[1]])

    task = Task("mine", field, (0, 0), (1, 2), 0.3, args={"speed": np.array(2.0), "rate": 0.5})
    data = draw(task, 0, series=3, held_out=2)
    x, y = data.train[:, 0, 0, None], data.train[:, 0, 1, None]
    answer = np.stack([x + 2 * np.sin(data.times), y * np.exp(-0.5 * data.times)], axis=-1)
    np.testing.assert_allclose(data.train, answer, atol=1e-9)
    assert (data.step, data.noise) == (0.3, 0)


def test_what_decides_the_data_goes_into_a_file():
    data = draw("fhn", 7, series=4, held_out=2, current="series")
    known = json.loads(json.dumps(data.attributes()))
    wanted = {"task": "fhn", "seed": 7, "series": 4, "held_out": 2, "points": 30, "noise": 0.04, "step": 1.5}
    assert wanted.items() <= known.items()
    assert (known["current"], known["mean_current"], known["lower_y"]) == ("series", 0.7, -0.5)
    assert "current" not in draw("line", 0, series=1, held_out=1).attributes()


def test_a_solution_without_bounds_is_refused_or_not_a_number():
    task = Task("square", lambda t, y, args: jnp.stack([y[0] ** 2, 0 * y[1]]), (0.5, 0.0), (1.0, 1.0), 0.1)
    with pytest.raises(InputError, match=r"stay bounded for 2\.9 units"):
        draw(task, 0, series=3, held_out=1)
    times = 0.1 * np.arange(30)
    found = truth(task, [[1 / 1.05, 0.5], [0.25, 0.5]], times)
    gone = times > 1.05
    assert np.isnan(found[0][gone]).all()
    np.testing.assert_allclose(found[0][~gone, 0], 1 / (1.05 - times[~gone]), rtol=1e-8)
    np.testing.assert_allclose(found[1][:, 0], 1 / (4 - times), rtol=1e-9)


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("TASK", {"task": "rings"}),
        ("--seed", {"seed": -1}),
        ("--seed", {"seed": 2**63}),
        ("--seed", {"seed": True}),
        ("--series", {"series": 0}),
        ("--held-out", {"held_out": 0}),
        ("--points", {"points": 1}),
        ("--step", {"step": 0.0}),
        ("--step", {"step": float("inf")}),
        ("--noise", {"noise": -0.1}),
        ("--noise", {"noise": float("nan")}),
        ("--current", {"current": "steps"}),
    ],
)
def test_bad_numbers_are_refused(argument, options):
    with pytest.raises(InputError) as refused:
        draw(**({"task": "line", "seed": 0} | options))
    assert refused.value.argument == argument


def test_an_unknown_task_comes_with_the_nearest():
    with pytest.raises(InputError, match=r"one of fhn, line, ring \(did you mean 'ring'\?\), got rings"):
        named("rings")
    assert named("ring") is TASKS["ring"]


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("lower", {"lower": (0.0, float("nan"))}),
        ("upper", {"upper": (1.0, 0.0)}),
        ("step", {"step": -1.0}),
        ("noise", {"noise": -1.0}),
        ("acts", {"acts": "currant"}),
        ("args", {"acts": "current", "args": None}),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(argument, options):
    sound = {"name": "mine", "field": drift, "lower": (0.0, 0.0), "upper": (1.0, 1.0), "step": 1.0}
    with pytest.raises(InputError) as refused:
        Task(**(sound | options))
    assert refused.value.argument == argument


@pytest.mark.parametrize(
    "field",
    [
        lambda t, y, args: y[0],
        lambda t, y, args: jnp.concatenate([y, y]),
        lambda t, y, args: (y[0], y[1]),
        lambda t, y, args: y.astype(jnp.float32),
        lambda t, y, args: y / 0.0,
    ],
    ids=["scalar", "four", "pair", "float32", "infinite"],
)
def test_a_field_that_is_not_planar_or_not_finite_is_refused(field):
    task = Task("mine", field, (0.5, 0.5), (1.0, 1.0), 1.0)
    for call in (lambda: draw(task, 0, series=1, held_out=1), lambda: truth(task, [[1.0, 1.0]], [0.0, 1.0])):
        with pytest.raises(InputError) as refused:
            call()
        assert refused.value.argument == "field"


@pytest.mark.parametrize(
    ("argument", "starts", "times"),
    [
        ("starts", [0.0, 1.0], [0.0, 1.0]),
        ("starts", [[0.0, np.nan]], [0.0, 1.0]),
        ("times", [[0.0, 1.0]], [1.0, 0.0]),
        ("times", [[0.0, 1.0]], []),
    ],
)
def test_starts_and_times_that_make_no_sense_are_refused(argument, starts, times):
    with pytest.raises(InputError) as refused:
        truth(TASKS["line"], starts, times)
    assert refused.value.argument == argument
