"""The built site: whole, of one piece, quiet, and readable on a phone."""

import copy
import json
import re
from urllib.parse import unquote, urldefrag, urljoin

import pytest
import yaml
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont

from tests.axe import violations
from tests.conftest import PAGES, ROOT, read_page
from tools.browser import new_page, open_page
from tools.site import slim
from tools.site.extension import FORMULA
from tools.site.pdf import EDITIONS

LESSON = "LearningResource"
WITH_PICTURES = "document.querySelectorAll('img').forEach(i => i.loading = 'eager')"
RELATIVE = re.compile(r"\]\((?!http|#)[^()\s]+\.(?:ipynb|md|svg)[)#]")  # a link
# Whether the keyboard reaches all code and output that is seen and scrolls.
ALL_REACHABLE = """() => [...document.querySelectorAll('pre, .cell_output > .output')]
    .every(box => !box.checkVisibility() || box.scrollWidth <= box.clientWidth
                  || box.tabIndex === 0)"""
TRIES = 400  # a twentieth of a second or more apart
# Axe looks at every element, and takes long. So empty boxes stand for the drawings of
# formulas, which it passes over; and of the words in code, one of each kind remains.
# It judges no colour on a picture, and the shades of what scrolls are pictures to it.
SIMPLIFY = """() => {
    for (const box of document.querySelectorAll('.table-scroll, div.highlight pre'))
        box.style.setProperty('background-image', 'none', 'important')
    const drawings = [...document.querySelectorAll('.katex-html')]
    const boxes = drawings.map(drawing => drawing.getBoundingClientRect())
    const words = [...document.querySelectorAll('.highlight pre *')]
    const kinds = words.map(word => {
        let kind = `${word.checkVisibility({visibilityProperty: true})}`
        for (let part = word; part.className !== 'highlight'; part = part.parentElement)
            kind += ` ${part.className}`
        return kind
    })
    drawings.forEach((drawing, k) => {
        const {width, height} = boxes[k]
        drawing.replaceChildren()
        Object.assign(drawing.style, {
            display: 'inline-block', width: `${width}px`, height: `${height}px`})
    })
    words.forEach((word, k) => {
        if (kinds.indexOf(kinds[k]) < k) word.replaceWith(...word.childNodes)
    })
}"""
# Thirty looks in a row, one a frame: what lies above may still be laid out.
STAYS_IN_SIGHT = """heading => {
    const top = document.querySelector(heading).getBoundingClientRect().top
    window.looks = 0 <= top && top < 400 ? (window.looks ?? 0) + 1 : 0
    return window.looks > 30
}"""
STOPS = "a[href], button, input, select, summary, [tabindex='0']"


@pytest.fixture(scope="module")
def soups(site):
    """Every HTML file of the site, parsed, by its path."""
    return {
        path.relative_to(site).as_posix(): BeautifulSoup(
            path.read_text("utf-8"), "html.parser"
        )
        for path in site.rglob("*.html")
        if "_static" not in path.parts
    }


def test_every_page_is_there(soups):
    assert {page.replace(".ipynb", ".html") for page in PAGES} <= set(soups)
    refresh = soups["index.html"].find("meta", attrs={"http-equiv": "Refresh"})
    assert "book/index.html" in refresh["content"]


def test_internal_links_and_anchors(site, soups):
    ids = {
        path: {tag["id"] for tag in soup.select("[id]")} for path, soup in soups.items()
    }
    broken = []
    for path, soup in soups.items():
        for tag in soup.select("[href], [src]"):
            link = tag.get("href") or tag.get("src")
            link = link.removeprefix("/book/") if path == "404.html" else link
            if re.match(r"(https?:|mailto:|data:|javascript:)", link) or link == "#":
                continue
            target, anchor = urldefrag(urljoin(path, unquote(link)))
            target = target.split("?")[0]
            if not (site / target).exists():
                broken.append(f"{path}: {link}")
            elif anchor and target in ids and unquote(anchor) not in ids[target]:
                broken.append(f"{path}: {link} (no such place in the page)")
    assert not broken


def test_style_sheets_name_files_that_are_there(site):
    broken = []
    for css in site.rglob("*.css"):
        text = re.sub(
            r"/\*.*?\*/", "", css.read_text("utf-8", "replace"), flags=re.DOTALL
        )
        for url in re.findall(r"url\(['\"]?([^'\")]+)['\"]?\)", text):
            if not url.startswith(("data:", "#")):
                assert not url.startswith(("http:", "https:", "//")), (
                    f"{css.name}: {url}"
                )
                if not (css.parent / url.split("?")[0].split("#")[0]).exists():
                    broken.append(f"{css.relative_to(site)}: {url}")
    assert not broken


def test_ids_are_unique(soups):
    for path, soup in soups.items():
        ids = [tag["id"] for tag in soup.select("[id]")]
        assert len(set(ids)) == len(ids), {i for i in ids if ids.count(i) > 1} and path


def test_images_say_what_they_show(soups):
    for path, soup in soups.items():
        for image in soup.select("img"):
            assert image.get("alt", "").strip(), f"{path}: {image}"
            assert "_images" not in image["alt"], (
                f"{path}: a file name as text: {image['alt']}"
            )


def test_formulas_are_typeset(soups):
    pages = [soup for path, soup in soups.items() if path.startswith("book/4-code/")]
    assert sum(len(soup.select(".katex")) for soup in pages) > 50
    for path, soup in soups.items():
        assert not soup.select(".katex-error, [style*='#cc0000']"), path
        words = copy.copy(soup)
        for tag in words.select("pre, code, .katex, script, style"):
            tag.extract()
        text = words.get_text()
        assert not re.search(r"\$\$|\\frac|\\begin|\\tag", text), f"{path}: raw formula"
        assert not words.find_all(string=FORMULA), f"{path}: raw formula"
        assert not re.search(r"^\s*>\s*\*\*|\{\w+\}`", text, re.MULTILINE), (
            f"{path}: raw markup"
        )


def test_ways_in(soups):
    repository = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]
    owner_and_name = repository["url"].removeprefix("https://github.com/")
    for page in PAGES:
        links = [
            a["href"] for a in soups[page.replace(".ipynb", ".html")].select("a[href]")
        ]
        colab = "https://colab.research.google.com/github/"
        assert f"{colab}{owner_and_name}/blob/{repository['branch']}/{page}" in links
        assert repository["url"] in links
        at = f"{repository['branch']}?urlpath=lab/tree/{page}"
        assert f"https://mybinder.org/v2/gh/{owner_and_name}/{at}" in links
        assert f"{repository['url']}/edit/{repository['branch']}/{page}" in links
        ask = f"{repository['url']}/issues/new?title=Issue%20on%20page%20%2F"
        assert [link for link in links if link.startswith(ask)]


def test_solutions_are_folded(soups):
    for page in PAGES:
        if not page.endswith(("index.ipynb", "summary.ipynb")):
            soup = soups[page.replace(".ipynb", ".html")]
            folded = [
                d for d in soup.select("details") if "@title Solution" in d.get_text()
            ]
            assert len(folded) >= 3 and not any(d.has_attr("open") for d in folded)


def test_a_page_begins_with_what_it_found(soups):
    """In short comes before the folded code that computed it; each fold has a name."""
    found = 0
    for path, soup in soups.items():
        opening = soup.select_one("article > section > .cell .cell_output")
        if opening and "In short." in opening.get_text():
            found += 1
            cell = opening.find_parent("div", class_="cell")
            assert not cell.find_previous_siblings("div", class_="tag_hide-input"), path
        for fold in soup.select("details.hide > summary"):
            assert fold.get_text(strip=True) and not fold.has_attr("aria-label"), path
    assert found > 20


def test_pages_have_the_numbers_that_they_are_called_by(soups):
    """The menu and each chapter's opener count alike."""
    counted = 0
    for path in sorted(path for path in soups if re.match(r"book/\d.*/index", path)):
        names = {
            urljoin(path, link["href"]): link.get_text(" ", strip=True)
            for link in soups[path].select("nav .toctree-l2 > a")
        }
        for link in soups[path].select("article td:first-child a"):
            words = link.get_text(" ", strip=True)
            counted += bool(re.match(r"\d\.\d+ ", words))
            assert names[urljoin(path, link["href"])].replace(". ", " ", 1) == words
    assert counted > 25


def simplify(page):
    """Leave less for axe to look at."""
    assert not page.locator(".katex-html").locator("a, button, [tabindex]").count()
    page.evaluate(SIMPLIFY)


# What only a phone shows is the same on every page: these are seen by day as well.
BY_DAY = ["book/index.html", "book/4-code/1-data.html"]
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}


def pages_to_open():
    others = ["search.html?q=gate", "book/api/index.html", "book/api/networks.html"]
    return [page.replace(".ipynb", ".html") for page in PAGES] + others


@pytest.mark.slow
@pytest.mark.parametrize("path", pages_to_open())
def test_page_in_a_browser(browser, address, path):
    """No request to another host, no complaint, no sideways scrolling; axe agrees."""
    page, troubles = open_page(browser, address, path)
    page.evaluate(WITH_PICTURES)
    page.wait_for_load_state("networkidle")
    assert not troubles
    page.add_style_tag(content="section { content-visibility: visible !important }")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for image in page.locator(".cell_output img").all():
        assert image.bounding_box()["width"] <= 360
    page.set_viewport_size({"width": 1280, "height": 800})
    simplify(page)
    views = [(1280, "light", {}), (1280, "dark", COLOURS), (390, "dark", {})]
    views += [(390, "light", COLOURS)] if path in BY_DAY else []
    for width, scheme, rules in views:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
        for _ in range(TRIES):  # the theme looks anew at what scrolls, in its own time
            if page.evaluate(ALL_REACHABLE):
                break
            page.wait_for_timeout(50)
        assert violations(page, **rules) == [], (width, scheme)
    page.context.close()


@pytest.mark.parametrize("part", [".highlight .k", "p", "p > a"])
def test_a_faint_part_is_found(browser, address, part):
    """Although one word of code stands for all of its kind."""
    page, _ = open_page(browser, address, "book/3-mathematics/1-bptt.html")
    simplify(page)
    page.add_style_tag(content=f"article {part} {{ color: #ccc !important }}")
    assert "color-contrast" in dict(violations(page, **COLOURS))
    page.context.close()


@pytest.mark.parametrize("path", ["book/index.html", "book/4-code/4-train.html"])
def test_opened_as_a_file(site, browser, path):
    """From a folder, without any server: whole, and quiet."""
    page, troubles = open_page(browser, site.as_uri(), path)
    assert not [t for t in troubles if "searchindex" not in t]
    assert page.locator("article h1").first.is_visible()
    formulas = page.locator(".katex-html").count()
    assert not formulas or page.evaluate("document.fonts.check('1em KaTeX_Math')")


def test_without_javascript(browser, address):
    """Text, formulas, folding, menus and the way to the next page need no script."""
    page = new_page(browser, java_script_enabled=False)
    page.goto(f"{address}/book/3-mathematics/1-bptt.html")
    assert page.locator(".katex-html").first.is_visible()
    solution = page.locator("details", has_text="# @title Solution").first
    solution.locator("summary").click()
    assert solution.locator("pre").first.is_visible()
    menu = page.locator(".dropdown-download-buttons")
    menu.locator("button").first.focus()
    assert menu.locator(".btn-download-source-button").first.is_visible()
    page.get_by_role("link", name="next").first.click()
    assert "2-lstm-backward" in page.url
    page.context.close()


def test_the_ledger_filters_and_sorts(browser, address):
    """A link to a row opens it; verdicts, chapter and source narrow the list down."""
    path = "book/6-faq/4-ledger.html#claim-four-times-time"
    page, troubles = open_page(browser, address, path)
    assert page.locator("#claim-four-times-time .conditions").is_visible()
    rows = page.locator(".ledger-claims > li:visible")
    everything = rows.count()
    page.locator("button[value='conditional']").click()
    assert 0 < rows.count() < everything
    page.get_by_label("Chapter").select_option("4 Code")
    page.get_by_label("Said by").select_option("folklore")
    page.get_by_label("Sort").select_option("claim")
    words = rows.locator(".claim").all_inner_texts()
    assert words and words == sorted(words)
    found = rows.evaluate_all("all => all.map(li => ({ ...li.dataset }))")
    assert {row["verdict"] for row in found} == {"conditional"}
    assert {row["chapter"] for row in found} == {"4 Code"}
    page.get_by_role("button", name="Open all").click()
    assert page.locator(".conditions:visible").count() == len(words)
    assert not troubles
    page.context.close()


def test_the_ledger_without_javascript(browser, address):
    page = new_page(browser, java_script_enabled=False)
    page.goto(f"{address}/book/6-faq/4-ledger.html")
    assert not page.locator(".ledger-controls").is_visible()
    page.locator("#claim-lstm-beats-rnn summary").click()
    section = page.locator("#claim-lstm-beats-rnn a").first
    assert section.is_visible()
    section.click()
    assert page.url.endswith("/4-code/6-comparison.html#pair-by-pair")
    page.context.close()


def test_keyboard_reaches_and_opens_a_solution(browser, address):
    page, _ = open_page(browser, address, "book/4-code/1-data.html")
    solution = page.locator("details", has_text="# @title Solution").first
    solution.locator("summary").focus()
    page.keyboard.press("Enter")
    assert solution.locator("pre").first.is_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_keyboard_reaches_everything(browser, address, width):
    """Every link, button, fold and scrolling box, by the tabulator alone."""
    page, _ = open_page(browser, address, "book/4-code/1-data.html", width)
    page.evaluate(
        "addEventListener('focusin', e => e.target.setAttribute('reached', ''))"
    )
    for _ in range(600):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
    else:
        pytest.fail("the tabulator does not come to an end of the page")
    stops = page.locator(f":is({STOPS}):visible:not([tabindex='-1'], :disabled)")
    assert stops.count() > 40
    assert not [s.evaluate("e => e.outerHTML") for s in stops.all() if not reached(s)]
    around = ":is(.pst-scrollable-table-container, .output)[tabindex='0'] .table-scroll"
    assert page.locator(around).count() == 0  # a table is one stop, not two
    boxes = page.locator("pre:visible")
    wide = [b for b in boxes.all() if b.evaluate("e => e.scrollWidth > e.clientWidth")]
    assert wide or width == 1280  # where the longest lines of code fit
    assert all(reached(box) for box in wide)


def reached(place):
    """Whether the keyboard came to an element."""
    return place.get_attribute("reached") is not None


def test_a_link_into_a_page_leads_there(browser, address):
    """Also on a phone, which lays out what lies above only when it is needed."""
    path = "book/3-mathematics/3-gradient-flow.html"
    page, _ = open_page(browser, address, path, width=390)
    target = page.locator("article section[id]").last.get_attribute("id")
    page.goto(f"{address}/{path}#{target}")
    heading = f"#{target} > :is(h2, h3)"
    page.wait_for_function(STAYS_IN_SIGHT, arg=heading)
    assert 0 <= page.locator(heading).bounding_box()["y"] < 400


def test_each_page_says_what_it_is_about(soups):
    """Description, social card, structured data: plain words, not another page's."""
    base = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["html"]["baseurl"]
    said = {}
    for path, soup in soups.items():
        if not path.startswith("book/"):
            continue
        content = {
            tag.get("name") or tag.get("property"): tag["content"]
            for tag in soup.head.select("meta[content]")
        }
        about = content["description"]
        assert 20 < len(about) <= 202, (path, about)
        assert not re.search(r"[\\$]|\\bmathbf\\b", about), (path, about)
        assert content["og:url"] == f"{base}{path}"
        assert content["og:image"] == f"{base}_static/card.png"
        assert soup.head.select_one('link[rel="canonical"]')["href"] == f"{base}{path}"
        data = json.loads(soup.select_one('script[type="application/ld+json"]').string)
        assert data["description"] == about
        assert data["@type"] == ("Course" if path == "book/index.html" else LESSON)
        said.setdefault(about, []).append(path)
    assert not [paths for paths in said.values() if len(paths) > 1]


def test_map_of_the_site(site, soups):
    listed = set(
        re.findall(r"<loc>([^<]+)</loc>", (site / "sitemap.xml").read_text("utf-8"))
    )
    base = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["html"]["baseurl"]
    assert {f"{base}{path}" for path in soups if path.startswith("book/")} <= listed
    assert (site / "_static/card.png").exists()
    for name in EDITIONS:  # `make pdf` puts them there
        printed = f"{base}_downloads/{name}"
        assert soups["book/index.html"].select(f'a[href="{printed}"]')
    missing = soups["404.html"]
    for tag in missing.select("link[href], script[src], a[href], img[src]"):
        link = tag.get("href") or tag.get("src")
        assert re.match(r"(https?:|mailto:|#|/book/)", link), link  # from any address


def without_addresses(text):
    """Markdown without where its links lead, and without pictures at its end."""
    text = re.sub(r"\n\n\[[\w-]+\]: data:image/png;base64,\S+", "", text)
    return re.sub(r"(?<=\])(\([^()\s]+\)|\[[\w-]+\])", "", text)


def markdown(cells):
    """Each Markdown cell, and each output that is Markdown."""
    for cell in cells:
        if cell["cell_type"] == "markdown":
            yield "".join(cell["source"])
        for output in cell.get("outputs", ()):
            yield "".join(output.get("data", {}).get("text/markdown", ""))


def test_each_notebook_can_be_had_both_ways(site, soups):
    """Executed, with outputs; and as in the repository, without. Both stand alone."""
    for name in PAGES:
        path = name.replace(".ipynb", ".html")
        links = [a["href"] for a in soups[path].select("a[download]")]
        links = [link for link in links if link.endswith(".ipynb")]
        for link, has_outputs in zip(links, (False, True), strict=True):
            text = (site / urljoin(path, link)).read_text("utf-8")
            cells = json.loads(text)["cells"]
            sources = [without_addresses("".join(cell["source"])) for cell in cells]
            assert sources == [without_addresses(c["source"]) for c in read_page(name)]
            outputs = [c for c in cells if c.get("outputs") or c.get("execution_count")]
            is_code = any(cell["cell_type"] == "code" for cell in cells)
            assert bool(outputs) is (has_outputs and is_code)
            shown = "\n".join(markdown(cells))
            relative = re.findall(
                r"\]\((?!http|#)[^()\s]+\.(?:ipynb|md|svg)[)#]", shown
            )
            assert not relative, (name, relative)


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("forget gate", "The LSTM, gate by gate"),
        ("gradcheck", "LSTM: forward and backward"),
        ("遗忘门", "Notation"),
    ],
)
def test_search_finds(browser, address, query, finds):
    """Terms, names in code, and the Chinese terms of the table."""
    page, troubles = open_page(browser, address, f"search.html?q={query}")
    page.get_by_role("link", name=re.compile(finds)).first.wait_for()
    assert not troubles


def test_theme_switch(browser, address):
    page, _ = open_page(browser, address, "book/index.html")
    seen = set()
    for _ in range(3):
        page.locator(".theme-switch-button").first.click()
        seen.add(page.evaluate("document.documentElement.dataset.mode"))
    assert seen == {"light", "dark", "auto"}


def test_icons_are_there(site, browser, address):
    """The fonts are cut down to the icons used: each of them still has a shape."""
    page, _ = open_page(browser, address, "book/4-code/4-train.html")
    for icon in page.locator(".article-header-buttons .fa-download").all():
        assert icon.bounding_box()["width"] > 5
    fonts = [TTFont(path) for path in site.rglob("fa-*.woff2")]
    shapes = {code for font in fonts for code in font.getBestCmap()}
    for code in (0xF002, 0xF019, 0xF0C9, 0xF135, 0xF09B, 0xF078, 0xF105, 0xF185):
        assert code in shapes, hex(code)


def test_a_page_is_light(browser, address):
    """What a first visit to the heaviest page transfers, packed: at most 350 kB."""
    page = new_page(browser)
    sizes = []

    def add(response):
        sizes.append(int(response.headers.get("content-length", 0)))

    page.on("response", add)
    page.goto(f"{address}/book/3-mathematics/3-gradient-flow.html")
    page.wait_for_load_state("networkidle")
    first = len(sizes)
    assert first > 10
    page.evaluate(WITH_PICTURES)
    page.wait_for_load_state("networkidle")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    assert len(sizes) > first  # those below wait for the reader
    assert sum(sizes) < 350_000
    page.context.close()


def test_a_solution_opens(browser, address):
    page, _ = open_page(browser, address, "book/4-code/1-data.html")
    solution = page.locator("details", has_text="# @title Solution").first
    assert not solution.locator("pre").first.is_visible()
    solution.locator("summary").click()
    assert solution.locator("pre").first.is_visible()


def test_a_block_of_code_is_measured_once_it_is_laid_out(browser, address):
    """Measured at once, all of a long page would be laid out before it is shown."""
    path = "book/3-mathematics/3-gradient-flow.html"
    page, _ = open_page(browser, address, path, width=390)
    assert page.locator("pre:not([tabindex])").count() > 10
    wide = page.locator("details pre").last
    assert wide.get_attribute("tabindex") is None
    page.evaluate(
        "document.querySelectorAll('details').forEach(d => { d.open = true })"
    )
    page.wait_for_function(  # what is laid out on the way there moves it
        "pre => { pre.scrollIntoView(); return pre.hasAttribute('tabindex') }",
        arg=wide.element_handle(),
    )
    page.context.close()


def test_a_theme_that_measures_blocks_otherwise_is_refused(tmp_path):
    script = tmp_path / "theme.js"
    script.write_text("blocks.forEach(e => { e.tabIndex = 0 })", "utf-8")
    with pytest.raises(ValueError, match="measures blocks 0 times; expected once"):
        slim.let_blocks_wait(script)
    assert script.read_text("utf-8").startswith("blocks")


def test_only_unused_styles_are_left_out():
    css = """.a, .b .c { x: 1 } #d.a { x: 2 } /* words */ p > i { x: 3 }
    @media print { .b { x: 4 } .a:not(.b) { x: 5 } } @media screen { .b { x: 6 } }"""
    assert slim.keep_used_rules(css, {"a", "c"}).replace(" ", "") == (
        ".a{x:1}p>i{x:3}@mediaprint{.a:not(.b){x:5}}"
    )
