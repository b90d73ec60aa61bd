"""Results as text for people: what can be swept, what a run came to, what is in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .studies import Measure, Outcome, Plan
    from .systems.families import Family


def catalogue(families: Mapping[str, Family], measures: Mapping[str, Measure]) -> str:
    """Families with their equations, coordinates and defaults; then the measures."""
    return "\n".join(_catalogue(families, measures))


def outcome(plan: Plan, result: Outcome) -> str:
    """A table of points by status, and how fast they were computed."""
    shape = " x ".join(f"{axis.name} {axis.size}" for axis in plan.grid.axes)
    lines = [f"{result.file}: {result.points} points ({shape})"]
    lines += [f"  {word:<17}{count:>10}" for word, count in result.counts.items() if count]
    rate = f"{result.points_per_second:.0f} points/s, " if result.computed else "nothing was missing, "
    lines.append(
        f"{rate}{result.compile_seconds:.1f} s compiling, {result.seconds:.1f} s in all, {result.device}"
    )
    return "\n".join(lines)


def contents(about: Mapping[str, Any]) -> str:
    """What `sweeps.store.describe` found, for reading."""
    return "\n".join(_contents(about))


def _catalogue(families: Mapping[str, Family], measures: Mapping[str, Measure]) -> Iterator[str]:
    for family in families.values():
        yield f"{family.name}: {family.title}"
        yield f"  {family.equation}"
        for c in family.coordinates:
            default = f"follows {c.default}" if isinstance(c.default, str) else f"{c.default:.9g}"
            swept = "" if c.axis is None else f", axis {c.axis[0]:.9g}:{c.axis[1]:.9g}:{c.axis[2]}"
            yield f"  {c.name} ({_named(c.long_name, c.units)}): default {default}{swept}"
    for measure in measures.values():
        yield f"--measure {measure.name}: {measure.title}"


def _contents(about: Mapping[str, Any]) -> Iterator[str]:
    points, done = about["points"], about["done"]
    sections = ("axes", "variables", "counts", "attributes")
    width = max(len(name) for section in sections for name in about[section]) + 2
    state = "finished" if about["complete"] else f"{done} of {points} points done ({100 * done // points} %)"
    writer = f", being written by {about['writer']}" if about["writer"] else ""
    yield f"{about['file']}: {points} points, {state}{writer}, {about['bytes']} bytes"
    yield "axes"
    for name, axis in about["axes"].items():
        span = f"{axis['first']:.9g} to {axis['last']:.9g}, {axis['size']} values"
        yield f"  {name:<{width}}{span}  {_named(axis['long_name'], axis['units'])}"
    yield "variables"
    for name, variable in about["variables"].items():
        dims = ", ".join(variable["dims"])
        meaning = _named(variable["long_name"], variable["units"])
        yield f"  {name:<{width}}{variable['dtype']} ({dims})  {meaning}"
    if about["counts"]:
        yield "points by status"
        for word, count in about["counts"].items():
            yield f"  {word:<{width}}{count}"
    yield "made by"
    for name, value in about["attributes"].items():
        yield f"  {name:<{width}}{value}"


def _named(long_name: str, units: str) -> str:
    return long_name if units in ("1", "") else f"{long_name} in {units}"
