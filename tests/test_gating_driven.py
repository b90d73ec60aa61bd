"""Driven networks: closed answers and NumPy beside them; the mean field of constant inputs."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.integrate import quad

from gru_sweep.gating import mean_field
from gru_sweep.gating.driven import Drive, driven_exponents, moved, static_onset, static_solution
from gru_sweep.gating.trajectories import networks
from gru_sweep.records import InputError
from gru_sweep.systems.ensembles import named

N = 12
SETTLED = 1e-9
"""Of rates, states and networks that differ by rounding, after times in which transients fall below it."""
TURNING = 0.01
"""Of an exponent where eigenvalues are complex: a tangent's length is known to a factor as it turns, of e^3
at the most in the 300 units of time."""
QUADRATURE = 1e-9
SIGMAS = 4.0
"""Standard errors within which averages over noise have to agree with their closed forms."""
DISCRETE = 2e-3
"""Relative error of <h^2> by noise held for a step: tanh(dt / 4) / (dt / 4) - 1 of an Ornstein-Uhlenbeck
process at rate 1/2."""


def gate(x):
    return 1.0 / (1.0 + np.exp(-x))


def made(family, coordinates, start=None, size=N, matrices=None, **given):
    ensemble = named(family)
    matrices = ensemble.draw(size, 5) if matrices is None else matrices
    start = ensemble.start(size, 5) if start is None else start
    return networks(ensemble, matrices, start, coordinates, dtype=np.float64, **given)


def normal(shape, seed):
    return np.random.default_rng(seed).normal(size=shape)


def gated(J, g, alpha_z, alpha_r, x, push):
    def field(y):
        h, z, r = np.split(y, 3)
        phi, to = np.tanh(g * h), np.split(x, 3)
        rate = gate(alpha_z * z) * (J["h"] @ (phi * gate(alpha_r * r)) - h) + to[0]
        return np.concatenate([rate, J["z"] @ phi - z + to[1], J["r"] @ phi - r + to[2]]) + push

    return field


def gru(J, a_h, a_z, a_r, x, push):
    def step(h):
        to_h, to_z, to_r = np.split(x, 3)
        z, r = gate(a_z * J["z"] @ h - to_z), gate(a_r * J["r"] @ h + to_r)
        return z * h + (1 - z) * np.tanh(a_h * J["h"] @ (r * h) + to_h) + push

    return step


def slopes(function, y, small=1e-5):
    columns = [(function(y + small * e) - function(y - small * e)) / (2 * small) for e in np.eye(len(y))]
    return np.array(columns).T


@pytest.mark.parametrize("family", ["gated-rnn", "gru"])
def test_constant_inputs_lead_to_the_fixed_point_and_exponent_that_numpy_finds(family):
    states = 3 * N if family == "gated-rnn" else N
    names = ("g", "alpha_z", "alpha_r") if family == "gated-rnn" else ("a_h", "a_z", "a_r")
    gains = np.array([[0.9, 0.5, 3.0], [0.6, 1.0, 1.0]])
    x, push = normal((2, 3 * N), 1), 0.05 * normal((2, states), 2)
    nets = made(family, dict(zip(names, gains.T)), dt=0.1 if family == "gated-rnn" else None)
    drive = Drive(inputs=jnp.asarray(x), push=jnp.asarray(push))
    rest = np.asarray(moved(nets, nets.starts, drive, 150.0))
    found = driven_exponents(nets, drive, transient=150.0, time=300.0)
    J = named(family).draw(N, 5)
    for k in range(2):
        law = (gated if family == "gated-rnn" else gru)(J, *gains[k], x[k], push[k])
        still = 0 * rest[k] if family == "gated-rnn" else rest[k]
        assert law(rest[k]) == pytest.approx(still, abs=SETTLED)
        values = np.linalg.eigvals(slopes(law, rest[k]))
        rate = values.real.max() if family == "gated-rnn" else np.log(np.abs(values).max())
        assert found.largest_exponent[k] == pytest.approx(rate, abs=TURNING)
        assert found.activity[k] == pytest.approx((rest[k][:N] ** 2).mean(), rel=1e-6)


@pytest.mark.parametrize("family", ["gated-rnn", "gru"])
def test_closed_update_gates_add_up_pushes_and_open_ones_do_not(family):
    states = 3 * N if family == "gated-rnn" else N
    name = "alpha_z" if family == "gated-rnn" else "a_z"
    main = "g" if family == "gated-rnn" else "a_h"
    # z begins where the input holds it
    start = 0.3 * normal(N, 3)
    level = 100.0
    if family == "gated-rnn":
        start = np.concatenate([start, np.full(N, -level), np.zeros(N)])
    nets = made(family, {main: [0.0, 0.0], name: 10.0}, start)
    x = np.zeros((2, 3, N))
    x[:, 1] = np.array([-level, level])[:, None] * (1.0 if family == "gated-rnn" else 10.0)
    push = np.zeros((2, states))
    push[:, :N] = normal(N, 4)
    drive = Drive(inputs=jnp.asarray(x.reshape(2, -1)), push=jnp.asarray(push))
    after = np.asarray(moved(nets, nets.starts, drive, 40.0))[:, :N]
    assert after[0] == pytest.approx(start[:N] + 40.0 * push[0, :N], abs=SETTLED)
    # open, h decays at rate 1 to the push; the map forgets at once
    assert after[1] == pytest.approx(push[1, :N], abs=SETTLED)


def test_noise_on_uncoupled_units_makes_an_ornstein_uhlenbeck_process():
    size, time, s = 24, 400.0, np.array([0.3, 0.3, 2.0])
    matrices = {k: np.zeros((size, size)) for k in "hzr"}
    nets = made("gated-rnn", {"g": [1.0, 1.0, 1.0]}, np.zeros(3 * size), size, matrices)
    drive = Drive(noise=jnp.asarray(s))
    found = driven_exponents(nets, drive, transient=40.0, time=time, seed=1)
    assert found.largest_exponent == pytest.approx(np.full(3, -0.5), abs=1e-3)
    # at rate 1/2 the variance is s^2; correlation of squares over time decays at rate 1
    chance = np.sqrt(2.0 / size * 2.0 / time)
    assert found.activity == pytest.approx(s**2, rel=SIGMAS * chance + DISCRETE)
    # networks that differ in the strength alone have the same noise
    assert found.activity / s**2 == pytest.approx(np.full(3, found.activity[0] / 0.09), rel=SETTLED)
    other = driven_exponents(nets, drive, transient=40.0, time=time, seed=2)
    assert abs(other.activity[0] / found.activity[0] - 1.0) > 1e-6


def test_the_exponent_of_a_noisy_bistable_unit_is_its_average_slope():
    """dh = (-h + j tanh(g h)) / 2 dt + s dW has the density exp(2 / s^2 times the drift's integral)."""
    j, g, s = 2.0, 1.5, 0.5
    matrices = {"h": np.array([[2.0 * j]]), "z": np.zeros((1, 1)), "r": np.zeros((1, 1))}
    nets = made("gated-rnn", {"g": [g]}, np.array([1.0, 0.0, 0.0]), 1, matrices)
    found = driven_exponents(nets, Drive(noise=jnp.array([s])), transient=100.0, time=8000.0, seed=3)

    def average(f):
        def weight(h):
            return np.exp(2.0 / s**2 * (-(h**2) / 4.0 + j / (2.0 * g) * np.log(np.cosh(g * h))) - 4.0)

        return quad(lambda h: f(h) * weight(h), -8, 8)[0] / quad(weight, -8, 8)[0]

    expected = average(lambda h: (-1.0 + j * g / np.cosh(g * h) ** 2) / 2.0)
    error = float(found.largest_exponent_error[0])
    assert error < 0.2 * abs(expected)
    assert float(found.largest_exponent[0]) == pytest.approx(expected, abs=SIGMAS * error)
    assert float(found.activity[0]) == pytest.approx(average(lambda h: h * h), rel=0.05)


@pytest.mark.parametrize(("s", "g", "alpha_r"), [(0.3, 1.9, 10.0), (1.7, 1.5, 30.0), (2.0, 0.5, 0.0)])
def test_the_mean_field_of_constant_inputs_is_that_of_quadrature(s, g, alpha_r):
    def average(f):
        return quad(lambda x: f(x) * np.exp(-x * x / 2) / np.sqrt(2 * np.pi), -12, 12, limit=400)[0]

    Q = average(lambda x: np.tanh(s * x) ** 2)
    k = alpha_r * np.sqrt(Q)
    opening = average(lambda x: gate(k * x) ** 2)
    turning = alpha_r**2 * average(lambda x: (gate(k * x) * (1 - gate(k * x))) ** 2)
    slope = average(lambda x: np.cosh(s * x) ** -4.0)
    expected = s**2 - g**2 * Q * opening, g**2 * (opening + Q * turning) * slope
    assert static_solution(s, g, alpha_r) == pytest.approx(expected, rel=QUADRATURE)


def test_without_input_the_mean_field_is_that_of_fixed_points():
    for point in mean_field.fixed_points(1.9, 10.0)[1:]:
        assert static_solution(point.s, 1.9, 10.0) == pytest.approx((0.0, point.K), rel=QUADRATURE, abs=1e-10)


def test_an_input_ends_rest_with_strong_reset_gates_only():
    assert static_onset(1.9, 0.0).unstable is static_onset(1.9, 0.0).lost is None
    folded, gradual = static_onset(1.9, 10.0), static_onset(1.5, 30.0)
    assert folded.lost is not None
    assert gradual.lost is None
    for onset in (folded, gradual):
        assert 0.0 < onset.unstable < onset.stable_again
    # K = 1 of the branch, from zero, at the strength that was named
    s = np.geomspace(1e-4, 1.0, 4000)
    squared, K = np.array([static_solution(float(x), 1.5, 30.0) for x in s]).T
    first = np.flatnonzero(K > 1.0)[0]
    assert squared[first - 1] ** 0.5 < gradual.unstable <= squared[first] ** 0.5


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("inputs", lambda nets: moved(nets, nets.starts, Drive(inputs=jnp.zeros((1, N))), 1.0)),
        ("push", lambda nets: moved(nets, nets.starts, Drive(push=jnp.zeros((2, N))), 1.0)),
        ("noise", lambda nets: moved(nets, nets.starts, Drive(noise=jnp.zeros(2)), 1.0)),
        ("time", lambda nets: moved(nets, nets.starts, Drive(), -1.0)),
        ("time", lambda nets: driven_exponents(nets, Drive(), transient=1.0, time=0.0)),
        ("transient", lambda nets: driven_exponents(nets, Drive(), transient=np.inf, time=1.0)),
        ("g", lambda nets: static_onset(2.0, 1.0)),
        ("alpha_r", lambda nets: static_onset(1.0, -1.0)),
        ("s", lambda nets: static_solution(0.0, 1.0, 1.0)),
    ],
)
def test_refuses(argument, call):
    with pytest.raises(InputError) as refusal:
        call(made("gru", {"a_h": [1.0]}))
    assert refusal.value.argument == argument


@pytest.mark.parametrize(("family", "flow"), [("lstm", False), ("gru", True)])
def test_refuses_other_networks(family, flow):
    main = "a_g" if family == "lstm" else "a_h"
    nets = made(family, {main: [1.0]}, flow=flow)
    with pytest.raises(InputError, match="gated RNNs or discrete GRUs"):
        moved(nets, nets.starts, Drive(), 1.0)


def test_the_inputs_experiment_judges_what_it_has_written(quick):
    module, verdict, folder = quick("gating_inputs")
    with xr.open_dataset(folder / "gating_inputs.h5", engine="h5netcdf") as data:
        for i, case in enumerate(module.CASES):
            for k, (g, alpha_r) in enumerate(module.POINTS):
                row = verdict["inputs"][" ".join(case)][k]
                x = data.exponent.values[i, :, k]
                mean, error = x.mean(0), x.std(0, ddof=1) / np.sqrt(len(x))
                words = np.where(
                    mean > 3 * error, "chaotic", np.where(mean < -3 * error, "stable", "undecided")
                )
                assert [r["verdict"] for r in row["rows"]] == list(words.ravel())
                if case[1] == "static":
                    unstable = static_onset(g, alpha_r).unstable
                    assert row["theory"]["unstable"] == (unstable and pytest.approx(unstable / g))
    assert (folder / "gating_inputs.png").stat().st_size > 1000


def test_the_memory_experiment_begins_whole_and_its_controls_change_nothing(quick):
    module, verdict, folder = quick("gating_memory")
    with xr.open_dataset(folder / "gating_memory.h5", engine="h5netcdf") as data:
        assert data.overlap[..., 0].values == pytest.approx(1.0)
        erasing = data.erasing.isel(store=0)
        # the reset gates of alpha_r = 0 are half open whatever they are told
        none, closed = (erasing.sel(eraser=name).values for name in ("none", "reset gates closed"))
        assert closed == pytest.approx(none, abs=1e-6)
        last = data.overlap[..., -1].mean("network").values
        for f, family in enumerate(module.FAMILIES):
            for k, row in enumerate(verdict[family]["memory"]):
                word = "remembers" if last[f, k] > 0.5 else "forgets" if last[f, k] < 0.2 else "fades"
                assert row["verdict"] == word
    assert module.bits(1.0) == pytest.approx(3.0)
    assert module.bits(1 / 8) == pytest.approx(0.0)
    assert (folder / "gating_memory.png").stat().st_size > 1000
