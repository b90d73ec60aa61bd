"""What is asked of every point of a family, and the compiled programs that answer.

`MEASURES` names the questions; an `Evaluator` puts one of them to many points.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .analysis import oscillation, portrait, topology
from .analysis.fixed_points import Planar
from .coordinates import Number
from .records import Column, Status
from .sweeps import store
from .sweeps.lanes import Chain
from .systems.cells import GRU
from .systems.families import Family

SMALLEST = 1024
"""Points that even the smallest sweep is padded to: its programs are the same for all small sweeps."""


@runtime_checkable
class Evaluate(Protocol):
    """A measure of one family, ready to run: swept coordinates, each (n,), to one array (n, ...) a column."""

    columns: tuple[Column, ...]
    settings: dict[str, Any]
    """Tolerances and round lengths, by name: they go into the file's attributes."""

    @property
    def compile_seconds(self) -> float: ...

    @property
    def compilations(self) -> int: ...

    def __call__(self, coordinates: dict[str, np.ndarray]) -> dict[str, np.ndarray]: ...


@dataclasses.dataclass(frozen=True)
class Measure:
    """What is asked of every point, and how its topology label is read off the finished record."""

    name: str
    title: str
    labeller: store.Labeller
    stages: Callable[[], Any]
    """Makes the chain: `.solvers`, `.links`, `.record`, `.settings` (see `analysis.oscillation.Stages`)."""
    audit: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] | None = None
    """Checks of finished columns on the host, which may change status and check of a point."""


def topology_label(counts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Canonical strings (n,), without blanks: `sinks:4,sources:1,saddles:4,stable_cycles:0`.

    A pure function of the stored columns `status` and `n_*`. Empty where the status is not ok or a
    count is not known (-1).
    """
    names = ("n_sinks", "n_sources", "n_saddles", "n_stable_cycles")
    rows = np.stack([np.asarray(counts[name], dtype=np.int64) for name in names], axis=-1)
    rows[np.asarray(counts["status"]) != Status.OK] = -1
    classes, which = np.unique(rows, axis=0, return_inverse=True)
    words = [
        "" if (row < 0).any() else ",".join(f"{name[2:]}:{n}" for name, n in zip(names, row, strict=True))
        for row in classes
    ]
    return np.asarray(words, dtype=object)[which.reshape(-1)]


MEASURES: dict[str, Measure] = {
    "oscillation": Measure(
        name="oscillation",
        title="fixed points, and frequency of the stable limit cycle",
        labeller=store.Labeller(
            name="topology",
            needs=("status", "n_sinks", "n_sources", "n_saddles", "n_stable_cycles"),
            function=topology_label,
        ),
        stages=oscillation.Stages,
    ),
    "portrait": Measure(
        name="portrait",
        title="whole phase portraits: fixed points, cycles, separatrices, topology",
        labeller=store.Labeller(name="topology", needs=topology.NEEDS, function=topology.labels),
        stages=portrait.Stages,
        audit=portrait.audit,
    ),
}


@functools.lru_cache(maxsize=8)
def _programs(
    build: Callable[..., GRU], names: tuple[str, ...], measure: str, precision: str, size: int
) -> Chain:
    """The compiled measure of built cells at `size` points a call, kept for the next sweep of this process.

    Everything that makes a cell is an input, so that one set of programs serves all axes, settings, weights
    and seeds.
    """
    stages = MEASURES[measure].stages()

    def prepare(**inputs: Array) -> Planar:
        side = jnp.ones(2, next(iter(inputs.values())).dtype)
        return Planar(build(**inputs), -side, side)

    chain = Chain(
        prepare,
        stages.solvers,
        stages.links,
        stages.record,
        names=names,
        dtype=precision,
        size=size,
        workers=_workers(),
    )
    chain.settings = stages.settings()
    return chain


def _workers() -> int:
    """Threads that share a call: the usable cores, where the cores do the computing."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Evaluator:
    """A measure of a family over some of its coordinates, the others fixed, `size` points a call at the most:
    an `Evaluate`."""

    def __init__(
        self,
        family: Family,
        fixed: Mapping[str, Number],
        measure: Measure,
        precision: str,
        size: int,
        note: Callable[[str], None] | None = None,
    ):
        self._family, self._fixed, self._audit = family, fixed, measure.audit
        self._chain = _programs(family.build, family.input_names, measure.name, precision, size)
        self._chain.note = note or (lambda text: None)
        self._before = self._chain.compile_seconds, self._chain.compilations
        self.columns, self.settings = self._chain.columns, self._chain.settings

    @property
    def compile_seconds(self) -> float:
        """Spent in compiling since this evaluator was made."""
        return self._chain.compile_seconds - self._before[0]

    @property
    def compilations(self) -> int:
        """Programs compiled, or fetched from the persistent cache, since this evaluator was made."""
        return self._chain.compilations - self._before[1]

    def __call__(self, coordinates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        full = self._family.complete({**self._fixed, **coordinates})
        n = len(next(iter(coordinates.values())))
        points = {name: np.broadcast_to(np.float64(value), (n,)) for name, value in full.items()}
        columns = self._chain(self._family.inputs(points))
        return columns if self._audit is None else self._audit(columns)
