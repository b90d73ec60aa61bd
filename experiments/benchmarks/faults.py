"""What a sweep survives: kills, dying workers, full disks, damaged files; and what memory and engines cost.

    python experiments/benchmarks/faults.py [--only SECTION,...] [--kills N] [--quick] [--out-dir FOLDER]

The sections are kills, workers, disks, damage, memory, overhead and pair. Each is measured and compared with
what is asked for; prints a table and writes faults.json and faults.md, in which a section that was not run
keeps its rows. Exit status 1 if anything is not as it was asked for. With --quick everything is small, rates
and memory are compared with nothing, only kills, disks and damage are run unless sections are named, and
nothing is written without --out-dir.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faulty import damage, disks, kills, scaling, workers
from faulty.rows import Row, table

RESULTS = Path(__file__).resolve().parents[2] / "results" / "benchmarks"
SEED = 5
"""Of the instants of kills and the places of damages."""
SHORT = ("kills", "disks", "damage")
FEW = 2
"""Kills of a quick run."""

Measure = Callable[[Path], list[Row]]


def sections(number: int, quick: bool) -> dict[str, tuple[str, Measure]]:
    """A title and what measures it, by the section's name; each is given an empty folder."""
    return {
        "kills": ("Killed at any instant", lambda at: kills.measure(at, number, SEED, quick=quick)),
        "workers": ("Workers and schedulers", lambda at: workers.measure(at, quick=quick)),
        "disks": ("Disks", lambda at: disks.measure(at, quick=quick)),
        "damage": ("Damaged files", lambda at: damage.measure(at, SEED, quick=quick)),
        "memory": ("Memory, `gru-sweep run hopf`", lambda at: scaling.memory(at, quick=quick)),
        "overhead": ("What the engine costs", lambda at: scaling.overhead(at, quick=quick)),
        "pair": ("Two workers", lambda at: scaling.pair(at, quick=quick)),
    }


def measured(measure: Measure) -> dict[str, Any]:
    """The rows of a section, its seconds and the machine; a section that cannot be measured says why."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        try:
            rows = measure(Path(folder))
        except Exception as reason:
            rows = [Row("measured", f"no: {type(reason).__name__}: {reason}".splitlines()[0], "yes", False)]
    return {
        "seconds": time.perf_counter() - began,
        "cores": len(os.sched_getaffinity(0)),
        "rows": [dataclasses.asdict(row) for row in rows],
    }


def text(found: dict[str, Any], titles: dict[str, str]) -> str:
    """The sections that were measured, as a page of Markdown."""
    lines = [
        "# What a sweep survives, and what its engines cost",
        "",
        "`python experiments/benchmarks/faults.py`",
    ]
    for name, title in titles.items():
        if name in found:
            one = found[name]
            rows = [Row(**row) for row in one["rows"]]
            lines += [
                "",
                f"## {title}",
                "",
                f"{one['cores']} cores, {one['seconds']:.0f} s.",
                "",
                table(rows),
            ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="sections, separated by commas")
    parser.add_argument("--kills", type=int, default=200, help="of each engine")
    parser.add_argument("--quick", action="store_true", help="everything small")
    parser.add_argument("--out-dir", type=Path, help="where faults.json and faults.md are")
    asked = parser.parse_args()
    known = sections(FEW if asked.quick else asked.kills, asked.quick)
    names = asked.only.split(",") if asked.only else SHORT if asked.quick else tuple(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"--only: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    found: dict[str, Any] = {}
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found[name] = measured(known[name][1])
    titles = {name: title for name, (title, _) in known.items()}
    print(text(found, titles))
    out = asked.out_dir or (None if asked.quick else RESULTS)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        record = out / "faults.json"
        kept = json.loads(record.read_text()) if record.exists() else {}
        record.write_text(json.dumps(kept | found, indent=1) + "\n")
        (out / "faults.md").write_text(text(kept | found, titles))
    return int(any(row["good"] is False for one in found.values() for row in one["rows"]))


if __name__ == "__main__":
    sys.exit(main())
