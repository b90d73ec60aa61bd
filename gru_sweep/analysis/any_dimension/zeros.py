"""All zeros of as many equations as unknowns in a box, each of them proven."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .pruning import prune
from .roots import Roots

COARSE = 12
"""Depth of the second search where the first is given up: zeros that are not isolated, or of high order, come
out as a few clusters of 2^-COARSE widths of the box instead of thousands."""


@dataclasses.dataclass(frozen=True)
class Zeros:
    """n zeros of G: R^d -> R^d in a box, in no order.

    - `point` (n, d), each within `error` (n,) of the true one: exactly one zero lies there.
    - `clusters` (c, 2, d): corners of boxes whose zeros, if there are any, are double or too close to tell
      apart.
    - `complete`: every zero in the box is a point or lies in a cluster; else the search was given up after
      `boxes` boxes.
    """

    point: np.ndarray
    error: np.ndarray
    clusters: np.ndarray
    complete: bool
    boxes: int


def zeros(field: Callable, lower: npt.ArrayLike, upper: npt.ArrayLike, *, max_boxes: int = 100_000) -> Zeros:
    """The zeros of `field`, (d,) to (d,), in [lower, upper] by branch and prune.

    An equinox module is compiled once for all its numbers. Raises `UnsupportedPrimitive` where intervals lack
    a rule.
    """
    low, high = np.asarray(lower), np.asarray(upper)
    boxes = 0
    for depth in (None, COARSE):
        roots = Roots(field, field, low, high, provable=True)
        pruned = prune(roots, max_boxes, depth)
        boxes += pruned.boxes
        if pruned.ended:
            break
    known = roots.known
    if known is None:
        point, error, proven = np.zeros((0, low.size)), np.zeros(0), np.zeros(0, bool)
    else:
        point, error, proven = (np.asarray(getattr(known, name)) for name in ("point", "error", "proven"))
    return Zeros(point[proven], error[proven], pruned.clusters, pruned.ended, boxes)
