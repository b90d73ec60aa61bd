"""The sense in which two gated units without biases turn in a quadrant, by bounds on boxes.

With U_h = 2 I, dh_i/dt = (tanh(2 r_i h_i) - h_i) / 2 and phi(r, x) = tanh(2 r x) / x,

    d/dt ln |h_2 / h_1| = (phi(r_2, |h_2|) - phi(r_1, |h_1|)) / 2.
"""

from __future__ import annotations

import numpy as np

SHELLS, DEPTH = 20, 9
"""The rate is bounded on [0, 1]^2 outside [0, 2^-20]^2; halvings of a box before it is given up."""
RATE = 0.005
"""What the bound has to exceed, in units of |h_1| + |h_2|: far above rounding."""


def phi(r: np.ndarray, x: np.ndarray) -> np.ndarray:
    """tanh(2 r x) / x for x >= 0, which is 2 r at 0."""
    return np.where(x > 0.0, np.tanh(2.0 * r * x) / np.where(x > 0.0, x, 1.0), 2.0 * r)


def turning(reset: tuple, quadrant: int) -> dict:
    """Whether the angle turns one way in the open quadrant: a lower bound of the rate, box by box.

    phi(r_2, |h_2|) - phi(r_1, |h_1|), or its negative in the third quadrant, is at least what it is with its
    first term at one corner and its second at another, since phi and the gates are monotone. The boxes fill
    [0, 1]^2 outside ever smaller squares at the origin, where the rate falls in proportion to the distance;
    each is split in four until the bound is above `RATE`.
    """
    scales = 2.0 ** -np.arange(SHELLS)
    low = np.concatenate([s / 2 * np.array([[1, 0], [0, 1], [1, 1]]) for s in scales])
    size = np.repeat(scales / 2, 3)
    weights, boxes = quadrant * np.asarray(reset), 0
    plus, minus = np.maximum(weights, 0.0), np.minimum(weights, 0.0)
    more, less = (1, 0) if quadrant == 1 else (0, 1)
    for _ in range(DEPTH):
        high = low + size[:, None]
        closed, opened = (
            1.0 / (1.0 + np.exp(-(a @ plus.T + b @ minus.T))) for a, b in ((low, high), (high, low))
        )
        bound = phi(closed[:, more], high[:, more]) - phi(opened[:, less], low[:, less])
        left = bound <= RATE * high.sum(axis=1)
        boxes += len(bound)
        size = np.repeat(size[left] / 2, 4)
        quarters = np.tile([[0, 0], [1, 0], [0, 1], [1, 1]], (int(left.sum()), 1))
        low = np.repeat(low[left], 4, axis=0) + size[:, None] * quarters
    return {"boxes": boxes, "undecided": len(low), "rate_over_distance_at_least": RATE}
