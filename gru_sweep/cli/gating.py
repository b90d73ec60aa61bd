"""`gru-sweep gating`: large random networks with gates."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from .application import Config, Quiet, Seed, Set, app, whole
from .compiling import prepare_compiling
from .logs import spoken
from .reading import axes_of, settings_of
from .stopping import Stop

gating = App(name="gating", help="Large random networks with gates: theory, and simulations beside it.")
app.command(gating)

COORDINATES = {"alpha_r": 0.0}
"""What --set may fix for the theory, and its default: gates that do not move."""


@Parameter(name="*")
@dataclasses.dataclass(kw_only=True)
class Sweep:
    """The flags of all commands that simulate networks over a grid."""

    cell: Annotated[str, Parameter(help="gru, lstm or gated-rnn.")] = "gated-rnn"
    axis: Annotated[
        list[str] | None,
        Parameter(help="NAME=START:STOP:NUM, ends included, or NAME=log:START:STOP:NUM; once for each axis."),
    ] = None
    settings: Set = None
    size: Annotated[int | None, Parameter(converter=whole, help="Units of a network; 256.")] = None
    seeds: Annotated[int | None, Parameter(converter=whole, help="Networks at every point; 3.")] = None
    transient: Annotated[float | None, Parameter(help="Time before anything is averaged; 200.")] = None
    out: Annotated[Path | None, Parameter(help="The HDF5 file to write.")] = None
    resume: Annotated[bool, Parameter(help="Continue an interrupted run; start it where there is none.")] = (
        False
    )
    overwrite: Annotated[bool, Parameter(help="Replace an existing file.")] = False
    precision: Annotated[str, Parameter(help="float32 or float64.")] = "float32"
    device: Annotated[
        str | None, Parameter(help="What computes: cpu or gpu; JAX's own choice if not given.")
    ] = None
    shard: Annotated[
        str | None,
        Parameter(
            help="I/N: one of N parts, beside other jobs with the same FILE; then gru-sweep pack FILE."
        ),
    ] = None
    chunk: Annotated[
        int | None, Parameter(converter=whole, help="Points computed and committed together.")
    ] = None
    seed: Seed = 0
    plot: Annotated[Path | None, Parameter(help="Also draw the finished map: .png, .pdf or .svg.")] = None
    as_json: Annotated[bool, Parameter(name="--json", help="Print one JSON object instead of a table.")] = (
        False
    )
    quiet: Quiet = False


Time = Annotated[float | None, Parameter(help="Time averaged over; 500.")]


@gating.command(
    help_epilogue="Example: gru-sweep gating lyapunov --cell gated-rnn --size 128 --axis g=1:4:64 "
    "--axis alpha_r=0:30:64 --out lyapunov.h5 --plot lyapunov.png"
)
def lyapunov(
    *,
    sweep: Sweep | None = None,
    time: Time = None,
    exponents: Annotated[
        int | None, Parameter(converter=whole, help="How many, the largest first; 1.")
    ] = None,
    config: Config = None,
) -> None:
    """Simulate networks over a grid of gains: their Lyapunov exponents.

    Every point has several networks of one draw each. The file holds exponents with
    errors, activity, what kind of motion each is at, and their means; and the fixed
    points of theory with their stability.
    """
    _run("lyapunov", sweep, time=time, exponents=exponents)


@gating.command(
    name="phase-diagram",
    help_epilogue="Example: gru-sweep gating phase-diagram --cell gru --size 200 --axis a_h=1:4:32 "
    "--axis a_r=0:30:32 --out phases.h5 --plot phases.png",
)
def phase_diagram(*, sweep: Sweep | None = None, time: Time = None, config: Config = None) -> None:
    """Simulate networks over a grid of gains, with the mean-field prediction beside.

    The file holds how many of the networks rest at zero, rest elsewhere, move
    periodically or slowly, or are chaotic; the largest exponent and the activity
    with errors; and the fixed points of theory with their stability.
    """
    _run("phase-diagram", sweep, time=time)


@gating.command(
    help_epilogue="Example: gru-sweep gating spectrum --cell gru --size 1000 --axis a_z=0:20:9 "
    "--set a_h=3 --out spectra.h5"
)
def spectrum(*, sweep: Sweep | None = None, config: Config = None) -> None:
    """Eigenvalues of the Jacobian of networks over a grid of gains, with the cloud's edge by theory.

    The Jacobian is that of the state in which the transient ends: of the map of
    gru and lstm, of the flow of gated-rnn.
    """
    _run("spectrum", sweep)


def _run(measure: str, sweep: Sweep | None, **more: int | float | None) -> None:
    """The sweep that all three commands are."""
    from .. import reports, studies
    from ..progress import reporter
    from ..records import InputError
    from ..systems.ensembles import named

    given = sweep or Sweep()
    named(given.cell)
    if given.out is None:
        raise InputError("--out", f"a file to write, such as {measure}.h5", "nothing")
    if given.shard is not None and given.plot is not None:
        raise InputError("--plot", "a whole sweep to draw", "a part of one, --shard")
    plan = studies.plan(
        given.cell,
        axes=axes_of(given.axis or []),
        settings=settings_of(given.settings or []),
        measure=measure,
        precision=given.precision,
        chunk=given.chunk,
        seed=given.seed,
        networks={"size": given.size, "networks": given.seeds, "transient": given.transient, **more},
        out=given.out,
        resume=given.resume,
        overwrite=given.overwrite,
        device=given.device,
        shard=given.shard,
        command=shlex.join(["gru-sweep", *sys.argv[1:]]),
    )
    if given.plot is not None:
        from .. import plotting

        plotting.check(given.plot, plan.grid.shape)
        if given.plot.absolute() == given.out.absolute():
            raise InputError("--plot", "another file than --out", str(given.plot))
    prepare_compiling(plan.device)
    with spoken(given.quiet), Stop() as stop:
        outcome = studies.execute(plan, None if given.quiet else reporter(), stop)
    if given.plot is not None:
        plotting.save(given.out, given.plot)
    print(json.dumps(dataclasses.asdict(outcome)) if given.as_json else reports.outcome(plan, outcome))


@gating.command(help_epilogue="Example: gru-sweep gating critical --set alpha_r=10 --json")
def critical(
    *,
    settings: Set = None,
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON object instead of a table.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Print the critical gains of the random gated RNN without biases and inputs, from theory alone.

    The coordinate is alpha_r, the gain of the reset gates (0 if not set).
    At g_zero the zero fixed point loses stability; from g_fixed_points on there are others.
    From g_chaos on there is sustained chaos (alpha_z = 0, tau_r to 0).
    At g_marginal_end ends the marginal window of a sharp, unbiased update gate.
    What does not exist is null; errors bound the distance to the truth.
    """
    from ..gating import critical_gains
    from ..records import InputError, nearest

    given = settings_of(settings or [])
    for name in given:
        if name not in COORDINATES:
            raise InputError("--set", nearest(name, COORDINATES), name)
    found = critical_gains(**{**COORDINATES, **given}).to_dict()
    if as_json:
        print(json.dumps(found, allow_nan=False))
        return
    print(f"alpha_r = {found['alpha_r']:g}")
    for name, error in found["errors"].items():
        value = found[name]
        print(f"{name:<16} " + ("none" if value is None else f"{value:.12f}  +- {error:.0e}"))
    for name, how in found["onset"].items():
        place = found["tricritical_alpha_r"][name]
        print(f"onset of {name.replace('_', ' ')}: {how} (discontinuous beyond alpha_r = {place:.6f})")
