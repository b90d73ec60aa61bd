"""Bifurcations of fixed points on a line: all of them, within their bounds, and named rightly."""

from __future__ import annotations

import numpy as np
import pytest

import bifurcating as fields
from bifurcating import P0
from gru_sweep.analysis.bifurcations.branch_points import branch_point
from gru_sweep.analysis.bifurcations.local import local_bifurcations

LOWER, UPPER = np.full(2, -1.5), np.full(2, 1.5)


def found(field, start=0.0, stop=1.0):
    return local_bifurcations(field, start, stop, LOWER, UPPER)


@pytest.mark.parametrize(("field", "trace"), [(fields.FOLD, -1.0), (fields.SECOND_KIND, 1.0)])
def test_a_fold_is_proven_within_its_bound(field, trace):
    local = found(field)
    assert local.complete
    assert len(local.clusters) == len(local.hopf) == 0
    ((point, coefficient),) = local.folds
    assert abs(point.value - P0) <= point.error < 1e-12
    assert np.abs(point.state).max() <= point.error
    assert point.trace == pytest.approx(trace)
    assert coefficient == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("field", "k", "omega"), [(fields.SUPERCRITICAL, -2.0, 0.75), (fields.SUBCRITICAL, 3.0, 0.75)]
)
def test_a_hopf_point_is_proven_and_its_coefficient_is_that_of_its_normal_form(field, k, omega):
    ((point, l1),) = found(field).hopf
    assert abs(point.value - P0) <= point.error < 1e-12
    # r' = k r^3: Kuznetsov's coefficient with an eigenvector of unit length, whose parts are 1/sqrt(2) long
    assert l1 == pytest.approx(2.0 * k / omega, rel=1e-9)
    assert point.determinant == pytest.approx(omega**2)


def test_a_neutral_saddle_is_no_bifurcation():
    local = found(fields.NEUTRAL_SADDLE)
    assert local.complete
    assert [len(local.folds), len(local.hopf), len(local.clusters)] == [0, 0, 0]


def test_nothing_happens_on_a_constant_field_nor_outside_the_interval():
    for field, *line in [
        (fields.CONSTANT, 0.0, 1.0),
        (fields.FOLD, 0.32, 1.0),
        (fields.FOLD, 0.0, 0.3),
    ]:
        local = found(field, *line)
        assert local.complete
        assert [len(local.folds), len(local.hopf), len(local.clusters)] == [0, 0, 0]


@pytest.mark.parametrize("ends", [(P0, 1.0), (0.0, P0)])
def test_what_lies_on_an_end_of_the_interval_is_found(ends):
    assert len(found(fields.FOLD, *ends).folds) == 1


@pytest.mark.parametrize(
    ("field", "kind"), [(fields.PITCHFORK, "pitchfork"), (fields.TRANSCRITICAL, "transcritical")]
)
def test_crossing_branches_are_a_cluster_and_its_branch_point_is_enclosed(field, kind):
    local = found(field)
    assert local.complete
    assert not local.folds
    low, high = local.clusters[:, 0].min(axis=0), local.clusters[:, 1].max(axis=0)
    assert (low <= [0.0, 0.0, P0]).all()
    assert (high >= [0.0, 0.0, P0]).all()
    point = branch_point(field, low, high)
    assert point is not None
    assert point.kind == kind
    assert abs(point.value - P0) <= point.error < 1e-12


def test_a_fold_is_no_branch_point():
    ((point, _),) = found(fields.FOLD).folds
    middle = np.append(point.state, point.value)
    assert branch_point(fields.FOLD, middle - 1e-8, middle + 1e-8) is None


def test_two_folds_on_a_circle():
    folds = [point for point, _ in found(fields.ON_CIRCLE, -1.0, 1.0).folds]
    np.testing.assert_allclose([fold.value for fold in folds], [-P0, P0], atol=1e-12)
    np.testing.assert_allclose([fold.state for fold in folds], [[0, -1], [0, 1]], atol=1e-12)
