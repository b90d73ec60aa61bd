"""What is known of a bifurcation curve in a plane, and of all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from .codimension_two import SpecialPoint
from .path import Path

FOLD, HOPF = "fold", "hopf"
BORDER, STATE_BORDER, CLOSED = "border", "state border", "closed"
BRANCH_POINT, UNRESOLVED = "branch point", "unresolved"
"""How a curve ends, besides at a Bogdanov-Takens point: on the border of the rectangle or of the box of
states, in itself, where the defining system is singular (curves cross there), or in a way that is not
known."""


@dataclasses.dataclass(frozen=True)
class Curve(Path):
    """Folds or Hopf points: `points` (n, 4) are (h, p); lengths are in sides of the rectangle and the box.

    - `kind`: fold or hopf. `ends`: how it begins and ends, in words.
    - `codimension_two`: the points on it, by their length; each is one of `points`.
    - `values`, each (n,): of a fold `quadratic_coefficient` (a of x' = a x^2; its sign, that of the direction
      in which x is counted, does not jump) and `trace`, the other eigenvalue, 1/time, both NaN at a branch
      point; of a Hopf point `first_lyapunov_coefficient` (NaN where both eigenvalues are 0) and `frequency`,
      1/time.
    """

    kind: str
    ends: tuple[str, str]
    codimension_two: tuple[SpecialPoint, ...]
    values: dict[str, np.ndarray]

    @property
    def supercritical(self) -> np.ndarray:
        """Of a Hopf curve, (n,): 1 where a stable cycle is born, 0 where an unstable one is, -1 where that is
        not known: at a point of codimension two, and everywhere on a fold curve."""
        if self.kind != HOPF:
            return np.full(len(self), -1, np.int8)
        value = self.values["first_lyapunov_coefficient"]
        special = np.isin(self.length, [point.length for point in self.codimension_two])
        return np.where(special | np.isnan(value), -1, value < 0.0).astype(np.int8)


@dataclasses.dataclass(frozen=True)
class Curves:
    """Fold curves, then Hopf curves.

    `complete`: every regular zero on every line is proven and lies on one, and nothing is in `warnings`.
    `lines`: how many were searched in each direction; `boxes`: the work done.
    """

    curves: tuple[Curve, ...]
    complete: bool
    lines: int
    boxes: int
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.curves)

    def __iter__(self) -> Iterator[Curve]:
        return iter(self.curves)

    def __getitem__(self, index: int) -> Curve:
        return self.curves[index]
