"""Which consistency check a portrait failed."""

from __future__ import annotations

from enum import IntEnum


class Check(IntEnum):
    """The first consistency check that a portrait failed; with one the point is not `ok`.

    The names from `unknown` on are those of `scheme.CHECKS`.
    """

    NOT_COMPUTED = -1
    PASSED = 0
    FIXED_POINTS_NOT_PROVEN = 1
    CYCLES_NOT_RESOLVED = 2
    CYCLE_NOT_CLOSED = 3
    BOX_NOT_TRAPPING = 4
    UNKNOWN = 5
    DEGENERATE = 6
    INDEX_SUM = 7
    ENCLOSED_INDEX = 8
    NESTING = 9
    BRANCH_WITHOUT_END = 10
    BRANCH_END_OF_WRONG_STABILITY = 11
    BRANCH_ACROSS_A_CYCLE = 12
    ORDER_UNKNOWN = 13
    POLES = 14
    ISOLATED_ELEMENT = 15
    NOT_CONNECTED = 16
    NOT_PLANAR = 17
    FACES = 18
