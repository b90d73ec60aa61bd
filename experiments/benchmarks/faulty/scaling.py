"""Memory against points, what the engine costs, and two workers against one."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from faulty import watching
from faulty.rows import Row, said

FLAT = 1.1
"""Peak memory of the largest grid over that of one with a tenth of its points: what is called flat."""
MOST = 5.0
"""Per cent of the work that the engine may cost."""
FASTER = 1.8
"""How many times faster two workers on two cores are to be than one on one."""
CORES = 2
RUNS = 3
"""Runs of each kind that are interleaved, so that what else the machine does is shared; medians are told."""
TRIAL = 316
"""Points along a side of the plane that shows how many a core computes in a second."""
SMALL = 40
"""Points along a side of the plane that is mapped to see that it runs."""
WARM = 100
"""Points along a side of the plane by which programs are compiled, those of large sweeps."""
SECONDS = 20.0
"""How long a sweep of one worker takes, about."""
PLANE = {"alpha": (0.0, 3.14159265), "beta": (1.0, 3.0)}

LAUNCHER = """
import json, os, sys, time
cores = [int(core) for core in sys.argv[1].split(",")]
os.sched_setaffinity(0, cores)
began = time.perf_counter()
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
wall = time.perf_counter() - began
print(json.dumps({"wall": wall, "peak": used.ru_maxrss * 1024}), file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Runs a command on some cores; says, last on stderr, how long it took and its peak memory in bytes. A small
process has to start it: on Linux the peak of a new program begins at the memory of the one that did."""


def memory(scratch: Path, *, quick: bool) -> list[Row]:
    """The oscillation measure on ever larger grids, each in a process of its own."""
    sides = (SMALL, 2 * SMALL) if quick else (316, 1000, 3163)
    command(scratch, "warm.h5", SMALL if quick else WARM, cores(CORES))
    found = {side: command(scratch, f"{side}.h5", side, cores(CORES)) for side in sides}
    rows: list[Row] = []
    for side, one in found.items():
        rows += said(
            f"{side} x {side}",
            [
                Row("points", one["points"]),
                Row("seconds", one["seconds"]),
                Row("points/s", one["points_per_second"]),
                Row("peak memory, MB", one["peak"] / 1e6),
                Row("file, MB", one["bytes"] / 1e6),
            ],
        )
    *_, before, last = (one["peak"] for one in found.values())
    asked = () if quick else (f"<= {FLAT}", last <= FLAT * before)
    return [*rows, Row("peak memory, the largest over the one before", last / before, *asked)]


def overhead(scratch: Path, *, quick: bool) -> list[Row]:
    """Chunks of about a second by the engine and by bare calls, on one core, in one process."""
    asked = [sys.executable, "-m", "faulty.engine", str(scratch), *(["--quick"] if quick else [])]
    done = launched(asked, scratch, cores(1))
    bare, whole = (statistics.median(done[name]) for name in ("bare", "whole"))
    # Neighbours in time are compared: a shared processor's pace changes by half from one minute to another.
    costs = [100 * (b / a - 1) for a, b in zip(done["bare"], done["whole"], strict=True)]
    cost, least = statistics.median(costs), 100 * (min(done["whole"]) / min(done["bare"]) - 1)
    return [
        Row("chunks, points in each, runs", f"{done['chunks']}, {done['chunk']}, {len(costs)}"),
        Row("seconds of a chunk, median", bare / done["chunks"]),
        Row("seconds of a chunk by the engine, median", whole / done["chunks"]),
        Row("what the engine costs, %, quartiles", ", ".join(f"{one:.1f}" for one in _quartiles(costs))),
        Row("what it costs by the fastest runs of both, %", least),
        Row("what it costs, %, median of all runs", cost, *(() if quick else (f"< {MOST:g}", cost < MOST))),
    ]


def _quartiles(values: list[float]) -> list[float]:
    """First and last quartile; a single value twice."""
    if len(values) < 2:
        return values * 2
    first, _, last = statistics.quantiles(values, n=4)
    return [first, last]


def pair(scratch: Path, *, quick: bool) -> list[Row]:
    """Two workers bound to a core each, and one in a process that is bound to one core."""
    if len(cores(CORES)) < CORES:
        return [Row("two workers over one", "not measured: there is one core")]
    one = "--engine", "dask", "--workers", "1"
    trial = command(scratch, "trial.h5", SMALL if quick else TRIAL, cores(1), *one)
    side = SMALL if quick else math.ceil(math.sqrt(trial["points_per_second"] * SECONDS))
    found: dict[int, list[float]] = {1: [], CORES: []}
    for run in range(1 if quick else RUNS):
        for workers, rates in found.items():
            options = "--engine", "dask", "--workers", str(workers)
            done = command(scratch, f"{workers}-{run}.h5", side, cores(workers), *options)
            rates.append(done["points_per_second"])
    alone, two = (statistics.median(rates) for rates in found.values())
    return [
        Row("points", side**2),
        *(
            Row(f"points/s, workers: {workers}", ", ".join(f"{rate:.0f}" for rate in rates))
            for workers, rates in found.items()
        ),
        Row("two workers over one", two / alone, *(() if quick else (f">= {FASTER}", two >= FASTER * alone))),
    ]


def cores(number: int) -> list[int]:
    """Some of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0))[:number]


def command(scratch: Path, name: str, side: int, bound: list[int], *options: str) -> dict[str, Any]:
    """`gru-sweep run hopf` in a process of its own: its JSON, wall seconds, peak memory, size of the file."""
    out = scratch / name
    program = str(Path(sys.executable).with_name("gru-sweep"))
    flags = [f for axis, (a, b) in PLANE.items() for f in ("--axis", f"{axis}={a}:{b}:{side}")]
    work = [program, "run", "hopf", *flags, "--set", "s=0", "--out", str(out), "--json", "--quiet", *options]
    done = launched(work, scratch, bound) | {"bytes": out.stat().st_size}
    out.unlink()
    return done


def launched(work: list[str], scratch: Path, bound: list[int]) -> dict[str, Any]:
    """Run a command on some cores: the JSON that it prints, wall seconds, peak memory."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, ",".join(map(str, bound)), *work],
        env=watching.environment(scratch / "compiled"),
        capture_output=True,
        text=True,
    )
    *log, measured = done.stderr.strip().splitlines()
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {log[-1] if log else 'it says nothing'}")
    return json.loads(done.stdout.strip().splitlines()[-1]) | json.loads(measured)
