"""The glossary: in order, linked, and each term stands where its link leads."""

import re

import pytest

from tests.book.anchors import sections
from tests.conftest import ROOT

ENTRY = re.compile(
    r"\* \*\*(?P<term>[^*]+)\*\* · (?P<chinese>[^·:]+?)(?: · (?P<also>[^:]+))?: "
    r"(?P<said>.+\.) \[(?P<number>\d\.\d+)\]"
    r"\((?P<page>[\w/-]+\.ipynb)#(?P<anchor>[^)]+)\)"
)
LINES = [
    line
    for line in (ROOT / "book/glossary.md").read_text("utf-8").splitlines()
    if line.startswith("* ")
]
ENTRIES = [match.groupdict() for match in map(ENTRY.fullmatch, LINES) if match]


def plain(text):
    """Words alone, as one looks for them: without marks, in small letters."""
    return " ".join(re.sub(r"[*`$]", "", text).split()).casefold()


def test_every_line_is_an_entry():
    assert len(LINES) > 80
    assert not [line for line in LINES if not ENTRY.fullmatch(line)]


def test_terms_are_in_order_and_stand_once():
    terms = [entry["term"].casefold() for entry in ENTRIES]
    assert terms == sorted(set(terms))


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["term"] for entry in ENTRIES])
def test_an_entry(entry):
    """One sentence, a Chinese term, and the term is in the section that is named."""
    sentence = re.sub(r"\$[^$]*\$", "", entry["said"])
    assert not re.search(r"[.?!]\s", sentence), "more than one sentence"
    assert re.search("[\u4e00-\u9fff]", entry["chinese"])
    chapter, page = re.match(r"(\d+)-[\w-]+/(\d+)-", entry["page"]).groups()
    assert entry["number"] == f"{chapter}.{page}"
    text = sections(entry["page"])
    assert entry["anchor"] in text, "no such heading"
    term = rf"\b{re.escape(plain(entry['term']))}"
    assert re.search(term, plain(text[entry["anchor"]]))


@pytest.mark.parametrize(
    "line",
    [
        "* **gate** · 门: A number. [2.2](2-concepts/2-lstm.ipynb)",  # no section
        "* **gate**: A number. [2.2](2-concepts/2-lstm.ipynb#the-whole-cell)",
        "* **gate** · 门: A number [2.2](2-concepts/2-lstm.ipynb#the-whole-cell)",
    ],
)
def test_an_incomplete_entry_is_noticed(line):
    assert not ENTRY.fullmatch(line)
