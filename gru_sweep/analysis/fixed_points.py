r"""All fixed points of a planar vector field in a box, each with a proof.

Branch and prune (Neumaier 1990, Interval Methods for Systems of Equations, ch. 5). A box B with middle m,
J(B) an enclosure of the Jacobian over B, C an approximate inverse of its middle:

- f(m) + J(B)(B - m) without 0: no fixed point in B (mean-value form, plain and preconditioned by C);
- K(B) = m - C f(m) + (I - C J(B))(B - m) inside the interior of B: exactly one (Krawczyk); Newton's method
  goes there, and a tiny box around its limit is proven again and shrunk by K until it shrinks no more: the
  fixed point with its error;
- neither: split in four. The quadtree is walked depth first from its indices alone, without a stack.

Every box is tested a little larger than it is, so a fixed point on an edge is proven by each neighbour and
counted once. If -J(B) over the whole box is a P-matrix (all principal minors positive) the field is injective
there (Gale & Nikaido 1965), and a box that the flow enters everywhere then holds exactly one fixed point.

By the way the walk bounds the divergence over the box: of one sign, it rules out every cycle (Bendixson).
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..records import MAX_FIXED_POINTS, Kind
from .arithmetic import Dual, Interval, as_interval, evaluate, lift, together, trace
from .arithmetic.intervals import widen
from .states import choose, replace, run

INFLATION = 1.125
"""Boxes are tested larger by this factor."""
TABLE = ("x", "y", "error", "dfx/dx", "dfx/dy", "dfy/dx", "dfy/dy", "kind")
"""Rows of the table of proven fixed points."""
MARGIN = (0.0113, 0.0071)
"""The search box exceeds the given one by these fractions of its width, below and above: tanh reaches 1 in
floating point, and unequal margins keep symmetric fixed points (0 above all) off the quadtree's edges."""
MAX_LEVEL = {"float64": 24, "float32": 12}
"""Depth of the quadtree: boxes of 1e-7 (float64) of the width are not split; undecided ones are a cluster."""
MAX_UNDECIDED = 64
"""Undecided boxes of the last level after which a system is given up."""
CLUSTER = 16.0
"""Undecided boxes this many widths apart are one cluster."""
MAX_BOXES = 20_000
"""Boxes tested after which a system is given up."""
NEWTON_STEPS = 12
"""Steps of Newton's method towards the one fixed point of a box proven to hold one."""
SHRINK_STEPS = 24
"""Contractions of a proven box after which it is taken as it is."""
BOXES_PER_ADVANCE = 5
"""Boxes tested between two looks at the finished lanes."""

SEARCH, NEWTON, SHRINK = 0, 1, 2


class Planar(eqx.Module):
    """An autonomous planar field `field(h) -> dh/dt` and the box [lower, upper] in which it is studied."""

    field: Any
    lower: Float[Array, " 2"]
    upper: Float[Array, " 2"]


class FixedPoints(eqx.Module):
    """All fixed points of one system, in lexicographic order (equal within sqrt(eps)), padded with NaN.

    `count` is -1 where they are not all proven; then the table has, as degenerate, also the clusters of
    boxes in which none could be proven or excluded.
    """

    count: Int[Array, ""]
    point: Float[Array, "16 2"]
    jacobian: Float[Array, "16 2 2"]
    eigenvalue: Float[Array, "16 2 2"]
    kind: Int[Array, " 16"]
    error: Float[Array, " 16"]
    trapping: Bool[Array, ""]
    divergence: Float[Array, " 2"]
    undecided: Int[Array, ""]
    boxes: Int[Array, ""]

    @property
    def certified(self):
        """Every box was excluded or holds one proven fixed point."""
        return self.count >= 0


class Search(eqx.Module):
    """State of the walk: the box in hand, what was found, bounds met on the way."""

    mode: Int[Array, ""]
    level: Int[Array, ""]
    ix: Int[Array, ""]
    iy: Int[Array, ""]
    lo: tuple
    hi: tuple
    steps: Int[Array, ""]
    only_one: Bool[Array, ""]
    trapping: Bool[Array, ""]
    pending: Bool[Array, ""]
    found: Int[Array, ""]
    table: Float[Array, "8 16"] | None
    boxes: Int[Array, ""]
    undecided: Int[Array, ""]
    div_lo: Float[Array, ""]
    div_hi: Float[Array, ""]
    done: Bool[Array, ""]


def _search_box(problem: Planar):
    width = problem.upper - problem.lower
    return problem.lower - MARGIN[0] * width, problem.upper + MARGIN[1] * width


def _enclose(closed, lo, hi):
    """J over the box, f at its middle (interval), and the middle."""
    (out,) = evaluate(closed, Dual.seed([Interval(a, b) for a, b in zip(lo, hi)]), lift=lift)
    jacobian = [[as_interval(t, lo[0]) for t in o.tangent] for o in out]
    middle = [0.5 * (a + b) for a, b in zip(lo, hi)]
    (at_middle,) = evaluate(closed, [Interval(m, m) for m in middle], lift=lift)
    return jacobian, [as_interval(v, lo[0]) for v in at_middle], middle


def _krawczyk(jacobian, at_middle, middle, lo, hi):
    """K(B) as two intervals, and whether the plain mean-value form excludes B."""
    (a, b), (c, d) = [[t.middle for t in row] for row in jacobian]
    det = a * d - b * c
    safe = jnp.where(det == 0.0, 1.0, det)
    inverse = [[d / safe, -b / safe], [-c / safe, a / safe]]
    radius = [Interval(*widen(low - m, high - m)) for low, high, m in zip(lo, hi, middle)]
    plain = [at_middle[i] + jacobian[i][0] * radius[0] + jacobian[i][1] * radius[1] for i in range(2)]
    # an overflow (NaN) excludes nothing
    excluded = (plain[0].lo > 0.0) | (plain[0].hi < 0.0) | (plain[1].lo > 0.0) | (plain[1].hi < 0.0)
    kx = []
    for i in range(2):
        newton = at_middle[0] * inverse[i][0] + at_middle[1] * inverse[i][1]
        image = middle[i] - newton
        for j in range(2):
            product = jacobian[0][j] * inverse[i][0] + jacobian[1][j] * inverse[i][1]
            image = image + (float(i == j) - product) * radius[j]
        # a singular middle proves nothing
        bad = det == 0.0
        kx.append(Interval(jnp.where(bad, -jnp.inf, image.lo), jnp.where(bad, jnp.inf, image.hi)))
    return kx, excluded


class BranchAndPrune:
    """The search for all fixed points, as a `records.Solver` of `Planar` problems."""

    def init(self, problem: Planar) -> Search:
        closed = trace(problem.field, (2,), dtype=problem.lower.dtype)
        low, high = _search_box(problem)
        lo, hi = (low[0], low[1]), (high[0], high[1])
        trapping = jnp.asarray(True)
        for i in range(2):
            for end, sign in ((lo[i], 1.0), (hi[i], -1.0)):
                edge = [Interval(a, b) for a, b in zip(lo, hi)]
                edge[i] = Interval(end, end)
                (out,) = evaluate(closed, edge, lift=lift)
                inward = as_interval(out[i], end) * sign
                trapping &= inward.lo > 0.0
        zero, dtype = jnp.zeros((), jnp.int32), problem.lower.dtype
        start = Search(
            mode=zero,
            level=zero,
            ix=zero,
            iy=zero,
            lo=lo,
            hi=hi,
            steps=zero,
            only_one=jnp.asarray(False),
            trapping=trapping,
            pending=jnp.asarray(False),
            found=zero,
            table=jnp.full((len(TABLE), MAX_FIXED_POINTS), jnp.nan, dtype),
            boxes=zero,
            undecided=zero,
            div_lo=jnp.asarray(jnp.inf, dtype),
            div_hi=jnp.asarray(-jnp.inf, dtype),
            done=jnp.asarray(False),
        )
        # most systems with a single fixed point are done with after this
        return self.advance(problem, start)

    def advance(self, problem: Planar, state: Search) -> Search:
        closed = trace(problem.field, (2,), dtype=problem.lower.dtype)
        low, high = _search_box(problem)
        low, high = (low[0], low[1]), (high[0], high[1])

        # the table stays outside the loop: a lane that has proven a fixed point waits there to enter it
        walk = replace(state, table=None)
        walk = jax.lax.fori_loop(0, BOXES_PER_ADVANCE, lambda _, s: self._test(closed, low, high, s), walk)
        table, found = _insert(state.table, state.found, _row(closed, walk.lo, walk.hi, walk.mode == SEARCH))
        level, ix, iy, lo, hi, ended = _next_box(low, high, walk.level, walk.ix, walk.iy)
        entered = replace(
            walk,
            table=table,
            found=found,
            level=level,
            ix=ix,
            iy=iy,
            lo=lo,
            hi=hi,
            mode=jnp.zeros_like(walk.mode),
            pending=jnp.asarray(False),
            done=ended | walk.only_one,
        )
        state = choose(walk.pending, entered, replace(walk, table=state.table))
        overflow = state.found > MAX_FIXED_POINTS
        gave_up = (state.boxes >= MAX_BOXES) | (state.undecided >= MAX_UNDECIDED) | overflow
        undecided = jnp.where(gave_up & ~state.done, MAX_UNDECIDED, state.undecided)
        return replace(state, done=state.done | gave_up, undecided=undecided.astype(state.undecided.dtype))

    def _test(self, closed, low, high, s: Search) -> Search:
        """Tests the box in hand and chooses the next one; does nothing in a lane that waits."""
        max_level = MAX_LEVEL[str(s.div_lo.dtype)]
        eps = float(jnp.finfo(s.div_lo.dtype).eps)
        search = s.mode == SEARCH
        grow = jnp.where(search, 0.5 * (INFLATION - 1.0), 0.0)
        lo = tuple(a - grow * (b - a) for a, b in zip(s.lo, s.hi))
        hi = tuple(b + grow * (b - a) for a, b in zip(s.lo, s.hi))
        jacobian, at_middle, middle = _enclose(closed, lo, hi)
        k, excluded = _krawczyk(jacobian, at_middle, middle, lo, hi)
        inside = (k[0].lo > lo[0]) & (k[0].hi < hi[0]) & (k[1].lo > lo[1]) & (k[1].hi < hi[1])
        apart = (k[0].hi < s.lo[0]) | (k[0].lo > s.hi[0]) | (k[1].hi < s.lo[1]) | (k[1].lo > s.hi[1])
        excluded = (excluded | apart) & search
        divergence = jacobian[0][0] + jacobian[1][1]
        determinant = jacobian[0][0] * jacobian[1][1] - jacobian[0][1] * jacobian[1][0]
        p_matrix = (jacobian[0][0].hi < 0.0) & (jacobian[1][1].hi < 0.0) & (determinant.lo > 0.0)
        whole = search & (s.level == 0)
        only_one = s.only_one | (whole & p_matrix & s.trapping)

        # what follows a box of the search
        proven = search & ~excluded & (inside | only_one)
        at_bottom = search & ~excluded & ~proven & (s.level >= max_level)
        leaf = excluded | at_bottom | proven
        split = search & ~leaf

        # after a Newton step (a box of no width): a small box around where it stands still, or another step
        newton = s.mode == NEWTON
        step = jnp.maximum(jnp.abs(k[0].middle - middle[0]), jnp.abs(k[1].middle - middle[1]))
        scale = 1.0 + jnp.maximum(jnp.abs(middle[0]), jnp.abs(middle[1]))
        still = newton & (step < eps**0.4 * scale)
        home_lo, home_hi = _box(low, high, s.level, s.ix, s.iy)
        away = jnp.asarray(False)
        for i in range(2):
            off = jnp.abs(2.0 * k[i].middle - home_lo[i] - home_hi[i])
            away |= off > INFLATION * (home_hi[i] - home_lo[i])
        lost = newton & (away | (~still & (s.steps >= NEWTON_STEPS)))
        still &= ~lost

        # what follows a box that is being shrunk
        shrink = s.mode == SHRINK
        first = shrink & (s.steps == 0)  # the small box around Newton's limit is still to be proven
        width = jnp.maximum(hi[0] - lo[0], hi[1] - lo[1])
        cut = [Interval(jnp.maximum(k[i].lo, lo[i]), jnp.minimum(k[i].hi, hi[i])) for i in range(2)]
        cut_width = jnp.maximum(cut[0].hi - cut[0].lo, cut[1].hi - cut[1].lo)
        failed = first & ~inside
        stalled = cut_width > 0.5 * width
        settled = shrink & ~failed & (stalled | (cut_width < 8.0 * eps * scale) | (s.steps > SHRINK_STEPS))

        into_tree = lost | failed  # Newton did not find it: search the box after all
        descend = split | into_tree
        level = jnp.where(descend, s.level + 1, s.level)
        ix, iy = jnp.where(descend, 2 * s.ix, s.ix), jnp.where(descend, 2 * s.iy, s.iy)
        advance_tree = excluded
        nlevel, nix, niy, _, _, ended = _next_box(low, high, level, ix, iy)
        level, ix, iy = (jnp.where(advance_tree, a, b) for a, b in zip((nlevel, nix, niy), (level, ix, iy)))
        tree_lo, tree_hi = _box(low, high, level, ix, iy)

        point = [k[i].middle for i in range(2)]
        pad = [4.0 * step + 64.0 * eps * scale for _ in range(2)]

        def corner(i, end):
            tree = (tree_lo, tree_hi)[end][i]
            value = jnp.where(descend | advance_tree, tree, (s.lo, s.hi)[end][i])
            value = jnp.where(proven, middle[i], value)
            value = jnp.where(newton & ~still & ~lost, point[i], value)
            value = jnp.where(still, point[i] + (-pad[i], pad[i])[end], value)
            shrunk = (cut[i].lo, cut[i].hi)[end]
            return jnp.where(shrink & ~failed, shrunk, value)

        mode = jnp.where(proven, NEWTON, s.mode)
        mode = jnp.where(still, SHRINK, mode)
        mode = jnp.where(into_tree, SEARCH, mode)
        steps = jnp.where(proven | still, 0, s.steps + 1)
        ended = ended & advance_tree
        tighten = leaf
        new = Search(
            mode=mode.astype(s.mode.dtype),
            level=level,
            ix=ix,
            iy=iy,
            lo=tuple(corner(i, 0) for i in range(2)),
            hi=tuple(corner(i, 1) for i in range(2)),
            steps=steps.astype(s.steps.dtype),
            only_one=only_one,
            trapping=s.trapping,
            pending=settled | at_bottom,
            found=s.found,
            table=None,
            boxes=s.boxes + 1,
            undecided=s.undecided + at_bottom.astype(s.undecided.dtype),
            div_lo=jnp.where(tighten, jnp.minimum(s.div_lo, divergence.lo), s.div_lo),
            div_hi=jnp.where(tighten, jnp.maximum(s.div_hi, divergence.hi), s.div_hi),
            done=s.done | ended,
        )
        waiting = s.done | s.pending | (s.undecided >= MAX_UNDECIDED)
        return together(choose(waiting, s, new))

    def finish(self, problem: Planar, state: Search) -> FixedPoints:
        assert state.table is not None
        x, y, error, a, b, c, d, kind = state.table
        used = jnp.arange(MAX_FIXED_POINTS) < state.found
        kind = jnp.where(used, kind, Kind.NOT_COMPUTED).astype(jnp.int32)
        jacobian = jnp.stack([jnp.stack([a, b], -1), jnp.stack([c, d], -1)], -2)
        index = jnp.where(kind == Kind.SADDLE, -1, jnp.where(used, 1, 0))
        index_sum = jnp.sum(index)
        complete = state.done & (state.undecided == 0) & (state.found <= MAX_FIXED_POINTS)
        complete &= ~state.trapping | (index_sum == 1) | jnp.any(kind == Kind.DEGENERATE)
        return FixedPoints(
            count=jnp.where(complete, state.found, -1),
            point=jnp.stack([x, y], -1),
            jacobian=jacobian,
            eigenvalue=jax.vmap(eigenvalues)(jacobian),
            kind=kind,
            error=error,
            trapping=state.trapping,
            divergence=jnp.stack([state.div_lo, state.div_hi]),
            undecided=state.undecided,
            boxes=state.boxes,
        )


def _row(closed, lo, hi, undecided):
    """The table's row of the fixed point proven to lie in a tiny box; signs are taken from intervals.

    An undecided box of the last level stands for a cluster of fixed points, or for none: degenerate.
    """
    (out,) = evaluate(closed, Dual.seed([Interval(lo[i], hi[i]) for i in range(2)]), lift=lift)
    (a, b), (c, d) = [[as_interval(t, lo[0]) for t in o.tangent] for o in out]
    kind = jnp.where(undecided, Kind.DEGENERATE, _kind(a, b, c, d)).astype(lo[0].dtype)
    radius = 0.5 * jnp.maximum(hi[0] - lo[0], hi[1] - lo[1])
    middle = [0.5 * (lo[i] + hi[i]) for i in range(2)]
    return together((*middle, radius, a.middle, b.middle, c.middle, d.middle, kind))


def _insert(table, found, row):
    """Puts a row in its lexicographic place unless its fixed point is there already."""
    x, y, error = table[:3]
    # two enclosures of one fixed point overlap; those of different ones, each proven alone in its box, do not
    # (the boxes of a cluster are one entry)
    reach = 2.0 * (error + row[2]) * jnp.where(row[-1] == Kind.DEGENERATE, CLUSTER, 1.0)
    again = jnp.any((jnp.abs(x - row[0]) <= reach) & (jnp.abs(y - row[1]) <= reach))
    # abscissae that symmetry makes equal are told apart by the ordinate, not by their rounding
    tie = jnp.abs(x - row[0]) <= float(jnp.finfo(x.dtype).eps) ** 0.5
    place = jnp.sum(jnp.where(tie, y < row[1], x < row[0]))
    row = jnp.stack(row)
    slot = jnp.arange(MAX_FIXED_POINTS)
    shifted = jnp.concatenate([table[:, :1], table[:, :-1]], axis=1)
    new = jnp.where(slot < place, table, jnp.where(slot == place, row[:, None], shifted))
    return jnp.where(again, table, new), found + (~again).astype(found.dtype)


def _next_box(low, high, level, ix, iy):
    """The box after this one in the walk: up past every last child, then to the next sibling."""
    v = ~(ix & iy)
    ups = jax.lax.population_count((v & -v) - 1)  # trailing levels at which this is the fourth child
    level, ix, iy = level - ups, ix >> ups, iy >> ups
    ended = level <= 0
    right = (ix & 1) == 0
    ix, iy = jnp.where(right, ix + 1, ix - 1), jnp.where(right, iy, iy + 1)
    level, ix, iy = (jnp.where(ended, 0, x) for x in (level, ix, iy))
    return level, ix, iy, *_box(low, high, level, ix, iy), ended


def _box(low, high, level, ix, iy):
    """Corners of a box of the quadtree; neighbours share their edges to the bit."""
    dtype = low[0].dtype
    scale = jnp.exp2(-level.astype(dtype))
    lo, hi = [], []
    for a, b, i in zip(low, high, (ix, iy)):
        w = (b - a) * scale
        lo.append(a + i.astype(dtype) * w)
        hi.append(a + (i + 1).astype(dtype) * w)
    return tuple(lo), tuple(hi)


def _kind(a: Interval, b: Interval, c: Interval, d: Interval):
    """Kind of a fixed point with Jacobian [[a, b], [c, d]]."""
    trace_, determinant = a + d, a * d - b * c
    discriminant = (a - d).square() + b * c * 4.0
    focus = discriminant.hi < 0.0
    attracts, repels = trace_.hi < 0.0, trace_.lo > 0.0
    kind = jnp.where(
        attracts,
        jnp.where(focus, Kind.STABLE_FOCUS, Kind.STABLE_NODE),
        jnp.where(focus, Kind.UNSTABLE_FOCUS, Kind.UNSTABLE_NODE),
    )
    kind = jnp.where((attracts | repels) & (determinant.lo > 0.0), kind, Kind.DEGENERATE)
    return jnp.where(determinant.hi < 0.0, Kind.SADDLE, kind)


def eigenvalues(jacobian: Float[Array, "2 2"]) -> Float[Array, "2 2"]:
    """Eigenvalues (re, im) of a real 2 x 2 matrix in closed form, larger real (then imaginary) part first.

    The real pair avoids cancellation: the one of larger modulus first, the other as det / it.
    """
    (a, b), (c, d) = jacobian
    half, delta = 0.5 * (a + d), 0.5 * (a - d)
    discriminant = delta * delta + b * c
    root = jnp.sqrt(jnp.abs(discriminant))
    big = half + jnp.where(half < 0, -root, root)
    small = jnp.where(big == 0.0, 0.0, (a * d - b * c) / jnp.where(big == 0.0, 1.0, big))
    first, second = jnp.maximum(big, small), jnp.minimum(big, small)
    zero = jnp.zeros_like(half)
    real = discriminant >= 0.0
    return jnp.stack(
        [
            jnp.stack([jnp.where(real, first, half), jnp.where(real, zero, root)]),
            jnp.stack([jnp.where(real, second, half), jnp.where(real, zero, -root)]),
        ]
    )


def stable(kind) -> Any:
    """Whether a kind attracts."""
    return (kind == Kind.STABLE_NODE) | (kind == Kind.STABLE_FOCUS)


def unstable(kind) -> Any:
    """Whether a kind repels in every direction."""
    return (kind == Kind.UNSTABLE_NODE) | (kind == Kind.UNSTABLE_FOCUS)


def settings() -> dict[str, float]:
    """Names and values of what the search depends on, for the file."""
    return {
        "fixed_points_inflation": INFLATION,
        "fixed_points_max_level_float64": MAX_LEVEL["float64"],
        "fixed_points_max_level_float32": MAX_LEVEL["float32"],
        "fixed_points_max_undecided": MAX_UNDECIDED,
        "fixed_points_max_boxes": MAX_BOXES,
        "fixed_points_boxes_per_advance": BOXES_PER_ADVANCE,
    }


def find(problem: Planar) -> FixedPoints:
    """All fixed points of one problem."""
    return run(BranchAndPrune(), problem)
