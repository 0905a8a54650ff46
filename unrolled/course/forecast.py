"""Scores of forecasts: rolling origins, scaled errors, coverage, intervals over weeks.

The words are those of Hyndman & Athanasopoulos, "Forecasting: principles and practice",
3rd edition (2021), chapters 3 and 5.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_array, check_between, check_integer, check_positive
from unrolled.types import Array


def rolling_origins(start: int, end: int, horizon: int, every: int = 1) -> Array:
    """Return which steps each origin forecasts, for all origins that fit.

    The first origin is the step before `start`; the next one is `every` steps later.

    Args:
        start: the first step that may be forecast.
        end: the step after the last one that may be.
        horizon: how many steps ahead each origin looks.
        every: steps between origins.

    Returns:
        integers `(origins, horizon)`: row k holds the origin plus 1, 2, …, horizon.

    Raises:
        ValueError: numbers out of range, or no origin fits.

    Example:
        >>> from unrolled.course.forecast import rolling_origins
        >>> rolling_origins(10, 14, horizon=3).tolist()
        [[10, 11, 12], [11, 12, 13]]
    """
    start, end = check_integer("start", start, 1), check_integer("end", end, 1)
    horizon, every = (
        check_integer(name, value, 1)
        for name, value in (("horizon", horizon), ("every", every))
    )
    if end - start < horizon:
        raise ValueError(
            f"end is {end}; expected {start + horizon} or more, so that {horizon} "
            f"steps from {start} on fit"
        )
    origins = np.arange(start - 1, end - horizon, every)
    return origins[:, None] + np.arange(1, horizon + 1)


def seasonal_scale(
    series: npt.ArrayLike, season: int, missing: npt.ArrayLike | None = None
) -> float:
    """Compute what the errors of MASE are divided by: how far one season misses.

    Args:
        series: values to train on, `(n,)`.
        season: steps from a value to the one that repeats it.
        missing: which values were filled in, `(n,)`; they are left out.

    Returns:
        mean of |y_t − y_{t − season}|.

    Raises:
        ValueError: another shape, NaN, fewer values than a season, or a mean of 0.

    Example:
        >>> from unrolled.course.forecast import seasonal_scale
        >>> seasonal_scale([10, 20, 13, 18], season=2)
        2.5

    References:
        Hyndman & Koehler, "Another look at measures of forecast accuracy",
        International Journal of Forecasting 22 (2006).
    """
    series = check_array("series", series, ("n",), float)
    season = check_integer("season", season, 1)
    gaps = _read_missing(missing, series.shape)
    counted = ~(gaps[season:] | gaps[:-season])
    if not counted.any():
        raise ValueError(
            f"series has {len(series)} values; expected some that were counted, and "
            f"again a season of {season} later"
        )
    scale = float(np.abs(series[season:] - series[:-season])[counted].mean())
    if scale == 0:
        raise ValueError("series repeats itself exactly; expected errors to scale by")
    return scale


def scaled_errors(
    forecast: npt.ArrayLike,
    truth: npt.ArrayLike,
    scale: float,
    missing: npt.ArrayLike | None = None,
) -> Array:
    """Compute |forecast − truth| / scale, whose mean (`numpy.nanmean`) is MASE.

    Args:
        forecast: `(…, origins, horizon)`.
        truth: `(origins, horizon)`.
        scale: see `seasonal_scale`.
        missing: where the truth was filled in, `(origins, horizon)`.

    Returns:
        in the shape of `forecast`, NaN where the truth is missing.

    Raises:
        ValueError: shapes that do not fit, NaN, or a scale that is not above 0.

    Example:
        >>> from unrolled.course.forecast import scaled_errors
        >>> scaled_errors([[12.0, 15.0]], [[10.0, 20.0]], scale=2.5).tolist()
        [[0.8, 2.0]]
    """
    truth = check_array("truth", truth, ("origins", "horizon"), float)
    forecast = check_array("forecast", forecast, (..., *truth.shape), float)
    errors = np.abs(forecast - truth) / check_positive("scale", scale)
    return np.where(_read_missing(missing, truth.shape), np.nan, errors)


def coverage(
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    truth: npt.ArrayLike,
    missing: npt.ArrayLike | None = None,
) -> Array:
    """Tell which truths lie inside their intervals; the mean is the coverage.

    Args:
        low: lower ends, `(…, origins, horizon)`.
        high: upper ends, in the same shape.
        truth: `(origins, horizon)`.
        missing: where the truth was filled in, `(origins, horizon)`.

    Returns:
        1.0 inside or on an end, 0.0 outside, NaN where the truth is missing.

    Raises:
        ValueError: shapes that do not fit, or NaN.
    """
    truth = check_array("truth", truth, ("origins", "horizon"), float)
    low = check_array("low", low, (..., *truth.shape), float)
    high = check_array("high", high, low.shape, float)
    inside = ((low <= truth) & (truth <= high)).astype(float)
    return np.where(_read_missing(missing, truth.shape), np.nan, inside)


def block_interval(
    values: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    draws: int = 2000,
) -> tuple[float, float, float]:
    """Compute a mean and its bootstrap interval over blocks of time, and networks.

    Hours next to each other err alike, so that an interval over hours would be far too
    narrow. Whole blocks, such as weeks, are drawn with replacement; networks too, if
    there are several, independently of the blocks.

    Args:
        values: one mean per block, `(blocks,)`, or `(networks, blocks)`.
        rng: draws blocks and networks.
        level: confidence, between 0 and 1.
        draws: how many means the interval is read from.

    Returns:
        `(mean, low, high)`.

    Raises:
        ValueError: fewer than two blocks, another shape, NaN, or a number out of range.

    Example:
        >>> import numpy as np
        >>> from unrolled.course.forecast import block_interval
        >>> weeks = [0.1, -0.2, 0.3, 0.2, 0.1, 0.0]
        >>> mean, low, high = block_interval(weeks, np.random.default_rng(0))
        >>> print(f"{mean:.2f} ({low:.2f} to {high:.2f})")
        0.08 (-0.05 to 0.20)

    References:
        Künsch, "The jackknife and the bootstrap for general stationary observations",
        Annals of Statistics 17 (1989).
    """
    shape: tuple[Any, ...] = ("networks", "blocks")[-max(1, np.ndim(values)) :]
    table = np.atleast_2d(check_array("values", values, shape, float))
    networks, blocks = table.shape
    if blocks < 2:
        raise ValueError(f"values has {blocks} block; expected two or more")
    level = check_between("level", level, 0, 1)
    draws = check_integer("draws", draws, 1)
    which = rng.integers(blocks, size=(draws, 1, blocks))
    whose = rng.integers(networks, size=(draws, networks, 1))
    means = table[whose, which].mean(axis=(1, 2))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(table.mean()), float(low), float(high)


def _read_missing(missing: npt.ArrayLike | None, shape: tuple[int, ...]) -> Array:
    """Return which values do not count, all False by default."""
    if missing is None:
        return np.zeros(shape, bool)
    flags = np.asarray(missing)
    if flags.shape != shape or flags.dtype != bool:
        raise ValueError(
            f"missing is {flags.dtype} {flags.shape}; expected truth values {shape}"
        )
    return flags
