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

from unrolled.types import Array

# What `solution` returned, by id. It is kept, so that no later object gets the same id.
_solutions: dict[int, Any] = {}
_answers: dict[str, Any] = {}  # those that the current check asked for, by name


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
    name: str, got: Any, expected: npt.ArrayLike, tolerance: float = 1e-6
) -> str | None:
    """Say in words what is wrong with `got`; None if nothing is. See `expect_close`."""
    expected = np.asarray(expected)
    if got is None or got is ...:
        return f"{name} is {got}; expected {_kind(expected)}"
    try:
        got = np.asarray(got)
    except (TypeError, ValueError) as error:
        return f"{name} is not an array ({error}); expected {_kind(expected)}"
    if expected.dtype.kind in "US":
        if got.shape == expected.shape and np.array_equal(got, expected):
            return None
        return f"{name} is {_short(got)}; expected {_short(expected)}"
    if got.dtype.kind not in "fiub":
        return f"{name} holds {got.dtype}, not numbers; expected {_kind(expected)}"
    if got.shape != expected.shape:
        return f"{name} has shape {got.shape}; expected {expected.shape}"
    if not np.isfinite(got).all():
        return f"{name} holds NaN or infinity; expected finite numbers"
    if not got.size:
        return None
    off = np.abs(got.astype(float) - expected.astype(float))
    most = tolerance * max(1, np.abs(expected.astype(float)).max())
    if off.max() <= most:
        return None
    place = np.unravel_index(off.argmax(), off.shape)
    where = f"[{', '.join(map(str, place))}]" if place else ""
    share = f" ({np.mean(off > most):.0%} of its entries differ)" if place else ""
    if expected.dtype.kind == "b":
        return f"{name}{where} is {got[place]}; expected {expected[place]}{share}"
    return f"{name}{where} is {got[place]:.6g}; expected {expected[place]:.6g}{share}"


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
        return "a word"
    return f"numbers of shape {expected.shape}" if expected.shape else "a number"


def _short(array):
    """Write an array in one short line."""
    text = repr(array.item() if array.ndim == 0 else array.tolist())
    return text if len(text) <= 60 else f"{text[:57]}..."
