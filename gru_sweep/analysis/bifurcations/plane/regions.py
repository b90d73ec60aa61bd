"""Boxes of undecided zeros, those that are one region joined."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components

APART = 8.0
"""Widths, of the wider of two boxes, by which they may be apart and still be of one region."""


def regions(boxes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The hulls of boxes (c, 2, d) that are near each other, (r, 2, d), by increasing lower corners.

    Widths are the largest of a box, in units of `scale`, (d,).
    """
    if not len(boxes):
        return boxes
    low, high = boxes[:, 0] / scale, boxes[:, 1] / scale
    wide = np.max(high - low, axis=1)
    gap = np.max(np.maximum(low[:, None] - high, low - high[:, None]), axis=2)
    _, region = connected_components(gap <= APART * np.maximum(wide[:, None], wide), directed=False)
    inside = [boxes[region == k] for k in range(region.max() + 1)]
    hulls = np.array([[some[:, 0].min(axis=0), some[:, 1].max(axis=0)] for some in inside])
    return hulls[np.lexsort(hulls[:, 0].T[::-1])]
