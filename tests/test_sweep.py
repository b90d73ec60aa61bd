"""A function over a grid into a file: the whole way, stopped, killed, and out of room."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gru_sweep.records import InputError
from gru_sweep.sweeps import atomic, reading, sweep
from gru_sweep.sweeps.engines import local
from gru_sweep.sweeps.engines.local import Local
from gru_sweep.sweeps.store import Share, describe
from stopping import Stopping
from test_store import ATTRIBUTES, COLUMNS, FINGERPRINT, LABELLER, assert_same, evaluate, grid

PATIENCE = 20.0
"""Seconds after which a thread that is waited for hangs: all here takes milliseconds."""


def run(path, function=evaluate, of=None, engine=None, **options):
    given = {
        "fingerprint": FINGERPRINT,
        "attributes": ATTRIBUTES,
        "chunk": 20,
        "labeller": LABELLER,
        **options,
    }
    return sweep.run(engine or Local([function]), of or grid(), COLUMNS, path, **given)


class Many:
    """A device that computes several blocks side by side."""

    def __init__(self, function, threads):
        self.function, self.threads, self.asked = function, threads, []

    def at_once(self, points):
        self.asked.append(points)
        return self.threads

    def __call__(self, at):
        return self.function(at)


def first(at):
    """Whether these are the points of the first block."""
    return at["x"][0] == -1


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


class Waiting(Recorder):
    """Progress that sets `reached` when so many points are safe."""

    def __init__(self, points):
        super().__init__()
        self.points, self.reached = points, threading.Event()

    def advance(self, n):
        super().advance(n)
        if self.advanced() >= self.points:
            self.reached.set()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "map.h5"
    run(path)
    return path


def test_summary_progress_and_file_agree(path):
    progress = Recorder()
    summary = run(path, progress=progress)
    assert (summary.file, summary.points, summary.computed, summary.complete) == (path, 120, 120, True)
    assert summary.counts == describe(path)["counts"]
    assert summary.counts["ok"] + summary.counts["unresolved"] == 120
    assert 0 < summary.computing_seconds < summary.seconds
    # One thread: what the blocks took, without waiting and writing.
    assert 0 < describe(path)["attributes"]["seconds"] < summary.computing_seconds
    assert progress.calls[0] == ("start", 120, 0)
    assert progress.calls[-1] == ("finish",)
    assert progress.advanced() == 120
    assert progress.threads == {threading.current_thread()}


def test_the_functions_seconds_go_into_the_file(path):
    def function(at):
        time.sleep(0.02)
        return evaluate(at)

    run(path, function)
    assert 0.12 <= describe(path)["attributes"]["seconds"] < 6


def test_resume_of_a_finished_file_computes_nothing(path):
    run(path)
    before = path.read_bytes()

    def never(at):
        raise AssertionError("a finished file needs no computing")

    summary = run(path, never, resume=True)
    assert (summary.computed, summary.points, summary.computing_seconds) == (0, 120, 0)
    assert summary.complete
    assert summary.counts["ok"] > 0
    assert path.read_bytes() == before


# ---------------------------------------------------------------- the jobs of an array


def test_jobs_of_an_array_and_one_that_packs(path, plain):
    progress = Recorder()
    summary = run(path, share=Share(1, 4), progress=progress)
    assert (summary.points, summary.computed, summary.complete) == (40, 40, False)
    assert progress.calls[0] == ("start", 40, 0)
    assert summary.counts == {}, "of the whole file, when it is finished"
    with pytest.raises(sweep.Interrupted, match="20 of 40 points are safe") as stopped:
        run(path, (stop := Stopping(evaluate, 1)).function, share=Share(0, 4), stop=stop)
    assert stopped.value.total == 40
    assert run(path, share=Share(0, 4)).computed == 20
    assert run(path, share=Share(0, 4)).computed == 0
    summary = run(path, resume=True)
    assert (summary.points, summary.computed, summary.complete) == (120, 40, True)
    assert run(path, share=Share(2, 4)).computed == 0
    assert_same(path, plain)


# ---------------------------------------------------------------- stopped


@pytest.mark.parametrize("threads", [1, 3])
def test_stop_finishes_the_blocks_in_hand(path, plain, threads):
    stop, progress = Stopping(evaluate, 2), Recorder()
    with pytest.raises(sweep.Interrupted, match=r"of 120 points are safe in .*--resume") as stopped:
        run(path, engine=Local([Many(stop.function, threads)]), stop=stop, progress=progress)
    # Whoever was about to begin when the second was called is let do so.
    assert stop.calls <= 2 + threads - 1
    assert (stopped.value.safe, stopped.value.total) == (20 * stop.calls, 120)
    assert describe(path)["done"] == stopped.value.safe
    assert progress.calls[-1] == ("finish",)
    again = Recorder()
    assert run(path, resume=True, progress=again).computed == 120 - stopped.value.safe
    assert again.calls[0] == ("start", 120, stopped.value.safe)
    assert again.advanced() == 120 - stopped.value.safe
    assert_same(path, plain)


def test_stop_that_comes_with_the_last_block_stops_nothing(path, plain):
    stop = Stopping(evaluate, 6)
    assert run(path, stop.function, stop=stop).complete
    assert_same(path, plain)


def test_keyboard_interrupt_of_the_function_keeps_the_blocks_before_it(path):
    calls = []

    def function(at):
        calls.append(at)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return evaluate(at)

    with pytest.raises(sweep.Interrupted) as stopped:
        run(path, function)
    assert stopped.value.safe == describe(path)["done"] == 60


def test_a_second_ctrl_c_leaves_at_once(path, plain):
    """After the first, the block in hand is waited for; after the second, nothing is."""
    held, stop, main = threading.Event(), Stopping(evaluate, 100), threading.main_thread()
    progress = Waiting(40)

    def interrupted(*_):
        if stop.after == 0:
            raise KeyboardInterrupt
        stop.after = 0

    def function(at):
        if first(at):
            # From here, because the calling thread only waits.
            assert progress.reached.wait(PATIENCE)
            for _ in range(2):
                signal.pthread_kill(main.ident, signal.SIGINT)
                time.sleep(0.1)
            held.wait(PATIENCE)
        return stop.function(at)

    before = signal.signal(signal.SIGINT, interrupted)
    began = time.perf_counter()
    try:
        with pytest.raises(sweep.Interrupted) as stopped:
            run(path, engine=Local([Many(function, 2)]), stop=stop, progress=progress)
    finally:
        signal.signal(signal.SIGINT, before)
        took = time.perf_counter() - began
        held.set()
    assert took < PATIENCE / 2
    assert 40 <= stopped.value.safe == describe(path)["done"] <= 100
    assert describe(path)["writer"] is None
    assert run(path, resume=True).computed == 120 - stopped.value.safe
    assert_same(path, plain)


def test_error_of_the_function_goes_through_when_the_blocks_in_hand_are_safe(path, plain):
    """One fails while the first is still computed: nobody begins another, and the first is kept."""
    failing, seen = threading.Event(), []

    def function(at):
        seen.append(at)
        if first(at):
            assert failing.wait(PATIENCE)
            time.sleep(0.05)
            return evaluate(at)
        failing.set()
        raise ZeroDivisionError("no such cell")

    progress = Recorder()
    with pytest.raises(ZeroDivisionError) as failed:
        run(path, engine=Local([Many(function, 2)]), progress=progress)
    assert "20 of 120 points are safe" in failed.value.__notes__[0]
    assert describe(path)["done"] == progress.advanced() == 20
    assert len(seen) == 2
    assert run(path, resume=True).computed == 100
    assert_same(path, plain)


def test_the_first_of_two_errors_is_told(path):
    order = threading.Event()

    def function(at):
        if first(at):
            assert order.wait(PATIENCE)
            time.sleep(0.05)
            raise ArithmeticError("second")
        order.set()
        raise ZeroDivisionError("first")

    with pytest.raises(ZeroDivisionError, match="first"):
        run(path, engine=Local([Many(function, 2)]))
    assert list(path.parent.iterdir()) == []


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


def test_writer_that_fails_stops_the_sweep_and_keeps_what_is_safe(path, plain, monkeypatch):
    saved = []
    write = atomic.write

    def failing(where, data, beside=None):
        if where.parent == reading.parts_folder(path):
            if len(saved) == 2:
                raise OSError(28, "No space left on device")
            saved.append(where)
        write(where, data, beside)

    stop = Stopping(evaluate, 100)
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "write", failing)
        with pytest.raises(sweep.SweepError, match=r"No space left.*40 of 120 points are safe.*--resume"):
            run(path, stop.function)
    assert stop.calls <= 3 + local.WAITING
    assert run(path, resume=True).computed == 80
    assert_same(path, plain)


# ---------------------------------------------------------------- killed, and out of room


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


def test_killed_process_resumes_to_the_same_file(path, plain):
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
        # The one that was being written when it was killed is there or not.
        assert 20 * done < about["done"] < 120
        done = about["done"] // 20
    summary = run(path, resume=True)
    assert summary.computed == 120 - 20 * done
    assert_same(path, plain)
    assert not reading.parts_folder(path).exists()


@pytest.mark.parametrize("short", [100, 10_000])
def test_finished_file_that_does_not_fit_leaves_index_and_shards(path, plain, short):
    """Real write errors from the operating system while HDF5 writes: shards are smaller than the limit."""
    process = child(path, plain.stat().st_size - short)
    output, _ = process.communicate()
    assert process.returncode == 1, output
    assert "File too large; 120 of 120 points are safe" in output
    assert describe(path)["done"] == 120
    assert not list(path.parent.rglob("*.tmp"))
    assert run(path, resume=True).computed == 0
    assert_same(path, plain)
