"""Sections 4 to 6: lines of slow points, conjectures, with `training_claims`, and what was left open."""

from __future__ import annotations

from collections.abc import Callable

from . import gating_claims, training_claims
from .claim import DIRECT, READING, REFUTED, Claim, Finding, Measured, figure, verdict

WITHOUT_RESET = ("sigmoid", "s-shape", "three lines")
WITH_RESET = ("pitchfork", "sigmoid + U", "sigmoid + O")


def one_point(m: Measured) -> Finding:
    counts = m("fig10", "fixed_points") + m("fig10", "fixed_points_with_gates")
    known = m("fig10", "certified") + m("fig10", "certified_with_gates")
    near, gap = m("fig10", "nullclines_apart_at_most", -1), m("fig10", "one_minus_u", -1)
    value = (
        f"{max(counts)} fixed point at every u, {'all' if all(known) else 'not all'} proven; nullclines at "
    )
    value += f"most {near:.4f} apart within 0.2 at 1 - u = {gap:.0e}"
    return Finding(value, verdict(set(counts) == {1} and all(known) and near < 0.02), "found by the program")


def slow(m: Measured) -> Finding:
    time, gated = m("fig10", "time_to_a_tenth"), m("fig10", "time_to_a_tenth_with_gates")
    last = m("fig10", "at_u_of_1")
    value = (
        f"0.2 falls to 0.02 within {time[-1]:.0f} at 1 - u = {m('fig10', 'one_minus_u', -1):.0e}, with reset "
    )
    value += f"gates within {gated[-1]:.3g}"
    why = (
        f"on a fixed interval the speed stays: s^3/6 at u = 1, {last['largest_speed']:.1e} at s = 0.2; gates "
    )
    why += (
        f"that cancel it leave {last['largest_speed_with_gates']:.1e}; arbitrarily slow it is near the point"
    )
    return Finding(value, READING if gated[-1] > 10 * time[-1] > 1e3 else REFUTED, why)


def no_line(m: Measured) -> Finding:
    left = m("fig10", "at_u_of_1", "speed_over_s^3_at_the_innermost_place")
    value = f"speed {left:.4f} s^3 on the line at u = 1, where the eigenvalue is 0"
    return Finding(value, verdict(abs(left - 1 / 6) < 1e-3), "not a proof for other weights")


def target(m: Measured) -> Finding:
    found = m("direct", "fitzhugh_nagumo")
    period = "none" if found["period"] is None else f"{found['period']:.4f}"
    value = f"{found['topology']}, {', '.join(found['kinds'])}, period {period}"
    if found["topology"] != "cycle+(source)":
        return Finding(value, REFUTED)
    why = "at the mean of I, 0.7, an unstable node: its eigenvalues are real"
    return Finding(value, *((READING, why) if "unstable node" in found["kinds"] else (verdict(True), "")))


def representable(m: Measured) -> Finding:
    ours, theirs = (
        m("direct", "eq8", "just_before_the_folds", "topology"),
        m("direct", "fitzhugh_nagumo", "topology"),
    )
    return Finding(f"Eq 8: {ours}; target: {theirs}", verdict(ours == theirs != ""))


def hidden(m: Measured) -> Finding:
    if "census" in m:
        return conjecture("hidden attractors")(m)
    count = m("catalogue", "with_a_hidden_cycle")
    value = f"{count} topologies of the catalogue have a stable cycle around no unstable fixed point"
    why = "a stable and an unstable cycle around a sink, with unequal b_z (sections 3 and 4 set b_z = 0)"
    return Finding(value, verdict(count == 0), why if count else "")


def conjecture(name: str) -> Callable[[Measured], Finding]:
    """The check of a conjecture that the census looked at, reading by reading."""

    def check(m: Measured) -> Finding:
        readings = m("census", "conjectures", name, "by_reading")
        parts = []
        for reading, one in readings.items():
            count = len(one["examples"])
            share = "" if count or one["share_below"] is None else f", a share below {one['share_below']:.1e}"
            parts.append(f"{reading}: {count or 'no'} certified counter-example{'s' * (count != 1)}{share}")
        against = any(one["examples"] for one in readings.values())
        # none among so many is no proof
        return Finding(
            "; ".join(parts), REFUTED if against else READING, "" if against else "in what was drawn"
        )

    return check


def planar_folds(m: Measured) -> Finding:
    readings = m("census", "conjectures", "cycle folds", "by_reading")
    count = sum(len(one["examples"]) for one in readings.values())
    why = (
        "in the plane already"
        if count
        else "among the planar cells of the census; none of three units was drawn"
    )
    return Finding(f"{count} folds of cycles bracketed, each with a cell as example", verdict(count > 0), why)


def shapes_without_reset(m: Measured) -> Finding:
    found = m("nullclines", "without_reset_gate")
    others = [shape for shape in found if shape not in WITHOUT_RESET]
    value = f"{', '.join(found)} among drawn units"
    if not set(WITHOUT_RESET) <= set(found):
        return Finding(value, verdict(False))
    why = f"within the box there is also {', '.join(others)}: an s-shape whose bends lie outside" * bool(
        others
    )
    return Finding(value, verdict(not others, READING), why)


def shapes_with_reset(m: Measured) -> Finding:
    counts = {shape: m("nullclines", "named", shape) for shape in WITH_RESET}
    beyond = len(m("nullclines", "beyond_the_list"))
    value = ", ".join(f"{shape}: {count}" for shape, count in counts.items())
    value += f" of {m('nullclines', 'units')} drawn units"
    return Finding(
        value, verdict(min(counts.values()) > 0), f"{beyond} further shapes are found" * bool(beyond)
    )


def robust(m: Measured) -> Finding:
    names = [name.split(",")[0] for name in m("robustness", "cells")]
    cells = list(m("robustness", "cells").values())
    checks = [cell["checks"] for cell in cells]
    kept = all(one["inside_alike"] + one["inside_not_known"] == one["inside"] for one in checks)
    near = [cell["distance_at_most"] for cell in cells]
    pruned = sum(len(cell["can_be_pruned"]) for cell in cells)
    weights = sum(cell["weights"] for cell in cells)
    drawn = m("robustness", "drawn")
    spare, entries = drawn["entries_that_can_go_per_cell"], len(cells[0]["entries"])
    value = f"the nearest bifurcation is {', '.join(f'{x:.2f}' for x in near)} away for the cells of "
    value += (
        f"{', '.join(names)}; of their {weights} weights {pruned} can be pruned, of the {entries} entries "
    )
    value += f"of {drawn['cells']} drawn cells {spare:.1f}, one at a time"
    good = kept and min(near) > 0.0 and spare > 0.5 * entries
    if not good or pruned:
        return Finding(value, verdict(good))
    return Finding(
        value, READING, "the text asks how far; most single entries can go, not the figures' weights"
    )


CLAIMS = (
    Claim("4, Fig 10", "Nullclines that nearly coincide, with one intersection.", figure("fig10"), one_point),
    Claim("4, Fig 10", "There the flow can be arbitrarily slow.", figure("fig10"), slow),
    Claim("4, 5.2", "It only resembles a line of fixed points.", figure("fig10"), no_line),
    Claim("5.1", "The FitzHugh-Nagumo target: an unstable spiral inside a cycle.", DIRECT, target),
    Claim("5.1", "Two units can have that topology.", DIRECT, representable),
    Claim("4, 6", "There are no hidden attractors (a conjecture).", figure("census"), hidden),
    Claim(
        "6",
        "Without reset gate at most four sinks.",
        figure("census"),
        conjecture("sinks without reset gate"),
    ),
    Claim("6", "Bifurcations of cycles occur (the text: perhaps in 3-D).", figure("census"), planar_folds),
    Claim(
        "6",
        "Nullclines without reset gate: sigmoid, s-shape, three lines.",
        figure("nullclines"),
        shapes_without_reset,
    ),
    Claim("6", "With it: pitchfork, sigmoid and U, O-shape.", figure("nullclines"), shapes_with_reset),
    *training_claims.CLAIMS,
    gating_claims.THREE_UNITS,
    gating_claims.ONE_LSTM,
    Claim(
        "6",
        "Topologies withstand pruning and perturbation, how far is asked.",
        figure("robustness"),
        robust,
    ),
    training_claims.REDUNDANT,
)
