"""How far section 5 of Jordan, Sokol & Park (2021) depends on what the text leaves open.

    python experiments/learning_choices.py [--quick] [--out-dir results]

Learning rate, first parameters, and whether the noisy current is drawn at each step or once for a series; and
the line, of which Fig 12 has no curves. All errors are mean squares of an observed number in training.
Fewer networks and epochs than Fig 12 has: see `FEW`, `SHORT`. Writes learning_choices.json and .md.
"""

from __future__ import annotations

import json
from typing import Any

import jax
import numpy as np
from intervals import compared, median
from learning import EPOCHS, QUICK_EPOCHS, QUICK_SEEDS, SEEDS, SMALL, share
from outputs import arguments

from gru_sweep.learning.portraits import portraits
from gru_sweep.learning.school import network_seed
from gru_sweep.training import tasks
from gru_sweep.training.initialisations import INITIALISATIONS
from gru_sweep.training.maps import double
from gru_sweep.training.settings import Member, Settings
from gru_sweep.training.trainer import Trainer

NAME = "learning_choices"
RATE, RATES = 0.01, (0.003, 0.01, 0.03)
SIZES, QUICK_SIZES = (2, 16), (2, 4)
"""Of the comparisons: fewest and most units."""
FEW, SHORT = 5, 1000
"""Networks of each size and epochs of the comparisons."""
REACHED = 0.4
"""Training error that networks of two units reach where they have a cycle, and not without."""


def compute(quick: bool) -> dict[str, Any]:
    """All comparisons, each with errors by size at the end."""
    sizes, seeds, epochs = (QUICK_SIZES, 1, QUICK_EPOCHS) if quick else (SIZES, FEW, SHORT)
    rows = {}
    for task in ("ring", "fhn"):
        several = ends(task, sizes, seeds, epochs, RATES)
        rows |= {f"{task}, learning rate {rate:g}": row(several[:, :, i]) for i, rate in enumerate(RATES)}
    series = ends("fhn", sizes, seeds, epochs, current="series")
    rows["fhn, one current for a series"] = row(series[:, :, 0])
    rows["line"] = row(ends("line", sizes, seeds, epochs)[:, :, 0])
    return {
        "sizes": list(sizes),
        "networks": seeds,
        "epochs": epochs,
        "rows": rows,
        "initialisations": initialisations(quick),
    }


def ends(
    task: str,
    sizes: tuple[int, ...],
    seeds: int,
    epochs: int,
    rates: tuple[float, ...] = (RATE,),
    current: str = "step",
) -> np.ndarray:
    """Training errors (size, seed, rate) before the last step."""
    data = tasks.draw(tasks.named(task), 0, current=current)
    trainer = Trainer(data.train, data.test, members(sizes, seeds, rates), Settings(epochs, snapshots=()))
    trainer.run()
    loss = trainer.history.loss[:, -1] / data.train[:, 0].size
    return loss.reshape(len(sizes), seeds, len(rates))


def members(sizes: tuple[int, ...], seeds: int, rates: tuple[float, ...] = (RATE,)) -> list[Member]:
    """The networks that `gru_sweep.train` makes."""
    return [Member(size, network_seed(0, n), rate) for size in sizes for n in range(seeds) for rate in rates]


def row(values: np.ndarray) -> dict[str, Any]:
    """Errors (size, seed) in short."""
    return {"training": [median(one) for one in values], "last_over_first": compared(values[0], values[-1])}


def initialisations(quick: bool) -> dict[str, Any]:
    """Two units on FitzHugh-Nagumo: how many have a stable cycle of the flow, and when they reach
    `REACHED`."""
    seeds, epochs = (QUICK_SEEDS, QUICK_EPOCHS) if quick else (SEEDS, EPOCHS)
    data = tasks.draw(tasks.named("fhn"), 0)
    found = {}
    for name in INITIALISATIONS:
        settings = Settings(epochs, name, snapshots=())
        trainer = Trainer(data.train, data.test, members((SMALL,), seeds), settings)
        trainer.run()
        with jax.enable_x64(True):
            cycles = portraits([double(one).cell for one in trainer.networks()])["n_stable_cycles"]
        curves = trainer.history.loss / data.train[:, 0].size
        below = curves < REACHED
        first = float(np.median(np.where(below.any(axis=1), below.argmax(axis=1), np.inf)))
        found[name] = {
            "a_cycle": share(int((cycles > 0).sum()), seeds),
            "reach": share(int(below.any(axis=1).sum()), seeds),
            "median_epoch": first if np.isfinite(first) else None,
            "training": median(curves[:, -1]),
        }
    return {"error_to_reach": REACHED, "networks": seeds, "epochs": epochs, "by_name": found}


def table(found: dict[str, Any]) -> str:
    """The findings as Markdown."""
    first, last = found["sizes"][0], found["sizes"][-1]
    lines = [
        "# What training depends on",
        "",
        f"Mean square training errors, medians of {found['networks']} networks, {found['epochs']} epochs.",
        "",
        f"| | {first} units | {last} units | quotient | interval | |",
        "|---|---:|---:|---:|---|---|",
    ]
    for name, one in found["rows"].items():
        quotient, (low, high) = one["last_over_first"]["quotient"], one["last_over_first"]["interval"]
        ends = " | ".join(f"{one['training'][i]['median']:.4g}" for i in (0, -1))
        word = one["last_over_first"]["verdict"]
        lines.append(f"| {name} | {ends} | {quotient:.3f} | {low:.3f} to {high:.3f} | {word} |")
    starts = found["initialisations"]
    lines += [
        "",
        f"FitzHugh-Nagumo, two units, {starts['epochs']} epochs, by how networks begin; the epoch is the "
        f"median at which the error falls below {starts['error_to_reach']:g}:",
        "",
        "| | a cycle | epoch | training error |",
        "|---|---:|---:|---:|",
    ]
    for name, one in starts["by_name"].items():
        cycle, epoch = one["a_cycle"], one["median_epoch"]
        shown = "-" if epoch is None else f"{epoch:.0f}"
        error = one["training"]["median"]
        lines.append(f"| {name} | {cycle['count']} of {cycle['of']} | {shown} | {error:.4g} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    given = arguments(__doc__, "one network of 2 and 4 units, few epochs")
    found = compute(given.quick)
    given.out_dir.mkdir(parents=True, exist_ok=True)
    (given.out_dir / f"{NAME}.json").write_text(json.dumps(found, indent=1) + "\n")
    text = table(found)
    (given.out_dir / f"{NAME}.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
