"""Does training speed follow the phase diagram of the networks that it begins with?

    python experiments/gating_training.py [--quick] [--out-dir results]

Random GRUs, with gains of the candidate (a_h) and of the update gate (a_z) over a grid, learn to recall: two
numbers of [-1, 1] are shown at the first step and asked for `delay` steps later. The task is ours: that of
Can, Krishnamurthy & Schwab (2020) is not in their abstract. Every network is trained alike (Adam, full
gradients through time, new data at every update). Beside each stands what it was at the start: its largest
Lyapunov exponent, and the radius of its Jacobian's eigenvalues at zero by theory. Rank correlations say
whether networks need fewer updates the nearer that exponent is to zero. Writes gating_training.h5, .json, .md
and .png.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from outputs import arguments, write

from gru_sweep.gating.trajectories import Duration, networks, trajectories
from gru_sweep.systems.cells import GRU
from gru_sweep.systems.ensembles import ENSEMBLES

NAME = "gating_training"
ENSEMBLE = ENSEMBLES["gru"]
RATE = 1e-3
"""Of Adam: its usual one."""
BATCH = 64
NUMBERS = 2
"""That are to be recalled."""
LEARNT = 0.1
"""Share of the variance that a network that has learnt to recall leaves unexplained."""
EVERY = 25
"""Updates between two errors that are kept, each of `TESTED` fresh series."""
TESTED = 512
SEED = 0


@dataclasses.dataclass(frozen=True)
class Effort:
    units: int
    delay: int
    updates: int
    networks: int
    a_h: tuple[float, ...]
    a_z: tuple[float, ...]
    follow: float
    """Steps over which the first exponents are averaged."""


FULL = Effort(
    units=64,
    delay=40,
    updates=600,
    networks=3,
    a_h=(0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0),
    a_z=(0.0, 5.0, 20.0),
    follow=1000.0,
)
QUICK = Effort(units=16, delay=10, updates=50, networks=2, a_h=(0.5, 3.0), a_z=(0.0, 5.0), follow=100.0)


def drawn(effort: Effort, number: int) -> dict[str, np.ndarray]:
    """Recurrent matrices, input and readout weights of a network, at unit gains."""
    rng = np.random.default_rng([SEED, number, 99])
    n = effort.units
    matrices = ENSEMBLE.draw(n, SEED, number)
    return {**matrices, "W": rng.normal(size=(n, NUMBERS)), "C": rng.normal(size=(NUMBERS, n)) / np.sqrt(n)}


def start(effort: Effort) -> dict[str, Any]:
    """The parameters of all networks, with an axis of a_h x a_z x networks in front."""
    grid = [(h, z, k) for h in effort.a_h for z in effort.a_z for k in range(effort.networks)]
    parts: dict[str, list[np.ndarray]] = {}
    for h, z, k in grid:
        J = drawn(effort, k)
        one = {"U_h": h * J["h"], "U_z": z * J["z"], "U_r": 0 * J["r"], "W_h": J["W"], "C": J["C"]}
        one |= {"W_z": 0 * J["W"], "W_r": 0 * J["W"], **dict.fromkeys(("b_h", "b_z", "b_r"), 0 * J["h"][0])}
        for name, value in (one | {"c": np.zeros(NUMBERS)}).items():
            parts.setdefault(name, []).append(value)
    return {name: jnp.asarray(np.stack(values), jnp.float32) for name, values in parts.items()}


def recalled(parameters: dict[str, Any], shown: jax.Array, delay: int) -> jax.Array:
    """What one network says of what it was shown, (batch, NUMBERS), `delay` steps later."""
    cell = GRU(**{name: value for name, value in parameters.items() if name not in ("C", "c")})

    def one(x: jax.Array) -> jax.Array:
        h = cell.step(jnp.zeros(cell.dimension, x.dtype), x)
        h, _ = jax.lax.scan(lambda h, _: (cell.step(h), None), h, length=delay)
        return parameters["C"] @ h + parameters["c"]

    return jax.vmap(one)(shown)


def unexplained(parameters: dict[str, Any], key: jax.Array, delay: int, count: int) -> jax.Array:
    """Mean square error of fresh series over the variance of what is asked for, 1/3."""
    shown = jax.random.uniform(key, (count, NUMBERS), minval=-1.0, maxval=1.0)
    return 3.0 * jnp.mean((recalled(parameters, shown, delay) - shown) ** 2)


@partial(jax.jit, static_argnames=("effort",))
def train(parameters: dict[str, Any], effort: Effort) -> tuple[jax.Array, jax.Array]:
    """Errors (networks, kept) before and after every `EVERY` updates; and whether all stayed finite."""
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(RATE))

    def one(parameters: dict[str, Any]) -> tuple[jax.Array, jax.Array]:
        def update(carry, key):
            parameters, state = carry
            slope = jax.grad(unexplained)(parameters, key, effort.delay, BATCH)
            change, state = optimiser.update(slope, state)
            return (optax.apply_updates(parameters, change), state), None

        def several(carry, number):
            error = unexplained(
                carry[0], jax.random.fold_in(jax.random.key(SEED + 1), number), effort.delay, TESTED
            )
            keys = jax.random.split(jax.random.fold_in(jax.random.key(SEED + 2), number), EVERY)
            return jax.lax.scan(update, carry, keys)[0], error

        first = parameters, optimiser.init(parameters)
        last, errors = jax.lax.scan(several, first, jnp.arange(effort.updates // EVERY))
        final = unexplained(last[0], jax.random.key(SEED + 3), effort.delay, TESTED)
        errors = jnp.append(errors, final)
        return errors, jnp.isfinite(errors).all()

    return jax.vmap(one)(parameters)


def radius_at_zero(a_h: float) -> float:
    """Spectral radius of the Jacobian of the map at zero, gates half open: 1/2 + a_h / 4, whatever a_z."""
    return 0.5 + a_h / 4.0


def exponents(effort: Effort) -> np.ndarray:
    """Largest exponents (a_h, a_z, networks) of the networks as they begin."""
    a_h, a_z = (axis.reshape(-1) for axis in np.meshgrid(effort.a_h, effort.a_z, indexing="ij"))
    found = []
    for k in range(effort.networks):
        problem = networks(
            ENSEMBLE,
            ENSEMBLE.draw(effort.units, SEED, k),
            ENSEMBLE.start(effort.units, SEED, k),
            {"a_h": a_h, "a_z": a_z},
        )
        record = trajectories(problem, Duration(effort.follow / 2, effort.follow))
        found.append(np.asarray(record.largest_exponent))
    return np.stack(found, axis=-1).reshape(len(effort.a_h), len(effort.a_z), effort.networks)


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, equal ones averaged."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman's; None where one of both is the same everywhere."""
    first, second = (ranks(values.reshape(-1)) for values in (one, other))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def compute(effort: Effort) -> xr.Dataset:
    """Errors, updates needed and first exponents of all networks."""
    shape = len(effort.a_h), len(effort.a_z), effort.networks
    errors, finite = (np.asarray(part) for part in train(start(effort), effort))
    errors = errors.reshape(*shape, -1)
    updates = np.append(np.arange(effort.updates // EVERY) * EVERY, effort.updates)
    learnt = errors <= LEARNT
    needed = np.where(learnt.any(-1), updates[learnt.argmax(-1)], -1)
    dims = ("a_h", "a_z", "network")
    return xr.Dataset(
        {
            "unexplained": ((*dims, "update"), errors, {"long_name": "share of the variance unexplained"}),
            "updates_needed": (dims, needed, {"long_name": f"updates until that is {LEARNT}, -1 for never"}),
            "exponent": (
                dims,
                exponents(effort),
                {"long_name": "largest Lyapunov exponent at the start", "units": "1/time"},
            ),
        },
        coords={"a_h": list(effort.a_h), "a_z": list(effort.a_z), "update": updates},
        attrs={"all_finite": int(finite.all())},
    )


def speed(needed: np.ndarray) -> np.ndarray:
    """Medians over networks of the updates needed, never counted as more than any number."""
    return np.median(np.where(needed < 0, np.inf, needed), axis=-1)


def judged(data: xr.Dataset, effort: Effort) -> dict[str, Any]:
    """Whether the updates that networks need follow the distance of their first exponent from zero."""
    last, needed = data.unexplained.values[..., -1], data.updates_needed.values
    first = data.exponent.values.mean(axis=-1)
    times, distance = speed(needed), np.abs(first)
    rows = [
        {
            "a_h": h,
            "a_z": z,
            "radius_at_zero": radius_at_zero(h),
            "exponent": float(first[i, j]),
            "unexplained": last[i, j].tolist(),
            "updates_needed": needed[i, j].tolist(),
            "learnt": int((needed[i, j] >= 0).sum()),
        }
        for i, h in enumerate(effort.a_h)
        for j, z in enumerate(effort.a_z)
    ]
    return {
        "effort": dataclasses.asdict(effort),
        "learning_rate": RATE,
        "all_finite": bool(data.attrs["all_finite"]),
        "rows": rows,
        "by_a_z": [
            {
                "a_z": z,
                "rank_correlation_of_time_and_distance": correlation(times[:, j], distance[:, j]),
                "fastest_a_h": [h for i, h in enumerate(effort.a_h) if times[i, j] == times[:, j].min()],
                "never_at_a_h": [h for i, h in enumerate(effort.a_h) if not np.isfinite(times[i, j])],
            }
            for j, z in enumerate(effort.a_z)
        ],
    }


def picture(data: xr.Dataset, path) -> None:
    """Updates needed, and the first exponent, over a_h, a line for each a_z."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for j, z in enumerate(data.a_z.values):
        needed = data.updates_needed.isel(a_z=j).where(lambda n: n >= 0)
        left.plot(data.a_h, needed.median("network"), f"C{j}-", label=f"a_z = {z:g}")
        left.plot(data.a_h, needed, f"C{j}.", markersize=4)
        right.plot(data.a_h, data.exponent.isel(a_z=j).mean("network"), f"C{j}.-")
    left.set(xlabel="a_h at the start", ylabel="updates until the task is learnt", ylim=(0, None))
    right.axhline(0.0, color="0.6", linewidth=0.8)
    right.set(xlabel="a_h at the start", ylabel="largest exponent at the start (1/step)")
    for axes in (left, right):
        axes.axvline(2.0, color="0.6", linestyle=":")
    left.legend()
    figure.savefig(path, dpi=150)


def text(verdict: dict[str, Any]) -> str:
    effort, of = verdict["effort"], verdict["effort"]["networks"]
    lines = [
        "# Training and the phase diagram",
        "",
        f"GRUs of {effort['units']} units learn to recall {NUMBERS} numbers after {effort['delay']} steps, "
        f"in at most {effort['updates']} updates. Learnt: at most {LEARNT:g} of the variance is unexplained.",
        "",
        "| a_z | rank correlation of updates needed and the first exponent's distance from zero "
        "| fastest at a_h | not learnt at a_h |",
        "|---:|---:|---|---|",
    ]
    for row in verdict["by_a_z"]:
        fast, never = (", ".join(f"{h:g}" for h in row[k]) for k in ("fastest_a_h", "never_at_a_h"))
        found = row["rank_correlation_of_time_and_distance"]
        rank = "" if found is None else f"{found:.2f}"
        lines.append(f"| {row['a_z']:g} | {rank} | {fast} | {never} |")
    lines += [
        "",
        "| a_h | a_z | radius at zero | exponent | updates needed | unexplained, median | learnt |",
        "|---:|---:|---:|---:|---|---:|---:|",
    ]
    for row in verdict["rows"]:
        needed = ", ".join("never" if n < 0 else str(n) for n in row["updates_needed"])
        lines.append(
            f"| {row['a_h']:g} | {row['a_z']:g} | {row['radius_at_zero']:.3f} | {row['exponent']:.3f} "
            f"| {needed} | {np.median(row['unexplained']):.3f} | {row['learnt']} of {of} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    given = arguments(__doc__, quick="few small networks, a short delay")
    effort = QUICK if given.quick else FULL
    data = compute(effort)
    verdict = judged(data, effort)
    print(text(verdict))
    write(given.out_dir, NAME, data, verdict, lambda path: picture(data, path))
    (given.out_dir / f"{NAME}.md").write_text(text(verdict))


if __name__ == "__main__":
    main()
