"""Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

from .words import say, words


class Terminated(BaseException):
    """SIGTERM came while no block was in hand."""


def on_sigterm(number: int, frame: FrameType | None) -> None:
    raise Terminated


class Stop:
    """Turns the first Ctrl-C or SIGTERM into `requested`, so that the blocks in hand are finished.

    A second one stops `at_once`.
    """

    def __init__(self) -> None:
        self.requested = self.at_once = False
        self._before: dict[int, Any] = {}
        self.number = 0

    def __enter__(self) -> Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            self.at_once, self.number = True, number
            raise KeyboardInterrupt
        self.requested, self.number = True, number
        os.write(2, b"\ngru-sweep: stopping after the blocks in hand; once more to stop at once\n")

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if error is None or not self.requested:
            return
        from ..sweeps.sweep import Interrupted

        if not isinstance(error, Interrupted | KeyboardInterrupt):
            return
        if self.at_once:
            # Threads are still computing what nobody will read; the interpreter would wait for them.
            say(words(error) or "stopped")
            os._exit(128 + self.number)
        stopped: type[BaseException] = KeyboardInterrupt if self.number == signal.SIGINT else Terminated
        raise stopped(words(error)) from None
