"""The findings that surprise most, in sentences that the ledger's numbers choose.

Which findings they are stands in `findings.toml`, with a sentence for either outcome;
nobody types what was measured.
"""

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unrolled.course.ledger import possible, size

WRITTEN: dict[str | None, Any] = {
    None: lambda number: number,
    "power of two": lambda number: 2.0**number,
    "percent": lambda number: 100 * number,
    "bits": lambda number: number,
}
LEAST_BITS = 0.001


@functools.cache
def load_findings() -> list[dict[str, str]]:
    """Load the findings.

    Returns:
        list of dicts with `claim` and `condition`, names in `claims.toml`, `holds` and
        `false`, a sentence for either outcome, and perhaps `as`, how to write the
        effect: "power of two", "percent" or "bits".
    """
    text = Path(__file__).with_name("findings.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["findings"]


def tell_findings(
    ledger: Iterable[Mapping[str, Any]], confirmed: Mapping[str, Mapping[str, Any]]
) -> str:
    """Tell the findings as a numbered list in Markdown.

    Args:
        ledger: what `read_ledger` returns.
        confirmed: what `read_confirmation` returns; where it has a condition, its
            numbers are told instead of this run's.

    Returns:
        a line for each finding: the claim, its verdict where there is one, what was
        found under one condition, and where.
    """
    claims = {row["name"]: row for row in ledger}
    lines = []
    for k, finding in enumerate(load_findings(), 1):
        row = claims[finding["claim"]]
        again = confirmed.get(row["name"], {})
        fresh = again.get("conditions", {})
        here = {condition["name"]: condition for condition in row["conditions"]}
        found = here[finding["condition"]] | fresh.get(finding["condition"], {})
        judged = again.get("verdict") or row["verdict"]
        verdict = f" **{judged.capitalize()}.**" if judged else ""
        told = f"{verdict} {tell(finding, found)} {link(row)}"
        lines.append(f"{k}. *{row['claim']}*{told}")
    return "\n".join(lines)


def tell(finding: Mapping[str, str], found: Mapping[str, Any]) -> str:
    """Say what was found of a condition: the sentence that its outcome chooses.

    Args:
        finding: one of `load_findings`.
        found: the condition, with its `outcome`, `effect`, `low`, `high` and `kind`.
    """
    if found.get("effect") is None or found.get("low") is None:
        return "This copy of the book holds no record of it yet."
    effect = written(finding.get("as"), found)
    if found["outcome"] == "holds":
        return finding["holds"].format(effect=effect)
    if found["outcome"] == "shown false":
        return finding["false"].format(effect=effect)
    measured = f"{found['metric']}, {found['name']}"
    return f"The measurements leave it open: {effect} ({measured})."


def written(form: str | None, found: Mapping[str, Any]) -> str:
    """Write an effect and its interval in the form that a finding asks for."""
    change = WRITTEN[form]
    numbers = (found["effect"], *possible(found))
    ends = dict(zip(("effect", "low", "high"), map(change, numbers), strict=True))
    if form == "bits" and max(map(abs, ends.values())) < LEAST_BITS:
        return f"less than {LEAST_BITS}"
    if form == "percent":
        return size({**ends, "kind": "mean"}) + "%"  # of a hundred, no longer of 1
    logs = {"ratio": True} if form == "power of two" else {}
    return size({**found, **ends, **logs})


def link(row: Mapping[str, Any]) -> str:
    """Link to the section that measures a claim, from a page beside `index`."""
    chapter, page = (part.split("-")[0] for part in row["page"].split("/"))
    anchor = re.sub(r"[^a-z0-9]+", "-", row["figure"].casefold()).strip("-")
    return f"([{chapter}.{page}]({row['page']}.ipynb#{anchor}))"
