"""The file: what readers find in it, what is refused, and what survives a crash."""

import itertools
import json
import os
import shutil
from enum import IntEnum
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

from gru_sweep.records import Column, InputError, Kind, Status
from gru_sweep.sweeps import layout, reading
from gru_sweep.sweeps.grid import Axis, Grid
from gru_sweep.sweeps.layout import Layout
from gru_sweep.sweeps.store import Labeller, Share, Store, describe, open_dataset, stored_chunk


class Side(IntEnum):
    NOT_COMPUTED = -1
    LEFT_HALF = 0
    RIGHT_HALF = 1


def column(name, dims=(), shape=(), dtype="float64", flags=None, units="1"):
    return Column(name, dims, shape, np.dtype(dtype), f"the {name}", units, flags)


COLUMNS = (
    column("status", dtype="int8", flags=Status),
    column("side", dtype="int8", flags=Side),
    column("n_slots", dtype="int16"),
    column("period", units="time"),
    column("amplitude", ("unit",), (2,), "float32"),
    column("eigenvalue", ("slot", "re_im"), (16, 2)),
    column("kind", ("slot",), (16,), "int8", Kind),
)
LABELLER = Labeller(
    "topology",
    ("n_slots", "side"),
    lambda v: np.where(v["n_slots"] < 0, "", np.char.add("slots:", v["n_slots"].astype(str))),
)
FINGERPRINT = {"family": "toy", "settings": {"s": 0.0, "tolerance": 1e-9}}
ATTRIBUTES = {"title": "a toy", "command": "toy --out", "seed": 3, "tolerance": 1e-9}


def grid(n=12, m=10):
    return Grid(
        (
            Axis("x", np.linspace(-1, 1, n), "a long x", "rad"),
            Axis("y", np.geomspace(1, 100, m)),
        )
    )


def evaluate(at):
    """A value for every column that depends on the point alone; 3 of 16 slots where x < 0, else 1."""
    x, y = at["x"], at["y"]
    n = np.where(x < 0, 3, 1)
    slots = np.arange(16)
    used = slots < n[:, None]
    unresolved = (x > 0.5) & (y > 50)
    return {
        "status": np.where(unresolved, Status.UNRESOLVED, Status.OK),
        "side": np.where(x < 0, Side.LEFT_HALF, Side.RIGHT_HALF),
        "n_slots": np.where(unresolved, -1, n),
        "period": np.where(x < 0, np.nan, np.exp(x) * y),
        "amplitude": np.stack([x + y, x - y], axis=1),
        "eigenvalue": np.where(used[..., None], np.stack([x, y], 1)[:, None] + slots[:, None], np.nan),
        "kind": np.where(used, Kind.SADDLE, -1),
    }


def expected(of):
    """The whole map by one call, one array per column."""
    whole = {
        name: a.ravel()
        for name, a in zip(of.names, np.meshgrid(*(a.values for a in of.axes), indexing="ij"), strict=True)
    }
    return {c.name: evaluate(whole)[c.name].astype(c.dtype).reshape(of.shape + c.shape) for c in COLUMNS}


def opened(path, of, chunk=25, **options):
    given = {"fingerprint": FINGERPRINT, "attributes": ATTRIBUTES, "labeller": LABELLER, **options}
    return Store(path, of, COLUMNS, chunk=chunk, **given)


def computed(store, block):
    """The columns of a block, as an engine hands them over."""
    values = evaluate(store.layout.grid.coordinates(block))
    return {c.name: values[c.name].astype(c.dtype) for c in COLUMNS}


def commit(store, count=None):
    """Compute and commit `count` missing blocks (all of them)."""
    for block in list(store.missing())[:count]:
        store.commit(block, computed(store, block), 0.5)


def written(path, of, chunk=25, **options):
    with opened(path, of, chunk, **options) as store:
        commit(store)
        store.finish()
    return path


def datasets(path):
    """Everything in a file but what is drawn or timed anew in each run."""
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file if name != "configuration"}


def assert_same(path, other):
    """Every value, bit for bit."""
    a, b = datasets(path), datasets(other)
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
        assert a[name].dtype.kind == "O" or a[name].tobytes() == b[name].tobytes(), name


def parts_of(path):
    """The names of the pieces and shards that are there."""
    return sorted(part.name for part in reading.parts_folder(path).glob("*.h5"))


def flipped(path, at):
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def inside(path, name):
    """The place of a byte in the middle of the first HDF5 chunk of a column."""
    with h5py.File(path) as file:
        found = []
        file[name].id.chunk_iter(found.append)
    return found[0].byte_offset + found[0].size // 2


def folder_state(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# ---------------------------------------------------------------- what readers find


@pytest.mark.parametrize("chunk", [1, 7, 25, 1000])
def test_finished_file_holds_the_map_whatever_the_chunk(path, chunk):
    written(path, grid(), chunk)
    with h5py.File(path) as file:
        for name, values in expected(grid()).items():
            np.testing.assert_array_equal(file[name][()], values, err_msg=name)
        assert file["topology_class"].asstr()[()].tolist() == ["slots:1", "slots:3"]
        labels = np.where(file["n_slots"][()] < 0, -1, np.where(file["n_slots"][()] == 3, 1, 0))
        np.testing.assert_array_equal(file["topology"][()], labels)
        assert file.attrs["complete"] == 1
    assert not reading.parts_folder(path).exists()


def test_every_axis_has_a_scale_and_every_variable_its_metadata(path):
    written(path, grid())
    with h5py.File(path) as file:
        for c in COLUMNS:
            made = file[c.name]
            assert [d[0].name for d in made.dims] == [f"/{name}" for name in ("x", "y", *c.dims)]
            assert made.dtype == c.dtype
            assert made.attrs["long_name"] == c.long_name
            assert made.attrs["units"] == c.units
            assert (made.compression, made.compression_opts, made.shuffle, made.fletcher32) == (
                "gzip",
                1,
                True,
                True,
            )
            assert ("_FillValue" in made.attrs) == (c.dtype.kind == "f")
            np.testing.assert_array_equal(made.fillvalue, c.fill)
        assert file["side"].attrs["flag_values"].tolist() == [-1, 0, 1]
        assert file["side"].attrs["flag_values"].dtype == np.int8
        assert file["side"].attrs["flag_meanings"] == "not_computed left_half right_half"
        assert file["topology"].attrs["flag_meanings"] == "not_computed slots:1 slots:3"
        assert list(file)[:2] == ["x", "y"]


def check_by_xarray(path, of, done):
    """dims, dtypes and values through xarray; where `done` is false everything reads as fill."""
    with open_dataset(path) as ds:
        assert dict(ds.sizes) == {
            "x": 12,
            "y": 10,
            "unit": 2,
            "slot": 16,
            "re_im": 2,
            "topology_class": ds.sizes["topology_class"],
        }
        np.testing.assert_array_equal(ds.x, of.axes[0].values)
        assert ds.x.attrs["units"] == "rad"
        for c in COLUMNS:
            assert ds[c.name].dims == ("x", "y", *c.dims)
            assert ds[c.name].dtype == c.dtype
            whole = expected(of)[c.name]
            whole[~done] = c.fill
            np.testing.assert_array_equal(ds[c.name].values, whole, err_msg=c.name)
        assert ds.topology.dtype == np.int32
        assert ds.topology.dims == ("x", "y")


def check_by_netcdf4(path, of, done):
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        assert file.Conventions == "CF-1.11"
        for c in COLUMNS:
            assert file[c.name].dimensions == ("x", "y", *c.dims)
            assert file[c.name].dtype == c.dtype
            whole = expected(of)[c.name]
            whole[~done] = c.fill
            np.testing.assert_array_equal(file[c.name][:], whole, err_msg=c.name)


@pytest.mark.parametrize("check", [check_by_xarray, check_by_netcdf4])
def test_every_reader_reads_the_finished_file(path, check):
    written(path, grid())
    check(path, grid(), np.ones((12, 10), bool))


@pytest.mark.parametrize("check", [check_by_xarray, check_by_netcdf4])
@pytest.mark.parametrize("blocks", [1, 3])
def test_every_reader_reads_the_unfinished_file(path, check, blocks):
    with opened(path, grid()) as store:
        done = np.zeros((12, 10), bool)
        for block in list(store.missing())[:blocks]:
            done[block.slices] = True
        commit(store, blocks)
        check(path, grid(), done)
        with h5py.File(path) as file:
            assert (file["topology"][()] == -1).all()
            assert file.attrs["complete"] == 0
            assert file["period"].is_virtual


def test_unfinished_file_moves_with_its_shards_and_a_percent_in_its_name_is_just_a_letter(tmp_path):
    here, there = tmp_path / "a%b%%.h5", tmp_path / "elsewhere"
    with opened(here, grid()) as store:
        commit(store, 2)
    there.mkdir()
    for part in (here, reading.parts_folder(here)):
        shutil.move(part, there / part.name)
    assert describe(there / here.name)["done"] == 40
    with open_dataset(there / here.name) as ds:
        assert int((ds.status >= 0).sum()) == 40


def test_unused_slots_are_not_written(path):
    written(path, grid())
    with h5py.File(path) as file:
        slots = set()
        file["eigenvalue"].id.chunk_iter(lambda chunk: slots.add(chunk.chunk_offset[2]))
        assert slots == {0}
        assert file["eigenvalue"].chunks[2] == 4


def test_no_class_at_all_and_more_classes_than_an_attribute_holds(tmp_path):
    nothing = Labeller("topology", ("n_slots",), lambda v: np.full(len(v["n_slots"]), ""))
    written(tmp_path / "none.h5", grid(), labeller=nothing)
    with open_dataset(tmp_path / "none.h5") as ds:
        assert ds.sizes["topology_class"] == 0
        assert (ds.topology == -1).all()
    with netCDF4.Dataset(tmp_path / "none.h5") as file:
        assert file["topology"].shape == (12, 10)
    each = Labeller(
        "topology", ("amplitude",), lambda v: np.array([f"{a:.17g}" * 20 for a in v["amplitude"][:, 0]])
    )
    written(tmp_path / "many.h5", grid(), labeller=each)
    with h5py.File(tmp_path / "many.h5") as file:
        assert "flag_meanings" not in file["topology"].attrs
        words = file["topology_class"].asstr()[()]
        assert words.tolist() == sorted(words)
        found = words[file["topology"][()]]
        np.testing.assert_array_equal(
            found.ravel(), each.function({"amplitude": file["amplitude"][()].reshape(-1, 2)})
        )


@pytest.mark.parametrize(
    ("shape", "chunk"), [((12, 10), 1), ((1000, 3), 1), ((7, 11, 13), 2), ((1_000_000, 100_000), 8192)]
)
def test_layout_puts_each_block_into_one_of_few_shards(shape, chunk):
    of = Grid(tuple(Axis(f"x{i}", np.arange(n)) for i, n in enumerate(shape)))
    made = Layout(of, COLUMNS, chunk)
    assert made.shards.total <= layout.MAX_SHARDS
    assert sum(made.region(shard).size for shard in made.shards) == of.size
    assert sum(shard.size for shard in made.shards) == made.blocks.total
    for shard in (made.shards[0], made.shards[-1]):
        region, members = made.region(shard), list(itertools.islice(made.members(shard), 1000))
        assert len(members) == min(shard.size, 1000)
        for block in members:
            assert made.shard_of(block) == shard
            assert all(
                s.start >= 0 and s.stop <= n
                for s, n in zip(made.inside(block, region), region.shape, strict=True)
            )


# ---------------------------------------------------------------- what is refused


def test_refusals_write_nothing_and_lose_nothing(tmp_path, path):
    written(path, grid())
    unfinished = tmp_path / "half.h5"
    with opened(unfinished, grid()) as store:
        commit(store, 2)
    names = ("foreign.h5", "truncated.h5", "text.h5", "changed.h5")
    foreign, truncated, text, changed = (tmp_path / name for name in names)
    with h5py.File(foreign, "w") as file:
        file["status"] = np.zeros(3)
    truncated.write_bytes(path.read_bytes()[:-1000])
    text.write_text("alpha beta\n")
    shutil.copy(path, changed)
    flipped(changed, inside(changed, "period"))
    other = Grid((Axis("x", np.linspace(-1, 2, 12)), grid().axes[1]))
    before = folder_state(tmp_path)
    cases = [
        (path, grid(), {}, "--out: .*--resume"),
        (tmp_path / "no" / "map.h5", grid(), {}, "--out: .*existing folder"),
        (tmp_path, grid(), {}, "--out: expected a file, got a folder"),
        (path, grid(), {"resume": True, "overwrite": True}, "either --resume or --overwrite"),
        (
            unfinished,
            other,
            {"resume": True},
            "grid.x = 12 values from -1.0 to 2.0.*grid.x = 12 values from -1.0 to 1.0",
        ),
        (
            path,
            grid(),
            {"resume": True, "fingerprint": {"family": "toy", "settings": {"s": 0.5}}},
            "settings.s = 0.5.* settings.s = 0.0",
        ),
        (path, grid(), {"resume": True, "fingerprint": {"family": "tea"}}, "family = tea.*family = toy"),
        (unfinished, grid(), {"resume": True, "chunk": 24}, "--chunk: expected 25.*got 24"),
        (foreign, grid(), {"resume": True}, "--resume: expected a file written by gru-sweep"),
        (truncated, grid(), {"resume": True}, "--resume: expected a file written by gru-sweep"),
        (text, grid(), {"resume": True}, "--resume: expected a file written by gru-sweep"),
        (changed, grid(), {"resume": True}, "--resume: expected an undamaged file, .*changed since"),
        (path, grid(), {"overwrite": True, "share": Share(0, 2)}, "either --shard or --overwrite"),
        (path, other, {"share": Share(0, 2)}, "grid.x = 12 values from -1.0 to 2.0"),
        (tmp_path / "new.h5", grid(1_000_000, 1_000_000), {}, "fits on the disk .*GB free.*GB"),
    ]
    for where, of, options, message in cases:
        with pytest.raises(InputError, match=message) as refused:
            opened(where, of, **options)
        assert "\n" not in str(refused.value)
        assert folder_state(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_refused():
    if not Path("/proc/self").is_dir():
        pytest.skip("no /proc here")
    with pytest.raises(InputError, match="--out: expected a folder that can be written"):
        opened(Path("/proc/map.h5"), grid())


def test_second_writer_is_refused_and_told_who_writes(path):
    with opened(path, grid()) as store:
        commit(store, 1)
        for options in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(InputError, match=f"held by .* pid {os.getpid()}"):
                opened(path, grid(), **options)
        assert describe(path)["writer"].endswith(f"pid {os.getpid()}")
    assert describe(path)["writer"] is None


@pytest.mark.parametrize("value", [True, 1j, [1], "x" * 40_000])
def test_attributes_are_strings_and_numbers(path, value):
    with pytest.raises(ValueError, match="attribute odd"):
        opened(path, grid(), attributes={"odd": value})
    assert not path.exists()


@pytest.mark.parametrize(
    "odd",
    [
        column("x"),
        column("odd", dtype="bool"),
        column("odd", dtype="float16"),
        column("odd", ("x",), (12,)),
        column("odd", ("slot",), (3,)),
    ],
)
def test_columns_that_readers_disagree_on_are_refused(path, odd):
    with pytest.raises(ValueError, match=odd.name):
        Store(path, grid(), (*COLUMNS, odd), chunk=25, fingerprint={}, attributes={})
    assert not path.exists()


def test_labels_with_blanks_are_refused_and_the_points_stay(path):
    blank = Labeller("topology", ("n_slots",), lambda v: np.full(len(v["n_slots"]), "two words"))
    with opened(path, grid(), labeller=blank) as store:
        commit(store)
        with pytest.raises(ValueError, match="two words"):
            store.finish()
    assert describe(path)["done"] == 120


# ---------------------------------------------------------------- resuming and overwriting


def test_resumed_file_equals_the_uninterrupted_one(path, tmp_path):
    for count in (1, 2, 0):
        with opened(path, grid(), resume=True) as store:
            commit(store, count)
    with opened(path, grid(), resume=True, attributes={**ATTRIBUTES, "seed": 4}) as store:
        assert store.done == 60
        commit(store)
        store.finish()
    assert_same(path, written(tmp_path / "plain.h5", grid()))
    about = describe(path)["attributes"]
    assert about["seed"] == 3
    assert "resumed with 60 of 120 points done (seed: 3 -> 4)" in about["history"]
    assert about["seconds"] == 0.5 * 6


def test_finished_file_is_left_alone_by_resume(path):
    before = written(path, grid()).read_bytes()
    with opened(path, grid(), chunk=7, resume=True) as store:
        assert store.finished
        assert store.done == 120
    assert path.read_bytes() == before


def test_overwrite_keeps_the_old_file_until_the_first_points_are_safe(path):
    before = written(path, grid(5, 4)).read_bytes()
    with opened(path, grid(), overwrite=True):
        assert path.read_bytes() == before
    assert path.read_bytes() == before
    assert not reading.parts_folder(path).exists()
    with opened(path, grid(), overwrite=True) as store:
        commit(store, 1)
        assert describe(path)["shape"] == [12, 10]
    written(path, grid(4, 4), overwrite=True)
    assert_same(path, written(path.with_name("plain.h5"), grid(4, 4)))


def test_sweep_that_committed_nothing_leaves_nothing(path):
    with opened(path, grid()):
        assert describe(path)["done"] == 0
    assert list(path.parent.iterdir()) == []


def test_what_killed_writers_left_is_cleared_away(path):
    with opened(path, grid()) as store:
        commit(store, 2)
    parts = reading.parts_folder(path)
    kept = parts_of(path)
    (parts / f"{kept[0]}.0123abcd.tmp").write_bytes(b"half")
    (parts / "0123456789abcdef-0000.h5").write_bytes(b"of another sweep")
    with opened(path, grid(), resume=True) as store:
        assert sorted(p.name for p in parts.iterdir()) == sorted([*kept, "lock"])
        assert store.done == 40
    assert sorted(p.name for p in parts.iterdir()) == kept


def test_link_stays_a_link(path):
    link = path.with_name("link.h5")
    link.symlink_to(path)
    written(link, grid())
    assert link.is_symlink()
    assert describe(link)["complete"]


# ---------------------------------------------------------------- room, and what is said of the file


def test_stored_chunk_is_that_of_an_unfinished_file(path):
    assert stored_chunk(path) is None
    with opened(path, grid(), chunk=17) as store:
        commit(store, 1)
    assert stored_chunk(path) == 17
    written(path, grid(), overwrite=True)
    assert stored_chunk(path) is None
    path.write_text("alpha beta\n")
    assert stored_chunk(path) is None


def test_no_room_for_the_finished_file_keeps_index_and_shards(path, monkeypatch):
    with opened(path, grid()) as store:
        commit(store)
        usage = shutil.disk_usage(path.parent)._replace(free=1000)
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda where: usage)
            with pytest.raises(OSError, match="no room"):
                store.finish()
        assert describe(path)["done"] == 120
        store.finish()
    assert describe(path)["complete"]


def test_describe_says_what_is_in_the_file(path):
    with opened(path, grid()) as store:
        commit(store, 2)
    about = describe(path)
    assert json.loads(json.dumps(about)) == about
    assert (about["points"], about["done"], about["complete"], about["shape"]) == (120, 40, False, [12, 10])
    assert about["axes"]["y"] == {"size": 10, "first": 1.0, "last": 100.0, "long_name": "y", "units": "1"}
    assert about["variables"]["amplitude"] == {
        "dims": ["x", "y", "unit"],
        "dtype": "float32",
        "long_name": "the amplitude",
        "units": "1",
    }
    assert about["counts"] == {
        "not_computed": 80,
        "ok": 40,
        "unresolved": 0,
        "near_bifurcation": 0,
        "failed": 0,
    }
    assert about["configuration"]["made_by"]["settings"] == FINGERPRINT["settings"]
    assert about["attributes"]["title"] == "a toy"
    for missing in (path.with_name("none.h5"), path.parent):
        with pytest.raises(InputError, match="FILE: expected"):
            describe(missing)
        with pytest.raises(InputError, match="FILE: expected"):
            open_dataset(missing)


def test_parts_that_are_merged_while_they_are_counted_count_nothing(path):
    """They were seen in the folder and are gone when their size is asked for."""
    with opened(path, grid()) as store:
        commit(store, 1)
    parts = reading.parts_folder(path)
    size = describe(path)["bytes"]
    assert size == path.stat().st_size + (parts / parts_of(path)[0]).stat().st_size
    (parts / "round.h5.parts").mkdir()
    (parts / "round.h5.parts" / "piece.h5").symlink_to("gone")
    assert describe(path)["bytes"] == size


def test_names_that_the_file_uses_itself_are_refused(path):
    for name in ("configuration", "topology", "topology_class"):
        with pytest.raises(ValueError, match=f"{name} is a name"):
            opened(path, Grid((Axis(name, np.arange(3.0)),)))
    assert list(path.parent.iterdir()) == []


def test_resume_needs_room_for_what_is_left_only(path, monkeypatch):
    """The shards' real size tells what the rest will take, whatever was estimated."""
    with opened(path, grid()) as store:
        commit(store)
        there = sum(part.stat().st_size for part in reading.parts_folder(path).glob("*.h5"))
    usage = shutil.disk_usage(path.parent)
    monkeypatch.setattr(Layout, "estimated_bytes", lambda layout: 10**18)
    monkeypatch.setattr(shutil, "disk_usage", lambda where: usage._replace(free=there - 1))
    with pytest.raises(InputError, match="fits on the disk"):
        opened(path, grid(), resume=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda where: usage._replace(free=there + 1))
    with opened(path, grid(), resume=True) as store:
        store.finish()
    assert describe(path)["complete"]
