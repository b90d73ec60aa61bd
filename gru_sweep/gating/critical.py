r"""The critical gains of the random gated RNN without biases and inputs, by reset gain alpha_r.

- `g_zero`: the zero fixed point loses stability, at g = 2, since the gates are half open there.
- `g_fixed_points`: fixed points other than zero first exist, at 2 / sqrt(max G) of `mean_field` (1).
- `g_chaos`: sustained chaos first exists, for alpha_z = 0 and tau_r to 0, at 2 / sqrt(max H) of `dmft` (2).
- `g_marginal_end`: K = 2 on the branch of larger <h^2> of `mean_field`. There ends the marginal window of an
  unbiased update gate with alpha_z to infinity.

None depends on alpha_z: fixed points do not, and the last two are for the limits named. Always g_fixed_points
<= g_chaos <= g_zero. K grows along its branch from its value at the fold. Where that is 2 or more already,
beyond alpha_r = 39.01, the branch has no marginal window and `g_marginal_end` is None.

Errors: gains are extrema of functions whose relative error is below that of the averages, so the place of the
extremum does not matter; the end of the window is bracketed by solving for K on either side of 2.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from . import dmft, mean_field
from .crossings import crossing
from .gaussian import AVERAGE_ERROR

MARGIN = 4.0 * AVERAGE_ERROR
"""Relative error of K, of G and of H: each has no more than four averages as factors."""
TRICRITICAL = {"fixed_points": mean_field.TRICRITICAL, "chaos": dmft.TRICRITICAL}
"""alpha_r beyond which the onset of each is discontinuous."""
FAR = 4.0
"""s at which K is above 2 for every alpha_r: it is 2.8 for alpha_r = 0, and grows with alpha_r."""


@dataclasses.dataclass(frozen=True)
class CriticalGains:
    """Critical values of g at one alpha_r; None is what does not exist there."""

    alpha_r: float
    g_zero: float
    g_fixed_points: float
    g_chaos: float
    g_marginal_end: float | None
    errors: dict[str, float | None]
    """By name, a bound on |value - truth|."""

    @property
    def onset(self) -> dict[str, str]:
        """How fixed points and chaos appear: continuous or discontinuous."""
        words = "continuous", "discontinuous"
        return {name: words[self.alpha_r > limit] for name, limit in TRICRITICAL.items()}

    def to_dict(self) -> dict[str, Any]:
        """The object that `gru-sweep gating critical --json` prints."""
        return {**dataclasses.asdict(self), "onset": self.onset, "tricritical_alpha_r": TRICRITICAL}


def critical_gains(alpha_r: float) -> CriticalGains:
    """All critical gains at alpha_r >= 0. Refuses (`InputError`) what is negative or not finite."""
    alpha_r = mean_field.checked(alpha_r)
    born, chaos = mean_field.fold(alpha_r), dmft.fold(alpha_r)
    largest = {
        "g_fixed_points": mean_field.loop_gain(born, alpha_r)[0] if born else 1.0,
        "g_chaos": dmft.energy_gain(chaos, alpha_r)[0] if chaos else 1.0,
    }
    # a maximum that is 1 within rounding is one at s = 0
    gains = {name: mean_field.G_ZERO / math.sqrt(max(value, 1.0)) for name, value in largest.items()}
    errors: dict[str, float | None] = {
        f"g_{name}": gains[f"g_{name}"] * MARGIN / 2.0 if alpha_r > limit else 0.0
        for name, limit in TRICRITICAL.items()
    }
    end, error = _marginal_end(alpha_r, born or mean_field.SMALLEST)
    return CriticalGains(
        alpha_r=alpha_r,
        g_zero=mean_field.G_ZERO,
        **gains,
        g_marginal_end=end,
        errors={"g_zero": 0.0, **errors, "g_marginal_end": error},
    )


def _marginal_end(alpha_r: float, start: float) -> tuple[float | None, float | None]:
    """g where K = 2 on the branch that begins at s = start, and its error."""

    def at(level: float) -> float | None:
        s = crossing(lambda s: mean_field.stability(s, alpha_r) - level, start, FAR)
        return None if s is None else mean_field.gain(s, alpha_r)

    low, here, high = (at(mean_field.MARGINAL_K * factor) for factor in (1.0 - MARGIN, 1.0, 1.0 + MARGIN))
    if low is None or here is None or high is None:
        return None, None
    return here, max(high - here, here - low, 0.0) + here * MARGIN
