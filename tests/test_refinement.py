"""Refined sweeps from a function to a file: what readers find, what interruptions leave, what is refused."""

import json
import sys
from pathlib import Path

import h5py
import jaxtyping
import netCDF4
import numpy as np
import pytest
import scipy.stats
import xarray as xr

import gru_sweep as gs
from gru_sweep import cli, plotting, studies
from gru_sweep.records import Column, InputError, Status
from gru_sweep.sweeps import layout, refinement
from gru_sweep.sweeps.engines.local import Local
from gru_sweep.sweeps.grid import Axis, Grid
from gru_sweep.sweeps.images import image
from gru_sweep.sweeps.points import FineGrid
from gru_sweep.sweeps.schema import Labeller
from gru_sweep.sweeps.store import describe, open_dataset
from gru_sweep.sweeps.sweep import Interrupted
from gru_sweep.sweeps.verdicts import Sample, clopper_pearson, wrong_share
from stand_in import StuartLandau
from stopping import Stopping
from test_store import flipped, inside
from test_sweep import Many

COLUMNS = (
    Column("status", (), (), np.dtype("i1"), "status", "1", Status),
    Column("n_sinks", (), (), np.dtype("i2"), "sinks", "1"),
    Column("height", (), (), np.dtype("f8"), "height", "m"),
    Column("root", ("slot",), (3,), np.dtype("f4"), "roots", "1"),
)
LABELLER = Labeller(
    "topology", ("status", "n_sinks"), lambda v: np.where(v["status"] == 0, v["n_sinks"].astype(str), "")
)
LEVELS = 3


def grid(n=5, m=9):
    return Grid((Axis("x", np.linspace(-1, 1, n), "a long x", "rad"), Axis("y", np.geomspace(1, 16, m))))


def evaluate(at):
    """One sink left of a curve, two right of it; a corner unresolved, and points near the curve said so."""
    x, y = at["x"], np.log2(at["y"]) / 2 - 1
    gap = x + 0.4 * y * y - 0.1
    status = np.select(
        [(x < -0.7) & (y > 0.6), np.abs(gap) < 0.02], [Status.UNRESOLVED, Status.NEAR_BIFURCATION], 0
    )
    sinks = np.where(gap < 0, 1, 2)
    height = np.where(sinks == 1, np.nan, 2 * at["x"] + 3 * at["y"])
    return {
        "status": status.astype("i1"),
        "n_sinks": np.where(status == Status.UNRESOLVED, -1, sinks).astype("i2"),
        "height": height,
        "root": np.stack([x, np.where(sinks == 2, y, np.nan), np.full_like(x, np.nan)], 1).astype("f4"),
    }


def uniform(at):
    """Everywhere ok, with one sink."""
    one = np.ones(len(at["x"]))
    return {
        "status": np.zeros(one.shape, "i1"),
        "n_sinks": one.astype("i2"),
        "height": one,
        "root": np.ones((*one.shape, 3), "f4"),
    }


def run(path, function=evaluate, of=None, **options):
    given = {
        "fingerprint": {"family": "toy"},
        "attributes": {"title": "a toy"},
        "chunk": 100,
        "labeller": LABELLER,
        "levels": LEVELS,
        "seed": 1,
        **options,
    }
    return refinement.run(Local([function]), of or grid(), COLUMNS, path, **given)


def dense(of=None, levels=LEVELS):
    """Every point of the finest grid, each column with the grid's shape."""
    axes = FineGrid(of or grid(), levels).axes
    at = dict(
        zip("xyz", (a.ravel() for a in np.meshgrid(*(a.values for a in axes), indexing="ij")), strict=False)
    )
    shape = tuple(axis.size for axis in axes)
    return {name: values.reshape(shape + values.shape[1:]) for name, values in evaluate(at).items()}


def contents(path):
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file if name != "configuration"}


def assert_same(path, other):
    a, b = contents(path), contents(other)
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "map.h5"
    return run(path), path


# ---------------------------------------------------------------- what readers find


@pytest.mark.parametrize("level", range(LEVELS + 1))
def test_images_of_all_levels_are_the_dense_map(plain, level):
    whole, step = dense(), 2 ** (LEVELS - level)
    with open_dataset(plain[1]) as ds:
        for name in ("status", "n_sinks"):
            made = image(ds, name, level)
            np.testing.assert_array_equal(made, whole[name][::step, ::step], err_msg=name)
            assert made.dtype == whole[name].dtype
        height = image(ds, "height", level)
        np.testing.assert_array_equal(np.isnan(height), np.isnan(whole["height"][::step, ::step]))
        assert (height.dims, height.attrs["units"]) == (("x", "y"), "m")
        fine = FineGrid(grid(), LEVELS).axes
        for axis in fine:
            np.testing.assert_array_equal(height[axis.name], axis.values[::step])
        assert image(ds, "root", level).shape == (*height.shape, 3)
    assert plain[0].points < 0.75 * plain[0].effective_points


def test_floats_are_multilinear_between_points_that_were_computed(path):
    def flat(at):
        return uniform(at) | {"height": 1 + 2 * at["x"] - 3 * at["y"] + at["x"] * at["y"]}

    run(path, flat, Grid((Axis("x", np.arange(5.0)), Axis("y", np.arange(3.0)))), levels=6)
    with open_dataset(path) as ds:
        assert ds.attrs["evaluations"] < 0.2 * ds.attrs["effective_points"]
        made = image(ds, "height")
        np.testing.assert_allclose(made, 1 + 2 * made.x - 3 * made.y + made.x * made.y, atol=1e-12)


def test_the_file_is_plain_netcdf_with_points_and_leaves(plain):
    summary, path = plain
    with xr.open_dataset(path, engine="h5netcdf") as ds:
        assert set(ds.height.coords) == {"point", "x", "y"}
        assert ds.height.dims == ds.x.dims == ds.x_index.dims == ("point",)
        assert ds.sizes["point"] == summary.points == ds.attrs["evaluations"]
        assert ds.sizes["leaf"] == summary.leaves == ds.attrs["leaves"]
        assert ds.x.attrs == {"long_name": "a long x", "units": "rad"}
        values = evaluate({"x": ds.x.values, "y": ds.y.values})
        for name in values:
            np.testing.assert_array_equal(ds[name], values[name], err_msg=name)
        axes = FineGrid(grid(), LEVELS).axes
        np.testing.assert_array_equal(ds.x, axes[0].values[ds.x_index])
        np.testing.assert_array_equal(ds.y, axes[1].values[ds.y_index])
        assert ds.topology_class.values.tolist() == ["1", "2"]
        words = np.append(ds.topology_class.values, "")[ds.topology.values]
        np.testing.assert_array_equal(words, LABELLER.function(values))
        corner = ds.leaf_point.values
        np.testing.assert_array_equal(ds.x_index.values[corner], ds.leaf_x_index)
        np.testing.assert_array_equal(ds.y_index.values[corner], ds.leaf_y_index)
        assert ds.attrs["share"] == summary.points / summary.effective_points
    with netCDF4.Dataset(path) as file:
        assert file["root"].dimensions == ("point", "slot")
        assert file["leaf_state"].flag_meanings == "not_computed uniform pixel stopped"
    about = describe(path)
    assert (about["shape"], about["points"], about["done"]) == ([33, 65], summary.points, summary.points)
    assert about["axes"]["y"]["last"] == 16
    assert about["counts"] == summary.counts


def test_stopped_leaves_read_as_unresolved(path):
    values = np.random.default_rng(0).random((129, 129)) < 0.4
    of = Grid((Axis("x", np.arange(5) * 32.0), Axis("y", np.arange(5) * 32.0)))

    def scattered(at):
        status = np.where(values[at["x"].astype(int), at["y"].astype(int)], Status.UNRESOLVED, Status.OK)
        return uniform(at) | {"status": status.astype("i1")}

    run(path, scattered, of, levels=5)
    with open_dataset(path) as ds:
        assert (ds.leaf_state == 2).any()
        status, sinks = image(ds, "status").values, image(ds, "n_sinks").values
        own = np.zeros(values.shape, bool)
        own[ds.x_index, ds.y_index] = True
        np.testing.assert_array_equal(status[own] == Status.UNRESOLVED, values[own])
        assert np.mean(status == Status.UNRESOLVED) > 0.6
        assert (sinks[~own & (status == Status.UNRESOLVED)] == -1).all()
        assert ds.attrs["share"] < 0.5


@pytest.mark.parametrize(
    ("values", "geometric", "expected"),
    [
        ([0.0, 1.0, 2.0], False, np.linspace(0, 2, 9)),
        ([3.0, 1.0], False, np.linspace(3, 1, 5)),
        ([1.0, 16.0], True, np.geomspace(1, 16, 5)),
        (np.geomspace(0.1, 10, 3), False, np.geomspace(0.1, 10, 9)),
        ([0.0, 1.0, 5.0], False, [0, 0.25, 0.5, 0.75, 1, 2, 3, 4, 5]),
    ],
)
def test_axes_are_refined_in_their_own_spacing(values, geometric, expected):
    axis = Axis("x", np.array(values), geometric=geometric)
    np.testing.assert_array_equal(axis.refined(2).values, expected)
    assert Axis.parse("x=log:1:16:2").refined(1).values[1] == pytest.approx(4)


# ---------------------------------------------------------------- how it comes about


def test_the_chunk_changes_nothing_nor_do_threads_and_shards(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "MAX_SHARDS", 3)
    for name, chunk in (("a.h5", 17), ("b.h5", 10_000)):
        run(tmp_path / name, Many(evaluate, 3), chunk=chunk)
        assert_same(tmp_path / name, plain[1])


def test_what_slips_between_the_corners_is_found_by_the_sample_and_said(path):
    def strip(at):
        inside = np.abs(at["x"] - 0.09 - 0.02 * at["y"]) < 1 / 128
        return uniform(at) | {"n_sinks": (1 + inside).astype("i2")}

    of = Grid((Axis("x", np.linspace(0, 1, 9)), Axis("y", np.linspace(0, 1, 9))))
    summary = run(path, strip, of, levels=4)
    with open_dataset(path) as ds:
        made = image(ds, "n_sinks")
        truth = strip({name: made[name].broadcast_like(made).values.ravel() for name in "xy"})["n_sinks"]
        np.testing.assert_array_equal(made.values.ravel(), truth)
        assert (truth == 2).any()
        about = ds.attrs
    assert about["evaluations"] < 0.3 * about["effective_points"]
    assert about["samples"] >= 2
    assert about["samples_wrong"] > about["sample_wrong"] == 0
    assert about["sample_seed"] == 1
    last = Sample(int(about["sample_points"]), 0)
    assert summary.wrong_share == about["wrong_share_bound"] == wrong_share([last] * about["samples"])


def test_the_bound_is_clopper_and_pearsons():
    for found, size in ((0, 1), (0, 300), (1, 300), (7, 20), (299, 300), (5, 5)):
        exact = scipy.stats.beta.ppf(0.975, found + 1, size - found) if found < size else 1.0
        assert clopper_pearson(found, size, 0.025) == pytest.approx(exact, rel=1e-10)
    assert wrong_share([Sample(300, 0)]) == pytest.approx(1 - 0.025 ** (1 / 300))
    assert wrong_share([Sample(300, 4), Sample(300, 0)]) == pytest.approx(1 - 0.0125 ** (1 / 300))


@pytest.mark.parametrize("after", [2, 7])
def test_an_unfinished_file_is_read_and_gone_on_with(plain, path, after):
    stop = Stopping(evaluate, after)
    with pytest.raises(Interrupted, match=r"points are safe in .*map.h5; .*--resume") as stopped:
        run(path, stop.function, stop=stop)
    about = describe(path)
    assert about["done"] == stopped.value.safe > 0
    assert not about["complete"]
    with open_dataset(path) as ds:
        status = ds.status.values
        assert np.sum(status >= 0) == stopped.value.safe
        assert ds.x.dims == ds.height.dims
        made = image(ds, "status", 0).values
        whole = dense()["status"][:: 2**LEVELS, :: 2**LEVELS]
        assert ((made == whole) | (made == -1)).all()
    plotting.save(path, path.with_suffix(".png"), "n_sinks")
    assert run(path, resume=True).computed == plain[0].points - stopped.value.safe
    assert_same(path, plain[1])
    assert f"resumed with {stopped.value.safe} of" in describe(path)["attributes"]["history"]
    assert sorted(p.name for p in path.parent.iterdir()) == ["map.h5", "map.png"]


@pytest.mark.parametrize("after", [2, 4])
def test_what_is_overwritten_stays_until_the_first_block_is_safe(plain, path, after):
    """Also in a first round of several blocks: what is said to be safe is gone on with."""
    path.write_bytes(plain[1].read_bytes())
    with pytest.raises(Interrupted, match="none of") as stopped:
        run(path, (stop := Stopping(evaluate, 0)).function, stop=stop, seed=2, overwrite=True)
    assert stopped.value.safe == 0
    assert path.read_bytes() == plain[1].read_bytes()
    stop = Stopping(evaluate, after)
    with pytest.raises(Interrupted) as stopped:
        run(path, stop.function, of=grid(11, 9), chunk=20, stop=stop, overwrite=True)
    assert stopped.value.safe == describe(path)["done"] == (40 if after == 2 else 80)
    summary = run(path, of=grid(11, 9), chunk=20, resume=True)
    assert summary.computed == summary.points - stopped.value.safe
    run(path.with_name("plain.h5"), of=grid(11, 9))
    assert_same(path, path.with_name("plain.h5"))
    assert sorted(p.name for p in path.parent.iterdir()) == ["map.h5", "plain.h5"]


@pytest.mark.parametrize("how", ["truncated", "flipped"])
def test_a_damaged_round_is_computed_again(plain, path, how):
    stop = Stopping(evaluate, 4)
    with pytest.raises(Interrupted):
        run(path, stop.function, stop=stop)
    safe = describe(path)["done"] - grid().size
    (first,) = path.with_name("map.h5.parts").glob("*-000.h5")
    if how == "truncated":
        first.write_bytes(first.read_bytes()[:-3000])
    else:
        flipped(first, inside(first, "n_sinks"))
    assert run(path, resume=True).computed == plain[0].points - safe
    assert_same(path, plain[1])


@pytest.mark.parametrize("lost", ["map.h5", "*-001.h5"])
def test_a_lost_index_costs_nothing(plain, path, lost):
    """That of the file, or of the round that was being written."""
    stop = Stopping(evaluate, 3)
    with pytest.raises(Interrupted) as stopped:
        run(path, stop.function, stop=stop, chunk=40)
    (index,) = path.parent.rglob(lost)
    index.unlink()
    assert run(path, resume=True, chunk=40).computed == plain[0].points - stopped.value.safe
    assert_same(path, plain[1])
    assert [p.name for p in path.parent.iterdir()] == ["map.h5"]


def test_a_finished_file_is_left_alone(plain):
    before = plain[1].read_bytes()
    summary = run(plain[1], lambda at: pytest.fail("nothing is missing"), resume=True)
    assert (summary.computed, summary.points, summary.counts) == (0, plain[0].points, plain[0].counts)
    assert (summary.leaves, summary.wrong_share) == (plain[0].leaves, plain[0].wrong_share)
    assert plain[1].read_bytes() == before


# ---------------------------------------------------------------- what is refused


ROOT = {"x": [0.0, 1.0], "y": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("levels", "axes", "message"),
    [
        (0, ROOT, "--refine: expected a number of levels from 1 to 16, got 0"),
        (17, ROOT, "from 1 to 16, got 17"),
        (True, ROOT, "from 1 to 16, got True"),
        (2.0, ROOT, "from 1 to 16, got 2.0"),
        (3, ROOT | {"z": [1.0]}, "axes of at least 2 values, got z with 1 value"),
        (3, ROOT | {"z": [1.0, 3.0, 2.0]}, "axes that rise or fall, got z with values in no order"),
        (3, ROOT | {"z": [0.0, 1.0], "w": [0.0, 1.0]}, "at most 3 axes, got 4"),
        (16, {"x": np.arange(1e4)}, "at most 100000000 values along x, got 655294465"),
        (16, {name: np.arange(1e3) for name in "xyz"}, "points to start from, got 1000000000"),
        (16, {name: np.arange(1e2) for name in "xyz"}, "points at the last level"),
    ],
)
def test_what_cannot_be_refined_is_refused_before_any_work(path, monkeypatch, levels, axes, message):
    # Users have no type checker at run time; the tests' own would come first.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    of = Grid(tuple(Axis(name, np.array(values)) for name, values in axes.items()))
    with pytest.raises(InputError, match=message):
        run(path, lambda at: pytest.fail("work"), of, levels=levels)
    assert not any(path.parent.iterdir())


def test_another_refinement_does_not_go_on_with_a_file(plain, path):
    stop = Stopping(evaluate, 1)
    with pytest.raises(Interrupted):
        run(path, stop.function, stop=stop)
    for changes, message in (
        ({"levels": 4}, "refine = 4, got refine = 3"),
        ({"seed": 2}, "sample_seed = 2"),
        ({"chunk": 50}, "--chunk: expected 100"),
        ({"resume": False}, "which exists"),
    ):
        with pytest.raises(InputError, match=message):
            run(path, **{"resume": True, **changes})


def test_names_that_the_file_needs_are_refused(path):
    engine = Local([evaluate])
    for name in ("point", "x_root", "leaf_level", "x"):
        odd = (*COLUMNS, Column(name, (), (), np.dtype("f8"), "odd", "1"))
        with pytest.raises(ValueError, match=name):
            refinement.run(
                engine, grid(), odd, path, levels=1, seed=0, fingerprint={}, attributes={}, chunk=9
            )
    with pytest.raises(ValueError, match="status"):
        refinement.run(
            engine, grid(), COLUMNS[1:], path, levels=1, seed=0, fingerprint={}, attributes={}, chunk=9
        )


def test_what_is_no_image_is_refused(plain):
    with open_dataset(plain[1]) as ds:
        for arguments, message in (
            ((ds, "heigth"), "variable: expected one of .*'height'"),
            ((ds, "leaf_level"), "variable"),
            ((ds, "status", 4), "level: expected a level from 0 to 3, got 4"),
            ((ds, "status", True), "level: .*got True"),
            ((ds.drop_dims("point"), "status"), "ds: expected the Dataset of a refined file"),
        ):
            with pytest.raises(InputError, match=message):
                image(*arguments)
        with pytest.raises(InputError, match="data: expected the Dataset of a refined sweep"):
            plotting.heatmap(ds.n_sinks)


# ---------------------------------------------------------------- the command line and the real thing


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["gru-sweep", *arguments])
        status = cli.main()
        return status, *capsys.readouterr()

    return call


RUN = ("run", "hopf", "--axis", "alpha=-1:1:9", "--axis", "beta=1:3:5", "--out", "x.h5")


def test_the_command_line(call, monkeypatch):
    monkeypatch.setattr(studies, "evaluator", StuartLandau)
    status, out, err = call(*RUN, "--refine", "3", "--json", "--plot", "x.png")
    assert status == 0, err
    about = json.loads(out)
    assert about["levels"] == 3
    assert about["effective_points"] == 65 * 33
    assert about["evaluations"] == about["points"] == about["computed"] < 65 * 33
    assert about["share"] == about["evaluations"] / about["effective_points"]
    assert "level 0 of 3" in err
    assert Path("x.png").stat().st_size > 1000
    with gs.open("x.h5") as ds:
        assert ds.sizes["leaf"] == about["leaves"]
        made = image(ds, "frequency")
        np.testing.assert_allclose(made.sel(alpha=-1), made.beta / (2 * np.pi))
        assert made.sel(alpha=slice(0, 1)).isnull().all()
        assert (image(ds, "status").sel(alpha=1) == Status.UNRESOLVED).all()
    status, out, _ = call("info", "x.h5")
    assert status == 0
    assert "65 values" in out
    assert call(*RUN, "--refine", "3", "--resume")[0] == 0
    assert call("plot", "x.h5", "--variable", "topology", "--out", "y.pdf")[0] == 0
    status, out, err = call("plot", "x.h5", "--variable", "leaf_level", "--out", "z.png")
    assert (status, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("levels", ["0", "17", "-1", "2.5", "many"])
def test_levels_out_of_range_are_refused_in_a_line(call, levels):
    status, out, err = call(*RUN, "--refine", levels)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "--refine: expected" in err
    assert not any(Path().iterdir())


def test_whole_numbers_have_nothing_between_them(call):
    status, _, err = call("run", "random", "--axis", "index=0:9:10", "--refine", "2", "--out", "x.h5")
    assert (status, err.count("\n")) == (2, 1)
    assert "index" in err


def test_the_hopf_plane_refined_is_the_hopf_plane():
    plane = {"alpha": (0, 0.9), "beta": (1.9, 3)}
    refined = gs.sweep("hopf", **{name: (*ends, 9) for name, ends in plane.items()}, refine=3, chunk=1024)
    whole = gs.sweep("hopf", **{name: (*ends, 65) for name, ends in plane.items()}, chunk=1024)
    assert list(refined.topology_class.values) == list(whole.topology_class.values)
    for name in ("status", "topology", "n_fixed_points", "n_stable_cycles"):
        np.testing.assert_array_equal(image(refined, name), whole[name], err_msg=name)
    own = whole.frequency.values[refined.alpha_index, refined.beta_index]
    np.testing.assert_array_equal(refined.frequency, own)
    assert refined.attrs["evaluations"] < 0.6 * whole.frequency.size
    assert refined.attrs["samples_wrong"] == 0
