"""Orbits on their way: past a transient, onto the periodic orbit they approach, or further.

Where the last states of an orbit almost repeat after q steps, Newton's method on map^q(h) = h tells whether
it approaches a stable periodic orbit. Orbits that end on one attractor become one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from . import orbits
from .clouds import nearly_repeats, same_curve, same_set
from .maps import take

MAPS = 8
"""Most maps in one call of a program; fewer are padded to a power of two."""
LANES = 32
"""Orbits polished or followed in one call."""
MAX_PERIOD = 256
"""Longest period that is recognised."""
TAIL = 2 * MAX_PERIOD + 16
"""States of each start that are looked at after the transient: twice the longest period."""
REPEATS = 1e-10
"""States that agree after q steps within this distance repeat: rounding, grown by some hundred steps."""
ALMOST = 1e-3
"""States that agree within this distance may be approaching a periodic orbit: Newton's method decides."""
CONVERGED = 1e-11
"""Newton's last step at a periodic orbit: rounding over up to `MAX_PERIOD` steps near a fold."""
REACH = 0.05
"""An orbit's last state is no farther than this from the periodic orbit that it is said to approach."""
SAME = 1e-7
"""Periodic orbits this near are one: far above Newton's error, far below the size of a map's features."""


@dataclasses.dataclass
class Lane:
    """One orbit: its map, the starts that it stands for, its states, and what is known of it."""

    map: int
    members: list[int]
    states: np.ndarray
    period: int = 0
    multiplier: np.ndarray | None = None
    growth: np.ndarray | None = None
    curve: np.ndarray | None = None
    drifts: bool = False


def _blocks(n: int, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Indices 0 .. n - 1 in blocks of one width, the last one padded with its first; how many count."""
    for start in range(0, n, size):
        index = np.arange(start, min(start + size, n))
        yield np.concatenate([index, np.full(size - len(index), index[0])]), len(index)


def settled(joined: Any, n: int, begin: np.ndarray, transient: int) -> Iterator[Lane]:
    """The last `TAIL` states of each start, (m, d), under each of n maps."""
    size = min(MAPS, 1 << (n - 1).bit_length())
    for index, count in _blocks(n, size):
        tails = orbits.settle(take(joined, index), jnp.asarray(begin), jnp.asarray(transient), TAIL)
        for i, of_map in zip(index[:count], np.asarray(tails)):
            yield from (Lane(int(i), [j], tail) for j, tail in enumerate(of_map))


def polish(joined: Any, lanes: list[Lane]) -> None:
    """Finds the stable periodic orbits that orbits approach, and puts them in their places."""
    tails = [x.states[-TAIL:] for x in lanes]
    periods = np.zeros(len(lanes), int)
    for start in range(0, len(lanes), LANES):
        part = slice(start, start + LANES)
        exact = nearly_repeats(np.stack(tails[part]), REPEATS, MAX_PERIOD)
        periods[part] = np.where(exact > 0, exact, nearly_repeats(np.stack(tails[part]), ALMOST, MAX_PERIOD))
    while periods.any():
        periods = _polish_at(joined, lanes, tails, periods)


def _polish_at(joined: Any, lanes: list[Lane], tails: list[np.ndarray], periods: np.ndarray) -> np.ndarray:
    """Newton's method at these periods (0: leave out); the periods to try next, divisors that do as well."""
    again = np.zeros_like(periods)
    chosen = np.flatnonzero(periods)
    # a call takes as long as its longest period
    chosen = chosen[np.argsort(periods[chosen], kind="stable")]
    for index, count in _blocks(len(chosen), LANES):
        which = chosen[index]
        some = take(joined, np.array([lanes[k].map for k in which]))
        last = jnp.asarray(np.stack([tails[k][-1] for k in which]))
        out = orbits.polish(some, last, jnp.asarray(periods[which]), MAX_PERIOD)
        arrays = [np.asarray(x)[:count] for x in (out.point, out.step, out.jacobian, out.orbit)]
        for k, point, step, jacobian, orbit in zip(which, *arrays):
            lane, period = lanes[k], int(periods[k])
            lane.drifts = True
            if not (step <= CONVERGED and np.isfinite(jacobian).all()):
                continue
            # an orbit that turns by nearly p/q while it falls into a fixed point almost repeats after q steps
            divisors = [q for q in range(1, period) if period % q == 0]
            again[k] = next((q for q in divisors if np.abs(orbit[q] - point).max() <= SAME), 0)
            multiplier = np.linalg.eigvals(jacobian).astype(complex)
            stable = np.abs(multiplier).max() < 1.0 and _approaches(tails[k], point, period)
            if stable and not again[k]:
                lane.period, lane.multiplier, lane.states = period, multiplier, orbit[:period]
    return again


def _approaches(tail: np.ndarray, point: np.ndarray, period: int) -> bool:
    earlier = tail[-1 - period * ((len(tail) - 1) // period)]
    now, then = np.linalg.norm(tail[-1] - point), np.linalg.norm(earlier - point)
    return bool(now <= REACH and (now < then or now <= SAME))


def merged(lanes: list[Lane], *, drifting: bool = False) -> list[Lane]:
    """Orbits on one attractor as one. Those still on their way are left apart unless `drifting`."""
    kept: list[Lane] = []
    for lane in lanes:
        for other in kept:
            if _one(lane, other, drifting):
                other.members = [*other.members, *lane.members]
                break
        else:
            kept.append(lane)
    return kept


def _one(a: Lane, b: Lane, drifting: bool) -> bool:
    if a.period or b.period:
        # of one period they are one where a state of the first is any of the second
        return a.period == b.period and bool(np.abs(b.states - a.states[0]).max(axis=1).min() <= SAME)
    lost = [not np.isfinite(x.states).all() for x in (a, b)]
    if any(lost):
        return all(lost)
    if a.curve is not None and b.curve is not None and same_curve(a.curve, b.curve):
        return True
    return (drifting or not (a.drifts or b.drifts)) and same_set(a.states, b.states)


def follow(joined: Any, lanes: list[Lane], tangent: np.ndarray, steps: int) -> None:
    """Replaces the states by `steps` later ones, and adds the growth of a tangent vector."""
    for index, count in _blocks(len(lanes), LANES):
        some = take(joined, np.array([lanes[k].map for k in index]))
        last = jnp.asarray(np.stack([lanes[k].states[-1] for k in index]))
        same = jnp.asarray(np.broadcast_to(tangent, last.shape))
        path, growth = map(np.asarray, orbits.follow(some, last, same, jnp.asarray(steps // 4), steps))
        for k, h, rate in zip(index[:count], path, growth):
            lanes[k].states, lanes[k].growth = h, rate
