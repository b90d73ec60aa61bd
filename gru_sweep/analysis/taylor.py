r"""Taylor's method as a diffrax solver, and trajectories of any vector field.

A step from t0 to t1 = t0 + h expands the solution in theta = (t - t0) / h, so that dy/dtheta = h f(t, y):

    y(theta) = sum_{k=0..p} c_k theta^k,      (k + 1) c_{k+1} = [h f(t0 + theta h, y(theta))]_k.

The jaxpr of f is evaluated over series (`arithmetic.series`): time is the series t0 + h theta; `args` and
whatever else f closes over are constants. y(1) is the step, and the polynomial its dense output, as exact
inside a step as at its end. The error estimate is the larger of the last two terms (Jorba & Zou 2005,
Experimental Mathematics 14): one alone vanishes along odd and even solutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.extend import core
from jaxtyping import Array, Float, Int, PyTree, Shaped

from ..records import InputError, Status
from ..records import field as column
from .arithmetic import Tape, UnsupportedPrimitive, evaluate, together
from .arithmetic.interpreter import ELEMENTWISE
from .arithmetic.series import Series
from .flow import horner

Scalar = float | int | Array | np.ndarray

MAX_ORDER = 40
"""The program, and the time to compile it, grow as the order squared."""


class TaylorInterpolation(diffrax.AbstractLocalInterpolation):
    """The polynomial of a step: sum_k c_k theta^k at theta = (t - t0) / (t1 - t0)."""

    t0: Scalar  # type: ignore[misc]  # abstract in diffrax, which tells type checkers otherwise
    t1: Scalar  # type: ignore[misc]
    coefficients: PyTree[Shaped[Array, "terms ?*y"], "Y"]

    def evaluate(self, t0: Scalar, t1: Scalar | None = None, left: bool = True) -> PyTree[Array]:
        """The state at `t0`, or its increment from `t0` to `t1`; times inside the step."""
        del left
        if t1 is not None:
            return jax.tree.map(jnp.subtract, self.evaluate(t1), self.evaluate(t0))
        span = jnp.asarray(self.t1 - self.t0)
        theta = (t0 - self.t0) / jnp.where(span == 0, jnp.ones_like(span), span)
        return jax.tree.map(lambda c: horner(list(c), theta.astype(c.dtype)), self.coefficients)


class Taylor(diffrax.AbstractAdaptiveSolver[None]):
    """Taylor's method of any order for ordinary differential equations, with its own dense output.

    The state is any pytree of floating arrays. Use `diffrax.PIDController(rtol, atol)`: on the estimate above
    it is the rule of Jorba & Zou a posteriori. diffrax settles a step before its solver sees it, so that no
    controller can read it off the series (`flow.step_size` does, in the sweeps).

    **Arguments**

    - `order`: degree p of the polynomials, 2 to 40; the smaller the tolerance, the higher.
    - `fused`: write the state out as scalars, whose steps XLA can fuse: an order of magnitude faster over
      large batches of planar systems, not for derivatives nor for more than about four numbers (compiling).

    Refused: other orders; on stepping, a field with a primitive without a rule (`UnsupportedPrimitive` names
    it; `unsupported` tells beforehand).
    """

    degree: int = eqx.field(static=True)
    fused: bool = eqx.field(static=True)

    term_structure: ClassVar = diffrax.ODETerm
    interpolation_cls: ClassVar[Callable[..., TaylorInterpolation]] = TaylorInterpolation

    def __init__(self, order: int = 10, *, fused: bool = False):
        if isinstance(order, bool) or not isinstance(order, int) or not 2 <= order <= MAX_ORDER:
            raise InputError("order", f"an integer from 2 to {MAX_ORDER}", order)
        self.degree, self.fused = order, bool(fused)

    def order(self, terms) -> int:
        return self.degree

    def error_order(self, terms) -> int:
        """The last term but one is what remains of the estimate as steps shrink."""
        return self.degree - 1

    def init(self, terms, t0, t1, y0, args) -> None:
        return None

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        del solver_state, made_jump
        control = terms.contr(t0, t1)
        rate = lambda t, y: terms.vf_prod(t, y, args, control)  # noqa: E731
        try:
            series = _expand(rate, t0, t1 - t0, y0, self.degree, self.fused)
        except UnsupportedPrimitive as error:
            error.add_note("Taylor needs a rule for every primitive of the field; diffrax.Tsit5 needs none.")
            raise
        y1 = jax.tree.map(lambda c: horner(list(c), 1.0), series)
        return y1, jax.tree.map(_estimate, series), {"coefficients": series}, None, diffrax.RESULTS.successful

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)


def _estimate(c: Array) -> Array:
    """The larger of the last two terms; infinite after an overflow: controllers do not recover from NaN."""
    size = jnp.maximum(jnp.abs(c[-1]), jnp.abs(c[-2]))
    return jnp.where(jnp.isfinite(size), size, jnp.inf)


def _expand(rate: Callable, t0: Scalar, span: Scalar, y0: PyTree, degree: int, fused: bool = False) -> PyTree:
    """c_0 to c_degree, one array (degree + 1, ...) a leaf, of dy/dtheta = rate(t0 + theta span, y)."""
    (leaves, structure), tape = jax.tree.flatten(y0), Tape()
    if fused:
        vectors = [jnp.reshape(y, -1) for y in (t0, *leaves)]
        (time,), *parts = ([tape.variable(x) for x in vector] for vector in vectors)
        whole = lambda vs: jax.tree.unflatten(structure, map(jnp.reshape, vs, map(jnp.shape, leaves)))  # noqa: E731
        closed = jax.make_jaxpr(lambda t, *vs: rate(t[0], whole(vs)))(*vectors)
        states = [x for part in parts for x in part]
        rates = [x for part in evaluate(closed, [time], *parts) for x in part.flat]
    else:
        time, *states = (tape.variable(jnp.asarray(x)) for x in (t0, *leaves))
        rates = _evaluate(jax.make_jaxpr(rate)(t0, y0), [time, *states], tape)
    for k in range(degree):
        tape.extend(k)
        time.coefficients.append(_at(span, k))
        for state, slope in zip(states, rates, strict=True):
            state.coefficients.append(_at(slope, k) * (1.0 / (k + 1)))
    series = [tuple(x.coefficients) for x in states]
    rows = iter(together(series) if fused else series)
    tables = [jnp.stack([jnp.stack(next(rows)) for _ in range(y.size if fused else 1)], 1) for y in leaves]
    shaped = [c.reshape(degree + 1, *y.shape).astype(y.dtype) for c, y in zip(tables, leaves)]
    return jax.tree.unflatten(structure, shaped)


def _evaluate(closed: core.ClosedJaxpr, arguments: Sequence, tape: Tape) -> list:
    """The outputs of a jaxpr over series of whole arrays; what does not depend on one stays plain.

    `arithmetic.evaluate` writes arrays out, for fusion; this program does not grow with the state.
    """
    jaxpr = closed.jaxpr
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*closed.consts, *arguments), strict=True))

    def read(atom):
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        inputs, name = [read(atom) for atom in equation.invars], equation.primitive.name
        if name in _CALLS:
            outputs = _evaluate(equation.params[_CALLS[name]], inputs, tape)
        elif not any(isinstance(x, Series) for x in inputs):
            outputs = _bind(equation, inputs)
        elif name in ELEMENTWISE:
            outputs = [ELEMENTWISE[name](equation.params)(*inputs)]
        elif name == "dot_general":
            outputs = [Series(tape, [], partial(_product, equation, *inputs))]
        elif name in _LINEAR:
            sizes = range(len(equation.outvars))
            outputs = [Series(tape, [], partial(_linear, equation, inputs, i)) for i in sizes]
        else:
            raise UnsupportedPrimitive(name)
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


_CALLS = {"jit": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
"""Primitives that wrap a jaxpr and do nothing else, and where they keep it."""
_LINEAR = {
    *("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "slice", "split", "concatenate"),
    *("stack", "rev", "pad", "gather", "dynamic_slice", "select_n", "reduce_sum", "cumsum"),
}
"""Primitives linear in all their floating operands together; the others are indices and conditions."""


def _bind(equation, operands: Sequence) -> list:
    out = equation.primitive.bind(*operands, **equation.params)
    return out if equation.primitive.multiple_results else [out]


def _at(x, k: int):
    """Coefficient k of a series, or of what does not change."""
    if isinstance(x, Series):
        return x[k]
    return x if k == 0 else jnp.zeros_like(x)


def _linear(equation, inputs: Sequence, output: int, k: int) -> Array:
    fixed = [not jnp.issubdtype(jnp.result_type(_at(x, 0)), jnp.floating) for x in inputs]
    return _bind(equation, [x if still else _at(x, k) for x, still in zip(inputs, fixed)])[output]


def _product(equation, a, b, k: int) -> Array:
    """Coefficient k of a contraction: a convolution where both factors are series."""
    if isinstance(a, Series) and isinstance(b, Series):
        terms = [_bind(equation, (a[j], b[k - j]))[0] for j in range(k + 1)]
        return sum(terms[1:], terms[0])
    return _bind(equation, (a[k], b) if isinstance(a, Series) else (a, b[k]))[0]


def unsupported(field: Callable, h0: npt.ArrayLike) -> str | None:
    """The first primitive of `field(h)` that `Taylor` has no rule for, None where there is none."""
    try:
        jax.eval_shape(lambda h: _expand(lambda _, y: field(y), 0.0, 1.0, h, 2), jnp.asarray(h0))
    except UnsupportedPrimitive as error:
        return error.primitive
    return None


class Trajectory(eqx.Module):
    """A solution of dh/dt = f(h) at chosen times.

    `solver` says what computed it (`taylor(10)`, `tsit5` ...), `tolerance` the error allowed to a step.
    States that were not reached are NaN, and then `status` is `failed`.
    """

    solver: str = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    time: Float[Array, " n"] = column(long_name="time", units="time", dims=("time",))
    state: Float[Array, "n d"] = column(long_name="state", dims=("time", "unit"))
    status: Int[Array, ""] = column(long_name="whether every time was reached", flags=Status, dtype="int8")
    steps: Int[Array, ""] = column(long_name="number of steps, rejected ones included", dtype="int32")


def trajectory(
    field: Callable,
    h0: npt.ArrayLike,
    times: npt.ArrayLike,
    *,
    tolerance: float = 1e-10,
    solver: diffrax.AbstractSolver | None = None,
    max_steps: int = 100_000,
) -> Trajectory:
    """The solution of dh/dt = field(h) through `h0`, in any dimension, also under jit, vmap and grad.

    **Arguments**

    - `field`: (d,) to (d,), per unit of time. An equinox module is compiled once for all its parameters.
    - `h0`: the state at `times[0]`, (d,). `times`: where it is wanted, (n,), increasing or decreasing.
    - `tolerance`: relative and absolute error of a step; in float32 1e-6 at the least.
    - `solver`: any adaptive diffrax solver. None: `Taylor(10)` where it has a rule for every primitive of the
      field, `diffrax.Tsit5()` elsewhere; the record says which.
    - `max_steps`: where to give up. Refused: arguments that are not as above.
    """
    h0, times = _vector("h0", h0), _vector("times", times)
    _check(field, h0, times, tolerance, solver, max_steps)
    if solver is None:
        solver = Taylor() if unsupported(field, h0) is None else diffrax.Tsit5()
    times = times.astype(h0.dtype)
    tolerance = max(float(tolerance), 8.0 * float(jnp.finfo(h0.dtype).eps))
    options = {"saveat": diffrax.SaveAt(ts=times), "max_steps": max_steps, "throw": False}
    options["stepsize_controller"] = diffrax.PIDController(rtol=tolerance, atol=tolerance)
    term = diffrax.ODETerm(_autonomous)
    solution = diffrax.diffeqsolve(term, solver, times[0], times[-1], None, h0, field, **options)
    finite = jnp.isfinite(solution.ys)
    reached = (solution.result == diffrax.RESULTS.successful) & jnp.all(finite)
    return Trajectory(
        time=solution.ts,
        state=jnp.where(finite, solution.ys, jnp.nan),
        status=jnp.where(reached, Status.OK, Status.FAILED).astype(jnp.int32),
        steps=jnp.asarray(solution.stats["num_steps"], jnp.int32),
        solver=f"taylor({solver.degree})" if isinstance(solver, Taylor) else type(solver).__name__.lower(),
        tolerance=tolerance,
    )


def _autonomous(t, y, args):
    # The field travels as `args`, so that a module's parameters stay arguments of the compiled program.
    return args(y)


def _vector(name: str, value: npt.ArrayLike) -> Array:
    array = np.asarray(value) if not isinstance(value, jax.Array) else value
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iuf":
        raise InputError(name, "real numbers of shape (n,)", value)
    return jnp.asarray(array, None if array.dtype.kind == "f" else jnp.result_type(float))


def _check(field, h0: Array, times: Array, tolerance, solver, max_steps) -> None:
    known = not isinstance(h0 + times[0], jax.core.Tracer)
    gaps = np.diff(times) if known else np.ones(times.size - 1)
    for name, good, expected, got in (
        ("field", callable(field), "a function of the state", field),
        ("h0", not known or np.isfinite(h0).all(), "finite numbers", h0),
        ("times", gaps.size and abs(np.sign(gaps).sum()) == gaps.size, "increasing or decreasing", times),
        ("tolerance", 0 < tolerance < 1, "a number between 0 and 1", tolerance),
        ("solver", isinstance(solver, diffrax.AbstractAdaptiveSolver | None), "an adaptive solver", solver),
        ("max_steps", max_steps > 0, "a positive integer", max_steps),
    ):
        if not good:
            raise InputError(name, expected, got)
    if getattr(rate := jax.eval_shape(field, h0), "shape", None) != h0.shape:
        raise InputError("field", f"a rate of shape {h0.shape}", rate)
