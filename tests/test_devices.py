"""What there is to compute on, and several devices of one process: virtual ones stand in for GPUs."""

import os
import subprocess
import sys
from pathlib import Path
from threading import Barrier
from unittest.mock import Mock

import h5py
import jax
import numpy as np
import pytest

import gru_sweep as gs
from gru_sweep import studies
from gru_sweep.records import InputError
from gru_sweep.sweeps import devices
from stand_in import StuartLandau
from test_lanes import length

SWEEP = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", int(sys.argv[2]))
jax.config.update("jax_enable_x64", True)
from gru_sweep.cli import use_compilation_cache
from gru_sweep.sweeps import lanes, sweep
from gru_sweep.sweeps.engines.local import Local
from gru_sweep.sweeps.grid import Axis, Grid
from test_lanes import chain
use_compilation_cache()
seen, run = set(), lanes._Programs.__call__
def noting(programs, coordinates):
    seen.add(programs._prepare(coordinates).n.devices().pop().id)
    return run(programs, coordinates)
lanes._Programs.__call__ = noting
grid = Grid((Axis.parse("start=1:60:60"), Axis.parse("phase=-1:1:8")))
def walking(lanes):
    return lambda at: lanes({"n": at["start"], "x": at["phase"]})
chains = [chain(8, device=device) for device in jax.local_devices()]
crew = Local([walking(lanes) for lanes in chains])
sweep.run(crew, grid, chains[0].columns, sys.argv[1], fingerprint={}, attributes={}, chunk=8)
print(sorted(seen), jax.device_count())
"""


def swept(path: Path, number: int) -> str:
    """Sweep on so many virtual processors; what was used, and what there was."""
    places = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    done = subprocess.run(
        [sys.executable, "-c", SWEEP, str(path), str(number)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_every_device_of_a_process_computes_and_no_bit_depends_on_how_many(tmp_path):
    assert swept(tmp_path / "one.h5", 1) == "[0] 1"
    assert swept(tmp_path / "three.h5", 3) == "[0, 1, 2] 3"
    with h5py.File(tmp_path / "one.h5") as one, h5py.File(tmp_path / "three.h5") as three:
        assert one["steps"][26, 0] == length(length(27)) > 0
        for name in ("steps", "x", "both"):
            assert one[name][()].tobytes() == three[name][()].tobytes()


def test_a_study_computes_on_every_device_there_is(monkeypatch, tmp_path):
    cpu = jax.local_devices()[0]
    monkeypatch.setattr(devices, "chosen", lambda platform=None: [cpu, cpu])
    made, at_work = [], Barrier(2)

    class Meeting(StuartLandau):
        def __call__(self, coordinates):
            at_work.wait(30)  # for ever, unless both compute at the same time
            return super().__call__(coordinates)

    def evaluator(plan, note, device):
        made.append(device)
        return Meeting(plan, note, device)

    monkeypatch.setattr(studies, "evaluator", evaluator)
    ds = gs.sweep("hopf", alpha=(-1, 1, 8), beta=1.0, chunk=1)
    assert made == [cpu, cpu]
    assert ds.status.values.tolist() == [0] * 7 + [1]
    assert not at_work.broken


def test_devices_are_those_of_the_platform_that_was_asked_for():
    assert [device.id for device in devices.chosen()] == [device.id for device in jax.local_devices()]
    assert {device.platform for device in devices.chosen("cpu")} == {"cpu"}
    with pytest.raises(InputError, match="device: expected one of cpu, gpu, got abacus"):
        devices.chosen("abacus")


def test_a_processor_shares_its_memory_and_cores_between_its_devices(monkeypatch):
    cpu = devices.chosen("cpu")[0]
    monkeypatch.setattr(devices, "free_memory", lambda: 1000)
    monkeypatch.setattr(devices, "cores", lambda: 6)
    for number, memory, threads in ((1, 1000, 6), (2, 500, 3), (8, 125, 1)):
        monkeypatch.setattr(jax, "local_devices", lambda backend=None, n=number: [cpu] * n)
        assert (devices.memory(cpu), devices.threads(cpu)) == (memory, threads)


def test_an_accelerator_says_how_much_memory_it_may_use():
    gpu = Mock(spec=jax.Device, platform="gpu")
    gpu.memory_stats.return_value = {"bytes_limit": 2**34}
    assert devices.memory(gpu) == 2**34
    assert devices.threads(gpu) == 1


def test_memory_is_what_the_control_group_leaves(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("600000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 100000\n")
    monkeypatch.setattr(devices, "_GROUPS", ((tmp_path, "memory.max", "memory.current", "inactive_file"),))
    assert devices.free_memory() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert devices.free_memory() > 1_000_000
    assert np.isfinite(devices.free_memory())
