"""Execute the pages and build the site: what `make book` runs.

Each page that is not fresh executes once, in a copy, several pages at a time, through
nbmake. The site is built from those executed copies, and takes the place of the old one
only when it is complete.

    python -m tools.site.build             # execute what changed, build the site
    python -m tools.site.build --check     # say what is out of date, do nothing
    python -m tools.site.build --execute-only --output DIR --only 'book/4-code/*'
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
import pytest
import yaml
from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

from tools import console, kernels
from tools.checkout import ANSI, Book, check_command, page_environment

JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"
INTERRUPTED = "Interrupted; what has run is kept. Run the same command again to go on."
# Reported, not enforced: a busy machine or all 70,000 digits take longer.
PAGE_SECONDS = 120
# A busy machine makes no page fail; `kernels` lies beside it.
PATIENT = """import nbmake.nb_run
from kernels import PatientClient
nbmake.nb_run.NotebookClient = PatientClient
"""
# https://bford.info/cachedir/
TAG, SIGNATURE = "CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n"
HANDOUTS_HERE = "<!-- handouts -->"
NO_HANDOUTS = "This copy of the site came without them; `make assignments` makes them."


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.site.build", __doc__)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[2])
    parser.add_argument(
        "--output", type=Path, help="build folder (default: ROOT/_build)"
    )
    parser.add_argument(
        "--only", default="book/**/*", help="page, folder or pattern to execute"
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=min(os.cpu_count() or 1, 4),  # each takes a gigabyte of memory
        help="pages at a time (default here: %(default)s)",
    )
    parser.add_argument(
        "--execute-only", action="store_true", help="do not build the site"
    )
    parser.add_argument(
        "--check", action="store_true", help="exit 1 if anything is out of date"
    )
    options = parser.parse_args(argv)
    root = options.root.resolve()
    try:
        check_command(root, options.processes)
    except ValueError as error:
        parser.error(str(error))
    output = (options.output or root / "_build").resolve()
    if not is_ours(output, root):
        parser.error(
            f"--output is {str(options.output)!r}, which holds other things; "
            "expected a new or empty folder, or that of an earlier build"
        )
    book = Book(root, output)
    try:  # whatever can be wrong, before anything changes
        pages = book.pages(options.only)
    except ValueError as error:
        parser.error(f"--only: {error}")
    if not pages:
        parser.error(f"--only {options.only!r} matches no page of {root}")
    try:
        _ = book.seed  # refused also where no page of these needs it
        stale = [page for page in pages if not book.is_fresh(page)]
        for page in stale:
            book.fingerprint(page)
        if not options.execute_only:
            check_contents(root)
    except ValueError as error:  # a seed, a file of digits or a page that is none
        parser.error(str(error))
    if options.check:
        for page in stale:
            print(f"not executed: {page}")
        if not stale and not book.site_is_fresh():
            print("site out of date")
            return 1
        return 1 if stale else 0

    mark(output)
    with console.alone(output / "build.lock", "build"):
        return make(book, pages, options.processes, options.execute_only)


def make(book, pages, processes, execute_only):
    """Execute the pages that are not fresh, then build the site; returns the status."""
    book.drop_orphans()
    os.environ["UNROLLED_LEDGER"] = str(book.executed)
    collecting = [page for page in pages if book.reads_ledger(page)]
    others = [page for page in pages if page not in collecting]
    ran = False
    for part in (others, collecting):
        stale = {p: book.fingerprint(p) for p in part if not book.is_fresh(p)}
        ran = ran or bool(stale)
        if stale and not execute(book, stale, processes):
            return 1
    if not ran:
        print("Execute:  every page is fresh, nothing to run.")
    if execute_only:
        return 0
    return 0 if build_site(book) else 1


def is_ours(output, root):
    """Whether a folder may be written: what lies in it may be deleted."""
    if output.is_relative_to(root / "_build") or not output.exists():
        return True
    return output.is_dir() and ((output / TAG).exists() or not any(output.iterdir()))


def mark(output):
    """Make the build folder and mark it as one, for us and for backups."""
    output.mkdir(parents=True, exist_ok=True)
    (output / TAG).write_text(SIGNATURE, encoding="utf-8")


def check_contents(root):
    """Look into `_config.yml` and `_toc.yml` before pages run for half an hour.

    Raises:
        ValueError: one is not what Jupyter Book reads, or names a page that is missing.
    """
    try:
        yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
        names = parse_toc_yaml(root / "_toc.yml")
    except (OSError, ValueError, yaml.YAMLError, MalformedError) as error:
        raise ValueError(f"_config.yml or _toc.yml: {error}") from error
    there = {path.with_suffix("") for path in (root / "book").rglob("*.*")}
    if missing := sorted(name for name in names if root / name not in there):
        raise ValueError(f"_toc.yml lists {missing[0]}, which is not there")


class Progress:
    """Pytest plugin: a line for each page that ends; keeps the copies that passed."""

    def __init__(self, book, staging, fingerprints):
        """Take the folder of the running copies and the fingerprints they get."""
        self.book, self.staging, self.fingerprints = book, staging, fingerprints
        self.ended = 0
        self.failures = []
        self.interrupted = False
        self.unwritten = None

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config):
        """Take the place of pytest's reporter, whose options nbmake goes on reading."""
        config.pluginmanager.unregister(name="terminalreporter")

    def pytest_keyboard_interrupt(self, excinfo):
        """Called after Ctrl-C, and also, with another class, after --exitfirst."""
        self.interrupted = excinfo.type is KeyboardInterrupt

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
            notebook = nbformat.read(self.staging / page, 4)
            fingerprint = self.fingerprints[page]
            try:
                self.book.keep(page, notebook, fingerprint, round(report.duration, 1))
            except OSError as error:  # a full disk: the other pages need not run
                error.filename = error.filename or str(self.book.executed)
                self.unwritten = error
                pytest.exit(str(error))
        else:
            self.failures.append((page, str(report.longrepr)))


def execute(book, fingerprints, processes):
    """Run pages through nbmake and say which failed and why.

    Args:
        book: a `Book`.
        fingerprints: dict from each page that is to run to its fingerprint.
        processes: how many pages at a time.

    Returns:
        whether all passed.

    Raises:
        KeyboardInterrupt: after Ctrl-C; the pages that had ended are kept.
    """
    pages = list(fingerprints)
    processes = min(processes, len(pages))
    print(
        f"Execute:  {len(pages)} of {len(book.pages())} pages, {processes} at a time.",
        flush=True,
    )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Pages run side by side: threads that wait for each other would keep cores busy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = ["--nbmake", "--overwrite", "--nbmake-timeout=0", "--exitfirst"]
    arguments += [f"--numprocesses={processes}", "--maxschedchunk=1"]
    arguments += ["-p", "no:cacheprovider", "--basetemp=temporary"]

    with staging_folder() as staging, environment_of_pages(staging, book.root):
        shutil.copytree(book.root / "book", staging / "book")
        shutil.copy(kernels.__file__, staging)
        (staging / "conftest.py").write_text(PATIENT, encoding="utf-8")
        # Ours: pytest would take one from a folder above, with options of its own.
        (staging / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        progress = Progress(book, staging, fingerprints)
        with contextlib.chdir(staging):
            arguments += ["-c", "pytest.ini", "--rootdir", "."]
            status = pytest.main([*arguments, *map(str, pages)], plugins=[progress])
    if progress.unwritten:
        raise progress.unwritten
    if progress.interrupted:
        raise KeyboardInterrupt

    for page, traceback in progress.failures:
        if not sys.stdout.isatty():
            traceback = ANSI.sub("", traceback)
        print(
            f"\n{'=' * 80}\n{page} failed:\n\n{traceback}\n\n{page} failed, see above."
        )
    if status != pytest.ExitCode.OK and not progress.failures:
        print(f"\npytest ended with {status!r} before every page had run.")
    return status == pytest.ExitCode.OK and progress.ended == len(pages)


@contextlib.contextmanager
def staging_folder():
    """A temporary folder for the copies that run; yields its path.

    Never below a folder `_build`, wherever temporary files go: nbmake skips those.
    """
    above = Path(tempfile.gettempdir()).resolve()
    if "_build" in above.parts:
        above = Path(*above.parts[: above.parts.index("_build")])
    with tempfile.TemporaryDirectory(
        prefix="book-", dir=above, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


@contextlib.contextmanager
def environment_of_pages(folder, root):
    """Have what starts here run in the environment of pages."""
    before = dict(os.environ)
    ours = page_environment(folder, root)
    try:
        os.environ.clear()
        os.environ.update(ours)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def build_site(book):
    """Build the site from the executed pages and put it in place; whether it was."""
    put_back(book.html)
    if book.site_is_fresh():
        print("Site:     nothing changed.")
        return announce(book)
    began = time.monotonic()
    print("Site:     building ...", flush=True)
    write_source(book)
    # From nothing each time: a warning in a page that an earlier, failed build has read
    # would not come again.
    shutil.rmtree(book.work, ignore_errors=True)
    status, output = run_jupyter_book(book, book.work, "-W", "-n", "--keep-going")
    built = book.work / "_build" / "html"
    if status != 0 or not (built / "index.html").exists():
        print(ANSI.sub("", output))
        print(f"The site was not built; {book.html} is as it was.")
        return False
    (built / ".fingerprint").write_text(book.site_fingerprint(), encoding="utf-8")
    (built / ".nojekyll").touch()  # GitHub Pages leaves out folders named _* without it
    try:
        replace_folder(book.html, built)
    except OSError as error:
        print(f"The new site could not be put in place: {error}.")
        return False
    print(f"          built in {time.monotonic() - began:.0f} s.")
    return announce(book)


def write_source(book):
    """Write what jupyter-book reads into `book.source`, from nothing."""
    shutil.rmtree(book.source, ignore_errors=True)
    copies = {path.relative_to(book.root): path for path in book.site_inputs()}
    copies |= {page: book.executed / page for page in book.pages()}
    for name, path in copies.items():
        target = book.source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    offer_handouts(book)
    config = yaml.safe_load((book.root / "_config.yml").read_text(encoding="utf-8"))
    config.setdefault("execute", {})["execute_notebooks"] = "off"
    (book.source / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")


def run_jupyter_book(book, output, *options):
    """Build what lies in `book.source`; returns exit status and output, as text."""
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", str(book.source)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # UTF-8 also where files are read without naming it and the system's is another.
        utf8 = {"PYTHONUTF8": "1"}
        return run_quietly(
            [*command, "--path-output", str(output), *options],
            cwd=book.root,  # where the extension is imported from
            env=page_environment(Path(folder), book.root) | utf8,
        )


def run_quietly(command, **options):
    """Run a command and wait for it.

    Args:
        command: list of strings.
        options: of `subprocess.Popen`.

    Returns:
        exit status and output, as text. The output goes through a file: a pipe would
        be held open by what a crashed command leaves running.

    Raises:
        KeyboardInterrupt: after Ctrl-C; the command and all that it started has ended.
    """
    with tempfile.TemporaryFile() as log:
        process = psutil.Popen(command, stdout=log, stderr=subprocess.STDOUT, **options)
        try:
            process.wait()
        except BaseException:
            end_tree(process)
            raise
        log.seek(0)
        return process.returncode, log.read().decode("utf-8", "replace")


def end_tree(process):
    """End a process and everything that it has started, on any system."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for part in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                part.kill()
    process.wait()


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
    """Put folder `new` in the place of `old`, which is never there half-written.

    Raises:
        OSError: on Windows, where a program has a file of `old` open; `old` is left.
    """
    aside = put_back(old)
    shutil.rmtree(aside, ignore_errors=True)
    old.parent.mkdir(parents=True, exist_ok=True)
    if old.exists():
        old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        if aside.exists():
            aside.rename(old)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def put_back(folder):
    """Put back what a killed `replace_folder` left aside; returns where that lies."""
    aside = folder.with_name(folder.name + ".old")
    if aside.exists() and not folder.exists():
        aside.rename(folder)
    return aside


def announce(book):
    """Say where the site lies and how to open it."""
    print(f"\nThe book is at {book.html / 'index.html'}")
    print("Open that file in a browser, or run `make serve`.")
    return True


if __name__ == "__main__":
    console.run(main, INTERRUPTED)
