"""`gru-sweep gating`: large random networks with gates."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import App, Parameter

from .application import Config, Quiet, Set, app
from .reading import settings_of

gating = App(name="gating", help="Large random networks with gates: theory, and simulations beside it.")
app.command(gating)

COORDINATES = {"alpha_r": 0.0}
"""What --set may fix for the theory, and its default: gates that do not move."""


@gating.command(help_epilogue="Example: gru-sweep gating critical --set alpha_r=10 --json")
def critical(
    *,
    settings: Set = None,
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON object instead of a table.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Print the critical gains of the random gated RNN without biases and inputs, from theory alone.

    The coordinate is alpha_r, the gain of the reset gates (0 if not set).
    At g_zero the zero fixed point loses stability; from g_fixed_points on there are others.
    From g_chaos on there is sustained chaos (alpha_z = 0, tau_r to 0).
    At g_marginal_end ends the marginal window of a sharp, unbiased update gate.
    What does not exist is null; errors bound the distance to the truth.
    """
    from ..gating import critical_gains
    from ..records import InputError, nearest

    given = settings_of(settings or [])
    for name in given:
        if name not in COORDINATES:
            raise InputError("--set", nearest(name, COORDINATES), name)
    found = critical_gains(**{**COORDINATES, **given}).to_dict()
    if as_json:
        print(json.dumps(found, allow_nan=False))
        return
    print(f"alpha_r = {found['alpha_r']:g}")
    for name, error in found["errors"].items():
        value = found[name]
        print(f"{name:<16} " + ("none" if value is None else f"{value:.12f}  +- {error:.0e}"))
    for name, how in found["onset"].items():
        place = found["tricritical_alpha_r"][name]
        print(f"onset of {name.replace('_', ' ')}: {how} (discontinuous beyond alpha_r = {place:.6f})")
