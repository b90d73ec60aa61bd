"""Trajectories: Taylor steps of any order, fused for the sweeps and as a diffrax solver for everybody.

A step expands the solution in a Taylor series of order p about the present state (`arithmetic.series`) and
takes the longest step at which the last two terms stay below a part `tol` of the way of the step, |c_1| h
(Jorba & Zou 2005, with an error per unit of length):

    h = min((tol |c_1| / |c_{p-1}|)^{1/(p-2)}, (tol |c_1| / |c_p|)^{1/(p-1)}).

The polynomial is its own dense output.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from .arithmetic import Dual, Tape, evaluate
from .arithmetic.numbers import add
from .arithmetic.series import Series

MAX_STEP = 4096.0
"""Longest step, in units of time. What an explicit step of 5 / |eigenvalue| and more adds in rounding errors
of a fast direction, the next step's last terms see."""


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


def step_size(series: list[list], tolerance, floor: float = 0.0, longest: float = MAX_STEP):
    """The longest step h at which the last two terms stay below `tolerance` |c_1| h or below `floor`.

    Relative to the way |c_1| h of the step: in other units of time the steps are the same.
    """
    order = len(series[0]) - 1
    tiny = float(jnp.finfo(jnp.result_type(series[0][0])).tiny)

    def size(k):
        largest = jnp.abs(series[0][k])
        for c in series[1:]:
            largest = jnp.maximum(largest, jnp.abs(c[k]))
        return jnp.maximum(largest, tiny)

    allowed = jnp.log2(tolerance * size(1))
    log_size = [(k, jnp.log2(size(k))) for k in (order - 1, order)]
    h = [(allowed - log) * (1.0 / (k - 1)) for k, log in log_size]
    shortest = jnp.minimum(*h)
    if floor:
        rounding = [(math.log2(floor) - log) * (1.0 / k) for k, log in log_size]
        shortest = jnp.maximum(shortest, jnp.minimum(*rounding))
    return jnp.minimum(jnp.exp2(shortest), longest)
