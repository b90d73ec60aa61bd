"""A sample of a file's points computed once more, and compared."""

from __future__ import annotations

import re
from dataclasses import dataclass

import jax
import numpy as np

from .. import provenance, studies
from ..records import Status
from ..studies import Plan
from ..sweeps.damage import where
from ..sweeps.grid import Block
from ..sweeps.reading import attributes_of
from .contents import Contents, point

AGREEMENT = {"float64": 1e-7, "float32": 1e-4}
"""By how much a float may differ, of the larger of its size and 1: a period with a larger relative error than
this is not called ok (`limit_cycles.ILL`), states and eigenvalues are far more exact. On the machine that
computed a point nothing differs at all."""
EFFORT = ("boxes",)
"""Columns that say how hard it was to find out: the last bit of another machine may change them."""


@dataclass(frozen=True)
class Comparison:
    """`points` were compared, `differing` of them differ in more than rounding; `first` says how one does.

    `largest` is the largest difference of floats that counts as rounding. `undecided` points are ok on one
    machine and not on the other; there are none where `alike` says that the machines are.
    """

    points: int
    differing: int
    first: str
    largest: float
    undecided: int
    alike: bool


def compare(contents: Contents, plan: Plan, sample: int, seed: int) -> Comparison:
    """Compute at most `sample` points of a file anew, with the program of its plan, and compare all columns.

    Where another kind of machine, or another JAX, computed the file, points that are not ok on both are only
    counted: rounding decides what is left unresolved beside a bifurcation.
    """
    alike = on_machine_alike(contents)
    parts, coordinates, at = [], [], []
    for block, places in contents.drawn(sample, seed):
        try:
            parts.append(_stored(contents, block, places))
        except OSError:  # damaged, in a column that nothing else reads
            continue
        coordinates.append(_coordinates(contents, plan, block, places))
        at += [(block, place) for place in places.tolist()]
    if not at:
        return Comparison(0, 0, "", 0.0, 0, alike)
    stored = _joined(parts)
    with jax.enable_x64(plan.precision == "float64"):
        fresh = dict(studies.evaluator(plan)(_joined(coordinates)))
    label = contents.labeller
    if label is not None:
        fresh[label.name] = np.asarray(label.function(fresh), dtype=np.str_)
    then_ok, now_ok = (np.asarray(columns["status"]) == Status.OK for columns in (stored, fresh))
    counted = np.ones(len(at), bool) if alike else then_ok & now_ok
    wrong, largest, first = np.zeros(len(at), bool), 0.0, ""
    for name, then in stored.items():
        if name in EFFORT and not alike:
            continue
        differs, worst = _differs(then, np.asarray(fresh[name]), AGREEMENT[plan.precision])
        differs &= counted
        largest = max(largest, float(np.max(worst, where=counted & ~differs, initial=0.0)))
        if differs.any() and not first:
            i = int(np.flatnonzero(differs)[0])
            here = where(contents.status, point(*at[i]))
            first = f"{name} at {here}: {_shown(then[i])} in the file, {_shown(fresh[name][i])} computed"
        wrong |= differs
    undecided = 0 if alike else int(np.sum(then_ok != now_ok))
    return Comparison(len(at), int(wrong.sum()), first, largest, undecided, alike)


def on_machine_alike(contents: Contents) -> bool:
    """Whether this kind of machine and this JAX computed the file, so that all bits are to be the same."""
    about = attributes_of(contents.file)
    here = _kind(provenance.device()), jax.__version__
    return (_kind(str(about["device"])), about["jax_version"]) == here


def _stored(contents: Contents, block: Block, places: np.ndarray) -> dict[str, np.ndarray]:
    """All columns, and the label in words, at places (k,) of a block."""
    found: dict[str, np.ndarray] = {}
    for name in contents.columns:  # one at a time: a block of all of them is large
        found[name] = contents.values([name], block)[name][places]
    if contents.labeller is not None:
        name = contents.labeller.name
        found[name] = contents.words(contents.values([name], block)[name][places])
    return found


def _coordinates(contents: Contents, plan: Plan, block: Block, places: np.ndarray) -> dict[str, np.ndarray]:
    """The coordinates (k,) of places (k,) of a block."""
    if plan.refine is not None:
        return {name: contents.values([name], block)[name][places] for name in plan.grid.names}
    at = np.unravel_index(places, block.shape)
    return {
        axis.name: axis.values[start + i]
        for axis, start, i in zip(plan.grid.axes, block.start, at, strict=True)
    }


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _differs(then: np.ndarray, now: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Which points (n,) differ in more than rounding, and by how much all of them do."""
    n = len(then)
    if then.dtype.kind != "f":
        return (then != now).reshape(n, -1).any(axis=1), np.zeros(n)
    one, other = (a.reshape(n, -1).astype(np.float64) for a in (then, now))
    same = (one == other) | (np.isnan(one) & np.isnan(other))  # infinities, too
    with np.errstate(invalid="ignore"):
        away = np.where(same, 0.0, np.abs(one - other) / np.maximum(1.0, np.abs(one)))
    worst = away.max(axis=1)  # nan where only one of both is
    return ~np.less_equal(worst, tolerance), worst


def _kind(device: str) -> str:
    """The device without its number: what is done is the same on one and on many."""
    return re.sub(r"(?<=\()\d+ x |, \d+ cores", "", device)


def _shown(value: object) -> str:
    """A value, cut short."""
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:56]} ..."
