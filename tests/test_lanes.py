"""Lanes against a toy of random length whose answer is known exactly: the Collatz map."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float, Int

from gru_sweep.records import field
from gru_sweep.sweeps import devices
from gru_sweep.sweeps.lanes import Chain, Pool

STEPS_PER_ADVANCE = 3
NUMBERS = np.random.default_rng(3).integers(1, 3000, 61)


class Start(eqx.Module):
    """Where an orbit starts: n, and a real x that is carried along."""

    n: Int[Array, ""]
    x: Float[Array, ""]


class Walk(eqx.Module):
    """State of an orbit of n -> n/2 or 3 n + 1, which takes x -> sin(x + n) with it."""

    n: Int[Array, ""]
    x: Float[Array, ""]
    steps: Int[Array, ""]
    done: Array


class Orbit(eqx.Module):
    """Steps until the orbit meets 1, and what became of x."""

    steps: Int[Array, ""] = field(long_name="steps", dtype="int32")
    x: Float[Array, ""] = field(long_name="x")
    both: Float[Array, " 2"] = field(long_name="x and steps", dims=("which",))


class Collatz:
    """The orbit as a `records.Solver`."""

    def init(self, start: Start) -> Walk:
        return Walk(start.n, start.x, jnp.zeros_like(start.n), start.n <= 1)

    def advance(self, start: Start, walk: Walk) -> Walk:
        def step(_, w):
            n = jnp.where(w.n % 2 == 0, w.n // 2, 3 * w.n + 1)
            new = Walk(n, jnp.sin(w.x + w.n), w.steps + 1, n <= 1)
            return jax.tree.map(lambda a, b: jnp.where(w.done, a, b), w, new)

        return jax.lax.fori_loop(0, STEPS_PER_ADVANCE, step, walk)

    def finish(self, start: Start, walk: Walk) -> Orbit:
        return Orbit(walk.steps, walk.x, jnp.stack([walk.x, walk.steps.astype(walk.x.dtype)]))


def length(n: int) -> int:
    """Steps of n -> n/2 or 3 n + 1 until 1, one by one."""
    steps = 0
    while n > 1:
        n, steps = (n // 2 if n % 2 == 0 else 3 * n + 1), steps + 1
    return steps


def start(n, x) -> Start:
    return Start(n.astype(jnp.int32), x)


def chain(size: int, **options) -> Chain:
    """Two solvers in a row: the second starts at the steps that the first took."""
    return Chain(
        start,
        (Collatz(), Collatz()),
        (lambda problem, orbit: Start(orbit.steps, orbit.x),),
        lambda problem, orbit: orbit,
        names=("n", "x"),
        dtype=np.float64,
        size=size,
        **options,
    )


@pytest.fixture(scope="module")
def coordinates():
    return {"n": NUMBERS.astype(float), "x": np.linspace(-1, 1, NUMBERS.size)}


@pytest.fixture(scope="module")
def whole(coordinates):
    return chain(NUMBERS.size)(coordinates)


def equal(a: dict, b: dict) -> bool:
    """Bit by bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_lengths_are_those_counted_one_by_one(whole):
    assert whole["steps"].tolist() == [length(length(n)) for n in NUMBERS]
    assert whole["both"].shape == (NUMBERS.size, 2)
    np.testing.assert_array_equal(whole["both"][:, 0], whole["x"])


@pytest.mark.parametrize("width", [64, 16, 7, 1])
@pytest.mark.parametrize("rounds", [1, 5])
def test_answers_do_not_depend_on_width_or_rounds(coordinates, width, rounds):
    pool = Pool(Collatz(), NUMBERS.size, jax.devices()[0], width=width, rounds=rounds)
    problems = Start(jnp.asarray(NUMBERS, jnp.int32), jnp.asarray(coordinates["x"]))
    _, jobs = pool.outline(problems)
    for job in jobs:
        job()
    found = pool(problems, NUMBERS.size)
    assert found.steps.tolist() == [length(n) for n in NUMBERS]
    for i in (0, 17, 60):
        alone = run(Collatz(), Start(problems.n[i], problems.x[i]))
        assert alone.x == pytest.approx(float(found.x[i]), abs=1e-14)


@functools.partial(jax.jit, static_argnums=0)
def run(solver, problem):
    """One problem, without lanes."""
    state = jax.lax.while_loop(lambda s: ~s.done, lambda s: solver.advance(problem, s), solver.init(problem))
    return solver.finish(problem, state)


@pytest.mark.parametrize(("size", "threads"), [(100, 2), (7, 1), (16, 5), (1, 2)])
def test_answers_do_not_depend_on_batches_or_threads(whole, coordinates, size, threads):
    assert equal(chain(size, threads=threads)(coordinates), whole)


def test_calls_side_by_side_share_the_threads(whole, coordinates):
    lanes = chain(16, threads=2)
    with ThreadPoolExecutor(4) as callers:
        assert all(equal(found, whole) for found in callers.map(lanes, [coordinates] * 8))


def test_a_batch_that_does_not_fit_is_halved_until_it_does(whole, coordinates, monkeypatch, caplog):
    run = Pool.__call__

    def limited(pool, problems, count):
        if pool.size > 10:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes")
        return run(pool, problems, count)

    monkeypatch.setattr(Pool, "__call__", limited)
    lanes = chain(61, threads=2)
    assert equal(lanes(coordinates), whole)
    assert lanes.size == 7
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        f"batches of {size} points from now on" for size in (30, 15, 7)
    ]


def test_what_is_not_a_lack_of_memory_goes_through(coordinates, monkeypatch):
    def broken(pool, problems, count):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(Pool, "__call__", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        chain(61)(coordinates)


def test_batches_are_as_large_as_the_memory_allows(monkeypatch):
    plenty = chain(64)._programs.bytes
    monkeypatch.setattr(devices, "memory", lambda device: plenty)
    assert chain(64).size == 32  # half of it is for others
    assert chain(64, threads=4).size == 8


def test_a_lane_does_not_see_its_neighbours(whole, coordinates):
    small = chain(16)
    order = np.random.default_rng(0).permutation(NUMBERS.size)
    for part in np.array_split(order, 5):
        found = small({k: v[part] for k, v in coordinates.items()})
        assert equal(found, {k: v[part] for k, v in whole.items()})
    alone = small({k: v[7:8] for k, v in coordinates.items()})
    assert equal(alone, {k: v[7:8] for k, v in whole.items()})


def test_one_long_lane_among_trivial_ones(coordinates):
    numbers = np.ones(61)
    numbers[40] = 2919
    found = chain(61)({"n": numbers, "x": coordinates["x"]})
    expected = np.zeros(61, int)
    expected[40] = length(length(2919))
    np.testing.assert_array_equal(found["steps"], expected)


def test_programs_are_compiled_once_whatever_is_asked(coordinates):
    made = []
    for size in (20, 60):
        lanes = chain(size)
        lanes.compile()
        made.append(lanes.compilations)
        assert lanes.compile_seconds > 0
        for count in (1, 5, 20):
            lanes({k: v[:count] for k, v in coordinates.items()})
        assert lanes.compilations == made[-1]
    assert made[0] == made[1] > 0


def test_columns_are_the_records_and_hold_the_precision_computed_in(whole):
    with jax.enable_x64(False):
        lanes = Chain(
            start, (Collatz(),), (), lambda p, orbit: orbit, names=("n", "x"), dtype=np.float32, size=8
        )
        found = lanes({"n": np.arange(1.0, 9.0), "x": np.zeros(8)})
    assert [(c.name, c.dims) for c in lanes.columns] == [("steps", ()), ("x", ()), ("both", ("which",))]
    assert {c.name: c.dtype for c in lanes.columns} == {
        "steps": np.dtype("int32"),
        "x": np.dtype("float32"),
        "both": np.dtype("float32"),
    }
    assert found["x"].dtype == np.float32
    assert found["steps"].tolist() == [length(n) for n in range(1, 9)]
