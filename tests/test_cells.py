"""The gated recurrent unit against its equations, against PyTorch, and against its own derivative."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from gru_sweep.records import InputError
from gru_sweep.systems.cells import GRU
from gru_sweep.systems.families import FAMILIES

RECURRENT, BIASES, INPUTS = ("U_h", "U_z", "U_r"), ("b_z", "b_r", "b_h"), ("W_z", "W_r", "W_h")


def sigma(v):
    return 1 / (1 + np.exp(-v))


def parts(seed: int, d: int = 3, p: int = 0, reset: str = "before") -> dict[str, np.ndarray]:
    """Every part of a cell, drawn."""
    rng = np.random.default_rng(seed)
    drawn = {name: 1.5 * rng.normal(size=(d, d)) for name in RECURRENT}
    drawn |= {name: rng.normal(size=d) for name in BIASES}
    drawn |= {name: rng.normal(size=(d, p)) for name in INPUTS if p}
    return drawn | ({"b_hn": rng.normal(size=d)} if reset == "after" else {})


def transcript(w: dict, h: np.ndarray, x: np.ndarray | None, reset: str):
    """Gates and candidate of Eqs 2, 3 and 4, in NumPy."""
    z, r, inner = ({part: w.get(f"{part}_{name}", 0) for part in "UWb"} for name in "zrh")
    drive = lambda e: e["W"] @ x if x is not None else 0  # noqa: E731
    z = sigma(z["U"] @ h + drive(z) + z["b"])
    r = sigma(r["U"] @ h + drive(r) + r["b"])
    recurrent = inner["U"] @ (r * h) if reset == "before" else r * (inner["U"] @ h + w.get("b_hn", 0))
    return z, r, np.tanh(recurrent + drive(inner) + inner["b"])


@pytest.mark.parametrize("reset", ["before", "after"])
@pytest.mark.parametrize("p", [0, 2])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_equations(d, p, reset):
    w = parts(10 * d + p, d, p, reset)
    rng = np.random.default_rng(0)
    h, x = jnp.array(rng.uniform(-1, 1, d)), jnp.array(rng.normal(size=p)) if p else None
    z, r, candidate = transcript(w, h, x, reset)
    cell = GRU(**w, reset=reset)
    assert cell.dimension == d
    for found, expected in zip(cell.gates(h, x), (z, r, candidate)):
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(cell(h, x), (1 - z) * (candidate - h), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(cell.step(h, x), z * h + (1 - z) * candidate, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("reset", ["before", "after"])
@pytest.mark.parametrize("missing", [*RECURRENT[1:], *BIASES, *INPUTS, "b_hn"])
def test_a_missing_part_is_zero(missing, reset):
    if missing == "b_hn" and reset == "before":
        pytest.skip("b_hn belongs to reset='after'")
    w = parts(4, 2, 2, reset)
    h, x = jnp.array([0.3, -0.6]), jnp.array([1.0, -2.0])
    zeroed, without = w | {missing: np.zeros_like(w[missing])}, {k: v for k, v in w.items() if k != missing}
    np.testing.assert_allclose(
        GRU(**without, reset=reset)(h, x), GRU(**zeroed, reset=reset)(h, x), rtol=1e-14
    )


def test_a_cell_of_its_matrix_alone_has_half_open_gates():
    z, r, candidate = GRU(U_h=np.eye(2)).gates(jnp.array([0.5, -1.0]))
    assert z == r == 0.5
    np.testing.assert_allclose(candidate, np.tanh([0.25, -0.5]), rtol=1e-15)


def test_without_an_input_the_input_weights_are_idle():
    w = parts(2, 2, 3)
    h = jnp.array([0.1, 0.9])
    idle = {k: v for k, v in w.items() if k not in INPUTS}
    np.testing.assert_array_equal(GRU(**w)(h), GRU(**idle)(h))
    np.testing.assert_allclose(GRU(**w)(h, jnp.zeros(3)), GRU(**idle)(h), rtol=1e-14)


def test_pytorch_agrees_on_the_discrete_step():
    torch = pytest.importorskip("torch")
    d, p = 5, 3
    torch.manual_seed(0)
    peer = torch.nn.GRUCell(p, d).double()
    rows = {
        name: dict(zip("rzn", value.detach().numpy().reshape(3, d, *value.shape[1:])))
        for name, value in peer.named_parameters()
    }
    w, u, bi, bh = (rows[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    cell = GRU(
        U_h=u["n"], U_z=u["z"], U_r=u["r"], W_h=w["n"], W_z=w["z"], W_r=w["r"],
        b_z=bi["z"] + bh["z"], b_r=bi["r"] + bh["r"], b_h=bi["n"], b_hn=bh["n"], reset="after",
    )  # fmt: skip
    h = np.zeros(d)
    for x in np.random.default_rng(1).normal(size=(6, p)):
        theirs = peer(torch.from_numpy(x)[None], torch.from_numpy(h)[None])[0].detach().numpy()
        h = np.array(cell.step(jnp.array(h), jnp.array(x)))
        np.testing.assert_allclose(h, theirs, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("seed", range(4))
def test_the_jacobian_in_closed_form(seed):
    """diag(1-z) [diag(1-t^2) U_h (diag(r) + diag(h r (1-r)) U_r) - I] - diag(z (1-z) (t-h)) U_z."""
    w = parts(seed)
    h = jnp.array(np.random.default_rng(seed).uniform(-1, 1, 3))
    z, r, t = transcript(w, h, None, "before")
    inner = np.diag(r) + np.diag(h * r * (1 - r)) @ w["U_r"]
    closed = np.diag(1 - z) @ (np.diag(1 - t**2) @ w["U_h"] @ inner - np.eye(3))
    closed -= np.diag(z * (1 - z) * (t - h)) @ w["U_z"]
    np.testing.assert_allclose(jax.jacfwd(GRU(**w))(h), closed, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("reset", ["before", "after"])
def test_a_step_is_eulers_with_a_unit_of_time(reset):
    cell = GRU(**parts(8, 4, 2, reset), reset=reset)
    h, x = jnp.array([0.3, -0.9, 0.1, 0.6]), jnp.array([0.5, -1.0])
    np.testing.assert_allclose(cell.step(h, x), h + cell(h, x), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("reset", ["before", "after"])
def test_the_cube_traps(reset):
    cell = GRU(**parts(9, 3, 0, reset), reset=reset)
    rng = np.random.default_rng(6)
    states = rng.uniform(-1, 1, (300, 3))
    states[np.arange(300), np.arange(300) % 3] = np.where(np.arange(300) < 150, -1.0, 1.0)
    flow, after = jax.vmap(cell)(states), jax.vmap(cell.step)(states)
    outward = np.asarray(flow)[np.arange(300), np.arange(300) % 3] * np.where(np.arange(300) < 150, -1, 1)
    assert (outward < 0).all()
    assert (np.abs(after) < 1).all()


def test_integers_become_floating_and_single_precision_stays():
    cell = GRU(U_h=[[2, 0], [0, 3]], b_h=[1, 0])
    assert cell.U_h.dtype == cell.b_h.dtype == jnp.float64
    single = GRU(U_h=np.eye(2, dtype=np.float32))
    assert single(jnp.zeros(2, jnp.float32)).dtype == jnp.float32


@pytest.mark.parametrize(
    ("given", "argument", "expected"),
    [
        ({"U_h": np.zeros((2, 3))}, "U_h", "(2, 2)"),
        ({"U_h": np.zeros(4)}, "U_h", "(d, d)"),
        ({"U_h": np.zeros((0, 0))}, "U_h", "(0, 0)"),
        ({"U_h": np.eye(2), "b_r": np.zeros(3)}, "b_r", "(2)"),
        ({"U_h": np.eye(2), "U_z": np.zeros((3, 3))}, "U_z", "(2, 2)"),
        ({"U_h": np.eye(2), "W_z": np.zeros((2, 3)), "W_h": np.zeros((2, 4))}, "W_h", "(2, 3)"),
        ({"U_h": np.eye(2), "W_z": np.zeros((3, 2))}, "W_z", "(2, p)"),
        ({"U_h": np.eye(2), "b_hn": np.zeros(2)}, "b_hn", "reset='before'"),
    ],
)
def test_what_is_refused(given, argument, expected):
    with pytest.raises(InputError) as refused:
        GRU(**given)
    assert refused.value.argument == argument
    assert expected in str(refused.value)


def test_an_unknown_place_of_the_reset_gate_is_refused():
    jaxtyping.config.update("jaxtyping_disable", True)  # as users run it: annotations are not checked
    try:
        with pytest.raises(InputError, match="reset: expected 'before' or 'after', got middle"):
            GRU(U_h=np.eye(2), reset="middle")
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_families_build_their_equations():
    alpha, beta, br1, br2 = (jnp.asarray(v) for v in (0.4, 2.5, 0.3, -0.2))
    h = jnp.array([0.2, -0.7])
    rotation = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    cell = FAMILIES["hopf"].build(alpha, beta, None, br1, br2)
    expected = (np.tanh(2.5 * rotation @ (sigma(np.array([0.3, -0.2])) * h)) - h) / 2
    np.testing.assert_allclose(cell(h), expected, rtol=1e-13)
    c, d = np.cos(np.pi / 20), np.sin(np.pi / 20)
    cell = FAMILIES["homoclinic"].build(jnp.asarray(0.0535))
    expected = (np.tanh(3 * np.array([[c, d], [-d, c]]) @ (h / 2) + np.array([0.32, 0.0535])) - h) / 2
    np.testing.assert_allclose(cell(h), expected, rtol=1e-13)


def test_coordinates_follow_their_defaults():
    full = FAMILIES["hopf"].complete({"alpha": 1.0, "s": 0.7, "br2": -1.0})
    assert full == {"alpha": 1.0, "beta": 3.0, "s": 0.7, "br1": 0.7, "br2": -1.0}
    assert FAMILIES["homoclinic"].complete({}) == {"gamma": 0.0535}
