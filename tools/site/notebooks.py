"""Notebooks that the site offers for download: each stands alone."""

import base64
import mimetypes
import posixpath
import re
from pathlib import Path

import matplotlib
import resvg_py

# The address in `](address)`, and what follows `#` in it; not one with a scheme.
LINK = re.compile(r"\]\((?![a-z]+:|[#/])([^()\s#]+)(#[^()\s]*)?\)")
FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")  # the same on every machine


def stand_alone(notebook, page, source, site, address):
    """Put a notebook's pictures into it, and let its links lead to the published site.

    Args:
        notebook: as nbformat reads it; changed.
        page: where it lies below `source`, `book/4-code/1-data.ipynb`.
        source: folder that the site is built from; pictures are taken from here.
        site: folder of the built site.
        address: where the site is published, with a slash at its end.
    """
    folder = posixpath.dirname(page)

    def link(match):
        target = posixpath.join(folder, match[1])
        target = re.sub(r"\.(ipynb|md)$", ".html", posixpath.normpath(target))
        if not (site / target).is_file():
            return match[0]
        return f"]({address}{target}{match[2] or ''})"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = embed_pictures(cell.source, source / folder)
            cell.source = LINK.sub(link, cell.source)
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "text/markdown" in data:
                data["text/markdown"] = LINK.sub(link, data["text/markdown"])
    notebook.metadata.pop("run", None)


def embed_pictures(text, folder):
    """Put the pictures that a Markdown text names into it, below everything else.

    As PNG: of all forms that were tried, JupyterLab shows no SVG that is attached to a
    cell, VS Code none in an address, and Colab nothing that is attached.

    Args:
        text: Markdown with links `![words](address)`.
        folder: what the addresses are relative to.

    Returns:
        Markdown in which `![words][label]` refers to a data address at its end.
    """
    pictures = {}

    def embed(match):
        path = folder / match[1]
        kind = mimetypes.guess_type(path.name)[0] or ""
        if not kind.startswith("image/") or not path.is_file():
            return match[0]
        if kind == "image/svg+xml":
            kind, content = "image/png", draw(path)
        else:
            content = path.read_bytes()
        packed = base64.b64encode(content).decode()
        pictures[path.stem] = f"[{path.stem}]: data:{kind};base64,{packed}"
        return f"][{path.stem}]"

    text = LINK.sub(embed, text)
    return "\n\n".join([text, *pictures.values()])


def draw(path):
    """Draw an SVG picture as PNG, half as large again, with fonts of ours."""
    return resvg_py.svg_to_bytes(
        svg_string=path.read_text(encoding="utf-8"),
        zoom=1.5,
        skip_system_fonts=True,
        font_dirs=[str(FONTS)],
        font_family="DejaVu Sans",
        sans_serif_family="DejaVu Sans",
    )
