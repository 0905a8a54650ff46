"""Claims and pages: each claim stands on its page, which records it and no other."""

import re

import numpy as np

from tests.conftest import PAGES, read_page
from unrolled.course.ledger import VERDICTS, describe, load_claims, read_records

CALL = re.compile(r'record_claim\(\s*"([^"]+)"')


def test_claims_are_whole():
    assert len(load_claims()) >= 20
    for name, claim in load_claims().items():
        assert claim["claim"].endswith("."), name
        where = {"untested"} if "untested" in claim else {"page", "figure"}
        assert set(claim) == {"claim", "source"} | where, name
        if "page" in claim:
            prose = [
                cell["source"] for cell in read_page(f"book/{claim['page']}.ipynb")
            ]
            headings = re.findall(r"^#{2,} (.+)$", "\n".join(prose), re.MULTILINE)
            assert claim["figure"] in headings, name
    words = [claim["claim"] for claim in load_claims().values()]
    assert len(set(words)) == len(words)


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
    for record in records.values():
        assert record["verdict"] in VERDICTS and np.isfinite(record["effect"])
        one = record["half_width"] == 0 or "time" in record["of"]  # rounds of one run
        assert one or record["seeds"] >= 3, "an interval needs several seeds"
        assert record["of"] and record["data"] and describe(record)
