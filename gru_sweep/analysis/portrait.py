"""The one door: vector field -> `PhasePortrait`, the record of everything that is known of it.

Fixed points with their proofs, then proven neighbourhoods, cycles, what each cycle encloses, separatrices:
each stage a solver whose problem is made from the last one's record. `topology` reads the label off it.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

from ..records import InputError, Kind, Numbers, Status, field, nearest
from . import (
    any_dimension,
    cycle_search,
    description,
    enclosures,
    fixed_points,
    limit_cycles,
    neighbourhoods,
    oscillation,
    separatrices,
    single,
    topology,
)
from .checks import Check
from .enclosures import Cyclic, Enclosures
from .fixed_points import Planar, unstable
from .oscillation import Oscillation
from .separatrices import INNER, OUTER, Encircled, Separatrices
from .singularities import Singularity, singularities


class PhasePortrait(Oscillation):
    """Every fixed point, every cycle, every branch of every saddle of one system.

    Of one system it also holds the field and the box; `to_dict` is the JSON object of `gru-sweep portrait`.
    Counts are -1 and floats NaN where they are not known.
    """

    cycle_period: Float[Numbers, " 8"] = field(
        long_name="period of each cycle", units="time", dims=("cycle",)
    )
    cycle_period_error: Float[Numbers, " 8"] = field(
        long_name="estimated error of the period of each cycle", units="time", dims=("cycle",)
    )
    cycle_log_multiplier: Float[Numbers, " 8"] = field(
        long_name="logarithm of the non-trivial Floquet multiplier of each cycle", dims=("cycle",)
    )
    cycle_point: Float[Numbers, "8 2"] = field(long_name="a point of each cycle", dims=("cycle", "unit"))
    cycle_amplitude: Float[Numbers, "8 2"] = field(
        long_name="peak to peak amplitude on each cycle", dims=("cycle", "unit")
    )
    cycle_stable: Int[Numbers, " 8"] = field(
        long_name="whether each cycle is stable (1) or not (0)", dims=("cycle",), dtype="int8"
    )
    cycle_sense: Int[Numbers, " 8"] = field(
        long_name="sense of each cycle: 1 counterclockwise, -1 clockwise, 0 no cycle",
        dims=("cycle",),
        dtype="int8",
    )
    cycle_encloses: Int[Numbers, " 8"] = field(
        long_name="fixed points inside each cycle, bit i for slot i", dims=("cycle",), dtype="int32"
    )
    cycle_within: Int[Numbers, " 8"] = field(
        long_name="innermost cycle around each one, -1 for none", dims=("cycle",), dtype="int8"
    )
    cycle_hidden: Int[Numbers, " 8"] = field(
        long_name="whether a stable cycle encloses no unstable fixed point (1) or does (0)",
        dims=("cycle",),
        dtype="int8",
    )
    cycle_basin_hidden: Int[Numbers, " 8"] = field(
        long_name="whether no fixed point has a neighbourhood that meets the basin of a stable cycle (1)",
        dims=("cycle",),
        dtype="int8",
    )
    branch_end: Int[Numbers, "16 4"] = field(
        long_name="where the branches of each saddle end: 0-15 a fixed point, 16 + 2k and 17 + 2k the outer "
        "and inner side of cycle k, 32 the border, -1 no saddle, -2 unknown; branches counterclockwise, "
        "0 and 2 unstable, 1 and 3 stable",
        dims=("slot", "branch"),
        dtype="int8",
    )
    branch_rank: Int[Numbers, "16 4"] = field(
        long_name="place of a branch among those with the same end, counterclockwise",
        dims=("slot", "branch"),
        dtype="int8",
    )
    singularity: Int[Numbers, " 16"] = field(
        long_name="name of a degenerate fixed point", dims=("slot",), flags=Singularity, dtype="int8"
    )
    check: Int[Numbers, ""] = field(
        long_name="first consistency check that failed", flags=Check, dtype="int8"
    )
    field: Any = None
    lower: Any = None
    upper: Any = None

    @property
    def topology(self) -> str:
        """The canonical label (`topology.label`); empty where the portrait is not ok."""
        return topology.label(self) if int(self.status) == Status.OK else ""

    def to_dict(self) -> dict[str, Any]:
        """The portrait of one system as plain numbers, lists and words; what is not known is None."""
        return description.describe(self)


def assemble(cyclic: Cyclic, around: Enclosures, branches: Separatrices) -> PhasePortrait:
    """The record, with the checks that need no graph (`topology.check` makes the others)."""
    fixed, cycles = cyclic.fixed, cyclic.cycles
    base = oscillation.oscillation(fixed, cycles)
    kind, there = fixed.kind, ~jnp.isnan(cycles.period)
    index = jnp.where(kind == Kind.SADDLE, -1, jnp.where(kind == Kind.NOT_COMPUTED, 0, 1))
    inside = around.winding[: kind.size] != 0
    enclosed = jnp.sum(jnp.where(inside, index[:, None], 0), axis=0)
    followed = ~separatrices.wanted(fixed) | branches.complete
    check = jnp.asarray(Check.PASSED, jnp.int32)
    for failed, name in (
        (~followed, Check.BRANCH_WITHOUT_END),
        (jnp.any(there & (enclosed != 1)), Check.ENCLOSED_INDEX),
        (~around.ok, Check.CYCLE_NOT_CLOSED),
        (~fixed.trapping, Check.BOX_NOT_TRAPPING),
        ((base.index_sum != 1) & fixed.trapping, Check.INDEX_SUM),
        (jnp.any(kind == Kind.DEGENERATE), Check.DEGENERATE),
        (~cycles.complete, Check.CYCLES_NOT_RESOLVED),
        (fixed.count < 0, Check.FIXED_POINTS_NOT_PROVEN),
    ):
        check = jnp.where(failed, name, check)
    resolved = base.status == Status.OK
    status = jnp.where(resolved & (check != Check.PASSED), Status.UNRESOLVED, base.status)
    status = jnp.where(resolved & branches.connected, Status.NEAR_BIFURCATION, status)
    attracts = there & cycles.stable
    unstable_inside = jnp.any(inside & ((kind == Kind.SADDLE) | unstable(kind))[:, None], axis=0)
    whether = lambda mask, known: jnp.where(attracts & known, mask.astype(jnp.int32), -1)  # noqa: E731
    return PhasePortrait(
        **{f.name: getattr(base, f.name) for f in dataclasses.fields(base)}
        | {"status": status.astype(jnp.int32)},
        singularity=singularities(fixed),
        check=check,
        cycle_period=cycles.period,
        cycle_period_error=cycles.period_error,
        cycle_log_multiplier=cycles.log_multiplier,
        cycle_point=cycles.point,
        cycle_amplitude=cycles.upper - cycles.lower,
        cycle_stable=jnp.where(there, attracts.astype(jnp.int32), -1),
        cycle_sense=around.sense,
        cycle_encloses=around.fixed_points,
        cycle_within=around.within,
        cycle_hidden=whether(~unstable_inside, around.ok),
        cycle_basin_hidden=whether(~_met(kind, around, branches), around.ok & followed),
        branch_end=branches.end,
        branch_rank=branches.rank,
    )


def _met(kind, around: Enclosures, branches: Separatrices):
    """Which cycles some trajectory reaches from next to a fixed point, (8,).

    It leaves a saddle, or a source that is alone inside: a side that no saddle's branch reaches has nothing
    else next to it but another cycle or the border.
    """
    cycles = jnp.arange(around.winding.shape[1])
    ends = branches.end.reshape(-1, 1)
    reached = jnp.any((ends == OUTER + 2 * cycles) | (ends == INNER + 2 * cycles), axis=0)
    inside, goes_around = around.winding[: kind.size] != 0, around.winding[kind.size :] != 0
    deeper = jnp.any(inside[:, :, None] & goes_around[None] & (cycles[:, None] != cycles), axis=1)
    alone = inside & ~deeper & unstable(kind)[:, None]
    return reached | jnp.any(alone, axis=0)


class Stages:
    """The `portrait` measure as a chain: a stage's problem is made from the last one and its record."""

    def __init__(self):
        self.solvers = (
            fixed_points.BranchAndPrune(),
            neighbourhoods.Certify(saddles=True),
            cycle_search.Search(),
            limit_cycles.Refine(),
            enclosures.Enclose(),
            separatrices.Follow(),
        )
        self.links = (*oscillation.LINKS, enclosures.cyclic, Encircled)

    @staticmethod
    def record(encircled: Encircled, branches: Separatrices) -> PhasePortrait:
        """The record, from the last stage's problem and its record."""
        return assemble(encircled.cyclic, encircled.enclosures, branches)

    @staticmethod
    def settings() -> dict[str, float]:
        """Names and values of tolerances and limits, for the file."""
        return oscillation.Stages.settings() | separatrices.settings()


def audit(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same columns (n, ...) after the checks of the connection graph: a point that fails one is
    unresolved."""
    failed = topology.checks(columns)
    found = np.flatnonzero((failed != "") & (columns["status"] == Status.OK))
    if not found.size:
        return columns
    status, check = columns["status"].copy(), columns["check"].copy()
    status[found] = Status.UNRESOLVED
    check[found] = [Check[str(word).upper().replace(" ", "_")] for word in failed[found]]
    return columns | {"status": status, "check": check}


def phase_portrait(
    field: Any,
    lower: npt.ArrayLike | None = None,
    upper: npt.ArrayLike | None = None,
    *,
    precision: str = "float64",
    seed: int = 0,
) -> Any:
    """Everything that is known of dh/dt = field(h) in a box.

    **Arguments**

    - `field`: a vector field, (d,) to (d,), per unit of time, such as a `GRU`. An equinox module is compiled
      once for all its parameters.
    - `lower`, `upper`: corners of the box, (d,); [-1, 1]^d where they are missing. The flow has to enter the
      box for a topology label.
    - `precision`: `float64`, the reference, or `float32`; whatever JAX's global setting.
    - `seed`: of the starts of the search where d is not 2.

    Returns a `PhasePortrait` of NumPy arrays for d = 2; else a `any_dimension.FixedPointsOfAnyDimension`,
    which has `to_dict()` too and knows no cycles. d is that of the box, or `field.dimension`, or 2.

    Refused: a box that is not one, another precision, and a field that does not map (d,) to (d,).
    """
    if precision not in ("float64", "float32"):
        raise InputError("precision", nearest(str(precision), ("float64", "float32")), precision)
    with jax.enable_x64(precision == "float64"):
        return _portrait(jax.tree.map(partial(_cast, precision), field), lower, upper, seed)


def _cast(precision: str, leaf: Any) -> Any:
    floating = eqx.is_array_like(leaf) and jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
    return jnp.asarray(leaf, precision) if floating and eqx.is_array(leaf) else leaf


def _portrait(field: Any, lower, upper, seed: int) -> Any:
    lower, upper = _box(field, lower, upper)
    if lower.size != 2:
        return any_dimension.fixed_points(field, lower, upper, seed=seed)
    shape = getattr(jax.eval_shape(field, jax.ShapeDtypeStruct(lower.shape, lower.dtype)), "shape", None)
    if shape != lower.shape:
        raise InputError("field", f"a rate of shape {lower.shape}", f"one of shape {shape}")
    planar = Planar(field, jnp.asarray(lower), jnp.asarray(upper))
    portrait = jax.tree.map(np.asarray, single.solve(Stages(), planar))
    names = [f.name for f in dataclasses.fields(portrait) if "long_name" in f.metadata]
    row = audit({name: getattr(portrait, name)[None] for name in names})
    checked = {name: getattr(portrait, name) for name in names}
    checked |= {name: np.asarray(row[name][0]) for name in ("status", "check")}
    return PhasePortrait(**checked, field=field, lower=lower, upper=upper)


def _box(field, lower, upper) -> tuple[np.ndarray, np.ndarray]:
    size = getattr(field, "dimension", 2)
    precision = jnp.result_type(float)
    ends = []
    for name, value, default in (("lower", lower, -1.0), ("upper", upper, 1.0)):
        end = np.full(size, default, precision) if value is None else np.asarray(value)
        if end.ndim != 1 or not end.size or end.dtype.kind not in "iuf" or not np.isfinite(end).all():
            raise InputError(name, "finite numbers of shape (d,)", value)
        ends.append(end.astype(precision))
    low, high = ends
    if low.shape != high.shape or not (low < high).all():
        raise InputError("upper", f"numbers above lower = {low.tolist()}", high.tolist())
    return low, high
