"""Closed curves: orbits h_k that are a function of their phase rho k mod 1, with rho their rotation number.

Where phases in order leave no wide gap the states in order are the curve. Near a resonance rho ~ p/q an orbit
fills no more than q arcs of it, and its Fourier series over the phase,

    h_k = sum_m c_m exp(2 pi i m rho k),   |m| <= HARMONICS,

fitted by least squares, is the curve if it fits and 2 HARMONICS + 1 arcs or more determine it.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from . import birkhoff
from .rotation import Rotation

STEADY = 1e-3
"""Relative change of an orbit's variance between its halves, above which the transient is not over."""
MAX_DENOMINATOR = 64
"""Rotation numbers p/q with q up to this are told from irrational ones ..."""
RATIONAL = 1e-7
"""... within this distance (or the number's own error, if larger): a tongue that narrow traps too slowly."""
CHORD = 0.1
"""Longest chord between neighbours in phase on a closed curve, in widths of the orbit."""
HARMONICS = 16
"""Harmonics of the Fourier series."""
CONDITION = 100.0
"""Largest condition number of the fit: evenly spread phases have that of the identity, up to sqrt 2."""
MISFIT = 1e-3
"""Largest distance of a state from the series, in widths of the orbit."""
POINTS = 1024
"""States on a curve that its series gives."""


def closed_curve(h: np.ndarray, turning: Rotation) -> np.ndarray | None:
    """The states in order along the closed curve that the orbit (n, d) fills; None where it is none.

    It has to be steady, and to turn by no p/q.
    """
    if not np.isfinite(turning.turns):
        return None
    simple = Fraction(turning.turns).limit_denominator(MAX_DENOMINATOR)
    if abs(turning.turns - float(simple)) <= max(RATIONAL, turning.error):
        return None
    square = np.sum((h - h.mean(axis=0)) ** 2, axis=1)
    half = birkhoff.weights(len(h) // 2)
    first, second = half @ square[: len(half)], half @ square[-len(half) :]
    if abs(first - second) > STEADY * max(first, second):
        return None
    phase, width = (turning.turns * np.arange(len(h))) % 1.0, np.max(np.ptp(h, axis=0))
    ordered = h[np.argsort(phase)]
    chord = np.linalg.norm(np.roll(ordered, -1, axis=0) - ordered, axis=1)
    if chord.max() <= CHORD * width:
        return ordered
    waves = _waves(phase)
    coefficients, _, _, size = np.linalg.lstsq(waves, h, rcond=None)
    fits = np.linalg.norm(waves @ coefficients - h, axis=1).max() <= MISFIT * width
    if size[0] > CONDITION * size[-1] or not fits:
        return None
    return _waves(np.arange(POINTS) / POINTS) @ coefficients


def _waves(phase: np.ndarray) -> np.ndarray:
    angle = 2 * np.pi * np.outer(phase, np.arange(1, HARMONICS + 1))
    return np.concatenate([np.ones((len(phase), 1)), np.cos(angle), np.sin(angle)], axis=1)
