"""A field without its positive factors: the same fixed points, easier to find.

The update gate of f = (1 - z(h)) (c(h) - h) bends f without moving its zeros. Where the last operation of a
field is a product, and intervals prove one factor positive over the whole search box, the other factor has
the zeros of f, the sign of det(-J) at each, and the flow's direction through every face.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jax.extend import core
from jaxtyping import Array, Bool, Float

from ..arithmetic import Interval, trace
from . import enclosures


class Factor(eqx.Module):
    """One factor of `field`: the operand `path[-1]` of the product that operand `path[-2]` of ... is."""

    field: Any
    path: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, h: Float[Array, " d"]) -> Float[Array, " d"]:
        closed = trace(self.field, h.shape, dtype=h.dtype)
        atom = closed.jaxpr.outvars[0]
        for side in self.path:
            atom = _product(closed.jaxpr, atom).invars[side]
        if isinstance(atom, core.Literal):
            return jax.numpy.full(h.shape, atom.val, h.dtype)
        return core.jaxpr_as_fun(closed.replace(jaxpr=closed.jaxpr.replace(outvars=[atom])))(h)[0]


def reduced(field: Callable, lo: Float[Array, " d"], hi: Float[Array, " d"]) -> Callable:
    """The field, or what is left of it without the factors that are proven positive over [lo, hi]."""
    path: tuple[int, ...] = ()
    while (pair := _operands(field, path, lo)) is not None:
        # the other factor is followed where this one is positive
        sides = [side for side in pair if _positive(Factor(field, (*path, side)), lo, hi)]
        if len(sides) != 1:
            break
        path = (*path, 1 - sides[0])
    return Factor(field, path) if path else field


def _product(jaxpr, atom):
    """The multiplication that makes `atom`, None where something else does."""
    for equation in jaxpr.eqns:
        if atom in equation.outvars:
            return equation if equation.primitive.name == "mul" else None
    return None


def _operands(field: Callable, path: tuple[int, ...], like: Array) -> tuple[int, int] | None:
    jaxpr = trace(field, like.shape, dtype=like.dtype).jaxpr
    atom = jaxpr.outvars[0]
    for side in path:
        atom = _product(jaxpr, atom).invars[side]
    return None if isinstance(atom, core.Literal) or _product(jaxpr, atom) is None else (0, 1)


@eqx.filter_jit
def _positive(factor: Factor, lo: Float[Array, " d"], hi: Float[Array, " d"]) -> Bool[Array, ""]:
    over: Interval = enclosures.value(factor, lo, hi)
    return (over.lo > 0.0).all()
