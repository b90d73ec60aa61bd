"""The JSON object of a portrait: its keys, its values, and what it says where something is not known."""

from __future__ import annotations

import json
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from gru_sweep.analysis.checks import Check
from gru_sweep.analysis.description import describe
from gru_sweep.analysis.portrait import PhasePortrait, phase_portrait
from gru_sweep.analysis.states import replace
from gru_sweep.records import Kind, Status, meaning
from gru_sweep.systems.cells import GRU
from tests.pumped import CASES, CONNECTED, solved

KEYS = {
    *("dimension", "fixed_points", "limit_cycles", "index_sum", "certified", "topology", "status"),
    "warnings",
}
POINT = {"h", "eigenvalues", "n_unstable", "kind", "residual"}
CYCLE = {"period", "frequency", "stable", "floquet_multipliers", "amplitude", "encloses"}
KINDS = {meaning(kind) for kind in Kind} - {"not computed"}
EVERY = [*CASES, *CONNECTED]


def strict(about: dict[str, Any]) -> dict[str, Any]:
    """Through JSON and back, without NaN: nothing in it is anything else than JSON has."""
    return json.loads(json.dumps(about, allow_nan=False))


@pytest.mark.parametrize("name", EVERY)
def test_the_keys_are_those_that_are_promised(name):
    about = solved(name).to_dict()
    assert strict(about) == about
    assert set(about) >= KEYS
    assert about["dimension"] == 2
    for point in about["fixed_points"]:
        assert set(point) >= POINT
        assert point["kind"] in KINDS
        assert len(point["h"]) == 2
        assert np.shape(point["eigenvalues"]) == (2, 2)
    for cycle in about["limit_cycles"]:
        assert set(cycle) >= CYCLE
        assert np.shape(cycle["floquet_multipliers"]) == (2, 2)
        assert len(cycle["amplitude"]) == 2
    assert all(isinstance(text, str) and text for text in about["warnings"])


@pytest.mark.parametrize("name", CASES)
def test_a_portrait_that_is_resolved(name):
    one = solved(name)
    about = one.to_dict()
    assert (about["status"], about["check"], about["topology"]) == ("ok", "passed", CASES[name][2])
    assert (about["certified"], about["index_sum"], about["warnings"]) == (True, 1, [])
    assert len(about["fixed_points"]) == one.n_fixed_points
    field = CASES[name][0]
    for i, point in enumerate(about["fixed_points"]):
        assert point["h"] == one.fixed_point[i].tolist()
        assert point["kind"] == meaning(Kind(int(one.kind[i])))
        real = [re for re, _ in point["eigenvalues"]]
        assert point["n_unstable"] == sum(re > 0 for re in real)
        assert point["residual"] == float(np.abs(field(jnp.asarray(one.fixed_point[i]))).max())
        assert point["residual"] < 1e-10
        assert 0 <= point["error"] < 1e-10
        ends = one.branch_end[i].tolist()
        assert point["branches"] == (ends if point["kind"] == "saddle" else None)


@pytest.mark.parametrize("name", [name for name in CASES if "cycle" in CASES[name][2]])
def test_its_cycles(name):
    one = solved(name)
    cycles = one.to_dict()["limit_cycles"]
    assert len(cycles) == one.n_stable_cycles + one.n_unstable_cycles
    assert sum(cycle["stable"] for cycle in cycles) == one.n_stable_cycles
    for k, cycle in enumerate(cycles):
        assert cycle["period"] * cycle["frequency"] == pytest.approx(1)
        (trivial, nothing), (multiplier, none) = cycle["floquet_multipliers"]
        assert (trivial, nothing, none) == (1.0, 0.0, 0.0)
        assert multiplier == pytest.approx(math.exp(cycle["log_multiplier"]))
        assert (multiplier < 1) == cycle["stable"]
        assert sum(1 << i for i in cycle["encloses"]) == one.cycle_encloses[k]
        assert cycle["sense"] == ("counterclockwise" if one.cycle_sense[k] == 1 else "clockwise")
        around = cycle["within"]
        assert around is None or set(cycle["encloses"]) <= set(cycles[around]["encloses"])
        assert cycle["hidden"] == (one.cycle_hidden[k] == 1)
        assert cycle["basin_hidden"] == (one.cycle_basin_hidden[k] == 1)


def test_every_kind_of_cycle_is_among_them():
    everything = [c for name in CASES for c in solved(name).to_dict()["limit_cycles"]]
    for key in ("stable", "hidden", "basin_hidden"):
        assert {cycle[key] for cycle in everything} == {True, False}
    assert {cycle["sense"] for cycle in everything} == {"clockwise", "counterclockwise"}
    assert {cycle["within"] for cycle in everything} >= {None, 0}


@pytest.mark.parametrize("name", CONNECTED)
def test_what_is_not_resolved_is_said(name):
    one = solved(name)
    about = one.to_dict()
    assert about["topology"] == ""
    assert about["status"] == meaning(Status(int(one.status))) != "ok"
    assert about["warnings"]
    for cycle in about["limit_cycles"]:
        assert cycle["basin_hidden"] is None


def changed(name: str, **changes: Any) -> PhasePortrait:
    """The portrait of a case with other numbers in it."""
    return replace(solved(name), **{field: np.asarray(value) for field, value in changes.items()})


def test_what_is_not_known_is_none_and_has_a_warning():
    blind = changed(
        "Stuart-Landau",
        status=Status.UNRESOLVED,
        check=Check.CYCLES_NOT_RESOLVED,
        n_stable_cycles=-1,
        cycle_sense=np.zeros(8, int),
        cycle_encloses=np.zeros(8, int),
    )
    about = strict(describe(blind))
    (cycle,) = about["limit_cycles"]
    assert [cycle[k] for k in ("encloses", "sense", "within", "hidden", "basin_hidden")] == [None] * 5
    assert "not resolved: cycles not resolved" in about["warnings"]
    assert any("limit cycles" in text for text in about["warnings"])

    unproven = changed(
        "Stuart-Landau", status=Status.UNRESOLVED, n_fixed_points=-1, certified=0, index_sum=-1
    )
    about = strict(describe(unproven))
    assert about["index_sum"] is None
    assert about["certified"] is False
    assert any("not proven" in text for text in about["warnings"])


def test_a_degenerate_point_has_no_index():
    kind = np.full(16, -1)
    kind[0] = Kind.DEGENERATE
    given = changed("a sink", status=Status.NEAR_BIFURCATION, kind=kind, index_sum=-1)
    about = strict(describe(given))
    assert about["index_sum"] is None
    assert about["fixed_points"][0]["kind"] == "degenerate"
    assert any("degenerate" in text for text in about["warnings"])
    assert any("bifurcation" in text for text in about["warnings"])


@pytest.mark.parametrize(
    ("log", "multiplier"),
    [(-math.inf, 0.0), (-900.0, 0.0), (2.0, math.exp(2)), (5e3, None), (math.nan, None)],
)
def test_multipliers_that_no_number_holds(log, multiplier):
    logs = np.full(8, np.nan)
    logs[0] = log
    (cycle,) = strict(describe(changed("Stuart-Landau", cycle_log_multiplier=logs)))["limit_cycles"]
    assert cycle["floquet_multipliers"] == [[1.0, 0.0], [multiplier, 0.0]]
    assert cycle["log_multiplier"] == (log if math.isfinite(log) else None)


@pytest.mark.parametrize("d", [1, 4])
def test_other_dimensions_have_the_same_keys(d):
    """Independent bistable units: 3^d fixed points, of which 2^d are sinks."""
    about = phase_portrait(GRU(U_h=4 * np.eye(d))).to_dict()
    assert strict(about) == about
    assert set(about) >= KEYS
    assert about["dimension"] == d
    points = about["fixed_points"]
    assert len(points) == 3**d
    assert sum(point["n_unstable"] == 0 for point in points) == 2**d
    for point in points:
        assert set(point) >= POINT
        assert np.shape(point["eigenvalues"]) == (d, 2)
        assert (point["kind"] == "saddle") == (0 < point["n_unstable"] < d)
    assert (about["certified"], about["index_sum"], about["limit_cycles"]) == (True, 1, [])
    assert about["topology"] == ""
    assert any("two dimensions" in text for text in about["warnings"])
