"""What happens on a worker of a Dask cluster: a block's function, its piece, and a receipt for the driver.

A worker that sees the sweep's folder writes the piece itself; from another the content goes back with the
receipt, and the driver writes it. Nothing here needs Dask.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from gru_sweep.sweeps import atomic, pieces
from gru_sweep.sweeps.engines.engine import Function
from gru_sweep.sweeps.layout import Form

CORES = "GRU_SWEEP_CORES"
"""The variable that names the cores of a worker process, such as 4,5,6,7."""

_made: dict[tuple[str, int], Function] = {}
_guard = threading.Lock()


@runtime_checkable
class Recipe(Protocol):
    """What makes a sweep's function in any process; it can be pickled."""

    def __call__(self, shrink: int = 0) -> Function:
        """The function, in batches of 2^-shrink of the usual size."""
        ...


@dataclass(frozen=True)
class Plan:
    """What all blocks of a sweep have in common.

    `token` names the recipe; `sign` is a file that only who sees the sweep's folder sees.
    """

    token: str
    recipe: Recipe
    prepare: Callable[[], str | None]
    about: Callable[[], str]
    form: Form
    sign: Path


@dataclass(frozen=True)
class Receipt:
    """A block is done. `image` is its piece where the worker did not write it.

    `at_once` is how many such blocks the function wants side by side; `compile_seconds` is what it has spent
    in compiling so far.
    """

    image: bytes | None
    seconds: float
    about: str
    at_once: int
    compile_seconds: float


def compute(
    plan: Plan, coordinates: dict[str, np.ndarray], shape: tuple[int, ...], place: Path, attempt: int
) -> Receipt:
    """Compute a block of `shape` whose piece belongs at `place`; `attempt` workers died of it before.

    A piece that is there already, from a worker that was given up for dead, is left alone.
    """
    function = _function(plan, attempt)
    began = time.perf_counter()
    image = None
    if not (plan.sign.exists() and place.exists()):
        values: Mapping[str, Any] = function(coordinates)
        image = pieces.image(plan.form, shape, values, time.perf_counter() - began)
        if plan.sign.exists():
            # What cannot be written here the driver may be able to write, or it says why not.
            with suppress(OSError):
                atomic.write(place, image)
                image = None
    points = len(next(iter(coordinates.values())))
    return Receipt(
        image,
        time.perf_counter() - began,
        plan.about(),
        function.at_once(points) if hasattr(function, "at_once") else 1,
        getattr(function, "compile_seconds", 0.0),
    )


def introduce(prepare: Callable[[], str | None], about: Callable[[], str]) -> tuple[str, str | None]:
    """What this process computes on, and what there is to say of its preparation."""
    said = prepare()
    return about(), said


def dask_setup(worker: Any) -> None:
    """Bind the process to its share of the cores: XLA has as many threads as it sees cores.

    Dask calls this when the worker process starts, before anything makes JAX look.
    """
    if named := os.environ.get(CORES):
        cores = [int(core) for core in named.split(",")]
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setaffinity(int(thread), cores)


def _function(plan: Plan, shrink: int) -> Function:
    """The function of the latest sweep is kept, the earlier ones are let go."""
    with _guard:
        if (plan.token, shrink) not in _made:
            if not any(token == plan.token for token, _ in _made):
                _made.clear()
                plan.prepare()
            _made[plan.token, shrink] = plan.recipe(shrink=shrink)
        return _made[plan.token, shrink]
