"""Commands start and end well on any console."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tools import console

CODE = r"""from tools import console
def interrupt():
    raise KeyboardInterrupt
console.run({main}, "Go on \u2026")"""


@pytest.mark.parametrize(
    ("main", "status", "out", "error"),
    [
        (r'lambda: print("\xfc \u2026")', 0, r"\xfc \u2026", ""),
        ("lambda: 3", 3, "", ""),
        ("interrupt", 130, "", r"Go on \u2026"),
    ],
)
def test_a_command_on_a_plain_console(main, status, out, error):
    """One that knows no letter outside of English."""
    ran = subprocess.run(
        [sys.executable, "-c", CODE.format(main=main)],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        cwd=ROOT,
        capture_output=True,
        encoding="ascii",
        check=False,
    )
    assert (ran.returncode, ran.stdout.strip()) == (status, out)
    assert ran.stderr.strip() == error


def start(code):
    """Run code from the checkout's root; its output is read as text."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without a word")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_command_with_a_sentence(name):
    code = """from tools import console
def main():
    try:
        print("begun", flush=True)
        input()
    finally:
        print("cleared up")
console.run(main, "Go on.")"""
    with start(code) as command:
        assert command.stdout.readline() == "begun\n"
        command.send_signal(getattr(signal, name))
        out, error = command.communicate()
    assert (command.returncode, out) == (130, "cleared up\n")
    assert error == "\nGo on.\n"


@pytest.mark.parametrize(
    ("number", "filename", "says"),
    [
        (errno.ENOSPC, "/site", "/site cannot be written: the disk is full: make room"),
        (errno.ENOSPC, None, "A file cannot be written: the disk is full: make room"),
        (
            errno.EROFS,
            b"/site",
            "/site cannot be written: nothing can be written there",
        ),
        (errno.EEXIST, "/site", "/site cannot be written: something else lies there"),
        (errno.EACCES, "/site", "/site cannot be written: access is denied"),
    ],
)
def test_what_cannot_be_written_is_said_in_a_sentence(capsys, number, filename, says):
    def main():
        raise OSError(number, os.strerror(number), filename)

    with pytest.raises(SystemExit) as stop:
        console.run(main)
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.split("\n")[1:-1]
    assert line.startswith(says) and line.endswith(", then try again.")


def test_other_errors_keep_their_traceback():
    def main():
        raise FileNotFoundError(errno.ENOENT, "No such file", "unrolled")

    with pytest.raises(FileNotFoundError):
        console.run(main)


HOLD = """from pathlib import Path
from tools import console
with console.alone(Path({path!r}), "build"):
    print("alone", flush=True)
    input()"""


def test_a_second_command_waits_for_the_first(tmp_path):
    """And goes on when that was killed, too."""
    path = tmp_path / "new" / "lock"
    with start(HOLD.format(path=str(path))) as first:
        assert first.stdout.readline() == "alone\n"
        with start(HOLD.format(path=str(path))) as second:
            said = second.stdout.readline()
            assert said == f"Waiting for another build in {path.parent} to end.\n"
            first.kill()
            assert second.stdout.readline() == "alone\n"
            second.communicate("\n")
    assert second.returncode == 0
    with console.alone(path, "build"):
        pass


def test_where_nothing_can_be_written_nothing_waits(tmp_path):
    (tmp_path / "file").touch()
    with console.alone(tmp_path / "file" / "lock", "build"):
        pass
