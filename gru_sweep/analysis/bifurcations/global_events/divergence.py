r"""A homoclinic point from the other side: where the period of a cycle goes to infinity.

Run time in the sense in which the cycle attracts; let the saddle repel at the rate l and attract at nu l
then, nu > 1. A cycle that passes the saddle at the distance d from its incoming branch spends the time

    T = -ln(d)/l + const + ...

there and comes back at d = G(p) + const d^nu + ..., with G the gap of the branches (Kuznetsov 2004, sec.
6.2). So y = exp(-l T) goes to zero with d, and

    p = p* + a_1 y + a_2 y^nu + a_3 y^2 + ...,

linear in p* and the a_i: cycles at parameters that approach p* geometrically give it by collocation.
"""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from ...sections import Section
from ..extended import Field
from .batches import LANES
from .crossings import Box, gaps, returns
from .saddle_branches import Anchor

NEUTRAL = 0.02
"""nu - 1 below which y and y^nu are too alike to be told apart: the period says nothing sharp."""
TERMS = 3
"""Powers of y besides the constant."""
DISTINCT = 0.1
"""Powers closer than this are taken as one, but for 1 and nu."""
MAX_LOOPS = 12
"""Newton steps on the return map."""
STANDSTILL = 1e-12
"""Newton step, in boxes, at which a cycle has been found."""
CLOSEST = 1e-10
"""Least gap of the branches, in boxes, at which a cycle is asked for: nearer, |p - p*| is all rounding."""
LOOSER = 100.0
"""Factor on the tolerance with which everything is done again."""
SAFETY = 4.0
"""Factor on the change from one order, and one set of cycles, to the next, and on that by looser steps."""
ROUNDING = 512.0
"""Rounding errors of p and of d, in units of the last place."""


@dataclasses.dataclass(frozen=True)
class Divergence:
    """p* and its estimated error, and the longest period that was computed."""

    value: float
    error: float
    longest_period: float


def divergence(
    field: Field,
    source: Anchor,
    target: Anchor,
    box: Box,
    root: float,
    bracket: tuple[float, float],
    rates: tuple[float, float],
    slope: float,
    tolerance: float,
) -> Divergence | None:
    """p* of a homoclinic orbit near `root`, which says only where cycles are worth computing.

    `source`, `target`: the saddle with its outgoing and with its incoming branch. `rates`: its eigenvalues,
    unstable and stable, 1/time. `slope`: of the gap by p, for a scale. None where the saddle is neutral, or
    no cycles are found.
    """
    unstable, stable = rates
    sense = 1.0 if unstable + stable < 0.0 else -1.0
    leaving, arriving = (source, target) if sense > 0.0 else (target, source)
    if neutral(unstable, stable):
        return None
    least = max(CLOSEST * box.size / abs(slope), ROUNDING * np.spacing(abs(root)))
    sides = []
    for end in bracket:
        most = abs(end - root)
        if most > 16.0 * least:
            sides.append(root + np.copysign(np.geomspace(most, least, LANES), end - root))
    for values in sides:
        tight, loose = (
            _extrapolated(field, values, values - root, sense, leaving, arriving, box, local)
            for local in (tolerance, LOOSER * tolerance)
        )
        if tight is None or loose is None:
            continue
        offset, change, longest = tight
        rounding = ROUNDING * float(np.finfo(np.float64).eps) * (abs(root) + box.size / abs(slope))
        error = SAFETY * (change + abs(offset - loose[0])) + rounding
        return Divergence(root + offset, error, longest)
    return None


def neutral(unstable: float, stable: float) -> bool:
    """Whether a saddle repels as it attracts, as far as this method can tell."""
    return max(-stable / unstable, -unstable / stable) < 1.0 + NEUTRAL


def _extrapolated(
    field, values, offset, sense, leaving: Anchor, arriving: Anchor, box: Box, tolerance: float
) -> tuple[float, float, float] | None:
    """The offset at which the period is infinite, its change by the last power, and the longest period."""
    met = gaps(field, values, sense, leaving, arriving, tolerance, 1.0, box)
    first = met.gap[:, 0]
    here = np.sign(first) == met.inward
    if here.sum() <= TERMS:
        return None
    section = jax.tree.map(lambda leaf: leaf[here], met.section)
    period = _periods(field, values[here], sense, section, first[here], tolerance, box)
    rates = met.leaving.rates if sense > 0.0 else met.leaving.rates[::-1]
    quick, slow = (np.abs(rate[here]) for rate in rates)
    known = np.isfinite(period)
    if known.sum() <= TERMS:
        return None
    nu = float(np.median((slow / quick)[known]))
    found, change = vanishing(np.exp(-(quick * period)[known]), offset[here][known], nu)
    return found, change, float(np.max(period[known]))


def vanishing(y: np.ndarray, offset: np.ndarray, nu: float) -> tuple[float, float]:
    """The offset at y = 0 and its estimated error, from offsets (n,) at n > `TERMS` values y (n,).

    By collocation with `TERMS` powers of y on neighbouring points; the error is the change that one power and
    one point more make, or that from one set of neighbours to the next, where it is least.
    """
    order = np.argsort(-y)
    y, offset = y[order], offset[order]
    powers = [1.0, nu]
    for power in (2.0, 1.0 + nu, 3.0):
        if all(abs(power - other) > DISTINCT for other in powers):
            powers.append(power)
    powers.sort()
    values, errors = [], []
    for i in range(len(y) - TERMS):
        near = slice(i, i + TERMS + 1), slice(i + 1, i + TERMS + 1)
        full, part = (_collocated(y[some], offset[some], powers) for some in near)
        values.append(full)
        errors.append(abs(full - part))
    between = np.abs(np.diff(values))
    for i, change in enumerate(between):
        errors[i + 1] = max(errors[i + 1], change)
    best = int(np.argmin(errors))
    return float(values[best]), float(errors[best])


def _collocated(y: np.ndarray, offset: np.ndarray, powers: list[float]) -> float:
    """The constant term; y is scaled by its largest value for the sake of the condition."""
    exponents = np.array([0.0, *powers[: len(y) - 1]])
    return float(np.linalg.solve((y[:, None] / y[0]) ** exponents, offset)[0])


def _periods(field, values, sense, section: Section, s, tolerance, box: Box) -> np.ndarray:
    """Periods (n,) of the cycles that cross their sections near s (n,), NaN where there are none."""
    period = np.full(len(values), np.nan)
    for _ in range(MAX_LOOPS):
        back = returns(field, values, sense, section, section.at(s), True, tolerance, box)
        attracts = back.ok & (back.slope < 1.0)
        step = np.where(attracts, (back.to - s) / np.where(attracts, 1.0 - back.slope, 1.0), np.nan)
        settled = np.abs(step) < STANDSTILL * box.size
        period = np.where(settled, back.time, np.nan)
        if (settled | ~attracts).all():
            break
        s = np.where(attracts, s + step, s)
    return period
