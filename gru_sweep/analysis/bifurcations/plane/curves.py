r"""The one door for a plane: the curves of bifurcations of fixed points of dh/dt = f(h, p), p in a rectangle.

1. On lines of both directions branch and prune finds every regular zero of (f, det J) and of (f, tr J), each
   with a proof, and leaves the others as undecided regions.
2. Each zero that lies on no curve yet begins one, which is followed both ways in (h, p) (`continuation`).
   So does each undecided region of det J, where a curve of pitchforks or of transcritical points passes,
   along which (f, det J) is singular everywhere (`branch_curves`); and so do Hopf curves on those
   (`meetings`).
3. Each gets its values, its points of codimension two and its ends (`naming`).

What may be missed: a curve that meets no line, such as a small closed one between them (unless it has a
Bogdanov-Takens point and `inside` is given, or that lies on a curve of branch points); two points of
codimension two of one kind between neighbouring points of a curve; and folds in an undecided region through
which a curve of branch points passes. The undecided regions through which no curve passes are in `warnings`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float

from ....records import InputError
from ...any_dimension import Zeros, zeros
from ...fixed_points import MARGIN
from ..extended import DETERMINANT, TRACE, Extended, Field
from .branch_charts import polished
from .branch_curves import NEAR, branch_curve
from .codimension_two import BOGDANOV_TAKENS, SpecialPoint
from .continuation import Followed, follow
from .curve import FOLD, HOPF, UNRESOLVED, Curve, Curves
from .meetings import beginnings, ending, parts
from .naming import ON_CURVE, name
from .path import Path
from .regions import regions

TESTS = {FOLD: DETERMINANT, HOPF: TRACE}
GOLDEN = 0.5 * (5.0**0.5 - 1.0)
"""Lines lie at the fractions (k + GOLDEN) / n of the rectangle: at no value that a symmetry makes special."""


class OnLine(eqx.Module):
    """f(h, base + t along) as a field of one parameter t: one program for every line."""

    field: Any
    base: Float[Array, " 2"]
    along: Float[Array, " 2"]

    def __call__(self, h: Float[Array, " 2"], t: Float[Array, " 1"]) -> Float[Array, " 2"]:
        return self.field(h, jnp.stack([self.base[i] + t[0] * self.along[i] for i in range(2)]))


def curves(
    field: Field,
    lower_p: npt.ArrayLike,
    upper_p: npt.ArrayLike,
    *,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    lines: int = 9,
    inside: int = 0,
    max_boxes: int = 100_000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Curves:
    """The bifurcation curves of fixed points of dh/dt = field(h, p) with p in a rectangle and h in a box.

    **Arguments**

    - `field`: f(h, p), (2,), (2,) to (2,), per unit of time. An equinox module is compiled once for all its
      numbers.
    - `lower_p`, `upper_p`: corners of the rectangle. `lower`, `upper`: of the box of states. (2,) each.
    - `lines`: how many lines of each direction are searched.
    - `inside`: boxes to spend on a search of the whole rectangle for Bogdanov-Takens points, whose curves may
      meet no line; 0 leaves it out.
    - `max_boxes`: boxes to spend on each line. `progress` is told the searches done, and of how many.

    Refused: arguments not as above, and 32-bit types, in which no point is good to 1e-12.
    """
    low, high = _corners(lower_p, upper_p, lower, upper)
    _check(field, lines, inside, max_boxes)
    search = _Search(field, low, high)
    searches = [(kind, axis, k) for kind in TESTS for axis in (2, 3) for k in range(lines)]
    for done, (kind, axis, k) in enumerate(searches):
        progress(done, len(searches))
        search.line(kind, axis, low[axis] + (k + GOLDEN) / lines * (high - low)[axis], max_boxes)
    progress(len(searches), len(searches))
    search.doubles()
    if inside:
        search.rectangle(inside)
    named = [name(field, kind, part, high - low) for kind in TESTS for part in search.parts(kind)]
    proper = [ending(curve, search.special, high - low) for one in named for curve in one.curves]
    found = (*proper, *search.branches)
    warnings = search.warnings + [text for one in named for text in one.warnings]
    strange = sum(UNRESOLVED in curve.ends for curve in found)
    if strange:
        warnings.append(f"{strange} of {len(found)} curves end in a way that is not known")
    return Curves(found, not warnings, lines, search.boxes, tuple(warnings))


class _Search:
    """The curves followed so far, the boxes it took, and what is not known, in words."""

    def __init__(self, field: Field, low: np.ndarray, high: np.ndarray):
        self.field, self.low, self.high, self.width = field, low, high, high - low
        self.systems = {kind: Extended(field, (test,)) for kind, test in TESTS.items()}
        self.paths: dict[str, list[Followed]] = {kind: [] for kind in TESTS}
        self.branches: list[Curve] = []
        self.boxes = 0
        self.warnings: list[str] = []

    @property
    def special(self) -> list[SpecialPoint]:
        """The points of codimension two on curves of branch points: other curves may meet these there."""
        return [point for branch in self.branches for point in branch.codimension_two]

    def parts(self, kind: str) -> list[Followed]:
        """The curves of a kind, each up to where it meets one of branch points."""
        return [part for one in self.paths[kind] for part in parts(one, self.special, self.width)]

    def line(self, kind: str, axis: int, value: float, max_boxes: int) -> None:
        """Follows the curves of a kind that meet the line where coordinate `axis` of (h, p) has a value."""
        base, along = np.zeros(2), np.ones(2)
        base[axis - 2], along[axis - 2] = value, 0.0
        field = OnLine(self.field, jnp.asarray(base), jnp.asarray(along))
        free = np.delete(np.arange(4), axis)
        found = self._zeros(Extended(field, (TESTS[kind],)), free, max_boxes)
        clusters = found.clusters.reshape(-1, 2, 3)
        whole = lambda u: np.insert(u, axis, value, axis=-1)  # noqa: E731
        self._take(kind, whole(found.point), found.error, whole(clusters), found.complete)

    def rectangle(self, max_boxes: int) -> None:
        """Follows the curves through Bogdanov-Takens points."""
        found = self._zeros(Extended(self.field, (DETERMINANT, TRACE)), np.arange(4), max_boxes)
        for kind in TESTS:
            self._take(kind, found.point, found.error, found.clusters, found.complete)
            self.doubles()

    def doubles(self) -> None:
        """Follows the curves of Hopf points that begin on those of branch points."""
        for point in self.special:
            for seed in beginnings(self.field, point, self.width) if point.kind == BOGDANOV_TAKENS else ():
                seed = polished(self.systems[HOPF], seed, self.low, self.high)
                if (seed >= self.low).all() and (seed <= self.high).all():
                    self._follow(HOPF, seed)

    def _zeros(self, system: Extended, free: np.ndarray, max_boxes: int) -> Zeros:
        # what lies on the border is found as well
        below, above = (m * self.width[free] for m in MARGIN)
        found = zeros(system, self.low[free] - below, self.high[free] + above, max_boxes=max_boxes)
        self.boxes += found.boxes
        return found

    def _take(
        self, kind: str, points: np.ndarray, errors: np.ndarray, clusters: np.ndarray, complete: bool
    ) -> None:
        for seed, error in zip(points, errors):
            if (seed >= self.low - error).all() and (seed <= self.high + error).all():
                self._follow(kind, seed)
        for low, high in regions(clusters, self.width):
            apart = ((low > self.high) | (high < self.low)).any()
            if not (apart or self._explained(kind, low, high)):
                self.warnings.append(f"{kind}s near {_words(low, high)} may be missing: undecided")
        if not complete:
            self.warnings.append(f"a search for {kind}s was given up: some may be missing")

    def _follow(self, kind: str, seed: np.ndarray) -> None:
        if self._distance(kind, seed) > ON_CURVE:
            followed = follow(self.systems[kind], np.clip(seed, self.low, self.high), self.low, self.high)
            if followed is not None:
                self.paths[kind].append(followed)
            if self._distance(kind, seed) > ON_CURVE:
                self.warnings.append(f"a {kind} at {_words(seed, seed)} could not be followed")

    def _explained(self, kind: str, low: np.ndarray, high: np.ndarray) -> bool:
        """Whether a curve passes within a few widths of a region of undecided zeros; one of branch points is
        followed from there, if there is one."""
        reach = NEAR * float(((high - low) / self.width).max()) + ON_CURVE
        middle = 0.5 * (low + high)
        if kind == FOLD:
            if _apart(self.branches, middle, self.width) <= reach:
                return True
            corners = {"lower": self.low[:2], "upper": self.high[:2]}
            branch = branch_curve(self.field, np.stack([low, high]), self.low[2:], self.high[2:], **corners)
            if branch is not None:
                self.branches.append(branch)
                return True
        return self._distance(kind, middle) <= reach

    def _distance(self, kind: str, point: np.ndarray) -> float:
        """From the nearest curve, in sides of the box."""
        return _apart([one.path for one in self.paths[kind]], point, self.width)


def _apart(paths: Sequence[Path], point: np.ndarray, width: np.ndarray) -> float:
    """The distance of a point from the nearest of some curves, in sides of the box."""
    return min((path.nearest(point, width)[1] for path in paths), default=np.inf)


def _words(low: np.ndarray, high: np.ndarray) -> str:
    return "(" + ", ".join(f"{x:.6g}" for x in 0.5 * (low + high)) + ")"


def _corners(*given: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper corner in (h, p)."""
    names = ("lower_p", "upper_p", "lower", "upper")
    corners = {}
    for key, value in zip(names, given):
        try:
            corner = np.asarray(value, float)
        except (TypeError, ValueError):
            corner = np.full(2, np.nan)
        if corner.shape != (2,) or not np.isfinite(corner).all():
            raise InputError(key, "two finite numbers", value)
        corners[key] = corner
    for below, above in (names[:2], names[2:]):
        if not (corners[below] < corners[above]).all():
            raise InputError(
                above, f"numbers above {below} = {corners[below].tolist()}", corners[above].tolist()
            )
    return tuple(np.concatenate([corners[s], corners[p]]) for p, s in zip(names[:2], names[2:]))  # type: ignore


def _check(field: Field, lines: int, inside: int, max_boxes: int) -> None:
    whole = lambda x, least: isinstance(x, int) and not isinstance(x, bool) and x >= least  # noqa: E731
    for key, good, expected, got in (
        ("field", callable(field), "a function of a state and two parameters", field),
        ("lines", whole(lines, 1), "a positive integer", lines),
        ("inside", whole(inside, 0), "an integer of at least 0", inside),
        ("max_boxes", whole(max_boxes, 1), "a positive integer", max_boxes),
    ):
        if not good:
            raise InputError(key, expected, got)
    if jnp.result_type(float) != np.float64:
        raise InputError("precision", "64-bit types (jax_enable_x64)", "32-bit types")
    pair = jax.ShapeDtypeStruct((2,), np.float64)
    rate: Any = jax.eval_shape(field, pair, pair)
    if getattr(rate, "shape", None) != (2,):
        raise InputError("field", "a rate of shape (2,)", rate)
