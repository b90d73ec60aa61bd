"""The hall: what a plan comes to, and the sweep as Python and notebooks call it."""

import json
import time

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import gru_sweep as gs
from gru_sweep import provenance, studies
from gru_sweep.records import InputError
from gru_sweep.sweeps.grid import Axis
from stand_in import StuartLandau


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
        return studies.plan("hopf", **given).fingerprint()

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
    labels = studies.topology_label(counts)
    assert labels.tolist() == [
        "sinks:4,sources:1,saddles:4,stable_cycles:0",
        "sinks:1,sources:0,saddles:0,stable_cycles:0",
        "",
        "",
        "",
    ]
    np.testing.assert_array_equal(
        studies.topology_label({k: v[::-1] for k, v in counts.items()}), labels[::-1]
    )
    assert studies.topology_label({k: v[:0] for k, v in counts.items()}).shape == (0,)


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

    class Looking(StuartLandau):
        def __call__(self, coordinates):
            seen.append(str(jnp.zeros(()).dtype))
            return super().__call__(coordinates)

    monkeypatch.setattr(studies, "evaluator", Looking)
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
