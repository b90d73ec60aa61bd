"""The gated recurrent network of 3N states against its equations, and its gates' conventions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_sweep.analysis.arithmetic import supported
from gru_sweep.records import InputError
from gru_sweep.systems.cells import GRU
from gru_sweep.systems.gated_rnn import GatedRNN

ROUNDING = 1e-12
"""A few dozen operations in double precision."""
GIVEN = {
    "g": 2.5,
    "alpha_z": 3.0,
    "alpha_r": 1.5,
    "b_h": 0.3,
    "beta_z": -0.4,
    "beta_r": 0.7,
    "tau_z": 1.3,
    "tau_r": 0.6,
}


def weights(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"J_{k}": rng.normal(size=(n, n)) / np.sqrt(n) for k in "hzr"}


def rates(w: dict, c: dict, h, z, r, drive):
    """The three equations, in NumPy."""
    phi = np.tanh(c["g"] * h + c["b_h"])
    open_z = 1 / (1 + np.exp(-c["alpha_z"] * z + c["beta_z"]))
    open_r = 1 / (1 + np.exp(-c["alpha_r"] * r + c["beta_r"]))
    return np.concatenate(
        [
            open_z * (-h + w["J_h"] @ (phi * open_r)) + drive[0],
            (-z + w["J_z"] @ phi + drive[1]) / c["tau_z"],
            (-r + w["J_r"] @ phi + drive[2]) / c["tau_r"],
        ]
    )


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("driven", [False, True])
def test_the_equations(n, driven):
    w, rng = weights(n), np.random.default_rng(1)
    h, z, r = rng.normal(size=(3, n))
    drive = rng.normal(size=(3, n)) if driven else np.zeros((3, n))
    cell = GatedRNN(**w, **GIVEN)
    assert (cell.units, cell.dimension) == (n, 3 * n)
    found = cell(jnp.concatenate([h, z, r]), jnp.asarray(drive.ravel()) if driven else None)
    np.testing.assert_allclose(found, rates(w, GIVEN, h, z, r, drive), rtol=ROUNDING, atol=ROUNDING)


def test_a_positive_beta_closes_a_gate_and_a_gain_sharpens_it():
    w, x = weights(2), jnp.array([-0.5, 0.5])
    open_, shut = GatedRNN(**w), GatedRNN(**w, beta_z=2.0, beta_r=2.0)
    assert (shut.update_gate(x) < open_.update_gate(x)).all()
    assert (shut.reset_gate(x) < open_.reset_gate(x)).all()
    np.testing.assert_allclose(shut.update_gate(jnp.array(2.0)), 0.5, rtol=ROUNDING)
    sharp = GatedRNN(**w, alpha_z=200.0)
    np.testing.assert_allclose(sharp.update_gate(x), [0.0, 1.0], atol=ROUNDING)


def test_a_shut_update_gate_holds_h_and_lets_the_gates_move():
    n = 3
    rate = GatedRNN(**weights(n), beta_z=800.0)(jnp.arange(1.0, 3 * n + 1))
    np.testing.assert_array_equal(rate[:n], 0)
    assert (np.abs(rate[n:]) > 0).all()


def test_time_constants_divide_the_rates_of_their_gates_alone():
    w, state = weights(2), jnp.linspace(-1.0, 1.0, 6)
    once, slow = GatedRNN(**w)(state), GatedRNN(**w, tau_z=4.0, tau_r=10.0)(state)
    np.testing.assert_allclose(slow, once / np.repeat([1.0, 4.0, 10.0], 2), rtol=ROUNDING)


def test_with_gates_at_rest_it_is_a_gru_without_gates():
    """alpha = 0 opens both gates to 1/2; with x = g h, x' = (-x + (g J_h / 2) tanh x) / 2: the GRU's field
    of y = tanh x seen before tanh: its Jacobian at 0 has the same eigenvalues."""
    w = weights(5)
    gated = jax.jacfwd(GatedRNN(**w, g=3.0, alpha_z=0.0, alpha_r=0.0))(jnp.zeros(15))[:5, :5]
    gru = jax.jacfwd(GRU(U_h=3.0 * w["J_h"]))(jnp.zeros(5))
    np.testing.assert_allclose(gated, gru, rtol=ROUNDING, atol=ROUNDING)


def test_every_arithmetic_can_evaluate_it():
    assert supported(GatedRNN(**weights(1), **GIVEN), (3,)) is None


def test_integers_become_floating_and_single_precision_stays():
    assert GatedRNN(**weights(2), g=2).g.dtype == jnp.float64
    single = {k: v.astype(np.float32) for k, v in weights(2).items()}
    cell = GatedRNN(**single, **{k: np.float32(v) for k, v in GIVEN.items()})
    assert cell(jnp.zeros(6, jnp.float32)).dtype == jnp.float32


@pytest.mark.parametrize(
    ("name", "value", "shape"),
    [
        ("J_z", np.zeros((3, 3)), r"\(2, 2\)"),
        ("J_r", np.zeros(2), r"\(2, 2\)"),
        ("J_h", np.zeros((2, 3)), r"\(2, 2\)"),
        ("J_h", np.float64(1.0), r"\(n, n\)"),
        ("J_h", np.zeros((0, 0)), r"\(n, n\)"),
    ],
)
def test_what_is_refused(name, value, shape):
    with pytest.raises(InputError, match=f"{name}: expected an array of shape {shape}"):
        GatedRNN(**weights(2) | {name: value})
