"""Installing: what is run, when it is run again, and what is said where it fails."""

import ast
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib

import pytest

from tests.conftest import ROOT
from tools import console, setup
from tools.lock import PYTHONS, SYSTEMS
from tools.setup import LOCKS, Environment, SetupError

# Each makes an environment, whose Python it starts several times.
slow = functools.partial(pytest.param, marks=pytest.mark.slow)
posix = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell and signals")

# In the place of pip: notes what it is asked for and does as the test says.
PIP = """
import json, os, sys
folder = os.path.dirname(__file__)
with open(os.path.join(folder, "asked"), "a") as notes:
    print(json.dumps(sys.argv[1:]), file=notes)
with open(os.path.join(folder, "does"), encoding="utf-8") as text:
    exec(text.read())
"""
OFFLINE = """WARNING: Retrying (Retry(total=0)) after connection broken by \
'NewConnectionError('[Errno -3] Temporary failure in name resolution')': /absl-py/
ERROR: Could not find a version that satisfies the requirement absl-py==2.5.1 (from \
versions: none)
ERROR: No matching distribution found for absl-py==2.5.1
"""
PROJECT = '[project]\nname = "unrolled"\n\n[tool.ruff]\nline-length = 88\n'


class FakePip:
    """The pip of an environment: what it was asked for, and what it is to do."""

    def __init__(self, environment):
        version = "{}.{}".format(*sys.version_info)
        names = {"nt": "Lib/site-packages"}
        packages = names.get(os.name, f"lib/python{version}/site-packages")
        self.folder = environment.folder / packages / "pip"
        self.folder.mkdir(parents=True)
        (self.folder / "__init__.py").touch()
        (self.folder / "__main__.py").write_text(PIP, encoding="utf-8")
        self.does("print('Requirement already satisfied')")

    def does(self, code):
        (self.folder / "does").write_text(code, encoding="utf-8")

    def asked(self):
        """Arguments of each call so far, without the common options."""
        notes = self.folder / "asked"
        lines = notes.read_text("utf-8").splitlines() if notes.exists() else []
        options = setup.PIP[2:]
        return [[a for a in json.loads(x) if a not in options] for x in lines]


@pytest.fixture
def root(tmp_path):
    """A checkout in a folder that somebody may well have."""
    root = tmp_path / "Мои курсы 课程 (1)"
    for lock in LOCKS.values():
        (root / lock).parent.mkdir(parents=True, exist_ok=True)
        (root / lock).write_text(f"# {lock}\n", encoding="utf-8")
    (root / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (root / "tools" / "site").mkdir()
    (root / "tools" / "site" / "katex.py").write_text(
        "with open('fetched', 'a') as file: file.write('KaTeX ')", encoding="utf-8"
    )
    for name in ("__init__.py", "console.py", "setup.py"):
        shutil.copy(ROOT / "tools" / name, root / "tools" / name)
    return root


@pytest.fixture
def environment(root):
    environment = Environment(root)
    environment.prepare()
    return environment


@pytest.fixture
def pip(environment):
    return FakePip(environment)


EDITABLE = ["--no-build-isolation", "-e", "."]


def wheels(*names):
    options = ["--only-binary=:all:", "--no-compile"]
    return options + [x for n in names for x in ("-r", LOCKS[n])]


def test_installs_locks_package_and_katex(environment, pip, capsys):
    environment.complete(["book"])
    assert pip.asked() == [wheels("book"), EDITABLE]
    assert (environment.root / "fetched").read_text("utf-8") == "KaTeX "
    assert "-m tools.site.build" in capsys.readouterr().out


def test_a_second_call_returns_at_once(environment, pip, capsys):
    environment.complete(["book"], quiet=True)
    before = pip.asked()
    capsys.readouterr()
    for path in environment.root.rglob("*"):
        if path.is_file():
            os.utime(path)  # as in a fresh clone: times say nothing
    environment.prepare()
    environment.complete(["book"], quiet=True)
    assert pip.asked() == before
    assert capsys.readouterr().out == ""
    environment.complete(["book"])
    assert "Everything is installed" in capsys.readouterr().out


def test_what_is_missing_comes_in_one_go(environment, pip):
    environment.complete(["test", "teach"])
    environment.complete(["book"])
    assert pip.asked() == [wheels("book", "test", "teach"), EDITABLE]


def test_only_what_changed_is_installed_again(environment, pip):
    environment.complete(["test"])
    (environment.root / LOCKS["test"]).write_text("# another\n", encoding="utf-8")
    environment.complete(["test"])
    assert pip.asked()[2:] == [wheels("test"), EDITABLE]


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [("unrolled", "other", True), ("= 88", "= 80", False)],
)
def test_which_part_of_the_project_counts(environment, pip, old, new, again):
    environment.complete(["book"])
    path = environment.root / "pyproject.toml"
    path.write_text(PROJECT.replace(old, new), encoding="utf-8")
    environment.complete(["book"])
    assert len(pip.asked()) == (4 if again else 2)


@pytest.mark.parametrize("damaged", ["{", *map(slow, ["", "[]", "{}", "\udcff"])])
def test_a_damaged_stamp_is_no_stamp(environment, pip, damaged):
    environment.complete(["book"])
    environment.stamp.write_bytes(damaged.encode("utf-8", "surrogateescape"))
    environment.prepare()
    environment.complete(["book"])
    assert len(pip.asked()) == 4


def test_pip_comes_where_it_is_missing(environment, pip, monkeypatch):
    """As in environments that uv made."""
    shutil.rmtree(pip.folder)
    asked = []
    monkeypatch.setattr(
        environment, "ask", lambda command, doing: asked.append(command)
    )
    monkeypatch.setattr(environment, "install", lambda *arguments: None)
    environment.complete(["book"])
    assert asked[0][1:] == ["-m", "ensurepip", "--default-pip"]


@posix
def test_a_vanished_python_is_replaced(environment, capsys):
    for path in environment.python.parent.glob("python*"):
        path.unlink()
        path.symlink_to(environment.root / "gone")
    environment.prepare()
    assert (
        "The Python behind .venv is gone. Making .venv anew" in capsys.readouterr().out
    )
    assert environment.probe()[0] == sys.version_info[:3]


def test_a_moved_checkout_is_installed_again(environment, pip, capsys):
    environment.complete(["book"])
    moved = environment.root.rename(environment.root.with_name("moved"))
    again = Environment(moved)
    with again.kept():
        again.prepare()
    assert "This folder has moved" in capsys.readouterr().out
    assert not list(moved.rglob("pip/asked"))


def test_another_python_is_replaced(environment, monkeypatch, capsys):
    monkeypatch.setattr(environment, "probe", lambda: ((3, 14, 0), True))
    environment.prepare()
    assert "The Python of .venv is 3.14" in capsys.readouterr().out


def test_clear_begins_anew(environment, pip):
    environment.complete(["book"])
    environment.prepare(clear=True)
    assert not pip.folder.exists() and not environment.stamp.exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, *map(slow, [SetupError, OSError])])
def test_what_is_not_completed_leaves_the_old_environment(environment, pip, stop):
    environment.complete(["book"])
    with pytest.raises(stop), environment.kept():
        environment.prepare(clear=True)
        assert not pip.folder.exists()
        raise stop
    assert pip.folder.exists() and not environment.aside.exists()
    environment.prepare()
    environment.complete(["book"])
    assert len(pip.asked()) == 2  # nothing is missing


def test_what_was_killed_leaves_the_old_environment(environment, pip):
    environment.complete(["book"])
    environment.prepare(clear=True)  # and no more
    with environment.kept():
        environment.prepare()
        environment.complete(["book"])
    assert len(pip.asked()) == 2 and not environment.aside.exists()


@pytest.mark.parametrize("changing", [False, True])
def test_only_what_pip_was_killed_in_is_made_anew(environment, pip, changing, capsys):
    """Killed as it downloads, pip has changed nothing: a network is not needed."""
    environment.complete(["book"])
    environment.unfinished.touch()
    said = (
        "Installing collected packages: absl-py" if changing else "Collecting absl-py"
    )
    environment.log.write_text(f"{said}\n", encoding="utf-8")
    environment.prepare()
    assert pip.folder.exists() != changing
    assert ("was interrupted" in capsys.readouterr().out) == changing


def test_nobodys_own_settings_reach_pip(environment, pip, monkeypatch):
    """Only which index is asked, and how."""
    for name in ("PIP_TARGET", "PIP_DRY_RUN", "PIP_PREFIX", "PYTHONPATH"):
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    names = "TARGET DRY_RUN PREFIX INDEX_URL USER"
    pip.does(
        "print([n + '=' + os.environ.get('PIP_' + n, '-') "
        f"for n in {names!r}.split()], sys.path, __debug__)"
    )
    environment.install("-e", ".")
    said = environment.said()
    assert "'TARGET=-', 'DRY_RUN=-', 'PREFIX=-'" in said and "USER=0" in said
    assert "INDEX_URL=https://mirror.example" in said
    assert "elsewhere" not in said and "True" in said


def test_a_second_installation_waits(environment, pip):
    """And finds everything there; a killed one holds nobody up."""
    waits = "from tools.setup import *; from tools import setup; setup.main(['book'])"
    lock = environment.root / "_build" / "setup.lock"
    run = [sys.executable, "-c", waits]
    options = {"cwd": environment.root, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    with console.alone(lock, "installation"):
        other = subprocess.Popen(run, **options)
        assert other.stdout.readline().startswith("Waiting for another installation")
        environment.complete(["book"])
    said, _ = other.communicate()
    assert other.returncode == 0 and "Everything is installed" in said
    assert len(pip.asked()) == 2


def test_an_environment_in_use_is_left_alone(environment, pip, monkeypatch):
    """As Windows leaves it, while a program of it runs."""

    def refuse(path, target):
        raise PermissionError(13, "Access is denied", str(path))

    monkeypatch.setattr(type(environment.folder), "rename", refuse)
    with pytest.raises(SetupError, match="is in use: end what runs from it"):
        environment.prepare(clear=True)
    assert pip.folder.exists()


def test_what_is_no_environment_is_left_alone(root):
    keep = root / ".venv" / "thesis.tex"
    keep.parent.mkdir()
    keep.touch()
    environment = Environment(root)
    environment.aside.mkdir()  # of a killed installation, say
    with (
        pytest.raises(SetupError, match="is not a virtual environment: move it away"),
        environment.kept(),
    ):
        environment.prepare(clear=True)
    assert keep.exists()


def test_a_file_in_the_place_of_the_environment_is_left_alone(root):
    """As other tools write it, to say where they keep theirs."""
    (root / ".venv").write_text("elsewhere", encoding="utf-8")
    with pytest.raises(SetupError, match="is not a virtual environment: move it away"):
        Environment(root).prepare()
    assert (root / ".venv").read_text("utf-8") == "elsewhere"


@posix
def test_what_was_killed_before_it_began_is_no_hindrance(root):
    (root / ".venv" / "include").mkdir(parents=True)
    environment = Environment(root)
    environment.prepare()
    assert environment.probe()[0] == sys.version_info[:3]


def test_a_missing_lock_is_named(environment, pip):
    (environment.root / LOCKS["book"]).unlink()
    with pytest.raises(SetupError, match=r"^requirements.lock cannot be read"):
        environment.complete(["book"])


FAILURES = {
    OFFLINE: "The package index cannot be reached. Installing needs it once",
    "OSError: [Errno 28] No space left on device": "The disk is full",
    "HINT: This error might have occurred since this system does not have Windows "
    "Long Path support enabled.": "Allow long paths",
    "/usr/bin/python3: No module named ensurepip": "apt install python3.",
    "Error: Refusing to create a venv in /a:b/.venv because it contains the PATH "
    "separator :.": "has a colon in it",
}


@pytest.mark.parametrize("said", FAILURES)
def test_a_known_failure_is_one_sentence(environment, pip, said):
    pip.does(f"sys.stderr.write({said!r}); sys.exit(1)")
    with pytest.raises(SetupError) as error:
        environment.complete(["book"])
    message = str(error.value)
    assert FAILURES[said] in message and "\n" not in message
    assert not environment.stamp.exists()


def test_an_unknown_failure_shows_its_last_lines(environment, pip):
    pip.does("print('WARNING: old', 'чужой индекс', sep='\\n'); sys.exit(1)")
    with pytest.raises(SetupError) as error:
        environment.complete(["book"])
    first, *rest = str(error.value).splitlines()
    assert first == f"pip failed (see {environment.log}):"
    assert rest == ["чужой индекс"]


@pytest.mark.parametrize("changing", [False, True])
def test_what_pip_broke_off_is_made_anew(environment, pip, changing, capsys):
    """Halfway through installing, but not through downloading."""
    line = (
        "Installing collected packages: absl-py" if changing else "Collecting absl-py"
    )
    pip.does(f"print({line!r}); sys.exit(1)")
    with pytest.raises(SetupError):
        environment.complete(["book"])
    environment.prepare()
    said = "An earlier installation was interrupted" in capsys.readouterr().out
    assert said == changing
    assert pip.folder.exists() != changing


@posix
def test_ctrl_c_says_what_is_kept(environment, pip):
    installing = environment.root / "installing"
    os.mkfifo(installing)  # opening it waits for the other side
    pip.does(
        "print('Installing collected packages: absl-py')\n"
        f"open({str(installing)!r}, 'w').close(); sys.stdin.read()"
    )
    command = [sys.executable, "-m", "tools.setup"]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    options |= {"encoding": "utf-8"}
    options |= {"stderr": subprocess.PIPE, "start_new_session": True}
    with subprocess.Popen(command, cwd=environment.root, **options) as run:
        installing.read_bytes()
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate()
    assert run.returncode == 130
    assert said == "\nInterrupted. Downloads are kept: run the same command again.\n"
    assert environment.unfinished.exists()


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14)])
def test_other_pythons_are_told_which_to_take(version):
    with pytest.raises(SetupError, match="13 -m tools") as error:
        setup.check_python(version)
    assert str(error.value).startswith("This is Python {}.{}. ".format(*version))
    assert ("TensorFlow has no wheels" in str(error.value)) == (version > (3, 13))


def test_pythons_are_those_of_the_locks():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for python in PYTHONS:
        setup.check_python(tuple(map(int, python.split("."))))
        assert f"Programming Language :: Python :: {python}" in project["classifiers"]
    assert PYTHONS[0] == "{}.{}".format(*setup.OLDEST)
    assert PYTHONS[-1] == "{}.{}".format(*setup.NEWEST)


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        (("darwin", "x86_64", 64), "64-bit Python on macOS, x86_64"),
        (("win32", "ARM64", 64), "64-bit Python on Windows, ARM64"),
        (("win32", "AMD64", 32), "32-bit Python on Windows, AMD64"),
        (("freebsd14", "amd64", 64), "64-bit Python on freebsd14, amd64"),
    ],
)
def test_machines_without_tensorflow_are_told(machine, says):
    with pytest.raises(SetupError, match=r"pip install -e \.$") as error:
        setup.check_machine(*machine)
    assert says in str(error.value)


def test_machines_are_those_of_the_locks():
    markers = {
        f"sys_platform == '{system}' and platform_machine == '{machine}'"
        for system, machine in setup.MACHINES
    }
    assert markers == {system.marker for system in SYSTEMS}
    for system, machine in setup.MACHINES:
        setup.check_machine(system, machine, 64)


@pytest.mark.parametrize("name", ["__init__.py", "console.py", "setup.py"])
def test_older_pythons_can_read_it(name):
    """So that they can say which one to take."""
    ast.parse((ROOT / "tools" / name).read_text("utf-8"), feature_version=(3, 7))


def test_an_unknown_part_is_an_error(capsys):
    with pytest.raises(SystemExit) as stop:
        setup.main(["books"])
    assert stop.value.code == 2
    assert "what is 'books'; expected book, test, teach" in capsys.readouterr().err


@posix
def test_messages_survive_a_plain_locale(environment, pip):
    environment.complete(["book"])
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = subprocess.run(
        [sys.executable, "-m", "tools.setup"],
        cwd=environment.root,
        env=os.environ | plain,
        capture_output=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert run.stdout.startswith(b"Everything is installed in ")
    assert len(pip.asked()) == 2


# What `make` does with what is typed.

STUB = "import sys\nprint(*sys.argv[1:], sep='|')\n"


@pytest.fixture
def made(root):
    """A checkout whose commands only say what they were given."""
    if shutil.which("make") is None:
        missing = "make is not installed"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    shutil.copy(ROOT / "Makefile", root)
    (root / "unrolled").mkdir()
    for name in ("setup", "grading/grade", "site/build", "site/serve"):
        path = root / "tools" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(STUB, encoding="utf-8")
    python = root / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    return root


def make(root, *arguments):
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=root, capture_output=True, encoding="utf-8", check=False
    )


@posix
def test_a_python_with_a_space_in_its_path(made):
    python = made / "py link" / "python3.11"
    python.parent.mkdir()
    python.write_text(
        f'#!/bin/sh\necho taken; exec "{sys.executable}" "$@"\n', encoding="utf-8"
    )
    python.chmod(0o755)
    run = make(made, "install", f"PYTHON={python}")
    assert (run.returncode, run.stdout) == (0, "taken\n--quiet|book\n"), run.stderr


@posix
@pytest.mark.parametrize(
    "name", ["PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONOPTIMIZE"]
)
def test_settings_of_another_python_do_not_reach_ours(made, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    (made / "tools" / "setup.py").write_text(
        "import os\nprint([n for n in os.environ if n.startswith('PYTHON')])\n",
        encoding="utf-8",
    )
    run = make(made, "install")
    assert run.returncode == 0 and name not in run.stdout, run.stderr


@posix
def test_pages_and_addresses_are_quoted(made):
    run = make(made, "--dry-run", "seeds", "ONLY=my pages/*", "SCHEDULER=tcp://a b")
    assert '--only "my pages/*"' in run.stdout, run.stderr
    assert '--scheduler "tcp://a b"' in run.stdout


@posix
def test_a_python_that_is_not_there(made):
    run = make(made, "book", "PYTHON=/py link/python3.11")
    assert run.returncode == 2
    assert "PYTHON is '/py link/python3.11': there is no such program" in run.stderr


@posix
def test_a_python_that_answers_is_found(made):
    """Past a name that is there and does not work, as pyenv's are."""
    (made / ".venv" / "bin" / "python").unlink()
    bin = made / "bin"
    bin.mkdir()
    broken, works = bin / "python3.11", bin / "python3.12"
    broken.write_text(
        "#!/bin/sh\necho 'pyenv: python3.11: command not found' >&2; exit 127\n",
        encoding="utf-8",
    )
    works.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    for path in (broken, works):
        path.chmod(0o755)
    environment = os.environ | {"PATH": f"{bin}:/usr/bin:/bin"}
    environment.pop("PYTHON", None)
    run = subprocess.run(
        ["make", "-p", "--dry-run", "install"],
        cwd=made,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "PYTHON := python3.12\n" in run.stdout, run.stderr


@posix
def test_a_forgotten_assignment(made):
    run = make(made, "grade")
    assert run.returncode == 2
    assert run.stderr.startswith(
        "Which assignment? For example: make grade ASSIGNMENT=a1"
    )
    assert run.stdout == ""


@posix
def test_folders_with_spaces(made):
    run = make(made, "grade", "ASSIGNMENT=a2", "FROM=my class", "TO=its grades")
    assert "a2|my class|--output|its grades" in run.stdout, run.stderr


@posix
def test_containers_may_open_the_notebooks(made):
    run = make(made, "--dry-run", "lab")
    assert ("--allow-root" in run.stdout) == (os.getuid() == 0), run.stderr
