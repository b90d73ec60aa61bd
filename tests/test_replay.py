"""Crashes after every single change of the disk: what is found then, and what becomes of it.

A whole sweep is recorded once. Then, for each of its changes, a process killed just after it and a power cut
just after it are played back; two states of the disk that differ in nothing but what is inside of unfinished
*.tmp files, which are removed unread, are tried once.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
import xarray as xr

import test_refinement
from disk import Disk, Recorder, lay, tree
from gru_sweep.records import InputError
from gru_sweep.sweeps import atomic, layout, pieces, sweep
from gru_sweep.sweeps.engines.local import Local
from gru_sweep.sweeps.store import Share, describe
from stopping import Stopping
from test_store import ATTRIBUTES, COLUMNS, FINGERPRINT, LABELLER, assert_same, evaluate, grid

SEEDS = 3
"""Power cuts after each change: they leave different parts of what was not synced."""
SHARDS = 3
"""So that shards have several blocks, but for the last."""
FEW = COLUMNS[:4]
OF = grid(7, 2)
SMALL = {"of": test_refinement.grid(3, 3), "levels": 1, "chunk": 6}


class Sweeping(NamedTuple):
    """A kind of sweep: how it is run, its function, the points that this was called with, what is right."""

    run: Callable
    function: Callable
    points: list
    right: Callable


def plain():
    points = []

    def function(at):
        points.extend(zip(at["x"].tolist(), at["y"].tolist(), strict=True))
        return evaluate(at)

    def run(path, **options):
        chosen = {"of": OF, "chunk": 2, "function": function, **options}
        of, engine = chosen.pop("of"), Local([chosen.pop("function")])
        about = {"fingerprint": FINGERPRINT, "attributes": ATTRIBUTES, "labeller": LABELLER}
        return sweep.run(engine, of, FEW, path, **about, **chosen)

    def right(file):
        """Where a point was computed it is right; elsewhere everything reads as missing."""
        x, y = np.meshgrid(file["x"][()], file["y"][()], indexing="ij")
        values = evaluate({"x": x.ravel(), "y": y.ravel()})
        done = file["status"][()].ravel() >= 0
        for column in FEW:
            wanted = np.where(done, values[column.name].astype(column.dtype), column.fill)
            np.testing.assert_array_equal(file[column.name][()].ravel(), wanted, err_msg=column.name)
        return int(done.sum())

    return Sweeping(run, function, points, right)


def refined():
    points = []

    def function(at):
        points.extend(zip(at["x"].tolist(), at["y"].tolist(), strict=True))
        return test_refinement.evaluate(at)

    def run(path, **options):
        return test_refinement.run(path, **{**SMALL, "function": function, **options})

    def right(file):
        values = test_refinement.evaluate({"x": file["x"][()], "y": file["y"][()]})
        done = file["status"][()] >= 0
        for column in test_refinement.COLUMNS:
            shown, wanted = file[column.name][()], values[column.name].astype(column.dtype)
            np.testing.assert_array_equal(shown[done], wanted[done], err_msg=column.name)
            np.testing.assert_array_equal(shown[~done], np.full_like(shown[~done], column.fill))
        return int(done.sum())

    return Sweeping(run, function, points, right)


class Marking(sweep.Silent):
    """Progress that marks in the record how many points are said to be safe."""

    def __init__(self, recorder):
        self.recorder, self.safe = recorder, 0

    def advance(self, n):
        self.safe += n
        self.recorder.mark(self.safe)


def recorded(folder, sweeping, monkeypatch, **options):
    """Run in `folder`; the record, and the points in the order in which they were computed."""
    recorder = Recorder(folder)
    sweeping.points.clear()
    with monkeypatch.context() as patch:
        recorder.install(patch)
        sweeping.run(folder / "map.h5", progress=Marking(recorder), **options)
    return recorder, list(sweeping.points)


def replay(folder, recorder, order, sweeping, whole, *, safe=frozenset(), old=None, seeds=SEEDS):
    """Crash after each change in both ways; how many different states there were.

    `order` are the points as they were computed, `safe` those that were there before, `whole` the finished
    file, `old` what is overwritten. A power cut between two writes of a file is drawn like that before them.
    """
    disk, steps, tried = Disk(recorder.before), 0, set()
    for number, change in enumerate(recorder.changes):
        disk.do(change)
        steps += change.kind not in ("write", "truncate", "mark")
        committed = {*safe, *order[: disk.marks[-1] if disk.marks else 0]}
        cuts = [disk.cut(np.random.default_rng([seed, steps])) for seed in range(seeds)]
        for state in (disk.killed(), *cuts):
            known = frozenset((p, None if p.endswith(".tmp") else data) for p, data in state.items())
            if (known, len(committed)) in tried:
                continue
            tried.add((known, len(committed)))
            here = folder / f"{len(tried)}"
            lay(state, here)
            # The lock of a killed process is gone, and its file is not.
            for parts in here.rglob("*.parts"):
                (parts / "lock").write_text("elsewhere pid 1")
            crashed(here, committed, sweeping, whole, old, number % 10 == 0)
            shutil.rmtree(here)
    assert tree(recorder.root) == disk.killed(), "what is played back is what happened"
    return len(tried)


def crashed(here, committed, sweeping, whole, old, thoroughly):
    """What is found in the folder `here` after a crash, and what becomes of it."""
    path, options = here / "map.h5", {"resume": True}
    if old is not None and path.read_bytes() == old["map.h5"]:
        assert not committed
        with pytest.raises(InputError):
            sweeping.run(path, resume=True)
        assert {name: data for name, data in tree(here).items() if name in old} == old
        options = {"overwrite": True}
    elif path.exists():
        with h5py.File(path) as file:
            shown, finished = sweeping.right(file), bool(file.attrs["complete"])
        about = describe(path)
        assert about["complete"] == finished
        assert about["done"] >= shown
        assert about["writer"] is None
        if finished:
            assert_same(path, whole)
        if thoroughly:
            with xr.open_dataset(path, engine="h5netcdf") as ds:
                assert int((ds.status >= 0).sum()) == shown
    else:
        assert not committed
    sweeping.points.clear()
    summary = sweeping.run(path, **options)
    assert summary.complete
    assert summary.computed == len(sweeping.points) == len(set(sweeping.points))
    assert not committed & set(sweeping.points), "what was said to be safe is computed again"
    assert_same(path, whole)
    assert [p.name for p in here.iterdir()] == ["map.h5"]


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """For a kind of sweep: a folder to record in, one to play back in, and the file that nothing befell."""
    monkeypatch.setattr(layout, "MAX_SHARDS", SHARDS)

    def begin(sweeping):
        for name in ("recorded", "replayed", "whole"):
            (tmp_path / name).mkdir()
        sweeping.run(tmp_path / "whole" / "map.h5")
        return tmp_path / "recorded", tmp_path / "replayed", tmp_path / "whole" / "map.h5"

    return begin


def stopped(sweeping, path, after, **options):
    """A sweep that was stopped after some blocks; their points."""
    sweeping.points.clear()
    stop = Stopping(sweeping.function, after)
    with pytest.raises(sweep.Interrupted):
        sweeping.run(path, function=stop.function, stop=stop, **options)
    return set(sweeping.points)


def test_a_new_sweep(begun, monkeypatch):
    sweeping = plain()
    here, there, whole = begun(sweeping)
    recorder, order = recorded(here, sweeping, monkeypatch)
    kinds = {"create", "write", "truncate", "sync", "rename", "sync folder", "unlink", "mkdir", "rmdir"}
    assert {change.kind for change in recorder.changes} == kinds | {"mark"}
    assert len(recorder.changes) > 200
    assert replay(there, recorder, order, sweeping, whole) >= 40


def test_a_new_refined_sweep(begun, monkeypatch):
    sweeping = refined()
    here, there, whole = begun(sweeping)
    recorder, order = recorded(here, sweeping, monkeypatch)
    assert len(recorder.changes) > 300
    assert replay(there, recorder, order, sweeping, whole, seeds=1) >= 60


def test_a_sweep_that_was_stopped_and_goes_on(begun, monkeypatch):
    sweeping = plain()
    here, there, whole = begun(sweeping)
    safe = stopped(sweeping, here / "map.h5", 4)
    recorder, order = recorded(here, sweeping, monkeypatch, resume=True)
    assert len(safe) + len(order) == OF.size
    assert replay(there, recorder, order, sweeping, whole, safe=safe) > 30


@pytest.mark.parametrize("finished", [True, False])
def test_another_sweep_is_overwritten(begun, monkeypatch, finished):
    sweeping = plain()
    here, there, whole = begun(sweeping)
    if finished:
        sweeping.run(here / "map.h5", of=grid(3, 2))
    else:
        stopped(sweeping, here / "map.h5", 5, of=grid(8, 2))
    old = tree(here)
    recorder, order = recorded(here, sweeping, monkeypatch, overwrite=True)
    assert replay(there, recorder, order, sweeping, whole, old=old, seeds=1) >= 30


def test_another_refined_sweep_is_overwritten(begun, monkeypatch):
    """Up to the first blocks of the first round; what comes then comes in a new sweep too."""
    sweeping = refined()
    here, there, whole = begun(sweeping)
    sweeping.run(here / "map.h5", seed=2)
    old = tree(here)
    sweeping.points.clear()
    recorder = Recorder(here)
    stop = Stopping(sweeping.function, 3)
    with monkeypatch.context() as patch:
        recorder.install(patch)
        with pytest.raises(sweep.Interrupted):
            sweeping.run(
                here / "map.h5",
                function=stop.function,
                stop=stop,
                overwrite=True,
                progress=Marking(recorder),
            )
    assert replay(there, recorder, list(sweeping.points), sweeping, whole, old=old, seeds=1) > 20


def test_a_job_of_an_array(begun, monkeypatch):
    """The last one, which merges its blocks with those of the other."""
    sweeping = plain()
    here, there, whole = begun(sweeping)
    sweeping.points.clear()
    sweeping.run(here / "map.h5", share=Share(0, 2))
    safe = set(sweeping.points)
    recorder, order = recorded(here, sweeping, monkeypatch, share=Share(1, 2))
    assert len(safe) + len(order) == OF.size
    assert replay(there, recorder, order, sweeping, whole, safe=safe) > 25


# ---------------------------------------------------------------- whether the replay finds anything


def forgotten(*_):
    """Nothing is done."""


def early(target, layout, shard, pieces, merge=pieces.merge):
    """The pieces go before their shard is there."""
    pieces = list(pieces)
    with tempfile.TemporaryDirectory() as folder:
        kept = [(shutil.copy(path, folder), block) for path, block in pieces]
        for path, _ in pieces:
            atomic.remove(path)
        merge(target, layout, shard, [(Path(path), block) for path, block in kept])


def in_place(path, data, beside=None, write=atomic.write):
    """The old file goes before the new one is there."""
    atomic.remove(path)
    write(path, data, beside)


def unsynced(recorder):
    """Files are renamed before they are on disk."""
    recorder.changes = [change for change in recorder.changes if change.kind != "sync"]


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        (atomic, "_sync", forgotten),
        (pieces, "merge", early),
        (atomic, "write", in_place),
        (None, "", unsynced),
    ],
)
def test_carelessness_is_found(begun, monkeypatch, module, name, wrong):
    sweeping = plain()
    here, there, whole = begun(sweeping)
    sweeping.run(here / "map.h5", of=grid(3, 2))
    old = tree(here)
    with monkeypatch.context() as patch:
        if module is not None:
            patch.setattr(module, name, wrong)
        recorder, order = recorded(here, sweeping, monkeypatch, overwrite=True)
        if module is None:
            wrong(recorder)
    with pytest.raises((AssertionError, InputError, OSError)):
        replay(there, recorder, order, sweeping, whole, old=old)
