"""Ways to draw cells: functions of standard normal deviates to the parts of cells.

`DISTRIBUTIONS` gives them their names, their formulas and their shares.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .cells import COLUMNS, Parts


class Deviates:
    """The deviates of n cells, taken from left to right."""

    def __init__(self, rows: np.ndarray):
        self._rows, self._taken = rows, 0

    def normal(self, count: int) -> np.ndarray:
        """Standard normal numbers, (n, count)."""
        if self._taken + count > self._rows.shape[1]:
            raise RuntimeError(f"a cell takes more than {self._rows.shape[1]} deviates")
        self._taken += count
        return self._rows[:, self._taken - count : self._taken]

    def uniform(self, count: int, low: float, high: float) -> np.ndarray:
        """Uniform numbers from low to high, (n, count)."""
        pair = self.normal(2 * count)
        angle = np.arctan2(pair[:, :count], pair[:, count:])
        return low + (high - low) * (angle / (2.0 * np.pi) + 0.5)

    def student(self, count: int) -> np.ndarray:
        """Numbers of Student's distribution with two degrees of freedom, (n, count)."""
        one, two, three = (self.normal(count) for _ in range(3))
        return one / np.sqrt((two**2 + three**2) / 2.0)

    def scale(self, low: float, high: float) -> np.ndarray:
        """10^u with u uniform from low to high, (n, 1)."""
        return 10.0 ** self.uniform(1, low, high)


def dense(scale: float, bias: float) -> Callable[[Deviates], Parts]:
    def parts(d: Deviates) -> Parts:
        matrices = {"U_h": scale * d.normal(4), "U_r": scale * d.normal(4)}
        return matrices | {"b_h": bias * d.normal(2), "b_r": bias * d.normal(2)}

    return parts


def heavy_tailed(d: Deviates) -> Parts:
    matrices = {"U_h": 4.0 * d.student(4), "U_r": 4.0 * d.student(4)}
    return matrices | {"b_h": 0.5 * d.student(2), "b_r": d.student(2)}


def sparse(d: Deviates) -> Parts:
    kept = d.normal(8) > 0.0
    matrices = {"U_h": 8.0 * d.normal(4) * kept[:, :4], "U_r": 16.0 * d.normal(4) * kept[:, 4:]}
    return matrices | {"b_h": 0.5 * d.normal(2), "b_r": d.normal(2)}


def log_uniform(d: Deviates) -> Parts:
    return {
        "U_h": d.scale(0.0, 1.6) * d.normal(4),
        "U_r": d.scale(-0.5, 1.8) * d.normal(4),
        "b_h": d.scale(-2.0, 0.6) * d.normal(2),
        "b_r": d.scale(-1.0, 1.2) * d.normal(2),
    }


def no_reset_gate(d: Deviates) -> Parts:
    return {"U_h": d.scale(0.3, 1.8) * d.normal(4), "b_h": d.scale(-2.0, 1.0) * d.normal(2)}


def odd(d: Deviates) -> Parts:
    return {"U_h": d.scale(0.3, 1.8) * d.normal(4), "b_r": d.normal(2)}


def sharp(d: Deviates) -> Parts:
    """Reset gates that shut along lines through random points of the box."""
    normal, through = d.normal(4).reshape(-1, 2, 2), d.uniform(4, -1.2, 1.2).reshape(-1, 2, 2)
    matrix = d.scale(1.0, 1.7)[:, :, None] * normal / np.linalg.norm(normal, axis=2, keepdims=True)
    own, other = d.uniform(2, 2.0, 12.0), d.uniform(1, -0.5, 0.5) * d.normal(2) * 12.0
    return {
        "U_h": np.stack([own[:, 0], other[:, 0], other[:, 1], own[:, 1]], axis=1),
        "U_r": matrix,
        "b_h": d.scale(-1.0, 0.5) * d.normal(2),
        "b_r": -np.sum(matrix * through, axis=2),
    }


def swapped(values: np.ndarray) -> np.ndarray:
    """[[a, b], [b, a]] of (n, 2)."""
    return values[:, [0, 1, 1, 0]]


def turned(values: np.ndarray) -> np.ndarray:
    """[[a, -b], [b, a]] of (n, 2)."""
    return values[:, [0, 1, 1, 0]] * [1.0, -1.0, 1.0, 1.0]


def swap_symmetric(d: Deviates) -> Parts:
    return {
        "U_h": swapped(d.scale(0.5, 1.5) * d.normal(2)),
        "U_r": swapped(d.scale(0.5, 1.7) * d.normal(2)),
        "b_h": d.scale(-1.0, 0.7) * np.repeat(d.normal(1), 2, axis=1),
        "b_r": d.scale(0.0, 1.3) * np.repeat(d.normal(1), 2, axis=1),
    }


def sharp_swap_symmetric(d: Deviates) -> Parts:
    """Gates that shut along two mirror images of a line through a random point of the box."""
    angle, through = d.uniform(1, 0.0, 2.0 * np.pi), d.uniform(2, -1.2, 1.2)
    normal = d.scale(1.0, 1.7) * np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    shut = -np.sum(normal * through, axis=1, keepdims=True)
    return {
        "U_h": swapped(np.concatenate([d.uniform(1, 2.0, 16.0), d.uniform(1, -6.0, 6.0)], axis=1)),
        "U_r": swapped(normal),
        "b_h": d.scale(-1.0, 0.5) * np.repeat(d.normal(1), 2, axis=1),
        "b_r": np.repeat(shut, 2, axis=1),
    }


def rotations(d: Deviates) -> Parts:
    return {
        "U_h": turned(d.scale(0.3, 1.3) * d.normal(2)),
        "U_r": turned(d.scale(-0.5, 1.3) * d.normal(2)),
        "b_h": d.scale(-2.0, 0.3) * np.repeat(d.normal(1), 2, axis=1),
        "b_r": np.repeat(d.normal(1), 2, axis=1),
    }


def quarter_turns(d: Deviates) -> Parts:
    return {
        "U_h": turned(d.scale(0.3, 1.5) * d.normal(2)),
        "b_r": np.repeat(d.normal(1), 2, axis=1),
    }


def reflection(d: Deviates) -> Parts:
    one = np.array([1.0, 0.0])
    return {
        "U_h": d.scale(0.5, 1.7) * d.normal(2)[:, [0, 0, 0, 1]] * [1.0, 0.0, 0.0, 1.0],
        "U_r": d.scale(0.0, 1.7) * d.normal(2)[:, [0, 0, 1, 1]] * [1.0, 0.0, 1.0, 0.0],
        "b_h": d.scale(-1.5, 0.5) * d.normal(1) * one,
        "b_r": 2.0 * d.normal(2),
    }


def near(centre: Parts | dict[str, tuple[float, ...]]) -> Callable[[Deviates], Parts]:
    """Every entry of `centre` changed by a share of itself, the biases by the same share of 1 besides."""

    def parts(d: Deviates) -> Parts:
        share = d.scale(-2.5, -0.2)
        found = {}
        for part in ("U_h", "U_r", "b_h", "b_r"):
            middle = np.asarray(centre.get(part, np.zeros(len(COLUMNS[part]))))
            noise = share * d.normal(len(middle)) * (np.abs(middle) + (part[0] == "b"))
            found[part] = middle + noise
        return found

    return parts


def with_update_gate(strength: float, bias: float) -> Callable[[Deviates], Parts]:
    def parts(d: Deviates) -> Parts:
        matrices = {"U_h": 6.0 * d.normal(4), "U_r": 6.0 * d.normal(4), "U_z": strength * d.normal(4)}
        biases = {"b_h": 0.5 * d.normal(2), "b_r": 0.5 * d.normal(2), "b_z": bias * d.normal(2)}
        return matrices | biases

    return parts


def one_update_gate(d: Deviates) -> Parts:
    return dense(6.0, 0.5)(d) | {
        "U_z": d.normal(2)[:, [0, 1, 0, 1]],
        "b_z": np.repeat(d.normal(1), 2, axis=1),
    }


def beside_hopf(reset: bool, update: bool) -> Callable[[Deviates], Parts]:
    """A fixed point at a random place, its Jacobian J = (1 - z) o ((1 - h^2) o U_h M - 1) of small trace.

    M = diag(r) + diag(h r (1 - r)) U_r; J is given in units of the time that all units share.
    """

    def parts(d: Deviates) -> Parts:
        sign = np.sign(d.normal(1))
        trace, det = sign * d.scale(-3.0, -0.5), d.scale(-2.5, 0.7)
        first, across = d.normal(1), d.scale(-0.8, 0.8) * np.sign(d.normal(1))
        second = trace - first
        rows = np.concatenate([first, across, (first * second - det) / across, second], axis=1)
        jacobian = rows.reshape(-1, 2, 2)
        h = d.uniform(2, -0.95, 0.95)
        strength = d.scale(-0.5, 1.2) if reset else np.zeros((len(h), 1))
        matrix, b_r = (strength * d.normal(4)).reshape(-1, 2, 2), d.normal(2) * reset
        b_z = d.scale(-0.5, 0.5) * d.normal(2) * update
        r = 1.0 / (1.0 + np.exp(-np.einsum("nij,nj->ni", matrix, h) - b_r))
        gated = r[:, :, None] * np.eye(2) + (h * r * (1.0 - r))[:, :, None] * matrix
        slow = (1.0 + np.exp(b_z))[:, :, None] / 2.0
        gain = (slow * jacobian + np.eye(2)) / (1.0 - h**2)[:, :, None]
        recurrent = gain @ np.linalg.pinv(gated)
        b_h = np.arctanh(h) - np.einsum("nij,nj->ni", recurrent, r * h)
        return {"U_h": recurrent, "U_r": matrix, "b_h": b_h, "b_r": b_r, "b_z": b_z}

    return parts
