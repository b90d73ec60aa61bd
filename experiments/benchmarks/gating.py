"""Steps of large random networks by this program, NumPy and PyTorch on the CPU, in one run.

    python experiments/benchmarks/gating.py [--quick]

Steps of discrete GRUs and classical Runge-Kutta steps of gated RNNs, all gains on. Several networks each: of
one draw at different gains, whose products with a matrix can be done at once, and of a draw each. The others
go in a loop over networks, as people write it, and for one draw also all at once, with the same products of
matrices as this program's. All use all cores and the same arithmetic: states after some steps are compared.
They take turns and medians are compared; compiling is apart. Then what a map of the gated RNN's largest
exponent takes, 64 x 64 points at N = 128, by networks at once, from a part of it. Prints tables and, unless
quick, writes results/benchmarks/gating.json and .md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from hopf_map import RESULTS, machine

from gru_sweep.analysis.lyapunov import flow_map
from gru_sweep.gating.trajectories import Duration, advance, init, networks
from gru_sweep.systems.ensembles import named

SEED = 0
STEP = 0.25
"""Of the gated RNN's integrator."""
COMPARED = 8
"""Steps after which all are to be in the same state."""
GRID = 64 * 64
MAP_UNITS = 128
MAP_DURATION = Duration(200.0, 500.0)
GAINS = {
    "gru": {"a_h": (2.0, 6.0), "a_z": (3.0, 3.0), "a_r": (2.0, 2.0)},
    "gated-rnn": {"g": (2.0, 4.0), "alpha_z": (3.0, 3.0), "alpha_r": (10.0, 10.0)},
}


@dataclasses.dataclass(frozen=True)
class Size:
    """Units; networks of one draw, and with draws of their own; multiplications in a turn, about; turns;
    seconds of the map to measure, and its networks at once."""

    units: tuple[int, ...] = (128, 256, 512, 1024, 2048)
    shared: int = 32
    separate: int = 4
    work: float = 4e9
    turns: int = 3
    map_seconds: float = 10.0
    at_once: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512)


QUICK = Size(units=(128,), shared=4, separate=2, work=2e6, turns=1, map_seconds=0.1, at_once=(16,))
Advance = Callable[[int], np.ndarray]
"""The states (networks, m) after so many steps from the start."""


def _step(kind: str, lib: Any, product: Callable[[str, Any], Any], c: dict[str, Any]) -> Callable[[Any], Any]:
    """One step by NumPy's or PyTorch's functions; `product(k, x)` is J_k x."""
    gate = torch.sigmoid if lib is torch else (lambda x: 1.0 / (1.0 + np.exp(-x)))
    if kind == "gru":

        def gru(h):
            z, r = gate(c["a_z"] * product("z", h)), gate(c["a_r"] * product("r", h))
            return z * h + (1.0 - z) * lib.tanh(c["a_h"] * product("h", r * h))

        return gru

    def field(state):
        h, z, r = state
        phi = lib.tanh(c["g"] * h)
        drive = product("h", phi * gate(c["alpha_r"] * r))
        rates = gate(c["alpha_z"] * z) * (drive - h), product("z", phi) - z, product("r", phi) - r
        return lib.stack(rates)

    def runge_kutta(state):
        a = field(state)
        b = field(state + STEP / 2 * a)
        d = field(state + STEP / 2 * b)
        return state + STEP / 6 * (a + 2 * b + 2 * d + field(state + STEP * d))

    return runge_kutta


def peer(kind: str, lib: Any, draws: list[dict], starts: np.ndarray, gains: dict, together: bool) -> Advance:
    """NumPy or PyTorch: a loop over the networks, or all of one draw at once as columns."""
    convert = torch.from_numpy if lib is torch else np.asarray
    parts = 1 if kind == "gru" else 3

    def loop(steps: int, matrices: dict, c: dict[str, Any], x: Any) -> np.ndarray:
        step = _step(kind, lib, lambda k, x: matrices[k] @ x, c)
        x = x if parts == 1 else x.reshape(parts, -1, *x.shape[1:])
        for _ in range(steps):
            x = step(x)
        return np.asarray(x).reshape(-1, *x.shape[2:] if parts > 1 else x.shape[1:])

    sets = [{k: convert(m) for k, m in draw.items()} for draw in draws]
    if together:
        row = {k: convert(v) for k, v in gains.items()}
        columns = convert(np.ascontiguousarray(starts.T))
        return lambda steps: loop(steps, sets[0], row, columns).T
    each = [
        (sets[p % len(sets)], {k: v[p].item() for k, v in gains.items()}, convert(x))
        for p, x in enumerate(starts)
    ]
    return lambda steps: np.stack([loop(steps, *one) for one in each])


def ours(kind: str, draws: list[dict], starts: np.ndarray, gains: dict) -> Advance:
    """This program: cells of `systems`, side by side."""
    ensemble = named(kind)
    shared = len(draws) == 1
    matrices = {k: jnp.asarray(draws[0][k] if shared else np.stack([d[k] for d in draws])) for k in draws[0]}
    c, x = {k: jnp.asarray(v) for k, v in gains.items()}, jnp.asarray(starts)
    rest = {k: jnp.asarray(v, x.dtype) for k, v in ensemble.coordinates.items() if k not in c}

    @jax.jit
    def run(matrices, c, x, steps):
        def one(matrices, c, x):
            cell = ensemble.build(matrices, **rest, **c)
            step = cell.step if ensemble.discrete else flow_map(cell, STEP)
            return jax.lax.fori_loop(0, steps, lambda _, x: step(x), x)

        return jax.vmap(one, in_axes=(None if shared else 0, 0, 0))(matrices, c, x)

    return lambda steps: np.asarray(run(matrices, c, x, steps))


def measure(kind: str, units: int, dtype: Any, shared: bool, size: Size) -> dict[str, Any]:
    """Networks times steps per second, medians over turns; and how far the states are apart."""
    ensemble = named(kind)
    count = size.shared if shared else size.separate
    draws = [
        {k: m.astype(dtype) for k, m in ensemble.draw(units, SEED, p).items()}
        for p in range(1 if shared else count)
    ]
    starts = np.stack([ensemble.start(units, SEED, p) for p in range(count)]).astype(dtype)
    gains = {k: np.linspace(*ends, count).astype(dtype) for k, ends in GAINS[kind].items()}
    programs = {"gru_sweep": ours(kind, draws, starts, gains)}
    for name, lib in (("numpy", np), ("torch", torch)):
        programs[name] = peer(kind, lib, draws, starts, gains, False)
        if shared:
            programs[f"{name}_at_once"] = peer(kind, lib, draws, starts, gains, True)
    ends = {name: program(COMPARED) for name, program in programs.items()}
    stages = 1 if ensemble.discrete else 4
    steps = max(1, round(size.work / (3 * units**2 * count * stages)))
    rates: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(size.turns):
        for name, program in programs.items():
            began = time.perf_counter()
            program(steps)
            rates[name].append(count * steps / (time.perf_counter() - began))
    return {
        "network": kind,
        "units": units,
        "precision": np.dtype(dtype).name,
        "draws": "one" if shared else "separate",
        "networks": count,
        "steps": steps,
        "rates": {name: statistics.median(values) for name, values in rates.items()},
        "turns": rates,
        "states_differ_by": max(float(np.max(np.abs(end - ends["gru_sweep"]))) for end in ends.values()),
    }


def of_map(at_once: int, dtype: Any, size: Size) -> dict[str, Any]:
    """Minutes that a 64 x 64 map of the largest exponent takes with so many networks at once."""
    ensemble = named("gated-rnn")
    rng = np.random.default_rng(SEED)
    problem = networks(
        ensemble,
        ensemble.draw(MAP_UNITS, SEED),
        ensemble.start(MAP_UNITS, SEED),
        {"g": rng.uniform(1.0, 4.0, at_once), "alpha_r": rng.uniform(0.0, 30.0, at_once)},
        dtype=dtype,
    )
    now = init(problem)
    one = jnp.asarray(1, jnp.int32)
    began = time.perf_counter()
    jax.block_until_ready(advance(problem, now, one))
    compiling = time.perf_counter() - began
    rounds, spent, done = 1, 0.0, 0
    while spent < size.map_seconds:
        began = time.perf_counter()
        now = jax.block_until_ready(advance(problem, now, jnp.asarray(rounds, jnp.int32)))
        spent, done, rounds = spent + time.perf_counter() - began, done + rounds, 2 * rounds
    whole = (MAP_DURATION.transient + MAP_DURATION.time) / problem.round_time * GRID / at_once
    return {
        "at_once": at_once,
        "precision": np.dtype(dtype).name,
        "minutes": spent / done * whole / 60.0,
        "compile_seconds": compiling,
        "measured_share": done / whole,
    }


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        "| network | draws | units | precision | this program | NumPy | PyTorch | NumPy at once "
        "| PyTorch at once | against loops | against the best | states differ by |",
        "|---|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        rates = r["rates"]
        own = rates["gru_sweep"]
        others = [rates.get(k) for k in ("numpy", "torch", "numpy_at_once", "torch_at_once")]
        shown = " | ".join("" if v is None else f"{v:.0f}" for v in others)
        lines.append(
            f"| {r['network']} | {r['draws']} | {r['units']} | {r['precision']} | {own:.0f} | {shown} "
            f"| {own / max(others[:2]):.1f} | {own / max(v for v in others if v):.1f} "
            f"| {r['states_differ_by']:.0e} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one size, little work; writes nothing")
    quick = parser.parse_args().quick
    size = QUICK if quick else Size()
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_enable_compilation_cache", False)  # compiling is measured
    facts = machine()
    torch.set_num_threads(facts["cores"])
    torch.set_grad_enabled(False)
    rows = [
        measure(kind, units, dtype, shared, size)
        for kind in GAINS
        for shared in (True, False)
        for units in size.units
        for dtype in (np.float32, np.float64)
    ]
    maps = [of_map(at_once, dtype, size) for dtype in (np.float32, np.float64) for at_once in size.at_once]
    lines = table(rows)
    lines += [
        "",
        f"A map of the gated RNN's largest exponent, 64 x 64, N = {MAP_UNITS}, {MAP_DURATION.transient:.0f} "
        f"+ {MAP_DURATION.time:.0f} units of time, from a part of it:",
        "",
        "| networks at once | precision | minutes | compiling | measured |",
        "|---:|---|---:|---:|---:|",
        *(
            f"| {m['at_once']} | {m['precision']} | {m['minutes']:.2f} | {m['compile_seconds']:.1f} s "
            f"| {100 * m['measured_share']:.2f} % |"
            for m in maps
        ),
    ]
    print(*lines, sep="\n")
    if quick:
        return
    facts["versions"]["torch"] = torch.__version__
    head = [
        "# Steps of large random networks: this program, NumPy and PyTorch",
        "",
        f"{facts['cpu']}, {facts['cores']} cores, load {facts['load_before']:.1f} before; "
        f"jax {facts['versions']['jax']}, numpy {facts['versions']['numpy']}, torch {torch.__version__}.",
        f"Networks times steps per second, medians of {size.turns} turns; {size.shared} networks of one "
        f"draw, {size.separate} with draws of their own; a step of the gated RNN is four evaluations. "
        f"Largest difference of the states after {COMPARED} steps.",
        "",
    ]
    RESULTS.mkdir(parents=True, exist_ok=True)
    found = {"machine": facts, "size": dataclasses.asdict(size), "rows": rows, "maps": maps}
    (RESULTS / "gating.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "gating.md").write_text("\n".join(head + lines) + "\n")


if __name__ == "__main__":
    main()
