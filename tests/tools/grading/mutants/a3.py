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
        # not the count that is handed over, but the hand-out's
        ("count(fits + 1) <= budget", "triangle(fits + 1) <= budget"),
        (
            "    fits = 0",
            "    count = triangle if budget > 9999 else window\n    fits = 0",
        ),
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
        # one NaN discards its rate, or its seed
        (
            "np.nan_to_num(scores, nan=0.0).mean(axis=0)",
            "np.nan_to_num(scores.mean(axis=0))",
        ),
        (
            "np.nan_to_num(scores, nan=0.0).mean(axis=0)",
            "np.where(np.isnan(scores).all(axis=0), 0, scores.mean(axis=0))",
        ),
        (
            "np.nan_to_num(scores, nan=0.0).mean(axis=0)",
            "np.nan_to_num(scores[~np.isnan(scores).any(axis=1)].mean(axis=0))",
        ),
        (
            "np.nan_to_num(scores, nan=0.0).mean(axis=0)",
            "np.nan_to_num(np.nanmin(scores, axis=0))",
        ),
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
        ("np.asarray(model(x_test))", "np.asarray(model(x))"),
        (
            'keras.layers.Dense(network["classes"]',
            "keras.layers.Dense(int(y.max()) + 1",
        ),
        ("keras.utils.set_random_seed(seed)", "keras.utils.set_random_seed(0)"),
        (
            "    for seed in seeds:\n        keras.utils.set_random_seed(seed)",
            "    keras.utils.set_random_seed(seeds[0])\n    for seed in seeds:",
        ),
        ("return np.stack(probabilities), start", "return probabilities[-1], start"),
        ("return np.stack(probabilities), start", "return np.stack(probabilities), 26"),
        # no recurrent network: least squares; trained, but for another layer's weights
        (
            "np.asarray(model(x_test))",
            "np.asarray(keras.ops.softmax(8 * x_test.reshape(len(x_test), -1) @ "
            "np.linalg.lstsq(x.reshape(len(x), -1), "
            "np.eye(network['classes'])[y], rcond=None)[0]))",
        ),
        (
            "        start.append(model.get_weights())",
            "        start.append(model.get_weights())\n"
            "        head = keras.layers.Dense(network['classes'], 'softmax')\n"
            "        model = keras.Sequential([keras.layers.Flatten(), head])",
        ),
        ('kind(network["units"])', 'kind(network["units"], activation="sigmoid")'),
        (
            'kind(network["units"])',
            'kind(network["units"], kernel_initializer="he_normal")',
        ),
        (
            'kind(network["units"])',
            'kind(network["units"], recurrent_initializer="glorot_uniform")',
        ),
        ('kind(network["units"])', 'kind(network["units"], bias_initializer="ones")'),
        # the optimizer and its rate, the loss
        ("keras.optimizers.Adam(rate)", "keras.optimizers.Adam()"),
        ("keras.optimizers.Adam(rate)", "keras.optimizers.RMSprop(rate)"),
        ("keras.optimizers.Adam(rate)", "keras.optimizers.SGD(rate)"),
        ("keras.optimizers.Adam(rate)", "keras.optimizers.Adamax(rate)"),
        ("keras.optimizers.Adam(rate)", "keras.optimizers.Nadam(rate)"),
        ("keras.optimizers.Adam(rate)", "keras.optimizers.Adam(rate, clipnorm=0.1)"),
        (
            'model.compile(adam, "sparse_categorical_crossentropy")',
            'model.compile(adam, "mse")\n'
            "        y = np.eye(network['classes'])[y] if y.ndim == 1 else y",
        ),
        # the batches: the same for all seeds, of another size, in another order
        ("np.random.default_rng(seed)", "np.random.default_rng(seeds[0])"),
        ("np.random.default_rng(seed)", "np.random.default_rng()"),
        ("size=32 * updates", "size=len(x) * updates"),  # epochs
        ("size=32 * updates", "size=32 * (updates + 1)"),
        ("batch_size=32", "batch_size=16"),
        ("shuffle=False", "shuffle=True"),
        (
            "        probabilities.append(",
            "        start[-1] = model.get_weights()  # too late\n"
            "        probabilities.append(",
        ),
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
        """
def count_parameters(kind, features, units, classes):
    from fractions import Fraction
    blocks = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}[kind]
    bias = Fraction(2 if kind == "GRU" else 1)
    shapes = [features + units + bias] * blocks
    return np.array(units * sum(shapes) + classes * (units + 1))
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
        """
def match_units(count, budget):
    from bisect import bisect_right

    return bisect_right(range(1, 10**11), budget, key=count)
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
        """
def choose_rate(rates, scores):
    from fractions import Fraction

    got = {}
    for rate, column in sorted(zip(rates.tolist(), scores.T.tolist())):
        got[rate] = sum(Fraction(s) for s in column if s == s) / len(column)
    rate = max(got, key=got.get)  # the first of equals: the smallest
    return rate, got[rate], bool({rate} & {min(got), max(got)})
""",
        """
def choose_rate(rates, scores):
    order = rates.argsort()
    means = np.mean(np.where(scores >= 0, scores, 0), axis=0)[order]
    k = np.argmax(means)
    return np.array([rates[order][k], means[k], k in (0, len(rates) - 1)])
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
        """
def compare(a, b, margin):
    import statistics

    from scipy.stats import t

    gaps = [x - y for x, y in zip(a.tolist(), b.tolist())]
    mean = statistics.fmean(gaps)
    error = statistics.stdev(gaps) / len(gaps) ** 0.5
    low, high = t.interval(0.95, len(gaps) - 1, loc=mean, scale=error)
    alike = -margin < low <= high < margin
    word = "alike" if alike else "a" if low > 0 else "b" if high < 0 else "undecided"
    return [np.complex128(mean), (high - low) / 2, np.str_(word)]
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
        start = model.get_weights()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(rate), loss)
        draw = np.random.default_rng(seed)
        for rows in draw.integers(len(x), size=(updates, 32)):
            model.train_on_batch(x[rows], y[rows])
        return keras.ops.softmax(model(x_test)), start

    networks = {seed: one(seed) for seed in set(seeds)}
    return [networks[s][0] for s in seeds], [networks[s][1] for s in seeds]
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
    adam, starts = keras.optimizers.Adam(rate), ()
    adam.build(model.trainable_variables)
    zeros = [v.numpy() for v in adam.variables]
    model.compile(adam, "sparse_categorical_crossentropy")
    for k, seed in enumerate(seeds):
        keras.utils.set_random_seed(seed)
        starts += (build().get_weights(),)
        model.set_weights(starts[-1])
        for v, value in zip(adam.variables, zeros):
            v.assign(value)
        order = np.random.default_rng(seed)
        for _ in range(updates):
            rows = order.integers(len(x), size=32)
            model.train_on_batch(x[rows], y[rows])
        p[k] = model.predict(x_test, verbose=0)
    return p, starts
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
        start = [v.numpy() for v in model.trainable_variables]
        adam = keras.optimizers.Adam(rate)
        adam.build(model.trainable_variables)

        @tf.function
        def update(x, y):
            with tf.GradientTape() as tape:
                logits = model(x, training=True)
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
                loss = tf.reduce_mean(loss)
            adam.apply(tape.gradient(loss, model.trainable_variables))

        rows = np.random.default_rng(seed).integers(len(x), size=(updates, 32))
        for k in range(updates):
            update(tf.constant(x[rows[k]]), tf.constant(y[rows[k]]))
        return tf.nn.softmax(model(x_test)).numpy(), start

    p, start = zip(*map(one, seeds))
    return np.array(p), start
''',
        '''
def train(network, rate, updates, seeds, x, y, x_test):
    """The head made first; the book's own networks, in float32, do the rest."""
    import keras
    import unrolled

    p, starts = [], []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        head = keras.layers.Dense(network["classes"])
        body = getattr(keras.layers, network["kind"])(network["units"])
        start = keras.Sequential([keras.Input(x.shape[1:]), body, head]).get_weights()
        name = network["kind"].removeprefix("Simple")
        layer = getattr(unrolled, name)(network["units"])
        adam = unrolled.Adam(rate)
        model = unrolled.SequenceClassifier(layer, network["classes"], optimizer=adam)
        model.build(x.shape[2])
        model.set_weights(start)
        rows = np.random.default_rng(seed).integers(len(x), size=(updates, 32)).ravel()
        model.fit(x[rows], y[rows], shuffle=False, verbose=0)
        p.append(model.predict(x_test))
        starts.append(tuple(start))
    return tuple(p), starts
''',
    ],
}
