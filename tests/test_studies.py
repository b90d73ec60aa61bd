"""The hall: what a plan comes to, and the sweep as Python and notebooks call it."""

import json
import time

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import gru_sweep as gs
from gru_sweep import measures, provenance, studies
from gru_sweep.records import InputError
from gru_sweep.sweeps.grid import Axis
from gru_sweep.sweeps.lanes import Chain
from gru_sweep.sweeps.sweep import Interrupted
from stand_in import StuartLandau

EVALUATOR = studies.evaluator


class FirstEntries(StuartLandau):
    """The stand-in with alpha and beta from the cells that a family makes: U_h[0,1] and U_h[0,0]."""

    def __call__(self, coordinates):
        full = self.family.complete({**self.fixed, **coordinates})
        n = len(next(iter(coordinates.values())))
        inputs = self.family.inputs({name: np.broadcast_to(value, (n,)) for name, value in full.items()})
        family, self.family = self.family, studies.FAMILIES["hopf"]
        try:
            return super().__call__({"alpha": inputs["U_h[0,1]"], "beta": inputs["U_h[0,0]"]})
        finally:
            self.family = family


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    monkeypatch.setattr(studies, "evaluator", StuartLandau)


def axis(name, n=3):
    return Axis(name, np.linspace(1, 2, n))


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([], ("alpha", "beta")),
        (["alpha"], ("alpha", "beta")),
        (["beta"], ("alpha", "beta")),
        (["s"], ("alpha", "beta", "s")),
        (["beta", "alpha"], ("beta", "alpha")),
        (["s", "beta", "alpha"], ("s", "beta", "alpha")),
        (["br2", "br1"], ("alpha", "beta", "br2", "br1")),
    ],
)
def test_given_axes_keep_their_order_and_default_ones_stand_where_the_family_has_them(given, names):
    plan = studies.plan("hopf", axes=[axis(name) for name in given], out="x.h5")
    assert plan.grid.names == names


def test_a_coordinate_that_is_set_is_no_axis():
    plan = studies.plan("hopf", settings={"beta": 3}, out="x.h5")
    assert plan.grid.names == ("alpha",)
    assert plan.grid.shape == (256,)
    assert plan.settings() == {"beta": 3.0, "s": 0.0, "br1": 0.0, "br2": 0.0}


def test_followers_follow_what_is_set_and_name_what_is_swept():
    assert studies.plan("hopf", settings={"s": 2.0}, out="x.h5").settings() == {
        "s": 2.0,
        "br1": 2.0,
        "br2": 2.0,
    }
    swept = studies.plan("hopf", axes=[axis("s")], settings={"br2": 1.0}, out="x.h5")
    assert swept.settings() == {"br1": "s", "br2": 1.0}


def test_axes_take_their_names_and_units_from_the_family():
    (alpha, beta) = studies.plan("hopf", axes={"alpha": axis("alpha")}, out="x.h5").grid.axes
    assert (alpha.long_name, alpha.units) == ("rotation angle", "radian")
    assert (beta.long_name, beta.units) == ("gain", "1")


def test_the_fingerprint_tells_apart_what_gives_other_values():
    def fingerprint(**changes):
        given = {"axes": [axis("alpha")], "out": "x.h5", **changes}
        return studies.plan("hopf", **given).fingerprint({})

    base = fingerprint()
    assert json.loads(json.dumps(base)) == base
    assert fingerprint(out="y.h5", overwrite=True, command="other", chunk=100) == base
    for changes in (
        {"axes": [axis("s")]},
        {"settings": {"s": 1.0}},
        {"precision": "float32"},
        {"seed": 1},
    ):
        assert fingerprint(**changes) != base, changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chunk": 2.0}, "chunk: expected"),
        ({"chunk": True}, "chunk: expected"),
        ({"seed": 2**63}, "seed: expected"),
        ({"settings": {"s": float("inf")}}, "set: expected a finite number for s"),
        ({"settings": {"s": "1"}}, "set: expected a number for s"),
    ],
)
def test_what_a_plan_refuses(monkeypatch, changes, message):
    # Users have no type checker at run time; the tests' own would come first.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match=message):
        studies.plan("hopf", out="x.h5", **changes)


def test_topology_labels_are_read_off_the_record():
    counts = {
        "status": np.array([0, 0, 1, 0, 2], np.int8),
        "n_sinks": np.array([4, 1, 4, 1, 1]),
        "n_sources": np.array([1, 0, 1, 0, 0]),
        "n_saddles": np.array([4, 0, 4, 0, 0]),
        "n_stable_cycles": np.array([0, 0, 0, -1, 0]),
    }
    labels = measures.topology_label(counts)
    assert labels.tolist() == [
        "sinks:4,sources:1,saddles:4,stable_cycles:0",
        "sinks:1,sources:0,saddles:0,stable_cycles:0",
        "",
        "",
        "",
    ]
    np.testing.assert_array_equal(
        measures.topology_label({k: v[::-1] for k, v in counts.items()}), labels[::-1]
    )
    assert measures.topology_label({k: v[:0] for k, v in counts.items()}).shape == (0,)


def test_a_sweep_in_memory_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ds = gs.sweep("hopf", alpha=(-1, 1, 9), beta=[1.0, 2.0, 4.0], s=0.0)
    assert ds.frequency.dims == ("alpha", "beta")
    assert dict(ds.sizes)["beta"] == 3
    np.testing.assert_allclose(ds.frequency.sel(alpha=-1), np.array([1, 2, 4]) / (2 * np.pi))
    assert ds.attrs["points_per_second"] > 0
    assert ds.attrs["compile_seconds"] == 0
    assert "gru_sweep.sweep('hopf', alpha=(-1, 1, 9), beta=[1.0, ... 3 values], s=0.0" in ds.attrs["command"]
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_into_a_file_can_be_opened_again(tmp_path):
    path = tmp_path / "x.h5"
    ds = gs.sweep("hopf", alpha=(-1, 1, 9), beta=np.float64(2), out=path)
    assert ds.frequency.dims == ("alpha",)
    with gs.open(path) as again:
        np.testing.assert_array_equal(again.frequency, ds.frequency)
    with pytest.raises(InputError, match="--overwrite"):
        gs.sweep("hopf", alpha=(-1, 1, 9), beta=2, out=path)


@pytest.mark.parametrize(
    ("coordinates", "message"),
    [
        ({"alpha": (0, 1)}, "alpha: expected"),
        ({"alpha": (0, 1, 2.5)}, "alpha: expected"),
        ({"alpha": (0, 1, 0)}, "alpha: .*num of at least 1"),
        ({"alpha": (0, np.inf, 3)}, "alpha: .*finite"),
        ({"alpha": ("0", "1", 3)}, "alpha: .*finite"),
        ({"alpha": ["a", "b"]}, "alpha: expected"),
        ({"alhpa": (0, 1, 3)}, "did you mean 'alpha'"),
        ({"gain": 2.0}, "set: .*a coordinate of hopf"),
    ],
)
def test_coordinates_that_cannot_be_read_are_refused(monkeypatch, coordinates, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match=message):
        gs.sweep("hopf", **coordinates)


def test_progress_of_ones_own_is_told(tmp_path):
    told = []

    class Telling:
        def start(self, total, done):
            told.append(("start", total, done))

        def advance(self, n):
            told.append(("advance", n))

        def note(self, text):
            told.append(("note", text))

        def finish(self):
            told.append(("finish",))

    gs.sweep("hopf", alpha=(-1, 1, 9), beta=(1, 3, 5), chunk=10, progress=Telling())
    assert told[0] == ("start", 45, 0)
    assert sum(one[1] for one in told if one[0] == "advance") == 45
    assert told[-1] == ("finish",)


@pytest.mark.parametrize(("precision", "dtype"), [("float64", "float64"), ("float32", "float32")])
def test_the_precision_holds_whatever_the_global_switch(monkeypatch, precision, dtype):
    seen = []

    class Looking(Chain):
        def __call__(self, coordinates):
            seen.append(str(jnp.zeros(()).dtype))
            return {c.name: np.full((3, *c.shape), c.fill, c.dtype) for c in self.columns}

    monkeypatch.setattr(studies, "evaluator", EVALUATOR)
    monkeypatch.setattr(measures, "Chain", Looking)
    measures._programs.cache_clear()
    for switch in (True, False):
        with jax.enable_x64(switch):
            gs.sweep("hopf", alpha=(-1, 1, 3), beta=1.0, precision=precision)
            assert bool(jax.config.jax_enable_x64) is switch
    assert seen == [dtype, dtype]


def test_compiling_is_not_counted_in_the_rate(monkeypatch):
    class Compiling(StuartLandau):
        def __call__(self, coordinates):
            if not self.compilations:
                time.sleep(0.3)
                self.compile_seconds += 0.3
            return super().__call__(coordinates)

    monkeypatch.setattr(studies, "evaluator", lambda *given: Compiling(*given, pause=0.01))
    ds = gs.sweep("hopf", alpha=(-1, 1, 3), beta=1.0)
    assert ds.attrs["compile_seconds"] == pytest.approx(0.3)
    assert 3 / 0.2 < ds.attrs["points_per_second"] < 3 / 0.009


def test_provenance_is_of_this_checkout_or_unknown(tmp_path, monkeypatch):
    found = provenance.commit()
    assert found == "unknown" or len(found.removesuffix("-dirty")) == 40
    package = tmp_path / "site" / "gru_sweep"
    package.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(package / "provenance.py"))
    assert provenance.commit() == "unknown"
    assert provenance.machine_kind() == provenance.machine_kind()
    assert "/" not in provenance.machine_kind()


@pytest.fixture
def gru(tmp_path, monkeypatch):
    """A weights file, and a measure that takes its cells."""
    monkeypatch.setattr(studies, "evaluator", FirstEntries)
    path = tmp_path / "gru.json"
    path.write_text('{"U_h": [[3, -1], [1, 2]], "b_r": [0.5, -0.5]}')
    return path


def test_a_sweep_around_weights_keeps_what_it_is_around(gru):
    ds = gs.sweep("weights", weights=gru, **{"U_h[0,1]": (-2, 1, 4), "b_r": [0.0, 1.0]})
    assert ds.frequency.dims == ("U_h[0,1]", "b_r")
    np.testing.assert_allclose(ds.frequency.sel({"U_h[0,1]": -2}), 3 / (2 * np.pi))
    assert ds["U_h[0,1]"].attrs["long_name"] == "recurrent weight"
    kept = json.loads(ds.attrs["weights"])
    assert kept["U_h"] == [[3, -1], [1, 2]]
    assert (kept["b_r"], kept["b_h"], kept["reset"]) == ([0.5, -0.5], [0, 0], "before")
    settings = json.loads(ds.attrs["settings"])
    assert (settings["U_h[0,0]"], settings["b_r[0]"], settings["U_z[0,0]"]) == (3, "b_r", 0)
    assert "**{'U_h[0,1]': (-2, 1, 4)}" in ds.attrs["command"]
    assert f"weights={str(gru)!r}" in ds.attrs["command"]
    again = gs.sweep(
        "weights", weights=gs.GRU(**{k: kept[k] for k in ("U_h", "b_r")}), **{"U_h[0,1]": (-2, 1, 4)}
    )
    np.testing.assert_array_equal(again.frequency, ds.frequency.isel(b_r=0))


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("switch", [True, False])
def test_weights_keep_their_digits_whatever_the_global_switch(gru, precision, switch):
    gru.write_text('{"U_h": [[0.1, 0], [0, 0]]}')
    with jax.enable_x64(switch):
        plan = studies.plan("weights", weights=gru, axes=[axis("b_h[0]")], precision=precision, out="x.h5")
    assert plan.settings()["U_h[0,0]"] == 0.1
    assert plan.fingerprint({})["weights"]["U_h"] == [[0.1, 0], [0, 0]]


def test_other_weights_do_not_continue_a_file(gru, tmp_path, monkeypatch):
    class Broken(FirstEntries):
        def __call__(self, coordinates):
            if 2.0 in coordinates["U_h[0,1]"]:
                raise KeyboardInterrupt
            return super().__call__(coordinates)

    def plan(**changes):
        given = {"axes": [axis("U_h[0,1]", 9)], "weights": gru, "chunk": 3, "out": tmp_path / "x.h5"}
        return studies.plan("weights", **given | changes)

    monkeypatch.setattr(studies, "evaluator", Broken)
    with pytest.raises(Interrupted):
        studies.execute(plan())
    monkeypatch.setattr(studies, "evaluator", FirstEntries)
    text = gru.read_text()
    gru.write_text(text.replace("-0.5", "-0.25"))
    with pytest.raises(InputError, match=r"--resume: .*b_r\[1\] = -0\.25, got settings\.b_r\[1\] = -0\.5"):
        studies.execute(plan(resume=True))
    gru.write_text(text.replace("-1", "-7"))  # an entry that is swept, and so in no setting
    with pytest.raises(InputError, match=r"--resume: .*weights"):
        studies.execute(plan(resume=True))
    gru.write_text(text.replace("}", ', "U_z": [[0, 0], [0, 0]]}'))
    assert studies.execute(plan(resume=True)).computed == 3


def test_draws_do_not_depend_on_the_chunk(monkeypatch):
    monkeypatch.setattr(studies, "evaluator", FirstEntries)
    whole = gs.sweep("random", index=(0, 99, 100), seed=5)
    parts = gs.sweep("random", index=(0, 99, 100), seed=5, chunk=7)
    np.testing.assert_array_equal(whole.frequency, parts.frequency)
    backwards = gs.sweep("random", index=(99, 0, 100), scale=[8.0], seed=5)
    np.testing.assert_array_equal(whole.frequency, backwards.frequency[::-1, 0])
    other = gs.sweep("random", index=(0, 99, 100), seed=6)
    assert not whole.frequency.equals(other.frequency)
    assert whole.attrs["seed"] == 5


@pytest.mark.parametrize(
    ("family", "given", "message"),
    [
        ("weights", {"U_h[0,1]": (0, 1, 3)}, "--weights: expected a file"),
        ("hopf", {"weights": "gru.json"}, "--weights: "),
        ("weights", {"weights": 3}, "--weights: expected a path"),
        ("random", {"index": (0, 1, 3)}, "axis: expected integers from 0 to 4294967295 for index, got 0.5"),
        ("random", {"index": -1}, "set: expected integers .* got -1"),
    ],
)
def test_what_a_family_lacks_or_does_not_want_is_refused(gru, monkeypatch, family, given, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    monkeypatch.chdir(gru.parent)
    with pytest.raises(InputError, match=message):
        gs.sweep(family, **given)


def test_weights_need_an_axis_two_units_and_a_precision_that_holds_them(gru):
    with pytest.raises(InputError, match=r"axis: expected at least one, .*U_h\[0,1\].*got none"):
        gs.sweep("weights", weights=gru)
    with pytest.raises(InputError, match="--weights: expected a cell of 2 units, got one of 3"):
        gs.sweep("weights", weights=gs.GRU(U_h=np.eye(3)), b_r=(0, 1, 3))
    gru.write_text('{"U_h": [[1e39, 0], [0, 0]]}')
    with pytest.raises(InputError, match=r"precision: .*U_h\[0,0\] = 1e\+39, got float32"):
        gs.sweep("weights", weights=gru, b_r=(0, 1, 3), precision="float32")
    with pytest.raises(InputError, match=r"precision: .*beta = 1e"):
        gs.sweep("hopf", beta=(1, 1e40, 3), precision="float32")
