"""What is asked of every point of a family, and the compiled programs that answer.

`MEASURES` names the questions; an `Evaluator` puts one of them to many points; a `Recipe` makes evaluators
where they are needed, in this process or in another.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from . import phases
from .analysis import oscillation, portrait, topology
from .analysis.fixed_points import Planar
from .coordinates import Number
from .records import Status
from .sweeps import devices, store
from .sweeps.engines.engine import Evaluate
from .sweeps.lanes import Chain
from .systems.cells import GRU
from .systems.families import Family

SMALL, FEW = 512, 8192
"""The batch of a sweep of at most `FEW` points: its programs are the same for all of those, and it fills no
more than it must."""
BATCH = {"cpu": 16384}
OTHER_BATCH = 2**18
"""Points in a batch, by platform: a batch ends with few lanes at work, so that larger ones are faster, as
far as memory goes. On a processor twice as many are a few per cent faster; accelerators were not measured."""
CHUNK = {"cpu": 32768}
"""Points computed and committed together, by platform (elsewhere a batch): enough to share evenly between
cores, few enough to lose little by a crash."""


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
    networks: ClassVar[bool] = False
    """Whether it is asked of large random networks; else of planar cells."""

    def evaluator(self, family: Family, fixed: Mapping[str, Number], *arguments: Any) -> Evaluator:
        """What answers, on one device; see `Evaluator` for the other arguments."""
        return Evaluator(family, fixed, self, *arguments)


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


PLANAR: dict[str, Measure] = {
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


MEASURES: dict[str, Measure | phases.Measure] = {**PLANAR, **phases.MEASURES}


@functools.lru_cache(maxsize=8)
def _programs(
    build: Callable[..., GRU],
    names: tuple[str, ...],
    measure: str,
    precision: str,
    size: int,
    device: jax.Device,
) -> Chain:
    """The compiled measure of built cells in batches of `size`, kept for the next sweep of this process.

    Everything that makes a cell is an input, so that one set of programs serves all axes, settings, weights
    and seeds.
    """
    stages = PLANAR[measure].stages()

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
        device=device,
        threads=devices.threads(device),
    )
    chain.settings = stages.settings()
    return chain


class Evaluator:
    """A measure of a family over some of its coordinates, the others fixed: a `sweeps` `Evaluate`.

    `points` is how many there will be, more or less: it decides the batch. `shrink` halves it so many times.
    Whatever the calling thread's precision is, this one's is used.
    """

    def __init__(
        self,
        family: Family,
        fixed: Mapping[str, Number],
        measure: Measure,
        precision: str,
        points: int,
        note: Callable[[str], None] | None = None,
        device: jax.Device | None = None,
        shrink: int = 0,
    ):
        self._family, self._fixed, self._audit = family, fixed, measure.audit
        self._x64 = precision == "float64"
        self.device = device or devices.chosen()[0]
        size = SMALL if points <= FEW else BATCH.get(self.device.platform, OTHER_BATCH)
        with jax.enable_x64(self._x64):
            self._chain = _programs(
                family.build, family.input_names, measure.name, precision, max(1, size >> shrink), self.device
            )
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

    @property
    def chunk(self) -> int:
        """Points worth computing and committing together."""
        return max(CHUNK.get(self.device.platform, 0), self._chain.size)

    def at_once(self, points: int) -> int:
        """How many blocks of so many points keep the device busy: one more than it works on.

        A single core has nothing to gain from a second block: the two would take turns in its caches.
        """
        if self.device.platform == "cpu" and self._chain.threads == 1:
            return 1
        batches = -(-points // self._chain.size)
        return -(-self._chain.threads // batches) + 1

    def __call__(self, coordinates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        full = self._family.complete({**self._fixed, **coordinates})
        n = len(next(iter(coordinates.values())))
        points = {name: np.broadcast_to(np.float64(value), (n,)) for name, value in full.items()}
        with jax.enable_x64(self._x64):
            columns = self._chain(self._family.inputs(points))
            return columns if self._audit is None else self._audit(columns)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What makes an evaluator wherever it is called; it can be sent to another process."""

    family: Family
    fixed: Mapping[str, Number]
    measure: str
    precision: str
    points: int
    platform: str | None = None

    def __call__(
        self,
        shrink: int = 0,
        note: Callable[[str], None] | None = None,
        device: jax.Device | None = None,
    ) -> Evaluate:
        """The evaluator on a device, the first of the platform if None."""
        return MEASURES[self.measure].evaluator(
            self.family,
            self.fixed,
            self.precision,
            self.points,
            note,
            device or devices.chosen(self.platform)[0],
            shrink,
        )
