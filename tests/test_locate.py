"""`gs.locate` and `gru-sweep locate`: the paper's bifurcations, against roots at thirty digits."""

from __future__ import annotations

import json
import sys

import mpmath
import numpy as np
import pytest
from matplotlib.figure import Figure

import gru_sweep as gs
from gru_sweep import cli, locating
from gru_sweep.analysis.bifurcations.line import _joined
from gru_sweep.records import InputError


def rate(u, b_h):
    """f of a GRU without gates' matrices nor biases but b_h: (tanh(U h / 2 + b_h) - h) / 2."""
    return lambda x, y: [
        (mpmath.tanh((u[i][0] * x + u[i][1] * y) / 2 + b_h[i]) - h) / 2 for i, h in enumerate((x, y))
    ]


def critical(field, determinant: bool, guess):
    """(x, y, p) with f = 0 and det J = 0, or tr J = 0, at thirty digits."""

    def equations(x, y, p):
        f = field(p)
        half = [
            [mpmath.diff(lambda *h, i=i: f(*h)[i], (x, y), order) for order in ((1, 0), (0, 1))]
            for i in (0, 1)
        ]
        (a, b), (c, d) = half
        return [*f(x, y), a * d - b * c if determinant else a + d]

    with mpmath.workdps(30):
        return mpmath.findroot(equations, guess)


def eq_8(alpha):
    c, s = 3 * mpmath.cos(alpha), 3 * mpmath.sin(alpha)
    return rate([[c, -s], [s, c]], [0, 0])


def eq_9(gamma):
    c, s = 3 * mpmath.cos(mpmath.pi / 20), 3 * mpmath.sin(mpmath.pi / 20)
    return rate([[c, s], [-s, c]], [mpmath.mpf("0.32"), gamma])


def test_eq_9_has_a_hopf_point_and_a_homoclinic_orbit():
    found = gs.locate("homoclinic", gamma=(0.052, 0.055))
    assert found.complete
    assert found.warnings == ()
    assert [event.kind for event in found] == ["hopf", "homoclinic"]
    hopf, homoclinic = found
    true = critical(eq_9, False, (-0.6, -0.53, 0.053))
    assert abs(mpmath.mpf(hopf.value) - true[2]) <= hopf.error < 1e-12
    assert hopf.proven
    assert hopf.details["type"] == "supercritical"
    # the orbit's saddle, and two methods that agree
    assert homoclinic.error < 1e-10
    both = [homoclinic.details[name] for name in ("gap_value", "divergence_value")]
    assert abs(both[0] - both[1]) <= homoclinic.details["gap_error"] + homoclinic.details["divergence_error"]
    assert hopf.after == homoclinic.before
    assert "cycle+" in hopf.after
    assert "cycle" not in hopf.before + homoclinic.after


def test_eq_8_loses_its_cycle_in_four_saddle_nodes_at_once():
    found = gs.locate("hopf", alpha=(0.1, 1.0), beta=3.0, s=0.0)
    assert found.complete
    assert [event.kind for event in found] == ["snic"] * 4 + ["hopf"]
    true = critical(eq_8, True, (0.9, -0.57, 0.148))
    for event in found[:4]:
        assert abs(mpmath.mpf(event.value) - true[2]) <= event.error < 1e-12
        assert (event.before, event.after) == ("4sink,source,4saddle[ab,ad,bc,cd;adcb]", "cycle+(source)")
        assert event.details["type"] == "saddle-node of the first kind"
    assert len({tuple(np.round(event.at, 6)) for event in found[:4]}) == 4
    assert abs(found[4].value - np.arccos(2 / 3)) <= found[4].error + 1e-16
    # the eigenvalues there are +- i tan(alpha) / 2
    assert found[4].details["frequency"] == pytest.approx(np.tan(found[4].value) / (4 * np.pi))


def test_the_diagram_shows_points_cycles_and_events(tmp_path):
    found = gs.locate("hopf", alpha=(0.1, 1.0), beta=3.0, s=0.0)
    panels = gs.plot.diagram(found, Figure())
    assert panels[2].get_xlabel() == r"$\alpha$"
    (text,) = {note.get_text() for note in panels[0].texts} - {"hopf"}
    assert text == "4 snic"
    stable, unstable = (dots.get_offsets() for dots in panels[2].collections)
    assert len(unstable) == 0
    # the cycle is between the saddle-nodes and the Hopf angle; there its frequency is that of the eigenvalues
    assert (stable[:, 0] > found[0].value).all()
    assert (stable[:, 0] < found[-1].value).all()
    last = stable[np.argmax(stable[:, 0])]
    assert last[1] == pytest.approx(found[-1].details["frequency"], rel=1e-2)
    with pytest.raises(InputError, match="--plot"):
        gs.plot.save_diagram(found, tmp_path / "d.jpg")


def test_nothing_happens_on_a_quiet_line():
    found = gs.locate("hopf", beta=(1.0, 1.5), alpha=0.5, s=0.0)
    assert len(found) == 0
    assert found.complete
    assert set(found.labels[found.labels != ""]) == {"sink"}


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["gru-sweep", "locate", *arguments])
    status = cli.main()
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_the_command_prints_what_python_finds(monkeypatch, capsys):
    line = ["hopf", "--along", "beta=1.5:2.5", "--set", "alpha=0.5", "--set", "s=0.3"]
    status, out, err = run(monkeypatch, capsys, *line, "--json", "--quiet")
    assert (status, err) == (0, "")
    (event,) = json.loads(out)["events"]
    assert {"kind", "value", "error", "at", "from", "to"} <= set(event)
    # cos(alpha) = 1 / (beta sigma(s))
    assert abs(event["value"] - (1 + np.exp(-0.3)) / np.cos(0.5)) <= event["error"] + 1e-15
    assert (event["kind"], event["from"], event["to"]) == ("hopf", "sink", "cycle+(source)")
    status, out, _ = run(monkeypatch, capsys, *line)
    assert status == 0
    assert "supercritical hopf" in out


BAD = {
    "reversed bounds": (["homoclinic", "--along", "gamma=0.06:0.05"], "--along", "START below STOP"),
    "no width": (["homoclinic", "--along", "gamma=0.05:0.05"], "--along", "START below STOP"),
    "unknown coordinate": (["homoclinic", "--along", "delta=0:1"], "--along", "one of gamma"),
    "no line": (["homoclinic"], "--along", "NAME=START:STOP"),
    "not a line": (["homoclinic", "--along", "gamma=0.05"], "--along", "NAME=START:STOP"),
    "infinite": (["homoclinic", "--along", "gamma=0:inf"], "--along", "finite"),
    "set too": (["homoclinic", "--along", "gamma=0:1", "--set", "gamma=1"], "--set", "not axes"),
    "constant": (["hopf", "--along", "s=0:1", "--set", "br1=0", "--set", "br2=1"], "--along", "depends"),
    "integers": (["random", "--along", "index=0:1"], "--along", "real numbers"),
    "unknown family": (["hopff", "--along", "alpha=0:1"], "--family", "did you mean 'hopf'"),
    "no weights": (["weights", "--along", "b_r=0:1"], "--weights", "a file of weights"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_status_2(monkeypatch, capsys, case):
    arguments, flag, words = BAD[case]
    status, out, err = run(monkeypatch, capsys, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert flag.strip("-") in err
    assert words in err


def test_python_wants_one_line():
    for given in ({}, {"alpha": (0.0, 1.0), "beta": (1.0, 2.0)}):
        with pytest.raises(InputError, match="along: expected one coordinate as a pair"):
            locating.locate("hopf", **given)


def test_undecided_boxes_that_touch_are_one_and_others_are_not():
    box = lambda *corner: np.array([corner, np.add(corner, 1e-3)])  # noqa: E731
    joined = _joined(np.array([box(0, 0, 1), box(0.5, 0, 1), box(2e-3, 1e-3, 1.001)]))
    assert len(joined) == 2
    assert any(np.allclose(hull, [[0, 0, 1], [3e-3, 2e-3, 1.002]]) for hull in joined)
