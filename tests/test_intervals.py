"""Intervals hold the exact value: every operation, compiled, against 60-digit arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from gru_sweep.analysis.arithmetic import Interval, evaluate, intervals, trace
from gru_sweep.analysis.arithmetic.intervals import FUNCTION_ULPS

mpmath.mp.dps = 60

SAMPLES = 400
PRECISIONS = {"float64": np.float64, "float32": np.float32}
FUNCTIONS: dict[str, tuple[Callable, Callable]] = {
    "tanh": (mpmath.tanh, lambda x: 1 - mpmath.tanh(x) ** 2),
    "logistic": (lambda x: 1 / (1 + mpmath.exp(-x)), lambda x: 1 / (2 + mpmath.exp(x) + mpmath.exp(-x))),
    "exp": (mpmath.exp, mpmath.exp),
    "sin": (mpmath.sin, mpmath.cos),
    "cos": (mpmath.cos, lambda x: -mpmath.sin(x)),
}
COMPILED = {"tanh": jnp.tanh, "logistic": jax.nn.sigmoid, "exp": jnp.exp, "sin": jnp.sin, "cos": jnp.cos}
OPERATIONS: dict[str, tuple[Callable, Callable]] = {
    "sum": (lambda x, y: x + y, lambda x, y: x + y),
    "difference": (lambda x, y: x - y, lambda x, y: x - y),
    "product": (lambda x, y: x * y, lambda x, y: x * y),
    "quotient": (lambda x, y: x / y, lambda x, y: x / y),
    "square": (lambda x, y: x.square(), lambda x, y: x * x),
    "negative": (lambda x, y: -x, lambda x, y: -x),
    "sum with a number": (lambda x, y: x + y.lo, None),
    "product with a number": (lambda x, y: x * y.lo, None),
    "difference from a number": (lambda x, y: y.lo - x, None),
    "quotient of a number": (lambda x, y: y.lo / x, None),
    "product with a constant": (lambda x, y: x * -1.7, lambda x, y: x * mpmath.mpf(-1.7)),
    "cancelling": (lambda x, y: (x + y) - y, lambda x, y: x),
}
EXACT = {
    "sum with a number": lambda x, y: x + y,
    "product with a number": lambda x, y: x * y,
    "difference from a number": lambda x, y: y - x,
    "quotient of a number": lambda x, y: y / x,
}


def numbers(rng: np.random.Generator, count: int, dtype: type, subnormal: bool = True) -> np.ndarray:
    """Signed numbers of every size, among them zeros, subnormals, ones and those whose square overflows."""
    info = np.finfo(dtype)
    decades = np.log10(float(info.max)) * 0.999
    drawn = 10.0 ** rng.uniform(-decades, decades, count)
    drawn[: count // 2] = 10.0 ** rng.uniform(-3, 3, count // 2)
    special = [0.0, 1.0, 0.5, info.tiny, info.eps, info.max]
    if subnormal:
        special += [info.smallest_subnormal, 7 * info.smallest_subnormal, info.tiny / 3]
    at = rng.integers(0, count, count // 8)
    drawn[at] = rng.choice(np.array(special, float), at.size)
    if not subnormal:
        drawn[drawn < info.tiny] = 0.0
    return (drawn * rng.choice([-1.0, 1.0], count)).astype(dtype)


def boxes(rng: np.random.Generator, count: int, dtype: type, subnormal: bool) -> tuple[np.ndarray, ...]:
    """Ends of intervals - points, slivers and wide ones - and a point in each."""
    a, b = numbers(rng, count, dtype, subnormal), numbers(rng, count, dtype, subnormal)
    width = rng.integers(0, 3, count)
    b = np.where(width == 0, a, np.where(width == 1, a * dtype(1 - 1e-5), b)).astype(dtype)
    lo, hi = np.minimum(a, b), np.maximum(a, b)
    t = rng.uniform(0, 1, count)
    inner = np.clip((lo * (1 - t) + hi * t).astype(dtype), lo, hi)
    inside = np.where(rng.uniform(size=count) < 0.5, inner, np.where(t < 0.5, lo, hi))
    if not subnormal:
        lo, hi, inside = (np.where(np.abs(v) < np.finfo(dtype).tiny, dtype(0), v) for v in (lo, hi, inside))
    return lo, hi, inside


def holds(lo, hi, exact) -> bool:
    """Whether exact lies in [lo, hi]. An end that overflowed to NaN claims nothing."""
    return not (mpmath.mpf(float(lo)) > exact or mpmath.mpf(float(hi)) < exact)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_hold_the_exact_value(name, precision):
    dtype, (operation, exact) = PRECISIONS[precision], OPERATIONS[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    # XLA reads a subnormal as zero: an error that a sum's widening covers, and a factor may blow up
    subnormal = not name.startswith(("product", "quotient", "square"))
    (x0, x1, x), (y0, y1, y) = (boxes(rng, SAMPLES, dtype, subnormal) for _ in range(2))
    if exact is None:  # the second operand is the number y
        exact, y0, y1 = EXACT[name], y, y

    def compiled(x0, x1, y0, y1):
        out = operation(Interval(x0, x1), Interval(y0, y1))
        return out.lo, out.hi

    lo, hi = jax.jit(jax.vmap(compiled))(x0, x1, y0, y1)
    assert lo.dtype == dtype
    claimed = 0
    for a, b, c, d, low, high in zip(x, y, x0, x1, np.asarray(lo), np.asarray(hi)):
        divisor = {"quotient": float(b), "quotient of a number": float(a)}.get(name, 1.0)
        if divisor == 0:
            assert not np.isfinite([low, high]).any()
            continue
        assert holds(low, high, exact(mpmath.mpf(float(a)), mpmath.mpf(float(b)))), (a, b, c, d, low, high)
        claimed += not np.isnan(low) and np.isfinite(high)
    assert claimed > 0.6 * SAMPLES


def arguments(rng: np.random.Generator, name: str, count: int, dtype: type) -> np.ndarray:
    """Where a function is to be tried: everywhere, and densely where it changes."""
    x = np.concatenate([numbers(rng, count // 2, dtype), rng.uniform(-12, 12, count // 2).astype(dtype)])
    edges = [19.0, 22.0, 36.8, 88.7, 103.0, 354.0, 709.7, 710.0, 745.2, 1e3, np.pi, np.pi / 2, 1e5 * np.pi]
    x[: 2 * len(edges)] = np.array([*edges, *(-e for e in edges)], dtype)
    return x


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_derivatives_hold_the_exact_value(name, precision):
    dtype = PRECISIONS[precision]
    rng = np.random.default_rng(sum(map(ord, name)))
    x = arguments(rng, name, SAMPLES, dtype)
    spread = np.where(rng.uniform(size=SAMPLES) < 0.5, 0.0, 10.0 ** rng.uniform(-8, 1, SAMPLES))
    with np.errstate(over="ignore"):
        lo, hi = (x - spread * rng.uniform(size=SAMPLES)).astype(dtype), (x + spread).astype(dtype)
    lo, hi = np.minimum(lo, x), np.maximum(hi, x)

    def compiled(lo, hi):
        value, slope = getattr(Interval(lo, hi), f"{name}_with_derivative")()
        return value.lo, value.hi, slope.lo, slope.hi

    found = [np.asarray(v) for v in jax.jit(jax.vmap(compiled))(lo, hi)]
    bounded = 0
    for i in range(SAMPLES):
        if abs(float(x[i])) > 1e5 and name in ("exp", "logistic", "tanh"):
            continue  # their exact values have too many digits there; saturation is tried at the edges above
        for exact, low, high in zip(FUNCTIONS[name], found[::2], found[1::2]):
            assert holds(low[i], high[i], exact(mpmath.mpf(float(x[i])))), (
                lo[i],
                x[i],
                hi[i],
                low[i],
                high[i],
            )
            bounded += np.isfinite(high[i]) and not np.isnan(low[i])
    assert bounded > SAMPLES
    if name in ("tanh", "logistic"):
        assert (found[0] >= {"tanh": -1, "logistic": 0}[name]).all()
        assert (found[1] <= 1).all()
        assert (found[2] >= 0).all()
        assert (found[3] <= {"tanh": 1, "logistic": 0.25}[name]).all()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["tanh", "logistic", "exp"])
def test_the_widening_is_four_times_the_largest_error_measured(name, precision, capsys):
    dtype, worst = PRECISIONS[precision], 0.0
    eps, tiny = np.finfo(dtype).eps, np.finfo(dtype).tiny
    x = dense(dtype, 80.0)
    found = np.asarray(jax.jit(jax.vmap(COMPILED[name]))(x))
    for argument, value in zip(x, found):
        exact = FUNCTIONS[name][0](mpmath.mpf(float(argument)))
        if abs(exact) > 4 * tiny:
            worst = max(worst, float(abs(mpmath.mpf(float(value)) - exact) / abs(exact)) / eps)
    with capsys.disabled():
        print(f"\n{name} in {precision}: largest error {worst:.2f} eps, widened by {FUNCTION_ULPS[name]} eps")
    assert 0 < 4 * worst <= FUNCTION_ULPS[name]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_the_slack_of_circular_functions_is_four_times_the_largest_error(name, precision, capsys):
    """Their error is absolute: the slack is 8 eps (|x| + 1), besides what is relative."""
    dtype, worst = PRECISIONS[precision], 0.0
    x = dense(dtype, 1e4)
    found = np.asarray(jax.jit(jax.vmap(COMPILED[name]))(x))
    for argument, value in zip(x, found):
        error = abs(mpmath.mpf(float(value)) - FUNCTIONS[name][0](mpmath.mpf(float(argument))))
        worst = max(worst, float(error) / float(np.finfo(dtype).eps) / (abs(float(argument)) + 1))
    with capsys.disabled():
        print(f"\n{name} in {precision}: largest error {worst:.2f} eps (|x| + 1), slack 8")
    assert 0 < 4 * worst <= 8


def dense(dtype: type, largest: float) -> np.ndarray:
    """4000 arguments: half of them of all sizes, half evenly in [-20, 20]."""
    rng = np.random.default_rng(11)
    sizes = 10.0 ** rng.uniform(-12, np.log10(largest), 2000) * rng.choice([-1, 1], 2000)
    return np.concatenate([sizes, rng.uniform(-20, 20, 2000)]).astype(dtype)


def test_sign_and_size():
    at = [(-3.0, 2.0), (1.0, 4.0), (-5.0, -2.0), (0.0, 0.0), (0.0, 1.0)]
    assert [float(Interval(*map(jnp.asarray, e)).magnitude()) for e in at] == [3, 4, 5, 0, 1]
    assert [float(Interval(*map(jnp.asarray, e)).mignitude()) for e in at] == [0, 1, 2, 0, 0]
    assert [bool(Interval(*map(jnp.asarray, e)).contains_zero()) for e in at] == [
        True,
        False,
        False,
        True,
        True,
    ]
    assert float(Interval(jnp.asarray(1.0), jnp.asarray(4.0)).middle) == 2.5
    point = Interval.exact(jnp.asarray(0.1))
    assert Interval.exact(point) is point
    assert point.lo is point.hi


def test_a_quotient_by_an_interval_that_holds_zero_is_the_whole_line():
    for ends in ((-1.0, 1.0), (0.0, 1.0), (-1.0, 0.0), (0.0, 0.0)):
        out = Interval(*map(jnp.asarray, ends)).reciprocal()
        assert (float(out.lo), float(out.hi)) == (-np.inf, np.inf)


def test_a_square_is_tighter_than_a_product():
    x = Interval(jnp.asarray(-1.0), jnp.asarray(2.0))
    assert float(x.square().lo) == 0
    assert float((x * x).lo) < -1.9
    (out,) = evaluate(trace(lambda h: h * h, (1,)), [x])
    assert float(out[0].lo) == 0


@pytest.mark.parametrize("precision", PRECISIONS)
def test_widening_grows_at_zero_and_among_subnormals(precision):
    info = jnp.finfo(precision)
    for x in (0.0, float(info.smallest_subnormal), float(info.tiny), 1.0, -1.0, -float(info.tiny)):
        lo, hi = jax.jit(intervals.widen)(jnp.asarray(x, precision), jnp.asarray(x, precision))
        assert float(lo) <= x - float(info.tiny) / 2
        assert float(hi) >= x + float(info.tiny) / 2


def test_functions_over_wide_intervals_reach_their_extremes():
    def bounds(name, lo, hi):
        value, _ = getattr(Interval(jnp.asarray(lo), jnp.asarray(hi)), f"{name}_with_derivative")()
        return float(value.lo), float(value.hi)

    assert bounds("sin", 0.0, 7.0) == (-1, 1)
    assert bounds("sin", 0.0, 2.0)[1] == 1
    assert -1e-14 < bounds("sin", 0.0, 2.0)[0] <= 0
    assert bounds("cos", -1.0, 1.0)[1] == 1
    assert bounds("cos", 3.0, 3.5)[0] == -1
    assert bounds("cos", -1e300, 1e300) == (-1, 1)
    _, slope = Interval(jnp.asarray(-1.0), jnp.asarray(2.0)).logistic_with_derivative()
    assert float(slope.hi) == 0.25


def test_a_field_over_intervals_holds_its_values():
    """A gated field, all rules together, on random boxes; inside them against 60 digits."""
    m = np.array([[1.5, -0.3], [0.7, 2.0]])

    def field(h):
        r = jax.nn.sigmoid(m @ h + 0.3)
        return jnp.tanh(3.0 * m @ (r * h)) - h + jnp.sin(h[::-1]) / (2.0 + jnp.exp(h)) - h**3

    def exact(h):
        rows = [[mpmath.mpf(float(v)) for v in row] for row in m]
        three = [[mpmath.mpf(float(v)) for v in row] for row in 3.0 * m]
        r = [1 / (1 + mpmath.exp(-(a * h[0] + b * h[1] + mpmath.mpf(0.3)))) for a, b in rows]
        t = [mpmath.tanh(a * r[0] * h[0] + b * r[1] * h[1]) for a, b in three]
        return [t[i] - h[i] + mpmath.sin(h[1 - i]) / (2 + mpmath.exp(h[i])) - h[i] ** 3 for i in range(2)]

    closed = trace(field, (2,))

    def enclose(lo, hi):
        (out,) = evaluate(
            closed, [Interval(a, b) for a, b in zip(lo, hi)], lift=lambda x: Interval.exact(jnp.asarray(x))
        )
        return jnp.array([v.lo for v in out]), jnp.array([v.hi for v in out])

    rng = np.random.default_rng(2)
    middle, half = rng.uniform(-2, 2, (150, 2)), 10.0 ** rng.uniform(-16, 0, (150, 1))
    lo, hi = jax.jit(jax.vmap(enclose))(middle - half, middle + half)
    for m_, h_, a, b in zip(middle, half, np.asarray(lo), np.asarray(hi)):
        for corner in (m_, m_ - h_, m_ + h_, m_ + h_ * np.array([1, -1])):
            for value, low, high in zip(exact([mpmath.mpf(float(v)) for v in corner]), a, b):
                assert holds(low, high, value)
    sharp = half[:, 0] < 1e-14
    assert (np.asarray(hi - lo)[sharp] < 1e-12).all()
