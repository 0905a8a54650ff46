"""What stands around recurrent layers: a dense output, and dropout between layers."""

import numpy as np

from unrolled.checks import check_array, check_between, check_whole
from unrolled.initializers import initializer, zeros
from unrolled.layer import Layer
from unrolled.layout import read_only


class Dense(Layer):
    """y = x W + b for each sequence, or each step, by itself: `keras.layers.Dense`.

    Weights: kernel W `(features, units)`, bias b `(units,)`.

    Args:
        units: length of the output's last axis.
        features: length of the input's last axis; taken from the first input if None.
        kernel_initializer: see `initializers`; the bias begins at zero.
        seed: a whole number, or a list for a stack of networks.
        dtype: "float32" or "float64".

    Raises:
        ValueError: units or features below 1, an unknown name.
    """

    def __init__(
        self,
        units,
        features=None,
        *,
        kernel_initializer="glorot_uniform",
        seed=0,
        dtype="float32",
    ):
        super().__init__(seed, dtype)
        self.units = self.output_features = check_whole("units", units, 1)
        self._initializer = initializer("kernel_initializer", kernel_initializer)
        if features is not None:
            self.build(features)

    def _specification(self):
        kernel = ((self.features, self.units), self._initializer)
        return {"kernel": kernel, "bias": ((self.units,), zeros)}

    def forward(self, x, initial_state=None, *, return_sequences=True, training=False):
        """`(y, no state)`: `(batch, …, features)` to `(batch, …, units)`."""
        x = self._run = self.check_entries(x).copy()
        y = self._rows(x) @ self.weights["kernel"] + self.weights["bias"][..., None, :]
        return y.reshape(*x.shape[:-1], self.units), ()

    def backward(self, dout, dstate=None, *, truncate=None, input_gradient=True):
        """`(dx, no states, gradients)`: see `Recurrent.backward`."""
        x = self._last_run()
        shape = (*x.shape[:-1], self.units)
        dout = np.zeros(shape) if dout is None else dout
        dy = self._rows(check_array("dout", dout, shape, self.dtype))
        of_weights = self._rows(x).swapaxes(-1, -2) @ dy
        gradients = {"kernel": of_weights, "bias": dy.sum(-2)}
        if not input_gradient:
            return None, (), gradients
        dx = dy @ self.weights["kernel"].swapaxes(-1, -2)
        return dx.reshape(x.shape), (), gradients

    def _rows(self, x):
        """`(…, n)` as `(rows, n)`, or `(networks, rows, n)`."""
        return x.reshape(*self._front, -1, x.shape[-1])


class Dropout(Layer):
    """Sets a share of the entries to zero in training, each step anew.

    What is kept is divided by 1 − rate, so that the mean stays: `keras.layers.Dropout`.
    For the connection from step to step see `recurrent_dropout` of the recurrent
    layers.

    Args:
        rate: share of entries to drop, in [0, 1).
        seed: a whole number, or a list for a stack of networks.
        dtype: "float32" or "float64".

    Raises:
        ValueError: a rate out of range.

    Source: Zaremba, Sutskever & Vinyals, "Recurrent neural network regularization",
    2014, arXiv:1409.2329: between layers, not along time.
    """

    def __init__(self, rate, *, seed=0, dtype="float32"):
        super().__init__(seed, dtype)
        self.rate = check_between("rate", rate, 0, 1)

    @property
    def output_features(self):
        """Length of the output's last axis: the input's."""
        return self.features

    def forward(self, x, initial_state=None, *, return_sequences=True, training=False):
        """`(x with entries dropped, no state)`: see `Recurrent.forward`."""
        x = self.check_entries(x)
        self._mask, self._run = None, x.shape
        if training and self.rate:
            shape = x.shape[self.networks is not None :]
            kept = self.each_network(lambda rng: rng.random(shape) >= self.rate)
            self._mask = (kept / (1 - self.rate)).astype(self.dtype)
            x = x * self._mask
        return read_only(x), ()

    def backward(self, dout, dstate=None, *, truncate=None, input_gradient=True):
        """`(dx, no states, no weights)`: see `Recurrent.backward`."""
        shape = self._last_run()
        if dout is None:
            return None, (), {}
        dout = check_array("dout", dout, shape, self.dtype)
        return (dout if self._mask is None else dout * self._mask), (), {}
