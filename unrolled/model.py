"""A recurrent network to train: layers, a dense output, a loss, an optimiser.

The words are Keras's: `fit`, `evaluate`, `predict`, `history`. One step of training is
`fit` → `loss_and_gradients` (`forward`, `loss`, then `backward` of each layer) →
`optimizer.apply`.
"""

import copy
import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from unrolled import checkpoint
from unrolled.checks import (
    check_array,
    check_between,
    check_choice,
    check_dtype,
    check_integer,
    check_labels,
    check_sequences,
    check_tuple,
    count_axes,
    read_array,
)
from unrolled.compose import Stack
from unrolled.dense import Dense
from unrolled.generators import make_generators
from unrolled.layer import Layer, assign
from unrolled.losses import (
    check_quantiles,
    log_softmax,
    mean_squared_error,
    quantile_loss,
    softmax_cross_entropy,
)
from unrolled.optimizers import OPTIMIZERS, Optimizer
from unrolled.recurrence import Recurrent
from unrolled.training import (
    Data,
    History,
    Means,
    as_results,
    one_thread,
    progress_bar,
)
from unrolled.types import Array, Arrays, PerNetwork, Seed, States
from unrolled.undo import undo_on_failure


class SequenceModel:
    """Recurrent layers and a dense output: what classifier and regressor share.

    Args:
        layers: a recurrent layer, or a list of layers from the input upwards.
        outputs: length of the output's last axis.
        return_sequences: whether there is an output for every step, or only for the
            last one.
        optimizer: "adam", "sgd", or an `Optimizer`, which the model copies.
        truncate: cut the gradients every so many steps (truncated backpropagation
            through time); None never cuts.
        seed: an integer, from which weights, order of the sequences and dropout are
            drawn; or a sequence of integers for an ensemble: one network per seed,
            trained side by side. Network k becomes what it would be by itself. For
            small networks this is faster than training one after the other.

    Attributes:
        body: the layer, or the `Stack` of them.
        head: the `Dense` output.
        optimizer: the model's own optimiser.
        networks: the size of the ensemble; None for a single network.
        history: `History` of the last `fit`.
        state: final states of the last `forward`.

    Raises:
        ValueError: as the layers and the optimiser, or an argument out of range.
    """

    def __init__(
        self,
        layers: Layer | Sequence[Layer],
        outputs: int,
        *,
        return_sequences: bool = False,
        optimizer: str | Optimizer = "adam",
        truncate: int | None = None,
        seed: Seed = 0,
    ) -> None:
        self.rngs, self.networks = make_generators(seed)
        if isinstance(layers, (list, tuple)):
            layers = Stack(layers)
        if not isinstance(layers, Layer):
            raise ValueError(
                f"layers is {layers!r}; expected a layer or a list of them"
            )
        if not layers.along_time:  # a stack lets the networks share an input
            layers = Stack([layers])
        self.body = layers
        self.outputs = check_integer("outputs", outputs, 1)
        self.head = Dense(outputs, dtype=self.body.dtype)
        self.return_sequences = bool(return_sequences)
        if not isinstance(optimizer, Optimizer):
            hint = ", or an optimiser such as Adam()"
            optimizer = OPTIMIZERS[
                check_choice("optimizer", optimizer, OPTIMIZERS, hint)
            ]()
        self.optimizer = copy.deepcopy(optimizer)  # its slots belong to these weights
        if truncate is not None:
            truncate = check_integer("truncate", truncate, 1)
        self.truncate = truncate
        self.history: History | None = None
        self.state: States | None = None

    # Training

    @one_thread
    def fit(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: int | str = "auto",
        validation_split: float = 0.0,
        validation_data: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        shuffle: bool = True,
    ) -> History:
        """Train, as Keras's `fit` does. A second call continues where the first ended.

        If it is interrupted, the model is as it was after the last step that was
        complete, and the next call continues from there.

        Args:
            x: `(n, time, features)`. In an ensemble each network may have sequences of
                its own, `(networks, n, time, features)`, and then targets of its own.
            y: one label or number per sequence (or step), in the order of x.
            batch_size: sequences per step of the optimiser; the last batch of an epoch
                may be smaller.
            epochs: how many times to go through the data.
            verbose: 0 for silence; 1 or "auto" for a progress bar, which appears after
                two seconds; 2 for one line per epoch.
            validation_split: share of the data, taken from its end, to measure on
                instead of training on it.
            validation_data: `(x, y)` to measure on instead.
            shuffle: whether each epoch takes the sequences in a new order.

        Returns:
            `History` with "loss" and, for a classifier, "accuracy", the means over each
            epoch while the weights change. With `val_` in front, the same measured on
            the data held out, at the end of each epoch.

        Raises:
            ValueError: shapes that do not fit, labels out of range, NaN, no data.
        """
        data, held_out = self._check_data(x, y), None
        batch_size = check_integer("batch_size", batch_size, 1)
        epochs = check_integer("epochs", epochs, 1)
        _check_verbose(verbose)
        validation_split = check_between("validation_split", validation_split, 0, 1)
        if validation_data is not None:
            x, y = check_tuple("validation_data", validation_data, ("x", "y"))
            held_out = self._check_data(x, y, name="validation_data ")
        elif validation_split:
            data, held_out = data.split(validation_split)

        history = self.history = History()
        with progress_bar(epochs * -(-len(data) // batch_size), verbose) as bar:
            for epoch in range(epochs):
                order = self._shuffled(len(data)) if shuffle else None
                means = Means()
                for x_batch, y_batch in data.batches(batch_size, order):
                    values = self._training_step(x_batch, y_batch)
                    means.add(values, x_batch.shape[-3])
                    bar.update()
                values = means.values()
                if held_out is not None:
                    on_held_out = self._measure(held_out, batch_size)
                    values |= {f"val_{name}": v for name, v in on_held_out.items()}
                self._end_of_epoch(history, values, epoch, epochs, verbose, bar)
        return history

    @staticmethod
    def _end_of_epoch(history, values, epoch, epochs, verbose, bar):
        """Keep the values of an epoch, and show them."""
        history.add(values)
        line = "  ".join(f"{k} {np.mean(v):.4f}" for k, v in values.items())
        bar.set_postfix_str(line, refresh=False)
        if verbose == 2:
            print(f"Epoch {epoch + 1}/{epochs}  {line}")

    @one_thread
    def fit_stream(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        steps: int,
        epochs: int = 1,
        verbose: int | str = "auto",
    ) -> History:
        """Train on long streams piece by piece, and carry the state on.

        This is truncated backpropagation through time as it is practised: an update
        reads the next `steps` steps of all streams, from the states in which the update
        before left them, and its gradients end where the piece begins. Keras does so
        with `stateful` layers. Each epoch begins with states of zero.

        Args:
            x: `(streams, time, features)`: long sequences that are read side by side.
                In an ensemble each network may have its own, as for `fit`.
            y: one label or number per step.
            steps: steps per update; the last piece may be shorter.
            epochs: how many times to go through the streams.
            verbose: as for `fit`.

        Returns:
            `History`: means over the steps of each epoch while the weights change.

        Raises:
            ValueError: the model was made without `return_sequences`, it has layers
                whose state cannot be carried on, or as `fit`.
        """
        data, steps = self._check_stream(x, y, steps)
        epochs = check_integer("epochs", epochs, 1)
        _check_verbose(verbose)
        history = self.history = History()
        updates = -(-data.arrays[0].shape[-2] // steps)
        with progress_bar(epochs * updates, verbose) as bar:
            for epoch in range(epochs):
                means, state = Means(), None
                for x_piece, y_piece in data.pieces(steps):
                    values = self._training_step(x_piece, y_piece, state)
                    state = self.state
                    means.add(values, x_piece.shape[-2])
                    bar.update()
                self._end_of_epoch(history, means.values(), epoch, epochs, verbose, bar)
        return history

    @one_thread
    def train_on_batch(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        initial_state: States | None = None,
    ) -> dict[str, PerNetwork]:
        """Take one step of the optimiser on one batch.

        Args:
            x: as for `fit`.
            y: as for `fit`.
            initial_state: as for `forward`.

        Returns:
            loss and metrics by name, from before the step.

        Raises:
            ValueError: as `fit`.
        """
        x, y = self._check_data(x, y).arrays
        return as_results(self._training_step(x, y, initial_state))

    def _training_step(self, x, y, initial_state=None):
        loss, gradients, outputs = self.loss_and_gradients(
            x, y, initial_state, training=True
        )
        self.optimizer.apply(self.weights, gradients, ensemble=self._is_ensemble)
        return self._values(loss, outputs, y)

    def _values(self, loss, outputs, y):
        """Return loss and metrics of a batch by name, to be summed in `Means`."""
        # The sums have the dtype of the network: a single network and one of an
        # ensemble get the same bits.
        return {"loss": np.asarray(loss, outputs.dtype)} | self.metrics(outputs, y)

    def loss_and_gradients(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        initial_state: States | None = None,
        *,
        training: bool = False,
    ) -> tuple[PerNetwork, Arrays, Array]:
        """Compute loss and gradients on one batch.

        Args:
            x: as for `forward`.
            y: targets.
            initial_state: as for `forward`.
            training: whether dropout is on.

        Returns:
            `(loss, gradients, outputs)`: the gradients by the names of `weights`, the
            outputs as `forward` returns them.
        """
        outputs = self._outputs(x, y, initial_state, training=training)
        loss, doutputs = self.loss(outputs, y)
        dh, _, head = self.head.backward(doutputs)
        _, _, body = self.body.backward(
            dh, truncate=self.truncate, input_gradient=False
        )
        return loss, _by_part(body, head), outputs

    def forward(
        self,
        x: npt.ArrayLike,
        initial_state: States | None = None,
        *,
        training: bool = False,
    ) -> Array:
        """Compute the outputs; for a classifier those before the softmax.

        The final states are in `state`. Pass them as the next `initial_state` to read
        a long stream in pieces.

        Args:
            x: `(batch, time, features)`.
            initial_state: as for the layers' `forward`; zeros if None.
            training: whether dropout is on.

        Returns:
            `(batch, outputs)`, or `(batch, time, outputs)` with `return_sequences`; in
            an ensemble the networks are one axis more, in front.
        """
        if not self.built:
            self._check_inputs(x)  # builds
        h, self.state = self.body.forward(
            x,
            initial_state,
            return_sequences=self.return_sequences,
            training=training,
        )
        return self.head.forward(h)[0]

    def _outputs(self, x, y, initial_state=None, *, training=False):
        """Return the outputs that are compared with the targets y."""
        return self.forward(x, initial_state, training=training)

    # Loss and metrics: what a classifier and a regressor do not share

    def loss(self, outputs: Array, y: npt.ArrayLike) -> tuple[PerNetwork, Array]:
        """Return the loss that training minimises, and its gradient for the outputs."""
        raise NotImplementedError

    def metrics(self, outputs: Array, y: Array) -> dict[str, PerNetwork]:
        """Return, by name, what `fit` and `evaluate` report besides the loss."""
        return {}

    def _check_targets(self, name, y, shape):
        """Return `y` as an array with one entry, or several, for each of `shape`."""
        raise NotImplementedError

    # Use

    @one_thread
    def evaluate(
        self, x: npt.ArrayLike, y: npt.ArrayLike, batch_size: int = 32
    ) -> PerNetwork | tuple[PerNetwork, ...]:
        """Measure without training.

        Args:
            x: as for `fit`.
            y: as for `fit`.
            batch_size: sequences at a time.

        Returns:
            the loss; for a classifier `(loss, accuracy)`.

        Raises:
            ValueError: as `fit`.
        """
        data = self._check_data(x, y)
        batch_size = check_integer("batch_size", batch_size, 1)
        values = tuple(as_results(self._measure(data, batch_size)).values())
        return values if len(values) > 1 else values[0]

    @one_thread
    def evaluate_stream(
        self, x: npt.ArrayLike, y: npt.ArrayLike, *, steps: int = 256
    ) -> PerNetwork | tuple[PerNetwork, ...]:
        """Measure on long streams, read piece by piece with the state carried on.

        Args:
            x: as for `fit_stream`.
            y: as for `fit_stream`.
            steps: steps at a time; only the memory that it takes depends on them.

        Returns:
            as `evaluate`, means over all steps.

        Raises:
            ValueError: as `fit_stream`.
        """
        data, steps = self._check_stream(x, y, steps)
        means, state = Means(), None
        for x_piece, y_piece in data.pieces(steps):
            outputs = self.forward(x_piece, state)
            state = self.state
            loss, _ = self.loss(outputs, y_piece)
            means.add(self._values(loss, outputs, y_piece), x_piece.shape[-2])
        values = tuple(as_results(means.values()).values())
        return values if len(values) > 1 else values[0]

    @one_thread
    def predict(self, x: npt.ArrayLike, batch_size: int = 32) -> Array:
        """Compute the outputs batch by batch.

        Args:
            x: as for `fit`.
            batch_size: sequences at a time.

        Returns:
            `(n, outputs)`, or `(n, time, outputs)` with `return_sequences`; in an
            ensemble the networks are one axis more, in front.

        Raises:
            ValueError: as `fit`.
        """
        data = Data(self._check_inputs(x))
        batch_size = check_integer("batch_size", batch_size, 1)
        outputs = [self.forward(x) for (x,) in data.batches(batch_size)]
        return np.concatenate(outputs, axis=int(self._is_ensemble))

    def _measure(self, data, batch_size):
        """Return the means of loss and metrics by name."""
        means = Means()
        for x, y in data.batches(batch_size):
            outputs = self._outputs(x, y)
            loss, _ = self.loss(outputs, y)
            means.add(self._values(loss, outputs, y), x.shape[-3])
        return means.values()

    # Weights

    @property
    def weights(self) -> Arrays:
        """The layers' own arrays by name. Changing one in place changes the model."""
        return _by_part(self.body.weights, self.head.weights)

    @property
    def built(self) -> bool:
        """Whether the model has weights."""
        return self.head.built

    def build(self, features: int) -> None:
        """Draw the weights. Otherwise the first call with data does.

        Args:
            features: length of the input's last axis.

        Raises:
            ValueError: the model is built already, or its layers do not fit together.
        """
        if self.built:
            raise ValueError(
                f"the model is built for {self.body.features} features already"
            )
        with undo_on_failure(objects=self._all_parts()):
            for part in (self.body, self.head):
                part.use_generators(self.rngs, self.networks)
            if not self.body.built:
                self.body.build(features)
            self.head.build(self.body.output_features)

    def _all_parts(self) -> list[Any]:
        """Return everything whose attributes hold the state of the model."""
        return [self, self.optimizer, *self.body._all_layers(), self.head]

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, in Keras's order."""
        return self.body.get_weights() + self.head.get_weights()

    def set_weights(self, weights: Sequence[npt.ArrayLike]) -> None:
        """Set all weights, or none if one of them does not fit.

        Args:
            weights: arrays in Keras's order, as `get_weights` returns them.

        Raises:
            ValueError: the model is not built, or an array is missing, has another
                shape or holds NaN.
        """
        if not self.built:
            raise ValueError("there are no weights yet; call build(features) first")
        assign(self.weights, weights)

    def count_params(self) -> int:
        """Return the number of trainable parameters of one network.

        Raises:
            ValueError: the model is not built.
        """
        return self.body.count_params() + self.head.count_params()

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Return a copy of the model whose weights are float32 or float64."""
        dtype, other = check_dtype(dtype), copy.deepcopy(self)
        other.body._cast(dtype)
        other.head._cast(dtype)
        other.optimizer.slots = {
            name: [slot.astype(dtype) for slot in slots]
            for name, slots in self.optimizer.slots.items()
        }
        return other

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save weights, the optimiser's state and the random generators.

        A model that loads them trains on to exactly the same bits as this one would,
        with the optimiser's settings as they now are.

        Args:
            path: of the npz file to write. It is written completely or not at all.

        Raises:
            ValueError: the model is not built, so that there is nothing to save, or
                its weights hold NaN.
        """
        checkpoint.save(self, path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Resume from what `save` wrote, in a model that was made in the same way.

        Args:
            path: of the npz file.

        Raises:
            ValueError: there is no such file, or it does not fit this model. Nothing
                has changed then.
        """
        checkpoint.load(self, path)

    # Input

    def check_carries(self) -> None:
        """Check that all that the layers know of earlier steps is in their states.

        Raises:
            ValueError: there is a layer of another kind, such as `Attention`, which
                looks at the steps themselves, or `Bidirectional`, which reads from the
                end.
        """
        for layer in self.body._all_layers():
            if layer.along_time and not isinstance(layer, (Stack, Recurrent)):
                raise ValueError(
                    f"layers has {type(layer).__name__}; expected recurrent layers, "
                    "whose state can be carried on from piece to piece"
                )

    @property
    def _is_ensemble(self) -> bool:
        return self.networks is not None

    def _shuffled(self, n):
        """Return a random order of n sequences; in an ensemble one per network."""
        orders = [rng.permutation(n) for rng in self.rngs]
        return np.stack(orders) if self._is_ensemble else orders[0]

    def _check_inputs(self, x):
        """Return `x` as an array; the first call builds the model."""
        x = self._read_sequences("x", x)
        if not self.built:
            self.build(x.shape[-1])
        return x

    def _read_sequences(self, name, x):
        body = self.body
        return check_sequences(name, x, body.features, self.networks, body.dtype)

    def _check_data(self, x, y, name=""):
        """Return sequences and targets as `Data`; `name` goes in front of theirs.

        If both are right, the first call builds the model.
        """
        x = self._read_sequences(f"{name}x", x)
        shape = x.shape[:-1] if self.return_sequences else x.shape[:-2]
        y = self._check_targets(f"{name}y", y, shape)
        return Data(self._check_inputs(x), y)

    def _check_stream(self, x, y, steps):
        """Return streams with their targets as `Data`, and the steps per piece."""
        if not self.return_sequences:
            raise ValueError(
                "return_sequences is False; expected a model that was made with "
                "return_sequences=True, which has an output for every step of a stream"
            )
        self.check_carries()
        return self._check_data(x, y), check_integer("steps", steps, 1)


class SequenceClassifier(SequenceModel):
    """Tells which of several classes a sequence, or each of its steps, belongs to.

    The loss is the cross-entropy of the softmax; `fit` and `evaluate` also report the
    accuracy.

    Args:
        layers: a recurrent layer, or a list of layers from the input upwards.
        outputs: number of classes.
        **options: as for `SequenceModel`.

    Example:
        >>> import numpy as np
        >>> from unrolled import LSTM, SequenceClassifier
        >>> from unrolled.tasks import temporal_order
        >>> task = temporal_order(100, 20, np.random.default_rng(0))
        >>> model = SequenceClassifier(LSTM(8), task.classes, seed=[0, 1])
        >>> history = model.fit(task.x, task.y, epochs=2)
        >>> loss, accuracy = model.evaluate(task.x, task.y)
        >>> accuracy.shape
        (2,)
        >>> model.predict(task.x).shape  # networks, sequences, classes
        (2, 100, 4)
    """

    def loss(self, outputs: Array, y: npt.ArrayLike) -> tuple[PerNetwork, Array]:
        """Return `softmax_cross_entropy`."""
        return softmax_cross_entropy(outputs, y, ensemble=self._is_ensemble)

    def metrics(self, outputs: Array, y: Array) -> dict[str, PerNetwork]:
        """Return the accuracy: the share of labels whose output is the largest."""
        outputs = read_array("outputs", outputs)
        shapes = (outputs.shape[:-1], outputs.shape[1:-1])[: 1 + self._is_ensemble]
        if np.shape(y) not in shapes:
            raise ValueError(f"y has shape {np.shape(y)}; expected {shapes[0]}")
        right = outputs.argmax(axis=-1) == y
        axes = tuple(range(int(self._is_ensemble), right.ndim))
        return as_results({"accuracy": right.mean(axis=axes)})

    def predict(self, x: npt.ArrayLike, batch_size: int = 32) -> Array:
        """Compute the probabilities of the classes, batch by batch.

        Args:
            x: as for `fit`.
            batch_size: sequences at a time.

        Returns:
            `(n, classes)`, or `(n, time, classes)` with `return_sequences`; in an
            ensemble the networks are one axis more, in front.

        Raises:
            ValueError: as `fit`.
        """
        return np.exp(log_softmax(super().predict(x, batch_size)))

    def _check_targets(self, name, y, shape):
        return check_labels(name, y, self.outputs, shape)


class SequenceRegressor(SequenceModel):
    """Predicts one number, or several, for each sequence or for each of its steps.

    The loss is the mean squared error. If there is one output, y may do without the
    last axis.

    Args:
        layers: a recurrent layer, or a list of layers from the input upwards.
        outputs: how many numbers.
        **options: as for `SequenceModel`.

    Example:
        >>> import numpy as np
        >>> from unrolled import GRU, SequenceRegressor
        >>> from unrolled.tasks import adding_problem
        >>> task = adding_problem(100, 10, np.random.default_rng(0))
        >>> model = SequenceRegressor(GRU(8), 1)
        >>> history = model.fit(task.x, task.y, validation_split=0.2)
        >>> list(history.history)
        ['loss', 'val_loss']
    """

    def loss(self, outputs: Array, y: npt.ArrayLike) -> tuple[PerNetwork, Array]:
        """Return `mean_squared_error`."""
        return mean_squared_error(outputs, y, ensemble=self._is_ensemble)

    def _check_targets(self, name, y, shape):
        if self.outputs == 1 and count_axes(y) == len(shape):
            return check_array(name, y, shape, self.body.dtype)[..., None]
        return check_array(name, y, (*shape, self.outputs), self.body.dtype)


class SequenceQuantileRegressor(SequenceModel):
    """Predicts quantiles of each number, so that it says how sure it is.

    A network that is trained for the quantiles 0.05, 0.5 and 0.95 gives a middle value
    and an interval that should hold nine targets in ten. The loss is `quantile_loss`.

    Args:
        layers: a recurrent layer, or a list of layers from the input upwards.
        outputs: how many numbers.
        quantiles: rising, each between 0 and 1.
        **options: as for `SequenceModel`.

    Attributes:
        quantiles: as a tuple.

    Example:
        >>> import numpy as np
        >>> from unrolled import LSTM, SequenceQuantileRegressor
        >>> model = SequenceQuantileRegressor(LSTM(4), 2, [0.1, 0.5, 0.9])
        >>> x, y = np.ones((8, 5, 1)), np.ones((8, 2))
        >>> history = model.fit(x, y)
        >>> model.predict(x).shape  # sequences, numbers, quantiles
        (8, 2, 3)

    References:
        Wen, Torkkola, Narayanaswamy & Madeka, "A multi-horizon quantile recurrent
        forecaster", 2017, arXiv:1711.11053.
    """

    def __init__(
        self,
        layers: Layer | Sequence[Layer],
        outputs: int,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        **options: Any,
    ) -> None:
        self.quantiles = tuple(check_quantiles(quantiles).tolist())
        outputs = check_integer("outputs", outputs, 1)
        super().__init__(layers, outputs * len(self.quantiles), **options)

    def loss(self, outputs: Array, y: npt.ArrayLike) -> tuple[PerNetwork, Array]:
        """Return `quantile_loss`."""
        loss, gradient = quantile_loss(
            self._by_quantile(outputs), y, self.quantiles, ensemble=self._is_ensemble
        )
        return loss, gradient.reshape(np.shape(outputs))

    def predict(self, x: npt.ArrayLike, batch_size: int = 32) -> Array:
        """Compute the quantiles, batch by batch.

        They are sorted: those of one number may come out in another order, and then
        the sorted ones are nearer to the true ones.

        Args:
            x: as for `fit`.
            batch_size: sequences at a time.

        Returns:
            `(n, outputs, quantiles)`, or with `return_sequences` `(n, time, outputs,
            quantiles)`; in an ensemble the networks are one axis more, in front.

        Raises:
            ValueError: as `fit`.

        References:
            Chernozhukov, Fernández-Val & Galichon, "Quantile and probability curves
            without crossing", Econometrica 78 (2010).
        """
        return np.sort(self._by_quantile(super().predict(x, batch_size)), axis=-1)

    def _by_quantile(self, outputs):
        """View `(…, outputs · quantiles)` as `(…, outputs, quantiles)`."""
        outputs = np.asarray(outputs)
        return outputs.reshape(*outputs.shape[:-1], -1, len(self.quantiles))

    def _check_targets(self, name, y, shape):
        numbers = self.outputs // len(self.quantiles)
        if numbers == 1 and count_axes(y) == len(shape):
            return check_array(name, y, shape, self.body.dtype)[..., None]
        return check_array(name, y, (*shape, numbers), self.body.dtype)


def _check_verbose(verbose: int | str) -> None:
    if not isinstance(verbose, (int, str)) or verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose is {verbose!r}; expected 0, 1, 2 or 'auto'")


def _by_part(body: Arrays, head: Arrays) -> Arrays:
    """Join the arrays of body and head under names such as "head/bias"."""
    parts = {"body": body, "head": head}
    return {
        f"{p}/{name}": a for p, arrays in parts.items() for name, a in arrays.items()
    }
