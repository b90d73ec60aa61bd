"""All fixed points with their proofs, against systems that are known in closed form."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_sweep.analysis.arithmetic import UnsupportedPrimitive
from gru_sweep.analysis.fixed_points import (
    MAX_BOXES,
    MAX_UNDECIDED,
    Planar,
    eigenvalues,
    find,
    settings,
    stable,
    unstable,
)
from gru_sweep.records import MAX_FIXED_POINTS, Kind, Status
from gru_sweep.systems.cells import GRU
from tests.textbook import TEXTBOOK, textbook

DECIDED = [name for name, case in TEXTBOOK.items() if case.decided]


@pytest.mark.parametrize("name", DECIDED)
def test_all_fixed_points_are_found_and_no_other(name):
    fixed, case = textbook()[name].fixed, TEXTBOOK[name]
    count = len(case.points)
    assert fixed.count == count
    assert fixed.certified
    assert fixed.undecided == 0
    for i, (h, both, kind) in enumerate(case.points):
        # the bound is a proof: it holds, and it is of the order of rounding
        assert np.abs(fixed.point[i] - h).max() <= fixed.error[i] + 1e-16
        assert fixed.error[i] < 1e-12
        found = fixed.eigenvalue[i, :, 0] + 1j * fixed.eigenvalue[i, :, 1]
        np.testing.assert_allclose(found, both, rtol=1e-9, atol=1e-11)
        assert fixed.kind[i] == kind
    assert np.isnan(fixed.point[count:]).all()
    assert np.isnan(fixed.eigenvalue[count:]).all()
    assert (fixed.kind[count:] == Kind.NOT_COMPUTED).all()


@pytest.mark.parametrize("name", DECIDED)
def test_counts_of_the_record_follow_the_kinds(name):
    record, kinds = textbook()[name].record, [kind for *_, kind in TEXTBOOK[name].points]
    assert record.n_fixed_points == len(kinds)
    assert record.n_sinks == sum(k in (Kind.STABLE_NODE, Kind.STABLE_FOCUS) for k in kinds)
    assert record.n_sources == sum(k in (Kind.UNSTABLE_NODE, Kind.UNSTABLE_FOCUS) for k in kinds)
    assert record.n_saddles == kinds.count(Kind.SADDLE)
    assert record.index_sum == sum(-1 if k == Kind.SADDLE else 1 for k in kinds)


def test_indices_add_up_to_one_where_the_box_traps():
    trapped = [textbook()[name] for name in DECIDED if textbook()[name].fixed.trapping]
    assert len(trapped) > 10
    assert {int(solved.record.index_sum) for solved in trapped} == {1}
    # the flow leaves these boxes somewhere
    for name in ("saddle", "unstable node", "centre", "fold, after", "van der Pol"):
        assert not textbook()[name].fixed.trapping


@pytest.mark.parametrize("name", ["centre", "Hopf", "double well, conservative", "Lotka-Volterra"])
def test_a_centre_is_degenerate(name):
    fixed = textbook()[name].fixed
    assert fixed.count == len(TEXTBOOK[name].points)
    assert fixed.kind[: fixed.count].tolist() == [kind for *_, kind in TEXTBOOK[name].points]


@pytest.mark.parametrize("name", ["fold", "line of fixed points"])
def test_a_fixed_point_that_cannot_be_proven_leaves_the_count_unknown(name):
    fixed, record = textbook()[name].fixed, textbook()[name].record
    assert fixed.count == -1
    assert fixed.undecided > 0
    assert record.n_fixed_points == record.n_sinks == record.n_stable_cycles == -1


def test_the_divergence_over_the_box_is_bounded():
    for name, low, high in (("double well", -0.3, -0.3), ("stable node", -3, -3), ("Stuart-Landau", -28, 2)):
        lo, hi = textbook()[name].fixed.divergence
        assert lo <= low
        assert hi >= high
    lo, hi = textbook()["double well"].fixed.divergence
    assert hi - lo < 1e-12


class Eggcrate(eqx.Module):
    """x' = sin(a x), y' = sin(b y): fixed points at every (m pi/a, n pi/b), sinks where m and n are odd."""

    a: jax.Array
    b: jax.Array

    def __call__(self, h):
        return jnp.sin(jnp.array([self.a * h[0], self.b * h[1]]))


@pytest.fixture(scope="module")
def eggcrate():
    solver = jax.jit(lambda a, b, side: find(Planar(Eggcrate(a, b), -side, side)))
    return lambda a, b, side: jax.tree.map(
        np.asarray, solver(jnp.asarray(a), jnp.asarray(b), jnp.full(2, side))
    )


@pytest.mark.parametrize(("a", "b"), [(2.0, 2.0), (3.2, 2.0), (2.0, 3.2), (1.0, 7.0)])
def test_a_lattice_of_fixed_points(eggcrate, a, b):
    fixed = eggcrate(a, b, 2.1)
    m, n = (math.floor(2.1 * 1.005 * k / math.pi) for k in (a, b))
    expected = sorted((i * math.pi / a, j * math.pi / b) for i in range(-m, m + 1) for j in range(-n, n + 1))
    assert fixed.count == len(expected) <= MAX_FIXED_POINTS
    for h, found, error in zip(expected, fixed.point, fixed.error):
        assert np.abs(found - h).max() <= error + 4e-16
    parity = [(round(x * a / math.pi) % 2, round(y * b / math.pi) % 2) for x, y in expected]
    assert stable(fixed.kind)[: len(expected)].tolist() == [p == (1, 1) for p in parity]
    assert unstable(fixed.kind)[: len(expected)].tolist() == [p == (0, 0) for p in parity]


@pytest.mark.parametrize("b", [13.0, 16.5, 40.0])
def test_more_fixed_points_than_slots_are_not_cut_short(eggcrate, b):
    fixed = eggcrate(1.0, b, 2.1)
    assert fixed.count == -1
    assert not fixed.certified
    assert fixed.boxes <= MAX_BOXES


def test_a_point_far_smaller_than_the_box_and_close_pairs(eggcrate):
    for a in (1e-3, 1e3):
        fixed = eggcrate(a, a, 2.0 / a)
        assert fixed.count == 1
        assert np.abs(fixed.point[0]).max() <= fixed.error[0]


@pytest.fixture(scope="module")
def gru():
    side = jnp.ones(2)
    solver = jax.jit(lambda cell: find(Planar(cell, -side, side)))
    return lambda **parts: jax.tree.map(np.asarray, solver(GRU(**parts)))


def test_eleven_fixed_points_of_a_gated_unit(gru):
    fixed = gru(
        U_h=np.array([[24.0, -9.0], [-9.0, 24.0]]),
        U_r=np.array([[-6.0, 22.0], [22.0, -6.0]]),
        b_r=np.array([1.4, 1.4]),
    )
    assert fixed.count == 11
    assert stable(fixed.kind).sum() + unstable(fixed.kind).sum() - (fixed.kind == Kind.SADDLE).sum() == 1
    # exchanging the units leaves this cell as it is
    mirrored = sorted(map(tuple, np.round(fixed.point[:11, ::-1], 10)))
    assert mirrored == sorted(map(tuple, np.round(fixed.point[:11], 10)))


def test_eigenvalues_in_closed_form():
    rng = np.random.default_rng(5)
    matrices = np.concatenate(
        [
            rng.normal(size=(200, 2, 2)) * np.exp(rng.uniform(-20, 20, (200, 1, 1))),
            [[[0, 0], [0, 0]], [[1, 1], [0, 1]], [[0, 1], [-1, 0]], [[2, 0], [0, -3]], [[1e8, 1], [0, 1e-8]]],
        ]
    )
    found = np.asarray(jax.jit(jax.vmap(eigenvalues))(jnp.asarray(matrices)))
    assert (found[:, 0, 0] >= found[:, 1, 0]).all()
    for matrix, (first, second) in zip(matrices, found[..., 0] + 1j * found[..., 1]):
        scale = np.abs(matrix).max()
        assert abs(first + second - np.trace(matrix)) <= 8e-15 * scale
        assert abs(first * second - np.linalg.det(matrix)) <= 16e-15 * scale**2
        assert first.imag >= 0
        assert second == np.conj(first) or first.imag == second.imag == 0


def test_a_field_without_a_rule_is_refused_before_any_work():
    with pytest.raises(UnsupportedPrimitive, match="max"):
        find(Planar(jax.nn.relu, -jnp.ones(2), jnp.ones(2)))


def test_fold_is_reported_as_near_bifurcation():
    assert textbook()["fold"].record.status == Status.NEAR_BIFURCATION
    assert textbook()["line of fixed points"].fixed.undecided >= MAX_UNDECIDED
    assert textbook()["line of fixed points"].record.status == Status.UNRESOLVED


def test_overflow_within_the_box_loses_no_fixed_point():
    """x' = exp(400 x - 690.8) - 1: zero at x = 1.727; the exponential overflows from x = 3.5 on."""

    def field(h):
        return jnp.array([1.0 - jnp.exp(400.0 * h[0] - 690.8), -h[1]])

    for upper in (2.0, 4.0, 5.16, 8.0):
        fixed = jax.jit(lambda u: find(Planar(field, jnp.array([1.7, -1.0]), jnp.array([u, 1.0]))))(upper)
        assert fixed.count in (-1, 1)
        if fixed.count == 1:
            assert fixed.point[0, 0] == pytest.approx(1.727, abs=1e-12)


def test_settings_name_what_the_search_depends_on():
    assert settings()["fixed_points_max_boxes"] == MAX_BOXES
    assert all(name.startswith("fixed_points_") and value > 0 for name, value in settings().items())
