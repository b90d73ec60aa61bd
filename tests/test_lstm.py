"""The long short-term memory against its equations, against PyTorch, and against its own flow and box."""

from __future__ import annotations

import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from gru_sweep.analysis.arithmetic import Interval, evaluate, supported, trace
from gru_sweep.records import InputError
from gru_sweep.systems.lstm import LSTM
from gru_sweep.systems.matrices import Scaled
from tests.conftest import EXPERIMENTS

GATES = "fiog"
WEIGHTS, BIASES, INPUTS = ([f"{part}_{k}" for k in GATES] for part in "UbW")
PEER = 1e-12
"""PyTorch sums in another order."""
ROUNDING = 1e-13
"""A dozen operations in double precision."""


def sigma(v):
    return 1 / (1 + np.exp(-v))


def parts(seed: int, d: int = 3, p: int = 0, scale: float = 1.5) -> dict[str, np.ndarray]:
    """Every part of a cell, drawn."""
    rng = np.random.default_rng(seed)
    drawn = {name: scale * rng.normal(size=(d, d)) for name in WEIGHTS}
    drawn |= {name: scale * rng.normal(size=d) for name in BIASES}
    return drawn | {name: rng.normal(size=(d, p)) for name in INPUTS if p}


def transcript(w: dict, h: np.ndarray, c: np.ndarray, x: np.ndarray | None):
    """The four gates and the next state, in NumPy."""
    inner = {k: w.get(f"U_{k}", 0) @ h if f"U_{k}" in w else np.zeros_like(h) for k in GATES}
    inner = {k: v + w.get(f"b_{k}", 0) for k, v in inner.items()}
    if x is not None:
        inner = {k: v + (w[f"W_{k}"] @ x if f"W_{k}" in w else 0) for k, v in inner.items()}
    f, i, o, g = sigma(inner["f"]), sigma(inner["i"]), sigma(inner["o"]), np.tanh(inner["g"])
    cell = f * c + i * g
    return f, i, o, g, o * np.tanh(cell), cell


@pytest.mark.parametrize("p", [0, 2])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_equations(d, p):
    w, rng = parts(10 * d + p, d, p), np.random.default_rng(0)
    h, c = rng.uniform(-1, 1, d), rng.normal(size=d)
    x = rng.normal(size=p) if p else None
    f, i, o, g, next_h, next_c = transcript(w, h, c, x)
    cell, state = LSTM(**w), jnp.concatenate([h, c])
    given = None if x is None else jnp.asarray(x)
    assert (cell.units, cell.dimension) == (d, 2 * d)
    np.testing.assert_allclose(cell.step(state, given), [*next_h, *next_c], rtol=ROUNDING, atol=ROUNDING)
    rate = i * g - (1 - f) * c
    flow = [*(o * np.tanh(c + rate) - h), *rate]
    np.testing.assert_allclose(cell(state, given), flow, rtol=PEER, atol=ROUNDING)


def test_pytorch_agrees_on_the_discrete_step():
    torch = pytest.importorskip("torch")
    d, p = 5, 3
    torch.manual_seed(0)
    peer = torch.nn.LSTMCell(p, d).double()
    rows = {
        name: dict(zip("ifgo", value.detach().numpy().reshape(4, d, *value.shape[1:])))
        for name, value in peer.named_parameters()
    }
    w, u, bi, bh = (rows[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    given = {f"U_{k}": u[k] for k in GATES} | {f"W_{k}": w[k] for k in GATES}
    cell = LSTM(**given, **{f"b_{k}": bi[k] + bh[k] for k in GATES})
    state, h, c = np.zeros(2 * d), torch.zeros(1, d).double(), torch.zeros(1, d).double()
    for x in np.random.default_rng(1).normal(size=(6, p)):
        h, c = peer(torch.from_numpy(x)[None], (h, c))
        state = np.array(cell.step(jnp.array(state), jnp.array(x)))
        theirs = torch.cat([h, c], 1)[0].detach().numpy()
        np.testing.assert_allclose(state, theirs, rtol=PEER, atol=PEER)


@pytest.mark.parametrize("missing", [*WEIGHTS[:-1], *BIASES, *INPUTS])
def test_a_missing_part_is_zero(missing):
    w, state, x = parts(4, 2, 2), jnp.array([0.3, -0.6, 1.0, -2.0]), jnp.array([1.0, -2.0])
    zeroed, without = w | {missing: np.zeros_like(w[missing])}, {k: v for k, v in w.items() if k != missing}
    np.testing.assert_allclose(LSTM(**without)(state, x), LSTM(**zeroed)(state, x), rtol=ROUNDING)


def test_a_step_is_eulers_with_a_unit_of_time():
    cell, rng = LSTM(**parts(8, 4, 2)), np.random.default_rng(5)
    state, x = jnp.asarray(rng.uniform(-1, 1, 8)), jnp.array([0.5, -1.0])
    np.testing.assert_allclose(cell.step(state, x), state + cell(state, x), rtol=ROUNDING, atol=ROUNDING)


def test_flow_and_map_rest_at_the_same_states():
    """Of one unit they solve h = o tanh(i g / (1 - f)): all of them by the sign changes of that."""
    w = {k: np.full((1, 1), v) for k, v in zip(WEIGHTS, (3.0, 2.0, 4.0, 5.0))}
    w |= {k: np.full(1, v) for k, v in zip(BIASES, (0.5, -0.2, 1.0, 0.1))}

    def at(h):
        f, i, o, g, *_ = (v.item() for v in transcript(w, np.array([h]), np.zeros(1), None))
        return o * np.tanh(i * g / (1 - f)) - h, i * g / (1 - f)

    grid = np.linspace(-1, 1, 2002)
    signs = [at(h)[0] > 0 for h in grid]
    known = [brentq(lambda h: at(h)[0], a, b, xtol=1e-15) for a, b, s, t in
             zip(grid, grid[1:], signs, signs[1:]) if s != t]  # fmt: skip
    assert len(known) == 3
    cell = LSTM(**w)
    for h in known:
        state = jnp.array([h, at(h)[1]])
        np.testing.assert_allclose(cell(state), 0, atol=ROUNDING)
        np.testing.assert_allclose(cell.step(state), state, rtol=PEER)


@pytest.mark.parametrize("scale", [0.5, 3.0])
@pytest.mark.parametrize("biased", [False, True])
def test_the_box_traps(scale, biased):
    """On every face the flow points inwards; a step takes the box into itself."""
    d, faces = 2, 64
    outward, outside = jax.vmap(lambda cell, s, i, e: e * cell(s)[i]), jax.vmap(lambda c, s: c.step(s))
    for seed in range(12):
        w = parts(seed, d, 0, scale)
        cell = LSTM(**(w if biased else {k: w[k] for k in WEIGHTS}))
        rng, half = np.random.default_rng(seed), np.asarray(cell.box)
        states = half * rng.uniform(-1, 1, (faces, 2 * d))
        corners = half * rng.choice([-1.0, 1.0], size=(faces, 2 * d))
        states = np.concatenate([states, corners])
        face, end = np.arange(2 * faces) % (2 * d), np.where(rng.random(2 * faces) < 0.5, -1.0, 1.0)
        states[np.arange(2 * faces), face] = end * half[face]
        cells = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2 * faces, *leaf.shape)), cell)
        # where c is at the face the bound is reached only as f takes its largest value and i g is 1
        slack = ROUNDING * half[face]
        assert (np.asarray(outward(cells, states, face, end)) <= slack).all()
        assert (np.abs(outside(cells, states)) <= half * (1 + ROUNDING)).all()


def test_the_box_without_forget_gate():
    np.testing.assert_array_equal(LSTM(U_g=np.eye(2)).box, [1, 1, 2, 2])
    bias = LSTM(U_g=np.eye(1), U_f=Scaled(jnp.asarray(-2.0), jnp.eye(1)), b_f=np.array([-1.0]))
    np.testing.assert_allclose(bias.box, [1, 1 / (1 - sigma(1.0))], rtol=ROUNDING)


def test_scaled_weights_are_their_product():
    w, rng = parts(3, 3), np.random.default_rng(2)
    gains = dict(zip(WEIGHTS, (0.5, 2.0, 3.0, 1.5)))
    scaled = LSTM(**{k: Scaled(jnp.asarray(gains[k]), jnp.asarray(w[k])) for k in WEIGHTS})
    dense = LSTM(**{k: gains[k] * w[k] for k in WEIGHTS})
    state = jnp.asarray(rng.normal(size=6))
    np.testing.assert_allclose(scaled(state), dense(state), rtol=PEER)
    np.testing.assert_allclose(scaled.step(state), dense.step(state), rtol=PEER)
    np.testing.assert_allclose(scaled.box, dense.box, rtol=PEER)


def test_a_closed_leak_stays_open():
    """1 - f beyond the rounding of f itself."""
    cell = LSTM(U_g=np.zeros((1, 1)), b_f=np.array([60.0]))
    rate = cell(jnp.array([0.0, 1.0]))[1]
    np.testing.assert_allclose(rate, -np.exp(-60.0), rtol=PEER)


def test_one_unit_is_a_planar_system_for_every_arithmetic():
    """Intervals over a box hold the rates at its points, and over a point little else."""
    cell, rng = LSTM(**parts(1, 1)), np.random.default_rng(3)
    assert supported(cell, (2,)) is None
    assert supported(cell.step, (2,)) is None
    low, high = np.array([-0.4, 0.2]), np.array([0.1, 0.9])
    (wide,) = evaluate(
        trace(cell, (2,)), [Interval(jnp.asarray(a), jnp.asarray(b)) for a, b in zip(low, high)]
    )
    for state in rng.uniform(low, high, (8, 2)):
        (tight,) = evaluate(trace(cell, (2,)), [Interval.exact(jnp.asarray(v)) for v in state])
        for i, rate in enumerate(cell(jnp.asarray(state))):
            assert wide[i].lo < tight[i].lo <= rate <= tight[i].hi < wide[i].hi
            assert tight[i].hi - tight[i].lo < ROUNDING


@pytest.fixture(scope="module")
def portraits():
    """The experiment's view of one unit, and what it found."""
    with pytest.MonkeyPatch.context() as path:
        path.syspath_prepend(EXPERIMENTS)
        module = importlib.import_module("lstm_portraits")
        yield module, json.loads((EXPERIMENTS.parent / "results" / "one_unit_lstm.json").read_text())


def test_the_experiment_draws_the_same_unit_in_other_coordinates(portraits):
    """c = sinh(u): rates are those of the cell, du/dt = (dc/dt) / cosh(u)."""
    module, rng = portraits[0], np.random.default_rng(4)
    for numbers in 2.0 * rng.normal(size=(5, 8)):
        h, u = rng.uniform(-1, 1), rng.normal()
        given = dict(zip(module.NAMES, numbers))
        cell = LSTM(**{k: np.full((1, 1) if k[0] == "U" else 1, v) for k, v in given.items()})
        rates = np.asarray(cell(jnp.array([h, np.sinh(u)]))) / [1.0, np.cosh(u)]
        found = module.Unit(*(jnp.asarray(v) for v in numbers))(jnp.array([h, u]))
        np.testing.assert_allclose(found, rates, rtol=PEER, atol=PEER)


def test_sources_and_fixed_points_along_the_curve_are_those_of_the_portraits(portraits):
    module, found = portraits
    labels = ["sink", "2sink,saddle[a,a]", "3sink,2saddle[a,ab,b]", "cycle+(source)"]
    cells = np.array([found["lstm"]["examples"][label] for label in labels])
    numbers, sources = module.along(cells)
    np.testing.assert_array_equal(numbers, [1, 3, 5, 1])
    np.testing.assert_array_equal(sources, [False, False, False, True])


def test_single_precision_stays():
    cell = LSTM(U_g=np.eye(2, dtype=np.float32), b_f=np.ones(2, np.float32))
    assert cell(jnp.zeros(4, jnp.float32)).dtype == cell.box.dtype == jnp.float32


@pytest.mark.parametrize(
    ("given", "argument", "expected"),
    [
        ({"U_g": np.zeros((2, 3))}, "U_g", "(2, 2)"),
        ({"U_g": np.zeros(4)}, "U_g", "(d, d)"),
        ({"U_g": np.zeros((0, 0))}, "U_g", "(0, 0)"),
        ({"U_g": np.eye(2), "b_o": np.zeros(3)}, "b_o", "(2)"),
        ({"U_g": np.eye(2), "U_f": np.zeros((3, 3))}, "U_f", "(2, 2)"),
        ({"U_g": np.eye(2), "W_f": np.zeros((2, 3)), "W_i": np.zeros((2, 4))}, "W_i", "(2, 3)"),
    ],
)
def test_what_is_refused(given, argument, expected):
    with pytest.raises(InputError) as refused:
        LSTM(**given)
    assert refused.value.argument == argument
    assert expected in str(refused.value)
