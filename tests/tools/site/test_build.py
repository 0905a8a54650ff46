"""What `make book` promises, on a book of four small pages that is built once."""

import contextlib
import errno
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pikepdf
import psutil
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from markdown_it import MarkdownIt
from sphinx.errors import ExtensionError

from tests.conftest import ROOT, write_page, write_small_book
from tools import checkout, console, kernels
from tools.browser import new_page
from tools.site import build, extension, notebooks, pdf
from tools.site.typeset import NODE, Formulas, Typesetter, allow_breaks, in_parts
from unrolled import tasks

NOTE_RUN = "import os\nopen(os.environ['RUNS'], 'a').write('{} ')\n"
WORDS = """# Plain

![A [row] of cells](_assets/diagrams/rnn-unrolled.svg)

[A section](uses.ipynb#uses), [this page](#plain), [a host](https://example.org)
"""
TABLE = """from IPython.display import HTML
HTML('<table class="dataframe"><thead><tr><th>steps $T$</th></tr></thead>'
     '<tr><td>$5 and up</td></tr></table>')"""
LEDGER = """from unrolled.course import read_ledger
from unrolled.course.ledger import write_ledger

def keep(folder):
    write_ledger(read_ledger(), folder)

[row["conditions"][0]["effect"] for row in read_ledger() if "base_seed" in row]"""
CLAIM = """from unrolled.course import record_claim
from unrolled.course.ledger import load_claims
conditions = load_claims()["four-times-time"]["conditions"]
record_claim("four-times-time", {{c["name"]: {effect} for c in conditions}});"""


def write_ledger_page(root):
    write_page(
        root / "book/a-ledger.ipynb", "# Ledger", [NOTE_RUN.format("ledger") + LEDGER]
    )


def write_claim(root, effect=4.0, words="# Uses"):
    claim = CLAIM.format(effect=effect)
    write_page(root / "book/uses.ipynb", words, [NOTE_RUN.format("uses") + claim])


def effects(ledger):
    """What the pages of the small book measured."""
    measured = [row for row in ledger if "base_seed" in row]
    return {c["effect"] for row in measured for c in row["conditions"]}


def write_plain(root, words=WORDS, code=TABLE):
    write_page(root / "book/plain.ipynb", words, [NOTE_RUN.format("plain") + code])


def run(root, *arguments, command=None, **variables):
    """Run a command in a checkout; returns its result and which pages ran, in order."""
    log = root.parent / "runs"
    log.write_text("", encoding="utf-8")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("UNROLLED_")}
    result = subprocess.run(
        command or [sys.executable, "-m", "tools.site.build", *arguments],
        env=clean | {"UNROLLED_MNIST": "embedded", "RUNS": str(log)} | variables,
        cwd=root,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return result, log.read_text(encoding="utf-8").split()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small book with a ledger, its build, and which pages ran; not to be changed."""
    root = write_small_book(tmp_path_factory.mktemp("built") / "checkout")
    with (root / "_toc.yml").open("a", encoding="utf-8") as toc:
        toc.write("- file: book/a-ledger\n")
    write_plain(root)
    write_claim(root)
    write_ledger_page(root)
    result, ran = run(root)
    assert result.returncode == 0, result.stdout + result.stderr
    return SimpleNamespace(root=root, said=result.stdout, ran=ran)


@pytest.fixture
def book(built, tmp_path, monkeypatch):
    """A copy of the built book, in another folder and with new times."""
    root = tmp_path / "Мои курсы 课程 (1)"
    shutil.copytree(built.root, root, copy_function=shutil.copyfile)
    monkeypatch.setenv("UNROLLED_MNIST", "embedded")
    monkeypatch.delenv("UNROLLED_SEED", raising=False)
    return root


def test_from_nothing_to_a_fresh_site(built):
    assert sorted(built.ran[:2]) == ["plain", "uses"]
    assert built.ran[2:] == ["ledger"]  # the first by name, and yet the last
    assert "[3/3]" in built.said and "book/plain.ipynb" in built.said
    index = built.root / "_build/html/index.html"
    assert str(index) in built.said and index.exists()
    # Sources are left alone: no outputs came into them.
    source = (built.root / "book/plain.ipynb").read_text(encoding="utf-8")
    assert '"outputs": []' in source


def test_a_damaged_stamp_is_none(book, stale):
    (book / "_build/html/.fingerprint").write_bytes(b"\xff\xfe")
    assert stale() == (NOTHING, True)


def test_a_copy_elsewhere_has_nothing_to_run(built, book):
    result, ran = run(book)
    assert result.returncode == 0 and ran == []
    assert "nothing to run" in result.stdout and "nothing changed" in result.stdout
    assert run(book, "--check")[0].returncode == 0
    for path in (book / "_build/executed").rglob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert json.loads(text)["metadata"]["run"].keys() == {"fingerprint", "seconds"}
        assert str(built.root) not in text and "iopub" not in text


# What is out of date, by content and names


@pytest.fixture(scope="module")
def digits():
    """The 5,000 digits, loaded once."""
    return tasks.load_mnist("embedded")


@pytest.fixture
def stale(book, digits, monkeypatch):
    """A function: the pages of the copy that would run, and whether the site is old."""
    load = tasks.load_mnist

    def load_once(source=None):
        named = source or os.environ.get("UNROLLED_MNIST")
        return digits if named == "embedded" else load(source)

    monkeypatch.setattr(tasks, "load_mnist", load_once)

    def look():
        found = checkout.Book(book, book / "_build")
        pages = [p.stem for p in found.pages() if not found.is_fresh(p)]
        return pages, not found.site_is_fresh()

    return look


def append(path, text="\n# changed\n"):
    """Change a file and keep its times, as an unpacked archive may do."""
    times = path.stat()
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def rename(path):
    path.rename(path.with_name("renamed.py"))


NOTHING, PACKAGE = [], ["a-ledger", "uses"]
EVERYTHING = ["a-ledger", "index", "plain", "uses"]
CHANGES = {
    "a page touched": (
        lambda root: (root / "book/plain.ipynb").touch(),
        NOTHING,
        False,
    ),
    "a page edited": (lambda root: write_plain(root, "# Other"), ["plain"], False),
    "a module touched": (
        lambda root: (root / "unrolled/course/measure.py").touch(),
        NOTHING,
        False,
    ),
    "a module edited": (
        lambda root: append(root / "unrolled/course/measure.py"),
        PACKAGE,
        True,
    ),
    "a module renamed": (
        lambda root: rename(root / "unrolled/course/measure.py"),
        PACKAGE,
        True,
    ),
    "the pins": (lambda root: append(root / "requirements.lock"), EVERYTHING, True),
    "the style": (
        lambda root: append(root / "book/_assets/gates.css", "p {}"),
        NOTHING,
        True,
    ),
    "what builds the site": (
        lambda root: append(root / "tools/site/slim.py"),
        NOTHING,
        True,
    ),
    "a hidden file": (
        lambda root: (root / "book/.DS_Store").touch(),
        NOTHING,
        False,
    ),
    "a damaged copy": (
        lambda root: (root / "_build/executed/book/plain.ipynb").write_bytes(b"{"),
        ["plain"],
        True,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_change_makes_stale(book, stale, name):
    assert stale() == (NOTHING, False)
    change, pages, site = CHANGES[name]
    change(book)
    assert stale() == (pages, site)


def test_what_the_surroundings_make_stale(stale, monkeypatch, tmp_path):
    from tests.unrolled.tasks.test_mnist import write_npz

    monkeypatch.setenv("UNROLLED_SEED", "")  # as unset
    assert stale()[0] == NOTHING
    monkeypatch.setenv("UNROLLED_SEED", "0")
    assert stale()[0] == NOTHING
    monkeypatch.setenv("UNROLLED_SEED", "1")
    assert stale()[0] == PACKAGE
    monkeypatch.delenv("UNROLLED_SEED")
    monkeypatch.setenv("UNROLLED_MNIST", str(write_npz(tmp_path / "other.npz")))
    assert stale()[0] == PACKAGE
    monkeypatch.setenv("UNROLLED_MNIST", "embedded")
    assert stale()[0] == NOTHING
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    assert stale()[0] == EVERYTHING


def test_the_ledger_is_stale_when_a_record_changes(book, stale):
    """And not when a page ran again and recorded the same."""
    path = book / "_build/executed/book/uses.ipynb"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"seconds": ', '"seconds": 1'), encoding="utf-8")
    assert stale()[0] == []
    changed = text.replace('"supported"', '"refuted"')
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    assert stale()[0] == ["a-ledger"]


def test_what_changed_runs_and_the_ledger_after_it(book, stale):
    (book / "_build/executed/book/gone.ipynb").write_text("{}", encoding="utf-8")
    write_claim(book, effect=5.0)
    result, ran = run(book, "--execute-only")
    assert result.returncode == 0, result.stdout + result.stderr
    assert ran == ["uses", "ledger"]
    executed = book / "_build/executed/book"
    assert "5.0" in (executed / "a-ledger.ipynb").read_text(encoding="utf-8")
    assert not (executed / "gone.ipynb").exists()  # of a page that was removed
    assert stale()[0] == []


@pytest.mark.parametrize(
    "pattern",
    ["book/plain.ipynb", "./book/plain.ipynb", "book/p*", "book//x/../plain.ipynb"],
)
@pytest.mark.parametrize("form", ["{}", "{root}/{}", "{link}/{}"])
@pytest.mark.parametrize("slash", ["/", "\\"])
def test_pages_can_be_named_in_many_ways(tmp_path, pattern, form, slash):
    root, link = tmp_path / "a [b]", tmp_path / "link"
    (root / "book/x").mkdir(parents=True)
    link.symlink_to(root)
    for name in ("plain", "uses"):
        write_page(root / f"book/{name}.ipynb", "# Page", [])
    book = checkout.Book(root, root / "_build")
    named = form.format(pattern, root=root, link=link).replace("/", slash)
    assert book.pages(named) == [Path("book/plain.ipynb")]
    whole = form.format("book/", root=root, link=link).replace("/", slash)
    assert len(book.pages(whole)) == 2


# What is refused, before anything changes


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        ([], {"UNROLLED_SEED": "abc"}, "UNROLLED_SEED is 'abc'; expected an integer"),
        (["--only", "book/plain.ipynb"], {"UNROLLED_SEED": "-1"}, "UNROLLED_SEED"),
        ([], {"UNROLLED_MNIST": "nowhere.npz"}, "nowhere.npz"),
        (["--only", "book/9*"], {}, "--only 'book/9*' matches no page of"),
        (["--only", "/etc/*.ipynb"], {}, "--only: pattern is '/etc/*.ipynb'; expected"),
        (["--only", "../book"], {}, "--only: pattern is '../book'; expected"),
        (["--only", "x" * 300], {}, "--only: pattern is 'xxx"),
        (["--only", ""], {}, "--only: pattern is ''; expected"),
        (["--only", "C:\\book\\plain.ipynb"], {}, "plain.ipynb"),
        (["--processes", "0"], {}, "--processes is 0; expected 1 or more"),
        (
            ["--root", "nowhere"],
            {},
            "nowhere'; expected a checkout of the book",
        ),
    ],
)
def test_wrong_input_changes_nothing(
    book, monkeypatch, capsys, arguments, variables, says
):
    append(book / "requirements.lock")  # every page is out of date
    before = {p: p.read_bytes() for p in book.rglob("*") if p.is_file()}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        build.main(["--root", str(book), *arguments])
    assert stop.value.code == 2
    assert says in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in book.rglob("*") if p.is_file()}


@pytest.mark.parametrize("content", [b'{"cells": [', b"[]", b"", "mark", b"\xff"])
def test_a_page_that_is_no_notebook_is_named(book, capsys, content):
    page = book / "book/plain.ipynb"
    if content == "mark":  # at the beginning, as some editors put it
        content = b"\xef\xbb\xbf" + page.read_bytes()
    page.write_bytes(content)
    with pytest.raises(SystemExit):
        build.main(["--root", str(book)])
    assert "book/plain.ipynb is not a notebook" in capsys.readouterr().err


def test_a_folder_of_other_things_is_no_build_folder(book, tmp_path, capsys):
    """Folders such as `source` would be deleted in it."""
    thesis = tmp_path / "mine/source/thesis.tex"
    thesis.parent.mkdir(parents=True)
    thesis.touch()
    for folder in (tmp_path / "mine", thesis):
        with pytest.raises(SystemExit):
            build.main(["--root", str(book), "--output", str(folder)])
        assert "which holds other things" in capsys.readouterr().err
    assert thesis.exists()
    build.mark(tmp_path / "new")  # as an earlier build left it
    for folder in (tmp_path / "new", book / "_build", book / "_build/other"):
        assert build.is_ours(folder, book)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("_toc.yml", "\n- file: book/gone", "_toc.yml lists book/gone, which is not"),
        ("_toc.yml", "\n- nonsense: 1", "_toc.yml: "),
        ("_config.yml", "\n- {", "_config.yml or _toc.yml: "),
    ],
)
def test_wrong_contents_are_named_before_pages_run(book, capsys, name, text, says):
    append(book / "requirements.lock")
    append(book / name, text)
    with pytest.raises(SystemExit) as stop:
        build.main(["--root", str(book)])
    assert stop.value.code == 2 and says in capsys.readouterr().err
    build.main(["--root", str(book), "--check", "--execute-only"])


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ("x = 1\nfrom unrolled.tasks import load_mnist", True),
        ("if x:\n    import unrolled.tasks.mnist", True),
        ("unrolled_kernel = 1", False),
        ("# import unrolled", False),
    ],
)
def test_which_pages_use_the_package(tmp_path, source, uses):
    write_page(tmp_path / "page.ipynb", "import unrolled", [source])
    assert checkout.Book(tmp_path, tmp_path).uses_package("page.ipynb") is uses


# What goes wrong on the way

LOSES_A_PORT = """import pathlib, socket
from jupyter_client.connect import LocalPortCache
taken = socket.create_server(("127.0.0.1", 0))
find, offers = LocalPortCache.find_available_port, []
def offer(self, ip):
    offers.append(ip)
    pathlib.Path("offers").write_text(str(len(offers)))
    return taken.getsockname()[1] if len(offers) == 1 else find(self, ip)
LocalPortCache.find_available_port = offer
"""


def test_a_kernel_that_loses_its_port_stops_no_page(tmp_path, monkeypatch):
    """In what nbmake takes for a client, with a port that is taken; see `kernels`."""
    page = tmp_path / "book/plain.ipynb"
    page.parent.mkdir()
    write_page(page, "# Plain", ["print(1)"])
    (tmp_path / "lost.py").write_text(LOSES_A_PORT, encoding="utf-8")
    (tmp_path / "conftest.py").write_text("import lost\n" + build.PATIENT, "utf-8")
    shutil.copy(kernels.__file__, tmp_path)
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir=."]
    command += ["--nbmake", "--overwrite", "-p", "no:cacheprovider", str(page)]
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )
    assert ran.returncode == 0, ran.stdout
    assert (tmp_path / "offers").read_text("utf-8") == "10"


def test_a_broken_cell_stops_the_build_and_keeps_what_there_was(book, stale):
    page = Path("book/plain.ipynb")
    kept = [book / "_build/html/book/plain.html", book / "_build/executed" / page]
    before = [path.read_bytes() for path in kept]
    write_plain(book, "# Broken", "1 / 0")
    result, ran = run(book)
    assert result.returncode == 1 and ran == ["plain"]
    assert f"{page} failed" in result.stdout
    assert "ZeroDivisionError" in result.stdout and "1 / 0" in result.stdout
    assert [path.read_bytes() for path in kept] == before
    assert stale()[0] == ["plain"]  # not remembered as done


def test_a_warning_stops_the_site(book, capsys):
    page = book / "_build/html/book/plain.html"
    before = page.read_bytes()
    words = "# Plain\n\n[nowhere](missing.ipynb)\n\n![A picture](missing.png)"
    write_page(book / "_build/executed/book/plain.ipynb", words, [])
    for _ in range(2):  # and again: nothing is hidden by what the failed build has read
        assert not build.build_site(checkout.Book(book, book / "_build"))
        said = capsys.readouterr().out
        assert "missing.ipynb" in said and "missing.png" in said
        assert "The site was not built" in said and page.read_bytes() == before


FOREIGN = {  # below a home folder
    ".ipython/profile_default/startup/mine.py": "sum = None",
    ".config/matplotlib/matplotlibrc": "text.usetex: True",
    ".keras/keras.json": '{"floatx": "float64"}',
    "kernels/python3/kernel.json": '{"argv": ["/nowhere"], "display_name": "mine"}',
}
PICKY = """from pathlib import Path
import os, matplotlib, unrolled
assert "inline" in matplotlib.get_backend() and not matplotlib.rcParams["text.usetex"]
assert not Path(os.environ["KERAS_HOME"], "keras.json").exists()
assert "KERAS_BACKEND" not in os.environ and sum([1, 2]) == 3
ours = Path(unrolled.__file__).parents[1]
assert str(ours) == os.environ["PYTHONPATH"] and "(1)" in ours.name
print("…")
assert 1 == 2, "at the end"
"""


def test_foreign_settings_do_not_reach_the_pages(book, tmp_path):
    """Other people's pytest options, odd temporary folders, a console without "…"."""
    temporary = tmp_path / "_build/a [b] $HOME"
    temporary.mkdir(parents=True)
    for name, text in FOREIGN.items():
        path = tmp_path / "home" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_text("1 / 0", encoding="utf-8")
    write_plain(book, "# Plain", PICKY)
    result, ran = run(
        book,
        "--execute-only",
        TMPDIR=str(temporary),
        PYTEST_ADDOPTS="--no-such-option",
        PYTEST_PLUGINS="nowhere",
        PYTHONIOENCODING="ascii",
        LC_ALL="C",
        HOME=str(tmp_path / "home"),
        XDG_CACHE_HOME=str(Path(matplotlib.get_cachedir()).parent),  # with its fonts
        JUPYTER_PATH=str(tmp_path / "home"),
        PYTHONOPTIMIZE="1",
        MPLBACKEND="Agg",
        KERAS_BACKEND="jax",
    )
    assert result.returncode == 1 and ran == ["plain"], result.stdout + result.stderr
    assert "AssertionError: at the end" in result.stdout, result.stdout
    assert "\\u2026" in result.stdout
    assert not result.stderr and not list(temporary.iterdir())


@pytest.mark.parametrize("inside", ["plain", "_build", "_build/x/_build"])
def test_pages_run_below_no_folder_that_nbmake_skips(tmp_path, monkeypatch, inside):
    folder = tmp_path / inside
    folder.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with build.staging_folder() as staging:
        assert "_build" not in staging.parts and tmp_path in staging.parents
    assert not staging.exists()


INTERRUPT = """import os, psutil, signal, time
open(os.environ["RUNS"], "a").write("%d " % os.getpid())
[build] = [p for p in psutil.Process().parents() if "tools.site.build" in p.cmdline()]
build.send_signal(signal.{name})
time.sleep(3600)"""


@pytest.mark.skipif(os.name == "nt", reason="one cannot press Ctrl-C for another")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_interrupted_says_so_and_keeps_what_has_run(book, stale, name):
    append(book / "requirements.lock")
    write_page(book / "book/plain.ipynb", "# Plain", [INTERRUPT.format(name=name)])
    result, (kernel,) = run(book, "--processes=1")
    assert result.returncode == 130
    assert "what has run is kept" in result.stderr
    assert "Traceback" not in result.stderr
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(kernel)).wait()
    assert stale()[0] == ["a-ledger", "plain", "uses"]


def test_a_crash_that_leaves_something_running_does_not_hold_the_build():
    code = "import subprocess, sys; print(subprocess.Popen({}).pid); sys.exit(3)"
    sleep = [sys.executable, "-c", "import time; time.sleep(3600)"]
    status, output = build.run_quietly([sys.executable, "-c", code.format(sleep)])
    assert status == 3
    psutil.Process(int(output)).kill()


def test_what_is_ended_ends_with_all_that_it_started():
    code = "import subprocess; print(subprocess.Popen({}).pid, flush=True); input()"
    sleep = [sys.executable, "-c", "import time; time.sleep(3600)"]
    process = psutil.Popen(
        [sys.executable, "-c", code.format(sleep)], stdin=-1, stdout=-1
    )
    child = psutil.Process(int(process.stdout.readline()))
    build.end_tree(process)
    process.communicate()
    child.wait()
    build.end_tree(process)  # nothing to end


def test_a_site_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    """As on Windows, where a program has a file of it open."""
    old, new = tmp_path / "html", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "index.html").write_text(folder.name, encoding="utf-8")
    rename = Path.rename

    def refuse(path, target):
        if path == new:
            raise PermissionError("a file is open")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(PermissionError):
            build.replace_folder(old, new)
    assert (old / "index.html").read_text(encoding="utf-8") == "html"
    old.rename(tmp_path / "html.old")  # killed before the new one was in its place
    build.put_back(old)
    assert (old / "index.html").read_text(encoding="utf-8") == "html"
    build.replace_folder(old, new)
    assert (old / "index.html").read_text(encoding="utf-8") == "new"
    assert sorted(tmp_path.iterdir()) == [old]


def test_a_full_disk_keeps_the_copies_and_ends_the_run(tmp_path, monkeypatch):
    book = checkout.Book(tmp_path, tmp_path / "_build")
    write_page(tmp_path / "page.ipynb", "# New", [])
    kept = book.executed / "page.ipynb"
    kept.parent.mkdir(parents=True)
    kept.write_text("old", encoding="utf-8")

    def fill(notebook, path):
        path.write_text("{", encoding="utf-8")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkout.nbformat, "write", fill)
    report = SimpleNamespace(
        nodeid="page.ipynb::", when="call", passed=True, duration=1
    )
    progress = build.Progress(book, tmp_path, {Path("page.ipynb"): "fingerprint"})
    with pytest.raises(pytest.exit.Exception):
        progress.pytest_runtest_logreport(report)
    assert progress.unwritten.filename == str(book.executed)
    assert kept.read_text(encoding="utf-8") == "old"
    assert list(kept.parent.iterdir()) == [kept]


def test_a_second_build_waits_and_has_nothing_to_run(book):
    log = {"stdout": subprocess.PIPE, "encoding": "utf-8"}
    command = [sys.executable, "-m", "tools.site.build", "--only=book/index.ipynb"]
    with console.alone(book / "_build/build.lock", "build"):
        second = subprocess.Popen(command, cwd=book, **log)
        assert second.stdout.readline().startswith("Waiting for another build")
    said, _ = second.communicate()
    assert second.returncode == 0 and "nothing to run" in said


# A plain `jupyter-book build .`: what people try first


def files(root):
    """Every file of a checkout outside its build folder, and what is in it."""
    return {
        path: path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not {"_build", "__pycache__"} & set(path.parts)
    }


def test_plain_jupyter_book_build(book):
    """It executes by itself, the ledger last, and leaves nothing else behind."""
    write_claim(book, effect=5.0)  # not what is in _build/executed
    before = files(book)
    program = Path(sys.executable).parent / "jupyter-book"
    result, ran = run(book, command=[program, "build", "."])
    assert result.returncode == 0, result.stdout + result.stderr
    assert ran == ["plain", "uses", "ledger"]
    assert files(book) == before
    folder = book / "_build/html/book"
    ledger = json.loads((folder / "claims-ledger.json").read_text(encoding="utf-8"))
    assert effects(ledger) == {5.0}
    assert "5.0" in (folder / "a-ledger.html").read_text(encoding="utf-8")
    assert not checkout.Book(book, book / "_build").site_is_fresh()


def test_pages_that_are_written_again_start_anew(tmp_path):
    """Else they would be repaired twice; a folder that Sphinx did not make stays."""
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path)
    (tmp_path / "book").mkdir()
    (tmp_path / "book/page.html").touch()
    extension.empty_site(app)
    assert (tmp_path / "book/page.html").exists()
    (tmp_path / ".buildinfo").touch()
    extension.empty_site(app)
    assert not list(tmp_path.iterdir())


def test_the_ledger_is_read_last_and_again(built, monkeypatch):
    """Also where only another page has changed; but not where nothing has."""
    monkeypatch.setenv("UNROLLED_LEDGER", "")
    env = SimpleNamespace(
        found_docs={"book/plain", "book/a-ledger", "book/uses", "book/words"},
        doc2path=lambda name: f"{name}.md" if "words" in name else f"{name}.ipynb",
    )
    app = SimpleNamespace(srcdir=built.root, outdir=built.root / "_build/html")
    for names, expected in [
        (["book/a-ledger", "book/uses"], ["book/uses", "book/a-ledger"]),
        (["book/words"], ["book/words", "book/a-ledger"]),
        ([], []),
    ]:
        extension.read_ledger_last(app, env, names)
        assert names == expected
    executed = str(built.root / "_build/jupyter_execute")
    assert os.environ["UNROLLED_LEDGER"] == executed


# What the site shows and offers


@pytest.mark.parametrize(
    ("heads", "joined"),
    [
        ([["", "a", "b"], ["cell", "", ""]], [["cell", "a", "b"]]),
        ([["k", "a", "b"], ["cell", "", ""]], None),  # both are named
        ([["", "a", "b"], ["", "c", "d"]], None),  # two levels of columns
        ([["", "a", "b"]], None),
    ],
)
def test_what_rows_are_stands_beside_what_columns_are(heads, joined):
    rows = ["".join(f"<th>{cell}</th>" for cell in row) for row in heads]
    head = "".join(f"<tr>{row}</tr>" for row in rows)
    table = BeautifulSoup(f"<table><thead>{head}</thead></table>", "html.parser").table
    extension.join_heads(table)
    left = [[c.get_text() for c in row.find_all("th")] for row in table.find_all("tr")]
    assert left == (joined or heads)


def read_soup(root, page):
    path = root / "_build/html/book" / page
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_formulas_in_tables_are_typeset(built):
    table = read_soup(built.root, "plain.html").select_one("table.dataframe")
    assert table.select_one("th .katex-mathml annotation").get_text() == "T"
    assert table.select_one("th").get_text().startswith("steps ")
    assert table.select_one("td").get_text() == "$5 and up"


def test_a_styled_table_looks_like_any_other():
    styled = '<div class="cell_output"><table id="T_1"><td>5</td></table></div>'
    soup = BeautifulSoup(styled, "html.parser")
    extension.typeset_tables(soup, formulas=None)
    assert soup.table["class"] == ["dataframe"]


@pytest.mark.parametrize(
    ("html", "captions"),
    [
        ("<p><em>Figure 2.1.3: a loop, $1$ unrolled.</em></p>", 1),
        ("<p><em>Table 4.6.1: <b>rivals</b>.</em></p>", 1),
        ("<p><em>Figures</em> lie.</p>", 0),
        ("<p>Look: <em>Figure 2.1.3</em></p>", 0),
        ("<ul><li><em>Figure 2.1.3</em></li></ul>", 0),
    ],
)
def test_a_caption_is_known_by_its_number(html, captions):
    soup = BeautifulSoup(html, "html.parser")
    extension.mark_captions(soup)
    assert len(soup.find_all("p", class_="figure-words")) == captions


def test_code_is_coloured_with_few_elements(built):
    code = read_soup(built.root, "uses.html").select_one(".highlight pre")
    assert code.get_text().startswith(NOTE_RUN.format("uses").partition("\n")[0])
    assert {k.get_text() for k in code.select(".kn")} == {"import", "from"}
    assert not code.select(".n, .nn, .p, .w")


@pytest.mark.parametrize(
    ("href", "leads_to"),
    [
        ("https://example.org/book/1/a.csv", "../1/a.csv"),
        ("https://example.org/book/1/b.html#x", "../1/b.html#x"),
        ("https://example.org/book/1/gone.csv", None),
        ("https://example.org/", None),
        ("https://example.com/book/1/a.csv", None),
        ("c.html", None),
    ],
)
def test_links_to_the_published_site_lead_to_this_copy(tmp_path, href, leads_to):
    (tmp_path / "book/1").mkdir(parents=True)
    for name in ("a.csv", "b.html"):
        (tmp_path / "book/1" / name).touch()
    soup = BeautifulSoup(f'<article><a href="{href}"></a></article>', "html.parser")
    extension.lead_here(soup, "book/2/c.html", tmp_path, "https://example.org/")
    assert soup.a["href"] == (leads_to or href)


def test_the_ledger_lies_beside_its_page(built):
    folder = built.root / "_build/html/book"
    ledger = json.loads((folder / "claims-ledger.json").read_text(encoding="utf-8"))
    assert effects(ledger) == {4.0}
    assert "four-times-time" in (folder / "claims-ledger.csv").read_text("utf-8")


def test_downloads_stand_alone(built):
    """Both forms: pictures are inside, links lead to the published site."""
    soup = read_soup(built.root, "plain.html")
    links = [a["href"] for a in soup.select("a[download]")]
    links = [link for link in links if link.endswith(".ipynb")]
    assert len(links) == 2
    base = "https://gates-and-gradients.github.io/book/book/"
    for link, has_outputs in zip(links, (False, True), strict=True):
        path = (built.root / "_build/html/book" / link).resolve()
        notebook = json.loads(path.read_text(encoding="utf-8"))
        words, code = notebook["cells"]
        # As strict with addresses as the JavaScript of that name, which VS Code uses.
        html = MarkdownIt().render("".join(words["source"]))
        page = BeautifulSoup(html, "html.parser")
        assert page.img["alt"] == "A [row] of cells"
        assert page.img["src"].startswith("data:image/png;base64,iVBORw0KGgo")
        assert [a["href"] for a in page.select("a")] == [
            f"{base}uses.html#uses",
            "#plain",
            "https://example.org",
        ]
        assert bool(code["outputs"]) is has_outputs
        assert "run" not in notebook["metadata"]


def test_links_in_outputs_lead_to_the_site(tmp_path):
    (tmp_path / "book/1").mkdir(parents=True)
    (tmp_path / "book/1/a.html").touch()
    data = {"text/markdown": "[1](../1/a.ipynb), [2](b.ipynb)"}
    cell = SimpleNamespace(cell_type="code", get=lambda *_: [{"data": data}])
    notebook = SimpleNamespace(cells=[cell], metadata={})
    site = "https://example.org/"
    notebooks.stand_alone(notebook, "book/1/b.ipynb", tmp_path, tmp_path, site)
    expected = "[1](https://example.org/book/1/a.html), [2](b.ipynb)"
    assert data["text/markdown"] == expected


@pytest.mark.parametrize("path", sorted((ROOT / "book/_assets/diagrams").glob("*.svg")))
def test_diagrams_are_drawn_with_their_words(path, tmp_path):
    """With the fonts that we name, whatever fonts a machine has."""
    drawn = notebooks.draw(path)
    assert drawn.startswith(b"\x89PNG")
    mute = tmp_path / path.name
    text = (
        path.read_text(encoding="utf-8").replace("<text", "<g").replace("</text", "</g")
    )
    mute.write_text(text, encoding="utf-8")
    assert len(notebooks.draw(mute)) < 0.8 * len(drawn)


def test_the_book_as_a_pdf(book, browser):
    """Whole, for students and for teachers, with an outline that names its pages."""
    command = [sys.executable, "-m", "tools.site.pdf"]
    result, _ = run(book, command=command)
    assert result.returncode == 0, result.stdout + result.stderr
    paths = [book / "_build/html/_downloads" / name for name in pdf.EDITIONS]
    assert len(paths) == 2
    for path in paths:
        assert str(path) in result.stdout
        with pikepdf.open(path) as printed, printed.open_outline() as outline:
            assert len(printed.pages) >= 4
            assert [item.title for item in outline.root] == ["Words"]
            titles = [item.title for item in outline.root[0].children]
            assert titles == ["Plain", "Uses", "Ledger"]
    append(book / "book/_assets/gates.css", "p {}")
    result, _ = run(book, command=command)
    assert result.returncode == 2 and "make book" in result.stderr
    assert all(path.exists() for path in paths)


FOLDS = {
    "hide-input": "import numpy",
    "hide-cell": "assert x > 0  # what the page claims",
    "hide-cell solution": "\n# @title Solution\nx = 1",
    "hide-cell check": "expect_answer(x=x)",
}


def printed_folds(browser, prepare):
    """Which of four folds are on paper when a page is printed that `prepare` had."""
    page = new_page(browser)
    # Each has as many sheets as its own power of two.
    sheet = '<div style="break-before: page">x</div>'
    html = "".join(
        f"""<div class="cell tag_{kind}"><details><summary>Show</summary>
        <pre>{code}</pre>{sheet * 2**number}</details></div>"""
        for number, (kind, code) in enumerate(FOLDS.items())
    )
    page.set_content(f"<main>{html}</main>")
    css = (ROOT / "book/_assets/gates.css").read_text("utf-8")
    page.add_style_tag(content=css)
    prepare(page)
    with pikepdf.open(io.BytesIO(page.pdf())) as printed:
        sheets = len(printed.pages) - 1
    page.context.close()
    return [kind for number, kind in enumerate(FOLDS) if sheets >> number & 1]


@pytest.mark.parametrize("edition", pdf.EDITIONS)
def test_solutions_are_open_for_teachers_alone(browser, edition):
    """Also the checks that tell them; other folded code is open for all."""

    def prepare(page):
        page.add_style_tag(content=pdf.STYLE)
        page.evaluate(pdf.PREPARE, pdf.EDITIONS[edition])

    is_for_teachers = "teachers" in edition
    seen = list(FOLDS)[: None if is_for_teachers else 2]
    assert printed_folds(browser, prepare) == seen


def test_a_printed_page_keeps_its_solutions_closed(browser):
    """Unless the reader has opened them."""
    assert printed_folds(browser, lambda _: None) == ["hide-input"]
    opens = "document.querySelector('.solution > details').open = true"
    seen = printed_folds(browser, lambda page: page.evaluate(opens))
    assert seen == ["hide-input", "hide-cell solution"]


# KaTeX


@pytest.fixture(scope="module")
def katex():
    from tools.site.katex import files

    return files() / "katex.min.js"


def test_formulas_with_any_letters(katex):
    typesetter = Typesetter(katex)
    assert ">α<" in typesetter.render("α_t")
    assert "katex-display" in typesetter.render("1", {"displayMode": True})
    assert "#cc0000" in typesetter.render(r"\frac{")
    process = typesetter.process
    typesetter.close()
    assert process.returncode == 0
    assert ">x<" in typesetter.render("x")  # it starts again
    typesetter.close()


def test_lines_break_between_formulas_first(katex):
    """Parts end with a wide space, but not with one inside of a table."""
    typesetter = Typesetter(katex)
    pair = r"a = b, \qquad c = \begin{cases} 1 & x \quad y \end{cases} \tag{1}"
    assert allow_breaks(pair).count("allowbreak") == 1
    html = in_parts(typesetter.render(allow_breaks(pair), {"displayMode": True}))
    soup = BeautifulSoup(html, "html.parser")
    body, number = soup.select(".katex-html > *")
    assert body["class"] == ["body"] and number["class"] == ["tag"]
    assert body.select_one(".part").get_text() == "a=b,"
    assert len(body.select(":scope > .part")) == 2
    assert len(body.select(":scope > .part > .base")) == 4
    inline = typesetter.render("x")
    assert in_parts(inline) == inline
    typesetter.close()


def test_marks_stand_for_formulas(katex):
    formulas = Formulas(katex)
    marks = [formulas.mark(f, o) for f in "xyx" for o in (None, {"displayMode": True})]
    assert len(set(marks)) == 4 and marks[:2] == marks[4:]
    html = formulas.fill(f"<p>{marks[2]}, {marks[3]}</p>")
    expected = formulas.typesetter.render("y")
    assert html.startswith(f"<p>{expected}, ") and "⟦" not in html
    assert {"katex-display", "mathnormal"} <= formulas.classes()
    formulas.typesetter.close()


def test_katex_that_fails_is_an_error(tmp_path):
    (tmp_path / "broken.js").write_text("process.exit(1)", encoding="utf-8")
    with pytest.raises(RuntimeError, match="KaTeX has ended"):
        Typesetter(tmp_path / "broken.js").render("x")


def test_katex_that_cannot_be_had_stops_the_build(monkeypatch):
    def fail():
        raise RuntimeError("no network")

    monkeypatch.setattr("tools.site.katex.files", fail)
    with pytest.raises(ExtensionError, match="no network"):
        extension.use_bundled_katex(SimpleNamespace(), None)


def test_katex_ends_with_the_build_however_that_ends(katex):
    code = f"""import os
from pathlib import Path
from tools.site.typeset import Typesetter
typesetter = Typesetter(Path({str(katex)!r}))
typesetter.render("x")
print(typesetter.process.pid, flush=True)
os.abort()"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False
    )
    assert ran.returncode != 0 and NODE.exists()
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(ran.stdout)).wait()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("# Draw two\n# curves. In colour.\nx = 1", "Draw two curves"),
        ("# Figure 5.2.2: the gaps.\n", "Figure 5.2.2: the gaps"),
        ("# @title Solution\n# Far fewer.", "Solution"),
        ("expect_answer(guess=guess)\nassert guess", "Show the check"),
        ("assert x", "Show the check"),
        ("assertions = 1", "Show the code"),
        ("x = 1  # not about the cell", "Show the code"),
    ],
)
def test_a_fold_is_named_by_its_comment(code, name):
    document = new_document("page")
    cell = nodes.container("", nodes.literal_block(code, code), hide_mode="input")
    shown = nodes.container("", nodes.literal_block(code, code), hide_mode=False)
    document += [cell, shown]
    extension.NameFolds(document).apply()
    assert cell["prompt_show"] == cell["prompt_hide"] == name
    assert "prompt_show" not in shown
