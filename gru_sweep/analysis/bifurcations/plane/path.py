"""A curve in n + 1 unknowns: points, tangents, and the cubic between them.

Between neighbouring points the curve is the cubic that has both points and both tangents (Hermite). Its
parameter s is the length of the curve in units in which the box that it was followed in has sides 1, within
the accuracy of the cubics.
"""

from __future__ import annotations

import dataclasses

import numpy as np

SAME = 1e-12
"""Lengths, in sides of the box, that are one: what rounding leaves of a unit."""
POLISH = 4
"""Newton's steps on the parameter of a cubic, from an estimate that the cubic itself gave."""
REAL = 1e-6
"""Imaginary part of a cubic's root below which the double root is real."""


@dataclasses.dataclass(frozen=True)
class Path:
    """A followed curve: `points` (n, d), `tangents` (n, d) by length, `length` (n,) from 0; `closed` or not.

    A closed one has its first point again as its last.
    """

    points: np.ndarray
    tangents: np.ndarray
    length: np.ndarray
    closed: bool

    def __len__(self) -> int:
        return len(self.length)

    def at(self, length: float | np.ndarray) -> np.ndarray:
        """The points at some lengths, (..., d); lengths beyond the ends are those of the ends."""
        return self._cubic(length)[0]

    def direction(self, length: float | np.ndarray) -> np.ndarray:
        """The derivative of `at`, (..., d)."""
        return self._cubic(length)[1]

    def crossings(self, axis: int, value: float) -> np.ndarray:
        """The lengths, ascending, at which a coordinate has a value."""
        a, b = self.points[:-1, axis], self.points[1:, axis]
        h = np.diff(self.length)
        da, db = h * self.tangents[:-1, axis], h * self.tangents[1:, axis]
        # a cubic lies between the extremes of its control points
        hull = np.stack([a, a + da / 3, b - db / 3, b])
        found: list[float] = []
        for i in np.flatnonzero((hull.min(axis=0) <= value) & (hull.max(axis=0) >= value)):
            rise = b[i] - a[i]
            cubic = [da[i] + db[i] - 2 * rise, 3 * rise - 2 * da[i] - db[i], da[i], a[i] - value]
            roots = np.roots(cubic)
            slack = SAME / h[i]
            inside = (np.abs(roots.imag) < REAL) & (roots.real > -slack) & (roots.real < 1 + slack)
            found.extend(self.length[i] + h[i] * np.clip(roots.real[inside], 0.0, 1.0))
        return _distinct(np.sort(found), self.length[-1] if self.closed else None)

    def nearest(self, point: np.ndarray, scale: np.ndarray) -> tuple[float, float]:
        """Where the curve comes closest to a point near it, and how close: (length, largest coordinate's
        distance), distances being taken in units of `scale`, (d,)."""
        apart = np.linalg.norm((self.points - point) / scale, axis=1)
        k = int(np.argmin(apart))
        low, high = self.length[max(k - 1, 0)], self.length[min(k + 1, len(self) - 1)]
        s = self.length[k]
        for _ in range(POLISH):
            here, along = self._cubic(s)
            away, along = (point - here) / scale, along / scale
            s = float(np.clip(s + away @ along / (along @ along), low, high))
        return s, float(np.max(np.abs((self.at(s) - point) / scale)))

    def insert(self, length: float, point: np.ndarray) -> Path:
        """The same curve with one more of its points stored, given to full precision."""
        tangent = self.direction(length)
        i = int(np.searchsorted(self.length, length))
        near = np.flatnonzero(np.abs(self.length - length) < SAME)
        if len(near):
            points = self.points.copy()
            points[near] = point
            return dataclasses.replace(self, points=points)
        return dataclasses.replace(
            self,
            points=np.insert(self.points, i, point, axis=0),
            tangents=np.insert(self.tangents, i, tangent, axis=0),
            length=np.insert(self.length, i, length),
        )

    def reversed(self) -> Path:
        """The same path the other way."""
        return Path(self.points[::-1], -self.tangents[::-1], self.length[-1] - self.length[::-1], self.closed)

    def part(self, first: int, last: int) -> Path:
        """From one stored point to another; past the end of a closed curve where `last` <= `first`."""
        if last > first:
            rows, wrap = np.arange(first, last + 1), np.zeros(last + 1 - first)
        else:
            rows = np.concatenate([np.arange(first, len(self)), np.arange(1, last + 1)])
            wrap = np.where(np.arange(len(rows)) < len(self) - first, 0.0, self.length[-1])
        length = self.length[rows] + wrap
        return Path(self.points[rows], self.tangents[rows], length - length[0], False)

    def _cubic(self, length: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        s = np.clip(np.asarray(length, float), self.length[0], self.length[-1])
        i = np.clip(np.searchsorted(self.length, s, side="right") - 1, 0, max(len(self) - 2, 0))
        j = np.minimum(i + 1, len(self) - 1)
        h = (self.length[j] - self.length[i])[..., None]
        t = (s - self.length[i])[..., None] / np.where(h > 0.0, h, 1.0)
        a, b, da, db = self.points[i], self.points[j], h * self.tangents[i], h * self.tangents[j]
        here = hermite(a, b, da, db, t)
        slope = 6 * t * (1 - t) * (b - a) + (1 - t) * (1 - 3 * t) * da + t * (3 * t - 2) * db
        return here, np.where(h > 0.0, slope / np.where(h > 0.0, h, 1.0), self.tangents[i])


def hermite(a, b, da, db, t):
    """The cubic from `a` (slope `da`) at t = 0 to `b` (slope `db`) at t = 1; NumPy's or JAX's arrays."""
    u = 1 - t
    return u * u * ((1 + 2 * t) * a + t * da) + t * t * ((1 + 2 * u) * b - u * db)


def _distinct(length: np.ndarray, period: float | None) -> np.ndarray:
    """Ascending lengths, those that are one counted once."""
    if not len(length):
        return np.zeros(0)
    keep = np.diff(length, prepend=-np.inf) > SAME
    length = length[keep]
    if period is not None and len(length) > 1 and length[0] < SAME and length[-1] > period - SAME:
        length = length[:-1]
    return length
