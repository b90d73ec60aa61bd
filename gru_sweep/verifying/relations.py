"""What must hold between the columns that a file has of one point, whatever the point.

A relation reads some columns and says at which points it does not hold; a measure that lacks one of them is
not asked. Every relation is true of all that the measures return, so that a point where one fails was changed
after it was computed, or computed wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..analysis.checks import Check
from ..records import Kind, Status

Columns = Mapping[str, np.ndarray]

ROUNDING = 4
"""Units in the last place by which the product of a number and its reciprocal may miss 1: the division and
the product are rounded, an accelerator's division a little worse."""

_SINKS = (Kind.STABLE_NODE, Kind.STABLE_FOCUS)
_SOURCES = (Kind.UNSTABLE_NODE, Kind.UNSTABLE_FOCUS)


@dataclass(frozen=True)
class Relation:
    """`broken` takes the columns named in `needs`, each (n, ...), and says where it does not hold, (n,)."""

    words: str
    needs: tuple[str, ...]
    broken: Callable[[Columns], np.ndarray]


def of(names: Iterable[str]) -> list[Relation]:
    """The relations between some of the columns `names`."""
    known = set(names)
    return [relation for relation in RELATIONS if known.issuperset(relation.needs)]


def _ok(c: Columns) -> np.ndarray:
    return c["status"] == Status.OK


def _wide(c: Columns, *names: str) -> np.ndarray:
    """The sum of counts, in integers that hold it."""
    return np.sum([c[name].astype(np.int64) for name in names], axis=0)


def _index(c: Columns) -> np.ndarray:
    return _wide(c, "n_sinks", "n_sources") - c["n_saddles"]


def _kinds(c: Columns, kinds: tuple[Kind, ...], count: str) -> np.ndarray:
    return (c[count] >= 0) & (np.isin(c["kind"], kinds).sum(axis=-1) != c[count])


def _reciprocal(c: Columns) -> np.ndarray:
    product = c["frequency"] * c["period"]
    unequal = np.isnan(c["frequency"]) != np.isnan(c["period"])
    return unequal | (np.abs(product - 1) > ROUNDING * np.finfo(product.dtype).eps)


def _cycles(c: Columns) -> np.ndarray:
    """Points that do not have as many cycles, stable and in all, as they say."""
    known = (c["n_stable_cycles"] >= 0) & (c["n_unstable_cycles"] >= 0)
    stable = (c["cycle_stable"] == 1).sum(axis=-1) != c["n_stable_cycles"]
    there = np.isfinite(c["cycle_period"]).sum(axis=-1)
    return known & (stable | (there != _wide(c, "n_stable_cycles", "n_unstable_cycles")))


_COUNTS = ("n_fixed_points", "n_sinks", "n_sources", "n_saddles", "n_stable_cycles")

RELATIONS = (
    Relation(
        "an ok point has all its counts",
        ("status", *_COUNTS),
        lambda c: _ok(c) & np.any([c[name] < 0 for name in _COUNTS], axis=0),
    ),
    Relation(
        "n_fixed_points = n_sinks + n_sources + n_saddles",
        ("status", *_COUNTS[:4]),
        lambda c: _ok(c) & (c["n_fixed_points"] != _wide(c, "n_sinks", "n_sources", "n_saddles")),
    ),
    Relation(
        "n_sinks + n_sources - n_saddles = index_sum = 1, as in every box that the flow enters",
        ("status", "index_sum", "n_sinks", "n_sources", "n_saddles"),
        lambda c: _ok(c) & ((_index(c) != 1) | (c["index_sum"] != 1)),
    ),
    Relation(
        "as many kinds as fixed points",
        ("kind", "n_fixed_points"),
        lambda c: _kinds(c, tuple(kind for kind in Kind if kind != Kind.NOT_COMPUTED), "n_fixed_points"),
    ),
    Relation("as many stable kinds as sinks", ("kind", "n_sinks"), lambda c: _kinds(c, _SINKS, "n_sinks")),
    Relation(
        "as many unstable kinds as sources",
        ("kind", "n_sources"),
        lambda c: _kinds(c, _SOURCES, "n_sources"),
    ),
    Relation(
        "as many saddles as n_saddles",
        ("kind", "n_saddles"),
        lambda c: _kinds(c, (Kind.SADDLE,), "n_saddles"),
    ),
    Relation(
        "all fixed points are certified where their number is known",
        ("certified", "n_fixed_points"),
        lambda c: (c["n_fixed_points"] >= 0) & (c["certified"] != 1),
    ),
    Relation("frequency x period = 1", ("frequency", "period"), _reciprocal),
    Relation(
        "a frequency just where there is a stable cycle",
        ("n_stable_cycles", "frequency"),
        lambda c: (c["n_stable_cycles"] >= 0) & ((c["n_stable_cycles"] > 0) != (c["frequency"] > 0)),
    ),
    Relation(
        "a positive amplitude just where there is a frequency",
        ("frequency", "amplitude"),
        lambda c: np.isfinite(c["frequency"]) != (c["amplitude"] > 0).all(axis=-1),
    ),
    Relation(
        "no cycle where Bendixson's criterion excludes them",
        ("cycles_excluded", "n_stable_cycles", "n_unstable_cycles"),
        lambda c: (c["cycles_excluded"] == 1) & ((c["n_stable_cycles"] > 0) | (c["n_unstable_cycles"] > 0)),
    ),
    Relation(
        "as many cycles, stable and in all, as their counts say",
        ("cycle_stable", "cycle_period", "n_stable_cycles", "n_unstable_cycles"),
        _cycles,
    ),
    Relation(
        "an ok portrait passed its checks",
        ("status", "check"),
        lambda c: _ok(c) & (c["check"] != Check.PASSED),
    ),
)
