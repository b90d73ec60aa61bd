"""The census as one JSON object, and as Markdown made of that object alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cells import weights
from .climb import Summit
from .distributions import DISTRIBUTIONS, READINGS
from .tally import NOWHERE, STATUSES, Tally
from .verdicts import named

VERDICTS = ("conjecture", "reading", "verdict", "cells", "against", "share", "examples")


def document(tally: Tally, summits: list[Summit], conjectures: dict[str, Any]) -> dict[str, Any]:
    """Everything that was found, as plain numbers, lists and words."""
    return {
        "seed": tally.seed,
        "systems": int(tally.drawn.sum()),
        "portraits": tally.portraits,
        "status": dict(zip(STATUSES, tally.status.sum(axis=0).tolist(), strict=True)),
        "conjectures": conjectures,
        "climbs": [climbed(one) for one in summits],
        "distributions": [of_distribution(tally, k) for k in range(len(DISTRIBUTIONS))],
        "topologies": [of_topology(tally, label) for label in ranked(tally)],
    }


def ranked(tally: Tally) -> list[str]:
    """All labels, the most frequent first."""
    return sorted(tally.count, key=lambda label: (-int(tally.count[label].sum()), label))


def of_distribution(tally: Tally, k: int) -> dict[str, Any]:
    d = DISTRIBUTIONS[k]
    labels = [label for label in tally.count if tally.count[label][k]]
    features = [named(tally.features[label]) for label in labels]
    return {
        "name": d.name,
        "number": d.number,
        "formula": d.formula,
        "reading": d.reading,
        "drawn": int(tally.drawn[k]),
        "status": dict(zip(STATUSES, tally.status[k].tolist(), strict=True)),
        "topologies": len(labels),
        "most_fixed_points": max((f["n_fixed_points"] for f in features), default=None),
        "most_sinks": max((f["n_sinks"] for f in features), default=None),
        "most_cycles": max((f["n_stable_cycles"] + f["n_unstable_cycles"] for f in features), default=None),
    }


def of_topology(tally: Tally, label: str) -> dict[str, Any]:
    """A topology, how often it was met, and the first cell in the narrowest reading that has it."""
    places = [k for k in range(len(DISTRIBUTIONS)) if tally.first[label][k] != NOWHERE]
    k = min(places, key=lambda k: (READINGS.index(DISTRIBUTIONS[k].reading), k))
    index = int(tally.first[label][k])
    row = DISTRIBUTIONS[k].draw(tally.seed, np.array([index]))[0]
    counts = {DISTRIBUTIONS[j].name: int(tally.count[label][j]) for j in places}
    return {
        "topology": label,
        **named(tally.features[label]),
        "met": int(tally.count[label].sum()),
        "by_distribution": counts,
        "example": {"distribution": DISTRIBUTIONS[k].name, "index": index, "weights": weights(row)},
    }


def climbed(one: Summit) -> dict[str, Any]:
    return {
        "goal": one.goal.name,
        "reading": one.goal.reading,
        "from": one.start,
        "to": one.level,
        "looked_at": one.looked_at,
        "not_ok": one.not_ok,
        "not_counted": one.not_counted,
        "topology": one.label,
        "weights": weights(one.cell),
    }


def markdown(found: dict[str, Any]) -> str:
    """The tables."""
    status = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in found["status"].items())
    lines = [
        "# Census of planar gated units",
        "",
        f"{found['systems']} cells drawn with seed {found['seed']} by `python experiments/census.py`: "
        f"{status}. g is a standard normal number, U(a,b) a uniform one. Where a share is said to be below a "
        "bound, none was met among n, and the bound is 3 / n, at 95 %. Every counter-example was computed "
        "again by itself, all its fixed points proven; the weights are in census.json.",
        "",
        "## Conjectures",
        "",
        *table(
            ("conjecture", "reading", "verdict", "cells", "against", "share", "examples"), judgements(found)
        ),
        "",
        "Readings are nested: without reset gate (r constant) there is no update gate either, and what is "
        "found in a narrower reading holds in a wider one. A hidden attractor is a stable cycle whose basin "
        "some neighbourhood of every fixed point stays out of. A fold of cycles is bracketed: U_h is "
        "multiplied by a gain; on one side there is a sink alone, on the other the same sink within two "
        "cycles of opposite stability.",
        "",
        *table(
            (
                "gain between",
                "width",
                "they meet at (error)",
                "logarithms of the multipliers",
                "topology",
                "from",
            ),
            brackets(found),
        ),
        "",
        "Where the cells that speak against a claim were drawn:",
        "",
        *table(("conjecture", "reading", "cells by distribution"), places(found)),
        "",
        "## Climbs",
        "",
        "Not counted: fixed points not all proven, as where there are more than 16.",
        "",
        *table(("goal", "reading", "from", "to", "cells", "not counted", "topology"), climbs(found)),
        "",
        "## Distributions",
        "",
        *table(
            (
                "name",
                "formula",
                "reading",
                "drawn",
                *STATUSES[:3],
                "topologies",
                "fixed points",
                "sinks",
                "cycles",
            ),
            distributions(found),
        ),
        "",
        "The last three columns are the most of them in one cell.",
        "",
        "## Topologies",
        "",
        *table(
            ("met", "fixed points", "sinks", "cycles", "topology", "most often in", "example"),
            topologies(found),
        ),
        "",
    ]
    return "\n".join(lines)


def table(head: tuple[str, ...], rows: list[tuple]) -> list[str]:
    """A Markdown table; a bar in a cell would end it."""
    cells = [[str(value).replace("|", r"\|") for value in row] for row in rows]
    names = [name.replace("_", " ") for name in head]
    return [
        f"| {' | '.join(names)} |",
        "|---" * len(head) + "|",
        *(f"| {' | '.join(row)} |" for row in cells),
    ]


def judgements(found: dict[str, Any]) -> list[tuple]:
    rows: list[tuple] = []
    for one in found["conjectures"].values():
        cases = one.get("by_reading", {}) | one.get("by_distribution", {}) or {"one unit": one}
        for reading, evidence in cases.items():
            systems = evidence.get("systems", evidence.get("compared", "-"))
            against = evidence.get("against", evidence.get("changed", 0))
            topologies = ", ".join(named_topology(e) for e in evidence.get("examples", ())[:2])
            rows.append(
                (one["claim"], reading, evidence["verdict"], systems, against, share(evidence), topologies)
            )
    return rows


def named_topology(example: dict[str, Any]) -> str:
    without = example.get("topology_without")
    return f"`{example['topology']}`" + (f", without `{without}`" if without else "")


def share(evidence: dict[str, Any]) -> str:
    if evidence.get("share_below") is not None:
        return f"< {evidence['share_below']:.1e}"
    return f"{evidence['share']:.2e}" if evidence.get("share") is not None else "-"


def brackets(found: dict[str, Any]) -> list[tuple]:
    rows = []
    for evidence in found["conjectures"]["cycle folds"]["by_reading"].values():
        for example in evidence["examples"]:
            low, high = example["fold"]["gain"]
            logs = ", ".join(f"{value:.2g}" for value in example["fold"]["log_multiplier"])
            rows.append(
                (
                    f"{low:.10f}, {high:.10f}",
                    f"{high - low:.1e}",
                    solved(example["fold"]["located"]),
                    logs,
                    f"`{example['topology']}`",
                    example["from"],
                )
            )
    return rows


def solved(where: dict[str, Any] | None) -> str:
    return "not solved for" if where is None else f"{where['gain']:.13f} ({where['error']:.0e})"


def places(found: dict[str, Any]) -> list[tuple]:
    rows = []
    for one in found["conjectures"].values():
        for reading, evidence in one.get("by_reading", {}).items():
            if met := evidence["by_distribution"]:
                rows.append((one["claim"], reading, ", ".join(f"{name}: {n}" for name, n in met.items())))
    return rows


def climbs(found: dict[str, Any]) -> list[tuple]:
    return [
        (
            *(c[key] for key in ("goal", "reading", "from", "to", "looked_at", "not_counted")),
            f"`{c['topology']}`",
        )
        for c in found["climbs"]
    ]


def distributions(found: dict[str, Any]) -> list[tuple]:
    return [
        (
            d["name"],
            f"`{d['formula']}`",
            d["reading"],
            d["drawn"],
            *(d["status"][name] for name in STATUSES[:3]),
            d["topologies"],
            d["most_fixed_points"],
            d["most_sinks"],
            d["most_cycles"],
        )
        for d in found["distributions"]
    ]


def topologies(found: dict[str, Any]) -> list[tuple]:
    rows = []
    for t in found["topologies"]:
        often = max(t["by_distribution"], key=lambda name: t["by_distribution"][name])
        cycles = t["n_stable_cycles"] + t["n_unstable_cycles"]
        example = f"{t['example']['distribution']}, {t['example']['index']}"
        rows.append(
            (t["met"], t["n_fixed_points"], t["n_sinks"], cycles, f"`{t['topology']}`", often, example)
        )
    return rows
