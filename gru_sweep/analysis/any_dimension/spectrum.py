r"""Eigenvalues of a matrix that is known within a radius, each with a disc that holds the true one.

With computed eigenvectors V, W ~ V^-1 and G = I - W V, ||G|| < 1, every matrix B within R of A is similar to

    V^-1 B V = Lambda + E,   |E| <= |W A V - Lambda| + |W| R |V| + rounding + (||G|| / (1 - ||G||)) ||W B V||,

and Gershgorin's theorem puts its eigenvalues into the discs around Lambda_i whose radii are the row sums of
E; a union of k discs apart from the others holds k of them.
"""

from __future__ import annotations

import numpy as np

from ...records import Kind, meaning


def discs(middle: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of `middle`, (d,), larger real (then imaginary) part first, and the radii of their discs.

    All of the plane (infinite radii) where the eigenvectors are not independent or a number is not finite.
    """
    d = len(middle)
    if not (np.isfinite(middle).all() and np.isfinite(radius).all()):
        return np.full(d, np.nan + 0j), np.full(d, np.inf)
    values, vectors = np.linalg.eig(middle)  # real: pairs are conjugate to the bit
    order = np.lexsort((-values.imag, -values.real))
    values, vectors = values[order].astype(complex), vectors[:, order]
    try:
        inverse = np.linalg.inv(vectors)
    except np.linalg.LinAlgError:
        return values, np.full(d, np.inf)
    size = np.abs(inverse) @ (np.abs(middle) + radius) @ np.abs(vectors)
    rounding = 8.0 * (d + 2) * np.finfo(float).eps
    gap = np.abs(np.eye(d) - inverse @ vectors) + rounding * np.abs(inverse) @ np.abs(vectors)
    defect = gap.sum(axis=1).max()
    if not defect < 0.5:
        return values, np.full(d, np.inf)
    error = np.abs(inverse @ middle @ vectors - np.diag(values)) + rounding * size
    error += np.abs(inverse) @ radius @ np.abs(vectors)
    shift = defect / (1.0 - defect) * size.sum(axis=1).max()
    return values, 1.01 * (error.sum(axis=1) + shift)


def kind(values: np.ndarray, radii: np.ndarray) -> str:
    """The word for a fixed point with these eigenvalues: `stable node` ... `degenerate`.

    A focus has an eigenvalue proven not to be real; degenerate: a disc meets the imaginary axis.
    """
    if not (np.abs(values.real) > radii).all():
        return meaning(Kind.DEGENERATE)
    unstable = int((values.real > 0).sum())
    if 0 < unstable < len(values):
        return meaning(Kind.SADDLE)
    turns = bool((np.abs(values.imag) > radii).any())
    if unstable:
        return meaning(Kind.UNSTABLE_FOCUS if turns else Kind.UNSTABLE_NODE)
    return meaning(Kind.STABLE_FOCUS if turns else Kind.STABLE_NODE)


def index(middle: np.ndarray, values: np.ndarray, radii: np.ndarray) -> int:
    """sign det(-J) where no disc holds 0, else 0."""
    if not (np.abs(values) > radii).all():
        return 0
    return int(np.linalg.slogdet(-middle)[0])
