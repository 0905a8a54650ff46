"""The claims ledger: verdicts follow from outcomes, and records travel."""

import csv
import json
import re

import numpy as np
import pytest

from tests.conftest import ROOT, write_page
from unrolled.course import ledger as module
from unrolled.course import mean_interval, read_ledger, record_claim
from unrolled.course.ledger import (
    MIME,
    default_folder,
    describe,
    judge_condition,
    load_claims,
    size,
    verdict,
    write_ledger,
)

CLAIMS = {
    "gates-help": {
        "claim": "Gates help.",
        "source": "nobody",
        "page": "4-code/8-cost",
        "figure": "Cost",
        "conditions": [
            {
                "name": "short",
                "metric": "accuracy, with | without",
                "above": 0.01,
                "unit": "networks",
                "data": "bits",
            },
            {
                "name": "long",
                "metric": "share that learns",
                "above": 0.5,
                "unit": "networks",
                "data": "bits",
            },
            {"name": "always", "metric": "path ≤ 1", "theorem": True, "data": "any"},
            {
                "name": "found later",
                "metric": "ratio",
                "within": [0.9, 1.1],
                "unit": "layers",
                "data": "none",
                "exploratory": True,
            },
        ],
    },
    "gpu": {"claim": "It needs a GPU.", "source": "nobody", "untested": "No GPU."},
}
SHORT = [0.04, 0.06, 0.05, 0.05]
MEASURED = {
    "short": SHORT,
    "long": np.array([True] * 19 + [False]),
    "always": np.True_,
    "found later": 2.0,
}


@pytest.fixture
def claims(monkeypatch):
    monkeypatch.setattr(module, "load_claims", lambda: CLAIMS)
    monkeypatch.setenv("UNROLLED_SEED", "")


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ("holds", "supported"),
        (["holds", "holds"], "supported"),
        (["holds", "not shown"], "not shown"),
        (["not shown"], "not shown"),
        (["shown false"], "refuted"),
        (["shown false", "not shown"], "refuted"),
        (["shown false", "holds"], "conditional"),
        (["shown false", "holds", "not shown"], "conditional"),
    ],
)
def test_verdict_follows_from_outcomes(outcomes, expected):
    assert verdict(outcomes) == expected


@pytest.mark.parametrize("outcomes", [[], "yes", [True], ["holds", None]])
def test_verdict_refuses_other_words(outcomes):
    with pytest.raises((ValueError, TypeError), match="expected some of"):
        verdict(outcomes)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("no-such-claim", {}, "claims.toml"),
        ("gpu", {}, "with a page"),  # untested: nothing may be recorded
        ("gates-help", {"else": 1.0}, "expected those of 'gates-help'"),
        ("gates-help", {"short": [1.0, np.nan]}, "'short'.*finite"),
        ("gates-help", {"short": [[1.0], [2.0]]}, "'short'.*seeds"),
        ("gates-help", {"short": [1.0]}, "seeds >= 2"),
        ("gates-help", {"short": True}, "'short'.*finite number"),
        ("gates-help", {"always": 1.0}, "theorem"),
        ("gates-help", {"always": None}, "theorem"),
        ("gates-help", {"always": False}, "finds False for a theorem; expected True"),
    ],
)
def test_record_refuses(claims, name, change, says):
    with pytest.raises(ValueError, match=says):
        record_claim(name, MEASURED | change)


def test_record_wants_every_condition(claims):
    with pytest.raises(ValueError, match="expected those of"):
        record_claim("gates-help", {"short": SHORT})


def test_a_script_prints_the_record(claims, capsys):
    found = record_claim("gates-help", MEASURED, data="my own digits")
    assert found == {
        "short": "holds",
        "long": "holds",
        "always": "holds",
        "found later": "shown false",
    }
    printed = capsys.readouterr().out.replace("\u00a0", " ")  # what no line breaks
    assert "“Gates help.” **SUPPORTED**" in printed  # what came later does not count
    assert "found later *(exploratory)*" in printed
    mean, half = mean_interval(SHORT, 0.975)  # two measured conditions share 5 %
    assert f"{mean:.3f} [{mean - half:.3f}, {mean + half:.3f}]" in printed
    assert "Measured: accuracy, with | without; 4 networks." in printed
    assert "| above 0.01 | **holds** |" in printed
    assert "always" in printed and "0.9 to 1.1" in printed
    assert "so that all of them hold at once with at least 95%" in printed


def test_an_interval_of_shares_ends_where_shares_do():
    about = {"kind": "mean", "effect": 0.98, "low": 0.84, "high": 1.07}
    for share in ({"kind": "share"}, {"proportion": True}):
        assert size(about | share) == "0.98 [0.84, 1.00]"
    for other in ({}, {"kind": "difference of shares"}):
        assert size(about | other) == "0.98 [0.84, 1.07]"


def test_a_reader_s_data_are_not_those_of_a_recorded_run(claims, monkeypatch):
    shown = []
    monkeypatch.setattr(module, "show", shown.append)
    later = CLAIMS["gates-help"]["conditions"][3]
    monkeypatch.setitem(later, "recorded", True)
    record_claim("gates-help", MEASURED, data="my own digits")
    found = {c["name"]: c["data"] for c in shown[0]["conditions"]}
    assert found["short"] == "my own digits" and found["found later"] == "none"


def test_what_is_disproved_is_shown_false():
    about = {"name": "c", "metric": "m", "theorem": False, "data": "any"}
    found = judge_condition(about, np.False_, 0.95)
    assert (found["outcome"], size(found)) == ("shown false", "disproved")


@pytest.mark.parametrize(
    ("values", "margin", "expected"),
    [
        (np.array([True] * 5), {"above": 0.5}, "not shown"),  # may be luck
        (np.array([True] * 8), {"above": 0.5}, "holds"),
        (np.array([False] * 8), {"above": 0.5}, "shown false"),
        (([True] * 9, [False] * 9), {"above": 0.2}, "holds"),
        ([0.0] * 5, {"within": [-0.01, 0.01]}, "not shown"),  # as five heads may be
        ([0.0] * 6, {"within": [-0.01, 0.01]}, "holds"),
        ([0.1] * 6, {"above": 0.2}, "shown false"),
        (None, {"above": 0.2}, "not shown"),  # nothing could be measured
        ([2.9, 3.1, 3.0], {"above": 1.5, "ratio": True}, "holds"),
        ([0.01, 100.0, 0.01], {"below": 1, "ratio": True}, "not shown"),
        (4.0, {"above": 4}, "shown false"),  # exact: on its margin, not beyond
        (4.0, {"within": [3, 5]}, "holds"),
    ],
)
def test_outcome_of_a_condition(values, margin, expected):
    about = {"name": "c", "metric": "m", "unit": "networks", "data": "d"} | margin
    assert judge_condition(about, values, 0.95)["outcome"] == expected


def test_ratios_are_averaged_in_logarithms():
    """Twice as large and half as large cancel; and they are shown as ratios."""
    about = {"name": "c", "metric": "m", "above": 1.0, "ratio": True}
    found = judge_condition(about, [0.5, 2.0, 4.0, 0.25], 0.95)
    mean, half = mean_interval(np.log([0.5, 2.0, 4.0, 0.25]))
    ends = np.exp([mean, mean - half, mean + half])
    assert np.allclose([found[key] for key in ("effect", "low", "high")], ends)
    assert found["effect"] == pytest.approx(1.0)
    for bad in ([1.0, 0.0], [1.0, -2.0], [True, True], 0.0):
        with pytest.raises(ValueError, match="expected ratios above 0"):
            judge_condition(about, bad, 0.95)


def test_an_interval_without_ends_says_so_and_is_json():
    about = {"name": "c", "metric": "m", "above": 0.2, "unit": "u", "data": "d"}
    alike = judge_condition(about, [1.0, 1.0, 1.0], 0.95)
    assert (alike["low"], alike["high"], size(alike)) == (None, None, "1 each time")
    none = judge_condition(about, None, 0.95)
    assert (none["effect"], none["n"], size(none)) == (None, 0, "none")
    json.dumps([alike, none], allow_nan=False)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-0.034, 0.036, "0.001 [−0.034, 0.036]"),
        (120.0, 480.0, "300 [120, 480]"),
        (2.0, 2.0, "2"),
        (-1e-9, 1e-9, "0 [−1.0·10⁻⁹, 1.0·10⁻⁹]"),
    ],
)
def test_size_has_the_digits_that_its_interval_justifies(low, high, text):
    about = {"effect": (low + high) / 2, "low": low, "high": high, "kind": "mean"}
    assert size(about) == text


def test_size_is_not_finer_than_its_margin_asks_for():
    about = {"effect": 8e-8, "low": -5e-7, "high": 6e-7, "kind": "mean", "above": 0.01}
    assert size(about) == "0.0000 [0.0000, 0.0000]"
    assert size(about | {"above": 1e-3}) == "0.00000 [0.00000, 0.00000]"


@pytest.mark.parametrize(
    ("margin", "text"),
    [
        ({"above": 1.1}, "1.56 [1.12, 2.16]"),
        ({"above": 1.0}, "1.6 [1.1, 2.2]"),
        ({"within": [0.9, 2.2]}, "1.56 [1.12, 2.16]"),
    ],
)
def test_an_end_beside_the_margin_does_not_read_as_the_margin(margin, text):
    about = {"effect": 1.56, "low": 1.12, "high": 2.16, "kind": "mean", "ratio": True}
    assert size(about | margin) == text


@pytest.mark.parametrize(
    ("effect", "low", "high", "text"),
    [
        (8.6, 0.94, 94.3, "8.6 [0.94, 94]"),
        (90.2, 6.44, 1257.0, "90 [6.4, 1,300]"),
        (0.0213, 0.0199, 0.0228, "0.0213 [0.0199, 0.0228]"),
        (2.385, 2.342, 2.428, "2.385 [2.342, 2.428]"),
        (1.0, 0.9996, 1.0004, "1.00000 [0.99960, 1.00040]"),
    ],
)
def test_size_of_a_ratio_whose_ends_are_of_different_magnitudes(
    effect, low, high, text
):
    about = {"effect": effect, "low": low, "high": high, "kind": "mean", "ratio": True}
    assert size(about) == text


def test_a_page_that_has_not_run_has_no_verdict(tmp_path):
    rows = read_ledger(tmp_path)
    assert [row["name"] for row in rows] == list(load_claims())
    assert {row["verdict"] for row in rows} == {None, "not measured"}
    assert all(("untested" in r) == (r["verdict"] is not None) for r in rows)


def write_record(page):
    """Write a notebook with a record, as an executed page leaves it."""
    page.parent.mkdir(parents=True)
    write_page(page, "# Cost", ["1"])
    condition = {"name": "short", "outcome": "shown false", "effect": 2.0}
    record = {
        "name": "four-times-time",
        "verdict": "refuted",
        "conditions": [condition],
    }
    notebook = json.loads(page.read_text(encoding="utf-8"))
    notebook["cells"][1]["outputs"] = [
        {"output_type": "display_data", "data": {MIME: record}}
    ]
    page.write_text(json.dumps(notebook), encoding="utf-8")


def measured(folder=None):
    """Rows of the ledger that have been measured."""
    return [row for row in read_ledger(folder) if row["verdict"] == "refuted"]


def test_a_record_travels_in_the_notebook(tmp_path):
    write_record(tmp_path / "book/4-code/8-cost.ipynb")
    (row,) = measured(tmp_path)
    assert row["conditions"][0]["effect"] == 2.0 and row["page"] == "4-code/8-cost"


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


def test_the_csv_has_a_line_for_each_condition(claims, tmp_path):
    level = 0.975
    conditions = [
        judge_condition(c, MEASURED[c["name"]], level)
        for c in CLAIMS["gates-help"]["conditions"]
    ]
    record = {"name": "gates-help", "verdict": "supported", "conditions": conditions}
    rows = [
        CLAIMS["gates-help"] | record,
        CLAIMS["gpu"] | {"name": "gpu", "verdict": "not measured"},
    ]
    as_json, as_csv = write_ledger(rows, tmp_path)
    assert (
        json.loads(as_json.read_text(encoding="utf-8"))[0]["conditions"][1]["n"] == 20
    )
    with as_csv.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["condition"] for line in lines] == [
        "short",
        "long",
        "always",
        "found later",
        "",
    ]
    assert lines[0]["name"] == "gates-help" and float(lines[0]["effect"]) == 0.05
    assert lines[0]["above"] == "0.01" and lines[0]["n"] == "4"
    assert lines[4]["untested"] == "No GPU."
    said = describe(record)
    assert "\n* By proof: always (path ≤ 1): **holds**.\n" in said
    assert said.count("| condition |") == 3  # as many as there are measured metrics


def test_claims_stand_in_the_order_of_the_book():
    """What names no page comes last."""
    pages = [claim.get("page") for claim in load_claims().values()]
    numbers = [re.findall(r"\d+", page) if page else ["9"] for page in pages]
    assert numbers == sorted(numbers, key=lambda number: list(map(int, number)))
