"""A disk that can be stopped after any change: what a killed process leaves, and what a power cut leaves.

`Recorder` writes down every change that `gru_sweep.sweeps.atomic` makes in a folder. `Disk` plays a record
back, change by change, and says at any point what would be found there: after SIGKILL all that was done;
after a power cut, of what was not synced, an arbitrary part.
"""

import io
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gru_sweep.sweeps import atomic

SECTOR = 512
"""Bytes that a disk writes at once: a write that was not synced is there by sectors, some of them."""

Tree = dict[str, bytes | None]
"""What is in a folder: the contents of files by their path, None for a folder."""


class Change(NamedTuple):
    """One change; `kind` is create, write, truncate, sync, rename, sync folder, unlink, mkdir, rmdir or mark.

    `path` is relative to the folder; `file` numbers the files in the order of their creation, since names
    change. A mark changes nothing: it says that by now so much was `data`.
    """

    kind: str
    path: str = ""
    file: int = 0
    data: Any = None


class Recorder:
    """The changes that `atomic` makes below the folder `root`, while it is asked to record."""

    def __init__(self, root: Path):
        self.root, self.changes = root, []
        self.before = tree(root)
        self._files: dict[int, int] = {}
        self._folders: dict[int, str] = {}
        self._count = 0

    def install(self, monkeypatch) -> None:
        """Stand in for `os` and `open` in the module."""
        monkeypatch.setattr(atomic, "os", _System(self))
        monkeypatch.setattr(atomic, "open", self.open, raising=False)

    def mark(self, data: Any) -> None:
        """Remember how far the work is at this point."""
        self.tell("mark", data=data)

    def tell(self, kind: str, path: Any = None, file: int = 0, data: Any = None) -> None:
        where = "" if path is None else self.relative(path)
        self.changes.append(Change(kind, where, file, data))

    def relative(self, path: Any) -> str:
        return os.path.relpath(path, self.root)

    def open(self, path: Any, mode: str) -> Any:
        if mode == "rb":
            return open(path, mode)
        assert mode == "x+b", "a file of ours is always a new one"
        file = _File(self, path, self._count)
        self._count += 1
        self._files[file.fileno()] = file.number
        self.tell("create", path, file.number)
        return file

    def synced(self, descriptor: int) -> None:
        if descriptor in self._folders:
            self.tell("sync folder", self._folders[descriptor])
        else:
            self.tell("sync", file=self._files[descriptor])

    def opened(self, descriptor: int, path: Any) -> None:
        self._folders[descriptor] = path

    def closed(self, descriptor: int) -> None:
        del self._folders[descriptor]


class _File(io.BufferedRandom):
    """A new file whose changes are told, also those that HDF5 makes through it."""

    def __init__(self, recorder: Recorder, path: Any, number: int):
        super().__init__(io.FileIO(os.fspath(path), "x+"))
        self.recorder, self.number = recorder, number

    def write(self, data: Any) -> int:
        self.recorder.tell("write", file=self.number, data=(self.tell(), bytes(data)))
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        size = self.tell() if size is None else size
        self.recorder.tell("truncate", file=self.number, data=size)
        return super().truncate(size)


class _System:
    """The module `os`, whose changes are told when they are made."""

    def __init__(self, recorder: Recorder):
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        if name in ("rename", "remove", "removedirs", "makedirs", "link", "symlink", "truncate", "write"):
            raise AssertionError(f"os.{name} is not recorded")
        return getattr(os, name)

    def open(self, path: Any, flags: int) -> int:
        assert flags == os.O_RDONLY
        descriptor = os.open(path, flags)
        self._recorder.opened(descriptor, path)
        return descriptor

    def close(self, descriptor: int) -> None:
        self._recorder.closed(descriptor)
        os.close(descriptor)

    def fsync(self, descriptor: int) -> None:
        self._recorder.synced(descriptor)

    def replace(self, source: Any, target: Any) -> None:
        os.replace(source, target)
        self._recorder.tell("rename", source, data=self._recorder.relative(target))

    def unlink(self, path: Any) -> None:
        os.unlink(path)
        self._recorder.tell("unlink", path)

    def mkdir(self, path: Any) -> None:
        os.mkdir(path)
        self._recorder.tell("mkdir", path)

    def rmdir(self, path: Any) -> None:
        os.rmdir(path)
        self._recorder.tell("rmdir", path)


class _Edit(NamedTuple):
    """A change of the folder `folder` that is not synced yet: `path` is `file` from now on, or is gone."""

    folder: str
    path: str
    file: int | None
    after: "_Edit | None" = None
    """A rename's other half: gone under the old name only where it is there under the new one."""


FOLDER = -1
"""Stands where the number of a file stands, for a folder."""


class Disk:
    """The folder of a record as it is after some of the changes."""

    def __init__(self, before: Tree):
        self._names: dict[str, int] = {}
        self._now: dict[int, bytearray] = {}
        self._synced: dict[int, bytes] = {}
        self._since: dict[int, list[Change]] = {}
        for number, (path, data) in enumerate(before.items(), start=2):
            self._names[path] = FOLDER if data is None else -number
            if data is not None:
                self._now[-number], self._synced[-number], self._since[-number] = bytearray(data), data, []
        self._safe = dict(self._names)
        self._pending: list[_Edit] = []
        self.marks: list[Any] = []

    def do(self, change: Change) -> None:
        """The next change."""
        kind, path, file, data = change
        if kind == "mark":
            self.marks.append(data)
        elif kind == "create":
            self._now[file], self._synced[file], self._since[file] = bytearray(), b"", []
            self._set(path, file)
        elif kind in ("write", "truncate"):
            _apply(self._now[file], change)
            self._since[file].append(change)
        elif kind == "sync":
            self._synced[file], self._since[file] = bytes(self._now[file]), []
        elif kind == "rename":
            there = self._set(data, self._names[path])
            self._set(path, None, there)
        elif kind == "sync folder":
            for edit in [edit for edit in self._pending if edit.folder == path]:
                self._pending.remove(edit)
                _enter(self._safe, edit)
        elif kind == "mkdir":
            self._set(path, FOLDER)
        else:
            self._set(path, None)

    def killed(self) -> Tree:
        """What is found after SIGKILL: everything."""
        return self._seen(self._names, {file: bytes(data) for file, data in self._now.items()})

    def cut(self, random: np.random.Generator) -> Tree:
        """What may be found after a power cut: of what was not synced, an arbitrary part."""
        names, done = dict(self._safe), []
        share = random.choice([0.0, 0.5, 1.0])
        for edit in self._pending:
            happened = random.random() < share and (edit.after not in self._pending or edit.after in done)
            if happened:
                _enter(names, edit)
                done.append(edit)
        return self._seen(names, {file: self._torn(file, random) for file in self._now})

    def _torn(self, file: int, random: np.random.Generator) -> bytes:
        """The content of a file: what was synced, and of what came later some sectors."""
        data, share = bytearray(self._synced[file]), random.choice([0.0, 0.5, 1.0])
        for change in self._since[file]:
            if change.kind == "truncate":
                if random.random() < share:
                    _apply(data, change)
                continue
            start, new = change.data
            for at in range(0, len(new), SECTOR):
                if random.random() < share:
                    _apply(data, Change("write", data=(start + at, new[at : at + SECTOR])))
        return bytes(data)

    def _set(self, path: str, file: int | None, after: _Edit | None = None) -> _Edit:
        edit = _Edit(os.path.dirname(path) or ".", path, file, after)
        _enter(self._names, edit)
        self._pending.append(edit)
        return edit

    def _seen(self, names: dict[str, int], contents: dict[int, bytes]) -> Tree:
        """A file in a folder that is not there is not there either."""
        seen: Tree = {}
        for path in sorted(names):
            folder = os.path.dirname(path)
            if not folder or folder in seen:
                seen[path] = None if names[path] == FOLDER else contents[names[path]]
        return seen


def _apply(data: bytearray, change: Change) -> None:
    """A write, or a new length."""
    if change.kind == "truncate":
        data[:] = data[: change.data].ljust(change.data, b"\0")
        return
    start, new = change.data
    data.extend(bytes(max(0, start - len(data))))
    data[start : start + len(new)] = new


def _enter(names: dict[str, int], edit: _Edit) -> None:
    if edit.file is not None:
        names[edit.path] = edit.file
    elif not any(path.startswith(f"{edit.path}/") for path in names):
        names.pop(edit.path, None)


def tree(root: Path) -> Tree:
    """What is in a folder."""
    return {str(p.relative_to(root)): None if p.is_dir() else p.read_bytes() for p in sorted(root.rglob("*"))}


def lay(state: Tree, root: Path) -> None:
    """Make the new folder `root` hold `state`."""
    root.mkdir()
    for path, data in state.items():
        if data is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(data)
