"""`gru-sweep verify`, which checks a file, and `pack`, which ends a sweep that a job array computed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .application import Config, Quiet, app, whole
from .compiling import prepare_compiling
from .logs import spoken


class Unsound(OSError):
    """A file is not what was written, or not what was computed."""


@app.command(help_epilogue="Example: gru-sweep verify hopf.h5 --sample 1000")
def verify(
    file: Annotated[Path, Parameter(help="A file that `run` or `curves` wrote, or that `run` is writing.")],
    *,
    sample: Annotated[
        int, Parameter(converter=whole, help="Points to compute anew and compare; 0 for none.")
    ] = 256,
    seed: Annotated[int, Parameter(converter=whole, help="Decides which points.")] = 0,
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON object instead of a table.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Check that a file is what was written, and that it says what was computed.

    Compares seals and checksums, flags and counts and labels, and computes
    a sample of points anew. Changes nothing. Exit status 1 if anything
    failed.
    """
    from ..progress import reporter
    from ..verifying.verification import verify as verified

    prepare_compiling()
    with spoken(quiet):
        found = verified(file, sample=sample, seed=seed, progress=None if quiet else reporter())
    if as_json:
        print(json.dumps(found.to_dict()))
    else:
        print("\n".join(_table(found)))
    if not found.sound:
        failed = "; ".join(f"{check.name}: {check.words}" for check in found.failed)
        raise Unsound(f"{found.file}: {failed}")


@app.command(help_epilogue="Example: gru-sweep pack hopf.h5")
def pack(
    file: Annotated[Path, Parameter(help="A file whose blocks are all there.")],
    *,
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON object instead of a table.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Join the shards that the jobs of an array computed into one ordinary file.

    The jobs are `run --shard 1/N` to `run --shard N/N` with the same --out.
    Nothing is computed: exit status 1 while blocks are missing.
    """
    from .. import remaking, reports
    from ..progress import reporter

    with spoken(quiet):
        outcome = remaking.pack(file, progress=None if quiet else reporter())
    if as_json:
        print(json.dumps(dataclasses.asdict(outcome)))
    elif not outcome.seconds:
        print(f"{file}: {outcome.points} points, finished already")
    else:
        print(reports.outcome(remaking.plan_of(file), outcome))


def _table(found) -> list[str]:
    state = {True: "finished", False: "unfinished", None: "not known whether finished"}[found.complete]
    points = "" if found.points is None else f", {found.done} of {found.points} points"
    lines = [f"{found.file}: {'sound' if found.sound else 'NOT sound'} ({state}{points})"]
    return lines + [f"  {check.state:<8}{check.name:<11}{check.words}" for check in found.checks]
