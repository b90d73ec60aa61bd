"""A process that looks at damaged files, since HDF5 may run in circles in one, or die of it.

    python -m faulty.looking REFERENCE

For every line `WHAT PATH` on its standard input it prints one of JSON: what one of `READERS`, or `verify`,
makes of the file, beside the reference.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import gru_sweep as gs
from faulty import watching, waves

OURS = "gru_sweep.open"
READERS = ("h5py", "xarray", OURS)
DEAD = "dies"
NOTHING: frozenset[str] = frozenset()
PATIENCE = 150.0
"""Seconds for one file. A reader needs some hundredths; `verify` waits a minute for HDF5, twice at most."""

Truth = tuple[dict[str, Any], dict[str, Any]]
"""Values and attributes of the file that was not damaged."""


class Looker:
    """The process, started anew whenever it has died."""

    def __init__(self, reference: Path, folder: Path):
        self._reference, self._folder = reference, folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Looker:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(self, what: str, path: Path) -> dict[str, Any]:
        """Its answer; `{"verdict": "dies"}` where there is none."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(self._reference)],
                env=watching.environment(self._folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        question, answer = self._process.stdin, self._process.stdout
        assert question is not None
        assert answer is not None
        question.write(f"{what} {path}\n")
        question.flush()
        with selectors.DefaultSelector() as ready:
            ready.register(answer, selectors.EVENT_READ)
            line = answer.readline() if ready.select(PATIENCE) else ""
        if not line:
            self._end()
            return {"verdict": DEAD}
        return json.loads(line)

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def read(path: Path, truth: Truth, what: str) -> dict[str, Any]:
    """`right`, `fails` (or warns), or the kinds of what reads wrongly without a word."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if what == OURS:
                gs.open(path).close()
            if what == "h5py":
                values, about = watching.contents(path, NOTHING)
            else:
                values, about = watching.read_by_xarray(path), truth[1]
    except Exception as error:
        return {"verdict": "fails", "why": f"{type(error).__name__}: {error}".partition("\n")[0]}
    names = watching.differing(values, truth[0])
    kinds = {_kind(name, values.get(name), truth[0].get(name)) for name in names}
    if watching.differing(about, truth[1]):
        kinds.add("attributes")
    return {"verdict": "wrong" if kinds else "right", "kinds": sorted(kinds)}


def _kind(name: str, found: Any, true: Any) -> str:
    """What sort of thing reads wrongly. A value that reads as missing is not right, and not wrong either."""
    if found is None or true is None:
        return "names"
    if name not in {*(column.name for column in waves.COLUMNS), "topology"}:
        return "coordinates and tables"
    found, true = np.asarray(found), np.asarray(true)
    if found.shape != true.shape or found.dtype.kind != true.dtype.kind:
        return "shapes and types"
    missing = np.isnan(found) if found.dtype.kind == "f" else found == -1
    same = (found == true) | (np.isnan(found) & np.isnan(true))
    return "missing values" if (same | missing).all() else "values"


def main(reference: Path) -> None:
    truths: dict[str, Truth] = dict.fromkeys(READERS, (watching.read_by_xarray(reference), {}))
    truths["h5py"] = watching.contents(reference, NOTHING)
    # Whatever HDF5 says of itself, the answers stand alone on the stream that was given.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            what, path = line.rstrip("\n").split(" ", 1)
            if what == "verify":
                try:
                    found = gs.verify(path, sample=0)
                    said = {"verdict": "sound" if found.sound else "found"}
                except gs.InputError as error:
                    said = {"verdict": "refused", "why": str(error)}
            else:
                said = read(Path(path), truths[what], what)
            print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
