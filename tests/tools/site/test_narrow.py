"""Pages as narrow as a phone: what stays on one line, and which tables become lists."""

import re

import pytest
from bs4 import BeautifulSoup

from tools.browser import open_page
from tools.site import extension, narrow
from tools.site.typeset import Formulas

# Of each formula and what is kept with it: whether they stand on several lines.
BROKEN = """() => [...document.querySelectorAll("article .together:not(:has(wbr))")]
  .filter((kept) => kept.checkVisibility())
  .filter((kept) => {
    const parts = document.createRange();
    parts.selectNodeContents(kept);
    const boxes = [...parts.getClientRects()].filter((box) => box.width > 0);
    const low = Math.max(...boxes.map((box) => box.top));
    return boxes.some((box) => box.bottom < low);
  })
  .map((kept) => kept.textContent)"""
# Of each table: whether it is one of verdicts, is wider than its frame, shows that on
# both sides, and keeps the names of its rows in sight where it is scrolled to its end.
TABLES = """() => [...document.querySelectorAll("article .table-scroll")]
  .filter((frame) => frame.checkVisibility())
  .map((frame) => {
    const first = frame.querySelector("tbody tr > :first-child");
    const left = () => first.getBoundingClientRect().left;
    const before = left();
    const more = parseFloat(getComputedStyle(frame, "::after").height) > 0;
    frame.scrollLeft = 1e4;
    return {
      words: frame.textContent.trim().slice(0, 60),
      verdicts: /condition\\s*effect\\s*claimed/.test(frame.textContent),
      wide: frame.scrollWidth > frame.clientWidth,
      more: more && getComputedStyle(frame).backgroundImage.split("grad").length === 5,
      stays: Math.abs(left() - before) < 2 || !!frame.querySelector("[rowspan]"),
    };
  })"""
# How many lines of what cells print take more lines on the screen than they have.
FOLDED = """() => [...document.querySelectorAll("article .stream pre")]
  .filter((pre) => pre.checkVisibility())
  .flatMap((pre) => [...pre.childNodes])
  .filter((part) => part.nodeType === Node.TEXT_NODE)
  .filter((part) => {
    const range = document.createRange();
    range.selectNodeContents(part);
    const tops = [...range.getClientRects()].map((box) => Math.round(box.top));
    return new Set(tops).size > part.data.trimEnd().split("\\n").length;
  }).length"""
# Height of the smallest letters of each drawn figure, in pixels.
LETTERS = """() => Promise.all(
  [...document.querySelectorAll("article .cell_output > img[src$='.svg']")].map(
    async (image) => {
      const drawing = await (await fetch(image.src)).text();
      const width = Number(/viewBox="[\\d.]+ [\\d.]+ ([\\d.]+)/.exec(drawing)[1]);
      const sizes = [...drawing.matchAll(/scale\\((0?\\.\\d+) -/g)].map((a) => a[1]);
      return 100 * Math.min(1, ...sizes) * image.getBoundingClientRect().width / width;
    }))"""
LINKS = """() => [...new Set(
  [...document.querySelectorAll("article :is(p, td, li) > a.reference")]
    .map((link) => getComputedStyle(link).color))]"""
# The page, boxes, stripes of tables, rows under the pointer, where a link has led to.
GROUNDS = """() => {
  const article = document.querySelector("article");
  const place = document.createElement("p");
  const names = ["background", "on-background", "surface", "info-bg", "success-bg",
    "warning-bg", "danger-bg", "target", "table-heading-bg", "table-row-hover-bg"];
  const frame = document.querySelector("article .table-scroll");
  return names.map((name) => {
    (name.startsWith("table") ? frame : article).append(place);
    place.style.background = `var(--pst-color-${name})`;
    return [name, getComputedStyle(place).backgroundColor];
  });
}"""
SQUEEZED = """() => [...document.querySelectorAll("table.stacks tbody tr")]
  .filter((row) => new Set([...row.cells].filter((c) => c.checkVisibility())
    .map((c) => Math.round(c.getBoundingClientRect().left))).size > 1).length"""


class Drawn(Formulas):
    """Formulas that show what is written, without KaTeX."""

    def __init__(self, *formulas):
        super().__init__(None)
        shown = '<span class="katex"><span class="katex-html"><b>{}</b></span></span>'
        self.typeset = [shown.format(formula) for formula in formulas]


def kept(html, *formulas):
    """What a page keeps on one line, and its text, which must stay as it was."""
    mark = '<span class="math"><span class="katex">⟦{}⟧</span></span>'
    for k in range(len(formulas)):
        html = html.replace(f"${k}", mark.format(k))
    soup = BeautifulSoup(f"<article>{html}</article>", "html.parser")
    before = soup.get_text()
    narrow.keep_together(soup, Drawn(*formulas))
    assert soup.get_text() == before
    return [line.get_text() for line in soup.find_all(class_="together")]


@pytest.mark.parametrize(
    ("html", "together"),
    [
        ("so $0, and", ["⟦0⟧,"]),
        ("so ($0), and", ["(⟦0⟧),"]),
        ("the $0-th step", ["⟦0⟧-th"]),
        ("<td>$0.</td>", ["⟦0⟧."]),
        ("so $0 and", []),
        ("so $0<em>, and</em>", []),
        ("so $0 = 5,952 weights", ["⟦0⟧ = 5,952"]),
        ("so ($0 ≈ 0.5).", ["(⟦0⟧ ≈ 0.5)."]),
        ("so $0 = that", []),
        ('use <code class="literal">unroll=True</code>', ["unroll=True"]),
        ('a <code class="literal">call(of, many, arguments)</code>', []),
    ],
)
def test_a_formula_keeps_its_comma(html, together):
    assert kept(html, "h") == together


def test_a_long_formula_may_break():
    assert kept("so $0, and $1.", "h" * 25, "<i>h</i>" * 24) == ["⟦1⟧."]


@pytest.mark.parametrize(
    ("html", "together"),
    [
        ("on 1943-01-31, a Sunday", ["1943-01-31"]),
        ("<td>1943-01-[17]</td>", ["1943-01-[17]"]),
        ("<td>194- | -01-31</td>", ["194-", "-01-31"]),
        ("from 3-5 to -4", ["3-5"]),
        ("<code>1943-01-31</code> -5 layer-2 x-3", []),
    ],
)
def test_a_date_stays_on_its_line(html, together):
    assert kept(html) == together


@pytest.mark.parametrize(
    ("html", "together"),
    [
        ("<td>0.73 ± 0.01</td>", ["0.73 ± 0.01"]),
        ("0.95 (0.86 to 1.05) and (−3% to +4%)", ["(0.86 to 1.05)", "(−3% to +4%)"]),
        ("7 of 8, on 1943-01-31", ["7 of 8", "1943-01-31"]),
        ("2.70 [2.46, 2.95]; [−0.5%, 1%]", ["[2.46, 2.95]", "[−0.5%, 1%]"]),
        ("at T = 28, RNN × 0.5.", ["T = 28", "RNN × 0.5"]),
        ("a = b, 5 × as many", []),
        ("<code>7 of 8</code> of 8 (to 5)", []),
    ],
)
def test_a_value_stays_on_its_line(html, together):
    assert kept(html) == together


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("-0.03 (-0.1 to +0.05)", "−0.03 (−0.1 to +0.05)"),
        ("3e-08", "3·10⁻⁸"),
        ("-0.0", "0.0"),
        ("1943-01-31", "1943-01-31"),
        ("194- | -01-31", "194- | -01-31"),
        ("<code>x[-1]</code>", "x[-1]"),
    ],
)
def test_numbers_in_a_table_have_a_minus_sign(cell, shown):
    html = f'<table class="dataframe"><tbody><tr><td>{cell}</td></tr></tbody></table>'
    soup = BeautifulSoup(f'<div class="cell_output">{html}</div>', "html.parser")
    extension.typeset_tables(soup, formulas=None)
    assert soup.td.get_text() == shown


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (
            "2.7\xa0[2.4,\xa02.9]",
            '2.7 <span class="together interval">[2.4, 2.9]</span>',
        ),
        ("(n\xa0=\xa08)", "(n\xa0=\xa08)"),
        (
            "<code>LSTM(4, unroll=True)</code>",
            "<code>LSTM(4, unroll=<wbr/>True)</code>",
        ),
        ("and/or 3.5/7", "and/or 3.5/7"),
    ],
)
def test_cells_break_where_they_may(cell, shown):
    soup = BeautifulSoup(
        f"<article><table><td>{cell}</td></table></article>", "html.parser"
    )
    narrow.let_cells_break(soup)
    narrow.keep_together(soup, Drawn())
    assert soup.td.decode_contents() == shown
    assert ("whole" in soup.td.get("class", [])) == ("[" in cell)


@pytest.mark.parametrize(
    ("line", "wraps"),
    [
        ("The solution was filled in, and passes: [0.1  0.2]", True),
        ("MNIST: 4,000 training and 1,000 test digits, as the package ships", True),
        ("The tolerance notices it.", True),
        ("F = 112: LSTM(16)  8,256 parameters, RNN(50)  8,150", False),
        ("    return the sum of all of the values that were given.", False),
        ("factor 1.21: mean share 0.99, each [0.68 1.39 0.97 1.17 0.76]", False),
    ],
)
def test_printed_sentences_wrap_and_columns_do_not(line, wraps):
    html = f'<div class="stream"><pre><span></span>0.5\n{line}\n</pre></div>'
    soup = BeautifulSoup(html, "html.parser")
    narrow.let_sentences_wrap(soup)
    assert [said.get_text() for said in soup.select(".said")] == [f"{line}\n"] * wraps
    assert soup.pre.get_text() == f"0.5\n{line}\n"


def stacked(heads, *rows, kind=""):
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    body = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{row}</tr>" for row in body)
    html = f'<table class="{kind}"><thead><tr>{head}</tr></thead>{body}</table>'
    table = BeautifulSoup(html, "html.parser").table
    narrow.stack_on_phones(table)
    if "stacks" not in table["class"]:
        return None
    return [cell.get("data-head") for cell in table.find_all("td")]


def test_a_table_of_words_stacks():
    heads, words = ["a", "b", "c"], "twelve words " * 5
    assert stacked(heads, ["1", words, words]) == [None, "b", "c"]
    assert stacked(heads, [words, "", words]) == [None, None, "c"]


@pytest.mark.parametrize(
    ("heads", "row", "kind"),
    [
        (["a", "b", "c", "d"], ["a network of many words", "0.1", "0.2", "0.3"], ""),
        (["a", "b"], ["twelve words " * 5] * 2, ""),
        (["a", "b", "c"], ["twelve words " * 5] * 3, "dataframe"),
        (["a", "b", '<i class="katex">T</i>'], ["twelve words " * 5] * 3, ""),
    ],
)
def test_other_tables_stay_tables(heads, row, kind):
    assert stacked(heads, row, kind=kind) is None


@pytest.mark.parametrize(
    ("cells", "ends_right"),
    [
        (["2.57", "−0.5", "1,124"], True),
        (["12%", "", "0.79"], True),
        (["0.2 ± 0.1", "", "0.79 ± 0.01"], True),
        (["1", "0.79 ± 0.01", ""], False),
        (["⟦0⟧", "0.37", "1"], True),
        (["4.7", '<a href="7.html">4.8</a>', "4.9"], False),
        (["11 of 12", "3", "4"], False),
        (["–", "", "—"], False),
    ],
)
def test_columns_of_numbers_end_at_the_right(cells, ends_right):
    rows = "".join(f"<tr><th>5</th><td>{cell}</td></tr>" for cell in cells)
    head = "<thead><tr><th>steps</th><th>errors</th></tr></thead>"
    html = f"<table>{head}<tbody>{rows}</tbody></table>"
    table = BeautifulSoup(html, "html.parser").table
    narrow.align_numbers(table, Drawn("7.9⋅10−31"))
    ends = [cell.get_text() for cell in table.find_all(class_="number")]
    assert ends == ["errors", *cells] * ends_right


@pytest.mark.parametrize("width", [360, 390])
@pytest.mark.parametrize(
    "path",
    [
        "book/notation.html",
        "book/4-code/13-translation.html",
        "book/6-faq/1-difference.html",
        "book/assignments/teaching.html",
    ],
)
def test_pages_on_a_phone(browser, address, path, width):
    page, _ = open_page(browser, address, path)
    page.add_style_tag(content="section { content-visibility: visible !important }")
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate(BROKEN) == []
    assert page.evaluate(SQUEEZED) == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1280, "height": 800})
    if "notation" in path:
        assert page.evaluate(SQUEEZED) > 0  # a table again
    page.context.close()


@pytest.mark.parametrize("width", [360, 390])
@pytest.mark.parametrize(
    "path", ["book/4-code/6-comparison.html", "book/4-code/8-cost.html"]
)
def test_results_on_a_phone(browser, address, path, width):
    """Tables of verdicts fit; others that do not show it; printed lines stay whole."""
    page, _ = open_page(browser, address, path, width=width)
    page.add_style_tag(content="section { content-visibility: visible !important }")
    page.evaluate(
        "for (const fold of document.querySelectorAll('details')) fold.open = true"
    )
    tables = page.evaluate(TABLES)
    assert any(table["verdicts"] for table in tables)
    wide = [table for table in tables if table["wide"]]
    assert 0 < len(wide) < len(tables) / 3
    assert not [table for table in wide if table["verdicts"]]
    assert not [table for table in wide if not (table["more"] and table["stays"])]
    assert not [table for table in tables if table["more"] and not table["wide"]]
    assert page.evaluate(FOLDED) == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


@pytest.mark.parametrize(
    "path", ["book/4-code/8-cost.html", "book/5-trends/3-attention.html"]
)
def test_letters_of_figures_on_a_phone(browser, address, path):
    page, _ = open_page(browser, address, path, width=390)
    page.add_style_tag(content="section { content-visibility: visible !important }")
    sizes = page.evaluate(LETTERS)
    assert len(sizes) > 2 and min(sizes) >= 8, sizes
    page.context.close()


def luminance(color):
    """Of a colour as a browser writes it, by the formula of WCAG."""
    parts = [float(x) / 255 for x in re.findall(r"[\d.]+", color)[:3]]
    linear = [
        x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts
    ]
    return sum(a * x for a, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def over(color, below):
    """A colour that may let another one through, drawn over it."""
    *parts, alpha = [float(x) for x in [*re.findall(r"[\d.]+", color), 1][:4]]
    under = [float(x) for x in re.findall(r"[\d.]+", below)[:3]]
    mixed = [alpha * x + (1 - alpha) * y for x, y in zip(parts, under, strict=True)]
    return f"rgb({mixed[0]}, {mixed[1]}, {mixed[2]})"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_links_have_one_colour_that_can_be_read_everywhere(browser, address, scheme):
    page, _ = open_page(browser, address, "book/4-code/8-cost.html", scheme=scheme)
    (color,) = page.evaluate(LINKS)
    grounds = dict(page.evaluate(GROUNDS))
    for name, ground in grounds.items():
        ground = over(ground, grounds["background"])
        low, high = sorted([luminance(color), luminance(ground)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, (name, color, ground)
    page.context.close()


def test_the_words_for_a_column_are_those_of_its_head(site):
    html = (site / "book/assignments/teaching.html").read_text("utf-8")
    table = BeautifulSoup(html, "html.parser").find("table", class_="stacks")
    heads = [cell.get_text(strip=True) for cell in table.thead.find_all(["th", "td"])]
    told = re.findall(r'data-head="([^"]*)"', str(table))
    assert set(told) <= set(heads)
