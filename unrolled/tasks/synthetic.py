"""Sequence tasks whose answer lies many steps back, with their trivial baselines."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unrolled.checks import (
    check_between,
    check_generator,
    check_integer,
    check_labels,
)
from unrolled.types import Array

COPIED = 10  # symbols to remember in the copy task, out of COPY_SYMBOLS
COPY_SYMBOLS = 8
ORDER_SYMBOLS = "EBabcdXY"  # start, trigger, four distractors, the two that matter


@dataclass(frozen=True, eq=False)
class Task:
    """Sequences, their labels, and the scores that take no memory.

    The baselines are trivial predictors, run on these very sequences and, if they have
    something to fit, fitted to them. The first one ignores the sequence.

    Attributes:
        name: for titles and legends.
        x: inputs, float32 `(n, steps, features)`.
        y: labels: float32 `(n,)` for regression; int64 for classification, `(n,)`, or
            `(n, steps)` if every step has a label.
        loss: "mean squared error" or "cross-entropy" (in nats, mean over all labels).
        classes: number of classes; None for regression.
        baselines: loss of each trivial predictor, by name.
        accuracies: its share of right answers, with random ties, by the same names;
            empty for regression.
    """

    name: str
    x: Array
    y: Array
    loss: str
    classes: int | None
    baselines: dict[str, float]
    accuracies: dict[str, float]

    @property
    def chance(self) -> float | None:
        """Accuracy of the first baseline; None for regression."""
        return next(iter(self.accuracies.values()), None)


def adding_problem(n: int, T: int, rng: np.random.Generator) -> Task:
    """Add the two numbers of a long list that are marked, one in each half.

    Args:
        n: number of sequences, at least 1.
        T: steps per sequence, at least 2.
        rng: draws the sequences.

    Returns:
        `Task` with `x` `(n, T, 2)`, numbers from U[0, 1) beside their marks, 0 or 1,
        and `y` `(n,)`, the sum of the marked numbers. Expected baselines: 1/6 and 1/12.

    Raises:
        ValueError: `n` or `T` is too small or not an integer, or `rng` is not a
            generator.

    References:
        Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9 (1997),
        experiment 4; numbers and marks as in Arjovsky, Shah & Bengio, "Unitary
        evolution recurrent neural networks", ICML 2016.
    """
    check_sizes(n, T, rng, shortest=2)
    rows = np.arange(n)
    first, second = rng.integers(0, T // 2, n), rng.integers(T // 2, T, n)
    x = np.zeros((n, T, 2), np.float32)
    x[..., 0] = rng.random((n, T), np.float32)
    x[rows, first, 1] = x[rows, second, 1] = 1
    known = x[rows, first, 0]
    y = known + x[rows, second, 0]
    baselines = {
        "predict the mean": _linear_error(y),
        "know the first number": _linear_error(y, known),
    }
    return Task("adding problem", x, y, "mean squared error", None, baselines, {})


def copy_memory(n: int, T: int, rng: np.random.Generator) -> Task:
    """Repeat ten symbols after a long silence.

    The steps are ten symbols (0–7), T − 1 blanks (8), the delimiter (9) and ten blanks.
    The labels are T + 10 blanks, then the ten symbols. T is the wait, including the
    delimiter; each symbol is asked for T + 10 steps after it was shown.

    Args:
        n: number of sequences, at least 1.
        T: steps of the wait, at least 1.
        rng: draws the sequences.

    Returns:
        `Task` with one-hot `x` `(n, T + 20, 10)`, `y` `(n, T + 20)` and 9 classes, as
        the delimiter is never an answer. Without memory the loss is 10 ln 8 / (T + 20).

    Raises:
        ValueError: `n` or `T` is too small or not an integer, or `rng` is not a
            generator.

    References:
        Arjovsky, Shah & Bengio, "Unitary evolution recurrent neural networks", ICML
        2016; after Hochreiter & Schmidhuber, "Long short-term memory", 1997.
    """
    check_sizes(n, T, rng, shortest=1)
    blank, delimiter = COPY_SYMBOLS, COPY_SYMBOLS + 1
    remembered = rng.integers(COPY_SYMBOLS, size=(n, COPIED))
    symbols = np.full((n, T + 2 * COPIED), blank)
    symbols[:, :COPIED] = remembered
    symbols[:, -COPIED - 1] = delimiter
    y = np.full_like(symbols, blank)
    y[:, -COPIED:] = remembered
    p = np.zeros((T + 2 * COPIED, COPY_SYMBOLS + 1))
    p[:-COPIED, blank] = 1
    p[-COPIED:, :COPY_SYMBOLS] = 1 / COPY_SYMBOLS
    x = one_hot(symbols, delimiter + 1)
    return _classification("copy memory", x, y, {"no memory": p})


def temporal_order(n: int, T: int, rng: np.random.Generator) -> Task:
    """Tell in which order two symbols came, far apart among distractors.

    The sequence starts with E and ends with B, the trigger. One symbol after a tenth
    to a fifth of it and one after a half to three fifths are X or Y; all others are
    drawn from a, b, c, d. The classes are 0 XX, 1 XY, 2 YX, 3 YY. The paper draws
    lengths from 100 to 110; here all sequences have T steps.

    Args:
        n: number of sequences, at least 1.
        T: steps per sequence, at least 10, so that a tenth of them is one.
        rng: draws the sequences.

    Returns:
        `Task` with one-hot `x` `(n, T, 8)` in the order of `ORDER_SYMBOLS` and `y`
        `(n,)`. Expected baselines: ln 4 and ln 2.

    Raises:
        ValueError: `n` or `T` is too small or not an integer, or `rng` is not a
            generator.

    Example:
        >>> import numpy as np
        >>> from unrolled.tasks import temporal_order
        >>> task = temporal_order(1000, 20, np.random.default_rng(0))
        >>> task.x.shape, task.y.shape, task.classes
        ((1000, 20, 8), (1000,), 4)
        >>> for name, loss in task.baselines.items():
        ...     print(f"{name}: loss {loss:.1f}, accuracy {task.accuracies[name]:.1f}")
        best constant: loss 1.4, accuracy 0.3
        know the last of the two: loss 0.7, accuracy 0.5

    References:
        Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9 (1997),
        task 6a.
    """
    check_sizes(n, T, rng, shortest=10)
    rows = np.arange(n)
    E, B, a, X = (ORDER_SYMBOLS.index(symbol) for symbol in "EBaX")
    symbols = rng.integers(a, X, size=(n, T))
    symbols[:, 0], symbols[:, -1] = E, B
    first, last = rng.integers(2, size=(2, n))
    symbols[rows, rng.integers(T // 10, T // 5 + 1, n)] = X + first
    symbols[rows, rng.integers(T // 2, 3 * T // 5 + 1, n)] = X + last
    y = 2 * first + last
    predictors = {
        "best constant": _frequencies(y, 4),
        "know the last of the two": _frequencies(y, 4, given=last),
    }
    x = one_hot(symbols, len(ORDER_SYMBOLS))
    return _classification("temporal order", x, y, predictors)


def latch(
    n: int,
    T: int,
    rng: np.random.Generator,
    signal: int = 3,
    noise: float = 0.2,
) -> Task:
    """Keep one bit, shown in the first few steps, through noise.

    In the paper the values of the first steps are learned; here they are −1 for class
    0 and +1 for class 1.

    Args:
        n: number of sequences, at least 1.
        T: steps per sequence, more than `signal`.
        rng: draws the sequences.
        signal: steps that show the bit, at least 1.
        noise: standard deviation of the normal noise in all later steps.

    Returns:
        `Task` with `x` `(n, T, 1)` and `y` `(n,)`. Expected baseline: ln 2.

    Raises:
        ValueError: a size is too small or not an integer, `noise` is negative or not
            finite, or `rng` is not a generator.

    References:
        Bengio, Simard & Frasconi, "Learning long-term dependencies with gradient
        descent is difficult", IEEE Transactions on Neural Networks 5 (1994).
    """
    check_integer("signal", signal, 1)
    check_sizes(n, T, rng, shortest=signal + 1)
    noise = check_between("noise", noise, 0, np.inf)
    y = rng.integers(2, size=n)
    x = noise * rng.standard_normal((n, T, 1), np.float32)
    x[:, :signal, 0] = 2 * y[:, None] - 1
    return _classification("latch", x, y, {"best constant": _frequencies(y, 2)})


def marker_at_start(
    n: int, T: int, rng: np.random.Generator, distractors: int = 8
) -> Task:
    """Tell which of two markers stands at the start, before T − 1 other symbols.

    Args:
        n: number of sequences, at least 1.
        T: steps per sequence, at least 2.
        rng: draws the sequences.
        distractors: number of different symbols that do not matter, at least 1.

    Returns:
        `Task` with one-hot `x` `(n, T, 2 + distractors)`, the markers in front, and
        `y` `(n,)`, 0 or 1. Expected baseline: ln 2.

    Raises:
        ValueError: a size is too small or not an integer, or `rng` is not a generator.

    References:
        In the spirit of experiment 2 in Hochreiter & Schmidhuber, "Long short-term
        memory", Neural Computation 9 (1997).
    """
    check_integer("distractors", distractors, 1)
    check_sizes(n, T, rng, shortest=2)
    y = rng.integers(2, size=n)
    symbols = rng.integers(2, 2 + distractors, size=(n, T))
    symbols[:, 0] = y
    x = one_hot(symbols, 2 + distractors)
    predictors = {"best constant": _frequencies(y, 2)}
    return _classification("marker at the start", x, y, predictors)


def digit_sum(n: int, T: int, rng: np.random.Generator) -> Task:
    """Give the last digit of the sum of T digits: every step counts.

    The sum is taken modulo 10, so that T − 1 of the digits say nothing about the label.

    Args:
        n: number of sequences, at least 1.
        T: steps per sequence, at least 1.
        rng: draws the sequences.

    Returns:
        `Task` with one-hot `x` `(n, T, 10)` and `y` `(n,)`. Expected baseline: ln 10.

    Raises:
        ValueError: `n` or `T` is too small or not an integer, or `rng` is not a
            generator.
    """
    check_sizes(n, T, rng, shortest=1)
    digits = rng.integers(10, size=(n, T))
    y = digits.sum(axis=1) % 10
    predictors = {"best constant": _frequencies(y, 10)}
    return _classification("digit sum", one_hot(digits, 10), y, predictors)


def check_sizes(n: int, T: int, rng: np.random.Generator, shortest: int) -> None:
    """Refuse sizes that no task can have.

    Raises:
        ValueError: unless `n` >= 1, `T` >= `shortest` and `rng` is a generator.
    """
    check_integer("n", n, 1)
    check_integer("T", T, shortest)
    check_generator("rng", rng)


def one_hot(symbols: Array, size: int) -> Array:
    """Turn integers `(…)` below `size` into float32 `(…, size)`, with one 1 per row.

    Raises:
        ValueError: symbols that are not integers, or not all within 0 … size − 1, or
            `size` is not an integer >= 1.
    """
    size = check_integer("size", size, 1)
    return np.eye(size, dtype=np.float32)[check_labels("symbols", symbols, size)]


def run_predictors(
    predictors: Mapping[str, Array], y: Array
) -> tuple[dict[str, float], dict[str, float]]:
    """Compute cross-entropy and accuracy of predicted probabilities.

    Args:
        predictors: probabilities `(…, classes)` by name; their other axes are those of
            `y`, or can be broadcast to them.
        y: labels, `(…)`.

    Returns:
        `(losses, accuracies)`, dicts by name: means over all labels, in nats and as a
        share. If several classes are the most probable, one is chosen at random, and
        the accuracy is the expected one.
    """

    def at_label(table):
        table = np.broadcast_to(table, (*y.shape, table.shape[-1]))
        return np.take_along_axis(table, y[..., None], axis=-1)

    losses, accuracies = {}, {}
    for name, p in predictors.items():
        guess = p == p.max(axis=-1, keepdims=True)
        guess = guess / guess.sum(axis=-1, keepdims=True)
        losses[name] = float(np.log(1 / at_label(p)).mean())
        accuracies[name] = float(at_label(guess).mean())
    return losses, accuracies


def _classification(name, x, y, predictors):
    """Make a `Task` whose baselines are the `predictors`, probabilities by name."""
    classes = next(iter(predictors.values())).shape[-1]
    scores = run_predictors(predictors, y)
    return Task(name, x, y, "cross-entropy", classes, *scores)


def _frequencies(y, classes, given=None):
    """Count each class among the sequences with the same `given`: `(n, classes)`."""
    given = np.zeros_like(y) if given is None else given
    counts = np.zeros((given.max() + 1, classes))
    np.add.at(counts, (given, y), 1)
    p = counts[given]
    return p / p.sum(axis=-1, keepdims=True)


def _linear_error(y, *known):
    """Compute the mean squared error of the best linear guess from `known`."""
    columns = np.stack([np.ones(len(y)), *known], axis=1)  # (n, 1 + known): constant
    guess = columns @ np.linalg.lstsq(columns, y)[0]
    return float(np.mean((guess - y) ** 2))
