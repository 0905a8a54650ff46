"""LSTMs with recurrent weights too large, clipped and not, at three budgets.

Page 3.3 shows it. LSTMs whose recurrent weights start four times too large tell which
marker came first, 30 steps before, by plain gradient descent. Each row is an ensemble
at one learning rate, clipped or not. In the search, ten networks try each rate; for
each method and number of epochs the rate is chosen at which most of them solve the
task. At the rates chosen, thirty other networks are counted. A network has solved the
task if its mean loss over an epoch is below 0.1 nats.
"""

import numpy as np

from unrolled import LSTM, SequenceClassifier, clip_by_global_norm
from unrolled.initializers import orthogonal_blocks
from unrolled.tasks import marker_at_start

EARLY = 3  # updates that a test repeats: rounding errors explode, too
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
EPOCHS = (12, 24, 48)
NETWORKS = {"search": range(10), "final": range(10, 40)}  # their seeds
SEQUENCES, BATCH, SOLVED = 512, 32, 0.1


def cases(rows):
    """The search, and the final networks at the rates that it has chosen."""
    search = [
        {"trial": "search", "clipped": clipped, "learning_rate": rate}
        for clipped in ("yes", "no")
        for rate in RATES
    ]
    tried = [row for row in rows if row["trial"] == "search"]
    if len(tried) < len(search):
        return search
    chosen = {
        (clipped, chosen_rate(tried, clipped, epochs))
        for clipped in ("yes", "no")
        for epochs in EPOCHS
    }
    return search + [
        {"trial": "final", "clipped": clipped, "learning_rate": rate}
        for clipped, rate in sorted(chosen)
    ]


def chosen_rate(tried, clipped, epochs):
    """The rate at which most networks of the search had solved the task by then."""
    best = max(
        (row for row in tried if row["clipped"] == clipped),
        key=lambda r: (int(r[f"solved_{epochs}"]), -float(r[f"loss_{epochs}"])),
    )
    return float(best["learning_rate"])


def too_large(shape, rng):
    """Recurrent weights: four times orthogonal, block by block."""
    return 4 * orthogonal_blocks(shape, rng)


def losses(networks, rate, theta, updates=None):
    """Loss of each update and network, `(updates, networks)`."""
    task = marker_at_start(SEQUENCES, 30, np.random.default_rng(33))
    lstm = LSTM(16, seed=networks, recurrent_initializer=too_large)
    model = SequenceClassifier(lstm, 2, seed=networks)
    model.build(task.x.shape[2])
    rng = np.random.default_rng([33, 1])
    found = []
    for _ in range(max(EPOCHS)):
        for rows in rng.permutation(SEQUENCES).reshape(-1, BATCH):
            loss, G, _ = model.loss_and_gradients(task.x[rows], task.y[rows])
            norms = clip_by_global_norm(G, 1.0, ensemble=True)[1]
            step = rate * np.minimum(1, theta / norms)
            for name, w in model.weights.items():
                w -= step.reshape(-1, *[1] * (w.ndim - 1)) * G[name]
            found.append(loss)
            if len(found) == updates:
                return np.array(found)
    return np.array(found)


def run(case, updates=None):
    """Train the networks of one case; with `updates`, which is EARLY, only so far."""
    networks = NETWORKS[case["trial"]]
    theta = 1.0 if case["clipped"] == "yes" else np.inf
    found = losses(networks, case["learning_rate"], theta, updates)
    row = {"early_loss": round(float(found[:EARLY].mean()), 6)}
    if updates is not None:
        return row
    per_epoch = found.reshape(max(EPOCHS), -1, len(networks)).mean(axis=1)
    row["networks"] = len(networks)
    for epochs in EPOCHS:
        loss = per_epoch[epochs - 1]
        row[f"loss_{epochs}"] = round(float(loss.mean()), 6)
        row[f"solved_{epochs}"] = int((loss < SOLVED).sum())
    return row
