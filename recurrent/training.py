"""The loop over epochs and batches, and a run that can be taken up again."""

import dataclasses
import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

from recurrent.checks import check_array, check_between, check_whole

# The products of one step are so small that a second thread gains little where a core
# is free, and loses much where none is: threads that wait for each other keep it busy.
# One thread also gives the same bits on machines with another number of cores.
one_thread = ThreadpoolController().wrap(limits=1, user_api="blas")


@dataclasses.dataclass
class History:
    """What `fit` returns, as Keras's: `history["loss"][k]` belongs to `epoch[k]`."""

    epoch: list = dataclasses.field(default_factory=list)
    history: dict = dataclasses.field(default_factory=dict)

    def add(self, epoch, values):
        """Write down one epoch's numbers."""
        self.epoch.append(epoch)
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)


class Training:
    """`fit`, `evaluate`, `predict`, `save` and `load` of a `SequenceModel`."""

    @one_thread
    def fit(
        self,
        x,
        y,
        *,
        batch_size=32,
        epochs=1,
        verbose="auto",
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
    ):
        """Train, as Keras's `fit`. A second call goes on where the first one ended.

        Args:
            x: `(n, time, features)`; a stack of networks also takes an x for each,
                `(networks, n, time, features)`, and then a y for each too.
            y: one label or number a sequence (or step), in the order of x.
            batch_size: sequences a step; the last batch of an epoch may be smaller.
            epochs: how often to go through the data.
            verbose: 0 for silence, 1 or "auto" for a progress bar once two seconds have
                passed, 2 for a line an epoch.
            validation_split: share of the data, from its end, to measure on and not to
                train on.
            validation_data: `(x, y)` to measure on instead.
            shuffle: whether each epoch takes the sequences in a new order.

        Returns:
            `History`: "loss" and, for a classifier, "accuracy" (means over the epoch,
            while the weights move), and the same with "val_" in front (at the epoch's
            end). Floats; for a stack an array `(networks,)`.

        Raises:
            ValueError: shapes that do not fit, labels out of range, NaN, no data.
        """
        data = self._check_data(x, y)
        batch_size = check_whole("batch_size", batch_size, 1)
        check_whole("epochs", epochs, 1)
        data, held_out = self._hold_out(data, validation_split, validation_data)

        history = self.history = History()
        with _progress(epochs * -(-len(data) // batch_size), verbose) as bar:
            for epoch in range(epochs):
                values = self._one_epoch(data, batch_size, shuffle, bar)
                if held_out is not None:
                    on = self._measure(held_out, batch_size)
                    values |= {f"val_{name}": value for name, value in on.items()}
                history.add(epoch, values)
                line = "  ".join(f"{k} {np.mean(v):.4f}" for k, v in values.items())
                bar.set_postfix_str(line, refresh=False)
                if verbose == 2:
                    print(f"Epoch {epoch + 1}/{epochs}  {line}")
        return history

    @one_thread
    def train_on_batch(self, x, y, initial_state=None):
        """One step on one batch: name → loss and metrics before the step."""
        data = self._check_data(x, y)
        return self._step(data.x, data.y, initial_state)

    @one_thread
    def evaluate(self, x, y, batch_size=32):
        """The loss; or `(loss, accuracy)`, for a classifier."""
        data = self._check_data(x, y)
        values = tuple(
            self._measure(data, check_whole("batch_size", batch_size, 1)).values()
        )
        return values if len(values) > 1 else values[0]

    @one_thread
    def predict(self, x, batch_size=32):
        """The outputs, `(n, outputs)` or `(n, time, outputs)`."""
        data = _Data(self._check_inputs(x), None)
        batch_size = check_whole("batch_size", batch_size, 1)
        rows = self._batches(len(data), batch_size, shuffle=False)
        outputs = [self.forward(data.take(r)[0]) for r in rows]
        return np.concatenate(outputs, axis=self._stacked)

    def save(self, path):
        """Write weights, optimiser and random generators to `path` (npz), whole or not.

        What is loaded from it goes on with exactly the bits that would have come.
        """
        arrays = {f"weights/{name}": w for name, w in self.weights.items()}
        for name, slots in self.optimizer.slots.items():
            arrays |= {f"slots/{name}/{k}": slot for k, slot in enumerate(slots)}
        rngs = self.rngs if self._stacked else [self.rngs]
        states = json.dumps([rng.bit_generator.state for rng in rngs])
        path = Path(path)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving") as folder:
            part = Path(folder) / "part.npz"
            arrays["iterations"] = self.optimizer.iterations
            arrays["features"] = self.body.features
            np.savez(part, rngs=states, **arrays)
            os.replace(part, path)

    def load(self, path):
        """Take up what `save` wrote, in a model of the same make.

        Raises:
            ValueError: not such a file, or of another model; no weight has changed
            then.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                saved = dict(file)
            states = json.loads(str(saved["rngs"]))
            self._check_inputs(np.zeros((1, 1, int(saved["features"]))))  # builds
        except (OSError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is no saved model ({error})") from error
        expected = {f"weights/{name}": w.shape for name, w in self.weights.items()}
        found = {k: v.shape for k, v in saved.items() if k.startswith("weights/")}
        rngs = self.rngs if self._stacked else [self.rngs]
        if found != expected or len(states) != len(rngs):
            raise ValueError(f"{path} holds {found}; expected {expected}")
        for name, weight in self.weights.items():
            weight[...] = saved[f"weights/{name}"]
        self.optimizer.iterations = int(saved["iterations"])
        self.optimizer.slots = {
            name: [
                saved[f"slots/{name}/{k}"]
                for k in range(self.optimizer.slots_per_weight)
            ]
            for name in self.weights
            if f"slots/{name}/0" in saved
        }
        for rng, state in zip(rngs, states, strict=True):
            rng.bit_generator.state = state

    def _one_epoch(self, data, batch_size, shuffle, bar):
        total, seen = {}, 0
        for rows in self._batches(len(data), batch_size, shuffle):
            x, y = data.take(rows)
            n = x.shape[-3]
            for name, value in self._step(x, y).items():
                total[name] = total.get(name, 0) + n * value
            seen += n
            bar.update()
        return {name: value / seen for name, value in total.items()}

    def _step(self, x, y, initial_state=None):
        loss, gradients, outputs = self.loss_and_gradients(
            x, y, initial_state, training=True
        )
        values = {"loss": loss} | self.metrics(outputs, y)
        self.optimizer.apply(self.weights, gradients, stacked=self._stacked)
        return values

    def _measure(self, data, batch_size):
        total = {}
        for rows in self._batches(len(data), batch_size, shuffle=False):
            x, y = data.take(rows)
            outputs = self.forward(x)
            values = {"loss": self.loss(outputs, y)[0]} | self.metrics(outputs, y)
            for name, value in values.items():
                total[name] = total.get(name, 0) + x.shape[-3] * value
        return {name: value / len(data) for name, value in total.items()}

    def _batches(self, n, batch_size, shuffle):
        """Rows of each batch: a slice, `(batch,)`, or `(networks, batch)`."""
        if not shuffle:
            yield from (slice(k, k + batch_size) for k in range(0, n, batch_size))
            return
        order = self.head.each_network(lambda rng: rng.permutation(n))
        yield from (order[..., k : k + batch_size] for k in range(0, n, batch_size))

    def _hold_out(self, data, share, validation_data):
        """`(data to train on, data to measure on or None)`."""
        share = check_between("validation_split", share, 0, 1)
        if validation_data is not None:
            return data, self._check_data(*validation_data)
        if not share:
            return data, None
        n = int(len(data) * (1 - share))
        if not 0 < n < len(data):
            raise ValueError(
                f"validation_split is {share}; expected some of the "
                f"{len(data)} sequences on either side of the split"
            )
        return data.part(slice(n)), data.part(slice(n, None))

    def _check_inputs(self, x):
        shape = ("n", "time", self.body.features or "features")
        if self._stacked and np.ndim(x) == 4:
            shape = (self.networks, *shape)
        x = check_array("x", x, shape, self.body.dtype)
        if not self.head.built:
            self.build(x.shape[-1])
        return x

    def _check_data(self, x, y):
        x = self._check_inputs(x)
        shape = x.shape[:-1] if self.return_sequences else x.shape[:-2]
        return _Data(x, self._check_targets(y, shape))


class _Data:
    """Sequences and targets, for all networks or one set for each."""

    def __init__(self, x, y):
        self.x, self.y = x, y
        self._each = x.ndim == 4

    def __len__(self):
        return self.x.shape[-3]

    def take(self, rows):
        """x and y of these rows: a slice, `(batch,)`, or `(networks, batch)`."""
        return tuple(a if a is None else self._of(a, rows) for a in (self.x, self.y))

    def part(self, rows):
        """The same as data of its own."""
        return _Data(*self.take(rows))

    def _of(self, a, rows):
        if not self._each:
            return a[rows]
        if isinstance(rows, slice):
            return a[:, rows]
        return a[np.arange(len(a))[:, None], rows]


def _progress(steps, verbose):
    """A progress bar; it shows after two seconds, and leaves nothing behind."""
    from tqdm import tqdm  # here: `import recurrent` stays light

    return tqdm(total=steps, disable=verbose not in (1, "auto"), delay=2, leave=False)
