"""The look of the built site: formulas fit, and colours tell kinds of words apart."""

import re

import pytest

from tests.conftest import PAGES, read_page
from tools.browser import open_page

WIDTHS = (360, 390, 1100, 1280, 1440, 1600)
PHONE = 480  # pixels; up to here a formula may scroll, where a shade says so
ROOM = 8  # pixels between a formula and its number
# Of each displayed formula: where it and its number end, and whether it scrolls.
FORMULAS = """() => [...document.querySelectorAll("article .katex-display")]
  .filter((display) => display.checkVisibility())
  .map((display) => {
    const html = display.querySelector(".katex-html");
    const box = display.getBoundingClientRect();
    const frame = display.closest("section, .admonition").getBoundingClientRect();
    const parts = [...html.querySelectorAll(".base")]
      .map((part) => part.getBoundingClientRect());
    const number = html.querySelector(".tag > .mord")?.getBoundingClientRect();
    const beside = number && parts.filter(
      (part) => part.bottom > number.top + 1 && part.top < number.bottom - 1);
    return {
      formula: display.querySelector("annotation").textContent.trim(),
      room: Math.min(1e4, ...(beside ?? []).map((part) => number.left - part.right)),
      left: Math.min(...parts.map((part) => part.left)) - box.left,
      right: box.right - Math.max(...parts.map((part) => part.right)),
      number: number ? box.right - number.right : 0,
      inside: box.left >= frame.left && box.right <= frame.right,
      scrolls: html.scrollWidth > html.clientWidth
        && ["auto", "scroll"].includes(getComputedStyle(html).overflowX),
      cut: html.scrollHeight > html.clientHeight,
      shaded: getComputedStyle(html).backgroundImage.split("gradient").length === 5,
    };
  })"""
COLORS = """() => Object.fromEntries(["c1", "mi", "s2", "k"].map((kind) => {
  const word = document.querySelector(`.highlight .${kind}`);
  return [kind, getComputedStyle(word).color];
}))"""


def misplaced(page, width):
    """Displayed formulas of an open page that touch something at a width, with why."""
    page.set_viewport_size({"width": width, "height": 800})
    found = []
    for place in page.evaluate(FORMULAS):
        wrong = [
            *(["touches its number"] if place["room"] < ROOM else []),
            *(["is cut above or below"] if place["cut"] else []),
            *(["sticks out"] if place["left"] < 0 or not place["inside"] else []),
            *(["its number sticks out"] if place["number"] < 0 else []),
        ]
        if place["scrolls"]:
            if width > PHONE or not place["shaded"]:
                wrong.append("scrolls")
        elif place["right"] < 0:
            wrong.append("sticks out")
        found += [(place["formula"], what) for what in wrong]
    return found


def show_all(page):
    """Lay out what a phone leaves until it comes near the screen."""
    page.add_style_tag(content="section { content-visibility: visible !important }")


@pytest.mark.slow
@pytest.mark.parametrize("path", [page.replace(".ipynb", ".html") for page in PAGES])
def test_no_formula_touches_its_number_or_the_edge(browser, address, site, path):
    if "katex-display" not in (site / path).read_text("utf-8"):
        return
    page, _ = open_page(browser, address, path)
    show_all(page)
    assert not [(w, *wrong) for w in WIDTHS for wrong in misplaced(page, w)]
    page.context.close()


@pytest.mark.parametrize(
    ("style", "why", "width"),
    [
        (".katex-html { flex-wrap: nowrap !important }", "its number sticks out", 360),
        (".tag { margin-left: -9em !important }", "touches its number", 360),
        # Narrower than any phone: on those, no formula of the page scrolls.
        (".katex-html { background: none !important }", "scrolls", 280),
        (".katex-html { overflow: visible !important }", "sticks out", 280),
    ],
)
def test_a_formula_that_touches_is_found(browser, address, style, why, width):
    page, _ = open_page(browser, address, "book/3-mathematics/1-bptt.html")
    show_all(page)
    page.add_style_tag(content=style)
    assert why in {what for _, what in misplaced(page, width)}
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_kinds_of_words_in_code_differ(browser, address, scheme):
    """Comments, numbers, strings and keywords each have a colour of their own."""
    path = "book/4-code/4-train.html"
    page, _ = open_page(browser, address, path, scheme=scheme)
    colors = page.evaluate(COLORS)
    assert len(set(colors.values())) == len(colors), colors
    page.context.close()


@pytest.mark.parametrize("page", PAGES)
def test_no_grid_crosses_a_picture(page):
    """Matplotlib draws the grid of our style over an image, such as confusions."""
    without = r"\.grid\((visible=)?False\)|set_axis_off\(\)|xticks=\[\], yticks=\[\]"
    for cell in read_page(page):
        if "imshow(" in cell["source"] and cell["cell_type"] == "code":
            assert re.search(without, cell["source"]), cell["source"]
