r"""The shape of a nullcline of a planar cell: a pure function of the cell and the unit.

In the box [-1, 1]^2 the candidate stays below 1 in modulus, so that f_i > 0 where h_i = -1 and f_i < 0 where
h_i = 1: the nullcline f_i = 0 of unit i meets only the borders h_j = -1 and h_j = 1 of the other unit. Its
components are lines (from one of these borders to the other), arcs (both ends on the same) and closed
curves; each turns, as seen along h_j, where also df_i/dh_i = 0. An odd number of them are lines.

`drawn` reads them off a contour and accepts what two grids agree on; both miss what is finer than they are.
`certified` proves them, by sweeping h_j over the box: all turns by branch and prune, all points of the
nullcline at heights between, likewise, and what is joined to what follows from their order (a cylindrical
decomposition of the curve). `shape` asks for both.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import contourpy
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from crossings import crosses_near

import gru_sweep as gs
from gru_sweep.analysis.any_dimension import zeros

NODES = (161, 321)
"""Points on each side of the grids that have to agree."""
TOUCH = 0.1
"""A line and an arc that come this close, where another bias makes them cross, are a pitchfork: they meet to
the eye, within a twentieth of the box. An exact one takes a parameter of its own."""
BESIDE = 1e-4
"""How far on both sides of a turn the other points at its height are looked for: they have to be further."""
EDGE = 1e-9
"""A turn this close to a border of the box is on neither side of it."""
NAMED = (
    "sigmoid",
    "s-shape",
    "three lines",
    "pitchfork",
    "sigmoid + U",
    "sigmoid + O",
    "O joined to the line",
)
"""The shapes that the text names; the first three without reset gate."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """Turns of every component, sorted: of the lines, of the arcs from below and above, of closed curves.

    `gap`: the distance between the line and the arc where there is one of each, else infinite; `pass_` is in
    its middle, as (h_i, h_j). `forked`: whether they are a pitchfork.
    """

    lines: tuple[int, ...]
    below: tuple[int, ...]
    above: tuple[int, ...]
    closed: tuple[int, ...]
    gap: float = dataclasses.field(default=np.inf, compare=False)
    pass_: tuple[float, float] = dataclasses.field(default=(np.nan, np.nan), compare=False)
    forked: bool = dataclasses.field(default=False, compare=False)

    @property
    def arcs(self) -> tuple[int, ...]:
        return tuple(sorted(self.below + self.above))

    @property
    def name(self) -> str:
        """The text's word where there is one; else the components in words."""
        if self.forked:
            return "pitchfork"
        words = [_lines(self.lines, bool(self.arcs or self.closed))]
        words += [_counted(self.arcs, "U", 1), _counted(self.closed, "O", 2)]
        return " + ".join(word for word in words if word)

    def consistent(self) -> bool:
        """An odd number of lines, each with an even number of turns, as closed curves; arcs have odd ones."""
        odd = [turns % 2 for turns in self.arcs]
        even = [turns % 2 for turns in self.lines + self.closed]
        return len(self.lines) % 2 == 1 and all(odd) and not any(even) and all(self.closed)


def _lines(turns: tuple[int, ...], others: bool) -> str:
    single = {(0,): "sigmoid", (2,): "s-shape", (0, 0, 0): "three lines"}
    if turns == (4,) and not others:
        return "O joined to the line"
    if turns in single:
        return single[turns]
    bends = ", ".join(map(str, turns))
    return f"line of {bends} turns" if len(turns) == 1 else f"{len(turns)} lines of {bends} turns"


def _counted(turns: tuple[int, ...], letter: str, usual: int) -> str:
    """`2 U` for two arcs, with their turns where one has more than usual."""
    if not turns:
        return ""
    word = letter if len(turns) == 1 else f"{len(turns)} {letter}"
    return word if set(turns) == {usual} else f"{word} of {', '.join(map(str, turns))} turns"


class Turn(eqx.Module):
    """h -> (f_i, df_i/dh_i) of the unit i that is 1 in `own`, (2,): zero where its nullcline turns."""

    field: Any
    own: jax.Array

    def __call__(self, h: jax.Array) -> jax.Array:
        rate, slope = jax.jvp(self.field, (h,), (self.own,))
        return jnp.stack([jnp.sum(self.own * rate), jnp.sum(self.own * slope)])


class Row(eqx.Module):
    """(h_i,) -> (f_i,) where the other unit is at `height`: zero where the nullcline is."""

    field: Any
    own: jax.Array
    height: jax.Array

    def __call__(self, x: jax.Array) -> jax.Array:
        state = self.own * x + (1.0 - self.own) * self.height
        return jnp.sum(self.own * self.field(state))[None]


def turn(cell: Any, unit: int) -> Turn:
    """`Turn` of one unit: numbers alone tell the units apart, so that one program serves both."""
    return Turn(cell, jnp.asarray(np.eye(2)[unit]))


@eqx.filter_jit
def _sampled(test: Turn, x: jax.Array, y: jax.Array) -> jax.Array:
    """f_i and df_i/dh_i at h_i = x, h_j = y, (len(y), len(x), 2)."""
    state = lambda a, b: test.own * a + (1.0 - test.own) * b  # noqa: E731
    return jax.vmap(lambda b: jax.vmap(lambda a: test(state(a, b)))(x))(y)


def curves(cell: Any, unit: int, nodes: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The contour f_i = 0 on a grid: its pieces (n, 2) as (h_i, h_j), and df_i/dh_i along each, (n,)."""
    # closer nodes where units are saturated
    x = np.sin(np.linspace(-np.pi / 2, np.pi / 2, nodes))
    y = np.linspace(-1.0, 1.0, nodes)
    rate, slope = np.moveaxis(np.asarray(_sampled(turn(cell, unit), x, y)), -1, 0)
    tiny = np.finfo(float).tiny
    # |tanh| < 1, also where it rounds to 1
    rate = np.concatenate(
        [np.maximum(rate[:, :1], tiny), rate[:, 1:-1], np.minimum(rate[:, -1:], -tiny)], axis=1
    )
    lines = contourpy.contour_generator(x, y, rate, name="serial", line_type="Separate").lines(0.0)
    return lines, [_interpolated(x, y, slope, line) for line in lines]


def _interpolated(x: np.ndarray, y: np.ndarray, values: np.ndarray, line: np.ndarray) -> np.ndarray:
    """`values` (len(y), len(x)) at the points of a line, (n,), bilinear between the nodes."""
    n = len(x)
    column, row = (np.interp(line[:, k], axis, np.arange(n)) for k, axis in ((0, x), (1, y)))
    i, j = (np.minimum(part.astype(int), n - 2) for part in (column, row))
    a, b = column - i, row - j
    low = (1.0 - a) * values[j, i] + a * values[j, i + 1]
    high = (1.0 - a) * values[j + 1, i] + a * values[j + 1, i + 1]
    return (1.0 - b) * low + b * high


def _read(cell: Any, unit: int, nodes: int) -> Shape | None:
    """The shape on one grid; None where it cannot be one."""
    lines, slopes = curves(cell, unit, nodes)
    found: dict[str, list] = {"lines": [], "below": [], "above": [], "closed": []}
    pieces: dict[str, list[np.ndarray]] = {key: [] for key in found}
    for line, slope in zip(lines, slopes):
        ends = line[[0, -1], 1]
        closed = bool((line[0] == line[-1]).all())
        if not closed and not (np.abs(ends) == 1.0).all():
            return None
        side = "closed" if closed else "lines" if ends[0] != ends[1] else "above" if ends[0] > 0 else "below"
        signs = np.sign(slope[slope != 0.0])
        found[side].append(int(np.count_nonzero(np.diff(signs))))
        pieces[side].append(line)
    seen = Shape(**{key: tuple(sorted(turns)) for key, turns in found.items()})
    if len(seen.lines) == len(seen.arcs) == 1:
        gap, place = _apart(pieces["lines"][0], *pieces["below"], *pieces["above"])
        seen = dataclasses.replace(seen, gap=gap, pass_=place)
    return seen if seen.consistent() else None


def _apart(one: np.ndarray, other: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The smallest distance between the nodes of two curves, and where its middle is."""
    apart = np.linalg.norm(one[:, None] - other, axis=-1)
    i, j = np.unravel_index(apart.argmin(), apart.shape)
    x, y = (one[i] + other[j]) / 2.0
    return float(apart[i, j]), (float(x), float(y))


def drawn(cell: Any, unit: int) -> Shape | None:
    """The shape that all grids of `NODES` show, with the gap of the finest; None where they differ."""
    coarse, fine = (_read(cell, unit, nodes) for nodes in NODES)
    return fine if coarse == fine else None


def shape(cell: gs.GRU, unit: int) -> Shape | None:
    """The shape that is proven and drawn alike, with its gap; None, unresolved, where there is none."""
    seen = drawn(cell, unit)
    if seen is None or seen != certified(cell, unit):
        return None
    near = not seen.closed and seen.gap < TOUCH
    return dataclasses.replace(seen, forked=near and crosses_near(cell, unit, seen.pass_, TOUCH))


def certified(cell: Any, unit: int) -> Shape | None:
    """The shape, proven but for the gap, which is not looked at; None where it is not.

    Where turns share a height, lie on a border or are double, nothing follows.
    """
    turns = _proven(turn(cell, unit), 2)
    if turns is None:
        return None
    turns = turns[np.argsort(turns[:, 1 - unit])]
    at, heights = turns[:, unit], np.concatenate([[-1.0], turns[:, 1 - unit], [1.0]])
    if (np.diff(heights) < EDGE).any():
        return None
    between = [-1.0, *((a + b) / 2 for a, b in itertools.pairwise(heights[1:-1])), 1.0]
    if len(turns) == 0:
        between = [-1.0, 1.0]
    rows = [_proven(Row(cell, turn(cell, unit).own, jnp.asarray(height)), 1) for height in between]
    if any(row is None for row in rows):
        return None
    counts = [len(row) for row in rows]
    where = [_rank(cell, unit, x, y) for x, y in zip(at, heights[1:-1])]
    return _joined(counts, where)


def _proven(field: Any, size: int) -> np.ndarray | None:
    """All zeros (n, size) in the box; None where not all are proven."""
    found = zeros(field, np.full(size, -1.0), np.ones(size))
    return found.point if found.complete and not len(found.clusters) else None


def _rank(cell: Any, unit: int, x: float, y: float) -> tuple[int, int] | None:
    """How many points of the nullcline lie at the height of a turn at (x, y), on its two sides."""
    row = Row(cell, turn(cell, unit).own, jnp.asarray(y))
    sides = [zeros(row, np.array([a]), np.array([b])) for a, b in ((-1.0, x - BESIDE), (x + BESIDE, 1.0))]
    if not all(side.complete and not len(side.clusters) for side in sides):
        return None
    left, right = (len(side.point) for side in sides)
    return left, right


def _joined(counts: list[int], where: list[tuple[int, int] | None]) -> Shape | None:
    """The shape, from the number of points at heights between the turns and the rank of each turn.

    A turn that opens upwards begins two neighbouring branches, one that opens downwards joins two.
    """
    branches, fresh = list(range(counts[0])), itertools.count(counts[0])
    ends = {i: [1, 0, 0] for i in branches}  # on the lower border, on the upper one, turns
    for (now, then), rank in zip(itertools.pairwise(counts), where):
        if rank is None or abs(then - now) != 2 or sum(rank) + 2 != max(now, then):
            return None
        left = rank[0]
        if then > now:
            new = next(fresh)
            ends[new] = [0, 0, 1]
            branches[left:left] = [new, new]
        else:
            one, other = branches[left : left + 2]
            del branches[left : left + 2]
            ends[one][2] += 1
            if one != other:
                for k, value in enumerate(ends.pop(other)):
                    ends[one][k] += value
                branches = [one if branch == other else branch for branch in branches]
    for branch in branches:
        ends[branch][1] += 1
    kinds = {(1, 1): "lines", (2, 0): "below", (0, 2): "above", (0, 0): "closed"}
    found: dict[str, list] = {"lines": [], "below": [], "above": [], "closed": []}
    for low, high, bends in ends.values():
        found[kinds[low, high]].append(bends)
    whole = Shape(**{key: tuple(sorted(bends)) for key, bends in found.items()})
    return whole if whole.consistent() else None
