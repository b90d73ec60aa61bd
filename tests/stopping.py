"""Somebody who presses Ctrl-C after a while."""

import threading
from collections.abc import Callable
from typing import Any


class Stopping:
    """Asks to stop when `evaluate`, called through `function` by any threads, was called `after` times."""

    def __init__(self, evaluate: Callable[[Any], Any], after: int):
        self.evaluate, self.after, self.calls = evaluate, after, 0
        self._guard = threading.Lock()

    @property
    def requested(self) -> bool:
        return self.calls >= self.after

    def function(self, at: Any) -> Any:
        with self._guard:
            self.calls += 1
        return self.evaluate(at)
