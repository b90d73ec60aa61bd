"""One bifurcation: what happens, where, and how well that is known."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

KINDS = (
    *("fold", "snic", "pitchfork", "transcritical", "hopf", "homoclinic", "heteroclinic", "cycle fold"),
    *("degenerate", "unresolved"),
)
"""Words for what happens: `fold` a saddle-node of fixed points, `snic` one on a cycle, whose period goes to
infinity there; `degenerate`: fixed points meet in a way that none of the other words names; `unresolved`: the
label changes within `error` of `value`, and how is not known."""


@dataclasses.dataclass(frozen=True)
class Event:
    """A bifurcation of dh/dt = f(h, p) at one value of a parameter p.

    - `kind`: one of `KINDS`. `value`: where; the true value lies within `error` of it.
    - `proven`: whether `error` is a proof (interval Newton) or an estimate with a margin.
    - `at`: a state, (2,): the fixed point, the saddle of a connection, or a point of the cycle.
    - `before`, `after`: topology labels on the sides of smaller and larger p; empty where not known.
    - `method`: what found it, in words. `details`: numbers that belong to the kind, such as
      `first_lyapunov_coefficient` and `frequency` of a Hopf point, `saddle_quantity` of a homoclinic one.
    """

    kind: str
    value: float
    error: float
    at: np.ndarray
    proven: bool = False
    before: str = ""
    after: str = ""
    method: str = ""
    details: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is none of {', '.join(KINDS)}")

    def to_dict(self) -> dict[str, Any]:
        """The object that `gru-sweep locate --json` prints."""
        return {
            "kind": self.kind,
            "value": float(self.value),
            "error": float(self.error),
            "at": [float(x) for x in self.at],
            "from": self.before,
            "to": self.after,
            "proven": self.proven,
            "method": self.method,
            **self.details,
        }
