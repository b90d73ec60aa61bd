r"""Loops of a planar orbit, from a section back to it, as functions to differentiate.

A step of h is Gauss collocation: the polynomial z of degree m with z' = f(z) at the m Gauss nodes c_i,

    Z_i = z(0) + h sum_j a_ij f(Z_j),      z(h) = z(0) + h sum_j b_j f(Z_j),

of order 2 m at its end (Hairer, Norsett & Wanner 1993, sec. II.7). It is solved by Picard's iteration, whose
error after k rounds falls like (L h)^k / k!: a step that is short enough for the polynomial is so for the
iteration. All rounds of all steps are one piece of code of a few array operations, and remain that when they
are differentiated: to compile that takes a fourth of what it does with the Taylor series of `sections`.

The sizes of the steps and the instant of return are no functions to differentiate: the derivatives are those
of the steps as they are, and of one Newton step in time that ends on the section exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float, Int

from ...flow import horner
from ...sections import first_zero

NODES = 10
"""Nodes of a step: with 8 a GRU takes twice the steps, 14 take longer to compile."""
ROUGH = 1e-8
"""Size of the last two Legendre coefficients of f on a step, in units of its mean: about the square root of
the error at the step's end, whose order is twice as high."""
ROUNDING = 8.0
"""Change of a state by a round, in units of its last place, that is all rounding."""
MAX_ROUNDS, MANY_ROUNDS = 40, 28
"""Rounds after which a step is tried again with a shorter one, and from which the next one is shorter."""
FIRST = 0.01
"""First step, in boxes."""
SHORTER, LONGER, SAFETY, CAREFUL = 0.2, 2.0, 0.9, 0.7
"""Bounds on the ratio of one step to the last, factor on it, and its bound where the last was hard."""
TURN = 0.5
"""Cosine of the angle by which an orbit turns in a step, below which the next one is shorter. By a right
angle it may not turn, or it might cross a section and come back in one step."""
MAX_STEPS = 1_000
"""Steps after which an orbit is given up."""

Rate = Callable[[Float[Array, " 2"]], Float[Array, " 2"]]


def _gauss(m: int) -> tuple[np.ndarray, ...]:
    """a (m, m), b (m,); and, of the polynomial with some values at the nodes, its last two Legendre
    coefficients (2, m), and the coefficients (m + 1, m) of its integral from 0."""
    x, weights = np.polynomial.legendre.leggauss(m)
    degrees = np.arange(m)
    modes = (degrees + 0.5)[:, None] * np.polynomial.legendre.legvander(x, m - 1).T * weights
    rows = [np.polynomial.legendre.legint(np.eye(m)[k], lbnd=-1) for k in degrees]
    integrals = np.stack([0.5 * np.polynomial.legendre.legval(x, row) for row in rows], axis=1)
    unit = np.polynomial.Polynomial([-1.0, 2.0])
    powers = np.zeros((m + 1, m))
    for k, row in enumerate(rows):
        power = 0.5 * np.polynomial.Polynomial(np.polynomial.legendre.leg2poly(row))(unit)
        powers[: k + 2, k] = power.coef
    return integrals @ modes, 0.5 * weights, modes[-2:], powers @ modes


A, B, LAST, POWERS = _gauss(NODES)


class Loop(NamedTuple):
    """One turn of an orbit: whether there is one; by how much it misses its beginning, along the section; the
    logarithm of the slope of the return map; the time; the rate at its beginning, and the lowest speed on the
    way, in units of that there. `nodes`, `rates` (MAX_STEPS, NODES, 2): states and rates on the way, as many
    steps as `steps`, where asked for."""

    back: Bool[Array, ""]
    shift: Float[Array, ""]
    log_slope: Float[Array, ""]
    time: Float[Array, ""]
    begin: Float[Array, " 2"]
    slowest: Float[Array, ""]
    steps: Int[Array, ""]
    nodes: Any
    rates: Any


class _Way(NamedTuple):
    """Where an orbit is; the time, the integral of div f and the lowest speed since its beginning; the step
    to try next, and whether that one is to end on the section."""

    z: Any
    time: Any
    integral: Any
    slowest: Any
    size: Any
    steps: Any
    tries: Any
    last: Any
    back: Any
    nodes: Any
    rates: Any


def loop(rate: Rate, start, lower, upper, wide, rough=ROUGH, keep: bool = False) -> Loop:
    """The orbit of dz/dt = rate(z) from `start`, (2,), until it crosses the normal there within `wide`.

    `shift` is counted along (-n_y, n_x), n = f/|f|; the slope is that of the return map at the start,
    f(start).n / f(end).n exp(integral of div f). No return (`back` false) where the orbit leaves the box
    [lower, upper] or `MAX_STEPS` do not suffice. `rough`: see `ROUGH`. `keep`: with the states on the way.
    """
    begin = rate(start)
    speed = jnp.sqrt(begin @ begin)
    n = begin / speed
    along = jnp.stack([-n[1], n[0]])
    still, across = stop_gradient(n), stop_gradient(along)
    zero, one = jnp.zeros_like(speed), jnp.ones_like(speed)
    size = FIRST * jnp.max(upper - lower) / speed

    def under_way(way: _Way):
        inside = jnp.all((way.z > lower) & (way.z < upper))
        return ~way.back & (way.tries < MAX_STEPS) & inside & jnp.isfinite(way.size)

    def further(way: _Way) -> _Way:
        h = way.size
        nodes, rates, rounds = _picard(rate, way.z, h)
        mean = B @ rates
        good, ratio = _judged(stop_gradient(rates), rounds, rough)
        # a step over the section within the window is taken again, to end there
        z, path = (stop_gradient(x) for x in (way.z - start, h * rates))
        heights = [z @ still, *(POWERS @ (path @ still))[1:]]
        part = first_zero(heights, one)
        aside = z @ across + horner(list(POWERS @ (path @ across)), part)
        over = good & ~way.last & (heights[0] < 0.0) & (horner(heights, one) >= 0.0)
        over &= (way.steps > 0) & (jnp.abs(aside) < wide)
        go = good & ~over
        slow = stop_gradient(jnp.sqrt(jnp.min(jnp.sum(rates * rates, axis=1))))
        row = jnp.where(go, way.steps, MAX_STEPS)  # beyond the table: dropped
        table = [stop_gradient(x) for x in (nodes, rates)] if keep else [None, None]
        kept = [old.at[row].set(new, mode="drop") if keep else None for old, new in zip(way[-2:], table)]
        return _Way(
            z=jnp.where(go, way.z + h * mean, way.z),
            time=jnp.where(go, way.time + h, way.time),
            integral=jnp.where(go, way.integral + h * (B @ jax.vmap(_divergence(rate))(nodes)), way.integral),
            slowest=jnp.where(go, jnp.minimum(way.slowest, slow), way.slowest),
            size=stop_gradient(jnp.where(over, h * part, h * ratio)),
            steps=way.steps + go,
            tries=way.tries + 1,
            last=over,
            back=way.last & good,
            nodes=kept[0],
            rates=kept[1],
        )

    none, no = jnp.zeros((), jnp.int32), jnp.asarray(False)
    tables = [jnp.zeros((MAX_STEPS, NODES, 2), start.dtype) if keep else None for _ in range(2)]
    first = _Way(start, zero, zero, stop_gradient(speed), stop_gradient(size), none, none, no, no, *tables)
    way = jax.lax.while_loop(under_way, further, first)
    # what is left of the way to the section is rounding, but not its derivatives
    there, columns = _jacobian(rate, way.z)
    late = -((way.z - start) @ n) / (there @ n)
    end = there + late * (there[0] * columns[0] + there[1] * columns[1])
    return Loop(
        back=way.back,
        shift=(way.z + late * there - start) @ along,
        log_slope=way.integral + late * (columns[0][0] + columns[1][1]) + jnp.log(speed / (end @ n)),
        time=way.time + late,
        begin=begin,
        slowest=way.slowest / stop_gradient(speed),
        steps=way.steps,
        nodes=way.nodes,
        rates=way.rates,
    )


def _picard(rate: Rate, z, h) -> tuple:
    """States and rates at the nodes of a step, (NODES, 2), and the rounds that took."""
    eps = float(jnp.finfo(z.dtype).eps)
    rates = jax.vmap(rate)

    def going(carry):
        _, _, rounds, change, size = carry
        return (change > ROUNDING * eps * size) & (rounds < MAX_ROUNDS)

    def better(carry):
        old, slopes, rounds, _, _ = carry
        # written out: a product of small matrices is slower
        new = z + h * jnp.sum(A[:, :, None] * slopes[None], axis=1)
        change, size = (stop_gradient(jnp.max(jnp.abs(x))) for x in (new - old, new))
        return new, rates(new), rounds + 1, change, size

    # the first round is at z
    nodes, none = jnp.full((NODES, 2), jnp.inf, z.dtype), jnp.zeros((NODES, 2), z.dtype)
    begin = nodes, none, jnp.zeros((), jnp.int32), jnp.full((), jnp.inf, z.dtype), jnp.zeros((), z.dtype)
    nodes, slopes, rounds, _, _ = jax.lax.while_loop(going, better, begin)
    return nodes, slopes, rounds


def _judged(rates, rounds, rough) -> tuple:
    """Whether a step may count, from its rates and the rounds it took, and the next one's ratio to it."""
    error = jnp.max(jnp.abs(LAST @ rates)) / jnp.max(jnp.abs(B @ rates)) / rough
    speeds = jnp.sqrt(jnp.sum(rates * rates, axis=1))
    turn = jnp.min(rates @ rates[0] / speeds / speeds[0])
    good = (error <= 1.0) & (rounds < MAX_ROUNDS) & (turn > 0.0)
    ratio = jnp.clip(SAFETY * error ** (-1.0 / (NODES - 1)), SHORTER, LONGER)
    ratio = jnp.where((rounds < MANY_ROUNDS) & (turn > TURN), ratio, jnp.minimum(ratio, CAREFUL))
    return good, jnp.where(jnp.isfinite(ratio), ratio, SHORTER)


def _jacobian(rate: Rate, z) -> tuple:
    """The rate and the columns of its derivative."""
    pairs = [jax.jvp(rate, (z,), (jnp.asarray(unit, z.dtype),)) for unit in np.eye(2)]
    return pairs[0][0], [column for _, column in pairs]


def _divergence(rate: Rate) -> Callable:
    def divergence(z):
        columns = _jacobian(rate, z)[1]
        return columns[0][0] + columns[1][1]

    return divergence
