"""Section 5, Figs 11 and 12: what networks learn, and what more units are worth."""

from __future__ import annotations

from .claim import READING, REFUTED, Claim, Finding, Measured, figure, verdict

MOST = 0.9
"""Share of a line's places that are held, at the least, where it is said to be learnt."""


MOVING = ("periodic", "closed curve", "chaotic")
"""Classes of attractors on which a state does not rest."""


def count(found: dict) -> str:
    """`16 of 20 (0.58 to 0.92)`."""
    low, high = found["interval"]
    return f"{found['count']} of {found['of']} ({low:.2f} to {high:.2f})"


def cycle(m: Measured) -> Finding:
    has, agree = m("fig11", "fhn", "flow_has_the_topology"), m("fig11", "fhn", "both_readings_agree")
    period, true = m("fig11", "fhn", "period_of_the_flow", "median"), m("fig11", "fhn", "true_period")
    value = f"{count(has)} have one stable cycle around one unstable fixed point; flow and map agree in "
    value += f"{agree['count']} of {agree['of']}; period {period:.2f} steps, in truth {true:.2f}"
    when = m("fig11", "fhn", "epoch_of_the_cycle", "median")
    why = f"the others rest; the cycle is there after {when:.0f} epochs (median); from block rotations "
    why += f"{count(m('choices', 'initialisations', 'by_name', 'rotation', 'a_cycle'))}"
    return Finding(value, verdict(has["interval"][0] > 0.5 and agree["count"] == agree["of"]), why)


def line(m: Measured) -> Finding:
    held, steps = m("fig11", "line", "share_of_places_held"), m("fig11", "line", "steps")
    proven = m("fig11", "line", "finitely_many_fixed_points_proven")
    names = m("fig11", "line", "topologies")
    value = f"of places on the line {_held(held, steps)} are still within {m('fig11', 'line', 'near'):g} of "
    value += f"where they were; {', '.join(f'{n} {name}' for name, n in names.items())}"
    slowest = m("fig11", "line", "slowest_time_constant_in_steps", "median")
    why = f"all fixed points proven for {count(proven)}; the slowest time constant is {slowest:.0f} steps "
    why += "(median), 29 were trained"
    return Finding(value, verdict(held[0] > MOST > held[-1] and proven["count"] == proven["of"]), why)


def ring(m: Measured) -> Finding:
    held, steps = m("fig11", "ring", "share_of_places_held"), m("fig11", "ring", "steps")
    proven = m("fig11", "ring", "finitely_many_fixed_points_proven")
    low, high = m("fig11", "ring", "fixed_points", "range")
    value = f"all fixed points proven for {count(proven)}: {low:.0f} to {high:.0f}; of places on the ring "
    value += f"{_held(held, steps)} are still within {m('fig11', 'ring', 'near'):g} of where they were"
    names = m("fig11", "ring", "topologies")
    why = f"no one topology: {len(names)}, the most frequent ({max(names.values())}) {next(iter(names))}"
    return Finding(value, verdict(held[-1] < 0.5 and proven["count"] == proven["of"]), why)


def _held(held: list[float], steps: list[int]) -> str:
    return (
        ", ".join(f"{100 * share:.0f} % after {k}" for share, k in zip(held, steps, strict=True)) + " steps"
    )


def errors(m: Measured, task: str, which: str) -> str:
    """`training 0.19, 0.18 (last over first 0.95, 0.93 to 0.97)`."""
    medians = ", ".join(f"{one['median']:.3g}" for one in m("fig12", task, which, "median"))
    quotient, (low, high) = (
        m("fig12", task, which, "last_over_first", key) for key in ("quotient", "interval")
    )
    return f"{which.replace('_', ' ')} {medians} (last over first {quotient:.3f}, {low:.3f} to {high:.3f})"


def falls(m: Measured, task: str, which: str) -> str:
    return m("fig12", task, which, "last_over_first", "verdict")


def whatever(m: Measured, task: str) -> str:
    """Whether the training error falls in short trainings under choices that the text leaves open."""
    rows = {
        name: row["last_over_first"] for name, row in m("choices", "rows").items() if name.startswith(task)
    }
    where = ", ".join(
        name.removeprefix(f"{task}, ") for name, row in rows.items() if row["verdict"] == "falls"
    )
    return f"the training error falls in {m('choices', 'epochs')} epochs, too, with {where}"


def ring_by_size(m: Measured) -> Finding:
    sizes = ", ".join(str(size) for size in m("fig12", "ring", "sizes"))
    value = f"{sizes} units: {errors(m, 'ring', 'training')}; {errors(m, 'ring', 'held_out')}"
    floor = m("fig12", "ring", "floor")
    why = f"the noise leaves {floor['training']:.3f}, held out {floor['held_out']:.3f}, to the best forecast"
    why += f"; {whatever(m, 'ring')}"
    training, held_out = (falls(m, "ring", which) for which in ("training", "held_out"))
    if training != "falls":
        return Finding(value, REFUTED, why)
    best = falls(m, "ring", "held_out_at_its_best")
    good = held_out == best == "falls"
    note = "" if good else f"; held out, at the end: {held_out}, at each curve's best epoch: {best}"
    return Finding(value, verdict(good, READING), why + note)


def fhn_by_size(m: Measured) -> Finding:
    sizes = ", ".join(str(size) for size in m("fig12", "fhn", "sizes"))
    value = f"{sizes} units: {errors(m, 'fhn', 'training')}; {errors(m, 'fhn', 'held_out')}; without noise "
    value += errors(m, "noise_free", "held_out")
    floor = m("fig12", "fhn", "floor")
    training, held_out = (falls(m, "fhn", which) for which in ("training", "held_out"))
    if held_out == "falls":
        return Finding(value, REFUTED, "the held-out error falls, too")
    if training != "falls":
        return Finding(value, verdict(True))
    why = "read as 'held out': the training error falls, by learning the noise of the current, which leaves "
    why += f"{floor['training']:.3f}, held out {floor['held_out']:.3f}, to the best forecast"
    best = m("fig12", "fhn", "held_out_at_its_best", "last_over_first", "quotient")
    return Finding(
        value, READING, why + f"; at each curve's best epoch the quotient is {best:.3f}; {whatever(m, 'fhn')}"
    )


def continuous(m: Measured) -> Finding:
    proven = [m("fig11", task, "finitely_many_fixed_points_proven") for task in ("line", "ring")]
    larger = [one for one in m("fig12", "ring", "dynamics") if one["units"] > 2]
    value = f"2 units: all fixed points proven for {' and '.join(count(p) for p in proven)} (line, ring); "
    value += "; ".join(
        f"{one['units']} units: {min(one['fixed_points'])} to {max(one['fixed_points'])} on the ring, proven "
        f"to be all for {one['all_fixed_points_proven']} of {one['networks']}"
        for one in larger
    )
    none = all(p["count"] == p["of"] for p in proven) and all(one["least_eigenvalue"] > 0 for one in larger)
    why = (
        "in what was trained: of more units the points that were found are isolated, but not proven to be all"
    )
    return Finding(value, READING if none else REFUTED, why)


def redundant(m: Measured) -> Finding:
    of_cycle, of_ring = (m("fig12", task, "dynamics") for task in ("fhn", "ring"))
    copies = {one["units"]: sum(one["with_copies"][word] for word in MOVING) for one in of_cycle}
    value = "several attractors of one kind, on FitzHugh-Nagumo cycles, curves or chaos: "
    value += ", ".join(f"{n} of {one['networks']}" for n, one in zip(copies.values(), of_cycle))
    value += f" for {', '.join(str(units) for units in copies)} units; chaotic: "
    value += ", ".join(str(one["with"]["chaotic"]) for one in of_cycle)
    sinks = ", ".join(str(one["with_copies"]["fixed"]) for one in of_ring)
    why = (
        f"attractors of the map that a tenth of 64 starts reach; on the ring several sinks: {sinks} networks"
    )
    if any(copies.values()):
        return Finding(value, verdict(True), why)
    return Finding(value, REFUTED, "no copy of a cycle was met; " + why + "")


CLAIMS = (
    Claim("5.1, Fig 11", "Two units learn the FitzHugh-Nagumo cycle.", figure("fig11"), cycle),
    Claim("5.2, Fig 11", "They learn a pseudo-line attractor for the line.", figure("fig11"), line),
    Claim(
        "5.3, Fig 11", "They fail on the ring: finitely many fixed points are left.", figure("fig11"), ring
    ),
    Claim("5.3, Fig 12", "The ring improves with the number of units.", figure("fig12"), ring_by_size),
    Claim("5.3, Fig 12", "FitzHugh-Nagumo does not.", figure("fig12"), fhn_by_size),
    Claim("1, 6", "No continuous attractor is learnt, in any finite dimension.", figure("fig12"), continuous),
)
REDUNDANT = Claim(
    "6", "Trained networks may hold redundant copies of a mechanism.", figure("fig12"), redundant
)
