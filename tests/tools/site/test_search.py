"""The site's search: what it reads from pages, and what a reader is shown."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

from tests.conftest import write_page, write_small_book
from tools.browser import open_page, serve
from tools.site.search import Index, in_letters, use_our_search

MATH = "<math><semantics>{}<annotation>tex</annotation></semantics></math>"
STATE = "<msub><mi>h</mi><mrow><mi>t</mi><mo>−</mo><mn>1</mn></mrow></msub>"
PAGE = """<main><nav>elsewhere</nav><article>
<section id="one"><h1><span>2.1. </span>One<a class="headerlink">#</a></h1>
<table class="headless"><tr><td>You will</td><td>see</td></tr></table>
<p>The state <span class="math"><span class="katex">⟦0⟧</span></span> stays:</p>
<div class="math"><span class="katex">⟦1⟧</span></div><p>so we keep it.</p>
<div class="admonition"><p class="admonition-title">Note</p><p>Mind it.</p></div>
<section id="two"><h2>Two</h2>
<details><summary>Show the code</summary><pre>a = 1\n\nb = 2  # why</pre></details>
<div class="cell_output"><pre>printed</pre><table><tr><td>x</td><td>y</td></tr></table>
</div></section></section></article></main>"""
REFERENCE = """<article><section id="cells"><h1>Cells</h1><dl class="py">
<dt class="sig" id="p.RNN">class p.<span>RNN</span>(<em>units</em>)<a>[source]</a></dt>
<dd><p>A cell.</p><dl class="py"><dt class="sig" id="p.RNN.forward">forward(x)</dt>
<dd><p>Its way.</p></dd></dl></dd></dl></section></article>"""
FILLER = "Nothing of interest is said here about anything in particular. " * 12
PAGES = {
    "index": f"# Front\n\nA band and a swan in the sand. {FILLER} At the end an eel.",
    "plain": f"""# Rarely

{FILLER}

## One

{FILLER} Here a gate is named. {FILLER}

## Two

A gate, then two gates, then one more gate.

## Three

The `gate_of_iron` and $g_{{t-1}}$ shut:

$$g_t = \\text{{unsaid}} \\tag{{1}}$$

Then gatekeepers come. The state is kept.""",
    "uses": f"# Often\n\nHere are words. {FILLER}\n\n## The gate\n\nIt has a heading."
    "\n\n## River\n\nA moor, a river, a moor, a river."
    "\n\n## How much moor there is beside a river\n\nIt is not known.",
}


def read(html, *formulas):
    """Sections of a page as the index has them, by their places."""
    index = Index(SimpleNamespace(typeset=[MATH.format(f) for f in formulas]))
    soup = BeautifulSoup(html, "html.parser")
    index.add(soup, "book/a.html")
    return index.pages[0]["title"], {
        section["place"]: section for section in index.pages[0]["sections"]
    }


def test_prose_is_read_without_what_stands_around_it():
    """No buttons, signs, titles of boxes, print-outs; each formula once, in letters."""
    title, sections = read(PAGE, STATE, "<mi>z</mi>")
    assert title == "2.1. One" and list(sections) == ["", "#two"]
    said = "The state h_{t−1} stays: so we keep it. Mind it."
    assert sections[""]["prose"] == said
    assert sections["#two"]["heading"] == "Two"
    assert sections["#two"]["prose"] == "x · y"
    assert sections["#two"]["code"] == "a = 1\nb = 2  # why"


def test_an_entry_of_the_reference_is_a_place_of_its_own():
    title, sections = read(REFERENCE)
    assert title == "Cells"
    said = {place: (s["heading"], s["prose"]) for place, s in sections.items()}
    assert said == {
        "": ("", ""),
        "#p.RNN": ("class p.RNN", "A cell."),
        "#p.RNN.forward": ("forward", "Its way."),
    }


@pytest.mark.parametrize(
    ("formula", "letters"),
    [
        ("<mi>x</mi><mo>=</mo><mn>2</mn>", "x = 2"),
        ("<mfrac><mi>a</mi><mrow><mi>b</mi><mi>c</mi></mrow></mfrac>", "a/{bc}"),
        ("<msubsup><mi>K</mi><mi>n</mi><mi>k</mi></msubsup>", "K_n^k"),
        ("<msub><mi>s</mi><mi>max</mi><mo>\u2061</mo></msub>", "s_{max}"),
        ("<msqrt><mi>H</mi></msqrt>", "√H"),
        ("<mover><mi>y</mi><mo>^</mo></mover>", "y"),
    ],
)
def test_formulas_in_plain_letters(formula, letters):
    soup = BeautifulSoup(MATH.format(formula), "html.parser")
    assert in_letters(soup.semantics).strip() == letters


def test_the_page_asks_for_our_script():
    names = ("a.js", "searchtools.js?v=1", "language_data.js")
    tags = "".join(f'<script src="_static/{name}"></script>' for name in names)
    soup = BeautifulSoup(tags + '<script src="searchindex.js"></script>', "html.parser")
    use_our_search(soup)
    left = [script["src"] for script in soup.select("script")]
    assert left == ["_static/a.js", "_static/search.js", "searchindex.js"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Address of the site of a small book whose words are known."""
    root = write_small_book(tmp_path_factory.mktemp("built") / "checkout")
    for name, words in PAGES.items():
        write_page(root / f"book/{name}.ipynb", words, [])
    path = root / "book/uses.ipynb"
    write_page(path, PAGES["uses"], ["lonely = 1  # in code alone"])
    notebook = json.loads(path.read_text("utf-8"))
    notebook["cells"][1]["metadata"]["tags"] = ["hide-input"]
    path.write_text(json.dumps(notebook), encoding="utf-8")
    command = [sys.executable, "-m", "tools.site.build"]
    result = subprocess.run(
        command, cwd=root, capture_output=True, encoding="utf-8", check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    with serve(root / "_build/html") as address:
        yield address


@pytest.fixture
def ask(browser, built):
    """Ask the search; returns links, excerpts, marked words and what it says."""
    pages = []

    def ask(query):
        page, troubles = open_page(browser, built, f"search.html?q={query}")
        pages.append(page)
        page.locator(".search-summary").wait_for(state="attached")
        assert not troubles
        return SimpleNamespace(
            page=page,
            links=page.locator("ul.search li > a").all_inner_texts(),
            excerpts=page.locator("ul.search .context").all_inner_texts(),
            marks=page.locator("ul.search mark").all_inner_texts(),
            said=page.locator(".search-summary").inner_text(),
        )

    yield ask
    for page in pages:
        page.context.close()


def test_headings_come_first_then_what_says_it_most(ask):
    """Not in the order of pages, nor of names."""
    found = ask("gate").links
    places = [link.partition(" › ")[2] for link in found]
    assert places == ["The gate", "Two", "Three", "One"]
    found = ask("moor river").links  # a long heading that has both words, too
    assert found == ["Often › How much moor there is beside a river", "Often › River"]


def test_a_result_leads_to_its_section(ask):
    page = ask("gate").page
    page.locator("ul.search li > a").first.click()
    assert page.url.endswith("book/uses.html#the-gate")


@pytest.mark.parametrize(
    ("query", "marks"),
    [
        ("eel", ["eel"]),
        ("gates", ["gate"] * 4 + ["gate_of_iron", "gatekeepers", "gates"]),
        ("gate_of_iron", ["gate_of_iron"]),
    ],
)
def test_whole_words_are_marked(ask, query, marks):
    assert sorted(ask(query).marks) == marks


def test_a_short_word_is_not_found_within_others(ask):
    """Neither in "and" nor in "swan"."""
    assert ask("an").marks == ["an"]


def test_excerpts_are_prose(ask):
    """They begin with the sentence that has the words, and show formulas once."""
    excerpts = ask("gate").excerpts
    assert excerpts[1] == "A gate, then two gates, then one more gate."
    assert "The gate_of_iron and g_{t−1} shut: Then" in excerpts[2]
    assert excerpts[3].startswith("Here a gate is named. Nothing")
    assert excerpts[3].endswith(" …") and len(excerpts[3]) < 300
    assert ask("lonely").excerpts == ["lonely = 1 # in code alone"]


def test_all_words_of_a_query_count(ask):
    assert ask("what is an iron state").links == ["Rarely › Three"]
    some = ask("eel lonely")
    assert len(some.links) == 2 and "none has all" in some.said
    nothing = ask("button")
    assert not nothing.links and "Nothing found" in nothing.said


def test_it_searches_while_one_types(ask):
    page = ask("").page
    page.locator(".bd-search-container input").fill("eel")
    page.locator("ul.search li").wait_for()
    assert page.locator("ul.search li > a").inner_text() == "Front"


def test_what_one_types_is_no_markup(ask):
    found = ask("<b>gate</b>(")
    assert len(found.links) == 4 and not found.page.locator("ul.search b").count()
