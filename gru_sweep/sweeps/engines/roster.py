"""Which worker of a Dask cluster has which block, and what becomes of it.

Every task is one block, bound to one worker process and sent to nobody else: Dask itself would hand the block
of a dead worker on, also one that had only waited there, and would not say so. Here the block that a worker
died of is known, and comes back with a smaller batch, alone.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gru_sweep.sweeps import atomic
from gru_sweep.sweeps.engines import worker
from gru_sweep.sweeps.engines.cluster import ANSWER, LOOK, START, Cluster, Process, losses
from gru_sweep.sweeps.engines.engine import Progress
from gru_sweep.sweeps.engines.worker import Plan, Receipt
from gru_sweep.sweeps.grid import Block
from gru_sweep.sweeps.store import Store

logger = logging.getLogger(__name__)

DEATHS = 3
"""Workers that may die of one block: the batch is an eighth of the usual one then."""

WATCH = 1.0
"""Seconds between two looks at who is there: a worker needs as long to start, and blocks take longer."""

SHORT = 1.0
"""Blocks of fewer seconds wait at the worker, one for each at work, as the way back and forth would count."""

SHOWN = 90.0
"""Seconds until a file that a worker wrote is seen here: network file systems keep what they know of a folder
for up to a minute."""


@dataclass(eq=False)
class _Hand:
    """A block that a worker has, the one it computes or one that waits."""

    block: Block
    attempt: int
    future: Any


@dataclass
class _Worker:
    """A worker process, and its blocks in the order in which it takes them, one for each of its threads.

    `at_once` is how many its function wants side by side; `short` says that blocks take no time, `resting`
    that it takes none.
    """

    process: Process
    hands: list[_Hand] = field(default_factory=list)
    threads: int = 1
    at_once: int = 1
    short: bool = False
    resting: bool = False

    @property
    def room(self) -> bool:
        """Whether it takes one more block. None waits at a worker that would take it up at once, unasked."""
        if self.resting or any(hand.attempt for hand in self.hands):
            return False
        if self.at_once < self.threads:
            return len(self.hands) < self.at_once
        return len(self.hands) < self.threads * (2 if self.short else 1)

    @property
    def unfinished(self) -> list[_Hand]:
        """Its blocks that it has not done, as far as is known here; the first ones are those it has begun."""
        return [hand for hand in self.hands if hand.future.status not in ("finished", "lost")]


class Roster:
    """Who computes which block of a store; `heard` is told of every receipt.

    `error` is what ended it early, `given_up` what nobody could compute.
    """

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        plan: Plan,
        progress: Progress,
        heard: Callable[[Process, Receipt], None],
    ):
        self._cluster, self._store, self._plan, self._progress = cluster, store, plan, progress
        self._heard = heard
        self._workers: dict[Process, _Worker] = {}
        self._fresh = store.missing()
        self._returned: deque[Block] = deque()
        self._again: deque[tuple[Block, int]] = deque()
        self._wake = threading.Event()
        self._watched = self._alone_since = float("-inf")
        self._knock: Any = None
        self._submitted = 0
        self.error: BaseException | None = None
        self.given_up: list[Block] = []

    def work(self, stopping: Callable[[], bool]) -> None:
        """Until the store is full, or nobody works any more after an error or a wish to stop."""
        try:
            while True:
                if time.monotonic() > self._watched + WATCH:
                    self._watch()
                ending = self.error is not None or stopping()
                if ending:
                    self._drop_waiting()
                else:
                    self._feed()
                if not any(one.hands for one in self._workers.values()) and (ending or self._nothing_left()):
                    break
                self._wake.wait(LOOK)
                self._wake.clear()
                self._collect()
        finally:
            for one in self._workers.values():
                for hand in one.hands:
                    hand.future.release()

    def _watch(self) -> None:
        """Find out who is there; whoever is not has died."""
        there = self._cluster.processes()
        self._watched = time.monotonic()
        for process in [process for process in self._workers if process not in there]:
            self._bury(self._workers.pop(process))
        for process, threads in there.items():
            one = self._workers.setdefault(process, _Worker(process))
            one.resting, one.threads = threads == 0, threads or one.threads
        if any(there.values()):
            self._knock, self._alone_since = None, float("inf")
        elif self._knock is None:
            self._knock, self._alone_since = self._cluster.knock(), self._watched
            logger.warning("no worker takes blocks: waiting for one")
        elif self._cluster.own and self._watched > self._alone_since + START:
            raise ConnectionError("the workers died, and no other one started")

    def _bury(self, dead: _Worker) -> None:
        """Take a dead worker's blocks back; those that it computed have one more death to their name."""
        # What it had done, though it could not say so, was in nobody's way.
        left = [hand for hand in dead.hands if not self._appeared(hand.block)]
        dead.hands, everything = left, dead.hands
        blamed = (dead.unfinished or left)[: dead.threads]
        for hand in everything:
            hand.future.release()
        self._returned.extend(hand.block for hand in left if hand not in blamed)
        for hand in blamed:
            name = f"block {hand.block.index}"
            if hand.attempt + 1 < DEATHS:
                self._again.append((hand.block, hand.attempt + 1))
                logger.warning("a worker died: %s is tried again, in smaller batches", name)
            else:
                self.given_up.append(hand.block)
                logger.warning("%d workers died of %s: it is given up", DEATHS, name)

    def _feed(self) -> None:
        """Give blocks to workers that have room, evenly; one that is tried again to a worker without any."""
        idle_first = sorted(self._workers.values(), key=lambda one: len(one.hands))
        idle_first = [one for one in idle_first if not one.resting]
        # Workers that shall be alone with a block are not fed until they are.
        kept, others = idle_first[: len(self._again)], idle_first[len(self._again) :]
        for one in kept:
            if not one.hands:
                self._give(one, *self._again.popleft())
        while others := [one for one in others if one.room]:
            for one in others:
                block = self._next()
                if block is None:
                    return
                self._give(one, block, 0)

    def _next(self) -> Block | None:
        while True:
            block = self._returned.popleft() if self._returned else next(self._fresh, None)
            if block is None or not self._appeared(block):
                return block

    def _nothing_left(self) -> bool:
        """Whether no block waits to be given to anybody; if one does, it comes first."""
        if self._again:
            return False
        block = self._next()
        if block is not None:
            self._returned.appendleft(block)
        return block is None

    def _give(self, one: _Worker, block: Block, attempt: int) -> None:
        self._submitted += 1
        future = self._cluster.client.submit(
            worker.compute,
            self._plan,
            self._store.layout.grid.coordinates(block),
            block.shape,
            Path(os.path.abspath(self._store.place(block))),
            attempt,
            key=f"{self._plan.sign.stem}-{block.index}-{attempt}-{self._submitted}",
            workers=[one.process.address],
            priority=-self._submitted,
        )
        one.hands.append(_Hand(block, attempt, future))
        future.add_done_callback(lambda _: self._wake.set())

    def _collect(self) -> None:
        """Take what is done off the workers' hands."""
        if self._cluster.lost:
            raise ConnectionError(self._cluster.gone)
        for one in self._workers.values():
            for hand in [*one.hands]:
                if hand.future.status == "finished":
                    done = self._receive(one, hand)
                elif hand.future.status == "error":
                    done = self._failed(hand)
                elif hand.future.status == "cancelled":
                    raise ConnectionError(self._cluster.gone)
                else:
                    continue
                if done:
                    hand.future.release()
                    one.hands.remove(hand)
                else:
                    self._watched = float("-inf")

    def _receive(self, one: _Worker, hand: _Hand) -> bool:
        """Commit a block that is done; False where the worker died before it could say so."""
        receipt = self._receipt(hand)
        if receipt is None:
            return False
        place = self._store.place(hand.block)
        before = self._store.done
        if receipt.image is not None:
            atomic.write(place, receipt.image)
        until = time.monotonic() + SHOWN
        while not place.exists():
            if time.monotonic() > until:
                raise FileNotFoundError(f"{place}, which {one.process.address} wrote, is not to be seen here")
            time.sleep(LOOK)
        self._store.enter(hand.block)
        self._progress.advance(self._store.done - before)
        one.at_once, one.short = receipt.at_once, receipt.seconds < SHORT
        self._heard(one.process, receipt)
        return True

    def _receipt(self, hand: _Hand) -> Receipt | None:
        lost: tuple[type[Exception], ...] = (OSError, *losses())
        # What is lost is found out after a while; what is long takes its time.
        for patience in (WATCH, ANSWER):
            try:
                return hand.future.result(timeout=patience)
            except lost:
                if hand.future.status != "finished":
                    break
        return None

    def _failed(self, hand: _Hand) -> bool:
        """Keep the first error; False for Dask's words for a worker that died."""
        error = hand.future.exception(timeout=ANSWER)
        if isinstance(error, losses()):
            return False
        if self.error is None:
            self.error = error.with_traceback(hand.future.traceback(timeout=ANSWER))
        return True

    def _appeared(self, block: Block) -> bool:
        """Whether a worker that was given up for dead has written the block after all."""
        before = self._store.done
        if self._store.place(block).exists():
            self._store.enter(block)
            self._progress.advance(self._store.done - before)
            return True
        return False

    def _drop_waiting(self) -> None:
        """Take back what workers have not begun."""
        self._returned.clear()
        self._again.clear()
        for one in self._workers.values():
            for hand in one.unfinished[one.threads :]:
                hand.future.release()
                one.hands.remove(hand)
