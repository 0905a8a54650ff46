"""Intervals against SciPy, reach against an exact derivative, bad input refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from unrolled import reach
from unrolled.course import (
    COLORS,
    base_seed,
    beside_zero,
    draw_runs,
    lies_above,
    mean_interval,
    measure_effect,
    outcome,
)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9), st.floats(0.5, 0.99))
def test_interval_is_student_s(values, level):
    mean, half = mean_interval(values, level)
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    if error > 0:
        low, high = stats.t.interval(level, len(values) - 1, np.mean(values), error)
        assert np.allclose(
            [mean - half, mean + half], [low, high], rtol=1e-9, atol=1e-9
        )
    else:
        assert half == 0


@pytest.mark.parametrize(
    ("values", "level", "says"),
    [
        ([0.9], 0.95, "seeds >= 2"),
        ([1, np.nan], 0.95, "finite"),
        ([1, 2], 1.5, "level"),
    ],
)
def test_interval_refuses(values, level, says):
    with pytest.raises(ValueError, match=says):
        mean_interval(values, level)


@pytest.mark.parametrize("shift", [-1e-6, 1e-6])
def test_lies_above_is_the_interval_s_lower_end(shift):
    values = [0.1, 0.4, 0.3]
    mean, half = mean_interval(values)
    assert lies_above(values, mean - half + shift) is (shift < 0)


@pytest.mark.parametrize(
    ("move", "says"),
    [(1e-6, "above"), (-1e-6, "neither"), (-10, "below")],
)
def test_beside_zero_is_where_the_interval_lies(move, says):
    values = np.array([0.1, 0.4, 0.3])
    mean, half = mean_interval(values)
    assert beside_zero(values - mean + half + move, "above", "below", "neither") == says


def test_an_effect_is_written_with_its_interval():
    effect = measure_effect([0.5, 2.0, 0.8, 1.25], ratio=True)
    ends = effect.effect, effect.low, effect.high
    assert f"{effect:.2f}" == "{:.2f} ({:.2f} to {:.2f})".format(*ends)


def test_base_seed(monkeypatch):
    monkeypatch.delenv("UNROLLED_SEED", raising=False)
    assert base_seed() == 0
    monkeypatch.setenv("UNROLLED_SEED", "12")
    assert base_seed() == 12
    monkeypatch.setenv("UNROLLED_SEED", "")  # as unset
    assert base_seed() == 0
    for bad in (" ", "one", "-1", "1.5"):
        monkeypatch.setenv("UNROLLED_SEED", bad)
        with pytest.raises(ValueError, match="UNROLLED_SEED"):
            base_seed()


def test_reach_of_a_linear_layer_is_exact():
    """h = sum of s_t x_t keeps every direction: rho_t is s_t, whatever the draw."""
    scales = np.array([0.1, 0.5, 2.0])
    rng = np.random.default_rng(0)
    rho = reach(
        lambda x: np.einsum("btf,t->bf", x, scales), rng.normal(size=(4, 3, 5)), rng
    )
    assert np.allclose(rho, scales)


@pytest.mark.parametrize(
    ("shape", "size"), [((3, 5), 0.1), ((2, 3, 5), 0.0), ((2, 3, 5), -1)]
)
def test_reach_refuses(shape, size):
    with pytest.raises(ValueError, match="expected"):
        reach(lambda x: x, np.zeros(shape), np.random.default_rng(0), size)


def test_runs_are_drawn_thin_and_their_mean_thick():
    fig, ax = plt.subplots()
    draw_runs(ax, [1, 2], [[0, 2], [2, 4], [4, 6]], "LSTM")
    *thin, thick = ax.get_lines()
    assert len(thin) == 3 and thick.get_linewidth() > 2 * thin[0].get_linewidth()
    assert np.array_equal(thick.get_ydata(), [2, 4])
    assert thick.get_color() == COLORS["LSTM"] and thick.get_label() == "LSTM"
    plt.close(fig)


@pytest.mark.parametrize(
    ("runs", "model"), [([[1, 2, 3]], "RNN"), ([1, 2], "RNN"), ([[1, 2]], "CNN")]
)
def test_runs_refuse(runs, model):
    fig, ax = plt.subplots()
    with pytest.raises(ValueError, match="expected"):
        draw_runs(ax, [1, 2], runs, model)
    plt.close(fig)


@given(st.integers(1, 40), st.floats(0, 1), st.floats(0.5, 0.999))
def test_a_share_s_interval_is_clopper_and_pearson_s(n, share, level):
    k = round(share * n)
    found = measure_effect(np.arange(n) < k, level)
    expected = stats.binomtest(k, n).proportion_ci(level, "exact")
    assert np.allclose(found[:3], [k / n, *expected], rtol=1e-9, atol=1e-9)
    assert found.low < found.high  # never a point, though all may agree


def test_a_difference_of_shares_is_newcombe_s():
    """The examples (a) and (h) of his table II: 56/70 − 48/80, and 10/10 − 0/10."""
    for (k, n), (j, m), low, high in [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ]:
        found = measure_effect((np.arange(n) < k, np.arange(m) < j))
        assert np.allclose(found[1:3], [low, high], atol=5e-5)
        assert found.effect == k / n - j / m


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (([True],), "expected a pair"),
        (([True], [0.5]), "truth values"),
        (([True], []), "truth values"),
        (np.nan, "finite number"),
        (np.zeros((2, 2), bool), "truth values"),
    ],
)
def test_an_effect_that_cannot_be_measured(values, says):
    with pytest.raises(ValueError, match=says):
        measure_effect(values)


def test_ratios_are_averaged_in_logarithms():
    ratios = np.array([0.5, 2.0, 4.0])
    found = measure_effect(ratios, 0.9, ratio=True)
    assert np.allclose(found[:3], np.exp(measure_effect(np.log(ratios), 0.9)[:3]))
    assert outcome(ratios, above=0.1, ratio=True) == "holds"
    assert measure_effect(5.0, ratio=True)[:3] == (5.0, 5.0, 5.0)  # no rounding
    assert measure_effect([5.0] * 9, ratio=True)[:3] == (5.0, 5.0, 5.0)
    for bad in ([1.0, 0.0], [1.0, -2.0], [True, True]):
        with pytest.raises(ValueError, match="expected ratios above 0"):
            measure_effect(bad, ratio=True)


@pytest.mark.parametrize(("n", "endless"), [(2, True), (5, True), (6, False)])
def test_values_that_all_agree_are_a_sign_test(n, endless):
    """2^(1 - n): five heads or five tails come up once in sixteen throws."""
    found = measure_effect([0.1] * n)
    assert found.effect == 0.1 and np.isinf(found[1:3]).all() == endless
    assert found.kind == ("few" if endless else "median")


def test_outcome_against_each_kind_of_margin():
    values = [0.1, 0.4, 0.3]
    mean, half = mean_interval(values)
    low, high, nudge = mean - half, mean + half, 1e-6
    assert outcome(values, above=low - nudge) == "holds"
    assert outcome(values, above=high + nudge) == "shown false"
    assert outcome(values, above=mean) == outcome(values, below=mean) == "not shown"
    assert outcome(values, below=high + nudge) == "holds"
    assert outcome(values, below=low - nudge) == "shown false"
    assert outcome(values, within=[low - nudge, high + nudge]) == "holds"
    assert outcome(values, within=[high + nudge, 9]) == "shown false"
    assert outcome(values, within=[low + nudge, high + nudge]) == "not shown"


@pytest.mark.parametrize(
    "margins", [{}, {"above": 0, "below": 1}, {"within": [1, 0]}, {"within": [1, 1]}]
)
def test_outcome_wants_one_margin(margins):
    with pytest.raises(ValueError, match=r"expected (exactly one|two rising)"):
        outcome([1.0, 2.0], **margins)
