"""Where an orbit of a planar GRU begins or ends: the scipy reference for whole portraits.

    dh/dt = (v e, w f) / (v + w),   v, w = 1 - z,   (e, f) = tanh(U_h (r o h) + b_h) - h

has the orbits of the GRU whatever its update gates do, and no slow time of its own. States are complex
numbers x + i y, so that DOP853 (scipy's coefficients) costs one product per coefficient; an orbit that is
still on its way after `EXPLICIT` steps is stiff and goes on with Radau.

An orbit is over in an ellipse around a sink (source, backwards) on which a quadratic form was seen to
decrease, or outside the box. One that winds twice around a point is handed to the return map of a ray from
there, which is followed by its own iterates and, where these creep, by jumps that stay short of every root
that the last two displacements foretell.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import mul
from typing import Any

import numpy as np
from scipy.integrate import DOP853, Radau
from scipy.linalg import solve_continuous_lyapunov
from scipy.optimize import brentq

from tests.oracle import FixedPoint, PlanarGRU

TOLERANCE = 1e-11
"""Local error of a step, in the units of the state."""
OFFSET = 1e-4
"""Distance from a saddle at which a branch starts, or a hundredth of that to the next fixed point."""
EXPLICIT, STIFF = 2000, 3000
"""Steps of DOP853 until an orbit counts as stiff; steps of Radau until it is given up."""
LONGEST_STEP = 0.1
"""Length of a step: short enough that no loop and no fixed point is stepped over."""
BOX = 1 + 1e-9
"""An orbit beyond this in either unit has left the trapping box (which only happens backwards)."""
BORDER, OUTER, INNER = 32, 16, 17
"""Ends that are not fixed points: the border, and for cycle k OUTER + 2 k and INNER + 2 k."""

_ROWS = [DOP853.A[i, :i].tolist() for i in range(1, 12)]
_B, _E3, _E5 = DOP853.B.tolist(), DOP853.E3.tolist(), DOP853.E5.tolist()

Step = tuple[complex, complex, Callable[[float], complex]]
"""Both ends of a step, and the state a fraction 0..1 of the way."""


class Undecided(ArithmeticError):
    """The reference cannot tell; the message says why."""


def field(gru: PlanarGRU, m: Any = math) -> Callable:
    """`f(h) -> dh/dt` of the equation above for complex h; `m` is math, or numpy for arrays."""
    (a, b), (c, d) = np.asarray(gru.U_h, float).tolist()
    (ra, rb), (rc, rd) = np.asarray(gru.U_r, float).tolist()
    (za, zb), (zc, zd) = np.asarray(gru.U_z, float).tolist()
    (h1, h2), (r1, r2), (z1, z2) = (np.asarray(v, float).tolist() for v in (gru.b_h, gru.b_r, gru.b_z))
    exp, tanh = m.exp, m.tanh

    def f(h):
        x, y = h.real, h.imag
        p = x / (1 + exp(-(ra * x + rb * y + r1)))
        q = y / (1 + exp(-(rc * x + rd * y + r2)))
        v = 1 / (1 + exp(za * x + zb * y + z1))
        w = 1 / (1 + exp(zc * x + zd * y + z2))
        s = 1 / (v + w)
        return s * (v * (tanh(a * p + b * q + h1) - x) + 1j * (w * (tanh(c * p + d * q + h2) - y)))

    return f


@dataclass(frozen=True)
class Ray:
    """The section c + u e, u > 0, |e| = 1, crossed in the sense `turn` (+1 counterclockwise)."""

    c: complex
    e: complex
    turn: int

    def point(self, u: float) -> complex:
        return self.c + u * self.e

    def side(self, h: complex) -> float:
        return self.turn * (self.e.conjugate() * (h - self.c)).imag

    def along(self, h: complex) -> float:
        return (self.e.conjugate() * (h - self.c)).real


@dataclass(frozen=True)
class Loop:
    """A limit cycle: a fine polygon, whether it is stable, its sense (+1 counterclockwise)."""

    polygon: np.ndarray
    stable: bool
    sense: int
    start: complex

    @property
    def area(self) -> float:
        return abs(area(self.polygon))

    def surrounds(self, h: complex) -> bool:
        """Whether the polygon winds around `h`."""
        turned = np.angle(np.roll(self.polygon - h, -1) / (self.polygon - h)).sum()
        return abs(turned) > math.pi

    def distance(self, h: complex) -> float:
        """From `h` to the polygon."""
        p, q = self.polygon, np.roll(self.polygon, -1)
        edge = q - p
        s = ((h - p) * edge.conj()).real / np.maximum(np.abs(edge) ** 2, 1e-300)
        return float(np.abs(p + np.clip(s, 0, 1) * edge - h).min())


def area(polygon: np.ndarray) -> float:
    """Signed area, positive counterclockwise."""
    return float((polygon.conj() * np.roll(polygon, -1)).imag.sum() / 2)


@dataclass(frozen=True)
class Trap:
    """|g (h - p)| < radius with g real linear (gx dx + gy dy, gx dx + gy dy as complex numbers): entered
    once and never left."""

    centre: complex
    gx: complex
    gy: complex
    radius: float

    def coordinate(self, h: complex) -> complex:
        """h seen in the metric in which the ellipse is a circle; orientation is kept."""
        d = h - self.centre
        return self.gx * d.real + self.gy * d.imag

    def holds(self, h: complex) -> bool:
        return abs(self.coordinate(h)) < self.radius


def trap(gru: PlanarGRU, p: FixedPoint) -> Trap:
    """The largest ellipse V = h.P h, J^T P + P J = -1, on and in which V was seen to decrease (to increase
    around a source); raises `Undecided` where that is smaller than 1e-8."""
    at = gru.evaluator()
    way = -1.0 if p.eigenvalues[0].real > 0 else 1.0
    jac = way * np.reshape(at(*p.h)[1], (2, 2))
    scale = np.abs(jac).max()
    form = solve_continuous_lyapunov((jac / scale).T, -np.eye(2))
    upper = np.linalg.cholesky(form).T
    angle = np.linspace(0, math.tau, 96, endpoint=False)
    circle = np.linalg.solve(upper, np.stack([np.cos(angle), np.sin(angle)]))
    radii = 0.75 ** np.arange(60) * 0.7 / np.abs(circle).max()
    d = circle[:, None, :] * radii[:, None]
    f, _, _ = at(p.h[0] + d[0], p.h[1] + d[1])
    drop = way / scale * np.einsum("irk,ij,jrk->rk", d, form, np.stack(f))
    good = (drop < -0.01 * (d**2).sum(0)).all(1)
    # rounding of the field spoils the innermost circles, where there is nothing left to decide
    sound = [r for r in range(len(radii)) if good[r : max(r + 1, 50)].all()]
    if not sound or radii[sound[0]] * np.abs(circle).max() < 1e-8:
        raise Undecided(f"no neighbourhood seen to be attracted by {p.h}")
    gx, gy = complex(upper[0, 0], upper[1, 0]), complex(upper[0, 1], upper[1, 1])
    return Trap(complex(*p.h), gx, gy, float(radii[sound[0]]))


class Orbits:
    """Orbits of one GRU; `loops` are the limit cycles met so far. `care` divides tolerance and offset."""

    def __init__(self, gru: PlanarGRU, points: tuple[FixedPoint, ...], care: float = 1.0):
        self.gru, self.f, self.points = gru, field(gru), points
        self.tolerance = TOLERANCE / care
        self.at = [complex(*p.h) for p in points]
        self.saddles = [i for i, p in enumerate(points) if p.saddle]
        self.centres = [h for h, p in zip(self.at, points, strict=True) if not p.saddle]
        traps = {i: trap(gru, p) for i, p in enumerate(points) if not p.saddle}
        self.traps = {way: {i: t for i, t in traps.items() if points[i].attracts(way)} for way in (1, -1)}
        self.loops: list[Loop] = []
        self.stiff = False
        nearest = [min((abs(h - o) for o in self.at if o != h), default=1.0) for h in self.at]
        self.offset = [min(OFFSET, 0.01 * d) / care for d in nearest]
        if min(self.offset) < 1e-9:
            raise Undecided("fixed points closer than 1e-7: near a fold")

    def _try(self, h: complex, k0: complex, dt: float, way: int) -> tuple[complex, complex, float]:
        """DOP853's step: the new state, the velocity there, error / tolerance."""
        f, k = self.f, [k0]
        signed = way * dt
        # k holds forward velocities: time's sign is in the step
        for row in _ROWS:
            k.append(f(h + signed * sum(map(mul, row, k))))
        new = h + signed * sum(map(mul, _B, k))
        k.append(f(new))
        e5, e3 = abs(sum(map(mul, _E5, k))) ** 2, abs(sum(map(mul, _E3, k))) ** 2
        error = dt * e5 / math.sqrt(e5 + 0.01 * e3) / self.tolerance if e5 else 0.0
        return new, k[-1], error

    def steps(self, h: complex, way: int, longest: float = LONGEST_STEP) -> Iterator[Step]:
        """The steps of the orbit of `h`, forward (+1) or backward (-1); raises `Undecided` after the last."""
        if not self.stiff:
            k0, dt, done = self.f(h), math.inf, 0
            while done < EXPLICIT:
                dt = min(dt, longest / max(abs(k0), 1e-12))
                try:
                    new, k1, error = self._try(h, k0, dt, way)
                except OverflowError:
                    error = math.inf
                if error > 1 or abs(new - h) > 2 * longest:
                    dt *= max(0.2, 0.9 * error**-0.125) if 1 < error < math.inf else 0.3
                    continue
                yield h, new, lambda s, h=h, k0=k0, dt=dt: self._try(h, k0, s * dt, way)[0]
                h, k0, done = new, k1, done + 1
                dt *= min(4.0, 0.9 * error**-0.125) if error else 4.0
            self.stiff = True

        def rhs(_, state):
            v = way * self.f(complex(state[0], state[1]))
            return v.real, v.imag

        def jacobian(_, state):
            h = complex(state[0], state[1])
            jx, jy = (way * (self.f(h + e) - self.f(h - e)) / 2e-6 for e in (1e-6, 1e-6j))
            return np.array([[jx.real, jy.real], [jx.imag, jy.imag]])

        solver = Radau(
            rhs,
            0.0,
            [h.real, h.imag],
            1e15,
            rtol=100 * self.tolerance,
            atol=self.tolerance / 10,
            jac=jacobian,
            first_step=1e-3,
        )
        for _ in range(STIFF):
            solver.step()
            if solver.status != "running":
                raise Undecided(f"Radau comes to no end at {h}")
            old, h, t0, t1 = h, complex(*solver.y), solver.t_old, solver.t
            dense = solver.dense_output()
            yield old, h, lambda s, t0=t0, t1=t1, dense=dense: complex(*dense(t0 + s * (t1 - t0)))
        raise Undecided(f"an orbit has not ended after {STIFF} stiff steps, at {h}")

    def ended(self, h: complex, way: int) -> int | None:
        """The fixed point whose trap holds `h`, or the border."""
        if abs(h.real) > BOX or abs(h.imag) > BOX:
            return BORDER
        return next((i for i, t in self.traps[way].items() if t.holds(h)), None)

    def at_rest(self, h: complex) -> bool:
        """Whether `h` is so close to a saddle that it may be on its manifold."""
        return any(abs(h - self.at[i]) < 0.01 * self.offset[i] for i in self.saddles)

    def fate(self, start: complex, way: int) -> tuple[int, complex | None]:
        """Where the orbit of `start` ends in this direction of time, and the state at which it entered the
        trap or left the box (None where it came there by jumps, or ends at a cycle).

        A cycle not met before is added to `loops`. Raises `Undecided` at a saddle connection.
        """
        h, jumped = start, False
        for _ in range(40):
            end, place = self._until(h, way)
            if isinstance(end, int):
                return end, None if jumped else place
            outcome, u = self._follow(end, end.along(place), way)
            if outcome == "cycle":
                k = self._loop(end, u, way)
                inside = self.loops[k].surrounds(start)
                return (INNER if inside else OUTER) + 2 * k, None
            h, jumped = end.point(u), True
            if outcome == "point":
                return self.ended(h, way), None
        raise Undecided(f"the orbit of {start} winds and leaves again and again")

    def _until(self, start: complex, way: int) -> tuple[int | Ray, complex]:
        """Follow `start` to an end, or until it has wound twice around a fixed point: a ray from there."""
        path, angles = [start], [[0.0] * len(self.centres)]
        for old, h, at in self.steps(start, way):
            end = self.ended(h, way)
            if end is not None:
                return end, self._entry(end, way, old, h, at)
            if self.at_rest(h):
                raise Undecided(f"a branch passes the saddle near {h}: saddle connection")
            turned = [
                a + cmath.phase((h - c) / (old - c)) for a, c in zip(angles[-1], self.centres, strict=True)
            ]
            path.append(h)
            angles.append(turned)
            for k, angle in enumerate(turned):
                if abs(angle) > 2 * math.tau:
                    return self._ray(self.centres[k], path, [a[k] for a in angles])
        raise Undecided("an orbit without end")

    def _entry(self, end: int, way: int, old: complex, new: complex, at: Callable) -> complex | None:
        """The state in which a step crosses the rim of a trap or the border; None where it began inside."""
        if end == BORDER:

            def outside(h):
                return max(abs(h.real), abs(h.imag)) - BOX
        else:
            t = self.traps[way][end]

            def outside(h):
                return abs(t.coordinate(h)) - t.radius

        first, last = outside(old), outside(new)
        if first * last > 0:
            return None
        return at(brentq(lambda s: outside(at(s)) if 0 < s < 1 else (last if s else first), 0, 1, xtol=1e-12))

    def _ray(self, c: complex, path: list[complex], angles: list[float]) -> tuple[Ray, complex]:
        """A ray through the fastest state of the last turn at which the path crosses it once."""
        turn = 1 if angles[-1] > angles[0] else -1
        angle = turn * np.array(angles)
        last = np.flatnonzero(angle >= angle[-1] - 1.25 * math.tau)
        for k in sorted(last.tolist(), key=lambda k: -abs(self.f(path[k]))):
            if not angle[-1] - math.tau < angle[k] < angle[-1] - math.tau / 8:
                continue
            before, after = angle[last[0] : k], angle[k + 1 :]
            if before.max(initial=-math.inf) < angle[k] < after.min(initial=math.inf):
                return Ray(c, (path[k] - c) / abs(path[k] - c), turn), path[k]
        raise Undecided("no ray from the centre crosses the loop once")

    def turn(self, ray: Ray, u: float, way: int) -> float | None:
        """The first return to the ray from `u`; None where the orbit ends, or may, before."""
        armed = False
        for old, h, at in self.steps(ray.point(u), way):
            before, after = ray.side(old), ray.side(h)
            if armed and before < 0 <= after and ray.along(h) > 0:
                s = brentq(
                    lambda s, at=at, b=before, a=after: ray.side(at(s)) if 0 < s < 1 else (a if s else b),
                    0,
                    1,
                    xtol=1e-14,
                    rtol=1e-13,
                )
                return ray.along(at(s))
            armed = armed or after < 0
            if self.ended(h, way) is not None or self.at_rest(h):
                return None
        return None

    def _follow(self, ray: Ray, u: float, way: int) -> tuple[str, float]:
        """Iterate the return map from `u`: to a `cycle` at u, to a `point` whose trap holds u, or until the
        orbit of u `leaves`."""

        def drift(v: float) -> float | None:
            back = self.turn(ray, v, way)
            return None if back is None else back - v

        moved, slope, longest = drift(u), None, math.inf
        if moved is None:
            return "leaves", u
        for _ in range(600):
            if self.ended(ray.point(u), way) is not None:
                return "point", u
            if abs(moved) < 1e-10:
                return "cycle", self._root(drift, u - 1e-7, u + 1e-7)
            # a root that the displacements foretell is stepped over by its own distance, and so bracketed
            foretold = 2 * abs(moved / slope) if slope is not None and slope < 0 else math.inf
            reach = min(0.02, 0.1 * u, foretold, longest)
            natural = reach <= abs(moved)
            ahead = u + (moved if natural else math.copysign(reach, moved))
            there = drift(ahead)
            if there is None:
                if natural:
                    return "leaves", ahead
                longest = reach / 4
                continue
            if there * moved <= 0:
                return "cycle", self._root(drift, *sorted((u, ahead)))
            u, slope, moved, longest = ahead, (there - moved) / (ahead - u), there, 2 * longest
        raise Undecided(f"a return map creeps, by {moved} at {u}")

    def _root(self, drift: Callable, low: float, high: float) -> float:
        """The fixed point of a return map in a bracket, seen to attract from both sides."""
        ends = drift(low), drift(high)
        if None in ends or not ends[0] > 0 > ends[1]:
            raise Undecided(f"no attraction from both sides at a return to {low}: semi-stable or neutral")
        u = brentq(drift, low, high, xtol=1e-13, rtol=1e-12)
        here = drift(u)
        if here is None or abs(here) > 1e-8:
            raise Undecided(f"the return map jumps at {u}")
        # close to a saddle connection only the nearest neighbours return
        for beside in min(1e-4, 1e-3 * u) * 0.1 ** np.arange(4):
            left, right = drift(u - beside), drift(u + beside)
            if left is not None and right is not None:
                break
        else:
            raise Undecided(f"a cycle within {beside} of orbits that leave, at {u}: saddle connection")
        if not left > 1e-6 * beside or not right < -1e-6 * beside:
            raise Undecided(f"a cycle that hardly attracts, at {u}: semi-stable or neutral")
        return u

    def _loop(self, ray: Ray, u: float, way: int) -> int:
        """The index of the cycle through `u`, added to `loops` where it is new."""
        start = ray.point(u)
        for k, known in enumerate(self.loops):
            extent = np.ptp(known.polygon.real) + np.ptp(known.polygon.imag)
            if known.stable == (way > 0) and known.distance(start) < 2e-4 * extent:
                return k
        states, armed = [start], False
        for old, h, at in self.steps(start, way, 0.03):
            states += [at(s) for s in (0.25, 0.5, 0.75)] + [h]
            if armed and ray.side(old) < 0 <= ray.side(h) and ray.along(h) > 0:
                break
            armed = armed or ray.side(h) < 0
        while len(states) > 1 and ray.side(states[-1]) >= 0:
            states.pop()  # what lies beyond the start
        polygon = np.array(states)
        self.loops.append(Loop(polygon, way > 0, way * (1 if area(polygon) > 0 else -1), start))
        return len(self.loops) - 1

    def branches(self, i: int) -> list[tuple[complex, int]]:
        """Starts and directions of time of the four branches of saddle i, counterclockwise; 0, 2 unstable."""
        h = self.at[i]
        values, vectors = np.linalg.eig(np.reshape(self.gru.evaluator(math)(h.real, h.imag)[1], (2, 2)))
        out, back = (complex(*vectors[:, k].real) for k in (np.argmax(values.real), np.argmin(values.real)))
        if (out.conjugate() * back).imag < 0:
            back = -back
        ways = ((out, 1), (back, -1), (-out, 1), (-back, -1))
        return [(h + self.offset[i] * e / abs(e), way) for e, way in ways]
