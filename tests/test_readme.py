"""What the README shows is what works."""

import dataclasses
import functools
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import gru_sweep as gs
from gru_sweep import cli, locating, measures, phases, studies
from gru_sweep.analysis import portrait
from gru_sweep.analysis.bifurcations.event import Event
from gru_sweep.analysis.bifurcations.line import Located
from gru_sweep.analysis.bifurcations.plane.curve import Curves
from gru_sweep.analysis.bifurcations.rectangle import Diagram
from gru_sweep.analysis.portrait import PhasePortrait, phase_portrait
from gru_sweep.learning import course, dynamics
from gru_sweep.learning.table import flags
from gru_sweep.records import Status
from gru_sweep.sweeps import devices
from stand_in import StuartLandau

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


class Undecided(measures.Evaluator):
    """The columns of the plan's own measure, and nothing known at any point."""

    def __call__(self, coordinates):
        n = len(next(iter(coordinates.values())))
        found = {c.name: np.full((n, *c.shape), c.fill, c.dtype) for c in self.columns}
        return found | {"status": np.full(n, Status.UNRESOLVED, "i1")}


class Unknown(phases.measure.Evaluator):
    """The columns of a measure of random networks, and nothing known at any point."""

    __call__ = Undecided.__call__


def quick(plan, note=None, device=None):
    if plan.family.name == "hopf":
        return StuartLandau(plan, note)
    if plan.measure.networks:
        return Unknown(plan.measure, plan.family, plan.fixed, plan.precision, devices.chosen()[0], 1)
    return Undecided(plan.family, plan.fixed, plan.measure, plan.precision, 1, note)


@functools.cache
def example() -> PhasePortrait:
    """The portrait of the README's network."""
    return phase_portrait(gs.GRU(U_h=[[3.0, -1.2], [1.2, 3.0]]))


def diagram(field, low, high, portraits, **options) -> Diagram:
    """None, in place of the search."""
    assert (low < high).all()
    nodes = np.zeros(0), np.zeros(0)
    return Diagram(Curves((), True, 9, 0, ()), (), nodes, np.zeros((0, 0), object), np.zeros((0, 2, 2)))


def on_line(family, name, line, settings, **options) -> Located:
    """An event in the middle, in place of the search."""
    assert (family, name, line, settings) == ("homoclinic", "gamma", (0.05, 0.06), {})
    event = Event("homoclinic", 0.055, 1e-3, np.zeros(2), before="sink", after="sink")
    samples = {
        "value": np.linspace(0.05, 0.06, 3),
        "kind": np.zeros((3, 16), int),
        "fixed_point": np.zeros((3, 16, 2)),
        "cycle_stable": np.full((3, 8), -1),
        "cycle_period": np.ones((3, 8)),
    }
    return Located((event,), samples, np.array([""] * 3), True, (), name)


def short(task, plan=course.plan, **options):
    """Two epochs, of two series."""
    return plan(task, **options | {"epochs": 2, "series": 2})


def unread(school, data, networks, snapshots, diverged, note):
    """Nothing, in place of what networks do."""
    return {"status": (school.dims, np.full(school.shape, 1, np.int8), flags(Status))}


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch, tmp_path):
    crew_of = studies.crew_of
    # There is no node1; what a cluster does is tested elsewhere.
    here = lambda plan, note=None: crew_of(dataclasses.replace(plan, engine="local"), note)  # noqa: E731
    monkeypatch.setattr(studies, "crew_of", here)
    monkeypatch.setattr(studies, "evaluator", quick)
    monkeypatch.setattr(locating, "on_line", on_line)
    monkeypatch.setattr(locating, "diagram", diagram)
    monkeypatch.setattr(course, "plan", short)
    monkeypatch.setattr(dynamics, "read", unread)
    monkeypatch.setattr(portrait, "phase_portrait", lambda cell, precision="float64": example())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_gru.json").write_text('{"U_h": [[3.0, -1.2], [1.2, 3.0]]}')


def run(monkeypatch, line):
    monkeypatch.setattr(sys, "argv", shlex.split(line, comments=True))
    return cli.main()


def test_commands_work_in_order(monkeypatch, tmp_path):
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("gru-sweep")]
    assert len(lines) == 25
    for line in lines:
        job = re.search(r"--shard \d+/(\d+)", line)
        jobs = range(1, int(job[1]) + 1) if job else range(1)
        for number in jobs:  # what the other jobs of an array would do meanwhile
            assert run(monkeypatch, re.sub(r"--shard \d+", f"--shard {number}", line)) == 0, line
    written = {path.name for path in tmp_path.iterdir()} - {"my_gru.json"}
    files = {"hopf.h5", "zoo.h5", "around.h5", "fine.h5", "curves.h5", "big.h5"}
    files |= {
        "four.h5",
        "cluster.h5",
        "array.h5",
        "here.h5",
        "fhn.h5",
        "lyapunov.h5",
        "phases.h5",
        "spectra.h5",
    }
    pictures = {
        "hopf.png",
        "topology.pdf",
        "portrait.png",
        "curves.png",
        "diagram.png",
        "fhn.png",
        "learnt.png",
        "phases.png",
        "clouds.png",
    }
    assert written == files | pictures


def test_the_toml_file_works(monkeypatch, tmp_path):
    (text,) = blocks("toml")
    (tmp_path / "sweep.toml").write_text(text)
    assert run(monkeypatch, "gru-sweep run --config sweep.toml") == 0
    assert (tmp_path / "hopf.h5").exists()


def test_the_python_example_runs():
    import matplotlib.pyplot as plt

    sweeps, single, changes, learnt, large = blocks("python")
    found: dict = {}
    exec(sweeps, found)
    assert found["ds"].sizes == {"alpha": 256, "beta": 256, "topology_class": 1, "unit": 2}
    exec(single, found)
    assert re.search(r"portrait.topology +# '(\S+)'", single)[1] == found["portrait"].topology
    exec(changes, found)
    assert found["event"].kind == "homoclinic"
    (n, m) = map(int, re.search(r"a dense map of (\d+) x (\d+)", changes).groups())
    assert gs.image(found["fine"], "topology", level=4).shape == (n, m)
    exec(learnt, found)
    assert found["ds"].sizes["seed"] == 20
    assert found["cell"].dimension == 2
    exec(large, found)
    assert found["ds"].lyapunov.dims == ("a_h", "a_z")
    assert found["ds"].sizes["seed"] == 2
    plt.close("all")


def test_make_targets_exist():
    makefile = (Path(__file__).resolve().parent.parent / "Makefile").read_text()
    targets = set(re.findall(r"make (\w+)", README))
    assert targets == {"sweep", "test", "paper", "gating", "bench"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M)
