"""Layers put together: one above the other, or reading in both directions."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_array, check_tuple
from unrolled.layer import Layer
from unrolled.layout import read_only
from unrolled.types import Array, Arrays, Seed, States
from unrolled.undo import undo_on_failure


class Composite(Layer):
    """A layer made of layers: it has the weights and the states of all of them.

    Args:
        parts: the layers by name.
        seed: an integer, or a sequence of integers for an ensemble.

    Attributes:
        parts: the layers by name; a weight is called "name/weight".

    Raises:
        ValueError: not layers, the same layer twice, or layers of different dtypes.
    """

    def __init__(self, parts: dict[str, Layer], seed: Seed) -> None:
        for name, part in parts.items():
            if not isinstance(part, Layer):
                raise ValueError(f"layer {name} is {part!r}; expected a layer")
        super().__init__(seed, next(iter(parts.values())).dtype)
        self.parts = parts
        self._check_different()
        self.along_time = any(part.along_time for part in parts.values())
        for name, part in parts.items():
            if part.dtype != self.dtype:
                raise ValueError(
                    f"layer {name} has dtype {part.dtype}; expected {self.dtype}, as "
                    "the first layer has"
                )
        self.state_names = tuple(
            f"{name}/{state}"
            for name, part in parts.items()
            for state in part.state_names
        )

    @property
    def weights(self) -> Arrays:
        """The layers' own arrays by name. Changing one in place changes the layer."""
        return {
            f"{name}/{key}": weight
            for name, part in self.parts.items()
            for key, weight in part.weights.items()
        }

    def _all_layers(self) -> list[Layer]:
        """Return this layer and all that it is made of, at any depth."""
        parts = self.parts.values()
        return [self, *(layer for part in parts for layer in part._all_layers())]

    def _check_different(self) -> None:
        """Refuse one layer, or one weight, under two names: each would move twice."""
        layers = [id(layer) for layer in self._all_layers()]
        weights = [id(weight) for weight in self.weights.values()]
        if len({*layers, *weights}) < len(layers) + len(weights):
            raise ValueError("the same layer is used twice; expected different layers")

    def build(self, features: int) -> None:
        """Draw the weights of all layers, one after the other; built ones keep theirs.

        Args:
            features: length of the input's last axis.

        Raises:
            ValueError: a layer is built for another number of features or networks.
        """
        super().build(features)

    def _build(self, features):
        self._check_different()
        self.use_generators(self.rngs, self.networks)
        n = features
        for name, part in self.parts.items():
            if not part.built:
                part.build(n)
            elif part.features != n:
                raise ValueError(
                    f"layer {name} is built for {part.features} features; expected {n}"
                )
            n = self._features_after(part, n)
        self.features = features

    def use_generators(
        self, rngs: list[np.random.Generator], networks: int | None
    ) -> None:
        """Let all layers draw from these generators; see `Layer.use_generators`."""
        with undo_on_failure(objects=self._all_layers()):
            super().use_generators(rngs, networks)
            for part in self.parts.values():
                part.use_generators(rngs, networks)

    def _features_after(self, part: Layer, features: int) -> int:
        """Return how many features the next part reads."""
        return features

    def _readers(self) -> list[Layer]:
        """Return the parts that read the input itself."""
        return list(self.parts.values())

    def check_input(self, x: npt.ArrayLike) -> Array:
        """Do as `Layer.check_input`, and share `x` with parts that cannot do so.

        Only layers along time know that an input without an axis of networks is for all
        of them: `Dense` and `Dropout` would take the first axis for the networks.
        """
        x = super().check_input(x)
        if x.ndim == 3 and not all(part.along_time for part in self._readers()):
            x = np.broadcast_to(x, (*self._leading_shape, *x.shape))
        return x

    def count_params(self) -> int:
        """Return the number of trainable parameters of one network."""
        return sum(part.count_params() for part in self.parts.values())

    def _reset(self) -> None:
        super()._reset()
        for part in self.parts.values():
            part._reset()

    def _cast(self, dtype: np.dtype[Any]) -> None:
        super()._cast(dtype)
        for part in self.parts.values():
            part._cast(dtype)

    def _split_states(self, name: str, states: States | None) -> list[States | None]:
        """Give each part its own share of the states; None means None for each."""
        if states is None:
            return [None for _ in self.parts]
        remaining = iter(check_tuple(name, states, self.state_names))
        return [
            tuple(next(remaining) for _ in part.state_names)
            for part in self.parts.values()
        ]

    def _named(self, gradients: list[Arrays]) -> Arrays:
        """Join the parts' gradients under the names of `weights`."""
        return {
            f"{name}/{key}": gradient
            for name, of_part in zip(self.parts, gradients, strict=True)
            for key, gradient in of_part.items()
        }


class Stack(Composite):
    """Layers one above the other: each reads the hidden states of the one beneath.

    Args:
        layers: recurrent layers, `Bidirectional`, `Dropout`, from the input upwards.
        seed: an integer, or a sequence of integers for an ensemble. Layers that are not
            built yet draw their weights from it, one after the other.

    Raises:
        ValueError: no layer, or layers of different dtypes, features or networks.

    Example:
        >>> import numpy as np
        >>> from unrolled import GRU, LSTM, Dropout, Stack
        >>> stack = Stack([LSTM(8), Dropout(0.2), GRU(4)])
        >>> h, state = stack.forward(np.zeros((2, 5, 3)))
        >>> h.shape, stack.state_names
        ((2, 5, 4), ('0/h', '0/c', '2/h'))

    References:
        El Hihi & Bengio, "Hierarchical recurrent neural networks for long-term
        dependencies", NeurIPS 1995.
    """

    def __init__(self, layers: Sequence[Layer], *, seed: Seed = 0) -> None:
        if not np.iterable(layers):
            raise ValueError(f"layers is {layers!r}; expected a list of layers")
        layers = list(layers)
        if not layers:
            raise ValueError("layers is empty; expected at least one layer")
        super().__init__({str(k): layer for k, layer in enumerate(layers)}, seed)

    def _build(self, features):
        super()._build(features)
        self.output_features = list(self.parts.values())[-1].output_features

    def _features_after(self, part: Layer, features: int) -> int:
        return part.output_features

    def _readers(self) -> list[Layer]:
        return list(self.parts.values())[:1]

    def forward(
        self,
        x: npt.ArrayLike,
        initial_state: States | None = None,
        *,
        return_sequences: bool = True,
        training: bool = False,
    ) -> tuple[Array, States]:
        """Run all layers, from the lowest up; see `Recurrent.forward`.

        The state is that of the lowest layer, then that of the next one, and so on.
        """
        out = self.check_input(x)
        layers = list(self.parts.values())
        last = max((k for k, p in enumerate(layers) if p.along_time), default=0)
        states = self._split_states("initial_state", initial_state)
        after: list[Array] = []
        self._run = None
        for k, (layer, state) in enumerate(zip(layers, states, strict=True)):
            out, state = layer.forward(
                out,
                state,
                return_sequences=return_sequences or k != last,
                training=training,
            )
            after += state
        self._run = out.shape
        return out, tuple(after)

    def backward(
        self,
        dout: Array | None,
        dstate: States | None = None,
        *,
        truncate: int | None = None,
        input_gradient: bool = True,
    ) -> tuple[Array | None, States, Arrays]:
        """Go back through all layers, from the top down; see `Recurrent.backward`."""
        self._last_run()
        layers = list(self.parts.values())
        dstates = self._split_states("dstate", dstate)
        before: States = ()
        gradients: list[Arrays] = []
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
    """Two layers: one reads from the first step to the last, one from last to first.

    Their outputs are joined to a length of `2 · units`, as by Keras's `Bidirectional`.
    The last output of the second layer is the one at the first step.

    Args:
        layer: a recurrent layer, for the forward direction.
        backward_layer: the layer for the other direction; if None, one like `layer`
            with weights of its own.
        seed: an integer, or a sequence of integers for an ensemble.

    Raises:
        ValueError: layers of different dtypes, features or networks.

    Example:
        >>> import numpy as np
        >>> from unrolled import LSTM, Bidirectional
        >>> both = Bidirectional(LSTM(4))
        >>> h, state = both.forward(np.zeros((2, 5, 3)))
        >>> h.shape
        (2, 5, 8)
        >>> both.state_names
        ('forward/h', 'forward/c', 'backward/h', 'backward/c')

    References:
        Schuster & Paliwal, "Bidirectional recurrent neural networks", IEEE Transactions
        on Signal Processing 45 (1997).
    """

    def __init__(
        self, layer: Layer, backward_layer: Layer | None = None, *, seed: Seed = 0
    ) -> None:
        if backward_layer is None and isinstance(layer, Layer):
            backward_layer = copy.deepcopy(layer)
            backward_layer._reset()
        parts: dict[str, Any] = {"forward": layer, "backward": backward_layer}
        super().__init__(parts, seed)

    def _build(self, features):
        super()._build(features)
        self.output_features = sum(p.output_features for p in self.parts.values())

    def forward(
        self,
        x: npt.ArrayLike,
        initial_state: States | None = None,
        *,
        return_sequences: bool = True,
        training: bool = False,
    ) -> tuple[Array, States]:
        """Run both layers; see `Recurrent.forward`.

        The state is that of the forward layer, then that of the backward layer.
        """
        x = self.check_input(x)
        state, state_b = self._split_states("initial_state", initial_state)
        self._run = None
        how = {"return_sequences": return_sequences, "training": training}
        out, after = self.parts["forward"].forward(x, state, **how)
        out_b, after_b = self.parts["backward"].forward(x[..., ::-1, :], state_b, **how)
        self._sequences = return_sequences
        out = np.concatenate([out, self._turned(out_b)], axis=-1)
        self._run = out.shape
        return read_only(out), (*after, *after_b)

    def backward(
        self,
        dout: Array | None,
        dstate: States | None = None,
        *,
        truncate: int | None = None,
        input_gradient: bool = True,
    ) -> tuple[Array | None, States, Arrays]:
        """Go back through both layers; see `Recurrent.backward`."""
        shape = self._last_run()
        dstate, dstate_b = self._split_states("dstate", dstate)
        how: dict[str, Any] = {"truncate": truncate, "input_gradient": input_gradient}
        dout_b = None
        if dout is not None:
            dout = check_array("dout", dout, shape, self.dtype)
            half = self.parts["forward"].output_features
            dout, dout_b = dout[..., :half], self._turned(dout[..., half:])
        dx, before, gradients = self.parts["forward"].backward(dout, dstate, **how)
        dx_b, before_b, gradients_b = self.parts["backward"].backward(
            dout_b, dstate_b, **how
        )
        if dx is not None and dx_b is not None:
            dx = dx + dx_b[..., ::-1, :]
        return dx, (*before, *before_b), self._named([gradients, gradients_b])

    def _turned(self, out: Array) -> Array:
        """Put the outputs of the backward layer into the order of time."""
        return out[..., ::-1, :] if self._sequences else out
