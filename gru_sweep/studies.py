"""The hall: a family joined to a measure, joined to a sweep.

`plan` checks everything that can be checked without computing, `execute` computes, `sweep` is both for
Python and notebooks.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from . import __version__, caching, coordinates, provenance
from .coordinates import Number
from .measures import CHUNK, MEASURES, OTHER_BATCH, Measure, Recipe
from .outcomes import Outcome, RefinedOutcome
from .phases import Measure as NetworkMeasure
from .progress import reporter
from .records import Column, InputError, nearest
from .sweeps import devices, refinement, store
from .sweeps import sweep as sweeping
from .sweeps.engines.engine import Engine, Evaluate, Progress
from .sweeps.engines.local import Local
from .sweeps.grid import Axis, Grid
from .sweeps.points import FineGrid
from .systems import networks as random_networks
from .systems import weights as files
from .systems.cells import GRU
from .systems.families import FAMILIES, Family

if TYPE_CHECKING:
    import xarray as xr

Weights = str | os.PathLike[str] | GRU
logger = logging.getLogger(__name__)

PRECISIONS = ("float64", "float32")
ENGINES = ("local", "dask")
MAX_CHUNK = 2**24


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep that has been checked and can be executed. Made by `plan`."""

    family: Family
    grid: Grid
    fixed: dict[str, float]
    """Coordinates that were set. What was neither set nor swept takes the family's default."""
    measure: Measure | NetworkMeasure
    precision: str
    chunk: int | None
    """Points computed and committed together; None: as in an unfinished file, else what suits the device."""
    seed: int
    out: Path
    resume: bool
    overwrite: bool
    command: str
    refine: int | None = None
    """Levels of refinement; None for every point of the grid and no others."""
    device: str | None = None
    """`cpu` or `gpu`; None: JAX's default."""
    engine: str = "local"
    workers: int | str | None = None
    """Of the engine `dask`: how many processes to start, or the address of a scheduler."""
    share: store.Share | None = None
    """The part of the sweep that this job of an array computes; None: all of it."""

    def settings(self) -> dict[str, float | str]:
        """Every coordinate that is not an axis: its value, or the name of the axis that it follows."""
        marks: dict[str, Any] = {name: name for name in self.grid.names}
        full = self.family.complete({**self.fixed, **marks})
        return {name: value for name, value in full.items() if name not in self.grid.names}

    def fingerprint(self, numerics: Mapping[str, Any]) -> dict[str, Any]:
        """What two runs must share, besides the grid, for one to continue the other.

        `numerics` are the measure's tolerances and round lengths, by name.
        """
        return {
            "gru_sweep_version": __version__,
            "family": self.family.name,
            "measure": self.measure.name,
            "settings": self.settings(),
            "precision": self.precision,
            "seed": self.seed,
            **self.family.origin(),
            "numerics": dict(numerics),
        }


def plan(
    family: str,
    *,
    axes: Mapping[str, Axis] | Iterable[Axis] = (),
    settings: Mapping[str, Number] | None = None,
    measure: str = "oscillation",
    precision: str = "float64",
    chunk: int | None = None,
    seed: int = 0,
    weights: Weights | None = None,
    networks: Mapping[str, Number | None] | None = None,
    refine: int | None = None,
    out: str | os.PathLike[str],
    resume: bool = False,
    overwrite: bool = False,
    device: str | None = None,
    engine: str = "local",
    workers: int | str | None = None,
    shard: str | None = None,
    command: str | None = None,
) -> Plan:
    """Check a sweep of `family` over `axes` with the coordinates in `settings` held fixed.

    `weights`, a file or a cell of two units, is what the family `weights` is about; `seed` decides the draws
    of `random`. `networks` is for the families `gru`, `lstm` and `gated-rnn` of large random networks, and
    for the measures of those: see `RandomNetworks.made`. A coordinate that is neither swept nor set takes its
    default axis if it has one, else its default value. The dimensions keep the order in which `axes` come; a
    default axis stands before the first of them that the family names later. `refine` splits the grid's cells
    so many times where status or topology change (see `sweeps.refinement`).

    `engine` computes: `local` on all devices of this process, `dask` on `workers`, a number of processes to
    start here (one for each device by default) or the address of a scheduler. `shard`, "I/N", computes one
    of N parts, beside other jobs with the same file; it goes on with what there is, as `resume` does.

    Raises `InputError` for anything that would not run; nothing is written.
    """
    _check_family(family, planar=False)
    known = {
        name: one for name, one in MEASURES.items() if one.networks == (family in random_networks.FAMILIES)
    }
    if measure not in known:
        raise InputError("measure", nearest(str(measure), known), measure)
    if refine is not None and MEASURES[measure].labeller is None:
        raise InputError("refine", f"a measure with a label, which {measure} has not", refine)
    if precision not in PRECISIONS:
        raise InputError("precision", nearest(str(precision), PRECISIONS), precision)
    if chunk is not None and (
        isinstance(chunk, bool) or not isinstance(chunk, int | np.integer) or not 1 <= chunk <= MAX_CHUNK
    ):
        raise InputError("chunk", f"a number of points from 1 to {MAX_CHUNK}", chunk)
    if device is not None and device not in devices.PLATFORMS:
        raise InputError("device", nearest(str(device), devices.PLATFORMS), device)
    if engine not in ENGINES:
        raise InputError("engine", nearest(str(engine), ENGINES), engine)
    _check_workers(engine, workers)
    share = None if shard is None else store.Share.parse(shard)
    if share is not None and refine is not None:
        raise InputError("shard", "no refinement, whose rounds follow from each other", f"refine {refine}")
    _check_seed(seed)
    if resume and overwrite:
        raise InputError("resume", "either resume or overwrite", "both")
    chosen = _family(family, weights, networks, int(seed))
    given = list(axes.values() if isinstance(axes, Mapping) else axes)
    fixed = dict(settings or {})
    coordinates.check(chosen, given, fixed)
    swept = coordinates.ordered(chosen, given, fixed)
    largest = {one.name: np.max(np.abs(one.values)) for one in swept}
    coordinates.check_precision({**chosen.complete(fixed), **largest}, precision)
    grid = Grid(tuple(swept))
    if refine is not None:
        for one in FineGrid(grid, refine).axes:
            coordinates.check(chosen, [one], {})
    return Plan(
        family=chosen,
        grid=grid,
        fixed={name: float(value) for name, value in fixed.items()},
        measure=MEASURES[measure],
        precision=precision,
        chunk=None if chunk is None else int(chunk),
        seed=int(seed),
        out=Path(out),
        resume=resume,
        overwrite=overwrite,
        command=command if command is not None else f"gru_sweep.studies.plan({family!r})",
        refine=refine,
        device=device,
        engine=engine,
        workers=workers,
        share=share,
    )


def _family(
    family: str, weights: Weights | None, networks: Mapping[str, Number | None] | None, seed: int
) -> Family:
    """The family of that name with all that it needs besides coordinates."""
    if family not in random_networks.FAMILIES:
        if networks is not None:
            raise InputError("networks", f"none with the family {family}", dict(networks))
        return planar_family(family, weights, seed)
    if weights is not None:
        raise InputError("--weights", "no weights with networks that are drawn", str(family))
    return random_networks.FAMILIES[family].bound(None, seed).made(**(networks or {}))


def planar_family(family: str, weights: Weights | None, seed: int) -> Family:
    """The family of that name with the cell of two units or the seed that it needs."""
    _check_family(family)
    _check_seed(seed)
    centre = _read_weights(weights)
    if centre is not None and centre.dimension != 2:
        raise InputError("--weights", "a cell of 2 units", f"one of {centre.dimension}")
    return FAMILIES[family].bound(centre, seed)


def cell(
    family: str,
    settings: Mapping[str, Number] | None = None,
    *,
    weights: Weights | None = None,
    seed: int = 0,
) -> GRU:
    """The cell of `family` at one point, in JAX's current precision; what is not set has its default.

    Cells of the families `weights` (of any size) and `random` have all their parts, zero where the file has
    none, so that a program that takes one as its argument serves all of a size. Refuses what `plan` refuses.
    """
    _check_family(family)
    _check_seed(seed)
    fixed = dict(settings or {})
    centre = _read_weights(weights)
    chosen = FAMILIES[family].bound(centre, int(seed))
    coordinates.check(chosen, [], fixed)
    full = chosen.complete(fixed)
    precision = jnp.result_type(float)
    coordinates.check_precision(full, str(precision))
    inputs = chosen.inputs({name: np.array([value], np.float64) for name, value in full.items()})
    return chosen.build(**{name: value.astype(precision)[0] for name, value in inputs.items()})


def execute(plan: Plan, progress: Progress | None = None, stop: Any = None) -> Outcome:
    """Compute what is missing of `plan` and write its file.

    Runs with 64-bit types on or off as the plan's precision asks, whatever the global setting. Raises
    `InputError` if the file may not be written or the device or the engine is not there,
    `sweeps.sweep.Interrupted` after the blocks in hand when `stop.requested` becomes true,
    `sweeps.sweep.SweepError` if writing fails.
    """
    note = progress.note if progress is not None else None
    with crew_of(plan, note) as crew, jax.enable_x64(plan.precision == "float64"):
        chunk = plan.chunk
        if chunk is None and (plan.resume or plan.share is not None):
            chunk = store.stored_chunk(plan.out)
        chunk = chunk or crew.chunk
        options: dict[str, Any] = {
            "fingerprint": plan.fingerprint(crew.settings),
            "attributes": _provenance(plan, crew),
            "chunk": chunk,
            "labeller": plan.measure.labeller,
            "resume": plan.resume,
            "overwrite": plan.overwrite,
            "progress": progress,
            "stop": stop,
        }
        where = crew.engine, plan.grid, crew.columns, plan.out
        if plan.refine is None:
            summary = sweeping.run(*where, share=plan.share, **options)
        else:
            summary = refinement.run(*where, levels=plan.refine, seed=plan.seed, **options)
    compile_seconds = crew.compile_seconds
    outcome: dict[str, Any] = {
        "file": str(summary.file),
        "points": summary.points,
        "computed": summary.computed,
        "seconds": summary.seconds,
        "points_per_second": summary.computed / max(summary.computing_seconds - compile_seconds, 1e-9),
        "compile_seconds": compile_seconds,
        "compilations": crew.compilations,
        "device": crew.device,
        "precision": plan.precision,
        "chunk": chunk,
        "counts": dict(summary.counts),
        "complete": summary.complete,
    }
    if not isinstance(summary, refinement.Refined):
        return Outcome(**outcome)
    return RefinedOutcome(
        **outcome,
        levels=summary.levels,
        leaves=summary.leaves,
        evaluations=summary.points,
        effective_points=summary.effective_points,
        share=summary.points / summary.effective_points,
        wrong_share_bound=summary.wrong_share,
    )


@dataclasses.dataclass
class Crew:
    """An engine, and what it computes with."""

    engine: Engine
    evaluators: list[Evaluate]
    device: str
    chunk: int
    """Points worth computing and committing together."""

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.evaluators[0].columns

    @property
    def settings(self) -> dict[str, Any]:
        return self.evaluators[0].settings

    @property
    def compile_seconds(self) -> float:
        """Of the devices, or the workers, which compile side by side."""
        makers: list[Any] = [self.engine] if hasattr(self.engine, "compile_seconds") else self.evaluators
        return max(one.compile_seconds for one in makers)

    @property
    def compilations(self) -> int:
        """In this process."""
        return max(one.compilations for one in self.evaluators)


@contextmanager
def crew_of(plan: Plan, note: Callable[[str], None] | None = None) -> Iterator[Crew]:
    """The engine of `plan`, with devices or workers that are there; lets go of them at the end."""
    if plan.engine == "local" or (plan.resume and store.is_finished(plan.out)):
        found = devices.chosen(plan.device)
        evaluators = [evaluator(plan, note, device) for device in found]
        chunk = max(getattr(one, "chunk", 1) for one in evaluators)
        where = provenance.device(found)
        yield Crew(Local(evaluators, f"{plan.precision} on {where}"), evaluators, where, chunk)
        return
    from .sweeps.engines.cluster import visible_gpus
    from .sweeps.engines.dask import Dask

    gpus = [] if plan.device == "cpu" else visible_gpus()
    workers = plan.workers if plan.workers is not None else len(gpus) or devices.cores()
    with Dask(
        recipe(plan),
        workers,
        prepare=partial(caching.prepare_process, plan.device),
        about=provenance.device,
        platform=plan.device,
        note=note or (lambda text: None),
    ) as cluster:
        there = cluster.describe()
        where = "; ".join(f"{number} x {about}" for about, number in sorted(there.items()))
        logger.info("%s on %s", plan.precision, where)
        # Only for its columns and settings: nothing is compiled here, and the devices are the workers'.
        shape = recipe(plan)(device=devices.chosen("cpu")[0])
        chunks = (CHUNK.get(about.partition(" ")[0], OTHER_BATCH) for about in there)
        yield Crew(cluster, [shape], where, max(chunks))


def evaluator(
    plan: Plan, note: Callable[[str], None] | None = None, device: jax.Device | None = None
) -> Evaluate:
    """What computes `plan` on a device, point by point. Programs are compiled at the first call; `note` is
    told of it."""
    return recipe(plan)(note=note, device=device)


def recipe(plan: Plan) -> Recipe:
    """What makes the evaluator of `plan` in any process."""
    points = plan.grid.size if plan.refine is None else plan.grid.size << (2 * plan.refine)
    return Recipe(plan.family, plan.fixed, plan.measure.name, plan.precision, points, plan.device)


def sweep(
    family: str,
    *,
    out: str | os.PathLike[str] | None = None,
    measure: str = "oscillation",
    precision: str = "float64",
    chunk: int | None = None,
    seed: int = 0,
    weights: Weights | None = None,
    networks: Mapping[str, Number | None] | None = None,
    refine: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: str | None = None,
    engine: str = "local",
    workers: int | str | None = None,
    progress: bool | Progress = False,
    **given: Any,
) -> xr.Dataset:
    """Sweep `family` and return the file as a Dataset; `out=None` keeps it in memory only.

    `networks`: of the families of large random networks, such as `{"size": 1000, "networks": 5}`.

    `given` is coordinates: a number (held fixed), a tuple `(start, stop, num)` (an inclusive linspace) or an
    array or list of values; one whose name is no word comes as `**{"U_h[0,1]": (-3, 3, 64)}`. `weights`, for
    the family of that name, is a file or a cell. The Dataset's attributes also carry `points_per_second` and
    `compile_seconds` of this run. Refuses what `plan` refuses.

    With `refine` the axes are those of level 0, and the Dataset has the points that were evaluated, along
    `point`, and the leaves; `image` reads a variable of it as a dense map of any level.
    """
    axes, settings = coordinates.read(given)
    shown = coordinates.shown(given)
    if refine is not None:
        shown += f", refine={refine!r}"
    if weights is not None:
        shown += f", weights={'a GRU' if isinstance(weights, GRU) else repr(str(weights))}"
    if networks is not None:
        shown += f", networks={dict(networks)!r}"
    options: dict[str, Any] = {
        "axes": axes,
        "settings": settings,
        "measure": measure,
        "precision": precision,
        "chunk": chunk,
        "seed": seed,
        "weights": weights,
        "networks": networks,
        "refine": refine,
        "resume": resume,
        "overwrite": overwrite,
        "device": device,
        "engine": engine,
        "workers": workers,
        "command": f"gru_sweep.sweep({family!r}{shown}, measure={measure!r}, precision={precision!r})",
    }
    report = (reporter() if progress else None) if isinstance(progress, bool) else progress
    if out is not None:
        outcome = execute(plan(family, out=out, **options), report)
        dataset = store.open_dataset(out)
    else:
        with tempfile.TemporaryDirectory(prefix="gru_sweep-") as folder:
            path = Path(folder) / f"{family}.h5"
            outcome = execute(plan(family, out=path, **options), report)
            with store.open_dataset(path) as opened:
                dataset = opened.load()
    dataset.attrs["points_per_second"] = outcome.points_per_second
    dataset.attrs["compile_seconds"] = outcome.compile_seconds
    return dataset


def _check_family(family: str, planar: bool = True) -> None:
    known = FAMILIES if planar else {**FAMILIES, **random_networks.FAMILIES}
    if family not in known:
        raise InputError("family", nearest(str(family), known), family)


def _check_seed(seed: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise InputError("seed", "an integer from 0 to 2^63 - 1", seed)


def _check_workers(engine: str, workers: int | str | None) -> None:
    if workers is None:
        return
    if engine == "local":
        if workers != 1:
            raise InputError("workers", "1, or the engine dask", workers)
    elif not (isinstance(workers, str) and workers) and not (
        isinstance(workers, int | np.integer) and not isinstance(workers, bool) and workers >= 1
    ):
        raise InputError("workers", "a number of processes, or the address of a scheduler", workers)


def _read_weights(weights: Weights | None) -> GRU | None:
    """The cell, in the precision that it was given or stored in."""
    if weights is None or isinstance(weights, GRU):
        return weights
    with jax.enable_x64(True):
        return files.load(weights)


def _provenance(plan: Plan, crew: Crew) -> dict[str, Any]:
    return {
        **crew.settings,
        "title": f"{plan.family.title}: {plan.measure.title}",
        "gru_sweep_version": __version__,
        "git_commit": provenance.commit(),
        "command": plan.command,
        "family": plan.family.name,
        "equation": plan.family.equation,
        "measure": plan.measure.name,
        "precision": plan.precision,
        "jax_version": jax.__version__,
        "device": crew.device,
        "seed": plan.seed,
        "settings": json.dumps(plan.settings()),
        **{name: json.dumps(value) for name, value in plan.family.origin().items()},
    }
