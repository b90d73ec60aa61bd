"""The command line: what it prints where, its exit statuses, and what it refuses before any work.

A stand-in for the measure keeps these tests quick.
"""

import contextlib
import errno
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
import xarray as xr

from gru_sweep import caching, cli, plotting, progress, studies
from gru_sweep.analysis import portrait
from gru_sweep.sweeps import compiling, store
from gru_sweep.sweeps.lanes import Chain

ROOT = Path(__file__).resolve().parent.parent
GRID = ["--axis", "alpha=-1:1:9", "--axis", "beta=1:3:5"]


def test_run_writes_the_file_and_the_picture(gru_sweep, tmp_path):
    status, out, err = gru_sweep("run", "hopf", *GRID, "--out", "x.h5", "--plot", "x.png")
    assert status == 0, err
    assert re.search(r"x.h5: 45 points \(alpha 9 x beta 5\)", out)
    assert re.search(r"ok +40\n +unresolved +5\n", out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.h5", "x.png"]
    assert "45/45 points (100 %)" in err
    with xr.open_dataset("x.h5", engine="h5netcdf") as ds:
        assert ds.frequency.dims == ("alpha", "beta")
        assert ds.alpha.attrs["units"] == "radian"
        np.testing.assert_allclose(ds.frequency.sel(alpha=-1), ds.beta / (2 * np.pi))
        classes = ds.topology_class.values.tolist()
        assert classes == [
            "sinks:0,sources:1,saddles:0,stable_cycles:1",
            "sinks:1,sources:0,saddles:0,stable_cycles:0",
        ]
        assert (ds.topology.sel(alpha=1) == -1).all()
        attrs = ds.attrs
    assert attrs["Conventions"].startswith("CF-")
    assert (
        attrs["command"] == "gru-sweep run hopf --axis alpha=-1:1:9 --axis beta=1:3:5 --out x.h5 --plot x.png"
    )
    assert (attrs["family"], attrs["measure"], attrs["precision"]) == ("hopf", "oscillation", "float64")
    assert json.loads(attrs["settings"]) == {"s": 0.0, "br1": 0.0, "br2": 0.0}
    assert attrs["tolerance"] == 1e-9
    for name in (
        "title",
        "history",
        "gru_sweep_version",
        "git_commit",
        "equation",
        "jax_version",
        "device",
        "seed",
    ):
        assert name in attrs


def test_json_is_one_object_and_quiet_is_quiet(gru_sweep):
    status, out, err = gru_sweep("run", "hopf", *GRID, "--out", "x.h5", "--json", "--quiet")
    assert (status, err) == (0, "")
    answer = json.loads(out)
    assert out.count("\n") == 1
    assert answer["file"].endswith("x.h5")
    assert answer["points"] == answer["computed"] == 45
    assert answer["counts"] == {
        "not_computed": 0,
        "ok": 40,
        "unresolved": 5,
        "near_bifurcation": 0,
        "failed": 0,
    }
    assert answer["points_per_second"] > 0
    assert {"seconds", "compile_seconds", "compilations", "device"} <= set(answer)


def test_a_family_alone_is_a_sensible_run(gru_sweep):
    status, out, _ = gru_sweep("run", "hopf", "--out", "x.h5", "--json")
    assert (status, json.loads(out)["points"]) == (0, 65_536)


BAD = {
    "no family": (["run", "--out", "x.h5"], r"FAMILY: expected one of hopf, homoclinic.*got nothing"),
    "family": (["run", "hofp", "--out", "x.h5"], r"family: .*did you mean 'hopf'\?\), got hofp"),
    "measure": (["run", "hopf", "--out", "x.h5", "--measure", "ocillation"], r"--measure: .*'oscillation'"),
    "axis name": (["run", "hopf", "--axis", "alhpa=0:1:3", "--out", "x.h5"], r"--axis: .*'alpha'"),
    "axis form": (["run", "hopf", "--axis", "alpha=0:1", "--out", "x.h5"], r"--axis: expected NAME=START"),
    "num zero": (
        ["run", "hopf", "--axis", "alpha=0:1:0", "--out", "x.h5"],
        r"--axis: .*positive integer.*:0",
    ),
    "num negative": (
        ["run", "hopf", "--axis", "alpha=0:1:-3", "--out", "x.h5"],
        r"--axis: .*positive integer",
    ),
    "num word": (["run", "hopf", "--axis", "alpha=0:1:few", "--out", "x.h5"], r"--axis: .*few"),
    "num float": (["run", "hopf", "--axis", "alpha=0:1:2.5", "--out", "x.h5"], r"--axis: .*2\.5"),
    "infinite": (["run", "hopf", "--axis", "alpha=0:inf:3", "--out", "x.h5"], r"--axis: .*finite"),
    "nan": (["run", "hopf", "--axis", "alpha=nan:1:3", "--out", "x.h5"], r"--axis: .*finite"),
    "axis and set": (["run", "hopf", *GRID, "--set", "alpha=1", "--out", "x.h5"], r"--set: .*alpha"),
    "axis twice": (["run", "hopf", *GRID, "--axis", "beta=1:2:3", "--out", "x.h5"], r"--axis: .*beta twice"),
    "set form": (["run", "hopf", "--set", "s", "--out", "x.h5"], r"--set: expected NAME=VALUE.*got s"),
    "set twice": (["run", "hopf", "--set", "s=0", "--set", "s=1", "--out", "x.h5"], r"--set: .*s twice"),
    "set name": (["run", "hopf", "--set", "bt1=0", "--out", "x.h5"], r"--set: .*'br1'"),
    "set nan": (["run", "hopf", "--set", "s=nan", "--out", "x.h5"], r"--set: .*finite"),
    "nothing to sweep": (
        ["run", "hopf", "--set", "alpha=1", "--set", "beta=2", "--out", "x.h5"],
        r"--axis: ",
    ),
    "no out": (["run", "hopf"], r"--out: .*got nothing"),
    "out folder": (["run", "hopf", *GRID, "--out", "no/x.h5"], r"--out: .*folder"),
    "out is a folder": (["run", "hopf", *GRID, "--out", "."], r"--out: .*folder"),
    "precision": (["run", "hopf", "--precision", "float16", "--out", "x.h5"], r"--precision: .*float16"),
    "chunk zero": (["run", "hopf", "--chunk", "0", "--out", "x.h5"], r"--chunk: .*from 1 to 16777216, got 0"),
    "chunk large": (["run", "hopf", "--chunk", str(2**24 + 1), "--out", "x.h5"], r"--chunk: "),
    "chunk word": (
        ["run", "hopf", "--chunk", "many", "--out", "x.h5"],
        r"--chunk: expected an integer, got 'many'",
    ),
    "seed": (["run", "hopf", "--seed", "-1", "--out", "x.h5"], r"--seed: .*got -1"),
    "engine": (["run", "hopf", "--engine", "lokal", "--out", "x.h5"], r"--engine: .*'local'"),
    "workers": (["run", "hopf", "--workers", "0", "--out", "x.h5"], r"--workers: .*got 0"),
    "both": (["run", "hopf", "--resume", "--overwrite", "--out", "x.h5"], r"--resume: .*both"),
    "disk": (
        ["run", "hopf", "--axis", "alpha=0:1:9999999", "--axis", "beta=1:3:9999999", "--out", "x.h5"],
        r"disk",
    ),
    "plot ending": (
        ["run", "hopf", *GRID, "--out", "x.h5", "--plot", "x.jpg"],
        r"--plot: .*\.png.*got x\.jpg",
    ),
    "plot folder": (["run", "hopf", *GRID, "--out", "x.h5", "--plot", "no/x.png"], r"--plot: .*folder"),
    "plot is out": (["run", "hopf", *GRID, "--out", "x.png", "--plot", "x.png"], r"--plot: .*another file"),
    "flag": (["run", "hopf", "--axsi", "alpha=0:1:3", "--out", "x.h5"], r"--axsi.*--axis"),
    "no value": (["run", "hopf", "--out"], r"--out"),
    "command": (["rnu", "hopf"], r"rnu.*run"),
    "too many": (["run", "hopf", "homoclinic", "--out", "x.h5"], r"homoclinic"),
    "info missing": (["info", "none.h5"], r"none\.h5"),
    "plot missing": (["plot", "none.h5", "--out", "x.png"], r"none\.h5"),
    "plot no out": (["plot", "none.h5"], r"--out"),
    "config missing": (["run", "--config", "none.toml"], r"--config: .*none\.toml"),
    "no weights": (["run", "weights", "--axis", "b_r=0:1:3", "--out", "x.h5"], r"--weights: expected a file"),
    "weights missing": (
        ["run", "weights", "--weights", "none.json", "--axis", "b_r=0:1:3", "--out", "x.h5"],
        r"--weights: expected a file, got none\.json, which does not exist",
    ),
    "weights unwanted": (["run", "hopf", "--weights", "g.json", "--out", "x.h5"], r"--weights: .*g\.json"),
    "index": (
        ["run", "random", "--axis", "index=0:1:3", "--out", "x.h5"],
        r"--axis: expected integers .*0\.5",
    ),
    "scale": (
        ["run", "random", "--set", "scale=-1", "--out", "x.h5"],
        r"--set: .*from 0 to 1000000 for scale",
    ),
    "portrait of nothing": (["portrait"], r"FAMILY: expected --weights FILE or one of hopf, .*got nothing"),
    "portrait family": (["portrait", "hofp"], r"family: .*'hopf'"),
    "portrait weights": (["portrait", "weights"], r"--weights: expected a file"),
    "portrait missing": (["portrait", "--weights", "none.npz"], r"--weights: .*none\.npz"),
    "portrait pickle": (["portrait", "--weights", "gru.pt"], r"--weights: .*a pickle is a program"),
    "portrait set": (["portrait", "hopf", "--set", "alhpa=1"], r"--set: .*'alpha'"),
    "portrait set nan": (["portrait", "hopf", "--set", "s=nan"], r"--set: .*finite"),
    "portrait seed": (["portrait", "random", "--seed", "-1"], r"--seed: .*got -1"),
    "portrait precision": (["portrait", "hopf", "--precision", "float16"], r"--precision: .*float16"),
    "portrait range": (
        ["portrait", "hopf", "--set", "beta=1e39", "--precision", "float32"],
        r"--precision: .*beta = 1e\+39",
    ),
    "portrait out": (["portrait", "hopf", "--out", "x.jpg"], r"--out: .*\.png.*got x\.jpg"),
    "portrait out folder": (["portrait", "hopf", "--out", "no/x.png"], r"--out: .*folder"),
    "portrait flag": (["portrait", "hopf", "--wieghts", "g.json"], r"--wieghts.*--weights"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_status_2_and_nothing_written(gru_sweep, tmp_path, case):
    arguments, message = BAD[case]
    status, out, err = gru_sweep(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("gru-sweep: ")
    assert err.count("\n") == 1
    assert re.search(message, err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["--chunk", "--seed", "--refine"])
def test_integers_are_not_rounded(gru_sweep, tmp_path, flag):
    status, out, err = gru_sweep("run", "hopf", *GRID, "--out", "x.h5", flag, "2.5")
    assert (status, out, list(tmp_path.iterdir())) == (2, "", [])
    assert err == f"gru-sweep: {flag}: expected an integer, got '2.5'\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workers", "2"], "--workers: expected 1, or the engine dask, got 2"),
        (["--workers", "2.5"], "--workers: expected a number of processes, or a scheduler's address"),
        (["--workers", "0", "--engine", "dask"], "--workers: expected a number of processes"),
        (["--engine", "slurm"], "--engine: expected one of local, dask"),
        (["--device", "tpu"], "--device: expected one of cpu, gpu"),
        (["--shard", "4/3"], "--shard: expected I/N with I from 1 to N"),
        (["--shard", "1/2", "--overwrite"], "--shard: expected either --shard or --overwrite"),
        (["--shard", "1/2", "--refine", "2"], "--shard: expected no refinement"),
        (["--shard", "1/2", "--plot", "x.png"], "--plot: expected a whole sweep to draw"),
    ],
)
def test_engines_devices_and_shards_that_cannot_be_are_refused(gru_sweep, tmp_path, flags, message):
    status, out, err = gru_sweep("run", "hopf", *GRID, "--out", "x.h5", *flags)
    assert (status, out, list(tmp_path.iterdir())) == (2, "", [])
    assert err.startswith(f"gru-sweep: {message}")
    assert err.count("\n") == 1


def test_a_gpu_that_is_not_there_is_refused_with_how_to_get_one(monkeypatch, capsys, tmp_path):
    local_devices = jax.local_devices

    def none(backend=None):
        if backend == "gpu":
            raise RuntimeError("Unknown backend: 'gpu' requested")
        return local_devices(backend=backend)

    monkeypatch.setattr(jax, "local_devices", none)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gru-sweep", "run", "hopf", *GRID, "--out", "x.h5", "--device", "gpu"])
    assert cli.main() == 2
    assert list(tmp_path.iterdir()) == []
    said = capsys.readouterr().err
    assert "--device: expected a gpu that JAX can use" in said
    assert 'pip install "gru-sweep[cuda]"' in said
    assert said.count("\n") == 1


def test_existing_files_are_kept_unless_told(gru_sweep, tmp_path):
    assert gru_sweep("run", "hopf", *GRID, "--out", "x.h5")[0] == 0
    before = (tmp_path / "x.h5").read_bytes()
    status, _, err = gru_sweep("run", "hopf", *GRID, "--out", "x.h5")
    assert status == 2
    assert re.search(r"--out: .*--overwrite", err)
    status, _, err = gru_sweep("run", "hopf", *GRID, "--set", "s=1", "--out", "x.h5", "--resume")
    assert status == 2
    assert "settings" in err
    assert (tmp_path / "x.h5").read_bytes() == before
    status, out, _ = gru_sweep("run", "hopf", *GRID, "--out", "x.h5", "--resume", "--json")
    assert (status, json.loads(out)["computed"]) == (0, 0)
    assert (tmp_path / "x.h5").read_bytes() == before
    assert gru_sweep("run", "hopf", *GRID, "--set", "s=1", "--out", "x.h5", "--overwrite")[0] == 0
    assert (tmp_path / "x.h5").read_bytes() != before


@pytest.mark.parametrize("damage", ["foreign", "truncated", "text"])
def test_files_that_are_not_ours_or_damaged_are_refused(gru_sweep, tmp_path, damage):
    path = tmp_path / "x.h5"
    if damage == "foreign":
        with h5py.File(path, "w") as file:
            file["x"] = 1
    elif damage == "text":
        path.write_text("frequency\n")
    else:
        assert gru_sweep("run", "hopf", *GRID, "--out", "x.h5")[0] == 0
        path.write_bytes(path.read_bytes()[:3000])
    before = path.read_bytes()
    for arguments in (
        ["run", "hopf", *GRID, "--resume", "--out", path],
        ["info", path],
        ["plot", path, "--out", "x.png"],
    ):
        status, out, err = gru_sweep(*arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), arguments
        assert "x.h5" in err
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]


def test_a_full_disk_is_status_1_and_what_is_safe_is_said(gru_sweep, monkeypatch, tmp_path):
    commit, calls = store.Store.commit, []

    def full(self, block, values, seconds):
        calls.append(block)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        commit(self, block, values, seconds)

    monkeypatch.setattr(store.Store, "commit", full)
    status, out, err = gru_sweep("run", "hopf", *GRID, "--chunk", "5", "--out", "x.h5", "--quiet")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "No space left" in err
    assert "--resume" in err
    monkeypatch.setattr(store.Store, "commit", commit)
    assert gru_sweep("run", "hopf", *GRID, "--chunk", "5", "--out", "x.h5", "--resume")[0] == 0


def test_a_bug_is_status_1_with_its_traceback(gru_sweep, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("one over nought")

    monkeypatch.setattr(studies, "evaluator", broken)
    status, out, err = gru_sweep("run", "hopf", *GRID, "--out", "x.h5")
    assert (status, out) == (1, "")
    assert "Traceback" in err
    assert err.endswith("gru-sweep: ZeroDivisionError: one over nought\n")


DRIVER = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
from stand_in import StuartLandau
from gru_sweep import cli, studies
class Marked(StuartLandau):
    def __call__(self, coordinates):
        open("begun", "w").close()
        return super().__call__(coordinates)
studies.evaluator = lambda *given: Marked(*given, pause={pause})
sys.exit(cli.main())
"""


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_finish_the_block_in_hand_and_the_run_can_go_on(gru_sweep, tmp_path, number, expected):
    arguments = ["run", "hopf", *GRID, "--chunk", "5"]
    code = DRIVER.format(root=str(ROOT), tests=str(ROOT / "tests"), pause=0.15)
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--out", "x.h5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "x.h5").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (expected, "")
    assert "Traceback" not in err
    assert "--resume" in err
    done = store.describe(tmp_path / "x.h5")["done"]
    assert 0 < done < 45
    status, out, _ = gru_sweep(*arguments, "--out", "x.h5", "--resume", "--json")
    assert (status, json.loads(out)["computed"]) == (0, 45 - done)
    assert gru_sweep(*arguments, "--out", "whole.h5")[0] == 0
    with h5py.File("x.h5") as x, h5py.File("whole.h5") as whole:
        assert set(x) == set(whole)
        for name in set(x) - {"configuration"}:
            np.testing.assert_array_equal(x[name][()], whole[name][()])


def test_a_second_signal_stops_at_once(tmp_path):
    """Blocks take half a minute: nobody waits for the one in hand, and what is safe stays so."""
    arguments = ["run", "hopf", *GRID, "--chunk", "5", "--out", "x.h5"]
    code = DRIVER.format(root=str(ROOT), tests=str(ROOT / "tests"), pause=30)
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "begun").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _until(process, "once more")
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert "none of 45 points is safe" in err
    assert "Traceback" not in err


def _until(process, words):
    """What a process says up to the line with these words."""
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def test_info_says_what_how_far_and_how(gru_sweep):
    gru_sweep("run", "hopf", *GRID, "--out", "x.h5")
    status, out, err = gru_sweep("info", "x.h5")
    assert (status, err) == (0, "")
    for word in ("alpha", "frequency", "45", "gru-sweep run hopf", "oscillation"):
        assert word in out
    # However long a name is, what it is called and what it is stay apart.
    for line in out.splitlines():
        assert not line.startswith("  ") or re.match(r"  \S+ {2,}\S", line), line
    assert re.search(r"^  a_rather_long_tolerance  1e-09$", out, re.M)
    status, out, _ = gru_sweep("info", "x.h5", "--json")
    assert json.loads(out)["points"] == 45


def test_plot_draws_any_variable(gru_sweep, tmp_path):
    gru_sweep("run", "hopf", *GRID, "--out", "x.h5")
    for variable, name in (("frequency", "f.svg"), ("topology", "t.pdf"), ("n_sinks", "n.png")):
        status, out, _ = gru_sweep("plot", "x.h5", "--variable", variable, "--out", name)
        assert (status, out) == (0, "")
        assert (tmp_path / name).stat().st_size > 1000
    status, _, err = gru_sweep("plot", "x.h5", "--variable", "freqency", "--out", "g.png")
    assert status == 2
    assert re.search(r"--variable: .*'frequency'", err)
    status, _, err = gru_sweep("plot", "x.h5", "--out", "g.gif")
    assert status == 2
    assert re.search(r"--out: .*\.png", err)


def test_devices_says_what_jax_sees(gru_sweep):
    status, out, _ = gru_sweep("devices")
    assert status == 0
    assert re.search(r"jax \d+\.\d+", out)
    assert "cpu" in out or "gpu" in out


def test_list_prints_families_coordinates_and_defaults(gru_sweep):
    status, out, err = gru_sweep("run", "--list")
    assert (status, err) == (0, "")
    for word in (
        "hopf:",
        "homoclinic:",
        "alpha (rotation angle in radian)",
        "axis 1:3:256",
        "follows s",
        "oscillation",
    ):
        assert word in out


def test_a_toml_file_serves_for_flags_and_flags_win(gru_sweep, tmp_path):
    (tmp_path / "sweep.toml").write_text(
        '[run]\nfamily = "hopf"\naxis = ["alpha=-1:1:9", "beta=1:3:5"]\nset = ["s=2"]\n'
        'out = "c.h5"\nchunk = 7\njson = true\n'
    )
    status, out, err = gru_sweep("run", "--config", "sweep.toml", "--set", "s=3")
    assert status == 0, err
    assert json.loads(out)["points"] == 45
    with h5py.File("c.h5") as file:
        assert json.loads(file.attrs["settings"])["s"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[rnu]\nfamily = "hopf"\n', r"--config: expected a table \[run\] in c.toml, got rnu"),
        ('[run]\nfamilly = "hopf"\n', r"familly"),
        ('[run]\nchunk = "many"\nfamily = "hopf"\n', r"--chunk: expected an integer, got 'many'"),
        ("[run\n", r"--config: expected a TOML file"),
        ('[run]\nconfig = "other.toml"\n', r"--config: expected no further config"),
        ("", r"an empty file"),
    ],
)
def test_bad_toml_is_refused(gru_sweep, tmp_path, text, message):
    (tmp_path / "c.toml").write_text(text)
    status, out, err = gru_sweep("run", "--config", "c.toml", "--out", "x.h5")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert re.search(message, err)
    assert [p.name for p in tmp_path.iterdir()] == ["c.toml"]


class Terminal:
    """A stream that says it is a terminal, or not, and keeps what is written."""

    def __init__(self, terminal):
        self.terminal, self.text = terminal, ""

    def write(self, text):
        self.text += text
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return self.terminal


def test_log_lines_are_few_and_have_no_carriage_returns():
    stream = Terminal(False)
    lines = progress.reporter(stream)
    lines.start(1000, 100)
    lines.note("compiling cycles (64 lanes)")
    for _ in range(9):
        lines.advance(100)
    lines.finish()
    lines.finish()
    assert "\r" not in stream.text
    first, note, last = stream.text.splitlines()
    assert first == "100/1000 points (10 %)"
    assert note == "100/1000 points (10 %), compiling cycles (64 lanes)"
    assert re.fullmatch(r"1000/1000 points \(100 %\), \d+ points/s", last)


def test_log_lines_give_rate_and_time_left():
    stream = Terminal(False)
    lines = progress.Lines(stream, interval=0.0)
    lines.start(1000, 0)
    lines.advance(500)
    assert re.search(r"500/1000 points \(50 %\), \d+ points/s, \d+ s left", stream.text)


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal(True)
    bar = progress.reporter(stream)
    assert isinstance(bar, progress.Bar)
    bar.start(1000, 0)
    bar.note("compiling fixed points")
    time.sleep(0.6)
    bar.advance(1000)
    bar.finish()
    assert "compiling fixed points" in stream.text
    assert "1000/1000 points" in stream.text
    assert "points/s" in stream.text


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """Where the compilation cache was put, None where it was not."""
    import jax

    placed = {}
    monkeypatch.setattr(jax.config, "update", placed.__setitem__)

    def place(**environment):
        placed.clear()
        for name in ("GRU_SWEEP_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        cli.use_compilation_cache()
        return placed.get("jax_compilation_cache_dir"), placed

    return place


def test_the_compilation_cache_is_private_and_keeps_everything(cache, tmp_path):
    folder, placed = cache(GRU_SWEEP_CACHE=tmp_path / "c")
    assert Path(folder).parent == tmp_path / "c"
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    assert placed["jax_persistent_cache_min_compile_time_secs"] == 0
    assert placed["jax_persistent_cache_min_entry_size_bytes"] == -1
    folder, _ = cache(XDG_CACHE_HOME=tmp_path)
    assert Path(folder).parent == tmp_path / "gru_sweep"


def test_a_cache_that_others_could_write_to_is_not_used(cache, tmp_path, capsys):
    folder, _ = cache(GRU_SWEEP_CACHE=tmp_path)
    Path(folder).chmod(0o777)
    assert cache(GRU_SWEEP_CACHE=tmp_path)[0] is None
    assert "others could write to it" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert cache(GRU_SWEEP_CACHE=tmp_path / "file")[0] is None


def test_a_real_run_finds_the_cycles_where_theory_has_them(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    # At beta = 3 and s = 0: nine fixed points up to alpha = 0.14, then a cycle up to arccos(2/3) = 0.84.
    grid = ["--axis", "alpha=0.05:0.95:4", "--axis", "beta=2.5:3:4", "--set", "s=0"]
    monkeypatch.setattr(sys, "argv", ["gru-sweep", "run", "hopf", *grid, "--out", "x.h5", "--json"])
    assert cli.main() == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["counts"]["ok"] == answer["computed"] == 16
    assert 0 < answer["compilations"] < 50
    with store.open_dataset("x.h5") as ds:
        alpha, beta = xr.broadcast(ds.alpha, ds.beta)
        oscillates = (ds.n_stable_cycles == 1).transpose(*alpha.dims)
        focus = np.cos(alpha) * beta / 2 > 1
        assert (ds.index_sum == 1).all()
        np.testing.assert_array_equal(oscillates, focus & (ds.n_fixed_points == 1))
        np.testing.assert_array_equal(np.isfinite(ds.frequency), oscillates)
        assert oscillates.sum() == 7
        assert ds.n_fixed_points.sel(beta=3).values.tolist() == [9, 1, 1, 1]
        near = ds.frequency.sel(alpha=0.65, beta=3)
        # Close to the Hopf angle the frequency is that of the eigenvalues, tan(alpha) / 2 per 2 pi.
        assert float(near) == pytest.approx(np.tan(0.65) / (4 * np.pi), rel=0.05)


def test_what_is_refused_is_refused_before_anything_is_compiled(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.h5").write_text("in the way")
    compiled = []
    monkeypatch.setattr(Chain, "compile", compiled.append)
    for arguments in (["--out", "x.h5"], ["--out", "no/x.h5"], ["--out", "y.h5", "--plot", "y.jpg"]):
        monkeypatch.setattr(sys, "argv", ["gru-sweep", "run", "hopf", *GRID, *arguments])
        before = compiling.count()
        assert cli.main() == 2
        assert compiling.count() == before
        assert capsys.readouterr().err.count("\n") == 1
    assert compiled == []


WEIGHTS = '{"U_h": [[3, -1], [1, 2]], "b_r": [0.5, -0.5]}'


def test_run_takes_weights_and_any_entry_as_an_axis(gru_sweep, tmp_path, monkeypatch):
    (tmp_path / "g.json").write_text(WEIGHTS)
    plans = []

    def execute(plan, *_):
        plans.append(plan)
        return studies.Outcome(
            str(plan.out), plan.grid.size, 0, 1.0, 0.0, 0.0, 0, "none", "float64", 1, {}, True
        )

    monkeypatch.setattr(studies, "execute", execute)
    arguments = ["run", "weights", "--weights", "g.json", "--axis", "U_h[0,1]=-3:3:64", "--set", "b_h=0.5"]
    status, out, err = gru_sweep(*arguments, "--axis", "b_r[0]=log:1:100:3", "--out", "x.h5")
    assert (status, err) == (0, "")
    assert "192 points (U_h[0,1] 64 x b_r[0] 3)" in out
    (tmp_path / "r.toml").write_text(
        '[run]\nfamily = "weights"\nweights = "g.json"\naxis = ["b_r=0:1:5"]\nout = "y.h5"\n'
    )
    assert gru_sweep("run", "--config", "r.toml")[0] == 0
    first, second = plans
    assert first.settings()["b_h[1]"] == 0.5
    assert first.settings()["U_h[0,0]"] == 3
    assert second.grid.names == ("b_r",)


def test_list_prints_what_a_file_and_a_seed_give(gru_sweep):
    _, out, _ = gru_sweep("run", "--list")
    for word in (
        "weights: ",
        "U_h[i,j] (recurrent weight): default of the file",
        "b_r[i] ",
        "b_r (reset gate bias, all units)",
        "random: ",
        "index (number of the draw): default 0, axis 0:255:256",
        "scale (",
    ):
        assert word in out


class Portrait:
    """A stand-in for the record of a portrait of `cell`."""

    def __init__(self, cell):
        self.cell = cell

    def to_dict(self):
        d = self.cell.dimension
        return {
            "dimension": d,
            "fixed_points": [
                {
                    "h": [0.0] * d,
                    "eigenvalues": [[0.25, 1.5], [0.25, -1.5]],
                    "n_unstable": 2,
                    "kind": "unstable focus",
                    "residual": None,
                    "singularity": "hopf point",
                }
            ],
            "limit_cycles": [
                {
                    "period": 4.0,
                    "frequency": 0.25,
                    "stable": True,
                    "floquet_multipliers": [[1.0, 0.0], [0.125, 0.0]],
                    "amplitude": [1.5, float(self.cell.U_h[0, 0])],
                    "encloses": [0],
                    "sense": "clockwise",
                    "hidden": True,
                },
                {
                    "period": 8.0,
                    "frequency": 0.125,
                    "stable": False,
                    "floquet_multipliers": [[1.0, 0.0], [None, 0.0]],
                    "amplitude": [2.0, 3.0],
                    "encloses": None,
                    "sense": None,
                    "hidden": None,
                },
            ],
            "index_sum": 1,
            "certified": True,
            "topology": "cycle+(source)",
            "status": "unresolved",
            "warnings": ["not all is known"],
        }


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """A quick `phase_portrait`; the cells that it was given."""
    cells = []

    def phase_portrait(cell, *, precision):
        assert cell.U_h.dtype == precision
        cells.append(cell)
        return Portrait(cell)

    monkeypatch.setattr(portrait, "phase_portrait", phase_portrait)
    monkeypatch.setattr(plotting, "save_portrait", lambda found, path: path.write_text(repr(found)))
    (tmp_path / "g.json").write_text(WEIGHTS)
    return cells


def test_portrait_prints_one_json_object_and_draws(gru_sweep, stand_in, tmp_path):
    arguments = ["portrait", "--weights", "g.json", "--json"]
    status, out, err = gru_sweep(*arguments, "--out", "p.png")
    assert (status, err) == (0, "wrote p.png\n")
    assert out.count("\n") == 1
    assert json.loads(out)["limit_cycles"][0]["amplitude"] == [1.5, 3.0]
    assert (tmp_path / "p.png").exists()
    assert gru_sweep(*arguments, "--out", "p.png", "--quiet")[2] == ""
    np.testing.assert_array_equal(stand_in[0].b_r, [0.5, -0.5])


def test_portrait_prints_tables(gru_sweep, stand_in):
    status, out, err = gru_sweep("portrait", "--weights", "g.json")
    assert (status, err) == (0, "")
    assert "2 units: unresolved, all fixed points proven, index sum 1\ntopology: cycle+(source)\n" in out
    row = r"^  0 +unstable focus \(hopf point\) +0, 0 +0.25\+1.5i, 0.25-1.5i +not known$"
    assert re.search(row, out, re.M)
    assert re.search(r"^  0 +stable, hidden +clockwise +4 +0.25 +1.5, 3 +1, 0.125 +0$", out, re.M)
    assert re.search(r"^  1 +unstable +not known +8 +0.125 +2, 3 +1, not known +not known$", out, re.M)
    assert out.endswith("warning: not all is known\n")


def test_portrait_of_a_family_takes_its_coordinates(gru_sweep, stand_in, tmp_path):
    assert gru_sweep("portrait", "hopf", "--set", "alpha=0", "--set", "s=2")[0] == 0
    assert gru_sweep("portrait", "random", "--set", "index=5", "--seed", "3")[0] == 0
    assert gru_sweep("portrait", "random", "--set", "index=5", "--precision", "float32")[0] == 0
    assert gru_sweep("portrait", "--weights", "g.json", "--set", "U_h[0,1]=7")[0] == 0
    (tmp_path / "p.toml").write_text('[portrait]\nweights = "g.json"\nset = ["b_h=1.5"]\n')
    assert gru_sweep("portrait", "--config", "p.toml")[0] == 0
    hopf, third, other, weights, table = stand_in
    np.testing.assert_array_equal(hopf.U_h, 3 * np.eye(2))
    np.testing.assert_array_equal(hopf.b_r, [2, 2])
    assert (third.U_h.dtype, other.U_h.dtype) == (np.float64, np.float32)
    assert not np.isclose(third.U_h, other.U_h).any()
    np.testing.assert_array_equal(weights.U_h, [[3, 7], [1, 2]])
    np.testing.assert_array_equal(table.b_h, [1.5, 1.5])


def test_portrait_of_more_than_two_units_cannot_be_drawn(gru_sweep, stand_in, tmp_path):
    np.savez("wide.npz", U_h=np.eye(5))
    status, out, _ = gru_sweep("portrait", "--weights", "wide.npz", "--json")
    assert (status, json.loads(out)["dimension"]) == (0, 5)
    status, out, err = gru_sweep("portrait", "--weights", "wide.npz", "--out", "p.png")
    assert (status, out, err) == (
        2,
        "",
        "gru-sweep: --out: expected a cell of 2 units to draw, got one of 5\n",
    )
    assert not (tmp_path / "p.png").exists()
    assert len(stand_in) == 1


BAD_WEIGHTS = {
    "missing": '{"U_r": [[1]]}',
    "not square": '{"U_h": [[1, 2]]}',
    "disagreeing": '{"U_h": [[1, 2], [3, 4]], "b_r": [1]}',
    "nan": '{"U_h": [[NaN]]}',
    "infinite": '{"U_h": [[-Infinity]]}',
    "complex": '{"U_h": [["1+2j"]]}',
    "empty": '{"U_h": []}',
    "unknown key": '{"U_h": [[1]], "U_q": [[1]]}',
    "not JSON": "\x80\x04K\x03.",
}


@pytest.mark.parametrize("command", ["run", "portrait"])
@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_weights_are_one_line_status_2_and_nothing_written(gru_sweep, stand_in, tmp_path, command, case):
    (tmp_path / "g.json").write_text(BAD_WEIGHTS[case])
    arguments = {
        "run": ["run", "weights", "--axis", "b_r=0:1:3", "--out", "x.h5"],
        "portrait": ["portrait", "--json", "--out", "p.png"],
    }
    status, out, err = gru_sweep(*arguments[command], "--weights", "g.json")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("gru-sweep: --weights: expected ")
    assert [path.name for path in tmp_path.iterdir()] == ["g.json"]
    assert stand_in == []


def test_portrait_uses_the_compilation_cache(gru_sweep, stand_in, monkeypatch):
    used = []
    monkeypatch.setattr(caching, "use_compilation_cache", lambda: used.append(len(stand_in)))
    assert gru_sweep("portrait", "hopf")[0] == 0
    assert used == [0]


SUBJECTS = {
    "cycle": '{"U_h": [[2.1, -2.1], [2.1, 2.1]], "b_z": [0.3, -0.2]}',
    "four sinks": '{"U_h": [[4, 0], [0, 4]]}',
    "huge": '{"U_h": [[1e6, -2e6], [3e6, 1e6]], "U_r": [[1e6, 0], [0, -1e6]], "b_r": [1e6, -1e6]}',
    "pitchfork": '{"U_h": [[2, 0], [0, 1]]}',
}


@pytest.fixture(scope="module")
def real_portraits(tmp_path_factory):
    """The true thing, one program for all: status, standard output and error of each of `SUBJECTS`.

    In single precision, for which `test_portrait` needs the same program.
    """
    folder, answers = tmp_path_factory.mktemp("portraits"), {}
    with pytest.MonkeyPatch.context() as patch:
        for name, text in SUBJECTS.items():
            (folder / "g.json").write_text(text)
            out, err = io.StringIO(), io.StringIO()
            arguments = ["portrait", "--weights", str(folder / "g.json"), "--json", "--precision", "float32"]
            picture = ["--out", str(folder / "p.png")] if name == "cycle" else []
            patch.setattr(sys, "argv", ["gru-sweep", *arguments, *picture])
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                answers[name] = cli.main(), out, err
    return folder, {name: (s, out.getvalue(), err.getvalue()) for name, (s, out, err) in answers.items()}


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_real_portrait_is_one_json_object_on_standard_output(real_portraits, name):
    folder, answers = real_portraits
    status, out, err = answers[name]
    assert (status, out.count("\n")) == (0, 1), err
    assert err == (f"wrote {folder / 'p.png'}\n" if name == "cycle" else "")
    about = json.loads(out, parse_constant=lambda word: pytest.fail(word))
    assert about["dimension"] == 2
    assert (about["status"] == "ok") == (about["topology"] != "") == (about["warnings"] == [])


def test_what_real_portraits_say(real_portraits):
    folder, answers = real_portraits
    about = {name: json.loads(out) for name, (_, out, _) in answers.items()}
    (cycle,) = about["cycle"]["limit_cycles"]
    assert about["cycle"]["topology"] == "cycle+(source)"
    assert cycle["stable"]
    assert cycle["encloses"] == [0]
    assert about["four sinks"]["topology"] == "4sink,source,4saddle[ab,ad,bc,cd;adcb]"
    # tanh of 1e6 may overflow nothing, and what it hides is not guessed
    assert about["huge"]["status"] != "ok" or about["huge"]["certified"]
    assert about["pitchfork"]["status"] == "near bifurcation"
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")


def test_portrait_imports_matplotlib_for_pictures_only():
    code = (
        "import sys; from types import SimpleNamespace\n"
        "from gru_sweep import cli\n"
        "from gru_sweep.analysis import portrait\n"
        "portrait.phase_portrait = lambda cell, precision: SimpleNamespace(to_dict=dict)\n"
        "sys.argv = ['gru-sweep', 'portrait', 'hopf', '--json']\n"
        "assert cli.main() == 0\n"
        "print([name for name in ('matplotlib', 'networkx', 'xarray', 'scipy') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "{}\n[]\n", "")


def test_a_command_of_a_group_has_a_table_inside_the_groups(gru_sweep, tmp_path):
    (tmp_path / "g.toml").write_text('[gating.critical]\nset = ["alpha_r=10"]\njson = true\n')
    status, out, err = gru_sweep("gating", "critical", "--config", "g.toml")
    assert (status, json.loads(out)["alpha_r"], err) == (0, 10.0, "")
    (tmp_path / "g.toml").write_text('["gating critical"]\nset = ["alpha_r=10"]\n')
    status, _, err = gru_sweep("gating", "critical", "--config", "g.toml")
    assert status == 2
    assert "expected a table [gating.critical] in g.toml, got gating critical" in err
