"""Complete portraits of planar GRUs: right on a thousand known ones, and how many a second.

    python experiments/benchmarks/portrait.py [--quick]

Prints tables and, unless quick, writes results/benchmarks/portrait.json and .md. Right: every system of
results/benchmarks/portrait_reference.jsonl (made by `python -m tests.portraits`, which knows nothing of this
program) by class: fixed points and their kinds, cycles, topology label against the scipy reference. How many:
certified fixed points alone and whole portraits, on the Hopf plane and on random weights, compiled before;
beside a NumPy branch and prune on the same weights in the same run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from hopf_map import ALPHA, BETA, RESULTS, ROOT, attempt, get, grid, machine, shown
from jaxtyping import Array, Int

import gru_sweep as gs
from gru_sweep import measures, records
from gru_sweep.analysis import topology
from gru_sweep.analysis.fixed_points import BranchAndPrune, Planar
from gru_sweep.analysis.portrait import Check
from gru_sweep.records import Status, meaning
from gru_sweep.sweeps.lanes import Chain
from gru_sweep.systems.families import FAMILIES

sys.path.insert(0, str(ROOT))
from tests.oracle_portrait import KINDS, PortraitCode
from tests.portraits import CLASSES, read
from tests.recipes import WEIGHTS

REFERENCE = RESULTS / "portrait_reference.jsonl"
SEED = 11
SCALE = 4.0
"""Standard deviation of the entries of U_h and U_r of the random GRUs; 1 of the biases."""
POSITION = 1e-8
"""Distance at which a fixed point is not the reference's (which is rounded to 1e-10)."""


@dataclasses.dataclass(frozen=True)
class Size:
    """Points per side of the Hopf plane, random GRUs, repeats, and every how-manieth reference system."""

    side: int = 256
    drawn: int = 32768
    repeats: int = 3
    every: int = 1


QUICK = Size(side=32, drawn=1024, repeats=2, every=10)


class Proven(eqx.Module):
    """What is kept where fixed points alone are wanted."""

    n_fixed_points: Int[Array, ""] = records.field(long_name="number of fixed points", dtype="int16")


class FixedPointsAlone:
    """Branch and prune as a measure of its own."""

    solvers = (BranchAndPrune(),)
    links = ()

    @staticmethod
    def record(problem: Planar, found: Any) -> Proven:
        return Proven(found.count)


def cell(**w: Array) -> gs.GRU:
    """A GRU with all its parts from its 18 weights `U_h0` ... `b_z1`."""
    parts = {n: jnp.stack([w[f"{n}{i}"] for i in range(4 if n[0] == "U" else 2)]) for n in WEIGHTS}
    return gs.GRU(**{n: v.reshape(2, 2) if n[0] == "U" else v for n, v in parts.items()})


def chain(stages: Any, build: Callable[..., gs.GRU], points: dict[str, np.ndarray]) -> Chain:
    """The compiled measure `stages` of the cells that `build` makes of coordinates like `points`."""
    side = np.ones(2)
    size = min(len(next(iter(points.values()))), measures.BATCH["cpu"])
    made = Chain(
        lambda **w: Planar(build(**w), -side, side),
        stages.solvers,
        stages.links,
        stages.record,
        names=list(points),
        dtype="float64",
        size=size,
        threads=machine()["cores"],
    )
    made.compile()
    return made


def through(measure: Chain, points: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns at all points, call by call."""
    n, step = len(next(iter(points.values()))), measures.CHUNK["cpu"]
    parts = [measure({k: v[i : i + step] for k, v in points.items()}) for i in range(0, n, step)]
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def rate(stages: Any, build: Callable, points: dict[str, np.ndarray], repeats: int) -> dict[str, Any]:
    """Points a second: median of `repeats` runs, after one that is not counted."""
    measure = chain(stages, build, points)
    columns = through(measure, points)
    walls = []
    for _ in range(repeats):
        began = time.perf_counter()
        through(measure, points)
        walls.append(time.perf_counter() - began)
    n = len(next(iter(points.values())))
    return {
        "points": n,
        "points_per_second": n / statistics.median(walls),
        "all": [n / wall for wall in walls],
        "compile_seconds": measure.compile_seconds,
        "n_fixed_points": columns["n_fixed_points"],
        "status": columns.get("status"),
    }


def hopf_plane(side: int) -> dict[str, np.ndarray]:
    """The coordinates of the Hopf plane, s = 0."""
    alpha, beta = grid(side)
    zero = np.zeros_like(alpha)
    return {"alpha": alpha, "beta": beta, "s": zero, "br1": zero, "br2": zero}


def drawn(n: int) -> dict[str, np.ndarray]:
    """n random GRUs without update gate, by weight."""
    rng = np.random.default_rng(SEED)
    points = {}
    for name in WEIGHTS:
        scale = {"U_h": SCALE, "U_r": SCALE, "b_h": 1.0, "b_r": 1.0}.get(name, 0.0)
        for i in range(4 if name[0] == "U" else 2):
            points[f"{name}{i}"] = scale * rng.normal(size=n)
    return points


def rates(size: Size) -> dict[str, Any]:
    """All rates of this program, and NumPy's on the same systems with one thread and with one a core."""
    plane, random = hopf_plane(size.side), drawn(size.drawn)
    hopf = FAMILIES["hopf"].build
    stages = measures.MEASURES["portrait"].stages()
    found = {
        "fixed points, Hopf plane": attempt(rate, FixedPointsAlone, hopf, plane, size.repeats),
        "fixed points, random": attempt(rate, FixedPointsAlone, cell, random, size.repeats),
        "portraits, Hopf plane": attempt(swept, size),
        "portraits, random": attempt(rate, stages, cell, random, size.repeats),
        "NumPy, Hopf plane": attempt(numpy_rate, plane_weights(plane), size.repeats),
        "NumPy, random": attempt(numpy_rate, by_matrix(random), size.repeats),
        "NumPy, random, one thread": attempt(numpy_rate, by_matrix(random), size.repeats, 1),
    }
    found["counts that differ from NumPy's"] = {
        where: attempt(differing, found[f"fixed points, {where}"], found[f"NumPy, {where}"])
        for where in ("Hopf plane", "random")
    }
    return found


def swept(size: Size) -> dict[str, Any]:
    """Portraits of the Hopf plane as a user gets them: gs.sweep into a file, one sweep not counted."""
    axes = {"alpha": (*ALPHA, size.side), "beta": (*BETA, size.side)}
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "plane.h5")
        for k in range(size.repeats + 1):
            ds = gs.sweep("hopf", **axes, s=0.0, measure="portrait", out=out, overwrite=True)
            if k == 0:
                compiled = float(ds.attrs["compile_seconds"])
            rates.append(float(ds.attrs["points_per_second"]))
            status = np.asarray(ds.status).ravel()
            classes = np.unique(np.asarray(ds.topology)[np.asarray(ds.topology) >= 0]).size
            ds.close()
    return {
        "points": size.side**2,
        "points_per_second": statistics.median(rates[1:]),
        "all": rates[1:],
        "compile_seconds": compiled,
        "status": status,
        "classes": classes,
    }


def plane_weights(plane: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """U_h, U_r, b_h, b_r of the Hopf plane, for the peer."""
    c, d = plane["beta"] * np.cos(plane["alpha"]), plane["beta"] * np.sin(plane["alpha"])
    n = c.size
    recurrent = np.stack([np.stack([c, -d], axis=-1), np.stack([d, c], axis=-1)], axis=1)
    return recurrent, np.zeros((n, 2, 2)), np.zeros((n, 2)), np.zeros((n, 2))


def by_matrix(points: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """U_h, U_r (n, 2, 2), b_h, b_r (n, 2) of weights by name."""
    stacked = {n: np.stack([points[k] for k in points if k.startswith(n)], axis=-1) for n in WEIGHTS}
    return tuple(
        stacked[n].reshape((-1, 2, 2) if n[0] == "U" else (-1, 2)) for n in ("U_h", "U_r", "b_h", "b_r")
    )


def numpy_rate(weights: tuple[np.ndarray, ...], repeats: int, threads: int | None = None) -> dict[str, Any]:
    """NumPy's branch and prune, fixed points alone."""
    from peers import numpy_branch_and_prune

    runs = [numpy_branch_and_prune.run(*weights, threads) for _ in range(repeats + 1)]
    n = len(weights[0])
    return {
        "points": n,
        "points_per_second": n / statistics.median(r["seconds"] for r in runs[1:]),
        "all": [n / r["seconds"] for r in runs[1:]],
        "n_fixed_points": runs[-1]["n_fixed_points"],
    }


def differing(one: dict, other: dict) -> dict[str, int]:
    """Systems on which two counts differ though both were decided."""
    a, b = one["n_fixed_points"], other["n_fixed_points"]
    return {"differ": int(((a != b) & (a >= 0) & (b >= 0)).sum()), "undecided": int((a < 0).sum())}


def correctness(size: Size) -> dict[str, Any]:
    """By class: systems, wrong ones by what is wrong where the status is ok, and how many are not ok."""
    systems = read(REFERENCE)[:: size.every]
    weights = {n: np.array([s[n] for s in systems]) for n in WEIGHTS}
    points = {f"{n}{i}": np.ascontiguousarray(v[:, i]) for n, v in weights.items() for i in range(v.shape[1])}
    got = through(chain(measures.MEASURES["portrait"].stages(), cell, points), points)
    labels = topology.labels(got)
    table = {name: Counter() for name in CLASSES}
    listed = []
    for i, system in enumerate(systems):
        one = {n: v[i] for n, v in got.items()}
        row = table[system["class"]]
        row["systems"] += 1
        status = Status(int(one["status"]))
        certified = int(one["certified"]) == 1
        row["uncertified"] += not certified
        row["undecided"] += not (certified and status == Status.OK)
        if status != Status.OK:
            row[meaning(status)] += 1
            said = {"status": meaning(status), "check": meaning(Check(int(one["check"])))}
            listed.append({"system": i * size.every, "class": system["class"], **said})
            continue
        for what in wrong(system, one, labels[i]):
            row[f"wrong {what}"] += 1
            listed.append({"system": i * size.every, "class": system["class"], "wrong": what})
    total = sum(table.values(), Counter())
    return {
        "systems": total["systems"],
        "classes": sum(r["systems"] > 0 for r in table.values()),
        "wrong": sum(v for k, v in total.items() if k.startswith("wrong")),
        "undecided_share": total["undecided"] / total["systems"],
        "by_class": {name: dict(row) for name, row in table.items() if row["systems"]},
        "listed": listed,
    }


def wrong(system: dict[str, Any], one: dict[str, Any], label: str) -> list[str]:
    """What of a portrait is not the reference's: count, kinds, positions, cycles, label."""
    n, known = int(one["n_fixed_points"]), system["kind"]
    if n != len(known):
        return ["count"]
    found = []
    # points with equal first coordinates may stand in either order
    points, theirs = np.asarray(one["fixed_point"])[:n], np.array(system["fixed_point"])
    gap = np.abs(points[:, None] - theirs).max(-1)
    order = gap.argmin(1)
    if gap.min(1).max() > POSITION or len(set(order.tolist())) < n:
        found.append("position")
    if [KINDS[k] for k in one["kind"][:n]] != [KINDS[known[j]] for j in order]:
        found.append("kind")
    stable = np.asarray(one["cycle_stable"])
    if sorted(stable[stable >= 0].tolist()) != sorted(system["cycle_stable"]):
        found.append("cycles")
    code = PortraitCode.of(system)
    reference = SimpleNamespace(n_fixed_points=code.n_fixed_points, **dataclasses.asdict(code))
    if label != topology.label(reference):
        found.append("label")
    return found


def measure(size: Size) -> dict[str, Any]:
    """Everything, in an order that leaves the machine to one measurement at a time."""
    facts = machine()
    return {
        "machine": facts,
        "size": dataclasses.asdict(size),
        "correctness": attempt(correctness, size),
        "rates": rates(size),
    }


def rows(found: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """(what, measured, wanted) in the order of the table."""
    here, speed = found["correctness"], found["rates"]
    table: list[tuple[str, Any, str]] = [
        ("known systems", get(here, "systems"), "1000"),
        ("classes", get(here, "classes"), ">= 12"),
        ("wrong counts, kinds, positions, cycles or labels", get(here, "wrong"), "0"),
        (
            "unresolved, near a bifurcation or uncertified: share",
            get(here, "undecided_share"),
            "<= 0.01",
        ),
    ]
    wanted = {
        "fixed points, Hopf plane": ">= 60 000",
        "fixed points, random": ">= 20 000",
        "portraits, Hopf plane": ">= 2 000",
        "portraits, random": ">= 500",
    }
    for name, one in speed.items():
        if name.startswith("counts"):
            continue
        table.append((f"{name}: systems/s", get(one, "points_per_second"), wanted.get(name, "")))
        if name in wanted:
            table.append((f"{name}: compiling, s", get(one, "compile_seconds"), ""))
        if one.get("status") is not None:
            share = float(np.mean(np.asarray(one["status"]) != Status.OK))
            table.append((f"{name}: share not ok", share, ""))
    for where in ("Hopf plane", "random"):
        ours, theirs = (get(speed[f"{n}, {where}"], "points_per_second") for n in ("fixed points", "NumPy"))
        said = next((v for v in (ours, theirs) if isinstance(v, str)), None)
        table.append((f"fixed points, {where}: times NumPy", said or ours / theirs, ">= 40"))
        for what in ("differ", "undecided"):
            value = get(speed["counts that differ from NumPy's"][where], what)
            table.append((f"fixed points, {where}: counts that {what}".replace("that und", "und"), value, ""))
    return table


def class_table(found: dict[str, Any]) -> list[str]:
    """A Markdown table of the classes, or the reason why there is none."""
    by_class = get(found["correctness"], "by_class")
    if isinstance(by_class, str):
        return [by_class]
    kinds = ["systems", "uncertified", "unresolved", "near bifurcation", "failed"]
    kinds += [f"wrong {w}" for w in ("count", "position", "kind", "cycles", "label")]
    lines = [
        "| class | " + " | ".join(kinds) + " |",
        "|---|" + "---:|" * len(kinds),
    ]
    lines += [
        f"| {n} | " + " | ".join(str(row.get(k, 0)) for k in kinds) + " |" for n, row in by_class.items()
    ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, to see that it runs; writes nothing"
    )
    quick = parser.parse_args().quick
    jax.config.update("jax_enable_x64", True)
    found = measure(QUICK if quick else Size())
    table = [(what, shown(value), wanted) for what, value, wanted in rows(found)]
    width = max(len(what) for what, _, _ in table)
    for what, value, wanted in table:
        print(f"{what:{width}}  {value:>12}  {wanted}")
    print(*class_table(found), sep="\n")
    if quick:
        return
    facts = found["machine"]
    lines = [
        "# Complete portraits of planar GRUs",
        "",
        f"{facts['cpu']}, {facts['cores']} cores; Python {facts['python']}, "
        + ", ".join(f"{n} {v}" for n, v in facts["versions"].items())
        + f". Random GRUs: U_h, U_r normal with standard deviation {SCALE:g}, biases with 1, no update gate.",
        "",
        "| what | measured | wanted |",
        "|---|---:|---|",
        *(f"| {what} | {value} | {wanted} |" for what, value, wanted in table),
        "",
        *class_table(found),
    ]
    for one in found["rates"].values():
        for name in ("n_fixed_points", "status"):
            one.pop(name, None)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "portrait.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "portrait.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
