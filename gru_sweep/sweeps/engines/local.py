"""The devices of this process, each with programs of its own, fed by threads.

Every device has a few threads that take the next missing block, whoever is free first: so an expensive
region holds up nobody, and nothing waits between two blocks. The calling thread commits what comes back.
Memory is bounded by the blocks in hand.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gru_sweep.sweeps.engines.engine import Function, Progress, Stop
from gru_sweep.sweeps.grid import Block
from gru_sweep.sweeps.store import Store

logger = logging.getLogger(__name__)

WAITING = 2
"""Blocks that may wait for being committed, beyond those that are computed."""

_Result = tuple[Block, Mapping[str, Any], float] | BaseException | None


class Local:
    """An engine over functions, one for each device; one without `at_once` gets a single thread.

    `about`, what they compute on and how, is logged once.
    """

    def __init__(self, functions: Sequence[Function], about: str = ""):
        self.functions, self.about = tuple(functions), about

    def fill(self, store: Store, progress: Progress, stop: Stop | None) -> float:
        """See `Engine`."""
        if self.about:
            logger.info("%s, %d points at a time", self.about, math.prod(store.layout.blocks.tile))
            self.about = ""
        began, error = time.perf_counter(), None
        team = _Team(self.functions, store, lambda: stop is not None and stop.requested)
        try:
            for result in team:
                if isinstance(result, BaseException):
                    # The others finish what they have in hand.
                    team.stop()
                    error = error or result
                    continue
                before = store.done
                try:
                    store.commit(*result)
                except OSError as failed:
                    # What cannot be written now will not be written later: nothing is waited for.
                    raise (error or failed) from None
                except ValueError as failed:
                    team.stop()
                    error = error or failed
                progress.advance(store.done - before)
        finally:
            team.leave()
        if error is not None:
            raise error
        if next(store.missing(), None) is not None:
            raise KeyboardInterrupt
        return time.perf_counter() - began


class _Team:
    """The threads of all devices; iterating gives what they return, until all of them have ended."""

    def __init__(self, functions: Sequence[Function], store: Store, stopping: Callable[[], bool]):
        self._blocks, self._coordinates = store.missing(), store.layout.grid.coordinates
        self._guard = threading.Lock()
        self._stopped, self._stopping = False, stopping
        self._results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
        size = math.prod(store.layout.blocks.tile)
        crew = [f for f in functions for _ in range(f.at_once(size) if hasattr(f, "at_once") else 1)]
        self._room = threading.Semaphore(len(crew) + WAITING)
        self._working = 0
        for number, function in enumerate(crew):
            self._working += 1
            threading.Thread(target=self._work, args=(function,), name=f"sweep {number}", daemon=True).start()

    def __iter__(self) -> Iterator[tuple[Block, Mapping[str, Any], float] | BaseException]:
        while self._working:
            result = self._results.get()
            if result is None:
                self._working -= 1
                continue
            yield result
            self._room.release()

    def stop(self) -> None:
        """Nobody takes another block."""
        self._stopped = True

    def leave(self) -> None:
        """Drop what is in hand: nobody reads it."""
        self.stop()
        for _ in range(self._working):
            self._room.release()

    def _work(self, function: Function) -> None:
        try:
            while True:
                self._room.acquire()
                with self._guard:
                    block = None if self._stopped or self._stopping() else next(self._blocks, None)
                if block is None:
                    break
                began = time.perf_counter()
                values = function(self._coordinates(block))
                self._results.put((block, values, time.perf_counter() - began))
        except BaseException as error:  # raised again in the calling thread
            self._results.put(error)
        self._results.put(None)
