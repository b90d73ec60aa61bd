r"""Do inputs push a stable gated network into chaos?

    python experiments/gating_inputs.py [--quick] [--out-dir results]

Networks whose zero state is stable get constant random input, I_h = S sig_z N(0, 1) for each unit, or white
noise of intensity S^2 on h: the gated RNN of Krishnamurthy, Can & Schwab (2022) with alpha_z = 0 (sig_z is
1/2) and tau_r = 1; the discrete GRU (a_h for g, a_r for alpha_r, b_h = g S N(0, 1)). Largest conditional
exponents against S, from near zero and from unit activity, for reset gates strong enough for a discontinuous
onset (between the theory's `g_chaos` and 2, below `g_chaos`, below the least gain with fixed points) and
without (control). Beside it, the S at which the mean field of fixed points (`gru_sweep.gating.driven`) loses
its rest. Noise is additive, so Ito's and Stratonovich's equations are the same. Prints a table; writes
gating_inputs.h5, .png and .json.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

from gru_sweep.gating import critical_gains
from gru_sweep.gating.driven import Drive, driven_exponents, static_onset
from gru_sweep.gating.trajectories import networks
from gru_sweep.systems import ensembles

NAME = "gating_inputs"
POINTS = ((1.9, 10.0), (1.7, 20.0), (1.5, 30.0), (1.9, 0.0))
"""g and alpha_r."""
CASES = (("gated-rnn", "static"), ("gated-rnn", "white"), ("gru", "static"))
STRENGTHS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
OPEN = 0.5
"""sig_z of the gated RNN."""
STARTS = (0.01, 1.0)
"""Root mean square of h at the start, over that of an ensemble's own."""
SURE = 3.0
"""Standard errors between networks by which a mean exponent has to differ from 0; with four networks, a
chance of 6 % for either sign together."""
JUMP, FAINT = 0.5, 0.02
"""Rest and chaos coexist in a network that rests from near zero if its exponent from unit activity is above
JUMP times its largest over all S, and above FAINT: single exponents are known to a third of that."""
MOST = 0.5
"""Share of networks with coexistence at some S from which on the onset is called discontinuous: networks this
small differ in the gain at which zero loses stability by as much as the range of coexistence is wide."""


@dataclasses.dataclass(frozen=True)
class Effort:
    units: int
    networks: int
    large_units: int
    """For one point once more."""
    large_networks: int
    transient: float
    time: float


FULL = Effort(units=500, networks=4, large_units=1000, large_networks=2, transient=120.0, time=200.0)
QUICK = Effort(units=32, networks=2, large_units=64, large_networks=0, transient=5.0, time=16.0)
LARGE_STRENGTHS = (0.0, 0.02, 0.1)


def simulate(
    case: tuple[str, str],
    points: tuple[tuple[float, float], ...],
    strengths: tuple[float, ...],
    units: int,
    number: int,
    effort: Effort,
) -> tuple[np.ndarray, np.ndarray]:
    """Exponents and <h^2> of one network, (point, start, strength)."""
    family, kind = case
    ensemble = ensembles.named(family)
    gain, reset = ("g", "alpha_r") if family == "gated-rnn" else ("a_h", "a_r")
    shape = len(points), len(STARTS), len(strengths)
    point, start, strength = (index.ravel() for index in np.indices(shape))
    values, S = np.array(points)[point], np.array(strengths)[strength]
    nets = networks(
        ensemble,
        ensemble.draw(units, 0, number),
        np.array(STARTS)[start, None] * ensemble.start(units, 0, number),
        {gain: values[:, 0], reset: values[:, 1]},
    )
    if kind == "white":
        drive = Drive(noise=jnp.asarray(S, jnp.float32))
    else:
        # the same direction for both families and all strengths
        direction = np.random.default_rng([1, number]).normal(size=units)
        inputs = np.zeros((len(S), 3 * units), np.float32)
        inputs[:, :units] = (S * (values[:, 0] if family == "gru" else OPEN))[:, None] * direction
        drive = Drive(inputs=jnp.asarray(inputs))
    found = driven_exponents(nets, drive, transient=effort.transient, time=effort.time, seed=number)
    return tuple(np.asarray(x, float).reshape(shape) for x in (found.largest_exponent, found.activity))


def word(values: np.ndarray) -> str:
    """chaotic, stable or undecided, by exponents of several networks."""
    mean, error = summary(values)
    if not np.isfinite(mean + error):
        return "undecided"
    return "chaotic" if mean > SURE * error else "stable" if mean < -SURE * error else "undecided"


def summary(values: np.ndarray) -> tuple[float, float]:
    """The mean over networks and its standard error."""
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(np.mean(values)), float(error)


def judged(exponents: np.ndarray, point: tuple[float, float], kind: str) -> dict[str, Any]:
    """One point under one kind of input, from (start, strength, network)."""
    rows = [
        {
            "start": STARTS[i],
            "strength": S,
            "exponent": summary(exponents[i, k])[0],
            "standard_error": summary(exponents[i, k])[1],
            "verdict": word(exponents[i, k]),
        }
        for i in range(len(STARTS))
        for k, S in enumerate(STRENGTHS)
    ]
    quiet = [row for row in rows if row["start"] == STARTS[0]]
    chaotic = [row for row in quiet if row["verdict"] == "chaotic"]
    first, best = (chaotic[0] if chaotic else None), max(quiet, key=lambda row: row["exponent"])
    stable_before = quiet[0]["verdict"] == "stable"
    end = [r["strength"] for r in quiet if first and r["strength"] > first["strength"]]
    back = next((S for S in end if _at(quiet, S) == "stable"), None)
    coexist = (exponents[0] < 0.0) & (exponents[1] > np.maximum(JUMP * exponents[0].max(0), FAINT))
    discontinuous = coexist.any(0).mean() >= MOST
    onset = static_onset(*point) if kind == "static" else None
    return {
        "g": point[0],
        "alpha_r": point[1],
        "rows": rows,
        "input_makes_chaos": bool(stable_before and first),
        "first_chaotic_strength": first and first["strength"],
        "exponent_there": first and first["exponent"],
        "onset": None if not first else "discontinuous" if discontinuous else "continuous",
        "networks_with_rest_and_chaos": f"{coexist.any(0).sum()} of {coexist.shape[1]}",
        "largest_exponent": {key: best[key] for key in ("strength", "exponent", "standard_error")},
        "stable_again_from": back,
        "strengths_with_rest_and_chaos": [S for S, some in zip(STRENGTHS, coexist.any(1)) if some],
        "theory": onset and {k: v and v / point[0] for k, v in dataclasses.asdict(onset).items()},
    }


def _at(rows: list[dict[str, Any]], S: float) -> str:
    return next(row["verdict"] for row in rows if row["strength"] == S)


def compute(effort: Effort) -> xr.Dataset:
    runs = [
        [simulate(case, POINTS, STRENGTHS, effort.units, k, effort) for k in range(effort.networks)]
        for case in CASES
    ]
    exponent, activity = (np.array([[net[i] for net in case] for case in runs]) for i in (0, 1))
    dims = ("case", "network", "point", "start", "strength")
    large = np.empty((2, effort.large_networks, 1, len(STARTS), len(LARGE_STRENGTHS)))
    for c, k in np.ndindex(large.shape[:2]):
        large[c, k] = simulate(CASES[c], POINTS[:1], LARGE_STRENGTHS, effort.large_units, k, effort)[0]
    return xr.Dataset(
        {
            "exponent": (dims, exponent, {"units": "1/time", "long_name": "largest conditional exponent"}),
            "activity": (dims, activity, {"long_name": "mean square of h over units and time"}),
            "large_exponent": (
                ("large_case", "large_network", "large_point", "start", "large_strength"),
                large,
                {"units": "1/time"},
            ),
        },
        coords={
            "case": [" ".join(case) for case in CASES],
            "g": ("point", [p[0] for p in POINTS]),
            "alpha_r": ("point", [p[1] for p in POINTS]),
            "start": list(STARTS),
            "strength": list(STRENGTHS),
            "large_strength": list(LARGE_STRENGTHS),
        },
    )


def judge(data: xr.Dataset, effort: Effort) -> dict[str, Any]:
    exponent, large = data.exponent.values, data.large_exponent.values
    verdicts = {
        " ".join(case): [
            judged(np.moveaxis(exponent[i, :, k], 0, -1), point, case[1]) for k, point in enumerate(POINTS)
        ]
        for i, case in enumerate(CASES)
    }
    strong = [v for rows in verdicts.values() for v in rows if v["alpha_r"] > 0.0]
    control = [v for rows in verdicts.values() for v in rows if v["alpha_r"] == 0.0]
    return {
        "effort": dataclasses.asdict(effort),
        "critical_gains": [critical_gains(a).to_dict() for a in sorted({p[1] for p in POINTS})],
        "inputs": verdicts,
        "large": [
            {
                "case": " ".join(case),
                "units": effort.large_units,
                "g": POINTS[0][0],
                "alpha_r": POINTS[0][1],
                "start": start,
                "strength": S,
                "exponents": large[c, :, 0, i, k].tolist(),
            }
            for c, case in enumerate(CASES[:2])
            for i, start in enumerate(STARTS)
            for k, S in enumerate(LARGE_STRENGTHS)
        ],
        "inputs_push_stable_networks_into_chaos": f"{sum(v['input_makes_chaos'] for v in strong)} of "
        f"{len(strong)} with reset gates, {sum(v['input_makes_chaos'] for v in control)} of "
        f"{len(control)} without",
        "discontinuous_onsets": f"{sum(v['onset'] == 'discontinuous' for v in strong)} of "
        f"{sum(v['onset'] is not None for v in strong)}",
    }


def picture(data: xr.Dataset, verdict: dict[str, Any], path: Path) -> None:
    """Exponents against strength: full lines from near zero, dashed from unit activity; triangles: theory."""
    figure = Figure(figsize=(12.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for i, axes in enumerate(figure.subplots(1, len(CASES), sharey=True)):
        found = data.exponent[i]
        axes.axhline(0.0, color="0.6", linewidth=0.8)
        for k in range(data.sizes["point"]):
            name = f"g = {float(data.g[k]):g}, α_r = {float(data.alpha_r[k]):g}"
            for s, style in enumerate(("o-", "s--")):
                values = found[:, k, s]
                error = values.std("network", ddof=1) / np.sqrt(max(values.sizes["network"], 1))
                axes.errorbar(
                    *(data.strength, values.mean("network"), error, None, f"C{k}{style}"),
                    markersize=3,
                    capsize=2,
                    label=name if s == 0 else None,
                )
            theory = verdict["inputs"][str(data.case[i].item())][k]["theory"]
            if theory and theory["unstable"]:
                axes.plot(theory["unstable"], 0.0, f"C{k}v", markersize=8)
        axes.set_xscale("symlog", linthresh=0.005)
        axes.set_xticks([0.0, 0.01, 0.1, 1.0])
        axes.set(xlabel="S", title=str(data.case[i].item()))
    figure.axes[0].set_ylabel("largest exponent")
    figure.axes[0].legend(fontsize="x-small")
    figure.savefig(path, dpi=130)


def main() -> None:
    given = arguments(__doc__, quick="few units, two networks, short runs")
    effort = QUICK if given.quick else FULL
    data = compute(effort)
    verdict = judge(data, effort)
    for case, rows in verdict["inputs"].items():
        for v in rows:
            print(f"{case}, g {v['g']:g}, alpha_r {v['alpha_r']:g}:")
            for row in v["rows"]:
                print(
                    f"  start {row['start']:g}, S {row['strength']:g}: {row['exponent']:+.4f} +- "
                    f"{row['standard_error']:.4f} {row['verdict']}"
                )
            print(
                f"  chaos by input: {v['input_makes_chaos']}, from S {v['first_chaotic_strength']} on "
                f"({v['onset']}), stable again from {v['stable_again_from']}; rest and chaos in "
                f"{v['networks_with_rest_and_chaos']} networks; theory {v['theory']}"
            )
    for row in verdict["large"]:
        print(
            f"{row['case']}, N {row['units']}, start {row['start']:g}, S {row['strength']:g}: "
            f"{[f'{x:+.4f}' for x in row['exponents']]}"
        )
    print("inputs push stable networks into chaos:", verdict["inputs_push_stable_networks_into_chaos"])
    print("discontinuous onsets:", verdict["discontinuous_onsets"])
    write(given.out_dir, NAME, data, verdict, lambda path: picture(data, verdict, path))


if __name__ == "__main__":
    main()
