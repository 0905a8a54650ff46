"""Teachers only: what the marks of A3, "A fair comparison of your own", come from.

The written conclusion is read, not computed; its rubric stands in the notebook. What a
good one says of the experiment as handed out (temporal order, 40 steps, 400 numbers to
train, 200 updates): the GRU is ahead once both are tuned, although it has half as many
units. The rates that suit them differ: at the GRU's best the RNN stays near chance, and
at Adam's default so do both. The GRU's is the largest tried, so a longer list could
only widen that lead; a longer training might close it. Accuracies of the RNN spread
widely over seeds: its mean describes few of them. On `marker_at_start` of 30 steps five
RNNs of the package `unrolled` read the marker where three of five GRUs did not, each
at its best rate: the opposite order. Why, no cell here tests. Neither verdict is about
"the" architectures.
"""

import numpy as np
from scipy.special import betaincinv

from unrolled.course.answers import compare
from unrolled.course.assignments import Assignment, Case, Given, Question

# ---------------------------------------------------------------- q1: count_parameters

BLOCKS = {"SimpleRNN": "h", "LSTM": "ifgo", "GRU": "zrg"}


def count_cases(rng):
    """Sizes that all differ, so that a swapped pair shows."""

    def sizes(kind, largest=30):
        features, units, classes = rng.choice(np.arange(2, largest), 3, replace=False)
        sizes = {"features": features, "units": units, "classes": classes}
        return {"kind": kind} | {name: int(size) for name, size in sizes.items()}

    huge = {"units": int(rng.integers(50_000, 90_000))}
    return [
        Case("a plain RNN", sizes("SimpleRNN"), 0.5),
        Case("an LSTM", sizes("LSTM"), 1),
        Case("a GRU", sizes("GRU"), 1.5),
        Case("a network too large to build", sizes("LSTM") | huge, 1),
    ]


def count_by_weights(kind, features, units, classes):
    """One weight matrix and bias after the other."""
    total = 0
    for _block in BLOCKS[kind]:
        total += features * units  # kernel
        total += units * units  # recurrent_kernel
        total += units  # bias
        if kind == "GRU":
            total += units  # reset_after: the recurrent product has a bias of its own
    return total + units * classes + classes


# --------------------------------------------------------------------- q2: match_units

GIVEN = '''
def triangle(units):
    """1, 3, 6, 10, 15, ...: entries of a symmetric matrix that may differ."""
    return units * (units + 1) // 2


def window(units):
    """Two dense layers that read 8 steps of 5 features at once, for 3 classes."""
    return (8 * 5 + 1) * units + (units + 1) * 3
'''


def match_cases(rng):
    """Budgets around what some number of units takes."""
    fits = int(rng.integers(1200, 4000))  # beyond the list that page 4.6 looks in
    short = int(rng.integers(5, 40))
    triangle, window = Given("triangle"), Given("window")
    exact = {"count": triangle, "budget": fits * (fits + 1) // 2}
    one_short = {"count": window, "budget": 44 * short + 3 - 1}
    nothing = {"count": window, "budget": int(rng.integers(5, 47))}
    large = {"count": triangle, "budget": int(rng.integers(1e9, 1e10))}
    return [
        Case("a budget met exactly", exact, 1),
        Case("one parameter short", one_short, 1),
        Case("a budget too small for one unit", nothing, 0.5),
        Case("a large budget", large, 0.5),
    ]


def match_by_halving(count, budget):
    """Bisection between a number of units that fits and one that does not."""
    low, high = 0, 1
    while count(high) <= budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= budget else (low, middle)
    return low


# --------------------------------------------------------------------- q3: choose_rate

RATES = np.array([0.0003, 0.001, 0.003, 0.01, 0.03, 0.1])


def score_cases(rng):
    """Scores in sixty-fourths, so that sums and ties are exact."""

    def scores(seeds, right, spread=6):
        noise = rng.integers(-spread, spread + 1, size=(seeds, len(right)))
        noise[-1] = -noise[:-1].sum(axis=0)  # the columns' means are `right`
        return (np.array(right) + noise) / 64

    def some_rates(n):
        return np.sort(rng.choice(RATES, n, replace=False))

    rates = some_rates(4)
    inner = scores(3, [30, 50, 45, 25])
    shuffled = np.array([2, 3, 0, 1])  # the best, the second smallest, stands last
    diverged = scores(3, [20, 40, 36, 52], spread=2)
    diverged[rng.integers(3), 3] = np.nan  # 52 without, 34 or so with
    tie = scores(5, [30, 44, 44, 20], spread=3)[:, ::-1]
    edge = scores(3, [20, 30, 40, 50])[:, [2, 3, 0, 1]]
    nothing = np.full((3, 4), np.nan)
    return [
        Case(
            "rates in any order",
            {"rates": rates[shuffled], "scores": inner[:, shuffled]},
            1,
        ),
        Case("one run diverged", {"rates": rates, "scores": diverged}, 1),
        Case("a tie", {"rates": rates[::-1], "scores": tie}, 0.5),
        Case(
            "the largest rate, in the midst of the list",
            {"rates": rates[[2, 3, 0, 1]], "scores": edge},
            0.5,
        ),
        Case("every run diverged", {"rates": rates[::-1], "scores": nothing}, 0.5),
        Case(
            "one rate",
            {"rates": some_rates(1), "scores": rng.integers(9, 60, (2, 1)) / 64},
            0.5,
        ),
    ]


def choose_by_sorting(rates, scores):
    """One rate after the other, from the smallest; a later one must be better."""
    best, mean = None, -1.0
    for k in sorted(range(len(rates)), key=lambda k: rates[k]):
        total = 0.0
        for score in scores[:, k]:
            total += 0.0 if score != score else score
        if total / len(scores) > mean:
            best, mean = rates[k], total / len(scores)
    return best, mean, best == min(rates) or best == max(rates)


# ------------------------------------------------------------------------- q4: compare


def pair_cases(rng):
    """Accuracies that vary far more from seed to seed than within a pair."""

    def pairs(n, lead, noise):
        """Two arrays whose differences have about this mean and spread."""
        b = rng.uniform(0.3, 0.7, n)
        z = rng.standard_normal(n)
        z = (z - z.mean()) / z.std(ddof=1)
        return {"a": b + lead + noise * z, "b": b}

    n = int(rng.integers(5, 12))
    lead, sure = rng.uniform(0.06, 0.08), rng.uniform(0.012, 0.014)
    return [
        Case("a is ahead", pairs(n, lead, 0.02) | {"margin": 0.02}, 1),
        Case("b is ahead", pairs(n, -lead, 0.02) | {"margin": 0.02}, 0.5),
        Case("undecided", pairs(n, 0.01, 0.15) | {"margin": 0.02}, 0.5),
        Case("alike", pairs(n, 0.001, 0.004) | {"margin": 0.03}, 0.5),
        Case("sure, but within the margin", pairs(n, -sure, 0.004) | {"margin": 0.03}),
        Case("two seeds", pairs(2, 0.06, 0.03) | {"margin": 0.0}, 0.5),
    ]


def compare_pairs(a, b, margin):
    """Sums by hand, and Student's t from the incomplete beta function."""
    n = len(a)
    gaps = [float(a[k]) - float(b[k]) for k in range(n)]
    mean = sum(gaps) / n
    variance = sum((gap - mean) ** 2 for gap in gaps) / (n - 1)
    share = betaincinv((n - 1) / 2, 0.5, 0.05)  # = (n - 1) / (n - 1 + t^2)
    half = ((n - 1) * (1 / share - 1) * variance / n) ** 0.5
    low, high = mean - half, mean + half
    if -margin < low and high < margin:
        return mean, half, "alike"
    if low > 0:
        return mean, half, "a"
    return mean, half, "b" if high < 0 else "undecided"


# --------------------------------------------------------------------------- q5: train

STEPS = 8
LEARNT = 0.9  # share of right answers; 500 GRUs of 100 updates: 0.973 to 1
UNLEARNT = 0.7  # mean probability of what is right; 400 RNNs: 0.30 to 0.55 after two


def draw_task(rng, n, n_test, classes):
    """Which symbol stands at one secret step; names and shares of the classes anew."""
    step = rng.integers(STEPS // 2)
    shares = 0.7 / classes + 0.3 * rng.dirichlet(np.ones(classes))
    names = rng.permutation(classes)
    pairs = []
    for size in (n, n_test):
        symbol = rng.choice(classes, size, p=shares)
        symbol[:classes] = np.arange(classes)  # each comes at least once
        x = rng.uniform(-0.5, 0.5, (size, STEPS, classes + 2)).astype("float32")
        x[np.arange(size), step, symbol] += 2
        pairs.append((x, names[symbol]))
    (x, y), (x_test, _) = pairs
    return {"x": x, "y": y, "x_test": x_test}


def right_answers(x, y, x_test):
    """Labels of `x_test`: what stands at the step that the training set points to."""
    step = (x > 1).any(axis=(0, 2)).argmax()  # noise stays below
    names = dict(zip(x[:, step].argmax(axis=1).tolist(), y.tolist(), strict=True))
    return np.array([names[k] for k in x_test[:, step].argmax(axis=1).tolist()])


def training_cases(rng):
    """Small sets, so that a network trains in a second or two."""

    def network(kind, classes, units):
        return {"network": {"kind": kind, "units": units, "classes": classes}}

    one, two, three = (int(s) for s in rng.choice(1000, 3, replace=False))
    units = int(rng.integers(9, 13))
    learn = draw_task(rng, 320, 150, 3) | network("GRU", 3, units)
    learn |= {"rate": 0.03, "updates": 100, "seeds": (three,)}
    again = draw_task(rng, 1200, 50, 3) | network("SimpleRNN", 3, units - 4)
    again |= {"rate": 0.03, "updates": 2, "seeds": (one, two, one)}
    absent = draw_task(rng, 64, 30, 2) | network("LSTM", 3, units - 3)
    absent |= {"rate": 1e-6, "updates": 1, "seeds": (two, three)}
    return [
        Case("a GRU learns", learn, 2),
        Case("three networks, two of one seed", again, 2),
        Case("LSTMs hardly trained, and a class without examples", absent, 1),
    ]


def judge_training(arguments, got):
    """A complaint about probabilities and their number of parameters, or None."""
    network, seeds = arguments["network"], arguments["seeds"]
    x, y, x_test = (arguments[name] for name in ("x", "y", "x_test"))
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        return "expected two values: probabilities, parameters"
    p, parameters = got
    shape = len(seeds), len(x_test), network["classes"]
    complaint = compare("probabilities", p, np.zeros(shape), np.inf)
    if complaint is not None:
        return complaint
    p = np.asarray(p, dtype=float)
    if p.min() < 0 or abs(p.sum(axis=2) - 1).max() > 1e-4:
        return "probabilities are negative, or do not sum to one for each sequence"
    expected = count_by_weights(**network, features=x.shape[2])
    complaint = compare("parameters", parameters, expected, 0)
    if complaint is not None:
        return complaint
    return judge_seeds(seeds, p) or judge_budget(
        arguments["updates"], p, right_answers(x, y, x_test)
    )


def judge_seeds(seeds, p):
    """A complaint unless networks are the same where, and only where, seeds are."""
    for k in range(len(seeds)):
        for m in range(k):
            apart = abs(p[k] - p[m]).max()
            if seeds[k] == seeds[m] and apart > 1e-3:
                return f"networks {m} and {k} have one seed, but differ by {apart:.2g}"
            if seeds[k] != seeds[m] and apart < 1e-4:
                return f"networks {m} and {k} have two seeds, but are the same"
    return None


def judge_budget(updates, p, labels):
    """A complaint where many updates taught too little, or few updates too much."""
    right = (p.argmax(axis=2) == labels).mean(axis=1).min()
    if updates >= 50 and right < LEARNT:
        return f"{right:.0%} of the answers are right after {updates} updates"
    sure = p[:, np.arange(len(labels)), labels].mean(axis=1).max()
    if updates <= 2 and sure > UNLEARNT:
        return f"{updates} updates cannot teach that much: count updates, not epochs"
    return None


# ----------------------------------------------------------------------- the assignment

ASSIGNMENT = Assignment(
    name="a3",
    title="A fair comparison of your own",
    given=GIVEN,
    seconds=30,
    memory=4 << 30,
    questions=(
        Question(
            "q1",
            "Numbers to train",
            "count_parameters",
            ("parameters",),
            count_cases,
            count_by_weights,
            tolerance=0,
        ),
        Question(
            "q2",
            "A network for a budget",
            "match_units",
            ("units",),
            match_cases,
            match_by_halving,
            tolerance=0,
        ),
        Question(
            "q3",
            "Choose a learning rate",
            "choose_rate",
            ("rate", "mean", "edge"),
            score_cases,
            choose_by_sorting,
        ),
        Question(
            "q4",
            "Pair by pair",
            "compare",
            ("mean", "half", "verdict"),
            pair_cases,
            compare_pairs,
        ),
        Question(
            "q5",
            "Train with Keras",
            "train",
            ("probabilities", "parameters"),
            training_cases,
            judge=judge_training,
            seconds=60,
        ),
    ),
)
