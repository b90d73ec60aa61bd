"""Orbits of many maps from many starts: the compiled part. Stacked maps are arguments of the programs."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

NEWTON_STEPS = 10
"""Newton's steps towards a periodic orbit: quadratic from where an orbit came close."""


@eqx.filter_jit
def settle(
    maps: Any, starts: Float[Array, "m d"], transient: Int[Array, ""], length: int
) -> Float[Array, "n m length d"]:
    """The last `length` states of each start under each map, after `transient` steps."""

    def one(step, start):
        h = jax.lax.fori_loop(0, transient, lambda _, h: step(h), start)
        return jax.lax.scan(lambda h, _: (step(h), h), h, length=length)[1]

    each = eqx.filter_vmap(one, in_axes=(None, 0))
    return eqx.filter_vmap(each, in_axes=(eqx.if_array(0), None))(maps, starts)


class Polished(eqx.Module):
    """Of n lanes: a `point` of a periodic orbit, Newton's last `step` (max), d map^q / dh, the `orbit`."""

    point: Float[Array, "*n d"]
    step: Float[Array, "*n"]
    jacobian: Float[Array, "*n d d"]
    orbit: Float[Array, "*n length d"]


@eqx.filter_jit
def polish(maps: Any, points: Float[Array, "n d"], periods: Int[Array, " n"], length: int) -> Polished:
    """Newton's method on map^q(h) = h from one point per map, and `length` states from where it ends."""

    def one(step, point, period):
        slope = jax.jacfwd(step)
        eye = jnp.eye(point.size, dtype=point.dtype)

        def around(h):
            turn = lambda _, s: (step(s[0]), slope(s[0]) @ s[1])  # noqa: E731
            return jax.lax.fori_loop(0, period, turn, (h, eye))

        def newton(_, state):
            h, _ = state
            image, jacobian = around(h)
            delta = jnp.linalg.solve(jacobian - eye, h - image)
            return h + delta, jnp.max(jnp.abs(delta))

        h, last = jax.lax.fori_loop(0, NEWTON_STEPS, newton, (point, jnp.asarray(jnp.inf, point.dtype)))
        orbit = jax.lax.scan(lambda h, _: (step(h), h), h, length=length)[1]
        return Polished(h, last, around(h)[1], orbit)

    return eqx.filter_vmap(one, in_axes=(eqx.if_array(0), 0, 0))(maps, points, periods)


@eqx.filter_jit
def follow(
    maps: Any, points: Float[Array, "n d"], tangents: Float[Array, "n d"], align: Int[Array, ""], length: int
) -> tuple[Float[Array, "n length d"], Float[Array, "n length"]]:
    """`length` states of one start per map, after `align` steps that turn the tangent vector to the direction
    of fastest growth, and the logarithm of its growth at each step."""
    tiny = float(jnp.finfo(points.dtype).tiny)

    def one(step, point, tangent):
        def advance(state):
            h, v = state
            image, u = jax.jvp(step, (h,), (v,))
            size = jnp.linalg.norm(u)
            # a vector that the map sends to zero stays as it was
            u = jnp.where(size > tiny, u / jnp.maximum(size, tiny), v)
            return (image, u), jnp.log(jnp.maximum(size, tiny))

        begin = (point, tangent / jnp.linalg.norm(tangent))
        begin = jax.lax.fori_loop(0, align, lambda _, s: advance(s)[0], begin)

        def record(state, _):
            new, growth = advance(state)
            return new, (state[0], growth)

        return jax.lax.scan(record, begin, length=length)[1]

    return eqx.filter_vmap(one, in_axes=(eqx.if_array(0), 0, 0))(maps, points, tangents)
