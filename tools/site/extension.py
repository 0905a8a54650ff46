"""Sphinx extension: what the pages need beyond Jupyter Book, all served by the site.

* KaTeX typesets formulas while building; its style sheet and fonts join the site.
* `> **Note** …` quotes, which every notebook reader shows, become boxes.
* Folded code is named by the comment that it begins with.
* Code is coloured with half the elements.
* Each page describes itself to search engines, and offers its notebook.
* The search knows sections and their prose.
* Pages that read the claims ledger execute last, in a plain `jupyter-book build .` too.
* Small repairs to the theme's pages, for readers with a screen reader or a console.
"""

import copy
import json
import os
import posixpath
import re
import shutil
from pathlib import Path

import nbformat
import sphinxcontrib.katex
from bs4 import BeautifulSoup
from docutils import nodes
from pygments.formatters import HtmlFormatter
from pygments.token import Name, Punctuation, Text, Whitespace
from sphinx.errors import ExtensionError
from sphinx.highlighting import PygmentsBridge
from sphinx.transforms import SphinxTransform

from tools.checkout import Book
from tools.site import api, head, katex, narrow, search, slim
from tools.site.notebooks import stand_alone
from tools.site.typeset import Formulas
from unrolled.course.ledger import read_ledger, write_ledger
from unrolled.course.results import typeset as typeset_numbers

BOXES = {
    "Note": nodes.note,
    "Tip": nodes.tip,
    "Important": nodes.important,
    "Warning": nodes.warning,
}
WRITES_LEDGER = re.compile(r"\bwrite_ledger\(")
COMMENT = re.compile(r"(#.*\n?)+")
UNNAMED = "Show the code"  # above a fold whose code says nothing of itself
NEXT = " · "  # between the name of a fold and the number of its cells
CHECK = re.compile(r"expect_\w+\(|assert\b|guard\(")
FORMULA = re.compile(r"\$([^\s$](?:[^$\n]*[^\s$])?)\$")


def use_bundled_katex(app, config):
    """Have the formulas typeset by the KaTeX whose style sheet we serve.

    Raises:
        ExtensionError: KaTeX is not here yet and cannot be fetched.
    """
    try:
        app.katex = katex.files()
    except RuntimeError as error:
        raise ExtensionError(str(error)) from error
    app.formulas = Formulas(app.katex / "katex.min.js")
    sphinxcontrib.katex.render_latex = app.formulas.mark


def empty_site(app):
    """Delete what an earlier build has written, so that every page is written anew.

    Sphinx would leave pages that did not change, and `repair_page` would meet what it
    has repaired before.
    """
    if app.builder.format == "html" and Path(app.outdir, ".buildinfo").exists():
        for path in Path(app.outdir).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def executed_pages(app):
    """Folder to which this build writes each notebook when it has been executed."""
    return Path(app.outdir).parent / "jupyter_execute"


def ledger_pages(app, env):
    """Names of the documents that collect what others recorded."""
    book = Book(Path(app.srcdir), Path(app.srcdir))
    return [
        name
        for name in sorted(env.found_docs)
        if env.doc2path(name).endswith(".ipynb")
        and book.reads_ledger(Path(f"{name}.ipynb"))
    ]


def read_ledger_last(app, env, docnames):
    """Have the claims ledger execute after all other pages, and read their records.

    Args:
        app: Sphinx.
        env: its environment.
        docnames: documents that this build reads, in their order; changed.
    """
    if not docnames:
        return
    last = ledger_pages(app, env)
    docnames[:] = [name for name in docnames if name not in last] + last
    if not os.environ.get("UNROLLED_LEDGER"):
        os.environ["UNROLLED_LEDGER"] = str(executed_pages(app))


def offer_ledger(app, exception):
    """Put the ledger as JSON and CSV beside the page that shows it."""
    if exception or app.builder.name != "html":
        return
    book = Book(Path(app.srcdir), Path(app.srcdir))
    for name in ledger_pages(app, app.env):
        if not book.code_has(Path(f"{name}.ipynb"), WRITES_LEDGER):
            continue  # it reads the ledger, and does not show all of it
        write_ledger(read_ledger(executed_pages(app)), Path(app.outdir, name).parent)


def serve_katex(app, exception):
    """Copy KaTeX's style sheet and fonts: readers fetch nothing from elsewhere."""
    if exception or app.builder.format != "html":
        return
    target = Path(app.outdir, "_static", "katex")
    (target / "fonts").mkdir(parents=True, exist_ok=True)
    for font in app.katex.glob("fonts/*.woff2"):
        shutil.copy(font, target / "fonts")
    css = (app.katex / "katex.min.css").read_text(encoding="utf-8")
    # Every browser of the last ten years takes woff2: leave out the two older formats.
    css = re.sub(r',url\(fonts/[\w-]+\.(woff|ttf)\) format\("\w+"\)', "", css)
    (target / "katex.min.css").write_text(css, encoding="utf-8")


class PlainNames(HtmlFormatter):
    """Colours code, but wraps nothing around what has no colour of its own.

    Names, brackets and spaces are half of all elements in a page with much code.
    """

    plain = (Name, Name.Namespace, Punctuation, Whitespace)

    def format_unencoded(self, tokensource, outfile):
        """Write the tokens as HTML; called by Pygments."""
        tokens = ((Text if t in self.plain else t, text) for t, text in tokensource)
        super().format_unencoded(tokens, outfile)


class QuotesToBoxes(SphinxTransform):
    """Turn block quotes that begin with a bold `Note`, `Tip`, … into admonitions."""

    default_priority = 400

    def apply(self):
        """Replace the quotes in place; other quotes stay quotes."""
        for quote in list(self.document.findall(nodes.block_quote)):
            paragraph = quote.next_node(nodes.paragraph)
            # The Markdown parser puts an empty text before a leading bold word.
            words = [child for child in paragraph or () if child.astext()]
            if not words or not isinstance(words[0], nodes.strong):
                continue
            kind = BOXES.get(words[0].astext().rstrip(".:"))
            if kind is None:
                continue
            paragraph[:] = words[1:]
            if paragraph.children and isinstance(paragraph[0], nodes.Text):
                paragraph[0] = nodes.Text(paragraph[0].astext().lstrip(" .:\n"))
            quote.replace_self(kind("", *quote.children))


class NameFolds(SphinxTransform):
    """Write above folded code what it does, instead of "Show code cell source"."""

    default_priority = 400

    def apply(self):
        """Set the words that stand above each fold, open or closed."""
        for cell in self.document.findall(nodes.container):
            code = cell.get("hide_mode") and cell.next_node(nodes.literal_block)
            if code:
                cell["prompt_show"] = cell["prompt_hide"] = name_code(code.astext())


def name_code(code):
    """Name folded code: the first sentence of its comment, or a word for its kind."""
    comment = COMMENT.match(code)
    if comment is None:
        return "Show the check" if CHECK.match(code) else UNNAMED
    lines = [line.removeprefix("#").strip() for line in comment[0].splitlines()]
    if lines[0].startswith("@title "):  # which Colab shows above the cell
        return lines[0].removeprefix("@title ")
    first = re.split(r"(?<=[.?!])\s", " ".join(lines).strip())[0].rstrip(".:")
    return first.replace("`", "") or UNNAMED


def repair_page(app, exception):
    """Change what the theme and Sphinx leave to be desired, in every built page."""
    if exception or app.builder.format != "html":
        return
    for_screens = app.builder.name == "html"  # not the one long page for `make pdf`
    sheets, names = [], set()
    index = search.Index(app.formulas, api.names_by_place(app.env))
    for page in Path(app.outdir).rglob("*.html"):
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        # `find_all` wherever it can say it: `select` takes five times as long.
        for summary in soup.find_all("summary"):
            if not summary.find_parent("nav"):
                continue
            link = summary.find_parent("li").find("a")
            summary["aria-label"] = f"Pages of {link.get_text(' ', strip=True)}"
        # Outside of every landmark.
        for brand in soup.find_all("a", class_="navbar-brand"):
            brand.wrap(soup.new_tag("nav", attrs={"aria-label": "Front page"}))
        lighten_folds(soup)
        typeset_tables(soup, app.formulas)
        narrow.let_cells_break(soup)
        narrow.let_sentences_wrap(soup)
        narrow.keep_together(soup, app.formulas)
        mark_captions(soup)
        for cell in soup.find_all("th"):
            if not cell.get_text(strip=True) and not cell.find(["img", "svg"]):
                cell.name = "td"  # heads nothing
        for table in soup.find_all("table"):
            if table.thead and not table.thead.get_text(strip=True):
                table.thead.extract()  # Markdown has no table without a head
                table["class"] = [*table.get("class", []), "headless"]
            narrow.stack_on_phones(table)
            narrow.align_numbers(table, app.formulas)
            # Wide tables scroll by themselves at 390 px instead of widening the page.
            if "table-scroll" not in (table.parent.get("class") or []):
                table.wrap(
                    soup.new_tag(
                        "div", attrs={"class": "table-scroll", "tabindex": "0"}
                    )
                )
        # Sphinx leaves alone what a cell shows as Markdown: its links name notebooks.
        for link in soup.find_all("a", href=re.compile(r"\.ipynb")):
            if not link.find_parent(class_="cell_output"):
                continue
            name, mark, anchor = link["href"].lstrip("#").partition("#")
            target = name.removesuffix(".ipynb") + ".html"
            if (page.parent / target).exists():
                link["href"] = target + mark + anchor
        name = page.relative_to(app.outdir).as_posix()
        in_book = name.startswith("book/")
        lead_here(soup, name, Path(app.outdir), app.config.html_baseurl)
        if name == "search.html":
            search.use_our_search(soup)
        if for_screens:
            parts = slim.slim_page(soup, page.parent, searches=name == "search.html")
            sheets = max(sheets, parts[0], key=len)  # one page is outside of the theme
            names |= parts[1]
        if in_book:
            base = app.config.html_baseurl
            head.add_metadata(soup, base + name, base, name == "book/index.html")
        offer_notebook(app, soup, page)
        takes = head.cell_beside(soup, "Takes")
        if takes and (seconds := run_seconds(app, page)):
            (takes.p or takes).append(f"; runs in {seconds:.0f} seconds")
        page.write_text(app.formulas.fill(str(soup)), encoding="utf-8")
        if in_book:
            index.add(soup, name)
    if for_screens:
        index.write(app.outdir)
        names |= app.formulas.classes()
        slim.slim_site(app.outdir, sheets, names, app.formulas.characters())


def mark_captions(soup):
    """Let the style sheet know captions, which Markdown writes as paragraphs."""
    for words in soup.find_all("em"):
        opens = words.parent.name == "p" and not words.previous_sibling
        if opens and re.match(r"(Figure|Table) \d", words.get_text()):
            words.parent["class"] = [*words.parent.get("class", []), "figure-words"]


def lighten_folds(soup):
    """Make folded code a quiet line, and let a page begin with what it found.

    The theme makes a box of each fold, and names all of them alike for screen readers.
    Neighbours become one fold, named by what the last one shows. Before the first
    heading, what cells show comes before the folds, which follow.

    Args:
        soup: the page, parsed; changed in place.
    """
    for fold in soup.find_all("details", class_="hide"):
        if "cell" not in fold.parent.get("class", []):
            continue
        fold["class"].remove("admonition")
        del fold.summary["aria-label"]
        fold.summary.string = fold.summary.p.get_text().replace("'", "’")
    cells = soup.find_all("div", class_="tag_hide-input")
    if cells and cells[0].parent.parent.name == "article":
        show_first(soup, cells[0])
    for cell in cells:
        after = cell.find_next_sibling()
        folded = after and "tag_hide-input" in (after.get("class") or [])
        if folded and cell.find("div", class_="cell_output") is None:
            join_folds(cell, after)


def show_first(soup, first):
    """Move what the cells from `first` on show to before it, up to another element."""
    for cell in [first, *first.find_next_siblings()]:
        if "cell" not in (cell.get("class") or []):
            break
        output = cell.find("div", class_="cell_output", recursive=False)
        if output:
            shown = soup.new_tag("div", attrs={"class": "cell"})
            first.insert_before(shown)
            shown.append(output)


def join_folds(cell, after):
    """Make the fold of a cell the beginning of the fold of the next one."""
    code, fold = cell.details, after.details
    many = len(code.select(":scope > .cell_input")) + 1
    shows = after.find("div", class_="cell_output") is not None
    name = (fold if shows else code).summary.get_text().partition(NEXT)[0]
    fold.summary.string = f"{name}{NEXT}{many} cells"
    for part in reversed(code.select(":scope > .cell_input")):
        fold.summary.insert_after(part)
    cell.extract()


def lead_here(soup, name, site, address):
    """Have links to the published site lead to this copy, where it has the same file.

    Args:
        soup: the page, parsed; changed in place.
        name: where it lies below `site`.
        site: folder of the built site.
        address: where the site is published, with a slash at its end.
    """
    for link in soup.find_all("a", href=re.compile(f"^{re.escape(address)}")):
        if not link.find_parent("article"):
            continue
        target, mark, anchor = link["href"].removeprefix(address).partition("#")
        if (site / target).is_file():
            link["href"] = posixpath.relpath(target, posixpath.dirname(name))
            link["href"] += mark + anchor


def typeset_tables(soup, formulas):
    """Typeset formulas and numbers in tables that a cell has shown.

    Sphinx leaves HTML alone, and pandas writes -0.5 and 3e-08. Styled tables, to which
    pandas gives no class, look like the others.

    Args:
        soup: the page, parsed; changed in place.
        formulas: the `Formulas` of the site.
    """

    def typeset(formula):
        html = f'<span class="math">{formulas.mark(formula)}</span>'
        return BeautifulSoup(html, "html.parser").span

    for table in soup.find_all("table"):
        classes = table.get("class", [])
        if table.get("id", "").startswith("T_"):  # of pandas's Styler
            table["class"] = classes = [*classes, "dataframe"]
        if "dataframe" not in classes or not table.find_parent(class_="cell_output"):
            continue
        join_heads(table)
        for text in table.find_all(string=re.compile(r"\d")):
            if not text.find_parent("code"):
                parts = narrow.DATE.split(text)  # words, date, words, ...
                parts[::2] = [typeset_numbers(part) for part in parts[::2]]
                text.replace_with("".join(parts))
        for text in table.find_all(string=FORMULA):
            parts = FORMULA.split(text)  # words, formula, words, ...
            parts[1::2] = map(typeset, parts[1::2])
            text.replace_with(*parts)


def join_heads(table):
    """Name what rows are in the one row of heads: pandas has a second row for it."""
    rows = table.thead.find_all("tr", recursive=False) if table.thead else []
    if len(rows) != 2:
        return
    above, below = (row.find_all("th", recursive=False) for row in rows)
    named = [cell for cell in below if cell.get_text(strip=True)]
    front = above[: len(named)]
    if named != below[: len(named)] or len(above) != len(below):
        return
    if any(cell.get_text(strip=True) for cell in front):
        return
    for cell, name in zip(front, named, strict=True):
        cell.replace_with(name.extract())
    rows[1].extract()


def offer_notebook(app, soup, page):
    """Offer the notebook for download, executed and as the repository has it."""
    executed = soup.select_one(".btn-download-source-button")
    name = page.relative_to(app.outdir).with_suffix(".ipynb")
    if executed is None or not executed["href"].endswith(".ipynb"):
        return
    clean = Path(app.outdir, "_downloads", "notebooks", *name.parts[1:])
    for folder, target in (
        (executed_pages(app), (page.parent / executed["href"]).resolve()),
        (app.srcdir, clean),
    ):
        notebook = nbformat.read(Path(folder, name), 4)
        for cell in notebook.cells if target == clean else ():
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        folders = Path(app.srcdir), Path(app.outdir)
        stand_alone(notebook, name.as_posix(), *folders, app.config.html_baseurl)
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
    entry = copy.copy(executed.find_parent("li"))
    ways = [
        (executed.find_parent("li"), "executed notebook", "With all outputs"),
        (entry, "notebook", "Without outputs"),
    ]
    for item, words, title in ways:
        item.select_one(".btn__text-container").string = words
        item.a["title"] = title
        item.a["download"] = ""
    up = "../" * (len(name.parts) - 1)
    entry.a["href"] = f"{up}_downloads/notebooks/{'/'.join(name.parts[1:])}"
    executed.find_parent("li").insert_before(entry)


def run_seconds(app, page):
    """Seconds that the notebook of a built page took to execute; None if not known."""
    name = page.relative_to(app.outdir).with_suffix(".ipynb")
    notebook = Path(app.srcdir, name)
    if not notebook.exists():
        return None
    return json.loads(notebook.read_bytes())["metadata"].get("run", {}).get("seconds")


def end_katex(app, exception):
    """End the process that typesets formulas."""
    app.formulas.typesetter.close()


def setup(app):
    """Register all of the above with Sphinx."""
    app.connect("config-inited", use_bundled_katex)
    app.connect("builder-inited", empty_site, priority=1)  # before anything is written
    app.connect("env-before-read-docs", read_ledger_last)
    app.add_transform(QuotesToBoxes)
    app.add_transform(NameFolds)
    PygmentsBridge.html_formatter = PlainNames
    app.connect("build-finished", serve_katex)
    app.connect("build-finished", offer_ledger)
    app.connect("build-finished", repair_page, priority=900)  # after the theme
    app.connect("build-finished", end_katex, priority=999)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
