"""What a file was made by: what must be equal to resume it, and its history."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gru_sweep.records import InputError
from gru_sweep.sweeps.grid import Axis
from gru_sweep.sweeps.layout import Layout

_PER_RUN = {"command", "created", "history", "complete", "seconds", "file_format"}


def made_by(fingerprint: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """The caller's fingerprint with the grid and the columns, as JSON gives it back."""
    whole = {
        **fingerprint,
        "grid": {axis.name: _summary(axis) for axis in layout.grid.axes},
        "columns": {c.name: f"{c.dtype} ({', '.join(c.dims)}) {list(c.shape)}" for c in layout.columns},
    }
    return json.loads(json.dumps(whole, allow_nan=False))


def require_equal(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """`InputError` naming the first key that differs, with both values."""
    found = _first_difference(stored, asked, "")
    if found is not None:
        key, then, now = found
        raise InputError(
            "--resume", f"a file made by the same command, with {key} = {now}", f"{key} = {then}"
        )


def begun(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The global attributes of a new file."""
    now = _now()
    line = f"{now}: {attributes.get('command', 'begun')}"
    return {"Conventions": "CF-1.11", **attributes, "created": now, "history": line, "seconds": 0.0}


def resumed(stored: Mapping[str, Any], asked: Mapping[str, Any], done: int, total: int) -> dict[str, Any]:
    """The stored attributes, with a line of history that says what is different this time."""
    changes = [
        f"{name}: {stored[name]} -> {asked[name]}"
        for name in asked
        if name in stored and name not in _PER_RUN and stored[name] != asked[name]
    ]
    line = f"{_now()}: resumed with {done} of {total} points done"
    line += f" ({'; '.join(changes)})" if changes else ""
    kept = {name: value for name, value in stored.items() if name not in ("complete", "file_format")}
    return {**kept, "history": f"{stored['history']}\n{line}"}


def _summary(axis: Axis) -> str:
    first, last = float(axis.values[0]), float(axis.values[-1])
    checksum = zlib.crc32(axis.values.astype("<f8").tobytes())
    return f"{axis.size} values from {first!r} to {last!r}, crc32 {checksum:08x}"


def _first_difference(a: Any, b: Any, key: str) -> tuple[str, str, str] | None:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in [*a, *(name for name in b if name not in a)]:
            found = _first_difference(
                a.get(name, "nothing"), b.get(name, "nothing"), f"{key}.{name}" if key else name
            )
            if found is not None:
                return found
        return None
    return None if a == b else (key, str(a), str(b))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
