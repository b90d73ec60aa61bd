"""The fast measure: every fixed point with its proof, every cycle, no separatrices.

Each stage is a solver; `portrait` goes further.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float, Int

from ..records import Kind, Numbers, Status, field
from . import cycle_search, fixed_points, limit_cycles, neighbourhoods
from .fixed_points import FixedPoints, Planar, stable, unstable
from .limit_cycles import LimitCycles


class Oscillation(eqx.Module):
    """What a sweep stores of one point: counts, the largest stable cycle, and every fixed point."""

    status: Int[Numbers, ""] = field(long_name="what is known about this point", flags=Status, dtype="int8")
    n_fixed_points: Int[Numbers, ""] = field(long_name="number of fixed points", dtype="int16")
    n_sinks: Int[Numbers, ""] = field(long_name="number of stable fixed points", dtype="int16")
    n_sources: Int[Numbers, ""] = field(
        long_name="number of fixed points unstable in every direction", dtype="int16"
    )
    n_saddles: Int[Numbers, ""] = field(long_name="number of saddles", dtype="int16")
    n_stable_cycles: Int[Numbers, ""] = field(long_name="number of stable limit cycles", dtype="int16")
    n_unstable_cycles: Int[Numbers, ""] = field(long_name="number of unstable limit cycles", dtype="int16")
    cycles_excluded: Int[Numbers, ""] = field(
        long_name="whether Bendixson's criterion proves that there is no cycle (1) or not (0)", dtype="int8"
    )
    index_sum: Int[Numbers, ""] = field(
        long_name="sum of the Poincare indices of the fixed points", dtype="int16"
    )
    frequency: Float[Numbers, ""] = field(
        long_name="frequency of the largest stable limit cycle", units="1/time"
    )
    period: Float[Numbers, ""] = field(long_name="period of the largest stable limit cycle", units="time")
    period_error: Float[Numbers, ""] = field(long_name="estimated error of the period", units="time")
    log_multiplier: Float[Numbers, ""] = field(
        long_name="logarithm of the non-trivial Floquet multiplier of that cycle"
    )
    amplitude: Float[Numbers, " 2"] = field(long_name="peak to peak amplitude on that cycle", dims=("unit",))
    fixed_point: Float[Numbers, "16 2"] = field(long_name="fixed points", dims=("slot", "unit"))
    fixed_point_error: Float[Numbers, " 16"] = field(
        long_name="proven bound on the error of a fixed point", dims=("slot",)
    )
    eigenvalue: Float[Numbers, "16 2 2"] = field(
        long_name="eigenvalues of the Jacobian (real, imaginary part)",
        units="1/time",
        dims=("slot", "eigenvalue_index", "re_im"),
    )
    kind: Int[Numbers, " 16"] = field(
        long_name="kind of fixed point", dims=("slot",), flags=Kind, dtype="int8"
    )
    certified: Int[Numbers, ""] = field(
        long_name="whether these are proven to be all fixed points (1) or not (0)", dtype="int8"
    )
    boxes: Int[Numbers, ""] = field(long_name="boxes tested to find all fixed points", dtype="int32")


def oscillation(fixed: FixedPoints, cycles: LimitCycles) -> Oscillation:
    """The record of the `oscillation` measure.

    Counts of fixed points are given where all are proven, those of cycles where the search ended everywhere;
    else -1. `near_bifurcation`: a degenerate or unproven cluster of fixed points, a neutral cycle, a
    connection of saddles.
    """
    known = fixed.count >= 0
    count = lambda mask: jnp.where(known, jnp.sum(mask), -1).astype(jnp.int32)  # noqa: E731
    sinks, sources, saddles = stable(fixed.kind), unstable(fixed.kind), fixed.kind == Kind.SADDLE
    degenerate = jnp.any(fixed.kind == Kind.DEGENERATE)
    clustered = ~known & (fixed.undecided > 0) & (fixed.undecided < fixed_points.MAX_UNDECIDED)
    resolved = known & cycles.complete
    near = clustered | (known & degenerate) | (resolved & cycles.near_bifurcation)
    status = jnp.where(resolved, Status.OK, Status.UNRESOLVED)
    status = jnp.where(near, Status.NEAR_BIFURCATION, status)
    cycle_count = lambda mask: jnp.where(resolved, jnp.sum(mask), -1).astype(jnp.int32)  # noqa: E731
    amplitude = cycles.upper - cycles.lower
    size = jnp.where(cycles.stable, jnp.sum(amplitude, axis=1), -1.0)
    largest = (jnp.arange(size.size) == jnp.argmax(size)) & cycles.stable
    pick = lambda row: jnp.where(  # noqa: E731
        jnp.any(largest), jnp.sum(jnp.where(largest, row, 0.0)), jnp.nan
    )
    period = pick(cycles.period)
    return Oscillation(
        status=status.astype(jnp.int32),
        n_fixed_points=fixed.count,
        n_sinks=count(sinks),
        n_sources=count(sources),
        n_saddles=count(saddles),
        n_stable_cycles=cycle_count(cycles.stable),
        n_unstable_cycles=cycle_count(~jnp.isnan(cycles.period) & ~cycles.stable),
        cycles_excluded=cycles.absence_proven.astype(jnp.int32),
        index_sum=jnp.where(
            known & ~degenerate, jnp.sum(sinks) + jnp.sum(sources) - jnp.sum(saddles), -1
        ).astype(jnp.int32),
        frequency=1.0 / period,
        period=period,
        period_error=pick(cycles.period_error),
        log_multiplier=pick(cycles.log_multiplier),
        amplitude=jnp.stack([pick(amplitude[:, 0]), pick(amplitude[:, 1])]),
        fixed_point=fixed.point,
        fixed_point_error=fixed.error,
        eigenvalue=fixed.eigenvalue,
        kind=fixed.kind,
        certified=fixed.certified.astype(jnp.int32),
        boxes=fixed.boxes,
    )


LINKS = (neighbourhoods.Located, cycle_search.Oscillating, limit_cycles.Sketched)
"""What each stage but the last hands to the next: its problem and its record."""


class Stages:
    """The `oscillation` measure as a chain: a stage's problem is made from the last one and its record."""

    def __init__(self):
        self.solvers = (
            fixed_points.BranchAndPrune(),
            neighbourhoods.Certify(),
            cycle_search.Search(),
            limit_cycles.Refine(),
        )
        self.links = LINKS

    @staticmethod
    def record(sketched, cycles: LimitCycles) -> Oscillation:
        """The record, from the last stage's problem and its record."""
        return oscillation(sketched.oscillating.located.fixed, cycles)

    @staticmethod
    def settings() -> dict[str, float]:
        """Names and values of tolerances and limits, for the file."""
        return fixed_points.settings() | limit_cycles.settings()


def problem(field, lower, upper) -> Planar:
    """The planar problem of `field` in the box [lower, upper]."""
    return Planar(field, lower, upper)
