"""NAME=VALUE and NAME=START:STOP:NUM."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ..sweeps.grid import Axis
    from ..systems.cells import GRU


def axes_of(texts: list[str]) -> list[Axis]:
    from ..sweeps.grid import Axis

    return [Axis.parse(text) for text in texts]


def settings_of(texts: list[str]) -> dict[str, float]:
    from ..records import InputError

    settings: dict[str, float] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        try:
            if not (name and equals):
                raise ValueError
            number = float(value)
        except ValueError:
            raise InputError("--set", "NAME=VALUE with a number", text) from None
        if name in settings:
            raise InputError("--set", "each coordinate once", f"{name} twice")
        settings[name] = number
    return settings


def cell_in(weights: Path | None, member: str | None) -> Path | GRU | None:
    """What --weights and --member name: a file of one cell, or the cell."""
    from ..records import InputError

    if member is None:
        return weights
    if weights is None:
        raise InputError("--member", "--weights FILE with it", member)
    import jax

    from ..systems.weights import load

    with jax.enable_x64(True):
        return load(weights, member)


def line_of(text: str, flag: str) -> tuple[str, tuple[float, float]]:
    """The name and the bounds of NAME=START:STOP."""
    from ..records import InputError

    name, equals, bounds = (part.strip() for part in text.partition("="))
    try:
        start, stop = (float(bound) for bound in bounds.split(":"))
        if not (name and equals):
            raise ValueError
    except ValueError:
        raise InputError(flag, "NAME=START:STOP with two numbers", text) from None
    return name, (start, stop)
