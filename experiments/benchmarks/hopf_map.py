"""The Hopf map (Eq 8, alpha x beta, s = 0) by this program and by its peers, in one run.

    python experiments/benchmarks/hopf_map.py [--quick]

Prints a table and, unless quick, writes results/benchmarks/hopf_map.json and .md: accuracy against the
oracle's frozen answers (tests/data/hopf_reference.json), rates of the warm map beside heyoka.py + NumPy and
scipy, a first and a second start from the shell, growth of time and memory with the grid, compilations.
What cannot be measured is said, with the reason; nothing is filled in.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests" / "data" / "hopf_reference.json"
RESULTS = ROOT / "results" / "benchmarks"

ALPHA, BETA = (0.0, 3.14159265), (1.0, 3.0)
SEED = 6
VARIABLES = ("n_fixed_points", "n_stable_cycles", "frequency")
PACKAGES = ("gru-sweep", "jax", "jaxlib", "diffrax", "equinox", "numpy", "scipy", "heyoka", "h5py", "xarray")


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is measured: points per side of the map, repeats, scipy's sample, sides of the growing grids,
    and every how-manieth reference point."""

    side: int = 256
    repeats: int = 3
    sample: int = 200
    sides: tuple[int, ...] = (64, 128, 256, 512, 1024)
    every: int = 1


QUICK = Size(side=64, repeats=3, sample=20, sides=(32, 64), every=6)


def machine() -> dict[str, Any]:
    """CPU, cores this process may use, versions of what matters."""
    model = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")]
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "cpu": model[0].split(":", 1)[1].strip() if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": versions,
    }


def attempt(measure: Callable[..., dict], *arguments: Any) -> dict[str, Any]:
    """What `measure` returns; where it fails, `absent` with the reason: the other rows stay worth having."""
    print(f"{measure.__name__} ...", file=sys.stderr, flush=True)
    try:
        return measure(*arguments)
    except Exception as reason:
        return {"absent": f"{type(reason).__name__}: {reason}".splitlines()[0]}


def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """alpha and beta of every point, flat, alpha slowest."""
    alpha, beta = np.meshgrid(np.linspace(*ALPHA, side), np.linspace(*BETA, side), indexing="ij")
    return alpha.ravel(), beta.ravel()


def sweep(side: int, folder: str):
    """This program's map as an xarray Dataset."""
    import gru_sweep as gs

    out = str(Path(folder) / "map.h5")
    axes = {"alpha": (*ALPHA, side), "beta": (*BETA, side)}
    return gs.sweep("hopf", **axes, s=0.0, out=out, overwrite=True, precision="float64")


def compare(reference: list[dict], number, cycles, frequency, status=None) -> dict[str, Any]:
    """Counts that differ from the oracle's, and the largest relative error of a frequency.

    With a `status` the same again where it is ok (0).
    """
    stable = [[c for c in p["cycles"] if c["stable"]] for p in reference]
    wanted = [max(s, key=lambda c: max(c["amplitude"]))["frequency"] if s else math.nan for s in stable]
    wrong = [
        p["coordinates"]
        for p, s, n, c in zip(reference, stable, number, cycles, strict=True)
        if n != len(p["fixed_points"]) or c != len(s)
    ]
    ok = np.zeros(len(reference), bool) if status is None else np.asarray(status) == 0
    wrong_ok = sum(
        bool(n != len(p["fixed_points"]) or c != len(s))
        for p, s, n, c, good in zip(reference, stable, number, cycles, ok, strict=True)
        if good
    )
    error = np.abs(np.asarray(frequency, float) / np.array(wanted) - 1)
    compared = np.isfinite(error)
    where_ok = {}
    if status is not None:
        where_ok = {
            "points_ok": int(ok.sum()),
            "wrong_counts_where_ok": wrong_ok,
            "max_relative_error_where_ok": float(error[compared & ok].max(initial=0.0)),
        }
    return {
        **where_ok,
        "points": len(reference),
        "points_with_a_cycle": sum(map(bool, stable)),
        "frequencies_compared": int(compared.sum()),
        "wrong_counts": len(wrong),
        "wrong_at": wrong,
        "max_relative_error": float(error[compared].max()) if compared.any() else None,
    }


def accuracy(reference: list[dict], precision: str) -> dict[str, Any]:
    """This program at the reference points, a sweep of one point for each."""
    import gru_sweep as gs

    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for point in reference:
            (first, value), *rest = point["coordinates"].items()
            out = str(Path(folder) / "point.h5")
            axes = {first: np.array([value]), **dict(rest)}
            ds = gs.sweep(point["family"], **axes, out=out, overwrite=True, precision=precision)
            answers.append([np.asarray(ds[name]).item() for name in (*VARIABLES, "status")])
            ds.close()
    return compare(reference, *zip(*answers, strict=True))


def peer_accuracy(reference: list[dict]) -> dict[str, Any]:
    """The heyoka pipeline at those reference points that are its own: Eq 8 with equal biases."""
    from peers import heyoka_pipeline

    own = [p for p in reference if set(p["coordinates"]) == {"alpha", "beta", "s"}]
    alpha, beta, s = (np.array([p["coordinates"][name] for p in own]) for name in ("alpha", "beta", "s"))
    got = heyoka_pipeline.run(alpha, beta, s)
    return compare(own, *(got[name] for name in VARIABLES))


def rate_of_sweep(size: Size) -> dict[str, Any]:
    """This program, warm: one sweep to compile, then `repeats`; `map` is the last, for the comparison."""
    with tempfile.TemporaryDirectory() as folder:
        cold = sweep(size.side, folder)
        cold.close()
        rates, walls = [], []
        for _ in range(size.repeats):
            began = time.perf_counter()
            ds = sweep(size.side, folder)
            walls.append(time.perf_counter() - began)
            rates.append(float(ds.attrs["points_per_second"]))
            values = {n: np.asarray(ds[n]).ravel() for n in VARIABLES}
            ds.close()
    return {
        "points_per_second": statistics.median(rates),
        "all": rates,
        "wall_seconds": statistics.median(walls),
        "compile_seconds": float(cold.attrs["compile_seconds"]),
        "map": values,
    }


def rate_of_heyoka(size: Size, starts: int) -> dict[str, Any]:
    """heyoka.py + NumPy on the same grid, all cores; `starts` of Newton's method per side of the box."""
    from peers import heyoka_pipeline

    runs = [heyoka_pipeline.run(*grid(size.side), 0.0, starts) for _ in range(size.repeats + 1)]
    rates = [size.side**2 / r["seconds"] for r in runs[1:]]
    return {
        "points_per_second": statistics.median(rates),
        "all": rates,
        "fixed_point_seconds": statistics.median(r["fixed_point_seconds"] for r in runs[1:]),
        "compile_seconds": runs[0]["compile_seconds"],
        "map": {n: runs[-1][n] for n in VARIABLES},
    }


def rate_of_scipy(size: Size) -> dict[str, Any]:
    """scipy on a random sample of the same grid, all cores."""
    from peers import scipy_pipeline

    alpha, beta = grid(size.side)
    sample = np.random.default_rng(SEED).choice(alpha.size, size.sample, replace=False)
    got = scipy_pipeline.run(alpha[sample], beta[sample], 0.0)
    return {
        "points_per_second": sample.size / got["seconds"],
        "sample": sample.size,
        "map": {n: got[n] for n in VARIABLES},
        "where": sample,
    }


def agreement(one: dict, other: dict) -> dict[str, Any]:
    """Points where two maps differ in a count, and their largest relative difference in frequency."""
    if "map" not in one or "map" not in other:
        return {"absent": "one of the two maps is missing"}
    at = other.get("where", slice(None))
    mine = {n: v[at] for n, v in one["map"].items()}
    theirs = other["map"]
    differ = (mine["n_fixed_points"] != theirs["n_fixed_points"]) | (
        mine["n_stable_cycles"] != theirs["n_stable_cycles"]
    )
    both = np.abs(mine["frequency"] / theirs["frequency"] - 1)
    both = both[np.isfinite(both)]
    return {
        "points": differ.size,
        "cycles_in_both": both.size,
        "counts_differ": int(differ.sum()),
        "max_relative_difference": float(both.max()) if both.size else None,
    }


LAUNCHER = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.call(sys.argv[1:])
wall = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"wall_seconds": wall, "peak_rss_mb": peak}), file=sys.stderr)
sys.exit(code)
"""
"""Runs a command and says, last on stderr, how long it took and its peak memory. A small process has to start
it: on Linux the peak of a new program begins at the memory of the process that started it."""


def command(cache: str, folder: str, *flags: str) -> dict[str, Any]:
    """`gru-sweep run hopf` in a process of its own: what it says of itself, wall seconds, peak memory."""
    program = Path(sys.executable).with_name("gru-sweep")
    if not program.exists():
        raise FileNotFoundError(f"{program.name} is not installed")
    work = [str(program), "run", "hopf", "--out", "map.h5", "--overwrite", "--json", "--quiet", *flags]
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *work],
        cwd=folder,
        env=os.environ | {"GRU_SWEEP_CACHE": cache},
        capture_output=True,
        text=True,
    )
    *log, measured = done.stderr.strip().splitlines()
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {log[-1] if log else 'it says nothing'}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    kept = ("points", "seconds", "points_per_second", "compile_seconds", "compilations")
    return {n: said.get(n) for n in kept} | json.loads(measured)


def starts(size: Size) -> dict[str, Any]:
    """From the shell prompt to file and picture: with an empty cache folder, then with the one it left."""
    axes = flags_of(size.side)
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as folder:
        return {n: command(cache, folder, *axes, "--plot", "map.png") for n in ("first", "second")}


def growth(size: Size) -> dict[str, Any]:
    """Time and memory of growing grids, each in a process of its own, the cache warm."""
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as folder:
        command(cache, folder, *flags_of(size.sides[0]))
        return {str(side): attempt(command, cache, folder, *flags_of(side)) for side in size.sides}


def flags_of(side: int) -> list[str]:
    """The axes of the map on the command line."""
    axes = (f"alpha={ALPHA[0]}:{ALPHA[1]}:{side}", f"beta={BETA[0]}:{BETA[1]}:{side}")
    return ["--axis", axes[0], "--axis", axes[1], "--set", "s=0"]


def measure(size: Size) -> dict[str, Any]:
    """Everything, in an order that leaves the machine to one measurement at a time."""
    from peers.heyoka_pipeline import STARTS

    facts = machine()
    reference = json.loads(REFERENCE.read_text())[:: size.every]
    tuned = 5  # the fewest starts that still find every fixed point of this plane; nobody knows it beforehand
    rates = {
        "gru_sweep": attempt(rate_of_sweep, size),
        "heyoka": attempt(rate_of_heyoka, size, STARTS),
        "heyoka_tuned": attempt(rate_of_heyoka, size, tuned),
        "scipy": attempt(rate_of_scipy, size),
    }
    found = {
        "machine": facts,
        "size": dataclasses.asdict(size),
        "newton_starts": {"heyoka": STARTS**2, "heyoka_tuned": tuned**2, "scipy": 100},
        "accuracy": {
            "float64": attempt(accuracy, reference, "float64"),
            "float32": attempt(accuracy, reference, "float32"),
            "heyoka": attempt(peer_accuracy, reference),
        },
        "agreement": {
            "gru_sweep with heyoka": agreement(rates["gru_sweep"], rates["heyoka"]),
            "gru_sweep with scipy": agreement(rates["gru_sweep"], rates["scipy"]),
            "heyoka with scipy": agreement(rates["heyoka"], rates["scipy"]),
        },
        "starts": attempt(starts, size),
        "growth": attempt(growth, size),
    }
    found["rates"] = {n: {k: v for k, v in r.items() if k not in ("map", "where")} for n, r in rates.items()}
    return found


def get(tree: dict, *keys: str) -> Any:
    """The value at a path of keys, or the reason why there is none."""
    for key in keys:
        if "absent" in tree:
            return f"not measured ({tree['absent']})"
        tree = tree[key]
    if isinstance(tree, dict) and "absent" in tree:
        return f"not measured ({tree['absent']})"
    return "none to compare" if tree is None else tree


def ratio(rates: dict, peer: str) -> Any:
    """How many times a peer's rate ours is."""
    ours, theirs = (get(rates, n, "points_per_second") for n in ("gru_sweep", peer))
    return next((v for v in (ours, theirs) if isinstance(v, str)), None) or ours / theirs


def rows(found: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """(what, measured, wanted) in the order of the table."""
    table: list[tuple[str, Any, str]] = []
    side = found["size"]["side"]
    for name, limit in (("float64", "1e-7"), ("float32", "1e-4"), ("heyoka", "1e-7")):
        here = found["accuracy"][name]
        table.append((f"accuracy, {name}: reference points", get(here, "points"), ""))
        table.append((f"accuracy, {name}: points with a wrong count", get(here, "wrong_counts"), "0"))
        table.append((f"accuracy, {name}: frequencies compared", get(here, "frequencies_compared"), ""))
        error = get(here, "max_relative_error")
        table.append((f"accuracy, {name}: max relative error", error, f"<= {limit}"))
        if name == "heyoka":
            continue
        for key, wanted in (
            ("points_ok", ""),
            ("wrong_counts_where_ok", "0"),
            ("max_relative_error_where_ok", f"<= {limit}"),
        ):
            table.append((f"accuracy, {name}: {key.replace('_', ' ')}", get(here, key), wanted))
    rates = found["rates"]
    for name, wanted in (("gru_sweep", ">= 60 000"), ("heyoka", ""), ("heyoka_tuned", ""), ("scipy", "")):
        what = f"points/s, {name}, {side} x {side}" + (" (sample)" if name == "scipy" else "")
        table.append((what, get(rates, name, "points_per_second"), wanted))
    for peer, wanted in (("heyoka", ">= 5"), ("heyoka_tuned", ""), ("scipy", ">= 1000")):
        table.append((f"times {peer}", ratio(rates, peer), wanted))
    for pair, here in found["agreement"].items():
        table.append((f"{pair}: counts that differ", get(here, "counts_differ"), "0"))
        table.append((f"{pair}: max relative difference", get(here, "max_relative_difference"), ""))
    for name, wanted in (("first", "<= 30"), ("second", "<= 10")):
        table.append((f"{name} start, s", get(found["starts"], name, "wall_seconds"), wanted))
        table.append((f"{name} start: compilations", get(found["starts"], name, "compilations"), ""))
    for n in found["size"]["sides"]:
        for key, unit in (("seconds", "s"), ("peak_rss_mb", "peak MB"), ("compilations", "compilations")):
            table.append((f"{n} x {n}, {unit}", get(found["growth"], str(n), key), ""))
    return table


def shown(value: Any) -> str:
    """A number to three figures, thousands apart."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}".replace(",", " ") if value >= 1000 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="small grids and samples, to see that it runs; writes nothing"
    )
    quick = parser.parse_args().quick
    found = measure(QUICK if quick else Size())
    table = [(what, shown(value), wanted) for what, value, wanted in rows(found)]
    width = max(len(what) for what, _, _ in table)
    for what, value, wanted in table:
        print(f"{what:{width}}  {value:>12}  {wanted}")
    if quick:
        return
    facts = found["machine"]
    versions = ", ".join(f"{n} {v}" for n, v in facts["versions"].items())
    lines = [
        "# The Hopf map: this program and its peers",
        "",
        f"{facts['cpu']}, {facts['cores']} cores; Python {facts['python']}, {versions}.",
        "",
        "| what | measured | wanted |",
        "|---|---:|---|",
        *(f"| {what} | {value} | {wanted} |" for what, value, wanted in table),
    ]
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "hopf_map.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "hopf_map.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
