"""Errors by horizon, phases turn by turn, cycles: against closed answers and scipy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gru_sweep.records import InputError
from gru_sweep.training.forecasts import cycle, distances, errors, horizon, phase_errors
from gru_sweep.training.tasks import TASKS, Task

STEP = 0.1
SAMPLES = 700


def turning(omega, start=1.0, sense=1, samples=SAMPLES, step=STEP, radius=1.0):
    """A rotation (samples, 2) about (2, -1) from `start` turns before the half line that it crosses on."""
    angle = omega * step * np.arange(samples) - 2 * np.pi * start
    return [2, -1] + radius * np.stack([sense * np.cos(angle), np.sin(angle)], axis=-1)


def test_errors_are_root_mean_squares_over_series():
    true = np.zeros((2, 3, 2))
    found = true.copy()
    found[0, 0], found[1, 0], found[0, 1] = (3, 4), (0, 5), (1, 1)
    np.testing.assert_allclose(errors(found, true), [5, 1, 0])


@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf, 1e300])
def test_a_diverged_forecast_errs_by_infinity(lost):
    true = np.ones((4, 5, 2))
    found = true.copy()
    found[2, 3:, 1] = lost
    np.testing.assert_array_equal(errors(found, true), [0, 0, 0, np.inf, np.inf])
    true[0] = -1
    found[0] = -1
    assert horizon(found, true) == 3


def test_the_horizon_is_where_the_error_exceeds_its_share():
    true = np.random.default_rng(0).normal(size=(50, 20, 2))
    spread = np.sqrt(true.var((0, 1)).sum())
    found = true.copy()
    found[..., 0] += spread * (np.arange(20) + 0.5) / 20
    assert horizon(found, true) == 10
    assert horizon(found, true, share=0.1) == 2
    assert horizon(true, true) == 20
    assert horizon(np.broadcast_to(true.mean((0, 1)), true.shape), true, share=1.5) == 20


@pytest.mark.parametrize("sense", [1, -1])
@pytest.mark.parametrize("faster", [0.0, 0.03, -0.03])
def test_a_wrong_frequency_drifts_in_phase_linearly(sense, faster):
    omega = 0.9
    true, found = turning(omega, 0.3, sense), turning(omega * (1 + faster), 0.3, sense)
    phases = phase_errors(found, true, STEP, (2, -1), period=2 * np.pi / omega)
    # crossing n is at (n + 0.3) periods of each; the cubic's error is below omega^4 step^4
    n = 0.3 + np.arange(len(phases.error))
    assert phases.turns == len(n) - 1 >= 8
    np.testing.assert_allclose(phases.error, n / (1 + faster) - n, atol=1e-5)
    np.testing.assert_allclose(phases.true_crossings[: len(n)], n * 2 * np.pi / omega, atol=1e-5)
    assert phase_errors(found, true, STEP, (2, -1)).period == pytest.approx(2 * np.pi / omega, abs=1e-5)
    assert np.isnan(phases.distance)


def test_crossings_are_interpolated_to_fourth_order():
    def worst(samples):
        true = turning(1.0, 0.3, samples=samples, step=60 / samples)
        # off the centre: through it the fourth derivative of a sine is zero
        times = phase_errors(true, true, 60 / samples, (2, -0.6)).true_crossings
        return abs(times - 2 * np.pi * (0.3 + np.arange(len(times))) - np.arcsin(0.4)).max()

    ratio = worst(150) / worst(600)
    assert 4**3.5 < ratio < 4**4.5
    # in the middle of four samples a cubic errs by 9/384 step^4 of the fourth derivative, here 0.4 to 0.5
    assert worst(600) < 9 / 384 * 0.1**4 * 0.5 / 0.85


@pytest.mark.parametrize(("start", "true_start"), [(1.0 - 1e-3, 1e-3), (1e-3, 1.0 - 1e-3)])
def test_the_half_line_between_the_two_starts_is_no_lost_turn(start, true_start):
    phases = phase_errors(turning(1.0, start), turning(1.0, true_start), STEP, (2, -1))
    assert phases.turns >= 9
    np.testing.assert_allclose(phases.error, 2e-3 * np.sign(start - true_start) * -1, atol=1e-5)


def test_a_forecast_that_is_late_by_more_than_a_turn_stays_so():
    true, found = turning(1.0, 0.3), turning(1.0, 0.3)
    held = np.concatenate([np.repeat(found[:1], 90, axis=0), found[:-90]])
    phases = phase_errors(held, true, STEP, (2, -1))
    np.testing.assert_allclose(phases.error, 9 / (2 * np.pi), atol=1e-4)


def test_noise_adds_no_turns():
    rng = np.random.default_rng(0)
    true = turning(0.5, 0.3, samples=4000, step=0.05)
    noise = 0.04
    found = true + noise * rng.normal(size=true.shape)
    sides = found[:, 1] > -1
    assert np.count_nonzero(sides[1:] & ~sides[:-1] & (found[1:, 0] > 2)) > 20  # it chatters across the line
    phases = phase_errors(found, true, 0.05, (2, -1))
    assert phases.turns == 15
    # the first of the samples about the line that noise lifts over it: some deviations early, never late
    assert -6 * noise < (2 * np.pi * phases.error).min()
    assert (2 * np.pi * phases.error).max() < 2 * noise


@pytest.mark.parametrize(
    "found",
    [
        np.full((SAMPLES, 2), [2.0, -1.0]),
        np.full((SAMPLES, 2), [5.0, 1.0]),
        np.full((SAMPLES, 2), np.nan),
        turning(0.9, 0.3, sense=-1),
        turning(0.9, 0.3) + np.array([0.0, 3.0]),
    ],
    ids=["at the centre", "at rest", "lost", "the other way", "elsewhere"],
)
def test_a_forecast_that_does_not_turn_is_an_answer(found):
    true = turning(0.9, 0.3)
    phases = phase_errors(found, true, STEP, (2, -1), curve=true[:70])
    assert (phases.turns, len(phases.error), len(phases.crossings)) == (0, 0, 0)
    assert phases.period == pytest.approx(2 * np.pi / 0.9, abs=1e-4)
    back = phase_errors(true, np.full((SAMPLES, 2), 5.0), STEP, (2, -1))
    assert back.turns == 0
    assert np.isnan(back.period)


def test_a_forecast_that_is_lost_has_turned_till_then():
    true = turning(0.9, 0.3)
    found = true.copy()
    found[300:] = np.nan
    phases = phase_errors(found, true, STEP, (2, -1), curve=true[:70])
    assert phases.turns == int(300 * STEP * 0.9 / (2 * np.pi) - 0.3)
    assert phases.distance == np.inf


def test_distances_from_a_curve():
    m = 500
    circle = turning(1.0, 0.0, samples=m, step=2 * np.pi / m)
    radii = np.array([0.2, 0.99, 1.0, 1.3])
    points = np.concatenate([turning(0.77, 0.1, samples=40, radius=r) for r in radii])
    np.testing.assert_allclose(distances(points, circle), np.repeat(abs(radii - 1), 40), atol=5 / m**2)
    assert distances([[0.0, np.nan]], circle)[0] == np.inf
    # closed: the side from the last point to the first counts
    np.testing.assert_allclose(distances([[0.0, 0.5]], [[0, 0], [1, 0], [1, 1], [0, 1]]), [0])
    found = turning(1.0, 0.3, radius=1.3)
    assert phase_errors(found, found, STEP, (2, -1), curve=circle).distance == pytest.approx(0.3, abs=1e-4)


@pytest.fixture(scope="module")
def fhn():
    return cycle(TASKS["fhn"])


def test_the_period_of_fhn_is_scipys(fhn):
    def field(t, u):
        x, y = u
        return [x - x**3 / 3 - y + 0.7, (x + 0.7 - 0.8 * y) / 12.5]

    def upward(t, u):
        return u[1] - 0.7

    upward.direction = 1
    found = solve_ivp(field, (0, 300), [1, 1], method="DOP853", rtol=1e-13, atol=1e-13, events=upward)
    times = found.t_events[0]
    assert fhn.period == pytest.approx(np.diff(times)[-1], rel=1e-8)
    last = found.t >= times[-2]
    assert distances(found.y.T[last], fhn.points).max() < 1e-4
    assert distances(fhn.points, found.y.T[last]).max() < 0.05


def test_the_points_of_a_cycle_are_at_equal_times_and_none_twice(fhn):
    assert fhn.points.shape == (2048, 2)
    x, y = fhn.points.T
    rate = np.stack([x - x**3 / 3 - y + 0.7, (x + 0.7 - 0.8 * y) / 12.5], axis=-1)
    central = (np.roll(fhn.points, -1, 0) - np.roll(fhn.points, 1, 0)) / (2 * fhn.period / 2048)
    assert abs(central - rate).max() < 2e-3 * abs(rate).max()


def test_sampled_as_it_is_taught_the_cycle_is_timed_to_a_ten_thousandth(fhn):
    late = 300
    sampled = np.round(np.arange(120) * 1.5 * 2048 / fhn.period).astype(int)
    exact = sampled * fhn.period / 2048 - np.arange(120) * 1.5
    assert abs(exact).max() < 0.01
    true, found = fhn.points[sampled % 2048], fhn.points[(sampled - late) % 2048]
    phases = phase_errors(found, true, 1.5, fhn.points.mean(0), period=fhn.period, curve=fhn.points)
    assert phases.turns >= 3
    # samples are at most 0.01 of a unit of time from where they belong
    np.testing.assert_allclose(phases.error, late / 2048, atol=1e-4 + 0.02 / fhn.period)
    assert phases.distance < 1e-12


def stuart_landau(t, y, args):
    """r' = r (mu - r^2), theta' = omega."""
    mu, omega, growth = args
    square = y @ y
    spin = omega * jnp.stack([-y[1], y[0]])
    return (mu - square) * y + spin + growth * square * y * (1 + square)


def planar(mu, omega, growth=0.0):
    return Task("mine", stuart_landau, (-1, -1), (1, 1), 0.2, args=np.array([mu, omega, growth]))


@pytest.mark.parametrize(("mu", "omega"), [(0.25, 1.7), (1.0, -0.4)])
def test_the_cycle_of_a_normal_form(mu, omega):
    period, points = cycle(planar(mu, omega))
    assert period == pytest.approx(2 * np.pi / abs(omega), rel=1e-9)
    np.testing.assert_allclose(np.hypot(*points.T), np.sqrt(mu), atol=1e-9)
    turned = np.angle(np.exp(1j * np.diff(np.arctan2(points[:, 1], points[:, 0]))))
    np.testing.assert_allclose(turned, np.sign(omega) * 2 * np.pi / 2048, atol=1e-9)


@pytest.mark.parametrize(
    "task",
    [
        TASKS["line"],
        TASKS["ring"],
        planar(-0.5, 1.0),
        planar(0.0, 1.0),
        planar(1.0, 0.0),
        planar(0.25, 0.01),
        planar(0.25, 1.0, growth=3.0),
    ],
    ids=["line", "ring", "focus", "slow focus", "at rest", "period of 3000 steps", "unbounded"],
)
def test_no_cycle(task):
    assert cycle(task) is None


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("forecast", {"forecast": np.zeros((9, 2))}),
        ("truth", {"truth": np.full((10, 2), np.nan)}),
        ("truth", {"truth": np.zeros((10, 3))}),
        ("truth", {"truth": np.zeros((3, 2)), "forecast": np.zeros((3, 2))}),
        ("step", {"step": 0.0}),
        ("period", {"period": -1.0}),
        ("centre", {"centre": (0.0, np.inf)}),
        ("curve", {"curve": np.zeros((1, 2))}),
    ],
)
def test_bad_curves_are_refused(argument, options):
    sound = {"forecast": np.zeros((10, 2)), "truth": np.zeros((10, 2)), "step": 0.1, "centre": (0.0, 0.0)}
    with pytest.raises(InputError) as refused:
        phase_errors(**(sound | options))
    assert refused.value.argument == argument


def test_bad_sets_are_refused():
    for found, true, share in (
        (np.zeros((2, 3, 2)), np.zeros((2, 4, 2)), 0.5),
        (np.zeros((3, 2)), np.zeros((3, 2)), 0.5),
        (np.zeros((2, 3, 2)), np.full((2, 3, 2), np.inf), 0.5),
        (np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), 0.0),
    ):
        with pytest.raises(InputError):
            horizon(found, true, share)
