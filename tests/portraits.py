"""A sample of planar GRUs of many phase portraits, with the scipy reference's answer beside each.

Plain random weights are nearly always one sink, so for the class that lacks most a recipe is drawn by its
success so far (`recipes`), what was found before and is now disturbed among them. What the reference cannot
decide, or decides differently with a tenth of its tolerance, is left out and counted.

`python -m tests.portraits --write 1000 --to FILE` appends to FILE until it holds 1000 systems, one line of
JSON each, and goes on where it was stopped. The draws depend on the seed and on what FILE holds; gru_sweep
has no part in the selection.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracle import PlanarGRU, fixed_points
from tests.oracle_portrait import SADDLE, PortraitCode, code
from tests.recipes import RECIPES, WEIGHTS, Draw, disturbed, symmetric

REFERENCE = Path(__file__).parent / "data" / "portrait_reference.json"
"""What the reference says of a few systems of every class, one a line."""

CLASSES = (
    "one sink",
    "two sinks",
    "three sinks",
    "four sinks",
    "one sink, with sources",
    "two sinks, one source",
    "seven fixed points",
    "nine fixed points",
    "eleven or more fixed points",
    "cycle alone",
    "cycle beside a sink",
    "cycle beside sinks",
    "cycle around three",
    "cycle around five or more",
    "unstable cycle around a sink",
    "unstable cycle around three or more",
    "hidden cycle",
    "stable and unstable cycles",
    "nested stable cycles",
    "cycles side by side",
)
PATIENCE = 300
"""Systems of classes that are full after which all classes may have one more."""


def class_of(found: PortraitCode) -> str:
    """The coarse class, one of `CLASSES`, that a portrait is counted under."""
    kind = found.kind[found.kind >= 0]
    n, sinks, saddles = len(kind), int((kind < 2).sum()), int((kind == SADDLE).sum())
    sources = n - sinks - saddles
    masks = found.cycle_encloses[: found.n_cycles].tolist()
    around = [[i for i in range(n) if mask >> i & 1] for mask in masks]
    stable = [k for k in range(found.n_cycles) if found.cycle_stable[k] == 1]
    if not around:
        if n > 9:
            return "eleven or more fixed points"
        if sources == 0:
            return ("one sink", "two sinks", "three sinks", "four sinks", "nine fixed points")[n // 2]
        if sinks == 1:
            return "one sink, with sources"
        return {5: "two sinks, one source", 7: "seven fixed points"}.get(n, "nine fixed points")
    if not stable:
        return "unstable cycle around " + ("a sink" if min(map(len, around)) == 1 else "three or more")
    if any(_inside(found, k, m) for k in stable for m in stable if k != m):
        return "nested stable cycles"
    if any(all(kind[i] < 2 for i in around[k]) for k in stable):
        return "hidden cycle"
    if len(stable) < found.n_cycles:
        return "stable and unstable cycles"
    if len(stable) > 1:
        return "cycles side by side"
    inside = len(around[0])
    if inside > 1:
        return "cycle around " + ("three" if inside == 3 else "five or more")
    return "cycle alone" if n == 1 else "cycle beside a sink" if sinks == 1 else "cycle beside sinks"


def _inside(found: PortraitCode, k: int, m: int) -> bool:
    while k >= 0 and k != m:
        k = int(found.cycle_within[k])
    return k == m


def answer(gru: PlanarGRU, symmetry: str = "none") -> dict[str, Any]:
    """The GRU and what the reference says of it, ready for JSON.

    Raises ArithmeticError where the reference cannot tell, or tells differently when it looks more closely.
    """
    points = fixed_points(gru)
    found = code(gru, points)
    if code(gru, points, care=10).lists() != found.lists():
        raise ArithmeticError("another answer with a smaller tolerance")
    return {
        "class": class_of(found),
        "symmetry": symmetry,
        **{n: np.ravel(getattr(gru, n)).tolist() for n in WEIGHTS},
        "fixed_point": [[round(x, 10) for x in p.h] for p in points],
        **found.lists(),
    }


class Search:
    """What to try next, so that there come to be `quota` systems of each class that can be found, and as
    many symmetric ones of whatever class."""

    def __init__(self, known: list[dict[str, Any]], quota: int, seed: int):
        self.rng, self.quota = np.random.default_rng([seed, len(known)]), quota
        self.members = {name: [s for s in known if s["class"] == name] for name in CLASSES}
        self.symmetric = sum(s["symmetry"] != "none" for s in known)
        self.in_vain = 0
        self.tries: Counter[Any] = Counter()
        self.hits: Counter[Any] = Counter()

    def propose(self) -> tuple[str, str, Draw]:
        """The class sought, the recipe chosen for it, and a draw of that."""
        if self.symmetric < self.quota and self.rng.random() < 0.1:
            return CLASSES[0], symmetric.__name__, symmetric(self.rng)
        wanted = [c for c in CLASSES if len(self.members[c]) < self.quota] or list(CLASSES)
        # a class is sought the less, the more has been tried in vain
        target = self._pick(wanted, [(1 + 20 * len(self.members[c])) / (20 + self.tries[c]) for c in wanted])
        sources = [r.__name__ for r in RECIPES] + [c for c in CLASSES if self.members[c]]
        recipe = self._pick(
            sources, [(1 + self.hits[target, r]) / (10 + self.tries[target, r]) for r in sources]
        )
        self.tries[target] += 1
        self.tries[target, recipe] += 1
        if recipe in self.members:
            found = self.members[recipe]
            return target, recipe, disturbed(self.rng, found[self.rng.integers(len(found))])
        return target, recipe, next(r for r in RECIPES if r.__name__ == recipe)(self.rng)

    def accept(self, recipe: str, target: str, system: dict[str, Any]) -> bool:
        """Learn from a system; whether it is still needed."""
        name = system["class"]
        self.hits[name, recipe] += 1
        if name != target:
            self.tries[name, recipe] += 1
        special = system["symmetry"] != "none" and self.symmetric < self.quota
        if len(self.members[name]) >= self.quota and not special:
            # the classes that lack may be too rare: then there are to be more of the others
            self.in_vain += 1
            self.quota += self.in_vain % PATIENCE == 0
            return False
        self.symmetric += system["symmetry"] != "none"
        self.members[name].append(system)
        return True

    def _pick(self, names: list[str], weights: list[float]) -> str:
        return names[self.rng.choice(len(names), p=np.array(weights) / sum(weights))]


def read(path: Path) -> list[dict[str, Any]]:
    """The systems of a reference file, or none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line.rstrip(",")) for line in path.read_text().splitlines() if line.startswith("{")]


def write(n: int, path: Path, seed: int, jobs: int, progress: Callable[[str], None]) -> None:
    """Append to `path` until it holds n systems; the answers come from `jobs` processes."""
    known = read(path)
    search, undecided, waiting = Search(known, math.ceil(n / len(CLASSES)), seed), 0, {}
    count = len(known)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool, path.open("a") as file:
        while count < n:
            while len(waiting) < 2 * jobs:
                target, recipe, draw = search.propose()
                waiting[pool.submit(answer, *draw)] = target, recipe
            for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                target, recipe = waiting.pop(done)
                try:
                    system = done.result()
                except ArithmeticError:
                    undecided += 1
                    continue
                if count < n and search.accept(recipe, target, system):
                    file.write(json.dumps(system, separators=(",", ":")) + "\n")
                    file.flush()
                    count += 1
                    progress(f"{count} systems, {undecided} undecided")
        for future in waiting:
            future.cancel()


def chosen(systems: list[dict[str, Any]], n: int) -> list[dict[str, Any]]:
    """n systems, class after class in turn; in a class those of new connections first."""
    seen: Counter[str] = Counter()
    turns = []
    for i, s in enumerate(systems):
        again = json.dumps([s["class"], s["kind"], s["branch_end"], s["cycle_encloses"]])
        seen[again] += 1
        turns.append((seen[again] > 1, i))
    ordered = [systems[i] for _, i in sorted(turns)]
    place: Counter[str] = Counter()
    ranked = []
    for s in ordered:
        place[s["class"]] += 1
        ranked.append((place[s["class"]], CLASSES.index(s["class"])))
    return [s for _, s in sorted(zip(ranked, ordered, strict=True), key=lambda pair: pair[0])][:n]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=int, metavar="N", default=0, help="systems that FILE shall hold")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="JSON lines, appended to")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument(
        "--freeze", type=int, metavar="N", help=f"write N systems of FILE to {REFERENCE.name}"
    )
    given = parser.parse_args()
    write(
        given.write, given.to, given.seed, given.jobs, lambda text: print(text, file=sys.stderr, flush=True)
    )
    if given.freeze:
        lines = [json.dumps(s, separators=(",", ":")) for s in chosen(read(given.to), given.freeze)]
        REFERENCE.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    for name, count in Counter(s["class"] for s in read(given.to)).most_common():
        print(f"{count:5d}  {name}")


if __name__ == "__main__":
    main()
