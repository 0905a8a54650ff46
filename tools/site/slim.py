"""Remove from the site what no page uses: most styles, icons and scripts."""

import hashlib
import logging
import re
from itertools import pairwise
from pathlib import Path, PurePosixPath
from posixpath import normpath

import tinycss2
from fontTools import subset

FONTS = "_static/vendor/fontawesome/webfonts"
MATH_FONTS = "_static/katex/fonts"
# Only for the page that shows what a search found.
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
AT_ONCE = "documentation_options.js"  # an inline script needs it right away
STYLE = "_static/site.css"
THEME = "_static/scripts/pydata-sphinx-theme.js"
# How the theme lets the keyboard reach what scrolls: it measures every block of code.
MEASURES = re.compile(
    r"(\w)\.tabIndex=\1\.scrollWidth>\1\.clientWidth\|\|"
    r"\1\.scrollHeight>\1\.clientHeight\?0:-1"
)
# A block that is not laid out yet, folded or far below on a phone, waits until it is:
# to measure it, the browser would have to lay out the whole page at once.
WAITS = """const measureBlock = (e) => {
  const scrolls = e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight;
  e.tabIndex = scrolls ? 0 : -1;
};
const blocksToCome = new IntersectionObserver(
  (seen) => seen.forEach((s) => s.isIntersecting && measureBlock(s.target)),
  { rootMargin: "50%" },
);
const measureOrWait = (e) =>
  !e.checkVisibility || e.checkVisibility({ contentVisibilityAuto: true })
    ? measureBlock(e)
    : blocksToCome.observe(e);
"""
VERSION = "?v=VERSION-OF-STYLE"  # in pages until the style sheet is known


def slim_page(soup, folder, searches):
    """Let a page load less.

    Args:
        soup: the page, parsed; changed in place.
        folder: where the page lies.
        searches: whether it is the page that shows what a search found.

    Returns:
        list of its style sheets, relative to `_static`, and set of its classes and ids.
    """
    trim_scripts(soup, searches)
    settle_pictures(soup, folder)
    parts = soup.find_all(True)
    names = {name for part in parts for name in part.get("class", ())}
    names |= {part["id"] for part in parts if "id" in part.attrs}
    return join_styles(soup), names


def trim_scripts(soup, searches):
    """Remove scripts that a page does not need, and defer the others."""
    for script in soup.find_all("script", src=True):
        name = script["src"].rpartition("/")[2].partition("?")[0]
        if name == "fontawesome.js" or (name in SEARCH and not searches):
            script.extract()  # icons come as fonts as well
        elif name != AT_ONCE and not searches:
            script["defer"] = ""
    for meta in soup.find_all("meta", attrs={"name": "viewport"})[1:]:
        meta.extract()


def settle_pictures(soup, folder):
    """Reserve space for pictures, and load each only when it comes near the screen."""
    for picture in soup.find_all("img"):
        if "logo__image" in picture.get("class", ()):
            continue
        picture["loading"] = "lazy"
        if picture["src"].endswith(".svg"):
            drawing = (folder / picture["src"]).read_text(encoding="utf-8")
            box = re.search(r'viewBox="([^"]+)"', drawing)[1].split()
            picture["width"], picture["height"] = (f"{float(x):.0f}" for x in box[2:])


def join_styles(soup):
    """Let a page load one style sheet; returns those it had, in their order."""
    links = soup.find_all("link", rel="stylesheet", href=re.compile("_static/"))
    sheets = [link["href"].partition("_static/")[2].partition("?")[0] for link in links]
    if links:
        links[0]["href"] = links[0]["href"].partition("_static/")[0] + STYLE + VERSION
    for link in links[1:]:
        link.extract()
    return sheets


def slim_site(outdir, sheets, names, characters):
    """Reduce the styles and the fonts of a built site to what it uses.

    Args:
        outdir: folder of the site.
        sheets: its style sheets in their order, relative to `_static`.
        names: classes and ids of its pages; those that scripts name are added here.
        characters: all that its formulas are drawn with.
    """
    static = Path(outdir, "_static")
    (static / "scripts/fontawesome.js").unlink(missing_ok=True)
    for pattern in ("*.map", "*.ttf"):
        for path in static.rglob(pattern):
            path.unlink()
    let_blocks_wait(Path(outdir, THEME))
    for path in static.rglob("*.js"):
        if path.name not in SEARCH:
            text = path.read_text(encoding="utf-8")
            names = names | set(re.findall(r"[\w-]+", text))
    style = "".join(keep_used_rules(sheet_text(static, name), names) for name in sheets)
    Path(outdir, STYLE).write_text(style, encoding="utf-8")
    version = f"?v={hashlib.sha256(style.encode()).hexdigest()[:8]}"
    for page in Path(outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(VERSION, version), encoding="utf-8")
    keep_glyphs(Path(outdir, FONTS), icons_in(style))
    keep_glyphs(Path(outdir, MATH_FONTS), set(map(ord, characters)))


def let_blocks_wait(script):
    """Let the theme measure only the blocks of code that are laid out.

    Args:
        script: the theme's; changed in place.

    Raises:
        ValueError: it does not measure them as it did, in another version perhaps.
    """
    text, found = MEASURES.subn(
        r"measureOrWait(\1)", script.read_text(encoding="utf-8")
    )
    if found != 1:
        raise ValueError(f"{script.name} measures blocks {found} times; expected once")
    script.write_text(WAITS + text, encoding="utf-8")


def icons_in(style):
    """Code points of the icons that a style sheet names."""
    codes = {ord(c) for c in style if "\ue000" <= c <= "\uf8ff"}
    return codes | {int(code, 16) for code in re.findall(r'"\\([0-9a-f]+)"', style)}


def keep_glyphs(folder, codes):
    """Reduce the fonts in a folder to the glyphs of some code points."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # not a line per glyph
    for path in folder.glob("*.woff2"):
        options = subset.Options(flavor="woff2", layout_features=[])
        font = subset.load_font(path, options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=codes)
        subsetter.subset(font)
        subset.save_font(font, path, options)


def sheet_text(static, name):
    """Read a style sheet and those it imports; addresses are relative to `_static`."""
    path = static / name
    folder = PurePosixPath(name).parent

    def address(match):
        return f"url({normpath(folder / match[1])})"

    css = path.read_text(encoding="utf-8")
    path.unlink()
    imports = re.findall(r'@import "([^"]+)";', css)
    css = re.sub(r'@import "[^"]+";', "", css)
    css = re.sub(r"""url\((?!["']?data:)([^)]+)\)""", address, css)
    return "".join(sheet_text(static, normpath(folder / i)) for i in imports) + css


def keep_used_rules(css, names):
    """Remove the selectors that name a class or id which is not among `names`."""
    css = re.sub(r',url\([^)]*\.ttf\) format\("truetype"\)', "", css)
    return "".join(trimmed(tinycss2.parse_stylesheet(css, True, True), names))


def trimmed(rules, names):
    """Yield what remains of each parsed rule, as text."""
    for rule in rules:
        if rule.type == "qualified-rule":
            used = [s for s in selectors(rule.prelude) if demands(s) <= names]
            if used:
                heads = ",".join(tinycss2.serialize(s).strip() for s in used)
                yield f"{heads}{{{tinycss2.serialize(rule.content).strip()}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            inside = tinycss2.parse_rule_list(rule.content, True, True)
            if body := "".join(trimmed(inside, names)):
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{body}}}"
        else:
            yield rule.serialize()


def selectors(prelude):
    """The selectors of a rule, each a list of tokens."""
    parts = [[]]
    for token in prelude:
        if token == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def demands(selector):
    """Classes and ids that a page must have for a selector to match anything.

    What stands in brackets, as in `:not(.x)`, is left alone.
    """
    pairs = pairwise(selector)
    classes = {b.value for a, b in pairs if a == "." and b.type == "ident"}
    return classes | {token.value for token in selector if token.type == "hash"}
