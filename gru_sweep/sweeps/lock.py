"""One writer at a time, by a lock the operating system drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import IO


class Held(Exception):
    """Somebody else holds the lock; the message says who."""


class Lock:
    """An exclusive `flock` on the file `path`, which names its holder.

    A killed holder leaves the file and no lock, so nothing is ever stale.
    """

    def __init__(self, path: Path):
        """Take the lock at once, or raise `Held`."""
        self.path = path
        while True:
            self._file = open(path, "a+")  # noqa: SIM115 (open as long as the lock is held)
            if not _taken(self._file, fcntl.LOCK_EX):
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
        """Remove the file, then let go."""
        self.path.unlink(missing_ok=True)
        self._file.close()


def holder(path: Path) -> str | None:
    """Who holds the lock at `path`; None if nobody does."""
    try:
        with open(path) as file:
            return None if _taken(file, fcntl.LOCK_SH) else _read(file)
    except FileNotFoundError:
        return None


def _taken(file: IO[str], kind: int) -> bool:
    # `holder` holds a shared lock for an instant, which must not turn a writer away: hence the second try.
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
