"""Assignments from master to mark: hand-outs, students' checks, otter, the grader."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile

import nbformat
import pytest

from tests.conftest import PAGES, ROOT, execute, read_page, shorten
from tests.tools.grading.classroom import (
    GRADE,
    MADE,
    MASTERS,
    NAMES,
    fingerprint,
    is_experiment,
    load,
    make_class,
    once,
    solved_cells,
    write_notebook,
)
from tools.checkout import digest
from tools.grading import assign

# Runs the code cells of a hand-out in its folder as a student does, without otter.
STUDENT = """
import json, sys
sys.modules["otter"] = None
cells, check = json.load(open(sys.argv[1]))
for cell in cells:
    exec(cell)
print("CHECKED", [grader.check(name) for name in grader.names], grader.check_all())
"""


@pytest.fixture(scope="module")
def handouts():
    """What `make assignments` made; `make test` calls it first."""
    if not (MADE / "handouts").exists():
        pytest.fail("there are no hand-outs: run `make assignments` first")
    return MADE


def read_zip(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def handout_cells(handouts, name):
    """Code cells of a hand-out's notebook."""
    text = read_zip(handouts / "handouts" / f"{name}.zip")[f"{name}/{name}.ipynb"]
    cells = nbformat.reads(text.decode(), 4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_master_runs_with_its_hidden_tests(tmp_path, name):
    """Solution, public and hidden tests, experiments."""
    once(name, fingerprint(name), run_master, tmp_path, name)


# What shortens the experiment of a master: its networks take the same way, less far.
SHORTER = {
    "a3": {
        "updates, margin = 400, 200, 0.05": "updates, margin = 400, 40, 0.05",
        "rates = np.array([0.001, 0.003, ": "rates = np.array([",
    }
}


def run_master(tmp_path, name):
    """Run a copy of a master, with its cases beside it."""
    shutil.copy(MASTERS / f"{name}_cases.py", tmp_path)
    master = nbformat.read(MASTERS / f"{name}.ipynb", 4)
    shorten(master, SHORTER.get(name, {}))
    execute(master, tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        "book/assignments/a1.ipynb",
        "book/assignments/a1_cases.py",
        "unrolled/course/answers.py",
        "requirements.lock",
        "tools/grading/child.py",
        "tests/tools/grading/mutants/a1.py",
    ],
)
def test_a_change_makes_a_master_run_again(tmp_path, changed):
    folders = ("book/assignments", "unrolled", "tools/grading", "tests/tools/grading")
    for folder in folders:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    assert fingerprint("a1", tmp_path) == fingerprint("a1") != fingerprint("a2")
    with (tmp_path / changed).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert fingerprint("a1", tmp_path) != fingerprint("a1")


@pytest.mark.parametrize("name", NAMES)
def test_masters_have_no_outputs(name):
    notebook = nbformat.read(MASTERS / f"{name}.ipynb", 4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(c.outputs == [] and c.execution_count is None for c in cells)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_made_again_they_are_the_same(handouts, tmp_path, name):
    """Hand-outs are generated, never edited: these are what the masters give today."""
    once(f"{name}-again", made_of(handouts, name), make_again, handouts, tmp_path, name)


def make_again(handouts, tmp_path, name):
    """Make both archives and compare them with those that are there."""
    assign.make(MASTERS / f"{name}.ipynb", tmp_path)
    for one, other in zip(
        assign.zips(handouts, name), assign.zips(tmp_path, name), strict=True
    ):
        assert one.read_bytes() == other.read_bytes()


def made_of(handouts, name):
    """Fingerprint of an assignment's archives and of what they are made from."""
    digests = [digest(path) for path in assign.zips(handouts, name)]
    return " ".join([fingerprint(name), *digests])


def what_the_book_prints():
    """Code of all pages and of the package: no secret where a solution uses it too."""
    package = [path.read_text("utf-8") for path in (ROOT / "unrolled").rglob("*.py")]
    pages = [cell["source"] for page in PAGES for cell in read_page(page)]
    return "\n".join(package + pages)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_solution_is_handed_out(handouts, site, name):
    """Not in the zip, and not on the site: neither references nor solved functions."""
    files = read_zip(handouts / "handouts" / f"{name}.zip")
    assert {f"{name}/{name}.ipynb", f"{name}/README.md", f"{name}/tests/q1.py"} <= set(
        files
    )
    stub = "\n".join(handout_cells(handouts, name))
    solved = "\n".join(solved_cells(name))
    bodies = [line.strip() for line in solved.splitlines() if line not in stub]
    telling = {line for line in bodies if len(line) > 30 and "SOLUTION" not in line}
    printed = what_the_book_prints()
    telling -= {line for line in telling if line in printed}
    assert len(telling) > 10
    shown = [data.decode(errors="replace") for data in files.values()]
    pages = [*site.rglob("*.html"), *site.rglob("_sources/**/*")]
    shown += [path.read_text("utf-8", "replace") for path in pages if path.is_file()]
    everything = "\n".join(shown)
    assert not [line for line in telling if line in everything]
    assert f"{name}_cases" not in "".join(path.name for path in site.rglob("*"))
    offered = list(site.glob(f"_downloads/*/{name}.zip"))
    assert [path.read_bytes() for path in offered] == [
        (handouts / "handouts" / f"{name}.zip").read_bytes()
    ]


def test_the_readme_has_every_command_for_windows_too():
    lines = assign.README.format(title="A1", name="a1").splitlines()
    commands = [line.split("|")[2:4] for line in lines if re.match(r"\|.*`", line)]
    assert len(commands) == 3 and "a1.ipynb" in commands[-1][0]
    for unix, windows in commands:
        translated = unix.replace(".venv/bin/", ".venv\\Scripts\\")
        assert windows == translated.replace("python3 -m venv", "py -m venv")


@pytest.mark.parametrize("name", NAMES)
def test_student_checks_without_otter(handouts, tmp_path, name):
    """In the unpacked hand-out: a stub is told what is missing, a solution passes."""
    once(
        f"{name}-student",
        made_of(handouts, name),
        check_as_a_student,
        handouts,
        tmp_path,
        name,
    )


def check_as_a_student(handouts, tmp_path, name):
    """Run all public checks of a hand-out, first unsolved, then solved."""
    with zipfile.ZipFile(handouts / "handouts" / f"{name}.zip") as archive:
        archive.extractall(tmp_path)
    stub = [c for c in handout_cells(handouts, name) if not is_experiment(c)]
    solved = [c for c in solved_cells(name) if not is_experiment(c)]
    # By these the grader knows a submission, and `Grader` its tests.
    assert f'grader = Grader("{name}")' in "\n".join(stub)
    tests = (tmp_path / name / "tests" / "q1.py").read_text("utf-8")
    assert tests.startswith(f'assignment = "{name}"\n')
    said = {}
    for kind, cells in {"stub": stub, "solved": solved}.items():
        path = tmp_path / f"{kind}.json"
        path.write_text(json.dumps([cells, None]), encoding="utf-8")
        command = [sys.executable, "-c", STUDENT, str(path)]
        run = subprocess.run(
            command,
            cwd=tmp_path / name,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert run.returncode == 0, run.stderr
        said[kind] = run.stdout
    number = len(load(name).questions)
    assert f"CHECKED {[True] * number} True" in said["solved"]
    assert f"CHECKED {[False] * number} False" in said["stub"]
    assert "✗" in said["stub"] and "✗" not in said["solved"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_otter_s_autograder_gives_full_marks(handouts, tmp_path, name):
    once(f"{name}-otter", made_of(handouts, name), run_otter, handouts, tmp_path, name)


def run_otter(handouts, tmp_path, name):
    """Let otter grade the solution, as Gradescope does."""
    cells = [c for c in solved_cells(name) if not is_experiment(c)]
    text = read_zip(handouts / "handouts" / f"{name}.zip")[f"{name}/{name}.ipynb"]
    notebook = nbformat.reads(text.decode(), 4)
    # The checks are bound to questions by the names in the zip, not by cells.
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    command = [sys.executable, "-m", "otter", "run", f"{name}.ipynb"]
    command += ["-a", str(handouts / "autograders" / f"{name}.zip"), "-o", "."]
    run = subprocess.run(
        command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    scores = {test["name"]: test for test in results["tests"]}
    for question in load(name).questions:
        test = scores.get(question.name, {})
        assert test.get("score") == test.get("max_score") == question.points, results


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_grader_on_solution_and_stub(handouts, tmp_path, name):
    """In the sandbox, with time to spare: the solution has all points, a stub none."""
    once(
        f"{name}-graded",
        made_of(handouts, name),
        grade_solution_and_stub,
        handouts,
        tmp_path,
        name,
    )


def grade_solution_and_stub(handouts, tmp_path, name):
    """Grade a class of two."""
    submissions = tmp_path / "submissions"
    submissions.mkdir()
    write_notebook(submissions / "solved.ipynb", solved_cells(name))
    write_notebook(submissions / "stub.ipynb", handout_cells(handouts, name))
    run = subprocess.run(
        [*GRADE, name, str(submissions), "--output", str(tmp_path / "grades")],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 0, run.stderr
    graded = {row["student"]: row for row in read_scores(tmp_path / "grades" / name)}
    whole = sum(question.points for question in load(name).questions)
    assert float(graded["solved"]["points"]) == whole, graded["solved"]
    assert graded["solved"]["notes"] == ""
    assert float(graded["stub"]["points"]) == 0


def read_scores(folder):
    text = (folder / "scores.csv").read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.slow
def test_a_class(tmp_path):
    """Twenty of A2, two of them hostile: everybody gets what the answers are worth."""
    expected = make_class("a2", 20, tmp_path / "submissions")
    command = [*GRADE, "a2", str(tmp_path / "submissions")]
    subprocess.run(
        [*command, "--output", str(tmp_path / "grades")], cwd=ROOT, check=True
    )
    whole = {question.name: question.points for question in load("a2").questions}
    graded = {row["student"]: row for row in read_scores(tmp_path / "grades" / "a2")}
    assert set(graded) == set(expected)
    for student, loses in expected.items():
        got = {name: float(graded[student][name]) for name in whole}
        if loses is None:
            assert all(got[name] <= whole[name] for name in whole)
            continue
        if loses:
            assert got.pop(loses) < whole[loses]
        assert got == {name: whole[name] for name in got}, student
