"""What the library has to say while it works, as lines on standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from .words import say


class _Lines(logging.Handler):
    """One line a record; `say` finds standard error anew each time, since a live bar takes its place."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextmanager
def spoken(quiet: bool = False) -> Iterator[None]:
    """Say what the package logs, from information on; with `quiet` only warnings."""
    logger, handler = logging.getLogger("gru_sweep"), _Lines()
    level, handed = logger.level, logger.propagate
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = handed
        logger.setLevel(level)
