"""What the experiments on section 5 share: trainings in files of their own, and intervals for their counts.

A training whose file is in the folder, made with the same settings, is read and not trained again.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

import gru_sweep as gs
from gru_sweep.training.maps import double
from gru_sweep.training.networks import Network

SEEDS, QUICK_SEEDS = 20, 2
EPOCHS, QUICK_EPOCHS = 4000, 40
PAPER_SEEDS = 3
"""Networks of each size that the paper trains."""
SMALL = 2
"""Units of the paper's networks in Fig 11."""
Z = 1.959963984540054
"""Standard normal quantile of a two-sided interval of 95 %."""


def trained(path: Path, task: str, **options: Any) -> xr.Dataset:
    """The root of the file of a training, which is finished, begun, or replaced if made otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return gs.train(task, out=path, resume=True, **options)
    except gs.InputError as error:
        if error.argument != "--resume":
            raise
    return gs.train(task, out=path, overwrite=True, **options)


def small(folder: Path, task: str, quick: bool) -> xr.Dataset:
    """The networks of two units of a task, from Fig 11's file."""
    seeds, epochs = (QUICK_SEEDS, QUICK_EPOCHS) if quick else (SEEDS, EPOCHS)
    return trained(folder / f"fig11_training_{task}.h5", task, dim=SMALL, seeds=seeds, epochs=epochs)


def share(count: int, of: int) -> dict[str, Any]:
    """A count, and Wilson's interval of 95 % for the probability."""
    if not of:
        return {"count": count, "of": of, "interval": [0.0, 1.0]}
    p, n = count / of, of
    middle = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return {"count": count, "of": of, "interval": [middle - half, middle + half]}


def networks(path: Path, dim: int, seeds: int) -> list[Network]:
    """The trained networks of a size in a file, in float64."""
    found = []
    with h5py.File(path) as file:
        for seed in range(seeds):
            member = f"dim={dim},seed={seed}"
            readout = file[f"{member}/readout"]
            found.append(double(Network(gs.load_weights(path, member), readout["C"][()], readout["c"][()])))
    return found


def per_number(ds: xr.Dataset) -> np.ndarray:
    """Held-out mean square error of an observed number at the end, by network."""
    return ds.test_loss.values[:, -1] / ds.test.isel(time=0).size


def spread(values: np.ndarray) -> dict[str, Any]:
    """Median and range of the finite ones; None where there are none."""
    known = values[np.isfinite(values)]
    if not len(known):
        return {"median": None, "range": None, "of": 0}
    return {
        "median": float(np.median(known)),
        "range": [float(known.min()), float(known.max())],
        "of": len(known),
    }
