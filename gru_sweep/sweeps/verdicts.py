"""What a point says, as an integer: its status and its label; and what a sample of points proves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gru_sweep.records import Status
from gru_sweep.sweeps.schema import Labeller

SILENT = (Status.UNRESOLVED, Status.FAILED)
"""Statuses that say nothing about the system."""

CONFIDENCE = 0.95
"""Of the bound on the share of points that read wrongly."""


class Codes:
    """Numbers for pairs of status and label, in order of appearance."""

    def __init__(self, labeller: Labeller | None):
        self.labeller = labeller
        self.verdicts: list[tuple[int, str]] = []
        self._known: dict[tuple[int, str], int] = {}

    def of(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """The codes (n,) of points, from `status` (n,) and the columns that the labeller needs."""
        status = np.asarray(values["status"])
        words = np.full(status.shape, "", dtype=np.str_)
        if self.labeller is not None:
            words = np.asarray(self.labeller.function(dict(values)), dtype=np.str_)
        labels, label = np.unique(words, return_inverse=True)
        pairs, pair = np.unique(np.stack([status.astype(np.int64), label]), axis=1, return_inverse=True)
        codes = [self._code(int(code), str(labels[place])) for code, place in pairs.T]
        return np.array(codes, np.int32)[pair.reshape(-1)]

    def says(self, code: np.ndarray) -> np.ndarray:
        """Whether codes (n,) are of a status that says something about the system."""
        return np.array([status not in SILENT for status, _ in self.verdicts], bool)[code]

    def classes(self) -> tuple[list[str], np.ndarray]:
        """The labels, sorted, and which of them each code has (-1: none)."""
        words = sorted({word for _, word in self.verdicts if word})
        place = {word: i for i, word in enumerate(words)} | {"": -1}
        return words, np.array([place[word] for _, word in self.verdicts], np.int32)

    def _code(self, status: int, word: str) -> int:
        if any(character.isspace() for character in word):
            raise ValueError(f"label {word!r}: blanks separate flag meanings")
        known = self._known.setdefault((status, word), len(self.verdicts))
        if known == len(self.verdicts):
            self.verdicts.append((status, word))
        return known


@dataclass(frozen=True)
class Sample:
    """Points drawn from those that were not known, and how many of them read wrongly."""

    size: int
    wrong: int


def wrong_share(samples: list[Sample]) -> float:
    """A bound on the share of wrong readings among points not known, by the last of at least one sample.

    Clopper and Pearson's, each sample at half the risk of the one before it, so that it holds with
    `CONFIDENCE` whatever decided that a sample was the last one. Where that one found something, the bound is
    that of the moment before it was repaired.
    """
    return clopper_pearson(samples[-1].wrong, samples[-1].size, (1 - CONFIDENCE) / 2 ** len(samples))


def clopper_pearson(found: int, size: int, risk: float) -> float:
    """The largest share that gives at most `found` of `size` with a probability of at least `risk`."""
    if found >= size:
        return 1.0
    if found == 0:
        return -math.expm1(math.log(risk) / size)
    low, high = found / size, 1.0
    while high - low > TOLERANCE * high:
        share = (low + high) / 2
        low, high = (share, high) if _at_most(found, size, share) > risk else (low, share)
    return high


TOLERANCE = 1e-12
"""Relative, of `clopper_pearson`, which errs upwards by it: far below what a sample can tell."""


def _at_most(found: int, size: int, share: float) -> float:
    """The probability of at most `found` of `size`."""
    ways = math.lgamma(size + 1)
    return math.fsum(
        math.exp(
            ways
            - math.lgamma(k + 1)
            - math.lgamma(size - k + 1)
            + k * math.log(share)
            + (size - k) * math.log1p(-share)
        )
        for k in range(found + 1)
    )
