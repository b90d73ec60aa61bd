"""The workers of a Dask cluster, on this machine or any other, as an engine."""

from __future__ import annotations

import logging
import platform
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from gru_sweep.records import InputError
from gru_sweep.sweeps import atomic
from gru_sweep.sweeps.engines import worker
from gru_sweep.sweeps.engines.cluster import LOOK, START, Cluster, Process, losses
from gru_sweep.sweeps.engines.engine import Progress, Stop
from gru_sweep.sweeps.engines.roster import DEATHS, Roster
from gru_sweep.sweeps.engines.worker import Plan, Receipt, Recipe
from gru_sweep.sweeps.grid import Block
from gru_sweep.sweeps.reading import parts_folder
from gru_sweep.sweeps.store import Store

logger = logging.getLogger(__name__)

NAMED = 5
"""Blocks that an error names."""


class GivenUp(RuntimeError):
    """All blocks are done but `blocks`: workers died of each of them, `DEATHS` times."""

    def __init__(self, blocks: list[Block], store: Store):
        self.blocks = blocks
        named = [f"block {block.index} ({_where(store, block)})" for block in blocks[:NAMED]]
        if len(blocks) > NAMED:
            named.append(f"{len(blocks) - NAMED} more")
        points = sum(block.size for block in blocks)
        super().__init__(
            f"{points} points are not computed, because {DEATHS} workers died of each of {', '.join(named)}; "
            "--resume tries them again"
        )


class Dask:
    """An engine over the workers of a cluster; a context manager that starts or joins it, and lets go of it.

    `workers` is a number of processes to start here (one for each GPU; without GPUs, each with its share of
    the cores), or the address or JSON file of a scheduler. A script that starts processes must be guarded by
    `if __name__ == "__main__"`, because they import it. `recipe`, `prepare` (called in each process before
    anything else) and `about` (what the process computes on, in words) are pickled. `platform` is `cpu`,
    `gpu` or None, GPUs if there are any; `note` is told what is waited for. Refuses a missing package, a
    wrong address and workers that do not start, with `InputError`.
    """

    def __init__(
        self,
        recipe: Recipe,
        workers: int | str,
        *,
        prepare: Callable[[], str | None] = lambda: None,
        about: Callable[[], str] = platform.machine,
        platform: str | None = None,
        note: Callable[[str], None] = lambda text: None,
    ):
        self.recipe, self.workers, self.platform, self.note = recipe, workers, platform, note
        self.prepare, self.about = prepare, about
        self._token = uuid.uuid4().hex
        self._kinds: set[str] = set()
        self._compile_seconds: dict[Process, float] = {}

    def __enter__(self) -> Dask:
        self.note(f"connecting to {self.workers if isinstance(self.workers, str) else 'workers that start'}")
        self._cluster = Cluster(self.workers, self.platform)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._cluster.close(hurry=kind is not None)

    @property
    def address(self) -> str:
        """The scheduler's."""
        return self._cluster.address

    @property
    def compile_seconds(self) -> float:
        """Of the workers, which compile side by side."""
        return max(self._compile_seconds.values(), default=0.0)

    def describe(self) -> dict[str, int]:
        """What the workers compute on, in the words of `about`, and how many processes do so.

        Refuses, with `InputError`, workers that cannot say.
        """
        futures = [
            self._cluster.client.submit(
                worker.introduce, self.prepare, self.about, workers=[process.address], pure=False
            )
            for process in self._cluster.processes()
        ]
        dead: tuple[type[Exception], ...] = (TimeoutError, *losses())
        until, told = time.monotonic() + START, []
        for future in futures:
            try:
                told.append(future.result(timeout=max(until - time.monotonic(), LOOK)))
            except dead:
                continue
            except InputError:
                raise
            except Exception as error:
                reason = " ".join(f"{error} {error.__cause__ or ''}".split())
                raise InputError(
                    "--workers", "a scheduler and workers that have this gru-sweep", reason
                ) from error
        if not told:
            raise InputError("--workers", "workers that answer", f"none in {START:.0f} s")
        for said in {said for _, said in told} - {None}:
            logger.warning("%s", said)
        self._kinds = {about for about, _ in told}
        return dict(Counter(about for about, _ in told))

    def fill(self, store: Store, progress: Progress, stop: Stop | None) -> float:
        """See `Engine`. `GivenUp` if workers died of a block, `ConnectionError` if the scheduler is gone."""
        began = time.perf_counter()
        # A name that starts with the sweep's is not taken for a leftover.
        sign = parts_folder(store.path).absolute() / f"{store.token}.{uuid.uuid4().hex}.sign"
        plan = Plan(self._token, self.recipe, self.prepare, self.about, store.layout.form, sign)
        atomic.write(sign, b"")
        try:
            roster = Roster(self._cluster, store, plan, progress, self._heard)
            roster.work(lambda: stop is not None and stop.requested)
        finally:
            with suppress(OSError):  # whatever else went wrong says more
                atomic.remove(sign)
        if roster.error is not None:
            raise roster.error
        if stop is not None and stop.requested and next(store.missing(), None) is not None:
            raise KeyboardInterrupt
        if roster.given_up:
            raise GivenUp(roster.given_up, store)
        return time.perf_counter() - began

    def _heard(self, process: Process, receipt: Receipt) -> None:
        self._compile_seconds[process] = receipt.compile_seconds
        if self._kinds and receipt.about not in self._kinds:
            self._kinds.add(receipt.about)
            logger.warning("a worker on %s has joined the others", receipt.about)


def _where(store: Store, block: Block) -> str:
    """A block's points, by the range of each coordinate."""
    ranges = store.layout.grid.coordinates(block)
    return ", ".join(f"{name} {values.min():.6g} to {values.max():.6g}" for name, values in ranges.items())
