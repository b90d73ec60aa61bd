"""Degenerate fixed points by the names of Jordan, Sokol & Park (2021, section 4 and note 2).

With the eigenvalues l1, l2 of the Jacobian at a fixed point, or at the middle of a cluster of them:

- saddle-node of the first kind: l1 = 0 > l2, where a sink and a saddle meet;
- saddle-node of the second kind: l1 = 0 < l2, where a source and a saddle meet;
- Hopf point: l1, l2 = +-i omega;
- pseudo-codimension-2 point: l1 = l2 = 0, a sink, a source and two saddles closer than can be told apart.

A zero is one within `ZERO` of the Jacobian's size: a cluster's middle is not where they would meet.
"""

from __future__ import annotations

from enum import IntEnum

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..records import Kind
from .fixed_points import FixedPoints

ZERO = {"float64": 1e-4, "float32": 1e-2}
"""Part of the Jacobian's largest entry, or of 1, below which an eigenvalue counts as zero."""


class Singularity(IntEnum):
    """The name of a degenerate fixed point."""

    NOT_COMPUTED = -1
    NONE = 0
    SADDLE_NODE_OF_THE_FIRST_KIND = 1
    SADDLE_NODE_OF_THE_SECOND_KIND = 2
    HOPF_POINT = 3
    PSEUDO_CODIMENSION_2_POINT = 4
    UNCLASSIFIED = 5


def singularities(fixed: FixedPoints) -> Int[Array, " 16"]:
    """The `Singularity` in every slot."""
    zero = ZERO[str(fixed.point.dtype)] * jnp.maximum(jnp.max(jnp.abs(fixed.jacobian), axis=(1, 2)), 1.0)
    values: Float[Array, "16 2 2"] = fixed.eigenvalue
    real, turning = values[..., 0], jnp.abs(values[:, 0, 1]) > zero
    first, second = (jnp.abs(real[:, k]) < zero for k in range(2))
    name = jnp.full(fixed.kind.shape, Singularity.UNCLASSIFIED, jnp.int32)
    name = jnp.where(first & ~second & ~turning, Singularity.SADDLE_NODE_OF_THE_FIRST_KIND, name)
    name = jnp.where(second & ~first & ~turning, Singularity.SADDLE_NODE_OF_THE_SECOND_KIND, name)
    name = jnp.where(first & second, Singularity.PSEUDO_CODIMENSION_2_POINT, name)
    name = jnp.where(first & second & turning, Singularity.HOPF_POINT, name)
    name = jnp.where(fixed.kind == Kind.DEGENERATE, name, Singularity.NONE)
    return jnp.where(fixed.kind == Kind.NOT_COMPUTED, Singularity.NOT_COMPUTED, name)
