"""The loop over time that every cell shares, forwards and backwards.

A cell (`rnn.py`, `lstm.py`, `gru.py`, `peephole.py`) is two functions: `_step` makes
the state of step t from the one before, `_step_back` brings gradients from step t to t
− 1. Here is what stands around them. Inside, time comes first, so that `a[t]` is one
step, and each block of the kernel lies in one piece, so that `i, f, g, o = a[t]`: see
`layout.py`.
"""

import numpy as np

from unrolled.checks import check_array, check_between, check_tuple, check_whole
from unrolled.initializers import initializer
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


class Recurrent(Layer):
    """A layer with a state: see `RNN`, `LSTM`, `GRU`, `PeepholeLSTM`.

    Args:
        units: length H of the hidden state.
        features: length F of the input's last axis; taken from the first input if None.
        kernel_initializer: for the kernel, `(F, blocks · H)`; see `initializers`.
        recurrent_initializer: for the recurrent kernel, `(H, blocks · H)`.
        bias_initializer: for the bias, `(blocks · H,)`.
        recurrent_dropout: share of h_{t−1} that is not passed on to step t in training.
            One mask a sequence holds for all its steps and gates (Gal & Ghahramani
            2016, arXiv:1512.05287); what is kept is divided by 1 − the share.
        seed: a whole number, or a list for a stack of networks.
        dtype: "float32" or "float64".

    Raises:
        ValueError: units or features below 1, a rate outside [0, 1), an unknown name.
    """

    #: What the blocks of the kernel make, in Keras's order, and the states carried on.
    block_names = ("h",)
    state_names = ("h",)

    def __init__(
        self,
        units,
        features=None,
        *,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        recurrent_dropout=0.0,
        seed=0,
        dtype="float32",
    ):
        super().__init__(seed, dtype)
        self.units = self.output_features = check_whole("units", units, 1)
        self.recurrent_dropout = check_between(
            "recurrent_dropout", recurrent_dropout, 0, 1
        )
        self._initializers = (
            initializer("kernel_initializer", kernel_initializer),
            initializer("recurrent_initializer", recurrent_initializer),
            initializer("bias_initializer", bias_initializer),
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

    def forward(self, x, initial_state=None, *, return_sequences=True, training=False):
        """Run over the sequences.

        Args:
            x: `(batch, time, features)`; a stack of networks also takes an x for each,
                `(networks, batch, time, features)`.
            initial_state: one `(batch, units)` for each of `state_names`; None: zeros.
            return_sequences: the hidden state of every step, or of the last one only.
            training: whether recurrent dropout is on.

        Returns:
            `(h, state)`: h is `(batch, time, units)`, or `(batch, units)` without
            `return_sequences`; `state` is the tuple of the final states, one or two
            (h, and c), each `(batch, units)`. A stack has its axis in front. All are
            read-only views of what `backward` will need.

        Raises:
            ValueError: a shape that does not fit, NaN, or not numbers.
        """
        x = time_first(self.check_input(x), ones=True)
        T, B = len(x), x.shape[-2]
        a = project(x, self._blocks(self._kernel_and_bias()))  # x_t W_x + b
        states = [
            empty_steps(T + 1, self._shape(B), self.dtype) for _ in self.state_names
        ]
        initial_state = self._check_states("initial_state", initial_state, B)
        for s, s_0 in zip(states, initial_state, strict=True):
            s[0] = s_0
        self._mask = self._draw_mask(B) if training else None

        self._W_h = self._blocks(self.weights["recurrent_kernel"])
        for t in range(T):
            after = self._step(a[t], *(s[t] for s in states))
            for s, s_t in zip(states, after, strict=True):
                s[t + 1] = s_t

        self._run = x, a, states
        self._output_shape = self._shape(B, T) if return_sequences else self._shape(B)
        h = states[0]
        out = batch_first(h[1:]) if return_sequences else h[T]
        return read_only(out), tuple(read_only(s[T]) for s in states)

    def activations(self):
        """What every block and state was at every step of the last `forward`.

        Returns:
            dict from name ("i", "f", "g", "o", "h", "c" for an LSTM) to a read-only
            array `(batch, time, units)`. States are those after the step.

        Raises:
            ValueError: nothing has run yet.
        """
        _, a, states = self._last_run()
        made = {name: a[:, k] for k, name in enumerate(self.block_names)}
        made |= {k: s[1:] for k, s in zip(self.state_names, states, strict=True)}
        return {name: read_only(batch_first(a)) for name, a in made.items()}

    def backward(self, dout, dstate=None, *, truncate=None, input_gradient=True):
        """Gradients of a loss L, from those for what the last `forward` returned.

        Args:
            dout: ∂L/∂h, in the shape of the output; None where L does not see it.
            dstate: ∂L/∂(final states), a tuple as `forward` returned; None: zeros.
            truncate: cut the gradient at every so many steps (truncated backpropagation
                through time); None to let it flow through the whole sequence.
            input_gradient: whether to compute ∂L/∂x; a first layer can do without.

        Returns:
            `(dx, dinitial_state, gradients)`: dx in the shape of x (None if not asked
            for), a tuple for the initial states, a dict from weight name to gradient.

        Raises:
            ValueError: nothing has run yet, or a shape that does not fit.
        """
        x, a, states = self._last_run()
        da, carried = self._through_time(dout, dstate, truncate)
        gradients = self._weight_gradients(x, a, states, da)
        dx = None
        if input_gradient:
            W_x = self._blocks(self.weights["kernel"])
            dx = batch_first(project(da, W_x.swapaxes(-1, -2)).sum(1))
        return dx, carried[0], gradients

    def _through_time(self, dout, dstate, truncate=None):
        """da of all steps, and `carried`: ∂L/∂(states after t steps) for t = 0 … T.

        `carried[t]` is what comes by way of the steps after t; what L sees of h_t
        itself is added when step t is passed.
        """
        _, a, states = self._last_run()
        T, B = len(a), a.shape[-2]
        if truncate is not None:
            check_whole("truncate", truncate, 1)
        carried = [None] * T + [self._check_states("dstate", dstate, B)]
        if dout is not None:
            dout = check_array("dout", dout, self._output_shape, self.dtype)
            if dout.ndim == a.ndim - 2:  # the last step's only
                dh, *rest = carried[T]
                carried[T] = (dh + dout, *rest)
                dout = None
            else:
                dout = np.moveaxis(dout, -2, 0)
        da = empty_steps(T, a.shape[1:], self.dtype)

        for t in reversed(range(T)):
            dh, *dc = carried[t + 1]
            if dout is not None:
                dh = dh + dout[t]
            before, after = [s[t] for s in states], [s[t + 1] for s in states]
            carried[t] = self._step_back(a[t], before, after, da[t], dh, *dc)
            if truncate and t and t % truncate == 0:
                carried[t] = tuple(np.zeros_like(d) for d in carried[t])
        return da, carried

    def _step(self, a, *before):
        """The states after a step; `a`, x_t W_x + b, becomes the activations."""
        raise NotImplementedError

    def _step_back(self, a, before, after, da, *dafter):
        """Fill `da` and return the gradients for the states before the step."""
        raise NotImplementedError

    def _kernel_and_bias(self):
        bias = self.weights["bias"][..., None, :]
        return np.concatenate([self.weights["kernel"], bias], axis=-2)

    def _weight_gradients(self, x, a, states, da):
        """All steps share the weights, so the steps' gradients add up."""
        of_inputs = join_blocks(accumulate(x, da))
        of_states = self._by_state(a, self._drop(states[0][:-1]), da)
        return {
            "kernel": of_inputs[..., :-1, :],
            "recurrent_kernel": join_blocks(of_states),
            "bias": of_inputs[..., -1, :],
        }

    def _by_state(self, a, h_before, da):
        """Gradient of the recurrent weights, block by block."""
        return accumulate(h_before, da)

    def _drop(self, h):
        """What recurrent dropout lets pass of h_{t−1}, and of its gradient."""
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
        return (*self._front, batch, *time, self.units)

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
