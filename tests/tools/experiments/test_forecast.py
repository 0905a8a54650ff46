"""The recorded run of forecasts: its search, its references, and a tiny case."""

from importlib.util import find_spec

import numpy as np
import pytest

from tests.conftest import missing, need
from tools.experiments.recorded import forecast

CASE = {"fold": "autumn", "form": "clock", "model": "LSTM", "rate": 0.01}


@pytest.fixture
def small(monkeypatch):
    """Few updates, short pieces, and last month's weeks only."""
    if find_spec("autots") is None:  # not imported: that takes seconds
        missing("autots is not installed (pip install -r tests/requirements.txt)")
    need("statsmodels")
    monkeypatch.setattr(forecast, "BUDGETS", (1, 2))
    monkeypatch.setattr(forecast, "PIECE", 6)
    monkeypatch.setattr(forecast, "FOLDS", {"autumn": (4, 5, 6)})
    forecast.references.cache_clear()
    yield
    forecast.references.cache_clear()


def scored(case, best):
    """A row of the table: MASE by how far the rate is from the best of each budget."""
    away = {
        f"mase_{b}": abs(np.log10(case["rate"] / best[b])) for b in forecast.BUDGETS
    }
    return {key: str(value) for key, value in (case | away).items()}


def test_the_search_widens_and_then_five_networks_follow():
    best = {300: 0.1, 900: 0.01, 1800: 0.01}
    rows = []
    while True:
        cases = forecast.cases(rows)
        new = [c for c in cases if scored(c, best) not in rows]
        if not new:
            break
        rows += [scored(case, best) for case in new]
    kinds = {(c["fold"], c["form"], c["model"]) for c in cases}
    assert len(kinds) == 12
    for kind in kinds:
        own = [c for c in cases if (c["fold"], c["form"], c["model"]) == kind]
        final = {(c["rate"], c["seed"]) for c in own if c["trial"] == "final"}
        assert final == {(rate, seed) for rate in (0.01, 0.1) for seed in range(5)}
        tried = sorted({c["rate"] for c in own if c["trial"] == "search"})
        assert tried[-1] == 0.3 and tried[0] == forecast.FIRST[kind[1]][0]


def test_parts_lie_one_after_the_other():
    for fold, (train_end, start, end) in forecast.FOLDS.items():
        past, when, scaled = forecast.part(fold, "search")
        assert past == train_end * 168 == when.min()
        assert when.max() == start * 168 - 1 and scaled == start * 168
        past, when, scaled = forecast.part(fold, "final")
        assert past == scaled == start * 168 == when.min()
        assert when.max() == end * 168 - 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("trial", ["search", "final"])
@pytest.mark.parametrize("form", ["clock", "deviations"])
def test_a_tiny_case_runs_and_repeats(form, trial):
    case = CASE | {"form": form, "trial": trial, "seed": 1}
    row = forecast.run(case)
    assert {"mase_1", "mase_1h_2", "mase_24h_2", "last_week", "classical"} <= set(row)
    assert np.isfinite(list(row.values())).all()
    again = forecast.run(case, updates=2)
    assert again["early_loss"] == row["early_loss"]
    other = forecast.run(case | {"seed": 2}, updates=2)
    assert other["early_loss"] != row["early_loss"]


@pytest.mark.usefixtures("small")
def test_the_future_changes_no_forecast(monkeypatch):
    """What comes after the past of a fold is read at its origins, and not before."""
    case = CASE | {"form": "deviations", "trial": "search", "seed": 1}
    row = forecast.run(case)
    traffic, slot, clock = forecast.load()
    changed = traffic.flow.copy()
    changed[5 * 168 :] += 1000  # after the weeks that the search is scored on
    other = type(traffic)(**(vars(traffic) | {"flow": changed}))
    monkeypatch.setattr(forecast, "load", lambda: (other, slot, clock))
    forecast.references.cache_clear()
    assert forecast.run(case) == row
