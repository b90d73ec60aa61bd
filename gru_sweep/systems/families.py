"""Named families: a few coordinates, swept or set, that make a cell.

`hopf` is Eq 8 of Jordan, Sokol & Park (2021), `homoclinic` its Eq 9.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import jax.numpy as jnp

from .cells import GRU


@dataclasses.dataclass(frozen=True)
class Coordinate:
    """One parameter of a family.

    `default` is its value where it is neither swept nor set; a name there means that it follows that
    coordinate. `axis` is its default axis (start, stop, number of values), None where it is not swept unless
    asked.
    """

    name: str
    default: float | str
    long_name: str
    units: str = "1"
    axis: tuple[float, float, int] | None = None


@dataclasses.dataclass(frozen=True)
class Family:
    """Coordinates and the function of them, by name, that builds one cell."""

    name: str
    title: str
    equation: str
    coordinates: tuple[Coordinate, ...]
    build: Callable[..., GRU]

    def complete(self, given: dict) -> dict:
        """`given` coordinates with the defaults of the others filled in; keeps the family's order."""
        full = {}
        for c in self.coordinates:
            default = c.default if isinstance(c.default, str) is False else None
            full[c.name] = given.get(c.name, default)
        for c in self.coordinates:
            if full[c.name] is None:
                full[c.name] = full[str(c.default)]
        return full


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
                Coordinate("br1", "s", "reset gate bias of unit 1"),
                Coordinate("br2", "s", "reset gate bias of unit 2"),
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
    )
}
