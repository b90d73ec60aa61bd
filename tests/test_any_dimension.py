"""Fixed points in any dimension, against closed answers and scipy."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jaxtyping import Array, Float

from gru_sweep.analysis.any_dimension import FixedPointsOfAnyDimension, enclosures, fixed_points, spectrum
from gru_sweep.analysis.any_dimension.factor import Factor, reduced
from gru_sweep.records import InputError
from gru_sweep.systems.cells import GRU

STABLE, SADDLE, UNSTABLE = "stable node", "saddle", "unstable node"


class Wells(eqx.Module):
    """dh_i/dt = h_i (a_i - h_i^2): 3^d fixed points for a > 0, h_i in {0, +-sqrt(a_i)}."""

    a: Float[Array, " d"]

    def __call__(self, h: Float[Array, " d"]) -> Float[Array, " d"]:
        return h * (self.a - h * h)


class Affine(eqx.Module):
    """dh/dt = A (h - c)."""

    matrix: Float[Array, "d d"]
    centre: Float[Array, " d"]

    def __call__(self, h: Float[Array, " d"]) -> Float[Array, " d"]:
        return self.matrix @ (h - self.centre)


class Quadratic(eqx.Module):
    """dh/dt = mu - h^2 per unit: a fold at mu = 0."""

    mu: Float[Array, " d"]

    def __call__(self, h: Float[Array, " d"]) -> Float[Array, " d"]:
        return self.mu - h * h


def box(d: int, size: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    return np.full(d, -size), np.full(d, size)


def draw(d: int, seed: int, scale: float = 2.0) -> GRU:
    """A random GRU; with a scale of 2 most have a few fixed points."""
    rng = np.random.default_rng(seed)
    matrix = lambda s: rng.normal(scale=s / math.sqrt(max(d, 3) / 3), size=(d, d))  # noqa: E731
    vector = lambda: rng.normal(size=d)  # noqa: E731
    return GRU(U_h=matrix(scale), U_r=matrix(scale / 2), U_z=matrix(1.0), b_r=vector(), b_h=vector() / 2)


@eqx.filter_jit
def _rate(cell: GRU, h: Float[Array, " d"]) -> Float[Array, " d"]:
    return cell(h)


@eqx.filter_jit
def _slope(cell: GRU, h: Float[Array, " d"]) -> Float[Array, "d d"]:
    return jax.jacfwd(cell)(h)


def consistent(found: FixedPointsOfAnyDimension) -> None:
    """What holds of every answer."""
    real = found.eigenvalue.real
    assert (np.diff(real, axis=1) <= 0).all()
    for unstable, kind, rates in zip(found.n_unstable, found.kind, real):
        if kind != "degenerate":
            assert unstable == (rates > 0).sum()
            assert (kind == SADDLE) == (0 < unstable < len(rates))
            assert kind.startswith("stable") == (unstable == 0)
    if found.certified:
        assert found.proven.all()
        assert found.missing_mass == 0.0
        if found.trapping:
            assert found.degree in (1, None)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_decoupled_wells_are_all_found_and_proven(d):
    a = 0.25 + 0.3 * np.arange(d)
    found = fixed_points(Wells(jnp.asarray(a)), *box(d, 2.0))
    assert found.certified
    assert found.trapping
    assert found.count == 3**d
    assert found.degree == 1
    assert found.warnings == ()
    grid = np.stack(np.meshgrid(*([-r, 0.0, r] for r in np.sqrt(a)), indexing="ij"), -1).reshape(-1, d)
    # a lattice in "ij" order is in lexicographic order
    assert (np.abs(found.point - grid).max(axis=1) <= found.error + 1e-16).all()
    assert found.error.max() < 1e-14
    expected = -np.sort(-np.where(grid == 0.0, a, -2.0 * a), axis=1)
    np.testing.assert_allclose(found.eigenvalue, expected, rtol=1e-12)
    assert found.n_unstable.tolist() == (expected > 0).sum(axis=1).tolist()
    assert Counter(found.kind) == Counter(
        {STABLE: 2**d, UNSTABLE: 1} | ({SADDLE: 3**d - 2**d - 1} if d > 1 else {})
    )
    consistent(found)


@pytest.mark.parametrize("d", [3, 8, 16])
def test_a_linear_system_has_one_fixed_point_with_the_eigenvalues_of_its_matrix(d):
    rng = np.random.default_rng(d)
    matrix, centre = rng.normal(size=(d, d)), rng.uniform(-0.5, 0.5, d)
    found = fixed_points(Affine(jnp.asarray(matrix), jnp.asarray(centre)), *box(d), starts=64)
    assert found.count == 1
    assert found.proven.all()
    assert found.certified == (d == 3)
    assert np.abs(found.point[0] - centre).max() <= found.error[0] < 1e-12
    expected = np.linalg.eigvals(matrix)
    expected = expected[np.lexsort((-expected.imag, -expected.real))]
    np.testing.assert_allclose(found.eigenvalue[0], expected, rtol=1e-9, atol=1e-12)
    assert found.degree == np.sign(np.linalg.det(-matrix))
    # one Newton step from anywhere: nothing is missing but the proof of that
    assert found.missing_mass == 0.0


def test_a_focus_turns_and_a_node_does_not():
    turning = jnp.array([[-1.0, -2.0, 0.0], [2.0, -1.0, 0.0], [0.0, 0.0, -3.0]])
    c = jnp.zeros(3)
    for matrix, kind in (
        (turning, "stable focus"),
        (-turning, "unstable focus"),
        (jnp.diag(jnp.array([-1.0, -1.0, -1.0])), "stable node"),
        (turning + jnp.diag(jnp.array([0.0, 0.0, 4.0])), "saddle"),
        (turning + jnp.diag(jnp.array([1.0, 1.0, 0.0])), "degenerate"),
    ):
        found = fixed_points(Affine(matrix, c), *box(3))
        assert found.kind.tolist() == [kind]
        assert found.degree == np.sign(np.linalg.det(-matrix))


@pytest.mark.parametrize("mu", [-1e-3, -1e-9, 1e-9, 1e-3])
def test_a_pitchfork_close_to_its_bifurcation(mu):
    found = fixed_points(Wells(jnp.array([mu])), *box(1))
    assert found.certified
    assert found.count == (3 if mu > 0 else 1)
    np.testing.assert_allclose(
        found.point[:, 0], np.sqrt(mu) * np.array([-1, 0, 1]) if mu > 0 else [0.0], 1e-9
    )
    assert found.kind.tolist() == ([STABLE, UNSTABLE, STABLE] if mu > 0 else [STABLE])


def test_a_pitchfork_at_its_bifurcation_is_not_certified():
    found = fixed_points(Wells(jnp.array([0.0])), *box(1))
    assert not found.certified
    assert found.kind.tolist() == ["degenerate"]
    assert not found.proven.any()
    assert found.degree is None
    assert any("undecided" in warning for warning in found.warnings)
    assert abs(found.point[0, 0]) < 1e-4


@pytest.mark.parametrize(("mu", "count"), [(-1e-12, 0), (0.0, 1), (1e-12, 2), (1e-2, 2)])
def test_a_fold(mu, count):
    found = fixed_points(Quadratic(jnp.array([mu])), *box(1))
    assert found.count == count
    assert found.certified == (mu != 0.0)
    assert found.kind.tolist() == {0: [], 1: ["degenerate"], 2: [UNSTABLE, STABLE]}[count]


@pytest.mark.parametrize("d", [3, 8])
def test_a_fold_in_many_dimensions_is_reported_and_not_proven(d):
    mu = jnp.full(d, 0.25).at[0].set(0.0)
    found = fixed_points(Quadratic(mu), *box(d), starts=64)
    assert not found.certified
    assert not found.proven.any()
    assert set(found.kind) <= {"degenerate"}
    assert found.degree is None


@pytest.mark.parametrize("d", [1, 3])
def test_a_fixed_point_on_an_edge_or_a_corner_is_found_once(d):
    found = fixed_points(Wells(jnp.ones(d)), *box(d))  # at +-1, the corners of the box
    assert found.certified
    assert found.count == 3**d


@pytest.mark.parametrize("d", [1, 3, 4, 8, 16])
def test_random_gated_units_against_scipy(d):
    checked = 0
    for seed in range({1: 6, 3: 6, 4: 4, 8: 3, 16: 2}[d]):
        cell = draw(d, seed)
        found = fixed_points(cell, *box(d))
        consistent(found)
        assert found.proven.all()
        assert found.degree == 1
        assert found.certified == (d <= 4)
        rate, slope = partial(_rate, cell), partial(_slope, cell)
        for point, eigenvalue in zip(found.point, found.eigenvalue):
            assert np.abs(rate(point)).max() < 1e-12
            expected = np.linalg.eigvals(slope(point))
            np.testing.assert_allclose(np.sort_complex(eigenvalue), np.sort_complex(expected), atol=1e-9)
        for start in np.random.default_rng(seed).uniform(-1, 1, (60, d)):
            root = scipy.optimize.root(rate, start, jac=slope, tol=1e-13)
            # a step, not a rate: where a gate is closed every rate is small
            step = np.linalg.lstsq(slope(root.x), rate(root.x))[0]
            if root.success and np.abs(root.x).max() <= 1 and np.abs(step).max() < 1e-9:
                assert np.abs(found.point - root.x).max(axis=1).min() < 1e-8
                checked += 1
    assert checked > 10


def test_many_starts_agree_with_branch_and_prune():
    for seed in range(4):
        cell = draw(3, seed, scale=5.0)
        proven = fixed_points(cell, *box(3))
        found = fixed_points(cell, *box(3), max_boxes=0)
        assert proven.certified
        assert not found.certified
        assert found.boxes == 0
        np.testing.assert_allclose(found.point, proven.point, atol=1e-12)
        assert found.kind.tolist() == proven.kind.tolist()
        assert found.hits.sum() == found.uniform_starts
        assert any("may miss" in warning for warning in found.warnings)


def test_what_is_missing_is_said():
    # 3^8 = 6561 fixed points, and a few starts
    found = fixed_points(Wells(jnp.ones(8)), *box(8, 2.0), starts=8)
    assert 0 < found.count < 3**8
    assert found.proven.all()
    assert not found.certified
    assert found.missing_mass > 0.2
    assert found.trapping
    assert found.degree == 1 or any("fixed points are missing" in warning for warning in found.warnings)


def test_seeds_are_reproducible():
    cell = draw(8, 1, scale=4.0)
    once, again = (fixed_points(cell, *box(8), seed=3, starts=64) for _ in range(2))
    for name, value in vars(once).items():
        np.testing.assert_array_equal(value, getattr(again, name))


@pytest.mark.parametrize("d", [3, 8])
def test_permuted_units_give_the_permuted_answer(d):
    cell, order = draw(d, 5, scale=4.0), np.random.default_rng(0).permutation(d)
    permuted = jax.tree.map(lambda x: x[order][:, order] if x.ndim == 2 else x[order], cell)
    first, second = fixed_points(cell, *box(d)), fixed_points(permuted, *box(d))
    assert first.count == second.count
    for i, point in enumerate(first.point[:, order]):
        j = np.abs(second.point - point).max(axis=1).argmin()
        np.testing.assert_allclose(second.point[j], point, atol=1e-12)
        assert first.kind[i] == second.kind[j]
        np.testing.assert_allclose(second.eigenvalue[j], first.eigenvalue[i], atol=1e-9)


def test_work_is_bounded_and_what_was_found_is_kept():
    found = fixed_points(Wells(jnp.ones(4)), *box(4, 2.0), max_boxes=100, starts=32)
    assert not found.certified
    assert found.count > 0
    assert found.boxes < 5000
    assert any("given up" in warning for warning in found.warnings)


@pytest.mark.parametrize("scale", [1e3, 1e6])
def test_huge_weights_give_no_wrong_answer(scale):
    cell = GRU(U_h=scale * jnp.eye(3))  # h = tanh(scale h / 2): 27 fixed points
    found = fixed_points(cell, *box(3))
    assert found.proven.all()
    assert found.count == 27
    assert found.certified
    for seed in range(3):
        found = fixed_points(draw(3, seed, scale), *box(3), max_boxes=20_000, starts=64)
        assert (found.residual[found.proven] < 1e-6 * scale).all()
        assert not found.certified or found.degree in (1, None)


def test_a_module_is_compiled_once_for_all_its_parameters(caplog):
    class Own(Wells):
        """A structure that no other test has compiled."""

    with jax.log_compiles():
        fixed_points(Own(jnp.array([0.3])), *box(1))
        assert "jit(prove)" in caplog.text
        caplog.clear()
        assert fixed_points(Own(jnp.array([0.4])), *box(1)).count == 3
        assert "jit(" not in caplog.text


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_field_that_is_not_finite_is_not_certified(value):
    found = fixed_points(Affine(jnp.eye(3), jnp.array([0.0, value, 0.0])), *box(3), max_boxes=1000, starts=16)
    assert not found.certified
    assert found.count == 0
    assert found.warnings


def test_without_a_rule_nothing_is_proven():
    found = fixed_points(lambda h: jnp.sort(h) * 0 + h * (0.25 - h * h), *box(3), starts=64)
    assert found.count == 27
    assert not found.proven.any()
    assert not found.certified
    assert "nothing is proven: intervals have no rule for 'sort'" in found.warnings
    assert Counter(found.kind) == {STABLE: 8, SADDLE: 18, UNSTABLE: 1}


def test_in_single_precision_bounds_are_wider_and_hold():
    with jax.enable_x64(False):
        found = fixed_points(Wells(jnp.full(3, 0.25)), *box(3))
        assert found.certified
        assert found.count == 27
        assert found.point.dtype == np.float32
        grid = np.array(np.meshgrid(*[[-0.5, 0.0, 0.5]] * 3, indexing="ij")).reshape(3, -1).T
        assert (np.abs(found.point - grid).max(axis=1) <= found.error).all()
        close = fixed_points(Wells(jnp.array([1e-12])), *box(1))
        assert not close.certified


@pytest.mark.parametrize("d", [1, 3, 8])
def test_enclosures_hold_the_field_and_its_jacobian(d):
    rng = np.random.default_rng(d)
    for cell in (draw(d, 0, 3.0), GRU(U_h=rng.normal(size=(d, d)), b_hn=rng.normal(size=d), reset="after")):
        for radius in (0.0, 1e-3, 0.5):
            lo = jnp.asarray(rng.uniform(-1.0, 0.5, d))
            hi = lo + radius
            over, slope = enclosures.value_and_jacobian(cell, lo, hi)
            for h in jnp.asarray(rng.uniform(lo, hi, (20, d))):
                f, jacobian = cell(h), jax.jacfwd(cell)(h)
                assert ((over.lo <= f) & (f <= over.hi)).all()
                assert ((slope.lo <= jacobian) & (jacobian <= slope.hi)).all()
            if radius == 0.0:
                assert (over.hi - over.lo).max() < 1e-13
                assert (slope.hi - slope.lo).max() < 1e-12


def test_only_factors_proven_positive_are_dropped():
    lo, hi = -jnp.ones(3), jnp.ones(3)
    cell = draw(3, 0)
    simpler = reduced(cell, lo, hi)
    assert isinstance(simpler, Factor)
    h = jnp.array([0.3, -0.2, 0.9])
    *_, candidate = cell.gates(h)
    np.testing.assert_allclose(simpler(h), candidate - h, rtol=1e-14)
    for field in (Wells(jnp.ones(3)), lambda h: -2.0 * (h - 0.5)):
        assert reduced(field, lo, hi) is field
    # where the gate can close entirely nothing is dropped
    closing = eqx.tree_at(lambda c: c.U_z, cell, 1e3 * jnp.eye(3))
    assert reduced(closing, lo, hi) is closing


def test_discs_hold_the_eigenvalues_of_every_matrix_in_the_radius():
    rng = np.random.default_rng(0)
    for d in (1, 3, 8):
        for spread in (0.0, 1e-6, 1e-2):
            matrix = rng.normal(size=(d, d))
            values, radii = spectrum.discs(matrix, np.full((d, d), spread))
            for _ in range(10):
                for value in np.linalg.eigvals(matrix + rng.choice([-spread, spread], (d, d))):
                    assert (np.abs(value - values) <= radii).any()
    # a Jordan block has no basis of eigenvectors: everything is possible
    values, radii = spectrum.discs(np.array([[1.0, 1.0], [0.0, 1.0]]), np.zeros((2, 2)))
    assert spectrum.kind(values, radii) in ("degenerate", UNSTABLE)


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"field": lambda h: h[:2]}, "field"),
        ({"lower": [[0.0]]}, "lower"),
        ({"lower": [0.0, np.nan, 0.0]}, "lower"),
        ({"upper": [1.0, 1.0]}, "upper"),
        ({"upper": [1.0, -1.0, 1.0]}, "upper"),
        ({"upper": [1.0, 1j, 1.0]}, "upper"),
        ({"seed": -1}, "seed"),
        ({"starts": 0}, "starts"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"max_boxes": -1}, "max_boxes"),
    ],
)
def test_bad_arguments_are_refused(change, argument):
    arguments = {"field": lambda h: -h, "lower": [-1.0] * 3, "upper": [1.0] * 3} | change
    with pytest.raises(InputError) as caught:
        fixed_points(arguments.pop("field"), arguments.pop("lower"), arguments.pop("upper"), **arguments)
    assert caught.value.argument == argument
