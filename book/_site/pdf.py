"""Print the whole book to one PDF, with outline, from the built pages: `make pdf`."""

import shutil
import sys
from pathlib import Path

from build import JUPYTER_BOOK, run_quietly
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "_build" / "source"
WORK = ROOT / "_build" / "pdf"
TARGET = ROOT / "_build" / "gates-and-gradients.pdf"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FOOT = """<div style="font: 8px sans-serif; width: 100%; text-align: center">
<span class="pageNumber"></span></div>"""


STYLE = """
span[id^="document-"] + section { break-before: page; }
h1, h2, h3, h4, h5 { break-after: avoid; }
* { animation: none !important; transition: none !important; }
details > summary { display: none !important; }
img, table, pre, .cell_input, .katex-display, .admonition { break-inside: avoid; }
.bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .prev-next-footer,
.bd-footer-content, .toggle-button, .headerlink, .copybtn, #jb-print-toc,
.bd-header, dialog { display: none !important; }
.bd-main .bd-content .bd-article-container { max-width: none; padding: 0; }
.table-scroll, .katex-display, pre { overflow: visible !important; }
div.highlight pre, .cell_output pre { font-size: 8pt; white-space: pre-wrap; }
body { font-size: 10.5pt; }
.cell_output img { max-width: 30em; }
"""
# Folded solutions are open on paper, and links lose the sign beside each heading.
PREPARE = """() => {
  document.querySelectorAll("details").forEach((part) => { part.open = true; });
  document.querySelectorAll(".headerlink").forEach((sign) => sign.remove());
}"""


def main():
    """Build one page of all and print it; returns the exit status."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        sys.exit("`make pdf` needs Chromium (Debian: apt-get install chromium).")
    if not (SOURCE / "_toc.yml").exists():
        sys.exit(f"{SOURCE} is not there: run `make book` first.")
    shutil.rmtree(WORK, ignore_errors=True)
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", str(SOURCE)]
    command += ["--path-output", str(WORK), "--builder", "singlehtml"]
    status, output = run_quietly(command)
    built = WORK / "_build" / "singlehtml"
    if status != 0 or not (built / "book" / "index.html").exists():
        print(output)
        return 1
    # Sphinx writes the addresses of pictures and styles as if it lay one folder up.
    whole = (built / "book" / "index.html").rename(built / "whole.html")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(color_scheme="light")
        page.goto(whole.as_uri())
        page.wait_for_load_state("networkidle")
        page.add_style_tag(content=STYLE)
        page.evaluate(PREPARE)
        part = TARGET.with_suffix(".part")
        page.pdf(
            path=part,
            format="A4",
            margin={"top": "18mm", "bottom": "18mm", "left": "17mm", "right": "17mm"},
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOT,
            print_background=True,
            outline=True,
            tagged=True,
        )
        chromium.close()
    part.replace(TARGET)
    print(f"The book is at {TARGET}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
