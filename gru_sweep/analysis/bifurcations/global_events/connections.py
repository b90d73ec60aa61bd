r"""Connections of saddles: where an unstable branch of one meets a stable branch of another, or of its own.

The gap G(p) of the two branches (`crossings`) has a simple zero there, which is bracketed and solved for.
What is known of its error comes from solving again with looser steps and with shorter series, and with time
running backwards: then the branches change places, and so does the section. For a homoclinic orbit the period
of the cycle that dies in it (`divergence`) is a second method, and the two must agree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ....records import InputError
from ..event import Event
from ..extended import Field
from .batches import LANES
from .bracketing import zeros
from .checks import box_of, bracket_of, tolerance_of
from .crossings import Box, gaps
from .divergence import Divergence, divergence, neutral
from .saddle_branches import Anchor, directions, settled

TOLERANCE = 1e-13
"""Local error of a step, in units of its length."""
LOOSER = 100.0
"""Factor on the tolerance, and ..."""
SHORTER = 0.5
"""... part of the reach of the series, with which zeros are solved for again."""
SAFETY = 4.0
"""Factor on the largest change that these make."""
ROUNDING = 512.0
"""Rounding errors of p and of the gap, in units of the last place."""
JUMP = 1e-3
"""|G| left at a zero, in units of its values around, beyond which it is a jump: a crossing gained or lost."""
ROUNDS = 4
"""Times the parameter is sampled, ever closer to the smallest gap, before no zero is said to be found."""
AROUND = 8.0
"""Ratio of the distances from a zero at which that of the reversed problem is bracketed."""
NEARBY = 0.01
"""How far from a saddle, in boxes, a place may be that stands for it."""
GAP = "gap of the separatrices"
SAME = 1e-6
"""Distance, in boxes, within which two places are one saddle."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two branches to be connected: their saddles where they are known, the field, the box, the tolerance."""

    field: Field
    source: Anchor
    target: Anchor
    box: Box
    tolerance: float

    def gap(self, values: np.ndarray, sense: float, tolerance: Any, shrink: Any) -> Any:
        leaving, arriving = (self.source, self.target) if sense > 0.0 else (self.target, self.source)
        return gaps(self.field, values, sense, leaving, arriving, tolerance, shrink, self.box)


@dataclasses.dataclass(frozen=True)
class Zero:
    """A zero of the gap in one sense of time, its estimated error, and dG/dp."""

    sense: float
    value: float
    error: float
    slope: float


def connection(
    field: Field,
    bracket: tuple[float, float],
    source: npt.ArrayLike,
    source_branch: int,
    target: npt.ArrayLike,
    target_branch: int,
    *,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    tolerance: float = TOLERANCE,
) -> Event:
    """The parameter at which a branch of the saddle `source` runs into one of the saddle `target`.

    **Arguments**

    - `field`: f(h, p) with one parameter. `bracket`: an interval of it in which both saddles persist.
    - `source`, `target`: places of the saddles at the lower end of the bracket, (2,); nearby is enough.
    - `source_branch` (unstable: 0 or 2), `target_branch` (stable: 1 or 3): numbered as in `branch_end` there.
    - `lower`, `upper`: corners of the box in which trajectories are followed, (2,).
    - `tolerance`: local error of a step, in units of its length.

    Returns an `Event` of kind `homoclinic` or `heteroclinic`, the one of least parameter if there are
    several; of kind `unresolved`, and as wide as the bracket, if none is found; `unresolved` also where two
    methods disagree. Refused: arguments not as above, and places without a saddle.
    """
    low, high = bracket_of(bracket)
    box = box_of(lower, upper)
    tolerance_of(tolerance)
    for name, index, allowed in (
        ("source_branch", source_branch, (0, 2)),
        ("target_branch", target_branch, (1, 3)),
    ):
        if index not in allowed:
            raise InputError(name, f"{allowed[0]} or {allowed[1]}", index)
    pair = Pair(
        field,
        _anchor(field, low, source, source_branch, box, "source"),
        _anchor(field, low, target, target_branch, box, "target"),
        box,
        tolerance,
    )
    homoclinic = bool(np.max(np.abs(pair.source.place - pair.target.place)) < SAME * box.size)
    primary = next(_zeros(pair, (low, high), 1.0), None) or next(_zeros(pair, (low, high), -1.0), None)
    if primary is None:
        why = {"why": "no zero of the gap of the branches was found"}
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        return Event("unresolved", middle, half, pair.source.place, method=GAP, details=why)
    other = _reversed(pair, (low, high), primary)
    best = min((z for z in (primary, other) if z is not None), key=lambda z: z.error)
    gap_error = float(best.error)
    if other is not None:  # apart by more than the worse one says of itself: then neither is believed
        gap_error = max(gap_error, abs(primary.value - other.value) - max(primary.error, other.error))
    met = pair.gap(np.array([best.value]), best.sense, tolerance, 1.0)
    here, there = (met.leaving, met.arriving) if best.sense > 0.0 else (met.arriving, met.leaving)
    at, to = (np.array([float(x[0]) for x in saddle.point]) for saddle in (here, there))
    unstable, stable = (float(rate[0]) for rate in here.rates)
    details: dict[str, Any] = {
        "source_branch": int(source_branch),
        "target_branch": int(target_branch),
        "source_direction": [float(x[0]) for x in here.directions[0]],
        "target_direction": [float(x[0]) for x in there.directions[1]],
        "gap_value": best.value,
        "gap_error": gap_error,
        "gap_slope": best.slope,
        "checked_backwards": other is not None,
    }
    event = Event("heteroclinic", best.value, gap_error, at, method=GAP, details=details)
    if not homoclinic:
        details["target"] = [float(x) for x in to]
        return event
    details |= {"saddle_quantity": unstable + stable, "divergence_value": None, "divergence_error": None}
    event = dataclasses.replace(event, kind="homoclinic")
    if neutral(unstable, stable):
        details["why"] = "the saddle is neutral: the period of cycles nearby says nothing sharp"
        return event
    rates = unstable, stable
    second = divergence(
        field, pair.source, pair.target, box, best.value, (low, high), rates, best.slope, tolerance
    )
    if second is None:
        details["why"] = "no cycles were found nearby: their period is no second method"
        return event
    return _agreed(event, second)


def _agreed(event: Event, second: Divergence) -> Event:
    """The event from the zero of the gap and the pole of the period: unresolved where they disagree."""
    details = event.details | {
        "divergence_value": second.value,
        "divergence_error": second.error,
        "longest_period": second.longest_period,
    }
    event = dataclasses.replace(event, method=f"{GAP}; divergence of the period", details=details)
    apart = abs(event.value - second.value)
    if apart > event.error + second.error:
        details["why"] = "the two methods disagree"
        return dataclasses.replace(event, kind="unresolved", error=apart + event.error + second.error)
    value, error = min((event.error, event.value), (second.error, second.value))[::-1]
    return dataclasses.replace(event, value=value, error=max(error, apart))


def _zeros(pair: Pair, ends: tuple[float, float], sense: float) -> Iterator[Zero]:
    """Zeros of the gap between `ends`, in order; where none is bracketed, nearer to the smallest gap."""
    values = np.linspace(*ends, LANES)
    for _ in range(ROUNDS):
        gap = pair.gap(values, sense, pair.tolerance, 1.0).gap
        found = [(i, k) for i in range(LANES - 1) if (k := _changed(gap[i], gap[i + 1])) is not None]
        accepted = False
        for i, k in found:
            zero = _solved(pair, values[i : i + 2], gap[i : i + 2, k], sense, k)
            if zero is not None:
                accepted = True
                yield zero
        if accepted or not np.isfinite(gap).any():
            return
        i = int(np.nanargmin(np.abs(gap))) // gap.shape[1]
        values = np.linspace(values[max(i - 1, 0)], values[min(i + 1, LANES - 1)], LANES)


def _changed(before: np.ndarray, after: np.ndarray) -> int | None:
    """The first crossing whose gap changes sign between two parameters, None if that is not known."""
    for k, (a, b) in enumerate(zip(before, after)):
        if not np.isfinite(a + b):
            return None
        if a * b <= 0.0:
            return k
    return None


def _solved(pair: Pair, ends: np.ndarray, at_ends: np.ndarray, sense: float, k: int) -> Zero | None:
    """The zero of crossing k's gap in a bracket, solved three times over for its error; None for a jump."""
    tolerance = pair.tolerance * np.array([1.0, LOOSER, 1.0])
    shrink = np.array([1.0, 1.0, SHORTER])
    function = lambda x: pair.gap(x, sense, tolerance, shrink).gap[:, k]  # noqa: E731
    root, left = zeros(function, (np.full(3, ends[0]), np.full(3, ends[1])))
    slope = float((at_ends[1] - at_ends[0]) / (ends[1] - ends[0]))
    rounding = ROUNDING * float(np.finfo(np.float64).eps)
    allowed = JUMP * np.max(np.abs(at_ends)) + rounding * pair.box.size
    if slope == 0.0 or not (np.abs(left) <= allowed).all():
        return None
    error = SAFETY * float(np.max(np.abs(root - root[0])))
    error += rounding * (abs(float(root[0])) + pair.box.size / abs(slope))
    return Zero(sense, float(root[0]), error, slope)


def _reversed(pair: Pair, ends: tuple[float, float], known: Zero) -> Zero | None:
    """The same zero with time running the other way, in the widest bracket around it that shows one."""
    room = min(known.value - ends[0], ends[1] - known.value)
    ways = room * AROUND ** -np.arange(LANES / 2)
    values = np.concatenate([known.value - ways, known.value + ways])
    below, above = np.split(pair.gap(values, -known.sense, pair.tolerance, 1.0).gap, 2)
    for way, a, b in zip(ways, below, above):
        k = _changed(a, b)
        if k is not None and way > known.error:
            around = np.array([known.value - way, known.value + way])
            zero = _solved(pair, around, np.array([a[k], b[k]]), -known.sense, k)
            if zero is not None:
                return zero
    return None


def _anchor(field: Field, value: float, place: npt.ArrayLike, index: int, box: Box, name: str) -> Anchor:
    """The saddle near a place, with the direction of one branch; the other one's sense does not matter."""
    start = np.asarray(place, np.float64)
    if start.shape != (2,) or not np.isfinite(start).all():
        raise InputError(name, "the place of a saddle, (2,)", place)
    found = settled(field, value, start[None], box.size)
    point, jacobian = (np.array(x)[..., 0] for x in (found.point, found.jacobian))
    near = bool(np.max(np.abs(point - start)) < NEARBY * box.size)
    if not (near and np.linalg.det(jacobian) < 0.0):
        raise InputError(name, f"the place of a saddle at {value:.10g}", start.tolist())
    four = directions(jacobian)
    return Anchor(np.asarray(value), point, np.stack([four[index - index % 2], four[index - index % 2 + 1]]))
