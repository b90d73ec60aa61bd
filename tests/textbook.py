"""Planar vector fields whose fixed points and cycles are known in closed form, solved together.

All are polynomials of two forms, so that two compiled programs solve them all: a `Case` is a field, a box
and the answer. With q = x^2 + y^2 the field r' = r g(q), theta' = omega, that is

    x' = x g(q) - omega y,   y' = y g(q) + omega x,

has a cycle at every root of g, of period T = 2 pi/omega and log multiplier 2 q g'(q) T.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gru_sweep.analysis import oscillation
from gru_sweep.analysis.fixed_points import FixedPoints, Planar
from gru_sweep.analysis.limit_cycles import LimitCycles
from gru_sweep.analysis.oscillation import Oscillation
from gru_sweep.records import Kind
from gru_sweep.sweeps import lanes

SN, SF, UN, UF, SADDLE, DEGENERATE = list(Kind)[1:]

MONOMIALS = ("1", "x", "y", "xx", "xy", "yy", "xxx", "xxy")
"""Columns of `Cubic.coefficients`."""


class Cubic(eqx.Module):
    """f_i(h) = sum_k coefficients[i, k] MONOMIALS[k](h)."""

    coefficients: Float[Array, "2 8"]

    def __call__(self, h: Float[Array, " 2"]) -> Float[Array, " 2"]:
        x, y = h
        xx = x * x
        return self.coefficients @ jnp.array([jnp.ones_like(x), x, y, xx, x * y, y * y, x * xx, y * xx])


class Radial(eqx.Module):
    """r' = r g(r^2), theta' = turning[0] + turning[1] r sin theta; g's coefficients from the constant up."""

    g: Float[Array, " 5"]
    turning: Float[Array, " 2"]

    def __call__(self, h: Float[Array, " 2"]) -> Float[Array, " 2"]:
        x, y = h
        q, growth = x * x + y * y, self.g[4]
        for k in (3, 2, 1, 0):
            growth = self.g[k] + growth * q
        omega = self.turning[0] + self.turning[1] * y
        return jnp.array([growth * x - omega * y, growth * y + omega * x])


@dataclasses.dataclass(frozen=True)
class Cycle:
    """What is known of a cycle; `amplitude` is peak to peak, per unit."""

    period: float
    log_multiplier: float | None = None
    amplitude: tuple[float, float] | None = None
    stable: bool = True


@dataclasses.dataclass(frozen=True)
class Case:
    """A field in a box, and its answer.

    `points`: (h, eigenvalues, kind) in lexicographic order. `decided` is False where `ok` would be wrong,
    whatever the counts: degenerate points, cycles that are not isolated or not hyperbolic. `hard` is True
    where an answer may be left open, but must not be wrong.
    """

    field: Cubic | Radial
    points: tuple[tuple[tuple[float, float], tuple[complex, complex], Kind], ...]
    cycles: tuple[Cycle, ...] = ()
    decided: bool = True
    hard: bool = False
    lower: tuple[float, float] = (-2.0, -2.0)
    upper: tuple[float, float] = (2.0, 2.0)

    def times(self, rate: float) -> Case:
        """The field times `rate`: periods are divided by |rate|, and stability changes with its sign."""
        swap = {SN: UN, SF: UF, UN: SN, UF: SF} if rate < 0 else {}
        points = tuple(
            (h, tuple(sorted((rate * e for e in both), key=_order)), swap.get(kind, kind))
            for h, both, kind in self.points
        )
        sign = math.copysign(1, rate)
        cycles = tuple(
            dataclasses.replace(
                c,
                period=c.period / abs(rate),
                log_multiplier=None if c.log_multiplier is None else sign * c.log_multiplier,
                stable=c.stable == (rate > 0),
            )
            for c in self.cycles
        )
        field = jax.tree.map(lambda c: rate * c, self.field)
        return dataclasses.replace(self, field=field, points=points, cycles=cycles)


def _order(eigenvalue: complex) -> tuple[float, float]:
    return -eigenvalue.real, -eigenvalue.imag


def _pair(trace: float, determinant: float) -> tuple[complex, complex]:
    """The eigenvalues of a 2 x 2 matrix, larger real (then imaginary) part first."""
    root = complex(trace * trace / 4 - determinant) ** 0.5
    first, second = sorted((trace / 2 + root, trace / 2 - root), key=_order)
    return first, second


def _cubic(x: dict[str, float], y: dict[str, float]) -> Cubic:
    return Cubic(np.array([[row.get(name, 0.0) for name in MONOMIALS] for row in (x, y)]))


def linear(a: float, b: float, c: float, d: float, kind: Kind) -> Case:
    """h' = [[a, b], [c, d]] h: one fixed point, no cycle."""
    point = ((0.0, 0.0), _pair(a + d, a * d - b * c), kind)
    return Case(_cubic({"x": a, "y": b}, {"x": c, "y": d}), (point,), decided=kind != DEGENERATE)


def fold(mu: float) -> Case:
    """x' = mu - x^2, y' = -y: node sqrt(mu) and saddle -sqrt(mu) for mu > 0, nothing for mu < 0."""
    field = _cubic({"1": mu, "xx": -1.0}, {"y": -1.0})
    if mu == 0:
        return Case(field, (((0.0, 0.0), (0j, -1 + 0j), DEGENERATE),), decided=False)
    if mu < 0:
        return Case(field, ())
    root = math.sqrt(mu)
    node = ((root, 0.0), _pair(-1 - 2 * root, 2 * root), SN)
    return Case(field, (((-root, 0.0), _pair(2 * root - 1, -2 * root), SADDLE), node))


def pitchfork(mu: float) -> Case:
    """x' = mu x - x^3, y' = -y: a node at 0, which for mu > 0 is a saddle between nodes at +-sqrt(mu)."""
    field = _cubic({"x": mu, "xxx": -1.0}, {"y": -1.0})
    origin = ((0.0, 0.0), _pair(mu - 1, -mu), SN if mu < 0 else SADDLE)
    if mu < 0:
        return Case(field, (origin,))
    root, both = math.sqrt(mu), _pair(-2 * mu - 1, 2 * mu)
    return Case(field, (((-root, 0.0), both, SN), origin, ((root, 0.0), both, SN)))


def double_well(damping: float) -> Case:
    """x' = y, y' = x - x^3 - damping y: a saddle between two sinks, and no cycle (div f = -damping).

    Without damping every orbit but the saddle's homoclinic pair is one of a continuum of cycles.
    """
    field = _cubic({"y": 1.0}, {"x": 1.0, "xxx": -1.0, "y": -damping})
    well = _pair(-damping, 2.0)
    sink = DEGENERATE if damping == 0 else SF if well[0].imag else SN
    points = (
        ((-1.0, 0.0), well, sink),
        ((0.0, 0.0), _pair(-damping, -1.0), SADDLE),
        ((1.0, 0.0), well, sink),
    )
    return Case(field, points, decided=damping != 0)


def radial(g: Sequence[float], roots: Sequence[float], omega: float = 1.0, decided: bool = True) -> Case:
    """r' = r g(r^2), theta' = omega; g's coefficients from the constant up, its simple roots."""
    field = Radial(np.pad(np.asarray(g, float), (0, 5 - len(g))), np.array([omega, 0.0]))
    slope = np.polynomial.Polynomial(g).deriv()
    period = 2 * math.pi / abs(omega)
    cycles = []
    for q in roots:
        log_multiplier = float(2 * q * slope(q) * period)
        cycles.append(Cycle(period, log_multiplier, (2 * math.sqrt(q),) * 2, log_multiplier < 0))
    kind = DEGENERATE if g[0] == 0 else SF if g[0] < 0 else UF
    origin = ((0.0, 0.0), _pair(2 * g[0], g[0] ** 2 + omega**2), kind)
    return Case(field, (origin,), tuple(cycles), decided)


def stuart_landau(mu: float, omega: float = 1.0) -> Case:
    """r' = r (mu - r^2): for mu > 0 radius sqrt(mu), period 2 pi/omega, log multiplier -4 pi mu/omega."""
    return radial([mu, -1.0], [mu] if mu > 0 else [], omega, decided=mu != 0)


def subcritical(mu: float, omega: float = 1.0) -> Case:
    """r' = mu r + r^3 - r^5: cycles where r^2 = (1 +- sqrt(1 + 4 mu))/2.

    For mu in (-1/4, 0) an unstable one inside a stable one; at mu = -1/4 both meet, below there is none.
    """
    root = math.sqrt(max(1 + 4 * mu, 0.0))
    roots = [q for q in ((1 - root) / 2, (1 + root) / 2) if q > 0] if 4 * mu > -1 else []
    return radial([mu, 1.0, -1.0], roots, omega, decided=4 * mu != -1)


def annuli(*radii: float, omega: float = 1.0) -> Case:
    """r' = -r prod_i (r^2 - radii_i^2): concentric cycles, the largest stable, the others in turn."""
    roots = [r * r for r in radii]
    g = -np.polynomial.Polynomial.fromroots(roots).coef
    return radial(g.tolist(), roots, omega)


def snic(omega: float) -> Case:
    """r' = r (1 - r^2), theta' = omega - r sin theta, so omega - sin theta on the unit circle.

    omega > 1: a cycle of period T = 2 pi/sqrt(omega^2 - 1) and log multiplier -2 T. omega < 1: a saddle and a
    node on the circle instead, where sin theta = omega. The origin is an unstable focus of either.
    """
    field = Radial(np.array([1.0, -1.0, 0.0, 0.0, 0.0]), np.array([omega, -1.0]))
    origin = ((0.0, 0.0), _pair(2.0, 1 + omega**2), UF)
    if omega > 1:
        period = 2 * math.pi / math.sqrt((omega - 1) * (omega + 1))
        return Case(field, (origin,), (Cycle(period, -2 * period, (2.0, 2.0)),))
    x = math.sqrt(1 - omega**2)
    saddle, node = ((-x, omega), _pair(x - 2, -2 * x), SADDLE), ((x, omega), _pair(-x - 2, 2 * x), SN)
    return Case(field, (saddle, origin, node))


def van_der_pol(mu: float, period: float) -> Case:
    """x' = y, y' = mu (1 - x^2) y - x: one stable cycle, its period from the literature."""
    origin = ((0.0, 0.0), _pair(mu, 1.0), UF if mu < 2 else UN)
    field = _cubic({"y": 1.0}, {"y": mu, "xxy": -mu, "x": -1.0})
    return Case(field, (origin,), (Cycle(period),), lower=(-3.0, -2.5 - 2 * mu), upper=(3.0, 2.5 + 2 * mu))


def lotka_volterra() -> Case:
    """x' = x (1 - y), y' = y (x - 1): a saddle at 0, and cycles all around the centre (1, 1)."""
    points = (((0.0, 0.0), (1 + 0j, -1 + 0j), SADDLE), ((1.0, 1.0), (1j, -1j), DEGENERATE))
    return Case(
        _cubic({"x": 1.0, "xy": -1.0}, {"y": -1.0, "xy": 1.0}),
        points,
        decided=False,
        lower=(-0.5, -0.5),
        upper=(3.0, 3.0),
    )


TEXTBOOK: dict[str, Case] = {
    "stable node": linear(-1.0, 0.5, 0.3, -2.0, SN),
    "star": linear(-1.0, 0.0, 0.0, -1.0, SN),
    "improper node": linear(0.5, 1.0, 0.0, 0.5, UN),
    "stable focus": linear(-0.1, 2.0, -1.0, -0.1, SF),
    "unstable node": linear(3.0, 1.0, 0.5, 1.0, UN),
    "unstable focus": linear(0.2, 1.0, -1.0, 0.1, UF),
    "saddle": linear(1.0, 2.0, 0.5, -1.0, SADDLE),
    "centre": linear(0.0, 1.0, -1.0, 0.0, DEGENERATE),
    "line of fixed points": linear(0.0, 0.0, 0.0, -1.0, DEGENERATE),
    "fold, before": fold(-1e-4),
    "fold": fold(0.0),
    "fold, after": fold(1e-4),
    "pitchfork, before": pitchfork(-0.01),
    "pitchfork, after": pitchfork(0.04),
    "double well": double_well(0.3),
    "double well, overdamped": double_well(4.0),
    "double well, conservative": double_well(0.0),
    "Lotka-Volterra": lotka_volterra(),
    "Hopf, before": stuart_landau(-1e-3),
    "Hopf": stuart_landau(0.0),
    "Hopf, just after": stuart_landau(1e-4),
    "Stuart-Landau": stuart_landau(1.0, 2.5),
    "Stuart-Landau, clockwise": stuart_landau(0.3, -0.7),
    "Stuart-Landau, slow": stuart_landau(0.5, 1.0).times(0.01),
    "Stuart-Landau, fast": stuart_landau(0.5, 1.0).times(100.0),
    "subcritical, no cycle": subcritical(-0.26),
    "fold of cycles": subcritical(-0.25),
    "subcritical, after the fold": subcritical(-0.2499),
    "subcritical": subcritical(-0.1, 3.0),
    "subcritical, past Hopf": subcritical(0.05),
    "two annuli": annuli(0.5, 1.5),
    "three annuli": annuli(0.4, 0.9, 1.3),
    "four annuli": annuli(0.3, 0.7, 1.1, 1.5, omega=-2.0),
    "SNIC": snic(1.5),
    "SNIC, period 140": snic(1.001),
    "SNIC, period 4443": snic(1.000001),
    "SNIC, period 8886": snic(1.00000025),
    "SNIC, period 14050, longer than is looked for": dataclasses.replace(snic(1.0000001), decided=False),
    "SNIC, on the other side": snic(0.999),
    "van der Pol": van_der_pol(1.0, 6.66328686593231),
    "van der Pol, relaxation": van_der_pol(5.0, 11.612230667),
}
HARD = {
    "fold of cycles, nearly": subcritical(-0.25 + 1e-8),
    "fold of cycles, just not": subcritical(-0.25 - 1e-8),
    "four annuli, close": annuli(0.4, 0.8, 1.0, 1.2),
    "three annuli, clockwise and reversed": annuli(0.4, 0.9, 1.3, omega=-1.0).times(-1.0),
}
TEXTBOOK |= {name: dataclasses.replace(case, hard=True) for name, case in HARD.items()}
REVERSED = (
    "pitchfork, after",
    "Stuart-Landau",
    "subcritical",
    "three annuli",
    "SNIC, period 140",
    "van der Pol",
)
TEXTBOOK |= {f"{name}, reversed": TEXTBOOK[name].times(-1.0) for name in REVERSED}


@dataclasses.dataclass(frozen=True)
class Solved:
    """What the program says of one case; the fields are NumPy arrays."""

    fixed: FixedPoints
    cycles: LimitCycles
    record: Oscillation


def complete(solver: Any, problem: Any) -> Any:
    """The record of one problem."""
    state = jax.lax.while_loop(lambda s: ~s.done, lambda s: solver.advance(problem, s), solver.init(problem))
    return solver.finish(problem, state)


def solve(problems: Planar) -> list[Solved]:
    """All stages for a batch of problems (axis last)."""
    stages, platform = oscillation.Stages(), jax.default_backend()
    batch, found = problems, []
    for solver, link in zip(stages.solvers, [*stages.links, None]):
        options = lanes.OPTIONS.get(platform, {}) | getattr(solver, "compiler_options", {}).get(platform, {})
        one = functools.partial(complete, solver)
        batched = jax.vmap(one, in_axes=-1, out_axes=-1)
        found.append(jax.jit(batched, compiler_options=options)(batch))  # as a sweep compiles it
        if link is not None:
            batch = link(batch, found[-1])
    record = jax.vmap(stages.record, in_axes=-1, out_axes=-1)(batch, found[-1])
    chosen = jax.tree.map(np.asarray, (found[0], found[-1], record))
    count = record.status.shape[-1]
    return [Solved(*jax.tree.map(lambda x: x[..., i], chosen)) for i in range(count)]  # noqa: B023


def stacked(cases: Sequence[Case], dtype: Any = np.float64) -> Planar:
    """The problems of some cases, batch axis last."""
    problems = [Planar(c.field, jnp.array(c.lower), jnp.array(c.upper)) for c in cases]
    leaves, structure = zip(*(jax.tree.flatten(p) for p in problems))
    return jax.tree.unflatten(structure[0], [jnp.asarray(np.stack(x, -1), dtype) for x in zip(*leaves)])


@functools.cache
def textbook() -> dict[str, Solved]:
    """Every case of `TEXTBOOK`, solved: one batch of `Cubic` and one of `Radial` fields."""
    solved = {}
    for kind in (Cubic, Radial):
        names = [name for name, case in TEXTBOOK.items() if isinstance(case.field, kind)]
        solved |= dict(zip(names, solve(stacked([TEXTBOOK[name] for name in names]))))
    return solved
