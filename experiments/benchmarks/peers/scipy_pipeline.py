"""The Hopf map (Eq 8) the usual way: a loop over points, scipy's fsolve and solve_ivp in each.

Fixed points: fsolve from a 10 x 10 grid of starts, duplicates merged, eigenvalues by numpy. Where one is
a source: DOP853 (rtol 1e-9) from beside it, in pieces, until two successive returns to the section
y = 0 < x take the same time; a point where the orbit settles on a sink, or has not agreed by `LONGEST`,
has no cycle. Points are spread over all cores by a process pool, whose start is not counted.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import time

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import fsolve

AGREE = 1e-8
"""Relative difference of two successive periods that ends the transient."""

LONGEST = 40_000.0
"""A cycle not found by this time is not found."""


def fixed_points(field, jacobian) -> list[tuple[np.ndarray, np.ndarray]]:
    """(state, eigenvalues) of every fixed point that fsolve finds from 100 starts."""
    found: list[np.ndarray] = []
    line = np.linspace(-1, 1, 10)
    for start in ((x, y) for x in line for y in line):
        root, _, status, _ = fsolve(field, start, full_output=True, xtol=1e-12)
        converged = status == 1 or np.abs(field(root)).max() < 1e-12
        if converged and all(np.abs(root - other).max() > 1e-6 for other in found):
            found.append(root)
    return [(root, np.linalg.eigvals(jacobian(root))) for root in found]


def period(field, start: np.ndarray, sinks: list[np.ndarray]) -> float:
    """Period of the cycle that the orbit of `start` tends to, NaN where it settles."""

    def section(_, h):
        return h[1]

    section.direction = 1.0
    ended, state, piece, crossings = 0.0, start, 200.0, []
    while ended < LONGEST:
        leg = solve_ivp(
            lambda _, h: field(h), (0, piece), state, "DOP853", events=section, rtol=1e-9, atol=1e-12
        )
        crossings += list(ended + leg.t_events[0])
        ended, state, piece = ended + piece, leg.y[:, -1], 2 * piece
        if any(np.abs(state - sink).max() < 1e-6 for sink in sinks):
            return math.nan
        turns = np.diff(crossings[-3:])
        if turns.size == 2 and abs(turns[1] / turns[0] - 1) < AGREE:
            return float(turns[1])
    return math.nan


def point(coordinates: tuple[float, float, float]) -> tuple[float, int]:
    """(frequency or NaN, number of fixed points) at (alpha, beta, s)."""
    alpha, beta, s = coordinates
    k = beta / (1 + math.exp(-s))
    matrix = k * np.array([[math.cos(alpha), -math.sin(alpha)], [math.sin(alpha), math.cos(alpha)]])

    def field(h):
        return (np.tanh(matrix @ h) - h) / 2

    def jacobian(h):
        return ((1 - np.tanh(matrix @ h) ** 2)[:, None] * matrix - np.eye(2)) / 2

    points = fixed_points(field, jacobian)
    sources = [h for h, e in points if (e.real > 0).all()]
    if not sources:
        return math.nan, len(points)
    sinks = [h for h, e in points if (e.real < 0).all()]
    return 1 / period(field, sources[0] + [1e-2, 0], sinks), len(points)


def run(alpha: np.ndarray, beta: np.ndarray, s: np.ndarray | float = 0.0) -> dict[str, np.ndarray | float]:
    """The map at flat arrays of equal length: `frequency` (NaN without a stable cycle), `n_fixed_points`,
    `n_stable_cycles`, `seconds`; nothing is compiled, `compile_seconds` is 0."""
    tasks = list(zip(*(v.tolist() for v in np.broadcast_arrays(alpha, beta, s)), strict=True))
    cores = len(os.sched_getaffinity(0))
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        pool.map(point, [(2.0, 1.0, 0.0)] * cores, chunksize=1)  # imports are not counted
        began = time.perf_counter()
        answers = pool.map(point, tasks, chunksize=1)
        seconds = time.perf_counter() - began
    frequency, number = (np.array(v) for v in zip(*answers, strict=True))
    return {
        "frequency": frequency,
        "n_fixed_points": number,
        "n_stable_cycles": np.isfinite(frequency).astype(int),
        "seconds": seconds,
        "compile_seconds": 0.0,
    }
