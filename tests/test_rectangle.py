"""Changes of label on a grid, and what explains them; the whole door on a plane of Eq 8."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import xarray as xr

import gru_sweep as gs
from gru_sweep.analysis import topology
from gru_sweep.analysis.bifurcations import rectangle
from gru_sweep.analysis.bifurcations.global_curves.changes import Grid
from gru_sweep.analysis.bifurcations.plane.curve import Curve
from gru_sweep.records import InputError, Status

RADIUS = 0.37
CENTRE = np.array([0.45, 0.55])


@pytest.fixture
def labelled(monkeypatch):
    """Portraits whose label says on which side of a circle a point is; undecided next to it."""
    monkeypatch.setattr(topology, "labels", lambda columns: columns["made"])

    def portraits(points):
        away = np.hypot(*(points - CENTRE).T) - RADIUS
        status = np.where(np.abs(away) < 1e-5, Status.NEAR_BIFURCATION, Status.OK)
        made = np.where(away < 0.0, "inside", "outside").astype(object)
        return {"status": status, "made": np.where(status == Status.OK, made, "")}

    return portraits


def circle(radius: float = RADIUS, part: float = 2.0 * np.pi) -> Curve:
    """A curve around the centre, by its points and tangents."""
    angle = np.linspace(0.0, part, 400)
    around, zero = np.stack([np.cos(angle), np.sin(angle)], axis=1), np.zeros((400, 2))
    points = np.hstack([zero, CENTRE + radius * around])
    tangents = np.hstack([zero, np.stack([-around[:, 1], around[:, 0]], axis=1)])
    return Curve(points, tangents, radius * angle, part >= 2.0 * np.pi, "made up", ("closed",) * 2, (), {})


def test_changes_are_where_the_labels_differ_until_a_curve_is_known(labelled):
    grid = Grid(labelled, np.zeros(2), np.ones(2), 12)
    before = list(grid.changes())
    # every line within the radius crosses the circle twice
    crossed = sum(int((np.abs(grid.nodes[i] - CENTRE[i]) < RADIUS).sum()) for i in (0, 1))
    assert len(before) == 2 * crossed
    for change in before:
        away = [np.hypot(*(end - CENTRE)) - RADIUS for end in change.ends]
        assert away[0] * away[1] < 0.0
        assert change.ends[0][1 - change.axis] == change.ends[1][1 - change.axis] == change.level
    grid.cut([circle()])
    assert list(grid.changes()) == []


def test_a_part_of_a_curve_explains_its_part_only(labelled):
    grid = Grid(labelled, np.zeros(2), np.ones(2), 12)
    grid.cut([circle(part=np.pi)])
    left = list(grid.changes())
    assert left
    for change in left:
        assert np.mean([end[1] for end in change.ends]) < CENTRE[1]


def test_a_curve_that_is_not_where_the_label_changes_explains_nothing(labelled):
    grid = Grid(labelled, np.zeros(2), np.ones(2), 12)
    before = list(grid.changes())
    grid.cut([circle(RADIUS + 0.01)])
    after = list(grid.changes())
    # as many, on the same pieces: the portraits beside the wrong curve show that the change is not there
    assert len(after) == len(before)
    assert all(any(new.within(old) for old in before) for new in after)
    assert not any(old.within(new) for old, new in zip(before, after))


def test_a_grid_needs_a_line():
    for grid in (0, True):
        with pytest.raises(InputError, match="grid: expected a positive integer"):
            rectangle.diagram(lambda h, p: h, [0, 0], [1, 1], None, lower=[-1, -1], upper=[1, 1], grid=grid)


@functools.cache
def unequal_biases() -> xr.Dataset:
    """Eq 8 with unequal reset biases, where it keeps its half-turn: pitchforks, folds, cycles on folds."""
    return gs.curves("hopf", alpha=0.2, beta=3.0, br1=(-1.0, 2.0), br2=(-1.0, 2.0))


def test_every_change_of_label_in_a_plane_has_its_curve():
    ds = unequal_biases()
    kinds = np.array(str(ds.kind.attrs["flag_meanings"]).split())[ds.kind.values].tolist()
    assert sorted(set(kinds)) == ["fold", "hopf", "pitchfork"]
    assert ds.sizes["change"] == 0
    assert ds.topology.shape == (24, 24)
    assert {"sink", "cycle+(source)"} <= set(ds.topology_class.values.tolist())
    assert (ds.on_cycle.values == 1).any()
    assert (ds.on_cycle.values == 0).any()


def test_the_plane_is_symmetric_as_the_network_is():
    # units exchanged, and one of them turned over: (br1, br2) becomes (br2, br1)
    ds = unequal_biases()
    table = ds.topology.values
    np.testing.assert_array_equal(table, table.T)
    vertices = np.stack([ds.br1.values, ds.br2.values], axis=1)
    apart = [np.min(np.max(np.abs(vertices - other), axis=1)) for other in vertices[::7, ::-1]]
    assert max(apart) < 0.1  # of 3: neighbouring vertices are this far apart
