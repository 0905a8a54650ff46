"""Bad input is refused by name: which argument, what came, what was expected."""

import numpy as np


def check_array(name, value, shape, dtype):
    """`value` as an array of `dtype` whose shape fits, or a `ValueError`.

    Args:
        name: the argument's name, for the message.
        value: anything that NumPy can read as numbers.
        shape: one entry an axis: a number that must hold, or a word for a free length
            of at least 1. A leading `...` stands for any axes in front.
        dtype: what to convert to; None to keep what came.

    Returns:
        `value` as an array; the same memory where nothing had to be converted.

    Raises:
        ValueError: not numbers, another shape, an empty axis, NaN or infinity.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        raise ValueError(
            f"{name} is ragged; expected an array of shape {_words(shape)}"
        ) from None
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}; expected real numbers")
    got, wanted = array.shape, shape
    if shape and shape[0] is ...:
        wanted = shape[1:]
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
        with np.errstate(over="ignore"):  # what is too large is found below
            array = array.astype(dtype, copy=False)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity; expected finite numbers")
    return array


def _words(shape):
    """`(batch, time, 28)` for `("batch", "time", 28)`."""
    words = ", ".join("..." if s is ... else str(s) for s in shape)
    return f"({words},)" if len(shape) == 1 else f"({words})"


def count_axes(value):
    """Number of axes of `value`; 0 for what is ragged, and so no array."""
    try:
        return np.ndim(value)
    except ValueError:
        return 0


def check_tuple(name, value, names):
    """`value` as a tuple with an entry for each of `names`, or a `ValueError`."""
    if not isinstance(value, (tuple, list)) or len(value) != len(names):
        length = len(value) if hasattr(value, "__len__") else 1
        raise ValueError(
            f"{name} is {type(value).__name__} of length {length}; expected a tuple of "
            f"{len(names)}: ({', '.join(names)})"
        )
    return tuple(value)


def check_whole(name, value, at_least):
    """`value` as an int, or a `ValueError`: not a whole number, or below `at_least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(
            f"{name} is {value!r}; expected a whole number of {at_least} or more"
        )
    if value < at_least:
        raise ValueError(f"{name} is {value}; expected {at_least} or more")
    return int(value)


def check_between(name, value, low, high):
    """`value` as a float in [low, high), or a `ValueError`."""
    try:
        number = np.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not low <= number < high:
        raise ValueError(f"{name} is {value!r}; expected a number in [{low}, {high})")
    return number


def check_positive(name, value):
    """`value` as a float above 0, or a `ValueError`."""
    number = check_between(name, value, 0, np.inf)
    if number == 0:
        raise ValueError(f"{name} is {value!r}; expected a number above 0")
    return number


def check_choice(name, value, choices):
    """`value`, or a `ValueError` that lists the `choices`."""
    if not isinstance(value, str) or value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} is {value!r}; expected one of {expected}")
    return value


def check_dtype(dtype):
    """`dtype` as float32 or float64, or a `ValueError`."""
    for allowed in (np.dtype("float32"), np.dtype("float64")):
        if isinstance(dtype, (str, type, np.dtype)) and dtype == allowed:
            return allowed
    raise ValueError(f"dtype is {dtype}; expected 'float32' or 'float64'")
