"""The random gated RNN against its mean field: chaos simulated, and where it appears.

    python experiments/gating_theory.py [--quick] [--out-dir results]

dh/dt = sig_z (-h + J^h (tanh(g h + b_h) o sig(alpha_r r - beta_r))), tau_r dr/dt = -r + J^r tanh(g h + b_h):
the network of Krishnamurthy, Can & Schwab (2022) with alpha_z = 0, so that sig_z = 1/2. Networks are
simulated where the theory has chaos, for tau_r to 0 and for reset gates as slow as units and slower, with and
without biases, and their correlations in time are compared with it. At one alpha_r beyond the tricritical
point, gains are scanned across the onset: chaos appears with finite activity while zero is stable. Prints a
table; writes gating_theory.h5, .png and .json.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

from gru_sweep.gating import chaotic_states, critical_gains, dmft
from gru_sweep.gating.correlations import stationary_state
from gru_sweep.systems import ensembles

NAME = "gating_theory"
COORDINATES = ("g", "alpha_r", "tau_r", "b_h", "beta_r")
POINTS = (
    (5.0, 0.0, 0.0, 0.0, 0.0),
    (2.5, 5.0, 0.0, 0.0, 0.0),
    (2.5, 10.0, 0.0, 0.0, 0.0),
    (2.5, 5.0, 1.0, 0.0, 0.0),
    (2.5, 10.0, 1.0, 0.0, 0.0),
    (2.5, 10.0, 8.0, 0.0, 0.0),
    (4.0, 10.0, 1.0, 0.0, 1.0),
    (3.0, 5.0, 1.0, 0.3, 0.5),
)
"""COORDINATES at which correlations are compared."""
ALPHA_R = 10.0
"""alpha_r at which the onset is scanned, for tau_r to 0."""
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


FULL = Effort(units=1000, networks=10, settle=150.0, record=500.0)
QUICK = Effort(units=256, networks=1, settle=40.0, record=100.0)


def simulate(effort: Effort, number: int) -> np.ndarray:
    """States (times, units, points) of one network, started with unit activity, at POINTS and then GAINS.

    In float32: the statistics of chaos do not know its rounding.
    """
    ensemble = ensembles.named("gated-rnn")
    drawn = ensemble.draw(effort.units, 0, number)
    own, reset = (jnp.asarray(drawn[k], jnp.float32) for k in "hr")
    start = jnp.asarray(ensemble.start(effort.units, 0, number)[: effort.units], jnp.float32)
    scan = [(g, ALPHA_R, 0.0, 0.0, 0.0) for g in GAINS]
    g, alpha_r, tau_r, b_h, beta_r = jnp.asarray([*POINTS, *scan], jnp.float32).T
    slow = tau_r > 0.0

    def rate(h, r):
        phi = jnp.tanh(g * h + b_h)
        drive = reset @ phi
        gate = jax.nn.sigmoid(alpha_r * jnp.where(slow, r, drive) - beta_r)
        return 0.5 * (own @ (phi * gate) - h), jnp.where(slow, (drive - r) / jnp.where(slow, tau_r, 1.0), 0.0)

    def step(_, state):
        h, r = state
        dh, dr = rate(h, r)
        dh2, dr2 = rate(h + STEP * dh, r + STEP * dr)
        return h + 0.5 * STEP * (dh + dh2), r + 0.5 * STEP * (dr + dr2)

    @jax.jit
    def run(state):
        def keep(state, _):
            return jax.lax.fori_loop(0, EVERY, step, state), state[0]

        settled = jax.lax.fori_loop(0, round(effort.settle / STEP), step, state)
        return jax.lax.scan(keep, settled, length=round(effort.record / STEP / EVERY))[1]

    h = jnp.broadcast_to(start[:, None], (effort.units, g.size))
    return np.asarray(run((h, jnp.zeros_like(h))))


def correlation(states: np.ndarray) -> np.ndarray:
    """<h(t) h(t + lag)> over times and units, at LAGS lags."""
    return np.array([(states[: len(states) - k] * states[k:]).mean(dtype=float) for k in range(LAGS)])


def lasting(states: np.ndarray) -> float:
    """<h^2> over units and the second half of the times."""
    return float((states[len(states) // 2 :] ** 2).mean(dtype=float))


def theory(lag: np.ndarray, g: float, alpha_r: float, tau_r: float, b_h: float, beta_r: float) -> np.ndarray:
    """C(lag)."""
    state = stationary_state(g, alpha_r, tau_r=tau_r, b_h=b_h, beta_r=beta_r)
    if not state.resolved:
        raise RuntimeError(f"the theory has not settled at g = {g:g}, alpha_r = {alpha_r:g}")
    return state.correlation(lag)


def compute(effort: Effort) -> tuple[xr.Dataset, dict[str, Any]]:
    """Correlations at POINTS and the activity across the onset, simulated and by theory."""
    lag = np.arange(LAGS) * EVERY * STEP
    found = []
    for number in range(effort.networks):
        states = simulate(effort, number)
        first, rest = states[:, :, : len(POINTS)], states[:, :, len(POINTS) :]
        found.append(
            (
                [correlation(first[:, :, k]) for k in range(len(POINTS))],
                [lasting(x) for x in rest.T.swapaxes(1, 2)],
            )
        )
    simulated, activity = (np.swapaxes(np.array(parts), 0, 1) for parts in zip(*found))
    expected = np.array([theory(lag, *p) for p in POINTS])
    states = [chaotic_states(g, ALPHA_R) for g in GAINS]
    data = xr.Dataset(
        {
            "simulated": (("point", "network", "lag"), simulated),
            "theory": (("point", "lag"), expected),
            "activity": (("gain", "network"), activity),
            "activity_theory": ("gain", np.array([s[-1].variance if s else 0.0 for s in states])),
        },
        coords={
            **{name: ("point", np.array(values)) for name, values in zip(COORDINATES, zip(*POINTS))},
            "lag": ("lag", lag, {"units": "time"}),
            "gain": ("gain", np.array(GAINS)),
        },
    )
    mean, error = simulated[:, :, 0].mean(1), simulated[:, :, 0].std(1) / np.sqrt(max(effort.networks - 1, 1))
    verdict = {
        "effort": dataclasses.asdict(effort),
        "correlations": [
            {
                **dict(zip(COORDINATES, point)),
                "theory": float(expected[k, 0]),
                "simulated": float(mean[k]),
                "standard_error": float(error[k]) if effort.networks > 1 else None,
                "relative_difference": float(mean[k] / expected[k, 0] - 1.0),
                "largest_difference_of_normalised": float(
                    np.abs(simulated[k].mean(0) / mean[k] - expected[k] / expected[k, 0]).max()
                ),
            }
            for k, point in enumerate(POINTS)
        ],
        "largest_relative_difference": float(np.abs(mean / expected[:, 0] - 1.0).max()),
        "onset": {
            **critical_gains(ALPHA_R).to_dict(),
            "scan": [
                {"g": g, "activity": activity[k].tolist(), "theory": [s.variance for s in states[k]]}
                for k, g in enumerate(GAINS)
            ],
        },
    }
    return data, verdict


def _name(data: xr.Dataset, k: int) -> str:
    """g, alpha_r and tau_r of a point, and the biases that it has."""
    signs = dict(zip(COORDINATES, ("g", "α_r", "τ_r", "b_h", "β_r")))
    values = {name: float(data[name][k]) for name in COORDINATES}
    return ", ".join(f"{signs[name]} = {v:g}" for name, v in values.items() if v or name in COORDINATES[:3])


def picture(data: xr.Dataset, onset: float, path: Path) -> None:
    """Correlations on the left, the onset on the right; circles simulated, lines theory, dashed unstable."""
    figure = Figure(figsize=(10.0, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for k in range(data.sizes["point"]):
        (line,) = left.plot(data.lag, data.theory[k], label=_name(data, k))
        left.plot(data.lag, data.simulated[k].mean("network"), "o", color=line.get_color(), markersize=3)
    left.set(xlabel="τ", ylabel="C(τ)")
    left.legend(fontsize="x-small")
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
        error = math.nan if row["standard_error"] is None else row["standard_error"]
        print(
            ", ".join(f"{name} {row[name]:g}" for name in COORDINATES)
            + f": C(0) {row['simulated']:.5f} +- {error:.5f} simulated, "
            f"{row['theory']:.5f} by theory ({row['relative_difference']:+.1%}); C(tau)/C(0) differs by "
            f"{row['largest_difference_of_normalised']:.3f} at most"
        )
    print(f"alpha_r {ALPHA_R:g}: chaos from g = {verdict['onset']['g_chaos']:.6f} on")
    for row in verdict["onset"]["scan"]:
        print(f"g {row['g']:g}: <h^2> {[f'{x:.2g}' for x in row['activity']]}, theory {row['theory']}")
    write(given.out_dir, NAME, data, verdict, lambda path: picture(data, verdict["onset"]["g_chaos"], path))


if __name__ == "__main__":
    main()
