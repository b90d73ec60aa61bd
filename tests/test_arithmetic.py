"""One field, many number systems: every rule over scalars, duals and Taylor series."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_sweep.analysis import flow
from gru_sweep.analysis.arithmetic import (
    Dual,
    Tape,
    UnsupportedPrimitive,
    evaluate,
    interpreter,
    supported,
    together,
    trace,
)
from gru_sweep.analysis.arithmetic.numbers import UNARY, add, integer_power, multiply

M = np.array([[1.5, -0.3], [0.7, 2.0]])
POINT = np.array([0.3, -0.8])

RULES: dict[str, Callable] = {
    "add": lambda h: h + h[::-1],
    "add a constant": lambda h: 2.5 + h + 1.0,
    "sub": lambda h: h - M @ h,
    "sub a constant": lambda h: (h - 0.25) + (0.25 - h) * 3.0,
    "mul": lambda h: h[0] * h[1] * h,
    "mul by itself": lambda h: (h + 1.0) * (h + 1.0),
    "div": lambda h: h / (3.0 + h[::-1]),
    "div of and by a constant": lambda h: 2.0 / (h + 4.0) + h / 8.0,
    "neg": lambda h: -h,
    "square": lambda h: jnp.square(h - 0.5),
    "integer_pow": lambda h: h**2 + h**3 - h**7,
    "negative integer_pow": lambda h: (h + 2.0) ** -2 + (h + 2.0) ** -1,
    "tanh": lambda h: jnp.tanh(3.0 * h),
    "logistic": lambda h: jax.nn.sigmoid(2.0 * h + 1.0),
    "exp": lambda h: jnp.exp(h - 0.5),
    "sin": lambda h: jnp.sin(2.0 * h),
    "cos": lambda h: jnp.cos(2.0 * h + 1.0),
    "nested functions": lambda h: jnp.tanh(jnp.sin(h) * jax.nn.sigmoid(M @ h) + jnp.exp(-h)),
    "a function of a constant": lambda h: jax.nn.sigmoid(jnp.asarray([0.5, -1.0])) * h,
    "dot_general, matrix by vector": lambda h: M @ h,
    "dot_general, vector by matrix": lambda h: h @ M,
    "dot_general, vector by vector": lambda h: jnp.dot(h, h) * h,
    "dot_general, two axes": lambda h: jnp.einsum("ij,jik->k", M, jnp.ones((2, 2, 2)) * h),
    "reduce_sum": lambda h: jnp.sum(M * h, axis=0) + jnp.sum(jnp.outer(h, h)),
    "broadcast_in_dim": lambda h: jnp.sum(jnp.broadcast_to(h[:, None], (2, 3)) * np.arange(3.0), axis=1),
    "reshape": lambda h: jnp.reshape(jnp.reshape(jnp.outer(h, h), (4,))[1:3], (2, 1))[:, 0],
    "squeeze and expand_dims": lambda h: jnp.squeeze(jax.lax.expand_dims(h, (0, 2)), (0, 2)),
    "transpose": lambda h: (M * h).T @ h,
    "slice": lambda h: jnp.concatenate([h, h, h])[1:6:4],
    "concatenate": lambda h: jnp.concatenate([h[1:], h[:1] ** 2]),
    "rev": lambda h: jnp.flip(h) * h,
    "stack": lambda h: jnp.stack([h[1], h[0] * 2.0]) + jnp.stack([h, h * h], axis=1)[0],
    "add_any": lambda h: jax.grad(lambda g: jnp.sum(g * jnp.sin(g)))(h),
    "copy": lambda h: jnp.copy(h),
    "a call": jax.jit(lambda h: jnp.roll(h, 1) * 2.0),
    "a custom derivative": lambda h: jax.nn.silu(h),
    "a constant output": lambda h: jnp.concatenate([h[:1], jnp.ones(1)]),
}


def rules(test: Callable) -> Callable:
    """`test` for every entry of `RULES`."""
    return pytest.mark.parametrize("field", RULES.values(), ids=RULES.keys())(test)


def names(jaxpr) -> set[str]:
    """Primitives of a jaxpr and of what it calls."""
    found = set()
    for equation in jaxpr.eqns:
        inner = interpreter._inner(equation)
        found |= {equation.primitive.name} if inner is None else names(inner.jaxpr)
    return found


def test_every_rule_is_tried():
    tried = set().union(*(names(trace(field, (2,)).jaxpr) for field in RULES.values()))
    # the first changes precision (below), the second is a primitive of other versions of JAX only
    assert interpreter.known() - tried <= {"convert_element_type", "expand_dims"}
    assert set(UNARY) <= tried


def test_a_change_of_precision_is_none():
    closed = trace(lambda h: 3.0 * h.astype(jnp.float64), (2,), dtype=jnp.float32)
    assert "convert_element_type" in names(closed.jaxpr)
    (out,) = evaluate(closed, list(POINT))
    np.testing.assert_array_equal([float(v) for v in out], 3.0 * POINT)


@rules
def test_over_scalars(field):
    assert supported(field, (2,)) is None
    (out,) = evaluate(trace(field, (2,)), list(POINT))
    np.testing.assert_allclose([float(v) for v in out], field(POINT), rtol=1e-14, atol=1e-15)


@rules
def test_over_duals(field):
    def jacobian(h):
        (out,) = evaluate(trace(field, (2,)), Dual.seed(list(h)))
        rows = [v.tangent if isinstance(v, Dual) else (0.0, 0.0) for v in out]
        return jnp.array([[jnp.asarray(t, h.dtype) for t in row] for row in rows])

    np.testing.assert_allclose(jax.jit(jacobian)(POINT), jax.jacfwd(field)(POINT), rtol=1e-13, atol=1e-14)


@rules
def test_over_series(field):
    """Coefficients of f(x(t)), x(t) = h + t u + t^2 v, against repeated forward derivatives over k!."""
    order, (u, v) = 5, (np.array([0.4, -0.7]), np.array([0.2, 0.9]))
    tape = Tape()
    variables = [tape.variable(x) for x in POINT]
    (out,) = evaluate(trace(field, (2,)), variables)
    for k in range(order + 1):
        tape.extend(k)
        for i, variable in enumerate(variables):
            variable.coefficients.append({0: u, 1: v}.get(k, np.zeros(2))[i])
    expected = jax.jit(
        lambda t: [d(t) for d in derivatives(lambda t: field(POINT + t * u + t**2 * v), order)]
    )(0.0)
    for k, value in enumerate(expected):
        got = [float(x[k]) if hasattr(x, "coefficients") else float(x) * (k == 0) for x in out]
        np.testing.assert_allclose(got, value / math.factorial(k), rtol=1e-11, atol=1e-12)


def derivatives(function: Callable, order: int) -> list[Callable]:
    """The function of one variable and its derivatives up to `order`, by nested `jax.jvp`."""
    found = [function]
    for _ in range(order):
        found.append(lambda t, f=found[-1]: jax.jvp(f, (t,), (jnp.ones_like(t),))[1])
    return found


@pytest.mark.parametrize(
    ("field", "start", "coefficient"),
    [
        (lambda x: -x, 2.0, lambda k: 2.0 * (-1) ** k / math.factorial(k)),
        (lambda x: x * x, 0.5, lambda k: 0.5 ** (k + 1)),
        (lambda x: x**3, 1.0, lambda k: math.prod(2 * j + 1 for j in range(k)) / math.factorial(k)),
        (lambda x: jnp.exp(-x), 0.0, lambda k: 0.0 if k == 0 else (-1) ** (k + 1) / k),
        (lambda x: 1 / x, 1.0, lambda k: math.prod(0.5 - j for j in range(k)) / math.factorial(k) * 2**k),
        (
            lambda x: 1 - x * x,
            0.0,
            lambda k: {1: 1, 3: -1 / 3, 5: 2 / 15, 7: -17 / 315, 9: 62 / 2835}.get(k, 0),
        ),
        (
            lambda x: x * (1 - x),
            0.5,
            lambda k: {0: 1 / 2, 1: 1 / 4, 3: -1 / 48, 5: 1 / 480, 7: -17 / 80640, 9: 31 / 1451520}.get(k, 0),
        ),
    ],
    ids=["exponential", "pole", "square-root pole", "logarithm", "square root", "tanh", "logistic"],
)
def test_solutions_with_known_expansions(field, start, coefficient):
    (x,), _ = flow.coefficients(trace(lambda h: field(h), (1,)), (jnp.asarray(start),), 9)
    np.testing.assert_allclose(
        [float(c) for c in x], [coefficient(k) for k in range(10)], rtol=1e-13, atol=1e-15
    )


def test_divergence_along_a_solution():
    def field(h):
        return jnp.array([h[1], jnp.sin(h[0]) * h[1] - h[1] ** 2])

    (x, y), along = flow.coefficients(
        trace(field, (2,)), (jnp.asarray(0.3), jnp.asarray(0.5)), 8, divergence=True
    )
    t = 0.05
    u, v = flow.horner(x, t), flow.horner(y, t)
    assert len(along) == 8
    assert flow.horner(along, t) == pytest.approx(
        float(jnp.trace(jax.jacfwd(field)(jnp.array([u, v])))), rel=1e-9
    )
    # of a linear field it is the trace, whatever the state
    _, constant = flow.coefficients(
        trace(lambda h: M @ h, (2,)), (jnp.asarray(0.3), jnp.asarray(0.5)), 4, divergence=True
    )
    assert [float(c) for c in constant] == [3.5, 0.0, 0.0, 0.0]


def test_polynomials_of_a_step():
    c = [1.0, -2.0, 0.5, 3.0]
    p = np.polynomial.Polynomial(c)
    assert flow.horner(c, 0.7) == pytest.approx(p(0.7))
    assert flow.derivative(c) == pytest.approx(p.deriv().coef)
    assert flow.integral(c, 0.7) == pytest.approx(p.integ()(0.7))


@pytest.mark.parametrize("rate", [0.1, 1.0, 30.0])
def test_a_step_leaves_the_tolerance(rate):
    (x,), _ = flow.coefficients(trace(lambda h: -rate * h, (1,)), (jnp.asarray(1.0),), 10)
    h = flow.step_size([x], 1e-9, longest=1e6)
    error = abs(float(flow.horner(x, h)) - math.exp(-rate * float(h)))
    # relative to the way of the step, whatever the unit of time
    way = rate * float(h)
    assert 1e-4 < error / (1e-9 * way) < 1
    assert way == pytest.approx((1e-9 * math.factorial(9)) ** (1 / 8), rel=0.1)
    assert flow.step_size([x], 1e-9, floor=1e-6, longest=1e6) > h
    assert flow.step_size([x], 1e-9, longest=1e-3) == 1e-3


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (lambda h: jnp.maximum(h, 0.0), "max"),
        (lambda h: jnp.sqrt(h + 2.0), "sqrt"),
        (lambda h: jax.jit(jnp.arctan)(h), "atan"),
        (lambda h: h.at[0].set(1.0), "scatter"),
    ],
)
def test_a_primitive_without_a_rule_is_named(field, name):
    assert supported(field, (2,)) == name
    with pytest.raises(UnsupportedPrimitive, match=rf"'{name}'.*tanh") as refused:
        evaluate(trace(field, (2,)), list(POINT))
    assert refused.value.primitive == name


def test_a_contraction_over_batches_is_refused():
    def field(h):
        return jnp.einsum("ij,ij->i", jnp.outer(h, h), jnp.ones((2, 2)) * h[:, None])

    with pytest.raises(UnsupportedPrimitive, match="batch"):
        evaluate(trace(field, (2,)), list(POINT))


def test_what_is_known_when_tracing_costs_nothing():
    x = object()
    assert multiply(1.0, x) is x
    assert multiply(x, 1.0) is x
    assert add(0.0, x) is x
    assert multiply(0.0, x) == 0.0
    assert integer_power(3.0, 5) == 243.0
    assert integer_power(3.0, 0) == 1.0
    assert integer_power(2.0, -3) == 0.125
    (out,) = evaluate(trace(lambda h: jnp.concatenate([h[:1] * 2.0, h[1:]]), (2,)), Dual.seed([0.5, 0.25]))
    assert out[0].tangent[1] == 0.0
    assert isinstance(out[0].tangent[1], float)


def test_the_type_of_the_field_is_followed():
    assert trace(jnp.tanh, (2,), dtype=jnp.float32).out_avals[0].dtype == jnp.float32
    assert trace(jnp.tanh, (2,)).out_avals[0].dtype == jnp.float64


def test_together_changes_nothing():
    def both(x, y):
        return {"a": x * y, "b": (x - y, x > y), "c": jnp.arange(3), "d": jnp.asarray(7, jnp.int32)}

    plain = jax.jit(jax.vmap(both))
    joined = jax.jit(jax.vmap(lambda x, y: together(both(x, y))))
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    for a, b in zip(jax.tree.leaves(plain(x, y)), jax.tree.leaves(joined(x, y)), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
