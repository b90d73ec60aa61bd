"""What is known of a bifurcation curve in a plane, and of all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from .codimension_two import SpecialPoint
from .path import Path

FOLD, HOPF, PITCHFORK, TRANSCRITICAL = "fold", "hopf", "pitchfork", "transcritical"
HOMOCLINIC, HETEROCLINIC, CYCLE_FOLD = "homoclinic", "heteroclinic", "cycle fold"
"""Kinds of curves: of fixed points, and of connections and cycles."""
BORDER, STATE_BORDER, CLOSED = "border", "state border", "closed"
BRANCH_POINT, UNRESOLVED = "branch point", "unresolved"
"""How a curve ends, besides at a point of codimension two: on the border of the rectangle or of the box of
states, in itself, where the defining system is singular (curves cross there), or in a way that is not
known."""
NEUTRAL_SADDLE_LOOP, SADDLE_NODE_LOOP = "neutral saddle loop", "saddle-node loop"
CYCLE_CUSP, ANOTHER_SADDLE = "cycle cusp", "another saddle"
SADDLE_NODE_CONNECTION = "saddle-node connection"
"""Points on curves of connections and of cycles, where they may end: a homoclinic orbit to a saddle of trace
0, one to a saddle-node, three cycles that meet, a connection that comes to meet one more saddle, and one on
which a saddle meets a node or a fold comes to lie."""
DEGENERATE_PITCHFORK = "degenerate pitchfork"
"""Where the cubic coefficient on a curve of pitchforks is 0. (On a curve of transcritical points `PITCHFORK`
is where the quadratic one is 0.)"""


@dataclasses.dataclass(frozen=True)
class Curve(Path):
    """Bifurcations of one kind: `points` (n, 4) are (h, p); lengths are in sides of rectangle and box.

    - `kind`: one of those above. `ends`: how it begins and ends, in words.
    - `codimension_two`: the points on it, by their length; each is one of `points`.
    - `values`, each (n,): of a fold `quadratic_coefficient` (a of x' = a x^2; its sign, that of the direction
      in which x is counted, does not jump) and `trace`, the other eigenvalue, 1/time, both NaN at a branch
      point; of a Hopf point `first_lyapunov_coefficient` (NaN where both eigenvalues are 0) and `frequency`,
      1/time. Of a transcritical point x' = b mu x + a x^2 and of a pitchfork x' = b mu x + c x^3, x counting
      along a unit null vector and mu the distance from the curve in the plane, `trace`, `crossing_rate` |b|
      and `quadratic_coefficient` a, as above, or `cubic_coefficient` c, negative: supercritical; all but the
      trace NaN where both eigenvalues are 0.
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
    """Fold curves, then Hopf curves, then curves of pitchforks and transcritical points.

    `complete`: every regular zero on every line is proven and lies on one, every other one is near a curve of
    branch points, and nothing is in `warnings`.
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
