"""What XLA's CPU compiler makes of many outputs that share one expression, with and without `together`.

One Taylor step of a planar GRU has seven outputs that share all their coefficients. Measured: nanoseconds per
step and lane, and seconds to compile, of that step written plainly and through
`gru_sweep.analysis.arithmetic.together`, at the vector widths that XLA chooses and that the sweeps ask for.

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
from gru_sweep.analysis.arithmetic import together, trace
from gru_sweep.systems.families import FAMILIES

LANES, STEPS, REPEATS = 2048, 100, 7
TOLERANCE = 1e-10


def measure(join: bool, width: int) -> tuple[float, float]:
    """Seconds to compile, and nanoseconds per step and lane."""

    def run(cell, x, y):
        closed = trace(cell, (2,), dtype=x.dtype)

        def step(_, p):
            new = sections.moved(p, *sections.expand(closed, p, TOLERANCE))
            return together(new) if join else new

        start = sections.Trajectory.start((x, y), jnp.ones_like(x), jnp.zeros((), jnp.int32))
        return jax.lax.fori_loop(0, STEPS, step, start)

    alpha, beta = jnp.linspace(0.4, 0.7, LANES), jnp.linspace(2.8, 3.0, LANES)
    zero = jnp.zeros(LANES)
    cells = jax.vmap(FAMILIES["hopf"].build, out_axes=-1)(alpha, beta, zero, zero, zero)
    batch = jax.jit(jax.vmap(run, in_axes=-1, out_axes=-1))
    began = time.perf_counter()
    program = batch.lower(cells, zero + 0.3, zero + 0.1).compile(
        compiler_options={"xla_cpu_prefer_vector_width": str(width)}
    )
    compiling = time.perf_counter() - began
    jax.block_until_ready(program(cells, zero + 0.3, zero + 0.1))
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        jax.block_until_ready(program(cells, zero + 0.3, zero + 0.1))
        seconds.append(time.perf_counter() - began)
    return compiling, 1e9 * statistics.median(seconds) / (LANES * STEPS)


def main() -> None:
    table = Table("step", "vector width", "ns per step and lane", "compiling, s")
    for width in (256, 512):
        for join in (False, True):
            compiling, each = measure(join, width)
            table.add_row("together" if join else "plain", f"{width} bit", f"{each:.1f}", f"{compiling:.2f}")
    console = Console()
    console.print(
        f"order {sections.ORDER['float64']}, {LANES} lanes, median of {REPEATS} runs, {jax.devices()[0]}"
    )
    console.print(table)


if __name__ == "__main__":
    with jax.enable_x64(True):
        main()
