r"""Curves of folds of cycles in a plane of two parameters: where two cycles meet and vanish.

Zeros of the system of `double_cycles` are followed both ways (`plane.continuation`). Where the ray that the
system needs does not serve any more, another one through the same cycle takes over, from another fixed point
inside if the first has met a saddle. Such legs make one curve (`cycle_fold_ends`), whose states jump along
the cycle from one ray to the next.

At a cusp of cycles the second derivative of the return map is 0 and three cycles meet: there the curve has a
cusp in the plane, though none in the unknowns that are followed.
"""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from ....records import InputError
from ..extended import Field, rate_and_slope
from ..global_events.bracketing import zeros as zeros_between
from ..global_events.checks import box_of, pair_of, rectangle_of
from ..global_events.crossings import Box
from ..plane.codimension_two import SpecialPoint
from ..plane.continuation import follow
from ..plane.curve import CYCLE_CUSP, Curve
from ..plane.path import Path
from ..plane.steps import TOLERANCE, End, Scaled, slope
from .cycle_fold_ends import MEETS, Corners, Leg, curve_of
from .double_cycles import APART, CROSSES, WINDOW, DoubleCycle, fixed_points, measures, orbit, ray

CONVERGED = 1e-10
"""Newton's last step, in sides of the box: rounding leaves some 1e-12 of a side on small cycles. Derivatives
are exact: what is left is of the size of its square."""
SMALLEST = 2.0**-7
"""Distance of a double cycle from the fixed point inside, in boxes, below which it is not followed, but taken
to end at a Bautin point: rounding errors grow like the third power of its inverse."""
DIAGONAL = 2.0
"""Distance from the fixed point inside that no cycle reaches, in boxes."""
ALMOST = 0.01
"""Relative excess of the sine over `CROSSES` with which a ray does not serve any more."""
FLAT = 0.02
"""Determinant of a Jacobian, in units of its entries squared, that may be about to vanish."""
MAX_RAYS = 24
"""Rays after which a curve is given up."""
WORTH = 1e-4
"""Length, in sides of the box, that a curve must gain with another ray."""
LEAP = 0.4
"""Logarithm of the ratio of the periods of neighbouring points between which there must be a loop."""
ALIKE = 1e-6
"""Relative difference of two periods that are one."""
AROUND, SHRUNK = 32, (0.2, 0.4, 0.6, 0.8)
"""Places from which fixed points inside a cycle are looked for: points of it, and parts of the way there."""
SETTLING = 4
"""Newton's steps from a cubic to the curve: one is enough, most times."""
LOOSER, SAFETY, ROUNDING = 100.0, 4.0, 64.0
"""An estimated error: factor on the roughness of steps with which a point is located again, factor on what
that changes, and rounding of an unknown, in units of the last place of a side."""


def cycle_fold_curve(
    field: Field,
    p: npt.ArrayLike,
    cycle: npt.ArrayLike,
    inside: npt.ArrayLike,
    lower_p: npt.ArrayLike,
    upper_p: npt.ArrayLike,
    *,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    known: tuple[SpecialPoint, ...] = (),
) -> Curve | None:
    """The curve of folds of cycles through a point of the plane.

    **Arguments**

    - `field`: f(h, p) with two parameters; an equinox module is compiled once for all its numbers.
    - `p`: where a fold of cycles is, (2,), in the rectangle; `cycle`: a state (2,) on the double cycle.
    - `inside`: near a fixed point (2,) that the cycle encloses and that is no saddle.
    - `lower_p`, `upper_p`: corners of the rectangle. `lower`, `upper`: of the box of states. (2,) each.
    - `known`: points of codimension two at which the curve may end: Bautin points and neutral saddle loops.

    Returns a `Curve` of kind `cycle fold`, its states being points of the double cycles. Its parameters are
    good to about 1e-10 of a side at its points, and to 1e-9 between. `values` are the `period`, in units of
    time, and the `second_derivative` of the return map by length along the section (-n_y, n_x), n = f/|f|,
    per unit of the state: its size depends on the state, its sign does not. It ends on the border, in itself
    (closed), at a Bautin point or a neutral saddle loop that is known (up to the latter it is a guess), or
    unresolved. None where p, the cycle and the fixed point are not as above, as far as Newton's method can
    tell. Refused: arguments of other shapes, and p outside the rectangle.
    """
    box, plane = box_of(lower, upper), rectangle_of(lower_p, upper_p)
    at, on, within = (pair_of(*given) for given in (("p", p), ("cycle", cycle), ("inside", inside)))
    if not ((at >= plane.lower) & (at <= plane.upper)).all():
        raise InputError("p", f"a point between {plane.lower.tolist()} and {plane.upper.tolist()}", p)
    with jax.enable_x64(True):
        search = _Search(field, plane, box)
        legs = search.legs(at, on, within)
        if legs is None:
            return None
        return curve_of(field, [search.with_cusps(leg) for leg in legs], search.corners, tuple(known))


class _Search:
    """The legs of a curve, in a rectangle (`plane`) and a box of states."""

    def __init__(self, field: Field, plane: Box, box: Box):
        self.field, self.box = field, box
        low = np.array([*box.lower, SMALLEST * box.size, *plane.lower])
        high = np.array([*box.upper, DIAGONAL * box.size, *plane.upper])
        self.corners = Corners(low, high, box.size)
        self.width = self.corners.width

    def legs(self, p: np.ndarray, cycle: np.ndarray, inside: np.ndarray) -> list[Leg] | None:
        """The whole curve through p, leg by leg."""
        begin = ray(self.field, p, cycle, inside, self.box)
        middle = None if begin is None else self.followed(*begin)
        if middle is None:
            return None
        ahead = self.onwards(middle)
        last = (ahead or [middle])[-1]
        if last.ends[1] == End.CLOSED:  # with one ray, or on the last one
            return [last] if last.path.closed else [middle, *ahead]
        behind = self.onwards(middle.turned())
        return [*(leg.turned() for leg in reversed(behind)), middle, *ahead]

    def followed(self, system: DoubleCycle, u: np.ndarray) -> Leg | None:
        """The leg through a point, both ways; None where there is none."""
        lower, upper, _ = self.corners
        if not ((u >= lower) & (u <= upper)).all():
            return None
        found = follow(system, u, lower, upper, tolerance=TOLERANCE, converged=CONVERGED)
        return None if found is None else self.unbroken(Leg(system, *found), u)

    def unbroken(self, leg: Leg, u: np.ndarray) -> Leg | None:
        """The part of a leg around one of its points on which the period does not leap, as over a loop."""
        path = leg.path
        period = measures(leg.system, path.points)[0]
        leaps = np.flatnonzero(~(np.abs(np.diff(np.log(period))) < LEAP))
        row = self.row(path, u)
        first, last = leaps[leaps < row] + 1, leaps[leaps >= row]
        if not (len(first) or len(last)):
            return leg
        begin, end = max(first, default=0), min(last, default=len(path) - 1)
        if begin == end:
            return None
        ends = End.STUCK if len(first) else leg.ends[0], End.STUCK if len(last) else leg.ends[1]
        return dataclasses.replace(leg, path=path.part(int(begin), int(end)), ends=ends)

    def row(self, path: Path, u: np.ndarray) -> int:
        """The point of a path that is nearest to one."""
        return int(np.argmin(np.max(np.abs(path.points - u) / self.width, axis=1)))

    def onwards(self, first: Leg) -> list[Leg]:
        """The legs after a leg."""
        found: list[Leg] = []
        last = first
        while last.ends[1] == End.STUCK and len(found) < MAX_RAYS:
            new = self.next(last)
            if new is None:
                break
            last = new if new.path.closed else self.closed(first, new) or new
            found.append(last)
        return found

    def next(self, leg: Leg) -> Leg | None:
        """What another ray serves, from the end of a leg on."""
        u, along = leg.path.points[-1], leg.path.tangents[-1]
        state, p = leg.system.shown(u[None])[0, :2], u[3:]
        for inside in self.insides(leg.system, u):
            begin = ray(self.field, p, state, inside, self.box)
            new = None if begin is None else self.followed(*begin)
            if begin is None or new is None:
                continue
            row = self.row(new.path, begin[1])
            ways = (tangent[3:] / self.width[3:] for tangent in (along, new.path.tangents[row]))
            if np.dot(*ways) < 0.0:
                new, row = new.turned(), len(new.path) - 1 - row
            if new.path.closed:
                return new
            if new.path.length[-1] - new.path.length[row] > WORTH:
                return new.after(row)
        return None

    def insides(self, system: DoubleCycle, u: np.ndarray) -> list[np.ndarray]:
        """Fixed points from which another ray may begin; none where the ray served until the end."""
        h, p = u[:2], u[3:]
        rate = rate_and_slope(self.field, system.shown(u[None])[0, :2], p)[0]
        if float(system.angle(jnp.asarray(rate))) <= (1.0 + ALMOST) * CROSSES:
            return [h]
        jacobian = rate_and_slope(self.field, h, p)[1]
        if not np.linalg.det(jacobian) <= FLAT * np.sum(jacobian**2):
            return []
        corners, window = (system.lower, system.upper), WINDOW * u[2]
        cycle, _ = orbit(self.field, p, system.shown(u[None])[0, :2], corners, window)
        if not len(cycle):
            return []
        some = cycle[np.linspace(0, len(cycle) - 1, AROUND).astype(int)]
        middle = np.mean(some, axis=0)
        places = np.concatenate([middle + part * (some - middle) for part in SHRUNK])
        found = fixed_points(self.field, p, places, self.box)
        return [point for point in found if np.max(np.abs(point - h)) > APART * self.box.size]

    def closed(self, first: Leg, new: Leg) -> Leg | None:
        """The new leg up to where the first one began; None where it does not pass there."""
        if first.ends[0] != End.STUCK:
            return None
        start, path = first.path.points[0], new.path
        flat = Path(path.points[:, 3:], path.tangents[:, 3:], path.length, False)
        where, away = flat.nearest(start[3:], self.width[3:])
        ways = (tangent / self.width[3:] for tangent in (flat.direction(where), first.path.tangents[0, 3:]))
        if away > MEETS or where < WORTH or not np.dot(*ways) > 0.0:
            return None
        here = self.settled(new.system, path.at(where))
        periods = [measures(leg.system, u[None])[0][0] for leg, u in ((first, start), (new, here))]
        if abs(periods[1] / periods[0] - 1.0) > ALIKE:
            return None
        path = path.insert(where, here)
        path = path.part(0, int(np.argmin(np.abs(path.length - where))))
        return Leg(new.system, path, (new.ends[0], End.CLOSED), (new.faces[0], -1))

    def settled(self, system: DoubleCycle, u: np.ndarray) -> np.ndarray:
        """The point of the curve nearest to one near it."""
        lower = self.corners.lower
        scaled = Scaled(system, *map(jnp.asarray, (lower, self.width, TOLERANCE, CONVERGED)))
        for _ in range(SETTLING):
            value, rows = map(np.asarray, slope(scaled, jnp.asarray((u - lower) / self.width)))
            step = np.linalg.pinv(rows) @ value
            u = u - self.width * step
            if np.abs(step).max() <= CONVERGED:
                break
        return u

    def with_cusps(self, leg: Leg) -> Leg:
        """The leg with the points where the second derivative changes its sign."""
        path = leg.path
        bend = measures(leg.system, path.points)[1]
        changes = np.flatnonzero(bend[:-1] * bend[1:] < 0.0)
        if not len(changes):
            return leg
        ends = path.length[changes], path.length[changes + 1]
        looser = eqx.tree_at(lambda system: system.rough, leg.system, LOOSER * leg.system.rough)
        found = []
        for u, other in zip(*(self.turning(system, path, ends) for system in (leg.system, looser))):
            shown = leg.system.shown(np.stack([u, other]))
            error = SAFETY * np.max(np.abs(shown[1] - shown[0]))
            error += ROUNDING * float(np.finfo(np.float64).eps) * np.max(self.width)
            path = path.insert(path.nearest(u, self.width)[0], u)
            found.append(SpecialPoint(CYCLE_CUSP, shown[0], float(error), False))
        return dataclasses.replace(leg, path=path, cusps=tuple(found))

    def turning(self, system: DoubleCycle, path: Path, ends: tuple) -> np.ndarray:
        """Where the second derivative is 0, once between each two lengths, (n, 5)."""
        on = lambda lengths: np.stack([self.settled(system, path.at(x)) for x in lengths])  # noqa: E731
        return on(zeros_between(lambda lengths: measures(system, on(lengths))[1], ends)[0])
