"""Where a function of a scale changes its sign."""

from __future__ import annotations

import math
from collections.abc import Callable

HALVINGS = 64
"""A bracket of e-foldings below 1000 is narrower than rounding after 64 halvings."""


def crossing(f: Callable[[float], float], low: float, high: float) -> float | None:
    """The sign change of f in (low, high), by bisection in log; None where f has one sign at both."""
    rises = f(low) < 0.0
    if (f(high) < 0.0) == rises:
        return None
    a, b = math.log(low), math.log(high)
    for _ in range(HALVINGS):
        middle = (a + b) / 2.0
        if (f(math.exp(middle)) < 0.0) == rises:
            a = middle
        else:
            b = middle
    return math.exp((a + b) / 2.0)
