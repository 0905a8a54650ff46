"""`make seeds` on a small page: what fails is counted, what has run is kept."""

import csv
import subprocess
import sys

import nbformat
import numpy as np
import pytest

from tests.conftest import ROOT, write_page
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


@pytest.fixture
def make(small_book, tmp_path, monkeypatch):
    """Run the script on a book of one page; returns it and the seeds that ran."""
    monkeypatch.setenv("UNROLLED_MNIST", "embedded")
    log = tmp_path / "runs"

    def run(*arguments, source=PAGE):
        log.write_text("", encoding="utf-8")
        for page in (small_book / "book").rglob("*.ipynb"):
            page.unlink()
        cells = source.format(log=str(log)).split("\nfor")  # two cells
        cells[1:] = ["for" + cell for cell in cells[1:]]
        write_page(small_book / "book" / "uses.ipynb", "# Page", cells)
        command = [sys.executable, "-m", "tools.experiments.seeds"]
        command += ["--root", str(small_book)]
        result = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return result, [int(seed) for seed in log.read_text("utf-8").split()]

    return run


def read_table(small_book):
    with (small_book / "_build" / "seeds" / "table.csv").open(encoding="utf-8") as file:
        return {row["assertion"]: row for row in csv.DictReader(file)}


def test_failures_are_counted_and_the_page_goes_on(make, small_book):
    result, ran = make("--seeds", "1", "2", "3", "4", "5", "6")
    assert result.returncode == 1, result.stderr
    assert sorted(ran) == [1, 2, 3, 4, 5, 6]
    assert "failed for 1 of 6 seeds 4" in result.stdout
    assert "1 failures under 6 base seeds" in result.stdout
    table = read_table(small_book)
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


def test_only_what_is_missing_runs(make):
    assert sorted(make("--seeds", "1", "2")[1]) == [1, 2]
    result, ran = make("--seeds", "1", "2", "3", "--processes", "1")
    assert ran == [3] and result.returncode == 0
    assert make("--seeds", "3", source=PAGE + " + 0")[1] == [3]  # the page has changed


def test_a_page_that_stops_is_named(make):
    result, _ = make("--seeds", "1", source=PAGE + "\n    1 / 0")
    assert result.returncode == 1
    assert "uses.ipynb [], stopped: ZeroDivisionError" in result.stdout


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
        (["--draw", "0"], "expected 1 or more"),
        (["--seeds", "-1"], "0 or more"),
        (["--only", "book/9*"], "matches no page"),
    ],
)
def test_refuses(capsys, arguments, says):
    with pytest.raises(SystemExit):
        seeds.main(arguments)
    assert says in capsys.readouterr().err


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


def test_no_notebook_keeps_what_watches_it(make, small_book):
    make("--seeds", "1")
    page = nbformat.read(small_book / "book" / "uses.ipynb", 4)
    assert len(page.cells) == 3 and not assertions.read(page)
