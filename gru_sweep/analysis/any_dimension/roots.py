"""The fixed points known so far, on the host: each once, whoever found it."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from . import krawczyk
from .krawczyk import Proof

BATCH = 32
"""Points proven at a time: one size, one compilation."""
SAME = 100.0
"""Points without a proof are one fixed point within this many sqrt(eps) widths of the search box."""


def padded(array: np.ndarray, size: int) -> np.ndarray:
    """The array with its first row repeated up to `size` rows."""
    return np.concatenate([array, np.repeat(array[:1], size - len(array), axis=0)])


class Roots:
    """Fixed points with their proofs.

    A proven one is the only fixed point in its box, so a second enclosure inside that box is the same point;
    disjoint enclosures are different points. `clash` is set where neither could be said.
    """

    def __init__(
        self, field: Callable, reduced: Callable, low: np.ndarray, high: np.ndarray, *, provable: bool
    ):
        self.field, self.reduced, self.low, self.high, self.provable = field, reduced, low, high, provable
        self.near = SAME * float(np.finfo(low.dtype).eps) ** 0.5
        self.known: Proof | None = None
        self.hits = np.zeros(0, int)
        self.clash = False

    def __len__(self) -> int:
        return len(self.hits)

    def prove(self, points: np.ndarray) -> Proof:
        """What can be proven about each point, as NumPy arrays."""
        rule = krawczyk.prove if self.provable else krawczyk.approximate
        width, parts = jnp.asarray(self.high - self.low), []
        for chunk in np.array_split(points, range(BATCH, len(points), BATCH)):
            proof = rule(self.field, self.reduced, jnp.asarray(padded(chunk, BATCH)), width)
            parts.append([np.asarray(x)[: len(chunk)] for x in vars(proof).values()])
        return Proof(*map(np.concatenate, zip(*parts)))

    def match(self, points: np.ndarray) -> np.ndarray:
        """The number of the fixed point at which each point arrived, -1 where it is none of these."""
        owner = np.full(len(points), -1)
        if self.known is None:
            return owner
        k, slack = self.known, self.near * (self.high - self.low)
        for i, x in enumerate(points):
            close = (np.abs(x - k.point) <= slack).all(axis=1)
            inside = ((x >= k.lo) & (x <= k.hi)).all(axis=1)
            belongs = np.flatnonzero(np.where(k.proven, inside, close))
            owner[i] = belongs[0] if len(belongs) else -1
        return owner

    def add(self, proofs: Proof, accept: np.ndarray) -> int:
        """Takes in the accepted ones that are new; how many were."""
        taken: list[Proof] = []
        for i in np.flatnonzero(accept):
            one = _rows(proofs, slice(i, i + 1))
            if self._fresh(one, self.known) and self._fresh(one, _joined(taken)):
                taken.append(one)
        self.known = _joined([*([] if self.known is None else [self.known]), *taken])
        self.hits = np.append(self.hits, np.zeros(len(taken), int))
        return len(taken)

    def inside_search(self, proofs: Proof) -> np.ndarray:
        """Which enclosures meet the search box."""
        reach = proofs.error[:, None]
        return ((proofs.point + reach >= self.low) & (proofs.point - reach <= self.high)).all(axis=1)

    def covered(self, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
        """Which boxes lie where a proven fixed point is the only one."""
        covered = np.zeros(len(lo), bool)
        if self.known is not None:
            for a, b, proven in zip(self.known.lo, self.known.hi, self.known.proven):
                if proven:
                    covered |= ((lo >= a) & (hi <= b)).all(axis=1)
        return covered

    def _fresh(self, one: Proof, known: Proof | None) -> bool:
        if known is None:
            return True
        apart = np.abs(one.point - known.point)
        if not one.proven[0]:
            # nor is a point without a proof told from a proven one that close
            return not (apart <= self.near * (self.high - self.low)).all(axis=1).any()
        reach = known.error[:, None]
        meets = known.proven & (apart <= one.error + reach).all(axis=1)
        its = ((one.point - one.error >= known.lo) & (one.point + one.error <= known.hi)).all(axis=1)
        mine = ((known.point - reach >= one.lo) & (known.point + reach <= one.hi)).all(axis=1)
        if (known.proven & (its | mine)).any():
            return False
        self.clash |= bool(meets.any())
        return not meets.any()


def _rows(proofs: Proof, rows) -> Proof:
    return Proof(*(x[rows] for x in vars(proofs).values()))


def _joined(proofs: list[Proof]) -> Proof | None:
    return Proof(*map(np.concatenate, zip(*(vars(p).values() for p in proofs)))) if proofs else None
