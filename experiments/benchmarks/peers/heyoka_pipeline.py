"""The Hopf map (Eq 8) with NumPy and heyoka.py on all cores: the alternative of a skilled CPU user.

1. All fixed points: Newton in NumPy from a grid of starts, converged starts dropped as they go, in blocks
   that stay in cache; duplicates merged; eigenvalues in closed form. Where the indices do not add up to +1
   a finer grid of starts is used.
2. Where a fixed point is a source, a cycle is sought: heyoka's batch Taylor integrator, compiled once
   (parameters are run-time `par`s), one lane per SIMD slot, returns to the section y = 0 < x found by
   a terminal event. The return map P is solved, not iterated: secant on log(P(u) / u) over u^2, which is
   linear near a Hopf bifurcation. A lane that is done takes the next point at once.

With b_r = (s, s) and U_r = 0 the reset gate is a constant factor: dh/dt = (tanh(k R(alpha) h) - h) / 2,
k = beta sigma(s).
"""

from __future__ import annotations

import copy
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor

import heyoka as hy
import numpy as np

TOLERANCE = 1e-8
"""Of the Taylor integrator, per step: leaves frequencies good to 1e-9 (hopf_map.py measures it)."""

CONVERGED = 2e-8
"""Relative change of u^2 at which the return map counts as solved."""

LONGEST = 20_000.0
"""A period beyond this is not found."""

STARTS, MORE_STARTS = 7, 40
"""Starts of Newton's method per side of the box, and where the indices do not add up."""

BLOCK = 128
"""Points per block of Newton's method: all its arrays stay in the second-level cache."""


def newton(c: np.ndarray, d: np.ndarray, starts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct roots of tanh(c x - d y) = x, tanh(d x + c y) = y: (index of the point, x, y), flat."""
    line = np.linspace(-1, 1, starts)
    count = c.size
    point = np.repeat(np.arange(count), starts**2)
    x = np.tile(np.repeat(line, starts), count)
    y = np.tile(line, starts * count)
    cc, dd = c[point], d[point]
    done: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for iteration in range(40):
        e, f = np.tanh(cc * x - dd * y), np.tanh(dd * x + cc * y)
        s, t = 1 - e * e, 1 - f * f
        e -= x
        f -= y
        j11, j12, j21, j22 = cc * s - 1, -dd * s, dd * t, cc * t - 1
        det = j11 * j22 - j12 * j21
        step_x, step_y = (j22 * e - j12 * f) / det, (j11 * f - j21 * e) / det
        x -= step_x
        y -= step_y
        if iteration < 3:
            continue
        size, step = np.maximum(np.abs(x), np.abs(y)), np.maximum(np.abs(step_x), np.abs(step_y))
        still = (step > 1e-9) & (size < 4)
        if still.all():
            continue
        arrived = (step <= 1e-9) & (size <= 1)
        done.append((point[arrived], x[arrived], y[arrived]))
        point, x, y, cc, dd = point[still], x[still], y[still], cc[still], dd[still]
        if point.size == 0:
            break
    point, x, y = (np.concatenate(v) for v in zip(*done, strict=True))
    key = (point * 4_000_000 + np.rint((x + 1) * 1e6).astype(np.int64)) * 4_000_000
    _, first = np.unique(key + np.rint((y + 1) * 1e6).astype(np.int64), return_index=True)
    return point[first], x[first], y[first]


def classify(c, d, point, x, y) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(fixed points, sinks, sources, sum of indices) of each point, from the roots `newton` gives."""
    s, t = 1 - x * x, 1 - y * y  # 1 - tanh^2, at a root
    cc, dd = c[point], d[point]
    trace, det = (cc * (s + t)) / 2 - 1, ((cc * s - 1) * (cc * t - 1) + dd * dd * s * t) / 4

    def per_point(which: np.ndarray) -> np.ndarray:
        return np.bincount(point[which], minlength=c.size)

    number = np.bincount(point, minlength=c.size)
    sinks, sources = per_point((det > 0) & (trace < 0)), per_point((det > 0) & (trace >= 0))
    return number, sinks, sources, 2 * (sinks + sources) - number


def fixed_points(c: np.ndarray, d: np.ndarray, starts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(fixed points, sinks, sources) of one block of points."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        number, sinks, sources, index = classify(c, d, *newton(c, d, starts))
        if (odd := np.flatnonzero(index != 1)).size and starts < MORE_STARTS:
            number[odd], sinks[odd], sources[odd] = fixed_points(c[odd], d[odd], MORE_STARTS)
    return number, sinks, sources


def integrator() -> hy.taylor_adaptive_batch_dbl:
    """Eq 8 with c = k cos(alpha) and d = k sin(alpha) as parameters; stops on y = 0 upwards."""
    x, y = hy.make_vars("x", "y")
    c, d = hy.par[0], hy.par[1]
    system = [(x, (hy.tanh(c * x - d * y) - x) / 2), (y, (hy.tanh(d * x + c * y) - y) / 2)]
    section = hy.t_event_batch(y, direction=hy.event_direction.positive)
    slots = np.zeros((2, hy.recommended_simd_size()))
    return hy.taylor_adaptive_batch(system, slots, pars=slots, tol=TOLERANCE, t_events=[section])


def periods(flow, c: np.ndarray, d: np.ndarray, begin: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Period of the cycle that the orbit of (begin, 0) tends to, NaN where it does not return by `limit`."""
    found = np.full(c.size, np.nan)
    waiting = iter(zip(range(c.size), c.tolist(), d.tolist(), begin.tolist(), limit.tolist(), strict=True))
    slots = flow.state.shape[1]
    going_on = hy.taylor_outcome.success
    now, until, task = [0.0] * slots, [0.0] * slots, [-1] * slots
    # Per slot: where this turn began, and u^2 and log(P / u) of the turn before.
    u, past_v, past_slope = [0.0] * slots, [0.0] * slots, [0.0] * slots

    def load(k: int) -> None:
        now[k] = until[k] = past_v[k] = 0.0
        task[k], *values = next(waiting, (-1,))
        if values:
            flow.pars[0, k], flow.pars[1, k], u[k], until[k] = values
            flow.state[0, k], flow.state[1, k] = u[k], 0.0

    for k in range(slots):
        load(k)
    flow.set_time(now)
    while max(task) >= 0:
        flow.propagate_until(until)
        now, across = flow.time.tolist(), flow.state[0].tolist()
        for k, result in enumerate(flow.propagate_res):
            if result[0] == going_on or task[k] < 0 or 0 < now[k] < 1e-3:
                continue  # an orbit that starts on the section may set it off at once
            if now[k] >= until[k]:
                load(k)
            elif now[k] > 0:
                v, back = u[k] * u[k], across[k]
                slope, next_v = math.log(back / u[k]), back * back
                if past_v[k] and slope != past_slope[k]:
                    solved = v - slope * (v - past_v[k]) / (slope - past_slope[k])
                    next_v = solved if v / 4 < solved < 4 * v else next_v
                if abs(next_v - v) < CONVERGED * v:
                    found[task[k]] = now[k]
                    load(k)
                else:
                    past_v[k], past_slope[k], u[k] = v, slope, math.sqrt(next_v)
                    flow.state[0, k], flow.state[1, k], now[k] = u[k], 0.0, 0.0
        flow.set_time(now)
    return found


def run(
    alpha: np.ndarray, beta: np.ndarray, s: np.ndarray | float = 0.0, starts: int = STARTS
) -> dict[str, np.ndarray | float]:
    """The map at flat arrays of equal length: `frequency` (NaN without a stable cycle), `n_fixed_points`,
    `n_stable_cycles`, `seconds` without, and `compile_seconds` of, heyoka's compilation."""
    began = time.perf_counter()
    cores = len(os.sched_getaffinity(0))
    flows = [integrator()]
    flows += [copy.deepcopy(flows[0]) for _ in range(cores - 1)]
    compiled = time.perf_counter()

    k = np.broadcast_to(beta / (1 + np.exp(-np.asarray(s, float))), np.shape(alpha))
    c, d = k * np.cos(alpha), k * np.sin(alpha)
    with ThreadPoolExecutor(cores) as pool:
        blocks = [slice(i, i + BLOCK) for i in range(0, c.size, BLOCK)]
        number, sinks, sources = (
            np.concatenate(v)
            for v in zip(*pool.map(lambda b: fixed_points(c[b], d[b], starts), blocks), strict=True)
        )
        newtoned = time.perf_counter()
        lanes = np.flatnonzero(sources > 0)
        # Without a sink the cycle is reached from anywhere; with one, start beside the source and settle.
        alone = sinks[lanes] == 0
        begin, limit = np.where(alone, 0.6, 1e-2), np.where(alone, LONGEST, 300.0)
        period = np.full(c.size, np.nan)

        def part(n: int) -> None:
            mine = slice(n, None, cores)
            where = lanes[mine]
            period[where] = periods(flows[n], c[where], d[where], begin[mine], limit[mine])

        list(pool.map(part, range(cores)))
    ended = time.perf_counter()
    return {
        "frequency": 1 / period,
        "n_fixed_points": number,
        "n_stable_cycles": np.isfinite(period).astype(int),
        "seconds": ended - compiled,
        "fixed_point_seconds": newtoned - compiled,
        "compile_seconds": compiled - began,
    }
