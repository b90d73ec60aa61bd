"""The canonical label: textbook portraits, invariance, completeness, and every check."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from itertools import combinations

import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gru_sweep.analysis import cycle_search
from gru_sweep.analysis.scheme import BORDER, CHECKS, MAX_CYCLES
from gru_sweep.analysis.topology import NEEDS, check, checks, connection_graph, label, labels
from gru_sweep.records import InputError, Kind, Status
from tests.schemes import (
    Integers,
    all_maps,
    drawn,
    grown,
    inner,
    mirrored,
    nine,
    on_sphere,
    outer,
    plane_trees,
    portrait,
    random_portrait,
    relabelled,
    repellers,
    same,
)

RING = {(0, 0): "source", (2, 0): "sink", (-2, 0): "sink", (0, 2): "saddle", (0, -2): "saddle"}
ALONE = portrait(["sink"])
BISTABLE = portrait(
    ["sink", "sink", "saddle"], {0: [(2, 0)], 1: [(2, 2)], BORDER: [(2, 1), (2, 3)]}
)  # x' = x - x^3, y' = -y
HOPF = portrait(["source"], cycles=[(True, 1, {0}, -1)])
INSIDE = portrait(
    ["source", "saddle", "source"],
    {0: [(1, 1)], 2: [(1, 3)], inner(0): [(1, 0), (1, 2)]},
    [(True, 1, {0, 1, 2}, -1)],
)  # the damped double well, pumped: one cycle around both wells
LOOP = portrait(
    ["saddle", "source", "sink"], {2: [(0, 2)], BORDER: [(0, 3)]}, joined=[((0, 0), (0, 1))]
)  # homoclinic to 0, around the source
LINE = {(-1, 0): "sink", (0, 0): "saddle", (1, 0): "saddle", (1, 1): "sink", (1, -1): "sink"}


def heteroclinic() -> Integers:
    """A saddle at 0 whose branch along the axis is a branch of the saddle at (1, 0)."""
    return drawn(
        LINE, {(0, 0): [(1, 0), (0, 3), (-1, 0), (0, -3)], (1, 0): [(1, 1), (0, 0), (1, -1), (3, 0)]}
    )


def with_cycle(p: Integers, point: int, sense: int) -> Integers:
    """A fixed point grown by a Hopf bifurcation into a cycle around one of the other stability."""
    grown = [Kind.UNSTABLE_FOCUS, Kind.STABLE_FOCUS]
    attracts = int(p.kind[point] in (Kind.STABLE_NODE, Kind.STABLE_FOCUS))
    k = int((p.cycle_stable >= 0).sum())
    ends = np.where(p.branch_end == point, outer(k), p.branch_end)
    p = dataclasses.replace(p, branch_end=ends).changed("kind", point, grown[1 - attracts])
    p = p.changed("cycle_stable", k, attracts).changed("cycle_sense", k, sense)
    return p.changed("cycle_encloses", k, 1 << point)


TEXTBOOK = {
    "one sink": (ALONE, "sink"),
    "bistable": (BISTABLE, "2sink,saddle[a,a]"),
    "Hopf": (HOPF, "cycle+(source)"),
    "Hopf, clockwise": (HOPF.changed("cycle_sense", 0, -1), "cycle+(source)"),
    "Bautin": (portrait(["sink"], cycles=[(True, 1, {0}, -1), (False, 1, {0}, 0)]), "cycle+(ucycle+(sink))"),
    "Bautin with a turn between": (
        portrait(["sink"], cycles=[(False, 1, {0}, 1), (True, -1, {0}, -1)]),
        "cycle+(ucycle-(sink))",
    ),
    "a cycle around two sources": (INSIDE, "cycle+(2source,saddle[a,a])"),
    "an unstable cycle between two sinks": (
        portrait(
            ["sink", "sink", "saddle"],
            {1: [(2, 0), (2, 2)], outer(0): [(2, 1)], BORDER: [(2, 3)]},
            [(False, -1, {0}, -1)],
        ),
        "sink,ucycle+(sink),saddle[aa;a]",
    ),
    "a sink beside a cycle": (with_cycle(BISTABLE, 0, -1), "cycle+(source),sink,saddle[a;a]"),
    "two cycles, one sense": (with_cycle(with_cycle(BISTABLE, 0, -1), 1, -1), "2cycle+(source),saddle[a,a]"),
    "two cycles, both senses": (
        with_cycle(with_cycle(BISTABLE, 0, -1), 1, 1),
        "cycle+(source),cycle-(source),saddle[a;a]",
    ),
    "a ring of two": (
        drawn(
            RING,
            {
                (0, 2): [(-2, 0), (0, 0), (2, 0), (0, 4)],
                (0, -2): [(2, 0), (0, 0), (-2, 0), (0, -4)],
            },
        ),
        "2sink,source,2saddle[ab,ab;ab]",
    ),
    "two bistable units": (nine(), "4sink,source,4saddle[ab,ad,bc,cd;adcb]"),
    "homoclinic": (LOOP, "sink,source,saddle[a0;.;a2>a3]"),
    "heteroclinic": (heteroclinic(), "3sink,2saddle[a0,a2,b0;b2>a3]"),
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_textbook(name):
    known, expected = TEXTBOOK[name]
    assert check(known) == ""
    assert label(known) == label(mirrored(known)) == expected


def test_the_order_along_a_curve_from_inside_and_from_outside():
    """Four branches from the border, or from the inner side of a cycle: the same order in the plane."""
    around = nine()
    ends = np.where(around.branch_end == BORDER, inner(1), around.branch_end)
    held = dataclasses.replace(
        around,
        branch_end=ends,
        cycle_stable=np.array([1, 0, *[-1] * 6], np.int8),
        cycle_sense=np.array([1, 1, *[0] * 6], np.int8),
        cycle_encloses=np.array([511, 511, *[0] * 6], np.int32),
        cycle_within=np.array([-1, 0, *[-1] * 6], np.int8),
    )
    assert label(held) == f"cycle+(ucycle+({label(around)}))"
    backwards = np.where(ends == inner(1), 3 - held.branch_rank, held.branch_rank)
    assert check(dataclasses.replace(held, branch_rank=backwards)) == "not planar"


def test_a_cycle_turns_with_or_against_the_order_of_its_branches():
    """Arms of 1, 2 and 3 saddles around a cycle: the sense of the cycle is to be seen in no mirror."""
    tree = (((),), (((),),), ((((),),),))
    centre = grown(tuple(arm[0] for arm in tree))
    middle = int(np.bincount(centre.branch_end[centre.branch_end >= 0])[:BORDER].argmax())
    one, other = (with_cycle(centre, middle, sense) for sense in (1, -1))
    assert check(one) == check(other) == ""
    assert label(one) != label(other)
    assert label(mirrored(one)) == label(one)
    assert not same(one, other)


def test_equal_counts_in_another_arrangement():
    """Two long and two short arms about a sink: next to each other, or in turn."""
    one, two = (), ((),)
    beside, in_turn = grown((two, two, one, one)), grown((two, one, two, one))
    assert label(beside).split("[")[0] == label(in_turn).split("[")[0] == "7sink,6saddle"
    assert label(beside) != label(in_turn)


@pytest.mark.parametrize(("saddles", "classes"), list(enumerate((1, 1, 2, 3, 6, 12, 27), start=1)))
def test_all_portraits_of_sinks_alone(saddles, classes):
    """As many as plane trees up to reflection (OEIS A006082)."""
    assert len({label(grown(tree)) for tree in plane_trees(saddles)}) == classes


def as_classes(found: list[Integers]) -> int:
    """How many classes there are, after making sure that labels are equal exactly when portraits are."""
    classes: dict[str, Integers] = {}
    for p in found:
        word = label(p)
        assert word, check(p)
        assert same(p, classes.setdefault(word, p)), word
    alike = defaultdict(list)
    for p in classes.values():
        alike[(*np.bincount(p.kind + 1), *sorted(p.cycle_stable))].append(p)
    for group in alike.values():
        for a, b in combinations(group, 2):
            assert not same(a, b), (label(a), label(b))
    return len(classes)


@pytest.mark.parametrize("saddles", [1, 2, 3])
def test_all_portraits_without_cycles(saddles):
    """Every planar map, every repeller as the border: one that the first saddle touches, by renumbering."""
    found = []
    for vertices in all_maps(saddles):
        touched = [(0, 1) in darts for darts in repellers(vertices)]
        found.append(on_sphere(vertices, touched.index(True)))
    assert as_classes(found) == {1: 2, 2: 6, 3: 25}[saddles]


@pytest.mark.parametrize("connect", [False, True], ids=["structurally stable", "saddle connections"])
def test_random_portraits(connect):
    rng = np.random.default_rng(3)
    found = [random_portrait(rng, connect) for _ in range(400)]
    assert as_classes(found) > 100
    assert any(">" in label(p) for p in found) == connect


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), connect=st.booleans())
def test_numbering_and_mirrors_change_nothing(seed, connect):
    rng = np.random.default_rng(seed)
    p = random_portrait(rng, connect)
    assert label(p) == label(relabelled(p, rng)) == label(mirrored(p)) != ""


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_nonsense_has_no_label_and_a_reason(seed, data):
    p = random_portrait(np.random.default_rng(seed), connect=True)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(NEEDS[1:]))
        shape = getattr(p, name).shape
        index = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
        p = p.changed(name, index, data.draw(st.integers(-3, 40)))
    assert check(p) in {"", *CHECKS}
    assert (label(p) == "") == (check(p) != "")


def disconnected() -> Integers:
    """Two saddles, each with one attractor and one repeller, as on two tori."""
    around = {0: [(3, 0), (3, 2)], 1: [(4, 0), (4, 2)], 2: [(4, 1), (4, 3)], BORDER: [(3, 1), (3, 3)]}
    return portrait(["sink", "sink", "source", "saddle", "saddle"], around)


def empty_loop() -> Integers:
    """A loop at one saddle with nothing inside, and another saddle beside."""
    around = {2: [(0, 2), (1, 0)], 3: [(1, 2)], BORDER: [(0, 3), (1, 1)], 4: [(1, 3)]}
    return portrait(["saddle", "saddle", "sink", "sink", "source"], around, joined=[((0, 0), (0, 1))])


def two_loops() -> Integers:
    """A loop at each of two saddles, and two sources: which is in which is not in the integers."""
    around = {4: [(0, 2), (1, 2)], BORDER: [(0, 3), (1, 3)]}
    points = ["saddle", "saddle", "source", "source", "sink"]
    return portrait(points, around, joined=[((0, 0), (0, 1)), ((1, 0), (1, 1))])


def beside() -> Integers:
    """A sink within an unstable cycle, and a saddle outside."""
    return TEXTBOOK["an unstable cycle between two sinks"][0]


def crossed() -> Integers:
    """Four branches from the border in clockwise order."""
    p = nine()
    backwards = np.where(p.branch_end == BORDER, 3 - p.branch_rank, p.branch_rank)
    return dataclasses.replace(p, branch_rank=backwards)


TREE = grown(((), (), ()))
BAUTIN = TEXTBOOK["Bautin"][0]
CORRUPT = [
    ("unknown", ALONE.changed("n_fixed_points", (), -1)),
    ("unknown", ALONE.changed("n_fixed_points", (), 17)),
    ("unknown", BISTABLE.changed("kind", 1, -1)),
    ("unknown", BISTABLE.changed("n_fixed_points", (), 2)),
    ("unknown", HOPF.changed("cycle_sense", 0, 0)),
    ("unknown", HOPF.changed("cycle_stable", 0, 2)),
    ("degenerate", BISTABLE.changed("kind", 0, Kind.DEGENERATE)),
    ("index sum", BISTABLE.changed("kind", 2, Kind.STABLE_NODE)),
    ("index sum", ALONE.changed("kind", 0, -1).changed("n_fixed_points", (), 0)),
    ("enclosed index", HOPF.changed("cycle_encloses", 0, 0)),
    ("enclosed index", INSIDE.changed("cycle_encloses", 0, 0b011)),
    ("nesting", BAUTIN.changed("cycle_within", 1, -1)),
    ("nesting", BAUTIN.changed("cycle_within", 0, 1)),
    ("nesting", BAUTIN.changed("cycle_within", 0, 5)),
    ("nesting", HOPF.changed("cycle_encloses", 0, 0b11)),
    ("nesting", with_cycle(with_cycle(BISTABLE, 0, 1), 1, 1).changed("cycle_within", 0, 1)),
    ("branch without end", BISTABLE.changed("branch_end", (2, 0), -2)),
    ("branch without end", BISTABLE.changed("branch_end", (2, 0), 3)),
    ("branch without end", BISTABLE.changed("branch_end", (2, 0), outer(0))),
    ("branch without end", BISTABLE.changed("branch_end", (2, 0), BORDER + 1)),
    ("branch end of wrong stability", BISTABLE.changed("branch_end", (2, 0), BORDER)),
    ("branch end of wrong stability", BISTABLE.changed("branch_end", (2, 1), 0)),
    ("branch end of wrong stability", INSIDE.changed("branch_end", (1, 1), inner(0))),
    ("branch end of wrong stability", BISTABLE.changed("branch_end", (2, 0), 2)),
    ("branch across a cycle", beside().changed("branch_end", (2, 0), 0)),
    ("branch across a cycle", beside().changed("branch_end", (2, 1), inner(0)).changed("cycle_stable", 0, 0)),
    ("order unknown", TREE.changed("branch_rank", np.s_[:], -1)),
    ("order unknown", TREE.changed("branch_rank", np.s_[:], 1)),
    ("order unknown", two_loops()),
    ("order unknown", LOOP.changed("branch_end", (0, 2), 0).changed("branch_end", (0, 3), 0)),
    ("poles", ALONE.changed("kind", 0, Kind.UNSTABLE_NODE)),
    ("poles", BAUTIN.changed("cycle_stable", 1, 1)),
    ("isolated element", BISTABLE.changed("branch_end", (2, 0), 1)),
    ("not connected", disconnected()),
    ("not planar", crossed()),
    ("faces", empty_loop()),
]


@pytest.mark.parametrize(("name", "corrupt"), CORRUPT, ids=[name for name, _ in CORRUPT])
def test_every_check_fires(name, corrupt):
    assert check(corrupt) == name
    assert label(corrupt) == ""


def test_every_check_is_tested():
    assert {name for name, _ in CORRUPT} == set(CHECKS)


def test_a_record_of_the_device():
    fields = dataclasses.asdict(nine())
    assert label(Integers(**{name: jnp.asarray(values) for name, values in fields.items()})) == label(nine())


def test_ranks_matter_only_where_three_branches_meet():
    forgotten = BISTABLE.changed("branch_rank", np.s_[:], -1)
    assert label(forgotten) == label(BISTABLE)


def stacked(found: list[Integers], status: list[Status]) -> dict[str, np.ndarray]:
    rows = {name: np.stack([getattr(p, name) for p in found]) for name in NEEDS[1:]}
    return {"status": np.array(status, np.int8), **rows}


def test_columns_of_a_file():
    rng = np.random.default_rng(5)
    kinds = [random_portrait(rng, connect=True) for _ in range(20)] + [disconnected(), LOOP]
    found = [kinds[i] for i in rng.integers(len(kinds), size=500)]
    columns = stacked(found, [Status.OK] * 500)
    assert labels(columns).tolist() == [label(p) for p in found]
    assert checks(columns).tolist() == [check(p) for p in found]
    columns["status"][:] = Status.NEAR_BIFURCATION
    assert labels(columns).tolist() == [word if ">" in (word := label(p)) else "" for p in found]
    for status in (Status.NOT_COMPUTED, Status.UNRESOLVED, Status.FAILED):
        columns["status"][:] = status
        assert set(labels(columns)) == set(checks(columns)) == {""}


def test_no_rows():
    empty = {name: values[:0] for name, values in stacked([ALONE], [Status.OK]).items()}
    assert labels(empty).shape == (0,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", np.zeros(16)),
        ("kind", np.zeros(15, np.int8)),
        ("branch_end", np.zeros((16, 3), np.int8)),
        ("cycle_stable", np.ones(8, bool)),
        ("n_fixed_points", np.ones(1, np.int16)),
    ],
)
def test_bad_arguments(name, value):
    with pytest.raises(InputError, match=name):
        label(dataclasses.replace(ALONE, **{name: value}))
    columns = stacked([ALONE], [Status.OK])
    with pytest.raises(InputError, match=name):
        labels({**columns, name: value[None]})
    del columns[name]
    with pytest.raises(InputError, match=name):
        labels(columns)


def test_what_is_no_portrait():
    with pytest.raises(InputError, match="n_fixed_points"):
        check(object())
    with pytest.raises(InputError, match="status"):
        labels({**stacked([ALONE], [Status.OK]), "status": np.zeros((1, 1), np.int8)})


def test_graph_of_two_bistable_units():
    p = nine()
    graph = connection_graph(p)
    kinds = nx.get_node_attributes(graph, "kind")
    assert sorted(kinds.values()) == ["border"] + ["saddle"] * 4 + ["sink"] * 4 + ["source"]
    assert graph.number_of_edges() == 16
    assert nx.is_directed_acyclic_graph(graph)
    for vertex, about in graph.nodes(data=True):
        leaving = [e["tail_place"] for *_, e in graph.out_edges(vertex, data=True)]
        arriving = [e["head_place"] for *_, e in graph.in_edges(vertex, data=True)]
        assert sorted(leaving + arriving) == list(range(graph.degree(vertex)))
        assert about["stable"] == (not leaving)
    for _, saddle, edge in graph.out_edges(BORDER, data=True):
        assert edge["tail_place"] == 3 - p.branch_rank[saddle, edge["branch"]]


def test_graph_with_cycles_and_connections():
    graph = connection_graph(INSIDE)
    side = {"kind": "cycle", "stable": True, "cycle": 0, "sense": 1}
    assert graph.nodes[outer(0)] == {**side, "side": "outer", "within": -1}
    assert graph.nodes[inner(0)] == {**side, "side": "inner", "within": 0}
    assert graph.number_of_edges(1, inner(0)) == 2
    loop = connection_graph(LOOP)
    assert loop.get_edge_data(0, 0) == {0: {"saddle": 0, "branch": 0, "tail_place": 0, "head_place": 1}}
    assert loop.number_of_edges() == 3


def test_graph_of_an_inconsistent_portrait_is_refused():
    with pytest.raises(InputError, match="not connected"):
        connection_graph(disconnected())


def test_as_many_cycles_as_the_search_can_hold():
    assert MAX_CYCLES == cycle_search.MAX_CYCLES
