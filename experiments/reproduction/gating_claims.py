"""The abstracts of Can et al. (2020) and Krishnamurthy et al. (2022) on large networks; and few units."""

from __future__ import annotations

from typing import Any

from .claim import READING, REFUTED, Claim, Finding, Measured, figure, verdict

CAN, KRISHNAMURTHY = "Can et al. 2020", "Krishnamurthy et al. 2022"
APART = 0.01
"""Share of a gain by which two onsets have to differ, where they are said to be apart."""
GATHERED = 3.0
"""Times the share of slow modes has to grow by with the gate's gain, where modes are said to gather."""
MOVED = 0.05
"""By which a radius has to change where something is said to set it."""
INCREASE = 1.5
"""Times by which a number has to grow, at the least, where a gate is said to control it."""
ERASED = 0.1
"""Overlap below which a memory is gone."""
SHARP = 50.0
"""Gain of the update gate from which on networks are expected to remember."""


def _case(m: Measured, cell: str, **gains: float) -> dict[str, Any]:
    """The spectrum of one case, on the attractor."""
    for case in m("spectra", "cases"):
        if case["cell"] == cell and not case["zero"] and case["coordinates"] == gains:
            return case
    raise KeyError(f"{cell} {gains}")


def _slow(cases: list[tuple[str, dict[str, Any]]]) -> Finding:
    value = "share of modes within 0.1 of neutral (and by theory): "
    value += ", ".join(f"{case['slow']:.3f} ({case['slow_theory']:.3f}) at {name}" for name, case in cases)
    return Finding(value, verdict(cases[-1][1]["slow"] > GATHERED * cases[0][1]["slow"]))


def update_gate(m: Measured) -> Finding:
    return _slow([(f"a_z = {z:g}", _case(m, "gru", a_h=3.0, a_z=z, a_r=0.0)) for z in (0.0, 2.0, 10.0)])


def forget_gate(m: Measured) -> Finding:
    return _slow([("a_f = 0", _case(m, "lstm", a_g=3.0)), ("a_f = 5", _case(m, "lstm", a_g=3.0, a_f=5.0))])


def timescales(m: Measured) -> Finding:
    return _slow(
        [(f"alpha_z = {z:g}", _case(m, "gated-rnn", g=3.0, alpha_z=z, alpha_r=0.0)) for z in (0.0, 5.0)]
    )


def _radius(cases: list[tuple[str, dict[str, Any]]]) -> Finding:
    value = "radius (and by theory): "
    value += ", ".join(
        f"{case['radius']:.3f} ({case['radius_theory']:.3f}) at {name}" for name, case in cases
    )
    first = cases[0][1]["radius"]
    return Finding(value, verdict(all(case["radius"] - first > MOVED for _, case in cases[1:])))


def reset_gate(m: Measured) -> Finding:
    return _radius([(f"a_r = {r:g}", _case(m, "gru", a_h=3.0, a_z=0.0, a_r=r)) for r in (0.0, 2.0)])


def input_and_output_gates(m: Measured) -> Finding:
    return _radius(
        [
            ("open gates half", _case(m, "lstm", a_g=3.0)),
            *((f"a_{k} = 5", _case(m, "lstm", a_g=3.0, **{f"a_{k}": 5.0})) for k in "io"),
        ]
    )


def _remembering(m: Measured, cell: str) -> tuple[str, bool]:
    """Overlaps with a pulse at the end, by the sharpness of the gate, at one gain in the window."""
    rows = {
        row["alpha_z"]: row["overlap"][-1]
        for row in m("memory", cell, "memory")
        if (row["g"], row["alpha_r"]) == (3.0, 0.0)
    }
    words = ", ".join(
        f"{rows[z]['mean']:.2f} (error {rows[z]['standard_error']:.2f}) at gain {z:g}" for z in sorted(rows)
    )
    holds = all(rows[z]["mean"] > 0.5 for z in rows if z >= SHARP)
    return words, holds and all(rows[z]["mean"] < 0.3 for z in rows if z < SHARP)


def marginal(m: Measured) -> Finding:
    words, holds = _remembering(m, "gru")
    case = _case(m, "gru", a_h=3.0, a_z=10.0, a_r=0.0)
    value = f"of a pulse is left after {m('memory', 'effort', 'times')[-1]:g} steps: {words}"
    why = f"by theory K = {case['K']:.2f} becomes {case['K_held']:.2f} where a sharp gate holds what it can "
    return Finding(value, verdict(holds and case["K"] > 1.0 > case["K_held"]), why + "(a_z = 10)")


def integrator(m: Measured) -> Finding:
    words, holds = _remembering(m, "gated-rnn")
    low, high = m("memory", "gated-rnn", "gains_that_remember")
    sharp = [one for one in m("memory", "gated-rnn", "integrator") if one["alpha_z"] >= SHARP]
    value = f"of a pulse is left after {m('memory', 'effort', 'times')[-1]:g}: {words}; at alpha_z = 50 "
    value += f"networks remember at gains from {low:g} to {high:g}"
    why = "pulses add up along a line, which explains "
    why += ", ".join(f"{100 * one['explained_by_a_line']['mean']:.0f} %" for one in sharp)
    why += ", with losses: two pushes leave "
    why += ", ".join(f"{one['two_pushes_over_their_sum']['mean']:.2f}" for one in sharp)
    why += " of their sum; without reset gates: with alpha_r = 5 memory fades"
    linear = all(one["verdict"] == "integrates" for one in sharp)
    return Finding(value, verdict(False, READING) if holds and linear and high > low else REFUTED, why)


def resetting(m: Measured) -> Finding:
    rows = [row for row in m("memory", "gated-rnn", "reset") if row["alpha_r"] == 5.0]
    found = {row["pulse"]: row for row in rows}
    opened, closed = found["update gates opened"], found["reset gates closed"]
    value = f"overlap with a memory {opened['before']:.2f}; after 2 units of time: "
    value += ", ".join(f"{row['after']['2.0']:.2f} {name}" for name, row in found.items())
    why = f"closed reset gates leave {closed['after']['50.0']:.2f} after 50 units of time"
    return Finding(value, verdict(opened["after"]["2.0"] < ERASED < found["none"]["after"]["2.0"]), why)


def fixed_points(m: Measured) -> Finding:
    rows = [row for row in m("fixed_points", "rows") if row["a_h"] == 3.0]
    value = "growth rate of the logarithm of their number with N, a_h = 3: "
    value += ", ".join(f"{row['rate']:.3f} at a_r = {row['a_r']:g}" for row in rows)
    why = f"networks of {m('fixed_points', 'effort', 'sizes')[0]} to "
    why += f"{m('fixed_points', 'effort', 'sizes')[-1]} units; of larger ones not all are found"
    return Finding(value, verdict(rows[-1]["rate"] > INCREASE * rows[0]["rate"]), why)


def apart(m: Measured) -> Finding:
    rows = [row for row in m("fixed_points", "rows") if row["g_fixed_points"] < row["g_chaos"]]
    value = "fixed points from g = "
    seen: dict[float, str] = {
        row[
            "a_r"
        ]: f"{row['g_fixed_points']:.3f} on, chaos from {row['g_chaos']:.3f} (alpha_r = {row['a_r']:g})"
        for row in rows
    }
    value += "; ".join(seen.values())
    below = [
        row["rate"]
        for row in m("fixed_points", "rows")
        if row["a_h"] < row["g_chaos"] and len(row["mean_field"]) > 1
    ]
    why = "by theory for N to infinity; their number was not seen to grow with N at a_h = 1.75, N up to 60"
    if below:
        why += f" (rates {', '.join(f'{rate:.3f}' for rate in below)})"
    gated = [row for row in m("fixed_points", "rows") if row["a_r"] > 0.0]
    earlier = all(row["g_fixed_points"] < (1.0 - APART) * row["g_chaos"] for row in gated)
    return Finding(value, READING if earlier else REFUTED, why)


def discontinuous(m: Measured) -> Finding:
    strong = [
        one
        for case in m("inputs", "inputs").values()
        for one in case
        if one["alpha_r"] > 0.0 and one["input_makes_chaos"]
    ]
    first = m("inputs", "inputs", "gated-rnn static", 0)
    value = (
        f"inputs push stable networks into chaos at {m('inputs', 'inputs_push_stable_networks_into_chaos')}; "
    )
    value += f"g = {first['g']:g}, alpha_r = {first['alpha_r']:g}: exponent "
    value += f"{first['rows'][0]['exponent']:.3f} without, {first['exponent_there']:.3f} with input of "
    value += f"{first['first_chaotic_strength']:g}, rest and chaos in {first['networks_with_rest_and_chaos']}"
    why = f"rest and chaos side by side, a jump, in {m('inputs', 'discontinuous_onsets')} onsets: at others "
    why += "networks differ by more than the range is wide"
    return Finding(value, verdict(len(strong) > 0 and first["onset"] == "discontinuous"), why)


def diagrams(m: Measured) -> Finding:
    value = "; ".join(
        f"{row['cell']}, {row['shape']} points: at zero where zero alone is stable "
        f"{row['at_zero_where_zero_alone_is_stable']['count']} of "
        f"{row['at_zero_where_zero_alone_is_stable']['of']}, away from it where it is unstable "
        f"{row['not_at_zero_where_zero_is_unstable']['count']} of "
        f"{row['not_at_zero_where_zero_is_unstable']['of']}"
        for row in m("phases", "diagrams")
    )
    worst = min(
        row[name]["count"] / row[name]["of"]
        for row in m("phases", "diagrams")
        for name in ("at_zero_where_zero_alone_is_stable", "not_at_zero_where_zero_is_unstable")
    )
    why = "where it is unstable networks move: mean-field fixed points are unstable, all of them"
    return Finding(value, verdict(worst > 0.95), why)


def dimension(m: Measured) -> Finding:
    of = m("phases", "dimension")
    value = f"Kaplan-Yorke dimension per unit at g = {of['g']:g}: "
    value += ", ".join(
        f"{each:.3f} at alpha_r = {a:g}" for a, each in zip(of["alpha_r"], of["median_per_unit"])
    )
    first, last = of["median_per_unit"][0], max(of["median_per_unit"])
    why = f"{of['networks']['networks']} networks of {of['networks']['size']} units"
    return Finding(value, verdict(last > INCREASE * first), why)


def training(m: Measured) -> Finding:
    rows = m("training", "by_a_z")
    value = f"recall after {m('training', 'effort', 'delay')} steps; rank correlation of the updates needed "
    value += "with the distance of the first exponent from zero: "
    value += ", ".join(
        f"{row['rank_correlation_of_time_and_distance']:.2f} at a_z = {row['a_z']:g}" for row in rows
    )
    value += "; fastest at a_h = " + "; ".join(
        ", ".join(f"{h:g}" for h in row["fastest_a_h"]) for row in rows
    )
    follows = [row["rank_correlation_of_time_and_distance"] > 0.5 for row in rows]
    why = "not learnt at a_h = "
    why += "; ".join(", ".join(f"{h:g}" for h in row["never_at_a_h"]) or "none" for row in rows)
    why += f" for a_z = {', '.join(format(row['a_z'], 'g') for row in rows)}"
    if all(follows):
        return Finding(value, verdict(True), why)
    why += ": with the sharpest gates networks in chaos learn worst, however small the exponent"
    return Finding(value, READING if any(follows) else REFUTED, why)


def three_units(m: Measured) -> Finding:
    flows = m("small_chaos", "flows")
    value = f"{flows['count']} of {flows['of']} drawn flows of three units; largest exponent "
    flow = [row for row in m("small_chaos", "draws") if row["draw"].startswith("flow")]
    best = max((one for row in flow for one in row["best"]), key=lambda one: one["exponent"][1])
    value += f"{best['exponent'][1]:.3f} (error {best['error'][1]:.3f})"
    without = next(row for row in flow if "no gates" in row["draw"])
    why = f"without gates, too ({without['chaotic']['count']} of {without['chaotic']['of']})"
    sure = best["exponent"][1] > 5.0 * best["error"][1]
    return Finding(value, verdict(flows["count"] > 0 and sure), why)


def one_lstm(m: Measured) -> Finding:
    lstm, gru = m("lstm", "lstm"), m("lstm", "gru")
    value = f"topologies: {lstm['topologies_by_draws']} in {sum(s['drawn'] for s in lstm['scales'])} LSTMs, "
    value += f"{gru['topologies_by_draws']} in as many GRUs of two units; {lstm['topologies']} and "
    value += f"{gru['topologies']} after a search; none of the LSTM's alone"
    why = f"an LSTM unit can oscillate; at most {m('lstm', 'lines', 'most')} fixed points were met"
    fewer = not m("lstm", "only_lstm") and lstm["topologies"] < gru["topologies"]
    return Finding(value, verdict(fewer), why)


CLAIMS = (
    Claim(CAN, "The GRU's update gate gathers slow modes.", figure("spectra"), update_gate),
    Claim(CAN, "The LSTM's forget gate does, too.", figure("spectra"), forget_gate),
    Claim(CAN, "The update gate can poise a GRU at a marginally stable point.", figure("memory"), marginal),
    Claim(CAN, "The reset gate sets the spectral radius of a GRU.", figure("spectra"), reset_gate),
    Claim(CAN, "Input and output gates set that of an LSTM.", figure("spectra"), input_and_output_gates),
    Claim(CAN, "The reset gate sets how many fixed points a GRU has.", figure("fixed_points"), fixed_points),
    Claim(CAN, "A phase diagram tells the GRU's fixed points.", figure("phases"), diagrams),
    Claim(CAN, "Training goes with the regimes.", figure("training"), training),
    Claim(KRISHNAMURTHY, "A gate controls the timescales.", figure("spectra"), timescales),
    Claim(KRISHNAMURTHY, "A gate controls the dimension.", figure("phases"), dimension),
    Claim(
        KRISHNAMURTHY,
        "A marginally stable state integrates, without fine tuning.",
        figure("memory"),
        integrator,
    ),
    Claim(KRISHNAMURTHY, "Gates reset the memory.", figure("memory"), resetting),
    Claim(
        KRISHNAMURTHY,
        "The transition to chaos can be discontinuous; inputs push a stable network into chaos.",
        figure("inputs"),
        discontinuous,
    ),
    Claim(KRISHNAMURTHY, "Critical points appear apart from chaos.", figure("fixed_points"), apart),
)
THREE_UNITS = Claim(
    "6", "Three units are probably chaotic for some parameters.", figure("small_chaos"), three_units
)
ONE_LSTM = Claim("6", "One LSTM unit has fewer kinds of dynamics than two GRUs.", figure("lstm"), one_lstm)
