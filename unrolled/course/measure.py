"""Seeds and intervals: what makes a number a measurement."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_between, read_array


def base_seed() -> int:
    """Return the seed that a page counts from: `UNROLLED_SEED`, or 0 if it is not set.

    Raises:
        ValueError: the variable is neither empty nor an integer >= 0.
    """
    text = os.environ.get("UNROLLED_SEED") or "0"  # empty is unset
    if not text.strip().isdecimal():
        raise ValueError(f"UNROLLED_SEED is {text!r}; expected an integer, 0 or more")
    return int(text)


def mean_interval(values: npt.ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Compute the mean of a few runs and its confidence interval (Student's t).

    Args:
        values: one number per seed, `(seeds,)`, at least two of them.
        level: confidence, between 0 and 1.

    Returns:
        `(mean, half_width)`: the interval is mean − half_width to mean + half_width.

    Raises:
        ValueError: fewer than two values, values masked or not finite, or `level` out
            of range.

    Example:
        >>> from unrolled.course import mean_interval
        >>> mean, half_width = mean_interval([0.91, 0.93, 0.92, 0.94])
        >>> print(f"{mean:.3f} ± {half_width:.3f}")
        0.925 ± 0.021

    References:
        Student, "The probable error of a mean", Biometrika 6 (1908).
    """
    from scipy.special import stdtrit  # here, because SciPy takes a while to import

    values = read_array("values", values).astype(float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(
            f"values has shape {values.shape}; expected (seeds,) with seeds >= 2"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"values holds {values}; expected finite numbers")
    if check_between("level", level, 0, 1) == 0:
        raise ValueError(f"level is {level}; expected a number above 0")
    error = values.std(ddof=1) / np.sqrt(len(values))
    half_width = stdtrit(len(values) - 1, (1 + level) / 2) * error
    return float(values.mean()), float(half_width)


def lies_above(values: npt.ArrayLike, bound: float = 0) -> bool:
    """Tell whether the 95 % interval of the mean lies above `bound`.

    Args:
        values: one number per seed, `(seeds,)`, at least two of them.
        bound: what the whole interval must exceed; see `mean_interval`.

    Raises:
        ValueError: as `mean_interval`.
    """
    bound = check_between("bound", bound, -np.inf, np.inf)
    mean, half_width = mean_interval(values)
    return bool(mean - half_width > bound)


def beside_zero(values: npt.ArrayLike, above: str, below: str, neither: str) -> str:
    """Choose one of three phrases by where the 95 % interval of the mean lies.

    Args:
        values: one number per seed, `(seeds,)`; see `mean_interval`.
        above: what to say if the whole interval lies above zero.
        below: what to say if it lies below zero.
        neither: what to say if it includes zero.

    Raises:
        ValueError: as `mean_interval`.

    Example:
        >>> from unrolled.course import beside_zero
        >>> beside_zero([0.1, 0.3, -0.2], "better", "worse", "no difference shown")
        'no difference shown'
    """
    mean, half_width = mean_interval(values)
    if abs(mean) <= half_width:
        return neither
    return above if mean > 0 else below


class Effect(NamedTuple):
    """An effect with its confidence interval.

    Attributes:
        effect: the mean, or the share, or the difference of two shares.
        low: lower end of the interval.
        high: upper end of the interval.
        counts: for a share, how many of how many, `[(k, n)]`, and for a difference of
            shares two such pairs; otherwise how many values there were, `[n]`.
        kind: "mean", "median" (all values agree), "few" (all agree, or none was
            measured, and the interval has no ends), "share", "difference of shares" or
            "exact".
    """

    effect: float
    low: float
    high: float
    counts: list[Any]
    kind: str

    def __format__(self, spec: str) -> str:
        """Write effect and interval, each number as `spec` says."""
        return "{:{s}} ({:{s}} to {:{s}})".format(*self[:3], s=spec)


def measure_effect(values: Any, level: float = 0.95, *, ratio: bool = False) -> Effect:
    """Compute an effect with the interval that suits its values.

    Args:
        values: one of

            * floats, `(n,)`, n ≥ 2: their mean, with Student's interval. Where all
              agree, that has no width and shows nothing: the value stands for the
              median if the sign test allows it, 2^(1 − n) ≤ 1 − level, and otherwise
              the interval is endless;
            * truth values, `(n,)`: the share of true ones, with the exact interval of
              Clopper and Pearson, which is no point even where all agree;
            * a pair of arrays of truth values: the share of the first less that of the
              second, with Newcombe's interval from two of Wilson's;
            * one number: exact, and its own interval.
        level: confidence, between 0 and 1.
        ratio: whether the numbers are ratios, above 0. Then the effect is their
            geometric mean, so that twice as large and half as large weigh the same.

    Raises:
        ValueError: values are of another form, masked or not finite, `level` is out of
            range, or a ratio is not above 0.

    Example:
        >>> from unrolled.course import measure_effect
        >>> print(f"{measure_effect([0.5, 2.0, 0.8, 1.25], ratio=True):.2f}")
        1.00 (0.39 to 2.58)

    References:
        Clopper & Pearson, "The use of confidence or fiducial limits illustrated in the
        case of the binomial", Biometrika 26 (1934).

        Newcombe, "Interval estimation for the difference between independent
        proportions", Statistics in Medicine 17 (1998), method 10.
    """
    if ratio:
        ratios = read_array("values", values)
        if ratios.dtype == bool or not (ratios > 0).all():
            raise ValueError(f"values holds {values!r}; expected ratios above 0")
        if not ratios.ndim or np.ptp(ratios) == 0:  # nothing to average
            return measure_effect(ratios, level)
        found = measure_effect(np.log(ratios), level)
        effect, low, high = (float(end) for end in np.exp(found[:3]))
        return Effect(effect, low, high, found.counts, found.kind)
    if isinstance(values, tuple):
        if len(values) != 2:
            raise ValueError(f"values holds {len(values)} arrays; expected a pair")
        (k, n), (j, m) = counts = [_count(group) for group in values]
        (l1, u1), (l2, u2) = _wilson(k, n, level), _wilson(j, m, level)
        p, q = k / n, j / m
        low = p - q - np.hypot(p - l1, u2 - q)
        high = p - q + np.hypot(u1 - p, q - l2)
        return Effect(p - q, float(low), float(high), counts, "difference of shares")
    array = read_array("values", values)
    if array.dtype == bool and array.ndim:
        k, n = _count(array)
        return Effect(k / n, *_clopper_pearson(k, n, level), [(k, n)], "share")
    if array.ndim == 0:
        if array.dtype == bool or not np.isfinite(array):
            raise ValueError(f"values is {values!r}; expected a finite number")
        exact = float(array)
        return Effect(exact, exact, exact, [1], "exact")
    mean, half = mean_interval(array, level)
    if np.ptp(array) == 0:
        return effect_of_all(float(array[0]), len(array), level)
    return Effect(mean, mean - half, mean + half, [len(array)], "mean")


def effect_of_all(value: float, n: int, level: float) -> Effect:
    """Return the effect of n values that all agree; see `measure_effect`."""
    if 2.0 ** (1 - n) <= 1 - level:  # the chance that all n lie beyond the median
        return Effect(value, value, value, [n], "median")
    return Effect(value, -np.inf, np.inf, [n], "few")


def outcome(
    values: Any,
    *,
    above: float | None = None,
    below: float | None = None,
    within: Sequence[float] | None = None,
    level: float = 0.95,
    ratio: bool = False,
) -> str:
    """Judge a measured effect against a margin.

    Args:
        values: see `measure_effect`.
        above: the effect should be larger than this; or
        below: it should be smaller than this; or
        within: it should lie between these two, as equivalence asks. Exactly one of the
            three is given.
        level: confidence of the interval.
        ratio: see `measure_effect`.

    Returns:
        "holds" if the whole interval lies on the right side of the margin, "shown
        false" if the whole interval lies on the wrong side, "not shown" if it reaches
        across.

    Raises:
        ValueError: not exactly one margin, or as `measure_effect`.

    Example:
        >>> from unrolled.course import outcome
        >>> outcome([0.03, 0.05, 0.04], above=0)
        'holds'
        >>> outcome([0.03, 0.05, 0.04], above=0.1)
        'shown false'
        >>> outcome([True] * 5, above=0.5)  # 5 of 5 may be luck
        'not shown'
    """
    found = measure_effect(values, level, ratio=ratio)
    return judge(found.low, found.high, above=above, below=below, within=within)


def judge(
    low: float,
    high: float,
    *,
    above: float | None = None,
    below: float | None = None,
    within: Sequence[float] | None = None,
) -> str:
    """Judge an interval against a margin; see `outcome`."""
    if sum(margin is not None for margin in (above, below, within)) != 1:
        raise ValueError(
            f"above is {above}, below {below}, within {within}; expected exactly one"
        )
    if within is not None:
        bottom, top = (float(end) for end in within)
        if not bottom < top:
            raise ValueError(f"within is {within}; expected two rising numbers")
    else:
        bottom = -np.inf if above is None else float(above)
        top = np.inf if below is None else float(below)
    right = bottom < low and high < top
    wrong = high < bottom or low > top
    # An exact effect that lies on its margin is not beyond it.
    if right:
        return "holds"
    return "shown false" if wrong or low == high else "not shown"


def _count(flags: Any) -> tuple[int, int]:
    """Return how many truth values are true, and how many there are."""
    array = read_array("values", flags)
    if array.dtype != bool or array.ndim != 1 or not array.size:
        raise ValueError(f"values holds {flags!r}; expected truth values, (n,)")
    return int(array.sum()), array.size


def _clopper_pearson(k: int, n: int, level: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = betaincinv(k, n - k + 1, tail) if k else 0.0
    high = betaincinv(k + 1, n - k, 1 - tail) if k < n else 1.0
    return float(low), float(high)


def _wilson(k: int, n: int, level: float) -> tuple[float, float]:
    from scipy.special import ndtri

    z = ndtri((1 + level) / 2)
    centre = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(k * (n - k) / n + z**2 / 4)
    return float(centre - half), float(centre + half)
