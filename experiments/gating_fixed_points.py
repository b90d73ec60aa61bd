"""How many fixed points random GRUs have, and how far they spread, against the mean field.

    python experiments/gating_fixed_points.py [--quick] [--out-dir results]

h = tanh(a_h J_h (r o h)), r = 1 / (1 + exp(-a_r J_r h)), entries of J independent N(0, 1/N), no biases:
fixed points whatever the update gate. Claims: the reset gate also sets how many there are (Can, Krishnamurthy
& Schwab 2020), and they proliferate apart from the onset of chaos (Krishnamurthy, Can & Schwab 2022).

Networks of a few sizes are searched by Newton's method from many starts, and what is found is counted. Chao's
(1984) estimate from the points found once and twice says how many are missing at least; where gates are steep
some points catch far fewer starts than others, and more may be. Where numbers grow as exp(rate N), the rate
is fitted by least squares to the mean of log(number) over networks, from the sizes of which nearly all is
known by that estimate. Prints a table; writes gating_fixed_points.h5, .json, .md and .png.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

from gru_sweep.gating import biased, critical_gains
from gru_sweep.systems import ensembles

NAME = "gating_fixed_points"
RESET = (0.0, 5.0, 10.0, 20.0, 40.0)
"""a_r, the gain of the reset gate."""
OWN = (1.75, 3.0)
"""a_h: below the gain of 2 at which zero loses its stability, and above."""
WANDER, DESCEND = 150, 20
"""Steps of Newton's method: first as they are, then with a residual that falls."""
LONGEST = 0.3
"""Of the first, over sqrt(N)."""
SHARES = 2.0 ** -np.arange(8.0)
"""Of a step of the second: the one with the least residual is taken."""
FOUND = 1e-11
"""Residual of a fixed point, over sqrt(N)."""
SAME = 1e-6
"""Distance of two starts' ends, over sqrt(N), that are one point."""
MISSING = 0.2
"""Share of the estimated number that may not have been found, beyond which a size counts for no rate."""


@dataclasses.dataclass(frozen=True)
class Effort:
    sizes: tuple[int, ...]
    networks: int
    starts: int


FULL = Effort(sizes=(8, 12, 16, 24, 36, 60), networks=4, starts=500)
QUICK = Effort(sizes=(6, 12), networks=2, starts=150)


@jax.jit
def search(own, reset, a_h, a_r, start):
    """Where Newton's method goes from fields y (k, N), h = tanh(y), and the residuals there (k,)."""

    def residual(y):
        h = jnp.tanh(y)
        return y - a_h * (own @ (jax.nn.sigmoid(a_r * (reset @ h)) * h))

    def size(v):
        return jnp.sqrt(jnp.mean(v**2))

    def newton(y):
        step = jnp.linalg.solve(jax.jacfwd(residual)(y), residual(y))
        return jnp.where(jnp.isfinite(step), step, 0.0)

    def wander(state):
        count, y = state
        step = newton(y)
        return count + 1, y - step * jnp.minimum(1.0, LONGEST / size(step))

    def lost(state):
        return (state[0] < WANDER) & (size(residual(state[1])) > FOUND)

    def descend(_, y):
        tries = y - SHARES[:, None] * newton(y)
        return tries[jnp.nanargmin(jax.vmap(lambda v: size(residual(v)))(tries))]

    def one(y):
        y = jax.lax.while_loop(lost, wander, (0, y))[1]
        y = jax.lax.fori_loop(0, DESCEND, descend, y)
        return jnp.tanh(y), size(residual(y))

    # a few at a time: what is small then stays in the cache
    return jax.lax.map(one, start, batch_size=32)


def distinct(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different ones of (k, N), and how often each came."""
    left, found, times = points, [], []
    while len(left):
        near = np.sqrt(((left - left[0]) ** 2).mean(axis=1)) < SAME
        found.append(left[0])
        times.append(int(near.sum()))
        left = left[~near]
    return np.array(found).reshape(-1, points.shape[1]), np.array(times, dtype=int)


def explore(effort: Effort, size: int, number: int, a_h: float, a_r: float) -> dict[str, float]:
    """Fixed points of one network: found, estimated, and <h^2> of those that are not zero."""
    drawn = ensembles.named("gru").draw(size, 0, number)
    rng = np.random.default_rng([size, number])
    # from nearly zero to saturated
    start = rng.normal(size=(effort.starts, size)) * rng.uniform(0.0, a_h, (effort.starts, 1))
    ends, residual = (np.asarray(part) for part in search(drawn["h"], drawn["r"], a_h, a_r, start))
    points, times = distinct(np.concatenate([np.zeros((1, size)), ends[residual < FOUND]]))
    times[0] -= 1
    once, twice = (times == 1).sum(), (times == 2).sum()
    # Chao's estimate, in the form that needs no point found twice
    missing = once * (once - 1) / (2 * (twice + 1))
    square = (points[1:] ** 2).mean(axis=1)
    return {
        "found": len(points),
        "estimated": len(points) + missing,
        "variance": float(square.mean()) if square.size else np.nan,
        "spread": float(square.std()) if square.size else np.nan,
        "converged": float((residual < FOUND).mean()),
    }


def nearly_all(found: np.ndarray, estimated: np.ndarray) -> np.ndarray:
    """For which sizes (n,) all but MISSING have been found, of numbers (n, network)."""
    return found.mean(axis=1) > (1.0 - MISSING) * estimated.mean(axis=1)


def rate(sizes: np.ndarray, found: np.ndarray, estimated: np.ndarray) -> float | None:
    """Slope of the mean of log(number) over N, where nearly all have been found; none from one size."""
    known = nearly_all(found, estimated)
    if known.sum() < 2:
        return None
    return float(np.polyfit(sizes[known], np.log(found[known]).mean(axis=1), 1)[0])


def compute(effort: Effort) -> xr.Dataset:
    """Numbers and spread over a_h, a_r, size and network."""
    shape = len(OWN), len(RESET), len(effort.sizes), effort.networks
    columns = {name: np.zeros(shape) for name in ("found", "estimated", "variance", "spread", "converged")}
    for i, j, k, number in np.ndindex(shape):
        for name, value in explore(effort, effort.sizes[k], number, OWN[i], RESET[j]).items():
            columns[name][i, j, k, number] = value
    dims = "a_h", "a_r", "units", "network"
    return xr.Dataset(
        {name: (dims, values) for name, values in columns.items()},
        coords={"a_h": list(OWN), "a_r": list(RESET), "units": list(effort.sizes)},
    )


def judged(data: xr.Dataset) -> list[dict[str, Any]]:
    """One row for each pair of gains, with the mean field."""
    own, reset = (grid.ravel() for grid in np.meshgrid(OWN, RESET, indexing="ij"))
    field = biased.fixed_points("gru", {"a_h": own, "a_r": reset})
    rows = []
    for p, (a_h, a_r) in enumerate(zip(own, reset)):
        here = data.sel(a_h=a_h, a_r=a_r)
        found, estimated = here.found.values, here.estimated.values
        # what is found first is near where searches start and end: a spread is that of all
        known = here.isel(units=int(np.flatnonzero(nearly_all(found, estimated))[-1]))
        some = bool(known.variance.notnull().any())
        gains = critical_gains(a_r)
        rows.append(
            {
                "a_h": float(a_h),
                "a_r": float(a_r),
                "g_fixed_points": gains.g_fixed_points,
                "g_chaos": gains.g_chaos,
                "mean_field": field.variance[p, : field.count[p]].tolist(),
                "K": field.K[p, : field.count[p]].tolist(),
                "found": found.mean(axis=1).tolist(),
                "estimated": estimated.mean(axis=1).tolist(),
                "rate": rate(data.units.values, found, estimated),
                "spread_at": int(known.units),
                "variance": float(known.variance.mean()) if some else None,
                "spread": float(known.spread.mean()) if some else None,
            }
        )
    return rows


def table(verdict: dict[str, Any]) -> str:
    """In Markdown: numbers of fixed points by size, with Chao's estimate where some are missing."""
    sizes = verdict["effort"]["sizes"]
    head = [
        "a_h",
        "a_r",
        "chaos from",
        "branches",
        *(f"N = {n}" for n in sizes),
        "rate",
        "<h²>",
        "mean field",
    ]
    lines = [head, ["---"] * len(head)]
    for row in verdict["rows"]:
        numbers = [
            f"{a:.1f}" if b < a / (1.0 - MISSING) else f"{a:.0f} of {b:.0f}"
            for a, b in zip(row["found"], row["estimated"])
        ]
        lines.append(
            [
                f"{row['a_h']:g}",
                f"{row['a_r']:g}",
                f"{row['g_chaos']:.3f}",
                f"{len(row['mean_field'])}",
                *numbers,
                "none" if row["rate"] is None else f"{row['rate']:.3f}",
                "none"
                if row["variance"] is None
                else f"{row['variance']:.3f} ± {row['spread']:.3f} ({row['spread_at']})",
                ", ".join(f"{v:.3f}" for v in row["mean_field"][1:]) or "none",
            ]
        )
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def picture(data: xr.Dataset, path: Path) -> None:
    """Numbers found (circles) and estimated (crosses) against N, one panel for each a_h."""
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    for ax, a_h in zip(figure.subplots(1, len(OWN), sharey=True), OWN):
        for k, a_r in enumerate(RESET):
            here = data.sel(a_h=a_h, a_r=a_r).mean("network")
            ax.semilogy(here.units, here.found, "o-", color=f"C{k}", markersize=4, label=f"a_r = {a_r:g}")
            ax.semilogy(here.units, here.estimated, "x", color=f"C{k}", markersize=4)
        ax.set(xlabel="N", title=f"a_h = {a_h:g}")
    figure.axes[0].set_ylabel("fixed points")
    figure.axes[0].legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    given = arguments(__doc__, quick="small networks, two of each, few starts")
    effort = QUICK if given.quick else FULL
    data = compute(effort)
    verdict = {"effort": dataclasses.asdict(effort), "rows": judged(data)}
    text = table(verdict)
    print(text)
    write(given.out_dir, NAME, data, verdict, lambda path: picture(data, path))
    (given.out_dir / f"{NAME}.md").write_text(text)


if __name__ == "__main__":
    main()
