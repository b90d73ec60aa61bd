"""All limit cycles, against systems whose cycles are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from gru_sweep.analysis.cycle_search import MAX_CYCLES
from gru_sweep.analysis.limit_cycles import TOLERANCE, settings
from gru_sweep.records import Status
from tests.textbook import HARD, TEXTBOOK, Case, Cycle, Solved, stuart_landau, textbook

DECIDED = [name for name, case in TEXTBOOK.items() if case.decided and not case.hard]
UNDECIDED = [name for name, case in TEXTBOOK.items() if not case.decided]
CYCLING = [name for name in DECIDED if TEXTBOOK[name].cycles]


def amplitudes(solved: Solved) -> np.ndarray:
    """Peak to peak, per cycle and unit, (8, 2)."""
    return solved.cycles.upper - solved.cycles.lower


def paired(case: Case, solved: Solved) -> list[tuple[Cycle, int]]:
    """Every known cycle with the slot of the one found that lies nearest in size and multiplier."""
    used = np.flatnonzero(~np.isnan(solved.cycles.period))
    assert used.size == len(case.cycles) == solved.cycles.count
    size = amplitudes(solved)[used, 0]
    known = sorted(case.cycles, key=lambda c: c.amplitude[0] if c.amplitude else 0.0)
    return list(zip(known, used[np.argsort(size)].tolist(), strict=True))


@pytest.mark.parametrize("name", DECIDED)
def test_every_cycle_is_found_and_no_other(name):
    case, solved = TEXTBOOK[name], textbook()[name]
    stable = sum(c.stable for c in case.cycles)
    found = tuple(
        int(getattr(solved.record, name)) for name in ("status", "n_stable_cycles", "n_unstable_cycles")
    )
    assert found == (Status.OK, stable, len(case.cycles) - stable)
    assert solved.cycles.complete
    assert solved.cycles.count == len(case.cycles)


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_cannot_be_decided_is_not_called_ok(name):
    assert int(textbook()[name].record.status) in (Status.NEAR_BIFURCATION, Status.UNRESOLVED)


@pytest.mark.parametrize("name", HARD)
def test_what_is_hard_may_be_left_open_but_is_not_wrong(name):
    case, solved = TEXTBOOK[name], textbook()[name]
    if solved.record.status == Status.OK:
        found = int(solved.record.n_stable_cycles), int(solved.record.n_unstable_cycles)
        assert found == (sum(c.stable for c in case.cycles), sum(not c.stable for c in case.cycles))
    else:
        assert solved.record.status in (Status.NEAR_BIFURCATION, Status.UNRESOLVED)


@pytest.mark.parametrize("name", CYCLING)
def test_periods_and_their_stated_errors(name):
    case, solved = TEXTBOOK[name], textbook()[name]
    for known, slot in paired(case, solved):
        off = abs(solved.cycles.period[slot] - known.period)
        # periods from the literature end after so many digits
        given = 1e-8 if known.log_multiplier is None else 4e-16 * known.period
        assert off <= solved.cycles.period_error[slot] + given
        assert off < 1e-8 * known.period
        assert solved.cycles.period_error[slot] < 1e-7 * known.period


@pytest.mark.parametrize("name", CYCLING)
def test_multipliers_and_stability(name):
    case, solved = TEXTBOOK[name], textbook()[name]
    for known, slot in paired(case, solved):
        assert solved.cycles.stable[slot] == known.stable
        assert (solved.cycles.log_multiplier[slot] < 0) == known.stable
        if known.log_multiplier is not None:
            assert solved.cycles.log_multiplier[slot] == pytest.approx(known.log_multiplier, rel=1e-5)


@pytest.mark.parametrize("name", [n for n in CYCLING if TEXTBOOK[n].cycles[0].amplitude])
def test_amplitudes_and_points_lie_on_circles(name):
    case, solved = TEXTBOOK[name], textbook()[name]
    for known, slot in paired(case, solved):
        np.testing.assert_allclose(amplitudes(solved)[slot], known.amplitude, rtol=1e-6)
        assert np.hypot(*solved.cycles.point[slot]) == pytest.approx(known.amplitude[0] / 2, rel=1e-6)
        np.testing.assert_allclose(solved.cycles.lower[slot], -solved.cycles.upper[slot], rtol=1e-6)


def test_the_record_is_of_the_largest_stable_cycle():
    for name in ("three annuli", "four annuli", "subcritical", "Stuart-Landau"):
        record, case = textbook()[name].record, TEXTBOOK[name]
        largest = max((c for c in case.cycles if c.stable), key=lambda c: c.amplitude)
        np.testing.assert_allclose(record.amplitude, largest.amplitude, rtol=1e-6)
        assert record.log_multiplier == pytest.approx(largest.log_multiplier, rel=1e-5)
        assert record.frequency * record.period == pytest.approx(1, abs=1e-15)
    record = textbook()["Stuart-Landau, reversed"].record
    assert record.n_unstable_cycles == 1
    assert np.isnan([record.period, record.frequency, record.period_error, record.log_multiplier]).all()
    assert np.isnan(record.amplitude).all()


def test_absence_is_proven_where_the_divergence_has_one_sign():
    for name in ("double well", "stable focus", "unstable node"):
        assert textbook()[name].cycles.absence_proven
    for name in ("Stuart-Landau", "SNIC", "van der Pol", "centre", "Lotka-Volterra"):
        assert not textbook()[name].cycles.absence_proven


def test_unused_slots_are_nan():
    for solved in textbook().values():
        count = int(solved.cycles.count)
        empty = np.isnan(solved.cycles.period)
        assert empty.sum() == MAX_CYCLES - count
        assert not solved.cycles.stable[empty].any()
        assert np.isnan(solved.cycles.log_multiplier[empty]).all()
        assert np.isnan(solved.cycles.point[empty]).all()


def test_reversal_and_change_of_pace_keep_the_answer_consistent():
    """The closed forms themselves: a case times a rate is the case of the rescaled parameters."""
    slow = stuart_landau(0.5, 1.0).times(0.5)
    assert slow.cycles == stuart_landau(0.5, 1.0).times(-1.0).times(-0.5).cycles
    assert slow.cycles[0].period == pytest.approx(4 * np.pi)
    assert slow.cycles[0].log_multiplier == stuart_landau(0.5, 1.0).cycles[0].log_multiplier


def test_settings_name_what_the_cycles_depend_on():
    assert settings()["cycle_tolerance_float64"] == TOLERANCE["float64"][1]
    assert all(name.startswith("cycle_") and value > 0 for name, value in settings().items())
