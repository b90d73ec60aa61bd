"""The file that a training leaves: names, padding, flags, and that what it says of networks is so.

One training for all: sizes 2 and 3, two learning rates, of which no network survives the second.
"""

import json
import sys

import h5py
import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

from gru_sweep import cli
from gru_sweep.learning import course, dynamics
from gru_sweep.systems.weights import load
from gru_sweep.training import tasks

EPOCHS, SERIES = 12, 24
RATES = (0.01, 1e30)
SINGLE = 1e-5
"""Relative error of Eq 10 in single precision: sums of some thousand terms over 29 steps."""
AT_REST = 1e-10
"""Of a step from a fixed point: Newton's method ends at rounding errors."""
SOLVED = 1e-6
"""Relative error of forecast errors between two solvers of the true system, each good to 1e-9 a step."""
EXACT = 1e-12
"""Two float64 evaluations of one formula, in another order."""
NAMES = (
    *("train", "test", "test_truth", "time", "loss", "gradient_norm", "test_loss", "diverged", "status"),
    *("n_fixed_points", "n_sinks", "n_sources", "n_saddles", "n_stable_cycles", "n_unstable_cycles"),
    *("frequency", "period", "fixed_point", "fixed_point_output", "eigenvalue", "multiplier", "kind"),
    *("kind_map", "n_unstable", "n_unstable_map", "map_class", "map_orbit", "map_orbit_output", "flow_class"),
    *("slow_span", "slow_length", "forecast_error", "forecast_horizon", "phase_error", "cycle_distance"),
    *("topology", "topology_class", "snapshot_epoch", "snapshot_topology", "snapshot_status", "settings"),
)
ATTRIBUTES = (
    *("Conventions", "title", "history", "gru_sweep_version", "git_commit", "command", "equation", "measure"),
    *("precision", "jax_version", "device", "seed", "created", "seconds", "tolerance", "task", "noise"),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    place = tmp_path_factory.mktemp("training") / "fhn.h5"
    options = {"dim": (2, 3), "seeds": 1, "epochs": EPOCHS, "series": SERIES, "learning_rate": RATES}
    course.execute(course.plan("fhn", out=place, **options))
    return place


@pytest.fixture(scope="module")
def data(path):
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        yield opened.load()


@pytest.fixture(scope="module")
def tree(path):
    with xr.open_datatree(path, engine="h5netcdf") as opened:
        yield opened.load()


def name(size):
    return f"dim={size},seed=0,learning_rate=0.01"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(parts, h, w=None):
    """Eqs 2-4 for states (n, d), in float64, with input or without."""
    U = {k: parts[f"U_{k}"].values.astype(float) for k in "zrh"}
    W = {k: parts[f"W_{k}"].values.astype(float) for k in "zrh"}
    b = {k: parts[f"b_{k}"].values.astype(float) for k in "zrh"}
    given = {k: 0 if w is None else w @ W[k].T for k in "zrh"}
    z, r = (sigmoid(h @ U[k].T + given[k] + b[k]) for k in "zr")
    n = np.tanh((r * h) @ U["h"].T + given["h"] + b["h"])
    return (1 - z) * n + z * h


def forecast(parts, readout, w0, steps):
    """(n, steps, 2)"""
    h, found = step(parts, np.zeros((len(w0), parts.U_h.shape[0])), w0), []
    for _ in range(steps):
        h = step(parts, h)
        found.append(output(readout, h))
    return np.stack(found, axis=1)


def output(readout, h):
    return h @ readout.C.values.astype(float).T + readout.c.values.astype(float)


def eq_10(parts, series):
    found = forecast(parts, parts, series[:, 0], series.shape[1] - 1)
    return ((found - series[:, 1:]) ** 2).sum() / found.shape[1]


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_every_promised_name_is_there_for_every_reader(path, engine):
    with xr.open_dataset(path, engine=engine) as opened:
        assert set(NAMES) <= set(opened.variables)
        assert set(ATTRIBUTES) <= set(opened.attrs)
        assert opened.attrs["complete"] == 1
        assert opened.loss.dims == ("dim", "seed", "learning_rate", "epoch")
        assert opened.sizes["epoch"] == EPOCHS
        assert json.loads(opened.settings.item())["epochs"] == EPOCHS
    with xr.open_datatree(path, engine=engine) as opened:
        rates = ("0.01", "1e+30")
        assert set(opened.children) == {f"dim={d},seed=0,learning_rate={r}" for d in (2, 3) for r in rates}
    with h5py.File(path) as file:
        assert file[f"{name(2)}/U_h"].shape == (2, 2)
        assert "checkpoint" not in file


def test_flags_have_meanings_and_integers_no_fill_value(path):
    with h5py.File(path) as file:
        for variable in file.values():
            if isinstance(variable, h5py.Dataset) and variable.dtype.kind == "i":
                assert "_FillValue" not in variable.attrs, variable
            if isinstance(variable, h5py.Dataset) and "flag_values" in variable.attrs:
                values = variable.attrs["flag_values"]
                assert len(values) == len(variable.attrs["flag_meanings"].split())
                assert values.dtype == variable.dtype, variable
                assert np.isin(variable[()], values).all(), variable
        flagged = {one for one in file if "flag_values" in file[one].attrs}
    assert {"status", "kind", "kind_map", "map_class", "flow_class", "topology", "snapshot_status"} <= flagged


def test_smaller_networks_are_padded(data):
    two, three = (data.sel(dim=d, learning_rate=0.01).isel(seed=0) for d in (2, 3))
    for one, d in ((two, 2), (three, 3)):
        count = int(one.n_fixed_points)
        assert count >= 1
        assert one.fixed_point[:count, :d].notnull().all()
        assert one.fixed_point[count:].isnull().all()
        assert one.fixed_point[:, d:].isnull().all()
        assert (one.kind[:count] >= 0).all()
        assert (one.kind[count:] == -1).all()
    assert (three.topology, three.n_stable_cycles) == (-1, -1)
    assert np.isnan(three.period)
    assert two.topology >= 0


def test_counts_are_of_the_kinds(data):
    for d in (2, 3):
        one = data.sel(dim=d, learning_rate=0.01).isel(seed=0)
        unstable = one.n_unstable.values[: int(one.n_fixed_points)]
        assert one.n_sinks == (unstable == 0).sum()
        assert one.n_sources == (unstable == d).sum()
        assert one.n_saddles == ((unstable > 0) & (unstable < d)).sum()
        inside = np.hypot(one.multiplier[..., 0], one.multiplier[..., 1]).values[: len(unstable), :d]
        np.testing.assert_array_equal(one.n_unstable_map[: len(unstable)], (inside > 1).sum(axis=1))


def test_a_diverged_network_is_failed_and_the_others_go_on(data, tree):
    lost, others = data.sel(learning_rate=1e30), data.sel(learning_rate=0.01)
    assert (lost.status == 3).all()
    assert (lost.diverged >= 0).all()
    assert (lost.n_fixed_points == -1).all()
    assert lost.forecast_error.isnull().all()
    assert (lost.snapshot_status == -1).all()
    assert (others.status != 3).all()
    assert (others.diverged == -1).all()
    assert others.loss.notnull().all()
    assert np.isfinite(tree["dim=2,seed=0,learning_rate=1e+30/U_h"].values).all()


@pytest.mark.parametrize("d", [2, 3])
def test_losses_are_eq_10_of_the_stored_data_and_networks(data, tree, d):
    snapshots = tree[f"{name(d)}/snapshots"].to_dataset()
    one = data.sel(dim=d, learning_rate=0.01).isel(seed=0)
    for k, epoch in enumerate(data.snapshot_epoch.values[:-1]):
        parts = snapshots.isel(snapshot=k)
        assert one.loss.sel(epoch=epoch) == pytest.approx(eq_10(parts, data.train.values), rel=SINGLE)
        if epoch in data.test_epoch:
            held_out = one.test_loss.sel(test_epoch=epoch)
            assert held_out == pytest.approx(eq_10(parts, data.test.values), rel=SINGLE)
    assert data.snapshot_epoch.values[[0, -1]].tolist() == [0, EPOCHS]
    last, cell, readout = snapshots.isel(snapshot=-1), tree[name(d)], tree[f"{name(d)}/readout"]
    for part in [one for one in last.data_vars if one not in ("C", "c")]:
        np.testing.assert_array_equal(last[part], cell[part])
    np.testing.assert_array_equal(last.C, readout.C)
    np.testing.assert_array_equal(last.c, readout.c)


@pytest.mark.parametrize("d", [2, 3])
def test_a_member_loads_as_the_network_that_was_trained(path, tree, d):
    cell = load(path, name(d))
    assert cell.reset == "before"
    for part in ("U_h", "U_z", "U_r", "b_z", "b_r", "b_h", "W_z", "W_r", "W_h"):
        np.testing.assert_array_equal(np.asarray(getattr(cell, part)), tree[name(d)][part])
    assert load(path, f"seed=0,learning_rate=0.01,dim={d}").dimension == d


@pytest.mark.parametrize("d", [2, 3])
def test_fixed_points_rest_and_multipliers_are_one_more_than_eigenvalues(data, tree, d):
    one, cell = data.sel(dim=d, learning_rate=0.01).isel(seed=0), tree[name(d)].to_dataset()
    count = int(one.n_fixed_points)
    h = one.fixed_point.values[:count, :d]
    np.testing.assert_allclose(step(cell, h), h, atol=AT_REST)
    readout = tree[f"{name(d)}/readout"]
    np.testing.assert_allclose(one.fixed_point_output[:count], output(readout, h), atol=EXACT)
    np.testing.assert_allclose(one.multiplier[:count, :d, 0] - one.eigenvalue[:count, :d, 0], 1, atol=EXACT)
    np.testing.assert_array_equal(one.multiplier[..., 1], one.eigenvalue[..., 1])
    columns = [(step(cell, h[:1] + e) - step(cell, h[:1] - e))[0] / 2e-6 for e in 1e-6 * np.eye(d)]
    expected = np.linalg.eigvals(np.stack(columns, axis=-1))
    found = one.multiplier.values[0, :d] @ [1, 1j]
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(expected), atol=1e-8)
    for of in ("map", "flow"):
        orbit, read = one[f"{of}_orbit"].values[0, :, :d], one[f"{of}_orbit_output"].values[0]
        there = np.isfinite(orbit).all(axis=1)
        assert there.any()
        np.testing.assert_allclose(read[there], output(readout, orbit[there]), atol=EXACT)
        assert np.isnan(read[~there]).all()


def test_forecast_errors_are_against_the_true_system(data, tree):
    starts = data.test_truth.values[:, 0]
    times = float(data.attrs["step"]) * np.arange(1, 91)

    def field(t, y):
        x, recovery = y.reshape(2, -1)
        return np.concatenate([x - x**3 / 3 - recovery + 0.7, (x + 0.7 - 0.8 * recovery) / 12.5])

    solved = solve_ivp(field, (0, times[-1]), starts.T.ravel(), "DOP853", times, rtol=1e-9, atol=1e-9)
    truth = np.moveaxis(solved.y.reshape(2, len(starts), -1), 0, -1)
    for d in (2, 3):
        found = forecast(tree[name(d)], tree[f"{name(d)}/readout"], data.test.values[:, 0], 90)
        error = np.sqrt(((found - truth) ** 2).sum(-1).mean(0))
        one = data.sel(dim=d, learning_rate=0.01).isel(seed=0)
        np.testing.assert_allclose(one.forecast_error, error, rtol=SOLVED)
    assert data.horizon.values.tolist() == list(range(1, 91))


def test_portrait_of_a_member_has_the_topology_of_the_file(path, data, monkeypatch, capsys):
    arguments = ["portrait", "--weights", str(path), "--member", name(2), "--json", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["gru-sweep", *arguments])
    assert cli.main() == 0
    about = json.loads(capsys.readouterr().out)
    one = data.sel(dim=2, learning_rate=0.01).isel(seed=0)
    assert about["topology"] == data.topology_class.values[int(one.topology)]
    assert len(about["fixed_points"]) == one.n_fixed_points
    for arguments, message in (
        (["--weights", str(path), "--member", "dim=4,seed=0"], "dim=2,seed=0"),
        (["--member", name(2)], "--member: expected --weights FILE with it"),
        (["--weights", str(path)], "got nothing"),
    ):
        monkeypatch.setattr(sys, "argv", ["gru-sweep", "portrait", *arguments])
        assert cli.main() == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert message in err


def test_topologies_of_snapshots_end_with_the_networks_own(data):
    two = data.sel(dim=2, learning_rate=0.01)
    np.testing.assert_array_equal(two.snapshot_topology.isel(snapshot=-1), two.topology)
    np.testing.assert_array_equal(two.snapshot_status.isel(snapshot=-1), two.status)
    assert data.topology_class.values.tolist() == sorted(set(data.topology_class.values))


def test_a_truth_that_leaves_or_turns_between_samples_is_not_followed():
    """y' = y^2 is bounded for the data, not for the horizon; a turn within four samples cannot be seen."""

    def leaving(t, y, args):
        return y**2

    slow = tasks.Task(name="slow", field=leaving, lower=(-1.0, -1.0), upper=(0.3, 0.3), step=0.1)
    seen = tasks.draw(slow, 0, series=4, held_out=40)
    truth = dynamics.Truth.of(seen)
    assert 0 < len(truth.observed) < 40
    assert np.isfinite(truth.held_out).all()
    assert truth.cycle is None
    coarse = tasks.draw("fhn", 0, series=1, held_out=2, points=3, step=10.0)
    assert dynamics.Truth.of(coarse).cycle is None
