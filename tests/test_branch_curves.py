"""Curves of pitchforks and of transcritical points against closed forms, and those of GRUs without biases.

Polynomials of two forms, so that two sets of compiled programs follow them all.
"""

from __future__ import annotations

import functools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from gru_sweep.analysis.any_dimension import fixed_points
from gru_sweep.analysis.bifurcations.extended import Extended
from gru_sweep.analysis.bifurcations.plane.branch_curves import branch_curve
from gru_sweep.analysis.bifurcations.plane.continuation import follow
from gru_sweep.analysis.bifurcations.plane.curve import Curve
from gru_sweep.analysis.bifurcations.plane.curves import curves
from gru_sweep.analysis.bifurcations.plane.meetings import ending, parts
from gru_sweep.analysis.bifurcations.plane.naming import name
from gru_sweep.analysis.bifurcations.plane.regions import regions
from gru_sweep.systems.cells import GRU
from tests.test_curves import lying, standing

TERMS = (
    "standing",
    "bias",
    "l0",
    "la",
    "laa",
    "lbb",
    "square",
    "square_b",
    "cube",
    "cube_b",
    "fifth",
    "uv",
    "uu",
)


class Skewed(eqx.Module):
    """u' = X, v' = Y with (u, v) = T h - (sin(a), -b / 2) / 5, T = [[1, 0.3], [0.2, 1]], and

    X = bias + (l0 + la a + laa a^2 + lbb b^2) u + (square + square_b b) u^2 + (cube + cube_b b) u^3
        + fifth u^5 + uv u v,
    Y = -v + uu u^2.
    """

    terms: dict[str, Float[Array, ""]]

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 2"]) -> Float[Array, " 2"]:
        (a, b), c = p, self.terms
        u, v = h[0] + 0.3 * h[1] - 0.2 * jnp.sin(a), 0.2 * h[0] + h[1] + 0.1 * b
        uu = u * u
        linear = c["l0"] + c["la"] * a + c["laa"] * a * a + c["lbb"] * b * b
        square, cube = c["square"] + b * c["square_b"], c["cube"] + b * c["cube_b"]
        g = c["bias"] + u * (linear + u * square + uu * (cube + uu * c["fifth"]))
        x, y = g + c["uv"] * u * v, c["uu"] * uu - v
        return jnp.stack([x - 0.3 * y, y - 0.2 * x]) / 0.94


def skewed(**terms: float) -> Skewed:
    values = {**dict.fromkeys(TERMS, 0.0), **terms}
    return Skewed({name: jnp.asarray(float(value)) for name, value in values.items()})


UNIT = 0.94 / np.sqrt(1.04)
"""u at the end of the unit null vector: of T^-1 (1, 0)."""
CLOSE = 2e-9
"""Sides of the box times the tolerance of the cubics, with a margin."""
BOX = {"lower": np.full(2, -1.4), "upper": np.full(2, 1.5)}


def state(
    a: np.ndarray, b: np.ndarray, u: np.ndarray | float = 0.0, v: np.ndarray | float = 0.0
) -> np.ndarray:
    """h, (2, n), at u and v."""
    x, y = u + 0.2 * np.sin(a), v - 0.1 * b
    return np.stack([x - 0.3 * y, y - 0.2 * x]) / 0.94


def unskewed(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u and v."""
    return x + 0.3 * y - 0.2 * np.sin(a), 0.2 * x + y + 0.1 * b


def around(point: np.ndarray, radius: float = 1e-6) -> np.ndarray:
    return np.stack([np.asarray(point) - radius, np.asarray(point) + radius])


def along(curve: Curve, count: int = 2001) -> np.ndarray:
    return curve.at(np.linspace(0.0, curve.length[-1], count)).T


RING = {"l0": -1.0, "laa": 1.0, "lbb": 2.0, "cube": -1.0, "uv": 0.1, "uu": 0.5}


def ring(**terms: float) -> Curve | None:
    """The ellipse a^2 + 2 b^2 = 1, from a point of it."""
    a, b = np.cos(0.3), np.sin(0.3) / np.sqrt(2.0)
    seed = np.append(state(a, b), [a, b])
    return branch_curve(skewed(**RING, **terms), around(seed), np.full(2, -1.5), np.full(2, 1.5), **BOX)


@pytest.mark.parametrize(("square", "kind"), [(0.7, "transcritical"), (0.0, "pitchfork")])
def test_a_closed_curve_is_followed_all_around(square, kind):
    curve = ring(square=square)
    assert (curve.kind, curve.ends, curve.closed) == (kind, ("closed", "closed"), True)
    assert curve.codimension_two == ()
    np.testing.assert_array_equal(curve.points[0], curve.points[-1])
    assert (np.diff(curve.length) > 0).all()
    for points, close in ((curve.points.T, 1e-12), (along(curve), CLOSE)):
        x, y, a, b = points
        np.testing.assert_allclose(a**2 + 2 * b**2, 1, atol=4 * close)
        np.testing.assert_allclose([x, y], state(a, b), atol=close)
        assert np.ptp(a) == pytest.approx(2, abs=1e-3)
    # once around, in one direction
    angle = np.unwrap(np.arctan2(*along(curve)[[3, 2]]))
    assert abs(angle[-1] - angle[0]) == pytest.approx(2 * np.pi)
    assert (np.diff(angle) * np.sign(angle[-1] - angle[0]) > 0).all()
    # the eigenvalue along the branch u = 0 is (a^2 + 2 b^2 - 1)
    _, _, a, b = curve.points.T
    values = curve.values
    np.testing.assert_allclose(values["crossing_rate"], np.hypot(2 * a, 4 * b), rtol=1e-9)
    np.testing.assert_allclose(values["trace"], -1, atol=1e-9)
    if square:
        np.testing.assert_allclose(np.abs(values["quadratic_coefficient"]), UNIT * square, rtol=1e-9)
        assert len(set(np.sign(values["quadratic_coefficient"]))) == 1
        assert "cubic_coefficient" not in values
    else:
        np.testing.assert_allclose(values["cubic_coefficient"], UNIT**2 * (-1 + 0.1 * 0.5), rtol=1e-9)
        assert "quadratic_coefficient" not in values


@pytest.mark.parametrize("bias", [1e-2, -1e-6, 1e-11])
def test_there_is_none_where_the_structure_is_broken(bias):
    assert ring(bias=bias) is None


def test_there_is_none_where_nothing_bends():
    # x' = (a^2 + 2 b^2 - 1) u: a line of fixed points, which is no branch
    a, b = np.cos(0.3), np.sin(0.3) / np.sqrt(2.0)
    seed = np.append(state(a, b), [a, b])
    linear = skewed(l0=-1, laa=1, lbb=2)
    assert branch_curve(linear, around(seed), np.full(2, -1.5), np.full(2, 1.5), **BOX) is None
    # nor in a region that the curve does not meet
    away = seed + np.array([0, 0, 0.3, 0])
    assert branch_curve(skewed(**RING), around(away), np.full(2, -1.5), np.full(2, 1.5), **BOX) is None


FLAT = {"lower": np.full(2, -1.5), "upper": np.full(2, 1.5)}


def test_hopf_curves_begin_at_a_bogdanov_takens_point_of_a_transcritical_curve():
    # x' = y, y' = b x + x^2 + (a - x) y: transcritical points on b = 0; Hopf points at x = 0 on a = 0 > b and
    # at x = -b on a = -b < 0. No line meets the first of these curves
    field = standing((0, 0, 0, 0, 1, 1), (0, 1, 0, -1))
    found = curves(field, [-0.5, -0.4], [0.6, 0.7], lines=1, **FLAT)
    assert found.complete, found.warnings
    assert [curve.kind for curve in found] == ["hopf", "hopf", "transcritical"]
    *hopf, branch = found
    assert branch.ends == ("border", "border")
    assert np.abs(along(branch)[[0, 1, 3]]).max() < CLOSE
    (point,) = branch.codimension_two
    assert point.kind == "bogdanov-takens"
    assert np.abs(point.point).max() <= point.error < 1e-11
    at = branch.length == point.length
    np.testing.assert_array_equal(np.isnan(branch.values["crossing_rate"]), at)
    np.testing.assert_array_equal(np.isnan(branch.values["quadratic_coefficient"]), at)
    np.testing.assert_allclose(branch.values["trace"], branch.points[:, 2], atol=1e-12)
    for curve, sign in zip(sorted(hopf, key=lambda curve: curve.points[:, 3].sum()), (-1, 1)):
        x, y, a, b = along(curve)
        assert sorted(curve.ends) == ["bogdanov-takens", "border"]
        assert (sign * b > -CLOSE).all()
        expected = 0 * b if sign < 0 else -b
        np.testing.assert_allclose([x, y, a], [expected, 0 * b, expected], atol=CLOSE)
        end = curve.ends.index("bogdanov-takens") * -1
        assert np.abs(curve.points[end]).max() < 1e-11
        assert [one.kind for one in curve.codimension_two] == ["bogdanov-takens"]
        assert curve.codimension_two[0].length == curve.length[end]
        frequency = np.sqrt(np.abs(curve.points[:, 3])) / (2 * np.pi)
        np.testing.assert_allclose(curve.values["frequency"], frequency, atol=1e-9)


def test_a_symmetry_makes_pitchforks_and_without_it_there_are_folds():
    # x' = c + b x - x^3: pitchforks on b = 0 where c = 0, else folds on 4 b^3 = 27 c^2
    low, high = [-0.5, -0.6], [0.4, 0.9]
    found = curves(lying(0, 0, 0, 0, 1, 0, -1), low, high, lines=1, **FLAT)
    assert found.complete, found.warnings
    (curve,) = found
    assert (curve.kind, curve.ends, curve.codimension_two) == ("pitchfork", ("border", "border"), ())
    assert np.abs(along(curve)[[0, 1, 3]]).max() < CLOSE
    np.testing.assert_allclose(curve.values["cubic_coefficient"], -1, rtol=1e-12)
    found = curves(lying(0.05, 0, 0, 0, 1, 0, -1), low, high, lines=1, **FLAT)
    assert found.complete, found.warnings
    (curve,) = found
    assert curve.kind == "fold"
    np.testing.assert_allclose(along(curve)[3], (27 * 0.05**2 / 4) ** (1 / 3), atol=CLOSE)


LOW, HIGH = np.array([-1.4, -1.4, -0.5, -0.9]), np.array([1.5, 1.5, 0.4, 0.8])


def branch_of(field: Skewed) -> Curve:
    """On a = 0."""
    seed = np.append(state(0.0, 0.3), [0.0, 0.3])
    return branch_curve(field, around(seed), LOW[2:], HIGH[2:], lower=LOW[:2], upper=HIGH[:2])


def folds_of(field: Skewed, branch: Curve, u: float, a: float, b: float) -> list[Curve]:
    """The fold curve through a point, in its parts."""
    width, special = HIGH - LOW, branch.codimension_two
    followed = follow(Extended(field, ("determinant",)), np.append(state(a, b, u), [a, b]), LOW, HIGH)
    found = [name(field, "fold", part, width) for part in parts(followed, special, width)]
    assert not any(one.warnings for one in found)
    return [ending(curve, special, width) for one in found for curve in one.curves]


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_curve_goes_on_where_another_crosses_it(sign):
    # pitchforks on a^2 = b^2: the lines a = b and a = -b
    field = skewed(laa=1, lbb=-1, cube=-1)
    seed = np.append(state(0.2, sign * 0.2), [0.2, sign * 0.2])
    curve = branch_curve(field, around(seed), LOW[2:], HIGH[2:], lower=LOW[:2], upper=HIGH[:2])
    assert (curve.kind, curve.ends) == ("pitchfork", ("border", "border"))
    x, y, a, b = along(curve)
    np.testing.assert_allclose(a, sign * b, atol=CLOSE)
    np.testing.assert_allclose([x, y], state(a, b), atol=CLOSE)
    assert (curve.points[:, 2].min(), curve.points[:, 2].max()) == (-0.5, 0.4)
    rate = 2 * np.hypot(*curve.points[:, 2:].T)
    np.testing.assert_allclose(curve.values["crossing_rate"], rate, atol=1e-9)


@pytest.mark.parametrize("sign", [-1, 1])
def test_folds_end_in_a_degenerate_pitchfork(sign):
    # X = a u + b u^3 - u^5: pitchforks on a = 0, and folds on a = -b^2 / 4, u^2 = b / 2 > 0
    field = skewed(la=1, cube_b=1, fifth=-1)
    branch = branch_of(field)
    assert (branch.kind, branch.ends) == ("pitchfork", ("border", "border"))
    (point,) = branch.codimension_two
    assert point.kind == "degenerate pitchfork"
    assert np.abs(point.point).max() <= point.error < 1e-11
    np.testing.assert_allclose(branch.points[:, 2], 0, atol=1e-13)
    np.testing.assert_allclose(branch.values["cubic_coefficient"], UNIT**2 * branch.points[:, 3], atol=1e-11)
    (fold,) = folds_of(field, branch, sign * 0.5, -1 / 16, 0.5)
    assert sorted(fold.ends) == ["border", "branch point"]
    x, y, a, b = along(fold)
    u, v = unskewed(x, y, a, b)
    assert (sign * u > -CLOSE).all()
    np.testing.assert_allclose([b, a, v], [2 * u**2, -(u**4), 0 * u], atol=CLOSE)
    end = fold.ends.index("branch point") * -1
    np.testing.assert_allclose(fold.points[end], 0, atol=1e-11)
    assert np.isnan(fold.values["quadratic_coefficient"][end])
    assert np.isfinite(fold.values["trace"]).sum() >= len(fold) - 2


def test_a_fold_curve_is_parted_where_it_touches_a_transcritical_one():
    # X = a u + b u^2 - u^3: transcritical points on a = 0, folds on a = -b^2 / 4, u = b / 2
    field = skewed(la=1, square_b=1, cube=-1)
    branch = branch_of(field)
    assert (branch.kind, branch.ends) == ("transcritical", ("border", "border"))
    (point,) = branch.codimension_two
    assert point.kind == "pitchfork"
    assert np.abs(point.point).max() <= point.error < 1e-11
    coefficient = branch.values["quadratic_coefficient"]
    np.testing.assert_allclose(np.abs(coefficient), UNIT * np.abs(branch.points[:, 3]), atol=1e-11)
    signs = np.sign(coefficient * branch.points[:, 3])[np.abs(branch.points[:, 3]) > 1e-9]
    assert len(set(signs)) == 1
    folds = folds_of(field, branch, 0.3, -0.09, 0.6)
    assert len(folds) == 2
    for fold in folds:
        assert sorted(fold.ends) == ["border", "branch point"]
        x, y, a, b = along(fold)
        np.testing.assert_allclose(a, -(b**2) / 4, atol=CLOSE)
        np.testing.assert_allclose(unskewed(x, y, a, b), [b / 2, 0 * b], atol=CLOSE)
        np.testing.assert_allclose(fold.points[fold.ends.index("branch point") * -1], 0, atol=1e-11)


class Cell(eqx.Module):
    """A GRU over p = (U_h[0, 1], U_h[1, 0]), its diagonal 0.5 and -0.3, with a bias of the candidate."""

    gate: Float[Array, "2 2"]
    bias: Float[Array, ""]

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 2"]) -> Float[Array, " 2"]:
        matrix = jnp.stack([jnp.stack([jnp.asarray(0.5), p[0]]), jnp.stack([p[1], jnp.asarray(-0.3)])])
        return GRU(U_h=matrix, U_r=self.gate, b_h=jnp.stack([self.bias, -0.7 * self.bias]))(h)


GATE = np.array([[0.9, -1.4], [2.0, 0.6]])
PRODUCT = 4 * (0.5 / 2 - 1) * (-0.3 / 2 - 1)
"""det J(0) = 0: r = 1/2 there, so that (U00 / 2 - 1) (U11 / 2 - 1) = U01 U10 / 4."""


@functools.cache
def cell_curve(gate: float, bias: float = 0.0) -> Curve | None:
    field = Cell(jnp.asarray(gate * GATE), jnp.asarray(bias))
    seed = np.array([0, 0, -2.0, -PRODUCT / 2])
    box = {"lower": np.full(2, -1.0), "upper": np.full(2, 1.0)}
    return branch_curve(field, around(seed), np.full(2, -5.0), np.full(2, -1.0), **box)


@pytest.mark.parametrize(("gate", "kind"), [(1.0, "transcritical"), (0.0, "pitchfork")])
def test_the_curve_of_a_gru_without_biases_is_the_formula(gate, kind):
    curve = cell_curve(gate)
    assert (curve.kind, curve.ends) == (kind, ("border", "border"))
    for points, close in ((curve.points.T, 1e-12), (along(curve), 1e-10)):
        x, y, a, b = points
        # the distance in the plane, in sides of the rectangle
        assert (np.abs(a * b - PRODUCT) / np.hypot(a, b) / 4).max() < close
        assert np.abs([x, y]).max() < close
    # (z = 1/2) both eigenvalues of J / 2 but the one that is 0
    np.testing.assert_allclose(curve.values["trace"], 0.5 * (0.5 / 2 - 0.3 / 2 - 2), atol=1e-12)


def test_the_sign_of_the_cubic_is_the_side_of_the_new_fixed_points():
    curve = cell_curve(0.0)
    middle = len(curve) // 2
    assert curve.values["cubic_coefficient"].max() < 0
    _, _, a, b = curve.points[middle]
    counts = []
    for factor in (0.98, 1.02):
        field = Cell(jnp.zeros((2, 2)), jnp.zeros(()))
        found = fixed_points(At(field, factor * jnp.asarray([a, b])), np.full(2, -1.0), np.full(2, 1.0))
        assert found.certified
        counts.append((len(found.point), int(found.n_unstable[np.argmin(np.abs(found.point).sum(axis=1))])))
    # 0 becomes a saddle, and two sinks are born there
    assert counts == [(1, 0), (3, 1)]


class At(eqx.Module):
    field: Cell
    p: Float[Array, " 2"]

    def __call__(self, h: Float[Array, " 2"]) -> Float[Array, " 2"]:
        return self.field(h, self.p)


@pytest.mark.parametrize("gate", [0.0, 1.0])
def test_a_bias_leaves_a_gru_no_branch_curve(gate):
    assert cell_curve(gate, 1e-7) is None


def test_boxes_near_each_other_are_one_region():
    def box(x: float, width: float = 1e-6) -> list[list[float]]:
        return [[x, 0.0], [x + width, 1e-6]]

    boxes = np.array([box(0.5), box(0.1), box(0.500005), box(0.50001), box(0.1 + 1e-5)])
    found = regions(boxes, np.ones(2))
    np.testing.assert_allclose(
        found[:, :, 0], [[0.1, 0.100001], [0.10001, 0.100011], [0.5, 0.500011]], atol=1e-12
    )
    # widths are in units of the scale of each coordinate, the largest of a box counts
    assert len(regions(boxes, np.array([1.0, 1e-2]))) == 2
    assert regions(np.zeros((0, 2, 2)), np.ones(2)).shape == (0, 2, 2)
