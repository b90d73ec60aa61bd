"""Fig 4 of Jordan, Sokol & Park (2021): a sink, a source and two saddles closer than the machine can tell.

    python experiments/fig04_pseudo_codimension_two.py [--quick] [--out-dir results]

The cell of Fig 3B, two independent units with U_h = 3, U_r = -5, b_r = -ln 2, has f = df/dh = 0 at h = 0, so
that four fixed points are one. Two ways lead away from it. A bias b_h = p makes f = f_p p + f_hh h^2 / 2: the
four are d = 2 sqrt(-2 f_p p / f_hh) apart in each unit, and are there for p > 0 only. A reset bias b_r + p
makes f = f_hp h p + f_hh h^2 / 2: d = |2 f_hp p / f_hh|, for either sign of p. The derivatives are taken by
differentiation, the fixed points are those that the program proves, and with each distance comes the status
that it reports. Writes fig04_pseudo_codimension_two.h5, .png and .json.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

import gru_sweep as gs
from gru_sweep.records import meaning

NAME = "fig04_pseudo_codimension_two"
OWN, RESET = 3.0, -5.0
"""U_h and U_r of each unit."""
DECADES = (-18, 0)
"""Powers of ten of the parameter."""
FULL, QUICK = 4, 1
"""Values in each decade."""
CLOSE = 0.9
"""The four are those with |h| below this in both units; the others rest near -1."""
SHOWN = 1e-3
"""The parameter of the portrait."""
MARKS = {
    gs.Status.OK: {"marker": "o", "color": "#009E73"},
    gs.Status.NEAR_BIFURCATION: {"marker": "s", "color": "#D55E00"},
    gs.Status.UNRESOLVED: {"marker": "^", "color": "#0072B2"},
}


def cell(b_h=0.0, b_r=0.0, units: int = 2) -> gs.GRU:
    """The degenerate cell with its biases changed by so much in each unit."""
    own = jnp.eye(units)
    # U_h sigma(b_r) = 1 where the change is zero
    gate = jnp.full(units, b_r, float) - math.log(OWN - 1.0)
    return gs.GRU(U_h=OWN * own, U_r=RESET * own, b_h=jnp.full(units, b_h, float), b_r=gate)


WAYS: dict[str, Callable[..., gs.GRU]] = {
    "b_h": lambda p, units=2: cell(b_h=p, units=units),
    "b_r": lambda p, units=2: cell(b_r=p, units=units),
}


def asymptote(way: str) -> tuple[float, float]:
    """Factor and power of d = factor p^power for small p, from the derivatives at the degenerate point."""
    rate = lambda h, p: WAYS[way](p, units=1)(h[None])[0]  # noqa: E731
    zero = jnp.zeros(()), jnp.zeros(())
    bend = float(jax.grad(jax.grad(rate))(*zero))
    along = float(jax.grad(rate, 1)(*zero))
    if along != 0.0:
        return 2.0 * math.sqrt(2.0 * abs(along / bend)), 0.5
    return 2.0 * abs(float(jax.grad(jax.grad(rate), 1)(*zero)) / bend), 1.0


def distance(portrait) -> float:
    """The largest distance in one unit among the four, NaN where not all of them are known and proven."""
    four = portrait.fixed_point[np.all(np.abs(portrait.fixed_point) < CLOSE, axis=1)]
    known = bool(portrait.certified) and len(four) == 4
    return float(np.ptp(four, axis=0).max()) if known else math.nan


def compute(per_decade: int) -> xr.Dataset:
    """Distance, status and counts along both ways, on both sides."""
    first, last = DECADES
    sizes = np.logspace(first, last, (last - first) * per_decade + 1)
    shape = (len(WAYS), 2, sizes.size)
    apart, status, count = np.empty(shape), np.empty(shape, np.int8), np.empty(shape, np.int16)
    for (i, j, k), _ in np.ndenumerate(apart):
        p = (1.0, -1.0)[j] * sizes[k]
        portrait = gs.phase_portrait(list(WAYS.values())[i](p))
        apart[i, j, k] = distance(portrait)
        status[i, j, k], count[i, j, k] = portrait.status, portrait.n_fixed_points
    flags = {
        "flag_values": np.array([int(s) for s in gs.Status], np.int8),
        "flag_meanings": " ".join(s.name.lower() for s in gs.Status),
    }
    dims = ("way", "sign", "p")
    there = gs.phase_portrait(cell())
    return xr.Dataset(
        {
            "distance": (dims, apart, {"long_name": "distance of the four fixed points in one unit"}),
            "status": (dims, status, flags),
            "n_fixed_points": (dims, count, {"long_name": "number of fixed points, -1 where not known"}),
            "asymptote": (("way", "term"), [asymptote(way) for way in WAYS]),
        },
        coords={
            "way": list(WAYS),
            "sign": [1, -1],
            "p": ("p", sizes, {"long_name": "size of the parameter"}),
            "term": ["factor", "power"],
        },
        attrs={
            "title": "four fixed points that merge (Jordan, Sokol & Park 2021, Fig 4)",
            "equation": "dh/dt = (tanh(U_h (r o h) + b_h) - h) / 2, r = sigma(U_r h + b_r)",
            "status_at_the_degenerate_point": meaning(gs.Status(int(there.status))),
            "jacobian_at_the_degenerate_point": np.asarray(jax.jacfwd(cell())(jnp.zeros(2))).ravel(),
        },
    )


def judge(ds: xr.Dataset) -> dict:
    """How far each way is resolved, and where the four would be closer than machine precision."""
    epsilon = float(np.finfo(float).eps)
    found = {}
    for i, way in enumerate(ds.way.values):
        factor, power = ds.asymptote.values[i].tolist()
        apart, status = ds.distance.values[i, 0], ds.status.values[i, 0]
        proven, certain = np.isfinite(apart), np.isfinite(apart) & (status == gs.Status.OK)
        small = proven & (ds.p.values <= 1e-3)
        deviation = np.abs(apart[small] / (factor * ds.p.values[small] ** power) - 1.0)
        found[str(way)] = {
            "distance": f"{factor:.6g} p^{power:g}",
            "largest_deviation_below_p_of_1e-3": float(deviation.max()),
            "smallest_proven": {"p": float(ds.p[proven].min()), "distance": float(apart[proven].min())},
            "smallest_ok": {"p": float(ds.p[certain].min()), "distance": float(apart[certain].min())},
            "closer_than_epsilon_below_p": (epsilon / factor) ** (1.0 / power),
            "other_sign": {
                meaning(gs.Status(int(s))): int(np.sum(ds.status.values[i, 1] == s))
                for s in np.unique(ds.status.values[i, 1])
            },
        }
    return {
        "claim": "a sink, a source and two saddles closer than machine precision act as one point",
        "at_the_degenerate_point": {
            "status": ds.status_at_the_degenerate_point,
            "jacobian": np.asarray(ds.jacobian_at_the_degenerate_point).tolist(),
        },
        "machine_precision": epsilon,
        "ways": found,
    }


def report(verdict: dict) -> str:
    """The findings as text."""
    there = verdict["at_the_degenerate_point"]
    lines = [f"degenerate point: J = {there['jacobian']}, {there['status']}"]
    for way, one in verdict["ways"].items():
        proven, certain = one["smallest_proven"], one["smallest_ok"]
        lines += [
            f"along {way}: d = {one['distance']}, "
            f"to {one['largest_deviation_below_p_of_1e-3']:.1e} where p <= 1e-3",
            f"   four proven down to p = {proven['p']:.1e} (d = {proven['distance']:.2e}), "
            f"status ok down to p = {certain['p']:.1e} (d = {certain['distance']:.2e})",
            f"   d < {verdict['machine_precision']:.1e} for p < {one['closer_than_epsilon_below_p']:.1e}; "
            f"p < 0: {one['other_sign']}",
        ]
    return "\n".join(lines)


def draw(ds: xr.Dataset, path: Path) -> None:
    figure = Figure(figsize=(12.6, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    shown = gs.phase_portrait(cell(b_h=SHOWN))
    reach = distance(shown)
    corners = {"lower": (-reach, -reach), "upper": (reach, reach)}
    gs.plot.portrait(shown, ax=left, title="", colorbar=False, **corners)
    left.set_title(f"A: the four points at $b_h$ = {SHOWN:g}", fontsize="medium")
    left.locator_params(nbins=4)
    p = ds.p.values
    for i, way in enumerate(ds.way.values):
        factor, power = ds.asymptote.values[i]
        style = ("-", "--")[i]
        words = f"${way}$: $d \\approx {factor:.3g}\\," + ("p$" if power == 1.0 else rf"p^{{{power:g}}}$")
        right.loglog(p, factor * p**power, style, color="0.4", linewidth=1.0, label=words)
        for status, marks in MARKS.items():
            here = ds.status.values[i, 0] == status
            known = here & np.isfinite(ds.distance.values[i, 0])
            right.loglog(p[known], ds.distance.values[i, 0, known], linestyle="none", **marks)
            unknown = here & ~known
            line = factor * p[unknown] ** power
            right.loglog(p[unknown], line, linestyle="none", markerfacecolor="none", **marks)
    for status, marks in MARKS.items():
        right.plot([], [], linestyle="none", label=meaning(status), **marks)
    epsilon = float(np.finfo(float).eps)
    right.axhline(epsilon, color="black", linewidth=0.8, linestyle=":")
    right.text(p[-1], 1.4 * epsilon, "machine precision", ha="right", va="bottom", fontsize="small")
    right.set(xlabel="distance $p$ of the parameter", ylabel="distance $d$ of the fixed points")
    right.set_title("B: filled: all four proven; open: not", fontsize="medium")
    right.legend(fontsize="small", loc="upper left")
    figure.savefig(path, dpi=150)


def main() -> None:
    given = arguments(__doc__, "one value a decade")
    ds = compute(QUICK if given.quick else FULL)
    verdict = judge(ds)
    write(given.out_dir, NAME, ds, verdict, lambda path: draw(ds, path))
    print(report(verdict))


if __name__ == "__main__":
    main()
