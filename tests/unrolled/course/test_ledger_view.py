"""The ledger as HTML: all of it is there, and its drawings agree with the outcomes."""

import json

import pytest
from bs4 import BeautifulSoup
from mdit_py_plugins.anchors.index import slugify

from unrolled.course import ledger_view as module
from unrolled.course.ledger import in_markdown, judge_condition, load_claims, verdict
from unrolled.course.ledger_view import (
    LedgerView,
    beyond,
    read_published,
    typeset,
)

VALUES = [1.0, 1.2, 1.1, 1.3, 0.9, 1.15]


@pytest.fixture(scope="module")
def rows():
    """Made-up measurements of every claim but the first, which has not been run."""
    made = []
    for name, claim in load_claims().items():
        row = {"name": name, **claim, "verdict": "not measured"}
        if "page" in claim:
            found = [judge_made_up(c) for c in claim["conditions"]]
            row |= {"conditions": found, "base_seed": 0}
            row["verdict"] = verdict(c["outcome"] for c in found)
        made.append(row)
    first = made[0]["name"]
    made[0] = {"name": first, **load_claims()[first], "verdict": None}
    return made


def judge_made_up(about):
    """A condition with six values around 1.1, or its theorem."""
    return judge_condition(about, about.get("theorem", VALUES), 0.95)


@pytest.fixture(scope="module")
def soup(rows):
    fresh = {rows[1]["name"]: {"verdict": "supported", "conditions": {}}}
    view = LedgerView(rows, fresh)
    return BeautifulSoup(view._repr_mimebundle_()["text/html"], "html.parser")


def test_everything_is_there_without_scripts(rows, soup):
    items = soup.select(".ledger-claims > li")
    assert len(items) == len(rows)
    assert soup.select_one("form").has_attr("hidden")  # until the script runs
    for row, item in zip(rows, items, strict=True):
        text = item.get_text(" ", strip=True)
        assert row["source"] in text and (row["verdict"] or "no record") in text
        assert item.details["id"] == f"claim-{row['name']}"
        measured = row.get("conditions", []) if row["verdict"] else []
        assert len(item.select(".conditions > li")) == len(measured)
        assert bool(item.select(".overview")) == bool(measured)
        if "untested" in row:
            assert row["untested"].split()[0] in text
    assert "On fresh base seeds" in items[1].get_text()


def test_each_row_leads_to_the_very_section(rows, soup):
    for row in rows:
        if "page" in row:
            link = f"../{row['page']}.ipynb#{slugify(row['figure'])}"
            assert soup.select_one(f"#claim-{row['name']} a")["href"] == link


def test_filters_know_every_row(soup):
    for name, attribute in (("chapter", "chapter"), ("source", "source")):
        options = {o["value"] for o in soup.select(f"select[name={name}] option")}
        found = {li[f"data-{attribute}"] for li in soup.select(".ledger-claims > li")}
        assert found - {""} == options - {""}
    pressed = {button["value"] for button in soup.select("button[value]")}
    assert pressed == {li["data-verdict"] for li in soup.select(".ledger-claims > li")}


def test_what_is_drawn_agrees_with_the_outcome(rows):
    for row in rows:
        for c in row["conditions"] if row.get("base_seed") == 0 else ():
            low, effect, high = beyond(c)
            assert -1 < low <= effect <= high < 1 or low == effect == high
            if c["outcome"] == "not shown":
                assert low <= 0 <= high
            else:
                assert low > 0 if c["outcome"] == "holds" else high < 0


def test_an_interval_without_width_has_a_side():
    condition = {"name": "a", "metric": "m", "unit": "u", "data": "d", "above": 0.5}
    found = judge_condition(condition, [1.0] * 6, 0.95)
    assert found["outcome"] == "holds" and beyond(found)[0] == module.EDGE


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("C_t is h_t.", "<i>C</i><sub>t</sub> is <i>h</i><sub>t</sub>."),
        ("log2 of dc_T/dc_t", "log<sub>2</sub> of <i>dc</i><sub>T</sub>/"
         "<i>dc</i><sub>t</sub>"),
        ("`jit_compile=True` & x", "<code>jit_compile=True</code> &amp; x"),
        ("accuracy < 1", "accuracy &lt; 1"),
    ],
)  # fmt: skip
def test_formulas_and_code_are_typeset(text, html):
    assert typeset(text) == html


def test_formulas_in_markdown():
    assert in_markdown("C_t, `a_b=1`") == "$C_t$, `a_b=1`"


def test_ticks_are_round():
    ends = {"low": 0.64, "high": 4.1, "above": 1.1, "ratio": True}
    assert [text for _, text in module.Scale([ends]).ticks()] == ["1", "2"]
    ends = {"low": -44.0, "high": 3.7, "above": 1.0}
    assert [text for _, text in module.Scale([ends]).ticks()] == ["−40", "−20", "0"]


def test_the_published_ledger(tmp_path, rows):
    path = tmp_path / "ledger.json"
    assert read_published(path.as_uri()) == []  # nothing there
    path.write_text("<html>", encoding="utf-8")
    assert read_published(path.as_uri()) == []  # a network that asks for a login
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(ValueError, match="expected a ledger"):
        read_published(path.as_uri())
    path.write_text(json.dumps(rows), encoding="utf-8")
    assert len(LedgerView(read_published(path.as_uri())).rows) == len(rows)
