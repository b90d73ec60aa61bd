"""The report: every claim with its finding, as Markdown that is the same bytes for the same measurements."""

from __future__ import annotations

from collections import Counter

from . import cycle_claims, fixed_point_claims, gating_claims, wider_claims
from .claim import DIRECT, VERDICTS, Claim, Measured

CLAIMS: tuple[Claim, ...] = (
    *fixed_point_claims.CLAIMS,
    *cycle_claims.CLAIMS,
    *wider_claims.CLAIMS,
    *gating_claims.CLAIMS,
)
HEAD = f"""# What the papers say, and what this program finds

I. D. Jordan, P. A. Sokół, I. M. Park, *Gated recurrent units viewed through the lens of continuous time
dynamical systems*, Frontiers in Computational Neuroscience 15 (2021): a row for each statement that can be
checked, in our words, with its section. After those, rows for the abstracts of T. Can, K. Krishnamurthy,
D. J. Schwab, *Gating creates slow modes and controls phase-space complexity in GRUs and LSTMs* (2020), and of
K. Krishnamurthy, T. Can, D. J. Schwab, *Theory of gating in recurrent neural networks* (2022). `{DIRECT}`
writes this file from the files in `results/`. `make paper` makes those of the figures; census, robustness,
few chaotic units and large networks take longer, each by the command of its rows. The sigmoid is
1/(1 + e^-z) unless a row says otherwise; time is that of the ODE, with 1 - z = 1/2. An error bounds the
distance from the true value where a proof is stated, and is an estimate elsewhere.
"""
MEANING = {
    "reproduced": "the program finds what the text says",
    "reproduced under a stated reading": "it does if the text is read as the row says",
    "not reproduced": "it finds something else, and the row says what, and why as far as known",
    "not examined yet": "nothing was measured, and the row says what is missing",
}


def render(measured: Measured) -> str:
    """The whole report."""
    findings = [(claim, claim.judge(measured)) for claim in CLAIMS]
    counts = Counter(finding.verdict for _, finding in findings)
    summary = ", ".join(f"{counts[word]} {word}" for word in VERDICTS)
    lines = [HEAD, f"**{len(findings)} claims: {summary}.**", ""]
    lines += [f"- *{word}*: {MEANING[word]}." for word in VERDICTS]
    if "census" not in measured:
        lines += ["", "There is no results/census.json: rows that need the census are not examined."]
    lines += [
        "",
        "| | section | claim | found here | verdict | why | command |",
        "|---:|---|---|---|---|---|---|",
    ]
    for number, (claim, finding) in enumerate(findings, 1):
        command = f"`{claim.command}`" if claim.command else ""
        cells = (claim.where, claim.text, finding.value, f"**{finding.verdict}**", finding.why, command)
        lines.append(f"| {number} | " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that Markdown shows as it stands in a cell of a table."""
    return text.replace("|", "\\|").replace("_", "\\_") if not text.startswith("`") else text
