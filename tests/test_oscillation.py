"""Whole portraits: against an independent reference, under symmetries, and whatever the batch."""

from __future__ import annotations

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_sweep import records
from gru_sweep.analysis import oscillation
from gru_sweep.analysis.fixed_points import Planar
from gru_sweep.records import Kind, Status
from gru_sweep.sweeps.lanes import Chain
from gru_sweep.systems.cells import GRU
from gru_sweep.systems.families import FAMILIES
from tests.reference import REFERENCE

FROZEN = json.loads(REFERENCE.read_text())
HOPF = [p for p in FROZEN if p["family"] == "hopf"]
EQ9 = [p for p in FROZEN if p["family"] == "homoclinic"]
NAMES = ("alpha", "beta", "br1", "br2")
COUNTS = ("n_fixed_points", "n_sinks", "n_sources", "n_saddles", "n_stable_cycles", "n_unstable_cycles")
LABELS = ("status", *COUNTS, "index_sum", "kind")


def coordinates(points: list[dict]) -> dict[str, np.ndarray]:
    """Swept values of some reference points of Eq 8, by name."""
    rows = [p["coordinates"] for p in points]
    rows = [(r["alpha"], r["beta"], r.get("br1", r["s"]), r.get("br2", r["s"])) for r in rows]
    return dict(zip(NAMES, np.array(rows).T))


def eq8(alpha, beta, br1, br2) -> Planar:
    side = jnp.ones_like(alpha) * jnp.ones(2, alpha.dtype)
    return Planar(FAMILIES["hopf"].build(alpha, beta, br1, br1, br2), -side, side)


def eq9(gamma, sign, swapped) -> Planar:
    """Eq 9, turned upside down where `sign` is -1 and with its units exchanged where `swapped` is 1."""
    cell = FAMILIES["homoclinic"].build(gamma)
    pick = lambda a, b: jnp.where(swapped == 1, b, a)  # noqa: E731
    side = jnp.ones(2, gamma.dtype)
    turned = GRU(U_h=pick(cell.U_h, cell.U_h[::-1, ::-1]), b_h=sign * pick(cell.b_h, cell.b_h[::-1]))
    return Planar(turned, -side, side)


@functools.cache
def chain(prepare, names: tuple[str, ...], precision: str, size: int, threads: int = 1) -> Chain:
    """The oscillation measure of a family, compiled once."""
    stages = oscillation.Stages()
    return Chain(
        prepare,
        stages.solvers,
        stages.links,
        stages.record,
        names=names,
        dtype=precision,
        size=size,
        threads=threads,
    )


@functools.cache
def solved(precision: str = "float64", size: int = len(HOPF)) -> dict[str, np.ndarray]:
    """Every reference point of Eq 8, in batches of `size`."""
    with jax.enable_x64(precision == "float64"):
        lanes, where = chain(eq8, NAMES, precision, size), coordinates(HOPF)
        parts = [lanes({k: v[i : i + size] for k, v in where.items()}) for i in range(0, len(HOPF), size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@functools.cache
def solved_eq9() -> dict[str, np.ndarray]:
    """The reference points of Eq 9: as they are, upside down, exchanged, both."""
    gamma = np.array([p["coordinates"]["gamma"] for p in EQ9])
    sign, swapped = np.array([(1, 0), (-1, 0), (1, 1), (-1, 1)]).repeat(gamma.size, axis=0).T.astype(float)
    names = ("gamma", "sign", "swapped")
    values = dict(zip(names, (np.tile(gamma, 4), sign, swapped)))
    return chain(eq9, names, "float64", sign.size)(values)


def expected_counts(point: dict) -> dict[str, int]:
    kinds = [p["kind"] for p in point["fixed_points"]]
    return {
        "n_fixed_points": len(kinds),
        "n_sinks": sum(k.startswith("stable") for k in kinds),
        "n_sources": sum(k.startswith("unstable") for k in kinds),
        "n_saddles": kinds.count("saddle"),
        "n_stable_cycles": sum(c["stable"] for c in point["cycles"]),
        "n_unstable_cycles": sum(not c["stable"] for c in point["cycles"]),
    }


def check_point(found: dict[str, np.ndarray], i: int, point: dict) -> None:
    """Everything that the reference knows of a point, at full accuracy."""
    assert found["status"][i] == Status.OK
    assert {name: int(found[name][i]) for name in COUNTS} == expected_counts(point)
    for slot, known in enumerate(point["fixed_points"]):
        np.testing.assert_allclose(found["fixed_point"][i, slot], known["h"], atol=1e-11)
        assert records.meaning(Kind(found["kind"][i, slot])) == known["kind"]
        assert found["fixed_point_error"][i, slot] < 1e-11
    if not point["cycles"]:
        assert np.isnan([found["frequency"][i], found["period"][i], *found["amplitude"][i]]).all()
        return
    (cycle,) = point["cycles"]
    assert found["frequency"][i] == pytest.approx(cycle["frequency"], rel=1e-7)
    assert found["period"][i] == pytest.approx(1 / found["frequency"][i], rel=1e-15)
    # both know their errors: the reference's is relative
    off = abs(found["period"][i] - cycle["period"])
    assert off <= found["period_error"][i] + 2 * (cycle["error"] + 1e-12) * cycle["period"]
    assert found["period_error"][i] < 1e-7 * cycle["period"]
    np.testing.assert_allclose(found["amplitude"][i], cycle["amplitude"], rtol=1e-6)
    if cycle["floquet_multiplier"] > 1e-12:  # below, the reference's own integration has lost it
        assert found["log_multiplier"][i] == pytest.approx(np.log(cycle["floquet_multiplier"]), rel=1e-5)
    assert found["log_multiplier"][i] < 0


@pytest.mark.parametrize("i", range(len(HOPF)), ids=lambda i: f"{HOPF[i]['where'].replace(' ', '-')}-{i}")
def test_eq8_against_the_reference(i):
    check_point(solved(), i, HOPF[i])


@pytest.mark.parametrize("i", range(4 * len(EQ9)))
def test_eq9_against_the_reference_and_under_its_symmetries(i):
    """Counts, frequency and multiplier do not change; states change sign, places, or both."""
    found, point = solved_eq9(), EQ9[i % len(EQ9)]
    copy, first = i // len(EQ9), i % len(EQ9)
    if copy == 0:
        check_point(found, i, point)
        return
    assert {name: int(found[name][i]) for name in COUNTS} == expected_counts(point)
    assert found["status"][i] == Status.OK
    for name in ("frequency", "log_multiplier"):
        np.testing.assert_allclose(found[name][i], found[name][first], rtol=1e-8)
    sign, order = (-1 if copy in (1, 3) else 1), (slice(None, None, -1) if copy > 1 else slice(None))
    np.testing.assert_allclose(found["amplitude"][i][order], found["amplitude"][first], rtol=1e-6)
    n = found["n_fixed_points"][first]
    turned = sorted(map(tuple, np.round(sign * found["fixed_point"][i, :n, order], 9) + 0.0))
    assert turned == sorted(map(tuple, np.round(found["fixed_point"][first, :n], 9) + 0.0))


def test_eq8_in_single_precision():
    """Counts are right wherever they are called ok, which is nearly everywhere away from the bifurcations."""
    found = solved("float32")
    assert found["frequency"].dtype == np.float32
    fine = found["status"] == Status.OK
    for i in np.flatnonzero(fine):
        point = HOPF[i]
        assert {name: int(found[name][i]) for name in COUNTS} == expected_counts(point), point["coordinates"]
        for cycle in point["cycles"]:
            assert found["frequency"][i] == pytest.approx(cycle["frequency"], rel=1e-4), point["coordinates"]
            assert abs(found["period"][i] - cycle["period"]) <= found["period_error"][i]
    plain = np.array([p["where"] in ("plane", "unequal biases") for p in HOPF])
    assert fine[plain].mean() > 0.95
    assert fine.mean() > 0.6


@pytest.mark.parametrize("turn", ["exchanged", "mirrored"])
def test_eq8_under_its_symmetries(turn):
    """alpha -> -alpha with the biases exchanged renames the units; with them kept it mirrors one."""
    where = coordinates(HOPF)
    where["alpha"] = -where["alpha"]
    if turn == "exchanged":
        where["br1"], where["br2"] = where["br2"], where["br1"]
    found, before = chain(eq8, NAMES, "float64", len(HOPF))(where), solved()
    for name in ("status", *COUNTS, "index_sum"):
        np.testing.assert_array_equal(found[name], before[name])
    np.testing.assert_allclose(found["frequency"], before["frequency"], rtol=1e-8)
    amplitude = found["amplitude"][:, ::-1] if turn == "exchanged" else found["amplitude"]
    np.testing.assert_allclose(amplitude, before["amplitude"], rtol=1e-6)
    multiplier = before["log_multiplier"]
    np.testing.assert_allclose(found["log_multiplier"], multiplier, rtol=1e-6, atol=1e-9)


def test_indices_add_up_to_one():
    for found in (solved(), solved_eq9()):
        assert (found["index_sum"] == 1).all()
        sinks, sources, saddles = (found[f"n_{kind}"] for kind in ("sinks", "sources", "saddles"))
        np.testing.assert_array_equal(sinks + sources - saddles, 1)


@pytest.fixture(scope="module")
def shuffled():
    """The reference points in another order and in batches of 16."""
    order = np.random.default_rng(1).permutation(len(HOPF))
    lanes, where = chain(eq8, NAMES, "float64", 16), coordinates(HOPF)
    parts = [lanes({k: v[part] for k, v in where.items()}) for part in np.array_split(order, 5)]
    back = np.argsort(order)
    return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}


def test_answers_do_not_depend_on_the_batch(shuffled):
    whole = solved()
    for name in LABELS:
        np.testing.assert_array_equal(shuffled[name], whole[name], err_msg=name)
    for name in ("frequency", "period", "log_multiplier"):
        np.testing.assert_allclose(shuffled[name], whole[name], rtol=1e-8, err_msg=name)
    np.testing.assert_allclose(shuffled["amplitude"], whole["amplitude"], rtol=1e-7)
    np.testing.assert_allclose(shuffled["fixed_point"], whole["fixed_point"], atol=1e-13)
    np.testing.assert_allclose(shuffled["eigenvalue"], whole["eigenvalue"], rtol=1e-10, atol=1e-13)


def test_equal_batches_give_equal_bits(shuffled):
    lanes, where = chain(eq8, NAMES, "float64", 16), coordinates(HOPF[:16])
    first, second = lanes(where), lanes(where)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_the_columns_are_those_of_the_file():
    columns = {c.name: c for c in chain(eq8, NAMES, "float64", 16).columns}
    assert set(COUNTS) | {"status", "frequency", "period", "amplitude", "kind", "eigenvalue"} <= set(columns)
    assert columns["status"].flags is Status
    assert columns["status"].dtype == columns["kind"].dtype == np.int8
    assert columns["amplitude"].dims == ("unit",)
    assert columns["fixed_point"].shape == (records.MAX_FIXED_POINTS, 2)


def test_settings_are_numbers_with_names():
    settings = oscillation.Stages.settings()
    assert len(settings) > 8
    assert all(isinstance(v, int | float) and v > 0 for v in settings.values())
    assert {"cycle_max_period", "fixed_points_max_boxes"} <= set(settings)
