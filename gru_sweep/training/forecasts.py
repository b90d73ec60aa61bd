"""How good a closed-loop forecast is, and for how long: errors by horizon, and the phase on a cycle."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..records import InputError
from .solutions import rates, solutions
from .tasks import Task

SHARE = 0.5
"""Share of the truth's spread at which a forecast counts as lost. The best constant forecast errs by one
spread: below half of it three quarters of the variance are foretold."""

TRANSIENT = 2048
"""Sampling steps that a solution gets to come to its cycle: tens of the periods that training series show."""

PARTS = 16
"""Samples per sampling step where the first return is looked for, over `TRANSIENT / PARTS` = 128 steps: what
29 steps are to show returns within."""

REST = 1e-6
"""Way in a sampling step, as a share of the box, below which a solution is at rest and not on a cycle.
`TRANSIENT` steps of it end within the resolution of a picture."""

CLOSED = 1e-8
"""Distance between a point and its return, as a share of the box, of a cycle: above the error of the
solutions over a period, far below any picture."""

RETURNS = 5
"""Newton steps for the period: from 1/16 of a sampling step three reach rounding errors."""

_CUBIC: np.ndarray = np.vander(np.arange(4.0))
"""Of the cubic through samples 0, 1, 2 and 3."""


def errors(forecast: Any, truth: Any) -> Float[np.ndarray, " K"]:
    """Root mean square distance over n series at each of K horizons, from forecast and truth, both (n, K, 2).

    A forecast that is not finite, NaN or infinite, errs by inf there; no answer is NaN. Refused: shapes that
    differ, a truth that is not finite.
    """
    found, true = _pair(forecast, truth, 3)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = ((found - true) ** 2).sum(-1)
    return np.sqrt(np.where(np.isfinite(squares), squares, np.inf).mean(0))


def horizon(forecast: Any, truth: Any, share: float | int = SHARE) -> int:
    """Number of horizons, from the first, before `errors` exceeds a share of the truth's spread.

    The spread is the root mean square distance of all of the truth, (n, K, 2), from its mean. K: never.
    """
    if not share > 0:
        raise InputError("share", "a positive number", share)
    error = errors(forecast, truth)
    true = np.asarray(truth, dtype=np.float64).reshape(-1, 2)
    lost = error > share * np.sqrt(((true - true.mean(0)) ** 2).sum(-1).mean())
    return int(lost.argmax()) if lost.any() else len(error)


@dataclasses.dataclass(frozen=True, eq=False)
class Phases:
    """How a forecast keeps time with the truth around a point.

    - `period`: the true one, units of time; NaN where it was not given and the truth makes no turn.
    - `true_crossings`, `crossings`: times at which truth and forecast cross the half line, of all they make.
    - `error` (m,): time by which the forecast is late at the m crossings that both make, in true periods.
    - `turns`: complete turns that both make, max(m - 1, 0); 0: one of the two does not turn.
    - `distance`: largest distance of the forecast's samples from the true cycle; inf where one is not finite,
      NaN where no curve was given.
    """

    period: float
    true_crossings: Float[np.ndarray, " n_true"]
    crossings: Float[np.ndarray, " n"]
    error: Float[np.ndarray, " m"]
    turns: int
    distance: float


def phase_errors(
    forecast: Any,
    truth: Any,
    step: float | int,
    centre: Any,
    *,
    period: float | int | None = None,
    curve: Any = None,
) -> Phases:
    """The phase of one forecast (K, 2) against the truth (K, 2), turn by turn; its distance from the cycle.

    A turn ends where a curve crosses upward the horizontal half line from the centre that the truth crosses
    upward: to the right of the centre where the truth turns counterclockwise, else to the left. It has to
    cross the line downward on the other side in between. The time between samples is that of the cubic
    through the four nearest, error O(step^4). The first crossings of the two belong together, unless the
    half line is between their first samples: the one behind it crosses first, and that is left out. So the
    first samples have to be less than half a turn apart.

    **Arguments**

    - `step`: between samples, units of time.
    - `centre` (2,): a point inside the cycle. At its height the cycle should be smooth and steep for the
      samples: for `fhn` sampled every 1.5 the mean of the cycle times crossings to 5e-5 of a period, the
      fixed point, level with a jump, to 1e-3.
    - `period`: the true one; the mean of the truth's turns if not given.
    - `curve` (m, 2): the true cycle, in order, taken as a closed polygon: error O(1 / m^2).

    Not to turn, or to leave the finite numbers, is an answer. Refused: other shapes, fewer than four samples,
    a truth that is not finite, a step or period that is not positive.
    """
    found, true = _pair(forecast, truth, 2)
    if len(true) < 4:
        raise InputError("truth", "at least four samples", len(true))
    for name, value in (("step", step), ("period", 1.0 if period is None else period)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(name, "a positive number", value)
    middle = np.asarray(centre, dtype=np.float64)
    if middle.shape != (2,) or not np.isfinite(middle).all():
        raise InputError("centre", "two finite numbers", centre)
    true_passages, passages = _passages(true - middle), _passages(found - middle)
    side = ([1] + [place for sense, place, _ in true_passages if sense > 0])[-1]
    here, there = step * _ends(true_passages, side), step * _ends(passages, side)
    if period is None:
        period = float(np.diff(here).mean()) if len(here) > 1 else np.nan
    first = [np.arctan2(y, side * x) % (2 * np.pi) for x, y in (found[0] - middle, true[0] - middle)]
    now = here[int(first[0] - first[1] < -np.pi) :]
    late = there[int(first[0] - first[1] > np.pi) :]
    both = min(len(late), len(now))
    return Phases(
        period=float(period),
        true_crossings=here,
        crossings=there,
        error=(late[:both] - now[:both]) / period,
        turns=max(both - 1, 0),
        distance=np.nan if curve is None else float(distances(found, curve).max()),
    )


def distances(points: Any, curve: Any) -> Float[np.ndarray, " n"]:
    """Distances of `points` (n, 2) from the closed polygon through `curve` (m, 2); inf where not finite."""
    corner = np.asarray(curve, dtype=np.float64)
    if corner.ndim != 2 or corner.shape[1] != 2 or len(corner) < 2 or not np.isfinite(corner).all():
        raise InputError(
            "curve", "at least two points of finite numbers, shape (m, 2)", f"shape {corner.shape}"
        )
    side = np.roll(corner, -1, axis=0) - corner
    length = np.maximum((side**2).sum(-1), np.finfo(np.float64).tiny)
    found = np.full(len(np.asarray(points)), np.inf)
    for i, point in enumerate(np.asarray(points, dtype=np.float64)):
        if np.isfinite(point).all():
            along = np.clip(((point - corner) * side).sum(-1) / length, 0, 1)
            found[i] = np.hypot(*(corner + along[:, None] * side - point).T).min()
    return found


class Cycle(NamedTuple):
    """A limit cycle: its period, units of time, and points (m, 2) at equal times along it, none twice."""

    period: float
    points: np.ndarray


def cycle(task: Task) -> Cycle | None:
    """The attracting cycle that the task's noise-free solution from inside its box comes to, 2048 points.

    After `TRANSIENT` sampling steps, the first return to the line across the flow, its time by Newton's
    method; error about 1e-10 of the period. The closed orbits of a centre are not told from a cycle. None
    where the solution rests, grows without bounds, or does not come back to `CLOSED` of where it was within
    `TRANSIENT / PARTS` sampling steps.
    """
    size = float(np.hypot(*np.subtract(task.upper, task.lower)))
    # Off the middle and the diagonals, where the fixed points and invariant lines of symmetric systems are.
    start = np.asarray(task.lower) + np.array([0.71, 0.87]) * np.subtract(task.upper, task.lower)
    grid = np.linspace(0, 1, TRANSIENT + 1)

    def run(point, length):
        return solutions(task.field, task.args, point[None], length * grid, width=1)[0]

    here = run(start, TRANSIENT * task.step)[-1]
    if not np.isfinite(here).all():
        return None
    normal = rates(task.field, task.args, here[None], width=1)[0]
    if np.hypot(*normal) * task.step < REST * size:
        return None
    path = run(here, TRANSIENT / PARTS * task.step) - here
    ahead = path @ normal
    # The other crossings of the line are downward, or, on a curve that is not convex, not nearest.
    upward = np.flatnonzero((ahead[:-1] < 0) & (ahead[1:] >= 0))
    if not len(upward):
        return None
    away = np.hypot(*path[upward].T)
    period = upward[away <= away.min() + np.hypot(*normal) * task.step / PARTS][0] / PARTS * task.step
    for _ in range(RETURNS):
        points = run(here, period)
        across = normal @ rates(task.field, task.args, points[-1:], width=1)[0]
        change = normal @ (points[-1] - here) / across
        period -= change
        if not 0 < period < np.inf:
            return None
    closed = np.hypot(*(points[-1] - here)) <= CLOSED * size
    return Cycle(float(period), points[:-1]) if closed else None


def _pair(forecast: Any, truth: Any, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    found, true = np.asarray(forecast, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if true.ndim != dimensions or true.shape[-1] != 2 or not true.size:
        shape = "(n, K, 2)" if dimensions == 3 else "(K, 2)"
        raise InputError("truth", f"numbers of shape {shape}", f"shape {true.shape}")
    if found.shape != true.shape:
        raise InputError("forecast", f"numbers of the truth's shape {true.shape}", f"shape {found.shape}")
    if not np.isfinite(true).all():
        raise InputError("truth", "finite numbers", "some that are not")
    return found, true


def _passages(curve: np.ndarray) -> list[tuple[int, int, float]]:
    """Where a curve about 0 crosses the horizontal: +1 upward or -1, side +1 right or -1, time in samples."""
    lost = ~np.isfinite(curve).all(1)
    x, y = curve[: lost.argmax() if lost.any() else len(curve)].T
    found = []
    places = np.flatnonzero((y[:-1] < 0) != (y[1:] < 0)).tolist() if len(y) >= 4 else []
    for k in places:
        first = min(max(k - 1, 0), len(y) - 4)
        across, along = (np.linalg.solve(_CUBIC, part[first : first + 4]) for part in (x, y))
        low, high = float(k - first), float(k - first + 1)
        for _ in range(np.finfo(np.float64).nmant):
            middle = (low + high) / 2
            low, high = (middle, high) if (np.polyval(along, middle) < 0) == (y[k] < 0) else (low, middle)
        found.append((1 if y[k] < 0 else -1, int(np.sign(np.polyval(across, low))), float(first + low)))
    return found


def _ends(passages: list[tuple[int, int, float]], side: int) -> np.ndarray:
    """Times at which turns end: see `phase_errors`."""
    ends, half = [], True
    for sense, place, time in passages:
        if (sense, place) == (1, side) and half:
            ends.append(time)
            half = False
        elif (sense, place) == (-1, -side):
            half = True
    return np.array(ends, dtype=np.float64)
