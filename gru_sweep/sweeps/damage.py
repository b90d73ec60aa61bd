"""What is damaged of a file, and what of it can still be read.

The seal says whether a byte was changed. Where one was, every HDF5 chunk is read against its own checksum
(Fletcher's, of the compressed bytes): a chunk that reads is as it was written. Coordinates, attributes and
HDF5's own tables have no checksums, so that of those only the seal tells.

A changed byte in HDF5's tables can make the library run in circles for ever, or abort. A file whose seal is
not right is therefore read by a process of its own, which dies when nothing happens for `PATIENCE` seconds.

This module is that process's program, too, and imports nothing of ours that takes long.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from gru_sweep.sweeps import atomic

SIGNATURE = b"\x89HDF\r\n\x1a\n"
PATIENCE = 60
"""Seconds for one chunk or one small variable: even the largest chunk, on a slow disk, takes a few."""
_END = {0: 40, 1: 44, 2: 28, 3: 28}
"""Where a superblock has the end of the file, 8 bytes, by its version."""


class Damage(NamedTuple):
    """A variable, an attribute or the file, and which part of it cannot be read."""

    name: str
    where: str


class Survey(NamedTuple):
    """What cannot be read of a file, and which of its variables have no checksums, so that what is wrong with
    them cannot be seen. With `dangerous` HDF5 itself does not survive reading it."""

    damaged: tuple[Damage, ...]
    unchecked: tuple[str, ...]
    dangerous: bool


def sealed_right(path: Path) -> bool | None:
    """Whether a file is as it was written; None for one that ends where HDF5 says, hence without a seal."""
    with open(path, "rb") as file:
        head = file.read(64)
    if not atomic.sealed(path) and _stated_end(head) == path.stat().st_size:
        return None
    return atomic.sound(path)


def survey(path: Path, patience: int = PATIENCE) -> Survey:
    """Read all of a file in a process of its own, which is given up after `patience` seconds with nothing
    new."""
    found: list[Damage] = []
    unchecked: list[str] = []
    last, ended = "the file", False
    command = [sys.executable, "-m", __name__, str(path), str(patience)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout or ():
            said = json.loads(line)
            if "begins" in said:
                last = said["begins"]
            elif "unchecked" in said:
                unchecked.append(said["unchecked"])
            elif "all" in said:
                ended = True
            else:
                found.append(Damage(**said))
    ended &= process.returncode == 0
    if not ended:
        found.append(Damage(last, "HDF5 does not survive reading it"))
    return Survey(tuple(found), tuple(unchecked), not ended)


def where(dataset: h5py.Dataset, region: Sequence[slice]) -> str:
    """A part of a dataset in the coordinates of its axes, `alpha 0 to 0.5, slot 4 to 7`.

    An axis of which the part has everything is left out; one without readable coordinates is counted.
    """
    parts = []
    for place, (size, here) in enumerate(zip(dataset.shape, region, strict=True)):
        first, last = here.start, here.stop - 1
        if here.stop - here.start < size or size == 1:
            name, a, b = _coordinates(dataset, place, first, last)
            parts.append(f"{name} {a:.9g}" if first == last else f"{name} {a:.9g} to {b:.9g}")
    return ", ".join(parts) or "everywhere"


def _stated_end(head: bytes) -> int | None:
    """Where an HDF5 file that begins so ends; None where it does not say."""
    place = _END.get(head[8]) if head[:8] == SIGNATURE and len(head) == 64 else None
    return None if place is None else int.from_bytes(head[place : place + 8], "little")


def _coordinates(dataset: h5py.Dataset, place: int, first: int, last: int) -> tuple[str, float, float]:
    """Name of an axis, and its values at two places."""
    try:
        scale = dataset.dims[place][0]
        name, a, b = str(scale.name).strip("/"), float(scale[first]), float(scale[last])
    except Exception:  # of what kind depends on the byte that is damaged
        return f"axis {place}", first, last
    # A dimension without values of its own reads as zeros.
    return (name, first, last) if a == b and first < last else (name, a, b)


def _examine(path: Path) -> Iterator[dict[str, Any]]:
    """What the process says: which variable it begins and ends, and what is damaged of it."""
    try:
        with h5py.File(path) as file:
            yield from _attributes(file, "the file")
            for name in file:
                yield {"begins": name}
                yield from _variable(file, name)
    except Exception as error:  # as above
        yield {"name": "the file", "where": f"cannot be opened ({_line(error)})"}
    yield {"all": True}


def _attributes(holder: h5py.File | h5py.Dataset, name: str) -> Iterator[dict[str, Any]]:
    try:
        for one in holder.attrs:
            try:
                _ = holder.attrs[one]
            except Exception as error:  # as above
                yield {"name": f"attribute {one} of {name}", "where": f"cannot be read ({_line(error)})"}
    except Exception as error:  # as above
        yield {"name": f"attributes of {name}", "where": f"cannot be read ({_line(error)})"}


def _variable(file: h5py.File, name: str) -> Iterator[dict[str, Any]]:
    try:
        dataset = file[name]
        yield from _attributes(dataset, name)
        if isinstance(dataset, h5py.Group):
            for inside in dataset:
                yield from _variable(file, f"{name}/{inside}")
            return
        # Whatever a reader does after this process, this one has survived.
        _ = (
            dataset.is_scale,
            [(len(dim), dim.label, *(scale.name for scale in dim.values())) for dim in dataset.dims],
        )
        if dataset.is_virtual:
            return  # its values are those of other files
        if not dataset.fletcher32:
            yield {"unchecked": name}
        if dataset.chunks is None:
            _ = dataset[()]
            return
        offsets: list[tuple[int, ...]] = []
        dataset.id.chunk_iter(lambda chunk: offsets.append(chunk.chunk_offset))
    except Exception:  # as above
        yield {"name": name, "where": "everywhere"}
        return
    for offset in offsets:
        region = tuple(
            slice(a, min(a + n, size))
            for a, n, size in zip(offset, dataset.chunks, dataset.shape, strict=True)
        )
        try:
            _ = dataset[region]
        except Exception:  # as above
            yield {"name": name, "where": where(dataset, region)}
        yield {}  # alive


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _main(path: str, patience: str) -> None:
    signal.alarm(int(patience))
    for said in _examine(Path(path)):
        if said:
            print(json.dumps(said), flush=True)
        signal.alarm(int(patience))


if __name__ == "__main__":
    _main(*sys.argv[1:])
