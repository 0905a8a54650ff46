"""An RNN, an LSTM and a GRU that answer after every row of a digit.

They are the networks of the explorable *Watch it read*. Each row of the table is one
seed; its three networks learn from the same digits, turned, sheared and scaled a little
so that they can also read what is drawn by hand. The label stands at every row: the
answer on the way is the best that the network can say from the rows so far. Measured on
the test digits: how many are read correctly after 7, 13, 20 and 28 rows.

The networks of seed 0 go into the package, rounded to float16, with the digits to
choose from: `unrolled/explorables/read.npz`. The table gives their accuracy as shipped.
"""

import numpy as np

from tools.experiments.digits import LAYERS, load_digits
from unrolled import Adam, SequenceClassifier
from unrolled.explorables.read import HALF, SHIPPED

FULL_MNIST = True
EARLY = 10  # updates that a test repeats
CASES = [{"seed": seed} for seed in range(5)]
SHOWN = 0  # the seed whose networks the page shows
UNITS, BATCH, UPDATES, RATE = 50, 64, 3000, 0.004
LOOKS = (7, 13, 20, 28)  # rows after which the answers are counted
SURE = 0.8  # probability of the last answer, for a digit to be shown


def warp(x, rng):
    """Turn, shear, scale and shift each image a little; `(n, 28, 28)`, in [0, 1]."""
    n, side = x.shape[:2]
    angle, shear = rng.uniform(-0.2, 0.2, (2, n))
    scale = rng.uniform(0.85, 1.2, (2, n))
    cos, sin = np.cos(angle), np.sin(angle)
    middle = (side - 1) / 2
    row, column = np.indices((side, side)).reshape(2, -1) - middle
    # Where each pixel of the new image comes from, (n, 784).
    from_row = (row * cos[:, None] - column * sin[:, None]) * scale[0, :, None]
    from_column = (row * sin[:, None] + column * cos[:, None]) * scale[1, :, None]
    from_column += shear[:, None] * from_row
    shift = middle + rng.uniform(-1.2, 1.2, (2, n, 1))
    from_row, from_column = from_row + shift[0], from_column + shift[1]
    top, left = np.floor(from_row).astype(int), np.floor(from_column).astype(int)
    down, right = from_row - top, from_column - left
    padded = np.pad(x, ((0, 0), (1, 2), (1, 2)))
    image, out = np.arange(n)[:, None], 0.0
    for di, by_row in ((0, 1 - down), (1, down)):
        for dj, by_column in ((0, 1 - right), (1, right)):
            i = np.clip(top + di + 1, 0, side + 2)
            j = np.clip(left + dj + 1, 0, side + 2)
            out += by_row * by_column * padded[image, i, j]
    ink = rng.uniform(0.9, 1.5, (n, 1))  # a thin pen, a thick one
    return np.clip(ink * out, 0, 1).reshape(x.shape).astype("float32")


def train(seed, updates=UPDATES):
    """Train the three networks of one seed; returns them and their first losses."""
    (x, y), _, _ = load_digits()
    rng = np.random.default_rng([20, seed])
    networks = {
        name: SequenceClassifier(
            layer(UNITS),
            10,
            return_sequences=True,
            optimizer=Adam(RATE, global_clipnorm=1.0),
            seed=seed,
        )
        for name, layer in LAYERS.items()
    }
    losses = []
    for update in range(updates):
        batch = rng.choice(len(x), BATCH, replace=False)
        rows = warp(x[batch] / np.float32(255), rng)
        labels = np.repeat(y[batch, None], rows.shape[1], axis=1)
        for network in networks.values():
            rate = RATE * (1 + np.cos(np.pi * update / UPDATES)) / 2
            network.optimizer.learning_rate = rate
            losses.append(network.train_on_batch(rows, labels)["loss"])
    return networks, losses[: EARLY * len(networks)]


def run(case, updates=None):
    """Train the networks of one seed and count what they read correctly on the way."""
    networks, losses = train(case["seed"], updates or UPDATES)
    results = {"early_loss": round(float(np.mean(losses)), 6)}
    if updates is not None:
        return results
    _, _, (x, y) = load_digits()
    answers = {}
    for name, network in networks.items():
        network.set_weights([w.astype("float16") for w in network.get_weights()])
        answers[name] = network.predict(x / np.float32(255), batch_size=500)
        right = (answers[name].argmax(-1) == y[:, None]).mean(0)
        results |= {f"{name}_{t}": round(float(right[t - 1]), 4) for t in LOOKS}
    if case["seed"] == SHOWN:
        keep(networks, answers, x, y)
    return results


def keep(networks, answers, x, y):
    """Write the networks and a dozen digits to read into the package."""
    arrays = {}
    for name, network in networks.items():
        for k, w in enumerate(network.get_weights()):
            arrays[f"{name}_{k}"] = w.astype("float16")
    chosen = choose(np.stack(list(answers.values())), y)
    np.savez_compressed(SHIPPED, **arrays, images=x[chosen], labels=y[chosen])


def choose(answers, y):
    """Pick the digits to choose from, the one of the story first.

    One of each class that all three networks read correctly in the end, and surely, and
    about which they are most at odds after half of the rows; then two of different
    classes on which they end divided.

    Args:
        answers: probabilities, `(networks, digits, rows, classes)`.
        y: labels, `(digits,)`.
    """
    said = answers.argmax(-1)
    right = (said[:, :, -1] == y).sum(0)
    sure = answers[:, :, -1].max(-1).min(0)  # as the least sure network is in the end
    at_odds = answers[:, :, HALF - 1].max(0).sum(-1)  # 3: each is sure of another digit
    read = np.flatnonzero((right == len(answers)) & (sure > SURE))
    each = [max(read[y[read] == digit], key=at_odds.__getitem__) for digit in range(10)]
    story = max(each, key=at_odds.__getitem__)
    each.remove(story)
    divided = np.flatnonzero((right > 0) & (right < len(answers)))
    first = max(divided, key=sure.__getitem__)
    second = max(divided[y[divided] != y[first]], key=sure.__getitem__)
    return [story, *each, first, second]
