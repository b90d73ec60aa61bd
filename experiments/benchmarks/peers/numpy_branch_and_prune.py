"""All fixed points of planar GRUs as a NumPy user proves them: branch and prune, vectorised over boxes.

The zeros of g(h) = tanh(U_h (r o h) + b_h) - h, r = sigma(U_r h + b_r), in [-1, 1]^2 (an update gate moves
none). Boxes of all systems of a block stand in one flat work list, 8 x 8 each to begin with. A round drops
those on which the mean-value form excludes 0, applies Krawczyk's operator with the inverse of the midpoint
Jacobian, keeps what it proves to hold one zero, shrinks or splits in four the others. Boxes are tested a
twentieth larger than they are, so that a zero on an edge is found, perhaps twice, and merged. Rounding is
covered by widening every interval at the end of its evaluation by `ROUNDING` of its terms.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

START = 8
"""Boxes per side to begin with."""
ROUNDS = 60
"""Rounds after which a system with undecided boxes is given up: its count is -1."""
BLOCK = 512
"""Systems worked on together: their boxes fit the cache."""
ROUNDING = 1e-13
"""Bound on the rounding error of an evaluation, relative to the sum of the magnitudes of its terms."""
ASPECT = 0.05
"""Narrowest box kept: a thinner one would never come to hold the zero next to it."""
BOXES = 1000
"""Boxes at a time after which a system is given up, too."""
OVERLAP = 1.05
HALF = 1.000001
"""Half width of the box searched: tanh reaches 1 in floats."""

Weights = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""U_h (2, 2, m), U_r (2, 2, m), b_h (2, m), b_r (2, m), one column for each box."""


def times(a: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number times interval."""
    p, q = a * low, a * high
    return np.minimum(p, q), np.maximum(p, q)


def product(a, b, c, d) -> tuple[np.ndarray, np.ndarray]:
    """[a, b] times [c, d]."""
    p, q, r, s = a * c, a * d, b * c, b * d
    return np.minimum(np.minimum(p, q), np.minimum(r, s)), np.maximum(np.maximum(p, q), np.maximum(r, s))


def matrix(weights: np.ndarray, low: np.ndarray, high: np.ndarray, bias: np.ndarray):
    """weights (2, 2, m) on an interval vector (2, m), plus bias (2, m)."""
    p, q = times(weights, low, high)
    return p[:, 0] + p[:, 1] + bias, q[:, 0] + q[:, 1] + bias


def value(w: Weights, h: np.ndarray) -> np.ndarray:
    """g (2, m) at states h (2, m)."""
    u_h, u_r, b_h, b_r = w
    r = 1 / (1 + np.exp(-(u_r[:, 0] * h[0] + u_r[:, 1] * h[1] + b_r)))
    g = r * h
    return np.tanh(u_h[:, 0] * g[0] + u_h[:, 1] * g[1] + b_h) - h


def jacobian(w: Weights, h: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (2, 2, m) of the Jacobian of g over the boxes h +- half."""
    u_h, u_r, b_h, b_r = w
    low, high = h - half, h + half
    a, b = matrix(u_r, low, high, b_r)
    size = np.abs(u_r).sum(1) + np.abs(b_r)
    ra, rb = 1 / (1 + np.exp(-(a - ROUNDING * size))), 1 / (1 + np.exp(-(b + ROUNDING * size)))
    ra, rb = ra * (1 - ROUNDING), rb * (1 + ROUNDING)
    # sigma' = r (1 - r) is largest at 1/2 and falls to both sides
    ends = ra * (1 - ra), rb * (1 - rb)
    qa, qb = np.minimum(*ends), np.where((ra < 0.5) & (rb > 0.5), 0.25, np.maximum(*ends))
    qa, qb = qa - ROUNDING, qb + ROUNDING
    ga, gb = product(ra, rb, low, high)
    a, b = matrix(u_h, ga, gb, b_h)
    size = np.abs(u_h).sum(1) + np.abs(b_h)
    ta, tb = np.tanh(a - ROUNDING * size), np.tanh(b + ROUNDING * size)
    nearest = np.where((ta < 0) & (tb > 0), 0.0, np.minimum(np.abs(ta), np.abs(tb)))
    da = np.maximum(1 - np.maximum(np.abs(ta), np.abs(tb)) ** 2 - ROUNDING, 0.0)
    db = 1 - nearest**2 + ROUNDING
    # d(r_k h_k) / dh_j = delta_kj r_k + h_k sigma'_k U_r[k, j]
    ha, hb = product(qa, qb, low, high)
    ja, jb = np.empty_like(u_h), np.empty_like(u_h)
    for j in (0, 1):
        ea, eb = times(u_r[:, j], ha, hb)
        ea[j], eb[j] = ea[j] + ra[j], eb[j] + rb[j]
        sa, sb = matrix(u_h, ea, eb, np.zeros_like(b_h))
        pa, pb = product(da, db, sa, sb)
        slack = ROUNDING * (1 + np.maximum(np.abs(pa), np.abs(pb)))
        ja[:, j], jb[:, j] = pa - slack, pb + slack
        ja[j, j] -= 1
        jb[j, j] -= 1
    return ja, jb


def merged(system: np.ndarray, h: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Proven zeros by system, each once: those closer than 1e-9 after Newton's method are one."""
    # coordinates that differ by rounding only must not part the copies of a zero
    order = np.lexsort((*np.round(h[::-1], 8), system))
    system, h = system[order], h[:, order]
    keep = np.ones(system.size, bool)
    for back in range(1, min(5, system.size)):
        near = np.abs(h[:, back:] - h[:, :-back]).max(0) < 1e-9
        keep[back:] &= ~(near & (system[back:] == system[:-back]))
    return np.bincount(system[keep], minlength=n), np.stack([system[keep], *h[:, keep]])


def block(
    u_h: np.ndarray, u_r: np.ndarray, b_h: np.ndarray, b_r: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Counts (n,), -1 where not decided, and zeros (3, k): system, h_1, h_2; weights (n, 2, 2) and (n, 2)."""
    n = len(u_h)
    columns = [np.moveaxis(v, 0, -1) for v in (u_h, u_r, b_h, b_r)]
    line = HALF * ((2 * np.arange(START) + 1) / START - 1)
    system = np.repeat(np.arange(n), START**2)
    h = np.stack([np.tile(v.ravel(), n) for v in np.meshgrid(line, line)])
    half, given_up = np.full_like(h, HALF / START), np.zeros(n, bool)
    where, zeros = [np.empty(0, int)], [np.empty((2, 0))]
    for _ in range(ROUNDS):
        if not system.size:
            break
        w: Weights = tuple(v[..., system] for v in columns)
        wide = OVERLAP * half
        g, (ja, jb) = value(w, h), jacobian(w, h, wide)
        reach = np.maximum(np.abs(ja), np.abs(jb))
        slack = ROUNDING * (np.abs(w[0]).sum(1) + np.abs(w[2]) + 2)
        alive = (np.abs(g) <= reach[:, 0] * wide[0] + reach[:, 1] * wide[1] + slack).all(0)
        system, h, half, wide, g = system[alive], h[:, alive], half[:, alive], wide[:, alive], g[:, alive]
        ja, jb, slack = ja[..., alive], jb[..., alive], slack[:, alive]
        # K = h - Y g(h) + (1 - Y J)(X - h), Y the inverse of the midpoint of J
        m = (ja + jb) / 2
        det = m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]
        regular = np.abs(det) > 1e-12
        y = np.stack([[m[1, 1], -m[0, 1]], [-m[1, 0], m[0, 0]]]) / np.where(regular, det, 1.0)
        step = -(y[:, 0] * g[0] + y[:, 1] * g[1])
        radius = (jb - ja) / 2
        spread = np.abs(y)
        # |1 - Y J| <= |Y| rad(J), plus what rounding leaves of 1 - Y mid(J)
        slope = np.einsum("ikm,kjm->ijm", spread, radius + ROUNDING * (1 + np.abs(m)))
        krawczyk = (
            slope[:, 0] * wide[0] + slope[:, 1] * wide[1] + spread[:, 0] * slack[0] + spread[:, 1] * slack[1]
        )
        found = regular & (np.abs(step) + krawczyk < wide).all(0)
        empty = regular & (np.abs(step) - krawczyk > half).any(0)
        where.append(system[found])
        zeros.append((h + step)[:, found])
        rest = ~(found | empty)
        system, h, half, step, krawczyk = (
            system[rest],
            h[:, rest],
            half[:, rest],
            step[:, rest],
            krawczyk[:, rest],
        )
        # the part of the box inside K, where that is much less; else four quarters
        low = np.maximum(h - half, h + step - krawczyk)
        high = np.minimum(h + half, h + step + krawczyk)
        middle, less = (low + high) / 2, (high - low) / 2
        less = np.maximum(less, ASPECT * less[::-1])
        shrunk = regular[rest] & (high >= low).all(0) & (less.prod(0) < 0.5 * half.prod(0))
        split = ~shrunk
        quarter = [h[:, split] + half[:, split] * np.array([[i], [j]]) / 2 for i in (-1, 1) for j in (-1, 1)]
        h = np.concatenate([middle[:, shrunk], *quarter], axis=1)
        half = np.concatenate([less[:, shrunk], *[half[:, split] / 2] * 4], axis=1)
        system = np.concatenate([system[shrunk], *[system[split]] * 4])
        given_up |= np.bincount(system, minlength=n) > BOXES
        going_on = ~given_up[system]
        system, h, half = system[going_on], h[:, going_on], half[:, going_on]
    found_in, points = np.concatenate(where), np.concatenate(zeros, axis=1)
    w = tuple(v[..., found_in] for v in columns)
    for _ in range(4):
        ja, jb = jacobian(w, points, np.zeros_like(points))
        m, g = (ja + jb) / 2, value(w, points)
        det = m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]
        points = points - np.stack([m[1, 1] * g[0] - m[0, 1] * g[1], m[0, 0] * g[1] - m[1, 0] * g[0]]) / det
    count, zeros_once = merged(found_in, points, n)
    given_up[system] = True
    count[given_up] = -1
    return count, zeros_once


def run(
    u_h: np.ndarray, u_r: np.ndarray, b_h: np.ndarray, b_r: np.ndarray, threads: int | None = None
) -> dict[str, np.ndarray | float]:
    """All fixed points of n planar GRUs, weights (n, 2, 2) and (n, 2): `n_fixed_points` (n,), -1 where not
    decided; `points` (3, k), rows system, h_1, h_2; `seconds`. Blocks are spread over threads, one a core."""
    threads = threads or len(os.sched_getaffinity(0))
    began = time.perf_counter()
    parts = [slice(i, i + BLOCK) for i in range(0, len(u_h), BLOCK)]
    with np.errstate(over="ignore"), ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(lambda s: block(u_h[s], u_r[s], b_h[s], b_r[s]), parts))
    points = [zeros + np.array([[s.start], [0], [0]]) for s, (_, zeros) in zip(parts, answers, strict=True)]
    return {
        "n_fixed_points": np.concatenate([count for count, _ in answers]),
        "points": np.concatenate(points, axis=1),
        "seconds": time.perf_counter() - began,
    }
