"""Nothing happens on import: no JAX, no switch, no output, no device."""

import subprocess
import sys
import time

import pytest

import gru_sweep


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_package_imports_neither_jax_nor_matplotlib():
    answer = python(
        "import sys, gru_sweep\n"
        "print([name for name in ('jax', 'equinox', 'xarray', 'matplotlib') if name in sys.modules])"
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "[]\n", "")


def test_every_module_is_silent_and_leaves_jax_as_it_was():
    code = """
import jax, pkgutil, importlib, signal, sys
switches = ("jax_enable_x64", "jax_compilation_cache_dir", "jax_platforms", "jax_default_matmul_precision")
before = {name: getattr(jax.config, name) for name in switches}
handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
import gru_sweep
for module in pkgutil.walk_packages(gru_sweep.__path__, "gru_sweep."):
    importlib.import_module(module.name)
after = {name: getattr(jax.config, name) for name in before}
assert before == after, (before, after)
assert handlers == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized(), "a device was probed"
assert "matplotlib.pyplot" not in sys.modules
"""
    answer = python(code)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_every_public_name_is_there_and_listed():
    for name in gru_sweep.__all__:
        assert getattr(gru_sweep, name) is not None
        assert name in dir(gru_sweep)
    assert gru_sweep.plot.heatmap is not None
    assert gru_sweep.open is gru_sweep.sweeps.store.open_dataset


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="swep"):
        _ = gru_sweep.swep


@pytest.mark.parametrize(
    "command", [[], ["run"], ["portrait"], ["locate"], ["curves"], ["info"], ["plot"], ["devices"]]
)
def test_help_has_an_example_and_does_not_import_jax(command):
    code = """
import sys
from gru_sweep.cli import main
sys.argv = ["gru-sweep", *sys.argv[1:]]
status = main()
heavy = [m for m in ("jax", "numpy", "xarray", "matplotlib") if m in sys.modules]
print("HEAVY", heavy)
sys.exit(status)
"""
    began = time.monotonic()
    answer = python(code, *command, "--help")
    seconds = time.monotonic() - began
    assert answer.returncode == 0, answer.stderr
    assert "HEAVY []" in answer.stdout
    assert "gru-sweep" in answer.stdout
    assert ("Example:" in answer.stdout) == bool(command)
    # A bound for a busy machine; on an idle one it is about a fifth of a second.
    assert seconds < 3
