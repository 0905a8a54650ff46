"""From one sequence to another: an encoder, a decoder, and attention between them."""

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_array, check_integer, check_labels, count_axes
from unrolled.compose import Composite
from unrolled.generation import sample
from unrolled.layer import Layer
from unrolled.layout import read_only
from unrolled.losses import log_softmax
from unrolled.model import SequenceClassifier
from unrolled.recurrence import Recurrent
from unrolled.tasks.synthetic import one_hot
from unrolled.training import one_thread
from unrolled.types import Array, Arrays, Seed, States


class Decoding(Composite):
    """An encoder whose final states are the first states of a decoder.

    With attention, each step of the decoder also gets a mean of the encoder's states
    e_s, weighted by how well they fit its own state h_t::

        α_ts = exp(h_t · e_s) / Σ_r exp(h_t · e_r)
        context_t = Σ_s α_ts e_s

    and the output is [h_t, context_t], 2H numbers, instead of h_t.

    Args:
        encoder: a recurrent layer.
        decoder: another one with as many units and the same states.
        symbols: how many symbols the decoder may read, and so its features.
        attention: whether the decoder looks at all states of the encoder.
        seed: an integer, or a sequence of integers for an ensemble.

    Raises:
        ValueError: no recurrent layers, or layers whose states differ.

    References:
        Sutskever, Vinyals & Le, "Sequence to sequence learning with neural networks",
        NeurIPS 2014, arXiv:1409.3215.

        Luong, Pham & Manning, "Effective approaches to attention-based neural machine
        translation", EMNLP 2015, arXiv:1508.04025: the score is their "dot".
    """

    def __init__(
        self,
        encoder: Layer,
        decoder: Layer,
        symbols: int,
        *,
        attention: bool = False,
        seed: Seed = 0,
    ) -> None:
        parts: dict[str, Any] = {"encoder": encoder, "decoder": decoder}
        for name, part in parts.items():
            if not isinstance(part, Recurrent):
                raise ValueError(f"{name} is {part!r:.60}; expected a recurrent layer")
        if (encoder.state_names, encoder.output_features) != (
            decoder.state_names,
            decoder.output_features,
        ):
            raise ValueError(
                f"encoder has {encoder.output_features} units and the states "
                f"{encoder.state_names}, decoder {decoder.output_features} and "
                f"{decoder.state_names}; expected the same, as the states are handed on"
            )
        super().__init__(parts, seed)
        self.symbols = check_integer("symbols", symbols, 1)
        self.attention = bool(attention)
        self.output_features = (1 + self.attention) * encoder.output_features

    def _features_after(self, part, features):
        return self.symbols

    def _readers(self):
        return [self.parts["encoder"]]

    def read(self, x: npt.ArrayLike, *, training: bool = False) -> tuple[Array, States]:
        """Run the encoder: its states at all steps, and the final ones."""
        return self.parts["encoder"].forward(self.check_input(x), training=training)

    def write(
        self,
        previous: npt.ArrayLike,
        state: States,
        read: Array,
        *,
        training: bool = False,
    ) -> tuple[Array, States]:
        """Run the decoder.

        Args:
            previous: what it wrote in the step before, `(batch, steps, classes)`.
            state: states before the first of these steps.
            read: the encoder's states, `(batch, time, units)`.
            training: whether recurrent dropout is on.

        Returns:
            `(outputs, state)`: `(batch, steps, units)`, with attention twice the units,
            and the states after the last step.
        """
        h, state = self.parts["decoder"].forward(previous, state, training=training)
        self._run = h, read, None
        if not self.attention:
            return h, state
        score = h @ read.swapaxes(-1, -2)
        alpha = np.exp(score - score.max(axis=-1, keepdims=True))
        alpha /= alpha.sum(axis=-1, keepdims=True)
        self._run = h, read, alpha
        return np.concatenate([h, alpha @ read], axis=-1), state

    def activations(self) -> Arrays:
        """Return the weights of attention in the last `write`.

        Returns:
            read-only `{"alpha": (batch, steps, time)}`, each row with the sum 1.

        Raises:
            ValueError: the layer has not run yet, or has no attention.
        """
        alpha = self._last_run()[-1]
        if alpha is None:
            raise ValueError("attention is False; expected True, there are no weights")
        return {"alpha": read_only(alpha)}

    def backward(
        self,
        dout: Array | None,
        dstate: States | None = None,
        *,
        truncate: int | None = None,
        input_gradient: bool = True,
    ) -> tuple[Array | None, States, Arrays]:
        """Go back through attention, decoder and encoder; see `Recurrent.backward`.

        The first of the results is the gradient for the encoder's input.
        """
        h, read, alpha = self._last_run()
        shape = (*h.shape[:-1], self.output_features)
        dout = np.zeros(shape) if dout is None else dout
        dout = check_array("dout", dout, shape, self.dtype)
        dread = None
        if alpha is not None:
            dout, dcontext = np.split(dout, 2, axis=-1)
            dalpha = dcontext @ read.swapaxes(-1, -2)
            of_mean = (dalpha * alpha).sum(axis=-1, keepdims=True)
            dscore = alpha * (dalpha - of_mean)  # the softmax, back
            dread = alpha.swapaxes(-1, -2) @ dcontext + dscore.swapaxes(-1, -2) @ h
            dout = dout + dscore @ read
        how = {"truncate": truncate}
        _, dhanded, of_decoder = self.parts["decoder"].backward(
            dout, dstate, input_gradient=False, **how
        )
        dx, dinitial, of_encoder = self.parts["encoder"].backward(
            dread, dhanded, input_gradient=input_gradient, **how
        )
        return dx, dinitial, self._named([of_encoder, of_decoder])


class EncoderDecoder(SequenceClassifier):
    """Reads a sequence and writes another one, symbol by symbol.

    The encoder reads the input; the decoder begins with its final states, and at each
    step predicts the next symbol from the one before. In training that is the right one
    (*teacher forcing*); in `write`, the one that it wrote itself. The first step reads
    zeros. The loss is the cross-entropy of the symbols.

    Args:
        encoder: a recurrent layer.
        decoder: another one with as many units and the same states.
        outputs: number of symbols that may be written.
        attention: whether the decoder looks at all states of the encoder, see
            `Decoding`.
        **options: `optimizer` and `seed`, as for `SequenceModel`.

    Raises:
        ValueError: as `Decoding` and `SequenceModel`.

    Example:
        >>> import numpy as np
        >>> from unrolled import GRU, EncoderDecoder
        >>> model = EncoderDecoder(GRU(8), GRU(8), 3, attention=True)
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(5, 7, 2)), rng.integers(3, size=(5, 4))
        >>> history = model.fit(x, y, epochs=2)
        >>> model.write(x, 4).shape
        (5, 4)
    """

    def __init__(
        self,
        encoder: Layer,
        decoder: Layer,
        outputs: int,
        *,
        attention: bool = False,
        **options: Any,
    ) -> None:
        outputs = check_integer("outputs", outputs, 1)
        body = Decoding(encoder, decoder, outputs, attention=attention)
        super().__init__(body, outputs, return_sequences=True, **options)

    @property
    def _decoding(self) -> Decoding:
        return cast(Decoding, self.body)

    def forward(  # type: ignore[override]  # it reads two sequences
        self, x: npt.ArrayLike, previous: npt.ArrayLike, *, training: bool = False
    ) -> Array:
        """Compute the outputs before the softmax, step by step.

        Args:
            x: what the encoder reads, `(batch, time, features)`.
            previous: what the decoder reads, `(batch, steps, outputs)`: the symbols
                before those that it is to predict, one-hot.
            training: whether dropout is on.

        Returns:
            `(batch, steps, outputs)`; in an ensemble the networks are one axis more, in
            front.
        """
        x = self._check_inputs(x)  # the first call builds
        read, state = self._decoding.read(x, training=training)
        h, self.state = self._decoding.write(previous, state, read, training=training)
        return self.head.forward(h)[0]

    def _outputs(self, x, y, initial_state=None, *, training=False):
        if initial_state is not None:
            raise ValueError("initial_state is given; expected None: the encoder's")
        return self.forward(x, self._before(y), training=training)

    def _before(self, y: Array) -> Array:
        """Return for each symbol the one before it, one-hot; zeros before the first."""
        previous = np.zeros((*y.shape, self.outputs), np.float32)
        if y.shape[-1] > 1:
            previous[..., 1:, :] = one_hot(y[..., :-1], self.outputs)
        return previous

    def predict(  # type: ignore[override]  # as `forward`
        self, x: npt.ArrayLike, y: npt.ArrayLike, batch_size: int = 32
    ) -> Array:
        """Compute the probabilities of each symbol, given the right ones before it.

        Args:
            x: as for `fit`.
            y: the right symbols, integers `(n, steps)`.
            batch_size: sequences at a time.

        Returns:
            `(n, steps, outputs)`; in an ensemble with the networks in front.

        Raises:
            ValueError: as `fit`.
        """
        data = self._check_data(x, y)
        batch_size = check_integer("batch_size", batch_size, 1)
        outputs = [self._outputs(*pair) for pair in data.batches(batch_size)]
        return np.exp(log_softmax(np.concatenate(outputs, axis=int(self._is_ensemble))))

    @one_thread
    def write(
        self,
        x: npt.ArrayLike,
        steps: int,
        rng: np.random.Generator | None = None,
        temperature: float = 0.0,
    ) -> Array:
        """Write freely: each symbol is read back as the next input.

        Args:
            x: as for `fit`.
            steps: how many symbols to write.
            rng: draws them; not needed at temperature 0.
            temperature: see `unrolled.sample`; 0 always takes the likeliest.

        Returns:
            integers `(n, steps)`; in an ensemble with the networks in front.

        Raises:
            ValueError: as `fit`, or no generator at a temperature above 0.
        """
        x = self._check_inputs(x)
        steps = check_integer("steps", steps, 1)
        read, state = self._decoding.read(x)
        written = np.empty((*read.shape[:-2], steps), np.int64)
        previous = np.zeros((*read.shape[:-2], 1, self.outputs), np.float32)
        for k in range(steps):
            h, state = self._decoding.write(previous, state, read)
            logits = self.head.forward(h)[0]
            written[..., k] = sample(logits[..., 0, :], rng, temperature)
            previous = one_hot(written[..., k : k + 1], self.outputs)
        return written

    def _check_targets(self, name, y, shape):
        """Targets are as many as are to be written, not as many as there are inputs."""
        steps = np.shape(y)[-1] if count_axes(y) else 1
        return check_labels(name, y, self.outputs, (*shape[:-1], steps))
