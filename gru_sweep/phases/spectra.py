"""Spectra: the eigenvalues of networks' Jacobians at every point, with the cloud's edge by theory.

A network runs over the transient; where it is then, the Jacobian's eigenvalues are taken, of the map of `gru`
and `lstm`, of the flow of `gated-rnn`. Theory (`gating.clouds`) is that of the sites of the same state.
"""

from __future__ import annotations

import dataclasses
import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float, Int

from ..gating import boundaries, clouds, jacobians
from ..gating.sites import sites
from ..records import Column, Numbers, Status, field
from ..systems.networks import RandomNetworks
from .exponents import mean
from .measure import Measure, columns_of, of_each
from .running import drawn

VERTICES = 512
"""Of the theory's edge in a file: all its curves, each closed, with NaN between two of them."""
SLOW = 0.1
"""Modes within that of 1, or of 0 for a flow, are slow."""


class Spectrum(eqx.Module):
    """Of one network in one state."""

    eigenvalue: Float[Numbers, "m 2"] = field(
        long_name="eigenvalues of the Jacobian, real and imaginary part", dims=("mode", "part")
    )
    edge: Float[Numbers, "v 2"] = field(
        long_name="edge of their cloud by theory, closed curves with NaN between them",
        dims=("vertex", "part"),
    )
    largest: Float[Numbers, ""] = field(
        long_name="largest modulus of a map's eigenvalues, largest real part of a flow's"
    )
    largest_theory: Float[Numbers, ""] = field(long_name="the same by theory")
    slow: Float[Numbers, ""] = field(long_name="share of eigenvalues within 0.1 of 1, or of 0 for a flow")
    slow_theory: Float[Numbers, ""] = field(long_name="the same by theory; NaN where it was not found")
    held: Float[Numbers, ""] = field(
        long_name="share of units whose update or forget gate is more closed than open"
    )
    K: Float[Numbers, ""] = field(long_name="slope of the covariance map: modes grow where above 1")
    K_held: Float[Numbers, ""] = field(long_name="the same for an infinitely sharp update or forget gate")
    speed: Float[Numbers, ""] = field(
        long_name="root mean square of the state's rate of change", units="1/time"
    )


class Means(eqx.Module):
    """Of the networks of a point."""

    status: Int[Numbers, ""] = field(long_name="computation status", flags=Status, dtype="int8")
    radius: Float[Numbers, ""] = field(long_name="largest modulus or real part, mean over networks")
    radius_error: Float[Numbers, ""] = field(long_name="standard error of that, from networks")
    radius_theory: Float[Numbers, ""] = field(long_name="largest modulus or real part by theory, mean")


def _pairs(values: Complex[np.ndarray, " n"]) -> np.ndarray:
    return np.stack([values.real, values.imag], axis=-1)


def _edge(curves: tuple[np.ndarray, ...]) -> np.ndarray:
    """Curves in `VERTICES` rows: with fewer vertices each where there are too many, and NaN between two."""
    rows = np.full((VERTICES, 2), np.nan)
    curves = curves[: VERTICES // 8]
    room = VERTICES - len(curves)
    total, at = sum(len(curve) for curve in curves), 0
    for curve in curves:
        size = min(len(curve), max(4, math.floor(room * len(curve) / max(total, 1))))
        size = min(size, VERTICES - at)
        picked = np.linspace(0, len(curve) - 1, size).round().astype(int)
        rows[at : at + size] = _pairs(curve[picked])
        at += size + 1
        if at >= VERTICES:
            break
    return rows


def spectrum(family: RandomNetworks, number: int, point: dict[str, float], precision: str) -> Spectrum:
    """Of network `number` at one point."""
    ensemble = family.ensemble
    matrices, start = drawn(ensemble.name, family.size, family.seed, number)
    kind = np.dtype(precision)
    cell = ensemble.build(
        {name: jnp.asarray(matrix, kind) for name, matrix in matrices.items()},
        **{name: jnp.asarray(value, kind) for name, value in point.items()},
    )
    discrete = ensemble.discrete
    (state,) = jacobians.trajectory(cell, jnp.asarray(start, kind), discrete, settle=round(family.transient))
    found = jacobians.eigenvalues(cell, state, discrete)
    at = sites(cell, state, discrete)
    stability = clouds.stability(at)
    rate = np.asarray(cell(jnp.asarray(state)))
    slow = np.abs(found - at.origin) < SLOW
    return Spectrum(
        eigenvalue=_pairs(found[np.lexsort((found.imag, found.real))]),
        edge=_edge(boundaries.boundary(at)),
        largest=np.asarray(np.abs(found).max() if discrete else found.real.max()),
        largest_theory=np.asarray(clouds.outermost(at)),
        slow=np.asarray(slow.mean()),
        slow_theory=np.asarray(clouds.share_within(at, at.origin, SLOW)),
        held=np.asarray(clouds.pinched(at)),
        K=np.asarray(stability.K),
        K_held=np.asarray(stability.K_held),
        speed=np.asarray(np.sqrt(np.mean(rate * rate))),
    )


def _columns(family: RandomNetworks, precision: str) -> tuple[Column, ...]:
    sizes = {"mode": family.ensemble.states * family.size, "vertex": VERTICES, "part": 2}
    # eigenvalues are those of float64, whatever the precision of the trajectory
    each = columns_of(Spectrum, "float64", sizes)
    return *columns_of(Means, "float64"), *of_each(each, family.networks)


def _answer(family: RandomNetworks, points: dict[str, np.ndarray], precision: str) -> dict[str, np.ndarray]:
    n = len(next(iter(points.values())))
    rows = [
        [
            spectrum(family, number, {name: float(value[i]) for name, value in points.items()}, precision)
            for number in range(family.networks)
        ]
        for i in range(n)
    ]
    found = {
        f.name: np.stack([np.stack([np.asarray(getattr(one, f.name)) for one in row]) for row in rows])
        for f in dataclasses.fields(Spectrum)
    }
    radius, error = mean(found["largest"])
    known = np.isfinite(found["eigenvalue"]).all(axis=(1, 2, 3)) & np.isfinite(found["largest_theory"]).all(
        axis=1
    )
    return found | {
        "status": np.where(known, Status.OK, Status.FAILED).astype(np.int8),
        "radius": radius,
        "radius_error": error,
        "radius_theory": found["largest_theory"].mean(axis=1),
    }


SPECTRUM = Measure(
    name="spectrum",
    title="eigenvalues of the Jacobian, and their cloud by theory",
    answer=_answer,
    columns=_columns,
    points=1,
    settings={"slow_within": SLOW, "edge_cells": boundaries.CELLS, "time_step": jacobians.TIME_STEP},
)
