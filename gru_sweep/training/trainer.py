"""Training of many small recurrent networks of several sizes side by side (section 5 of Jordan et al. 2021).

Members of one size are cut into groups of one fixed width, the last one padded, and each group is advanced by
the one compiled program of its size, groups in parallel on the cores. So on a CPU no bit of a member depends
on which others are trained, on their order, on the number of cores, or on where blocks of epochs end; a
trainer that goes on from a `state` ends where an uninterrupted one does.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from ..records import InputError
from .initialisations import initial
from .networks import Network
from .programs import EPOCHS, Group, Program, width
from .settings import Member, Settings, check_members, check_series
from .states import array, check, identity, pack, unpack
from .unrolled import Series, blocks

SECONDS = 0.8
"""What a block of epochs should take: short enough for a live display and to stop."""
FIRST = 8
"""Epochs of the first block, whose duration nobody knows."""
_CURVES = ("loss", "gradient_norm", "test_loss")


@dataclasses.dataclass(frozen=True)
class History:
    """What was recorded up to an epoch, in the order of the members.

    - `loss`, `gradient_norm`: (members, epochs), before the update of that epoch, NaN from divergence on.
    - `test_epochs`: (k,); `test_loss`: (members, k), of the held-out series, before the update too.
    - `snapshot_epochs`: (s,); `snapshots`: for each, the members' networks after so many updates.
    """

    loss: np.ndarray
    gradient_norm: np.ndarray
    test_epochs: np.ndarray
    test_loss: np.ndarray
    snapshot_epochs: np.ndarray
    snapshots: tuple[tuple[Network, ...], ...]


class Trainer:
    """Trains all members, full batch, on `train`, (n, T + 1, p), and watches `test`, (m, T' + 1, p).

    **Arguments**: the series, the `members`, their `settings`; `state`, of another trainer of the same, to go
    on from; `threads`: groups side by side, by default one per core; `device`: JAX's first if None. Refused:
    bad series, no members, a state of other members or settings.

    `compile_seconds` and `compilations` say what was compiled, once for each size.
    """

    def __init__(
        self,
        train: np.ndarray,
        test: np.ndarray,
        members: Sequence[Member],
        settings: Settings | None = None,
        state: Mapping[str, np.ndarray] | None = None,
        *,
        threads: int | None = None,
        device: jax.Device | None = None,
    ):
        self.settings, self.members = settings or Settings(), check_members(members)
        train = check_series("train", train)
        test = check_series("test", test, train.shape)
        self._dtype = np.dtype(self.settings.precision)
        self._identity = identity(self.members, (train, test), self.settings.test_every)
        self._device = device or jax.local_devices()[0]
        with self._precision():
            data = blocks(train, self._dtype), blocks(test, self._dtype)
            self._series: tuple[Series, Series] = jax.device_put(data, self._device)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._threads = threads or (cores if self._device.platform == "cpu" else 1)
        self._pool = ThreadPoolExecutor(self._threads, "training")
        self._programs: dict[int, Program] = {}
        self._rate = 0.0  # epochs per second of the last block
        self.compile_seconds = 0.0
        self._begin(train.shape[2])
        if state is not None:
            self._restore(state)
        self._snapshot()

    def _begin(self, p: int) -> None:
        """All groups at epoch 0, the largest units first, as they take longest."""
        self.epoch = 0
        starts = [initial(self.settings.initialisation, m.seed, m.dim, p) for m in self.members]
        self._dims: list[int] = []  # of each group
        self._lanes: list[np.ndarray] = []  # the members in its lanes
        self._groups: list[Group] = []
        self._rates: list[np.ndarray] = []
        with self._precision():
            for dim in sorted({m.dim for m in self.members}, reverse=True):
                mine = np.array([i for i, m in enumerate(self.members) if m.dim == dim])
                size = width(dim, len(mine), self._device.platform)
                for part in np.split(mine, range(size, len(mine), size)):
                    lanes = np.pad(part, (0, size - len(part)), mode="edge")
                    networks = jax.tree.map(
                        lambda *x: np.stack(x).astype(self._dtype), *(starts[i] for i in lanes)
                    )
                    rates = np.array([self.members[i].learning_rate for i in lanes], self._dtype)
                    optimiser = jax.vmap(lambda rate, n: self.settings.optimiser(rate).init(n))(
                        rates, networks
                    )
                    host = jax.tree.map(np.asarray, optimiser)
                    self._dims.append(dim)
                    self._lanes.append(part)
                    self._rates.append(rates)
                    self._groups.append(Group(networks, host, np.int32(0), np.full(size, -1, np.int32)))
        none = np.empty((len(self.members), 0), self._dtype)
        self._curves: list[list[np.ndarray]] = [[none], [none], [none]]
        self._kept: dict[int, list[Network]] = {}  # per group

    def advance(self, epochs: int) -> np.ndarray:
        """Train for so many epochs more, at the most to `settings.epochs`; the last losses, (members,)."""
        return self.run(min(self.epoch + epochs, self.settings.epochs))

    def run(
        self,
        until: int | None = None,
        on_block: Callable[[int, np.ndarray], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> np.ndarray:
        """Train up to epoch `until`, the last by default; the last losses, (members,).

        After each block of epochs, `on_block(epoch, losses)` is told, and `stop()` may end it. An exception,
        Ctrl-C too, leaves this trainer at the end of the last whole block.
        """
        last = self.settings.epochs if until is None else min(until, self.settings.epochs)
        while self.epoch < last:
            self._block(min(self._length(), last - self.epoch))
            if on_block is not None:
                on_block(self.epoch, self._last())
            if stop is not None and stop():
                break
        return self._last()

    def _length(self) -> int:
        """Epochs of the next block: none passes a snapshot."""
        wanted = int(np.clip(self._rate * SECONDS, 1, EPOCHS)) if self._rate else FIRST
        ahead = [e - self.epoch for e in self.settings.kept if e > self.epoch]
        return min(wanted, *ahead) if ahead else wanted

    def _block(self, epochs: int) -> None:
        self._compile()
        began = time.perf_counter()
        done = self._each(self._advanced, range(len(self._groups)), epochs)
        curves = np.full((3, len(self.members), epochs), np.nan, self._dtype)
        for lanes, (_, found) in zip(self._lanes, done):
            for kind, values in enumerate(found):
                curves[kind, lanes] = values[: len(lanes), :epochs]
        self._groups = [group for group, _ in done]
        for known, new in zip(self._curves, curves):
            known.append(new)
        self.epoch += epochs
        self._rate = epochs / (time.perf_counter() - began)
        self._snapshot()

    def _advanced(self, index: int, epochs: int) -> tuple[Group, Any]:
        program = self._programs[self._dims[index]]
        group, curves = program(self._groups[index], self._rates[index], *self._series, epochs)
        return group, jax.tree.map(np.asarray, curves)  # waits for them

    def _compile(self) -> None:
        """The program of each size that has none yet."""
        wanted = {dim: k for k, dim in enumerate(self._dims)}
        missing = {dim: k for dim, k in wanted.items() if dim not in self._programs}
        if missing:
            began = time.perf_counter()
            self._programs |= zip(missing, self._each(self._program, missing.values()))
            self.compile_seconds += time.perf_counter() - began

    def _program(self, index: int) -> Program:
        optimiser, test_every = self.settings.optimiser, self.settings.test_every
        shapes = self._groups[index], self._rates[index], *self._series
        return Program(optimiser, test_every, self._device, *shapes)

    def _each(self, work: Callable, indices, *arguments) -> list:
        """`work(index, *arguments)` for each, in parallel; threads have a precision of their own."""

        def one(index):
            with self._precision():
                return work(index, *arguments)

        waiting = [self._pool.submit(one, index) for index in indices]
        try:
            return [each.result() for each in waiting]
        finally:
            for each in waiting:
                each.cancel()

    def _precision(self):
        return jax.enable_x64(self._dtype == np.float64)

    def _last(self) -> np.ndarray:
        return self._curves[0][-1][:, -1] if self.epoch else np.full(len(self.members), np.nan, self._dtype)

    def _snapshot(self) -> None:
        if self.epoch in self.settings.kept:
            self._kept[self.epoch] = [group.networks for group in self._groups]

    @property
    def compilations(self) -> int:
        """Programs compiled, one for each size."""
        return len(self._programs)

    @property
    def diverged(self) -> np.ndarray:
        """The epoch at which each member's loss or gradient was not finite, -1 where it is: (members,). Such
        a member keeps its last finite parameters."""
        parts = [group.diverged[: len(lanes)] for lanes, group in zip(self._lanes, self._groups)]
        return np.concatenate(parts)[np.argsort(np.concatenate(self._lanes))]

    @property
    def history(self) -> History:
        """What was recorded so far."""
        loss, norm, test = (np.concatenate(parts, axis=1) for parts in self._curves)
        tested = np.arange(0, self.epoch, self.settings.test_every)
        epochs = sorted(self._kept)
        snapshots = tuple(tuple(self._networks(self._kept[e])) for e in epochs)
        return History(loss, norm, tested, test[:, tested], np.array(epochs, np.int64), snapshots)

    def networks(self) -> list[Network]:
        """The members' networks as they are now."""
        return self._networks([group.networks for group in self._groups])

    def _networks(self, groups: list[Network]) -> list[Network]:
        found: dict[int, Network] = {}
        for lanes, networks in zip(self._lanes, groups):
            for lane, member in enumerate(lanes):
                found[int(member)] = jax.tree.map(lambda x, lane=lane: np.asarray(x)[lane], networks)
        return [found[i] for i in range(len(self.members))]

    def state(self) -> dict[str, np.ndarray]:
        """All there is to go on from here, as flat arrays by name: whose training it is, parameters, the
        optimiser's state, epoch and divergence of every member, curves and snapshots."""
        curves = {name: np.concatenate(parts, axis=1) for name, parts in zip(_CURVES, self._curves)}
        found = {"epoch": np.array(self.epoch, np.int64), **self._identity, **curves}
        found |= pack("now", self._dims, self._lanes, self._groups)
        for epoch, networks in self._kept.items():
            found |= pack(f"snapshot={epoch}", self._dims, self._lanes, networks)
        return found

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Be where the trainer was whose `state` this is."""
        check(state, self._identity)
        self.epoch = int(array(state, "epoch"))
        if not 0 <= self.epoch <= self.settings.epochs:
            raise InputError("--epochs", f"at least the state's {self.epoch}", self.settings.epochs)
        for known, name in zip(self._curves, _CURVES):
            curve = array(state, name)
            if curve.shape != (len(self.members), self.epoch) or curve.dtype != self._dtype:
                expected = f"{name} of {self._dtype}, {len(self.members)} members and {self.epoch} epochs"
                raise InputError("state", expected, f"{curve.dtype}, shape {curve.shape}")
            known.append(curve)
        self._groups = unpack(state, "now", self._dims, self._lanes, self._groups)
        networks = [group.networks for group in self._groups]
        for name in state:
            label, _, epoch = name.split("/")[0].partition("=")
            if label == "snapshot" and int(epoch) not in self._kept:
                self._kept[int(epoch)] = unpack(state, name.split("/")[0], self._dims, self._lanes, networks)
