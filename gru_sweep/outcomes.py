"""What a sweep came to, in numbers: what the command line prints as JSON or as a table."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a sweep came to. `counts` are points by status, empty for the share of an array's job;
    `points_per_second` is of the computing, from the first block to the last, without compiling."""

    file: str
    points: int
    computed: int
    seconds: float
    points_per_second: float
    compile_seconds: float
    compilations: int
    device: str
    precision: str
    chunk: int
    counts: dict[str, int]
    complete: bool
    """Whether the file is one ordinary file; after a job of an array `pack` makes it one."""


@dataclasses.dataclass(frozen=True)
class RefinedOutcome(Outcome):
    """What a refined sweep came to: `points` and `counts` are of the points evaluated, which the file has."""

    levels: int
    leaves: int
    evaluations: int
    effective_points: int
    share: float
    """Evaluations over effective points."""
    wrong_share_bound: float
    """Of the points not evaluated, the share that may read wrongly (see `sweeps.refinement`)."""
