"""What is said on standard error, and bad arguments in one line."""

from __future__ import annotations

import contextlib
import sys
import traceback
from typing import Any, get_args

from cyclopts import CoercionError, CycloptsError, MissingArgumentError

FLAGS = (
    *("along", "axis", "plane", "set", "measure", "resume", "precision", "chunk", "seed", "variable"),
    *("device", "engine", "workers", "shard", "sample"),
)
"""Arguments of the library that are flags of the same name here."""


class Refused(Exception):
    """A bad argument found while the command line itself was read."""


def say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(f"gru-sweep: {text}", file=sys.stderr, flush=True)


def failed(error: Exception) -> int:
    from ..records import InputError
    from ..sweeps.engines.dask import GivenUp
    from ..sweeps.sweep import SweepError

    if isinstance(error, InputError):
        text = words(error)
        say(f"--{text}" if error.argument in FLAGS else text)
        return 2
    if not isinstance(error, SweepError | GivenUp | OSError | MemoryError):
        traceback.print_exception(error)
    say("; ".join([f"{type(error).__name__}: {words(error)}", *getattr(error, "__notes__", [])]))
    return 1


def words(error: BaseException) -> str:
    """An error's message on one line, in the form `argument: expected, got` where it was a conversion."""
    if isinstance(error, CoercionError) and error.token is not None and error.argument is not None:
        wanted: Any = next(iter(get_args(error.target_type)), error.target_type)  # int of int | None
        kind = {int: "an integer", float: "a number"}.get(wanted, getattr(wanted, "__name__", ""))
        return f"{error.argument.name}: expected {kind}, got {error.token.value!r}"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.argument.name}: expected a value, got nothing"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, CycloptsError):
        error.verbose = False
    return " ".join(str(error).split())
