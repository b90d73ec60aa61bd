"""Notebooks run from top to bottom, and are tracked without outputs."""

import shutil
from pathlib import Path

import jax
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from gru_sweep import studies
from gru_sweep.sweeps.grid import Axis
from stand_in import StuartLandau

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "experiments" / "notebooks").glob("*.ipynb"))


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def pictures(notebook) -> int:
    return sum(
        "image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])
    )


@pytest.fixture(autouse=True)
def _kernel(monkeypatch):
    # The kernel runs elsewhere, and must draw as notebooks do rather than as the tests do.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    # A coarse map's programs are those of every small sweep: found where the command line keeps them.
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", jax.config.jax_compilation_cache_dir)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_hopf_frequency_reads_the_finished_map(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "evaluator", StuartLandau)
    (tmp_path / "results").mkdir()
    axes = [Axis("alpha", np.linspace(-1, 2, 13)), Axis("beta", np.linspace(1, 3, 9))]
    studies.execute(studies.plan("hopf", axes=axes, out=tmp_path / "results" / "hopf.h5"))
    before = (tmp_path / "results" / "hopf.h5").read_bytes()
    notebook = execute(ROOT / "experiments" / "notebooks" / "hopf_frequency.ipynb", tmp_path)
    assert pictures(notebook) == 3
    assert (tmp_path / "results" / "hopf.h5").read_bytes() == before


def test_hopf_frequency_computes_a_coarse_map_where_there_is_none(tmp_path):
    shutil.copy(ROOT / "experiments" / "notebooks" / "hopf_frequency.ipynb", tmp_path)
    notebook = execute(tmp_path / "hopf_frequency.ipynb", tmp_path)
    assert pictures(notebook) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["hopf_frequency.ipynb"]


def test_training_learns_for_a_moment_where_there_are_no_results(tmp_path):
    shutil.copy(ROOT / "experiments" / "notebooks" / "training.ipynb", tmp_path)
    notebook = execute(tmp_path / "training.ipynb", tmp_path)
    assert pictures(notebook) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["training.ipynb"]
