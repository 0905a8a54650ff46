"""The search: rates beyond the ends, and fresh networks."""

import numpy as np
import pytest

from unrolled.course.search import RATES, tune


def peak(*best, calls=None):
    """A `train` whose score falls off with the distance to the best rate per budget."""

    def train(rates, seeds, budgets, part):
        if calls is not None:
            calls.append((np.unique(rates).tolist(), list(seeds), list(budgets), part))
        off = [-np.abs(np.log(np.asarray(rates) / best[b])) for b in budgets]
        return np.array(off) + (100 + np.asarray(seeds) if part else 0)

    return train


def test_the_best_rate_is_found_inside_what_was_tried():
    found = tune(peak(0.003), [0], trials=[1, 2], networks=[3])
    assert found.tried == [0.001, 0.003, 0.01] and found.rates == [0.003]
    assert found.inside.all() and found.held.shape == (1, 3)


@pytest.mark.parametrize("best", [0.0003, 0.001, 0.01, 0.1, 0.3])
def test_the_search_widens_until_the_best_is_inside(best):
    found = tune(peak(best), [0], trials=[1], networks=[3])
    assert found.rates == [best] and found.inside.all()
    assert found.tried == sorted(found.tried)


@pytest.mark.parametrize("best", [RATES[0], RATES[-1]])
def test_an_open_end_is_said(best):
    found = tune(peak(best), [0], trials=[1], networks=[3])
    assert found.rates == [best] and not found.inside.any()


def test_each_budget_has_its_own_rate_and_the_measured_networks_are_fresh():
    calls = []
    train = peak(0.01, 0.003, 0.003, calls=calls)
    found = tune(train, [0, 1, 2], trials=[1, 2], networks=[5, 6, 7])
    assert found.rates == [0.01, 0.003, 0.003]
    assert np.allclose(found.scores, [[105, 106, 107]] * 3)
    final = [call for call in calls if call[1] == [5, 6, 7]]
    # One run for each rate, as long as its longest budget.
    seeds = [5, 6, 7]
    assert sorted(final) == [([0.003], seeds, [0, 1, 2], 1), ([0.01], seeds, [0], 1)]
    others = [call for call in calls if call not in final]
    assert all(set(call[1]) == {1, 2} and call[3] == 0 for call in others)


def test_several_measures_are_kept_for_each_budget():
    plain = peak(0.01, 0.003)

    def train(rates, seeds, budgets, part):
        scores = plain(rates, seeds, budgets, part)
        return np.stack([scores, -scores], axis=-1) if part else scores

    found = tune(train, [0, 1], trials=[1], networks=[5, 6])
    assert np.allclose(found.scores, [[[105, -105], [106, -106]]] * 2)


def test_equal_scores_do_not_widen_the_search():
    found = tune(
        lambda rates, seeds, budgets, part: np.ones((1, len(rates))),
        [0],
        trials=[1],
        networks=[2],
    )
    assert found.rates == [0.003] and len(found.tried) == 3


def test_a_rate_that_diverges_is_not_chosen():
    def train(rates, seeds, budgets, part):
        return np.where(np.asarray(rates) > 0.002, np.nan, 1 / np.asarray(rates))[None]

    assert tune(train, [0], trials=[1], networks=[2]).rates[0] < 0.002


@pytest.mark.parametrize(
    "wrong", [{"trials": []}, {"networks": []}, {"networks": [1, 3]}]
)
def test_seeds_are_refused(wrong):
    with pytest.raises(ValueError, match="expected some of each"):
        tune(peak(0.003), [0], **({"trials": [1], "networks": [2]} | wrong))
