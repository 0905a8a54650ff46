"""Which sections a page has, and what stands in them."""

import re

from mdit_py_plugins.anchors.index import slugify

from tests.conftest import read_page


def sections(page):
    """Text of each section of a page below `book`, heading included, by its anchor."""
    found, anchor, fenced = {}, "", False
    for cell in read_page(f"book/{page}"):
        if cell["cell_type"] == "markdown":
            for line in cell["source"].splitlines():
                fenced ^= line.startswith("```")
                heading = None if fenced else re.match(r"#{1,3} (.+)", line)
                anchor = slugify(heading[1]) if heading else anchor
                found[anchor] = f"{found.get(anchor, '')} {line}"
    return found
