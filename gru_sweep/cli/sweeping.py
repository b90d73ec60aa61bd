"""`gru-sweep run`."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .application import Config, Member, Precision, Quiet, Seed, Set, Weights, app, whole
from .compiling import prepare_compiling
from .logs import spoken
from .reading import axes_of, cell_in, settings_of
from .stopping import Stop


@app.command(
    help_epilogue="Example: gru-sweep run hopf --axis alpha=0:3.14159265:256 --axis beta=1:3:256 "
    "--set s=0 --out hopf.h5 --plot hopf.png"
)
def run(
    family: Annotated[str | None, Parameter(help="Which networks: see --list.")] = None,
    *,
    axis: Annotated[
        list[str] | None,
        Parameter(help="NAME=START:STOP:NUM, ends included, or NAME=log:START:STOP:NUM; once for each axis."),
    ] = None,
    settings: Set = None,
    weights: Weights = None,
    member: Member = None,
    out: Annotated[Path | None, Parameter(help="The HDF5 file to write.")] = None,
    measure: Annotated[str, Parameter(help="What is asked of every point.")] = "oscillation",
    resume: Annotated[
        bool, Parameter(help="Continue an interrupted run; start it where there is none.")
    ] = False,
    overwrite: Annotated[bool, Parameter(help="Replace an existing file.")] = False,
    precision: Precision = "float64",
    device: Annotated[
        str | None, Parameter(help="What computes: cpu or gpu; JAX's own choice if not given.")
    ] = None,
    engine: Annotated[
        str, Parameter(help="Who computes: local, this process; dask, the workers of a cluster.")
    ] = "local",
    workers: Annotated[
        str | None,
        Parameter(help="With --engine dask: how many processes to start here, or a scheduler's address."),
    ] = None,
    shard: Annotated[
        str | None,
        Parameter(
            help="I/N: one of N parts, beside other jobs with the same FILE; then gru-sweep pack FILE."
        ),
    ] = None,
    chunk: Annotated[
        int | None,
        Parameter(converter=whole, help="Points computed and committed together; by the device's memory."),
    ] = None,
    refine: Annotated[
        int | None,
        Parameter(
            converter=whole,
            help="Levels, 1 to 16: split the grid's cells in half so many times where the label changes.",
        ),
    ] = None,
    seed: Seed = 0,
    plot: Annotated[Path | None, Parameter(help="Also draw the finished map: .png, .pdf or .svg.")] = None,
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON object instead of a table.")
    ] = False,
    list_: Annotated[
        bool, Parameter(name="--list", help="Print families, coordinates, defaults, measures.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Sweep a family of networks over named axes and write one HDF5 file.

    An axis that is not given has the family's default. The family `weights`
    has none: its axes are entries of the cell in --weights, such as
    'U_h[0,1]=-3:3:64', or a bias as a whole, such as b_r=-2:2:64.
    """
    from .. import measures, reports, studies
    from ..progress import reporter
    from ..records import InputError, nearest

    if list_:
        print(reports.catalogue(studies.FAMILIES, measures.PLANAR))
        return
    if family is None:
        raise InputError("FAMILY", nearest("", studies.FAMILIES), "nothing")
    if out is None:
        raise InputError("--out", "a file to write, such as hopf.h5", "nothing")
    if shard is not None and plot is not None:
        raise InputError("--plot", "a whole sweep to draw", "a part of one, --shard")
    plan = studies.plan(
        family,
        axes=axes_of(axis or []),
        settings=settings_of(settings or []),
        measure=measure,
        precision=precision,
        chunk=chunk,
        seed=seed,
        weights=cell_in(weights, member),
        refine=refine,
        out=out,
        resume=resume,
        overwrite=overwrite,
        device=device,
        engine=engine,
        workers=_workers(workers),
        shard=shard,
        command=shlex.join(["gru-sweep", *sys.argv[1:]]),
    )
    if plot is not None:
        from .. import plotting

        plotting.check(plot, plan.grid.shape)
        if plot.absolute() == out.absolute():
            raise InputError("--plot", "another file than --out", str(plot))
    # With Dask the devices are the workers', and this process must not take their memory.
    prepare_compiling("cpu" if plan.engine == "dask" else plan.device)
    with spoken(quiet), Stop() as stop:
        outcome = studies.execute(plan, None if quiet else reporter(), stop)
    if plot is not None:
        plotting.save(out, plot)
    print(json.dumps(dataclasses.asdict(outcome)) if as_json else reports.outcome(plan, outcome))


def _workers(text: str | None) -> int | str | None:
    """A number of processes, or an address as it stands."""
    from ..records import InputError

    if text is None or ":" in text or "/" in text or text.endswith(".json"):
        return text
    if not text.isdecimal():
        raise InputError("--workers", "a number of processes, or a scheduler's address (host:port)", text)
    return int(text)
