"""A function over a grid into a file: the whole way, stopped, killed, and out of room."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gru_sweep.records import InputError
from gru_sweep.sweeps import reading, sweep
from gru_sweep.sweeps.shards import Shard
from gru_sweep.sweeps.store import describe
from stopping import Stopping
from test_store import ATTRIBUTES, COLUMNS, FINGERPRINT, LABELLER, assert_same, evaluate, grid


def run(path, function=evaluate, of=None, **options):
    given = {
        "fingerprint": FINGERPRINT,
        "attributes": ATTRIBUTES,
        "chunk": 20,
        "labeller": LABELLER,
        **options,
    }
    return sweep.run(function, of or grid(), COLUMNS, path, **given)


class Recorder:
    """Progress that remembers, and from which thread it was told."""

    def __init__(self):
        self.calls, self.threads = [], set()

    def told(self, *call):
        self.calls.append(call)
        self.threads.add(threading.current_thread())

    def start(self, total, done):
        self.told("start", total, done)

    def advance(self, n):
        self.told("advance", n)

    def note(self, text):
        self.told("note", text)

    def finish(self):
        self.told("finish")

    def advanced(self):
        return sum(call[1] for call in self.calls if call[0] == "advance")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "map.h5"


def test_summary_progress_and_file_agree(path):
    progress = Recorder()
    summary = run(path, progress=progress)
    assert (summary.file, summary.points, summary.computed) == (path, 120, 120)
    assert summary.counts == describe(path)["counts"]
    assert summary.counts["ok"] + summary.counts["unresolved"] == 120
    assert 0 < summary.evaluate_seconds < summary.seconds
    assert describe(path)["attributes"]["seconds"] == pytest.approx(summary.evaluate_seconds)
    assert progress.calls[0] == ("start", 120, 0)
    assert progress.calls[-1] == ("finish",)
    assert progress.advanced() == 120
    assert progress.threads == {threading.current_thread()}


def test_each_missing_block_is_evaluated_once_in_the_calling_thread(path):
    seen = []

    def function(at):
        seen.append((threading.current_thread(), at["x"].size))
        return evaluate(at)

    run(path, function)
    assert [n for _, n in seen] == [20] * 6
    assert {t for t, _ in seen} == {threading.current_thread()}


def test_resume_of_a_finished_file_computes_nothing(path):
    run(path)
    before = path.read_bytes()

    def never(at):
        raise AssertionError("a finished file needs no computing")

    summary = run(path, never, resume=True)
    assert (summary.computed, summary.points, summary.evaluate_seconds) == (0, 120, 0)
    assert summary.counts["ok"] > 0
    assert path.read_bytes() == before


def test_stop_finishes_the_block_in_hand(path, tmp_path):
    stop, progress = Stopping(evaluate, 2), Recorder()
    with pytest.raises(sweep.Interrupted, match=r"40 of 120 points are safe in .*--resume") as stopped:
        run(path, stop.function, stop=stop, progress=progress)
    assert (stopped.value.safe, stopped.value.total) == (40, 120)
    assert describe(path)["done"] == 40
    assert progress.calls[-1] == ("finish",)
    again = Recorder()
    assert run(path, resume=True, progress=again).computed == 80
    assert again.calls[0] == ("start", 120, 40)
    assert again.advanced() == 80
    run(tmp_path / "plain.h5")
    assert_same(path, tmp_path / "plain.h5")


def test_keyboard_interrupt_keeps_the_blocks_before_it(path):
    calls = []

    def function(at):
        calls.append(at)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return evaluate(at)

    with pytest.raises(sweep.Interrupted) as stopped:
        run(path, function)
    assert stopped.value.safe == describe(path)["done"] == 60


def test_error_of_the_function_goes_through_when_the_blocks_before_it_are_safe(path):
    calls = []

    def function(at):
        calls.append(at)
        if len(calls) == 3:
            raise ZeroDivisionError("no such cell")
        return evaluate(at)

    with pytest.raises(ZeroDivisionError) as failed:
        run(path, function)
    assert "40 of 120 points are safe" in failed.value.__notes__[0]
    assert describe(path)["done"] == 40


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("period", None, "no period"),
        ("period", np.zeros(3), r"expected shape \(20,\), got \(3,\)"),
        ("n_slots", np.full(20, 40_000), "beyond int16"),
        ("n_slots", np.zeros(20), "expected int16, got float64"),
        ("amplitude", np.zeros((20, 3)), r"got \(20, 3\)"),
    ],
)
def test_what_does_not_fit_its_column_is_refused_and_leaves_nothing(path, name, wrong, message):
    def function(at):
        values = evaluate(at)
        del values[name]
        return values if wrong is None else {**values, name: wrong}

    with pytest.raises(ValueError, match=message):
        run(path, function)
    assert list(path.parent.iterdir()) == []


def test_refusal_comes_before_any_work(path):
    run(path)
    progress, stop = Recorder(), Stopping(evaluate, 100)
    with pytest.raises(InputError):
        run(path, stop.function, progress=progress)
    assert stop.calls == 0
    assert progress.calls == []


def test_writer_that_fails_stops_the_sweep_and_keeps_what_is_safe(path, monkeypatch):
    saved = []
    save = Shard.save

    def failing(shard):
        if len(saved) == 2:
            raise OSError(28, "No space left on device")
        saved.append(shard)
        save(shard)

    stop = Stopping(evaluate, 100)
    with monkeypatch.context() as patch:
        patch.setattr(Shard, "save", failing)
        with pytest.raises(sweep.SweepError, match=r"No space left.*40 of 120 points are safe.*--resume"):
            run(path, stop.function)
    assert stop.calls <= 6
    assert run(path, resume=True).computed == 80
    run(path.with_name("plain.h5"))
    assert_same(path, path.with_name("plain.h5"))


def test_memory_is_bounded_by_the_block(path, monkeypatch):
    """While the writer is slow, evaluation waits: four blocks are alive, never more."""
    alive, most = 0, 0
    guard = threading.Lock()
    add = Shard.add

    def slow(shard, block, values, seconds):
        nonlocal alive
        time.sleep(0.02)
        add(shard, block, values, seconds)
        with guard:
            alive -= 1

    def function(at):
        nonlocal alive, most
        with guard:
            alive += 1
            most = max(most, alive)
        return evaluate(at)

    monkeypatch.setattr(Shard, "add", slow)
    run(path, function, chunk=8)
    assert 2 <= most <= 4


CHILD = """
import resource, sys, time
from test_sweep import run, slowly
if sys.argv[2] != "0":
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from gru_sweep.sweeps import sweep
try:
    run(sys.argv[1], slowly, resume=True)
except sweep.SweepError as error:
    print(error)
    sys.exit(1)
"""


def slowly(at):
    time.sleep(0.03)
    return evaluate(at)


def child(path, limit=0):
    places = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(limit)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_process_resumes_to_the_same_file(path, tmp_path):
    kills, done = 0, 0
    while kills < 2:
        process = child(path)
        while process.poll() is None:
            shards = len(list(reading.parts_folder(path).glob("*.h5")))
            if shards > done:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        kills += 1
        about = describe(path)
        assert about["writer"] is None
        assert 20 * done < about["done"] < 120
        done = about["done"] // 20
    summary = run(path, resume=True)
    assert summary.computed == 120 - 20 * done
    run(tmp_path / "plain.h5")
    assert_same(path, tmp_path / "plain.h5")
    assert not reading.parts_folder(path).exists()


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on file sizes here")
def test_finished_file_that_does_not_fit_leaves_index_and_shards(path):
    """Real write errors from the operating system while HDF5 writes: shards are smaller than the limit."""
    run(path.with_name("plain.h5"))
    process = child(path, path.with_name("plain.h5").stat().st_size - 100)
    output, _ = process.communicate()
    assert process.returncode == 1, output
    assert "File too large; 120 of 120 points are safe" in output
    assert describe(path)["done"] == 120
    assert run(path, resume=True).computed == 0
    assert_same(path, path.with_name("plain.h5"))
