"""The loop over time that every cell shares, forwards and backwards.

A cell (`rnn.py`, `lstm.py`, `gru.py`, `peephole.py`) is two functions: `_step` computes
the state after step t from the state before it, and `_step_back` takes gradients from
step t back to step t − 1. This file holds what the cells share. Inside, time comes
first, so that `a[t]` is one step, and each block of the kernel lies in one piece of
memory, so that `i, f, g, o = a[t]`: see `layout.py`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_array, check_between, check_integer, check_tuple
from unrolled.initializers import find_initializer
from unrolled.layer import Layer
from unrolled.layout import (
    accumulate,
    batch_first,
    empty_steps,
    join_blocks,
    project,
    read_only,
    split_blocks,
    time_first,
)
from unrolled.types import Array, Arrays, Initializer, Seed, States


class Recurrent(Layer):
    """A layer with a state: what `RNN`, `LSTM`, `GRU` and `PeepholeLSTM` share.

    Args:
        units: length H of the hidden state.
        features: length F of the input's last axis; taken from the first input if None.
        kernel_initializer: for the kernel, `(F, blocks · H)`: a name or a function of
            `(shape, rng)`, see `unrolled.initializers`.
        recurrent_initializer: for the recurrent kernel, `(H, blocks · H)`.
        bias_initializer: for the bias, `(blocks · H,)`.
        recurrent_dropout: share of h_{t−1} that is not passed on to step t in training.
            Each sequence has one mask for all its steps and gates; the rest is divided
            by 1 − the share.
        seed: an integer, or a sequence of integers for an ensemble: one per network.
        dtype: "float32" to train, "float64" to check gradients.

    Attributes:
        block_names: names of the kernel's blocks, in Keras's order.

    Raises:
        ValueError: units or features below 1, a rate outside [0, 1), an unknown name.

    References:
        Recurrent dropout: Gal & Ghahramani, "A theoretically grounded application of
        dropout in recurrent neural networks", NeurIPS 2016, arXiv:1512.05287.
    """

    block_names: tuple[str, ...] = ("h",)
    state_names: tuple[str, ...] = ("h",)
    along_time = True

    def __init__(
        self,
        units: int,
        features: int | None = None,
        *,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        recurrent_dropout: float = 0.0,
        seed: Seed = 0,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        super().__init__(seed, dtype)
        self.units = self.output_features = check_integer("units", units, 1)
        self.recurrent_dropout = check_between(
            "recurrent_dropout", recurrent_dropout, 0, 1
        )
        self._initializers = (
            find_initializer("kernel_initializer", kernel_initializer),
            find_initializer("recurrent_initializer", recurrent_initializer),
            find_initializer("bias_initializer", bias_initializer),
        )
        self._mask = None
        if features is not None:
            self.build(features)

    def _specification(self):
        kernel, recurrent, bias = self._initializers
        width = len(self.block_names) * self.units
        return {
            "kernel": ((self.features, width), kernel),
            "recurrent_kernel": ((self.units, width), recurrent),
            "bias": ((width,), bias),
        }

    def forward(
        self,
        x: npt.ArrayLike,
        initial_state: States | None = None,
        *,
        return_sequences: bool = True,
        training: bool = False,
    ) -> tuple[Array, States]:
        """Run over the sequences.

        Args:
            x: `(batch, time, features)`. In an ensemble each network may have an input
                of its own, `(networks, batch, time, features)`.
            initial_state: one array `(batch, units)` for each of `state_names`; zeros
                if None.
            return_sequences: whether to return the hidden state of every step, or of
                the last one only.
            training: whether recurrent dropout is on.

        Returns:
            `(h, state)`: h is `(batch, time, units)`, or `(batch, units)` without
            `return_sequences`; `state` is the tuple of the final states (h, and for
            LSTMs c), each `(batch, units)`. In an ensemble the networks are one axis
            more, in front. All are read-only views of what `backward` will need.

        Raises:
            ValueError: a shape that does not fit, NaN, or not numbers.
        """
        x = time_first(self.check_input(x), ones=True)
        T, B = len(x), x.shape[-2]
        W = self._blocks(self._kernel_and_bias())  # a copy, for `backward`
        a = empty_steps(T, (len(W), *self._shape(B)), self.dtype)
        states = [
            empty_steps(T + 1, self._shape(B), self.dtype) for _ in self.state_names
        ]
        initial_state = self._check_states("initial_state", initial_state, B)
        self._run = None  # if what follows is interrupted, there is no run to go back
        for s, s_0 in zip(states, initial_state, strict=True):
            s[0] = s_0
        self._mask = self._draw_mask(B) if training else None
        self._W_x = W[..., :-1, :]

        self._prepare()
        for t in range(T):
            np.matmul(x[t], W, out=a[t])  # x_t W_x + b
            after = self._step(a[t], *(s[t] for s in states))
            for s, s_t in zip(states, after, strict=True):
                s[t + 1] = s_t

        self._output_shape = self._shape(B, T) if return_sequences else self._shape(B)
        self._run = x, a, states
        h = states[0]
        out = batch_first(h[1:]) if return_sequences else h[T]
        return read_only(out), tuple(read_only(s[T]) for s in states)

    def activations(self) -> Arrays:
        """Return all gates and states at every step of the last `forward`.

        Returns:
            read-only arrays `(batch, time, units)` by name ("i", "f", "g", "o", "h",
            "c" for an LSTM). The states are those after the step.

        Raises:
            ValueError: `forward` has not run yet.
        """
        _, a, states = self._last_run()
        made = {name: a[:, k] for k, name in enumerate(self.block_names)}
        made |= {k: s[1:] for k, s in zip(self.state_names, states, strict=True)}
        return {name: read_only(batch_first(a)) for name, a in made.items()}

    def backward(
        self,
        dout: Array | None,
        dstate: States | None = None,
        *,
        truncate: int | None = None,
        input_gradient: bool = True,
    ) -> tuple[Array | None, States, Arrays]:
        """Compute the gradients of a loss L from those for what `forward` returned.

        Args:
            dout: ∂L/∂h, in the shape of the output of the last `forward`; None if L
                does not depend on it.
            dstate: ∂L/∂(final states), a tuple as `forward` returned; zeros if None.
            truncate: cut the gradient every so many steps (truncated backpropagation
                through time); None lets it flow through the whole sequence.
            input_gradient: whether to compute ∂L/∂x; a first layer can do without.

        Returns:
            `(dx, dinitial_state, gradients)`: dx in the shape of x (None without
            `input_gradient`), a tuple for the initial states, and the gradients of the
            weights by name.

        Raises:
            ValueError: `forward` has not run yet, or a shape does not fit.
        """
        x, a, states = self._last_run()
        da, carried = self._through_time(dout, dstate, truncate, keep=False)
        gradients = self._weight_gradients(x, a, states, da)
        dx = None
        if input_gradient:
            dx = batch_first(project(da, self._W_x.swapaxes(-1, -2)).sum(1))
        return dx, carried[0], gradients

    def _through_time(self, dout, dstate, truncate=None, keep=True):
        """Return da of all steps, and `carried`: ∂L/∂(states after t steps), t = 0 … T.

        `carried[t]` is the part that comes by way of the steps after t; the part from
        h_t itself, dout, is added when the loop passes step t. Without `keep` only
        `carried[0]` is left: one memory then serves all steps, which is faster.
        """
        _, a, states = self._last_run()
        T, B = len(a), a.shape[-2]
        if truncate is not None:
            check_integer("truncate", truncate, 1)
        carried: list[Any] = [None] * T + [self._check_states("dstate", dstate, B)]
        if dout is not None:
            dout = check_array("dout", dout, self._output_shape, self.dtype)
            if dout.ndim == a.ndim - 2:  # of the last step only
                dh, *rest = carried[T]
                carried[T] = (dh + dout, *rest)
                dout = None
            else:
                dout = np.moveaxis(dout, -2, 0)
        da = empty_steps(T, a.shape[1:], self.dtype)

        for t in reversed(range(T)):
            dh, *dc = carried[t + 1]
            if not keep:
                carried[t + 1] = None
            if dout is not None:
                dh = dh + dout[t]
            before, after = [s[t] for s in states], [s[t + 1] for s in states]
            carried[t] = self._step_back(a[t], before, after, da[t], dh, *dc)
            if truncate and t and t % truncate == 0:
                carried[t] = tuple(np.zeros_like(d) for d in carried[t])
        return da, carried

    def _prepare(self):
        """What all steps of a run share: the recurrent weights, block by block."""
        W_h = self._blocks(self.weights["recurrent_kernel"])
        # Copies, so that `backward` finds what `forward` used, whatever becomes of the
        # weights; in the order in which the products read them: BLAS is faster then.
        self._W_h = np.ascontiguousarray(W_h)
        self._W_h_T = np.ascontiguousarray(W_h.swapaxes(-1, -2))

    def _step(self, a, *before):
        """Return the states after a step; `a`, x_t W_x + b, becomes the activations."""
        raise NotImplementedError

    def _step_back(self, a, before, after, da, *dafter):
        """Fill `da`, and return the gradients for the states before the step."""
        raise NotImplementedError

    def _kernel_and_bias(self):
        bias = self.weights["bias"][..., None, :]
        return np.concatenate([self.weights["kernel"], bias], axis=-2)

    def _weight_gradients(self, x, a, states, da):
        """Sum the gradients of all steps, because the steps share the weights."""
        of_inputs = join_blocks(accumulate(x, da))
        of_states = self._by_state(a, self._drop(states[0][:-1]), da)
        return {
            "kernel": of_inputs[..., :-1, :],
            "recurrent_kernel": join_blocks(of_states),
            "bias": of_inputs[..., -1, :],
        }

    def _by_state(self, a, h_before, da):
        """Return the gradient of the recurrent kernel, block by block."""
        return accumulate(h_before, da)

    def _drop(self, h):
        """Apply recurrent dropout to h_{t−1}, or to its gradient."""
        return h if self._mask is None else h * self._mask

    def _draw_mask(self, batch):
        keep = 1 - self.recurrent_dropout
        if keep == 1:
            return None
        kept = self.each_network(lambda rng: rng.random((batch, self.units)) < keep)
        return (kept / keep).astype(self.dtype)

    def _blocks(self, weight):
        return split_blocks(weight, len(self.block_names))

    def _shape(self, batch, *time):
        return (*self._leading_shape, batch, *time, self.units)

    def _check_states(self, name, states, batch):
        shape = self._shape(batch)
        if states is None:
            states = [None] * len(self.state_names)
        return tuple(
            np.zeros(shape, self.dtype)
            if s is None
            else check_array(f"{name}[{k}]", s, shape, self.dtype)
            for k, s in enumerate(check_tuple(name, states, self.state_names))
        )
