"""Named families: a few coordinates, swept or set, that make a cell.

`hopf` is Eq 8 of Jordan, Sokol & Park (2021), `homoclinic` its Eq 9. `weights` is the neighbourhood of one
given cell, `random` an ensemble.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..records import InputError
from . import entries
from .cells import GRU

_DRAW = 4096
"""Cells drawn in one call: one small program for every sweep, whatever its chunk."""


@dataclasses.dataclass(frozen=True)
class Coordinate:
    """One parameter of a family.

    - `default`: its value where it is neither swept nor set; None: it is then left out.
    - `axis`: its default axis (start, stop, number of values); None: not swept unless asked.
    - `follows`: the coordinate whose value, where it has one, comes before the default.
    - `lowest`, `highest`, `integer`: the values that it may have.
    """

    name: str
    default: float | None
    long_name: str
    units: str = "1"
    axis: tuple[float, float, int] | None = None
    follows: str | None = None
    lowest: float = -math.inf
    highest: float = math.inf
    integer: bool = False

    def check(self, values: Any, argument: str) -> None:
        """Raise `InputError` for the first of `values`, finite numbers, that the coordinate may not have."""
        numbers = np.atleast_1d(np.asarray(values, dtype=np.float64))
        bad = (numbers < self.lowest) | (numbers > self.highest)
        if self.integer:
            bad |= numbers != np.floor(numbers)
        if bad.any():
            span = f"from {self.lowest:.10g} to {self.highest:.10g}"
            if math.isinf(self.highest):
                span = f"of at least {self.lowest:.10g}"
            kind = "integers" if self.integer else "numbers"
            raise InputError(argument, f"{kind} {span} for {self.name}", f"{numbers[bad][0]:.17g}")


@dataclasses.dataclass(frozen=True)
class Family:
    """Coordinates, and the pure function of named scalars that builds one cell.

    What is given of a point passes through `complete` (defaults), `inputs` (what the function takes) and
    `build`. Only `build` is traced.
    """

    name: str
    title: str
    equation: str
    coordinates: tuple[Coordinate, ...]
    build: Callable[..., Any]

    def bound(self, weights: GRU | None = None, seed: int = 0) -> Family:
        """The family with what it needs besides coordinates: a cell, a seed, or (most) nothing."""
        if weights is not None:
            raise InputError("--weights", "no weights with a family that has its own", self.name)
        return self

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` coordinates with the defaults of the others filled in; keeps the family's order."""
        full: dict[str, Any] = {}
        for c in self.coordinates:
            if c.name in given:
                full[c.name] = given[c.name]
            elif c.follows in full:
                full[c.name] = full[c.follows]
            elif c.default is not None:
                full[c.name] = c.default
        return full

    @property
    def input_names(self) -> tuple[str, ...]:
        """What `build` takes."""
        return tuple(c.name for c in self.coordinates)

    def inputs(self, full: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What `build` takes at n points, each (n,), from their complete coordinates, each (n,)."""
        return {name: full[name] for name in self.input_names}

    def origin(self) -> dict[str, Any]:
        """What decides the cells besides coordinates and seed, for JSON."""
        return {}


@dataclasses.dataclass(frozen=True)
class Neighbourhood(Family):
    """The cells around a given one: every entry is a coordinate, and so is a bias as a whole.

    Before `bound`, `coordinates` are patterns for people to read.
    """

    centre: GRU | None = dataclasses.field(default=None, compare=False)

    def bound(self, weights: GRU | None = None, seed: int = 0) -> Neighbourhood:
        """The neighbourhood of `weights`, a cell of finite entries; the parts that it lacks are zero."""
        if weights is None:
            raise InputError(
                "--weights", "a file of weights (.json, .npz, .h5 or .safetensors)", f"none with {self.name}"
            )
        here = entries.values(weights)
        for name, value in here.items():
            if not math.isfinite(value):
                raise InputError("--weights", f"a finite number for {name}", value)
        wholes = [Coordinate(part, None, entries.title(part)) for part in entries.biases(weights.reset)]
        singles = [
            Coordinate(name, value, entries.title(name), follows=entries.part_of(name))
            for name, value in here.items()
        ]
        return dataclasses.replace(
            self,
            equation=_EQUATIONS[weights.reset],
            coordinates=(*wholes, *singles),
            build=entries.after if weights.reset == "after" else entries.before,
            centre=weights,
        )

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.coordinates if "[" in c.name)

    def origin(self) -> dict[str, Any]:
        return {} if self.centre is None else {"weights": entries.document(self.centre)}


@dataclasses.dataclass(frozen=True)
class Ensemble(Family):
    """Planar cells of normal deviates, each part with its scale; `seed` and `index` decide them.

    Deviates are drawn in float32 whatever the precision of the sweep, so that all precisions see the same
    cells, and by a generator that counts: a cell depends on its seed and index, not on its neighbours.
    """

    seed: int = 0

    def bound(self, weights: GRU | None = None, seed: int = 0) -> Ensemble:
        """The ensemble of a seed, 0 to 2^63 - 1."""
        super().bound(weights)
        return dataclasses.replace(self, seed=seed)

    @property
    def input_names(self) -> tuple[str, ...]:
        return entries.names(2)

    def inputs(self, full: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        deviates = deviate(self.seed, full["index"], len(self.input_names))
        scales = {"U_h": full["scale"], "U_r": full["reset_scale"], "U_z": full["update_scale"]}
        return {
            name: scales.get(entries.part_of(name), full["bias_scale"]) * column
            for name, column in zip(self.input_names, deviates.T, strict=True)
        }


def hopf(alpha, beta, s, br1, br2) -> GRU:
    """U_h = beta R(alpha), b_r = (br1, br2), the rest zero (Eq 8); `s` is what br1 and br2 default to."""
    del s
    c, d = beta * jnp.cos(alpha), beta * jnp.sin(alpha)
    return GRU(
        U_h=jnp.stack([jnp.stack([c, -d]), jnp.stack([d, c])]),
        b_r=jnp.stack([br1, br2]),
    )


def homoclinic(gamma) -> GRU:
    """U_h = 3 R(-pi/20), b_h = (0.32, gamma), the rest zero (Eq 9)."""
    c, d = 3 * math.cos(math.pi / 20), 3 * math.sin(math.pi / 20)
    return GRU(
        U_h=jnp.asarray([[c, d], [-d, c]], dtype=gamma.dtype),
        b_h=jnp.stack([jnp.full_like(gamma, 0.32), gamma]),
    )


def deviate(seed: int, index: np.ndarray, count: int) -> np.ndarray:
    """Standard normal deviates, float64 (n, count), that are float32 numbers; row k belongs to `index[k]`.

    Threefry with the key of `seed`, folded with the index, an integer below 2^32. The processor draws them
    also where an accelerator computes, since the last bit of the normal quantile is not the same on both.
    """
    wanted = np.asarray(index).astype(np.uint32)
    drawn = np.empty((wanted.size, count))
    # With 32-bit types JAX would cut a large seed short.
    with jax.enable_x64(True), jax.default_device(_processor()):
        key = jax.random.key(seed, impl="threefry2x32")
        for start in range(0, wanted.size, _DRAW):
            some = wanted[start : start + _DRAW]
            rows = _rows(key, np.pad(some, (0, _DRAW - some.size)), count)
            drawn[start : start + _DRAW] = rows[: some.size]
    return drawn


@partial(jax.jit, static_argnums=2)
def _rows(key, index, count):
    row = lambda i: jax.random.normal(jax.random.fold_in(key, i), (count,), jnp.float32)  # noqa: E731
    return jax.vmap(row)(index)


def _processor() -> jax.Device | None:
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX was told to use the accelerator alone
        return None


_GATES = ", z = sigma(U_z h + b_z), r = sigma(U_r h + b_r)"
_EQUATIONS = {
    "before": f"dh/dt = (1 - z) o (tanh(U_h (r o h) + b_h) - h){_GATES}",
    "after": f"dh/dt = (1 - z) o (tanh(r o (U_h h + b_hn) + b_h) - h){_GATES}",
}

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="hopf",
            title="Andronov-Hopf bifurcation of two units (Jordan, Sokol & Park 2021, Eq 8)",
            equation="dh/dt = (tanh(U_h (r o h)) - h) / 2, U_h = beta [[cos alpha, -sin alpha], "
            "[sin alpha, cos alpha]], r = sigma(br1, br2)",
            coordinates=(
                Coordinate("alpha", math.pi / 3, "rotation angle", "radian", (0.0, 3.14159265, 256)),
                Coordinate("beta", 3.0, "gain", "1", (1.0, 3.0, 256)),
                Coordinate("s", 0.0, "reset gate bias"),
                Coordinate("br1", None, "reset gate bias of unit 1", follows="s"),
                Coordinate("br2", None, "reset gate bias of unit 2", follows="s"),
            ),
            build=hopf,
        ),
        Family(
            name="homoclinic",
            title="homoclinic bifurcation of two units (Jordan, Sokol & Park 2021, Eq 9)",
            equation="dh/dt = (tanh(U_h h / 2 + b_h) - h) / 2, U_h = 3 [[cos(pi/20), sin(pi/20)], "
            "[-sin(pi/20), cos(pi/20)]], b_h = (0.32, gamma)",
            coordinates=(Coordinate("gamma", 0.0535, "bias of unit 2", "1", (0.05, 0.055, 256)),),
            build=homoclinic,
        ),
        Neighbourhood(
            name="weights",
            title="around the cell in a file (--weights)",
            equation=_EQUATIONS["before"],
            coordinates=tuple(
                Coordinate(part + place, None, entries.title(part + place))
                for parts, places in ((entries.MATRICES, ["[i,j]"]), (entries.BIASES, ["[i]", ""]))
                for part in parts
                for place in places
            ),
            build=entries.before,
        ),
        Ensemble(
            name="random",
            title="two units drawn at random (--seed)",
            equation=f"{_EQUATIONS['before']}; every entry a normal deviate times a scale",
            coordinates=(
                Coordinate(
                    "index",
                    0.0,
                    "number of the draw",
                    axis=(0.0, 255.0, 256),
                    lowest=0.0,
                    highest=2.0**32 - 1,
                    integer=True,
                ),
                # Ten classes among a thousand draws. Sharp update gates (scale 4) add none, but units so slow
                # that one cycle search in twenty does not end.
                Coordinate("scale", 8.0, "standard deviation of the entries of U_h", lowest=0.0, highest=1e6),
                Coordinate(
                    "reset_scale", 8.0, "standard deviation of the entries of U_r", lowest=0.0, highest=1e6
                ),
                Coordinate(
                    "update_scale", 1.0, "standard deviation of the entries of U_z", lowest=0.0, highest=1e6
                ),
                Coordinate("bias_scale", 0.5, "standard deviation of the biases", lowest=0.0, highest=1e6),
            ),
            build=entries.before,
        ),
    )
}
