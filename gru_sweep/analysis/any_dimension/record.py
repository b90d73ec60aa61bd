"""What is known of the fixed points of a field of any dimension."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..description import describe_points


@dataclasses.dataclass(frozen=True)
class FixedPointsOfAnyDimension:
    """n fixed points of a field of d units, in lexicographic order (equal within sqrt(eps)).

    - `point` (n, d), each within `error` (n,) of the true one where `proven` (n,): a fixed point exists
      there, and no other in a box around it. `residual` (n,): max |f|.
    - `eigenvalue` (n, d), complex, 1/time, larger real (then imaginary) part first. `n_unstable` (n,): how
      many certainly have a positive real part. `kind` (n,): `stable node`, `stable focus`, `unstable node`,
      `unstable focus`, `saddle` or `degenerate`.
    - `certified`: these are all, each proven and none degenerate to the point of hiding another.
    - `degree`: the sum of sign det(-J), None where a sign is not known; `trapping`: the flow is proven to
      enter the search box through every face, and then the degree of all fixed points is 1.
    - `hits` (n,): how many of the `uniform_starts` that arrived ended there. `missing_mass`: the share of
      such starts that would end at points not seen yet (Good-Turing; 0 where certified, NaN where none
      arrived). It says nothing about points that hardly any start reaches.
    - `boxes`, `starts`: the work done. `warnings`: in words, what is not known.
    """

    point: np.ndarray
    error: np.ndarray
    eigenvalue: np.ndarray
    n_unstable: np.ndarray
    residual: np.ndarray
    kind: np.ndarray
    proven: np.ndarray
    certified: bool
    degree: int | None
    trapping: bool
    hits: np.ndarray
    uniform_starts: int
    missing_mass: float
    boxes: int
    starts: int
    warnings: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of fixed points found, n; all of them where `certified`."""
        return len(self.point)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that `gru-sweep portrait --json` prints."""
        return describe_points(self)
