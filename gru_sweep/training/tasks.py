r"""What networks are taught: series of a planar system, sampled at equal times.

The three of Jordan, Sokol & Park (2021, section 5), 667 training series of 30 points each:

    fhn    x' = x - x^3/3 - y + I,  12.5 y' = x + 0.7 - 0.8 y,  I ~ N(0.7, 0.04)     a limit cycle
    line   x' = -x,                 y' = 0                                           a line attractor
    ring   x' = -(x^2 + y^2 - 1) x, y' = -(x^2 + y^2 - 1) y                          a ring attractor

the last two observed with white noise N(0, 0.1 I). Second arguments of N are variances. The paper gives
neither sampling step, initial conditions nor a held-out set: see `TASKS` for the choices. Any planar
f(t, y, args) makes another `Task`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..records import InputError, nearest
from .solutions import MAX_STEPS, TOLERANCE, WIDTH, blocks, exact, solutions

Acts = Literal["observation", "current"]
Current = Literal["step", "series"]


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def _check_step(argument: str, step: Any) -> None:
    if not _is_finite(step) or step <= 0:
        raise InputError(argument, "a positive number, the time between two samples", step)


def _check_noise(argument: str, noise: Any) -> None:
    if not _is_finite(noise) or noise < 0:
        raise InputError(argument, "a variance, a number of at least 0", noise)


def _check_count(argument: str, value: Any, lowest: int, highest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not lowest <= value <= highest:
        shown = {2**32 - 1: "2^32 - 1", 2**63 - 1: "2^63 - 1"}[highest]
        raise InputError(argument, f"an integer from {lowest} to {shown}", value)


def check_series(number: Any) -> None:
    """Refuse a number of training series that cannot be drawn."""
    _check_count("--series", number, 1, 2**32 - 1)


@dataclasses.dataclass(frozen=True)
class Task:
    """A planar system, and how it is sampled.

    **Arguments**

    - `field`: a diffrax vector field f(t, y, args), t a time, y and its answer (2,). Series start at t = 0.
    - `lower`, `upper`: initial conditions are uniform in this box.
    - `step`: between two samples, units of time.
    - `noise`: a variance. Where it acts, `acts`: `"observation"` adds independent normal deviates to both
      coordinates of every sample, the first included; `"current"` makes them part of the motion: `args`, a
      number, is then the mean of what the field gets for its args.
    - `args`: what the field gets without noise.

    Refused: a box without inside, a step that is not positive, a variance that is negative, any of them not
    finite, noise in a current that is not a number.
    """

    name: str
    field: Callable[..., Any]
    lower: tuple[float | int, float | int]
    upper: tuple[float | int, float | int]
    step: float | int
    noise: float | int = 0.0
    acts: str = "observation"
    args: Any = None
    title: str = ""
    equation: str = ""

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            box = np.asarray(getattr(self, name), dtype=np.float64)
            if box.shape != (2,) or not np.isfinite(box).all():
                raise InputError(name, "two finite numbers", getattr(self, name))
        if not all(low < high for low, high in zip(self.lower, self.upper)):
            raise InputError("upper", f"numbers above {tuple(self.lower)}", self.upper)
        _check_step("step", self.step)
        _check_noise("noise", self.noise)
        if self.acts not in get_args(Acts):
            raise InputError("acts", nearest(str(self.acts), get_args(Acts)), self.acts)
        if self.acts == "current" and not _is_finite(self.args):
            raise InputError("args", "a finite number, the mean current", self.args)


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """Series of a task: float64.

    - `times` (points,): of the samples, the first 0.
    - `train` (series, points, 2), `test` (held out, points, 2): what is observed, of different draws.
    - `test_truth`: `test` without observation noise, under the same current.
    - `seed`, and the options: `step`, `noise` (a variance), `current`.
    """

    task: Task
    seed: int
    step: float
    noise: float
    current: str
    times: Float[np.ndarray, " points"]
    train: Float[np.ndarray, "series points 2"]
    test: Float[np.ndarray, "held_out points 2"]
    test_truth: Float[np.ndarray, "held_out points 2"]

    def attributes(self) -> dict[str, str | int | float]:
        """What decides the data, for a file."""
        task = self.task
        drive: dict[str, str | int | float] = {}
        if task.acts == "current":
            drive = {"current": self.current, "mean_current": float(task.args)}
        return {
            "task": task.name,
            "title": task.title,
            "equation": task.equation,
            "seed": self.seed,
            "series": len(self.train),
            "held_out": len(self.test),
            "points": len(self.times),
            "step": self.step,
            "noise": self.noise,
            "noise_acts_on": task.acts,
            **drive,
            **{f"lower_{axis}": float(value) for axis, value in zip("xy", task.lower)},
            **{f"upper_{axis}": float(value) for axis, value in zip("xy", task.upper)},
            "tolerance": TOLERANCE,
        }


def fitzhugh_nagumo(t, y, args):
    """x' = x - x^3/3 - y + I, 12.5 y' = x + 0.7 - 0.8 y; `args` is the current I."""
    x, recovery = y
    return jnp.stack([x - x**3 / 3 - recovery + args, (x + 0.7 - 0.8 * recovery) / 12.5])


def line_attractor(t, y, args):
    """x' = -x, y' = 0: every point of the y axis is at rest."""
    return jnp.stack([-y[0], jnp.zeros_like(y[1])])


def ring_attractor(t, y, args):
    """r' = r (1 - r^2): every point of the unit circle is at rest."""
    return -(y @ y - 1) * y


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="fhn",
            field=fitzhugh_nagumo,
            lower=(-2.0, -0.5),
            upper=(2.0, 2.0),
            step=1.5,
            noise=0.04,
            acts="current",
            args=0.7,
            title="FitzHugh-Nagumo: a limit cycle (Jordan, Sokol & Park 2021, section 5.1)",
            equation="x' = x - x^3/3 - y + I, 12.5 y' = x + 0.7 - 0.8 y, I ~ N(0.7, 0.04)",
        ),
        Task(
            name="line",
            field=line_attractor,
            lower=(-2.0, -2.0),
            upper=(2.0, 2.0),
            step=0.2,
            noise=0.1,
            title="a line attractor (Jordan, Sokol & Park 2021, section 5.2)",
            equation="x' = -x, y' = 0, observed with N(0, 0.1 I)",
        ),
        Task(
            name="ring",
            field=ring_attractor,
            lower=(-1.5, -1.5),
            upper=(1.5, 1.5),
            step=0.2,
            noise=0.1,
            title="a ring attractor (Jordan, Sokol & Park 2021, section 5.3)",
            equation="x' = -(x^2 + y^2 - 1) x, y' = -(x^2 + y^2 - 1) y, observed with N(0, 0.1 I)",
        ),
    )
}
"""The paper's tasks. Steps and boxes are ours, chosen so that 29 steps show the dynamics:

- fhn: the noise-free cycle has period 36.979 and fills [-1.95, 1.89] x [-0.09, 1.56]; it creeps along its two
  branches (12 units of time at x > 1, 16 at x < -1) and is between them for 9, six samples. With step 1.5 a
  series is 43.5 long, 1.18 periods: whatever its phase at the start, a network sees every part of the cycle
  and the way back to where it began. The box is the cycle's, a little wider: series show the attraction.
  (The fixed point inside, (-0.516, 0.230), has eigenvalues 0.616 and 0.054: a node, not the paper's spiral.)
- line: in 29 steps of 0.2 the distance from the line falls by exp(-5.8), to 0.003: the first half of a series
  shows the way there, the second half, within the noise, rest.
- ring: near the ring deviations fall with rate 2, near the centre they grow with rate 1: 5.8 units of time
  take all but 2 in 100 000 starts to within 0.1 of it. Of the box 35 % is inside the ring.
"""


def named(name: str) -> Task:
    """The task of that name in `TASKS`."""
    if name not in TASKS:
        raise InputError("TASK", nearest(name, TASKS), name)
    return TASKS[name]


def draw(
    task: Task | str,
    seed: int,
    *,
    series: int = 667,
    held_out: int = 333,
    points: int = 30,
    step: float | int | None = None,
    noise: float | int | None = None,
    current: str = "step",
) -> Data:
    """The training series of a task and as good ones held out.

    A counter-based generator: a sample depends on the seed, on which of the two sets it is in, on its series'
    number there and on its own, and on nothing else; not on how many there are, nor on JAX's settings.

    **Arguments**

    - `task`: one, or a name of `TASKS`; `seed`: 0 to 2^63 - 1.
    - `series`, `held_out`, `points`: numbers of training series, of others, of samples of each.
    - `step`, `noise`: the task's unless given; no noise, no draw but of initial conditions.
    - `current`: a noisy current is drawn anew for every sampling step, constant within it (`"step"`: the
      paper's "I = N(0.7, 0.04)" read as part of the motion), or once for a whole series (`"series"`: 3 % of
      the series are then below I = 0.32, where FitzHugh-Nagumo rests).

    Refused: the numbers that make no sense, a field that is not planar or not finite at an initial condition,
    a solution that grows without bounds before its last sample.
    """
    task = named(task) if isinstance(task, str) else task
    step = task.step if step is None else step
    noise = task.noise if noise is None else noise
    _check_step("--step", step)
    _check_noise("--noise", noise)
    _check_count("--seed", seed, 0, 2**63 - 1)
    check_series(series)
    _check_count("--held-out", held_out, 1, 2**32 - 1)
    _check_count("--points", points, 2, 2**32 - 1)
    if current not in get_args(Current):
        raise InputError("--current", nearest(str(current), get_args(Current)), current)

    times = float(step) * np.arange(points)
    sets = []
    for which, count in enumerate((series, held_out)):
        uniform, deviates = _deviates(seed, which, count, points)
        starts = np.asarray(task.lower) + uniform * np.subtract(task.upper, task.lower)
        deviates *= math.sqrt(noise)
        if task.acts == "current":
            drive = deviates[:, :-1, 0] if current == "step" else deviates[:, :1, 0]
            drive = np.broadcast_to(task.args + drive, (count, points - 1))
            states = solutions(task.field, task.args, starts, times, drive)
            deviates = np.zeros_like(states)
        else:
            states = solutions(task.field, task.args, starts, times)
        unbounded = ~np.isfinite(states).all((1, 2))
        if unbounded.any():
            start = starts[unbounded][0]
            raise InputError(
                "TASK",
                f"solutions that stay bounded for {times[-1]:g} units of time, {MAX_STEPS} steps a sample",
                f"one of {task.name} that does not from ({start[0]:.6g}, {start[1]:.6g})",
            )
        sets.append((states, states + deviates))
    (_, train), (test_truth, test) = sets
    return Data(
        task=task,
        seed=int(seed),
        step=float(step),
        noise=float(noise),
        current=current,
        times=times,
        train=train,
        test=test,
        test_truth=test_truth,
    )


def truth(task: Task, starts: Any, times: Any) -> Float[np.ndarray, "n K 2"]:
    """The noise-free solutions at `times` (K,), not decreasing, that are at `starts` (n, 2) at the first.

    NaN from where a solution grows without bounds. Error about 1e-9, see `TOLERANCE`.
    """
    y, t = np.asarray(starts, dtype=np.float64), np.asarray(times, dtype=np.float64)
    if y.ndim != 2 or y.shape[1] != 2 or not len(y) or not np.isfinite(y).all():
        raise InputError("starts", "finite numbers of shape (n, 2)", f"shape {y.shape}" if y.ndim != 2 else y)
    if t.ndim != 1 or not t.size or not np.isfinite(t).all() or (np.diff(t) < 0).any():
        raise InputError("times", "finite numbers of shape (K,), not decreasing", t)
    return solutions(task.field, task.args, y, t)


def _deviates(seed: int, which: int, count: int, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Uniform deviates (count, 2) in [0, 1) and normal ones (count, points, 2), float64."""
    uniform, normal = np.empty((count, 2)), np.empty((count, points, 2))
    with exact():
        key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), which)
        for part, rows in blocks(count, WIDTH):
            block = _drawn(key, rows.astype(np.uint32), np.arange(points, dtype=np.uint32))
            for whole, deviates in zip((uniform, normal), block):
                whole[part] = np.asarray(deviates)[: len(whole[part])]
    return uniform, normal


@jax.jit
def _drawn(key, index, points):
    def series(i) -> tuple[Array, Array]:
        start, samples = jax.random.split(jax.random.fold_in(key, i))
        sample = lambda k: jax.random.normal(jax.random.fold_in(samples, k), (2,), jnp.float64)  # noqa: E731
        return jax.random.uniform(start, (2,), jnp.float64), jax.vmap(sample)(points)

    return jax.vmap(series)(index)
