"""The claims ledger: verdicts follow from conditions, pages and claims match."""

import json
import re

import numpy as np
import pytest

from tests.conftest import PAGES, ROOT, read_page, write_page
from unrolled.course import mean_interval, read_ledger, record_claim
from unrolled.course.ledger import (
    MIME,
    VERDICTS,
    default_folder,
    describe,
    load_claims,
    read_records,
    verdict,
)

CALL = re.compile(r'record_claim\(\s*"([^"]+)"')
EXECUTED = ROOT / "_build" / "executed"


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        (True, "supported"),
        (np.bool_(False), "refuted"),
        ({"short": True, "long": True}, "supported"),
        ({"short": True, "long": False}, "conditional"),
        ({"short": False, "long": False}, "refuted"),
        (None, "not shown"),
        ({"short": None, "long": None}, "not shown"),
        ({"short": None, "long": False}, "refuted"),
        ({"short": None, "long": True}, "conditional"),
    ],
)
def test_verdict_follows_from_conditions(holds, expected):
    assert verdict(holds) == expected


@pytest.mark.parametrize("holds", [{}, "yes", 1, {"short": 0.3}, {"short": "no"}])
def test_verdict_refuses_what_is_not_true_or_false(holds):
    with pytest.raises(ValueError, match="expected True, False"):
        verdict(holds)


@pytest.mark.parametrize(
    ("name", "effect", "says"),
    [
        ("no-such-claim", 1.0, "claims.toml"),
        ("gpu-is-needed", 1.0, "with a page"),  # untested: nothing may be recorded
        ("four-times-time", [1.0, np.nan], "finite"),
        ("four-times-time", [[1.0], [2.0]], "one per seed"),
        ("four-times-time", [1.0], "seeds >= 2"),
    ],
)
def test_record_refuses(name, effect, says):
    with pytest.raises(ValueError, match=says):
        record_claim(name, True, effect=effect, of="ms", data="none")


def test_a_script_prints_the_record(capsys):
    effect = [3.1, 3.3, 3.2]
    holds = {"small": True, "large": False, "huge": None}
    record_claim("four-times-time", holds, effect=effect, of="ratio", data="T = 9")
    printed = capsys.readouterr().out
    mean, half = mean_interval(effect)
    assert load_claims()["four-times-time"]["claim"] in printed
    assert "CONDITIONAL" in printed and "does not hold: large" in printed
    assert "not shown: huge" in printed
    assert f"ratio: {mean:.2f} ± {half:.2f} (T = 9)" in printed


def test_a_page_that_has_not_run_has_no_verdict(tmp_path):
    rows = read_ledger(tmp_path)
    assert [row["name"] for row in rows] == list(load_claims())
    assert {row["verdict"] for row in rows} == {None, "not testable here"}
    assert all(("untested" in r) == (r["verdict"] is not None) for r in rows)


def write_record(page):
    """Write a notebook with a record, as an executed page leaves it."""
    page.parent.mkdir(parents=True)
    write_page(page, "# Cost", ["1"])
    record = {"name": "four-times-time", "verdict": "refuted", "effect": 2.0}
    notebook = json.loads(page.read_text(encoding="utf-8"))
    notebook["cells"][1]["outputs"] = [
        {"output_type": "display_data", "data": {MIME: record}}
    ]
    page.write_text(json.dumps(notebook), encoding="utf-8")


def measured(folder=None):
    """Rows of the ledger that have an effect."""
    return [row for row in read_ledger(folder) if "effect" in row]


def test_a_record_travels_in_the_notebook(tmp_path):
    write_record(tmp_path / "book/4-code/8-cost.ipynb")
    (row,) = measured(tmp_path)
    assert row["effect"] == 2.0 and row["page"] == "4-code/8-cost"
    assert row["verdict"] == "refuted"


def test_where_the_ledger_looks(tmp_path, monkeypatch):
    """In the checkout around the page that asks, or where the variable says."""
    checkout, outside = tmp_path / "checkout", tmp_path / "outside"
    chapter = checkout / "book/6-faq"
    for folder in (chapter, outside):
        folder.mkdir(parents=True)
    (checkout / "_toc.yml").touch()
    write_record(checkout / "_build/executed/book/page.ipynb")
    monkeypatch.setenv("UNROLLED_LEDGER", "")  # as unset
    monkeypatch.chdir(chapter)
    assert len(measured()) == 1
    monkeypatch.chdir(outside)
    assert default_folder() == EXECUTED
    monkeypatch.setenv("UNROLLED_LEDGER", str(checkout / "_build"))
    assert len(measured()) == 1


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


def test_each_claim_has_a_verdict_in_this_run(site):
    """Outputs: what `make book` executed holds one sound record for each claim."""
    records = {}
    for path in sorted(EXECUTED.rglob("*.ipynb")):
        for record in read_records(path):
            page = path.relative_to(EXECUTED / "book").with_suffix("").as_posix()
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
