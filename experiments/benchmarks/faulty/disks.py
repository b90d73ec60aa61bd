"""A disk that fills up, and one that turns read-only, in mid-sweep and in mid-packing.

On a small file system in memory, which only root may mount; and under a limit on the size of files.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from faulty import watching, waves
from faulty.rows import Row, count, said, true

SIZE, LARGER = "6m", "24m"
"""Of the disk, for a sweep whose files come to less than three megabytes, and after it was enlarged."""
STEP = 2**16
"""Bytes by which a disk is filled, down to a page."""
PAGE = 4096
SHORT = (300, 5000, 20_000)
"""Bytes that a file may not have: HDF5 writes tables of a few thousand bytes when it closes a file."""
MIDST = 101
"""The block in whose midst the disk is harmed: half of a shard is there then."""

Harm = Callable[[Path], Callable[[], None]]
"""Harms the disk mounted at a folder; what it returns mends it."""


def measure(scratch: Path, *, quick: bool) -> list[Row]:
    """All rows."""
    reference = waves.unharmed(scratch / "unharmed")
    mounts = may_mount(scratch / "trial")
    rows = [] if quick and mounts else limited(scratch, reference)
    if not mounts:
        words = "none: only root may mount them, so nothing but the size of files was limited"
        return [*rows, Row("disks of our own", words)]
    for title, place, harm in (
        ("disk full in mid-sweep", f"block {MIDST}", full),
        ("disk full in mid-packing", "label", full),
        ("disk read-only before the first block", "block 0", read_only),
        ("disk read-only in mid-sweep", f"block {MIDST}", read_only),
        ("disk read-only in mid-packing", "label", read_only),
    )[: 1 if quick else None]:
        folder = scratch / title.replace(" ", "-")
        folder.mkdir()
        with mounted(folder / "disk") as disk:
            rows += said(title, harmed(folder, disk, place, harm, reference))
    return rows


def harmed(folder: Path, disk: Path, place: str, harm: Harm, reference: Path) -> list[Row]:
    """Harm the disk when the sweep comes to `place`, look, mend the disk, resume."""
    path = disk / waves.MAP
    command = watching.program(folder, "--out", path)
    (folder / "gate").write_text(place)
    with watching.ended(watching.begin(command, folder)) as process:
        there = watching.waits(folder, process)
        before = watching.committed(path, waves.layout())
        mend = harm(disk)
        (folder / "gate").unlink()
        code = process.wait()
    try:
        rows = [true("harmed while the sweep was at work", there), *stopped(folder, path, before, code)]
    finally:
        mend()
    return rows + resumed(folder, path, command, reference)


def stopped(folder: Path, path: Path, before: set[int], code: int) -> list[Row]:
    """What a sweep leaves that could not write; `before` is what was committed when the disk was harmed."""
    layout = waves.layout()
    lines = (folder / "said").read_text().strip().splitlines()
    safe = watching.committed(path, layout)
    points = sum(layout.blocks[block].size for block in safe)
    words = f"{points or 'none'} of {layout.grid.size} points "
    return [
        Row("exit status", code, "1", code == 1),
        count("lines on stderr", len(lines), 1),
        true("the line says what is safe", bool(lines) and words in lines[-1]),
        Row("blocks safe", len(safe), f">= {len(before)}", before <= safe),
        count("values that are neither right nor missing", watching.wrong(path, waves.whole(), layout)),
    ]


def resumed(folder: Path, path: Path, command: list[str], reference: Path) -> list[Row]:
    """The same command, when it can write again."""
    safe, read = watching.committed(path, waves.layout()), len(watching.lines(folder))
    done = watching.finish(command, folder)
    return [
        count("exit status of --resume afterwards", done.returncode),
        true("the file is that of an unharmed sweep", not watching.unlike(path, reference)),
        count("committed blocks computed again", sum(b in safe for b in watching.begun(folder, read))),
    ]


def full(disk: Path) -> Callable[[], None]:
    """Somebody else fills the disk; it is made larger then."""
    with open(disk / "others", "wb") as file:
        for size in (STEP, PAGE):
            try:
                while True:
                    os.write(file.fileno(), bytes(size))
            except OSError:
                continue
    return lambda: _do("mount", "-o", f"remount,size={LARGER}", str(disk))


def read_only(disk: Path) -> Callable[[], None]:
    """Whoever opens a file from now on can only read it.

    The writer's lock, open for writing, keeps the disk from being remounted: another view is put over it.
    """
    _do("mount", "--bind", str(disk), str(disk))
    _do("mount", "-o", "remount,bind,ro", str(disk))
    return lambda: _do("umount", str(disk))


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """A new disk in memory, mounted at a new folder; gone afterwards, whatever happens."""
    folder.mkdir()
    _do("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        until = time.monotonic() + watching.SOON
        while os.path.ismount(folder) and time.monotonic() < until:
            subprocess.run(["umount", str(folder)], capture_output=True)


def may_mount(folder: Path) -> bool:
    """Whether this process may mount disks."""
    try:
        with mounted(folder):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def limited(scratch: Path, reference: Path) -> list[Row]:
    """No file may be as large as the finished one: packing fails, again and again, at its end and before."""
    folder = scratch / "limited"
    folder.mkdir()
    path, size = folder / waves.MAP, reference.stat().st_size
    everything = set(range(waves.layout().blocks.total))
    rows: list[Row] = []
    for short in SHORT:
        command = watching.program(folder, "--limit", size - short)
        with watching.ended(watching.begin(command, folder)) as process:
            code = process.wait()
        title = f"no file within {short} bytes of the finished one's size"
        rows += said(title, stopped(folder, path, everything, code))
        (folder / "said").unlink()
    return rows + said("no limit any more", resumed(folder, path, watching.program(folder), reference))


def _do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
