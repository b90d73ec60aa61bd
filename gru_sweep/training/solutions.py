"""Solutions of a planar vector field f(t, y, args) from many initial conditions, in float64, by Dopri8."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..records import InputError

TOLERANCE = 1e-11
"""Relative and absolute error of one step of Dopri8. Over the 29 steps of a series, and over a period of the
limit cycle, what it adds up to stays below 1e-9: nothing beside noise, and float32 data are exact."""

MAX_STEPS = 4096
"""Steps of Dopri8 between two samples; at the tolerance above the paper's tasks take up to twenty. A solution
that needs more grows without bounds, or is not smooth."""

WIDTH = 128
"""Initial conditions in one call: one program for every number of them, and each is computed at the same
place of its block, hence to the same bits, whatever their number."""


def rates(field: Callable, args: Any, states: Float[np.ndarray, "n 2"], width: int = WIDTH) -> np.ndarray:
    """The field at t = 0 and `states`, (n, 2).

    Refused: one whose answer is not an array of two float64 numbers.
    """
    found = np.empty((len(states), 2))
    with exact():
        time, state = jax.ShapeDtypeStruct((), jnp.float64), jax.ShapeDtypeStruct((2,), jnp.float64)
        shown = jax.eval_shape(lambda t, y: field(t, y, args), time, state)
        if getattr(shown, "shape", None) != (2,) or shown.dtype != jnp.float64:
            raise InputError("field", "f(t, y, args) whose answer is two float64 numbers, shape (2,)", shown)
        for part, rows in blocks(len(states), width):
            found[part] = np.asarray(_rates(field, states[rows], args))[: len(found[part])]
    return found


def solutions(
    field: Callable,
    args: Any,
    starts: Float[np.ndarray, "n 2"],
    times: Float[np.ndarray, " K"],
    drive: Float[np.ndarray, "n K-1"] | None = None,
    width: int = WIDTH,
) -> Float[np.ndarray, "n K 2"]:
    """States at `times`, not decreasing, of the solutions that are at `starts` at the first of them.

    - `drive`: what the field gets for its args between two times, instead of `args`.
    - `width`: initial conditions in one call, the last one repeated where there are fewer.

    NaN from where a solution needs more than `MAX_STEPS` between two times: where it grows without bounds.
    Refused: a field that is not planar, or not finite at one of `starts`.
    """
    at_start = rates(field, args, starts, width)
    bad = ~np.isfinite(at_start).all(1)
    if bad.any():
        raise InputError("field", f"finite numbers at {starts[bad][0].tolist()}", at_start[bad][0].tolist())
    found = np.empty((len(starts), len(times), 2))
    with exact():
        for part, rows in blocks(len(starts), width):
            given = None if drive is None else drive[rows]
            block = _trajectories(field, starts[rows], times, args, given)
            found[part] = np.asarray(block)[: len(found[part])]
    return found


def blocks(count: int, width: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Parts of `count` rows, and the rows to compute for each: always `width`, the last one repeated."""
    for first in range(0, count, width):
        yield slice(first, first + width), np.minimum(np.arange(first, first + width), count - 1)


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """64-bit types on the processor, whatever else computes: the same answer for all."""
    try:
        processor = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX was told to use the accelerator alone
        processor = None
    with jax.enable_x64(True), jax.default_device(processor):
        yield


@eqx.filter_jit
def _rates(field, states: Any, args):
    return jax.vmap(lambda y: field(jnp.zeros(()), y, args))(jnp.asarray(states))


@eqx.filter_jit
def _trajectories(field, starts: Any, times: Any, args, drive: Any):
    """From sample to sample: neither the jumps of a current nor an interpolant cost accuracy."""

    def interval(carry, given):
        y, bounded = carry
        t0, t1, current = given
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Dopri8(),
            t0,
            jnp.where(bounded, t1, t0),
            None,
            y,
            args if current is None else current,
            stepsize_controller=diffrax.PIDController(rtol=TOLERANCE, atol=TOLERANCE),
            max_steps=MAX_STEPS,
            throw=False,
        )
        after = found.ys[-1]
        bounded &= (found.result == diffrax.RESULTS.successful) & jnp.isfinite(after).all()
        return (jnp.where(bounded, after, y), bounded), jnp.where(bounded, after, jnp.nan)

    def one(y, currents):
        _, after = jax.lax.scan(interval, (y, jnp.asarray(True)), (times[:-1], times[1:], currents))
        return jnp.concatenate([y[None], after])

    return jax.vmap(one)(starts, drive)
