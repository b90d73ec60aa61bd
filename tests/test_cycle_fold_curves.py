"""Curves of folds of cycles against closed forms, and on a GRU against scipy and the search on a line.

Polynomials of one form, so that one set of compiled programs follows them all.
"""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, fsolve

from gru_sweep.analysis.bifurcations.global_curves.cycle_folds import cycle_fold_curve
from gru_sweep.analysis.bifurcations.global_events.cycle_folds import cycle_fold
from gru_sweep.analysis.bifurcations.plane.codimension_two import SpecialPoint
from gru_sweep.analysis.bifurcations.plane.curve import Curve
from gru_sweep.analysis.bifurcations.plane.curves import OnLine
from gru_sweep.records import InputError
from gru_sweep.systems.cells import GRU
from gru_sweep.systems.families import FAMILIES
from gru_sweep.systems.slices import slice_of

CELLS = Path(__file__).parent / "data" / "census_counterexamples.json"


class Rings(eqx.Module):
    """f = w (H_y, -H_x) - K grad H + (0, y M), with X = x + k p1 y, H = y^2/2 + t p1 X + b X^2/2 + r X^3/3 +
    q X^4/4, K = sum_j (c_j . P) H^j and M = sum_j (m_j . P) x^j, P = (1, p0, p1, p0^2 + p1^2).

    Where M = 0, dH/dt = -K |grad H|^2: cycles are the closed levels of H at the zeros of K, double ones at
    the double zeros.
    """

    shape: dict[str, Float[Array, ""]]
    c: Float[Array, "4 4"]
    m: Float[Array, "4 4"]

    def level(self, h, p):
        s = self.shape
        x = h[0] + s["k"] * p[1] * h[1]
        deep = 0.5 * s["b"] + x * (s["r"] / 3.0 + 0.25 * s["q"] * x)
        return x * (s["t"] * p[1] + x * deep) + 0.5 * h[1] * h[1]

    def slope(self, h, p):
        s = self.shape
        x = h[0] + s["k"] * p[1] * h[1]
        along = s["t"] * p[1] + x * (s["b"] + x * (s["r"] + s["q"] * x))
        return along, h[1] + s["k"] * p[1] * along

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 2"]) -> Float[Array, " 2"]:
        (x, y), w, z = self.slope(h, p), self.shape["w"], self.level(h, p)
        terms = jnp.stack([jnp.ones_like(z), p[0], p[1], p[0] * p[0] + p[1] * p[1]])
        damping, drive = (
            (table @ terms) @ jnp.stack([jnp.ones_like(s), s, s * s, s * s * s])
            for table, s in ((self.c, z), (self.m, h[0]))
        )
        return jnp.stack([w * y - damping * x, -w * x - damping * y + drive * h[1]])


def rings(c: list[list[float]], m: tuple | list = (), **shape: float) -> Rings:
    """Rows of c and m, and numbers of the shape, w = b = 1 where not given; the rest is 0."""
    numbers = {"w": 1.0, "b": 1.0, "t": 0.0, "r": 0.0, "q": 0.0, "k": 0.0} | shape
    tables = np.zeros((2, 4, 4))
    for table, rows in zip(tables, (c, m)):
        for j, row in enumerate(rows):
            table[j, : len(row)] = row
    return Rings({name: jnp.asarray(x, float) for name, x in numbers.items()}, *map(jnp.asarray, tables))


def followed(field: Rings, p, cycle, inside, lower, upper, *known: SpecialPoint, box: float = 4.0) -> Curve:
    curve = cycle_fold_curve(
        field, p, cycle, inside, lower, upper, lower=[-box, -box], upper=[box, box], known=known
    )
    assert curve is not None
    assert curve.kind == "cycle fold"
    assert all(len(x) == len(curve) for x in curve.values.values())
    assert (np.diff(curve.length) > 0.0).all()
    assert [point.length for point in curve.codimension_two] == [
        curve.length[np.flatnonzero((curve.points == point.point).all(axis=1))[0]]
        for point in curve.codimension_two
    ]
    return curve


def special(kind: str, *point: float) -> SpecialPoint:
    return SpecialPoint(kind, np.array(point, float), 1e-15, True)


def off(curve: Curve, residual) -> tuple[float, float]:
    """The largest |residual| of p at the points of a curve, and between them."""
    between = curve.at(np.linspace(0.0, curve.length[-1], 4001))
    return tuple(float(np.abs(residual(*points[:, 2:].T)).max()) for points in (curve.points, between))  # type: ignore


def levels(field: Rings, curve: Curve) -> np.ndarray:
    """H at the states of a curve."""
    return np.asarray(
        jax.vmap(field.level)(jnp.asarray(curve.points[:, :2]), jnp.asarray(curve.points[:, 2:]))
    )


BAUTIN = special("bautin", 0.0, 0.0, 0.0, 0.0)
PARABOLA = [[0.0, 1.0], [0.0, 0.0, 1.0], [1.0]]
"""K = p0 + p1 H + H^2: double zeros at H = -p1/2 on p0 = p1^2/4."""


@pytest.mark.parametrize("sense", [1.0, -1.0])
def test_from_a_bautin_point_to_the_border(sense):
    """Round cycles in skew coordinates: r' = -r (p0 + p1 r^2/2 + r^4/4), the normal form."""
    field = rings(PARABOLA, w=1.3 * sense, k=0.3)
    curve = followed(
        field, [0.0625, -0.5], [math.sqrt(0.5), 0.0], [0.0, 0.0], [-0.1, -1.0], [0.3, 0.4], BAUTIN
    )
    assert sorted(curve.ends) == ["bautin", "border"]
    vertices, between = off(curve, lambda a, b: a - b * b / 4.0)
    assert vertices < 1e-10
    assert between < 1e-9
    np.testing.assert_allclose(levels(field, curve), -0.5 * curve.points[:, 3], atol=1e-8)
    np.testing.assert_allclose(curve.values["period"], 2.0 * math.pi / 1.3, rtol=1e-8)
    # P'' = -K'' |grad H| int |grad H|^2 dt, K'' = 2, by length along the gradient for w > 0, against it for
    # w < 0; the mean of |grad H|^2 on a level is (2 + (k p1)^2) H
    x, y = field.slope(curve.points[:, :2].T, curve.points[:, 2:].T)
    mean = -0.5 * curve.points[:, 3] * (2.0 + (0.3 * curve.points[:, 3]) ** 2)
    expected = -sense * 2.0 * np.hypot(x, y) * mean * 2.0 * math.pi / 1.3
    np.testing.assert_allclose(curve.values["second_derivative"], expected, rtol=1e-4, atol=1e-3)
    (point,) = curve.codimension_two
    assert point.kind == "bautin"
    assert np.array_equal(curve.points[0 if curve.ends[0] == "bautin" else -1], BAUTIN.point)


def test_bautin_point_that_is_not_known():
    field = rings(PARABOLA)
    start = [0.0625, -0.5], [math.sqrt(0.5), 0.0], [0.0, 0.0], [-0.1, -1.0], [0.3, 0.4]
    far = special("bautin", 0.0, 0.0, 0.001, 0.02)
    for known in ((), (far,)):
        curve = followed(field, *start, *known)
        assert sorted(curve.ends) == ["border", "unresolved"]
        assert not curve.codimension_two


CIRCLE = [[0.75, 0.0, 0.0, 1.0], [-2.0], [1.0]]
"""K = (H - 1)^2 + |p|^2 - 1/4."""


def once_around(curve: Curve, radius: float) -> None:
    """The curve is a circle about 0, and closed."""
    assert curve.closed
    assert curve.ends == ("closed", "closed")
    np.testing.assert_array_equal(curve.points[0], curve.points[-1])
    vertices, between = off(curve, lambda a, b: np.hypot(a, b) - radius)
    assert vertices < 1e-11
    assert between < 1e-9
    angle = np.unwrap(np.arctan2(curve.points[:, 3], curve.points[:, 2]))
    assert abs(angle[-1] - angle[0]) == pytest.approx(2.0 * math.pi, abs=1e-8)
    assert (np.diff(angle) * np.sign(angle[-1] - angle[0]) > -1e-8).all()


def test_closed():
    field = rings(CIRCLE, k=0.3)
    cycle = [math.sqrt(2.0), 0.0]
    curve = followed(field, [0.5, 0.0], cycle, [0.0, 0.0], [-5.0, -5.0], [5.0, 5.0])
    once_around(curve, 0.5)
    np.testing.assert_allclose(levels(field, curve), 1.0, atol=1e-11)
    np.testing.assert_allclose(curve.values["period"], 2.0 * math.pi, rtol=1e-11)


def exchanges(curve: Curve) -> int:
    """How many times one ray is exchanged for another, at one point of the plane."""
    pairs = np.diff(curve.length) < 1e-11
    assert np.abs(np.diff(curve.points[:, 2:], axis=0)[pairs]).max(initial=0.0) < 1e-9
    return int(pairs.sum())


FLAT = [[1.0, 1.0], [-2.0], [1.0]]
"""K = (H - 1)^2 + p0: double cycles where p0 = 0."""


def test_ray_that_becomes_tangent():
    """The ray is chosen along the shorter axis, and ellipses turn until it is tangent."""
    field = rings(FLAT, b=4.0, k=7.0)
    cycle = [math.sqrt(0.5), 0.0]
    curve = followed(field, [0.0, 0.0], cycle, [0.0, 0.0], [-0.5, -0.5], [0.5, 0.1], box=6.5)
    assert curve.ends == ("border", "border")
    assert sorted(curve.points[[0, -1], 3]) == [-0.5, 0.1]
    assert exchanges(curve) == 1
    assert max(off(curve, lambda a, b: a)) < 1e-11
    np.testing.assert_allclose(levels(field, curve), 1.0, atol=1e-10)
    np.testing.assert_allclose(curve.values["period"], math.pi, rtol=1e-10)


WELLS = {"b": -1.0, "q": 1.0, "t": 1.0}
"""Two wells, of which p1 takes one at +-2/sqrt(27) = +-0.385."""
AROUND = brentq(lambda x: -0.5 * x * x + 0.25 * x**4 - 1.0, 1.0, 3.0)
"""(AROUND, 0) lies on the level 1 of H at p1 = 0."""


def test_closed_with_two_fixed_points():
    """No well stays all around: rays from one and the other, joined where only p goes on."""
    field = rings([[0.8, 0.0, 0.0, 1.0], [-2.0], [1.0]], **WELLS)
    radius = math.sqrt(0.2)
    curve = followed(field, [radius, 0.0], [AROUND, 0.0], [1.0, 0.0], [-5.0, -5.0], [5.0, 5.0])
    once_around(curve, radius)
    np.testing.assert_allclose(levels(field, curve), 1.0, atol=1e-11)
    assert exchanges(curve) >= 2


def test_cusp_of_cycles():
    """K = p0 + p1 (H - 1) + (H - 1)^3, cycles that no formula names: 27 p0^2 + 4 p1^3 = 0."""
    field = rings([[-1.0, 1.0, -1.0], [3.0, 0.0, 1.0], [-3.0], [1.0]], q=1.0, k=0.2)
    cycle = [brentq(lambda x: 0.5 * x * x + 0.25 * x**4 - 1.3, 0.0, 3.0), 0.0]
    curve = followed(field, [2.0 * 0.3**3, -3.0 * 0.3**2], cycle, [0.0, 0.0], [-0.4, -1.0], [0.4, 0.4])
    assert curve.ends == ("border", "border")
    at = levels(field, curve) - 1.0
    np.testing.assert_allclose(curve.points[:, 2:], np.stack([2.0 * at**3, -3.0 * at**2], axis=1), atol=1e-9)
    assert off(curve, lambda a, b: 27.0 * a * a + 4.0 * b**3)[1] < 1e-8
    (cusp,) = curve.codimension_two
    assert cusp.kind == "cycle cusp"
    assert np.abs(cusp.point[2:]).max() <= cusp.error < 1e-9
    assert float(field.level(*jnp.split(jnp.asarray(cusp.point), 2))) == pytest.approx(1.0, abs=1e-9)
    bend = curve.values["second_derivative"]
    row = int(np.flatnonzero(curve.length == cusp.length)[0])
    assert abs(bend[row]) < 1e-6
    assert (bend[:row] * bend[0] > 0.0).all()
    assert (bend[row + 1 :] * bend[0] < 0.0).all()


LOOP = 0.2
"""e of x'' = x - x^2 + x' (p0 + p1 x + e x^3): a Bautin point at the centre (1, 0) for p = (-e, 0), and where
p0 = 0 the saddle 0 is neutral."""


@functools.cache
def neutral_loop() -> float:
    """p1 of the homoclinic orbit to the neutral saddle, by shooting."""

    def end(p1: float, sense: float) -> float:
        def rate(_, h):
            return [h[1], h[0] - h[0] ** 2 + h[1] * (p1 * h[0] + LOOP * h[0] ** 3)]

        def crossing(_, h):
            return h[1]

        crossing.terminal = True  # type: ignore[attr-defined]
        # the manifold is y = +-x + x^2 (p1 -+ 1)/3 + O(x^3), where x' = y
        x = 1e-5
        start = [x, sense * x + (sense * p1 - 1.0) * sense / 3.0 * x * x]
        found = solve_ivp(rate, (0.0, sense * 60.0), start, "DOP853", rtol=1e-12, atol=1e-14, events=crossing)
        return float(found.y_events[0][0][0])

    return brentq(lambda p1: end(p1, 1.0) - end(p1, -1.0), -3.0 * LOOP, 0.0, xtol=1e-13)


def lienard() -> Rings:
    return rings([], [[0.0, 1.0], [0.0, 0.0, 1.0], [0.0], [LOOP]], b=-1.0, r=1.0)


def test_from_a_bautin_point_to_a_neutral_saddle_loop():
    """A generic loop, beside which double cycles are lost in rounding: what is followed are double cycles."""
    loop = neutral_loop()
    known = special("bautin", 1.0, 0.0, -LOOP, 0.0), special("neutral saddle loop", 0.0, 0.0, 0.0, loop)
    field = lienard()
    # from Melnikov's integrals on the level -0.09 of y^2/2 - x^2/2 + x^3/3
    curve = followed(field, [-0.144, -0.057], [1.352, 0.0], [1.0, 0.0], [-0.25, -0.3], [0.05, 0.1], *known)
    order = slice(None, None, 1 if curve.ends[0] == "bautin" else -1)
    assert curve.ends[order] == ("bautin", "neutral saddle loop")
    assert {point.kind for point in curve.codimension_two} == {"bautin", "neutral saddle loop"}
    period = curve.values["period"][order]
    assert (np.diff(period) > 0.0).all()
    assert period[0] == pytest.approx(2.0 * math.pi)
    assert period[-1] == math.inf
    assert period[-2] > 20.0
    points = curve.points[order]
    assert np.array_equal(points[-1, 2:], known[1].point[2:])
    # where it is lost it is near, and on its way there
    assert np.abs(points[-2, 2:] - points[-1, 2:]).max() < 0.02
    for longest in (6.5, 8.0, 12.0):  # later ones pass the saddle so closely that no orbit of scipy's closes
        row = np.searchsorted(period, longest)
        assert closes(field, points[row], period[row]) < 1e-8


def closes(field, point: np.ndarray, period: float) -> float:
    """How far scipy's orbit is from closing after a period, with a multiplier of 1: the distance or the
    integral of div f, whichever is larger."""
    p = jnp.asarray(point[2:])
    rate = jax.jit(lambda h: field(h, p))
    slope = jax.jit(jax.jacfwd(rate))

    def both(_, state):
        h = jnp.asarray(state[:2])
        return np.append(rate(h), jnp.trace(slope(h)))

    start = np.append(point[:2], 0.0)
    end = solve_ivp(both, (0.0, period), start, "DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    return float(np.abs(end - start).max())


def test_loop_between_two_points():
    """K = p0 + p1 H + H^2 at a figure eight, H = 0: inside one of its loops the curve goes on outside both,
    and is not taken to be the same."""
    field = rings(PARABOLA, b=-1.0, q=1.0)
    cycle = [brentq(lambda x: -0.5 * x * x + 0.25 * x**4 + 0.125, 1.0, 3.0), 0.0]
    curve = followed(field, [1.0 / 64.0, 0.25], cycle, [1.0, 0.0], [-0.1, -0.2], [0.3, 0.4])
    assert sorted(curve.ends) == ["border", "unresolved"]
    assert curve.points[:, 3].min() > 0.0
    assert off(curve, lambda a, b: a - b * b / 4.0)[1] < 1e-9


def test_nothing_to_follow():
    """No cycle, no fixed point inside but a saddle, or none inside."""
    field = rings(FLAT, **WELLS)
    corners = [-0.5, -0.6], [0.5, 0.6]
    for p, cycle, inside in (
        ([0.4, 0.0], [AROUND, 0.0], [1.0, 0.0]),
        ([0.0, 0.0], [AROUND, 0.0], [0.0, 0.0]),
        ([0.0, 0.0], [AROUND, 0.0], [3.0, 3.0]),
    ):
        box = {"lower": [-4.0, -4.0], "upper": [4.0, 4.0]}
        assert cycle_fold_curve(field, p, cycle, inside, *corners, **box) is None


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("p", {"p": [0.0]}),
        ("p", {"p": [2.0, 0.0]}),
        ("cycle", {"cycle": [math.nan, 0.0]}),
        ("inside", {"inside": "here"}),
        ("lower_p", {"lower_p": [0.0, 0.0, 0.0]}),
        ("upper_p", {"upper_p": [-2.0, 1.0]}),
        ("upper", {"upper": [-5.0, 4.0]}),
    ],
)
def test_refused(name, change):
    given = {
        **{"field": rings(CIRCLE), "p": [0.5, 0.0], "cycle": [1.4, 0.0], "inside": [0.0, 0.0]},
        **{"lower_p": [-1.0, -1.0], "upper_p": [1.0, 1.0], "lower": [-4.0, -4.0], "upper": [4.0, 4.0]},
    }
    with pytest.raises(InputError) as refused:
        cycle_fold_curve(**(given | change))
    assert refused.value.argument == name


def test_gru():
    """A cell with a fold of cycles, in the plane of two weights: from a fold on a line to the border."""
    weights = {k: np.array(v) for k, v in json.loads(CELLS.read_text())[22]["weights"].items()}
    weights["U_h"] *= 0.43
    cell = GRU(**{name: jnp.asarray(value) for name, value in weights.items()})
    field = slice_of(FAMILIES["weights"].bound(cell), ("U_h[0,1]", "U_h[1,0]"), {})
    p = weights["U_h"][[0, 1], [1, 0]]
    rate = jax.jit(lambda h: field(h, jnp.asarray(p)))

    def orbit(start, time: float) -> np.ndarray:
        return solve_ivp(lambda _, h: rate(h), (0.0, time), start, rtol=1e-9, atol=1e-11).y[:, -1]

    # the stable cycle, and the unstable one around the sink
    sink = fsolve(rate, [-0.1, 0.05], xtol=1e-12)
    cycles = [orbit([0.9, 0.9], 60.0), orbit([sink[0] + 0.02, sink[1]], -60.0)]
    line = OnLine(field, jnp.asarray([0.0, p[1]]), jnp.asarray([1.0, 0.0]))
    box = {"lower": [-1.0, -1.0], "upper": [1.0, 1.0]}
    event = cycle_fold(line, (p[0], 0.9 * p[0]), cycles, 0, **box)
    assert event.kind == "cycle fold"
    width = 0.25 * np.abs(p)
    start = [event.value, p[1]]
    curve = cycle_fold_curve(field, start, event.at, sink, p - width, p + width, **box)
    assert curve is not None
    assert curve.ends == ("border", "border")
    through, away = curve.nearest(np.array([0.0, 0.0, *start]), np.array([np.inf, np.inf, *(2.0 * width)]))
    assert away < 1e-9
    here = np.argmin(np.abs(curve.length - through))
    assert curve.values["period"][here] == pytest.approx(event.details["period"], rel=1e-6)
    for row in (0, -1):
        assert closes(field, curve.points[row], curve.values["period"][row]) < 1e-8
