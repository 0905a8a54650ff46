"""The built site: whole, of one piece, quiet, and readable on a phone."""

import copy
import re
from urllib.parse import unquote, urldefrag, urljoin

import pytest
import yaml
from browser import open_page
from bs4 import BeautifulSoup
from conftest import PAGES, ROOT


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
            r"/\*.*?\*/", "", css.read_text(errors="replace"), flags=re.DOTALL
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
        assert not re.search(r"^\s*>\s*\*\*|\{\w+\}`", text, re.MULTILINE), (
            f"{path}: raw markup"
        )


def test_colab_and_source_links(soups):
    repository = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]
    owner_and_name = repository["url"].removeprefix("https://github.com/")
    for page in PAGES:
        links = [
            a["href"] for a in soups[page.replace(".ipynb", ".html")].select("a[href]")
        ]
        colab = "https://colab.research.google.com/github/"
        assert f"{colab}{owner_and_name}/blob/{repository['branch']}/{page}" in links
        assert repository["url"] in links


def test_solutions_are_folded(soups):
    for page in PAGES:
        if not page.endswith("index.ipynb"):
            soup = soups[page.replace(".ipynb", ".html")]
            folded = [d for d in soup.select("details") if "# Solution" in d.get_text()]
            assert len(folded) >= 3 and not any(d.has_attr("open") for d in folded)


def pages_to_open():
    return [page.replace(".ipynb", ".html") for page in PAGES] + ["search.html"]


@pytest.mark.parametrize("path", pages_to_open())
def test_page_in_a_browser(browser, address, path):
    """No request to another host, no console complaint, no sideways scrolling."""
    for width, scheme in (
        (1280, "light"),
        (1280, "dark"),
        (390, "light"),
        (390, "dark"),
    ):
        page, troubles = open_page(browser, address, path, width, scheme)
        assert not troubles, (width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        if width == 390:
            for image in page.locator(".cell_output img").all():
                assert image.bounding_box()["width"] <= 390
        page.context.close()


def test_search_finds_a_page(browser, address):
    page, troubles = open_page(browser, address, "search.html?q=forget+gate")
    page.get_by_role("link", name=re.compile("An LSTM in Keras")).first.wait_for(
        timeout=10_000
    )
    assert not troubles


def test_a_solution_opens(browser, address):
    page, _ = open_page(browser, address, "book/4-code/1-data.html")
    solution = page.locator("details", has_text="# Solution").first
    assert not solution.locator("pre").first.is_visible()
    solution.locator("summary").click()
    assert solution.locator("pre").first.is_visible()
