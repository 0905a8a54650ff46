"""A master notebook solved, as its author has it, and unsolved, as it is handed out."""

import importlib.util
import json
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "book" / "assignments"
BLOCK = re.compile(
    r"^([ \t]*)# BEGIN SOLUTION( NO PROMPT)?\n.*?^[ \t]*# END SOLUTION[ \t]*\n?",
    re.MULTILINE | re.DOTALL,
)
LINE = re.compile(r"^(\s*)(.*=)?.*# SOLUTION[ \t]*$", re.MULTILINE)


def add_option(parser):
    """Let a command line name another folder of masters."""
    parser.add_argument(
        "--masters",
        type=Path,
        default=FOLDER,
        help="folder of the master notebooks and their cases (the book's)",
    )


def load_cases(path):
    """The module of an assignment's cases, `NAME_cases.py`, wherever it lies."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def solved(path):
    """Code cells of a master as a student would have them when all is right."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    return [source for source in sources if "BEGIN TEST CONFIG" not in source]


def unsolved(path):
    """The same cells with every solution taken out, as otter-grader takes it out."""

    def prompt(match):
        return "" if match[2] else f"{match[1]}...\n"

    cells = [BLOCK.sub(prompt, f"{source}\n") for source in solved(path)]
    return [LINE.sub(r"\1\2 ...", source).strip("\n") for source in cells]


def as_notebook(sources):
    """Bytes of a notebook of these code cells."""
    cells = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": source}
        for source in sources
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}).encode()
