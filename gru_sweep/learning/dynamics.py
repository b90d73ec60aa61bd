"""What trained networks do: both readings of the cell, its forecasts and, of two units, its history.

Everything here is in float64, whatever the networks were trained in.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from ..records import Kind, Numbers, Status
from ..training import forecasts, tasks
from ..training.attractors import Attractors, Class, attractors
from ..training.fixed import Fixed, MapKind, fixed_points
from ..training.flows import Flow
from ..training.maps import Map, discrete, double, in_cube
from ..training.networks import Network
from ..training.slowness import THRESHOLDS, slowness
from ..training.tasks import Data
from .portraits import portraits
from .school import School
from .table import Column, Table, Variables, flags

SLOTS, ATTRACTORS, SAMPLES = 16, 8, 128
"""Fixed points and attractors that are kept of a network, and states of an attractor; all are counted."""
STARTS = 64
"""States, uniform in [-1, 1]^d, from which attractors of the map are sought; half of them for the flow."""
FLOW_TIME = 1024
"""Units of time before an orbit of the flow is looked at, and for which it is then. Of two units the cycles
are also found by the portrait."""
HORIZON = 90
"""Steps for which forecasts are compared with the truth: three times what was trained."""
TURNS, PHASES = 3, 16
"""Turns of the true cycle for which forecasts are followed, each from so many points of it."""
TURN = 4
"""Samples that a turn of the true cycle has at least, or forecasts are not followed around it: between four
the time of a crossing is interpolated."""

COLUMNS = (
    Column("status", "what is known of the flow's fixed points, and of two units of all else", flags=Status),
    Column("n_fixed_points", "number of fixed points found", dtype=np.int16),
    Column("n_sinks", "of those found, how many attract in the flow", dtype=np.int16),
    Column("n_sources", "of those found, how many repel in the flow", dtype=np.int16),
    Column("n_saddles", "of those found, how many are saddles of the flow", dtype=np.int16),
    Column("n_stable_cycles", "stable limit cycles of the flow, two units", dtype=np.int16),
    Column("n_unstable_cycles", "unstable limit cycles of the flow, two units", dtype=np.int16),
    Column("frequency", "frequency of the largest stable limit cycle of the flow, two units", (), "1/time"),
    Column("period", "its period", (), "time"),
    Column("fixed_point", "fixed points of flow and map", ("slot", "unit")),
    Column("fixed_point_output", "the same through the readout", ("slot", "coordinate")),
    Column("eigenvalue", "eigenvalues of the flow (Eq 7)", ("slot", "mode", "part"), "1/time"),
    Column("multiplier", "multipliers of the map (Eq 4)", ("slot", "mode", "part")),
    Column("kind", "kind of each fixed point in the flow, by its planar name", ("slot",), flags=Kind),
    Column("kind_map", "kind of each fixed point of the map", ("slot",), flags=MapKind),
    Column("n_unstable", "unstable directions in the flow, -1 undecided", ("slot",), dtype=np.int16),
    Column("n_unstable_map", "unstable directions of the map, -1 undecided", ("slot",), dtype=np.int16),
    *(
        column
        for of, what, unit, turn in (
            ("map", "the map (Eq 4)", "1/step", "turns per step"),
            ("flow", "the flow (Eq 7)", "1/time", "frequency"),
        )
        for column in (
            Column(f"{of}_n_attractors", f"attractors of {what} that starts reached", dtype=np.int16),
            Column(f"{of}_class", f"attractors of {what}, simulated", ("attractor",), flags=Class),
            Column(f"{of}_share", "share of the starts that reach it", ("attractor",)),
            Column(f"{of}_rotation", f"{turn} of it", ("attractor",), unit),
            Column(f"{of}_exponent", "its largest Lyapunov exponent", ("attractor",), unit),
            Column(f"{of}_exponent_error", "error of that", ("attractor",), unit),
            Column(f"{of}_orbit", "states of it", ("attractor", "sample", "unit")),
            Column(
                f"{of}_orbit_output", "the same through the readout", ("attractor", "sample", "coordinate")
            ),
        )
    ),
    Column(
        "map_period", "period of a periodic attractor of the map, in steps", ("attractor",), dtype=np.int32
    ),
    Column("slow_span", "length of the slow set: where the map is after 29 steps"),
    Column("slow_drift", "fastest motion along the slow set", (), "1/step"),
    Column("slow_length", "length of the slow set where the map is slower than a threshold", ("threshold",)),
    Column("forecast_error", "root mean square error of forecasts from held-out series", ("horizon",)),
    Column("forecast_horizon", "steps until that exceeds half the truth's spread", dtype=np.int32),
    Column("turns", "turns of the true cycle that all forecasts from it make", dtype=np.int32),
    Column("phase_error", "largest lateness of forecasts after each turn, in periods", ("turn",)),
    Column("cycle_distance", "largest distance of forecasts from the true cycle"),
)


@dataclasses.dataclass(frozen=True)
class Truth:
    """What forecasts are compared with, (n, K, 2) each: from held-out observations, and from the true cycle.

    The first sample is what the network reads. `cycle` is None where the task has none, or none that samples
    show (`TURN`); n is less than were held out where a solution grows without bounds within the horizon.
    """

    observed: Float[np.ndarray, "n 2"]
    held_out: Float[np.ndarray, "n K 2"]
    cycle: forecasts.Cycle | None
    around: Float[np.ndarray, "m L 2"] | None
    step: float

    @classmethod
    def of(cls, data: Data) -> Truth:
        """Of the task without noise, from where the held-out series were, `HORIZON` steps of it."""
        times = data.step * np.arange(HORIZON + 1)
        held_out = tasks.truth(data.task, data.test_truth[:, 0], times)
        bounded = np.isfinite(held_out).all(axis=(1, 2))
        cycle, around = forecasts.cycle(data.task), None
        if cycle is not None and cycle.period < TURN * data.step:
            cycle = None
        if cycle is not None:
            starts = cycle.points[np.linspace(0, len(cycle.points), PHASES, endpoint=False).astype(int)]
            steps = math.ceil((TURNS + 1.25) * cycle.period / data.step)
            around = tasks.truth(data.task, starts, data.step * np.arange(steps + 1))
        return cls(data.test[bounded, 0], held_out[bounded], cycle, around, data.step)


def read(
    school: School,
    data: Data,
    networks: Sequence[Network],
    snapshots: Sequence[Sequence[Network]],
    diverged: Sequence[int] | np.ndarray,
    note: Callable[[str], None] = lambda text: None,
) -> Variables:
    """The variables that say what each network does, laid out as the school's networks are.

    `snapshots`: the networks after each of the settings' snapshot epochs; `diverged`: see `Trainer`; `note`
    is told what is being read. A network that diverged is `failed` and is not read: its weights can be as
    large as numbers get, and fixed points take forever to find.
    """
    well = [i for i, epoch in enumerate(diverged) if epoch < 0]
    widest = max(school.sizes)
    sizes = {"unit": widest, "mode": widest, "coordinate": 2, "part": 2, "slot": SLOTS, "turn": TURNS + 1}
    sizes |= {"attractor": ATTRACTORS, "sample": SAMPLES, "threshold": len(THRESHOLDS), "horizon": HORIZON}
    table = Table(COLUMNS, len(networks), sizes)
    with jax.enable_x64(True):
        truth, exact = Truth.of(data), [double(network) for network in networks]
        for size in school.sizes:
            if mine := {i: exact[i] for i in well if exact[i].dimension == size}:
                note(f"reading the networks of {size} units")
                _size(table, truth, mine, size)
        history: Variables = {}
        if 2 in school.sizes:
            note("portraits of the networks of 2 units, and of what they were")
            planar = [i for i in well if exact[i].dimension == 2]
            history = _planar(table, school, planar, [exact, *([double(n) for n in s] for s in snapshots)])
    for i, epoch in enumerate(diverged):
        if epoch >= 0:
            table.put("status", i, Status.FAILED)
    return table.variables(school.dims, school.shape) | history | _coordinates(school)


def _coordinates(school: School) -> Variables:
    kept = np.array(school.settings.kept, np.int32)
    steps = np.arange(1, HORIZON + 1, dtype=np.int32)
    speeds = np.array(THRESHOLDS)
    return {
        "horizon": (("horizon",), steps, {"long_name": "steps ahead"}),
        "threshold": (("threshold",), speeds, {"long_name": "speed of the map", "units": "1/step"}),
        "snapshot_epoch": (("snapshot",), kept, {"long_name": "epochs done before each snapshot"}),
    }


def _size(table: Table, truth: Truth, networks: dict[int, Network], size: int) -> None:
    """Everything but portraits and histories, of networks of one size."""
    cells = [one.cell for one in networks.values()]
    found = [fixed_points(cell) for cell in cells]
    starts = in_cube(STARTS, size, 0)
    maps: list[Map] = list(discrete(cells))
    flows: list[Map] = [Flow(cell) for cell in cells]
    # Of two units the plane itself; one has none.
    planes = [np.asarray(one.C) for one in networks.values()] if size > 2 else None
    options: dict[str, Any] = {"centres": [one.h for one in found], "plane": planes}
    reached = {
        "map": attractors(maps, starts, **options),
        "flow": attractors(flows, starts[: STARTS // 2], steps=FLOW_TIME, transient=FLOW_TIME, **options),
    }
    slow = slowness(maps, starts)
    for k, (i, network) in enumerate(networks.items()):
        _fixed(table, i, network, found[k])
        for of, several in reached.items():
            _attractors(table, of, i, network, several[k])
        table.put("map_period", i, reached["map"][k].period)
        table.put("slow_span", i, slow[k].span)
        table.put("slow_drift", i, slow[k].drift)
        table.put("slow_length", i, slow[k].length)
        _forecasts(table, i, network, truth)


def _fixed(table: Table, i: int, network: Network, found: Fixed) -> None:
    d = network.dimension
    unstable = found.n_unstable
    sure = found.certified and found.count <= SLOTS and (unstable >= 0).all()
    table.put("status", i, Status.OK if sure else Status.UNRESOLVED)
    table.put("n_fixed_points", i, found.count)
    if (unstable >= 0).all():
        sinks, sources = (unstable == 0).sum(), (unstable == d).sum()
        table.put("n_sinks", i, sinks)
        table.put("n_sources", i, sources)
        table.put("n_saddles", i, found.count - sinks - sources)
    table.put("fixed_point", i, found.h)
    table.put("fixed_point_output", i, _read(network, found.h))
    for name, values in (("eigenvalue", found.eigenvalue), ("multiplier", found.multiplier)):
        table.put(name, i, np.stack([values.real, values.imag], axis=-1))
    table.put("kind", i, _codes(found.kind, Kind))
    table.put("kind_map", i, _codes(found.kind_map, MapKind))
    table.put("n_unstable", i, unstable)
    table.put("n_unstable_map", i, found.n_unstable_map)


def _attractors(table: Table, of: str, i: int, network: Network, found: Attractors) -> None:
    table.put(f"{of}_n_attractors", i, found.count)
    table.put(f"{of}_class", i, _codes(found.kind, Class))
    for name in ("share", "rotation", "exponent", "exponent_error"):
        table.put(f"{of}_{name}", i, getattr(found, name))
    kept = np.full((min(found.count, ATTRACTORS), SAMPLES, network.dimension), np.nan)
    for k, orbit in enumerate(found.orbit[:ATTRACTORS]):
        # All of a short orbit; of a long one states that are evenly spread in its order.
        some = orbit[np.linspace(0, len(orbit), min(SAMPLES, len(orbit)), endpoint=False).astype(int)]
        kept[k, : len(some)] = some
    table.put(f"{of}_orbit", i, kept)
    table.put(f"{of}_orbit_output", i, _read(network, kept))


def _forecasts(table: Table, i: int, network: Network, truth: Truth) -> None:
    if len(truth.observed):
        found = np.asarray(_forecast(network, truth.observed, HORIZON))
        table.put("forecast_error", i, forecasts.errors(found, truth.held_out[:, 1:]))
        table.put("forecast_horizon", i, forecasts.horizon(found, truth.held_out[:, 1:]))
    if truth.cycle is None or truth.around is None:
        return
    period, points = truth.cycle
    ahead = np.asarray(_forecast(network, truth.around[:, 0], truth.around.shape[1] - 1))
    about: dict[str, Any] = {"period": period, "curve": points}
    phases = [
        forecasts.phase_errors(one, true[1:], truth.step, points.mean(axis=0), **about)
        for one, true in zip(ahead, truth.around, strict=True)
    ]
    turns = min(min(one.turns for one in phases), TURNS)
    table.put("turns", i, turns)
    if any(len(one.error) for one in phases):
        least = min(min(len(one.error) for one in phases), TURNS + 1)
        late = np.array([one.error[:least] for one in phases])
        if least:
            table.put("phase_error", i, late[np.abs(late).argmax(axis=0), np.arange(least)])
    table.put("cycle_distance", i, max(one.distance for one in phases))


def _planar(table: Table, school: School, rows: Sequence[int], ages: list[list[Network]]) -> Variables:
    """Portraits of the networks `rows`, of two units, at the end, `ages[0]`, and after each snapshot, the
    others: put into the table, and as variables of the networks of two units."""
    members = [i for i, member in enumerate(school.members()) if member.dim == 2]
    here = [members.index(i) for i in rows]
    columns = {name: table.columns[name] for name in ("status", "n_stable_cycles", "period")}
    labels = np.full((len(members), len(ages)), "", object)
    past = {
        name: np.full((len(members), len(ages)), -1 if column.dtype is not np.float64 else np.nan)
        for name, column in columns.items()
    }
    past["status"] = np.full(labels.shape, Status.NOT_COMPUTED)
    if rows:
        found = {
            name: values.reshape(len(ages), len(rows), *values.shape[1:])
            for name, values in portraits([age[i].cell for age in ages for i in rows]).items()
        }
        labels[here] = found["topology"].T
        for name, values in past.items():
            values[here] = found[name].T
        for k, i in enumerate(rows):
            for name in ("status", "n_stable_cycles", "n_unstable_cycles", "frequency", "period"):
                table.put(name, i, found[name][0, k])
    classes = np.unique(labels[labels != ""].astype(str))
    code = np.where(labels == "", -1, np.searchsorted(classes, labels.astype(str))).astype(np.int32)
    last = np.full(len(school.members()), -1, np.int32)
    last[members] = code[:, 0]
    shape, dims = (*school.shape[1:], len(ages) - 1), (*school.dims[1:], "snapshot")
    label = {"long_name": "topology, as an index into topology_class", "units": "1"}
    label |= flags(classes.tolist(), np.int32)
    variables: Variables = {
        "topology": (school.dims, last.reshape(school.shape), label),
        "topology_class": (("class",), classes, {"long_name": "label of each topology"}),
        "snapshot_topology": (
            dims,
            code[:, 1:].reshape(shape),
            label | {"long_name": "topology of the networks of two units after so many epochs"},
        ),
    }
    for name, column in columns.items():
        about = {"long_name": f"{column.long_name}, after so many epochs", "units": column.units}
        about |= flags(column.flags) if column.flags is not None else {}
        dtype = np.int8 if column.flags is not None else column.dtype
        variables[f"snapshot_{name}"] = (dims, past[name][:, 1:].reshape(shape).astype(dtype), about)
    return variables


def _read(network: Network, states: np.ndarray) -> np.ndarray:
    return states @ np.asarray(network.C).T + np.asarray(network.c)


def _codes(words: np.ndarray, kind: type[IntEnum]) -> np.ndarray:
    """The numbers of an enumeration's members from their words."""
    known = {member.name.lower().replace("_", " "): int(member) for member in kind}
    return np.array([known[word] for word in words], np.int8)


@eqx.filter_jit
def _forecast(network: Network, observed: Float[Numbers, "n 2"], steps: int) -> Float[jax.Array, "n steps 2"]:
    return jax.vmap(lambda w0: network.forecast(w0, steps))(observed)
