"""What the tests share: the checkout, what is built from it, and what they need.

Fixtures say what a test needs, and become markers: `python -m tools.check` leaves out
the tests that need a built site, a browser or Keras.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

try:
    from hypothesis import HealthCheck, settings
except ModuleNotFoundError:  # said in pytest_configure
    settings = None

# A shell that starts tests in the background has them, and what they start, ignore
# Ctrl-C; some tests press it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's errors only

# Each marker, and the fixtures that imply it.
NEEDS = {
    "site": {"site", "executed", "handouts", "built"},
    "browser": {"browser"},
    "keras": {"keras"},
    "slow": {
        *("replicated", "counted", "cluster", "hostile", "whole_sandbox"),
        "archives",
    },
}
# What takes long to make is made once: one worker of pytest-xdist runs all its tests.
MADE_ONCE = ("built", "replicated", "counted", "hostile", "soups")
HANGS = 1800  # seconds after which a test counts as hanging: twenty times the slowest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "book").rglob("*.ipynb")
    if not {".ipynb_checkpoints", "assignments"} & set(path.parts)
)


def read_page(page):
    """Cells of a page, each a dict with its source joined to one string."""
    cells = json.loads((ROOT / page).read_text("utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in cells]


def shorten(notebook, changes):
    """Replace what makes a notebook long: a dict of texts, each found just once."""
    for long, short in changes.items():
        (cell,) = (c for c in notebook.cells if long in c.source)
        assert cell.source.count(long) == 1, long
        cell.source = cell.source.replace(long, short)


def execute(notebook, folder, **options):
    """Run a notebook in `folder`; an error in a cell is one of the test."""
    from tools.kernels import PatientClient

    resources = {"metadata": {"path": str(folder)}}
    PatientClient(notebook, timeout=None, resources=resources).execute(**options)


def pytest_configure():
    """Stop where Hypothesis is missing, else give its examples all the time they need.

    How long one takes says how busy the machine is.
    """
    if settings is None:
        raise pytest.UsageError(
            "Hypothesis is missing. For the package's tests: pip install -e '.[test]'; "
            "for all of them: pip install -r tests/requirements.txt"
        )
    patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("patient", **patient)
    settings.load_profile("patient")


@pytest.hookimpl(wrapper=True)  # before pytest-xdist, which reads the groups
def pytest_collection_modifyitems(config, items):
    """Mark tests by their fixtures; those that take long begin first."""
    has = config.pluginmanager.hasplugin
    for item in items:
        fixtures = set(item.fixturenames)
        for marker, names in NEEDS.items():
            if names & fixtures:
                item.add_marker(marker)
        made = [name for name in MADE_ONCE if name in fixtures]
        if made and has("xdist"):
            item.add_marker(pytest.mark.xdist_group(made[0]))
        if has("timeout"):
            item.add_marker(pytest.mark.timeout(HANGS))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    return (yield)


def pytest_runtest_setup(item):
    """Ask for Keras where only some parameters of a test need it, and so are marked."""
    if item.get_closest_marker("keras"):
        need("keras")


def missing(what):
    """Skip a test for what is not installed; in CI, where all must be, fail it."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what, allow_module_level=True)


def need(module):
    """Import a module; skip or fail where it is not installed."""
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        missing(f"{module} is not installed (pip install -r tests/requirements.txt)")
    return importlib.import_module(module)


@pytest.fixture(scope="session")
def keras():
    """Keras, which takes seconds to import."""
    return need("keras")


@pytest.fixture(scope="session")
def executed():
    """Folder of the executed pages; `make test` runs them before it calls pytest."""
    folder = ROOT / "_build" / "executed"
    if not folder.exists():
        pytest.fail("the pages have not run: run `make book` first")
    return folder


@pytest.fixture(scope="session")
def site():
    """Folder of the built site; `make test` builds it before it calls pytest."""
    html = ROOT / "_build" / "html"
    if not (html / "index.html").exists():
        pytest.fail("the site is not built: run `make book` first")
    return html


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium."""
    from tools.chromium import find_chromium, launch

    if find_chromium() is None:
        missing("Chromium is not installed (Debian: apt-get install chromium)")
    with need("playwright.sync_api").sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def address(site):
    """Address of a local server that shows the site."""
    from tools.browser import serve

    with serve(site) as base:
        yield base


CLUSTER = """from distributed import LocalCluster
if __name__ == "__main__":
    how = {"protocol": "tcp://", "dashboard_address": None}
    with LocalCluster(2, processes=False, threads_per_worker=1, **how) as cluster:
        print(cluster.scheduler_address, flush=True)
        input()"""


@pytest.fixture
def cluster(tmp_path):
    """Address of a Dask scheduler with two workers, in processes of their own."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER, encoding="utf-8")
    command = [sys.executable, script]
    pipes = {"stdin": -1, "stdout": -1, "stderr": -3, "encoding": "utf-8"}
    with subprocess.Popen(command, **pipes) as run:
        yield run.stdout.readline().strip()
        run.communicate("\n")


def write_small_book(root):
    """Write a checkout with three pages: words, plain code, and code with the package.

    Returns:
        `root`.
    """
    for name in (
        "_config.yml",
        "requirements.lock",
        "tools",
        "book/_assets",
        "unrolled",
    ):
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(
                source, target, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(source, target)
    chapters = "chapters:\n- file: book/plain\n- file: book/uses\n"
    toc = f"format: jb-book\nroot: book/index\n{chapters}"
    (root / "_toc.yml").write_text(toc, encoding="utf-8")
    note_run = "import os\nopen(os.environ['RUNS'], 'a').write('{} ')"
    write_page(root / "book/index.ipynb", "# Words", [])
    write_page(root / "book/plain.ipynb", "# Plain", [note_run.format("plain")])
    uses = [note_run.format("uses"), "from unrolled import tasks\ntasks.load_mnist()"]
    write_page(root / "book/uses.ipynb", "# Uses", uses)
    return root


def write_page(path, words, sources):
    """Write a notebook of one Markdown cell and the given code cells."""
    cells = [{"cell_type": "markdown", "id": "words", "metadata": {}, "source": words}]
    for number, source in enumerate(sources):
        cells.append({
            "cell_type": "code",
            "id": f"code-{number}",
            "metadata": {},
            "source": source,
            "execution_count": None,
            "outputs": [],
        })
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(notebook), encoding="utf-8")
