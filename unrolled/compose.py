"""Layers put together: one above the other, or reading in both directions."""

import copy

import numpy as np

from unrolled.checks import check_array, check_tuple
from unrolled.layer import Layer
from unrolled.layout import read_only


class Composite(Layer):
    """A layer made of layers, whose weights and states are all of theirs.

    Attributes:
        parts: dict from name to layer; a weight is called "name/weight".
    """

    def __init__(self, parts, seed):
        for name, part in parts.items():
            if not isinstance(part, Layer):
                raise ValueError(f"layer {name} is {part!r}; expected a layer")
        if len({id(part) for part in parts.values()}) < len(parts):
            raise ValueError("the same layer stands twice; expected a layer for each")
        super().__init__(seed, next(iter(parts.values())).dtype)
        self.parts = parts
        for name, part in parts.items():
            if part.dtype != self.dtype:
                raise ValueError(
                    f"layer {name} has dtype {part.dtype}; expected {self.dtype} as "
                    "the first layer"
                )
        self.state_names = tuple(
            f"{name}/{state}"
            for name, part in parts.items()
            for state in part.state_names
        )

    @property
    def weights(self):
        """Name → array, the layers' own: to change an array in place is to train."""
        return {
            f"{name}/{key}": weight
            for name, part in self.parts.items()
            for key, weight in part.weights.items()
        }

    def build(self, features, rngs=None):
        """Draw the weights of all layers, one after the other; those built stay."""
        rngs = self.rngs if rngs is None else rngs
        self.use_generators(rngs)
        n = features
        for name, part in self.parts.items():
            if not part.built:
                part.build(n, rngs)
            elif part.features != n:
                raise ValueError(
                    f"layer {name} is built for {part.features} features; expected {n}"
                )
            n = self._features_after(part, n)
        super().build(features)

    def use_generators(self, rngs):
        """As `Layer.use_generators`, for all layers."""
        super().use_generators(rngs)
        for part in self.parts.values():
            part.use_generators(rngs)

    def _features_after(self, part, features):
        return features

    def _forget(self):
        super()._forget()
        for part in self.parts.values():
            part._forget()

    def _cast(self, dtype):
        super()._cast(dtype)
        for part in self.parts.values():
            part._cast(dtype)

    def _split_states(self, name, states):
        """One tuple of states for each part, from one for all; None stays None."""
        if states is None:
            return [None] * len(self.parts)
        states = iter(check_tuple(name, states, self.state_names))
        return [
            tuple(next(states) for _ in part.state_names)
            for part in self.parts.values()
        ]

    def _named(self, gradients):
        """The parts' gradients by the names of `weights`."""
        return {
            f"{name}/{key}": gradient
            for name, part in zip(self.parts, gradients, strict=True)
            for key, gradient in part.items()
        }


class Stack(Composite):
    """Layers one above the other: each reads the hidden states of the one beneath.

    Args:
        layers: recurrent layers, `Bidirectional`, `Dropout`, from the input upwards.
        seed: a whole number, or a list for a stack of networks; layers not yet built
            draw their weights from it, one after the other.

    Raises:
        ValueError: no layer, or layers of different dtype, features or networks.

    Source: El Hihi & Bengio, "Hierarchical recurrent neural networks for long-term
    dependencies", NeurIPS 1995.
    """

    def __init__(self, layers, *, seed=0):
        layers = list(layers)
        if not layers:
            raise ValueError("layers is empty; expected at least one layer")
        super().__init__({str(k): layer for k, layer in enumerate(layers)}, seed)

    @property
    def output_features(self):
        """Length of the output's last axis."""
        return list(self.parts.values())[-1].output_features

    def _features_after(self, part, features):
        return part.output_features

    def forward(self, x, initial_state=None, *, return_sequences=True, training=False):
        """As `Recurrent.forward`; the state holds those of all layers."""
        out = self.check_input(x)
        layers = list(self.parts.values())
        last = max((k for k, p in enumerate(layers) if p.state_names), default=0)
        states = self._split_states("initial_state", initial_state)
        after = []
        for k, (layer, state) in enumerate(zip(layers, states, strict=True)):
            out, state = layer.forward(
                out,
                state,
                return_sequences=return_sequences or k != last,
                training=training,
            )
            after += state
        return out, tuple(after)

    def backward(self, dout, dstate=None, *, truncate=None, input_gradient=True):
        """As `Recurrent.backward`, from the top layer down."""
        layers = list(self.parts.values())
        dstates = self._split_states("dstate", dstate)
        before, gradients = (), []
        for k, layer in reversed(list(enumerate(layers))):
            dout, dinitial, of_layer = layer.backward(
                dout,
                dstates[k],
                truncate=truncate,
                input_gradient=input_gradient or k > 0,
            )
            before = (*dinitial, *before)
            gradients.insert(0, of_layer)
        return dout, before, self._named(gradients)


class Bidirectional(Composite):
    """Two layers, one from the first step to the last, one from the last to the first.

    Their outputs stand side by side, `2 · units` long, as Keras's `Bidirectional`
    merges them. "The last output" of the second layer is the one at the first step.

    Args:
        layer: a recurrent layer, for the forward direction.
        backward_layer: for the other direction; like `layer`, drawn anew, if None.
        seed: a whole number, or a list for a stack of networks.

    Raises:
        ValueError: layers of different dtype, features or networks.

    Source: Schuster & Paliwal, "Bidirectional recurrent neural networks", IEEE
    Transactions on Signal Processing 45 (1997).
    """

    def __init__(self, layer, backward_layer=None, *, seed=0):
        if backward_layer is None and isinstance(layer, Layer):
            backward_layer = copy.deepcopy(layer)
            backward_layer._forget()
        super().__init__({"forward": layer, "backward": backward_layer}, seed)

    @property
    def output_features(self):
        """Length of the output's last axis."""
        return sum(part.output_features for part in self.parts.values())

    def forward(self, x, initial_state=None, *, return_sequences=True, training=False):
        """As `Recurrent.forward`; the state: forward layer's, then the other's."""
        x = self.check_input(x)
        state, state_b = self._split_states("initial_state", initial_state)
        how = {"return_sequences": return_sequences, "training": training}
        out, after = self.parts["forward"].forward(x, state, **how)
        out_b, after_b = self.parts["backward"].forward(x[..., ::-1, :], state_b, **how)
        self._sequences = return_sequences
        out = np.concatenate([out, self._turned(out_b)], axis=-1)
        self._run = out.shape
        return read_only(out), (*after, *after_b)

    def backward(self, dout, dstate=None, *, truncate=None, input_gradient=True):
        """As `Recurrent.backward`."""
        dstate, dstate_b = self._split_states("dstate", dstate)
        how = {"truncate": truncate, "input_gradient": input_gradient}
        dout_b = None
        if dout is not None:
            dout = check_array("dout", dout, self._last_run(), self.dtype)
            half = self.parts["forward"].output_features
            dout, dout_b = dout[..., :half], self._turned(dout[..., half:])
        dx, before, gradients = self.parts["forward"].backward(dout, dstate, **how)
        dx_b, before_b, gradients_b = self.parts["backward"].backward(
            dout_b, dstate_b, **how
        )
        if input_gradient:
            dx = dx + dx_b[..., ::-1, :]
        return dx, (*before, *before_b), self._named([gradients, gradients_b])

    def _turned(self, out):
        """The other direction's sequence, in the order of time."""
        return out[..., ::-1, :] if self._sequences else out
