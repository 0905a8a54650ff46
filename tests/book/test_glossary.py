"""The glossary: in order, linked, and each term stands where its link leads."""

import re

import pytest

from tests.book.anchors import sections
from tests.conftest import ROOT

ENTRY = re.compile(
    r"\* \*\*(?P<term>[^*]+)\*\*(?: \((?P<also>[^()]+)\))?: "
    r"(?P<said>.+\.) \[(?P<number>\d\.\d+)\]"
    r"\((?P<page>[\w/-]+\.ipynb)#(?P<anchor>[^)]+)\)"
)
CHINESE = re.compile("[\u4e00-\u9fff]")
TEXT = (ROOT / "book/glossary.md").read_text("utf-8")
ENGLISH, TABLE = TEXT.split("## English and Chinese\n")
LINES = [line for line in ENGLISH.splitlines() if line.startswith("* ")]
ENTRIES = [match.groupdict() for match in map(ENTRY.fullmatch, LINES) if match]


def plain(text):
    """Words alone, as one looks for them: without marks, in small letters."""
    return " ".join(re.sub(r"[*`$]", "", text).split()).casefold()


def pairs(table):
    """(English, Chinese) of a table of two such pairs per row, down its columns."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| ")
    ]
    assert rows.pop(0) == ["English", "中文"] * 2
    found = [row[start : start + 2] for start in (0, 2) for row in rows]
    assert ["", ""] not in found[:-1], "a gap that is not at the end"
    return [tuple(pair) for pair in found if pair != ["", ""]]


def test_every_line_is_an_entry():
    assert len(LINES) > 80
    assert not [line for line in LINES if not ENTRY.fullmatch(line)]


def test_terms_are_in_order_and_stand_once():
    terms = [entry["term"].casefold() for entry in ENTRIES]
    assert terms == sorted(set(terms))


def test_every_term_has_its_chinese():
    """The table has the same terms in the same order, and the page begins with it."""
    listed = pairs(TABLE)
    assert [english for english, _ in listed] == [entry["term"] for entry in ENTRIES]
    assert not [english for english, chinese in listed if not CHINESE.search(chinese)]
    assert "](#english-and-chinese)" in ENGLISH.partition("\n## ")[0]
    assert not [line for line in LINES if CHINESE.search(line)]


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["term"] for entry in ENTRIES])
def test_an_entry(entry):
    """One sentence, and the term is in the section that is named."""
    sentence = re.sub(r"\$[^$]*\$", "", entry["said"])
    assert not re.search(r"[.?!]\s", sentence), "more than one sentence"
    chapter, page = re.match(r"(\d+)-[\w-]+/(\d+)-", entry["page"]).groups()
    assert entry["number"] == f"{chapter}.{page}"
    text = sections(entry["page"])
    assert entry["anchor"] in text, "no such heading"
    term = rf"\b{re.escape(plain(entry['term']))}"
    assert re.search(term, plain(text[entry["anchor"]]))


@pytest.mark.parametrize(
    "line",
    [
        "* **gate**: A number. [2.2](2-concepts/2-lstm.ipynb)",  # no section
        "* **gate**: [2.2](2-concepts/2-lstm.ipynb#the-whole-cell)",
        "* **gate** A number. [2.2](2-concepts/2-lstm.ipynb#the-whole-cell)",
        "* **gate**: A number [2.2](2-concepts/2-lstm.ipynb#the-whole-cell)",
    ],
)
def test_an_incomplete_entry_is_noticed(line):
    assert not ENTRY.fullmatch(line)
    assert ENTRY.fullmatch("* **gate**: A. [2.2](2-concepts/2-lstm.ipynb#the-whole)")


@pytest.mark.parametrize(
    "table",
    [
        "| English | 中文 |\n|---|---|\n| gate | 门 |",  # another form
        "| English | 中文 | English | 中文 |\n|---|---|---|---|\n| | | gate | 门 |",
    ],
)
def test_an_incomplete_table_is_noticed(table):
    with pytest.raises(AssertionError):
        pairs(table)
