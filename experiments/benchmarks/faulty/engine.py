"""The engine's own cost: the same chunks by bare calls and by `Local.fill`, interleaved, in this process.

    python -m faulty.engine FOLDER [--quick]

Prints one JSON object: points of a chunk, number of chunks, seconds of all of them, each time.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from pathlib import Path

import jax
import numpy as np

from gru_sweep import studies
from gru_sweep.caching import prepare_process
from gru_sweep.sweeps.engines.local import Local
from gru_sweep.sweeps.grid import Axis
from gru_sweep.sweeps.store import Store
from gru_sweep.sweeps.sweep import Silent

CHUNKS, RUNS = 3, 31
WARM = 2**14
"""A batch."""
SIDE = 1000
"""Values of alpha; a chunk has so many times some values of beta."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    chunks, runs = (2, 1) if asked.quick else (CHUNKS, RUNS)
    prepare_process("cpu")
    jax.config.update("jax_enable_x64", True)
    rate = 2000.0 if asked.quick else _rate()
    width = max(1, round(rate / SIDE))
    axes = [Axis("beta", np.linspace(1, 3, width * chunks)), Axis("alpha", np.linspace(0, 3.14159265, SIDE))]
    plan = studies.plan("hopf", axes=axes, settings={"s": 0.0}, out=asked.folder / "unused.h5")
    evaluate = studies.evaluator(plan)
    blocks = plan.grid.blocks(width * SIDE)
    evaluate(plan.grid.coordinates(blocks[0]))

    def by_calls() -> float:
        began = time.perf_counter()
        for block in blocks:
            evaluate(plan.grid.coordinates(block))
        return time.perf_counter() - began

    def by_engine() -> float:
        path = asked.folder / f"{uuid.uuid4()}.h5"
        with Store(
            path, plan.grid, evaluate.columns, chunk=width * SIDE, fingerprint={}, attributes={}
        ) as store:
            began = time.perf_counter()
            Local([evaluate]).fill(store, Silent(), None)
            return time.perf_counter() - began

    bare, whole = [], []
    for run in range(runs):
        # Whoever comes first may find the processor cooler.
        for way, seconds in ((by_calls, bare), (by_engine, whole))[:: 1 if run % 2 else -1]:
            seconds.append(way())
    print(json.dumps({"chunk": width * SIDE, "chunks": chunks, "bare": bare, "whole": whole}))


def _rate() -> float:
    """Points in a second, of a call of about a second all over the plane that is swept."""
    axes = [Axis("beta", np.linspace(1, 3, 64)), Axis("alpha", np.linspace(0, 3.14159265, WARM // 16))]
    plan = studies.plan("hopf", axes=axes, settings={"s": 0.0}, out="unused.h5")
    evaluate = studies.evaluator(plan)
    whole = plan.grid.coordinates(plan.grid.blocks(4 * WARM)[0])
    evaluate(whole)
    began = time.perf_counter()
    evaluate(whole)
    return 4 * WARM / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
