"""The reference of the package: complete, linked to the pages, found by the search."""

import doctest
import importlib
import re

import pytest
import yaml
from bs4 import BeautifulSoup
from docutils.core import publish_doctree
from docutils.nodes import Text, bullet_list, doctest_block, literal_block, reference

from tests.conftest import ROOT
from tools.browser import open_page
from tools.site import api

FOLDER = ROOT / "book" / "api"
REPOSITORY = {"url": "https://github.com/me/mine", "branch": "dev"}
PUBLIC = [
    f"{module}.{name}"
    for module in (
        "unrolled",
        "unrolled.tasks",
        "unrolled.course",
        "unrolled.explorables",
    )
    for name in importlib.import_module(module).__all__
]
LARGEST = 200_000


@pytest.fixture(scope="module")
def pages(site):
    """The built pages of the reference, parsed, by their path."""
    return {
        path.relative_to(site).as_posix(): BeautifulSoup(
            path.read_text("utf-8"), "html.parser"
        )
        for path in (site / "book" / "api").glob("*.html")
    }


def read(docstring):
    """A converted docstring as docutils reads it; no complaint is let pass."""
    text = ".. default-role:: literal\n\n" + api.to_rst(docstring)
    return publish_doctree(text, settings_overrides={"halt_level": 2})


@pytest.mark.parametrize(
    "text",
    [
        "One row per sequence, `(…, 4H)`, and `a_` as well as `*args` and `|x|`.",
        "Mean of |change of output| / |nudge|, in a_ and b__ and *x and **options.",
        "h_t = tanh(x_t W_xh + h_{t−1} W_hh + b_h), with b'_g and W_h; 2 * 3 * 4.",
        "The kernel W_x is `(F,\n4H)`, a back\\slash remains.",
    ],
)
def test_no_character_of_a_docstring_is_taken_for_markup(text):
    assert read(text).astext() == text.replace("`", "")


def test_blocks_of_a_docstring_stay_as_they_are():
    document = read(
        "In each step::\n\n    c_ = f * c_\n    |h| = *o*\n\n      more\n\nThen *that*:"
        "\n\n* one_\n* two\n\n>>> f(**x)  # *\n|3|\n\nThe end_."
    )
    assert [n.astext() for n in document.findall(literal_block)] == [
        "c_ = f * c_\n|h| = *o*\n\n  more"
    ]
    assert [n.astext() for n in document.findall(doctest_block)] == [
        ">>> f(**x)  # *\n|3|"
    ]
    (bullets,) = document.findall(bullet_list)
    assert [item.astext() for item in bullets] == ["one_", "two"]
    words = [node.astext() for node in document.findall(Text)]
    assert "Then *that*:" in words and "The end_." in words


def test_an_arxiv_number_links_to_the_paper():
    (link,) = read("ICLR 2015, arXiv:1412.6980; see it.").findall(reference)
    assert link["refuri"] == "https://arxiv.org/abs/1412.6980"
    assert link.astext() == "arXiv:1412.6980"


def test_what_is_returned_is_told_in_a_sentence():
    docstring = "Do it.\n\nReturns:\n    `Task` with y. Expected baseline: ln 2.\n"
    lines = api.Docstring(docstring, api.SECTIONS, what="method").lines()
    assert ":returns: `Task` with y. Expected baseline: ln 2." in lines


class Base:
    def told(self):
        pass

    @property
    def size(self):
        pass

    def changed(self):
        pass

    def _hidden(self):
        pass


class Middle(Base):
    def changed(self):
        pass


class Derived(Middle, dict):
    pass


def test_what_a_class_inherits(monkeypatch):
    monkeypatch.setattr(api, "PACKAGE", __name__)
    assert api.inherited_members(Derived) == {
        Middle: ["changed"],
        Base: ["told", "size"],
    }
    assert api.inherited_members(Middle) == {Base: ["told", "size"]}
    assert api.inherited_members(Base) == {}


@pytest.mark.parametrize(
    ("module", "name", "file", "first"),
    [
        ("unrolled", "LSTM", "lstm.py", "class LSTM("),
        ("unrolled", "Stack.forward", "compose.py", "    def forward("),
        ("unrolled", "gradcheck", "gradcheck.py", "def gradcheck("),
        ("unrolled.layer", "Layer.weights", "layer.py", "    @property"),
        ("unrolled.model", "SequenceModel.fit", "model.py", "    @one_thread"),
        ("unrolled.course", "COLORS", None, None),
    ],
)
def test_address_of_the_source(module, name, file, first):
    address = api.source_address(REPOSITORY, {"module": module, "fullname": name})
    if file is None:
        assert address is None
        return
    start = f"https://github.com/me/mine/blob/dev/unrolled/{file}#L"
    number = int(address.removeprefix(start).partition("-L")[0])
    line = (ROOT / "unrolled" / file).read_text("utf-8").splitlines()[number - 1]
    assert line.startswith(first)


def entries():
    """Name of each entry on the pages → the text between its heading and it."""
    found = {}
    for path in FOLDER.glob("*.md"):
        for section in re.split(r"^#+ ", path.read_text("utf-8"), flags=re.MULTILINE):
            text = section.partition("```{eval-rst}")[0]
            for name in re.findall(r"^\.\. auto\w+:: ([\w.]+)", section, re.MULTILINE):
                assert name not in found, f"{name} has two entries"
                found[name] = text
    return found


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_has_an_entry_that_names_its_page(name):
    assert name in entries(), f"{name} needs an entry in book/api, see the others"
    links = re.findall(r"\[([^\]]+)\]\(([^)#]+)[^)]*\)", entries()[name])
    pages = [(text, path) for text, path in links if path.startswith("../")]
    assert pages, f"the entry of {name} needs a link to the page that derives it"
    for text, path in pages:
        target = (FOLDER / path).resolve()
        assert target.exists(), path
        if re.fullmatch(r"\d\.\d+", text):
            assert text == f"{target.parent.name[0]}.{target.name.partition('-')[0]}"


def test_the_example_runs():
    text = (FOLDER / "index.md").read_text("utf-8")
    blocks = re.findall(r"^```pycon\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    for block in blocks:
        runner.run(parser.get_doctest(block, {}, "index.md", "index.md", 0))
    assert runner.summarize(verbose=False).failed == 0 and runner.tries > 5


def test_each_entry_is_on_the_site(pages):
    ids = {tag["id"] for soup in pages.values() for tag in soup.select("dt[id]")}
    assert set(entries()) <= ids
    assert {"unrolled.recurrence.Recurrent.backward", "unrolled.Stack.forward"} <= ids
    private = [i for i in ids if re.search(r"\._", i)]
    assert not private


def test_docstrings_come_out_as_they_were_meant(pages):
    for path, soup in pages.items():
        assert not soup.select(".problematic, .system-message"), path
        assert not soup.select("article blockquote"), f"{path}: `::` is missing"
        text = soup.select_one("article").get_text()
        assert not re.search(r"\b(Args|Example|References|Source):", text), path
        assert "`" not in text, path
        assert not soup.select("dt.sig dl"), f"{path}: a list in a signature"


def test_names_link_to_their_entries(pages):
    networks = pages["book/api/networks.html"]
    lstm = networks.find(id="unrolled.LSTM").find_next_sibling("dd")
    links = {a.get_text(): a["href"] for a in lstm.select("a.internal:has(code)")}
    assert links["Recurrent"] == "#unrolled.recurrence.Recurrent"
    assert links["backward"] == "#unrolled.recurrence.Recurrent.backward"
    assert "LSTM" not in links and "units" not in links
    assert len(networks.select("dt.sig .sig-arguments > span > em")) > 20
    checks = pages["book/api/checks.html"]
    place = "networks.html#unrolled.PeepholeLSTM"
    assert checks.select(f'a[href="{place}"] > code')


def test_each_entry_links_to_its_source(pages):
    repository = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]
    blob = f"{repository['url']}/blob/{repository['branch']}/unrolled/"
    for path, soup in pages.items():
        for entry in soup.select("dt.sig[id]"):
            if entry.select(".sig-paren"):
                (link,) = entry.select("a:has(.viewcode-link)")
                assert link["href"].startswith(blob), path


def test_pages_are_light(site, pages):
    for path in pages:
        assert (site / path).stat().st_size < LARGEST, path


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("LSTM.backward", "networks.html#unrolled.recurrence.Recurrent.backward"),
        ("LSTM.get_weights", "networks.html#unrolled.layer.Layer.get_weights"),
        ("clip_by_global_norm", "training.html#unrolled.clip_by_global_norm"),
        ("forget_bias", "networks.html#unrolled.LSTM"),
    ],
)
def test_search_finds(browser, address, query, place):
    """Also what is described only with a base class, and arguments."""
    page, troubles = open_page(browser, address, f"search.html?q={query}")
    link = page.locator(f'#search-results a[href*="book/api/{place}"]').first
    link.wait_for()
    assert query in link.inner_text()
    assert not troubles
    page.context.close()
