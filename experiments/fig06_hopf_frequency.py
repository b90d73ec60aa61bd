"""Fig 6 of Jordan, Sokol & Park (2021): the frequency of two gated units, and what the reset bias does to it.

    python experiments/fig06_hopf_frequency.py [--quick] [--out-dir results]

6A: frequency of the stable cycle of Eq 8 over alpha and beta at s = 0. 6B: its mean and variance over the
region of that plane where there is a cycle, against s. The text says that "increasing s slows down the
average frequency, while simultaneously reducing variance", and prints the sigmoid as 1 / (1 + e^z); the usual
one is 1 / (1 + e^-z). Under the printed sign s acts as -s does under the usual one, so one sweep over s in
[-4, 4] answers for both. Prints which sign agrees with the claim; writes fig06_hopf_frequency.h5, .png and
.json.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import gru_sweep as gs
from gru_sweep.cli import use_compilation_cache

ROOT = Path(__file__).resolve().parent.parent
NAME = "fig06_hopf_frequency"
ALPHA, BETA = (0.0, math.pi), (1.0, 3.0)
S_MAX = 4.0
FULL, QUICK = (96, 33), (24, 9)
"""Values along alpha and beta, and along s."""
SHOWN = (-2.0, 4.0)
"""The range of s that is drawn and judged, under either sign."""
ENOUGH = 100
"""Grid points with a cycle, in the full grid, below which mean and variance say little."""
SIGNS = {"1 / (1 + e^-z), the usual sign": 1.0, "1 / (1 + e^z), as printed": -1.0}


def statistics(ds: xr.Dataset, sign: float, enough: float) -> dict[str, list]:
    """Mean and variance of the frequency over the cycle region against s, under 1 / (1 + e^(-sign z))."""
    rows: dict[str, list] = {"s": [], "points": [], "mean": [], "variance": []}
    for s in ds.s.values:
        if not SHOWN[0] <= s <= SHOWN[1]:
            continue
        frequency = ds.frequency.sel(s=sign * s, method="nearest").values
        frequency = frequency[np.isfinite(frequency)]
        known = frequency.size >= enough
        rows["s"].append(float(s))
        rows["points"].append(int(frequency.size))
        rows["mean"].append(float(frequency.mean()) if known else None)
        rows["variance"].append(float(frequency.var()) if known else None)
    return rows


def trend(rows: dict[str, list], name: str) -> float:
    """Spearman's rank correlation of a column with s: 1 always rises, -1 always falls."""
    known = np.array([value for value in rows[name] if value is not None])
    return float(np.corrcoef(np.argsort(np.argsort(known)), np.arange(known.size))[0, 1])


def judge(ds: xr.Dataset, enough: float) -> dict:
    """Under either sign: the columns of 6B, their trends, and whether both agree with the claim."""
    signs = {}
    for name, sign in SIGNS.items():
        rows = statistics(ds, sign, enough)
        slower, steadier = trend(rows, "mean"), trend(rows, "variance")
        signs[name] = {
            "trend_of_mean": slower,
            "trend_of_variance": steadier,
            "agrees": slower < -0.9 and steadier < -0.9,
            **rows,
        }
    agreeing = [name for name, found in signs.items() if found["agrees"]]
    return {
        "claim": "increasing s slows down the average frequency, while simultaneously reducing variance",
        "verdict": agreeing[0] if len(agreeing) == 1 else "both" if agreeing else "neither",
        "signs": signs,
        "grid": dict(ds.sizes.items()),
        "cycles_at_least": enough,
        "points_not_ok": int((ds.status != gs.Status.OK).sum()),
    }


def table(verdict: dict) -> str:
    """The verdict as text."""
    lines = [f"{'sigma(z)':<34}{'trend of mean':>14}{'of variance':>13}{'agrees':>8}"]
    for name, found in verdict["signs"].items():
        trends = f"{found['trend_of_mean']:>14.3f}{found['trend_of_variance']:>13.3f}"
        lines.append(f"{name:<34}{trends}{'yes' if found['agrees'] else 'no':>8}")
    lines += ["", f"{'s':>6}" + "".join(f"{'mean':>12}{'variance':>13}{'points':>8}" for _ in SIGNS)]
    usual, printed = verdict["signs"].values()
    for i, s in enumerate(usual["s"]):
        cells = ""
        for rows in (usual, printed):
            mean, variance = rows["mean"][i], rows["variance"][i]
            cells += f"{'-':>12}{'-':>13}" if mean is None else f"{mean:>12.6f}{variance:>13.3e}"
            cells += f"{rows['points'][i]:>8}"
        lines.append(f"{s:>6.2f}{cells}")
    return "\n".join([*lines, "", f"'{verdict['claim']}': {verdict['verdict']}"])


def draw(ds: xr.Dataset, verdict: dict, path: Path) -> None:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, *right = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    gs.plot.heatmap(ds.sel(s=0.0, method="nearest"), ax=left)
    left.set_title("A: $s = 0$", fontsize="medium")
    for panel, (name, found) in zip(right, verdict["signs"].items()):
        mean, variance = (np.array(found[key], dtype=float) for key in ("mean", "variance"))
        panel.plot(found["s"], mean, "o-", color="C0", markersize=3)
        panel.set(xlabel="$s$", xlim=SHOWN, ylim=(0, None))
        panel.set_ylabel("mean frequency (1/time)", color="C0")
        twin = panel.twinx()
        twin.plot(found["s"], variance, "s--", color="C1", markersize=3)
        twin.set(ylim=(0, None))
        twin.set_ylabel("variance (1/time$^2$)", color="C1")
        panel.set_title(f"B: $\\sigma$ = {name}", fontsize="medium")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a coarse grid")
    parser.add_argument("--out-dir", type=Path, default=ROOT / "results")
    options = parser.parse_args()
    use_compilation_cache()
    options.out_dir.mkdir(parents=True, exist_ok=True)
    side, values = QUICK if options.quick else FULL
    file = options.out_dir / f"{NAME}.h5"
    swept = {"alpha": (*ALPHA, side), "beta": (*BETA, side), "s": (-S_MAX, S_MAX, values)}
    with gs.sweep("hopf", **swept, out=file, overwrite=True) as opened:
        ds = opened[["frequency", "status", "topology"]].load()
    verdict = judge(ds, ENOUGH * (side / FULL[0]) ** 2)
    draw(ds, verdict, options.out_dir / f"{NAME}.png")
    (options.out_dir / f"{NAME}.json").write_text(json.dumps(verdict, indent=1) + "\n")
    print(table(verdict))


if __name__ == "__main__":
    main()
