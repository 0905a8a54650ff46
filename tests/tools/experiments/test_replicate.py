"""`make replicate` on two small pages: verdicts compared, nothing run twice."""

import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT, write_page, write_small_book
from tools.experiments import replicate

SAME = """from unrolled.course import base_seed, record_claim
open({log!r}, "a").write("same ")
effect = 2.0 + base_seed()
record_claim("four-times-time", False, effect=effect, of="ratio", data="-")"""
FLIPS = """from unrolled.course import base_seed, record_claim
open({log!r}, "a").write("flips ")
holds = base_seed() < 1
record_claim("order-needs-memory", holds, effect=1.0, of="ratio", data="-")"""


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """File in which the pages note that they run."""
    return tmp_path_factory.mktemp("log") / "runs"


@pytest.fixture(scope="module")
def run(log):
    """A function: run the command; returns its status, what it said, what ran."""

    def run(root, *arguments):
        log.write_text("", encoding="utf-8")
        command = [sys.executable, "-m", "tools.experiments.replicate"]
        ended = subprocess.run(
            [*command, "--root", root, *arguments],
            cwd=ROOT,
            env=os.environ | {"UNROLLED_MNIST": "embedded"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        said = ended.stdout.replace(str(root), "ROOT")
        return ended.returncode, said, sorted(log.read_text("utf-8").split())

    return run


@pytest.fixture(scope="module")
def replicated(tmp_path_factory, log, run):
    """The two pages under seeds 0 and 1, and how that ended; not to be changed."""
    root = write_small_book(tmp_path_factory.mktemp("replicated") / "checkout")
    for name, source in (("4-code/8-cost", SAME), ("1-background/1-memory", FLIPS)):
        path = root / "book" / f"{name}.ipynb"
        path.parent.mkdir()
        write_page(path, "# Page", [source.format(log=str(log))])
    status, said, ran = run(root, "--seeds", "0", "1")
    return SimpleNamespace(root=root, status=status, said=said, ran=ran)


@pytest.fixture
def book(replicated, tmp_path):
    """A copy of it."""
    return shutil.copytree(replicated.root, tmp_path / "checkout")


def test_a_verdict_that_flips_is_named_and_fails(replicated):
    assert replicated.status == 1
    assert replicated.ran == 2 * ["flips"] + 2 * ["same"]
    lines = replicated.said.splitlines()
    (line,) = [line for line in lines if line.endswith("<- differs")]
    assert line.split()[:3] == ["order-needs-memory", "supported", "refuted"]


def test_verdicts_that_agree(book, run):
    """And what has run for a seed does not run for it again."""
    status, said, ran = run(book, "--seeds", "1", "2")
    assert status == 0, said
    assert ran == ["flips", "same"]
    assert re.search(r"four-times-time +refuted +refuted *\n", said)
    table = (book / "_build/replicate/verdicts.csv").read_text("utf-8")
    assert "four-times-time,refuted,refuted" in table
    assert "order-needs-memory,refuted,refuted" in table


def test_what_make_book_has_run_is_taken_over(book, log, monkeypatch, capsys):
    monkeypatch.setenv("UNROLLED_MNIST", "embedded")
    log.write_text("", encoding="utf-8")
    build = book / "_build"
    (build / "replicate/seed-0/executed").rename(build / "executed")
    assert replicate.main(["--root", str(book), "--seeds", "0", "1"]) == 1
    assert log.read_text("utf-8") == ""
    assert "order-needs-memory" in capsys.readouterr().out
    assert (build / "replicate/seed-0/executed/book/4-code/8-cost.ipynb").exists()


def test_a_page_that_fails_is_named_and_the_others_go_on(book, log, run):
    path = book / "book/1-background/1-memory.ipynb"
    write_page(path, "# Page", [FLIPS.format(log=str(log)) + "\n1 / 0"])
    status, said, ran = run(book, "--seeds", "5")
    assert status == 1 and ran == ["flips", "same"]
    assert "book/1-background/1-memory.ipynb failed for base seed 5" in said
    assert "ZeroDivisionError" in said and "refuted" in said


def test_a_dask_cluster_gives_the_same(replicated, book, run, cluster):
    shutil.rmtree(book / "_build")
    status, said, ran = run(book, "--seeds", "0", "1", "--scheduler", cluster)
    assert (status, said, ran) == (replicated.status, replicated.said, replicated.ran)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "-1"], "0 or more"),
        (["--processes", "0"], "--processes is 0; expected 1 or more"),
        (["--root", "nowhere"], "nowhere'; expected a checkout of the book"),
    ],
)
def test_wrong_input_is_refused(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        replicate.main(arguments)
    assert stop.value.code == 2 and says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_digits_that_are_not_there_are_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("UNROLLED_MNIST", "nowhere.npz")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        replicate.main([])
    assert stop.value.code == 2 and "nowhere.npz" in capsys.readouterr().err
