"""The engine of this process: threads, several devices, and how many blocks are in hand."""

import threading
import time
import weakref
from collections import Counter

import numpy as np
import pytest

from gru_sweep.sweeps import atomic, layout
from gru_sweep.sweeps.engines import local
from gru_sweep.sweeps.engines.local import Local
from test_store import assert_same, evaluate, grid
from test_sweep import PATIENCE, Many, Waiting, first, run


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "map.h5"
    run(path)
    return path


@pytest.mark.parametrize("threads", [(1,), (3,), (1, 1), (2, 3)])
def test_each_missing_block_is_computed_once_whoever_does_it(path, plain, monkeypatch, threads):
    """Whatever the devices and their threads, the order of the blocks, and the shards: the same values."""
    monkeypatch.setattr(layout, "MAX_SHARDS", 2)
    guard, seen, where = threading.Lock(), Counter(), set()
    rng = np.random.default_rng(0)

    def function(at):
        with guard:
            seen[at["x"][0]] += 1
            where.add(threading.current_thread())
            pause = rng.uniform(0, 0.01)
        time.sleep(pause)
        return evaluate(at)

    devices = [function if n == 1 else Many(function, n) for n in threads]
    summary = run(path, engine=Local(devices))
    assert summary.computed == 120
    assert sorted(seen) == sorted(grid().axes[0].values[::2])
    assert set(seen.values()) == {1}
    assert threading.current_thread() not in where
    assert 1 <= len(where) <= sum(threads)
    assert [device.asked for device in devices if isinstance(device, Many)] == [
        [20] for n in threads if n > 1
    ]
    assert_same(path, plain)


def test_every_device_has_its_own_threads(path):
    """Two functions of one thread each, which wait for one another: neither ever computes alone."""
    meet = threading.Barrier(2)

    def device(name):
        def function(at):
            meet.wait(PATIENCE)
            taken.append(name)
            return evaluate(at)

        return function

    taken = []
    run(path, engine=Local([device("one"), device("two")]))
    assert Counter(taken) == {"one": 3, "two": 3}


def test_a_slow_block_holds_up_nobody(path, plain):
    progress = Waiting(100)

    def function(at):
        assert not first(at) or progress.reached.wait(PATIENCE)
        return evaluate(at)

    run(path, engine=Local([Many(function, 2)]), progress=progress)
    assert progress.advanced() == 120
    assert_same(path, plain)


@pytest.mark.parametrize("threads", [1, 3])
def test_memory_is_bounded_by_the_blocks_in_hand(path, monkeypatch, threads):
    """While the disk is slow, computing waits."""
    guard, alive, most = threading.Lock(), 0, 0
    write = atomic.write

    def slow(*arguments):
        time.sleep(0.01)
        write(*arguments)

    def dead():
        nonlocal alive
        with guard:
            alive -= 1

    def function(at):
        nonlocal alive, most
        values = evaluate(at)
        weakref.finalize(values["period"], dead)
        with guard:
            alive += 1
            most = max(most, alive)
        return values

    monkeypatch.setattr(atomic, "write", slow)
    run(path, engine=Local([Many(function, threads)]), chunk=5)
    # The last, because the loop still names the block before when it waits for the next.
    assert threads < most <= threads + local.WAITING + 1
