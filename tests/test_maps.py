"""Networks as maps: fixed points under both readings, attractors and slowness, against closed answers."""

from __future__ import annotations

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jaxtyping import Array, Float

from gru_sweep.records import InputError
from gru_sweep.systems.cells import GRU
from gru_sweep.training import birkhoff
from gru_sweep.training.attractors import KEPT, Attractors, attractors
from gru_sweep.training.clouds import nearly_repeats, same_curve, same_set
from gru_sweep.training.curves import MISFIT
from gru_sweep.training.fixed import MapKind, fixed_points, map_kind
from gru_sweep.training.maps import Discrete, discrete, in_cube, stack
from gru_sweep.training.rotation import rotation
from gru_sweep.training.slowness import slowness

GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
ORIGIN = np.zeros((1, 2))


class Linear(eqx.Module):
    """h -> A h."""

    matrix: Float[Array, "d d"]

    def __call__(self, h):
        return self.matrix @ h


class Logistic(eqx.Module):
    """x -> r x (1 - x), a line; counts how often it is traced."""

    r: Float[Array, ""]
    traced: ClassVar[list[int]] = []

    def __call__(self, h):
        self.traced.append(1)
        return self.r * h * (1.0 - h)


class Henon(eqx.Module):
    """(x, y) -> (1 - a x^2 + y, b x) (Henon 1976)."""

    a: Float[Array, ""]
    b: Float[Array, ""]

    def __call__(self, h):
        return jnp.stack([1.0 - self.a * h[0] ** 2 + h[1], self.b * h[0]])


class Circle(eqx.Module):
    """Arnold's map of the angle in turns, t -> t + omega - k sin(2 pi t) / (2 pi); the radius falls to 1."""

    omega: Float[Array, ""]
    k: Float[Array, ""]

    def __call__(self, h):
        radius = jnp.linalg.norm(h)
        angle = jnp.atan2(h[1], h[0]) + 2 * jnp.pi * self.omega - self.k * h[1] / radius
        return (1.0 + 0.3 * (radius - 1.0)) * jnp.stack([jnp.cos(angle), jnp.sin(angle)])


class Delayed(eqx.Module):
    """The delayed logistic map (x, y) -> (a x (1 - y), x): Neimark-Sacker at a = 2, where it turns by 1/6."""

    a: Float[Array, ""]

    def __call__(self, h):
        return jnp.stack([self.a * h[0] * (1.0 - h[1]), h[0]])


def number(x: float) -> Array:
    return jnp.asarray(x, float)


def turn(angle: float, size: float = 1.0) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return size * np.array([[c, -s], [s, c]])


def draw(d: int, seed: int, scale: float = 3.0) -> GRU:
    """A random GRU, all of whose parts but the inputs are there."""
    rng = np.random.default_rng(seed)
    matrix = lambda s: rng.normal(scale=s / math.sqrt(d), size=(d, d))  # noqa: E731
    bias = lambda: rng.normal(scale=0.5, size=d)  # noqa: E731
    return GRU(U_h=matrix(scale), U_r=matrix(1.0), U_z=matrix(1.0), b_r=bias(), b_h=bias(), b_z=bias())


def only(found: Attractors) -> dict:
    """The single attractor's numbers by name."""
    assert found.count == 1
    assert found.share[0] == 1.0
    return {name: value[0] for name, value in vars(found).items()}


# averages


def test_the_weighted_average_of_a_rotation_converges_faster_than_any_power():
    wave = lambda n: np.exp(np.sin(2 * np.pi * GOLDEN * np.arange(n)))  # noqa: E731
    exact = np.i0(1.0)
    error = [abs(birkhoff.weights(n) @ wave(n) - exact) for n in (100, 400, 1600)]
    plain = abs(np.mean(wave(1600)) - exact)
    assert error[2] < 1e-13 < plain / 1e6
    # a power of n would gain as much from 100 to 400 as from 400 to 1600
    assert error[0] / error[1] > 4**4
    value, bound = birkhoff.average(wave(1600))
    assert abs(value - exact) <= bound < 1e-9


def test_the_error_of_a_scattered_series_is_a_standard_error():
    noise = np.random.default_rng(0).normal(size=(200, 4096))
    value, error = np.array([birkhoff.average(row) for row in noise]).T
    # independent numbers: the variance of the weighted sum is the sum of the squared weights
    spread = math.sqrt(np.sum(birkhoff.weights(4096) ** 2))
    assert np.std(value) == pytest.approx(spread, rel=0.2)
    assert 0.7 < np.median(error) / spread < 2.0
    assert np.mean(np.abs(value) <= 3 * error) > 0.97


# rotation


@pytest.mark.parametrize("turns", [GOLDEN, -GOLDEN, 0.01 * math.sqrt(2.0), 0.5 - GOLDEN / 100])
def test_a_rigid_rotation_turns_by_its_angle(turns):
    angle = 2 * np.pi * turns * np.arange(4096)
    points = np.stack([3.0 + np.cos(angle), 1.0 + np.sin(angle)], axis=1)
    found = rotation(points, np.array([[9.0, 9.0], [3.2, 0.7]]))
    assert (found.centre == [3.2, 0.7]).all()
    assert abs((found.turns - turns + 0.5) % 1.0 - 0.5) <= max(found.error, 1e-12)
    assert found.error < 1e-6
    exact = rotation(points, np.array([[3.0, 1.0]]))
    assert abs((exact.turns - turns + 0.5) % 1.0 - 0.5) < 1e-12


def test_nothing_turns_about_a_centre_outside_the_orbit():
    angle = 2 * np.pi * GOLDEN / 20 * np.arange(2048)
    arc = 2.0 * np.pi * 0.35 * np.sin(angle)  # a crescent: the centre is in its convex hull, not inside it
    radius = 1.0 + 0.1 * np.cos(angle)
    crescent = np.stack([radius * np.cos(arc), radius * np.sin(arc)], axis=1)
    assert np.isnan(rotation(crescent, ORIGIN).turns)
    assert np.isnan(rotation(crescent, np.array([[5.0, 0.0]])).turns)


# sets


def test_orbits_are_compared_as_sets():
    angle = 2 * np.pi * GOLDEN * np.arange(600)
    ring = lambda r, shift: r * np.stack([np.cos(angle + shift), np.sin(angle + shift)], axis=1)  # noqa: E731
    assert same_set(ring(1.0, 0.0), ring(1.0, 0.3))
    assert not same_set(ring(1.0, 0.0), ring(0.9, 0.0))
    assert not same_set(ring(1.0, 0.0), ring(1.0, 0.0)[:1].repeat(600, axis=0))


def test_curves_are_compared_between_their_states_too():
    # fifty arcs of a tenth of the circle each: an orbit near a resonance has not filled its curve
    k = np.arange(2000)
    turns = lambda shift: (k // 40 + shift + k % 40 / 400) / 50  # noqa: E731
    ring = lambda r, shift: r * np.exp(2j * np.pi * turns(shift))[:, None].view(float)  # noqa: E731
    assert same_curve(ring(1.0, 0.0), ring(1.0, 0.5))
    assert not same_curve(ring(1.0, 0.0), ring(0.95, 0.5))


def test_the_least_period_is_found_and_has_to_last():
    k = np.arange(200)
    period = lambda q: np.cos(2 * np.pi * (k % q) / q + 0.1)  # noqa: E731
    broken = np.where(k < 190, period(5), 0.5)
    tails = np.stack([period(1), period(2), period(7), broken, np.cos(k * GOLDEN)])[:, :, None]
    assert nearly_repeats(tails, 1e-9, 64).tolist() == [1, 2, 7, 0, 0]


# attractors of known maps


def test_logistic_maps_settle_on_what_is_known():
    r = (4.0, 3.2, 2.5, 1.0 + math.sqrt(6.0), 3.83)
    found = attractors([Logistic(number(x)) for x in r], np.linspace(0.11, 0.87, 7)[:, None])
    chaos, two, one, _, three = map(only, (*found[:3], found[2], found[4]))
    assert chaos["kind"] == "chaotic"
    assert abs(chaos["exponent"] - math.log(2.0)) <= 3 * chaos["exponent_error"] < 0.02
    assert (two["kind"], two["period"]) == ("periodic", 2)
    # the multiplier of the 2-cycle is 4 + 2 r - r^2
    assert two["multiplier"][0] == pytest.approx(4 + 2 * 3.2 - 3.2**2, abs=1e-12)
    assert two["exponent"] == pytest.approx(math.log(abs(4 + 2 * 3.2 - 3.2**2)) / 2, abs=1e-12)
    assert (one["kind"], one["period"]) == ("fixed", 1)
    assert one["orbit"] == pytest.approx(np.array([[0.6]]), abs=1e-14)
    assert three["period"] == 3
    # at r = 1 + sqrt 6 the 2-cycle bifurcates: it is approached more slowly than any exponential
    assert only(found[3])["kind"] == "unresolved"


def test_many_maps_are_one_program_and_arguments_of_it():
    grid = np.linspace(0.11, 0.87, 7)[:, None]
    attractors([Logistic(number(x)) for x in (3.9, 3.3, 2.6, 3.5, 3.84)], grid)
    before = len(Logistic.traced)
    others = attractors([Logistic(number(x)) for x in (3.95, 3.25, 2.7, 3.52, 3.845)], grid, seed=1)
    assert [x.kind[0] for x in others] == ["chaotic", "periodic", "fixed", "periodic", "periodic"]
    # `fits` looks at the shape of what a map returns; no program is traced
    assert len(Logistic.traced) - before <= 1


def test_henon_has_a_chaotic_attractor_and_starts_that_escape():
    starts = np.array([[0.0, 0.0], [0.1, 0.1], [5.0, 5.0]])
    (found,) = attractors([Henon(number(1.4), number(0.3))], starts, steps=65_536)
    assert found.kind.tolist() == ["chaotic", "unresolved"]
    assert found.member.tolist() == [0, 0, 1]
    assert abs(found.exponent[0] - 0.4192) <= 3 * found.exponent_error[0] < 0.02
    assert np.isnan(found.exponent[1])
    assert (len(found.orbit[0]), len(found.orbit[1])) == (KEPT, 0)


def test_a_circle_map_turns_irrationally_outside_tongues_and_rationally_inside():
    omega_k = ((GOLDEN, 0.0), (0.2, 0.7), (0.5, 0.3), (0.348, 0.9), (0.05, 0.5))
    maps = [Circle(number(o), number(k)) for o, k in omega_k]
    rigid, curve, half, third, rest = map(only, attractors(maps, in_cube(6, 2, 0), centres=[ORIGIN] * 5))
    assert rigid["kind"] == curve["kind"] == "closed curve"
    assert abs(rigid["rotation"] - (GOLDEN - 1.0)) < 1e-12
    # 0.16981... is near 9/53: the orbit has filled fifty-three arcs, and the Fourier series gives the rest
    # the rotation number as it is defined: the lifted angle of the circle map, over a million steps
    t, n = 0.0, 1_000_000
    for _ in range(n):
        t += 0.2 - 0.7 * math.sin(2 * math.pi * t) / (2 * math.pi)
    assert abs(curve["rotation"] - t / n) < 1.5 / n
    assert abs(curve["exponent"]) <= max(curve["exponent_error"], 1e-12) < 1e-6
    assert np.linalg.norm(curve["orbit"], axis=1) == pytest.approx(1.0, abs=2 * MISFIT)
    # in order along the curve: an angle that goes around once
    around = np.diff(np.unwrap(np.arctan2(*curve["orbit"].T[::-1])))
    assert (around > 0).all() or (around < 0).all()
    assert 1.9 * np.pi < abs(around.sum()) < 2 * np.pi
    assert (half["kind"], half["period"]) == ("periodic", 2)
    assert (third["kind"], third["period"]) == ("periodic", 3)
    assert third["rotation"] == pytest.approx(1.0 / 3.0, abs=1e-14)
    # within the tongue of 0 there are two fixed points: sin(2 pi t) = 2 pi omega / k
    assert (rest["kind"], rest["period"]) == ("fixed", 1)
    assert rest["orbit"][0][1] == pytest.approx(2 * np.pi * 0.05 / 0.5, abs=1e-12)


def test_the_delayed_logistic_map_turns_by_a_sixth_where_its_curve_is_born():
    a = (1.98, 2.005, 2.1)
    maps = [Delayed(number(x)) for x in a]
    centres = [np.full((1, 2), 1.0 - 1.0 / x) for x in a]
    before, small, large = map(only, attractors(maps, in_cube(5, 2, 1) * 0.02 + 0.5, centres=centres))
    assert before["kind"] == "fixed"
    # multipliers solve mu^2 - mu + a - 1 = 0
    assert before["exponent"] == pytest.approx(0.5 * math.log(0.98), abs=1e-12)
    assert small["kind"] == large["kind"] == "closed curve"
    assert abs(small["rotation"] - 1.0 / 6.0) < 1e-3 < abs(large["rotation"] - 1.0 / 6.0)
    assert large["rotation_error"] < 1e-10
    width = np.ptp(small["orbit"][:, 0])
    chord = np.linalg.norm(np.diff(small["orbit"], axis=0), axis=1)
    assert chord.max() < 0.05 * width  # in order along the curve


def test_an_orbit_that_almost_repeats_while_it_falls_is_fixed():
    # turns by a seventh and shrinks by 1e-4: after 7 steps it is nearly where it was
    (found,) = attractors([Linear(jnp.asarray(turn(2 * np.pi / 7, 1 - 1e-4)))], in_cube(4, 2, 0) / 100)
    one = only(found)
    assert (one["kind"], one["period"]) == ("fixed", 1)
    assert one["exponent"] == pytest.approx(math.log(1 - 1e-4), abs=1e-12)


def test_a_slow_spiral_is_no_closed_curve():
    step = turn(2 * np.pi * GOLDEN / 4, 1 - 2e-6)
    one = only(attractors([Linear(jnp.asarray(step))], in_cube(4, 2, 0)[:1])[0])
    assert one["kind"] == "unresolved"
    assert one["exponent"] == pytest.approx(math.log(1 - 2e-6), abs=1e-10)


def test_turns_are_counted_in_the_plane_given():
    matrix = np.zeros((3, 3))
    matrix[2, 2] = 0.5
    matrix[:2, :2] = turn(2 * np.pi * GOLDEN / 4)
    # a principal plane has no orientation of its own: either sense counts as positive
    starts = np.array([[0.5, 0.0, 0.2], [0.0, 0.4, 0.2], [-0.3, -0.1, 0.1], [0.1, -0.2, 0.0]])
    (circles,) = attractors([Linear(jnp.asarray(matrix))], starts)
    assert circles.rotation == pytest.approx(np.full(4, GOLDEN / 4), abs=1e-12)
    mirror = [[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]]
    (found,) = attractors([Linear(jnp.asarray(matrix))], np.array([[0.5, 0.0, 0.2]]), plane=mirror)
    assert only(found)["rotation"] == pytest.approx(-GOLDEN / 4, abs=1e-12)
    # a torus of two frequencies has the exponent of a curve and is none
    torus = np.zeros((4, 4))
    torus[:2, :2], torus[2:, 2:] = turn(1.0), turn(math.sqrt(2.0))
    (found,) = attractors([Linear(jnp.asarray(torus))], np.array([[0.5, 0.0, 0.3, 0.0]]))
    assert only(found)["kind"] == "unresolved"


# fixed points of GRUs


@pytest.mark.parametrize("d", [2, 8])
def test_multipliers_are_those_of_the_step(d):
    cell = draw(d, 4)
    found = fixed_points(cell)
    assert found.count >= 1
    assert found.certified == (d <= 6)
    assert found.residual.max() < 1e-12
    assert np.abs(found.h).max() <= 1.0
    for h, multiplier, eigenvalue in zip(found.h, found.multiplier, found.eigenvalue):
        step = lambda x: np.asarray(cell.step(jnp.asarray(x)))  # noqa: E731
        slope = np.stack([(step(h + e) - step(h - e)) / 2e-5 for e in 1e-5 * np.eye(d)], axis=1)
        other = np.linalg.eigvals(slope)
        assert np.abs(multiplier[:, None] - other).min(axis=1).max() < 1e-8
        assert np.abs(multiplier[:, None] - other).min(axis=0).max() < 1e-8
        assert (multiplier == 1.0 + eigenvalue).all()
    sure = found.n_unstable_map >= 0
    assert (found.n_unstable_map == (np.abs(found.multiplier) > 1).sum(axis=1))[sure].all()
    assert (found.n_unstable == (found.eigenvalue.real > 0).sum(axis=1))[found.n_unstable >= 0].all()


def test_a_flip_is_stable_in_the_flow_and_unstable_in_the_map():
    # z = r = 1/2: lambda = (u / 2 - 1) / 2 at 0, and mu = 1/2 + u / 4
    found = fixed_points(GRU(U_h=np.array([[-8.0]])))
    assert found.certified
    assert (found.kind.tolist(), found.kind_map.tolist()) == (["stable node"], ["unstable flip node"])
    assert found.multiplier == pytest.approx(np.array([[-1.5]]), abs=1e-14)
    assert (found.n_unstable.tolist(), found.n_unstable_map.tolist()) == ([0], [1])
    assert found.time_constant == pytest.approx([0.4], abs=1e-14)
    assert found.time_constant_map == pytest.approx([1 / math.log(1.5)], abs=1e-13)
    (reached,) = attractors(discrete([GRU(U_h=np.array([[-8.0]]))]), in_cube(6, 1, 0))
    one = only(reached)
    # the orbit +x, -x with -x = x / 2 - tanh(4 x) / 2
    x = scipy.optimize.brentq(lambda x: 3 * x - math.tanh(4 * x), 0.1, 1.0, xtol=1e-15)
    assert (one["kind"], one["period"]) == ("periodic", 2)
    assert np.sort(one["orbit"][:, 0]) == pytest.approx([-x, x], abs=1e-14)
    assert one["multiplier"][0] == pytest.approx((0.5 - 2.0 / math.cosh(4 * x) ** 2) ** 2, abs=1e-13)


def test_where_a_multiplier_is_minus_one_nothing_is_claimed():
    found = fixed_points(GRU(U_h=np.array([[-6.0]])))
    assert (found.kind.tolist(), found.kind_map.tolist()) == (["stable node"], ["degenerate"])
    assert (found.n_unstable.tolist(), found.n_unstable_map.tolist()) == ([0], [-1])


def test_the_hopf_example_has_a_cycle_in_the_map_too_and_there_first():
    """Eq 8: lambda = (beta e^{i alpha} / 2 - 1) / 2 at 0, so mu = 1/2 + beta e^{i alpha} / 4."""
    none, zero = np.zeros((2, 2)), np.zeros(2)  # as good as missing, and the programs of `draw` serve
    gates = {"U_z": none, "U_r": none, "b_z": zero, "b_r": zero, "b_h": zero}
    cells = [GRU(U_h=turn(alpha, 3.0), **gates) for alpha in (0.5, 1.2, 2.0)]
    found = [fixed_points(cell) for cell in cells]
    for one, alpha in zip(found, (0.5, 1.2, 2.0)):
        assert one.certified
        assert one.multiplier[0, 0] == pytest.approx(0.5 + 0.75 * np.exp(1j * alpha), abs=1e-13)
    # at alpha = 1.2 the flow's focus is stable, |mu| > 1: Euler's step makes a cycle of its own
    assert [one.kind[0] for one in found] == ["unstable focus", "stable focus", "stable focus"]
    assert [one.kind_map[0] for one in found] == ["unstable focus", "unstable focus", "stable focus"]
    # the last start is the fixed point itself, which repels in two of them: it reaches no attractor
    starts = np.concatenate([in_cube(15, 2, 0), ORIGIN])
    reached = attractors(discrete(cells), starts, centres=[f.h for f in found])
    assert [x.kind.tolist() for x in reached] == [["closed curve", "unresolved"]] * 2 + [["fixed"]]
    assert reached[0].share.tolist() == [15 / 16, 1 / 16]
    cycle, rest = ({name: value[0] for name, value in vars(x).items()} for x in reached[::2])
    # no preferred direction but what tanh's axes make: near the linear angle of turn
    assert abs(cycle["rotation"] - np.angle(0.5 + 0.75 * np.exp(0.5j)) / (2 * np.pi)) < 0.02
    assert rest["exponent"] == pytest.approx(math.log(abs(0.5 + 0.75 * np.exp(2.0j))), abs=1e-12)


def test_kinds_of_maps_by_their_multipliers():
    kind = lambda *mu: map_kind(np.array(mu, complex), np.full(len(mu), 1e-9))  # noqa: E731
    assert kind(0.5, 0.2) is MapKind.STABLE_NODE
    assert kind(0.5, -0.2) is MapKind.STABLE_FLIP_NODE
    assert kind(0.5 + 0.1j, 0.5 - 0.1j) is MapKind.STABLE_FOCUS
    assert kind(1.5, 1.2) is MapKind.UNSTABLE_NODE
    assert kind(1.5, -1.2) is MapKind.UNSTABLE_FLIP_NODE
    assert kind(1.0 + 0.1j, 1.0 - 0.1j) is MapKind.UNSTABLE_FOCUS
    assert kind(1.5, -0.2) is MapKind.SADDLE
    assert kind(-1.5, 0.2) is MapKind.FLIP_SADDLE
    assert kind(1.0 + 1e-10, 0.2) is MapKind.DEGENERATE


def test_starts_end_at_the_stable_fixed_points_of_the_map():
    cells = [draw(2, seed, 5.0) for seed in (0, 2, 3)]
    several = 0
    for cell, reached in zip(cells, attractors(discrete(cells), in_cube(16, 2, 0))):
        found = fixed_points(cell)
        sinks = found.h[found.n_unstable_map == 0]
        ends = [o[0] for o, k in zip(reached.orbit, reached.kind) if k == "fixed"]
        assert all(np.abs(sinks - h).max(axis=1).min() < 1e-9 for h in ends)
        assert reached.share.sum() == pytest.approx(1.0)
        assert (np.bincount(reached.member) / 16 == reached.share).all()
        several += len(ends) > 1
    assert several


# slowness


def test_the_slow_set_of_a_linear_map_is_its_slow_axis():
    x = np.linspace(-1.0, 1.0, 401)
    starts = np.stack([x, np.cos(40 * x)], axis=1)
    fall, after = 0.99, 29
    (found,) = slowness([Linear(jnp.diag(jnp.array([fall, 0.3])))], starts, steps=after, distances=(0.1, 0.9))
    half = fall**after
    assert np.abs(found.axis) == pytest.approx([1.0, 0.0], abs=1e-12)
    assert (found.pieces, found.explained) == (1, pytest.approx(1.0, abs=1e-12))
    assert found.thickness < 1e-12
    assert found.span == pytest.approx(2 * half, rel=1e-12)
    assert found.drift == pytest.approx(0.01 * half, rel=1e-9)
    assert found.time_constant == pytest.approx(100 / half, rel=1e-9)
    assert found.crossing == pytest.approx(200.0, rel=1e-9)
    # |x| < 0.1 is slower than 1e-3: the whole bins of that
    width = 2 * half / 64
    assert 0.2 - 3 * width <= found.length[2] <= 0.2
    assert found.length[1] == pytest.approx(2 * half - width, rel=0.01)
    assert (np.diff(found.length) <= 0).all()
    # from x it is 0.1 away after ln(1 - 0.1 / x) / ln(fall) steps, from less than 0.1 never
    here = np.abs(found.position)
    far = here > 0.1001
    steps = np.ceil(np.log(1 - 0.1 / here[far]) / math.log(fall))
    assert (np.abs(found.stay[0][far] - steps) <= 1).all()
    assert (found.stay[0][here < 0.0999] == found.horizon).all()
    assert (found.stay[1] == found.horizon).all()


def test_two_separate_points_are_no_slow_line():
    cell = GRU(U_h=np.array([[8.0]]))  # bistable
    (found,) = slowness(discrete([cell]), in_cube(64, 1, 0), steps=400)
    assert found.pieces == 2
    assert found.span < 1e-9
    assert found.length.max() < 1e-9


# bad input


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("starts", {"starts": np.zeros(2)}),
        ("starts", {"starts": np.full((3, 2), np.nan)}),
        ("starts", {"starts": np.zeros((3, 5))}),
        ("steps", {"steps": 10}),
        ("transient", {"transient": -1}),
        ("seed", {"seed": -1}),
        ("centres", {"centres": []}),
        ("plane", {"plane": [np.zeros((3, 2))]}),
        ("maps", {"maps": []}),
    ],
)
def test_bad_arguments_are_named_before_any_work(argument, options):
    given = {"maps": discrete([draw(2, 0)]), "starts": np.zeros((3, 2)), **options}
    with pytest.raises(InputError, match=f"^{argument}: expected"):
        attractors(given.pop("maps"), given.pop("starts"), **given)


def test_bad_arguments_of_the_others_too():
    one = discrete([draw(2, 0)])
    for argument, call in (
        ("steps", lambda: slowness(one, np.zeros((3, 2)), steps=-1)),
        ("horizon", lambda: slowness(one, np.zeros((3, 2)), horizon=0)),
        ("thresholds", lambda: slowness(one, np.zeros((3, 2)), thresholds=[])),
        ("distances", lambda: slowness(one, np.zeros((3, 2)), distances=[-1.0])),
        ("points", lambda: slowness(one, np.zeros((0, 2)))),
        ("maps", lambda: stack([*one, *discrete([draw(3, 0)])])),
        ("maps", lambda: stack([*one, Discrete(GRU(U_h=np.eye(2)))])),
        ("seed", lambda: fixed_points(draw(2, 0), seed=-1)),
        ("count", lambda: in_cube(0, 2, 0)),
    ):
        with pytest.raises(InputError, match=f"^{argument}: expected"):
            call()


def test_single_precision_is_refused_and_single_cells_are_converted():
    cell = jax.tree.map(lambda x: x.astype(jnp.float32), draw(2, 0))
    assert discrete([cell])[0].cell.U_h.dtype == jnp.float64
    with jax.enable_x64(False), pytest.raises(InputError, match=r"^jax_enable_x64: expected"):
        discrete([cell])
