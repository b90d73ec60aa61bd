"""The network against NumPy and PyTorch, its loss and gradient against definitions, and how it begins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_sweep.records import InputError
from gru_sweep.systems.cells import GRU
from gru_sweep.training import unrolled
from gru_sweep.training.initialisations import ANGLES, EXCESS, INITIALISATIONS, initial
from gru_sweep.training.networks import Network, loss
from gru_sweep.training.unrolled import blocks, losses, losses_and_gradients

EXACT = 1e-12
"""Two float64 evaluations of one formula, in another order."""
DIFFERENCES = 1e-6
"""Central differences of fourth order: their error and the loss's rounding are below it."""
STEP = 1e-3
"""Of the differences: its fourth power and the rounding of the loss divided by it are of one order."""
SINGLE = 2e-6
"""Some units in the last place of float32, relative."""


gradients = jax.jit(losses_and_gradients)
plain = jax.jit(loss)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def forecast_by_hand(network, w0, steps):
    """Eqs 2-4 as the paper has them, one series, in NumPy."""
    cell = network.cell
    w, h = w0, np.zeros(cell.dimension)
    found = []
    for _ in range(steps + 1):
        z = sigmoid(cell.W_z @ w + cell.U_z @ h + cell.b_z)
        r = sigmoid(cell.W_r @ w + cell.U_r @ h + cell.b_r)
        h = z * h + (1 - z) * np.tanh(cell.W_h @ w + cell.U_h @ (r * h) + cell.b_h)
        w = np.zeros_like(w0)
        found.append(network.C @ h + network.c)
    return np.array(found[1:])


def batch(*networks):
    return jax.tree.map(lambda *x: jnp.stack(x), *networks)


def several(dim):
    """Three networks of one size that begin differently."""
    return [initial(name, seed, dim) for seed, name in enumerate(INITIALISATIONS)]


@pytest.fixture(scope="module")
def series():
    return np.random.default_rng(1).normal(size=(21, 9, 2))


def test_a_forecast_is_equations_2_to_4(series):
    forecast = jax.jit(lambda network, w0: network.forecast(w0, 8))
    for network in several(3):
        wanted = forecast_by_hand(network, series[0, 0], 8)
        found = forecast(network, series[0, 0])
        np.testing.assert_allclose(found, wanted, rtol=EXACT, atol=EXACT)


def test_the_loss_is_the_sum_over_series_divided_by_the_steps(series):
    network = initial("uniform", 4, 2)
    wanted = sum(np.sum((forecast_by_hand(network, one[0], 8) - one[1:]) ** 2) for one in series) / 8
    assert plain(network, jnp.asarray(series)) == pytest.approx(wanted, rel=EXACT)


def test_the_cell_with_reset_after_the_matrix_is_pytorchs(series):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.GRUCell(2, 5, dtype=torch.float64)
    W_r, W_z, W_h = np.split(theirs.weight_ih.detach().numpy(), 3)
    U_r, U_z, U_h = np.split(theirs.weight_hh.detach().numpy(), 3)
    b_r, b_z, b_h = np.split(theirs.bias_ih.detach().numpy(), 3)
    c_r, c_z, b_hn = np.split(theirs.bias_hh.detach().numpy(), 3)
    ours = GRU(
        *(U_h, U_z, U_r, b_z + c_z, b_r + c_r, b_h), b_hn=b_hn, W_z=W_z, W_r=W_r, W_h=W_h, reset="after"
    )
    h = np.random.default_rng(2).uniform(-1, 1, (21, 5))
    wanted = theirs(torch.tensor(series[:, 0]), torch.tensor(h)).detach().numpy()
    np.testing.assert_allclose(jax.vmap(ours.step)(h, series[:, 0]), wanted, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("dim", [1, 3])
def test_the_batched_loss_is_the_networks_own(dim, series, monkeypatch):
    networks = several(dim)
    wanted = [plain(network, jnp.asarray(series)) for network in networks]
    for size in (1024, 16):  # one block, and two with padding
        monkeypatch.setattr(unrolled, "BLOCK", size)
        data = blocks(series, np.float64)
        np.testing.assert_allclose(jax.jit(losses)(batch(*networks), data), wanted, rtol=EXACT)
        np.testing.assert_allclose(gradients(batch(*networks), data)[0], wanted, rtol=EXACT)


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_the_gradient_is_that_of_central_differences(dim, series):
    data = blocks(series, np.float64)
    leaves, shape = jax.tree.flatten(initial("uniform", 3, dim))
    sizes = [leaf.size for leaf in leaves]
    flat = np.concatenate([leaf.ravel() for leaf in leaves])

    def networks(rows):
        parts = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
        shaped = [part.reshape(-1, *leaf.shape) for part, leaf in zip(parts, leaves)]
        return jax.tree.unflatten(shape, shaped)

    # every entry moved by itself: a member each
    loss_of = jax.jit(lambda rows: losses(networks(rows), data))
    near, far = (
        (loss_of(flat + k * STEP * np.eye(len(flat))) - loss_of(flat - k * STEP * np.eye(len(flat))))
        / (2 * k)
        for k in (1, 2)
    )
    wanted = np.split(np.asarray(4 * near - far) / (3 * STEP), np.cumsum(sizes)[:-1])
    found = jax.tree.leaves(gradients(networks(flat[None]), data)[1])
    scale = max(np.abs(part).max() for part in wanted)
    for part, difference in zip(found, wanted):
        error = np.abs(part[0].ravel() - difference).max()
        assert error <= DIFFERENCES * max(np.abs(difference).max(), DIFFERENCES * scale)


@pytest.mark.parametrize("dim", [3])
def test_the_gradient_is_autodiffs_of_the_plain_network(dim, series, monkeypatch):
    monkeypatch.setattr(unrolled, "BLOCK", 16)
    networks = several(dim)
    found = gradients(batch(*networks), blocks(series, np.float64))[1]
    wanted = batch(*(jax.jit(jax.grad(loss))(network, jnp.asarray(series)) for network in networks))
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted)):
        np.testing.assert_allclose(ours, theirs, rtol=EXACT, atol=EXACT * np.abs(theirs).max())


def test_single_precision_agrees_with_double(series):
    networks = batch(*several(4))
    single = jax.tree.map(lambda x: x.astype(np.float32), networks)
    wanted = jax.jit(losses)(networks, blocks(series, np.float64))
    found, gradient = gradients(single, blocks(series, np.float32))
    assert found.dtype == np.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(found, wanted, rtol=SINGLE)


def test_padding_has_no_weight(series):
    data = blocks(series, np.float64)
    assert data.inputs.shape == (1, 2, 32)
    assert data.weights.sum() == 21
    other = data._replace(targets=np.where(data.weights == 0, 1e3, data.targets))
    networks = batch(*several(2))
    for ours, theirs in zip(*(jax.tree.leaves(gradients(networks, each)) for each in (data, other))):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", INITIALISATIONS)
def test_a_beginning_is_the_same_in_any_precision(name):
    wide = initial(name, 5, 3)
    with jax.enable_x64(False):
        narrow = initial(name, 5, 3)
    for one, other in zip(jax.tree.leaves(wide), jax.tree.leaves(narrow)):
        assert one.dtype == np.float64
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(wide.C, initial(name, 6, 3).C)


def test_uniform_is_pytorchs():
    parts = np.concatenate([x.ravel() for x in jax.tree.leaves(initial("uniform", 0, 16))])
    assert np.abs(parts).max() <= 1 / 4
    deviations = np.abs(parts.mean()) / (0.25 / np.sqrt(3 * parts.size))
    assert deviations < 4
    assert np.abs(parts).max() > 0.249


def test_glorot_is_keras():
    network = initial("glorot", 0, 6)
    for U in (network.cell.U_h, network.cell.U_z, network.cell.U_r):
        np.testing.assert_allclose(U @ U.T, np.eye(6), atol=EXACT)
    for W in (network.cell.W_h, network.cell.W_z, network.cell.W_r, network.C):
        assert 0.6 * np.sqrt(6 / 8) < np.abs(W).max() <= np.sqrt(6 / 8)
    assert not np.any([*network.cell.b_z, *network.cell.b_r, *network.cell.b_h, *network.c])


@pytest.mark.parametrize("seed", range(4))
def test_rotation_is_a_stack_of_oscillators(seed):
    network = initial("rotation", seed, 5)
    cell = jax.tree.map(jnp.asarray, network.cell)
    # closed form of the docstring: the flow's eigenvalues at the origin, past the Hopf bifurcation
    eigenvalues = np.linalg.eigvals(jax.jacobian(cell)(jnp.zeros(5)))
    pairs = np.sort_complex(eigenvalues[np.abs(eigenvalues.imag) > 0])
    np.testing.assert_allclose(pairs.real, (EXCESS - 1) / 2, rtol=EXACT)
    turning = pairs.imag[pairs.imag > 0] / (EXCESS / 2)
    assert (np.tan(ANGLES[0]) <= turning).all()
    assert (turning <= np.tan(ANGLES[1])).all()
    # and far from the origin: Euler's method with short steps, after a transient
    dt = 0.1
    move = jax.jit(lambda h: jax.lax.scan(lambda h, _: (h + dt * cell(h), h), h, length=6000)[1])
    path = np.asarray(move(jnp.full(5, 0.01)))[3000:]
    for x, y in (path[:, :2].T, path[:, 2:4].T):
        turns = np.ptp(np.unwrap(np.arctan2(y, x))) / (2 * np.pi)
        assert 300 / 40 < turns < 300 / 7
        assert np.hypot(x, y).min() > 0.2
    assert np.ptp(path[:, 4]) < 1e-6


def test_bad_networks_are_refused(series):
    good = initial("uniform", 0, 2)
    with pytest.raises(InputError, match="input weights"):
        Network(GRU(np.eye(2)), good.C, good.c)
    with pytest.raises(InputError, match=r"C: .*\(2, 2\)"):
        Network(good.cell, np.ones((2, 3)), good.c)
    with pytest.raises(InputError, match="c: "):
        Network(good.cell, good.C, np.ones(3))
    partial = Network(GRU(np.eye(2), W_h=np.ones((2, 2))), good.C, good.c)
    with pytest.raises(InputError, match="every part"):
        losses(batch(partial), blocks(series, np.float64))
