"""Random networks: what is drawn, what gains do to it, and weights that are scaled but not multiplied out."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from gru_sweep.records import InputError
from gru_sweep.systems.cells import GRU
from gru_sweep.systems.ensembles import ENSEMBLES, named
from gru_sweep.systems.gated_rnn import GatedRNN
from gru_sweep.systems.lstm import LSTM
from gru_sweep.systems.matrices import Scaled, dense, floating

ROUNDING = 1e-12
"""Sums of some dozen products in double precision."""
CHANCE = 1e-6
"""Of a right draw being taken for a wrong one; the draws are seeded, so that it happens never or always."""
SIZE = 96
KINDS = {"gru": (GRU, 1), "lstm": (LSTM, 2), "gated-rnn": (GatedRNN, 3)}


@pytest.mark.parametrize("name", ENSEMBLES)
def test_entries_have_variance_one_over_n(name):
    drawn = named(name).draw(SIZE, seed=5)
    assert tuple(drawn) == named(name).matrices
    low, high = chi2.interval(1 - CHANCE, SIZE**2)
    for matrix in drawn.values():
        assert matrix.shape == (SIZE, SIZE)
        assert matrix.dtype == np.float64
        assert low < SIZE * (matrix**2).sum() < high
        assert abs(matrix.sum()) < 5 * np.sqrt(SIZE)  # standard deviation of the sum: sqrt(N)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_matrices_are_independent(name):
    """Of each other, of other seeds and of other numbers: correlations of N^2 entries are 1/N or so."""
    several = [*named(name).draw(SIZE, 5).values(), *named(name).draw(SIZE, 6).values()]
    several += named(name).draw(SIZE, 5, number=1).values()
    correlation = np.corrcoef([one.ravel() for one in several])
    assert np.abs(correlation - np.eye(len(several))).max() < 5 / SIZE


@pytest.mark.parametrize("name", ENSEMBLES)
def test_a_draw_is_a_function_of_its_arguments(name):
    first, again = (named(name).draw(8, 3, number=2) for _ in range(2))
    for k in first:
        np.testing.assert_array_equal(first[k], again[k])
    np.testing.assert_array_equal(named(name).start(8, 3, 2), named(name).start(8, 3, 2))


def test_a_matrix_does_not_depend_on_those_after_it():
    gru, gated = (named(name).draw(8, 3) for name in ("gru", "gated-rnn"))
    for k in gru:
        np.testing.assert_array_equal(gru[k], gated[k])
    np.testing.assert_array_equal(named("lstm").draw(8, 3)["g"], gru["h"])


@pytest.mark.parametrize("name", ENSEMBLES)
def test_starts_are_states_of_unit_activity(name):
    ensemble = named(name)
    state = ensemble.start(SIZE, seed=5)
    assert state.shape == (ensemble.states * SIZE,)
    assert 0.3 < np.sqrt((state**2).mean()) < 1.2  # uniform: 0.58, normal: 1
    assert not np.array_equal(state, ensemble.start(SIZE, seed=5, number=1))
    for matrix in ensemble.draw(SIZE, seed=5).values():
        assert not np.array_equal(state[:SIZE], matrix[0] * np.sqrt(SIZE))


@pytest.mark.parametrize("name", ENSEMBLES)
def test_what_is_built(name):
    ensemble, (kind, states) = named(name), KINDS[name]
    cell = ensemble.build(ensemble.draw(4, 0))
    assert isinstance(cell, kind)
    assert cell.dimension == 4 * states == 4 * ensemble.states
    state = jnp.asarray(ensemble.start(4, 0))
    assert cell(state).shape == state.shape
    assert ensemble.discrete == hasattr(cell, "step")


def test_gates_without_gain_are_half_open():
    h = jnp.array([0.3, -0.8, 0.1])
    z, r, _ = named("gru").build(named("gru").draw(3, 0)).gates(h)
    np.testing.assert_array_equal(z, 0.5)
    np.testing.assert_array_equal(r, 0.5)


@pytest.mark.parametrize(("name", "main", "gates"), [("gru", "h", "zr"), ("lstm", "g", "fio")])
def test_gains_and_biases_are_those_of_a_dense_cell(name, main, gates):
    ensemble, kind = named(name), KINDS[name][0]
    drawn, rng = ensemble.draw(5, 1), np.random.default_rng(0)
    given = {f"{part}_{k}": rng.normal() for part in "ab" for k in main + gates}
    plain = kind(
        **{f"U_{k}": given[f"a_{k}"] * drawn[k] for k in drawn},
        **{f"b_{k}": np.full(5, given[f"b_{k}"]) for k in drawn},
    )
    built, state = ensemble.build(drawn, **given), jnp.asarray(ensemble.start(5, 1))
    np.testing.assert_allclose(built(state), plain(state), rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(built.step(state), plain.step(state), rtol=ROUNDING, atol=ROUNDING)


def test_the_gated_rnn_keeps_its_matrices_and_takes_every_coordinate():
    ensemble = named("gated-rnn")
    drawn = ensemble.draw(3, 2)
    given = {name: 0.1 * (i + 2) for i, name in enumerate(ensemble.coordinates)}
    cell = ensemble.build(drawn, **given)
    for k in "hzr":
        np.testing.assert_array_equal(getattr(cell, f"J_{k}"), drawn[k])
    for name, value in given.items():
        assert getattr(cell, name) == value


def test_coordinates_may_be_traced_and_differentiated():
    ensemble = named("gru")
    drawn, h = ensemble.draw(6, 4), jnp.asarray(ensemble.start(6, 4))
    speed = lambda a: jnp.sum(ensemble.build(drawn, a_h=a, a_z=1.0)(h) ** 2)  # noqa: E731
    slope, width = jax.jit(jax.grad(speed))(2.0), 1e-6
    numeric = (speed(2.0 + width) - speed(2.0 - width)) / (2 * width)
    np.testing.assert_allclose(slope, numeric, rtol=1e-6)  # of the difference: width^2 and eps / width


def test_a_scaled_matrix_is_its_product():
    rng = np.random.default_rng(0)
    scaled = Scaled(jnp.asarray(2.5), jnp.asarray(rng.normal(size=(3, 4))))
    v = jnp.asarray(rng.normal(size=4))
    np.testing.assert_allclose(scaled @ v, 2.5 * np.asarray(scaled.matrix) @ v, rtol=ROUNDING)
    np.testing.assert_allclose(scaled.dense(), 2.5 * np.asarray(scaled.matrix), rtol=ROUNDING)
    assert (scaled.shape, scaled.ndim, scaled.dtype) == ((3, 4), 2, jnp.float64)
    assert floating(scaled) is scaled
    np.testing.assert_array_equal(dense(scaled), scaled.dense())
    np.testing.assert_array_equal(dense(v), v)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_over_gains_all_systems_share_one_matrix(name):
    """Batches agree with one at a time; products with weights are of one matrix with a matrix of states."""
    ensemble, n, many = named(name), 7, 5
    drawn = {k: jnp.asarray(v) for k, v in ensemble.draw(n, 0).items()}
    swept, other = list(ensemble.coordinates)[:2]
    values = {swept: jnp.linspace(0.5, 3.0, many), other: jnp.linspace(0.0, 2.0, many)}
    states = jnp.asarray(np.stack([ensemble.start(n, 0, k) for k in range(many)]))
    rates = jax.jit(jax.vmap(lambda given, state: ensemble.build(drawn, **given)(state)))
    one = [ensemble.build(drawn, **{k: v[i] for k, v in values.items()})(states[i]) for i in range(many)]
    np.testing.assert_allclose(rates(values, states), one, rtol=ROUNDING, atol=ROUNDING)
    products = re.findall(r"dot_general.*?: \((.*?)\) ->", rates.lower(values, states).as_text())
    assert len(products) == len(ensemble.matrices)
    for product in products:
        shapes = sorted(re.findall(r"tensor<([0-9x]+)xf64>", product))
        assert shapes == sorted([f"{n}x{n}", f"{many}x{n}"])


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"size": 0}, "size"),
        ({"size": 2.0}, "size"),
        ({"size": True}, "size"),
        ({"size": 2**17}, "size"),
        ({"seed": -1}, "seed"),
        ({"number": -1}, "number"),
        ({"number": 2**32}, "number"),
    ],
)
def test_what_a_draw_refuses(given, argument):
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", True)  # as users run it: annotations are not checked
    try:
        with pytest.raises(InputError, match=f"{argument}: expected an integer") as refused:
            named("gru").draw(**{"size": 2, "seed": 0} | given)
        assert refused.value.argument == argument
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_what_names_and_coordinates_are_refused():
    with pytest.raises(InputError, match="did you mean 'gated-rnn'"):
        named("gated_rnn")
    with pytest.raises(InputError, match=r"a_hh: expected one of .*did you mean 'a_h'") as refused:
        named("gru").build(named("gru").draw(2, 0), a_hh=1.0)
    assert refused.value.argument == "a_hh"
