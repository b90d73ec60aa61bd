"""The benchmark of what a sweep survives: its quick run, and that it would see what goes wrong."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from gru_sweep.sweeps import reading

BENCHMARKS = Path(__file__).resolve().parent.parent / "experiments" / "benchmarks"
SECTIONS = ("kills", "disks", "damage")


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The file of an unharmed sweep."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        from faulty import waves

        return waves.unharmed(tmp_path_factory.mktemp("waves") / "whole")


def test_the_quick_run_finds_everything_as_it_was_asked_for(tmp_path):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "faults.py", "--quick", "--out-dir", tmp_path / "out"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "out" / "faults.json").read_text())
    assert tuple(record) == SECTIONS
    page = (tmp_path / "out" / "faults.md").read_text()
    assert page.strip() == done.stdout.strip()
    measured = {}
    for name in SECTIONS:
        rows = record[name]["rows"]
        assert sum(row["good"] is True for row in rows) > 5
        assert not [row for row in rows if row["good"] is False]
        measured |= {row["what"]: row["measured"] for row in rows}
    assert measured["local: kills"] == 2
    assert measured["local: sweeps ended"] > 0
    assert measured["finished file: damaged files that verify finds"] == "3 of 3"


def test_what_is_not_as_asked_ends_with_1_and_other_sections_keep_their_rows(tmp_path, monkeypatch, capsys):
    import faults
    from faulty.rows import Row, count

    def absent(folder):
        raise OSError("no such thing")

    known = {
        "one": ("One", lambda folder: [Row("rate", 12345.6), count("lost", 0)]),
        "two": ("Two", lambda folder: [count("lost", 3)]),
        "three": ("Three", absent),
    }
    monkeypatch.setattr(faults, "sections", lambda number, quick: known)

    def ends(*options):
        monkeypatch.setattr(sys, "argv", ["faults.py", "--out-dir", str(tmp_path), *options])
        return faults.main()

    assert ends("--only", "one") == 0
    assert ends("--only", "two") == 1
    page = (tmp_path / "faults.md").read_text()
    assert "| rate | 12 346 |  |" in page
    assert "| lost | **3**, FAILED | 0 |" in page
    assert list(json.loads((tmp_path / "faults.json").read_text())) == ["one", "two"]
    assert ends("--only", "three") == 1
    assert "no: OSError: no such thing" in (tmp_path / "faults.md").read_text()
    with pytest.raises(SystemExit):
        ends("--only", "four")
    assert "expected some of one, two, three, got four" in capsys.readouterr().err


@pytest.fixture
def ledger(whole, tmp_path):
    """What is kept over kills, of a finished file in a folder of its own."""
    from faulty import kills

    case = kills.synthetic(tmp_path)
    shutil.copy(whole, case.path)
    return kills.Ledger(case, whole, kills.truth_of(case, whole))


def process(code):
    """One that has ended so."""
    ended = subprocess.Popen([sys.executable, "-S", "-c", f"import os, sys; {code}"], start_new_session=True)
    ended.wait()
    return ended


def wrongs(ledger):
    return {row.what for row in ledger.rows() if row.good is False}


def test_the_ledger_sees_values_that_are_wrong_or_missing(ledger):
    killed = process("os.kill(os.getpid(), 9)")
    # As if the process had been about to remove its blocks: else the next sweep would begin.
    reading.parts_folder(ledger.case.path).mkdir()
    ledger.look(killed)
    assert wrongs(ledger) == set()
    assert ledger.phases == {"clearing up": 1}
    with h5py.File(ledger.case.path, "r+") as file:
        file["wave"][3, 4] += 1e-15
        file["turns"][5, 6, 0] = -1
    ledger.look(killed)
    assert wrongs(ledger) == {"values that are neither right nor missing"}
    # Each by h5py and by xarray.
    assert ledger.wrong == 4
    ledger.case.path.write_bytes(b"no HDF5")
    ledger.look(killed)
    assert "files that cannot be opened" in wrongs(ledger)


def test_the_ledger_sees_blocks_that_are_lost_or_computed_again(ledger):
    killed = process("os.kill(os.getpid(), 9)")
    reading.parts_folder(ledger.case.path).mkdir()
    ledger.look(killed)
    (ledger.case.folder / "log").write_text("block 7 0 1\nwaiting block 7\nblock 8 0 1\n")
    ledger.look(killed)
    assert (ledger.again, ledger.computed, ledger.lost) == (2, 2, 0)
    ledger.case.path.unlink()
    ledger.look(killed)
    assert ledger.lost == ledger.case.layout.blocks.total == 208
    assert wrongs(ledger) == {"committed blocks lost", "committed blocks computed again"}


def test_a_kill_after_the_end_leaves_a_finished_sweep(ledger):
    ledger.look(process("os.kill(os.getpid(), 9)"))
    assert (ledger.phases, ledger.finished, ledger.unlike) == ({"letting go": 1}, 1, 0)
    assert not ledger.case.path.exists()
    assert ledger.safe == set()


def test_the_ledger_sees_an_end_that_is_not_that_of_an_unharmed_sweep(ledger):
    with h5py.File(ledger.case.path, "r+") as file:
        file.attrs["title"] = "waves!"
        file.attrs["created"] = "yesterday"
    ledger.look(process(""))
    assert ledger.notes == ["differing: title"]
    ledger.look(process("sys.exit(3)"))
    assert ledger.notes[1:] == ["exit 3"]
    assert wrongs(ledger) == {
        "sweeps ended with an error",
        "finished files unlike the one of an unharmed sweep",
    }


def test_readers_are_told_what_reads_wrongly(whole, tmp_path):
    from faulty import looking, watching

    truth = watching.contents(whole, looking.NOTHING)

    def after(change):
        path = Path(shutil.copy(whole, tmp_path))
        with h5py.File(path, "r+") as file:
            change(file)
        return looking.read(path, truth, "h5py")

    assert after(lambda file: None) == {"verdict": "right", "kinds": []}

    def several(file):
        file["status"][2, 2] = -1
        file["a"][3] = 3.5
        file["wave"][4, 4] = 2.0
        file.attrs["title"] = "waves!"

    assert after(several) == {
        "verdict": "wrong",
        "kinds": ["attributes", "coordinates and tables", "missing values", "values"],
    }
    (tmp_path / "map.h5").write_bytes(whole.read_bytes()[:5000])
    assert looking.read(tmp_path / "map.h5", truth, "h5py")["verdict"] == "fails"


def test_damages_are_of_one_bit_or_an_end(whole, tmp_path):
    from faulty import damage

    size = damage.Size(flips=5, cuts=2, resumed=1)
    found = [*damage.damages(whole, "finished file", size, np.random.default_rng(0))]
    for name, one in found:
        path = Path(shutil.copy(whole.parent / name, tmp_path))
        one.do(path)
        before, after = whole.read_bytes(), path.read_bytes()
        if one.bit:
            changed = [(x ^ y).bit_count() for x, y in zip(before, after, strict=True) if x != y]
            assert changed == [1]
        else:
            assert after == before[: one.place]
            assert len(after) < len(before)
    assert [one.bit > 0 for _, one in found] == [True] * 5 + [False] * 2


def test_the_driver_ends_as_the_command_line_does(whole, tmp_path):
    """A limit on file sizes stands for a full disk; then the same command ends right."""
    from faulty import watching, waves

    limit = whole.stat().st_size - 20_000
    done = watching.finish(watching.program(tmp_path, "--limit", limit), tmp_path)
    assert done.returncode == 1
    assert "832 of 832 points are safe" in done.stderr
    everything = set(range(208))
    assert watching.committed(tmp_path / waves.MAP, waves.layout()) == everything
    assert not watching.finish(watching.program(tmp_path), tmp_path).returncode
    assert not watching.unlike(tmp_path / waves.MAP, whole)
    assert sorted(watching.begun(tmp_path)) == sorted(everything)


def test_rows_say_what_failed():
    from faulty.rows import Row, said, table

    row = Row("rate", 0.0123456, ">= 1", False)
    (named,) = said("two", [row])
    assert named == replace(row, what="two: rate")
    assert table([named]).splitlines()[-1] == "| two: rate | **0.0123**, FAILED | >= 1 |"
