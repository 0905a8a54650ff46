"""Grading a class: right marks, and no submission that gains or harms anything."""

import contextlib
import csv
import io
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from tests.conftest import ROOT, missing, write_page
from tests.tools.grading.hostile import (
    FILES,
    HOSTILE,
    NOTHING,
    RIGHT,
    SCALED,
    SUMS,
    WHOLE,
)
from tools.grading import grade as grader

COMMAND = [sys.executable, "-m", "tools.grading.grade"]
TOY = """
import numpy as np
from unrolled.course.assignments import Assignment, Case, Given, Question


def draw(rng):
    return [
        Case("a pair", {"x": rng.normal(size=2), "scale": 2.0}),
        Case("a table", {"x": rng.normal(size=(3, 2)), "scale": 3.0}),
    ]


def draw_sums(rng):
    return [Case("three rows", {"rows": rng.normal(size=(3, 2)), "step": Given("add")})]


ASSIGNMENT = Assignment(
    "toy",
    "A toy",
    (
        Question("q1", "Scaling", "scaled", ("y",), draw, lambda x, scale: scale * x),
        Question("q2", "Sums", "sums", ("y", "n"), draw_sums,
                 lambda rows, step: (rows.sum(0), len(rows))),
    ),
    given="def add(a, b):\\n    return a + b\\n",
    seconds=2,
    memory=300 << 20,
)
"""


@pytest.fixture(scope="module")
def whole_sandbox():
    """Bubblewrap, which is a program of the system."""
    if shutil.which("bwrap") is None:
        missing("bubblewrap is not installed (Debian: apt-get install bubblewrap)")


def arguments(folder, *options):
    """Arguments of the command that grades `folder/submissions`."""
    (folder / "toy_cases.py").write_text(TOY, encoding="utf-8")
    where = ["--output", str(folder / "grades"), "--masters", str(folder)]
    return ["toy", str(folder / "submissions"), *where, *options]


def grade(folder, *options):
    """Grade `folder/submissions` in this process; returns what was printed."""
    said, bar = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(bar):
        assert grader.main(arguments(folder, *options)) == 0
    return said.getvalue()


def grade_apart(folder, *options):
    """Grade it in a process of its own; returns what was printed."""
    command = [*COMMAND, *arguments(folder, *options)]
    ended = subprocess.run(
        command, capture_output=True, encoding="utf-8", cwd=ROOT, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def rows(folder):
    """Rows of the table of scores by student."""
    with (folder / "grades" / "toy" / "scores.csv").open(encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def feedback(folder, student):
    return (folder / "grades" / "toy" / "feedback" / f"{student}.html").read_text(
        encoding="utf-8"
    )


def submit(folder, student, cells):
    (folder / "submissions").mkdir(exist_ok=True)
    write_page(folder / "submissions" / f"{student}.ipynb", "# Toy", cells)


@pytest.fixture(scope="module")
def listener():
    """A socket of this machine that nobody in a sandbox can reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, whole_sandbox, listener):
    """The class with every hostile submission, graded once, among right ones."""
    folder = tmp_path_factory.mktemp("hostile")
    for number in range(3):
        submit(folder, f"right-{number}", RIGHT)
    stands_for_words = {
        "GRADES": folder / "grades" / "toy",
        "PORT": listener.getsockname()[1],
        "ROOT": ROOT,
        "SECRET": folder / "secret",
    }
    for name, (cells, _, _) in HOSTILE.items():
        for word, stands_for in stands_for_words.items():
            cells = [cell.replace(word, str(stands_for)) for cell in cells]
        submit(folder, name, cells)
    for name, (data, _) in FILES.items():
        (folder / "submissions" / f"{name}.ipynb").write_bytes(data)
    (folder / "submissions" / "nothing-handed-in").mkdir()
    assert "WARNING" not in grade_apart(folder)
    return folder


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_gains_nothing_and_is_told(hostile, name):
    _, points, says = HOSTILE[name]
    row = rows(hostile)[name]
    assert {key: row[key] for key in points} == points
    assert says in feedback(hostile, name)
    assert "<script>" not in feedback(hostile, name)


@pytest.mark.parametrize("name", [*FILES, "nothing-handed-in"])
def test_broken_file_is_told(hostile, name):
    says = FILES[name][1] if name in FILES else "there is no notebook"
    assert {key: rows(hostile)[name][key] for key in NOTHING} == NOTHING
    assert says in feedback(hostile, name).lower()


def test_others_are_not_harmed(hostile):
    graded = rows(hostile)
    assert len(graded) == 3 + len(HOSTILE) + len(FILES) + 1
    for number in range(3):
        row = graded[f"right-{number}"]
        assert {key: row[key] for key in WHOLE} == WHOLE
        assert row["notes"] == ""
    assert not (hostile / "secret").exists()


def test_made_up_notes_are_left_out(hostile):
    assert "fault of the grader" not in feedback(hostile, "forges-a-note")


def test_a_link_to_the_master_is_no_submission(tmp_path):
    submit(tmp_path, "right", RIGHT)
    (tmp_path / "master").mkdir()
    write_page(tmp_path / "master" / "toy.ipynb", "# Toy", RIGHT)
    (tmp_path / "submissions" / "links").symlink_to(tmp_path / "master")
    (tmp_path / "submissions" / "link.ipynb").symlink_to(tmp_path / "master/toy.ipynb")
    grade(tmp_path)
    points = {student: row["points"] for student, row in rows(tmp_path).items()}
    assert points == {"right": "3", "links": "0", "link": "0"}


def test_nobody_reached_the_network(hostile, listener):
    listener.settimeout(0.1)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_summary_of_the_class(hostile):
    text = (hostile / "grades" / "toy" / "summary.html").read_text("utf-8")
    assert f"Submissions: {len(rows(hostile))}" in text
    assert "<svg" in text and "<script>" not in text
    assert 'href="feedback/right-0.html"' in text


# Grades as the command does, but once two results are kept it says so and stands still.
# A shell that starts tests in the background has them ignore Ctrl-C: not so here.
STANDS_STILL = """
import runpy
import signal
import sys

signal.signal(signal.SIGINT, signal.default_int_handler)
from tools.grading import report

replace, kept = report.replace, []


def replace_and_count(path, text):
    replace(path, text)
    kept.extend([path] if path.parent.name == "results" else [])
    if len(kept) == 2:
        print("two are kept", flush=True)
        signal.pause()


report.replace = replace_and_count
runpy.run_module("tools.grading.grade", run_name="__main__")
"""


def test_goes_on_after_an_interruption(tmp_path):
    """What was graded is neither lost nor graded again; what is new is graded."""
    for number in range(5):
        submit(tmp_path, f"student-{number}", RIGHT)
    command = [sys.executable, "-c", STANDS_STILL, *arguments(tmp_path)]
    kept = tmp_path / "grades" / "toy" / "results"
    with subprocess.Popen(command, stdout=-1, text=True, cwd=ROOT) as run:
        assert "two are kept\n" in iter(run.stdout.readline, "")
        run.send_signal(signal.SIGINT)
    assert run.returncode != 0
    first = {path: path.stat().st_mtime_ns for path in kept.glob("*.json")}
    assert len(first) == 2
    assert not list(kept.glob("*.part"))

    assert f"Submissions: 5, graded before: {len(first)}" in grade(tmp_path)
    assert all(path.stat().st_mtime_ns == before for path, before in first.items())
    assert [row["points"] for row in rows(tmp_path).values()] == ["3"] * 5

    submit(tmp_path, "student-0", [SUMS])  # handed in again
    assert "Submissions: 5, graded before: 4" in grade(tmp_path)
    assert rows(tmp_path)["student-0"]["points"] == "1"
    assert "graded before: 0" in grade(tmp_path, "--again")


def test_fresh_inputs_each_run(tmp_path):
    """Answers learnt from one run's feedback are worth nothing in the next."""
    submit(tmp_path, "student", ["def scaled(x, scale):\n    return 0 * x"])
    grade(tmp_path)
    before = feedback(tmp_path, "student")
    grade(tmp_path)
    assert feedback(tmp_path, "student") == before
    grade(tmp_path, "--again")
    assert feedback(tmp_path, "student") != before


def test_folders_magics_and_experiments(tmp_path):
    """A folder a student; lines for the shell are left out, experiments not run."""
    (tmp_path / "submissions" / "=cmd(1)").mkdir(parents=True)
    cells = ["%matplotlib inline\n!ls\n" + SCALED, "%%time\nraise ValueError"]
    cells += ["# experiment\nraise ValueError", SUMS]
    for name in ("notes", "toy"):
        path = tmp_path / "submissions" / "=cmd(1)" / f"{name}.ipynb"
        write_page(path, "# Toy", cells if name == "toy" else [])
    grade(tmp_path)
    ((student, row),) = rows(tmp_path).items()
    assert (row["points"], row["notes"]) == ("3", "")
    assert student == "'=cmd(1)"  # no formula for a spreadsheet


def test_without_bubblewrap_it_says_what_it_lacks(tmp_path, monkeypatch):
    submit(tmp_path, "right", RIGHT)
    submit(tmp_path, "loops", HOSTILE["loops-in-a-function"][0])
    submit(tmp_path, "fills", HOSTILE["allocates-without-end"][0])
    monkeypatch.setenv("PATH", "")
    assert "WARNING: bubblewrap" in grade(tmp_path)
    points = {student: row["points"] for student, row in rows(tmp_path).items()}
    assert points == {"right": "3", "loops": "2", "fills": "0"}


def test_on_a_cluster(tmp_path, cluster):
    """The same command through Dask's scheduler gives the same marks."""
    submit(tmp_path, "right", RIGHT)
    submit(tmp_path, "half", [SCALED])
    grade_apart(tmp_path, "--scheduler", cluster)
    points = {student: row["points"] for student, row in rows(tmp_path).items()}
    assert points == {"right": "3", "half": "2"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["a9", "."], "there is no"),
        (["toy", "nowhere"], "is no folder"),
        (["toy", str(ROOT / "unrolled")], "holds no notebook"),
    ],
)
def test_refuses(tmp_path, capsys, wrong, says):
    (tmp_path / "toy_cases.py").write_text(TOY, encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        grader.main([*wrong, "--masters", str(tmp_path)])
    assert stop.value.code == 2 and says in capsys.readouterr().err
