"""Ruff over modules and notebooks, and files that agree with each other."""

import re
import subprocess
import sys
import tomllib

from tests.conftest import ROOT


def ruff(*arguments):
    command = [sys.executable, "-m", "ruff", *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_lint():
    ruff("check", "--no-cache", ".")


def test_format():
    ruff("format", "--no-cache", "--check", ".")


def pins(name):
    """Exact versions in a requirements file, by package."""
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))


def test_lock_holds_every_pin():
    direct, lock = pins("requirements.txt"), pins("requirements.lock")
    assert direct.items() <= lock.items(), "run `make lock`"
    assert len(lock) > 3 * len(direct)
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    names = [line for line in lines if line and not line.lstrip().startswith("#")]
    assert len(names) == len(direct), "a requirement without an exact version"


def test_package_admits_the_pins():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {
        re.match(r"[\w-]+", requirement)[0] for requirement in project["dependencies"]
    }
    assert needed <= set(pins("requirements.lock"))


def test_readme_names_only_what_there_is():
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|^    )make ([a-z]+)", readme, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for path in re.findall(
        r"\]\(([^)#:]+)\)|`((?:book|unrolled|tests|\.ci)/[\w./-]*)`", readme
    ):
        assert (ROOT / (path[0] or path[1])).exists(), path
