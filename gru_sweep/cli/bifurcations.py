"""`gru-sweep locate` and `curves`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .application import Config, Member, Quiet, Seed, Set, Weights, app
from .compiling import prepare_compiling
from .reading import cell_in, line_of, settings_of


class _Steps:
    """Tells a reporter of steps as they are done; begins to report with the first."""

    def __init__(self, noun: str, quiet: bool):
        from ..progress import reporter

        self._reporter = None if quiet else reporter(noun=noun)
        self._done = self._total = -1

    def __enter__(self) -> _Steps:
        return self

    def __call__(self, done: int, total: int) -> None:
        if self._reporter is None:
            return
        if total != self._total:
            if self._total >= 0:
                self._reporter.finish()
            self._reporter.start(total, done)
        else:
            self._reporter.advance(done - self._done)
        self._done, self._total = done, total

    def __exit__(self, *error: object) -> None:
        if self._reporter is not None and self._total >= 0:
            self._reporter.finish()


@app.command(help_epilogue="Example: gru-sweep locate homoclinic --along gamma=0.05:0.06 --json")
def locate(
    family: Annotated[str | None, Parameter(help="Which networks: see run --list.")] = None,
    *,
    along: Annotated[str | None, Parameter(help="NAME=START:STOP, the line.")] = None,
    settings: Set = None,
    weights: Weights = None,
    member: Member = None,
    seed: Seed = 0,
    plot: Annotated[Path | None, Parameter(help="Also draw the diagram: .png, .pdf or .svg.")] = None,
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
    if plot is not None:
        from .. import plotting

        plotting.check(plot)
    prepare_compiling()
    with _Steps("steps", quiet) as progress:
        found = locating.on_line(
            family or "weights",
            name,
            line,
            settings_of(settings or []),
            weights=cell_in(weights, member),
            seed=seed,
            progress=progress,
        )
    if plot is not None:
        plotting.save_diagram(found, plot)
    print(json.dumps(found.to_dict(), allow_nan=False) if as_json else reports.events(found))


@app.command(
    help_epilogue="Example: gru-sweep curves hopf --plane alpha=0:3.14 --plane beta=1:3 --out curves.h5"
)
def curves(
    family: Annotated[str | None, Parameter(help="Which networks: see run --list.")] = None,
    *,
    plane: Annotated[list[str] | None, Parameter(help="NAME=START:STOP, once for each of two axes.")] = None,
    settings: Set = None,
    weights: Weights = None,
    member: Member = None,
    seed: Seed = 0,
    out: Annotated[Path | None, Parameter(help="The HDF5 file to write.")] = None,
    overwrite: Annotated[bool, Parameter(help="Replace an existing file.")] = False,
    fixed_points_only: Annotated[
        bool, Parameter(help="Leave out what takes portraits: connections, cycles, snic.")
    ] = False,
    plot: Annotated[Path | None, Parameter(help="Also draw them: .png, .pdf or .svg.")] = None,
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON object instead of a table.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Follow bifurcation curves through a plane of two coordinates, and name the points of codimension two on
    them.

    Curves of fixed points (folds, Hopf points, pitchforks, transcritical points) begin at events that are
    proven on lines; those of connections and of cycles where portraits on a grid differ for no known reason.
    What may have been missed is said in the warnings.
    """
    from .. import atlas, locating, reports, studies
    from ..records import InputError, nearest

    if family is None and weights is None:
        raise InputError("FAMILY", f"--weights FILE or {nearest('', studies.FAMILIES)}", "nothing")
    if out is None:
        raise InputError("--out", "a file to write, such as curves.h5", "nothing")
    if len(plane or []) != 2:
        raise InputError("--plane", "NAME=START:STOP twice", " ".join(plane or []) or "nothing")
    if plot is not None:
        from .. import plotting

        plotting.check(plot)
        if plot.absolute() == out.absolute():
            raise InputError("--plot", "another file than --out", str(plot))
    prepare_compiling()
    with _Steps("searches", quiet) as progress:
        found = locating.in_plane(
            family or "weights",
            [line_of(text, "--plane") for text in plane or []],
            settings_of(settings or []),
            shlex.join(["gru-sweep", *sys.argv[1:]]),
            weights=cell_in(weights, member),
            seed=seed,
            out=out,
            overwrite=overwrite,
            fixed_points_only=fixed_points_only,
            progress=progress,
        )
    if plot is not None:
        plotting.save_curves(found, plot)
    about = atlas.summary(found)
    print(json.dumps({"file": str(out), **about}) if as_json else reports.curves(str(out), about))
