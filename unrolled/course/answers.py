"""What check cells ask of an answer, in exercises and in assignments.

If an answer is right, an `expect_` function returns nothing; otherwise it raises an
`AssertionError` that says which value is wrong, with shapes and numbers. In an
exercise `expect_answer` opens the check and `say_right` closes it. Whatever a solution
cell fills in goes through `solution`, so that the check can tell it from the student's
own answer, in whatever order the cells run.
"""

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.checks import find_lost
from unrolled.types import Array

# What `solution` returned, by id. It is kept, so that no later object gets the same id.
_solutions: dict[int, Any] = {}
_answers: dict[str, Any] = {}  # those that the current check asked for, by name
# What an answer may hold at most: it is bounded before anything of it is copied.
MOST_PARTS, MOST_WORDS, MOST_LETTERS = 1_000_000, 1000, 1000


def solution(answer: Any) -> Any:
    """Mark what a solution cell fills in; a decorator for functions and classes.

    Args:
        answer: what the cell fills in.

    Returns:
        `answer` itself; for a number, truth value or word a copy as a NumPy scalar (a
        truth value as an array without axes), because Python may keep one object for
        every 16, and a student's own 16 is not ours.
    """
    if isinstance(answer, (bool, np.bool)):
        answer = np.array(answer)
    elif isinstance(answer, (numbers.Number, str)):
        answer = np.array(answer)[()]
    _solutions[id(answer)] = answer
    return answer


def expect_answer(**answers: Any) -> None:
    """Open a check: refuse answers that are still `...`, or None.

    Args:
        **answers: the answers by name: `expect_answer(answer_1=answer_1)`.

    Raises:
        AssertionError: names the first one that is empty.
    """
    for name, answer in answers.items():
        # None is what a function without `return` gives.
        assert answer is not ... and answer is not None, f"{name} is empty"
    _answers.clear()
    _answers.update(answers)


def say_right(why: str = "") -> None:
    """Close a check: say that the answer is right, or that the solution was filled in.

    Args:
        why: what the check found, in a few words.
    """
    filled_in = [name for name, answer in _answers.items() if id(answer) in _solutions]
    if not filled_in:
        verdict = "Right"
    elif len(filled_in) == len(_answers):
        verdict = "The solution was filled in, and passes"
    else:
        verdict = f"Right, with the solution filled in for {', '.join(filled_in)}"
    print(f"{verdict}: {why}" if why else f"{verdict}.")


def expect_close(
    name: str, got: Any, expected: npt.ArrayLike, tolerance: float = 1e-6
) -> None:
    """Refuse numbers of another shape, not finite, or too far from what is expected.

    Args:
        name: what the value is called, for the message.
        got: the answer: a number or an array.
        expected: what it should be; any shape.
        tolerance: how far each entry may be off, as a share of the largest expected
            size, or of 1 if that is smaller.

    Raises:
        AssertionError: says what is wrong with `got`: its type, its shape, or the entry
            that is furthest off.

    Example:
        >>> from unrolled.course import expect_close
        >>> expect_close("loss", [0.5, 0.25], [0.5, 0.75])
        Traceback (most recent call last):
        AssertionError: loss[1] is 0.25; expected 0.75 (50% of its entries differ)
    """
    complaint = compare(name, got, expected, tolerance)
    assert complaint is None, complaint


def compare(
    name: str,
    got: Any,
    expected: npt.ArrayLike,
    tolerance: float = 1e-6,
    *,
    tell: bool = True,
) -> str | None:
    """Say in words what is wrong with an answer, whatever it is; None if it is right.

    Args:
        name: as in `expect_close`, like the next three.
        got: the answer.
        expected: what it should be.
        tolerance: how far each entry may be off.
        tell: whether the words may show what was expected, and not only its shape.
    """
    expected = np.asarray(expected)
    words = expected.dtype.kind in "US"
    if got is None or got is ...:
        return f"{name} is {got}; expected {_kind(expected)}"
    try:
        got = _read(got, words)
    except Exception as error:  # an answer may be any object
        return f"{name} {printable(error)}; expected {_kind(expected)}"
    if got.shape != expected.shape:
        return f"{name} has shape {got.shape}; expected {expected.shape}"
    if not got.size:
        return None
    if words:
        if np.array_equal(got, expected):
            return None
        return f"{name} is {_short(got)}{_instead(_short(expected), tell)}"
    with np.errstate(all="ignore"):
        values = got.astype(complex if got.dtype.kind == "c" else float)
        if not np.isfinite(values).all():
            return f"{name} holds NaN or infinity; expected finite numbers"
        off = np.abs(values - expected)
    most = tolerance * max(1, np.abs(1.0 * expected).max())
    if off.max() <= most:
        return None
    place = np.unravel_index(off.argmax(), off.shape)
    where = f"[{', '.join(map(str, place))}]" if place else ""
    share = f" ({np.mean(off > most):.0%} of its entries differ)" if place else ""
    if expected.dtype.kind == "b":
        instead = _instead(expected[place], tell)
        return f"{name}{where} is {got[place]}{instead}{share}"
    instead = _instead(f"{expected[place]:.6g}", tell)
    return f"{name}{where} is {values[place]:.6g}{instead}{share}"


def _read(got, words):
    """Read an answer as an array of numbers, or of words if `words`.

    Raises:
        ValueError: it is something else, or NumPy would drop a part of it in silence.
    """
    waiting, parts = [got], 0
    while waiting:
        part = waiting.pop()
        parts += 1
        if parts > (MOST_WORDS if words else MOST_PARTS):
            raise ValueError("has more parts than an answer can have")
        if isinstance(part, (list, tuple)):
            waiting.extend(part[:MOST_PARTS])
        elif isinstance(part, (str, bytes)):
            if not words:
                raise ValueError("holds words, not numbers")
            if len(part) > MOST_LETTERS:  # an array would give every word that length
                raise ValueError(f"is a word of {len(part)} letters")
        elif type(part) not in (float, int, bool) and (lost := find_lost(part)):
            raise ValueError(lost)
    try:
        array = np.asarray(got)
    except Exception as error:
        raise ValueError(f"is not an array ({printable(error)})") from None
    kind = array.dtype.kind
    if words:
        if kind not in "US":
            raise ValueError("is not a word")
        if array.dtype.itemsize > 4 * MOST_LETTERS:
            raise ValueError(f"is a word of {array.dtype.itemsize // 4} letters")
        return array
    if kind == "O" and all(isinstance(n, numbers.Number) for n in array.flat):
        array = array.astype(complex)  # Python's fractions, for instance
    elif kind not in "fiubc":
        raise ValueError(f"holds {array.dtype}, not numbers")
    if array.dtype.kind == "c" and not array.imag.any():
        array = array.real
    return array


def printable(value: Any, most: int = 200) -> str:
    """Return the first letters of `str(value)`, without control characters."""
    try:
        text = str(value)[:most]
    except Exception:  # an answer's own `__str__` may fail
        text = type(value).__name__
    return "".join(letter if letter.isprintable() else " " for letter in text)


def expect_gradient(
    name: str,
    gradient: Any,
    loss: Callable[[Array], Any],
    at: npt.ArrayLike,
    tolerance: float = 1e-6,
    step: float = 1e-5,
) -> None:
    """Refuse a gradient that central differences do not confirm.

    Args:
        name: what the gradient is called, for the message.
        gradient: the gradient of `loss` with respect to `at`, in its shape.
        loss: function that turns an array like `at` into a number.
        at: where the gradient was taken; it stays as it is.
        tolerance: as in `expect_close`.
        step: how far each entry is moved, up and down.

    Raises:
        AssertionError: as `expect_close`.
    """
    at = np.array(at, dtype=float)
    numeric = np.empty_like(at)
    for index in np.ndindex(at.shape):
        above, below = at.copy(), at.copy()
        above[index] += step
        below[index] -= step
        numeric[index] = (loss(above) - loss(below)) / (2 * step)
    expect_close(name, gradient, numeric, tolerance)


def _kind(expected):
    """`numbers of shape (2, 3)`, `a number`, or `a word`."""
    if expected.dtype.kind in "US":
        return f"words of shape {expected.shape}" if expected.shape else "a word"
    return f"numbers of shape {expected.shape}" if expected.shape else "a number"


def _instead(expected, tell):
    """What to say after a wrong value."""
    return f"; expected {expected}" if tell else ", which is wrong"


def _short(array):
    """Write an array of words in one short line."""
    text = repr(array.item() if array.ndim == 0 else array.ravel()[:30].tolist())
    return text if len(text) <= 60 else f"{text[:57]}..."
