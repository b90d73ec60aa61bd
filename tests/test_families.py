"""Families that are made from a file or drawn: the cells they build, and which coordinates they take."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_sweep import studies
from gru_sweep.records import InputError
from gru_sweep.sweeps.grid import Axis
from gru_sweep.systems import entries
from gru_sweep.systems.cells import GRU
from gru_sweep.systems.families import FAMILIES, Coordinate, deviate

CELL = GRU(
    U_h=[[1.0, 2.0], [3.0, 4.0]],
    U_r=[[5.0, 6.0], [7.0, 8.0]],
    b_r=[9.0, 10.0],
    W_h=[[1.0], [1.0]],
)


def sigma(x):
    return 1 / (1 + np.exp(-x))


def test_entries_name_rows_and_columns_and_come_back():
    names = entries.names(2)
    assert len(names) == len(set(names)) == 18
    values = entries.values(CELL)
    assert tuple(values) == names
    assert (values["U_h[0,1]"], values["U_r[1,0]"], values["b_r[1]"], values["U_z[0,0]"]) == (2, 7, 10, 0)
    again = entries.before(**{name: jnp.asarray(value) for name, value in values.items()})
    for part in ("U_h", "U_r", "b_r"):
        np.testing.assert_array_equal(getattr(again, part), getattr(CELL, part))
    assert again.W_h is None
    assert len(entries.names(3)) == 3 * 9 + 3 * 3
    assert len(entries.names(2, "after")) == 20


@pytest.mark.parametrize("reset", ["before", "after"])
def test_a_cell_with_all_its_parts_moves_as_the_one_without(reset):
    inside = {"b_hn": [0.5, -0.5]} if reset == "after" else {}
    cell = GRU(U_h=CELL.U_h, b_r=CELL.b_r, **inside, reset=reset)
    full = entries.filled(cell)
    assert jax.tree.structure(full) == jax.tree.structure(studies.cell("weights", weights=cell))
    for h in np.random.default_rng(0).uniform(-1, 1, (20, 2)):
        np.testing.assert_allclose(full(jnp.asarray(h)), cell(jnp.asarray(h)), rtol=1e-14, atol=1e-15)


def test_the_neighbourhood_of_a_cell_starts_from_its_entries():
    family = FAMILIES["weights"].bound(CELL)
    full = family.complete({"U_h[0,1]": -2.0, "b_h": 0.5, "b_h[1]": 0.25})
    assert (full["U_h[0,0]"], full["U_h[0,1]"], full["b_r[0]"]) == (1, -2, 9)
    assert (full["b_h[0]"], full["b_h[1]"]) == (0.5, 0.25)
    assert "b_r" not in full
    assert set(family.input_names) == set(entries.names(2))
    cell = studies.cell("weights", {"U_h[0,1]": -2.0, "b_z": 3.0}, weights=CELL)
    h = np.array([0.2, -0.7])
    r = sigma(np.array([[5, 6], [7, 8]]) @ h + [9, 10])
    expected = (1 - sigma(3.0)) * (np.tanh(np.array([[1, -2], [3, 4]]) @ (r * h)) - h)
    np.testing.assert_allclose(cell(jnp.asarray(h)), expected, rtol=1e-13)


def test_a_cell_of_any_size_can_be_set_up():
    wide = GRU(U_h=np.arange(25.0).reshape(5, 5))
    cell = studies.cell("weights", {"U_r[4,3]": 1.5}, weights=wide)
    assert cell.dimension == 5
    assert float(cell.U_r[4, 3]) == 1.5
    np.testing.assert_array_equal(cell.U_h, wide.U_h)
    with pytest.raises(
        InputError, match=r"set: .*coordinate of weights: .*U_r\[4,[0-4]\].*got U_r\[4,5\]"
    ) as caught:
        studies.cell("weights", {"U_r[4,5]": 1.5}, weights=wide)
    assert len(str(caught.value)) < 200


def test_the_reset_gate_stays_where_the_file_has_it():
    cell = GRU(U_h=CELL.U_h, b_hn=[1.0, 2.0], reset="after")
    family = FAMILIES["weights"].bound(cell)
    assert studies.cell("weights", {"b_hn[1]": 5.0}, weights=cell).reset == "after"
    assert "b_hn" in {c.name for c in family.coordinates}
    assert family.equation != FAMILIES["weights"].bound(CELL).equation
    assert family.build is not FAMILIES["weights"].bound(CELL).build


def test_weights_and_draws_are_inputs_of_one_program():
    family, other = (FAMILIES["weights"].bound(cell) for cell in (CELL, GRU(U_h=np.eye(2))))
    drawn = FAMILIES["random"].bound(seed=5)
    assert family.build is other.build is drawn.build
    assert family.input_names == other.input_names == drawn.input_names


def test_draws_depend_on_seed_and_index_alone():
    some = deviate(7, np.array([3.0, 100_000.0, 2.0**32 - 1]), 18)
    many = deviate(7, np.arange(5000.0), 18)
    np.testing.assert_array_equal(some[0], many[3])
    np.testing.assert_array_equal(deviate(7, np.arange(4999.0, -1, -1), 18)[::-1], many)
    assert not np.isclose(deviate(8, np.array([3.0]), 18), some[0]).any()
    high = deviate(7 + 2**32, np.array([3.0]), 18)
    assert not np.isclose(high, some[0]).any()
    np.testing.assert_array_equal(some, some.astype(np.float32))


def test_draws_are_standard_normal():
    flat = deviate(0, np.arange(20_000.0), 18)
    # Bounds of five standard errors.
    assert abs(flat.mean()) < 5 / np.sqrt(flat.size)
    assert abs(flat.var() - 1) < 5 * np.sqrt(2 / flat.size)
    assert abs((flat**4).mean() - 3) < 5 * np.sqrt(96 / flat.size)
    off = np.corrcoef(flat.T) - np.eye(18)
    assert np.abs(off).max() < 5 / np.sqrt(len(flat))


def test_both_precisions_see_the_same_cells():
    given = {"index": 17, "scale": 3.3}
    double = studies.cell("random", given, seed=2**40)
    with jax.enable_x64(False):
        single = studies.cell("random", given, seed=2**40)
    for part in ("U_h", "U_z", "U_r", "b_z", "b_r", "b_h"):
        a, b = np.asarray(getattr(double, part)), np.asarray(getattr(single, part))
        assert (a.dtype, b.dtype) == (np.float64, np.float32)
        np.testing.assert_array_equal(a.astype(np.float32), b)


def test_scales_are_standard_deviations():
    one = {"index": 3, "scale": 1.0, "reset_scale": 1.0, "update_scale": 1.0, "bias_scale": 1.0}
    other = {"scale": 2.0, "reset_scale": 3.0, "update_scale": 0.0, "bias_scale": 0.5}
    unit, scaled = studies.cell("random", one), studies.cell("random", one | other)
    for part, times in {"U_h": 2, "U_r": 3, "U_z": 0, "b_z": 0.5, "b_r": 0.5, "b_h": 0.5}.items():
        np.testing.assert_array_equal(getattr(scaled, part), times * getattr(unit, part))
    row = deviate(0, np.array([3.0]), 18)[0]
    np.testing.assert_array_equal(unit.U_h, row[:4].reshape(2, 2))
    np.testing.assert_array_equal(unit.b_h, row[16:])


@pytest.mark.parametrize(
    ("values", "got"),
    [([0.0, 1.5], "1.5"), (-1.0, "-1"), ([2.0**32], "4294967296")],
)
def test_an_index_is_a_counting_number(values, got):
    index = FAMILIES["random"].coordinates[0]
    index.check(np.arange(5.0), "axis")
    with pytest.raises(
        InputError, match=rf"set: expected integers from 0 to 4294967295 for index, got {got}$"
    ):
        index.check(values, "set")


def test_a_coordinate_says_what_it_may_be():
    with pytest.raises(InputError, match=r"numbers of at least 0 for scale, got -0\.5"):
        Coordinate("scale", 1.0, "a scale", lowest=0.0).check([1.0, -0.5], "axis")
    Coordinate("any", 1.0, "anything").check([-1e300, 1e300], "axis")


@pytest.mark.parametrize(
    ("family", "given", "message"),
    [
        ("weights", {}, "--weights: expected a file"),
        ("hopf", {"weights": CELL}, "--weights: expected no weights"),
        ("random", {"weights": CELL}, "--weights: expected no weights"),
        (
            "weights",
            {"weights": GRU(U_h=[[1.0, np.nan], [0.0, 1.0]])},
            r"finite number for U_h\[0,1\], got nan",
        ),
        ("weights", {"weights": CELL, "settings": {"U_h": 1.0}}, r"set: .*a coordinate of weights"),
        ("weights", {"weights": CELL, "settings": {"b_hn": 1.0}}, r"set: .*a coordinate of weights"),
        ("hopf", {"settings": {"beta": float("nan")}}, "set: .*finite"),
        ("random", {"seed": -1}, "seed: expected an integer from 0"),
        ("hofp", {}, "family: .*did you mean 'hopf'"),
    ],
)
def test_what_makes_no_cell_is_refused(family, given, message):
    with pytest.raises(InputError, match=message):
        studies.cell(family, **given)


def test_a_number_beyond_the_precision_is_refused():
    assert float(studies.cell("hopf", {"br1": 1e39}).b_r[0]) == 1e39
    with jax.enable_x64(False), pytest.raises(InputError, match=r"precision: .*br1 = 1e\+39, got float32"):
        studies.cell("hopf", {"br1": 1e39})


def test_one_set_of_programs_serves_all_weights_and_seeds():
    def programs(family, **given):
        plan = studies.plan(family, out="x.h5", **given)
        return studies.evaluator(plan)._chain

    axis = Axis("b_r", np.linspace(0, 1, 5))
    first = programs("weights", weights=CELL, axes=[axis])
    assert programs("weights", weights=GRU(U_h=np.eye(2)), axes=[axis], settings={"U_z[0,0]": 1.0}) is first
    assert programs("random", seed=9) is first
    assert programs("hopf", settings={"alpha": 1.0}) is not first
