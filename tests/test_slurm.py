"""The examples for Slurm ask Slurm for what they say."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from gru_sweep.sweeps.engines.cluster import HOST
from gru_sweep.sweeps.grid import Axis
from gru_sweep.sweeps.store import Share

EXAMPLES = Path(__file__).resolve().parent.parent / "experiments" / "cluster"


def test_the_slurm_example_asks_for_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    import slurm

    for name, value in {"INTERFACE": "lo", "GPUS": 1, "ACCOUNT": "physics"}.items():
        monkeypatch.setattr(slurm, name, value)
    with slurm.cluster() as asked:
        script = asked.job_script().splitlines()
        assert asked.scheduler_address.startswith(f"tcp://{HOST}:")
        command = shlex.split(script[-1])
        assert command[:4] == [sys.executable, "-m", "distributed.cli.dask_worker", asked.scheduler_address]
    wanted = {"-p regular", "-A physics", "--cpus-per-task=32", "-t 02:00:00", "--gres=gpu:1"}
    assert wanted <= {line.removeprefix("#SBATCH ") for line in script if line.startswith("#SBATCH ")}
    assert command[command.index("--nthreads") + 1] == "32"
    assert "--nanny" in command


def test_the_array_example_submits_itself_and_a_job_that_packs(tmp_path):
    """`sbatch` and `gru-sweep` are scripts that write down what they were asked."""
    for name, answer in (("sbatch", "42;cluster"), ("gru-sweep", "")):
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@" end >> {tmp_path}/asked\necho "{answer}"\n')
        script.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    def asked(**job: str) -> list[list[str]]:
        (tmp_path / "asked").unlink(missing_ok=True)
        subprocess.run(
            [EXAMPLES / "array.sh", "a map.h5"], check=True, env=environment | job, stdout=subprocess.DEVNULL
        )
        calls = (tmp_path / "asked").read_text().split("end\n")[:-1]
        return [call.splitlines() for call in calls]

    array, packing = asked()
    assert array == ["sbatch", "--parsable", str(EXAMPLES / "array.sh"), "a map.h5"]
    assert "--dependency=afterok:42" in packing
    assert shlex.split(packing[-1]) == ["gru-sweep", "pack", "a map.h5"]
    (job,) = asked(SLURM_ARRAY_TASK_ID="16", SLURM_ARRAY_TASK_COUNT="16")
    assert job[job.index("--out") + 1] == "a map.h5"
    assert Share.parse(job[job.index("--shard") + 1]) == Share(0, 16)
    axes = [Axis.parse(job[place + 1]) for place, word in enumerate(job) if word == "--axis"]
    assert [axis.name for axis in axes] == ["alpha", "beta"]
