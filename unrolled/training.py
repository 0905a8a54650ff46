"""The loop over epochs and batches."""

import dataclasses

import numpy as np
from threadpoolctl import ThreadpoolController

from unrolled.checkpoint import Checkpoint
from unrolled.checks import (
    check_array,
    check_between,
    check_tuple,
    check_whole,
    count_axes,
)

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


class Training(Checkpoint):
    """`fit`, `evaluate`, `predict` of a `SequenceModel`."""

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

    def _one_epoch(self, data, batch_size, shuffle, bar):
        def step(x, y):
            values = self._step(x, y)
            bar.update()
            return values

        return self._mean(step, data, batch_size, shuffle)

    def _step(self, x, y, initial_state=None):
        loss, gradients, outputs = self.loss_and_gradients(
            x, y, initial_state, training=True
        )
        values = {"loss": loss} | self.metrics(outputs, y)
        self.optimizer.apply(self.weights, gradients, stacked=self._stacked)
        return values

    def _measure(self, data, batch_size):
        def values(x, y):
            outputs = self.forward(x)
            return {"loss": self.loss(outputs, y)[0]} | self.metrics(outputs, y)

        return self._mean(values, data, batch_size, shuffle=False)

    def _mean(self, values, data, batch_size, shuffle):
        """Mean over the sequences of what `values(x, y)` gives for each batch."""
        total = {}
        for rows in self._batches(len(data), batch_size, shuffle):
            x, y = data.take(rows)
            for name, value in values(x, y).items():
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
            names = "validation_data x", "validation_data y"
            pair = check_tuple("validation_data", validation_data, ("x", "y"))
            return data, self._check_data(*pair, names)
        if not share:
            return data, None
        n = int(len(data) * (1 - share))
        if not 0 < n < len(data):
            raise ValueError(
                f"validation_split is {share}; expected some of the "
                f"{len(data)} sequences on either side of the split"
            )
        return data.part(slice(n)), data.part(slice(n, None))

    def _check_inputs(self, x, name="x"):
        shape = ("n", "time", self.body.features or "features")
        if self._stacked and count_axes(x) == 4:
            shape = (self.networks, *shape)
        x = check_array(name, x, shape, self.body.dtype)
        if not self.head.built:
            self.build(x.shape[-1])
        return x

    def _check_data(self, x, y, names=("x", "y")):
        x = self._check_inputs(x, names[0])
        shape = x.shape[:-1] if self.return_sequences else x.shape[:-2]
        return _Data(x, self._check_targets(names[1], y, shape))


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
    from tqdm import tqdm  # here: `import unrolled` stays light

    return tqdm(total=steps, disable=verbose not in (1, "auto"), delay=2, leave=False)
