"""What XLA's CPU compiler makes of many outputs that share one expression, with and without `together`.

One Taylor step of a planar GRU has seven outputs that share all their coefficients. Measured: nanoseconds per
step and lane, and seconds to compile, of that step written plainly and through
`gru_sweep.analysis.arithmetic.together`, at the vector widths that XLA chooses and that the sweeps ask for;
and of a GRU with all its gates by either of XLA's generators of CPU loops (`arithmetic.RECURRENCES`).
Likewise microseconds per box of the interval test of three unknowns that finds the folds on a line
(`any_dimension.krawczyk.judge`), by either generator.

    python experiments/benchmarks/fusion.py
"""

from __future__ import annotations

import statistics
import time

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from gru_sweep.analysis import sections
from gru_sweep.analysis.any_dimension import krawczyk
from gru_sweep.analysis.arithmetic import RECURRENCES, together, trace
from gru_sweep.analysis.bifurcations.extended import DETERMINANT, Extended
from gru_sweep.systems.cells import GRU
from gru_sweep.systems.families import FAMILIES

LANES, STEPS, REPEATS = 2048, 100, 7
FEW_LANES, FEW_STEPS = 256, 8
"""Of the GRU with all its gates, whose steps may take 300 times as long."""
TOLERANCE = 1e-10
BOXES = 4096
"""Judged in one call, as in a search."""


def rotations(lanes: int) -> GRU:
    """Cells of Eq 8, without gates."""
    alpha, beta, zero = jnp.linspace(0.4, 0.7, lanes), jnp.linspace(2.8, 3.0, lanes), jnp.zeros(lanes)
    return jax.vmap(FAMILIES["hopf"].build, out_axes=-1)(alpha, beta, zero, zero, zero)


def gated(lanes: int) -> GRU:
    """Cells with update and reset gates."""

    def build(gain):
        gate = gain * jnp.array([[1.0, 0.5], [-1.0, 0.3]])
        bias = gain * jnp.array([0.1, -0.2])
        rotation = jnp.array([[2.4, -1.5], [1.5, 2.4]])
        return GRU(U_h=rotation, U_z=gate, U_r=gate, b_z=bias, b_r=bias, b_h=bias)

    return jax.vmap(build, out_axes=-1)(jnp.linspace(-2.0, 2.0, lanes))


def measure(cells: GRU, join: bool, options: dict, steps: int = STEPS) -> tuple[float, float]:
    """Seconds to compile, and nanoseconds per step and lane."""
    lanes = cells.U_h.shape[-1]

    def run(cell, x, y):
        closed = trace(cell, (2,), dtype=x.dtype)

        def step(_, p):
            new = sections.moved(p, *sections.expand(closed, p, TOLERANCE))
            return together(new) if join else new

        start = sections.Trajectory.start((x, y), jnp.ones_like(x), jnp.zeros((), jnp.int32))
        return jax.lax.fori_loop(0, steps, step, start)

    zero = jnp.zeros(lanes)
    batch = jax.jit(jax.vmap(run, in_axes=-1, out_axes=-1))
    began = time.perf_counter()
    program = batch.lower(cells, zero + 0.3, zero + 0.1).compile(compiler_options=options)
    compiling = time.perf_counter() - began
    jax.block_until_ready(program(cells, zero + 0.3, zero + 0.1))
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        jax.block_until_ready(program(cells, zero + 0.3, zero + 0.1))
        seconds.append(time.perf_counter() - began)
    return compiling, 1e9 * statistics.median(seconds) / (lanes * steps)


def judged(options: dict) -> tuple[float, float]:
    """Seconds to compile, and microseconds per box, of the test for folds of Eq 8 over alpha."""
    cell = FAMILIES["hopf"].build
    zero = jnp.zeros(())
    system = Extended(lambda h, p: cell(p[0], zero + 3.0, zero, zero, zero)(h), (DETERMINANT,))
    low = jax.random.uniform(jax.random.key(0), (BOXES, 3), minval=-1.0)
    high, least = low + 0.01, jnp.full(3, 1e-8)
    test = jax.jit(lambda low, high, least: krawczyk.judge.__wrapped__(system, low, high, least))
    began = time.perf_counter()
    program = test.lower(low, high, least).compile(compiler_options=options)
    compiling = time.perf_counter() - began
    seconds = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        jax.block_until_ready(program(low, high, least))
        seconds.append(time.perf_counter() - began)
    return compiling, 1e6 * statistics.median(seconds[1:]) / BOXES


def main() -> None:
    table = Table("step", "vector width", "ns per step and lane", "compiling, s")
    for width in (256, 512):
        for join in (False, True):
            options = {"xla_cpu_prefer_vector_width": str(width)}
            compiling, each = measure(rotations(LANES), join, options)
            table.add_row("together" if join else "plain", f"{width} bit", f"{each:.1f}", f"{compiling:.2f}")
    wide = {"xla_cpu_prefer_vector_width": "512"}
    for name, options in (("newer", wide), ("older", wide | RECURRENCES["cpu"])):
        compiling, each = measure(gated(FEW_LANES), True, options, FEW_STEPS)
        table.add_row(f"all gates, {name} generator", "512 bit", f"{each:.1f}", f"{compiling:.2f}")
    boxes = Table("interval test", "us per box", "compiling, s")
    for name, options in (("newer generator", {}), ("older generator", RECURRENCES["cpu"])):
        compiling, each = judged(options)
        boxes.add_row(name, f"{each:.2f}", f"{compiling:.2f}")
    console = Console()
    console.print(
        f"order {sections.ORDER['float64']}, {LANES} lanes, median of {REPEATS} runs, {jax.devices()[0]}"
    )
    console.print(table)
    console.print(boxes)


if __name__ == "__main__":
    with jax.enable_x64(True):
        main()
