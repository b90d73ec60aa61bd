"""What all tests share: 64-bit types, and one compilation cache for every worker and subprocess."""

import functools
import gc
import importlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

jax.config.update("jax_enable_x64", True)

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
_made: list[str] = []
LONG = (
    *("test_experiments.py", "test_portrait.py", "test_any_dimension.py", "test_oscillation.py"),
    *("test_locate.py", "test_figures_07_10.py", "test_curves.py", "test_connections.py", "test_ideas.py"),
    *("test_rectangle.py", "test_connection_curves.py", "test_cycle_fold_curves.py", "test_atlas.py"),
    *("test_bias_plane.py", "test_figures_11_12.py", "test_training_file.py", "test_train_command.py"),
    *("test_phases.py", "test_gating_experiments.py", "test_gating_trajectories.py", "test_lyapunov.py"),
)
"""Files that take minutes."""


def pytest_configure(config: pytest.Config) -> None:
    # The controller comes first and the workers inherit its environment: one folder for all of them.
    if "GRU_SWEEP_CACHE" not in os.environ:
        _made.append(tempfile.mkdtemp(prefix="gru_sweep-cache-"))
        os.environ["GRU_SWEEP_CACHE"] = _made[0]
    os.environ.setdefault("MPLBACKEND", "agg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Each file belongs to one worker: the longest first, so that none is left alone with it at the end.
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_unconfigure(config: pytest.Config) -> None:
    for folder in _made:
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop("GRU_SWEEP_CACHE", None)


@pytest.fixture(scope="session", autouse=True)
def _compilation_cache() -> None:
    """Workers compile the same programs: each is compiled once."""
    from gru_sweep.cli import use_compilation_cache

    use_compilation_cache()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Runs an experiment quickly in this process, once: its module, its JSON and its folder.

    The experiments' folder is in the path while the module's tests run.
    """
    known = {}

    def run(stem):
        if stem not in known:
            folder = tmp_path_factory.mktemp(stem)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", [stem, "--quick", "--out-dir", str(folder)])
                module = importlib.import_module(stem)
                module.main()
            known[stem] = module, json.loads((folder / f"{stem}.json").read_text()), folder
        return known[stem]

    with pytest.MonkeyPatch.context() as path:
        path.syspath_prepend(EXPERIMENTS)
        yield run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "map.h5"


@pytest.fixture
def few(monkeypatch):
    """At most five shards, so that each has several blocks."""
    from gru_sweep.sweeps import layout

    monkeypatch.setattr(layout, "MAX_SHARDS", 5)


@pytest.fixture
def gru_sweep(monkeypatch, capsys, tmp_path):
    """Runs the command line in an empty folder: status, standard output, standard error."""
    from gru_sweep import cli, studies
    from stand_in import StuartLandau

    monkeypatch.setattr(studies, "evaluator", StuartLandau)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["gru-sweep", *map(str, arguments)])
        status = cli.main()
        return status, *capsys.readouterr()

    return call


@pytest.fixture(scope="module", autouse=True)
def _programs_of_one_file() -> Iterator[None]:
    """Compiled programs are let go after each file, or a worker grows by gigabytes; the disk has them."""
    yield
    for module in [*sys.modules.values()]:
        if getattr(module, "__name__", "").startswith("gru_sweep."):
            for value in [*vars(module).values()]:
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()
    jax.clear_caches()
    gc.collect()
