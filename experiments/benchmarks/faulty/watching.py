"""What is known of a sweep from outside: its processes, its log, what its file says to those who read it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gru_sweep.sweeps import reading
from gru_sweep.sweeps.layout import Layout

HERE = Path(__file__).resolve().parent.parent
SOON = 60.0
"""Seconds for what takes a moment, on a busy machine."""
STEP = 0.005
"""Seconds between two looks at a folder or a log."""
UNLIKE = frozenset({"created", "history", "seconds", "command", "configuration"})
"""Attributes, and a variable, that differ from run to run."""


def program(folder: Path, *options: object) -> list[str]:
    """The command that runs the synthetic sweep."""
    return [sys.executable, "-m", "faulty.driver", str(folder), *map(str, options)]


def environment(folder: Path) -> dict[str, str]:
    """Of a process that finds this package, and leaves nothing outside of `folder`: neither what it compiles
    nor, killed, what it had for the moment."""
    folder.mkdir(exist_ok=True)
    places = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    mine = {"PYTHONPATH": os.pathsep.join(places), "GRU_SWEEP_CACHE": str(folder), "TMPDIR": str(folder)}
    return os.environ | mine


def begin(command: Sequence[str], folder: Path, **options: Any) -> subprocess.Popen[str]:
    """Start a command in a session of its own; what it says on stderr goes to `folder`/said."""
    with open(folder / "said", "a") as said:
        return subprocess.Popen(
            list(command),
            env=environment(folder),
            stdout=subprocess.DEVNULL,
            stderr=said,
            text=True,
            start_new_session=True,
            **options,
        )


def finish(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(list(command), env=environment(folder), capture_output=True, text=True)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """However this ends, nothing is left of the process and its session."""
    try:
        yield process
    finally:
        for pid in session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def session(leader: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for name in os.listdir("/proc"):
        with suppress(OSError, IndexError):
            if name.isdecimal() and os.getsid(int(name)) == leader:
                state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
                found += [int(name)] if state not in "ZX" else []
    return found


def vanished(leader: int) -> bool:
    """Whether all processes of a session end of themselves, soon."""
    until = time.monotonic() + SOON
    while session(leader):
        if time.monotonic() > until:
            return False
        time.sleep(STEP)
    return True


def lines(folder: Path) -> list[list[str]]:
    """The log, in words."""
    log = folder / "log"
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def begun(folder: Path, since: int = 0) -> list[int]:
    """The blocks that were begun, in order, from that line of the log on."""
    return [int(line[1]) for line in lines(folder)[since:] if line[0] == "block"]


def waits(folder: Path, process: subprocess.Popen[str]) -> bool:
    """Whether somebody comes to the gate before the process ends."""
    before = len([line for line in lines(folder) if line[0] == "waiting"])
    until = time.monotonic() + SOON
    while process.poll() is None and time.monotonic() < until:
        if len([line for line in lines(folder) if line[0] == "waiting"]) > before:
            return True
        time.sleep(STEP)
    return False


def committed(path: Path, layout: Layout) -> set[int]:
    """The blocks whose files are on disk."""
    if not path.exists():
        return set()
    about = reading.describe(path)
    if about["complete"]:
        return set(range(layout.blocks.total))
    shards, blocks = reading.on_disk(path, about["configuration"]["token"])
    return blocks | {block.index for number in shards for block in layout.members(layout.shards[number])}


def merged(path: Path, layout: Layout) -> np.ndarray:
    """Which points can be read: a boolean of the grid's shape."""
    there = np.zeros(layout.grid.shape, bool)
    about = reading.describe(path)
    for number in reading.on_disk(path, about["configuration"]["token"])[0]:
        there[layout.region(layout.shards[number]).slices] = True
    return there | about["complete"]


def contents(path: Path, without: frozenset[str] = UNLIKE) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Every value of a file and every attribute, by h5py, `without` some."""
    with h5py.File(path) as file:
        found = {name: file[name][()] for name in file if name not in without}
        about = {name: value for name, value in file.attrs.items() if name not in without}
        for name in found:
            scales = [[scale.name for scale in dim.values()] for dim in file[name].dims]
            about[f"dimensions of {name}"] = str(scales)
            skipped = ("REFERENCE_LIST", "DIMENSION_LIST")
            about |= {f"{k} of {name}": v for k, v in file[name].attrs.items() if k not in skipped}
    return found, about


def read_by_xarray(path: Path) -> dict[str, np.ndarray]:
    """Every variable of a file, coordinates and all, decoded by xarray alone."""
    import xarray as xr

    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        return {str(name): np.asarray(variable.values) for name, variable in dataset.variables.items()}


def differing(found: Mapping[str, Any], truth: Mapping[str, Any]) -> set[str]:
    """The names under which two collections of values do not hold the same, bit for bit."""
    names = {*found, *truth}
    return {n for n in names if n not in found or n not in truth or not equal(found[n], truth[n])}


def equal(one: Any, other: Any) -> bool:
    """The same values of the same kind; NaN is NaN."""
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype.kind != other.dtype.kind or one.shape != other.shape:
        return False
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))


def unlike(path: Path, reference: Path) -> set[str]:
    """What a finished file has otherwise than the reference; the parts of it that are left."""
    values, about = contents(path)
    true_values, true_about = contents(reference)
    left = {path.name + ".parts"} if reading.parts_folder(path).exists() else set()
    return differing(values, true_values) | differing(about, true_about) | left


def wrong(path: Path, truth: Mapping[str, np.ndarray], layout: Layout) -> int:
    """Values of an unfinished or finished file that are neither right nor missing, or missing though there.

    By h5py and by xarray, which must also agree.
    """
    there, number = merged(path, layout), 0
    values, _ = contents(path)
    decoded = read_by_xarray(path)
    for name, true in truth.items():
        mask = there.reshape(there.shape + (1,) * (true.ndim - there.ndim))
        fill = np.nan if true.dtype.kind == "f" else -1
        expected = np.where(mask, true, fill)
        for one in (values[name], decoded[name]):
            same = (one == expected) | (np.isnan(one) & np.isnan(expected))
            number += int(np.sum(~same))
    return number
