"""Section 4, Figs 5 to 9: oscillations, and orbits that come back to where they left."""

from __future__ import annotations

import math
from itertools import pairwise

from .claim import DIRECT, READING, REFUTED, Claim, Finding, Measured, figure, number, verdict

HOPF_OF_THE_TEXT = math.pi / 3.8
APPROXIMATELY = 0.02
"""How far off, relatively, a value may be that the text calls approximate; its two digits stand for 1.3 %."""
USUAL, PRINTED = "1 / (1 + e^-z), the usual sign", "1 / (1 + e^z), as printed"


def spiral(m: Measured) -> Finding:
    kinds, word = m("direct", "eq8", "spiral", "kinds"), m("direct", "eq8", "spiral", "topology")
    return Finding(f"{', '.join(kinds)}; {word}", verdict(kinds == ["stable focus"] and word == "sink"))


def hopf(m: Measured) -> Finding:
    at, error = m("direct", "eq8", "hopf"), m("direct", "eq8", "hopf_error")
    off = at / HOPF_OF_THE_TEXT - 1.0
    value = f"{number(at, error, 12)} = pi/{math.pi / at:.4f}; "
    value += f"arccos(2/3) is {abs(at - math.acos(2 / 3)):.0e} away"
    why = f"the text's value is {HOPF_OF_THE_TEXT:.5f}, {100 * off:.1f} % below; arccos(2/3) is exact, "
    why += "since the trace at the origin is (3/2) cos(alpha) - 1"
    if abs(off) < 0.05 / 3.8:
        return Finding(value, verdict(True), why)
    return Finding(value, READING if abs(off) < APPROXIMATELY else REFUTED, why + "; read as 'within 2 %'")


def longer(m: Measured) -> Finding:
    periods = m("direct", "eq8", "periods")
    value = ", ".join(f"{name}: {p:.4f}" for name, p in periods.items() if p)
    known = [p or math.nan for p in periods.values()]
    return Finding(value, verdict(all(a < b for a, b in pairwise(known))))


def any_length(m: Measured) -> Finding:
    periods = m("direct", "eq8", "periods_near_the_folds")
    known = [p or math.nan for p in periods.values()]
    value = ", ".join(f"{d} before: {p:.2f}" for d, p in zip(periods, known))
    ratios = [b / a for a, b in pairwise(known)]
    why = "a hundredth of the distance makes it ten times as long: saddle-nodes on the cycle"
    return Finding(value, verdict(all(8 < r < 12 for r in ratios) and len(ratios) > 1), why)


def four_folds(m: Measured) -> Finding:
    e = m("direct", "eq8")
    before, beyond = (
        e["just_before_the_folds"]["n_fixed_points"],
        e["just_beyond_the_folds"]["n_fixed_points"],
    )
    at = number(e["fold"], e["fold_error"], 12)
    value = f"{e['folds']} at alpha = {at}: {before} and {beyond} fixed points"
    return Finding(value, verdict(e["fold_proven"] and (e["folds"], before, beyond) == (4, 1, 9)))


def as_in_fig2(m: Measured) -> Finding:
    word, other = m("direct", "eq8", "beyond", "topology"), m("fig02", "topology")
    return Finding(f"{word}; Fig 2: {other}", verdict(word == other != ""))


def white(m: Measured) -> Finding:
    points = m("fig06", "signs", USUAL, "points")[m("fig06", "signs", USUAL, "s").index(0.0)]
    side = m("fig06", "grid")["alpha"] * m("fig06", "grid")["beta"]
    value = f"a cycle at {points} of {side} points for s = 0; "
    value += f"{m('fig06', 'points_not_ok')} points of the sweep undecided"
    return Finding(value, verdict(0 < points < side / 2))


def slower(m: Measured) -> Finding:
    usual, printed = (m("fig06", "signs", sign) for sign in (USUAL, PRINTED))
    value = f"rank correlation of mean and variance with s: {usual['trend_of_mean']:+.2f}, "
    value += f"{usual['trend_of_variance']:+.2f}; under the printed sigmoid {printed['trend_of_mean']:+.2f}, "
    value += f"{printed['trend_of_variance']:+.2f}"
    why = "the text prints the sigmoid as 1/(1 + e^z), falling; under it the claim holds, under the "
    why += "usual one its opposite: s acts through the gain beta sigma(s) alone"
    falls = [max(s["trend_of_mean"], s["trend_of_variance"]) < -0.9 for s in (usual, printed)]
    return Finding(value, verdict(falls[0], READING if falls[1] else REFUTED), "" if falls[0] else why)


def exists(m: Measured) -> Finding:
    one, two = m("fig07", "by_the_gap"), m("fig07", "by_the_period")
    apart = abs(one["gamma"] - two["gamma"])
    value = f"gamma = {number(one['gamma'], one['error'], 13)} by the gap of the manifolds, "
    value += f"{number(two['gamma'], two['error'], 10)} by the period"
    return Finding(value, verdict(apart <= one["error"] + two["error"] and abs(one["gap_left"]) < 1e-12))


def where(m: Measured) -> Finding:
    off, there = m("fig07", "claimed_less_found"), m("fig07", "at_the_gamma_of_the_text")
    step = m("fig07", "euler", "step_that_gives_the_text")
    value = f"off by {off:.2e}; at 0.054085 a stable cycle of period {there['period']:.3f}, "
    value += f"{there['distance_from_the_saddle']:.3f} from the saddle"
    why = f"the flow has it elsewhere; forward Euler steps of {step:.3f} would have it there "
    why += "(the text does not say how it integrates)"
    return Finding(value, verdict(abs(off) <= m("fig07", "last_digit") / 2), why)


def both_ways(m: Measured) -> Finding:
    left = m("fig07", "by_the_gap", "gap_left")
    value = f"the two manifolds of the saddle meet to {abs(left):.0e}"
    return Finding(value, verdict(abs(left) < 1e-12))


def expands(m: Measured) -> Finding:
    periods = m("fig07", "by_the_period", "periods")
    value = f"period {periods[0]:.2f} to {periods[-1]:.2f} on the way to it"
    return Finding(value, verdict(all(a < b for a, b in pairwise(periods))))


def hopf_of_eq9(m: Measured) -> Finding:
    at = m("fig08", "hopf")
    value = f"gamma = {number(at['gamma'], at['error'], 13)}, {'proven' if at['proven'] else 'not proven'}"
    return Finding(value, verdict(at["proven"] and 0.051 < at["gamma"] < 0.0535))


def panel(letter: int, focus: str, cycles: int):
    """The check of one panel of Fig 8: the kind of the focus, and the number of stable cycles."""

    def check(m: Measured) -> Finding:
        one = m("fig08", "panels", letter)
        period = "no cycle" if one["period"] is None else f"a stable cycle of period {one['period']:.4f}"
        value = f"{one['focus']['kind']}, {period}; {one['topology']}"
        holds = one["focus"]["kind"] == focus and one["n_stable_cycles"] == cycles
        return Finding(
            value, verdict(holds), "" if holds else "the homoclinic orbit is further on: see Fig 7"
        )

    return check


def regions(name: str, count: int):
    """The check of Fig 9A or 9B: so many regions, in which every start comes back, and no other."""

    def check(m: Measured) -> Finding:
        case = m("fig09", "cases", name)
        back, out = case["inside_and_back_both_ways"], case["outside_and_back_both_ways"]
        areas = ", ".join(f"{one['area']:.4f}" for one in case["regions"])
        turning = all(one["turning"]["undecided"] == 0 and one["saddle_proven"] for one in case["regions"])
        value = f"area {areas}; {back} of {case['inside']} starts inside come back both ways, {out} outside"
        holds = len(case["regions"]) == count and back == case["inside"] > 0 and not out and turning
        small = m("fig09", "area_of_the_second_region", "area")
        why = f"U_r = {case['U_r']}, found by the program"
        if count == 1:
            why += "; the quadratic field reverses under h -> -h, so that regions come in pairs: one alone "
            why += f"needs a reset weight of zero; near zero the second is small (area {small[-1]:.3f})"
        return Finding(value, verdict(holds) if count > 1 or not holds else READING, why)

    return check


def cluster(m: Measured) -> Finding:
    kinds = m("fig09", "cases", "two regions", "split_by_reset_biases")
    value = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    sinks = sum(count for kind, count in kinds.items() if kind.startswith("stable"))
    sources = sum(count for kind, count in kinds.items() if kind.startswith("unstable"))
    saddles = kinds.get("saddle", 0)
    why = f"their indices add up to {sinks + sources - saddles}; Fig 4 has two saddles, and 0: around such "
    why += "a point orbits of its quadratic field do not come back"
    holds = (sinks, sources, saddles) == (1, 1, 2)
    return Finding(value, verdict(holds, READING if sinks and sources else REFUTED), why)


def no_loop(m: Measured) -> Finding:
    zero = m("fig09", "cases", "two regions", "largest_entry_of_f_and_J_at_0")
    turning = [one["turning"]["undecided"] for one in m("fig09", "cases", "two regions", "regions")]
    value = (
        f"|f|, |J| at the origin are {zero:g}; {sum(turning)} boxes where the sense of turning is not proven"
    )
    why = "here d = 0, and orbits are homoclinic in exact arithmetic, too; the text supposes d > 0"
    return Finding(value, verdict(zero != 0.0 or sum(turning) > 0), why)


CLAIMS = (
    Claim("4, Fig 5A", "Eq 8, beta = 3, s = 0, alpha = pi/3: one stable spiral.", DIRECT, spiral),
    Claim("4, Fig 5", "Smaller alpha: a Hopf bifurcation at approximately pi/3.8.", DIRECT, hopf),
    Claim("4, Fig 5", "The period grows as alpha falls.", DIRECT, longer),
    Claim("4, Fig 5", "It can be made as long as one likes.", DIRECT, any_length),
    Claim("4, Fig 5", "Then four saddle-nodes happen at once.", DIRECT, four_folds),
    Claim("4, Fig 5", "What is left is the topology of Fig 2A.", DIRECT, as_in_fig2),
    Claim("4, Fig 6A", "Cycles fill a part of the (alpha, beta) plane.", figure("fig06"), white),
    Claim("4, Fig 6B", "Larger s: lower mean frequency, and less variance.", figure("fig06"), slower),
    Claim("4, Fig 7", "Eq 9 has a homoclinic bifurcation.", figure("fig07"), exists),
    Claim("4, Fig 7", "The homoclinic orbit is at gamma = 0.054085.", figure("fig07"), where),
    Claim("4, Fig 7", "Orbits on it tend to one saddle both ways.", figure("fig07"), both_ways),
    Claim("4, Fig 7", "The cycle grows into it.", figure("fig07"), expands),
    Claim("4, Fig 8", "A Hopf bifurcation comes first.", figure("fig08"), hopf_of_eq9),
    Claim("4, Fig 8A", "gamma = 0.051: a stable fixed point.", figure("fig08"), panel(0, "stable focus", 0)),
    Claim("4, Fig 8B", "gamma = 0.0535: a stable cycle.", figure("fig08"), panel(1, "unstable focus", 1)),
    Claim(
        "4, Fig 8C", "gamma = 0.054085: the cycle is gone.", figure("fig08"), panel(2, "unstable focus", 0)
    ),
    Claim("4, Fig 8D", "gamma = 0.0542: no cycle.", figure("fig08"), panel(3, "unstable focus", 0)),
    Claim(
        "4, Fig 9A", "One bounded region returns to the origin.", figure("fig09"), regions("one region", 1)
    ),
    Claim("4, Fig 9B", "Two such regions.", figure("fig09"), regions("two regions", 2)),
    Claim("4, Fig 9", "The origin is four points: Fig 4's.", figure("fig09"), cluster),
    Claim(
        "4, Fig 9",
        "No orbit is homoclinic really; only finite precision makes it so.",
        figure("fig09"),
        no_loop,
    ),
)
