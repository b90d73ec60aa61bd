"""Points worth knowing, and what the oracle says of them, frozen in data/hopf_reference.json.

`python -m tests.reference` prints the oracle's answers again, `--write` freezes them; it takes minutes.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracle import FAMILIES, hopf_angle, portrait, snic_angle

REFERENCE = Path(__file__).parent / "data" / "hopf_reference.json"
"""What the oracle says of `reference_points()`, one point a line."""


def reference_points(seed: int = 2021) -> list[dict[str, Any]]:
    """Points worth knowing: `family`, its `coordinates` and `where` they lie."""
    rng = np.random.default_rng(seed)
    points: list[dict[str, Any]] = []

    def add(where: str, family: str = "hopf", **coordinates: float) -> None:
        values = {name: float(value) for name, value in coordinates.items()}
        points.append({"family": family, "where": where, "coordinates": values})

    def oscillating() -> tuple[float, float]:
        """(beta, s) with beta sigma(s) well above 1, where there is a Hopf angle."""
        while True:
            beta, s = rng.uniform(1.3, 3), rng.uniform(-0.5, 3)
            if beta / (1 + math.exp(-s)) > 1.2:
                return beta, s

    for _ in range(16):
        add("plane", alpha=rng.uniform(0, math.pi), beta=rng.uniform(1, 3), s=rng.uniform(-1, 3))
    for distance in (1e-2, 1e-3, 1e-4):
        for side in (-1, 1, -1, 1, -1, 1):
            beta, s = oscillating()
            add("Hopf curve", alpha=hopf_angle(beta, s) + side * distance, beta=beta, s=s)
    for beta, s in [(3.0, 0.0), *(oscillating() for _ in range(4))]:
        fold = snic_angle(beta, s)
        for distance in (1e-2, 1e-3, 1e-4, 1e-5):
            add("saddle-node on the cycle", alpha=fold + distance, beta=beta, s=s)
        add("nine fixed points", alpha=fold - 1e-4, beta=beta, s=s)
        add("nine fixed points", alpha=fold * rng.uniform(0.1, 0.9), beta=beta, s=s)
    for _ in range(12):
        beta, s = oscillating()
        br1, br2 = s + rng.uniform(-1, 1, 2)
        mean = (1 / (1 + math.exp(-br1)) + 1 / (1 + math.exp(-br2))) / 2
        limit = math.acos(min(1.0, 1 / (beta * mean))) if beta * mean > 1 else 1.0
        add("unequal biases", alpha=limit * rng.uniform(0.2, 1.1), beta=beta, s=s, br1=br1, br2=br2)
    for gamma in (0.051, 0.053, 0.0535, 0.054, 0.05405, 0.0542):
        add("Eq 9", "homoclinic", gamma=gamma)
    return points


def answer(point: dict[str, Any]) -> dict[str, Any]:
    """`point` with what the oracle says of it, ready for JSON."""
    found = portrait(FAMILIES[point["family"]](**point["coordinates"]))
    return point | {
        "fixed_points": [{"h": p.h, "kind": p.kind} for p in found.fixed_points],
        "cycles": [
            {
                "period": c.period,
                "frequency": c.frequency,
                "stable": c.stable,
                "floquet_multiplier": c.multiplier,
                "amplitude": c.amplitude,
                "error": c.error,
            }
            for c in found.cycles
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="The oracle's answers at its reference points.")
    parser.add_argument("--write", action="store_true", help=f"write them to {REFERENCE.name}")
    write = parser.parse_args().write
    lines = []
    for point in reference_points():
        lines.append(json.dumps(answer(point)))
        print(lines[-1], flush=True)
    if write:
        REFERENCE.parent.mkdir(exist_ok=True)
        REFERENCE.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
