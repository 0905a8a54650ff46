"""Which notebook is whose: every file is graded, or it is said why it is not."""

import json
import os
import subprocess
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.grading import masters, submissions
from unrolled.course.assignments import Assignment, Question

TOY = Assignment(
    "a1",
    "A toy",
    tuple(
        Question(f"q{n}", "", name, ("y",), lambda rng: [], lambda: 0)
        for n, name in enumerate(("leaky_step", "bptt"), 1)
    ),
)
MARK = "grader = Grader('a1')"
ANSWERS = "def leaky_step():\n    ...\n\n\ndef bptt():\n    ..."
WHOLE = masters.as_notebook([MARK, ANSWERS])
ANSWERED = masters.as_notebook([MARK, ANSWERS.replace("...", "return x[..., 0]")])
EMPTY = masters.as_notebook([])
OTHER = masters.as_notebook(["print('shopping list')"])


@pytest.fixture
def folder(tmp_path):
    """A folder of submissions, which goes again: some are too deep for Python."""
    yield tmp_path / "submissions"
    subprocess.run(["rm", "-rf", str(tmp_path / "submissions")], check=True)


def put(folder, files):
    """Write files: bytes by path."""
    for name, data in files.items():
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def find(folder):
    """What is found, by student; and what is nobody's."""
    found, ignored = submissions.find(folder, TOY)
    assert len({submission.page for submission in found}) == len(found)
    return {submission.student: submission for submission in found}, ignored


@pytest.mark.parametrize(
    ("files", "graded", "ignored"),
    [
        ({"alice.ipynb": EMPTY, "alice/a1.ipynb": WHOLE}, "alice/a1.ipynb", "not from"),
        (
            {"alice/Untitled.ipynb": OTHER, "alice/a1_final.ipynb": WHOLE},
            "alice/a1_final.ipynb",
            "alice/Untitled.ipynb (not from this hand-out)",
        ),
        (
            {
                "alice/.venv/lib/a1.ipynb": WHOLE,
                "alice/env/pyvenv.cfg": b"",
                "alice/env/lib/python3.11/a1.ipynb": WHOLE,
                "alice/.ipynb_checkpoints/a1-checkpoint.ipynb": WHOLE,
                "alice/x/site-packages/a1.ipynb": WHOLE,
                "alice/mine.ipynb": OTHER,
            },
            "alice/mine.ipynb",
            "",
        ),
        ({"alice.IPYNB": WHOLE}, "alice.IPYNB", ""),
        ({"alice.ipynb.txt": WHOLE}, "alice.ipynb.txt", ""),
        ({"alice.ipynb.json": WHOLE}, "alice.ipynb.json", ""),
        (
            {"alice/a1.ipynb": WHOLE, "alice/notes.pdf": b"", "alice/h.zip": b""},
            "alice/a1.ipynb",
            "alice/h.zip (an archive: unpack it)",
        ),
        (
            {"alice/deep/er/still/a1.ipynb": WHOLE, "alice/a1.ipynb": EMPTY},
            "alice/deep/er/still/a1.ipynb",
            "alice/a1.ipynb (not from this hand-out)",
        ),
        (
            {
                "alice/a1.ipynb": masters.as_notebook([MARK, "def bptt():\n    ..."]),
                "alice/b.ipynb": WHOLE,
            },
            "alice/b.ipynb",
            "alice/a1.ipynb (has fewer of its functions)",
        ),
        (
            {"alice/a1.ipynb": masters.as_notebook([ANSWERS]), "alice/b.ipynb": OTHER},
            "alice/a1.ipynb",
            "alice/b.ipynb",
        ),
        (
            {"alice/a1.ipynb": WHOLE, "alice/a1-Copy1.ipynb": ANSWERED},
            "alice/a1-Copy1.ipynb",
            "alice/a1.ipynb (has more left to answer)",
        ),
        (
            {"alice/A1.ipynb": WHOLE, "alice/a1 (1).ipynb": WHOLE},
            "alice/A1.ipynb",
            "another one from this hand-out",
        ),
    ],
)
def test_the_notebook_that_counts(folder, files, graded, ignored):
    put(folder, files)
    found, _ = find(folder)
    assert list(found) == ["alice"]
    assert found["alice"].file == graded
    assert found["alice"].path == folder / graded
    assert ignored in "; ".join(found["alice"].ignored)


def test_the_mark_is_found_as_every_program_writes_it(folder):
    for number, text in enumerate((MARK, 'grader = Grader("a1")', 'Grader( "a1" )')):
        put(folder, {f"{number}/z.ipynb": masters.as_notebook([text])})
        put(folder, {f"{number}/a.ipynb": masters.as_notebook([ANSWERS])})
        other = json.dumps({"cells": [{"source": ['Grader("a2")']}]}).encode()
        put(folder, {f"{number}/b.ipynb": other})
    found, _ = find(folder)
    assert {submission.file[1:] for submission in found.values()} == {"/z.ipynb"}


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"carol.zip": b"PK"}, "carol.zip (an archive: unpack it)"),
        ({"carol.py": b""}, "carol.py (not a notebook)"),
        ({"carol/notes.txt": b""}, "carol/notes.txt (not a notebook)"),
        ({"carol/" + 1100 * "d/" + "x.txt": b""}, "too deep in folders"),
    ],
)
def test_nobody_vanishes(folder, files, problem):
    put_deep(folder, files)
    found, _ = find(folder)
    assert list(found) == ["carol"] and found["carol"].path is None
    assert "there is no notebook" in found["carol"].problem
    assert problem in found["carol"].problem


def put_deep(folder, files):
    """Write files by paths that may be longer than the system takes at once."""
    folder.mkdir()
    for name, data in files.items():
        *parents, last = name.split("/")
        here = os.open(folder, os.O_RDONLY)
        for part in parents:
            os.mkdir(part, dir_fd=here)
            below = os.open(part, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        with open(os.open(last, os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as file:
            file.write(data)
        os.close(here)


def test_clutter_is_nobody_s(folder):
    put(
        folder,
        {
            "__MACOSX/._a1.ipynb": WHOLE,
            "._a1.ipynb": WHOLE,
            ".DS_Store": b"",
            "Thumbs.db": b"",
            "grades.csv": b"",
            "README.md": b"",
            "alice.ipynb": WHOLE,
        },
    )
    found, ignored = find(folder)
    assert list(found) == ["alice"]
    assert len(ignored) == 6
    assert all(line.endswith(")") for line in ignored)


def test_links_are_refused(folder):
    put(folder, {"alice/a1.ipynb": WHOLE, "mallory/x": b"", "../master.ipynb": WHOLE})
    (folder / "mallory" / "a1.ipynb").symlink_to("../alice/a1.ipynb")
    (folder / "folder").symlink_to(folder / "alice")
    (folder / "file.ipynb").symlink_to("../master.ipynb")
    (folder / "loop").symlink_to("loop")
    found, _ = find(folder)
    graded = {name for name, submission in found.items() if submission.path}
    assert graded == {"alice"}
    for name in ("mallory", "folder", "file", "loop"):
        assert "a link, not a file" in found[name].problem


def test_what_is_no_file_is_not_read(folder):
    put(folder, {"alice/a1.ipynb": WHOLE})
    os.mkfifo(folder / "pipe.ipynb")
    os.mkfifo(folder / "alice" / "a2.ipynb")
    found, _ = find(folder)
    assert found["alice"].path and not found["pipe"].path
    with pytest.raises(ValueError, match="not a plain file"):
        submissions.read(folder / "pipe.ipynb")


def test_a_file_that_is_too_large_is_not_held(folder):
    put(folder, {"alice.ipynb": b" " * (submissions.NOTEBOOK_BYTES + 1)})
    with pytest.raises(ValueError, match="larger than 10 MB"):
        submissions.read(folder / "alice.ipynb")


NAMES = [
    b"M\xfcller.ipynb",
    "Müller.ipynb".encode(),
    ("李" * 82 + ".ipynb").encode()[:250].decode(errors="ignore").encode(),
    b"a.ipynb",
    b"A.ipynb",
    b"a\nb.ipynb",
    b"a b.ipynb",
    b"a_b.ipynb",
    "\u202eevil.ipynb".encode(),
    b"-rf.ipynb",
    b"a&b<c>.ipynb",
    b"CON.ipynb",
]


def test_every_name_has_a_page_of_its_own(folder):
    put(folder, dict.fromkeys(NAMES, WHOLE))
    found, _ = find(folder)
    assert len(found) == len(NAMES)
    for submission in found.values():
        submission.student.encode()
        assert submission.student.isprintable()
        assert len(f"{submission.page}.html.part".encode()) <= 255
        (folder.parent / f"{submission.page}.html.part").write_text("", "utf-8")
    lower = {submission.page.lower() for submission in found.values()}
    assert len(lower) == len(NAMES)


names = st.binary(min_size=1, max_size=80).map(
    lambda name: name.replace(b"/", b"_").replace(b"\0", b"_")
)
ends = st.sampled_from([
    b"",
    b".ipynb",
    b".IPYNB",
    b".zip",
    b".ipynb.txt",
    b"/a1.ipynb",
])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names, ends), min_size=1, max_size=5))
def test_any_names(tmp_path_factory, named):
    folder = tmp_path_factory.mktemp("any")
    for name, end in named:
        if name.strip(b".") and len(name) < 80:
            try:
                put(folder, {name + end: WHOLE})
            except OSError:  # a folder where a file is
                continue
    found, ignored = find(folder)
    entries = os.listdir(folder)
    assert len(found) + len(ignored) <= len(entries)
    assert bool(found or ignored) == bool(entries)
    for submission in found.values():
        submission.student.encode()
        submission.page.encode()
        if submission.path is not None:
            assert submissions.read(submission.path) == WHOLE


def test_an_archive_is_not_opened(folder):
    folder.mkdir()
    with zipfile.ZipFile(folder / "carol.zip", "w") as archive:
        archive.writestr("a1.ipynb", WHOLE)
    put(folder, {"alice.ipynb": WHOLE})
    found, _ = find(folder)
    assert found["carol"].path is None and found["alice"].path
