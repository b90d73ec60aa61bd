"""`gru-sweep train`: what it says where, what it refuses, and that a stopped training ends as a whole one.

The networks are trained truly, and read by a stand-in.
"""

import errno
import functools
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax
import pytest
import xarray as xr

import gru_sweep as gs
import taught
from gru_sweep.learning import archive, course, dynamics, reading, school
from gru_sweep.records import InputError
from gru_sweep.sweeps import atomic, lock
from gru_sweep.systems.weights import load
from gru_sweep.training.tasks import Task

ROOT = Path(__file__).resolve().parent.parent
EPOCHS = 60
TRAIN = ["train", "line", "--dim", "2,3", "--seeds", "2", "--epochs", EPOCHS, "--series", "20"]
OPTIONS = {"dim": (2, 3), "seeds": 2, "epochs": EPOCHS, "series": 20}
PER_RUN = {"command", "created", "history", "seconds", "_NCProperties"}
"""Attributes that tell of a run, and do not decide values."""
HUGE = "1e30"
"""A learning rate no float32 survives: the loss squares it."""


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    monkeypatch.setattr(dynamics, "read", taught.read)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The file of a training that nothing stopped."""
    path = tmp_path_factory.mktemp("whole") / "whole.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamics, "read", taught.read)
        course.execute(course.plan("line", out=path, **OPTIONS))
    return path


@pytest.fixture
def half(monkeypatch, tmp_path):
    """An unfinished file in the test's folder."""

    class After:
        requested = property(lambda self: True)

    path = tmp_path / "x.h5"
    with pytest.raises(KeyboardInterrupt):
        course.execute(course.plan("line", out=path, **OPTIONS), stop=After())
    return path


def asked(*flags):
    """`TRAIN` with other values for some of its flags, or more of them."""
    given = dict(zip(TRAIN[2::2], TRAIN[3::2]))
    single = [flag for flag in flags if flag in ("--resume", "--overwrite", "--json")]
    rest = [flag for flag in flags if flag not in single]
    given |= dict(zip(rest[::2], rest[1::2], strict=True))
    return [*TRAIN[:2], *(word for pair in given.items() for word in pair), *single]


def everything(path):
    """Every value and every attribute of a file, but for what tells of a run."""
    found = {}
    with h5py.File(path) as file:
        found |= {name: file.attrs[name] for name in file.attrs if name not in PER_RUN}
        file.visititems(
            lambda name, node: found.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None
        )
    return found


def same(one, other):
    """Bit for bit."""
    one, other = everything(one), everything(other)
    assert set(one) == set(other)
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_train_says_what_it_does_and_prints_a_table(gru_sweep, tmp_path):
    status, out, err = gru_sweep(*TRAIN, "--out", "x.h5", "--plot", "x.png")
    assert status == 0, err
    assert out.startswith("x.h5: 4 networks\n  ok ")
    assert re.search(r"^  2 units +\d+\.?\d*$", out, re.M)
    assert f"0/{4 * EPOCHS} epochs (0 %)" in err
    assert f"{4 * EPOCHS}/{4 * EPOCHS} epochs (100 %)" in err
    assert "mean square error" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.h5", "x.png"]
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_one_object_and_quiet_is_quiet(gru_sweep):
    status, out, err = gru_sweep(*TRAIN, "--out", "x.h5", "--json", "--quiet")
    assert (status, err, out.count("\n")) == (0, "", 1)
    about = json.loads(out)
    assert (about["file"], about["points"], about["epochs"]) == ("x.h5", 4, 4 * EPOCHS)
    assert about["counts"] == {"not_computed": 0, "ok": 4} | dict.fromkeys(
        ("unresolved", "near_bifurcation", "failed"), 0
    )
    assert about["points_per_second"] == pytest.approx(about["epochs_per_second"] / EPOCHS)
    assert about["seconds"] > about["compile_seconds"] >= 0
    assert about["device"]
    assert set(about["final_loss"]) == {"2", "3"}


def test_a_toml_file_serves_and_help_has_an_example(gru_sweep, tmp_path):
    (tmp_path / "t.toml").write_text(
        '[train]\ntask = "line"\ndim = "2"\nseeds = 1\nepochs = 3\nseries = 5\nnoise = 0.0\nout = "c.h5"\n'
    )
    status, _, err = gru_sweep("train", "--config", "t.toml", "--epochs", 4, "--quiet")
    assert status == 0, err
    about = reading.describe("c.h5")
    assert (about["epochs"], about["attributes"]["noise"], about["points"]) == (4, 0.0, 1)
    status, out, _ = gru_sweep("train", "--help")
    assert status == 0
    assert "Example: gru-sweep train fhn --dim 2,4,8,16" in out


BAD = {
    "no task": (["train", "--out", "x.h5"], r"TASK: expected one of fhn, line, ring, got nothing"),
    "task": (["train", "rnig", "--out", "x.h5"], r"TASK: .*did you mean 'ring'\?\), got rnig"),
    "no out": (["train", "line"], r"--out: .*got nothing"),
    "out folder": ([*TRAIN, "--out", "no/x.h5"], r"--out: .*existing folder, got no/x.h5"),
    "out is a folder": ([*TRAIN, "--out", "."], r"--out: .*folder"),
    "both": ([*TRAIN, "--resume", "--overwrite", "--out", "x.h5"], r"--?resume: .*both"),
    "plot": ([*TRAIN, "--out", "x.h5", "--plot", "x.jpg"], r"--plot: .*\.png.*got x\.jpg"),
    "plot is out": ([*TRAIN, "--out", "x.png", "--plot", "x.png"], r"--plot: .*another file"),
    "flag": (["train", "line", "--epoch", "3", "--out", "x.h5"], r"--epoch.*--epochs"),
} | {
    f"{flag} {value!r}": (["train", "line", flag, value, "--out", "x.h5"], rf"{flag}: expected {words}")
    for flag, value, words in (
        ("--dim", "0", "integers from 1 to 64, got 0"),
        ("--dim", "-1", "integers from 1 to 64, got -1"),
        ("--dim", "65", "integers from 1 to 64, got 65"),
        ("--dim", "2.5", "integers separated by commas, got 2.5"),
        ("--dim", "", "integers separated by commas"),
        ("--dim", "2,,4", "integers separated by commas, got 2,,4"),
        ("--dim", "2,2", r"different integers, got \[2, 2\]"),
        ("--seeds", "0", "integers from 1 to 100000, got 0"),
        ("--seeds", "2.5", "an integer, got '2.5'"),
        ("--epochs", "0", "a whole number from 1 on, got 0"),
        ("--epochs", "many", "an integer, got 'many'"),
        ("--learning-rate", "0", "a positive number, got 0"),
        ("--learning-rate", "-0.1", "a positive number, got -0.1"),
        ("--learning-rate", "nan", "a positive number, got nan"),
        ("--learning-rate", "inf", "a positive number, got inf"),
        ("--learning-rate", "fast", "numbers separated by commas, got fast"),
        ("--learning-rate", "0.1,1e-1", "different numbers"),
        ("--noise", "-1", "a variance"),
        ("--noise", "nan", "a variance"),
        ("--noise", "loud", "a number"),
        ("--step", "0", "a positive number"),
        ("--step", "inf", "a positive number"),
        ("--series", "0", "an integer from 1"),
        ("--seed", "-1", "an integer from 0"),
        ("--current", "wave", "one of step, series"),
        ("--initialisation", "unifrom", r"one of .*did you mean 'uniform'"),
        ("--precision", "float16", "one of float32, float64, got float16"),
        ("--device", "tpu", "one of cpu, gpu, got tpu"),
    )
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_status_2_and_nothing_written(gru_sweep, tmp_path, case):
    arguments, message = BAD[case]
    status, out, err = gru_sweep(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("gru-sweep: ")
    assert re.search(message, err)
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_is_not_there_is_refused(gru_sweep, monkeypatch, tmp_path):
    there = jax.local_devices

    def none(backend=None):
        if backend == "gpu":
            raise RuntimeError("Unknown backend: 'gpu' requested")
        return there(backend=backend)

    monkeypatch.setattr(jax, "local_devices", none)
    status, out, err = gru_sweep(*TRAIN, "--out", "x.h5", "--device", "gpu")
    assert (status, out, err.count("\n"), list(tmp_path.iterdir())) == (2, "", 1, [])
    assert "--device: expected a gpu that JAX can use" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], r"--out: expected a new file, or --overwrite"),
        (["--resume", "--epochs", "61"], r"--resume: .*epochs = 61, got epochs = 60"),
        (["--resume", "--dim", "2,4"], r"--resume: .*dim = \[2, 4\], got dim = \[2, 3\]"),
        (["--resume", "--seeds", "3"], r"--resume: .*seeds = 3, got seeds = 2"),
        (["--resume", "--noise", "0"], r"--resume: .*noise = 0.0, got noise = 0.1"),
        (["--resume", "--initialisation", "glorot"], r"--resume: .*initialisation = glorot, got .*uniform"),
        (["--resume", "--learning-rate", "0.02"], r"--resume: .*learning_rate = \[0.02\]"),
        (["--resume", "--precision", "float64"], r"--resume: .*precision = float64"),
        (["--resume", "--series", "21"], r"--resume: .*series = 21, got series = 20"),
        (["--resume", "--seed", "1"], r"--resume: .*seed = 1, got seed = 0"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_existing_files_are_kept(gru_sweep, whole, half, finished, flags, message):
    if finished:
        shutil.copy(whole, half)
    before = half.read_bytes()
    status, out, err = gru_sweep(*asked("--out", "x.h5", *flags))
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert re.search(message, err)
    assert half.read_bytes() == before
    assert [p.name for p in half.parent.iterdir()] == ["x.h5"]


def flipped(at):
    def damage(path):
        data = bytearray(path.read_bytes())
        data[at if at < 0 else at % len(data)] ^= 1
        path.write_bytes(data)

    return damage


def foreign(path):
    path.unlink()
    with h5py.File(path, "w") as file:
        file["x"] = 1


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-5000]),
    "seal cut": lambda path: path.write_bytes(path.read_bytes()[: -atomic.SEAL_BYTES]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("loss\n"),
    "foreign": foreign,
    **{f"byte {at}": flipped(at) for at in (9, 10_007, 54_321, -1, -70, -atomic.SEAL_BYTES)},
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_checkpoint_is_refused_and_kept(gru_sweep, half, case):
    DAMAGE[case](half)
    before = half.read_bytes()
    status, out, err = gru_sweep(*TRAIN, "--out", "x.h5", "--resume")
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("gru-sweep: --resume: expected ")
    assert "x.h5" in err
    assert half.read_bytes() == before
    assert [p.name for p in half.parent.iterdir()] == ["x.h5"]


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        (archive, "FORMAT", r"file_format = 'gru_sweep training 9'.*'gru_sweep training 1'"),
        (school, "__version__", r"gru_sweep_version = gru_sweep training 9, got gru_sweep_version = \d"),
    ],
)
def test_a_checkpoint_of_another_version_is_refused(gru_sweep, half, monkeypatch, module, name, message):
    monkeypatch.setattr(module, name, "gru_sweep training 9")
    status, out, err = gru_sweep(*TRAIN, "--out", "x.h5", "--resume")
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert re.search(f"--resume: .*{message}", err)


def test_a_second_writer_is_told_who_is_first(gru_sweep, half):
    before, folder = half.read_bytes(), half.with_name("x.h5.parts")
    folder.mkdir()
    held = lock.Lock(folder / "lock")
    try:
        for flag in ("--resume", "--overwrite"):
            status, out, err = gru_sweep(*TRAIN, "--out", "x.h5", flag)
            assert (status, out, err.count("\n")) == (2, "", 1)
            assert re.search(rf"--out: .*pid {os.getpid()}", err)
        assert reading.describe(half)["writer"].endswith(f"pid {os.getpid()}")
    finally:
        held.release()
    assert half.read_bytes() == before


def test_resume_of_nothing_begins_and_of_a_finished_file_does_nothing(gru_sweep, whole):
    status, out, _ = gru_sweep(*TRAIN, "--out", "x.h5", "--resume", "--json")
    assert (status, json.loads(out)["epochs"]) == (0, 4 * EPOCHS)
    same("x.h5", whole)
    before = Path("x.h5").read_bytes()
    status, out, _ = gru_sweep(*TRAIN, "--out", "x.h5", "--resume", "--json")
    assert (status, json.loads(out)["epochs"]) == (0, 0)
    assert "nothing was missing" in gru_sweep(*TRAIN, "--out", "x.h5", "--resume")[1]
    assert Path("x.h5").read_bytes() == before


def test_what_killed_writers_left_is_removed_and_shards_are_not(gru_sweep, half):
    folder = half.with_name("x.h5.parts")
    folder.mkdir()
    (folder / "x.h5.0123abcd.tmp").write_bytes(b"half")
    (folder / "0123456789abcdef-0000.h5").write_bytes(b"a shard")
    status, _, err = gru_sweep(*TRAIN, "--out", "x.h5", "--resume")
    assert (status, (folder / "0123456789abcdef-0000.h5").exists()) == (2, True)
    assert "--out: expected a new file, or --overwrite" in err
    assert gru_sweep(*TRAIN, "--out", "x.h5", "--overwrite")[0] == 0
    assert [p.name for p in half.parent.iterdir()] == ["x.h5"]


def test_a_link_stays_a_link(gru_sweep, tmp_path):
    (tmp_path / "link.h5").symlink_to(tmp_path / "there.h5")
    assert gru_sweep(*asked("--out", "link.h5", "--epochs", 2))[0] == 0
    assert (tmp_path / "link.h5").is_symlink()
    assert reading.is_training(tmp_path / "there.h5")


DRIVER = """
import sys, time
sys.path[:0] = [{root!r}, {tests!r}]
import taught
from gru_sweep import cli
from gru_sweep.learning import course, dynamics
from gru_sweep.training.trainer import Trainer
dynamics.read = taught.read
course.CHECKPOINT_SECONDS = {seconds}
block = Trainer._block
def marked(self, epochs):
    block(self, epochs)
    open("begun", "w").close()
    time.sleep(0.3)
Trainer._block = marked
sys.exit(cli.main())
"""


def started(tmp_path, seconds, until):
    """A training in a process of its own, when the file `until` is there."""
    code = DRIVER.format(root=str(ROOT), tests=str(ROOT / "tests"), seconds=seconds)
    command = [sys.executable, "-c", code, *map(str, TRAIN), "--out", "x.h5"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / until).exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_training_stopped_by_a_signal_ends_as_a_whole_one(gru_sweep, tmp_path, whole, number, expected):
    with started(tmp_path, 1000, "begun") as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (expected, ""), err
    assert "Traceback" not in err
    assert "--resume" in err.splitlines()[-1]
    assert 0 < reading.describe("x.h5")["done"] < EPOCHS
    status, out, _ = gru_sweep(*TRAIN, "--out", "x.h5", "--resume", "--json")
    assert status == 0
    assert 0 < json.loads(out)["epochs"] < 4 * EPOCHS
    same("x.h5", whole)
    with h5py.File("x.h5") as file:
        assert re.search(r": resumed with \d+ of 240 points done", str(file.attrs["history"]))


def test_a_killed_training_ends_as_a_whole_one(gru_sweep, tmp_path, whole):
    with started(tmp_path, 0, "x.h5") as process:
        time.sleep(0.5)
        process.kill()
        process.communicate(timeout=60)
    done = reading.describe("x.h5")["done"]
    assert 0 < done < EPOCHS
    with xr.open_dataset("x.h5", engine="h5netcdf") as data:
        assert data.loss.shape == (2, 2, done)
    assert gru_sweep(*TRAIN, "--out", "x.h5", "--resume")[0] == 0
    same("x.h5", whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["begun", "x.h5"]


def test_a_full_disk_keeps_the_last_checkpoint(gru_sweep, monkeypatch, whole):
    write, calls = atomic.write, []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(*arguments)

    monkeypatch.setattr(course, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(atomic, "write", full)
    status, out, err = gru_sweep(*TRAIN, "--out", "x.h5", "--quiet")
    assert (status, out, err.count("\n")) == (1, "", 1), err
    assert "No space left" in err
    assert "--resume" in err
    assert 0 < reading.describe("x.h5")["done"] < EPOCHS
    monkeypatch.setattr(atomic, "write", write)
    assert gru_sweep(*TRAIN, "--out", "x.h5", "--resume")[0] == 0
    same("x.h5", whole)


def test_a_checkpoint_holds_what_the_trainer_gives(tmp_path):
    """Truth values, too: optax's accumulator keeps some."""

    def wary(rate):
        return optax.apply_if_finite(optax.adam(rate), 3)

    paths = [tmp_path / name for name in ("whole.h5", "x.h5")]
    options = {"dim": 2, "seeds": 1, "epochs": 12, "series": 4, "optimiser": wary}
    course.execute(course.plan("line", out=paths[0], **options))

    class After:
        requested = property(lambda self: True)

    with pytest.raises(KeyboardInterrupt):
        course.execute(course.plan("line", out=paths[1], **options), stop=After())
    with h5py.File(paths[1]) as file:
        archive = io.BytesIO(file["checkpoint/state"][()].tobytes())
    with np.load(archive, allow_pickle=False) as arrays:
        assert any(array.dtype == bool for array in arrays.values())
    course.execute(course.plan("line", out=paths[1], resume=True, **options))
    same(*paths)


def test_an_unfinished_file_can_be_opened_described_drawn_and_verified(gru_sweep, half, tmp_path):
    for engine in ("h5netcdf", "netcdf4"):
        with xr.open_dataset(half, engine=engine) as data:
            assert data.loss.dims == ("dim", "seed", "epoch")
            assert np.isfinite(data.loss).all()
            assert data.attrs["complete"] == 0
        with xr.open_datatree(half, engine=engine) as tree:
            assert tree.groups == ("/", "/checkpoint")
    done = reading.describe(half)["done"]
    status, out, err = gru_sweep("info", "x.h5")
    assert (status, err) == (0, "")
    assert f"x.h5: 4 networks, {done} of {EPOCHS} epochs done ({100 * done // EPOCHS} %)" in out
    assert re.search(r"^  dim +2, 3 +units of the network$", out, re.M)
    about = json.loads(gru_sweep("info", "x.h5", "--json")[1])
    assert (about["done"], about["complete"], about["points"]) == (done, False, 4)
    assert about["variables"]["loss"]["dims"] == ["dim", "seed", "epoch"]
    with mpl.rc_context({"svg.fonttype": "none"}):  # words, not outlines
        assert gru_sweep("plot", "x.h5", "--out", "x.svg")[0] == 0
    assert (tmp_path / "x.svg").stat().st_size > 1000
    assert all(f"{size} units" in (tmp_path / "x.svg").read_text() for size in (2, 3))
    status, out, err = gru_sweep("verify", "x.h5", "--json")
    assert status == 0, err
    assert json.loads(out)["sound"]


def test_a_finished_file_is_described_drawn_and_verified(gru_sweep, whole, tmp_path):
    status, out, _ = gru_sweep("info", whole)
    assert status == 0
    assert "4 networks, finished" in out
    assert re.search(r"^networks by status\n(  .*\n)*  ok +4$", out, re.M)
    assert re.search(r"^  task +line$", out, re.M)
    for variable in ("loss", "test_loss", "gradient_norm"):
        assert gru_sweep("plot", whole, "--variable", variable, "--out", f"{variable}.png")[0] == 0
        assert (tmp_path / f"{variable}.png").stat().st_size > 1000
    status, _, err = gru_sweep("plot", whole, "--variable", "los", "--out", "g.png")
    assert (status, err.count("\n")) == (2, 1)
    assert re.search(r"--variable: .*'loss'", err)
    assert json.loads(gru_sweep("verify", whole, "--json")[1])["sound"]
    shutil.copy(whole, "y.h5")
    flipped(54_321)(Path("y.h5"))
    status, _, err = gru_sweep("verify", "y.h5")
    assert status == 1
    assert "seal: the file was changed since it was written" in err
    assert gru_sweep("info", "y.h5")[0] == 2


def test_several_learning_rates_and_one_that_no_network_survives(gru_sweep, tmp_path, whole):
    rates = f"0.01,0.010000001,{HUGE}"
    status, out, err = gru_sweep(
        *TRAIN, "--learning-rate", rates, "--out", "x.h5", "--json", "--plot", "p.png"
    )
    assert status == 0, err
    about = json.loads(out, parse_constant=lambda word: pytest.fail(word))
    assert (about["points"], about["counts"]["ok"], about["counts"]["failed"]) == (12, 8, 4)
    with xr.open_dataset("x.h5") as data, xr.open_dataset(whole) as alone:
        assert data.loss.dims == ("dim", "seed", "learning_rate", "epoch")
        np.testing.assert_array_equal(data.loss.isel(learning_rate=0), alone.loss)
        assert ((data.diverged >= 0) == (data.learning_rate > 1)).all()
        assert data.loss.isel(learning_rate=2, epoch=-1).isnull().all()
    with xr.open_datatree("x.h5") as tree:
        assert len(tree.children) == 12
        kept = tree["dim=2,seed=1,learning_rate=0.010000001"].U_h.values
    cell = load("x.h5", "learning_rate=0.010000001,dim=2,seed=1")
    np.testing.assert_array_equal(cell.U_h, kept)
    assert "12 networks, finished, 4 of them diverged" in gru_sweep("info", "x.h5")[1]


def test_all_networks_may_diverge(gru_sweep):
    arguments = asked("--learning-rate", HUGE, "--dim", "2", "--out", "x.h5", "--plot", "x.png")
    status, out, _ = gru_sweep(*arguments, "--json")
    assert status == 0
    about = json.loads(out, parse_constant=lambda word: pytest.fail(word))
    assert (about["final_loss"], about["counts"]["failed"]) == ({"2": None}, 2)
    assert re.search(r"2 units +diverged", gru_sweep(*arguments, "--resume")[1])


def spiral(t, y, args):
    return jnp.stack([-0.2 * y[0] - y[1], y[0] - 0.2 * y[1]])


def node(t, y, args):
    return -y


OWN = Task(name="own", field=spiral, lower=(-1, -1), upper=(1, 1), step=0.3)
SMALL = {"dim": 2, "seeds": 1, "epochs": 3, "series": 5}


def test_a_task_of_ones_own_is_learnt(tmp_path):
    data = gs.train(OWN, out=tmp_path / "x.h5", **SMALL)
    assert isinstance(data, xr.Dataset)
    assert (data.attrs["task"], data.sizes["epoch"], data.sizes["train_series"]) == ("own", 3, 5)
    truth = data.test_truth.values
    np.testing.assert_allclose(np.hypot(*truth[:, 10].T), np.hypot(*truth[:, 0].T) * np.exp(-0.6), rtol=1e-6)
    data.close()
    other = Task(name="own", field=node, lower=(-1, -1), upper=(1, 1), step=0.3)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file.attrs["complete"] == 1

    class After:
        requested = property(lambda self: True)

    with pytest.raises(KeyboardInterrupt):
        course.execute(course.plan(OWN, out=tmp_path / "y.h5", **SMALL), stop=After())
    with pytest.raises(InputError, match="--resume: expected the series of what is trained"):
        gs.train(other, out=tmp_path / "y.h5", resume=True, **SMALL)


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("--dim", {"dim": [True]}),
        ("--dim", {"dim": []}),
        ("--learning-rate", {"learning_rate": []}),
    ],
)
def test_bad_arguments_are_refused_in_python(tmp_path, argument, options):
    with pytest.raises(InputError, match=f"^{argument}: expected "):
        course.plan(**{"task": OWN, "out": tmp_path / "x.h5"} | options)


def test_what_decides_a_training_is_json_and_optimisers_have_names_that_stay(tmp_path):
    made = course.plan(
        OWN,
        dim=[4, 2],
        seeds=2,
        epochs=5,
        learning_rate=0.5,
        series=7,
        optimiser=functools.partial(optax.sgd, momentum=0.9),
        out=tmp_path / "x.h5",
    ).school.made_by()
    assert json.loads(json.dumps(made)) == made
    assert (made["dim"], made["seeds"], made["learning_rate"]) == ([2, 4], 2, [0.5])
    assert made["optimiser"] == "sgd(momentum=0.9)"
