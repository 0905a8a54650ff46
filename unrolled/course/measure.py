"""Seeds and intervals: what makes a number a measurement."""

import os

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


def shown_above(values: npt.ArrayLike, bound: float = 0) -> bool | None:
    """Tell whether the 95 % interval of the mean lies above `bound`, below or across.

    Args:
        values: one number per seed or turn, `(seeds,)`, at least two of them.
        bound: a number.

    Returns:
        True if the whole interval lies above, False if it lies below, and None if it
        reaches across, so that neither is shown.

    Raises:
        ValueError: as `mean_interval`.
    """
    if lies_above(values, bound):
        return True
    negative = -read_array("values", values).astype(float)
    return False if lies_above(negative, -bound) else None
