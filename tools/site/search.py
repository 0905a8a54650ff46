"""The site's search: what the built pages say, section by section, for `search.js`.

Sphinx's own search knows which pages have a word. Ours knows the sections and their
prose: it ranks them by that, leads into the page, and fetches nothing for an excerpt.
"""

import json
import re
from pathlib import Path

from bs4 import BeautifulSoup, NavigableString

INDEX = "searchindex.js"
SCRIPT = "search.js"
SPHINX = ("searchtools.js", "language_data.js")  # what ours replaces
# What is neither prose nor code: signs, the words of buttons and boxes, what a program
# printed, displayed formulas, and the table that opens a page.
SILENT = (
    ".headerlink, .viewcode-link, summary, button, script, style, nav, div.math, svg, "
    ".admonition > .admonition-title, .cell_output pre, table.headless"
)
SECTIONS = "section[id], dl.py > dt.sig[id]"  # those of the reference have no heading
MARK = re.compile(r"⟦(\d+)⟧")
# What stands between the parts of a formula in plain letters.
BETWEEN = {"mfrac": "/", "msub": "_", "msup": "^", "msubsup": "_^"}


class Index:
    """What the pages of a site say."""

    def __init__(self, formulas, names=None):
        """Take the `Formulas` of the site, and what is named where.

        Args:
            formulas: those of the site.
            names: dict from a place, such as `book/api/networks.html#unrolled.LSTM`, to
                names that are described there: `LSTM`, `LSTM.forget_bias`.
        """
        self.formulas = formulas
        self.names = names or {}
        self.pages = []
        self.plain = {}  # formulas in plain letters, by their numbers

    def add(self, soup, name):
        """Read a page.

        Args:
            soup: the page, parsed, with marks for formulas; it is taken apart.
            name: where it lies below the site.
        """
        article = soup.select_one("article")
        for part in article.select(SILENT):
            part.replace_with(" ")
        for cell in article.select("td + td, th + th"):
            cell.insert(0, " · ")
        sections = []
        # What lies inside comes first, and out: it is no part of what lies around it.
        for part in reversed(article.select(SECTIONS)):
            heading = part.find(re.compile("^h[1-6]$"), recursive=False)
            if part.name == "dt":
                heading, whole = part, part.parent
            elif heading:
                whole = part
            else:
                continue
            title = self.words(heading.extract()).partition("(")[0].strip()
            blocks = whole.find_all("pre")
            code = [block.replace_with(" ").get_text() for block in blocks]
            lines = [line.strip() for line in "\n".join(code).splitlines()]
            is_page = heading.name == "h1"
            sections.append({
                "place": "" if is_page else f"#{part['id']}",
                "heading": "" if is_page else title,
                "prose": self.words(whole),
                "code": "\n".join(line for line in lines if line),
            })
            if named := self.names.get(f"{name}#{part['id']}"):
                sections[-1]["names"] = named
            whole.extract()
        if sections:
            page = {"path": name, "title": title, "sections": sections[::-1]}
            self.pages.append(page)

    def words(self, part):
        """The text of a part of a page on one line, with formulas in plain letters."""
        return " ".join(MARK.sub(self.formula, part.get_text()).split())

    def formula(self, mark):
        """The formula of a mark, such as `c_t` or `h_{t−1}`."""
        number = int(mark[1])
        if number not in self.plain:
            html = self.formulas.typeset[number]
            math = BeautifulSoup(html, "html.parser").math
            self.plain[number] = in_letters(math.semantics) if math else ""
        return self.plain[number]

    def write(self, site):
        """Write what `search.js` reads in the place of Sphinx's index."""
        pages = sorted(self.pages, key=lambda page: page["path"])
        text = json.dumps(pages, ensure_ascii=False, separators=(",", ":"))
        Path(site, INDEX).write_text(f"setIndex({text});\n", encoding="utf-8")
        for name in SPHINX:
            Path(site, "_static", name).unlink(missing_ok=True)


def in_letters(math):
    """A MathML element in plain letters."""
    if isinstance(math, NavigableString):
        return str(math).strip()
    if math.name == "annotation":
        return ""
    parts = [in_letters(part) for part in math.children]
    if math.name in BETWEEN:
        first, *others = parts
        # After an operator's name comes an invisible sign, which is left out.
        pairs = zip(BETWEEN[math.name], others, strict=False)
        return first + "".join(sign + in_braces(part) for sign, part in pairs)
    if math.name == "msqrt":
        return f"√{in_braces(''.join(parts))}"
    if math.name in ("mover", "munder", "munderover"):
        return parts[0]
    if math.name in ("mspace", "mtr"):
        return " ".join([*parts, " "])
    if math.name == "mo" and parts[0] in ("=", "<", ">", "≤", "≥", "≈", "+", "→", "∈"):
        return f" {parts[0]} "
    return "".join(parts)


def in_braces(words):
    """Words in braces if they are more than a letter."""
    return words if len(words) == 1 else f"{{{words}}}"


def use_our_search(soup):
    """Have the page that shows what a search found use `search.js`."""
    for script in soup.select("script[src]"):
        name = script["src"].rpartition("/")[2].partition("?")[0]
        if name == SPHINX[0]:
            script["src"] = f"_static/{SCRIPT}"
        elif name in SPHINX:
            script.extract()
