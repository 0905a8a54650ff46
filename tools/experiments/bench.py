"""What a step costs: the package, Keras, and the bare matrix products. `make bench`.

Same weights, same batches, runs in turn in one process, medians; a ratio is the median
of those of neighbouring runs, so that a bad minute falls on both. The floor is the
matrix products that no implementation can do without, in one thread like `fit`.
"""

import cProfile
import functools
import os
import platform
import pstats
import time
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits

from unrolled import GRU, LSTM, RNN, SequenceClassifier
from unrolled.tasks import load_mnist

CELLS = {
    "RNN": (RNN, keras.layers.SimpleRNN),
    "LSTM": (LSTM, keras.layers.LSTM),
    "GRU": (GRU, keras.layers.GRU),
}
STEPS = 20  # batches a run
RUNS = 9


def main():
    """Print the tables."""
    data()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores; NumPy {np.__version__}, "
        f"Keras {keras.__version__}, TensorFlow {tf.__version__}"
    )
    print(f"ms a step of one batch, medians of {RUNS} runs of {STEPS} steps")
    head = f"{'':28}{'NumPy':>9}{'Keras':>9}{'floor':>9}"
    head += f"{'Keras/NumPy':>14}{'floor/NumPy':>14}"
    for title, runs in {"training": training, "inference": inference}.items():
        print(f"\n{title}, 28 × 28, 64 units, batch 128, Adam\n{head}")
        for cell in CELLS:
            row(cell, runs(cell))
    print(f"\ntraining against T, units, batch\n{head}")
    for cell in ("RNN", "LSTM"):
        for change in (
            {"steps": 7},
            {"steps": 112},
            {"units": 16},
            {"units": 256},
            {"batch": 16},
            {"batch": 512},
        ):
            (name, value), *_ = change.items()
            row(f"{cell}, {name} {value}", training(cell, **change))
    print("\nfive seeds: one after the other ÷ as a stack (LSTM, 20 steps)")
    for units, batch in ((8, 16), (16, 32), (32, 64), (64, 128)):
        print(f"  {units:3} units, batch {batch:3}: {stacked(units, batch):.2f}")
    print("\nwhere the time of training goes (LSTM, 64 units; share of the whole)")
    profile()


@functools.cache
def data():
    """The digits to train on, `(images / 255, labels)`."""
    (images, labels), _ = load_mnist()
    return (images / 255).astype("float32"), labels


def row(name, runs):
    """Run all in turn and print one line."""
    for run in runs.values():
        run()
    times = {key: [] for key in runs}
    for _ in range(RUNS):
        for key, run in runs.items():
            start = time.perf_counter()
            run()
            times[key].append((time.perf_counter() - start) * 1000 / STEPS)
    ratios = [
        median(a / b for a, b in zip(times[key], times["NumPy"], strict=True))
        for key in ("Keras", "floor")
    ]
    medians = (median(times[key]) for key in ("NumPy", "Keras", "floor"))
    line = "".join(f"{value:9.2f}" for value in medians)
    print(f"{name:28}{line}{ratios[0]:13.2f}x{ratios[1]:13.2f}x", flush=True)


def models(cell, steps=28, units=64, batch=128):
    """The package's model and Keras's, with the same weights, and data for both."""
    images, labels = data()
    features = 784 // steps
    n = STEPS * batch
    x, y = np.resize(images, (n, steps, features)), np.resize(labels, n)
    ours, theirs = CELLS[cell]
    ours = SequenceClassifier(ours(units), 10)
    ours.build(features)
    theirs = keras.Sequential([
        keras.Input((steps, features)),
        theirs(units),
        keras.layers.Dense(10, activation="softmax"),
    ])
    theirs.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    theirs.set_weights(ours.get_weights())
    return ours, theirs, x, y, {"batch_size": batch, "verbose": 0}


def training(cell, **sizes):
    """What to run for one training row."""
    ours, theirs, x, y, how = models(cell, **sizes)
    return {
        "NumPy": lambda: ours.fit(x, y, shuffle=False, **how),
        "Keras": lambda: theirs.fit(x, y, shuffle=False, **how),
        "floor": products(ours.body, x, how["batch_size"], backward=True),
    }


def inference(cell, **sizes):
    """What to run for one inference row."""
    ours, theirs, x, _, how = models(cell, **sizes)
    return {
        "NumPy": lambda: ours.predict(x, batch_size=how["batch_size"]),
        "Keras": lambda: theirs.predict(x, **how),
        "floor": products(ours.body, x, how["batch_size"], backward=False),
    }


def products(layer, x, batch, *, backward):
    """The matrix products of STEPS batches: inputs, recurrence, and their gradients."""
    W, U, *_ = layer.weights.values()
    T = x.shape[1]
    rows = np.ascontiguousarray(x[:batch].reshape(T * batch, -1))
    h, z = np.ones((batch, len(U)), "f"), np.ones((batch, U.shape[1]), "f")
    all_h, all_z = np.tile(h, (T, 1)), np.tile(z, (T, 1))

    def run():
        with threadpool_limits(1, user_api="blas"):
            for _ in range(STEPS):
                _ = rows @ W
                for _ in range(T):
                    _ = h @ U
                if backward:
                    for _ in range(T):
                        _ = z @ U.T
                    _ = all_h.T @ all_z, rows.T @ all_z

    return run


def stacked(units, batch):
    """Time of five fits by themselves over that of one stack of five."""
    x, y = (part[: 20 * batch] for part in data())
    how = {"batch_size": batch, "verbose": 0}
    alone = [SequenceClassifier(LSTM(units), 10, seed=seed) for seed in range(5)]
    stack = SequenceClassifier(LSTM(units), 10, seed=range(5))
    ratios = []
    for _ in range(RUNS):
        start = time.perf_counter()
        for model in alone:
            model.fit(x, y, **how)
        middle = time.perf_counter()
        stack.fit(x, y, **how)
        ratios.append((middle - start) / (time.perf_counter() - middle))
    return median(ratios)


def profile():
    """Print the functions of a fit that take the most time by themselves."""
    ours, _, x, y, how = models("LSTM")
    ours.fit(x, y, **how)
    profiler = cProfile.Profile()
    profiler.runcall(ours.fit, x, y, epochs=5, **how)
    stats = pstats.Stats(profiler)
    own = sorted(stats.stats.items(), key=lambda item: -item[1][2])
    for (file, _, function), (_, _, seconds, _, _) in own[:8]:
        share = 100 * seconds / stats.total_tt
        print(f"  {share:4.1f} %  {os.path.basename(file)}: {function}")


if __name__ == "__main__":
    main()
