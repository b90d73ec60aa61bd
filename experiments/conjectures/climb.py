"""Climbs from the best cells that were drawn: to more fixed points, sinks and cycles, and to clearer ones.

A population drifts on its level: children differ from a parent in some entries by a share of them, those
with at least as high a `level` as the best so far live, and where they are too many, those that are nearest
to more, by `margin`. How near a further pair of fixed points is: the least max |f| among the local minima
on a grid that are no fixed points; it is zero at a fold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from gru_sweep.systems import entries

from .cells import COLUMNS, DECIMALS, LARGEST, NAMES, UPDATE
from .distributions import DISTRIBUTIONS, READINGS
from .portraits import Columns, Portraits
from .tally import FEATURES, NOWHERE, Tally, featured

NODES = 65
"""Points of the grid on each side."""
APART = 2.5 * 2.0 / (NODES - 1)
"""A local minimum nearer than this to a fixed point is that fixed point."""
BLOCK = 128
"""Cells whose grids are held in memory together."""
POOL = 256
"""Cells that live."""
SHARE = (-3.0, -0.3)
"""Decimal logarithms of the smallest and largest share by which entries change."""
CHANGED = (0.1, 0.3, 1.0)
"""Parts of the entries that change in a child, each as often as the others."""
STARTS = 24
"""Topologies from which a climb starts: those of highest level."""
FROZEN = {READINGS[0]: [*UPDATE, *COLUMNS["U_r"], *COLUMNS["b_r"]], READINGS[1]: UPDATE}
"""Entries that stay as they are, by reading; a constant reset gate is as good as another U_h."""


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a climb is for: the sum of some `FEATURES`, and among equals `margin(cells, columns)`, (n,)."""

    name: str
    reading: str
    features: tuple[str, ...]
    margin: Callable[[np.ndarray, Columns], np.ndarray]

    def level(self, features: np.ndarray) -> np.ndarray:
        """Of features (n, 9), integers (n,)."""
        return features[:, [FEATURES.index(name) for name in self.features]].sum(axis=1)


@dataclasses.dataclass(frozen=True)
class Summit:
    """Where a climb ended: the best cell, its level and that of the start, and the cells looked at.

    `not_ok` of these have no label; `not_counted` are those whose fixed points were not all proven, as they
    would not be if there were more than there are slots.
    """

    goal: Goal
    start: int
    level: int
    cell: np.ndarray
    label: str
    looked_at: int
    not_ok: int
    not_counted: int


def starts(tally: Tally, goal: Goal) -> np.ndarray:
    """The first cells drawn of the topologies of highest level in the goal's reading or a narrower one."""
    labels = sorted(tally.count)
    level = goal.level(np.array([tally.features[label] for label in labels]))
    within = READINGS[: READINGS.index(goal.reading) + 1]
    places = [k for k, d in enumerate(DISTRIBUTIONS) if d.reading in within]
    found: list[np.ndarray] = []
    for i in np.argsort(-level, kind="stable"):
        met = [k for k in places if tally.first[labels[i]][k] != NOWHERE]
        if met and len(found) < STARTS:
            index = np.array([tally.first[labels[i]][met[0]]])
            found.append(DISTRIBUTIONS[met[0]].draw(tally.seed, index))
    return np.concatenate(found)


def climb(
    look: Portraits, goal: Goal, pool: np.ndarray, generations: int, children: int, seed: int
) -> Summit:
    """Climb from the cells `pool` (n, 18) by so many `generations` of so many `children`."""
    rng = np.random.default_rng(seed)
    found = look(pool)
    level = ranked(goal, found)
    first = top = int(level.max())
    pool, margin = pool[level == top], goal.margin(pool, found)[level == top]
    looked = not_ok = not_counted = 0
    for _ in range(generations):
        born = mutated(rng, pool, children, FROZEN[goal.reading])
        found = look(born)
        looked += len(born)
        not_ok += int((found["label"] == "").sum())
        not_counted += int((found["n_fixed_points"] < 0).sum())
        level = ranked(goal, found)
        live = level >= top
        if level.max() > top:
            top, live = int(level.max()), level == level.max()
            pool, margin = pool[:0], margin[:0]
        margins = goal.margin(born[live], {name: column[live] for name, column in found.items()})
        pool, margin = np.concatenate([pool, born[live]]), np.concatenate([margin, margins])
        best = np.argsort(-margin, kind="stable")[:POOL]
        pool, margin = pool[best], margin[best]
    label = str(look(pool[:1])["label"][0])
    return Summit(goal, first, top, pool[0], label, looked, not_ok, not_counted)


def ranked(goal: Goal, found: Columns) -> np.ndarray:
    """The level of every cell; below all others where its portrait is not ok."""
    return np.where(found["label"] != "", goal.level(featured(found)), -1)


def mutated(rng: np.random.Generator, pool: np.ndarray, n: int, frozen: list[int]) -> np.ndarray:
    """n children of random cells of `pool`, (n, 18)."""
    parents = pool[rng.integers(0, len(pool), n)]
    share = 10.0 ** rng.uniform(*SHARE, (n, 1))
    changed = rng.random(parents.shape) < rng.choice(CHANGED, (n, 1))
    # entries that are zero change too
    noise = changed * share * rng.normal(size=parents.shape) * (np.abs(parents) + 1.0)
    children = np.round(np.clip(parents + noise, -LARGEST, LARGEST), DECIMALS) + 0.0
    children[:, frozen] = parents[:, frozen]
    return children


def nearness(cells: np.ndarray, found: Columns) -> np.ndarray:
    """Minus the least max |f| at local minima that are no fixed points (0 at a fold), (n,)."""
    values = [np.zeros(0)]
    for begin in range(0, len(cells), BLOCK):
        rows, points = cells[begin : begin + BLOCK], found["fixed_point"][begin : begin + BLOCK]
        take = np.arange(BLOCK) % len(rows)
        values.append(-np.asarray(_least(rows[take], points[take]))[: len(rows)])
    return np.concatenate(values)


@jax.jit
@jax.vmap
def _least(row, points):
    side = jnp.linspace(-1.0, 1.0, NODES)
    grid = jnp.stack(jnp.meshgrid(side, side, indexing="ij"), axis=-1)
    field = entries.before(**dict(zip(NAMES, row)))
    speed = jnp.max(jnp.abs(jax.vmap(jax.vmap(field))(grid)), axis=-1)
    padded = jnp.pad(speed, 1, constant_values=jnp.inf)
    around = [padded[i : i + NODES, j : j + NODES] for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    # empty slots are far away: the largest of several NaN is not NaN on every platform
    apart = jnp.max(jnp.abs(grid[:, :, None] - jnp.nan_to_num(points, nan=jnp.inf)), axis=-1)
    known = jnp.any(apart < APART, axis=-1)
    return jnp.min(jnp.where((speed <= jnp.min(jnp.stack(around), axis=0)) & ~known, speed, jnp.inf))


def clearness(cells: np.ndarray, found: Columns) -> np.ndarray:
    """The least difference in size of a cycle to the next smaller one, or to nothing, (n,)."""
    there = found["cycle_stable"] >= 0
    sizes = np.sort(np.where(there, found["cycle_amplitude"].max(axis=2), np.inf), axis=1)
    smaller = np.concatenate([np.zeros((len(sizes), 1)), sizes[:, :-1]], axis=1)
    steps = np.where(np.isfinite(sizes), sizes - np.where(np.isfinite(smaller), smaller, 0.0), np.inf)
    return steps.min(axis=1)


GOALS = (
    Goal("fixed points", READINGS[1], ("n_fixed_points",), nearness),
    Goal("sinks", READINGS[0], ("n_sinks",), nearness),
    Goal("hidden attractors", READINGS[0], ("hidden_basin",), clearness),
    Goal("cycles", READINGS[0], ("n_stable_cycles", "n_unstable_cycles"), clearness),
    Goal("cycles", READINGS[1], ("n_stable_cycles", "n_unstable_cycles"), clearness),
)
