"""Taylor's method as a diffrax solver, and trajectories: against closed solutions, diffrax and scipy."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gru_sweep.analysis.arithmetic import UnsupportedPrimitive
from gru_sweep.analysis.taylor import Taylor, TaylorInterpolation, trajectory, unsupported
from gru_sweep.records import InputError, Status
from gru_sweep.systems.cells import GRU


def gru(d: int, reset: str = "before", seed: int = 0) -> GRU:
    rng = np.random.default_rng(seed)
    parts = {name: 1.5 * rng.normal(size=(d, d)) for name in ("U_h", "U_z", "U_r")}
    parts |= {name: rng.normal(size=d) for name in ("b_z", "b_r", "b_h")}
    if reset == "after":
        parts["b_hn"] = rng.normal(size=d)
    return GRU(**{name: jnp.asarray(part) for name, part in parts.items()}, reset=reset)


def solve(field, y0, t0, t1, solver=None, *, tolerance=1e-10, controller=None, dt0=None, **options):
    """diffeqsolve of f(t, y, args) with the Taylor solver unless another is given."""
    if controller is None:
        controller = diffrax.PIDController(rtol=tolerance, atol=tolerance)
    return diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        Taylor() if solver is None else solver,
        t0,
        t1,
        dt0,
        y0,
        stepsize_controller=controller,
        **options,
    )


# dh/dt, h(0), h(t)
CLOSED = {
    "linear": (lambda h: -0.7 * h, [2.0], lambda t: [2 * np.exp(-0.7 * t)]),
    "logistic": (lambda h: h * (1 - h), [0.01], lambda t: [1 / (1 + 99 * np.exp(-t))]),
    "harmonic": (lambda h: jnp.stack([h[1], -h[0]]), [1.0, 0.0], lambda t: [np.cos(t), -np.sin(t)]),
    # the even coefficients of tan vanish: an estimate by one term alone would be zero
    "tangent": (lambda h: 1 + h**2, [0.0], lambda t: [np.tan(t)]),
    "constant rate": (lambda h: jnp.ones_like(h), [0.5], lambda t: [0.5 + t]),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_solutions(name):
    field, h0, answer = CLOSED[name]
    times = np.linspace(0, 1.4 if name == "tangent" else 12, 30)
    found = trajectory(field, h0, times, tolerance=1e-12)
    assert found.solver == "taylor(10)"
    assert found.status == Status.OK
    assert found.state.shape == (30, len(h0))
    np.testing.assert_allclose(found.state.T, answer(times) * np.ones((len(h0), 30)), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("reset", ["before", "after"])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_gru_against_scipy(d, reset):
    cell, h0, times = gru(d, reset), np.linspace(-0.8, 0.9, d), np.linspace(0, 25, 26)
    rate = eqx.filter_jit(cell)
    exact = solve_ivp(
        lambda _, h: np.asarray(rate(h)), (0, 25), h0, "DOP853", t_eval=times, rtol=1e-13, atol=1e-13
    )
    found = trajectory(cell, h0, times)
    assert found.solver == "taylor(10)"
    np.testing.assert_allclose(found.state, exact.y.T, atol=2e-9)
    if (d, reset) == (2, "before"):
        for solver, name in ((diffrax.Tsit5(), "tsit5"), (diffrax.Dopri8(), "dopri8")):
            other = trajectory(cell, h0, times, tolerance=1e-12, solver=solver)
            assert other.solver == name
            np.testing.assert_allclose(found.state, other.state, atol=2e-9)


def test_fused_steps_are_the_same_and_batched():
    starts = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (64, 2)))
    cell, times = gru(2), jnp.asarray([0.0, 3.0, 10.0])

    @eqx.filter_jit
    def batch(solver):
        return jax.vmap(lambda h: trajectory(cell, h, times, solver=solver))(starts)

    whole, fused = batch(Taylor()), batch(Taylor(fused=True))
    assert fused.solver == "taylor(10)"
    np.testing.assert_allclose(fused.state, whole.state, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(fused.steps, whole.steps)
    # a lane does not depend on its neighbours
    alone = trajectory(cell, starts[5], times)
    np.testing.assert_allclose(whole.state[5], alone.state, rtol=0, atol=1e-13)


def forced(t, y, args):
    """y' = -a y + sin 2t + t^2, of which y = c exp(-a t) + a particular solution."""
    return -args * y + jnp.sin(2 * t) + t**2


def forced_solution(t, a, y0):
    def particular(s):
        waves = (a * np.sin(2 * s) - 2 * np.cos(2 * s)) / (a * a + 4)
        return waves + s**2 / a - 2 * s / a**2 + 2 / a**3

    return (y0 - particular(0.0)) * np.exp(-a * t) + particular(t)


@pytest.mark.parametrize("fused", [False, True])
def test_forcing_that_depends_on_time(fused):
    solution = solve(forced, jnp.asarray(1.0), 0.0, 5.0, Taylor(fused=fused), args=jnp.asarray(0.8))
    np.testing.assert_allclose(solution.ys[0], forced_solution(5.0, 0.8, 1.0), rtol=1e-9)


@pytest.mark.parametrize("fused", [False, True])
def test_backward_in_time_returns(fused):
    """Also where the field knows the time: diffrax hands solvers a negated one."""
    end = solve(forced, jnp.asarray(1.0), 0.0, 3.0, args=jnp.asarray(0.8)).ys[0]
    solution = solve(forced, end, 3.0, 0.0, Taylor(fused=fused), args=jnp.asarray(0.8))
    np.testing.assert_allclose(solution.ys[0], 1.0, rtol=1e-8)


@pytest.mark.parametrize(("p", "n"), [(3, 32), (6, 32), (10, 16)])
def test_error_is_of_the_order_promised(p, n):
    """At constant steps the error of order p falls as h^p.

    On y' = -y^2, whose leading error keeps its sign; on a logistic curve through its inflection it changes
    sign, and the slope says nothing.
    """

    @eqx.filter_jit
    def error(h):
        constant = diffrax.ConstantStepSize()
        end = solve(lambda t, y, args: -y * y, 1.0, 0.0, 3.0, Taylor(p), controller=constant, dt0=h).ys[0]
        return jnp.abs(end - 0.25)

    coarse, fine = (float(error(jnp.asarray(3.0 / steps))) for steps in (n, 2 * n))
    assert fine > 1e-13  # above rounding
    assert np.log2(coarse / fine) == pytest.approx(p, abs=0.7)


def test_dense_output_is_as_exact_as_the_steps():
    field = lambda t, y, args: {"a": y["b"], "b": -y["a"]}  # noqa: E731
    y0 = {"a": jnp.ones((2, 1)), "b": jnp.zeros((2, 1))}
    solution = solve(field, y0, 0.0, 10.0, tolerance=1e-11, saveat=diffrax.SaveAt(dense=True, steps=True))
    steps = np.asarray(solution.ts)[np.isfinite(solution.ts)]
    between = (np.concatenate([[0.0], steps[:-1]]) + steps) / 2
    found = jax.vmap(solution.evaluate)(between)
    assert found["a"].shape == (len(steps), 2, 1)
    at_steps = np.abs(np.asarray(solution.ys["a"][: len(steps), 0, 0]) - np.cos(steps)).max()
    assert np.abs(found["a"][:, 0, 0] - np.cos(between)).max() < max(2 * at_steps, 1e-12)
    slope = jax.vmap(solution.derivative)(between)
    np.testing.assert_allclose(slope["a"][:, 1, 0], -np.sin(between), atol=1e-9)


def test_interpolation_is_its_polynomial():
    local = TaylorInterpolation(t0=2.0, t1=4.0, coefficients=jnp.asarray([[1.0], [2.0], [4.0]]))
    np.testing.assert_allclose(local.evaluate(3.0), [1 + 2 / 2 + 4 / 4])
    np.testing.assert_allclose(local.evaluate(2.0, 4.0), [2.0 + 4.0])
    np.testing.assert_allclose(local.derivative(jnp.asarray(3.0)), [(2 + 4) / 2])
    empty = TaylorInterpolation(t0=2.0, t1=2.0, coefficients=jnp.asarray([[1.0], [2.0]]))
    np.testing.assert_allclose(empty.evaluate(2.0), [1.0])


def test_events_are_found_on_the_polynomial():
    import optimistix as optx

    event = diffrax.Event(lambda t, y, args, **_: y[0], optx.Newton(rtol=1e-12, atol=1e-12), direction=False)
    solution = solve(
        lambda t, y, args: jnp.stack([y[1], -y[0]]), jnp.asarray([1.0, 0.0]), 0.0, 9.0, event=event
    )
    assert solution.result == diffrax.RESULTS.event_occurred
    np.testing.assert_allclose(solution.ts[0], np.pi / 2, atol=1e-9)


def test_derivatives_pass_through():
    """d h(t) / d h(0) of the logistic equation, forward and backward."""
    end = lambda h: trajectory(CLOSED["logistic"][0], h, jnp.asarray([0.0, 2.0])).state[-1, 0]  # noqa: E731
    h0, grown = jnp.asarray([0.2]), np.exp(2.0)
    exact = grown / (1 + 0.2 * (grown - 1)) ** 2
    np.testing.assert_allclose(jax.grad(end)(h0), [exact], rtol=1e-8)


def test_float32_stays_float32_and_is_as_good_as_it_can():
    cell = jax.tree.map(lambda x: x.astype(jnp.float32), gru(2))
    times = np.linspace(0, 10, 11)
    found = trajectory(cell, jnp.asarray([0.5, -0.3], jnp.float32), times)
    exact = trajectory(gru(2), [0.5, -0.3], times)
    assert found.state.dtype == found.time.dtype == jnp.float32
    assert found.status == Status.OK
    assert 5e-7 < found.tolerance < 2e-6
    np.testing.assert_allclose(found.state, exact.state, atol=2e-5)


@pytest.mark.parametrize(("function", "name"), [(jax.lax.erf, "erf"), (jnp.arctan, "atan")])
def test_without_a_rule_tsit5_is_used_and_said(function, name):
    field = lambda h: -function(h)  # noqa: E731
    assert unsupported(field, jnp.ones(1)) == name
    found = trajectory(field, [1.0], [0.0, 1.0, 2.0])
    assert (found.solver, int(found.status)) == ("tsit5", Status.OK)
    exact = solve_ivp(lambda _, h: np.asarray(field(h)), (0, 2), [1.0], "DOP853", rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.state[-1], exact.y[:, -1], rtol=1e-8)
    with pytest.raises(UnsupportedPrimitive, match=f"'{name}'") as refused:
        trajectory(field, [1.0], [0.0, 1.0], solver=Taylor())
    assert any("Tsit5" in note for note in refused.value.__notes__)


def test_loops_and_branches_on_the_state_have_no_rule():
    """A loop's body is not a call, and a condition on the state has no series."""
    loop = lambda h: jax.lax.fori_loop(0, 3, lambda _, x: 0.5 * x, -h)  # noqa: E731
    assert unsupported(loop, jnp.ones(2)) == "scan"
    assert unsupported(lambda h: jnp.where(h > 0, -h, h), jnp.ones(2)) == "gt"
    constant = jax.lax.fori_loop(0, 3, lambda _, x: 0.5 * x, jnp.ones(2))
    assert unsupported(lambda h: jnp.where(constant > 0, -h, h), jnp.ones(2)) is None


def test_weights_may_be_anything_that_does_not_depend_on_the_state():
    """Even a primitive without a rule, in a large field: the program does not grow with its size."""
    matrix = jnp.asarray(np.random.default_rng(2).normal(size=(40, 40)) / 40**0.5)
    field = lambda h: jnp.tanh(jax.lax.erf(matrix) @ h) - h  # noqa: E731
    h0, times = np.linspace(-1, 1, 40), [0.0, 2.0, 4.0]
    found = trajectory(field, h0, times)
    assert found.solver == "taylor(10)"
    other = trajectory(field, h0, times, solver=diffrax.Dopri8(), tolerance=1e-12)
    np.testing.assert_allclose(found.state, other.state, atol=1e-9)


def test_escape_in_finite_time_is_data():
    found = trajectory(CLOSED["tangent"][0], [0.0], [0.0, 1.0, 2.0], max_steps=200)
    assert found.status == Status.FAILED
    np.testing.assert_allclose(found.state[:2, 0], [0.0, np.tan(1.0)], rtol=1e-8)
    assert np.isnan(found.state[2, 0])


@pytest.mark.parametrize(
    ("argument", "changes"),
    [
        ("h0", {"h0": [[1.0]]}),
        ("h0", {"h0": [np.nan]}),
        ("h0", {"h0": [1j]}),
        ("times", {"times": [0.0]}),
        ("times", {"times": [0.0, 1.0, 1.0]}),
        ("times", {"times": [0.0, np.inf, 1.0]}),
        ("times", {"times": [[0.0, 1.0]]}),
        ("tolerance", {"tolerance": 0.0}),
        ("tolerance", {"tolerance": float("nan")}),
        ("max_steps", {"max_steps": 0}),
        ("solver", {"solver": diffrax.Euler()}),
        ("field", {"field": lambda h: h[0]}),
    ],
)
def test_bad_arguments_are_refused(argument, changes):
    arguments = {"field": lambda h: -h, "h0": [1.0], "times": [0.0, 1.0], **changes}
    with pytest.raises(InputError) as refused:
        trajectory(arguments.pop("field"), arguments.pop("h0"), arguments.pop("times"), **arguments)
    assert refused.value.argument == argument


@pytest.mark.parametrize("order", [1, 41, True])
def test_orders_are_refused(order):
    with pytest.raises(InputError, match="order"):
        Taylor(order)
