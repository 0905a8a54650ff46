"""What a step costs: the package, Keras, PyTorch, and the bare matrix products.

`make bench`. Same weights, same batches, one thread each, runs in turn in one process,
medians; a ratio is the median of those of neighbouring runs, so that a bad minute falls
on both. The floor is the matrix products that no implementation can do without. PyTorch
is no requirement: where it is not installed, its columns stay empty.
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

from tools import console
from unrolled import GRU, LSTM, RNN, SequenceClassifier
from unrolled.tasks import load_mnist

try:
    import torch
except ImportError:
    torch = None

CELLS = {
    "RNN": (RNN, keras.layers.SimpleRNN),
    "LSTM": (LSTM, keras.layers.LSTM),
    "GRU": (GRU, keras.layers.GRU),
}
STEPS = 20  # batches a run
RUNS = 9
COLUMNS = ("NumPy", "Keras", "PyTorch", "floor")


def main(argv=None):
    """Print the tables; returns the exit status."""
    parser = console.parser("tools.experiments.bench", __doc__)
    parser.parse_args(argv)
    data()
    one_thread()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, one thread each; "
        f"NumPy {np.__version__}, Keras {keras.__version__}, TensorFlow "
        f"{tf.__version__}" + (f", PyTorch {torch.__version__}" if torch else "")
    )
    if not torch:
        print("PyTorch is not installed: its columns stay empty")
    print(f"ms a step of one batch, medians of {RUNS} runs of {STEPS} steps")
    head = f"{'':20}" + "".join(f"{column:>9}" for column in COLUMNS)
    head += "".join(f"{column + '/NumPy':>15}" for column in COLUMNS[1:])
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
    print("\nfive seeds: one after the other ÷ as an ensemble (LSTM, 20 steps)")
    for units, batch in ((8, 16), (16, 32), (32, 64), (64, 128)):
        print(f"  {units:3} units, batch {batch:3}: {five_seeds(units, batch):.2f}")
    print("\nwhere the time of training goes (LSTM, 64 units; share of the whole)")
    profile()
    return 0


def one_thread():
    """Keep TensorFlow and PyTorch to one thread, as `fit` keeps NumPy."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if torch:
        torch.set_num_threads(1)


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
    line = f"{name:20}"
    for key in COLUMNS:
        line += f"{median(times[key]):9.2f}" if key in times else f"{'–':>9}"
    for key in COLUMNS[1:]:
        if key not in times:
            line += f"{'–':>15}"
            continue
        pairs = zip(times[key], times["NumPy"], strict=True)
        line += f"{median(a / b for a, b in pairs):14.2f}x"
    print(line, flush=True)


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
    batch = how["batch_size"]
    runs = {
        "NumPy": lambda: ours.fit(x, y, shuffle=False, **how),
        "Keras": lambda: theirs.fit(x, y, shuffle=False, **how),
        "floor": products(ours.body, x, batch, backward=True),
    }
    if torch:
        runs["PyTorch"] = torch_training(torch_model(cell, ours, x[:2]), x, y, batch)
    return runs


def inference(cell, **sizes):
    """What to run for one inference row."""
    ours, theirs, x, _, how = models(cell, **sizes)
    batch = how["batch_size"]
    runs = {
        "NumPy": lambda: ours.predict(x, batch_size=batch),
        "Keras": lambda: theirs.predict(x, **how),
        "floor": products(ours.body, x, batch, backward=False),
    }
    if torch:
        runs["PyTorch"] = torch_inference(torch_model(cell, ours, x[:2]), x, batch)
    return runs


def torch_model(cell, ours, x):
    """PyTorch's model with our weights: the layer, the head, x → logits.

    Its weights are transposed, and the GRU's blocks come in the order r, z, g; its z
    keeps the old state, as ours does. The outputs for `x` are compared.
    """
    features, units = ours.body.features, ours.body.units
    body = getattr(torch.nn, cell)(features, units, batch_first=True)
    head = torch.nn.Linear(units, ours.outputs)
    W_x, W_h, b, W_y, b_y = (torch.from_numpy(w) for w in ours.get_weights())
    if cell == "GRU":
        z, r, g = torch.arange(3 * units).split(units)
        order = torch.cat([r, z, g])
        W_x, W_h, b = W_x[:, order], W_h[:, order], b[:, order]
    # PyTorch has a second bias in every cell; ours has it in the GRU only.
    b_x, b_h = b if cell == "GRU" else (b, torch.zeros_like(b))
    given = W_x.T, W_h.T, b_x, b_h, W_y.T, b_y
    with torch.no_grad():
        for own, weight in zip(
            (*body.parameters(), *head.parameters()), given, strict=True
        ):
            own.copy_(weight)

    def forward(x):
        h, _ = body(x)
        return head(h[:, -1])

    difference = forward(torch.from_numpy(x)).detach().numpy() - ours.forward(x)
    assert abs(difference).max() < 1e-5, f"{cell}: not the same model"
    return body, head, forward


def torch_training(model, x, y, batch):
    """The usual loop over the batches, with the mean loss and accuracy that fit has."""
    body, head, forward = model
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], eps=1e-7)
    loss_of = torch.nn.CrossEntropyLoss()
    x, y = torch.from_numpy(x), torch.from_numpy(y).long()
    batches = list(zip(x.split(batch), y.split(batch), strict=True))

    def run():
        total, right = 0.0, 0
        for x, y in batches:
            optimizer.zero_grad()
            logits = forward(x)
            loss = loss_of(logits, y)
            loss.backward()
            optimizer.step()
            total += loss.item()
            right += (logits.argmax(-1) == y).sum().item()

    return run


def torch_inference(model, x, batch):
    """Probabilities of all batches, as `predict` gives them."""
    *_, forward = model
    batches = torch.from_numpy(x).split(batch)

    def run():
        with torch.no_grad():
            return torch.cat([forward(x).softmax(-1) for x in batches]).numpy()

    return run


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


def five_seeds(units, batch):
    """Time of five fits one after the other over that of an ensemble of five."""
    x, y = (part[: 20 * batch] for part in data())
    how = {"batch_size": batch, "verbose": 0}
    alone = [SequenceClassifier(LSTM(units), 10, seed=seed) for seed in range(5)]
    ensemble = SequenceClassifier(LSTM(units), 10, seed=range(5))
    ratios = []
    for _ in range(RUNS):
        start = time.perf_counter()
        for model in alone:
            model.fit(x, y, **how)
        middle = time.perf_counter()
        ensemble.fit(x, y, **how)
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
    console.run(main)
