"""What decides a training: its task, its networks, and how they are trained."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from .. import __version__
from ..training import tasks
from ..training.settings import Member, Settings
from ..training.tasks import Data, Task


@dataclasses.dataclass(frozen=True)
class School:
    """A task, and networks of all `sizes`, from `seeds` initial conditions, at all learning `rates`.

    `seed` decides the data and, with a network's number, its initial parameters. Refused: what `tasks.draw`
    refuses, before any work.
    """

    task: Task
    sizes: tuple[int, ...]
    seeds: int
    rates: tuple[float, ...]
    settings: Settings
    seed: int
    noise: float
    step: float
    current: str
    series: int

    def __post_init__(self) -> None:
        tasks.check_series(self.series)
        _ = self._sample
        self.members()

    @property
    def dims(self) -> tuple[str, ...]:
        """The dimensions along which networks are laid out."""
        return ("dim", "seed", "learning_rate") if len(self.rates) > 1 else ("dim", "seed")

    @property
    def shape(self) -> tuple[int, ...]:
        shape = len(self.sizes), self.seeds, len(self.rates)
        return shape[: len(self.dims)]

    def members(self) -> list[Member]:
        """The networks, the last dimension first."""
        seeds = [network_seed(self.seed, number) for number in range(self.seeds)]
        return [Member(size, seed, rate) for size in self.sizes for seed in seeds for rate in self.rates]

    def names(self) -> list[str]:
        """What each is called in the file."""
        several = len(self.rates) > 1
        return [
            f"dim={size},seed={number}" + (f",learning_rate={_shortest(rate)}" if several else "")
            for size in self.sizes
            for number in range(self.seeds)
            for rate in self.rates
        ]

    def data(self) -> Data:
        return self._draw(series=self.series)

    @functools.cached_property
    def _sample(self) -> Data:
        """A series of each set: whether it can be drawn, and what decides all."""
        return self._draw(series=1, held_out=1)

    def _draw(self, **sizes: Any) -> Data:
        options: dict[str, Any] = {"noise": self.noise, "step": self.step, "current": self.current}
        return tasks.draw(self.task, self.seed, **options, **sizes)

    def attributes(self) -> dict[str, Any]:
        """What decides the result, for a file: strings and numbers."""
        data = self._sample.attributes()
        del data["series"], data["held_out"], data["points"], data["title"]
        rates = {} if len(self.rates) > 1 else {"learning_rate": self.rates[0]}
        settings = self.settings
        return {
            **data,
            "series": int(self.series),
            **rates,
            "epochs": int(settings.epochs),
            "initialisation": settings.initialisation,
            "optimiser": _called(settings.optimiser),
            "precision": settings.precision,
            "test_every": int(settings.test_every),
        }

    def made_by(self) -> dict[str, Any]:
        """What two runs must share for one to continue the other."""
        return {
            "gru_sweep_version": __version__,
            **self.attributes(),
            "dim": list(self.sizes),
            "seeds": self.seeds,
            "learning_rate": list(self.rates),
            "snapshots": [int(epoch) for epoch in self.settings.kept],
        }

    def words(self, losses: np.ndarray) -> str:
        """Losses of all networks in words: of each size the median, per observed number."""
        scale = 2 * self.series
        return "mean square error " + ", ".join(
            f"{np.nanmedian(row) / scale:.3g} ({size} units)"
            if np.isfinite(row).any()
            else f"- ({size} units)"
            for size, row in zip(self.sizes, losses.reshape(len(self.sizes), -1), strict=True)
        )


def network_seed(seed: int, number: int) -> int:
    """The seed of network `number` of a training: different for all pairs."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _shortest(rate: float) -> str:
    """The shortest decimal that is this number, so that no two have one name."""
    short = f"{rate:g}"
    return short if float(short) == rate else repr(rate)


def _called(optimiser: Any) -> str:
    """What an optimiser is called in any process: `repr` of a function would tell where it lies in memory."""
    if isinstance(optimiser, functools.partial):
        given = [*map(repr, optimiser.args), *(f"{k}={v!r}" for k, v in optimiser.keywords.items())]
        return f"{_called(optimiser.func)}({', '.join(given)})"
    return str(getattr(optimiser, "__name__", type(optimiser).__name__))
