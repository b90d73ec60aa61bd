r"""All solutions s > 0 of F(s) = s^2 for a smooth positive F, at many points at once.

F is made of averages over Gaussians of standard deviations proportional to s. As a function of u = log s such
an average is analytic for |Im u| < pi/4, to where the Gaussian's contour can be turned; with its activity
bounded, nothing in it is narrower than that. So the gap log F - 2 u is sampled at steps of SCAN in u: every
change of its sign is a bracket; and where it turns round without a change of sign, its extremum is found, and
makes two brackets if it is beyond zero. What is missed are pairs of extrema between three samples: two
solutions within SCAN of a cusp, closer together than that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

SCAN = 0.125
"""Step in log s: a twelfth of the width 2 pi/4."""
GOLDEN_STEPS = 36
"""Of the search for an extremum: 2 SCAN 0.618^36 is 8e-9, and the extremum right to its square."""
ROOT_STEPS = 60
"""Most of Chandrupatla's method; a dozen is usual."""
ROOT_ERROR = 4e-16
"""Of log s, over 1 + |log s|."""
GOLDEN = (5.0**0.5 - 1.0) / 2.0

Gap = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Points (m,), by their numbers, and u (m,), to log F - 2 u (m,)."""


def _extrema(gap: Gap, point: np.ndarray, a: np.ndarray, b: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Where sign * gap is least between a and b, by golden section."""
    c, d = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
    at_c, at_d = (sign * gap(point, x) for x in (c, d))
    for _ in range(GOLDEN_STEPS):
        left = at_c < at_d
        a, b = np.where(left, a, c), np.where(left, d, b)
        new = np.where(left, b - GOLDEN * (b - a), a + GOLDEN * (b - a))
        value = sign * gap(point, new)
        c, d = np.where(left, new, d), np.where(left, c, new)
        at_c, at_d = np.where(left, value, at_d), np.where(left, at_c, value)
    return np.where(at_c < at_d, c, d)


def _roots(gap: Gap, point: np.ndarray, ends: np.ndarray, values: np.ndarray, error: float) -> np.ndarray:
    """One root between each pair of ends (2, m), at which the gap has values of both signs: the hybrid of
    bisection and inverse quadratic interpolation of Chandrupatla (1997)."""
    (b, a), (fb, fa) = ends.copy(), values.copy()
    c, fc, share = a.copy(), fa.copy(), np.full(a.shape, 0.5)
    best = a.copy()
    left = np.arange(a.size)
    for _ in range(ROOT_STEPS):
        if not left.size:
            break
        A, B, C, FA, FB, FC = (x[left] for x in (a, b, c, fa, fb, fc))
        x = A + share[left] * (B - A)
        f = gap(point[left], x)
        same = np.sign(f) == np.sign(FA)
        C, FC = np.where(same, A, B), np.where(same, FA, FB)
        B, FB = np.where(same, B, A), np.where(same, FB, FA)
        A, FA = x, f
        good = np.abs(FA) < np.abs(FB)
        best[left] = np.where(good, A, B)
        least = error * (1.0 + np.abs(best[left])) / np.abs(B - A)
        with np.errstate(divide="ignore", invalid="ignore"):
            xi, phi = (A - B) / (C - B), (FA - FB) / (FC - FB)
            inverse = FA / (FB - FA) * FC / (FB - FC) + (C - A) / (B - A) * FA / (FC - FA) * FB / (FC - FB)
        smooth = (phi**2 < xi) & ((1.0 - phi) ** 2 < 1.0 - xi) & np.isfinite(inverse)
        t = np.clip(np.where(smooth, inverse, 0.5), least, 1.0 - least)
        for whole, part in zip((a, b, c, fa, fb, fc, share), (A, B, C, FA, FB, FC, t)):
            whole[left] = part
        left = left[(least < 0.5) & (FA != 0.0)]
    return best


def solutions(
    gap: Gap,
    points: int,
    low: float,
    high: float,
    below: Float[np.ndarray, " p"],
    far: Float[np.ndarray, " p"],
    error: float = ROOT_ERROR,
) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """All u = log s with gap = 0, as numbers of points and u, by growing point and u.

    Samples go from `low` to `high`, where the gap is negative at every point. Below `low` lies one solution
    at most; `below` is the gap at `far` < `low` (0 where there is certainly none).
    """
    count = int(np.ceil((high - low) / SCAN)) + 1
    grid = np.linspace(low, high, count)
    point = np.repeat(np.arange(points), count)
    value = gap(point, np.tile(grid, points)).reshape(points, count)
    value[value == 0.0] = -np.finfo(float).tiny
    positive = value > 0.0
    found = []

    p, j = np.nonzero(positive[:, 1:] != positive[:, :-1])
    found.append((p, grid[j], grid[j + 1], value[p, j], value[p, j + 1]))
    p = np.flatnonzero((below != 0.0) & ((below > 0.0) != positive[:, 0]))
    found.append((p, far[p], np.full(p.shape, low), below[p], value[p, 0]))

    sign = np.where(positive[:, 1:-1], 1.0, -1.0)
    middle, before, after = (sign * value[:, cut] for cut in (slice(1, -1), slice(None, -2), slice(2, None)))
    p, j = np.nonzero((middle <= before) & (middle < after) & (before > 0.0) & (after > 0.0))
    if p.size:
        turn = _extrema(gap, p, grid[j], grid[j + 2], sign[p, j])
        at = gap(p, turn)
        beyond = sign[p, j] * at < 0.0
        p, j, turn, at = p[beyond], j[beyond], turn[beyond], at[beyond]
        found.append((p, grid[j], turn, value[p, j], at))
        found.append((p, turn, grid[j + 2], at, value[p, j + 2]))

    p, a, b, at_a, at_b = (np.concatenate(parts) for parts in zip(*found))
    root = _roots(gap, p, np.stack([a, b]), np.stack([at_a, at_b]), error)
    order = np.lexsort((root, p))
    return p[order], root[order]
