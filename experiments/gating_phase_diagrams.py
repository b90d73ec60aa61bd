"""Phase diagrams of random gated networks: simulated exponents over gains, theory's lines, and the dimension.

    python experiments/gating_phase_diagrams.py [--quick] [--out-dir results]

What `gru-sweep gating phase-diagram` does for the gated RNN over g and alpha_r and for the GRU over a_h and
a_r, on the grids below, resumed where it was stopped; and Kaplan-Yorke dimensions over alpha_r. Counts say
how often networks do what theory expects: rest at zero where zero alone is a fixed point and is stable, move
where it is unstable. Claims: a phase diagram of the fixed points (Can, Krishnamurthy & Schwab 2020); gates
control the dimension, rich dynamics in phase diagrams (Krishnamurthy, Can & Schwab 2022). Writes
gating_phase_diagrams.json, .md and a picture of each diagram.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from outputs import arguments

import gru_sweep as gs
from gru_sweep import plotting
from gru_sweep.gating.trajectories import Motion
from gru_sweep.records import Status

NAME = "gating_phase_diagrams"
NEAR = 0.15
"""log K of zero within which a network of this size may be on either side of the transition: its largest
eigenvalue is at 1 + O(N^-1/2) times the edge."""
PRECISION = "float32"


@dataclasses.dataclass(frozen=True)
class Diagram:
    cell: str
    axes: dict[str, tuple[float, float, int]]
    networks: dict[str, float]

    @property
    def file(self) -> str:
        return f"gating_phases_{self.cell.replace('-', '_')}"


FULL = (
    Diagram("gated-rnn", {"g": (1.0, 4.0, 64), "alpha_r": (0.0, 30.0, 64)}, {"size": 128, "networks": 3}),
    Diagram("gru", {"a_h": (1.0, 4.0, 32), "a_r": (0.0, 30.0, 32)}, {"size": 128, "networks": 3}),
)
SHORT = {"size": 32, "networks": 2, "transient": 50.0, "time": 60.0}
QUICK = (
    Diagram("gated-rnn", {"g": (1.0, 4.0, 5), "alpha_r": (0.0, 30.0, 3)}, SHORT),
    Diagram("gru", {"a_h": (1.0, 4.0, 4), "a_r": (0.0, 30.0, 2)}, SHORT),
)
DIMENSION = {"g": 3.0, "alpha_r": (0.0, 5.0, 10.0, 20.0, 40.0)}
DIMENSION_NETWORKS = {"size": 100, "networks": 3, "transient": 100.0, "time": 200.0, "exponents": 60}
QUICK_DIMENSION = {"size": 24, "networks": 1, "transient": 20.0, "time": 40.0, "exponents": 16}


def share(part: np.ndarray, whole: np.ndarray) -> dict[str, int]:
    return {"count": int((part & whole).sum()), "of": int(whole.sum())}


def agreement(data: xr.Dataset) -> dict[str, Any]:
    """How often networks do what theory expects, and where they are told."""
    ok = data.status.values == Status.OK
    alone = (data.mean_field_count.values == 1) & (np.log(data.K_zero.values) < -NEAR)
    unstable = np.log(data.K_zero.values) > NEAR
    both = (data.mean_field_count.values > 1) & (np.log(data.K_zero.values) < -NEAR)
    motion = data.motion.values
    return {
        "points": int(ok.size),
        "ok": int(ok.sum()),
        "at_zero_where_zero_alone_is_stable": share(motion == Motion.AT_ZERO, ok & alone),
        "not_at_zero_where_zero_is_unstable": share(motion != Motion.AT_ZERO, ok & unstable),
        "chaotic_where_zero_is_unstable": share(motion == Motion.CHAOTIC, ok & unstable),
        "zero_stable_beside_other_fixed_points": {
            kind.name.lower(): int((ok & both & (motion == kind)).sum())
            for kind in (Motion.AT_ZERO, Motion.FIXED_POINT, Motion.PERIODIC_OR_SLOW, Motion.CHAOTIC)
        },
        "negative_exponent_where_zero_alone_is_stable": share(data.lyapunov.values < 0, ok & alone),
        "largest_exponent": float(np.nanmax(data.lyapunov.where(data.status == Status.OK))),
        "median_standard_error": float(np.nanmedian(data.lyapunov_error)),
    }


def one(diagram: Diagram, folder: Path) -> dict[str, Any]:
    """A diagram's file and picture, and what is in it."""
    began = time.perf_counter()
    data = gs.sweep(
        diagram.cell,
        measure="phase-diagram",
        networks=diagram.networks,
        precision=PRECISION,
        out=folder / f"{diagram.file}.h5",
        resume=True,
        progress=True,
        **diagram.axes,
    ).load()
    seconds = time.perf_counter() - began
    plotting.save(data, folder / f"{diagram.file}.png")
    shape = " x ".join(str(num) for *_, num in diagram.axes.values())
    return {
        "cell": diagram.cell,
        "axes": {name: list(axis) for name, axis in diagram.axes.items()},
        "networks": dict(diagram.networks),
        "shape": shape,
        "seconds": seconds,
        "points_per_second": float(data.attrs["points_per_second"]),
        **agreement(data),
    }


def dimensions(networks: dict[str, float]) -> dict[str, Any]:
    """Kaplan-Yorke dimension over alpha_r, in numbers and per unit."""
    alpha_r = list(DIMENSION["alpha_r"])
    data = gs.sweep(
        "gated-rnn",
        measure="lyapunov",
        networks=networks,
        precision=PRECISION,
        g=DIMENSION["g"],
        alpha_r=alpha_r,
    )
    values = data.dimension.values
    return {
        "g": DIMENSION["g"],
        "networks": dict(networks),
        "alpha_r": alpha_r,
        "dimension": values.tolist(),
        "largest_exponent": data.lyapunov.values.tolist(),
        "median_per_unit": (np.median(values, axis=1) / networks["size"]).tolist(),
    }


def text(found: dict[str, Any]) -> str:
    lines = ["# Phase diagrams of random gated networks", ""]
    for row in found["diagrams"]:
        zero, moving = row["at_zero_where_zero_alone_is_stable"], row["not_at_zero_where_zero_is_unstable"]
        lines += [
            f"## {row['cell']}, {row['shape']} points, {row['networks']['networks']} networks of "
            f"{row['networks']['size']} units each",
            "",
            f"{row['seconds']:.0f} s ({row['points_per_second']:.3g} points/s). Resolved: {row['ok']} of "
            f"{row['points']}. Zero alone and stable by theory: at zero {zero['count']} of {zero['of']}. "
            f"Zero unstable: away from it {moving['count']} of {moving['of']}, chaotic "
            f"{row['chaotic_where_zero_is_unstable']['count']}. Zero stable beside other fixed points: "
            + ", ".join(
                f"{n} {k.replace('_', ' ')}" for k, n in row["zero_stable_beside_other_fixed_points"].items()
            )
            + f". Largest exponent {row['largest_exponent']:.3f}; median standard error "
            f"{row['median_standard_error']:.3f}.",
            "",
        ]
    of = found["dimension"]
    lines += [
        f"## Dimension at g = {of['g']:g}: {of['networks']['networks']} networks of {of['networks']['size']}",
        "",
        "| alpha_r | largest exponent | Kaplan-Yorke dimension of each | median, per unit |",
        "|---:|---:|---:|---:|",
    ]
    for a, exponent, values, each in zip(
        of["alpha_r"], of["largest_exponent"], of["dimension"], of["median_per_unit"]
    ):
        shown = ", ".join(f"{value:.1f}" for value in values)
        lines.append(f"| {a:g} | {exponent:.3f} | {shown} | {each:.3f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    given = arguments(__doc__, quick="few small networks on coarse grids")
    given.out_dir.mkdir(parents=True, exist_ok=True)
    found = {
        "precision": PRECISION,
        "diagrams": [one(diagram, given.out_dir) for diagram in (QUICK if given.quick else FULL)],
        "dimension": dimensions(QUICK_DIMENSION if given.quick else DIMENSION_NETWORKS),
    }
    (given.out_dir / f"{NAME}.json").write_text(json.dumps(found, indent=1) + "\n")
    (given.out_dir / f"{NAME}.md").write_text(text(found))
    print(text(found))


if __name__ == "__main__":
    main()
