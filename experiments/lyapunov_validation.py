"""Lyapunov exponents against the literature, closed answers, and steps of the integrator.

    python experiments/lyapunov_validation.py [--quick] [--out-dir results]

Lorenz, Rossler and Henon (Sprott 2003, Chaos and Time-Series Analysis; Lorenz and Rossler also Wolf, Swift,
Swinney & Vastano 1985), the logistic map at 4 (ln 2), a limit cycle (0 and -2 mu). Several trajectories of
each at once; errors are those of the mean over them. Then the largest exponent of chaotic random gated RNNs
by steps of different length and in both precisions. Prints tables; writes lyapunov_validation.json and .md.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from outputs import arguments

from gru_sweep.analysis.lyapunov import flow_map, lyapunov_spectrum
from gru_sweep.gating.trajectories import STEP, Duration, networks, trajectories
from gru_sweep.systems.ensembles import named

NAME = "lyapunov_validation"
LANES = 8
"""Trajectories of each system."""
STEPS = (1.0, 0.5, 0.25, 0.125, 0.0625)
"""Of the gated RNN's integrator, in units of time."""
PLACES = ({"g": 3.0, "alpha_r": 10.0}, {"g": 4.0, "alpha_r": 4.0, "alpha_z": 4.0})
"""Chaotic both."""
UNITS, DRAWS, SEED = 64, 32, 0


@dataclasses.dataclass(frozen=True)
class System:
    """A system of known exponents: `time` and `transient` in its own unit, the step if it is a flow."""

    name: str
    field: Callable[[Any], Any]
    start: Sequence[float]
    spread: float
    time: float
    known: tuple[float, ...]
    dimension: float | None = None
    total: float | None = None
    """The sum of the exponents, where it is known exactly."""
    dt: float | None = None
    transient: float = 50.0


def lorenz(y):
    a, b, c = y
    return jnp.stack([10.0 * (b - a), a * (28.0 - c) - b, a * b - 8.0 / 3.0 * c])


def rossler(y):
    a, b, c = y
    return jnp.stack([-b - c, a + 0.2 * b, 0.2 + c * (a - 5.7)])


def henon(x):
    return jnp.stack([1.0 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]])


def logistic(x):
    return 4.0 * x * (1.0 - x)


def cycle(y):
    """Stuart-Landau with mu = 0.4."""
    return y * (0.4 - jnp.sum(y * y)) + 1.5 * jnp.stack([-y[1], y[0]])


SYSTEMS = (
    System(
        name="Lorenz",
        field=lorenz,
        start=(1.0, 1.0, 20.0),
        spread=0.5,
        time=4000.0,
        known=(0.9056, 0.0, -14.5723),
        dimension=2.062,
        total=-(10.0 + 1.0 + 8.0 / 3.0),
        dt=0.005,
    ),
    System(
        name="Rossler",
        field=rossler,
        start=(1.0, 1.0, 0.0),
        spread=0.5,
        time=16_000.0,
        known=(0.0714, 0.0, -5.3943),
        dimension=2.0132,
        dt=0.02,
        transient=200.0,
    ),
    System(
        name="Henon",
        field=henon,
        start=(0.1, 0.1),
        spread=0.01,
        time=200_000.0,
        known=(0.41922, -1.62319),
        dimension=1.25827,
        total=float(np.log(0.3)),
    ),
    System(name="logistic", field=logistic, start=(0.3,), spread=0.05, time=200_000.0, known=(np.log(2.0),)),
    System(
        name="Stuart-Landau",
        field=cycle,
        start=(0.6, 0.0),
        spread=0.05,
        time=4000.0,
        known=(0.0, -0.8),
        dt=0.05,
    ),
)


def measure(system: System, share: float) -> dict[str, Any]:
    """A system's mean exponents over trajectories, and their errors from trajectories and from blocks."""
    flow = system.dt is not None
    step = flow_map(system.field, system.dt, 1, diffrax.Tsit5().tableau) if flow else system.field
    size = len(system.start)
    starts = np.asarray(system.start) + system.spread * np.linspace(-1.0, 1.0, LANES)[:, None]

    def one(start):
        return lyapunov_spectrum(
            step, start, size, time=system.time * share, transient=system.transient, every=4 if flow else 1
        )

    began = time.perf_counter()
    found = jax.block_until_ready(jax.jit(jax.vmap(one))(jnp.asarray(starts)))
    values, blocks = np.asarray(found.exponent), np.asarray(found.exponent_error)
    mean = values.mean(axis=0)
    return {
        "system": system.name,
        "time": system.time * share,
        "trajectories": LANES,
        "exponents": mean.tolist(),
        "known": list(system.known),
        "standard_error": (values.std(axis=0, ddof=1) / np.sqrt(LANES)).tolist(),
        "standard_error_by_blocks": (np.sqrt((blocks**2).mean(axis=0)) / np.sqrt(LANES)).tolist(),
        "dimension": float(np.mean(found.dimension)),
        "known_dimension": system.dimension,
        "sum_is_off_by": None if system.total is None else float(abs(mean.sum() - system.total)),
        "seconds": time.perf_counter() - began,
    }


def chaos(place: dict[str, float], dt: float, dtype: Any, duration: Duration) -> dict[str, Any]:
    """The largest exponent of one draw from DRAWS starts, by steps of `dt`."""
    ensemble = named("gated-rnn")
    starts = np.stack([ensemble.start(UNITS, SEED, k) for k in range(DRAWS)])
    given = {name: np.full(DRAWS, value) for name, value in place.items()}
    found = trajectories(
        networks(ensemble, ensemble.draw(UNITS, SEED), starts, given, dt=dt, dtype=dtype), duration
    )
    values = np.asarray(found.largest_exponent, np.float64)
    return {
        **place,
        "dt": dt,
        "precision": np.dtype(dtype).name,
        "exponent": float(values.mean()),
        "standard_error": float(values.std(ddof=1) / np.sqrt(DRAWS)),
        "standard_error_by_blocks": float(
            np.sqrt(np.mean(np.square(found.largest_exponent_error))) / np.sqrt(DRAWS)
        ),
    }


def main() -> None:
    given = arguments(__doc__, "a fiftieth of the time, two step lengths")
    share, steps = (0.02, STEPS[1:3]) if given.quick else (1.0, STEPS)
    duration = Duration(200.0, 3000.0 * share)
    rows = [measure(system, share) for system in SYSTEMS]
    lines = [
        "# Lyapunov exponents against the literature",
        "",
        f"{LANES} trajectories of each system; standard errors of the mean, from the trajectories and from "
        "blocks of time.",
        "",
        "| system | time | found | known | error | error by blocks | dimension | known | sum is off by |",
        "|---|---:|---|---|---|---|---:|---:|---:|",
    ]

    def several(values: Sequence[float], form: str) -> str:
        return ", ".join(format(v, form) for v in values)

    for r in rows:
        known = "" if r["known_dimension"] is None else f"{r['known_dimension']:.4f}"
        off = "" if r["sum_is_off_by"] is None else f"{r['sum_is_off_by']:.0e}"
        lines.append(
            f"| {r['system']} | {r['time']:.0f} | {several(r['exponents'], '.4f')} "
            f"| {several(r['known'], '.4f')} | {several(r['standard_error'], '.0e')} "
            f"| {several(r['standard_error_by_blocks'], '.0e')} | {r['dimension']:.4f} | {known} | {off} |"
        )
    chaotic = [
        chaos(place, dt, dtype, duration)
        for place in PLACES
        for dtype in (np.float32, np.float64)
        for dt in (steps if dtype == np.float32 else (STEP,))
    ]
    lines += [
        "",
        "## Steps of the gated RNN's integrator, the classical Runge-Kutta method",
        "",
        f"Largest exponent of one network of {UNITS} units, mean over {DRAWS} starts, {duration.time:.0f} "
        "units of time each.",
        "",
        "| gains | step | precision | largest exponent | error | error by blocks |",
        "|---|---:|---|---:|---:|---:|",
        *(
            f"| {', '.join(f'{k} = {r[k]:g}' for k in r if k in ('g', 'alpha_r', 'alpha_z'))} | {r['dt']:g} "
            f"| {r['precision']} | {r['exponent']:.4f} | {r['standard_error']:.4f} "
            f"| {r['standard_error_by_blocks']:.4f} |"
            for r in chaotic
        ),
    ]
    found = {"systems": rows, "chaos": chaotic}
    given.out_dir.mkdir(parents=True, exist_ok=True)
    (given.out_dir / f"{NAME}.json").write_text(json.dumps(found, indent=1) + "\n")
    (given.out_dir / f"{NAME}.md").write_text("\n".join(lines) + "\n")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
