"""A line of the table, and the table."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Row:
    """What was measured, and what was asked for; `good` is None where nothing was."""

    what: str
    measured: Any
    wanted: str = ""
    good: bool | None = None


def count(what: str, found: int, wanted: int = 0) -> Row:
    """A number that must be this one."""
    return Row(what, found, str(wanted), found == wanted)


def true(what: str, found: bool) -> Row:
    """Something that must be so."""
    return Row(what, "yes" if found else "no", "yes", bool(found))


def said(title: str, rows: list[Row]) -> list[Row]:
    """The rows, each with the name of what they are about."""
    return [dataclasses.replace(row, what=f"{title}: {row.what}") for row in rows]


def table(rows: list[Row]) -> str:
    """The rows in Markdown; what is not as it was asked for is in bold letters."""
    lines = ["| what | measured | asked for |", "|---|---:|---|"]
    for row in rows:
        value = f"**{shown(row.measured)}**, FAILED" if row.good is False else shown(row.measured)
        lines.append(f"| {row.what} | {value} | {row.wanted} |")
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A number to three figures, thousands apart."""
    if isinstance(value, int) or (isinstance(value, float) and abs(value) >= 1000):
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if isinstance(value, float) else str(value)
