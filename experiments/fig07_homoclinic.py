"""Fig 7 of Jordan, Sokol & Park (2021): the homoclinic orbit of Eq 9, and at which gamma it is.

    python experiments/fig07_homoclinic.py [--quick] [--out-dir results]

The text puts the orbit at gamma = 0.054085. Two methods that share no step look for it. The gap: one branch
of the saddle's unstable manifold and one of its stable manifold are followed to a ray behind the focus that
they go round; the signed distance of the two crossings is zero at the bifurcation. The period: that of the
stable cycle is -ln(distance in gamma) / lambda_u + a constant near it (lambda_u: the saddle's positive
eigenvalue), so that exp(-lambda_u period) falls to zero there. Then the same question is put to forward Euler
steps, by bisection of the side on which the unstable branch passes the saddle: at which step would the orbit
be where the text has it? Writes fig07_homoclinic.h5, .png and .json.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write
from saddle_loop import (
    LAST_DIGIT,
    OFFSETS,
    SAMPLES,
    TEXT,
    TOLERANCE,
    branch,
    cell,
    euler_returns,
    followed,
    gap,
    saddle,
)

import gru_sweep as gs

NAME = "fig07_homoclinic"
BRACKET = (0.0538, 0.0542)
"""gamma between which the gap changes sign."""
MARGIN = 10.0
"""The error stated is so many times what the nearer start changes."""
ROUNDING = 1e-13
"""Smallest error stated: gaps are differences of numbers near 0.1 along paths of a hundred steps."""
PERIODS = (0.0535, 0.054)
"""The first two gammas of the second method."""
FULL, QUICK = (0.02, 0.05, 0.1, 0.15, 0.2), (0.05, 0.2)
"""Steps of Euler's method."""
EULER = (0.0535, 0.0543)
"""gamma between which they are asked."""
HALVINGS = 30
"""Bisections: of 0.0008 in gamma to 1e-12."""
GAMMAS = np.linspace(0.0535, 0.0545, 9)
"""Where the gap is drawn."""
UNSTABLE, STABLE = "#D55E00", "#0072B2"


def secant(function: Callable[[float], float], a: float, b: float) -> float:
    """A zero of `function`, by secants until they stop gaining."""
    fa, fb = function(a), function(b)
    while fb not in (0.0, fa):
        c = b - fb * (b - a) / (fb - fa)
        fc = function(c)
        if abs(fc) >= abs(fb):
            break
        a, fa, b, fb = b, fb, c, fc
    return b


def by_the_gap() -> dict:
    """gamma of the homoclinic orbit, and its error."""
    far, near = (secant(lambda g, o=o: gap(g, o), *BRACKET) for o in OFFSETS)
    return {"gamma": near, "error": max(MARGIN * abs(near - far), ROUNDING), "gap_left": gap(near)}


def cycle(gamma: float) -> tuple[float, np.ndarray]:
    """Period and states (n, 2) of the one stable cycle; NaN and none where the program knows of no such."""
    portrait = gs.phase_portrait(cell(gamma))
    if portrait.status != gs.Status.OK or portrait.n_stable_cycles != 1:
        return math.nan, np.empty((0, 2))
    (period,) = portrait.cycle_period[portrait.cycle_stable == 1].tolist()
    (point,) = portrait.cycle_point[portrait.cycle_stable == 1]
    return period, np.asarray(followed(cell(gamma), point, np.linspace(0.0, period, SAMPLES)))


def by_the_period() -> dict:
    """The same from periods, and all that were asked.

    exp(-lambda_u period) is extended to zero by a line through its last two values; the next gamma lies half
    way there, until the portrait is called unresolved. The error: twice the last change of the line's zero.
    """
    gammas: list[float] = []
    periods: list[float] = []
    values: list[float] = []
    zeros: list[float] = []
    gamma = PERIODS[0]
    while math.isfinite(period := cycle(gamma)[0]):
        gammas.append(gamma)
        periods.append(period)
        values.append(math.exp(-saddle(gamma).values[0] * period))
        if len(gammas) > 1:
            zeros.append(gamma - values[-1] * (gammas[-1] - gammas[-2]) / (values[-1] - values[-2]))
        gamma = (gamma + zeros[-1]) / 2 if zeros else PERIODS[1]
    error = 2.0 * abs(zeros[-1] - zeros[-2])
    return {"gamma": zeros[-1], "error": error, "gammas": gammas, "periods": periods}


def last_where(condition: Callable[[float], bool], low: float, high: float) -> float:
    """The value up to which `condition` holds, by bisection."""
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if condition(middle) else (low, middle)
    return 0.5 * (low + high)


def compute(steps: tuple[float, ...]) -> tuple[xr.Dataset, dict]:
    """The orbit, the gap over gamma, and the verdict."""
    by_gap, by_period = by_the_gap(), by_the_period()
    at = by_gap["gamma"]
    frame = saddle(at)
    out, back = (branch(at, which, OFFSETS[-1])[0] for which in (0, 1))
    euler = [last_where(lambda g, dt=dt: euler_returns(g, dt), *EULER) for dt in steps]
    period, loop = cycle(TEXT)
    apart = float(np.linalg.norm(loop - saddle(TEXT).point, axis=1).min())
    found = {
        "claim": "a homoclinic orbit at gamma = 0.054085",
        "claimed": TEXT,
        "last_digit": LAST_DIGIT,
        "by_the_gap": by_gap,
        "by_the_period": by_period,
        "claimed_less_found": TEXT - at,
        "at_the_gamma_of_the_text": {"gap": gap(TEXT), "period": period, "distance_from_the_saddle": apart},
        "saddle": {"h": frame.point.tolist(), "eigenvalues": list(frame.values)},
        "euler": {
            "steps": list(steps),
            "gammas": euler,
            "step_that_gives_the_text": last_where(lambda dt: euler_returns(TEXT, dt), 0.0, max(steps)),
        },
    }
    orbit = np.vstack([out, back[::-1]])
    ds = xr.Dataset(
        {
            "orbit": (("place", "unit"), orbit, {"long_name": "states along the homoclinic orbit"}),
            "gap": ("gamma", [gap(g) for g in GAMMAS], {"long_name": "signed gap of the two branches"}),
            "euler_gamma": ("dt", euler, {"long_name": "gamma of the homoclinic orbit of Euler's method"}),
            "period": ("at", by_period["periods"], {"units": "time", "long_name": "period of the cycle"}),
        },
        coords={
            "gamma": GAMMAS,
            "dt": ("dt", list(steps), {"units": "time", "long_name": "step"}),
            "at": ("at", by_period["gammas"], {"long_name": "gamma of each period"}),
        },
        attrs={
            "title": "the homoclinic orbit of two gated units (Jordan, Sokol & Park 2021, Fig 7)",
            "equation": gs.FAMILIES["homoclinic"].equation,
            "gamma_homoclinic": at,
            "gamma_homoclinic_error": by_gap["error"],
            "tolerance": TOLERANCE,
        },
    )
    return ds, found


def report(found: dict) -> str:
    """The findings as text."""
    one, two, there = found["by_the_gap"], found["by_the_period"], found["at_the_gamma_of_the_text"]
    euler = zip(found["euler"]["steps"], found["euler"]["gammas"], strict=True)
    return "\n".join(
        [
            f"homoclinic orbit by the gap at gamma = {one['gamma']:.15f}, error {one['error']:.1e}",
            f"              by the period at gamma = {two['gamma']:.15f}, error {two['error']:.1e}",
            f"the text has {found['claimed']}: off by {found['claimed_less_found']:.3e}; there: a cycle "
            f"of period {there['period']:.4f}, {there['distance_from_the_saddle']:.4f} from the saddle",
            *(f"Euler's method, step {dt:g}: gamma = {gamma:.9f}" for dt, gamma in euler),
            f"it has the gamma of the text at step {found['euler']['step_that_gives_the_text']:.6f}",
        ]
    )


def draw(ds: xr.Dataset, found: dict, path: Path) -> None:
    figure = Figure(figsize=(13.6, 4.9), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    at = ds.gamma_homoclinic
    _portrait(left, ds, at)
    _gap(middle, ds, found)
    dt = ds.dt.values
    right.plot(dt, ds.euler_gamma, "o-", color="black", label="Euler's method")
    right.axhline(at, color=UNSTABLE, linestyle="--", label="the flow")
    right.axhline(TEXT, color=STABLE, linestyle=":", label=f"the text, {TEXT:g}")
    step = found["euler"]["step_that_gives_the_text"]
    right.plot([step], [TEXT], "D", color=STABLE, markersize=8, label=f"step {step:.4f}")
    right.set(
        xlabel="step of the integration (time)", ylabel=r"$\gamma$ of the homoclinic orbit", xlim=(0, None)
    )
    right.ticklabel_format(useOffset=False)
    right.legend(fontsize="small")
    right.set_title("C: the step of an Euler integration shifts it", fontsize="medium")
    figure.savefig(path, dpi=150)


def _portrait(axes: Axes, ds: xr.Dataset, at: float) -> None:
    portrait = gs.phase_portrait(cell(at))
    options = {"legend": False, "colorbar": False, "separatrices": False, "trajectories": False}
    gs.plot.portrait(portrait, ax=axes, title="", **options)
    axes.plot(*ds.orbit.values.T, color="black", linewidth=2.2)
    axes.set_title(rf"A: homoclinic orbit at $\gamma$ = {at:.12f}", fontsize="medium")


def _gap(axes: Axes, ds: xr.Dataset, found: dict) -> None:
    axes.plot(ds.gamma, 1e3 * ds.gap, "o-", color="black", markersize=4)
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    axes.axvline(ds.gamma_homoclinic, color=UNSTABLE, linestyle="--", label="zero of the gap")
    axes.axvline(TEXT, color=STABLE, linestyle=":", label=f"the text, {TEXT:g}")
    axes.set(xlabel=r"$\gamma$", ylabel=r"gap of the two branches ($10^{-3}$)")
    axes.legend(fontsize="small", loc="upper left")
    off = found["claimed_less_found"]
    axes.set_title(f"B: the text is off by {off:.1e}", fontsize="medium")


def main() -> None:
    given = arguments(__doc__, "fewer steps of Euler's method")
    ds, found = compute(QUICK if given.quick else FULL)
    write(given.out_dir, NAME, ds, found, lambda path: draw(ds, found, path))
    print(report(found))


if __name__ == "__main__":
    main()
