"""The one door: the fixed points of a field of any dimension in a box.

Up to `PROVABLE` units branch and prune finds them all, each proven (`pruning`), within a bounded number of
boxes. Beyond, many starts find what they find (`starts`); each point is still proven to exist, and the degree
of the field and the Good-Turing estimate say what may be missing. They never say that nothing is.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from ...records import InputError, Kind, meaning
from ..arithmetic import UnsupportedPrimitive
from ..fixed_points import MARGIN
from . import enclosures, krawczyk, spectrum, starts
from .factor import reduced
from .pruning import Pruned, prune
from .record import FixedPointsOfAnyDimension
from .roots import Roots

PROVABLE = 6
"""Largest dimension in which branch and prune is tried."""
QUIET_ROUNDS = 4
"""Rounds of starts that find nothing new before the search may end."""
MAX_ROUNDS = 24
"""Rounds of starts after which it ends."""
MAX_MISSING = 0.005
"""Missing mass below which the search may end."""


def fixed_points(
    field: Callable,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    *,
    seed: int = 0,
    starts: int = 512,
    tolerance: float = 1e-8,
    max_boxes: int = 200_000,
) -> FixedPointsOfAnyDimension:
    """The fixed points of dh/dt = field(h) in the box [lower, upper].

    **Arguments**

    - `field`: (d,) to (d,), per unit of time. An equinox module is compiled once for all its parameters.
    - `lower`, `upper`: corners of the box, (d,). The search box exceeds it by about 1 %, so that points on
      its faces are found.
    - `seed`, `starts`: of the starts, where they are used; how many in a round.
    - `tolerance`: the last step of a start that arrived, in widths of the box.
    - `max_boxes`: boxes after which branch and prune gives up; 0 leaves it out. Refused: arguments not as
      above.
    """
    low, high = _box(lower, upper)
    _check(field, low, seed, starts, tolerance, max_boxes)
    below, above = (np.asarray(m * (high - low), low.dtype) for m in MARGIN)
    low, high = low - below, high + above
    lacking = _lacking(field, low)
    corners = jnp.asarray(low), jnp.asarray(high)
    simpler = field if lacking else reduced(field, *corners)
    roots = Roots(field, simpler, low, high, provable=lacking is None)
    pruned = Pruned(False, np.zeros((0, 2, len(low))), 0)
    if len(low) <= PROVABLE and max_boxes and lacking is None:
        pruned = prune(roots, max_boxes)
    trapping = lacking is None and bool(krawczyk.traps(simpler, *corners))
    searched = None if pruned.ended else _search(roots, trapping, seed, starts, tolerance)
    return _record(roots, pruned, searched, trapping, lacking)


def _search(roots: Roots, trapping: bool, seed: int, count: int, tolerance: float) -> starts.Searched:
    def enough(quiet: int) -> bool:
        balanced = not trapping or _Spectra(roots).degree in (1, None)
        known = not len(roots) or _missing(roots.hits) <= MAX_MISSING
        return quiet >= QUIET_ROUNDS and balanced and known

    tolerance = max(tolerance, 16.0 * float(np.finfo(roots.low.dtype).eps))
    return starts.search(
        roots, seed=seed, starts=count, tolerance=tolerance, enough=enough, max_rounds=MAX_ROUNDS
    )


def _missing(hits: np.ndarray) -> float:
    """Good-Turing: the probability of what was not seen is that of what was seen once."""
    return float((hits == 1).sum() / hits.sum()) if hits.sum() else float("nan")


class _Spectra:
    """Eigenvalues, kinds and the degree of what is known."""

    def __init__(self, roots: Roots):
        known, d = roots.known, len(roots.low)
        pairs = [] if known is None else list(zip(known.jacobian, known.spread))
        found = [spectrum.discs(np.asarray(a, float), np.asarray(r, float)) for a, r in pairs]
        self.eigenvalue = np.array([v for v, _ in found], complex).reshape(-1, d)
        self.kind = np.array([spectrum.kind(v, r) for v, r in found], dtype=object)
        self.n_unstable = np.array([int((v.real > r).sum()) for v, r in found], int)
        index = [spectrum.index(a, v, r) for (a, _), (v, r) in zip(pairs, found)]
        self.degree = sum(index) if all(index) else None


def _record(
    roots: Roots, pruned: Pruned, searched: starts.Searched | None, trapping: bool, lacking: str | None
) -> FixedPointsOfAnyDimension:
    spectra, known, d = _Spectra(roots), roots.known, len(roots.low)
    columns = ("point", "error", "residual", "proven")
    point, error, residual, proven = (
        (np.zeros((0, d)), np.zeros(0), np.zeros(0), np.zeros(0, bool))
        if known is None
        else (np.asarray(getattr(known, name)) for name in columns)
    )
    unbalanced = trapping and spectra.degree not in (1, None)
    certified = pruned.ended and not (len(pruned.clusters) or roots.clash or unbalanced)
    order = _order(point, float(np.finfo(roots.low.dtype).eps) ** 0.5 * (roots.high - roots.low))
    uniform = searched.uniform if searched else 0
    missing = 0.0 if certified else _missing(roots.hits)
    return FixedPointsOfAnyDimension(
        point=point[order],
        error=error[order],
        eigenvalue=spectra.eigenvalue[order],
        n_unstable=spectra.n_unstable[order],
        residual=residual[order],
        kind=spectra.kind[order],
        proven=proven[order],
        certified=bool(certified),
        degree=spectra.degree,
        trapping=trapping,
        hits=roots.hits[order],
        uniform_starts=uniform,
        missing_mass=missing,
        boxes=pruned.boxes,
        starts=searched.starts if searched else 0,
        warnings=tuple(_warnings(roots, spectra, pruned, searched, trapping, lacking, unbalanced)),
    )


def _warnings(roots: Roots, spectra: _Spectra, pruned, searched, trapping, lacking, unbalanced):
    n, unproven = len(roots), 0 if roots.known is None else int((~roots.known.proven).sum())
    if lacking is not None:
        yield f"nothing is proven: intervals have no rule for '{lacking}'"
    elif unproven:
        yield f"{unproven} of {n} fixed points are not proven to exist"
    if len(pruned.clusters):
        widest = float(np.max(pruned.clusters[:, 1] - pruned.clusters[:, 0]))
        yield (
            f"{len(pruned.clusters)} region(s) no wider than {widest:.1e} are undecided: fixed points there "
            "may be missing or double; all others are proven"
        )
    if roots.clash:
        yield "two proven fixed points could not be told apart"
    if searched is not None:
        if pruned.boxes:
            yield f"branch and prune was given up after {pruned.boxes} boxes"
        share = _missing(roots.hits)
        mass = "no start arrived" if np.isnan(share) else f"missing mass about {share:.2g} (Good-Turing)"
        yield f"found from {searched.starts} starts, which may miss fixed points: {mass}"
        if searched.quiet < QUIET_ROUNDS:
            yield "new fixed points were still being found when the search ended"
    if unbalanced:
        yield f"the degree is {spectra.degree}, not 1: fixed points are missing"
    elif spectra.degree is None:
        yield "the degree is not known: a fixed point has an eigenvalue that cannot be told from 0"
    elif searched is not None and not trapping:
        yield "the box is not proven to be trapping: the degree is no check"
    degenerate = int((spectra.kind == meaning(Kind.DEGENERATE)).sum())
    if degenerate:
        yield f"{degenerate} of {n} fixed points are degenerate"


def _order(point: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """Lexicographic; coordinates that differ by no more than `slack` are equal."""
    ranks = []
    for column, tie in zip(point.T, slack):
        by = np.argsort(column, kind="stable")
        rank = np.empty(len(column), int)
        rank[by] = np.cumsum(np.diff(column[by], prepend=column[by[:1]]) > tie)
        ranks.append(rank)
    return np.lexsort(ranks[::-1])


def _lacking(field: Callable, low: np.ndarray) -> str | None:
    """The primitive for which intervals have no rule, None where there is none."""
    try:
        jax.eval_shape(lambda x: enclosures.value(field, x, x).lo, low)
    except UnsupportedPrimitive as error:
        return error.primitive
    return None


def _box(lower, upper) -> tuple[np.ndarray, np.ndarray]:
    dtype = jnp.result_type(float)
    corners = []
    for name, value in (("lower", lower), ("upper", upper)):
        array = np.asarray(value)
        if array.ndim != 1 or not array.size or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
            raise InputError(name, "finite real numbers of shape (d,)", value)
        corners.append(array.astype(dtype))
    low, high = corners
    if low.shape != high.shape or not (low < high).all():
        raise InputError("upper", f"numbers above lower, of shape {low.shape}", upper)
    return low, high


def _check(field, low, seed, starts, tolerance, max_boxes) -> None:
    whole = lambda x, least: isinstance(x, int) and not isinstance(x, bool) and x >= least  # noqa: E731
    for name, good, expected, got in (
        ("field", callable(field), "a function of the state", field),
        ("seed", whole(seed, 0), "an integer of at least 0", seed),
        ("starts", whole(starts, 1), "a positive integer", starts),
        ("tolerance", isinstance(tolerance, float) and 0 < tolerance < 1, "between 0 and 1", tolerance),
        ("max_boxes", whole(max_boxes, 0), "an integer of at least 0", max_boxes),
    ):
        if not good:
            raise InputError(name, expected, got)
    rate = jax.eval_shape(field, jax.ShapeDtypeStruct(low.shape, low.dtype))
    if getattr(rate, "shape", None) != low.shape:
        raise InputError("field", f"a rate of shape {low.shape}", rate)
