"""The continual embedded Reber grammar: the next symbol may depend on one long ago."""

from dataclasses import dataclass

import numpy as np

from unrolled.tasks.synthetic import Task, check_sizes, one_hot, run_predictors
from unrolled.types import Array

SYMBOLS = "BTSXPVE"

# One row per state: the symbols that may come, and the state that each leads to. If
# there are two, each comes with probability 1/2.
REBER: tuple[dict[str, int], ...] = (
    {"B": 1},
    {"T": 2, "P": 3},
    {"S": 2, "X": 4},
    {"T": 3, "V": 5},
    {"X": 3, "S": 6},
    {"P": 4, "V": 6},
    {"E": 7},
)


def _embed():
    """Return the continual embedded grammar in the form of `REBER`.

    A string is B, then T or P, then a Reber string, then the same T or P again, then E;
    then the next string begins. A finite automaton can remember the T or P only by
    containing the Reber grammar twice, once for each.
    """
    size = len(REBER) + 1
    starts = {"T": 2, "P": 2 + size}
    end = 2 + 2 * size
    rows = [{"B": 1}, starts]
    for symbol, start in starts.items():
        rows += [{s: start + to for s, to in moves.items()} for moves in REBER]
        rows.append({symbol: end})
    return (*rows, {"E": 0})


EMBEDDED = _embed()


def _tables():
    """Return `EMBEDDED` as arrays, to follow many streams at once.

    Returns:
        `(emit, move, perfect, forgetful)`: symbol and next state for either side of a
        coin, `(states, 2)`; the probabilities of the next symbol, `(states, 7)`; and
        the same for a predictor that cannot tell the two copies of the grammar apart.
    """
    options = [list(moves.items()) for moves in EMBEDDED]
    emit = np.array([[SYMBOLS.index(o[i][0]) for i in (0, -1)] for o in options])
    move = np.array([[o[i][1] for i in (0, -1)] for o in options])
    perfect = one_hot(emit, len(SYMBOLS)).mean(axis=1, dtype=float)
    forgetful = perfect.copy()
    copies = perfect[2:-1].reshape(2, -1, len(SYMBOLS))
    forgetful[2:-1] = np.tile(copies.mean(axis=0), (2, 1))
    return emit, move, perfect, forgetful


_EMIT, _MOVE, _PERFECT, _FORGETFUL = _tables()


@dataclass(frozen=True, eq=False)
class ReberTask(Task):
    """`Task` that also knows what the grammar permits.

    Attributes:
        allowed: bool `(n, T, 7)`: whether a symbol may come after step t. The usual
            criterion of success is to name exactly these symbols, at every step.
    """

    allowed: Array


def embedded_reber_string(rng: np.random.Generator) -> str:
    """Draw one string of the embedded Reber grammar, such as "BTBPVVETE".

    Args:
        rng: draws the string.

    Returns:
        the string; its mean length is 12.

    Raises:
        ValueError: `rng` is not a generator.

    References:
        Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9 (1997),
        experiment 1.
    """
    check_sizes(1, 1, rng, shortest=1)
    text, state = "", 0
    while not text or state != 0:
        coin = rng.integers(2)
        text += SYMBOLS[_EMIT[state, coin]]
        state = _MOVE[state, coin]
    return text


def allowed_next(text: str) -> set[str]:
    """Return the symbols that may follow `text`, the beginning of a continual stream.

    Args:
        text: symbols from "BTSXPVE"; "" for the very beginning.

    Returns:
        the permitted symbols.

    Raises:
        ValueError: the grammar does not permit `text`.

    Example:
        >>> from unrolled.tasks.reber import allowed_next
        >>> sorted(allowed_next("B"))
        ['P', 'T']
        >>> allowed_next("BPBTXSE")  # the second symbol comes again
        {'P'}
    """
    if not isinstance(text, str):
        raise ValueError(f"text is {text!r}; expected a string of {SYMBOLS}")
    state = 0
    for t, symbol in enumerate(text):
        if symbol not in EMBEDDED[state]:
            expected = " or ".join(EMBEDDED[state])
            raise ValueError(
                f"text {text!r} has {symbol!r} at {t}; expected {expected}"
            )
        state = EMBEDDED[state][symbol]
    return set(EMBEDDED[state])


def continual_reber(n: int, T: int, rng: np.random.Generator) -> ReberTask:
    """Predict the next symbol of a stream of embedded Reber strings.

    The strings follow each other without any mark between them.

    Args:
        n: number of streams, at least 1; each starts at the beginning of a string.
        T: steps per stream, at least 1; the last string may be cut off.
        rng: draws the streams.

    Returns:
        `ReberTask` with one-hot `x` `(n, T, 7)` in the order of `SYMBOLS`, `y` `(n, T)`
        the next symbol and `allowed` `(n, T, 7)`. Expected baselines in long streams:
        ln 2 times 8/12 if the second symbol is forgotten, times 7/12 for the perfect
        predictor, because a string has 12 symbols on average, 7 of them random.

    Raises:
        ValueError: `n` or `T` is too small or not an integer, or `rng` is not a
            generator.

    References:
        Gers, Schmidhuber & Cummins, "Learning to forget: continual prediction with
        LSTM", Neural Computation 12 (2000).
    """
    check_sizes(n, T, rng, shortest=1)
    coins = rng.integers(2, size=(n, T + 1))
    symbols, states = np.empty_like(coins), np.empty_like(coins)
    state = np.zeros(n, int)
    for t in range(T + 1):
        symbols[:, t] = _EMIT[state, coins[:, t]]
        state = states[:, t] = _MOVE[state, coins[:, t]]
    y, states = symbols[:, 1:], states[:, :-1]  # after step t the stream is in state t
    counts = np.bincount(y.ravel(), minlength=len(SYMBOLS))
    predictors = {
        "best constant": counts / counts.sum(),
        "second symbol forgotten": _FORGETFUL[states],
        "perfect predictor": _PERFECT[states],
    }
    baselines, accuracies = run_predictors(predictors, y)
    return ReberTask(
        name="continual embedded Reber grammar",
        x=one_hot(symbols[:, :-1], len(SYMBOLS)),
        y=y,
        loss="cross-entropy",
        classes=len(SYMBOLS),
        baselines=baselines,
        accuracies=accuracies,
        allowed=_PERFECT[states] > 0,
    )
