"""`gru-sweep train`."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from .application import Config, Quiet, Seed, app, whole
from .compiling import prepare_compiling
from .logs import spoken
from .stopping import Stop

T = TypeVar("T", int, float)


@app.command(
    help_epilogue="Example: gru-sweep train fhn --dim 2,4,8,16 --seeds 3 --out fhn.h5 --plot fhn.png, "
    "then: gru-sweep portrait --weights fhn.h5 --member dim=2,seed=0"
)
def train(
    task: Annotated[str | None, Parameter(help="What is learnt: fhn, line or ring.")] = None,
    *,
    dim: Annotated[str, Parameter(help="Numbers of units, separated by commas.")] = "2,4,8,16",
    seeds: Annotated[int, Parameter(converter=whole, help="Networks of each size.")] = 3,
    epochs: Annotated[int, Parameter(converter=whole, help="Steps of the optimiser.")] = 4000,
    learning_rate: Annotated[
        str | None, Parameter(help="Adam's, one or several separated by commas; each size and seed gets all.")
    ] = None,
    initialisation: Annotated[str, Parameter(help="uniform, glorot or rotation.")] = "uniform",
    noise: Annotated[
        float | None,
        Parameter(help="Variance of the task's noise: of fhn's current, of the others' observations."),
    ] = None,
    step: Annotated[float | None, Parameter(help="Between two samples, in the task's unit of time.")] = None,
    current: Annotated[
        str, Parameter(help="fhn's noisy current is drawn for every step, or for a whole series.")
    ] = "step",
    series: Annotated[int, Parameter(converter=whole, help="Training series, of 30 points each.")] = 667,
    out: Annotated[Path | None, Parameter(help="The HDF5 file to write.")] = None,
    resume: Annotated[
        bool, Parameter(help="Continue an interrupted run; start it where there is none.")
    ] = False,
    overwrite: Annotated[bool, Parameter(help="Replace an existing file.")] = False,
    precision: Annotated[str, Parameter(help="float32 or float64, of the training.")] = "float32",
    device: Annotated[
        str | None, Parameter(help="What computes: cpu or gpu; JAX's own choice if not given.")
    ] = None,
    seed: Seed = 0,
    plot: Annotated[Path | None, Parameter(help="Also draw learning curves: .png, .pdf or .svg.")] = None,
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON object instead of a table.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train GRUs of several sizes to forecast a planar system, and read the dynamics that they learnt.

    All sizes and seeds are trained at once. The file holds the data, the learning
    curves, the networks, their fixed points and cycles, and their forecasts' errors.
    """
    from .. import reports
    from ..learning import course
    from ..progress import reporter
    from ..records import InputError, nearest
    from ..training.tasks import TASKS

    if task is None:
        raise InputError("TASK", nearest("", TASKS), "nothing")
    if out is None:
        raise InputError("--out", "a file to write, such as fhn.h5", "nothing")
    if plot is not None:
        from .. import plotting

        plotting.check(plot)
        if plot.absolute() == out.absolute():
            raise InputError("--plot", "another file than --out", str(plot))
    rates: dict[str, Any] = {}
    if learning_rate is not None:
        rates["learning_rate"] = _numbers("--learning-rate", learning_rate, float)
    plan = course.plan(
        task,
        dim=_numbers("--dim", dim, int),
        seeds=seeds,
        epochs=epochs,
        **rates,
        initialisation=initialisation,
        precision=precision,
        noise=noise,
        step=step,
        current=current,
        series=series,
        seed=seed,
        out=out,
        resume=resume,
        overwrite=overwrite,
        device=device,
        command=shlex.join(["gru-sweep", *sys.argv[1:]]),
    )
    prepare_compiling(device)
    with spoken(quiet), Stop() as stop:
        outcome = course.execute(plan, None if quiet else reporter(noun=course.EPOCHS), stop)
    if plot is not None:
        plotting.save_learning_curves(out, plot)
    if as_json:
        print(json.dumps(dataclasses.asdict(outcome), allow_nan=False))
    else:
        print(reports.trained(outcome))


def _numbers(flag: str, text: str, kind: Callable[[str], T]) -> list[T]:
    """Numbers separated by commas."""
    from ..records import InputError

    try:
        return [kind(word) for word in text.split(",")]
    except ValueError:
        words = "integers" if kind is int else "numbers"
        raise InputError(flag, f"{words} separated by commas", text) from None
