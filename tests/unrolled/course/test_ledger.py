"""The claims ledger: verdicts follow from conditions, and records travel."""

import json

import numpy as np
import pytest

from tests.conftest import ROOT, write_page
from unrolled.course import mean_interval, read_ledger, record_claim
from unrolled.course.ledger import MIME, default_folder, load_claims, verdict


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
    assert default_folder() == ROOT / "_build" / "executed"
    monkeypatch.setenv("UNROLLED_LEDGER", str(checkout / "_build"))
    assert len(measured()) == 1
