"""Large networks side by side: the same steps in NumPy, exponents of fixed points, kinds of motion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_sweep.analysis import lyapunov
from gru_sweep.analysis.lyapunov import LyapunovSpectrum, flow_map, lyapunov_spectrum
from gru_sweep.gating.trajectories import Duration, Motion, motion, networks, trajectories
from gru_sweep.records import InputError, columns
from gru_sweep.systems.ensembles import named

SEED = 3
SHORT = Duration(transient=6.0, time=16.0)
"""In which rounding has not grown to be seen."""
ROUNDING = 1e-8
DIFFERENCE = 1e-4
"""Of an exponent by two copies 1e-6 apart, whose growth has a relative error of about that."""
SETTLED = Duration(transient=120.0, time=100.0)


def gate(x):
    return 1.0 / (1.0 + np.exp(-x))


def gru(J, c):
    def step(h):
        z = gate(c["a_z"] * J["z"] @ h + c["b_z"])
        r = gate(c["a_r"] * J["r"] @ h + c["b_r"])
        return z * h + (1 - z) * np.tanh(c["a_h"] * J["h"] @ (r * h) + c["b_h"])

    return step


def lstm(J, c):
    def step(x):
        h, cell = np.split(x, 2)
        f, i, o = (gate(c[f"a_{k}"] * J[k] @ h + c[f"b_{k}"]) for k in "fio")
        cell = f * cell + i * np.tanh(c["a_g"] * J["g"] @ h + c["b_g"])
        return np.concatenate([o * np.tanh(cell), cell])

    return step


def gated(J, c):
    def field(x):
        h, z, r = np.split(x, 3)
        phi = np.tanh(c["g"] * h + c["b_h"])
        rates = (
            gate(c["alpha_z"] * z - c["beta_z"])
            * (J["h"] @ (phi * gate(c["alpha_r"] * r - c["beta_r"])) - h),
            (J["z"] @ phi - z) / c["tau_z"],
            (J["r"] @ phi - r) / c["tau_r"],
        )
        return np.concatenate(rates)

    return field


def runge_kutta(field, dt):
    def step(x):
        a = field(x)
        b = field(x + dt / 2 * a)
        c = field(x + dt / 2 * b)
        return x + dt / 6 * (a + 2 * b + 2 * c + field(x + dt * c))

    return step


def by_differences(step, x, transient, rounds, every, units):
    """The largest exponent by two copies a small distance apart, and the moments of h."""
    small = 1e-6
    v = small * np.asarray(lyapunov.init(lambda x: x, x).tangent[0])
    logs, samples = [], []
    for k in range(transient + rounds):
        other = x + v
        for _ in range(every):
            x, other = step(x), step(other)
        v = other - x
        logs.append(np.log(np.linalg.norm(v) / small))
        v *= small / np.linalg.norm(v)
        if k >= transient:
            samples.append(x[:units])
    return np.mean(logs[transient:]), np.array(samples)


CASES = {
    "gru": (gru, {"a_h": 9.0, "a_z": 2.0, "a_r": 3.0, "b_z": 0.3, "b_r": -0.2, "b_h": 0.1}, 1),
    "lstm": (lstm, {"a_g": 9.0, "a_f": 2.0, "a_i": 3.0, "a_o": 1.0, "b_f": 0.3, "b_g": 0.1}, 1),
    "gated-rnn": (
        gated,
        {"g": 5.0, "alpha_z": 2.0, "alpha_r": 3.0, "beta_z": -0.3, "b_h": 0.1, "tau_z": 0.5, "tau_r": 2.0},
        8,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_numpy_takes_the_same_steps(name):
    ensemble, (make, given, every) = named(name), CASES[name]
    size, rounds = 7, 60
    matrices, start = ensemble.draw(size, SEED), ensemble.start(size, SEED)
    main = next(iter(given))
    values = np.array([0.5, 1.0]) * given[main]
    problem = networks(ensemble, matrices, start, given | {main: values}, dtype=np.float64)
    assert problem.every == every
    found = trajectories(problem, Duration(transient=40.0, time=float(rounds)))
    for p, value in enumerate(values):
        step = make(matrices, {**ensemble.coordinates, **given, main: value})
        if not ensemble.discrete:
            step = runge_kutta(step, 0.125)
        exponent, samples = by_differences(step, start, 40, rounds, every, size)
        seen = np.tanh(value * samples + given["b_h"]) if name == "gated-rnn" else samples
        assert float(found.largest_exponent[p]) == pytest.approx(exponent, abs=DIFFERENCE)
        assert float(found.activity[p]) == pytest.approx(np.mean(samples**2), rel=1e-5)
        assert float(found.output[p]) == pytest.approx(np.mean(seen**2), rel=1e-5)
        assert float(found.variance[p]) == pytest.approx(samples.var(axis=0).mean(), rel=1e-4, abs=1e-12)
        late = samples[rounds // 2 - 1 :]
        assert float(found.amplitude[p]) == pytest.approx(np.ptp(late, axis=0).max() / 2, rel=1e-4, abs=1e-7)


def test_one_network_alone_by_the_general_program():
    ensemble = named("gated-rnn")
    matrices, start = ensemble.draw(16, SEED), ensemble.start(16, SEED)
    problem = networks(ensemble, matrices, start, {"g": [4.0, 2.0], "alpha_r": [10.0, 1.0]}, dtype=np.float64)
    found = trajectories(problem, SHORT, exponents=2, seed=1)
    cell = ensemble.build({k: jnp.asarray(m) for k, m in matrices.items()}, g=4.0, alpha_r=10.0)
    alone = lyapunov_spectrum(
        flow_map(cell, 0.25), start, 2, time=SHORT.time, transient=SHORT.transient, every=4, seed=1
    )
    for name in ("exponent", "exponent_error", "dimension", "dimension_error"):
        np.testing.assert_allclose(getattr(found, name)[0], getattr(alone, name), rtol=ROUNDING)


def test_neighbours_change_nothing_nor_do_separate_draws():
    ensemble = named("gru")
    draws = [ensemble.draw(24, SEED, number) for number in range(2)]
    starts = [ensemble.start(24, SEED, number) for number in range(2)]
    gains = np.linspace(1.0, 6.0, 8)
    options = {"dtype": np.float64}
    many = trajectories(networks(ensemble, draws[1], starts[1], {"a_h": gains}, **options), SHORT)
    two = networks(
        ensemble,
        {k: np.stack([d[k] for d in draws]) for k in draws[0]},
        np.stack(starts),
        {"a_h": gains[[2, 5]]},
        **options,
    )
    few = trajectories(two, SHORT)
    for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(few)):
        np.testing.assert_allclose(a[5], b[1], rtol=ROUNDING, atol=1e-12)
    one = jax.tree.map(lambda x: x[0], few)
    assert {c.name for c in columns(one)} >= {"motion", "largest_exponent", "dimension"}


@pytest.mark.parametrize(("name", "flow"), [("gru", False), ("lstm", True), ("gated-rnn", True)])
def test_at_a_fixed_point_the_exponent_is_that_of_the_jacobian(name, flow):
    ensemble = named(name)
    size = 12
    matrices, start = ensemble.draw(size, SEED), ensemble.start(size, SEED)
    main = {"gru": "a_h", "lstm": "a_g", "gated-rnn": "g"}[name]
    given = {main: np.array([0.5, 1.0]), "b_h" if name != "lstm" else "b_g": 0.4}
    problem = networks(ensemble, matrices, start, given, flow=flow, dtype=np.float64)
    found = trajectories(problem, SETTLED)
    assert np.array_equal(found.motion, [Motion.FIXED_POINT, Motion.FIXED_POINT])
    assert np.all(np.asarray(found.variance) < 1e-12)
    for p, value in enumerate(given[main]):
        numbers = {k: jnp.asarray(v) for k, v in {**ensemble.coordinates, **given, main: value}.items()}
        cell = ensemble.build({k: jnp.asarray(m) for k, m in matrices.items()}, **numbers)
        function = cell if flow else cell.step
        step = flow_map(cell, 0.25) if flow else cell.step
        x = jax.lax.fori_loop(0, 1000, lambda _, x, step=step: step(x), jnp.asarray(start))
        eigenvalues = np.linalg.eigvals(np.asarray(jax.jacfwd(function)(x)))
        want = eigenvalues.real.max() if flow else np.log(abs(eigenvalues).max())
        # a pair of complex eigenvalues makes growth come and go
        assert float(found.largest_exponent[p]) == pytest.approx(want, abs=0.5 / SETTLED.time)
        assert float(found.size[p]) == pytest.approx(float(jnp.sqrt(jnp.mean(x * x))), rel=1e-9)


def test_kinds_of_motion_of_the_gated_rnn():
    """Zero below its loss of stability at g = 2, chaos well above; single precision agrees with double."""
    ensemble = named("gated-rnn")
    matrices, start = ensemble.draw(64, SEED), ensemble.start(64, SEED)
    gains, duration = {"g": [1.0, 1.5, 6.0], "alpha_r": 10.0}, Duration(100.0, 400.0)
    both = [
        trajectories(networks(ensemble, matrices, start, gains, dtype=dtype), duration)
        for dtype in (np.float32, np.float64)
    ]
    for found in both:
        assert np.array_equal(found.motion, [Motion.AT_ZERO, Motion.AT_ZERO, Motion.CHAOTIC])
        rightmost = np.linalg.eigvals(matrices["h"]).real.max()
        want = (np.array([0.5, 0.75]) * rightmost - 1.0) / 2.0
        np.testing.assert_allclose(found.largest_exponent[:2], want, atol=0.5 / duration.time)
    a, b = (np.asarray(x.largest_exponent, float) for x in both)
    error = np.hypot(*(np.asarray(x.largest_exponent_error, float) for x in both))
    assert both[0].largest_exponent.dtype == np.float32
    assert np.all(abs(a - b) < 4.0 * error + 1e-4)


def test_kinds_of_motion_by_their_numbers():
    def kind(exponent, error=0.0, size=0.5, speed=0.1, halfway=0.1, time=100.0):
        numbers = [jnp.asarray(x) for x in (size, speed, halfway)]
        one = lambda x: jnp.asarray([x])  # noqa: E731
        nothing = jnp.asarray(0.0)
        record = LyapunovSpectrum(one(exponent), one(error), nothing, nothing, jnp.asarray(time))
        return Motion(int(motion(record, *numbers)))

    assert kind(-0.1, speed=0.0) is Motion.FIXED_POINT
    assert kind(-0.1, speed=0.0, size=0.0) is Motion.AT_ZERO
    assert kind(-np.inf, error=np.nan, speed=0.0) is Motion.FIXED_POINT
    assert kind(0.0, speed=0.0) is Motion.FIXED_POINT  # marginal
    assert kind(0.1, speed=0.0) is Motion.UNRESOLVED  # an unstable one
    assert kind(0.1, speed=0.0, size=0.0) is Motion.UNRESOLVED
    assert kind(0.1) is Motion.CHAOTIC
    assert kind(0.1, error=0.06) is Motion.PERIODIC_OR_SLOW
    assert kind(0.1, time=5.0) is Motion.PERIODIC_OR_SLOW
    assert kind(-0.1) is Motion.PERIODIC_OR_SLOW  # of a map
    assert kind(-0.1, speed=0.001) is Motion.UNRESOLVED  # not there yet
    assert kind(-0.1, speed=1e-4, size=5e-4) is Motion.AT_ZERO
    assert kind(np.nan) is Motion.UNRESOLVED
    assert kind(0.1, size=np.inf) is Motion.UNRESOLVED


def test_a_map_with_a_period():
    """One unit with a_h J = -8: it alternates, h' = z h + (1 - z) tanh(-8 r h) with gates nearly open."""
    matrices = {k: np.array([[v]]) for k, v in {"h": -1.0, "z": 0.0, "r": 0.0}.items()}
    given = {"a_h": [8.0, 0.5], "b_z": -4.0, "b_r": 4.0}
    found = trajectories(networks(named("gru"), matrices, np.array([0.3]), given, dtype=np.float64), SETTLED)
    assert np.array_equal(found.motion, [Motion.PERIODIC_OR_SLOW, Motion.AT_ZERO])
    assert float(found.largest_exponent[0]) < -1.0
    z = gate(-4.0)
    h = float(found.amplitude[0])
    # h -> -h: h (1 + z) = (1 - z) tanh(8 r h)
    assert h * (1 + z) == pytest.approx((1 - z) * np.tanh(8 * gate(4.0) * h), abs=1e-9)
    assert float(found.variance[0]) == pytest.approx(h * h, rel=1e-9)


def test_a_run_says_how_far_it_is_and_can_be_ended():
    ensemble = named("gru")
    problem = networks(ensemble, ensemble.draw(8, 0), ensemble.start(8, 0), {"a_h": [1.0]})
    shares = []
    trajectories(problem, SHORT, between=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 10

    def stop(share):
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trajectories(problem, SHORT, between=stop)


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("coordinates", {"coordinates": {"g": 1.0}}),
        ("coordinates", {"coordinates": {"g": [1.0, 2.0], "alpha_r": [1.0]}}),
        ("alpha", {"coordinates": {"alpha": [1.0]}}),
        ("g", {"coordinates": {"g": [np.nan]}}),
        ("tau_z", {"coordinates": {"tau_z": [0.0]}}),
        ("matrices", {"matrices": {"h": np.eye(3)}}),
        ("z", {"matrices": {"h": np.eye(3), "z": np.eye(2), "r": np.eye(3)}}),
        ("start", {"start": np.zeros(3)}),
        ("flow", {"flow": False}),
        ("dt", {"dt": 0.0}),
        ("round_time", {"round_time": -1.0}),
        ("dtype", {"dtype": np.int32}),
    ],
)
def test_bad_arguments_are_refused(argument, change):
    matrices = {k: np.eye(3) for k in "hzr"}
    good = {"matrices": matrices, "start": np.zeros(9), "coordinates": {"g": [1.0]}} | change
    with pytest.raises(InputError) as refusal:
        networks(named("gated-rnn"), **good)
    assert refusal.value.argument == argument


def test_bad_durations_are_refused():
    with pytest.raises(InputError):
        Duration(transient=-1.0)
    with pytest.raises(InputError):
        Duration(time=0.0)
