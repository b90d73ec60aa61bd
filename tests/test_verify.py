"""`verify`: every byte, every count, every label; what is wrong is found, and said where."""

import dataclasses
import json
import shutil
import time

import h5py
import numpy as np
import pytest

import gru_sweep as gs
from gru_sweep import remaking, studies
from gru_sweep.records import InputError, Kind, Status
from gru_sweep.sweeps import atomic, damage, layout
from gru_sweep.sweeps.grid import Axis
from gru_sweep.sweeps.sweep import Interrupted
from gru_sweep.verifying import relations
from gru_sweep.verifying import verification as verifying
from stand_in import StuartLandau


class Anywhere(StuartLandau):
    """The stand-in with alpha and beta made of whatever is swept, so that it serves every family."""

    def __call__(self, coordinates):
        family, self.family = self.family, studies.FAMILIES["hopf"]
        try:
            first, *rest = coordinates.values()
            return super().__call__({"alpha": np.cos(first), "beta": 2 + sum(rest) ** 2 + 0 * first})
        finally:
            self.family = family


class Stopping(StuartLandau):
    """The stand-in, stopped before the block that has this value of alpha."""

    def __call__(self, coordinates):
        if 0.25 in coordinates["alpha"]:
            raise KeyboardInterrupt
        return super().__call__(coordinates)


GRID = {"alpha": (-1, 1, 9), "beta": (1, 3, 5)}


@pytest.fixture
def evaluator(monkeypatch):
    """Puts a stand-in in place of the measure."""
    monkeypatch.setattr(studies, "evaluator", StuartLandau)
    return lambda one: monkeypatch.setattr(studies, "evaluator", one)


@pytest.fixture
def whole(tmp_path, evaluator):
    """A finished file of 45 points."""
    path = tmp_path / "x.h5"
    gs.sweep("hopf", out=path, chunk=10, **GRID).close()
    return path


@pytest.fixture
def begun(tmp_path, evaluator, monkeypatch):
    """A sweep that was stopped: a shard of two blocks, and one block of the next shard."""
    monkeypatch.setattr(layout, "MAX_SHARDS", 5)
    evaluator(Stopping)
    path = tmp_path / "x.h5"
    with pytest.raises(Interrupted):
        gs.sweep("hopf", out=path, chunk=5, **GRID)
    evaluator(StuartLandau)
    return path


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """30 points of the measure itself, some with cycles."""
    path = tmp_path_factory.mktemp("real") / "hopf.h5"
    gs.sweep("hopf", out=path, alpha=(0.6, 2.4, 6), beta=(1.2, 3.0, 5)).close()
    return path


def states(found):
    return {check.name: check.state for check in found.checks}


def words(found, name):
    return next(check.words for check in found.checks if check.name == name)


def failed(found):
    return {check.name for check in found.failed}


def flip(path, place, bit=1):
    raw = bytearray(path.read_bytes())
    raw[place] ^= bit
    path.write_bytes(raw)


def edit(path, change):
    """Change the file with h5py, and seal it again: as if it had been computed so."""
    path.write_bytes(path.read_bytes()[: -atomic.SEAL_BYTES])
    with h5py.File(path, "r+") as file:
        change(file)
    atomic.write(path, path.read_bytes())


def chunk(path, name, number):
    """Where in the file a chunk of a variable is, and its place in the variable."""
    found = []
    with h5py.File(path) as file:
        file[name].id.chunk_iter(lambda c: found.append((c.byte_offset + c.size // 2, c.chunk_offset)))
    return found[number]


def test_a_whole_file_passes_everything_and_the_sample_to_the_last_bit(whole):
    found = verifying.verify(whole, sample=20, seed=4)
    assert found.sound
    assert (found.complete, found.points, found.done) == (True, 45, 45)
    assert states(found) == {
        **dict.fromkeys(
            ("seal", "structure", "plan", "columns", "flags", "relations", "labels", "sample"), "ok"
        ),
        "checksums": "skipped",
    }
    assert words(found, "sample") == "20 points drawn with seed 4 are equal to the last bit"
    about = found.to_dict()
    assert json.loads(json.dumps(about)) == about
    assert about["sound"] is True
    assert about["checks"][0] == {"name": "seal", "state": "ok", "words": "every byte is as it was written"}


def test_the_measure_itself_computes_the_same_again_and_a_changed_cycle_is_found(real, tmp_path):
    found = verifying.verify(real, sample=30)
    assert found.sound, failed(found)
    assert words(found, "sample") == "30 points drawn with seed 0 are equal to the last bit"
    assert words(found, "relations").startswith("12 between columns hold")
    changed = shutil.copy(real, tmp_path / "changed.h5")

    def faster(file):  # consistently, so that only computing tells
        file["period"][()] = file["period"][()] * (1 - 1e-5)
        file["frequency"][()] = 1 / file["period"][()]

    edit(changed, faster)
    found = verifying.verify(changed, sample=30)
    assert failed(found) == {"sample"}
    assert "differ: frequency at alpha " in words(found, "sample")
    assert failed(verifying.verify(changed, sample=0)) == set()


def test_every_relation_holds_for_the_measure_and_each_is_broken_by_its_own_change(real):
    with h5py.File(real) as file:
        columns = {
            name: file[name][()].reshape(30, *file[name].shape[2:])
            for name in json.loads(file["configuration"].asstr()[()])["made_by"]["columns"]
        }
    assert (columns["n_stable_cycles"] > 0).any()
    assert (columns["n_stable_cycles"] == 0).any()
    columns |= {"check": np.zeros(30, np.int8), "cycle_stable": np.full((30, 8), -1, np.int8)}
    columns |= {"cycle_period": np.full((30, 8), np.nan)}
    columns["cycles_excluded"] = np.zeros(30, np.int8)
    columns["cycle_stable"][:, 0] = np.where(columns["n_stable_cycles"] == 1, 1, -1)
    columns["cycle_period"][:, 0] = columns["period"]
    columns["cycle_stable"][:, 1] = np.where(columns["n_unstable_cycles"] == 1, 0, -1)
    columns["cycle_period"][:, 1] = np.where(columns["n_unstable_cycles"] == 1, 1.0, np.nan)

    def broken(**changes):
        asked = relations.of(columns)
        assert len(asked) == len(relations.RELATIONS)
        return {one.words for one in asked if one.broken(columns | changes).any()}

    def added(name, at=..., n=1):
        changed = columns[name].copy()
        changed[at] += n
        return {name: changed}

    assert broken() == set()
    cycle = int(np.flatnonzero(columns["n_stable_cycles"] == 1)[0])
    still = int(np.flatnonzero(columns["n_stable_cycles"] == 0)[0])
    first = (cycle, 0)
    for changes, said in (
        (added("n_stable_cycles", still, -1), {"an ok point has all its counts"}),
        (added("n_fixed_points", cycle), {"n_fixed_points = ", "as many kinds as fixed"}),
        (added("n_sinks", cycle), {"n_fixed_points = ", "n_sinks + n_sources - n_s", "as many stable kinds"}),
        (added("n_sources", cycle), {"n_fixed_points", "n_sinks + n_sources -", "as many unstable kinds"}),
        (added("n_saddles", cycle), {"n_fixed_points", "n_sinks + n_sources - n_saddles", "as many saddles"}),
        (added("index_sum", cycle), {"n_sinks + n_sources - n_saddles = index_sum"}),
        (added("certified", cycle, -1), {"all fixed points are certified"}),
        (added("frequency", cycle, 1e-9), {"frequency x period"}),
        (added("n_stable_cycles", still), {"a frequency just where", "as many cycles"}),
        (added("amplitude", first, -9), {"a positive amplitude"}),
        (added("cycle_stable", first), {"as many cycles"}),
        (added("cycle_period", first, np.nan), {"as many cycles"}),
        (added("check", cycle), {"an ok portrait passed its checks"}),
        ({"cycles_excluded": np.ones(30, np.int8)}, {"no cycle where Bendixson"}),
    ):
        found = broken(**changes)
        assert len(found) == len(said), (list(changes), found)
        assert all(any(one.startswith(start) for one in found) for start in said), (list(changes), found)


@pytest.mark.parametrize(
    ("what", "readable"),
    [("chunk", True), ("coordinate", True), ("attribute", True), ("header", False), ("signature", False)],
)
def test_a_flipped_byte_of_a_finished_file_is_found_and_the_rest_is_read(whole, what, readable):
    place, _ = chunk(whole, "amplitude", 1)
    raw = whole.read_bytes()
    values, _ = chunk(whole, "beta", 0)
    places = {
        "chunk": place,
        "coordinate": values,
        "attribute": raw.index(b"Jordan"),
        "header": 9,
        "signature": 1,
    }
    flip(whole, places[what])
    found = verifying.verify(whole)
    assert not found.sound
    assert states(found)["seal"] == "failed"
    assert (found.points == 45) is readable
    if what == "chunk":
        # Two rows of alpha are a block; the labels and the columns beside are still read.
        assert words(found, "checksums") == "amplitude: alpha -0.5 to -0.25"
        assert failed(found) == {"seal", "checksums", "columns"}
        assert words(found, "columns") == "alpha -0.5 to -0.25 cannot be read"
        assert found.done == 35
        assert words(found, "sample").startswith("35 points drawn")
    elif what == "coordinate":
        assert words(found, "checksums") == "beta: everywhere"
        assert failed(found) == {"seal", "checksums", "plan"}
    elif readable:
        assert "in what has no checksums (there are none of topology_class; configuration)" in words(
            found, "checksums"
        )
    else:
        assert "cannot be opened" in words(found, "checksums")


def test_any_byte_of_a_seal_and_any_length_is_looked_at(whole):
    raw = whole.read_bytes()
    for place in (-atomic.SEAL_BYTES, -40, -1):
        flip(whole, place)
        found = verifying.verify(whole, sample=0)
        assert failed(found) == {"seal"}
        whole.write_bytes(raw)
    whole.write_bytes(raw[: len(raw) // 2])
    found = verifying.verify(whole)
    assert failed(found) == {"seal", "checksums"}
    assert "truncated" in words(found, "checksums")
    # A file from before there were seals: its chunks have checksums all the same.
    whole.write_bytes(raw[: -atomic.SEAL_BYTES])
    found = verifying.verify(whole, sample=0)
    assert found.sound
    assert states(found)["seal"] == "skipped"
    flip(whole, chunk(whole, "frequency", 0)[0])
    found = verifying.verify(whole, sample=0)
    assert words(found, "checksums") == "frequency: alpha -1 to -0.75"
    assert words(found, "columns") == "alpha -1 to -0.75 cannot be read"


def test_a_file_that_hdf5_does_not_survive_is_given_up(whole):
    # The length of a string in a heap, so that the library walks in a circle.
    flip(whole, whole.read_bytes().index(b'{"made_by"') - 8, 4)
    began = time.monotonic()
    found = damage.survey(whole, patience=1)
    if found.dangerous:
        assert found.damaged[-1].where == "HDF5 does not survive reading it"
    else:  # a library that sees it
        assert found.damaged
    assert time.monotonic() - began < 20


def test_an_unfinished_file_says_how_much_is_there(begun):
    found = verifying.verify(begun)
    assert found.sound, failed(found)
    assert (found.complete, found.points, found.done) == (False, 45, 25)
    assert words(found, "shards") == "all 3 are as they were written"
    assert (states(found)["labels"], states(found)["sample"]) == ("skipped", "ok")
    # What is in a shard can be read through the index, what is still a piece cannot.
    assert words(found, "sample").startswith("20 points")
    ds = gs.sweep("hopf", out=begun, chunk=5, resume=True, **GRID)
    assert (ds.status >= 0).all()
    ds.close()
    assert verifying.verify(begun).sound


@pytest.mark.parametrize(
    ("what", "where"),
    [("shard", "alpha -1 to -0.75"), ("piece", "alpha 0"), ("truncated", "alpha 0"), ("index", None)],
)
def test_a_flipped_byte_of_an_unfinished_file_is_found_in_each_kind_of_file(begun, what, where):
    parts = begun.with_name("x.h5.parts")
    (piece,) = parts.glob("*-*-*.h5")
    shard = min(set(parts.glob("*.h5")) - {piece})
    path = {"shard": shard, "index": begun}.get(what, piece)
    if what == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif what == "index":
        flip(path, path.read_bytes().index(b"made_by"))
    else:
        flip(path, path.read_bytes().index(b"TREE") + 200)
    found = verifying.verify(begun)
    assert not found.sound
    if where is None:
        assert "seal" in failed(found)
    else:
        assert failed(found) == {"shards"}
        assert words(found, "shards") == f"x.h5.parts/{path.name} ({where})"
        assert "run --resume first" in words(found, "contents")
        assert found.done == {"shard": 15, "piece": 20, "truncated": 20}[what]
    ds = gs.sweep("hopf", out=begun, chunk=5, resume=True, **GRID)
    np.testing.assert_allclose(ds.frequency.sel(alpha=-1), ds.beta / (2 * np.pi))
    ds.close()
    assert verifying.verify(begun).sound


def _put(name, at, value):
    def change(file):
        file[name][at] = value

    return change


def _without(name):
    def change(file):
        del file[name]

    return change


def _detach(file):
    file["frequency"].dims[0].detach_scale(file["alpha"])


def _reorder(file):
    table = file["topology_class"]
    table[()] = table[()][::-1]


def _add_class(file):
    words = [*file["topology_class"].asstr()[()], "z"]
    meanings = dict(file["topology_class"].attrs)["long_name"]
    for dim in file["topology"].dims:
        assert dim[0].name != "/topology_class"
    del file["topology_class"]
    made = file.create_dataset("topology_class", data=np.array(words, object), dtype=h5py.string_dtype())
    made.attrs["long_name"] = meanings
    made.make_scale("topology_class")


@pytest.mark.parametrize(
    ("change", "checks", "said"),
    [
        (_put("n_sinks", (0, 0), 1), {"relations", "labels", "sample"}, "n_fixed_points = "),
        (_put("frequency", (0, 2), 1.0), {"sample"}, "frequency at alpha -1, beta 2: 1.0 in the file"),
        (_put("frequency", (8, 2), 1.0), {"relations", "sample"}, "1 points, the first at alpha 1, beta 2"),
        (_put("status", (0, 0), 9), {"flags", "labels", "sample"}, "status: 1 points, the first at alpha -1"),
        (_put("status", (0, 0), -1), {"labels"}, "not those of the columns: 1 points"),
        (_put("topology", (0, 0), 1), {"labels", "sample"}, "the first at alpha -1, beta 1"),
        (_put("topology", (0, 0), 7), {"labels", "sample"}, "topology at alpha -1, beta 1: ? in the file"),
        (_reorder, {"labels", "sample"}, "the classes are not sorted"),
        (_add_class, {"labels"}, "no point is of the class z"),
        (_put("alpha", 3, -0.3), {"plan", "sample"}, "grid.alpha"),
        (_detach, {"structure"}, "frequency: axis 0 has no scale"),
        (_without("frequency"), {"structure", "columns"}, "frequency is missing"),
        (lambda file: file.attrs.update(family="homoclinic"), {"plan"}, "a coordinate of homoclinic"),
        (lambda file: file.attrs.update(settings='{"s": 1.0}'), {"plan"}, "settings"),
        (lambda file: file.attrs.update(settings="[]"), {"plan"}, "not the one"),
        (lambda file: file.attrs.update(file_format="other"), {"structure", "plan"}, "file_format is not"),
    ],
)
def test_what_is_wrong_in_a_file_is_found_though_its_seal_is_right(whole, change, checks, said):
    edit(whole, change)
    found = verifying.verify(whole, sample=45)
    assert states(found)["seal"] == "ok"
    if checks == {"structure", "columns"}:
        assert "structure" in failed(found)
    elif "plan" in checks:
        assert "plan" in failed(found)
        assert failed(found) <= checks
    else:
        assert failed(found) == checks
    assert any(said in check.words for check in found.failed), [check.words for check in found.failed]


def test_a_file_of_another_version_is_read_but_not_computed_anew(whole):
    edit(whole, lambda file: file.attrs.update(gru_sweep_version="0.0.1"))
    found = verifying.verify(whole)
    assert found.sound
    assert {name for name, state in states(found).items() if state == "skipped"} >= {
        "plan",
        "labels",
        "sample",
    }
    assert "0.0.1" in words(found, "plan")
    with pytest.raises(InputError, match=r"FILE: expected a file of gru-sweep .* of 0\.0\.1"):
        remaking.plan_of(whole)


def test_what_rounding_decides_on_another_machine_is_no_failure(whole):
    def elsewhere(file):
        file.attrs["device"] = "gpu (1 x another)"
        file["status"][8, 2] = Status.OK  # left unresolved by this one
        for name in ("n_stable_cycles",):
            file[name][8, 2] = 0

    def wrong(file):
        file["n_sources"][0, 0], file["n_sinks"][0, 0] = 0, 1

    edit(whole, elsewhere)
    found = verifying.verify(whole, sample=45)
    assert states(found)["sample"] == "ok"
    assert "on another machine, where 1 of them are decided on one of both only" in words(found, "sample")
    edit(whole, wrong)
    assert "sample" in failed(verifying.verify(whole, sample=45))


def test_files_of_ours_without_a_plan_are_read_and_others_are_refused(tmp_path):
    curves, foreign, text = (tmp_path / name for name in ("curves.h5", "foreign.h5", "text.h5"))
    with h5py.File(curves, "w") as file:
        file.attrs["gru_sweep_version"] = "0.1.0"
        file.create_dataset("x", data=np.arange(3.0))
        file["x"].make_scale("x")
        file.create_dataset("y", data=np.arange(3.0), chunks=(3,), fletcher32=True)
        file["y"].dims[0].attach_scale(file["x"])
    atomic.write(curves, curves.read_bytes())
    found = verifying.verify(curves)
    assert found.sound
    assert (found.complete, states(found)["seal"], states(found)["contents"]) == (None, "ok", "skipped")
    flip(curves, chunk(curves, "y", 0)[0])
    found = verifying.verify(curves)
    assert failed(found) == {"seal", "checksums"}
    assert words(found, "checksums") == "y: everywhere"
    with h5py.File(foreign, "w") as file:
        file["x"] = 1.0
    text.write_text("nothing of ours")
    for path in (foreign, text, tmp_path, tmp_path / "none.h5"):
        with pytest.raises(InputError, match=r"^FILE: expected"):
            verifying.verify(path)
    for bad in ({"sample": -1}, {"sample": True}, {"seed": -1}):
        with pytest.raises(InputError, match=r"an integer of at least 0"):
            verifying.verify(curves, **bad)


def _weights(reset):
    rng = np.random.default_rng(3)
    parts = {name: rng.normal(size=(2, 2)) for name in ("U_h", "U_r")} | {"b_r": np.array([0.1, -1 / 3])}
    return gs.GRU(**parts, **({"b_hn": rng.normal(size=2)} if reset == "after" else {}), reset=reset)


PLANS = {
    "hopf": ("hopf", [Axis("alpha", np.linspace(0, np.pi, 4))], {"s": 0.1}, {}),
    "unequal biases": (
        "hopf",
        [Axis("br2", np.array([0.3, -1 / 7]))],
        {"br1": 0.2, "alpha": 1, "beta": 2},
        {},
    ),
    "followers": ("hopf", [Axis("s", np.linspace(-1, 1, 3))], {"alpha": 1.0, "beta": 2.0}, {"seed": 3}),
    "homoclinic": ("homoclinic", [], {}, {"precision": "float32"}),
    "weights": ("weights", [Axis("U_h[0,1]", np.linspace(-3, 3, 4))], {"b_r": 0.7}, {"weights": "before"}),
    "reset after": ("weights", [Axis("b_hn", np.linspace(-3, 3, 4))], {}, {"weights": "after"}),
    "random": ("random", [Axis("index", np.arange(5.0))], {"scale": 4.0}, {"seed": 2**62 + 1}),
    "geometric": ("hopf", [Axis.parse("beta=log:1:3:7")], {"alpha": 1.0}, {"measure": "portrait"}),
    "refined": ("hopf", [Axis.parse("beta=log:1:3:5"), Axis.parse("alpha=2:1:3")], {}, {"refine": 2}),
}


@pytest.mark.parametrize("name", PLANS)
def test_the_plan_that_made_a_file_is_remade_from_it(name, tmp_path, evaluator, monkeypatch):
    evaluator(Anywhere)
    family, axes, settings, options = PLANS[name]
    options = {**options}
    if "weights" in options:
        options["weights"] = _weights(options["weights"])
    if options.get("measure") == "portrait":  # of which the stand-in has not the columns
        monkeypatch.setitem(studies.MEASURES, "portrait", _renamed("portrait"))
    plan = studies.plan(family, axes=axes, settings=settings, out=tmp_path / "x.h5", chunk=100, **options)
    studies.execute(plan)
    again = remaking.plan_of(plan.out)
    assert again.fingerprint({}) == json.loads(json.dumps(plan.fingerprint({})))
    assert (again.chunk, again.refine, again.command) == (plan.chunk, plan.refine, plan.command)
    for one, other in zip(plan.grid.axes, again.grid.axes, strict=True):
        assert (one.name, one.long_name, one.units) == (other.name, other.long_name, other.units)
        np.testing.assert_array_equal(one.values, other.values)
        assert plan.refine is None or one.geometric is other.geometric
    with h5py.File(plan.out) as file:
        stored = json.loads(file["configuration"].asstr()[()])
    assert remaking.made_by(again, Anywhere(again)) == stored["made_by"]
    # The same cells, to the last bit.
    point = {axis.name: axis.values[:1] for axis in plan.grid.axes}
    inputs = [
        one.family.inputs(
            {n: np.broadcast_to(v, (1,)) for n, v in one.family.complete({**one.fixed, **point}).items()}
        )
        for one in (plan, again)
    ]
    assert inputs[0] == inputs[1]
    assert studies.execute(again).computed == 0
    assert verifying.verify(plan.out, sample=9).sound


def _renamed(name):
    return dataclasses.replace(studies.MEASURES["oscillation"], name=name)


def test_an_unfinished_refined_file_is_checked_round_by_round(tmp_path, evaluator):
    class Third(StuartLandau):
        calls = 0

        def __call__(self, coordinates):
            Third.calls += 1
            if Third.calls == 3:
                raise KeyboardInterrupt
            return super().__call__(coordinates)

    evaluator(Third)
    path = tmp_path / "x.h5"
    plan = studies.plan(
        "hopf",
        axes=[Axis("alpha", np.linspace(-1, 1.1, 5)), Axis("beta", np.linspace(1, 3, 4))],
        refine=3,
        chunk=1000,
        out=path,
    )
    with pytest.raises(Interrupted):
        studies.execute(plan)
    evaluator(StuartLandau)
    found = verifying.verify(path)
    assert found.sound, found
    assert found.complete is False
    assert 20 <= found.done < found.points
    part = min(path.with_name("x.h5.parts").glob("*.h5"))
    flip(part, part.stat().st_size // 2)
    assert failed(verifying.verify(path)) == {"shards"}
    assert studies.execute(remaking.plan_of(path)).complete
    assert verifying.verify(path).sound


def test_kinds_are_those_of_the_records():
    assert {*relations._SINKS, *relations._SOURCES} | {Kind.SADDLE, Kind.DEGENERATE, Kind.NOT_COMPUTED} == {
        *Kind
    }
