"""Where a grid is split, and what it reads as: against maps with closed answers, known everywhere."""

import math

import numpy as np
import pytest

from gru_sweep.sweeps.tree import State, Tree

SPEAKS, SILENT = 1, 0


def whole(tree):
    return np.indices(tree.shape).reshape(len(tree.shape), -1).T


def places(tree, index):
    """Coordinates (axes, n) in [0, 1]."""
    return (index / (np.array(tree.shape) - 1)).T


def grown(verdict, counts=(17, 17), levels=5, says=None, found=()):
    """The tree of a map `verdict(*coordinates)`, points `found` known too, when it asks for no more."""
    tree = Tree(counts, levels)

    def enter(index):
        code = np.asarray(verdict(*places(tree, index))).astype(np.int32)
        tree.add(index, code, np.ones(len(code), bool) if says is None else says[code])

    def settle():
        while len(index := tree.wanted()):
            assert np.unique(tree.numbers(index)).size == len(index)
            enter(index)

    settle()
    if len(found):
        enter(np.array(found))
        settle()
    return tree


def wrong(tree, verdict):
    """How many points of the finest grid read wrongly."""
    index = whole(tree)
    return int(np.sum(tree.read(index) != np.asarray(verdict(*places(tree, index))).astype(np.int32)))


def disc(x, y):
    return (x - 0.4) ** 2 + (y - 0.55) ** 2 < 0.08


def spiral(x, y):
    return np.floor(np.hypot(x - 0.5, y - 0.5) * 6 - np.arctan2(y - 0.5, x - 0.5) / (2 * np.pi)) % 2


def wedge(x, y):
    return (y > 0.2) & (np.abs(x - 0.43) < 0.1 * (y - 0.2) ** 2)


def strip(width):
    """As wide as so many points of the 513, and between those of the 17."""
    return lambda x, y: np.abs(x - 0.343 - 0.02 * y) * 512 < width / 2


def classes(x, y):
    return (x + y < 0.71) + 2 * (np.hypot(x, y) < 0.9)


def board(x, y):
    return (np.floor(10 * x) + np.floor(10 * y)) % 2


@pytest.mark.parametrize(
    ("verdict", "counts", "levels", "share"),
    [
        (disc, (17, 17), 5, 0.06),
        (spiral, (33, 33), 4, 0.25),
        (wedge, (17, 17), 5, 0.06),
        (classes, (9, 17), 5, 0.14),
        (board, (17, 17), 5, 0.45),
        (lambda x, y: np.abs(y - 0.31 - 0.43 * x) < 0.007, (17, 17), 5, 0.1),
        (lambda x: np.floor(7.3 * x), (9,), 10, 0.03),
        (lambda x, y, z: (x - 0.4) ** 2 + (y - 0.5) ** 2 + (z - 0.6) ** 2 < 0.09, (5, 5, 5), 3, 0.45),
    ],
)
def test_every_point_reads_right_for_a_share_of_the_evaluations(verdict, counts, levels, share):
    tree = grown(verdict, counts, levels)
    assert wrong(tree, verdict) == 0
    assert tree.known < share * tree.total


def test_a_map_of_one_verdict_costs_its_grid():
    tree = grown(lambda x, y: 0 * x, (9, 17))
    assert tree.known == 9 * 17
    assert tree.depth == 0


def test_points_beside_a_change_double_with_each_level():
    """A border of two dimensions: a level more costs twice as much, not four times."""
    costs = [grown(disc, levels=levels).known for levels in (3, 4, 5, 6)]
    assert all(b - a < 2.1 * (a - before) for before, a, b in zip(costs, costs[1:], costs[2:]))


@pytest.mark.parametrize("width", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("says", [[True, True], [True, False]], ids=["another label", "unresolved"])
def test_what_slips_between_the_corners_is_followed_from_one_point_of_it(width, says):
    verdict = strip(width)
    missed = grown(verdict)
    assert missed.known == 17 * 17
    assert wrong(missed, verdict) > 0
    index = whole(missed)
    inside = index[np.asarray(verdict(*places(missed, index)), bool)]
    found = grown(verdict, says=np.array(says), found=inside[[len(inside) // 3]])
    assert wrong(found, verdict) == 0
    assert found.known < 0.12 * found.total


def test_a_board_with_its_corners_on_one_colour_is_found_from_one_point():
    def verdict(x, y):
        return (np.floor(32 * x) + np.floor(32 * y)) % 2

    assert grown(verdict, levels=3).known == 17 * 17
    tree = grown(verdict, levels=3, found=[[6, 1]])
    assert wrong(tree, verdict) == 0


@pytest.mark.parametrize("verdict", [disc, spiral, strip(3)])
def test_leaves_tile_the_map_and_agree_with_what_is_known_in_them(verdict):
    tree = grown(verdict, levels=4, found=[[88, 3]])
    corner, level, state = tree.leaves()
    edge = 2 ** (4 - level.astype(int))
    assert np.sum(edge**2) == math.prod(n - 1 for n in tree.shape)
    covered = np.zeros([n - 1 for n in tree.shape], np.int8)
    index = whole(tree)
    read = tree.read(index).reshape(tree.shape)
    known = np.zeros(tree.total, bool)
    known[tree._number] = True
    known = known.reshape(tree.shape)
    for (i, j), n, kind in zip(corner, edge, state, strict=True):
        covered[i : i + n, j : j + n] += 1
        closure = read[i : i + n + 1, j : j + n + 1]
        assert known[[i, i, i + n, i + n], [j, j + n, j, j + n]].all()
        assert (kind == State.UNIFORM) == (closure == closure[0, 0]).all()
        assert kind == State.UNIFORM or n == 1
    assert (covered == 1).all()


def test_cells_around_a_change_have_their_edges_and_centre_tested():
    tree = grown(disc, levels=3)
    corner, _, state = tree.leaves()
    mixed = corner[state == State.PIXEL]
    known = np.zeros(tree.total, bool)
    known[tree._number] = True
    known = known.reshape(tree.shape)
    for i, j in mixed:
        a, b = 2 * (i // 2) - 2, 2 * (j // 2) - 2
        assert known[a : a + 7, b : b + 7].all()


def noise(share):
    values = np.random.default_rng(7).random((513, 513)) < share
    return lambda x, y: np.where(
        values[np.rint(x * 512).astype(int), np.rint(y * 512).astype(int)], SILENT, SPEAKS
    )


def test_scattered_points_that_say_nothing_do_not_fill_the_map():
    verdict = noise(0.4)
    tree = grown(verdict, says=np.array([False, True]))
    assert tree.known < 0.1 * tree.total
    index = whole(tree)
    read, truth = tree.read(index), verdict(*places(tree, index))
    _, _, state = tree.leaves()
    assert (state == State.STOPPED).any()
    assert np.mean(read == -1) > 0.75
    own = np.isin(tree.numbers(index), tree._number)
    np.testing.assert_array_equal(read[own], truth[own])
    everything = grown(verdict)
    assert everything.known > 0.9 * everything.total


def test_an_area_that_says_nothing_has_its_border_followed_and_hides_no_change():
    def verdict(x, y):
        return np.where(disc(x, y), 0, 1 + (x + 0.3 * y > 0.63))

    tree = grown(verdict, says=np.array([False, True, True]))
    assert wrong(tree, verdict) == 0
    assert tree.known < 0.1 * tree.total


def test_a_sample_is_drawn_evenly_from_what_is_not_known():
    tree = grown(disc, levels=4)
    drawn = tree.sample(np.random.default_rng(3), 4000)
    number = tree.numbers(drawn)
    assert len(np.unique(number)) == 4000
    assert (np.diff(number) > 0).all()
    assert not np.isin(number, tree._number).any()
    unknown = np.setdiff1d(np.arange(tree.total), tree._number)
    quarters = np.histogram(np.searchsorted(unknown, number), 4, (0, unknown.size))[0]
    assert np.abs(quarters - 1000).max() < 4 * math.sqrt(1000)
    np.testing.assert_array_equal(drawn, tree.sample(np.random.default_rng(3), 4000))
    small = grown(disc, (3, 3), 3)
    left = small.sample(np.random.default_rng(0), 10**6)
    assert len(left) == small.total - small.known
