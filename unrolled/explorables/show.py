"""How an explorable reaches its reader: one output for every kind of notebook reader.

The output holds the ES module itself, because a page that was opened from a folder may
not load one, and a picture with a sentence for readers that run no scripts: GitHub, an
untrusted notebook in JupyterLab, a feed.
"""

import base64
import html
import json
import re
import secrets
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

# How a module of this folder asks for another one; it may run over two lines.
IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.]+)";\n', re.MULTILINE)
PNG = b"\x89PNG\r\n\x1a\n"
# By that attribute JupyterLab leaves keys to the explorable, as A or Enter on a button.
OUTPUT = """<div class="explorable" id="%(id)s" data-lm-suppress-shortcuts="true">
<style>
%(style)s%(room)s
</style>
<div class="explorable-stage">
<img class="explorable-still" alt="%(alt)s" %(size)s src="%(picture)s">
<p>%(sentence)s</p>
</div>
<script type="module">
%(module)s
%(start)s
</script>
</div>"""
# Runs after the module, whose `render` it calls. It sits in a block of its own, so that
# its names do not meet the module's.
START = """{
  const root = document.getElementById(%(id)s);
  const stage = root.querySelector(".explorable-stage");
  const data = %(data)s;
  const start = () => {
    const still = [...stage.childNodes], el = document.createElement("div");
    stage.replaceChildren(el);
    try {
      render({ model: { get: (name) => data[name] }, el });
    } catch (error) {
      stage.replaceChildren(...still);  // rather a picture than half a machine
      throw error;
    }
  };
  // Only when the reader comes near: a page with an explorable opens as fast as any.
  new IntersectionObserver((entries, eye) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    eye.disconnect();
    start();
  }, { rootMargin: "300px" }).observe(root);
}"""


class Explorable:
    """Something to try in a page: an ES module, its data, and a picture of it.

    As the result of a cell it runs on the site, in a page opened from a folder and in
    JupyterLab, and asks no server for anything. `widget` makes a Jupyter widget of it.

    The module, a file beside this one, exports `default { render }` in the form of
    anywidget (https://anywidget.dev): `render({ model, el })` fills the element `el`,
    and `model.get(name)` gives an entry of `data`, or `"words"`. What it imports from
    this folder takes the place of the `import`. A style sheet of the same name, if
    there is one, follows `explorable.css`.

    Args:
        module: name of the module's file, such as "cell.js".
        data: what the module gets, by name: anything that JSON can hold.
        picture: a still, as PNG, for readers that run no scripts.
        words: every text that the reader sees, by name, and under "picture" what the
            still shows.
        sentence: what stands below the still.
        height: room to reserve, so that nothing moves when the explorable starts: a CSS
            length; or lengths by the width in pixels from which they hold, such as
            `{0: "60rem", 480: "45rem"}`.

    Raises:
        ValueError: no such module, data that JSON cannot hold or that hide "words", a
            picture that is not PNG, or words without "picture".
    """

    def __init__(
        self,
        module: str,
        data: Mapping[str, Any],
        *,
        picture: bytes,
        words: Mapping[str, Any],
        sentence: str,
        height: str | Mapping[int, str],
    ) -> None:
        self.source = _inline(module, {module})
        self.style = _read("explorable.css")
        if (sheet := files(__package__) / module.replace(".js", ".css")).is_file():
            self.style += sheet.read_text(encoding="utf-8")
        if "words" in data:
            raise ValueError('data has an entry "words"; expected them as an argument')
        if "picture" not in words:
            raise ValueError('words has no "picture"; expected what the still shows')
        if not isinstance(picture, bytes) or not picture.startswith(PNG):
            raise ValueError("picture is not PNG; expected the bytes of a PNG file")
        self.data = {**data, "words": dict(words)}
        try:
            self._json = json.dumps(self.data, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"data cannot be written as JSON: {error}") from None
        self.picture = picture
        self.sentence = sentence
        self.height = {0: height} if isinstance(height, str) else dict(height)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        picture = base64.b64encode(self.picture).decode()
        return {
            "text/html": self._html(f"data:image/png;base64,{picture}"),
            "image/png": picture,
            "text/plain": self.sentence,
        }

    def _html(self, picture):
        name = f"explorable-{secrets.token_hex(4)}"
        # "<" would let a word end the script.
        data = self._json.replace("<", "\\u003c")
        width, height = (
            int.from_bytes(self.picture[at : at + 4], "big") for at in (16, 20)
        )
        return OUTPUT % {
            "id": name,
            "style": self.style,
            "room": "\n".join(
                f"@container explorable (min-width: {least}px) "
                f"{{ #{name} > .explorable-stage {{ min-height: {room}; }} }}"
                for least, room in sorted(self.height.items())
            ),
            "alt": html.escape(self.data["words"]["picture"]),
            "size": f'width="{width}" height="{height}"',
            "picture": picture,
            "sentence": html.escape(self.sentence),
            "module": self.source,
            "start": START % {"id": json.dumps(name), "data": data},
        }

    def widget(self) -> Any:
        """Return the same as a widget, for notebooks that show those.

        Returns:
            an `anywidget.AnyWidget`, with each entry of `data` as a trait.

        Raises:
            ModuleNotFoundError: anywidget is not installed.
        """
        try:
            import anywidget  # optional: nothing else needs it
            import traitlets
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "widget() needs anywidget; type: pip install 'unrolled[widgets]'"
            ) from error
        traits = {
            name: traitlets.Any(value).tag(sync=True)
            for name, value in self.data.items()
        }
        parts = {"_esm": self.source, "_css": self.style}
        made = type("ExplorableWidget", (anywidget.AnyWidget,), traits | parts)()
        made.add_class("explorable")
        return made

    def __repr__(self) -> str:
        return self.sentence


def _inline(name, there):
    """Return a module with all that it imports in it, each once."""

    def take(found):
        if found[1] in there:
            return ""
        there.add(found[1])
        return _inline(found[1], there)

    return IMPORT.sub(take, _read(name))


def _read(name):
    """Return the text of a file of this folder."""
    path = files(__package__) / name
    if not path.is_file():
        raise ValueError(f"module is {name!r}; there is no such file in {__package__}")
    return path.read_text(encoding="utf-8")
