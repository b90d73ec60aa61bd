"""What cycles go around: winding numbers of known curves, nesting, sense."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from gru_sweep.analysis.enclosures import Cyclic, Enclose, Enclosures
from gru_sweep.analysis.fixed_points import Planar
from gru_sweep.analysis.limit_cycles import LimitCycles
from gru_sweep.analysis.neighbourhoods import Neighbourhoods
from gru_sweep.analysis.states import run
from tests.pumped import solved, some_points

COUNT = 5


class Ellipses(eqx.Module):
    """x' = -a y, y' = b x: through (r, 0) an ellipse with half-axes r and r sqrt(b/a), of period
    2 pi/sqrt(a b), counterclockwise for a, b > 0."""

    a: Float[Array, ""]
    b: Float[Array, ""]

    def __call__(self, h: Float[Array, " 2"]) -> Float[Array, " 2"]:
        return jnp.stack([-self.a * h[1], self.b * h[0]])


def problem(a: float, b: float, radii: np.ndarray, points: np.ndarray, loops: float = 1.0) -> Cyclic:
    """Ellipses given as cycles, every other one as an unstable one, and any points as fixed points; the
    periods are wrong by the factor `loops`."""
    n = len(radii)
    padded = lambda v: jnp.asarray(np.pad(v, (0, 8 - n), constant_values=np.nan))  # noqa: E731
    zero, no = jnp.zeros(()), jnp.asarray(False)
    fixed = some_points(point=jnp.asarray(points))
    log = np.where(np.arange(n) % 2, 1.0, -1.0)
    cycles = LimitCycles(
        count=jnp.asarray(n),
        period=padded(np.full(n, loops * 2 * np.pi / np.sqrt(a * b))),
        period_error=jnp.zeros(8),
        log_multiplier=padded(log),
        stable=jnp.zeros(8, bool),
        point=jnp.stack([padded(radii), padded(np.zeros(n))], axis=1),
        lower=jnp.zeros((8, 2)),
        upper=jnp.zeros((8, 2)),
        complete=jnp.asarray(True),
        near_bifurcation=no,
        absence_proven=no,
        goal=jnp.zeros(64, jnp.int32),
    )
    near = Neighbourhoods(shape=jnp.zeros((3, 16)), size=jnp.zeros(16))
    box = 10.0 * jnp.ones(2)
    return Cyclic(Planar(Ellipses(zero + a, zero + b), -box, box), fixed, near, cycles)


@jax.jit
def enclosed(given: Cyclic) -> Enclosures:
    return run(Enclose(), given)


def scattered(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-3, 3, (16, 2))


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (4.0, 0.3), (0.2, 5.0), (-1.0, -2.5), (-300.0, -100.0)])
def test_winding_numbers_of_ellipses(a, b):
    """Whichever way a cycle is followed (unstable ones backwards), they are those of forward time."""
    radii, points = np.array([2.5, 0.3, 1.0, 2.0, 1.4]), scattered(int(abs(a)))
    size = points[:, :1] ** 2 + points[:, 1:] ** 2 * a / b
    # the polygon's chords cut a little off
    points = np.where((np.abs(size / radii**2 - 1) < 0.02).any(1, keepdims=True), 0.02, points)
    size = points[:, :1] ** 2 + points[:, 1:] ** 2 * a / b
    found = enclosed(problem(a, b, radii, points))
    assert found.ok
    inside = size < radii**2
    assert inside.any(0).sum() >= 3
    sense = int(np.sign(a))
    np.testing.assert_array_equal(found.winding[:16, :COUNT], sense * inside)
    np.testing.assert_array_equal(found.winding[:, COUNT:], 0)
    np.testing.assert_array_equal(found.sense, np.where(np.pad(inside.any(0), (0, 3)), sense, 0))
    bits = (inside * (1 << np.arange(16))[:, None]).sum(0)
    np.testing.assert_array_equal(found.fixed_points, np.pad(bits, (0, 3)))
    # 2.5 > 2 > 1.4 > 1 > 0.3
    np.testing.assert_array_equal(found.within, [-1, 2, 4, 0, 3, -1, -1, -1])


def test_sections_stand_on_the_cycles_across_the_flow():
    radii = np.array([2.0, 1.0])
    found = enclosed(problem(1.0, 1.0, radii, scattered(0)))
    x, y, nx, ny, low, high, length = np.asarray(found.section)
    np.testing.assert_allclose(x[:2], radii)
    np.testing.assert_allclose(y[:2], 0, atol=1e-15)
    np.testing.assert_allclose(nx[:2], 0, atol=1e-15)
    np.testing.assert_allclose(ny[:2], [1, -1])  # in the sense of time in which the cycle attracts
    assert (low[:2] < 0).all()
    assert (high[:2] > 0).all()
    np.testing.assert_allclose(length[:2], 1.0)
    assert np.isnan(np.asarray(found.section)[:, 2:]).all()


def test_points_next_to_a_cycle_are_told_apart():
    """Taylor steps are wide chords, but the polygon has corners enough."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False) + 0.1
    for size, expected in ((0.9, 1), (1.1, 0)):
        points = size * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        found = enclosed(problem(1.0, 1.0, np.array([1.0]), points))
        np.testing.assert_array_equal(found.winding[:16, 0], expected)


@pytest.mark.parametrize("turning", [1.0, -1.0])
def test_a_point_level_with_the_start_is_counted_once(turning):
    """The loop ends within rounding of its start, above or below it: the polygon is closed all the same."""
    points = np.stack([np.linspace(-1.6, 1.6, 16), np.zeros(16)], axis=1)
    radii = np.linspace(0.3, 1.5, 8)
    found = enclosed(problem(turning, 1.3 * turning, radii, points))
    np.testing.assert_array_equal(found.winding[:16], turning * (np.abs(points[:, :1]) < radii))


def test_a_loop_that_does_not_end_is_no_answer():
    given = problem(1.0, 1.0, np.array([1.0]), scattered(1), loops=1e5)
    assert not enclosed(given).ok


def test_nothing_is_followed_where_the_cycles_are_not_known():
    given = problem(1.0, 1.0, np.array([1.0]), scattered(1))
    unknown = eqx.tree_at(lambda p: p.cycles.complete, given, jnp.asarray(False))
    found = enclosed(unknown)
    assert not np.asarray(found.winding).any()
    assert np.isnan(found.section).all()
    none = eqx.tree_at(lambda p: p.cycles.count, given, jnp.asarray(0))
    assert enclosed(none).ok


ROWS = {
    # stable, sense, enclosed, around it: largest amplitude first
    "three annuli": [(1, -1, {0}, None), (0, -1, {0}, 0), (1, -1, {0}, 1)],
    "two annuli": [(1, -1, {0}, None), (0, -1, {0}, 0)],
    "a cycle in each well": [(1, -1, {0}, None), (1, -1, {2}, None)],
    "a cycle around a saddle": [(1, -1, {0, 1, 2}, None)],
    "a cycle around nine, one within": [(1, -1, set(range(9)), None), (1, 1, {4}, 0)],
    "four cycles": [(1, -1, {i}, None) for i in (0, 2, 6, 8)],
    "van der Pol, confined": [(1, -1, {0}, None)],
}


@pytest.mark.parametrize("name", ROWS)
def test_cycles_that_were_searched_for(name):
    """J grad H turns clockwise around a minimum, counterclockwise around a maximum."""
    one = solved(name)
    used = np.flatnonzero(one.cycle_stable >= 0)
    masks = one.cycle_encloses
    order = sorted(used, key=lambda k: (-one.cycle_amplitude[k].sum().round(6), masks[k]))
    found = []
    for k in order:
        inside = {i for i in range(16) if masks[k] >> i & 1}
        around = order.index(one.cycle_within[k]) if one.cycle_within[k] >= 0 else None
        found.append((int(one.cycle_stable[k]), int(one.cycle_sense[k]), inside, around))
    assert found == ROWS[name]
    empty = one.cycle_stable < 0
    assert (one.cycle_sense[empty] == 0).all()
    assert (masks[empty] == 0).all()
    assert (one.cycle_within[empty] == -1).all()
