"""The diagrams: valid, described, self-contained, readable on a phone, and used."""

import re
from xml.etree import ElementTree

import pytest

from tests.conftest import PAGES, ROOT, read_page

FILES = sorted((ROOT / "book" / "_assets" / "diagrams").glob("*.svg"))
CELL = [path for path in FILES if path.stem.startswith("lstm-")]
SVG = "{http://www.w3.org/2000/svg}"


def read(path):
    """Root of the drawing; a file that is no XML raises."""
    return ElementTree.fromstring(path.read_bytes())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_described_and_self_contained(path):
    root, text = read(path), path.read_text(encoding="utf-8")
    assert root.tag == f"{SVG}svg" and len(text.encode()) < 12_000
    assert root.findtext(f"{SVG}title") and len(root.findtext(f"{SVG}desc")) > 40
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert not tags & {"script", "foreignObject", "image", "font-face", "animate"}
    assert not re.search(r"@import|@font-face|data:|\son\w+=", text)
    for element in root.iter():
        for name, value in element.attrib.items():
            assert "href" not in name or value.startswith("#"), (name, value)
    # every reference, and an id for each of them
    wanted = re.findall(r"url\(\s*([^)]*)\)", text) + re.findall(r'href="(.*?)"', text)
    ids = re.findall(r'\sid="(.*?)"', text)
    assert len(ids) == len(set(ids)) and {name.lstrip("#") for name in wanted} <= {*ids}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_words_are_readable_on_a_phone(path):
    text = path.read_text(encoding="utf-8")
    left, top, width, _ = map(float, read(path).get("viewBox").split())
    assert (left, top) == (0, 0) and 560 <= width <= 640
    sizes = [float(n) for n in re.findall(r'font-size\s*[:=]\s*"?([\d.]+)', text)]
    # 18 of 600 units are 11 px where 358 px of a phone's 390 hold the drawing
    assert sizes and min(sizes) * 600 / width >= 18


def test_the_cell_grows_in_place():
    assert len(CELL) == 4
    first, *others = [[p.get("d") for p in read(f).iter(f"{SVG}path")] for f in CELL]
    for other in others:
        assert sorted(other) == sorted(first)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_page_shows_it(path):
    link = rf"!\[[^\]]{{40,}}\]\([./]*/_assets/diagrams/{path.name}\)"
    sources = [cell["source"] for page in PAGES for cell in read_page(page)]
    assert any(re.search(link, source) for source in sources), f"no page shows {link}"
