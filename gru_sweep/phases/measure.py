"""What is asked of the random networks at a point, and what answers on one device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from ..records import Column, columns
from ..sweeps import compiling, devices
from ..systems.families import Family
from ..systems.networks import RandomNetworks

LARGE, LEAST = 256, 16
"""Units from which on fewer networks are stepped at once, so that a block takes minutes at the most; and the
fewest for which products of two matrices are worth it."""
SEED = "seed"
"""The dimension of networks."""
Answer = Callable[[RandomNetworks, dict[str, np.ndarray], str], dict[str, np.ndarray]]
"""The networks, their complete coordinates, (n,) each, and a precision, to columns, (n, ...) each."""


def columns_of(
    record: type[eqx.Module], precision: str, sizes: Mapping[str, int] | None = None
) -> tuple[Column, ...]:
    """The columns of a record of one point, whose dimensions have these `sizes`."""
    blank = {
        f.name: np.zeros(
            tuple((sizes or {})[dim] for dim in f.metadata["dims"]), f.metadata["dtype"] or precision
        )
        for f in dataclasses.fields(record)
    }
    return columns(record(**blank))


def of_each(found: tuple[Column, ...], networks: int) -> tuple[Column, ...]:
    """The same for every network of a point."""
    return tuple(
        dataclasses.replace(one, dims=(SEED, *one.dims), shape=(networks, *one.shape)) for one in found
    )


@dataclasses.dataclass(frozen=True)
class Measure:
    """A question to the random networks at every point.

    - `answer`: what computes; `columns`: of its answers, given networks and precision.
    - `points`: how many it likes to have at once; `settings`: its tolerances, by name.
    """

    name: str
    title: str
    answer: Answer
    columns: Callable[[RandomNetworks, str], tuple[Column, ...]]
    points: int
    settings: Mapping[str, Any]
    networks: ClassVar[bool] = True
    labeller: ClassVar[None] = None

    def evaluator(
        self,
        family: Family,
        fixed: Mapping[str, float | int],
        precision: str,
        points: int,
        note: Callable[[str], None] | None = None,
        device: jax.Device | None = None,
        shrink: int = 0,
    ) -> Evaluator:
        """What answers a sweep of so many `points`; `shrink` halves those computed at once so many times."""
        del note
        assert isinstance(family, RandomNetworks)  # a plan has seen to it
        # tangents are columns of the products with J_k, too
        most = min(self.points, max(LEAST, self.points * LARGE**2 // family.size**2))
        most = max(1, most // family.exponents)
        size = min(most, 1 << (points - 1).bit_length())
        return Evaluator(self, family, dict(fixed), precision, device or devices.chosen()[0], size >> shrink)


class Evaluator:
    """A measure of networks over some of their coordinates, the others fixed: a `sweeps` `Evaluate`.

    Points are padded to batches of `size`, so that all have one shape.
    """

    def __init__(
        self,
        measure: Measure,
        family: RandomNetworks,
        fixed: dict[str, float | int],
        precision: str,
        device: jax.Device,
        size: int,
    ):
        compiling.listen()
        self._measure, self._family, self._fixed, self._precision = measure, family, fixed, precision
        self.device = device
        self._size = max(1, size)
        self._before = compiling.seconds(), compiling.count()
        self.columns = measure.columns(family, precision)
        self.settings = {**measure.settings}

    @property
    def chunk(self) -> int:
        """Points worth computing and committing together."""
        return self._size

    @property
    def compile_seconds(self) -> float:
        """Spent in compiling, by this process, since this evaluator was made."""
        return compiling.seconds() - self._before[0]

    @property
    def compilations(self) -> int:
        """Programs compiled, or fetched from the persistent cache, since this evaluator was made."""
        return compiling.count() - self._before[1]

    def at_once(self, points: int) -> int:
        """One block: its products of matrices use all cores."""
        return 1

    def __call__(self, coordinates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        full = self._family.complete({**self._fixed, **coordinates})
        n = len(next(iter(coordinates.values())))
        points = {name: np.broadcast_to(np.float64(value), (n,)) for name, value in full.items()}
        parts = []
        with jax.enable_x64(self._precision == "float64"), jax.default_device(self.device):
            for start in range(0, n, self._size):
                at = np.minimum(np.arange(start, start + self._size), n - 1)
                found = self._measure.answer(
                    self._family, {name: value[at] for name, value in points.items()}, self._precision
                )
                parts.append({name: value[: n - start] for name, value in found.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
