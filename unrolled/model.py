"""A recurrent network to train: layers, a dense output, a loss, an optimiser.

The words are Keras's: `fit`, `evaluate`, `predict`, `history`.
"""

import copy

import numpy as np

from unrolled.checks import check_array, check_choice, check_whole, count_axes
from unrolled.compose import Stack
from unrolled.dense import Dense
from unrolled.layer import Layer, generators, take_over
from unrolled.losses import (
    check_labels,
    log_softmax,
    mean_squared_error,
    softmax_cross_entropy,
)
from unrolled.optimizers import OPTIMIZERS, Optimizer
from unrolled.training import Training


class SequenceModel(Training):
    """Recurrent layers and a dense output; its kinds are below.

    Args:
        layers: a recurrent layer, or a list of layers from the input upwards.
        outputs: length of the output's last axis.
        return_sequences: an output for every step, or for the last one only.
        optimizer: "adam", "sgd", or an `Optimizer`, of which the model takes a copy.
        truncate: cut gradients at every so many steps (truncated BPTT); None: never.
        seed: a whole number, from which weights, order of examples and dropout are
            drawn; or a list: one network for each, trained side by side. Network k of a
            stack becomes what it would be by itself, and where networks are small, a
            stack is faster than one after the other.

    Raises:
        ValueError: see the layers and the optimiser.
    """

    def __init__(
        self,
        layers,
        outputs,
        *,
        return_sequences=False,
        optimizer="adam",
        truncate=None,
        seed=0,
    ):
        self.rngs, self.networks = generators(seed)
        self.body = Stack(layers) if isinstance(layers, (list, tuple)) else layers
        if not isinstance(self.body, Layer):
            raise ValueError(
                f"layers is {layers!r}; expected a layer or a list of them"
            )
        self.outputs = check_whole("outputs", outputs, 1)
        self.head = Dense(outputs, dtype=self.body.dtype)
        self.return_sequences = return_sequences
        if not isinstance(optimizer, Optimizer):
            optimizer = OPTIMIZERS[check_choice("optimizer", optimizer, OPTIMIZERS)]()
        self.optimizer = copy.deepcopy(optimizer)  # its slots belong to these weights
        if truncate is not None:
            check_whole("truncate", truncate, 1)
        self.truncate = truncate
        self.history = None
        self.state = None
        self._stacked = int(self.networks is not None)

    @property
    def weights(self):
        """Name → array, the layers' own: to change an array in place is to train."""
        parts = {"body": self.body, "head": self.head}
        return {
            f"{p}/{k}": w for p, part in parts.items() for k, w in part.weights.items()
        }

    def get_weights(self):
        """Copies of the weights, in Keras's order."""
        return self.body.get_weights() + self.head.get_weights()

    def set_weights(self, weights):
        """Take over `weights`, in Keras's order; all of them, or none."""
        take_over(self.weights, weights)

    def count_params(self):
        """Number of trained numbers in one network."""
        return self.body.count_params() + self.head.count_params()

    def build(self, features):
        """Draw the weights; the first call that sees data does it otherwise."""
        if self.body.built:
            self.body.use_generators(self.rngs)
        else:
            self.body.build(features, self.rngs)
        self.head.build(self.body.output_features, self.rngs)

    def forward(self, x, initial_state=None, *, training=False):
        """The output before softmax, `(batch, outputs)` or `(batch, time, outputs)`.

        The final states are in `state`: handed in as the next `initial_state`, they
        make a long stream out of pieces.
        """
        if not self.head.built:
            self._check_inputs(x)  # builds
        h, self.state = self.body.forward(
            x,
            initial_state,
            return_sequences=self.return_sequences,
            training=training,
        )
        return self.head.forward(h)[0]

    def loss_and_gradients(self, x, y, initial_state=None, *, training=False):
        """`(loss, gradients by name, outputs)` on one batch."""
        outputs = self.forward(x, initial_state, training=training)
        loss, doutputs = self.loss(outputs, y)
        dh, _, of_head = self.head.backward(doutputs)
        _, _, of_body = self.body.backward(
            dh, truncate=self.truncate, input_gradient=False
        )
        gradients = {f"body/{k}": g for k, g in of_body.items()}
        return loss, gradients | {f"head/{k}": g for k, g in of_head.items()}, outputs

    def loss(self, outputs, y):
        """`(loss, its gradient for the outputs)`: what the model makes small."""
        raise NotImplementedError

    def metrics(self, outputs, y):
        """Name → value of what `fit` and `evaluate` report beside the loss."""
        return {}

    def _check_targets(self, name, y, shape):
        """`y` as an array that the loss can take, one entry for each of `shape`."""
        raise NotImplementedError


class SequenceClassifier(SequenceModel):
    """Which of several classes a sequence, or each of its steps, belongs to.

    The loss is the cross-entropy of the softmax; the accuracy is reported too.

    Arguments: those of `SequenceModel`; `outputs` is the number of classes.
    """

    def loss(self, outputs, y):
        """`softmax_cross_entropy`."""
        return softmax_cross_entropy(outputs, y, stacked=self._stacked)

    def metrics(self, outputs, y):
        """Share of the labels that have the largest output."""
        right = outputs.argmax(axis=-1) == y
        return {"accuracy": right.mean(axis=tuple(range(right.ndim))[self._stacked :])}

    def predict(self, x, batch_size=32):
        """Probabilities of the classes, `(n, classes)` or `(n, time, classes)`."""
        return np.exp(log_softmax(super().predict(x, batch_size)))

    def _check_targets(self, name, y, shape):
        y = check_labels(name, y, self.outputs)
        if y.shape != shape:
            raise ValueError(f"{name} has shape {y.shape}; expected {shape}")
        return y


class SequenceRegressor(SequenceModel):
    """A number, or several, for each sequence or each of its steps.

    The loss is the mean squared error. With one output, y may do without the last axis.

    Arguments: those of `SequenceModel`.
    """

    def loss(self, outputs, y):
        """`mean_squared_error`."""
        return mean_squared_error(outputs, y, stacked=self._stacked)

    def _check_targets(self, name, y, shape):
        if self.outputs == 1 and count_axes(y) == len(shape):
            return check_array(name, y, shape, self.body.dtype)[..., None]
        return check_array(name, y, (*shape, self.outputs), self.body.dtype)
