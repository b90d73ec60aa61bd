"""A claim, what was measured, and what follows: the small objects of the report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPRODUCED = "reproduced"
READING = "reproduced under a stated reading"
REFUTED = "not reproduced"
OPEN = "not examined yet"
VERDICTS = (REPRODUCED, READING, REFUTED, OPEN)

FILES = {
    "fig01": "fig01_one_unit",
    "fig02": "fig02_two_bistable_units",
    "fig03": "fig03_fixed_points",
    "fig04": "fig04_pseudo_codimension_two",
    "fig06": "fig06_hopf_frequency",
    "fig07": "fig07_homoclinic",
    "fig08": "fig08_hopf_to_homoclinic",
    "fig09": "fig09_homoclinic_like",
    "fig10": "fig10_pseudo_line",
    "fig11": "fig11_training",
    "fig12": "fig12_learning_curves",
    "choices": "learning_choices",
    "catalogue": "catalogue",
    "census": "census",
    "nullclines": "nullclines",
    "robustness": "robustness",
    "spectra": "gating_spectra",
    "memory": "gating_memory",
    "fixed_points": "gating_fixed_points",
    "inputs": "gating_inputs",
    "phases": "gating_phase_diagrams",
    "training": "gating_training",
    "small_chaos": "small_chaos",
    "lstm": "one_unit_lstm",
    "direct": "reproduction",
}
"""Results by the name under which checks ask for them."""


class MissingResult(LookupError):
    """A check asked for a result that is not there."""


class Measured:
    """What was measured: `measured("fig07", "by_the_gap", "gamma")` is a number of fig07's JSON file.

    It remembers what it was asked for, in `asked`.
    """

    def __init__(self, results: dict[str, Any]):
        self.results = results
        self.asked: list[tuple] = []

    @classmethod
    def load(cls, folder: Path) -> Measured:
        """The JSON files that are in a folder of results."""
        paths = {name: folder / f"{file}.json" for name, file in FILES.items()}
        return cls({name: json.loads(p.read_text()) for name, p in paths.items() if p.exists()})

    def __contains__(self, name: str) -> bool:
        return name in self.results

    def __call__(self, name: str, *path: str | int) -> Any:
        if name not in self.results:
            raise MissingResult(f"results/{FILES[name]}.json is absent")
        self.asked.append((name, *path))
        value = self.results[name]
        for step in path:
            value = value[step]
        return value


@dataclasses.dataclass(frozen=True)
class Finding:
    """The program's value in words, with its error; the verdict; and why, where that needs saying."""

    value: str
    verdict: str
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Claim:
    """One statement of the text.

    - `where`: section and figure. `text`: the statement, in our words. `command`: what shows the finding.
    - `check`: measurements to `Finding`, a pure function; None where nothing has been done, and then `why`
      gives the reason.
    """

    where: str
    text: str
    command: str = ""
    check: Callable[[Measured], Finding] | None = None
    why: str = ""

    def judge(self, measured: Measured) -> Finding:
        """The finding; `not examined yet` where there is no check, or a result that it needs is absent."""
        if self.check is None:
            return Finding("", OPEN, self.why)
        try:
            return self.check(measured)
        except MissingResult as missing:
            return Finding("", OPEN, str(missing))


def verdict(holds: bool, otherwise: str = REFUTED) -> str:
    """`reproduced` where a claim holds."""
    return REPRODUCED if holds else otherwise


def number(value: float, error: float, digits: int) -> str:
    """`0.054174676916 (error 1e-13)`."""
    return f"{value:.{digits}f} (error {error:.0e})"


def figure(stem: str) -> str:
    """The command that makes a figure."""
    return f"python experiments/{FILES[stem]}.py"


DIRECT = "python -m experiments.reproduction"
"""The command that measures what no figure does, and writes the report."""
