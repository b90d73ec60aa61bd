"""Lyapunov exponents: closed answers, the literature's, and the same sums made in NumPy."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_sweep.analysis import lyapunov
from gru_sweep.analysis.lyapunov import flow_map, kaplan_yorke, lyapunov_spectrum
from gru_sweep.analysis.lyapunov.blocks import BLOCKS, LEAST_BLOCKS, Blocks
from gru_sweep.analysis.lyapunov.orthonormal import WRITTEN_OUT, orthonormal
from gru_sweep.records import InputError

ROUNDING = 1e-11
"""Of sums of some hundred logarithms in float64."""
SINGLE = 1e-5
"""The same of thousands of logarithms in float32."""
DIVERGED = 1e-7
"""Chaos makes rounding grow by less than e^16 over the short runs that are compared number by number."""
ERRORS = 4.0
"""Standard errors that an average may be off: once in ten thousand for Gaussian errors of known size, and
once in a thousand for those of 16 blocks."""
LITERATURE = 0.01
"""Lorenz's exponents and dimension are to be within this of the literature's."""


def lorenz(y):
    a, b, c = y
    return jnp.stack([10.0 * (b - a), a * (28.0 - c) - b, a * b - 8.0 / 3.0 * c])


def rossler(y):
    a, b, c = y
    return jnp.stack([-b - c, a + 0.2 * b, 0.2 + c * (a - 5.7)])


def henon(x):
    return jnp.stack([1.0 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]])


def logistic(x):
    return 4.0 * x * (1.0 - x)


# --- orthonormal tangents


@pytest.mark.parametrize("shape", [(3, 3), (WRITTEN_OUT, 40), (WRITTEN_OUT + 4, 40)])
def test_rows_are_those_of_qr(shape):
    rows = np.random.default_rng(1).normal(size=shape)
    rows[-1] = (
        rows[0] + 1e-9 * rows[-1]
    )  # nearly dependent: once Gram-Schmidt would leave it far from a right angle
    q, factors = jax.jit(orthonormal)(jnp.asarray(rows))
    want, r = np.linalg.qr(rows.T)
    want = (
        want.T * np.sign(np.diagonal(r))[:, None] * np.sign(np.sum(want.T * np.asarray(q), axis=1))[:, None]
    )
    np.testing.assert_allclose(np.asarray(q) @ np.asarray(q).T, np.eye(shape[0]), atol=1e-13)
    np.testing.assert_allclose(np.asarray(factors)[:-1], np.abs(np.diagonal(r))[:-1], rtol=1e-12)
    # 1e-9 of a row is known to 1e-16 / 1e-9
    assert float(factors[-1]) == pytest.approx(abs(r[-1, -1]), rel=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(want * np.asarray(q), axis=1))[:-1], 1.0, rtol=1e-12)


@pytest.mark.parametrize("count", [3, WRITTEN_OUT + 2])
def test_a_row_in_the_span_of_those_before_is_lost(count):
    rows = np.random.default_rng(2).normal(size=(count, 20))
    rows[1] = -3.0 * rows[0]
    rows[2] = 0.0
    q, factors = orthonormal(jnp.asarray(rows))
    assert not np.any(q[1:3])
    assert np.array_equal(np.asarray(factors) == 0.0, np.isin(np.arange(count), [1, 2]))
    known = np.delete(np.asarray(q), [1, 2], axis=0)
    np.testing.assert_allclose(known @ known.T, np.eye(count - 2), atol=1e-13)


def test_lengths_that_squares_cannot_hold():
    _, factors = orthonormal(jnp.asarray([[3e-200, 4e-200, 0.0], [0.0, 0.0, 1e200]]))
    np.testing.assert_allclose(factors, [5e-200, 1e200], rtol=1e-14)


# --- averages and their errors


@pytest.mark.parametrize("terms", [1, LEAST_BLOCKS - 1, LEAST_BLOCKS, BLOCKS, 100, 777])
def test_block_sums_of_a_series_of_any_length(terms):
    values = np.random.default_rng(3).normal(size=(terms, 2))
    add = lambda blocks, value: (blocks.add(value), None)  # noqa: E731
    blocks, _ = jax.lax.scan(add, Blocks.empty(2, jnp.float64), jnp.asarray(values))
    assert int(blocks.terms) == terms
    np.testing.assert_allclose(blocks.mean(), values.mean(axis=0), rtol=1e-12, atol=1e-14)
    filled, length = int(blocks.filled), int(blocks.length)
    assert filled == terms // length < BLOCKS
    assert length == 1 or filled >= BLOCKS // 2
    means = values[: filled * length].reshape(filled, length, 2).mean(axis=1)
    np.testing.assert_allclose(blocks.means[:filled], means, rtol=1e-12, atol=1e-14)
    if filled < LEAST_BLOCKS:
        assert np.isnan(blocks.error(blocks.means)).all()
    else:
        pairs = means[: filled // 2 * 2].reshape(-1, 2, 2).mean(axis=1)
        want = [m.std(axis=0, ddof=1) / np.sqrt(len(m)) for m in (means, pairs)]
        np.testing.assert_allclose(blocks.error(blocks.means), np.maximum(*want), rtol=1e-12)


def test_the_error_of_a_mean_of_independent_terms():
    """A skew tent map: its growth is independent from step to step, so all is known."""
    a, steps, lanes = 0.3, 4000, 64

    def tent(x):
        return jnp.where(x < a, x / a, (1.0 - x) / (1.0 - a))

    starts = jnp.asarray(np.random.default_rng(4).uniform(size=(lanes, 1)))
    found = jax.vmap(lambda x: lyapunov_spectrum(tent, x, time=float(steps), transient=20.0))(starts)
    exact = -a * np.log(a) - (1.0 - a) * np.log(1.0 - a)
    error = np.sqrt(a * (1.0 - a)) * np.log((1.0 - a) / a) / np.sqrt(steps)
    values, errors = np.asarray(found.exponent)[:, 0], np.asarray(found.exponent_error)[:, 0]
    assert values.std() == pytest.approx(error, rel=ERRORS / np.sqrt(2 * lanes))
    assert abs(values.mean() - exact) < ERRORS * error / np.sqrt(lanes)
    # the larger of two estimates is some 15 % high
    assert 1.0 < errors.mean() / error < 1.4
    assert np.mean(abs(values - exact) < 2.0 * errors) > 0.9


# --- dimension


@pytest.mark.parametrize(
    "exponents",
    [
        (0.9056, 0.0, -14.5723),
        (0.3, 0.1, -0.2, -1.0),
        (0.1, -0.4),
        (0.0, -0.4, -1.0),
        (1.0, -0.5, -0.6),
    ],
)
def test_dimension_is_where_the_sum_of_exponents_crosses_zero(exponents):
    sums = np.concatenate([[0.0], np.cumsum(exponents)])
    j = np.flatnonzero(sums >= 0.0)[-1]
    want = j + np.interp(0.0, [-sums[j], -sums[j + 1]], [0.0, 1.0])
    value, slope = kaplan_yorke(jnp.asarray(exponents), len(exponents))
    assert float(value) == pytest.approx(want, abs=1e-14)
    for i, derivative in enumerate(slope):
        h = 1e-6
        if exponents[0] != 0.0:  # where there is a jump
            ends = [kaplan_yorke(jnp.asarray(exponents).at[i].add(s * h), len(exponents))[0] for s in (1, -1)]
            assert float(derivative) == pytest.approx(float(ends[0] - ends[1]) / (2 * h), abs=1e-6)


def test_dimension_without_a_crossing():
    assert float(kaplan_yorke(jnp.asarray([-0.1, -1.0]), 2)[0]) == 0.0
    assert float(kaplan_yorke(jnp.asarray([0.2, -0.2]), 2)[0]) == 2.0
    assert np.isnan(float(kaplan_yorke(jnp.asarray([0.2, -0.1]), 3)[0]))
    assert np.isnan(float(kaplan_yorke(jnp.asarray([0.2, jnp.nan]), 2)[0]))
    assert float(kaplan_yorke(jnp.asarray([0.2, -jnp.inf]), 3)[0]) == 1.0


# --- closed answers


def test_a_triangular_map():
    matrix = jnp.asarray([[0.5, 2.0, -1.0], [0.0, -1.5, 3.0], [0.0, 0.0, 0.2]])
    found = lyapunov_spectrum(lambda x: matrix @ x, jnp.zeros(3), 3, time=400.0, transient=200.0, every=3)
    np.testing.assert_allclose(found.exponent, np.log([1.5, 0.5, 0.2]), atol=ROUNDING)
    assert float(found.dimension) == pytest.approx(1.0 + np.log(1.5) / np.log(2.0), abs=ROUNDING)
    assert float(found.averaging_time) == 402.0


def test_a_linear_flow_is_the_methods_polynomial():
    matrix, dt = jnp.asarray([[-0.3, 1.0], [0.0, -0.8]]), 0.25
    found = lyapunov_spectrum(
        flow_map(lambda y: matrix @ y, dt, 2), jnp.ones(2), 2, time=200.0, transient=100.0
    )
    z = dt * np.array([-0.3, -0.8])
    want = np.log(1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24) / dt
    np.testing.assert_allclose(found.exponent, want, atol=ROUNDING)


def test_flow_map_is_diffraxs_step():
    y = jnp.asarray([1.0, 2.0, 20.0])
    for solver in (diffrax.Heun(), diffrax.Bosh3(), diffrax.Tsit5()):
        term = diffrax.ODETerm(lambda t, y, args: lorenz(y))
        state = solver.init(term, 0.0, 0.01, y, None)
        want = solver.step(term, 0.0, 0.01, y, None, state, made_jump=False)[0]
        np.testing.assert_allclose(flow_map(lorenz, 0.01, 1, solver.tableau)(y), want, rtol=1e-14)


def test_a_limit_cycle():
    """Stuart-Landau, r' = r (mu - r^2): exponents 0 and -2 mu."""

    def field(y):
        r2 = jnp.sum(y * y)
        return y * (0.4 - r2) + 1.5 * jnp.stack([-y[1], y[0]])

    step = flow_map(field, 0.05)
    found = lyapunov_spectrum(step, jnp.asarray([0.5, 0.1]), 2, time=200.0, transient=60.0, every=5)
    np.testing.assert_allclose(found.exponent, [0.0, -0.8], atol=2e-4)


def test_the_logistic_map_at_4():
    starts = jnp.asarray(np.random.default_rng(5).uniform(size=(32, 1)))
    found = jax.vmap(lambda x: lyapunov_spectrum(logistic, x, time=1500.0, transient=100.0))(starts)
    values = np.asarray(found.exponent)
    assert abs(values.mean() - np.log(2.0)) < ERRORS * values.std() / np.sqrt(values.size)
    assert values.std() < 0.01


# --- the literature


def test_lorenz():
    """0.9056, 0, -14.5723, dimension 2.062 (Sprott 2003)."""
    starts = jnp.asarray([1.0, 1.0, 20.0]) + jnp.arange(8.0)[:, None]
    step = flow_map(lorenz, 0.01, 5, diffrax.Tsit5().tableau)
    each = jax.vmap(lambda x: lyapunov_spectrum(step, x, 3, time=600.0, transient=20.0, every=2))
    found = each(starts)
    mean = np.asarray(found.exponent).mean(axis=0)
    assert mean[0] == pytest.approx(0.9056, rel=LITERATURE)
    assert mean[1] == pytest.approx(0.0, abs=LITERATURE)
    assert mean[2] == pytest.approx(-14.5723, rel=LITERATURE)
    assert float(found.dimension.mean()) == pytest.approx(2.062, rel=LITERATURE)
    # the sum is the divergence, in each round
    np.testing.assert_allclose(found.exponent.sum(axis=1), -(10.0 + 1.0 + 8.0 / 3.0), rtol=1e-6)
    # so what one of them is off moves the sum of the others, and the dimension, by as much
    last, surplus = np.asarray(found.exponent[:, 2]), np.asarray(found.exponent[:, :2].sum(axis=1))
    slope = (1.0 + surplus / last) / -last
    np.testing.assert_allclose(found.dimension_error, slope * found.exponent_error[:, 2], rtol=1e-3)
    spread = np.asarray(found.dimension).std()
    assert np.asarray(found.dimension_error).mean() == pytest.approx(spread, rel=ERRORS / np.sqrt(16))


def test_rossler():
    """0.0714, 0, -5.3943 (Sprott 2003); the sum is the mean divergence, 0.2 - 5.7 + <x>."""
    step = flow_map(rossler, 0.05, 4, diffrax.Tsit5().tableau)
    states = jax.lax.scan(lambda y, _: (step(y), y), jnp.asarray([1.0, 1.0, 0.0]), length=12_000)[1]
    found = lyapunov_spectrum(step, states[1000], 3, time=2200.0, transient=0.0, every=2)
    assert float(found.exponent[0]) == pytest.approx(0.0714, abs=ERRORS * float(found.exponent_error[0]))
    assert float(found.exponent_error[0]) < 0.005
    assert float(found.exponent[1]) == pytest.approx(0.0, abs=2e-3)
    divergence = 0.2 - 5.7 + float(jnp.mean(states[1000:, 0]))
    assert float(found.exponent.sum()) == pytest.approx(divergence, abs=2e-3)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_henon(dtype):
    """0.4192 (Sprott 2003), and ln 0.3 in all."""
    start = jnp.asarray([0.1, 0.1], dtype)
    found = lyapunov_spectrum(henon, start, 2, time=20_000.0, transient=100.0, every=2)
    assert found.exponent.dtype == found.dimension_error.dtype == dtype
    assert float(found.exponent[0]) == pytest.approx(0.4192, abs=ERRORS * float(found.exponent_error[0]))
    assert float(found.exponent_error[0]) < 0.004
    exact = ROUNDING if dtype == jnp.float64 else SINGLE
    assert float(found.exponent.sum()) == pytest.approx(np.log(0.3), abs=exact)


# --- one computation, done in other ways


def test_numpy_with_the_jacobian_and_qr():
    start = lyapunov.init(henon, jnp.asarray([0.1, 0.1]), 2, every=3)
    x, rows, logs = np.array([0.1, 0.1]), np.asarray(start.tangent), []
    for _ in range(40 // 3):
        for _ in range(3):
            rows = rows @ np.array([[-2.8 * x[0], 1.0], [0.3, 0.0]]).T
            x = np.array([1.0 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]])
        q, r = np.linalg.qr(rows.T)
        rows = q.T * np.sign(np.diagonal(r))[:, None]
        logs.append(np.log(np.abs(np.diagonal(r))))
    found = jax.jit(lambda start: lyapunov.advance(henon, start, 40 // 3))(start)
    np.testing.assert_allclose(found.state, x, rtol=DIVERGED)
    np.testing.assert_allclose(found.logs.mean(), np.mean(logs, axis=0), rtol=DIVERGED)
    np.testing.assert_allclose(found.tangent, rows, atol=DIVERGED)


def test_how_often_does_not_matter():
    step = flow_map(lorenz, 0.01)
    values = [
        lyapunov_spectrum(
            step, jnp.asarray([1.0, 1.0, 20.0]), 3, time=8.0, transient=0.0, every=every
        ).exponent
        for every in (1, 20)
    ]
    np.testing.assert_allclose(values[1], values[0], rtol=DIVERGED)


def test_in_pieces_and_in_a_batch_as_at_once_and_alone():
    def system(b):
        return lambda x: jnp.stack([1.0 - 1.4 * x[0] ** 2 + x[1], b * x[0]])

    start = lyapunov.init(henon, jnp.full(2, 0.1), 2)
    go_on = jax.jit(jax.vmap(lambda b, now, rounds: lyapunov.advance(system(b), now, rounds), (0, 0, None)))
    b = jnp.asarray([0.1, 0.2, 0.3])
    now = jax.tree.map(lambda x: jnp.stack([x] * 3), start)
    for rounds in (10, 1, 29):
        now = go_on(b, now, rounds)
    batch = jax.jit(jax.vmap(lambda now: lyapunov.finish(henon, now)))(now)
    alone_of = jax.jit(lambda b: lyapunov.finish(henon, lyapunov.advance(system(b), start, 40)))
    for i in range(3):
        alone = alone_of(b[i])
        for name in ("exponent", "exponent_error", "dimension", "dimension_error", "averaging_time"):
            np.testing.assert_allclose(getattr(batch, name)[i], getattr(alone, name), rtol=1e-5, atol=1e-9)


def test_many_tangents():
    """More than are written out: a diagonal map of 12 numbers."""
    factors = jnp.linspace(1.2, 0.1, 12)
    step = lambda x: factors * x  # noqa: E731
    found = lyapunov_spectrum(step, jnp.zeros(12), 12, time=400.0, transient=400.0)
    np.testing.assert_allclose(found.exponent, np.log(factors), atol=1e-6)


# --- what is not a number


def test_a_superstable_map():
    """r = 2: the fixed point 1/2 has multiplier 0."""
    found = lyapunov_spectrum(lambda x: 2.0 * x * (1.0 - x), jnp.asarray([0.5]), time=50.0, transient=5.0)
    assert float(found.exponent[0]) == -np.inf
    assert np.isnan(float(found.exponent_error[0]))
    assert float(found.dimension) == 0.0


def test_a_map_of_rank_one():
    u, v = jnp.asarray([1.0, 2.0, -1.0]), jnp.asarray([0.5, 0.3, 0.7])
    found = lyapunov_spectrum(lambda x: u * (v @ x), jnp.zeros(3), 3, time=50.0, transient=10.0)
    assert float(found.exponent[0]) == pytest.approx(np.log(abs(0.5 + 0.6 - 0.7)), abs=ROUNDING)
    assert np.isneginf(found.exponent[1:]).all()


def test_a_map_that_goes_to_infinity():
    found = lyapunov_spectrum(lambda x: x**2 + 1.0, jnp.asarray([0.3, 0.4]), 2, time=50.0, transient=0.0)
    assert np.isnan(found.exponent).all()
    assert np.isnan(float(found.dimension))


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("state", {"state": jnp.ones((2, 2))}),
        ("state", {"state": jnp.ones(2, int)}),
        ("count", {"count": 3}),
        ("count", {"count": 0}),
        ("every", {"every": 0}),
        ("time", {"time": -1.0}),
        ("transient", {"transient": np.inf}),
        ("interval", {"interval": 0.0}),
        ("step", {"step": lambda x: x[:1]}),
    ],
)
def test_bad_arguments_are_refused(argument, change):
    good = {"step": henon, "state": jnp.ones(2), "count": 1, "time": 1.0, "transient": 0.0} | change
    with pytest.raises(InputError) as refusal:
        lyapunov_spectrum(good.pop("step"), good.pop("state"), **good)
    assert refusal.value.argument == argument


def test_bad_steps_are_refused():
    for argument, change in (
        ("dt", {"dt": 0.0}),
        ("steps", {"steps": 0}),
        ("tableau", {"tableau": diffrax.Kvaerno3().tableau}),
    ):
        with pytest.raises(InputError) as refusal:
            flow_map(lorenz, **({"dt": 0.1} | change))
        assert refusal.value.argument == argument
