"""Bifurcation curves in a plane against closed forms, and Eq 8 against scipy.

Polynomials of one form, so that one set of compiled programs follows them all.
"""

from __future__ import annotations

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jaxtyping import Array, Float

from gru_sweep.analysis.any_dimension import Zeros
from gru_sweep.analysis.bifurcations.extended import Extended
from gru_sweep.analysis.bifurcations.plane.continuation import follow
from gru_sweep.analysis.bifurcations.plane.curve import Curve, Curves
from gru_sweep.analysis.bifurcations.plane.curves import curves
from gru_sweep.analysis.bifurcations.plane.naming import name
from gru_sweep.analysis.bifurcations.plane.path import Path
from gru_sweep.analysis.bifurcations.plane.steps import End
from gru_sweep.records import InputError
from gru_sweep.systems.families import FAMILIES


class Polynomial(eqx.Module):
    """x' = g, y' = -y where `lying` is 1, and x' = y, y' = g + d y where it is 0, with

    g = c0 + c1 a + c2 (a^2 + b^2) + c3 x + c4 b x + c5 x^2 + c6 x^3,
    d = d0 + d1 a + d2 (a^2 + b^2) + d3 x + d4 b x^2.
    """

    lying: Float[Array, ""]
    c: tuple[Float[Array, ""], ...]
    d: tuple[Float[Array, ""], ...]

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 2"]) -> Float[Array, " 2"]:
        (x, y), (a, b), c, d = h, p, self.c, self.d
        rr = a * a + b * b
        g = c[0] + c[1] * a + c[2] * rr + x * (c[3] + c[4] * b + x * (c[5] + c[6] * x))
        damping = d[0] + d[1] * a + d[2] * rr + x * (d[3] + d[4] * b * x)
        standing = 1.0 - self.lying
        return jnp.stack([self.lying * g + standing * y, standing * (g + damping * y) - self.lying * y])


class Eq8(eqx.Module):
    """The family `hopf` over p = (alpha, beta)."""

    s: Float[Array, ""]

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 2"]) -> Float[Array, " 2"]:
        return FAMILIES["hopf"].build(p[0], p[1], self.s, self.s, self.s)(h)


def lying(*c: float) -> Polynomial:
    return _polynomial(1.0, c, ())


def standing(c: tuple[float, ...], d: tuple[float, ...]) -> Polynomial:
    return _polynomial(0.0, c, d)


def _polynomial(lies: float, c: tuple[float, ...], d: tuple[float, ...]) -> Polynomial:
    pad = lambda some, n: tuple(map(jnp.asarray, (*map(float, some), *[0.0] * (n - len(some)))))  # noqa: E731
    return Polynomial(jnp.asarray(lies), pad(c, 7), pad(d, 5))


BOX = {"lower": np.full(2, -1.5), "upper": np.full(2, 1.5)}
COMPILED = "backend_compile"
"""In the name of what JAX reports of each program that it compiles."""
CLOSE = 1e-9
"""Four sides of the box times the tolerance of the cubics, at the most."""


def along(path: Path, count: int = 2001) -> np.ndarray:
    """Points of a curve: h1, h2 and the two parameters, (count,) each; most lie between the stored ones."""
    return path.at(np.linspace(0.0, path.length[-1], count)).T


@functools.cache
def cusps() -> Curves:
    """x' = a + b x - x^3, y' = -y: with x = t the folds are a = -2 t^3, b = 3 t^2."""
    return curves(
        lying(0, 1, 0, 0, 1, 0, -1),
        np.array([-1, -0.7]),
        np.array([1, 0.9]),
        lines=2,
        **BOX,
    )


def test_a_cusp_joins_two_folds():
    found = cusps()
    assert found.complete, found.warnings
    (curve,) = found
    assert (curve.kind, curve.ends, curve.closed) == ("fold", ("border", "border"), False)
    x, y, a, b = along(curve)
    np.testing.assert_allclose(a, -2 * x**3, atol=CLOSE)
    np.testing.assert_allclose(b, 3 * x**2, atol=CLOSE)
    np.testing.assert_allclose(4 * b**3, 27 * a**2, atol=10 * CLOSE)
    np.testing.assert_allclose(y, 0, atol=1e-15)
    assert (curve.points[[0, -1], 3] == 0.9).all()
    (cusp,) = curve.codimension_two
    assert (cusp.kind, cusp.proven) == ("cusp", True)
    assert np.abs(cusp.point).max() <= cusp.error < 1e-13
    assert cusp.details["cusp_coefficient"] == pytest.approx(-1.0)
    # x' = -3 t x^2 at the fold x = t: the coefficient changes its sign at the cusp alone
    x = curve.points[:, 0]
    slope = curve.values["quadratic_coefficient"] / np.where(x == 0, 1, x)
    np.testing.assert_allclose(np.abs(slope[np.abs(x) > 1e-6]), 3.0, rtol=1e-9)
    assert len(set(np.sign(slope[np.abs(x) > 1e-6]))) == 1


def test_one_set_of_programs_serves_every_line_curve_and_parameter():
    cusps()
    compiled = []
    listen = lambda event, seconds, **kwargs: compiled.append(event)  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        found = curves(
            lying(0, 1, 0, 0, 1, 0, -2), np.array([-0.9, -0.6]), np.array([1, 0.8]), lines=3, **BOX
        )
        heard = [event for event in compiled if COMPILED in event]
        jax.jit(lambda x: 3 * x + 1)(0.5)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert len(found) == 1
    assert not heard
    assert any(COMPILED in event for event in compiled)  # the ear is not deaf


def test_stored_points_lie_on_the_curve():
    points = cusps()[0].points
    assert np.abs(points[:, 2] + 2 * points[:, 0] ** 3).max() < 1e-12
    assert np.abs(points[:, 3] - 3 * points[:, 0] ** 2).max() < 1e-12


def test_crossings_are_where_a_coordinate_has_a_value():
    curve = cusps()[0]
    found = curve.at(curve.crossings(3, 0.3))
    np.testing.assert_allclose(found[:, 3], 0.3, atol=1e-14)
    root = math.sqrt(0.1)
    np.testing.assert_allclose(sorted(found[:, 0]), [-root, root], atol=CLOSE)
    np.testing.assert_allclose(sorted(found[:, 2]), [-0.2 * root, 0.2 * root], atol=CLOSE)
    assert len(curve.crossings(3, -0.1)) == 0


def test_a_hopf_curve_ends_at_a_bogdanov_takens_point():
    # x' = y, y' = a + b x + x^2 - x y: folds on a = b^2 / 4, Hopf points on a = 0 > b
    field = standing((0, 1, 0, 0, 1, 1), (0, 0, 0, -1))
    found = curves(field, np.array([-0.3, -0.8]), np.array([0.3, 0.7]), lines=2, **BOX)
    assert found.complete, found.warnings
    fold, hopf = found
    assert (fold.kind, fold.ends) == ("fold", ("border", "border"))
    x, _, a, b = along(fold)
    np.testing.assert_allclose(a, b**2 / 4, atol=CLOSE)
    np.testing.assert_allclose(x, -b / 2, atol=CLOSE)
    np.testing.assert_allclose(fold.values["trace"], -fold.points[:, 0], atol=1e-14)
    assert (hopf.kind, sorted(hopf.ends)) == ("hopf", ["bogdanov-takens", "border"])
    x, _, a, b = along(hopf)
    assert (b <= 1e-15).all()
    assert b.min() == -0.8
    np.testing.assert_allclose(a, 0, atol=CLOSE)
    np.testing.assert_allclose(x, 0, atol=CLOSE)
    expected = np.sqrt(np.abs(hopf.points[:, 3])) / (2 * math.pi)
    np.testing.assert_allclose(hopf.values["frequency"], expected, atol=1e-8)
    for curve in found:
        (point,) = curve.codimension_two
        assert (point.kind, point.proven) == ("bogdanov-takens", True)
        assert np.abs(point.point).max() <= point.error < 1e-13
        assert point.details["mixed_coefficient"] / point.details["quadratic_coefficient"] == pytest.approx(
            -1
        )
        np.testing.assert_array_equal(curve.at(point.length), point.point)
    inside = hopf.points[:, 3] < -1e-6
    assert (hopf.supercritical[inside] == 1).all()
    assert (hopf.supercritical[~inside] == -1).all()


def test_a_closed_zero_curve_of_the_trace_is_cut_where_its_saddles_are_neutral():
    # x' = y, y' = a + b x + x^2 + (a^2 + b^2 - 0.16) y: the trace is 0 on a circle, det J = -b - 2 x
    field = standing((0, 1, 0, 0, 1, 1), (-0.16, 0, 1))
    found = curves(field, np.array([-0.5, -0.8]), np.array([0.6, 0.7]), lines=2, **BOX)
    fold, hopf = found
    assert [p.kind for p in fold.codimension_two] == ["bogdanov-takens"] * 2
    assert hopf.ends == ("bogdanov-takens", "bogdanov-takens")
    x, _, a, b = along(hopf)
    np.testing.assert_allclose(a**2 + b**2, 0.16, atol=CLOSE)
    np.testing.assert_allclose(a + b * x + x**2, 0, atol=CLOSE)
    assert (-b - 2 * x > -CLOSE).all()
    # the ends, a = b^2 / 4, from the circle's equation by hand
    square = 8 * (math.sqrt(1 + 0.04) - 1)
    np.testing.assert_allclose(
        np.sort(hopf.points[[0, -1], 3]), [-math.sqrt(square), math.sqrt(square)], atol=1e-13
    )


def test_a_closed_fold_curve_is_followed_round():
    # x' = a^2 + b^2 - 0.16 + x^2, y' = -y
    found = curves(
        lying(-0.16, 0, 1, 0, 0, 1),
        np.array([-0.5, -0.8]),
        np.array([0.6, 0.7]),
        lines=2,
        **BOX,
    )
    assert found.complete, found.warnings
    (curve,) = found
    assert curve.closed
    assert curve.ends == ("closed", "closed")
    np.testing.assert_array_equal(curve.points[0], curve.points[-1])
    _, _, a, b = along(curve)
    np.testing.assert_allclose(np.hypot(a, b), 0.4, atol=CLOSE)
    angle = np.unwrap(np.arctan2(b, a))
    assert abs(angle[-1] - angle[0]) == pytest.approx(2 * math.pi, abs=1e-9)
    assert len(curve.crossings(2, 0.1)) == 2
    assert len(curve.crossings(2, curve.points[0, 2])) == 2


def test_a_bautin_point_parts_super_from_subcritical():
    # x' = y, y' = -x + (a + b x^2) y: Hopf points on a = 0, with l1 = b / 4
    field = standing((0, 0, 0, -1), (0, 1, 0, 0, 1))
    system = Extended(field, ("trace",))
    low, high = np.array([-0.5, -0.5, -0.4, -0.8]), np.array([0.5, 0.5, 0.6, 0.7])
    followed = follow(system, np.array([0, 0, 0.0, 0.3]), low, high)
    (curve,), warnings = name(field, "hopf", followed, high - low)
    assert warnings == []
    assert curve.ends == ("border", "border")
    _, _, a, b = along(curve)
    np.testing.assert_allclose(a, 0, atol=1e-15)
    assert {b[0], b[-1]} == {-0.8, 0.7}
    np.testing.assert_allclose(
        curve.values["first_lyapunov_coefficient"], curve.points[:, 3] / 4, rtol=1e-12, atol=1e-14
    )
    (bautin,) = curve.codimension_two
    assert (bautin.kind, bautin.proven) == ("bautin", True)
    assert np.abs(bautin.point).max() <= bautin.error < 1e-13
    b = curve.points[:, 3]
    np.testing.assert_array_equal(curve.supercritical, np.where(np.abs(b) < 1e-12, -1, b < 0))


def test_curves_begin_at_bogdanov_takens_points_between_the_lines(monkeypatch):
    # what branch and prune finds in four dimensions stands in for it; the lines find nothing
    def zeros(system, lower, upper, *, max_boxes):
        d = len(lower)
        points = np.zeros((int(d == 4), d))
        return Zeros(points, np.full(len(points), 1e-15), np.zeros((0, 2, d)), True, max_boxes)

    monkeypatch.setattr("gru_sweep.analysis.bifurcations.plane.curves.zeros", zeros)
    field = standing((0, 1, 0, 0, 1, 1), (0, 0, 0, -1))
    arguments = field, np.array([-0.3, -0.8]), np.array([0.3, 0.7])
    assert len(curves(*arguments, lines=1, max_boxes=1, **BOX)) == 0
    found = curves(*arguments, lines=1, max_boxes=1, inside=10, **BOX)
    assert found.complete, found.warnings
    assert found.boxes == 4 + 10
    assert [curve.kind for curve in found] == ["fold", "hopf"]


def test_what_was_not_searched_is_not_called_complete():
    # x' = b x + x^2: the transcritical points on b = 0 are zeros of (f, det J), none of which is regular
    field = lying(0, 0, 0, 0, 1, 1)
    found = curves(field, np.array([-0.5, -0.8]), np.array([0.6, 0.7]), lines=1, max_boxes=60, **BOX)
    assert len(found) == 0
    assert not found.complete
    assert any("fold" in text for text in found.warnings)


def eq8_fold(reset: float, beta: float) -> np.ndarray:
    """(h, alpha) of a saddle-node of Eq 8 by scipy, from its equations in NumPy alone."""

    def equations(u):
        x, y, alpha = u
        c, s = reset * beta * math.cos(alpha), reset * beta * math.sin(alpha)
        t = np.tanh([c * x - s * y, s * x + c * y])
        k, m = 1 - t[0] ** 2, 1 - t[1] ** 2
        return [t[0] - x, t[1] - y, (k * c - 1) * (m * c - 1) + k * m * s * s]

    found = scipy.optimize.root(equations, [0.95, -0.7, 0.2], tol=1e-14)
    assert np.abs(equations(found.x)).max() < 1e-13
    return found.x


@functools.cache
def eq8_curves(s: float) -> tuple[Curve, Curve]:
    """One of the four fold curves of Eq 8, and its Hopf curve."""
    field = Eq8(jnp.asarray(s))
    reset = 1 / (1 + math.exp(-s))
    low, high = np.array([-1.0, -1.0, 0.0, 1.0]), np.array([1.0, 1.0, 3.14, 3.0])
    x, y, alpha = eq8_fold(reset, 2.9)
    found = []
    for kind, test, seed in (
        ("fold", "determinant", [x, y, alpha, 2.9]),
        ("hopf", "trace", [0, 0, math.acos(1 / (2.5 * reset)), 2.5]),
    ):
        followed = follow(Extended(field, (test,)), np.array(seed), low, high)
        (curve,), warnings = name(field, kind, followed, high - low)
        assert warnings == []
        found.append(curve)
    return found[0], found[1]


@pytest.mark.parametrize("s", [0.0, 1.3])
def test_the_hopf_curve_of_eq8_is_the_closed_form(s):
    reset = 1 / (1 + math.exp(-s))
    curve = eq8_curves(s)[1]
    x, y, alpha, beta = along(curve, 20_001)
    assert np.abs(np.cos(alpha) - 1 / (beta * reset)).max() < 1e-9
    assert np.abs([x, y]).max() < 1e-12
    assert alpha.min() == 0.0
    assert beta.max() == 3.0
    # where alpha = 0 every entry of the Jacobian is 0
    assert sorted(curve.ends) == ["border", "branch point"]
    assert min(curve.points[[0, -1], 3]) == pytest.approx(1 / reset, abs=1e-9)
    assert (curve.supercritical[curve.values["frequency"] > 0] == 1).all()
    expected = np.tan(curve.points[:, 2]) / (4 * math.pi)
    np.testing.assert_allclose(curve.values["frequency"], expected, atol=1e-9)


@pytest.mark.parametrize("s", [0.0, 1.3])
def test_the_fold_curves_of_eq8_are_where_scipy_finds_them(s):
    reset = 1 / (1 + math.exp(-s))
    curve = eq8_curves(s)[0]
    assert sorted(curve.ends) == ["border", "branch point"]
    for beta in (2.4, 2.77, 3.0):
        (point,) = curve.at(curve.crossings(3, beta))
        np.testing.assert_allclose(point[:3], eq8_fold(reset, beta), atol=2e-9)
    end = curve.points[curve.ends.index("branch point") * -1]
    np.testing.assert_allclose(end, [0, 0, 0, 1 / reset], atol=1e-6)


class Pitchfork(eqx.Module):
    """x (a - x^2) = 0: a line and a parabola that cross at 0."""

    def __call__(self, u: Float[Array, " 2"]) -> Float[Array, " 1"]:
        return (u[0] * (u[1] - u[0] * u[0]))[None]


def test_a_curve_ends_where_another_crosses_it():
    low, high = np.array([-1.0, -0.5]), np.array([1.0, 0.9])
    for seed, start in (([0.5, 0.25], [math.sqrt(0.9), 0.9]), ([0.0, 0.3], [0.0, 0.9])):
        followed = follow(Pitchfork(), np.array(seed), low, high)
        assert set(followed.ends) == {End.FACE, End.BRANCH_POINT}
        k = 0 if followed.ends[0] == End.FACE else -1
        np.testing.assert_allclose(followed.path.points[k], start, atol=1e-12)
        np.testing.assert_allclose(followed.path.points[-1 - k], [0, 0], atol=1e-8)
        x, a = along(followed.path)
        np.testing.assert_allclose(a if start[0] else 0 * a, x**2, atol=CLOSE)


def test_a_singular_seed_is_refused_and_one_on_a_face_is_not():
    assert follow(Pitchfork(), np.zeros(2), np.full(2, -1.0), np.ones(2)) is None
    low, high = np.array([-1.0, -0.5]), np.array([1.0, 0.9])
    followed = follow(Pitchfork(), np.array([0.0, 0.9]), low, high)
    assert set(followed.ends) == {End.FACE, End.BRANCH_POINT}
    assert (np.diff(followed.path.length) > 0).all()
    assert followed.path.points[:, 1].max() == 0.9


def arc(count: int = 129) -> Path:
    """The unit circle, by its angle."""
    angle = np.linspace(0, 2 * math.pi, count)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    circle[-1] = circle[0]
    return Path(circle, np.stack([-np.sin(angle), np.cos(angle)], axis=1), angle, True)


def test_a_path_gives_points_directions_and_crossings():
    path = arc()
    s = np.linspace(0, 2 * math.pi, 1001)
    np.testing.assert_allclose(path.at(s), np.stack([np.cos(s), np.sin(s)], axis=1), atol=1e-7)
    np.testing.assert_allclose(path.direction(s), np.stack([-np.sin(s), np.cos(s)], axis=1), atol=1e-5)
    np.testing.assert_allclose(path.crossings(1, 0.5), [math.pi / 6, 5 * math.pi / 6], atol=1e-7)
    # the beginning of a closed path is also its end
    assert len(path.crossings(1, 0.0)) == 2
    assert len(path.crossings(0, 1.1)) == 0
    length, apart = path.nearest(1.001 * np.array([math.cos(3), math.sin(3)]), np.ones(2))
    assert length == pytest.approx(3, abs=1e-7)
    assert apart == pytest.approx(-0.001 * math.cos(3), abs=1e-7)


def test_a_path_can_be_cut_and_given_points():
    path = arc()
    s = 2.01
    more = path.insert(s, np.array([math.cos(s), math.sin(s)]))
    assert len(more) == len(path) + 1
    k = int(np.searchsorted(more.length, s))
    np.testing.assert_array_equal(more.points[k], [math.cos(s), math.sin(s)])
    t = np.linspace(0, 2 * math.pi, 501)
    np.testing.assert_allclose(more.at(t), path.at(t), atol=1e-7)
    assert len(path.insert(float(path.length[5]), path.points[5])) == len(path)
    # past the beginning of a closed one
    part = path.part(100, 20)
    assert not part.closed
    np.testing.assert_array_equal(part.points[[0, -1]], path.points[[100, 20]])
    assert part.length[-1] == pytest.approx(path.length[20] + 2 * math.pi - path.length[100])
    whole = path.part(100, 100)
    assert whole.length[-1] == pytest.approx(2 * math.pi)
    np.testing.assert_allclose(whole.at(1.0), path.at(path.length[100] + 1.0), atol=1e-12)


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"lower_p": np.zeros(1)}, "lower_p"),
        ({"upper_p": np.array([0.0, math.nan])}, "upper_p"),
        ({"upper_p": np.array([1.0, 0.0])}, "upper_p"),
        ({"lower": "left"}, "lower"),
        ({"upper": np.array([-2.0, 2.0])}, "upper"),
        ({"lines": 0}, "lines"),
        ({"lines": True}, "lines"),
        ({"inside": -1}, "inside"),
        ({"max_boxes": 0}, "max_boxes"),
        ({"field": lambda h, p: h[0]}, "field"),
    ],
)
def test_bad_arguments_are_refused(change, argument):
    field = lying(0, 1)
    given = {"field": field, "lower_p": np.zeros(2), "upper_p": np.ones(2), **BOX}
    with pytest.raises(InputError) as error:
        curves(**{**given, **change})
    assert error.value.argument == argument


def test_32_bit_types_are_refused():
    with jax.enable_x64(False), pytest.raises(InputError, match="64-bit"):
        curves(lambda h, p: h, np.zeros(2), np.ones(2), **BOX)
