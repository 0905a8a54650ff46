"""references.bib, the list made from it, and the citations in the pages agree."""

import re

import pytest
import yaml

from tests.conftest import PAGES, ROOT, read_page
from tools.site import references

ENTRIES = references.read_entries()
OURS = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["html"]["baseurl"]
# Of every other address outside the book we want to know which paper it is.
NOT_PAPERS = re.compile(
    r"https://([\w-]+\.)*(github\.com|google\.com|keras\.io|tensorflow\.org|numpy\.org"
    r"|python\.org|jupyter\.org|onnx\.ai|pytorch\.org|rasbt\.github\.io)(/|$)"
)


def citations():
    """(page, words, address) of every link in a page that leaves the book."""
    for page in PAGES:
        for cell in read_page(page):
            if cell["cell_type"] == "markdown":
                text = re.sub(r"\s+", " ", cell["source"])
                for words, url in references.LINK.findall(text):
                    if not NOT_PAPERS.match(url) and not url.startswith(OURS):
                        yield page, words, url


def complaints(page, words, url, entries=ENTRIES):
    """What is wrong with a citation."""
    cited = [e for e in entries if url in references.addresses(e)]
    if not cited:
        return [f"{page}: {url} is not in references.bib"]
    (entry,) = cited
    names, year = references.families(entry), entry.fields["year"]
    others = {1: "", 2: f" and {names[-1]}"}.get(len(names), " et al.")
    expected = {f"{names[0]}{others} ({year})", f"{names[0]}{others}, {year}"}
    return [] if words in expected else [f"{page}: {words}; expected {expected}"]


def test_the_list_is_up_to_date():
    assert references.main(["--check"]) == 0, "run python -m tools.site.references"


def test_every_citation_is_in_the_list():
    found = list(citations())
    assert len(found) > 30
    assert not [line for citation in found for line in complaints(*citation)]


@pytest.mark.parametrize(
    ("words", "url", "wrong"),
    [
        ("Elman (1990)", "https://doi.org/10.1207/s15516709cog1402_1", False),
        ("Elman, 1990", "https://doi.org/10.1207/s15516709cog1402_1", False),
        ("Elman (1991)", "https://doi.org/10.1207/s15516709cog1402_1", True),
        ("Jordan (1990)", "https://doi.org/10.1207/s15516709cog1402_1", True),
        ("this paper", "https://doi.org/10.1207/s15516709cog1402_1", True),
        ("Elman (1990)", "https://doi.org/10.1207/s15516709cog1402_2", True),
        ("Gers and Schmidhuber, 2000", "https://doi.org/10.1109/IJCNN.2000.861302", 0),
        ("Gers et al., 2000", "https://doi.org/10.1109/IJCNN.2000.861302", True),
        ("Le et al. (2015)", "https://arxiv.org/abs/1504.00941", False),
    ],
)
def test_a_wrong_citation_is_noticed(words, url, wrong):
    assert bool(complaints("page", words, url)) == bool(wrong)


def test_every_paper_has_one_entry():
    addresses = [u.casefold() for e in ENTRIES for u in {*references.addresses(e)}]
    titles = [entry.fields["title"].casefold() for entry in ENTRIES]
    for values in (addresses, titles):
        twice = {value for value in values if values.count(value) > 1}
        assert not twice


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)
def test_an_entry_is_complete_and_cited(entry):
    fields = entry.fields
    assert references.families(entry)[0] and fields["title"]
    assert re.fullmatch(r"(19|20)\d\d", fields["year"])
    assert fields["year"] in entry.key
    venue = {"article": "journal", "inproceedings": "booktitle", "thesis": "school"}
    assert fields.get(venue.get(entry.type, "note"), "").strip(), "no venue"
    if entry.type == "article":
        assert fields["volume"] and fields["pages"]
        assert "doi" in fields or "jmlr.org" in fields["url"]  # which gives out none
    assert references.addresses(entry), "no DOI, arXiv id or address"
    assert re.fullmatch(r"10\.\d{4,}/\S+", fields.get("doi", "10.1000/x"))
    assert re.fullmatch(r"\d{4}\.\d{4,5}", fields.get("eprint", "0000.0000"))
    assert fields.get("url", "https://").startswith("https://")
    assert references.cited_in(entry) or fields.get("keywords") == "planned", "unused"


def test_the_timeline_names_papers_of_the_list():
    """Each event of page 1.3 has its paper, which the page links to."""
    page = "book/1-background/3-history.ipynb"
    text = "\n".join(cell["source"] for cell in read_page(page))
    events = re.findall(r'\((\d{4}), "[^"]+", "([^"]+)", "\w+"\)', text)
    assert len(events) > 20
    linked = {re.sub(r"[(),]", "", words) for p, words, _ in citations() if p == page}
    assert {f"{who} {year}" for year, who in events} == linked
