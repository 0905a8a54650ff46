"""Where everything of the book lies, and what depends on what.

What is fresh is decided by content and by names below the checkout, never by times or
absolute paths: a copy of a built checkout, on another machine too, has nothing to run.
"""

import contextlib
import hashlib
import json
import os
import platform
import posixpath
import re
import shutil
from pathlib import Path

import nbformat

USES_PACKAGE = re.compile(r"^\s*(import|from)\s+unrolled\b", re.MULTILINE)
READS_LEDGER = re.compile(r"\bread_ledger\(")
ANSI = re.compile(r"\x1b\[[0-9;]*m")  # colours, in an error that a kernel reports
# What users set for their own Python, Jupyter, Matplotlib and Keras: another kernel or
# backend, code at start-up, no assertions.
FOREIGN = ("PYTHON", "PYTEST_", "JUPYTER", "IPYTHON", "MPLBACKEND", "MATPLOTLIBRC")
FOREIGN += ("KERAS_", "TF_USE_LEGACY_KERAS")
# Code and data of the package, by suffix.
PACKAGED = (".py", ".toml", ".csv", ".js", ".css", ".npz")


class Book:
    """A checkout, its build folder, and the base seed that its pages run with."""

    def __init__(self, root, output, seed=None):
        """Take the two folders, absolute; the seed is `UNROLLED_SEED` by default."""
        self.root = root
        self.executed = output / "executed"  # pages with the outputs of their run
        self.source = output / "source"  # what jupyter-book reads
        self.work = output / "site"  # what jupyter-book writes
        self.html = output / "html"  # the finished site
        self.handouts = output / "assignments" / "handouts"  # `make assignments`
        self._seed = seed
        self._shared = None

    @property
    def seed(self):
        """The base seed of the pages.

        Raises:
            ValueError: `UNROLLED_SEED` is not an integer >= 0.
        """
        if self._seed is None:
            from unrolled.course.measure import base_seed

            return base_seed()
        return self._seed

    def pages(self, pattern="book/**/*"):
        """Find notebooks of the book, but not the masters of assignments.

        Args:
            pattern: a page, a folder, or a pattern as in `Path.glob`: relative to the
                root or absolute, with slashes or backslashes.

        Returns:
            sorted paths, relative to the root.

        Raises:
            ValueError: `pattern` leads out of the checkout.
        """
        try:
            found = list(self.root.glob(self._relative(pattern)))
        except OSError as error:  # such as a name that is too long
            raise ValueError(f"pattern is {pattern!r}: {error.strerror}") from error
        hidden = (".", "_")
        pages = (
            p
            for p in (path.relative_to(self.root) for path in found)
            if p.suffix == ".ipynb"
            and not any(part.startswith(hidden) for part in p.parts)
            and "assignments" not in p.parts
        )
        return sorted(pages, key=_in_order)

    def _relative(self, pattern):
        """The same pattern, relative to the root; of a folder, all that is in it."""
        text = pattern.replace("\\", "/")
        if Path(text).is_absolute():
            # The root has no symbolic links in it; what was typed may have.
            paths = Path(text), Path(os.path.realpath(text))
            inside = [p for p in paths if p.is_relative_to(self.root)]
            text = inside[0].relative_to(self.root).as_posix() if inside else ".."
        text = posixpath.normpath(text) if text else ".."
        if text.startswith(".."):
            raise ValueError(
                f"pattern is {pattern!r}; expected pages of the checkout {self.root}"
            )
        return f"{text}/**/*" if (self.root / text).is_dir() else text

    def at(self, output, seed):
        """The same checkout with other output and seed; what was read stays read."""
        book = Book(self.root, output, seed)
        book._shared = self.shared_inputs()
        return book

    def package_files(self):
        """The package, whose every change makes the pages that import it run again."""
        return package_files(self.root / "unrolled")

    def pins(self):
        """The lock, whose change makes every page run again."""
        return self.root / "requirements.lock"

    def fingerprint(self, page):
        """Hash of everything that the outputs of `page` depend on, by content.

        Raises:
            ValueError: the page is not a notebook, or a variable that names the seed or
                the data is wrong.
        """
        inputs = {
            "python": [platform.python_implementation(), platform.python_version()],
            "pins": digest(self.pins()),
            "page": digest(self.root / page),
        }
        if self.uses_package(page):
            package, data = self.shared_inputs()
            inputs |= {"package": package, "data": data, "seed": self.seed}
        if self.reads_ledger(page):
            inputs["records"] = self.records()
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()

    def shared_inputs(self):
        """Hashes of package and data, made once; loading also settles any download."""
        if self._shared is None:
            from unrolled.tasks import load_mnist

            print("Data:     ", end="")
            (x_train, y_train), (x_test, y_test) = load_mnist()
            data = hashlib.sha256()
            for array in (x_train, y_train, x_test, y_test):
                data.update(array.tobytes())
            package = hash_files(self.root, self.package_files())
            self._shared = package, data.hexdigest()
        return self._shared

    def is_fresh(self, page):
        """Whether the executed copy of `page` came from what is there now."""
        try:
            run = json.loads((self.executed / page).read_bytes())["metadata"]["run"]
            kept = run["fingerprint"]
        except (OSError, ValueError, KeyError, TypeError):  # missing or damaged
            return False
        return kept == self.fingerprint(page)

    def keep(self, page, notebook, fingerprint, seconds=None):
        """Put an executed copy in its place, whole, with what `is_fresh` asks for.

        Args:
            page: path below the root.
            notebook: as nbformat reads it; changed.
            fingerprint: of the page, taken before the page was read for its run.
            seconds: how long it ran, for readers; None where that is not known.
        """
        notebook.metadata["run"] = {"fingerprint": fingerprint, "seconds": seconds}
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # when each cell began and ended
        target = self.executed / page
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        try:
            nbformat.write(notebook, part)
            part.replace(target)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def drop_orphans(self):
        """Delete copies of pages that are gone: the ledger would read them, too."""
        pages = set(self.pages())
        for path in list(self.executed.rglob("*.ipynb")):
            if path.relative_to(self.executed) not in pages:
                path.unlink()

    def records(self):
        """What the executed pages recorded for the claims ledger."""
        from unrolled.course.ledger import read_records

        found = []
        for page in self.pages():
            with contextlib.suppress(OSError, ValueError):  # missing, or damaged
                found += read_records(self.executed / page)
        return found

    def uses_package(self, page):
        """Whether a code cell of `page` imports `unrolled`."""
        return self.code_has(page, USES_PACKAGE)

    def reads_ledger(self, page):
        """Whether `page` collects what the others recorded, and so runs after them."""
        return self.code_has(page, READS_LEDGER)

    def code_has(self, page, pattern):
        """Whether a regular expression is found in a code cell of `page`."""
        try:
            # With a byte order mark, which json would accept in bytes, no page runs.
            cells = json.loads((self.root / page).read_text(encoding="utf-8"))["cells"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{page} is not a notebook ({error!r})") from error
        code = (cell["source"] for cell in cells if cell["cell_type"] == "code")
        return any(pattern.search("".join(source)) for source in code)

    def site_inputs(self):
        """Files that the site is made of besides the executed pages."""
        files = [self.root / "_config.yml", self.root / "_toc.yml"]
        for path in sorted((self.root / "book").rglob("*")):
            parts = path.relative_to(self.root).parts
            if (
                path.is_file()
                and path.suffix != ".ipynb"
                and not any(part.startswith((".", "__pycache__")) for part in parts)
                and ("assignments" not in parts or path.suffix == ".md")
            ):
                files.append(path)
        return files

    def made_handouts(self):
        """Zips that the site offers, where they were made."""
        return sorted(self.handouts.glob("*.zip"))

    def site_fingerprint(self):
        """Hash of everything that the site is made of, and of what makes it."""
        tools = sorted((self.root / "tools").glob("site/*.py"))
        made_of = [self.pins(), *self.site_inputs(), *self.package_files(), *tools]
        hashes = [
            hash_files(self.root, made_of),
            hash_files(self.executed, [self.executed / page for page in self.pages()]),
            hash_files(self.handouts, self.made_handouts()),
        ]
        return hashlib.sha256("".join(hashes).encode()).hexdigest()

    def site_is_fresh(self):
        """Whether the site was built from what is there now.

        A plain `jupyter-book build .` writes to the same folder, and empties it first:
        then no hash is there.
        """
        stamp, index = self.html / ".fingerprint", self.html / "index.html"
        if not stamp.exists() or not index.exists():
            return False
        return stamp.read_bytes() == self.site_fingerprint().encode()


def _in_order(path):
    """Sort key of a page: 4-code/10-options comes after 4-code/9-keras."""
    parts = re.split(r"(\d+)", path.as_posix())
    return [int(part) if part.isdecimal() else part for part in parts]


def check_command(root, processes):
    """Check what commands that run pages have in common, before anything changes.

    Also makes `UNROLLED_MNIST` absolute: pages run elsewhere.

    Args:
        root: folder that should be a checkout, absolute.
        processes: how many pages at a time.

    Raises:
        ValueError: one is wrong.
    """
    if processes < 1:
        raise ValueError(f"--processes is {processes}; expected 1 or more")
    if not (root / "_toc.yml").exists():
        raise ValueError(f"--root is {str(root)!r}; expected a checkout of the book")
    named = os.environ.get("UNROLLED_MNIST")
    if named and named != "embedded":
        from unrolled.tasks.mnist import read_npz

        os.environ["UNROLLED_MNIST"] = str(Path(named).expanduser().absolute())
        read_npz(os.environ["UNROLLED_MNIST"])


def page_environment(folder, root=None):
    """The environment that pages run in: nobody's own settings reach them.

    Args:
        folder: for what Jupyter, IPython and Keras write; made if need be.
        root: of the checkout whose package the pages import; by default, the one that
            is installed.

    Returns:
        dict of environment variables.
    """
    import matplotlib

    ours = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        ours[name] = str(folder / "jupyter")
    ours["IPYTHONDIR"] = str(folder / "ipython")
    ours["MATPLOTLIBRC"] = str(Path(matplotlib.get_data_path(), "matplotlibrc"))
    ours["KERAS_HOME"] = str(folder / "keras")
    digits = Path("datasets", "mnist.npz")
    with contextlib.suppress(OSError, RuntimeError):  # not downloaded yet, no home
        theirs = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
        (folder / "keras/datasets").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(theirs).expanduser() / digits, folder / "keras" / digits)
    if root is not None:
        ours["PYTHONPATH"] = str(root)
    return ours


def package_files(folder):
    """What the package in `folder` is made of."""
    found = folder.rglob("*")
    return sorted(p for p in found if p.suffix in PACKAGED)


def hash_files(folder, paths):
    """Hash of files: their names below `folder` and their contents."""
    contents = {p.relative_to(folder).as_posix(): digest(p) for p in paths}
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def digest(path):
    """SHA-256 of a file, as hexadecimal digits; of nothing where it is missing."""
    content = path.read_bytes() if path.exists() else b""
    return hashlib.sha256(content).hexdigest()
