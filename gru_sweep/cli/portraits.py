"""`gru-sweep portrait`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .application import Config, Member, Precision, Quiet, Seed, Set, Weights, app
from .compiling import prepare_compiling
from .reading import cell_in, settings_of


@app.command(help_epilogue="Example: gru-sweep portrait --weights gru.json --json --out portrait.png")
def portrait(
    family: Annotated[str | None, Parameter(help="Which networks: see run --list.")] = None,
    *,
    settings: Set = None,
    weights: Weights = None,
    member: Member = None,
    out: Annotated[Path | None, Parameter(help="Also draw it: .png, .pdf or .svg.")] = None,
    precision: Precision = "float64",
    seed: Seed = 0,
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON object instead of tables.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Print the phase portrait of one network: its fixed points, and with two
    units its limit cycles and the label of its topology.

    The network is one of a family, at its defaults but for --set, or the one in --weights.
    What could not be decided is said in the status and the warnings; that is an answer, exit status 0.
    """
    import jax

    from .. import reports, studies
    from ..records import InputError, nearest

    given = cell_in(weights, member)
    if family is None and given is None:
        raise InputError("FAMILY", f"--weights FILE or {nearest('', studies.FAMILIES)}", "nothing")
    if precision not in studies.PRECISIONS:
        raise InputError("precision", nearest(precision, studies.PRECISIONS), precision)
    if out is not None:
        from .. import plotting

        plotting.check(out, argument="--out")
    with jax.enable_x64(precision == "float64"):
        cell = studies.cell(family or "weights", settings_of(settings or []), weights=given, seed=seed)
        if out is not None and cell.dimension != 2:
            raise InputError("--out", "a cell of 2 units to draw", f"one of {cell.dimension}")
        prepare_compiling()
        from ..analysis.portrait import phase_portrait

        found = phase_portrait(cell, precision=precision)
        about = found.to_dict()
        if out is not None:
            plotting.save_portrait(found, out)
    print(json.dumps(about, allow_nan=False) if as_json else reports.portrait(about))
    if out is not None and not quiet:
        print(f"wrote {out}", file=sys.stderr)
