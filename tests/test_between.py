"""From a change of label to its events, on fields whose portraits are known without computing them."""

from __future__ import annotations

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from gru_sweep.analysis.bifurcations.global_events.between import between
from gru_sweep.analysis.separatrices import BORDER, INNER, OUTER
from gru_sweep.records import InputError, Kind, Status
from tests.pumped import DISC, WELL, Pumped, circles, wells

CONNECTED = 1e-5
"""Distance from a connection within which a portrait is not ok."""


class Along(eqx.Module):
    """A pumped field, h' = ... - (p(H) - shift p) grad H."""

    base: Pumped
    shift: Float[Array, ""]

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 1"]) -> Float[Array, " 2"]:
        pump = self.base.pump - self.shift * p[0] * jnp.asarray([1.0, 0.0, 0.0, 0.0])
        return eqx.tree_at(lambda field: field.pump, self.base, pump)(h)


def columns(n: int) -> dict[str, np.ndarray]:
    """n portraits of nothing."""
    return {
        "status": np.zeros(n, np.int8),
        "n_fixed_points": np.zeros(n, np.int16),
        "fixed_point": np.full((n, 16, 2), np.nan),
        "kind": np.full((n, 16), -1, np.int8),
        "branch_end": np.full((n, 16, 4), -1, np.int8),
        "branch_rank": np.full((n, 16, 4), -1, np.int8),
        "cycle_stable": np.full((n, 8), -1, np.int8),
        "cycle_sense": np.zeros((n, 8), np.int8),
        "cycle_encloses": np.zeros((n, 8), np.int32),
        "cycle_within": np.full((n, 8), -1, np.int8),
        "cycle_period": np.full((n, 8), np.nan),
        "cycle_point": np.full((n, 8, 2), np.nan),
    }


def cycle(table: dict, i: int, k: int, stable: int, around: int, within: int, point) -> None:
    """One cycle, clockwise, its period made up."""
    table["cycle_stable"][i, k], table["cycle_sense"][i, k] = stable, -1
    table["cycle_encloses"][i, k], table["cycle_within"][i, k] = around, within
    table["cycle_period"][i, k], table["cycle_point"][i, k] = 5.0 + 0.1 * k, point


def eights(values: np.ndarray) -> dict[str, np.ndarray]:
    """`wells`, p(H) = H - p: for p < 0 a cycle in each well, for p > 0 one around both and the saddle."""
    table = columns(len(values))
    for i, p in enumerate(values):
        table["status"][i] = Status.NEAR_BIFURCATION if abs(p) < CONNECTED else Status.OK
        table["n_fixed_points"][i] = 3
        table["fixed_point"][i, :3] = [[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
        table["kind"][i, :3] = Kind.UNSTABLE_FOCUS, Kind.SADDLE, Kind.UNSTABLE_FOCUS
        radius = math.sqrt(1.0 + math.sqrt(1.0 + 4.0 * p))  # where H = p on y = 0
        if p < 0.0:
            cycle(table, i, 0, 1, 4, -1, [radius, 0.0])
            cycle(table, i, 1, 1, 1, -1, [-radius, 0.0])
            table["branch_end"][i, 1] = OUTER, BORDER, OUTER + 2, BORDER
            table["branch_rank"][i, 1] = 0, 1, 0, 0
        else:
            cycle(table, i, 0, 1, 7, -1, [radius, 0.0])
            table["branch_end"][i, 1] = INNER, 0, INNER, 2
            table["branch_rank"][i, 1] = 1, 0, 0, 0
    return table


def annuli(values: np.ndarray) -> dict[str, np.ndarray]:
    """`circles`, p(H) = 2 (H - 1/2)^2 - p: for p > 0 an unstable cycle inside a stable one around a sink."""
    table = columns(len(values))
    for i, p in enumerate(values):
        table["n_fixed_points"][i] = 1
        table["fixed_point"][i, 0] = 0.0
        table["kind"][i, 0] = Kind.STABLE_FOCUS
        if p > 0.0:
            for k, sign in enumerate((1, -1)):
                point = [math.sqrt(1.0 + sign * math.sqrt(2.0 * p)), 0.0]
                cycle(table, i, k, 1 - k, 1, k - 1, point)
    return table


def row(portraits, p: float) -> dict[str, np.ndarray]:
    return {name: column[0] for name, column in portraits(np.array([p])).items()} | {"value": np.float64(p)}


def along(field: Pumped, shift: float = 1.0) -> Along:
    return Along(field, jnp.asarray(shift))


def found(field: Along, portraits, ends: tuple[float, float], corner) -> list:
    box = {"lower": -np.array(corner), "upper": np.array(corner)}
    return between(field, row(portraits, ends[0]), row(portraits, ends[1]), portraits, **box)


def test_two_loops_at_once():
    """By symmetry both branches of the saddle connect at p = 0: two events, with the labels on both sides."""
    events = found(along(wells(0.0)), eights, (-0.13, 0.2), WELL)
    assert [event.kind for event in events] == ["homoclinic"] * 2
    pairs = {(event.details["source_branch"], event.details["target_branch"]) for event in events}
    assert {a for a, _ in pairs} == {0, 2}
    assert {b for _, b in pairs} == {1, 3}
    for event in events:
        assert abs(event.value) <= event.error < 1e-11
        assert event.before == "2cycle+(source),saddle[a,a]"
        assert event.after == "cycle+(2source,saddle[a,a])"
        assert event.details["saddle_quantity"] == pytest.approx(0.0, abs=1e-9)


def test_a_fold_of_cycles():
    """Its value, its radius and its period 2 pi."""
    (event,) = found(along(circles(1.0, 1.0, strength=2.0)), annuli, (-0.1, 0.11), DISC)
    assert event.kind == "cycle fold"
    assert abs(event.value) <= event.error < 1e-11
    assert (event.before, event.after) == ("sink", "cycle+(ucycle+(sink))")
    assert np.linalg.norm(event.at) == pytest.approx(1.0, abs=1e-5)
    assert event.details["period"] == pytest.approx(2 * math.pi, abs=1e-9)


def test_the_parameter_may_run_the_other_way():
    """The same with cycles before and none after."""
    (event,) = found(along(circles(1.0, 1.0, strength=2.0), -1.0), lambda p: annuli(-p), (-0.1, 0.11), DISC)
    assert event.kind == "cycle fold"
    assert abs(event.value) <= event.error < 1e-11
    assert (event.before, event.after) == ("cycle+(ucycle+(sink))", "sink")


def test_a_change_that_nothing_explains_is_unresolved():
    """Portraits that claim two more cycles beyond p = 0.05, where the field has none: beside what is found,
    the change is left as narrow as it was seen."""

    def claimed(values: np.ndarray) -> dict[str, np.ndarray]:
        table = eights(values)
        for i in np.flatnonzero(values > 0.05):
            cycle(table, i, 1, 0, 7, 2, [1.6, 0.0])
            cycle(table, i, 2, 1, 7, -1, [1.7, 0.0])
            table["cycle_within"][i, 0] = 1
        return table

    events = found(along(wells(0.0)), claimed, (-0.13, 0.2), WELL)
    assert [event.kind for event in events] == ["homoclinic", "homoclinic", "unresolved"]
    last = events[-1]
    assert abs(last.value - 0.05) <= last.error < 1e-5
    assert last.before == "cycle+(2source,saddle[a,a])"
    assert last.after == "cycle+(ucycle+(cycle+(2source,saddle[a,a])))"


def test_nothing_happens_where_the_label_stays():
    def refuse(values: np.ndarray) -> dict[str, np.ndarray]:
        raise AssertionError("no portrait is needed")

    box = {"lower": -np.array(WELL), "upper": np.array(WELL)}
    assert between(along(wells(0.0)), row(eights, 0.1), row(eights, 0.2), refuse, **box) == []


def test_refused():
    box = {"lower": -np.array(WELL), "upper": np.array(WELL)}
    field, left, right = along(wells(0.0)), row(eights, -0.1), row(eights, 0.1)
    cases = [
        ("after", right, left),
        ("before", row(eights, -1e-6), right),
        ("after", left, row(eights, 1e-6)),
    ]
    for name, before, after in cases:
        with pytest.raises(InputError) as refused:
            between(field, before, after, eights, **box)
        assert refused.value.argument == name
