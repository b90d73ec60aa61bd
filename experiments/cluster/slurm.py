"""A sweep on Slurm jobs: dask-jobqueue starts them, one worker each, and the sweep joins their scheduler.

Run it where `sbatch` works and where it may stay as long as the sweep takes (a login node, or a job of its
own), in a folder that all nodes see: `python slurm.py`. `python slurm.py --script` prints the job script
instead. Stopped or killed, it goes on when it is run again.
"""

import sys

import dask
from dask.distributed import Security
from dask_jobqueue import SLURMCluster

import gru_sweep as gs

OUT = "hopf.h5"
GRID = {"alpha": (0.0, 3.14159265, 4096), "beta": (1.0, 3.0, 4096)}

JOBS = 16
QUEUE = "regular"
ACCOUNT = None
CORES = 32
"""Of each job. Its one worker has a thread for each, and shares one set of compiled programs among them."""
MEMORY = "64 GB"
"""Of each job. Dask restarts a worker that exceeds it; its block is tried again in smaller batches."""
WALLTIME = "02:00:00"
"""A job that ends is replaced. Blocks take seconds to minutes: little is lost with it."""
GPUS = 0
"""Of each job: 1 for a worker on a GPU."""
INTERFACE = None
"""The network between the nodes, such as ib0. Who reaches the scheduler's port runs code as you, unless
`distributed.comm.tls` and `require-encryption` in Dask's configuration say otherwise: see README.md."""


def cluster() -> SLURMCluster:
    """The scheduler, in this process; it has asked for no job yet."""
    encrypted = dask.config.get("distributed.comm.require-encryption")
    return SLURMCluster(
        queue=QUEUE,
        account=ACCOUNT,
        walltime=WALLTIME,
        cores=CORES,
        processes=1,
        memory=MEMORY,
        interface=INTERFACE,
        job_extra_directives=[f"--gres=gpu:{GPUS}"] if GPUS else [],
        worker_extra_args=["--no-dashboard"],
        scheduler_options={"dashboard": False},
        security=Security() if encrypted else None,
        log_directory="logs",
    )


def main() -> None:
    with cluster() as slurm:
        if "--script" in sys.argv:
            print(slurm.job_script())
            return
        # As many jobs as that at any time: those that ran out of time are replaced.
        slurm.adapt(minimum_jobs=JOBS, maximum_jobs=JOBS)
        slurm.wait_for_workers(1)
        gs.sweep(
            "hopf",
            **GRID,
            out=OUT,
            resume=True,
            engine="dask",
            workers=slurm.scheduler_address,
            progress=True,
        )


if __name__ == "__main__":
    main()
