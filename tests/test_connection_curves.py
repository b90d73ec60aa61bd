"""Curves of connections in a plane: against curves known in closed form, and scipy's shooting elsewhere.

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
from jaxtyping import Array, Float
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from gru_sweep.analysis.bifurcations.global_curves.connections import connection_curve
from gru_sweep.analysis.bifurcations.global_events.saddle_branches import directions
from gru_sweep.analysis.bifurcations.plane.codimension_two import BOGDANOV_TAKENS, SpecialPoint
from gru_sweep.analysis.bifurcations.plane.curve import (
    ANOTHER_SADDLE,
    BORDER,
    FOLD,
    HETEROCLINIC,
    HOMOCLINIC,
    NEUTRAL_SADDLE_LOOP,
    SADDLE_NODE_LOOP,
    Curve,
)
from gru_sweep.records import InputError
from gru_sweep.systems import families

SKEW = np.array([[1.0, 0.3], [-0.2, 0.9]])
MONOMIALS = ("1", "x", "y", "xx", "xy", "yy", "xxx", "xxy", "xyy", "yyy")
BOX = {"lower": [-3.0, -3.0], "upper": [3.0, 3.0]}


class Plane(eqx.Module):
    """Cubic polynomials whose coefficients are linear in p, in skew coordinates."""

    tables: Float[Array, "3 2 10"]
    skew: Float[Array, "2 2"]

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 2"]) -> Float[Array, " 2"]:
        x, y = self.skew @ h
        xx, xy, yy = x * x, x * y, y * y
        terms = jnp.stack([jnp.ones_like(x), x, y, xx, xy, yy, x * xx, y * xx, x * yy, y * yy])
        table = self.tables[0] + p[0] * self.tables[1] + p[1] * self.tables[2]
        (a, b), (c, d) = self.skew
        inverse = jnp.stack([jnp.stack([d, -b]), jnp.stack([-c, a])]) / (a * d - b * c)
        return (inverse @ table) @ terms


def plane(*pairs: tuple[dict, dict]) -> Plane:
    """Coefficients of x' and y' by monomial: those without parameters, those of p1, those of p2."""
    tables = np.zeros((3, 2, len(MONOMIALS)))
    for table, pair in zip(tables, pairs):
        for row, entries in zip(table, pair):
            for name, value in entries.items():
                row[MONOMIALS.index(name)] = value
    return Plane(jnp.asarray(tables), jnp.asarray(SKEW))


def branches(field, p, place, vectors) -> list[int]:
    """The unstable and the stable branch of a saddle on the side of two vectors (not skew)."""
    four = directions(np.asarray(jax.jacfwd(lambda h: field(h, jnp.asarray(p)))(jnp.asarray(place))))
    sides = [four @ np.linalg.solve(SKEW, vector) for vector in vectors]
    return [max((k, k + 2), key=lambda i: sides[k][i]) for k in (0, 1)]


def homoclinic(field, p, saddle, vectors, lower_p, upper_p, local=()) -> Curve:
    """The curve through p; the saddle and its directions are not skew."""
    place = np.linalg.solve(SKEW, saddle)
    out, into = branches(field, p, place, vectors)
    curve = connection_curve(field, p, place, out, place, into, lower_p, upper_p, **BOX, local=local)
    assert curve is not None
    assert curve.kind == HOMOCLINIC
    return curve


def along(curve: Curve, count: int = 501) -> np.ndarray:
    """Parameters between the vertices, (count, 2)."""
    return curve.at(np.linspace(0.0, curve.length[-1], count))[:, 2:]


def folds(points, slopes, special=()) -> Curve:
    """A fold curve from its points (n, 4) and their derivatives, states not skew."""
    inverse = np.linalg.inv(SKEW).T
    points, slopes = (np.concatenate([x[:, :2] @ inverse, x[:, 2:]], axis=1) for x in (points, slopes))
    slopes = slopes / np.linalg.norm(slopes, axis=1)[:, None]
    length = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    return Curve(points, slopes, length, False, FOLD, (BORDER, BORDER), special, {})


WHERE = 0.3


def test_a_loop_that_is_known():
    """The loop y^2 = x^2 (1 - a x) is there at p1 = WHERE for every p2; its saddle quantity is 4 p2."""
    a = 0.75
    field = plane(
        (
            {"y": 1.0, "x": -2.0 * WHERE, "xx": 3.0 * a * WHERE},
            {"x": 1.0, "xx": -1.5 * a, "y": 2.0 * WHERE},
        ),
        ({"x": 2.0, "xx": -3.0 * a}, {"y": -2.0}),
        ({"x": 2.0, "xx": -2.0 * a}, {"y": 2.0, "xy": -3.0 * a}),
    )
    p = np.array([WHERE, -0.1])
    curve = homoclinic(field, p, [0.0, 0.0], ([1.0, 1.0], [1.0, -1.0]), [0.1, -0.3], [0.5, 0.25])
    assert curve.ends == (BORDER, BORDER)
    np.testing.assert_allclose(np.sort(curve.points[[0, -1], 3]), [-0.3, 0.25], atol=1e-13)
    np.testing.assert_allclose(along(curve)[:, 0], WHERE, atol=1e-12)
    np.testing.assert_allclose(curve.points[:, :2], 0.0, atol=1e-12)
    np.testing.assert_allclose(curve.values["saddle_quantity"], 4.0 * curve.points[:, 3], atol=1e-12)
    assert (np.abs(curve.points[:, 2] - WHERE) <= curve.values["error"]).all()
    assert curve.values["error"].max() < 1e-11
    (neutral,) = curve.codimension_two
    assert neutral.kind == NEUTRAL_SADDLE_LOOP
    assert np.abs(neutral.point - [0.0, 0.0, WHERE, 0.0]).max() <= neutral.error < 1e-11
    np.testing.assert_allclose(curve.at(neutral.length), neutral.point, atol=1e-12)


def test_a_bridge_that_is_known():
    """x' = x^2 - 1, y' = (0.3 y - 1.5 x + p2) y + p1 - 0.3 - 0.4 p2: saddles (+-1, 0), joined by y = 0."""
    field = plane(
        ({"1": -1.0, "xx": 1.0}, {"xy": -1.5, "yy": 0.3, "1": -WHERE}),
        ({}, {"1": 1.0}),
        ({}, {"1": -0.4, "y": 1.0}),
    )
    p = np.array([WHERE + 0.04, 0.1])
    source, target = (np.linalg.solve(SKEW, [x, 0.0]) for x in (1.0, -1.0))
    out, _ = branches(field, p, source, ([-1.0, 0.0], [0.0, 1.0]))
    _, into = branches(field, p, target, ([0.0, 1.0], [1.0, 0.0]))
    curve = connection_curve(field, p, source, out, target, into, [0.1, -0.4], [0.5, 0.5], **BOX)
    assert curve is not None
    assert (curve.kind, curve.ends) == (HETEROCLINIC, (BORDER, BORDER))
    assert "saddle_quantity" not in curve.values
    at = along(curve)
    np.testing.assert_allclose(at[:, 0], WHERE + 0.4 * at[:, 1], atol=1e-12)
    np.testing.assert_allclose(np.sort(curve.points[[0, -1], 3]), [-0.4, 0.5], atol=1e-13)
    np.testing.assert_allclose(curve.points[:, :2] @ SKEW.T, [[1.0, 0.0]] * len(curve), atol=1e-12)


def crossed(rate, sense, start, line, count=1) -> np.ndarray:
    """Where a trajectory, backwards if `sense` is -1, crosses a line for the `count`-th time, by DOP853."""
    line.terminal = count
    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-15, "events": line}
    run = solve_ivp(lambda t, u: sense * rate(u), (0.0, 1e4), start, **options)
    return run.y_events[0][count - 1]


def shot(rate, saddle, jacobian, sides, lines, counts=(1, 1)) -> list[np.ndarray]:
    """Where the unstable and the stable branch of a saddle on the given sides cross lines."""
    values, vectors = np.linalg.eig(jacobian)
    met = []
    for k, index in enumerate((np.argmax(values), np.argmin(values))):
        vector = vectors[:, index] * np.sign(vectors[:, index] @ sides[k])
        met.append(crossed(rate, 1.0 - 2.0 * k, saddle + 1e-7 * vector, lines[k], counts[k]))
    return met


CHAIN = 0.4


def chain_gap(p2: float, p1: float) -> float:
    """Of x' = y, y' = p1 - x + x^3 + (p2 + CHAIN x) y, on y = 0: the loop of its right saddle."""
    x = np.roots([1.0, 0.0, -1.0, p1]).real.max()
    rate = lambda u: np.array([u[1], p1 - u[0] + u[0] ** 3 + (p2 + CHAIN * u[0]) * u[1]])  # noqa: E731
    jacobian = np.array([[0.0, 1.0], [3.0 * x * x - 1.0, p2 + CHAIN * x]])
    axis = [lambda t, u: u[1], lambda t, u: u[1]]
    met = shot(rate, np.array([x, 0.0]), jacobian, ([-1.0, 0.0], [-1.0, 0.0]), axis)
    return met[0][0] - met[1][0]


@functools.cache
def chain() -> Curve:
    field = plane(({"y": 1.0}, {"x": -1.0, "xxx": 1.0, "xy": CHAIN}), ({}, {"1": 1.0}), ({}, {"y": 1.0}))
    p1 = 0.2
    p2 = brentq(chain_gap, -0.2, 0.0, args=(p1,), xtol=1e-13)
    x = np.roots([1.0, 0.0, -1.0, p1]).real.max()
    root = 1.0 / math.sqrt(3.0)
    exact = np.array([*np.linalg.solve(SKEW, [root, 0.0]), 2.0 * root / 3.0, -CHAIN * root])
    special = SpecialPoint(BOGDANOV_TAKENS, exact, 1e-15, True)
    b = np.linspace(-0.6, 0.6, 31)
    fold = folds(
        np.stack([0 * b + root, 0 * b, 0 * b + 2.0 * root / 3.0, b], axis=1),
        np.array([[0.0, 0.0, 0.0, 1.0]] * 31),
        (special,),
    )
    vectors = ([-1.0, -0.5], [-1.0, 0.5])
    return homoclinic(field, np.array([p1, p2]), [x, 0.0], vectors, [-0.5, -0.6], [0.6, 0.6], (fold,))


def test_from_a_chain_to_a_bogdanov_takens_point():
    """Between an orbit through a second saddle, at p = 0 by symmetry, and a point known exactly."""
    curve = chain()
    ends = dict(zip(curve.ends, curve.points[[0, -1]]))
    assert set(ends) == {ANOTHER_SADDLE, BOGDANOV_TAKENS}
    np.testing.assert_allclose(ends[ANOTHER_SADDLE][2:], 0.0, atol=1e-3)
    (special,) = [point for point in curve.codimension_two if point.kind == BOGDANOV_TAKENS]
    np.testing.assert_array_equal(ends[BOGDANOV_TAKENS], special.point)
    np.testing.assert_array_equal(curve.at(special.length), special.point)


@pytest.mark.parametrize("p1", [0.05, 0.2, 0.35])
def test_between_vertices_against_shooting(p1):
    curve = chain()
    (length,) = curve.crossings(2, p1)
    p2 = curve.at(length)[3]
    assert brentq(chain_gap, p2 - 0.01, p2 + 0.01, args=(p1,), xtol=1e-13) == pytest.approx(p2, abs=1e-9)


def test_a_loop_shrinks_as_theory_says():
    """x' = y, y' = b1 + b2 x + x^2 - x y: b1 = -(6/25) b2^2 + O(|b2|^3), and nothing is left at b = 0."""
    field = plane(({"y": 1.0}, {"xx": 1.0, "xy": -1.0}), ({}, {"1": 1.0}), ({}, {"x": 1.0}))
    b = np.linspace(0.3, -0.7, 31)
    special = SpecialPoint(BOGDANOV_TAKENS, np.zeros(4), 1e-15, True)
    points, slopes = [-b / 2, 0 * b, b * b / 4, b], [0.5 + 0 * b, 0 * b, -b / 2, -1.0 + 0 * b]
    fold = folds(np.stack(points, axis=1), np.stack(slopes, axis=1), (special,))
    guess = np.array([-0.03662076809506282, -0.4])
    x = 0.5 * (0.4 + math.sqrt(0.16 - 4.0 * guess[0]))
    vectors = ([-1.0, -1.0], [-1.0, 1.0])
    curve = homoclinic(field, guess, [x, 0.0], vectors, [-0.5, -0.5], [0.3, 0.3], (fold,))
    assert sorted(curve.ends) == [BOGDANOV_TAKENS, BORDER]
    assert (curve.values["saddle_quantity"][1:-1] < 0.0).all()
    ratios = []
    for value in (-0.04, -0.02, -0.01):
        (length,) = curve.crossings(3, value)
        ratios.append(curve.at(length)[2] / value**2)
    np.testing.assert_allclose(ratios, -6.0 / 25.0, atol=2e-3)
    # the next order is linear in b2
    assert (ratios[0] + 0.24) / (ratios[1] + 0.24) == pytest.approx(2.0, rel=0.02)
    assert (ratios[1] + 0.24) / (ratios[2] + 0.24) == pytest.approx(2.0, rel=0.02)


TURN = 4.0


def ring_rate(u, p1: float, p2: float) -> np.ndarray:
    """(angle, squared radius - 1) of `ring`."""
    angle, v = u
    return np.array([TURN * v, (1.0 + v) * (p1 - math.sqrt(1.0 + v) * math.sin(angle) - p2 * v)])


def ring_gap(p2: float, p1: float, begin: float = 0.0) -> float:
    """The loop of the saddle once around; at p1 = 1 that of the saddle-node, left on the parabola that its
    centre branch is, at the distance `begin`."""
    angle = math.pi - math.asin(p1)
    lines = [lambda t, u, to=to: u[0] - angle - to for to in (math.pi, -math.pi)]
    rate = lambda u: ring_rate(u, p1, p2)  # noqa: E731
    rest = np.array([angle, 0.0])
    if not begin:
        slope = np.array([[0.0, TURN], [-math.cos(angle), -0.5 * math.sin(angle) - p2]])
        met = shot(rate, rest, slope, ([0.0, 1.0], [0.0, 1.0]), lines)
        return met[0][1] - met[1][1]
    start = rest + np.array([begin, begin**2 / (1.0 + 2.0 * p2)])
    strong = np.array([-TURN, 0.5 + p2]) / math.hypot(TURN, 0.5 + p2)
    there, back = crossed(rate, 1.0, start, lines[0]), crossed(rate, -1.0, rest + 1e-7 * strong, lines[1])
    return there[1] - back[1]


def test_the_end_at_a_saddle_node_loop():
    """With v = x^2 + y^2 - 1, x' = x (p1 - y - p2 v) / 2 - TURN v y, y' = y (p1 - y - p2 v) / 2 + TURN v x:
    a saddle and a node on the circle v = 0 at y = p1, that meet at p1 = 1."""
    k, w = 0.5, TURN
    field = plane(
        (
            {"xy": -k, "y": w, "xxy": -w, "yyy": -w},
            {"yy": -k, "x": -w, "xxx": w, "xyy": w},
        ),
        ({"x": k}, {"y": k}),
        ({"x": k, "xxx": -k, "xyy": -k}, {"y": k, "xxy": -k, "yyy": -k}),
    )
    p1 = 0.8
    p2 = brentq(ring_gap, 0.9, 1.3, args=(p1,), xtol=1e-13)
    b = np.linspace(0.05, 4.0, 31)
    fold = folds(np.stack([0 * b, 0 * b + 1, 0 * b + 1, b], axis=1), np.array([[0.0, 0.0, 0.0, 1.0]] * 31))
    saddle = [-0.6, 0.8]
    vectors = ([-0.8, -0.6], [0.8, 0.6])
    curve = homoclinic(field, np.array([p1, p2]), saddle, vectors, [0.75, 0.3], [1.2, 4.0], (fold,))
    assert sorted(curve.ends) == [BORDER, SADDLE_NODE_LOOP]
    (special,) = curve.codimension_two
    assert special.kind == SADDLE_NODE_LOOP
    np.testing.assert_array_equal(curve.at(special.length), special.point)
    assert special.error < 1e-8
    np.testing.assert_allclose(SKEW @ special.point[:2], [0.0, 1.0], atol=special.error)
    assert abs(special.point[2] - 1.0) <= special.error
    there = brentq(ring_gap, 1.9, 1.95, args=(1.0, 1e-3), xtol=1e-13)
    assert abs(special.point[3] - there) <= special.error + 1e-9
    (length,) = curve.crossings(2, 0.95)
    assert brentq(ring_gap, 1.3, 1.6, args=(0.95,), xtol=1e-13) == pytest.approx(
        curve.at(length)[3], abs=1e-9
    )


class Eq9(eqx.Module):
    """The family `homoclinic` over gamma and the bias of unit 1."""

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 2"]) -> Float[Array, " 2"]:
        cell = families.homoclinic(p[0])
        return eqx.tree_at(lambda cell: cell.b_h, cell, jnp.stack([p[1], p[0]]))(h)


def eq9_gap(gamma: float, bias: float) -> float:
    """The loop of the saddle, on the line x = -0.6."""
    c, d = 3.0 * math.cos(math.pi / 20), 3.0 * math.sin(math.pi / 20)
    weights = np.array([[c, d], [-d, c]])
    rate = lambda h: 0.5 * (np.tanh(weights @ h / 2 + [bias, gamma]) - h)  # noqa: E731
    h = np.array([-0.317, -0.7613])
    for _ in range(20):
        t = np.tanh(weights @ h / 2 + [bias, gamma])
        jacobian = 0.5 * ((1 - t * t)[:, None] * weights / 2 - np.eye(2))
        h = h - np.linalg.solve(jacobian, rate(h))
    line = [lambda t, u: u[0] + 0.6, lambda t, u: u[0] + 0.6]
    met = shot(rate, h, jacobian, ([-1.0, 0.0], [0.0, 1.0]), line, (1, 2))
    return met[0][1] - met[1][1]


@functools.cache
def eq9() -> Curve:
    gamma = brentq(eq9_gap, 0.05415, 0.0542, args=(0.32,), xtol=1e-14)
    assert gamma == pytest.approx(0.054174676916216, abs=1e-11)
    saddle = [-0.31704, -0.76133]
    corners = {"lower": [-1.0, -1.0], "upper": [1.0, 1.0]}
    p = [gamma, 0.32]
    curve = connection_curve(Eq9(), p, saddle, 2, saddle, 1, [0.05, 0.316], [0.058, 0.324], **corners)
    assert curve is not None
    return curve


def test_a_gated_network():
    """Eq 9 from border to border; a stable cycle dies there."""
    curve = eq9()
    assert (curve.kind, curve.ends) == (HOMOCLINIC, (BORDER, BORDER))
    assert (curve.values["saddle_quantity"] < 0.0).all()
    assert curve.values["error"].max() < 1e-10


@pytest.mark.parametrize("vertex", [True, False])
def test_a_gated_network_against_shooting(vertex):
    curve = eq9()
    k = len(curve) // 2
    at = curve.length[k] if vertex else curve.length[[k, k + 1]].mean()
    gamma, bias = curve.at(at)[2:]
    found = brentq(eq9_gap, gamma - 1e-4, gamma + 1e-4, args=(bias,), xtol=1e-14)
    assert found == pytest.approx(gamma, abs=1e-10)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("p", {"p": [0.7, 0.0]}),
        ("p", {"p": [0.3]}),
        ("source", {"source": [1.3, 0.1]}),
        ("target", {"target": [0.0, math.nan]}),
        ("source_branch", {"source_branch": 1}),
        ("target_branch", {"target_branch": 2}),
        ("upper_p", {"upper_p": [0.5, -0.4]}),
        ("lower_p", {"lower_p": [0.1]}),
        ("upper", {"upper": [3.0, -4.0]}),
    ],
)
def test_refused(name, change):
    """Before anything is followed."""
    field = plane(({"y": 1.0}, {"x": 1.0}), ({}, {}), ({}, {}))
    given = {"p": [0.3, 0.0], "source": [0.0, 0.0], "source_branch": 0, "target": [0.0, 0.0]}
    given |= {"target_branch": 1, "lower_p": [0.1, -0.3], "upper_p": [0.5, 0.3]} | BOX
    with pytest.raises(InputError) as refused:
        connection_curve(field, **(given | change))
    assert refused.value.argument == name


def test_nothing_is_found_where_nothing_is():
    """A linear saddle: its branches never come back."""
    field = plane(({"y": 1.0}, {"x": 1.0}), ({}, {}), ({}, {}))
    place = [0.0, 0.0]
    found = connection_curve(field, [0.3, 0.0], place, 0, place, 1, [0.1, -0.3], [0.5, 0.3], **BOX)
    assert found is None
