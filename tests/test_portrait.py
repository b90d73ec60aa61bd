"""Whole portraits: against an independent reference, under symmetries, whatever the batch and the
precision."""

from __future__ import annotations

import dataclasses
import functools
import math
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from scipy.integrate import quad

from gru_sweep.analysis import portrait, single, topology
from gru_sweep.analysis.checks import Check
from gru_sweep.analysis.fixed_points import Planar
from gru_sweep.analysis.portrait import PhasePortrait, audit, phase_portrait
from gru_sweep.records import InputError, Status
from gru_sweep.sweeps.lanes import Chain
from gru_sweep.systems.cells import GRU
from tests.oracle_portrait import KINDS, PortraitCode
from tests.portraits import REFERENCE, read
from tests.pumped import CASES, CONNECTED, DISC, circles, pumped, solved, wells
from tests.recipes import WEIGHTS

SYSTEMS = read(REFERENCE)
UNDECIDED = 1
"""How many of the frozen systems may be left open, in double precision."""
INTEGERS = (
    *("status", "check", "n_fixed_points", "n_sinks", "n_sources", "n_saddles", "n_stable_cycles"),
    *("n_unstable_cycles", "index_sum", "kind", "certified", "cycle_stable", "cycle_sense", "cycle_encloses"),
    *("cycle_within", "cycle_hidden", "cycle_basin_hidden", "branch_end", "branch_rank"),
)

Columns = dict[str, np.ndarray]


def weights(systems: list[dict[str, Any]]) -> Columns:
    """The weights of some systems by name: matrices (n, 2, 2), biases (n, 2)."""
    stacked = {name: np.array([s[name] for s in systems]) for name in WEIGHTS}
    return {name: w.reshape(-1, 2, 2) if name[0] == "U" else w for name, w in stacked.items()}


def prepare(**entries: Array) -> Planar:
    """The problem of a GRU with all its parts, from its 18 weights `U_h0` ... `b_z1`."""
    parts = {n: jnp.stack([entries[f"{n}{i}"] for i in range(4 if n[0] == "U" else 2)]) for n in WEIGHTS}
    side = jnp.ones(2, entries["b_h0"].dtype)
    return Planar(GRU(**{n: w.reshape(2, 2) if n[0] == "U" else w for n, w in parts.items()}), -side, side)


@functools.cache
def chain() -> Chain:
    """The measure, compiled once."""
    names = [f"{n}{i}" for n in WEIGHTS for i in range(4 if n[0] == "U" else 2)]
    stages = portrait.Stages()
    return Chain(
        prepare,
        stages.solvers,
        stages.links,
        stages.record,
        names=names,
        dtype="float64",
        size=len(SYSTEMS),
    )


def columns(given: Columns) -> Columns:
    """What a sweep stores of GRUs with these weights."""
    flat = {name: w.reshape(len(w), -1) for name, w in given.items()}
    return audit(chain()({f"{n}{i}": w[:, i] for n, w in flat.items() for i in range(w.shape[1])}))


@functools.cache
def found() -> Columns:
    """The frozen systems, all in one call."""
    return columns(weights(SYSTEMS))


def known_label(system: dict[str, Any]) -> str:
    """The label of the reference's integers."""
    code = PortraitCode.of(system)
    return topology.label(SimpleNamespace(n_fixed_points=code.n_fixed_points, **dataclasses.asdict(code)))


def paired(one: dict[str, Any], system: dict[str, Any]) -> list[int]:
    """The reference's number of each fixed point found, by position: abscissae may agree within rounding."""
    n = int(one["n_fixed_points"])
    assert n == len(system["kind"])
    gap = np.abs(one["fixed_point"][:n, None] - np.array(system["fixed_point"])).max(-1)
    assert gap.min(1).max() < 1e-8
    order = gap.argmin(1).tolist()
    assert sorted(order) == list(range(n))
    return order


def cycles(stable, sense, encloses, within, order: list[int] | None = None) -> list[tuple]:
    """Cycles whatever their order: stability, sense, what is inside, and what the one around holds.

    `order` renames the fixed points.
    """
    used = [k for k in range(len(stable)) if stable[k] != -1]

    def inside(k: int) -> frozenset[int]:
        points = (i for i in range(16) if int(encloses[k]) >> i & 1)
        return frozenset(i if order is None else order[i] for i in points)

    around = [inside(within[k]) if within[k] >= 0 else frozenset() for k in used]
    rows = [(int(stable[k]), int(sense[k]), sorted(inside(k)), sorted(a)) for k, a in zip(used, around)]
    return sorted(rows)


def named(i: int) -> str:
    return f"{SYSTEMS[i]['class'].replace(' ', '-')}-{i}"


def test_few_of_the_frozen_systems_are_left_open():
    assert (found()["status"] != Status.OK).sum() <= UNDECIDED
    assert len({s["class"] for s in SYSTEMS}) >= 12


@pytest.mark.parametrize("i", range(len(SYSTEMS)), ids=named)
def test_frozen_portraits_are_the_reference_s(i):
    one, system = {name: column[i] for name, column in found().items()}, SYSTEMS[i]
    if one["status"] != Status.OK:
        assert one["check"] != Check.PASSED or one["status"] == Status.NEAR_BIFURCATION
        return
    order = paired(one, system)
    assert [KINDS[k] for k in one["kind"][: len(order)]] == [KINDS[system["kind"][j]] for j in order]
    named = ("cycle_stable", "cycle_sense", "cycle_encloses", "cycle_within")
    assert cycles(*(one[n] for n in named), order) == cycles(*(system[n] for n in named))
    # the ends of branches, apart from which side of which cycle, which the label has
    code = PortraitCode.of(system)
    place = lambda end: order[end] if end < 16 else "border" if end == 32 else "cycle"  # noqa: E731
    theirs = lambda end: int(end) if end < 16 else "border" if end == 32 else "cycle"  # noqa: E731
    for mine, j in enumerate(order):
        ends = one["branch_end"][mine]
        assert (ends == -1).all() == (KINDS[system["kind"][j]] != "saddle")
        for way in (0, 1):
            here = sorted(str(place(end)) for end in ends[way::2] if end != -1)
            there = sorted(str(theirs(end)) for end in code.branch_end[j, way::2] if end != -1)
            assert here == there
    assert topology.label(SimpleNamespace(**one)) == known_label(system)


def test_counts_agree_with_what_is_counted():
    columns = found()
    kinds, stable = columns["kind"], columns["cycle_stable"]
    for name, mask in (
        ("n_fixed_points", kinds >= 0),
        ("n_sinks", (kinds == 0) | (kinds == 1)),
        ("n_sources", (kinds == 2) | (kinds == 3)),
        ("n_saddles", kinds == 4),
        ("n_stable_cycles", stable == 1),
        ("n_unstable_cycles", stable == 0),
    ):
        known = columns[name] >= 0
        assert known.sum() >= len(SYSTEMS) - UNDECIDED
        np.testing.assert_array_equal(columns[name][known], mask.sum(1)[known], err_msg=name)


S1, S2 = np.diag([1.0, -1.0]), np.diag([-1.0, 1.0])
EXCHANGE = np.array([[0.0, 1.0], [1.0, 0.0]])
MIRRORS = {"second unit": S1, "first unit": S2, "both units": -np.eye(2)}


def exchanged(w: Columns) -> Columns:
    """The units renamed."""
    return {n: EXCHANGE @ v @ EXCHANGE if n[0] == "U" else v[:, ::-1] for n, v in w.items()}


def mirrored(w: Columns, s: np.ndarray) -> Columns:
    """The cell of s h: gates see h through s, the candidate is mirrored too."""
    return w | {
        "U_h": s @ w["U_h"] @ s,
        "U_r": w["U_r"] @ s,
        "U_z": w["U_z"] @ s,
        "b_h": w["b_h"] @ s,
    }


TURNS = {"units exchanged": exchanged} | {
    f"{name} mirrored": functools.partial(mirrored, s=s) for name, s in MIRRORS.items()
}


@pytest.mark.parametrize("turn", TURNS)
def test_labels_do_not_depend_on_names_and_signs_of_units(turn):
    turned, plain = columns(TURNS[turn](weights(SYSTEMS))), found()
    both = (turned["status"] == Status.OK) & (plain["status"] == Status.OK)
    assert both.sum() >= len(SYSTEMS) - 2 * UNDECIDED
    np.testing.assert_array_equal(topology.labels(turned)[both], topology.labels(plain)[both])
    for name in ("n_fixed_points", "n_saddles", "n_stable_cycles", "n_unstable_cycles"):
        np.testing.assert_array_equal(turned[name][both], plain[name][both])
    np.testing.assert_allclose(
        np.sort(turned["cycle_period"][both]), np.sort(plain["cycle_period"][both]), rtol=1e-7
    )


def test_answers_do_not_depend_on_the_batch_or_the_place_in_it():
    order = np.random.default_rng(2).permutation(len(SYSTEMS))
    w, whole = weights(SYSTEMS), found()
    parts = [columns({n: v[some] for n, v in w.items()}) for some in np.array_split(order, 3)]
    for name, column in whole.items():
        apart = np.concatenate([part[name] for part in parts])
        if name in INTEGERS:
            np.testing.assert_array_equal(apart, column[order], err_msg=name)
        else:
            np.testing.assert_allclose(apart, column[order], rtol=1e-6, atol=1e-9, err_msg=name)


def test_single_precision_is_right_where_it_says_so():
    fine = 0
    for i, system in enumerate(SYSTEMS):
        cell = GRU(**{n: w[0] for n, w in weights([system]).items()})
        single = phase_portrait(cell, precision="float32")
        assert single.fixed_point.dtype == np.float32
        if single.status != Status.OK:
            assert single.topology == ""
            continue
        fine += 1
        assert single.topology == known_label(system), i
        assert single.n_fixed_points == len(system["kind"])
    assert fine > 0.75 * len(SYSTEMS)


@pytest.mark.parametrize("name", CASES)
def test_fields_known_in_closed_form(name):
    one, label = solved(name), CASES[name][2]
    assert (Status(int(one.status)), Check(int(one.check))) == (Status.OK, Check.PASSED)
    assert one.topology == topology.label(one) == label


@pytest.mark.parametrize("name", CONNECTED)
def test_saddle_connections_have_no_label(name):
    one = solved(name)
    assert one.topology == ""
    if name == "along an axis":
        assert one.status == Status.NEAR_BIFURCATION
    else:  # neutral saddles: cycles of any period may be near
        assert one.status in (Status.NEAR_BIFURCATION, Status.UNRESOLVED)


@pytest.mark.parametrize("rate", [0.02, 7.0, 300.0])
def test_labels_do_not_depend_on_the_pace_of_time(rate):
    plain = solved("three annuli")
    other = phase_portrait(circles(0.4, 0.9, 1.4, strength=8.0, rate=rate), *box(DISC))
    assert other.topology == plain.topology != ""
    for name, factor, rtol in (("cycle_period", rate, 1e-7), ("cycle_log_multiplier", 1.0, 1e-5)):
        fast, slow = (np.sort(getattr(one, name)[:3]) for one in (other, plain))
        np.testing.assert_allclose(fast * factor, slow, rtol=rtol)
    _, corner, label = CASES["a cycle around a saddle"]
    assert phase_portrait(wells(0.3, rate=rate), *box(corner)).topology == label


def test_time_backwards_exchanges_sinks_and_sources_but_has_no_label():
    """The flow leaves the box: what is inside is found all the same."""
    one = phase_portrait(wells(-0.3, rate=-1.0), *box(CASES["double well"][1]))
    assert (one.status, one.check, one.topology) == (Status.UNRESOLVED, Check.BOX_NOT_TRAPPING, "")
    assert (one.n_sinks, one.n_sources, one.n_saddles) == (0, 2, 1)


def box(corner) -> tuple[np.ndarray, np.ndarray]:
    return -np.array(corner), np.array(corner)


def test_periods_and_multipliers_of_a_cycle_on_a_level():
    """On H = c the speed is that of the Hamiltonian flow: T = 2 int dx/y, log mu = -int |grad H|^2 dt."""
    c = 0.3
    end = math.sqrt(1 + math.sqrt(1 + 4 * c))

    def loop(weight) -> float:
        def over(angle: float) -> float:
            x = end * math.sin(angle)  # takes the root at the ends away
            y = math.sqrt(2 * c + x * x - x**4 / 2)
            return weight(x, y) * end * math.cos(angle) / y

        return 2 * quad(over, -math.pi / 2, math.pi / 2, epsabs=1e-13, epsrel=1e-13, limit=200)[0]

    one = solved("a cycle around a saddle")
    assert one.n_stable_cycles == 1
    assert one.period == pytest.approx(loop(lambda x, y: 1.0), rel=1e-8)
    assert one.log_multiplier == pytest.approx(-loop(lambda x, y: (x**3 - x) ** 2 + y * y), rel=1e-6)
    np.testing.assert_allclose(one.amplitude, [2 * end, 2 * math.sqrt(2 * c + 0.5)], rtol=1e-7)


def test_a_box_that_the_flow_leaves_gives_cycles_but_no_label():
    """van der Pol with mu = 1, in a box whose sides it crosses both ways; period from the literature."""
    field = pumped((1, 1), (0, 0), (), strength=0.0, friction=1.0)
    one = phase_portrait(field, [-3.0, -4.0], [3.0, 4.0])
    assert (one.status, one.check, one.topology) == (Status.UNRESOLVED, Check.BOX_NOT_TRAPPING, "")
    assert one.certified == one.n_stable_cycles == 1
    assert one.period == pytest.approx(6.66328686593231, abs=1e-8)
    assert one.cycle_sense[0] == -1


def test_what_is_hidden():
    """In the paper's sense: a stable cycle around no unstable fixed point. In the standard sense: a basin
    that no neighbourhood of a fixed point meets."""
    assert solved("two annuli").cycle_hidden[stable_cycle("two annuli")] == 1
    assert solved("two annuli").cycle_basin_hidden[stable_cycle("two annuli")] == 1
    for name in ("Stuart-Landau", "a cycle around a saddle"):
        k = stable_cycle(name)
        assert solved(name).cycle_hidden[k] == solved(name).cycle_basin_hidden[k] == 0
    three = solved("three annuli")
    inner, outer = np.argsort(three.cycle_amplitude[:3, 0])[[0, 2]]
    # around a source, the outer one too; but from next to that one reaches the inner one only
    assert three.cycle_hidden[[inner, outer]].tolist() == [0, 0]
    assert three.cycle_basin_hidden[[inner, outer]].tolist() == [0, 1]


def stable_cycle(name: str) -> int:
    (k,) = np.flatnonzero(solved(name).cycle_stable == 1)
    return int(k)


def corrupted(name: str, index: tuple, value: int) -> Columns:
    """The columns of the frozen systems with one integer changed."""
    changed = found()[name].copy()
    changed[index] = value
    return found() | {name: changed}


def first(where: np.ndarray) -> int:
    """The first system that is ok and for which `where` holds."""
    return int(np.flatnonzero((found()["status"] == Status.OK) & where)[0])


def damages() -> dict[str, tuple[str, tuple, int, Check]]:
    """What is changed, where, to what, and the check that has to fail."""
    columns = found()
    saddle = first((columns["n_saddles"] == 1) & (columns["n_sinks"] == 2))
    slot = int(np.flatnonzero(columns["kind"][saddle] == 4)[0])
    cycle = first((columns["n_stable_cycles"] == 1) & (columns["n_fixed_points"] == 3))
    nested = first((columns["cycle_within"] >= 0).any(1))
    inner = int(np.flatnonzero(columns["cycle_within"][nested] >= 0)[0])
    held = int(columns["branch_end"][saddle, slot, 0])
    return {
        "a branch to the border": (
            "branch_end",
            (saddle, slot, 0),
            32,
            Check.BRANCH_END_OF_WRONG_STABILITY,
        ),
        "a branch to nothing": ("branch_end", (saddle, slot, 0), -2, Check.BRANCH_WITHOUT_END),
        "both branches to one sink": ("branch_end", (saddle, slot, 2), held, Check.ISOLATED_ELEMENT),
        "a saddle called a sink": ("kind", (saddle, slot), 0, Check.INDEX_SUM),
        "a degenerate point": ("kind", (saddle, slot), 5, Check.DEGENERATE),
        "a cycle around nothing": ("cycle_encloses", (cycle, 0), 0, Check.ENCLOSED_INDEX),
        "a cycle that does not turn": ("cycle_sense", (cycle, 0), 0, Check.UNKNOWN),
        "nested cycles beside each other": ("cycle_within", (nested, inner), -1, Check.NESTING),
    }


def test_what_is_consistent_passes_the_audit_unchanged():
    assert audit(found()) is found()


@pytest.mark.parametrize("damage", range(8))
def test_the_audit_finds_what_is_inconsistent(damage):
    what, (name, index, value, check) = list(damages().items())[damage]
    given = corrupted(name, index, value)
    before = {n: column.copy() for n, column in given.items()}
    after = audit(given)
    i = index[0]
    assert (after["status"][i], after["check"][i]) == (Status.UNRESOLVED, check), what
    others = np.arange(len(SYSTEMS)) != i
    for n in ("status", "check"):
        np.testing.assert_array_equal(after[n][others], found()[n][others])
    for n, column in before.items():
        np.testing.assert_array_equal(given[n], column)  # its argument is as it was


@pytest.mark.parametrize(
    ("field", "lower", "upper", "message"),
    [
        (circles(1.0), [1.0, 1.0], [0.0, 2.0], r"upper: expected numbers above lower = \[1.0, 1.0\]"),
        (circles(1.0), [-1.0, -1.0], [1.0, 1.0, 1.0], r"upper: .*got \[1.0, 1.0, 1.0\]"),
        (circles(1.0), [-1.0, math.nan], None, r"lower: expected finite numbers"),
        (circles(1.0), None, [1.0, math.inf], r"upper: expected finite numbers"),
        (circles(1.0), np.array(3.0), None, r"lower: expected finite numbers of shape \(d,\), got array"),
        (circles(1.0), [], None, r"lower: .*got \[\]"),
        (circles(1.0), ["a", "b"], None, r"lower: expected finite numbers"),
        (circles(1.0), [1j, 0], None, r"lower: expected finite numbers"),
        (lambda h: h[:1], None, None, r"field: expected a rate of shape \(2,\), got one of shape \(1,\)"),
        (lambda h: h.sum(), None, None, r"field: expected a rate of shape \(2,\), got one of shape \(\)"),
    ],
)
def test_boxes_and_fields_that_are_none_are_refused(field, lower, upper, message):
    with pytest.raises(InputError, match=message):
        phase_portrait(field, lower, upper)


def test_other_precisions_are_refused():
    with pytest.raises(InputError, match="precision: expected one of float64, float32"):
        phase_portrait(circles(1.0), precision="float16")


def test_one_program_serves_all_parameters():
    count = single.programs.cache_info().misses
    solved("Stuart-Landau")
    before = single.programs.cache_info().misses
    phase_portrait(circles(0.7), *box(DISC))
    assert single.programs.cache_info().misses == before <= count + 1


def test_the_portrait_is_a_tree_of_numpy_arrays():
    one = solved("Stuart-Landau")
    assert isinstance(one, PhasePortrait)
    arrays = [getattr(one, c.name) for c in chain().columns]
    assert all(isinstance(a, np.ndarray | np.generic) for a in arrays)
    assert eqx.tree_equal(one.field, CASES["Stuart-Landau"][0])
    np.testing.assert_array_equal(one.upper, DISC)
