"""What lies on the disk while a sweep is written: pieces, shards, seals; and what damage does to them."""

import io
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from gru_sweep.records import Column, InputError
from gru_sweep.sweeps import atomic, layout, pieces, reading
from gru_sweep.sweeps.store import describe
from test_store import (
    ATTRIBUTES,
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

# ---------------------------------------------------------------- pieces and shards


def test_blocks_come_in_any_order_and_a_shard_is_one_file_as_soon_as_it_is_whole(path, few):
    """A reader opens all shards at once: their number is bounded, and the file is the same."""
    with opened(path, grid(), chunk=3) as store:
        blocks = list(store.layout.blocks)
        done = np.zeros((12, 10), bool)
        for i in np.random.default_rng(0).permutation(len(blocks)):
            store.commit(blocks[i], computed(store, blocks[i]), 0.5)
            done[blocks[i].slices] = True
            # What is there, by name: a shard, or those of its blocks that are done, never both.
            there = {place.name for place in map(store.place, blocks)} & set(parts_of(path))
            whole = [
                shard
                for shard in store.layout.shards
                if done[store.layout.region(shard).slices].all() and shard.size > 1
            ]
            merged = {reading.shard_path(path, store.token, shard).name for shard in whole}
            assert set(parts_of(path)) == there | merged
            gone = sum(shard.size for shard in whole)
            assert len(there) + gone == int(np.sum([done[b.slices].all() for b in blocks]))
        assert len(parts_of(path)) == store.layout.shards.total <= 5
        assert store.done == 120
        assert store.whole
        check_by_xarray(path, grid(), np.ones((12, 10), bool))
        store.finish()
    assert_same(path, written(path.with_name("plain.h5"), grid(), chunk=3))


def test_unfinished_file_shows_whole_shards_and_counts_all_blocks(path, few):
    with opened(path, grid(), chunk=3) as store:
        first, second = list(store.layout.shards)[:2]
        members = [*store.layout.members(first), next(iter(store.layout.members(second)))]
        for block in members:
            store.commit(block, computed(store, block), 0.5)
        region, done = store.layout.region(first), np.zeros((12, 10), bool)
        done[region.slices] = True
        check_by_xarray(path, grid(), done)
        assert describe(path)["done"] == store.done == region.size + members[-1].size
        assert describe(path)["counts"]["not_computed"] == 120 - region.size


def test_place_is_a_file_of_the_block_alone_or_its_shards(path, few):
    with opened(path, grid(), chunk=3) as store:
        places = [store.place(block) for block in store.layout.blocks]
        assert len(set(places)) == len(places)
        assert {place.parent for place in places} == {reading.parts_folder(path)}
        assert all(place.name.startswith(store.token) for place in places)
    with opened(path.with_name("one.h5"), grid(), chunk=30) as store:
        for shard, block in zip(store.layout.shards, store.layout.blocks, strict=True):
            assert store.place(block) == reading.shard_path(store.path, store.token, shard)


def test_a_piece_that_somebody_else_wrote_is_entered_once(path, few):
    with opened(path, grid(), chunk=10) as store:
        for block in list(store.missing())[::-1]:
            piece = pieces.image(store.layout.form, block.shape, computed(store, block), 0.5)
            atomic.write(store.place(block), piece)
            before = store.done
            store.enter(block)
            store.enter(block)
            assert store.done == before + block.size
        assert list(store.missing()) == []
        store.finish()
    assert_same(path, written(path.with_name("plain.h5"), grid(), chunk=10))
    assert describe(path)["attributes"]["seconds"] == 0.5 * 12


def test_every_file_ends_in_a_seal_that_any_change_breaks(path, few):
    with opened(path, grid(), chunk=10) as store:
        commit(store, 8)
    files = [path, *(reading.parts_folder(path) / name for name in parts_of(path))]
    files.append(written(path.with_name("done.h5"), grid()))
    assert {len(name.split("-")) for name in parts_of(path)} == {2, 3}, "shards and single pieces"
    rng = np.random.default_rng(0)
    for file in files:
        assert atomic.sealed(file)
        assert atomic.sound(file)
        whole = file.read_bytes()
        for at in (0, *rng.integers(0, len(whole), 3), len(whole) - 1):
            flipped(file, at)
            assert not atomic.sound(file)
            flipped(file, at)
        for wrong in (whole[:-1], whole + b"\n", b""):
            file.write_bytes(wrong)
            assert not atomic.sound(file)
        file.write_bytes(whole)
        assert atomic.sound(file)
    assert not atomic.sound(path.with_name("none.h5"))


# ---------------------------------------------------------------- an index that is lost


def spoil(path, how):
    """Damage the index."""
    if how == "gone":
        path.unlink()
    elif how == "text":
        path.write_text("alpha beta\n")
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    else:
        # A letter of an attribute, which no checksum of HDF5 covers.
        flipped(path, path.read_bytes().index(ATTRIBUTES["title"].encode()))


SPOILT = ["gone", "text", "truncated", "flipped"]


@pytest.mark.parametrize("how", SPOILT)
def test_a_lost_index_is_written_anew_from_the_shards_of_just_this_sweep(path, few, how):
    with opened(path, grid(), chunk=10) as store:
        commit(store, 8)
        token = store.token
    before = folder_state(path.parent)
    del before[Path(path.name)]
    spoil(path, how)
    with opened(path, grid(), chunk=10, resume=True) as store:
        assert store.rescued
        assert (store.token, store.done, store.damaged) == (token, 80, 0)
        assert describe(path)["done"] == 80
        after = folder_state(path.parent)
        assert {name: after[name] for name in before} == before
        commit(store)
        store.finish()
    assert_same(path, written(path.with_name("plain.h5"), grid(), chunk=10))
    assert not reading.parts_folder(path).exists()


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("other", ["not asked", "fingerprint", "grid", "chunk", "two tokens"])
def test_shards_of_another_sweep_are_neither_taken_nor_thrown_away(path, how, other):
    with opened(path, grid()) as store:
        commit(store, 2)
        token = store.token
    of, options = grid(), {"resume": True}
    if other == "not asked":
        options = {}
    elif other == "fingerprint":
        options["fingerprint"] = {**FINGERPRINT, "family": "tea"}
    elif other == "grid":
        of = grid(12, 11)
    elif other == "chunk":
        options["chunk"] = 24
    else:
        # Those of a second sweep, of just the same things, that was to take the place of the first.
        parts = reading.parts_folder(path)
        last = "0" if token[-1] != "0" else "1"
        shutil.copy(parts / parts_of(path)[0], parts / f"{token[:-1]}{last}-0000.h5")
    spoil(path, how)
    before = folder_state(path.parent)
    with pytest.raises(InputError, match=r"--resume|--out"):
        opened(path, of, **options)
    assert folder_state(path.parent) == before
    written(path, of, **{**options, "resume": False, "overwrite": True})
    assert not reading.parts_folder(path).exists()
    assert describe(path)["complete"]


# ---------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """By kind of part: how the sweep is cut, a folder with one that is half done, the finished file."""
    made = {}
    for kind, chunk, count in (("only", 25, 3), ("shard", 10, 8), ("piece", 10, 8)):
        folder = tmp_path_factory.mktemp(kind)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(layout, "MAX_SHARDS", 6 if kind == "only" else 5)
            with opened(folder / "map.h5", grid(), chunk=chunk) as store:
                commit(store, count)
        made[kind] = chunk, folder, written(folder / "plain.h5", grid(), chunk)
    return made


@pytest.mark.parametrize("damage", ["flip", "attribute", "seal", "truncate", "empty", "gone"])
@pytest.mark.parametrize("kind", ["only", "shard", "piece"])
def test_damaged_part_is_computed_again_and_nothing_else(tmp_path, monkeypatch, halves, damage, kind):
    """Of a shard of one block, of a merged shard, and of a piece of a shard that is not whole yet."""
    chunk, folder, plain = halves[kind]
    monkeypatch.setattr(layout, "MAX_SHARDS", 6 if kind == "only" else 5)
    path = shutil.copytree(folder, tmp_path / "copy") / "map.h5"
    done = describe(path)["done"]
    names = [name for name in parts_of(path) if (name.count("-") == 2) == (kind == "piece")]
    part = reading.parts_folder(path) / names[1]
    with h5py.File(part) as file:
        lost = file["status"].size
        seconds = part.read_bytes().index(np.float64(file.attrs["seconds"]).tobytes())
    if damage in ("flip", "attribute", "seal"):
        flipped(part, {"flip": inside(part, "amplitude"), "attribute": seconds, "seal": -2}[damage])
    elif damage == "gone":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:-100] if damage == "truncate" else b"")
    seen = []
    with opened(path, grid(), chunk=chunk, resume=True) as store:
        assert store.damaged == (damage != "gone")
        assert store.done == done - lost
        for block in store.missing():
            seen.append(block.size)
            store.commit(block, computed(store, block), 0.5)
        store.finish()
    assert sum(seen) == 120 - done + lost
    assert_same(path, plain)


def test_flipped_byte_in_the_finished_file_is_noticed_by_readers(path):
    written(path, grid())
    flipped(path, inside(path, "period"))
    with h5py.File(path) as file, pytest.raises(OSError, match="read"):
        file["period"][()]


def damaged(whole, trials):
    """Twenty flipped bits, or a truncation; but not of the seal, which says nothing of what is before it."""
    rng, end = np.random.default_rng(0), len(whole) - atomic.SEAL_BYTES
    for trial in range(trials):
        data = bytearray(whole)
        if trial % 3:
            for at in rng.integers(0, end, 20):
                data[at] ^= 1 << int(rng.integers(8))
            yield data
        else:
            yield data[: int(rng.integers(end))]


def test_a_damaged_file_is_refused(path):
    """By its seal: HDF5 would read much of it, right or wrong."""
    whole = written(path, grid()).read_bytes()
    for data in damaged(whole, 30):
        path.write_bytes(data)
        with pytest.raises(
            InputError, match=r"FILE: expected (an undamaged file|a file written by gru-sweep)"
        ):
            describe(path)
    path.write_bytes(whole)
    assert describe(path)["complete"]


def test_describe_answers_or_refuses_whatever_the_damage(path, monkeypatch):
    """Of files too large to be looked over. Never a traceback of another kind, never a hang."""
    whole = written(path, grid()).read_bytes()
    monkeypatch.setattr(reading, "LOOKED_OVER", 0)
    # HDF5 frees twice what it reads here when it is asked whether this is the scale of a dimension.
    flipped(path, whole.index(b"DIMENSION_SCALE") + 4)
    with pytest.raises(InputError):
        describe(path)
    refused = 0
    for data in damaged(whole, 100):
        path.write_bytes(data)
        try:
            json.dumps(describe(path))
        except InputError:
            refused += 1
    assert 33 < refused < 100


def test_torn_write_is_never_seen(tmp_path, monkeypatch):
    """A write that stops half-way leaves the old content, and no debris."""
    target = tmp_path / "shard.h5"
    target.write_bytes(b"old")
    real = os.fsync

    def broken(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="No space"):
        atomic.write(target, b"new" * 1000)
    monkeypatch.setattr(os, "fsync", real)
    assert folder_state(tmp_path) == {Path("shard.h5"): b"old"}
    atomic.write(target, b"new")
    assert target.read_bytes()[: -atomic.SEAL_BYTES] == b"new"
    assert atomic.sound(target)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("width", [1, 3, 4, 5])
def test_slots_that_are_nothing_but_fill_are_not_written(width):
    """Also where the last slots are fewer than share a chunk, and where the block ends inside its tile."""
    slotted = Column("a", ("slot",), (5,), np.dtype(np.float64), "a", "1")
    plain = Column("b", (), (), np.dtype(np.int16), "b", "1")
    form = layout.Form((slotted, plain), ((4, 3, width), (4, 3)))
    values = np.full((6, 5), np.nan)
    values[2, 1], values[:, 4] = 1.5, np.arange(6)
    counts = np.full(6, plain.fill, np.int16)
    with h5py.File(io.BytesIO(pieces.image(form, (2, 3), {"a": values, "b": counts}, 0.5))) as file:
        used = {1 // width, 4 // width}
        assert file["a"].id.get_num_chunks() == len(used)
        assert file["b"].id.get_num_chunks() == 0
        np.testing.assert_array_equal(file["a"][...], values.reshape(2, 3, 5))
        np.testing.assert_array_equal(file["b"][...], counts.reshape(2, 3))
