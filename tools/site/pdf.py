"""Print the whole book to PDFs, with outlines, from the built pages: `make pdf`.

In the students' edition solutions are closed, in the teachers' they are open.
"""

import shutil
from pathlib import Path

import pikepdf

from tools import console
from tools.checkout import Book
from tools.chromium import find_chromium, launch
from tools.site.build import run_jupyter_book, write_source

ROOT = Path(__file__).parents[2]
BOOK = Book(ROOT, ROOT / "_build")
WORK = ROOT / "_build" / "pdf"
PRINTED = WORK / "printed.pdf"
DOWNLOADS = BOOK.html / "_downloads"
# Each edition, and whether its solutions are open.
EDITIONS = {"gates-and-gradients.pdf": False, "gates-and-gradients-teachers.pdf": True}
FOOT = """<div style="font: 8px sans-serif; width: 100%; text-align: center">
<span class="pageNumber"></span></div>"""


STYLE = """
html { font-size: 12.5px; }
body { line-height: 1.5; }
span[id^="document-"] + section { break-before: page; }
h1, h2, h3, h4, h5 { break-after: avoid; margin: 1.6em 0 0.5em; }
section > :last-child { margin-bottom: 0; }  /* no empty page after it */
p { margin-bottom: 0.8em; orphans: 3; widows: 3; }
* { animation: none !important; transition: none !important; }
.bd-main .admonition { box-shadow: none !important; }  /* it would become a picture */
details[open] > summary { display: none !important; }
details > summary { list-style: none; }
img, table, pre, .cell_input, .katex-display, .admonition { break-inside: avoid; }
.long, .long pre { break-inside: auto; orphans: 5; widows: 5; }
.bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .prev-next-footer,
.bd-footer-content, .toggle-button, .headerlink, .copybtn, #jb-print-toc,
.bd-header, dialog { display: none !important; }
.bd-main .bd-content .bd-article-container { max-width: none; padding: 0; }
.table-scroll, .katex-display, pre { overflow: visible !important; }
.katex-display { margin: 0.8em 0; }
.katex { font-size: 1.12em; }
div.cell { margin-bottom: 0.8em; }
div.highlight pre, .cell_output pre {
  font-size: 7.5pt; line-height: 1.35; padding: 0.7em 1em; white-space: pre-wrap;
}
.cell_output img { max-width: 32em; }
"""
# Folded code is open on paper; solutions, and the checks that tell them, only for
# teachers. Links lose the sign beside each heading. Only long cells may go on overleaf.
PREPARE = """(withSolutions) => {
  document.querySelectorAll("details").forEach((part) => {
    const code = part.querySelector("pre")?.textContent ?? "";
    const tells = /^\\s*(# @title Solution|expect_answer)/.test(code);
    part.open = withSolutions || !tells;
    const words = part.querySelector(".collapsed");
    if (words) words.textContent = words.textContent.replace("Show", "On the site:");
  });
  document.querySelectorAll(".headerlink").forEach((sign) => sign.remove());
  document.querySelectorAll(".cell_input").forEach((cell) => {
    cell.classList.toggle("long", cell.innerText.split("\\n").length > 20);
  });
}"""


def main(argv=None):
    """Print the book as it is on the site; returns the exit status."""
    parser = console.parser("tools.site.pdf", __doc__.split(":")[0])
    parser.parse_args(argv)
    if find_chromium() is None:
        parser.error("Chromium is missing (Debian: apt-get install chromium)")
    if not BOOK.site_is_fresh():
        parser.error("the site is not there, or out of date: run `make book` first")
    with console.alone(ROOT / "_build" / "build.lock", "build"):
        return print_book()


def print_book():
    """Build one page of all and print it; returns the exit status."""
    shutil.rmtree(WORK, ignore_errors=True)
    write_source(BOOK)  # what is there may be of a later build, which failed
    status, output = run_jupyter_book(BOOK, WORK, "--builder", "singlehtml")
    built = WORK / "_build" / "singlehtml"
    if status != 0 or not (built / "book" / "index.html").exists():
        print(output)
        print(f"The book was not printed; what is in {DOWNLOADS} is as it was.")
        return 1
    # Sphinx writes the addresses of pictures and styles as if it lay one folder up.
    whole = (built / "book" / "index.html").rename(built / "whole.html")
    DOWNLOADS.mkdir(exist_ok=True)
    from playwright.sync_api import sync_playwright  # the rest of this needs none

    with sync_playwright() as playwright:
        chromium = launch(playwright)
        page = chromium.new_page(color_scheme="light")
        page.goto(whole.as_uri())
        page.wait_for_load_state("networkidle")
        page.add_style_tag(content=STYLE)
        for name, with_solutions in EDITIONS.items():
            page.evaluate(PREPARE, with_solutions)
            print_edition(page, DOWNLOADS / name)
        chromium.close()
    return 0


def print_edition(page, target):
    """Print an open page, as it is prepared, to a PDF."""
    page.pdf(
        path=PRINTED,
        format="A4",
        margin={"top": "18mm", "bottom": "18mm", "left": "22mm", "right": "22mm"},
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOT,
        print_background=True,
        outline=True,
        tagged=True,
    )
    part = target.with_suffix(".part")
    with pikepdf.open(PRINTED) as printed:  # Chromium compresses half of what it writes
        with printed.open_outline() as outline:
            mend_titles(outline.root)
        streams = pikepdf.ObjectStreamMode.generate
        printed.save(part, object_stream_mode=streams, linearize=True)
    part.replace(target)
    print(f"The book is at {target}")


def mend_titles(items):
    """Say once what Chromium says twice: a heading that moved to the next page."""
    for item in items:
        half = len(item.title) // 2
        if item.title[:half] == item.title[half:]:
            item.title = item.title[:half]
        mend_titles(item.children)


if __name__ == "__main__":
    console.run(main, "Interrupted; run the same command again.")
