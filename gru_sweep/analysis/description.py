"""A portrait in plain words and numbers: the JSON object that `gru-sweep portrait --json` prints."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..records import Kind, Status, meaning
from .checks import Check
from .singularities import Singularity

_OVERFLOW = 709.0
"""Logarithms above have no exponential in double precision."""


def describe(portrait: Any) -> dict[str, Any]:
    """A planar `PhasePortrait` as a dictionary; what is not known is None.

    Keys: `dimension`, `fixed_points`, `limit_cycles`, `index_sum`, `certified`, `topology`, `status`,
    `check`, `warnings`. Floquet multipliers: the trivial one first. Of a cycle that was not followed around,
    what it `encloses` and its `sense` are not known.
    """
    p = portrait
    status = Status(int(p.status))
    return {
        "dimension": 2,
        "fixed_points": [_fixed_point(p, int(i)) for i in np.flatnonzero(p.kind != Kind.NOT_COMPUTED)],
        "limit_cycles": [_cycle(p, int(k)) for k in np.flatnonzero(p.cycle_stable != -1)],
        "index_sum": int(p.index_sum) if _indices_known(p) else None,
        "certified": bool(p.certified),
        "topology": p.topology,
        "status": meaning(status),
        "check": meaning(Check(int(p.check))),
        "warnings": _warnings(p, status),
    }


def describe_points(found: Any) -> dict[str, Any]:
    """A `FixedPointsOfAnyDimension` with the same keys: no cycles are looked for, and there is no label."""
    points = zip(found.point, found.eigenvalue, found.n_unstable, found.kind, found.residual, found.error)
    return {
        "dimension": int(found.point.shape[1]),
        "fixed_points": [
            {
                "h": _numbers(h),
                "eigenvalues": [_numbers((value.real, value.imag)) for value in values],
                "n_unstable": int(n_unstable),
                "kind": str(kind),
                "residual": _number(residual),
                "error": _number(error),
            }
            for h, values, n_unstable, kind, residual, error in points
        ],
        "limit_cycles": [],
        "index_sum": found.degree,
        "certified": bool(found.certified),
        "topology": "",
        "status": meaning(Status.OK if found.certified else Status.UNRESOLVED),
        "warnings": [*found.warnings, "limit cycles are looked for in two dimensions only"],
    }


def _fixed_point(p, i: int) -> dict[str, Any]:
    kind = Kind(int(p.kind[i]))
    real = p.eigenvalue[i, :, 0]
    return {
        "h": _numbers(p.fixed_point[i]),
        "eigenvalues": [_numbers(pair) for pair in p.eigenvalue[i]],
        "n_unstable": int(np.sum(real > 0.0)),
        "kind": meaning(kind),
        "residual": _residual(p, i),
        "error": _number(p.fixed_point_error[i]),
        "singularity": _singularity(p, i),
        "branches": [int(end) for end in p.branch_end[i]] if kind == Kind.SADDLE else None,
    }


def _indices_known(p) -> bool:
    """Whether all fixed points are there and none is degenerate: -1 is a sum like any other."""
    return int(p.n_fixed_points) >= 0 and not (p.kind == Kind.DEGENERATE).any()


def _residual(p, i: int) -> float | None:
    point = p.fixed_point[i]
    with jax.enable_x64(point.dtype == np.float64):
        return _number(np.max(np.abs(np.asarray(p.field(jnp.asarray(point))))))


def _singularity(p, i: int) -> str | None:
    name = Singularity(int(p.singularity[i]))
    return None if name in (Singularity.NONE, Singularity.NOT_COMPUTED) else meaning(name)


def _cycle(p, k: int) -> dict[str, Any]:
    period = float(p.cycle_period[k])
    log = float(p.cycle_log_multiplier[k])
    mask, sense, within = int(p.cycle_encloses[k]), int(p.cycle_sense[k]), int(p.cycle_within[k])
    followed, resolved = sense != 0, int(p.status) == Status.OK
    return {
        "period": _number(period),
        "period_error": _number(p.cycle_period_error[k]),
        "frequency": _number(1.0 / period),
        "stable": bool(p.cycle_stable[k] == 1),
        "floquet_multipliers": [[1.0, 0.0], [_number(np.exp(log)) if log < _OVERFLOW else None, 0.0]],
        "log_multiplier": _number(log),
        "amplitude": _numbers(p.cycle_amplitude[k]),
        "encloses": [i for i in range(p.kind.size) if mask >> i & 1] if followed else None,
        "sense": {1: "counterclockwise", -1: "clockwise"}.get(sense),
        "within": within if within >= 0 else None,
        "hidden": bool(p.cycle_hidden[k] == 1) if followed else None,
        "basin_hidden": bool(p.cycle_basin_hidden[k] == 1) if resolved else None,
        "point": _numbers(p.cycle_point[k]),
    }


def _warnings(p, status: Status) -> list[str]:
    found = []
    if not p.certified:
        found.append("the fixed points listed are not proven to be all there are")
    if status == Status.NEAR_BIFURCATION:
        found.append("a bifurcation is closer than this precision can tell apart")
    elif status != Status.OK:
        found.append(f"not resolved: {meaning(Check(int(p.check)))}")
    if int(p.n_stable_cycles) < 0:
        found.append("the limit cycles listed are not known to be all there are")
    for i in np.flatnonzero(p.kind == Kind.DEGENERATE):
        found.append(f"fixed point {i} is degenerate: an eigenvalue's real part is zero within its error")
    return found


def _number(x) -> float | None:
    x = float(x)
    return x if math.isfinite(x) else None


def _numbers(values) -> list[float | None]:
    return [_number(x) for x in values]
