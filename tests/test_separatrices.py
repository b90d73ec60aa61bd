"""Where the branches of saddles end and in which order, in fields where both are known."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_sweep.analysis import separatrices
from gru_sweep.analysis.saddles import BRANCHES, branch_start
from gru_sweep.analysis.separatrices import BORDER, INNER, NONE, OUTER, UNKNOWN
from gru_sweep.records import Kind
from tests.pumped import CASES, CONNECTED, solved, some_points

WITH_SADDLES = [name for name in CASES if "saddle" in CASES[name][2]]


def saddles(name: str) -> list[int]:
    return np.flatnonzero(solved(name).kind == Kind.SADDLE).tolist()


def ends(name: str, slot: int) -> tuple[list[int], list[int]]:
    """Where the unstable and where the stable branches end, sorted."""
    row = solved(name).branch_end[slot]
    return sorted(row[::2].tolist()), sorted(row[1::2].tolist())


def test_a_saddle_between_two_sinks():
    # slots by abscissa: the wells 0 and 2, the saddle 1
    assert ends("double well", 1) == ([0, 2], [BORDER, BORDER])


def test_a_saddle_between_two_cycles():
    one = solved("a cycle in each well")
    left, right = (int(np.flatnonzero(one.cycle_encloses == 1 << slot)[0]) for slot in (0, 2))
    assert ends("a cycle in each well", 1) == (
        sorted([OUTER + 2 * left, OUTER + 2 * right]),
        [BORDER, BORDER],
    )


def test_a_saddle_inside_a_cycle():
    assert ends("a cycle around a saddle", 1) == ([INNER, INNER], [0, 2])


NEIGHBOURS = {1: {0, 2}, 3: {0, 6}, 5: {2, 8}, 7: {6, 8}}
"""Slots 0..8 are (x, y) for x, y in -1, 0, 1: a saddle's neighbours in the corners."""


@pytest.mark.parametrize("slot", NEIGHBOURS)
def test_two_bistable_units(slot):
    assert ends("two bistable units", slot) == (sorted(NEIGHBOURS[slot]), [4, BORDER])


@pytest.mark.parametrize("slot", NEIGHBOURS)
def test_four_cycles_take_the_place_of_sinks(slot):
    one = solved("four cycles")
    around = {int(np.log2(one.cycle_encloses[k])): OUTER + 2 * k for k in range(4)}
    expected = sorted(around[corner] for corner in NEIGHBOURS[slot])
    assert ends("four cycles", slot) == (expected, [4, BORDER])


@pytest.mark.parametrize("slot", NEIGHBOURS)
def test_saddles_between_an_outer_and_an_inner_cycle(slot):
    one = solved("a cycle around nine, one within")
    outer, inner = (int(np.flatnonzero(one.cycle_encloses == mask)[0]) for mask in (511, 1 << 4))
    unstable, stable = ends("a cycle around nine, one within", slot)
    assert unstable == sorted([INNER + 2 * outer, OUTER + 2 * inner])
    assert stable == sorted(NEIGHBOURS[slot])


def test_orders_around_the_source_and_along_the_border_are_counterclockwise():
    """In the product of two bistable units the stable branches lie on the axes."""
    one = solved("two bistable units")
    for end in (4, BORDER):
        rows, branches = np.nonzero(one.branch_end == end)
        arriving = sorted(zip(rows, branches), key=one.branch_rank.__getitem__)
        assert [one.branch_rank[b] for b in arriving] == [0, 1, 2, 3]
        angles = [math.atan2(*one.fixed_point[i][::-1]) for i, _ in arriving]
        turns = np.diff(np.unwrap([*angles, angles[0]]))
        np.testing.assert_allclose(turns, math.pi / 2, atol=1e-9)


@pytest.mark.parametrize("name", WITH_SADDLES)
def test_every_branch_of_every_saddle_has_an_end_of_the_right_kind(name):
    one = solved(name)
    attracting = {int(i) for i in np.flatnonzero(one.kind <= Kind.STABLE_FOCUS) if one.kind[i] >= 0}
    repelling = {int(i) for i in np.flatnonzero((one.kind == 2) | (one.kind == 3))} | {BORDER}
    for k, stable in enumerate(one.cycle_stable):
        if stable >= 0:
            (attracting if stable else repelling).update((OUTER + 2 * k, INNER + 2 * k))
    rows = saddles(name)
    assert set(one.branch_end[rows, ::2].ravel().tolist()) <= attracting
    assert set(one.branch_end[rows, 1::2].ravel().tolist()) <= repelling
    others = np.setdiff1d(np.arange(16), rows)
    assert (one.branch_end[others] == NONE).all()
    assert (one.branch_rank[others] == -1).all()


@pytest.mark.parametrize("name", WITH_SADDLES)
def test_ranks_count_the_branches_with_one_end(name):
    """From 0 on, equal where they cannot be told apart, and none is known where one is not."""
    one = solved(name)
    rows = saddles(name)
    for end in set(one.branch_end[rows].ravel().tolist()):
        ranks = np.sort(one.branch_rank[rows][one.branch_end[rows] == end])
        if (ranks == -1).all():
            continue
        for rank in set(ranks.tolist()):
            assert rank == (ranks < rank).sum()


@pytest.mark.parametrize("name", CONNECTED)
def test_a_branch_into_another_saddle_has_no_end_or_is_called_a_connection(name):
    one = solved(name)
    assert (one.branch_end[saddles(name)] != NONE).all()
    assert one.status != 0


def field_jacobian(saddle: np.ndarray, angle: float) -> np.ndarray:
    """A saddle's Jacobian with its unstable direction at `angle`, its stable one 60 degrees on."""
    u = np.array(
        [[math.cos(angle), math.cos(angle + math.pi / 3)], [math.sin(angle), math.sin(angle + math.pi / 3)]]
    )
    return u @ np.diag(saddle) @ np.linalg.inv(u)


@pytest.mark.parametrize("angle", np.linspace(0, 2 * math.pi, 9))
def test_branches_start_counterclockwise_on_the_eigenvectors(angle):
    rates = np.array([0.7, -1.3])
    nan = jnp.full((16, 2, 2), jnp.nan)
    here, next_ = jnp.array([0.2, -0.1]), jnp.array([0.3, -0.1])
    fixed = some_points(
        point=nan[:, 0].at[3].set(here).at[4].set(next_),
        jacobian=nan.at[3].set(field_jacobian(rates, angle)),
        eigenvalue=nan.at[3, :, 0].set(rates).at[3, :, 1].set(0.0),
    )
    starts = [branch_start(fixed, 3, b, 1e-2) for b in range(4)]
    away = np.array([[float(v) for v in start] for start, _ in starts]) - [0.2, -0.1]
    # a hundredth of the way to the next fixed point is less than the offset asked for
    np.testing.assert_allclose(np.hypot(*away.T), 1e-3, rtol=1e-9)
    assert [bool(forward) for _, forward in starts] == [True, False, True, False]
    np.testing.assert_allclose(away[0], -away[2], atol=1e-15)
    np.testing.assert_allclose(away[1], -away[3], atol=1e-15)
    jacobian = field_jacobian(rates, angle)
    for b in range(4):
        np.testing.assert_allclose(jacobian @ away[b], rates[b % 2] * away[b], atol=1e-15)
        assert np.linalg.det([away[b], away[(b + 1) % 4]]) > 0


def arrived(places: list[float], slack: float) -> tuple[list[int], bool]:
    """Ranks of branches 0, 1, ... that come to one end at these places, and whether any is unsure."""
    zero, no = jnp.zeros(()), jnp.asarray(False)
    state = separatrices._State(
        index=jnp.asarray(0),
        probe=separatrices.Trajectory.start((zero, zero), zero, jnp.asarray(0)),
        cycle=jnp.asarray(-1),
        last=zero,
        returns=jnp.asarray(0),
        end=jnp.full(BRANCHES, UNKNOWN),
        rank=jnp.full(BRANCHES, -1),
        place=jnp.zeros(BRANCHES),
        close=jnp.zeros(BRANCHES, bool),
        connected=no,
        done=no,
    )
    for i, place in enumerate(places):
        state = separatrices.replace(state, index=jnp.asarray(i))
        state = enter(state, jnp.asarray(BORDER), jnp.asarray(place), jnp.asarray(slack), no)
    return state.rank[: len(places)].tolist(), bool(state.close.any())


enter = jax.jit(separatrices._entered)


@pytest.mark.parametrize("seed", range(10))
def test_ranks_are_the_order_of_places_whatever_the_order_of_arrival(seed):
    places = np.random.default_rng(seed).uniform(-0.5, 0.5, 9)
    ranks, unsure = arrived(places.tolist(), 1e-9)
    np.testing.assert_array_equal(ranks, np.argsort(np.argsort(places)))
    assert not unsure


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([0.1, 0.1, 0.3], [0, 0, 2]),
        ([0.3, 0.1, 0.3], [1, 0, 1]),
        ([0.1, 0.3, 0.1 + 1e-12, 0.3 - 1e-12, 0.2], [0, 3, 0, 3, 2]),
        ([0.2, 0.2, 0.2], [0, 0, 0]),
        ([0.4, 0.2, 0.2, 0.1, 0.2], [4, 1, 1, 0, 1]),
    ],
)
def test_ties_share_a_rank(places, expected):
    assert arrived(places, 1e-9) == (expected, False)


@pytest.mark.parametrize(
    "places",
    [
        [0.1, 0.1 + 1.6e-9, 0.1 + 0.8e-9],  # a bridge between two that were told apart
        [-0.5 + 1e-12, 0.5 - 1e-12],  # next to each other across the origin
    ],
)
def test_what_no_rank_can_say_is_said_to_be_unsure(places):
    assert arrived(places, 1e-9)[1]


def test_settings_are_numbers_with_names():
    settings = separatrices.settings()
    assert settings["separatrix_tolerance_float64"] == separatrices.TOLERANCE["float64"]
    assert all(name.startswith("separatrix_") and value > 0 for name, value in settings.items())
