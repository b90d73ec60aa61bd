"""Normal form coefficients against exact normal forms in turned coordinates, and formulas of another kind."""

from __future__ import annotations

import math
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from gru_sweep.analysis.bifurcations import normal_forms

MONOMIALS = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3))
"""Powers of x and y."""


class Cubic(eqx.Module):
    """M f(M^-1 h), f_i = sum_k coefficients[i, k] x^m y^n: a cubic field in other linear coordinates."""

    coefficients: Float[Array, "2 9"]
    change: Float[Array, "2 2"]

    def __call__(self, h: Float[Array, " 2"]) -> Float[Array, " 2"]:
        x, y = jnp.linalg.solve(self.change, h)
        terms = jnp.stack([x**m * y**n for m, n in MONOMIALS])
        return self.change @ (self.coefficients @ terms)


def cubic(rows: tuple[dict[tuple[int, int], float], ...], change: np.ndarray | None = None) -> Cubic:
    table = [[row.get(powers, 0.0) for powers in MONOMIALS] for row in rows]
    return Cubic(jnp.asarray(table), jnp.eye(2) if change is None else jnp.asarray(change))


def stuart_landau(growth: float, omega: float, twist: float) -> tuple[dict[tuple[int, int], float], ...]:
    """z' = i omega z + (growth + i twist) z |z|^2."""
    x = {(0, 1): -omega, (3, 0): growth, (1, 2): growth, (2, 1): -twist, (0, 3): -twist}
    y = {(1, 0): omega, (2, 1): growth, (0, 3): growth, (3, 0): twist, (1, 2): twist}
    return x, y


def changes(count: int) -> list[np.ndarray]:
    return [np.random.default_rng(seed).normal(size=(2, 2)) for seed in range(count)]


@eqx.filter_jit
def at_zero(form, field):
    return form(field, jnp.zeros(2))


def lyapunov(field) -> float:
    return float(at_zero(normal_forms.first_lyapunov_coefficient, field))


@eqx.filter_jit
def derivatives(field) -> tuple[Array, Array, Array]:
    """The first three at 0."""
    slope, zero = jax.jacfwd(field), jnp.zeros(2)
    return slope(zero), jax.jacfwd(slope)(zero), jax.jacfwd(jax.jacfwd(slope))(zero)


def by_projection(field: Cubic) -> float:
    """l1 by projection on the critical eigenvector (Kuznetsov 2004, sec 5.4), in complex NumPy."""
    a, bb, cc = map(np.asarray, derivatives(field))
    values, vectors = np.linalg.eig(a)
    q = vectors[:, np.argmax(values.imag)]
    values_t, vectors_t = np.linalg.eig(a.T)
    p = vectors_t[:, np.argmin(values_t.imag)]
    p = p / np.vdot(p, q).conj()
    omega = values.imag.max()
    b = lambda u, v: np.einsum("ijk,j,k->i", bb, u, v)  # noqa: E731
    third = np.einsum("ijkl,j,k,l->i", cc, q, q, q.conj())
    slow = b(q, np.linalg.solve(a, b(q, q.conj())))
    fast = b(q.conj(), np.linalg.solve(2j * omega * np.eye(2) - a, b(q, q)))
    return float((np.vdot(p, third - 2 * slow + fast)).real / (2 * omega))


@pytest.mark.parametrize("omega", [0.5, -2.0])
@pytest.mark.parametrize("growth", [-1.5, 0.7])
def test_stuart_landau_has_its_own_coefficient(growth, omega):
    assert lyapunov(cubic(stuart_landau(growth, omega, 0.9))) == pytest.approx(
        2 * growth / abs(omega), rel=1e-13
    )


@pytest.mark.parametrize("change", changes(4))
def test_linear_coordinates_change_the_size_of_l1_and_not_its_sign(change):
    # |h|^2 averaged over the orbit is the square of the critical eigenvector's length, twice over
    for growth in (-1.5, 0.7):
        value = lyapunov(cubic(stuart_landau(growth, 1.3, -0.4), change))
        assert value == pytest.approx(2 * growth / 1.3 * 2 / np.sum(change**2), rel=1e-11)


def test_l1_vanishes_where_only_the_frequency_depends_on_the_amplitude():
    assert abs(lyapunov(cubic(stuart_landau(0.0, 1.3, 2.0), changes(1)[0]))) < 1e-14


def test_l1_of_random_fields_is_that_of_the_projection_on_the_critical_eigenvector():
    rng = np.random.default_rng(7)
    for _ in range(12):
        table = rng.normal(size=(2, 9))
        trace_free = np.array([[0.0, -1.0], [1.0, 0.0]]) * rng.uniform(0.2, 3.0)
        table[:, :2] = trace_free
        field = Cubic(jnp.asarray(table), jnp.asarray(rng.normal(size=(2, 2))))
        assert lyapunov(field) == pytest.approx(by_projection(field), rel=1e-10)


def test_l1_is_not_a_number_at_a_neutral_saddle():
    assert math.isnan(lyapunov(cubic(({(1, 0): 1.0, (3, 0): 1.0}, {(0, 1): -1.0}))))


def van_der_pol(h: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """At its Hopf point, x'' - (mu - x^2) x' + x = 0 with mu = 0: the radius obeys r' = -r^3/8."""
    x, y = h
    return jnp.stack([y, -x - x * x * y])


def test_van_der_pol_is_supercritical():
    assert lyapunov(van_der_pol) == pytest.approx(-0.25, rel=1e-13)


def fitzhugh_nagumo(slope: float, rate: float, h: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """v' = v - v^3/3 - w + I, w' = rate (v + a - slope w) from its Hopf point, where v^2 = 1 - rate slope."""
    v0 = math.sqrt(1 - rate * slope)
    u, w = h
    return jnp.stack([(1 - v0 * v0) * u - v0 * u * u - u**3 / 3 - w, rate * (u - slope * w)])


@pytest.mark.parametrize("slope", [0.3, 0.51, 0.52, 0.8])
def test_fitzhugh_nagumo_is_subcritical_where_the_slow_nullcline_is_flat(slope):
    rate = 0.08
    # by hand: k has the sign of 2 slope - rate slope^2 - 1
    value = lyapunov(partial(fitzhugh_nagumo, slope, rate))
    assert value * (2 * slope - rate * slope**2 - 1) > 0


@pytest.mark.parametrize("change", [np.eye(2), *changes(2)])
def test_a_fold_has_its_quadratic_coefficient(change):
    # on the centre manifold y = O(x^2), so that the coupling x y does not count
    form = at_zero(
        normal_forms.fold_form, cubic(({(2, 0): 0.8, (1, 1): 3.0}, {(0, 1): -2.0, (2, 0): 1.0}), change)
    )
    size = np.linalg.norm(change[:, 0])
    assert abs(float(form.bend / form.angle)) == pytest.approx(0.8 / size, rel=1e-12)
    assert float(form.trace) == pytest.approx(-2.0, rel=1e-12)
    np.testing.assert_allclose(abs(np.asarray(form.null) @ change[:, 0]), size, rtol=1e-12)


@pytest.mark.parametrize("change", [np.eye(2), *changes(2)])
@pytest.mark.parametrize("coupling", [0.0, 3.0])
def test_a_cusp_has_its_cubic_coefficient(change, coupling):
    # on the centre manifold y = x^2 / 2, so that x' = (-1 + coupling / 2) x^3
    field = cubic(({(3, 0): -1.0, (1, 1): coupling}, {(0, 1): -2.0, (2, 0): 1.0}), change)
    form = at_zero(normal_forms.fold_form, field)
    assert abs(float(form.bend / form.angle)) < 1e-13
    expected = (coupling / 2 - 1.0) / np.sum(change[:, 0] ** 2)
    assert float(at_zero(normal_forms.cusp_coefficient, field)) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("change", [np.eye(2), *changes(2)])
def test_a_bogdanov_takens_point_has_its_two_coefficients(change):
    field = cubic(({(0, 1): 1.0}, {(2, 0): 0.5, (1, 1): -1.5}), change)
    a, b = map(float, at_zero(normal_forms.bogdanov_takens_coefficients, field))
    size = np.linalg.norm(change[:, 0])
    assert abs(a) == pytest.approx(0.5 / size, rel=1e-11)
    assert b / a == pytest.approx(-3.0, rel=1e-11)
    form = at_zero(normal_forms.fold_form, field)
    assert abs(float(form.angle)) < 1e-12
