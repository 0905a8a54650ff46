"""Tasks against slow definitions and theory, the Reber grammar against an acceptor."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from unrolled.tasks.reber import (
    SYMBOLS,
    allowed_next,
    continual_reber,
    embedded_reber_string,
)
from unrolled.tasks.synthetic import (
    ORDER_SYMBOLS,
    adding_problem,
    copy_memory,
    digit_sum,
    latch,
    marker_at_start,
    temporal_order,
)

SHORTEST = {
    adding_problem: 2,
    copy_memory: 1,
    temporal_order: 10,
    latch: 4,
    marker_at_start: 2,
    digit_sum: 1,
    continual_reber: 1,
}
each_task = pytest.mark.parametrize("make", SHORTEST, ids=lambda make: make.__name__)
few = settings(max_examples=15)
sizes = given(st.integers(1, 20), st.integers(0, 60), st.integers(0, 2**32))
SE = 5  # standard errors: a false alarm for two million seeds


def rng(seed=0):
    return np.random.default_rng(seed)


def symbols(task):
    """Symbol numbers of one-hot inputs, `(n, steps)`, checked to be one-hot."""
    assert set(np.unique(task.x)) <= {0, 1} and (task.x.sum(axis=2) == 1).all()
    return task.x.argmax(axis=2)


def slow_label(task, x, word):
    """The label of one sequence in plain Python, from its inputs alone."""
    if task == "adding problem":
        return np.float32(sum(np.float64(v) for v, mark in x if mark == 1))
    if task == "copy memory":
        return [8] * (len(word) - 10) + word[:10]
    if task == "temporal order":
        said = "".join(ORDER_SYMBOLS[s] for s in word)
        return ["XX", "XY", "YX", "YY"].index(re.sub("[^XY]", "", said))
    if task == "latch":
        return {(-1, -1, -1): 0, (1, 1, 1): 1}[tuple(x[:3, 0].tolist())]
    if task == "marker at the start":
        return word[0]
    return int(str(sum(word))[-1])


@each_task
def test_shapes_labels_and_seeds(make):
    @few
    @sizes
    def check(n, longer, seed):
        T = SHORTEST[make] + longer
        task, again = make(n, T, rng(seed)), make(n, T, rng(seed))
        steps = T + 20 if make is copy_memory else T
        assert task.x.dtype == np.float32 and task.x.shape[:2] == (n, steps)
        assert task.y.shape in {(n,), (n, steps)}
        assert np.isfinite(list(task.baselines.values())).all()
        assert all(loss >= 0 for loss in task.baselines.values())
        assert task.x.tobytes() == again.x.tobytes() != b""
        assert task.y.tobytes() == again.y.tobytes()
        assert task.baselines == again.baselines
        if task.classes is None:
            assert task.loss == "mean squared error" and task.y.dtype == np.float32
            assert task.accuracies == {} and task.chance is None
        else:
            assert task.loss == "cross-entropy" and task.y.dtype == np.int64
            assert task.y.min() >= 0 and task.y.max() < task.classes
            assert task.accuracies.keys() == task.baselines.keys()
            assert task.chance == task.accuracies[next(iter(task.baselines))]
        if make is not continual_reber:
            for x, y in zip(task.x, task.y, strict=True):
                word = x.argmax(axis=1).tolist()
                assert np.all(y == slow_label(task.name, x, word))

    check()


@each_task
def test_another_seed_is_another_task(make):
    one, other = make(50, 20, rng(1)), make(50, 20, rng(2))
    assert not np.array_equal(one.x, other.x) and not np.array_equal(one.y, other.y)


@few
@sizes
def test_adding_has_one_mark_in_each_half(n, longer, seed):
    T = 2 + longer
    numbers, marks = np.moveaxis(adding_problem(n, T, rng(seed)).x, 2, 0)
    assert set(np.unique(marks)) <= {0, 1}
    assert (marks[:, : T // 2].sum(axis=1) == 1).all()
    assert (marks[:, T // 2 :].sum(axis=1) == 1).all()
    assert (numbers >= 0).all() and (numbers < 1).all()


@few
@sizes
def test_copy_is_laid_out_as_published(n, longer, seed):
    T = 1 + longer
    task = copy_memory(n, T, rng(seed))
    word = symbols(task)
    assert task.x.shape[2] == 10 and task.classes == 9
    assert (word[:, :10] < 8).all() and (word[:, T + 9] == 9).all()
    assert (np.delete(word[:, 10:], T - 1, axis=1) == 8).all()
    assert task.baselines == {"no memory": pytest.approx(10 * np.log(8) / (T + 20))}
    assert task.chance == pytest.approx((T + 10 + 10 / 8) / (T + 20))


@pytest.mark.parametrize("T", [10, 11, 19, 27, 100])
def test_order_symbols_come_in_their_windows(T):
    word = symbols(temporal_order(3000, T, rng()))
    assert (word[:, 0] == ORDER_SYMBOLS.index("E")).all()
    assert (word[:, -1] == ORDER_SYMBOLS.index("B")).all()
    assert (word[:, 1:-1] >= ORDER_SYMBOLS.index("a")).all()
    rows, steps = np.nonzero(word >= ORDER_SYMBOLS.index("X"))
    assert np.array_equal(rows, np.repeat(np.arange(3000), 2))
    first, last = steps.reshape(-1, 2).T
    # All of the window is used: that 3,000 draws miss one of 11 steps has p < 1e-100.
    assert set(first) == set(range(T // 10, T // 5 + 1))
    assert set(last) == set(range(T // 2, 3 * T // 5 + 1))


def test_order_windows_are_the_paper_s():
    word = symbols(temporal_order(3000, 100, rng()))
    steps = np.nonzero(word >= ORDER_SYMBOLS.index("X"))[1].reshape(-1, 2)
    assert steps.min(axis=0).tolist() == [10, 50]
    assert steps.max(axis=0).tolist() == [20, 60]


def test_latch_options():
    task = latch(500, 60, rng(), signal=7, noise=0.5)
    assert (task.x[:, :7, 0] == 2 * task.y[:, None] - 1).all()
    noise = task.x[:, 7:].astype(float)
    # Standard errors of a normal sample's mean and variance.
    assert abs(noise.mean()) < SE * 0.5 / np.sqrt(noise.size)
    assert abs(noise.var() - 0.25) < SE * 0.25 * np.sqrt(2 / noise.size)
    assert not latch(5, 60, rng(), noise=0).x[:, 3:].any()


def test_marker_options():
    word = symbols(marker_at_start(500, 40, rng(), distractors=3))
    assert set(word[:, 0].tolist()) == {0, 1}
    assert set(word[:, 1:].ravel().tolist()) == {2, 3, 4}


def irrelevant(task):
    """The part of the inputs that says nothing of the label."""
    x = task.x.astype(float)
    if task.name == "adding problem":
        return x[..., 0] * (1 - x[..., 1])
    return {
        "temporal order": x[:, 1:-1, 2:6],
        "latch": x[:, 3:],
        "marker at the start": x[:, 1:, 2:],
        "digit sum": x,  # each digit by itself: the other ones hide it
    }[task.name]


@pytest.mark.parametrize(
    "make",
    [adding_problem, temporal_order, latch, marker_at_start, digit_sum],
    ids=lambda make: make.__name__,
)
def test_distractors_say_nothing(make):
    """No step's input correlates with any class: 1/sqrt(n) is the standard error."""
    n = 4000
    task = make(n, 20, rng(3))
    x = irrelevant(task).reshape(n, -1)
    labels = task.y if task.classes is None else task.y[:, None] == range(task.classes)
    table = np.column_stack([x, labels]).astype(float)
    correlation = np.corrcoef(table.T)[: x.shape[1], x.shape[1] :]
    assert abs(correlation).max() < SE / np.sqrt(n)


def test_adding_baselines():
    """Standard error of a mean square: sqrt((m4 - m2^2) / n), from U's moments."""
    n = 4000
    mean, one = adding_problem(n, 30, rng()).baselines.values()
    assert abs(mean - 1 / 6) < SE * np.sqrt((2 / 80 + 6 / 144 - 1 / 36) / n)
    assert abs(one - 1 / 12) < SE * np.sqrt((1 / 80 - 1 / 144) / n)


def test_adding_baselines_are_run_on_the_data():
    task = adding_problem(40, 12, rng(5))
    first = [next(v for v, mark in x if mark) for x in task.x.astype(float)]
    fit = np.polyval(np.polyfit(first, task.y, 1), first)
    assert task.baselines["predict the mean"] == pytest.approx(np.var(task.y), rel=1e-5)
    assert task.baselines["know the first number"] == pytest.approx(
        np.mean((task.y - fit) ** 2)
    )


def entropy(labels):
    """Mean of -ln(share of the label's class), counted one by one."""
    labels = list(labels)
    return np.mean([-np.log(labels.count(y) / len(labels)) for y in labels])


@pytest.mark.parametrize(
    ("make", "classes"),
    [(temporal_order, 4), (latch, 2), (marker_at_start, 2), (digit_sum, 10)],
)
def test_best_constant(make, classes):
    """2n (ln k - entropy of the sample) is chi-squared with k - 1 degrees (Wilks)."""
    n = 2000
    task = make(n, 20, rng(7))
    loss = task.baselines["best constant"]
    assert loss == pytest.approx(entropy(task.y.tolist()))
    assert 0 <= 2 * n * (np.log(classes) - loss) < chi2.isf(3e-7, classes - 1)
    assert task.chance == np.bincount(task.y).max() / n
    error = np.sqrt(1 / classes * (1 - 1 / classes) / n)
    assert 0 <= task.chance - 1 / classes < SE * error


def test_order_known_half():
    n = 2000
    task = temporal_order(n, 20, rng(8))
    loss = task.baselines["know the last of the two"]
    groups = [[y for y in task.y.tolist() if y % 2 == last] for last in (0, 1)]
    assert loss == pytest.approx(sum(len(g) * entropy(g) for g in groups) / n)
    assert 0 <= 2 * n * (np.log(2) - loss) < chi2.isf(3e-7, 2)
    accuracy = task.accuracies["know the last of the two"]
    assert accuracy == sum(max(map(g.count, g)) for g in groups) / n


# The grammar by hand, from the figure of the paper: after X in the upper part or after
# the P that leads back, the string is in the middle.
MIDDLE = "(?:XT*VP)*(?:S|XT*VV)"
INNER = f"B(?:TS*X{MIDDLE}|PT*V(?:V|P{MIDDLE}))E"
EMBEDDED_STRING = re.compile(f"B(?:T{INNER}T|P{INNER}P)E")
SHORT = ["BTBTXSETE", "BTBPVVETE", "BPBTXSEPE", "BPBPVVEPE"]
ENDINGS = {s[i:] for s in SHORT for i in range(len(s) + 1)}


def permitted_after(begun):
    """Symbols with which the begun string can still be completed."""
    return {
        symbol
        for symbol in SYMBOLS
        if any(EMBEDDED_STRING.fullmatch(begun + symbol + end) for end in ENDINGS)
    }


def stream_text(task):
    """Each stream as text, its last label included."""
    assert np.array_equal(symbols(task)[:, 1:], task.y[:, :-1])
    numbers = np.column_stack([symbols(task), task.y[:, -1]])
    return ["".join(SYMBOLS[s] for s in row) for row in numbers]


def test_acceptor_knows_the_grammar():
    """The regular expression itself: strings of the literature, and near misses."""
    for inner in ("BTSSXXTVVE", "BPVVE", "BTXXVPSE", "BPTVPXVVE"):
        assert EMBEDDED_STRING.fullmatch(f"BT{inner}TE")
        assert not EMBEDDED_STRING.fullmatch(f"BT{inner}PE")
    for inner in ("BTSSPXSE", "BPTVVB", "BTXXVVSE", "BTXE"):
        assert not EMBEDDED_STRING.fullmatch(f"BP{inner}PE")


def test_embedded_strings():
    n = 2000
    draw = rng()
    strings = [embedded_reber_string(draw) for _ in range(n)]
    assert all(EMBEDDED_STRING.fullmatch(s) for s in strings)
    assert all(s[1] == s[-2] for s in strings)
    length = np.array([len(s) for s in strings])
    assert length.min() == 9 and abs(length.mean() - 12) < SE * length.std() / n**0.5
    second = sum(s[1] == "T" for s in strings)
    assert abs(second - n / 2) < SE * np.sqrt(n) / 2
    assert embedded_reber_string(rng(4)) == embedded_reber_string(rng(4))


@few
@sizes
def test_stream_is_strings_end_to_end(n, longer, seed):
    task = continual_reber(n, 1 + longer, rng(seed))
    for text, allowed, y in zip(stream_text(task), task.allowed, task.y, strict=True):
        begun = ""
        for t, symbol in enumerate(text[:-1]):
            begun += symbol
            if EMBEDDED_STRING.fullmatch(begun):
                assert begun[1] == begun[-2]
                begun = ""
            expected = permitted_after(begun)
            assert {s for s, may in zip(SYMBOLS, allowed[t], strict=True) if may} == (
                expected
            )
            assert allowed_next(text[: t + 1]) == expected
            assert allowed[t, y[t]]


def test_allowed_next():
    assert allowed_next("") == {"B"} and allowed_next("B") == {"T", "P"}
    assert allowed_next("BTBPVVE") == {"T"} and allowed_next("BPBPVVE") == {"P"}
    assert allowed_next("BPBPVVEPE") == {"B"}
    with pytest.raises(ValueError, match="'P' at 7; expected T"):
        allowed_next("BTBPVVEPE")


@pytest.mark.slow
def test_reber_baselines_on_the_data():
    """The losses are ln 2 for every coin, and the forgetful one errs at the closing."""
    task = continual_reber(30, 200, rng(2))
    coins = closings = 0
    for text in stream_text(task):
        begun = ""
        for t, symbol in enumerate(text):
            if t > 0:  # the stream's first symbol is given, all others are predicted
                coins += len(permitted_after(begun)) == 2
                closings += re.fullmatch("B.B.*E", begun) is not None
            begun += symbol
            if EMBEDDED_STRING.fullmatch(begun):
                begun = ""
    steps, (_, forgot, perfect) = task.y.size, task.baselines.values()
    assert perfect == pytest.approx(coins * np.log(2) / steps)
    assert forgot == pytest.approx((coins + closings) * np.log(2) / steps)
    right_perfect, right_forgot = 1 - coins / steps / 2, closings / steps / 2
    assert task.accuracies["perfect predictor"] == pytest.approx(right_perfect)
    assert task.accuracies["second symbol forgotten"] == pytest.approx(
        right_perfect - right_forgot
    )
    assert task.baselines["best constant"] == pytest.approx(
        entropy(task.y.ravel().tolist())
    )


def test_reber_baselines_in_the_long_run():
    """A string has 12 symbols on average: 7 of them by coin, 1 that closes.

    A stream is cut after T steps. By Wald's identity the mean count differs from the
    long run's by less than what the cut-off string has left, 12 symbols at most in the
    mean: that is the bias; the standard error is taken from stream to stream.
    """
    n, T = 200, 400
    task = continual_reber(n, T, rng(1))
    best, forgot, perfect = task.baselines.values()
    coins = (task.allowed.sum(axis=2) == 2).mean(axis=1)
    # Two E a string: their spread is above that of the closings, one a string.
    ends = (task.y == SYMBOLS.index("E")).mean(axis=1)
    for loss, times, spread in (
        (perfect, 7, coins.std()),
        (forgot, 8, coins.std() + ends.std()),
    ):
        bound = SE * spread / np.sqrt(n) + 12 / T
        assert abs(loss / np.log(2) - times / 12) < bound < 0.5 / 12
    share = np.array([2, 2.5, 1, 1, 2, 1.5, 2]) / 12  # B T S X P V E, counted by hand
    counts = np.bincount(task.y.ravel()) / task.y.size
    spread = (task.y[..., None] == range(7)).mean(axis=1).std(axis=0)
    assert (abs(counts - share) < SE * spread / np.sqrt(n) + 12 / T).all()
    assert best > forgot > perfect


@each_task
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n": 0}, "n is 0; expected an integer >= 1"),
        ({"n": 2.0}, "n is 2.0; expected an integer"),
        ({"T": None}, r"T is \d+; expected an integer >= \d+"),
        ({"T": "9"}, "T is '9'; expected an integer"),
        ({"rng": 3}, "rng is 3; expected a numpy.random.Generator"),
    ],
)
def test_refuses(make, change, says):
    arguments = {"n": 4, "T": SHORTEST[make], "rng": rng()}
    make(**arguments)
    if change == {"T": None}:
        change = {"T": SHORTEST[make] - 1}
    with pytest.raises(ValueError, match=says):
        make(**arguments | change)


@pytest.mark.parametrize(
    ("make", "options", "says"),
    [
        (latch, {"signal": 0}, "signal is 0; expected an integer >= 1"),
        (latch, {"signal": 20}, "T is 20; expected an integer >= 21"),
        (latch, {"noise": -0.1}, "noise is -0.1; expected"),
        (latch, {"noise": np.nan}, "noise is nan; expected"),
        (latch, {"noise": np.inf}, "noise is inf; expected"),
        (
            marker_at_start,
            {"distractors": 0},
            "distractors is 0; expected an integer >= 1",
        ),
    ],
)
def test_refuses_options(make, options, says):
    with pytest.raises(ValueError, match=says):
        make(4, 20, rng(), **options)


def test_string_refuses_a_seed():
    with pytest.raises(ValueError, match="rng is 3"):
        embedded_reber_string(3)
