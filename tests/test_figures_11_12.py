"""Figures 11 and 12: what they measure, against scipy, NumPy and closed forms, and what they write."""

import importlib

import h5py
import jax
import numpy as np
import pytest
import xarray as xr
from scipy.stats import binomtest, truncnorm

import gru_sweep as gs
from gru_sweep.training import tasks

FIG11, FIG12 = "fig11_training", "fig12_learning_curves"
pytestmark = pytest.mark.usefixtures("quick")
PNG = b"\x89PNG\r\n\x1a\n"


def module(name):
    """A module of the experiments, whose folder the fixture `quick` has put into the path."""
    return importlib.import_module(name)


def opened(path):
    return xr.open_dataset(path, engine="h5netcdf")


def sigma(x):
    return 1 / (1 + np.exp(-x))


class Loop:
    """A trained network of a file, written out again in NumPy: Eqs 2-4 and an affine readout."""

    def __init__(self, path, member):
        with h5py.File(path) as file:
            group = file[member]
            parts = "U_h", "U_z", "U_r", "b_z", "b_r", "b_h", "W_z", "W_r", "W_h"
            for name in parts:
                setattr(self, name, group[name][()].astype(float))
            self.C, self.c = group["readout/C"][()].astype(float), group["readout/c"][()].astype(float)

    def step(self, h, w=(0.0, 0.0)):
        z = sigma(self.U_z @ h + self.W_z @ w + self.b_z)
        r = sigma(self.U_r @ h + self.W_r @ w + self.b_r)
        return (1 - z) * np.tanh(self.U_h @ (r * h) + self.W_h @ w + self.b_h) + z * h

    def forecast(self, w0, steps):
        h, found = self.step(np.zeros(2), w0), []
        for _ in range(steps):
            h = self.step(h)
            found.append(self.C @ h + self.c)
        return np.array(found)


@pytest.mark.parametrize(
    ("stem", "more"), [(FIG11, ("fhn", "line", "ring")), (FIG12, ("fhn", "ring", "noise_free"))]
)
def test_writes_its_files_and_no_others(stem, more, quick):
    _, _, folder = quick(stem)
    expected = {stem + end for end in (".h5", ".json", ".png")} | {f"{stem}_{name}.h5" for name in more}
    if stem == FIG12:
        expected |= {f"{FIG11}_{task}.h5" for task in ("fhn", "ring")}
    assert {path.name for path in folder.iterdir()} == expected
    picture = (folder / f"{stem}.png").read_bytes()
    assert picture[:8] == PNG
    assert len(picture) < 1e6


def test_fig11_forecasts_are_those_of_the_trained_networks(quick):
    _, found, folder = quick(FIG11)
    with opened(folder / f"{FIG11}.h5") as ds:
        for task in ("fhn", "line", "ring"):
            loop = Loop(folder / f"{FIG11}_{task}.h5", f"dim=2,seed={found[task]['drawn']}")
            with opened(folder / f"{FIG11}_{task}.h5") as data:
                start = data.test_truth.values[0, 0]
            ahead = loop.forecast(start, ds.sizes["step"])
            assert ds[f"{task}_forecast"].values == pytest.approx(ahead, abs=1e-6)


def test_fig11_places_held_are_counted_in_the_closed_loop(quick):
    _, found, folder = quick(FIG11)
    line = np.stack([np.zeros(101), np.linspace(-2, 2, 101)], axis=1)
    shares = []
    for seed in range(2):
        loop = Loop(folder / f"{FIG11}_line.h5", f"dim=2,seed={seed}")
        ends = np.array([loop.forecast(place, 29)[-1] for place in line])
        shares.append((np.linalg.norm(ends - line, axis=1) < 0.3).mean())
    assert found["line"]["share_of_places_held"][0] == pytest.approx(np.median(shares), abs=1e-12)
    assert found["line"]["steps"][0] == 29


def test_fig11_counts_every_network_once(quick):
    _, found, _ = quick(FIG11)
    for task in ("fhn", "line", "ring"):
        one = found[task]
        assert sum(one["topologies"].values()) + one["not_decided"] == one["networks"] == 2
    assert found["fhn"]["true_period"] == pytest.approx(36.9788 / 1.5, abs=1e-3)


def test_fig11_a_cycle_is_born_when_it_stays(quick):
    fig11, _, _ = quick(FIG11)
    has = np.array([[0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 0], [-1, 1, 1, 1]])
    ds = xr.Dataset(
        {
            "snapshot_n_stable_cycles": (("seed", "snapshot"), has),
            "snapshot_epoch": ("snapshot", [0, 1, 5, 9]),
        }
    )
    assert fig11.born(ds) == pytest.approx([5, 9, np.nan, 1], nan_ok=True)


def test_fig12_errors_are_those_of_the_files(quick):
    _, found, folder = quick(FIG12)
    for task in ("ring", "fhn"):
        with opened(folder / f"{FIG11}_{task}.h5") as two, opened(folder / f"{FIG12}_{task}.h5") as more:
            for ds, place in ((two, 0), (more, 1)):
                scale = {"training": 667 * 2, "held_out": 333 * 2}
                ends = {"training": ds.loss, "held_out": ds.test_loss}
                for name, curve in ends.items():
                    error = np.median(curve.values[0, :, -1]) / scale[name]
                    assert found[task][name]["median"][place]["median"] == pytest.approx(error, rel=1e-6)
    with opened(folder / f"{FIG12}.h5") as ds:
        assert ds.loss.dims == ("task", "dim", "seed", "epoch")
        for task in ds.task.values:
            axes = gs.plot.learning_curves(ds.sel(task=task), variable="test_loss")
            assert len(axes.lines) == 2 * (2 + 1)


def test_a_training_that_is_there_is_not_trained_again(quick):
    fig12, _, folder = quick(FIG12)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*_*_*.h5")}
    fig12.files(folder, True)
    assert before == {path.name: path.stat().st_mtime_ns for path in folder.glob("*_*_*.h5")}


@pytest.mark.parametrize(("count", "of"), [(0, 20), (16, 20), (20, 20), (3, 7)])
def test_the_interval_of_a_count_is_wilsons(count, of):
    found = module("learning").share(count, of)
    expected = binomtest(count, of).proportion_ci(method="wilson")
    assert found["interval"] == pytest.approx([expected.low, expected.high], abs=1e-12)


def test_medians_are_compared_by_their_quotient():
    random = np.random.default_rng(1)
    low, high = random.normal(1.0, 0.1, 20), random.normal(2.0, 0.1, 20)
    compared = module("intervals").compared
    assert [compared(*pair)["verdict"] for pair in ((high, low), (low, high))] == ["falls", "rises"]
    assert compared(low, random.permutation(low))["verdict"] == "undecided"
    one = compared(low, high)
    assert one["interval"][0] < one["quotient"] < one["interval"][1]
    assert one["quotient"] == pytest.approx(np.median(high) / np.median(low))


def test_the_floor_of_the_line_is_that_of_truncated_normals():
    data = tasks.draw("line", 3, series=40, held_out=1)
    deviation = np.sqrt(data.noise)
    seen = data.train[:, 0]
    mean = truncnorm.mean((-2 - seen) / deviation, (2 - seen) / deviation, loc=seen, scale=deviation)
    forecast = np.repeat(mean[:, None], 29, axis=1)
    forecast[..., 0] *= np.exp(-data.times[1:])
    expected = np.mean((data.train[:, 1:] - forecast) ** 2)
    assert module("floors")._of_observation(data, data.train, 61) == pytest.approx(expected, rel=1e-3)


def test_the_floor_of_a_noisy_current_is_the_variance_of_what_it_moves():
    def field(t, y, args):
        return -y + args * jax.numpy.array([1.0, 0.0])

    task = tasks.Task("leaky", field, (-1, -1), (1, 1), 0.5, noise=0.3, acts="current", args=0.2)
    data = tasks.draw(task, 0, series=400, held_out=1, points=12)
    variance, total = 0.0, 0.0
    for _ in range(11):
        variance = np.exp(-1.0) * variance + (1 - np.exp(-0.5)) ** 2 * data.noise
        total += variance
    floor = module("floors")._of_current(data, data.train, 8)
    assert floor == pytest.approx(total / 11 / 2, rel=0.08)
