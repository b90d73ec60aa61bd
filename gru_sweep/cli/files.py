"""`gru-sweep info` and `plot`, about a file, and `devices`, about the machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .. import provenance
from .application import Config, Quiet, app


@app.command(help_epilogue="Example: gru-sweep info hopf.h5")
def info(
    file: Annotated[Path, Parameter(help="A file that `run` or `train` wrote or is writing.")],
    *,
    as_json: Annotated[bool, Parameter(name="--json", help="Print one JSON object.")] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Say what is in a file, how far it is, and how it was made."""
    from .. import reports
    from ..learning import reading
    from ..sweeps import store

    training = reading.is_training(file)
    about = reading.describe(file) if training else store.describe(file)
    words = reports.training if training else reports.contents
    print(json.dumps(about, default=str) if as_json else words(about))


@app.command(help_epilogue="Example: gru-sweep plot hopf.h5 --variable frequency --out hopf.pdf")
def plot(
    file: Annotated[Path, Parameter(help="A file that `run` or `train` wrote or is writing.")],
    *,
    out: Annotated[Path, Parameter(help="The picture: .png, .pdf or .svg.")],
    variable: Annotated[
        str | None,
        Parameter(help="What is drawn; frequency, loss of a training, lyapunov or radius if not given."),
    ] = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Draw one variable of a file over its axes; of a training, its learning curves."""
    from .. import plotting
    from ..learning import reading

    plotting.check(out, argument="--out")
    if reading.is_training(file):
        plotting.save_learning_curves(file, out, variable or "loss")
    else:
        plotting.save(file, out, variable)
    if not quiet:
        print(f"wrote {out}", file=sys.stderr)


@app.command(help_epilogue="Example: gru-sweep devices")
def devices(*, quiet: Quiet = False, config: Config = None) -> None:
    """Say what JAX computes on here, and how to get a GPU build."""
    import jax

    print(f"jax {jax.__version__}, backend {jax.default_backend()}, {provenance.device()}")
    for one in jax.devices():
        print(f"{one.id}: {one.platform} {one.device_kind}")
    if jax.default_backend() == "cpu" and not quiet:
        print('For an NVIDIA GPU (Linux), in the source folder: pip install ".[cuda]"', file=sys.stderr)
