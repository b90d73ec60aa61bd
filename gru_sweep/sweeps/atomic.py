"""Files that appear whole or not at all: written beside, made durable, then renamed."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Give `path` the content `data`; whatever stood there is seen until the new content is durable.

    An `OSError` (disk full, read-only) leaves `path` as it was.
    """
    beside = path.with_name(path.name + ".tmp")
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        publish(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def publish(beside: Path, path: Path) -> None:
    """Rename the finished file `beside` to `path`, durably: a power cut leaves one of the two."""
    with open(beside, "rb") as file:
        os.fsync(file.fileno())
    os.replace(beside, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
