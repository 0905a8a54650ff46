"""Scores of forecasts: by hand, laws, intervals that cover, and refusals."""

import numpy as np
import pytest

from unrolled.course.forecast import (
    block_interval,
    coverage,
    rolling_origins,
    scaled_errors,
    seasonal_scale,
)


def test_every_origin_that_fits_and_no_other():
    when = rolling_origins(100, 130, 24)
    assert when.shape == (7, 24)
    assert when.min() == 100 and when.max() == 129
    assert (np.diff(when) == 1).all()
    assert rolling_origins(100, 130, 24, every=3)[:, 0].tolist() == [100, 103, 106]
    assert rolling_origins(1, 2, 1).tolist() == [[1]]  # from step 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"start": 0}, "start is 0"),
        ({"horizon": 0}, "horizon is 0"),
        ({"every": 0}, "every is 0"),
        ({"end": 33}, "end is 33; expected 34 or more"),
        ({"start": 1.5}, "start is 1.5"),
    ],
)
def test_origins_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        rolling_origins(**({"start": 10, "end": 40, "horizon": 24} | wrong))


def test_the_scale_by_hand_and_without_gaps():
    series = [10, 20, 13, 18, 99, 18]
    assert seasonal_scale(series, 2) == (3 + 2 + 86 + 0) / 4
    missing = np.array([False] * 4 + [True, False])
    assert seasonal_scale(series, 2, missing) == (3 + 2 + 0) / 3


def test_a_forecast_of_a_season_before_has_a_mase_of_one():
    """On the values that the scale was computed from."""
    series = np.random.default_rng(0).normal(size=200)
    scale = seasonal_scale(series, 7)
    when = rolling_origins(7, 200, 1)
    errors = scaled_errors(series[when - 7], series[when], scale)
    assert np.isclose(errors.mean(), 1)


def test_mase_knows_no_unit():
    rng = np.random.default_rng(0)
    series, forecast = rng.normal(size=50), rng.normal(size=(3, 10, 4))
    when = rolling_origins(30, 43, 4)
    first = scaled_errors(forecast, series[when], seasonal_scale(series, 5))
    moved = 7 * series - 3
    again = scaled_errors(7 * forecast - 3, moved[when], seasonal_scale(moved, 5))
    assert first.shape == (3, 10, 4) and np.allclose(first, again)


def test_missing_truths_are_not_scored():
    missing = np.array([[False, True]])
    errors = scaled_errors([[[1.0, 5.0]], [[3.0, 5.0]]], [[2.0, 9.0]], 0.5, missing)
    assert np.isnan(errors[..., 1]).all() and errors[..., 0].tolist() == [[2.0], [2.0]]
    inside = coverage([[0.0, 0.0]], [[2.0, 1.0]], [[2.0, 9.0]], missing)
    assert inside[0, 0] == 1 and np.isnan(inside[0, 1])


def test_coverage_counts_both_ends():
    low, high = np.zeros((2, 1, 4)), np.ones((2, 1, 4))
    inside = coverage(low, high, [[-0.1, 0.0, 1.0, 1.1]])
    assert inside.tolist() == [[[0, 1, 1, 0]]] * 2


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: seasonal_scale([1.0, 2.0], 2), "2 values"),
        (lambda: seasonal_scale([1.0, 1.0, 1.0], 1), "repeats itself"),
        (lambda: seasonal_scale([1.0, np.nan, 1.0], 1), "series holds NaN"),
        (lambda: seasonal_scale([[1.0, 2.0]], 1), "series has shape"),
        (lambda: seasonal_scale([1.0, 2.0], 0), "season is 0"),
        (lambda: seasonal_scale([1.0, 2.0], 1, [0, 1]), "missing is int"),
        (lambda: seasonal_scale([1.0, 2.0], 1, [True]), r"missing is bool \(1,\)"),
        (lambda: scaled_errors([[1.0]], [[1.0, 2.0]], 1), "forecast has shape"),
        (lambda: scaled_errors([[np.nan]], [[1.0]], 1), "forecast holds NaN"),
        (lambda: scaled_errors([[1.0]], [[1.0]], 0), "scale is 0"),
        (lambda: scaled_errors([[1.0]], [1.0], 1), "truth has shape"),
        (lambda: coverage([[1.0]], [[1.0, 2.0]], [[1.0]]), "high has shape"),
        (lambda: coverage([[1.0, 2.0]], [[1.0]], [[1.0]]), "low has shape"),
    ],
)
def test_scores_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_the_interval_covers_as_often_as_it_says():
    """Of normal weeks, nearly; percentile intervals of 30 blocks are a bit narrow."""
    rng = np.random.default_rng(0)
    inside = [
        low < 1 < high
        for _ in range(400)
        for _, low, high in [block_interval(rng.normal(1, 2, 30), rng, draws=400)]
    ]
    assert 0.89 < np.mean(inside) < 0.97  # 0.94 and four deviations of 400 draws


def test_networks_widen_the_interval_where_they_differ():
    rng = np.random.default_rng(0)
    weeks = rng.normal(size=20)
    same = block_interval(np.tile(weeks, (5, 1)), np.random.default_rng(1))
    alone = block_interval(weeks, np.random.default_rng(1))
    differ = np.linspace(-2, 2, 5)[:, None] + weeks
    apart = block_interval(differ, np.random.default_rng(1))
    assert np.isclose(same[0], alone[0]) and np.isclose(apart[0], alone[0])
    widths = [high - low for _, low, high in (alone, same, apart)]
    assert abs(widths[1] / widths[0] - 1) < 0.1 and widths[2] > 1.5 * widths[0]


def test_the_interval_is_about_blocks():
    """Equal weeks leave no doubt, and the level widens it."""
    rng = np.random.default_rng(0)
    assert block_interval([0.5] * 6, rng) == (0.5, 0.5, 0.5)
    values = rng.normal(size=12)
    _, *narrow = block_interval(values, np.random.default_rng(1), level=0.5)
    _, *wide = block_interval(values, np.random.default_rng(1), level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("values", "options", "says"),
    [
        ([0.5], {}, "1 block; expected two"),
        ([[0.5], [0.2]], {}, "1 block; expected two"),
        ([0.5, np.nan], {}, "values holds NaN"),
        ([[[0.5, 0.1]]], {}, "values has shape"),
        (0.5, {}, "values has shape"),
        ([0.5, 0.1], {"level": 2}, "level is 2"),
        ([0.5, 0.1], {"draws": 0}, "draws is 0"),
    ],
)
def test_blocks_are_refused(values, options, says):
    with pytest.raises(ValueError, match=says):
        block_interval(values, np.random.default_rng(0), **options)
