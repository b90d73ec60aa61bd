"""What the experiments have in common: their arguments, their precision, and where their results go."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import xarray as xr

from gru_sweep.cli import use_compilation_cache

RESULTS = Path(__file__).resolve().parent.parent / "results"


def arguments(doc: str | None, quick: str) -> argparse.Namespace:
    """`quick` and `out_dir` from the command line; 64-bit types and the compilation cache are on now."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--out-dir", type=Path, default=RESULTS)
    given = parser.parse_args()
    use_compilation_cache()
    jax.config.update("jax_enable_x64", True)
    return given


def write(folder: Path, name: str, data: xr.Dataset, verdict: Any, draw: Callable[[Path], None]) -> None:
    """`name`.h5, `name`.json and, by `draw(path)`, `name`.png in a folder that is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    data.to_netcdf(folder / f"{name}.h5", engine="h5netcdf")
    (folder / f"{name}.json").write_text(json.dumps(verdict, indent=1) + "\n")
    draw(folder / f"{name}.png")
