r"""Taylor's method as a diffrax solver, and trajectories of any vector field.

A step from t0 to t1 = t0 + h writes t = t0 + theta h and expands the solution of dy/dtheta = h f(t, y) in theta,

    y(theta) = sum_{k=0..p} c_k theta^k,      (k + 1) c_{k+1} = [h f(t0 + theta h, y(theta))]_k,

by evaluating the jaxpr of f over series (`arithmetic.series`): time is the series t0 + h theta, `args` and
whatever else f closes over are constants. y(1) is the step; the polynomial is its own dense output, as exact
between the ends of a step as at them. The error estimate is the larger of the last two terms, the criterion of
Jorba & Zou (2005, Experimental Mathematics 14): one term alone may vanish, as in any odd or even solution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array, ArrayLike, Float, Int, PyTree, Shaped

from ..records import InputError, Status
from ..records import field as column
from .arithmetic import Tape, UnsupportedPrimitive, evaluate, together
from .arithmetic.interpreter import _ELEMENTWISE
from .arithmetic.series import Series
from .flow import derivative, horner

Scalar = float | int | Array | np.ndarray

MAX_ORDER = 40
"""Beyond it rounding outgrows what further terms add, and the program grows as the order squared."""
MAX_SCALARS = 3
"""Numbers in the state up to which it is written out as scalars: beyond, compiling outlasts computing."""


class TaylorInterpolation(diffrax.AbstractLocalInterpolation):
    """The polynomial of a step: sum_k c_k theta^k at theta = (t - t0) / (t1 - t0)."""

    t0: Scalar
    t1: Scalar
    coefficients: PyTree[Shaped[Array, "terms ?*y"], "Y"]

    def evaluate(self, t0: Scalar, t1: Scalar | None = None, left: bool = True) -> PyTree[Array]:
        """The state at `t0`, or its increment from `t0` to `t1`; times inside the step."""
        del left
        if t1 is not None:
            return jax.tree.map(jnp.subtract, self.evaluate(t1), self.evaluate(t0))
        theta, _ = self._theta(t0)
        return jax.tree.map(lambda c: horner(list(c), theta.astype(c.dtype)), self.coefficients)

    def derivative(self, t: Scalar, left: bool = True) -> PyTree[Array]:
        """dy/dt at `t`."""
        del left
        theta, span = self._theta(t)
        return jax.tree.map(
            lambda c: horner(derivative(list(c)), theta.astype(c.dtype)) / span.astype(c.dtype),
            self.coefficients,
        )

    def _theta(self, t: Scalar) -> tuple[Array, Array]:
        """theta of `t`, and the length of the step, which is 1 where it has none, to keep gradients finite."""
        span = jnp.asarray(self.t1 - self.t0)
        span = jnp.where(span == 0, jnp.ones_like(span), span)
        return jnp.asarray(t - self.t0) / span, span


class Taylor(diffrax.AbstractAdaptiveSolver[None]):
    """Taylor's method of any order for ordinary differential equations, with its own dense output.

    Any pytree of floating arrays is a state. Forward, backward, batched, differentiated, with events and every
    kind of `SaveAt`, as other diffrax solvers. Use `diffrax.PIDController(rtol, atol)`, whose integral
    controller on the estimate above is the step-size rule of Jorba & Zou a posteriori: diffrax settles a step
    before a solver sees it, so the rule that reads the step off the series has no place there (the sweeps'
    own steps use it: `flow.step_size`).

    **Arguments**

    - `order`: the degree p of the polynomials, 2 to 40; 10 suits tolerances of 1e-8 to 1e-12, 6 float32.

    Refused: other orders; when stepping, a field with a primitive without a rule (`UnsupportedPrimitive`
    names it; `arithmetic.supported` tells beforehand).
    """

    degree: int = eqx.field(static=True)

    term_structure: ClassVar = diffrax.ODETerm
    interpolation_cls: ClassVar[Callable[..., TaylorInterpolation]] = TaylorInterpolation

    def __init__(self, order: int = 10):
        if isinstance(order, bool) or not isinstance(order, int) or not 2 <= order <= MAX_ORDER:
            raise InputError("order", f"an integer from 2 to {MAX_ORDER}", order)
        self.degree = order

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
        series = _expand(lambda t, y: terms.vf_prod(t, y, args, control), t0, t1 - t0, y0, self.degree)
        y1 = jax.tree.map(lambda c: horner(list(c), 1.0), series)
        return y1, jax.tree.map(_last, series), {"coefficients": series}, None, diffrax.RESULTS.successful

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)


def _expand(rate: Callable, t0: Scalar, span: Scalar, y0: PyTree, degree: int) -> PyTree:
    """c_0 to c_degree, one array (degree + 1, ...) a leaf, of dy/dtheta = rate(t0 + theta span, y)."""
    leaves, structure = jax.tree.flatten(y0)
    tape, time, states, rates = _trace(jax.make_jaxpr(rate)(t0, y0), t0, leaves)
    for k in range(degree):
        tape.extend(k)
        time.coefficients.append(_at(span, k))
        for variable, slope in zip(chain(*states), chain(*rates), strict=True):
            variable.coefficients.append(_at(slope, k) * (1.0 / (k + 1)))
    table = [[[c.astype(y.dtype) for c in x.coefficients] for x in xs] for xs, y in zip(states, leaves)]
    columns = [jnp.stack([jnp.stack(c) for c in row], axis=1) for row in _joined(table)]
    return jax.tree.unflatten(structure, [c.reshape(degree + 1, *y.shape) for c, y in zip(columns, leaves)])


def _trace(closed: core.ClosedJaxpr, t0: Scalar, leaves: list) -> tuple[Tape, Series, list, list]:
    """A tape of the field, with the series of time and, a list each leaf, those of the state and of its rate.

    A small state is written out as scalars, whose steps fuse into one loop over a batch; the series of a
    larger one are of whole arrays, so that the program does not grow with it.
    """
    tape = Tape()
    if sum(leaf.size for leaf in leaves) <= MAX_SCALARS:
        time = tape.variable(jnp.asarray(t0))
        scalars = [[tape.variable(leaf[i]) for i in np.ndindex(leaf.shape)] for leaf in leaves]
        shaped = [_object(row).reshape(leaf.shape) for row, leaf in zip(scalars, leaves)]
        with suppress(UnsupportedPrimitive):  # whole arrays need fewer rules
            return tape, time, scalars, [list(r.flat) for r in evaluate(closed, time, *shaped)]
        tape = Tape()
    time, *states = (tape.variable(jnp.asarray(x)) for x in (t0, *leaves))
    try:
        rates = _evaluate(closed.jaxpr, closed.consts, [time, *states], tape)
    except UnsupportedPrimitive as error:
        error.add_note("Taylor needs a rule for every primitive of the vector field; diffrax.Tsit5 needs none.")
        raise
    return tape, time, [[x] for x in states], [[r] for r in rates]


def _object(row: list) -> np.ndarray:
    out = np.empty(len(row), dtype=object)
    out[:] = row
    return out


@jax.custom_jvp
def _joined(table: PyTree) -> PyTree:
    """`arithmetic.together`, the identity, with the derivative that its reduction does not have."""
    return together(table)


_joined.defjvp(lambda primals, tangents: (_joined(*primals), *tangents))


def _evaluate(jaxpr: core.Jaxpr, consts: Sequence, arguments: Sequence, tape: Tape) -> list:
    """The outputs of a jaxpr over series of whole arrays, whatever does not depend on one staying plain.

    `arithmetic.evaluate` writes arrays out as scalars, which suits planar fields in large batches; here the
    program must not grow with the number of units.
    """
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *arguments), strict=True))

    def read(atom):
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        inputs, name = [read(atom) for atom in equation.invars], equation.primitive.name
        if name in _CALLS:
            inner = equation.params[_CALLS[name]]
            inner = inner if isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, ())
            outputs = _evaluate(inner.jaxpr, inner.consts, inputs, tape)
        elif not any(isinstance(x, Series) for x in inputs):
            outputs = _bind(equation, inputs)
        elif name in _ELEMENTWISE:
            outputs = [_ELEMENTWISE[name](equation.params)(*inputs)]
        elif name == "dot_general":
            outputs = [Series(tape, [], partial(_product, equation, *inputs))]
        elif name in _LINEAR:
            sizes = range(len(equation.outvars))
            outputs = [Series(tape, [], partial(_linear, equation, inputs, i)) for i in sizes]
        else:
            raise UnsupportedPrimitive(name)
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
"""Primitives that wrap a jaxpr and do nothing else, and where they keep it."""
_LINEAR = frozenset(
    "broadcast_in_dim reshape squeeze expand_dims transpose slice split concatenate stack rev pad gather "
    "dynamic_slice select_n reduce_sum cumsum".split()
)
"""Primitives that are linear in all their floating operands together; the others are indices and conditions."""


def _bind(equation, operands: Sequence) -> list:
    out = equation.primitive.bind(*operands, **equation.params)
    return out if equation.primitive.multiple_results else [out]


def _at(x, k: int):
    """Coefficient k of a series, or of what does not change."""
    if isinstance(x, Series):
        return x[k]
    return x if k == 0 else jnp.zeros_like(x)


def _linear(equation, inputs: Sequence, output: int, k: int) -> Array:
    moving = [jnp.issubdtype(jnp.result_type(_at(x, 0)), jnp.floating) for x in inputs]
    return _bind(equation, [_at(x, k) if moves else x for x, moves in zip(inputs, moving)])[output]


def _product(equation, a, b, k: int) -> Array:
    """Coefficient k of a contraction: a convolution where both factors are series."""
    if isinstance(a, Series) and isinstance(b, Series):
        pairs = [(a[j], b[k - j]) for j in range(k + 1)]
    else:
        pairs = [(a[k] if isinstance(a, Series) else a, b[k] if isinstance(b, Series) else b)]
    terms = [_bind(equation, pair)[0] for pair in pairs]
    return sum(terms[1:], terms[0])


def _last(c: Array) -> Array:
    """The larger of the last two terms; infinite where the series overflowed, which a controller understands."""
    size = jnp.maximum(jnp.abs(c[-1]), jnp.abs(c[-2]))
    return jnp.where(jnp.isfinite(size), size, jnp.inf)


def unsupported(field: Callable, h0: ArrayLike) -> str | None:
    """The first primitive of `field(h)` without a rule for Taylor's method, None where all have one."""
    try:
        jax.eval_shape(lambda h: _expand(lambda _, y: field(y), 0.0, 1.0, h, 2), jnp.asarray(h0))
    except UnsupportedPrimitive as error:
        return error.primitive
    return None


class Trajectory(eqx.Module):
    """A solution of dh/dt = f(h) at chosen times.

    `solver` says what computed it, e.g. `taylor(10)` or `tsit5`, `tolerance` how closely (relative and
    absolute, a step). States that were not reached are NaN, and then `status` is `failed`.
    """

    time: Float[Array, " n"] = column(long_name="time", units="time", dims=("time",))
    state: Float[Array, "n d"] = column(long_name="state", dims=("time", "unit"))
    status: Int[Array, ""] = column(long_name="whether every time was reached", flags=Status, dtype="int8")
    steps: Int[Array, ""] = column(long_name="number of steps, rejected ones included", dtype="int32")
    solver: str = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)


def trajectory(
    field: Callable,
    h0: ArrayLike,
    times: ArrayLike,
    *,
    tolerance: float = 1e-10,
    solver: diffrax.AbstractSolver | None = None,
    max_steps: int = 100_000,
) -> Trajectory:
    """The solution of dh/dt = field(h) through `h0`, of any dimension; works under jit and vmap.

    **Arguments**

    - `field`: the vector field, (d,) to (d,), per unit of time. An equinox module is compiled once for all
      its parameters.
    - `h0`: the state at `times[0]`, (d,).
    - `times`: where the solution is wanted, (n,), increasing or decreasing.
    - `tolerance`: relative and absolute error of a step; in float32 no less than 1e-6, where rounding rules.
    - `solver`: any adaptive diffrax solver. None: `Taylor(10)` where every primitive of the field has a rule
      and d is at most 16, `diffrax.Tsit5()` elsewhere; the record says which.
    - `max_steps`: after so many the rest is given up.

    Returns a `Trajectory`. Refused: arguments that are not as above.
    """
    h0, times = _floating("h0", h0), _floating("times", times)
    _check(field, h0, times, tolerance, solver, max_steps)
    if solver is None:
        solver = Taylor() if unsupported(field, h0) is None else diffrax.Tsit5()
    tolerance = max(float(tolerance), 8.0 * float(jnp.finfo(h0.dtype).eps))
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_autonomous),
        solver,
        t0=times[0].astype(h0.dtype),
        t1=times[-1].astype(h0.dtype),
        dt0=None,
        y0=h0,
        args=field,
        saveat=diffrax.SaveAt(ts=times.astype(h0.dtype)),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
        max_steps=max_steps,
        throw=False,
    )
    reached = (solution.result == diffrax.RESULTS.successful) & jnp.all(jnp.isfinite(solution.ys))
    return Trajectory(
        time=solution.ts,
        state=jnp.where(jnp.isfinite(solution.ys), solution.ys, jnp.nan),
        status=jnp.where(reached, Status.OK, Status.FAILED).astype(jnp.int32),
        steps=jnp.asarray(solution.stats["num_steps"], jnp.int32),
        solver=_name(solver),
        tolerance=tolerance,
    )


def _autonomous(t, y, args):
    # The field travels as `args`: a module's parameters stay arguments of the compiled program.
    return args(y)


def _name(solver: diffrax.AbstractSolver) -> str:
    return f"taylor({solver.degree})" if isinstance(solver, Taylor) else type(solver).__name__.lower()


def _floating(name: str, value: ArrayLike) -> Array:
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise InputError(name, "an array of numbers", value) from None
    if array.ndim != 1 or array.size == 0 or jnp.iscomplexobj(array):
        raise InputError(name, "a real array of shape (n,)", f"{array.dtype} of shape {array.shape}")
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.result_type(float))


def _check(field, h0: Array, times: Array, tolerance, solver, max_steps) -> None:
    if not callable(field):
        raise InputError("field", "a function of the state", field)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 < tolerance < 1:
        raise InputError("tolerance", "a number between 0 and 1", tolerance)
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
        raise InputError("max_steps", "a positive integer", max_steps)
    if solver is not None and not isinstance(solver, diffrax.AbstractAdaptiveSolver):
        raise InputError("solver", "an adaptive diffrax solver or None", solver)
    if not isinstance(h0, jax.core.Tracer) and not bool(jnp.isfinite(h0).all()):
        raise InputError("h0", "finite numbers", np.asarray(h0))
    if not isinstance(times, jax.core.Tracer):
        gaps = np.diff(np.asarray(times))
        if not (gaps.size and np.isfinite(gaps).all() and ((gaps > 0).all() or (gaps < 0).all())):
            raise InputError("times", "two or more finite times, increasing or decreasing", np.asarray(times))
    out = jax.eval_shape(field, h0)
    if getattr(out, "shape", None) != h0.shape:
        raise InputError("field", f"a rate of shape {h0.shape}", getattr(out, "shape", out))
