"""`gs.curves` and `gru-sweep curves`: the Hopf plane's curves in a file, against closed forms."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import xarray as xr

import gru_sweep as gs
from gru_sweep import atlas, cli, plotting
from gru_sweep.analysis.bifurcations.plane.codimension_two import SpecialPoint
from gru_sweep.analysis.bifurcations.plane.curve import Curve, Curves
from gru_sweep.analysis.bifurcations.rectangle import Diagram
from gru_sweep.records import InputError
from gru_sweep.systems.families import FAMILIES


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["gru-sweep", "curves", *arguments])
    status = cli.main()
    printed = capsys.readouterr()
    return status, printed.out, printed.err


PLANE = ["--plane", "alpha=0.05:1.5", "--plane", "beta=2.2:3"]


def test_the_hopf_plane_by_the_command(monkeypatch, capsys, tmp_path):
    out, picture = tmp_path / "curves.h5", tmp_path / "curves.png"
    command = [
        "hopf",
        *PLANE,
        "--set",
        "s=0.4",
        "--out",
        str(out),
        "--plot",
        str(picture),
        "--json",
        "--quiet",
    ]
    status, printed, err = run(monkeypatch, capsys, *command)
    assert (status, err) == (0, "")
    about = json.loads(printed)
    assert about["complete"]
    assert about["codimension_two"] == []
    assert about["unexplained_changes"] == 0
    assert {curve.get("on_cycle") for curve in about["curves"]} == {"all", None}
    assert sorted(curve["kind"] for curve in about["curves"]) == ["fold"] * 4 + ["hopf"]
    assert {curve[end] for curve in about["curves"] for end in ("begins", "ends")} == {"border"}
    assert picture.read_bytes().startswith(b"\x89PNG")
    with xr.open_dataset(out, engine="h5netcdf") as ds:
        ends = np.cumsum(ds.row_size.values)
        kinds = ds.kind.attrs["flag_meanings"].split()
        for kind, start, end in zip(ds.kind.values, ends - ds.row_size.values, ends):
            part = ds.isel(vertex=slice(start, end))
            gain = part.beta.values / (1 + np.exp(-0.4))  # what multiplies R(alpha) h
            if kinds[kind] == "hopf":
                assert np.abs(np.cos(part.alpha.values) - 1 / gain).max() < 1e-12
                assert (part.supercritical == 1).all()
                assert part.frequency.values == pytest.approx(np.tan(part.alpha.values) / (4 * np.pi))
            else:
                x, y = part.state.values.T
                c, s = gain * np.cos(part.alpha.values), gain * np.sin(part.alpha.values)
                t = np.tanh([c * x - s * y, s * x + c * y])
                assert np.abs(t - [x, y]).max() < 1e-12
                d1, d2 = 1 - t**2
                determinant = (d1 * c - 1) * (d2 * c - 1) + d1 * d2 * s * s
                assert np.abs(determinant).max() < 1e-11
                # all four saddle-nodes lie on one cycle, but next to where the curve ends nothing is known
                assert set(part.on_cycle.values.tolist()) <= {1, -1}
                assert (part.on_cycle == 1).mean() > 0.9
        assert ds.attrs["command"].startswith("gru-sweep curves hopf")
        assert json.loads(ds.attrs["settings"])["s"] == 0.4
    before = out.read_bytes()
    status, _, err = run(monkeypatch, capsys, *command)
    assert (status, err.count("\n")) == (2, 1)
    assert "--overwrite" in err
    assert out.read_bytes() == before


BAD = {
    "one axis": (["hopf", "--plane", "alpha=0:1"], "--plane"),
    "equal axes": (["hopf", "--plane", "alpha=0:1", "--plane", "alpha=1:2"], "--plane"),
    "reversed": (["hopf", "--plane", "alpha=1:0", "--plane", "beta=1:2"], "--plane"),
    "unknown": (["hopf", "--plane", "gamma=0:1", "--plane", "beta=1:2"], "--plane"),
    "set too": (["hopf", *PLANE, "--set", "beta=2"], "--set"),
    "constant": (
        ["hopf", "--plane", "s=0:1", "--plane", "beta=1:2", "--set", "br1=0", "--set", "br2=0"],
        "--plane",
    ),
    "not an axis": (["hopf", "--plane", "alpha", "--plane", "beta=1:2"], "--plane"),
    "bad picture": (["hopf", *PLANE, "--plot", "c.jpg"], "--plot"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_status_2_and_nothing_written(monkeypatch, capsys, tmp_path, case):
    monkeypatch.chdir(tmp_path)
    arguments, flag = BAD[case]
    status, out, err = run(monkeypatch, capsys, *arguments, "--out", "c.h5")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"{flag}: expected" in err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    for path in (tmp_path / "no" / "c.h5", tmp_path):
        with pytest.raises(InputError, match="--out: expected a file"):
            gs.curves("hopf", alpha=(0.0, 1.0), beta=(1.0, 2.0), out=path)


def test_curves_of_fixed_points_alone_begin_where_everything_vanishes():
    # at alpha = 0, beta = 2 the origin's Jacobian is 0: four folds and the Hopf curve end there
    ds = gs.curves("hopf", alpha=(0.0, 1.0), beta=(2.0, 3.0), fixed_points_only=True)
    about = atlas.summary(ds)
    assert about["complete"], about["warnings"]
    assert [curve["begins"] for curve in about["curves"]] == ["branch point"] * 5
    assert {curve.get("on_cycle") for curve in about["curves"]} == {"not known", None}
    folds = ds.trace.values[: int(ds.row_size[:4].sum())]
    assert np.isnan(folds).sum() == 4
    assert folds[~np.isnan(folds)].max() < 0.0
    assert ds.sizes["grid_alpha"] == ds.sizes["change"] == 0


def made() -> xr.Dataset:
    """One Hopf curve that changes from super- to subcritical at a Bautin point."""
    length = np.linspace(0.0, 1.0, 5)
    points = np.column_stack([0 * length, 0 * length, length, 1 + length])
    special = SpecialPoint("bautin", points[2], 1e-14, True, length[2])
    l1 = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    values = {"first_lyapunov_coefficient": l1, "frequency": np.ones(5)}
    curve = Curve(
        points, np.gradient(points, axis=0), length, False, "hopf", ("border",) * 2, (special,), values
    )
    known = {c.name: c for c in FAMILIES["hopf"].coordinates}
    plane = [(known["alpha"], 0.0, 1.0), (known["beta"], 1.0, 2.0)]
    found = Curves((curve,), False, 9, 100, ("something",))
    labels = np.array([["sink", ""], ["sink", "cycle+(source)"]], object)
    changes = np.array([[[0.2, 1.3], [0.2, 1.4]]])
    nodes = np.array([0.25, 0.75]), np.array([1.25, 1.75])
    diagram = Diagram(found, (np.full(5, -1, np.int8),), nodes, labels, changes)
    return atlas.dataset(diagram, plane, {"title": "made up"})


def test_special_points_and_warnings_are_kept(tmp_path):
    made().to_netcdf(tmp_path / "c.h5", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "c.h5", engine="h5netcdf") as ds:
        about = atlas.summary(ds)
        classes = ds.topology_class.values.tolist()
        labels = [classes[code] if code >= 0 else "" for code in ds.topology.values.ravel()]
        assert labels == ["sink", "", "sink", "cycle+(source)"]
        assert ds.topology.dims == ("grid_alpha", "grid_beta")
        assert ds.change_beta.values.tolist() == [[1.3, 1.4]]
    (special,) = about["codimension_two"]
    assert (special["kind"], special["alpha"], special["beta"], special["proven"]) == (
        "bautin",
        0.5,
        1.5,
        True,
    )
    assert (about["complete"], about["warnings"]) == (False, ["something"])
    assert about["unexplained_changes"] == 1


def test_a_saddle_node_on_a_cycle_is_drawn_as_one():
    from matplotlib.figure import Figure

    ds = made()
    folds = str(ds.kind.attrs["flag_meanings"]).split().index("fold")
    ds["kind"].values[:] = folds
    ds["on_cycle"].values[:] = [1, 1, -1, 0, 0]
    (curve,) = atlas.summary(ds)["curves"]
    assert (curve["kind"], curve["on_cycle"]) == ("fold", "in part")
    axes = plotting.curves(ds, Figure())
    fold, snic = (line.get_xdata() for line in axes.lines[:2])
    np.testing.assert_array_equal(np.isfinite(snic), [1, 1, 1, 0, 0])
    np.testing.assert_array_equal(np.isfinite(fold), [0, 1, 1, 1, 1])  # what is not known is drawn


def test_the_picture_has_both_kinds_of_hopf_points():
    from matplotlib.figure import Figure

    axes = plotting.curves(made(), Figure())
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert words == ["supercritical hopf", "subcritical hopf", "bautin", "not known"]
    solid, dashed = (np.isfinite(line.get_xdata()) for line in axes.lines[:2])
    np.testing.assert_array_equal(solid, [1, 1, 1, 0, 0])
    np.testing.assert_array_equal(dashed, [0, 0, 1, 1, 1])
    assert axes.get_xlim() == (0.0, 1.0)
