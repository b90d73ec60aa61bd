"""An independent reference for planar GRUs: scipy and numpy only, slow and trusted.

    dh/dt = (1 - z) o (tanh(U_h (r o h) + b_h) - h),  z = sigma(U_z h + b_z),  r = sigma(U_r h + b_r)

Fixed points by exclusion: [-1, 1]^2 is cut into cells, a cell is dropped where |f_i| at its centre exceeds
a Lipschitz bound, the others are cut again, Newton polishes what is left; the indices must add up to +1.

Cycles by probing in both directions of time: from every fixed point, from the corners of the box, from
both sides of every cycle found, until nothing new appears. A probe that winds around a fixed point is
handed to the return map of a ray from there, whose fixed points are solved, never waited for; so neither
a weak focus nor a slow passage decides anything. Integration is DOP853.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.integrate import DOP853
from scipy.optimize import brentq, root

RTOL, TIGHT = 1e-12, 1e-13
"""Relative tolerance of the search, and of the period that is reported; the absolute one is a tenth."""

LONGEST = 30_000.0
"""A probe that has neither settled, left nor wound twice around a point by then is given up (raises)."""

CORNERS = ((-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0))


@dataclass(frozen=True)
class PlanarGRU:
    """Weights (2, 2) and biases (2,); what is not given is zero."""

    U_h: np.ndarray
    U_r: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))
    U_z: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))
    b_h: np.ndarray = field(default_factory=lambda: np.zeros(2))
    b_r: np.ndarray = field(default_factory=lambda: np.zeros(2))
    b_z: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def evaluator(self, m: Any = np) -> Callable:
        """`at(x, y) -> f (2), Jacobian (4, by rows), residual tanh(..) - h (2)`; `m` is numpy or math."""
        a, b, c, d = map(float, np.ravel(self.U_h))
        ra, rb, rc, rd = map(float, np.ravel(self.U_r))
        za, zb, zc, zd = map(float, np.ravel(self.U_z))
        (h1, h2), (r1, r2), (z1, z2) = (tuple(map(float, v)) for v in (self.b_h, self.b_r, self.b_z))

        def at(x, y):
            p = 1 / (1 + m.exp(-(ra * x + rb * y + r1)))
            q = 1 / (1 + m.exp(-(rc * x + rd * y + r2)))
            v = 1 / (1 + m.exp(za * x + zb * y + z1))
            w = 1 / (1 + m.exp(zc * x + zd * y + z2))
            s, t = m.tanh(a * p * x + b * q * y + h1), m.tanh(c * p * x + d * q * y + h2)
            # The gated state g = r o h and its derivatives.
            dp, dq = x * p * (1 - p), y * q * (1 - q)
            gxx, gxy, gyx, gyy = p + dp * ra, dp * rb, dq * rc, q + dq * rd
            ds, dt = 1 - s * s, 1 - t * t
            e, f = s - x, t - y
            jac = (
                v * (ds * (a * gxx + b * gyx) - 1) - v * (1 - v) * e * za,
                v * ds * (a * gxy + b * gyy) - v * (1 - v) * e * zb,
                w * dt * (c * gxx + d * gyx) - w * (1 - w) * f * zc,
                w * (dt * (c * gxy + d * gyy) - 1) - w * (1 - w) * f * zd,
            )
            return (v * e, w * f), jac, (e, f)

        return at


@dataclass(frozen=True)
class FixedPoint:
    """A state where dh/dt = 0; `eigenvalues` of its Jacobian, 1/time; `kind`, say stable node or saddle."""

    h: tuple[float, float]
    eigenvalues: tuple[complex, complex]
    kind: str

    @property
    def saddle(self) -> bool:
        return self.kind == "saddle"

    def attracts(self, direction: int) -> bool:
        """Whether it attracts in forward (+1) or backward (-1) time."""
        return all(direction * e.real < 0 for e in self.eigenvalues)


@dataclass(frozen=True)
class Cycle:
    """A limit cycle, its bounds per unit; `error` is the relative change of the period between the
    tolerances RTOL and TIGHT."""

    period: float
    multiplier: float
    low: tuple[float, float]
    high: tuple[float, float]
    error: float

    @property
    def amplitude(self) -> tuple[float, float]:
        """Peak to peak, per unit."""
        return self.high[0] - self.low[0], self.high[1] - self.low[1]

    @property
    def frequency(self) -> float:
        return 1 / self.period

    @property
    def stable(self) -> bool:
        return self.multiplier < 1


@dataclass(frozen=True)
class Portrait:
    """All fixed points, by state, and all limit cycles found, by period."""

    fixed_points: tuple[FixedPoint, ...]
    cycles: tuple[Cycle, ...]

    @property
    def stable_cycles(self) -> tuple[Cycle, ...]:
        return tuple(c for c in self.cycles if c.stable)


def _eigenvalues(jac: tuple[float, float, float, float]) -> tuple[complex, complex]:
    """Of a 2 x 2 matrix by rows; a small real one without cancellation."""
    a, b, c, d = jac
    mean, disc = (a + d) / 2, ((a - d) / 2) ** 2 + b * c
    if disc < 0:
        return complex(mean, -math.sqrt(-disc)), complex(mean, math.sqrt(-disc))
    large = mean + math.copysign(math.sqrt(disc), mean)
    small = (a * d - b * c) / large if large else 0.0
    return tuple(sorted((complex(large), complex(small)), key=lambda e: e.real))


def _kind(e: tuple[complex, complex], jac: tuple[float, float, float, float]) -> str:
    a, b, c, d = jac
    det, trace = a * d - b * c, a + d
    # what rounding leaves of the determinant and of the trace decides nothing
    if abs(det) < 1e-13 * (abs(a * d) + abs(b * c)):
        return "degenerate"
    if det > 0 and abs(trace) < 2e-13 * max(abs(a), abs(d), abs(e[0])):
        return "degenerate"
    if e[0].imag == 0 and e[0].real * e[1].real < 0:
        return "saddle"
    return ("stable " if e[0].real < 0 else "unstable ") + ("focus" if e[0].imag else "node")


def fixed_points(gru: PlanarGRU, cells: int = 100, levels: int = 6) -> tuple[FixedPoint, ...]:
    """Every fixed point in [-1, 1]^2. Raises ArithmeticError where the indices do not add up to +1."""
    # the update gate moves no fixed point; a closed one only hides them from Newton's method
    at = replace(gru, U_z=np.zeros((2, 2)), b_z=np.zeros(2)).evaluator()
    h, r = np.abs(gru.U_h), np.abs(gru.U_r)
    # |h| <= 1 and sigma' <= 1/4 bound the gradient of U_h (r o h) + b_h in the maximum norm.
    steepest = (h + h @ r / 4).sum(1)

    def near_zero(residual, h, steepest, half):
        """Whether tanh(..) - h, at a cell's centre h, may vanish in the cell."""
        reached = np.arctanh(np.minimum(np.abs(residual + h), 1 - 1e-15)) - steepest * half
        slope = steepest * (1 - np.tanh(np.maximum(reached, 0)) ** 2) + 1
        return np.abs(residual) <= slope * half + 1e-14

    half = 1.0 / cells
    line = -1 + half * (2 * np.arange(cells) + 1)
    x, y = (v.ravel() for v in np.meshgrid(line, line))
    for level in range(levels):
        _, _, (e, f) = at(x, y)
        keep = near_zero(e, x, steepest[0], half) & near_zero(f, y, steepest[1], half)
        x, y = x[keep], y[keep]
        if level < levels - 1 and x.size < 200_000:
            half /= 4
            quarter = half * np.array([-3, -1, 1, 3])
            x = (x[:, None, None] + quarter[:, None]).repeat(4, 2).ravel()
            y = (y[:, None, None] + quarter).repeat(4, 1).ravel()
    for _ in range(60):
        (f, g), (a, b, c, d), _ = at(x, y)
        det = a * d - b * c
        det = np.where(np.abs(det) < 1e-300, 1e-300, det)
        x = x - np.clip((d * f - b * g) / det, -0.1, 0.1)
        y = y - np.clip((a * g - c * f) / det, -0.1, 0.1)
    _, _, (e, f) = at(x, y)
    good = (np.abs(e) + np.abs(f) < 1e-13) & (np.maximum(np.abs(x), np.abs(y)) <= 1 + 1e-14)
    found: list[FixedPoint] = []
    for px, py in sorted({(round(u, 14), round(v, 14)) for u, v in zip(x[good], y[good], strict=True)}):
        # Newton scatters a root by rounding / smallest eigenvalue: only near a fold more than 1e-8.
        if any(math.dist((px, py), p.h) < 1e-7 for p in found):
            continue
        _, jac, _ = gru.evaluator(math)(px, py)
        pair = _eigenvalues(jac)
        found.append(FixedPoint((float(px), float(py)), pair, _kind(pair, jac)))
    if (total := sum(-1 if p.saddle else 1 for p in found)) != 1:
        raise ArithmeticError(f"the indices of {len(found)} fixed points add up to {total}, not 1")
    return tuple(found)


@dataclass(frozen=True)
class _Ray:
    """The section c + u e, u > 0, crossed in the sense of rotation `turn` (+1 is anticlockwise)."""

    c: tuple[float, float]
    e: tuple[float, float]
    turn: int

    def point(self, u: float) -> tuple[float, float]:
        return self.c[0] + u * self.e[0], self.c[1] + u * self.e[1]

    def side(self, h) -> float:
        return self.turn * (self.e[0] * (h[1] - self.c[1]) - self.e[1] * (h[0] - self.c[0]))

    def along(self, h) -> float:
        return self.e[0] * (h[0] - self.c[0]) + self.e[1] * (h[1] - self.c[1])


@dataclass(frozen=True)
class _Return:
    """Where and when a trajectory came back to its ray, the divergence integrated along it, its bounds."""

    u: float
    time: float
    divergence: float
    low: tuple[float, float]
    high: tuple[float, float]


class Flow:
    """Trajectories of one GRU, its fixed points known; `direction` is +1 forward, -1 backward in time."""

    def __init__(self, gru: PlanarGRU, points: tuple[FixedPoint, ...]):
        self.at, self.points = gru.evaluator(math), points

    def solver(self, state, direction: int, rtol: float, until: float = LONGEST) -> DOP853:
        """From `state` (x, y, integral of the divergence along the way)."""

        def rhs(_, state):
            (f, g), (a, _b, _c, d), _e = self.at(state[0], state[1])
            return direction * f, direction * g, direction * (a + d)

        return DOP853(rhs, 0.0, np.asarray(state, float), until, rtol=rtol, atol=rtol / 10)

    def ended(self, h, direction: int) -> bool:
        """Settled on a fixed point, or left the box (which only happens backward)."""
        if max(abs(h[0]), abs(h[1])) > 1 + 1e-9:
            return True
        near = (p for p in self.points if p.attracts(direction))
        return any(max(abs(h[0] - p.h[0]), abs(h[1] - p.h[1])) < 1e-6 for p in near)

    def probe(self, h, direction: int) -> tuple[_Ray, float] | None:
        """Follow `h` until it ends (None) or has wound twice around a fixed point: the ray through the
        fastest state of the last turn that crosses it once, and that state's place on it."""
        solver = self.solver((*h, 0.0), direction, 1e-9)
        centres = [p.h for p in self.points if not p.saddle]
        path, angles = [tuple(h)], [[math.atan2(h[1] - c[1], h[0] - c[0]) for c in centres]]
        while solver.status == "running":
            solver.step()
            h = solver.y[0], solver.y[1]
            if self.ended(h, direction):
                return None
            now = [math.atan2(h[1] - c[1], h[0] - c[0]) for c in centres]
            angles.append(
                [o + (n - o + math.pi) % math.tau - math.pi for n, o in zip(now, angles[-1], strict=True)]
            )
            path.append(h)
            for k, c in enumerate(centres):
                if abs(angles[-1][k] - angles[0][k]) > 2 * math.tau:
                    return self._ray(c, np.array(path), np.array([a[k] for a in angles]))
        if min(math.dist(h, p.h) for p in self.points) < 1e-3:
            return None  # at rest on a saddle, by symmetry
        raise ArithmeticError(f"a probe has not decided by t = {LONGEST}: at {h}")

    def _ray(self, c, path: np.ndarray, angle: np.ndarray) -> tuple[_Ray, float]:
        turn = int(np.sign(angle[-1] - angle[0]))
        angle = turn * angle
        last = np.flatnonzero(angle >= angle[-1] - 1.25 * math.tau)
        speed = [math.hypot(*self.at(*h)[0]) for h in path[last]]
        for k in last[np.argsort(speed)[::-1]]:
            if angle[k] <= angle[-1] - math.tau or angle[k] >= angle[-1] - math.tau / 8:
                continue
            before, after = angle[last[0] : k], angle[k + 1 :]
            if before.max(initial=-math.inf) < angle[k] < after.min(initial=math.inf):
                break
        else:
            raise ArithmeticError("no ray from the centre crosses the loop once")
        u = math.dist(path[k], c)
        return _Ray(c, tuple((path[k] - c) / u), turn), u

    def turn(self, ray: _Ray, u: float, direction: int, rtol: float = RTOL) -> _Return | None:
        """The first return to the ray from `u`; None where the trajectory ends first."""
        solver, armed = self.solver((*ray.point(u), 0.0), direction, rtol), False
        low = high = np.array(ray.point(u))
        while solver.status == "running":
            start, before = solver.t, solver.y
            solver.step()
            armed = armed or ray.side(solver.y) < 0
            crossed = armed and ray.side(before) < 0 <= ray.side(solver.y) and ray.along(solver.y) > 0
            dense = solver.dense_output()
            end = solver.t
            if crossed:
                end = brentq(lambda t, d=dense: ray.side(d(t)), start, end, xtol=1e-13)
            for state in (dense(end)[:2], *self._extremes(dense, start, end)):
                low, high = np.minimum(low, state), np.maximum(high, state)
            if crossed:
                state = before
                for _ in range(2):
                    # The interpolant is of lower order than the method: the last step is the method's.
                    state = self.advance(before, end - start, direction, rtol)
                    velocity, _, _ = self.at(state[0], state[1])
                    end -= ray.side(state) / (direction * ray.side(np.add(ray.c, velocity)))
                bounds = tuple(low.tolist()), tuple(high.tolist())
                return _Return(float(ray.along(state)), float(end), float(state[2]), *bounds)
            if self.ended(solver.y, direction):
                return None
        return None

    def _extremes(self, dense: Callable, start: float, end: float) -> list[np.ndarray]:
        """States within one step where a unit turns round (at most once per unit in a step)."""

        def velocity(t: float, i: int) -> float:
            return self.at(*dense(t)[:2])[0][i]

        turning = (i for i in (0, 1) if velocity(start, i) * velocity(end, i) < 0)
        return [dense(brentq(velocity, start, end, args=(i,)))[:2] for i in turning]

    def advance(self, state: np.ndarray, time: float, direction: int, rtol: float) -> np.ndarray:
        """The state after `time`."""
        solver = self.solver(state, direction, rtol, time)
        while solver.status == "running" and time > 0:
            solver.step()
        return solver.y

    def follow(self, ray: _Ray, u: float, direction: int) -> float | None:
        """The fixed point of the return map that the orbit of `u` tends to, or None where it leaves."""

        def drift(v: float) -> float | None:
            back = self.turn(ray, v, direction)
            return None if back is None else back.u - v

        moved = drift(u)
        if moved is None:
            return None
        sign, stride = math.copysign(1.0, moved), min(0.4 * u, 0.05)
        while u > 1e-6 and stride > 1e-10:
            ahead = u + sign * min(stride, 0.4 * u, 0.05)
            there = drift(ahead)
            if there is None:
                stride /= 4
            elif sign * there > 0:
                u, stride = ahead, 1.5 * stride
            else:
                return brentq(drift, *sorted((u, ahead)), xtol=1e-13, rtol=1e-13)
        return None

    def cycle(self, ray: _Ray, u: float, direction: int, coarse: _Return) -> Cycle:
        """The cycle through `u`, solved anew at the tighter tolerance; `coarse` is the turn at the other."""
        for _ in range(4):
            back = self.turn(ray, u, direction, TIGHT)
            slope = math.exp(back.divergence)  # the derivative of the return map at its fixed point
            u += (back.u - u) / (1 - slope)
        fine = self.turn(ray, u, direction, TIGHT)
        return Cycle(
            period=fine.time,
            multiplier=math.exp(direction * fine.divergence),
            low=fine.low,
            high=fine.high,
            error=abs(coarse.time / fine.time - 1),
        )


def _beside(gru: PlanarGRU, p: FixedPoint, direction: int) -> list[tuple[float, float]]:
    """Starts 1e-5 from a fixed point, where the flow in this direction of time leaves it."""
    _, jac, _ = gru.evaluator(math)(*p.h)
    values, vectors = np.linalg.eig(np.reshape(jac, (2, 2)))
    leaving = [v.real for e, v in zip(values, vectors.T, strict=True) if direction * e.real > 0]
    return [(p.h[0] + s * v[0], p.h[1] + s * v[1]) for v in leaving for s in (1e-5, -1e-5)]


def portrait(gru: PlanarGRU) -> Portrait:
    """All fixed points and limit cycles of a planar GRU (nothing degenerate: see `fixed_points`)."""
    points = fixed_points(gru)
    flow, cycles = Flow(gru, points), []
    queue: list[tuple[tuple[float, float], int]] = [(corner, 1) for corner in CORNERS]
    for p in points:
        queue += [(start, way) for way in (1, -1) for start in _beside(gru, p, way)]

    def known(turn: _Return) -> bool:
        bounds = [*turn.low, *turn.high]
        return any(np.allclose(bounds, [*c.low, *c.high], rtol=0, atol=1e-6) for c in cycles)

    while queue:
        start, direction = queue.pop(0)
        wound = flow.probe(start, direction)
        turn = wound and flow.turn(*wound, direction)
        if not turn or known(turn) or (u := flow.follow(*wound, direction)) is None:
            continue
        ray, turn = wound[0], flow.turn(wound[0], u, direction)
        if not known(turn):
            cycles.append(flow.cycle(ray, u, direction, turn))
            queue += [(ray.point(u * (1 + side)), way) for side in (0.01, -0.01) for way in (1, -1)]
    return Portrait(points, tuple(sorted(cycles, key=lambda c: c.period)))


def hopf(
    alpha: float, beta: float, s: float = 0.0, br1: float | None = None, br2: float | None = None
) -> PlanarGRU:
    """Eq 8: U_h = beta R(alpha), b_r = (br1, br2), each s where it is not given."""
    c, d = beta * math.cos(alpha), beta * math.sin(alpha)
    biases = [s if b is None else b for b in (br1, br2)]
    return PlanarGRU(U_h=np.array([[c, -d], [d, c]]), b_r=np.array(biases))


def homoclinic(gamma: float) -> PlanarGRU:
    """Eq 9: U_h = 3 R(-pi/20), b_h = (0.32, gamma)."""
    c, d = 3 * math.cos(math.pi / 20), 3 * math.sin(math.pi / 20)
    return PlanarGRU(U_h=np.array([[c, d], [-d, c]]), b_h=np.array([0.32, gamma]))


FAMILIES = {"hopf": hopf, "homoclinic": homoclinic}


def hopf_angle(beta: float, s: float) -> float:
    """The angle at which the origin of Eq 8 changes stability: cos(alpha) = 1 / (beta sigma(s))."""
    return math.acos((1 + math.exp(-s)) / beta)


def snic_angle(beta: float, s: float) -> float:
    """The angle at which Eq 8 goes from nine fixed points to one: bisection on their number, then the fold
    (dh/dt = 0 and det J = 0) solved in (x, y, alpha)."""
    low, high = 1e-3, hopf_angle(beta, s)
    while high - low > 1e-4:
        middle = (low + high) / 2
        if len(fixed_points(hopf(middle, beta, s))) > 1:
            low = middle
        else:
            high = middle
    points = fixed_points(hopf(low, beta, s))
    saddle = next(p.h for p in points if p.saddle)
    node = min((p.h for p in points if p.kind == "stable node"), key=lambda h: math.dist(h, saddle))

    def fold(v):
        (f, g), (a, b, c, d), _ = hopf(v[2], beta, s).evaluator(math)(v[0], v[1])
        return f, g, a * d - b * c

    found = root(fold, [*np.add(saddle, node) / 2, low], tol=1e-14)
    if abs(found.x[2] - low) > 2e-4 or max(map(abs, fold(found.x))) > 1e-12:
        raise ArithmeticError(f"no fold near alpha = {low} at beta = {beta}, s = {s}: {found.message}")
    return float(found.x[2])
