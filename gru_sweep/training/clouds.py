"""Orbits as sets of states: whether one repeats, and whether two are the same set."""

from __future__ import annotations

import numpy as np

WINDOW = 16
"""States at the end of an orbit that all have to repeat."""
PROBES = 64
"""States of one orbit whose distance to the other is taken."""
LOOSE = 3.0
"""Orbits are the same set within this many times how far their later halves stray from the earlier ones."""
ROUNDING = 1e-7
"""... and this distance: of orbits that repeat to rounding, themselves as good as their transients."""


def nearly_repeats(tails: np.ndarray, tolerance: float, longest: int) -> np.ndarray:
    """The least period, at most `longest`, with which the end of each tail, (n, length, d), repeats; 0: none.

    It is the least q with |h(k) - h(k - q)| <= `tolerance` (max) at the last `WINDOW` states.
    """
    length = tails.shape[1]
    last = length - 1 - np.arange(WINDOW)
    periods = np.arange(1, min(longest, length - WINDOW) + 1)
    # the last state first: it rules out nearly all periods
    with np.errstate(invalid="ignore"):  # what left for infinity repeats nowhere
        away = np.abs(tails[:, -1:] - tails[:, length - 1 - periods]).max(axis=2)
    found = np.zeros(len(tails), int)
    for i, candidates in enumerate(away <= tolerance):
        q = periods[candidates]
        earlier = tails[i][last[None, :] - q[:, None]]
        good = np.abs(tails[i][last] - earlier).max(axis=(1, 2), initial=0.0) <= tolerance
        found[i] = q[good][0] if good.any() else 0
    return found


def same_set(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether states spread over each of two orbits, (n, d), lie on the other."""
    near = LOOSE * max(_gap(a), _gap(b)) + ROUNDING
    return max(_distance(a, b), _distance(b, a)) <= near


def same_curve(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two closed curves, states (n, d) in order along them, are one.

    Within the height of the arc over the longest chord c of each: at most c^2 / width, unless the curve bends
    more sharply than its width.
    """
    near = ROUNDING
    for curve in (a, b):
        chord = np.linalg.norm(np.roll(curve, -1, axis=0) - curve, axis=1).max()
        near += float(chord**2 / np.max(np.ptp(curve, axis=0)))
    return max(_off(a, b), _off(b, a)) <= near


def _off(a: np.ndarray, b: np.ndarray) -> float:
    """The largest distance of `PROBES` states of a from the polygon b, at its nearest corner."""
    probes, corner = _nearest(a, b)
    foot = []
    for beside in (1, -1):
        edge = b[(corner + beside) % len(b)] - b[corner]
        square = np.sum(edge**2, axis=1)
        along = np.sum((probes - b[corner]) * edge, axis=1) / np.where(square == 0.0, 1.0, square)
        foot.append(b[corner] + np.clip(along, 0.0, 1.0)[:, None] * edge - probes)
    return float(np.linalg.norm(foot, axis=2).min(axis=0).max())


def _gap(a: np.ndarray) -> float:
    """The farthest that states of the later half lie from the earlier half."""
    return _distance(a[len(a) // 2 :], a[: len(a) // 2])


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """The largest distance of `PROBES` states of a from the nearest of b."""
    probes, nearest = _nearest(a, b)
    return float(np.linalg.norm(probes - b[nearest], axis=1).max())


def _nearest(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`PROBES` states of a, and which of b is nearest to each."""
    probes = a[np.linspace(0, len(a) - 1, PROBES).astype(int)]
    squares = np.sum(probes**2, axis=1)[:, None] - 2.0 * probes @ b.T + np.sum(b**2, axis=1)
    return probes, np.argmin(squares, axis=1)
