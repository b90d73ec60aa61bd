"""Sections 2 to 4, Figs 1 to 4: the flow, its fixed points, and how they merge."""

from __future__ import annotations

from .claim import DIRECT, READING, REFUTED, Claim, Finding, Measured, figure, verdict

ROUNDING = 1e-14
"""What two ways of computing one number may differ by."""


def euler(m: Measured) -> Finding:
    cells, apart = m("direct", "euler_step", "cells"), m("direct", "euler_step", "largest_difference")
    value = f"step and h + f(h) differ by at most {apart:.0e} over {cells} random cells"
    return Finding(value, verdict(apart < ROUNDING))


def trapping(m: Measured) -> Finding:
    cells, kept = m("direct", "trapping", "cells"), m("direct", "trapping", "inside_at_the_end_and_since")
    value = f"{kept} of {cells} starts outside come in and stay"
    why = "on |h_i| >= 1 the rate has the sign of -h_i, since |tanh| < 1"
    return Finding(value, verdict(kept == cells), why)


def closed(m: Measured) -> Finding:
    moved, other = m("direct", "closed_gate", "moved"), m("direct", "closed_gate", "other_moved")
    value = f"with b_z = (40, 0) a step moves the units by {moved:g} and {other:.3f}"
    return Finding(value, verdict(moved == 0.0 and other > 0.0))


def pseudo_attractors(m: Measured) -> Finding:
    moved, rate = m("direct", "closed_gate", "moved"), m("direct", "closed_gate", "rate")
    value = f"rate {rate:.1e}, state unchanged by a step of 1 in float64"
    return Finding(value, verdict(moved == 0.0 and rate != 0.0))


def fixed_points_and_gate(m: Measured) -> Finding:
    pair = [m("direct", "update_gate", name) for name in ("equal", "unequal")]
    same = all(pair[0][key] == pair[1][key] for key in ("n_fixed_points", "n_saddles"))
    value = f"{pair[0]['n_fixed_points']} and {pair[1]['n_fixed_points']} fixed points, "
    value += f"{pair[0]['n_saddles']} and {pair[1]['n_saddles']} saddles"
    return Finding(value, verdict(same), "1 - z > 0: it has no zero, and keeps the sign of det J")


def gate_and_topology(m: Measured) -> Finding:
    pair = [m("direct", "update_gate", name, "topology") for name in ("equal", "unequal")]
    value = f"U_h = [[5, -6], [6, -3]], b_z = (0, 0): {pair[0]}; b_z = (0, 2): {pair[1]}"
    if "census" in m:
        compared = m("census", "conjectures", "update gate", "by_distribution").values()
        value += f"; the census has {sum(one['changed'] for one in compared)} such pairs"
    why = "a vector of gates rescales the axes differently; only one gate for all units keeps the orbits"
    return Finding(value, verdict(pair[0] == pair[1]), why)


def three_flows(m: Measured) -> Finding:
    census = m("fig01", "census")
    flows = [len(flow["fixed_points"]) for flow in m("fig01", "flows").values()]
    value = f"{census['units']} units, {census['not_decided']} undecided: at most {census['largest_number']}"
    value += f" fixed points; the three flows have {', '.join(map(str, flows))}"
    return Finding(value, verdict(flows == [1, 2, 3] and census["largest_number"] == 3))


def saddle_node(m: Measured) -> Finding:
    node = m("fig01", "saddle_node")
    off = abs(node["b_h"] - node["closed_form_b_h"])
    value = f"f = df/dh = 0 at b_h = {node['b_h']:.15f}, off its closed form by {off:.0e}"
    return Finding(value, verdict(off < ROUNDING and abs(node["residual"]) < ROUNDING))


def ghost(m: Measured) -> Finding:
    (far, near), (slow, slower) = m("direct", "ghost", "distances"), m("direct", "ghost", "times")
    grows, root = slower / slow, (far / near) ** 0.5
    value = f"{slow:.1f} and {slower:.1f} time units at distances {far:g} and {near:g} from the saddle-node"
    why = f"the ratio {grows:.2f} against {root:g}: the inverse square root of the distance, without bound"
    return Finding(value, verdict(abs(grows / root - 1.0) < 0.1), why)


def nine(m: Measured) -> Finding:
    points, sinks = m("fig02", "fixed_points", "found"), m("fig02", "sinks", "found")
    value = f"{points} fixed points, {sinks} sinks, {'all' if m('fig02', 'certified') else 'not'} proven"
    return Finding(value, verdict(points == 9 and sinks == 4 and m("fig02", "certified")))


def quadrants(m: Measured) -> Finding:
    starts, own = m("fig02", "basins", "starts"), m("fig02", "basins", "in_their_own_quadrant")
    return Finding(f"{own} of {starts} starts", verdict(starts == own))


def pulses(m: Measured) -> Finding:
    after = m("fig02", "states_after_each_pulse", "sinks")
    value = f"the sinks after five pulses: {', '.join(map(str, after))}"
    return Finding(value, verdict(len(set(after)) == 4 and min(after) >= 0))


def catalogue(m: Measured) -> Finding:
    count = m("catalogue", "topologies")
    value = f"{count} structurally stable topologies, each with an example"
    why = (
        "the authors' catalogue of 36 could not be had, and counts degenerate cases too: numbers are compared"
    )
    return Finding(value, verdict(count >= 36) if count < 36 else READING, why)


def eleven(m: Measured) -> Finding:
    a = m("fig03", "A")
    value = f"{a['n_fixed_points']} fixed points, {a['topology']}"
    return Finding(value, verdict(a["n_fixed_points"] == 11 and a["certified"]), "a construction of ours")


def most(m: Measured) -> Finding:
    largest = m("fig03", "largest_number")
    cells = sum(one["cells"] for one in m("fig03", "search").values())
    value = f"at most {largest} in the search of {cells} cells of Fig 3"
    if "census" not in m:
        return Finding(
            value, verdict(largest <= 11, REFUTED) if largest > 11 else READING, "no census is there"
        )
    readings = m("census", "conjectures", "fixed points", "by_reading")
    found = [example["n_fixed_points"] for one in readings.values() for example in one["examples"]]
    value += f"; in the census of {m('census', 'systems')}: {max(found, default=11)}, certified"
    return Finding(
        value, verdict(max(found, default=largest) <= 11), "without update gate already" if found else ""
    )


def five_states(m: Measured) -> Finding:
    sinks = sum(point["kind"].startswith("stable") for point in m("fig03", "A", "points"))
    return Finding(
        f"{sinks} sinks beside {m('fig03', 'A', 'n_fixed_points') - sinks} others", verdict(sinks == 5)
    )


def merged(m: Measured) -> Finding:
    b = m("fig03", "B")
    at, near = b["one_unit_at_0"], [p for p in b["split_by"]["points"] if max(map(abs, p["h"])) < 0.5]
    kinds = sorted(point["kind"] for point in near)
    value = f"f = {at['f']:g}, df/dh = {at['df/dh']:g} in either unit; split by a bias: {', '.join(kinds)}"
    holds = kinds == ["saddle", "saddle", "stable node", "unstable node"]
    holds &= max(abs(at["f"]), abs(at["df/dh"])) < ROUNDING and b["beyond"]["topology"] == "sink"
    return Finding(value, verdict(holds), "a construction of ours: U_h = 3 I, U_r = -5 I, b_r = -ln 2")


def second_kind(m: Measured) -> Finding:
    node, before, after = (m("fig03", "C", part) for part in ("saddle_node", "before", "after"))
    least, other = node["eigenvalues"]
    value = f"b_h[0] = {node['b_h[0]']:.12f}, residual {node['residual']:.0e}; "
    value += f"eigenvalues {least:.0e}, {other:.3f}"
    lost = before["n_fixed_points"] - after["n_fixed_points"]
    return Finding(value, verdict(lost == 2 and other > 0 and node["residual"] < 1e-12))


def noisy(m: Measured) -> Finding:
    n = m("direct", "noise")
    value = f"at {n['without_noise']:.1e} from the origin without noise; of {n['runs']} runs with it, "
    value += f"{n['directly']} leave directly, {n['by_a_saddle_node']} by a saddle-node, "
    value += f"{n['arrived']} end at (-1, -1)"
    holds = n["without_noise"] < 0.01 and n["directly"] > 0 and n["by_a_saddle_node"] > 0
    holds &= n["by_both_saddle_nodes"] and n["arrived"] == n["runs"]
    return Finding(value, verdict(holds), "noise on the states, of strength 0.02; the text gives none")


def indistinguishable(m: Measured) -> Finding:
    ways, epsilon = m("fig04", "ways"), m("fig04", "machine_precision")
    below = {name: one["closer_than_epsilon_below_p"] for name, one in ways.items()}
    value = ", ".join(f"{name}: below {p:.1e}" for name, p in below.items())
    status = m("fig04", "at_the_degenerate_point", "status")
    holds = all(0 < p < 1 for p in below.values()) and status == "near bifurcation" and epsilon < 1e-15
    return Finding(
        f"closer than {epsilon:.1e} for a parameter {value}; the program says {status}", verdict(holds)
    )


def never_zero(m: Measured) -> Finding:
    largest = max(map(abs, m("fig04", "at_the_degenerate_point", "jacobian")))
    value = f"the largest entry of J at the origin of Fig 3B's cell is {largest:g}"
    why = (
        "3 sigma(-ln 2) = 1, so that f = df/dh = 0 at h = 0 in either unit: one point instead of four, d = 0"
    )
    return Finding(value, verdict(largest != 0.0), why)


CLAIMS = (
    Claim("2", "The discrete GRU is a forward Euler step, of length 1, of the ODE.", DIRECT, euler),
    Claim("2", "Starts outside [-1, 1]^d enter it in finite time and remain.", DIRECT, trapping),
    Claim("2, 6", "A unit whose update gate nears 1 keeps its state.", DIRECT, closed),
    Claim("6", "Finite precision makes such places act as attractors.", DIRECT, pseudo_attractors),
    Claim(
        "6", "The number of fixed points does not depend on the update gate.", DIRECT, fixed_points_and_gate
    ),
    Claim("2", "The update gate does not change the topology.", DIRECT, gate_and_topology),
    Claim("3, Fig 1", "One unit has three flows and no more.", figure("fig01"), three_flows),
    Claim("3, Fig 1", "A saddle-node leads from one stable node to two.", figure("fig01"), saddle_node),
    Claim("3", "Just before it the flow is arbitrarily slow in one place.", DIRECT, ghost),
    Claim("4, Fig 2A", "Two independent bistable units: 9 fixed points, 4 sinks.", figure("fig02"), nine),
    Claim("4, Fig 2A", "The basins are the quadrants.", figure("fig02"), quadrants),
    Claim("4, Fig 2B", "Inputs move the state between four discrete states.", figure("fig02"), pulses),
    Claim("4, suppl. 3", "Two units have many topologies: 36 are listed.", figure("catalogue"), catalogue),
    Claim("4, Fig 3A", "Two units can have 11 fixed points.", figure("fig03"), eleven),
    Claim("4, Fig 3A", "Of those 11, five are stable.", figure("fig03"), five_states),
    Claim("4, Fig 3A", "No more than 11 are observed, a possible upper bound.", figure("census"), most),
    Claim(
        "4, Fig 3B",
        "A pseudo-codimension-2 point at the origin, two saddle-nodes of the first kind and a sink coexist.",
        figure("fig03"),
        merged,
    ),
    Claim("4, Fig 3C", "There is a saddle-node of the second kind.", figure("fig03"), second_kind),
    Claim(
        "4, Fig 3B",
        "From the first quadrant the state comes to the origin; noise carries it on to (-1, -1), directly "
        "or by one of the saddle-nodes.",
        DIRECT,
        noisy,
    ),
    Claim(
        "4, Fig 4",
        "A sink, a source and two saddles can be closer than machine precision and act as one.",
        figure("fig04"),
        indistinguishable,
    ),
    Claim("4, Fig 4", "Their distance can not be exactly zero.", figure("fig04"), never_zero),
)
