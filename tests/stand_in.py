"""A measure that is quick and known everywhere, in place of `studies.evaluator`, for tests of the face."""

import time

import numpy as np

from gru_sweep.records import Column, Status

_COUNTS = ("n_fixed_points", "n_sinks", "n_sources", "n_saddles", "n_stable_cycles")


class StuartLandau:
    """mu = -alpha, omega = beta: a cycle of radius sqrt(mu) and frequency omega / 2 pi where alpha < 0.

    alpha = 1 is left unresolved. `pause` is how long each block takes, in seconds.
    """

    chunk = 32768

    columns = (
        Column("status", (), (), np.dtype("i1"), "status", "1", Status),
        *(Column(name, (), (), np.dtype("i2"), name, "1") for name in _COUNTS),
        Column("frequency", (), (), np.dtype("f8"), "frequency", "1/time"),
        Column("amplitude", ("unit",), (2,), np.dtype("f8"), "amplitude", "1"),
    )

    def __init__(self, plan, note=None, device=None, pause=0.0):
        self.family, self.fixed, self.pause = plan.family, plan.fixed, pause
        self.settings = {"tolerance": 1e-9, "a_rather_long_tolerance": 1e-9}
        self.compilations, self.compile_seconds = 0, 0.0

    def at_once(self, points):
        return 1

    def __call__(self, coordinates):
        time.sleep(self.pause)
        self.compilations = 1
        full = self.family.complete({**self.fixed, **coordinates})
        alpha, beta = np.broadcast_arrays(full["alpha"], full["beta"])
        cycling, unresolved = alpha < 0, alpha == 1
        counts = (
            np.ones_like(alpha),
            ~cycling,
            cycling,
            np.zeros_like(alpha),
            np.where(unresolved, -1, cycling),
        )
        return {
            "status": np.where(unresolved, Status.UNRESOLVED, Status.OK).astype("i1"),
            **{name: value.astype("i2") for name, value in zip(_COUNTS, counts, strict=True)},
            "frequency": np.where(cycling, beta / (2 * np.pi), np.nan),
            "amplitude": np.where(cycling, 2 * np.sqrt(np.abs(alpha)), np.nan)[:, None] * np.ones(2),
        }
