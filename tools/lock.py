"""Solve the locks, and prove that they install on each Python and system.

Three lists say what is needed: readers' `requirements.txt`, and what tests and teachers
need besides. They are solved together, so that one environment can hold all of it. The
lock beside each list is complete, and the same for every Python and system.

    python -m tools.lock             # solve the locks, prove them, then write them
    python -m tools.lock --upgrade   # raise every pin to its newest version first
    python -m tools.lock --check     # prove the locks that are there, write nothing

The proof resolves each lock for each Python and system from wheels alone: nothing has
to be built, nothing is missing, and no package refuses the version of another.
"""

import functools
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tools import console

ROOT = Path(__file__).resolve().parents[1]
READERS = "requirements.txt"
LISTS = [READERS, "tests/requirements.txt", "tools/grading/requirements.txt"]
BINDER = ".binder/requirements.txt"
HOOKS = ".pre-commit-config.yaml"
PYTHONS = ["3.11", "3.12", "3.13"]


class System(NamedTuple):
    """A system that the locks install on."""

    name: str  # for people
    platform: str  # for uv
    marker: str  # for the solution


SYSTEMS = [
    System(
        "Linux, x86-64",
        "x86_64-manylinux_2_28",
        "sys_platform == 'linux' and platform_machine == 'x86_64'",
    ),
    System(
        "Linux, ARM",
        "aarch64-manylinux_2_28",
        "sys_platform == 'linux' and platform_machine == 'aarch64'",
    ),
    System(
        "macOS, Apple silicon",
        "aarch64-apple-darwin",
        "sys_platform == 'darwin' and platform_machine == 'arm64'",
    ),
    System(
        "Windows, x86-64",
        "x86_64-pc-windows-msvc",
        "sys_platform == 'win32' and platform_machine == 'AMD64'",
    ),
]
# The oldest macOS: readers' wheels need 13; pikepdf's, which developers need, 15.
MACOS = {name: "15.0" if name.startswith("tests") else "13.0" for name in LISTS}
# What `--upgrade` must not pass: requirements.txt says why.
LIMITS = ["jupyter-book<2", "pytest<10"]
PIN = re.compile(r"^([\w.-]+)[=>]=([^\s;]+)", re.MULTILINE)


class LockError(Exception):
    """Says why there is no solution, or what a lock lacks."""


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.lock", __doc__)
    does = parser.add_mutually_exclusive_group()
    does.add_argument(
        "--upgrade", action="store_true", help="raise every pin to its newest version"
    )
    does.add_argument("--check", action="store_true", help="prove, write nothing")
    options = parser.parse_args(argv)
    try:
        if options.check:
            check_locks(ROOT)
            proved = prove(ROOT)
        else:
            proved = write_locks(ROOT, options.upgrade)
            if not proved:
                print("Nothing was written.", file=sys.stderr)
        return 0 if proved else 1
    except LockError as error:
        print(error, file=sys.stderr)
        return 1


def lock_of(name):
    """The lock beside a list."""
    return name.replace(".txt", ".lock")


def read_pins(path):
    """Packages and versions in a list or a lock; none if there is no such file."""
    return set(PIN.findall(path.read_text("utf-8"))) if path.exists() else set()


def not_locked(root, name):
    """Pins of a list, and of readers' list, that its lock does not have."""
    wanted = read_pins(root / READERS) | read_pins(root / name)
    missing = wanted - read_pins(root / lock_of(name))
    return sorted(f"{package}=={version}" for package, version in missing)


def write_locks(root, upgrade=False):
    """Solve the three lists together, prove their locks, and put them in place.

    Nothing of the checkout is changed before all of it is there.

    Args:
        root: folder of the checkout.
        upgrade: raise the pins in the lists to their newest versions first.

    Returns:
        whether every lock can be installed everywhere; if not, nothing was written.

    Raises:
        LockError: There is no solution; the message is uv's.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        work, new = Path(temporary, "work"), Path(temporary, "new")
        for name in LISTS:
            # The lists name each other, a lock and the package, all of it for pip.
            text = re.sub(r"^-.*\n", "", (root / name).read_text("utf-8"), flags=re.M)
            write(work / name, text.replace("==", ">=") if upgrade else text)
        # Once for all systems, with wheels for each: that settles the versions.
        locked = set().union(*(read_pins(root / lock_of(name)) for name in LISTS))
        # The package's own requirements are among them, and those of its extras.
        project = (root / "pyproject.toml").read_text("utf-8")
        versions = solve(
            work,
            [*LISTS, "pyproject.toml", "--all-extras"],
            "together.txt",
            () if upgrade else locked,
            project=project,
            environments=[
                f"{system.marker} and python_full_version < '3.14'"
                for system in SYSTEMS
            ],
        )
        newest = dict(versions)
        newest["tensorflow-cpu"] = newest["tensorflow"]
        raised = [BINDER, HOOKS, *(LISTS if upgrade else ())]
        for name in raised:
            write(new / name, (root / name).read_text("utf-8"))
            raise_pins(new / name, newest)
            if name in LISTS:
                raise_pins(work / name, newest)

        # Then each list alone, for any system: its lock needs few markers.
        for name in LISTS:
            lists = list(dict.fromkeys([READERS, name]))
            solved = solve(work, lists, lock_of(name), versions)
            if others := sorted(solved - versions):
                raise LockError(f"{lock_of(name)} would have other versions: {others}")
            write(new / lock_of(name), (work / lock_of(name)).read_text("utf-8"))
        for name in set(LISTS) - set(raised):
            write(new / name, (root / name).read_text("utf-8"))
        check_locks(new)
        if not prove(new, again=False):
            return False
        for name in [*map(lock_of, LISTS), *raised]:
            part = Path(shutil.copy(new / name, root / f"{name}.part"))
            part.replace(root / name)
        return True


def check_locks(root):
    """Compare each list with its lock.

    Raises:
        LockError: A lock lacks a pin.
    """
    for name in LISTS:
        if missing := not_locked(root, name):
            raise LockError(f"{lock_of(name)} lacks {', '.join(missing)}")


def solve(work, lists, output, preferred, project="", environments=None):
    """Have uv solve lists.

    Args:
        work: folder in which the lists lie.
        lists: their names, and options for uv.
        output: name of the solution.
        preferred: packages and their versions, which are taken where they can be.
        project: text of a pyproject.toml that may be one of the lists.
        environments: markers of systems, for each of which there must be wheels.

    Returns:
        packages and their versions, as a set of pairs.
    """
    # As if they came from an earlier solution, from which uv does not depart in vain.
    write(work / output, "".join(f"{n}=={v}\n" for n, v in sorted(preferred)))
    options = ["--universal", "--python-version=3.11", "--fork-strategy=fewest"]
    options += ["--annotation-style=line", f"--output-file={output}"]
    options += ["--custom-compile-command=python -m tools.lock"]
    settings = {"constraint-dependencies": LIMITS}
    if environments:
        options += ["--only-binary=:all:"]
        settings["environments"] = environments
    uv(work, project, settings, *options, *lists)
    return read_pins(work / output)


def raise_pins(path, versions):
    """Put other versions into a file and leave all else as it is."""

    def newest(match):
        return f"{match[1]}=={versions.get(match[1], match[2])}"

    pin = r"\b([\w.-]+)[=>]=([^\s;,\]]+)"
    write(path, re.sub(pin, newest, path.read_text("utf-8")))


def prove(root, again=True):
    """Resolve each lock for each Python and system, and print a table.

    Args:
        root: folder of the checkout.
        again: ask the index even where uv has its answer from a moment ago.

    Returns:
        whether every lock can be installed everywhere.
    """
    print("Packages that each lock installs, all from wheels:")
    print(" " * 28, *(f"{lock_of(name):>31}" for name in LISTS))
    cases = list(itertools.product(PYTHONS, SYSTEMS))
    failures = []
    with ThreadPoolExecutor(4) as pool:
        tasks = {
            (case, name): pool.submit(resolve, root, name, *case, again)
            for case in cases
            for name in LISTS
        }
        for python, system in cases:
            row = []
            for name in LISTS:
                count, failure = tasks[(python, system), name].result()
                row.append(f"{'FAILED' if failure else count:>31}")
                failures += [failure] if failure else []
            print(f"{python:5} {system.name:22}", *row, flush=True)
    print(*failures, sep="\n", end="")
    return not failures


def resolve(root, name, python, system, again=True):
    """Resolve a lock for one Python and system, from wheels alone.

    Returns:
        how many packages it installs, and why it cannot (empty if it can).
    """
    lock = root / lock_of(name)
    options = [f"--python-version={python}", f"--python-platform={system.platform}"]
    options += ["--only-binary=:all:", "--no-annotate", "--no-header", str(lock)]
    where = f"{lock_of(name)}, Python {python}, {system.name}"
    with tempfile.TemporaryDirectory() as work:
        ask = functools.partial(uv, Path(work), "", {}, *options, macos=MACOS[name])
        try:
            said = ask() if again else ask("--offline")
        except LockError:
            try:
                said = ask()
            except LockError as error:
                return 0, f"{where}: {error}\n"
    resolved = set(PIN.findall(said))
    if missing := sorted(package for package, _ in resolved - read_pins(lock)):
        return len(resolved), f"{where}: lacks {', '.join(missing)}\n"
    return len(resolved), ""


def uv(work, project, settings, *arguments, macos=None):
    """Run `uv pip compile` in `work` with a project's settings; returns its output."""
    lines = [f"{name} = {values!r}" for name, values in settings.items()]
    write(work / "pyproject.toml", "\n".join([project, "[tool.uv]", *lines, ""]))
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *arguments]
    ended = subprocess.run(
        command,
        cwd=work,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        env=os.environ | ({"MACOSX_DEPLOYMENT_TARGET": macos} if macos else {}),
    )
    if "No module named uv" in ended.stderr:
        raise LockError("uv is missing: python -m tools.setup test")
    if ended.returncode != 0:
        raise LockError(ended.stderr.strip())
    return ended.stdout


def write(path, text):
    """Write a text file, the same on every system; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    console.run(main)
