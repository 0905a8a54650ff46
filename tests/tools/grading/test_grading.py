"""Grading a class: right marks, and no submission that gains or harms anything."""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
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
from tools import console
from tools.grading import cgroup, child, masters, sandbox
from tools.grading import grade as grader
from tools.grading.submissions import Submission

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
MASTER = [
    """def scaled(x, scale):
    # BEGIN SOLUTION
    return x * scale
    # END SOLUTION""",
    """import functools


def sums(rows, step):
    total = functools.reduce(step, rows)  # SOLUTION
    return total, len(rows)  # SOLUTION""",
]


@pytest.fixture(scope="module")
def whole_sandbox():
    """Bubblewrap, which is a program of the system."""
    if shutil.which("bwrap") is None:
        missing("bubblewrap is not installed (Debian: apt-get install bubblewrap)")


def arguments(folder, *options):
    """Arguments of the command that grades `folder/submissions`."""
    if not (folder / "toy_cases.py").exists():
        (folder / "toy_cases.py").write_text(TOY, encoding="utf-8")
        write_page(folder / "toy.ipynb", "# Toy", MASTER)
    where = ["--output", str(folder / "grades"), "--masters", str(folder)]
    return ["toy", str(folder / "submissions"), *where, *options]


def run(folder, *options):
    """Grade `folder/submissions` in this process.

    Returns:
        `(status, what was printed, what was printed as an error)`.
    """
    said, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        status = grader.main(arguments(folder, *options))
    return status, said.getvalue(), errors.getvalue()


def grade(folder, *options):
    """Grade it and return what was printed; nothing went wrong."""
    status, said, errors = run(folder, *options)
    assert status == 0, errors
    return said


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
    path = folder / "grades" / "toy" / "scores.csv"
    with path.open(encoding="utf-8-sig") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def points(folder):
    """All points by student."""
    return {student: row["points"] for student, row in rows(folder).items()}


def feedback(folder, student):
    page = Submission(student, os.fsencode(student)).page
    return (folder / "grades" / "toy" / "feedback" / f"{page}.html").read_text(
        encoding="utf-8"
    )


def submit(folder, student, cells):
    path = folder / "submissions" / f"{student}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(path, "# Toy", cells)
    return path


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
    # Most of them wait for a clock, so more run at a time than there are cores.
    assert "UNSAFE" not in grade_apart(folder, "--processes", "6")
    return folder


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_gains_nothing_and_is_told(hostile, name):
    _, due, says = HOSTILE[name]
    row = rows(hostile)[name]
    assert {key: row[key] for key in due} == due
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
    for name in ("forges-a-note", "forges-a-refusal"):
        assert "fault of the grader" not in feedback(hostile, name)


def test_nobody_reached_the_network(hostile, listener):
    listener.settimeout(0.1)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_summary_of_the_class(hostile):
    text = (hostile / "grades" / "toy" / "summary.html").read_text("utf-8")
    assert f"<dt>Submissions</dt><dd>{len(rows(hostile))}</dd>" in text
    assert "No notebook: " in text  # of those whose files are of other kinds
    assert "<svg" in text and "<script>" not in text
    assert 'href="feedback/right-0-' in text


def test_no_control_group_is_left(tmp_path, monkeypatch, whole_sandbox):
    made, make = [], cgroup.make

    def make_and_note(*limits):
        made.append(make(*limits))
        return made[-1]

    monkeypatch.setattr(cgroup, "make", make_and_note)
    submit(tmp_path, "right", RIGHT)
    grade(tmp_path)
    assert len(made) == 3  # the proof's two, and the student's
    groups = [group for group in made if group is not None]
    assert not [path for g in groups for path in g.folders.values() if path.exists()]


@pytest.mark.parametrize(
    "name", ["hoards-shared-memory", "allocates-without-end", "fork-bomb"]
)
def test_all_is_limited_without_control_groups(
    tmp_path, monkeypatch, whole_sandbox, name
):
    monkeypatch.setattr(cgroup, "make", lambda *_: None)
    cells, due, says = HOSTILE[name]
    submit(tmp_path, name, cells)
    grade(tmp_path)
    row = rows(tmp_path)[name]
    assert {key: row[key] for key in due} == due
    assert says in feedback(tmp_path, name)


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


def test_goes_on_after_an_interruption(tmp_path, whole_sandbox):
    """What was graded is neither lost nor graded again; what is new is graded."""
    for number in range(5):
        submit(tmp_path, f"student-{number}", RIGHT)
    command = [sys.executable, "-c", STANDS_STILL, *arguments(tmp_path)]
    kept = tmp_path / "grades" / "toy" / "results"
    with subprocess.Popen(
        command, stdout=-1, stderr=-1, encoding="utf-8", cwd=ROOT
    ) as process:
        assert "two are kept\n" in iter(process.stdout.readline, "")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert "continues from here" in errors and "Traceback" not in errors
    first = {path: path.stat().st_mtime_ns for path in kept.glob("*.json")}
    assert len(first) == 2
    assert not list(kept.glob("*.part"))

    assert f"Submissions: 5, graded before: {len(first)}" in grade(tmp_path)
    assert all(path.stat().st_mtime_ns == before for path, before in first.items())
    assert [*points(tmp_path).values()] == ["3"] * 5

    submit(tmp_path, "student-0", [SUMS])  # handed in again
    assert "Submissions: 5, graded before: 4" in grade(tmp_path)
    assert rows(tmp_path)["student-0"]["points"] == "1"
    assert "graded before: 0" in grade(tmp_path, "--again")


SLEEPS = "import time\ntime.sleep(1000)"


def test_an_interruption_waits_for_no_submission(tmp_path, whole_sandbox):
    """Ctrl-C ends what runs: a sleeping cell would go on for minutes."""
    for number in range(4):
        submit(tmp_path, f"student-{number}", [SLEEPS])
    toy = TOY.replace("seconds=2,", "seconds=1000,")
    (tmp_path / "toy_cases.py").write_text(toy, encoding="utf-8")
    write_page(tmp_path / "toy.ipynb", "# Toy", MASTER)
    starts = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    starts += "import runpy\nfrom tools.grading import grade\ndo = grade.Class.start\n"
    starts += "def start(*a, **k):\n    print('begins', flush=True)\n    "
    starts += "return do(*a, **k)\ngrade.Class.start = start\n"
    starts += "import sys\nfrom tools import console\nconsole.run(grade.main)\n"
    command = [sys.executable, "-c", starts, *arguments(tmp_path)]
    with subprocess.Popen(command, stdout=-1, encoding="utf-8", cwd=ROOT) as process:
        assert "begins\n" in iter(process.stdout.readline, "")
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=60)  # a second does; one that waits, never ends
        finally:
            process.kill()
    assert process.returncode == 130


def test_inputs_are_drawn_for_one_student_and_one_file(tmp_path, whole_sandbox):
    """What one learns from feedback is worth nothing to others, nor another time."""
    tells = "def scaled(x, scale):\n    raise ValueError(repr(x.sum()))"
    for student in ("one", "other"):
        submit(tmp_path, student, [tells])
    grade(tmp_path)
    one, other = numbers(tmp_path, "one"), numbers(tmp_path, "other")
    assert len(one) == 2 and not set(one) & set(other)
    grade(tmp_path)
    assert numbers(tmp_path, "one") == one
    submit(tmp_path, "one", [tells, "# handed in again"])
    grade(tmp_path)
    assert not set(numbers(tmp_path, "one")) & set(one)
    grade(tmp_path, "--again")
    assert not set(numbers(tmp_path, "other")) & set(other)


def numbers(folder, student):
    """What the errors on a page of feedback say."""
    page = feedback(folder, student)
    return [line for line in page.splitlines() if "ValueError" in line]


def test_feedback_gives_no_answer_away(tmp_path, whole_sandbox):
    """Not one of the right numbers is on the page."""
    submit(tmp_path, "guesses", ["def scaled(x, scale):\n    return 0 * x", SUMS])
    grade(tmp_path)
    (kept,) = (tmp_path / "grades" / "toy" / "results").glob("*.json")
    cases = json.loads(kept.read_text("utf-8"))["questions"][0]["cases"]
    secret = json.loads((tmp_path / "grades/toy/secret.json").read_text("utf-8"))
    data = (tmp_path / "submissions" / "guesses.ipynb").read_bytes()
    drawn = grader.draws(bytes.fromhex(secret["secret"]), b"guesses", data)
    namespace = {}
    exec(TOY, namespace)
    question = namespace["ASSIGNMENT"].questions[0]
    drawn = question.cases(np.random.default_rng([*drawn, 0]))
    for case, told in zip(drawn, cases, strict=True):
        right = question.reference(**case.arguments)
        assert told["name"] == case.name and told["says"].startswith("y[")
        assert not [n for n in right.ravel() if f"{n:.3g}" in told["says"]]
        assert told["says"].split("(")[0].strip() in feedback(tmp_path, "guesses")


CODE = f"{SCALED}\n{SUMS}"
WRITTEN_ELSEWHERE = {
    "jupyter": ["%matplotlib inline\n!ls\n" + SCALED, SUMS],
    "timed": ["%%time\n" + SCALED, "%%capture out\n" + SUMS],
    "continued": [SCALED + "\nnote = ('%d, %d'\n        % (1, 2))\n", SUMS],
    "asks": [SCALED, "scaled?\nscaled??\n?scaled", SUMS],
    "displays": ["display(1)\nfiles = !ls\n" + SCALED, "get_ipython().x.y()", SUMS],
    "imports": [
        "from IPython import get_ipython\nfrom IPython.display import display, HTML\n"
        "get_ipython().run_line_magic('load_ext', 'x')\ndisplay(HTML('x'))\n" + CODE
    ],
    "colab": [
        "from google.colab import drive, files\nimport google.colab.userdata as u\n"
        "drive.mount('/content')\n%cd /content\n%pip install x\n" + CODE
    ],
    "waits": ["import asyncio\nawait asyncio.sleep(0)\n" + CODE],
    "statement-timed": ["%time import functools\n" + CODE],
    "shell-script": ["%%bash\nexit 1", "%%html\n<b>", "%%writefile x\n(", CODE],
    "crlf": [CODE.replace("\n", "\r\n")],
    "bom": ["\ufeff" + CODE],
    "fails-in-between": ["raise ValueError", CODE, "1 / 0"],
    "experiments": ["# experiment\nraise ValueError", CODE],
    "plots": ["import matplotlib.pyplot as plt\nplt.plot([1]); plt.show()\n" + CODE],
    "many-values-in-other-forms": [
        SCALED,
        "import numpy as np\nimport functools\n\n\ndef sums(rows, step):\n"
        "    both = np.array([functools.reduce(step, rows), None], object)\n"
        "    both[1] = len(rows)\n    return both",
    ],
    "values-of-a-dict": [
        SCALED,
        "import functools\n\n\ndef sums(rows, step):\n"
        "    return {'y': functools.reduce(step, rows), 'n': len(rows)}.values()",
    ],
    "pylab": ["%pylab inline\nassert np.pi == pi", CODE],
    "other-parameters": [
        CODE.replace("scale)", "by)").replace("* scale", "* by").replace("rows", "t")
    ],
    "lacks-packages": [
        "import nowhere_to_be_found as x\nfrom not_there.fast import jit, grid\n"
        f"x.set(theme=1)\n\n\n@jit(cache=True){SCALED}",
        SUMS,
    ],
    "falls-back": [
        "try:\n    import not_there as np\nexcept ImportError:\n"
        "    import numpy as np\nnp.zeros(1).sum()\n" + CODE
    ],
    "grades-itself": [
        "from unrolled.course.assignments import Grader\ngrader = Grader('toy')\n"
        "grader.check('q1')\ngrader.check_all()\n" + CODE
    ],
}


def metadata(name):
    """Metadata as different programs write it."""
    return {
        "vs-code": {"kernelspec": None, "language_info": {"name": "python"}},
        "upper-case": {"kernelspec": {"language": "Python3", "name": "x"}},
        "none-at-all": None,
        "empty": {},
        "colab-gpu": {"accelerator": "GPU", "colab": {}, "kernelspec": {"name": "p"}},
    }[name]


FROM = ("vs-code", "upper-case", "none-at-all", "empty", "colab-gpu")


@pytest.fixture(scope="module")
def written_elsewhere(tmp_path_factory, whole_sandbox):
    """Right answers as they come from all sorts of programs, graded once."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name, cells in WRITTEN_ELSEWHERE.items():
        submit(folder, name, cells)
    for name in FROM:
        cell = {"cell_type": "code", "source": CODE.splitlines(keepends=True)}
        notebook = {"cells": [{"cell_type": "markdown", "source": ""}, cell]}
        notebook |= {"metadata": metadata(name), "nbformat": 4}
        path = folder / "submissions" / f"{name}.ipynb"
        path.write_bytes(b"\xef\xbb\xbf" + json.dumps(notebook).encode())
    grade(folder)
    return folder


@pytest.mark.parametrize("name", [*WRITTEN_ELSEWHERE, *FROM])
def test_right_answers_keep_their_marks(written_elsewhere, name):
    row = rows(written_elsewhere)[name]
    assert {key: row[key] for key in WHOLE} == WHOLE, row["notes"]
    fails = ("fails-in-between", "lacks-packages")
    assert ("failed" in row["notes"]) == (name in fails)


def test_what_is_not_here_is_named(written_elsewhere):
    notes = rows(written_elsewhere)["lacks-packages"]["notes"]
    assert "No module named 'nowhere_to_be_found'" in notes
    assert "No module named 'not_there" in notes and "went on without it" in notes


def test_the_table_is_safe_in_a_spreadsheet(tmp_path, whole_sandbox):
    for name in ("=cmd(1)", "\t=1", ";=1+1", "＝1", "小明"):
        submit(tmp_path, name, RIGHT)
    submit(tmp_path, "raises", ["raise ValueError('a;=1+1\\t@b')", *RIGHT])
    grade(tmp_path)
    text = (tmp_path / "grades" / "toy" / "scores.csv").read_text("utf-8")
    assert text.startswith("\ufeff") and "小明" in text
    for separator in (",", ";", "\t"):
        for line in text.removeprefix("\ufeff").splitlines():
            cells = [cell.strip().strip('"').strip() for cell in line.split(separator)]
            assert not [c for c in cells if c[:1] in tuple("=+-@＝")]


def test_feedback_of_those_who_are_gone_goes_too(tmp_path, whole_sandbox):
    submit(tmp_path, "stays", RIGHT)
    gone = submit(tmp_path, "goes", RIGHT)
    grade(tmp_path)
    pages = tmp_path / "grades" / "toy" / "feedback"
    assert len(list(pages.glob("*.html"))) == 2
    gone.unlink()
    grade(tmp_path)
    assert [path.name[:5] for path in pages.glob("*.html")] == ["stays"]


# Not getrusage, which counts what the process was forked from, too.
SAYS_ITS_PEAK = """
import re
import sys
from pathlib import Path

from tools.grading import grade

status = grade.main()
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print("peak", int(peak[1]) >> 10)
sys.exit(status)
"""


def test_no_more_submissions_are_held_than_run(tmp_path, whole_sandbox):
    """200 MB of notebooks; the grader itself and a few of them take less."""
    for number in range(25):
        submit(tmp_path, f"student-{number}", ["#" + "x" * 8_000_000])
    command = [sys.executable, "-c", SAYS_ITS_PEAK, *arguments(tmp_path)]
    ended = subprocess.run(
        command, capture_output=True, encoding="utf-8", cwd=ROOT, check=True
    )
    assert int(ended.stdout.split("peak ")[1]) < 260


STANDS_STILL_FOR_EVER = """
import os, signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.kill(os.getppid(), signal.SIGSTOP)
while True:
    time.sleep(1000)
"""


def test_one_that_stands_still_does_not_stall_the_class(
    tmp_path, monkeypatch, whole_sandbox
):
    submit(tmp_path, "still", [STANDS_STILL_FOR_EVER, *RIGHT])
    submit(tmp_path, "right", RIGHT)
    monkeypatch.setattr(sandbox, "IDLE", 2)
    grade(tmp_path)
    assert points(tmp_path) == {"still": "0", "right": "3"}
    assert "computed nothing for 2 s" in feedback(tmp_path, "still")


# ------------------------------------------------------------------ failing closed


def test_without_bubblewrap_nothing_is_graded(tmp_path, monkeypatch):
    submit(tmp_path, "right", RIGHT)
    monkeypatch.setenv("PATH", "")
    status, _, errors = run(tmp_path)
    assert status == 2
    assert "apt-get install bubblewrap" in errors and "--unsafe" in errors
    assert not (tmp_path / "grades").exists()


@pytest.mark.slow
def test_unsafe_is_said_everywhere_and_kept_apart(tmp_path, monkeypatch):
    submit(tmp_path, "right", RIGHT)
    submit(tmp_path, "loops", HOSTILE["loops-in-a-function"][0])
    submit(tmp_path, "fills", HOSTILE["allocates-without-end"][0])
    submit(tmp_path, "leaves", HOSTILE["leaves-a-process"][0])
    monkeypatch.setenv("PATH", "")
    said = grade(tmp_path, "--unsafe")
    assert said.count("UNSAFE") == 2
    due = {"right": "3", "loops": "2", "fills": "0", "leaves": "3"}
    assert points(tmp_path) == due
    assert all("UNSAFE" in row["notes"] for row in rows(tmp_path).values())
    assert "without a sandbox" in feedback(tmp_path, "right")
    summary = tmp_path / "grades" / "toy" / "summary.html"
    assert "UNSAFE" in summary.read_text("utf-8")
    assert "graded before: 4" in grade(tmp_path, "--unsafe")


def test_unsafe_results_are_not_taken_for_safe_ones(tmp_path, whole_sandbox):
    submit(tmp_path, "right", RIGHT)
    grade(tmp_path, "--unsafe")
    assert "graded before: 0" in grade(tmp_path)


def prepare(folder, *, toy=TOY, master=MASTER):
    """A class of one, with an assignment that may be broken."""
    submit(folder, "right", RIGHT)
    (folder / "toy_cases.py").write_text(toy, encoding="utf-8")
    write_page(folder / "toy.ipynb", "# Toy", master)


def refuses(folder, says):
    """Whether nothing is graded, for this reason, and nothing kept."""
    status, _, errors = run(folder)
    assert status == 2 and "Nothing was graded" in errors
    assert says in errors
    assert not (folder / "grades" / "toy" / "scores.csv").exists()
    assert not list((folder / "grades").rglob("results/*"))


def test_no_class_where_right_is_not_right(tmp_path, whole_sandbox):
    prepare(tmp_path, toy=TOY.replace("scale * x)", "scale * x + 0.1)"))
    refuses(tmp_path, "solution gets 1 of 3 points; expected 3")


def test_no_class_where_an_empty_answer_is_right(tmp_path, whole_sandbox):
    judged = "lambda x, scale: 0, judge=lambda *_: None)"
    prepare(tmp_path, toy=TOY.replace("lambda x, scale: scale * x)", judged))
    refuses(tmp_path, "unsolved hand-out gets 2 of 3 points; expected 0")


def test_no_class_where_a_cell_of_the_master_fails(tmp_path, whole_sandbox):
    prepare(tmp_path, master=[*MASTER, "import nowhere"])
    refuses(tmp_path, "No module named 'nowhere'")


def test_no_class_where_python_cannot_be_reached(tmp_path, monkeypatch, whole_sandbox):
    prepare(tmp_path)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    refuses(tmp_path, "The sandbox does not work here: bwrap: execvp /nowhere/python")


def test_no_class_where_the_masters_can_be_seen(tmp_path, monkeypatch, whole_sandbox):
    prepare(tmp_path)
    tmp_path.chmod(0o755)
    files = [*sandbox.python_files(), tmp_path]
    monkeypatch.setattr(sandbox, "python_files", lambda: files)
    refuses(tmp_path, "a submission could see the masters")


@pytest.mark.parametrize(
    ("seen", "says"),
    [("submissions", "what others handed in"), ("grades", "the results")],
)
def test_no_class_where_others_can_be_seen(
    tmp_path, monkeypatch, whole_sandbox, seen, says
):
    """Folders of the class may lie where Python is installed."""
    prepare(tmp_path)
    (tmp_path / "grades").mkdir()
    tmp_path.chmod(0o755)
    files = [*sandbox.python_files(), tmp_path / seen]
    monkeypatch.setattr(sandbox, "python_files", lambda: files)
    monkeypatch.chdir(tmp_path)  # also where paths are relative
    refuses(tmp_path, f"a submission could see {says}")


def test_no_class_where_the_network_can_be_seen(tmp_path, monkeypatch, whole_sandbox):
    prepare(tmp_path)
    walls = sandbox.walls

    def walls_with_a_hole(*about):
        kept = [part for part in walls(*about) if part != "--unshare-net"]
        return [*kept, *(["--share-net"] if "--unshare-all" in kept else [])]

    monkeypatch.setattr(sandbox, "walls", walls_with_a_hole)
    refuses(tmp_path, "a submission could see the network")


def breaks(monkeypatch, times):
    """Let the sandbox fail so many times after the proof; returns the calls."""
    calls, really = [], grader.run

    def run_or_break(*about):
        calls.append(about)
        if 2 < len(calls) <= 2 + times:
            raise sandbox.Broken("no memory")
        return really(*about)

    monkeypatch.setattr(grader, "run", run_or_break)
    return calls


def test_a_sandbox_that_fails_is_tried_again(tmp_path, monkeypatch, whole_sandbox):
    submit(tmp_path, "right", RIGHT)
    calls = breaks(monkeypatch, times=2)
    grade(tmp_path)
    assert points(tmp_path) == {"right": "3"} and len(calls) == 5


def test_a_sandbox_that_fails_gives_no_mark(tmp_path, monkeypatch, whole_sandbox):
    submit(tmp_path, "right", RIGHT)
    breaks(monkeypatch, times=3)
    status, said, errors = run(tmp_path)
    assert status == 1 and "NOT GRADED: 1 of 1" in errors
    row = rows(tmp_path)["right"]
    assert (row["points"], row["q1"]) == ("", "")
    assert "NOT GRADED" in row["notes"] and "no memory" in row["notes"]
    assert "not graded" in feedback(tmp_path, "right")
    assert "Mean" not in said
    assert "graded before: 0" in grade(tmp_path)
    assert points(tmp_path) == {"right": "3"}


def test_a_machine_without_processes_gives_no_mark(whole_sandbox, tmp_path):
    """Where the keeper cannot fork, no line of the submission has run."""
    arguments(tmp_path)
    toy = masters.load_cases(tmp_path / "toy_cases.py").ASSIGNMENT
    script = Path(child.__file__).read_text(encoding="utf-8")
    broken = script.replace("runner = os.fork()", "raise BlockingIOError")
    assert broken != script
    with pytest.raises(sandbox.Broken):
        grader.run(toy, masters.as_notebook(RIGHT), {}, broken, True, 5)


@pytest.mark.parametrize(
    ("runner", "ended", "why", "again"),
    [
        ("status 0", True, "", False),
        ("signal 24", True, "", False),
        ("signal 9", True, "", True),
        (None, False, "", True),
        (None, False, "stopped after 60 s on the clock", True),
        ("signal 9", True, "stopped: it needed more than 300 MB of memory", True),
        (None, False, "stopped: it started more than 200 processes", False),
    ],
)
def test_what_the_machine_may_have_stopped_runs_again(runner, ended, why, again):
    """Memory that others hold must not decide on marks either."""
    outer = {"runner": child.encode(runner)} if runner else {}
    outer |= {"end": child.encode(None)} if ended else {}
    assert grader.may_be_the_machine(outer, why) == again


def test_a_second_grader_waits(tmp_path, whole_sandbox):
    submit(tmp_path, "right", RIGHT)
    lock = tmp_path / "grades" / "toy" / "grading.lock"
    lock.parent.mkdir(parents=True)
    command = [*COMMAND, *arguments(tmp_path)]
    with lock.open("ab") as file:
        console.lock(file)
        other = subprocess.Popen(
            command, stdout=subprocess.PIPE, encoding="utf-8", cwd=ROOT
        )
        assert "Waiting for another grading" in other.stdout.readline()
    assert "Mean:     3.0" in other.communicate()[0]
    assert other.returncode == 0


def test_a_fault_of_the_grader_gives_no_mark(tmp_path, monkeypatch, whole_sandbox):
    for student in ("one", "other"):
        submit(tmp_path, student, RIGHT)
    save = grader.save

    def save_but_one(path, content):
        if path.name.startswith("other"):
            raise OSError(28, "No space left on device")
        save(path, content)

    monkeypatch.setattr(grader, "save", save_but_one)
    status, _, errors = run(tmp_path)
    assert status == 1 and "NOT GRADED: 1 of 2" in errors
    assert points(tmp_path) == {"one": "3", "other": ""}


def test_what_ran_out_of_the_clock_runs_again_alone(
    tmp_path, monkeypatch, whole_sandbox
):
    """A busy machine must not decide on marks."""
    submit(tmp_path, "right", RIGHT)
    calls, really = [], grader.grade

    def stopped_by_the_clock(assignment, submission, *rest, alone=False):
        result = really(assignment, submission, *rest, alone=alone)
        calls.append((submission.student, alone))
        if submission.student == "right" and not alone:
            return result | {"points": 0, "again": True}
        return result

    monkeypatch.setattr(grader, "grade", stopped_by_the_clock)
    grade(tmp_path)
    assert calls[2:] == [("right", False), ("right", True)]
    assert points(tmp_path) == {"right": "3"}


def test_on_a_cluster(tmp_path, cluster):
    """The same command through Dask's scheduler gives the same marks."""
    submit(tmp_path, "right", RIGHT)
    submit(tmp_path, "half", [SCALED])
    grade_apart(tmp_path, "--scheduler", cluster)
    assert points(tmp_path) == {"right": "3", "half": "2"}


def test_a_cluster_that_dies_loses_no_result(tmp_path, monkeypatch, whole_sandbox):
    for number in range(4):
        submit(tmp_path, f"right-{number}", RIGHT)
    calls, really = [], ThreadPoolExecutor.submit

    def submit_or_die(*about, **others):
        calls.append(about)
        if len(calls) > 2:  # the proof, and one student
            raise RuntimeError("Client is closed")
        return really(*about, **others)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit_or_die)
    status, _, errors = run(tmp_path)
    assert status == 1 and "NOT GRADED: 3 of 4" in errors
    assert sorted(points(tmp_path).values()) == ["", "", "", "3"]
    assert "Client is closed" in rows(tmp_path)["right-3"]["notes"]


def test_a_scheduler_that_is_gone(tmp_path, monkeypatch, capsys):
    submit(tmp_path, "right", RIGHT)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setattr("tools.cluster.ANSWERS_WITHIN", "1 s")
    with pytest.raises(SystemExit) as stop:
        grader.main(arguments(tmp_path, "--scheduler", address))
    assert stop.value.code == 2
    assert "nothing answers there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["a9", "."], "there is no a9_cases.py"),
        (["a9", "."], "expected one of: toy"),
        (["../toy", "."], "expected a name such as a1"),
        (["toy", "nowhere"], "is not a folder"),
        (["toy", str(ROOT / "unrolled")], "holds no notebook"),
        (["toy", ".", "--processes", "0"], "expected 1 or more"),
    ],
)
def test_refuses(tmp_path, capsys, wrong, says):
    arguments(tmp_path)
    with pytest.raises(SystemExit) as stop:
        grader.main([*wrong, "--masters", str(tmp_path)])
    assert stop.value.code == 2 and says in capsys.readouterr().err


def test_refuses_what_it_would_take_for_students(tmp_path, capsys):
    submit(tmp_path, "right", RIGHT)
    for place in (".", "inside"):
        output = str(tmp_path / "submissions" / place)
        with pytest.raises(SystemExit) as stop:
            grader.main(arguments(tmp_path, "--output", output))
        assert stop.value.code == 2
        assert "lies in the folder of submissions" in capsys.readouterr().err


def test_refuses_half_an_assignment(tmp_path, capsys):
    submit(tmp_path, "right", RIGHT)
    about = arguments(tmp_path)
    for break_it, says in (
        (
            lambda: (tmp_path / "toy_cases.py").write_text("x = 1", "utf-8"),
            "no ASSIGNMENT",
        ),
        (lambda: (tmp_path / "toy.ipynb").unlink(), "toy.ipynb"),
    ):
        break_it()
        with pytest.raises(SystemExit) as stop:
            grader.main(about)
        assert stop.value.code == 2 and says in capsys.readouterr().err
