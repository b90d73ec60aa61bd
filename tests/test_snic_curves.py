"""Snics along fold curves, and the loops at which they end, on fields whose answers are closed forms.

Portraits are written down, not computed: what they say is known, and where they are wrong is chosen.
"""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jaxtyping import Array, Float
from scipy.integrate import solve_ivp

from gru_sweep.analysis.bifurcations.global_curves.saddle_node_loops import saddle_node_loop
from gru_sweep.analysis.bifurcations.global_curves.snics import on_cycle_along
from gru_sweep.analysis.bifurcations.plane.codimension_two import SpecialPoint
from gru_sweep.analysis.bifurcations.plane.curve import Curve
from gru_sweep.analysis.separatrices import BORDER, OUTER
from gru_sweep.records import MAX_FIXED_POINTS, InputError, Kind, Status

BEND = 0.75
WHERE = 0.3
"""The second parameter at every loop here."""
PLACE = np.array([0.3, -0.2])
"""How the saddle-node moves with it."""
LOW, HIGH = np.array([-0.2, 0.0]), np.array([0.4, 0.6])
BOX = {"lower": [-3.0, -3.0], "upper": [3.0, 3.0]}
LOOSE = (1e-13, 1e-10, 1e-7)
VARIANTS = [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)]


class Corner(eqx.Module):
    """A saddle-node whose centre branch comes back along its strong branch at p[1] = `WHERE`.

    With F = y^2 - x^2 (1 - a x) the loop F = 0, 0 < x, is invariant under

        ((F_y, -F_x) - (2 x - 2 a x^2, 2 y - 3 a x y)) / 2 = (y - x + a x^2, x - y - 3/2 a x^2 + 3/2 a x y),

    which has a saddle-node in 0: eigenvalue 0 along (1, 1), as the loop leaves, and -2 along (1, -1), as it
    comes back. The term x grad F moves trajectories across the loop and leaves the saddle-node as it is;
    (m, m) unfolds it. All is moved along by p[1], mirrored in the diagonal where `turn` is -1, and reversed
    in time where `sense` is.
    """

    sense: Float[Array, ""]
    turn: Float[Array, ""]

    def mirrored(self, x: Array, y: Array) -> tuple[Array, Array]:
        keep, swap = 0.5 * (1.0 + self.turn), 0.5 * (1.0 - self.turn)
        return keep * x + swap * y, keep * y + swap * x

    def __call__(self, h: Float[Array, " 2"], p: Float[Array, " 2"]) -> Float[Array, " 2"]:
        x, y = self.mirrored(h[0] - PLACE[0] * p[1], h[1] - PLACE[1] * p[1])
        m, across, a = unfolding(p), p[1] - WHERE, BEND
        u = y - x + a * x * x + m + across * x * (3.0 * a * x * x - 2.0 * x)
        v = x - y + 1.5 * a * x * (y - x) + m + across * x * 2.0 * y
        return self.sense * jnp.stack(self.mirrored(u, v))


def unfolding(p):
    """m, for (2,) or columns of p: 0 on the fold."""
    return p[0] - 0.1 - 0.2 * p[1] ** 2


def corner(sense: float = 1.0, turn: float = 1.0) -> Corner:
    return Corner(jnp.asarray(sense), jnp.asarray(turn))


def curve(points: np.ndarray, tangents: np.ndarray, length: np.ndarray, trace: float) -> Curve:
    """A fold curve that ends on borders."""
    values = {"trace": np.full(len(length), trace)}
    return Curve(points, tangents, length, False, "fold", ("border", "border"), (), values)


def fold_of(sense: float = 1.0) -> Curve:
    """Its length is p[1]; none of its points is the loop."""
    q = np.linspace(LOW[1], HIGH[1], 60)
    one = np.ones_like(q)
    points = np.stack([PLACE[0] * q, PLACE[1] * q, 0.1 + 0.2 * q * q, q], axis=1)
    tangents = np.stack([PLACE[0] * one, PLACE[1] * one, 0.4 * q, one], axis=1)
    return curve(points, tangents, q, -2.0 * sense)


def backwards(fold: Curve) -> Curve:
    return curve(
        fold.points[::-1],
        -fold.tangents[::-1],
        fold.length[-1] - fold.length[::-1],
        float(fold.values["trace"][0]),
    )


@pytest.mark.parametrize(("sense", "turn"), VARIANTS)
@pytest.mark.parametrize("tolerance", LOOSE)
def test_the_loop_is_where_the_closed_form_has_it(sense, turn, tolerance):
    """Along either strong branch, in either sense of time; errors hold with loose steps, too."""
    point = saddle_node_loop(corner(sense, turn), fold_of(sense), 0.02, 0.58, **BOX, tolerance=tolerance)
    true = np.array([*PLACE * WHERE, 0.1 + 0.2 * WHERE**2, WHERE])
    assert np.max(np.abs(point.point - true)) <= point.error
    assert abs(point.length - WHERE) <= point.error
    assert (point.kind, point.proven) == ("saddle-node loop", False)
    assert point.details["trace"] == pytest.approx(-2.0 * sense, abs=1e-12)
    assert point.details["on_cycle_after"] == 1.0
    if tolerance == LOOSE[0]:
        assert point.error < 2e-12


def test_loose_steps_are_seen_in_the_error():
    """Else the bounds above would hold for any constant."""
    errors = [
        saddle_node_loop(corner(), fold_of(), 0.02, 0.58, **BOX, tolerance=tolerance).error
        for tolerance in LOOSE
    ]
    assert errors[0] < errors[1] < errors[2] < 1e-4


def test_nothing_is_found_where_nothing_is():
    assert saddle_node_loop(corner(), fold_of(), 0.32, 0.58, **BOX) is None
    assert saddle_node_loop(corner(), fold_of(), 0.02, 0.29, **BOX) is None


def test_a_curve_followed_the_other_way_ends_its_snics_there():
    point = saddle_node_loop(corner(), backwards(fold_of()), 0.02, 0.58, **BOX)
    assert abs(point.length - (HIGH[1] - WHERE)) <= point.error
    assert point.details["on_cycle_after"] == 0.0


@pytest.mark.parametrize(("q", "circled"), [(WHERE - 0.02, False), (WHERE + 0.02, True)])
def test_on_which_side_the_saddle_and_the_node_lie_on_one_curve(q, circled):
    """By scipy, next to the fold: the saddle's branch comes back to the node, or it does not."""
    m = -1e-4
    p = np.array([0.1 + 0.2 * q * q + m, q])
    rate = lambda h: np.array(some_rate(h, p))  # noqa: E731
    half = np.sqrt(-2.0 * m / BEND)
    ends = [scipy.optimize.root(rate, PLACE * q + sign * half, tol=1e-13).x for sign in (1.0, -1.0)]
    assert np.hypot(*(ends[0] - ends[1])) > half
    found = solve_ivp(
        lambda _, h: rate(h), (0.0, 1500.0), ends[0] + 1e-4, method="LSODA", rtol=1e-10, atol=1e-12
    )
    assert (np.hypot(*(found.y[:, -1] - ends[1])) < 1e-3) == circled
    # it went round
    assert found.y[0].max() > PLACE[0] * q + 1.0


def some_rate(h: np.ndarray, p: np.ndarray) -> tuple[float, float]:
    """`corner()` in plain numbers."""
    x, y = h - PLACE * p[1]
    m, across, a = unfolding(p), p[1] - WHERE, BEND
    u = y - x + a * x * x + m + across * x * (3.0 * a * x * x - 2.0 * x)
    v = x - y - 1.5 * a * x * x + 1.5 * a * x * y + m + across * 2.0 * x * y
    return u, v


def columns(n: int) -> dict[str, np.ndarray]:
    """n portraits with a cycle around one point."""
    return {
        "status": np.zeros(n, np.int8),
        "n_fixed_points": np.ones(n, np.int16),
        "n_stable_cycles": np.ones(n, np.int16),
        "n_unstable_cycles": np.zeros(n, np.int16),
        "fixed_point": np.full((n, MAX_FIXED_POINTS, 2), np.nan),
        "kind": np.full((n, MAX_FIXED_POINTS), -1, np.int8),
        "branch_end": np.full((n, MAX_FIXED_POINTS, 4), -1, np.int8),
    }


class Corners:
    """Portraits of a corner: the focus inside, and below the fold a saddle and a node.

    They are `early` by some of p[1]: so far before the loop they are wrong. Those nearer to the fold than
    `blind` are unresolved.
    """

    def __init__(self, sense: float = 1.0, early: float = 0.008, blind: float = 2e-6):
        self.sense, self.early, self.blind = sense, early, blind
        self.calls: list[int] = []

    def __call__(self, points: np.ndarray) -> dict[str, np.ndarray]:
        assert ((points >= LOW) & (points <= HIGH)).all()
        self.calls.append(len(points))
        table = columns(len(points))
        m, q = unfolding(points.T), points[:, 1]
        centre = q[:, None] * PLACE
        table["fixed_point"][:, 0] = centre + np.array([8 / 9, 8 / 27])
        table["kind"][:, 0] = Kind.UNSTABLE_FOCUS if self.sense > 0.0 else Kind.STABLE_FOCUS
        names = ("n_stable_cycles", "n_unstable_cycles")
        if self.sense < 0.0:
            table |= dict(zip(names, (table[name] for name in names[::-1])))
        with np.errstate(invalid="ignore"):
            half = np.sqrt(-2.0 * m / BEND)[:, None]
        pair = m < 0.0
        circled = q > WHERE - self.early
        table["n_fixed_points"][pair] = 3
        table["fixed_point"][pair, 1], table["fixed_point"][pair, 2] = (
            (centre + half)[pair],
            (centre - half)[pair],
        )
        table["kind"][pair, 1] = Kind.SADDLE
        table["kind"][pair, 2] = Kind.STABLE_NODE if self.sense > 0.0 else Kind.UNSTABLE_NODE
        # one branch to the node, the other one to it or to a cycle; across them what comes in
        ends = np.array([[2, BORDER, 2, 0] if c else [2, BORDER, OUTER, 0] for c in circled])
        table["branch_end"][pair, 1] = (ends if self.sense > 0.0 else np.roll(ends, 1, axis=1))[pair]
        table[names[self.sense < 0.0]][pair & circled] = 0
        table["status"][np.abs(m) < self.blind] = Status.UNRESOLVED
        return table


@pytest.mark.parametrize("sense", [1.0, -1.0])
def test_flags_change_at_the_loop_and_not_where_portraits_do(sense):
    fold, portraits = fold_of(sense), Corners(sense)
    (flag,), (loops,), warnings = on_cycle_along(corner(sense), [fold], portraits, LOW, HIGH, **BOX)
    assert warnings == []
    (loop,) = loops
    assert abs(loop.length - WHERE) <= loop.error
    # a point between the change of the portraits and the loop would be wrong
    assert ((fold.length > WHERE - portraits.early) & (fold.length < WHERE)).any()
    np.testing.assert_array_equal(flag, fold.length > WHERE)
    assert len(portraits.calls) == 5


def test_a_change_that_nothing_explains_is_told():
    """Portraits that change far from the loop: no loop is there, and the points between are not known."""
    fold = fold_of()
    (flag,), (loops,), (warning,) = on_cycle_along(corner(), [fold], Corners(early=0.1), LOW, HIGH, **BOX)
    assert loops == []
    assert "not found" in warning
    before = fold.length < WHERE - 0.11
    assert (flag[before] == 0).all()
    assert (flag[fold.length > WHERE - 0.09] == 1).all()


def test_what_portraits_do_not_resolve_is_not_known():
    fold = fold_of()
    (flag,), (loops,), (warning,) = on_cycle_along(corner(), [fold], Corners(blind=1.0), LOW, HIGH, **BOX)
    assert (flag == -1).all()
    assert loops == []
    assert "not known" in warning


def turning(h: Float[Array, " 2"], p: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """r' = r (1 - r^2), theta' = a - b (x^2 - y^2): on the circle two saddle-nodes at a = b."""
    x, y = h
    growth, omega = 1.0 - x * x - y * y, p[0] - p[1] * (x * x - y * y)
    return jnp.stack([x * growth - omega * y, y * growth + omega * x])


def turned(points: np.ndarray, broken: bool) -> dict[str, np.ndarray]:
    """Portraits of `turning`; or of what has one saddle's branch going elsewhere."""
    a, b = points.T
    table = columns(len(points))
    table["fixed_point"][:, 0], table["kind"][:, 0] = 0.0, Kind.UNSTABLE_FOCUS
    four = a < b
    angle = 0.5 * np.arccos(np.minimum(a / b, 1.0))
    slots = zip(
        (angle, np.pi + angle, -angle, np.pi - angle),
        (Kind.SADDLE, Kind.SADDLE, Kind.STABLE_NODE, Kind.STABLE_NODE),
    )
    for slot, (where, kind) in enumerate(slots, start=1):
        table["fixed_point"][four, slot] = np.stack([np.cos(where), np.sin(where)], axis=1)[four]
        table["kind"][four, slot] = kind
    table["branch_end"][four, 1] = (4, 0, 3, BORDER)
    table["branch_end"][four, 2] = (5 if broken else 3, 0, 4, BORDER)
    table["n_fixed_points"][four], table["n_stable_cycles"][four] = 5, 0
    return table


def diagonal(x: float) -> Curve:
    """The saddle-nodes at (x, 0), |x| = 1, for a = b in [0.1, 0.9]."""
    s = np.linspace(0.0, 0.8, 33)
    zero, one = np.zeros_like(s), np.ones_like(s)
    points = np.stack([x * one, zero, 0.1 + s, 0.1 + s], axis=1)
    return curve(points, np.stack([zero, zero, one, one], axis=1), s, -2.0)


CORNERS = np.array([0.1, 0.1]), np.array([0.9, 0.9])


@pytest.mark.parametrize("broken", [False, True])
def test_folds_that_happen_at_once_belong_together(broken):
    """Two saddle-nodes on one circle; neither is on a cycle where the circle is broken."""
    folds = [diagonal(1.0), diagonal(-1.0)]
    flags, loops, warnings = on_cycle_along(turning, folds, lambda p: turned(p, broken), *CORNERS, **BOX)
    assert (loops, warnings) == ([[], []], [])
    for flag in flags:
        np.testing.assert_array_equal(flag, 0 if broken else 1)


def test_a_fold_whose_companion_is_missing_is_not_known():
    """Two pairs of fixed points vanish, and only one fold is known of."""
    (flag,), _, (warning,) = on_cycle_along(
        turning, [diagonal(1.0)], lambda p: turned(p, False), *CORNERS, **BOX
    )
    assert (flag == -1).all()
    assert "not known" in warning


def test_next_to_a_point_of_codimension_two_nothing_is_said():
    """Portraits have to be nearer to the fold than to such a point."""
    folds = [diagonal(1.0), diagonal(-1.0)]
    middle = len(folds[0]) // 2
    special = SpecialPoint("cusp", folds[0].points[middle], 1e-12, True, float(folds[0].length[middle]))
    folds[0] = dataclasses.replace(folds[0], codimension_two=(special,))
    (flag, other), _, warnings = on_cycle_along(turning, folds, lambda p: turned(p, False), *CORNERS, **BOX)
    assert warnings == []
    np.testing.assert_array_equal(flag, np.where(np.arange(len(flag)) == middle, -1, 1))
    assert (other == 1).all()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("fold", {"fold": dataclasses.replace(fold_of(), kind="hopf")}),
        ("low", {"low": 0.5, "high": 0.4}),
        ("low", {"high": 0.7}),
        ("upper", {"upper": [3.0, -4.0]}),
        ("tolerance", {"tolerance": 0.1}),
    ],
)
def test_a_loop_is_refused(name, change):
    given = {"field": corner(), "fold": fold_of(), "low": 0.1, "high": 0.5} | BOX | change
    with pytest.raises(InputError) as refused:
        saddle_node_loop(**given)
    assert refused.value.argument == name


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("folds", {"folds": [dataclasses.replace(fold_of(), kind="hopf")]}),
        ("upper_p", {"upper_p": [0.1, np.nan]}),
        ("lower", {"lower": [0.0]}),
    ],
)
def test_flags_are_refused(name, change):
    given = {"field": corner(), "folds": [fold_of()], "portraits": Corners(), "lower_p": LOW, "upper_p": HIGH}
    with pytest.raises(InputError) as refused:
        on_cycle_along(**(given | BOX | change))
    assert refused.value.argument == name
