"""How many small GRUs can be trained at once? Throughput against their number.

    python experiments/many_small_grus.py [--quick] [--out-dir results]

1, 10, 100 and 1 000 networks of two units, each from a seed of its own, learn FitzHugh-Nagumo (section 5 of
Jordan, Sokol & Park 2021: 667 series, 29 steps, full batch, Adam) by the one program compiled for their size.
Writes many_small_grus.json and .md: epochs of one network per second, and what they have learnt by then.
"""

from __future__ import annotations

import json
import os
import statistics
import time

import numpy as np
from outputs import arguments

from gru_sweep.training.settings import Member, Settings
from gru_sweep.training.tasks import draw, named
from gru_sweep.training.trainer import Trainer

NAME = "many_small_grus"
TASK, DIM, RATE = "fhn", 2, 0.01
COUNTS, QUICK_COUNTS = (1, 10, 100, 1000), (1, 5)
WORK, QUICK_WORK = 20_000, 40
"""Epochs of one network in a turn, at the most 1 000 of each."""
TURNS = 3
WARM = 10
"""Epochs before the clock runs, in which the program is compiled."""


def measure(count: int, work: int) -> dict:
    """`count` networks: rates of the turns, and losses before and after."""
    data = draw(named(TASK), 0)
    members = [Member(DIM, seed, RATE) for seed in range(count)]
    turn = max(1, min(1000, work // count))
    trainer = Trainer(data.train, data.test, members, Settings(epochs=WARM + TURNS * turn, snapshots=()))
    trainer.advance(WARM)
    rates = []
    for _ in range(TURNS):
        began = time.perf_counter()
        trainer.advance(turn)
        rates.append(turn * count / (time.perf_counter() - began))
    loss = trainer.history.loss
    return {
        "members": count,
        "epochs": trainer.epoch,
        "member_epochs_per_second": statistics.median(rates),
        "turns": rates,
        "compile_seconds": trainer.compile_seconds,
        "compilations": trainer.compilations,
        "diverged": int((trainer.diverged >= 0).sum()),
        "first_loss": float(np.nanmedian(loss[:, 0])),
        "last_loss": float(np.nanmedian(loss[:, -1])),
    }


def main() -> None:
    given = arguments(__doc__, "1 and 5 networks for a few epochs")
    counts, work = (QUICK_COUNTS, QUICK_WORK) if given.quick else (COUNTS, WORK)
    rows = [measure(count, work) for count in counts]
    found = {"task": TASK, "dim": DIM, "learning_rate": RATE, "cores": os.cpu_count(), "rows": rows}
    given.out_dir.mkdir(parents=True, exist_ok=True)
    (given.out_dir / f"{NAME}.json").write_text(json.dumps(found, indent=1) + "\n")
    lines = [
        "# Many small GRUs at once",
        "",
        f"{DIM} units, {TASK}, 667 series, 29 steps, full batch, Adam, float32; {os.cpu_count()} cores; "
        f"medians of {TURNS} turns.",
        "",
        "| networks | epochs of one network per second | compiling, s | programs | epochs | median loss |",
        "|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {r['members']} | {r['member_epochs_per_second']:.0f} | {r['compile_seconds']:.1f} "
            f"| {r['compilations']} | {r['epochs']} | {r['first_loss']:.0f} to {r['last_loss']:.0f} |"
            for r in rows
        ),
    ]
    (given.out_dir / f"{NAME}.md").write_text("\n".join(lines) + "\n")
    print(*lines[4:], sep="\n")


if __name__ == "__main__":
    main()
