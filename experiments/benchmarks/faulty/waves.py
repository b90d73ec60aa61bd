"""A sweep whose values cost nothing, cut into many blocks, that says what it does and waits where it is told.

Files in its folder are all that it shares with who watches it: `log` gets a line for every block that is
begun, and while `gate` is there, whoever comes to the place that it names waits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gru_sweep.records import Column, Status
from gru_sweep.sweeps import sweep
from gru_sweep.sweeps.engines.local import Local
from gru_sweep.sweeps.grid import Axis, Block, Grid
from gru_sweep.sweeps.layout import Layout
from gru_sweep.sweeps.store import Labeller

ROW, CHUNK = 32, 4
GRID = Grid((Axis("a", np.arange(26.0), "a number"), Axis("b", np.arange(float(ROW)), "another one")))
"""Of 208 blocks, more than a sweep may have shards: two blocks become one."""
SLOTS = 4
COLUMNS = (
    Column("status", (), (), np.dtype("i1"), "what is known", "1", Status),
    Column("wave", (), (), np.dtype("f8"), "sin(a b / 7)", "1"),
    Column("turns", ("slot",), (SLOTS,), np.dtype("i2"), "multiples of a below 60", "1"),
)
ATTRIBUTES = {"title": "waves", "measure": "waves", "gru_sweep_version": "of waves", "tolerance": 1e-9}
FINGERPRINT = {"of": "waves"}
MAP = "map.h5"
STEP = 0.01
"""Seconds between two looks at the gate."""


def values(at: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All columns of some points."""
    a, b = at["a"], at["b"]
    turns = np.outer(a, 1 + np.arange(SLOTS))
    return {
        "status": np.where(b > 29, Status.UNRESOLVED, Status.OK).astype("i1"),
        "wave": np.where(b > 29, np.nan, np.sin(a * b / 7)),
        "turns": np.where(turns < 60, turns, -1).astype("i2"),
    }


def whole() -> dict[str, np.ndarray]:
    """All columns of all points, by one call."""
    every = Block(0, (0, 0), GRID.shape)
    found = values(GRID.coordinates(every))
    return {column.name: found[column.name].reshape(GRID.shape + column.shape) for column in COLUMNS}


def layout() -> Layout:
    """Where the points lie."""
    return Layout(GRID, COLUMNS, CHUNK)


def number(at: Mapping[str, np.ndarray]) -> int:
    """Which block begins so."""
    return int(at["a"][0]) * (ROW // CHUNK) + int(at["b"][0]) // CHUNK


@dataclass(frozen=True)
class Waves:
    """What makes the function in any process; with `hungry` one block takes so many bytes of memory, unless
    its batch is smaller."""

    folder: Path
    hungry: int = 0

    def __call__(self, shrink: int = 0) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
        def function(at: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            here = number(at)
            self.say(f"block {here} {shrink} {os.getpid()}")
            self.wait(f"block {here}")
            if self.hungry and here == HUNGRY and not shrink:
                taken = np.ones(self.hungry // 8)
                time.sleep(LONG)
                assert taken.all()
            return values(at)

        return function

    @property
    def labeller(self) -> Labeller:
        """The class of a point by its first turn; comes to the gate `label`, which is in mid-packing."""

        def label(columns: dict[str, np.ndarray]) -> np.ndarray:
            first = columns["turns"][:, 0]
            if (first == LABELLED).all():
                self.wait("label")
            return np.where(columns["status"] == Status.OK, np.char.add("from:", first.astype(str)), "")

        return Labeller("topology", ("turns", "status"), label)

    def say(self, line: str) -> None:
        """One line more in the log, whole also when somebody else writes or this process is killed."""
        log = os.open(self.folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{line}\n".encode())
        os.close(log)

    def wait(self, place: str) -> None:
        """While the gate names this place."""
        gate = self.folder / "gate"
        if not gate.exists() or gate.read_text() != place:
            return
        self.say(f"waiting {place}")
        while gate.exists():
            time.sleep(STEP)


HUNGRY = 5
"""The block that needs memory."""
LABELLED = 13
"""The row of the map before which packing waits: in its midst."""
LONG = 20.0
"""Seconds for which the memory is held: who looks whether there is too much does so ten times a second."""


def run(engine: Any, made_by: Waves, path: Path, **options: Any) -> sweep.Summary:
    """The sweep into `path`."""
    given = {"resume": True, "labeller": made_by.labeller, "attributes": ATTRIBUTES, **options}
    return sweep.run(engine, GRID, COLUMNS, path, fingerprint=FINGERPRINT, chunk=CHUNK, **given)


def unharmed(folder: Path) -> Path:
    """The whole sweep, by this process, in a new folder."""
    folder.mkdir()
    made_by = Waves(folder)
    return run(Local([made_by()]), made_by, folder / MAP).file
