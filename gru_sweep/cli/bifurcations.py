"""`gru-sweep locate` and `curves`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .application import Config, Quiet, Seed, Set, Weights, app
from .compiling import prepare_compiling
from .reading import line_of, settings_of


@app.command(help_epilogue="Example: gru-sweep locate homoclinic --along gamma=0.05:0.06 --json")
def locate(
    family: Annotated[str | None, Parameter(help="Which networks: see run --list.")] = None,
    *,
    along: Annotated[str | None, Parameter(help="NAME=START:STOP, the line.")] = None,
    settings: Set = None,
    weights: Weights = None,
    seed: Seed = 0,
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON object instead of a table.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Find every bifurcation on a line of one coordinate, each with a bound on its error.

    Bifurcations of fixed points (folds, Hopf points) are all found, with a proof. Connections of saddles and
    folds of cycles are found where they change the portraits between which they lie. Nothing happening on the
    line is an answer: an empty list, exit status 0.
    """
    from .. import locating, reports, studies
    from ..records import InputError, nearest

    if family is None and weights is None:
        raise InputError("FAMILY", f"--weights FILE or {nearest('', studies.FAMILIES)}", "nothing")
    if along is None:
        raise InputError("--along", "NAME=START:STOP, such as gamma=0.05:0.06", "nothing")
    name, line = line_of(along, "--along")
    prepare_compiling()
    found = locating.on_line(
        family or "weights", name, line, settings_of(settings or []), weights=weights, seed=seed
    )
    print(json.dumps(found.to_dict(), allow_nan=False) if as_json else reports.events(found))
