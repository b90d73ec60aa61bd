"""One small network at length: its spectrum by several steps and by a method of another kind; pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from chaos_search import COARSE, FINE, Parts
from scipy.integrate import solve_ivp

from gru_sweep.analysis.lyapunov import flow_map, lyapunov_spectrum
from gru_sweep.systems.cells import GRU

BETWEEN, GROUPS = 10.0, 12
"""Time between normalisations of the adaptive method, and groups of them whose means give the error."""
LONGER = 5.0
"""How much longer the spectrum is followed than exponents of many networks are."""
TOLERANCES = {"rtol": 1e-9, "atol": 1e-12}
"""Of the adaptive method: exponents want the statistics right, not the orbit."""


def entries(parts: Parts, index: int) -> dict[str, Any]:
    """The parts of one network as lists."""
    return {k: v[..., index].tolist() for k, v in parts.items()}


def spectra(given: dict[str, Any], state: list[float], time: float) -> list[dict[str, Any]]:
    """All exponents of one flow, and its dimension, by each step along one orbit `LONGER` times as long;
    standard errors are those of batch means."""
    cell, rows = GRU(**{k: jnp.asarray(v) for k, v in given.items()}), []
    for clock in (COARSE, *FINE):
        step = flow_map(cell, clock.unit, clock.every)
        found = lyapunov_spectrum(step, np.asarray(state), len(state), time=LONGER * time, transient=time)
        rows.append(
            {
                "step": clock.unit,
                "exponents": found.exponent.tolist(),
                "errors": found.exponent_error.tolist(),
                "dimension": float(found.dimension),
                "dimension_error": float(found.dimension_error),
            }
        )
    return rows


def variational(given: dict[str, Any], d: int) -> Callable:
    """The rates of a state and of a tangent vector, [h, v], in NumPy: Eq 7 written out again."""
    sigma = lambda v: 1.0 / (1.0 + np.exp(-v))  # noqa: E731
    part = lambda name: np.asarray(given.get(name, np.zeros((d, d) if name[0] == "U" else d)))  # noqa: E731
    u_h, u_r, u_z, b_h, b_r, b_z = (part(name) for name in ("U_h", "U_r", "U_z", "b_h", "b_r", "b_z"))

    def rates(_, both):
        h, v = both[:d], both[d:]
        z, r = sigma(u_z @ h + b_z), sigma(u_r @ h + b_r)
        t = np.tanh(u_h @ (r * h) + b_h)
        turned = (1.0 - t**2) * (u_h @ (r * v + h * r * (1.0 - r) * (u_r @ v))) - v
        return np.concatenate([(1.0 - z) * (t - h), (1.0 - z) * turned - z * (1.0 - z) * (u_z @ v) * (t - h)])

    return rates


def adaptive(given: dict[str, Any], state: list[float], time: float) -> dict[str, Any]:
    """The largest exponent by DOP853 of the variational equations: nothing of this package is in it.

    The first tenth of the time is left out; the standard error is over `GROUPS` stretches of it.
    """
    d, rates = len(state), variational(given, len(state))
    both, logs = np.concatenate([state, np.ones(d) / math.sqrt(d)]), []
    for _ in range(round(time / BETWEEN)):
        both = solve_ivp(rates, (0.0, BETWEEN), both, method="DOP853", **TOLERANCES).y[:, -1]
        length = np.linalg.norm(both[d:])
        logs.append(math.log(length))
        both[d:] /= length
    growth = np.array(logs[len(logs) // 10 :]) / BETWEEN
    means = np.array([one.mean() for one in np.array_split(growth, GROUPS)])
    return {
        "exponent": float(growth.mean()),
        "error": float(means.std(ddof=1) / math.sqrt(GROUPS)),
    }


def orbit(given: dict[str, Any], state: list[float], time: float, width: float) -> np.ndarray:
    """States (n, d) along the flow from `state`, one every `width`."""
    d, rates = len(state), variational(given, len(state))
    start, times = np.concatenate([state, np.zeros(d)]), np.arange(0.0, time, width)
    return solve_ivp(rates, (0.0, time), start, method="DOP853", t_eval=times, **TOLERANCES).y[:d].T


def section(states: np.ndarray) -> np.ndarray:
    """Where an orbit rises through the plane h_1 = its mean, by straight lines between states, (n, d - 1)."""
    above = states[:, 0] - states[:, 0].mean()
    before = np.flatnonzero((above[:-1] < 0.0) & (above[1:] >= 0.0))
    share = (above[before] / (above[before] - above[before + 1]))[:, None]
    return (states[before] + share * (states[before + 1] - states[before]))[:, 1:]
