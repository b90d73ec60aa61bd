r"""The fixed points of a GRU under both readings: of the flow dh/dt = f(h) (Eq 7), and of the map h + f(h).

They are the same points. With lambda an eigenvalue of f's Jacobian the map's multiplier is mu = 1 + lambda,
so the kinds can differ: |1 + lambda| > 1 while Re lambda < 0, by a fast focus or by lambda < -2 (a flip).
"""

from __future__ import annotations

import dataclasses
from enum import IntEnum

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..analysis import any_dimension
from ..analysis.any_dimension import FixedPointsOfAnyDimension, enclosures, spectrum
from ..analysis.compiled import compiled, in_blocks
from ..records import meaning
from ..systems.cells import GRU
from .maps import double, whole

MAX_BOXES = 50_000
"""Boxes after which branch and prune gives up on a cell: some seconds. Four trained units need hundreds to
thousands; pseudo-line attractors, nearly degenerate all along, need most."""
BLOCK = 16
"""Points whose Jacobians are enclosed in one call."""
ROUNDING = 4.0 * float(np.finfo(float).eps)
"""Radius added to a multiplier's disc for the rounding of 1 + lambda and of its modulus."""


class MapKind(IntEnum):
    """The kind of a fixed point of a map, by its multipliers.

    Stable: all in the unit circle; unstable: all outside; else a saddle. A focus has one proven not to be
    real. *Flip*: a real negative one, by which the orbit alternates: for a node any, for a saddle one that is
    unstable. Degenerate: the error of one does not tell on which side of the circle it lies.
    """

    NOT_COMPUTED = -1
    STABLE_NODE = 0
    STABLE_FLIP_NODE = 1
    STABLE_FOCUS = 2
    UNSTABLE_NODE = 3
    UNSTABLE_FLIP_NODE = 4
    UNSTABLE_FOCUS = 5
    SADDLE = 6
    FLIP_SADDLE = 7
    DEGENERATE = 8


@dataclasses.dataclass(frozen=True)
class Fixed:
    """n fixed points of a GRU of d units, in lexicographic order.

    - `h` (n, d), each within `error` (n,) where `proven` (n,); `residual` (n,): max |step(h) - h|.
    - `eigenvalue` (n, d), complex: of the flow, 1/time. `multiplier` (n, d) = 1 + `eigenvalue`: of the map.
      Both are known within `radius` (n, d).
    - `n_unstable`, `n_unstable_map` (n,): how many have Re lambda > 0, |mu| > 1; -1 where the radius does not
      tell.
    - `kind`, `kind_map` (n,): words, those of `records.Kind` and of `MapKind`.
    - `time_constant`, `time_constant_map` (n,): the slowest of 1 / |Re lambda| (time) and of 1 / |ln |mu||
      (steps).
    - `certified`: these are all, each proven. Never so beyond `any_dimension`'s provable sizes: there many
      starts found them, `missing_mass` is the Good-Turing share of starts that would find others, and
      `warnings` says what is not known.
    """

    h: np.ndarray
    error: np.ndarray
    proven: np.ndarray
    residual: np.ndarray
    eigenvalue: np.ndarray
    multiplier: np.ndarray
    radius: np.ndarray
    n_unstable: np.ndarray
    n_unstable_map: np.ndarray
    kind: np.ndarray
    kind_map: np.ndarray
    time_constant: np.ndarray
    time_constant_map: np.ndarray
    certified: bool
    missing_mass: float
    warnings: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of fixed points found, n."""
        return len(self.h)


def fixed_points(cell: GRU, *, seed: int = 0, max_boxes: int = MAX_BOXES) -> Fixed:
    """The fixed points of a GRU without input in [-1, 1]^d, any d, in float64.

    By `analysis.any_dimension.fixed_points`: branch and prune within `max_boxes` boxes for few units, starts
    drawn from `seed` beyond, Newton's method and a proof of existence for each. Cells that differ in numbers
    only share their programs.
    """
    whole("seed", seed, 0)
    whole("max_boxes", max_boxes, 0)
    cell = double(cell)
    side = np.ones(cell.dimension)
    return _both(
        cell, any_dimension.fixed_points(cell, -side, side, seed=int(seed), max_boxes=int(max_boxes))
    )


def _both(cell: GRU, found: FixedPointsOfAnyDimension) -> Fixed:
    n, d = found.point.shape
    value, radius = np.zeros((n, d), complex), np.zeros((n, d))
    if n:
        ends = np.stack([found.point - found.error[:, None], found.point + found.error[:, None]], axis=1)
        middle, spread = in_blocks(lambda pairs: _jacobian(cell, pairs), ends, BLOCK)
        for i in range(n):
            value[i], radius[i] = spectrum.discs(middle[i], spread[i])
    multiplier, wide = 1.0 + value, radius + ROUNDING * (1.0 + np.abs(value))
    size = np.abs(multiplier)
    with np.errstate(divide="ignore"):
        slow = 1.0 / np.abs(value.real)
        slow_map = 1.0 / np.abs(np.log(size))
    return Fixed(
        h=found.point,
        error=found.error,
        proven=found.proven,
        residual=found.residual,
        eigenvalue=value,
        multiplier=multiplier,
        radius=wide,
        n_unstable=_count(value.real, radius),
        n_unstable_map=_count(size - 1.0, wide),
        kind=np.array([spectrum.kind(v, r) for v, r in zip(value, radius)], dtype=object),
        kind_map=np.array([meaning(map_kind(m, r)) for m, r in zip(multiplier, wide)], dtype=object),
        time_constant=slow.max(axis=1, initial=0.0),
        time_constant_map=slow_map.max(axis=1, initial=0.0),
        certified=found.certified,
        missing_mass=found.missing_mass,
        warnings=found.warnings,
    )


def _count(excess: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How many of each row exceed 0, -1 where one is 0 within its radius."""
    return np.where((np.abs(excess) > radius).all(axis=1), (excess > 0).sum(axis=1), -1)


def map_kind(multiplier: np.ndarray, radius: np.ndarray) -> MapKind:
    """The kind of a fixed point whose multipliers, (d,), are known within `radius`, (d,)."""
    excess = np.abs(multiplier) - 1.0
    if not (np.abs(excess) > radius).all():
        return MapKind.DEGENERATE
    out = excess > 0
    turns = np.abs(multiplier.imag) > radius
    flips = ~turns & (multiplier.real < -radius)
    if out.any() and not out.all():
        return MapKind.FLIP_SADDLE if (flips & out).any() else MapKind.SADDLE
    if turns.any():
        return MapKind.UNSTABLE_FOCUS if out.any() else MapKind.STABLE_FOCUS
    if flips.any():
        return MapKind.UNSTABLE_FLIP_NODE if out.any() else MapKind.STABLE_FLIP_NODE
    return MapKind.UNSTABLE_NODE if out.any() else MapKind.STABLE_NODE


@compiled
def _jacobian(cell: GRU, ends: Float[Array, "n 2 d"]) -> tuple[Array, Array]:
    """Middle and radius of the Jacobian's enclosure between each pair of corners, (n, d, d)."""

    def one(pair):
        over = enclosures.value_and_jacobian(cell, pair[0], pair[1])[1]
        return over.middle, jnp.maximum(over.hi - over.middle, over.middle - over.lo)

    return jax.vmap(one)(ends)
