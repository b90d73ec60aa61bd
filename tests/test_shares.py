"""Who may write one file: locks, a single writer, or the jobs of an array with a share each."""

import os
import threading

import numpy as np
import pytest

from gru_sweep.records import InputError
from gru_sweep.sweeps import lock, reading
from gru_sweep.sweeps import store as store_module
from gru_sweep.sweeps.store import Share, describe
from test_store import (
    FINGERPRINT,
    assert_same,
    check_by_xarray,
    commit,
    computed,
    flipped,
    folder_state,
    grid,
    inside,
    opened,
    parts_of,
    written,
)

# ---------------------------------------------------------------- locks


def test_lock_is_not_left_on_a_removed_file(tmp_path):
    first = lock.Lock(tmp_path / "lock")
    assert lock.holder(tmp_path / "lock").endswith(f"pid {os.getpid()}")
    for shared in (False, True):
        with pytest.raises(lock.Held, match=f"pid {os.getpid()}"):
            lock.Lock(tmp_path / "lock", shared=shared)
    first.release()
    assert not (tmp_path / "lock").exists()
    assert lock.holder(tmp_path / "lock") is None
    lock.Lock(tmp_path / "lock").release()


def test_shared_lock_lives_until_the_last_lets_go(tmp_path):
    first, second = (lock.Lock(tmp_path / "lock", shared=True) for _ in range(2))
    with pytest.raises(lock.Held):
        lock.Lock(tmp_path / "lock")
    first.release()
    assert lock.holder(tmp_path / "lock") is not None
    with pytest.raises(lock.Held):
        lock.Lock(tmp_path / "lock")
    second.release()
    assert not (tmp_path / "lock").exists()


def test_a_killed_holder_leaves_a_file_that_holds_up_nobody(tmp_path):
    (tmp_path / "lock").write_text("elsewhere pid 1")
    assert lock.holder(tmp_path / "lock") is None
    taken = lock.Lock(tmp_path / "lock")
    assert lock.holder(tmp_path / "lock").endswith(f"pid {os.getpid()}")
    taken.release()


def test_a_lock_that_is_waited_for_comes_when_its_holder_lets_go(tmp_path, monkeypatch):
    first, got = lock.Lock(tmp_path / "lock"), []
    waiting = threading.Thread(target=lambda: got.append(lock.Lock(tmp_path / "lock", wait=True)))
    waiting.start()
    waiting.join(0.1)
    assert not got
    first.release()
    waiting.join(lock.PATIENCE)
    got.pop().release()
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    held = lock.Lock(tmp_path / "lock")
    with pytest.raises(lock.Held):
        lock.Lock(tmp_path / "lock", wait=True)
    held.release()


# ---------------------------------------------------------------- the jobs of an array


@pytest.mark.parametrize(
    ("text", "share"), [("0/3", (0, 3)), ("1/3", (1, 3)), ("2/3", (2, 3)), ("3/3", (0, 3)), ("1/1", (0, 1))]
)
def test_shares_count_from_zero_or_from_one(text, share):
    assert Share.parse(text) == Share(*share)


@pytest.mark.parametrize(
    "text", ["", "3", "/", "1/", "/3", "4/3", "-1/3", "0/0", "1/0", "1/-3", "a/3", "1/3/3", "1.5/3", "1:3"]
)
def test_what_is_no_share_is_refused(text):
    with pytest.raises(InputError, match="shard: expected I/N"):
        Share.parse(text)


@pytest.mark.parametrize("jobs", [1, 3, 20])
def test_shares_are_all_blocks_once(path, few, jobs):
    stores = [opened(path, grid(), chunk=10, share=Share(job, jobs)) for job in range(jobs)]
    own = [list(store.missing()) for store in stores]
    assert sorted(block.index for blocks in own for block in blocks) == list(range(12))
    for store, blocks in zip(stores, own, strict=True):
        assert store.total == sum(block.size for block in blocks)
        assert store.done == 0
        store.close()
    with opened(path, grid(), chunk=10, resume=True) as store:
        assert store.total == 120


def test_jobs_write_side_by_side_and_whoever_comes_last_has_little_to_do(path, few):
    with (
        opened(path, grid(), chunk=10, share=Share(0, 2)) as one,
        opened(path, grid(), chunk=10, share=Share(1, 2)) as two,
    ):
        assert one.token == two.token
        while True:
            todo = [next(store.missing(), None) for store in (one, two)]
            if todo == [None, None]:
                break
            for store, block in zip((one, two), todo, strict=True):
                store.commit(block, computed(store, block), 0.5)
            assert describe(path)["done"] == one.done + two.done
        assert (one.total, one.done, two.total, two.done) == (60, 60, 60, 60)
        assert one.whole
        assert two.whole
        assert describe(path)["writer"].endswith(f"pid {os.getpid()}")
        check_by_xarray(path, grid(), np.ones((12, 10), bool))
        assert [name.count("-") for name in parts_of(path)] == [1] * one.layout.shards.total
    assert not describe(path)["complete"]
    with opened(path, grid(), chunk=10, resume=True) as store:
        assert store.done == 120
        store.finish()
    assert_same(path, written(path.with_name("plain.h5"), grid(), chunk=10))
    assert describe(path)["attributes"]["seconds"] == 0.5 * 12
    assert not reading.parts_folder(path).exists()


def test_jobs_go_on_where_they_were_stopped_and_a_whole_sweep_goes_on_for_all(path, few):
    for share, count in ((Share(0, 2), 4), (Share(1, 2), 1), (Share(0, 2), 1)):
        with opened(path, grid(), chunk=10, share=share) as store:
            commit(store, count)
    with opened(path, grid(), chunk=10, share=Share(0, 2)) as store:
        assert (store.done, store.total, store.whole) == (50, 60, False)
        commit(store)
        assert (store.done, store.whole) == (60, False)
    with opened(path, grid(), chunk=10, resume=True) as store:
        assert store.done == 70
        commit(store)
        store.finish()
    assert_same(path, written(path.with_name("plain.h5"), grid(), chunk=10))
    for options, points in (({"resume": True}, 120), ({"share": Share(1, 2)}, 60)):
        with opened(path, grid(), **options) as store:
            assert store.finished
            assert store.done == store.total == points


def test_who_may_write_beside_whom(path):
    me = f"held by .* pid {os.getpid()}"
    with opened(path, grid(), share=Share(0, 2)) as store:
        commit(store, 1)
        for options in ({"share": Share(0, 2)}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(InputError, match=me):
                opened(path, grid(), **options)
        with opened(path, grid(), share=Share(1, 2)) as other:
            commit(other, 1)
        # One job has ended, and the other still keeps the whole sweep out.
        with pytest.raises(InputError, match=me):
            opened(path, grid(), resume=True)
        before = folder_state(path.parent)
        with pytest.raises(InputError, match="family = tea"):
            opened(path, grid(), share=Share(1, 2), fingerprint={**FINGERPRINT, "family": "tea"})
        assert folder_state(path.parent) == before
    with opened(path, grid(), resume=True) as store:
        assert store.done == 40
        with pytest.raises(InputError, match=me):
            opened(path, grid(), share=Share(1, 2))
    assert sorted(part.name for part in reading.parts_folder(path).iterdir()) == parts_of(path)


def test_jobs_that_start_at_once_write_one_index(path, few):
    jobs, begun, tokens, errors = 6, threading.Barrier(6), set(), []

    def work(job):
        try:
            begun.wait()
            with opened(path, grid(), chunk=10, share=Share(job, jobs)) as store:
                commit(store)
                tokens.add(store.token)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(job,)) for job in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(tokens) == 1
    with opened(path, grid(), chunk=10, resume=True) as store:
        assert (store.done, store.damaged) == (120, 0)
        store.finish()
    assert_same(path, written(path.with_name("plain.h5"), grid(), chunk=10))


@pytest.mark.parametrize("name", ["amplitude", "seconds"])
def test_a_damaged_piece_of_another_job_is_never_sealed_into_a_shard(path, few, name):
    with opened(path, grid(), chunk=10, share=Share(0, 2)) as store:
        commit(store)
    part = reading.parts_folder(path) / parts_of(path)[0]
    seconds = part.read_bytes().index(np.float64(0.5).tobytes())
    flipped(part, inside(part, name) if name == "amplitude" else seconds)
    with opened(path, grid(), chunk=10, share=Share(1, 2)) as store:
        commit(store)
        assert store.done == store.total
        assert not store.whole
    with opened(path, grid(), chunk=10, resume=True) as store:
        assert [block.index for block in store.missing()] == [0]
        commit(store)
        store.finish()
    assert_same(path, written(path.with_name("plain.h5"), grid(), chunk=10))
    assert describe(path)["attributes"]["seconds"] == 0.5 * 12


def test_a_job_that_looks_while_another_merges_loses_nothing(path, few, monkeypatch):
    """What it saw in the folder, and then was gone, is in the shard."""
    with opened(path, grid(), chunk=10, share=Share(0, 2)) as one:
        merging = lock.Lock(reading.parts_folder(path) / "lock-merging")
        commit(one)
        with opened(path, grid(), chunk=10, share=Share(1, 2)) as two:
            commit(two)
        merging.release()
        assert {name.count("-") for name in parts_of(path)} == {2}

        def seen(*where):
            found = reading.on_disk(*where)
            one._gather(one.layout.shards[1])
            return found

        monkeypatch.setattr(store_module, "on_disk", seen)
        with opened(path, grid(), chunk=10, share=Share(1, 2)) as two:
            assert (two.done, two.damaged) == (60, 0)
            assert list(two.missing()) == []
            assert two.whole


def test_a_job_that_wrote_nothing_leaves_the_index_to_the_others(path):
    with opened(path, grid(), share=Share(0, 2)) as store:
        assert store.done == 0
    assert describe(path)["done"] == 0
    with opened(path, grid(), share=Share(1, 2)) as store:
        commit(store)
    assert describe(path)["done"] == 60
