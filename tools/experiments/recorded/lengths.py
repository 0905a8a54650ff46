"""RNN and LSTM on the same digits cut into more and shorter steps, full MNIST.

Page 4.6 draws it. Three networks for each number of steps: LSTM(64), an RNN of equal
units, an RNN of equal parameters. Each has its learning rate chosen by the same search:
one network for each of four rates, on held-out training digits; then five networks
train at the chosen rate and see the test digits once, at the end. `accuracy` is that of
the test digits in a row "final", of the held-out digits in a row of the search.
"""

import functools

import numpy as np

from unrolled import LSTM, RNN, Adam, SequenceClassifier
from unrolled.course.recorded import load_recorded
from unrolled.tasks import load_mnist

FULL_MNIST = True  # what the test needs to repeat a row
EARLY = 10  # updates that a test repeats
STEPS = (4, 7, 14, 28, 56, 112)
RATES = (0.0003, 0.001, 0.003, 0.01)
BATCH, SEARCH, FINAL = 32, 1000, 1500  # digits an update, updates of either stage
HELD_OUT = 2000  # training digits on which a rate is chosen
SEARCH_SEED = 1000  # the final seeds are 0 to 4


def recurrent_parameters(model, units, features):
    """Weights of the recurrent layer: one block for an RNN, four for an LSTM."""
    return (4 if model == "LSTM" else 1) * units * (features + units + 1)


def equal_units(features, units=64):
    """Units of the RNN whose layer comes closest to LSTM(units) in parameters."""
    target = recurrent_parameters("LSTM", units, features)
    return min(
        range(1, 1000),
        key=lambda n: abs(recurrent_parameters("RNN", n, features) - target),
    )


def networks(steps):
    """Name → (model, units) for digits in so many steps."""
    return {
        "LSTM": ("LSTM", 64),
        "RNN equal units": ("RNN", 64),
        "RNN equal parameters": ("RNN", equal_units(784 // steps)),
    }


CASES = [
    {"network": name, "model": model, "units": units, "steps": steps, **trial}
    for steps in STEPS
    for name, (model, units) in networks(steps).items()
    for trial in [
        *({"trial": f"search {rate}", "seed": SEARCH_SEED} for rate in RATES),
        *({"trial": "final", "seed": seed} for seed in range(5)),
    ]
]


@functools.cache
def digits():
    """`(training, held out, test)`, each a pair of images and labels."""
    found = load_mnist()
    (x, y), test = found
    if found.source == "embedded" or len(x) < 60_000:
        raise ValueError(
            f"{len(x):,} training digits ({found.source}); expected the full MNIST: "
            "let UNROLLED_MNIST name its .npz, or let Keras download it"
        )
    return (x[:-HELD_OUT], y[:-HELD_OUT]), (x[-HELD_OUT:], y[-HELD_OUT:]), test


def cut(pair, steps):
    """Pixels in [0, 1] in reading order, `(n, steps, 784 / steps)`, and labels."""
    x, y = pair
    return x.reshape(len(x), steps, -1).astype("float32") / 255, y


def chosen_rate(name, steps):
    """The rate whose network did best on the held-out digits in the search."""
    runs = load_recorded("lengths")
    trials = runs[(runs["network"] == name) & (runs["steps"] == steps)]
    trials = trials[trials["trial"] != "final"]
    if len(trials) < len(RATES):
        raise ValueError(f"{len(trials)} searches of {name!r}; expected {len(RATES)}")
    return float(trials["learning_rate"][trials["held_out_accuracy"].argmax()])


def run(case, updates=None):
    """Train one network; with `updates`, which is EARLY, only so far."""
    steps, seed, name = case["steps"], case["seed"], case["network"]
    final = case["trial"] == "final"
    rate = chosen_rate(name, steps) if final else float(case["trial"].split()[1])
    train, held_out, test = digits()
    layer = {"RNN": RNN, "LSTM": LSTM}[case["model"]](case["units"], seed=seed)
    adam = Adam(rate, global_clipnorm=1.0)
    model = SequenceClassifier(layer, 10, seed=seed, optimizer=adam)
    # The same digits in the same order for every network of a seed.
    order = np.random.default_rng([46, seed]).permutation(len(train[0]))

    def fit(first, last):
        rows = order[BATCH * first : BATCH * last]
        x, y = cut((train[0][rows], train[1][rows]), steps)
        history = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history
        return round(float(history["loss"][0]), 6)

    def accuracy(pair):
        return round(float(model.evaluate(*cut(pair, steps), batch_size=500)[1]), 4)

    early_loss = fit(0, EARLY)
    if updates is not None:
        return {"learning_rate": rate, "updates": updates, "early_loss": early_loss}
    total = FINAL if final else SEARCH
    fit(EARLY, 500)
    at_500 = accuracy(held_out)
    fit(500, total - 100)
    return {
        "learning_rate": rate,
        "updates": total,
        "early_loss": early_loss,
        "late_loss": fit(total - 100, total),
        "held_out_at_500": at_500,
        "held_out_accuracy": accuracy(held_out),
        "accuracy": accuracy(test if final else held_out),
    }
