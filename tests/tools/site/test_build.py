"""What `make book` promises, on a book of three small pages."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pikepdf
import psutil
import pytest

from tests.conftest import write_page
from tools import checkout
from tools.site import build


@pytest.fixture
def make(small_book, tmp_path, monkeypatch):
    """Run the build of the small book; returns its result and which pages ran."""
    log = tmp_path / "runs"
    monkeypatch.setenv("UNROLLED_MNIST", "embedded")

    def run(*arguments, command=None):
        log.write_text("")
        result = subprocess.run(
            command or [sys.executable, "-m", "tools.site.build", *arguments],
            env=os.environ | {"RUNS": str(log)},
            cwd=small_book,
            capture_output=True,
            text=True,
            check=False,
        )
        return result, sorted(log.read_text().split())

    return run


def test_from_nothing_to_a_fresh_site(make, small_book):
    result, ran = make()
    assert result.returncode == 0, result.stdout + result.stderr
    assert ran == ["plain", "uses"]  # each once
    assert "[3/3]" in result.stdout and "book/plain.ipynb" in result.stdout
    index = small_book / "_build/html/index.html"
    assert str(index) in result.stdout and index.exists()

    result, ran = make()
    assert result.returncode == 0 and ran == []
    assert "nothing to run" in result.stdout and "nothing changed" in result.stdout
    assert make("--check")[0].returncode == 0

    # Sources are left alone: no outputs came into them.
    assert '"outputs": []' in (small_book / "book/plain.ipynb").read_text()


def test_the_book_as_a_pdf(make, small_book, browser):
    """Whole, and with an outline that names its pages."""
    result, _ = make(command=[sys.executable, "-m", "tools.site.pdf"])
    assert result.returncode != 0 and "make book" in result.stderr
    assert make()[0].returncode == 0
    result, _ = make(command=[sys.executable, "-m", "tools.site.pdf"])
    assert result.returncode == 0, result.stdout + result.stderr
    book = small_book / "_build/html/_downloads/gates-and-gradients.pdf"
    assert str(book) in result.stdout
    with pikepdf.open(book) as pdf, pdf.open_outline() as outline:
        assert len(pdf.pages) >= 3
        assert [item.title for item in outline.root] == ["Words"]
        assert [item.title for item in outline.root[0].children] == ["Plain", "Uses"]


def change_page(root):
    write_page(
        root / "book/plain.ipynb",
        "# Plain, changed",
        ["import os\nopen(os.environ['RUNS'], 'a').write('plain ')"],
    )


def touch_package(root):
    (root / "unrolled/course/measure.py").touch()


def change_package(root):
    """With the old time kept, as a checkout or an unpacked archive may do."""
    path = root / "unrolled/course/measure.py"
    times = path.stat()
    path.write_text(path.read_text() + "\n# changed\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def change_pins(root):
    with (root / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")


CHANGES = {
    "a page touched": (lambda root: (root / "book/plain.ipynb").touch(), ["plain"]),
    "a page edited": (change_page, ["plain"]),
    "the package touched": (touch_package, ["uses"]),
    "the package edited": (change_package, ["uses"]),
    "the pins": (change_pins, ["plain", "uses"]),
    "only the style": (
        lambda root: (root / "book/_assets/gates.css").write_text(""),
        [],
    ),
}


def test_what_runs_again(make, small_book):
    assert make("--execute-only")[1] == ["plain", "uses"]
    for name, (change, expected) in CHANGES.items():
        change(small_book)
        result, ran = make("--execute-only")
        assert result.returncode == 0, result.stdout
        assert ran == expected, name
    assert make("--execute-only")[1] == []


LEDGER = """from unrolled.course import read_ledger
rows = {r["name"]: r["verdict"] for r in read_ledger()}
import os
open(os.environ['RUNS'], 'a').write('ledger=' + str(rows["four-times-time"]) + ' ')"""
CLAIM = """from unrolled.course import record_claim
record_claim("four-times-time", {holds}, effect=4.0, of="ratio", data="-")"""


def test_the_ledger_runs_last_and_when_a_record_changes(make, small_book):
    """Sorted by name it would be first; it must read what this run recorded."""
    write_page(small_book / "book/a-ledger.ipynb", "# Ledger", [LEDGER])
    assert "ledger=None" in make("--execute-only")[1]
    uses = small_book / "book/uses.ipynb"
    write_page(uses, "# Uses", [CLAIM.format(holds=True)])
    assert make("--execute-only")[1] == ["ledger=supported"]
    write_page(uses, "# Uses", [CLAIM.format(holds=False)])
    assert make("--execute-only")[1] == ["ledger=refuted"]
    uses.touch()  # runs again, and records the same
    assert make("--execute-only")[1] == []


def test_another_data_set_or_seed_runs_what_uses_them(make, monkeypatch, tmp_path):
    from tests.unrolled.tasks.test_mnist import write_npz

    assert make("--execute-only")[1] == ["plain", "uses"]
    monkeypatch.setenv("UNROLLED_SEED", "1")
    assert make("--execute-only")[1] == ["uses"]
    write_npz(tmp_path / "other.npz")
    monkeypatch.setenv("UNROLLED_MNIST", "../other.npz")  # seen from the checkout
    assert make("--execute-only")[1] == ["uses"]
    assert make("--execute-only")[1] == []


def test_a_broken_cell_stops_the_build_and_keeps_the_site(make, small_book):
    assert make()[0].returncode == 0
    index = small_book / "_build/html/book/plain.html"
    before = index.read_bytes()
    write_page(small_book / "book/plain.ipynb", "# Broken", ["x = 0", "1 / x"])
    result, _ = make()
    assert result.returncode != 0
    assert "book/plain.ipynb failed" in result.stdout
    assert "ZeroDivisionError" in result.stdout and "1 / x" in result.stdout
    assert index.read_bytes() == before
    assert make("--check")[0].returncode == 1

    # Not remembered as done: the next run meets the same error, and only that page's.
    result, ran = make()
    assert result.returncode != 0 and "uses" not in ran


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("# Plain\n\n[nowhere](missing.ipynb)", "missing.ipynb"),
        ("# Plain\n\n![](missing.png)", "missing.png"),
    ],
)
def test_a_warning_stops_the_site(make, small_book, words, says):
    assert make()[0].returncode == 0
    page = small_book / "_build/html/book/plain.html"
    before = page.read_bytes()
    write_page(small_book / "book/plain.ipynb", words, ["1 + 1"])
    for _ in range(2):  # and again: nothing is hidden by what the failed build has read
        result, _ = make()
        assert result.returncode != 0 and says in result.stdout
        assert page.read_bytes() == before


def test_plain_jupyter_book_build(make, small_book):
    """What people try first works too, and executes by itself."""
    program = Path(sys.executable).parent / "jupyter-book"
    result, ran = make(command=[str(program), "build", "."])
    assert result.returncode == 0, result.stdout + result.stderr
    assert ran == ["plain", "uses"]
    assert (small_book / "_build/html/book/plain.html").exists()


def test_data_that_is_refused_stops_before_any_page(make, monkeypatch, tmp_path):
    monkeypatch.setenv("UNROLLED_MNIST", str(tmp_path / "nowhere.npz"))
    result, ran = make()
    assert result.returncode != 0 and ran == []
    assert "nowhere.npz" in result.stderr and "Traceback" not in result.stderr


def test_only_that_matches_nothing_is_refused(capsys):
    with pytest.raises(SystemExit):
        build.main(["--check", "--only", "book/9*"])
    assert "matches no page" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ("x = 1\nfrom unrolled import load_mnist", True),
        ("if x:\n    import unrolled.tasks.mnist", True),
        ("recurrent_kernel = 1", False),
        ("# import unrolled", False),
    ],
)
def test_which_pages_use_the_package(tmp_path, source, uses):
    write_page(tmp_path / "page.ipynb", "import unrolled", [source])
    assert checkout.Book(tmp_path, tmp_path).uses_package("page.ipynb") is uses


def test_a_page_that_is_no_notebook_is_named(make, small_book):
    (small_book / "book/plain.ipynb").write_text('{"cells": [')
    result, ran = make()
    assert result.returncode != 0 and ran == []
    assert "book/plain.ipynb is not a notebook" in result.stderr


def test_what_a_crash_leaves_running_does_not_hold_the_build(tmp_path):
    """It is ended, not waited for; if it were, it would say so after an hour."""
    woke = tmp_path / "woke"
    left = f"(sleep 3600; touch '{woke}') & echo $!; exit 3"
    status, output = build.run_quietly(["sh", "-c", left])
    assert status == 3
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(int(output)).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
    assert not woke.exists()
