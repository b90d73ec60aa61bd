"""`gru-sweep verify` and `pack`: what they print where, their exit statuses, what they refuse."""

import json
import re

import h5py
import numpy as np
import pytest

import gru_sweep as gs
from gru_sweep import remaking
from gru_sweep.records import InputError
from gru_sweep.sweeps import lock, reading
from gru_sweep.sweeps.lanes import Chain

GRID = ("--axis", "alpha=-1:1:9", "--axis", "beta=1:3:5", "--chunk", "5", "--out", "x.h5")


@pytest.fixture
def array(gru_sweep):
    """Runs some of three jobs of an array."""

    def run(*jobs):
        for job in jobs:
            status, _, err = gru_sweep("run", "hopf", *GRID, "--shard", f"{job}/3", "--quiet")
            assert status == 0, err

    return run


def test_pack_joins_what_the_jobs_of_an_array_computed(gru_sweep, array, tmp_path, monkeypatch):
    array(1, 2, 3)
    assert (tmp_path / "x.h5.parts").is_dir()
    monkeypatch.setattr(Chain, "compile", None)  # nothing is compiled
    status, out, err = gru_sweep("pack", "x.h5")
    assert status == 0, err
    assert "x.h5: 45 points (alpha 9 x beta 5)" in out
    assert re.search(r"ok +40\n +unresolved +5\n", out)
    assert "joining the shards" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.h5"]
    with gs.open("x.h5") as ds, h5py.File("x.h5") as file:
        np.testing.assert_allclose(ds.frequency.sel(alpha=-1), ds.beta / (2 * np.pi))
        assert ds.topology_class.size == 2
        assert file.attrs["complete"] == 1
        assert "gru-sweep run hopf" in ds.attrs["command"]
    assert gru_sweep("verify", "x.h5", "--quiet")[0] == 0
    raw = (tmp_path / "x.h5").read_bytes()
    assert gru_sweep("pack", "x.h5") == (0, "x.h5: 45 points, finished already\n", "")
    assert (tmp_path / "x.h5").read_bytes() == raw


def test_pack_says_whose_blocks_are_missing_and_computes_nothing(gru_sweep, array, tmp_path):
    array(1)
    status, out, err = gru_sweep("pack", "x.h5", "--quiet")
    assert (status, out) == (1, "")
    assert err == (
        "gru-sweep: Incomplete: 30 of 45 points of x.h5 are missing: run --shard computes them, of 2/3, 3/3\n"
    )
    array(3)
    assert "15 of 45 points" in gru_sweep("pack", "x.h5")[2]
    piece = min((tmp_path / "x.h5.parts").glob("*.h5"))
    piece.write_bytes(piece.read_bytes()[:-1])
    status, _, err = gru_sweep("pack", "x.h5", "--quiet")
    assert "20 of 45 points of x.h5 are missing (1 damaged files were removed)" in err
    assert err.endswith("of 2/3, 3/3\n")  # the first block of all is the last job's
    array(2, 3)
    status, out, _ = gru_sweep("pack", "x.h5", "--json", "--quiet")
    about = json.loads(out)
    assert (status, about["points"], about["computed"], about["complete"]) == (0, 45, 0, True)
    assert about["counts"]["ok"] == 40
    assert json.loads(gru_sweep("pack", "x.h5", "--json")[1])["seconds"] == 0


def test_pack_ends_a_sweep_that_lacks_only_its_end_and_no_other(gru_sweep, tmp_path, monkeypatch):
    from gru_sweep.sweeps.store import Store

    with monkeypatch.context() as patch:
        patch.setattr(Store, "finish", _fails)
        assert gru_sweep("run", "hopf", *GRID, "--quiet")[0] == 1
    assert reading.describe("x.h5")["complete"] is False
    assert gru_sweep("pack", "x.h5", "--quiet")[0] == 0
    refine = ("--axis", "alpha=-1:1.1:5", "--set", "beta=2", "--refine", "2", "--out", "r.h5", "--quiet")
    with monkeypatch.context() as patch:
        patch.setattr("gru_sweep.sweeps.refined_store.RefinedStore.finish", _fails)
        assert gru_sweep("run", "hopf", *refine)[0] == 1
    status, _, err = gru_sweep("pack", "r.h5", "--quiet")
    assert status == 2
    assert "FILE: expected a sweep of every point of its grid, got a refined one" in err
    assert gru_sweep("run", "hopf", *refine, "--resume")[0] == 0
    assert "finished already" in gru_sweep("pack", "r.h5")[1]


def _fails(*arguments):
    raise OSError(28, "No space left on device")


def test_pack_refuses_what_is_being_written_or_is_damaged(gru_sweep, array, tmp_path):
    array(1, 2, 3)
    held = lock.Lock(tmp_path / "x.h5.parts" / reading.LOCK, shared=True)
    status, _, err = gru_sweep("pack", "x.h5", "--quiet")
    assert status == 2
    assert re.search(r"FILE: expected a file that no other sweep writes, got .* pid \d+", err)
    held.release()
    raw = bytearray((tmp_path / "x.h5").read_bytes())
    raw[raw.index(b"made_by")] ^= 1
    (tmp_path / "x.h5").write_bytes(raw)
    status, _, err = gru_sweep("pack", "x.h5", "--quiet")
    assert (status, "changed since it was written" in err) == (2, True)
    for path in ("none.h5", tmp_path):
        status, _, err = gru_sweep("pack", path, "--quiet")
        assert (status, err.count("\n")) == (2, 1)
        assert "FILE: expected" in err


def test_verify_prints_a_table_and_says_in_one_line_what_failed(gru_sweep, tmp_path):
    gru_sweep("run", "hopf", *GRID, "--quiet")
    status, out, err = gru_sweep("verify", "x.h5", "--sample", "9", "--seed", "3")
    assert status == 0, err
    assert out.startswith("x.h5: sound (finished, 45 of 45 points)\n  ok      seal       every byte")
    assert "9 points drawn with seed 3 are equal to the last bit" in out
    assert "45/45 points" in err
    raw = bytearray((tmp_path / "x.h5").read_bytes())
    raw[raw.index(b"Jordan")] ^= 1
    (tmp_path / "x.h5").write_bytes(raw)
    status, out, err = gru_sweep("verify", "x.h5", "--quiet", "--json")
    assert status == 1
    assert err == "gru-sweep: Unsound: x.h5: seal: the file was changed since it was written\n"
    about = json.loads(out)
    assert (about["sound"], about["checks"][0]["state"]) == (False, "failed")
    assert about["seed"] == 0
    status, out, err = gru_sweep("verify", "x.h5", "--quiet")
    assert "NOT sound" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "none.h5"], "FILE: expected an existing file, got none.h5"),
        (["verify", "."], "FILE: expected a file written by gru-sweep, got a folder"),
        (["verify", "x.txt"], "FILE: expected a file written by gru-sweep, got x.txt"),
        (["verify", "x.txt", "--sample", "-1"], "sample: expected an integer of at least 0, got -1"),
        (["verify", "x.txt", "--sample", "1.5"], "--sample: expected an integer, got '1.5'"),
        (["pack", "x.txt"], "FILE: expected a file written by gru-sweep, got x.txt"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(gru_sweep, tmp_path, arguments, message):
    (tmp_path / "x.txt").write_text("nothing of ours")
    status, out, err = gru_sweep(*arguments, "--quiet")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_both_commands_have_help_with_an_example(gru_sweep):
    for command in ("verify", "pack"):
        status, out, _ = gru_sweep(command, "--help")
        assert (status, f"Example: gru-sweep {command} hopf.h5" in out) == (0, True)


def test_pack_of_python_raises_what_says_how_much_is_missing(gru_sweep, array):
    array(2)
    with pytest.raises(remaking.Incomplete, match=r"30 of 45 points") as caught:
        remaking.pack("x.h5")
    assert (caught.value.safe, caught.value.total) == (15, 45)
    array(1, 3)
    assert remaking.pack("x.h5").points == 45
    with pytest.raises(InputError, match=r"^FILE: "):
        remaking.pack("none.h5")
