"""What goes with recurrent layers: a dense output, and dropout between layers."""

from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_array, check_between, check_integer
from unrolled.initializers import find_initializer, zeros
from unrolled.layer import Layer
from unrolled.layout import read_only
from unrolled.types import Array, Arrays, Initializer, Seed, States


class Dense(Layer):
    """y = x W + b for each sequence, or for each of its steps: Keras's `Dense`.

    Its weights are the `kernel` W, `(features, units)`, and the `bias` b, `(units,)`.

    Args:
        units: length of the output's last axis.
        features: length of the input's last axis; taken from the first input if None.
        kernel_initializer: see `unrolled.initializers`; the bias starts at zero.
        seed: an integer, or a sequence of integers for an ensemble.
        dtype: "float32" or "float64".

    Raises:
        ValueError: units or features below 1, or an unknown name.
    """

    def __init__(
        self,
        units: int,
        features: int | None = None,
        *,
        kernel_initializer: Initializer = "glorot_uniform",
        seed: Seed = 0,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        super().__init__(seed, dtype)
        self.units = self.output_features = check_integer("units", units, 1)
        self._initializer = find_initializer("kernel_initializer", kernel_initializer)
        if features is not None:
            self.build(features)

    def _specification(self):
        kernel = ((self.features, self.units), self._initializer)
        return {"kernel": kernel, "bias": ((self.units,), zeros)}

    def forward(
        self,
        x: npt.ArrayLike,
        initial_state: States | None = None,
        *,
        return_sequences: bool = True,
        training: bool = False,
    ) -> tuple[Array, States]:
        """Compute `(y, ())`: from `(batch, …, features)` to `(batch, …, units)`.

        There is no state; the other arguments of `Recurrent.forward` change nothing.
        """
        x, kernel = self.check_entries(x).copy(), self.weights["kernel"].copy()
        self._run = x, kernel
        y = self._rows(x) @ kernel + self.weights["bias"][..., None, :]
        return y.reshape(*x.shape[:-1], self.units), ()

    def backward(
        self,
        dout: Array | None,
        dstate: States | None = None,
        *,
        truncate: int | None = None,
        input_gradient: bool = True,
    ) -> tuple[Array | None, States, Arrays]:
        """Compute `(dx, (), gradients)`; see `Recurrent.backward`."""
        x, kernel = self._last_run()
        shape = (*x.shape[:-1], self.units)
        dout = np.zeros(shape) if dout is None else dout
        dy = self._rows(check_array("dout", dout, shape, self.dtype))
        of_weights = self._rows(x).swapaxes(-1, -2) @ dy
        gradients = {"kernel": of_weights, "bias": dy.sum(-2)}
        if not input_gradient:
            return None, (), gradients
        dx = dy @ kernel.swapaxes(-1, -2)
        return dx.reshape(x.shape), (), gradients

    def _rows(self, x):
        """Reshape `(…, n)` to `(rows, n)`, or `(networks, rows, n)` in an ensemble."""
        return x.reshape(*self._leading_shape, -1, x.shape[-1])


class Dropout(Layer):
    """Sets a share of the entries to zero in training, others in each step.

    The rest is divided by 1 − rate, so that the mean stays: Keras's `Dropout`. For the
    connection from step to step see `recurrent_dropout` of the recurrent layers.

    Args:
        rate: share of the entries to drop, in [0, 1).
        seed: an integer, or a sequence of integers for an ensemble.
        dtype: "float32" or "float64".

    Raises:
        ValueError: the rate is out of range.

    References:
        Zaremba, Sutskever & Vinyals, "Recurrent neural network regularization", 2014,
        arXiv:1409.2329: between layers, not along time.
    """

    def __init__(
        self, rate: float, *, seed: Seed = 0, dtype: npt.DTypeLike = "float32"
    ) -> None:
        super().__init__(seed, dtype)
        self.rate = check_between("rate", rate, 0, 1)
        self._mask: Any = None

    def _build(self, features):
        self.features = self.output_features = features  # no weights to draw

    def forward(
        self,
        x: npt.ArrayLike,
        initial_state: States | None = None,
        *,
        return_sequences: bool = True,
        training: bool = False,
    ) -> tuple[Array, States]:
        """Compute `(x with entries dropped, ())`; see `Recurrent.forward`."""
        out = self.check_entries(x)
        self._mask = self._run = None
        if training and self.rate:
            shape = out.shape[len(self._leading_shape) :]
            kept = self.each_network(lambda rng: rng.random(shape) >= self.rate)
            self._mask = (kept / (1 - self.rate)).astype(self.dtype)
            out = out * self._mask
        self._run = out.shape
        return read_only(out), ()

    def backward(
        self,
        dout: Array | None,
        dstate: States | None = None,
        *,
        truncate: int | None = None,
        input_gradient: bool = True,
    ) -> tuple[Array | None, States, Arrays]:
        """Compute `(dx, (), {})`; see `Recurrent.backward`."""
        shape = self._last_run()
        if dout is None:
            return None, (), {}
        dout = check_array("dout", dout, shape, self.dtype)
        return (dout if self._mask is None else dout * self._mask), (), {}
