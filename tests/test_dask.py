"""The Dask engine, on real worker processes: the file that `Local` writes, and what is left when one dies."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from gru_sweep import cli
from gru_sweep.records import Column, InputError
from gru_sweep.sweeps import atomic, pieces
from gru_sweep.sweeps.engines import cluster, roster
from gru_sweep.sweeps.engines.dask import Dask, GivenUp
from gru_sweep.sweeps.engines.local import Local
from gru_sweep.sweeps.grid import Axis, Grid
from gru_sweep.sweeps.store import Store
from gru_sweep.sweeps.sweep import Interrupted, Silent, Summary, SweepError, run

TESTS = Path(__file__).resolve().parent
GRID = Grid((Axis("a", np.arange(12.0)), Axis("b", np.linspace(1, 2, 7))))
"""A block is one `a`."""
COLUMNS = (
    Column("wave", (), (), np.dtype("f8"), "sin(a b)", "1"),
    Column("turns", ("slot",), (3,), np.dtype("i4"), "floors", "1"),
)
SOON = 20.0
"""Seconds for what takes a moment, on a busy machine."""


@dataclass(frozen=True)
class Waves:
    """sin(a b), and floors of it; the file `log` gets a line `a shrink pid` when a block begins.

    `mood` is a file: while it says `die A` the process kills itself at a = A, with `die A once` only the
    first one; with `fail A` an error is raised. `pause` is how long a block takes, in seconds.
    """

    log: Path
    mood: Path
    pause: float = 0.0
    at_once: int = 1

    def __call__(self, shrink: int = 0):
        def function(coordinates):
            a, b = coordinates["a"], coordinates["b"]
            with open(self.log, "a") as log:
                log.write(f"{a[0]:.0f} {shrink} {os.getpid()}\n")
            word, place, *once = (self.mood.read_text() if self.mood.exists() else "calm -1").split()
            if float(place) in a:
                if once:
                    self.mood.unlink()
                if word == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                if word == "fail":
                    raise ZeroDivisionError(f"at a = {place}")
            time.sleep(self.pause)
            return {"wave": np.sin(a * b), "turns": np.floor(np.outer(a * b, [1, 2, 3])).astype("i4")}

        function.at_once = lambda points: self.at_once
        return function

    def begun(self) -> Counter[int]:
        """How often each block was begun."""
        return Counter(int(line.split()[0]) for line in self._lines())

    def shrinks(self, a: int) -> list[int]:
        return [int(line.split()[1]) for line in self._lines() if line.split()[0] == str(a)]

    def _lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def children() -> set[psutil.Process]:
    """Processes of this one that have not ended, but Python's tracker of resources, which stays."""
    found = set()
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended meanwhile
            if one.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(one.cmdline()):
                found.add(one)
    return found


def cores_of() -> str:
    return ",".join(map(str, sorted(os.sched_getaffinity(0))))


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Iterator[Dask]:
    """Two workers of our own; other engines join them."""
    folder = tmp_path_factory.mktemp("two")
    with Dask(Waves(folder / "log", folder / "mood"), 2, about=cores_of) as engine:
        yield engine


@pytest.fixture
def waves(tmp_path) -> Waves:
    return Waves(tmp_path / "log", tmp_path / "mood")


@pytest.fixture
def expected(tmp_path, waves) -> dict[str, bytes]:
    quiet = Waves(tmp_path / "quiet", tmp_path / "quiet-mood")
    return contents(sweep(Local([quiet()]), tmp_path / "local.h5").file)


def sweep(engine, path: Path, **options) -> Summary:
    return run(engine, GRID, COLUMNS, path, fingerprint={"of": "waves"}, attributes={}, chunk=7, **options)


def contents(path: Path) -> dict[str, bytes]:
    with h5py.File(path) as file:
        assert file.attrs["complete"]
        return {name: file[name][()].tobytes() for name in ("a", "b", "wave", "turns")}


def safe(path: Path) -> set[int]:
    """The blocks that an unfinished file has."""
    with h5py.File(path) as file:
        return set(np.flatnonzero(np.isfinite(file["wave"][()]).all(axis=1)).tolist())


class Asked:
    """A wish to stop that comes when the file `log` has so many lines."""

    def __init__(self, waves: Waves, after: int):
        self.waves, self.after = waves, after

    @property
    def requested(self) -> bool:
        return self.waves.begun().total() >= self.after


class Told(Silent):
    """Adds up the points that are safe."""

    points = 0

    def advance(self, n: int) -> None:
        self.points += n


@pytest.mark.parametrize("order", [1, -1, 5])
def test_two_workers_write_what_one_process_writes_in_any_order(
    two, waves, expected, tmp_path, monkeypatch, order
):
    def shuffled(self):
        blocks = [self.layout.blocks[order * i % GRID.axes[0].size] for i in range(GRID.axes[0].size)]
        return (block for block in blocks if not self._known(block))

    monkeypatch.setattr(Store, "missing", shuffled)
    told = Told()
    with Dask(waves, two.address) as engine:
        summary = sweep(engine, tmp_path / "x.h5", progress=told)
    assert contents(summary.file) == expected
    assert summary.complete
    assert told.points == summary.computed == GRID.size
    assert waves.begun() == Counter(range(12))
    assert len({line.split()[2] for line in waves._lines()}) == 2


def test_one_worker_alone(waves, expected, tmp_path):
    """The file is the same; a second Ctrl-C waits for no block; nothing is left of the cluster."""
    slow = Waves(tmp_path / "slow", tmp_path / "mood", pause=10 * SOON)

    def interrupted():
        with Dask(waves, 1) as engine:
            assert len(children() - before) == 1
            assert contents(sweep(engine, tmp_path / "x.h5").file) == expected
            with Dask(slow, engine.address) as other:
                sweep(other, tmp_path / "y.h5", stop=Broken(slow))

    before, began = children(), time.monotonic()
    with pytest.raises(Interrupted):
        interrupted()
    assert time.monotonic() < began + slow.pause
    assert waves.begun() == Counter(range(12))
    assert slow.begun() == Counter([0])
    assert children() <= before


class Broken(Asked):
    """A Ctrl-C that nobody caught, when the first block has begun."""

    def __init__(self, waves: Waves):
        super().__init__(waves, 1)

    @property
    def requested(self) -> bool:
        if super().requested:
            raise KeyboardInterrupt
        return False


@dataclass(frozen=True)
class Hungry:
    """Takes all the memory that one worker may have, unless its batches are smaller."""

    waves: Waves

    def __call__(self, shrink: int = 0):
        function = self.waves(shrink)

        def hungry(coordinates):
            values = function(coordinates)
            if 5 in coordinates["a"] and not shrink:
                taken = np.ones(LIMIT // 8)
                time.sleep(SOON)
                assert taken.all()
            return values

        return hungry


LIMIT = 700_000_000
"""Bytes for a worker that needs a third of it to be there at all."""


def test_a_worker_out_of_memory_ends_and_its_block_comes_back_smaller(waves, expected, tmp_path, monkeypatch):
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", LIMIT)
    with Dask(Hungry(waves), 1) as engine:
        assert contents(sweep(engine, tmp_path / "x.h5").file) == expected
    assert waves.begun() == Counter([*range(12), 5])
    assert waves.shrinks(5) == [0, 1]


def test_workers_that_cannot_say_what_they_compute_on_are_refused(two, waves):
    with (
        Dask(waves, two.address, about=waves.mood.read_text) as engine,
        pytest.raises(InputError, match=r"--workers: expected a scheduler and workers .*No such file"),
    ):
        engine.describe()


def test_workers_have_cores_of_their_own_and_listen_to_this_machine_alone(two):
    kinds = two.describe()
    assert sum(kinds.values()) == 2
    shares = [set(kind.split(",")) for kind in kinds]
    cores = os.sched_getaffinity(0)
    assert set().union(*shares) <= {str(core) for core in cores}
    if len(cores) > 1:
        assert len(shares) == 2
        assert not set.intersection(*shares)
        assert {len(share) for share in shares} == {len(cores) // 2}
    this = psutil.Process()
    listening = {
        connection.laddr.ip
        for process in (this, *this.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {cluster.HOST}


def test_the_block_that_a_worker_died_of_comes_back_smaller_and_no_other_one_does(
    two, waves, expected, tmp_path, caplog
):
    waves.mood.write_text("die 4 once")
    told = Told()
    with Dask(waves, two.address) as engine:
        summary = sweep(engine, tmp_path / "x.h5", progress=told)
    assert contents(summary.file) == expected
    assert waves.begun() == Counter([*range(12), 4])
    assert waves.shrinks(4) == [0, 1]
    assert "block 4 is tried again" in caplog.text
    assert told.points == GRID.size


def test_a_block_that_kills_every_worker_is_given_up_and_the_others_are_done(two, waves, expected, tmp_path):
    waves.mood.write_text("die 0")
    path = tmp_path / "x.h5"
    with Dask(waves, two.address) as engine:
        with pytest.raises(GivenUp, match=r"7 points .* block 0 \(a 0 to 0, b 1 to 2\); --resume") as found:
            sweep(engine, path)
        assert [block.index for block in found.value.blocks] == [0]
        assert "77 of 84 points are safe" in " ".join(found.value.__notes__)
        assert waves.shrinks(0) == [*range(roster.DEATHS)]
        assert waves.begun() == Counter([*range(12), 0, 0])
        waves.mood.unlink()
        summary = sweep(engine, path, resume=True)
    assert contents(summary.file) == expected
    assert waves.begun() == Counter([*range(12), 0, 0, 0])


def test_an_error_of_the_function_ends_the_sweep_and_blocks_in_hand_are_kept(
    two, waves, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(roster, "SHORT", 0.0)
    waves.mood.write_text("fail 5")
    path = tmp_path / "x.h5"
    with Dask(waves, two.address) as engine:
        with pytest.raises(ZeroDivisionError, match="at a = 5") as found:
            sweep(engine, path)
        assert "are safe" in " ".join(found.value.__notes__)
        done = safe(path)
        # Whatever was begun, but the block that failed, was finished.
        assert set(waves.begun()) - done == {5}
        waves.mood.unlink()
        assert contents(sweep(engine, path, resume=True).file) == expected
    assert waves.begun() == Counter([*range(12), 5])


def test_values_that_do_not_fit_are_refused(two, tmp_path):
    with Dask(Ragged(), two.address) as engine, pytest.raises(ValueError, match="wave: expected shape"):
        sweep(engine, tmp_path / "x.h5")


@dataclass(frozen=True)
class Ragged:
    def __call__(self, shrink: int = 0):
        return lambda coordinates: {"wave": np.zeros(3), "turns": np.zeros((7, 3), "i4")}


@pytest.mark.parametrize("short", [0.0, SOON])
def test_a_wish_to_stop_finishes_what_is_begun(two, tmp_path, expected, monkeypatch, short):
    """Where blocks wait at the workers, one may be taken back in the moment in which it begins."""
    monkeypatch.setattr(roster, "SHORT", short)
    waves = Waves(tmp_path / "log", tmp_path / "mood", pause=0.1)
    path = tmp_path / "x.h5"
    with Dask(waves, two.address) as engine:
        with pytest.raises(Interrupted, match="points are safe"):
            sweep(engine, path, stop=Asked(waves, 5))
        done, begun = safe(path), waves.begun()
        assert done <= set(begun)
        assert len(set(begun) - done) <= (2 if short else 0)
        assert 3 <= len(done) < 12
        assert contents(sweep(engine, path, resume=True).file) == expected
    assert all(waves.begun()[a] == 1 for a in done)


def test_a_worker_that_does_not_see_the_folder_sends_the_bytes(two, waves, expected, tmp_path, monkeypatch):
    # The same name, and another folder for each process.
    monkeypatch.chdir(tmp_path)
    written: list[Path] = []
    monkeypatch.setattr(
        atomic, "write", lambda path, *rest, write=atomic.write: (written.append(path), write(path, *rest))
    )
    path = Path("/proc/self/cwd/x.h5")
    with Dask(waves, two.address) as engine:
        assert contents(sweep(engine, path).file) == expected
    assert len([one for one in written if one.suffix == ".h5" and one.parent.name == "x.h5.parts"]) == 12
    assert not [part for part in tmp_path.iterdir() if part.name.endswith(".parts")]


def test_a_piece_that_a_lost_worker_wrote_after_all_is_not_computed_again(two, waves, expected, tmp_path):
    path = tmp_path / "x.h5"
    options = {"chunk": 7, "fingerprint": {"of": "waves"}, "attributes": {}}
    with Dask(waves, two.address) as engine, Store(path, GRID, COLUMNS, **options) as store:
        block = store.layout.blocks[6]
        quiet = Waves(tmp_path / "quiet", tmp_path / "quiet-mood")()
        values = quiet(GRID.coordinates(block))
        atomic.write(store.place(block), pieces.image(store.layout.form, block.shape, values, 1.0))
        engine.fill(store, Silent(), None)
        store.finish()
    assert contents(path) == expected
    assert waves.begun() == Counter({*range(12)} - {6})


@pytest.fixture
def foreign(tmp_path) -> Iterator[tuple[psutil.Popen, Path]]:
    """A scheduler that hands nothing on after a death, and a worker of two threads; its process and file."""
    place = tmp_path / "scheduler.json"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    }
    where = ["--host", cluster.HOST, "--no-dashboard"]
    started = [
        psutil.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{who}", "--scheduler-file", str(place), *options],
            env=environment,
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
        )
        for who, options in (
            ("scheduler", [*where, "--port", "0"]),
            ("worker", [*where, "--nthreads", "2", "--death-timeout", "20"]),
        )
    ]
    try:
        until = time.monotonic() + SOON
        while not place.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        yield started[0], place
    finally:
        for process in (*itertools.chain(*(one.children(recursive=True) for one in started)), *started):
            process.kill()
        for process in started:
            process.wait()


def test_a_scheduler_of_somebody_else(foreign, tmp_path, expected):
    """Its count of deaths does not matter; and when it goes, what was committed is safe."""
    scheduler, place = foreign
    waves = Waves(tmp_path / "log", tmp_path / "mood", pause=0.05, at_once=2)
    waves.mood.write_text("die 3 once")
    path = tmp_path / "x.h5"
    with Dask(waves, str(place)) as engine:
        assert sum(engine.describe().values()) == 1
        assert contents(sweep(engine, tmp_path / "y.h5").file) == expected
        assert waves.shrinks(3) == [0, 1]
        # A neighbour that the same process computed died with it.
        again = [a for a, times in waves.begun().items() if times > 1]
        assert 3 in again
        assert len(again) <= 2
        assert all(waves.shrinks(a) == [0, 1] for a in again)
        waves.log.unlink()
        with pytest.raises(SweepError, match=r"connection to the Dask scheduler .* is lost; .* are safe"):
            sweep(engine, path, progress=Killing(scheduler))
    done = safe(path)
    assert 0 < len(done) < 12
    assert contents(sweep(Local([waves()]), path, resume=True).file) == expected
    assert all(waves.begun()[a] == 1 for a in done)


class Killing(Silent):
    """Kills a process when the second block is committed."""

    def __init__(self, process: psutil.Popen):
        self.process, self.blocks = process, 0

    def advance(self, n: int) -> None:
        self.blocks += 1
        if self.blocks == 2:
            self.process.kill()


DRIVER = """
import signal, sys
from pathlib import Path
import psutil
import test_dask as t
from gru_sweep.sweeps.engines.dask import Dask
from gru_sweep.sweeps.sweep import Interrupted

class Stop:
    requested = False

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    stop = Stop()
    signal.signal(signal.SIGINT, lambda *_: setattr(stop, "requested", True))
    with Dask(t.Waves(folder / "log", folder / "mood", pause=0.3), 1) as engine:
        workers = {one.pid for one in psutil.Process().children(recursive=True)}
        print(*workers, flush=True)
        try:
            t.sweep(engine, folder / "x.h5", stop=stop)
        except Interrupted as error:
            alive = {one.pid for one in psutil.Process().children(recursive=True)}
            print(alive == workers, error, flush=True)
        t.sweep(engine, folder / "x.h5", resume=True)
"""


def test_ctrl_c_is_for_the_driver_alone_and_no_worker_outlives_it(tmp_path):
    """The terminal sends SIGINT to the whole group; SIGKILL leaves the driver no time to tell anybody."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    waves = Waves(tmp_path / "log", tmp_path / "mood")
    driver = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    workers = [psutil.Process(int(pid)) for pid in driver.stdout.readline().split()]
    try:
        assert workers, driver.communicate()
        begun = waits_for(lambda: waves.begun().total(), 1)
        os.killpg(driver.pid, signal.SIGINT)
        alive, _, words = driver.stdout.readline().partition(" ")
        assert alive == "True"
        assert "points are safe" in words, words
        waits_for(lambda: waves.begun().total(), begun + 2)
        driver.kill()
        assert driver.wait() == -signal.SIGKILL
        assert psutil.wait_procs(workers, timeout=SOON)[1] == []
        assert not re.search("distributed|Traceback", driver.stderr.read())
        assert set(waves.begun().values()) == {1}
    finally:
        for process in (driver, *workers):
            if process.poll() is None if process is driver else process.is_running():
                process.kill()
        driver.communicate()


def waits_for(count, least: int) -> int:
    until = time.monotonic() + SOON
    while count() < least:
        assert time.monotonic() < until
        time.sleep(0.05)
    return count()


def test_what_is_not_there_is_refused_before_any_work(waves, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT", 1.0)
    with socket.socket() as free:
        free.bind((cluster.HOST, 0))
        nobody = f"tcp://{cluster.HOST}:{free.getsockname()[1]}"
    broken = tmp_path / "scheduler.json"
    broken.write_text(json.dumps({"id": 3}))
    for workers in (nobody, "carrier-pigeon://coop", str(broken), str(tmp_path / "absent.json"), 0, -1):
        with pytest.raises(InputError, match=r"^--workers: expected [^\n]*$"), Dask(waves, workers):
            pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(InputError, match=r"--engine: expected dask.distributed \(pip install"),
        Dask(waves, 1),
    ):
        pass


def test_a_process_for_each_gpu(monkeypatch):
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: name)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5a")
    assert cluster.visible_gpus() == ["3", "GPU-5a"]
    assert cluster._places(2, None) == [{"CUDA_VISIBLE_DEVICES": "3"}, {"CUDA_VISIBLE_DEVICES": "GPU-5a"}]
    assert cluster._places(1, "gpu") == [{"CUDA_VISIBLE_DEVICES": "3"}]
    assert "CUDA_VISIBLE_DEVICES" not in cluster._places(3, "cpu")[0]
    with pytest.raises(InputError, match="--workers: expected at most 2"):
        cluster._places(3, None)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert cluster.visible_gpus() == []
    with pytest.raises(InputError, match="--device"):
        cluster._places(1, "gpu")


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 3, 5, 7, 11}, raising=False)
    named = [[place[cluster.CORES] for place in cluster._places(n, "cpu")] for n in (1, 2, 5, 7)]
    assert named[0] == ["2,3,5,7,11"]
    assert named[1] == ["2,3", "5,7"]
    assert named[2] == ["2", "3", "5", "7", "11"]
    assert named[3] == ["2", "3", "5", "7", "11", "2", "3"]


def test_the_command_line_gives_the_same_bits_with_either_engine(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plane = ["run", "hopf", "--axis", "alpha=0.1:3:6", "--axis", "beta=1.2:3:5", "--chunk", "10", "--json"]

    def said(*arguments: str) -> tuple[int, dict]:
        monkeypatch.setattr(sys, "argv", ["gru-sweep", *plane, *arguments])
        return cli.main(), json.loads(capsys.readouterr().out)

    assert said("--out", "here.h5")[0] == 0
    status, about = said("--out", "there.h5", "--engine", "dask", "--workers", "1")
    assert (status, about["computed"], about["complete"]) == (0, 30, True)
    assert about["device"].startswith("1 x cpu")
    with h5py.File("here.h5") as here, h5py.File("there.h5") as there:
        assert set(here) == set(there)
        for name in set(here) - {"configuration"}:
            assert here[name][()].tobytes() == there[name][()].tobytes() or here[name].dtype.kind == "O"
        assert int((here["n_stable_cycles"][()] == 1).sum()) == 3
    status, about = said("--out", "there.h5", "--engine", "dask", "--workers", "nowhere:1", "--resume")
    assert (status, about["computed"]) == (0, 0)  # there is nothing to do, and nobody is asked
