"""Training: against NumPy's Adam and PyTorch, and that nothing depends on company, order, blocks or stops."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gru_sweep.records import InputError
from gru_sweep.training.initialisations import initial
from gru_sweep.training.networks import loss
from gru_sweep.training.programs import width
from gru_sweep.training.settings import Member, Settings
from gru_sweep.training.trainer import Trainer

EXACT = 1e-12
"""Two float64 evaluations of one formula, in another order."""
CURVES = 1e-8
"""The same after 20 updates: Adam divides by gradients that may be small."""
LEARNT = 0.1
"""Of the first loss: what is left after 300 epochs, at the most; it was 0.01 to 0.05 with these seeds."""
HUGE = 1e30
"""A learning rate no float32 survives: the loss squares it."""


def lines(n, seed=0):
    """x' = -x, y' = 0 from a square, without noise: (n, 9, 2)."""
    starts = np.random.default_rng(seed).uniform(-1, 1, (n, 2))
    decay = np.exp(-0.3 * np.arange(9))
    return np.stack([starts[:, :1] * decay, np.repeat(starts[:, 1:], 9, axis=1)], axis=-1)


TRAIN, TEST = lines(50), lines(20, 1)
MEMBERS = [Member(2, seed, 0.01) for seed in range(5)] + [Member(3, seed, 0.02) for seed in range(2)]
SHORT = Settings(epochs=23, snapshots=(0, 3, 20), test_every=5)


def trainer(members=MEMBERS, settings=SHORT, state=None, **keywords):
    return Trainer(TRAIN, TEST, members, settings, state, **keywords)


def same(one, other):
    """Bit for bit: all that two trainers recorded and all they are."""
    one, other = one.state(), other.state()
    assert list(one) == list(other)
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


@pytest.fixture(scope="module")
def whole():
    """All members, trained in one go."""
    done = trainer()
    done.run()
    return done


def parts(network):
    return jax.tree.leaves(network)


def test_updates_are_adams(whole):
    settings = Settings(epochs=2, precision="float64", snapshots=())
    done = trainer([Member(2, 0, 0.01)], settings)
    network = initial("uniform", 0, 2)
    flat, shape = jax.tree.flatten(network)
    first, second = [0.0] * len(flat), [0.0] * len(flat)
    value = jax.jit(jax.value_and_grad(loss))
    for t in (1, 2):  # algorithm 1 of Kingma & Ba (2015)
        expected, gradient = value(jax.tree.unflatten(shape, flat), jnp.asarray(TRAIN))
        for k, g in enumerate(map(np.asarray, parts(gradient))):
            first[k] = 0.9 * first[k] + 0.1 * g
            second[k] = 0.999 * second[k] + 0.001 * g**2
            flat[k] = flat[k] - 0.01 * first[k] / (1 - 0.9**t) / (np.sqrt(second[k] / (1 - 0.999**t)) + 1e-8)
        assert done.advance(1)[0] == pytest.approx(float(expected), rel=EXACT)
        norm = np.sqrt(sum(np.sum(np.square(g)) for g in parts(gradient)))
        assert done.history.gradient_norm[0, t - 1] == pytest.approx(norm, rel=EXACT)
        for ours, theirs in zip(parts(done.networks()[0]), flat):
            np.testing.assert_allclose(ours, theirs, rtol=CURVES, atol=EXACT)


def test_twenty_epochs_are_pytorchs():
    torch = pytest.importorskip("torch")
    done = trainer([Member(3, 1, 0.01)], Settings(epochs=20, precision="float64"))
    done.run()
    network = initial("uniform", 1, 3)
    cell = network.cell
    arrays = (cell.U_z, cell.U_r, cell.U_h, cell.b_z, cell.b_r, cell.b_h, cell.W_z, cell.W_h, network.C)
    values = [torch.tensor(np.array(x), requires_grad=True) for x in (*arrays, network.c)]
    U_z, U_r, U_h, b_z, b_r, b_h, W_z, W_h, C, c = values
    adam, data, curve = torch.optim.Adam(values, 0.01), torch.tensor(TRAIN), []
    for _ in range(20):
        adam.zero_grad()
        h = (1 - torch.sigmoid(data[:, 0] @ W_z.T + b_z)) * torch.tanh(data[:, 0] @ W_h.T + b_h)
        total = 0.0
        for k in range(1, 9):
            z, r = torch.sigmoid(h @ U_z.T + b_z), torch.sigmoid(h @ U_r.T + b_r)
            h = z * h + (1 - z) * torch.tanh((r * h) @ U_h.T + b_h)
            total = total + ((h @ C.T + c - data[:, k]) ** 2).sum()
        curve.append(total.item() / 8)
        (total / 8).backward()
        adam.step()
    np.testing.assert_allclose(done.history.loss[0], curve, rtol=CURVES)


def test_a_line_is_learnt():
    done = trainer([Member(2, seed, 0.03) for seed in range(4)], Settings(epochs=300))
    done.run()
    history = done.history
    assert (history.loss[:, -1] < LEARNT * history.loss[:, 0]).all()
    assert (history.test_loss[:, -1] < LEARNT * history.test_loss[:, 0]).all()


def test_the_history_is_of_the_parameters_before_each_update(whole):
    history = whole.history
    assert history.loss.shape == history.gradient_norm.shape == (7, 23)
    np.testing.assert_array_equal(history.test_epochs, [0, 5, 10, 15, 20])
    np.testing.assert_array_equal(history.snapshot_epochs, [0, 3, 20])
    value = jax.jit(loss)
    for epoch, networks in zip(history.snapshot_epochs, history.snapshots):
        for i, network in enumerate(networks):
            assert network.dimension == MEMBERS[i].dim
            assert value(network, jnp.asarray(TRAIN, jnp.float32)) == pytest.approx(
                float(history.loss[i, epoch]), rel=1e-5
            )
    for epoch, k in ((0, 0), (20, 4)):
        networks = history.snapshots[list(history.snapshot_epochs).index(epoch)]
        assert value(networks[6], jnp.asarray(TEST, jnp.float32)) == pytest.approx(
            float(history.test_loss[6, k]), rel=1e-5
        )


def test_a_resumed_run_is_the_uninterrupted_one(whole):
    first = trainer()
    for epochs in (1, 6, 2):
        first.advance(epochs)
    second = trainer(state=first.state())
    assert second.epoch == 9
    second.advance(5)
    third = trainer(state=second.state(), threads=1)
    third.run()
    same(third, whole)


def test_no_bit_depends_on_company_or_order(whole):
    history, networks = whole.history, whole.networks()
    for order in ([4], [6, 1, 0], [5, 3, 6, 2, 4]):
        other = trainer([MEMBERS[i] for i in order])
        other.run()
        np.testing.assert_array_equal(other.history.loss, history.loss[order])
        np.testing.assert_array_equal(other.history.gradient_norm, history.gradient_norm[order])
        np.testing.assert_array_equal(other.history.test_loss, history.test_loss[order])
        for i, network in zip(order, other.networks()):
            for one, two in zip(parts(network), parts(networks[i])):
                np.testing.assert_array_equal(one, two)


def test_one_that_diverges_is_marked_and_leaves_the_others_alone(whole):
    members = [*MEMBERS[:2], Member(2, 9, HUGE), *MEMBERS[2:]]
    other = trainer(members)
    other.advance(4)
    frozen = parts(other.networks()[2])
    other.run()
    at = other.diverged[2]
    assert at == 1  # the first update makes parameters of 1e30, whose loss is not finite
    np.testing.assert_array_equal(np.delete(other.diverged, 2), -1)
    history = other.history
    for curve in (history.loss, history.gradient_norm):
        assert np.isfinite(curve[2, :at]).all()
        assert np.isnan(curve[2, at:]).all()
        assert np.isfinite(np.delete(curve, 2, axis=0)).all()
    np.testing.assert_array_equal(history.test_epochs[np.isnan(history.test_loss[2])], [5, 10, 15, 20])
    np.testing.assert_array_equal(np.delete(history.loss, 2, axis=0), whole.history.loss)
    for one, two in zip(parts(other.networks()[2]), frozen):
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, two)
    same(trainer(members, state=other.state()), other)


def test_an_update_that_overflows_is_not_taken():
    other = trainer(
        [Member(2, 0, 0.01)], Settings(epochs=5, optimiser=lambda rate: optax.scale(rate * np.inf))
    )
    other.run()
    np.testing.assert_array_equal(other.diverged, [1])
    for one, two in zip(parts(other.networks()[0]), parts(initial("uniform", 0, 2))):
        np.testing.assert_array_equal(one, np.float32(two))


def test_other_optimisers():
    def clipped(rate):
        return optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(rate, momentum=0.9))

    done = trainer([Member(2, 0, 0.01), Member(2, 0, 0.02)], Settings(epochs=1, optimiser=clipped))
    done.run()
    start = np.concatenate([np.float32(x).ravel() for x in parts(initial("uniform", 0, 2))])
    moved = [np.concatenate([x.ravel() for x in parts(n)]) - start for n in done.networks()]
    assert done.history.gradient_norm[0, 0] > 1
    np.testing.assert_allclose([np.linalg.norm(m) for m in moved], [0.01, 0.02], rtol=1e-4)


def test_blocks_are_told_and_may_be_stopped():
    heard = []
    one = trainer()
    one.run(on_block=lambda epoch, losses: heard.append((epoch, losses)), stop=lambda: one.epoch >= 3)
    assert [epoch for epoch, _ in heard] == [3]
    np.testing.assert_array_equal(heard[0][1], one.history.loss[:, 2])

    def interrupted(epoch, losses):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.run(on_block=interrupted)
    assert one.history.loss.shape == (7, one.epoch)
    assert one.compilations == 2


def test_the_width_of_a_group():
    assert [width(dim, 3, "cpu") for dim in (1, 2, 3, 4, 8, 16)] == [8, 4, 2, 2, 1, 1]
    assert [width(2, count, "gpu") for count in (1, 3, 20, 5000)] == [1, 4, 32, 1024]


def test_epochs_kept_by_default():
    kept = Settings().kept
    assert kept[:3] == (0, 1, 2)
    assert kept[-1] == 4000
    assert 20 <= len(kept) <= 30
    assert Settings(epochs=1).kept == (0, 1)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Member(0, 0, 0.1), "--dim"),
        (lambda: Member(2, -1, 0.1), "--seeds"),
        (lambda: Member(2, 2**63, 0.1), "--seeds"),
        (lambda: Member(2, 0, 0.0), "--learning-rate"),
        (lambda: Member(2, 0, float("nan")), "--learning-rate"),
        (lambda: Settings(epochs=0), "--epochs"),
        (lambda: Settings(precision="float16"), "--precision"),
        (lambda: Settings(initialisation="unifrom"), "--initialisation"),
        (lambda: Settings(test_every=0), "test_every"),
        (lambda: Settings(epochs=5, snapshots=(6,)), "snapshots"),
        (lambda: trainer([]), "--seeds"),
        (lambda: Trainer(TRAIN[:, :1], TEST, MEMBERS), "train"),
        (lambda: Trainer(TRAIN * np.nan, TEST, MEMBERS), "train"),
        (lambda: Trainer(TRAIN, TEST[:, :, :1], MEMBERS), "test"),
    ],
)
def test_what_is_refused(make, argument):
    with pytest.raises(InputError) as refused:
        make()
    assert refused.value.argument == argument


def test_states_of_other_trainings_are_refused(whole):
    state = whole.state()
    for members, settings, word in (
        (MEMBERS[:-1], SHORT, "dim"),
        ([*MEMBERS[:-1], Member(3, 7, 0.02)], SHORT, "seed"),
        ([*MEMBERS[:-1], Member(3, 1, 0.03)], SHORT, "learning_rate"),
        (MEMBERS, Settings(epochs=23, test_every=4), "test_every"),
        (MEMBERS, Settings(epochs=23, test_every=5, precision="float64"), "float64"),
        (MEMBERS, Settings(epochs=23, test_every=5, optimiser=lambda rate: optax.sgd(rate, 0.9)), "trace"),
    ):
        with pytest.raises(InputError, match=word):
            trainer(members, settings, state)
    with pytest.raises(InputError, match="--epochs"):
        trainer(MEMBERS, Settings(epochs=22, test_every=5), state)
    with pytest.raises(InputError, match="series"):
        Trainer(TRAIN + 1e-9, TEST, MEMBERS, SHORT, state)
    for name in ("loss", "now/dim=2/networks/cell/U_h"):
        with pytest.raises(InputError, match=name):
            trainer(state={key: value for key, value in state.items() if key != name})
