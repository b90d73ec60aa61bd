"""The experiments run from the command line, write what they promise, and reach their verdicts."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

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


@pytest.fixture(scope="module")
def fig05(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fig05")
    return run("fig05_hopf.py", folder), folder


@pytest.fixture(scope="module")
def fig06(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fig06")
    return run("fig06_hopf_frequency.py", folder), folder


@pytest.mark.parametrize(
    ("figure", "endings"), [("fig05", (".h5", ".png")), ("fig06", (".h5", ".json", ".png"))]
)
def test_writes_its_files_and_no_others(figure, endings, request):
    _, folder = request.getfixturevalue(figure)
    names = sorted(path.name for path in folder.iterdir())
    stem = {"fig05": "fig05_hopf", "fig06": "fig06_hopf_frequency"}[figure]
    assert names == [stem + ending for ending in endings]
    assert (folder / f"{stem}.png").read_bytes()[:8] == PNG


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
