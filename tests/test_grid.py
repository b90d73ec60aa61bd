import numpy as np
import pytest

from gru_sweep.records import InputError
from gru_sweep.sweeps.grid import Axis, Block, Grid


def grid(*shape):
    return Grid(tuple(Axis(f"x{i}", np.arange(n)) for i, n in enumerate(shape)))


def test_axis_is_an_inclusive_linspace():
    axis = Axis.parse("alpha=0:3.14159265:256", units="rad")
    assert axis.name == "alpha"
    assert axis.units == "rad"
    np.testing.assert_array_equal(axis.values, np.linspace(0, 3.14159265, 256))


def test_axis_log_is_geometric():
    np.testing.assert_allclose(Axis.parse("g=log:1:100:5").values, [1, 10**0.5, 10, 10**1.5, 100], rtol=1e-15)


def test_axis_may_descend_or_be_one_point_and_may_name_a_weight():
    np.testing.assert_array_equal(Axis.parse("s=1:-1:3").values, [1, 0, -1])
    np.testing.assert_array_equal(Axis.parse("s=2:2:1").values, [2])
    assert Axis.parse("U_h[0,1]=-1:1:2").name == "U_h[0,1]"


@pytest.mark.parametrize(
    "text",
    [
        "alpha",
        "alpha=",
        "alpha=0:1",
        "alpha=0:1:2:3",
        "=0:1:2",
        "a b=0:1:2",
        "a/b=0:1:2",
        "alpha=0:1:0",
        "alpha=0:1:-3",
        "alpha=0:1:2.5",
        "alpha=0:1:ten",
        "alpha=0:1:1e3",
        "alpha=0:1:",
        "alpha=0:1:99999999999",
        "alpha=0:inf:3",
        "alpha=nan:1:3",
        "alpha=zero:1:3",
        "alpha=1:1:2",
        "alpha=log:0:1:3",
        "alpha=log:-1:1:3",
        "alpha=log:1:3",
        "alpha=exp:1:2:3",
    ],
)
def test_malformed_axis_is_refused_by_name(text):
    with pytest.raises(InputError) as refused:
        Axis.parse(text)
    assert refused.value.argument == "--axis"
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, np.nan], [np.inf], [1.0, 2.0, 1.0], [1.0, 1.0]])
def test_axis_values_are_finite_distinct_and_one_dimensional(values):
    with pytest.raises(InputError):
        Axis("x", np.array(values))


def test_axis_keeps_its_own_values_and_any_order():
    given = np.array([3.0, 1.0, 2.0])
    axis = Axis("x", given)
    given[0] = 7
    np.testing.assert_array_equal(axis.values, [3, 1, 2])
    with pytest.raises(ValueError, match="read-only"):
        axis.values[0] = 0


def test_grid_refuses_an_axis_twice_and_none():
    with pytest.raises(InputError, match=r"x.*2 times"):
        Grid((Axis("x", np.arange(2)), Axis("x", np.arange(3))))
    with pytest.raises(InputError):
        Grid(())


@pytest.mark.parametrize("shape", [(1,), (7,), (4, 5), (3, 1, 4), (6, 5, 4), (2, 3, 2, 5)])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 20, 1000])
def test_blocks_cover_every_point_once_within_the_chunk(shape, chunk):
    blocks = grid(*shape).blocks(chunk)
    seen = np.zeros(shape, int)
    for place, block in enumerate(blocks):
        assert block.index == place
        assert 1 <= block.size <= chunk
        seen[block.slices] += 1
        at_edge = any(a + n == end for a, n, end in zip(block.start, block.shape, shape, strict=True))
        assert block.shape == blocks.tile or at_edge
    np.testing.assert_array_equal(seen, 1)
    assert len(blocks) == place + 1


def test_blocks_are_neighbours_in_c_order():
    whole = np.arange(24 * 100).reshape(24, 100)
    for block in grid(24, 100).blocks(500):
        points = whole[block.slices].ravel()
        np.testing.assert_array_equal(np.diff(points), 1)


def test_blocks_use_the_chunk_well():
    """An even cutting, not full blocks and a sliver."""
    assert grid(256, 256).blocks(8192).tile == (32, 256)
    assert grid(1000, 1000).blocks(65_536).tile == (63, 1000)
    assert grid(10, 1001).blocks(1000).tile == (1, 501)


def test_blocks_of_a_huge_grid_cost_nothing():
    blocks = grid(100_000, 100_000, 7).blocks(1)
    assert len(blocks) == 70_000_000_000
    assert blocks[69_999_999_999] == Block(69_999_999_999, (99_999, 99_999, 6), (1, 1, 1))


@pytest.mark.parametrize("chunk", [0, -1, True])
def test_chunk_is_a_positive_integer(chunk):
    with pytest.raises(InputError, match="--chunk"):
        grid(3).blocks(chunk)


def test_coordinates_are_flat_in_c_order():
    axes = (Axis("a", np.array([0.0, 1.0, 2.0])), Axis("b", np.array([10.0, 20.0])))
    two = Grid(axes)
    a, b = np.meshgrid(axes[0].values, axes[1].values, indexing="ij")
    for block in two.blocks(4):
        here = two.coordinates(block)
        assert list(here) == ["a", "b"]
        np.testing.assert_array_equal(here["a"], a[block.slices].ravel())
        np.testing.assert_array_equal(here["b"], b[block.slices].ravel())
        assert here["a"].dtype == np.float64
