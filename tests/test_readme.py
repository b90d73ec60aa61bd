"""What the README shows is what works."""

import functools
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import gru_sweep as gs
from gru_sweep import cli, studies
from gru_sweep.analysis import portrait
from gru_sweep.analysis.portrait import PhasePortrait, phase_portrait
from gru_sweep.records import Status
from stand_in import StuartLandau

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


class Undecided(studies.Evaluator):
    """The columns of the plan's own measure, and nothing known at any point."""

    def __call__(self, coordinates):
        n = len(next(iter(coordinates.values())))
        found = {c.name: np.full((n, *c.shape), c.fill, c.dtype) for c in self.columns}
        return found | {"status": np.full(n, Status.UNRESOLVED, "i1")}


def quick(plan, note=None):
    return (StuartLandau if plan.family.name == "hopf" else Undecided)(plan, note)


@functools.cache
def example() -> PhasePortrait:
    """The portrait of the README's network."""
    return phase_portrait(gs.GRU(U_h=[[3.0, -1.2], [1.2, 3.0]]))


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch, tmp_path):
    monkeypatch.setattr(studies, "evaluator", quick)
    monkeypatch.setattr(portrait, "phase_portrait", lambda cell, precision="float64": example())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_gru.json").write_text('{"U_h": [[3.0, -1.2], [1.2, 3.0]]}')


def run(monkeypatch, line):
    monkeypatch.setattr(sys, "argv", shlex.split(line, comments=True))
    return cli.main()


def test_commands_work_in_order(monkeypatch, tmp_path):
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("gru-sweep")]
    assert len(lines) == 7
    assert [run(monkeypatch, line) for line in lines] == [0] * 7
    written = {path.name for path in tmp_path.iterdir()} - {"my_gru.json"}
    assert written == {"hopf.h5", "hopf.png", "topology.pdf", "zoo.h5", "around.h5", "portrait.png"}


def test_the_toml_file_works(monkeypatch, tmp_path):
    (text,) = blocks("toml")
    (tmp_path / "sweep.toml").write_text(text)
    assert run(monkeypatch, "gru-sweep run --config sweep.toml") == 0
    assert (tmp_path / "hopf.h5").exists()


def test_the_python_example_runs():
    import matplotlib.pyplot as plt

    sweeps, single = blocks("python")
    found: dict = {}
    exec(sweeps, found)
    assert found["ds"].sizes == {"alpha": 256, "beta": 256, "topology_class": 1, "unit": 2}
    exec(single, found)
    assert re.search(r"portrait.topology +# '(\S+)'", single)[1] == found["portrait"].topology
    plt.close("all")


def test_make_targets_exist():
    makefile = (Path(__file__).resolve().parent.parent / "Makefile").read_text()
    targets = set(re.findall(r"make (\w+)", README))
    assert targets == {"sweep", "test", "bench"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M)
