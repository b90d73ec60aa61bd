"""What the README shows is what works."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from gru_sweep import cli, studies
from stand_in import StuartLandau

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch, tmp_path):
    monkeypatch.setattr(studies, "evaluator", StuartLandau)
    monkeypatch.chdir(tmp_path)


def run(monkeypatch, line):
    monkeypatch.setattr(sys, "argv", shlex.split(line, comments=True))
    return cli.main()


def test_commands_work_in_order(monkeypatch, tmp_path):
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("gru-sweep")]
    assert len(lines) == 4
    assert [run(monkeypatch, line) for line in lines] == [0] * 4
    assert {path.name for path in tmp_path.iterdir()} == {"hopf.h5", "hopf.png", "topology.pdf"}


def test_the_toml_file_works(monkeypatch, tmp_path):
    (text,) = blocks("toml")
    (tmp_path / "sweep.toml").write_text(text)
    assert run(monkeypatch, "gru-sweep run --config sweep.toml") == 0
    assert (tmp_path / "hopf.h5").exists()


def test_the_python_example_runs():
    import matplotlib.pyplot as plt

    (code,) = blocks("python")
    found: dict = {}
    exec(code, found)
    assert found["ds"].sizes == {"alpha": 256, "beta": 256, "topology_class": 1, "unit": 2}
    plt.close("all")


def test_make_targets_exist():
    makefile = (Path(__file__).resolve().parent.parent / "Makefile").read_text()
    targets = set(re.findall(r"make (\w+)", README))
    assert targets == {"sweep", "test", "bench"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M)
