"""What is done to this process before anything is compiled."""

from __future__ import annotations

from .. import caching
from .words import say


def use_compilation_cache() -> None:
    """Keep compiled programs between runs, and say why if that is not done."""
    _tell(caching.use_compilation_cache())


def prepare_compiling(platform: str | None = None) -> None:
    """Configure this process for a command that compiles for `platform`, JAX's default one if None."""
    _tell(caching.prepare_process(platform))


def _tell(text: str | None) -> None:
    if text is not None:
        say(text)
