"""One output that runs wherever scripts do, and shows a picture elsewhere."""

import base64
import importlib.util
import re

import pytest
from bs4 import BeautifulSoup

from unrolled.explorables import cell
from unrolled.explorables.show import Explorable

TALL = '<div style="height: 4000px"></div>'


def made(**changes):
    """An explorable with the data of a cell, and what a test changes."""
    whole = cell()
    words = whole.data["words"]
    data = {name: value for name, value in whole.data.items() if name != "words"}
    options = {
        "data": data,
        "picture": whole.picture,
        "words": words,
        "sentence": "Words.",
        "height": whole.height,
    }
    return Explorable("cell.js", **(options | changes))


def test_an_output_for_every_reader():
    explorable = made(sentence="a < b & c")
    bundle = explorable._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert base64.b64decode(bundle["image/png"]) == explorable.picture
    soup = BeautifulSoup(bundle["text/html"], "html.parser")
    assert soup.p.get_text() == "a < b & c" == bundle["text/plain"] == repr(explorable)
    assert soup.img["src"] == f"data:image/png;base64,{bundle['image/png']}"
    assert soup.img["alt"] == explorable.data["words"]["picture"]
    assert len(soup.select("script")) == 1 and not soup.select("[src]:not(img), link")


def test_a_module_brings_what_it_imports():
    """A page from a folder may not load modules: they are all in one."""
    explorable = made()
    assert not re.search(r"^import ", explorable.source, re.MULTILINE)
    assert "export function elements(" in explorable.source
    assert ".cell-marks" in explorable._repr_mimebundle_()["text/html"]


def test_two_on_a_page_do_not_meet():
    explorable = made()
    outputs = [explorable._repr_mimebundle_()["text/html"] for _ in range(2)]
    ids = [re.search(r'id="([\w-]+)"', text)[1] for text in outputs]
    assert ids[0] != ids[1]


def test_no_word_ends_the_script():
    evil = "</script><b>out</b><!--"
    data = {"presets": evil}
    html = made(data=data)._repr_mimebundle_()["text/html"]
    assert html.count("</script") == 1 and "<b>out" not in html


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"words": {}}}, "data has an entry"),
        ({"data": {"x": object()}}, "data cannot be written as JSON"),
        ({"data": {"x": float("nan")}}, "data cannot be written as JSON"),
        ({"words": {}}, 'words has no "picture"'),
        ({"picture": b"GIF89a"}, "picture is not PNG"),
        ({"picture": "picture.png"}, "picture is not PNG"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        made(**changes)


def test_unknown_module():
    with pytest.raises(ValueError, match=r"module is 'cel\.js'"):
        Explorable("cel.js", {}, picture=b"", words={}, sentence="", height="1px")


def test_widget():
    """With anywidget every entry of the data is a trait; without it, we say so."""
    if importlib.util.find_spec("anywidget") is None:
        with pytest.raises(ModuleNotFoundError, match=r"unrolled\[widgets\]"):
            made().widget()
        return
    widget = made().widget()
    assert widget.preset == "keras" and widget.words == made().data["words"]
    assert "export default" in widget._esm and ".explorable" in widget._css


def test_without_scripts(browser, put):
    page = browser.new_page(java_script_enabled=False)
    page.goto(put(made(sentence="Words to read.")))
    assert page.get_by_text("Words to read.").is_visible()
    assert page.locator("img").bounding_box()["height"] > 100
    # The room for the explorable is not kept.
    assert page.locator(".explorable").bounding_box()["height"] < 700
    page.close()


def test_starts_when_the_reader_comes_near(browser, put):
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(put(made(), made(), before=TALL))
    page.wait_for_timeout(0)
    assert page.locator(".explorable-still").count() == 2
    height = page.evaluate("document.documentElement.scrollHeight")
    for each in page.locator(".explorable").all():
        each.scroll_into_view_if_needed()
        each.get_by_role("status").wait_for()
    assert not page.locator(".explorable-still").count()
    assert page.evaluate("document.documentElement.scrollHeight") == height
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    page.close()


def test_a_broken_module_leaves_the_picture(browser, put):
    page = browser.new_page()
    with page.expect_event("pageerror"):
        page.goto(put(made(data={"presets": {}, "model": "LSTM"})))
    assert page.locator(".explorable-still").is_visible()
    page.close()
