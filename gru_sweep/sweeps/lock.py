"""Who may write, by locks that the operating system drops when their holder dies."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import IO

PATIENCE = 60.0
"""Seconds that a lock is waited for where waiting was asked for: those are held for an instant."""


class Held(Exception):
    """Somebody else holds the lock; the message says who."""


class Lock:
    """A `flock` on the file `path`, which names its last holder; exclusive unless `shared`.

    A killed holder leaves the file and no lock, so nothing is ever stale.
    """

    def __init__(self, path: Path, *, shared: bool = False, wait: bool = False):
        """Take the lock at once (with `wait`, within `PATIENCE`), or raise `Held`."""
        self.path = path
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        until = time.monotonic() + (PATIENCE if wait else 0.0)
        while True:
            self._file = open(path, "a+")  # noqa: SIM115 (open as long as the lock is held)
            while not _taken(self._file, kind):
                if time.monotonic() > until:
                    holder = _read(self._file)
                    self._file.close()
                    raise Held(holder)
            # A holder that removed the file before letting go leaves us a lock on a name that is gone.
            try:
                if os.path.samestat(os.fstat(self._file.fileno()), path.stat()):
                    break
            except FileNotFoundError:
                pass
            self._file.close()
        self._file.truncate(0)
        self._file.write(f"{socket.gethostname()} pid {os.getpid()}")
        self._file.flush()

    def release(self) -> None:
        """Remove the file, unless others share the lock, then let go."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.path.unlink(missing_ok=True)
        except OSError:  # others share it, or the disk can only be read now: the name alone keeps nobody out
            pass
        self._file.close()


def holder(path: Path) -> str | None:
    """Who holds the lock at `path`; None if nobody does."""
    try:
        with open(path) as file:
            if _taken(file, fcntl.LOCK_SH) and _taken(file, fcntl.LOCK_EX):
                return None
            return _read(file)
    except FileNotFoundError:
        return None


def _taken(file: IO[str], kind: int) -> bool:
    # `holder` holds a lock for an instant, which must not turn a writer away: hence the second try.
    for pause in (0.05, 0.0):
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(pause)
    return False


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "another process"
