r"""Saddle-node loops: where a fold stops being one on a cycle.

On a fold curve f has the eigenvalues 0, with eigenvector q, and lambda, with eigenvector v. Let lambda < 0
(else time runs backwards). Points leave the saddle-node along one branch of its centre manifold only, q being
chosen to point there, and

    h + r q + phi(r) v,    lambda phi = phi' g - N(r, phi),

is this branch, g being the rate of r, and lambda phi + N that of the coordinate along v. The saddle-node is
on a cycle where the branch comes back among the points that its node attracts; these end at the strong stable
manifold, the branches W(s), f(W(s)) = lambda s W'(s), along v and -v (`saddle_branches`). Where it comes back
along W, the curve of snics goes over into one of folds: a saddle-node loop, or non-central saddle-node
homoclinic orbit, at which a curve of homoclinic orbits ends (Schecter 1987, SIAM J. Math. Anal. 18; Kuznetsov
2004, sec 7.1).

The coordinate along q at which the branch crosses a section through a point of W is a smooth function of
the length along the fold curve. Its zero is bracketed and solved for, on points of the curve that are exact
but for rounding.

The series of phi does not converge: its terms shrink like k! (r/R)^k for a while. At a fixed order it
serves up to an r at which the last terms are at the tolerance, if they still shrink there: of n terms the
last is (n/e)^n (r/R)^n, smaller than the one before as long as r < R/n, and at tolerance^(1/n) e R/n that
holds for every n below log(1/tolerance).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float

from ....records import InputError
from ...arithmetic import trace
from ...sections import Trajectory
from ...states import replace
from ..extended import DETERMINANT, Extended, Field, rate_and_jacobian
from ..global_events.batches import LANES, run
from ..global_events.bracketing import zeros
from ..global_events.checks import box_of, tolerance_of
from ..global_events.connections import JUMP, LOOSER, ROUNDING, SAFETY, SHORTER, TOLERANCE
from ..global_events.crossings import LONGEST, SERIES, WIDEST, Box, across_branch, crossed
from ..global_events.saddle_branches import ORDER, Branch, Saddle, branch, substituted, trusted
from ..normal_forms import fold_form
from ..plane.codimension_two import SpecialPoint
from ..plane.curve import FOLD, SADDLE_NODE_LOOP, Curve

TERMS = 64.0
"""Rounding of the equations of a fold, in units of the last place: some dozens of operations."""
POLISH = 3
"""Newton steps to the fold from its cubic, which is good to 1e-9: two leave rounding only."""
CROSSINGS = 4
"""Crossings of a section that are kept: the branch may pass it before it comes back."""
MAX_STEPS = 1_500
"""Taylor steps in all: next to saddles and nodes time is cheap, so that only what goes round takes more."""
PAST = 0.5
"""Part of the reach of the series within which a trajectory on the node's side is past the section."""
ROUNDS = 3
"""Times the lengths are sampled, ever closer to the smallest gap, before no zero is said to be found."""
SIDES = (1.0, -1.0)
"""The strong branches along v and -v."""


class Gap(eqx.Module):
    """Where the branch of points that leave a saddle-node crosses the section across its strong branch.

    `gap`: coordinates along q, NaN where there are no more crossings: negative on the node's side.
    `point` (h, p): the saddle-node, and `rounding` that of its coordinates; `rate`: lambda, 1/time.
    """

    gap: Float[Array, " 4"]
    point: Float[Array, " 4"]
    rounding: Float[Array, " 4"]
    rate: Float[Array, ""]


class Line(NamedTuple):
    """A fold curve, to be looked at with steps of a `tolerance`; `scale`, (4,), is the size of (h, p)."""

    field: Field
    fold: Curve
    box: Box
    scale: np.ndarray
    tolerance: float

    def gaps(self, lengths: np.ndarray, side: Any, tolerance: Any, shrink: Any) -> Gap:
        """`Gap` at n lengths along the curve, each with its side, tolerance and part of the reach."""
        n = len(lengths)
        along = self.fold.direction(lengths) / self.scale**2
        each = [np.broadcast_to(np.asarray(a, np.float64), n) for a in (side, tolerance, shrink)]
        axes = (0, 0, 0, 0, 0, None, None)
        return run(_gap, axes, self.field, self.fold.at(lengths), along, *each, self.scale, self.box)


def saddle_node_loop(
    field: Field,
    fold: Curve,
    low: float,
    high: float,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    *,
    tolerance: float = TOLERANCE,
) -> SpecialPoint | None:
    """The first saddle-node loop on a fold curve between two lengths; None where none is found.

    **Arguments**

    - `field`: f(h, p) with two parameters. `fold`: one of its fold curves. `low`, `high`: lengths along it,
      with neither cusp nor Bogdanov-Takens point between them.
    - `lower`, `upper`: corners of the box in which trajectories are followed, (2,).
    - `tolerance`: local error of a step, in units of its length.

    `details` of the point: `trace`, the other eigenvalue, `gap_slope`, that of the gap per length, and
    `on_cycle_after`, 1 where the saddle-nodes at larger lengths are on a cycle, 0 where those before are. The
    error is estimated, from looser steps and shorter series. Refused: arguments not as above.
    """
    line = _line(field, fold, low, high, lower, upper, tolerance)
    for _ in range(ROUNDS):
        lengths = np.linspace(low, high, LANES)
        every = line.gaps(np.tile(lengths, 2), np.repeat(SIDES, LANES), tolerance, 1.0)
        gaps = every.gap.reshape(2, LANES, CROSSINGS)
        if not (np.isfinite(gaps).any() and (np.sign(every.rate) == np.sign(every.rate[0])).all()):
            return None
        for i in range(LANES - 1):
            for side, gap in zip(SIDES, gaps):
                k = _changed(gap[i], gap[i + 1])
                point = None if k is None else _solved(line, lengths[i : i + 2], gap[i : i + 2, k], side, k)
                if point is not None:
                    return point
        i = int(np.nanargmin(np.min(np.abs(gaps), axis=(0, 2), initial=np.inf, where=np.isfinite(gaps))))
        low, high = lengths[max(i - 1, 0)], lengths[min(i + 1, LANES - 1)]
    return None


def _line(field, fold, low, high, lower, upper, tolerance) -> Line:
    box = box_of(lower, upper)
    tolerance_of(tolerance)
    if not (isinstance(fold, Curve) and fold.kind == FOLD):
        raise InputError("fold", "a fold curve", getattr(fold, "kind", fold))
    last = float(fold.length[-1])
    if not 0.0 <= low < high <= last:
        raise InputError("low", f"two lengths between 0 and {last:g}, the smaller one first", (low, high))
    p = fold.points[:, 2:]
    scale = np.append(box.upper - box.lower, np.maximum(np.ptp(p), np.max(np.abs(p), axis=0)))
    return Line(field, fold, box, scale, tolerance)


def _changed(before: np.ndarray, after: np.ndarray) -> int | None:
    """The first crossing whose gap changes sign between two lengths, None if that is not known."""
    product = before * after
    hits = np.flatnonzero(~(product > 0.0))
    return int(hits[0]) if hits.size and product[hits[0]] <= 0.0 else None


def _solved(line: Line, ends: np.ndarray, at_ends: np.ndarray, side: float, k: int) -> SpecialPoint | None:
    """The zero of crossing k's gap between two lengths, solved three times over for its error; None for a
    jump."""
    tolerance = line.tolerance * np.array([1.0, LOOSER, 1.0])
    shrink = np.array([1.0, 1.0, SHORTER])
    function = lambda s: np.asarray(line.gaps(s, side, tolerance, shrink).gap)[:, k]  # noqa: E731
    root, left = zeros(function, (np.full(3, ends[0]), np.full(3, ends[1])))
    slope = float((at_ends[1] - at_ends[0]) / (ends[1] - ends[0]))
    rounding = ROUNDING * float(np.finfo(np.float64).eps) * line.box.size
    if slope == 0.0 or not (np.abs(left) <= JUMP * np.max(np.abs(at_ends)) + rounding).all():
        return None
    length = float(root[0])
    error = SAFETY * float(np.max(np.abs(root - length))) + rounding / abs(slope)
    found = line.gaps(root[:1], side, line.tolerance, 1.0)
    spread = error * np.abs(line.fold.direction(length)) + found.rounding[0]
    details = {
        "trace": float(found.rate[0]),
        "gap_slope": slope,
        "on_cycle_after": float(slope < 0.0),
    }
    point = np.asarray(found.point[0])
    return SpecialPoint(SADDLE_NODE_LOOP, point, float(np.max(spread)), False, length, details)


def _gap(field, start, along, side, tolerance, shrink, scale, box: Box) -> Gap:
    """The lane: from a point near the fold curve to the crossings, on the strong branch of one `side`."""
    size = jnp.max(box.upper - box.lower)
    point, rounding = _on_fold(field, start, along, scale)
    h, p = point[:2], point[2:]
    closed = trace(lambda x: field(x, p), (2,), dtype=p.dtype)
    form = fold_form(lambda x: field(x, p), h)
    sense, rate = -jnp.sign(form.trace), form.trace
    q = form.null * jnp.where(sense * form.bend * form.angle < 0.0, -1.0, 1.0)
    v = _strong(field, h, p, q) * side
    series = SERIES * tolerance, LONGEST * size
    out = _centre(closed, h, q, v, rate, *series)
    node = Saddle(
        tuple(h), rate_and_jacobian(field, h, p)[1], (rate, rate), (tuple(v), tuple(q)), jnp.asarray(True)
    )
    into = branch(closed, node, rate, tuple(v), *series)
    arriving = into.point(shrink * into.reach)
    section = across_branch(closed, arriving, tuple(q), sense, WIDEST * size)
    ahead = section.coordinate(section.x + q[0], section.y + q[1])  # 1 or -1
    begin = Trajectory.start(out.point(shrink * out.reach), sense, jnp.zeros((), jnp.int32))
    begin = replace(begin, time=jnp.ones_like(rate))  # it does not start on the section
    frame = jnp.linalg.inv(jnp.stack([q, v], axis=1))

    def arrived(at: Trajectory):
        """Whether it is past the section and goes into the node: |s| < -r, on a scale where that is sure."""
        r, s = frame @ (jnp.stack([at.x, at.y]) - h)
        return (r < -jnp.abs(s)) & (r > -PAST * shrink * jnp.minimum(out.reach, into.reach))

    gap, _, _ = crossed(closed, begin, section, box, tolerance, CROSSINGS, MAX_STEPS, arrived)
    return Gap(ahead * gap, point, rounding, rate)


def _on_fold(field, start, along, scale) -> tuple[Array, Array]:
    """The point of the fold curve in the plane across `along` through `start`, and its rounding errors."""
    system = Extended(field, (DETERMINANT,))

    def equations(u):
        return jnp.append(system(u), along @ (u - start))

    def improved(_, carry):
        u, _ = carry
        slope = jax.jacfwd(equations)(u)
        inverse = jnp.linalg.inv(slope)
        terms = TERMS * jnp.finfo(u.dtype).eps * jnp.abs(slope[:3]) @ (jnp.abs(u) + scale)
        return u - inverse @ equations(u), jnp.abs(inverse[:, :3]) @ terms

    return jax.lax.fori_loop(0, POLISH, improved, (start, jnp.zeros_like(start)))


def _strong(field, h, p, q) -> Array:
    """The unit eigenvector of lambda counterclockwise of q: every column of J is a multiple of it."""
    (a, b), (c, d) = rate_and_jacobian(field, h, p)[1]
    v = jnp.where(jnp.hypot(a, c) > jnp.hypot(b, d), jnp.stack([a, c]), jnp.stack([b, d]))
    return v * jnp.where(q[0] * v[1] - q[1] * v[0] < 0.0, -1.0, 1.0) / jnp.sqrt(v @ v)


def _centre(closed, h, q, v, rate, tolerance, longest) -> Branch:
    """h + r q + phi(r) v; its `reach` is where the last two terms fall below `tolerance` r.

    The series diverges; its best order for rounding errors of 1e-15 is 34, with which it would reach twice as
    far as with `ORDER`.
    """
    size = q[0] * v[1] - q[1] * v[0]
    dual_q, dual_v = jnp.stack([v[1], -v[0]]) / size, jnp.stack([-q[1], q[0]]) / size

    def coefficients(phi):
        return [phi * v[i] + jnp.zeros(ORDER + 1, phi.dtype).at[0].set(h[i]).at[1].set(q[i]) for i in (0, 1)]

    def improved(_, phi):
        f = jnp.stack([jnp.stack(row) for row in substituted(closed, coefficients(phi))])
        along, across = dual_q @ f, dual_v @ f
        new = [phi[0], phi[1]]
        for k in range(2, ORDER + 1):
            carried = sum(j * phi[j] * along[k + 1 - j] for j in range(2, k))
            new.append(phi[k] + (carried - across[k]) / rate)
        return jnp.stack(new)

    x, y = coefficients(jax.lax.fori_loop(0, ORDER - 1, improved, jnp.zeros(ORDER + 1, rate.dtype)))
    return Branch(x, y, trusted(x, y, tolerance, longest))
