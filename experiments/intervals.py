"""Medians of few values and their quotients, with intervals by the bootstrap."""

from __future__ import annotations

from typing import Any

import numpy as np

DRAWS, SEED = 4000, 0
LEVEL = 0.99
"""Of every interval."""


def median(values: np.ndarray) -> dict[str, Any]:
    """The median of the finite values and its percentile interval."""
    known = values[np.isfinite(values)]
    return {"median": float(np.median(known)), "interval": _interval(_medians(known, SEED)), "of": len(known)}


def compared(before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """The quotient of two medians, and whether it `falls` below 1, `rises` above it, or is `undecided`."""
    old, new = before[np.isfinite(before)], after[np.isfinite(after)]
    low, high = _interval(_medians(new, SEED) / _medians(old, SEED + 1))
    word = "falls" if high < 1 else "rises" if low > 1 else "undecided"
    return {"quotient": float(np.median(new) / np.median(old)), "interval": [low, high], "verdict": word}


def _medians(values: np.ndarray, seed: int) -> np.ndarray:
    picked = np.random.default_rng(seed).integers(len(values), size=(DRAWS, len(values)))
    return np.median(values[picked], axis=1)


def _interval(draws: np.ndarray) -> list[float]:
    tail = (1.0 - LEVEL) / 2.0
    return [float(x) for x in np.quantile(draws, [tail, 1.0 - tail])]
