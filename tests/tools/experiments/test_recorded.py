"""Recorded runs: every case has its row, and a row chosen at random repeats."""

import csv
import errno
import os
import random
import types

import numpy as np
import pytest

from tests.conftest import ROOT
from tools.experiments import record
from unrolled.course import recorded
from unrolled.course.recorded import FOLDER, load_recorded

SCRIPTS = record.names()
FULL_MNIST = ROOT.parent / "shared" / "data" / "mnist.npz"


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_case_has_one_row(name):
    module, runs = record.load(name), load_recorded(name)
    keys = list(module.CASES[0])
    cases = sorted(tuple(str(case[key]) for key in keys) for case in module.CASES)
    assert sorted(tuple(str(row[key]) for key in keys) for row in runs) == cases
    for column in ("early_loss", "seconds", "date", "machine", "python", "numpy"):
        assert column in runs.dtype.names, column
    numbers = [runs[c] for c in runs.dtype.names if runs[c].dtype.kind == "f"]
    assert numbers and np.isfinite(numbers).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_random_row_repeats(name, monkeypatch):
    module, runs = record.load(name), load_recorded(name)
    if getattr(module, "FULL_MNIST", False):
        named = os.environ.get("UNROLLED_MNIST", "embedded")
        path = FULL_MNIST if named == "embedded" else named
        if not os.path.exists(path):
            pytest.skip(f"{name} needs all of MNIST, which is not at {path}")
        monkeypatch.setenv("UNROLLED_MNIST", str(path))
    chosen = random.SystemRandom().randrange(len(module.CASES))  # another each time
    case = module.CASES[chosen]
    (row,) = [r for r in runs if all(str(r[k]) == str(v) for k, v in case.items())]
    again = module.run(case, updates=module.EARLY)["early_loss"]
    # Single precision, another processor's rounding: a few updates keep four digits.
    assert again == pytest.approx(float(row["early_loss"]), rel=1e-3), case


def test_an_unknown_run_is_refused():
    with pytest.raises(ValueError, match=r"no-such-run.*expected one of"):
        load_recorded("no-such-run")


def test_scripts_and_results_match():
    assert sorted(p.stem for p in FOLDER.glob("*.csv")) == SCRIPTS


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A script of two cases, its folders, and the cases that ran."""
    ran = []

    def run(case):
        ran.append(case["T"])
        if case["T"] in toy.broken:
            raise ValueError("no data")
        return {"early_loss": 0.5 * len(ran)}

    toy = types.SimpleNamespace(CASES=[{"T": 1}, {"T": 2}], run=run, ran=ran, broken=[])
    toy.csv = tmp_path / "package" / "toy.csv"
    monkeypatch.setattr(record, "PACKAGE", toy.csv.parent)
    monkeypatch.setattr(record, "AGAIN", tmp_path / "again")
    monkeypatch.setattr(record, "names", lambda: ["toy"])
    monkeypatch.setattr(record, "load", lambda name: toy)
    monkeypatch.setattr(recorded, "FOLDER", FOLDER)  # put back afterwards
    return toy


def test_without_names_every_script_runs_what_is_missing(toy):
    record.main([])
    record.main(["toy"])
    assert toy.ran == [1, 2]
    assert len(toy.csv.read_text("utf-8").splitlines()) == 3


def test_a_repetition_that_fails_keeps_the_old_rows_and_goes_on(toy):
    record.main([])
    old = toy.csv.read_text("utf-8")
    toy.broken = [2]
    with pytest.raises(ValueError, match="no data"):
        record.main(["--again"])
    assert toy.csv.read_text("utf-8") == old
    toy.broken = []
    record.main(["--again"])
    assert toy.ran == [1, 2, 1, 2, 2]  # the first case was not run a third time
    assert load_recorded("toy")["early_loss"].tolist() == [1.5, 2.5]


def test_a_run_that_is_killed_leaves_no_row_cut_short(toy, monkeypatch):
    record.main([])
    whole = toy.csv.read_text("utf-8")
    toy.CASES = [*toy.CASES, {"T": 3}]

    class Full(csv.DictWriter):
        def writerows(self, rows):
            super().writerows(rows[:-1])
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(csv, "DictWriter", Full)
        with pytest.raises(OSError, match="No space"):
            record.main([])
    assert toy.csv.read_text("utf-8") == whole
    record.main([])
    assert toy.ran == [1, 2, 3, 3]
    assert len(toy.csv.read_text("utf-8").splitlines()) == 4


def test_digits_that_are_too_few_are_refused_at_once(toy, capsys):
    def digits():
        raise ValueError("4,000 training digits; expected the full MNIST")

    toy.FULL_MNIST, toy.digits = True, digits
    with pytest.raises(SystemExit) as stop:
        record.main(["--again"])
    assert stop.value.code == 2 and toy.ran == []
    assert "expected the full MNIST" in capsys.readouterr().err


def test_an_unknown_script_is_refused(capsys):
    with pytest.raises(SystemExit):
        record.main(["nonsense"])
    assert "nonsense" in capsys.readouterr().err
