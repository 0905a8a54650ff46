"""Refuse bad input by name: which argument, what came, what was expected."""

import numbers
import operator
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.types import Array


def read_array(name: str, value: npt.ArrayLike | None) -> Array:
    """Return `value` as an array, or refuse it.

    All data comes in here, because `np.asarray` keeps silent about what it drops: a
    mask, a unit, what a sparse matrix holds.

    Args:
        name: the argument's name, for the message.
        value: anything that NumPy can read as numbers.

    Returns:
        `value` as a plain array; the same memory if it is one already.

    Raises:
        ValueError: not real numbers, or something would be lost.
    """
    if lost := find_lost(value):
        raise ValueError(f"{name} {lost}; expected plain numbers")
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever the value's own conversion raises
        if "inhomogeneous" in str(error):
            raise ValueError(f"{name} is ragged; expected an array") from None
        raise ValueError(
            f"{name} is {type(value).__name__}; expected an array ({error})"
        ) from error
    if array.dtype.kind == "O" and array.ndim == 0:
        raise ValueError(f"{name} is {type(value).__name__}; expected an array")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}; expected real numbers")
    return array


def as_floats(array: Array) -> Array:
    """Return integers and truth values as float64, and floats as they are."""
    return array if array.dtype.kind == "f" else array.astype(float)


def find_lost(value: Any, depth: int = 0) -> str | None:
    """Say what `np.asarray` would silently drop from `value`; None if nothing."""
    kind = type(value)
    if _is_plain(kind) or isinstance(value, (str, bytes)):
        return None
    if isinstance(value, Sequence):
        if depth > 64 or all(map(_is_plain, {type(part) for part in value})):
            return None
        return next(filter(None, (find_lost(v, depth + 1) for v in value)), None)
    if isinstance(value, np.ndarray) and np.any(getattr(value, "mask", False)):
        return "has masked entries"
    if getattr(value, "_keras_mask", None) is not None:
        return "carries a mask of Keras"
    if hasattr(kind, "unit") or hasattr(kind, "units"):
        return f"is {kind.__name__}, which has a unit"
    if hasattr(kind, "toarray"):
        return f"is {kind.__name__}, which is sparse (its toarray() gives all numbers)"
    if hasattr(kind, "__array__") and not isinstance(value, np.ndarray):
        try:
            return find_lost(np.asanyarray(value))  # it may come with a mask
        except Exception:  # whatever the conversion raises; `read_array` says it
            return None
    return None


def _is_plain(kind):
    """Tell whether NumPy keeps all of an object of this very type."""
    return kind in (float, int, bool, np.ndarray) or issubclass(kind, np.generic)


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
        given = array = read_array(name, value)
    except ValueError as error:
        if "ragged" not in str(error):
            raise
        raise ValueError(f"{error} of shape {_words(shape)}") from None
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
        if np.isfinite(given).all():
            first = given.flat[np.isfinite(array).argmin()]
            number = np.format_float_scientific(first, precision=2, trim="-")
            raise ValueError(f"{name} holds {number}, too large for {array.dtype}")
        raise ValueError(f"{name} holds NaN or infinity; expected finite numbers")
    return array


def check_sequences(
    name: str,
    value: npt.ArrayLike,
    features: int | None,
    networks: int | None,
    dtype: npt.DTypeLike,
) -> Array:
    """Return `value` as an array `(batch, time, features)`, or refuse it.

    Args:
        name: the argument's name, for the message.
        value: the sequences; in an ensemble perhaps with the networks in front.
        features: length of the last axis; None if any will do.
        networks: the size of the ensemble; None for a single network.
        dtype: what to convert to.

    Raises:
        ValueError: as `check_array`.
    """
    shape: list[Any] = ["batch", "time", features or "features"]
    axes = count_axes(value)
    if networks is not None and axes == 4:
        shape = [networks, *shape]
    try:
        return check_array(name, value, shape, dtype)
    except ValueError as error:
        if axes != 2:
            raise
        raise ValueError(
            f"{error}. {name}[..., None] makes each number a step of one feature, "
            f"{name}[None] makes the whole a single sequence"
        ) from None


def check_labels(
    name: str, labels: npt.ArrayLike, classes: int, shape: tuple[int, ...] | None = None
) -> Array:
    """Return `labels` as an array of integers, or refuse them.

    Args:
        name: the argument's name, for the message.
        labels: integers of any type, or floats and truth values that are integers.
        classes: how many classes there are.
        shape: what shape they must have; None if any will do.

    Raises:
        ValueError: another shape, not integers, or not all within 0 … classes − 1.
    """
    labels = check_array(name, labels, (...,), None)
    if shape is not None and labels.shape != shape:
        hint = ""
        if labels.shape == (*shape, 1):
            hint = f". {name}[..., 0] takes the last axis off"
        elif labels.shape == (*shape, classes):
            hint = f". One-hot labels become integers by {name}.argmax(axis=-1)"
        raise ValueError(f"{name} has shape {labels.shape}; expected {shape}{hint}")
    if labels.dtype.kind == "f" and (labels % 1).any():
        raise ValueError(f"{name} holds fractions; expected integers")
    if labels.min() < 0 or labels.max() >= classes:
        low, high = labels.min(), labels.max()
        raise ValueError(
            f"{name} runs from {low:.10g} to {high:.10g}; expected 0 to "
            f"{classes - 1}, for {classes} classes"
        )
    return labels.astype(np.int64, copy=False)


def _words(shape: Sequence[Any]) -> str:
    """`(batch, time, 28)` for `("batch", "time", 28)`."""
    words = ", ".join("..." if s is ... else str(s) for s in shape)
    return f"({words},)" if len(shape) == 1 else f"({words})"


def count_axes(value: Any) -> int:
    """Return the number of axes of `value`; 0 if it is not an array."""
    try:
        return read_array("value", value).ndim
    except ValueError:
        return 0


def count_parts(value: Any) -> int | None:
    """Return `len(value)`; None if it has no length, as arrays without axes."""
    try:
        return len(value)
    except TypeError:
        return None


def check_tuple(name: str, value: Any, names: Sequence[str]) -> tuple[Any, ...]:
    """Return `value` as a tuple with one entry for each of `names`.

    Raises:
        ValueError: not a tuple or list, or of another length.
    """
    if not isinstance(value, (tuple, list)) or len(value) != len(names):
        length = 1 if (n := count_parts(value)) is None else n
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
    try:
        is_one = not isinstance(value, bool) and not find_lost(value)
        number = operator.index(value) if is_one else None
    except TypeError:
        number = None
    if number is None or number < at_least:
        raise ValueError(f"{name} is {value!r}; expected an integer >= {at_least}")
    return number


def check_between(name: str, value: Any, low: float, high: float) -> float:
    """Return `value` as a float.

    Raises:
        ValueError: not a number in [low, high).
    """
    try:
        if isinstance(value, numbers.Real) and not isinstance(value, np.generic):
            number = float(value)
        else:
            array = read_array(name, value)
            number = float(array) if array.ndim == 0 else np.nan
    except (OverflowError, ValueError):
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


def check_choice(
    name: str, value: Any, choices: Iterable[str], or_else: str = ""
) -> str:
    """Return `value` if it is one of the `choices`.

    Args:
        name: the argument's name, for the message.
        value: what came.
        choices: what it may be.
        or_else: what else the caller takes, for the end of the message.

    Raises:
        ValueError: it is not; the message lists them.
    """
    if not isinstance(value, str) or value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} is {value!r}; expected one of {expected}{or_else}")
    return value


def check_path(name: str, value: Any) -> Path:
    """Return `value` as a path.

    Raises:
        ValueError: it is none.
    """
    try:
        return Path(os.fsdecode(value))
    except TypeError:
        raise ValueError(f"{name} is {value!r}; expected a path") from None


def check_generator(name: str, value: Any) -> np.random.Generator:
    """Return `value` if it is a random generator.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, np.random.Generator):
        raise ValueError(
            f"{name} is {value!r}; expected a numpy.random.Generator, such as "
            "np.random.default_rng(0)"
        )
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
