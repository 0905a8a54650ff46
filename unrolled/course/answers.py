"""What check cells ask of an answer, in exercises and in assignments.

Each `expect_` function returns nothing where the answer is right, and raises an
`AssertionError` that says which value is wrong, with shapes and numbers, where it is
not. In an exercise `expect_answer` opens the check and `say_right` closes it. What a
solution cell fills in goes through `solution`, so that the check tells it from the
student's own answer, in whatever order the cells run.
"""

import numbers

import numpy as np

# What `solution` returned, by id. It stays here, so no later object gets the same id.
_solutions = {}
_answers = {}  # those that the present check asked for, by name


def solution(answer):
    """Mark what a solution cell fills in. Functions and classes take it as a decorator.

    Returns:
        `answer` itself. Of a number, truth value or word a copy, as a NumPy scalar (a
        truth value as an array without axes): Python may hold one object for all 16s,
        and a student's own 16 is not ours.
    """
    if isinstance(answer, (bool, np.bool)):
        answer = np.array(answer)
    elif isinstance(answer, (numbers.Number, str)):
        answer = np.array(answer)[()]
    _solutions[id(answer)] = answer
    return answer


def expect_answer(**answers):
    """Open a check: refuse answers that are still `...`, or None.

    Args:
        answers: each by its name: `expect_answer(answer_1=answer_1)`.

    Raises:
        AssertionError: names the first that is empty.
    """
    for name, answer in answers.items():
        # None is what a function without `return` gives.
        assert answer is not ... and answer is not None, f"{name} is empty"
    _answers.clear()
    _answers.update(answers)


def say_right(why=""):
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


def expect_close(name, got, expected, tolerance=1e-6):
    """Refuse numbers of another shape, not finite, or too far from what is expected.

    Args:
        name: what the value is called, for the message.
        got: the answer: a number or an array.
        expected: what it should be; any shape.
        tolerance: how far each entry may be off, as a part of the largest expected
            size, or of 1 where that is smaller.

    Raises:
        AssertionError: says what is wrong with `got`: its type, its shape, or the entry
            that is furthest off.
    """
    complaint = compare(name, got, expected, tolerance)
    assert complaint is None, complaint


def compare(name, got, expected, tolerance=1e-6):
    """What is wrong with `got`, in words; None where nothing is. See `expect_close`."""
    expected = np.asarray(expected)
    if got is None or got is ...:
        return f"{name} is {got}; expected {_kind(expected)}"
    try:
        got = np.asarray(got)
    except (TypeError, ValueError) as error:
        return f"{name} is no array ({error}); expected {_kind(expected)}"
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
    error = np.abs(got.astype(float) - expected.astype(float))
    most = tolerance * max(1, np.abs(expected.astype(float)).max())
    if error.max() <= most:
        return None
    place = np.unravel_index(error.argmax(), error.shape)
    where = f"[{', '.join(map(str, place))}]" if place else ""
    share = f" ({np.mean(error > most):.0%} of its entries differ)" if place else ""
    if expected.dtype.kind == "b":
        return f"{name}{where} is {got[place]}; expected {expected[place]}{share}"
    return f"{name}{where} is {got[place]:.6g}; expected {expected[place]:.6g}{share}"


def expect_gradient(name, gradient, loss, at, tolerance=1e-6, step=1e-5):
    """Refuse a gradient that central differences do not confirm.

    Args:
        name: what the gradient is called, for the message.
        gradient: of `loss` with respect to `at`; of the same shape.
        loss: function of an array like `at`, to a number.
        at: where the gradient was taken; is left as it is.
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
    """An array in one short line."""
    text = repr(array.item() if array.ndim == 0 else array.tolist())
    return text if len(text) <= 60 else f"{text[:57]}..."
