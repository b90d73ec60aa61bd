"""The hall of training: a task, networks of some sizes and seeds, and the file of what became of them.

`plan` checks everything that can be checked without computing, `execute` trains, `train` is both for Python
and notebooks. A file that is not finished holds what the trainer goes on from, so that a resumed run ends
like one that was never stopped, bit for bit.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from .. import __version__, provenance
from ..progress import reporter
from ..records import InputError
from ..sweeps import devices, store
from ..sweeps.provenance import begun, resumed
from ..sweeps.sweep import Progress, Silent, reported
from ..training import tasks
from ..training.trainer import Settings, Trainer
from . import archive, contents
from .archive import Archive
from .school import School

if TYPE_CHECKING:
    import optax
    import xarray as xr

LEARNING_RATE = 0.01
MAX_DIM, MAX_SEEDS = 64, 100_000
EPOCHS = "epochs"
"""What a training is counted in: one for each network."""
CHECKPOINT_SECONDS = 20.0
"""The most that a killed run loses."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """A training that has been checked and can be executed. Made by `plan`."""

    school: School
    out: Path
    resume: bool
    overwrite: bool
    command: str
    device: str | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a training came to. `points` are networks, `counts` those by status (see `contents`)."""

    file: str
    points: int
    epochs: int
    """Of all networks together, in this run."""
    seconds: float
    points_per_second: float
    epochs_per_second: float
    compile_seconds: float
    compilations: int
    device: str
    precision: str
    counts: dict[str, int]
    final_loss: dict[str, float | None]
    """By size, the median over networks of the mean square error of an observed number, held out; None where
    all of a size diverged."""


def plan(
    task: str | tasks.Task,
    *,
    dim: Sequence[int] | int = (2, 4, 8, 16),
    seeds: int = 3,
    epochs: int = 4000,
    learning_rate: Sequence[float] | float = LEARNING_RATE,
    initialisation: str = "uniform",
    optimiser: Callable[[Any], optax.GradientTransformation] | None = None,
    precision: str = "float32",
    noise: float | None = None,
    step: float | None = None,
    current: str = "step",
    series: int = 667,
    seed: int = 0,
    out: str | os.PathLike[str],
    resume: bool = False,
    overwrite: bool = False,
    device: str | None = None,
    command: str | None = None,
) -> Plan:
    """Check the training of networks of every size in `dim`, from `seeds` initial conditions each.

    - `task`: a name of `training.tasks.TASKS`, or a `Task`; `noise`, `step`, `current`, `series`: see `draw`.
    - `learning_rate`: one, or several, each of which every size and seed is trained with.
    - `optimiser`: learning rate -> optax transformation; `optax.adam` if None.
    - `seed`: of the data and, with its number, of each network.

    Raises `InputError` for anything that would not run; nothing is written.
    """
    chosen = tasks.named(task) if isinstance(task, str) else task
    if not isinstance(chosen, tasks.Task):
        raise InputError("TASK", "a name or a Task", chosen)
    sizes = _whole("--dim", dim, 1, MAX_DIM)
    (count,) = _whole("--seeds", [seeds], 1, MAX_SEEDS)
    rates = _rates(learning_rate)
    if device is not None and device not in devices.PLATFORMS:
        raise InputError("device", f"one of {', '.join(devices.PLATFORMS)}", device)
    if resume and overwrite:
        raise InputError("resume", "either resume or overwrite", "both")
    options: dict[str, Any] = {} if optimiser is None else {"optimiser": optimiser}
    school = School(
        task=chosen,
        sizes=sizes,
        seeds=count,
        rates=rates,
        settings=Settings(epochs=epochs, initialisation=initialisation, precision=precision, **options),
        seed=seed,
        noise=chosen.noise if noise is None else noise,
        step=chosen.step if step is None else step,
        current=current,
        series=series,
    )
    return Plan(
        school,
        Path(out),
        resume,
        overwrite,
        command if command is not None else f"gru_sweep.train({chosen.name!r})",
        device,
    )


def execute(plan: Plan, progress: Progress | None = None, stop: Any = None) -> Outcome:
    """Train what `plan` asks for, read what was learnt and write the file.

    Raises `InputError` if the file may not be written, `sweeps.sweep.Interrupted` after the epochs in hand
    when `stop.requested` becomes true, `sweeps.sweep.SweepError` if writing fails.
    """
    began = time.perf_counter()
    progress, school = progress or Silent(), plan.school
    (device, *_) = devices.chosen(plan.device)
    about = _provenance(plan, provenance.device([device]))
    with Archive(plan.out, school.made_by(), resume=plan.resume, overwrite=plan.overwrite) as file:
        if file.finished:
            return _outcome(plan, about, 0, 0.0, time.perf_counter() - began)
        data, members = school.data(), school.members()
        trainer = _trainer(school, data, file.earlier, device)
        begun_at = trainer.epoch
        total, before = len(members) * school.settings.epochs, len(members) * begun_at
        attributes = begun(about) if file.earlier is None else resumed(file.attributes, about, before, total)
        spent, safe = float(attributes["seconds"]), before

        def save(groups: Mapping[str, xr.Dataset], complete: bool) -> None:
            nonlocal safe
            attributes["seconds"] = spent + time.perf_counter() - began
            file.write(groups, attributes, complete)
            safe = len(members) * trainer.epoch

        def checkpoint() -> None:
            groups = {"/": contents.progress(school, data, trainer)}
            save({**groups, archive.CHECKPOINT: archive.checkpoint(trainer.state())}, complete=False)

        progress.start(total, before)
        with jax.default_device(device), reported(plan.out, lambda: safe, lambda: total, progress, EPOCHS):
            started = saved = time.perf_counter()
            known = begun_at

            def block(epoch: int, losses: np.ndarray) -> None:
                nonlocal known, saved
                progress.advance(len(members) * (epoch - known))
                progress.note(school.words(losses))
                known = epoch
                if time.perf_counter() - saved > CHECKPOINT_SECONDS:
                    checkpoint()
                    saved = time.perf_counter()

            trainer.run(None, block, lambda: stop is not None and stop.requested)
            training = time.perf_counter() - started - trainer.compile_seconds
            checkpoint()
            if trainer.epoch < school.settings.epochs:
                raise KeyboardInterrupt

            def reading(text: str) -> None:
                if stop is not None and stop.requested:
                    raise KeyboardInterrupt
                progress.note(text)

            save(contents.whole(school, data, trainer, reading), complete=True)
        epochs = len(members) * (trainer.epoch - begun_at)
        return _outcome(plan, about, epochs, training, time.perf_counter() - began, trainer)


def train(
    task: str | tasks.Task,
    *,
    out: str | os.PathLike[str],
    progress: bool | Progress = False,
    **options: Any,
) -> xr.Dataset:
    """Train networks on `task`, write the file `out` and return its root as a Dataset.

    Options and refusals are those of `plan`. `xarray.open_datatree` gives the networks themselves, too.
    """
    shown = "".join(f", {name}={value!r}" for name, value in options.items())
    name = task if isinstance(task, str) else task.name
    report = (reporter(noun=EPOCHS) if progress else None) if isinstance(progress, bool) else progress
    execute(plan(task, out=out, command=f"gru_sweep.train({name!r}{shown})", **options), report)
    return store.open_dataset(out)


def _whole(name: str, values: Sequence[int] | int, low: int, high: int) -> tuple[int, ...]:
    """Different integers within bounds, in order."""
    given = list(values) if isinstance(values, Iterable) else [values]
    for one in given:
        if isinstance(one, bool) or not isinstance(one, int | np.integer) or not low <= one <= high:
            raise InputError(name, f"integers from {low} to {high}", one)
    if not given or len(set(given)) < len(given):
        raise InputError(name, "different integers", given)
    return tuple(sorted(int(one) for one in given))


def _trainer(
    school: School, data: tasks.Data, earlier: Mapping[str, np.ndarray] | None, device: jax.Device
) -> Trainer:
    """The trainer at the epoch of an earlier state. Refused: a state of other data, of a task of the same
    name say, or of another optimiser."""
    try:
        return Trainer(data.train, data.test, school.members(), school.settings, earlier, device=device)
    except InputError as error:
        if error.argument != "state":
            raise
        raise InputError("--resume", error.expected, error.got) from None


def _rates(values: Sequence[float] | float) -> tuple[float, ...]:
    """Different positive numbers."""
    given = list(values) if isinstance(values, Iterable) else [values]
    for one in given:
        number = isinstance(one, int | float | np.number) and not isinstance(one, bool)
        if not number or not 0 < one < math.inf:
            raise InputError("--learning-rate", "a positive number", one)
    if not given or len(set(given)) < len(given):
        raise InputError("--learning-rate", "different numbers", given)
    return tuple(float(one) for one in given)


def _outcome(
    plan: Plan,
    about: Mapping[str, Any],
    epochs: int,
    training: float,
    seconds: float,
    trainer: Trainer | None = None,
) -> Outcome:
    with store.open_dataset(plan.out) as root:
        counts, final = contents.counts(root), contents.final_losses(root)
    rate = epochs / training if training > 0 else 0.0
    return Outcome(
        file=str(plan.out),
        points=len(plan.school.members()),
        epochs=epochs,
        seconds=seconds,
        points_per_second=rate / plan.school.settings.epochs,
        epochs_per_second=rate,
        compile_seconds=0.0 if trainer is None else trainer.compile_seconds,
        compilations=0 if trainer is None else trainer.compilations,
        device=about["device"],
        precision=plan.school.settings.precision,
        counts=counts,
        final_loss=final,
    )


def _provenance(plan: Plan, device: str) -> dict[str, Any]:
    school = plan.school
    sizes = ", ".join(map(str, school.sizes))
    return {
        "title": f"{school.task.title or school.task.name}: learnt by GRUs of {sizes} units",
        "gru_sweep_version": __version__,
        "git_commit": provenance.commit(),
        "command": plan.command,
        "measure": "training",
        "jax_version": jax.__version__,
        "device": device,
        **school.attributes(),
    }
