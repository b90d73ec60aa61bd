"""Measure what no figure measures, and write the report.

    python -m experiments.reproduction [--quick] [--out-dir results]

Writes reproduction.json and REPRODUCTION.md from the other results in the folder. `--quick` keeps the
reproduction.json that is there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jax

from gru_sweep.cli import use_compilation_cache

from . import direct
from .claim import FILES, Measured
from .report import render

RESULTS = Path(__file__).resolve().parents[2] / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="keep the measurements that are there")
    parser.add_argument("--out-dir", type=Path, default=RESULTS)
    given = parser.parse_args()
    given.out_dir.mkdir(parents=True, exist_ok=True)
    kept = given.out_dir / f"{FILES['direct']}.json"
    if not given.quick or not kept.exists():
        use_compilation_cache()
        jax.config.update("jax_enable_x64", True)
        kept.write_text(json.dumps(direct.measure(), indent=1) + "\n")
    text = render(Measured.load(given.out_dir))
    (given.out_dir / "REPRODUCTION.md").write_text(text)
    print(next(line for line in text.splitlines() if line.startswith("**")).strip("*"))


if __name__ == "__main__":
    main()
