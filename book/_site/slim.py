"""Leave out of the site what no page uses: most of the theme's icons, and scripts."""

import re
from pathlib import Path

from fontTools import subset

# Put into pages by the theme's scripts.
LATER = {"xmark", "check", "copy"}
FONTS = "_static/vendor/fontawesome/webfonts"
STYLE = "_static/styles/pydata-sphinx-theme.css"
# Not before the page is shown; each waits for the page's end by itself.
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
AT_ONCE = "documentation_options.js"  # an inline script after it needs it


def trim_scripts(soup, searches):
    """Drop scripts that a page does not need, and let the others wait.

    Args:
        soup: the page, parsed; changed in place.
        searches: whether it is the page that shows what a search found.
    """
    for script in soup.select("script[src]"):
        name = script["src"].rpartition("/")[2].partition("?")[0]
        if name == "fontawesome.js" or (name in SEARCH and not searches):
            script.extract()  # icons come as fonts as well
        elif name != AT_ONCE and not searches:
            script["defer"] = ""
    for meta in soup.select('meta[name="viewport"]')[1:]:
        meta.extract()


def used_icons(pages):
    """Names of the icons in these pages' HTML."""
    found = {
        name
        for page in pages
        for name in re.findall(r"\bfa-([a-z0-9-]+)", page.read_text(encoding="utf-8"))
    }
    return found | LATER


def keep_used_icons(outdir):
    """Cut the icon fonts of a built site down to the icons that it shows.

    Args:
        outdir: folder of the site.
    """
    outdir = Path(outdir)
    css = (outdir / STYLE).read_text(encoding="utf-8")
    used = used_icons(outdir.rglob("*.html"))
    codes = {ord(c) for c in css if "\ue000" <= c <= "\uf8ff"}  # the theme's own
    for selectors, code in re.findall(r'([^{}]*):before\{content:"\\([0-9a-f]+)"', css):
        if used & set(re.findall(r"\.fa-([a-z0-9-]+)", selectors + ":before")):
            codes.add(int(code, 16))
    for path in (outdir / FONTS).glob("*.woff2"):
        options = subset.Options(flavor="woff2", layout_features=[])
        font = subset.load_font(path, options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=codes)
        subsetter.subset(font)
        subset.save_font(font, path, options)
    for path in (outdir / FONTS).glob("*.ttf"):
        path.unlink()
    style = re.sub(r',url\([^)]*\.ttf\) format\("truetype"\)', "", css)
    (outdir / STYLE).write_text(style, encoding="utf-8")
    for path in (outdir / "_static").rglob("*.map"):
        path.unlink()
    (outdir / "_static/scripts/fontawesome.js").unlink(missing_ok=True)
