"""RNN, LSTM and GRU on MNIST's digits at full scale: what two recorded runs share.

The comparison is that of page 4.6, with more of everything: all digits, wider networks,
more updates. Each network has its learning rate chosen by the same search as there:
networks of two seeds at each rate, further rates while the best one is the smallest or
the largest tried, a choice for each budget by the accuracy on held-out digits; then
networks of other seeds train at the chosen rates. Keras trains them, compiled, because
that takes a ninth of NumPy's time at 784 steps and as much at 28; their initial weights
are those that `unrolled` draws for the seed.
"""

import functools
import os
from dataclasses import dataclass

import numpy as np

from unrolled import GRU, LSTM, RNN, SequenceClassifier
from unrolled.course.search import place_of_best, rates_beyond
from unrolled.tasks import load_mnist

LAYERS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
FIRST = (0.001, 0.003, 0.01)  # rates that a search begins with
EARLY = 10  # updates that a test repeats
BATCH = 64  # digits per update
CHUNK = 500  # updates whose digits are in memory together
HELD_OUT = 2000  # training digits on which a rate is chosen


def parameters(model, units, features):
    """Weights of a recurrent layer; Keras's GRU has a second bias."""
    blocks = {"RNN": 1, "LSTM": 4, "GRU": 3}[model]
    return blocks * units * (features + units + 1 + (model == "GRU"))


def twin(model, units, features):
    """Units of the layer that comes closest to LSTM(units) in parameters."""
    target = parameters("LSTM", units, features)
    return min(
        range(1, 1000), key=lambda n: abs(parameters(model, n, features) - target)
    )


def networks(units, features):
    """Name → (model, units) of what is compared."""
    return {
        "LSTM": ("LSTM", units),
        "RNN equal parameters": ("RNN", twin("RNN", units, features)),
        "RNN equal units": ("RNN", units),
        "GRU equal parameters": ("GRU", twin("GRU", units, features)),
        "GRU equal units": ("GRU", units),
    }


@functools.cache
def load_digits():
    """`(training, held out, test)`, each a pair of images and labels."""
    found = load_mnist()
    (x, y), test = found
    if not found.is_mnist or len(x) < 60_000:
        raise ValueError(
            f"{len(x):,} training digits of {found.name}; expected the full MNIST: "
            "let UNROLLED_MNIST name its .npz, or let Keras download it"
        )
    return (x[:-HELD_OUT], y[:-HELD_OUT]), (x[-HELD_OUT:], y[-HELD_OUT:]), test


def cut(images, steps, order):
    """Pixels in [0, 1], `(n, steps, 784 / steps)`, in reading order or permuted."""
    pixels = images.reshape(len(images), 784)
    if order == "permuted":  # the same permutation for every digit and network
        pixels = pixels[:, np.random.default_rng(784).permutation(784)]
    return pixels.reshape(len(images), steps, -1).astype("float32") / 255


@functools.lru_cache(maxsize=1)
def build(model, units, steps):
    """A compiled Keras network, which serves every rate and seed in turn."""
    # One thread, so that several runs may share a machine.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    import keras  # here, because it takes seconds

    layers = keras.layers
    layer = {"RNN": layers.SimpleRNN, "LSTM": layers.LSTM, "GRU": layers.GRU}[model]
    network = keras.Sequential([
        keras.Input((steps, 784 // steps)),
        layer(units),
        layers.Dense(10),
    ])
    network.compile(
        keras.optimizers.Adam(global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=True,
    )
    network.optimizer.build(network.trainable_variables)
    return network


def restart(network, case):
    """Give a network new weights, and its optimiser a new start and rate."""
    seed = case["seed"]
    source = SequenceClassifier(
        LAYERS[case["model"]](case["units"], seed=seed), 10, seed=seed
    )
    source.build(784 // case["steps"])
    network.set_weights(source.get_weights())
    for variable in network.optimizer.variables:
        variable.assign(np.zeros(variable.shape))
    network.optimizer.learning_rate = case["rate"]


@dataclass(frozen=True)
class Study:
    """Which digits, networks, budgets and seeds a recorded run compares.

    Attributes:
        settings: `(steps, order)` of the pixels; order is "reading" or "permuted".
        units: of the LSTM.
        names: those of `networks` that are compared.
        budgets: updates after which a network is measured, rising.
        trials: seeds of the search.
        seeds: seeds of the networks that count.
    """

    settings: tuple
    units: int
    names: tuple
    budgets: tuple
    trials: tuple = (1000, 1001)
    seeds: tuple = (0, 1, 2, 3)

    def cases(self, rows):
        """All cases that are known after `rows`: a search tells which come next."""
        found = []
        for steps, order in self.settings:
            sizes = networks(self.units, 784 // steps)
            for name in self.names:
                model, units = sizes[name]
                about = {"steps": steps, "order": order, "network": name}
                about |= {"model": model, "units": units}
                found += self.cases_of(about, rows)
        return found

    def cases_of(self, about, rows):
        """Those of one network."""
        held = {}  # rate → accuracies on held-out digits, one row per trial
        for row in rows:
            if row["trial"] == "search" and all(
                row[key] == str(value) for key, value in about.items()
            ):
                accuracies = [float(row[f"held_out_{b}"]) for b in self.budgets]
                held.setdefault(float(row["rate"]), []).append(accuracies)
        tried, chosen = list(FIRST), []
        while all(len(held.get(rate, [])) == len(self.trials) for rate in tried):
            means = np.mean([held[rate] for rate in tried], axis=1)  # rates, budgets
            best = [place_of_best(column) for column in means.T]
            new = rates_beyond(tried, best)
            if not new:
                chosen = sorted({tried[k] for k in best})
                break
            tried = sorted([*tried, *new])
        stages = ("search", tried, self.trials), ("final", chosen, self.seeds)
        return [
            about | {"rate": rate, "trial": trial, "seed": seed}
            for trial, rates, seeds in stages
            for rate in rates
            for seed in seeds
        ]

    def run(self, case, updates=None):
        """Train one network; with `updates`, which is EARLY, only so far."""
        train, held_out, test = load_digits()
        steps, order = case["steps"], case["order"]
        network = build(case["model"], case["units"], steps)
        restart(network, case)
        # The same digits in the same order for every network of a seed.
        rng = np.random.default_rng([46, case["seed"]])
        epochs = -(-BATCH * self.budgets[-1] // len(train[0]))
        rows = np.concatenate([rng.permutation(len(train[0])) for _ in range(epochs)])

        def fit(first, last):
            now = rows[BATCH * first : BATCH * last]
            history = network.fit(
                cut(train[0][now], steps, order),
                train[1][now],
                batch_size=BATCH,
                shuffle=False,
                verbose=0,
            )
            return round(history.history["loss"][0], 6)

        def accuracy(pair):
            x = cut(pair[0], steps, order)
            return round(network.evaluate(x, pair[1], 500, verbose=0)[1], 4)

        results = {"early_loss": fit(0, EARLY)}
        if updates is not None:
            return results
        done = EARLY
        for budget in self.budgets:
            while done < budget:
                upto = min(done + CHUNK, budget)
                loss, done = fit(done, upto), upto
            results[f"loss_{budget}"] = loss  # of the last updates before
            results[f"held_out_{budget}"] = accuracy(held_out)
            results[f"test_{budget}"] = accuracy(test)
        import keras
        import tensorflow

        versions = {"keras": keras.__version__, "tensorflow": tensorflow.__version__}
        return results | versions
