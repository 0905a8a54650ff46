"""Commands start and end well on any console."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

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
