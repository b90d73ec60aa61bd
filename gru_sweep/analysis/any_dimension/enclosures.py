"""A field and its Jacobian over a box of any dimension, enclosed by intervals of whole arrays.

`arithmetic.evaluate` writes arrays out, for planar fields in large batches. Here an interval holds two arrays
and a dual number one interval per derivative, whose leading axis counts the directions: the program does not
grow with the dimension. Contractions are taken in middle-radius form (Rump 1999, BIT 39): with A = a +- r and
B = b +- s the product lies within |a| s + r (|b| + s) of a b, and a b is computed within n eps |a| |b|.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array, Float

from ..arithmetic import Dual, Interval, UnsupportedPrimitive, trace
from ..arithmetic.interpreter import CALLS, ELEMENTWISE
from ..arithmetic.intervals import widen
from ..arithmetic.numbers import Number, is_zero

MOVES = {
    *("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "slice", "split", "concatenate"),
    *("stack", "rev", "gather", "dynamic_slice", "select_n"),
}
"""Primitives that only move numbers about: they act on both ends of an interval."""


def value(field: Callable, lo: Float[Array, " d"], hi: Float[Array, " d"]) -> Interval:
    """f over the box [lo, hi], (d,)."""
    closed = trace(field, lo.shape, dtype=lo.dtype)
    (out,) = _run(closed.jaxpr, closed.consts, [Interval(lo, hi)])
    return _interval(out, lo)


def value_and_jacobian(
    field: Callable, lo: Float[Array, " d"], hi: Float[Array, " d"]
) -> tuple[Interval, Interval]:
    """f, (d,), and df_i/dh_j, (d, d), over the box [lo, hi]."""
    closed = trace(field, lo.shape, dtype=lo.dtype)
    identity = jnp.eye(lo.size, dtype=lo.dtype)
    (out,) = _run(closed.jaxpr, closed.consts, [Dual(Interval(lo, hi), [Interval(identity, identity)])])
    if not isinstance(out, Dual):
        return _interval(out, lo), Interval(jnp.zeros_like(identity), jnp.zeros_like(identity))
    rows = _interval(out.tangent[0], identity)
    return _interval(out.value, lo), Interval(rows.lo.T, rows.hi.T)


def product(a: Interval | Array, b: Interval | Array) -> Interval:
    """The matrix product a b."""
    return Interval(*_contract(jnp.matmul, _ends(a)[0].shape[-1], _ends(a), _ends(b)))


def _interval(x, like: Array) -> Interval:
    lo, hi = _ends(x)
    return Interval(jnp.broadcast_to(lo, like.shape), jnp.broadcast_to(hi, like.shape))


def _ends(x) -> tuple[Array, Array]:
    return (x.lo, x.hi) if isinstance(x, Interval) else (jnp.asarray(x), jnp.asarray(x))


def _run(jaxpr, consts: Sequence, inputs: Sequence) -> list:
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *inputs), strict=True))

    def read(atom):
        if not isinstance(atom, core.Literal):
            return values[atom]
        # Python floats: the rules know their sign, and fold zeros and ones away
        return (
            float(atom.val) if np.ndim(atom.val) == 0 and np.result_type(atom.val).kind == "f" else atom.val
        )

    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        outputs = _apply(equation, operands)
        shapes = [variable.aval.shape for variable in equation.outvars]
        values.update(zip(equation.outvars, map(_settle, outputs, shapes), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(equation, operands: list) -> list:
    name = equation.primitive.name
    if name in CALLS:
        inner = next(p for p in equation.params.values() if isinstance(p, core.ClosedJaxpr | core.Jaxpr))
        jaxpr, consts = (inner.jaxpr, inner.consts) if isinstance(inner, core.ClosedJaxpr) else (inner, ())
        return _run(jaxpr, consts, operands)
    floating = equation.outvars[0].aval.dtype.kind == "f"
    if name in MOVES or not (floating or any(isinstance(x, Number) for x in operands)):
        return _move(equation, operands)
    if not any(isinstance(x, Number) for x in operands):
        operands = [Interval.exact(jnp.asarray(operands[0])), *operands[1:]]  # constants are rounded too
    if name in ELEMENTWISE:
        shape = equation.outvars[0].aval.shape
        return [ELEMENTWISE[name](equation.params)(*(_spread(x, shape) for x in operands))]
    if name == "dot_general":
        return [_bilinear(equation, *operands)]
    if name == "reduce_sum":
        return [_sum(equation, *operands)]
    raise UnsupportedPrimitive(name)


def _spread(x, shape: tuple[int, ...]):
    """A scalar in the shape of what it meets: the leading axis of its derivatives is not to meet it."""
    if isinstance(x, Dual) and jnp.shape(_ends(x.value)[0]) != shape:
        tangent = x.tangent[0]
        if is_zero(tangent):
            return Dual(_spread(x.value, shape), [tangent])
        ends = (t.reshape(-1, *[1] * len(shape)) for t in _ends(tangent))
        lo, hi = (jnp.broadcast_to(t, (t.shape[0], *shape)) for t in ends)
        return Dual(_spread(x.value, shape), [Interval(lo, hi)])
    if isinstance(x, Interval) and x.lo.shape != shape:
        return Interval(jnp.broadcast_to(x.lo, shape), jnp.broadcast_to(x.hi, shape))
    return x


def _settle(x, shape: tuple[int, ...]):
    """A result in its shape: rules fold zeros and ones to Python numbers, which have none."""
    if isinstance(x, Dual):
        inner = _settle(x.value, shape)
        tangent = x.tangent[0]
        if is_zero(tangent):
            return inner
        return Dual(inner if isinstance(inner, Interval) else Interval.exact(jnp.asarray(inner)), [tangent])
    return x if isinstance(x, Interval) or jnp.shape(x) == shape else jnp.broadcast_to(x, shape)


def _bind(equation, *operands) -> list:
    out = equation.primitive.bind(*operands, **equation.params)
    return list(out) if equation.primitive.multiple_results else [out]


def _move(equation, operands: list) -> list:
    duals = [x for x in operands if isinstance(x, Dual)]
    if duals:
        count = duals[0].tangent[0].lo.shape[0]
        values = _move(equation, [x.value if isinstance(x, Dual) else x for x in operands])
        tangents = [_direction(x, count) for x in operands]
        axes = [0 if isinstance(t, Interval) else None for t in tangents]
        moved = jax.vmap(partial(_bind, equation), in_axes=axes)
        los = moved(*(t.lo if isinstance(t, Interval) else t for t in tangents))
        his = moved(*(t.hi if isinstance(t, Interval) else t for t in tangents))
        return [Dual(v, [Interval(lo, hi)]) for v, lo, hi in zip(values, los, his)]
    if not any(isinstance(x, Interval) for x in operands):
        return _bind(equation, *operands)
    los = _bind(equation, *(x.lo if isinstance(x, Interval) else x for x in operands))
    his = _bind(equation, *(x.hi if isinstance(x, Interval) else x for x in operands))
    return [Interval(lo, hi) for lo, hi in zip(los, his)]


def _direction(x, count: int):
    """The derivatives of an operand: those of a constant are 0, an index has none."""
    if isinstance(x, Dual):
        return x.tangent[0]
    shape, dtype = (x.lo.shape, x.lo.dtype) if isinstance(x, Interval) else (jnp.shape(x), jnp.result_type(x))
    if dtype.kind != "f":
        return x
    zero = jnp.zeros((count, *shape), dtype)
    return Interval(zero, zero)


def _contract(contract: Callable, terms: int, a: tuple, b: tuple) -> tuple[Array, Array]:
    """The ends of a contraction over `terms` products, in middle-radius form."""
    (x, r), (y, s) = _middle_radius(*a), _middle_radius(*b)
    info = jnp.finfo(x.dtype)
    eps, tiny = float(info.eps), float(info.tiny)
    middle, size = contract(x, y), contract(jnp.abs(x), jnp.abs(y))
    spread = contract(jnp.abs(x), s) + contract(r, jnp.abs(y) + s) + (terms + 2) * eps * size
    spread = spread * (1.0 + (2 * terms + 8) * eps) + (terms + 2) * tiny
    return widen(middle - spread, middle + spread)


def _middle_radius(lo: Array, hi: Array) -> tuple[Array, Array]:
    middle = 0.5 * lo + 0.5 * hi
    radius = jnp.maximum(hi - middle, middle - lo)
    # a point stays one: 0 is not widened
    grown = radius * (1.0 + 4.0 * float(jnp.finfo(lo.dtype).eps)) + float(jnp.finfo(lo.dtype).tiny)
    return middle, jnp.where(radius == 0.0, 0.0, grown)


def _bilinear(equation, a, b) -> Number:
    """dot_general, and its derivatives by the product rule."""
    (axes, _), _ = equation.params["dimension_numbers"]
    parts = [x.value if isinstance(x, Dual) else x for x in (a, b)]
    terms = int(np.prod([_ends(parts[0])[0].shape[axis] for axis in axes]))
    params = {**equation.params, "precision": jax.lax.Precision.HIGHEST}
    rule = partial(_contract, partial(equation.primitive.bind, **params), terms)
    result: Number = Interval(*rule(_ends(parts[0]), _ends(parts[1])))
    tangent: Interval | None = None
    if isinstance(a, Dual):
        tangent = Interval(*jax.vmap(rule, (0, None))(_ends(a.tangent[0]), _ends(parts[1])))
    if isinstance(b, Dual):
        other = Interval(*jax.vmap(rule, (None, 0))(_ends(parts[0]), _ends(b.tangent[0])))
        tangent = other if tangent is None else tangent + other
    return result if tangent is None else Dual(result, [tangent])


def _sum(equation, x) -> Number:
    axes = tuple(equation.params["axes"])
    if isinstance(x, Dual):
        return Dual(_total(x.value, axes), [_total(x.tangent[0], tuple(axis + 1 for axis in axes))])
    return _total(x, axes)


def _total(x: Interval, axes: tuple[int, ...]) -> Interval:
    """A sum over axes, in whatever order it is taken."""
    slack = 2.0 * (int(np.prod([x.lo.shape[axis] for axis in axes])) + 2)
    eps, tiny = float(jnp.finfo(x.lo.dtype).eps), float(jnp.finfo(x.lo.dtype).tiny)
    error = slack * (eps * jnp.sum(x.magnitude(), axes) + tiny)
    return Interval(jnp.sum(x.lo, axes) - error, jnp.sum(x.hi, axes) + error)
