"""The experiments run from the command line, write what they promise, and reach their verdicts."""

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import gru_sweep as gs
from tests.oracle import PlanarGRU, fixed_points
from tests.oracle_portrait import code

ROOT = Path(__file__).resolve().parent.parent
PNG = b"\x89PNG\r\n\x1a\n"


def run(script: str, folder: Path) -> str:
    """Standard output of a quick run into `folder`, where nothing else may appear."""
    answer = subprocess.run(
        [sys.executable, str(ROOT / "experiments" / script), "--quick", "--out-dir", str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def reference_period(alpha: float) -> float:
    """Period of the cycle of Eq 8 with beta = 3, s = 0: scipy, and the field written out again."""
    matrix = 1.5 * np.array([[np.cos(alpha), -np.sin(alpha)], [np.sin(alpha), np.cos(alpha)]])

    def upward(_, h):
        return h[0]

    upward.direction = 1
    solution = solve_ivp(
        lambda _, h: (np.tanh(matrix @ h) - h) / 2,
        (0, 1500),
        (0.6, 0.0),
        method="DOP853",
        rtol=1e-10,
        atol=1e-12,
        events=upward,
    )
    return float(np.diff(solution.t_events[0])[-1])


STEMS = {
    "fig01": "fig01_one_unit",
    "fig02": "fig02_two_bistable_units",
    "fig03": "fig03_fixed_points",
    "fig04": "fig04_pseudo_codimension_two",
    "fig05": "fig05_hopf",
    "fig06": "fig06_hopf_frequency",
    "catalogue": "catalogue",
}


def ran(figure: str, factory) -> tuple[str, Path]:
    folder = factory.mktemp(figure)
    return run(f"{STEMS[figure]}.py", folder), folder


def verdict_of(figure: str, folder: Path) -> dict:
    return json.loads((folder / f"{STEMS[figure]}.json").read_text())


def opened(figure: str, folder: Path) -> xr.Dataset:
    return xr.open_dataset(folder / f"{STEMS[figure]}.h5", engine="h5netcdf")


def gru_of(row: xr.Dataset) -> PlanarGRU:
    """The GRU whose weights a row of a file holds."""
    return PlanarGRU(
        **{part: row[part].values for part in ("U_h", "U_r", "U_z", "b_h", "b_r", "b_z") if part in row}
    )


def fixture_of(figure: str):
    @pytest.fixture(scope="module", name=figure)
    def run_once(tmp_path_factory):
        return ran(figure, tmp_path_factory)

    return run_once


fig01, fig02, fig03, fig04, fig05, fig06, catalogue = map(fixture_of, STEMS)


@pytest.mark.parametrize("figure", STEMS)
def test_writes_its_files_and_no_others(figure, request):
    _, folder = request.getfixturevalue(figure)
    names = sorted(path.name for path in folder.iterdir())
    endings = (".h5", ".png") if figure == "fig05" else (".h5", ".json", ".png")
    assert names == [STEMS[figure] + ending for ending in endings]
    assert (folder / f"{STEMS[figure]}.png").read_bytes()[:8] == PNG


def test_fig01_the_saddle_node_is_where_rate_and_slope_vanish(fig01):
    text, folder = fig01
    node = verdict_of("fig01", folder)["saddle_node"]
    h, b = node["h"], node["b_h"]
    assert np.tanh(2 * h + b) == pytest.approx(h, abs=1e-15)
    assert 2 * (1 - np.tanh(2 * h + b) ** 2) == pytest.approx(1, abs=1e-14)
    assert b == pytest.approx(node["closed_form_b_h"], abs=1e-15)
    assert node["residual"] < 1e-15
    assert f"{b:.16f}" in text


def test_fig01_three_flows_and_their_fixed_points(fig01):
    _, folder = fig01
    flows = verdict_of("fig01", folder)["flows"]
    kinds = [[point["kind"] for point in flow["fixed_points"]] for flow in flows.values()]
    assert kinds == [
        ["stable node"],
        ["stable node", "degenerate"],
        ["stable node", "unstable node", "stable node"],
    ]
    assert [flow["certified"] for flow in flows.values()] == [True, False, True]
    for flow in flows.values():
        for point in flow["fixed_points"]:
            near = 1e-3 if point["kind"] == "degenerate" else 1e-12
            assert np.tanh(2 * point["h"] + flow["b_h"]) == pytest.approx(point["h"], abs=near)
    with opened("fig01", folder) as ds:
        ends = ds.state.values[0, :, -1]
        assert ends == pytest.approx(flows["one stable node"]["fixed_points"][0]["h"], abs=1e-4)
        # from above the half-stable node holds, from below it does not
        above = ds.start.values > ds.saddle_node_h
        assert (ds.state.values[1, above, -1] > ds.saddle_node_h).all()
        assert (ds.state.values[1, ~above, -1] < -0.9).all()


def test_fig01_no_unit_has_more_than_three_fixed_points(fig01):
    _, folder = fig01
    verdict = verdict_of("fig01", folder)
    counts = verdict["census"]["by_number_of_fixed_points"]
    assert sum(counts.values()) + verdict["census"]["not_decided"] == verdict["census"]["units"]
    assert sorted(counts) == ["1", "3"]
    assert min(counts.values()) > 0.1 * verdict["census"]["units"]
    assert verdict["verdict"] == "agrees"


def test_fig02_four_states_and_their_quadrants(fig02):
    text, folder = fig02
    verdict = verdict_of("fig02", folder)
    assert (verdict["fixed_points"]["found"], verdict["sinks"]["found"]) == (9, 4)
    assert verdict["certified"]
    assert verdict["topology"] in text
    basins = verdict["basins"]
    assert basins["starts"] == basins["in_their_own_quadrant"] == 400
    with opened("fig02", folder) as ds:
        rest = brentq(lambda h: np.tanh(ds.u / 2 * h) - h, 0.5, 1)
        assert np.abs(ds.sink.values) == pytest.approx(rest, abs=1e-12)
        i, j = 3, 14
        start = (ds.start_1.values[i], ds.start_2.values[j])
        end = solve_ivp(lambda _, h: (np.tanh(ds.u / 2 * h) - h) / 2, (0, 60), start, rtol=1e-9, atol=1e-9).y[
            :, -1
        ]
        assert ds.sink.values[ds.basin.values[i, j]] == pytest.approx(end, abs=1e-6)
        # each pulse sets the unit that it is given to, and the rest keeps all states
        pulses = verdict["states_after_each_pulse"]
        now = ds.sink.values[0].copy()
        for pulse, number in zip(pulses["pulses"], pulses["sinks"], strict=True):
            now = np.where(np.array(pulse) == 0, now, np.sign(pulse) * rest)
            assert ds.sink.values[number] == pytest.approx(now, abs=1e-9)


def test_fig03_counts_agree_with_scipy(fig03):
    _, folder = fig03
    found = verdict_of("fig03", folder)
    assert found["A"]["n_fixed_points"] == 11
    assert found["A"]["status"] == "ok"
    with opened("fig03", folder) as ds:
        points = fixed_points(gru_of(ds.sel(panel="A")))
    assert len(points) == 11
    for point in points:
        (same,) = (p for p in found["A"]["points"] if np.allclose(p["h"], point.h, rtol=0, atol=1e-9))
        assert same["kind"] == point.kind
    assert sum(one["cells"] for one in found["search"].values()) == 3 * 512 + 3**4
    most = max(int(n) for one in found["search"].values() for n in one["by_number_of_fixed_points"])
    assert found["largest_number"] == most >= 11


def test_fig03_merged_points_are_reported_and_not_guessed(fig03):
    _, folder = fig03
    b = verdict_of("fig03", folder)["B"]
    assert b["status"] == "near bifurcation"
    assert b["topology"] == ""
    assert max(abs(b["one_unit_at_0"][name]) for name in ("f", "df/dh")) < 1e-15
    assert b["one_unit_at_0"]["d2f/dh2"] < -1
    kinds = [point["kind"] for point in b["split_by"]["points"]]
    near = [k for k, p in zip(kinds, b["split_by"]["points"], strict=True) if max(map(abs, p["h"])) < 0.5]
    assert sorted(near) == ["saddle", "saddle", "stable node", "unstable node"]
    assert (b["split_by"]["status"], b["beyond"]["topology"]) == ("ok", "sink")


def test_fig03_the_saddle_node_of_the_second_kind(fig03):
    _, folder = fig03
    c = verdict_of("fig03", folder)["C"]
    node = c["saddle_node"]
    assert c["status"] == "near bifurcation"
    with opened("fig03", folder) as ds:
        gru = gru_of(ds.sel(panel="C"))
    h = np.array(node["h"])
    gate = 1 / (1 + np.exp(-(gru.U_r @ h + gru.b_r)))
    t = np.tanh(gru.U_h @ (gate * h) + gru.b_h)
    assert t == pytest.approx(h, abs=1e-14)
    inner = gru.U_h @ (np.diag(gate) + (h * gate * (1 - gate))[:, None] * gru.U_r)
    jacobian = ((1 - t**2)[:, None] * inner - np.eye(2)) / 2
    values = sorted(np.linalg.eigvals(jacobian).real, key=abs)
    assert abs(values[0]) < 1e-12
    assert values[1] > 1
    assert node["second_kind"]
    assert c["before"]["n_fixed_points"] == c["after"]["n_fixed_points"] + 2
    counts = [[p["kind"] for p in c[side]["points"]] for side in ("before", "after")]
    for word in ("saddle", "unstable node"):
        assert counts[0].count(word) == counts[1].count(word) + 1


def test_fig04_distances_follow_the_derivatives(fig04):
    _, folder = fig04
    verdict = verdict_of("fig04", folder)
    assert verdict["at_the_degenerate_point"]["status"] == "near bifurcation"
    assert np.abs(verdict["at_the_degenerate_point"]["jacobian"]).max() < 1e-15
    for one in verdict["ways"].values():
        assert one["largest_deviation_below_p_of_1e-3"] < 1e-2
        assert one["smallest_ok"]["p"] >= one["smallest_proven"]["p"]
    with opened("fig04", folder) as ds:

        def rate(h, p):
            return np.tanh(3 * h / (1 + 2 * np.exp(5 * h)) + p) - h

        p = 0.01
        exact = brentq(rate, 0, 0.5, args=(p,)) - brentq(rate, -0.5, 0, args=(p,))
        apart = ds.distance.sel(way="b_h", sign=1).sel(p=p, method="nearest")
        assert float(apart) == pytest.approx(exact, rel=1e-9)


def test_fig04_a_status_is_ok_only_where_the_answer_is_known(fig04):
    _, folder = fig04
    with opened("fig04", folder) as ds:
        ok = ds.status == gs.Status.OK
        number = ds.n_fixed_points
        # beyond p = 0 along b_h the four are gone; everywhere else there are nine in all
        assert (number.sel(way="b_h", sign=-1).where(ok.sel(way="b_h", sign=-1), 1) == 1).all()
        for way, sign in (("b_h", 1), ("b_r", 1), ("b_r", -1)):
            here = {"way": way, "sign": sign}
            assert (number.sel(here).where(ok.sel(here), 9) == 9).all()
            assert not ok.sel(here).sel(p=slice(None, 1e-14)).any()
            assert ok.sel(here).sel(p=slice(1e-2, None)).all()


def test_catalogue_rows_are_distinct_and_complete(catalogue):
    text, folder = catalogue
    found = verdict_of("catalogue", folder)
    labels = [row["topology"] for row in found["examples"]]
    assert len(set(labels)) == len(labels) == found["topologies"] >= 12
    assert found["with_a_stable_cycle"] >= 2
    assert found["with_an_unstable_cycle"] >= 1
    for row in found["examples"]:
        assert row["topology"] in text
        assert row["n_sinks"] + row["n_sources"] - row["n_saddles"] == 1
        assert row["n_sinks"] + row["n_sources"] + row["n_saddles"] == row["n_fixed_points"]
        assert (row["frequency"] is None) == (row["n_stable_cycles"] == 0)
        assert row["topology"].count("ucycle") == row["n_unstable_cycles"]
        assert row["topology"].count("cycle") == row["n_stable_cycles"] + row["n_unstable_cycles"]
    assert sum(row["met"] for row in found["examples"]) == found["cells_by_status"]["ok"]


def test_catalogue_labels_agree_with_scipy(catalogue):
    _, folder = catalogue
    undecided = []
    with opened("catalogue", folder) as ds:
        labels = ds.topology.values.tolist()
        for label in labels:
            try:
                reference = code(gru_of(ds.sel(topology=label)))
            except ArithmeticError:  # the reference cannot tell
                undecided.append(label)
                continue
            fields = dataclasses.asdict(reference) | {"n_fixed_points": reference.n_fixed_points}
            assert gs.topology_label(SimpleNamespace(**fields)) == label
    assert len(undecided) <= len(labels) / 5


def test_fig05_finds_the_three_regimes_and_both_bifurcations(fig05):
    text, folder = fig05
    with xr.open_dataset(folder / "fig05_hopf.h5", engine="h5netcdf") as ds:
        assert ds.failed == 0
        assert ds.solver == "taylor(10)"
        assert ds.alpha_hopf == pytest.approx(math.acos(2 / 3), abs=1e-8)
        # one fixed point becomes nine by four saddle-nodes at once; four of them are sinks
        assert ds.n_fixed_points.values.tolist() == [1, 1, 1]
        assert (ds.n_fixed_points_beyond, ds.n_sinks_beyond) == (9, 4)
        assert 0 < ds.alpha_saddle_nodes < ds.alpha.values[2]
        spiral, near, slow = ds.period.values
        assert math.isnan(spiral)
        assert near == pytest.approx(reference_period(ds.alpha.values[1]), rel=1e-6)
        assert slow > 5 * near
        assert np.abs(ds.state.values[0, -1]).max() < 1e-8
        assert np.abs(ds.state.values).max() < 1
    assert f"pi/{math.pi / math.acos(2 / 3):.4f}" in text


def test_fig06_only_the_printed_sign_of_the_sigmoid_agrees_with_the_text(fig06):
    text, folder = fig06
    verdict = json.loads((folder / "fig06_hopf_frequency.json").read_text())
    assert verdict["verdict"] == "1 / (1 + e^z), as printed"
    assert verdict["verdict"] in text
    usual, printed = verdict["signs"].values()
    assert min(usual["trend_of_mean"], usual["trend_of_variance"]) > 0.9
    assert max(printed["trend_of_mean"], printed["trend_of_variance"]) < -0.9
    assert not usual["agrees"]
    assert printed["agrees"]
    zero = usual["s"].index(0.0)
    assert usual["mean"][zero] == printed["mean"][zero]


def test_fig06_statistics_are_those_of_the_file(fig06):
    _, folder = fig06
    verdict = json.loads((folder / "fig06_hopf_frequency.json").read_text())
    with xr.open_dataset(folder / "fig06_hopf_frequency.h5", engine="h5netcdf") as ds:
        for sign, rows in zip((1, -1), verdict["signs"].values(), strict=True):
            for i, s in enumerate(rows["s"]):
                frequency = ds.frequency.values[..., np.argmin(np.abs(ds.s.values - sign * s))]
                frequency = frequency[np.isfinite(frequency)]
                assert rows["points"][i] == frequency.size
                if rows["mean"][i] is not None:
                    assert rows["mean"][i] == pytest.approx(frequency.mean(), rel=1e-12)
                    assert rows["variance"][i] == pytest.approx(frequency.var(), rel=1e-12)
                    assert sign * s > -1  # no cycle where beta sigma(s) < 1 for every beta up to 3
