"""The hall: a family joined to a measure, joined to a sweep.

`plan` checks everything that can be checked without computing, `execute` computes, `sweep` is both for
Python and notebooks.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from . import __version__, provenance
from .analysis import portrait
from .analysis.fixed_points import Planar
from .progress import reporter
from .records import Column, InputError, Status, nearest
from .sweeps import store
from .sweeps import sweep as sweeping
from .sweeps.grid import Axis, Grid
from .sweeps.lanes import Chain
from .systems.families import FAMILIES, Family

if TYPE_CHECKING:
    import xarray as xr

Number = float | int
PRECISIONS = ("float64", "float32")
DEFAULT_CHUNK = 32768
"""Points computed and committed together: enough to fill the lanes, few enough to lose little by a crash."""
MAX_CHUNK = 2**24
SMALLEST = 1024
"""Points that even the smallest sweep is padded to: its programs are the same for all small sweeps."""


@runtime_checkable
class Evaluate(Protocol):
    """A measure of one family, ready to run: swept coordinates, each (n,), to one array (n, ...) a column."""

    columns: tuple[Column, ...]
    settings: dict[str, Any]
    """Tolerances and round lengths, by name: they go into the file's attributes."""

    @property
    def compile_seconds(self) -> float: ...

    @property
    def compilations(self) -> int: ...

    def __call__(self, coordinates: dict[str, np.ndarray]) -> dict[str, np.ndarray]: ...


@dataclasses.dataclass(frozen=True)
class Measure:
    """What is asked of every point, and how its topology label is read off the finished record."""

    name: str
    title: str
    labeller: store.Labeller
    stages: Callable[[], Any]
    """Makes the chain of solvers: `.solvers`, `.links`, `.record`, `.settings` (see `analysis.portrait`)."""


def topology_label(counts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Canonical strings (n,), without blanks: `sinks:4,sources:1,saddles:4,stable_cycles:0`.

    A pure function of the stored columns `status` and `n_*`. Empty where the status is not ok or a
    count is not known (-1).
    """
    names = ("n_sinks", "n_sources", "n_saddles", "n_stable_cycles")
    rows = np.stack([np.asarray(counts[name], dtype=np.int64) for name in names], axis=-1)
    rows[np.asarray(counts["status"]) != Status.OK] = -1
    classes, which = np.unique(rows, axis=0, return_inverse=True)
    words = [
        "" if (row < 0).any() else ",".join(f"{name[2:]}:{n}" for name, n in zip(names, row, strict=True))
        for row in classes
    ]
    return np.asarray(words, dtype=object)[which.reshape(-1)]


MEASURES: dict[str, Measure] = {
    "oscillation": Measure(
        name="oscillation",
        title="fixed points, and frequency of the stable limit cycle",
        labeller=store.Labeller(
            name="topology",
            needs=("status", "n_sinks", "n_sources", "n_saddles", "n_stable_cycles"),
            function=topology_label,
        ),
        stages=portrait.Stages,
    ),
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep that has been checked and can be executed. Made by `plan`."""

    family: Family
    grid: Grid
    fixed: dict[str, float]
    """Coordinates that were set. What was neither set nor swept takes the family's default."""
    measure: Measure
    precision: str
    chunk: int
    seed: int
    out: Path
    resume: bool
    overwrite: bool
    command: str

    def settings(self) -> dict[str, float | str]:
        """Every coordinate that is not an axis: its value, or the name of the axis that it follows."""
        marks: dict[str, Any] = {name: name for name in self.grid.names}
        full = self.family.complete({**self.fixed, **marks})
        return {name: value for name, value in full.items() if name not in self.grid.names}

    def fingerprint(self) -> dict[str, Any]:
        """What two runs must share, besides the grid, for one to continue the other."""
        return {
            "gru_sweep_version": __version__,
            "family": self.family.name,
            "measure": self.measure.name,
            "settings": self.settings(),
            "precision": self.precision,
            "seed": self.seed,
        }


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a sweep came to. `counts` are points by status; `seconds` are from first to last block."""

    file: str
    points: int
    computed: int
    seconds: float
    points_per_second: float
    compile_seconds: float
    compilations: int
    device: str
    counts: dict[str, int]


def plan(
    family: str,
    *,
    axes: Mapping[str, Axis] | Iterable[Axis] = (),
    settings: Mapping[str, Number] | None = None,
    measure: str = "oscillation",
    precision: str = "float64",
    chunk: int | None = None,
    seed: int = 0,
    out: str | os.PathLike[str],
    resume: bool = False,
    overwrite: bool = False,
    command: str | None = None,
) -> Plan:
    """Check a sweep of `family` over `axes` with the coordinates in `settings` held fixed.

    A coordinate that is neither swept nor set takes its default axis if it has one, else its default
    value. The dimensions keep the order in which `axes` come; a default axis stands before the first
    of them that the family names later.

    Raises `InputError` for anything that would not run; nothing is written.
    """
    if family not in FAMILIES:
        raise InputError("family", nearest(str(family), FAMILIES), family)
    if measure not in MEASURES:
        raise InputError("measure", nearest(str(measure), MEASURES), measure)
    if precision not in PRECISIONS:
        raise InputError("precision", nearest(str(precision), PRECISIONS), precision)
    chunk = DEFAULT_CHUNK if chunk is None else chunk
    if isinstance(chunk, bool) or not isinstance(chunk, int | np.integer) or not 1 <= chunk <= MAX_CHUNK:
        raise InputError("chunk", f"a number of points from 1 to {MAX_CHUNK}", chunk)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise InputError("seed", "an integer from 0 to 2^63 - 1", seed)
    if resume and overwrite:
        raise InputError("resume", "either resume or overwrite", "both")
    chosen = FAMILIES[family]
    given = list(axes.values() if isinstance(axes, Mapping) else axes)
    fixed = dict(settings or {})
    _check_coordinates(chosen, given, fixed)
    return Plan(
        family=chosen,
        grid=Grid(tuple(_ordered(chosen, given, fixed))),
        fixed={name: float(value) for name, value in fixed.items()},
        measure=MEASURES[measure],
        precision=precision,
        chunk=int(chunk),
        seed=int(seed),
        out=Path(out),
        resume=resume,
        overwrite=overwrite,
        command=command if command is not None else f"gru_sweep.studies.plan({family!r})",
    )


def execute(plan: Plan, progress: sweeping.Progress | None = None, stop: Any = None) -> Outcome:
    """Compute what is missing of `plan` and write its file.

    Runs with 64-bit types on or off as the plan's precision asks, whatever the global setting. Raises
    `InputError` if the file may not be written, `sweeps.sweep.Interrupted` after the block in hand when
    `stop.requested` becomes true, `sweeps.sweep.SweepError` if writing fails.
    """
    with jax.enable_x64(plan.precision == "float64"):
        evaluate = evaluator(plan, progress.note if progress is not None else None)
        summary = sweeping.run(
            evaluate,
            plan.grid,
            evaluate.columns,
            plan.out,
            fingerprint={**plan.fingerprint(), "numerics": evaluate.settings},
            attributes=_provenance(plan, evaluate),
            chunk=plan.chunk,
            labeller=plan.measure.labeller,
            resume=plan.resume,
            overwrite=plan.overwrite,
            progress=progress,
            stop=stop,
        )
        computing = summary.evaluate_seconds - evaluate.compile_seconds
    return Outcome(
        file=str(summary.file),
        points=summary.points,
        computed=summary.computed,
        seconds=summary.seconds,
        points_per_second=summary.computed / max(computing, 1e-9),
        compile_seconds=evaluate.compile_seconds,
        compilations=evaluate.compilations,
        device=provenance.device(),
        counts=dict(summary.counts),
    )


@functools.lru_cache(maxsize=8)
def _programs(family: str, measure: str, precision: str, size: int) -> Chain:
    """The compiled measure of a family at `size` points a call, kept for the next sweep of this process.

    Every coordinate is an input, so that one set of programs serves all axes and settings.
    """
    chosen, stages = FAMILIES[family], MEASURES[measure].stages()

    def prepare(**coordinates: Array) -> Planar:
        side = jnp.ones(2, next(iter(coordinates.values())).dtype)
        return Planar(chosen.build(**coordinates), -side, side)

    chain = Chain(
        prepare,
        stages.solvers,
        stages.links,
        stages.record,
        names=[c.name for c in chosen.coordinates],
        dtype=precision,
        size=size,
        workers=_workers(),
    )
    chain.settings = stages.settings()
    return chain


def _workers() -> int:
    """Threads that share a call: the usable cores, where the cores do the computing."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Evaluator:
    """The measure of a family over some of its coordinates, the others fixed: an `Evaluate`."""

    def __init__(self, plan: Plan, note: Callable[[str], None] | None = None):
        points = min(plan.chunk, plan.grid.size)
        # few sizes, so that small sweeps find their programs in the cache
        size = min(max(2 ** math.ceil(math.log2(points)), SMALLEST), max(plan.chunk, points))
        self._plan = plan
        self._chain = _programs(plan.family.name, plan.measure.name, plan.precision, size)
        self._chain.note = note or (lambda text: None)
        self._before = self._chain.compile_seconds, self._chain.compilations
        self.columns, self.settings = self._chain.columns, self._chain.settings

    @property
    def compile_seconds(self) -> float:
        """Spent in compiling since this evaluator was made."""
        return self._chain.compile_seconds - self._before[0]

    @property
    def compilations(self) -> int:
        """Programs compiled, or fetched from the persistent cache, since this evaluator was made."""
        return self._chain.compilations - self._before[1]

    def __call__(self, coordinates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        full = self._plan.family.complete({**self._plan.fixed, **coordinates})
        n = len(next(iter(coordinates.values())))
        return self._chain({name: np.broadcast_to(value, (n,)) for name, value in full.items()})


def evaluator(plan: Plan, note: Callable[[str], None] | None = None) -> Evaluate:
    """What computes `plan`, point by point. Programs are compiled at the first call; `note` is told of it."""
    return Evaluator(plan, note)


def sweep(
    family: str,
    *,
    out: str | os.PathLike[str] | None = None,
    measure: str = "oscillation",
    precision: str = "float64",
    chunk: int | None = None,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | sweeping.Progress = False,
    **coordinates: Any,
) -> xr.Dataset:
    """Sweep `family` and return the file as a Dataset; `out=None` keeps it in memory only.

    A coordinate is a number (held fixed), a tuple `(start, stop, num)` (an inclusive linspace) or an
    array or list of values. The Dataset's attributes also carry `points_per_second` and
    `compile_seconds` of this run. Refuses what `plan` refuses.
    """
    axes, settings = _read_coordinates(coordinates)
    shown = "".join(f", {name}={_shown(value)}" for name, value in coordinates.items())
    options: dict[str, Any] = {
        "axes": axes,
        "settings": settings,
        "measure": measure,
        "precision": precision,
        "chunk": chunk,
        "seed": seed,
        "resume": resume,
        "overwrite": overwrite,
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


def _check_coordinates(family: Family, axes: list[Axis], settings: dict[str, Number]) -> None:
    known = [c.name for c in family.coordinates]
    seen: set[str] = set()
    for axis in axes:
        if axis.name not in known:
            raise InputError("axis", f"a coordinate of {family.name}: {nearest(axis.name, known)}", axis.name)
        if axis.name in seen:
            raise InputError("axis", "each axis once", f"{axis.name} twice")
        seen.add(axis.name)
    for name, value in settings.items():
        if name not in known:
            raise InputError("set", f"a coordinate of {family.name}: {nearest(name, known)}", name)
        if name in seen:
            raise InputError("set", "coordinates that are not axes", f"{name}, which is an axis too")
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise InputError("set", f"a number for {name}", value)
        if not math.isfinite(value):
            raise InputError("set", f"a finite number for {name}", value)


def _ordered(family: Family, given: list[Axis], fixed: dict[str, Number]) -> list[Axis]:
    rank = {c.name: i for i, c in enumerate(family.coordinates)}
    titles = {c.name: (c.long_name, c.units) for c in family.coordinates}
    axes = [dataclasses.replace(a, long_name=titles[a.name][0], units=titles[a.name][1]) for a in given]
    named = {axis.name for axis in given}
    for c in family.coordinates:
        if c.axis is None or c.name in fixed or c.name in named:
            continue
        start, stop, num = c.axis
        later = (i for i, axis in enumerate(axes) if rank[axis.name] > rank[c.name])
        axes.insert(next(later, len(axes)), Axis(c.name, np.linspace(start, stop, num), c.long_name, c.units))
    return axes


def _read_coordinates(coordinates: dict[str, Any]) -> tuple[list[Axis], dict[str, Number]]:
    axes: list[Axis] = []
    settings: dict[str, Number] = {}
    for name, value in coordinates.items():
        if isinstance(value, tuple):
            if len(value) != 3 or isinstance(value[2], bool) or not isinstance(value[2], int | np.integer):
                raise InputError(name, "(start, stop, num) with an integer num, or an array", value)
            start, stop, num = value
            if num < 1:
                raise InputError(name, "(start, stop, num) with num of at least 1", value)
            if not (np.isreal(start) and np.isreal(stop) and math.isfinite(start) and math.isfinite(stop)):
                raise InputError(name, "(start, stop, num) with finite bounds", value)
            axes.append(Axis(name, np.linspace(start, stop, num)))
        elif np.ndim(value) == 0:
            settings[name] = value.item() if isinstance(value, np.ndarray | np.generic) else value
        else:
            try:
                values = np.asarray(value, dtype=np.float64)
            except (TypeError, ValueError):
                raise InputError(name, "an array of numbers", value) from None
            axes.append(Axis(name, values))
    return axes, settings


def _shown(value: Any) -> str:
    if np.ndim(value) == 0 or isinstance(value, tuple):
        return repr(value)
    return f"[{value[0]!r}, ... {len(value)} values]"


def _provenance(plan: Plan, evaluate: Evaluate) -> dict[str, Any]:
    return {
        **evaluate.settings,
        "title": f"{plan.family.title}: {plan.measure.title}",
        "gru_sweep_version": __version__,
        "git_commit": provenance.commit(),
        "command": plan.command,
        "family": plan.family.name,
        "equation": plan.family.equation,
        "measure": plan.measure.name,
        "precision": plan.precision,
        "jax_version": jax.__version__,
        "device": provenance.device(),
        "seed": plan.seed,
        "settings": json.dumps(plan.settings()),
    }
