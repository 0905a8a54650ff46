"""`make seeds` on a small page: what fails is counted, what has run is kept."""

import csv
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from tests.conftest import ROOT, write_page, write_small_book
from tools.experiments import assertions, seeds

PAGE = """import numpy as np
from unrolled.course import base_seed, guard, how_many, say
open({log!r}, "a").write(f"{{base_seed()}} ")
seed = base_seed()
nearest = leave = record = None  # names of a page are its own
x = np.array([1.0, 2.0, seed % 4])
assert np.allclose(x, x + 1e-9) and len(x) == 3
assert (x > 0).all(), "fails for every fourth seed"
guard("the seed, a little moved", 9 + seed % 3 / 10, above=7, spread=(9.1, 0.1))
say(f"{{how_many(x > 1)}} are larger than one.")
for k in range(2):
    assert k < 2"""


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """File in which the page notes the seeds that it runs with."""
    return tmp_path_factory.mktemp("log") / "runs"


@pytest.fixture(scope="module")
def run(log):
    """A function: run the command; returns its status, what it said, seeds that ran."""

    def run(root, *arguments):
        log.write_text("", encoding="utf-8")
        command = [sys.executable, "-m", "tools.experiments.seeds"]
        ended = subprocess.run(
            [*command, "--root", root, *arguments],
            cwd=ROOT,
            env=os.environ | {"UNROLLED_MNIST": "embedded"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        ran = sorted(int(seed) for seed in log.read_text("utf-8").split())
        return ended.returncode, ended.stdout + ended.stderr, ran

    return run


def write_uses(root, log, source=PAGE):
    """Write the page, which is the only one, in two cells."""
    cells = source.format(log=str(log)).split("\nfor")
    write_page(root / "book/uses.ipynb", "# Page", [cells[0], "for" + cells[1]])


@pytest.fixture(scope="module")
def counted(tmp_path_factory, log, run):
    """The page under six seeds, and how that ended; not to be changed."""
    root = write_small_book(tmp_path_factory.mktemp("counted") / "checkout")
    for page in (root / "book").rglob("*.ipynb"):
        page.unlink()
    write_uses(root, log)
    status, said, ran = run(root, "--seeds", "1", "2", "3", "4", "5", "6")
    return SimpleNamespace(root=root, status=status, said=said, ran=ran)


@pytest.fixture
def book(counted, tmp_path):
    """A copy of it."""
    return shutil.copytree(counted.root, tmp_path / "checkout")


def test_failures_are_counted_and_the_page_goes_on(counted):
    assert counted.status == 1 and counted.ran == [1, 2, 3, 4, 5, 6], counted.said
    assert "failed for 1 of 6 seeds 4" in counted.said
    assert "1 failures under 6 base seeds" in counted.said
    with (counted.root / "_build/seeds/table.csv").open(encoding="utf-8") as file:
        table = {row["assertion"]: row for row in csv.DictReader(file)}
    kinds = [row["kind"] for row in table.values()]
    assert kinds == ["theorem", "theorem", "guard", "sentence", "theorem"]
    row = table["(x > 0).all()"]
    assert (row["runs"], row["failures"], row["failed_for"]) == ("6", "1", "4")
    assert row["seen"] == "0 < 0 to 1"
    guarded = table["the seed, a little moved"]
    assert guarded["stated"] == "9.1 ± 0.1"
    assert guarded["found"] == "9.1 ± 0.089"
    assert 0 < float(guarded["chance"]) < 1e-5
    assert table["k < 2"]["seen"] == "1 < 2"  # the time that came nearest


def test_no_notebook_keeps_what_watches_it(counted):
    page = nbformat.read(counted.root / "book/uses.ipynb", 4)
    assert len(page.cells) == 3 and not assertions.read(page)


def test_only_what_is_missing_runs(book, log, run):
    status, _, ran = run(book, "--seeds", "1", "2", "7", "--processes", "1")
    assert status == 0 and ran == [7]
    write_uses(book, log, PAGE + " + 0")
    assert run(book, "--seeds", "2")[2] == [2]  # the page has changed


def test_a_page_that_stops_is_named(book, log, run):
    write_uses(book, log, PAGE + "\n    1 / 0")
    status, said, _ = run(book, "--seeds", "1")
    assert status == 1
    assert "uses.ipynb [], stopped: ZeroDivisionError" in said


def test_fresh_seeds_are_drawn_and_kept_until_they_have_run(tmp_path):
    path = tmp_path / "drawn.json"
    first = seeds.draw(path, 20)
    assert len(set(first)) == 20 and min(first) >= 1_000_000
    assert seeds.draw(path, 20) == first  # after an interruption
    path.unlink()
    assert seeds.draw(path, 20) != first


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--processes", "0"], "--processes is 0; expected 1 or more"),
        (["--root", "nowhere"], "nowhere'; expected a checkout of the book"),
        (["--draw", "0"], "expected 1 or more"),
        (["--seeds", "-1"], "0 or more"),
        (["--only", "book/9*"], "matches no page"),
    ],
)
def test_refuses(capsys, arguments, says):
    with pytest.raises(SystemExit):
        seeds.main(arguments)
    assert says in capsys.readouterr().err


def test_a_page_without_assertions(tmp_path):
    """Has no row; the table is there."""
    assert seeds.report(seeds.tabulate({}), [1], tmp_path / "table.csv") == 0
    assert (tmp_path / "table.csv").read_text("utf-8").startswith("page,at,")


def test_a_chance_is_what_comes_true():
    """What a chance of one in twenty was told for comes once in twenty times."""
    rows = np.random.default_rng(0).normal(size=(4000, 21))
    told = [
        seeds.chance([(new, one) for one in twenty], [seeds.difference])
        for new, *twenty in rows
    ]
    assert abs(np.mean(np.array(told) < 0.05) - 0.05) < 4 * np.sqrt(0.05 / 4000)


def test_a_chance_knows_what_does_not_vary():
    assert seeds.chance([(0, 1)] * 8, [seeds.difference]) == 0
    assert seeds.chance([(1, 0)] * 8, [seeds.difference]) == 1


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [(1.0, 1.0, 0), (1.0, 1.1, 0.1 / 1.1e-5), ([0, 2], [0, 2], 0), (0, 1e-8, 1)],
)
def test_closeness_is_what_allclose_compares(a, b, share):
    found = assertions.closeness(a, b)
    assert np.isclose(found, share, rtol=1e-2)
    assert (found <= 1) == np.allclose(a, b)
