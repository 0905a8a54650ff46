"""Execute the pages and build the site: what `make book` runs.

Each page that is not fresh executes once, in a copy, two pages at a time, through
nbmake. The site is built from those executed copies and takes the old site's place
only when it is whole.

    python -m tools.site.build             # execute what changed, build the site
    python -m tools.site.build --check     # say what is out of date, do nothing
    python -m tools.site.build --execute-only --output DIR --only 'book/4-code/*'
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pytest
import yaml

from tools.checkout import ANSI, Book
from unrolled.course.ledger import read_ledger, write_ledger

JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"
# Said, not enforced: a busy machine or all 70,000 digits take longer.
PAGE_SECONDS = 120
# No page fails because the machine is busy: nbclient gives a kernel a minute to start.
PATIENT = """from nbclient import NotebookClient
NotebookClient.startup_timeout.default_value = 24 * 3600
"""
HANDOUTS_HERE = "<!-- handouts -->"
NO_HANDOUTS = "This copy of the site came without them; `make assignments` makes them."


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[2])
    parser.add_argument(
        "--output", type=Path, help="build folder (default: ROOT/_build)"
    )
    parser.add_argument(
        "--only", default="book/**/*", help="pattern of pages to execute"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--execute-only", action="store_true", help="do not build the site"
    )
    parser.add_argument(
        "--check", action="store_true", help="exit 1 if anything is out of date"
    )
    options = parser.parse_args(argv)

    book = Book(
        options.root.resolve(), (options.output or options.root / "_build").resolve()
    )
    pages = book.pages(options.only)
    if not pages:
        parser.error(f"--only {options.only!r} matches no page of {book.root}")
    named = os.environ.get("UNROLLED_MNIST")
    if named and named != "embedded":  # the pages run elsewhere: no relative path
        os.environ["UNROLLED_MNIST"] = str(Path(named).expanduser().absolute())
    try:
        stale = [page for page in pages if not book.is_fresh(page)]
        fingerprints = {page: book.fingerprint(page) for page in stale}
    except ValueError as error:  # a file that is not MNIST, or not a notebook
        parser.error(str(error))
    if options.check:
        for page in stale:
            print(f"not executed: {page}")
        if not stale and not book.site_is_fresh():
            print("site out of date")
            return 1
        return 1 if stale else 0

    os.environ["UNROLLED_LEDGER"] = str(book.executed)
    collecting = [page for page in pages if book.reads_ledger(page)]
    first = {p: f for p, f in fingerprints.items() if p not in collecting}
    if first and not execute(book, first, options.processes):
        return 1
    last = {p: book.fingerprint(p) for p in collecting if not book.is_fresh(p)}
    if last and not execute(book, last, options.processes):
        return 1
    if not first and not last:
        print("Execute:  every page is fresh, nothing to run.")
    if options.execute_only:
        return 0
    return 0 if build_site(book) else 1


class Progress:
    """Pytest plugin: a line for each page that ends; keeps the copies that passed."""

    def __init__(self, book, staging, fingerprints):
        """Take the folder of the running copies and the fingerprints they get."""
        self.book, self.staging, self.fingerprints = book, staging, fingerprints
        self.began = time.time()
        self.ended = 0
        self.failures = []

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config):
        """Take the place of pytest's reporter, whose options nbmake goes on reading."""
        config.pluginmanager.unregister(name="terminalreporter")

    def pytest_runtest_logreport(self, report):
        """Called for the set-up, call and tear-down of each page, in this process."""
        if report.when != "call" and report.passed:
            return
        page = Path(report.nodeid.split("::")[0])
        self.ended += 1
        mark = "ok" if report.passed else "FAILED"
        if report.duration > PAGE_SECONDS:
            mark += f" (more than the {PAGE_SECONDS} s a page should take)"
        count = f"[{self.ended}/{len(self.fingerprints)}]"
        print(f"{count:>9} {page}  {report.duration:.1f} s  {mark}", flush=True)
        if report.passed:
            self.keep(page, report.duration)
        else:
            self.failures.append((page, str(report.longrepr)))

    def keep(self, page, seconds):
        """Put the executed copy where the site is built from, with what made it."""
        self.book.keep(
            page,
            nbformat.read(self.staging / page, 4),
            fingerprint=self.fingerprints[page],
            began=self.began,
            seconds=round(seconds, 1),
        )


def execute(book, fingerprints, processes):
    """Run pages through nbmake, say which failed and why; whether all passed."""
    pages = list(fingerprints)
    print(
        f"Execute:  {len(pages)} of {len(book.pages())} pages, {processes} at a time."
    )
    for page in pages:
        (book.executed / page).unlink(missing_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Pages run side by side: threads that wait for each other would keep cores busy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = ["--nbmake", "--overwrite", "--nbmake-timeout=0", "--exitfirst"]
    arguments += [f"--numprocesses={processes}", "--maxschedchunk=1"]
    arguments += ["-p", "no:cacheprovider", "-c", os.devnull]

    # Not below _build: nbmake passes over every path with that name in it.
    with tempfile.TemporaryDirectory(
        prefix="book-", ignore_cleanup_errors=True
    ) as folder:
        staging = Path(folder).resolve()
        shutil.copytree(book.root / "book", staging / "book")
        (staging / "conftest.py").write_text(PATIENT)
        progress = Progress(book, staging, fingerprints)
        with contextlib.chdir(staging):
            status = pytest.main(
                [*arguments, f"--rootdir={staging}", *map(str, pages)],
                plugins=[progress],
            )

    for page, traceback in progress.failures:
        if not sys.stdout.isatty():
            traceback = ANSI.sub("", traceback)
        print(
            f"\n{'=' * 80}\n{page} failed:\n\n{traceback}\n\n{page} failed, see above."
        )
    if status != pytest.ExitCode.OK and not progress.failures:
        print(f"\npytest ended with {status!r} before every page had run.")
    return status == pytest.ExitCode.OK and progress.ended == len(pages)


def build_site(book):
    """Build the site from the executed pages and put it in place; whether it was."""
    if book.site_is_fresh():
        print("Site:     nothing changed.")
        return announce(book)
    began = time.time()
    print("Site:     building …", flush=True)
    shutil.rmtree(book.source, ignore_errors=True)
    copies = {path.relative_to(book.root): path for path in book.site_inputs()}
    copies |= {page: book.executed / page for page in book.pages()}
    for name, path in copies.items():
        target = book.source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    for page in book.pages():
        if book.reads_ledger(page):  # such a page offers the ledger for download
            write_ledger(read_ledger(book.executed), (book.source / page).parent)
    offer_handouts(book)
    config = yaml.safe_load((book.root / "_config.yml").read_text(encoding="utf-8"))
    config.setdefault("execute", {})["execute_notebooks"] = "off"
    (book.source / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")

    # From nothing each time: a warning in a page that an earlier, failed build has read
    # would not come again.
    shutil.rmtree(book.work, ignore_errors=True)
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", str(book.source)]
    command += ["--path-output", str(book.work), "-W", "-n", "--keep-going"]
    status, output = run_quietly(command)
    built = book.work / "_build" / "html"
    if status != 0 or not (built / "index.html").exists():
        print(ANSI.sub("", output))
        print(f"The site was not built; {book.html} is as it was.")
        return False
    (built / ".fingerprint").write_text(book.site_fingerprint())
    (built / ".nojekyll").touch()  # GitHub Pages leaves out folders named _* without it
    replace_folder(book.html, built)
    print(f"          built in {time.time() - began:.0f} s.")
    return announce(book)


def run_quietly(command):
    """Status and output of a command; what it leaves running ends with it.

    Not through a pipe: a server that outlives a crash would hold it open for ever.
    """
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.seek(0)
        return process.returncode, log.read()


def offer_handouts(book):
    """Put links to the hand-outs into the assignments' page, or how to have them."""
    page = book.source / "book" / "assignments" / "index.md"
    if not page.exists():
        return
    links = []
    for path in book.made_handouts():
        shutil.copy2(path, page.parent)
        links.append(f"* [{path.name}]({path.name})")
    text = "\n".join(links) or NO_HANDOUTS
    page.write_text(page.read_text("utf-8").replace(HANDOUTS_HERE, text), "utf-8")


def replace_folder(old, new):
    """Put folder `new` in the place of `old`; never is a half-written one there."""
    aside = old.with_name(old.name + ".old")
    shutil.rmtree(aside, ignore_errors=True)
    if old.exists():
        old.rename(aside)
    old.parent.mkdir(parents=True, exist_ok=True)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def announce(book):
    """Say where the site lies and how to open it."""
    print(f"\nThe book is at {book.html / 'index.html'}")
    print("Open that file in a browser, or run `make serve`.")
    return True


if __name__ == "__main__":
    sys.exit(main())
