"""Refuse bad input by name: which argument, what came, what was expected."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.types import Array


def check_array(
    name: str,
    value: npt.ArrayLike | None,
    shape: Sequence[Any],
    dtype: npt.DTypeLike | None,
) -> Array:
    """Return `value` as an array, or refuse it.

    Args:
        name: the argument's name, for the message.
        value: anything that NumPy can read as numbers.
        shape: one entry per axis: the length that it must have, or a word where any
            length of at least 1 will do. A leading `...` stands for any axes in front.
        dtype: what to convert to; None leaves the dtype as it is.

    Returns:
        `value` as an array; the same memory where nothing had to be converted.

    Raises:
        ValueError: not real numbers, another shape, an empty axis, NaN or infinity.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        raise ValueError(
            f"{name} is ragged; expected an array of shape {_words(shape)}"
        ) from None
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}; expected real numbers")
    got, wanted = array.shape, tuple(shape)
    if wanted and wanted[0] is ...:
        wanted = wanted[1:]
        got = got[max(len(got) - len(wanted), 0) :]
    fits = len(got) == len(wanted) and all(
        n == w if isinstance(w, int) else n > 0
        for n, w in zip(got, wanted, strict=True)
    )
    if not fits or array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}; expected {_words(shape)}, no axis empty"
        )
    if dtype is not None:
        with np.errstate(over="ignore"):  # numbers too large are found below
            array = array.astype(dtype, copy=False)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity; expected finite numbers")
    return array


def _words(shape: Sequence[Any]) -> str:
    """`(batch, time, 28)` for `("batch", "time", 28)`."""
    words = ", ".join("..." if s is ... else str(s) for s in shape)
    return f"({words},)" if len(shape) == 1 else f"({words})"


def count_axes(value: Any) -> int:
    """Return the number of axes of `value`; 0 if it is ragged and so not an array."""
    try:
        return np.ndim(value)
    except ValueError:
        return 0


def check_tuple(name: str, value: Any, names: Sequence[str]) -> tuple[Any, ...]:
    """Return `value` as a tuple with one entry for each of `names`.

    Raises:
        ValueError: not a tuple or list, or of another length.
    """
    if not isinstance(value, (tuple, list)) or len(value) != len(names):
        length = len(value) if hasattr(value, "__len__") else 1
        raise ValueError(
            f"{name} is {type(value).__name__} of length {length}; expected a tuple of "
            f"{len(names)}: ({', '.join(names)})"
        )
    return tuple(value)


def check_integer(name: str, value: Any, at_least: int) -> int:
    """Return `value` as an int.

    Raises:
        ValueError: not an integer, or below `at_least`.
    """
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_integer or value < at_least:
        raise ValueError(f"{name} is {value!r}; expected an integer >= {at_least}")
    return int(value)


def check_between(name: str, value: Any, low: float, high: float) -> float:
    """Return `value` as a float.

    Raises:
        ValueError: not a number in [low, high).
    """
    try:
        number = np.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not low <= number < high:
        raise ValueError(f"{name} is {value!r}; expected a number in [{low}, {high})")
    return number


def check_positive(name: str, value: Any) -> float:
    """Return `value` as a float.

    Raises:
        ValueError: not a finite number above 0.
    """
    number = check_between(name, value, 0, np.inf)
    if number == 0:
        raise ValueError(f"{name} is {value!r}; expected a number above 0")
    return number


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return `value` if it is one of the `choices`.

    Raises:
        ValueError: it is not; the message lists them.
    """
    if not isinstance(value, str) or value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} is {value!r}; expected one of {expected}")
    return value


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as NumPy's float32 or float64.

    Raises:
        ValueError: any other dtype.
    """
    for allowed in (np.dtype("float32"), np.dtype("float64")):
        if isinstance(dtype, (str, type, np.dtype)) and dtype == allowed:
            return allowed
    raise ValueError(f"dtype is {dtype}; expected 'float32' or 'float64'")
