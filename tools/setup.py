"""Install what the book needs into `.venv`: what `make` does before anything else.

Needs nothing but Python. Installs the exact versions of the lock files, the package
from this checkout, and KaTeX's files. A stamp in `.venv` says what was installed, by
content: where nothing changed, a second call returns at once.

    python -m tools.setup                # read the book, run its pages, build the site
    python -m tools.setup test           # test it as well, and develop
    python -m tools.setup teach          # grade, and make hand-outs
    python -m tools.setup test --clear   # begin with an empty .venv
"""

# Must start on older Pythons, to tell which one to take: nothing newer than f-strings.
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools import console

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {
    "book": "requirements.lock",
    "test": "tests/requirements.lock",
    "teach": "tools/grading/requirements.lock",
}
OLDEST, NEWEST = (3, 11), (3, 13)
# Where TensorFlow has wheels: `sys.platform` and `platform.machine()`.
MACHINES = {
    ("linux", "x86_64"),
    ("linux", "aarch64"),
    ("darwin", "arm64"),
    ("win32", "AMD64"),
}
PROBE = """import importlib.util, sys
print("%d.%d.%d" % sys.version_info[:3], importlib.util.find_spec("pip") is not None)
"""
# pip compiles on one core; all of them take half the time or less.
COMPILE = """import compileall, sysconfig
compileall.compile_dir(sysconfig.get_path("purelib"), quiet=2, workers=0)
"""
# Until pip says so, it downloads, and has changed nothing.
INSTALLING = "\nInstalling collected"
PIP = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps"]
# Of the user's settings, pip gets those that lead to an index: others would install
# elsewhere (PIP_TARGET), not at all (PIP_DRY_RUN), or take for installed what lies
# outside of .venv (PYTHONPATH).
PIP_READS = ("INDEX", "EXTRA_INDEX", "FIND_LINKS", "NO_INDEX", "PROXY", "CERT")
PIP_READS += ("CLIENT_CERT", "TRUSTED_HOST", "KEYRING", "CONFIG_FILE", "CACHE_DIR")
PIP_READS += ("NO_CACHE", "TIMEOUT", "DEFAULT_TIMEOUT", "RETRIES")
PIP_ENVIRONMENT = {
    "PIP_USER": "0",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONUNBUFFERED": "1",  # each line comes when it is written
}
# What pip and venv say, and what it means.
REASONS = {
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|"
    r"Max retries exceeded|connection broken|Network is unreachable": (
        "The package index cannot be reached. Installing needs it once; after that, "
        "the book builds without a network."
    ),
    r"No space left on device|Errno 28|not enough space on the disk": (
        "The disk is full: the environment takes about 3 GB."
    ),
    r"[Ll]ong [Pp]ath": (
        "Windows refuses paths as long as these. Allow long paths in its settings, or "
        "move this folder to one with a shorter name."
    ),
    r"PATH separator": (
        "The path of this folder has a colon in it, with which no virtual environment "
        "works: rename the folder or move it."
    ),
    r"ensurepip": (
        "This Python cannot make virtual environments. On Debian and Ubuntu: "
        "apt install python{}.{}-venv".format(*sys.version_info)
    ),
}


class SetupError(Exception):
    """Says in a sentence or two what stands in the way, and what to do."""


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.setup", __doc__)
    parser.add_argument("what", nargs="*", help="book (the default), test, teach")
    parser.add_argument(
        "--clear", action="store_true", help="begin with an empty .venv"
    )
    parser.add_argument(
        "--quiet", action="store_true", help="say nothing if nothing is missing"
    )
    options = parser.parse_args(argv)
    for name in options.what:
        if name not in LOCKS:
            parser.error(f"what is {name!r}; expected {', '.join(LOCKS)}")
    try:
        environment, lock = Environment(ROOT), ROOT / "_build" / "setup.lock"
        with console.alone(lock, "installation"), environment.kept():
            environment.prepare(options.clear)
            environment.complete(options.what or ["book"], options.quiet)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def check_python(version):
    """Refuse a Python that the locks are not for."""
    if OLDEST <= version <= NEWEST:
        return
    command = "py -3.13" if os.name == "nt" else "python3.13"
    what = "The book needs Python 3.11, 3.12 or 3.13"
    if version > NEWEST:
        what = "TensorFlow has no wheels for it yet. Use Python 3.13"
    raise SetupError(
        "This is Python {}.{}. {}: ".format(*version, what)
        + f"{command} -m tools.setup (or: make PYTHON=python3.13 ...)"
    )


def check_machine(system, machine, bits):
    """Refuse a machine that TensorFlow has no wheels for."""
    if (system, machine) in MACHINES and bits == 64:
        return
    system = {"darwin": "macOS", "win32": "Windows"}.get(system, system)
    raise SetupError(
        f"TensorFlow has no wheels for {bits}-bit Python on {system}, {machine}, and "
        "pages need it. The package does without: python -m pip install -e ."
    )


class Environment:
    """The virtual environment of a checkout."""

    def __init__(self, root):
        """Take the folder of the checkout."""
        self.root = root
        self.folder = root / ".venv"
        self.aside = root / ".venv.old"
        self.path = os.fsencode(str(self.folder)).decode("utf-8", "backslashreplace")
        program = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        self.python = self.folder / program
        self.stamp = self.folder / "installed.json"
        self.unfinished = self.folder / "unfinished"
        self.log = self.folder / "pip.log"

    @contextlib.contextmanager
    def kept(self):
        """Put the old environment back where a new one cannot be completed."""
        self.put_back()  # after one that was killed
        try:
            yield
        except BaseException:
            self.put_back()
            raise
        shutil.rmtree(str(self.aside), ignore_errors=True)

    def put_back(self):
        """Put the environment that lies aside, if one does, back in its place."""
        if self.aside.exists() and not self.is_foreign():
            shutil.rmtree(str(self.folder), ignore_errors=True)
            self.aside.rename(self.folder)

    def is_foreign(self):
        """Whether `.venv` is no environment, and holds something."""
        if not self.folder.is_dir():
            return self.folder.exists()
        if (self.folder / "pyvenv.cfg").exists():
            return False
        return any(not path.is_dir() for path in self.folder.rglob("*"))

    def prepare(self, clear=False):
        """Make the environment unless a usable one is there.

        Raises:
            SetupError: It cannot be made; the message says why.
        """
        reason = None
        if self.folder.exists():
            reason = self.unusable()
            if not clear and not reason:
                return
        check_python(sys.version_info[:2])
        check_machine(
            sys.platform, platform.machine(), 64 if sys.maxsize > 2**32 else 32
        )
        if reason:
            print(reason, "Making .venv anew.", flush=True)
        # At once: a half of it would be no environment, nor ours.
        try:
            if self.folder.exists():
                self.folder.rename(self.aside)
        except OSError as error:  # on Windows, while a program of it runs
            raise SetupError(
                f"{self.folder} is in use: end what runs from it, such as JupyterLab, "
                f"then run the same command again. ({error})"
            ) from error
        # Not the Python of the environment that has just gone.
        base = getattr(sys, "_base_executable", sys.executable)
        make = [base, "-m", "venv", "--without-pip", str(self.folder)]
        try:
            self.ask(make, "Making .venv")
        except SetupError:
            shutil.rmtree(str(self.folder), ignore_errors=True)
            raise

    def unusable(self):
        """Why the environment that is there cannot be used; None if it can."""
        if self.is_foreign():
            raise SetupError(
                f"{self.folder} is not a virtual environment: move it away."
            )
        version, _ = self.probe()
        if version is None:
            return "The Python behind .venv is gone."
        if not OLDEST <= version[:2] <= NEWEST:
            return "The Python of .venv is {}.{}.".format(*version)
        if self.unfinished.exists() and INSTALLING in self.said():
            return "An earlier installation was interrupted."
        # Programs in .venv begin with the path at which they were installed.
        if self.read_stamp().get("folder", self.path) != self.path:
            return "This folder has moved, and .venv still names the old one."
        return None

    def probe(self):
        """Version of the environment's Python (None if it does not run); has it pip?"""
        try:
            ended = self.call([str(self.python), "-c", PROBE])
        except OSError:
            return None, False
        words = ended.stdout.split()
        if ended.returncode != 0 or len(words) != 2:
            return None, False
        return tuple(map(int, words[0].split("."))), words[1] == "True"

    def complete(self, what, quiet=False):
        """Install what is missing or has changed since it was installed.

        Args:
            what: names in `LOCKS`.
            quiet: say nothing if nothing is missing.

        Raises:
            SetupError: Something cannot be installed; the message says why.
        """
        version, has_pip = self.probe()
        # The other locks hold readers' as well.
        wanted = {name: self.fingerprint(name, version) for name in ["book", *what]}
        installed = self.read_stamp()
        missing = [name for name in wanted if installed.get(name) != wanted[name]]
        if not missing:
            if not quiet:
                print(f"Everything is installed in {self.folder}.")
            return
        print(
            f"Installing into {self.folder}: some minutes the first time.", flush=True
        )
        if not has_pip:
            self.ask([str(self.python), "-m", "ensurepip", "--default-pip"], "pip")
        # The locks are complete, so pip has nothing to resolve: --no-deps.
        locks = [text for name in missing for text in ("-r", LOCKS[name])]
        self.install("--only-binary=:all:", "--no-compile", *locks)
        self.call([str(self.python), "-c", COMPILE])
        # setuptools is in the locks: to build the package, pip needs no index.
        self.install("--no-build-isolation", "-e", ".")
        self.ask([str(self.python), "-m", "tools.site.katex"], "Fetching KaTeX")
        installed.update(wanted, folder=self.path)
        self.stamp.write_text(json.dumps(installed, indent=1), encoding="utf-8")
        print("Installed, with Python {}.{}.{}.".format(*version))
        if not quiet:
            python = self.python.relative_to(self.root)
            print(f"Build the book: {python} -m tools.site.build")

    def fingerprint(self, name, version):
        """Hash of all that an installation depends on, by content."""
        text = (self.root / "pyproject.toml").read_text(encoding="utf-8")
        tables = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
        ours = ("[build-system", "[project", "[tool.setuptools")
        parts = [table for table in tables if table.startswith(ours)]
        try:
            parts += [(self.root / LOCKS[name]).read_text(encoding="utf-8")]
        except OSError as error:
            raise SetupError(f"{LOCKS[name]} cannot be read: {error}") from error
        parts += [str(version)]
        return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()

    def read_stamp(self):
        """What was installed; nothing if the stamp is missing or damaged."""
        try:
            stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def install(self, *arguments):
        """Run pip; what it breaks off in the middle is not used afterwards."""
        with self.log.open("w", encoding="utf-8") as log:
            self.unfinished.touch()
            pip = subprocess.Popen(
                [str(self.python), *PIP, *arguments],
                cwd=str(self.root),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(plain_environment(), **PIP_ENVIRONMENT),
            )
        try:
            while sys.stdout.isatty() and pip.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    pip.wait(0.5)
                # The last line, until the next one or the end takes its place.
                last = self.said().splitlines()[-1] if pip.poll() is None else ""
                print(f"{last:78.78}", end="\r", flush=True)
            pip.wait()
        except BaseException:  # Ctrl-C
            pip.terminate()
            pip.wait()
            raise
        finally:
            if pip.returncode == 0 or INSTALLING not in self.said():
                self.unfinished.unlink()
        if pip.returncode != 0:
            raise SetupError(explain(self.said(), "pip", f" (see {self.log})"))

    def said(self):
        """What pip has said so far."""
        try:
            return "\n" + self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:  # killed before pip began
            return "\n"

    def ask(self, command, doing):
        """Run a command, which must succeed."""
        ended = self.call(command)
        if ended.returncode != 0:
            raise SetupError(explain(ended.stdout, doing))

    def call(self, command):
        """Run a command from the checkout's root; output and errors are one text."""
        return subprocess.run(
            command,
            cwd=str(self.root),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
            env=plain_environment(),
        )


def plain_environment():
    """The environment without what would change how Python starts or pip installs."""
    reads = tuple("PIP_" + name for name in PIP_READS)
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(reads) or not name.startswith(("PIP_", "PYTHON"))
    }


def explain(said, doing, where=""):
    """Why a command failed: in a sentence if we know it, else in its own last lines."""
    for pattern, reason in REASONS.items():
        if re.search(pattern, said):
            return reason
    lines = [line for line in said.splitlines() if line and "WARNING" not in line]
    return "\n".join([f"{doing} failed{where}:", *lines[-12:]])


if __name__ == "__main__":
    console.run(main, "Interrupted. Downloads are kept: run the same command again.")
