"""The ten findings: conditions of the ledger, told by their outcome."""

import pytest

from unrolled.course.findings import load_findings, tell, tell_findings
from unrolled.course.ledger import load_claims, read_ledger

FOUND = {"kind": "t", "effect": 0.5, "low": 0.4, "high": 0.6, "metric": "share"}


@pytest.mark.parametrize("finding", load_findings(), ids=lambda f: f["claim"])
def test_a_finding_is_a_condition_with_two_sentences(finding):
    conditions = load_claims()[finding["claim"]]["conditions"]
    (condition,) = [c for c in conditions if c["name"] == finding["condition"]]
    assert "theorem" not in condition and not condition.get("exploratory")
    said = set()
    for outcome in ("holds", "shown false", "not shown"):
        text = tell(finding, condition | FOUND | {"outcome": outcome})
        assert "{" not in text and text.endswith(".") and "[" in text
        said.add(text)
    assert len(said) == 3, "the outcome does not choose the sentence"
    log = finding.get("as") == "power of two"
    assert log == ("log2" in condition["metric"])
    assert (finding.get("as") == "percent") == ("share" in condition["metric"])


def test_ten_findings_of_ten_claims():
    claims = [finding["claim"] for finding in load_findings()]
    assert len(claims) == len(set(claims)) == 10


def test_numbers_are_written_as_the_finding_asks():
    finding = {"holds": "{effect} it is.", "false": "", "as": "percent"}
    assert tell(finding, FOUND | {"outcome": "holds"}) == "50 [40, 60]% it is."
    logs = FOUND | {"effect": -1, "low": -2, "high": 0, "outcome": "holds"}
    assert tell(finding | {"as": "power of two"}, logs) == "0.50 [0.25, 1.0] it is."


def test_fresh_seeds_are_believed(tmp_path):
    """Without a record nothing is said; with a confirmation, its numbers are."""
    ledger = read_ledger(tmp_path)
    assert tell_findings(ledger, {}).count("no record of it") == 10
    first = load_findings()[0]
    fresh = {first["condition"]: FOUND | {"outcome": "shown false"}}
    told = tell_findings(ledger, {first["claim"]: {"conditions": fresh}})
    assert told.count("no record of it") == 9
    assert told.startswith("1. ") and "1.41 [1.32, 1.52]" in told.splitlines()[0]
    assert "**" not in told  # neither has a verdict
    told = tell_findings(ledger, {first["claim"]: {"verdict": "conditional"}})
    assert "**Conditional.**" in told.splitlines()[0] and told.count("**") == 2
