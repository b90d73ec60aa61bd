r"""The attractors of maps that given starts reach: what they are, how fast they turn and stretch.

Every start is iterated past a transient; a periodic orbit is found where one is approached (`lanes`): *fixed*
or *periodic*, with its exponent from the multipliers. Other orbits are followed further with a tangent
vector: a *chaotic* one has a largest Lyapunov exponent above `CHAOTIC` by its error; a *closed curve* has one
of zero, a rotation number that is irrational as far as it is resolved, and is a function of its phase
(`curves`). What is none of these (a transient not over, a torus, an escape, a start that stays where it is
though the orbit repels) is *unresolved*.

A long transient that ends only after all steps reads as what it resembles: more steps tell.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from ..records import InputError, meaning
from . import birkhoff, rotation
from .clouds import nearly_repeats
from .curves import closed_curve
from .lanes import MAX_PERIOD, REPEATS, TAIL, Lane, follow, merged, polish, settled
from .maps import Map, fits, stack, states, whole

CHAOTIC = 1e-3
"""Exponent per step, less its error, above which an orbit is chaotic: e-folding within 1000 steps."""
NEUTRAL = 1e-5
"""Exponent per step, with its error, below which it is zero: less than 10 % over the steps followed."""
KEPT = 512
"""States kept of an orbit that is not periodic."""
LEAST_STEPS = 1024
"""Fewest steps that are followed: more than `TAIL`, and 128 in each window of an average."""


class Class(IntEnum):
    """What an attractor of a map is."""

    FIXED = 0
    PERIODIC = 1
    CLOSED_CURVE = 2
    CHAOTIC = 3
    UNRESOLVED = 4


@dataclasses.dataclass(frozen=True)
class Attractors:
    """n attractors of a map of d units that m starts reached, the one with the largest share first.

    - `kind` (n,): `fixed`, `periodic`, `closed curve`, `chaotic` or `unresolved`. `period` (n,): minimal
      period in steps, 1 for fixed, 0 where there is none.
    - `share` (n,): of the starts. `member` (m,): the attractor of each start.
    - `exponent` (n,): largest Lyapunov exponent per step, with `exponent_error`; of periodic orbits
      ln max |multiplier| / period. `multiplier` (n, d), complex: of map^period, NaN where not periodic.
    - `rotation` (n,): turns per step about `centre` (n, 2) in `plane` (n, 2, d), with `rotation_error`;
      NaN where nothing is enclosed. A principal plane is turned so that it is not negative.
    - `orbit`: n arrays (k, d): all states of a periodic orbit in the order of time; of a closed curve `KEPT`
      in order along it, by its Fourier series where the orbit has not filled it; else the last `KEPT`; none
      of an orbit that left for infinity.
    """

    kind: np.ndarray
    period: np.ndarray
    share: np.ndarray
    member: np.ndarray
    exponent: np.ndarray
    exponent_error: np.ndarray
    multiplier: np.ndarray
    rotation: np.ndarray
    rotation_error: np.ndarray
    centre: np.ndarray
    plane: np.ndarray
    orbit: tuple[np.ndarray, ...]

    @property
    def count(self) -> int:
        """Number of attractors, n."""
        return len(self.kind)


def attractors(
    maps: Sequence[Map],
    starts: npt.ArrayLike,
    *,
    steps: int = 8192,
    transient: int = 8192,
    seed: int = 0,
    centres: Sequence[npt.ArrayLike] | None = None,
    plane: Sequence[npt.ArrayLike] | None = None,
) -> list[Attractors]:
    """The attractors of each map, all of one make (`maps.stack`), that `starts` (m, d) reach.

    **Arguments**

    - `transient`: steps before an orbit is looked at; `steps`: how many are followed of one that is not
      periodic. `seed`: of the tangent vector.
    - `centres`: for each map the states (c, d) about which an orbit may turn, its fixed points; an orbit's
      own mean where they are not given or where it is not around any of them.
    - `plane`: for each map a (2, d) matrix onto the plane in which turns are counted, such as a readout's;
      by default the plane itself for d = 2, the orbit's principal plane beyond. A line has no turns.
    """
    begin = states(starts, "starts")
    whole("steps", steps, LEAST_STEPS)
    whole("transient", transient, 0)
    whole("seed", seed, 0)
    n, d = len(maps), begin.shape[1]
    about, planes = _given("centres", centres, n, (None, d)), _given("plane", plane, n, (2, d))
    joined = stack(maps)
    fits(maps[0], d, "starts")
    lanes = list(settled(joined, n, begin, transient))
    polish(joined, lanes)
    lanes = [lane for i in range(n) for lane in merged([x for x in lanes if x.map == i])]
    tangent = np.random.default_rng(seed).normal(size=(d,))
    follow(joined, [x for x in lanes if not x.period and np.isfinite(x.states).all()], tangent, steps)
    polish(joined, [x for x in lanes if x.growth is not None])
    for lane in lanes:
        if lane.growth is not None and not lane.period and np.isfinite(lane.states).all():
            turning, _ = _rotation(lane.states, False, about[lane.map], planes[lane.map])
            lane.curve = closed_curve(lane.states, turning)
    found = []
    for i in range(n):
        final = merged([x for x in lanes if x.map == i], drifting=True)
        final.sort(key=lambda x: (-len(x.members), tuple(np.round(x.states[-1], 6))))
        found.append(_record(final, len(begin), d, about[i], planes[i]))
    return found


def _given(argument: str, values: Any, n: int, shape: tuple) -> list[np.ndarray | None]:
    if values is None:
        return [None] * n
    arrays = [np.asarray(v, float) for v in values]
    expected = f"{n} arrays of shape ({', '.join('c' if s is None else str(s) for s in shape)})"
    if len(arrays) != n:
        raise InputError(argument, expected, f"{len(arrays)} arrays")
    for array in arrays:
        if array.ndim != 2 or any(s not in (None, k) for s, k in zip(shape, array.shape)):
            raise InputError(argument, expected, f"one of shape {array.shape}")
    return list(arrays)


def _record(
    lanes: list[Lane], m: int, d: int, centres: np.ndarray | None, plane: np.ndarray | None
) -> Attractors:
    member, rows = np.empty(m, int), []
    for i, lane in enumerate(lanes):
        member[lane.members] = i
        rows.append(_row(lane, d, centres, plane))
    kind, exponent, error, turning, planes, kept = zip(*rows)
    blank = np.full(d, np.nan + 0j)
    return Attractors(
        kind=np.array([meaning(k) for k in kind], dtype=object),
        period=np.array([lane.period for lane in lanes]),
        share=np.array([len(lane.members) / m for lane in lanes]),
        member=member,
        exponent=np.array(exponent),
        exponent_error=np.array(error),
        multiplier=np.stack([blank if x.multiplier is None else x.multiplier for x in lanes]),
        rotation=np.array([t.turns for t in turning]),
        rotation_error=np.array([t.error for t in turning]),
        centre=np.stack([t.centre for t in turning]),
        plane=np.stack(planes),
        orbit=kept,
    )


def _row(lane: Lane, d: int, centres: np.ndarray | None, plane: np.ndarray | None):
    """Class, exponent and its error, rotation, plane, and the states to keep of one attractor."""
    h, nowhere = lane.states, np.full((2, d), np.nan)
    if not np.isfinite(h).all():
        return Class.UNRESOLVED, np.nan, np.nan, rotation.NONE, nowhere, np.zeros((0, d))
    turning, seen = _rotation(h, bool(lane.period), centres, plane)
    seen = nowhere if seen is None else seen
    if lane.multiplier is not None:
        with np.errstate(divide="ignore"):
            exponent = float(np.log(np.abs(lane.multiplier).max()) / lane.period)
        return Class.PERIODIC if lane.period > 1 else Class.FIXED, exponent, 0.0, turning, seen, h
    assert lane.growth is not None
    exponent, error = birkhoff.average(lane.growth)
    stays = nearly_repeats(h[None, -TAIL:], REPEATS, MAX_PERIOD)[0] > 0
    if exponent - error > CHAOTIC and not stays:
        return Class.CHAOTIC, exponent, error, turning, seen, h[-KEPT:]
    if lane.curve is None or abs(exponent) + error > NEUTRAL:
        return Class.UNRESOLVED, exponent, error, turning, seen, h[-KEPT:]
    even = np.linspace(0, len(lane.curve), KEPT, endpoint=False).astype(int)
    return Class.CLOSED_CURVE, exponent, error, turning, seen, lane.curve[even]


def _rotation(h: np.ndarray, closed: bool, centres: np.ndarray | None, plane: np.ndarray | None):
    """The rotation in the plane given, or in the principal one; none of fewer than three states."""
    d = h.shape[1]
    if d == 1 or len(h) < 3:
        return rotation.NONE, plane
    principal = plane is None and d > 2
    if plane is None:
        plane = rotation.principal_plane(h) if principal else np.eye(2)
    mean = h.mean(axis=0, keepdims=True)
    for about in (centres, mean):
        if about is not None and len(about):
            found = rotation.rotation(h @ plane.T, about @ plane.T, closed=closed)
            if principal and found.turns < 0.0:
                plane = plane * np.array([[1.0], [-1.0]])
                turned = found.centre * np.array([1.0, -1.0])
                found = dataclasses.replace(found, turns=-found.turns, centre=turned)
            if np.isfinite(found.turns):
                return found, plane
    return rotation.NONE, plane
