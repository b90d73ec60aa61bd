"""What all tests share: 64-bit types, and one compilation cache for every worker and subprocess."""

import os
import shutil
import tempfile

import jax
import pytest

jax.config.update("jax_enable_x64", True)

_made: list[str] = []
LONG = (
    *("test_experiments.py", "test_portrait.py", "test_any_dimension.py", "test_oscillation.py"),
    *("test_locate.py", "test_figures_07_10.py", "test_curves.py", "test_connections.py", "test_ideas.py"),
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
