"""Recorded runs: every case has its row, and a row chosen at random repeats."""

import csv
import errno
import os
import random
import types

import numpy as np
import pytest

from tests.conftest import ROOT
from tools.experiments import digits, record
from unrolled import LSTM
from unrolled.course import recorded
from unrolled.course.recorded import FOLDER, load_recorded

SCRIPTS = record.names()
RECORDED = sorted(path.stem for path in FOLDER.glob("*.csv"))
FULL_MNIST = ROOT.parent / "shared" / "data" / "mnist.npz"


@pytest.mark.parametrize("name", RECORDED)
def test_every_case_has_one_row(name):
    module, runs = record.load(name), load_recorded(name)
    for column in ("early_loss", "seconds", "date", "machine", "python", "numpy"):
        assert column in runs.dtype.names, column
    names = [c for c in runs.dtype.names if runs[c].dtype.kind == "f"]
    # A network that diverged has no loss, and is recorded all the same.
    numbers = [runs[c] for c in names if not c.startswith("loss_")]
    assert numbers and np.isfinite(numbers).all()
    rows = record.rows_of(FOLDER / f"{name}.csv")
    cases = [tuple(map(str, case.values())) for case in record.cases_of(module, rows)]
    keys = list(record.cases_of(module, rows)[0])
    done = [tuple(row[key] for key in keys) for row in rows]
    assert len(done) == len(set(done)) and set(done) <= set(cases)
    if len(done) < len(cases):
        pytest.skip(
            f"{len(done)} networks of {name} are recorded, {len(cases) - len(done)} "
            f"or more are missing; python -m tools.experiments.record {name} goes on"
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_a_random_row_repeats(name, monkeypatch):
    module, runs = record.load(name), load_recorded(name)
    if getattr(module, "FULL_MNIST", False):
        named = os.environ.get("UNROLLED_MNIST", "embedded")
        path = FULL_MNIST if named == "embedded" else named
        if not os.path.exists(path):
            pytest.skip(f"{name} needs all of MNIST, which is not at {path}")
        monkeypatch.setenv("UNROLLED_MNIST", str(path))
    row = random.SystemRandom().choice(runs)  # another each time
    cases = record.cases_of(module, record.rows_of(FOLDER / f"{name}.csv"))
    (case,) = [c for c in cases if all(str(row[k]) == str(v) for k, v in c.items())]
    again = module.run(case, updates=module.EARLY)["early_loss"]
    # Single precision, another processor's rounding: a few updates keep four digits.
    assert again == pytest.approx(float(row["early_loss"]), rel=1e-3), case


def test_an_unknown_run_is_refused():
    with pytest.raises(ValueError, match=r"no-such-run.*expected one of"):
        load_recorded("no-such-run")


def test_each_result_has_its_script():
    assert set(RECORDED) <= set(SCRIPTS)
    if new := sorted(set(SCRIPTS) - set(RECORDED)):
        pytest.skip(f"nothing is recorded yet of {new}")


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
    monkeypatch.setattr(recorded, "FOLDER", toy.csv.parent)  # where pages read
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
    def load_digits():
        raise ValueError("4,000 training digits; expected the full MNIST")

    toy.FULL_MNIST, toy.load_digits = True, load_digits
    with pytest.raises(SystemExit) as stop:
        record.main(["--again"])
    assert stop.value.code == 2 and toy.ran == []
    assert "expected the full MNIST" in capsys.readouterr().err


def test_cases_may_depend_on_the_rows_so_far(toy):
    toy.cases = lambda rows: [{"T": n} for n in range(1, min(len(rows) + 2, 4))]
    record.main([])
    assert toy.ran == [1, 2, 3]


def test_a_search_goes_on_until_no_best_rate_is_at_an_end(tmp_path):
    study = digits.Study(((28, "reading"),), 8, ("LSTM",), (10, 1000), (50, 51), (0, 1))

    def run(case):  # the longer the training, the smaller the best rate
        best = {10: 0.03, 1000: 0.001}
        return {
            f"held_out_{b}": -abs(np.log10(case["rate"] / best[b]))
            for b in study.budgets
        }

    toy = types.SimpleNamespace(cases=study.cases, run=run)
    record.make_rows("toy", toy, tmp_path / "toy.csv")
    rows = record.rows_of(tmp_path / "toy.csv")
    search = sorted({float(r["rate"]) for r in rows if r["trial"] == "search"})
    assert search == [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]
    final = [(float(r["rate"]), r["seed"]) for r in rows if r["trial"] == "final"]
    assert final == [(0.001, "0"), (0.001, "1"), (0.03, "0"), (0.03, "1")]


def test_networks_are_equal_in_units_or_in_parameters():
    for features in (1, 7, 28, 112):
        sizes = digits.networks(64, features)
        lstm = LSTM(64, features).count_params()
        for name, (model, units) in sizes.items():
            layer = digits.LAYERS[model]
            count = layer(units, features).count_params()
            assert count == digits.parameters(model, units, features)
            if name.endswith("units"):
                assert units == 64
            else:
                apart = [
                    abs(layer(n, features).count_params() - lstm)
                    for n in (units - 1, units, units + 1)
                ]
                assert min(apart) == apart[1], name


def test_an_unknown_script_is_refused(capsys):
    with pytest.raises(SystemExit):
        record.main(["nonsense"])
    assert "nonsense" in capsys.readouterr().err
