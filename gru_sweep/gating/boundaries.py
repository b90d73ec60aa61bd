r"""The edge of a cloud as curves, and how simulated eigenvalues lie to it.

rho(M(l)) of `clouds` is sampled on a grid, symmetric about the real axis and with no row on it. Where it
passes 1 between two neighbours the edge crosses; each crossing is found by bisection, and crossings are
joined cell by cell, which gives closed curves, one for each component and each hole. What is smaller than a
cell of the grid may be missed; the discs about single sites' rates, which finite N has in place of a
continuum, are.

**Measure.** Seen from a centre, an eigenvalue at distance d in a direction where the edge is at distance R
has the ratio d / R. Directions are split into sectors of equal width, mirror images together. The largest
ratio of a sector is the simulated edge there: above 1 + e, eigenvalues are outside of the edge inflated by e;
below 1 - e, the shell inside of the edge is empty. So one number bounds errors of the edge to either side. In
a sector with n eigenvalues of uniform density the largest ratio is about 1 - 1 / (2 n) where the edge is
exact.
"""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Complex, Float

from ..records import InputError
from .clouds import spread
from .sites import Sites

CELLS = 96
"""Of the grid over the cloud's width, unless asked otherwise."""
MARGIN = 1.1
"""Size of the grid over that of the cloud."""
RING = 64
"""Directions in which the size of the cloud is looked for."""
HALVINGS = 40
"""Of a grid's edge by bisection: crossings are 1e-12 of a cell apart from the truth."""
SAME = 1e-6
"""Distance at which an eigenvalue is a hidden one: multiple eigenvalues are found to a power of rounding."""
PAIRS = {
    **{1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 6: ((0, 2),), 7: ((3, 2),)},
    **{8: ((2, 3),), 9: ((2, 0),), 11: ((2, 1),), 12: ((1, 3),), 13: ((1, 0),), 14: ((0, 3),)},
}
"""Which sides of a cell (below, right, above, left) the edge joins, by the corners inside: 1 below left,
2 below right, 4 above right, 8 above left. 5 and 10 depend on the middle."""


def centre(at: Sites) -> float:
    """The mean of the visible modes of single sites: rates of units and gates as eigenvalues, real."""
    visible = ~at.hidden
    share = at.weight[:, None] * visible
    if not visible.any():
        raise InputError("sites", "units that answer", "closed gates only")
    return at.origin + float((np.where(visible, at.modes[0], 0.0) * share).sum() / share.sum())


def _bisect(at: Sites, inner: np.ndarray, outer: np.ndarray, rounds: int) -> np.ndarray:
    """Points of the edge between points inside and outside of the cloud."""
    for _ in range(rounds):
        middle = (inner + outer) / 2.0
        inside = spread(at, middle) >= 1.0
        inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
    return (inner + outer) / 2.0


def boundary(at: Sites, cells: int = CELLS) -> tuple[Complex[np.ndarray, "_"], ...]:
    """The edge of the cloud: polylines in the plane of eigenvalues, largest first, ends joined.

    `cells`: of the grid over the cloud's width, from 8 on. Empty where no grid point is inside.
    """
    if cells < 8:
        raise InputError("cells", "an integer >= 8", cells)
    middle = centre(at)
    size = 1.0
    ring = np.exp(1j * (np.arange(RING) + 0.5) * np.pi / RING)
    while (spread(at, middle + size * ring) >= 1.0).any():
        size *= 2.0
    low = 0.0
    for _ in range(8):
        half = (low + size) / 2.0
        low, size = (half, size) if (spread(at, middle + half * ring) >= 1.0).any() else (low, half)
    size *= MARGIN
    x = middle + np.linspace(-size, size, cells + 1)
    step = x[1] - x[0]
    above = (np.arange(cells // 2 + 1) + 0.5) * step
    half_plane = spread(at, x + 1j * above[:, None]) >= 1.0
    y = np.concatenate([-above[::-1], above])
    inside = np.concatenate([half_plane[::-1], half_plane])
    inside[[0, -1]] = inside[:, [0, -1]] = False
    return _curves(at, x + 1j * y[:, None], inside)


def _curves(at: Sites, points: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, ...]:
    """Marching squares (Lorensen & Cline 1987, in the plane)."""
    rows, columns = inside.shape
    level = inside[:, 1:] != inside[:, :-1]
    steep = inside[1:] != inside[:-1]
    ends = [(points[:, :-1][level], points[:, 1:][level], inside[:, :-1][level])]
    ends += [(points[:-1][steep], points[1:][steep], inside[:-1][steep])]
    first, second, one = (np.concatenate(part) for part in zip(*ends))
    place = _bisect(at, np.where(one, first, second), np.where(one, second, first), HALVINGS)
    number = {("level", *map(int, k)): n for n, k in enumerate(np.argwhere(level))}
    number |= {("steep", *map(int, k)): n + int(level.sum()) for n, k in enumerate(np.argwhere(steep))}
    weight = np.array([[1, 2], [8, 4]])
    code = sum(
        weight[a, b] * inside[a : rows - 1 + a, b : columns - 1 + b]
        for a, b in itertools.product((0, 1), repeat=2)
    )
    mixed = np.argwhere((code == 5) | (code == 10))
    corners = points[mixed[:, 0], mixed[:, 1]] + points[mixed[:, 0] + 1, mixed[:, 1] + 1]
    joined = dict(zip(map(tuple, mixed.tolist()), spread(at, corners / 2.0) >= 1.0))
    neighbours: dict[int, list[int]] = {}
    for i, j in np.argwhere((code > 0) & (code < 15)).tolist():
        sides = ("level", i, j), ("steep", i, j + 1), ("level", i + 1, j), ("steep", i, j)
        if (i, j) in joined:
            # the corners that are alone keep to themselves: those inside unless the middle is inside too
            pairs: tuple[tuple[int, int], ...] = ((3, 0), (1, 2))
            if (code[i, j] == 5) == joined[i, j]:
                pairs = ((0, 1), (2, 3))
        else:
            pairs = PAIRS[int(code[i, j])]
        for a, b in pairs:
            one_end, other = number[sides[a]], number[sides[b]]
            neighbours.setdefault(one_end, []).append(other)
            neighbours.setdefault(other, []).append(one_end)
    return tuple(sorted((place[walk] for walk in _walks(neighbours)), key=lambda c: -abs(area(c))))


def _walks(neighbours: dict[int, list[int]]) -> list[list[int]]:
    """The closed walks of a graph in which everyone has two neighbours."""
    walks, seen = [], set()
    for start in neighbours:
        if start in seen:
            continue
        walk, here = [start], start
        seen.add(start)
        while True:
            onwards = [n for n in neighbours[here] if n not in seen]
            if not onwards:
                break
            here = onwards[0]
            seen.add(here)
            walk.append(here)
        walks.append([*walk, start])
    return walks


def area(curve: Complex[np.ndarray, " n"]) -> float:
    """Of a closed polyline, positive where it runs counterclockwise."""
    return float(0.5 * (curve[:-1].conj() * curve[1:]).imag.sum())


def reach(
    curves: tuple[Complex[np.ndarray, "_"], ...], middle: float, angle: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Distance from `middle` to the last crossing of each ray with the curves; NaN where there is none."""
    found = np.full(angle.size, -np.inf)
    for curve in curves:
        a = (curve[:-1] - middle)[:, None] * np.exp(-1j * angle)
        b = (curve[1:] - middle)[:, None] * np.exp(-1j * angle)
        crosses = (a.imag <= 0.0) != (b.imag <= 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = a.real - a.imag * (b.real - a.real) / (b.imag - a.imag)
        found = np.maximum(found, np.where(crosses & (at > 0.0), at, -np.inf).max(axis=0))
    return np.where(np.isfinite(found), found, np.nan)


def visible(at: Sites, eigenvalues: Complex[np.ndarray, " m"]) -> Complex[np.ndarray, " _"]:
    """Simulated eigenvalues without the hidden modes, which are not of the cloud."""
    hidden = np.unique(np.round(at.modes[0][at.hidden] + at.origin, 9))
    if not hidden.size:
        return eigenvalues
    return eigenvalues[np.abs(eigenvalues[:, None] - hidden).min(axis=1) > SAME]


def ratios(
    at: Sites, curves: tuple[Complex[np.ndarray, "_"], ...], eigenvalues: Complex[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Directions from `centre`, in [0, pi], of the cloud's simulated eigenvalues, and their ratios d / R.

    Of mirror images one is kept; a ratio is infinite where the theory's cloud does not reach.
    """
    middle = centre(at)
    seen = visible(at, eigenvalues) - middle
    seen = seen[seen.imag >= 0.0]
    angle = np.angle(seen)
    edge = reach(curves, middle, angle)
    return angle, np.where(np.isnan(edge), np.inf, np.abs(seen) / edge)


def by_sector(
    angle: Float[np.ndarray, " n"], ratio: Float[np.ndarray, " n"], sectors: int
) -> Float[np.ndarray, " sectors"]:
    """The simulated edge over the theory's: the largest ratio of each sector; NaN in empty ones."""
    if sectors < 1:
        raise InputError("sectors", "an integer >= 1", sectors)
    which = np.minimum((angle * sectors / np.pi).astype(int), sectors - 1)
    return np.array([ratio[which == k].max() if (which == k).any() else np.nan for k in range(sectors)])
