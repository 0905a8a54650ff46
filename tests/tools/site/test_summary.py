"""The book on two pages, printed: two sheets of A4, nothing cut, all of it black."""

import io

from tests.conftest import need
from tools.browser import open_page

PATH = "book/summary.html"
WIDE = 718  # pixels between the margins of a sheet
# What is wider than the column that it stands in, and what is not black on paper.
CUT = """() => [...document.querySelectorAll(
        'article :is(p, li, pre, table, .katex-html)')]
    .filter(part => part.checkVisibility())
    .filter(part => {
        const column = part.closest('section section section').getBoundingClientRect()
        return part.getBoundingClientRect().width > column.width + 1
            || part.scrollWidth > part.clientWidth + 1 && part.tagName === 'PRE'
    })
    .map(part => part.textContent)"""
COLOURED = """() => [...document.querySelectorAll(
        'article :is(h1, h3, p, li, td, th, a, span)')]
    .filter(part => part.checkVisibility())
    .filter(part => getComputedStyle(part).color !== 'rgb(0, 0, 0)')
    .map(part => part.textContent)"""


def test_two_pages(browser, address):
    pikepdf = need("pikepdf")
    page, troubles = open_page(browser, address, PATH)
    printed = page.pdf(prefer_css_page_size=True)
    assert not troubles
    with pikepdf.open(io.BytesIO(printed)) as sheets:
        sizes = [[round(float(x)) for x in sheet.mediabox] for sheet in sheets.pages]
    assert sizes == [[0, 0, 595, 842]] * 2
    page.context.close()


def test_nothing_is_cut(browser, address):
    page, _ = open_page(browser, address, PATH, width=WIDE, scheme="dark")
    page.emulate_media(media="print")
    assert page.locator("article section section section").count() == 8
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDE
    assert page.evaluate(CUT) == []
    assert page.evaluate(COLOURED) == []
    page.context.close()
