r"""How slow a map is along its slow set: pseudo-line attractors in numbers.

From m states spread over the state space the map is iterated K steps. What is then left is the slow set, seen
at that horizon: states h_i with speeds v_i = |map(h_i) - h_i|. With u the direction of its largest variance
and s_i = u . (h_i - mean h):

- the range of s is cut into `BINS` bins; the mean states of those that hold states make, in order, the
  *slow curve*, in pieces where bins are empty. The *length* at a threshold is that of its edges between
  neighbouring bins all of whose states are slower than the threshold;
- on its longest piece, *span* is the range of s and *drift* the largest |u . (map(h_i) - h_i)|, in length
  per step: on it no state moves along u by delta in fewer than delta / drift steps;
- a state's *stay* at a distance is the first number of steps after which it is that far from where it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float, Int

from ..records import InputError
from .maps import Map, fits, stack, states, whole

BINS = 64
"""Bins along the slow set."""
THRESHOLDS = (1e-1, 1e-2, 1e-3, 1e-4)
"""Speeds, in length per step, below which lengths are given."""
DISTANCES = (0.01, 0.03, 0.1, 0.3)
"""Distances for which stays are given: parts of the width 2 of the trapping region."""


@dataclasses.dataclass(frozen=True)
class Slowness:
    """The slow set of a map of d units after `steps` steps from m states (definitions: the module's).

    - `state` (m, d), in order along `axis` (d,), `position` (m,) along it and `speed` (m,) per step.
      `explained`: the share of the variance along the axis, low for what is no line; `thickness`: the root
      mean square distance of the states from it.
    - `pieces`: how many the slow curve has; `span` of the longest, a length.
    - `drift`: length per step; `time_constant` = 1 / drift: steps per unit of length; `crossing` = span /
      drift: steps, at least, from end to end.
    - `length` (thresholds,): of the slow curve below each of `thresholds`.
    - `stay` (distances, m): steps until each state is each of `distances` away from where it was; `horizon`
      where it never was within `horizon` steps. `median_stay` (distances,).
    """

    steps: int
    state: np.ndarray
    position: np.ndarray
    speed: np.ndarray
    axis: np.ndarray
    explained: float
    thickness: float
    pieces: int
    span: float
    drift: float
    time_constant: float
    crossing: float
    thresholds: tuple[float, ...]
    length: np.ndarray
    distances: tuple[float, ...]
    stay: np.ndarray
    horizon: int

    @property
    def median_stay(self) -> np.ndarray:
        """Steps, by distance."""
        return np.median(self.stay, axis=1)


def slowness(
    maps: Sequence[Map],
    points: npt.ArrayLike,
    *,
    steps: int = 29,
    horizon: int = 4096,
    thresholds: Sequence[float] = THRESHOLDS,
    distances: Sequence[float] = DISTANCES,
) -> list[Slowness]:
    """The slow set of each map, all of one make (`maps.stack`), from `points` (m, d).

    `steps`: K; with 0 the points themselves are measured, a segment or a set that is already known.
    `horizon`: steps for which stays are followed.
    """
    begin = states(points, "points")
    whole("steps", steps, 0)
    whole("horizon", horizon, 1)
    for name, values in (("thresholds", thresholds), ("distances", distances)):
        if not len(values) or not all(np.isfinite(v) and v > 0 for v in values):
            raise InputError(name, "positive numbers", values)
    joined = stack(maps)
    fits(maps[0], begin.shape[1], "points")
    arguments = jnp.asarray(begin), jnp.asarray(steps), jnp.asarray(horizon), jnp.asarray(distances, float)
    out = map(np.asarray, _trace(joined, *arguments))
    return [
        _measure(h, after, stay, steps, horizon, tuple(thresholds), tuple(distances))
        for h, after, stay in zip(*out)
    ]


@eqx.filter_jit
def _trace(
    maps: Any,
    begin: Float[Array, "m d"],
    steps: Int[Array, ""],
    horizon: Int[Array, ""],
    distances: Float[Array, " k"],
) -> tuple[Float[Array, "n m d"], Float[Array, "n m d"], Int[Array, "n m k"]]:
    """States after `steps` steps, after one more, and how many until they are each of `distances` away."""

    def one(step, start):
        h = jax.lax.fori_loop(0, steps, lambda _, h: step(h), start)

        def walk(k, state):
            x, stay = state
            x = step(x)
            left = (jnp.linalg.norm(x - h) >= distances) & (stay == horizon)
            return x, jnp.where(left, k + 1, stay)

        never = jnp.broadcast_to(horizon, distances.shape)
        return h, step(h), jax.lax.fori_loop(0, horizon, walk, (h, never))[1]

    each = eqx.filter_vmap(one, in_axes=(None, 0))
    return eqx.filter_vmap(each, in_axes=(eqx.if_array(0), None))(maps, begin)


def _measure(h, after, stay, steps, horizon, thresholds, distances) -> Slowness:
    about = h - h.mean(axis=0)
    _, size, directions = np.linalg.svd(about, full_matrices=False)
    # the sign of a direction is arbitrary: its largest component is positive
    axis = directions[0] * np.sign(directions[0][np.argmax(np.abs(directions[0]))])
    order = np.argsort(about @ axis, kind="stable")
    position, speed = (about @ axis)[order], np.linalg.norm(after - h, axis=1)[order]
    curve = _Curve(h[order], position, speed)
    longest = curve.longest()
    drift = float(np.max(np.abs((after - h)[order] @ axis)[longest]))
    span = float(np.ptp(position[longest]))
    total = float(np.sum(size**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        time_constant, crossing = float(np.divide(1.0, drift)), float(np.divide(span, drift))
    return Slowness(
        steps=steps,
        state=h[order],
        position=position,
        speed=speed,
        axis=axis,
        explained=float(size[0] ** 2 / total) if total else 1.0,
        thickness=float(np.sqrt(np.sum(size[1:] ** 2) / len(h))),
        pieces=curve.pieces,
        span=span,
        drift=drift,
        time_constant=time_constant,
        crossing=crossing,
        thresholds=thresholds,
        length=np.array([curve.length(t) for t in thresholds]),
        distances=distances,
        stay=stay[order].T,
        horizon=horizon,
    )


class _Curve:
    """The slow curve of states (m, d) in order of their positions (m,)."""

    def __init__(self, h: np.ndarray, position: np.ndarray, speed: np.ndarray):
        width = np.ptp(position) / BINS
        box = np.zeros(len(h), int)
        if width > 0.0:
            box = np.minimum(((position - position[0]) / width).astype(int), BINS - 1)
        full, owner = np.unique(box, return_inverse=True)
        count = np.bincount(owner)
        middle = np.stack([np.bincount(owner, x) / count for x in h.T], axis=1)
        fastest = np.zeros(len(full))
        np.maximum.at(fastest, owner, speed)
        self._worst = np.maximum(fastest[1:], fastest[:-1])
        # empty bins between two leave no edge
        self._edge = np.where(np.diff(full) == 1, np.linalg.norm(np.diff(middle, axis=0), axis=1), 0.0)
        piece = np.cumsum(np.diff(full, prepend=full[0]) > 1)
        self._piece, self._of_state = piece, piece[owner]
        self.pieces = int(piece[-1]) + 1

    def length(self, threshold: float) -> float:
        """Of the edges on which all states are slower than the threshold."""
        return float(self._edge[self._worst < threshold].sum())

    def longest(self) -> np.ndarray:
        """Which states, (m,), lie on the longest piece."""
        total = np.bincount(self._piece[1:], self._edge, minlength=self.pieces)
        return self._of_state == np.argmax(total)
