r"""Is a gated network in its marginal state an integrator, without fine tuning, that its gates reset?

    python experiments/gating_memory.py [--quick] [--out-dir results]

Random gated RNNs (Krishnamurthy, Can & Schwab 2022) and discrete GRUs (Can, Krishnamurthy & Schwab 2020) with
sharp unbiased update gates settle, get a push p u on h in a random direction u for some time, then nothing.
What is left later is the overlap of the displacement (with the push less without) with that just after it;
and which of several pushes came is told from the state later by the nearest state just after a push, in
trials whose state before was slightly different. Over gains inside and outside of the marginal window of
mean-field theory, 2 < g < `g_marginal_end` for alpha_z to infinity, and over alpha_z. Then: is displacement
proportional to the push and additive, and does a pulse into gates erase it. Prints tables; writes
gating_memory.h5, .png and .json.
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
from pulses import (
    AMPLITUDES,
    ERASERS,
    ERASING,
    FAMILIES,
    LENGTH,
    LENGTHS,
    PUSHES,
    Copies,
    erase,
    integrate,
    remember,
)

from gru_sweep.gating import critical_gains

NAME = "gating_memory"
GAINS = (1.0, 2.25, 3.0, 4.0, 5.0, 6.0, 9.0, 14.0)
SHARP = 50.0
CONDITIONS = (
    *((g, SHARP, 0.0) for g in GAINS),
    *((3.0, alpha_z, 0.0) for alpha_z in (0.0, 5.0, 500.0)),
    *((g, SHARP, 5.0) for g in (1.0, 2.2, 2.5, 2.8, 5.0)),
)
"""g, alpha_z and alpha_r."""
STORED = ((3.0, SHARP, 0.0), (2.5, SHARP, 5.0))
"""Conditions whose memory is reset."""
INTEGRATORS = ((3.0, 0.0, 0.0), (3.0, SHARP, 0.0), (3.0, 500.0, 0.0))
TIMES = (0.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
KEPT, LOST = 0.5, 0.2
"""Overlap at the last time above which a network remembers, and below which it forgets: half, and as much as
chaos leaves by chance between states of a few hundred units with a large common part."""
LINEAR = 0.95
"""Share of the square of what is stored that a straight line through 0 has to explain."""
FEWEST = 6
"""Pushes that a line is not drawn through fewer of."""
ERASED = 0.2
"""Share of the overlap before that is left of an erased memory, of either sign, after a pulse of that length
and every longer one."""


@dataclasses.dataclass(frozen=True)
class Effort:
    units: int
    networks: int
    settle: float
    times: tuple[float, ...]


FULL = Effort(units=300, networks=4, settle=300.0, times=TIMES)
QUICK = Effort(units=48, networks=1, settle=10.0, times=TIMES[:3])


def compute(effort: Effort) -> xr.Dataset:
    parts: dict[str, list[Any]] = {name: [] for name in ("overlap", "told", "stored", "together", "erasing")}
    for family in FAMILIES:
        rows: dict[str, list[Any]] = {name: [] for name in parts}
        for k in range(effort.networks):
            size = k, effort.units, effort.settle
            left, told = remember(Copies(family, CONDITIONS, 2 * PUSHES + 1, *size), effort.times)
            count = 4 + len(AMPLITUDES) + len(LENGTHS)
            stored, together = integrate(Copies(family, INTEGRATORS, count, *size))
            erasing = erase(Copies(family, STORED, len(ERASERS) * (PUSHES + 1), *size))
            for name, value in zip(parts, (left, told, stored, together, erasing)):
                rows[name].append(value)
        for name in parts:
            parts[name].append(rows[name])
    dims = {
        "overlap": ("condition", "time"),
        "told": ("condition", "time"),
        "stored": ("integrator", "push"),
        "together": ("integrator",),
        "erasing": ("store", "eraser", "duration"),
    }
    pushed = [*AMPLITUDES] + [length / LENGTH for length in LENGTHS]
    coords = {
        "family": list(FAMILIES),
        "time": list(effort.times),
        "pushed": ("push", pushed),
        "eraser": list(ERASERS),
        "duration": [0.0, *ERASING],
    }
    for i, name in enumerate(("g", "alpha_z", "alpha_r")):
        for dim, values in (("condition", CONDITIONS), ("integrator", INTEGRATORS), ("store", STORED)):
            coords[f"{dim}_{name}"] = (dim, [v[i] for v in values])
    return xr.Dataset({k: (("family", "network", *dims[k]), np.array(v)) for k, v in parts.items()}, coords)


def bits(told: float) -> float:
    """Least information about which push came, by Fano's inequality, at this share told right."""
    if told <= 1.0 / PUSHES:
        return 0.0
    wrong = 1.0 - told
    unsure = -sum(p * np.log2(p) for p in (told, wrong) if p > 0.0)
    return float(max(np.log2(PUSHES) - unsure - wrong * np.log2(PUSHES - 1), 0.0))


def statistics(values: Any) -> dict[str, float | None]:
    """Mean and standard error between networks."""
    x = np.asarray(values, float)
    return {
        "mean": float(x.mean()),
        "standard_error": float(x.std(ddof=1) / len(x) ** 0.5) if len(x) > 1 else None,
    }


def line(x: np.ndarray, y: np.ndarray, up_to: float) -> tuple[np.ndarray, np.ndarray]:
    """Of the straight line through 0 and pushes up to that size: its slope, and the share that it explains of
    what is stored, `y` (network, push)."""
    x, y = x[np.abs(x) <= up_to], y[:, np.abs(x) <= up_to]
    slope = (y @ x) / (x @ x)
    return slope, 1.0 - ((y - slope[:, None] * x) ** 2).sum(-1) / (y**2).sum(-1)


def linear_range(x: np.ndarray, y: np.ndarray) -> float | None:
    """The size of push up to which a line explains enough, if there is one."""
    sizes = sorted({float(size) for size in np.abs(x) if np.sum(np.abs(x) <= size) >= FEWEST})
    return max((size for size in sizes if line(x, y, size)[1].mean() > LINEAR), default=None)


def word(left: float) -> str:
    """remembers, forgets or fades, by the overlap at the last time."""
    return "remembers" if left > KEPT else "forgets" if left < LOST else "fades"


def inside(condition: tuple[float, float, float]) -> bool:
    """Whether theory has this gain in the marginal window of an infinitely sharp update gate."""
    end = critical_gains(condition[2]).g_marginal_end
    return end is not None and 2.0 < condition[0] < end


def judge(data: xr.Dataset, effort: Effort) -> dict[str, Any]:
    verdict: dict[str, Any] = {"effort": dataclasses.asdict(effort)}
    for f, family in enumerate(FAMILIES):
        of = data.isel(family=f)
        rows = []
        for k, condition in enumerate(CONDITIONS):
            left, told = of.overlap[:, k].values, of.told[:, k].values
            end = statistics(left[:, -1])
            rows.append(
                {
                    **dict(zip(("g", "alpha_z", "alpha_r"), condition)),
                    "inside_window": inside(condition),
                    "overlap": [statistics(left[:, t]) for t in range(len(effort.times))],
                    "told_right": [float(told[:, t].mean()) for t in range(len(effort.times))],
                    "bits_at_least": bits(float(told[:, -1].mean())),
                    "verdict": word(end["mean"]),
                }
            )
        sharp = [row for row in rows if row["alpha_z"] >= SHARP]
        kept = [row["g"] for row in sharp if row["verdict"] == "remembers" and row["alpha_r"] == 0.0]
        among = [row for row in sharp if row["inside_window"]]
        integrators = []
        for k, condition in enumerate(INTEGRATORS):
            x, y = data.pushed.values, of.stored[:, k].values
            up_to = linear_range(x, y)
            slope, explained = line(x, y, up_to or np.abs(x).max())
            integrators.append(
                {
                    **dict(zip(("g", "alpha_z", "alpha_r"), condition)),
                    "stored_per_push": statistics(slope),
                    "explained_by_a_line": statistics(explained),
                    "linear_up_to": up_to,
                    "two_pushes_over_their_sum": statistics(of.together[:, k]),
                    "verdict": "integrates" if up_to is not None and slope.mean() > LOST else "does not",
                }
            )
        erased = []
        for k, condition in enumerate(STORED):
            for e, name in enumerate(ERASERS):
                x = of.erasing[:, k, e].values.mean(0)
                left = [d for d, value in zip(ERASING, x[1:]) if abs(value) > ERASED * x[0]]
                gone = [d for d in ERASING if not left or d > left[-1]]
                erased.append(
                    {
                        **dict(zip(("g", "alpha_z", "alpha_r"), condition)),
                        "pulse": name,
                        "before": float(x[0]),
                        "after": dict(zip(map(str, ERASING), map(float, x[1:]))),
                        "erased_by_a_pulse_of": gone[0] if gone else None,
                    }
                )
        verdict[family] = {
            "memory": rows,
            "remembering_inside_window": f"{sum(r['verdict'] == 'remembers' for r in among)} of {len(among)}",
            "gains_that_remember": [min(kept), max(kept)] if kept else None,
            "integrator": integrators,
            "reset": erased,
        }
    return verdict


def picture(data: xr.Dataset, path: Path) -> None:
    """Overlap in time at some gains and sharpnesses (dashed: outside of the window), what is stored against
    what was pushed, and resets."""
    figure = Figure(figsize=(15.0, 7.2), layout="constrained")
    FigureCanvasAgg(figure)
    names = [f"g = {g:g}, α_z = {z:g}, α_r = {r:g}" for g, z, r in CONDITIONS]
    for f, (family, axes) in enumerate(zip(FAMILIES, figure.subplots(2, 4))):
        mean = data.isel(family=f).mean("network")
        for panel, chosen in ((0, range(len(GAINS))), (1, (*range(len(GAINS), len(GAINS) + 3), 2))):
            for c, k in enumerate(chosen):
                style = f"C{c}o{'-' if inside(CONDITIONS[k]) else '--'}"
                axes[panel].plot(data.time[1:], mean.overlap[k, 1:], style, markersize=3, label=names[k])
            axes[panel].set(xscale="log", xlabel="time", ylabel="overlap left", title=family)
            axes[panel].legend(fontsize="xx-small")
        for k, condition in enumerate(INTEGRATORS):
            axes[2].plot(data.pushed, mean.stored[k], "o", markersize=4, label=f"α_z = {condition[1]:g}")
        axes[2].axline((0.0, 0.0), slope=1.0, color="0.6", linewidth=0.8)
        axes[2].set(xlabel="pushed", ylabel="stored", title="g = 3, α_r = 0")
        axes[2].legend(fontsize="x-small")
        for e, name in enumerate(ERASERS):
            axes[3].plot(data.duration, mean.erasing[1, e], "o-", markersize=3, label=name)
        axes[3].set(
            xscale="symlog", xlabel="duration of the pulse", ylabel="overlap left", title="g = 2.5, α_r = 5"
        )
        axes[3].legend(fontsize="x-small")
    figure.savefig(path, dpi=110)


def main() -> None:
    given = arguments(__doc__, quick="few units, one network, short times")
    effort = QUICK if given.quick else FULL
    data = compute(effort)
    verdict = judge(data, effort)
    for family in FAMILIES:
        found = verdict[family]
        print(f"{family}: overlap and share told right at times {effort.times}")
        for row in found["memory"]:
            left = " ".join(f"{x['mean']:.2f}" for x in row["overlap"])
            told = " ".join(f"{x:.2f}" for x in row["told_right"])
            print(
                f"  g {row['g']:g}, alpha_z {row['alpha_z']:g}, alpha_r {row['alpha_r']:g}"
                f"{' (window)' if row['inside_window'] else ''}: {left}; {told}; {row['verdict']}, "
                f"{row['bits_at_least']:.2f} bits"
            )
        print(f"  remembering inside the window: {found['remembering_inside_window']}")
        for row in found["integrator"]:
            parts = ("stored_per_push", "explained_by_a_line", "two_pushes_over_their_sum")
            words = ", ".join(f"{p.replace('_', ' ')} {row[p]['mean']:.3f}" for p in parts)
            print(
                f"  alpha_z {row['alpha_z']:g}: {words}; linear up to {row['linear_up_to']}: {row['verdict']}"
            )
        for row in found["reset"]:
            after = {d: round(x, 3) for d, x in row["after"].items()}
            print(
                f"  g {row['g']:g}, alpha_r {row['alpha_r']:g}, {row['pulse']}: {row['before']:.3f} before, "
                f"{after} after pulses; erased by {row['erased_by_a_pulse_of']}"
            )
    write(given.out_dir, NAME, data, verdict, lambda path: picture(data, path))


if __name__ == "__main__":
    main()
