r"""Many starts: fixed points in any dimension, without a promise that they are all.

Each start follows implicit Euler steps with a signature D = diag(+-1),

    (s D - J(h)) delta = f(h),    h <- h + delta,    s = s_0 |f(h)| / |f(h_0)|,

which for s = 0 are Newton's, for D = I follow the flow into its sinks, for D = -I the flow backwards, and for
other signatures make saddles attract (Schmelcher & Diakonos 1997, Phys. Rev. Lett. 78); as |f| falls all turn
into Newton's (switched evolution relaxation: Mulder & van Leer 1985, J. Comput. Phys. 59). Starts are drawn
uniformly; later ones also along eigenvectors of the fixed points found, and between two of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .roots import Roots

MAX_STEPS = 64
"""Steps of one start; those that wander longer rarely arrive."""
LONGEST_STEP = 0.25
"""Largest component of a step, in widths of the box."""


@eqx.filter_jit
def descend(
    field: Callable,
    low: Float[Array, " d"],
    high: Float[Array, " d"],
    start: Float[Array, "n d"],
    signature: Float[Array, "n d"],
    tolerance: Float[Array, ""],
) -> tuple[Float[Array, "n d"], Bool[Array, " n"]]:
    """Where each start ends, and whether its last step was below `tolerance` widths of the box."""
    width = high - low

    def one(start, signature):
        jacobian = jax.jacfwd(field)
        first = jnp.max(jnp.abs(field(start)))
        rate = jnp.max(jnp.abs(jacobian(start)))

        def step(state):
            x, n, _ = state
            f = field(x)
            shift = rate * jnp.minimum(jnp.max(jnp.abs(f)) / first, 1.0)
            delta = jnp.linalg.solve(jnp.diag(shift * signature) - jacobian(x), f)
            size = jnp.max(jnp.abs(delta) / width)
            delta = delta * jnp.minimum(1.0, LONGEST_STEP / size)
            delta = jnp.where(jnp.all(jnp.isfinite(delta)), delta, 0.0)
            return jnp.clip(x + delta, low, high), n + 1, size

        going = lambda state: (state[1] < MAX_STEPS) & (state[2] > tolerance)  # noqa: E731
        x, _, size = jax.lax.while_loop(going, step, (start, 0, jnp.asarray(jnp.inf, start.dtype)))
        return x, size <= tolerance

    return jax.vmap(one)(start, signature)


@dataclasses.dataclass(frozen=True)
class Searched:
    """`uniform`: uniform starts that arrived; `quiet`: rounds at the end that found nothing new."""

    starts: int
    uniform: int
    quiet: int


def search(
    roots: Roots,
    *,
    seed: int,
    starts: int,
    tolerance: float,
    enough: Callable[[int], bool],
    max_rounds: int,
) -> Searched:
    """Rounds of `starts` starts, until `enough(quiet rounds)` or `max_rounds`; adds what is found."""
    draw = np.random.default_rng(seed)
    low, high = roots.low, roots.high
    rounds = quiet = uniform = 0
    while rounds < max_rounds and not (rounds and enough(quiet)):
        fresh = starts if not len(roots) else starts - starts // 2
        start = draw.uniform(low, high, (starts, len(low)))
        if fresh < starts:
            start[fresh:] = _from_known(roots, draw, starts - fresh)
        given = (low, high, start, _signatures(draw, start.shape), tolerance)
        arguments = (jnp.asarray(x, low.dtype) for x in given)
        points, arrived = map(np.asarray, descend(roots.reduced, *arguments))
        new = _take(roots, points[arrived])
        owner = roots.match(points[:fresh][arrived[:fresh]])
        roots.hits = roots.hits + np.bincount(owner[owner >= 0], minlength=len(roots))
        uniform += int((owner >= 0).sum())
        rounds, quiet = rounds + 1, 0 if new else quiet + 1
    return Searched(rounds * starts, uniform, quiet)


def _signatures(draw: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A third Newton's (0), a third forwards (1), a third of any signs, each times a random strength."""
    n, d = shape
    which = np.arange(n) % 3
    signs = np.where(which[:, None] == 2, draw.choice([-1.0, 1.0], (n, d)), 1.0)
    return np.where(which == 0, 0.0, 10.0 ** draw.uniform(-1.5, 0.5, n))[:, None] * signs


def _from_known(roots: Roots, draw: np.random.Generator, count: int) -> np.ndarray:
    """Starts along eigenvectors of known fixed points, and on segments between two, shaken a little."""
    known = roots.known
    assert known is not None
    width = roots.high - roots.low
    a, b = draw.integers(len(roots), size=(2, count))
    between = known.point[a] + draw.uniform(0.1, 0.9, (count, 1)) * (known.point[b] - known.point[a])
    between += draw.normal(scale=0.02, size=between.shape) * width
    finite = np.nan_to_num(known.jacobian, posinf=0.0, neginf=0.0)
    vectors = np.linalg.eig(finite)[1][a, :, draw.integers(len(width), size=count)].real
    length = 10.0 ** draw.uniform(-3.0, 0.0, (count, 1)) * draw.choice([-1.0, 1.0], (count, 1))
    along = known.point[a] + length * vectors * width
    return np.clip(np.where(np.arange(count)[:, None] % 2 == 0, between, along), roots.low, roots.high)


def _take(roots: Roots, points: np.ndarray) -> int:
    """Adds the fixed points at which starts arrived; how many are new."""
    strange = points[roots.match(points) < 0]
    if not len(strange):
        return 0
    # most starts end where another one did
    cells = np.round(strange / (roots.near * (roots.high - roots.low)))
    proofs = roots.prove(strange[np.unique(cells, axis=0, return_index=True)[1]])
    return roots.add(proofs, (proofs.proven | proofs.zero) & roots.inside_search(proofs))
