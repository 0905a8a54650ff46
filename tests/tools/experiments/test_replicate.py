"""`make replicate` on two small pages: claims confirmed, and nothing run twice."""

import csv
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import ROOT, write_page, write_small_book
from tools.experiments import replicate
from unrolled.course.ledger import judge_condition, load_claims, read_confirmation
from unrolled.course.measure import measure_effect

START = """from unrolled.course import base_seed, record_claim
from unrolled.course.ledger import load_claims
open({log!r}, "a").write("{word} ")
def effect(condition, holds):
    "A value far on the right or on the wrong side of a condition's margin."
    if "theorem" in condition:
        return condition["theorem"]
    if "within" in condition:
        low, high = condition["within"]
        value = (low + high) / 2 if holds else high + 9 * (high - low)
    else:
        sign = 1 if ("above" in condition) == holds else -1
        margin = condition.get("above", condition.get("below"))
        value = margin * 9.0**sign if "ratio" in condition else margin + 9 * sign
    # Values that all agree would show nothing, within a base seed or between them.
    return [value + 1e-9 * (step + 0.1 * base_seed()) for step in (-1, 0, 1)]
claim = load_claims()["{name}"]["conditions"]
"""
SAME = (
    START
    + """
record_claim("{name}", {{c["name"]: effect(c, True) for c in claim}});"""
)
FLIPS = (
    START
    + """
holds = base_seed() < 1
record_claim("{name}", {{c["name"]: effect(c, holds) for c in claim}});"""
)
STEADY, FLIPPING = "four-times-time", "scratch-equals-keras"
PAGES = {name: load_claims()[name]["page"] for name in (STEADY, FLIPPING)}


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


def write_claim(root, log, name, source, word, end=""):
    path = root / "book" / f"{PAGES[name]}.ipynb"
    path.parent.mkdir(exist_ok=True)
    code = source.format(log=str(log), name=name, word=word) + end
    write_page(path, "# Page", [code])


@pytest.fixture(scope="module")
def replicated(tmp_path_factory, log, run):
    """The two pages under seeds 0 and 1, and how that ended; not to be changed."""
    root = write_small_book(tmp_path_factory.mktemp("replicated") / "checkout")
    (root / "unrolled/course/confirmation.csv").unlink()  # that of the book
    write_claim(root, log, STEADY, SAME, "same")
    write_claim(root, log, FLIPPING, FLIPS, "flips")
    status, said, ran = run(root, "--seeds", "0", "1")
    return SimpleNamespace(root=root, status=status, said=said, ran=ran)


@pytest.fixture
def book(replicated, tmp_path):
    """A copy of it."""
    return shutil.copytree(replicated.root, tmp_path / "checkout")


def test_a_condition_that_contradicts_itself_is_named_and_fails(replicated):
    assert replicated.status == 1
    assert replicated.ran == 2 * ["flips"] + 2 * ["same"]
    lines = replicated.said.splitlines()
    (line,) = [line for line in lines if line.endswith("<- contradicts itself")]
    assert line.split()[:3] == [FLIPPING, "not", "shown"]
    assert "supported 1, refuted 1" in line
    assert any(re.match(STEADY + " +supported ", line) for line in lines)


def test_verdicts_that_agree(book, run):
    """And what has run for a seed does not run for it again."""
    status, said, ran = run(book, "--seeds", "1", "2", "1")
    assert status == 0, said
    assert ran == ["flips", "same"]
    assert re.search(FLIPPING + " +refuted .*refuted 2\n", said)
    path = book / "_build/replicate/confirmation.csv"
    confirmed = read_confirmation(path)
    assert set(confirmed) == {STEADY, FLIPPING}
    assert confirmed[STEADY]["base_seeds"] == "1 2"
    assert confirmed[FLIPPING]["verdict"] == "refuted"
    listed = [c["name"] for c in load_claims()[STEADY]["conditions"]]
    assert list(confirmed[STEADY]["conditions"]) == listed
    with path.open(encoding="utf-8", newline="") as file:
        assert {line["outcome"] for line in csv.DictReader(file)} == {
            "holds",
            "shown false",
        }


def test_what_make_book_has_run_is_taken_over(book, log, monkeypatch, capsys):
    monkeypatch.setenv("UNROLLED_MNIST", "embedded")
    log.write_text("", encoding="utf-8")
    build = book / "_build"
    (build / "replicate/seed-0/executed").rename(build / "executed")
    assert replicate.main(["--root", str(book), "--seeds", "0", "1"]) == 1
    assert log.read_text("utf-8") == ""
    assert FLIPPING in capsys.readouterr().out
    kept = build / f"replicate/seed-0/executed/book/{PAGES[STEADY]}.ipynb"
    assert kept.exists()


def test_a_page_that_fails_is_named_and_the_others_go_on(book, log, run):
    """What an older version of it recorded is not taken for this one's."""
    write_claim(book, log, FLIPPING, FLIPS, "flips", "\n1 / 0")
    status, said, ran = run(book, "--seeds", "0", "--record")
    assert status == 1 and ran == ["flips"]
    assert f"book/{PAGES[FLIPPING]}.ipynb failed for base seed 0" in said
    assert "ZeroDivisionError" in said and f"{STEADY}  supported" in said
    assert "Nothing is recorded" in said and f"{FLIPPING}  " not in said
    assert not (book / "unrolled/course/confirmation.csv").exists()


def test_what_was_confirmed_is_recorded(book, run):
    status, said, _ = run(book, "--seeds", "0", "--record")
    assert status == 0, said
    recorded = read_confirmation(book / "unrolled/course/confirmation.csv")
    assert recorded[FLIPPING]["verdict"] == "supported"


def test_own_digits_run_the_pages_that_read_them(book, log, run):
    """And their verdicts stand beside the recorded ones."""
    write_claim(book, log, FLIPPING, FLIPS, "flips", "\nimport sys; load_mnist = len")
    write_claim(book, log, STEADY, SAME, "same", "\nload_mnist = str\nload_mnist(1)")
    pictures = np.zeros((30, 28, 28), np.uint8)
    labels = np.arange(30, dtype=np.uint8) % 10
    mine = book / "mine.npz"
    arrays = {"x_train": pictures, "x_test": pictures}
    np.savez(mine, **arrays, y_train=labels, y_test=labels)
    status, said, ran = run(book, "--seeds", "3", "4", "--digits", str(mine))
    assert status == 0, said
    assert ran == ["same", "same"]
    (table,) = (book / "_build/replicate").glob("digits-*/confirmation.csv")
    assert set(read_confirmation(table)) == {STEADY}


CONDITION = {
    "name": "c",
    "metric": "m",
    "above": 0.5,
    "unit": "networks",
    "data": "d",
}


def records(values):
    return [judge_condition(CONDITION, value, 0.95) for value in values]


def test_base_seeds_are_the_unit_of_replication():
    rng = np.random.default_rng(0)
    runs = [rng.normal(0.6 + shift, 0.01, 5) for shift in rng.normal(0, 0.1, 10)]
    found = replicate.confirm_condition(records(runs), 0.99)
    expected = measure_effect([run.mean() for run in runs], 0.99)
    assert np.allclose([found["low"], found["high"]], expected[1:3])
    assert (found["n"], found["unit"], found["level"]) == (10, "base seeds", 0.99)


def test_success_of_all_leaves_an_interval():
    """Base seeds that agree show no spread; the counts do."""
    found = replicate.confirm_condition(records([[True] * 4, [True] * 5]), 0.95)
    assert found["low"] == measure_effect([True] * 9).low < 1 == found["effect"]
    pairs = [([True] * 4, [False] * 4), ([True] * 3 + [False], [False] * 4)]
    found = replicate.confirm_condition(records(pairs), 0.95)
    pooled = measure_effect(([True] * 7 + [False], [False] * 8))
    assert found["effect"] == 7 / 8 and found["low"] <= pooled.low


@pytest.mark.parametrize(
    "values", [np.array([0.4, 0.7, 0.8, 0.6]), np.array([True] * 7 + [False])]
)
def test_a_recorded_run_is_one_measurement_however_often_it_is_read(values):
    read = [record | {"recorded": True} for record in records([values] * 10)]
    found = replicate.confirm_condition(read, 0.999)
    expected = measure_effect(values, 0.999)
    assert np.allclose([found["low"], found["high"]], expected[1:3])
    assert (found["n"], found["unit"]) == (len(values), "networks")


@pytest.mark.parametrize("marks", [{}, {"recorded": True}])
def test_ratios_stay_ratios(marks):
    about = CONDITION | {"ratio": True} | marks
    runs = [np.exp([0.1, 0.3, 0.2])] * 3 if marks else np.exp([[1, 2], [0, 1], [2, 2]])
    found = [judge_condition(about, run, 0.95) for run in runs]
    mean = replicate.confirm_condition(found, 0.99)
    logs = [0.1, 0.3, 0.2] if marks else [1.5, 0.5, 2]
    expected = np.exp(measure_effect(logs, 0.99)[:3])
    assert np.allclose([mean[key] for key in ("effect", "low", "high")], expected)


def test_all_alike_within_and_between_base_seeds():
    """Then all networks together are the sample of the sign test."""
    found = replicate.confirm_condition(records([[1.0] * 3] * 4), 0.999)
    assert (found["outcome"], found["low"]) == ("holds", 1)
    found = replicate.confirm_condition(records([[1.0] * 3] * 3), 0.999)
    assert (found["outcome"], found["low"]) == ("not shown", None)
    found = replicate.confirm_condition(records([None, None]), 0.9)
    assert (found["outcome"], found["effect"]) == ("not shown", None)
    nothing = [record | {"recorded": True} for record in records([None, None])]
    assert replicate.confirm_condition(nothing, 0.9)["outcome"] == "not shown"
    found = replicate.confirm_condition(records([None, [0.7, 0.8, 0.9]]), 0.95)
    assert found["outcome"] == "holds"  # the one that measured


@pytest.mark.parametrize(("true", "outcome"), [(True, "holds"), (False, "shown false")])
def test_a_theorem_is_proven_or_disproved(true, outcome):
    about = {"name": "c", "metric": "m", "theorem": true, "data": "any"}
    found = replicate.confirm_condition([judge_condition(about, true, 0.95)] * 3, 0.99)
    assert (found["outcome"], found["n"]) == (outcome, 3)


def test_an_exact_number_is_its_own_interval():
    found = replicate.confirm_condition(records([2.0, 2.0]), 0.99)
    assert (found["outcome"], found["low"], found["high"]) == ("holds", 2, 2)
    found = replicate.confirm_condition(records([0.2, 2.0, 0.7]), 0.99)
    assert found["outcome"] == "not shown"  # it changes with the base seed


def test_a_dask_cluster_gives_the_same(replicated, book, run, cluster):
    shutil.rmtree(book / "_build")
    status, said, ran = run(book, "--seeds", "0", "1", "--scheduler", cluster)
    assert (status, said, ran) == (replicated.status, replicated.said, replicated.ran)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "-1"], "0 or more"),
        (["--record", "--digits", "mine.npz"], "expected one of them"),
        (["--digits", "nowhere.npz"], "nowhere.npz"),
        (["--processes", "0"], "--processes is 0; expected 1 or more"),
        (["--root", "nowhere"], "nowhere'; expected a checkout of the book"),
    ],
)
def test_wrong_input_is_refused(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.setenv("UNROLLED_MNIST", "")  # put back what --digits sets
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
