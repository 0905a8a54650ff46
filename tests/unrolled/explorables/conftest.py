"""A page with explorables alone, as a browser gets it from a folder or a server."""

import re

import pytest

PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Explorables</title>
<style>
html {{ font: 16px/1.5 sans-serif }} body {{ margin: 0; padding: 0 8px }}
html[data-theme="dark"] {{ background: #121212; color: #eee }}
</style></head>
<body><main><h1>Explorables</h1>{before}{shown}</main></body></html>"""


@pytest.fixture
def put(tmp_path):
    """Function that writes a page with explorables; returns where it lies, as a URI."""

    def write(*explorables, theme="light", before=""):
        shown = "".join(e._repr_mimebundle_()["text/html"] for e in explorables)
        text = PAGE.format(theme=theme, before=before, shown=shown)
        path = tmp_path / f"{theme}.html"
        path.write_text(text, encoding="utf-8")
        return path.as_uri()

    return write


@pytest.fixture(scope="session")
def modules():
    """Address of a local server that has the modules."""
    from importlib.resources import files

    from tools.browser import serve

    with serve(files("unrolled.explorables")) as address:
        yield address


def in_another_script(text):
    """Words of an explorable, each in another script; what stands in braces stays."""
    if isinstance(text, str):
        return re.sub(r"[^\W\d]+(?![^{]*})", "字", text)
    if isinstance(text, dict):
        return {name: in_another_script(part) for name, part in text.items()}
    return [in_another_script(part) for part in text]
