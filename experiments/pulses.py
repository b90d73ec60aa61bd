"""Copies of random gated networks that settle, are pushed and then left alone: what is left of the push."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from gru_sweep.gating.driven import Drive, moved
from gru_sweep.gating.trajectories import Networks, networks
from gru_sweep.systems import ensembles

FAMILIES = {"gated-rnn": ("g", "alpha_z", "alpha_r"), "gru": ("a_h", "a_z", "a_r")}
"""Names of a condition's three gains."""
STEP = 0.5
"""Of Runge and Kutta's method for the flow, whose units and gates move at rates up to 1: with a quarter of
it, what is left of a push differs by less than it does between networks."""
PUSH, LENGTH = 0.02, 10.0
"""Strength and duration of a push: together a fifth of a unit's range."""
PUSHES = 8
DIFFERENT = 0.02
"""Root mean square of what differs in a trial's h before the push: a tenth of what the push does."""
LATER = 100.0
"""Time after a push, or after a pulse into gates, at which it is looked at."""
AMPLITUDES = (-4.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 4.0)
LENGTHS = (2.0, 5.0, 10.0, 20.0, 40.0)
"""Of pushes, in PUSH and in units of time."""
ERASERS = {"none": (0.0, 0.0), "update gates opened": (2.0, 0.0), "reset gates closed": (0.0, -2.0)}
"""Inputs I_z and I_r in units of J_z h, whose standard deviation is below 1: two and more of them."""
ERASING = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


class Copies:
    """Several copies of one network at each of some conditions, all settled: states (condition, copy, m)."""

    def __init__(
        self,
        family: str,
        conditions: tuple[tuple[float, float, float], ...],
        copies: int,
        number: int,
        units: int,
        settle: float,
    ):
        self.ensemble, self.units, self.shape = (
            ensembles.named(family),
            units,
            (len(conditions), copies),
        )
        self.values = np.array(conditions)
        self.matrices = self.ensemble.draw(units, 0, number)
        self.names = FAMILIES[family]
        start = self.ensemble.start(units, 0, number)
        single = self._networks(self.values, start)
        settled = np.asarray(moved(single, single.starts, Drive(), settle))
        self.nets = self._networks(np.repeat(self.values, copies, axis=0), start)
        self.states = np.repeat(settled[:, None], copies, axis=1)
        self.rng = np.random.default_rng([2, number])

    def _networks(self, values: np.ndarray, start: np.ndarray) -> Networks:
        step = {} if self.ensemble.discrete else {"dt": STEP}
        return networks(self.ensemble, self.matrices, start, dict(zip(self.names, values.T)), **step)

    @property
    def h(self) -> np.ndarray:
        return self.states[..., : self.units].astype(float)

    def directions(self, count: int) -> np.ndarray:
        return self.rng.normal(size=(count, self.units))

    def go(self, time: float, push: np.ndarray | None = None, gates: np.ndarray | None = None) -> None:
        """`push`: onto h, (copy, n); `gates`: I_z and I_r of each copy, (copy, 2), in units of J h."""
        parts: dict[str, jnp.ndarray] = {}
        if push is not None:
            full = np.zeros((*self.shape, self.states.shape[-1]), np.float32)
            full[..., : self.units] = push
            parts["push"] = jnp.asarray(full.reshape(-1, full.shape[-1]))
        if gates is not None:
            # a GRU's inputs are inside of its gates, beside a J h
            gains = self.values[:, None, 1:] if self.ensemble.discrete else 1.0
            each = np.broadcast_to(gains * gates, (*self.shape, 2))
            full = np.zeros((*self.shape, 3, self.units), np.float32)
            full[..., 1:, :] = each[..., None]
            parts["inputs"] = jnp.asarray(full.reshape(-1, 3 * self.units))
        states = jnp.asarray(self.states.reshape(self.nets.starts.shape))
        self.states = np.asarray(moved(self.nets, states, Drive(**parts), time)).reshape(self.states.shape)


def overlap(now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Of displacements (..., n), relative to that of `then` with itself."""
    return (now * then).sum(-1) / (then * then).sum(-1)


def remember(copies: Copies, times: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Overlaps and the share of trials that are told right, (condition, time).

    Copies: one without push, one for each push, and one more for each from a slightly different state.
    """
    u = copies.directions(PUSHES)
    copies.states[:, PUSHES + 1 :, : copies.units] += DIFFERENT * copies.directions(PUSHES)
    copies.go(LENGTH, PUSH * np.concatenate([0 * u[:1], u, u]))
    just_after = copies.h[:, : PUSHES + 1]
    left, told, before = [], [], 0.0
    for time in times:
        copies.go(time - before)
        before, h = time, copies.h
        left.append(overlap(h[:, 1 : PUSHES + 1] - h[:, :1], just_after[:, 1:] - just_after[:, :1]).mean(1))
        distance = ((h[:, PUSHES + 1 :, None] - just_after[:, None, 1:]) ** 2).sum(-1)
        told.append((distance.argmin(-1) == np.arange(PUSHES)).mean(-1))
    return np.array(left).T, np.array(told).T


def integrate(copies: Copies) -> tuple[np.ndarray, np.ndarray]:
    """What is stored of pushes of all amplitudes and lengths, along them and in units of LENGTH pushes of 1,
    (condition, push); and the overlap of what two pushes one after the other leave with the sum of what each
    leaves alone, (condition,)."""
    u, v = copies.directions(2)
    amplitude = np.array([0.0, *AMPLITUDES, *[1.0] * len(LENGTHS), 1.0, 0.0, 1.0])
    length = np.array([0.0, *[LENGTH] * len(AMPLITUDES), *LENGTHS, LENGTH, 0.0, LENGTH])
    second = np.zeros(len(length))
    second[-2:] = 1.0
    begun = 0.0
    for end in LENGTHS:
        copies.go(end - begun, PUSH * (amplitude * (length >= end))[:, None] * u)
        begun = end
    copies.go(LENGTH, PUSH * second[:, None] * v)
    copies.go(LATER)
    moved_by = copies.h - copies.h[:, :1]
    along = moved_by @ u / (u @ u) / (PUSH * LENGTH)
    both = overlap(moved_by[:, -1], moved_by[:, -3] + moved_by[:, -2])
    return along[:, 1 : 1 + len(AMPLITUDES) + len(LENGTHS)], both


def erase(copies: Copies) -> np.ndarray:
    """Overlaps LATER, and LATER after pulses into gates of each duration: (condition, eraser, 1 + d)."""
    group = PUSHES + 1
    u = copies.directions(PUSHES)
    copies.go(LENGTH, PUSH * np.tile(np.concatenate([0 * u[:1], u]), (len(ERASERS), 1)))

    def displaced() -> np.ndarray:
        h = copies.h.reshape(copies.shape[0], len(ERASERS), group, -1)
        return h[:, :, 1:] - h[:, :, :1]

    first = displaced()
    copies.go(LATER)
    found, begun = [overlap(displaced(), first).mean(-1)], 0.0
    gates = np.repeat(np.array(list(ERASERS.values())), group, axis=0)
    for duration in ERASING:
        copies.go(duration - begun, gates=gates)
        begun, kept = duration, copies.states
        copies.go(LATER)
        found.append(overlap(displaced(), first).mean(-1))
        copies.states = kept
    return np.moveaxis(np.array(found), 0, -1)
