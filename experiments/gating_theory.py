"""The random gated RNN against its mean field: chaos simulated, and where it appears.

    python experiments/gating_theory.py [--quick] [--out-dir results]

dh/dt = sig_z (-h + J^h (tanh(g h) o sig(alpha_r r))), r = J^r tanh(g h), sig_z = 1/2: the network of
Krishnamurthy, Can & Schwab (2022) without biases, with alpha_z = 0 and tau_r to 0. Networks are simulated at
gains where the theory has chaos, and their correlation in time is compared with it. At one alpha_r beyond
the tricritical point, gains are scanned across the onset: chaos appears with finite activity while zero is
stable. Prints a table; writes gating_theory.h5, .png and .json.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

from gru_sweep.gating import chaotic_states, critical_gains, dmft

NAME = "gating_theory"
POINTS = ((5.0, 0.0), (2.5, 5.0), (2.5, 10.0))
"""(g, alpha_r) at which correlations are compared."""
ALPHA_R = 10.0
"""alpha_r at which the onset is scanned."""
GAINS = (1.7, 1.8, 1.84, 1.88, 1.92, 2.0, 2.1)
"""Below and above the onset there, 1.859 by theory."""
STEP = 0.1
"""Of Heun's scheme, in units of time: correlations decay in 4 and more."""
EVERY = 5
"""Steps between two states that are kept."""
LAGS = 60
"""Lags of the correlation, EVERY * STEP apart."""


@dataclasses.dataclass(frozen=True)
class Effort:
    units: int
    networks: int
    settle: float
    """Time before anything is recorded."""
    record: float


FULL = Effort(units=500, networks=6, settle=100.0, record=400.0)
QUICK = Effort(units=256, networks=1, settle=40.0, record=100.0)


def simulate(g: float, alpha_r: float, effort: Effort, seed: int) -> np.ndarray:
    """States (times, units) of one network that starts from unit activity."""
    rng = np.random.default_rng(seed)
    n = effort.units
    own, reset = rng.normal(size=(2, n, n)) / np.sqrt(n)
    h = rng.normal(size=n)

    def rate(h: np.ndarray) -> np.ndarray:
        phi = np.tanh(g * h)
        return 0.5 * (own @ (phi * 0.5 * (1.0 + np.tanh(0.5 * alpha_r * (reset @ phi)))) - h)

    kept = []
    settle, total = (round(time / STEP) for time in (effort.settle, effort.settle + effort.record))
    for k in range(total):
        first = rate(h)
        h = h + 0.5 * STEP * (first + rate(h + STEP * first))
        if k >= settle and k % EVERY == 0:
            kept.append(h)
    return np.array(kept)


def correlation(states: np.ndarray) -> np.ndarray:
    """<h(t) h(t + lag)> over times and units, at LAGS lags."""
    return np.array([(states[: len(states) - k] * states[k:]).mean() for k in range(LAGS)])


def lasting(states: np.ndarray) -> float:
    """<h^2> over units and the second half of the times."""
    return float((states[len(states) // 2 :] ** 2).mean())


def compute(effort: Effort) -> tuple[xr.Dataset, dict[str, Any]]:
    """Correlations at POINTS and the activity across the onset, simulated and by theory."""
    lag = np.arange(LAGS) * EVERY * STEP
    seeds = range(effort.networks)
    simulated = np.array([[correlation(simulate(*p, effort, k)) for k in seeds] for p in POINTS])
    theory = np.array([chaotic_states(*p)[-1].correlation(lag) for p in POINTS])
    activity = np.array([[lasting(simulate(g, ALPHA_R, effort, k)) for k in seeds] for g in GAINS])
    states = [chaotic_states(g, ALPHA_R) for g in GAINS]
    data = xr.Dataset(
        {
            "simulated": (("point", "network", "lag"), simulated),
            "theory": (("point", "lag"), theory),
            "activity": (("gain", "network"), activity),
            "activity_theory": ("gain", np.array([s[-1].variance if s else 0.0 for s in states])),
        },
        coords={
            "g": ("point", np.array([p[0] for p in POINTS])),
            "alpha_r": ("point", np.array([p[1] for p in POINTS])),
            "lag": ("lag", lag, {"units": "time"}),
            "gain": ("gain", np.array(GAINS)),
        },
    )
    mean, error = simulated[:, :, 0].mean(1), simulated[:, :, 0].std(1) / np.sqrt(max(effort.networks - 1, 1))
    verdict = {
        "effort": dataclasses.asdict(effort),
        "correlations": [
            {
                "g": g,
                "alpha_r": alpha_r,
                "theory": float(theory[k, 0]),
                "simulated": float(mean[k]),
                "standard_error": float(error[k]) if effort.networks > 1 else None,
                "relative_difference": float(mean[k] / theory[k, 0] - 1.0),
                "largest_difference_of_normalised": float(
                    np.abs(simulated[k].mean(0) / mean[k] - theory[k] / theory[k, 0]).max()
                ),
            }
            for k, (g, alpha_r) in enumerate(POINTS)
        ],
        "onset": {
            **critical_gains(ALPHA_R).to_dict(),
            "scan": [
                {"g": g, "activity": activity[k].tolist(), "theory": [s.variance for s in states[k]]}
                for k, g in enumerate(GAINS)
            ],
        },
    }
    return data, verdict


def picture(data: xr.Dataset, onset: float, path: Path) -> None:
    """Correlations on the left, the onset on the right; circles simulated, lines theory, dashed unstable."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for k in range(data.sizes["point"]):
        label = f"g = {float(data.g[k]):g}, α_r = {float(data.alpha_r[k]):g}"
        (line,) = left.plot(data.lag, data.theory[k], label=label)
        left.plot(data.lag, data.simulated[k].mean("network"), "o", color=line.get_color(), markersize=3)
    left.set(xlabel="τ", ylabel="C(τ)")
    left.legend()
    right.axvline(onset, color="0.6", linestyle=":", label="onset by theory")
    right.plot(data.gain, data.activity, "o", color="C0", markersize=4)
    born, top = dmft.fold(ALPHA_R), chaotic_states(float(data.gain.max()), ALPHA_R)[-1].s
    assert born is not None  # ALPHA_R is beyond the tricritical point
    for ends, style in (((0.05 * born, born), "--"), ((born, top), "-")):
        s = np.linspace(*ends, 60)
        gains = np.array([2.0 / np.sqrt(dmft.energy_gain(x, ALPHA_R)[0]) for x in s])
        right.plot(gains, (s / gains) ** 2, "C0" + style)
    right.set(xlabel="g", ylabel="<h²>", title=f"α_r = {ALPHA_R:g}")
    right.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    given = arguments(__doc__, quick="few units, one network, short runs")
    data, verdict = compute(QUICK if given.quick else FULL)
    for row in verdict["correlations"]:
        print(
            f"g {row['g']:g}, alpha_r {row['alpha_r']:g}: C(0) {row['simulated']:.5f} simulated, "
            f"{row['theory']:.5f} by theory ({row['relative_difference']:+.1%}); C(tau)/C(0) differs by "
            f"{row['largest_difference_of_normalised']:.3f} at most"
        )
    print(f"alpha_r {ALPHA_R:g}: chaos from g = {verdict['onset']['g_chaos']:.6f} on")
    for row in verdict["onset"]["scan"]:
        print(f"g {row['g']:g}: <h^2> {[f'{x:.2g}' for x in row['activity']]}, theory {row['theory']}")
    write(given.out_dir, NAME, data, verdict, lambda path: picture(data, verdict["onset"]["g_chaos"], path))


if __name__ == "__main__":
    main()
