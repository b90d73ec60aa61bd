r"""Folds of cycles: where a stable and an unstable cycle meet and vanish.

With P(s, p) the return map of a section and d = P - s, a fold of cycles is a regular zero of

    (d, dP/ds - 1)          in (s, p), where d^2P/ds^2 and dd/dp are not 0

(Kuznetsov 2004, sec. 5.3). The slope of P is exact (`sections`), the rest of the Newton matrix a difference
quotient: that costs convergence of the second order, no accuracy. Errors come from solving again with looser
steps, and on a section elsewhere on the cycles.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from ....records import InputError
from ...sections import Section
from ..event import Event
from ..extended import Field
from .checks import box_of, bracket_of, tolerance_of
from .crossings import Box, returns

TOLERANCE = 1e-13
"""Local error of a step, in units of its length."""
LOOSER = 100.0
"""Factor on the tolerance with which the fold is solved for again."""
SAFETY = 4.0
"""Factor on the largest change that looser steps or another section make."""
ROUNDING = 512.0
"""Rounding errors of p and of d, in units of the last place."""
DIFFERENCE = 1e-5
"""Difference of a quotient, in units of the distance of the two cycles, or of the bracket."""
LEAST = 1e-8
"""Least difference of the parameter, relative to it, that a quotient is not all rounding."""
MAX_STEPS = 40
"""Newton steps."""
STANDSTILL = 1e-10
"""Newton step, in units of the bracket (or as small as rounding) and of the box, after which one more leaves
rounding only."""
WINDOW = 0.5
"""Half the width of a section, in boxes."""
STRIDE = 0.25
"""Longest Newton step, in units of the distance of the two cycles and of the bracket."""
OUTSIDE = 0.5
"""How far outside the bracket Newton's method may look, in brackets."""


def cycle_fold(
    field: Field,
    bracket: tuple[float, float],
    cycles: npt.ArrayLike,
    side: int,
    *,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    tolerance: float = TOLERANCE,
) -> Event:
    """The parameter at which two neighbouring cycles become one and vanish.

    **Arguments**

    - `field`: f(h, p) with one parameter. `bracket`: an interval of it, at one end of which both cycles are
      there: the lower for `side` 0, the upper for `side` 1.
    - `cycles`: a point on each at that end, (2, 2).
    - `lower`, `upper`: corners of the box in which trajectories are followed, (2,).
    - `tolerance`: local error of a step, in units of its length.

    Returns an `Event` of kind `cycle fold`; of kind `unresolved`, and as wide as the bracket, where Newton's
    method does not arrive at one inside. Refused: arguments not as above.
    """
    low, high = bracket_of(bracket)
    box = box_of(lower, upper)
    points = np.asarray(cycles, np.float64)
    if points.shape != (2, 2) or not np.isfinite(points).all():
        raise InputError("cycles", "a point on each of two cycles, (2, 2)", cycles)
    if side not in (0, 1):
        raise InputError("side", "0 or 1", side)
    tolerance_of(tolerance)
    known = (low, high)[side]
    solved = []
    for origin, other in (points, points[::-1]):
        section = _section(field, known, origin, box)
        met = _run(field, np.array([known]), section, np.zeros(1), other, tolerance, box)
        if not met.ok[0]:
            return _unresolved(low, high, origin, "the cycles do not meet one section")
        start = np.array([0.5 * met.to[0], known])
        scale = np.array([abs(met.to[0]), high - low])
        if scale[0] == 0.0:
            return _unresolved(low, high, origin, "the two points lie on one cycle")
        for local in (tolerance, LOOSER * tolerance):
            fold = _newton(field, section, start, scale, (low, high), local, box)
            if fold is None:
                return _unresolved(low, high, origin, "Newton's method found no fold in the bracket")
            solved.append((*fold, section))
            start = np.array(fold[0])
    (s, value), matrix, period, section = solved[0]
    change = max(abs(other[0][1] - value) for other in solved[1:])
    error = SAFETY * change + _rounding(value, matrix, box)
    details = {
        "period": float(period),
        "period_change": SAFETY * float(max(abs(other[2] - period) for other in solved[1:])),
        "second_derivative": float(matrix[1, 0]),
        "shift_per_parameter": float(matrix[0, 1]),
    }
    at = np.array([float(c) for c in section.at(s)])
    return Event("cycle fold", float(value), error, at, method="Newton on the return map", details=details)


def _newton(
    field, section: Section, start, scale, bracket, tolerance: float, box: Box
) -> tuple[tuple[float, float], np.ndarray, float] | None:
    """(s, p) at the fold, the matrix of derivatives of (d, P' - 1) by them, and the period; None if lost."""
    low, high = bracket
    room = OUTSIDE * (high - low)
    ds, dp = DIFFERENCE * scale
    dp = max(dp, LEAST * max(abs(low), abs(high)))
    x, settled = start, False
    for _ in range(MAX_STEPS):
        s, p = x[0] + np.array([0.0, ds, 0.0]), x[1] + np.array([0.0, 0.0, dp])
        met = _run(field, p, section, s, None, tolerance, box)
        if not met.ok.all():
            return None
        d, bend = met.to - s, met.slope - 1.0
        above = [bend[0], (d[2] - d[0]) / dp]
        below = [(bend[1] - bend[0]) / ds, (bend[2] - bend[0]) / dp]
        matrix = np.array([above, below])
        if abs(np.linalg.det(matrix)) == 0.0:
            return None
        step = np.linalg.solve(matrix, -np.array([d[0], bend[0]]))
        limit = STRIDE * scale
        x = x + np.clip(step, -limit, limit)
        x[1] = np.clip(x[1], low - room, high + room)
        if settled:
            inside = low <= x[1] <= high
            return ((float(x[0]), float(x[1])), matrix, float(met.time[0])) if inside else None
        rounding = _rounding(x[1], matrix, box)
        still = np.array([box.size * STANDSTILL, max((high - low) * STANDSTILL, rounding)])
        settled = bool((np.abs(step) < still).all())
    return None


def _rounding(value: float, matrix: np.ndarray, box: Box) -> float:
    """What rounding may do to the parameter of a fold."""
    eps = float(np.finfo(np.float64).eps)
    return float(ROUNDING * eps * (abs(value) + box.size / max(abs(matrix[0, 1]), eps)))


def _section(field: Field, value: float, origin: np.ndarray, box: Box) -> Section:
    """Through a point of a cycle, normal to the flow there at one parameter; it stays there at all."""
    width = WINDOW * box.size
    with jax.enable_x64(True):
        rate = np.asarray(field(jnp.asarray(origin), jnp.asarray([value])), np.float64)
        numbers = (*origin, *(rate / np.hypot(*rate)), -width, width, width)
        return Section(*(jnp.asarray(number) for number in numbers))


def _run(field, p: np.ndarray, section: Section, s: np.ndarray, start: Any, tolerance: float, box: Box):
    """First crossings from coordinates s (n,) of the section, or from a point that is not on it."""
    n = len(p)
    sections = jax.tree.map(lambda leaf: np.full(n, leaf), section)
    points = section.at(s) if start is None else start
    begin = np.broadcast_to(points[0], n), np.broadcast_to(points[1], n)
    return returns(field, p, 1.0, sections, begin, start is None, tolerance, box)


def _unresolved(low: float, high: float, at: np.ndarray, why: str) -> Event:
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    return Event("unresolved", middle, half, at, method="Newton on the return map", details={"why": why})
