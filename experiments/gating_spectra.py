"""Eigenvalues of large random GRUs, LSTMs and gated RNNs against the theory of their clouds.

    python experiments/gating_spectra.py [--quick] [--out-dir results]

Claims: the update gate (GRU, gated RNN) and the forget gate (LSTM) gather modes near 1 (0 for a field); the
reset gate, and the LSTM's input and output gates, set the radius (Can, Krishnamurthy & Schwab 2020;
Krishnamurthy, Can & Schwab 2022). Networks run until they are on their attractor; there, and at zero, the
eigenvalues of the Jacobian are compared with theory from the sites of the same state: the radius, the edge by
sectors (`gating.boundaries`), the share of slow modes. At zero also with mean field, which has no sites to
look at. For GRUs, which averages over sites may be taken apart: theory's radius with the reset gate taken as
independent of the rest of its site, and with the update gate too. Prints a table; writes gating_spectra.h5,
.png, .json and .md.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

from gru_sweep.gating import boundaries, clouds, jacobians, mean_field
from gru_sweep.gating.sites import Sites, mean_field_sites, sites
from gru_sweep.systems.ensembles import named

NAME = "gating_spectra"
SECTORS = 6
"""Of the upper half plane: of 1000 eigenvalues some 80 are in each; see `gating.boundaries`."""
INFLATED = 0.03
"""Eigenvalues outside of the theory's edge by more than that share of its distance are counted."""
SLOW = 0.1
"""Modes within that of 1, or of 0 for a field, are slow."""
SEED = 2020


@dataclasses.dataclass(frozen=True)
class Case:
    cell: str
    coordinates: dict[str, float]
    zero: bool = False
    """At the zero state; else on the attractor."""

    @property
    def label(self) -> str:
        gains = ", ".join(f"{k} {v:g}" for k, v in self.coordinates.items())
        return f"{self.cell}, {gains}{', at zero' if self.zero else ''}"


CASES = (
    Case("gru", {"a_h": 3.0}, zero=True),
    *(Case("gru", {"a_h": 3.0, "a_z": z, "a_r": r}) for r in (0.0, 2.0) for z in (0.0, 2.0, 10.0)),
    Case("lstm", {"a_g": 3.0}),
    *(Case("lstm", {"a_g": 3.0, f"a_{k}": 5.0}) for k in "fio"),
    Case("gated-rnn", {"g": 3.0}, zero=True),
    *(Case("gated-rnn", {"g": 3.0, "alpha_z": z, "alpha_r": r}) for r in (0.0, 5.0) for z in (0.0, 5.0)),
)


@dataclasses.dataclass(frozen=True)
class Effort:
    units: dict[str, int]
    networks: dict[str, int]
    settle: int
    """Steps of a map, units of time of a field."""


FULL = Effort(
    dict.fromkeys(("gru", "lstm", "gated-rnn"), 1000), dict.fromkeys(("gru", "lstm", "gated-rnn"), 3), 150
)
QUICK = Effort({"gru": 120, "lstm": 80, "gated-rnn": 50}, dict.fromkeys(("gru", "lstm", "gated-rnn"), 1), 40)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def apart(at: Sites, update: bool) -> Sites:
    """A GRU's sites with the reset gate independent of the rest, or with the update gate so too."""
    B, C, E = at.B.copy(), at.C.copy(), at.E.copy()
    C[:, 0, 0], E[:, 0, 2] = rms(C[:, 0, 0]), rms(E[:, 0, 2])
    if update:
        opening = -at.A[:, 0, 0]
        speed = opening * (1.0 - opening)
        B[:, 0, 0] = opening * rms(B[:, 0, 0] / opening)
        B[:, 0, 1] = speed * rms(B[:, 0, 1] / speed)
    return dataclasses.replace(at, B=B, C=C, E=E)


def network(case: Case, effort: Effort, number: int) -> dict[str, Any]:
    """One network in one state: eigenvalues, and what theory says of them."""
    ensemble, size = named(case.cell), effort.units[case.cell]
    coordinates = {k: np.float64(v) for k, v in {**ensemble.coordinates, **case.coordinates}.items()}
    cell = ensemble.build(ensemble.draw(size, SEED, number), **coordinates)
    start = ensemble.start(size, SEED, number)
    state = 0.0 * start
    if not case.zero:
        state = jacobians.trajectory(cell, start, ensemble.discrete, settle=effort.settle)[-1]
    at = sites(cell, state, ensemble.discrete)
    eigenvalues = jacobians.eigenvalues(cell, state, ensemble.discrete)
    curves = boundaries.boundary(at)
    angle, ratio = boundaries.ratios(at, curves, eigenvalues)
    size_of = np.abs if ensemble.discrete else np.real
    # a field's abscissa may be near 0: errors of it are measured from the cloud's centre
    zero = 0.0 if ensemble.discrete else boundaries.centre(at)
    radius, theory = float(size_of(eigenvalues).max()), clouds.outermost(at)
    return {
        "eigenvalues": eigenvalues,
        "curves": curves,
        "activity": float(np.sqrt(np.mean(np.square(state[:size])))),
        "radius": radius,
        "radius_theory": theory,
        "radius_difference": (radius - zero) / (theory - zero) - 1.0,
        "edge": boundaries.by_sector(angle, ratio, SECTORS),
        "beyond": float((ratio > 1.0 + INFLATED).mean()),
        "slow": float((np.abs(eigenvalues - at.origin) < SLOW).mean()),
        "slow_theory": clouds.share_within(at, at.origin, SLOW),
        "pinched": clouds.pinched(at),
        "radius_reset_apart": clouds.outermost(apart(at, False)) if case.cell == "gru" else math.nan,
        "radius_both_apart": clouds.outermost(apart(at, True)) if case.cell == "gru" else math.nan,
        **dataclasses.asdict(clouds.stability(at)),
    }


def row(case: Case, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the networks of a case."""
    numbers = (
        "activity",
        "radius",
        "radius_theory",
        "radius_difference",
        "slow",
        "slow_theory",
        "pinched",
        "beyond",
    )
    medians: dict[str, float | None] = {
        name: float(np.median([one[name] for one in found])) for name in (*numbers, "K", "K_held")
    }
    for name in ("radius_reset_apart", "radius_both_apart"):
        value = float(np.median([one[name] for one in found]))
        medians[name] = value if math.isfinite(value) else None
    edge = np.median([one["edge"] for one in found], axis=0)
    exact = None
    if case.zero:
        name, gain = next(iter(case.coordinates.items()))
        tau = (1.0, 1.0) if name == "g" else None
        exact = clouds.outermost(mean_field_sites(mean_field.fixed_points(gain, 0.0)[0], gain, 0.0, 0.0, tau))
    return {
        **dataclasses.asdict(case),
        "networks": len(found),
        **medians,
        "radius_mean_field": exact,
        "edge_by_sector": [float(x) if math.isfinite(x) else None for x in edge],
        "edge_difference": float(np.nanmedian(edge) - 1.0),
        "edge_worst": float(np.nanmax(np.abs(edge - 1.0))),
    }


def compute(effort: Effort) -> tuple[xr.Dataset, list[dict[str, Any]], list[tuple[Case, dict[str, Any]]]]:
    """All cases: what goes into the file, the table, and the first network of each for the picture."""
    table, firsts = [], []
    most = max(effort.networks.values())
    modes = max(named(c.cell).states * effort.units[c.cell] for c in CASES)
    values = np.full((len(CASES), most, modes), np.nan, dtype=complex)
    columns = {name: np.full((len(CASES), most), np.nan) for name in ("radius", "radius_theory", "slow")}
    columns["slow_theory"] = np.full((len(CASES), most), np.nan)
    for k, case in enumerate(CASES):
        found = [network(case, effort, number) for number in range(effort.networks[case.cell])]
        for number, one in enumerate(found):
            values[k, number, : one["eigenvalues"].size] = one["eigenvalues"]
            for name, column in columns.items():
                column[k, number] = one[name]
        table.append(row(case, found))
        firsts.append((case, found[0]))
        print(line(table[-1], case), flush=True)
    data = xr.Dataset(
        {
            "eigenvalue_real": (("case", "network", "mode"), values.real),
            "eigenvalue_imag": (("case", "network", "mode"), values.imag),
            **{name: (("case", "network"), column) for name, column in columns.items()},
        },
        coords={"label": ("case", [case.label for case in CASES])},
    )
    return data, table, firsts


def line(found: dict[str, Any], case: Case) -> str:
    return (
        f"{case.label}: radius {found['radius']:.4f}, theory {found['radius_theory']:.4f} "
        f"({found['radius_difference']:+.1%}); edge {found['edge_difference']:+.1%}, worst sector "
        f"{found['edge_worst']:.1%}, beyond {found['beyond']:.2%}; slow {found['slow']:.4f}, "
        f"theory {found['slow_theory']:.4f}"
    )


def report(table: list[dict[str, Any]], effort: Effort) -> str:
    """The table in Markdown."""
    rows = [
        "# Eigenvalues of random gated networks against theory",
        "",
        f"Medians over networks of N = {', '.join(f'{n} ({cell})' for cell, n in effort.units.items())}. "
        "Radius: largest modulus of a map's eigenvalues, largest real part of a field's, whose difference is "
        "over its distance from the cloud's centre. Edge: largest ratio of an eigenvalue's distance from the "
        f"centre to the theory's edge, in {SECTORS} sectors: the median and the worst; beyond: the share of "
        f"eigenvalues outside of the edge inflated by {INFLATED:.0%}. Slow: the share within {SLOW:g} "
        "of 1, or of 0 for the gated RNN.",
        "",
        "| network | n | radius | theory | difference | edge | worst | beyond | slow | theory | K | K held |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case, one in zip(CASES, table):
        rows.append(
            f"| {case.label} | {one['networks']} | {one['radius']:.4f} | {one['radius_theory']:.4f} | "
            f"{one['radius_difference']:+.1%} | {one['edge_difference']:+.1%} | {one['edge_worst']:.1%} | "
            f"{one['beyond']:.2%} | {one['slow']:.4f} | {one['slow_theory']:.4f} | "
            f"{one['K']:.3f} | {one['K_held']:.3f} |"
        )
    rows += [
        "",
        "Radius of the GRUs, and theory's with all averages over sites as they are, with the reset gate "
        "taken as independent of the rest of its site, and with the update gate too:",
        "",
        "| network | radius | theory | reset gate apart | both apart |",
        "|---|---|---|---|---|",
    ]
    for case, one in zip(CASES, table):
        if case.cell == "gru":
            names = "radius", "radius_theory", "radius_reset_apart", "radius_both_apart"
            rows.append(f"| {case.label} | " + " | ".join(f"{one[name]:.4f}" for name in names) + " |")
    return "\n".join(rows) + "\n"


def picture(firsts: list[tuple[Case, dict[str, Any]]], path: Path) -> None:
    """One panel a case: eigenvalues of one network, and the theory's edge."""
    columns = 4
    figure = Figure(figsize=(3.3 * columns, 3.0 * -(-len(firsts) // columns)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(-(-len(firsts) // columns), columns).flat
    for (case, one), panel in zip(firsts, panels):
        panel.plot(one["eigenvalues"].real, one["eigenvalues"].imag, ".", color="C0", markersize=1.5)
        for curve in one["curves"]:
            panel.plot(curve.real, curve.imag, color="C3", linewidth=1.2)
        still = 1.0 if named(case.cell).discrete else 0.0
        panel.plot([still], [0.0], "k+", markersize=6)
        panel.set_title(case.label, fontsize=8)
        panel.set_aspect("equal")
        panel.tick_params(labelsize=7)
    for panel in panels:
        panel.set_axis_off()
    figure.savefig(path, dpi=130)


def main() -> None:
    given = arguments(__doc__, quick="few units, one network a case")
    effort = QUICK if given.quick else FULL
    data, table, firsts = compute(effort)
    verdict = {"effort": dataclasses.asdict(effort), "sectors": SECTORS, "slow_within": SLOW, "cases": table}
    write(given.out_dir, NAME, data, verdict, lambda path: picture(firsts, path))
    (given.out_dir / f"{NAME}.md").write_text(report(table, effort))


if __name__ == "__main__":
    main()
