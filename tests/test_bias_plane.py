"""The plane of both biases of Eq 9: its Hopf curve and codimension-two points, and the tracked diagram."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import root

from written import check_written

pytestmark = pytest.mark.usefixtures("quick")
RESULTS = Path(__file__).resolve().parent.parent / "results"
HOPF = 0.053009394219754
"""gamma of Eq 9's Hopf bifurcation, from f = tr J = 0 in test_locate.py."""


def bogdanov_takens(guess):
    """(h, b_h[1], b_h[0]) with f = det J = tr J = 0: by scipy, from the equation of the network."""
    c, s = 1.5 * math.cos(math.pi / 20), 1.5 * math.sin(math.pi / 20)
    gain = np.array([[c, s], [-s, c]])

    def left(u):
        t = np.tanh(gain @ u[:2] + u[3:1:-1])
        jacobian = (1 - t**2)[:, None] * gain - np.eye(2)
        return [*(t - u[:2]), np.linalg.det(jacobian), np.trace(jacobian)]

    found = root(left, guess, tol=1e-14)
    assert np.abs(left(found.x)).max() < 1e-14
    return found.x


def test_curves_of_fixed_points(quick):
    _, verdict, folder = quick("bias_plane")
    check_written("bias_plane", folder)
    assert verdict["complete"], verdict["warnings"]
    assert [curve["kind"] for curve in verdict["curves"]] == ["fold", "fold", "hopf"]
    assert verdict["on the line of Eq 9"]["hopf"]["curve"] == pytest.approx([HOPF], abs=1e-8)
    points = [point for point in verdict["codimension_two"] if point["kind"] == "bogdanov-takens"]
    assert len(points) == 4  # two, each on a fold and on the Hopf curve
    for point in points:
        place = [*point["at"], point["b_h[1]"], point["b_h[0]"]]
        assert point["proven"]
        np.testing.assert_allclose(place, bogdanov_takens(place), rtol=0, atol=1e-12)


def test_the_tracked_diagram_has_the_homoclinic_orbit_of_eq9():
    verdict = json.loads((RESULTS / "bias_plane.json").read_text())
    for kind, both in verdict["on the line of Eq 9"].items():
        assert len(both["located"]) == 1, kind
        assert both["curve"] == pytest.approx(both["located"], abs=1e-7)
    assert verdict["unexplained_changes"] == 0
    homoclinic = [i for i, curve in enumerate(verdict["curves"]) if curve["kind"] == "homoclinic"]
    special = verdict["codimension_two"]
    on = {kind: [p for p in special if p["kind"] == kind] for kind in ("bogdanov-takens", "saddle-node loop")}
    # both Bogdanov-Takens points are ends of a curve of homoclinic orbits
    assert len([p for p in on["bogdanov-takens"] if p["curve"] in homoclinic]) == 2
    # the saddle-node loop is solved for on the fold, and extrapolated to along the homoclinic orbits
    solved, extrapolated = sorted(on["saddle-node loop"], key=lambda p: p["curve"])
    assert verdict["curves"][solved["curve"]]["kind"] == "fold"
    assert extrapolated["curve"] in homoclinic
    for name in ("b_h[0]", "b_h[1]"):
        assert abs(solved[name] - extrapolated[name]) < extrapolated["error"] < 1e-6
