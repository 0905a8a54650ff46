"""Mistakes that students of A3 make, and other answers that are right.

Those of q5 train networks, a few seconds each, so they are few.
"""

MUTANTS = {
    "q1": [
        ('"LSTM": (4, 1)', '"LSTM": (3, 1)'),
        ('"LSTM": (4, 1)', '"LSTM": (4, 2)'),
        ('"GRU": (3, 2)', '"GRU": (3, 1)'),  # reset_after=False
        ('"GRU": (3, 2)', '"GRU": (4, 2)'),
        ('"SimpleRNN": (1, 1)', '"SimpleRNN": (1, 0)'),
        ("(features + units + biases)", "(features + units) + biases"),
        ("(features + units + biases)", "(features + biases)"),
        ("(features + units + biases)", "(features + classes + biases)"),
        ("head = units * classes + classes", "head = units * classes"),
        ("head = units * classes + classes", "head = units * classes + units"),
        ("return layer + head", "return layer"),  # as page 4.6 counts
    ],
    "q2": [
        ("count(fits + 1) <= budget", "count(fits + 1) < budget"),
        ("count(fits + 1) <= budget", "count(fits) <= budget"),  # one too many
        ("count(fits + 1) <= budget", "count(fits + 2) <= budget"),
        (
            "count(fits + 1) <= budget",  # the nearest, from either side: page 4.6
            "abs(count(fits + 1) - budget) < abs(count(fits) - budget)",
        ),
        ("count(fits + 1) <= budget", "fits < 999 and count(fits + 1) <= budget"),
        ("count(fits + 1) <= budget", "count(fits + 1) <= 1.05 * budget"),
        ("    fits = 0", "    fits = 1"),
        ("fits += 1", "fits += 2"),
        ("return fits", "return count(fits) if fits else 0"),
        ("return fits", "return fits if fits else None"),
    ],
    "q3": [
        ("np.nan_to_num(scores, nan=0.0).mean(axis=0)", "np.nanmean(scores, axis=0)"),
        ("np.nan_to_num(scores, nan=0.0).mean(axis=0)", "scores.mean(axis=0)"),
        ("nan=0.0", "nan=0.5"),  # as good as chance
        (
            "means = np.nan_to_num(scores, nan=0.0)",
            "scores[np.isnan(scores)] = 0\n    means = scores",
        ),
        ("nan=0.0).mean(axis=0)", "nan=0.0).max(axis=0)"),
        ("nan=0.0).mean(axis=0)", "nan=0.0).mean(axis=1)"),
        ("best = means.max()", "best = means.min()"),
        ("rates[means == best].min()", "rates[means == best].max()"),
        ("rates[means == best].min()", "rates[means.argmax()]"),  # the first listed
        ("rate in (rates.min(), rates.max())", "rate == rates.max()"),
        ("rate in (rates.min(), rates.max())", "rate in (rates[0], rates[-1])"),
        ("return rate, best, edge", "return rate, np.nanmax(scores), edge"),
    ],
    "q4": [
        ("gap.std(ddof=1)", "gap.std()"),
        ("stdtrit(len(gap) - 1, 0.975)", "1.96"),
        ("stdtrit(len(gap) - 1, 0.975)", "stdtrit(len(gap), 0.975)"),
        ("stdtrit(len(gap) - 1, 0.975)", "stdtrit(len(gap) - 1, 0.95)"),
        ("stdtrit(len(gap) - 1, 0.975)", "2 * stdtrit(len(gap) - 1, 0.975)"),
        ("gap.std(ddof=1) / np.sqrt(len(gap))", "gap.std(ddof=1)"),
        ("gap.std(ddof=1)", "np.sqrt(a.var(ddof=1) + b.var(ddof=1))"),  # no pairs
        ("gap = a - b", "gap = b - a"),
        ("mean = gap.mean()", "mean = np.median(gap)"),
        ("mean = gap.mean()", "mean = abs(gap.mean())"),
        ("abs(mean) + half < margin", "abs(mean) < margin"),
        ("abs(mean) + half < margin", "mean + half < margin"),
        ("abs(mean) + half < margin", "False"),
        ("abs(mean) + half < margin", "abs(mean) + half < margin and abs(mean) < half"),
        ("abs(mean) > half", "mean > half"),
        ("abs(mean) > half", "abs(mean) > margin"),
    ],
    "q5": [
        ('activation="softmax"', "activation=None"),
        ('getattr(keras.layers, network["kind"])', "keras.layers.LSTM"),
        ("keras.optimizers.Adam(rate)", "keras.optimizers.Adam()"),
        ("np.asarray(model(x_test))", "np.asarray(model(x))"),
        ('keras.layers.Dense(network["classes"]', "keras.layers.Dense(y.max() + 1"),
        ("keras.utils.set_random_seed(seed)", "keras.utils.set_random_seed(0)"),
        (
            "    for seed in seeds:\n        keras.utils.set_random_seed(seed)",
            "    keras.utils.set_random_seed(seeds[0])\n    for seed in seeds:",
        ),
        ("size=32 * updates", "size=len(x) * updates"),  # epochs
        ("return np.stack(probabilities)", "return probabilities[-1]"),
    ],
}

ALTERNATIVES = {
    "q1": [
        """
def count_parameters(kind, features, units, classes):
    names = {"SimpleRNN": ["h"], "LSTM": list("ifco"), "GRU": list("zrh")}[kind]
    shapes = [(features, units), (units, units), (1, units)] * len(names)
    shapes += [(1, units)] * 3 * (kind == "GRU") + [(units + 1, classes)]
    return sum(rows * columns for rows, columns in shapes)
""",
        """
def count_parameters(kind, features, units, classes):
    head = (units + 1) * classes
    if kind == "SimpleRNN":
        return units**2 + units * features + units + head
    if kind == "LSTM":
        return 4 * (units**2 + units * features + units) + head
    return 3 * (units**2 + units * features + 2 * units) + head
""",
        """
def count_parameters(kind, features, units, classes):
    F, H, C = np.int64(features), np.int64(units), np.float64(classes)
    K = np.int64({"SimpleRNN": 1, "GRU": 3, "LSTM": 4}[kind])
    return K * H * (F + H + 1) + (3 * H if kind == "GRU" else 0) + C * (H + 1)
""",
    ],
    "q2": [
        """
def match_units(count, budget):
    from itertools import count as numbers

    return next(n for n in numbers(1) if count(n) > budget) - 1
""",
        """
def match_units(count, budget):
    low, step = 0, 1 << 40
    while step:
        if count(low + step) <= budget:
            low += step
        step //= 2
    return low
""",
        """
def match_units(count, budget):
    high = 1
    while count(high) <= budget:
        high *= 2
    n = np.arange(high + 1)
    return np.searchsorted(count(n[1:]), budget, side="right")
""",
    ],
    "q3": [
        """
def choose_rate(rates, scores):
    order = np.argsort(rates)
    means = np.where(np.isnan(scores), 0, scores)[:, order].sum(axis=0) / len(scores)
    k = int(means.argmax())
    return float(rates[order[k]]), float(means[k]), k in (0, len(rates) - 1)
""",
        """
def choose_rate(rates, scores):
    ranked = []
    for rate, column in zip(rates, scores.T):
        right = [s for s in column if not np.isnan(s)]
        ranked.append((-sum(right) / len(column), rate))
    worst, rate = min(ranked)
    smaller, larger = (rates < rate).any(), (rates > rate).any()
    return [rate, -worst, not (smaller and larger)]
""",
        """
def choose_rate(rates, scores):
    means = np.nansum(scores, axis=0) / scores.shape[0]
    k = np.lexsort((rates, -means))[0]
    return rates[k], means[k], np.int64(np.isin(k, [rates.argmin(), rates.argmax()]))
""",
    ],
    "q4": [
        """
def compare(a, b, margin):
    from unrolled.course import mean_interval

    mean, half = mean_interval(a - b)
    low, high = mean - half, mean + half
    if -margin < low and high < margin:
        word = "alike"
    elif low > 0:
        word = "a"
    else:
        word = "b" if high < 0 else "undecided"
    return mean, half, word
""",
        """
def compare(a, b, margin):
    from scipy import stats

    gap = np.subtract(a, b)
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    if max(abs(low), abs(high)) < margin:
        return gap.mean(), (high - low) / 2, "alike"
    word = {2: "a", -2: "b", 0: "undecided"}[int(np.sign(low) + np.sign(high))]
    return gap.mean(), (high - low) / 2, word
""",
        """
def compare(a, b, margin):
    from scipy.special import stdtrit

    n, total, squares = len(a), 0.0, 0.0
    for one, other in zip(a, b):
        total += one - other
    mean = total / n
    for one, other in zip(a, b):
        squares += (one - other - mean) ** 2
    half = -stdtrit(n - 1, 0.025) * (squares / (n - 1) / n) ** 0.5
    words = ["alike", "a", "b", "undecided"]
    true = [abs(mean) + half < margin, mean - half > 0, mean + half < 0, True]
    return np.array(mean), np.float64(half), words[true.index(True)]
""",
    ],
    "q5": [
        '''
def train(network, rate, updates, seeds, x, y, x_test):
    """The functional interface, logits, and batches one by one."""
    import keras

    def one(seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input(x.shape[1:])
        h = getattr(keras.layers, network["kind"])(network["units"])(inputs)
        model = keras.Model(inputs, keras.layers.Dense(network["classes"])(h))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(rate), loss)
        draw = np.random.default_rng([7, seed])
        for _ in range(updates):
            rows = draw.choice(len(x), 32, replace=False)
            model.train_on_batch(x[rows], y[rows])
        return keras.ops.softmax(model(x_test)), model.count_params()

    networks = {seed: one(seed) for seed in set(seeds)}
    return [networks[s][0] for s in seeds], networks[seeds[0]][1]
''',
        '''
def train(network, rate, updates, seeds, x, y, x_test):
    """One compiled model: weights and Adam's moments begin anew for each seed."""
    import keras

    def build():
        return keras.Sequential([
            keras.Input(x.shape[1:]),
            getattr(keras.layers, network["kind"])(network["units"]),
            keras.layers.Dense(network["classes"], "softmax"),
        ])

    model, p = build(), np.zeros((len(seeds), len(x_test), network["classes"]))
    adam = keras.optimizers.Adam(rate)
    adam.build(model.trainable_variables)
    start = [v.numpy() for v in adam.variables]
    model.compile(adam, "sparse_categorical_crossentropy")
    for k, seed in enumerate(seeds):
        keras.utils.set_random_seed(seed)
        model.set_weights(build().get_weights())
        for v, value in zip(adam.variables, start):
            v.assign(value)
        order = np.random.default_rng(seed)
        for rows in order.integers(len(x), size=(updates, 32)):
            model.train_on_batch(x[rows], y[rows])
        p[k] = model.predict(x_test, verbose=0)
    return p, sum(w.size for w in model.get_weights())
''',
        '''
def train(network, rate, updates, seeds, x, y, x_test):
    """A loop of one's own, over GradientTape, in a graph."""
    import keras
    import tensorflow as tf

    def one(seed):
        keras.utils.set_random_seed(seed)
        cell = getattr(keras.layers, network["kind"])(network["units"])
        model = keras.Sequential([cell, keras.layers.Dense(network["classes"])])
        model.build(x.shape)
        adam = keras.optimizers.Adam(rate)
        adam.build(model.trainable_variables)

        @tf.function
        def update(x, y):
            with tf.GradientTape() as tape:
                logits = model(x, training=True)
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
                loss = tf.reduce_mean(loss)
            adam.apply(tape.gradient(loss, model.trainable_variables))

        draw = np.random.default_rng(seed)
        for _ in range(updates):
            rows = draw.integers(len(x), size=32)
            update(tf.constant(x[rows]), tf.constant(y[rows]))
        return tf.nn.softmax(model(x_test)).numpy(), model.count_params()

    found = [one(seed) for seed in seeds]
    return np.array([p for p, _ in found]), found[-1][1]
''',
    ],
}
