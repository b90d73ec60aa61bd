"""Connections of saddles at parameters that are known exactly, or by another program's shooting."""

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

from gru_sweep.analysis.bifurcations.event import Event
from gru_sweep.analysis.bifurcations.global_events import divergence as diverging
from gru_sweep.analysis.bifurcations.global_events.bracketing import zeros
from gru_sweep.analysis.bifurcations.global_events.connections import _agreed, connection
from gru_sweep.analysis.bifurcations.global_events.divergence import Divergence
from gru_sweep.analysis.bifurcations.global_events.saddle_branches import (
    ORDER,
    at,
    branch,
    directions,
    settled,
    tied,
)
from gru_sweep.analysis.saddles import branch_start
from gru_sweep.records import InputError, Kind
from gru_sweep.systems import families
from tests.pumped import some_points
from tests.textbook import MONOMIALS, Cubic

WHERE = 0.3
"""The parameter of every connection here."""
SKEW = np.array([[1.0, 0.3], [-0.2, 0.9]])
BOX = {"lower": [-3.0, -3.0], "upper": [3.0, 3.0]}
LOOSE = (1e-13, 1e-10, 1e-7)


class Line(eqx.Module):
    """Polynomials whose coefficients are linear in p, in skew coordinates."""

    base: Float[Array, "2 8"]
    slope: Float[Array, "2 8"]
    skew: Float[Array, "2 2"]

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 1"]) -> Float[Array, " 2"]:
        (a, b), (c, d) = self.skew
        x, y = Cubic(self.base + p[0] * self.slope)(self.skew @ h)
        return jnp.stack([d * x - b * y, a * y - c * x]) / (a * d - b * c)


def line(base: tuple[dict, dict], slope: tuple[dict, dict]) -> Line:
    """The field with the given coefficients, by monomial, at p = `WHERE` and per p."""
    both = np.zeros((2, 2, len(MONOMIALS)))
    for table, pair in zip(both, (base, slope)):
        for row, entries in zip(table, pair):
            for name, value in entries.items():
                row[MONOMIALS.index(name)] = value
    return Line(*(jnp.asarray(x) for x in (both[0] - WHERE * both[1], both[1], SKEW)))


def loop(growth: float, a: float = 0.75) -> Line:
    """A saddle at 0 whose branches make the loop y^2 = x^2 (1 - a x) at p = `WHERE`.

    With F = y^2 - x^2 (1 - a x) and E = (2 x - 2 a x^2, 2 y - 3 a x y), E.grad F = (4 - 6 a x) F: the loop is
    invariant under (F_y, -F_x)/2 + growth E, and -grad F crosses it. The saddle quantity is 4 growth.
    """
    g = growth
    base = (
        {"y": 1.0, "x": 2.0 * g, "xx": -2.0 * a * g},
        {"x": 1.0, "xx": -1.5 * a, "y": 2.0 * g, "xy": -3.0 * a * g},
    )
    return line(base, ({"x": 2.0, "xx": -3.0 * a}, {"y": -2.0}))


def bridge() -> Line:
    """x' = x^2 - 1, y' = (0.3 y - 1.5 x) y + p - `WHERE`: saddles at (+-1, 0), joined by y = 0."""
    return line(({"1": -1.0, "xx": 1.0}, {"xy": -1.5, "yy": 0.3}), ({}, {"1": 1.0}))


def numbers(field: Line, p: float, place, outgoing, incoming) -> tuple[int, int]:
    """The branches of a saddle that leave and arrive on the side of the given vectors (not skew)."""
    inverse = np.linalg.inv(SKEW)
    four = directions(np.asarray(jax.jacfwd(lambda h: field(h, jnp.asarray([p])))(jnp.asarray(place))))
    unstable = max((0, 2), key=lambda i: four[i] @ inverse @ outgoing)
    return unstable, max((1, 3), key=lambda i: four[i] @ inverse @ incoming)


@functools.cache
def homoclinic(growth: float, tolerance: float, ends: tuple[float, float] = (0.25, 0.37)) -> Event:
    field, place = loop(growth), [0.0, 0.0]
    out, into = numbers(field, ends[0], place, [1.0, 1.0], [1.0, -1.0])
    return connection(field, ends, place, out, place, into, **BOX, tolerance=tolerance)


@pytest.mark.parametrize("tolerance", LOOSE)
@pytest.mark.parametrize("growth", [-0.1, 0.1, -0.3])
def test_homoclinic_orbit_by_two_methods(growth, tolerance):
    """A stable cycle dies there (growth < 0), or an unstable one; the errors hold with loose steps too."""
    event = homoclinic(growth, tolerance)
    found = event.details
    assert event.kind == "homoclinic"
    assert abs(event.value - WHERE) <= event.error
    assert abs(found["gap_value"] - WHERE) <= found["gap_error"]
    assert abs(found["divergence_value"] - WHERE) <= found["divergence_error"]
    assert found["saddle_quantity"] == pytest.approx(4.0 * growth, rel=1e-6)
    assert found["longest_period"] > 8.0
    np.testing.assert_allclose(event.at, 0.0, atol=1e-12)
    if tolerance == LOOSE[0]:
        assert max(event.error, found["gap_error"], found["divergence_error"]) < 1e-12


def test_a_neutral_saddle_has_one_method():
    """Eigenvalues 1 and -1: no period says where, and the event says so."""
    event = homoclinic(0.0, 1e-13)
    assert event.kind == "homoclinic"
    assert abs(event.value - WHERE) <= event.error < 1e-12
    assert event.details["divergence_value"] is None
    assert "neutral" in event.details["why"]


def test_loose_steps_are_seen_in_the_error():
    """Else the bounds above would hold for any constant."""
    errors = [homoclinic(-0.1, tolerance).error for tolerance in LOOSE]
    assert 1e-16 < errors[0] < errors[1] < errors[2] < 1e-5


def test_nothing_is_found_where_nothing_is():
    event = homoclinic(-0.1, 1e-13, (0.31, 0.37))
    assert event.kind == "unresolved"
    assert event.value - event.error == pytest.approx(0.31)
    assert event.value + event.error == pytest.approx(0.37)


@pytest.mark.parametrize("tolerance", LOOSE)
def test_heteroclinic_connection(tolerance):
    """The saddles move with p, and are (+-1, 0) where they connect."""
    field, ends = bridge(), (0.2, 0.45)
    solve = np.linalg.inv(SKEW)
    shift = ends[0] - WHERE
    rest = [np.roots([0.3, -1.5 * x, shift]) for x in (1.0, -1.0)]  # y of the saddles, and of others far off
    lower = [float(y[np.argmin(abs(y))]) for y in rest]
    source, target = solve @ [1.0, lower[0]], solve @ [-1.0, lower[1]]
    out, _ = numbers(field, ends[0], source, [-1.0, 0.0], [0.0, 1.0])
    _, into = numbers(field, ends[0], target, [0.0, 1.0], [1.0, 0.0])
    event = connection(field, ends, source, out, target, into, **BOX, tolerance=tolerance)
    assert event.kind == "heteroclinic"
    assert abs(event.value - WHERE) <= event.error < 1e-11
    assert event.details["checked_backwards"]
    np.testing.assert_allclose(SKEW @ event.at, [1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(SKEW @ event.details["target"], [-1.0, 0.0], atol=1e-12)


class Eq9(eqx.Module):
    """The family `homoclinic` over gamma."""

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 1"]) -> Float[Array, " 2"]:
        return families.homoclinic(p[0])(h)


def shooting() -> float:
    """gamma of Eq 9's homoclinic orbit: both branches to the line x = -0.6, by DOP853."""
    c, d = 3.0 * math.cos(math.pi / 20), 3.0 * math.sin(math.pi / 20)
    weights = np.array([[c, d], [-d, c]])

    def rate(_, h, gamma, sense):
        return sense * 0.5 * (np.tanh(weights @ h / 2 + [0.32, gamma]) - h)

    def line(_, h, gamma, sense):
        return h[0] + 0.6

    def gap(gamma):
        h = np.array([-0.317, -0.7613])
        for _ in range(20):
            t = np.tanh(weights @ h / 2 + [0.32, gamma])
            jacobian = 0.5 * ((1 - t * t)[:, None] * weights / 2 - np.eye(2))
            h = h - np.linalg.solve(jacobian, rate(0.0, h, gamma, 1.0))
        values, vectors = np.linalg.eig(jacobian)
        out, into = vectors[:, np.argmax(values)], vectors[:, np.argmin(values)]
        crossed = []
        for sense, vector, which in ((1.0, -out * np.sign(out[0]), 0), (-1.0, into * np.sign(into[1]), 1)):
            start = h + 1e-7 * vector
            options = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-16, "events": line}
            found = solve_ivp(rate, (0.0, 250.0), start, args=(gamma, sense), **options)
            crossed.append(found.y_events[0][which][1])
        return crossed[0] - crossed[1]

    return brentq(gap, 0.05415, 0.0542, xtol=1e-15)


@pytest.mark.parametrize("ends", [(0.0535, 0.0546), (0.054174, 0.054175)])
def test_eq_9_against_shooting(ends):
    """The saddle and its branches as in a portrait at the lower end; gamma to 1e-12, by both methods."""
    saddle = [-0.31647678, -0.76222001] if ends[0] < 0.054 else [-0.31704, -0.76133]
    event = connection(Eq9(), ends, saddle, 2, saddle, 1, lower=[-1.0, -1.0], upper=[1.0, 1.0])
    assert event.kind == "homoclinic"
    assert event.error < 1e-12
    assert abs(event.value - shot()) <= event.error + 1e-12
    found = event.details
    assert (
        abs(found["gap_value"] - found["divergence_value"]) <= found["gap_error"] + found["divergence_error"]
    )
    assert found["saddle_quantity"] < 0.0  # a stable cycle


shot = functools.cache(shooting)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bracket", {"bracket": (0.4, 0.2)}),
        ("bracket", {"bracket": (0.2, math.nan)}),
        ("source", {"source": [1.3, 0.1]}),
        ("target", {"target": [0.0, 0.0, 0.0]}),
        ("source_branch", {"source_branch": 1}),
        ("target_branch", {"target_branch": 2}),
        ("upper", {"upper": [3.0, -4.0]}),
        ("lower", {"lower": [3.0]}),
        ("tolerance", {"tolerance": 0.1}),
    ],
)
def test_refused(name, change):
    given = {"bracket": (0.2, 0.4), "source": [0.0, 0.0], "source_branch": 0, "target": [0.0, 0.0]}
    with pytest.raises(InputError) as refused:
        connection(loop(-0.1), **(given | {"target_branch": 1} | BOX | change))
    assert refused.value.argument == name


def test_two_methods_that_disagree_are_not_believed():
    """The error then covers both; where they agree it covers the difference."""
    gap = Event("homoclinic", 1.0, 1e-9, np.zeros(2))
    apart = _agreed(gap, Divergence(1.0 + 1e-6, 1e-9, 50.0))
    assert apart.kind == "unresolved"
    assert apart.error >= 1e-6 + 1e-9
    close = _agreed(gap, Divergence(1.0 + 4e-9, 6e-9, 50.0))
    assert close.kind == "homoclinic"
    assert (close.value, close.error) == (1.0, pytest.approx(4e-9))
    better = _agreed(gap, Divergence(1.0 + 1e-10, 1e-11, 50.0))
    assert (better.value, better.error) == (1.0 + 1e-10, pytest.approx(1e-10))


@pytest.mark.parametrize("nu", [1.05, 1.5, 1.98, 2.0, 3.7])
def test_extrapolation_of_periods(nu):
    """p - p* of y with four powers of it, one more than is eliminated, and noise."""
    y = np.geomspace(1e-2, 1e-9, 16)
    noise = 1e-15 * np.random.default_rng(5).normal(size=y.size)
    offset = 0.7 + 3.0 * y - 2.0 * y**nu + y**2 + 5.0 * y ** (1 + nu) + noise
    value, change = diverging.vanishing(y, offset, nu)
    assert abs(value - 0.7) <= diverging.SAFETY * change + 1e-14
    assert change < 1e-11


@pytest.mark.parametrize("seed", range(4))
def test_zeros_of_smooth_and_other_functions(seed):
    """Several at once, against closed answers; a jump is found too, and is for the caller to see."""
    where = np.random.default_rng(seed).uniform(0.1, 0.9, 6)

    def function(x):
        d = x - where
        jump = np.where(d < 0.0, -1.0, 1.0)
        rows = [d, np.tanh(20 * d), d**3, jump * np.sqrt(abs(d)), jump + d, np.expm1(5 * d)]
        return np.diag(np.stack(rows))

    calls = []
    found, value = zeros(lambda x: calls.append(x) or function(x), (np.zeros(6), np.ones(6)))
    exact = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(found[exact], where[exact], rtol=1e-14)
    assert found[2] == pytest.approx(where[2], abs=1e-5)
    assert abs(value[4]) > 0.9
    assert len(calls) < 70
    few: list = []
    zeros(lambda x: few.append(x) or np.expm1(5 * (x - where[:1])), (np.zeros(1), np.ones(1)))
    assert len(few) <= 14


def test_zeros_without_a_bracket_are_nan():
    found, value = zeros(
        lambda x: np.stack([1.0 + x[0], np.nan * x[1], x[2]]), (np.full(3, -0.5), np.ones(3))
    )
    np.testing.assert_array_equal(np.isnan(found), [True, True, False])
    assert found[2] == value[2] == 0.0


def test_branches_are_numbered_as_in_portraits():
    """Random saddles against `branch_start`, which moves off along branch 0 to 3."""
    rng = np.random.default_rng(8)
    start = jax.jit(functools.partial(branch_start, offset=1e-3))
    for _ in range(20):
        rates, vectors = np.array([rng.uniform(0.1, 2), -rng.uniform(0.1, 2)]), rng.normal(size=(2, 2))
        jacobian = vectors @ np.diag(rates) @ np.linalg.inv(vectors)
        point = np.full((16, 2), np.nan)
        point[0] = rng.normal(size=2)
        fixed = some_points(
            point=jnp.asarray(point),
            jacobian=jnp.zeros((16, 2, 2)).at[0].set(jacobian),
            eigenvalue=jnp.zeros((16, 2, 2)).at[0, :, 0].set(rates),
            kind=jnp.full(16, int(Kind.SADDLE)),
        )
        for number, vector in enumerate(directions(jacobian)):
            (x, y), _ = start(fixed, 0, number)
            np.testing.assert_allclose((np.array([x, y]) - point[0]) / 1e-3, vector, atol=1e-9)


def test_ties_of_the_numbering_are_known():
    """In [[a, b], [b, a]] both formulas are equally long; for b < 0 they point opposite ways."""
    assert tied(np.array([[-0.3, -1.0], [-1.0, -0.3]]))
    assert not tied(np.array([[-0.3, 1.0], [1.0, -0.3]]))
    assert not tied(np.array([[-0.3, -1.0], [-1.0, -0.2]]))


def test_the_series_of_a_branch_is_invariant():
    """f(W(s)) = rate s W'(s) up to the tolerance, at the end of the reach and not far beyond."""
    field, tolerance = loop(-0.1), 1e-13
    saddle = jax.tree.map(lambda x: jnp.asarray(x[0]), settled(field, WHERE, np.zeros((1, 2)), 6.0))
    values, vectors = np.linalg.eig(np.array(saddle.jacobian))

    @jax.jit
    def series(field, rate, direction):
        return branch(at(field, jnp.asarray(WHERE)), saddle, rate, tuple(direction), tolerance, 10.0)

    for rate, direction in zip(values, vectors.T):
        found = series(field, jnp.asarray(rate), jnp.asarray(direction))
        defects = []
        for s in (float(found.reach), 4.0 * float(found.reach)):
            k = np.arange(ORDER + 1)
            along = [np.sum(np.asarray(c) * k * s**k) for c in (found.x, found.y)]
            rates = np.asarray(field(jnp.stack(found.point(s)), jnp.asarray([WHERE])))
            defects.append(np.max(np.abs(rates - rate * np.array(along))) / s)
        assert found.reach > 0.05
        assert defects[0] < 10 * tolerance
        assert defects[1] > 100 * tolerance
