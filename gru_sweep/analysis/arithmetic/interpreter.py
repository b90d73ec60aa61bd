"""A small interpreter of jaxprs: a field written as mathematics, evaluated over any number system.

Arrays become NumPy object arrays of numbers and every contraction is written out, so that XLA sees one fused
expression of scalars (a batched `dot_general` on tiny matrices is what breaks fusion). What does not depend
on the state stays plain and is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from . import numbers
from .numbers import Number

CALLS = (
    "jit",
    "pjit",
    "closed_call",
    "core_call",
    "custom_jvp_call",
    "custom_vjp_call",
    "remat2",
    "checkpoint",
)
"""Primitives that stand for the jaxpr they wrap."""


class UnsupportedPrimitive(NotImplementedError):
    """The field uses a primitive that has no rule; `.primitive` names it."""

    def __init__(self, primitive: str):
        self.primitive = primitive
        super().__init__(f"no rule for the primitive '{primitive}' (known: {', '.join(sorted(known()))})")


def trace(field: Callable, *shapes: tuple[int, ...], dtype=None) -> core.ClosedJaxpr:
    """The jaxpr of `field` at arrays of the given shapes, with what it closes over as constants."""
    dtype = dtype or jnp.result_type(float)
    return jax.make_jaxpr(field)(*(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes))


def supported(field: Callable, *shapes: tuple[int, ...]) -> str | None:
    """The first primitive of `field` without a rule, None where all have one."""
    pending = [trace(field, *shapes).jaxpr]
    while pending:
        for equation in pending.pop().eqns:
            inner = _inner(equation)
            if inner is not None:
                pending.append(inner.jaxpr)
            elif equation.primitive.name not in known() or _batched(equation):
                return equation.primitive.name
    return None


def known() -> set[str]:
    """Names of the primitives that have a rule."""
    return set(ELEMENTWISE) | set(_STRUCTURAL) | {"dot_general", "reduce_sum"}


def evaluate(
    closed: core.ClosedJaxpr, *arguments: Sequence, lift: Callable[[Any], Number] | None = None
) -> list[np.ndarray]:
    """The outputs of a jaxpr as object arrays, its inputs being (nested) sequences of numbers.

    `lift` turns a plain number into one whose operations keep account of their own rounding: with it even
    expressions of constants alone (a gate's bias) are evaluated over that number system.
    """
    inputs = [_objects(a) for a in arguments]
    return _run(closed.jaxpr, [_objects(c) for c in closed.consts], inputs, lift)


def _objects(value) -> np.ndarray:
    """An object array of scalars from an array, a scalar or a sequence of numbers."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value
    if isinstance(value, (list, tuple)):
        rows = [_objects(v) for v in value]
        out = np.empty((len(rows), *rows[0].shape), dtype=object)
        for i, row in enumerate(rows):
            for index in np.ndindex(row.shape):
                out[(i, *index)] = row[index]
        return out
    shape = () if isinstance(value, Number) else np.shape(value)
    out = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        out[index] = value[index] if shape else _scalar(value)
    return out


def _scalar(value):
    if isinstance(value, (np.ndarray, np.generic, int)) and not isinstance(value, bool):
        return float(value)
    return value


def _run(jaxpr, consts, inputs, lift) -> list[np.ndarray]:
    values: dict[Any, np.ndarray] = {}

    def read(atom):
        return _objects(atom.val) if isinstance(atom, core.Literal) else values[atom]

    values.update(zip(jaxpr.constvars, consts))
    values.update(zip(jaxpr.invars, inputs))
    for equation in jaxpr.eqns:
        arguments = [read(atom) for atom in equation.invars]
        inner, name = _inner(equation), equation.primitive.name
        if inner is not None:
            outputs = _run(inner.jaxpr, [_objects(c) for c in inner.consts], arguments, lift)
        elif name in ELEMENTWISE:
            outputs = [_map(ELEMENTWISE[name](equation.params), lift, *arguments)]
        elif name in _STRUCTURAL:
            outputs = [_STRUCTURAL[name](equation.params, *arguments)]
        elif name == "dot_general":
            outputs = [_dot(equation.params, lift, *arguments)]
        elif name == "reduce_sum":
            outputs = [_reduce_sum(equation.params, arguments[0])]
        else:
            raise UnsupportedPrimitive(name)
        values.update(zip(equation.outvars, outputs))
    return [read(atom) for atom in jaxpr.outvars]


def _inner(equation) -> core.ClosedJaxpr | None:
    """The jaxpr that a call primitive (jit, custom_jvp_call ...) wraps; loops and branches are no calls."""
    if equation.primitive.name not in CALLS:
        return None
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        inner = equation.params.get(key)
        if inner is not None:
            return inner if isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, ())
    return None


def _batched(equation) -> bool:
    """Whether this is a dot_general with batch dimensions, which has no rule."""
    return equation.primitive.name == "dot_general" and any(equation.params["dimension_numbers"][1])


def _map(rule, lift, *arguments) -> np.ndarray:
    arrays = np.broadcast_arrays(*arguments) if len(arguments) > 1 else arguments
    out = np.empty(arrays[0].shape, dtype=object)
    for index in np.ndindex(out.shape):
        operands = [a[index] for a in arrays]
        if lift is not None and not any(isinstance(x, Number) for x in operands):
            operands[0] = lift(operands[0])
        out[index] = rule(*operands)
    return out


def _dot(params, lift, a, b) -> np.ndarray:
    """dot_general without batch dimensions, written out."""
    (a_contract, b_contract), (a_batch, b_batch) = params["dimension_numbers"]
    if a_batch or b_batch:
        raise UnsupportedPrimitive("dot_general with batch dimensions")
    a = np.moveaxis(a, a_contract, range(a.ndim - len(a_contract), a.ndim))
    b = np.moveaxis(b, b_contract, range(len(b_contract)))
    inner = b.shape[: len(b_contract)]
    rows, columns = a.shape[: a.ndim - len(inner)], b.shape[len(inner) :]
    out = np.empty((*rows, *columns), dtype=object)
    for i in np.ndindex(rows):
        for j in np.ndindex(columns):
            total: Any = 0.0
            for k in np.ndindex(inner):
                x, y = a[(*i, *k)], b[(*k, *j)]
                if lift is not None and not isinstance(x, Number) and not isinstance(y, Number):
                    x = lift(x)
                total = numbers.add(total, numbers.multiply(x, y))
            out[(*i, *j)] = total
    return out


def _reduce_sum(params, a) -> np.ndarray:
    axes = tuple(params["axes"])
    a = np.moveaxis(a, axes, range(len(axes)))
    out = np.empty(a.shape[len(axes) :], dtype=object)
    for index in np.ndindex(out.shape):
        total: Any = 0.0
        for k in np.ndindex(a.shape[: len(axes)]):
            total = numbers.add(total, a[(*k, *index)])
        out[index] = total
    return out


def _unary(name):
    return lambda params: lambda x: numbers.function(name, x)


def _negative(x):
    return -x


ELEMENTWISE: dict[str, Callable] = {
    "add": lambda params: numbers.add,
    "add_any": lambda params: numbers.add,
    "sub": lambda params: lambda x, y: x - y,
    "mul": lambda params: lambda x, y: numbers.square(x) if x is y else numbers.multiply(x, y),
    "div": lambda params: lambda x, y: x / y,
    "neg": lambda params: _negative,
    "square": lambda params: numbers.square,
    "integer_pow": lambda params: lambda x: numbers.integer_power(x, params["y"]),
    "convert_element_type": lambda params: lambda x: x,
    "copy": lambda params: lambda x: x,
    **{name: _unary(name) for name in numbers.UNARY},
}
"""Rules of the primitives that act entry by entry: parameters to a function of numbers."""


def _broadcast(params, a) -> np.ndarray:
    shape, dims = params["shape"], params["broadcast_dimensions"]
    view = np.empty([shape[d] if d in dims else 1 for d in range(len(shape))], dtype=object)
    expanded = a.reshape([a.shape[dims.index(d)] if d in dims else 1 for d in range(len(shape))])
    view[...] = expanded
    return np.broadcast_to(view, shape)


def _slice(params, a) -> np.ndarray:
    strides = params["strides"] or (1,) * a.ndim
    return a[tuple(map(slice, params["start_indices"], params["limit_indices"], strides))]


_STRUCTURAL: dict[str, Callable] = {
    "broadcast_in_dim": _broadcast,
    "reshape": lambda params, a: a.reshape(params["new_sizes"]),
    "stack": lambda params, *arrays: np.stack(arrays, axis=params["axis"]),
    "squeeze": lambda params, a: np.squeeze(a, tuple(params["dimensions"])),
    "expand_dims": lambda params, a: np.expand_dims(a, tuple(params["dimensions"])),
    "transpose": lambda params, a: np.transpose(a, params["permutation"]),
    "slice": _slice,
    "concatenate": lambda params, *arrays: np.concatenate(arrays, axis=params["dimension"]),
    "rev": lambda params, a: np.flip(a, tuple(params["dimensions"])),
}
