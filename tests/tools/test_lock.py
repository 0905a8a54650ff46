"""Locks: what is solved, what is written, and what the proof refuses."""

import itertools
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import lock
from tools.lock import (
    BINDER,
    HOOKS,
    LIMITS,
    LISTS,
    SYSTEMS,
    LockError,
    lock_of,
    read_pins,
)

READERS, TESTS, TEACHERS = LISTS
TEXTS = {
    READERS: "-c requirements.lock\n-e .\nnumpy==2.0  # pages\ntensorflow==2.20\n",
    TESTS: "-r ../requirements.txt\nruff==0.1\n",
    TEACHERS: "-r ../../requirements.txt\njinja2==3.0\n",
    HOOKS: "repos: [{needs: [ruff==0.1]}, {needs: [ruff==0.1, six==1]}]\n",
    BINDER: "-c ../requirements.lock\n.\ntensorflow-cpu==2.20\n",
    "pyproject.toml": '[project]\nname = "unrolled"\ndependencies = ["tqdm"]\n',
}


@pytest.fixture
def root(tmp_path):
    for name, text in TEXTS.items():
        lock.write(tmp_path / name, text)
    return tmp_path


class Index:
    """In the place of uv: knows one newest version of each package."""

    def __init__(self):
        self.newest = {
            "numpy": "2.1",
            "tensorflow": "2.21",
            "ruff": "0.2",
            "jinja2": "3.1",
        }
        self.beneath = {"tensorflow": "absl-py==2.5"}
        self.calls = []

    def __call__(self, work, project, settings, *arguments, macos=None):
        if "--no-annotate" in arguments:  # the proof
            (path,) = [a for a in arguments if a.endswith(".lock")]
            return Path(path).read_text("utf-8")
        lists = [name for name in LISTS if name in arguments]
        assert lists, arguments
        self.calls.append((project, settings, arguments))
        found = []
        for name in lists:
            text = (work / name).read_text("utf-8")
            assert not re.search(r"^-", text, re.MULTILINE)
            for package, sign, version in re.findall(
                r"^([\w-]+)([=>]=)(\S+)", text, re.M
            ):
                version = version if sign == "==" else self.newest[package]
                found += [f"{package}=={version}", self.beneath.get(package, "")]
        output = next(a for a in arguments if a.startswith("--output-file="))
        path = work / output.partition("=")[2]
        lock.write(path, "\n".join(filter(None, found)) + "\n")


@pytest.fixture
def index(monkeypatch):
    index = Index()
    monkeypatch.setattr(lock, "uv", index)
    return index


def test_lists_are_solved_together_and_locked_apart(root, index):
    lock.write_locks(root)
    readers = {("numpy", "2.0"), ("tensorflow", "2.20"), ("absl-py", "2.5")}
    assert read_pins(root / lock_of(READERS)) == readers
    assert read_pins(root / lock_of(TESTS)) == readers | {("ruff", "0.1")}
    assert read_pins(root / lock_of(TEACHERS)) == readers | {("jinja2", "3.0")}
    assert {name: (root / name).read_text("utf-8") for name in TEXTS} == TEXTS
    project, settings, arguments = index.calls[0]
    assert project == TEXTS["pyproject.toml"] and "pyproject.toml" in arguments
    assert "--only-binary=:all:" in arguments
    assert len(settings["environments"]) == len(SYSTEMS)
    assert all(call[1]["constraint-dependencies"] == LIMITS for call in index.calls)


def files(root):
    return {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("upgrade", [False, True])
@pytest.mark.parametrize("call", [1, 2, 4, 9])
@pytest.mark.parametrize("stop", [LockError, KeyboardInterrupt])
def test_what_fails_on_the_way_leaves_everything(
    root, index, monkeypatch, upgrade, call, stop
):
    """Solving together, one list alone, proving: all before anything is written."""
    lock.write_locks(root)
    lock.write(root / READERS, TEXTS[READERS].replace("2.20", "2.19"))
    before, answer = files(root), index.__call__
    calls = itertools.count(1)

    def fail(*arguments, **options):
        if next(calls) >= call:
            raise stop("no solution")
        return answer(*arguments, **options)

    monkeypatch.setattr(lock, "uv", fail)
    if call > 4 and stop is LockError:
        assert not lock.write_locks(root, upgrade)  # not proved
    else:
        with pytest.raises(stop):
            lock.write_locks(root, upgrade)
    assert files(root) == before


def test_binder_follows_a_pin(root, index):
    lock.write(root / READERS, TEXTS[READERS].replace("2.20", "2.19"))
    lock.write_locks(root)
    expected = TEXTS[BINDER].replace("2.20", "2.19")
    assert (root / BINDER).read_text("utf-8") == expected


def test_upgrade_raises_every_pin(root, index):
    lock.write_locks(root, upgrade=True)
    assert (root / READERS).read_text("utf-8") == (
        TEXTS[READERS].replace("2.0", "2.1").replace("2.20", "2.21")
    )
    assert "ruff==0.2" in (root / TESTS).read_text("utf-8")
    assert (root / HOOKS).read_text("utf-8") == TEXTS[HOOKS].replace("0.1", "0.2")
    assert "tensorflow-cpu==2.21" in (root / BINDER).read_text("utf-8")
    assert ("numpy", "2.1") in read_pins(root / lock_of(TEACHERS))
    assert all(lock.not_locked(root, name) == [] for name in LISTS)


def test_locks_of_other_versions_are_not_written(root, index):
    versions = iter(["2.5", "2.6", "2.7", "2.8"])

    class Fickle(dict):
        def get(self, package, default):
            return f"absl-py=={next(versions)}" if package == "tensorflow" else default

    index.beneath = Fickle()
    with pytest.raises(LockError, match="other versions"):
        lock.write_locks(root)
    assert not (root / lock_of(READERS)).exists()


def test_a_pin_that_no_lock_has(root, index, monkeypatch, capsys):
    lock.write_locks(root)
    lock.write(root / TESTS, TEXTS[TESTS].replace("0.1", "0.3"))
    monkeypatch.setattr(lock, "ROOT", root)
    assert lock.main(["--check"]) == 1
    assert capsys.readouterr().err == "tests/requirements.lock lacks ruff==0.3\n"


def prove(root, monkeypatch, answer, **options):
    """Run the proof with a function in the place of uv."""
    for name in LISTS:
        lock.write(root / lock_of(name), "numpy==2.0\nabsl-py==2.5\n")
    monkeypatch.setattr(lock, "uv", answer)
    return lock.prove(root, **options)


def test_proof(root, monkeypatch, capsys):
    asked = set()

    def answer(work, project, settings, *arguments, macos):
        python, platform, wheels = arguments[:3]
        assert wheels == "--only-binary=:all:"
        asked.add((python, platform, macos))
        return "numpy==2.0\nabsl-py==2.5\n"

    assert prove(root, monkeypatch, answer)
    assert len(asked) == 3 * 4 * 2  # developers need a newer macOS
    rows = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == 3 * 4
    assert all(row.split()[-3:] == ["2", "2", "2"] for row in rows)


def test_proof_of_what_has_no_wheels(root, monkeypatch, capsys):
    def answer(work, project, settings, *arguments, macos):
        if "--python-version=3.12" in arguments and "windows" in arguments[1]:
            raise LockError("numpy==2.0 has no usable wheels")
        return "numpy==2.0\n"

    assert not prove(root, monkeypatch, answer)
    said = capsys.readouterr().out
    assert said.count("FAILED") == 3
    name = f"{lock_of(READERS)}, Python 3.12, Windows, x86-64"
    assert f"{name}: numpy==2.0 has no usable wheels" in said


def test_proof_of_what_is_incomplete(root, monkeypatch, capsys):
    answer = "numpy==2.0\nabsl-py==2.5\nsix==1.17\n"
    assert not prove(root, monkeypatch, lambda *arguments, macos: answer)
    assert (
        "requirements.lock, Python 3.11, Linux, ARM: lacks six"
        in capsys.readouterr().out
    )


def test_the_index_is_asked_where_the_cache_does_not_know(root, monkeypatch):
    def answer(*arguments, macos):
        if "--offline" in arguments:
            raise LockError("not in the cache")
        return "numpy==2.0\n"

    assert prove(root, monkeypatch, answer, again=False)


def test_without_uv(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text(
        "#!/bin/sh\necho 'No module named uv' >&2; exit 1\n", encoding="utf-8"
    )
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(LockError, match=r"python -m tools\.setup test"):
        lock.uv(tmp_path, "", {})


def test_limits_are_explained():
    text = (ROOT / READERS).read_text("utf-8")
    for limit in LIMITS:
        name = limit.partition("<")[0]
        assert re.search(
            rf"^{name}==\S+ +#.*|nbmake.*{name} \d+ on", text, re.MULTILINE
        )
