"""Trajectories: Taylor steps of any order, fused for the sweeps and as a diffrax solver for everybody.

A step expands the solution in a Taylor series of order p about the present state (`arithmetic.series`) and
takes the longest step at which the last two terms stay below the tolerance (Jorba & Zou 2005):

    h = min((tol / |c_{p-1}|)^{1/(p-1)}, (tol / |c_p|)^{1/p}).

The polynomial is its own dense output.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .arithmetic import Dual, Tape, evaluate
from .arithmetic.numbers import add
from .arithmetic.series import Series

MAX_STEP = 8.0
"""Longest step, in units of time: explicit series of order 10 are stable up to about 5 / |eigenvalue|."""


def coefficients(closed, x: tuple, order: int, divergence: bool = False):
    """Taylor coefficients (per component, order 0 to `order`) of the solution through `x`.

    With `divergence` also those (0 to order - 1) of div f along it, else None.
    """
    tape = Tape()
    variables = [tape.variable(v) for v in x]
    (out,) = evaluate(closed, Dual.seed(variables) if divergence else variables)
    along: Any = 0.0
    if divergence:
        for i, rate in enumerate(out):
            along = add(along, rate.tangent[i] if isinstance(rate, Dual) else 0.0)
    rates = [rate.value if isinstance(rate, Dual) else rate for rate in out]
    zero = jnp.zeros_like(x[0])
    for k in range(order):
        tape.extend(k)
        for variable, rate in zip(variables, rates):
            constant = zero + rate if k == 0 and not isinstance(rate, Series) else zero
            value = rate[k] if isinstance(rate, Series) else constant
            variable.coefficients.append(value * (1.0 / (k + 1)))
    if not divergence:
        return [v.coefficients for v in variables], None
    if not isinstance(along, Series):  # the divergence of this field is constant
        along = [zero + along] + [zero] * (order - 1)
    return [v.coefficients for v in variables], [along[k] for k in range(order)]


def horner(c: list, h):
    """sum_k c_k h^k."""
    total = c[-1]
    for value in c[-2::-1]:
        total = total * h + value
    return total


def integral(c: list, h):
    """The integral of sum_k c_k t^k from 0 to h."""
    return h * horner([value * (1.0 / (k + 1)) for k, value in enumerate(c)], h)


def derivative(c: list) -> list:
    """The coefficients of the derivative."""
    return [k * value for k, value in enumerate(c) if k]


def step_size(series: list[list], tolerance, longest: float = MAX_STEP):
    """The longest step at which the last two terms stay below `tolerance`."""
    order = len(series[0]) - 1
    tiny = float(jnp.finfo(jnp.result_type(series[0][0])).tiny)

    def largest(k):
        size = jnp.abs(series[0][k])
        for c in series[1:]:
            size = jnp.maximum(size, jnp.abs(c[k]))
        return jnp.log2(tolerance / jnp.maximum(size, tiny)) * (1.0 / k)

    return jnp.minimum(jnp.exp2(jnp.minimum(largest(order - 1), largest(order))), longest)
