r"""The least mean square error that any forecaster can have, given the noise.

With noise of observation the best forecast from w(0) is E[w(k) | w(0)]: the mean of the solutions over the
starts x of the box, each with the weight exp(-|w(0) - x|^2 / (2 noise)). With a noisy current the start is
known, and the best forecast is the mean over currents: of `RUNS` runs, whose error is 1 + 1 / `RUNS` times
that of the mean over all.
"""

from __future__ import annotations

import math

import numpy as np

from gru_sweep.training import tasks
from gru_sweep.training.solutions import solutions

NODES, QUICK_NODES = 61, 11
"""Starts on each side of the box: a sixth of the noise's deviation apart."""
RUNS, QUICK_RUNS = 32, 1
SEED = 12


def floors(name: str, quick: bool) -> dict[str, float]:
    """Of the task's data, `training` and `held_out`, per observed number."""
    data = tasks.draw(tasks.named(name), 0)
    best = _of_current if data.task.acts == "current" else _of_observation
    effort = (
        (QUICK_RUNS if quick else RUNS) if data.task.acts == "current" else (QUICK_NODES if quick else NODES)
    )
    return {"training": best(data, data.train, effort), "held_out": best(data, data.test, effort)}


def _of_observation(data: tasks.Data, series: np.ndarray, nodes: int) -> float:
    middles = (np.arange(nodes) + 0.5) / nodes
    sides = [low + middles * (high - low) for low, high in zip(data.task.lower, data.task.upper)]
    starts = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    ahead = tasks.truth(data.task, starts, data.times)[:, 1:]
    away = np.sum((series[:, None, 0] - starts) ** 2, axis=-1)
    weight = np.exp(-(away - away.min(axis=1, keepdims=True)) / (2.0 * data.noise))
    weight /= weight.sum(axis=1, keepdims=True)
    forecast = (weight @ ahead.reshape(len(starts), -1)).reshape(len(series), -1, 2)
    return float(np.mean((series[:, 1:] - forecast) ** 2))


def _of_current(data: tasks.Data, series: np.ndarray, runs: int) -> float:
    random = np.random.default_rng(SEED)
    total = np.zeros((len(series), len(data.times) - 1, 2))
    for _ in range(runs):
        drive = data.task.args + math.sqrt(data.noise) * random.normal(size=total.shape[:2])
        total += solutions(data.task.field, data.task.args, series[:, 0], data.times, drive)[:, 1:]
    return float(np.mean((series[:, 1:] - total / runs) ** 2) / (1.0 + 1.0 / runs))
