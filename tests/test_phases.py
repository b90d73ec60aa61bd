"""Random networks over their gains: what the file holds, how it is resumed, what is refused."""

import json
import sys

import numpy as np
import pytest

import gru_sweep as gs
from gru_sweep import cli, studies
from gru_sweep.gating import mean_field
from gru_sweep.gating.trajectories import Motion
from gru_sweep.phases import MEASURES
from gru_sweep.phases.theory import Prediction, theory
from gru_sweep.records import InputError, Status
from gru_sweep.sweeps.sweep import Interrupted, Silent
from gru_sweep.systems import networks
from gru_sweep.systems.ensembles import ENSEMBLES

SMALL = {"size": 24, "networks": 2, "transient": 60.0, "time": 100.0}
OPTIONS = {"measure": "lyapunov", "networks": SMALL, "seed": 5, "precision": "float64"}
GRID = {"g": (0.5, 4.0, 4), "alpha_r": (0.0, 5.0, 3)}


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Runs the command line in an empty folder: status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["gru-sweep", *map(str, arguments)])
        return cli.main(), *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("phases") / "whole.h5"
    gs.sweep("gated-rnn", out=path, **OPTIONS, **GRID).close()
    return path


ROOTS = ("mean_field_activity", "mean_field_K", "K_largest")
"""Found by a scan that all points of a block share: to rounding."""


def equal(one, other):
    """All variables of two files, to the last bit; roots of theory's equations to rounding."""
    with gs.open(one) as a, gs.open(other) as b:
        assert set(a.data_vars) == set(b.data_vars)
        for name in set(a.data_vars) - {"configuration"}:
            off = 1e-12 if name in ROOTS else 0.0
            np.testing.assert_allclose(a[name].values, b[name].values, rtol=off, atol=off, err_msg=name)


def largest(name, matrices, gain):
    """The largest exponent of zero by the eigenvalues there, of an ensemble with half open gates."""
    edge = np.linalg.eigvals(matrices).astype(complex)
    if name == "gated-rnn":
        return 0.5 * (gain / 2 * edge.real - 1).max()
    if name == "gru":
        return np.log(np.abs(0.5 + 0.25 * gain * edge)).max()
    # h = o c at zero, so that c' = f c + i a_g J o c
    return np.log(np.abs(0.5 + 0.25 * gain * edge)).max()


@pytest.mark.parametrize(
    ("name", "gain", "main"), [("gated-rnn", "g", "h"), ("gru", "a_h", "h"), ("lstm", "a_g", "g")]
)
def test_below_the_first_critical_gain_networks_are_at_zero(name, gain, main):
    found = gs.sweep(name, **OPTIONS | {"networks": SMALL | {"time": 400.0}}, **{gain: (0.4, 1.2, 2)})
    assert (found.status == Status.OK).all()
    assert (found.motion == Motion.AT_ZERO).all()
    for number in range(SMALL["networks"]):
        drawn = ENSEMBLES[name].draw(SMALL["size"], OPTIONS["seed"], number)[main]
        for i, value in enumerate(found[gain].values):
            got = found.largest_exponent.values[i, number]
            assert got == pytest.approx(largest(name, drawn, value), rel=0.01)  # 1 / time and less


def test_the_file_says_what_it_holds(whole):
    with gs.open(whole) as file:
        assert file.lyapunov.dims == ("g", "alpha_r")
        assert file.exponent.dims == ("g", "alpha_r", "seed", "exponent_index")
        assert file.motion.attrs["flag_meanings"].split()[:2] == ["not_computed", "at_zero"]
        assert json.loads(file.attrs["networks"]) == SMALL | {"exponents": 1}
        np.testing.assert_allclose(file.lyapunov, file.largest_exponent.mean("seed"))
        spread = file.largest_exponent.std("seed", ddof=1) / np.sqrt(2)
        np.testing.assert_allclose(file.lyapunov_error, spread)
        resolved = (file.motion != Motion.UNRESOLVED).all("seed")
        assert ((file.status == Status.OK) == resolved).all()
        assert (file.lyapunov.isel(g=0) < 0).all()


def test_points_do_not_depend_on_their_neighbours(whole, tmp_path):
    gs.sweep("gated-rnn", out=tmp_path / "x.h5", chunk=5, **OPTIONS, **GRID).close()
    equal(whole, tmp_path / "x.h5")


class First(Silent):
    """Asks to stop when the first points are safe."""

    requested = False

    def advance(self, n):
        self.requested = True


def plan(path, **more):
    axes, _ = studies.coordinates.read(GRID)
    return studies.plan("gated-rnn", axes=axes, chunk=3, out=path, **OPTIONS, **more)


def test_a_stopped_sweep_goes_on(whole, tmp_path):
    path = tmp_path / "x.h5"
    first = First()
    with pytest.raises(Interrupted, match=r"(3|6|9) of 12 points are safe"):
        studies.execute(plan(path), first, first)
    studies.execute(plan(path, resume=True))
    equal(whole, path)


def test_jobs_of_an_array_are_packed(command, whole):
    flags = [f"--axis={name}={a}:{b}:{n}" for name, (a, b, n) in GRID.items()]
    about = [f"--{flag}={SMALL[name]}" for flag, name in (("size", "size"), ("seeds", "networks"))]
    about += ["--transient=60", "--time=100", "--seed=5", "--precision=float64", "--chunk=4", "-q"]
    for job in (1, 2):
        status, _, err = command("gating", "lyapunov", *flags, *about, "--out=x.h5", f"--shard={job}/2")
        assert status == 0, err
    assert command("pack", "x.h5", "-q")[0] == 0
    equal(whole, "x.h5")
    status, out, _ = command("verify", "x.h5", "--sample", 4, "--json", "-q")
    assert status == 0
    states = {check["name"]: check["state"] for check in json.loads(out)["checks"]}
    assert states["plan"] == states["sample"] == "ok"


def test_a_changed_value_is_found(whole, command, tmp_path):
    import h5py

    (tmp_path / "y.h5").write_bytes(whole.read_bytes())
    with h5py.File(tmp_path / "y.h5", "r+") as file:
        file["lyapunov"][...] = file["lyapunov"][...] + 0.5
    status, out, _ = command("verify", tmp_path / "y.h5", "--sample", 12, "--json", "-q")
    assert status == 1
    states = {check["name"]: check["state"] for check in json.loads(out)["checks"]}
    assert states["sample"] == "failed"


def test_several_exponents_and_their_dimension():
    networks = SMALL | {"size": 64, "exponents": 12}
    found = gs.sweep("gated-rnn", **OPTIONS | {"networks": networks}, g=[5.0], alpha_r=10.0)
    values = found.exponent.values[0]
    assert values.shape == (2, 12)
    assert (np.diff(values, axis=-1) <= 0).all()
    chaotic = found.motion.values[0] == Motion.CHAOTIC
    assert chaotic.any()
    assert (found.dimension.values[0][chaotic] > 2).all()


def test_a_picture_of_exponents(command, whole):
    status, _, err = command("plot", whole, "--out", "x.png")
    assert status == 0, err
    status, _, err = command("plot", whole, "--out", "y.png", "--variable", "exponent")
    assert status == 2
    assert "one over the axes alone" in err


BAD = {
    "--cell": ["--cell", "grru"],
    "--size": ["--size", 0],
    "--seeds": ["--seeds", -1],
    "--time": ["--time", 0],
    "--transient": ["--transient", "nan"],
    "--exponents": ["--exponents", 1000],
    "--axis": ["--axis", "a_h=1:2:3"],
    "--set": ["--set", "tau_z=0"],
    "--precision": ["--precision", "half"],
    "--out": ["--out", ""],
    "--shard": ["--shard", "3/2"],
    "--chunk": ["--chunk", 0],
    "--device": ["--device", "abacus"],
}


@pytest.mark.parametrize("flag", BAD)
def test_bad_input_is_one_line(command, tmp_path, flag):
    given = ["--axis", "g=1:2:2"] if flag != "--axis" else []
    given += ["--size", 8] if flag not in ("--size",) else []
    given += ["--out", "x.h5"] if flag != "--out" else []
    status, out, err = command("gating", "lyapunov", *given, *(BAD[flag] if flag != "--out" else []))
    assert (status, out) == (2, ""), err
    assert err.count("\n") == 1
    assert err.startswith(f"gru-sweep: {flag}: expected")
    assert not list(tmp_path.iterdir())


def test_questions_for_one_kind_are_refused_of_another(tmp_path):
    out = tmp_path / "x.h5"
    with pytest.raises(InputError, match=r"measure: expected one of .*lyapunov.*, got oscillation"):
        gs.sweep("gru", a_h=(1, 2, 2), out=out)
    with pytest.raises(InputError, match=r"measure: expected one of oscillation, portrait.*, got lyapunov"):
        gs.sweep("hopf", measure="lyapunov", out=out)
    with pytest.raises(InputError, match="networks: expected none with the family hopf"):
        gs.sweep("hopf", networks={"size": 3}, out=out)
    with pytest.raises(InputError, match="--weights"):
        gs.sweep("gru", measure="lyapunov", weights="w.json", a_h=(1, 2, 2), out=out)
    with pytest.raises(InputError, match="refine: expected a measure with a label"):
        gs.sweep("gru", measure="lyapunov", refine=2, a_h=(1, 2, 2), out=out)
    with pytest.raises(InputError, match="family: expected one of hopf"):
        studies.cell("gru")
    assert not out.exists()


def test_the_phase_diagram_has_theory_beside_it(command):
    flags = [
        "--size=48",
        "--seeds=3",
        "--transient=100",
        "--time=150",
        "--axis=g=1:4:4",
        "--axis=alpha_r=0:20:2",
    ]
    status, out, err = command(
        "gating", "phase-diagram", *flags, "--out=x.h5", "--plot=x.png", "--json", "-q"
    )
    assert status == 0, err
    assert json.loads(out)["points"] == 8
    with gs.open("x.h5") as file:
        # zero is stable for g < 2, at every alpha_r, and at 2 exactly it is neither
        np.testing.assert_allclose(file.K_zero, np.broadcast_to((file.g.values / 2)[:, None] ** 2, (4, 2)))
        assert (file.prediction.isel(g=0) == Prediction.STABLE).all()
        assert (file.prediction.isel(g=slice(2, None)) == Prediction.UNSTABLE).all()
        assert (file.n_at_zero.isel(g=0) == 3).all()
        assert (file.n_at_zero.isel(g=slice(2, None)) == 0).all()
        assert (file.lyapunov.isel(g=0) < 0).all()
        counts = sum(file[f"n_{name}"] for name in ("at_zero", "fixed_point", "periodic_or_slow", "chaotic"))
        assert (counts <= 3).all()
        majority = file.motion != Motion.UNRESOLVED
        assert ((file.status == Status.OK) == majority).all()
        for g, alpha_r in ((3.0, 0.0), (4.0, 20.0)):
            *_, last = mean_field.fixed_points(g, alpha_r)
            one = file.sel(g=g, alpha_r=alpha_r)
            assert float(one.mean_field_activity[1]) == pytest.approx(last.variance, rel=1e-8)
            assert float(one.K_largest) == pytest.approx(last.K, rel=1e-8)
            assert int(one.marginal) == last.marginal_with_sharp_update_gate
    assert command("plot", "x.h5", "--out", "y.png", "--variable", "motion")[0] == 0


@pytest.mark.parametrize(("cell", "gain"), [("gru", "a_h=3"), ("lstm", "a_g=3"), ("gated-rnn", "g=3")])
def test_spectra_have_the_cloud_beside_them(command, cell, gain):
    gate = {"gru": "a_z", "lstm": "a_f", "gated-rnn": "alpha_z"}[cell]
    flags = [f"--cell={cell}", "--size=150", "--seeds=2", "--transient=60", f"--axis={gate}=0:20:2"]
    status, _, err = command("gating", "spectrum", *flags, "--set", gain, "--out=x.h5", "--plot=x.png", "-q")
    assert status == 0, err
    with gs.open("x.h5") as file:
        values = file.eigenvalue.values[..., 0] + 1j * file.eigenvalue.values[..., 1]
        largest = values.real.max(-1) if cell == "gated-rnn" else np.abs(values).max(-1)
        np.testing.assert_allclose(file.largest, largest)
        # a finite cloud ends N^(-1/2) from the edge, or so
        np.testing.assert_allclose(file.largest, file.largest_theory, atol=2 / np.sqrt(150))
        neutral = 0 if cell == "gated-rnn" else 1
        np.testing.assert_allclose(file.slow, (np.abs(values - neutral) < 0.1).mean(-1))
        np.testing.assert_allclose(file.slow, file.slow_theory, atol=0.03)
        assert (file.slow.isel({gate: 1}) > 3 * file.slow.isel({gate: 0})).all()
        edge = file.edge.values
        assert np.isfinite(edge).all(-1).sum(-1).min() > 50
    assert command("plot", "x.h5", "--out", "y.svg")[0] == 0
    assert command("plot", "x.h5", "--out", "z.png", "--variable", "radius")[0] == 0


def test_edges_of_many_curves_fit_in_their_rows():
    from gru_sweep.phases.spectra import VERTICES, _edge

    around = np.exp(2j * np.pi * np.linspace(0, 1, 2000))
    rows = _edge((around, 3 + around / 2, 6 + around[::100] / 4))
    assert rows.shape == (VERTICES, 2)
    gaps = np.isnan(rows[:, 0])
    assert gaps.sum() >= 2
    ends = np.flatnonzero(gaps)
    np.testing.assert_allclose(rows[0], rows[ends[0] - 1], atol=1e-12)  # closed still
    assert np.hypot(*rows[: ends[0]].T) == pytest.approx(1)
    assert _edge(()).shape == (VERTICES, 2)


def test_beyond_the_reach_of_theory_nothing_is_said_of_it():
    family = networks.FAMILIES["lstm"]
    points = {name: np.full(2, value) for name, value in family.complete({}).items()}
    points["a_f"] = np.array([1.0, 1e4])
    found = theory(family, points)
    assert found.prediction.tolist() == [Prediction.UNSTABLE, Prediction.NOT_COMPUTED]
    assert found.mean_field_count.tolist() == [2, -1]
    assert np.isnan(found.mean_field_K[1]).all()
    assert np.isfinite(found.K_zero).tolist() == [True, False]


@pytest.mark.parametrize(
    ("size", "exponents", "points", "batch"),
    [(128, 1, 4096, 128), (128, 1, 5, 8), (128, 60, 4096, 2), (1000, 1, 4096, 16), (24, 72, 4096, 1)],
)
def test_a_batch_suits_the_networks(size, exponents, points, batch):
    family = networks.FAMILIES["gated-rnn"].made(size=size, exponents=exponents)
    evaluate = MEASURES["lyapunov"].evaluator(family, {}, "float32", points)
    assert evaluate.chunk == batch
    assert MEASURES["spectrum"].evaluator(family, {}, "float32", points).chunk == 1


def test_a_file_from_another_machine_is_not_computed_anew(command, whole, monkeypatch):
    from gru_sweep.verifying import sampling

    monkeypatch.setattr(sampling, "on_machine_alike", lambda contents: False)
    status, out, _ = command("verify", whole, "--sample", 4, "--json", "-q")
    assert status == 0
    (sample,) = (check for check in json.loads(out)["checks"] if check["name"] == "sample")
    assert sample["state"] == "skipped"
    assert "another kind of machine" in sample["words"]
