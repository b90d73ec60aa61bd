"""Training small GRUs (Eqs 2-4, 10) by this program and by PyTorch on the CPU, in one run.

    python experiments/benchmarks/training.py [--quick]

The same data (the ring attractor, 667 series of 30 points), first parameters, cell, loss, Adam and float32 on
both sides. This program trains 20 seeds at once; PyTorch one network after another, with one thread or one
per core, whichever is faster. The two take turns, and medians are compared; compiling is apart. Both have to
come to the same losses. Prints a table and, unless quick, writes results/benchmarks/training.json and .md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import time
from typing import Any

import jax
import numpy as np
from hopf_map import RESULTS, machine

from gru_sweep.training.initialisations import initial
from gru_sweep.training.settings import Member, Settings
from gru_sweep.training.tasks import draw, named
from gru_sweep.training.trainer import Trainer

TASK, SEED, RATE = "ring", 0, 0.01
DIMS = (2, 4, 8, 16)
WANTED = {2: 10.0, 4: 5.0, 8: 1.0, 16: 1.0}
"""Times PyTorch's rate, at the least."""
COMPARED = 20
"""First epochs whose losses are compared: rounding grows from update to update."""


@dataclasses.dataclass(frozen=True)
class Size:
    """Seeds; member-epochs of one of this program's turns, times d; epochs of PyTorch's; turns of each"""

    seeds: int = 20
    work: int = 40_000
    epochs: int = 40
    turns: int = 3


QUICK = Size(seeds=4, work=1000, epochs=COMPARED, turns=1)


def measure(dim: int, series: tuple[np.ndarray, np.ndarray], size: Size) -> dict[str, Any]:
    """Both programs at one size: member-epochs per second, seconds to compile, agreement of the losses."""
    from peers import torch_gru

    members = [Member(dim, seed, RATE) for seed in range(size.seeds)]
    turn = max(1, size.work // (dim * size.seeds))
    trainer = Trainer(*series, members, Settings(epochs=COMPARED + size.turns * turn, snapshots=()))
    trainer.advance(COMPARED)  # compiles
    begin = initial("uniform", 0, dim)
    cores = len(os.sched_getaffinity(0))
    ours: list[float] = []
    theirs: dict[int, list[float]] = {threads: [] for threads in sorted({1, cores})}
    for _ in range(size.turns):
        for threads, rates in theirs.items():
            losses, seconds = torch_gru.train(begin, series[0], RATE, size.epochs, threads)
            rates.append(size.epochs / seconds)
        began = time.perf_counter()
        trainer.advance(turn)
        ours.append(turn * size.seeds / (time.perf_counter() - began))
    mine = trainer.history.loss[0, :COMPARED]
    peer = {threads: statistics.median(rates) for threads, rates in theirs.items()}
    threads = max(peer, key=lambda key: peer[key])
    return {
        "dim": dim,
        "gru_sweep": statistics.median(ours),
        "gru_sweep_turns": ours,
        "compile_seconds": trainer.compile_seconds,
        "torch": peer[threads],
        "torch_threads": threads,
        "torch_turns": theirs,
        "ratio": statistics.median(ours) / peer[threads],
        "wanted": WANTED[dim],
        "loss_difference": float(np.max(np.abs(mine / losses[:COMPARED] - 1))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few seeds and epochs; writes nothing")
    quick = parser.parse_args().quick
    size = QUICK if quick else Size()
    jax.config.update("jax_enable_compilation_cache", False)  # compiling is measured
    facts = machine()
    data = draw(named(TASK), SEED)
    rows = [measure(dim, (data.train, data.test), size) for dim in DIMS]
    lines = [
        "| units | this program | compiling | PyTorch | its threads | ratio | wanted | losses differ by |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {r['dim']} | {r['gru_sweep']:.0f} /s | {r['compile_seconds']:.1f} s | {r['torch']:.0f} /s "
            f"| {r['torch_threads']} | {r['ratio']:.1f} | {r['wanted']:.0f} | {r['loss_difference']:.1e} |"
            for r in rows
        ),
    ]
    print(*lines, sep="\n")
    if quick:
        return
    import torch

    facts["versions"]["torch"] = torch.__version__
    head = [
        "# Training: this program and PyTorch",
        "",
        f"{facts['cpu']}, {facts['cores']} cores, load {facts['load_before']:.1f} before; "
        f"jax {facts['versions']['jax']}, torch {torch.__version__}.",
        f"Epochs of one network per second, medians of {size.turns} turns; {size.seeds} seeds at once "
        f"against one after another; {TASK}, 667 series, 29 steps, float32, full batch, Adam; "
        f"relative difference of the losses of one seed over the first {COMPARED} epochs.",
        "",
    ]
    RESULTS.mkdir(parents=True, exist_ok=True)
    found = {"machine": facts, "size": dataclasses.asdict(size), "task": TASK, "rows": rows}
    (RESULTS / "training.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "training.md").write_text("\n".join(head + lines) + "\n")


if __name__ == "__main__":
    main()
