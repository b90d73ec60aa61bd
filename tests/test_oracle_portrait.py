"""The reference for whole portraits: closed forms, symmetries, other integrators, its own frozen answers."""

from __future__ import annotations

import itertools
import json
import math
import random

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tests.oracle import FAMILIES, PlanarGRU, fixed_points, homoclinic, hopf, hopf_angle
from tests.oracle_orbits import BORDER, OUTER, Orbits, Undecided, field
from tests.oracle_portrait import KINDS, PortraitCode, code, completed
from tests.portraits import REFERENCE, answer, class_of, read
from tests.recipes import gru_of
from tests.reference import REFERENCE as HOPF_REFERENCE

HOPF = json.loads(HOPF_REFERENCE.read_text())

PORTRAITS = read(REFERENCE)


def one_of_each_class(seed: int = 5) -> list[dict]:
    """One frozen portrait of each class."""
    draw = random.Random(seed)
    classes = dict.fromkeys(s["class"] for s in PORTRAITS)
    return [draw.choice([s for s in PORTRAITS if s["class"] == name]) for name in classes]


def named(system: dict) -> str:
    return system["class"].replace(" ", "-")


def ends(found: PortraitCode, i: int) -> list[set[int]]:
    """Where the unstable and where the stable branches of fixed point i end."""
    return [set(found.branch_end[i, j::2].tolist()) for j in (0, 1)]


def test_the_rescaled_field_has_the_orbits_of_the_gru():
    rng = np.random.default_rng(3)
    gru = PlanarGRU(*(3 * rng.normal(size=(2, 2)) for _ in range(3)), *rng.normal(size=(3, 2)))
    states = np.random.default_rng(4).uniform(-1, 1, (20, 2))
    for h in states:
        (f, g), _, _ = gru.evaluator(math)(*h)
        velocity = field(gru)(complex(*h))
        assert velocity.real * g == pytest.approx(velocity.imag * f, rel=1e-12)
        assert velocity.real * f > 0
        assert field(gru, np)(np.array([complex(*h)]))[0] == pytest.approx(velocity, rel=1e-13)


@pytest.mark.parametrize("way", [1, -1])
def test_steps_are_those_of_an_independent_integrator(way):
    gru = hopf(0.9, 3.0)
    f, start = field(gru), 0.4 + 0.1j
    *_, (_, end, _) = itertools.islice(Orbits(gru, fixed_points(gru)).steps(start, way), 6)

    def velocity(_, h):
        v = way * f(complex(*h))
        return v.real, v.imag

    def level(_, h):
        return h[0] - end.real

    run = solve_ivp(velocity, (0, 3), [start.real, start.imag], "Radau", events=level, rtol=1e-11, atol=1e-13)
    assert min(abs(complex(*h) - end) for h in run.y_events[0]) < 1e-8
    assert abs(end - start) > 0.2


def test_four_sinks_of_two_bistable_units_in_closed_form():
    found = code(PlanarGRU(U_h=4 * np.eye(2)))
    assert [KINDS[k] for k in found.kind[:9]] == [
        *("stable node", "saddle", "stable node"),
        *("saddle", "unstable node", "saddle"),
        *("stable node", "saddle", "stable node"),
    ]
    # points 0..8 are (x, y) for x, y in -, 0, +: the saddle (-, 0) parts the sinks (-, -) and (-, +)
    for saddle, sinks in ((1, {0, 2}), (3, {0, 6}), (5, {2, 8}), (7, {6, 8})):
        assert ends(found, saddle) == [sinks, {4, BORDER}]
    # counterclockwise around the source, and along the border, the saddles stand in the order of their angles
    stable = {(i, j): found.branch_rank[i, j] for i in (1, 3, 5, 7) for j in (1, 3)}
    for end in (4, BORDER):
        ring = sorted((b for b in stable if found.branch_end[b] == end), key=stable.__getitem__)
        saddles = [i for i, _ in ring]
        start = saddles.index(7)
        assert saddles[start:] + saddles[:start] == [7, 5, 1, 3]


@pytest.mark.parametrize("turned", [1, -1])
def test_sense_of_a_cycle(turned):
    found = code(hopf(turned * 0.7, 3.0))
    assert (found.n_cycles, found.cycle_stable[0], found.cycle_sense[0]) == (1, 1, turned)
    assert found.cycle_encloses[0] == 1


def test_equation_9_has_its_homoclinic_orbit_near_that_of_the_paper():
    def oscillates(gamma: float) -> bool:
        return code(homoclinic(gamma)).n_cycles == 1

    assert code(homoclinic(0.051)).n_cycles == 0
    cycle = code(homoclinic(0.0535))
    assert cycle.cycle_stable[0] == 1
    saddle = next(i for i in range(5) if KINDS[cycle.kind[i]] == "saddle" and OUTER in cycle.branch_end[i])
    low, high = 0.0535, 0.0542
    for _ in range(40):
        middle = (low + high) / 2
        try:
            low, high = (middle, high) if oscillates(middle) else (low, middle)
        except Undecided as reason:
            assert "saddle connection" in str(reason)  # noqa: PT017
            break
    assert high - low > 1e-12, "the connection itself was not noticed"
    assert middle == pytest.approx(0.054085, abs=1e-4)  # the value of the paper
    # beyond it the branch that came from the border comes from the source that the cycle was around
    source = int(cycle.cycle_encloses[0]).bit_length() - 1
    assert ends(cycle, saddle)[1] == {BORDER}
    assert ends(code(homoclinic(0.0542)), saddle)[1] == {BORDER, source}


@pytest.mark.parametrize(
    ("gru", "reason"),
    [
        (hopf(hopf_angle(2.0, 1.0), 2.0, 1.0), "degenerate"),
        (hopf(hopf_angle(2.0, 1.0) - 1e-9, 2.0, 1.0), "semi-stable or neutral"),
    ],
)
def test_what_cannot_be_decided_is_said(gru, reason):
    with pytest.raises(Undecided, match=reason):
        code(gru)


@pytest.mark.parametrize("point", HOPF[::6], ids=lambda p: p["where"].replace(" ", "-"))
def test_cycles_of_both_ways_are_the_same(point):
    found = code(FAMILIES[point["family"]](**point["coordinates"]))
    assert [KINDS[k] for k in found.kind[: found.n_fixed_points]] == [
        p["kind"] for p in point["fixed_points"]
    ]
    known = sorted(int(c["stable"]) for c in point["cycles"])
    assert sorted(found.cycle_stable[: found.n_cycles].tolist()) == known


def test_frozen_portraits_are_of_many_classes():
    assert len(PORTRAITS) >= 40
    assert len({s["class"] for s in PORTRAITS}) >= 14
    assert len({json.dumps([s["kind"], s["branch_end"], s["cycle_encloses"]]) for s in PORTRAITS}) >= 30
    assert sum(any(s["U_z"]) for s in PORTRAITS) >= 10
    for s in PORTRAITS:
        found = PortraitCode.of(s)
        assert found.lists() == {name: s[name] for name in found.lists()}
        assert class_of(found) == s["class"]


@pytest.mark.parametrize("system", one_of_each_class(), ids=named)
def test_frozen_portraits_come_out_again(system):
    assert answer(gru_of(system), system["symmetry"]) == system


@pytest.mark.parametrize("system", one_of_each_class(6), ids=named)
def test_swapped_units_mirror_the_portrait(system):
    gru, swap = gru_of(system), np.array([[0.0, 1.0], [1.0, 0.0]])
    swapped = PlanarGRU(
        *(swap @ m @ swap for m in (gru.U_h, gru.U_r, gru.U_z)),
        *(swap @ b for b in (gru.b_h, gru.b_r, gru.b_z)),
    )
    one, other = code(gru), code(swapped)
    n = one.n_fixed_points
    here = [p.h for p in fixed_points(gru)]
    there = [p.h for p in fixed_points(swapped)]
    to = [min(range(n), key=lambda j, h=h: math.dist(h[::-1], there[j])) for h in here]
    assert sorted(to) == list(range(n))
    assert other.kind[to].tolist() == one.kind[:n].tolist()
    m = one.n_cycles
    # the largest first, in both
    assert other.cycle_sense[:m].tolist() == (-one.cycle_sense[:m]).tolist()
    assert other.cycle_within[:m].tolist() == one.cycle_within[:m].tolist()
    to += [*range(n, BORDER + 1)]
    for i in (i for i in range(n) if one.branch_end[i, 0] >= 0):
        assert ends(other, to[i]) == [{to[e] for e in side} for side in ends(one, i)]


@pytest.mark.parametrize(
    "system", [s for s in one_of_each_class(7) if not s["cycle_stable"] and len(s["kind"]) > 1], ids=named
)
def test_branches_end_where_another_integrator_comes_to_rest(system):
    gru, found = gru_of(system), PortraitCode.of(system)
    at = gru.evaluator(np)
    points = fixed_points(gru)
    for i in (i for i, p in enumerate(points) if p.saddle):
        for j, (start, way) in enumerate(Orbits(gru, points).branches(i)):
            if way < 0:
                continue
            path = solve_ivp(
                lambda _, h: at(*h)[0], (0, 1e6), [start.real, start.imag], "LSODA", rtol=1e-9, atol=1e-12
            ).y
            reached = min(range(len(points)), key=lambda k, h=path[:, -1]: math.dist(h, points[k].h))
            assert reached == found.branch_end[i, j]


@pytest.mark.parametrize(
    "system", [s for s in PORTRAITS if max(map(len, s["branch_end"]), default=0)][:12], ids=named
)
def test_orders_follow_from_those_at_the_other_vertices(system):
    found = PortraitCode.of(system)
    ends = {
        (i, j): int(found.branch_end[i, j])
        for i in range(16)
        for j in range(4)
        if found.branch_end[i, j] >= 0
    }
    rings = {e: sorted(b for b in ends if ends[b] == e) for e in set(ends.values())}
    for ring in rings.values():
        ring.sort(key=lambda b: found.branch_rank[b])
    attractors = {e for (_, j), e in ends.items() if j % 2 == 0}
    for given in (attractors, set(rings) - attractors):
        again = completed(ends, {e: rings[e] for e in given})
        for e, ring in again.items():
            start = ring.index(min(ring))
            assert ring[start:] + ring[:start] == rings[e]


def test_an_order_that_leaves_a_face_open_is_refused():
    found = code(PlanarGRU(U_h=4 * np.eye(2)))
    ends = {(i, j): int(found.branch_end[i, j]) for i in (1, 3, 5, 7) for j in range(4)}
    rings = {
        e: sorted((b for b in ends if ends[b] == e), key=found.branch_rank.__getitem__) for e in (4, BORDER)
    }
    assert set(completed(ends, rings)) == set(ends.values())
    rings[4][0], rings[4][1] = rings[4][1], rings[4][0]
    with pytest.raises(Undecided, match="face"):
        completed(ends, rings)
