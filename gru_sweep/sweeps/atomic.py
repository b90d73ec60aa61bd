"""Changes of the disk: files that appear whole, sealed and durable, or not at all.

A file is written beside its place, sealed, synced, renamed, and its folder synced. Its last `SEAL_BYTES`
bytes are the seal: `gru_sweep sha256 `, the digest of all bytes before, and a line feed. HDF5 ends where its
superblock says, so that readers pass the seal over, and whoever wants to know compares (`sound`): no byte of
a file can change without that.

Everything that a sweep does to the disk but for its locks is done here, so that a test can replay it.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

_MARK = b"gru_sweep sha256 "
SEAL_BYTES = len(_MARK) + 64 + 1
_PIECE = 2**20


class Lasting:
    """A file whose first write error is kept as `error`, after which nothing is done any more.

    HDF5 does not survive an error that it meets while it closes a file: it tries again when the interpreter
    ends, and takes it down.
    """

    def __init__(self, file: BinaryIO):
        self.name, self._file = file.name, file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        self._tried(self._file.write, data)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        return self._tried(self._file.read, size) or b""

    def readinto(self, room: Any) -> int:
        return self._tried(self._file.readinto, room) or 0  # type: ignore[attr-defined]

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._tried(self._file.seek, offset, whence) or 0

    def tell(self) -> int:
        return self._tried(self._file.tell) or 0

    def truncate(self, size: int | None = None) -> int:
        return self._tried(self._file.truncate, size) or 0

    def flush(self) -> None:
        self._tried(self._file.flush)

    def _tried(self, act: Callable[..., Any], *arguments: Any) -> Any:
        if self.error is not None:
            return None
        try:
            return act(*arguments)
        except OSError as error:
            self.error = error
            return None


def write(path: Path, data: bytes, beside: Path | None = None) -> None:
    """Give `path` the content `data` and its seal; whatever stood there is seen until that is durable.

    It is written in the folder `beside`, the file's own if None. An `OSError` (disk full, read-only) leaves
    `path` as it was.
    """
    with writing(path, beside) as file:
        file.write(data)


@contextmanager
def writing(path: Path, beside: Path | None = None) -> Iterator[Lasting]:
    """A new file, readable too, that takes the place of `path` at the end, as `write` does."""
    # A name of its own: whoever else writes the same file, a worker given up for dead say, writes another.
    new = (beside or path.parent) / f"{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        with open(new, "x+b") as file:
            lasting = Lasting(file)
            try:
                yield lasting
            except Exception as error:
                # Whatever HDF5 makes of a file that cannot be written.
                raise (lasting.error or error) from None
            lasting.flush()
            if lasting.error is not None:
                raise lasting.error
            file.seek(0)
            digest = hashlib.sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
            file.write(_seal(digest))
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise
    _sync(path.parent)


def sound(path: Path) -> bool:
    """Whether `path` is there, whole and as it was written; reads all of it."""
    try:
        with open(path, "rb") as file:
            left = os.fstat(file.fileno()).st_size - SEAL_BYTES
            digest = hashlib.sha256()
            while left > 0 and (piece := file.read(min(left, _PIECE))):
                digest.update(piece)
                left -= len(piece)
            return left == 0 and file.read() == _seal(digest)
    except OSError:
        return False


def sealed(path: Path) -> bool:
    """Whether `path` ends in a seal, right or wrong: files written before there were seals have none."""
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - SEAL_BYTES))
        return file.read(len(_MARK)) == _MARK


def make_folder(path: Path) -> None:
    """Make a folder, durably, unless it is there."""
    with suppress(FileExistsError):
        os.mkdir(path)
        _sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def remove_folder(path: Path) -> None:
    """Remove a folder if it is there and empty."""
    with suppress(OSError):
        os.rmdir(path)


def remove_tree(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    if not path.is_dir() or path.is_symlink():
        remove(path)
        return
    for inside in path.iterdir():
        remove_tree(inside)
    remove_folder(path)


def _seal(digest: hashlib._Hash) -> bytes:
    return _MARK + digest.hexdigest().encode() + b"\n"


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
