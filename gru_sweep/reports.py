"""Results as text for people: what can be swept, what a run came to, what is in a file."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from .analysis.bifurcations.line import Located
    from .learning.course import Outcome as Trained
    from .measures import Measure
    from .outcomes import Outcome
    from .studies import Plan
    from .systems.families import Family


_SPECIAL = ("kind", "curve", "at", "error", "proven")
"""What every point of codimension two has, besides its coordinates in the plane."""
FEW = 8
"""Values of an axis that are listed."""


def catalogue(families: Mapping[str, Family], measures: Mapping[str, Measure]) -> str:
    """Families with their equations, coordinates and defaults; then the measures."""
    return "\n".join(_catalogue(families, measures))


def outcome(plan: Plan, result: Outcome) -> str:
    """A table of points by status, and how fast they were computed."""
    from .outcomes import RefinedOutcome

    shape = " x ".join(f"{axis.name} {axis.size}" for axis in plan.grid.axes)
    lines = [f"{result.file}: {result.points} points ({shape})"]
    lines += [f"  {word:<17}{count:>10}" for word, count in result.counts.items() if count]
    if plan.share is not None and not result.complete:
        lines[0] = f"{result.file}: {result.points} of {plan.grid.size} points ({shape}), those of this job"
        lines.append(f"when all {plan.share.jobs} jobs are done: gru-sweep pack {result.file}")
    if isinstance(result, RefinedOutcome):
        lines.append(
            f"refined {result.levels} times: {result.leaves} leaves, {100 * result.share:.3g} % of "
            f"{result.effective_points} points computed; of the others at most "
            f"{100 * result.wrong_share_bound:.2g} % read wrongly (95 % confidence)"
        )
    speed = f"{result.points_per_second:{'.0f' if result.points_per_second >= 10 else '.2g'}} points/s, "
    rate = speed if result.computed else "nothing was missing, "
    lines.append(
        f"{rate}{result.compile_seconds:.1f} s compiling, {result.seconds:.1f} s in all, "
        f"{result.precision} on {result.device}"
    )
    return "\n".join(lines)


def trained(result: Trained) -> str:
    """How many networks were trained, by status, and how well each size does."""
    lines = [f"{result.file}: {result.points} networks"]
    lines += [f"  {word:<17}{count:>10}" for word, count in result.counts.items() if count]
    lines.append("mean square error of a held-out number, median of each size")
    for size, loss in result.final_loss.items():
        lines.append(f"  {size + ' units':<17}{'diverged' if loss is None else f'{loss:.3g}':>10}")
    rate = f"{result.epochs_per_second:.0f} epochs/s, " if result.epochs else "nothing was missing, "
    lines.append(
        f"{rate}{result.compile_seconds:.1f} s compiling, {result.seconds:.1f} s in all, "
        f"{result.precision} on {result.device}"
    )
    return "\n".join(lines)


def portrait(about: Mapping[str, Any]) -> str:
    """A phase portrait, given as its JSON object (`PhasePortrait.to_dict`), in tables."""
    return "\n".join(_portrait(about))


def events(found: Located) -> str:
    """The bifurcations on a line, one a row, and what is not known of them."""
    return "\n".join(_events(found))


def curves(file: str, about: Mapping[str, Any]) -> str:
    """Bifurcation curves in a plane, given as `atlas.summary` gives them."""
    return "\n".join(_curves(file, about))


def contents(about: Mapping[str, Any]) -> str:
    """What `sweeps.store.describe` found, for reading."""
    return "\n".join(_contents(about))


def training(about: Mapping[str, Any]) -> str:
    """What `learning.reading.describe` found, for reading."""
    return "\n".join(_training(about))


def _catalogue(families: Mapping[str, Family], measures: Mapping[str, Measure]) -> Iterator[str]:
    for family in families.values():
        yield f"{family.name}: {family.title}"
        yield f"  {family.equation}"
        for c in family.coordinates:
            default = "of the file" if c.default is None else f"{c.default:.9g}"
            default = default if c.follows is None else f"follows {c.follows}"
            swept = "" if c.axis is None else f", axis {c.axis[0]:.9g}:{c.axis[1]:.9g}:{c.axis[2]}"
            yield f"  {c.name} ({_named(c.long_name, c.units)}): default {default}{swept}"
    for measure in measures.values():
        yield f"--measure {measure.name}: {measure.title}"


def _events(found: Located) -> Iterator[str]:
    proof = "all bifurcations of fixed points proven" if found.complete else "not complete"
    yield f"{_counted(len(found), 'event')} on this line, {proof}"
    if len(found):
        yield _table(
            ("kind", "value", "error", "state", "from", "to"),
            (
                (
                    f"{event.details['type']} {event.kind}" if event.kind == "hopf" else event.kind,
                    f"{event.value:.15g}",
                    f"{event.error:.1e}",
                    _numbers(event.at),
                    event.before or "?",
                    event.after or "?",
                )
                for event in found
            ),
        )
    yield from (f"warning: {text}" for text in found.warnings)


def _curves(file: str, about: Mapping[str, Any]) -> Iterator[str]:
    sure = "all that meet the lines, proven" if about["complete"] else "not complete"
    yield f"{file}: {_counted(len(about['curves']), 'curve')}, {sure}"
    if about["curves"]:
        rows = (
            [c["kind"], c["begins"], c["ends"], str(c["vertices"]), c.get("on_cycle", "")]
            for c in about["curves"]
        )
        yield _table(("kind", "begins", "ends", "vertices", "on a cycle"), rows)
    if about["codimension_two"]:
        names = [name for name in about["codimension_two"][0] if name not in _SPECIAL]
        yield _table(
            ("kind", *names, "state", "error"),
            (
                [p["kind"], *(f"{p[name]:.12g}" for name in names), _numbers(p["at"]), f"{p['error']:.1e}"]
                for p in about["codimension_two"]
            ),
        )
    yield from (f"warning: {text}" for text in about["warnings"])


def _portrait(about: Mapping[str, Any]) -> Iterator[str]:
    points, cycles = about["fixed_points"], about["limit_cycles"]
    proof = "all fixed points proven" if about["certified"] else "not certified"
    yield f"{about['dimension']} units: {about['status']}, {proof}, index sum {_number(about['index_sum'])}"
    yield f"topology: {about['topology'] or 'not known'}"
    yield _counted(len(points), "fixed point")
    if points:
        yield _table(
            ("", "kind", "state", "eigenvalues", "residual"),
            (
                (str(i), _kind(p), _numbers(p["h"]), _complex(p["eigenvalues"]), _number(p["residual"]))
                for i, p in enumerate(points)
            ),
        )
    yield _counted(len(cycles), "limit cycle")
    if cycles:
        yield _table(
            ("", "stability", "sense", "period", "frequency", "amplitude", "multipliers", "encloses"),
            (
                (
                    str(i),
                    ("stable" if c["stable"] else "unstable") + (", hidden" if c["hidden"] else ""),
                    c["sense"] or "not known",
                    _number(c["period"]),
                    _number(c["frequency"]),
                    _numbers(c["amplitude"]),
                    _complex(c["floquet_multipliers"]),
                    "not known" if c["encloses"] is None else " ".join(map(str, c["encloses"])),
                )
                for i, c in enumerate(cycles)
            ),
        )
    yield from (f"warning: {text}" for text in about["warnings"])


def _contents(about: Mapping[str, Any]) -> Iterator[str]:
    points, done, width = about["points"], about["done"], _width(about)
    state = "finished" if about["complete"] else f"{done} of {points} points done ({100 * done // points} %)"
    writer = f", being written by {about['writer']}" if about["writer"] else ""
    yield f"{about['file']}: {points} points, {state}{writer}, {about['bytes']} bytes"
    yield "axes"
    for name, axis in about["axes"].items():
        span = f"{axis['first']:.9g} to {axis['last']:.9g}, {axis['size']} values"
        yield f"  {name:<{width}}{span}  {_named(axis['long_name'], axis['units'])}"
    yield from _rest(about, "points")


def _training(about: Mapping[str, Any]) -> Iterator[str]:
    epochs, done, width = about["epochs"], about["done"], _width(about)
    state = "finished" if about["complete"] else f"{done} of {epochs} epochs done ({100 * done // epochs} %)"
    writer = f", being written by {about['writer']}" if about["writer"] else ""
    lost = f", {about['diverged']} of them diverged" if about["diverged"] else ""
    yield f"{about['file']}: {about['points']} networks, {state}{lost}{writer}, {about['bytes']} bytes"
    yield "axes"
    for name, axis in about["axes"].items():
        values = axis["values"]
        few = ", ".join(f"{value:g}" for value in values)
        many = f"{values[0]:g} to {values[-1]:g}, {len(values)} values"
        yield f"  {name:<{width}}{few if len(values) <= FEW else many}  {axis['long_name']}"
    yield from _rest(about, "networks")


def _width(about: Mapping[str, Any]) -> int:
    sections = ("axes", "variables", "counts", "attributes")
    return max(len(name) for section in sections for name in about[section]) + 2


def _rest(about: Mapping[str, Any], noun: str) -> Iterator[str]:
    """Variables, counts of `noun` and attributes."""
    width = _width(about)
    yield "variables"
    for name, variable in about["variables"].items():
        dims = ", ".join(variable["dims"])
        meaning = _named(variable["long_name"], variable["units"])
        yield f"  {name:<{width}}{variable['dtype']} ({dims})  {meaning}"
    if about["counts"]:
        yield f"{noun} by status"
        for word, count in about["counts"].items():
            yield f"  {word:<{width}}{count}"
    yield "made by"
    for name, value in about["attributes"].items():
        yield f"  {name:<{width}}{value}"


def _kind(point: Mapping[str, Any]) -> str:
    singularity = point.get("singularity")
    return point["kind"] if singularity is None else f"{point['kind']} ({singularity})"


def _named(long_name: str, units: str) -> str:
    return long_name if units in ("1", "") else f"{long_name} in {units}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    table = Table(*head, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for row in rows:
        table.add_row(*row)
    # Brackets are text here, not markup, and no line is folded: a reader may be another program.
    paper = io.StringIO()
    console = Console(file=paper, width=10_000, color_system=None, markup=False, highlight=False, emoji=False)
    console.print(table)
    return "\n".join(f"  {line.rstrip()}" for line in paper.getvalue().splitlines())


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _number(value: float | int | None) -> str:
    return "not known" if value is None else f"{value:.9g}"


def _numbers(values: Iterable[float | None]) -> str:
    return ", ".join(_number(value) for value in values)


def _complex(pairs: Iterable[Sequence[float | None]]) -> str:
    return ", ".join(
        _number(re) if not im else "not known" if re is None else f"{re:.6g}{im:+.6g}i" for re, im in pairs
    )
