r"""Fig 10 of Jordan, Sokol & Park (2021): a line on which almost nothing moves, and its one fixed point.

    python experiments/fig10_pseudo_line.py [--quick] [--out-dir results]

The text gives no parameters. U_h = u [[1, 1], [1, 1]] with u just below 1, the rest zero: both nullclines
follow the diagonal. On it h = (s, s), ds/dt = (tanh(u s) - s) / 2, and distance from it falls as exp(-t/2);
s = 0 is the one fixed point for u <= 1, with the eigenvalue (u - 1) / 2. As u -> 1 that goes to zero, but
the speed does not: s^3 / 6 is left. A reset gate takes that away, too: with r_1 = sigma(c s + b) and
r_2 = sigma(-c s + b) on the diagonal, p = sigma(b), and u = 1 / (2 p),

    u s (r_1 + r_2) = s (1 + (1 - p) (1 - 2 p) c^2 s^2 / 2 + ...),

which agrees with artanh s = s + s^3 / 3 + ... to third order for c^2 = 2 / (3 (1 - p) (1 - 2 p)), and about
s^5 / 10 is left. How long a start takes to fall to a tenth is integrated and, on the diagonal of the first
cell, compared with the integral of 1 / speed. Writes fig10_pseudo_line.h5, .png and .json.
"""

from __future__ import annotations

import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write
from planes import plane

import gru_sweep as gs
from gru_sweep.analysis.any_dimension import fixed_points
from gru_sweep.analysis.taylor import trajectory
from gru_sweep.plotting.styles import MARKERS

NAME = "fig10_pseudo_line"
SHOWN = 0.999
"""u of the portraits."""
OPEN = 0.1
"""p, the reset gates at the origin in the flatter cell."""
FULL, QUICK = 10.0 ** -np.arange(1.0, 6.01, 0.5), 10.0 ** -np.arange(2.0, 6.01, 2.0)
"""1 - u."""
REACH, TENTH = 0.2, 0.1
"""The line is looked at on |s| <= this, as in Fig 10B; what a start falls to, in units of where it began."""
PLACES = np.geomspace(1e-3, REACH, 60)
"""s of the speed profiles."""
PROFILES = (0.9, 0.99, 0.999, 1.0)
"""u of them."""
PANELS = 2001
"""Nodes of Simpson's rule for the integral of 1 / speed over ln s."""
STARTS = np.array([[-1.2, 1.3], [-0.3, 1.3], [0.8, 1.2], [1.3, -0.1], [1.2, -1.3], [0.2, -1.2], [-0.8, -1.2]])
"""Of the trajectories that are drawn; a seventh as far out in the second view."""
TIMES = np.concatenate([np.linspace(0.0, 20.0, 201), np.geomspace(20.5, 2000.0, 200)])
LINE_COLOURS = ("#0072B2", "#56B4E9", "#009E73", "black", "#D55E00")


def cell(u: float, flat: bool = False) -> gs.GRU:
    """The line at u; the flatter one, with its gates, where `flat`."""
    b = math.log(OPEN / (1.0 - OPEN)) if flat else 0.0
    c = math.sqrt(2.0 / (3.0 * (1.0 - OPEN) * (1.0 - 2.0 * OPEN))) if flat else 0.0
    own = u / (2.0 * OPEN) if flat else u
    # c s from either unit's half of 2 s = h_1 + h_2
    reset = c / 2.0 * jnp.array([[1.0, 1.0], [-1.0, -1.0]])
    return gs.GRU(U_h=own * jnp.ones((2, 2)), U_r=reset, b_r=jnp.full(2, b))


@eqx.filter_jit
def followed(field: gs.GRU, starts: jax.Array) -> jax.Array:
    """States (n, len(TIMES), 2) from each of the starts (n, 2)."""
    return jax.vmap(lambda start: trajectory(field, start, TIMES).state)(starts)


@eqx.filter_jit
def speeds(field: gs.GRU, s: jax.Array) -> jax.Array:
    """|ds/dt| at the places s (n,) of the diagonal."""
    return jax.vmap(lambda x: jnp.abs(field(jnp.stack([x, x]))[0]))(s)


class Clock(eqx.Module):
    """(h, t) by -ln h_1, so that h_1 falls by a given factor in a given interval, and t says when."""

    field: gs.GRU

    def __call__(self, state: jax.Array) -> jax.Array:
        rate = self.field(state[:2])
        return jnp.append(rate, 1.0) * (-state[0] / rate[0])


@eqx.filter_jit
def settling(field: gs.GRU) -> jax.Array:
    """Time from (REACH, REACH) until h_1 is a tenth of it."""
    start = jnp.array([REACH, REACH, 0.0])
    return trajectory(Clock(field), start, np.array([0.0, -math.log(TENTH)])).state[-1, 2]


def quadrature(u: float) -> float:
    """The same on the diagonal: the integral of ds / speed, by Simpson's rule over ln s."""
    x = np.linspace(math.log(TENTH * REACH), math.log(REACH), PANELS)
    s = np.exp(x)
    weights = np.full(PANELS, 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    # s - tanh(u s) without cancellation: (1 - u) s + (u s - tanh(u s)), the latter by its series where small
    v = u * s
    series = v**3 / 3 - 2 * v**5 / 15 + 17 * v**7 / 315 - 62 * v**9 / 2835 + 1382 * v**11 / 155925
    left = (1.0 - u) * s + np.where(v < 0.1, series, v - np.tanh(v))
    return float(np.sum(weights * 2.0 * s / left) * (x[1] - x[0]) / 3.0)


def apart(u: float) -> float:
    """The largest distance of the nullclines of the first cell, measured along h_2, over |h_1| <= REACH.

    h_2 = 2 artanh(h_1) / u - h_1 is one of them, its mirror image in the diagonal the other.
    """
    x = np.linspace(0.0, 2.0 * REACH, 4001)
    y = 2.0 * np.arctanh(x) / u - x
    other = np.interp(x[x <= REACH], y, x)
    return float(np.abs(y[x <= REACH] - other).max())


def compute(gaps: np.ndarray) -> tuple[xr.Dataset, dict]:
    """Fixed points, speeds and times of both cells, and the verdict."""
    kinds = (False, True)
    found = [[fixed_points(cell(1.0 - g, flat), [-1.0, -1.0], [1.0, 1.0]) for g in gaps] for flat in kinds]
    times = [[float(settling(cell(1.0 - g, flat))) for g in gaps] for flat in kinds]
    profiles = [np.asarray(speeds(cell(u), jnp.asarray(PLACES))) for u in PROFILES]
    profiles.append(np.asarray(speeds(cell(1.0, True), jnp.asarray(PLACES))))
    exact = np.array([quadrature(1.0 - g) for g in gaps])
    off = np.abs(np.array(times[0]) / exact - 1.0)
    verdict = {
        "claim": "one fixed point on a line of nearly coinciding nullclines, and flow as slow as wanted",
        "one_minus_u": gaps.tolist(),
        "fixed_points": [p.count for p in found[0]],
        "certified": [bool(p.certified) for p in found[0]],
        "fixed_points_with_gates": [p.count for p in found[1]],
        "certified_with_gates": [bool(p.certified) for p in found[1]],
        "nullclines_apart_at_most": [apart(1.0 - g) for g in gaps],
        "time_to_a_tenth": times[0],
        "time_to_a_tenth_with_gates": times[1],
        "largest_relative_difference_from_the_integral": float(off.max()),
        "at_u_of_1": {
            "reach": REACH,
            "largest_speed": float(profiles[-2].max()),
            "largest_speed_with_gates": float(profiles[-1].max()),
            "speed_over_s^3_at_the_innermost_place": float(profiles[-2][0] / PLACES[0] ** 3),
        },
    }
    ds = xr.Dataset(
        {
            "speed": (("profile", "s"), np.array(profiles), {"units": "1/time", "long_name": "|ds/dt|"}),
            "time": (("gates", "one_minus_u"), np.array(times), {"units": "time", "long_name": "to a tenth"}),
            "time_by_integral": ("one_minus_u", exact, {"units": "time"}),
        },
        coords={
            "profile": [*(f"u = {u:g}" for u in PROFILES), "u = 1, with gates"],
            "s": ("s", PLACES, {"long_name": "place on the diagonal"}),
            "gates": [0, 1],
            "one_minus_u": gaps,
        },
        attrs={
            "title": "a pseudo-line attractor (Jordan, Sokol & Park 2021, Fig 10)",
            "equation": "dh/dt = (tanh(u [[1, 1], [1, 1]] h / 2) - h) / 2; found by the program",
        },
    )
    return ds, verdict


def report(verdict: dict) -> str:
    """The findings as text."""
    lines = [
        f"{'1 - u':>8}{'fixed points':>14}{'nullclines apart':>18}{'time to a tenth':>18}{'with gates':>16}"
    ]
    columns = ("one_minus_u", "fixed_points", "nullclines_apart_at_most", "time_to_a_tenth")
    for gap, count, width, time, flat in zip(
        *(verdict[c] for c in columns), verdict["time_to_a_tenth_with_gates"], strict=True
    ):
        lines.append(f"{gap:>8.1e}{count:>14}{width:>18.6f}{time:>18.4f}{flat:>16.4f}")
    last = verdict["at_u_of_1"]
    certified = all(verdict["certified"]) and all(verdict["certified_with_gates"])
    return "\n".join(
        [
            *lines,
            f"the fixed points are {'' if certified else 'not '}all proven; times agree with the integral to "
            f"{verdict['largest_relative_difference_from_the_integral']:.1e}",
            f"at u = 1 the speed within {last['reach']:g} is at most {last['largest_speed']:.3e}, with gates "
            f"{last['largest_speed_with_gates']:.3e}",
        ]
    )


def draw(ds: xr.Dataset, path: Path) -> None:
    figure = Figure(figsize=(15.6, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    wide, close, middle, right = figure.subplots(1, 4)
    for axes, reach, letter in ((wide, 1.5, "A"), (close, REACH, "B")):
        plane(axes, cell(SHOWN), (-reach, -reach), (reach, reach), 4.0)
        for states in np.asarray(followed(cell(SHOWN), jnp.asarray(STARTS * reach / 1.5))):
            axes.plot(*states.T, color="0.2", linewidth=0.9)
        axes.plot(0.0, 0.0, linestyle="none", **({"markersize": 8.0} | MARKERS[gs.Kind.STABLE_NODE]))
        axes.set_title(f"{letter}: u = {SHOWN:g}, within {reach:g}", fontsize="medium")
    for name, colour, speed in zip(ds.profile.values, LINE_COLOURS, ds.speed.values, strict=True):
        middle.loglog(ds.s, speed, "--" if "gates" in str(name) else "-", color=colour, label=str(name))
    middle.set(xlabel="place $s$ on the line", ylabel="speed (1/time)", ylim=(1e-16, None))
    middle.set_title("C: $s^3/6$ is left at $u = 1$, with gates $s^5/10$", fontsize="medium")
    middle.legend(fontsize="small")
    right.loglog(ds.one_minus_u, ds.time[0], "o-", color="black", label="the cell of A and B")
    right.loglog(ds.one_minus_u, ds.time[1], "s--", color="#D55E00", label="with reset gates")
    line = 2.0 * math.log(1.0 / TENTH) / ds.one_minus_u.values
    right.loglog(ds.one_minus_u, line, ":", color="0.5", label="$2 \\ln 10 / (1 - u)$")
    right.set(xlabel="$1 - u$", ylabel="time to fall to a tenth")
    right.set_title(f"D: from $s$ = {REACH:g}, as $u \\to 1$", fontsize="medium")
    right.legend(fontsize="small")
    figure.supxlabel(
        "Found by the program; the text gives no parameters. A, B: $U_h = u\\,[[1, 1], [1, 1]]$, the rest 0.",
        fontsize="small",
    )
    figure.savefig(path, dpi=110)


def main() -> None:
    given = arguments(__doc__, "fewer values of u")
    ds, verdict = compute(QUICK if given.quick else FULL)
    write(given.out_dir, NAME, ds, verdict, lambda path: draw(ds, path))
    print(report(verdict))


if __name__ == "__main__":
    main()
