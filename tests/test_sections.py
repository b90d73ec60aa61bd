"""Sections and return maps, against closed forms."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_sweep.analysis.arithmetic import trace
from gru_sweep.analysis.sections import Section, Trajectory, first_zero, section_at, travel, velocity
from tests.pumped import Pumped, circles, wells

TOLERANCE = 1e-12
STEPS = 16


@jax.jit
def returned(field: Pumped, section: Section, s, sense):
    """The first return from coordinate s: whether, where, its time, integrals and extent, and P'(s)."""
    closed = trace(field, (2,), dtype=s.dtype)
    start = Trajectory.start(section.at(s), sense, jnp.zeros((), jnp.int32), extent=True)

    def further(carry):
        p, _, _ = carry
        return travel(closed, p, section, TOLERANCE, STEPS, jnp.asarray(False))

    def under_way(carry):
        return ~carry[1] & (carry[0].steps < 4000)

    p, back, to = jax.lax.while_loop(under_way, further, (start, jnp.asarray(False), s))
    along = lambda at: section.through(velocity(closed, *section.at(at)))  # noqa: E731
    return back, to, p, along(s) / along(to) * jnp.exp(p.integral[0])


@jax.jit
def section(field: Pumped, x, y, sense) -> Section:
    return section_at(trace(field, (2,), dtype=x.dtype), x, y, sense)


def radius_after(r: float, t: float) -> tuple[float, float]:
    """r(t) of r' = r (1 - r^2)/2 from r, and its derivative by r."""
    e = math.exp(-t)
    q = r * r + (1 - r * r) * e
    return r / math.sqrt(q), e / q**1.5


FORWARDS = [(r, turning, 1.0) for r in (0.55, 0.95, 1.0, 1.3) for turning in (1.0, -2.5, 40.0)]
BACKWARDS = [(r, turning, -1.0) for r in (0.8, 1.0, 1.3) for turning in (40.0, -15.0)]


@pytest.mark.parametrize(("r", "turning", "sense"), FORWARDS + BACKWARDS)
def test_returns_of_stuart_landau(r, turning, sense):
    """Once around takes T = 2 pi/|turning|; r(T) and dr(T)/dr in closed form, in both senses of time."""
    period = 2 * math.pi / abs(turning)
    expected, slope = radius_after(r, sense * period)
    field = circles(1.0, turning=turning)
    one = jnp.asarray(1.0)
    on = section(field, one, one * 0, sense * one)
    side = float(on.at(jnp.asarray(1.0))[0] - 1.0)  # +-1: the coordinate runs outwards or inwards
    assert abs(side) == pytest.approx(1.0)
    back, to, p, found = returned(field, on, jnp.asarray((r - 1.0) / side), sense * one)
    assert back
    assert 1.0 + side * to == pytest.approx(expected, rel=1e-10)
    assert p.time == pytest.approx(period, rel=1e-10)
    assert found == pytest.approx(slope, rel=1e-8)


def test_integrals_and_extremes_on_the_way():
    """On the circle r = 1 the mean is 0 and the extremes are 1; div f = 1 - 2 r^2 = -1."""
    field, one = circles(1.0), jnp.asarray(1.0)
    _, _, p, _ = returned(field, section(field, one, 0 * one, one), 0 * one, one)
    divergence, x, y = p.integral
    assert divergence == pytest.approx(-2 * math.pi, rel=1e-10)
    assert (x, y) == (pytest.approx(0, abs=1e-10), pytest.approx(0, abs=1e-10))
    np.testing.assert_allclose(p.extent, [-1, 1, -1, 1], atol=1e-8)


@pytest.mark.parametrize("sense", [1.0, -1.0])
def test_the_flow_crosses_a_window_one_way(sense):
    """n.f > 0 all along it, and beyond its ends it soon is not."""
    field, rng = wells(0.3), np.random.default_rng(4)
    for x, y in rng.uniform(-1.5, 1.5, (20, 2)):
        on = section(field, jnp.asarray(x), jnp.asarray(y), jnp.asarray(sense))
        assert math.hypot(on.nx, on.ny) == pytest.approx(1)
        assert on.low <= 0 <= on.high
        assert on.length > 0
        points = [on.at(s) for s in np.linspace(on.low, on.high, 9)]
        through = [float(on.through(field(jnp.stack(h)))) * sense for h in points]
        assert min(through) > 0
        for s in (on.low, on.high):
            h = on.at(s)
            assert on.coordinate(*h) == pytest.approx(float(s), abs=1e-12)
            assert on.height(*h) == pytest.approx(0, abs=1e-12)


def test_a_trajectory_that_never_returns_is_followed_to_the_limit_only():
    """Into a sink: no return, and the coordinate is of no use."""
    field, one = circles(turning=0.0), jnp.asarray(1.0)
    on = section(field, one, 0 * one, one)
    back, _, p, _ = returned(field, on, 0 * one, one)
    assert not back
    assert abs(float(p.x)) < 1e-6


@pytest.mark.parametrize("seed", range(30))
def test_the_first_zero_of_a_polynomial(seed):
    """Where there is one sign change only: Newton's method in its bracket finds it."""
    rng = np.random.default_rng(seed)
    c = rng.normal(size=8)
    h = 1.0
    c[0] = -abs(c[0])
    c[1:] = np.abs(c[1:]) * (1 if seed % 3 else [1, 0, 0, 0, 0, 0, 3])
    c[1] += abs(c[0]) + 0.1  # reaches zero before h
    zero = float(first_zero([jnp.asarray(x) for x in c], jnp.asarray(h)))
    roots = np.roots(c[::-1])
    real = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
    assert zero == pytest.approx(real.min(), abs=1e-9)


def test_a_section_is_a_tree_of_numbers():
    field, one = circles(1.0), jnp.asarray(1.0)
    assert all(leaf.shape == () for leaf in jax.tree.leaves(section(field, one, one, one)))
    assert eqx.tree_equal(section(field, one, one, one), section(field, one, one, one))
