"""A sweep from its file: the plan that made it, and its end where nothing is left to compute.

A file says all of it in words and numbers: nothing in it is run.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np

from . import __version__, studies
from .outcomes import Outcome
from .records import InputError
from .studies import Plan
from .sweeps import atomic, provenance
from .sweeps.engines.engine import Evaluate, Progress
from .sweeps.grid import Axis
from .sweeps.layout import Layout
from .sweeps.reading import configuration, count_flags, followed, opened, parts_folder
from .sweeps.refined_schema import root_axis
from .sweeps.store import Share, Store
from .sweeps.sweep import Silent, SweepError, reported
from .systems import entries
from .systems.cells import GRU


class Incomplete(SweepError):
    """Blocks are missing: there is no whole to be made."""

    def __init__(self, file: Path, safe: int, total: int, advice: str):
        self.file, self.safe, self.total = file, safe, total
        RuntimeError.__init__(self, f"{total - safe} of {total} points of {file} are missing{advice}")


def plan_of(path: str | os.PathLike[str], *, damaged: bool = False) -> Plan:
    """The plan that made a file, finished or not, plain or refined; executing it resumes the file.

    Refuses what is no sweep's file, one of another version (whose values would not be the same), and one that
    says what no plan can be made of; one that was changed since it was written, unless it is known to be
    `damaged`.
    """
    path = followed(path)
    with opened(path, "FILE", looked_over=not damaged) as file, _read_from(path):
        stored, about = configuration(file), file.attrs
        version = str(about["gru_sweep_version"])
        if version != __version__:
            raise InputError("FILE", f"a file of gru-sweep {__version__}", f"{path}, of {version}")
        refine = stored.get("refine")
        read = _axis if refine is None else root_axis
        settings: dict[str, Any] = json.loads(about["settings"])
        return studies.plan(
            str(about["family"]),
            axes=[read(file, name) for name in stored["axes"]],
            # A word is the axis that a coordinate follows of itself.
            settings={name: value for name, value in settings.items() if not isinstance(value, str)},
            measure=str(about["measure"]),
            precision=str(about["precision"]),
            chunk=stored["chunk"],
            seed=int(about["seed"]),
            weights=_cell(json.loads(about["weights"])) if "weights" in about else None,
            networks=json.loads(about["networks"]) if "networks" in about else None,
            refine=refine,
            out=path,
            resume=True,
            command=str(about["command"]),
        )


def made_by(plan: Plan, evaluate: Evaluate) -> dict[str, Any]:
    """What the file of a plan says it was made by."""
    fingerprint = plan.fingerprint(evaluate.settings)
    if plan.refine is not None:
        fingerprint |= {"sample_seed": plan.seed, "refine": plan.refine}
    return provenance.made_by(fingerprint, Layout(plan.grid, evaluate.columns, 1))


def pack(path: str | os.PathLike[str], *, progress: Progress | None = None) -> Outcome:
    """Make one ordinary file of a sweep all of whose blocks are on disk; a finished one is left as it is.

    For the jobs of an array (`run --shard I/N`), and for a sweep that was stopped after its last block.
    Nothing is computed or compiled. Damaged shards go, and count as missing. `seconds` are those of this
    call, 0 where there was nothing to do.

    Raises `Incomplete` where blocks are missing, `SweepError` where the file cannot be written, `InputError`
    where it cannot be read, is refined, or somebody is writing it.
    """
    began, path = time.perf_counter(), followed(path)
    # First, because HDF5 may not come to an end of a damaged file.
    if path.is_file() and atomic.sealed(path) and not atomic.sound(path):
        got = f"{path}, changed since it was written: gru-sweep verify says what can be read"
        raise InputError("FILE", "an undamaged file", got)
    if _finished(path):
        return _outcome(path, 0.0)
    plan = plan_of(path)
    if plan.refine is not None:
        got = "a refined one, whose points follow from each other: run --resume ends it"
        raise InputError("FILE", "a sweep of every point of its grid", got)
    evaluate = studies.evaluator(plan)
    with _store(plan, evaluate) as store:
        if not store.whole:
            raise Incomplete(path, store.done, store.total, _advice(plan, store))
        progress = progress or Silent()
        progress.start(store.total, store.done)
        with reported(store.path, lambda: store.done, lambda: store.total, progress):
            if not store.finished:
                progress.note("joining the shards into one file")
                store.finish()
    return _outcome(path, time.perf_counter() - began)


def _finished(path: Path) -> bool:
    """Whether there is one ordinary file, and no shards any more."""
    with opened(path, "FILE") as file, _read_from(path):
        refined = "refine" in configuration(file)
        return bool(file.attrs["complete"]) and (refined or not parts_folder(path).exists())


def _store(plan: Plan, evaluate: Evaluate) -> Store:
    assert plan.chunk is not None  # of a plan that comes from a file
    try:
        return Store(
            plan.out,
            plan.grid,
            evaluate.columns,
            chunk=plan.chunk,
            fingerprint=plan.fingerprint(evaluate.settings),
            attributes={},
            labeller=plan.measure.labeller,
            resume=True,
        )
    except InputError as error:
        raise InputError("FILE", error.expected, error.got) from None


def _outcome(path: Path, seconds: float) -> Outcome:
    with opened(path, "FILE") as file, _read_from(path):
        counts, about = count_flags(file["status"]), file.attrs
        return Outcome(
            file=str(path),
            points=file["status"].size,
            computed=0,
            seconds=seconds,
            points_per_second=0.0,
            compile_seconds=0.0,
            compilations=0,
            device=str(about["device"]),
            precision=str(about["precision"]),
            chunk=int(configuration(file)["chunk"]),
            counts=counts,
            complete=True,
        )


def _advice(plan: Plan, store: Store) -> str:
    """Whose blocks are missing, as far as the command that made the file says, and what to do."""
    gone = f" ({store.damaged} damaged files were removed)" if store.damaged else ""
    told = re.search(r"--shard[ =](\S+)", plan.command)
    if told is None:
        return f"{gone}: run --resume computes them"
    jobs = Share.parse(told[1]).jobs
    lacking = sorted({block.index % jobs or jobs for block in store.missing()})
    shares = ", ".join(f"{job}/{jobs}" for job in lacking)
    return f"{gone}: run --shard computes them, of {shares}"


def _axis(file: h5py.File, name: str) -> Axis:
    """An axis of a plain sweep; its name and units are the family's."""
    return Axis(name, file[name][()])


def _cell(document: Mapping[str, Any]) -> GRU:
    """The inverse of `entries.document`."""
    reset = document["reset"]
    with jax.enable_x64(True):
        parts: dict[str, Any] = {
            part: np.array(document[part], np.float64) for part in (*entries.MATRICES, *entries.biases(reset))
        }
        return GRU(**parts, reset=reset)


@contextmanager
def _read_from(path: Path) -> Iterator[None]:
    """What is wrong with a file's words is wrong with the file."""
    try:
        yield
    except InputError as error:
        if error.argument == "FILE":
            raise
        raise InputError("FILE", "a sweep's file", f"{path} ({error})") from None
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise InputError("FILE", "a sweep's file", f"{path} ({error})") from None
