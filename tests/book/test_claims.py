"""Claims and pages: each claim stands on its page, which records it and no other."""

import re

import numpy as np

from tests.conftest import PAGES, read_page
from unrolled.course.ledger import (
    MARGINS,
    counted,
    describe,
    describe_margin,
    load_claims,
    read_records,
    verdict,
)

CALL = re.compile(r'record_claim\(\s*"([^"]+)"')


def test_claims_are_whole():
    assert len(load_claims()) >= 20
    for name, claim in load_claims().items():
        assert claim["claim"].endswith("."), name
        tested = {"page", "figure", "conditions"}
        where = {"untested"} if "untested" in claim else tested
        assert set(claim) - {"same_networks"} == {"claim", "source"} | where, name
        others = claim.get("same_networks", [])
        assert all("page" in load_claims()[other] for other in others), name
        if "page" in claim:
            prose = [
                cell["source"] for cell in read_page(f"book/{claim['page']}.ipynb")
            ]
            headings = re.findall(r"^#{2,} (.+)$", "\n".join(prose), re.MULTILINE)
            assert claim["figure"] in headings, name
    words = [claim["claim"] for claim in load_claims().values()]
    assert len(set(words)) == len(words)


def test_conditions_are_whole():
    """Each says what is measured, on what, over what, and against which margin."""
    for name, claim in load_claims().items():
        conditions = claim.get("conditions", [])
        assert bool(conditions) == ("page" in claim), name
        names = [condition["name"] for condition in conditions]
        assert len(set(names)) == len(names), name
        assert conditions == [] or counted(conditions), f"{name} is exploratory only"
        for condition in conditions:
            where = f"{name}, {condition['name']}"
            theorem = "theorem" in condition
            assert condition.get("theorem") in (None, True, False), where
            kept = {"name", "metric", "data"} | (set() if theorem else {"unit"})
            assert kept <= set(condition), where
            marks = {"exploratory", "recorded", "ratio", "proportion"}
            left = set(condition) - kept - {"budget"} - marks
            assert len(left) == 1 and left <= {*MARGINS, "theorem"}, where
            assert {condition.get(mark) for mark in marks} <= {None, True}, where
            assert describe_margin(condition), where


def test_each_claim_is_recorded_by_its_page_and_no_other():
    """By the sources: no page measures what the ledger lacks, nor the other way."""
    said = set()
    for page in PAGES:
        cells = [c["source"] for c in read_page(page) if c["cell_type"] == "code"]
        code = "\n".join(cells)
        if "record_claim(" in code:
            named = {name for name in load_claims() if f'"{name}"' in code}
            here = page.removeprefix("book/").removesuffix(".ipynb")
            said |= {(name, here) for name in named | set(CALL.findall(code))}
    listed = {(name, c["page"]) for name, c in load_claims().items() if "page" in c}
    assert said - listed == set(), "measured, but not in claims.toml"
    assert listed - said == set(), "in claims.toml, but no page measures it"


def test_each_condition_is_named_in_the_code_of_its_page():
    """By the sources: a word changed in one place stops the page, after minutes."""
    for name, claim in load_claims().items():
        if "page" not in claim:
            continue
        page = read_page(f"book/{claim['page']}.ipynb")
        code = "\n".join(c["source"] for c in page if c["cell_type"] == "code")
        named = " ".join(condition["name"] for condition in claim["conditions"])
        assert words_in(named) - words_in(code) == set(), name


def words_in(text):
    """The words of a text; those of two letters stand in any code."""
    return set(re.findall("[A-Za-z]{3,}", text))


def test_each_claim_has_a_verdict_in_this_run(executed):
    """Outputs: what `make book` executed holds one sound record for each claim."""
    records = {}
    for path in sorted(executed.rglob("*.ipynb")):
        for record in read_records(path):
            page = path.relative_to(executed / "book").with_suffix("").as_posix()
            assert load_claims()[record["name"]]["page"] == page
            assert record["name"] not in records, "recorded twice"
            records[record["name"]] = record
    listed = {name for name, claim in load_claims().items() if "page" in claim}
    assert set(records) == listed
    for name, record in records.items():
        outcomes = [c["outcome"] for c in counted(record["conditions"])]
        assert record["verdict"] == verdict(outcomes), name
        listed = [condition["name"] for condition in load_claims()[name]["conditions"]]
        assert [c["name"] for c in record["conditions"]] == listed, "run the page again"
        for condition in record["conditions"]:
            if condition["kind"] == "theorem":
                assert (condition["outcome"] == "holds") == condition["theorem"], name
                continue
            if condition["kind"] == "few":
                assert condition["outcome"] == "not shown", name
                continue
            ends = [condition[end] for end in ("low", "effect", "high")]
            assert np.isfinite(ends).all() and ends == sorted(ends), name
            several = condition["n"] >= 3 or condition["kind"] == "exact"
            assert several, "an interval needs several seeds"
        assert describe(record)
