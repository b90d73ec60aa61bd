"""Escapes of the two machines from their states under noise, and what their rates say of the saddles."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from machines import MACHINES, Machine, levels
from noise import STEP, estimate, mean_time, passages, potential

SEED = 0
"""Of all noise."""
PAST = 0.5
"""A unit has escaped when it is this far on the other side of its border: to come back it would have to climb
again, and what a step overshoots no longer matters."""


def escapes(machine: Machine, trials: int, part: float) -> dict[str, Any]:
    """Rates of escape of a unit from its state, beside the exact ones, for all strengths of noise.

    `part` of the machine's horizon is waited for. `when` are the times, (strength, trial, unit).
    """
    low, high = levels(machine)
    start = low if machine.sense > 0 else high
    level, steps = machine.sense * PAST, round(part * machine.horizon / STEP)
    key = jax.random.key(SEED)
    strengths = np.array(machine.noise)
    when = np.asarray(
        passages(machine.cell(), np.full(2, start), np.full(2, level), strengths, key, (trials, steps))
    )
    rows = [estimate(one, steps * STEP) for one in when]
    rate, error, count = (np.array(column) for column in zip(*rows))
    exact = np.array([1.0 / mean_time(machine.rate, start, level, d) for d in strengths])
    return {
        "trials": trials,
        "step": STEP,
        "horizon": steps * STEP,
        "D": strengths.tolist(),
        "rate": rate.tolist(),
        "standard_error": error.tolist(),
        "escapes": count.tolist(),
        "exact_rate": exact.tolist(),
        "largest_deviation_in_standard_errors": float(np.abs((rate - exact) / error).max()),
        "when": when,
    }


def slope(x: np.ndarray, y: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Slope of the weighted straight line through (x, y +- error), and its standard error."""
    weight = 1.0 / error**2
    middle = (weight * x).sum() / weight.sum()
    spread = (weight * (x - middle) ** 2).sum()
    return float((weight * (x - middle) * y).sum() / spread), float(spread**-0.5)


def direct(machine: Machine, when: np.ndarray) -> list[float]:
    """The share of trials in which the second unit follows before the first has come to its sink, by noise.

    The others rest at a saddle-node, the first unit in its sink and the second not.
    """
    low = levels(machine)[0]
    h = np.linspace(-PAST, low + 0.1, 2001)
    lag = float(np.trapezoid(1.0 / machine.rate(h), h))
    both = np.isfinite(when).all(axis=-1)
    known = np.where(both[..., None], when, 0.0)
    apart = np.where(both, np.abs(known[..., 0] - known[..., 1]), np.inf)
    return (apart < lag).mean(axis=-1).tolist()


def judge(four: dict, merged: dict, when: np.ndarray) -> None:
    """Add what the rates of the two machines say of the height of the saddle, and how the second is left."""
    machine, half = MACHINES
    d, rate = np.array(four["D"]), np.array(four["rate"])
    h = np.linspace(levels(machine)[0], 0.0, 100001)
    error = np.array(four["standard_error"]) / rate
    found, spread = slope(-1.0 / d, np.log(rate), error)
    exact, _ = slope(-1.0 / d, np.log(four["exact_rate"]), error)
    four |= {
        "height_of_the_saddle": float(potential(machine.rate, h)[-1]),
        "height_from_the_rates": found,
        "its_standard_error": spread,
        "height_from_the_exact_rates": exact,
    }
    d, rate = np.array(merged["D"]), np.array(merged["rate"])
    error = np.array(merged["standard_error"]) / rate
    found, spread = slope(np.log(d), np.log(rate), error)
    merged |= {
        "exponent_of_D": found,
        "its_standard_error": spread,
        "exponent_expected": 1.0 / 3.0,
        "share_direct": direct(half, when),
    }
