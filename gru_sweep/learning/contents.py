"""What the file of a training holds, as Datasets: the root, about all networks, and a group for each.

Networks of all sizes share the root's arrays, padded with NaN or -1 up to the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..training.networks import Network
from ..training.tasks import Data
from ..training.trainer import Trainer
from . import dynamics
from .school import School

PARTS = ("U_h", "U_z", "U_r", "b_z", "b_r", "b_h", "W_z", "W_r", "W_h")
"""The parts of a trained cell; `to` and `from` are units, `input` and `output` observed coordinates."""
_LONG = {
    "U": "recurrent weights",
    "W": "input weights",
    "b": "bias",
    "z": "update gate",
    "r": "reset gate",
    "h": "candidate state",
}


def progress(school: School, data: Data, trainer: Trainer) -> xr.Dataset:
    """The root of a file that is not finished: the data, and the curves as far as they go."""
    return _dataset(school, {**_series(data), **_curves(school, trainer)})


def whole(school: School, data: Data, trainer: Trainer, note: Callable[[str], None]) -> dict[str, xr.Dataset]:
    """All groups of a finished file."""
    networks, snapshots = trainer.networks(), trainer.history.snapshots
    found = dynamics.read(school, data, networks, snapshots, trainer.diverged, note)
    variables = {**_series(data), **_curves(school, trainer), **found}
    groups = {"/": _dataset(school, variables)}
    for name, network, kept in zip(school.names(), networks, zip(*snapshots), strict=True):
        groups[name] = _cell(network)
        groups[f"{name}/readout"] = _readout(network)
        groups[f"{name}/snapshots"] = _snapshots(kept)
    return groups


def counts(root: xr.Dataset) -> dict[str, int]:
    """Networks by the words of `status`, all of them."""
    about = root.status.attrs
    return {
        word: int((root.status.values == value).sum())
        for value, word in zip(about["flag_values"].tolist(), about["flag_meanings"].split(), strict=True)
    }


def final_losses(root: xr.Dataset) -> dict[str, float | None]:
    """By size, the median over networks of the mean square error of an observed number, held out; None where
    no network of a size is left."""
    last = root.test_loss.isel(test_epoch=-1).values.reshape(root.sizes["dim"], -1)
    scale = root["test"].isel(time=0).size
    return {
        str(size): float(np.median(row[np.isfinite(row)])) / scale if np.isfinite(row).any() else None
        for size, row in zip(root.dim.values, last, strict=True)
    }


def _dataset(school: School, variables: Mapping[str, tuple]) -> xr.Dataset:
    coords: dict[str, Any] = {
        "dim": ("dim", np.array(school.sizes, np.int32), {"long_name": "units of the network"}),
        "seed": ("seed", np.arange(school.seeds, dtype=np.int32), {"long_name": "number of the network"}),
    }
    if "learning_rate" in school.dims:
        about = {"long_name": "learning rate"}
        coords["learning_rate"] = ("learning_rate", np.array(school.rates), about)
    made = xr.Dataset({**coords, **variables})
    return made.set_coords([name for name in made.dims if name in made.variables])


def _series(data: Data) -> dict[str, tuple]:
    about = {"units": "1"}
    return {
        "time": ("time", data.times, {"long_name": "time of the samples", "units": "time"}),
        "train": (
            ("train_series", "time", "coordinate"),
            data.train,
            {**about, "long_name": "series that are learnt"},
        ),
        "test": (
            ("test_series", "time", "coordinate"),
            data.test,
            {**about, "long_name": "series that are held out"},
        ),
        "test_truth": (
            ("test_series", "time", "coordinate"),
            data.test_truth,
            {**about, "long_name": "the held-out series without noise of observation"},
        ),
    }


def _curves(school: School, trainer: Trainer) -> dict[str, tuple]:
    history, dims = trainer.history, school.dims
    shaped = lambda values: values.reshape(*school.shape, -1)  # noqa: E731
    return {
        "epoch": ("epoch", np.arange(trainer.epoch, dtype=np.int32), {"long_name": "epoch"}),
        "loss": (
            (*dims, "epoch"),
            shaped(history.loss),
            {"long_name": "loss (Eq 10) before the epoch's step", "units": "1"},
        ),
        "gradient_norm": (
            (*dims, "epoch"),
            shaped(history.gradient_norm),
            {"long_name": "norm of the loss's gradient", "units": "1"},
        ),
        "test_epoch": (
            "test_epoch",
            history.test_epochs.astype(np.int32),
            {"long_name": "epochs done before the held-out series were tried"},
        ),
        "test_loss": (
            (*dims, "test_epoch"),
            shaped(history.test_loss),
            {"long_name": "loss (Eq 10) of the held-out series", "units": "1"},
        ),
        "diverged": (
            dims,
            np.asarray(trainer.diverged, np.int32).reshape(school.shape),
            {"long_name": "epoch whose loss or gradient was not finite, -1 if none: the last state was kept"},
        ),
    }


def _cell(network: Network) -> xr.Dataset:
    return xr.Dataset(
        {name: _part(name, getattr(network.cell, name)) for name in PARTS}, attrs={"reset": "before"}
    )


def _readout(network: Network) -> xr.Dataset:
    return xr.Dataset(
        {
            "C": (("output", "from"), np.asarray(network.C), {"long_name": "readout weights"}),
            "c": ("output", np.asarray(network.c), {"long_name": "readout bias"}),
        }
    )


def _snapshots(kept: Sequence[Network]) -> xr.Dataset:
    """The network after each of the root's `snapshot_epoch`."""
    variables = {}
    for name in PARTS:
        dims, values, about = _part(name, np.stack([np.asarray(getattr(one.cell, name)) for one in kept]))
        variables[name] = (("snapshot", *dims), values, about)
    variables["C"] = (
        ("snapshot", "output", "from"),
        np.stack([np.asarray(one.C) for one in kept]),
        {"long_name": "readout weights"},
    )
    variables["c"] = (
        ("snapshot", "output"),
        np.stack([np.asarray(one.c) for one in kept]),
        {"long_name": "readout bias"},
    )
    return xr.Dataset(variables)


def _part(name: str, value: Any) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    dims = {"U": ("to", "from"), "W": ("to", "input"), "b": ("to",)}[name[0]]
    return dims, np.asarray(value), {"long_name": f"{_LONG[name[0]]} of the {_LONG[name[2]]}"}
