"""What kind of motion a network's trajectory is, by a few numbers that are stored beside it.

Its largest exponent with its error, whether it is at rest at its end, and how large the state is there:
nothing is concluded from what the theory expects where.
"""

from __future__ import annotations

from enum import IntEnum

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ...analysis.lyapunov import LyapunovSpectrum
from ...records import Numbers, field

AT_REST = 1e-5
"""Root mean square of dx/dt, or of a map's step, below which a trajectory is at rest: rounding in single
precision leaves some 1e-7."""
AT_ZERO = 1e-3
"""Root mean square of a state that is at zero: one that decays by e in 100 units of time takes 700."""
SURE = 2.0
"""Standard errors by which an exponent has to differ from 0, beyond one e-folding over the averaging time: by
that much a bounded factor, such as a tangent's length around a cycle, may move it."""
SUSTAINED = 0.1
"""A motion whose speed falls by more than this over half of the averaging time is on its way to rest."""


class Motion(IntEnum):
    """What a trajectory is at its end."""

    NOT_COMPUTED = -1
    AT_ZERO = 0
    FIXED_POINT = 1
    PERIODIC_OR_SLOW = 2
    CHAOTIC = 3
    UNRESOLVED = 4


class Trajectory(eqx.Module):
    """What is stored of one network's trajectory; h are the units' states, first in the network's."""

    motion: Int[Numbers, ""] = field(long_name="kind of motion", flags=Motion, dtype="int8")
    largest_exponent: Float[Numbers, ""] = field(long_name="largest Lyapunov exponent", units="1/time")
    largest_exponent_error: Float[Numbers, ""] = field(
        long_name="standard error of the largest Lyapunov exponent, from batch means", units="1/time"
    )
    activity: Float[Numbers, ""] = field(long_name="mean square of h over units and time")
    output: Float[Numbers, ""] = field(
        long_name="mean square of what other units see of h, before gates, over units and time"
    )
    variance: Float[Numbers, ""] = field(long_name="variance in time of h, mean over units")
    amplitude: Float[Numbers, ""] = field(
        long_name="half of the largest peak to peak distance of an h in the second half of the time"
    )
    size: Float[Numbers, ""] = field(long_name="root mean square of the state at the end")
    speed: Float[Numbers, ""] = field(
        long_name="root mean square of the state's rate of change at the end", units="1/time"
    )
    exponent: Float[Numbers, " k"] = field(
        long_name="Lyapunov exponents, largest first", units="1/time", dims=("exponent_index",)
    )
    exponent_error: Float[Numbers, " k"] = field(
        long_name="standard error of a Lyapunov exponent, from batch means",
        units="1/time",
        dims=("exponent_index",),
    )
    dimension: Float[Numbers, ""] = field(long_name="Kaplan-Yorke dimension")
    dimension_error: Float[Numbers, ""] = field(
        long_name="standard error of the Kaplan-Yorke dimension, from batch means"
    )


def motion(
    found: LyapunovSpectrum,
    size: Float[Array, ""],
    speed: Float[Array, ""],
    halfway_speed: Float[Array, ""],
) -> Int[Array, ""]:
    """The `Motion` of a trajectory, from its exponents and its speed at the end and halfway.

    At rest: `AT_ZERO` or `FIXED_POINT`. Moving: `CHAOTIC` where the largest exponent is positive beyond
    doubt, `PERIODIC_OR_SLOW` where it is not told from 0, or where it is negative and the motion goes on, as
    that of a map with a period. `UNRESOLVED`: on the way to rest, at rest where that is unstable, not finite.
    """
    largest, error = found.exponent[0], found.exponent_error[0]
    # where there is no error a tangent has been sent to zero, at once and for good
    margin = SURE * jnp.where(jnp.isfinite(error), error, 0) + 1 / found.averaging_time
    rest, zero = speed < AT_REST, size < AT_ZERO
    falls, grows = largest < -margin, largest > margin
    goes_on = ~falls | (speed > SUSTAINED * halfway_speed)
    return jnp.select(
        [
            ~(jnp.isfinite(size) & jnp.isfinite(speed)) | jnp.isnan(largest),
            zero & (falls | (rest & ~grows)),
            rest & ~grows,
            ~rest & grows,
            ~rest & goes_on,
        ],
        [Motion.UNRESOLVED, Motion.AT_ZERO, Motion.FIXED_POINT, Motion.CHAOTIC, Motion.PERIODIC_OR_SLOW],
        Motion.UNRESOLVED,
    ).astype(jnp.int32)
