r"""Zeros of functions of one variable between points of different sign, several at once.

T. R. Chandrupatla (1997), A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear
function without using derivatives, Advances in Engineering Software 28. With the bracket (a, b), a the last
point, and c the point before, inverse quadratic interpolation is taken where

    1 - sqrt(1 - xi) < phi < sqrt(xi),      xi = (a - b)/(c - b),   phi = (f_a - f_b)/(f_c - f_b),

for then the interpolating parabola is monotone between a and b; else the bracket is halved.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MAX_STEPS = 80
"""Steps after which a zero is taken as it is: halving alone shrinks a bracket by 2^-80 in as many."""
WIDTH = 4.0 * float(np.finfo(np.float64).eps)
"""Width of a bracket, relative to its ends or to its first width, at which it is as good as a point."""


def zeros(
    function: Callable[[np.ndarray], np.ndarray], ends: tuple[np.ndarray, np.ndarray], steps: int = MAX_STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """One zero for each of n functions, and the values there, both (n,).

    `function` takes points (n,) to values (n,), component by component; `ends` are points (n,) where the
    values differ in sign. NaN where they do not, or where a value on the way is none. The point with the
    smallest |value| is returned.
    """
    a, b = (np.array(end, np.float64) for end in ends)
    least_width = WIDTH * abs(b - a)
    fa, fb = function(a), function(b)
    lost = ~(np.sign(fa) * np.sign(fb) <= 0.0)
    c, fc = a.copy(), fa.copy()
    part = np.full(a.shape, 0.5)
    for _ in range(steps):
        best, value = np.where(abs(fa) < abs(fb), a, b), np.where(abs(fa) < abs(fb), fa, fb)
        width = np.maximum(WIDTH * np.maximum(abs(a), abs(b)), least_width)
        ended = lost | (value == 0.0) | (abs(b - a) <= width)
        if ended.all():
            break
        # no step is shorter than the width, or the last ones would all come from one side
        with np.errstate(divide="ignore", invalid="ignore"):
            least = np.minimum(0.5 * width / abs(b - a), 0.5)
        x = np.where(ended, a, a + np.clip(part, least, 1.0 - least) * (b - a))
        fx = function(x)
        lost |= ~ended & ~np.isfinite(fx)
        ended |= lost
        same = np.sign(fx) == np.sign(fa)
        new_c, new_fc = np.where(same, a, b), np.where(same, fa, fb)
        new_b, new_fb = np.where(same, b, a), np.where(same, fb, fa)
        a, b, c = (np.where(ended, old, new) for old, new in ((a, x), (b, new_b), (c, new_c)))
        fa, fb, fc = (np.where(ended, old, new) for old, new in ((fa, fx), (fb, new_fb), (fc, new_fc)))
        part = _part(a, b, c, fa, fb, fc)
    best, value = np.where(abs(fa) < abs(fb), a, b), np.where(abs(fa) < abs(fb), fa, fb)
    return np.where(lost, np.nan, best), np.where(lost, np.nan, value)


def _part(a, b, c, fa, fb, fc) -> np.ndarray:
    """How far to go from a to b: by inverse quadratic interpolation where that is safe, else half way."""
    with np.errstate(divide="ignore", invalid="ignore"):
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        safe = (phi > 1.0 - np.sqrt(1.0 - xi)) & (phi < np.sqrt(xi))
        part = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
    return np.where(safe & np.isfinite(part), part, 0.5)
