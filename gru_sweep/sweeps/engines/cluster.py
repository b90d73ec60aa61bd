"""A Dask cluster: joined at an address, or started here with a process for each GPU or share of the cores.

Dask's connections are unauthenticated pickles, so that a cluster of our own listens to this machine alone.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, NamedTuple

from gru_sweep.records import InputError
from gru_sweep.sweeps.engines.worker import CORES

HOST = "127.0.0.1"

START = 60.0
"""Seconds for a process of our own to start: some seconds, more on a busy machine or a slow disk."""

CONNECT = 20.0
"""Seconds for a scheduler to answer the first time: it is there, or the address is wrong."""

ANSWER = 30.0
"""Seconds for a scheduler that is at work to answer: it may have thousands of workers to hear."""

FIRST = 300.0
"""Seconds that the first worker of a joined scheduler is waited for: one that is started by hand, or a job
that starts at once; who waits in a queue for longer waits before the sweep."""

MEMORY = 0.95
"""A worker with this part of its limit is killed before the machine kills what it likes. The limit is an
equal share of the machine's memory, or one greedy worker would bring down its neighbours."""

LOOK = 0.2
"""Seconds between two looks for what cannot be waited for."""

_EXPECTED = "a number of processes, or a running Dask scheduler's address (tcp://HOST:PORT) or JSON file"


class Process(NamedTuple):
    """A worker process. An address may be taken by its successor; a folder is not."""

    address: str
    folder: str


class Cluster:
    """A connection to the workers, until `close`; workers of our own live no longer than that.

    `client` is Dask's, `own` says that the workers are ours.
    """

    def __init__(self, workers: int | str, platform: str | None = None):
        """Start `workers` processes, on `platform` (`cpu`, `gpu`, None: GPUs if any), or join an address."""
        distributed = _distributed()
        import dask

        self.own, self._cluster = isinstance(workers, int), None
        with ExitStack() as stack:
            stack.enter_context(_silence())
            # What goes out with a block is its coordinates, which may well be 10 MB.
            stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}))
            try:
                if isinstance(workers, int):
                    places = _places(workers, platform)
                    stack.enter_context(dask.config.set(_OWN))
                    stack.enter_context(_kept("PYTHONHASHSEED"))
                    self._cluster = _start(places)
                    stack.callback(self._cluster.close)
                    address = self._cluster.scheduler_address
                else:
                    address = _address(workers)
                self.client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
                stack.callback(self.client.close)
                self._await_worker()
            except (OSError, ValueError, RuntimeError, ImportError) as error:
                if isinstance(error, InputError):
                    raise
                reason = " ".join(str(error).split()) or type(error).__name__
                wanted = "processes that start" if isinstance(workers, int) else _EXPECTED
                raise InputError("--workers", wanted, f"{workers} ({reason})") from error
            self.address = address
            self._stack = stack.pop_all()

    @property
    def lost(self) -> bool:
        """Whether the connection is broken; what was asked for is lost with it, also if Dask reconnects."""
        return self.client.status != "running"

    def processes(self) -> dict[Process, int]:
        """The worker processes that are there, and how many tasks each would run now side by side."""
        try:
            told = self.client.sync(self.client.scheduler.identity, callback_timeout=ANSWER)
        except (OSError, AttributeError) as error:
            raise ConnectionError(self.gone) from error
        return {
            Process(address, about["local_directory"]): about["nthreads"] * (about["status"] == "running")
            for address, about in told["workers"].items()
        }

    @property
    def gone(self) -> str:
        """The words for a connection that is lost."""
        return f"the connection to the Dask scheduler at {self.address} is lost"

    def close(self, *, hurry: bool = False) -> None:
        """Let go; in a `hurry`, workers of our own do not end what they have in hand."""
        if hurry and self._cluster is not None:
            for nanny in self._cluster.workers.values():
                nanny.close_gracefully()  # so that it starts no other
                with suppress(OSError):
                    if nanny.pid:
                        os.kill(nanny.pid, signal.SIGKILL)
        self._stack.close()

    def knock(self) -> Any:
        """A task for whoever comes first: one that waits makes an adaptive cluster start a worker."""
        return self.client.submit(int, pure=False)

    def _await_worker(self) -> None:
        try:
            self.knock().result(timeout=FIRST)
        except TimeoutError:
            raise InputError("--workers", "a scheduler with a worker", f"none in {FIRST:.0f} s") from None


def losses() -> tuple[type[Exception], ...]:
    """What Dask raises in place of a task's result when the worker is gone, or the scheduler."""
    from distributed.scheduler import KilledWorker, NoValidWorkerError

    return KilledWorker, NoValidWorkerError, CancelledError


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise InputError(
            "--engine", 'dask.distributed (pip install "gru-sweep[cluster]")', "no such package"
        ) from None
    return distributed


def _address(text: str) -> str:
    if "://" in text or not (text.endswith(".json") or os.path.exists(text)):
        return text
    try:
        return str(json.loads(Path(text).read_text())["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("--workers", _EXPECTED, f"{text} ({error!r})") from None


_OWN = {
    "distributed.worker.multiprocessing-method": "spawn",
    # Nothing that a worker holds can be spilled, and one that pauses for good is worse than a dead one.
    **{f"distributed.worker.memory.{what}": False for what in ("target", "spill", "pause")},
    "distributed.worker.memory.terminate": MEMORY,
    # A worker computes with what this process computes with: no other numbers of threads.
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.deploy.lost-worker-timeout": f"{START} s",
}


def _start(places: list[dict[str, str]]) -> Any:
    import dask
    from distributed import Nanny, Scheduler, SpecCluster
    from distributed.system import MEMORY_LIMIT

    here: dict[str, Any] = {"host": HOST, "dashboard_address": f"{HOST}:0"}
    common = {
        **here,
        "nthreads": 1,
        "memory_limit": MEMORY_LIMIT // len(places),
        "death_timeout": START,
        "preload": ["gru_sweep.sweeps.engines.worker"],
        # What a block raises is raised again in this process.
        "silence_logs": logging.CRITICAL,
    }
    workers = {
        number: {"cls": Nanny, "options": {**common, "env": place}} for number, place in enumerate(places)
    }
    options = {**here, "port": 0, "dashboard": False}
    if dask.config.get("distributed.comm.require-encryption"):
        options["protocol"] = "tls://"
    # Nannies restart workers whenever they like, so their thread inherits a mask, and all its children do:
    # the Ctrl-C that a terminal sends to everybody is for this process alone. Python's tracker of resources,
    # which starts with the first child, would end the mask.
    resource_tracker.ensure_running()
    with _interrupts_blocked():
        return SpecCluster(workers=workers, scheduler={"cls": Scheduler, "options": options})


def _places(number: int, platform: str | None) -> list[dict[str, str]]:
    """What each of `number` processes of our own has in its environment: a GPU, or a share of the cores."""
    if number < 1:
        raise InputError("--workers", _EXPECTED, number)
    gpus = [] if platform == "cpu" else visible_gpus()
    if gpus and number > len(gpus):
        raise InputError("--workers", f"at most {len(gpus)}, one for each GPU", number)
    if gpus:
        return [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus[:number]]
    if platform == "gpu":
        raise InputError("--device", "a GPU that JAX and nvidia-smi see", "none")
    if not hasattr(os, "sched_getaffinity"):
        return [{} for _ in range(number)]
    cores = sorted(os.sched_getaffinity(0))
    each = max(1, len(cores) // number)
    return [
        {CORES: ",".join(str(cores[(i * each + j) % len(cores)]) for j in range(each))} for i in range(number)
    ]


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that JAX could use in processes of this environment; asks neither JAX nor CUDA."""
    asked = os.environ.get("JAX_PLATFORMS", "")
    if importlib.util.find_spec("jax_plugins") is None or (
        asked and not {"cuda", "gpu"} & {*asked.split(",")}
    ):
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    try:
        told = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=START, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(i) for i in range(sum(line.startswith("GPU ") for line in told.stdout.splitlines()))]


@contextmanager
def _silence() -> Iterator[None]:
    """distributed's loggers say nothing but errors, and nothing of a lost connection: that is ours to say."""
    chatty = {"distributed": logging.ERROR, "distributed.client": logging.CRITICAL}
    before = {name: logging.getLogger(name).level for name in chatty}
    for name, level in chatty.items():
        logging.getLogger(name).setLevel(level)
    loops = logging.getLogger("asyncio")
    loops.addFilter(_no_worker_exit)
    try:
        yield
    finally:
        loops.removeFilter(_no_worker_exit)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _no_worker_exit(record: logging.LogRecord) -> bool:
    """Whether a record of asyncio is of anything but a client's task that ended with its last worker."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or kind.__name__ != "AllExit"


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Threads and processes that begin meanwhile never hear SIGINT."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _kept(variable: str) -> Iterator[None]:
    """An environment variable is afterwards what it was."""
    before = os.environ.get(variable)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before
