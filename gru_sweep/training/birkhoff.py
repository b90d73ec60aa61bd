r"""Weighted Birkhoff averages: time averages that converge fast on quasi-periodic orbits.

    WB_N(f) = sum_n w(n / N) f(h_n) / sum_n w(n / N),     w(t) = exp(-1 / (t (1 - t))),  0 < n < N,

converges faster than any power of N where the orbit is quasi-periodic, f smooth and the rotation number
Diophantine (Das, Saiki, Sander & Yorke 2017, Nonlinearity 30, 4111); where the orbit is chaotic, as slowly as
the plain mean.
"""

from __future__ import annotations

import numpy as np

WINDOWS = 8
"""Windows whose scatter gives the standard error of an average over a chaotic orbit."""


def weights(n: int) -> np.ndarray:
    """The n weights, of sum 1: w at (k + 1) / (n + 1), so that none is zero."""
    t = np.arange(1, n + 1) / (n + 1)
    w = np.exp(4.0 - 1.0 / (t * (1.0 - t)))  # 1 in the middle: no underflow of all
    return w / w.sum()


def average(values: np.ndarray) -> tuple[float, float]:
    """The weighted average of a series (n,), and its error.

    The error is the largest of three: how far the averages over the halves lie from that of the whole (what
    a quasi-periodic series, which converges with n, still lacks), the standard error over `WINDOWS` windows
    (what a chaotic one scatters), and rounding.
    """
    n = len(values)
    whole = float(weights(n) @ values)
    half = weights(n // 2)
    halves = max(abs(float(half @ part) - whole) for part in (values[: n // 2], values[-(n // 2) :]))
    short = weights(n // WINDOWS)
    parts = values[: WINDOWS * (n // WINDOWS)].reshape(WINDOWS, -1) @ short
    scatter = float(np.std(parts, ddof=1)) / WINDOWS**0.5
    rounding = float(np.finfo(float).eps * np.max(np.abs(values)))
    return whole, max(halves, scatter, rounding)
