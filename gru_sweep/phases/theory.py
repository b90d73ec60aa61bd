"""What mean field says of a point, beside what its networks do."""

from __future__ import annotations

import dataclasses
from enum import IntEnum

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from ..gating import biased
from ..gating.mean_field import MARGINAL_K
from ..records import Column, Numbers, field
from ..systems.networks import RandomNetworks
from .measure import columns_of

BRANCHES = biased.SLOTS
UNBIASED = {"gru": "b_z", "lstm": "b_f", "gated-rnn": "beta_z"}
"""The bias of the gate that may hold units: where it is 0, a sharp gate holds half of them."""


class Prediction(IntEnum):
    """Stability of the mean-field fixed points of a point, at a finite gain of the update or forget gate."""

    NOT_COMPUTED = -1
    STABLE = 0
    STABLE_AND_UNSTABLE = 1
    UNSTABLE = 2


class Theory(eqx.Module):
    """The mean-field fixed points (see `gating.biased`), N to infinity."""

    prediction: Int[Numbers, "*p"] = field(
        long_name="stability of the mean-field fixed points", flags=Prediction, dtype="int8"
    )
    marginal: Int[Numbers, "*p"] = field(
        long_name="whether networks of an infinitely sharp update or forget gate have marginal fixed points "
        "(1); -1 where that gate has a bias",
        dtype="int8",
    )
    K_zero: Float[Numbers, "*p"] = field(
        long_name="slope of the covariance map at zero, unstable above 1; NaN where zero is no fixed point"
    )
    K_largest: Float[Numbers, "*p"] = field(long_name="the same at the fixed points of the largest activity")
    mean_field_count: Int[Numbers, "*p"] = field(
        long_name="mean-field fixed points, zero among them", dtype="int8"
    )
    mean_field_activity: Float[Numbers, "*p b"] = field(
        long_name="mean square of h at each of them", dims=("branch",)
    )
    mean_field_K: Float[Numbers, "*p b"] = field(
        long_name="slope of the covariance map at each of them, unstable above 1", dims=("branch",)
    )


def shape() -> tuple[Column, ...]:
    """The columns of a `Theory`, which is float64 whatever the precision of the networks."""
    return columns_of(Theory, "float64", {"branch": BRANCHES})


def values(family: RandomNetworks, points: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The theory of n points as columns, each (n, ...)."""
    found = theory(family, points)
    return {f.name: np.asarray(getattr(found, f.name)) for f in dataclasses.fields(found)}


def theory(family: RandomNetworks, points: dict[str, np.ndarray]) -> Theory:
    """Of n points, each field (n, ...); nothing is known where a gain or bias is beyond the theory's."""
    name = family.ensemble.name
    within = np.all([np.abs(value) <= biased.most(name, key) for key, value in points.items()], axis=0)
    found = biased.fixed_points(name, {key: np.where(within, value, 1.0) for key, value in points.items()})
    count, K = np.where(within, found.count, -1), np.where(within[:, None], found.K, np.nan)
    there = np.arange(BRANCHES) < count[:, None]
    stable, unstable = (there & (K < 1.0)).any(axis=1), (there & (K > 1.0)).any(axis=1)
    prediction = np.select(
        [stable & unstable, stable, unstable],
        [Prediction.STABLE_AND_UNSTABLE, Prediction.STABLE, Prediction.UNSTABLE],
        Prediction.NOT_COMPUTED,
    )
    marginal = (there & (K > 1.0) & (K < MARGINAL_K)).any(axis=1)
    last = np.take_along_axis(K, np.maximum(count - 1, 0)[:, None], axis=1)[:, 0]
    return Theory(
        prediction=prediction.astype(np.int8),
        marginal=np.where(within & (points[UNBIASED[name]] == 0.0), marginal, -1).astype(np.int8),
        K_zero=np.where(within, found.K_zero, np.nan),
        K_largest=np.where(count > 0, last, np.nan),
        mean_field_count=count.astype(np.int8),
        mean_field_activity=np.where(within[:, None], found.variance, np.nan),
        mean_field_K=K,
    )
