"""Where everything of the book lies, and what depends on what."""

import hashlib
import json
import os
import re
import sys

import nbformat

USES_PACKAGE = re.compile(r"^\s*(import|from)\s+unrolled\b", re.MULTILINE)
READS_LEDGER = re.compile(r"\bread_ledger\(")
ANSI = re.compile(r"\x1b\[[0-9;]*m")  # colours, in an error that a kernel reports


class Book:
    """A checkout, its build folder, and the base seed that its pages run with."""

    def __init__(self, root, output, seed=None):
        """Take the two folders, absolute; the seed is `UNROLLED_SEED` by default."""
        self.root = root
        self.seed = os.environ.get("UNROLLED_SEED", "0") if seed is None else str(seed)
        self.executed = output / "executed"  # pages as they came out of their run
        self.source = output / "source"  # what jupyter-book reads
        self.work = output / "site"  # what jupyter-book writes
        self.html = output / "html"  # the finished site
        self.handouts = output / "assignments" / "handouts"  # `make assignments`
        self._shared = None

    def pages(self, pattern="book/**/*"):
        """Notebooks of the book, as sorted paths below the root; without masters."""
        found = (path.relative_to(self.root) for path in self.root.glob(pattern))
        hidden = (".", "_")
        return sorted(
            p
            for p in found
            if p.suffix == ".ipynb"
            and not any(part.startswith(hidden) for part in p.parts)
            and "assignments" not in p.parts
        )

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
        """Hash of all that a run of `page` depends on, by content."""
        text = (self.root / page).read_bytes()
        parts = [sys.version.encode(), digest(self.pins()), text]
        if self.uses_package(page):
            package, data = self.shared_inputs()
            parts += [*package, self.seed.encode(), data]
        if self.reads_ledger(page):
            parts += [json.dumps(self.records(), sort_keys=True).encode()]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    def shared_inputs(self):
        """Package and data, hashed once; loading also settles any download."""
        if self._shared is None:
            from unrolled.tasks import load_mnist

            print("Data:     ", end="")
            (x_train, y_train), (x_test, y_test) = load_mnist()
            data = hashlib.sha256()
            for array in (x_train, y_train, x_test, y_test):
                data.update(array.tobytes())
            package = [digest(path) for path in self.package_files()]
            self._shared = package, data.digest()
        return self._shared

    def is_fresh(self, page):
        """Whether the executed copy of `page` came from what is there now.

        By content, so that a checkout or another data set is noticed, and by time like
        make, so that `touch` runs a page again.
        """
        executed = self.executed / page
        if not executed.exists():
            return False
        inputs = [self.root / page, self.pins()]
        if self.uses_package(page):
            inputs += self.package_files()
        newest = max(path.stat().st_mtime for path in inputs if path.exists())
        run = nbformat.read(executed, 4).metadata.get("run", {})
        if newest > run.get("began", 0):
            return False
        return run.get("fingerprint") == self.fingerprint(page)

    def keep(self, page, notebook, **run):
        """Put an executed copy in its place, whole, with what made it, for `is_fresh`.

        Args:
            page: path below the root.
            notebook: as nbformat reads it.
            run: its `fingerprint` and when it `began`, both from before it was read.
        """
        notebook.metadata["run"] = run
        target = self.executed / page
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        nbformat.write(notebook, part)
        part.replace(target)

    def records(self):
        """What the executed pages recorded for the claims ledger."""
        from unrolled.course.ledger import read_records

        paths = (self.executed / page for page in self.pages())
        return [record for p in paths if p.exists() for record in read_records(p)]

    def uses_package(self, page):
        """Whether a code cell of `page` imports `unrolled`."""
        return self._code_has(page, USES_PACKAGE)

    def reads_ledger(self, page):
        """Whether `page` collects what the others recorded, and so runs after them."""
        return self._code_has(page, READS_LEDGER)

    def _code_has(self, page, pattern):
        try:
            cells = json.loads((self.root / page).read_bytes())["cells"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{page} is not a notebook ({error!r})") from error
        code = (cell["source"] for cell in cells if cell["cell_type"] == "code")
        return any(pattern.search("".join(source)) for source in code)

    def site_inputs(self):
        """Files that the site is made of besides the executed pages."""
        files = [self.root / "_config.yml", self.root / "_toc.yml"]
        for path in sorted((self.root / "book").rglob("*")):
            if (
                path.is_file()
                and path.suffix != ".ipynb"
                and "__pycache__" not in path.parts
                and ("assignments" not in path.parts or path.suffix == ".md")
            ):
                files.append(path)
        return files

    def made_handouts(self):
        """Zips that the site offers, where they were made."""
        return sorted(self.handouts.glob("*.zip"))

    def site_fingerprint(self):
        """Hash of all that the site is made of."""
        parts = [digest(self.pins())]
        for path in [
            *self.site_inputs(),
            *(self.executed / page for page in self.pages()),
            *self.made_handouts(),
        ]:
            parts += [str(path).encode(), digest(path)]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    def site_is_fresh(self):
        """Whether the site was built from what is there now."""
        stamp, index = self.html / ".fingerprint", self.html / "index.html"
        if not stamp.exists() or not index.exists():
            return False
        # A plain `jupyter-book build .` writes to the same folder, but not the stamp.
        if index.stat().st_mtime > stamp.stat().st_mtime:
            return False
        return stamp.read_text() == self.site_fingerprint()


def package_files(folder):
    """What the package in `folder` is made of."""
    found = folder.rglob("*")
    return sorted(p for p in found if p.suffix in (".py", ".toml", ".csv"))


def digest(path):
    """SHA-256 of a file; of nothing where it is missing."""
    return hashlib.sha256(path.read_bytes() if path.exists() else b"").digest()
