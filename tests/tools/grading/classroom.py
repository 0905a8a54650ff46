"""What a class hands in: right, wrong, empty and hostile notebooks of an assignment."""

import importlib
import json
import platform
import random
import sys

import nbformat

from tests.conftest import ROOT
from tests.tools.grading import hostile
from tools.checkout import hash_files, package_files
from tools.grading import masters

MASTERS = masters.FOLDER
MADE = ROOT / "_build" / "assignments"
NAMES = ("a1", "a2", "a3")
GRADE = [sys.executable, "-m", "tools.grading.grade"]
KINDS = 3 * ("right",) + 3 * ("other",) + 2 * ("wrong",) + ("empty", "hostile")
# One of each hundred, so that a class of two hundred has two of each.
ATTACKS = (
    *("loops-in-a-cell", "loops-and-holds-on", "sys-exit", "os-exit", "kills-all"),
    *("prints-a-gigabyte", "floods-the-answers", "allocates-without-end", "fork-bomb"),
    *("reaches-the-network",),
)


def once(what, depends_on, run, *about, **more):
    """Like a page, a run of minutes is repeated only where what it depends on changed.

    Args:
        what: name of the run, which passes if it ends without an error.
        depends_on: fingerprint of all that decides on how it ends.
        run: function that is called with the rest, unless it has passed before with
            the same fingerprint.
    """
    stamp = MADE / "ran" / f"{what}.txt"
    if stamp.exists() and stamp.read_text("utf-8") == depends_on:
        return
    run(*about, **more)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(depends_on, encoding="utf-8")


def fingerprint(name, root=ROOT):
    """Hash of what decides on an assignment's marks: masters, package, grader, pins."""
    files = [root / f"book/assignments/{name}{end}" for end in (".ipynb", "_cases.py")]
    files += [root / "requirements.lock", *package_files(root / "unrolled")]
    files += sorted((root / "tools" / "grading").glob("*.py"))
    tests = root / "tests" / "tools" / "grading"
    files += [tests / "classroom.py", tests / "test_assignments.py"]
    files += [tests / "test_mutants.py", tests / "mutants" / f"{name}.py"]
    return f"Python {platform.python_version()}, {hash_files(root, files)}"


def load(name):
    """The assignment, with its cases and references."""
    return masters.load_cases(MASTERS / f"{name}_cases.py").ASSIGNMENT


def known(name):
    """Its mistakes, `MUTANTS`, and its other right solutions, `ALTERNATIVES`."""
    return importlib.import_module(f"tests.tools.grading.mutants.{name}")


def solved_cells(name):
    """Code cells of a master as a student would have them, solved, with experiments."""
    return masters.solved(MASTERS / f"{name}.ipynb")


def is_experiment(source):
    return source.startswith("# experiment")


def solution(name):
    """Source of a solved notebook, without experiments and public checks."""
    kept = [s for s in solved_cells(name) if "Grader(" not in s]
    return "\n\n".join(s for s in kept if not is_experiment(s))


def write_notebook(path, sources):
    """Write a notebook of these code cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    path.write_text(json.dumps(notebook), encoding="utf-8")


def make_class(name, size, folder):
    """Write `size` submissions; of ten, six are right, two wrong, one empty, one bad.

    Returns:
        dict by student: which question loses points ("" where none does, None where
        all points may be lost).
    """
    folder.mkdir(parents=True)
    draw = random.Random(0)
    right = solved_cells(name)
    mistakes = known(name).MUTANTS
    expected = {}
    for number in range(size):
        student = f"{KINDS[number % 10]}-{number:03d}"
        cells, loses = list(right), ""
        if "other" in student:
            question = draw.choice(list(mistakes))
            cells.append(draw.choice(known(name).ALTERNATIVES[question]))
        elif "wrong" in student:
            loses = draw.choice(list(mistakes))
            good, bad = draw.choice(mistakes[loses])
            cells = [cell.replace(good, bad) for cell in cells]
        elif "empty" in student:
            cells, loses = right[:1], None
        elif "hostile" in student:
            attack = ATTACKS[number // 10 % len(ATTACKS)]
            student, loses = f"{attack}-{number:03d}", None
            cells = [hostile.HOSTILE[attack][0][0].replace("PORT", "9"), *right]
        write_notebook(folder / f"{student}.ipynb", cells)
        expected[student] = loses
    return expected
