"""Proven neighbourhoods: they attract, as promised, and there is none where there can be none."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gru_sweep.analysis.fixed_points import BranchAndPrune, FixedPoints, Planar
from gru_sweep.analysis.neighbourhoods import LARGEST, Certify, Located, Neighbourhoods, lyapunov
from gru_sweep.analysis.states import replace, run
from gru_sweep.records import Kind
from tests.pumped import Pumped, circles, pumped, quartet, wells

FIELDS: dict[str, Pumped] = {
    "linear node": pumped((1, 4), (0, 0), (), turning=0.3),
    "linear focus": pumped((1, 1), (0, 0), (), turning=5.0, strength=0.1),
    "nearly a centre": circles(1.0, turning=30.0, rate=-1.0),
    "two wells": wells(-0.3),
    "two sources and a saddle": wells(-0.1),
    "nine": quartet(turning=0.2),
    "nine, pumped": quartet(-0.1),
}


class Always(Certify):
    """The search where nobody asks for it, too."""

    def init(self, problem):
        return replace(super().init(problem), done=jnp.asarray(False))


@jax.jit
def _proven(planar: Planar) -> tuple[FixedPoints, Neighbourhoods]:
    fixed = run(BranchAndPrune(), planar)
    return fixed, run(Always(), Located(planar, fixed))


@jax.jit
def velocity(field: Pumped, h):
    return field(h)


@functools.cache
def proven(name: str) -> tuple[FixedPoints, Neighbourhoods]:
    """Fixed points in [-3, 3]^2 and their neighbourhoods."""
    corner = 3.0 * jnp.ones(2)
    return jax.tree.map(np.asarray, _proven(Planar(FIELDS[name], -corner, corner)))


@pytest.mark.parametrize("seed", range(20))
def test_the_lyapunov_equation(seed):
    """A^T P + P A = -I for stable A; for a source the same with -A."""
    a = np.random.default_rng(seed).normal(size=(2, 2))
    if np.linalg.det(a) < 0:
        a = a[::-1]
    stable = a if np.trace(a) < 0 else -a
    p11, p12, p22 = lyapunov(*map(jnp.asarray, a.ravel()))
    p = np.array([[p11, p12], [p12, p22]])
    np.testing.assert_allclose(stable.T @ p + p @ stable, -np.eye(2), atol=1e-12 * np.abs(p).max())
    assert (np.linalg.eigvalsh(p) > 0).all()


def ellipse(near: Neighbourhoods, i: int, parts: np.ndarray) -> np.ndarray:
    """Points on the edge of neighbourhood i, relative to its fixed point, (n, 2)."""
    p11, p12, p22 = near.shape[:, i]
    root = np.linalg.inv(np.linalg.cholesky(np.array([[p11, p12], [p12, p22]]))).T
    turn = 2 * np.pi * parts
    return np.sqrt(near.size[i]) * np.stack([np.cos(turn), np.sin(turn)], axis=1) @ root.T


@pytest.mark.parametrize("name", FIELDS)
def test_what_enters_ends_at_the_fixed_point(name):
    """e^T P e decreases along trajectories from the edge, which come to the fixed point (backwards:
    sources)."""
    fixed, near = proven(name)
    some = np.flatnonzero(near.size > 0)
    assert some.size
    for i in some:
        p11, p12, p22 = near.shape[:, i]
        way = 1.0 if fixed.kind[i] in (Kind.STABLE_NODE, Kind.STABLE_FOCUS) else -1.0
        rate = np.abs(fixed.eigenvalue[i, :, 0]).min()
        for e in ellipse(near, i, np.array([0.05, 0.4, 0.7])):
            path = solve_ivp(
                lambda _, h: way * np.asarray(velocity(FIELDS[name], h)),  # noqa: B023
                (0, 6 / rate),
                fixed.point[i] + e,
                rtol=1e-8,
                atol=1e-10,
                max_step=0.5 / rate,
            ).y
            x, y = path - fixed.point[i][:, None]
            size = p11 * x * x + 2 * p12 * x * y + p22 * y * y
            assert size[0] == pytest.approx(near.size[i])
            assert (np.diff(size) < 1e-7 * size[0]).all()
            assert size[-1] < 0.1 * size[0]


@pytest.mark.parametrize("name", FIELDS)
def test_every_sink_and_source_has_one_and_no_saddle(name):
    fixed, near = proven(name)
    kinds = fixed.kind
    wanted = (kinds >= Kind.STABLE_NODE) & (kinds <= Kind.UNSTABLE_FOCUS)
    assert wanted.sum() + (kinds == Kind.SADDLE).sum() == fixed.count
    np.testing.assert_array_equal(near.size > 0, wanted)


@pytest.mark.parametrize("name", ["linear node", "linear focus"])
def test_a_linear_sink_has_the_largest_there_is(name):
    """Its Jacobian is the same everywhere: the first box is proven, up to a part left for rounding."""
    _, near = proven(name)
    reach = np.abs(ellipse(near, 0, np.linspace(0, 1, 400))).max()
    assert reach == pytest.approx(LARGEST, rel=0.02)
    assert reach <= LARGEST


def test_neighbourhoods_are_disjoint_from_other_fixed_points_and_cycles():
    fixed, near = proven("nine, pumped")
    n = int(fixed.count)
    for h in fixed.point[:n]:
        inside = np.asarray(near.inside(*(h - fixed.point).T)) & (near.size > 0)
        np.testing.assert_array_equal(inside, (fixed.point == h).all(1) & (near.size > 0))
    # the inner cycle is where H = -0.1 around the maximum: x^4/4 - x^2/2 = -0.1 on the axis
    x = np.sqrt(1 - np.sqrt(1 - 0.4))
    middle = int(np.flatnonzero((np.abs(fixed.point) < 1e-9).all(1))[0])
    assert not near.inside(x - fixed.point[:, 0], 0.0 - fixed.point[:, 1])[middle]
    assert np.abs(ellipse(near, middle, np.linspace(0, 1, 400))).max() < x


def test_none_is_looked_for_where_nobody_asks():
    """Bendixson's criterion rules cycles out and there is no saddle: nothing is proven, at no cost."""
    corner = 3.0 * jnp.ones(2)
    planar = Planar(FIELDS["linear node"], -corner, corner)
    fixed = jax.tree.map(jnp.asarray, proven("linear node")[0])
    assert Certify().init(Located(planar, fixed)).done
    wells_fixed = jax.tree.map(jnp.asarray, proven("two wells")[0])
    assert not Certify(saddles=True).init(Located(Planar(wells(-0.3), -corner, corner), wells_fixed)).done
